//! The offline Google: as strict as the real one, and as badly behaved as it is asked to be.
#![allow(clippy::unwrap_used, reason = "tests")]

mod files;
mod iam;
mod login;
mod openid;
mod outside;
mod reauth;
mod sts;
mod tls;
mod workforce;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth::jwt;
use gauth::key::{PrivateKey, PublicKey};
use gauth::secret::Secret;
use gauth::server::sandbox::cast::{CLIENT_ID, EMAIL_SCOPE, SERVICE_ACCOUNT, USER};
use gauth::server::sandbox::faults::{FAULTS, Fault};
use gauth::server::sandbox::{Options, ROUTES, Running, Sandbox};
use gauth::token::CLOUD_PLATFORM;
use gauth::world::clock::Clock;
use serde_json::{Value, json};

/// A clock that is set by hand.
struct Fixed(AtomicI64);

impl Clock for Fixed {
    fn unix_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed) * 1000
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

const NOW: i64 = 1_767_323_045;

/// A sandbox at a known second, with the sample key: making one takes a moment.
fn sandbox(faults: &[&str]) -> (Running, Arc<Fixed>) {
    let file: Value =
        serde_json::from_str(include_str!("../../data/credentials/service_account.json")).unwrap();
    let clock = Arc::new(Fixed(AtomicI64::new(NOW)));
    let options = Options {
        key: Some(Secret::new(file["private_key"].as_str().unwrap())),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        faults: faults.iter().map(|text| Fault::parse(text).unwrap()).collect(),
        ..Options::default()
    };
    (Sandbox::start(options).unwrap(), clock)
}

/// Everything that comes back on one connection until it closes or rests for `patience`.
fn exchange(sandbox: &Running, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let address = sandbox.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut all = Vec::new();
    let mut piece = [0; 65536];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..count]);
    }
    all
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn ask(sandbox: &Running, method: &str, target: &str, headers: &str, body: &str) -> Reply {
    let host = sandbox.url().trim_start_matches("http://");
    let text =
        request(method, target, headers, body).replace("Host: 127.0.0.1", &format!("Host: {host}"));
    reply(&exchange(sandbox, text.as_bytes(), Duration::from_secs(10)))
}

fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn reply(all: &[u8]) -> Reply {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, head, body: all[end..].to_vec() }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn form(sandbox: &Running, path: &str, fields: &[(&str, &str)]) -> Reply {
    ask(sandbox, "POST", path, FORM, &encoded(fields))
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.finish()
}

/// `Authorization: Basic` of this client.
fn basic(id: &str, secret: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
    format!("Authorization: Basic {pair}\r\n")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn get(sandbox: &Running, target: &str) -> Reply {
    ask(sandbox, "GET", target, "Metadata-Flavor: Google\r\n", "")
}

/// The claims of a good assertion.
fn claims() -> Value {
    json!({
        "iss": SERVICE_ACCOUNT, "scope": CLOUD_PLATFORM,
        "aud": "https://oauth2.googleapis.com/token", "iat": NOW, "exp": NOW + 3600,
    })
}

fn grant_signed(sandbox: &Running, header: &Value, claims: &Value) -> Reply {
    let key = PrivateKey::from_pem(sandbox.cast().service_account_pem.expose()).unwrap();
    let assertion = jwt::sign_parts(&key, header, claims).unwrap();
    grant(sandbox, assertion.expose())
}

fn grant(sandbox: &Running, assertion: &str) -> Reply {
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    form(sandbox, "/token", &[("assertion", assertion), ("grant_type", grant_type)])
}

fn header(sandbox: &Running) -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": sandbox.cast().key_id })
}

fn refresh_with(sandbox: &Running, token: &str, more: &[(&str, &str)]) -> Reply {
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("client_secret", sandbox.cast().client_secret.expose()),
        ("refresh_token", token),
    ];
    fields.extend(more);
    form(sandbox, "/token", &fields)
}

