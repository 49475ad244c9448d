//! Logins with a workforce pool, at an OpenID provider and on another device: the built program against the sandbox.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{PendingLogin, SandboxHome, allow_consent, query_parameters, redirect_of_consent, run, share_machine};
use crate::browser::{ALLOW, ConsentChoice, get_page, submit_consent};

const WORKFORCE_PROVIDER: &str = "locations/global/workforcePools/sandbox-workforce/providers/sandbox-idp";
const WORKLOAD_PROVIDER: &str = "projects/123456789012/locations/global/workloadIdentityPools/sandbox-pool/\
                        providers/sandbox-provider";

impl SandboxHome {
    fn issuer(&self) -> String {
        format!("{}/oidc", self.sandbox.url())
    }

    /// `gauth login` with these arguments and this client file of the sandbox.
    fn login_with_client(&self, args: &[&str], name: &str) -> Command {
        let mut command = self.login_command(args);
        command.env("GAUTH_CLIENT_ID_FILE", self.sandbox.file(name));
        command
    }

    /// `gauth` with these arguments, which finds no credential but the stored login.
    fn token_command(&self, args: &[&str]) -> Command {
        let mut command = self.gauth_command(super::CredentialKind::Metadata, args);
        command.env_remove("GCE_METADATA_HOST").env("NO_GCE_CHECK", "true");
        command
    }

    /// The stored login of this credential type.
    fn stored_login(&self, kind: &str) -> Value {
        let folder = self.config_folder().join("accounts");
        let files = super::file_names(&folder).into_iter().filter(|name| name.ends_with(".json"));
        let files = files.map(|name| std::fs::read(folder.join(name)).unwrap());
        let mut logins = files.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
        logins.find(|login| login["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }
}

/// The user code that the login shows.
fn shown_user_code(login: &PendingLogin) -> String {
    loop {
        let line = login.lines.recv_timeout(Duration::from_secs(30)).expect("a code");
        if let Some(code) = line.strip_prefix("  ") {
            return code.to_owned();
        }
    }
}

#[test]
fn a_workforce_pool_user_signs_in() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let config = stage.sandbox.file("login_config.json");
    let words = ["--no-launch-browser", "-vv", "--login-config", config.to_str().unwrap()];
    let mut command = stage.login_command(&words);
    // The client of gcloud's properties is used without a client file.
    command
        .env_remove("GAUTH_CLIENT_ID_FILE")
        .env("CLOUDSDK_AUTH_CLIENT_ID", gauth_sandbox::fixtures::CLIENT_ID)
        .env("CLOUDSDK_AUTH_CLIENT_SECRET", stage.sandbox.fixtures().client_secret.expose());
    let login = stage.start_login(command);
    let asked = query_parameters(&login.authorization_url);
    assert_eq!(asked["provider_name"], WORKFORCE_PROVIDER);
    assert!(!asked.contains_key("access_type") && !asked.contains_key("prompt"), "{asked:?}");
    let back = allow_consent(&login.authorization_url);
    assert_eq!(get_page(&back).status, 200);
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    let principal = format!("/subject/{}\n", super::ADA);
    assert!(ended.stdout.ends_with(&principal), "{ended:?}");
    let stored = stage.stored_login("external_account_authorized_user");
    assert_eq!(stored["audience"], format!("//iam.googleapis.com/{WORKFORCE_PROVIDER}"));
    let mut secrets = stage.secrets();
    secrets.push(stored["refresh_token"].as_str().unwrap().to_owned());
    secrets.push(query_parameters(&back)["code"].clone());
    assert_eq!(super::super::find_leaked_secret(ended.stderr.as_bytes(), &secrets), None, "{}", ended.stderr);
    let token = run(stage.token_command(&["token"])).printed_token();
    assert!(token.starts_with("ya29.d."), "{token}");
    // The file is that of gcloud's property, and the account is the subject at the provider.
    let mut command = stage.login_command(&["--no-launch-browser", "--account", super::ADA]);
    command.env("CLOUDSDK_AUTH_LOGIN_CONFIG_FILE", &config);
    let login = stage.start_login(command);
    assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
    assert_eq!(login.wait().exit_code, 0);
    let mut command = stage.login_command(&["--no-launch-browser", "--account", "carol@example.com"]);
    command.env("CLOUDSDK_AUTH_LOGIN_CONFIG_FILE", &config);
    let login = stage.start_login(command);
    // The requested user is Carol, and Ada signs in.
    get_page(&allow_consent(&login.authorization_url));
    assert_eq!(login.wait().exit_code, 4);
}

#[test]
fn a_user_of_an_oidc_provider_signs_in_through_a_pool() {
    let _beside = share_machine();
    for (client, name) in
        [("client_oidc.json", WORKLOAD_PROVIDER), ("client_oidc_confidential.json", WORKFORCE_PROVIDER)]
    {
        let stage = SandboxHome::new(&[]);
        let issuer = stage.issuer();
        let words = ["--no-launch-browser", "--issuer", &issuer, "--workload-identity-provider", name];
        let login = stage.start_login(stage.login_with_client(&words, client));
        let asked = query_parameters(&login.authorization_url);
        assert_eq!((&*asked["scope"], &*asked["prompt"]), ("openid email offline_access", "consent"));
        assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
        let ended = login.wait();
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        let token = run(stage.token_command(&["token"])).printed_token();
        assert!(token.starts_with("ya29.d."), "{token}");
        // After the stored ID token expires, the next one is requested, and the rotated refresh token is stored.
        let mut stored = stage.stored_login("external_account");
        let session = &mut stored["credential_source"]["openid"];
        let first = session["refresh_token"].as_str().unwrap().to_owned();
        session.as_object_mut().unwrap().remove("id_token");
        let pool = name.split('/').rev().nth(2).unwrap();
        let file = stage.config_folder().join(format!("accounts/{pool}%2Fada@example.com.json"));
        std::fs::write(&file, stored.to_string()).unwrap();
        run(stage.token_command(&["token", "--refresh"])).printed_token();
        run(stage.token_command(&["token", "--refresh"])).printed_token();
        let last = stage.stored_login("external_account");
        assert_ne!(last["credential_source"]["openid"]["refresh_token"], first);
        assert_eq!(stage.sandbox.request_count("oidc-token"), 3);
        let ended = run(stage.token_command(&["logout"]));
        assert_eq!((ended.exit_code, stage.sandbox.request_count("oidc-revoke")), (0, 1), "{ended:?}");
    }
}

#[test]
fn a_user_of_an_oidc_provider_without_a_pool_gets_id_tokens() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let issuer = stage.issuer();
    let words = ["--no-launch-browser", "--issuer", &issuer];
    let login = stage.start_login(stage.login_with_client(&words, "client_oidc.json"));
    assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
    assert_eq!(login.wait().exit_code, 0);
    let ended = run(stage.token_command(&["id-token"]));
    assert_eq!(ended.stdout.trim_end().split('.').count(), 3, "{ended:?}");
    assert_eq!(run(stage.token_command(&["token"])).exit_code, 7);
    // A denied and a forged response do not replace the stored login.
    let login = stage.start_login(stage.login_with_client(&words, "client_oidc.json"));
    get_page(&redirect_of_consent(&login.authorization_url, ConsentChoice { button: "deny", ..ALLOW }));
    assert_eq!(login.wait().exit_code, 5);
    let forged = SandboxHome::new(&["oidc-authorize=wrong-issuer"]);
    let issuer = forged.issuer();
    let words = ["--no-launch-browser", "--wait", "2s", "--issuer", &issuer];
    let login = forged.start_login(forged.login_with_client(&words, "client_oidc.json"));
    assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 404);
    assert_eq!(login.wait().exit_code, 6);
    forged.assert_no_login();
}

