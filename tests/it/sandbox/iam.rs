//! IAM Credentials: who may act as whom, for how long, and what is said to those who may not.

use std::sync::atomic::Ordering;

use gauth_core::jose::jwt;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_sandbox::RunningSandbox;
use gauth_sandbox::fixtures::{
    DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT, DEPLOYER_ACCOUNT, FORBIDDEN_ACCOUNT, SERVICE_ACCOUNT, USER,
};
use serde_json::{Value, json};

use super::sts::{ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE_GRANT_TYPE, introspect};
use super::{
    HttpReply, NOW, assertion_claims, assertion_header, bearer_authorization_header, default_refresh_grant, get_path,
    jwt_bearer_grant, post_form, send_to_sandbox, sign_and_grant, start_sandbox, text_field,
};

const JSON_HEADER: &str = "Content-Type: application/json\r\n";

fn call_iam(sandbox: &RunningSandbox, token: &str, account: &str, method: &str, body: &Value) -> HttpReply {
    let path = format!("/v1/projects/-/serviceAccounts/{account}:{method}");
    send_to_sandbox(
        sandbox,
        "POST",
        &path,
        &format!("{JSON_HEADER}{}", bearer_authorization_header(token)),
        &body.to_string(),
    )
}

fn generate_access_token(sandbox: &RunningSandbox, token: &str, account: &str, body: &Value) -> HttpReply {
    call_iam(sandbox, token, account, "generateAccessToken", body)
}

fn user_access_token(sandbox: &RunningSandbox) -> String {
    text_field(&default_refresh_grant(sandbox, &[]).json(), "access_token").to_owned()
}

/// The least that is needed.
fn access_token_body() -> Value {
    json!({ "scope": [CLOUD_PLATFORM_SCOPE] })
}

/// Refused as Google's APIs do it.
#[track_caller]
fn assert_refused(reply: &HttpReply, code: u16, status: &str, message: &str) {
    let error = &reply.json()["error"];
    assert_eq!((reply.status, error["code"].as_u64()), (code, Some(code.into())), "{error}");
    assert_eq!(text_field(error, "status"), status, "{error}");
    assert!(text_field(error, "message").contains(message), "{message}: {error}");
}

#[test]
fn every_admitted_principal_can_impersonate_the_deployer() {
    let (sandbox, clock) = start_sandbox(&[]);
    let robot = sign_and_grant(&sandbox, &assertion_header(&sandbox), &assertion_claims()).json();
    let machine = get_path(&sandbox, "/computeMetadata/v1/instance/service-accounts/default/token");
    for token in [
        user_access_token(&sandbox),
        text_field(&robot, "access_token").to_owned(),
        text_field(&machine.json(), "access_token").to_owned(),
    ] {
        let reply = generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &access_token_body());
        assert_eq!(reply.status, 200, "{}", reply.json());
        let issued = reply.json();
        // The end is an hour after the moment: 2026-01-02T03:04:05Z.
        assert_eq!(text_field(&issued, "expireTime"), "2026-01-02T04:04:05Z");
        let token = text_field(&issued, "accessToken").to_owned();
        assert_eq!(text_field(&introspect(&sandbox, &token), "username"), DEPLOYER_ACCOUNT);
        clock.0.fetch_add(3600, Ordering::Relaxed);
        assert_eq!(introspect(&sandbox, &token)["active"], false);
        clock.0.store(NOW, Ordering::Relaxed);
    }
    assert_eq!(sandbox.request_count("iam"), 3);
}

