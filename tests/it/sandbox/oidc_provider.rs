//! Somebody else's OpenID provider, and a person of a workforce pool who signs in by browser.

use std::sync::atomic::Ordering;

use gauth_core::jose::jwks::Jwks;
use gauth_core::jose::jwt;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_sandbox::RunningSandbox;
use gauth_sandbox::fixtures::{
    CLIENT_ID, CONFIDENTIAL_CLIENT_ID, PUBLIC_CLIENT_ID, USER, WORKFORCE_PROVIDER, WORKLOAD_PROVIDER,
};
use serde_json::Value;

use super::sign_in::{REDIRECT_URI, VERIFIER, authorization_url};
use super::sts::introspect;
use super::{
    FORM_HEADER, HttpReply, basic_authorization_header, bearer_authorization_header, encode_form, get_path, post_form,
    send_to_sandbox, start_sandbox, text_field,
};
use crate::support::browser::{ALLOW, ConsentChoice, get_page, submit_consent};

fn idp_authorization_url(sandbox: &RunningSandbox, more: &[(&str, &str)]) -> String {
    let ours = [("client_id", PUBLIC_CLIENT_ID), ("scope", "openid email offline_access"), ("access_type", "")];
    let kept = ours.iter().filter(|(name, _)| !more.iter().any(|(known, _)| known == name));
    let all: Vec<_> = kept.chain(more).copied().collect();
    authorization_url(sandbox, "/oidc/authorize", &all)
}

fn exchange_code(sandbox: &RunningSandbox, code: &str, headers: &str, more: &[(&str, &str)]) -> HttpReply {
    let usual = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    send_to_sandbox(
        sandbox,
        "POST",
        "/oidc/token",
        &format!("{FORM_HEADER}{headers}"),
        &encode_form(&[&usual[..], more].concat()),
    )
}

const PUBLIC_CLIENT: [(&str, &str); 1] = [("client_id", PUBLIC_CLIENT_ID)];

fn sign_in_tokens(sandbox: &RunningSandbox) -> Value {
    let back = submit_consent(&idp_authorization_url(sandbox, &[("nonce", "n2")]), ALLOW);
    assert_eq!(back.redirect_parameter("iss"), Some(format!("{}/oidc", sandbox.url())));
    exchange_code(sandbox, &back.redirect_parameter("code").unwrap(), "", &PUBLIC_CLIENT).json()
}

fn exchange_id_token(sandbox: &RunningSandbox, audience: &str, token: &str) -> HttpReply {
    post_form(
        sandbox,
        "/v1/token",
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", audience),
            ("scope", CLOUD_PLATFORM_SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ],
    )
}

#[test]
fn an_external_id_token_is_accepted_by_the_sts_for_both_pools() {
    let (sandbox, _) = start_sandbox(&[]);
    let tokens = sign_in_tokens(&sandbox);
    let id_token = text_field(&tokens, "id_token");
    let parts = jwt::decode(id_token).unwrap();
    assert_eq!((&parts.claims["aud"], &parts.claims["nonce"]), (&PUBLIC_CLIENT_ID.into(), &"n2".into()));
    assert_eq!((&parts.claims["sub"], &parts.claims["email"]), (&USER.into(), &USER.into()));
    let keys = get_path(&sandbox, "/oidc/jwks");
    let keys = Jwks::parse(&keys.body).unwrap();
    let key = &keys.keys_with_id(parts.header["kid"].as_str().unwrap())[0];
    assert!(key.verifies(parts.signing_input, &parts.signature));
    for audience in [WORKLOAD_PROVIDER, WORKFORCE_PROVIDER] {
        let issued = exchange_id_token(&sandbox, audience, id_token);
        assert_eq!(issued.status, 200, "{}", issued.json());
        let told = introspect(&sandbox, text_field(&issued.json(), "access_token"));
        assert!(text_field(&told, "username").ends_with(USER), "{told}");
    }
    // Its access tokens are nothing to Google.
    let access = text_field(&tokens, "access_token");
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/api", &bearer_authorization_header(access), "").status, 401);
    assert_eq!(introspect(&sandbox, access)["active"], false);
    assert_eq!(post_form(&sandbox, "/revoke", &[("token", text_field(&tokens, "refresh_token"))]).status, 400);
}

