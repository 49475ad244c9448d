//! What gauth reports: errors with their hints, `status` and the help.

use gauth_core::credentials::external_account::ci::CI_SYSTEMS;

use super::{
    GITHUB_REQUEST_URL, GITHUB_REQUEST_URL_WITH_AUDIENCE, PROVIDER_NAME, assert_token_exchange, federation_test,
    github_token_response, on_github, sts_success, subject_token,
};
use crate::support::sample_credentials::SERVICE_ACCOUNT_EMAIL;
use crate::support::{Test, get_response, sts_response};

#[test]
fn what_is_missing_is_named_and_so_is_the_permission() {
    for (variables, says, tries) in [
        (
            &[("GITHUB_ACTIONS", "true")][..],
            "GitHub Actions gives this job no token, ACTIONS_ID_TOKEN_REQUEST_URL is not set",
            "\"permissions: id-token: write\" in the workflow; pull requests from forks",
        ),
        (
            &[("GITHUB_ACTIONS", "true"), ("ACTIONS_ID_TOKEN_REQUEST_URL", GITHUB_REQUEST_URL)],
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set",
            "id-token: write",
        ),
        (
            &[("GITLAB_CI", "true")],
            "GitLab CI gives this job no token, there is no GITLAB_OIDC_TOKEN, GCP_ID_TOKEN, ID_TOKEN_1 or CI_JOB_JWT_V2",
            "\"id_tokens: {GITLAB_OIDC_TOKEN: {aud: https://iam.googleapis.com/projects/1/",
        ),
        (
            &[("GITLAB_CI", "true"), ("ID_TOKEN_1", "$NOT_EXPANDED"), ("GCP_ID_TOKEN", "a.b.c")],
            "GitLab CI gives this job no token, no JWT is in GCP_ID_TOKEN or ID_TOKEN_1",
            "--subject-token-env NAME",
        ),
        (&[("CIRCLECI", "true")], "there is no CIRCLE_OIDC_TOKEN_V2 or CIRCLE_OIDC_TOKEN", "give the job a context"),
        (&[("BUILDKITE", "true")], "Buildkite gives this job no token, BUILDKITE_JOB_ID is not set", "in a job"),
        (&[("BITBUCKET_BUILD_NUMBER", "7")], "there is no BITBUCKET_STEP_OIDC_TOKEN", "\"oidc: true\" in the step"),
        (
            &[("TF_BUILD", "True"), ("SYSTEM_OIDCREQUESTURI", GITHUB_REQUEST_URL)],
            "Azure DevOps gives this job no token, SYSTEM_ACCESSTOKEN is not set",
            "SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
        ),
        (
            &[("TFC_RUN_ID", "run-1")],
            "HCP Terraform gives this job no token, there is no TFC_WORKLOAD_IDENTITY_TOKEN",
            "TFC_WORKLOAD_IDENTITY_AUDIENCE = https://iam.googleapis.com/projects/1/",
        ),
    ] {
        let test = variables.iter().fold(federation_test(""), |test, (name, value)| test.env(name, value));
        test.expect_status(3).expect_error(says).expect_hint(tries).run();
    }
}

#[test]
fn outside_ci_the_error_names_everything_that_was_looked_for() {
    let marks = CI_SYSTEMS.iter().flat_map(|system| system.detection_variables);
    marks
        .fold(federation_test(""), |test, mark| test.expect_error(mark.name))
        .expect_status(3)
        .expect_error("no CI system or cluster is recognised, none of ")
        .expect_hint("--subject-token-file, --subject-token-env or --subject-token-url")
        .run();
    // A system that is switched off is not there.
    federation_test("").env("GITLAB_CI", "false").env("CIRCLECI", "").expect_status(3).expect_error("none of ").run();
}

