//! Secrets in the store of a program. It is run only when a token has to be minted, and no login is lost when it fails.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{ADA, gauth_in, home_with_logins, invalid_grant_response, login_file, login_json, state_json};
use crate::support::sample_credentials::{
    self, CLIENT_SECRET, REFRESH_TOKEN, ROTATED_REFRESH_TOKEN, SECOND_TOKEN, SERVICE_ACCOUNT_EMAIL, TOKEN,
    service_account, token_response_body,
};
use crate::support::{Home, MockExchange, Test, post_response, token_response};

/// A program that stores logins in a folder beside it, and logs its calls.
const SECRET_STORE_SCRIPT: &str = r#"#!/bin/sh
folder=$(dirname "$0")/vault
mkdir -p "$folder"
echo "$1 $2" >> "$(dirname "$0")/calls"
case "$1" in
    get) cat "$folder/$2" 2> /dev/null || { echo "no entry $2" >&2; exit 3; } ;;
    put) cat > "$folder/$2" ;;
    erase) rm "$folder/$2" ;;
esac
"#;

const CONFIG_FILE: &str = ".config/gauth/config.toml";

/// A home with such a program in `config.toml`.
fn home_with_secret_store() -> Rc<Home> {
    let home = home_with_logins(&[]);
    replace_secret_store(&home, SECRET_STORE_SCRIPT);
    home
}

/// Replaces the program by another one.
fn replace_secret_store(home: &Home, script: &str) {
    home.write_with_mode("keeper", script, 0o700);
    let program = home.path("keeper");
    let call = |name: &str| format!("{name} = [\"{}\", \"{name}\", \"{{account}}\"]", program.display());
    let calls = ["get", "put", "erase"].map(call).join("\n");
    home.write(CONFIG_FILE, format!("store = \"command\"\n[store_command]\n{calls}\n"));
}

/// The calls of the program since the last time this function was called.
fn take_store_calls(home: &Home) -> Vec<String> {
    let Ok(calls) = std::fs::read_to_string(home.path("calls")) else { return Vec::new() };
    home.write("calls", "");
    calls.lines().map(|line| line.replace(" ada@example.com", "")).collect()
}

fn login_command(home: &Rc<Home>, args: &str) -> Test {
    home.write("my.json", sample_credentials::with_fields(login_json(ADA), &json!({"scopes": ["openid"]})).to_string());
    gauth_in(home, &format!("login --credentials {{home}}/my.json {args}"))
}

fn home_with_login_in_store() -> Rc<Home> {
    let home = home_with_secret_store();
    login_command(&home, "").run();
    assert_eq!(take_store_calls(&home), ["put", "get"], "put, and seen to be there");
    home
}

/// As [`home_with_login_in_store`], with a login that is not shared, so that rotated refresh tokens go to the store.
fn home_with_rotating_login_in_store() -> Rc<Home> {
    let home = home_with_secret_store();
    home.write("vault/ada@example.com", login_json(ADA).to_string());
    let file = json!({
        "type": "authorized_user", "account": ADA, "client_id": sample_credentials::CLIENT_ID, "client_secret": "(in the store)",
        "refresh_token": "(in the store)", "gauth_store": "command", "gauth_secrets": "",
    });
    home.write(&login_file(ADA), file.to_string());
    home.write(super::STATE_FILE, json!({"active": ADA}).to_string());
    home
}

fn login_file_json(home: &Home) -> Value {
    serde_json::from_str(&home.read(&login_file(ADA))).expect("JSON")
}

fn stored_secret_json(home: &Home) -> Value {
    serde_json::from_str(&home.read("vault/ada@example.com")).expect("JSON")
}

fn rotating_token_response(next_refresh_token: &str) -> MockExchange {
    token_response(
        200,
        json!({"access_token": TOKEN, "expires_in": 3599, "refresh_token": next_refresh_token}).to_string(),
    )
}

