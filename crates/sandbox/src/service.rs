//! What tokens are for: an API that takes access tokens, and a service like one on Cloud Run that takes ID tokens.

use serde_json::{Value, json};

use crate::SandboxState;
use crate::oauth::oauth_error;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::jose::jwt;

/// The paths of the API.
pub(super) fn is_api_path(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// The paths of the service.
pub(super) fn is_service_path(path: &str) -> bool {
    path == "/service" || path.starts_with("/service/")
}

/// Answers whoever has a valid access token with what was asked, and the project that is to pay.
pub(super) fn handle_api(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    let token = request.bearer_token().unwrap_or_default();
    let account = lock_ignoring_poison(&state.token_store)
        .find_access_token(token, state.now())
        .map(|grant| grant.account.clone());
    match account {
        Some(account) => echo(
            request,
            json!({
                "account": account,
                "quota_project": request.header("x-goog-user-project"),
            }),
        ),
        None => unauthorized("the API takes a valid access token"),
    }
}

/// Answers whoever has a valid ID token for this very place.
pub(super) fn handle_service(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    match verify_id_token(state, request.bearer_token().unwrap_or_default()) {
        Some(claims) => echo(
            request,
            json!({ "sub": claims["sub"], "email": claims["email"], "aud": claims["aud"] }),
        ),
        None => unauthorized("the service takes a valid ID token with its own URL as audience"),
    }
}

/// The claims of an ID token that Google signed for the sandbox's own URL.
fn verify_id_token(state: &SandboxState, token: &str) -> Option<Value> {
    let parts = jwt::decode(token).ok()?;
    let (key, id) = state.google_signing_key.public_key().ok()?;
    let audience = parts.claims.get("aud").and_then(Value::as_str)?;
    let expires_at = parts.claims.get("exp").and_then(Value::as_i64)?;
    let is_valid = parts.header.get("kid").and_then(Value::as_str) == Some(&id)
        && key.verifies(parts.signing_input, &parts.signature)
        && state.is_own_url(audience, &["", "/"])
        && expires_at > state.now();
    is_valid.then_some(Value::Object(parts.claims))
}

fn unauthorized(what: &str) -> ServerResponse {
    oauth_error(401, "invalid_token", what)
        .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"invalid_token\"")
}

/// Who asked, and what: method, path, type and text of the body.
fn echo(request: &ServerRequest, identity: Value) -> ServerResponse {
    let mut body = identity;
    body["method"] = request.method.clone().into();
    body["path"] = request.path.clone().into();
    body["content_type"] = request.header("content-type").into();
    body["body"] = String::from_utf8_lossy(&request.body).into_owned().into();
    ServerResponse::json(200, &body)
}
