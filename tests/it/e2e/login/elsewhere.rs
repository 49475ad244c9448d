//! Signing in at other places than Google, and with another device's browser: the built program and the whole sandbox.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Asking, Stage, allow, beside, press, query, run, visit};
use crate::support::browser::{ALLOW, Choice, decide};

const POOL: &str = "locations/global/workforcePools/sandbox-workforce/providers/sandbox-idp";
const WORKLOAD: &str = "projects/123456789012/locations/global/workloadIdentityPools/sandbox-pool/\
                        providers/sandbox-provider";

impl Stage {
    fn issuer(&self) -> String {
        format!("{}/oidc", self.google.url())
    }

    /// A client file of the sandbox's.
    fn with_client(&self, words: &[&str], name: &str) -> Command {
        let mut command = self.sign_in(words);
        command.env("GAUTH_CLIENT_ID_FILE", self.google.file(name));
        command
    }

    /// What is used when nobody says more.
    fn afterwards(&self, words: &[&str]) -> Command {
        let mut command = self.gauth(super::Kind::Metadata, words);
        command.env_remove("GCE_METADATA_HOST").env("NO_GCE_CHECK", "true");
        command
    }

    /// The stored login of this type.
    fn stored(&self, kind: &str) -> Value {
        let folder = self.own().join("accounts");
        let files = super::names(&folder).into_iter().filter(|name| name.ends_with(".json"));
        let files = files.map(|name| std::fs::read(folder.join(name)).unwrap());
        let mut logins = files.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
        logins.find(|login| login["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }
}

/// The code that a device shows.
fn user_code(login: &Asking) -> String {
    loop {
        let line = login.lines.recv_timeout(Duration::from_secs(30)).expect("a code");
        if let Some(code) = line.strip_prefix("  ") {
            return code.to_owned();
        }
    }
}

#[test]
fn a_person_of_a_workforce_pool_signs_in() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let config = stage.google.file("login_config.json");
    let words = ["--no-launch-browser", "-vv", "--login-config", config.to_str().unwrap()];
    let mut command = stage.sign_in(&words);
    // gcloud's client, where no file is named.
    command
        .env_remove("GAUTH_CLIENT_ID_FILE")
        .env("CLOUDSDK_AUTH_CLIENT_ID", gauth::server::sandbox::cast::CLIENT_ID)
        .env("CLOUDSDK_AUTH_CLIENT_SECRET", stage.google.cast().client_secret.expose());
    let login = stage.asking(command);
    let asked = query(&login.url);
    assert_eq!(asked["provider_name"], POOL);
    assert!(!asked.contains_key("access_type") && !asked.contains_key("prompt"), "{asked:?}");
    let back = allow(&login.url);
    assert_eq!(visit(&back).status, 200);
    let ended = login.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    let principal = format!("/subject/{}\n", super::ADA);
    assert!(ended.out.ends_with(&principal), "{ended:?}");
    let stored = stage.stored("external_account_authorized_user");
    assert_eq!(stored["audience"], format!("//iam.googleapis.com/{POOL}"));
    let mut secrets = stage.secrets();
    secrets.push(stored["refresh_token"].as_str().unwrap().to_owned());
    secrets.push(query(&back)["code"].clone());
    assert_eq!(super::super::leaked(ended.err.as_bytes(), &secrets), None, "{}", ended.err);
    let token = run(stage.afterwards(&["token"])).token();
    assert!(token.starts_with("ya29.d."), "{token}");
    // The same file, named as gcloud names it, and the person by the name they have there.
    let mut command = stage.sign_in(&["--no-launch-browser", "--account", super::ADA]);
    command.env("CLOUDSDK_AUTH_LOGIN_CONFIG_FILE", &config);
    let login = stage.asking(command);
    assert_eq!(visit(&allow(&login.url)).status, 200);
    assert_eq!(login.end().code, 0);
    let mut command = stage.sign_in(&["--no-launch-browser", "--account", "carol@example.com"]);
    command.env("CLOUDSDK_AUTH_LOGIN_CONFIG_FILE", &config);
    let login = stage.asking(command);
    // The page knows no Carol, and Ada presses the button.
    visit(&allow(&login.url));
    assert_eq!(login.end().code, 4);
}

#[test]
fn a_person_of_another_provider_comes_in_by_a_pool() {
    let _beside = beside();
    for (client, name) in [("client_oidc.json", WORKLOAD), ("client_oidc_confidential.json", POOL)]
    {
        let stage = Stage::new(&[]);
        let issuer = stage.issuer();
        let words =
            ["--no-launch-browser", "--issuer", &issuer, "--workload-identity-provider", name];
        let login = stage.asking(stage.with_client(&words, client));
        let asked = query(&login.url);
        assert_eq!(
            (&*asked["scope"], &*asked["prompt"]),
            ("openid email offline_access", "consent")
        );
        assert_eq!(visit(&allow(&login.url)).status, 200);
        let ended = login.end();
        assert_eq!(ended.code, 0, "{ended:?}");
        let token = run(stage.afterwards(&["token"])).token();
        assert!(token.starts_with("ya29.d."), "{token}");
        // When the kept ID token is over, the next one is fetched, and the next refresh token kept.
        let mut stored = stage.stored("external_account");
        let session = &mut stored["credential_source"]["openid"];
        let first = session["refresh_token"].as_str().unwrap().to_owned();
        session.as_object_mut().unwrap().remove("id_token");
        let pool = name.split('/').rev().nth(2).unwrap();
        let file = stage.own().join(format!("accounts/{pool}%2Fada@example.com.json"));
        std::fs::write(&file, stored.to_string()).unwrap();
        run(stage.afterwards(&["token", "--refresh"])).token();
        run(stage.afterwards(&["token", "--refresh"])).token();
        let last = stage.stored("external_account");
        assert_ne!(last["credential_source"]["openid"]["refresh_token"], first);
        assert_eq!(stage.google.count("oidc-token"), 3);
    }
}

#[test]
fn a_person_of_another_provider_without_a_pool_has_id_tokens() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let issuer = stage.issuer();
    let words = ["--no-launch-browser", "--issuer", &issuer];
    let login = stage.asking(stage.with_client(&words, "client_oidc.json"));
    assert_eq!(visit(&allow(&login.url)).status, 200);
    assert_eq!(login.end().code, 0);
    let ended = run(stage.afterwards(&["id-token"]));
    assert_eq!(ended.out.trim_end().split('.').count(), 3, "{ended:?}");
    assert_eq!(run(stage.afterwards(&["token"])).code, 7);
    // Denied, and forged: nothing is stored in place of it.
    let login = stage.asking(stage.with_client(&words, "client_oidc.json"));
    visit(&press(&login.url, "deny", |_| {}));
    assert_eq!(login.end().code, 5);
    let forged = Stage::new(&["oidc-authorize=wrong-issuer"]);
    let issuer = forged.issuer();
    let words = ["--no-launch-browser", "--wait", "2s", "--issuer", &issuer];
    let login = forged.asking(forged.with_client(&words, "client_oidc.json"));
    assert_eq!(visit(&allow(&login.url)).status, 404);
    assert_eq!(login.end().code, 6);
    forged.has_no_login();
}

#[test]
fn a_provider_that_answers_nonsense_is_named() {
    let _beside = beside();
    for (fault, code) in [("html", 6), ("redirect", 6), ("404", 5), ("array", 6), ("close", 6)] {
        let stage = Stage::new(&[&format!("oidc-discovery={fault}")]);
        let issuer = stage.issuer();
        let ended = run(stage.with_client(&["--issuer", &issuer], "client_oidc.json"));
        assert_eq!(ended.code, code, "{fault}: {ended:?}");
        let (message, _) = ended.two_lines();
        assert!(message.contains("127.0.0.1"), "{fault}: {message}");
        stage.has_no_login();
    }
    // Google describes itself, not the sandbox.
    let stage = Stage::new(&[]);
    let ended = run(stage.with_client(&["--issuer", stage.google.url()], "client_oidc.json"));
    assert_eq!(ended.code, 9, "{ended:?}");
}

#[test]
fn a_device_signs_in_at_google() {
    let _beside = beside();
    let stage = Stage::new(&["device-code=slow-down"]);
    let words = ["--device", "--scopes", "openid,email", "-vv"];
    let login = stage.asking(stage.with_client(&words, "client_secret_device.json"));
    assert_eq!(login.url, format!("{}/device", stage.google.url()));
    let code = user_code(&login);
    let page = decide(&format!("{}?user_code={code}", login.url), ALLOW);
    assert_eq!(page.status, 200);
    let ended = login.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.out, "signed in as ada@example.com, scopes email, openid\n");
    assert!(ended.took >= Duration::from_secs(7), "{ended:?}");
    let stored = stage.login_of(super::ADA).expect("a login");
    let mut secrets = stage.secrets();
    secrets.push(stage.google.cast().device_client_secret.expose().to_owned());
    secrets.push(stored["refresh_token"].as_str().unwrap().to_owned());
    let forms = stage.google.requests().into_iter().filter_map(|logged| logged.request.form());
    let codes = forms.flatten().filter(|(name, _)| name == "device_code");
    secrets.extend(codes.map(|(_, value)| value));
    assert_eq!(super::super::leaked(ended.err.as_bytes(), &secrets), None, "{}", ended.err);
}

#[test]
fn a_device_signs_in_at_another_provider_or_is_told_no() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let issuer = stage.issuer();
    let words = ["--device", "--issuer", &issuer];
    for (client, choice, code) in [
        ("client_oidc.json", ALLOW, 0),
        ("client_oidc_confidential.json", ALLOW, 0),
        ("client_oidc.json", Choice { button: "deny", ..ALLOW }, 5),
    ] {
        let login = stage.asking(stage.with_client(&words, client));
        let user_code = user_code(&login);
        decide(&format!("{}?user_code={user_code}", login.url), choice);
        let ended = login.end();
        assert_eq!(ended.code, code, "{client}: {ended:?}");
    }
    let brief = Stage::new(&["device-code=brief"]);
    let words = ["--device", "--scopes", "openid"];
    let ended = run(brief.with_client(&words, "client_secret_device.json"));
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.err.contains("nobody entered the code"), "{}", ended.err);
    let ended = run(brief.with_client(&words, "client_secret.json"));
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.err.contains("TVs and Limited Input devices"), "{}", ended.err);
    brief.has_no_login();
}
