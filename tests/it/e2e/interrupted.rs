//! System calls that fail, and deaths between two of them, injected by `strace` where there is one.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::killed::times_sent;
use super::rotation::{own_login, refresh_token};
use super::{Ended, Kind, Stage, alone, each, full, run};

/// What may fail.
const CALLS: [&str; 8] =
    ["openat", "write", "fsync", "fdatasync", "rename", "flock", "statx", "ftruncate"];
/// In which way.
const ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS", "EACCES"];

/// Whether processes can be traced here.
fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    traced.is_ok_and(|status| status.success())
}

/// A run of a login whose refresh token rotates, which reads and writes all there is.
fn traced(stage: &Stage, inject: &str, words: &[&str]) -> Ended {
    let mut command = stage.program("strace", Kind::User);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=all", "-e"])
        .arg(format!("inject={inject}"));
    command.arg(env!("CARGO_BIN_EXE_gauth")).args(words);
    run(command)
}

fn plain(stage: &Stage) -> Ended {
    let mut command = stage.gauth(Kind::User, &["token", "--timeout", "5s"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command)
}

#[test]
fn a_system_call_that_fails_costs_no_login_and_no_half_output() {
    if !can_trace() {
        return;
    }
    let _alone = alone();
    let step = if full() { 1 } else { 8 };
    let cells: Vec<(&str, &str, usize)> = CALLS
        .iter()
        .flat_map(|call| ERRORS.map(|error| (*call, error)))
        .enumerate()
        // An eighth of the moments, each call and error with others.
        .flat_map(|(index, (call, error))| {
            (1 + index % step..=20).step_by(step).map(move |when| (call, error, when))
        })
        .collect();
    let good = AtomicUsize::new(0);
    each(&cells, 3, |(call, error, when)| {
        let stage = Stage::new(&["token=rotate"]);
        let login = own_login(&stage);
        plain(&stage).token();
        let first = refresh_token(&login);
        let inject = format!("{call}:error={error}:when={when}");
        let ended = traced(&stage, &inject, &["token", "--refresh", "--timeout", "2s"]);
        ended.whole();
        // 127 and 1 are the loader's too, before the program has begun.
        let loader = ended.err.contains("error while loading shared libraries");
        assert!((0..=9).contains(&ended.code) || loader, "{inject}: {ended:?}");
        assert!(!ended.err.contains("panicked"), "{inject}: {ended:?}");
        if ended.code == 0 {
            good.fetch_add(1, Ordering::Relaxed);
        } else if !loader {
            assert!(ended.err.is_empty() || ended.err.contains("gauth: "), "{inject}: {ended:?}");
        }
        // Whole, and good for another refresh unless its successor could not be written.
        let now = refresh_token(&login);
        let next = run_refresh(&stage);
        let lost = now == first && stage.google.count("token") >= 3;
        assert!(next.code == 0 || (next.code == 4 && lost), "{inject}: {ended:?}, then {next:?}");
        if next.code == 4 && ended.code == 0 {
            assert!(
                ended.err.contains("cannot be stored"),
                "{inject}: nothing was said: {ended:?}"
            );
        }
    });
    assert!(good.into_inner() > cells.len() / 3);
}

fn run_refresh(stage: &Stage) -> Ended {
    let mut command = stage.gauth(Kind::User, &["token", "--refresh", "--timeout", "5s"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command)
}

#[test]
fn death_at_any_call_that_touches_files_leaves_them_whole() {
    if !can_trace() {
        return;
    }
    let _alone = alone();
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
    each(&moments, 3, |(call, when)| {
        let stage = Stage::new(&["token=rotate"]);
        let login = own_login(&stage);
        plain(&stage).token();
        let old = refresh_token(&login);
        let inject = format!("{call}:signal=KILL:when={when}");
        let ended = traced(&stage, &inject, &["token", "--refresh"]);
        killed.fetch_add(usize::from(ended.code == 137), Ordering::Relaxed);
        let kept = refresh_token(&login);
        let next = run_refresh(&stage);
        if next.code == 4 {
            // Between the answer and the rename there is no way to keep both halves.
            assert!(
                kept == old && times_sent(&stage, &old) == 2,
                "{inject}: {ended:?}, then {next:?}"
            );
            lost.fetch_add(1, Ordering::Relaxed);
        } else {
            next.token();
        }
    });
    assert!(killed.into_inner() > 50, "few calls were counted");
    assert!(lost.into_inner() <= 8, "the time in which a login can be lost has grown");
}
