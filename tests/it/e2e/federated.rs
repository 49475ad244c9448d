//! Chains of credentials: how many requests they cost, alone and in a crowd, and what a rotating login survives.

use std::time::Duration;

use gauth::server::sandbox::cast::{DEPLOYER, MIDDLE};

use super::killed::times_sent;
use super::rotation::{refresh_token, shadow};
use super::{Kind, Stage, alone, beside, each, full, run};

const LATE: Duration = Duration::from_millis(300);

/// The requests of each part since the last time.
fn counts(stage: &Stage) -> [usize; 3] {
    ["sts", "iam", "token"].map(|route| stage.google.count(route))
}

const ACT: [&str; 3] = ["token", "--impersonate-service-account", DEPLOYER];

#[test]
fn a_file_with_impersonation_costs_two_requests_and_then_none() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let ask = |words: &[&str]| {
        let mut command = stage.gauth(Kind::Federated, words);
        let file = stage.google.file("external_account_impersonated.json");
        command.env("GOOGLE_APPLICATION_CREDENTIALS", file);
        run(command).token()
    };
    let first = ask(&["token"]);
    assert_eq!(counts(&stage), [1, 1, 0]);
    assert_eq!(ask(&["token"]), first);
    assert_eq!(counts(&stage), [1, 1, 0]);
    // Other scopes: the first link is at hand.
    assert_ne!(ask(&["token", "--scopes", "pubsub"]), first);
    assert_eq!(counts(&stage), [1, 2, 0]);
}

#[test]
fn a_warm_source_leaves_one_request_for_impersonation() {
    let _beside = beside();
    for (kind, expected) in [
        (Kind::ServiceAccount, [0, 1, 1]),
        (Kind::User, [0, 1, 1]),
        (Kind::Gcloud, [0, 1, 1]),
        (Kind::Metadata, [0, 1, 0]),
        (Kind::Federated, [1, 1, 0]),
    ] {
        let stage = Stage::new(&[]);
        run(stage.gauth(kind, &["token"])).token();
        run(stage.gauth(kind, &ACT)).token();
        assert_eq!(counts(&stage), expected, "{kind:?}");
        run(stage.gauth(kind, &ACT)).token();
        assert_eq!(counts(&stage), expected, "{kind:?}: a hit asks nobody");
        let chain = format!("{MIDDLE},{DEPLOYER}");
        run(stage.gauth(kind, &["token", "--impersonate-service-account", &chain])).token();
        assert_eq!(stage.google.count("iam"), 2, "{kind:?}");
    }
}

#[test]
fn a_crowd_makes_one_exchange_and_one_impersonation() {
    let _alone = alone();
    let stage = Stage::late(&[], LATE);
    let crowd = [(); 200];
    let tokens = std::sync::Mutex::new(Vec::new());
    each(&crowd, crowd.len(), |()| {
        let token = run(stage.gauth(Kind::Federated, &ACT)).token();
        tokens.lock().unwrap().push(token);
    });
    let mut tokens = tokens.into_inner().unwrap();
    tokens.dedup();
    assert_eq!((tokens.len(), counts(&stage)), (1, [1, 1, 0]));
}

#[test]
fn a_crowd_shares_the_failure_of_a_link() {
    let _alone = alone();
    for fault in ["sts=403", "iam=denied"] {
        let stage = Stage::late(&[fault], LATE);
        let crowd = [(); 40];
        each(&crowd, crowd.len(), |()| {
            let ended = run(stage.gauth(Kind::Federated, &ACT));
            assert_eq!(ended.code, 5, "{ended:?}");
            ended.whole();
        });
        let [sts, iam, _] = counts(&stage);
        // Who starts after the two seconds for which a failure is shared asks again.
        assert!(sts <= 3 && iam <= 3, "{fault}: {sts} and {iam} requests");
    }
}

#[test]
fn a_narrowed_token_costs_one_request_more() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let narrow = ["token", "--downscope", "objectViewer@some-bucket/a"];
    run(stage.gauth(Kind::User, &narrow)).token();
    assert_eq!(counts(&stage), [1, 0, 1]);
    run(stage.gauth(Kind::User, &narrow)).token();
    assert_eq!(counts(&stage), [1, 0, 1]);
    let other = ["token", "--downscope", "objectViewer@some-bucket/b"];
    run(stage.gauth(Kind::User, &other)).token();
    assert_eq!(counts(&stage), [2, 0, 1]);
}

#[test]
fn fifty_workforce_logins_at_once_never_spend_a_token_twice() {
    let _alone = alone();
    let stage = Stage::new(&["oauthtoken=rotate"]);
    let crowd = [(); 50];
    each(&crowd, crowd.len(), |()| {
        run(stage.gauth(Kind::Workforce, &["token", "--no-cache", "--timeout", "30s"])).token();
    });
    assert_eq!(stage.google.count("oauthtoken"), 50, "one request for each, and none refused");
    let login = shadow(&stage).unwrap();
    let last = refresh_token(&login);
    assert_eq!(times_sent(&stage, &last), 0, "the stored token was spent");
    run(stage.gauth(Kind::Workforce, &["token", "--no-cache"])).token();
    assert_ne!(refresh_token(&login), last);
}

#[test]
fn a_killed_workforce_refresh_leaves_the_old_or_the_new_refresh_token() {
    let _alone = alone();
    let rounds: Vec<usize> = (0..if full() { 1000 } else { 40 }).collect();
    each(&rounds, 2, |_| {
        let stage = Stage::new(&["oauthtoken=rotate"]);
        let command = || stage.gauth(Kind::Workforce, &["token", "--refresh"]);
        let first = run(command());
        first.token();
        let login = shadow(&stage).unwrap();
        for _ in 0..3 {
            let old = refresh_token(&login);
            super::killed::kill_at_some_moment(command(), first.took);
            let new = refresh_token(&login);
            let ended = run(command());
            if ended.code != 0 {
                // The successor died with the process that it was given to: nothing can mend that.
                assert_eq!((ended.code, times_sent(&stage, &new)), (4, 2), "{ended:?}");
                assert_eq!(new, old);
                break;
            }
        }
    });
}
