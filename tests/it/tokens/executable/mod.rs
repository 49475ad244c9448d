//! Subject tokens that a program prints: correct and faulty scripts, run by the shell that the command names.

mod output_file;
mod processes;
mod timeouts;

use serde_json::{Value, json};

use crate::support::sample_credentials::{SECOND_TOKEN, TOKEN, token_response_body, with_fields};
use crate::support::{Home, MockExchange, NOW, Test, token_response};

const ALLOW_VARIABLE: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";
const EXECUTABLE_SUBJECT_TOKEN: &str = "eyJhbGciOiJub25lIn0.planted-subject.token";
const SAML_RESPONSE: &str = "PHBsYW50ZWQtc2FtbC1yZXNwb25zZT4=";
const STALE_SUBJECT_TOKEN: &str = "eyJhbGciOiJub25lIn0.planted-stale.token";
const JWT_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const WORKLOAD_AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/idp";
const WORKFORCE_AUDIENCE: &str = "//iam.googleapis.com/locations/global/workforcePools/pool/providers/idp";
const TARGET_EMAIL: &str = "target-sa@example-project.iam.gserviceaccount.com";
const IAM_URL: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
                   target-sa@example-project.iam.gserviceaccount.com:generateAccessToken";

/// The home folder.
fn home_path(home: &Home) -> String {
    home.path("x").parent().expect("a folder").to_string_lossy().into_owned()
}

/// Writes a credential whose program is the script in the home folder. `executable` and `credential` change it; `{home}`
/// is the home folder.
fn write_executable_credential(home: &Home, executable: &Value, credential: &Value) -> String {
    let usual = json!({"command": "/bin/sh {home}/program"});
    let whole = json!({
        "type": "external_account",
        "audience": WORKLOAD_AUDIENCE,
        "subject_token_type": JWT_TOKEN_TYPE,
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"executable": with_fields(usual, executable)},
    });
    with_fields(whole, credential).to_string().replace("{home}", &home_path(home))
}

/// `gauth token` with that credential, where programs are allowed.
fn executable_test(script: &str, executable: Value, fields: Value) -> Test {
    Test::new("token --credentials {home}/key.json")
        .env(ALLOW_VARIABLE, "1")
        .secret(EXECUTABLE_SUBJECT_TOKEN)
        .secret(SAML_RESPONSE)
        .secret(STALE_SUBJECT_TOKEN)
        .file("program", script)
        .setup(move |home| home.write("key.json", write_executable_credential(home, &executable, &fields)))
}

fn default_executable_test(script: &str) -> Test {
    executable_test(script, json!({}), json!({}))
}

/// A valid response, with some fields changed.
fn executable_response(fields: Value) -> Value {
    let good = json!({
        "version": 1,
        "success": true,
        "token_type": JWT_TOKEN_TYPE,
        "id_token": EXECUTABLE_SUBJECT_TOKEN,
        "expiration_time": NOW + 3600,
    });
    with_fields(good, &fields)
}

/// A script that prints this.
fn printing_script(response: &Value) -> String {
    format!("cat <<'END'\n{response}\nEND\n")
}

fn default_script() -> String {
    printing_script(&executable_response(json!({})))
}

fn sts_success() -> MockExchange {
    token_response(200, token_response_body(TOKEN)).at_url("https://sts.googleapis.com/v1/token")
}

fn iam_success() -> MockExchange {
    let answer = json!({"accessToken": SECOND_TOKEN, "expireTime": "2026-01-02T04:04:05Z"});
    token_response(200, answer.to_string()).at_url(IAM_URL)
}

#[test]
fn what_the_program_prints_is_exchanged() {
    let ran = default_executable_test(&default_script())
        .expect_request(sts_success())
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
    let sent = &ran.requests[0];
    assert_eq!(sent.form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN);
    assert_eq!(sent.form_field("subject_token_type"), JWT_TOKEN_TYPE);
    assert_eq!(sent.form_field("audience"), WORKLOAD_AUDIENCE);
    assert!(sent.headers["x-goog-api-client"].contains("source/executable"), "{sent:?}");
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    let answer = executable_response(json!({"token_type": saml, "saml_response": SAML_RESPONSE, "id_token": null}));
    let ran = executable_test(&printing_script(&answer), json!({}), json!({"subject_token_type": saml}))
        .expect_request(sts_success())
        .run();
    assert_eq!(ran.requests[0].form_field("subject_token"), SAML_RESPONSE);
    // Both types of JWT are accepted, and the expiry may be absent.
    let id_token = "urn:ietf:params:oauth:token-type:id_token";
    let answer = executable_response(json!({"token_type": id_token, "expiration_time": null}));
    default_executable_test(&printing_script(&answer)).expect_request(sts_success()).run();
}

