//! Signing in to the sandbox's Google: the page, the code, the device; and everything that is refused there.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth::jwt;
use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::{
    CLIENT_ID, DEVICE_CLIENT_ID, EMAIL_SCOPE, OTHER_USER, USER, WEB_CLIENT_ID, WEB_REDIRECT_URI,
};
use gauth::token::CLOUD_PLATFORM;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Reply, ask, bearer, encoded, form, get, sandbox, text};
use crate::support::browser::{ALLOW, Choice, Page, decide, press, send, visit};

pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const BACK: &str = "http://127.0.0.1:4711/";

pub(super) fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

/// The address of a page, with parameters in place of the usual ones; an empty one takes one away.
pub(super) fn page(sandbox: &Running, path: &str, more: &[(&str, &str)]) -> String {
    let challenge = challenge();
    let usual = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", BACK),
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
    format!("{}{path}?{}", sandbox.url(), encoded(&pairs))
}

fn google(sandbox: &Running, more: &[(&str, &str)]) -> String {
    page(sandbox, "/o/oauth2/v2/auth", more)
}

/// The exchange of a code, with parameters in place of the usual ones.
fn exchanged(sandbox: &Running, code: &str, more: &[(&str, &str)]) -> Reply {
    let usual = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT_ID),
        ("client_secret", sandbox.cast().client_secret.expose()),
        ("redirect_uri", BACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    let is_new = |name: &str| more.iter().any(|(known, _)| *known == name);
    let usual = usual.iter().filter(|(name, _)| !is_new(name));
    let pairs: Vec<_> = usual.chain(more).copied().filter(|(_, value)| !value.is_empty()).collect();
    form(sandbox, "/token", &pairs)
}

fn code(page: &Page) -> String {
    page.back("code").unwrap_or_default()
}

/// Signs in from the page to the tokens.
fn signed_in(sandbox: &Running, more: &[(&str, &str)], choice: Choice<'_>) -> Value {
    let back = decide(&google(sandbox, more), choice);
    assert_eq!(back.status, 302, "{}", back.head);
    exchanged(sandbox, &code(&back), &[]).json()
}

#[test]
fn a_person_signs_in_and_the_program_gets_what_they_allowed() {
    let (sandbox, _) = sandbox(&[]);
    let url = google(&sandbox, &[("nonce", "n1")]);
    let back = decide(&url, ALLOW);
    assert!(back.location().starts_with(&format!("{BACK}?")), "{}", back.location());
    let said = |name| back.back(name).unwrap_or_default();
    assert_eq!(
        (said("state"), said("iss")),
        ("s t&a".into(), "https://accounts.google.com".into())
    );
    assert!(said("code").starts_with("4/"), "{}", back.location());
    assert_eq!(
        (said("authuser"), said("prompt"), said("hd")),
        ("0".into(), "consent".into(), "example.com".into())
    );
    assert_eq!(said("scope"), format!("openid email {CLOUD_PLATFORM}"));
    let granted = exchanged(&sandbox, &said("code"), &[]);
    assert_eq!(granted.status, 200, "{}", granted.json());
    assert!(granted.head.contains("no-store"), "{}", granted.head);
    let granted = granted.json();
    assert_eq!(
        (granted["expires_in"].as_i64(), text(&granted, "token_type")),
        (Some(3599), "Bearer")
    );
    assert_eq!(text(&granted, "scope"), said("scope"));
    let told = ask(&sandbox, "GET", "/v1/userinfo", &bearer(text(&granted, "access_token")), "");
    assert_eq!(text(&told.json(), "email"), USER);
    let claims = jwt::parts(text(&granted, "id_token")).unwrap().claims;
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
    let refreshed = super::refresh_with(&sandbox, text(&granted, "refresh_token"), &[]);
    assert_eq!(
        (refreshed.status, text(&refreshed.json(), "scope")),
        (200, text(&granted, "scope"))
    );
}

