//! Where a credential file is, and is not; credentials and tokens in variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gauth_core::world::private_file;
use gauth_core::world::private_file::PrivateFileError;

use crate::support::sample_credentials::{TOKEN, authorized_user, service_account_key_pem, token_response_body};
use crate::support::{Home, Test, token_response};

fn credential_file_test(path: &str) -> Test {
    Test::new("token --credentials").arg(path)
}

fn user_json() -> String {
    authorized_user().to_string()
}

/// A path and what makes it so, with the words of the error.
type BadPath = (&'static str, fn(&Home), &'static str);

const BAD_PATHS: &[BadPath] = &[
    ("{home}/nosuch.json", |_| {}, "there is no such file"),
    ("{home}/no/such/folder.json", |_| {}, "there is no such file"),
    ("{home}", |_| {}, "is not a regular file"),
    ("/dev/null", |_| {}, "is not a regular file"),
    ("/dev/zero", |_| {}, "is not a regular file"),
    ("{home}/file/below.json", |home| home.write("file", "{}"), "cannot be read, not a directory"),
    ("{home}/socket", make_socket, "cannot be read, no such device or address"),
    ("{home}/dangling", |home| link(home, "nosuch", "dangling"), "there is no such file"),
    ("{home}/loop", |home| link(home, "loop", "loop"), "cannot be read, too many levels"),
    ("nosuch-relative.json", |_| {}, "there is no such file"),
    ("{home}/a\nb\u{1b}[31m", |_| {}, "a\\nb\\u{1b}[31m: there is no such file"),
];

fn make_socket(home: &Home) {
    drop(std::os::unix::net::UnixListener::bind(home.path("socket")).expect("a socket"));
}

fn link(home: &Home, to: &str, name: &str) {
    std::os::unix::fs::symlink(home.path(to), home.path(name)).expect("a link");
}

#[test]
fn what_cannot_be_read_is_named() {
    for (path, make, words) in BAD_PATHS {
        credential_file_test(path).setup(make).expect_status(8).expect_error(words).expect_hint(" ").run();
        for variable in ["GOOGLE_APPLICATION_CREDENTIALS", "GAUTH_CREDENTIALS"] {
            Test::new("token")
                .env(variable, path)
                .setup(make)
                .expect_status(8)
                .expect_error(&format!(" ({variable}): "))
                .expect_error(words.rsplit(": ").next().expect("words"))
                .run();
        }
    }
}

#[test]
fn a_file_nobody_may_read_is_named() {
    let test = credential_file_test("{home}/key.json").file_with_mode("key.json", user_json(), 0o000);
    // Root may read everything.
    match rustix::process::geteuid().is_root() {
        true => test.expect_request(token_response(200, token_response_body(TOKEN))).run(),
        false => test.expect_status(8).expect_error("HOME/key.json: cannot be read, permission denied").run(),
    };
}

#[test]
fn links_and_open_modes_of_the_users_own_files_are_fine() {
    for mode in [0o644, 0o666, 0o400] {
        let test = credential_file_test("{home}/key.json").file_with_mode("key.json", user_json(), mode);
        test.expect_request(token_response(200, token_response_body(TOKEN))).run();
    }
    credential_file_test("{home}/link")
        .file("key.json", user_json())
        .setup(|home| link(home, "key.json", "link"))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
}

#[test]
fn a_pipe_is_read_to_its_end() {
    let path = |home: &Home| home.path("pipe");
    let home = Home::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, path(&home), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a pipe");
    let writer = {
        let path = path(&home);
        std::thread::spawn(move || std::fs::write(path, user_json()).expect("a reader"))
    };
    credential_file_test("{home}/pipe")
        .home(&home)
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
    writer.join().expect("written");
}

#[test]
fn a_pipe_that_nobody_writes_to_is_given_up() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
    let mut bytes = Vec::new();
    let read = private_file::read_with_timeout(&mut file, &mut bytes, 10, Duration::from_millis(60));
    assert!(matches!(read, Err(PrivateFileError::TimedOut)), "{read:?}");
}

#[test]
fn a_path_without_text_is_a_path() {
    let path = OsString::from_vec(b"{home}/\xff\xfe.json".to_vec());
    Test::new("token --credentials").arg(&path).expect_status(8).expect_error("there is no such file").run();
    Test::new("token").env("GOOGLE_APPLICATION_CREDENTIALS", &path).expect_status(8).run();
    Test::new("token").env("GAUTH_CREDENTIALS", &path).expect_status(8).run();
}

#[test]
fn an_empty_variable_is_not_set() {
    for variable in [
        "GAUTH_CREDENTIALS",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "CLOUDSDK_AUTH_ACCESS_TOKEN",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
    ] {
        Test::new("token")
            .env(variable, "")
            .env("NO_GCE_CHECK", "true")
            .expect_status(3)
            .expect_stderr(
                "gauth: no credential found in any of the sources that gauth status lists\n\
                 try: gauth login, or set GOOGLE_APPLICATION_CREDENTIALS to a credential file\n",
            )
            .run();
    }
}

#[test]
fn standard_input_is_judged_like_a_file() {
    let test = |bytes: &[u8]| Test::new("token --credentials -").stdin(bytes);
    test(user_json().as_bytes()).expect_request(token_response(200, token_response_body(TOKEN))).run();
    for (bytes, words) in [
        (&b""[..], "standard input: is empty"),
        (b"junk", "standard input: is not valid JSON"),
        (b"{}", "standard input: type is missing"),
        (b"\xff", "standard input: is not UTF-8"),
        (&[b' '; 1024 * 1024 + 1], "standard input: is larger than 1024 KiB"),
    ] {
        test(bytes).expect_status(8).expect_error(words).run();
    }
}

