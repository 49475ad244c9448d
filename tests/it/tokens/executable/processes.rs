//! What the program inherits and leaves behind, with the built `gauth`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::{ALLOW_VARIABLE, EXECUTABLE_SUBJECT_TOKEN, executable_test, write_executable_credential};
use crate::support::Home;

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
    let script = format!("echo 'said {EXECUTABLE_SUBJECT_TOKEN}' >&2; echo {EXECUTABLE_SUBJECT_TOKEN}; exit 3");
    let (status, stderr) = run_built_program(&home, &script, &[("GAUTH_CREDENTIALS", &json)]);
    assert_eq!(status, 6, "{stderr}");
    let (said, ours): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| line.starts_with("said "));
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