#[test]
fn the_file_has_all_fields_but_the_secrets() {
    let home = home_with_login_in_store();
    let text = home.read(&login_file(ADA));
    assert!(!text.contains(REFRESH_TOKEN) && !text.contains(CLIENT_SECRET), "{text}");
    let file = login_file_json(&home);
    assert_eq!(
        (&file["gauth_store"], &file["account"], &file["scopes"]),
        (&json!("command"), &json!(ADA), &json!(["openid"]))
    );
    assert_eq!(stored_secret_json(&home)["refresh_token"], REFRESH_TOKEN);
    assert_eq!(state_json(&home)["active"], ADA);
}

#[test]
fn the_store_is_opened_for_a_new_token_only() {
    let home = home_with_login_in_store();
    let ran = gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
    assert_eq!(
        (ran.requests[0].form_field("refresh_token"), ran.requests[0].form_field("client_secret")),
        (REFRESH_TOKEN, CLIENT_SECRET)
    );
    assert_eq!(take_store_calls(&home), ["get"]);
    for words in [
        "token",
        "accounts",
        "accounts --format json",
        "accounts show ada@example.com",
        "status",
        "status --format json",
    ] {
        gauth_in(&home, words).run();
        assert!(take_store_calls(&home).is_empty(), "{words}");
    }
    let text = gauth_in(&home, "accounts show ada@example.com").run().stdout;
    assert!(
        text.contains("refresh_token         (in the store)\n") && text.contains("gauth_store           command\n"),
        "{text}"
    );
    assert!(gauth_in(&home, "status").run().stdout.starts_with("using    ada@example.com, user login, from"));
    // The access token in the cache is used for the next calls.
    gauth_in(&home, "token --refresh").expect_request(token_response(200, token_response_body(SECOND_TOKEN))).run();
    assert_eq!(take_store_calls(&home), ["get"]);
}

#[test]
fn a_private_key_is_stored_as_well() {
    let home = home_with_secret_store();
    home.write("my.json", service_account().to_string());
    gauth_in(&home, "login --credentials {home}/my.json").run();
    assert!(!home.read(&login_file(SERVICE_ACCOUNT_EMAIL)).contains("PRIVATE KEY"));
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
}

#[test]
fn a_refused_login_is_remembered_without_opening_its_store() {
    let home = home_with_login_in_store();
    gauth_in(&home, "token").expect_request(invalid_grant_response()).expect_status(4).run();
    take_store_calls(&home);
    assert!(gauth_in(&home, "accounts").run().stdout.contains("must sign in again"));
    assert!(take_store_calls(&home).is_empty());
    gauth_in(&home, "token --refresh").expect_request(token_response(200, token_response_body(TOKEN))).run();
    assert!(!gauth_in(&home, "accounts").run().stdout.contains("must sign in again"));
}

#[test]
fn the_next_refresh_token_goes_into_the_store() {
    let home = home_with_rotating_login_in_store();
    gauth_in(&home, "token").expect_request(rotating_token_response(ROTATED_REFRESH_TOKEN)).run();
    assert_eq!(stored_secret_json(&home)["refresh_token"], ROTATED_REFRESH_TOKEN);
    assert!(!home.read(&login_file(ADA)).contains("1//0"));
    gauth_in(&home, "token").run();
    take_store_calls(&home);
    let ran = gauth_in(&home, "token --refresh")
        .expect_request(rotating_token_response("1//0third"))
        .secret("1//0third")
        .run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
    assert_eq!(take_store_calls(&home), ["get", "put", "get"]);
    assert_eq!(stored_secret_json(&home)["refresh_token"], "1//0third");
}

