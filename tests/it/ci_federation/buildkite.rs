//! Buildkite: its agent is a program that prints the token.

use super::{PROVIDER_NAME, assert_token_exchange, sts_success};
use crate::support::sample_credentials::TOKEN;
use crate::support::{Home, Test};

/// What the agent in `tests/data/bin` prints.
const BUILDKITE_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FnZW50LmJ1aWxka2l0ZS5jb20ifQ.c2ln";

/// In a job of Buildkite's with an agent in this folder.
fn on_buildkite(provider: &str, agent_folder: &str) -> Test {
    let name = PROVIDER_NAME.replace("/q", &format!("/{provider}"));
    Test::new(&format!("token --workload-identity-provider {name}"))
        .env("BUILDKITE", "true")
        .env("BUILDKITE_JOB_ID", "job-1")
        .env("PATH", agent_folder)
}

#[cfg(unix)]
#[test]
fn buildkites_agent_is_run_once_for_each_job() {
    let agents = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bin:/usr/bin:/bin");
    let home = Home::new();
    let ran = on_buildkite("q", agents).home(&home).expect_request(sts_success()).run();
    assert_token_exchange(&ran.requests[0], BUILDKITE_TOKEN);
    assert!(ran.requests[0].headers["x-goog-api-client"].contains("source/executable"));
    home.clock.advance(60);
    on_buildkite("q", "/nowhere").home(&home).expect_stdout(&format!("{TOKEN}\n")).run();
    let next = |agents| on_buildkite("q", agents).home(&home).env("BUILDKITE_JOB_ID", "job-2");
    next("/nowhere").expect_status(3).expect_error("buildkite-agent: there is no such program").run();
    next(agents).expect_request(sts_success()).run();
    on_buildkite("silent", agents)
        .expect_status(6)
        .expect_error("buildkite-agent: what it printed holds no token, it is empty")
        .expect_hint("buildkite-agent oidc request-token --audience https://iam.googleapis.com/projects/1/")
        .run();
    on_buildkite("other", agents).expect_status(3).expect_error("buildkite-agent: ended with 7").run();
}
