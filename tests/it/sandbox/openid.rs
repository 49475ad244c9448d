//! Somebody else's OpenID provider, and a person of a workforce pool who signs in by browser.

use std::sync::atomic::Ordering;

use gauth::jwks::Jwks;
use gauth::jwt;
use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::{
    CLIENT_ID, CONFIDENTIAL_CLIENT_ID, PUBLIC_CLIENT_ID, USER, WORKFORCE_PROVIDER,
    WORKLOAD_PROVIDER,
};
use gauth::token::CLOUD_PLATFORM;
use serde_json::Value;

use super::login::{BACK, VERIFIER, page};
use super::sts::introspected;
use super::{FORM, Reply, ask, basic, bearer, encoded, form, get, sandbox, text};
use crate::support::browser::{ALLOW, Choice, decide, visit};

fn outside(sandbox: &Running, more: &[(&str, &str)]) -> String {
    let ours = [
        ("client_id", PUBLIC_CLIENT_ID),
        ("scope", "openid email offline_access"),
        ("access_type", ""),
    ];
    let kept = ours.iter().filter(|(name, _)| !more.iter().any(|(known, _)| known == name));
    let all: Vec<_> = kept.chain(more).copied().collect();
    page(sandbox, "/oidc/authorize", &all)
}

fn redeemed(sandbox: &Running, code: &str, headers: &str, more: &[(&str, &str)]) -> Reply {
    let usual = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", BACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    ask(
        sandbox,
        "POST",
        "/oidc/token",
        &format!("{FORM}{headers}"),
        &encoded(&[&usual[..], more].concat()),
    )
}

const PUBLIC: [(&str, &str); 1] = [("client_id", PUBLIC_CLIENT_ID)];

fn tokens(sandbox: &Running) -> Value {
    let back = decide(&outside(sandbox, &[("nonce", "n2")]), ALLOW);
    assert_eq!(back.back("iss"), Some(format!("{}/oidc", sandbox.url())));
    redeemed(sandbox, &back.back("code").unwrap(), "", &PUBLIC).json()
}

fn exchange(sandbox: &Running, audience: &str, token: &str) -> Reply {
    form(
        sandbox,
        "/v1/token",
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", audience),
            ("scope", CLOUD_PLATFORM),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ],
    )
}

#[test]
fn an_id_token_from_elsewhere_is_good_at_sts_for_both_pools() {
    let (sandbox, _) = sandbox(&[]);
    let tokens = tokens(&sandbox);
    let id_token = text(&tokens, "id_token");
    let parts = jwt::parts(id_token).unwrap();
    assert_eq!(
        (&parts.claims["aud"], &parts.claims["nonce"]),
        (&PUBLIC_CLIENT_ID.into(), &"n2".into())
    );
    assert_eq!((&parts.claims["sub"], &parts.claims["email"]), (&USER.into(), &USER.into()));
    let keys = get(&sandbox, "/oidc/jwks");
    let keys = Jwks::parse(&keys.body).unwrap();
    let key = &keys.named(parts.header["kid"].as_str().unwrap())[0];
    assert!(key.verifies(parts.message, &parts.signature));
    for audience in [WORKLOAD_PROVIDER, WORKFORCE_PROVIDER] {
        let issued = exchange(&sandbox, audience, id_token);
        assert_eq!(issued.status, 200, "{}", issued.json());
        let told = introspected(&sandbox, text(&issued.json(), "access_token"));
        assert!(text(&told, "username").ends_with(USER), "{told}");
    }
    // Its access tokens are nothing to Google.
    let access = text(&tokens, "access_token");
    assert_eq!(ask(&sandbox, "GET", "/api", &bearer(access), "").status, 401);
    assert_eq!(introspected(&sandbox, access)["active"], false);
    assert_eq!(form(&sandbox, "/revoke", &[("token", text(&tokens, "refresh_token"))]).status, 400);
}

#[test]
fn its_refresh_tokens_are_good_once_and_end_together() {
    let (sandbox, _) = sandbox(&[]);
    let first = tokens(&sandbox);
    let refresh = |token: &str| {
        form(
            &sandbox,
            "/oidc/token",
            &[&PUBLIC[..], &[("grant_type", "refresh_token"), ("refresh_token", token)]].concat(),
        )
    };
    let second = refresh(text(&first, "refresh_token")).json();
    assert!(second["id_token"].is_string() && second["refresh_token"].is_string(), "{second}");
    let claims = jwt::parts(text(&second, "id_token")).unwrap().claims;
    assert!(claims.get("nonce").is_none());
    assert_eq!(text(&refresh(text(&first, "refresh_token")).json(), "error"), "invalid_grant");
    assert_eq!(text(&refresh(text(&second, "refresh_token")).json(), "error"), "invalid_grant");
}

