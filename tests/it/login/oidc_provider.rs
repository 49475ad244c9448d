//! `gauth login --issuer`: the metadata of OpenID providers, and the logins that are stored.

use serde_json::{Value, json};

use super::login_test;
use crate::support::sample_credentials::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, unsigned_jwt};
use crate::support::{Home, MockExchange, NOW, Test, get_response, post_response};

const ISSUER: &str = "https://idp.example/t";
const DISCOVERY_URL: &str = "https://idp.example/t/.well-known/openid-configuration";
const TOKEN_URI: &str = "https://idp.example/t/token";
const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/example-pool/providers/example-provider";

fn discovery_document(change: &Value) -> MockExchange {
    let mut body = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://idp.example/t/auth",
        "token_endpoint": TOKEN_URI,
        "device_authorization_endpoint": "https://idp.example/t/device",
        "revocation_endpoint": "https://idp.example/t/revoke",
        "scopes_supported": ["openid", "email", "offline_access"],
        "code_challenge_methods_supported": ["S256"],
    });
    for (name, value) in change.as_object().expect("changes") {
        body[name] = value.clone();
    }
    get_response(DISCOVERY_URL, 200, body.to_string())
}

fn device_authorization_response() -> MockExchange {
    let body = json!({
        "device_code": "planted-device-code", "user_code": "WDJB-MJHT",
        "verification_uri": "https://idp.example/d", "expires_in": 900, "interval": 1,
    });
    post_response("https://idp.example/t/device", 200, body.to_string())
}

fn token_success_response(change: &Value) -> MockExchange {
    let claims = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "sub": "42", "email": "ada@example.com", "exp": NOW + 3600,
    });
    let mut body = json!({
        "access_token": "outside.x", "token_type": "Bearer", "expires_in": 3600,
        "scope": "openid email offline_access",
        "refresh_token": REFRESH_TOKEN, "id_token": unsigned_jwt(&claims),
    });
    for (name, value) in change.as_object().expect("changes") {
        body[name] = value.clone();
    }
    post_response(TOKEN_URI, 200, body.to_string())
}

/// A login that fails before the code is shown.
fn refused_issuer_login(args: &str) -> Test {
    login_test(&format!("--issuer {ISSUER} --device {args}")).secret("planted-device-code")
}

fn issuer_login_test(args: &str) -> Test {
    refused_issuer_login(args)
        .expect_notice("visit, in any browser\n\n  https://idp.example/d\n\nand enter the code\n\n  WDJB-MJHT\n\n")
}

#[test]
fn a_provider_without_a_pool_gives_a_login_for_its_own_id_tokens() {
    let home = Home::new();
    let ran = issuer_login_test("")
        .home(&home)
        .expect_request(discovery_document(&json!({})))
        .expect_request(device_authorization_response())
        .expect_request(token_success_response(&json!({})))
        .expect_stdout("signed in as idp.example/ada@example.com, scopes email, offline_access, openid\n")
        .run();
    assert_eq!(ran.requests[1].form_field("scope"), "openid email offline_access");
    // OpenID Connect Discovery, 3: `client_secret_basic` is the default.
    assert!(ran.requests[1].header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(ran.requests[2].form_field("client_secret"), "");
    let name = ".config/gauth/accounts/idp.example%2Fada@example.com.json";
    let stored: Value = serde_json::from_str(&home.read(name)).expect("JSON");
    for (name, value) in [
        ("type", "openid_login"),
        ("account", "idp.example/ada@example.com"),
        ("issuer", ISSUER),
        ("token_uri", TOKEN_URI),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("client_auth", "client_secret_basic"),
        ("refresh_token", REFRESH_TOKEN),
        ("revoke_url", "https://idp.example/t/revoke"),
    ] {
        assert_eq!(stored[name], value, "{name}");
    }
    // The stored login is used from now on.
    Test::new("id-token")
        .home(&home)
        .expect_stdout(&format!("{}\n", stored["id_token"].as_str().expect("a token")))
        .run();
    Test::new("token")
        .home(&home)
        .expect_status(7)
        .expect_error("which cannot give access tokens of Google")
        .expect_hint("--workload-identity-provider NAME")
        .run();
    Test::new("id-token --audiences https://x.example").home(&home).expect_status(7).expect_error(CLIENT_ID).run();
}

#[test]
fn a_provider_of_a_pool_gives_an_external_account() {
    let home = Home::new();
    issuer_login_test(&format!("--workload-identity-provider {PROVIDER}"))
        .home(&home)
        .expect_request(discovery_document(&json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]})))
        .expect_request(device_authorization_response())
        .expect_request(token_success_response(&json!({})))
        .expect_stdout("signed in as example-pool/ada@example.com, scopes email, offline_access, openid\n")
        .run();
    let name = ".config/gauth/accounts/example-pool%2Fada@example.com.json";
    let stored: Value = serde_json::from_str(&home.read(name)).expect("JSON");
    let session = &stored["credential_source"]["openid"];
    assert_eq!(stored["type"], "external_account");
    assert_eq!(stored["audience"], format!("//iam.googleapis.com/{PROVIDER}"));
    assert_eq!(stored["token_url"], "https://sts.googleapis.com/v1/token");
    assert_eq!((&session["client_auth"], &session["issuer"]), (&json!("client_secret_post"), &json!(ISSUER)));
    assert!(stored.get("refresh_token").is_none());
}

