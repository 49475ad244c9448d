//! The offline Google: as strict as the real one, and as badly behaved as it is asked to be.
#![allow(clippy::unwrap_used, reason = "tests")]

mod assertions;
mod credential_files;
mod external_identities;
mod iam;
mod oidc_provider;
mod reauth;
mod refresh_tokens;
mod sign_in;
mod sts;
mod tls_mtls_gdch;
mod workforce_logins;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_core::text::secret::Secret;
use gauth_core::world::clock::Clock;
use gauth_sandbox::faults::{FAULTS, Fault};
use gauth_sandbox::fixtures::{CLIENT_ID, SERVICE_ACCOUNT};
use gauth_sandbox::{ROUTES, RunningSandbox, Sandbox, SandboxOptions};
use serde_json::{Value, json};

/// A clock that is set by hand.
struct FixedClock(AtomicI64);

impl Clock for FixedClock {
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
fn start_sandbox(faults: &[&str]) -> (RunningSandbox, Arc<FixedClock>) {
    let file: Value = serde_json::from_str(include_str!("../../data/credentials/service_account.json")).unwrap();
    let clock = Arc::new(FixedClock(AtomicI64::new(NOW)));
    let options = SandboxOptions {
        key: Some(Secret::new(file["private_key"].as_str().unwrap())),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        faults: faults.iter().map(|text| Fault::parse(text).unwrap()).collect(),
        ..SandboxOptions::default()
    };
    (Sandbox::start(options).unwrap(), clock)
}

/// Everything that comes back on one connection until it closes or rests for `patience`.
fn raw_exchange(sandbox: &RunningSandbox, bytes: &[u8], read_timeout: Duration) -> Vec<u8> {
    let address = sandbox.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(read_timeout)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut all = Vec::new();
    let mut piece = [0; 65536];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..count]);
    }
    all
}

struct HttpReply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl HttpReply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn send_to_sandbox(sandbox: &RunningSandbox, method: &str, target: &str, headers: &str, body: &str) -> HttpReply {
    let host = sandbox.url().trim_start_matches("http://");
    let text = request_text(method, target, headers, body).replace("Host: 127.0.0.1", &format!("Host: {host}"));
    parse_reply(&raw_exchange(sandbox, text.as_bytes(), Duration::from_secs(10)))
}

fn request_text(method: &str, target: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn parse_reply(all: &[u8]) -> HttpReply {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    HttpReply { status, head, body: all[end..].to_vec() }
}

const FORM_HEADER: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn post_form(sandbox: &RunningSandbox, path: &str, fields: &[(&str, &str)]) -> HttpReply {
    send_to_sandbox(sandbox, "POST", path, FORM_HEADER, &encode_form(fields))
}

fn encode_form(fields: &[(&str, &str)]) -> String {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.finish()
}

/// `Authorization: Basic` of this client.
fn basic_authorization_header(id: &str, secret: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
    format!("Authorization: Basic {pair}\r\n")
}

fn bearer_authorization_header(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn get_path(sandbox: &RunningSandbox, target: &str) -> HttpReply {
    send_to_sandbox(sandbox, "GET", target, "Metadata-Flavor: Google\r\n", "")
}

/// The claims of a good assertion.
fn assertion_claims() -> Value {
    json!({
        "iss": SERVICE_ACCOUNT, "scope": CLOUD_PLATFORM_SCOPE,
        "aud": "https://oauth2.googleapis.com/token", "iat": NOW, "exp": NOW + 3600,
    })
}

fn sign_and_grant(sandbox: &RunningSandbox, header: &Value, claims: &Value) -> HttpReply {
    let key = PrivateKey::rsa_from_pem(sandbox.fixtures().service_account_pem.expose()).unwrap();
    let assertion = jwt::sign_with_header(&key, header, claims).unwrap();
    jwt_bearer_grant(sandbox, assertion.expose())
}

fn jwt_bearer_grant(sandbox: &RunningSandbox, assertion: &str) -> HttpReply {
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    post_form(sandbox, "/token", &[("assertion", assertion), ("grant_type", grant_type)])
}

fn assertion_header(sandbox: &RunningSandbox) -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": sandbox.fixtures().service_account_key_id })
}

fn refresh_token_grant(sandbox: &RunningSandbox, token: &str, more: &[(&str, &str)]) -> HttpReply {
    let mut fields = vec![
        ("grant_type", "refresh_token"),
        ("client_id", CLIENT_ID),
        ("client_secret", sandbox.fixtures().client_secret.expose()),
        ("refresh_token", token),
    ];
    fields.extend(more);
    post_form(sandbox, "/token", &fields)
}

fn default_refresh_grant(sandbox: &RunningSandbox, more: &[(&str, &str)]) -> HttpReply {
    refresh_token_grant(sandbox, sandbox.fixtures().refresh_token.expose(), more)
}

fn text_field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[test]
fn clients_grants_and_forms_are_checked() {
    let (sandbox, _) = start_sandbox(&[]);
    let secret = sandbox.fixtures().client_secret.expose();
    let token = sandbox.fixtures().refresh_token.expose();
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
        let reply = post_form(&sandbox, "/token", &fields);
        assert_eq!((reply.status, text_field(&reply.json(), "error")), (status, code), "{name}={value}");
    }
    let twice = [&good[..], &good[3..]].concat();
    assert!(text_field(&post_form(&sandbox, "/token", &twice).json(), "error_description").contains("single value"));
    assert_eq!(send_to_sandbox(&sandbox, "POST", "/token", "Content-Type: application/json\r\n", "{}").status, 400);
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/token", "", "").status, 405);
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT_ID}:{secret}"));
    let headers = format!("{FORM_HEADER}Authorization: Basic {basic}\r\n");
    let body = format!("grant_type=refresh_token&refresh_token={token}");
    assert_eq!(send_to_sandbox(&sandbox, "POST", "/token", &headers, &body).status, 200);
}

