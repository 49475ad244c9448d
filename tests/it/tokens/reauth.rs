//! Reauthentication: who is asked for what and where, what becomes of the proof, and what is said where nobody can be
//! asked.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::with;
use crate::support::samples::{
    self, RAPT, REFRESH_TOKEN, ROTATED, SECOND, TARGET, TOKEN, authorized_user, granted, lent,
};
use crate::support::{Exchange, Home, Test, iam, nothing, post, token};

const OWN: &str = ".config/gauth/accounts/ada@example.com.json";
const SHADOW: &str = ".config/gauth/accounts/shadow";
const SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";
const PASSWORD: &str = "planted-password";
const PROOF: &str = "proof-of-the-first-conversation";
const FOR_THIS: &str = "ya29.token-for-the-questions-alone";

/// The login is good, but its person has to prove something first.
fn wanted() -> Exchange {
    wanted_as("invalid_rapt")
}

fn wanted_as(subtype: &str) -> Exchange {
    let body = json!({"error": "invalid_grant", "error_description": "reauth related error", "error_subtype": subtype});
    token(400, body.to_string())
}

fn yes() -> Exchange {
    token(200, granted(TOKEN))
}

/// The token for the questions.
fn for_this() -> Exchange {
    let scope = json!({"access_token": FOR_THIS, "expires_in": 3599, "scope": SCOPE});
    token(200, scope.to_string())
}

fn start(status: u16, body: impl AsRef<[u8]>) -> Exchange {
    post("https://reauth.googleapis.com/v2/sessions:start", status, body)
}

fn answer(status: u16, body: impl AsRef<[u8]>) -> Exchange {
    post("https://reauth.googleapis.com/v2/sessions/the-session:continue", status, body)
}

fn asks(kinds: &[(&str, &str)]) -> String {
    let challenges = kinds.iter().enumerate().map(|(id, (status, kind))| {
        json!({"status": status, "challengeId": id + 1, "challengeType": kind})
    });
    let challenges: Vec<Value> = challenges.collect();
    let status = "CHALLENGE_REQUIRED";
    json!({"status": status, "sessionId": "the-session", "challenges": challenges}).to_string()
}

fn for_the_password() -> String {
    asks(&[("READY", "PASSWORD")])
}

fn proved(proof: &str) -> String {
    json!({"status": "AUTHENTICATED", "encodedProofOfReauthToken": proof}).to_string()
}

fn own(home: &Rc<Home>, words: &str) -> Test {
    Test::new(&format!("token --account ada@example.com {words}")).home(home)
}

fn own_home(more: &Value) -> Rc<Home> {
    let home = Home::new();
    home.write(OWN, samples::with(authorized_user(), more).to_string());
    home
}

fn stored(home: &Home, path: &str) -> Value {
    serde_json::from_str(&home.read(path)).expect("JSON")
}

fn shadow(home: &Home) -> Value {
    let names = home.names(SHADOW);
    assert_eq!(names.len(), 1, "{names:?}");
    stored(home, &format!("{SHADOW}/{}", names[0]))
}

/// From the refusal to the question.
fn until_asked(test: Test) -> Test {
    test.google(wanted()).google(for_this()).google(start(200, for_the_password()))
}

#[test]
fn a_person_types_the_password_and_the_proof_stays_with_the_login() {
    let home = own_home(&json!({"scopes": ["openid"], "later": 1}));
    let ran = until_asked(own(&home, ""))
        .types(PASSWORD)
        .google(answer(200, proved(PROOF)))
        .google(yes())
        .stdout(&format!("{TOKEN}\n"))
        .run();
    let question = "the organisation asks ada@example.com for the password again\nthe password, for Google (not shown): ";
    assert_eq!(ran.asked, [question]);
    let [refused, own_token, started, answered, last] = &ran.sent[..] else { panic!("{ran:?}") };
    assert_eq!(refused.form.get("rapt"), None);
    assert_eq!((own_token.field("scope"), own_token.form.get("rapt")), (SCOPE, None));
    assert_eq!(
        started.json(),
        json!({"supportedChallengeTypes": ["PASSWORD", "SECURITY_KEY", "SAML"],
            "oauthScopesForDomainPolicyLookup": ["openid"]})
    );
    for (sent, what) in [(started, "re-start"), (answered, "re-cont")] {
        assert_eq!(sent.headers["authorization"], format!("Bearer {FOR_THIS}"));
        assert!(sent.headers["x-goog-api-client"].ends_with(&format!("auth-request-type/{what}")));
        assert_eq!(sent.headers["content-type"], "application/json");
    }
    assert!(answered.single_use && !started.single_use);
    assert_eq!(
        answered.json(),
        json!({"sessionId": "the-session", "challengeId": 1, "action": "RESPOND",
            "proposalResponse": {"credential": PASSWORD}})
    );
    assert_eq!((last.field("rapt"), last.field("scope")), (PROOF, ""));
    let login = stored(&home, OWN);
    assert_eq!((&login["rapt_token"], &login["later"]), (&json!(PROOF), &json!(1)));
    assert_eq!(login["refresh_token"], json!(REFRESH_TOKEN));
    // The next run has it.
    let ran = own(&home, "--refresh").google(token(200, granted(SECOND))).run();
    assert_eq!(ran.sent[0].field("rapt"), PROOF);
}

