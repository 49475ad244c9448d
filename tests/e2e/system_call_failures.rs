//! System calls that fail, and processes killed at a system call, injected by `strace` where it is installed.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::killed_processes::count_uses_of;
use super::refresh_token_rotation::{read_refresh_token, store_own_login};
use super::{CredentialKind, ProcessResult, SandboxHome, for_each_parallel, lock_machine, run, runs_full_counts};

/// The system calls that fail.
const SYSTEM_CALLS: [&str; 8] = ["openat", "write", "fsync", "fdatasync", "rename", "flock", "statx", "ftruncate"];
/// The errors that they return.
const INJECTED_ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS", "EACCES"];

/// Whether processes can be traced here.
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    traced.is_ok_and(|status| status.success())
}

/// Runs `gauth` under `strace` with a login whose refresh token rotates, so that it reads and writes every kind of file.
fn run_under_strace(test: &SandboxHome, inject: &str, args: &[&str]) -> ProcessResult {
    let mut command = test.program_command("strace", CredentialKind::User);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=all", "-e"]).arg(format!("inject={inject}"));
    command.arg(env!("CARGO_BIN_EXE_gauth")).args(args);
    run(command)
}

fn run_untraced(test: &SandboxHome) -> ProcessResult {
    let mut command = test.gauth_command(CredentialKind::User, &["token", "--timeout", "5s"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command)
}

#[test]
fn a_failed_system_call_loses_no_login_and_truncates_no_output() {
    if !can_trace() {
        return;
    }
    let _exclusive = lock_machine();
    let step = if runs_full_counts() { 1 } else { 8 };
    let cells: Vec<(&str, &str, usize)> = SYSTEM_CALLS
        .iter()
        .flat_map(|call| INJECTED_ERRORS.map(|error| (*call, error)))
        .enumerate()
        // Every eighth occurrence of a call, starting at another one for each call and error.
        .flat_map(|(index, (call, error))| (1 + index % step..=20).step_by(step).map(move |when| (call, error, when)))
        .collect();
    let good = AtomicUsize::new(0);
    for_each_parallel(&cells, 3, |(call, error, when)| {
        let test = SandboxHome::new(&["token=rotate"]);
        let login = store_own_login(&test);
        run_untraced(&test).printed_token();
        let first = read_refresh_token(&login);
        let inject = format!("{call}:error={error}:when={when}");
        let result = run_under_strace(&test, &inject, &["token", "--refresh", "--timeout", "2s"]);
        result.assert_output_whole();
        // The dynamic loader exits with 127 or 1 before the program starts.
        let loader = result.stderr.contains("error while loading shared libraries");
        assert!((0..=9).contains(&result.exit_code) || loader, "{inject}: {result:?}");
        assert!(!result.stderr.contains("panicked"), "{inject}: {result:?}");
        if result.exit_code == 0 {
            good.fetch_add(1, Ordering::Relaxed);
        } else if !loader {
            assert!(result.stderr.is_empty() || result.stderr.contains("gauth: "), "{inject}: {result:?}");
        }
        // The file is complete, and its refresh token valid unless the new one could not be written.
        let now = read_refresh_token(&login);
        let next = run_refresh(&test);
        let lost = now == first && test.sandbox.request_count("token") >= 3;
        assert!(next.exit_code == 0 || (next.exit_code == 4 && lost), "{inject}: {result:?}, then {next:?}");
        if next.exit_code == 4 && result.exit_code == 0 {
            assert!(result.stderr.contains("cannot be stored"), "{inject}: nothing was said: {result:?}");
        }
    });
    assert!(good.into_inner() > cells.len() / 3);
}

fn run_refresh(test: &SandboxHome) -> ProcessResult {
    let mut command = test.gauth_command(CredentialKind::User, &["token", "--refresh", "--timeout", "5s"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command)
}

#[test]
fn a_process_killed_at_a_file_system_call_leaves_complete_files() {
    if !can_trace() {
        return;
    }
    let _exclusive = lock_machine();
    // Each system call is counted separately: as many runs as it has occurrences, and a few more.
    let moments: Vec<(&str, usize)> = [
        ("openat", 22),
        ("close", 22),
        ("write", 6),
        ("rename", 3),
        ("ftruncate", 3),
        ("fsync", 3),
        ("fdatasync", 2),
        ("lseek", 2),
        ("flock", 3),
        ("statx", 14),
        ("sendto", 3),
        ("recvfrom", 3),
    ]
    .iter()
    .flat_map(|(call, count)| (1..=*count).map(|when| (*call, when)))
    .collect();
    let (killed, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for_each_parallel(&moments, 3, |(call, when)| {
        let test = SandboxHome::new(&["token=rotate"]);
        let login = store_own_login(&test);
        run_untraced(&test).printed_token();
        let old = read_refresh_token(&login);
        let inject = format!("{call}:signal=KILL:when={when}");
        let result = run_under_strace(&test, &inject, &["token", "--refresh"]);
        killed.fetch_add(usize::from(result.exit_code == 137), Ordering::Relaxed);
        let kept = read_refresh_token(&login);
        let next = run_refresh(&test);
        if next.exit_code == 4 {
            // A process killed between the response and the rename loses the new refresh token.
            assert!(kept == old && count_uses_of(&test, &old) == 2, "{inject}: {result:?}, then {next:?}");
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            next.printed_token();
        }
    });
    assert!(killed.into_inner() > 50, "few calls were counted");
    assert!(lost.into_inner() <= 8, "the time in which a login can be lost has grown");
}