fn refresh(sandbox: &Running, more: &[(&str, &str)]) -> Reply {
    refresh_with(sandbox, sandbox.cast().refresh_token.expose(), more)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn a_good_assertion_gets_a_token_that_tokeninfo_knows() {
    let (sandbox, clock) = sandbox(&[]);
    let header = header(&sandbox);
    let own = format!("{}/token", sandbox.url());
    for audience in ["https://oauth2.googleapis.com/token", &own] {
        let mut claims = claims();
        claims["aud"] = audience.into();
        claims["scope"] = format!("{CLOUD_PLATFORM} {EMAIL_SCOPE}").into();
        let reply = grant_signed(&sandbox, &header, &claims);
        assert_eq!(reply.status, 200, "{}", reply.head);
        let granted = reply.json();
        assert!(text(&granted, "access_token").starts_with("ya29.c."), "{granted}");
        assert_eq!(
            (granted["expires_in"].as_i64(), text(&granted, "token_type")),
            (Some(3599), "Bearer")
        );
        let told =
            form(&sandbox, "/tokeninfo", &[("access_token", text(&granted, "access_token"))]);
        assert_eq!(text(&told.json(), "email"), SERVICE_ACCOUNT);
        assert_eq!(text(&told.json(), "expires_in"), "3599");
        clock.0.fetch_add(3600, Ordering::Relaxed);
        let told =
            form(&sandbox, "/tokeninfo", &[("access_token", text(&granted, "access_token"))]);
        assert_eq!((told.status, text(&told.json(), "error")), (400, "invalid_token"));
        clock.0.store(NOW, Ordering::Relaxed);
    }
    assert_eq!((sandbox.count("token"), sandbox.count("tokeninfo")), (2, 4));
    assert!(sandbox.requests()[0].request.form().is_some_and(|form| form[0].0 == "assertion"));
}

#[test]
fn delegation_gives_the_users_token() {
    let (sandbox, _) = sandbox(&[]);
    let mut claims = claims();
    claims["sub"] = USER.into();
    claims["scope"] = "email".into();
    let granted = grant_signed(&sandbox, &header(&sandbox), &claims).json();
    let bearer = format!("Authorization: Bearer {}\r\n", text(&granted, "access_token"));
    let told = ask(&sandbox, "GET", "/v1/userinfo", &bearer, "").json();
    assert_eq!((text(&told, "email"), told["email_verified"].as_bool()), (USER, Some(true)));
}

#[test]
fn each_bad_claim_is_refused_in_googles_words() {
    let (sandbox, _) = sandbox(&[]);
    let good = header(&sandbox);
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
        let mut claims = claims();
        claims[name] = value;
        let reply = grant_signed(&sandbox, &good, &claims);
        let answer = reply.json();
        assert_eq!((reply.status, text(&answer, "error")), (400, code), "{claims}");
        assert!(text(&answer, "error_description").contains(words), "{answer}");
    }
    for (name, value) in [("alg", json!("none")), ("alg", json!("HS256")), ("kid", json!("other"))]
    {
        let mut header = good.clone();
        header[name] = value;
        assert_eq!(
            text(&grant_signed(&sandbox, &header, &claims()).json(), "error"),
            "invalid_grant"
        );
    }
    let mut nameless = good.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    assert_eq!(grant_signed(&sandbox, &nameless, &claims()).status, 200);
    for assertion in ["", "x", "a.b.c"] {
        assert_eq!(grant(&sandbox, assertion).status, 400);
    }
}

