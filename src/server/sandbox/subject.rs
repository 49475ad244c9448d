//! Where a workload gets its OIDC token by URL, as runners of CI systems have it.

use serde_json::json;

use crate::server::http::{Answer, Request};
use crate::server::sandbox::State;
use crate::server::sandbox::cast::WORKLOAD_PROVIDER;

/// The paths: the token alone, and in JSON.
pub(super) const PATHS: [&str; 2] = ["/subject", "/subject.json"];

/// Answers `GET /subject`: the runner's secret in, a token for the audience of the query out.
pub(super) fn answer(state: &State, request: &Request) -> Answer {
    if request.method != "GET" {
        return Answer::only("GET");
    }
    let outside = &state.cast.outside;
    if request.bearer() != Some(outside.runner_secret.expose()) {
        return Answer::text(401, "the runner's secret is needed, as a bearer token\n")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\"");
    }
    let audience = request.query("audience").unwrap_or(WORKLOAD_PROVIDER);
    match outside.workload_token(audience, state.now()) {
        Ok(token) if request.path.ends_with(".json") => {
            let token = token.expose();
            Answer::json(200, &json!({ "value": token, "access_token": token, "count": 1 }))
        }
        Ok(token) => Answer::text(200, token.expose()),
        Err(what) => Answer::text(500, format!("the issuer's key {what}\n")),
    }
}