#[test]
fn a_delegation_chain_is_checked_step_by_step() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = user_access_token(&sandbox);
    let through = |accounts: &[&str]| {
        let names: Vec<String> = accounts.iter().map(|name| format!("projects/-/serviceAccounts/{name}")).collect();
        json!({ "scope": [CLOUD_PLATFORM_SCOPE], "delegates": names, "lifetime": "600s" })
    };
    let denied = |reply: &HttpReply| assert_refused(reply, 403, "PERMISSION_DENIED", "getAccessToken");
    assert_eq!(
        generate_access_token(&sandbox, &token, DELEGATION_TARGET_ACCOUNT, &through(&[DELEGATE_ACCOUNT])).status,
        200
    );
    assert_eq!(
        generate_access_token(
            &sandbox,
            &token,
            DELEGATION_TARGET_ACCOUNT,
            &through(&[DEPLOYER_ACCOUNT, DELEGATE_ACCOUNT])
        )
        .status,
        200
    );
    denied(&generate_access_token(&sandbox, &token, DELEGATION_TARGET_ACCOUNT, &through(&[])));
    denied(&generate_access_token(
        &sandbox,
        &token,
        DELEGATION_TARGET_ACCOUNT,
        &through(&[DELEGATE_ACCOUNT, DEPLOYER_ACCOUNT]),
    ));
    denied(&generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &through(&[FORBIDDEN_ACCOUNT])));
    // One after the other does as well as all at once.
    let middle = generate_access_token(&sandbox, &token, DELEGATE_ACCOUNT, &access_token_body()).json();
    assert_eq!(
        generate_access_token(
            &sandbox,
            text_field(&middle, "accessToken"),
            DELEGATION_TARGET_ACCOUNT,
            &access_token_body()
        )
        .status,
        200
    );
    let forbidden = generate_access_token(&sandbox, &token, FORBIDDEN_ACCOUNT, &access_token_body());
    denied(&forbidden);
    let detail = forbidden.json()["error"]["details"][0].clone();
    assert_eq!(text_field(&detail, "@type"), "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!(text_field(&detail, "reason"), "IAM_PERMISSION_DENIED");
    assert_eq!(detail["metadata"]["permission"], "iam.serviceAccounts.getAccessToken");
    for reply in [
        generate_access_token(&sandbox, &token, "nobody@x.example", &access_token_body()),
        generate_access_token(&sandbox, &token, SERVICE_ACCOUNT, &access_token_body()),
        generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &through(&["nobody@x.example"])),
    ] {
        assert_refused(&reply, 404, "NOT_FOUND", "no service account");
    }
}

#[test]
fn each_field_is_checked() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = user_access_token(&sandbox);
    for (name, value, status, words) in [
        ("scope", Value::Null, "INVALID_ARGUMENT", "at least one scope"),
        ("scope", json!([]), "INVALID_ARGUMENT", "at least one scope"),
        ("scope", json!("https://x"), "INVALID_ARGUMENT", "'scope'"),
        ("scope", json!([1]), "INVALID_ARGUMENT", "'scope'"),
        ("scope", json!(["cloud-platform"]), "INVALID_ARGUMENT", "invalid scope"),
        ("lifetime", json!("0s"), "INVALID_ARGUMENT", "1s to 43200s"),
        ("lifetime", json!("43201s"), "INVALID_ARGUMENT", "1s to 43200s"),
        ("lifetime", json!("3601s"), "FAILED_PRECONDITION", "LifetimeExtension"),
        ("lifetime", json!("43200s"), "FAILED_PRECONDITION", "LifetimeExtension"),
        ("lifetime", json!("600"), "INVALID_ARGUMENT", "a duration"),
        ("lifetime", json!("-1s"), "INVALID_ARGUMENT", "a duration"),
        ("lifetime", json!(600), "INVALID_ARGUMENT", "a duration"),
        ("delegates", json!("x"), "INVALID_ARGUMENT", "'delegates'"),
        ("delegates", json!([DELEGATE_ACCOUNT]), "INVALID_ARGUMENT", "projects/-/serviceAccounts"),
        ("delegates", json!(["projects/-/serviceAccounts/"]), "INVALID_ARGUMENT", "EMAIL"),
        ("audience", json!("x"), "INVALID_ARGUMENT", "Unknown name \"audience\""),
    ] {
        let mut body = access_token_body();
        body[name] = value;
        assert_refused(&generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &body), 400, status, words);
    }
    for good in [
        json!({ "scope": [CLOUD_PLATFORM_SCOPE], "delegates": null, "lifetime": "3600s" }),
        json!({ "scope": ["openid", CLOUD_PLATFORM_SCOPE], "lifetime": "1s" }),
    ] {
        assert_eq!(generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &good).status, 200, "{good}");
    }
    let path = format!("/v1/projects/-/serviceAccounts/{DEPLOYER_ACCOUNT}:generateAccessToken");
    let headers = |kind: &str| format!("Content-Type: {kind}\r\n{}", bearer_authorization_header(&token));
    for (kind, body) in [
        ("application/json", ""),
        ("application/json", "[]"),
        ("application/json", "{\"scope\":[],\"scope\":[]}"),
        ("application/x-www-form-urlencoded", "scope=x"),
    ] {
        let reply = send_to_sandbox(&sandbox, "POST", &path, &headers(kind), body);
        assert_refused(&reply, 400, "INVALID_ARGUMENT", "Invalid JSON payload");
    }
    for path in [&path, "/v1/projects/-/serviceAccounts/x:delete", "/v1/projects/-/serviceAccounts/"] {
        let method = if path.ends_with("Token") { "GET" } else { "POST" };
        let reply = send_to_sandbox(&sandbox, method, path, &headers("application/json"), "{}");
        assert_refused(&reply, 404, "NOT_FOUND", "not found");
    }
}

