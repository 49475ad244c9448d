//! Proving again that it is still the same person.

use std::sync::atomic::Ordering;

use gauth::server::sandbox::Running;
use serde_json::{Value, json};

use super::{Reply, ask, bearer, refresh, sandbox, text};

const SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";
const JSON: &str = "Content-Type: application/json\r\n";

/// A token that may ask.
fn access(sandbox: &Running) -> String {
    let granted = refresh(sandbox, &[("scope", SCOPE)]);
    assert_eq!(granted.status, 200, "{}", granted.json());
    text(&granted.json(), "access_token").to_owned()
}

fn posted(sandbox: &Running, token: &str, path: &str, body: &Value) -> Reply {
    ask(sandbox, "POST", path, &format!("{JSON}{}", bearer(token)), &body.to_string())
}

fn started(sandbox: &Running, token: &str) -> Value {
    let body = json!({ "supportedChallengeTypes": ["SECURITY_KEY", "PASSWORD", "SAML"] });
    posted(sandbox, token, "/v2/sessions:start", &body).json()
}

fn answered(sandbox: &Running, token: &str, asked: &Value, credential: &str) -> Value {
    let id = text(asked, "sessionId");
    let body = json!({
        "sessionId": id,
        "challengeId": asked["challenges"][0]["challengeId"],
        "action": "RESPOND",
        "proposalResponse": { "credential": credential },
    });
    posted(sandbox, token, &format!("/v2/sessions/{id}:continue"), &body).json()
}

#[test]
fn the_password_brings_the_proof_that_a_refresh_wants() {
    let (sandbox, clock) = sandbox(&["token=rapt"]);
    assert_eq!(text(&refresh(&sandbox, &[]).json(), "error_subtype"), "invalid_rapt");
    let token = access(&sandbox);
    let asked = started(&sandbox, &token);
    assert_eq!(text(&asked, "status"), "CHALLENGE_REQUIRED");
    assert_eq!(
        asked["challenges"],
        json!([{ "challengeId": 1, "challengeType": "PASSWORD", "status": "READY" }])
    );
    let again = answered(&sandbox, &token, &asked, "wrong");
    assert_eq!(
        (text(&again, "status"), &again["challenges"][0]["challengeId"]),
        ("CHALLENGE_REQUIRED", &json!(2))
    );
    let password = std::fs::read_to_string(sandbox.file("password.txt")).unwrap();
    assert_eq!(password.trim(), sandbox.cast().password.expose());
    let proved = answered(&sandbox, &token, &again, password.trim());
    assert_eq!(text(&proved, "status"), "AUTHENTICATED");
    let rapt = text(&proved, "encodedProofOfReauthToken");
    assert_eq!(refresh(&sandbox, &[("rapt", rapt)]).status, 200);
    for more in [&[("rapt", "other")][..], &[]] {
        assert_eq!(text(&refresh(&sandbox, more).json(), "error_subtype"), "invalid_rapt");
    }
    clock.0.fetch_add(16 * 3600, Ordering::Relaxed);
    assert_eq!(text(&refresh(&sandbox, &[("rapt", rapt)]).json(), "error_subtype"), "invalid_rapt");
}

#[test]
fn a_proof_is_one_persons() {
    let (sandbox, _) = sandbox(&["token=rapt", "reauth=authenticated"]);
    let token = access(&sandbox);
    let proved = started(&sandbox, &token);
    assert!(proved.get("sessionId").is_none() && text(&proved, "status") == "AUTHENTICATED");
    let rapt = text(&proved, "encodedProofOfReauthToken");
    assert_eq!(refresh(&sandbox, &[("rapt", rapt)]).status, 200);
    let other = super::refresh_with(
        &sandbox,
        sandbox.cast().workforce_refresh_token.expose(),
        &[("rapt", rapt)],
    );
    assert_eq!(text(&other.json(), "error_subtype"), "invalid_rapt");
}

