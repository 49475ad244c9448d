//! Every fault of the sandbox with every kind of credential.

use std::time::Duration;

use gauth_sandbox::faults::FAULTS;

use super::{
    CREDENTIAL_KINDS, CredentialKind, SandboxHome, find_leaked_secret, for_each_parallel, run, run_within,
    share_machine,
};

/// The value of `--timeout`, and the time that the whole run may take.
const REQUEST_TIMEOUT: &str = "2s";
const MAX_RUN_TIME: Duration = Duration::from_secs(3);

/// One HTTP status of each class.
const HTTP_STATUSES: &[&str] = &[
    "201", "204", "206", "301", "302", "304", "307", "308", "400", "401", "403", "404", "405", "407", "408", "410",
    "418", "421", "425", "429", "451", "500", "501", "502", "503", "504", "505", "599",
];

/// The exit status that a run must have.
fn expected_exit_status(fault: &str, kind: CredentialKind) -> i32 {
    let person = matches!(kind, CredentialKind::User | CredentialKind::Gcloud | CredentialKind::Workforce);
    // This server issues a subject token, whose lifetime and form STS checks.
    let proof = matches!(kind, CredentialKind::ExternalAccountUrl | CredentialKind::Aws);
    match fault {
        "text-expiry" if proof => 0,
        "bad-token" | "long-token" if kind == CredentialKind::ExternalAccountUrl => 5,

        "string-expiry" | "no-expiry" | "zero-expiry" | "negative-expiry" | "short-expiry" | "long-expiry"
        | "rotate" => 0,
        "revoked" | "rapt" | "control" | "reflect" | "expired-subject" if person => 4,
        "revoked" | "rapt" | "control" | "reflect" | "expired-subject" | "denied" => 5,
        "407" | "408" | "429" => 6,
        status if status.starts_with('4') => 5,
        _ => 6,
    }
}

#[test]
fn every_fault_ends_as_the_table_says() {
    let _shared = share_machine();
    let named = FAULTS.iter().flat_map(|known| {
        let kinds = CREDENTIAL_KINDS.into_iter().filter(|kind| known.applies_to(kind.fault_route()));
        kinds.map(|kind| (known.name, kind))
    });
    let statuses = HTTP_STATUSES.iter().flat_map(|status| CREDENTIAL_KINDS.map(|kind| (*status, kind)));
    let cells: Vec<(&str, CredentialKind)> = named.chain(statuses).collect();
    for_each_parallel(&cells, 32, |(fault, kind)| check_fault(fault, *kind));
    assert!(cells.len() >= 614, "{} cells", cells.len());
}

#[track_caller]
fn check_fault(fault: &str, kind: CredentialKind) {
    let at = format!("{kind:?} and {fault}");
    let attempt = || {
        let test = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
        let result = run(test.gauth_command(kind, &["token", "-vv", "--timeout", REQUEST_TIMEOUT]));
        assert_eq!(test.sandbox.request_count(""), 0, "{at}: a redirect was followed");
        assert!(test.sandbox.request_count(kind.fault_route()) > 0, "{at}: nothing was seconds");
        let secrets = test.secrets();
        let leak = find_leaked_secret(result.stderr.as_bytes(), &secrets);
        assert_eq!(leak, None, "{at}: {}", result.stderr);
        let host = test.sandbox.url().trim_start_matches("http://");
        if matches!(result.exit_code, 5 | 6) {
            let message = result.error_and_hint().0;
            // The error of a refusal by IAM names the two accounts.
            let named = kind == CredentialKind::Impersonated && message.contains("may not act as");
            let tls = test.sandbox.tls_url().trim_start_matches("https://");
            let known = [host, tls].iter().any(|host| message.contains(host));
            assert!(known || named, "{at}: no host in {}", result.stderr);
        }
        result
    };
    let result = run_within(MAX_RUN_TIME, attempt);
    assert_eq!(result.exit_code, expected_exit_status(fault, kind), "{at}: {}", result.stderr);
    result.assert_output_whole();
    if result.exit_code != 0 {
        result.error_and_hint();
    }
    for secret in ["ya29.", "eyJ", "1//"] {
        assert!(!result.stderr.contains(secret), "{at}: {secret} in {}", result.stderr);
    }
    let raw = result
        .stderr
        .chars()
        .find(|letter| (letter.is_control() && *letter != '\n') || ('\u{202a}'..='\u{202e}').contains(letter));
    assert_eq!(raw, None, "{at}: {:?}", result.stderr);
}

/// Whether requests are retried. A refresh token that can rotate is sent once.
fn is_retried(kind: CredentialKind) -> bool {
    kind != CredentialKind::Workforce
}

#[test]
fn transient_errors_are_retried() {
    let _shared = share_machine();
    let passing = ["408x2", "429x2", "500x2", "502x2", "503x2", "504x2", "closex2", "truncatex2"];
    let cells: Vec<(&str, CredentialKind)> = passing
        .iter()
        .flat_map(|fault| CREDENTIAL_KINDS.map(|kind| (*fault, kind)))
        .filter(|(_, kind)| is_retried(*kind))
        .collect();
    for_each_parallel(&cells, 32, |(fault, kind)| {
        let test = SandboxHome::new(&[&format!("{}={fault}", kind.fault_route())]);
        let result = run(test.gauth_command(*kind, &["token", "--timeout", "20s"]));
        assert_eq!(result.exit_code, 0, "{kind:?} and {fault}: {}", result.stderr);
        result.assert_output_whole();
        // AWS has requests for a session, the zone, the role and its keys.
        let usual = if *kind == CredentialKind::Aws { 4 } else { 1 };
        assert_eq!(test.sandbox.request_count(kind.fault_route()), usual + 2, "{kind:?} and {fault}");
    });
}

#[test]
fn retry_after_is_honoured() {
    let _shared = share_machine();
    let kinds: Vec<CredentialKind> = CREDENTIAL_KINDS.into_iter().filter(|kind| is_retried(*kind)).collect();
    for_each_parallel(&kinds, 4, |kind| {
        let test = SandboxHome::new(&[&format!("{}=503+retry-after:3x1", kind.fault_route())]);
        let result = run(test.gauth_command(*kind, &["token", "--timeout", "20s"]));
        result.printed_token();
        assert!(result.duration >= Duration::from_secs(3), "{result:?}");
        for seconds in ["7", "31", "86400"] {
            let test = SandboxHome::new(&[&format!("{}=503+retry-after:{seconds}", kind.fault_route())]);
            let result =
                run_within(Duration::from_secs(1), || run(test.gauth_command(*kind, &["token", "--timeout", "5s"])));
            assert_eq!(result.exit_code, 6, "{result:?}");
            let (message, hint) = result.error_and_hint();
            assert!(message.contains(&format!("wait {seconds} s")), "{message}");
            assert!(hint.contains(seconds), "{hint}");
        }
    });
}