#[test]
fn the_providers_refresh_tokens_rotate_and_are_revoked_together() {
    let (sandbox, _) = start_sandbox(&[]);
    let first = sign_in_tokens(&sandbox);
    let refresh = |token: &str| {
        post_form(
            &sandbox,
            "/oidc/token",
            &[&PUBLIC_CLIENT[..], &[("grant_type", "refresh_token"), ("refresh_token", token)]].concat(),
        )
    };
    let second = refresh(text_field(&first, "refresh_token")).json();
    assert!(second["id_token"].is_string() && second["refresh_token"].is_string(), "{second}");
    let claims = jwt::decode(text_field(&second, "id_token")).unwrap().claims;
    assert!(claims.get("nonce").is_none());
    assert_eq!(text_field(&refresh(text_field(&first, "refresh_token")).json(), "error"), "invalid_grant");
    assert_eq!(text_field(&refresh(text_field(&second, "refresh_token")).json(), "error"), "invalid_grant");
}

#[test]
fn the_providers_clients_authenticate_by_header_or_body() {
    let (sandbox, _) = start_sandbox(&[]);
    let secret = sandbox.fixtures().external.client_secret.expose();
    let confidential = [("client_id", CONFIDENTIAL_CLIENT_ID)];
    let code =
        || submit_consent(&idp_authorization_url(&sandbox, &confidential), ALLOW).redirect_parameter("code").unwrap();
    let in_body = [("client_id", CONFIDENTIAL_CLIENT_ID), ("client_secret", secret)];
    let wrong = [("client_id", CONFIDENTIAL_CLIENT_ID), ("client_secret", "other")];
    let public = [("client_id", PUBLIC_CLIENT_ID), ("client_secret", "any")];
    for (headers, fields, status) in [
        (basic_authorization_header(CONFIDENTIAL_CLIENT_ID, secret), &[][..], 200),
        (String::new(), &in_body, 200),
        (basic_authorization_header(CONFIDENTIAL_CLIENT_ID, "other"), &[], 401),
        (String::new(), &confidential, 401),
        (String::new(), &wrong, 401),
        (String::new(), &public, 401),
        (String::new(), &[], 400),
        (basic_authorization_header(CLIENT_ID, sandbox.fixtures().client_secret.expose()), &[], 401),
    ] {
        let reply = exchange_code(&sandbox, &code(), &headers, fields);
        assert_eq!(reply.status, status, "{headers}{fields:?}: {}", reply.json());
    }
    assert_eq!(get_page(&idp_authorization_url(&sandbox, &[("client_id", CLIENT_ID)])).status, 400);
    let foreign = get_page(&idp_authorization_url(&sandbox, &[("scope", CLOUD_PLATFORM_SCOPE)]));
    assert_eq!(foreign.redirect_parameter("error").as_deref(), Some("invalid_scope"));
    let online = submit_consent(&idp_authorization_url(&sandbox, &[("scope", "openid")]), ALLOW)
        .redirect_parameter("code")
        .unwrap();
    let online = exchange_code(&sandbox, &online, "", &PUBLIC_CLIENT).json();
    assert!(online.get("refresh_token").is_none() && online["id_token"].is_string(), "{online}");
    let unknown = post_form(&sandbox, "/oidc/token", &[&PUBLIC_CLIENT[..], &[("grant_type", "password")]].concat());
    assert_eq!(text_field(&unknown.json(), "error"), "unsupported_grant_type");
}

#[test]
fn a_revoked_external_login_is_invalid() {
    let (sandbox, _) = start_sandbox(&[]);
    let tokens = sign_in_tokens(&sandbox);
    let revoke =
        |client: &str, token: &str| post_form(&sandbox, "/oidc/revoke", &[("client_id", client), ("token", token)]);
    let refresh_token = text_field(&tokens, "refresh_token");
    let secret = sandbox.fixtures().external.client_secret.expose();
    let fields = [("client_id", CONFIDENTIAL_CLIENT_ID), ("client_secret", secret), ("token", refresh_token)];
    assert_eq!(text_field(&post_form(&sandbox, "/oidc/revoke", &fields).json(), "error"), "unauthorized_client");
    assert_eq!(revoke("other", refresh_token).status, 401);
    // RFC 7009, 2.2: what is nothing is as good as revoked.
    for token in [refresh_token, refresh_token, "other"] {
        assert_eq!(revoke(PUBLIC_CLIENT_ID, token).status, 200);
    }
    let fields = [&PUBLIC_CLIENT[..], &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]].concat();
    assert_eq!(text_field(&post_form(&sandbox, "/oidc/token", &fields).json(), "error"), "invalid_grant");
}

