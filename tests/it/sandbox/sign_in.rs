//! Signing in to the sandbox's Google: the page, the code, the device; and everything that is refused there.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth_core::jose::jwt;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_sandbox::RunningSandbox;
use gauth_sandbox::fixtures::{
    CLIENT_ID, DEVICE_CLIENT_ID, EMAIL_SCOPE, OTHER_USER, USER, WEB_CLIENT_ID, WEB_REDIRECT_URI,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    HttpReply, bearer_authorization_header, encode_form, get_path, post_form, send_to_sandbox, start_sandbox,
    text_field,
};
use crate::support::browser::{ALLOW, ConsentChoice, Page, get_page, send_request, submit_consent, submit_form};

pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const REDIRECT_URI: &str = "http://127.0.0.1:4711/";

pub(super) fn code_challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

/// The address of a page, with parameters in place of the usual ones; an empty one takes one away.
pub(super) fn authorization_url(sandbox: &RunningSandbox, path: &str, more: &[(&str, &str)]) -> String {
    let challenge = code_challenge();
    let usual = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "openid email https://www.googleapis.com/auth/cloud-platform"),
        ("state", "s t&a"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
    ];
    let is_new = |name: &str| more.iter().any(|(known, _)| *known == name);
    let usual = usual.iter().filter(|(name, _)| !is_new(name));
    let pairs: Vec<_> = usual.chain(more).copied().filter(|(_, value)| !value.is_empty()).collect();
    format!("{}{path}?{}", sandbox.url(), encode_form(&pairs))
}

fn google_authorization_url(sandbox: &RunningSandbox, more: &[(&str, &str)]) -> String {
    authorization_url(sandbox, "/o/oauth2/v2/auth", more)
}

/// The exchange of a code, with parameters in place of the usual ones.
fn exchange_code(sandbox: &RunningSandbox, code: &str, more: &[(&str, &str)]) -> HttpReply {
    let usual = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("client_secret", sandbox.fixtures().client_secret.expose()),
        ("redirect_uri", REDIRECT_URI),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    let is_new = |name: &str| more.iter().any(|(known, _)| *known == name);
    let usual = usual.iter().filter(|(name, _)| !is_new(name));
    let pairs: Vec<_> = usual.chain(more).copied().filter(|(_, value)| !value.is_empty()).collect();
    post_form(sandbox, "/token", &pairs)
}

fn code_of_redirect(page: &Page) -> String {
    page.redirect_parameter("code").unwrap_or_default()
}

/// Signs in from the page to the tokens.
fn sign_in(sandbox: &RunningSandbox, more: &[(&str, &str)], choice: ConsentChoice<'_>) -> Value {
    let back = submit_consent(&google_authorization_url(sandbox, more), choice);
    assert_eq!(back.status, 302, "{}", back.head);
    exchange_code(sandbox, &code_of_redirect(&back), &[]).json()
}

