//! Every way to misbehave, with every kind of credential.

use std::time::Duration;

use gauth::server::sandbox::faults::FAULTS;

use super::{KINDS, Kind, Stage, beside, each, leaked, run, timely};

/// What a run gets for its requests, and how long it may take with all there is around them.
const BUDGET: &str = "2s";
const LIMIT: Duration = Duration::from_secs(3);

/// Statuses of their own class each.
const STATUSES: &[&str] = &[
    "201", "204", "206", "301", "302", "304", "307", "308", "400", "401", "403", "404", "405",
    "407", "408", "410", "418", "421", "425", "429", "451", "500", "501", "502", "503", "504",
    "505", "599",
];

/// The status a run must end with.
fn expected(fault: &str, kind: Kind) -> i32 {
    let person = matches!(kind, Kind::User | Kind::Gcloud | Kind::Workforce);
    // What it gives is a proof for somebody else, who looks at its life and form.
    let proof = matches!(kind, Kind::Subject | Kind::Aws);
    match fault {
        "text-expiry" if proof => 0,
        "bad-token" | "long-token" if kind == Kind::Subject => 5,

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
    let _beside = beside();
    let named = FAULTS.iter().flat_map(|known| {
        let kinds = KINDS.into_iter().filter(|kind| known.is_for(kind.route()));
        kinds.map(|kind| (known.name, kind))
    });
    let statuses = STATUSES.iter().flat_map(|status| KINDS.map(|kind| (*status, kind)));
    let cells: Vec<(&str, Kind)> = named.chain(statuses).collect();
    each(&cells, 32, |(fault, kind)| check(fault, *kind));
    assert!(cells.len() >= 614, "{} cells", cells.len());
}

#[track_caller]
fn check(fault: &str, kind: Kind) {
    let at = format!("{kind:?} and {fault}");
    let attempt = || {
        let stage = Stage::new(&[&format!("{}={fault}", kind.route())]);
        let ended = run(stage.gauth(kind, &["token", "-vv", "--timeout", BUDGET]));
        assert_eq!(stage.google.count(""), 0, "{at}: a redirect was followed");
        assert!(stage.google.count(kind.route()) > 0, "{at}: nothing was asked");
        let secrets = stage.secrets();
        let leak = leaked(ended.err.as_bytes(), &secrets);
        assert_eq!(leak, None, "{at}: {}", ended.err);
        let host = stage.google.url().trim_start_matches("http://");
        if matches!(ended.code, 5 | 6) {
            let message = ended.two_lines().0;
            // A refusal by IAM names the two accounts instead.
            let named = kind == Kind::Impersonated && message.contains("may not act as");
            let tls = stage.google.tls_url().trim_start_matches("https://");
            let known = [host, tls].iter().any(|host| message.contains(host));
            assert!(known || named, "{at}: no host in {}", ended.err);
        }
        ended
    };
    let ended = timely(LIMIT, attempt);
    assert_eq!(ended.code, expected(fault, kind), "{at}: {}", ended.err);
    ended.whole();
    if ended.code != 0 {
        ended.two_lines();
    }
    for secret in ["ya29.", "eyJ", "1//"] {
        assert!(!ended.err.contains(secret), "{at}: {secret} in {}", ended.err);
    }
    let raw = ended.err.chars().find(|letter| {
        (letter.is_control() && *letter != '\n') || ('\u{202a}'..='\u{202e}').contains(letter)
    });
    assert_eq!(raw, None, "{at}: {:?}", ended.err);
}

/// A refresh token that may rotate is sent once only, whatever becomes of it.
fn repeats(kind: Kind) -> bool {
    kind != Kind::Workforce
}

#[test]
fn what_passes_is_tried_again() {
    let _beside = beside();
    let passing = ["408x2", "429x2", "500x2", "502x2", "503x2", "504x2", "closex2", "truncatex2"];
    let cells: Vec<(&str, Kind)> = passing
        .iter()
        .flat_map(|fault| KINDS.map(|kind| (*fault, kind)))
        .filter(|(_, kind)| repeats(*kind))
        .collect();
    each(&cells, 32, |(fault, kind)| {
        let stage = Stage::new(&[&format!("{}={fault}", kind.route())]);
        let ended = run(stage.gauth(*kind, &["token", "--timeout", "20s"]));
        assert_eq!(ended.code, 0, "{kind:?} and {fault}: {}", ended.err);
        ended.whole();
        // AWS is asked for a session, the zone, the role and its keys.
        let usual = if *kind == Kind::Aws { 4 } else { 1 };
        assert_eq!(stage.google.count(kind.route()), usual + 2, "{kind:?} and {fault}");
    });
}

#[test]
fn a_server_that_says_how_long_is_believed() {
    let _beside = beside();
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| repeats(*kind)).collect();
    each(&kinds, 4, |kind| {
        let stage = Stage::new(&[&format!("{}=503+retry-after:3x1", kind.route())]);
        let ended = run(stage.gauth(*kind, &["token", "--timeout", "20s"]));
        ended.token();
        assert!(ended.took >= Duration::from_secs(3), "{ended:?}");
        for asked in ["7", "31", "86400"] {
            let stage = Stage::new(&[&format!("{}=503+retry-after:{asked}", kind.route())]);
            let ended = timely(Duration::from_secs(1), || {
                run(stage.gauth(*kind, &["token", "--timeout", "5s"]))
            });
            assert_eq!(ended.code, 6, "{ended:?}");
            let (message, hint) = ended.two_lines();
            assert!(message.contains(&format!("wait {asked} s")), "{message}");
            assert!(hint.contains(asked), "{hint}");
        }
    });
}
