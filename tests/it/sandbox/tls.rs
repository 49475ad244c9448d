//! The listener with TLS: certificates as subject tokens, and the service account of a distributed cloud.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gauth::jwt;
use gauth::key::PrivateKey;
use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::WORKLOAD_PROVIDER;
use gauth::server::sandbox::outside::{GDCH_NAME, GDCH_PROJECT};
use gauth::token::CLOUD_PLATFORM;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::sts::{ACCESS, EXCHANGE, introspected};
use super::{FORM, NOW, Reply, encoded, form, reply, request, sandbox, text};

/// What a client shows of itself.
type Shown = Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>;

/// The client of the folder.
fn client(sandbox: &Running) -> Shown {
    let certificate = CertificateDer::from_pem_file(sandbox.file("client.pem")).unwrap();
    Some((certificate, PrivateKeyDer::from_pem_file(sandbox.file("client.key")).unwrap()))
}

fn issuer(sandbox: &Running) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(sandbox.file("ca.pem")).unwrap()
}

/// All that comes back over TLS, as far as it does.
fn over_tls(sandbox: &Running, shown: Shown, text: &str) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(issuer(sandbox)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    let authority = sandbox.tls_url().trim_start_matches("https://");
    let socket = TcpStream::connect(authority)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let name = "127.0.0.1".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(text.as_bytes())?;
    let mut all = Vec::new();
    // A connection that is torn off instead of ended is an error here.
    stream.read_to_end(&mut all)?;
    Ok(all)
}

fn ask(sandbox: &Running, shown: Shown, path: &str, headers: &str, body: &str) -> Reply {
    reply(&over_tls(sandbox, shown, &request("POST", path, headers, body)).unwrap())
}

fn exchange(sandbox: &Running, shown: Shown, token: &str) -> Reply {
    let fields = [
        ("grant_type", EXCHANGE),
        ("audience", WORKLOAD_PROVIDER),
        ("scope", CLOUD_PLATFORM),
        ("requested_token_type", ACCESS),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:mtls"),
    ];
    ask(sandbox, shown, "/v1/token", FORM, &encoded(&fields))
}

/// A subject token with these certificates.
fn chain(certificates: &[&CertificateDer]) -> String {
    let list: Vec<String> = certificates.iter().map(|der| STANDARD.encode(der)).collect();
    json!(list).to_string()
}

#[test]
fn the_certificate_that_is_shown_is_the_subject() {
    let (sandbox, _) = sandbox(&[]);
    let leaf = client(&sandbox).unwrap().0;
    let issuer = issuer(&sandbox);
    for token in [chain(&[&leaf]), chain(&[&leaf, &issuer])] {
        let issued = exchange(&sandbox, client(&sandbox), &token);
        assert_eq!(issued.status, 200, "{}", issued.json());
        let told = introspected(&sandbox, text(&issued.json(), "access_token"));
        assert!(text(&told, "username").ends_with("/subject/workload.sandbox.example"), "{told}");
    }
    let requests = sandbox.requests();
    assert_eq!(requests[0].request.certificate.as_deref(), Some(&*leaf));
    for (shown, token, code) in [
        (None, chain(&[&leaf]), "invalid_request"),
        (client(&sandbox), chain(&[&issuer]), "invalid_grant"),
        (client(&sandbox), chain(&[&issuer, &leaf]), "invalid_grant"),
        (client(&sandbox), chain(&[&leaf, &leaf]), "invalid_grant"),
        (client(&sandbox), chain(&[]), "invalid_grant"),
        (client(&sandbox), "[\"!\"]".to_owned(), "invalid_grant"),
        (client(&sandbox), STANDARD.encode(&leaf), "invalid_grant"),
    ] {
        let answer = exchange(&sandbox, shown, &token);
        assert_eq!((answer.status, text(&answer.json(), "error")), (400, code));
    }
}

#[test]
fn a_certificate_of_another_issuer_is_turned_away() {
    let (ours, _) = sandbox(&[]);
    let (other, _) = sandbox(&[]);
    let text = request("POST", "/v1/token", FORM, "");
    assert!(over_tls(&ours, client(&other), &text).is_err());
    assert_eq!(ours.count("sts"), 0);
    assert!(over_tls(&ours, client(&ours), &text).is_ok());
}

#[test]
fn both_listeners_serve_the_same() {
    let (sandbox, _) = sandbox(&[]);
    let text = request("GET", "/subject", "", "");
    assert!(over_tls(&sandbox, None, &text).unwrap().starts_with(b"HTTP/1.1 401"));
    let nowhere = request("GET", "/nowhere", "", "");
    assert!(over_tls(&sandbox, None, &nowhere).unwrap().starts_with(b"HTTP/1.1 404"));
    assert_eq!((sandbox.count("subject"), sandbox.count("")), (1, 1));
    let authority = sandbox.tls_url().trim_start_matches("https://");
    let path = "/computeMetadata/v1/project/project-id";
    let machine = request("GET", path, "Metadata-Flavor: Google\r\n", "");
    let machine = machine.replace("Host: 127.0.0.1", &format!("Host: {authority}"));
    assert!(over_tls(&sandbox, None, &machine).unwrap().starts_with(b"HTTP/1.1 200"));
    let mut socket = TcpStream::connect(authority).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    let mut all = Vec::new();
    let _ = socket.read_to_end(&mut all);
    assert!(!all.starts_with(b"HTTP"), "what is not TLS is not answered");
    assert_eq!(sandbox.count("subject"), 1);
}

