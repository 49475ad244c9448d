//! Federation in CI: `--workload-identity-provider` finds the token of the system it runs in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth::credential::external_account::ci::SYSTEMS;
use serde_json::{Value, json};

use crate::support::samples::{ROBOT, SECOND, TOKEN, granted};
use crate::support::{Exchange, Home, Sent, Test, get, iam, post, sts, token};

const NAME: &str = "projects/1/locations/global/workloadIdentityPools/p/providers/q";
const URL: &str = "https://runner.example/token?api-version=2.0";
const ASKED: &str = "https://runner.example/token?api-version=2.0&audience=https%3A%2F%2F\
                     iam.googleapis.com%2Fprojects%2F1%2Flocations%2Fglobal%2F\
                     workloadIdentityPools%2Fp%2Fproviders%2Fq";

/// A JWT of this issuer for this audience; nobody signed it.
fn jwt(issuer: &str, audience: &str) -> String {
    let pack = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": issuer, "aud": audience, "exp": 1_900_000_000});
    format!("{}.{}.c2lnbmF0dXJl", pack(&json!({"alg": "RS256", "kid": "1"})), pack(&claims))
}

/// The one of most tests.
fn subject() -> String {
    jwt("https://ci.example", &format!("https://iam.googleapis.com/{NAME}"))
}

/// Federates with the provider.
fn federating(more: &str) -> Test {
    Test::new(&format!("token --workload-identity-provider {NAME} {more}"))
}

fn github(test: Test) -> Test {
    test.env("GITHUB_ACTIONS", "true")
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", URL)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token-of-this-job")
        .secret("request-token-of-this-job")
}

fn value() -> Exchange {
    get(ASKED, 200, json!({"count": 1, "value": subject()}).to_string())
}

fn yes() -> Exchange {
    sts(200, granted(TOKEN))
}

