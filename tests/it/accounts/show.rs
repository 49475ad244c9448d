//! `gauth accounts show` and `use`: everything about one login but its secrets; and which is used.

use serde_json::json;

use super::{ADA, BOB, STATE, at, login, place, signed_in, state};
use crate::support::samples::{self, ROBOT, TOKEN, external_account, granted, service_account};
use crate::support::token;

#[test]
fn one_login_is_shown_without_its_secrets() {
    let more = json!({"scopes": ["openid"], "signed_in_at": "2026-01-02T02:04:05.5Z", "later": {"x": "hunter2hunter2", "file": "/f"}, "n": 5});
    let home = signed_in(&[(ADA, samples::with(login(ADA), &more))]);
    at(&home, "token").google(token(200, granted(TOKEN))).run();
    let secret = |text: &str| gauth::secret::fingerprint(text.as_bytes());
    let (client, refresh, later) =
        (secret(samples::CLIENT_SECRET), secret(samples::REFRESH_TOKEN), secret("hunter2hunter2"));
    at(&home, "accounts show ada@example.com")
        .secret("hunter2hunter2")
        .stdout(&format!(
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
    let json = at(&home, "accounts show ADA@example.com --format json").run().json();
    assert_eq!(json["fields"]["refresh_token"], format!("1//… (fingerprint {refresh})"));
    assert_eq!(json["token"]["fingerprint"], secret(TOKEN));
    assert_eq!((&json["account"], &json["active"]), (&json!(ADA), &json!(true)));
}

#[test]
fn keys_and_headers_are_hidden_too() {
    let headers = json!({"url": "https://idp.example.com/", "headers": {"Authorization": "Bearer hunter2hunter2"}});
    let home = signed_in(&[(ROBOT, service_account()), ("ci", external_account(headers))]);
    let text = at(&home, &format!("accounts show {ROBOT}")).run().stdout;
    assert!(text.contains("private_key                  -----BEGIN… (fingerprint "), "{text}");
    let text = at(&home, "accounts show ci").secret("hunter2hunter2").run().stdout;
    assert!(text.starts_with("ci, federated identity of gauth\n"), "{text}");
    assert!(
        text.contains("credential_source.url                    https://idp.example.com/\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_read_is_shown_as_far_as_it_goes() {
    let home = signed_in(&[]);
    home.write(&place("junk"), "junk");
    let text = at(&home, "accounts show junk").run().stdout;
    assert_eq!(
        text,
        "junk, login of gauth\n\nfile   ~/.config/gauth/accounts/junk.json\n\
         state  broken: is not valid JSON, line 1 column 1\n"
    );
}

#[test]
fn the_active_account_is_chosen() {
    let home = signed_in(&[(ADA, login(ADA)), (BOB, login(BOB))]);
    at(&home, "accounts use bob@example.com").stdout("gauth acts as bob@example.com\n").run();
    assert_eq!(state(&home)["active"], BOB);
    assert_eq!(
        at(&home, "token --format json").google(token(200, granted(TOKEN))).run().json()["account"],
        BOB
    );
    let json = at(&home, "accounts use ada@example.com --format json").run().json();
    assert_eq!(json, json!({"account": ADA, "profile": null}));
    at(&home, "accounts use bob@example.com")
        .env("GAUTH_ACCOUNT", ADA)
        .warns("GAUTH_ACCOUNT names ada@example.com, which goes before it")
        .run();
    home.write(STATE, "junk");
    at(&home, "accounts use bob@example.com")
        .status(8)
        .tries("rm HOME/.config/gauth/state.json")
        .run();
}

#[cfg(feature = "gcloud-store")]
#[test]
fn gclouds_account_is_gclouds_to_choose() {
    let home = signed_in(&[(ADA, login(ADA))]);
    super::in_gcloud(&home, &[(BOB, login(""))]);
    at(&home, "accounts use bob@example.com")
        .status(7)
        .says("bob@example.com is a login of gcloud's, not of gauth's")
        .tries("gcloud config set account bob@example.com")
        .run();
    let text = at(&home, "accounts show bob@example.com").run().stdout;
    assert!(text.starts_with("bob@example.com, user login of gcloud\n"), "{text}");
}