#[test]
fn a_device_signs_in_at_the_provider_as_rfc_8628_says() {
    let (sandbox, clock) = start_sandbox(&[]);
    let begun =
        post_form(&sandbox, "/oidc/device/code", &[&PUBLIC_CLIENT[..], &[("scope", "openid offline_access")]].concat())
            .json();
    let complete = text_field(&begun, "verification_uri_complete");
    assert_eq!(
        complete,
        format!("{}?user_code={}", text_field(&begun, "verification_uri"), text_field(&begun, "user_code"))
    );
    assert!(begun.get("verification_url").is_none());
    let poll = || {
        clock.0.fetch_add(1, Ordering::Relaxed);
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", text_field(&begun, "device_code")),
        ];
        post_form(&sandbox, "/oidc/token", &[&PUBLIC_CLIENT[..], &fields].concat())
    };
    let waiting = poll();
    assert_eq!((waiting.status, text_field(&waiting.json(), "error")), (400, "authorization_pending"));
    // Google's page does not know this code.
    let googles = complete.replace("/oidc/device", "/device");
    assert_eq!(get_page(&googles).status, 400);
    assert_eq!(submit_consent(complete, ALLOW).status, 200);
    let granted = poll().json();
    assert!(granted["id_token"].is_string() && granted["refresh_token"].is_string(), "{granted}");
}

#[test]
fn both_issuers_describe_themselves() {
    let (sandbox, _) = start_sandbox(&[]);
    for (root, issuer) in [("", "https://accounts.google.com".to_owned()), ("/oidc", format!("{}/oidc", sandbox.url()))]
    {
        let told = get_path(&sandbox, &format!("{root}/.well-known/openid-configuration")).json();
        assert_eq!(text_field(&told, "issuer"), issuer);
        assert_eq!(told["code_challenge_methods_supported"][0], "S256");
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "device_authorization_endpoint",
            "revocation_endpoint",
        ] {
            let path = text_field(&told, name).strip_prefix(sandbox.url()).expect(name).to_owned();
            assert_ne!(get_path(&sandbox, &path).status, 404, "{name}");
        }
    }
    assert_eq!(sandbox.request_count(""), 0);
    assert_eq!(send_to_sandbox(&sandbox, "POST", "/oidc/jwks", "", "").status, 405);
}

const PROVIDER: &str = "locations/global/workforcePools/sandbox-workforce/providers/sandbox-idp";

fn workforce_authorization_url(sandbox: &RunningSandbox, more: &[(&str, &str)]) -> String {
    let ours = [("provider_name", PROVIDER), ("scope", CLOUD_PLATFORM_SCOPE), ("access_type", "")];
    let kept = ours.iter().filter(|(name, _)| !more.iter().any(|(known, _)| known == name));
    let all: Vec<_> = kept.chain(more).copied().collect();
    authorization_url(sandbox, "/workforce/authorize", &all)
}

#[test]
fn a_workforce_pool_user_signs_in_by_browser() {
    let (sandbox, _) = start_sandbox(&[]);
    let secret = sandbox.fixtures().client_secret.expose();
    let back = submit_consent(&workforce_authorization_url(&sandbox, &[]), ALLOW);
    assert_eq!((back.redirect_parameter("state").as_deref(), back.redirect_parameter("iss")), (Some("s t&a"), None));
    let code = back.redirect_parameter("code").unwrap();
    let usual = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let redeem = |headers: &str, fields: &[(&str, &str)]| {
        send_to_sandbox(&sandbox, "POST", "/v1/oauthtoken", &format!("{FORM_HEADER}{headers}"), &encode_form(fields))
    };
    let client = basic_authorization_header(CLIENT_ID, secret);
    let in_body = [&usual[..], &[("client_id", CLIENT_ID), ("client_secret", secret)]].concat();
    assert_eq!(redeem("", &in_body).status, 401);
    let both = redeem(&client, &in_body);
    assert_eq!((both.status, text_field(&both.json(), "error")), (400, "invalid_request"));
    let without = redeem(&client, &usual[..3]);
    assert_eq!(text_field(&without.json(), "error_description"), "Missing code verifier.");
    let granted = redeem(&client, &usual).json();
    let mut names: Vec<_> = granted.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["access_token", "expires_in", "refresh_token", "token_type"]);
    let told = introspect(&sandbox, text_field(&granted, "access_token"));
    assert!(text_field(&told, "username").ends_with(&format!("/subject/{USER}")), "{told}");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", text_field(&granted, "refresh_token"))];
    assert_eq!(redeem(&client, &fields).status, 200);
    for name in ["", "locations/global/workforcePools/other/providers/x"] {
        let back = get_page(&workforce_authorization_url(&sandbox, &[("provider_name", name)]));
        assert_eq!(back.redirect_parameter("error").as_deref(), Some("invalid_request"), "{name}");
    }
    let no = submit_consent(&workforce_authorization_url(&sandbox, &[]), ConsentChoice { button: "deny", ..ALLOW });
    assert_eq!(no.redirect_parameter("error").as_deref(), Some("access_denied"));
}