#[test]
fn its_clients_are_known_by_header_or_parameters() {
    let (sandbox, _) = sandbox(&[]);
    let secret = sandbox.cast().outside.client_secret.expose();
    let confidential = [("client_id", CONFIDENTIAL_CLIENT_ID)];
    let code = || decide(&outside(&sandbox, &confidential), ALLOW).back("code").unwrap();
    let in_body = [("client_id", CONFIDENTIAL_CLIENT_ID), ("client_secret", secret)];
    let wrong = [("client_id", CONFIDENTIAL_CLIENT_ID), ("client_secret", "other")];
    let public = [("client_id", PUBLIC_CLIENT_ID), ("client_secret", "any")];
    for (headers, fields, status) in [
        (basic(CONFIDENTIAL_CLIENT_ID, secret), &[][..], 200),
        (String::new(), &in_body, 200),
        (basic(CONFIDENTIAL_CLIENT_ID, "other"), &[], 401),
        (String::new(), &confidential, 401),
        (String::new(), &wrong, 401),
        (String::new(), &public, 401),
        (String::new(), &[], 400),
        (basic(CLIENT_ID, sandbox.cast().client_secret.expose()), &[], 401),
    ] {
        let reply = redeemed(&sandbox, &code(), &headers, fields);
        assert_eq!(reply.status, status, "{headers}{fields:?}: {}", reply.json());
    }
    assert_eq!(visit(&outside(&sandbox, &[("client_id", CLIENT_ID)])).status, 400);
    let foreign = visit(&outside(&sandbox, &[("scope", CLOUD_PLATFORM)]));
    assert_eq!(foreign.back("error").as_deref(), Some("invalid_scope"));
    let online = decide(&outside(&sandbox, &[("scope", "openid")]), ALLOW).back("code").unwrap();
    let online = redeemed(&sandbox, &online, "", &PUBLIC).json();
    assert!(online.get("refresh_token").is_none() && online["id_token"].is_string(), "{online}");
    let unknown =
        form(&sandbox, "/oidc/token", &[&PUBLIC[..], &[("grant_type", "password")]].concat());
    assert_eq!(text(&unknown.json(), "error"), "unsupported_grant_type");
}

#[test]
fn a_revoked_login_elsewhere_is_over() {
    let (sandbox, _) = sandbox(&[]);
    let tokens = tokens(&sandbox);
    let revoke = |client: &str, token: &str| {
        form(&sandbox, "/oidc/revoke", &[("client_id", client), ("token", token)])
    };
    let refresh_token = text(&tokens, "refresh_token");
    let secret = sandbox.cast().outside.client_secret.expose();
    let fields = [
        ("client_id", CONFIDENTIAL_CLIENT_ID),
        ("client_secret", secret),
        ("token", refresh_token),
    ];
    assert_eq!(
        text(&form(&sandbox, "/oidc/revoke", &fields).json(), "error"),
        "unauthorized_client"
    );
    assert_eq!(revoke("other", refresh_token).status, 401);
    // RFC 7009, 2.2: what is nothing is as good as revoked.
    for token in [refresh_token, refresh_token, "other"] {
        assert_eq!(revoke(PUBLIC_CLIENT_ID, token).status, 200);
    }
    let fields =
        [&PUBLIC[..], &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]]
            .concat();
    assert_eq!(text(&form(&sandbox, "/oidc/token", &fields).json(), "error"), "invalid_grant");
}

