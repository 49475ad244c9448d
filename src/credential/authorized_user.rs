//! User logins: a refresh token and the OAuth client it was made with (RFC 6749, section 6).
//!
//! Also the `token.json` that Google's quickstarts save, without `type` and with a token that is used until
//! its `expiry`.

use crate::accounts::{Login, Origin};
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::login::{self, Held, Saved, Whose};
use crate::credential::reauth::{Person, Said, Wish};
use crate::credential::{AGAIN, About, Credential, Revocation, Setting};
use crate::error::{Error, ErrorKind, Result};
use crate::google::token::{Granted, Refresh};
use crate::google::{answer, revoke, token as endpoint, tokeninfo};
use crate::json::Fields;
use crate::secret::Secret;
use crate::token::{self, AccessRequest, IdentityRequest, Token, TokenRequest};
use crate::trust::{self, DEFAULT_UNIVERSE};
use crate::url::Url;
use crate::world::World;

const KIND: &str = "authorized_user";

/// A person's login.
struct AuthorizedUser {
    about: About,
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_uri: Url,
    rapt: Option<Secret>,
    /// What the login was made for, where that is known.
    scopes: Vec<String>,
    saved: Option<Saved>,
    origin: Origin,
    login_hint: String,
}

/// Reads the fields of a login.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let client_id = fields.needed("client_id").map_err(malformed)?;
    let client_secret = fields.needed_secret("client_secret").map_err(malformed)?;
    let refresh_token = fields.needed_secret("refresh_token").map_err(malformed)?;
    let rapt = fields.secret("rapt_token").map_err(malformed)?.filter(|rapt| !rapt.is_empty());
    let one_line = [
        ("client_id", !client_id.chars().any(char::is_control)),
        ("client_secret", client_secret.is_one_line()),
        ("refresh_token", refresh_token.is_one_line()),
        ("rapt_token", rapt.as_ref().is_none_or(Secret::is_one_line)),
    ];
    if let Some((name, _)) = one_line.iter().find(|(_, is_one_line)| !is_one_line) {
        return Err(malformed(format!("{name} has a control character")));
    }
    let token_uri = fields.text("token_uri").map_err(malformed)?;
    let universe = fields.text("universe_domain").map_err(malformed)?;
    let universe = setting.universe(universe.filter(|domain| !domain.is_empty()))?;
    let account = fields.text("account").map_err(malformed)?;
    let scopes = fields.words("scopes").map_err(malformed)?;
    let saved = Saved::read(&mut fields, scopes.clone()).map_err(malformed)?;
    let about = About {
        kind: KIND.to_owned(),
        place: setting.place.clone(),
        account: account.filter(|name| !name.is_empty()).or_else(|| setting.account.clone()),
        project: None,
        quota_project: setting.quota_project(&mut fields)?,
        universe_domain: Some(universe),
        through: None,
    };
    Ok(Box::new(AuthorizedUser {
        about,
        client_id,
        client_secret,
        refresh_token,
        token_uri: setting.endpoint(token_uri.as_deref().filter(|uri| !uri.is_empty()))?,
        rapt,
        scopes: scopes.unwrap_or_default(),
        saved,
        origin: login::origin(&mut fields, setting),
        login_hint: setting.login_hint.clone(),
    }))
}

impl Credential for AuthorizedUser {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field(KIND);
        digest.field(&self.client_id);
        digest.field(self.token_uri.as_str());
        login::identify(&self.origin, &self.refresh_token, digest);
        Saved::identify(self.saved.as_ref(), digest);
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.check(request)?;
        let saved = self.saved.as_ref().filter(|_| request.scopes.is_empty());
        if let Some(token) = saved.and_then(|saved| saved.token(KIND, self.margin(), broker)) {
            broker
                .world
                .terminal
                .note(|| format!("the token saved in {} is used", self.about.place));
            return Ok(self.about.stamp(token));
        }
        let now = broker.now();
        let granted = self.granted(&request.scopes, broker)?;
        self.warn_of_missing_scopes(request, &granted, broker);
        let mut token = Token::new(granted.access_token, KIND, granted.expires_at);
        token.scopes = granted.scopes;
        token.cacheable = token.expires_at.is_some_and(|end| end > now);
        Ok(self.about.stamp(token))
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.login().refusal(world)
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        let newest = self.login().newest(broker.world)?;
        let url = match trust::is_googles(&self.token_uri) {
            true => Url::parse(revoke::ENDPOINT),
            false => revoke::beside(&self.token_uri),
        };
        let url = url.map_err(|what| {
            Error::malformed(&self.about.place, format!("token_uri {what}")).hint(AGAIN)
        })?;
        let answer = broker.send(&revoke::login(&url, &newest))?;
        Ok(Revocation::told(revoke::read(&answer, url.authority())?))
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        let mut about = self.about.clone();
        if about.account.is_some() {
            return Ok(about);
        }
        let url = match trust::is_googles(&self.token_uri) {
            true => Url::parse(tokeninfo::URL),
            false => tokeninfo::beside(&self.token_uri),
        };
        let Ok(url) = url else { return Ok(about) };
        let token = broker.token(self, &TokenRequest::Access(AccessRequest::default()))?;
        // It is told to those who may see the address: not being told is no failure.
        let told = broker.send(&tokeninfo::ask(&url, &token.secret));
        let told = told.and_then(|told| tokeninfo::read(&told, url.authority(), broker.now()));
        about.account = told.ok().and_then(std::result::Result::ok).and_then(|info| info.account);
        Ok(about)
    }

    fn identity_token(&self, request: &IdentityRequest, broker: &Broker<'_>) -> Result<Token> {
        self.about.plain_identity(request)?;
        if let Some(audience) =
            request.audience.as_deref().filter(|wanted| *wanted != self.client_id)
        {
            let name = self.about.name();
            let audience = crate::printable::text(audience);
            return Err(Error::unsupported(format!(
                "{name} is a user login, whose ID tokens Google gives to its OAuth client only, not to {audience}"
            ))
            .hint("--impersonate-service-account A gives one for any audience; or leave --audiences away"));
        }
        self.check(&AccessRequest::default())?;
        let granted = self.granted(&[], broker)?;
        let Some(token) = granted.id_token else {
            let error = self.about.cannot("give ID tokens: openid was not asked for at its login");
            return Err(error.hint(self.login_hint.clone()));
        };
        Ok(self.about.stamp(Token::identity(token, KIND)))
    }
}

