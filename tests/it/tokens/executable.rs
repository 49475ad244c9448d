//! Subject tokens that a program prints: real scripts, well-behaved and not, run by a shell that the command names.

use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::samples::{SECOND, TOKEN, granted, with};
use crate::support::{Exchange, Home, NOW, Test, token};

const ALLOW: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";
const SUBJECT: &str = "eyJhbGciOiJub25lIn0.planted-subject.token";
const SAML: &str = "PHBsYW50ZWQtc2FtbC1yZXNwb25zZT4=";
const STALE: &str = "eyJhbGciOiJub25lIn0.planted-stale.token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const WORKLOAD: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/idp";
const WORKFORCE: &str = "//iam.googleapis.com/locations/global/workforcePools/pool/providers/idp";
const EMAIL: &str = "target-sa@example-project.iam.gserviceaccount.com";
const IAM: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/\
                   target-sa@example-project.iam.gserviceaccount.com:generateAccessToken";

/// The home folder.
fn root(home: &Home) -> String {
    home.path("x").parent().expect("a folder").to_string_lossy().into_owned()
}

/// The credential, whose program is the script in the home folder. `executable` and `credential` change it; `{home}`
/// is the home folder.
fn credential(home: &Home, executable: &Value, credential: &Value) -> String {
    let usual = json!({"command": "/bin/sh {home}/program"});
    let whole = json!({
        "type": "external_account",
        "audience": WORKLOAD,
        "subject_token_type": JWT,
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"executable": with(usual, executable)},
    });
    with(whole, credential).to_string().replace("{home}", &root(home))
}

/// `gauth token` with that credential, where programs are allowed.
fn asked(script: &str, executable: Value, fields: Value) -> Test {
    Test::new("token --credentials {home}/key.json")
        .env(ALLOW, "1")
        .secret(SUBJECT)
        .secret(SAML)
        .secret(STALE)
        .file("program", script)
        .step(move |home| home.write("key.json", credential(home, &executable, &fields)))
}

fn plainly(script: &str) -> Test {
    asked(script, json!({}), json!({}))
}

/// A good response, with some fields changed.
fn response(fields: Value) -> Value {
    let good = json!({
        "version": 1,
        "success": true,
        "token_type": JWT,
        "id_token": SUBJECT,
        "expiration_time": NOW + 3600,
    });
    with(good, &fields)
}

/// A script that prints this.
fn prints(response: &Value) -> String {
    format!("cat <<'END'\n{response}\nEND\n")
}

fn good() -> String {
    prints(&response(json!({})))
}

fn sts() -> Exchange {
    token(200, granted(TOKEN)).url("https://sts.googleapis.com/v1/token")
}

fn iam() -> Exchange {
    let answer = json!({"accessToken": SECOND, "expireTime": "2026-01-02T04:04:05Z"});
    token(200, answer.to_string()).url(IAM)
}

#[test]
fn what_the_program_prints_is_exchanged() {
    let ran = plainly(&good()).google(sts()).stdout(&format!("{TOKEN}\n")).run();
    let sent = &ran.sent[0];
    assert_eq!(sent.field("subject_token"), SUBJECT);
    assert_eq!(sent.field("subject_token_type"), JWT);
    assert_eq!(sent.field("audience"), WORKLOAD);
    assert!(sent.headers["x-goog-api-client"].contains("source/executable"), "{sent:?}");
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    let answer = response(json!({"token_type": saml, "saml_response": SAML, "id_token": null}));
    let ran =
        asked(&prints(&answer), json!({}), json!({"subject_token_type": saml})).google(sts()).run();
    assert_eq!(ran.sent[0].field("subject_token"), SAML);
    // One kind of JWT is as good as the other, and the end need not be said.
    let id_token = "urn:ietf:params:oauth:token-type:id_token";
    let answer = response(json!({"token_type": id_token, "expiration_time": null}));
    plainly(&prints(&answer)).google(sts()).run();
}

#[test]
fn without_permission_nothing_is_run_and_no_file_is_read() {
    for value in [None, Some(""), Some("0"), Some("true"), Some("01"), Some("1 "), Some("yes")] {
        let home = Home::new();
        home.write("kept.json", response(json!({})).to_string());
        let script = format!("touch {}\n{}", home.path("trace").display(), good());
        let test = asked(&script, json!({"output_file": "{home}/kept.json"}), json!({}));
        test.home(&home)
            .env(ALLOW, value.unwrap_or_default())
            .status(9)
            .says("HOME/key.json: ")
            .says("/bin/sh")
            .says(ALLOW)
            .tries(&format!("export {ALLOW}=1"))
            .run();
        assert!(!home.path("trace").exists(), "{value:?}");
    }
}

