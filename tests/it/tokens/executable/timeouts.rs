//! How long a program may run, alone and where it prompts the user.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    IAM_URL, WORKFORCE_AUDIENCE, WORKLOAD_AUDIENCE, default_executable_test, default_script, executable_response,
    executable_test, iam_success, sts_success,
};
use crate::support::Home;
use crate::support::sample_credentials::TOKEN;

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
    default_executable_test(&format!("sleep 15 &\n{}", default_script())).expect_request(sts_success()).run();
    default_executable_test("sleep 15 & (sleep 15; echo late) & exit 3").expect_status(6).expect_error("code 3").run();
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
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
        executable_test(&interactive_script(home), executable, json!({"audience": audience})).home(home)
    };
    let home = Home::new();
    let test = ask(&home, interactive(), WORKFORCE_AUDIENCE).interactive().expect_request(sts_success());
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