#[test]
fn a_login_that_is_not_ours_keeps_its_proof_in_the_shadow() {
    let home = Home::new();
    let before = authorized_user().to_string();
    let run = |words: &str| with(&authorized_user(), words).home(&home);
    let test = until_asked(run("--scopes openid,pubsub")).types(PASSWORD);
    let ran = test.google(answer(200, proved(PROOF))).google(yes()).run();
    let lookup = &ran.sent[2].json()["oauthScopesForDomainPolicyLookup"];
    assert_eq!(lookup, &json!(["https://www.googleapis.com/auth/pubsub", "openid"]));
    assert_eq!(ran.sent[4].field("scope"), "https://www.googleapis.com/auth/pubsub openid");
    assert_eq!((home.read("key.json"), shadow(&home)), (before, json!({"rapt_token": PROOF})));
    // A refresh token that rotates later on goes beside it.
    let rotating = json!({"access_token": SECOND, "expires_in": 3599, "refresh_token": ROTATED});
    let ran = run("--refresh").google(token(200, rotating.to_string())).run();
    assert_eq!(ran.sent[0].field("rapt"), PROOF);
    assert_eq!(
        (ran.sent[0].field("refresh_token"), ran.sent[0].single_use),
        (REFRESH_TOKEN, false)
    );
    let both = shadow(&home);
    assert_eq!((&both["rapt_token"], &both["refresh_token"]), (&json!(PROOF), &json!(ROTATED)));
    let ran = run("--refresh").google(token(200, granted(TOKEN))).run();
    assert_eq!((ran.sent[0].field("refresh_token"), ran.sent[0].field("rapt")), (ROTATED, PROOF));
}

#[test]
fn a_proof_that_is_refused_is_replaced_and_the_files_own_goes_first() {
    let home = Home::new();
    let user = samples::with(authorized_user(), &json!({"rapt_token": RAPT}));
    let run = || with(&user, "--refresh").home(&home);
    for (first, second) in [(None, PROOF), (Some(PROOF), "proof-of-the-second-conversation")] {
        let test = run().google(wanted());
        // The one in the shadow is tried as well.
        let test = if first.is_some() { test.google(wanted()) } else { test };
        let test = test.google(for_this()).google(start(200, for_the_password())).types(PASSWORD);
        let ran = test.google(answer(200, proved(second))).google(yes()).run();
        assert_eq!(ran.sent[0].field("rapt"), RAPT);
        assert!(first.is_none_or(|first| ran.sent[1].field("rapt") == first));
        assert_eq!(ran.sent.last().expect("requests").field("rapt"), second);
        assert_eq!(shadow(&home), json!({"rapt_token": second}));
    }
    let ran = run().google(wanted()).google(yes()).run();
    assert_eq!(ran.sent[0].field("rapt"), RAPT);
    assert_eq!(ran.sent[1].field("rapt"), "proof-of-the-second-conversation");
}

#[test]
fn nobody_there_to_be_asked_is_told_what_to_run_at_once() {
    for subtype in ["invalid_rapt", "rapt_required"] {
        let home = own_home(&json!({}));
        let expected = "gauth: ada@example.com must sign in again, the organisation asks for the password or key again (reauthentication)\n\
            try: gauth token --account ada@example.com at a terminal, which asks for it\n";
        own(&home, "").google(wanted_as(subtype)).status(4).stderr(expected).run();
        // In CI nobody is there, whatever it looks like.
        home.clock.advance(10);
        let test = own(&home, "").google(wanted_as(subtype)).unattended_terminal();
        test.status(4).stderr(expected).run();
        with(&authorized_user(), "")
            .google(wanted_as(subtype))
            .status(4)
            .tries("gcloud auth application-default login, or the same at a terminal")
            .run();
    }
}