#[test]
fn account_flag_accepts_the_name_with_or_without_issuer() {
    for account in ["ada@example.com", "idp.example/ada@example.com"] {
        issuer_login_test(&format!("--account {account}"))
            .expect_request(discovery_document(&json!({})))
            .expect_request(device_authorization_response())
            .expect_request(token_success_response(&json!({})))
            .run();
    }
    issuer_login_test("--account bob@example.com")
        .expect_request(discovery_document(&json!({})))
        .expect_request(device_authorization_response())
        .expect_request(token_success_response(&json!({})))
        .expect_status(4)
        .expect_error("ada@example.com signed in instead of bob@example.com (--account), nothing was stored")
        .run();
}

#[test]
fn a_login_without_refresh_token_or_valid_id_token_is_reported() {
    issuer_login_test("--scopes openid")
        .expect_request(discovery_document(&json!({})))
        .expect_request(device_authorization_response())
        .expect_request(token_success_response(&json!({"refresh_token": null, "scope": "openid"})))
        .expect_warning("gave no refresh token: this login ends with its ID token, 2026-01-02T04:04:05Z")
        .run();
    issuer_login_test("")
        .expect_request(discovery_document(&json!({"userinfo_endpoint": null})))
        .expect_request(device_authorization_response())
        .expect_request(token_success_response(&json!({"id_token": null})))
        .expect_status(6)
        .expect_error("does not say who signed in")
        .run();
    let foreign = unsigned_jwt(&json!({"iss": "https://other.example", "aud": CLIENT_ID, "exp": NOW + 60}));
    issuer_login_test("")
        .expect_request(discovery_document(&json!({})))
        .expect_request(device_authorization_response())
        .expect_request(token_success_response(&json!({"id_token": foreign})))
        .expect_status(6)
        .expect_error("is of another issuer (iss)")
        .run();
}

#[test]
fn an_invalid_or_unsafe_discovery_document_is_refused() {
    for (answer, status, says) in [
        (get_response(DISCOVERY_URL, 404, "no"), 5, "status 404"),
        (get_response(DISCOVERY_URL, 200, "<!doctype html><title>hotel</title>"), 6, "the response"),
        (get_response(DISCOVERY_URL, 200, "[]"), 6, "the response"),
        (get_response(DISCOVERY_URL, 500, "{}"), 6, "status 500"),
        (discovery_document(&json!({"issuer": "https://evil.example"})), 9, "of the issuer https://evil.example"),
        (discovery_document(&json!({"issuer": format!("{ISSUER}/")})), 9, "of the issuer"),
        (discovery_document(&json!({"token_endpoint": "http://idp.example/token"})), 9, "token_endpoint"),
        (discovery_document(&json!({"token_endpoint": null})), 6, "token_endpoint is missing"),
        (discovery_document(&json!({"code_challenge_methods_supported": ["plain"]})), 9, "S256"),
        (
            discovery_document(&json!({"device_authorization_endpoint": null})),
            7,
            "does not support the sign-in of devices",
        ),
        (
            discovery_document(&json!({"token_endpoint_auth_methods_supported": ["none"]})),
            7,
            "client authentication method",
        ),
    ] {
        let times = if answer.status() == 500 { 3 } else { 1 };
        refused_issuer_login("").expect_requests(times, &answer).expect_status(status).expect_error(says).run();
    }
}

#[test]
fn an_invalid_issuer_is_refused_without_a_request() {
    for (words, status, says) in [
        ("--issuer idp.example", 2, "--issuer idp.example is not an absolute URL"),
        ("--issuer http://idp.example", 9, "is not https"),
        ("--issuer https://accounts.google.com", 2, "providers other than Google"),
        ("--issuer https://idp.example --login-config x", 2, "--login-config"),
        ("--workload-identity-provider projects/1", 2, "--issuer"),
        ("--issuer https://idp.example --workload-identity-provider projects/1", 2, "--workload-identity-provider"),
        ("--issuer https://idp.example --scopes a\"b", 2, "is not a scope"),
    ] {
        login_test(words).expect_status(status).expect_error(says).run();
    }
    Test::new("login --issuer https://idp.example")
        .expect_status(2)
        .expect_error("OAuth client of that provider")
        .run();
}
