//! Subject tokens that a program prints: correct and faulty scripts, run by the shell that the command names.

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

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
const WORKFORCE_AUDIENCE: &str =
    "//iam.googleapis.com/locations/global/workforcePools/pool/providers/idp";
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
        .setup(move |home| {
            home.write("key.json", write_executable_credential(home, &executable, &fields))
        })
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
    let answer = executable_response(
        json!({"token_type": saml, "saml_response": SAML_RESPONSE, "id_token": null}),
    );
    let ran =
        executable_test(&printing_script(&answer), json!({}), json!({"subject_token_type": saml}))
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
    default_executable_test(&script)
        .home(&home)
        .arg("--refresh")
        .expect_request(sts_success())
        .run();
    assert_eq!(home.read("trace"), "run\nrun\n");
}

#[test]
fn the_executable_gets_audience_and_token_type() {
    let told = |fields: Value, executable: Value, test: &dyn Fn(Test) -> Test| {
        let home = Home::new();
        let script = format!("env > {}\n{}", home.path("told").display(), default_script());
        test(executable_test(&script, executable, fields).home(&home)).run();
        let told = home.read("told").replace(&home_path(&home), "HOME");
        let mut told: Vec<String> = told
            .lines()
            .filter_map(|line| line.strip_prefix("GOOGLE_EXTERNAL_ACCOUNT_"))
            .map(str::to_owned)
            .collect();
        told.sort();
        told.join(" ")
    };
    assert_eq!(
        told(json!({}), json!({}), &|test| test.expect_request(sts_success())),
        format!(
            "AUDIENCE={WORKLOAD_AUDIENCE} ID= INTERACTIVE=0 REVOKE=0 TOKEN_TYPE={JWT_TOKEN_TYPE}"
        )
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
    let script =
        format!("printf '<%s>' \"$@\" > {}\n{}", home.path("words").display(), default_script());
    let command = r#"/bin/sh '{home}/program' --a=b "two  words" '' c\ d '$HOME' `id` * #e ; f"#;
    executable_test(&script, json!({"command": command}), json!({}))
        .home(&home)
        .expect_request(sts_success())
        .run();
    assert_eq!(home.read("words"), "<--a=b><two  words><><c d><$HOME><`id`><*><#e><;><f>");
}

/// Runs a script that fails, on a clock where five seconds pass quickly.
#[track_caller]
fn assert_fails_in_time(script: &str, message: &str) {
    let began = Instant::now();
    executable_test(script, json!({"timeout_millis": 5000}), json!({}))
        .setup(|home| home.clock.run_at_speed(20))
        .expect_status(6)
        .expect_error("/bin/sh (subject token of HOME/key.json): ")
        .expect_error(message)
        .run();
    // Two timeouts of a quarter of a second, and half a second for a program that ignores the first signal.
    assert!(began.elapsed() < Duration::from_secs(20), "{script}: {:?}", began.elapsed());
}

#[test]
fn a_hanging_executable_is_killed() {
    for script in [
        "sleep 600".to_owned(),
        "exec sleep 600".to_owned(),
        format!("{}\nsleep 600", default_script()),
        "trap '' TERM; sleep 600; sleep 600".to_owned(),
        "sleep 600 & sleep 600 & wait".to_owned(),
        "while :; do echo drip; sleep 0.05; done".to_owned(),
        "exec >&- 2>&-; sleep 600".to_owned(),
        "kill -STOP $$".to_owned(),
    ] {
        assert_fails_in_time(&script, "did not end within 5s (timeout_millis)");
    }
}

#[test]
fn a_grandchild_holding_stdout_open_does_not_block() {
    let began = Instant::now();
    default_executable_test(&format!("sleep 15 &\n{}", default_script()))
        .expect_request(sts_success())
        .run();
    default_executable_test("sleep 15 & (sleep 15; echo late) & exit 3")
        .expect_status(6)
        .expect_error("code 3")
        .run();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
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
        (
            printing_script(&executable_response(json!({"version": 2}))),
            "has version 2, this gauth supports version 1",
        ),
        (printing_script(&executable_response(json!({"version": "1"}))), "version is a string"),
        (printing_script(&executable_response(json!({"version": null}))), "version is missing"),
        (printing_script(&executable_response(json!({"success": null}))), "success is missing"),
        (
            printing_script(&executable_response(json!({"expiration_time": NOW - 5}))),
            "expired 5 s ago",
        ),
        (
            printing_script(&executable_response(json!({"token_type": "access_token"}))),
            "token_type \"access_token\"",
        ),
        (printing_script(&executable_response(json!({"id_token": null}))), "id_token is missing"),
        (
            printing_script(&executable_response(
                json!({"id_token": null, "saml_response": SAML_RESPONSE}),
            )),
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
    default_executable_test(&printing_script(&bare))
        .expect_status(6)
        .expect_error("message is missing")
        .run();
}

#[test]
fn the_output_file_of_an_earlier_run_is_used_until_it_expires() {
    let kept = |file: Value| {
        executable_test(
            "exit 3",
            json!({"output_file": "{home}/kept.json", "command": "/no/such/program"}),
            json!({}),
        )
        .file("kept.json", file.to_string())
    };
    let ran = kept(executable_response(json!({}))).expect_request(sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN);
    for fields in [
        json!({"version": "1"}),
        json!({"version": null}),
        json!({"success": null}),
        json!({"success": false}),
        json!({"token_type": null}),
        json!({"id_token": null}),
        json!({"id_token": 5}),
        json!({"expiration_time": "soon"}),
    ] {
        kept(executable_response(fields))
            .expect_status(8)
            .expect_error("HOME/kept.json (output_file of HOME/key.json): is malformed, ")
            .expect_hint("remove HOME/kept.json")
            .run();
    }
}

#[test]
fn the_executable_runs_when_the_output_file_is_unusable() {
    let no = json!({"success": false, "code": "401", "message": "not you"});
    for left in [
        executable_response(json!({"expiration_time": NOW, "id_token": STALE_SUBJECT_TOKEN}))
            .to_string(),
        executable_response(
            json!({"expiration_time": NOW - 3600, "id_token": STALE_SUBJECT_TOKEN}),
        )
        .to_string(),
        executable_response(json!({"expiration_time": null, "id_token": STALE_SUBJECT_TOKEN}))
            .to_string(),
        executable_response(json!({"version": 2, "id_token": STALE_SUBJECT_TOKEN})).to_string(),
        executable_response(json!({"token_type": "access_token", "id_token": STALE_SUBJECT_TOKEN}))
            .to_string(),
        executable_response(json!({
            "token_type": "urn:ietf:params:oauth:token-type:saml2",
            "saml_response": STALE_SUBJECT_TOKEN,
        }))
        .to_string(),
        executable_response(no).to_string(),
        String::new(),
        STALE_SUBJECT_TOKEN.to_owned(),
        "{\"version\":1,".to_owned(),
    ] {
        let ran = executable_test(
            &default_script(),
            json!({"output_file": "{home}/kept.json"}),
            json!({}),
        )
        .file("kept.json", &left)
        .expect_request(sts_success())
        .run();
        assert_eq!(ran.requests[0].form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN, "{left}");
    }
    let began = Instant::now();
    for file in ["{home}/no/such/file", "{home}", "{home}/pipe", "/dev/zero", "/proc/self/mem"] {
        let pipe = |home: &Home| {
            Command::new("mkfifo").arg(home.path("pipe")).status().expect("mkfifo");
        };
        let test = executable_test(&default_script(), json!({"output_file": file}), json!({}));
        test.setup(pipe).expect_request(sts_success()).run();
    }
    // Nothing writes into the pipe: reading it would block.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_response_with_an_output_file_needs_an_expiration() {
    let answer = printing_script(&executable_response(json!({"expiration_time": null})));
    executable_test(&answer, json!({"output_file": "{home}/kept.json"}), json!({}))
        .expect_status(6)
        .expect_error("has no expiration_time, which output_file asks for")
        .run();
}

#[test]
fn a_program_may_write_its_response_to_the_output_file_only() {
    let answer = executable_response(json!({}));
    let script = format!("cat > \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\" <<'END'\n{answer}\nEND");
    let written = |script: &str| {
        executable_test(script, json!({"output_file": "{home}/kept.json"}), json!({}))
    };
    let ran = written(&script).expect_request(sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token"), EXECUTABLE_SUBJECT_TOKEN);
    written(":").expect_status(6).expect_error("the response is empty").run();
    let stale =
        executable_response(json!({"expiration_time": NOW - 5, "id_token": STALE_SUBJECT_TOKEN}));
    written(":")
        .file("kept.json", stale.to_string())
        .expect_status(6)
        .expect_error("expired 5 s ago")
        .run();
}

/// A program that records whether it may prompt, and writes its response to the output file.
fn interactive_script(home: &Home) -> String {
    let answer = executable_response(json!({}));
    let told = home.path("told");
    format!(
        "echo $GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE > {}\necho 'a question' \n\
         cat > \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\" <<'END'\n{answer}\nEND\n",
        told.display()
    )
}

#[test]
fn interactive_mode_is_used_at_a_terminal() {
    let interactive = || {
        json!({
            "output_file": "{home}/kept.json",
            "interactive_timeout_millis": 30000,
        })
    };
    let ask = |home: &Rc<Home>, executable: Value, audience: &str| {
        executable_test(&interactive_script(home), executable, json!({"audience": audience}))
            .home(home)
    };
    let home = Home::new();
    let test =
        ask(&home, interactive(), WORKFORCE_AUDIENCE).interactive().expect_request(sts_success());
    // The program's standard output is for the user.
    test.expect_stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(home.read("told"), "1\n");
    // In every other case the program may not prompt, and its standard output must be a response.
    let without_file = json!({"interactive_timeout_millis": 30000});
    let without_time = json!({"output_file": "{home}/kept.json"});
    for (executable, audience, attended) in [
        (interactive(), WORKFORCE_AUDIENCE, false),
        (interactive(), WORKLOAD_AUDIENCE, true),
        (without_time, WORKFORCE_AUDIENCE, true),
        (without_file, WORKFORCE_AUDIENCE, true),
    ] {
        let home = Home::new();
        let test = ask(&home, executable, audience).expect_status(6);
        let test = if attended { test.interactive() } else { test };
        test.run();
        assert_eq!(home.read("told"), "0\n");
    }
}

#[test]
fn interactive_mode_has_its_own_timeout() {
    let executable = json!({"output_file": "{home}/kept", "interactive_timeout_millis": 30000});
    executable_test("exec sleep 600", executable, json!({"audience": WORKFORCE_AUDIENCE}))
        .setup(|home| home.clock.run_at_speed(100))
        .interactive()
        .expect_status(6)
        .expect_error("did not end within 30s (interactive_timeout_millis)")
        .expect_hint("at most 1800000")
        .run();
}

#[test]
fn the_executables_run_time_does_not_count_against_the_request_timeout() {
    // The program takes 25 of the 30 seconds.
    let ran = executable_test(
        &format!("sleep 1\n{}", default_script()),
        json!({"timeout_millis": 120_000}),
        json!({"service_account_impersonation_url": IAM_URL}),
    )
    .setup(|home| home.clock.run_at_speed(25))
    .expect_request(sts_success())
    .expect_request(iam_success())
    .run();
    for sent in &ran.requests {
        assert!(sent.timeout > Duration::from_secs(6), "{:?}", sent.timeout);
    }
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    for (command, says) in [
        (
            "/no/such/program --flag",
            "/no/such/program of credential_source.executable.command: there is no such",
        ),
        (
            "{home}/key.json",
            "HOME/key.json of credential_source.executable.command: cannot be run, permission denied",
        ),
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
        (
            json!({"interactive_timeout_millis": 29_999}),
            "interactive_timeout_millis is not from 30000",
        ),
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
        executable_test("", json!({}), json!({"credential_source": source}))
            .expect_status(8)
            .expect_error(says)
            .run();
    }
    for fields in [
        json!({"timeout_millis": 0, "interactive_timeout_millis": 0, "output_file": ""}),
        json!({"timeout_millis": 120_000, "interactive_timeout_millis": 1_800_000}),
        json!({"timeout_millis": null, "unknown": [5]}),
    ] {
        executable_test(&default_script(), fields, json!({})).expect_request(sts_success()).run();
    }
}

/// The built program, whose children have its real environment, standard error and limits.
fn run_built_program(home: &Home, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
    home.write("program", script);
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
    command.args(["token", "-vv"]).env_clear().env("HOME", home.path("")).env(ALLOW_VARIABLE, "1");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(variables.to_vec());
    let output = command.output().expect("gauth");
    assert!(output.stdout.is_empty(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).expect("text");
    (output.status.code().unwrap_or(-1), stderr)
}

#[test]
fn the_programs_standard_error_is_passed_on_and_not_repeated() {
    let home = Home::new();
    let json = write_executable_credential(&home, &json!({}), &json!({}));
    let script = format!(
        "echo 'said {EXECUTABLE_SUBJECT_TOKEN}' >&2; echo {EXECUTABLE_SUBJECT_TOKEN}; exit 3"
    );
    let (status, stderr) = run_built_program(&home, &script, &[("GAUTH_CREDENTIALS", &json)]);
    assert_eq!(status, 6, "{stderr}");
    let (said, ours): (Vec<&str>, Vec<&str>) =
        stderr.lines().partition(|line| line.starts_with("said "));
    assert_eq!(said, [format!("said {EXECUTABLE_SUBJECT_TOKEN}")]);
    assert!(!ours.concat().contains("planted"), "{stderr}");
    assert!(ours.concat().contains("ended with code 3"), "{stderr}");
}

#[test]
fn the_executable_inherits_the_environment_without_the_credential() {
    let limit = Command::new("sh").args(["-c", "ulimit -Sc"]).output().expect("sh").stdout;
    let limit = String::from_utf8(limit).expect("text");
    let home = Home::new();
    let told = home.path("told");
    let script = format!("(ulimit -Sc; env) > {}; exit 3", told.display());
    let json = write_executable_credential(&home, &json!({}), &json!({}));
    let others = [("LANG", "C"), ("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", "/of/another/program")];
    let path = home.path("key.json").to_string_lossy().into_owned();
    home.write("key.json", &json);
    for (own, kept) in [(&json, false), (&path, true)] {
        let variables = [others[0], others[1], ("GAUTH_CREDENTIALS", own.as_str())];
        let (status, stderr) = run_built_program(&home, &script, &variables);
        assert_eq!(status, 6, "{stderr}");
        let told = home.read("told");
        assert!(told.starts_with(&limit), "{told}");
        assert!(told.contains("\nLANG=C\n") && told.contains("ALLOW_EXECUTABLES=1\n"), "{told}");
        assert_eq!(told.contains("\nGAUTH_CREDENTIALS="), kept, "{told}");
        assert!(!told.contains("/of/another/program"), "{told}");
    }
}

#[test]
fn no_process_is_left_of_a_program_that_was_killed() {
    let home = Home::new();
    let pids = home.path("pids");
    let script = format!("sleep 600 & echo $$ $! > {}; sleep 600", pids.display());
    executable_test(&script, json!({"timeout_millis": 5000}), json!({}))
        .home(&home)
        .setup(|home| home.clock.run_at_speed(20))
        .expect_status(6)
        .expect_error("timeout_millis")
        .run();
    for pid in home.read("pids").split_whitespace() {
        let status = PathBuf::from("/proc").join(pid).join("status");
        let state = || std::fs::read_to_string(&status).unwrap_or_default();
        // The signal and the reaping of orphaned processes take a moment.
        let gone = |text: &str| text.is_empty() || text.contains("State:\tZ");
        let start = std::time::Instant::now();
        while !gone(&state()) {
            assert!(start.elapsed().as_secs() < 10, "{}", state());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