#[test]
fn a_user_signs_in_and_the_client_gets_the_allowed_scopes() {
    let (sandbox, _) = start_sandbox(&[]);
    let url = google_authorization_url(&sandbox, &[("nonce", "n1")]);
    let back = submit_consent(&url, ALLOW);
    assert!(back.location().starts_with(&format!("{REDIRECT_URI}?")), "{}", back.location());
    let said = |name| back.redirect_parameter(name).unwrap_or_default();
    assert_eq!((said("state"), said("iss")), ("s t&a".into(), "https://accounts.google.com".into()));
    assert!(said("code").starts_with("4/"), "{}", back.location());
    assert_eq!((said("authuser"), said("prompt"), said("hd")), ("0".into(), "consent".into(), "example.com".into()));
    assert_eq!(said("scope"), format!("openid email {CLOUD_PLATFORM_SCOPE}"));
    let granted = exchange_code(&sandbox, &said("code"), &[]);
    assert_eq!(granted.status, 200, "{}", granted.json());
    assert!(granted.head.contains("no-store"), "{}", granted.head);
    let granted = granted.json();
    assert_eq!((granted["expires_in"].as_i64(), text_field(&granted, "token_type")), (Some(3599), "Bearer"));
    assert_eq!(text_field(&granted, "scope"), said("scope"));
    let told = send_to_sandbox(
        &sandbox,
        "GET",
        "/v1/userinfo",
        &bearer_authorization_header(text_field(&granted, "access_token")),
        "",
    );
    assert_eq!(text_field(&told.json(), "email"), USER);
    let claims = jwt::decode(text_field(&granted, "id_token")).unwrap().claims;
    for (name, value) in [
        ("aud", json!(CLIENT_ID)),
        ("nonce", json!("n1")),
        ("email", json!(USER)),
        ("email_verified", json!(true)),
        ("hd", json!("example.com")),
        ("iss", json!("https://accounts.google.com")),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let refreshed = super::refresh_token_grant(&sandbox, text_field(&granted, "refresh_token"), &[]);
    assert_eq!((refreshed.status, text_field(&refreshed.json(), "scope")), (200, text_field(&granted, "scope")));
}

#[test]
fn the_consent_page_names_client_and_scopes_and_loads_no_resources() {
    let (sandbox, _) = start_sandbox(&[]);
    let page = get_page(&google_authorization_url(&sandbox, &[("redirect_uri", "http://localhost:4711/x")]));
    assert_eq!(page.status, 200);
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("form-action 'self' http://localhost:4711;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    for part in [
        "<html lang=\"en\">",
        "name=\"viewport\"",
        "color-scheme:light dark",
        "<legend>Account</legend>",
        "id=\"allow\"",
        "id=\"deny\"",
        "see and change your data in Google Cloud",
        CLIENT_ID,
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    for part in ["<script", "http://", "src="] {
        assert!(!page.body.contains(part), "{part}: {}", page.body);
    }
    assert_eq!(page.input_values("account"), [USER, OTHER_USER]);
    assert_eq!(page.input_values("scope"), ["openid", "email", CLOUD_PLATFORM_SCOPE]);
    let hinted = get_page(&google_authorization_url(&sandbox, &[("login_hint", OTHER_USER)]));
    assert!(hinted.input_values("account").is_empty() && hinted.body.contains(OTHER_USER));
    let choosing = [("login_hint", OTHER_USER), ("prompt", "select_account")];
    assert_eq!(get_page(&google_authorization_url(&sandbox, &choosing)).input_values("account").len(), 2);
    let stranger = get_page(&google_authorization_url(&sandbox, &[("login_hint", "eve@example.com")]));
    assert_eq!(stranger.input_values("account").len(), 2);
}

#[test]
fn an_invalid_client_or_redirect_uri_gets_an_error_page_and_no_redirect() {
    let (sandbox, _) = start_sandbox(&[]);
    for (more, word) in [
        ([("client_id", "")], "client_id"),
        ([("client_id", "other")], "invalid_client"),
        ([("client_id", DEVICE_CLIENT_ID)], "redirect_uri_mismatch"),
        ([("client_id", WEB_CLIENT_ID)], "redirect_uri_mismatch"),
        ([("redirect_uri", "")], "redirect_uri"),
        ([("redirect_uri", "https://evil.example/")], "redirect_uri_mismatch"),
        ([("redirect_uri", "http://evil.example/")], "redirect_uri_mismatch"),
        ([("redirect_uri", "http://127.0.0.1.evil.example/")], "redirect_uri_mismatch"),
        ([("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")], "redirect_uri_mismatch"),
        ([("redirect_uri", "http://127.0.0.1:1/#x")], "redirect_uri_mismatch"),
    ] {
        let page = get_page(&google_authorization_url(&sandbox, &more));
        assert_eq!((page.status, page.location()), (400, ""), "{more:?}");
        assert!(page.body.contains(word), "{word}: {}", page.body);
    }
    let twice = get_page(&format!("{}&state=other", google_authorization_url(&sandbox, &[])));
    assert_eq!((twice.status, twice.location()), (400, ""));
    let markup = get_page(&google_authorization_url(&sandbox, &[("redirect_uri", "http://<b>")]));
    assert!(markup.body.contains("http://&lt;b&gt;"), "{}", markup.body);
}

#[test]
fn other_errors_are_sent_to_the_redirect_uri() {
    let (sandbox, _) = start_sandbox(&[]);
    for (more, error) in [
        ([("response_type", "")], "invalid_request"),
        ([("response_type", "token")], "unsupported_response_type"),
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge", "short")], "invalid_request"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
        ([("scope", "")], "invalid_request"),
        ([("scope", "cloud-platform")], "invalid_scope"),
        ([("prompt", "none consent")], "invalid_request"),
        ([("prompt", "sometimes")], "invalid_request"),
        ([("access_type", "on")], "invalid_request"),
        ([("include_granted_scopes", "yes")], "invalid_request"),
        ([("prompt", "none")], "interaction_required"),
    ] {
        let page = get_page(&google_authorization_url(&sandbox, &more));
        assert_eq!(page.status, 302, "{more:?}");
        let back = |name| page.redirect_parameter(name).unwrap_or_default();
        assert_eq!((back("error"), back("state")), (error.to_owned(), "s t&a".to_owned()), "{more:?}");
        assert_eq!(back("iss"), "https://accounts.google.com");
    }
    let stateless = get_page(&google_authorization_url(&sandbox, &[("state", ""), ("scope", "")]));
    assert_eq!(stateless.redirect_parameter("state"), None);
}

#[test]
fn the_web_client_is_redirected_to_its_registered_uri() {
    let (sandbox, _) = start_sandbox(&[]);
    let secret = sandbox.fixtures().web_client_secret.expose();
    let web = [("client_id", WEB_CLIENT_ID), ("redirect_uri", WEB_REDIRECT_URI)];
    let back = submit_consent(&google_authorization_url(&sandbox, &web), ALLOW);
    assert!(back.location().starts_with("http://localhost:8088/?state="), "{}", back.location());
    let more = [&web[..], &[("client_secret", secret)]].concat();
    assert_eq!(exchange_code(&sandbox, &code_of_redirect(&back), &more).status, 200);
    let elsewhere = [("client_id", WEB_CLIENT_ID), ("redirect_uri", "http://localhost:8088")];
    assert_eq!(get_page(&google_authorization_url(&sandbox, &elsewhere)).status, 400);
}

#[test]
fn denial_and_partial_consent_are_returned() {
    let (sandbox, _) = start_sandbox(&[]);
    let url = google_authorization_url(&sandbox, &[]);
    let no = submit_consent(&url, ConsentChoice { button: "deny", ..ALLOW });
    assert_eq!((no.status, no.redirect_parameter("error").as_deref()), (302, Some("access_denied")));
    assert_eq!((no.redirect_parameter("state").as_deref(), no.redirect_parameter("code")), (Some("s t&a"), None));
    let nothing = submit_consent(&url, ConsentChoice { scopes: Some(&[]), ..ALLOW });
    assert_eq!(nothing.redirect_parameter("error").as_deref(), Some("access_denied"));
    let few = ConsentChoice { scopes: Some(&["openid", "email"]), account: Some(OTHER_USER), ..ALLOW };
    let granted = sign_in(&sandbox, &[], few);
    assert_eq!(text_field(&granted, "scope"), "openid email");
    let told = get_path(&sandbox, &format!("/tokeninfo?access_token={}", text_field(&granted, "access_token")));
    assert_eq!(text_field(&told.json(), "email"), OTHER_USER);
    let more = ConsentChoice { scopes: Some(&["openid", EMAIL_SCOPE]), ..ALLOW };
    assert_eq!(submit_consent(&url, more).status, 400);
    assert_eq!(submit_consent(&url, ConsentChoice { account: Some("eve@example.com"), ..ALLOW }).status, 400);
    assert_eq!(submit_consent(&url, ConsentChoice { button: "maybe", ..ALLOW }).status, 400);
}

#[test]
fn a_consent_form_is_accepted_once_and_same_origin_only() {
    let (sandbox, clock) = start_sandbox(&[]);
    let url = google_authorization_url(&sandbox, &[]);
    let page = get_page(&url);
    let form_kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let fields = encode_form(&[
        ("token", &page.input_values("token")[0]),
        ("scope", "openid"),
        ("account", USER),
        ("decision", "allow"),
    ]);
    for headers in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
    ] {
        let answer = send_request("POST", &url, &format!("{form_kind}{headers}"), &fields);
        assert_eq!((answer.status, answer.location()), (403, ""), "{headers}");
    }
    // A page of another door is not this one's.
    let elsewhere = workforce_authorization_url(&sandbox);
    assert_eq!(submit_form(&url, &get_page(&elsewhere), ALLOW).status, 400);
    assert_eq!(submit_form(&url, &page, ALLOW).status, 302);
    assert_eq!(submit_form(&url, &page, ALLOW).status, 400);
    let late = get_page(&url);
    clock.0.fetch_add(601, Ordering::Relaxed);
    assert_eq!(submit_form(&url, &late, ALLOW).status, 400);
    assert_eq!(send_request("PUT", &url, "", "").status, 405);
}

fn workforce_authorization_url(sandbox: &RunningSandbox) -> String {
    let name = "locations/global/workforcePools/sandbox-workforce/providers/sandbox-idp";
    authorization_url(sandbox, "/workforce/authorize", &[("provider_name", name), ("access_type", "")])
}

#[test]
fn a_code_is_bound_to_client_redirect_uri_and_verifier() {
    let (sandbox, clock) = start_sandbox(&[]);
    let url = google_authorization_url(&sandbox, &[]);
    let good = code_of_redirect(&submit_consent(&url, ALLOW));
    let web = [("client_id", WEB_CLIENT_ID), ("client_secret", sandbox.fixtures().web_client_secret.expose())];
    for (more, error) in [
        (&[("code_verifier", "")][..], "invalid_grant"),
        (&[("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX")], "invalid_grant"),
        (&[("code_verifier", "short")], "invalid_grant"),
        (&[("redirect_uri", "http://127.0.0.1:4711")], "redirect_uri_mismatch"),
        (&[("redirect_uri", "")], "invalid_request"),
        (&[("client_secret", "other")], "invalid_client"),
        (&[("client_secret", "")], "invalid_request"),
        (&[("code", "4/other")], "invalid_grant"),
        (&[("code", "")], "invalid_request"),
        (&web, "invalid_grant"),
    ] {
        let reply = exchange_code(&sandbox, &good, more);
        assert!([400, 401].contains(&reply.status), "{more:?}");
        assert_eq!(text_field(&reply.json(), "error"), error, "{more:?}");
    }
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", good.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let elsewhere = send_to_sandbox(
        &sandbox,
        "POST",
        "/v1/oauthtoken",
        &format!(
            "{}{}",
            super::FORM_HEADER,
            super::basic_authorization_header(CLIENT_ID, sandbox.fixtures().client_secret.expose())
        ),
        &encode_form(&fields),
    );
    assert_eq!(text_field(&elsewhere.json(), "error"), "invalid_grant");
    assert_eq!(exchange_code(&sandbox, &good, &[]).status, 200);
    let late = code_of_redirect(&submit_consent(&url, ALLOW));
    clock.0.fetch_add(600, Ordering::Relaxed);
    assert_eq!(text_field(&exchange_code(&sandbox, &late, &[]).json(), "error"), "invalid_grant");
}