#[test]
fn without_permission_nothing_is_run_and_no_file_is_read() {
    for value in [None, Some(""), Some("0"), Some("true"), Some("01"), Some("1 "), Some("yes")] {
        let home = Home::new();
        home.write("kept.json", executable_response(json!({})).to_string());
        let script = format!("touch {}\n{}", home.path("trace").display(), default_script());
        let test = executable_test(&script, json!({"output_file": "{home}/kept.json"}), json!({}));
        test.home(&home)
            .env(ALLOW_VARIABLE, value.unwrap_or_default())
            .expect_status(9)
            .expect_error("HOME/key.json: ")
            .expect_error("/bin/sh")
            .expect_error(ALLOW_VARIABLE)
            .expect_hint(&format!("export {ALLOW_VARIABLE}=1"))
            .run();
        assert!(!home.path("trace").exists(), "{value:?}");
    }
}

#[test]
fn a_cached_token_is_used_without_running_the_program() {
    let home = Home::new();
    let script = format!("echo run >> {}\n{}", home.path("trace").display(), default_script());
    default_executable_test(&script).home(&home).expect_request(sts_success()).run();
    default_executable_test(&script).home(&home).expect_stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(home.read("trace"), "run\n");
    // A new exchange needs a new subject token.
    default_executable_test(&script).home(&home).arg("--refresh").expect_request(sts_success()).run();
    assert_eq!(home.read("trace"), "run\nrun\n");
}

#[test]
fn the_executable_gets_audience_and_token_type() {
    let told = |fields: Value, executable: Value, test: &dyn Fn(Test) -> Test| {
        let home = Home::new();
        let script = format!("env > {}\n{}", home.path("told").display(), default_script());
        test(executable_test(&script, executable, fields).home(&home)).run();
        let told = home.read("told").replace(&home_path(&home), "HOME");
        let mut told: Vec<String> =
            told.lines().filter_map(|line| line.strip_prefix("GOOGLE_EXTERNAL_ACCOUNT_")).map(str::to_owned).collect();
        told.sort();
        told.join(" ")
    };
    assert_eq!(
        told(json!({}), json!({}), &|test| test.expect_request(sts_success())),
        format!("AUDIENCE={WORKLOAD_AUDIENCE} ID= INTERACTIVE=0 REVOKE=0 TOKEN_TYPE={JWT_TOKEN_TYPE}")
    );
    assert_eq!(
        told(
            json!({"service_account_impersonation_url": IAM_URL}),
            json!({"output_file": "{home}/out.json"}),
            &|test| test
                .expect_request(sts_success())
                .expect_request(iam_success())
                .expect_stdout(&format!("{SECOND_TOKEN}\n")),
        ),
        format!(
            "AUDIENCE={WORKLOAD_AUDIENCE} ID={TARGET_EMAIL} IMPERSONATED_EMAIL={TARGET_EMAIL} INTERACTIVE=0 \
             OUTPUT_FILE=HOME/out.json REVOKE=0 TOKEN_TYPE={JWT_TOKEN_TYPE}"
        )
    );
}

#[test]
fn the_command_arguments_are_passed_unchanged() {
    let home = Home::new();
    let script = format!("printf '<%s>' \"$@\" > {}\n{}", home.path("words").display(), default_script());
    let command = r#"/bin/sh '{home}/program' --a=b "two  words" '' c\ d '$HOME' `id` * #e ; f"#;
    executable_test(&script, json!({"command": command}), json!({})).home(&home).expect_request(sts_success()).run();
    assert_eq!(home.read("words"), "<--a=b><two  words><><c d><$HOME><`id`><*><#e><;><f>");
}

#[test]
fn a_program_without_a_response_is_an_error_that_shows_none() {
    let token = EXECUTABLE_SUBJECT_TOKEN;
    for (script, says) in [
        ("yes".to_owned(), "printed more than 1 MiB"),
        (format!("yes {token}"), "printed more than 1 MiB"),
        ("yes & wait".to_owned(), "printed more than 1 MiB"),
        ("head -c 1048577 /dev/zero".to_owned(), "printed more than 1 MiB"),
        ("head -c 1048576 /dev/zero".to_owned(), "the response is not"),
        (":".to_owned(), "the response is empty"),
        ("echo".to_owned(), "the response is empty"),
        (format!("echo {token}"), "the response is not valid JSON"),
        ("head -c 5000 /dev/urandom".to_owned(), "the response is"),
        (format!("echo '[\"{token}\"]'"), "not an object"),
        // A program that reads standard input gets nothing.
        ("read password && echo \"$password\"".to_owned(), "ended with code 1"),
        ("cat".to_owned(), "the response is empty"),
        (format!("{}\nexit 3", default_script()), "ended with code 3"),
        (format!("echo {token}; exit 255"), "ended with code 255"),
        ("kill -9 $$".to_owned(), "was killed by signal 9"),
        ("kill -SEGV $$".to_owned(), "was killed by signal 11"),
        (printing_script(&executable_response(json!({"version": 2}))), "has version 2, this gauth supports version 1"),
        (printing_script(&executable_response(json!({"version": "1"}))), "version is a string"),
        (printing_script(&executable_response(json!({"version": null}))), "version is missing"),
        (printing_script(&executable_response(json!({"success": null}))), "success is missing"),
        (printing_script(&executable_response(json!({"expiration_time": NOW - 5}))), "expired 5 s ago"),
        (printing_script(&executable_response(json!({"token_type": "access_token"}))), "token_type \"access_token\""),
        (printing_script(&executable_response(json!({"id_token": null}))), "id_token is missing"),
        (
            printing_script(&executable_response(json!({"id_token": null, "saml_response": SAML_RESPONSE}))),
            "id_token is missing",
        ),
        (
            printing_script(&executable_response(json!({
                "token_type": "urn:ietf:params:oauth:token-type:saml2",
                "saml_response": SAML_RESPONSE,
            }))),
            "another kind than urn:ietf:params:oauth:token-type:jwt",
        ),
    ] {
        default_executable_test(&script)
            .expect_status(6)
            .expect_error("/bin/sh (subject token of HOME/key.json): ")
            .expect_error(says)
            .run();
    }
}

