//! The built program at the sandbox's STS, which is as strict as Google's.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use gauth_core::credentials::external_account::x509;
use gauth_sandbox::environment::HostEnvironment;
use gauth_sandbox::fixtures::{CLIENT_ID, DEPLOYER_ACCOUNT, WORKFORCE_PROVIDER, WORKLOAD_PROVIDER};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use serde_json::Value;

/// The sandbox, and the program in it.
struct SandboxRun(RunningSandbox);

impl SandboxRun {
    fn new() -> SandboxRun {
        let program = Some(env!("CARGO_BIN_EXE_gauth").into());
        SandboxRun(
            Sandbox::start(SandboxOptions { gauth_program: program, ..SandboxOptions::default() }).expect("a sandbox"),
        )
    }

    fn folder(&self) -> &Path {
        self.0.folder()
    }

    fn credential_json(&self, name: &str) -> Value {
        let text = std::fs::read(self.folder().join(name)).expect(name);
        serde_json::from_slice(&text).expect("JSON")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).expect(name);
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
        command.env_clear().env("HOME", self.folder()).current_dir(self.folder());
        for (name, value) in self.0.environment(&HostEnvironment::default()).expect("variables") {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.arg("exchange").args(args).stdin(Stdio::null()).output().expect("gauth runs")
    }

    #[track_caller]
    fn run_json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--format", "json"]].concat());
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice(&ran.stdout).expect("JSON")
    }
}

#[test]
fn every_kind_of_subject_token_is_exchanged() {
    let inside = SandboxRun::new();
    for (subject, words) in [
        ("@subject_token.txt", vec!["--audience", WORKLOAD_PROVIDER]),
        ("@subject_token.txt", vec!["--audience", WORKLOAD_PROVIDER, "--subject-token-type", "id_token"]),
        ("@saml_response.txt", vec!["--audience", WORKLOAD_PROVIDER, "--subject-token-type", "saml2"]),
        ("@workforce_token.txt", vec!["--audience", WORKFORCE_PROVIDER, "--subject-token-type", "id_token"]),
    ] {
        let json = inside.run_json(&[&["--subject-token", subject], words.as_slice()].concat());
        assert!(json["token"].as_str().is_some_and(|token| token.starts_with("ya29.")), "{words:?}");
        assert_eq!(json["issued_token_type"], super::ACCESS_TOKEN_TYPE);
    }
}

#[test]
fn gauths_own_token_is_downscoped_and_a_principal_impersonates_a_service_account() {
    let inside = SandboxRun::new();
    inside.write("boundary.json", include_str!("../../data/credentials/credential_access_boundary.json"));
    let narrow = ["--subject-credentials", "--options", "@boundary.json"];
    inside.run_json(&narrow);
    let (minted, exchanged) = (inside.0.request_count("token"), inside.0.request_count("sts"));
    inside.run_json(&narrow);
    assert_eq!((inside.0.request_count("token") - minted, inside.0.request_count("sts") - exchanged), (0, 1));
    let json = inside.run_json(&[
        "--subject-token-file",
        "subject_token.txt",
        "--audience",
        WORKLOAD_PROVIDER,
        "--impersonate-service-account",
        DEPLOYER_ACCOUNT,
        "--scopes",
        "devstorage.read_only",
        "--lifetime",
        "20m",
    ]);
    assert_eq!(json["account"], DEPLOYER_ACCOUNT);
    assert_eq!(json["scopes"][0], "https://www.googleapis.com/auth/devstorage.read_only");
    assert!(json["expires_in"].as_i64().is_some_and(|left| (1100..=1200).contains(&left)), "{json}");
}

#[test]
fn a_certificate_is_subject_token_and_client_certificate_at_once() {
    let inside = SandboxRun::new();
    let endpoint = inside.credential_json("external_account_x509.json")["token_url"].clone();
    let read = |name: &str| std::fs::read(inside.folder().join(name)).expect(name);
    let subject = x509::subject_token(&read("client.pem"), Some(&read("ca.pem"))).expect("a chain");
    inside.write("chain.json", &subject);
    let words = [
        "--subject-token",
        "@chain.json",
        "--subject-token-type",
        "mtls",
        "--audience",
        WORKLOAD_PROVIDER,
        "--endpoint",
        endpoint.as_str().expect("a URL"),
        "--requested-token-type",
        "access_token",
        "--scopes",
        "https://www.googleapis.com/auth/cloud-platform",
        "--ca-file",
        "ca.pem",
    ];
    let shown = ["--client-certificate", "client.pem", "--client-key", "client.key"];
    assert_eq!(inside.run_json(&[words.as_slice(), &shown].concat())["source"], "exchange");
    // Whoever has the certificate but not its key has nothing.
    let ran = inside.run(&words);
    assert_eq!(ran.status.code(), Some(5), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_workforce_login_is_refreshed_by_its_client_only() {
    let inside = SandboxRun::new();
    let login = inside.credential_json("external_account_authorized_user.json");
    inside.write("login", login["refresh_token"].as_str().expect("a token"));
    inside.write("secret", login["client_secret"].as_str().expect("a secret"));
    let words = ["--refresh-token", "@login", "--client-id", CLIENT_ID];
    inside.run_json(&[words.as_slice(), &["--client-secret", "@secret"]].concat());
    let ran = inside.run(&[words.as_slice(), &["--client-secret", "@login"]].concat());
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(5), "{errors}");
    assert!(errors.contains("invalid_client") && errors.contains("--client-secret"), "{errors}");
}

#[test]
fn refusals_lead_to_the_flag_at_fault() {
    let inside = SandboxRun::new();
    let wrong = format!("{WORKLOAD_PROVIDER}x");
    for (words, code, hint) in [
        (["--subject-token", "@subject_token.txt", "--audience", &wrong], "invalid_target", "audience"),
        (
            ["--subject-token", "@workforce_token.txt", "--audience", WORKLOAD_PROVIDER],
            "invalid_grant",
            "the token from workforce_token.txt",
        ),
        (["--subject-token", "@subject_token.txt", "--scopes", "x"], "invalid_request", "subject_token.txt"),
    ] {
        let ran = inside.run(&words);
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(5), 0), "{errors}");
        assert!(errors.contains(code) && errors.contains(hint), "{errors}");
    }
}