#[test]
fn what_cannot_be_typed_is_named_with_the_way_out() {
    let key = "the organisation asks for a security key, which only a browser can use";
    let saml = "the organisation asks for a sign-in in the browser (SAML)";
    for (body, says, tries) in [
        (asks(&[("READY", "SAML")]), saml, "gauth login --account ada@example.com"),
        (
            asks(&[("PENDING", "PASSWORD"), ("READY", "SAML"), ("READY", "SECURITY_KEY")]),
            saml,
            "gauth login",
        ),
        (asks(&[("READY", "SECURITY_KEY")]), key, "a service account"),
        (
            asks(&[("READY", "FAX"), ("READY", "DANCE")]),
            "asks for \"FAX\" or \"DANCE\", which gauth does not know",
            "gauth login",
        ),
        (
            asks(&[("PENDING", "PASSWORD")]),
            "names nothing that could be answered now",
            "gauth login",
        ),
        (asks(&[]), "names nothing that could be answered now", "gauth login"),
        (
            r#"{"status":"LOCKED"}"#.to_owned(),
            "the reauthentication ended, Google says LOCKED",
            "gauth login",
        ),
    ] {
        let home = own_home(&json!({}));
        let test = own(&home, "").attended().google(wanted()).google(for_this());
        let test = test.google(start(200, body)).status(4);
        test.says("ada@example.com must sign in again, ").says(says).tries(tries).run();
    }
    // A password is taken where there is one, whatever stands before it.
    let either = asks(&[("READY", "SECURITY_KEY"), ("READY", "PASSWORD")]);
    let home = own_home(&json!({}));
    let test = own(&home, "").google(wanted()).google(for_this()).google(start(200, either));
    let ran = test.types(PASSWORD).google(answer(200, proved(PROOF))).google(yes()).run();
    assert_eq!(ran.sent[3].json()["challengeId"], json!(2));
}

#[test]
fn nobody_is_asked_who_is_known_already() {
    let home = own_home(&json!({}));
    let test = own(&home, "").attended().google(wanted()).google(for_this());
    test.google(start(200, proved(PROOF))).google(yes()).run();
    assert_eq!(stored(&home, OWN)["rapt_token"], json!(PROOF));
}

#[test]
fn a_wrong_password_is_asked_for_again_five_times_in_all() {
    let home = own_home(&json!({}));
    let mut test = until_asked(own(&home, ""));
    for attempt in 0..5 {
        let typed = ["", "wrong-password-1", "wrong-password-2", "short", "wrong-password-3"];
        test = test.types(typed[attempt]).google(answer(200, for_the_password()));
    }
    let ran = test.status(4).says("5 answers were not enough").run();
    assert_eq!(ran.sent[3].json()["proposalResponse"]["credential"], json!(" "));
    let again =
        "ada@example.com: this was not the password\nthe password, for Google (not shown): ";
    assert!(ran.asked[1..].iter().all(|question| question == again), "{ran:?}");
    assert_eq!(stored(&home, OWN), authorized_user());
    // The fifth may be right.
    home.clock.advance(10);
    let mut test = until_asked(own(&home, ""));
    for _ in 0..4 {
        test = test.types("wrong-password").google(answer(200, for_the_password()));
    }
    test.types(PASSWORD).google(answer(200, proved(PROOF))).google(yes()).run();
}

#[test]
fn a_second_password_is_another_question() {
    let home = own_home(&json!({}));
    let second = r#"{"status":"CHALLENGE_PENDING","sessionId":"the-session","challenges":[{"status":"READY","challengeId":"b","challengeType":"PASSWORD"}]}"#;
    let test = until_asked(own(&home, "")).types(PASSWORD).google(answer(200, second));
    let ran = test.types("another-password").google(answer(200, proved(PROOF))).google(yes()).run();
    assert_eq!(ran.asked[0], ran.asked[1]);
    assert_eq!(ran.sent[4].json()["challengeId"], json!("b"));
}

