//! gauth's own files, broken in every way; and variables that hold nonsense.

use serde_json::json;

use crate::support::sample_credentials::{TOKEN, authorized_user, token_response_body};
use crate::support::{Home, LOGIN_FILE, Test, metadata_response, token_response};

const CONFIG_FILE: &str = ".config/gauth/config.toml";
const STATE_FILE: &str = ".config/gauth/state.json";

#[test]
fn a_broken_config_is_named_with_its_line() {
    for (content, words) in [
        ("account = ", "line 1: "),
        ("\n\naccount = [\n", "line "),
        ("nosuch = 1\n", "unknown field `nosuch`"),
        ("[profiles.a]\nnosuch = 1\n", "unknown field `nosuch`"),
        ("account = 5\n", "invalid type: integer `5`, expected a string"),
        ("scopes = \"openid\"\n", "invalid type"),
        ("no_cache = \"yes\"\n", "invalid type"),
        ("timeout = 30\n", "invalid type"),
        ("profiles = 5\n", "invalid type"),
        ("[profiles]\na = 5\n", "invalid type"),
        ("account = \"a\"\naccount = \"b\"\n", "duplicate key"),
        ("[profiles.a]\n[profiles.a]\n", "duplicate key"),
        ("\0", "line 1: "),
        ("{\"account\": \"a\"}", "line 1: "),
    ] {
        let test = Test::new("token").file(CONFIG_FILE, content).expect_status(8);
        test.expect_error("HOME/.config/gauth/config.toml: ").expect_error(words).expect_hint("config.toml").run();
    }
    for (content, words) in [
        (b"account = \"\xff\"".to_vec(), "is not UTF-8 text"),
        (vec![b'#'; 1024 * 1024 + 1], "is larger than 1024 KiB"),
    ] {
        Test::new("token").file(CONFIG_FILE, content).expect_status(8).expect_error(words).run();
    }
    let folder = |home: &Home| std::fs::create_dir_all(home.path(CONFIG_FILE)).expect("a folder");
    Test::new("token").setup(folder).expect_status(8).expect_error("config.toml: is not a regular file").run();
}

#[test]
fn nonsense_in_a_config_names_the_file() {
    for (content, words) in [
        ("source = \"nowhere\"", "there is no source \"nowhere\""),
        ("min_ttl = \"soon\"", "\"soon\" is not a duration"),
        ("timeout = \"0\"", "leaves no time at all"),
        ("scopes = [\" \"]", "is not a list of scopes"),
        ("scopes = []", ""),
        ("quota_project = \"a b\"", "no header can carry"),
        ("universe_domain = \"com\"", "is not a domain name"),
        ("allowed_token_hosts = [\"https://a\"]", "is not a host"),
        ("profile = \"nosuch\"", "there is no profile \"nosuch\""),
    ] {
        let test = Test::new("token").file(CONFIG_FILE, content).env("NO_GCE_CHECK", "1");
        match words {
            "" => test.expect_status(3).run(),
            words => test.expect_status(2).expect_error("config.toml").expect_error(words).run(),
        };
    }
}

#[test]
fn a_config_may_be_a_link_and_open_to_others() {
    let config = "credentials = \"HOME/key.json\"\n";
    for mode in [0o644, 0o666] {
        Test::new("token")
            .setup(move |home| {
                let content = config.replace("HOME", &home.path("").to_string_lossy());
                home.write_with_mode("elsewhere.toml", content, mode);
                home.write(".config/gauth/x", "");
                std::os::unix::fs::symlink(home.path("elsewhere.toml"), home.path(CONFIG_FILE)).expect("a link");
            })
            .json("key.json", &authorized_user())
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .run();
    }
}

#[test]
fn a_broken_state_is_named() {
    for (content, words) in [
        ("", "is empty"),
        ("junk", "is not valid JSON"),
        ("[]", "is JSON, but not an object"),
        ("{\"active\":5}", "active is a number"),
        ("{\"active\":{}}", "active is an object"),
        ("{\"active\":\"a\",\"active\":\"b\"}", "has the key \"active\" twice"),
    ] {
        Test::new("token")
            .file(STATE_FILE, content)
            .expect_status(8)
            .expect_error("HOME/.config/gauth/state.json: ")
            .expect_error(words)
            .expect_hint("rm HOME/.config/gauth/state.json")
            .run();
    }
    let missing = Test::new("token").json(STATE_FILE, &json!({"active": "ada@example.com"})).expect_status(3);
    missing.expect_error("active account ada@example.com has no stored login").run();
    for nobody in [json!({}), json!({"active": null})] {
        Test::new("token").json(STATE_FILE, &nobody).env("NO_GCE_CHECK", "1").expect_status(3).run();
    }
}

#[test]
fn a_store_that_others_could_read_or_write_is_not_used() {
    for mode in [0o640, 0o604, 0o660, 0o666, 0o644, 0o601] {
        Test::new("token --account ada@example.com")
            .file_with_mode(LOGIN_FILE, authorized_user().to_string(), mode)
            .expect_status(9)
            .expect_error("HOME/.config/gauth/accounts/ada@example.com.json: can be used by others")
            .expect_hint("chmod 600 HOME/.config/gauth/accounts/ada@example.com.json")
            .run();
    }
    let state = json!({"active": "ada@example.com"}).to_string();
    Test::new("token").file_with_mode(STATE_FILE, state, 0o644).expect_status(9).expect_hint("chmod 600").run();
    Test::new("token --account ada@example.com")
        .json(LOGIN_FILE, &authorized_user())
        .setup(|home| std::fs::hard_link(home.path(LOGIN_FILE), home.path("second")).expect("a link"))
        .expect_status(9)
        .expect_error("has a second name")
        .run();
}