#[test]
fn a_token_of_the_cache_runs_nothing() {
    let home = Home::new();
    let script = format!("echo run >> {}\n{}", home.path("trace").display(), good());
    plainly(&script).home(&home).google(sts()).run();
    plainly(&script).home(&home).stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(home.read("trace"), "run\n");
    // A new exchange needs a new subject token.
    plainly(&script).home(&home).word("--refresh").google(sts()).run();
    assert_eq!(home.read("trace"), "run\nrun\n");
}

#[test]
fn the_program_is_told_what_is_wanted() {
    let told = |fields: Value, executable: Value, test: &dyn Fn(Test) -> Test| {
        let home = Home::new();
        let script = format!("env > {}\n{}", home.path("told").display(), good());
        test(asked(&script, executable, fields).home(&home)).run();
        let told = home.read("told").replace(&root(&home), "HOME");
        let mut told: Vec<String> = told
            .lines()
            .filter_map(|line| line.strip_prefix("GOOGLE_EXTERNAL_ACCOUNT_"))
            .map(str::to_owned)
            .collect();
        told.sort();
        told.join(" ")
    };
    assert_eq!(
        told(json!({}), json!({}), &|test| test.google(sts())),
        format!("AUDIENCE={WORKLOAD} ID= INTERACTIVE=0 REVOKE=0 TOKEN_TYPE={JWT}")
    );
    assert_eq!(
        told(
            json!({"service_account_impersonation_url": IAM}),
            json!({"output_file": "{home}/out.json"}),
            &|test| test.google(sts()).google(iam()).stdout(&format!("{SECOND}\n")),
        ),
        format!(
            "AUDIENCE={WORKLOAD} ID={EMAIL} IMPERSONATED_EMAIL={EMAIL} INTERACTIVE=0 \
             OUTPUT_FILE=HOME/out.json REVOKE=0 TOKEN_TYPE={JWT}"
        )
    );
}

#[test]
fn the_words_of_the_command_arrive_as_they_are() {
    let home = Home::new();
    let script = format!("printf '<%s>' \"$@\" > {}\n{}", home.path("words").display(), good());
    let command = r#"/bin/sh '{home}/program' --a=b "two  words" '' c\ d '$HOME' `id` * #e ; f"#;
    asked(&script, json!({"command": command}), json!({})).home(&home).google(sts()).run();
    assert_eq!(home.read("words"), "<--a=b><two  words><><c d><$HOME><`id`><*><#e><;><f>");
}

/// Runs a script to its failure, on a clock on which five seconds are soon over.
#[track_caller]
fn fails_in_time(script: &str, says: &str) {
    let began = Instant::now();
    asked(script, json!({"timeout_millis": 5000}), json!({}))
        .step(|home| home.clock.run(20))
        .status(6)
        .says("/bin/sh (subject token of HOME/key.json): ")
        .says(says)
        .run();
    // Twice a quarter of a second, and half a second for one that does not want to end.
    assert!(began.elapsed() < Duration::from_secs(20), "{script}: {:?}", began.elapsed());
}

#[test]
fn a_program_that_does_not_end_is_ended() {
    for script in [
        "sleep 600".to_owned(),
        "exec sleep 600".to_owned(),
        format!("{}\nsleep 600", good()),
        "trap '' TERM; sleep 600; sleep 600".to_owned(),
        "sleep 600 & sleep 600 & wait".to_owned(),
        "while :; do echo drip; sleep 0.05; done".to_owned(),
        "exec >&- 2>&-; sleep 600".to_owned(),
        "kill -STOP $$".to_owned(),
    ] {
        fails_in_time(&script, "did not end within 5s (timeout_millis)");
    }
}

#[test]
fn a_grandchild_that_keeps_the_output_open_keeps_nobody() {
    let began = Instant::now();
    plainly(&format!("sleep 15 &\n{}", good())).google(sts()).run();
    plainly("sleep 15 & (sleep 15; echo late) & exit 3").status(6).says("code 3").run();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}

