//! Where a workload gets its OIDC token by URL, as runners of CI systems have it.

use serde_json::json;

use crate::SandboxState;
use crate::fixtures::WORKLOAD_PROVIDER;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};

/// The paths: the token alone, and in JSON.
pub(super) const PATHS: [&str; 2] = ["/subject", "/subject.json"];

/// Answers `GET /subject`: the runner's secret in, a token for the audience of the query out.
pub(super) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "GET" {
        return ServerResponse::method_not_allowed("GET");
    }
    let external = &state.fixtures.external;
    if request.bearer_token() != Some(external.runner_secret.expose()) {
        return ServerResponse::text(401, "the runner's secret is needed, as a bearer token\n")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\"");
    }
    let audience = request.query("audience").unwrap_or(WORKLOAD_PROVIDER);
    match external.workload_token(audience, state.now()) {
        Ok(token) if request.path.ends_with(".json") => {
            let token = token.expose();
            ServerResponse::json(200, &json!({ "value": token, "access_token": token, "count": 1 }))
        }
        Ok(token) => ServerResponse::text(200, token.expose()),
        Err(what) => ServerResponse::text(500, format!("the issuer's key {what}\n")),
    }
}
