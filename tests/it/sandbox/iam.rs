//! IAM Credentials: who may act as whom, for how long, and what is said to those who may not.

use std::sync::atomic::Ordering;

use gauth::jwt;
use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::{BEHIND, DEPLOYER, FORBIDDEN, MIDDLE, SERVICE_ACCOUNT, USER};
use gauth::token::CLOUD_PLATFORM;
use serde_json::{Value, json};

use super::sts::{ACCESS, EXCHANGE, introspected};
use super::{
    NOW, Reply, ask, bearer, claims, form, get, grant, grant_signed, header, refresh, sandbox, text,
};

const JSON: &str = "Content-Type: application/json\r\n";

fn call(sandbox: &Running, token: &str, account: &str, method: &str, body: &Value) -> Reply {
    let path = format!("/v1/projects/-/serviceAccounts/{account}:{method}");
    ask(sandbox, "POST", &path, &format!("{JSON}{}", bearer(token)), &body.to_string())
}

fn access(sandbox: &Running, token: &str, account: &str, body: &Value) -> Reply {
    call(sandbox, token, account, "generateAccessToken", body)
}

fn users(sandbox: &Running) -> String {
    text(&refresh(sandbox, &[]).json(), "access_token").to_owned()
}

/// The least that is needed.
fn body() -> Value {
    json!({ "scope": [CLOUD_PLATFORM] })
}

/// Refused as Google's APIs do it.
#[track_caller]
fn refused(reply: &Reply, code: u16, status: &str, words: &str) {
    let error = &reply.json()["error"];
    assert_eq!((reply.status, error["code"].as_u64()), (code, Some(code.into())), "{error}");
    assert_eq!(text(error, "status"), status, "{error}");
    assert!(text(error, "message").contains(words), "{words}: {error}");
}

#[test]
fn everybody_known_may_act_as_the_deployer() {
    let (sandbox, clock) = sandbox(&[]);
    let robot = grant_signed(&sandbox, &header(&sandbox), &claims()).json();
    let machine = get(&sandbox, "/computeMetadata/v1/instance/service-accounts/default/token");
    for token in [
        users(&sandbox),
        text(&robot, "access_token").to_owned(),
        text(&machine.json(), "access_token").to_owned(),
    ] {
        let reply = access(&sandbox, &token, DEPLOYER, &body());
        assert_eq!(reply.status, 200, "{}", reply.json());
        let issued = reply.json();
        // The end is an hour after the moment: 2026-01-02T03:04:05Z.
        assert_eq!(text(&issued, "expireTime"), "2026-01-02T04:04:05Z");
        let token = text(&issued, "accessToken").to_owned();
        assert_eq!(text(&introspected(&sandbox, &token), "username"), DEPLOYER);
        clock.0.fetch_add(3600, Ordering::Relaxed);
        assert_eq!(introspected(&sandbox, &token)["active"], false);
        clock.0.store(NOW, Ordering::Relaxed);
    }
    assert_eq!(sandbox.count("iam"), 3);
}

