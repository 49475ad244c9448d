//! Proving again that it is still the same person.

use std::sync::atomic::Ordering;

use gauth_sandbox::RunningSandbox;
use serde_json::{Value, json};

use super::{
    HttpReply, bearer_authorization_header, default_refresh_grant, send_to_sandbox, start_sandbox, text_field,
};

const REAUTH_SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";
const JSON_HEADER: &str = "Content-Type: application/json\r\n";

/// A token that may ask.
fn reauth_access_token(sandbox: &RunningSandbox) -> String {
    let granted = default_refresh_grant(sandbox, &[("scope", REAUTH_SCOPE)]);
    assert_eq!(granted.status, 200, "{}", granted.json());
    text_field(&granted.json(), "access_token").to_owned()
}

fn post_json(sandbox: &RunningSandbox, token: &str, path: &str, body: &Value) -> HttpReply {
    send_to_sandbox(
        sandbox,
        "POST",
        path,
        &format!("{JSON_HEADER}{}", bearer_authorization_header(token)),
        &body.to_string(),
    )
}

fn start_session(sandbox: &RunningSandbox, token: &str) -> Value {
    let body = json!({ "supportedChallengeTypes": ["SECURITY_KEY", "PASSWORD", "SAML"] });
    post_json(sandbox, token, "/v2/sessions:start", &body).json()
}

fn continue_session(sandbox: &RunningSandbox, token: &str, session: &Value, credential: &str) -> Value {
    let id = text_field(session, "sessionId");
    let body = json!({
        "sessionId": id,
        "challengeId": session["challenges"][0]["challengeId"],
        "action": "RESPOND",
        "proposalResponse": { "credential": credential },
    });
    post_json(sandbox, token, &format!("/v2/sessions/{id}:continue"), &body).json()
}

#[test]
fn the_password_yields_the_rapt_a_refresh_requires() {
    let (sandbox, clock) = start_sandbox(&["token=rapt"]);
    assert_eq!(text_field(&default_refresh_grant(&sandbox, &[]).json(), "error_subtype"), "invalid_rapt");
    let token = reauth_access_token(&sandbox);
    let asked = start_session(&sandbox, &token);
    assert_eq!(text_field(&asked, "status"), "CHALLENGE_REQUIRED");
    assert_eq!(asked["challenges"], json!([{ "challengeId": 1, "challengeType": "PASSWORD", "status": "READY" }]));
    let again = continue_session(&sandbox, &token, &asked, "wrong");
    assert_eq!(
        (text_field(&again, "status"), &again["challenges"][0]["challengeId"]),
        ("CHALLENGE_REQUIRED", &json!(2))
    );
    let password = std::fs::read_to_string(sandbox.file("password.txt")).unwrap();
    assert_eq!(password.trim(), sandbox.fixtures().password.expose());
    let proved = continue_session(&sandbox, &token, &again, password.trim());
    assert_eq!(text_field(&proved, "status"), "AUTHENTICATED");
    let rapt = text_field(&proved, "encodedProofOfReauthToken");
    assert_eq!(default_refresh_grant(&sandbox, &[("rapt", rapt)]).status, 200);
    for more in [&[("rapt", "other")][..], &[]] {
        assert_eq!(text_field(&default_refresh_grant(&sandbox, more).json(), "error_subtype"), "invalid_rapt");
    }
    clock.0.fetch_add(16 * 3600, Ordering::Relaxed);
    assert_eq!(text_field(&default_refresh_grant(&sandbox, &[("rapt", rapt)]).json(), "error_subtype"), "invalid_rapt");
}

