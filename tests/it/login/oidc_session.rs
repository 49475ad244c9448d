//! Stored logins at OpenID providers: the stored ID token, the next one, and revocation.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SECOND_TOKEN, TOKEN, WORKLOAD_PROVIDER,
    unsigned_jwt,
};
use crate::support::{Home, MockExchange, NOW, Test, post_response, sts_response};

const ISSUER: &str = "https://idp.example";
const TOKEN_URI: &str = "https://idp.example/token";
const LOGIN_FILE: &str = ".config/gauth/accounts/example-pool%2Fada.json";

fn oidc_session_json(more: &Value) -> Value {
    let session = json!({
        "issuer": ISSUER, "token_uri": TOKEN_URI, "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN,
    });
    sample_credentials::with_fields(session, more)
}

fn external_account_json(more: &Value) -> Value {
    let mut account = sample_credentials::external_account(json!({ "openid": oidc_session_json(more) }));
    account["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token".into();
    account
}

fn id_token_number(number: i64, life: i64) -> String {
    unsigned_jwt(&json!({"iss": ISSUER, "aud": CLIENT_ID, "sub": "ada", "n": number, "exp": NOW + life}))
}

/// The response of the provider to a refresh.
fn refresh_response(number: i64, next_refresh_token: Option<&str>) -> MockExchange {
    let body = json!({
        "access_token": "outside.x", "token_type": "Bearer", "expires_in": 3600,
        "id_token": id_token_number(number, 3600), "refresh_token": next_refresh_token,
    });
    post_response(TOKEN_URI, 200, body.to_string())
}

fn sts_token_response(token: &str) -> MockExchange {
    let body = json!({
        "access_token": token, "expires_in": 3600, "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    });
    sts_response(200, body.to_string())
}

fn own_login_test(home: &Rc<Home>, args: &str) -> Test {
    Test::new(&format!("token --account example-pool/ada {args}")).home(home)
}

#[test]
fn a_stored_id_token_is_used_until_it_expires() {
    let home = Home::new();
    let kept = id_token_number(1, 61);
    home.write(LOGIN_FILE, external_account_json(&json!({"id_token": kept})).to_string());
    let ran =
        own_login_test(&home, "").expect_request(sts_token_response(TOKEN)).expect_stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(
        (ran.requests[0].form_field("subject_token"), ran.requests[0].form_field("audience")),
        (&*kept, WORKLOAD_PROVIDER)
    );
    own_login_test(&home, "").expect_stdout(&format!("{TOKEN}\n")).run();
    let anew = own_login_test(&home, "--refresh")
        .expect_request(refresh_response(3, None))
        .expect_request(sts_token_response(SECOND_TOKEN))
        .run();
    assert_eq!(anew.requests[1].form_field("subject_token"), id_token_number(3, 3600));
    home.clock.advance(1);
    let ran = own_login_test(&home, "--refresh")
        .expect_request(refresh_response(2, None))
        .expect_request(sts_token_response(SECOND_TOKEN))
        .run();
    assert_eq!(ran.requests[1].form_field("subject_token"), id_token_number(2, 3600));
}

#[test]
fn a_rotated_refresh_token_replaces_the_stored_one() {
    let home = Home::new();
    home.write(LOGIN_FILE, external_account_json(&json!({})).to_string());
    let ran = own_login_test(&home, "")
        .expect_request(refresh_response(1, Some(ROTATED_REFRESH_TOKEN)))
        .expect_request(sts_token_response(TOKEN))
        .run();
    let asked = &ran.requests[0];
    assert_eq!((asked.form_field("grant_type"), asked.form_field("refresh_token")), ("refresh_token", REFRESH_TOKEN));
    assert!(asked.single_use && asked.header("authorization").is_some());
    assert_eq!(asked.form_field("client_secret"), "");
    let stored: Value = serde_json::from_str(&home.read(LOGIN_FILE)).expect("JSON");
    assert_eq!(stored["credential_source"]["openid"]["refresh_token"], ROTATED_REFRESH_TOKEN);
    assert!(stored.get("refresh_token").is_none() && stored["refresh_token_rotates"] == true, "{stored}");
    own_login_test(&home, "").expect_stdout(&format!("{TOKEN}\n")).run();
    let ran = own_login_test(&home, "--refresh")
        .expect_request(refresh_response(2, None))
        .expect_request(sts_token_response(SECOND_TOKEN))
        .run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
}

#[test]
fn clients_authenticate_with_the_method_the_provider_supports() {
    for (more, fields, header) in [
        (json!({"client_auth": "client_secret_post"}), [CLIENT_ID, CLIENT_SECRET], false),
        (json!({"client_secret": null}), [CLIENT_ID, ""], false),
        (json!({"client_auth": "client_secret_basic"}), ["", ""], true),
    ] {
        let home = Home::new();
        home.write(LOGIN_FILE, external_account_json(&more).to_string());
        let ran = own_login_test(&home, "")
            .expect_request(refresh_response(1, None))
            .expect_request(sts_token_response(TOKEN))
            .run();
        let asked = &ran.requests[0];
        assert_eq!([asked.form_field("client_id"), asked.form_field("client_secret")], fields, "{more}");
        assert_eq!(asked.header("authorization").is_some(), header, "{more}");
    }
}

#[test]
fn a_login_that_is_no_longer_valid_has_a_hint_for_the_next_one() {
    let refused = post_response(TOKEN_URI, 400, r#"{"error":"invalid_grant","error_description":"gone"}"#);
    let silent = post_response(TOKEN_URI, 200, r#"{"access_token":"outside.x"}"#);
    let down = post_response(TOKEN_URI, 503, "{}");
    let odd = post_response(TOKEN_URI, 401, r#"{"error":"invalid_client"}"#);
    for (more, answer, status, says) in [
        (json!({}), Some(refused), 4, "idp.example says invalid_grant: \"gone\""),
        (json!({}), Some(silent), 4, "gives no ID token without a new sign-in"),
        (json!({"refresh_token": null, "id_token": id_token_number(1, 60)}), None, 4, "its ID token is expired"),
        (json!({}), Some(down), 6, "status 503"),
        (json!({}), Some(odd), 5, "invalid_client"),
    ] {
        let mut test = Test::new("token --account example-pool/ada")
            .json(LOGIN_FILE, &external_account_json(&more))
            .expect_status(status)
            .expect_error(says);
        if status == 4 {
            test = test.expect_hint("gauth login --issuer https://idp.example --client-id-file FILE");
        }
        answer.into_iter().fold(test, Test::expect_request).run();
    }
}

#[test]
fn logout_revokes_the_token_at_the_provider() {
    const REVOCATION_ENDPOINT: &str = "https://idp.example/revoke";
    let more = json!({"revoke_url": REVOCATION_ENDPOINT, "client_auth": "client_secret_post"});
    let home = Home::new();
    home.write(LOGIN_FILE, external_account_json(&more).to_string());
    own_login_test(&home, "")
        .expect_request(refresh_response(1, Some(ROTATED_REFRESH_TOKEN)))
        .expect_request(sts_token_response(TOKEN))
        .run();
    let out = || Test::new("logout example-pool/ada").home(&home);
    out()
        .expect_request(post_response(REVOCATION_ENDPOINT, 401, r#"{"error":"invalid_client"}"#))
        .expect_status(5)
        .expect_error("the provider says invalid_client")
        .run();
    let ran = out().expect_request(post_response(REVOCATION_ENDPOINT, 200, "")).run();
    let asked = &ran.requests[0];
    assert_eq!((asked.form_field("token"), asked.form_field("client_id")), (ROTATED_REFRESH_TOKEN, CLIENT_ID));
    assert!(home.names(".config/gauth/accounts").iter().all(|name| !name.ends_with(".json")));
    // A login that cannot be revoked is removed with a warning.
    home.write(LOGIN_FILE, external_account_json(&json!({})).to_string());
    out().expect_warning("example-pool/ada").run();
}

#[test]
fn a_rejected_login_is_listed_as_such() {
    let home = Home::new();
    home.write(LOGIN_FILE, external_account_json(&json!({})).to_string());
    let refused = post_response(TOKEN_URI, 400, r#"{"error":"invalid_grant"}"#);
    own_login_test(&home, "").expect_request(refused).expect_status(4).run();
    let ran = Test::new("accounts --format json").home(&home).run();
    assert!(ran.stdout.contains("must sign in again"), "{}", ran.stdout);
    let path = ".config/gauth/accounts/idp.example%2Fada.json";
    let login = sample_credentials::with_fields(oidc_session_json(&json!({})), &json!({"type": "openid_login"}));
    home.write(path, login.to_string());
    let ran = Test::new("accounts").home(&home).run();
    assert!(ran.stdout.contains("OpenID user"), "{}", ran.stdout);
}

#[test]
fn invalid_fields_of_a_login_file_are_refused_by_name() {
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
            .json("key.json", &external_account_json(&more))
            .expect_status(status)
            .expect_error(says)
            .run();
    }
    let login =
        sample_credentials::with_fields(oidc_session_json(&json!({"issuer": null})), &json!({"type": "openid_login"}));
    Test::new("id-token --credentials {home}/key.json")
        .json("key.json", &login)
        .expect_status(8)
        .expect_error("key.json: issuer")
        .run();
}

#[test]
fn an_oidc_login_refreshes_its_id_token() {
    let login = json!({"type": "openid_login", "account": "idp.example/ada"});
    let login = sample_credentials::with_fields(oidc_session_json(&json!({})), &login);
    let path = ".config/gauth/accounts/idp.example%2Fada.json";
    let home = Home::new();
    home.write(path, login.to_string());
    let run = |words: &str| Test::new(&format!("id-token --account idp.example/ada {words}")).home(&home);
    run("")
        .expect_request(refresh_response(1, Some(ROTATED_REFRESH_TOKEN)))
        .expect_stdout(&format!("{}\n", id_token_number(1, 3600)))
        .run();
    run("").expect_stdout(&format!("{}\n", id_token_number(1, 3600))).run();
    let ran = run(&format!("--audiences {CLIENT_ID} --refresh")).expect_request(refresh_response(2, None)).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    let stored: Value = serde_json::from_str(&home.read(path)).expect("JSON");
    assert_eq!(stored["refresh_token"], ROTATED_REFRESH_TOKEN);
}

#[test]
fn logout_uses_the_providers_revocation_endpoint() {
    const REVOCATION_ENDPOINT: &str = "https://idp.example/revocation";
    let ends = json!({ "revoke_url": REVOCATION_ENDPOINT });
    let own_tokens = sample_credentials::with_fields(
        oidc_session_json(&ends),
        &json!({"type": "openid_login", "account": "example-pool/ada"}),
    );
    for login in [external_account_json(&ends), own_tokens] {
        let home = Home::new();
        home.write(LOGIN_FILE, login.to_string());
        let logout = || Test::new("logout example-pool/ada").home(&home);
        let odd = post_response(REVOCATION_ENDPOINT, 401, r#"{"error":"invalid_client"}"#);
        logout().expect_request(odd).expect_status(5).expect_error("is kept").run();
        let ran = logout().expect_request(post_response(REVOCATION_ENDPOINT, 200, "")).run();
        let asked = &ran.requests[0];
        assert_eq!(asked.form_field("token"), REFRESH_TOKEN);
        assert!(asked.header("authorization").is_some() && !home.path(LOGIN_FILE).exists());
    }
    Test::new("logout example-pool/ada")
        .json(LOGIN_FILE, &external_account_json(&json!({})))
        .expect_stdout("signed out of example-pool/ada\n")
        .expect_warning("which cannot be revoked")
        .run();
}

#[test]
fn a_copied_login_and_its_original_share_one_chain_of_refresh_tokens() {
    const THIRD: &str = "third-refresh-token";
    const FOURTH: &str = "fourth-refresh-token";
    let openid_login = sample_credentials::with_fields(
        oidc_session_json(&json!({})),
        &json!({"type": "openid_login", "account": "example-pool/ada"}),
    );
    for (login, command, is_federated) in
        [(external_account_json(&json!({})), "token", true), (openid_login, "id-token", false)]
    {
        let home = Home::new();
        home.write("my.json", login.to_string());
        let refresh = |credential: &str, number: i64, next: Option<&str>| {
            home.clock.advance(1);
            let mut test = Test::new(&format!("{command} {credential} --refresh"))
                .home(&home)
                .secret(THIRD)
                .secret(FOURTH)
                .expect_request(refresh_response(number, next));
            if is_federated {
                test = test.expect_request(sts_token_response(TOKEN));
            }
            test.run().requests[0].form_field("refresh_token").to_owned()
        };
        Test::new("login --credentials {home}/my.json --account example-pool/ada").home(&home).run();
        let stored = "--account example-pool/ada";
        assert_eq!(refresh(stored, 1, Some(ROTATED_REFRESH_TOKEN)), REFRESH_TOKEN);
        let original = "--credentials {home}/my.json";
        assert_eq!(refresh(original, 2, Some(THIRD)), ROTATED_REFRESH_TOKEN, "{login}");
        // An exported copy has the newest refresh token, and no field of gauth's own.
        Test::new("accounts show example-pool/ada --export {home}/copy.json").home(&home).run();
        let copy = home.read("copy.json");
        assert!(copy.contains(THIRD) && !copy.contains("refresh_token_shared"), "{copy}");
        assert_eq!(refresh("--credentials {home}/copy.json", 3, Some(FOURTH)), THIRD);
        assert_eq!(refresh(stored, 4, None), FOURTH);
    }
}
