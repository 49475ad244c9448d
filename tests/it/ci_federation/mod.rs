//! Federation in CI: `--workload-identity-provider` finds the token of the system it runs in.

mod buildkite;
mod messages;

use serde_json::json;

use crate::support::sample_credentials::{
    SECOND_TOKEN, SERVICE_ACCOUNT_EMAIL, TOKEN, token_response_body, unsigned_jwt,
};
use crate::support::{
    Home, MockExchange, SentRequest, Test, get_response, iam_response, post_response, sts_response, token_response,
};

const PROVIDER_NAME: &str = "projects/1/locations/global/workloadIdentityPools/p/providers/q";
const GITHUB_REQUEST_URL: &str = "https://runner.example/token?api-version=2.0";
const GITHUB_REQUEST_URL_WITH_AUDIENCE: &str = "https://runner.example/token?api-version=2.0&audience=https%3A%2F%2F\
                     iam.googleapis.com%2Fprojects%2F1%2Flocations%2Fglobal%2F\
                     workloadIdentityPools%2Fp%2Fproviders%2Fq";

/// A JWT of this issuer for this audience, with an invalid signature.
fn unsigned_token(issuer: &str, audience: &str) -> String {
    unsigned_jwt(&json!({"iss": issuer, "aud": audience, "exp": 1_900_000_000}))
}

/// The one of most tests.
fn subject_token() -> String {
    unsigned_token("https://ci.example", &format!("https://iam.googleapis.com/{PROVIDER_NAME}"))
}

/// Federates with the provider.
fn federation_test(more_args: &str) -> Test {
    Test::new(&format!("token --workload-identity-provider {PROVIDER_NAME} {more_args}"))
}

fn on_github(test: Test) -> Test {
    test.env("GITHUB_ACTIONS", "true")
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", GITHUB_REQUEST_URL)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token-of-this-job")
        .secret("request-token-of-this-job")
}

fn github_token_response() -> MockExchange {
    get_response(GITHUB_REQUEST_URL_WITH_AUDIENCE, 200, json!({"count": 1, "value": subject_token()}).to_string())
}

fn sts_success() -> MockExchange {
    sts_response(200, token_response_body(TOKEN))
}

