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
    /// Named with the sample's file, and before any request for a token.
    Error(i32, &'static str),
    /// By a server that does not know whom or what the sample names.
    Refused(&'static str),
}
use Becomes::{Error, Refused, Token};

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
    ("external_account_authorized_user.json", Token(None, 1)),
    ("external_account_authorized_user_saved_token.json", Token(None, 1)),
    ("external_account_aws_env_only.json", Error(8, "there is no region of AWS")),
    ("external_account_aws_imdsv1.json", Refused("invalid_target")),
    ("external_account_aws_imdsv2.json", Refused("invalid_target")),
    ("external_account_azure.json", Refused("check url and headers of credential_source")),
    ("external_account_executable.json", Error(8, "programs are not read yet")),
    (
        "external_account_executable_interactive_workforce.json",
        Error(8, "programs are not read yet"),
    ),
    ("external_account_file_json.json", Error(8, "there is no such file")),
    ("external_account_file_saml.json", Error(8, "there is no such file")),
    ("external_account_file_text.json", Error(8, "there is no such file")),
    ("external_account_github_actions.json", Refused("check url and headers of credential_source")),
    ("external_account_other_universe.json", Error(9, "--universe-domain universe.example")),
    ("external_account_url_json.json", Refused("check url and headers of credential_source")),
    ("external_account_url_text.json", Refused("check url and headers of credential_source")),
    ("external_account_workforce_client_auth.json", Error(8, "there is no such file")),
    ("external_account_workforce_file.json", Error(8, "there is no such file")),
    ("external_account_x509.json", Error(8, "certificate_config.json")),
    ("external_account_x509_explicit_config.json", Error(8, "/etc/gauth/certificate_config.json")),
    // Its tokens are for an audience each.
    ("gdch_service_account.json", Refused("--audience https://SERVICE")),
    ("impersonated_service_account_external_source.json", Error(8, "there is no such file")),
    ("impersonated_service_account_sa_source_delegates.json", Refused("check the name target-sa@")),
    ("impersonated_service_account_user_source.json", Refused("check the name target-sa@")),
    ("impersonated_service_account_workforce_source.json", Refused("check the name target-sa@")),
    ("service_account.json", Token(ROBOT, 1)),
    // Signed here: there is no token endpoint for keys of other universes.
    ("service_account_other_universe.json", Token(FOREIGNER, 0)),
    ("workforce_login_config.json", Error(8, "known are")),
];

/// Where the samples have subject tokens from, besides files: the sandbox stands there instead.
const ELSEWHERE: &[&str] =
    &["http://169.254.169.254", "http://127.0.0.1:5000", "https://pipelines.actions.example.com"];

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
        guests: vec![
            guest("service_account.json"),
            guest("authorized_user.json"),
            guest("external_account_authorized_user.json"),
        ],
        ..Options::default()
    };
    Sandbox::start(options).expect("sandbox")
}

/// Runs gauth with a copy of the sample that names nothing outside the machine; the services of Google's are moved
/// by variables.
fn gauth(sandbox: &Running, home: &Path, name: &str) -> Output {
    let sample = std::fs::read_to_string(folder().join(name)).expect(name);
    let copy = home.join(name);
    let moved = ELSEWHERE.iter().fold(sample, |text, place| text.replace(place, sandbox.url()));
    std::fs::write(&copy, moved).expect("a copy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
    command.env_clear().env("HOME", home);
    command.env("CLOUDSDK_AUTH_TOKEN_HOST", format!("{}/token", sandbox.url()));
    for service in ["STS", "IAMCREDENTIALS"] {
        let name = format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}");
        command.env(name, format!("{}/", sandbox.url()));
    }
    command.args(["token", "--format", "json", "--credentials"]).arg(copy);
    command.output().expect("gauth runs")
}

#[test]
fn every_sample_gives_a_token_or_says_why_not() {
    let sandbox = sandbox();
    let home = tempfile::tempdir().expect("home");
    let asked = || sandbox.count("token") + sandbox.count("oauthtoken");
    for (name, becomes) in SAMPLES {
        let before = asked();
        let ran = gauth(&sandbox, home.path(), name);
        let stderr = String::from_utf8_lossy(&ran.stderr);
        let requests = asked() - before;
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
            Refused(word) => {
                let code = ran.status.code().expect("a code");
                assert!(code == 5 || code == 7, "{name}: {stderr}");
                assert!(ran.stdout.is_empty() && stderr.contains(word), "{name}: {stderr}");
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