#[test]
fn only_a_valid_token_with_the_scope_is_accepted() {
    let (sandbox, clock) = start_sandbox(&[]);
    let path = format!("/v1/projects/-/serviceAccounts/{DEPLOYER_ACCOUNT}:generateAccessToken");
    let reply = send_to_sandbox(&sandbox, "POST", &path, JSON_HEADER, &access_token_body().to_string());
    assert_refused(&reply, 401, "UNAUTHENTICATED", "credentials");
    assert_eq!(reply.json()["error"]["details"][0]["reason"], "CREDENTIALS_MISSING");
    assert_refused(
        &generate_access_token(&sandbox, "ya29.x", DEPLOYER_ACCOUNT, &access_token_body()),
        401,
        "UNAUTHENTICATED",
        "credentials",
    );
    let narrow = default_refresh_grant(&sandbox, &[("scope", "openid email")]).json();
    let reply =
        generate_access_token(&sandbox, text_field(&narrow, "access_token"), DEPLOYER_ACCOUNT, &access_token_body());
    assert_refused(&reply, 403, "PERMISSION_DENIED", "insufficient authentication scopes");
    let mut with_iam = assertion_claims();
    with_iam["scope"] = "https://www.googleapis.com/auth/iam".into();
    let robot = sign_and_grant(&sandbox, &assertion_header(&sandbox), &with_iam).json();
    assert_eq!(
        generate_access_token(&sandbox, text_field(&robot, "access_token"), DEPLOYER_ACCOUNT, &access_token_body())
            .status,
        200
    );
    let options = r#"{"accessBoundary":{"accessBoundaryRules":[{
        "availableResource":"//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions":["inRole:roles/storage.objectViewer"]}]}}"#;
    let token = user_access_token(&sandbox);
    let fields = [
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token", &token),
        ("options", options),
    ];
    let downscoped = post_form(&sandbox, "/v1/token", &fields).json();
    let reply = generate_access_token(
        &sandbox,
        text_field(&downscoped, "access_token"),
        DEPLOYER_ACCOUNT,
        &access_token_body(),
    );
    assert_refused(&reply, 403, "PERMISSION_DENIED", "getAccessToken");
    clock.0.fetch_add(3600, Ordering::Relaxed);
    assert_refused(
        &generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &access_token_body()),
        401,
        "UNAUTHENTICATED",
        "credentials",
    );
}