#[test]
fn the_variable_takes_json_base64_or_a_path() {
    let user = user_json();
    let wrapped = STANDARD
        .encode(&user)
        .as_bytes()
        .chunks(64)
        .fold(String::new(), |text, line| text + std::str::from_utf8(line).expect("ASCII") + "\n");
    let good = [user.clone(), format!("\n  {user}"), STANDARD.encode(&user), wrapped, "{home}/key.json".to_owned()];
    for value in good {
        Test::new("token")
            .env("GAUTH_CREDENTIALS", value)
            .file("key.json", &user)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .run();
    }
    let torn = &user[..user.len() - 10];
    let key = service_account_key_pem();
    for (value, words) in [
        (torn, "GAUTH_CREDENTIALS: ends in the middle"),
        ("{}", "GAUTH_CREDENTIALS: type is missing"),
        (&STANDARD.encode("{}"), "GAUTH_CREDENTIALS: type is missing"),
        (&STANDARD.encode(torn), "GAUTH_CREDENTIALS: ends in the middle"),
        ("ya29.GAUTH-TEST-JUNK-SECRET", "GAUTH_CREDENTIALS: holds a token or key"),
        ("1//GAUTH-TEST-JUNK-SECRET", "GAUTH_CREDENTIALS: holds a token or key"),
        ("eyJGAUTH-TEST-JUNK-SECRET", "GAUTH_CREDENTIALS: holds a token or key"),
        (&key, "GAUTH_CREDENTIALS: holds a token or key"),
        (" ", "there is no such file"),
        ("{", "GAUTH_CREDENTIALS: ends in the middle"),
    ] {
        Test::new("token").env("GAUTH_CREDENTIALS", value).expect_status(8).expect_error(words).run();
    }
}

#[test]
fn a_static_access_token_must_be_a_valid_token() {
    let long = "x".repeat(20_000);
    let cases = [
        (" \n", "holds no token"),
        ("two words", "holds no token: it has spaces"),
        ("a\u{e4}b", "holds no token"),
        ("{\"access_token\":\"GAUTH-TEST-JUNK-SECRET\"}", "holds JSON"),
        (&long, "is too long"),
    ];
    for (value, words) in cases {
        for variable in ["CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"] {
            let test = Test::new("token").env(variable, value).expect_status(8);
            test.expect_error(&format!("{variable}: ")).expect_error(words).expect_hint(variable).run();
        }
        Test::new("token")
            .env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}/token")
            .file("token", value)
            .expect_status(8)
            .expect_error("HOME/token (CLOUDSDK_AUTH_ACCESS_TOKEN_FILE): ")
            .expect_error(words)
            .run();
    }
    let odd = OsString::from_vec(b"ya29.\xff".to_vec());
    let test = Test::new("token").env("CLOUDSDK_AUTH_ACCESS_TOKEN", odd).expect_status(8);
    test.expect_error("is not UTF-8").run();
    for (path, words) in [("{home}/nosuch", "there is no such file"), ("{home}", "not a regular file")] {
        let test = Test::new("token").env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", path).expect_status(8);
        test.expect_error("(CLOUDSDK_AUTH_ACCESS_TOKEN_FILE): ").expect_error(words).run();
    }
    let large = Test::new("token").env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "{home}/token");
    large.file("token", vec![b'x'; 64 * 1024 + 1]).expect_status(8).expect_error("is larger than 64 KiB").run();
}

#[test]
fn a_static_access_token_cannot_be_changed() {
    for flag in ["--scopes openid", "--lifetime 10m", "--subject ada@example.com"] {
        Test::new(&format!("token {flag}"))
            .env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN)
            .expect_status(7)
            .expect_error("GOOGLE_OAUTH_ACCESS_TOKEN holds a static access token")
            .expect_error(flag.split(' ').next().expect("flag"))
            .run();
    }
    for flag in ["--self-signed", "--audience https://pubsub.googleapis.com/"] {
        let test = Test::new(&format!("token {flag}")).env("CLOUDSDK_AUTH_ACCESS_TOKEN", TOKEN);
        test.expect_status(7).expect_error("is a static access token, which cannot sign a token itself").run();
    }
}

#[test]
fn a_credential_given_as_a_path_is_not_repeated_in_the_error() {
    let user = user_json();
    let packed = STANDARD.encode(&user);
    let torn = &packed[..packed.len() - 3];
    for content in [
        user.as_str(),
        &format!("\u{feff}{user}"),
        &format!("'{user}'"),
        &format!("[{user}]"),
        &serde_json::json!(user).to_string(),
        torn,
        &format!("base64:{packed}"),
        "ya29.GAUTH-TEST-JUNK-SECRET",
        "1//GAUTH-TEST-JUNK-SECRET",
        " ya29.GAUTH-TEST-JUNK-SECRET",
        "Bearer ya29.GAUTH-TEST-JUNK-SECRET",
    ] {
        for variable in [
            "GAUTH_CREDENTIALS",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
            "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
        ] {
            if variable == "GAUTH_CREDENTIALS" && content == user {
                continue;
            }
            let test = Test::new("token").env(variable, content).secret(torn).expect_status(8);
            test.expect_error(variable).run();
        }
    }
    for words in ["--credentials", "--key-file", "--ca-file", "--account"] {
        let test = Test::new("token").arg(words).arg(&user).expect_status(9);
        test.expect_error("looks like a secret").run();
        let test = Test::new("token").arg(words).arg(format!(" {}", service_account_key_pem())).expect_status(9);
        test.expect_error("looks like a secret").run();
    }
}
