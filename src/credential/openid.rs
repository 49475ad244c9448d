//! A login at somebody else's OpenID provider: an ID token that was kept, and a refresh token that gets the next one.

use crate::accounts::{Login, Origin};
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::check_client;
use crate::credential::login::{self, Held, Whose};
use crate::credential::{AGAIN, Revocation, Setting};
use crate::error::{Error, ErrorKind, Result};
use crate::google::answer;
use crate::google::revoke;
use crate::google::sts::{self, ClientAuth, Exchange};
use crate::google::token::{self, Granted};
use crate::http::Patience;
use crate::json::Fields;
use crate::login::provider::Auth;
use crate::printable;
use crate::secret::Secret;
use crate::token::Token;
use crate::trust::Endpoint;
use crate::url::Url;
use crate::world::World;

/// The kind of a login that gives ID tokens only.
pub const KIND: &str = "openid_login";

/// A kept ID token with less left, in seconds, is not used: it has a way to go yet.
const MARGIN: i64 = 60;

/// The ways of proving who the client is, by the names of OpenID Connect Discovery.
const AUTH: &[(&str, Auth)] =
    &[("client_secret_basic", Auth::EncodedBasic), ("client_secret_post", Auth::Body)];

/// The name of a way to prove who the client is.
pub fn auth_name(auth: Auth) -> &'static str {
    AUTH.iter().find(|(_, known)| *known == auth).map_or(AUTH[0].0, |(name, _)| name)
}

/// Such a login.
pub struct Session {
    /// What the provider calls itself.
    issuer: String,
    token_uri: Url,
    /// The OAuth client of the login, which its ID tokens are for.
    pub client_id: String,
    client_secret: Option<Secret>,
    auth: Auth,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    /// Where the provider takes its tokens back, if it does.
    revoke_url: Option<Url>,
    origin: Origin,
    /// Whose login it is, for errors.
    name: String,
    login_hint: String,
}

impl Session {
    /// Reads the fields. `within` is what names them in errors, such as `credential_source.openid`.
    ///
    /// # Errors
    /// Malformed or unsafe, naming the field.
    pub fn parse(fields: &mut Fields, within: &str, setting: &Setting) -> Result<Session> {
        let named = |name: &str| match within {
            "" => name.to_owned(),
            within => format!("{within}.{name}"),
        };
        let malformed = |what: String| setting.malformed(named(&what)).hint(AGAIN);
        let issuer = fields.needed("issuer").map_err(malformed)?;
        let token_uri = fields.needed("token_uri").map_err(malformed)?;
        // The file's own refresh token goes to the file's own provider, whoever that is.
        let token_uri =
            setting.trusted(Endpoint::Subject, &named("token_uri"), &token_uri, None)?;
        let client_id = fields.needed("client_id").map_err(malformed)?;
        let secret = |token: &Secret| !token.is_empty();
        let client_secret = fields.secret("client_secret").map_err(malformed)?.filter(secret);
        let auth = fields.text("client_auth").map_err(malformed)?;
        let auth = auth.as_deref().filter(|auth| !auth.is_empty()).unwrap_or(AUTH[0].0);
        let known = AUTH.iter().find(|(name, _)| *name == auth).map(|(_, auth)| *auth);
        let auth = known.ok_or_else(|| {
            let names: Vec<&str> = AUTH.iter().map(|(name, _)| *name).collect();
            malformed(format!("client_auth is none of {}", names.join(", ")))
        })?;
        let revoke_url =
            fields.text("revoke_url").map_err(malformed)?.filter(|url| !url.is_empty());
        let revoke_url = revoke_url
            .map(|url| setting.trusted(Endpoint::Subject, &named("revoke_url"), &url, None))
            .transpose()?;
        let refresh_token = fields.secret("refresh_token").map_err(malformed)?.filter(secret);
        let id_token = fields.secret("id_token").map_err(malformed)?.filter(secret);
        check_client(&client_id, "").map_err(malformed)?;
        for (name, value) in [("client_secret", &client_secret), ("refresh_token", &refresh_token)]
        {
            if value.as_ref().is_some_and(|value| !value.is_one_line()) {
                return Err(malformed(format!("{name} has a line end")));
            }
        }
        if refresh_token.is_none() && id_token.is_none() {
            return Err(malformed("refresh_token is missing, and id_token too".to_owned()));
        }
        let issuer_shown = printable::text(&issuer);
        Ok(Session {
            issuer,
            token_uri,
            client_id,
            client_secret,
            auth,
            refresh_token,
            id_token: id_token.filter(token::is_id_token),
            revoke_url,
            origin: setting.origin.clone(),
            name: setting.account.clone().unwrap_or_else(|| setting.place.clone()),
            login_hint: format!("gauth login --issuer {issuer_shown} --client-id-file FILE"),
        })
    }

