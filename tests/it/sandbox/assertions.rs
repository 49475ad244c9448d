//! Signed assertions of service accounts, and the ID tokens they are exchanged for.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth_core::jose::jwt;
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_sandbox::fixtures::{CLIENT_ID, EMAIL_SCOPE, SERVICE_ACCOUNT, USER};
use serde_json::{Value, json};

use super::{
    NOW, assertion_claims, assertion_header, default_refresh_grant, get_path, jwt_bearer_grant, post_form,
    send_to_sandbox, sign_and_grant, start_sandbox, text_field,
};

#[test]
fn a_good_assertion_gets_a_token_that_tokeninfo_knows() {
    let (sandbox, clock) = start_sandbox(&[]);
    let header = assertion_header(&sandbox);
    let own = format!("{}/token", sandbox.url());
    for audience in ["https://oauth2.googleapis.com/token", &own] {
        let mut claims = assertion_claims();
        claims["aud"] = audience.into();
        claims["scope"] = format!("{CLOUD_PLATFORM_SCOPE} {EMAIL_SCOPE}").into();
        let reply = sign_and_grant(&sandbox, &header, &claims);
        assert_eq!(reply.status, 200, "{}", reply.head);
        let granted = reply.json();
        assert!(text_field(&granted, "access_token").starts_with("ya29.c."), "{granted}");
        assert_eq!((granted["expires_in"].as_i64(), text_field(&granted, "token_type")), (Some(3599), "Bearer"));
        let told = post_form(&sandbox, "/tokeninfo", &[("access_token", text_field(&granted, "access_token"))]);
        assert_eq!(text_field(&told.json(), "email"), SERVICE_ACCOUNT);
        assert_eq!(text_field(&told.json(), "expires_in"), "3599");
        clock.0.fetch_add(3600, Ordering::Relaxed);
        let told = post_form(&sandbox, "/tokeninfo", &[("access_token", text_field(&granted, "access_token"))]);
        assert_eq!((told.status, text_field(&told.json(), "error")), (400, "invalid_token"));
        clock.0.store(NOW, Ordering::Relaxed);
    }
    assert_eq!((sandbox.request_count("token"), sandbox.request_count("tokeninfo")), (2, 4));
    assert!(sandbox.requests()[0].request.form().is_some_and(|form| form[0].0 == "assertion"));
}

#[test]
fn delegation_gives_the_users_token() {
    let (sandbox, _) = start_sandbox(&[]);
    let mut claims = assertion_claims();
    claims["sub"] = USER.into();
    claims["scope"] = "email".into();
    let granted = sign_and_grant(&sandbox, &assertion_header(&sandbox), &claims).json();
    let bearer = format!("Authorization: Bearer {}\r\n", text_field(&granted, "access_token"));
    let told = send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &bearer, "").json();
    assert_eq!((text_field(&told, "email"), told["email_verified"].as_bool()), (USER, Some(true)));
}

#[test]
fn each_invalid_claim_is_refused_with_googles_message() {
    let (sandbox, _) = start_sandbox(&[]);
    let good = assertion_header(&sandbox);
    for (name, value, code, words) in [
        ("iss", json!("who@example.com"), "invalid_grant", "account not found"),
        ("iss", Value::Null, "invalid_grant", "account not found"),
        ("aud", json!("https://example.com/token"), "invalid_grant", "audience check"),
        ("aud", json!(["https://oauth2.googleapis.com/token"]), "invalid_grant", "audience check"),
        ("iat", json!(NOW + 301), "invalid_grant", "reasonable timeframe"),
        ("iat", Value::Null, "invalid_grant", "reasonable timeframe"),
        ("exp", json!(NOW), "invalid_grant", "reasonable timeframe"),
        ("exp", json!(NOW + 3601), "invalid_grant", "short-lived"),
        ("exp", json!("soon"), "invalid_grant", "reasonable timeframe"),
        ("scope", json!(""), "invalid_scope", "Invalid OAuth scope"),
        ("scope", json!("cloud-platform"), "invalid_scope", "Invalid OAuth scope"),
        ("scope", Value::Null, "invalid_scope", "Invalid OAuth scope"),
        ("target_audience", json!("https://x.example"), "invalid_scope", "audience"),
        ("sub", json!("nobody"), "invalid_grant", "Invalid email"),
    ] {
        let mut claims = assertion_claims();
        claims[name] = value;
        let reply = sign_and_grant(&sandbox, &good, &claims);
        let answer = reply.json();
        assert_eq!((reply.status, text_field(&answer, "error")), (400, code), "{claims}");
        assert!(text_field(&answer, "error_description").contains(words), "{answer}");
    }
    for (name, value) in [("alg", json!("none")), ("alg", json!("HS256")), ("kid", json!("other"))] {
        let mut header = good.clone();
        header[name] = value;
        assert_eq!(
            text_field(&sign_and_grant(&sandbox, &header, &assertion_claims()).json(), "error"),
            "invalid_grant"
        );
    }
    let mut nameless = good.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    assert_eq!(sign_and_grant(&sandbox, &nameless, &assertion_claims()).status, 200);
    for assertion in ["", "x", "a.b.c"] {
        assert_eq!(jwt_bearer_grant(&sandbox, assertion).status, 400);
    }
}

