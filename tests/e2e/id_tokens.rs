//! ID tokens from servers that misbehave, and where they leave traces.

use std::time::Duration;

use super::secret_exposure::run_watched;
use super::{
    CredentialKind, ProcessResult, SandboxHome, find_leaked_secret, for_each_parallel, run,
    run_within, share_machine,
};

/// Those that give ID tokens, each by a route of its own.
const ID_TOKEN_KINDS: [CredentialKind; 4] = [
    CredentialKind::ServiceAccount,
    CredentialKind::User,
    CredentialKind::Metadata,
    CredentialKind::Impersonated,
];

fn run_id_token(stage: &SandboxHome, kind: CredentialKind, args: &[&str]) -> ProcessResult {
    run(stage.gauth_command(kind, &id_token_args(kind, args)))
}

/// A user's tokens are for Google's OAuth client, and name nobody.
fn id_token_args<'a>(kind: CredentialKind, args: &[&'a str]) -> Vec<&'a str> {
    let audience: &[&str] = match kind {
        CredentialKind::User => &[],
        _ => &["--audiences", "https://svc.example"],
    };
    [&["id-token"], audience, args].concat()
}

#[test]
fn a_server_that_misbehaves_gives_no_id_token() {
    let _beside = share_machine();
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
    let cells: Vec<_> =
        faults.iter().flat_map(|fault| ID_TOKEN_KINDS.map(|kind| (*fault, kind))).collect();
    for_each_parallel(&cells, 16, |((fault, code), kind)| {
        let at = format!("{kind:?} and {fault}");
        let ended = run_within(Duration::from_secs(3), || {
            let stage = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
            let ended = run_id_token(&stage, *kind, &["-vv", "--timeout", "2s"]);
            assert!(stage.sandbox.request_count(kind.fault_route()) > 0, "{at}: nothing was asked");
            assert_eq!(find_leaked_secret(ended.stderr.as_bytes(), &stage.secrets()), None, "{at}");
            ended
        });
        assert_eq!(ended.exit_code, *code, "{at}: {ended:?}");
        ended.assert_output_whole();
        ended.error_and_hint();
        assert!(
            !ended.stderr.contains("eyJ") && !ended.stderr.contains("ya29."),
            "{at}: {ended:?}"
        );
    });
}

#[test]
fn transient_errors_are_retried_for_id_tokens_too() {
    let _beside = share_machine();
    let cells: Vec<_> = ["500x2", "503x2", "closex2"]
        .iter()
        .flat_map(|fault| ID_TOKEN_KINDS.map(|kind| (*fault, kind)))
        .collect();
    for_each_parallel(&cells, 16, |(fault, kind)| {
        let stage = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
        let token = run_id_token(&stage, *kind, &["--timeout", "20s"]).printed_token();
        assert!(token.starts_with("eyJ"), "{kind:?} and {fault}");
        assert_eq!(stage.sandbox.request_count(kind.fault_route()), 3, "{kind:?} and {fault}");
    });
}

#[test]
fn a_cached_id_token_is_requested_once() {
    let _beside = share_machine();
    for kind in ID_TOKEN_KINDS {
        let stage = SandboxHome::new(&[]);
        let first = run_id_token(&stage, kind, &[]).printed_token();
        let asked = stage.sandbox.request_count(kind.fault_route());
        assert_eq!(run_id_token(&stage, kind, &[]).printed_token(), first, "{kind:?}");
        assert_eq!(stage.sandbox.request_count(kind.fault_route()), asked, "{kind:?}");
    }
}

#[test]
fn no_id_token_is_in_any_argument_or_environment() {
    let _beside = share_machine();
    for kind in ID_TOKEN_KINDS {
        let stage = SandboxHome::with_latency(&[], Duration::from_millis(100));
        let (ended, seen) = run_watched(stage.gauth_command(kind, &id_token_args(kind, &["-vv"])));
        let token = ended.printed_token();
        assert!(seen.windows(8).any(|eight| eight == b"id-token"), "the watch saw nothing");
        let secrets = [stage.secrets(), vec![token]].concat();
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
        assert_eq!(find_leaked_secret(ended.stderr.as_bytes(), &secrets), None, "{kind:?}");
    }
}