#[test]
fn the_page_says_who_and_for_what_and_needs_nothing_else() {
    let (sandbox, _) = sandbox(&[]);
    let page = visit(&google(&sandbox, &[("redirect_uri", "http://localhost:4711/x")]));
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
        "<legend>You are</legend>",
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
    assert_eq!(page.inputs("account"), [USER, OTHER_USER]);
    assert_eq!(page.inputs("scope"), ["openid", "email", CLOUD_PLATFORM]);
    let hinted = visit(&google(&sandbox, &[("login_hint", OTHER_USER)]));
    assert!(hinted.inputs("account").is_empty() && hinted.body.contains(OTHER_USER));
    let choosing = [("login_hint", OTHER_USER), ("prompt", "select_account")];
    assert_eq!(visit(&google(&sandbox, &choosing)).inputs("account").len(), 2);
    let stranger = visit(&google(&sandbox, &[("login_hint", "eve@example.com")]));
    assert_eq!(stranger.inputs("account").len(), 2);
}

#[test]
fn a_faulty_client_or_address_gets_a_page_and_never_a_redirect() {
    let (sandbox, _) = sandbox(&[]);
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
        let page = visit(&google(&sandbox, &more));
        assert_eq!((page.status, page.location()), (400, ""), "{more:?}");
        assert!(page.body.contains(word), "{word}: {}", page.body);
    }
    let twice = visit(&format!("{}&state=other", google(&sandbox, &[])));
    assert_eq!((twice.status, twice.location()), (400, ""));
    let markup = visit(&google(&sandbox, &[("redirect_uri", "http://<b>")]));
    assert!(markup.body.contains("http://&lt;b&gt;"), "{}", markup.body);
}

#[test]
fn other_faults_are_told_to_the_program() {
    let (sandbox, _) = sandbox(&[]);
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
        let page = visit(&google(&sandbox, &more));
        assert_eq!(page.status, 302, "{more:?}");
        let back = |name| page.back(name).unwrap_or_default();
        assert_eq!(
            (back("error"), back("state")),
            (error.to_owned(), "s t&a".to_owned()),
            "{more:?}"
        );
        assert_eq!(back("iss"), "https://accounts.google.com");
    }
    let stateless = visit(&google(&sandbox, &[("state", ""), ("scope", "")]));
    assert_eq!(stateless.back("state"), None);
}

#[test]
fn the_web_client_is_answered_at_its_own_address() {
    let (sandbox, _) = sandbox(&[]);
    let secret = sandbox.cast().web_client_secret.expose();
    let web = [("client_id", WEB_CLIENT_ID), ("redirect_uri", WEB_REDIRECT_URI)];
    let back = decide(&google(&sandbox, &web), ALLOW);
    assert!(back.location().starts_with("http://localhost:8088/?state="), "{}", back.location());
    let more = [&web[..], &[("client_secret", secret)]].concat();
    assert_eq!(exchanged(&sandbox, &code(&back), &more).status, 200);
    let elsewhere = [("client_id", WEB_CLIENT_ID), ("redirect_uri", "http://localhost:8088")];
    assert_eq!(visit(&google(&sandbox, &elsewhere)).status, 400);
}

#[test]
fn a_no_is_told_and_fewer_scopes_are_all_there_is() {
    let (sandbox, _) = sandbox(&[]);
    let url = google(&sandbox, &[]);
    let no = decide(&url, Choice { button: "deny", ..ALLOW });
    assert_eq!((no.status, no.back("error").as_deref()), (302, Some("access_denied")));
    assert_eq!((no.back("state").as_deref(), no.back("code")), (Some("s t&a"), None));
    let nothing = decide(&url, Choice { scopes: Some(&[]), ..ALLOW });
    assert_eq!(nothing.back("error").as_deref(), Some("access_denied"));
    let few = Choice { scopes: Some(&["openid", "email"]), account: Some(OTHER_USER), ..ALLOW };
    let granted = signed_in(&sandbox, &[], few);
    assert_eq!(text(&granted, "scope"), "openid email");
    let told =
        get(&sandbox, &format!("/tokeninfo?access_token={}", text(&granted, "access_token")));
    assert_eq!(text(&told.json(), "email"), OTHER_USER);
    let more = Choice { scopes: Some(&["openid", EMAIL_SCOPE]), ..ALLOW };
    assert_eq!(decide(&url, more).status, 400);
    assert_eq!(decide(&url, Choice { account: Some("eve@example.com"), ..ALLOW }).status, 400);
    assert_eq!(decide(&url, Choice { button: "maybe", ..ALLOW }).status, 400);
}