#[test]
fn an_error_names_the_provider_with_invalid_responses() {
    let _beside = share_machine();
    for (fault, code) in [("html", 6), ("redirect", 6), ("404", 5), ("array", 6), ("close", 6)] {
        let stage = SandboxHome::new(&[&format!("oidc-discovery={fault}")]);
        let issuer = stage.issuer();
        let ended = run(stage.login_with_client(&["--issuer", &issuer], "client_oidc.json"));
        assert_eq!(ended.exit_code, code, "{fault}: {ended:?}");
        let (message, _) = ended.error_and_hint();
        assert!(message.contains("127.0.0.1"), "{fault}: {message}");
        stage.assert_no_login();
    }
    // The metadata is of Google's issuer, not of the sandbox.
    let stage = SandboxHome::new(&[]);
    let ended = run(stage.login_with_client(&["--issuer", stage.sandbox.url()], "client_oidc.json"));
    assert_eq!(ended.exit_code, 9, "{ended:?}");
}

#[test]
fn a_device_signs_in_at_google() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["device-code=slow-down"]);
    let words = ["--device", "--scopes", "openid,email", "-vv"];
    let login = stage.start_login(stage.login_with_client(&words, "client_secret_device.json"));
    assert_eq!(login.authorization_url, format!("{}/device", stage.sandbox.url()));
    let code = shown_user_code(&login);
    let page = submit_consent(&format!("{}?user_code={code}", login.authorization_url), ALLOW);
    assert_eq!(page.status, 200);
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert_eq!(ended.stdout, "signed in as ada@example.com, scopes email, openid\n");
    assert!(ended.duration >= Duration::from_secs(7), "{ended:?}");
    let stored = stage.own_login(super::ADA).expect("a login");
    let mut secrets = stage.secrets();
    secrets.push(stage.sandbox.fixtures().device_client_secret.expose().to_owned());
    secrets.push(stored["refresh_token"].as_str().unwrap().to_owned());
    let forms = stage.sandbox.requests().into_iter().filter_map(|logged| logged.request.form());
    let codes = forms.flatten().filter(|(name, _)| name == "device_code");
    secrets.extend(codes.map(|(_, value)| value));
    assert_eq!(super::super::find_leaked_secret(ended.stderr.as_bytes(), &secrets), None, "{}", ended.stderr);
}

#[test]
fn a_device_signs_in_at_an_oidc_provider_or_is_denied() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let issuer = stage.issuer();
    let words = ["--device", "--issuer", &issuer];
    for (client, choice, code) in [
        ("client_oidc.json", ALLOW, 0),
        ("client_oidc_confidential.json", ALLOW, 0),
        ("client_oidc.json", ConsentChoice { button: "deny", ..ALLOW }, 5),
    ] {
        let login = stage.start_login(stage.login_with_client(&words, client));
        let user_code = shown_user_code(&login);
        submit_consent(&format!("{}?user_code={user_code}", login.authorization_url), choice);
        let ended = login.wait();
        assert_eq!(ended.exit_code, code, "{client}: {ended:?}");
    }
    let brief = SandboxHome::new(&["device-code=brief"]);
    let words = ["--device", "--scopes", "openid"];
    let ended = run(brief.login_with_client(&words, "client_secret_device.json"));
    assert_eq!(ended.exit_code, 6, "{ended:?}");
    assert!(ended.stderr.contains("the code expired before it was entered"), "{}", ended.stderr);
    let ended = run(brief.login_with_client(&words, "client_secret.json"));
    assert_eq!(ended.exit_code, 5, "{ended:?}");
    assert!(ended.stderr.contains("TVs and Limited Input devices"), "{}", ended.stderr);
    brief.assert_no_login();
}
