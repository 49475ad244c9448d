//! User logins: a refresh token and the OAuth client it was issued to (RFC 6749, section 6).
//!
//! The `token.json` of Google's quickstarts is one too: it has no `type`, and an access token that is used until its
//! `expiry`.

use crate::accounts::{Origin, RefreshTokenHandle};
use crate::credentials::login_refresh::{LockedLogin, LoginContext, SavedAccessToken};
use crate::credentials::reauth::{ReauthOutcome, ReauthUser, RefreshRequest};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions, login_refresh};
use crate::error::{Error, ErrorKind, Result};
use crate::google::tokeninfo;
use crate::net::endpoint_policy;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::net::url::Url;
use crate::oauth::client_authentication::{ClientAuthentication, ClientCredentials};
use crate::oauth::metrics::metrics_header;
use crate::oauth::token::{RefreshTokenGrant, TokenResponse};
use crate::oauth::{response, revocation, token as endpoint};
use crate::text::json::JsonFields;
use crate::text::scopes;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, Token, TokenRequest};
use crate::world::World;

const CREDENTIAL_TYPE: &str = "authorized_user";

/// A user's login at Google, or at a server that speaks the same protocol.
struct AuthorizedUser {
    info: CredentialInfo,
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_uri: Url,
    rapt: Option<Secret>,
    /// The scopes the login was granted, where they are known.
    scopes: Vec<String>,
    saved_access_token: Option<SavedAccessToken>,
    origin: Origin,
    sign_in_hint: String,
}

/// Reads the fields of a login.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let client_id = fields.required("client_id").map_err(malformed)?;
    let client_secret = fields.required_secret("client_secret").map_err(malformed)?;
    let refresh_token = fields.required_secret("refresh_token").map_err(malformed)?;
    let rapt = fields.secret("rapt_token").map_err(malformed)?;
    let one_line = [
        ("client_id", !client_id.chars().any(char::is_control)),
        ("client_secret", client_secret.is_one_line()),
        ("refresh_token", refresh_token.is_one_line()),
        ("rapt_token", rapt.as_ref().is_none_or(Secret::is_one_line)),
    ];
    if let Some((name, _)) = one_line.iter().find(|(_, is_one_line)| !is_one_line) {
        return Err(malformed(format!("{name} has a control character")));
    }
    let token_uri = fields.non_empty_text("token_uri").map_err(malformed)?;
    let universe = fields.non_empty_text("universe_domain").map_err(malformed)?;
    let universe = parse_options.resolve_universe_domain(universe)?;
    let account = fields.non_empty_text("account").map_err(malformed)?;
    let scopes = fields.string_list("scopes").map_err(malformed)?;
    let saved_access_token = SavedAccessToken::read(&mut fields, scopes.clone()).map_err(malformed)?;
    let info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: parse_options.location.clone(),
        account: account.or_else(|| parse_options.account.clone()),
        project: None,
        quota_project: parse_options.read_quota_project(&mut fields)?,
        universe_domain: Some(universe),
        derived_from: None,
    };
    Ok(Box::new(AuthorizedUser {
        info,
        client_id,
        client_secret,
        refresh_token,
        token_uri: parse_options.token_endpoint(token_uri.as_deref())?,
        rapt,
        scopes: scopes.unwrap_or_default(),
        saved_access_token,
        origin: login_refresh::storage_origin(&mut fields, parse_options),
        sign_in_hint: parse_options.sign_in_hint.clone(),
    }))
}