impl AuthorizedUser {
    fn check(&self, request: &AccessRequest) -> Result<()> {
        if request.subject.is_some() {
            let error = self.about.cannot("act for another user (--subject)");
            return Err(error.hint("use the key of a service account with domain-wide delegation"));
        }
        if request.lifetime.is_some() {
            let error = self.about.cannot("choose how long its tokens live (--lifetime)");
            return Err(error.hint("leave --lifetime away, Google gives an hour"));
        }
        match self.about.universe_domain.as_deref() {
            None | Some(DEFAULT_UNIVERSE) => Ok(()),
            Some(other) => Err(self
                .about
                .cannot(&format!("be refreshed in the universe {other}"))
                .hint("use the key of a service account of that universe")),
        }
    }

    fn login(&self) -> Login<'_> {
        Login {
            origin: &self.origin,
            client_id: &self.client_id,
            refresh_token: &self.refresh_token,
            rapt: self.rapt.as_ref(),
        }
    }

    fn granted(&self, scopes: &[String], broker: &Broker<'_>) -> Result<Granted> {
        let login = self.login();
        // Google's own refresh tokens stay as they are; of somebody else's servers nobody knows.
        let rotates = !self.token_uri.is_loopback() && !trust::is_googles(&self.token_uri);
        let whose = Whose { name: self.about.name(), hint: &self.login_hint, rotates };
        let mut held = Held::take(&login, whose, broker)?;
        let person = Person {
            name: self.about.name(),
            login_hint: &self.login_hint,
            is_ours: self.origin.file().is_some(),
            token_endpoint: &self.token_uri,
            scopes: if scopes.is_empty() { &self.scopes } else { scopes },
        };
        let ask = |wish: &Wish<'_>| self.ask(wish, broker);
        person.granted(&mut held, scopes, &ask, broker)
    }

    fn ask(&self, wish: &Wish<'_>, broker: &Broker<'_>) -> Result<Said> {
        let refresh = Refresh {
            client_id: &self.client_id,
            client_secret: &self.client_secret,
            refresh_token: wish.refresh_token,
            scopes: wish.scopes,
            rapt: wish.rapt,
        };
        let request = endpoint::refresh(&self.token_uri, &refresh).patience(wish.patience);
        let now = broker.now();
        let response = broker.send(&request)?;
        let granted = endpoint::read(&response, self.token_uri.authority(), now);
        match (granted, answer::server_error(&response)) {
            (Ok(granted), _) => Ok(Said::Granted(Box::new(granted))),
            (Err(error), Some(said)) if error.kind() == ErrorKind::Refused => {
                match said.wants_reauthentication() {
                    true => Ok(Said::WantsProof),
                    false => Err(self.refused(error, &said)),
                }
            }
            (Err(error), _) => Err(error),
        }
    }

    fn refused(&self, error: Error, said: &answer::ServerError) -> Error {
        let name = self.about.name();
        match said.code.as_str() {
            "invalid_grant" => Error::login_required(name, &said.to_string(), &self.login_hint),
            "invalid_client" | "unauthorized_client" => error.hint(format!(
                "check client_id and client_secret in {}, or log in again: {}",
                self.about.place, self.login_hint
            )),
            "invalid_scope" => {
                error.hint("ask for scopes that were granted at login, or log in with more")
            }
            "access_denied" | "admin_policy_enforced" => {
                error.hint("ask the administrator: a policy blocks this user, app or device")
            }
            _ => error.hint_if_none(|| self.login_hint.clone()),
        }
    }

    fn warn_of_missing_scopes(
        &self,
        request: &AccessRequest,
        granted: &Granted,
        broker: &Broker<'_>,
    ) {
        let Some(given) = &granted.scopes else { return };
        let missing: Vec<&str> = request
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !given.iter().any(|given| token::same_scope(given, scope)))
            .collect();
        if !missing.is_empty() {
            broker.world.terminal.warn(&format!("not granted: {}", missing.join(", ")));
        }
    }
}
