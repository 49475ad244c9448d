//! Google's token endpoint, which verifies assertions, codes and refresh tokens as strictly as Google does.

use serde_json::{Value, json};

use crate::admitted::AdmittedCredential;
use crate::assertion::has_valid_lifetime;
use crate::fixtures::{IMPERSONABLE_ACCOUNTS, SERVICE_ACCOUNT, UserAccount};
use crate::issuing::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::oauth::{
    OAuthForm, invalid_grant, invalid_scope, missing_parameter, no_store, oauth_error, parse_scopes,
    unsupported_grant_type,
};
use crate::signin::grants;
use crate::signin::grants::RedeemedGrant;
use crate::state::SandboxState;
use crate::token_store::{AccessTokenRecord, Issuer, includes_scope};
use crate::{fixtures, grant_types, reauth};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::jose::jwt;
use gauth_core::jose::key::PublicKey;

/// Google's URLs of the token endpoint. Clients use the first one as audience, whichever URL they send the request
/// to.
const GOOGLE_TOKEN_ENDPOINTS: [&str; 3] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
];
/// The paths of the token endpoint.
pub(crate) const PATHS: [&str; 3] = ["/token", "/oauth2/v4/token", "/o/oauth2/token"];

/// Serves `POST /token`.
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    let form = match OAuthForm::from_request(request) {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    no_store(match form.get("grant_type") {
        Some(grant_types::JWT_BEARER) => jwt_bearer_grant(state, &form),
        Some(grant_types::REFRESH_TOKEN) => refresh_token_grant(state, &form),
        Some(grant_types::AUTHORIZATION_CODE) => form
            .authenticate_client(state)
            .and_then(|client| grants::redeem_code(state, &form, Issuer::Google, client))
            .and_then(|signed_in| initial_tokens(state, signed_in)),
        Some(grant_types::DEVICE_CODE) => form
            .authenticate_client(state)
            .and_then(|client| grants::redeem_device_code(state, &form, Issuer::Google, client))
            .and_then(|signed_in| initial_tokens(state, signed_in)),
        Some(other) => Err(unsupported_grant_type(other)),
        None => Err(missing_parameter("grant_type")),
    })
}

/// Serves `POST /revoke`, with the token in the query or the form.
pub(crate) fn revoke(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
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

/// The JWT bearer grant (RFC 7523), for a JWT that a service account's key has signed.
fn jwt_bearer_grant(state: &SandboxState, form: &OAuthForm) -> Result<ServerResponse, ServerResponse> {
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
        let text = format!("Invalid JWT: Failed audience check. The right audience is {}", GOOGLE_TOKEN_ENDPOINTS[0]);
        return Err(invalid_grant(&text));
    }
    let now = state.now();
    let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err(invalid_lifetime());
    };
    if !has_valid_lifetime(issued, expires, now) {
        return Err(invalid_lifetime());
    }
    let account = claim("sub").unwrap_or(issuer);
    if account != issuer && !account.contains('@') {
        return Err(invalid_grant("Invalid email or User ID"));
    }
    match (claim("target_audience"), claim("scope")) {
        (Some(audience), None | Some("")) if !audience.is_empty() => {
            let token = state.issue_id_token(account, audience, json!({ "azp": account }))?;
            Ok(ServerResponse::json(200, &json!({ "id_token": token.to_json() })))
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
            let value = json!({ "access_token": token, "expires_in": lifetime, "token_type": "Bearer" });
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

/// The public key of a service account and its id: its own, or the one that IAM signs with on its behalf.
fn find_verification_key(state: &SandboxState, email: &str) -> Result<Option<VerificationKey>, ServerResponse> {
    if email == SERVICE_ACCOUNT {
        let fixtures = &state.fixtures;
        return Ok(Some((Some(fixtures.service_account_key_id.clone()), fixtures.service_account_public_key.clone())));
    }
    if IMPERSONABLE_ACCOUNTS.contains(&email) {
        let (key, id) = state.google_signing_key.public_key()?;
        return Ok(Some((Some(id), key)));
    }
    Ok(state.admitted.iter().find_map(|credential| match credential {
        AdmittedCredential::ServiceAccount { email: known, key_id, public_key: key } if known == email => {
            Some((key_id.clone(), key.clone()))
        }
        _ => None,
    }))
}

type VerificationKey = (Option<String>, PublicKey);

/// The refresh token grant (RFC 6749, 6).
fn refresh_token_grant(state: &SandboxState, form: &OAuthForm) -> Result<ServerResponse, ServerResponse> {
    let client = form.authenticate_client(state)?;
    let redeemed = grants::redeem_refresh_token(state, form, Issuer::Google, client)?;
    let wants_id_token = ["openid", "email", "profile"].iter().any(|scope| includes_scope(&redeemed.scopes, scope));
    let extra_claims = wants_id_token.then(|| json!({ "azp": client }));
    token_response(state, redeemed, extra_claims)
}

/// The tokens of a user who has just signed in.
fn initial_tokens(state: &SandboxState, redeemed: RedeemedGrant) -> Result<ServerResponse, ServerResponse> {
    let RedeemedGrant { record, scopes, nonce, .. } = &redeemed;
    let extra_claims = includes_scope(scopes, "openid").then(|| {
        let has_email = includes_scope(scopes, "email");
        json!({
            "azp": record.client_id,
            "nonce": nonce,
            "hd": fixtures::find_user(&record.account).map(UserAccount::domain),
            "email": has_email.then_some(&record.account),
            "email_verified": has_email.then_some(true),
        })
    });
    token_response(state, redeemed, extra_claims)
}

/// The token response (RFC 6749, 5.1), with an ID token that has these claims where there are any.
fn token_response(
    state: &SandboxState,
    redeemed: RedeemedGrant,
    id_token_claims: Option<Value>,
) -> Result<ServerResponse, ServerResponse> {
    let RedeemedGrant { record, scopes, refresh_token, .. } = redeemed;
    let mut value = json!({
        "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if let Some(claims) = id_token_claims {
        value["id_token"] = state.issue_id_token(&record.account, &record.client_id, claims)?.to_json();
    }
    if let Some(token) = refresh_token {
        value["refresh_token"] = token.into();
    }
    value["access_token"] = state
        .issue_access_token("ya29.a0", record.access_token_record(scopes, state.now() + ACCESS_TOKEN_LIFETIME_SECONDS))?
        .into();
    Ok(ServerResponse::json(200, &value))
}

/// Whether Google would accept the request from a user who has to reauthenticate: it presents a valid RAPT, requests
/// only the scope for reauthentication, or follows a sign-in.
pub(crate) fn is_rapt_exempt(state: &SandboxState, route: &str, request: &ServerRequest) -> bool {
    let Ok(form) = OAuthForm::from_request(request) else { return false };
    match form.get("grant_type") {
        _ if route != "token" => false,
        Some(grant_types::AUTHORIZATION_CODE | grant_types::DEVICE_CODE) => true,
        Some(grant_types::REFRESH_TOKEN) => {
            let presented = form.get("refresh_token").unwrap_or_default();
            let account = lock_ignoring_poison(&state.token_store)
                .find_refresh_token(presented)
                .map(|login| login.account.clone());
            let rapt_and_account = form.get("rapt").zip(account);
            form.get("scope") == Some(reauth::REAUTH_SCOPE)
                || rapt_and_account.is_some_and(|(rapt, account)| reauth::is_valid_rapt(state, rapt, &account))
        }
        _ => false,
    }
}
