//! Many processes that need the same token at once make one request, and share one failure.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{
    CredentialKind, ProcessResult, SandboxHome, for_each_parallel, lock_machine, wait_for,
};

const PROCESS_COUNT: usize = 200;
const LATENCY: Duration = Duration::from_millis(300);

/// Starts `count` runs, holds them at the lock of their token until all have arrived there, and lets go.
fn run_concurrently(stage: &SandboxHome, count: usize, args: &[&str]) -> Vec<ProcessResult> {
    let lock = stage
        .config_folder()
        .join("locks")
        .join(&stage.cache_entry().file_name().unwrap().to_str().unwrap()[..2]);
    let gate = File::open(&lock).unwrap();
    gate.lock().unwrap();
    let running: Vec<_> = (0..count)
        .map(|_| {
            let mut command = stage.gauth_command(CredentialKind::ServiceAccount, args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            (Instant::now(), command.spawn().unwrap())
        })
        .collect();
    let arrived = |id: u32| {
        let descriptors = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
        descriptors.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == lock))
    };
    for (start, child) in &running {
        while !arrived(child.id()) && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(gate);
    let waiting: Vec<_> = running
        .into_iter()
        .map(|(start, child)| std::thread::spawn(move || wait_for(child, start)))
        .collect();
    waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// All end in time with this code; gives the different outputs.
#[track_caller]
fn distinct_outputs(ended: &[ProcessResult], code: i32, max_seconds: u64) -> Vec<String> {
    for one in ended {
        assert_eq!(one.exit_code, code, "{one:?}");
        one.assert_output_whole();
        assert!(one.duration <= Duration::from_secs(max_seconds + 1), "{one:?}");
    }
    let mut outputs: Vec<String> = ended.iter().map(|one| one.stdout.clone()).collect();
    outputs.sort();
    outputs.dedup();
    outputs
}

#[test]
fn many_processes_with_a_stale_token_make_one_request() {
    let _alone = lock_machine();
    let stage = SandboxHome::with_latency(&[], LATENCY);
    let old = stage.seed_cached_token(100);
    let ended = run_concurrently(&stage, PROCESS_COUNT, &["token"]);
    let tokens = distinct_outputs(&ended, 0, 30);
    assert_eq!((tokens.len(), stage.sandbox.request_count("token")), (1, 2));
    assert_ne!(tokens[0].trim_end(), old);
}

#[test]
fn many_processes_with_an_empty_cache_make_one_request() {
    let _alone = lock_machine();
    let stage = SandboxHome::with_latency(&[], LATENCY);
    // Its name is needed for the gate; it has expired.
    stage.seed_cached_token(-1);
    let tokens = distinct_outputs(&run_concurrently(&stage, PROCESS_COUNT, &["token"]), 0, 30);
    assert_eq!((tokens.len(), stage.sandbox.request_count("token")), (1, 2));
}

#[test]
fn many_processes_that_refresh_get_the_same_new_token() {
    let _alone = lock_machine();
    let stage = SandboxHome::with_latency(&[], LATENCY);
    let old = stage.seed_cached_token(3000);
    let tokens = distinct_outputs(&run_concurrently(&stage, 50, &["token", "--refresh"]), 0, 30);
    assert_eq!((tokens.len(), stage.sandbox.request_count("token")), (1, 2));
    assert_ne!(tokens[0].trim_end(), old);
}

/// The seed is the first request; what comes after it fails.
fn sandbox_failing_after_seed(fault: &str) -> SandboxHome {
    SandboxHome::new(&["token=string-expiryx1", &format!("token={fault}")])
}

#[test]
fn many_processes_share_one_failure() {
    let _alone = lock_machine();
    let cells = [
        ("503", 12, 3, PROCESS_COUNT),
        ("hang", 6, 1, PROCESS_COUNT),
        ("close", 12, 3, 50),
        ("400", 12, 1, 50),
    ];
    for_each_parallel(&cells, 4, |&(fault, budget, attempts, many)| {
        let stage = sandbox_failing_after_seed(fault);
        stage.seed_cached_token(-1);
        let words = ["token", "--timeout", &format!("{budget}s")];
        let ended = run_concurrently(&stage, many, &words);
        let code = if fault == "400" { 5 } else { 6 };
        distinct_outputs(&ended, code, budget);
        let count = stage.sandbox.request_count("token");
        assert!(count <= attempts + 1, "{fault}: {count} requests");
        let mut causes: Vec<&str> = ended.iter().map(|one| one.error_and_hint().0).collect();
        causes.sort_unstable();
        causes.dedup();
        // Those whose own time ends with the holder's say that they have waited.
        causes.retain(|cause| fault != "hang" || !cause.contains("another gauth"));
        assert_eq!(causes.len(), 1, "{fault}: {causes:?}");
    });
}

#[test]
fn many_processes_keep_a_valid_token_when_the_server_does_not_answer() {
    let _alone = lock_machine();
    let cells = [("503", 100, 50), ("hang", 100, PROCESS_COUNT), ("hang", 30, 50)];
    for_each_parallel(&cells, 3, |&(fault, left, many)| {
        let stage = sandbox_failing_after_seed(fault);
        let token = stage.seed_cached_token(left);
        let ended = run_concurrently(&stage, many, &["token", "--timeout", "5s"]);
        assert_eq!(distinct_outputs(&ended, 0, 5), [format!("{token}\n")], "{fault}");
        let count = stage.sandbox.request_count("token");
        assert!(count <= 4, "{fault}: {count} requests");
    });
}