/// What an exchange has to say, whatever the system.
#[track_caller]
fn assert_token_exchange(sent: &SentRequest, subject_token: &str) {
    assert_eq!(sent.form_field("subject_token"), subject_token);
    assert_eq!(sent.form_field("audience"), format!("//iam.googleapis.com/{PROVIDER_NAME}"));
    assert_eq!(sent.form_field("subject_token_type"), "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(sent.form_field("scope"), "https://www.googleapis.com/auth/cloud-platform");
}

#[test]
fn a_token_for_the_provider_is_requested_from_github() {
    let ran = on_github(federation_test(""))
        .expect_request(github_token_response())
        .expect_request(sts_success())
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
    assert_eq!(ran.requests[0].headers["authorization"], "Bearer request-token-of-this-job");
    assert_token_exchange(&ran.requests[1], &subject_token());
    assert!(ran.requests[1].headers["x-goog-api-client"].contains("source/url sa-impersonation/false"));
}

#[test]
fn azure_gets_a_post_with_the_service_connection() {
    let url = "https://dev.azure.com/o/p/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken";
    let answer = json!({"oidcToken": subject_token()}).to_string();
    let azure = |id: Option<&str>, asked: String| {
        let test = federation_test("")
            .env("TF_BUILD", "True")
            .env("SYSTEM_OIDCREQUESTURI", url)
            .env("SYSTEM_ACCESSTOKEN", "access-token-of-this-build")
            .secret("access-token-of-this-build")
            .expect_request(post_response(&asked, 200, &answer))
            .expect_request(sts_success());
        match id {
            Some(id) => test.env("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", id),
            None => test,
        }
    };
    let ran = azure(None, format!("{url}?api-version=7.1")).run();
    assert_eq!(ran.requests[0].headers["authorization"], "Bearer access-token-of-this-build");
    assert_eq!(ran.requests[0].headers["x-tfs-fedauthredirect"], "Suppress");
    assert_token_exchange(&ran.requests[1], &subject_token());
    azure(Some("c0 n"), format!("{url}?api-version=7.1&serviceConnectionId=c0+n")).run();
}

/// Systems that put the token into a variable: the mark, the variable, what is used only without it.
const TOKEN_VARIABLES: &[(&str, &str, &[&str])] = &[
    ("GITLAB_CI", "GITLAB_OIDC_TOKEN", &["GCP_ID_TOKEN", "ID_TOKEN_1", "CI_JOB_JWT_V2"]),
    ("CIRCLECI", "CIRCLE_OIDC_TOKEN_V2", &["CIRCLE_OIDC_TOKEN"]),
    ("BITBUCKET_BUILD_NUMBER", "BITBUCKET_STEP_OIDC_TOKEN", &[]),
    ("TFC_RUN_ID", "TFC_WORKLOAD_IDENTITY_TOKEN", &[]),
];

#[test]
fn other_systems_have_the_token_in_a_variable() {
    for (mark, variable, others) in TOKEN_VARIABLES {
        let ran = others
            .iter()
            .fold(federation_test(""), |test, other| test.env(other, unsigned_token("x", other)))
            .env(mark, "true")
            .env(variable, format!(" {}\n", subject_token()))
            .expect_request(sts_success())
            .run();
        assert_token_exchange(&ran.requests[0], &subject_token());
        let metrics = &ran.requests[0].headers["x-goog-api-client"];
        assert!(metrics.contains("source/programmatic"), "{metrics}");
        // Without the first, each of the others in turn.
        for (index, other) in others.iter().enumerate() {
            let rest = others[index..].iter();
            let test = rest.fold(federation_test(""), |test, other| test.env(other, unsigned_token("x", other)));
            let ran = test.env(mark, "true").env(variable, "").expect_request(sts_success()).run();
            assert_token_exchange(&ran.requests[0], &unsigned_token("x", other));
        }
    }
}

#[test]
fn a_token_whose_audience_is_the_provider_takes_precedence() {
    for audience in
        [format!("https://iam.googleapis.com/{PROVIDER_NAME}"), format!("//iam.googleapis.com/{PROVIDER_NAME}")]
    {
        let ours = unsigned_token("https://gitlab.example", &audience);
        let ran = federation_test("")
            .env("GITLAB_CI", "true")
            .env("GITLAB_OIDC_TOKEN", unsigned_token("https://gitlab.example", "https://vault.example"))
            .env("ID_TOKEN_1", &ours)
            .expect_request(sts_success())
            .run();
        assert_token_exchange(&ran.requests[0], &ours);
    }
}

/// What a pod may have: the file, below the root.
const POD_TOKEN_FILES: &[&str] = &[
    "var/run/service-account/token",
    "var/run/secrets/tokens/gcp-ksa/token",
    "var/run/secrets/sts.googleapis.com/serviceaccount/token",
    "var/run/secrets/openshift/serviceaccount/token",
];

#[test]
fn kubernetes_has_the_token_in_a_file() {
    for path in POD_TOKEN_FILES {
        let ran = federation_test("")
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .file(&format!("root/{path}"), format!("{}\n", subject_token()))
            .expect_request(sts_success())
            .run();
        assert_token_exchange(&ran.requests[0], &subject_token());
        assert!(ran.requests[0].headers["x-goog-api-client"].contains("source/file"));
    }
}

#[test]
fn a_pods_default_token_is_not_for_google() {
    federation_test("")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .file("root/var/run/secrets/kubernetes.io/serviceaccount/token", subject_token())
        .expect_status(3)
        .expect_error("Kubernetes gives this job no token, there is none of /var/run/service-account/token")
        .expect_hint("the pod's default token is for the cluster alone")
        .run();
    federation_test("")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .file("root/var/run/service-account/token", "\n")
        .expect_status(8)
        .expect_error("holds no token, it is empty")
        .run();
}

#[test]
fn the_first_of_two_ci_systems_is_used_and_reported() {
    let both = |test: Test| {
        on_github(test)
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .env("BUILDKITE", "true")
            .file("root/var/run/service-account/token", unsigned_token("pod", "pod"))
    };
    let ran = both(federation_test("-v")).expect_request(github_token_response()).expect_request(sts_success()).run();
    let note = "gauth: the token of GitHub Actions (GITHUB_ACTIONS) is used, not Buildkite \
                (BUILDKITE), Kubernetes (KUBERNETES_SERVICE_HOST)\n";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
    // No token of the first is no reason to be somebody else.
    both(federation_test("")).env("ACTIONS_ID_TOKEN_REQUEST_URL", "").expect_status(3).expect_error("GitHub").run();
}

#[test]
fn a_token_variable_or_file_can_be_named_instead() {
    let in_file = federation_test("--subject-token-file {home}/jwt").file("jwt", subject_token());
    let in_variable = federation_test("--subject-token-env MINE").env("MINE", subject_token());
    let at_url = federation_test("--subject-token-url https://tokens.example/mine").expect_request(get_response(
        "https://tokens.example/mine",
        200,
        subject_token(),
    ));
    for test in [in_file, in_variable, at_url] {
        // Whatever system this is.
        let ran = test.env("GITLAB_CI", "true").expect_request(sts_success()).run();
        assert_token_exchange(ran.requests.last().expect("an exchange"), &subject_token());
    }
    for flag in ["file {home}/jwt", "env MINE", "url https://tokens.example/mine"] {
        Test::new(&format!("token --subject-token-{flag}"))
            .expect_status(2)
            .expect_error("a subject token is named, but no provider")
            .expect_hint("--workload-identity-provider projects/NUMBER/")
            .run();
    }
    federation_test("--subject-token-env MINE")
        .env("MINE", " \n")
        .expect_status(2)
        .expect_error("the variable MINE holds no token")
        .expect_hint("export MINE")
        .run();
    federation_test("--subject-token-file {home}/jwt")
        .file("jwt", "")
        .expect_status(8)
        .expect_error("jwt (subject token of --workload-identity-provider): holds no token, it is empty")
        .run();
    federation_test("--subject-token-file {home}/none").expect_status(8).expect_error("none").run();
    federation_test("--subject-token-url http://tokens.example/mine")
        .expect_status(9)
        .expect_error("--subject-token-url sends secrets to tokens.example without TLS")
        .run();
    federation_test("--subject-token-url https://tokens.example/mine")
        .expect_request(get_response("https://tokens.example/mine", 404, "no"))
        .expect_status(5)
        .expect_error("tokens.example: status 404")
        .expect_hint("check --subject-token-url")
        .run();
}

#[test]
fn the_provider_may_come_from_variable_or_profile() {
    let named = |test: Test| on_github(test).expect_request(github_token_response()).expect_request(sts_success());
    named(Test::new("token").env("GAUTH_WORKLOAD_IDENTITY_PROVIDER", PROVIDER_NAME)).run();
    let config = format!("[profiles.ci]\nworkload_identity_provider = \"{PROVIDER_NAME}\"\n");
    named(Test::new("token --profile ci").file(".config/gauth/config.toml", config)).run();
}

#[test]
fn tokens_are_cached_per_job() {
    let home = Home::new();
    let ran = on_github(federation_test(""))
        .home(&home)
        .expect_request(github_token_response())
        .expect_request(sts_success())
        .run();
    assert_eq!(ran.masks, [subject_token(), TOKEN.to_owned()]);
    home.clock.advance(60);
    let ran = on_github(federation_test("")).home(&home).expect_stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(ran.masks, [TOKEN]);
    on_github(federation_test(""))
        .home(&home)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token-of-the-next-job")
        .expect_request(github_token_response())
        .expect_request(sts_response(200, token_response_body(SECOND_TOKEN)))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
    for (mark, variable, _) in TOKEN_VARIABLES {
        let home = Home::new();
        let job =
            |issuer: &str| federation_test("").home(&home).env(mark, "1").env(variable, unsigned_token(issuer, "a"));
        job("one").expect_request(sts_success()).run();
        home.clock.advance(60);
        job("one").expect_stdout(&format!("{TOKEN}\n")).run();
        job("two")
            .expect_request(sts_response(200, token_response_body(SECOND_TOKEN)))
            .expect_stdout(&format!("{SECOND_TOKEN}\n"))
            .run();
    }
    let home = Home::new();
    let pod = |issuer: &str| {
        federation_test("")
            .home(&home)
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .file("root/var/run/service-account/token", unsigned_token(issuer, "a"))
    };
    pod("one").expect_request(sts_success()).run();
    home.clock.advance(60);
    pod("one").run();
    pod("two").expect_request(sts_response(200, token_response_body(SECOND_TOKEN))).run();
}

#[test]
fn a_service_account_is_impersonated_with_the_federated_token() {
    let answer = json!({"accessToken": SECOND_TOKEN, "expireTime": "2026-01-02T04:04:05Z"}).to_string();
    for flag in ["--service-account", "--impersonate-service-account"] {
        let ran = on_github(federation_test(&format!("{flag} {SERVICE_ACCOUNT_EMAIL}")))
            .expect_request(github_token_response())
            .expect_request(sts_success())
            .expect_request(iam_response(SERVICE_ACCOUNT_EMAIL, "generateAccessToken", 200, &answer))
            .expect_stdout(&format!("{SECOND_TOKEN}\n"))
            .run();
        assert_eq!(ran.masks, [subject_token(), SECOND_TOKEN.to_owned()]);
        assert!(ran.requests[1].headers["x-goog-api-client"].contains("sa-impersonation/true"));
    }
}

#[test]
fn whatever_is_printed_is_masked_first_and_only_on_github() {
    let key = crate::support::sample_credentials::service_account().to_string();
    let robot = |format: &str| {
        Test::new(&format!("token -q --credentials {{home}}/key.json --format {format}"))
            .file("key.json", &key)
            .expect_request(token_response(200, token_response_body(TOKEN)))
    };
    for format in ["text", "json", "header", "env", "curl-config"] {
        let ran = robot(format).env("GITHUB_ACTIONS", "true").run();
        assert_eq!(ran.masks, [TOKEN], "{format}");
        // Elsewhere the token on standard error would fail this test.
        for other in [("GITHUB_ACTIONS", "false"), ("GITLAB_CI", "true"), ("TF_BUILD", "True")] {
            let ran = robot(format).env(other.0, other.1).expect_stderr("").run();
            assert_eq!(ran.masks, [""; 0]);
        }
    }
    // Printing fails, and the mask is there already.
    let full = |_: &Home| Err(std::io::Error::other("full"));
    let ran = robot("text").env("GITHUB_ACTIONS", "true").on_write(full).expect_status(1).run();
    assert_eq!(ran.masks, [TOKEN]);
    // With -vv the exchange is shown behind the mask of what is in it.
    let ran =
        on_github(federation_test("-vv")).expect_request(github_token_response()).expect_request(sts_success()).run();
    assert!(ran.stderr.contains("sts.googleapis.com"), "{}", ran.stderr);
    assert_eq!(ran.masks, [subject_token(), TOKEN.to_owned()]);
}

#[test]
fn a_mask_survives_characters_that_commands_are_written_with() {
    let ran = federation_test("--subject-token-env MINE")
        .env("GITHUB_ACTIONS", "true")
        .env("MINE", "odd%token\nof two lines")
        .expect_request(sts_success())
        .run();
    assert_eq!(ran.masks, ["odd%25token%0Aof two lines", TOKEN]);
}
