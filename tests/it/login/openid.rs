//! Logins at other providers, once they are stored: the ID token that was kept, the next one, and the end.

use std::rc::Rc;

use serde_json::{Value, json};

use super::id_token;
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, PROVIDER, REFRESH_TOKEN, ROTATED, SECOND, TOKEN,
};
use crate::support::{Exchange, Home, NOW, Test, post, sts};

const ISSUER: &str = "https://idp.example";
const TOKEN_URI: &str = "https://idp.example/token";
const OWN: &str = ".config/gauth/accounts/example-pool%2Fada.json";

fn session(more: &Value) -> Value {
    let session = json!({
        "issuer": ISSUER, "token_uri": TOKEN_URI, "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN,
    });
    samples::with(session, more)
}

fn federated(more: &Value) -> Value {
    let mut account = samples::external_account(json!({ "openid": session(more) }));
    account["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token".into();
    account
}

fn proof(number: i64, life: i64) -> String {
    id_token(
        &json!({"iss": ISSUER, "aud": CLIENT_ID, "sub": "ada", "n": number, "exp": NOW + life}),
    )
}

/// The provider's answer to a refresh.
fn refreshed(number: i64, next: Option<&str>) -> Exchange {
    let body = json!({
        "access_token": "outside.x", "token_type": "Bearer", "expires_in": 3600,
        "id_token": proof(number, 3600), "refresh_token": next,
    });
    post(TOKEN_URI, 200, body.to_string())
}

fn exchanged(token: &str) -> Exchange {
    let body = json!({
        "access_token": token, "expires_in": 3600, "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    sts(200, body.to_string())
}

fn own(home: &Rc<Home>, words: &str) -> Test {
    Test::new(&format!("token --account example-pool/ada {words}")).home(home)
}

#[test]
fn a_kept_id_token_is_used_while_it_lasts() {
    let home = Home::new();
    let kept = proof(1, 61);
    home.write(OWN, federated(&json!({"id_token": kept})).to_string());
    let ran = own(&home, "").google(exchanged(TOKEN)).stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(
        (ran.sent[0].field("subject_token"), ran.sent[0].field("audience")),
        (&*kept, PROVIDER)
    );
    own(&home, "").stdout(&format!("{TOKEN}\n")).run();
    let anew = own(&home, "--refresh").google(refreshed(3, None)).google(exchanged(SECOND)).run();
    assert_eq!(anew.sent[1].field("subject_token"), proof(3, 3600));
    home.clock.advance(1);
    let ran = own(&home, "--refresh").google(refreshed(2, None)).google(exchanged(SECOND)).run();
    assert_eq!(ran.sent[1].field("subject_token"), proof(2, 3600));
}

#[test]
fn the_next_refresh_token_is_stored_where_the_last_one_was() {
    let home = Home::new();
    home.write(OWN, federated(&json!({})).to_string());
    let ran = own(&home, "").google(refreshed(1, Some(ROTATED))).google(exchanged(TOKEN)).run();
    let asked = &ran.sent[0];
    assert_eq!(
        (asked.field("grant_type"), asked.field("refresh_token")),
        ("refresh_token", REFRESH_TOKEN)
    );
    assert!(asked.single_use && asked.header("authorization").is_some());
    assert_eq!(asked.field("client_secret"), "");
    let stored: Value = serde_json::from_str(&home.read(OWN)).expect("JSON");
    assert_eq!(stored["credential_source"]["openid"]["refresh_token"], ROTATED);
    assert!(
        stored.get("refresh_token").is_none() && stored["refresh_token_rotates"] == true,
        "{stored}"
    );
    own(&home, "").stdout(&format!("{TOKEN}\n")).run();
    let ran = own(&home, "--refresh").google(refreshed(2, None)).google(exchanged(SECOND)).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
}

#[test]
fn clients_are_known_as_the_provider_wants_it() {
    for (more, fields, header) in [
        (json!({"client_auth": "client_secret_post"}), [CLIENT_ID, CLIENT_SECRET], false),
        (json!({"client_secret": null}), [CLIENT_ID, ""], false),
        (json!({"client_auth": "client_secret_basic"}), ["", ""], true),
    ] {
        let home = Home::new();
        home.write(OWN, federated(&more).to_string());
        let ran = own(&home, "").google(refreshed(1, None)).google(exchanged(TOKEN)).run();
        let asked = &ran.sent[0];
        assert_eq!([asked.field("client_id"), asked.field("client_secret")], fields, "{more}");
        assert_eq!(asked.header("authorization").is_some(), header, "{more}");
    }
}

#[test]
fn a_login_that_has_ended_says_how_to_make_another() {
    let refused = post(TOKEN_URI, 400, r#"{"error":"invalid_grant","error_description":"gone"}"#);
    let silent = post(TOKEN_URI, 200, r#"{"access_token":"outside.x"}"#);
    let down = post(TOKEN_URI, 503, "{}");
    let odd = post(TOKEN_URI, 401, r#"{"error":"invalid_client"}"#);
    for (more, answer, status, says) in [
        (json!({}), Some(refused), 4, "idp.example says invalid_grant: \"gone\""),
        (json!({}), Some(silent), 4, "gives no ID token without a new sign-in"),
        (json!({"refresh_token": null, "id_token": proof(1, 60)}), None, 4, "its ID token is over"),
        (json!({}), Some(down), 6, "status 503"),
        (json!({}), Some(odd), 5, "invalid_client"),
    ] {
        let mut test = Test::new("token --account example-pool/ada")
            .json(OWN, &federated(&more))
            .status(status)
            .says(says);
        if status == 4 {
            test = test.tries("gauth login --issuer https://idp.example --client-id-file FILE");
        }
        answer.into_iter().fold(test, Test::google).run();
    }
}

#[test]
fn signing_out_ends_it_at_the_provider() {
    const REVOKE: &str = "https://idp.example/revoke";
    let more = json!({"revoke_url": REVOKE, "client_auth": "client_secret_post"});
    let home = Home::new();
    home.write(OWN, federated(&more).to_string());
    own(&home, "").google(refreshed(1, Some(ROTATED))).google(exchanged(TOKEN)).run();
    let out = || Test::new("logout example-pool/ada").home(&home);
    out()
        .google(post(REVOKE, 401, r#"{"error":"invalid_client"}"#))
        .status(5)
        .says("the provider says invalid_client")
        .run();
    let ran = out().google(post(REVOKE, 200, "")).run();
    let asked = &ran.sent[0];
    assert_eq!((asked.field("token"), asked.field("client_id")), (ROTATED, CLIENT_ID));
    assert!(home.names(".config/gauth/accounts").iter().all(|name| !name.ends_with(".json")));
    // What cannot be ended there is forgotten here, and that is said.
    home.write(OWN, federated(&json!({})).to_string());
    out().warns("example-pool/ada").run();
}

#[test]
fn a_login_that_was_refused_is_listed_as_that() {
    let home = Home::new();
    home.write(OWN, federated(&json!({})).to_string());
    let refused = post(TOKEN_URI, 400, r#"{"error":"invalid_grant"}"#);
    own(&home, "").google(refused).status(4).run();
    let ran = Test::new("accounts --format json").home(&home).run();
    assert!(ran.stdout.contains("must sign in again"), "{}", ran.stdout);
    let path = ".config/gauth/accounts/idp.example%2Fada.json";
    let login = samples::with(session(&json!({})), &json!({"type": "openid_login"}));
    home.write(path, login.to_string());
    let ran = Test::new("accounts").home(&home).run();
    assert!(ran.stdout.contains("OpenID user"), "{}", ran.stdout);
}

#[test]
fn what_a_file_cannot_say_is_refused_by_name() {
    for (more, status, says) in [
        (json!({"issuer": null}), 8, "credential_source.openid.issuer"),
        (json!({"token_uri": null}), 8, "credential_source.openid.token_uri"),
        (json!({"token_uri": "http://idp.example/token"}), 9, "credential_source.openid.token_uri"),
        (json!({"client_id": "a:b"}), 8, "credential_source.openid.client_id"),
        (json!({"client_auth": "private_key_jwt"}), 8, "client_auth is none of"),
        (json!({"refresh_token": "a\nb"}), 8, "refresh_token has a line end"),
        (json!({"refresh_token": null}), 8, "refresh_token is missing, and id_token too"),
        (json!({"refresh_token": 5}), 8, "credential_source.openid.refresh_token"),
    ] {
        Test::new("token --credentials {home}/key.json")
            .json("key.json", &federated(&more))
            .status(status)
            .says(says)
            .run();
    }
    let login = samples::with(session(&json!({"issuer": null})), &json!({"type": "openid_login"}));
    Test::new("id-token --credentials {home}/key.json")
        .json("key.json", &login)
        .status(8)
        .says("key.json: issuer")
        .run();
}

#[test]
fn a_login_for_id_tokens_gives_the_next_one() {
    let login = json!({"type": "openid_login", "account": "idp.example/ada"});
    let login = samples::with(session(&json!({})), &login);
    let path = ".config/gauth/accounts/idp.example%2Fada.json";
    let home = Home::new();
    home.write(path, login.to_string());
    let run =
        |words: &str| Test::new(&format!("id-token --account idp.example/ada {words}")).home(&home);
    run("").google(refreshed(1, Some(ROTATED))).stdout(&format!("{}\n", proof(1, 3600))).run();
    run("").stdout(&format!("{}\n", proof(1, 3600))).run();
    let ran = run(&format!("--audiences {CLIENT_ID} --refresh")).google(refreshed(2, None)).run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
    let stored: Value = serde_json::from_str(&home.read(path)).expect("JSON");
    assert_eq!(stored["refresh_token"], ROTATED);
}

#[test]
fn the_provider_is_told_of_the_end_where_it_wants_to_know() {
    const REVOKE: &str = "https://idp.example/revocation";
    let ends = json!({ "revoke_url": REVOKE });
    let own_tokens = samples::with(
        session(&ends),
        &json!({"type": "openid_login", "account": "example-pool/ada"}),
    );
    for login in [federated(&ends), own_tokens] {
        let home = Home::new();
        home.write(OWN, login.to_string());
        let logout = || Test::new("logout example-pool/ada").home(&home);
        let odd = post(REVOKE, 401, r#"{"error":"invalid_client"}"#);
        logout().google(odd).status(5).says("is kept").run();
        let ran = logout().google(post(REVOKE, 200, "")).run();
        let asked = &ran.sent[0];
        assert_eq!(asked.field("token"), REFRESH_TOKEN);
        assert!(asked.header("authorization").is_some() && !home.path(OWN).exists());
    }
    Test::new("logout example-pool/ada")
        .json(OWN, &federated(&json!({})))
        .stdout("signed out of example-pool/ada\n")
        .warns("which no server takes back")
        .run();
}
