//! System calls that fail, and deaths between two of them, injected by `strace` where there is one.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::killed_processes::count_uses_of;
use super::refresh_token_rotation::{read_refresh_token, store_own_login};
use super::{
    CredentialKind, ProcessResult, SandboxHome, for_each_parallel, lock_machine, run,
    runs_full_counts,
};

/// What may fail.
const SYSTEM_CALLS: [&str; 8] =
    ["openat", "write", "fsync", "fdatasync", "rename", "flock", "statx", "ftruncate"];
/// In which way.
const INJECTED_ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS", "EACCES"];

/// Whether processes can be traced here.
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    traced.is_ok_and(|status| status.success())
}

/// A run of a login whose refresh token rotates, which reads and writes all there is.
fn run_under_strace(stage: &SandboxHome, inject: &str, args: &[&str]) -> ProcessResult {
    let mut command = stage.program_command("strace", CredentialKind::User);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=all", "-e"])
        .arg(format!("inject={inject}"));
    command.arg(env!("CARGO_BIN_EXE_gauth")).args(args);
    run(command)
}

fn run_untraced(stage: &SandboxHome) -> ProcessResult {
    let mut command = stage.gauth_command(CredentialKind::User, &["token", "--timeout", "5s"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command)
}

#[test]
fn a_system_call_that_fails_costs_no_login_and_no_half_output() {
    if !can_trace() {
        return;
    }
    let _alone = lock_machine();
    let step = if runs_full_counts() { 1 } else { 8 };
    let cells: Vec<(&str, &str, usize)> = SYSTEM_CALLS
        .iter()
        .flat_map(|call| INJECTED_ERRORS.map(|error| (*call, error)))
        .enumerate()
        // An eighth of the moments, each call and error with others.
        .flat_map(|(index, (call, error))| {
            (1 + index % step..=20).step_by(step).map(move |when| (call, error, when))
        })
        .collect();
    let good = AtomicUsize::new(0);
    for_each_parallel(&cells, 3, |(call, error, when)| {
        let stage = SandboxHome::new(&["token=rotate"]);
        let login = store_own_login(&stage);
        run_untraced(&stage).printed_token();
        let first = read_refresh_token(&login);
        let inject = format!("{call}:error={error}:when={when}");
        let ended = run_under_strace(&stage, &inject, &["token", "--refresh", "--timeout", "2s"]);
        ended.assert_output_whole();
        // 127 and 1 are the loader's too, before the program has begun.
        let loader = ended.stderr.contains("error while loading shared libraries");
        assert!((0..=9).contains(&ended.exit_code) || loader, "{inject}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{inject}: {ended:?}");
        if ended.exit_code == 0 {
            good.fetch_add(1, Ordering::Relaxed);
        } else if !loader {
            assert!(
                ended.stderr.is_empty() || ended.stderr.contains("gauth: "),
                "{inject}: {ended:?}"
            );
        }
        // Whole, and good for another refresh unless its successor could not be written.
        let now = read_refresh_token(&login);
        let next = run_refresh(&stage);
        let lost = now == first && stage.sandbox.request_count("token") >= 3;
        assert!(
            next.exit_code == 0 || (next.exit_code == 4 && lost),
            "{inject}: {ended:?}, then {next:?}"
        );
        if next.exit_code == 4 && ended.exit_code == 0 {
            assert!(
                ended.stderr.contains("cannot be stored"),
                "{inject}: nothing was said: {ended:?}"
            );
        }
    });
    assert!(good.into_inner() > cells.len() / 3);
}

fn run_refresh(stage: &SandboxHome) -> ProcessResult {
    let mut command =
        stage.gauth_command(CredentialKind::User, &["token", "--refresh", "--timeout", "5s"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command)
}

#[test]
fn death_at_any_call_that_touches_files_leaves_them_whole() {
    if !can_trace() {
        return;
    }
    let _alone = lock_machine();
    // Each call is counted by itself: as many moments as there are calls of that name, and a few more.
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
        let stage = SandboxHome::new(&["token=rotate"]);
        let login = store_own_login(&stage);
        run_untraced(&stage).printed_token();
        let old = read_refresh_token(&login);
        let inject = format!("{call}:signal=KILL:when={when}");
        let ended = run_under_strace(&stage, &inject, &["token", "--refresh"]);
        killed.fetch_add(usize::from(ended.exit_code == 137), Ordering::Relaxed);
        let kept = read_refresh_token(&login);
        let next = run_refresh(&stage);
        if next.exit_code == 4 {
            // Between the answer and the rename there is no way to keep both halves.
            assert!(
                kept == old && count_uses_of(&stage, &old) == 2,
                "{inject}: {ended:?}, then {next:?}"
            );
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            next.printed_token();
        }
    });
    assert!(killed.into_inner() > 50, "few calls were counted");
    assert!(lost.into_inner() <= 8, "the time in which a login can be lost has grown");
}