#[test]
fn a_store_of_odd_files_is_named() {
    type OddFile = (fn(&Home), &'static str);
    let odd: &[OddFile] = &[
        (|home| std::fs::create_dir_all(home.path(LOGIN_FILE)).expect("a folder"), "is not a regular file"),
        (|home| symlink(home, "key.json"), "cannot be read, too many levels of symbolic links"),
        (|home| symlink(home, "nosuch"), "cannot be read, too many levels of symbolic links"),
        (|home| home.write(LOGIN_FILE, ""), "is empty"),
        (|home| home.write(LOGIN_FILE, "junk"), "is not valid JSON"),
        (|home| home.write(LOGIN_FILE, "{}"), "type is missing"),
        (|home| home.write(LOGIN_FILE, vec![b' '; 1024 * 1024 + 1]), "is larger than 1024 KiB"),
    ];
    for (make, words) in odd {
        Test::new("token --account ada@example.com")
            .json("key.json", &authorized_user())
            .setup(make)
            .expect_status(8)
            .expect_error("HOME/.config/gauth/accounts/ada@example.com.json: ")
            .expect_error(words)
            .run();
    }
}

fn symlink(home: &Home, to: &str) {
    home.write(".config/gauth/accounts/x", "");
    std::os::unix::fs::symlink(home.path(to), home.path(LOGIN_FILE)).expect("a link");
}

#[test]
fn nonsense_in_a_variable_names_the_variable() {
    for (name, value, words) in [
        ("GAUTH_SOURCE", "nowhere", "GAUTH_SOURCE: there is no source \"nowhere\""),
        ("GAUTH_PROFILE", "nosuch", "there is no profile \"nosuch\""),
        ("GAUTH_SCOPES", " , ", "GAUTH_SCOPES: \" , \" is not a list of scopes"),
        ("GAUTH_QUOTA_PROJECT", "a b", "GAUTH_QUOTA_PROJECT: \"a b\" has characters"),
        ("GOOGLE_CLOUD_QUOTA_PROJECT", "a\nb", "GOOGLE_CLOUD_QUOTA_PROJECT: the value has characters"),
        ("GAUTH_UNIVERSE_DOMAIN", "com", "GAUTH_UNIVERSE_DOMAIN: \"com\" is not a domain"),
        ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "com", "GOOGLE_CLOUD_UNIVERSE_DOMAIN: \"com\" is not a domain"),
        ("GAUTH_MIN_TTL", "soon", "GAUTH_MIN_TTL: \"soon\" is not a duration"),
        ("GAUTH_TIMEOUT", "0", "GAUTH_TIMEOUT leaves no time"),
        ("GAUTH_TIMEOUT", "x", "GAUTH_TIMEOUT: \"x\" is not a duration"),
        ("GAUTH_ALLOW_HOST", "https://a", "GAUTH_ALLOW_HOST: \"https://a\" is not a host"),
        ("GAUTH_ALLOW_TOKEN_HOST", "a:1", "GAUTH_ALLOW_TOKEN_HOST: \"a:1\" is not a host"),
        ("GAUTH_CONFIG_DIR", "relative", "GAUTH_CONFIG_DIR is a relative path"),
    ] {
        Test::new("token").env(name, value).expect_status(2).expect_error(words).run();
    }
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(vec![b'x', 0xff]);
    for name in [
        "GAUTH_ACCOUNT",
        "GAUTH_SOURCE",
        "GAUTH_PROFILE",
        "GAUTH_SCOPES",
        "GAUTH_QUOTA_PROJECT",
        "GAUTH_UNIVERSE_DOMAIN",
        "GAUTH_MIN_TTL",
        "GAUTH_TIMEOUT",
        "GAUTH_ALLOW_HOST",
        "CLOUDSDK_AUTH_TOKEN_HOST",
        "CLOUDSDK_CORE_ACCOUNT",
        "GCE_METADATA_HOST",
    ] {
        let test = Test::new("token").env(name, &odd).expect_status(2);
        test.expect_error(&format!("{name} is not valid UTF-8")).expect_hint(&format!("unset {name}")).run();
    }
}

#[test]
fn the_metadata_servers_address_is_an_address() {
    for host in ["a b", "http://", "user@x", "x:0", "x:99999", "x/../y z", "[::1", "\u{fc}", "a\nb"] {
        Test::new("token").env("GCE_METADATA_HOST", host).expect_status(2).expect_hint("GCE_METADATA_HOST").run();
    }
    for host in ["127.0.0.1:8080", "http://127.0.0.1:8080/", "http://127.0.0.1:8080"] {
        let url = "http://127.0.0.1:8080/computeMetadata/v1/instance/service-accounts/default/token";
        let answer = metadata_response("", 200, token_response_body(TOKEN)).at_url(url);
        Test::new("token").env("GCE_METADATA_HOST", host).expect_request(answer).run();
    }
}