#[test]
fn a_reused_code_revokes_its_tokens() {
    let (sandbox, _) = start_sandbox(&[]);
    let code = code_of_redirect(&submit_consent(&google_authorization_url(&sandbox, &[]), ALLOW));
    let granted = exchange_code(&sandbox, &code, &[]).json();
    let access = bearer_authorization_header(text_field(&granted, "access_token"));
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &access, "").status, 200);
    assert_eq!(text_field(&exchange_code(&sandbox, &code, &[]).json(), "error"), "invalid_grant");
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &access, "").status, 401);
    assert_eq!(super::refresh_token_grant(&sandbox, text_field(&granted, "refresh_token"), &[]).status, 400);
}

#[test]
fn a_refresh_token_comes_with_the_first_consent_or_another_one() {
    let (sandbox, _) = start_sandbox(&[]);
    let has = |granted: &Value| granted["refresh_token"].is_string();
    assert!(!has(&sign_in(
        &sandbox,
        &[("access_type", "online"), ("scope", "email")],
        ConsentChoice { account: Some(OTHER_USER), ..ALLOW }
    )));
    let first = sign_in(&sandbox, &[], ALLOW);
    assert!(has(&first), "{first}");
    assert!(!has(&sign_in(&sandbox, &[], ALLOW)));
    assert!(has(&sign_in(&sandbox, &[("prompt", "consent")], ALLOW)));
    assert!(!has(&sign_in(&sandbox, &[("prompt", "consent"), ("access_type", "")], ALLOW)));
    // Who revokes takes the consent back.
    assert_eq!(post_form(&sandbox, "/revoke", &[("token", text_field(&first, "refresh_token"))]).status, 200);
    assert!(has(&sign_in(&sandbox, &[], ALLOW)));
}