    /// Names whose login it is, where the file does.
    pub fn of(self, account: Option<&str>) -> Session {
        Session { name: account.map_or(self.name, str::to_owned), ..self }
    }

    /// The provider, for errors.
    pub fn place(&self) -> String {
        format!("the login at {}", printable::text(&self.issuer))
    }

    /// Adds what tells this login from the next.
    pub fn identify(&self, digest: &mut KeyDigest) {
        digest.field(&self.issuer);
        digest.field(self.token_uri.as_str());
        digest.field(&self.client_id);
        let proof = self.refresh_token.as_ref().or(self.id_token.as_ref());
        if let Some(proof) = proof {
            login::identify(&self.origin, proof, digest);
        }
    }

    /// An ID token that is good now.
    ///
    /// # Errors
    /// `LoginRequired` when the person has to sign in again.
    pub fn id_token(&self, broker: &Broker<'_>) -> Result<Secret> {
        if let Some(kept) = self.id_token.as_ref().filter(|token| self.will_do(token, broker)) {
            broker.world.terminal.note(|| format!("the ID token kept for {} is used", self.name));
            return Ok(kept.clone());
        }
        let Some(refresh_token) = &self.refresh_token else {
            let why = "its ID token is over, and there is no refresh token";
            return Err(Error::login_required(&self.name, why, &self.login_hint));
        };
        let login = self.login(refresh_token);
        let whose = Whose { name: &self.name, hint: &self.login_hint, rotates: true };
        let granted = Held::take(&login, whose, broker)?
            .ask(|token, patience| self.ask(token, patience, broker))?;
        granted.id_token.filter(token::is_id_token).ok_or_else(|| {
            let host = self.token_uri.authority();
            let why = format!("{host} gives no ID token without a new sign-in");
            Error::login_required(&self.name, &why, &self.login_hint)
        })
    }

    /// In what words the provider refused this very login, as far as that is remembered.
    pub fn refusal(&self, world: &World) -> Option<String> {
        self.login(self.refresh_token.as_ref()?).refusal(world)
    }

    /// Ends the login at the provider, where that takes its refresh tokens back (RFC 7009).
    ///
    /// # Errors
    /// `Refused` or `NoAnswer`.
    pub fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        let (Some(url), Some(refresh_token)) = (&self.revoke_url, &self.refresh_token) else {
            return Ok(Revocation::Impossible);
        };
        let newest = self.login(refresh_token).newest(broker.world)?;
        let answer = broker.send(&revoke::login_of_client(url, &newest, self.client()))?;
        Ok(Revocation::told(revoke::read(&answer, url.authority())?))
    }

    fn login<'a>(&'a self, refresh_token: &'a Secret) -> Login<'a> {
        Login { origin: &self.origin, client_id: &self.client_id, refresh_token, rapt: None }
    }

    /// Whether the ID token that is kept is the one to use. Where it cannot be renewed, it is for as long as it lasts.
    fn will_do(&self, kept: &Secret, broker: &Broker<'_>) -> bool {
        let token = Token::identity(kept.clone(), KIND);
        let lasts = token.expires_at.is_some() && token.fresh(broker.now(), MARGIN);
        lasts && (self.refresh_token.is_none() || broker.settles_for(&token, MARGIN))
    }

    fn client(&self) -> ClientAuth<'_> {
        match (&self.client_secret, self.auth) {
            (None, _) => ClientAuth::Id(&self.client_id),
            (Some(secret), Auth::Body) => ClientAuth::Body(&self.client_id, secret),
            (Some(secret), Auth::Basic | Auth::EncodedBasic) => {
                ClientAuth::EncodedBasic(&self.client_id, secret)
            }
        }
    }

    fn ask(
        &self,
        refresh_token: &Secret,
        patience: Patience,
        broker: &Broker<'_>,
    ) -> Result<Granted> {
        let wish = Exchange {
            grant_type: Some(sts::REFRESH),
            refresh_token: Some(refresh_token),
            client: Some(self.client()),
            ..Exchange::default()
        };
        let now = broker.now();
        let host = self.token_uri.authority();
        let response = broker.send(&sts::exchange(&self.token_uri, &wish).patience(patience))?;
        if response.status == 200 {
            return token::read(&response, host, now);
        }
        let error = answer::failure_of("the provider", &response, host);
        match answer::server_error(&response) {
            Some(said) if error.kind() == ErrorKind::Refused && said.code == "invalid_grant" => {
                let why = format!("{host} says {}", said.words());
                Err(Error::login_required(&self.name, &why, &self.login_hint))
            }
            _ => Err(error.hint_if_none(|| self.login_hint.clone())),
        }
    }
}