#[test]
fn a_signature_of_another_message_is_refused() {
    let (sandbox, _) = sandbox(&[]);
    let key = PrivateKey::from_pem(sandbox.cast().service_account_pem.expose()).unwrap();
    let signed = jwt::sign_parts(&key, &header(&sandbox), &claims()).unwrap();
    let signature = signed.expose().rsplit('.').next().unwrap();
    let mut claims = claims();
    claims["scope"] = "https://www.googleapis.com/auth/drive".into();
    let message =
        [header(&sandbox), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let reply = grant(&sandbox, &format!("{message}.{signature}"));
    assert_eq!(text(&reply.json(), "error_description"), "Invalid JWT Signature.");
}

#[test]
fn an_id_token_verifies_with_the_published_keys() {
    let (sandbox, _) = sandbox(&[]);
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("scope");
    claims["target_audience"] = "https://svc.example".into();
    let granted = grant_signed(&sandbox, &header(&sandbox), &claims).json();
    let path = "/computeMetadata/v1/instance/service-accounts/default/identity";
    let machine = get(&sandbox, &format!("{path}?audience=https://svc.example&format=full"));
    let users = refresh(&sandbox, &[]).json();
    let keys = get(&sandbox, "/oauth2/v3/certs");
    assert!(keys.head.contains("Cache-Control: public, max-age="), "{}", keys.head);
    let key = keys.json()["keys"][0].clone();
    let part = |name| URL_SAFE_NO_PAD.decode(text(&key, name)).unwrap();
    let public = PublicKey::from_parts(&part("n"), &part("e")).unwrap();
    let machine = String::from_utf8(machine.body).unwrap();
    for (token, audience) in [
        (text(&granted, "id_token"), "https://svc.example"),
        (&machine, "https://svc.example"),
        (text(&users, "id_token"), CLIENT_ID),
    ] {
        let parts = jwt::parts(token).unwrap();
        assert_eq!(parts.header["kid"], key["kid"]);
        assert!(public.verifies(parts.message, &parts.signature));
        assert_eq!(
            (&parts.claims["aud"], &parts.claims["exp"]),
            (&json!(audience), &json!(NOW + 3600))
        );
        assert_eq!(parts.claims["iss"], "https://accounts.google.com");
        let told = form(&sandbox, "/tokeninfo", &[("id_token", token)]).json();
        assert_eq!((text(&told, "aud"), text(&told, "email_verified")), (audience, "true"));
        let forged = format!("{}x", &token[..token.len() - 1]);
        let flipped = format!("{}{}", &token[..token.len() - 4], "AAAA");
        for bad in [forged, flipped] {
            let reply = form(&sandbox, "/tokeninfo", &[("id_token", &bad)]);
            assert!(reply.status == 400 || bad == token, "{bad}");
        }
    }
    assert!(jwt::parts(&machine).unwrap().claims["google"]["compute_engine"]["zone"].is_string());
}

#[test]
fn a_refresh_may_narrow_but_not_widen() {
    let (sandbox, _) = sandbox(&[]);
    let whole = refresh(&sandbox, &[]).json();
    assert!(text(&whole, "scope").contains(CLOUD_PLATFORM) && whole["id_token"].is_string());
    assert!(whole.get("refresh_token").is_none());
    let narrow = refresh(&sandbox, &[("scope", CLOUD_PLATFORM)]).json();
    assert_eq!((text(&narrow, "scope"), narrow.get("id_token")), (CLOUD_PLATFORM, None));
    let both = refresh(&sandbox, &[("scope", "openid email")]);
    assert_eq!(both.status, 200);
    let wide = refresh(&sandbox, &[("scope", "https://www.googleapis.com/auth/drive")]);
    assert_eq!((wide.status, text(&wide.json(), "error")), (400, "invalid_scope"));
}

#[test]
fn clients_grants_and_forms_are_checked() {
    let (sandbox, _) = sandbox(&[]);
    let secret = sandbox.cast().client_secret.expose();
    let token = sandbox.cast().refresh_token.expose();
    let good = [
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("client_secret", secret),
        ("refresh_token", token),
    ];
    for (name, value, status, code) in [
        ("client_id", "other", 401, "invalid_client"),
        ("client_id", "", 400, "invalid_request"),
        ("client_secret", "other", 401, "invalid_client"),
        ("refresh_token", "1//other", 400, "invalid_grant"),
        ("refresh_token", "", 400, "invalid_request"),
        ("grant_type", "password", 400, "unsupported_grant_type"),
        ("grant_type", "", 400, "invalid_request"),
    ] {
        let fields = good.map(|(known, kept)| (known, if known == name { value } else { kept }));
        let reply = form(&sandbox, "/token", &fields);
        assert_eq!((reply.status, text(&reply.json(), "error")), (status, code), "{name}={value}");
    }
    let twice = [&good[..], &good[3..]].concat();
    assert!(
        text(&form(&sandbox, "/token", &twice).json(), "error_description")
            .contains("single value")
    );
    assert_eq!(
        ask(&sandbox, "POST", "/token", "Content-Type: application/json\r\n", "{}").status,
        400
    );
    assert_eq!(ask(&sandbox, "GET", "/token", "", "").status, 405);
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT_ID}:{secret}"));
    let headers = format!("{FORM}Authorization: Basic {basic}\r\n");
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    assert_eq!(ask(&sandbox, "POST", "/token", &headers, &body).status, 200);
}

#[test]
fn a_refresh_token_used_twice_ends_the_login_when_tokens_rotate() {
    let (sandbox, _) = sandbox(&["token=rotate"]);
    let first = refresh(&sandbox, &[]).json();
    let next = text(&first, "refresh_token");
    assert!(next.starts_with("1//"), "{first}");
    let second = refresh_with(&sandbox, next, &[]).json();
    let newest = text(&second, "refresh_token");
    let bearer = format!("Authorization: Bearer {}\r\n", text(&second, "access_token"));
    assert_eq!(ask(&sandbox, "GET", "/v1/userinfo", &bearer, "").status, 200);
    let reuse = refresh_with(&sandbox, next, &[]);
    assert_eq!((reuse.status, text(&reuse.json(), "error")), (400, "invalid_grant"));
    assert_eq!(refresh_with(&sandbox, newest, &[]).status, 400);
    assert_eq!(ask(&sandbox, "GET", "/v1/userinfo", &bearer, "").status, 401);
}

