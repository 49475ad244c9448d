//! The endpoint at which a workload requests an OIDC token, as in CI systems (URL-sourced credentials).

use serde_json::json;

use crate::fixtures::WORKLOAD_PROVIDER;
use crate::state::SandboxState;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};

/// The paths: one returns the token as text, the other in JSON.
pub(crate) const PATHS: [&str; 2] = ["/subject", "/subject.json"];

/// Serves `GET /subject`: with the runner's secret, an OIDC token for the audience in the query.
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "GET" {
        return ServerResponse::method_not_allowed("GET");
    }
    let external = &state.fixtures.external;
    if !request.bearer_token().is_some_and(|token| external.runner_secret.matches(token)) {
        return ServerResponse::text(401, "the request needs the runner's secret as a bearer token\n")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\"");
    }
    let audience = request.query("audience").unwrap_or(WORKLOAD_PROVIDER);
    match external.workload_token(audience, state.now()) {
        Ok(token) if request.path.ends_with(".json") => {
            let token = token.to_json();
            ServerResponse::json(200, &json!({ "value": token, "access_token": token, "count": 1 }))
        }
        Ok(token) => ServerResponse::secret(200, &token),
        Err(what) => ServerResponse::text(500, format!("the key of the OIDC provider {what}\n")),
    }
}