#[test]
fn a_device_signs_in_elsewhere_in_the_words_of_the_standard() {
    let (sandbox, clock) = sandbox(&[]);
    let begun = form(
        &sandbox,
        "/oidc/device/code",
        &[&PUBLIC[..], &[("scope", "openid offline_access")]].concat(),
    )
    .json();
    let complete = text(&begun, "verification_uri_complete");
    assert_eq!(
        complete,
        format!("{}?user_code={}", text(&begun, "verification_uri"), text(&begun, "user_code"))
    );
    assert!(begun.get("verification_url").is_none());
    let poll = || {
        clock.0.fetch_add(1, Ordering::Relaxed);
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", text(&begun, "device_code")),
        ];
        form(&sandbox, "/oidc/token", &[&PUBLIC[..], &fields].concat())
    };
    let waiting = poll();
    assert_eq!((waiting.status, text(&waiting.json(), "error")), (400, "authorization_pending"));
    // Google's page does not know this code.
    let googles = complete.replace("/oidc/device", "/device");
    assert_eq!(visit(&googles).status, 400);
    assert_eq!(decide(complete, ALLOW).status, 200);
    let granted = poll().json();
    assert!(granted["id_token"].is_string() && granted["refresh_token"].is_string(), "{granted}");
}

#[test]
fn both_issuers_describe_themselves() {
    let (sandbox, _) = sandbox(&[]);
    for (root, issuer) in [
        ("", "https://accounts.google.com".to_owned()),
        ("/oidc", format!("{}/oidc", sandbox.url())),
    ] {
        let told = get(&sandbox, &format!("{root}/.well-known/openid-configuration")).json();
        assert_eq!(text(&told, "issuer"), issuer);
        assert_eq!(told["code_challenge_methods_supported"][0], "S256");
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "device_authorization_endpoint",
            "revocation_endpoint",
        ] {
            let path = text(&told, name).strip_prefix(sandbox.url()).expect(name).to_owned();
            assert_ne!(get(&sandbox, &path).status, 404, "{name}");
        }
    }
    assert_eq!(sandbox.count(""), 0);
    assert_eq!(ask(&sandbox, "POST", "/oidc/jwks", "", "").status, 405);
}

const PROVIDER: &str = "locations/global/workforcePools/sandbox-workforce/providers/sandbox-idp";

fn workforce(sandbox: &Running, more: &[(&str, &str)]) -> String {
    let ours = [("provider_name", PROVIDER), ("scope", CLOUD_PLATFORM), ("access_type", "")];
    let kept = ours.iter().filter(|(name, _)| !more.iter().any(|(known, _)| known == name));
    let all: Vec<_> = kept.chain(more).copied().collect();
    page(sandbox, "/workforce/authorize", &all)
}

#[test]
fn a_person_of_the_workforce_pool_signs_in_by_browser() {
    let (sandbox, _) = sandbox(&[]);
    let secret = sandbox.cast().client_secret.expose();
    let back = decide(&workforce(&sandbox, &[]), ALLOW);
    assert_eq!((back.back("state").as_deref(), back.back("iss")), (Some("s t&a"), None));
    let code = back.back("code").unwrap();
    let usual = [
        ("grant_type", "authorization_code"),
        ("redirect_uri", BACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let redeem = |headers: &str, fields: &[(&str, &str)]| {
        ask(&sandbox, "POST", "/v1/oauthtoken", &format!("{FORM}{headers}"), &encoded(fields))
    };
    let client = basic(CLIENT_ID, secret);
    let in_body = [&usual[..], &[("client_id", CLIENT_ID), ("client_secret", secret)]].concat();
    assert_eq!(redeem("", &in_body).status, 401);
    let both = redeem(&client, &in_body);
    assert_eq!((both.status, text(&both.json(), "error")), (400, "invalid_request"));
    let without = redeem(&client, &usual[..3]);
    assert_eq!(text(&without.json(), "error_description"), "Missing code verifier.");
    let granted = redeem(&client, &usual).json();
    let mut names: Vec<_> = granted.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["access_token", "expires_in", "refresh_token", "token_type"]);
    let told = introspected(&sandbox, text(&granted, "access_token"));
    assert!(text(&told, "username").ends_with(&format!("/subject/{USER}")), "{told}");
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", text(&granted, "refresh_token"))];
    assert_eq!(redeem(&client, &fields).status, 200);
    for name in ["", "locations/global/workforcePools/other/providers/x"] {
        let back = visit(&workforce(&sandbox, &[("provider_name", name)]));
        assert_eq!(back.back("error").as_deref(), Some("invalid_request"), "{name}");
    }
    let no = decide(&workforce(&sandbox, &[]), Choice { button: "deny", ..ALLOW });
    assert_eq!(no.back("error").as_deref(), Some("access_denied"));
}
