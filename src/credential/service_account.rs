//! Service accounts with a key: the JWT bearer grant, and JWTs that serve as tokens themselves (AIP-4111, 4112).

use std::cell::OnceCell;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{AGAIN, About, Credential, Services, Setting};
use crate::error::{Error, Result};
use crate::google::iam::{self, Target};
use crate::google::{answer, token};
use crate::json::Fields;
use crate::jwt::{self, BACKDATED, Claims, LONGEST_LIFE};
use crate::key::PrivateKey;
use crate::secret::Secret;
use crate::token::{
    AccessRequest, CLOUD_PLATFORM, IAM, IdentityRequest, SelfSignedRequest, SelfSignedTarget, Token,
};
use crate::trust::DEFAULT_UNIVERSE;
use crate::url::Url;

/// A service account's key file.
struct ServiceAccount {
    about: About,
    email: String,
    universe: String,
    private_key: Secret,
    private_key_id: Option<String>,
    token_uri: Url,
    /// Access tokens are signed here instead of asked for.
    signs: bool,
    services: Services,
    /// Read from its PEM when it is needed: a cached token needs none.
    key: OnceCell<PrivateKey>,
}

/// Reads the fields of a key file.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let email = fields.needed("client_email").map_err(malformed)?;
    if email.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(malformed("client_email has spaces or control characters".to_owned()));
    }
    let private_key = fields.needed_secret("private_key").map_err(malformed)?;
    if private_key.len() > 64 * 1024 {
        return Err(malformed("private_key is longer than 64 KiB".to_owned()));
    }
    let private_key_id = fields.text("private_key_id").map_err(malformed)?;
    let token_uri = fields.text("token_uri").map_err(malformed)?;
    let universe = fields.text("universe_domain").map_err(malformed)?;
    let universe = setting.universe(universe.filter(|domain| !domain.is_empty()))?;
    let about = About {
        kind: "service_account".to_owned(),
        place: setting.place.clone(),
        account: Some(email.clone()),
        project: fields.text("project_id").map_err(malformed)?,
        quota_project: setting.quota_project(&mut fields)?,
        universe_domain: Some(universe.clone()),
        through: None,
    };
    Ok(Box::new(ServiceAccount {
        about,
        email,
        private_key,
        private_key_id: private_key_id.filter(|id| !id.is_empty()),
        token_uri: setting.endpoint(token_uri.as_deref().filter(|uri| !uri.is_empty()))?,
        // Outside the default universe there is no token endpoint for keys.
        signs: setting.self_signed || universe != DEFAULT_UNIVERSE,
        services: setting.services.clone(),
        universe,
        key: OnceCell::new(),
    }))
}

impl Credential for ServiceAccount {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("service_account");
        digest.field(&self.email);
        digest.optional(self.private_key_id.as_deref());
        digest.secret(&self.private_key);
        digest.field(self.token_uri.as_str());
        digest.field(&self.universe);
        digest.field(if self.signs { "signs" } else { "asks" });
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        let scopes = request.scopes_or_default();
        if self.signs {
            if request.subject.is_some() {
                return Err(self.cannot_delegate());
            }
            let target = SelfSignedTarget::Scopes(scopes);
            let signed = SelfSignedRequest { target, lifetime: request.lifetime };
            return self.self_signed(&signed, broker);
        }
        let now = broker.now();
        let (iat, exp) = times(now, request.lifetime)?;
        let scope = scopes.join(" ");
        let claims = Claims {
            iss: &self.email,
            sub: request.subject.as_deref(),
            scope: Some(&scope),
            aud: Some(self.token_uri.as_str()),
            iat,
            exp,
            ..Claims::default()
        };
        let assertion = self.sign(&claims, broker)?;
        let response = broker.send(&token::jwt_grant(&self.token_uri, &assertion))?;
        let host = self.token_uri.authority();
        let granted = token::read(&response, host, now).map_err(|error| {
            token::explain_assertion(error, &response, broker.now(), &self.about.place)
                .hint_if_none(|| format!("check the account and the key in {}", self.about.place))
        })?;
        let mut token = Token::new(granted.access_token, "service_account", granted.expires_at);
        token.scopes = Some(granted.scopes.unwrap_or(scopes));
        Ok(self.about.stamp(token))
    }

    fn identity_token(&self, request: &IdentityRequest, broker: &Broker<'_>) -> Result<Token> {
        self.about.plain_identity(request)?;
        let Some(audience) = &request.audience else { return Err(self.about.needs_audience()) };
        let token = match self.universe == DEFAULT_UNIVERSE {
            true => self.identity_by_grant(audience, broker)?,
            false => self.identity_by_iam(audience, broker)?,
        };
        Ok(self.about.stamp(Token::identity(token, "service_account")))
    }

    fn self_signed(&self, request: &SelfSignedRequest, broker: &Broker<'_>) -> Result<Token> {
        let (iat, exp) = times(broker.now(), request.lifetime)?;
        let scope;
        let mut claims =
            Claims { iss: &self.email, sub: Some(&self.email), iat, exp, ..Claims::default() };
        match &request.target {
            SelfSignedTarget::Audience(audience) => claims.aud = Some(audience),
            SelfSignedTarget::Scopes(scopes) => {
                scope =
                    if scopes.is_empty() { CLOUD_PLATFORM.to_owned() } else { scopes.join(" ") };
                claims.scope = Some(&scope);
            }
        }
        let mut token = Token::new(self.sign(&claims, broker)?, "service_account", Some(exp));
        token.scopes = claims.scope.map(|scope| scope.split(' ').map(str::to_owned).collect());
        broker.world.terminal.note(|| format!("{} signed its own token", self.email));
        Ok(self.about.stamp(token))
    }
}

