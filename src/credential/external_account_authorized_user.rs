//! Workforce logins: people of another identity provider, with a refresh token of Google's STS. Each refresh may
//! bring the next refresh token.

use crate::accounts::{Login, Origin};
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::{check_client, introspection};
use crate::credential::login::{self, Held, Saved, Whose};
use crate::credential::{AGAIN, About, Credential, Revocation, Setting, USUAL_LOGIN};
use crate::error::{Error, ErrorKind, Result};
use crate::google::sts::{self, ClientAuth, Exchange};
use crate::google::token::Granted;
use crate::google::{answer, revoke, token};
use crate::http::Patience;
use crate::json::Fields;
use crate::secret::Secret;
use crate::token::{AccessRequest, Token};
use crate::trust::Endpoint;
use crate::url::Url;
use crate::world::World;

const KIND: &str = "external_account_authorized_user";

/// A person's workforce login.
struct WorkforceLogin {
    about: About,
    refresh: Option<Refresh>,
    token_info_url: Option<Url>,
    /// Looked at only where it is used.
    revoke_url: Result<Option<Url>>,
    saved: Option<Saved>,
    origin: Origin,
    login_hint: String,
}

/// What it takes to get another token.
struct Refresh {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_url: Url,
}

/// Reads the fields of a login.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let own_universe = fields.text("universe_domain").map_err(malformed)?;
    let own_universe = own_universe.filter(|domain| !domain.is_empty());
    let universe = setting.universe(own_universe.clone())?;
    let claimed = own_universe.as_deref();
    let scopes = fields.words("scopes").map_err(malformed)?;
    let saved = Saved::read(&mut fields, scopes).map_err(malformed)?;
    let refresh = match fields.has("refresh_token") || saved.is_none() {
        true => Some(refresh(&mut fields, &universe, setting, claimed)?),
        false => None,
    };
    let token_info_url = fields.text("token_info_url").map_err(malformed)?;
    let token_info_url = introspection(token_info_url, setting, claimed)?;
    let revoke_url = fields.text("revoke_url").map_err(malformed)?.filter(|url| !url.is_empty());
    let revoke_url = revoke_url
        .map(|url| setting.trusted(Endpoint::Sts, "revoke_url", &url, claimed))
        .transpose();
    let audience = fields.text("audience").map_err(malformed)?;
    let account = fields.text("account").map_err(malformed)?.filter(|name| !name.is_empty());
    let about = About {
        kind: KIND.to_owned(),
        place: setting.place.clone(),
        account: account.or_else(|| setting.account.clone()),
        quota_project: setting.quota_project(&mut fields)?,
        universe_domain: Some(universe),
        through: audience
            .as_deref()
            .and_then(pool)
            .map(|pool| format!("the workforce pool {pool}")),
        ..About::default()
    };
    // The hints for people of Google's own are of no use to those of another provider.
    let login_hint = match (&setting.origin, setting.login_hint == USUAL_LOGIN) {
        (Origin::Ours(_) | Origin::Kept(_), _) => "gauth login --login-config FILE".to_owned(),
        (Origin::Foreign, true) => "gauth login --login-config FILE, or gcloud auth \
             application-default login --login-config FILE"
            .to_owned(),
        (Origin::Foreign, false) => setting.login_hint.clone(),
    };
    let origin = login::origin(&mut fields, setting);
    Ok(Box::new(WorkforceLogin {
        about,
        refresh,
        token_info_url,
        revoke_url,
        saved,
        origin,
        login_hint,
    }))
}

fn refresh(
    fields: &mut Fields,
    universe: &str,
    setting: &Setting,
    claimed: Option<&str>,
) -> Result<Refresh> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let client_id = fields.needed("client_id").map_err(malformed)?;
    let client_secret = fields.needed("client_secret").map_err(malformed)?;
    check_client(&client_id, &client_secret).map_err(malformed)?;
    let refresh_token = fields.needed("refresh_token").map_err(malformed)?;
    if refresh_token.chars().any(char::is_control) {
        return Err(malformed("refresh_token has a control character".to_owned()));
    }
    let token_url = fields.text("token_url").map_err(malformed)?.filter(|url| !url.is_empty());
    let token_url = token_url.unwrap_or_else(|| format!("https://sts.{universe}/v1/oauthtoken"));
    Ok(Refresh {
        client_id,
        client_secret: Secret::new(client_secret),
        refresh_token: Secret::new(refresh_token),
        token_url: setting.trusted(Endpoint::Sts, "token_url", &token_url, claimed)?,
    })
}