#[test]
fn a_login_without_the_scope_for_it_has_to_be_made_anew() {
    let narrow = json!({"access_token": FOR_THIS, "expires_in": 3599, "scope": "openid"});
    for refused in [
        token(400, r#"{"error":"invalid_scope"}"#),
        token(401, r#"{"error":"unauthorized_client"}"#),
        token(200, narrow.to_string()),
        wanted(),
    ] {
        let home = own_home(&json!({}));
        let test = own(&home, "").attended().google(wanted()).google(refused).status(4);
        let test = test.says("its login cannot be asked again (accounts.reauth was left out)");
        test.tries("gauth login --account ada@example.com").run();
    }
}

#[test]
fn a_proof_that_is_not_taken_is_not_asked_for_again() {
    let home = own_home(&json!({}));
    let test = until_asked(own(&home, "")).types(PASSWORD).google(answer(200, proved(PROOF)));
    test.google(wanted()).status(4).says("does not take the proof it has just given").run();
}

#[test]
fn a_server_that_does_not_play_along_is_no_answer() {
    let html = "<!DOCTYPE html><p>welcome";
    let session = r#"{"status":"CHALLENGE_REQUIRED"}"#;
    for (status, body, code, says) in [
        (200, html, 6, "reauth.googleapis.com: the answer "),
        (200, "{}", 6, "status is missing"),
        (200, "[]", 6, "is JSON, but not an object"),
        (200, session, 6, "sessionId is missing"),
        (200, r#"{"status":"AUTHENTICATED"}"#, 6, "encodedProofOfReauthToken is missing"),
        (204, "", 6, "an answer of status 204"),
        (302, "", 6, "redirects to nowhere"),
        (400, r#"{"error":{"status":"INVALID_ARGUMENT","message":"no"}}"#, 5, "INVALID_ARGUMENT"),
        (401, r#"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#, 5, "UNAUTHENTICATED"),
        (403, html, 5, "status 403 and a web page"),
    ] {
        let home = own_home(&json!({}));
        let test = own(&home, "").attended().google(wanted()).google(for_this());
        test.google(start(status, body)).status(code).says(says).run();
        home.clock.advance(10);
        let test = until_asked(own(&home, "")).types(PASSWORD).google(answer(status, body));
        test.status(code).says(says).run();
        assert_eq!(stored(&home, OWN), authorized_user());
    }
    // A password that may have been heard is not sent twice.
    let home = own_home(&json!({}));
    let slow = answer(200, "").takes(Duration::from_secs(60));
    until_asked(own(&home, "")).types(PASSWORD).google(slow).status(6).run();
    home.clock.advance(10);
    let test = until_asked(own(&home, "")).types(PASSWORD).google(answer(503, ""));
    test.status(6).run();
    home.clock.advance(10);
    let test = until_asked(own(&home, "")).types(PASSWORD).google(nothing(answer(200, "")));
    test.google(answer(200, proved(PROOF))).google(yes()).run();
}

#[test]
fn a_server_that_repeats_the_password_is_not_repeated() {
    for password in ["pw", "planted\tpassword"] {
        let home = own_home(&json!({}));
        let body = json!({"error": {"status": "INVALID_ARGUMENT", "message": format!("'{password}' is bad")}});
        let test = until_asked(own(&home, "")).types(password);
        let ran = test.google(answer(400, body.to_string())).status(5).run();
        assert!(!ran.stderr.contains("'pw'") && !ran.stderr.contains("password'"), "{ran:?}");
    }
}

#[test]
fn a_password_goes_to_nobody_but_google_and_what_stands_for_it_here() {
    let there = |uri: &str| samples::with(authorized_user(), &json!({"token_uri": uri}));
    let sandbox = "http://127.0.0.1:8085";
    let at = |exchange: Exchange, path: &str| exchange.url(&format!("{sandbox}{path}"));
    let ran = with(&there(&format!("{sandbox}/token")), "")
        .google(at(wanted(), "/token"))
        .google(at(for_this(), "/token"))
        .google(at(start(200, for_the_password()), "/v2/sessions:start"))
        .types(PASSWORD)
        .google(at(answer(200, proved(PROOF)), "/v2/sessions/the-session:continue"))
        .google(at(yes(), "/token"))
        .run();
    assert!(ran.asked[0].ends_with("the password, for 127.0.0.1:8085 (not shown): "), "{ran:?}");
    let other = "https://tokens.example/token";
    with(&there(other), "--allow-token-host tokens.example")
        .google(wanted().url(other))
        .attended()
        .status(4)
        .says("tokens.example wants a reauthentication, which only Google has")
        .run();
}

#[test]
fn a_proof_that_cannot_be_kept_is_warned_about() {
    let test = until_asked(with(&authorized_user(), "")).types(PASSWORD);
    test.step(|home| home.write(".config/gauth/accounts", "in the way"))
        .google(answer(200, proved(PROOF)))
        .google(yes())
        .warns("the proof of reauthentication of ada@example.com cannot be stored")
        .stdout(&format!("{TOKEN}\n"))
        .run();
}

#[test]
fn the_time_of_the_person_is_not_that_of_the_requests() {
    let home = own_home(&json!({}));
    let long = |home: &Home| home.clock.advance(280);
    let test = until_asked(own(&home, "--timeout 5s")).types_after(PASSWORD, long);
    test.google(answer(200, proved(PROOF))).google(yes()).run();
}

#[test]
fn a_login_made_while_the_person_was_asked_is_used_and_kept() {
    let home = own_home(&json!({}));
    let anew = samples::with(authorized_user(), &json!({"refresh_token": ROTATED}));
    let meanwhile = move |home: &Home| home.write(OWN, anew.to_string());
    let test = until_asked(own(&home, "")).types_after(PASSWORD, meanwhile);
    let ran = test.google(answer(200, proved(PROOF))).google(yes()).run();
    assert_eq!(ran.sent[4].field("refresh_token"), ROTATED);
    assert_eq!(stored(&home, OWN)["refresh_token"], json!(ROTATED));
}

/// Whether a lock file is held by somebody.
fn is_held(home: &Home, name: &str) -> bool {
    let file = std::fs::File::open(home.path(".config/gauth/locks").join(name)).expect("a lock");
    file.try_lock().is_err()
}

#[test]
fn while_the_person_thinks_a_new_login_can_be_stored_and_waiters_are_told() {
    let home = own_home(&json!({}));
    let look = |home: &Home| {
        let names = home.names(".config/gauth/locks");
        let held: Vec<(&str, bool)> =
            names.iter().map(|name| (name.as_str(), is_held(home, name))).collect();
        let of = |ending: &str, login: bool| {
            let is_it = |name: &str| {
                name.starts_with("login-") == login && name.ends_with("-asks") != ending.is_empty()
            };
            let found: Vec<bool> =
                held.iter().filter(|(name, _)| is_it(name)).map(|(_, held)| *held).collect();
            assert_eq!(found.len(), 1, "{held:?}");
            found[0]
        };
        assert_eq!((of("", true), of("-asks", true)), (false, true), "{held:?}");
        assert_eq!((of("", false), of("-asks", false)), (true, true), "{held:?}");
    };
    let test = until_asked(own(&home, "")).types_after(PASSWORD, look);
    test.google(answer(200, proved(PROOF))).google(yes()).run();
}

#[test]
fn a_rotating_login_is_rotated_by_the_questions_too() {
    let home = own_home(&json!({"refresh_token_rotates": true}));
    let next = |access: &str, refresh: &str| {
        let body = json!({"access_token": access, "expires_in": 3599, "refresh_token": refresh});
        token(200, body.to_string())
    };
    let third = "1//0third-refresh-token";
    let ran = own(&home, "")
        .google(wanted())
        .google(next(FOR_THIS, ROTATED))
        .google(start(200, for_the_password()))
        .types(PASSWORD)
        .google(answer(200, proved(PROOF)))
        .google(next(TOKEN, third))
        .run();
    assert_eq!(ran.sent[1].field("refresh_token"), REFRESH_TOKEN);
    assert_eq!(ran.sent[4].field("refresh_token"), ROTATED);
    let login = stored(&home, OWN);
    assert_eq!((&login["refresh_token"], &login["rapt_token"]), (&json!(third), &json!(PROOF)));
}

#[test]
fn id_tokens_and_chains_ask_the_same_way() {
    let home = own_home(&json!({}));
    let id_token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl";
    let both = json!({"access_token": TOKEN, "expires_in": 3599, "id_token": id_token});
    let test = Test::new("id-token --account ada@example.com").home(&home).types(PASSWORD);
    let test = until_asked(test).google(answer(200, proved(PROOF)));
    test.google(token(200, both.to_string())).stdout(&format!("{id_token}\n")).run();

    let home = own_home(&json!({}));
    let words = format!("--impersonate-service-account {TARGET}");
    let test = until_asked(own(&home, &words)).types(PASSWORD);
    test.google(answer(200, proved(PROOF)))
        .google(yes())
        .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
        .stdout(&format!("{SECOND}\n"))
        .run();
}