/// What an exchange has to say, whatever the system.
#[track_caller]
fn exchanged(sent: &Sent, subject: &str) {
    assert_eq!(sent.field("subject_token"), subject);
    assert_eq!(sent.field("audience"), format!("//iam.googleapis.com/{NAME}"));
    assert_eq!(sent.field("subject_token_type"), "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(sent.field("scope"), "https://www.googleapis.com/auth/cloud-platform");
}

#[test]
fn github_is_asked_for_a_token_for_the_provider() {
    let ran =
        github(federating("")).google(value()).google(yes()).stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(ran.sent[0].headers["authorization"], "Bearer request-token-of-this-job");
    exchanged(&ran.sent[1], &subject());
    assert!(ran.sent[1].headers["x-goog-api-client"].contains("source/url sa-impersonation/false"));
}

#[test]
fn azure_is_asked_with_a_post_and_the_service_connection() {
    let url = "https://dev.azure.com/o/p/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken";
    let answer = json!({"oidcToken": subject()}).to_string();
    let azure = |id: Option<&str>, asked: String| {
        let test = federating("")
            .env("TF_BUILD", "True")
            .env("SYSTEM_OIDCREQUESTURI", url)
            .env("SYSTEM_ACCESSTOKEN", "access-token-of-this-build")
            .secret("access-token-of-this-build")
            .google(post(&asked, 200, &answer))
            .google(yes());
        match id {
            Some(id) => test.env("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", id),
            None => test,
        }
    };
    let ran = azure(None, format!("{url}?api-version=7.1")).run();
    assert_eq!(ran.sent[0].headers["authorization"], "Bearer access-token-of-this-build");
    assert_eq!(ran.sent[0].headers["x-tfs-fedauthredirect"], "Suppress");
    exchanged(&ran.sent[1], &subject());
    azure(Some("c0 n"), format!("{url}?api-version=7.1&serviceConnectionId=c0+n")).run();
}

/// Systems that put the token into a variable: the mark, the variable, what is used only without it.
const VARIABLES: &[(&str, &str, &[&str])] = &[
    ("GITLAB_CI", "GITLAB_OIDC_TOKEN", &["GCP_ID_TOKEN", "ID_TOKEN_1", "CI_JOB_JWT_V2"]),
    ("CIRCLECI", "CIRCLE_OIDC_TOKEN_V2", &["CIRCLE_OIDC_TOKEN"]),
    ("BITBUCKET_BUILD_NUMBER", "BITBUCKET_STEP_OIDC_TOKEN", &[]),
    ("TFC_RUN_ID", "TFC_WORKLOAD_IDENTITY_TOKEN", &[]),
];

#[test]
fn others_have_it_in_a_variable() {
    for (mark, variable, others) in VARIABLES {
        let ran = others
            .iter()
            .fold(federating(""), |test, other| test.env(other, jwt("x", other)))
            .env(mark, "true")
            .env(variable, format!(" {}\n", subject()))
            .google(yes())
            .run();
        exchanged(&ran.sent[0], &subject());
        let metrics = &ran.sent[0].headers["x-goog-api-client"];
        assert!(metrics.contains("source/programmatic"), "{metrics}");
        // Without the first, each of the others in turn.
        for (index, other) in others.iter().enumerate() {
            let rest = others[index..].iter();
            let test = rest.fold(federating(""), |test, other| test.env(other, jwt("x", other)));
            let ran = test.env(mark, "true").env(variable, "").google(yes()).run();
            exchanged(&ran.sent[0], &jwt("x", other));
        }
    }
}

#[test]
fn a_token_that_names_the_provider_goes_before_one_for_somebody_else() {
    for audience in
        [format!("https://iam.googleapis.com/{NAME}"), format!("//iam.googleapis.com/{NAME}")]
    {
        let ours = jwt("https://gitlab.example", &audience);
        let ran = federating("")
            .env("GITLAB_CI", "true")
            .env("GITLAB_OIDC_TOKEN", jwt("https://gitlab.example", "https://vault.example"))
            .env("ID_TOKEN_1", &ours)
            .google(yes())
            .run();
        exchanged(&ran.sent[0], &ours);
    }
}

/// What a pod may have: the file, below the root.
const FILES: &[&str] = &[
    "var/run/service-account/token",
    "var/run/secrets/tokens/gcp-ksa/token",
    "var/run/secrets/sts.googleapis.com/serviceaccount/token",
    "var/run/secrets/openshift/serviceaccount/token",
];

#[test]
fn kubernetes_has_it_in_a_file() {
    for path in FILES {
        let ran = federating("")
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .file(&format!("root/{path}"), format!("{}\n", subject()))
            .google(yes())
            .run();
        exchanged(&ran.sent[0], &subject());
        assert!(ran.sent[0].headers["x-goog-api-client"].contains("source/file"));
    }
}

#[test]
fn a_pods_default_token_is_not_for_google() {
    federating("")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .file("root/var/run/secrets/kubernetes.io/serviceaccount/token", subject())
        .status(3)
        .says("Kubernetes gives this job no token, there is none of /var/run/service-account/token")
        .tries("the pod's default token is for the cluster alone")
        .run();
    federating("")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .file("root/var/run/service-account/token", "\n")
        .status(8)
        .says("holds no token, it is empty")
        .run();
}

#[test]
fn what_is_missing_is_named_and_so_is_the_permission() {
    for (variables, says, tries) in [
        (
            &[("GITHUB_ACTIONS", "true")][..],
            "GitHub Actions gives this job no token, ACTIONS_ID_TOKEN_REQUEST_URL is not set",
            "\"permissions: id-token: write\" in the workflow; pull requests from forks",
        ),
        (
            &[("GITHUB_ACTIONS", "true"), ("ACTIONS_ID_TOKEN_REQUEST_URL", URL)],
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
        (
            &[("CIRCLECI", "true")],
            "there is no CIRCLE_OIDC_TOKEN_V2 or CIRCLE_OIDC_TOKEN",
            "a context for the job",
        ),
        (
            &[("BUILDKITE", "true")],
            "Buildkite gives this job no token, BUILDKITE_JOB_ID is not set",
            "in a job",
        ),
        (
            &[("BITBUCKET_BUILD_NUMBER", "7")],
            "there is no BITBUCKET_STEP_OIDC_TOKEN",
            "\"oidc: true\" in the step",
        ),
        (
            &[("TF_BUILD", "True"), ("SYSTEM_OIDCREQUESTURI", URL)],
            "Azure DevOps gives this job no token, SYSTEM_ACCESSTOKEN is not set",
            "SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
        ),
        (
            &[("TFC_RUN_ID", "run-1")],
            "HCP Terraform gives this job no token, there is no TFC_WORKLOAD_IDENTITY_TOKEN",
            "TFC_WORKLOAD_IDENTITY_AUDIENCE = https://iam.googleapis.com/projects/1/",
        ),
    ] {
        let test =
            variables.iter().fold(federating(""), |test, (name, value)| test.env(name, value));
        test.status(3).says(says).tries(tries).run();
    }
}

#[test]
fn nowhere_everything_that_was_looked_for_is_named() {
    let marks = SYSTEMS.iter().flat_map(|system| system.marks);
    marks
        .fold(federating(""), |test, mark| test.says(mark.name))
        .status(3)
        .says("no CI system or cluster is recognised, none of ")
        .tries("--subject-token-file, --subject-token-env or --subject-token-url")
        .run();
    // A system that is switched off is not there.
    federating("").env("GITLAB_CI", "false").env("CIRCLECI", "").status(3).says("none of ").run();
}

#[test]
fn the_first_of_two_systems_is_used_and_said() {
    let both = |test: Test| {
        github(test)
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .env("BUILDKITE", "true")
            .file("root/var/run/service-account/token", jwt("pod", "pod"))
    };
    let ran = both(federating("-v")).google(value()).google(yes()).run();
    let note = "gauth: the token of GitHub Actions (GITHUB_ACTIONS) is used, not Buildkite \
                (BUILDKITE), Kubernetes (KUBERNETES_SERVICE_HOST)\n";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
    // No token of the first is no reason to be somebody else.
    both(federating("")).env("ACTIONS_ID_TOKEN_REQUEST_URL", "").status(3).says("GitHub").run();
}

#[test]
fn a_token_may_be_named_instead() {
    let in_file = federating("--subject-token-file {home}/jwt").file("jwt", subject());
    let in_variable = federating("--subject-token-env MINE").env("MINE", subject());
    let at_url = federating("--subject-token-url https://tokens.example/mine").google(get(
        "https://tokens.example/mine",
        200,
        subject(),
    ));
    for test in [in_file, in_variable, at_url] {
        // Whatever system this is.
        let ran = test.env("GITLAB_CI", "true").google(yes()).run();
        exchanged(ran.sent.last().expect("an exchange"), &subject());
    }
    for flag in ["file {home}/jwt", "env MINE", "url https://tokens.example/mine"] {
        Test::new(&format!("token --subject-token-{flag}"))
            .status(2)
            .says("a token for a provider is named, but no provider")
            .tries("--workload-identity-provider projects/NUMBER/")
            .run();
    }
    federating("--subject-token-env MINE")
        .env("MINE", " \n")
        .status(2)
        .says("the variable MINE holds no token")
        .tries("export MINE")
        .run();
    federating("--subject-token-file {home}/jwt")
        .file("jwt", "")
        .status(8)
        .says("jwt (subject token of --workload-identity-provider): holds no token, it is empty")
        .run();
    federating("--subject-token-file {home}/none").status(8).says("none").run();
    federating("--subject-token-url http://tokens.example/mine")
        .status(9)
        .says("--subject-token-url sends secrets to tokens.example without TLS")
        .run();
    federating("--subject-token-url https://tokens.example/mine")
        .google(get("https://tokens.example/mine", 404, "no"))
        .status(5)
        .says("tokens.example: status 404")
        .tries("check --subject-token-url")
        .run();
}

#[test]
fn the_provider_may_come_from_variable_or_profile() {
    let named = |test: Test| github(test).google(value()).google(yes());
    named(Test::new("token").env("GAUTH_WORKLOAD_IDENTITY_PROVIDER", NAME)).run();
    let config = format!("[profiles.ci]\nworkload_identity_provider = \"{NAME}\"\n");
    named(Test::new("token --profile ci").file(".config/gauth/config.toml", config)).run();
}

#[test]
fn a_second_run_asks_nobody_and_another_job_is_somebody_else() {
    let home = Home::new();
    let ran = github(federating("")).home(&home).google(value()).google(yes()).run();
    assert_eq!(ran.masks, [subject(), TOKEN.to_owned()]);
    home.clock.advance(60);
    let ran = github(federating("")).home(&home).stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(ran.masks, [TOKEN]);
    github(federating(""))
        .home(&home)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token-of-the-next-job")
        .google(value())
        .google(sts(200, granted(SECOND)))
        .stdout(&format!("{SECOND}\n"))
        .run();
    for (mark, variable, _) in VARIABLES {
        let home = Home::new();
        let job = |issuer: &str| {
            federating("").home(&home).env(mark, "1").env(variable, jwt(issuer, "a"))
        };
        job("one").google(yes()).run();
        home.clock.advance(60);
        job("one").stdout(&format!("{TOKEN}\n")).run();
        job("two").google(sts(200, granted(SECOND))).stdout(&format!("{SECOND}\n")).run();
    }
    let home = Home::new();
    let pod = |issuer: &str| {
        federating("")
            .home(&home)
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .file("root/var/run/service-account/token", jwt(issuer, "a"))
    };
    pod("one").google(yes()).run();
    home.clock.advance(60);
    pod("one").run();
    pod("two").google(sts(200, granted(SECOND))).run();
}

#[test]
fn a_service_account_is_impersonated_with_the_federated_token() {
    let answer = json!({"accessToken": SECOND, "expireTime": "2026-01-02T04:04:05Z"}).to_string();
    for flag in ["--service-account", "--impersonate-service-account"] {
        let ran = github(federating(&format!("{flag} {ROBOT}")))
            .google(value())
            .google(yes())
            .google(iam(ROBOT, "generateAccessToken", 200, &answer))
            .stdout(&format!("{SECOND}\n"))
            .run();
        assert_eq!(ran.masks, [subject(), SECOND.to_owned()]);
        assert!(ran.sent[1].headers["x-goog-api-client"].contains("sa-impersonation/true"));
    }
}

#[test]
fn whatever_is_printed_is_masked_first_and_only_on_github() {
    let key = crate::support::samples::service_account().to_string();
    let robot = |format: &str| {
        Test::new(&format!("token -q --credentials {{home}}/key.json --format {format}"))
            .file("key.json", &key)
            .google(token(200, granted(TOKEN)))
    };
    for format in ["text", "json", "header", "env", "curl-config"] {
        let ran = robot(format).env("GITHUB_ACTIONS", "true").run();
        assert_eq!(ran.masks, [TOKEN], "{format}");
        // Elsewhere the token on standard error would fail this test.
        for other in [("GITHUB_ACTIONS", "false"), ("GITLAB_CI", "true"), ("TF_BUILD", "True")] {
            let ran = robot(format).env(other.0, other.1).stderr("").run();
            assert_eq!(ran.masks, [""; 0]);
        }
    }
    // Printing fails, and the mask is there already.
    let full = |_: &Home| Err(std::io::Error::other("full"));
    let ran = robot("text").env("GITHUB_ACTIONS", "true").printing(full).status(1).run();
    assert_eq!(ran.masks, [TOKEN]);
    // With -vv the exchange is shown behind the mask of what is in it.
    let ran = github(federating("-vv")).google(value()).google(yes()).run();
    assert!(ran.stderr.contains("sts.googleapis.com"), "{}", ran.stderr);
    assert_eq!(ran.masks, [subject(), TOKEN.to_owned()]);
}

#[test]
fn a_mask_survives_characters_that_commands_are_written_with() {
    let ran = federating("--subject-token-env MINE")
        .env("GITHUB_ACTIONS", "true")
        .env("MINE", "odd%token\nof two lines")
        .google(yes())
        .run();
    assert_eq!(ran.masks, ["odd%25token%0Aof two lines", TOKEN]);
}

#[test]
fn a_refusal_says_what_to_compare() {
    let refused = r#"{"error":"invalid_grant","error_description":"The audience in ID Token does not match the expected audience."}"#;
    github(federating(""))
        .google(value())
        .google(sts(400, refused))
        .status(5)
        .says("sts.googleapis.com")
        .tries(&format!(
            "compare issuer, audience and attribute condition of the provider with the token from \
             GitHub Actions (issuer https://ci.example, audience https://iam.googleapis.com/{NAME})"
        ))
        .run();
    federating("")
        .env("GITLAB_CI", "true")
        .env("GITLAB_OIDC_TOKEN", subject())
        .google(sts(400, refused))
        .status(5)
        .tries("the token from GITLAB_OIDC_TOKEN of GitLab CI (issuer https://ci.example, ")
        .run();
    github(federating(""))
        .google(get(ASKED, 403, r#"{"message":"no"}"#))
        .status(5)
        .says("runner.example: status 403")
        .tries("id-token: write")
        .run();
    github(federating(""))
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", "http://runner.example/token")
        .status(9)
        .says("ACTIONS_ID_TOKEN_REQUEST_URL sends secrets to runner.example without TLS")
        .run();
}

#[test]
fn a_providers_name_is_checked_before_anybody_is_asked() {
    let pool = "projects/1/locations/global/workloadIdentityPools/p";
    for (name, says, tries) in [
        (
            NAME.replace("/1/", "/my-project/"),
            "has the project my-project, where its number belongs",
            "gcloud projects describe my-project --format='value(projectNumber)'".to_owned(),
        ),
        (pool.to_owned(), "names a pool", format!("{pool}/providers/PROVIDER")),
        ("my-provider".to_owned(), "is not the name of a workload", "projects/NUMBER/".to_owned()),
        (format!("{NAME}/extra"), "is not the name of a workload", "projects/NUMBER/".to_owned()),
    ] {
        github(Test::new("token --workload-identity-provider"))
            .word(&name)
            .status(2)
            .says(&format!("--workload-identity-provider {says}"))
            .tries(&tries)
            .run();
    }
    for name in
        [format!("//iam.googleapis.com/{NAME}"), format!("https://iam.googleapis.com/{NAME}")]
    {
        let words = format!("token --workload-identity-provider {name}");
        let ran = github(Test::new(&words)).google(value()).google(yes()).run();
        exchanged(&ran.sent[1], &subject());
    }
}

#[test]
fn status_says_which_system_and_which_provider() {
    let status = |more: &str| {
        let words = format!("status --workload-identity-provider {NAME} {more}");
        github(Test::new(&words)).env("COLUMNS", "200").env("NO_GCE_CHECK", "true")
    };
    let text = status("").run().stdout;
    let starts = format!(
        "using    federated identity of GitHub Actions\nthrough  the token from GitHub Actions, for {NAME}\n"
    );
    assert!(text.starts_with(&starts), "{text}");
    let json = status("--format json").run().json();
    assert_eq!(json["using"]["source"], "workload");
    assert_eq!(json["using"]["place"], "GitHub Actions");
    let text = status(&format!("--service-account {ROBOT}")).run().stdout;
    assert!(
        text.starts_with(&format!("using    {ROBOT}, impersonated service account, ")),
        "{text}"
    );
}

#[test]
fn where_nothing_is_found_a_job_is_told_of_its_system() {
    let nothing = |words: &str| Test::new(words).env("NO_GCE_CHECK", "true");
    nothing("token")
        .env("GITLAB_CI", "true")
        .status(3)
        .tries("--workload-identity-provider projects/NUMBER/")
        .tries("with the token of GitLab CI")
        .run();
    let text = nothing("status").env("COLUMNS", "200").env("CIRCLECI", "true").run().stdout;
    assert!(text.contains("with the token of CircleCI"), "{text}");
    // A pod may have better.
    nothing("token")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .status(3)
        .tries("gauth login, or set GOOGLE_APPLICATION_CREDENTIALS")
        .run();
}

#[test]
fn help_names_every_system() {
    let text = Test::new("help sources").run().stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for system in SYSTEMS {
        assert!(text.contains(system.name), "{} is not in {text}", system.name);
    }
}

/// What the agent in `tests/data/bin` prints.
const OF_BUILDKITE: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FnZW50LmJ1aWxka2l0ZS5jb20ifQ.c2ln";

/// In a job of Buildkite's with an agent in this folder.
fn buildkite(provider: &str, agents: &str) -> Test {
    let name = NAME.replace("/q", &format!("/{provider}"));
    Test::new(&format!("token --workload-identity-provider {name}"))
        .env("BUILDKITE", "true")
        .env("BUILDKITE_JOB_ID", "job-1")
        .env("PATH", agents)
}

#[cfg(unix)]
#[test]
fn buildkites_agent_is_run_once_for_each_job() {
    let agents = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/bin:/usr/bin:/bin");
    let home = Home::new();
    let ran = buildkite("q", agents).home(&home).google(yes()).run();
    exchanged(&ran.sent[0], OF_BUILDKITE);
    assert!(ran.sent[0].headers["x-goog-api-client"].contains("source/executable"));
    home.clock.advance(60);
    buildkite("q", "/nowhere").home(&home).stdout(&format!("{TOKEN}\n")).run();
    let next = |agents| buildkite("q", agents).home(&home).env("BUILDKITE_JOB_ID", "job-2");
    next("/nowhere").status(3).says("buildkite-agent: there is no such program").run();
    next(agents).google(yes()).run();
    buildkite("silent", agents)
        .status(6)
        .says("buildkite-agent: what it printed holds no token, it is empty")
        .tries(
            "buildkite-agent oidc request-token --audience https://iam.googleapis.com/projects/1/",
        )
        .run();
    buildkite("other", agents).status(3).says("buildkite-agent: ended with 7").run();
}
