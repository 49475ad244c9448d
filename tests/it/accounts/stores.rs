//! Secrets that are not in gauth's own files: with a program that keeps them. It is asked for a token that has to be
//! minted, and for nothing else; and nothing is lost when it fails.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{ADA, at, ended, login, place, signed_in, state};
use crate::support::samples::{
    self, CLIENT_SECRET, REFRESH_TOKEN, ROBOT, ROTATED, SECOND, TOKEN, granted, service_account,
};
use crate::support::{Exchange, Home, Test, post, token};

/// A program that keeps what it is given in a folder beside it, and writes down what it was called for.
const KEEPER: &str = r#"#!/bin/sh
folder=$(dirname "$0")/vault
mkdir -p "$folder"
echo "$1 $2" >> "$(dirname "$0")/calls"
case "$1" in
    get) cat "$folder/$2" 2> /dev/null || { echo "no entry $2" >&2; exit 3; } ;;
    put) cat > "$folder/$2" ;;
    erase) rm "$folder/$2" ;;
esac
"#;

const CONFIG: &str = ".config/gauth/config.toml";

/// A home with such a program, which the settings name.
fn with_keeper() -> Rc<Home> {
    let home = signed_in(&[]);
    keeper(&home, KEEPER);
    home
}

/// Puts another program in its place.
fn keeper(home: &Home, script: &str) {
    home.write_with_mode("keeper", script, 0o700);
    let program = home.path("keeper");
    let call =
        |name: &str| format!("{name} = [\"{}\", \"{name}\", \"{{account}}\"]", program.display());
    let calls = ["get", "put", "erase"].map(call).join("\n");
    home.write(CONFIG, format!("store = \"command\"\n[store_command]\n{calls}\n"));
}

/// What the program was called for since the last look.
fn calls(home: &Home) -> Vec<String> {
    let Ok(calls) = std::fs::read_to_string(home.path("calls")) else { return Vec::new() };
    home.write("calls", "");
    calls.lines().map(|line| line.replace(" ada@example.com", "")).collect()
}

fn sign_in(home: &Rc<Home>, words: &str) -> Test {
    home.write("my.json", samples::with(login(ADA), &json!({"scopes": ["openid"]})).to_string());
    at(home, &format!("login --credentials {{home}}/my.json {words}"))
}

fn signed_in_there() -> Rc<Home> {
    let home = with_keeper();
    sign_in(&home, "").run();
    assert_eq!(calls(&home), ["put", "get"], "put, and seen to be there");
    home
}

/// As [`signed_in_there`], with a login that has no copy and so changes itself.
fn rotating_there() -> Rc<Home> {
    let home = with_keeper();
    home.write("vault/ada@example.com", login(ADA).to_string());
    let file = json!({
        "type": "authorized_user", "account": ADA, "client_id": samples::CLIENT_ID, "client_secret": "(in the store)",
        "refresh_token": "(in the store)", "gauth_store": "command", "gauth_secrets": "",
    });
    home.write(&place(ADA), file.to_string());
    home.write(super::STATE, json!({"active": ADA}).to_string());
    home
}

fn file(home: &Home) -> Value {
    serde_json::from_str(&home.read(&place(ADA))).expect("JSON")
}

fn in_vault(home: &Home) -> Value {
    serde_json::from_str(&home.read("vault/ada@example.com")).expect("JSON")
}

fn rotating(next: &str) -> Exchange {
    token(
        200,
        json!({"access_token": TOKEN, "expires_in": 3599, "refresh_token": next}).to_string(),
    )
}

#[test]
fn the_file_has_everything_but_the_secrets() {
    let home = signed_in_there();
    let text = home.read(&place(ADA));
    assert!(!text.contains(REFRESH_TOKEN) && !text.contains(CLIENT_SECRET), "{text}");
    let file = file(&home);
    assert_eq!(
        (&file["gauth_store"], &file["account"], &file["scopes"]),
        (&json!("command"), &json!(ADA), &json!(["openid"]))
    );
    assert_eq!(in_vault(&home)["refresh_token"], REFRESH_TOKEN);
    assert_eq!(state(&home)["active"], ADA);
}

#[test]
fn the_store_is_opened_for_a_new_token_only() {
    let home = signed_in_there();
    let ran = at(&home, "token").google(token(200, granted(TOKEN))).run();
    assert_eq!(
        (ran.sent[0].field("refresh_token"), ran.sent[0].field("client_secret")),
        (REFRESH_TOKEN, CLIENT_SECRET)
    );
    assert_eq!(calls(&home), ["get"]);
    for words in [
        "token",
        "accounts",
        "accounts --format json",
        "accounts show ada@example.com",
        "status",
        "status --format json",
    ] {
        at(&home, words).run();
        assert!(calls(&home).is_empty(), "{words}");
    }
    let text = at(&home, "accounts show ada@example.com").run().stdout;
    assert!(
        text.contains("refresh_token         (in the store)\n")
            && text.contains("gauth_store           command\n"),
        "{text}"
    );
    assert!(
        at(&home, "status").run().stdout.starts_with("using    ada@example.com, user login, from")
    );
    // What is kept of one token is kept for the next.
    at(&home, "token --refresh").google(token(200, granted(SECOND))).run();
    assert_eq!(calls(&home), ["get"]);
}