#[test]
fn a_form_is_good_once_and_from_here_only() {
    let (sandbox, clock) = sandbox(&[]);
    let url = google(&sandbox, &[]);
    let page = visit(&url);
    let form_kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let fields = encoded(&[
        ("token", &page.inputs("token")[0]),
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
        let answer = send("POST", &url, &format!("{form_kind}{headers}"), &fields);
        assert_eq!((answer.status, answer.location()), (403, ""), "{headers}");
    }
    // A page of another door is not this one's.
    let elsewhere = page_at_workforce(&sandbox);
    assert_eq!(press(&url, &visit(&elsewhere), ALLOW).status, 400);
    assert_eq!(press(&url, &page, ALLOW).status, 302);
    assert_eq!(press(&url, &page, ALLOW).status, 400);
    let late = visit(&url);
    clock.0.fetch_add(601, Ordering::Relaxed);
    assert_eq!(press(&url, &late, ALLOW).status, 400);
    assert_eq!(send("PUT", &url, "", "").status, 405);
}

fn page_at_workforce(sandbox: &Running) -> String {
    let name = "locations/global/workforcePools/sandbox-workforce/providers/sandbox-idp";
    page(sandbox, "/workforce/authorize", &[("provider_name", name), ("access_type", "")])
}

#[test]
fn a_code_is_bound_to_what_it_was_made_for() {
    let (sandbox, clock) = sandbox(&[]);
    let url = google(&sandbox, &[]);
    let good = code(&decide(&url, ALLOW));
    let web = [
        ("client_id", WEB_CLIENT_ID),
        ("client_secret", sandbox.cast().web_client_secret.expose()),
    ];
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
        let reply = exchanged(&sandbox, &good, more);
        assert!([400, 401].contains(&reply.status), "{more:?}");
        assert_eq!(text(&reply.json(), "error"), error, "{more:?}");
    }
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", good.as_str()),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    let elsewhere = ask(
        &sandbox,
        "POST",
        "/v1/oauthtoken",
        &format!(
            "{}{}",
            super::FORM,
            super::basic(CLIENT_ID, sandbox.cast().client_secret.expose())
        ),
        &encoded(&fields),
    );
    assert_eq!(text(&elsewhere.json(), "error"), "invalid_grant");
    assert_eq!(exchanged(&sandbox, &good, &[]).status, 200);
    let late = code(&decide(&url, ALLOW));
    clock.0.fetch_add(600, Ordering::Relaxed);
    assert_eq!(text(&exchanged(&sandbox, &late, &[]).json(), "error"), "invalid_grant");
}

#[test]
fn a_code_used_twice_takes_back_what_it_gave() {
    let (sandbox, _) = sandbox(&[]);
    let code = code(&decide(&google(&sandbox, &[]), ALLOW));
    let granted = exchanged(&sandbox, &code, &[]).json();
    let access = bearer(text(&granted, "access_token"));
    assert_eq!(ask(&sandbox, "GET", "/v1/userinfo", &access, "").status, 200);
    assert_eq!(text(&exchanged(&sandbox, &code, &[]).json(), "error"), "invalid_grant");
    assert_eq!(ask(&sandbox, "GET", "/v1/userinfo", &access, "").status, 401);
    assert_eq!(super::refresh_with(&sandbox, text(&granted, "refresh_token"), &[]).status, 400);
}

#[test]
fn a_refresh_token_comes_with_the_first_consent_or_another_one() {
    let (sandbox, _) = sandbox(&[]);
    let has = |granted: &Value| granted["refresh_token"].is_string();
    assert!(!has(&signed_in(
        &sandbox,
        &[("access_type", "online"), ("scope", "email")],
        Choice { account: Some(OTHER_USER), ..ALLOW }
    )));
    let first = signed_in(&sandbox, &[], ALLOW);
    assert!(has(&first), "{first}");
    assert!(!has(&signed_in(&sandbox, &[], ALLOW)));
    assert!(has(&signed_in(&sandbox, &[("prompt", "consent")], ALLOW)));
    assert!(!has(&signed_in(&sandbox, &[("prompt", "consent"), ("access_type", "")], ALLOW)));
    // Who revokes takes the consent back.
    assert_eq!(form(&sandbox, "/revoke", &[("token", text(&first, "refresh_token"))]).status, 200);
    assert!(has(&signed_in(&sandbox, &[], ALLOW)));
}