#[test]
fn prompt_none_reuses_consent_and_granted_scopes_are_included() {
    let (sandbox, _) = start_sandbox(&[]);
    sign_in(&sandbox, &[("scope", "openid email")], ALLOW);
    let silent = [("prompt", "none"), ("scope", "email"), ("login_hint", USER)];
    let back = get_page(&google_authorization_url(&sandbox, &silent));
    assert_eq!((back.status, back.redirect_parameter("prompt").as_deref()), (302, Some("none")));
    let granted = exchange_code(&sandbox, &code_of_redirect(&back), &[]).json();
    assert_eq!((text_field(&granted, "scope"), granted.get("id_token")), ("email", None));
    for more in [("login_hint", OTHER_USER), ("scope", CLOUD_PLATFORM_SCOPE)] {
        let wish = [&silent[..1], &[more]].concat();
        let back = get_page(&google_authorization_url(&sandbox, &wish));
        assert_eq!(back.redirect_parameter("error").as_deref(), Some("interaction_required"), "{more:?}");
    }
    let more = [("scope", CLOUD_PLATFORM_SCOPE), ("include_granted_scopes", "true")];
    let granted = sign_in(&sandbox, &more, ALLOW);
    assert_eq!(text_field(&granted, "scope"), format!("{CLOUD_PLATFORM_SCOPE} openid email"));
}

