//! `gauth accounts show` shows one login without its secrets, and `use` makes it the active one.

use serde_json::json;

use super::{ADA, BOB, STATE_FILE, gauth_in, home_with_logins, login_file, login_json, state_json};
use crate::support::sample_credentials::{
    self, SERVICE_ACCOUNT_EMAIL, TOKEN, external_account, service_account, token_response_body,
};
use crate::support::token_response;

#[test]
fn one_login_is_shown_without_its_secrets() {
    let more = json!({"scopes": ["openid"], "signed_in_at": "2026-01-02T02:04:05.5Z", "later": {"x": "hunter2hunter2", "file": "/f"}, "n": 5});
    let home = home_with_logins(&[(ADA, sample_credentials::with_fields(login_json(ADA), &more))]);
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
    let secret = |text: &str| gauth_core::text::secret::fingerprint(text.as_bytes());
    let (client, refresh, later) = (
        secret(sample_credentials::CLIENT_SECRET),
        secret(sample_credentials::REFRESH_TOKEN),
        secret("hunter2hunter2"),
    );
    gauth_in(&home, "accounts show ada@example.com")
        .secret("hunter2hunter2")
        .expect_stdout(&format!(
            "ada@example.com, user login of gauth, the active account

file           ~/.config/gauth/accounts/ada@example.com.json
state          ok
token          cached, 59 min left
account        ada@example.com
client_id      123456789012-exampleclientid.apps.googleusercontent.com
client_secret  … (fingerprint {client})
later.file     /f
later.x        … (fingerprint {later})
n              …
refresh_token  1//… (fingerprint {refresh})
scopes         openid
signed_in_at   1 h ago (2026-01-02T02:04:05.5Z)
type           authorized_user
"
        ))
        .run();
    let json = gauth_in(&home, "accounts show ADA@example.com --format json").run().json();
    assert_eq!(json["fields"]["refresh_token"], format!("1//… (fingerprint {refresh})"));
    assert_eq!(json["token"]["fingerprint"], secret(TOKEN));
    assert_eq!((&json["account"], &json["active"]), (&json!(ADA), &json!(true)));
}

#[test]
fn keys_and_headers_are_hidden_too() {
    let headers = json!({"url": "https://idp.example.com/", "headers": {"Authorization": "Bearer hunter2hunter2"}});
    let home = home_with_logins(&[(SERVICE_ACCOUNT_EMAIL, service_account()), ("ci", external_account(headers))]);
    let text = gauth_in(&home, &format!("accounts show {SERVICE_ACCOUNT_EMAIL}")).run().stdout;
    assert!(text.contains("private_key                  -----BEGIN… (fingerprint "), "{text}");
    let text = gauth_in(&home, "accounts show ci").secret("hunter2hunter2").run().stdout;
    assert!(text.starts_with("ci, federated identity of gauth\n"), "{text}");
    assert!(text.contains("credential_source.url                    https://idp.example.com/\n"), "{text}");
}

#[test]
fn an_unreadable_login_is_shown_as_far_as_possible() {
    let home = home_with_logins(&[]);
    home.write(&login_file("junk"), "junk");
    let text = gauth_in(&home, "accounts show junk").run().stdout;
    assert_eq!(
        text,
        "junk, login of gauth\n\nfile   ~/.config/gauth/accounts/junk.json\n\
         state  broken: is not valid JSON, line 1 column 1\n"
    );
}

#[test]
fn use_sets_the_active_account() {
    let home = home_with_logins(&[(ADA, login_json(ADA)), (BOB, login_json(BOB))]);
    gauth_in(&home, "accounts use bob@example.com").expect_stdout("gauth acts as bob@example.com\n").run();
    assert_eq!(state_json(&home)["active"], BOB);
    assert_eq!(
        gauth_in(&home, "token --format json")
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .run()
            .json()["account"],
        BOB
    );
    let json = gauth_in(&home, "accounts use ada@example.com --format json").run().json();
    assert_eq!(json, json!({"account": ADA, "profile": null}));
    gauth_in(&home, "accounts use bob@example.com")
        .env("GAUTH_ACCOUNT", ADA)
        .expect_warning("GAUTH_ACCOUNT is ada@example.com and has precedence")
        .run();
    home.write(STATE_FILE, "junk");
    gauth_in(&home, "accounts use bob@example.com")
        .expect_status(8)
        .expect_hint("rm HOME/.config/gauth/state.json")
        .run();
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_active_account_is_not_changed_by_gauth() {
    let home = home_with_logins(&[(ADA, login_json(ADA))]);
    super::sign_in_to_gcloud(&home, &[(BOB, login_json(""))]);
    gauth_in(&home, "accounts use bob@example.com")
        .expect_status(7)
        .expect_error("bob@example.com is a login of gcloud's, not of gauth's")
        .expect_hint("gcloud config set account bob@example.com")
        .run();
    let text = gauth_in(&home, "accounts show bob@example.com").run().stdout;
    assert!(text.starts_with("bob@example.com, user login of gcloud\n"), "{text}");
}