#[test]
fn who_has_agreed_needs_no_page_and_keeps_what_they_agreed_to() {
    let (sandbox, _) = sandbox(&[]);
    signed_in(&sandbox, &[("scope", "openid email")], ALLOW);
    let silent = [("prompt", "none"), ("scope", "email"), ("login_hint", USER)];
    let back = visit(&google(&sandbox, &silent));
    assert_eq!((back.status, back.back("prompt").as_deref()), (302, Some("none")));
    let granted = exchanged(&sandbox, &code(&back), &[]).json();
    assert_eq!((text(&granted, "scope"), granted.get("id_token")), ("email", None));
    for more in [("login_hint", OTHER_USER), ("scope", CLOUD_PLATFORM)] {
        let wish = [&silent[..1], &[more]].concat();
        let back = visit(&google(&sandbox, &wish));
        assert_eq!(back.back("error").as_deref(), Some("interaction_required"), "{more:?}");
    }
    let more = [("scope", CLOUD_PLATFORM), ("include_granted_scopes", "true")];
    let granted = signed_in(&sandbox, &more, ALLOW);
    assert_eq!(text(&granted, "scope"), format!("{CLOUD_PLATFORM} openid email"));
}

#[test]
fn revoking_is_for_both_tokens_and_once() {
    let (sandbox, _) = sandbox(&[]);
    for kind in ["refresh_token", "access_token"] {
        let granted = signed_in(&sandbox, &[("prompt", "consent")], ALLOW);
        let token = [("token", text(&granted, kind))];
        assert_eq!(form(&sandbox, "/revoke", &token).status, 200, "{kind}");
        let again = form(&sandbox, "/revoke", &token);
        assert_eq!((again.status, text(&again.json(), "error")), (400, "invalid_token"));
        let access = bearer(text(&granted, "access_token"));
        assert_eq!(ask(&sandbox, "GET", "/v1/userinfo", &access, "").status, 401);
        let refreshed = super::refresh_with(&sandbox, text(&granted, "refresh_token"), &[]);
        assert_eq!(text(&refreshed.json(), "error"), "invalid_grant");
    }
    let query = ask(&sandbox, "POST", "/revoke?token=1//other", super::FORM, "");
    assert_eq!(text(&query.json(), "error"), "invalid_token");
    assert_eq!(text(&form(&sandbox, "/revoke", &[]).json(), "error"), "invalid_request");
}

#[test]
fn the_browser_comes_back_wrongly_on_request() {
    for (fault, name, forged) in
        [("wrong-state", "state", "forged"), ("wrong-issuer", "iss", "https://other.example")]
    {
        let (sandbox, _) = sandbox(&[&format!("authorize={fault}")]);
        let back = decide(&google(&sandbox, &[]), ALLOW);
        assert_eq!(back.back(name).as_deref(), Some(forged));
        assert_eq!(exchanged(&sandbox, &code(&back), &[]).status, 200);
    }
}

fn device_code(sandbox: &Running, more: &[(&str, &str)]) -> Reply {
    let usual = [("client_id", DEVICE_CLIENT_ID), ("scope", "openid email")];
    let is_new = |name: &str| more.iter().any(|(known, _)| *known == name);
    let usual = usual.iter().filter(|(name, _)| !is_new(name));
    let pairs: Vec<_> = usual.chain(more).copied().filter(|(_, value)| !value.is_empty()).collect();
    form(sandbox, "/device/code", &pairs)
}

fn polled(sandbox: &Running, device_code: &str) -> (u16, Value) {
    let reply = form(
        sandbox,
        "/token",
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", DEVICE_CLIENT_ID),
            ("client_secret", sandbox.cast().device_client_secret.expose()),
            ("device_code", device_code),
        ],
    );
    (reply.status, reply.json())
}