impl Credential for AuthorizedUser {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(CREDENTIAL_TYPE);
        hasher.add_text(&self.client_id);
        hasher.add_text(self.token_uri.as_str());
        login_refresh::hash_cache_key(&self.origin, &self.refresh_token, hasher);
        SavedAccessToken::hash_cache_key(self.saved_access_token.as_ref(), hasher);
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        self.check_supported(request)?;
        let saved_access_token = self.saved_access_token.as_ref().filter(|_| request.scopes.is_empty());
        if let Some(token) = saved_access_token.and_then(|saved| saved.usable_token(&self.info, session)) {
            return Ok(token);
        }
        let now = session.now();
        let granted = self.refresh(&request.scopes, session)?;
        self.warn_about_missing_scopes(request, &granted, session);
        let mut token = Token::new(granted.access_token, CREDENTIAL_TYPE, granted.expires_at);
        token.scopes = granted.scopes;
        token.cacheable = token.expires_at.is_some_and(|end| end > now);
        Ok(self.info.annotate(token))
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.refresh_token_handle().last_rejection(world)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        let refresh_token = self.refresh_token_handle().newest_refresh_token(session.world())?;
        let url = self.endpoint_beside_token_uri(revocation::ENDPOINT, "revoke").map_err(|what| {
            Error::malformed(&self.info.location, format!("token_uri {what}")).hint(BROKEN_CREDENTIAL_HINT)
        })?;
        let request = revocation::google_revocation_request(&url, &refresh_token);
        login_refresh::revoke("Google", &request, session)
    }

    fn fetch_info(&self, session: &dyn Session) -> Result<CredentialInfo> {
        let mut info = self.info.clone();
        if info.account.is_some() {
            return Ok(info);
        }
        let url = self.endpoint_beside_token_uri(tokeninfo::ENDPOINT, "tokeninfo");
        let Ok(url) = url else { return Ok(info) };
        let token = session.token(self, &TokenRequest::AccessToken(AccessTokenRequest::default()))?;
        // Only tokens with the scope email show the address: without one the account stays unknown.
        let response = session.send(&tokeninfo::token_info_request(&url, &token.secret));
        let token_info =
            response.and_then(|response| tokeninfo::read_token_info(&response, url.authority(), session.now()));
        info.account = token_info.ok().and_then(std::result::Result::ok).and_then(|info| info.account);
        Ok(info)
    }

    fn id_token(&self, request: &IdTokenRequest, session: &dyn Session) -> Result<Token> {
        self.info.check_id_token_options(request)?;
        if let Some(audience) = request.audience.as_deref().filter(|audience| *audience != self.client_id) {
            let name = self.info.display_name();
            let audience = crate::text::printable::text(audience);
            return Err(Error::unsupported(format!(
                "{name} is a user login, whose ID tokens are for its OAuth client only, not for {audience}"
            ))
            .hint("--impersonate-service-account A gives one for any audience; or remove --audiences"));
        }
        self.check_supported(&AccessTokenRequest::default())?;
        let granted = self.refresh(&[], session)?;
        let Some(token) = granted.id_token else {
            let error = self.info.unsupported_error("give ID tokens: its login lacks the scope openid");
            return Err(error.hint(self.sign_in_hint.clone()));
        };
        Ok(self.info.annotate(Token::from_id_token(token, CREDENTIAL_TYPE)))
    }
}

impl AuthorizedUser {
    fn check_supported(&self, request: &AccessTokenRequest) -> Result<()> {
        if request.subject.is_some() {
            let error = self.info.unsupported_error("act for another user (--subject)");
            return Err(error.hint("use the key of a service account with domain-wide delegation"));
        }
        if request.lifetime.is_some() {
            let error = self.info.unsupported_error("choose how long its tokens live (--lifetime)");
            return Err(error.hint("remove --lifetime, Google's tokens live an hour"));
        }
        match self.info.universe_domain.as_deref() {
            None | Some(DEFAULT_UNIVERSE) => Ok(()),
            Some(other) => Err(self
                .info
                .unsupported_error(&format!("be refreshed in the universe {other}"))
                .hint("use the key of a service account of that universe")),
        }
    }