#[test]
fn access_and_refresh_tokens_can_be_revoked_once() {
    let (sandbox, _) = start_sandbox(&[]);
    for kind in ["refresh_token", "access_token"] {
        let granted = sign_in(&sandbox, &[("prompt", "consent")], ALLOW);
        let token = [("token", text_field(&granted, kind))];
        assert_eq!(post_form(&sandbox, "/revoke", &token).status, 200, "{kind}");
        let again = post_form(&sandbox, "/revoke", &token);
        assert_eq!((again.status, text_field(&again.json(), "error")), (400, "invalid_token"));
        let access = bearer_authorization_header(text_field(&granted, "access_token"));
        assert_eq!(send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &access, "").status, 401);
        let refreshed = super::refresh_token_grant(&sandbox, text_field(&granted, "refresh_token"), &[]);
        assert_eq!(text_field(&refreshed.json(), "error"), "invalid_grant");
    }
    let query = send_to_sandbox(&sandbox, "POST", "/revoke?token=1//other", super::FORM_HEADER, "");
    assert_eq!(text_field(&query.json(), "error"), "invalid_token");
    assert_eq!(text_field(&post_form(&sandbox, "/revoke", &[]).json(), "error"), "invalid_request");
}

#[test]
fn redirect_faults_can_be_configured() {
    for (fault, name, forged) in [("wrong-state", "state", "forged"), ("wrong-issuer", "iss", "https://other.example")]
    {
        let (sandbox, _) = start_sandbox(&[&format!("authorize={fault}")]);
        let back = submit_consent(&google_authorization_url(&sandbox, &[]), ALLOW);
        assert_eq!(back.redirect_parameter(name).as_deref(), Some(forged));
        assert_eq!(exchange_code(&sandbox, &code_of_redirect(&back), &[]).status, 200);
    }
}

fn request_device_code(sandbox: &RunningSandbox, more: &[(&str, &str)]) -> HttpReply {
    let usual = [("client_id", DEVICE_CLIENT_ID), ("scope", "openid email")];
    let is_new = |name: &str| more.iter().any(|(known, _)| *known == name);
    let usual = usual.iter().filter(|(name, _)| !is_new(name));
    let pairs: Vec<_> = usual.chain(more).copied().filter(|(_, value)| !value.is_empty()).collect();
    post_form(sandbox, "/device/code", &pairs)
}

fn poll_device_code(sandbox: &RunningSandbox, device_code: &str) -> (u16, Value) {
    let reply = post_form(
        sandbox,
        "/token",
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", DEVICE_CLIENT_ID),
            ("client_secret", sandbox.fixtures().device_client_secret.expose()),
            ("device_code", device_code),
        ],
    );
    (reply.status, reply.json())
}

