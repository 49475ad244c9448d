//! The listener with TLS: certificates as subject tokens, and the service account of a distributed cloud.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_sandbox::RunningSandbox;
use gauth_sandbox::external_identities::{GDCH_PROJECT, GDCH_SERVICE_IDENTITY_NAME};
use gauth_sandbox::fixtures::WORKLOAD_PROVIDER;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::sts::{ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE_GRANT_TYPE, introspect};
use super::{
    FORM_HEADER, HttpReply, NOW, encode_form, parse_reply, post_form, request_text, start_sandbox, text_field,
};

/// What a client shows of itself.
type ShownCertificate = Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>;

/// The client of the folder.
fn folder_client_certificate(sandbox: &RunningSandbox) -> ShownCertificate {
    let certificate = CertificateDer::from_pem_file(sandbox.file("client.pem")).unwrap();
    Some((certificate, PrivateKeyDer::from_pem_file(sandbox.file("client.key")).unwrap()))
}

fn issuer_certificate(sandbox: &RunningSandbox) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(sandbox.file("ca.pem")).unwrap()
}

/// All that comes back over TLS, as far as it does.
fn exchange_over_tls(
    sandbox: &RunningSandbox,
    client_certificate: ShownCertificate,
    text: &str,
) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(issuer_certificate(sandbox)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client_certificate {
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

fn send_tls_request(
    sandbox: &RunningSandbox,
    client_certificate: ShownCertificate,
    path: &str,
    headers: &str,
    body: &str,
) -> HttpReply {
    parse_reply(&exchange_over_tls(sandbox, client_certificate, &request_text("POST", path, headers, body)).unwrap())
}

fn exchange_certificate(sandbox: &RunningSandbox, client_certificate: ShownCertificate, token: &str) -> HttpReply {
    let fields = [
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("audience", WORKLOAD_PROVIDER),
        ("scope", CLOUD_PLATFORM_SCOPE),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:mtls"),
    ];
    send_tls_request(sandbox, client_certificate, "/v1/token", FORM_HEADER, &encode_form(&fields))
}

/// A subject token with these certificates.
fn certificate_chain_token(certificates: &[&CertificateDer]) -> String {
    let list: Vec<String> = certificates.iter().map(|der| STANDARD.encode(der)).collect();
    json!(list).to_string()
}

#[test]
fn the_certificate_that_is_shown_is_the_subject() {
    let (sandbox, _) = start_sandbox(&[]);
    let leaf = folder_client_certificate(&sandbox).unwrap().0;
    let issuer = issuer_certificate(&sandbox);
    for token in [certificate_chain_token(&[&leaf]), certificate_chain_token(&[&leaf, &issuer])] {
        let issued = exchange_certificate(&sandbox, folder_client_certificate(&sandbox), &token);
        assert_eq!(issued.status, 200, "{}", issued.json());
        let told = introspect(&sandbox, text_field(&issued.json(), "access_token"));
        assert!(text_field(&told, "username").ends_with("/subject/workload.sandbox.example"), "{told}");
    }
    let requests = sandbox.requests();
    assert_eq!(requests[0].request.client_certificate.as_deref(), Some(&*leaf));
    for (shown, token, code) in [
        (None, certificate_chain_token(&[&leaf]), "invalid_request"),
        (folder_client_certificate(&sandbox), certificate_chain_token(&[&issuer]), "invalid_grant"),
        (folder_client_certificate(&sandbox), certificate_chain_token(&[&issuer, &leaf]), "invalid_grant"),
        (folder_client_certificate(&sandbox), certificate_chain_token(&[&leaf, &leaf]), "invalid_grant"),
        (folder_client_certificate(&sandbox), certificate_chain_token(&[]), "invalid_grant"),
        (folder_client_certificate(&sandbox), "[\"!\"]".to_owned(), "invalid_grant"),
        (folder_client_certificate(&sandbox), STANDARD.encode(&leaf), "invalid_grant"),
    ] {
        let answer = exchange_certificate(&sandbox, shown, &token);
        assert_eq!((answer.status, text_field(&answer.json(), "error")), (400, code));
    }
}

#[test]
fn a_certificate_of_another_issuer_is_rejected() {
    let (ours, _) = start_sandbox(&[]);
    let (other, _) = start_sandbox(&[]);
    let text = request_text("POST", "/v1/token", FORM_HEADER, "");
    assert!(exchange_over_tls(&ours, folder_client_certificate(&other), &text).is_err());
    assert_eq!(ours.request_count("sts"), 0);
    assert!(exchange_over_tls(&ours, folder_client_certificate(&ours), &text).is_ok());
}

#[test]
fn both_listeners_serve_the_same() {
    let (sandbox, _) = start_sandbox(&[]);
    let text = request_text("GET", "/subject", "", "");
    assert!(exchange_over_tls(&sandbox, None, &text).unwrap().starts_with(b"HTTP/1.1 401"));
    let nowhere = request_text("GET", "/nowhere", "", "");
    assert!(exchange_over_tls(&sandbox, None, &nowhere).unwrap().starts_with(b"HTTP/1.1 404"));
    assert_eq!((sandbox.request_count("subject"), sandbox.request_count("")), (1, 1));
    let authority = sandbox.tls_url().trim_start_matches("https://");
    let path = "/computeMetadata/v1/project/project-id";
    let machine = request_text("GET", path, "Metadata-Flavor: Google\r\n", "");
    let machine = machine.replace("Host: 127.0.0.1", &format!("Host: {authority}"));
    assert!(exchange_over_tls(&sandbox, None, &machine).unwrap().starts_with(b"HTTP/1.1 200"));
    let mut socket = TcpStream::connect(authority).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    let mut all = Vec::new();
    let _ = socket.read_to_end(&mut all);
    assert!(!all.starts_with(b"HTTP"), "what is not TLS is not answered");
    assert_eq!(sandbox.request_count("subject"), 1);
}

#[test]
fn misbehaviour_is_the_same_inside_tls() {
    let text = request_text("GET", "/certs", "", "");
    for fault in ["certs=truncate", "certs=close", "certs=two-lengths"] {
        let (sandbox, _) = start_sandbox(&[fault]);
        assert!(exchange_over_tls(&sandbox, None, &text).is_err(), "{fault} ends as if all were well");
        assert_eq!(sandbox.request_count("certs"), 1);
    }
    let (sandbox, _) = start_sandbox(&["certs=oversize", "subject=redirect"]);
    assert!(exchange_over_tls(&sandbox, None, &text).unwrap().len() > 2 * 1024 * 1024);
    let moved = exchange_over_tls(&sandbox, None, &request_text("GET", "/subject", "", "")).unwrap();
    assert!(String::from_utf8_lossy(&moved).contains("Location: //127.0.0.1/elsewhere\r\n"));
}

fn gdch_account() -> String {
    format!("system:serviceaccount:{GDCH_PROJECT}:{GDCH_SERVICE_IDENTITY_NAME}")
}

/// The claims of a good assertion.
fn assertion_claims(sandbox: &RunningSandbox) -> Value {
    let audience = format!("{}/authenticate", sandbox.tls_url());
    json!({
        "iss": gdch_account(), "sub": gdch_account(), "aud": audience, "iat": NOW, "exp": NOW + 3600,
    })
}

fn signed_assertion(sandbox: &RunningSandbox, kid: &str, claims: &Value) -> String {
    let outside = &sandbox.fixtures().external;
    let key = PrivateKey::any_from_secret(&outside.gdch_private_key_pem).unwrap();
    jwt::sign(&key, Some(kid), claims).unwrap().expose().to_owned()
}

fn gdch_body(token: &str) -> Value {
    json!({
        "grant_type": "urn:ietf:params:oauth:token-type:token-exchange",
        "audience": "https://api.example.com",
        "requested_token_type": ACCESS_TOKEN_TYPE,
        "subject_token": token,
        "subject_token_type": "urn:k8s:params:oauth:token-type:serviceaccount",
    })
}

fn authenticate(sandbox: &RunningSandbox, body: &Value) -> HttpReply {
    let json = "Content-Type: application/json\r\n";
    send_tls_request(sandbox, None, "/authenticate", json, &body.to_string())
}

#[test]
fn an_assertion_on_a_curve_gets_a_token_of_the_distributed_cloud() {
    let (sandbox, clock) = start_sandbox(&[]);
    let kid = &sandbox.fixtures().external.gdch_key_id;
    let good = signed_assertion(&sandbox, kid, &assertion_claims(&sandbox));
    let issued = authenticate(&sandbox, &gdch_body(&good)).json();
    assert_eq!((issued["expires_in"].as_i64(), text_field(&issued, "token_type")), (Some(3599), "Bearer"));
    let told = introspect(&sandbox, text_field(&issued, "access_token"));
    assert_eq!(text_field(&told, "username"), gdch_account());
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
        let mut claims = assertion_claims(&sandbox);
        claims[name] = value;
        let answer = authenticate(&sandbox, &gdch_body(&signed_assertion(&sandbox, kid, &claims))).json();
        assert_eq!(text_field(&answer, "error"), "invalid_grant", "{claims}");
        assert!(text_field(&answer, "error_description").contains(words), "{answer}");
    }
    let workload = sandbox.fixtures().external.workload_token("x", NOW).unwrap();
    let robot = PrivateKey::rsa_from_secret(&sandbox.fixtures().service_account_pem).unwrap();
    let robots = jwt::sign(&robot, Some(kid), &assertion_claims(&sandbox)).unwrap();
    for (token, words) in [
        (signed_assertion(&sandbox, "other", &assertion_claims(&sandbox)), "signature"),
        (workload.expose().to_owned(), "signature"),
        (robots.expose().to_owned(), "ES256"),
        ("x".to_owned(), "segments"),
    ] {
        let answer = authenticate(&sandbox, &gdch_body(&token)).json();
        assert_eq!(text_field(&answer, "error"), "invalid_grant", "{answer}");
        assert!(text_field(&answer, "error_description").contains(words), "{answer}");
    }
    clock.0.fetch_add(3600, Ordering::Relaxed);
    assert_eq!(text_field(&authenticate(&sandbox, &gdch_body(&good)).json(), "error"), "invalid_grant");
}

#[test]
fn each_field_for_the_distributed_cloud_is_checked() {
    let (sandbox, _) = start_sandbox(&[]);
    let kid = &sandbox.fixtures().external.gdch_key_id;
    let token = signed_assertion(&sandbox, kid, &assertion_claims(&sandbox));
    for (name, value, code) in [
        ("grant_type", json!(TOKEN_EXCHANGE_GRANT_TYPE), "unsupported_grant_type"),
        ("grant_type", Value::Null, "invalid_request"),
        ("audience", Value::Null, "invalid_request"),
        ("audience", json!(""), "invalid_request"),
        ("requested_token_type", json!("x"), "invalid_request"),
        ("subject_token_type", json!("x"), "invalid_request"),
        ("subject_token", json!(1), "invalid_request"),
    ] {
        let mut body = gdch_body(&token);
        body[name] = value;
        let answer = authenticate(&sandbox, &body);
        assert_eq!((answer.status, text_field(&answer.json(), "error")), (400, code), "{body}");
    }
    let answer = post_form(&sandbox, "/authenticate", &[("subject_token", &token)]).json();
    assert_eq!(text_field(&answer, "error"), "invalid_request");
    assert_eq!(super::send_to_sandbox(&sandbox, "GET", "/authenticate", "", "").status, 405);
    assert_eq!(text_field(&authenticate(&sandbox, &json!([])).json(), "error"), "invalid_request");
}
