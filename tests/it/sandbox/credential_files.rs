//! The credential files of the folder: each names what is there, and its subject token is good.

use std::path::Path;

use gauth_sandbox::environment::{DefaultCredential, HostEnvironment};
use gauth_sandbox::fixtures::{
    CLIENT_ID, CONFIDENTIAL_CLIENT_ID, DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT, DEPLOYER_ACCOUNT, DEVICE_CLIENT_ID,
    PUBLIC_CLIENT_ID, WEB_CLIENT_ID, WEB_REDIRECT_URI, WORKFORCE_PROVIDER,
};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions};
use serde_json::Value;

use super::sts::{ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE_GRANT_TYPE};
use super::{post_form, start_sandbox, text_field};

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text_of(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The status of an exchange of this token as the file says.
fn exchange_status(sandbox: &RunningSandbox, file: &Value, token: &str) -> u16 {
    let fields = [
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("audience", text_field(file, "audience")),
        ("scope", gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token", token),
        ("subject_token_type", text_field(file, "subject_token_type")),
    ];
    let path = text_field(file, "token_url").strip_prefix(sandbox.url()).unwrap().to_owned();
    post_form(sandbox, &path, &fields).status
}

#[test]
fn subject_tokens_of_files_are_good() {
    let (sandbox, _) = start_sandbox(&[]);
    for name in [
        "external_account_file.json",
        "external_account_json.json",
        "external_account_saml.json",
        "external_account_workforce.json",
        "external_account_workforce_client.json",
        "external_account_impersonated.json",
    ] {
        let file = read_json(&sandbox.file(name));
        let source = &file["credential_source"];
        let mut token = text_of(text_field(source, "file"));
        if let Some(field) = source["format"]["subject_token_field_name"].as_str() {
            token = text_field(&serde_json::from_str(&token).unwrap(), field).to_owned();
        }
        assert_eq!(exchange_status(&sandbox, &file, &token), 200, "{name}");
    }
    let file = read_json(&sandbox.file("external_account_workforce.json"));
    assert_eq!(text_field(&file, "audience"), WORKFORCE_PROVIDER);
    assert!(file["workforce_pool_user_project"].is_string());
    let file = read_json(&sandbox.file("external_account_workforce_client.json"));
    assert!(file["client_id"].is_string() && file["client_secret"].is_string());
}

#[test]
fn urls_of_files_are_the_sandboxs_own() {
    let (sandbox, _) = start_sandbox(&[]);
    let file = read_json(&sandbox.file("external_account_url.json"));
    let source = &file["credential_source"];
    let path = text_field(source, "url").strip_prefix(sandbox.url()).unwrap();
    let headers = format!("Authorization: {}\r\n", text_field(&source["headers"], "Authorization"));
    let answer = super::send_to_sandbox(&sandbox, "GET", path, &headers, "").json();
    let token = text_field(&answer, text_field(&source["format"], "subject_token_field_name"));
    assert_eq!(exchange_status(&sandbox, &file, token), 200);
    let source = read_json(&sandbox.file("external_account_aws.json"))["credential_source"].clone();
    for name in ["region_url", "url"] {
        let path = text_field(&source, name).strip_prefix(sandbox.url()).unwrap().to_owned();
        assert_eq!(super::get_path(&sandbox, &path).status, 200, "{name}");
    }
    let path = text_field(&source, "imdsv2_session_token_url").strip_prefix(sandbox.url()).unwrap();
    let headers = "X-aws-ec2-metadata-token-ttl-seconds: 300\r\n";
    assert_eq!(super::send_to_sandbox(&sandbox, "PUT", path, headers, "").status, 200);
}

#[cfg(unix)]
#[test]
fn the_executable_prints_a_token_for_the_requested_audience() {
    let (sandbox, _) = start_sandbox(&[]);
    let file = read_json(&sandbox.file("external_account_executable.json"));
    let program = text_field(&file["credential_source"]["executable"], "command");
    let run = |audience: &str| -> Value {
        let output = std::process::Command::new(program)
            .env("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", audience)
            .env("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", text_field(&file, "subject_token_type"))
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let good = run(text_field(&file, "audience"));
    assert_eq!((good["version"].as_i64(), good["success"].as_bool()), (Some(1), Some(true)));
    assert_eq!(exchange_status(&sandbox, &file, text_field(&good, "id_token")), 200);
    let bad = run("//iam.googleapis.com/other");
    assert_eq!((bad["success"].as_bool(), text_field(&bad, "code")), (Some(false), "400"));
}

#[test]
fn the_other_credential_files_name_existing_accounts() {
    let (sandbox, _) = start_sandbox(&[]);
    let x509 = read_json(&sandbox.file("external_account_x509.json"));
    assert_eq!(text_field(&x509, "token_url"), format!("{}/v1/token", sandbox.tls_url()));
    let certificate = &x509["credential_source"]["certificate"];
    let config = read_json(text_field(certificate, "certificate_config_location").as_ref());
    let pair = &config["cert_configs"]["workload"];
    assert!(text_of(text_field(pair, "cert_path")).starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(text_of(text_field(pair, "key_path")).starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(text_of(text_field(certificate, "trust_chain_path")).contains("CERTIFICATE"));
    let gdch = read_json(&sandbox.file("gdch_service_account.json"));
    assert_eq!(text_field(&gdch, "token_uri"), format!("{}/authenticate", sandbox.tls_url()));
    assert!(Path::new(text_field(&gdch, "ca_cert_path")).exists());
    assert_eq!((text_field(&gdch, "format_version"), gdch["private_key"].is_string()), ("1", true));
    let login = read_json(&sandbox.file("external_account_authorized_user.json"));
    assert_eq!(text_field(&login, "token_url"), format!("{}/v1/oauthtoken", sandbox.url()));
    let target = |account: &str| {
        let root = "/v1/projects/-/serviceAccounts/";
        format!("{}{root}{account}:generateAccessToken", sandbox.url())
    };
    for (name, account, through, source) in [
        ("impersonated_service_account.json", DEPLOYER_ACCOUNT, None, "authorized_user"),
        ("impersonated_delegates.json", DELEGATION_TARGET_ACCOUNT, Some(DELEGATE_ACCOUNT), "service_account"),
    ] {
        let file = read_json(&sandbox.file(name));
        assert_eq!(text_field(&file, "service_account_impersonation_url"), target(account));
        assert_eq!(text_field(&file["source_credentials"], "type"), source);
        let through = through.map(|account| format!("projects/-/serviceAccounts/{account}"));
        assert_eq!(file["delegates"][0].as_str(), through.as_deref());
    }
    let acting = read_json(&sandbox.file("external_account_impersonated.json"));
    assert_eq!(text_field(&acting, "service_account_impersonation_url"), target(DEPLOYER_ACCOUNT));
}

#[test]
fn the_login_client_files_are_there() {
    let (sandbox, _) = start_sandbox(&[]);
    let cast = sandbox.fixtures();
    let outside = cast.external.client_secret.expose();
    for (name, root, id, secret, redirects) in [
        ("client_secret.json", "installed", CLIENT_ID, Some(cast.client_secret.expose()), "http://localhost"),
        ("client_secret_web.json", "web", WEB_CLIENT_ID, Some(cast.web_client_secret.expose()), WEB_REDIRECT_URI),
        ("client_secret_device.json", "installed", DEVICE_CLIENT_ID, Some(cast.device_client_secret.expose()), ""),
        ("client_oidc.json", "installed", PUBLIC_CLIENT_ID, None, "http://localhost"),
        ("client_oidc_confidential.json", "installed", CONFIDENTIAL_CLIENT_ID, Some(outside), "http://localhost"),
    ] {
        let file = read_json(&sandbox.file(name));
        let client = &file[root];
        assert_eq!(text_field(client, "client_id"), id);
        assert_eq!(client["client_secret"].as_str(), secret, "{name}");
        assert_eq!(client["redirect_uris"][0].as_str().unwrap_or_default(), redirects);
        for name in ["auth_uri", "token_uri"] {
            let path = text_field(client, name).strip_prefix(sandbox.url()).unwrap();
            assert_ne!(super::get_path(&sandbox, path).status, 404, "{name}");
        }
    }
    let config = read_json(&sandbox.file("login_config.json"));
    assert_eq!(text_field(&config, "type"), "external_account_authorized_user_login_config");
    assert_eq!(text_field(&config, "audience"), WORKFORCE_PROVIDER);
    for name in ["auth_url", "token_url", "token_info_url"] {
        let path = text_field(&config, name).strip_prefix(sandbox.url()).unwrap();
        assert_ne!(super::get_path(&sandbox, path).status, 404, "{name}");
    }
    let environment = sandbox.environment(&HostEnvironment::default()).unwrap();
    let named = environment.iter().find(|(name, _)| *name == "GAUTH_CLIENT_ID_FILE").unwrap();
    assert_eq!(named.1.as_deref(), Some(sandbox.file("client_secret.json").as_os_str()));
    assert_eq!(sandbox.request_count(""), 0);
}

#[test]
fn every_default_credential_is_there() {
    let (ours, _) = start_sandbox(&[]);
    let mut named = 0;
    for first in &DefaultCredential::ALL {
        let key = gauth_core::text::secret::Secret::new(ours.fixtures().service_account_pem.expose());
        let options = SandboxOptions { key: Some(key), default_credential: *first, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).unwrap();
        for (name, value) in sandbox.environment(&HostEnvironment::default()).unwrap() {
            let file = ["GOOGLE_APPLICATION_CREDENTIALS", "SSL_CERT_FILE"].contains(&name);
            if let Some(value) = value.filter(|_| file) {
                assert!(Path::new(&value).exists(), "{first:?}: {value:?}");
                named += 1;
            }
        }
    }
    assert_eq!(named, DefaultCredential::ALL.len() - 3 + 1);
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let (sandbox, _) = start_sandbox(&[]);
    let mut count = 0;
    for entry in std::fs::read_dir(sandbox.folder()).unwrap() {
        let about = std::fs::metadata(entry.unwrap().path()).unwrap();
        assert_eq!(about.permissions().mode() & 0o077, 0);
        count += 1;
    }
    assert!(count > 20, "{count} files");
}
