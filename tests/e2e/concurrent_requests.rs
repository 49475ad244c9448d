//! Concurrent processes that need the same token send one request, and share one failure.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{CredentialKind, ProcessResult, SandboxHome, for_each_parallel, lock_machine, wait_for};

const PROCESS_COUNT: usize = 200;
const LATENCY: Duration = Duration::from_millis(300);

/// Starts `count` processes while holding the lock of their token, and releases it once all of them wait for it.
fn run_concurrently(test: &SandboxHome, count: usize, args: &[&str]) -> Vec<ProcessResult> {
    let lock = test.config_folder().join("locks").join(&test.cache_entry().file_name().unwrap().to_str().unwrap()[..2]);
    let gate = File::open(&lock).unwrap();
    gate.lock().unwrap();
    let running: Vec<_> = (0..count)
        .map(|_| {
            let mut command = test.gauth_command(CredentialKind::ServiceAccount, args);
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
    let waiting: Vec<_> =
        running.into_iter().map(|(start, child)| std::thread::spawn(move || wait_for(child, start))).collect();
    waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Asserts exit code and duration of every process, and returns the different outputs.
#[track_caller]
fn distinct_outputs(result: &[ProcessResult], code: i32, max_seconds: u64) -> Vec<String> {
    for one in result {
        assert_eq!(one.exit_code, code, "{one:?}");
        one.assert_output_whole();
        assert!(one.duration <= Duration::from_secs(max_seconds + 1), "{one:?}");
    }
    let mut outputs: Vec<String> = result.iter().map(|one| one.stdout.clone()).collect();
    outputs.sort();
    outputs.dedup();
    outputs
}

#[test]
fn many_processes_with_a_stale_token_make_one_request() {
    let _exclusive = lock_machine();
    let test = SandboxHome::with_latency(&[], LATENCY);
    let old = test.seed_cached_token(100);
    let result = run_concurrently(&test, PROCESS_COUNT, &["token"]);
    let tokens = distinct_outputs(&result, 0, 30);
    assert_eq!((tokens.len(), test.sandbox.request_count("token")), (1, 2));
    assert_ne!(tokens[0].trim_end(), old);
}

#[test]
fn many_processes_with_an_empty_cache_make_one_request() {
    let _exclusive = lock_machine();
    let test = SandboxHome::with_latency(&[], LATENCY);
    // An expired entry gives the name of the lock.
    test.seed_cached_token(-1);
    let tokens = distinct_outputs(&run_concurrently(&test, PROCESS_COUNT, &["token"]), 0, 30);
    assert_eq!((tokens.len(), test.sandbox.request_count("token")), (1, 2));
}

#[test]
fn many_processes_that_refresh_get_the_same_new_token() {
    let _exclusive = lock_machine();
    let test = SandboxHome::with_latency(&[], LATENCY);
    let old = test.seed_cached_token(3000);
    let tokens = distinct_outputs(&run_concurrently(&test, 50, &["token", "--refresh"]), 0, 30);
    assert_eq!((tokens.len(), test.sandbox.request_count("token")), (1, 2));
    assert_ne!(tokens[0].trim_end(), old);
}

/// A sandbox that fails after its first request, which fills the cache.
fn sandbox_failing_after_seed(fault: &str) -> SandboxHome {
    SandboxHome::new(&["token=string-expiryx1", &format!("token={fault}")])
}

#[test]
fn many_processes_share_one_failure() {
    let _exclusive = lock_machine();
    let cells =
        [("503", 12, 3, PROCESS_COUNT), ("hang", 6, 1, PROCESS_COUNT), ("close", 12, 3, 50), ("400", 12, 1, 50)];
    for_each_parallel(&cells, 4, |&(fault, budget, attempts, many)| {
        let test = sandbox_failing_after_seed(fault);
        test.seed_cached_token(-1);
        let args = ["token", "--timeout", &format!("{budget}s")];
        let result = run_concurrently(&test, many, &args);
        let code = if fault == "400" { 5 } else { 6 };
        distinct_outputs(&result, code, budget);
        let count = test.sandbox.request_count("token");
        assert!(count <= attempts + 1, "{fault}: {count} requests");
        let mut causes: Vec<&str> = result.iter().map(|one| one.error_and_hint().0).collect();
        causes.sort_unstable();
        causes.dedup();
        // A process whose time limit ends with that of the lock holder reports that it waited.
        causes.retain(|cause| fault != "hang" || !cause.contains("another gauth"));
        assert_eq!(causes.len(), 1, "{fault}: {causes:?}");
    });
}

#[test]
fn many_processes_keep_a_valid_token_when_the_server_does_not_answer() {
    let _exclusive = lock_machine();
    let cells = [("503", 100, 50), ("hang", 100, PROCESS_COUNT), ("hang", 30, 50)];
    for_each_parallel(&cells, 3, |&(fault, left, many)| {
        let test = sandbox_failing_after_seed(fault);
        let token = test.seed_cached_token(left);
        let result = run_concurrently(&test, many, &["token", "--timeout", "5s"]);
        assert_eq!(distinct_outputs(&result, 0, 5), [format!("{token}\n")], "{fault}");
        let count = test.sandbox.request_count("token");
        assert!(count <= 4, "{fault}: {count} requests");
    });
}
