//! ID tokens from faulty servers, and where their text is visible.

use std::time::Duration;

use super::secret_exposure::run_watched;
use super::{
    CredentialKind, ProcessResult, SandboxHome, find_leaked_secret, for_each_parallel, run, run_within, share_machine,
};

/// The credential kinds that issue ID tokens, each with another endpoint.
const ID_TOKEN_KINDS: [CredentialKind; 4] =
    [CredentialKind::ServiceAccount, CredentialKind::User, CredentialKind::Metadata, CredentialKind::Impersonated];

fn run_id_token(test: &SandboxHome, kind: CredentialKind, args: &[&str]) -> ProcessResult {
    run(test.gauth_command(kind, &id_token_args(kind, args)))
}

/// The arguments for an ID token. Those of a user login have no audience.
fn id_token_args<'a>(kind: CredentialKind, args: &[&'a str]) -> Vec<&'a str> {
    let audience: &[&str] = match kind {
        CredentialKind::User => &[],
        _ => &["--audiences", "https://svc.example"],
    };
    [&["id-token"], audience, args].concat()
}

#[test]
fn a_faulty_server_causes_an_error_and_no_id_token() {
    let _shared = share_machine();
    let faults = [
        ("close", 6),
        ("truncate", 6),
        ("html", 6),
        ("redirect", 6),
        ("oversize", 6),
        ("empty", 6),
        ("garbage", 6),
        ("array", 6),
        ("deep", 6),
        ("bad-chunk", 6),
        ("two-lengths", 6),
        ("hang", 6),
        ("missing", 6),
        ("null-token", 6),
        ("bad-token", 6),
        ("long-token", 6),
        ("403", 5),
        ("500", 6),
        ("503", 6),
    ];
    let cells: Vec<_> = faults.iter().flat_map(|fault| ID_TOKEN_KINDS.map(|kind| (*fault, kind))).collect();
    for_each_parallel(&cells, 16, |((fault, code), kind)| {
        let at = format!("{kind:?} and {fault}");
        let result = run_within(Duration::from_secs(3), || {
            let test = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
            let result = run_id_token(&test, *kind, &["-vv", "--timeout", "2s"]);
            assert!(test.sandbox.request_count(kind.fault_route()) > 0, "{at}: nothing was asked");
            assert_eq!(find_leaked_secret(result.stderr.as_bytes(), &test.secrets()), None, "{at}");
            result
        });
        assert_eq!(result.exit_code, *code, "{at}: {result:?}");
        result.assert_output_whole();
        result.error_and_hint();
        assert!(!result.stderr.contains("eyJ") && !result.stderr.contains("ya29."), "{at}: {result:?}");
    });
}

#[test]
fn transient_errors_are_retried_for_id_tokens_too() {
    let _shared = share_machine();
    let cells: Vec<_> =
        ["500x2", "503x2", "closex2"].iter().flat_map(|fault| ID_TOKEN_KINDS.map(|kind| (*fault, kind))).collect();
    for_each_parallel(&cells, 16, |(fault, kind)| {
        let test = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
        let token = run_id_token(&test, *kind, &["--timeout", "20s"]).printed_token();
        assert!(token.starts_with("eyJ"), "{kind:?} and {fault}");
        assert_eq!(test.sandbox.request_count(kind.fault_route()), 3, "{kind:?} and {fault}");
    });
}

#[test]
fn a_cached_id_token_is_requested_once() {
    let _shared = share_machine();
    for kind in ID_TOKEN_KINDS {
        let test = SandboxHome::new(&[]);
        let first = run_id_token(&test, kind, &[]).printed_token();
        let requests = test.sandbox.request_count(kind.fault_route());
        assert_eq!(run_id_token(&test, kind, &[]).printed_token(), first, "{kind:?}");
        assert_eq!(test.sandbox.request_count(kind.fault_route()), requests, "{kind:?}");
    }
}

#[test]
fn no_id_token_is_in_any_argument_or_environment() {
    let _shared = share_machine();
    for kind in ID_TOKEN_KINDS {
        let test = SandboxHome::with_latency(&[], Duration::from_millis(100));
        let (result, seen) = run_watched(test.gauth_command(kind, &id_token_args(kind, &["-vv"])));
        let token = result.printed_token();
        assert!(seen.windows(8).any(|eight| eight == b"id-token"), "the watch saw nothing");
        let secrets = [test.secrets(), vec![token]].concat();
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
        assert_eq!(find_leaked_secret(result.stderr.as_bytes(), &secrets), None, "{kind:?}");
    }
}
