//! Other OpenID providers: how they are found, and what is made of a login there.

use serde_json::{Value, json};

use super::{id_token, login};
use crate::support::samples::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};
use crate::support::{Exchange, Home, NOW, Test, get, post};

const ISSUER: &str = "https://idp.example/t";
const PLACE: &str = "https://idp.example/t/.well-known/openid-configuration";
const TOKEN_URI: &str = "https://idp.example/t/token";
const PROVIDER: &str =
    "projects/1/locations/global/workloadIdentityPools/example-pool/providers/example-provider";

fn description(change: &Value) -> Exchange {
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
    get(PLACE, 200, body.to_string())
}

fn begun() -> Exchange {
    let body = json!({
        "device_code": "planted-device-code", "user_code": "WDJB-MJHT",
        "verification_uri": "https://idp.example/d", "expires_in": 900, "interval": 1,
    });
    post("https://idp.example/t/device", 200, body.to_string())
}

fn granted(change: &Value) -> Exchange {
    let claims = json!({
        "iss": ISSUER, "aud": CLIENT_ID, "sub": "42", "email": "ada@example.com", "exp": NOW + 3600,
    });
    let mut body = json!({
        "access_token": "outside.x", "token_type": "Bearer", "expires_in": 3600,
        "scope": "openid email offline_access",
        "refresh_token": REFRESH_TOKEN, "id_token": id_token(&claims),
    });
    for (name, value) in change.as_object().expect("changes") {
        body[name] = value.clone();
    }
    post(TOKEN_URI, 200, body.to_string())
}

/// One that is refused before anything is shown.
fn refused(words: &str) -> Test {
    login(&format!("--issuer {ISSUER} --device {words}")).secret("planted-device-code")
}

fn at_issuer(words: &str) -> Test {
    refused(words).tells(
        "visit, in any browser\n\n  https://idp.example/d\n\nand enter the code\n\n  WDJB-MJHT\n\n",
    )
}

#[test]
fn a_provider_without_a_pool_gives_a_login_for_its_own_id_tokens() {
    let home = Home::new();
    let ran = at_issuer("")
        .home(&home)
        .google(description(&json!({})))
        .google(begun())
        .google(granted(&json!({})))
        .stdout("signed in as idp.example/ada@example.com, scopes email, offline_access, openid\n")
        .run();
    assert_eq!(ran.sent[1].field("scope"), "openid email offline_access");
    // RFC 6749, 2.3.1: in the header, where nothing else is said.
    assert!(ran.sent[1].header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(ran.sent[2].field("client_secret"), "");
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
    // And it is what is used now.
    Test::new("id-token")
        .home(&home)
        .stdout(&format!("{}\n", stored["id_token"].as_str().expect("a token")))
        .run();
    Test::new("token")
        .home(&home)
        .status(7)
        .says("which cannot give access tokens of Google's")
        .tries("--workload-identity-provider NAME")
        .run();
    Test::new("id-token --audiences https://x.example").home(&home).status(7).says(CLIENT_ID).run();
}

#[test]
fn a_provider_of_a_pool_gives_an_external_account() {
    let home = Home::new();
    at_issuer(&format!("--workload-identity-provider {PROVIDER}"))
        .home(&home)
        .google(description(
            &json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]}),
        ))
        .google(begun())
        .google(granted(&json!({})))
        .stdout("signed in as example-pool/ada@example.com, scopes email, offline_access, openid\n")
        .run();
    let name = ".config/gauth/accounts/example-pool%2Fada@example.com.json";
    let stored: Value = serde_json::from_str(&home.read(name)).expect("JSON");
    let session = &stored["credential_source"]["openid"];
    assert_eq!(stored["type"], "external_account");
    assert_eq!(stored["audience"], format!("//iam.googleapis.com/{PROVIDER}"));
    assert_eq!(stored["token_url"], "https://sts.googleapis.com/v1/token");
    assert_eq!(
        (&session["client_auth"], &session["issuer"]),
        (&json!("client_secret_post"), &json!(ISSUER))
    );
    assert!(stored.get("refresh_token").is_none());
}

#[test]
fn the_person_is_asked_for_by_either_name() {
    for account in ["ada@example.com", "idp.example/ada@example.com"] {
        at_issuer(&format!("--account {account}"))
            .google(description(&json!({})))
            .google(begun())
            .google(granted(&json!({})))
            .run();
    }
    at_issuer("--account bob@example.com")
        .google(description(&json!({})))
        .google(begun())
        .google(granted(&json!({})))
        .status(4)
        .says("ada@example.com signed in, --account asks for bob@example.com")
        .run();
}

#[test]
fn a_login_that_will_not_last_is_named() {
    at_issuer("--scopes openid")
        .google(description(&json!({})))
        .google(begun())
        .google(granted(&json!({"refresh_token": null, "scope": "openid"})))
        .warns("gave no refresh token: this login ends with its ID token, 2026-01-02T04:04:05Z")
        .run();
    at_issuer("")
        .google(description(&json!({"userinfo_endpoint": null})))
        .google(begun())
        .google(granted(&json!({"id_token": null})))
        .status(6)
        .says("does not say who signed in")
        .run();
    let foreign =
        id_token(&json!({"iss": "https://other.example", "aud": CLIENT_ID, "exp": NOW + 60}));
    at_issuer("")
        .google(description(&json!({})))
        .google(begun())
        .google(granted(&json!({"id_token": foreign})))
        .status(6)
        .says("another server's (iss)")
        .run();
}

#[test]
fn a_description_that_is_none_or_unsafe_is_refused() {
    for (answer, status, says) in [
        (get(PLACE, 404, "no"), 5, "status 404"),
        (get(PLACE, 200, "<!doctype html><title>hotel</title>"), 6, "the answer"),
        (get(PLACE, 200, "[]"), 6, "the answer"),
        (get(PLACE, 500, "{}"), 6, "status 500"),
        (
            description(&json!({"issuer": "https://evil.example"})),
            9,
            "describes https://evil.example",
        ),
        (description(&json!({"issuer": format!("{ISSUER}/")})), 9, "describes"),
        (description(&json!({"token_endpoint": "http://idp.example/token"})), 9, "token_endpoint"),
        (description(&json!({"token_endpoint": null})), 6, "token_endpoint is missing"),
        (description(&json!({"code_challenge_methods_supported": ["plain"]})), 9, "S256"),
        (description(&json!({"device_authorization_endpoint": null})), 7, "no sign-in for devices"),
        (
            description(&json!({"token_endpoint_auth_methods_supported": ["none"]})),
            7,
            "client's secret",
        ),
    ] {
        let times = if answer.status() == 500 { 3 } else { 1 };
        refused("").google_times(times, &answer).status(status).says(says).run();
    }
}

#[test]
fn what_cannot_be_an_issuer_is_refused_at_once() {
    for (words, status, says) in [
        ("--issuer idp.example", 2, "--issuer idp.example is not an absolute URL"),
        ("--issuer http://idp.example", 9, "is not https"),
        ("--issuer https://accounts.google.com", 2, "other providers than Google"),
        ("--issuer https://idp.example --login-config x", 2, "--login-config"),
        ("--workload-identity-provider projects/1", 2, "--issuer"),
        (
            "--issuer https://idp.example --workload-identity-provider projects/1",
            2,
            "--workload-identity-provider",
        ),
        ("--issuer https://idp.example --scopes a\"b", 2, "is no scope"),
    ] {
        login(words).status(status).says(says).run();
    }
    Test::new("login --issuer https://idp.example")
        .status(2)
        .says("OAuth client of the provider's")
        .run();
}
