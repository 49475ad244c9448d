//! What tokens are for: an API that takes access tokens, and a service like one on Cloud Run that takes ID tokens.

use serde_json::{Value, json};

use crate::jwt;
use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::oauth::error;

/// The paths of the API.
pub(super) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// The paths of the service.
pub(super) fn is_service(path: &str) -> bool {
    path == "/service" || path.starts_with("/service/")
}

/// Answers whoever has a valid access token with what was asked, and the project that is to pay.
pub(super) fn api(state: &State, request: &Request) -> Answer {
    let token = request.bearer().unwrap_or_default();
    let account = lock(&state.ledger).access(token, state.now()).map(|grant| grant.account.clone());
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
pub(super) fn service(state: &State, request: &Request) -> Answer {
    match caller(state, request.bearer().unwrap_or_default()) {
        Some(claims) => echo(
            request,
            json!({ "sub": claims["sub"], "email": claims["email"], "aud": claims["aud"] }),
        ),
        None => unauthorized("the service takes a valid ID token with its own URL as audience"),
    }
}

/// The claims of an ID token that Google signed for the sandbox's own URL.
fn caller(state: &State, token: &str) -> Option<Value> {
    let parts = jwt::parts(token).ok()?;
    let (key, id) = state.google.public().ok()?;
    let audience = parts.claims.get("aud").and_then(Value::as_str)?;
    let end = parts.claims.get("exp").and_then(Value::as_i64)?;
    let valid = parts.header.get("kid").and_then(Value::as_str) == Some(&id)
        && key.verifies(parts.message, &parts.signature)
        && state.is_own_url(audience, &["", "/"])
        && end > state.now();
    valid.then_some(Value::Object(parts.claims))
}

fn unauthorized(what: &str) -> Answer {
    error(401, "invalid_token", what)
        .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"invalid_token\"")
}

/// Who asked, and what: method, path, type and text of the body.
fn echo(request: &Request, who: Value) -> Answer {
    let mut told = who;
    told["method"] = request.method.clone().into();
    told["path"] = request.path.clone().into();
    told["content_type"] = request.header("content-type").into();
    told["body"] = String::from_utf8_lossy(&request.body).into_owned().into();
    Answer::json(200, &told)
}
