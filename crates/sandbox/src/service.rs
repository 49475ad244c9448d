//! Two example services: an API that requires access tokens, and one like Cloud Run that requires ID tokens.

use serde_json::{Value, json};

use crate::oauth::oauth_error;
use crate::state::SandboxState;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// Whether the path belongs to the API.
pub(crate) fn is_api_path(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// Whether the path belongs to the service.
pub(crate) fn is_service_path(path: &str) -> bool {
    path == "/service" || path.starts_with("/service/")
}

/// Echoes a request with a valid access token, along with the account and the quota project.
pub(crate) fn handle_api(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
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
        None => unauthorized("the API requires a valid access token"),
    }
}

/// Echoes a request with a valid ID token for the sandbox's URL.
pub(crate) fn handle_service(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    match verify_id_token(state, request.bearer_token().unwrap_or_default()) {
        Some(claims) => echo(request, json!({ "sub": claims["sub"], "email": claims["email"], "aud": claims["aud"] })),
        None => unauthorized("the service requires a valid ID token with its own URL as audience"),
    }
}

/// The claims of an ID token that Google signed for the sandbox's own URL.
fn verify_id_token(state: &SandboxState, token: &str) -> Option<Value> {
    let parts = state.verify_google_id_token(token)?;
    let audience = parts.claims.get("aud").and_then(Value::as_str)?;
    state.is_own_url(audience, &["", "/"]).then_some(Value::Object(parts.claims))
}

fn unauthorized(what: &str) -> ServerResponse {
    oauth_error(401, "invalid_token", what)
        .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"invalid_token\"")
}

/// A response that repeats the method, path, content type and body of the request.
fn echo(request: &ServerRequest, identity: Value) -> ServerResponse {
    let mut body = identity;
    body["method"] = request.method.clone().into();
    body["path"] = request.path.clone().into();
    body["content_type"] = request.header("content-type").into();
    body["body"] = String::from_utf8_lossy(&request.body).into_owned().into();
    ServerResponse::json(200, &body)
}