#[test]
fn challenges_are_as_asked_for() {
    for (fault, kind, status) in [
        ("saml", "SAML", "READY"),
        ("security-key", "SECURITY_KEY", "READY"),
        ("unknown-challenge", "RIDDLE", "READY"),
        ("none-ready", "PASSWORD", "INELIGIBLE"),
    ] {
        let (sandbox, _) = sandbox(&[&format!("reauth={fault}")]);
        let token = access(&sandbox);
        let asked = started(&sandbox, &token);
        let challenge = &asked["challenges"][0];
        assert_eq!((text(challenge, "challengeType"), text(challenge, "status")), (kind, status));
        assert_eq!(challenge.get("securityKey").is_some(), fault == "security-key");
        let password = sandbox.cast().password.expose().to_owned();
        let again = answered(&sandbox, &token, &asked, &password);
        assert_eq!(text(&again, "status"), "CHALLENGE_REQUIRED", "{fault}");
    }
    let (twice, _) = sandbox(&["reauth=two-rounds"]);
    let token = access(&twice);
    let password = twice.cast().password.expose().to_owned();
    let again = answered(&twice, &token, &started(&twice, &token), &password);
    assert_eq!(text(&again, "status"), "CHALLENGE_PENDING");
    assert_eq!(text(&answered(&twice, &token, &again, &password), "status"), "AUTHENTICATED");
}

#[test]
fn bad_requests_are_refused_as_apis_do() {
    let (sandbox, _) = sandbox(&[]);
    let token = access(&sandbox);
    let weak = refresh(&sandbox, &[("scope", "email")]).json();
    let start = "/v2/sessions:start";
    let good = json!({ "supportedChallengeTypes": ["PASSWORD"] });
    let status = |reply: Reply| (reply.status, text(&reply.json()["error"], "status").to_owned());
    for (token, path, body, code, word) in [
        ("other", start, &good, 401, "UNAUTHENTICATED"),
        (text(&weak, "access_token"), start, &good, 403, "PERMISSION_DENIED"),
        (&token, start, &json!({}), 400, "INVALID_ARGUMENT"),
        (&token, start, &json!({ "supportedChallengeTypes": "PASSWORD" }), 400, "INVALID_ARGUMENT"),
        (
            &token,
            start,
            &json!({ "supportedChallengeTypes": ["A"], "oauthScopesForDomainPolicyLookup": 1 }),
            400,
            "INVALID_ARGUMENT",
        ),
        (&token, start, &json!([]), 400, "INVALID_ARGUMENT"),
        (&token, "/v2/sessions/other:continue", &good, 404, "NOT_FOUND"),
        (&token, "/v2/sessions/other", &good, 404, "NOT_FOUND"),
    ] {
        assert_eq!(
            status(posted(&sandbox, token, path, body)),
            (code, word.to_owned()),
            "{path} {body}"
        );
    }
    let form = ask(&sandbox, "POST", start, &format!("{}{}", super::FORM, bearer(&token)), "a=b");
    assert_eq!(status(form).0, 400);
    assert_eq!(ask(&sandbox, "GET", start, "", "").status, 405);
    let asked = started(&sandbox, &token);
    let path = format!("/v2/sessions/{}:continue", text(&asked, "sessionId"));
    let whole = json!({ "sessionId": asked["sessionId"], "challengeId": 1, "action": "RESPOND", "proposalResponse": { "credential": "x" } });
    for (name, value) in [
        ("sessionId", json!("other")),
        ("challengeId", json!("1")),
        ("action", json!("ASK")),
        ("proposalResponse", json!({})),
    ] {
        let mut body = whole.clone();
        body[name] = value;
        assert_eq!(status(posted(&sandbox, &token, &path, &body)).0, 400, "{name}");
    }
    let only_saml =
        posted(&sandbox, &token, start, &json!({ "supportedChallengeTypes": ["SAML"] })).json();
    assert_eq!(only_saml["challenges"], json!([]));
}