/// The pool in the name of a provider.
fn pool(audience: &str) -> Option<String> {
    let pool = audience.split_once("/workforcePools/")?.1.split('/').next()?;
    Some(crate::printable::text(pool))
}

impl Credential for WorkforceLogin {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field(KIND);
        if let Some(refresh) = &self.refresh {
            digest.field(&refresh.client_id);
            digest.field(refresh.token_url.as_str());
            login::identify(&self.origin, &refresh.refresh_token, digest);
        }
        Saved::identify(self.saved.as_ref(), digest);
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.check(request)?;
        if let Some(token) =
            self.saved.as_ref().and_then(|saved| saved.token(KIND, self.margin(), broker))
        {
            broker
                .world
                .terminal
                .note(|| format!("the token saved in {} is used", self.about.place));
            return Ok(self.about.stamp(token));
        }
        let name = self.about.name();
        let Some(refresh) = &self.refresh else {
            let why = "the saved token is over, and there is no refresh token";
            return Err(Error::login_required(name, why, &self.login_hint));
        };
        let login = self.login(refresh);
        let whose = Whose { name, hint: &self.login_hint, rotates: true };
        let granted = Held::take(&login, whose, broker)?
            .ask(|refresh_token, patience| self.ask(refresh, refresh_token, patience, broker))?;
        let mut token = Token::new(granted.access_token, KIND, granted.expires_at);
        token.scopes = granted.scopes;
        Ok(self.about.stamp(token))
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.login(self.refresh.as_ref()?).refusal(world)
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        let Some(refresh) = &self.refresh else { return Ok(Revocation::Impossible) };
        let newest = self.login(refresh).newest(broker.world)?;
        let url = match self.revoke_url.clone()? {
            Some(url) => url,
            None => revoke::beside(&refresh.token_url).map_err(|what| {
                Error::malformed(&self.about.place, format!("token_url {what}")).hint(AGAIN)
            })?,
        };
        let client = ClientAuth::Basic(&refresh.client_id, &refresh.client_secret);
        let answer = broker.send(&revoke::login_of_client(&url, &newest, client))?;
        Ok(Revocation::told(revoke::read(&answer, url.authority())?))
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        let mut about = self.about.clone();
        let (Some(url), None) = (&self.token_info_url, &about.account) else { return Ok(about) };
        let token = broker.source_token(self)?;
        let client = self.refresh.as_ref();
        let client = client.map(|known| ClientAuth::Basic(&known.client_id, &known.client_secret));
        // Google tells it to its own clients only: not being told is no failure.
        let told = broker.send(&sts::introspect(url, &token.secret, client));
        let told = told.and_then(|told| sts::read_principal(&told, url.authority()));
        about.account = told.ok().flatten();
        Ok(about)
    }
}

impl WorkforceLogin {
    fn login<'a>(&'a self, refresh: &'a Refresh) -> Login<'a> {
        Login {
            origin: &self.origin,
            client_id: &refresh.client_id,
            refresh_token: &refresh.refresh_token,
            rapt: None,
        }
    }

    fn check(&self, request: &AccessRequest) -> Result<()> {
        for (given, what) in [
            (request.subject.is_some(), "act for another user (--subject)"),
            (request.lifetime.is_some(), "choose how long its tokens live (--lifetime)"),
            (!request.scopes.is_empty(), "choose scopes (--scopes): they were chosen at the login"),
        ] {
            if given {
                let hint = "leave the flag away, or name a service account with --impersonate-service-account";
                return Err(self.about.cannot(what).hint(hint));
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        refresh: &Refresh,
        refresh_token: &Secret,
        patience: Patience,
        broker: &Broker<'_>,
    ) -> Result<Granted> {
        let wish = Exchange {
            grant_type: Some(sts::REFRESH),
            refresh_token: Some(refresh_token),
            client: Some(ClientAuth::Basic(&refresh.client_id, &refresh.client_secret)),
            ..Exchange::default()
        };
        let now = broker.now();
        let response = broker.send(&sts::exchange(&refresh.token_url, &wish).patience(patience))?;
        token::read(&response, refresh.token_url.authority(), now).map_err(|error| {
            match answer::server_error(&response) {
                Some(said)
                    if error.kind() == ErrorKind::Refused && said.code == "invalid_grant" =>
                {
                    Error::login_required(self.about.name(), &said.to_string(), &self.login_hint)
                }
                _ => error.hint_if_none(|| {
                    format!("check client_id and client_secret in {}", self.about.place)
                }),
            }
        })
    }
}