#[test]
fn a_device_is_told_to_wait_until_somebody_enters_its_code() {
    let (sandbox, clock) = sandbox(&[]);
    let later = |seconds| clock.0.fetch_add(seconds, Ordering::Relaxed);
    let begun = device_code(&sandbox, &[]);
    assert_eq!(begun.status, 200, "{}", begun.json());
    let begun = begun.json();
    assert_eq!((begun["interval"].as_i64(), begun["expires_in"].as_i64()), (Some(1), Some(1800)));
    let url = format!("{}/device", sandbox.url());
    assert_eq!(text(&begun, "verification_url"), url);
    let user_code = text(&begun, "user_code");
    assert!(user_code.len() == 9 && user_code.as_bytes()[4] == b'-', "{user_code}");
    let device = text(&begun, "device_code");
    let poll = || {
        let (status, said) = polled(&sandbox, device);
        (status, text(&said, "error").to_owned())
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
    assert!(visit(&url).body.contains("name=\"user_code\""));
    assert_eq!(visit(&format!("{url}?user_code=AAAA-AAAA")).status, 400);
    let typed = user_code.to_lowercase().replace('-', "+");
    let done =
        decide(&format!("{url}?user_code={typed}"), Choice { scopes: Some(&["openid"]), ..ALLOW });
    assert_eq!((done.status, done.location()), (200, ""));
    assert_eq!(visit(&format!("{url}?user_code={user_code}")).status, 400);
    later(11);
    let (status, granted) = polled(&sandbox, device);
    assert_eq!(status, 200, "{granted}");
    assert_eq!(text(&granted, "scope"), "openid");
    assert!(granted["refresh_token"].is_string() && granted["id_token"].is_string(), "{granted}");
    later(11);
    assert_eq!(poll(), (400, "invalid_grant".to_owned()));
}

#[test]
fn a_device_is_refused_what_google_refuses() {
    let (sandbox, clock) = sandbox(&[]);
    for (more, error) in [
        ([("client_id", CLIENT_ID)], "invalid_client"),
        ([("client_id", "other")], "invalid_client"),
        ([("client_id", "")], "invalid_request"),
        ([("scope", "")], "invalid_request"),
        ([("scope", "openid https://www.googleapis.com/auth/cloud-platform")], "invalid_scope"),
        ([("scope", "openid words")], "invalid_scope"),
    ] {
        assert_eq!(text(&device_code(&sandbox, &more).json(), "error"), error, "{more:?}");
    }
    let tube = "https://www.googleapis.com/auth/youtube.readonly https://www.googleapis.com/auth/drive.file";
    assert_eq!(device_code(&sandbox, &[("scope", tube)]).status, 200);
    assert_eq!(polled(&sandbox, "other").1["error"], "invalid_grant");
    let begun = device_code(&sandbox, &[]).json();
    let url = format!("{}/device?user_code={}", sandbox.url(), text(&begun, "user_code"));
    decide(&url, Choice { button: "deny", ..ALLOW });
    let (status, said) = polled(&sandbox, text(&begun, "device_code"));
    assert_eq!((status, text(&said, "error")), (403, "access_denied"));
    let begun = device_code(&sandbox, &[]).json();
    clock.0.fetch_add(1800, Ordering::Relaxed);
    let (status, said) = polled(&sandbox, text(&begun, "device_code"));
    assert_eq!((status, text(&said, "error")), (400, "expired_token"));
}

#[test]
fn devices_are_hurried_or_given_little_time_on_request() {
    let (hurried, _) = sandbox(&["device-code=slow-down"]);
    let begun = device_code(&hurried, &[]).json();
    assert_eq!(text(&polled(&hurried, text(&begun, "device_code")).1, "error"), "slow_down");
    let (brief, clock) = sandbox(&["device-code=brief"]);
    let begun = device_code(&brief, &[]).json();
    assert_eq!(begun["expires_in"], 2);
    clock.0.fetch_add(2, Ordering::Relaxed);
    assert_eq!(text(&polled(&brief, text(&begun, "device_code")).1, "error"), "expired_token");
}
