//! The token endpoint: signed assertions, codes and refresh tokens in, access and ID tokens out, as strict as
//! Google's.

use serde_json::{Value, json};

use crate::SandboxState;
use crate::admitted::AdmittedCredential;
use crate::fixtures;
use crate::fixtures::{EMAIL_SCOPE, SERVICE_ACCOUNT, UserAccount};
use crate::oauth::{
    OAuthForm, invalid_grant, invalid_scope, missing_parameter, no_store, oauth_error,
    parse_scopes, unsupported_grant_type,
};
use crate::signin::grants;
use crate::signin::grants::RedeemedGrant;
use crate::token_store::{
    AccessTokenRecord, Issuer, RefreshTokenRecord, TokenStore, includes_scope,
};
use crate::{faults, iam, reauth};
use gauth_core::error::Result;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::jose::jwt;
use gauth_core::jose::jwt::MAX_ASSERTION_LIFETIME_SECONDS;
use gauth_core::jose::key::PublicKey;

/// What Google gives: an hour less the second it took.
pub(super) const ACCESS_TOKEN_LIFETIME_SECONDS: i64 = 3599;
/// How far an assertion's clock may be off, in seconds.
const MAX_CLOCK_SKEW_SECONDS: i64 = 300;
/// The grant of RFC 7523.
const JWT_BEARER_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Google's own names of its token endpoint. Clients write the first one whatever URL they post to.
const GOOGLE_TOKEN_ENDPOINTS: [&str; 3] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
];
/// The paths at which the endpoint answers.
pub(super) const PATHS: [&str; 3] = ["/token", "/oauth2/v4/token", "/o/oauth2/token"];

/// Answers `POST /token`.
pub(super) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    let form = match OAuthForm::from_request(request) {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    no_store(match form.get("grant_type") {
        Some(JWT_BEARER_GRANT_TYPE) => jwt_bearer_grant(state, &form),
        Some("refresh_token") => refresh_token_grant(state, &form),
        Some(grants::AUTHORIZATION_CODE) => form
            .authenticate_client(state)
            .and_then(|client| grants::redeem_code(state, &form, Issuer::Google, client))
            .and_then(|signed_in| initial_tokens(state, signed_in)),
        Some(grants::DEVICE_CODE) => form
            .authenticate_client(state)
            .and_then(|client| grants::redeem_device_code(state, &form, Issuer::Google, client))
            .and_then(|signed_in| initial_tokens(state, signed_in)),
        Some(other) => Err(unsupported_grant_type(other)),
        None => Err(missing_parameter("grant_type")),
    })
}

/// Answers `POST /revoke`, the token in the query or the form.
pub(super) fn revoke(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    let form = request.form().unwrap_or_default();
    let mut pairs = request.query.iter().chain(&form);
    let Some((_, token)) = pairs.find(|(name, _)| name == "token") else {
        return missing_parameter("token");
    };
    match lock_ignoring_poison(&state.token_store).revoke_token(token) {
        true => ServerResponse::json(200, &json!({})),
        false => oauth_error(400, "invalid_token", "Token expired or revoked"),
    }
}

/// RFC 7523: a JWT signed with the key of a service account.
fn jwt_bearer_grant(
    state: &SandboxState,
    form: &OAuthForm,
) -> std::result::Result<ServerResponse, ServerResponse> {
    let assertion = form.require("assertion")?;
    let parts = jwt::decode(assertion).map_err(|_| invalid_grant("Invalid JWT: malformed."))?;
    let claim = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    let header = |name: &str| parts.header.get(name);
    if header("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(invalid_grant("Invalid JWT: the algorithm must be RS256."));
    }
    let issuer = claim("iss").unwrap_or_default();
    let Some((key_id, key)) = find_verification_key(state, issuer)? else {
        return Err(invalid_grant("Invalid grant: account not found"));
    };
    let is_known_key = header("kid").is_none_or(|kid| kid.as_str() == key_id.as_deref());
    if !is_known_key || !key.verifies(parts.signing_input, &parts.signature) {
        return Err(invalid_grant("Invalid JWT Signature."));
    }
    let audience = claim("aud").unwrap_or_default();
    if !GOOGLE_TOKEN_ENDPOINTS.contains(&audience) && !state.is_own_url(audience, &PATHS) {
        let text = format!(
            "Invalid JWT: Failed audience check. The right audience is {}",
            GOOGLE_TOKEN_ENDPOINTS[0]
        );
        return Err(invalid_grant(&text));
    }
    let now = state.now();
    let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err(invalid_lifetime());
    };
    let lifetime = expires.saturating_sub(issued);
    let is_reasonable = issued <= now.saturating_add(MAX_CLOCK_SKEW_SECONDS) && expires > now;
    if !is_reasonable || !(1..=MAX_ASSERTION_LIFETIME_SECONDS).contains(&lifetime) {
        return Err(invalid_lifetime());
    }
    let account = claim("sub").unwrap_or(issuer);
    if account != issuer && !account.contains('@') {
        return Err(invalid_grant("Invalid email or User ID"));
    }
    match (claim("target_audience"), claim("scope")) {
        (Some(audience), None | Some("")) if !audience.is_empty() => {
            let token = state.issue_id_token(account, audience, json!({ "azp": account }))?;
            Ok(ServerResponse::json(200, &json!({ "id_token": token })))
        }
        (None | Some(""), Some(scopes)) => {
            let scopes = parse_scopes(scopes)?;
            let lifetime = ACCESS_TOKEN_LIFETIME_SECONDS.min(expires - now);
            let record = AccessTokenRecord {
                account: account.to_owned(),
                client_id: fixtures::subject_id(issuer),
                scopes,
                expires_at: now + lifetime,
                family: None,
                access_boundary: None,
            };
            let token = state.issue_access_token("ya29.c.b0", record)?;
            let value =
                json!({ "access_token": token, "expires_in": lifetime, "token_type": "Bearer" });
            Ok(ServerResponse::json(200, &value))
        }
        _ => Err(invalid_scope()),
    }
}

