//! Workforce logins: users of another identity provider, with a refresh token of Google's STS. Each response may have a
//! new refresh token.

use crate::accounts::{Origin, RefreshTokenHandle};
use crate::credentials::login_refresh::{RefreshEndpoint, SavedAccessToken};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, DEFAULT_SIGN_IN_HINT, ParseOptions, login_refresh};
use crate::error::{Error, Result};
use crate::net::endpoint_policy::EndpointKind;
use crate::net::url::Url;
use crate::oauth::client_authentication::{ClientCredentials, check_client_credentials};
use crate::oauth::{revocation, token_exchange};
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, Token};
use crate::world::World;

const CREDENTIAL_TYPE: &str = "external_account_authorized_user";

/// The `type` of the login configuration file, with which such a login is started; it is not a credential.
pub const LOGIN_CONFIG_TYPE: &str = "external_account_authorized_user_login_config";

/// A user's workforce login.
struct WorkforceLogin {
    info: CredentialInfo,
    refresh_grant: Option<WorkforceRefreshGrant>,
    token_info_url: Option<Url>,
    /// An error in it matters only where the login is revoked.
    revoke_url: Result<Option<Url>>,
    saved_access_token: Option<SavedAccessToken>,
    origin: Origin,
    sign_in_hint: String,
}

/// What a refresh needs.
struct WorkforceRefreshGrant {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_url: Url,
}

impl WorkforceRefreshGrant {
    fn client_credentials(&self) -> ClientCredentials<'_> {
        ClientCredentials::for_google_sts(&self.client_id, &self.client_secret)
    }
}

/// Reads the fields of a login.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let own_universe = fields.non_empty_text("universe_domain").map_err(malformed)?;
    let universe = parse_options.resolve_universe_domain(own_universe.clone())?;
    let claimed_universe = own_universe.as_deref();
    let scopes = fields.string_list("scopes").map_err(malformed)?;
    let saved_access_token = SavedAccessToken::read(&mut fields, scopes).map_err(malformed)?;
    let refresh_grant = match fields.has("refresh_token") || saved_access_token.is_none() {
        true => Some(parse_refresh_grant(&mut fields, &universe, parse_options, claimed_universe)?),
        false => None,
    };
    let token_info_url = fields.non_empty_text("token_info_url").map_err(malformed)?;
    let token_info_url = parse_options.introspection_endpoint(token_info_url, claimed_universe)?;
    let revoke_url = fields.non_empty_text("revoke_url").map_err(malformed)?;
    let revoke_url = revoke_url
        .map(|url| parse_options.checked_endpoint(EndpointKind::Sts, "revoke_url", &url, claimed_universe))
        .transpose();
    let audience = fields.text("audience").map_err(malformed)?;
    let account = fields.non_empty_text("account").map_err(malformed)?;
    let info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: parse_options.location.clone(),
        account: account.or_else(|| parse_options.account.clone()),
        quota_project: parse_options.read_quota_project(&mut fields)?,
        universe_domain: Some(universe),
        derived_from: audience
            .as_deref()
            .and_then(workforce_pool_name)
            .map(|pool| format!("the workforce pool {pool}")),
        ..CredentialInfo::default()
    };
    // The default hint is for users of Google accounts.
    let sign_in_hint = match (&parse_options.origin, parse_options.sign_in_hint == DEFAULT_SIGN_IN_HINT) {
        (Origin::Own(_) | Origin::OwnExternalSecret(_), _) => "gauth login --login-config FILE".to_owned(),
        (Origin::ReadOnly, true) => "gauth login --login-config FILE, or gcloud auth \
             application-default login --login-config FILE"
            .to_owned(),
        (Origin::ReadOnly, false) => parse_options.sign_in_hint.clone(),
    };
    let origin = login_refresh::storage_origin(&mut fields, parse_options);
    Ok(Box::new(WorkforceLogin {
        info,
        refresh_grant,
        token_info_url,
        revoke_url,
        saved_access_token,
        origin,
        sign_in_hint,
    }))
}

fn parse_refresh_grant(
    fields: &mut JsonFields,
    universe_domain: &str,
    parse_options: &ParseOptions,
    claimed_universe: Option<&str>,
) -> Result<WorkforceRefreshGrant> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let client_id = fields.required("client_id").map_err(malformed)?;
    let client_secret = fields.required("client_secret").map_err(malformed)?;
    check_client_credentials(&client_id, &client_secret).map_err(malformed)?;
    let refresh_token = fields.required("refresh_token").map_err(malformed)?;
    if refresh_token.chars().any(char::is_control) {
        return Err(malformed("refresh_token has a control character".to_owned()));
    }
    let token_url = fields.non_empty_text("token_url").map_err(malformed)?;
    let token_url = token_url.unwrap_or_else(|| format!("https://sts.{universe_domain}/v1/oauthtoken"));
    Ok(WorkforceRefreshGrant {
        client_id,
        client_secret: Secret::new(client_secret),
        refresh_token: Secret::new(refresh_token),
        token_url: parse_options.checked_endpoint(EndpointKind::Sts, "token_url", &token_url, claimed_universe)?,
    })
}