#[test]
fn a_signature_of_another_message_is_refused() {
    let (sandbox, _) = start_sandbox(&[]);
    let key = PrivateKey::rsa_from_pem(sandbox.fixtures().service_account_pem.expose()).unwrap();
    let signed = jwt::sign_with_header(&key, &assertion_header(&sandbox), &assertion_claims()).unwrap();
    let signature = signed.expose().rsplit('.').next().unwrap();
    let mut claims = assertion_claims();
    claims["scope"] = "https://www.googleapis.com/auth/drive".into();
    let message = [assertion_header(&sandbox), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let reply = jwt_bearer_grant(&sandbox, &format!("{message}.{signature}"));
    assert_eq!(text_field(&reply.json(), "error_description"), "Invalid JWT Signature.");
}

#[test]
fn an_id_token_verifies_with_the_published_keys() {
    let (sandbox, _) = start_sandbox(&[]);
    let mut claims = assertion_claims();
    claims.as_object_mut().unwrap().remove("scope");
    claims["target_audience"] = "https://svc.example".into();
    let granted = sign_and_grant(&sandbox, &assertion_header(&sandbox), &claims).json();
    let path = "/computeMetadata/v1/instance/service-accounts/default/identity";
    let machine = get_path(&sandbox, &format!("{path}?audience=https://svc.example&format=full"));
    let users = default_refresh_grant(&sandbox, &[]).json();
    let keys = get_path(&sandbox, "/oauth2/v3/certs");
    assert!(keys.head.contains("Cache-Control: public, max-age="), "{}", keys.head);
    let key = keys.json()["keys"][0].clone();
    let part = |name| URL_SAFE_NO_PAD.decode(text_field(&key, name)).unwrap();
    let public = PublicKey::from_rsa_parameters(&part("n"), &part("e")).unwrap();
    let machine = String::from_utf8(machine.body).unwrap();
    for (token, audience) in [
        (text_field(&granted, "id_token"), "https://svc.example"),
        (&machine, "https://svc.example"),
        (text_field(&users, "id_token"), CLIENT_ID),
    ] {
        let parts = jwt::decode(token).unwrap();
        assert_eq!(parts.header["kid"], key["kid"]);
        assert!(public.verifies(parts.signing_input, &parts.signature));
        assert_eq!((&parts.claims["aud"], &parts.claims["exp"]), (&json!(audience), &json!(NOW + 3600)));
        assert_eq!(parts.claims["iss"], "https://accounts.google.com");
        let told = post_form(&sandbox, "/tokeninfo", &[("id_token", token)]).json();
        assert_eq!((text_field(&told, "aud"), text_field(&told, "email_verified")), (audience, "true"));
        let forged = format!("{}x", &token[..token.len() - 1]);
        let flipped = format!("{}{}", &token[..token.len() - 4], "AAAA");
        for bad in [forged, flipped] {
            let reply = post_form(&sandbox, "/tokeninfo", &[("id_token", &bad)]);
            assert!(reply.status == 400 || bad == token, "{bad}");
        }
    }
    assert!(jwt::decode(&machine).unwrap().claims["google"]["compute_engine"]["zone"].is_string());
}