fn invalid_lifetime() -> ServerResponse {
    invalid_grant(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
         Check your iat and exp values in the JWT claim.",
    )
}

/// The key of a service account, and its number: its own, or the one IAM signs with for it.
fn find_verification_key(
    state: &SandboxState,
    email: &str,
) -> std::result::Result<Option<VerificationKey>, ServerResponse> {
    if email == SERVICE_ACCOUNT {
        let fixtures = &state.fixtures;
        return Ok(Some((
            Some(fixtures.service_account_key_id.clone()),
            fixtures.service_account_public_key.clone(),
        )));
    }
    if iam::is_impersonable(email) {
        let (key, id) = state.google_signing_key.public_key()?;
        return Ok(Some((Some(id), key)));
    }
    Ok(state.admitted.iter().find_map(|credential| match credential {
        AdmittedCredential::ServiceAccount { email: known, key_id, public_key: key }
            if known == email =>
        {
            Some((key_id.clone(), key.clone()))
        }
        _ => None,
    }))
}

type VerificationKey = (Option<String>, PublicKey);

/// RFC 6749, section 6.
fn refresh_token_grant(
    state: &SandboxState,
    form: &OAuthForm,
) -> std::result::Result<ServerResponse, ServerResponse> {
    let client = form.authenticate_client(state)?;
    let RedeemedRefreshToken { record, scopes, new_refresh_token } =
        redeem_refresh_token(state, form, Issuer::Google, client)?;
    let wants_id_token =
        ["openid", "email", "profile"].iter().any(|wanted| includes_scope(&scopes, wanted));
    let mut value = json!({
        "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if wants_id_token {
        let extra_claims = json!({ "azp": client });
        value["id_token"] = state.issue_id_token(&record.account, client, extra_claims)?.into();
    }
    if let Some(next) = new_refresh_token {
        value["refresh_token"] = next.into();
    }
    value["access_token"] = state
        .issue_access_token(
            "ya29.a0",
            record.access_token_record(scopes, state.now() + ACCESS_TOKEN_LIFETIME_SECONDS),
        )?
        .into();
    Ok(ServerResponse::json(200, &value))
}

/// The tokens of somebody who has just signed in.
fn initial_tokens(
    state: &SandboxState,
    redeemed: RedeemedGrant,
) -> std::result::Result<ServerResponse, ServerResponse> {
    let RedeemedGrant { record, refresh_token, nonce } = redeemed;
    let scopes = record.scopes.clone();
    let mut value = json!({
        "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if includes_scope(&scopes, "openid") {
        let has_email = includes_scope(&scopes, "email");
        let domain = fixtures::find_user(&record.account).map(UserAccount::domain);
        let extra_claims = json!({
            "azp": record.client_id,
            "nonce": nonce,
            "hd": domain,
            "email": has_email.then_some(&record.account),
            "email_verified": has_email.then_some(true),
        });
        value["id_token"] =
            state.issue_id_token(&record.account, &record.client_id, extra_claims)?.into();
    }
    if let Some(token) = refresh_token {
        value["refresh_token"] = token.into();
    }
    value["access_token"] = state
        .issue_access_token(
            "ya29.a0",
            record.access_token_record(scopes, state.now() + ACCESS_TOKEN_LIFETIME_SECONDS),
        )?
        .into();
    Ok(ServerResponse::json(200, &value))
}

/// Whether a request would be let through by a Google that wants proof that it is still the same person: it brings
/// the proof, asks for what it takes to get one, or somebody has signed in a moment ago.
pub(super) fn is_rapt_exempt(state: &SandboxState, route: &str, request: &ServerRequest) -> bool {
    let Ok(form) = OAuthForm::from_request(request) else { return false };
    match form.get("grant_type") {
        _ if route != "token" => false,
        Some(grants::AUTHORIZATION_CODE | grants::DEVICE_CODE) => true,
        Some("refresh_token") => {
            let presented = form.get("refresh_token").unwrap_or_default();
            let account = lock_ignoring_poison(&state.token_store)
                .find_refresh_token(presented)
                .map(|login| login.account.clone());
            let rapt_and_account = form.get("rapt").zip(account);
            form.get("scope") == Some(reauth::REAUTH_SCOPE)
                || rapt_and_account
                    .is_some_and(|(rapt, account)| reauth::is_valid_rapt(state, rapt, &account))
        }
        _ => false,
    }
}

/// What a refresh token was good for.
pub(super) struct RedeemedRefreshToken {
    pub(super) record: RefreshTokenRecord,
    pub(super) scopes: Vec<String>,
    /// The refresh token that takes its place, if they rotate.
    pub(super) new_refresh_token: Option<String>,
}

/// Takes the refresh token of a form, which must be this client's and be used at its own door.
pub(super) fn redeem_refresh_token(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
    client: &str,
) -> std::result::Result<RedeemedRefreshToken, ServerResponse> {
    let presented = form.require("refresh_token")?;
    let mut token_store = lock_ignoring_poison(state.token_store_for(issuer));
    let record = token_store
        .find_refresh_token(presented)
        .filter(|login| login.client_id == client && login.issuer == issuer);
    let record = record.cloned().ok_or_else(|| invalid_grant("Bad Request"))?;
    if record.is_rotated {
        // Somebody else has a copy: nobody may go on (RFC 9700, 4.14.2).
        token_store.revoke_family(record.family);
    }
    if token_store.is_family_revoked(record.family) {
        return Err(invalid_grant("Token has been expired or revoked."));
    }
    let scopes = narrow_scopes(&record, form.get("scope"))?;
    let new_refresh_token = rotate_refresh_token(state, &mut token_store, presented, &record)?;
    Ok(RedeemedRefreshToken { record, scopes, new_refresh_token })
}

/// Fewer scopes may be asked for, others not.
fn narrow_scopes(
    record: &RefreshTokenRecord,
    requested: Option<&str>,
) -> std::result::Result<Vec<String>, ServerResponse> {
    let Some(requested) = requested else { return Ok(record.scopes.clone()) };
    let requested = parse_scopes(requested)?;
    match requested.iter().find(|scope| !includes_scope(&record.scopes, scope)) {
        None => Ok(requested),
        Some(ungranted) => {
            let text = format!("Some requested scopes were not granted: [{ungranted}]");
            Err(oauth_error(400, "invalid_scope", &text))
        }
    }
}

/// With rotation every refresh token is good once.
fn rotate_refresh_token(
    state: &SandboxState,
    token_store: &mut TokenStore,
    presented: &str,
    record: &RefreshTokenRecord,
) -> std::result::Result<Option<String>, ServerResponse> {
    // The outside provider's always are.
    if record.issuer != Issuer::External
        && !state.has_behaviour(record.issuer.token_route(), faults::ROTATE_REFRESH_TOKENS)
    {
        return Ok(None);
    }
    let new_refresh_token =
        format!("1//{}", fixtures::random_base64url(45).map_err(|_| ServerResponse::empty(500))?);
    token_store.mark_rotated(presented);
    token_store.insert_refresh_token(&new_refresh_token, record.clone());
    Ok(Some(new_refresh_token))
}

impl SandboxState {
    /// Makes an access token and remembers what it means.
    pub(super) fn issue_access_token(
        &self,
        prefix: &str,
        record: AccessTokenRecord,
    ) -> std::result::Result<String, ServerResponse> {
        let token = self.generate_access_token(prefix)?;
        lock_ignoring_poison(&self.token_store).insert_access_token(&token, record);
        Ok(token)
    }

    /// A random access token.
    pub(super) fn generate_access_token(
        &self,
        prefix: &str,
    ) -> std::result::Result<String, ServerResponse> {
        let random: Result<String> = fixtures::random_base64url(96);
        random.map(|random| format!("{prefix}{random}")).map_err(|_| ServerResponse::empty(500))
    }

    /// An ID token signed by the sandbox's Google; `extra` claims come on top, and `null` takes one away.
    pub(super) fn issue_id_token(
        &self,
        account: &str,
        audience: &str,
        extra_claims: Value,
    ) -> std::result::Result<String, ServerResponse> {
        let now = self.now();
        let mut claims = json!({
            "aud": audience,
            "email": account,
            "email_verified": true,
            "exp": now + 3600,
            "iat": now,
            "iss": fixtures::GOOGLE_ISSUER,
            "sub": fixtures::subject_id(account),
        });
        if let (Value::Object(claims), Value::Object(extra)) = (&mut claims, extra_claims) {
            claims.extend(extra);
            claims.retain(|_, value| !value.is_null());
        }
        self.google_signing_key.sign(&claims)
    }

    /// The scopes that let userinfo and tokeninfo tell the address.
    pub(super) fn has_email_scope(scopes: &[String]) -> bool {
        includes_scope(scopes, EMAIL_SCOPE)
    }
}