#[test]
fn a_device_gets_authorization_pending_until_its_code_is_entered() {
    let (sandbox, clock) = start_sandbox(&[]);
    let later = |seconds| clock.0.fetch_add(seconds, Ordering::Relaxed);
    let begun = request_device_code(&sandbox, &[]);
    assert_eq!(begun.status, 200, "{}", begun.json());
    let begun = begun.json();
    assert_eq!((begun["interval"].as_i64(), begun["expires_in"].as_i64()), (Some(1), Some(1800)));
    let url = format!("{}/device", sandbox.url());
    assert_eq!(text_field(&begun, "verification_url"), url);
    let user_code = text_field(&begun, "user_code");
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");
    let device = text_field(&begun, "device_code");
    let poll = || {
        let (status, said) = poll_device_code(&sandbox, device);
        (status, text_field(&said, "error").to_owned())
    };
    assert_eq!(poll(), (428, "authorization_pending".to_owned()));
    later(1);
    assert_eq!(poll(), (428, "authorization_pending".to_owned()));
    // Too soon, and from now on it is five seconds more.
    assert_eq!(poll(), (403, "slow_down".to_owned()));
    later(5);
    assert_eq!(poll(), (403, "slow_down".to_owned()));
    later(11);
    assert_eq!(poll(), (428, "authorization_pending".to_owned()));
    assert!(get_page(&url).body.contains("name=\"user_code\""));
    assert_eq!(get_page(&format!("{url}?user_code=AAAA-AAAA")).status, 400);
    let typed = user_code.to_lowercase().replace('-', "+");
    let done =
        submit_consent(&format!("{url}?user_code={typed}"), ConsentChoice { scopes: Some(&["openid"]), ..ALLOW });
    assert_eq!((done.status, done.location()), (200, ""));
    assert_eq!(get_page(&format!("{url}?user_code={user_code}")).status, 400);
    later(11);
    let (status, granted) = poll_device_code(&sandbox, device);
    assert_eq!(status, 200, "{granted}");
    assert_eq!(text_field(&granted, "scope"), "openid");
    assert!(granted["refresh_token"].is_string() && granted["id_token"].is_string(), "{granted}");
    later(11);
    assert_eq!(poll(), (400, "invalid_grant".to_owned()));
}

#[test]
fn a_device_is_refused_what_google_refuses() {
    let (sandbox, clock) = start_sandbox(&[]);
    for (more, error) in [
        ([("client_id", CLIENT_ID)], "invalid_client"),
        ([("client_id", "other")], "invalid_client"),
        ([("client_id", "")], "invalid_request"),
        ([("scope", "")], "invalid_request"),
        ([("scope", "openid https://www.googleapis.com/auth/cloud-platform")], "invalid_scope"),
        ([("scope", "openid words")], "invalid_scope"),
    ] {
        assert_eq!(text_field(&request_device_code(&sandbox, &more).json(), "error"), error, "{more:?}");
    }
    let tube = "https://www.googleapis.com/auth/youtube.readonly https://www.googleapis.com/auth/drive.file";
    assert_eq!(request_device_code(&sandbox, &[("scope", tube)]).status, 200);
    assert_eq!(poll_device_code(&sandbox, "other").1["error"], "invalid_grant");
    let begun = request_device_code(&sandbox, &[]).json();
    let url = format!("{}/device?user_code={}", sandbox.url(), text_field(&begun, "user_code"));
    submit_consent(&url, ConsentChoice { button: "deny", ..ALLOW });
    let (status, said) = poll_device_code(&sandbox, text_field(&begun, "device_code"));
    assert_eq!((status, text_field(&said, "error")), (403, "access_denied"));
    let begun = request_device_code(&sandbox, &[]).json();
    clock.0.fetch_add(1800, Ordering::Relaxed);
    let (status, said) = poll_device_code(&sandbox, text_field(&begun, "device_code"));
    assert_eq!((status, text_field(&said, "error")), (400, "expired_token"));
}

#[test]
fn device_interval_and_expiry_can_be_configured() {
    let (hurried, _) = start_sandbox(&["device-code=slow-down"]);
    let begun = request_device_code(&hurried, &[]).json();
    assert_eq!(text_field(&poll_device_code(&hurried, text_field(&begun, "device_code")).1, "error"), "slow_down");
    let (brief, clock) = start_sandbox(&["device-code=brief"]);
    let begun = request_device_code(&brief, &[]).json();
    assert_eq!(begun["expires_in"], 2);
    clock.0.fetch_add(2, Ordering::Relaxed);
    assert_eq!(text_field(&poll_device_code(&brief, text_field(&begun, "device_code")).1, "error"), "expired_token");
}