#[test]
fn misbehaviour_is_the_same_inside_tls() {
    let text = request("GET", "/certs", "", "");
    for fault in ["certs=truncate", "certs=close", "certs=two-lengths"] {
        let (sandbox, _) = sandbox(&[fault]);
        assert!(over_tls(&sandbox, None, &text).is_err(), "{fault} ends as if all were well");
        assert_eq!(sandbox.count("certs"), 1);
    }
    let (sandbox, _) = sandbox(&["certs=oversize", "subject=redirect"]);
    assert!(over_tls(&sandbox, None, &text).unwrap().len() > 2 * 1024 * 1024);
    let moved = over_tls(&sandbox, None, &request("GET", "/subject", "", "")).unwrap();
    assert!(String::from_utf8_lossy(&moved).contains("Location: //127.0.0.1/elsewhere\r\n"));
}

fn account() -> String {
    format!("system:serviceaccount:{GDCH_PROJECT}:{GDCH_NAME}")
}

/// The claims of a good assertion.
fn claims(sandbox: &Running) -> Value {
    let audience = format!("{}/authenticate", sandbox.tls_url());
    json!({
        "iss": account(), "sub": account(), "aud": audience, "iat": NOW, "exp": NOW + 3600,
    })
}

fn assertion(sandbox: &Running, kid: &str, claims: &Value) -> String {
    let outside = &sandbox.cast().outside;
    let key = PrivateKey::any_from_secret(&outside.gdch_pem).unwrap();
    jwt::sign(&key, Some(kid), claims).unwrap().expose().to_owned()
}

fn body(token: &str) -> Value {
    json!({
        "grant_type": "urn:ietf:params:oauth:token-type:token-exchange",
        "audience": "https://api.example.com",
        "requested_token_type": ACCESS,
        "subject_token": token,
        "subject_token_type": "urn:k8s:params:oauth:token-type:serviceaccount",
    })
}

fn authenticate(sandbox: &Running, body: &Value) -> Reply {
    let json = "Content-Type: application/json\r\n";
    ask(sandbox, None, "/authenticate", json, &body.to_string())
}

#[test]
fn an_assertion_on_a_curve_gets_a_token_of_the_distributed_cloud() {
    let (sandbox, clock) = sandbox(&[]);
    let kid = &sandbox.cast().outside.gdch_key_id;
    let good = assertion(&sandbox, kid, &claims(&sandbox));
    let issued = authenticate(&sandbox, &body(&good)).json();
    assert_eq!(
        (issued["expires_in"].as_i64(), text(&issued, "token_type")),
        (Some(3599), "Bearer")
    );
    let told = introspected(&sandbox, text(&issued, "access_token"));
    assert_eq!(text(&told, "username"), account());
    for (name, value, words) in [
        ("iss", json!("other"), "iss and sub"),
        ("sub", Value::Null, "iss and sub"),
        ("aud", json!("https://x.example/authenticate"), "aud must be"),
        ("aud", json!(sandbox.tls_url()), "aud must be"),
        ("iat", Value::Null, "iat and exp"),
        ("iat", json!(NOW + 301), "expired"),
        ("exp", json!(NOW), "expired"),
        ("exp", json!(NOW + 3601), "more than an hour"),
    ] {
        let mut claims = claims(&sandbox);
        claims[name] = value;
        let answer = authenticate(&sandbox, &body(&assertion(&sandbox, kid, &claims))).json();
        assert_eq!(text(&answer, "error"), "invalid_grant", "{claims}");
        assert!(text(&answer, "error_description").contains(words), "{answer}");
    }
    let workload = sandbox.cast().outside.workload_token("x", NOW).unwrap();
    let robot = PrivateKey::from_secret(&sandbox.cast().service_account_pem).unwrap();
    let robots = jwt::sign(&robot, Some(kid), &claims(&sandbox)).unwrap();
    for (token, words) in [
        (assertion(&sandbox, "other", &claims(&sandbox)), "signature"),
        (workload.expose().to_owned(), "signature"),
        (robots.expose().to_owned(), "ES256"),
        ("x".to_owned(), "segments"),
    ] {
        let answer = authenticate(&sandbox, &body(&token)).json();
        assert_eq!(text(&answer, "error"), "invalid_grant", "{answer}");
        assert!(text(&answer, "error_description").contains(words), "{answer}");
    }
    clock.0.fetch_add(3600, Ordering::Relaxed);
    assert_eq!(text(&authenticate(&sandbox, &body(&good)).json(), "error"), "invalid_grant");
}

#[test]
fn each_field_for_the_distributed_cloud_is_checked() {
    let (sandbox, _) = sandbox(&[]);
    let kid = &sandbox.cast().outside.gdch_key_id;
    let token = assertion(&sandbox, kid, &claims(&sandbox));
    for (name, value, code) in [
        ("grant_type", json!(EXCHANGE), "unsupported_grant_type"),
        ("grant_type", Value::Null, "invalid_request"),
        ("audience", Value::Null, "invalid_request"),
        ("audience", json!(""), "invalid_request"),
        ("requested_token_type", json!("x"), "invalid_request"),
        ("subject_token_type", json!("x"), "invalid_request"),
        ("subject_token", json!(1), "invalid_request"),
    ] {
        let mut body = body(&token);
        body[name] = value;
        let answer = authenticate(&sandbox, &body);
        assert_eq!((answer.status, text(&answer.json(), "error")), (400, code), "{body}");
    }
    let answer = form(&sandbox, "/authenticate", &[("subject_token", &token)]).json();
    assert_eq!(text(&answer, "error"), "invalid_request");
    assert_eq!(super::ask(&sandbox, "GET", "/authenticate", "", "").status, 405);
    assert_eq!(text(&authenticate(&sandbox, &json!([])).json(), "error"), "invalid_request");
}
