//! The metadata server: what is asked for, for which account, and when its answer is believed.

use serde_json::json;

use crate::support::samples::{TOKEN, granted};
use crate::support::{Exchange, Test, metadata};

const DEFAULT: &str = "instance/service-accounts/default/token";

fn wanted(words: &str) -> Test {
    Test::new(&format!("token {words}")).env("GCE_METADATA_HOST", "metadata.google.internal")
}

fn answer(path: &str) -> Exchange {
    metadata(path, 200, granted(TOKEN))
}

#[test]
fn one_request_with_the_header_that_is_due() {
    let ran = wanted("--format json").google(answer(DEFAULT)).run();
    let sent = &ran.sent[0];
    assert_eq!((sent.method, sent.proxied, sent.limit.as_secs()), ("GET", false, 3));
    assert_eq!(sent.headers["metadata-flavor"], "Google");
    assert!(sent.headers["x-goog-api-client"].ends_with(" auth-request-type/at cred-type/mds"));
    let json = ran.json();
    assert_eq!((&json["kind"], &json["source"]), (&json!("metadata"), &json!("metadata")));
    assert_eq!(json["expires_in"], 3599);
}

#[test]
fn account_and_scopes_are_in_the_url() {
    for (words, path) in [
        ("--scopes openid,email", "instance/service-accounts/default/token?scopes=email%2Copenid".to_owned()),
        ("--scopes pubsub", "instance/service-accounts/default/token?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fpubsub".to_owned()),
        ("--account sa@p.iam.gserviceaccount.com", "instance/service-accounts/sa@p.iam.gserviceaccount.com/token".to_owned()),
        ("--account ../../x@y", "instance/service-accounts/..%2F..%2Fx@y/token".to_owned()),
        ("--account a?b#c@d", "instance/service-accounts/a%3Fb%23c@d/token".to_owned()),
    ] {
        wanted(words).google(answer(&path)).run();
    }
}

#[test]
fn a_slow_server_has_the_time_a_variable_gives_it() {
    for (seconds, limit) in [("7", 7), ("0", 3), ("soon", 3), ("", 3), ("-1", 3)] {
        let ran = wanted("").env("GCE_METADATA_TIMEOUT", seconds).google(answer(DEFAULT)).run();
        assert_eq!(ran.sent[0].limit.as_secs(), limit, "{seconds}");
    }
}

#[test]
fn passing_trouble_passes() {
    wanted("").google_times(4, &metadata(DEFAULT, 503, "")).google(answer(DEFAULT)).run();
    wanted("")
        .google(metadata(DEFAULT, 429, "").header("retry-after", "2"))
        .google(answer(DEFAULT))
        .run();
}

#[test]
fn a_universe_that_is_named_must_be_the_machines() {
    let asked = |status, domain| metadata("universe/universe-domain", status, domain);
    let wanted = || wanted("--universe-domain universe.example");
    wanted().google(asked(200, "universe.example\n")).google(answer(DEFAULT)).run();
    for (status, domain, found) in [
        (200, "other.example", "other.example"),
        (404, "", "googleapis.com"),
        (200, "", "googleapis.com"),
    ] {
        let test = wanted().google(asked(status, domain)).status(7);
        test.says(&format!("this machine is in the universe {found}, not universe.example"))
            .tries("leave --universe-domain away")
            .run();
    }
}

#[test]
fn what_the_machine_cannot_do_is_refused_before_anything_is_sent() {
    for (words, says) in [
        ("--subject ada@example.com", "cannot act for a user (--subject)"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)"),
        ("--self-signed", "cannot sign a token itself"),
    ] {
        wanted(words).status(7).says("the metadata server's account, which ").says(says).run();
    }
}