#[test]
fn a_program_without_a_response_is_an_error_that_shows_none() {
    let token = SUBJECT;
    for (script, says) in [
        ("yes".to_owned(), "printed more than 1 MiB"),
        (format!("yes {token}"), "printed more than 1 MiB"),
        ("yes & wait".to_owned(), "printed more than 1 MiB"),
        ("head -c 1048577 /dev/zero".to_owned(), "printed more than 1 MiB"),
        ("head -c 1048576 /dev/zero".to_owned(), "the answer is not"),
        (":".to_owned(), "the answer is empty"),
        ("echo".to_owned(), "the answer is empty"),
        (format!("echo {token}"), "the answer is not valid JSON"),
        ("head -c 5000 /dev/urandom".to_owned(), "the answer is"),
        (format!("echo '[\"{token}\"]'"), "not an object"),
        // Whoever asks gets no answer.
        ("read password && echo \"$password\"".to_owned(), "ended with code 1"),
        ("cat".to_owned(), "the answer is empty"),
        (format!("{}\nexit 3", good()), "ended with code 3"),
        (format!("echo {token}; exit 255"), "ended with code 255"),
        ("kill -9 $$".to_owned(), "was killed by signal 9"),
        ("kill -SEGV $$".to_owned(), "was killed by signal 11"),
        (prints(&response(json!({"version": 2}))), "has version 2, this gauth reads version 1"),
        (prints(&response(json!({"version": "1"}))), "version is a string"),
        (prints(&response(json!({"version": null}))), "version is missing"),
        (prints(&response(json!({"success": null}))), "success is missing"),
        (prints(&response(json!({"expiration_time": NOW - 5}))), "expired 5 s ago"),
        (prints(&response(json!({"token_type": "access_token"}))), "token_type \"access_token\""),
        (prints(&response(json!({"id_token": null}))), "id_token is missing"),
        (
            prints(&response(json!({"id_token": null, "saml_response": SAML}))),
            "id_token is missing",
        ),
        (
            prints(&response(json!({
                "token_type": "urn:ietf:params:oauth:token-type:saml2",
                "saml_response": SAML,
            }))),
            "another kind than urn:ietf:params:oauth:token-type:jwt",
        ),
    ] {
        plainly(&script)
            .status(6)
            .says("/bin/sh (subject token of HOME/key.json): ")
            .says(says)
            .run();
    }
}

#[test]
fn a_no_is_passed_on_in_the_programs_words() {
    let no = json!({"version": 1, "success": false, "code": "401", "message": "Not you.\u{1b}[2J"});
    plainly(&prints(&no)).status(5).says("says no: \"Not you.\\u{1b}[2J\" (code 401)").run();
    let bare = json!({"version": 1, "success": false, "code": "401"});
    plainly(&prints(&bare)).status(6).says("message is missing").run();
}

#[test]
fn what_an_earlier_run_left_is_used_while_it_lasts() {
    let kept = |file: Value| {
        asked(
            "exit 3",
            json!({"output_file": "{home}/kept.json", "command": "/no/such/program"}),
            json!({}),
        )
        .file("kept.json", file.to_string())
    };
    let ran = kept(response(json!({}))).google(sts()).run();
    assert_eq!(ran.sent[0].field("subject_token"), SUBJECT);
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
        kept(response(fields))
            .status(8)
            .says("HOME/kept.json (output_file of HOME/key.json): is not understood, ")
            .tries("remove HOME/kept.json")
            .run();
    }
}

#[test]
fn the_program_is_run_when_nothing_useful_was_left() {
    let no = json!({"success": false, "code": "401", "message": "not you"});
    for left in [
        response(json!({"expiration_time": NOW, "id_token": STALE})).to_string(),
        response(json!({"expiration_time": NOW - 3600, "id_token": STALE})).to_string(),
        response(json!({"expiration_time": null, "id_token": STALE})).to_string(),
        response(json!({"version": 2, "id_token": STALE})).to_string(),
        response(json!({"token_type": "access_token", "id_token": STALE})).to_string(),
        response(json!({
            "token_type": "urn:ietf:params:oauth:token-type:saml2",
            "saml_response": STALE,
        }))
        .to_string(),
        response(no).to_string(),
        String::new(),
        STALE.to_owned(),
        "{\"version\":1,".to_owned(),
    ] {
        let ran = asked(&good(), json!({"output_file": "{home}/kept.json"}), json!({}))
            .file("kept.json", &left)
            .google(sts())
            .run();
        assert_eq!(ran.sent[0].field("subject_token"), SUBJECT, "{left}");
    }
    let began = Instant::now();
    for file in ["{home}/no/such/file", "{home}", "{home}/pipe", "/dev/zero", "/proc/self/mem"] {
        let pipe = |home: &Home| {
            Command::new("mkfifo").arg(home.path("pipe")).status().expect("mkfifo");
        };
        let test = asked(&good(), json!({"output_file": file}), json!({}));
        test.step(pipe).google(sts()).run();
    }
    // Nobody writes into that pipe, which would be waited for elsewhere.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn what_may_be_kept_must_say_when_it_ends() {
    let answer = prints(&response(json!({"expiration_time": null})));
    asked(&answer, json!({"output_file": "{home}/kept.json"}), json!({}))
        .status(6)
        .says("has no expiration_time, which output_file asks for")
        .run();
}