#[test]
fn a_chain_is_walked_link_by_link() {
    let (sandbox, _) = sandbox(&[]);
    let token = users(&sandbox);
    let through = |accounts: &[&str]| {
        let names: Vec<String> =
            accounts.iter().map(|name| format!("projects/-/serviceAccounts/{name}")).collect();
        json!({ "scope": [CLOUD_PLATFORM], "delegates": names, "lifetime": "600s" })
    };
    let denied = |reply: &Reply| refused(reply, 403, "PERMISSION_DENIED", "getAccessToken");
    assert_eq!(access(&sandbox, &token, BEHIND, &through(&[MIDDLE])).status, 200);
    assert_eq!(access(&sandbox, &token, BEHIND, &through(&[DEPLOYER, MIDDLE])).status, 200);
    denied(&access(&sandbox, &token, BEHIND, &through(&[])));
    denied(&access(&sandbox, &token, BEHIND, &through(&[MIDDLE, DEPLOYER])));
    denied(&access(&sandbox, &token, DEPLOYER, &through(&[FORBIDDEN])));
    // One after the other does as well as all at once.
    let middle = access(&sandbox, &token, MIDDLE, &body()).json();
    assert_eq!(access(&sandbox, text(&middle, "accessToken"), BEHIND, &body()).status, 200);
    let forbidden = access(&sandbox, &token, FORBIDDEN, &body());
    denied(&forbidden);
    let detail = forbidden.json()["error"]["details"][0].clone();
    assert_eq!(text(&detail, "@type"), "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!(text(&detail, "reason"), "IAM_PERMISSION_DENIED");
    assert_eq!(detail["metadata"]["permission"], "iam.serviceAccounts.getAccessToken");
    for reply in [
        access(&sandbox, &token, "nobody@x.example", &body()),
        access(&sandbox, &token, SERVICE_ACCOUNT, &body()),
        access(&sandbox, &token, DEPLOYER, &through(&["nobody@x.example"])),
    ] {
        refused(&reply, 404, "NOT_FOUND", "no service account");
    }
}

#[test]
fn each_field_is_checked() {
    let (sandbox, _) = sandbox(&[]);
    let token = users(&sandbox);
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
        ("delegates", json!([MIDDLE]), "INVALID_ARGUMENT", "projects/-/serviceAccounts"),
        ("delegates", json!(["projects/-/serviceAccounts/"]), "INVALID_ARGUMENT", "EMAIL"),
        ("audience", json!("x"), "INVALID_ARGUMENT", "Unknown name \"audience\""),
    ] {
        let mut body = body();
        body[name] = value;
        refused(&access(&sandbox, &token, DEPLOYER, &body), 400, status, words);
    }
    for good in [
        json!({ "scope": [CLOUD_PLATFORM], "delegates": null, "lifetime": "3600s" }),
        json!({ "scope": ["openid", CLOUD_PLATFORM], "lifetime": "1s" }),
    ] {
        assert_eq!(access(&sandbox, &token, DEPLOYER, &good).status, 200, "{good}");
    }
    let path = format!("/v1/projects/-/serviceAccounts/{DEPLOYER}:generateAccessToken");
    let headers = |kind: &str| format!("Content-Type: {kind}\r\n{}", bearer(&token));
    for (kind, body) in [
        ("application/json", ""),
        ("application/json", "[]"),
        ("application/json", "{\"scope\":[],\"scope\":[]}"),
        ("application/x-www-form-urlencoded", "scope=x"),
    ] {
        let reply = ask(&sandbox, "POST", &path, &headers(kind), body);
        refused(&reply, 400, "INVALID_ARGUMENT", "Invalid JSON payload");
    }
    for path in
        [&path, "/v1/projects/-/serviceAccounts/x:delete", "/v1/projects/-/serviceAccounts/"]
    {
        let method = if path.ends_with("Token") { "GET" } else { "POST" };
        let reply = ask(&sandbox, method, path, &headers("application/json"), "{}");
        refused(&reply, 404, "NOT_FOUND", "not found");
    }
}

