//! Service accounts with a key: the JWT bearer grant (RFC 7523, AIP-4112), and self-signed JWTs (AIP-4111).

use std::cell::OnceCell;

use crate::credentials::{BROKEN_CREDENTIAL_HINT, EndpointOverrides, ParseOptions};
use crate::error::{Error, Result};
use crate::google::iam;
use crate::google::iam::TargetServiceAccount;
use crate::jose::jwt;
use crate::jose::jwt::{Claims, IAT_BACKDATE_SECONDS, MAX_ASSERTION_LIFETIME_SECONDS};
use crate::jose::key::PrivateKey;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::net::url::Url;
use crate::oauth::{response, token};
use crate::text::json::JsonFields;
use crate::text::scopes::{CLOUD_PLATFORM_SCOPE, IAM_SCOPE};
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, SelfSignedTarget, Token};

/// A service account's key file.
struct ServiceAccount {
    info: CredentialInfo,
    email: String,
    universe_domain: String,
    private_key: Secret,
    private_key_id: Option<String>,
    token_uri: Url,
    /// Whether access tokens are self-signed JWTs, for which no request is sent.
    use_self_signed_jwt: bool,
    endpoint_overrides: EndpointOverrides,
    /// Parsed from `private_key` by the first signature.
    key: OnceCell<PrivateKey>,
}

/// Reads the fields of a key file.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let email = fields.required("client_email").map_err(malformed)?;
    if email.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(malformed("client_email has spaces or control characters".to_owned()));
    }
    let private_key = fields.required_secret("private_key").map_err(malformed)?;
    if private_key.len() > 64 * 1024 {
        return Err(malformed("private_key is longer than 64 KiB".to_owned()));
    }
    let private_key_id = fields.non_empty_text("private_key_id").map_err(malformed)?;
    let token_uri = fields.non_empty_text("token_uri").map_err(malformed)?;
    let file_universe = fields.non_empty_text("universe_domain").map_err(malformed)?;
    let universe_domain = parse_options.resolve_universe_domain(file_universe)?;
    let info = CredentialInfo {
        credential_type: "service_account".to_owned(),
        location: parse_options.location.clone(),
        account: Some(email.clone()),
        project: fields.text("project_id").map_err(malformed)?,
        quota_project: parse_options.read_quota_project(&mut fields)?,
        universe_domain: Some(universe_domain.clone()),
        derived_from: None,
    };
    Ok(Box::new(ServiceAccount {
        info,
        email,
        private_key,
        private_key_id,
        token_uri: parse_options.token_endpoint(token_uri.as_deref())?,
        // Other universes have no token endpoint for service account keys.
        use_self_signed_jwt: parse_options.use_self_signed_jwt || universe_domain != DEFAULT_UNIVERSE,
        endpoint_overrides: parse_options.endpoint_overrides.clone(),
        universe_domain,
        key: OnceCell::new(),
    }))
}

impl Credential for ServiceAccount {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("service_account");
        hasher.add_text(&self.email);
        hasher.add_optional(self.private_key_id.as_deref());
        hasher.add_secret(&self.private_key);
        hasher.add_text(self.token_uri.as_str());
        hasher.add_text(&self.universe_domain);
        hasher.add_text(if self.use_self_signed_jwt { "signs" } else { "asks" });
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        let scopes = request.scopes_or_default();
        if self.use_self_signed_jwt {
            if request.subject.is_some() {
                return Err(self.delegation_unsupported_error());
            }
            let target = SelfSignedTarget::Scopes(scopes);
            let jwt_request = SelfSignedRequest { target, lifetime: request.lifetime };
            return self.self_signed_jwt(&jwt_request, session);
        }
        let now = session.now();
        let (iat, exp) = iat_and_exp(now, request.lifetime)?;
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
        let assertion = self.sign(&claims, session)?;
        let response = session.send(&token::jwt_bearer_request(&self.token_uri, &assertion))?;
        let host = self.token_uri.authority();
        let granted = token::read_bearer_response(&response, host, now).map_err(|error| {
            token::add_assertion_hint(error, &response, session.now(), &self.info.location)
                .hint_if_none(|| format!("check the account and the key in {}", self.info.location))
        })?;
        let mut token = Token::new(granted.access_token, "service_account", granted.expires_at);
        token.scopes = Some(granted.scopes.unwrap_or(scopes));
        Ok(self.info.annotate(token))
    }

    fn id_token(&self, request: &IdTokenRequest, session: &dyn Session) -> Result<Token> {
        self.info.check_id_token_options(request)?;
        let Some(audience) = &request.audience else {
            return Err(self.info.missing_audience_error());
        };
        let id_token = match self.universe_domain == DEFAULT_UNIVERSE {
            true => self.id_token_by_jwt_grant(audience, session)?,
            false => self.id_token_by_iam(audience, session)?,
        };
        Ok(self.info.annotate(Token::from_id_token(id_token, "service_account")))
    }

    fn self_signed_jwt(&self, request: &SelfSignedRequest, session: &dyn Session) -> Result<Token> {
        let (iat, exp) = iat_and_exp(session.now(), request.lifetime)?;
        let scope;
        let mut claims = Claims { iss: &self.email, sub: Some(&self.email), iat, exp, ..Claims::default() };
        match &request.target {
            SelfSignedTarget::Audience(audience) => claims.aud = Some(audience),
            SelfSignedTarget::Scopes(scopes) => {
                scope = if scopes.is_empty() { CLOUD_PLATFORM_SCOPE.to_owned() } else { scopes.join(" ") };
                claims.scope = Some(&scope);
            }
        }
        let mut token = Token::new(self.sign(&claims, session)?, "service_account", Some(exp));
        token.scopes = claims.scope.map(|scope| scope.split(' ').map(str::to_owned).collect());
        session.world().terminal.note(|| format!("{} signed its own token", self.email));
        Ok(self.info.annotate(token))
    }
}