#[test]
fn a_revoked_login_is_over() {
    let (sandbox, _) = sandbox(&[]);
    let access = refresh(&sandbox, &[]).json();
    assert_eq!(
        form(&sandbox, "/revoke", &[("token", sandbox.cast().refresh_token.expose())]).status,
        200
    );
    let after = refresh(&sandbox, &[]).json();
    assert_eq!(text(&after, "error_description"), "Token has been expired or revoked.");
    let told = get(&sandbox, &format!("/tokeninfo?access_token={}", text(&access, "access_token")));
    assert_eq!(told.status, 400);
    assert_eq!(form(&sandbox, "/revoke", &[("token", "1//other")]).status, 400);
}

#[test]
fn the_metadata_server_repeats_its_token_until_near_its_end() {
    let (sandbox, clock) = sandbox(&[]);
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let first = get(&sandbox, path);
    assert!(first.head.contains("Metadata-Flavor: Google\r\n"), "{}", first.head);
    clock.0.fetch_add(3200, Ordering::Relaxed);
    let second = get(&sandbox, path).json();
    assert_eq!(second["access_token"], first.json()["access_token"]);
    assert_eq!(second["expires_in"], 399);
    let scoped =
        get(&sandbox, &format!("{path}?scopes=https://www.googleapis.com/auth/compute")).json();
    assert_ne!(scoped["access_token"], second["access_token"]);
    clock.0.fetch_add(100, Ordering::Relaxed);
    let third = get(&sandbox, path).json();
    assert_ne!(third["access_token"], second["access_token"]);
    assert_eq!(third["expires_in"], 3599);
    assert_eq!(ask(&sandbox, "GET", path, "", "").status, 403);
    let browser = "Metadata-Flavor: Google\r\nOrigin: http://evil.example\r\n";
    assert_eq!(ask(&sandbox, "GET", path, browser, "").status, 403);
}

