//! Credential chains: how many requests they send, alone and concurrently, and rotating refresh tokens.

use std::time::Duration;

use gauth_sandbox::fixtures::{DELEGATE_ACCOUNT, DEPLOYER_ACCOUNT};

use super::killed_processes::count_uses_of;
use super::refresh_token_rotation::{overlay_file, read_refresh_token};
use super::{CredentialKind, SandboxHome, for_each_parallel, lock_machine, run, runs_full_counts, share_machine};

const LATENCY: Duration = Duration::from_millis(300);

/// The requests to STS, IAM and the token endpoint since the last call.
fn take_request_counts(test: &SandboxHome) -> [usize; 3] {
    ["sts", "iam", "token"].map(|route| test.sandbox.request_count(route))
}

const IMPERSONATE_ARGS: [&str; 3] = ["token", "--impersonate-service-account", DEPLOYER_ACCOUNT];

#[test]
fn a_file_with_impersonation_sends_two_requests_and_then_none() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let ask = |args: &[&str]| {
        let mut command = test.gauth_command(CredentialKind::ExternalAccountFile, args);
        let file = test.sandbox.file("external_account_impersonated.json");
        command.env("GOOGLE_APPLICATION_CREDENTIALS", file);
        run(command).printed_token()
    };
    let first = ask(&["token"]);
    assert_eq!(take_request_counts(&test), [1, 1, 0]);
    assert_eq!(ask(&["token"]), first);
    assert_eq!(take_request_counts(&test), [1, 1, 0]);
    // For other scopes the federated token comes from the cache.
    assert_ne!(ask(&["token", "--scopes", "pubsub"]), first);
    assert_eq!(take_request_counts(&test), [1, 2, 0]);
}

#[test]
fn a_warm_source_leaves_one_request_for_impersonation() {
    let _shared = share_machine();
    for (kind, expected) in [
        (CredentialKind::ServiceAccount, [0, 1, 1]),
        (CredentialKind::User, [0, 1, 1]),
        (CredentialKind::Gcloud, [0, 1, 1]),
        (CredentialKind::Metadata, [0, 1, 0]),
        (CredentialKind::ExternalAccountFile, [1, 1, 0]),
    ] {
        let test = SandboxHome::new(&[]);
        run(test.gauth_command(kind, &["token"])).printed_token();
        run(test.gauth_command(kind, &IMPERSONATE_ARGS)).printed_token();
        assert_eq!(take_request_counts(&test), expected, "{kind:?}");
        run(test.gauth_command(kind, &IMPERSONATE_ARGS)).printed_token();
        assert_eq!(take_request_counts(&test), expected, "{kind:?}: a hit asks nobody");
        let chain = format!("{DELEGATE_ACCOUNT},{DEPLOYER_ACCOUNT}");
        run(test.gauth_command(kind, &["token", "--impersonate-service-account", &chain])).printed_token();
        assert_eq!(test.sandbox.request_count("iam"), 2, "{kind:?}");
    }
}

#[test]
fn concurrent_runs_make_one_exchange_and_one_impersonation() {
    let _exclusive = lock_machine();
    let test = SandboxHome::with_latency(&[], LATENCY);
    let crowd = [(); 200];
    let tokens = std::sync::Mutex::new(Vec::new());
    for_each_parallel(&crowd, crowd.len(), |()| {
        let token = run(test.gauth_command(CredentialKind::ExternalAccountFile, &IMPERSONATE_ARGS)).printed_token();
        tokens.lock().unwrap().push(token);
    });
    let mut tokens = tokens.into_inner().unwrap();
    tokens.dedup();
    assert_eq!((tokens.len(), take_request_counts(&test)), (1, [1, 1, 0]));
}

#[test]
fn concurrent_runs_share_the_failure_of_a_delegation_step() {
    let _exclusive = lock_machine();
    for fault in ["sts=403", "iam=denied"] {
        let test = SandboxHome::with_latency(&[fault], LATENCY);
        let crowd = [(); 40];
        for_each_parallel(&crowd, crowd.len(), |()| {
            let result = run(test.gauth_command(CredentialKind::ExternalAccountFile, &IMPERSONATE_ARGS));
            assert_eq!(result.exit_code, 5, "{result:?}");
            result.assert_output_whole();
        });
        let [sts, iam, _] = take_request_counts(&test);
        // A failure is shared for two seconds; a run that starts later sends a request.
        assert!(sts <= 3 && iam <= 3, "{fault}: {sts} and {iam} requests");
    }
}

#[test]
fn a_downscoped_token_takes_one_more_request() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let narrow = ["token", "--downscope", "objectViewer@some-bucket/a"];
    run(test.gauth_command(CredentialKind::User, &narrow)).printed_token();
    assert_eq!(take_request_counts(&test), [1, 0, 1]);
    run(test.gauth_command(CredentialKind::User, &narrow)).printed_token();
    assert_eq!(take_request_counts(&test), [1, 0, 1]);
    let other = ["token", "--downscope", "objectViewer@some-bucket/b"];
    run(test.gauth_command(CredentialKind::User, &other)).printed_token();
    assert_eq!(take_request_counts(&test), [2, 0, 1]);
}

#[test]
fn fifty_concurrent_workforce_runs_never_reuse_a_refresh_token() {
    let _exclusive = lock_machine();
    let test = SandboxHome::new(&["oauthtoken=rotate"]);
    let crowd = [(); 50];
    for_each_parallel(&crowd, crowd.len(), |()| {
        run(test.gauth_command(CredentialKind::Workforce, &["token", "--no-cache", "--timeout", "30s"]))
            .printed_token();
    });
    assert_eq!(test.sandbox.request_count("oauthtoken"), 50, "one request for each, and none refused");
    let login = overlay_file(&test).unwrap();
    let last = read_refresh_token(&login);
    assert_eq!(count_uses_of(&test, &last), 0, "the stored token was spent");
    run(test.gauth_command(CredentialKind::Workforce, &["token", "--no-cache"])).printed_token();
    assert_ne!(read_refresh_token(&login), last);
}

#[test]
fn a_killed_workforce_refresh_leaves_the_old_or_the_new_refresh_token() {
    let _exclusive = lock_machine();
    let rounds: Vec<usize> = (0..if runs_full_counts() { 1000 } else { 40 }).collect();
    for_each_parallel(&rounds, 2, |_| {
        let test = SandboxHome::new(&["oauthtoken=rotate"]);
        let command = || test.gauth_command(CredentialKind::Workforce, &["token", "--refresh"]);
        let first = run(command());
        first.printed_token();
        let login = overlay_file(&test).unwrap();
        for _ in 0..3 {
            let old = read_refresh_token(&login);
            super::killed_processes::kill_at_random_moment(command(), first.duration);
            let new = read_refresh_token(&login);
            let result = run(command());
            if result.exit_code != 0 {
                // The process was killed between receiving the new refresh token and storing it.
                assert_eq!((result.exit_code, count_uses_of(&test, &new)), (4, 2), "{result:?}");
                assert_eq!(new, old);
                break;
            }
        }
    });
}