#[test]
fn only_a_good_token_with_the_scope_is_let_in() {
    let (sandbox, clock) = sandbox(&[]);
    let path = format!("/v1/projects/-/serviceAccounts/{DEPLOYER}:generateAccessToken");
    let reply = ask(&sandbox, "POST", &path, JSON, &body().to_string());
    refused(&reply, 401, "UNAUTHENTICATED", "credentials");
    assert_eq!(reply.json()["error"]["details"][0]["reason"], "CREDENTIALS_MISSING");
    refused(&access(&sandbox, "ya29.x", DEPLOYER, &body()), 401, "UNAUTHENTICATED", "credentials");
    let narrow = refresh(&sandbox, &[("scope", "openid email")]).json();
    let reply = access(&sandbox, text(&narrow, "access_token"), DEPLOYER, &body());
    refused(&reply, 403, "PERMISSION_DENIED", "insufficient authentication scopes");
    let mut with_iam = claims();
    with_iam["scope"] = "https://www.googleapis.com/auth/iam".into();
    let robot = grant_signed(&sandbox, &header(&sandbox), &with_iam).json();
    assert_eq!(access(&sandbox, text(&robot, "access_token"), DEPLOYER, &body()).status, 200);
    let options = r#"{"accessBoundary":{"accessBoundaryRules":[{
        "availableResource":"//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions":["inRole:roles/storage.objectViewer"]}]}}"#;
    let token = users(&sandbox);
    let fields = [
        ("grant_type", EXCHANGE),
        ("requested_token_type", ACCESS),
        ("subject_token_type", ACCESS),
        ("subject_token", &token),
        ("options", options),
    ];
    let downscoped = form(&sandbox, "/v1/token", &fields).json();
    let reply = access(&sandbox, text(&downscoped, "access_token"), DEPLOYER, &body());
    refused(&reply, 403, "PERMISSION_DENIED", "getAccessToken");
    clock.0.fetch_add(3600, Ordering::Relaxed);
    refused(&access(&sandbox, &token, DEPLOYER, &body()), 401, "UNAUTHENTICATED", "credentials");
}

#[test]
fn a_jwt_signed_here_is_good_for_delegation() {
    let (sandbox, _) = sandbox(&[]);
    let token = users(&sandbox);
    let mut payload = claims();
    payload["iss"] = DEPLOYER.into();
    payload["sub"] = USER.into();
    payload["scope"] = "email".into();
    let sign = |payload: &str, account: &str| {
        call(&sandbox, &token, account, "signJwt", &json!({ "payload": payload }))
    };
    let own = format!("{}/token", sandbox.url());
    for audience in ["https://oauth2.googleapis.com/token", &own] {
        payload["aud"] = audience.into();
        let signed = sign(&payload.to_string(), DEPLOYER).json();
        let parts = jwt::parts(text(&signed, "signedJwt")).unwrap();
        assert_eq!(parts.header["kid"], signed["keyId"]);
        let granted = grant(&sandbox, text(&signed, "signedJwt"));
        assert_eq!(granted.status, 200, "{}", granted.json());
        let headers = bearer(text(&granted.json(), "access_token"));
        let told = ask(&sandbox, "GET", "/v1/userinfo", &headers, "").json();
        assert_eq!(text(&told, "email"), USER);
    }
    // Another's key does not sign for the deployer.
    let stolen = grant_signed(&sandbox, &json!({ "alg": "RS256", "kid": "other" }), &payload);
    assert_eq!(text(&stolen.json(), "error_description"), "Invalid JWT Signature.");
    for (payload, words) in [
        ("", "is empty"),
        ("[]", "not an object"),
        (r#"{"exp":"soon"}"#, "exp is not a number"),
        (&*format!(r#"{{"exp":{}}}"#, NOW + 12 * 3600 + 1), "12 hours"),
    ] {
        refused(&sign(payload, DEPLOYER), 400, "INVALID_ARGUMENT", words);
    }
    let reply = call(&sandbox, &token, DEPLOYER, "signJwt", &json!({ "payload": { "iss": "x" } }));
    refused(&reply, 400, "INVALID_ARGUMENT", "'payload'");
    refused(&sign("{}", FORBIDDEN), 403, "PERMISSION_DENIED", "iam.serviceAccounts.signJwt");
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
        let (sandbox, _) = sandbox(&[fault]);
        let token = users(&sandbox);
        let reply = access(&sandbox, &token, DEPLOYER, &body());
        refused(&reply, code, status, "");
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
        let (sandbox, _) = sandbox(&[fault]);
        let answer = access(&sandbox, &users(&sandbox), DEPLOYER, &body()).json();
        assert_eq!(answer.get(name), Some(&value), "{fault}");
    }
    for (fault, name) in [("iam=missing", "accessToken"), ("iam=no-expiry", "expireTime")] {
        let (sandbox, _) = sandbox(&[fault]);
        let answer = access(&sandbox, &users(&sandbox), DEPLOYER, &body()).json();
        assert!(answer.is_object() && answer.get(name).is_none(), "{answer}");
    }
}