    /// Google's endpoint, or for another server the one beside its token endpoint.
    fn endpoint_beside_token_uri(&self, google_endpoint: &str, name: &str) -> std::result::Result<Url, &'static str> {
        match endpoint_policy::is_google_token_endpoint(&self.token_uri) {
            true => Url::parse(google_endpoint),
            false => self.token_uri.sibling(name),
        }
    }

    fn refresh_token_handle(&self) -> RefreshTokenHandle<'_> {
        RefreshTokenHandle {
            origin: &self.origin,
            client_id: &self.client_id,
            refresh_token: &self.refresh_token,
            rapt: self.rapt.as_ref(),
        }
    }

    fn refresh(&self, scopes: &[String], session: &dyn Session) -> Result<TokenResponse> {
        let handle = self.refresh_token_handle();
        // Google's refresh tokens do not rotate; those of other servers may.
        let rotates = !self.token_uri.is_loopback() && !endpoint_policy::is_google_token_endpoint(&self.token_uri);
        let context = LoginContext {
            name: self.info.display_name(),
            sign_in_hint: &self.sign_in_hint,
            rotates_refresh_tokens: rotates,
        };
        let mut locked_login = LockedLogin::acquire(&handle, context, session)?;
        let reauth_user = ReauthUser {
            name: self.info.display_name(),
            sign_in_hint: &self.sign_in_hint,
            is_own_login: self.origin.file().is_some(),
            token_endpoint: &self.token_uri,
            scopes: if scopes.is_empty() { &self.scopes } else { scopes },
        };
        let send = |refresh_request: &RefreshRequest<'_>| self.send_refresh(refresh_request, session);
        reauth_user.refresh_with_reauth(&mut locked_login, scopes, &send, session)
    }

    fn send_refresh(&self, refresh_request: &RefreshRequest<'_>, session: &dyn Session) -> Result<ReauthOutcome> {
        let refresh = RefreshTokenGrant {
            client: ClientCredentials::new(
                &self.client_id,
                Some(&self.client_secret),
                ClientAuthentication::ClientSecretPost,
            ),
            refresh_token: refresh_request.refresh_token,
            scopes: refresh_request.scopes,
            rapt: refresh_request.rapt,
        };
        let request = endpoint::refresh_request(&self.token_uri, &refresh)
            .header("x-goog-api-client", metrics_header("cred-type/u"))
            .retry_policy(refresh_request.retry_policy);
        let now = session.now();
        let response = session.send(&request)?;
        let granted = endpoint::read_bearer_response(&response, self.token_uri.authority(), now);
        match (granted, response::server_error(&response)) {
            (Ok(granted), _) => Ok(ReauthOutcome::Granted(Box::new(granted))),
            (Err(error), Some(server_error)) if error.kind() == ErrorKind::Refused => {
                match server_error.is_reauth_required() {
                    true => Ok(ReauthOutcome::ReauthRequired),
                    false => Err(self.explain_rejection(error, &server_error)),
                }
            }
            (Err(error), _) => Err(error),
        }
    }

    fn explain_rejection(&self, error: Error, server_error: &response::ServerError) -> Error {
        let name = self.info.display_name();
        match server_error.code.as_str() {
            "invalid_grant" => Error::login_required(name, &server_error.to_string(), &self.sign_in_hint),
            "invalid_client" | "unauthorized_client" => error.hint(format!(
                "check client_id and client_secret in {}, or log in again: {}",
                self.info.location, self.sign_in_hint
            )),
            "invalid_scope" => error.hint("ask for scopes that were granted at login, or log in with more"),
            "access_denied" | "admin_policy_enforced" => {
                error.hint("ask the administrator: a policy blocks this user, app or device")
            }
            _ => error.hint_if_none(|| self.sign_in_hint.clone()),
        }
    }

    fn warn_about_missing_scopes(&self, request: &AccessTokenRequest, granted: &TokenResponse, session: &dyn Session) {
        let Some(granted_scopes) = &granted.scopes else { return };
        let missing: Vec<&str> = request
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !granted_scopes.iter().any(|given| scopes::is_same_scope(given, scope)))
            .collect();
        if !missing.is_empty() {
            session.world().terminal.warn(&format!("not granted: {}", missing.join(", ")));
        }
    }
}