#[test]
fn a_program_may_answer_in_the_file_alone() {
    let answer = response(json!({}));
    let script = format!("cat > \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\" <<'END'\n{answer}\nEND");
    let written =
        |script: &str| asked(script, json!({"output_file": "{home}/kept.json"}), json!({}));
    let ran = written(&script).google(sts()).run();
    assert_eq!(ran.sent[0].field("subject_token"), SUBJECT);
    written(":").status(6).says("the answer is empty").run();
    let stale = response(json!({"expiration_time": NOW - 5, "id_token": STALE}));
    written(":").file("kept.json", stale.to_string()).status(6).says("expired 5 s ago").run();
}

/// A program that writes down whether it may ask, and answers in the file.
fn asking(home: &Home) -> String {
    let answer = response(json!({}));
    let told = home.path("told");
    format!(
        "echo $GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE > {}\necho 'a question' \n\
         cat > \"$GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE\" <<'END'\n{answer}\nEND\n",
        told.display()
    )
}

#[test]
fn a_person_is_asked_where_one_is_there() {
    let interactive = || {
        json!({
            "output_file": "{home}/kept.json",
            "interactive_timeout_millis": 30000,
        })
    };
    let ask = |home: &Rc<Home>, executable: Value, audience: &str| {
        asked(&asking(home), executable, json!({"audience": audience})).home(home)
    };
    let home = Home::new();
    let test = ask(&home, interactive(), WORKFORCE).attended().google(sts());
    // What the program prints is for the person.
    test.stdout(&format!("{TOKEN}\n")).run();
    assert_eq!(home.read("told"), "1\n");
    // In no other case, and then a question on standard output is no answer.
    let without_file = json!({"interactive_timeout_millis": 30000});
    let without_time = json!({"output_file": "{home}/kept.json"});
    for (executable, audience, attended) in [
        (interactive(), WORKFORCE, false),
        (interactive(), WORKLOAD, true),
        (without_time, WORKFORCE, true),
        (without_file, WORKFORCE, true),
    ] {
        let home = Home::new();
        let test = ask(&home, executable, audience).status(6);
        let test = if attended { test.attended() } else { test };
        test.run();
        assert_eq!(home.read("told"), "0\n");
    }
}

#[test]
fn a_person_has_the_time_that_is_for_people() {
    let executable = json!({"output_file": "{home}/kept", "interactive_timeout_millis": 30000});
    asked("exec sleep 600", executable, json!({"audience": WORKFORCE}))
        .step(|home| home.clock.run(100))
        .attended()
        .status(6)
        .says("did not end within 30s (interactive_timeout_millis)")
        .tries("at most 1800000")
        .run();
}

#[test]
fn the_programs_time_is_not_that_of_our_requests() {
    // 25 of 30 seconds would be gone.
    let ran = asked(
        &format!("sleep 1\n{}", good()),
        json!({"timeout_millis": 120_000}),
        json!({"service_account_impersonation_url": IAM}),
    )
    .step(|home| home.clock.run(25))
    .google(sts())
    .google(iam())
    .run();
    for sent in &ran.sent {
        assert!(sent.limit > Duration::from_secs(6), "{:?}", sent.limit);
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
        asked("", json!({"command": command}), json!({}))
            .file_with_mode("lost", "#!/no/such/interpreter\n", 0o700)
            .status(8)
            .says("HOME/key.json: ")
            .says(says)
            .tries("ls -l ")
            .run();
    }
}