impl ServiceAccount {
    fn identity_by_grant(&self, audience: &str, broker: &Broker<'_>) -> Result<Secret> {
        let now = broker.now();
        let (iat, exp) = times(now, None)?;
        let claims = Claims {
            iss: &self.email,
            target_audience: Some(audience),
            aud: Some(self.token_uri.as_str()),
            iat,
            exp,
            ..Claims::default()
        };
        let assertion = self.sign(&claims, broker)?;
        let response = broker.send(&token::identity_grant(&self.token_uri, &assertion))?;
        let host = self.token_uri.authority();
        let given = token::read_identity(&response, host).map_err(|error| {
            token::explain_assertion(error, &response, broker.now(), &self.about.place)
                .hint_if_none(|| format!("check the account and the key in {}", self.about.place))
        })?;
        given.ok_or_else(|| answer::unusable(&response, host, "holds no id_token"))
    }

    /// Other universes have no token endpoint for keys: the account asks IAM for a token of its own.
    fn identity_by_iam(&self, audience: &str, broker: &Broker<'_>) -> Result<Secret> {
        let target = SelfSignedTarget::Scopes(vec![IAM.to_owned()]);
        let signed = SelfSignedRequest { target, lifetime: None };
        let source = self.self_signed(&signed, broker)?;
        let target = Target::at(&self.services.iam_credentials(&self.universe), &self.email);
        let asked = iam::id_token(&target, &source, &[], audience, true)?;
        let response = broker.send(&asked)?;
        iam::read_id_token(&response, asked.url.authority())
            .map_err(|error| iam::explain(error, &response, &self.email, &self.email))
    }

    fn sign(&self, claims: &Claims<'_>, broker: &Broker<'_>) -> Result<Secret> {
        let malformed = |what: String| {
            Error::malformed(&self.about.place, format!("private_key {what}"))
                .hint("download the JSON key of the service account again")
        };
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let key = PrivateKey::from_secret(&self.private_key).map_err(malformed)?;
                if key.is_short() {
                    broker.world.terminal.warn(&format!(
                        "{}: private_key has only {} bits, make a new one",
                        self.about.place,
                        key.bits()
                    ));
                }
                self.key.get_or_init(|| key)
            }
        };
        jwt::sign(key, self.private_key_id.as_deref(), claims).map_err(malformed)
    }

    fn cannot_delegate(&self) -> Error {
        let universe = &self.universe;
        self.about
            .cannot(&format!("act for a user (--subject) in the universe {universe}"))
            .hint("leave --subject away, or use a key of the universe googleapis.com")
    }
}

/// `iat` and `exp`, in Unix seconds. Backdated a little, never longer than Google accepts.
///
/// # Errors
/// Usage, when the wanted life is out of range.
fn times(now: i64, lifetime: Option<u32>) -> Result<(i64, i64)> {
    let lifetime = lifetime.map_or(LONGEST_LIFE, i64::from);
    if !(1..=LONGEST_LIFE).contains(&lifetime) {
        return Err(Error::usage(format!(
            "--lifetime {lifetime}s is out of range for a service account"
        ))
        .hint("give 1s to 1h"));
    }
    let iat = now - BACKDATED;
    Ok((iat, (now + lifetime).min(iat + LONGEST_LIFE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_never_live_longer_than_an_hour() {
        assert_eq!(times(1000, None).expect("times"), (990, 4590));
        assert_eq!(times(1000, Some(600)).expect("times"), (990, 1600));
        assert_eq!(times(1000, Some(3600)).expect("times"), (990, 4590));
        assert!(times(1000, Some(0)).is_err() && times(1000, Some(3601)).is_err());
    }
}