impl ServiceAccount {
    fn id_token_by_jwt_grant(&self, audience: &str, session: &dyn Session) -> Result<Secret> {
        let now = session.now();
        let (iat, exp) = iat_and_exp(now, None)?;
        let claims = Claims {
            iss: &self.email,
            target_audience: Some(audience),
            aud: Some(self.token_uri.as_str()),
            iat,
            exp,
            ..Claims::default()
        };
        let assertion = self.sign(&claims, session)?;
        let response = session.send(&token::id_token_request(&self.token_uri, &assertion))?;
        let host = self.token_uri.authority();
        let id_token = token::read_id_token(&response, host).map_err(|error| {
            token::add_assertion_hint(error, &response, session.now(), &self.info.location)
                .hint_if_none(|| format!("check the account and the key in {}", self.info.location))
        })?;
        id_token.ok_or_else(|| response::invalid_response(&response, host, "holds no id_token"))
    }

    /// Other universes have no token endpoint for service account keys: the account gets its ID token from IAM.
    fn id_token_by_iam(&self, audience: &str, session: &dyn Session) -> Result<Secret> {
        let target = SelfSignedTarget::Scopes(vec![IAM_SCOPE.to_owned()]);
        let jwt_request = SelfSignedRequest { target, lifetime: None };
        let access_token = self.self_signed_jwt(&jwt_request, session)?;
        let target =
            TargetServiceAccount::new(&self.endpoint_overrides.iam_credentials_url(&self.universe_domain), &self.email);
        let http_request = iam::generate_id_token_request(&target, &access_token, &[], audience, true)?;
        let response = session.send(&http_request)?;
        iam::read_id_token(&response, http_request.url.authority())
            .map_err(|error| iam::explain_refusal(error, &response, &self.email, &self.email))
    }

    fn sign(&self, claims: &Claims<'_>, session: &dyn Session) -> Result<Secret> {
        let malformed = |what: String| {
            Error::malformed(&self.info.location, format!("private_key {what}"))
                .hint("download the JSON key of the service account again")
        };
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let key = PrivateKey::rsa_from_secret(&self.private_key).map_err(malformed)?;
                if key.is_weak() {
                    session.world().terminal.warn(&format!(
                        "{}: private_key has only {} bits, create a new one",
                        self.info.location,
                        key.bits()
                    ));
                }
                self.key.get_or_init(|| key)
            }
        };
        jwt::sign(key, self.private_key_id.as_deref(), claims).map_err(malformed)
    }

    fn delegation_unsupported_error(&self) -> Error {
        let universe = &self.universe_domain;
        self.info
            .unsupported_error(&format!("act for a user (--subject) in the universe {universe}"))
            .hint("remove --subject, or use a key of the universe googleapis.com")
    }
}

/// `iat` and `exp` in Unix seconds (RFC 7519): backdated against clock skew, at most as long as Google accepts.
///
/// # Errors
/// `Usage`, when the lifetime is out of range.
fn iat_and_exp(now: i64, lifetime: Option<u32>) -> Result<(i64, i64)> {
    let lifetime = lifetime.map_or(MAX_ASSERTION_LIFETIME_SECONDS, i64::from);
    if !(1..=MAX_ASSERTION_LIFETIME_SECONDS).contains(&lifetime) {
        return Err(
            Error::usage(format!("--lifetime {lifetime}s is out of range for a service account")).hint("give 1s to 1h")
        );
    }
    let iat = now - IAT_BACKDATE_SECONDS;
    Ok((iat, (now + lifetime).min(iat + MAX_ASSERTION_LIFETIME_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_never_live_longer_than_an_hour() {
        assert_eq!(iat_and_exp(1000, None).expect("times"), (990, 4590));
        assert_eq!(iat_and_exp(1000, Some(600)).expect("times"), (990, 1600));
        assert_eq!(iat_and_exp(1000, Some(3600)).expect("times"), (990, 4590));
        assert!(iat_and_exp(1000, Some(0)).is_err() && iat_and_exp(1000, Some(3601)).is_err());
    }
}