#[test]
fn a_refusal_hint_says_what_to_compare() {
    let refused = r#"{"error":"invalid_grant","error_description":"The audience in ID Token does not match the expected audience."}"#;
    on_github(federation_test(""))
        .expect_request(github_token_response())
        .expect_request(sts_response(400, refused))
        .expect_status(5)
        .expect_error("sts.googleapis.com")
        .expect_hint(&format!(
            "compare issuer, audience and attribute condition of the provider with the token from \
             GitHub Actions (issuer https://ci.example, audience https://iam.googleapis.com/{PROVIDER_NAME})"
        ))
        .run();
    federation_test("")
        .env("GITLAB_CI", "true")
        .env("GITLAB_OIDC_TOKEN", subject_token())
        .expect_request(sts_response(400, refused))
        .expect_status(5)
        .expect_hint("the token from GITLAB_OIDC_TOKEN of GitLab CI (issuer https://ci.example, ")
        .run();
    on_github(federation_test(""))
        .expect_request(get_response(GITHUB_REQUEST_URL_WITH_AUDIENCE, 403, r#"{"message":"no"}"#))
        .expect_status(5)
        .expect_error("runner.example: status 403")
        .expect_hint("id-token: write")
        .run();
    on_github(federation_test(""))
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", "http://runner.example/token")
        .expect_status(9)
        .expect_error("ACTIONS_ID_TOKEN_REQUEST_URL sends secrets to runner.example without TLS")
        .run();
}

#[test]
fn a_provider_name_is_checked_before_any_request() {
    let pool = "projects/1/locations/global/workloadIdentityPools/p";
    for (name, says, tries) in [
        (
            PROVIDER_NAME.replace("/1/", "/my-project/"),
            "has the project ID my-project in place of the project's number",
            "gcloud projects describe my-project --format='value(projectNumber)'".to_owned(),
        ),
        (pool.to_owned(), "names a pool", format!("{pool}/providers/PROVIDER")),
        ("my-provider".to_owned(), "is not the name of a workload", "projects/NUMBER/".to_owned()),
        (format!("{PROVIDER_NAME}/extra"), "is not the name of a workload", "projects/NUMBER/".to_owned()),
    ] {
        on_github(Test::new("token --workload-identity-provider"))
            .arg(&name)
            .expect_status(2)
            .expect_error(&format!("--workload-identity-provider {says}"))
            .expect_hint(&tries)
            .run();
    }
    for name in [format!("//iam.googleapis.com/{PROVIDER_NAME}"), format!("https://iam.googleapis.com/{PROVIDER_NAME}")]
    {
        let words = format!("token --workload-identity-provider {name}");
        let ran =
            on_github(Test::new(&words)).expect_request(github_token_response()).expect_request(sts_success()).run();
        assert_token_exchange(&ran.requests[1], &subject_token());
    }
}

#[test]
fn status_says_which_system_and_which_provider() {
    let status = |more: &str| {
        let words = format!("status --workload-identity-provider {PROVIDER_NAME} {more}");
        on_github(Test::new(&words)).env("COLUMNS", "200").env("NO_GCE_CHECK", "true")
    };
    let text = status("").run().stdout;
    let starts = format!(
        "using    federated identity of GitHub Actions\nthrough  the token from GitHub Actions, for {PROVIDER_NAME}\n"
    );
    assert!(text.starts_with(&starts), "{text}");
    let json = status("--format json").run().json();
    assert_eq!(json["using"]["source"], "workload");
    assert_eq!(json["using"]["place"], "GitHub Actions");
    let text = status(&format!("--service-account {SERVICE_ACCOUNT_EMAIL}")).run().stdout;
    assert!(text.starts_with(&format!("using    {SERVICE_ACCOUNT_EMAIL}, impersonated service account, ")), "{text}");
}

#[test]
fn without_a_credential_the_hint_names_the_ci_system() {
    let nothing = |words: &str| Test::new(words).env("NO_GCE_CHECK", "true");
    nothing("token")
        .env("GITLAB_CI", "true")
        .expect_status(3)
        .expect_hint("--workload-identity-provider projects/NUMBER/")
        .expect_hint("with the token of GitLab CI")
        .run();
    let text = nothing("status").env("COLUMNS", "200").env("CIRCLECI", "true").run().stdout;
    assert!(text.contains("with the token of CircleCI"), "{text}");
    // A pod may have better.
    nothing("token")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .expect_status(3)
        .expect_hint("gauth login, or set GOOGLE_APPLICATION_CREDENTIALS")
        .run();
}

#[test]
fn help_names_every_system() {
    let text = Test::new("help sources").run().stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for system in CI_SYSTEMS {
        assert!(text.contains(system.name), "{} is not in {text}", system.name);
    }
}