/// What a fault must do to a refresh: a word in the head or the body of the reply, or no reply.
#[test]
fn every_fault_does_what_it_says() {
    let long = "x".repeat(20_000);
    for known in FAULTS.iter().filter(|known| known.is_for("token")) {
        let (sandbox, _) = sandbox(&[&format!("token={}", known.name)]);
        if known.name == "hang" || known.name == "slow" {
            let body = format!("grant_type=refresh_token&client_id={CLIENT_ID}");
            let text = format!(
                "POST /token HTTP/1.1\r\nHost: x\r\n{FORM}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let all = exchange(&sandbox, text.as_bytes(), Duration::from_millis(50));
            assert_eq!(all.is_empty(), known.name == "hang");
            assert!(!all.ends_with(b"}"));
            continue;
        }
        let reply = refresh(&sandbox, &[]);
        let (head, answer, body) =
            (&reply.head, reply.json(), String::from_utf8_lossy(&reply.body));
        let holds = match known.name {
            "close" => reply.status == 0 && body.is_empty(),
            "truncate" => reply.status == 200 && answer.is_null() && body.starts_with('{'),
            "html" => head.contains("text/html") && body.starts_with("<!doctype"),
            "redirect" => reply.status == 302 && head.contains("/elsewhere\r\n"),
            "oversize" => reply.body.len() > 2 * 1024 * 1024 && answer.is_object(),
            "empty" => reply.status == 200 && body.is_empty(),
            "garbage" => String::from_utf8(reply.body.clone()).is_err(),
            "array" => answer.is_array(),
            "deep" => body.contains("[[[[") && answer.is_null(),
            "encoded" => head.contains("Content-Encoding: gzip"),
            "missing" => answer.is_object() && answer.get("access_token").is_none(),
            "null-token" => answer.get("access_token").is_some_and(Value::is_null),
            "bad-token" => text(&answer, "access_token").contains(" words\r\n"),
            "long-token" => text(&answer, "access_token") == long,
            "string-expiry" => answer["expires_in"] == "3599",
            "text-expiry" => answer["expires_in"] == "soon",
            "no-expiry" => answer["access_token"].is_string() && answer.get("expires_in").is_none(),
            "zero-expiry" => answer["expires_in"] == 0,
            "negative-expiry" => answer["expires_in"] == -1,
            "short-expiry" => answer["expires_in"] == 2,
            "long-expiry" => answer["expires_in"] == 3_155_760_000_u64,
            "duplicate-keys" => body.matches("\"access_token\"").count() == 2 && answer.is_object(),
            "two-lengths" => head.matches("Content-Length").count() == 2,
            "bad-chunk" => head.contains("chunked") && body.starts_with("xyz"),
            "interim" => head.contains("103") && body.matches("103 Early").count() == 8,
            "revoked" => text(&answer, "error_description").contains("revoked"),
            "rapt" => text(&answer, "error_subtype") == "invalid_rapt",
            "control" => text(&answer, "error_description").contains('\u{1b}'),
            "reflect" => body.contains(sandbox.cast().refresh_token.expose()),
            "denied" => text(&answer, "error") == "invalid_target",
            "expired-subject" => text(&answer, "error_description").contains("expired"),
            "rotate" => answer["refresh_token"].is_string(),
            unknown => panic!("{unknown} has no test"),
        };
        assert!(holds, "{}: {head}{}", known.name, &body[..body.len().min(500)]);
    }
}

#[test]
fn statuses_are_answered_as_often_as_asked_on_every_route() {
    for route in ROUTES {
        let (sandbox, _) = sandbox(&[&format!("{}=503+retry-after:7x2", route.name)]);
        let path = match route.name {
            "token" => "/token",
            "metadata" => "/",
            "certs" => "/certs",
            "tokeninfo" => "/tokeninfo",
            "userinfo" => "/userinfo",
            "revoke" => "/revoke",
            "sts" => "/v1/token",
            "oauthtoken" => "/v1/oauthtoken",
            "introspect" => "/v1/introspect",
            "sts-revoke" => "/v1/revoke",
            "iam" => "/v1/projects/-/serviceAccounts/a:signJwt",
            "aws" => "/latest/meta-data/",
            "subject" => "/subject",
            "gdch" => "/authenticate",
            "authorize" => "/o/oauth2/auth",
            "device-code" => "/device/code",
            "device" => "/device",
            "discovery" => "/.well-known/openid-configuration",
            "reauth" => "/v2/sessions:start",
            "workforce-authorize" => "/workforce/authorize",
            "oidc-discovery" => "/oidc/.well-known/openid-configuration",
            "oidc-jwks" => "/oidc/jwks",
            "oidc-authorize" => "/oidc/authorize",
            "oidc-token" => "/oidc/token",
            "oidc-revoke" => "/oidc/revoke",
            "oidc-device-code" => "/oidc/device/code",
            "oidc-device" => "/oidc/device",
            "api" => "/api/x",
            "service" => "/service",
            unknown => panic!("{unknown} has no test"),
        };
        for failing in [true, true, false] {
            let reply = get(&sandbox, path);
            assert_eq!(reply.status == 503, failing, "{}", route.name);
            assert_eq!(reply.head.contains("Retry-After: 7\r\n"), failing);
        }
        assert_eq!((sandbox.count(route.name), sandbox.count("")), (3, 0));
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let (sandbox, _) = sandbox(&[]);
    let one = "HEAD /certs HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let all = exchange(&sandbox, format!("{one}{one}{last}").as_bytes(), Duration::from_secs(5));
    let all = String::from_utf8(all).unwrap();
    assert_eq!((all.matches("HTTP/1.1 200").count(), all.matches("HTTP/1.1 404").count()), (2, 1));
    assert!(!all.contains("\"keys\""), "HEAD has no body: {all}");
    assert_eq!((sandbox.count("certs"), sandbox.count("")), (2, 1));
    let huge = format!("POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 2 << 20);
    assert!(
        exchange(&sandbox, huge.as_bytes(), Duration::from_secs(5)).starts_with(b"HTTP/1.1 413")
    );
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(20_000));
    assert!(
        exchange(&sandbox, long.as_bytes(), Duration::from_secs(5)).starts_with(b"HTTP/1.1 431")
    );
}

#[test]
fn the_folder_is_private_and_goes_with_the_sandbox() {
    let (sandbox, _) = sandbox(&[]);
    let folder = sandbox.folder().to_owned();
    for file in [sandbox.service_account_file(), sandbox.authorized_user_file()] {
        let value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(text(&value, "token_uri"), format!("{}/token", sandbox.url()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        }
    }
    drop(sandbox);
    assert!(!folder.exists());
}
