//! A sample of every kind of file Google's tools write, given to the built program beside a sandbox that knows them.

use std::path::Path;
use std::process::{Command, Output};

use gauth::secret::Secret;
use gauth::server::sandbox::guest::Guest;
use gauth::server::sandbox::{Options, Running, Sandbox};
use serde_json::Value;

/// What becomes of each sample: the account of its token and the requests it took, or the exit code and a word of
/// the error.
enum Becomes {
    Token(Option<&'static str>, usize),
    Error(i32, &'static str),
}
use Becomes::{Error, Token};

const ROBOT: Option<&str> = Some("example-sa@example-project.iam.gserviceaccount.com");

const FOREIGNER: Option<&str> =
    Some("example-sa@example-project.iam.universe-serviceaccounts.example");

const SAMPLES: &[(&str, Becomes)] = &[
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
    ("external_account_authorized_user.json", UNREAD),
    ("external_account_authorized_user_saved_token.json", UNREAD),
    ("external_account_aws_env_only.json", UNREAD),
    ("external_account_aws_imdsv1.json", UNREAD),
    ("external_account_aws_imdsv2.json", UNREAD),
    ("external_account_azure.json", UNREAD),
    ("external_account_executable.json", UNREAD),
    ("external_account_executable_interactive_workforce.json", UNREAD),
    ("external_account_file_json.json", UNREAD),
    ("external_account_file_saml.json", UNREAD),
    ("external_account_file_text.json", UNREAD),
    ("external_account_github_actions.json", UNREAD),
    ("external_account_other_universe.json", UNREAD),
    ("external_account_url_json.json", UNREAD),
    ("external_account_url_text.json", UNREAD),
    ("external_account_workforce_client_auth.json", UNREAD),
    ("external_account_workforce_file.json", UNREAD),
    ("external_account_x509.json", UNREAD),
    ("external_account_x509_explicit_config.json", UNREAD),
    ("gdch_service_account.json", UNREAD),
    ("impersonated_service_account_external_source.json", UNREAD),
    ("impersonated_service_account_sa_source_delegates.json", UNREAD),
    ("impersonated_service_account_user_source.json", UNREAD),
    ("impersonated_service_account_workforce_source.json", UNREAD),
    ("service_account.json", Token(ROBOT, 1)),
    // Signed here: there is no token endpoint for keys of other universes.
    ("service_account_other_universe.json", Token(FOREIGNER, 0)),
    ("workforce_login_config.json", Error(8, "known are")),
];

const UNREAD: Becomes = Error(7, "not read by this version");

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/credentials"))
}

/// A sandbox that lets the samples in.
fn sandbox() -> Running {
    let guest = |name| Guest::read(&folder().join(name)).expect(name);
    let file = std::fs::read(folder().join("service_account.json")).expect("sample");
    let file: Value = serde_json::from_slice(&file).expect("json");
    let options = Options {
        key: file["private_key"].as_str().map(Secret::new),
        guests: vec![guest("service_account.json"), guest("authorized_user.json")],
        ..Options::default()
    };
    Sandbox::start(options).expect("sandbox")
}

fn gauth(sandbox: &Running, home: &Path, name: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
    command.env_clear().env("HOME", home);
    command.env("CLOUDSDK_AUTH_TOKEN_HOST", format!("{}/token", sandbox.url()));
    command.args(["token", "--format", "json", "--credentials"]).arg(folder().join(name));
    command.output().expect("gauth runs")
}

#[test]
fn every_sample_gives_a_token_or_says_why_not() {
    let sandbox = sandbox();
    let home = tempfile::tempdir().expect("home");
    for (name, becomes) in SAMPLES {
        let before = sandbox.count("token");
        let ran = gauth(&sandbox, home.path(), name);
        let stderr = String::from_utf8_lossy(&ran.stderr);
        let requests = sandbox.count("token") - before;
        match becomes {
            Token(account, expected) => {
                assert_eq!(ran.status.code(), Some(0), "{name}: {stderr}");
                let told: Value = serde_json::from_slice(&ran.stdout).expect("json");
                assert_eq!((told["account"].as_str(), requests), (*account, *expected), "{name}");
            }
            Error(code, word) => {
                assert_eq!(ran.status.code(), Some(*code), "{name}: {stderr}");
                assert!(ran.stdout.is_empty() && stderr.contains(word), "{name}: {stderr}");
                assert!(stderr.contains(name) && requests == 0, "{name}: {stderr}");
            }
        }
    }
}

#[test]
fn no_sample_is_forgotten() {
    let files = std::fs::read_dir(folder()).expect("folder").flatten();
    let mut names: Vec<String> =
        files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, SAMPLES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