#[test]
fn an_error_response_is_reported_with_the_executables_message() {
    let no = json!({"version": 1, "success": false, "code": "401", "message": "Not you.\u{1b}[2J"});
    default_executable_test(&printing_script(&no))
        .expect_status(5)
        .expect_error("reports \"Not you.\\u{1b}[2J\" (code 401)")
        .run();
    let bare = json!({"version": 1, "success": false, "code": "401"});
    default_executable_test(&printing_script(&bare)).expect_status(6).expect_error("message is missing").run();
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    for (command, says) in [
        ("/no/such/program --flag", "/no/such/program of credential_source.executable.command: there is no such"),
        ("{home}/key.json", "HOME/key.json of credential_source.executable.command: cannot be run, permission denied"),
        ("/dev/null", "/dev/null of credential_source"),
        ("{home}", "cannot be run"),
        ("{home}/lost", "interpreter"),
    ] {
        executable_test("", json!({"command": command}), json!({}))
            .file_with_mode("lost", "#!/no/such/interpreter\n", 0o700)
            .expect_status(8)
            .expect_error("HOME/key.json: ")
            .expect_error(says)
            .expect_hint("ls -l ")
            .run();
    }
}

#[test]
fn a_program_without_an_absolute_path_is_warned_of() {
    executable_test(&default_script(), json!({"command": "sh {home}/program"}), json!({}))
        .expect_warning("the program sh has no absolute path")
        .expect_request(sts_success())
        .run();
}

#[test]
fn malformed_fields_are_named() {
    for (executable, says) in [
        (json!({"command": null}), "command is missing"),
        (json!({"command": ""}), "command is empty"),
        (json!({"command": "  "}), "command names no program"),
        (json!({"command": "'' x"}), "command names no program"),
        (json!({"command": ["/bin/true"]}), "command is a list where a string"),
        (json!({"command": 5}), "command is a number where a string"),
        (json!({"command": "/bin/true 'x"}), "command has a single quote"),
        (json!({"command": "/bin/true \"x"}), "command has a double quote"),
        (json!({"command": "/bin/true \\"}), "command ends in a backslash"),
        (json!({"command": "/bin/true a\u{0}b"}), "command has a zero byte"),
        (json!({"timeout_millis": "5000"}), "timeout_millis is a string where a number"),
        (json!({"timeout_millis": 4999}), "timeout_millis is not from 5000 to 120000"),
        (json!({"timeout_millis": 120_001}), "timeout_millis is not from 5000 to 120000"),
        (json!({"timeout_millis": -1}), "timeout_millis is not from 5000 to 120000"),
        (json!({"timeout_millis": 5000.5}), "timeout_millis is not from 5000 to 120000"),
        (json!({"timeout_millis": true}), "timeout_millis is true or false"),
        (json!({"interactive_timeout_millis": 29_999}), "interactive_timeout_millis is not from 30000"),
        (json!({"interactive_timeout_millis": 1_800_001}), "not from 30000 to 1800000"),
        (json!({"interactive_timeout_millis": {}}), "interactive_timeout_millis is an object"),
        (json!({"output_file": 5}), "output_file is a number where a string"),
        (json!({"output_file": "a\u{0}b"}), "output_file has a zero byte"),
    ] {
        executable_test("", executable, json!({}))
            .expect_status(8)
            .expect_error("HOME/key.json: credential_source.executable.")
            .expect_error(says)
            .run();
    }
    for (source, says) in [
        (json!({"executable": "/bin/true"}), "credential_source.executable is a string"),
        (json!({"executable": null}), "credential_source has none of"),
        (json!({"executable": {"command": "a"}, "file": "b"}), "has both"),
    ] {
        executable_test("", json!({}), json!({"credential_source": source})).expect_status(8).expect_error(says).run();
    }
    for fields in [
        json!({"timeout_millis": 0, "interactive_timeout_millis": 0, "output_file": ""}),
        json!({"timeout_millis": 120_000, "interactive_timeout_millis": 1_800_000}),
        json!({"timeout_millis": null, "unknown": [5]}),
    ] {
        executable_test(&default_script(), fields, json!({})).expect_request(sts_success()).run();
    }
}