/// The pool in the resource name of a provider.
fn workforce_pool_name(audience: &str) -> Option<String> {
    let pool = audience.split_once("/workforcePools/")?.1.split('/').next()?;
    Some(crate::text::printable::text(pool))
}

impl Credential for WorkforceLogin {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(CREDENTIAL_TYPE);
        if let Some(refresh_grant) = &self.refresh_grant {
            hasher.add_text(&refresh_grant.client_id);
            hasher.add_text(refresh_grant.token_url.as_str());
            login_refresh::hash_cache_key(&self.origin, &refresh_grant.refresh_token, hasher);
        }
        SavedAccessToken::hash_cache_key(self.saved_access_token.as_ref(), hasher);
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        self.check_supported(request)?;
        let saved_access_token = self.saved_access_token.as_ref();
        if let Some(token) = saved_access_token.and_then(|saved| saved.usable_token(&self.info, session)) {
            return Ok(token);
        }
        let name = self.info.display_name();
        let Some(refresh_grant) = &self.refresh_grant else {
            let why = "the saved token is expired, and there is no refresh token";
            return Err(Error::login_required(name, why, &self.sign_in_hint));
        };
        let handle = self.refresh_token_handle(refresh_grant);
        let endpoint = RefreshEndpoint {
            url: &refresh_grant.token_url,
            client: refresh_grant.client_credentials(),
            server_name: "Google",
            rejecting_server: "Google",
            refusal_hint: &format!("check client_id and client_secret in {}", self.info.location),
        };
        let granted = endpoint.refresh_and_store(&handle, name, &self.sign_in_hint, session)?;
        let mut token = Token::new(granted.access_token, CREDENTIAL_TYPE, granted.expires_at);
        token.scopes = granted.scopes;
        Ok(self.info.annotate(token))
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.refresh_token_handle(self.refresh_grant.as_ref()?).last_rejection(world)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        let Some(refresh_grant) = &self.refresh_grant else { return Ok(Revocation::Unsupported) };
        let refresh_token = self.refresh_token_handle(refresh_grant).newest_refresh_token(session.world())?;
        let url = match self.revoke_url.clone()? {
            Some(url) => url,
            None => refresh_grant.token_url.sibling("revoke").map_err(|what| {
                Error::malformed(&self.info.location, format!("token_url {what}")).hint(BROKEN_CREDENTIAL_HINT)
            })?,
        };
        let request = revocation::revocation_request(&url, &refresh_token, refresh_grant.client_credentials());
        login_refresh::revoke("Google", &request, session)
    }

    fn fetch_info(&self, session: &dyn Session) -> Result<CredentialInfo> {
        let mut info = self.info.clone();
        let (Some(url), None) = (&self.token_info_url, &info.account) else { return Ok(info) };
        let token = session.source_token(self)?;
        let client = self.refresh_grant.as_ref().map(WorkforceRefreshGrant::client_credentials);
        // Google answers its own clients only: without an answer the account stays unknown.
        let response = session.send(&token_exchange::introspection_request(url, &token.secret, client));
        let principal =
            response.and_then(|response| token_exchange::read_introspected_username(&response, url.authority()));
        info.account = principal.ok().flatten();
        Ok(info)
    }
}

impl WorkforceLogin {
    fn refresh_token_handle<'a>(&'a self, refresh_grant: &'a WorkforceRefreshGrant) -> RefreshTokenHandle<'a> {
        RefreshTokenHandle {
            origin: &self.origin,
            client_id: &refresh_grant.client_id,
            refresh_token: &refresh_grant.refresh_token,
            rapt: None,
        }
    }

    fn check_supported(&self, request: &AccessTokenRequest) -> Result<()> {
        for (is_set, action) in [
            (request.subject.is_some(), "act for another user (--subject)"),
            (request.lifetime.is_some(), "choose how long its tokens live (--lifetime)"),
            (!request.scopes.is_empty(), "choose scopes (--scopes): they were set at login"),
        ] {
            if is_set {
                let hint = "remove the flag, or name a service account with --impersonate-service-account";
                return Err(self.info.unsupported_error(action).hint(hint));
            }
        }
        Ok(())
    }
}
