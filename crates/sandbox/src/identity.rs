//! The endpoints that identify a token's owner (tokeninfo, userinfo), and the keys for verifying ID tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::fixtures;
use crate::fixtures::CLIENT_ID;
use crate::oauth::oauth_error;
use crate::state::SandboxState;
use crate::token_store::includes_scope;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// The paths of tokeninfo.
pub(crate) const TOKENINFO_PATHS: [&str; 3] = ["/tokeninfo", "/oauth2/v3/tokeninfo", "/oauth2/v1/tokeninfo"];
/// The paths of userinfo.
pub(crate) const USERINFO_PATHS: [&str; 3] = ["/v1/userinfo", "/oauth2/v3/userinfo", "/userinfo"];
/// The paths of the JWK set.
pub(crate) const CERTS_PATHS: [&str; 2] = ["/oauth2/v3/certs", "/certs"];

/// Serves tokeninfo: the token is in the query, the form or the header, and numbers are returned as strings.
pub(crate) fn tokeninfo(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return ServerResponse::method_not_allowed("GET, POST");
    }
    let form = request.form().unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = request.query.iter().chain(&form);
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let claims = match (parameter("id_token"), parameter("access_token"), request.bearer_token()) {
        (Some(token), ..) => id_token_info(state, &token),
        (None, Some(token), _) => access_token_info(state, &token),
        (None, None, Some(token)) => access_token_info(state, token),
        (None, None, None) => {
            return oauth_error(400, "invalid_request", "Required parameter is missing: access_token");
        }
    };
    match claims {
        Some(claims) => ServerResponse::json(200, &Value::Object(claims)),
        None => oauth_error(400, "invalid_token", "Invalid Value"),
    }
}

fn access_token_info(state: &SandboxState, token: &str) -> Option<Map<String, Value>> {
    let now = state.clock.unix_seconds();
    let token_store = lock_ignoring_poison(&state.token_store);
    // Tokens of STS are unknown to tokeninfo; they can only be introspected.
    let record = token_store.find_access_token(token, now).filter(|grant| !grant.is_federated())?;
    let mut claims = json!({
        "access_type": if record.client_id == CLIENT_ID { "offline" } else { "online" },
        "aud": record.client_id,
        "azp": record.client_id,
        "exp": record.expires_at.to_string(),
        "expires_in": (record.expires_at - now).to_string(),
        "scope": record.scopes.join(" "),
    });
    if SandboxState::has_email_scope(&record.scopes) {
        claims["email"] = record.account.clone().into();
        claims["email_verified"] = "true".into();
    }
    if SandboxState::has_email_scope(&record.scopes) || includes_scope(&record.scopes, "openid") {
        claims["sub"] = fixtures::subject_id(&record.account).into();
    }
    claims.as_object().cloned()
}

fn id_token_info(state: &SandboxState, token: &str) -> Option<Map<String, Value>> {
    let parts = state.verify_google_id_token(token)?;
    let claims = parts.header.into_iter().chain(parts.claims).map(|(name, value)| match value {
        Value::Number(number) => (name, number.to_string().into()),
        Value::Bool(yes) => (name, yes.to_string().into()),
        other => (name, other),
    });
    Some(claims.collect())
}

/// Serves userinfo, for access tokens with a scope of OpenID Connect.
pub(crate) fn userinfo(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return ServerResponse::method_not_allowed("GET, POST");
    }
    let token_store = lock_ignoring_poison(&state.token_store);
    let token = request.bearer_token().unwrap_or_default();
    let record = token_store.find_access_token(token, state.clock.unix_seconds());
    let Some(record) = record.filter(|grant| !grant.is_federated()) else {
        return oauth_error(401, "invalid_request", "Invalid Credentials")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"invalid_token\"");
    };
    let has_scope = |scope| includes_scope(&record.scopes, scope);
    if !["openid", "email", "profile"].into_iter().any(has_scope) {
        return oauth_error(403, "insufficient_scope", "The token has none of openid, email, profile")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"insufficient_scope\"");
    }
    let mut claims = json!({ "sub": fixtures::subject_id(&record.account) });
    if has_scope("email") {
        claims["email"] = record.account.clone().into();
        claims["email_verified"] = true.into();
    }
    if let Some(user) = fixtures::find_user(&record.account).filter(|_| has_scope("profile")) {
        claims["name"] = format!("{} {}", user.given_name, user.family_name).into();
        claims["given_name"] = user.given_name.into();
        claims["family_name"] = user.family_name.into();
    }
    ServerResponse::json(200, &claims)
}

/// Serves the keys for ID tokens as a JWK set (RFC 7517).
pub(crate) fn certs(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return ServerResponse::method_not_allowed("GET, HEAD");
    }
    match state.google_signing_key.public_key() {
        Ok((key, id)) => {
            let (modulus, exponent) = key.jwk_parameters();
            let keys = json!({ "keys": [{
                "alg": "RS256",
                "e": URL_SAFE_NO_PAD.encode(exponent),
                "kid": id,
                "kty": "RSA",
                "n": URL_SAFE_NO_PAD.encode(modulus),
                "use": "sig",
            }]});
            ServerResponse::json(200, &keys).header("Cache-Control", "public, max-age=3600, must-revalidate")
        }
        Err(answer) => answer,
    }
}
