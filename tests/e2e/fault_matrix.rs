//! Every way to misbehave, with every kind of credential.

use std::time::Duration;

use gauth_sandbox::faults::FAULTS;

use super::{
    CREDENTIAL_KINDS, CredentialKind, SandboxHome, find_leaked_secret, for_each_parallel, run,
    run_within, share_machine,
};

/// What a run gets for its requests, and how long it may take with all there is around them.
const REQUEST_TIMEOUT: &str = "2s";
const MAX_RUN_TIME: Duration = Duration::from_secs(3);

/// Statuses of their own class each.
const HTTP_STATUSES: &[&str] = &[
    "201", "204", "206", "301", "302", "304", "307", "308", "400", "401", "403", "404", "405",
    "407", "408", "410", "418", "421", "425", "429", "451", "500", "501", "502", "503", "504",
    "505", "599",
];

/// The status a run must end with.
fn expected_exit_status(fault: &str, kind: CredentialKind) -> i32 {
    let person =
        matches!(kind, CredentialKind::User | CredentialKind::Gcloud | CredentialKind::Workforce);
    // What it gives is a proof for somebody else, who looks at its life and form.
    let proof = matches!(kind, CredentialKind::ExternalAccountUrl | CredentialKind::Aws);
    match fault {
        "text-expiry" if proof => 0,
        "bad-token" | "long-token" if kind == CredentialKind::ExternalAccountUrl => 5,

        "string-expiry" | "no-expiry" | "zero-expiry" | "negative-expiry" | "short-expiry"
        | "long-expiry" | "rotate" => 0,
        "revoked" | "rapt" | "control" | "reflect" | "expired-subject" if person => 4,
        "revoked" | "rapt" | "control" | "reflect" | "expired-subject" | "denied" => 5,
        "407" | "408" | "429" => 6,
        status if status.starts_with('4') => 5,
        _ => 6,
    }
}

#[test]
fn every_fault_ends_as_the_table_says() {
    let _beside = share_machine();
    let named = FAULTS.iter().flat_map(|known| {
        let kinds =
            CREDENTIAL_KINDS.into_iter().filter(|kind| known.applies_to(kind.fault_route()));
        kinds.map(|kind| (known.name, kind))
    });
    let statuses =
        HTTP_STATUSES.iter().flat_map(|status| CREDENTIAL_KINDS.map(|kind| (*status, kind)));
    let cells: Vec<(&str, CredentialKind)> = named.chain(statuses).collect();
    for_each_parallel(&cells, 32, |(fault, kind)| check_fault(fault, *kind));
    assert!(cells.len() >= 614, "{} cells", cells.len());
}

#[track_caller]
fn check_fault(fault: &str, kind: CredentialKind) {
    let at = format!("{kind:?} and {fault}");
    let attempt = || {
        let stage = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
        let ended = run(stage.gauth_command(kind, &["token", "-vv", "--timeout", REQUEST_TIMEOUT]));
        assert_eq!(stage.sandbox.request_count(""), 0, "{at}: a redirect was followed");
        assert!(stage.sandbox.request_count(kind.fault_route()) > 0, "{at}: nothing was asked");
        let secrets = stage.secrets();
        let leak = find_leaked_secret(ended.stderr.as_bytes(), &secrets);
        assert_eq!(leak, None, "{at}: {}", ended.stderr);
        let host = stage.sandbox.url().trim_start_matches("http://");
        if matches!(ended.exit_code, 5 | 6) {
            let message = ended.error_and_hint().0;
            // A refusal by IAM names the two accounts instead.
            let named = kind == CredentialKind::Impersonated && message.contains("may not act as");
            let tls = stage.sandbox.tls_url().trim_start_matches("https://");
            let known = [host, tls].iter().any(|host| message.contains(host));
            assert!(known || named, "{at}: no host in {}", ended.stderr);
        }
        ended
    };
    let ended = run_within(MAX_RUN_TIME, attempt);
    assert_eq!(ended.exit_code, expected_exit_status(fault, kind), "{at}: {}", ended.stderr);
    ended.assert_output_whole();
    if ended.exit_code != 0 {
        ended.error_and_hint();
    }
    for secret in ["ya29.", "eyJ", "1//"] {
        assert!(!ended.stderr.contains(secret), "{at}: {secret} in {}", ended.stderr);
    }
    let raw = ended.stderr.chars().find(|letter| {
        (letter.is_control() && *letter != '\n') || ('\u{202a}'..='\u{202e}').contains(letter)
    });
    assert_eq!(raw, None, "{at}: {:?}", ended.stderr);
}

/// A refresh token that may rotate is sent once only, whatever becomes of it.
fn is_retried(kind: CredentialKind) -> bool {
    kind != CredentialKind::Workforce
}

#[test]
fn transient_errors_are_retried() {
    let _beside = share_machine();
    let passing = ["408x2", "429x2", "500x2", "502x2", "503x2", "504x2", "closex2", "truncatex2"];
    let cells: Vec<(&str, CredentialKind)> = passing
        .iter()
        .flat_map(|fault| CREDENTIAL_KINDS.map(|kind| (*fault, kind)))
        .filter(|(_, kind)| is_retried(*kind))
        .collect();
    for_each_parallel(&cells, 32, |(fault, kind)| {
        let stage = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
        let ended = run(stage.gauth_command(*kind, &["token", "--timeout", "20s"]));
        assert_eq!(ended.exit_code, 0, "{kind:?} and {fault}: {}", ended.stderr);
        ended.assert_output_whole();
        // AWS is asked for a session, the zone, the role and its keys.
        let usual = if *kind == CredentialKind::Aws { 4 } else { 1 };
        assert_eq!(
            stage.sandbox.request_count(kind.fault_route()),
            usual + 2,
            "{kind:?} and {fault}"
        );
    });
}

#[test]
fn retry_after_is_honoured() {
    let _beside = share_machine();
    let kinds: Vec<CredentialKind> =
        CREDENTIAL_KINDS.into_iter().filter(|kind| is_retried(*kind)).collect();
    for_each_parallel(&kinds, 4, |kind| {
        let stage = SandboxHome::new(&[&format!("{}=503+retry-after:3x1", kind.fault_route())]);
        let ended = run(stage.gauth_command(*kind, &["token", "--timeout", "20s"]));
        ended.printed_token();
        assert!(ended.duration >= Duration::from_secs(3), "{ended:?}");
        for asked in ["7", "31", "86400"] {
            let stage =
                SandboxHome::new(&[&format!("{}=503+retry-after:{asked}", kind.fault_route())]);
            let ended = run_within(Duration::from_secs(1), || {
                run(stage.gauth_command(*kind, &["token", "--timeout", "5s"]))
            });
            assert_eq!(ended.exit_code, 6, "{ended:?}");
            let (message, hint) = ended.error_and_hint();
            assert!(message.contains(&format!("wait {asked} s")), "{message}");
            assert!(hint.contains(asked), "{hint}");
        }
    });
}
