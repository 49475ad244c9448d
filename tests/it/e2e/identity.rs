//! ID tokens from servers that misbehave, and where they leave traces.

use std::time::Duration;

use super::scan::watch;
use super::{Ended, Kind, Stage, beside, each, leaked, run, timely};

/// Those that give ID tokens, each by a route of its own.
const KINDS: [Kind; 4] = [Kind::ServiceAccount, Kind::User, Kind::Metadata, Kind::Impersonated];

fn ask(stage: &Stage, kind: Kind, words: &[&str]) -> Ended {
    run(stage.gauth(kind, &asking(kind, words)))
}

/// A user's tokens are for Google's OAuth client, and name nobody.
fn asking<'a>(kind: Kind, words: &[&'a str]) -> Vec<&'a str> {
    let audience: &[&str] = match kind {
        Kind::User => &[],
        _ => &["--audiences", "https://svc.example"],
    };
    [&["id-token"], audience, words].concat()
}

#[test]
fn a_server_that_misbehaves_gives_no_id_token() {
    let _beside = beside();
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
    let cells: Vec<_> = faults.iter().flat_map(|fault| KINDS.map(|kind| (*fault, kind))).collect();
    each(&cells, 16, |((fault, code), kind)| {
        let at = format!("{kind:?} and {fault}");
        let ended = timely(Duration::from_secs(3), || {
            let stage = Stage::new(&[&format!("{}={fault}", kind.route())]);
            let ended = ask(&stage, *kind, &["-vv", "--timeout", "2s"]);
            assert!(stage.google.count(kind.route()) > 0, "{at}: nothing was asked");
            assert_eq!(leaked(ended.err.as_bytes(), &stage.secrets()), None, "{at}");
            ended
        });
        assert_eq!(ended.code, *code, "{at}: {ended:?}");
        ended.whole();
        ended.two_lines();
        assert!(!ended.err.contains("eyJ") && !ended.err.contains("ya29."), "{at}: {ended:?}");
    });
}

#[test]
fn what_passes_is_tried_again_for_id_tokens_too() {
    let _beside = beside();
    let cells: Vec<_> = ["500x2", "503x2", "closex2"]
        .iter()
        .flat_map(|fault| KINDS.map(|kind| (*fault, kind)))
        .collect();
    each(&cells, 16, |(fault, kind)| {
        let stage = Stage::new(&[&format!("{}={fault}", kind.route())]);
        let token = ask(&stage, *kind, &["--timeout", "20s"]).token();
        assert!(token.starts_with("eyJ"), "{kind:?} and {fault}");
        assert_eq!(stage.google.count(kind.route()), 3, "{kind:?} and {fault}");
    });
}

#[test]
fn a_kept_id_token_is_asked_for_once() {
    let _beside = beside();
    for kind in KINDS {
        let stage = Stage::new(&[]);
        let first = ask(&stage, kind, &[]).token();
        let asked = stage.google.count(kind.route());
        assert_eq!(ask(&stage, kind, &[]).token(), first, "{kind:?}");
        assert_eq!(stage.google.count(kind.route()), asked, "{kind:?}");
    }
}

#[test]
fn no_id_token_is_in_any_argument_or_environment() {
    let _beside = beside();
    for kind in KINDS {
        let stage = Stage::late(&[], Duration::from_millis(100));
        let (ended, seen) = watch(stage.gauth(kind, &asking(kind, &["-vv"])));
        let token = ended.token();
        assert!(seen.windows(8).any(|eight| eight == b"id-token"), "the watch saw nothing");
        let secrets = [stage.secrets(), vec![token]].concat();
        assert_eq!(leaked(&seen, &secrets), None, "{kind:?}");
        assert_eq!(leaked(ended.err.as_bytes(), &secrets), None, "{kind:?}");
    }
}