#[test]
fn a_jwt_signed_here_is_good_for_delegation() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = user_access_token(&sandbox);
    let mut payload = assertion_claims();
    payload["iss"] = DEPLOYER_ACCOUNT.into();
    payload["sub"] = USER.into();
    payload["scope"] = "email".into();
    let sign =
        |payload: &str, account: &str| call_iam(&sandbox, &token, account, "signJwt", &json!({ "payload": payload }));
    let own = format!("{}/token", sandbox.url());
    for audience in ["https://oauth2.googleapis.com/token", &own] {
        payload["aud"] = audience.into();
        let signed = sign(&payload.to_string(), DEPLOYER_ACCOUNT).json();
        let parts = jwt::decode(text_field(&signed, "signedJwt")).unwrap();
        assert_eq!(parts.header["kid"], signed["keyId"]);
        let granted = jwt_bearer_grant(&sandbox, text_field(&signed, "signedJwt"));
        assert_eq!(granted.status, 200, "{}", granted.json());
        let headers = bearer_authorization_header(text_field(&granted.json(), "access_token"));
        let told = send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &headers, "").json();
        assert_eq!(text_field(&told, "email"), USER);
    }
    // Another's key does not sign for the deployer.
    let stolen = sign_and_grant(&sandbox, &json!({ "alg": "RS256", "kid": "other" }), &payload);
    assert_eq!(text_field(&stolen.json(), "error_description"), "Invalid JWT Signature.");
    for (payload, words) in [
        ("", "is empty"),
        ("[]", "not an object"),
        (r#"{"exp":"soon"}"#, "exp is not a number"),
        (&*format!(r#"{{"exp":{}}}"#, NOW + 12 * 3600 + 1), "12 hours"),
    ] {
        assert_refused(&sign(payload, DEPLOYER_ACCOUNT), 400, "INVALID_ARGUMENT", words);
    }
    let reply = call_iam(&sandbox, &token, DEPLOYER_ACCOUNT, "signJwt", &json!({ "payload": { "iss": "x" } }));
    assert_refused(&reply, 400, "INVALID_ARGUMENT", "'payload'");
    assert_refused(&sign("{}", FORBIDDEN_ACCOUNT), 403, "PERMISSION_DENIED", "iam.serviceAccounts.signJwt");
}

#[test]
fn faults_of_iam_have_the_shape_of_its_errors() {
    for (fault, code, status) in [
        ("iam=denied", 403, "PERMISSION_DENIED"),
        ("iam=revoked", 401, "UNAUTHENTICATED"),
        ("iam=rapt", 401, "UNAUTHENTICATED"),
        ("iam=control", 401, "UNAUTHENTICATED"),
        ("iam=reflect", 401, "UNAUTHENTICATED"),
        ("iam=429+retry-after:7", 429, "RESOURCE_EXHAUSTED"),
        ("iam=503", 503, "UNAVAILABLE"),
    ] {
        let (sandbox, _) = start_sandbox(&[fault]);
        let token = user_access_token(&sandbox);
        let reply = generate_access_token(&sandbox, &token, DEPLOYER_ACCOUNT, &access_token_body());
        assert_refused(&reply, code, status, "");
        assert_eq!(reply.head.contains("Retry-After: 7"), code == 429);
        assert_eq!(reply.head.matches("Content-Type").count(), 1, "{}", reply.head);
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(message.contains(&token), fault == "iam=reflect", "{message}");
    }
    for (fault, name, value) in [
        ("iam=null-token", "accessToken", Value::Null),
        ("iam=bad-token", "accessToken", json!("ya29.two words\r\nX-Injected: yes")),
        ("iam=text-expiry", "expireTime", json!("soon")),
        ("iam=zero-expiry", "expireTime", json!("2026-01-02T03:04:05Z")),
        ("iam=negative-expiry", "expireTime", json!("2026-01-02T03:04:04Z")),
        ("iam=short-expiry", "expireTime", json!("2026-01-02T03:04:07Z")),
        ("iam=long-expiry", "expireTime", json!("2126-01-03T03:04:05Z")),
        ("iam=string-expiry", "expireTime", json!("2026-01-02T04:04:05Z")),
    ] {
        let (sandbox, _) = start_sandbox(&[fault]);
        let answer =
            generate_access_token(&sandbox, &user_access_token(&sandbox), DEPLOYER_ACCOUNT, &access_token_body())
                .json();
        assert_eq!(answer.get(name), Some(&value), "{fault}");
    }
    for (fault, name) in [("iam=missing", "accessToken"), ("iam=no-expiry", "expireTime")] {
        let (sandbox, _) = start_sandbox(&[fault]);
        let answer =
            generate_access_token(&sandbox, &user_access_token(&sandbox), DEPLOYER_ACCOUNT, &access_token_body())
                .json();
        assert!(answer.is_object() && answer.get(name).is_none(), "{answer}");
    }
}