#[test]
fn a_refresh_token_the_store_rejects_is_not_lost() {
    for broken in ["exit 1", "cat > /dev/null", "exec sleep 60"] {
        let home = home_with_rotating_login_in_store();
        // The program still returns the previous login.
        let script = SECRET_STORE_SCRIPT.replace("put) cat > \"$folder/$2\"", &format!("put) {broken}"));
        replace_secret_store(&home, &script);
        if broken.contains("sleep") {
            home.clock.run_at_speed(5);
        }
        gauth_in(&home, "token")
            .expect_request(rotating_token_response(ROTATED_REFRESH_TOKEN))
            .expect_warning(
                "the login is now in HOME/.config/gauth/accounts/ada@example.com.json including its secrets",
            )
            .expect_stdout(&format!("{TOKEN}\n"))
            .run();
        assert_eq!(
            (&login_file_json(&home)["refresh_token"], login_file_json(&home).get("gauth_store")),
            (&json!(ROTATED_REFRESH_TOKEN), None)
        );
        take_store_calls(&home);
        let ran = gauth_in(&home, "token --refresh")
            .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
            .run();
        assert_eq!(ran.requests[0].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
        assert!(take_store_calls(&home).is_empty());
    }
}

#[test]
fn a_secret_changed_by_another_process_is_used() {
    let home = home_with_rotating_login_in_store();
    let newer = sample_credentials::with_fields(login_json(ADA), &json!({"refresh_token": ROTATED_REFRESH_TOKEN}));
    let meanwhile = move |home: &Home| home.write("vault/ada@example.com", newer.to_string());
    let refused = invalid_grant_response().on_request(meanwhile);
    // Usually the file shows that the store has changed. Here it does not, as if the other process had been killed.
    let ran = gauth_in(&home, "token")
        .expect_request(refused)
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
    assert_eq!(ran.requests[1].form_field("refresh_token"), ROTATED_REFRESH_TOKEN);
}

#[test]
fn an_error_of_the_store_program_is_reported() {
    for (script, says) in [
        ("#!/bin/sh\necho 'gpg: decryption failed' >&2; exit 2\n", "ended with status 2: \"gpg: decryption failed\""),
        ("#!/bin/sh\nexit 1\n", "ended with status 1"),
        ("#!/bin/sh\nkill -TERM $$\n", "was ended by signal 15"),
        ("#!/bin/sh\ntrue\n", "prints nothing"),
        ("#!/bin/sh\necho hello\n", "does not print a login: its output is not valid JSON"),
        ("#!/bin/sh\necho '[1]'\n", "does not print a login: its output is JSON, but not an object"),
        ("#!/bin/sh\nyes\n", "prints more than 1 MiB"),
        ("#!/bin/sh\nsleep 60\n", "did not answer within 10 s"),
        ("#!/no/such/interpreter\n", "there is no such program"),
    ] {
        let home = home_with_login_in_store();
        replace_secret_store(&home, script);
        if script.contains("sleep") {
            home.clock.run_at_speed(5);
        }
        gauth_in(&home, "token")
            .expect_status(6)
            .expect_error("keeper (store_command.get, for ada@example.com) ")
            .expect_error(says)
            .expect_hint("keeper get ada@example.com at a terminal")
            .run();
        // The list of accounts does not need the store.
        assert!(gauth_in(&home, "accounts").run().stdout.contains("ada@example.com  user  gauth"));
    }
}

#[test]
fn error_output_of_a_store_program_is_redacted() {
    let home = home_with_login_in_store();
    replace_secret_store(&home, &format!("#!/bin/sh\necho 'cannot open {REFRESH_TOKEN}-and-more' >&2; exit 1\n"));
    gauth_in(&home, "token").expect_status(6).expect_error("cannot open [secret ").run();
}

#[test]
fn a_cached_token_is_used_while_the_store_is_locked() {
    let home = home_with_login_in_store();
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
    replace_secret_store(&home, "#!/bin/sh\nexit 1\n");
    gauth_in(&home, "token").expect_stdout(&format!("{TOKEN}\n")).run();
    home.clock.advance(3500);
    gauth_in(&home, "token")
        .expect_warning("a cached token is used while it lasts")
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
}

#[test]
fn a_login_fails_if_the_store_cannot_save_it() {
    for (script, says) in [
        ("#!/bin/sh\ncat > /dev/null\n", "accepted the login of ada@example.com and does not return it"),
        ("#!/bin/sh\nexit 5\n", "(store_command.put, for ada@example.com) ended with status 5"),
        ("#!/bin/sh\necho '{\"type\": \"x\"}'\n", "does not return it"),
    ] {
        let home = home_with_secret_store();
        replace_secret_store(&home, script);
        login_command(&home, "").expect_status(6).expect_error(says).expect_hint("--store file").run();
        assert!(home.names(".config/gauth/accounts").iter().all(|name| !name.ends_with(".json")));
        login_command(&home, "--store file").run();
        assert_eq!(login_file_json(&home)["refresh_token"], REFRESH_TOKEN);
    }
}

#[test]
fn the_flag_and_the_setting_choose_the_store() {
    let home = home_with_logins(&[]);
    login_command(&home, "--store drawer")
        .expect_status(2)
        .expect_error("--store: there is no store drawer")
        .expect_hint("file, keyring, command")
        .run();
    login_command(&home, "--store command")
        .expect_status(8)
        .expect_error("config.toml: names no store_command")
        .expect_hint("gauth help files")
        .run();
    #[cfg(not(feature = "keyring"))]
    login_command(&home, "--store keyring")
        .expect_status(7)
        .expect_error("built without the keyring")
        .expect_hint("--features keyring")
        .run();
    for (config, says) in [
        ("store = \"drawer\"\n", "store: there is no store drawer"),
        (
            "[store_command]\nget = [\"pass\"]\nput = [\"pass\", \"{account}\"]\n",
            "store_command.get has no argument with {account}",
        ),
        ("[store_command]\nget = []\nput = [\"pass\", \"{account}\"]\n", "store_command.get names no program"),
        ("[store_command]\nget = [\"pass\", \"{account}\"]\n", "missing field `put`"),
    ] {
        home.write(CONFIG_FILE, config);
        let status = if config.starts_with("store =") { 2 } else { 8 };
        login_command(&home, "").expect_status(status).expect_error(says).run();
    }
}

#[test]
fn logout_removes_the_entry_of_the_store() {
    let home = home_with_login_in_store();
    let ran =
        gauth_in(&home, "logout").expect_request(post_response("https://oauth2.googleapis.com/revoke", 200, "")).run();
    assert_eq!(ran.requests[0].form_field("token"), REFRESH_TOKEN);
    assert_eq!(take_store_calls(&home), ["get", "erase"]);
    assert!(!home.path(&login_file(ADA)).exists() && home.names("vault").is_empty());
    // A store that fails to remove the entry causes a warning.
    let home = home_with_login_in_store();
    replace_secret_store(&home, &SECRET_STORE_SCRIPT.replace("rm \"$folder/$2\"", "exit 9"));
    gauth_in(&home, "logout --keep-remote")
        .expect_warning("(store_command.erase, for ada@example.com) ended with status 9")
        .run();
    assert!(!home.path(&login_file(ADA)).exists());
}

#[test]
fn a_login_moves_from_store_to_store() {
    let home = home_with_login_in_store();
    login_command(&home, "--store file").run();
    assert_eq!(take_store_calls(&home), ["erase"]);
    assert_eq!(
        (&login_file_json(&home)["refresh_token"], login_file_json(&home).get("gauth_store")),
        (&json!(REFRESH_TOKEN), None)
    );
    login_command(&home, "").run();
    assert_eq!(take_store_calls(&home), ["put", "get"]);
    gauth_in(&home, "accounts show ada@example.com --export {home}/out.json").run();
    let exported: Value = serde_json::from_str(&home.read("out.json")).expect("JSON");
    assert_eq!((&exported["refresh_token"], exported.get("gauth_store")), (&json!(REFRESH_TOKEN), None));
}

#[test]
fn an_account_file_without_its_secrets_is_not_a_credential() {
    let home = home_with_login_in_store();
    Test::new("token")
        .home(&home)
        .env("GOOGLE_APPLICATION_CREDENTIALS", format!("{{home}}/{}", login_file(ADA)))
        .expect_status(8)
        .expect_error("this is an account of gauth, and its secrets are in another store")
        .expect_hint("gauth token --account")
        .run();
    let odd = sample_credentials::with_fields(login_file_json(&home), &json!({"gauth_store": "drawer"}));
    home.write(&login_file(ADA), odd.to_string());
    gauth_in(&home, "token").expect_status(8).expect_error("gauth_store is \"drawer\"").run();
}