#[test]
fn the_metadata_server_repeats_its_token_until_near_its_end() {
    let (sandbox, clock) = start_sandbox(&[]);
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let first = get_path(&sandbox, path);
    assert!(first.head.contains("Metadata-Flavor: Google\r\n"), "{}", first.head);
    clock.0.fetch_add(3200, Ordering::Relaxed);
    let second = get_path(&sandbox, path).json();
    assert_eq!(second["access_token"], first.json()["access_token"]);
    assert_eq!(second["expires_in"], 399);
    let scoped = get_path(&sandbox, &format!("{path}?scopes=https://www.googleapis.com/auth/compute")).json();
    assert_ne!(scoped["access_token"], second["access_token"]);
    clock.0.fetch_add(100, Ordering::Relaxed);
    let third = get_path(&sandbox, path).json();
    assert_ne!(third["access_token"], second["access_token"]);
    assert_eq!(third["expires_in"], 3599);
    assert_eq!(send_to_sandbox(&sandbox, "GET", path, "", "").status, 403);
    let browser = "Metadata-Flavor: Google\r\nOrigin: http://evil.example\r\n";
    assert_eq!(send_to_sandbox(&sandbox, "GET", path, browser, "").status, 403);
}

/// What a fault must do to a refresh: a word in the head or the body of the reply, or no reply.
#[test]
fn every_fault_does_what_it_says() {
    let long = "x".repeat(20_000);
    for known in FAULTS.iter().filter(|known| known.applies_to("token")) {
        let (sandbox, _) = start_sandbox(&[&format!("token={}", known.name)]);
        if known.name == "hang" || known.name == "slow" {
            let body = format!("grant_type=refresh_token&client_id={CLIENT_ID}");
            let text =
                format!("POST /token HTTP/1.1\r\nHost: x\r\n{FORM_HEADER}Content-Length: {}\r\n\r\n{body}", body.len());
            let all = raw_exchange(&sandbox, text.as_bytes(), Duration::from_millis(50));
            assert_eq!(all.is_empty(), known.name == "hang");
            assert!(!all.ends_with(b"}"));
            continue;
        }
        let reply = default_refresh_grant(&sandbox, &[]);
        let (head, answer, body) = (&reply.head, reply.json(), String::from_utf8_lossy(&reply.body));
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
            "bad-token" => text_field(&answer, "access_token").contains(" words\r\n"),
            "long-token" => text_field(&answer, "access_token") == long,
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
            "revoked" => text_field(&answer, "error_description").contains("revoked"),
            "rapt" => text_field(&answer, "error_subtype") == "invalid_rapt",
            "control" => text_field(&answer, "error_description").contains('\u{1b}'),
            "reflect" => body.contains(sandbox.fixtures().refresh_token.expose()),
            "denied" => text_field(&answer, "error") == "invalid_target",
            "expired-subject" => text_field(&answer, "error_description").contains("expired"),
            "rotate" => answer["refresh_token"].is_string(),
            unknown => panic!("{unknown} has no test"),
        };
        assert!(holds, "{}: {head}{}", known.name, &body[..body.len().min(500)]);
    }
}

#[test]
fn statuses_are_answered_as_often_as_asked_on_every_route() {
    for route in ROUTES {
        let (sandbox, _) = start_sandbox(&[&format!("{}=503+retry-after:7x2", route.name)]);
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
            let reply = get_path(&sandbox, path);
            assert_eq!(reply.status == 503, failing, "{}", route.name);
            assert_eq!(reply.head.contains("Retry-After: 7\r\n"), failing);
        }
        assert_eq!((sandbox.request_count(route.name), sandbox.request_count("")), (3, 0));
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let (sandbox, _) = start_sandbox(&[]);
    let one = "HEAD /certs HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let all = raw_exchange(&sandbox, format!("{one}{one}{last}").as_bytes(), Duration::from_secs(5));
    let all = String::from_utf8(all).unwrap();
    assert_eq!((all.matches("HTTP/1.1 200").count(), all.matches("HTTP/1.1 404").count()), (2, 1));
    assert!(!all.contains("\"keys\""), "HEAD has no body: {all}");
    assert_eq!((sandbox.request_count("certs"), sandbox.request_count("")), (2, 1));
    let huge = format!("POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 2 << 20);
    assert!(raw_exchange(&sandbox, huge.as_bytes(), Duration::from_secs(5)).starts_with(b"HTTP/1.1 413"));
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(20_000));
    assert!(raw_exchange(&sandbox, long.as_bytes(), Duration::from_secs(5)).starts_with(b"HTTP/1.1 431"));
}

#[test]
fn the_folder_is_private_and_goes_with_the_sandbox() {
    let (sandbox, _) = start_sandbox(&[]);
    let folder = sandbox.folder().to_owned();
    for file in [sandbox.service_account_file(), sandbox.authorized_user_file()] {
        let value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(text_field(&value, "token_uri"), format!("{}/token", sandbox.url()));
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