#[test]
fn a_key_is_kept_as_well() {
    let home = with_keeper();
    home.write("my.json", service_account().to_string());
    at(&home, "login --credentials {home}/my.json").run();
    assert!(!home.read(&place(ROBOT)).contains("PRIVATE KEY"));
    at(&home, "token").google(token(200, granted(TOKEN))).run();
}

#[test]
fn a_refused_login_is_remembered_without_opening_its_store() {
    let home = signed_in_there();
    at(&home, "token").google(ended()).status(4).run();
    calls(&home);
    assert!(at(&home, "accounts").run().stdout.contains("must sign in again"));
    assert!(calls(&home).is_empty());
    at(&home, "token --refresh").google(token(200, granted(TOKEN))).run();
    assert!(!at(&home, "accounts").run().stdout.contains("must sign in again"));
}

#[test]
fn the_next_refresh_token_goes_into_the_store() {
    let home = rotating_there();
    at(&home, "token").google(rotating(ROTATED)).run();
    assert_eq!(in_vault(&home)["refresh_token"], ROTATED);
    assert!(!home.read(&place(ADA)).contains("1//0"));
    at(&home, "token").run();
    calls(&home);
    let ran = at(&home, "token --refresh").google(rotating("1//0third")).secret("1//0third").run();
    assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
    assert_eq!(calls(&home), ["get", "put", "get"]);
    assert_eq!(in_vault(&home)["refresh_token"], "1//0third");
}

#[test]
fn a_refresh_token_that_the_store_does_not_take_is_not_lost() {
    for broken in ["exit 1", "cat > /dev/null", "exec sleep 60"] {
        let home = rotating_there();
        // It goes on giving what it has.
        let script = KEEPER.replace("put) cat > \"$folder/$2\"", &format!("put) {broken}"));
        keeper(&home, &script);
        if broken.contains("sleep") {
            home.clock.run(5);
        }
        at(&home, "token")
            .google(rotating(ROTATED))
            .warns("the login is in HOME/.config/gauth/accounts/ada@example.com.json from now on, secrets included")
            .stdout(&format!("{TOKEN}\n"))
            .run();
        assert_eq!(
            (&file(&home)["refresh_token"], file(&home).get("gauth_store")),
            (&json!(ROTATED), None)
        );
        calls(&home);
        let ran = at(&home, "token --refresh").google(token(200, granted(SECOND))).run();
        assert_eq!(ran.sent[0].field("refresh_token"), ROTATED);
        assert!(calls(&home).is_empty());
    }
}

#[test]
fn another_process_may_have_changed_what_is_there() {
    let home = rotating_there();
    let newer = samples::with(login(ADA), &json!({"refresh_token": ROTATED}));
    let meanwhile = move |home: &Home| home.write("vault/ada@example.com", newer.to_string());
    let refused = ended().during(meanwhile);
    // The file tells that the store has something else; here it does not, as if its process had died in between.
    let ran = at(&home, "token").google(refused).google(token(200, granted(TOKEN))).run();
    assert_eq!(ran.sent[1].field("refresh_token"), ROTATED);
}

#[test]
fn a_store_that_cannot_be_opened_says_how_it_ended() {
    for (script, says) in [
        (
            "#!/bin/sh\necho 'gpg: decryption failed' >&2; exit 2\n",
            "ended with status 2: \"gpg: decryption failed\"",
        ),
        ("#!/bin/sh\nexit 1\n", "ended with status 1"),
        ("#!/bin/sh\nkill -TERM $$\n", "was ended by signal 15"),
        ("#!/bin/sh\ntrue\n", "prints nothing"),
        ("#!/bin/sh\necho hello\n", "prints what is no login: it is not valid JSON"),
        ("#!/bin/sh\necho '[1]'\n", "prints what is no login: it is JSON, but not an object"),
        ("#!/bin/sh\nyes\n", "prints more than 1 MiB"),
        ("#!/bin/sh\nsleep 60\n", "did not answer within 10 s"),
        ("#!/no/such/interpreter\n", "there is no such program"),
    ] {
        let home = signed_in_there();
        keeper(&home, script);
        if script.contains("sleep") {
            home.clock.run(5);
        }
        at(&home, "token")
            .status(6)
            .says("keeper (store_command.get, for ada@example.com) ")
            .says(says)
            .tries("keeper get ada@example.com at a terminal")
            .run();
        // A list is none the worse for it.
        assert!(at(&home, "accounts").run().stdout.contains("ada@example.com  user  gauth"));
    }
}

