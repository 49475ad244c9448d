//! A sample of every kind of file Google's tools write, given to the built program beside a sandbox that knows them.

use std::path::Path;
use std::process::{Command, Output};

use gauth_core::text::secret::Secret;
use gauth_sandbox::admitted::AdmittedCredential;
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use serde_json::Value;

/// What becomes of each sample: the account of its token and the requests it took; or the exit code and a word of
/// the error; or, where its token would come from a machine that is not here, what is known of it without asking.
enum ExpectedOutcome {
    Token(Option<&'static str>, usize),
    Error(i32, &'static str),
    StatusOnly(&'static str, Option<&'static str>),
}
use ExpectedOutcome::{Error, StatusOnly, Token};

const FEDERATED: &str = "external_account";
const TARGET: Option<&str> = Some("target-sa@example-project.iam.gserviceaccount.com");

const SERVICE_ACCOUNT: Option<&str> = Some("example-sa@example-project.iam.gserviceaccount.com");

const OTHER_UNIVERSE_ACCOUNT: Option<&str> = Some("example-sa@example-project.iam.universe-serviceaccounts.example");

const SAMPLES: &[(&str, ExpectedOutcome)] = &[
    ("authorized_user.json", Token(None, 1)),
    ("authorized_user_gcloud_store.json", Token(None, 1)),
    ("authorized_user_saved_token.json", Token(Some("user@example.com"), 1)),
    ("certificate_config.json", Error(8, "type is missing")),
    ("client_secret_installed.json", Error(8, "gauth login --client-id-file")),
    ("client_secret_web.json", Error(8, "gauth login --client-id-file")),
    ("context_aware_metadata.json", Error(8, "type is missing")),
    ("credential_access_boundary.json", Error(8, "type is missing")),
    ("executable_response_error.json", Error(8, "type is missing")),
    ("executable_response_oidc.json", Error(8, "type is missing")),
    ("executable_response_saml.json", Error(8, "type is missing")),
    ("external_account_authorized_user.json", Token(None, 1)),
    ("external_account_authorized_user_saved_token.json", Token(None, 1)),
    ("external_account_aws_env_only.json", StatusOnly(FEDERATED, None)),
    ("external_account_aws_imdsv1.json", StatusOnly(FEDERATED, TARGET)),
    ("external_account_aws_imdsv2.json", StatusOnly(FEDERATED, None)),
    ("external_account_azure.json", StatusOnly(FEDERATED, TARGET)),
    ("external_account_executable.json", Error(9, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES")),
    ("external_account_executable_interactive_workforce.json", Error(9, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES")),
    ("external_account_file_json.json", Error(8, "no such file")),
    ("external_account_file_saml.json", Error(8, "no such file")),
    ("external_account_file_text.json", Error(8, "no such file")),
    ("external_account_github_actions.json", StatusOnly(FEDERATED, TARGET)),
    ("external_account_openid.json", StatusOnly(FEDERATED, None)),
    ("external_account_other_universe.json", Error(9, "--universe-domain universe.example")),
    ("external_account_url_json.json", StatusOnly(FEDERATED, None)),
    ("external_account_url_text.json", StatusOnly(FEDERATED, None)),
    ("external_account_workforce_client_auth.json", Error(8, "no such file")),
    ("external_account_workforce_file.json", Error(8, "no such file")),
    ("external_account_x509.json", Error(8, "certificate_config.json")),
    ("external_account_x509_explicit_config.json", Error(8, "certificate_config.json")),
    ("gdch_service_account.json", Error(7, "without an audience")),
    ("impersonated_service_account_external_source.json", Error(8, "no such file")),
    ("impersonated_service_account_sa_source_delegates.json", Error(5, "may not act as target-sa@")),
    ("impersonated_service_account_user_source.json", Error(5, "may not act as target-sa@")),
    ("impersonated_service_account_workforce_source.json", Error(5, "may not act as target-sa@")),
    ("openid_login.json", Error(7, "cannot give access tokens of Google")),
    ("service_account.json", Token(SERVICE_ACCOUNT, 1)),
    // Signed here: there is no token endpoint for keys of other universes.
    ("service_account_other_universe.json", Token(OTHER_UNIVERSE_ACCOUNT, 0)),
    ("workforce_login_config.json", Error(8, "gauth login --login-config")),
];

fn samples_folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/credentials"))
}

/// A sandbox that lets the samples in.
fn start_sandbox() -> RunningSandbox {
    let guest = |name| AdmittedCredential::read(&samples_folder().join(name)).expect(name);
    let file = std::fs::read(samples_folder().join("service_account.json")).expect("sample");
    let file: Value = serde_json::from_slice(&file).expect("json");
    let options = SandboxOptions {
        key: file["private_key"].as_str().map(Secret::new),
        admitted: vec![
            guest("service_account.json"),
            guest("authorized_user.json"),
            guest("external_account_authorized_user.json"),
        ],
        ..SandboxOptions::default()
    };
    Sandbox::start(options).expect("sandbox")
}

fn run_gauth(sandbox: &RunningSandbox, home: &Path, subcommand: &str, name: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
    command.env_clear().env("HOME", home);
    command.env("CLOUDSDK_AUTH_TOKEN_HOST", format!("{}/token", sandbox.url()));
    for service in ["STS", "IAMCREDENTIALS"] {
        command.env(format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}"), sandbox.url());
    }
    command.args([subcommand, "--format", "json", "--credentials"]).arg(samples_folder().join(name));
    command.output().expect("gauth runs")
}

/// The requests that give tokens.
fn token_request_count(sandbox: &RunningSandbox) -> usize {
    ["token", "sts", "oauthtoken"].iter().map(|route| sandbox.request_count(route)).sum()
}

#[test]
fn every_sample_yields_a_token_or_the_expected_error() {
    let sandbox = start_sandbox();
    let home = tempfile::tempdir().expect("home");
    for (name, becomes) in SAMPLES {
        let before = token_request_count(&sandbox);
        let word = if matches!(becomes, StatusOnly(..)) { "status" } else { "token" };
        let ran = run_gauth(&sandbox, home.path(), word, name);
        let stderr = String::from_utf8_lossy(&ran.stderr);
        let requests = token_request_count(&sandbox) - before;
        match becomes {
            Token(account, expected) => {
                assert_eq!(ran.status.code(), Some(0), "{name}: {stderr}");
                let told: Value = serde_json::from_slice(&ran.stdout).expect("json");
                assert_eq!((told["account"].as_str(), requests), (*account, *expected), "{name}");
            }
            Error(code, word) => {
                assert_eq!(ran.status.code(), Some(*code), "{name}: {stderr}");
                assert!(ran.stdout.is_empty() && stderr.contains(word), "{name}: {stderr}");
                // A refusal comes after the source's own token. It and what cannot be name the account.
                assert!(*code == 5 || requests == 0, "{name}: {stderr}");
                assert!(matches!(code, 5 | 7) || stderr.contains(name), "{name}: {stderr}");
            }
            StatusOnly(kind, account) => {
                assert_eq!(ran.status.code(), Some(0), "{name}: {stderr}");
                let told: Value = serde_json::from_slice(&ran.stdout).expect("json");
                let using = &told["using"];
                assert_eq!((using["kind"].as_str(), using["account"].as_str()), (Some(*kind), *account));
                assert_eq!(requests, 0, "{name}");
            }
        }
    }
}

#[test]
fn no_sample_is_forgotten() {
    let files = std::fs::read_dir(samples_folder()).expect("folder").flatten();
    let mut names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, SAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