#[test]
fn a_rapt_belongs_to_one_user() {
    let (sandbox, _) = start_sandbox(&["token=rapt", "reauth=authenticated"]);
    let token = reauth_access_token(&sandbox);
    let proved = start_session(&sandbox, &token);
    assert!(proved.get("sessionId").is_none() && text_field(&proved, "status") == "AUTHENTICATED");
    let rapt = text_field(&proved, "encodedProofOfReauthToken");
    assert_eq!(default_refresh_grant(&sandbox, &[("rapt", rapt)]).status, 200);
    let other =
        super::refresh_token_grant(&sandbox, sandbox.fixtures().workforce_refresh_token.expose(), &[("rapt", rapt)]);
    assert_eq!(text_field(&other.json(), "error_subtype"), "invalid_rapt");
}

#[test]
fn challenges_can_be_configured() {
    for (fault, kind, status) in [
        ("saml", "SAML", "READY"),
        ("security-key", "SECURITY_KEY", "READY"),
        ("unknown-challenge", "RIDDLE", "READY"),
        ("none-ready", "PASSWORD", "INELIGIBLE"),
    ] {
        let (sandbox, _) = start_sandbox(&[&format!("reauth={fault}")]);
        let token = reauth_access_token(&sandbox);
        let asked = start_session(&sandbox, &token);
        let challenge = &asked["challenges"][0];
        assert_eq!((text_field(challenge, "challengeType"), text_field(challenge, "status")), (kind, status));
        assert_eq!(challenge.get("securityKey").is_some(), fault == "security-key");
        let password = sandbox.fixtures().password.expose().to_owned();
        let again = continue_session(&sandbox, &token, &asked, &password);
        assert_eq!(text_field(&again, "status"), "CHALLENGE_REQUIRED", "{fault}");
    }
    let (twice, _) = start_sandbox(&["reauth=two-rounds"]);
    let token = reauth_access_token(&twice);
    let password = twice.fixtures().password.expose().to_owned();
    let again = continue_session(&twice, &token, &start_session(&twice, &token), &password);
    assert_eq!(text_field(&again, "status"), "CHALLENGE_PENDING");
    assert_eq!(text_field(&continue_session(&twice, &token, &again, &password), "status"), "AUTHENTICATED");
}

#[test]
fn invalid_requests_get_api_style_errors() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = reauth_access_token(&sandbox);
    let weak = default_refresh_grant(&sandbox, &[("scope", "email")]).json();
    let start = "/v2/sessions:start";
    let good = json!({ "supportedChallengeTypes": ["PASSWORD"] });
    let status = |reply: HttpReply| (reply.status, text_field(&reply.json()["error"], "status").to_owned());
    for (token, path, body, code, word) in [
        ("other", start, &good, 401, "UNAUTHENTICATED"),
        (text_field(&weak, "access_token"), start, &good, 403, "PERMISSION_DENIED"),
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
        assert_eq!(status(post_json(&sandbox, token, path, body)), (code, word.to_owned()), "{path} {body}");
    }
    let form = send_to_sandbox(
        &sandbox,
        "POST",
        start,
        &format!("{}{}", super::FORM_HEADER, bearer_authorization_header(&token)),
        "a=b",
    );
    assert_eq!(status(form).0, 400);
    assert_eq!(send_to_sandbox(&sandbox, "GET", start, "", "").status, 405);
    let asked = start_session(&sandbox, &token);
    let path = format!("/v2/sessions/{}:continue", text_field(&asked, "sessionId"));
    let whole = json!({ "sessionId": asked["sessionId"], "challengeId": 1, "action": "RESPOND", "proposalResponse": { "credential": "x" } });
    for (name, value) in [
        ("sessionId", json!("other")),
        ("challengeId", json!("1")),
        ("action", json!("ASK")),
        ("proposalResponse", json!({})),
    ] {
        let mut body = whole.clone();
        body[name] = value;
        assert_eq!(status(post_json(&sandbox, &token, &path, &body)).0, 400, "{name}");
    }
    let only_saml = post_json(&sandbox, &token, start, &json!({ "supportedChallengeTypes": ["SAML"] })).json();
    assert_eq!(only_saml["challenges"], json!([]));
}