#[test]
fn what_a_program_says_is_searched_for_secrets() {
    let home = signed_in_there();
    keeper(&home, &format!("#!/bin/sh\necho 'cannot open {REFRESH_TOKEN}-and-more' >&2; exit 1\n"));
    at(&home, "token").status(6).says("cannot open [secret ").run();
}

#[test]
fn a_token_at_hand_outlives_a_store_that_is_locked() {
    let home = signed_in_there();
    at(&home, "token").google(token(200, granted(TOKEN))).run();
    keeper(&home, "#!/bin/sh\nexit 1\n");
    at(&home, "token").stdout(&format!("{TOKEN}\n")).run();
    home.clock.advance(3500);
    at(&home, "token")
        .warns("a cached token is used while it lasts")
        .stdout(&format!("{TOKEN}\n"))
        .run();
}

#[test]
fn a_login_that_the_store_does_not_keep_is_not_made() {
    for (script, says) in [
        (
            "#!/bin/sh\ncat > /dev/null\n",
            "took the login of ada@example.com and does not give it back",
        ),
        ("#!/bin/sh\nexit 5\n", "(store_command.put, for ada@example.com) ended with status 5"),
        ("#!/bin/sh\necho '{\"type\": \"x\"}'\n", "does not give it back"),
    ] {
        let home = with_keeper();
        keeper(&home, script);
        sign_in(&home, "").status(6).says(says).tries("--store file").run();
        assert!(home.names(".config/gauth/accounts").iter().all(|name| !name.ends_with(".json")));
        sign_in(&home, "--store file").run();
        assert_eq!(file(&home)["refresh_token"], REFRESH_TOKEN);
    }
}

#[test]
fn the_flag_and_the_setting_choose_the_store() {
    let home = signed_in(&[]);
    sign_in(&home, "--store drawer")
        .status(2)
        .says("--store: there is no store drawer")
        .tries("file, keyring, command")
        .run();
    sign_in(&home, "--store command")
        .status(8)
        .says("config.toml: names no store_command")
        .tries("gauth help files")
        .run();
    #[cfg(not(feature = "keyring"))]
    sign_in(&home, "--store keyring")
        .status(7)
        .says("built without the keyring")
        .tries("--features keyring")
        .run();
    for (config, says) in [
        ("store = \"drawer\"\n", "store: there is no store drawer"),
        (
            "[store_command]\nget = [\"pass\"]\nput = [\"pass\", \"{account}\"]\n",
            "store_command.get does not say {account} anywhere",
        ),
        (
            "[store_command]\nget = []\nput = [\"pass\", \"{account}\"]\n",
            "store_command.get names no program",
        ),
        ("[store_command]\nget = [\"pass\", \"{account}\"]\n", "missing field `put`"),
    ] {
        home.write(CONFIG, config);
        let status = if config.starts_with("store =") { 2 } else { 8 };
        sign_in(&home, "").status(status).says(says).run();
    }
}

#[test]
fn signing_out_leaves_nothing_behind() {
    let home = signed_in_there();
    let ran =
        at(&home, "logout").google(post("https://oauth2.googleapis.com/revoke", 200, "")).run();
    assert_eq!(ran.sent[0].field("token"), REFRESH_TOKEN);
    assert_eq!(calls(&home), ["get", "erase"]);
    assert!(!home.path(&place(ADA)).exists() && home.names("vault").is_empty());
    // One that does not let go is told.
    let home = signed_in_there();
    keeper(&home, &KEEPER.replace("rm \"$folder/$2\"", "exit 9"));
    at(&home, "logout --keep-remote")
        .warns("(store_command.erase, for ada@example.com) ended with status 9")
        .run();
    assert!(!home.path(&place(ADA)).exists());
}

#[test]
fn a_login_moves_from_store_to_store() {
    let home = signed_in_there();
    sign_in(&home, "--store file").run();
    assert_eq!(calls(&home), ["erase"]);
    assert_eq!(
        (&file(&home)["refresh_token"], file(&home).get("gauth_store")),
        (&json!(REFRESH_TOKEN), None)
    );
    sign_in(&home, "").run();
    assert_eq!(calls(&home), ["put", "get"]);
    at(&home, "accounts show ada@example.com --export {home}/out.json").run();
    let exported: Value = serde_json::from_str(&home.read("out.json")).expect("JSON");
    assert_eq!(
        (&exported["refresh_token"], exported.get("gauth_store")),
        (&json!(REFRESH_TOKEN), None)
    );
}

#[test]
fn an_account_without_its_secrets_was_taken_for_a_credential() {
    let home = signed_in_there();
    Test::new("token")
        .home(&home)
        .env("GOOGLE_APPLICATION_CREDENTIALS", format!("{{home}}/{}", place(ADA)))
        .status(8)
        .says("this is an account of gauth's whose secrets are in another store")
        .tries("gauth token --account")
        .run();
    let odd = samples::with(file(&home), &json!({"gauth_store": "drawer"}));
    home.write(&place(ADA), odd.to_string());
    at(&home, "token").status(8).says("gauth_store is \"drawer\"").run();
}