#[test]
fn a_program_without_an_absolute_path_is_warned_of() {
    asked(&good(), json!({"command": "sh {home}/program"}), json!({}))
        .warns("the program sh has no absolute path")
        .google(sts())
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
        asked("", executable, json!({}))
            .status(8)
            .says("HOME/key.json: credential_source.executable.")
            .says(says)
            .run();
    }
    for (source, says) in [
        (json!({"executable": "/bin/true"}), "credential_source.executable is a string"),
        (json!({"executable": null}), "credential_source has none of"),
        (json!({"executable": {"command": "a"}, "file": "b"}), "has both"),
    ] {
        asked("", json!({}), json!({"credential_source": source})).status(8).says(says).run();
    }
    for fields in [
        json!({"timeout_millis": 0, "interactive_timeout_millis": 0, "output_file": ""}),
        json!({"timeout_millis": 120_000, "interactive_timeout_millis": 1_800_000}),
        json!({"timeout_millis": null, "unknown": [5]}),
    ] {
        asked(&good(), fields, json!({})).google(sts()).run();
    }
}

/// The built program, whose children have its real environment, standard error and limits.
fn built(home: &Home, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
    home.write("program", script);
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
    command.args(["token", "-vv"]).env_clear().env("HOME", home.path("")).env(ALLOW, "1");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(variables.to_vec());
    let output = command.output().expect("gauth");
    assert!(output.stdout.is_empty(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).expect("text");
    (output.status.code().unwrap_or(-1), stderr)
}

#[test]
fn what_the_program_says_is_passed_on_and_nothing_of_it_is_repeated() {
    let home = Home::new();
    let json = credential(&home, &json!({}), &json!({}));
    let script = format!("echo 'said {SUBJECT}' >&2; echo {SUBJECT}; exit 3");
    let (status, stderr) = built(&home, &script, &[("GAUTH_CREDENTIALS", &json)]);
    assert_eq!(status, 6, "{stderr}");
    let (said, ours): (Vec<&str>, Vec<&str>) =
        stderr.lines().partition(|line| line.starts_with("said "));
    assert_eq!(said, [format!("said {SUBJECT}")]);
    assert!(!ours.concat().contains("planted"), "{stderr}");
    assert!(ours.concat().contains("ended with code 3"), "{stderr}");
}

#[test]
fn the_program_has_our_surroundings_but_for_the_credential() {
    let limit = Command::new("sh").args(["-c", "ulimit -Sc"]).output().expect("sh").stdout;
    let limit = String::from_utf8(limit).expect("text");
    let home = Home::new();
    let told = home.path("told");
    let script = format!("(ulimit -Sc; env) > {}; exit 3", told.display());
    let json = credential(&home, &json!({}), &json!({}));
    let others = [("LANG", "C"), ("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", "/of/another/program")];
    let path = home.path("key.json").to_string_lossy().into_owned();
    home.write("key.json", &json);
    for (own, kept) in [(&json, false), (&path, true)] {
        let variables = [others[0], others[1], ("GAUTH_CREDENTIALS", own.as_str())];
        let (status, stderr) = built(&home, &script, &variables);
        assert_eq!(status, 6, "{stderr}");
        let told = home.read("told");
        assert!(told.starts_with(&limit), "{told}");
        assert!(told.contains("\nLANG=C\n") && told.contains("ALLOW_EXECUTABLES=1\n"), "{told}");
        assert_eq!(told.contains("\nGAUTH_CREDENTIALS="), kept, "{told}");
        assert!(!told.contains("/of/another/program"), "{told}");
    }
}

#[test]
fn nothing_is_left_of_a_program_that_was_ended() {
    let home = Home::new();
    let pids = home.path("pids");
    let script = format!("sleep 600 & echo $$ $! > {}; sleep 600", pids.display());
    asked(&script, json!({"timeout_millis": 5000}), json!({}))
        .home(&home)
        .step(|home| home.clock.run(20))
        .status(6)
        .says("timeout_millis")
        .run();
    for pid in home.read("pids").split_whitespace() {
        let status = PathBuf::from("/proc").join(pid).join("status");
        let state = || std::fs::read_to_string(&status).unwrap_or_default();
        // A signal takes a moment to arrive, and whoever inherits the dead another to bury them.
        let gone = |text: &str| text.is_empty() || text.contains("State:\tZ");
        let start = std::time::Instant::now();
        while !gone(&state()) {
            assert!(start.elapsed().as_secs() < 10, "{}", state());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
