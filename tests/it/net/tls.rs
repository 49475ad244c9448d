//! TLS: what is trusted, what is not and in which words, and that a bad certificate is sent nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use gauth_core::error::{ErrorKind, Retryable};
use gauth_core::http::transport::HttpTransport;
use gauth_core::net::message::ClientCertificate;
use gauth_core::net::transport::{Http, RootCertificates, TransportOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

use super::one_shot_server::{OneShotServer, read_request};
use super::{assert_error, default_options, form_request};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An issuer of certificates, and its own certificate in a file.
pub(super) struct TestCertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl TestCertificateAuthority {
    pub(super) fn new() -> TestCertificateAuthority {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an issuer");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("issuer");
        let folder = tempfile::tempdir().expect("folder");
        std::fs::File::create(folder.path().join("ca.pem"))
            .and_then(|mut file| file.write_all(issuer.pem().as_bytes()))
            .expect("file");
        TestCertificateAuthority { issuer, folder }
    }

    /// What `--ca-file` with its certificate means.
    pub(super) fn trusting_options(&self) -> TransportOptions {
        let path = self.folder.path().join("ca.pem");
        TransportOptions {
            root_certificates: RootCertificates::File { origin: "--ca-file".to_owned(), path },
            ..default_options()
        }
    }

    /// A server's side of TLS, with a certificate for these names.
    pub(super) fn server(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = certificate_params(names);
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        server_config(certificate.der().clone(), &key)
    }
}

/// A certificate to show, signed by this issuer, in files beside its own.
fn client_certificate(issuer: &TestCertificateAuthority) -> ClientCertificate {
    let key = KeyPair::generate().expect("key");
    let leaf = certificate_params(&["client"]).signed_by(&key, &issuer.issuer).expect("certificate");
    let file = |name: &str, text: String| {
        let path = issuer.folder.path().join(name);
        std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).expect("file");
        path
    };
    ClientCertificate {
        origin: "certificate_config.json".to_owned(),
        certificate_path: file("client.pem", leaf.pem()),
        key_path: file("client.key", key.serialize_pem()),
    }
}

/// A server that wants a certificate of this issuer.
fn server_requiring_client_certificate(
    issuer: &TestCertificateAuthority,
    versions: &[&'static SupportedProtocolVersion],
) -> OneShotServer {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.issuer.der().clone()).expect("root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = KeyPair::generate().expect("key");
    let certificate = certificate_params(&["127.0.0.1"]).signed_by(&key, &issuer.issuer).expect("certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("verifier"))
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("configuration");
    let config = Arc::new(config);
    OneShotServer::start("127.0.0.1:0", move |stream| {
        let unread = stream.try_clone();
        let request = serve_tls(Arc::clone(&config), stream, ANSWER, true);
        // What nobody reads turns the goodbye into a reset.
        if let Ok(mut unread) = unread {
            let _ = unread.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut unread, &mut std::io::sink());
        }
        request
    })
    .expect("loopback")
}

fn certificate_params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| String::from(*name)).collect();
    CertificateParams::new(names).expect("parameters")
}

fn server_config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.expect("configuration"))
}

/// Speaks TLS, reads a request, answers; `graceful` says goodbye as TLS wants it.
pub(super) fn serve_tls(config: Arc<ServerConfig>, stream: TcpStream, answer: &[u8], graceful: bool) -> Vec<u8> {
    let mut tls = StreamOwned::new(ServerConnection::new(config).expect("server"), stream);
    let request = read_request(&mut tls);
    if request.is_empty() {
        return request;
    }
    let _ = tls.write_all(answer);
    if graceful {
        tls.conn.send_close_notify();
    }
    let _ = tls.flush();
    let _ = tls.sock.shutdown(std::net::Shutdown::Write);
    let _ = tls.sock.read(&mut [0; 16]);
    request
}

fn start_tls_server(config: Arc<ServerConfig>, answer: &'static [u8], graceful: bool) -> OneShotServer {
    OneShotServer::start("127.0.0.1:0", move |stream| serve_tls(config, stream, answer, graceful)).expect("loopback")
}

fn https_url(server: &OneShotServer) -> String {
    format!("https://{}/", server.authority())
}

#[test]
fn a_server_whose_issuer_is_named_is_trusted() {
    let issuer = TestCertificateAuthority::new();
    let server = start_tls_server(issuer.server(&["127.0.0.1"], |_| ()), ANSWER, true);
    let response =
        HttpTransport::new().send(&form_request(&https_url(&server)), &issuer.trusting_options()).expect("answer");
    assert_eq!(&**response.body, b"ok");
    assert!(server.received().ends_with("refresh_token=1%2F%2Fx"));
}

#[test]
fn a_server_is_known_by_its_name_too() {
    let issuer = TestCertificateAuthority::new();
    let server = start_tls_server(issuer.server(&["localhost"], |_| ()), ANSWER, true);
    let url = format!("https://localhost:{}/", server.port());
    let response = HttpTransport::new().send(&form_request(&url), &issuer.trusting_options()).expect("answer");
    assert_eq!(response.status, 200);
}

#[test]
fn certificates_are_read_once_a_run() {
    let issuer = TestCertificateAuthority::new();
    let wire = HttpTransport::new();
    let conditions = issuer.trusting_options();
    for round in 0..2 {
        let server = start_tls_server(issuer.server(&["127.0.0.1"], |_| ()), ANSWER, true);
        assert_eq!(wire.send(&form_request(&https_url(&server)), &conditions).expect("answer").status, 200);
        if round == 0 {
            std::fs::remove_file(issuer.folder.path().join("ca.pem")).expect("removed");
        }
    }
}

/// Refused in these words, never to be tried again, and not a byte of the request was sent.
#[track_caller]
fn assert_refused(config: Arc<ServerConfig>, conditions: &TransportOptions, message: &str) {
    let server = start_tls_server(config, ANSWER, true);
    let error = HttpTransport::new().send(&form_request(&https_url(&server)), conditions).expect_err("refused");
    assert_error(&error, &format!("{}: {message}", server.authority()), Retryable::Never);
    assert_eq!(server.received(), "", "the request was sent");
}

#[test]
fn an_unknown_issuer_is_refused() {
    let issuer = TestCertificateAuthority::new();
    let says = "the server's certificate has an unknown issuer";
    assert_refused(issuer.server(&["127.0.0.1"], |_| ()), &default_options(), says);
    assert_refused(issuer.server(&["127.0.0.1"], |_| ()), &TestCertificateAuthority::new().trusting_options(), says);
}

#[test]
fn a_certificate_that_signed_itself_is_refused() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = certificate_params(&["127.0.0.1"]);
        params.is_ca = is_ca;
        let key = KeyPair::generate().expect("key");
        let certificate = params.self_signed(&key).expect("certificate");
        let config = server_config(certificate.der().clone(), &key);
        assert_refused(config, &default_options(), "the server's certificate has an unknown issuer");
    }
}

#[test]
fn an_expired_certificate_and_one_of_the_future_are_refused() {
    let issuer = TestCertificateAuthority::new();
    let expired = issuer.server(&["127.0.0.1"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    assert_refused(expired, &issuer.trusting_options(), "the server's certificate has expired");
    let future = issuer.server(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2500, 1, 1);
    });
    assert_refused(future, &issuer.trusting_options(), "the server's certificate is not valid yet");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let issuer = TestCertificateAuthority::new();
    let other = issuer.server(&["oauth2.googleapis.com"], |_| ());
    let says = "the server's certificate is for another host than 127.0.0.1";
    assert_refused(other, &issuer.trusting_options(), says);
}

#[test]
fn a_server_is_shown_the_certificate_it_wants() {
    let issuer = TestCertificateAuthority::new();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let server = server_requiring_client_certificate(&issuer, versions);
        let mut request = form_request(&https_url(&server));
        request.client_certificate = Some(client_certificate(&issuer));
        let answer = HttpTransport::new().send(&request, &issuer.trusting_options()).expect("answer");
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn a_certificate_that_a_server_does_not_take_is_named_and_not_shown_again() {
    let (issuer, stranger) = (TestCertificateAuthority::new(), TestCertificateAuthority::new());
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let server = server_requiring_client_certificate(&issuer, versions);
        let mut request = form_request(&https_url(&server));
        let shown = client_certificate(&stranger);
        let path = shown.certificate_path.display().to_string();
        let says = format!("{}: the certificate {path} was not accepted, ", server.authority());
        request.client_certificate = Some(shown);
        let error = HttpTransport::new().send(&request, &issuer.trusting_options()).expect_err("refused");
        assert!(error.message().starts_with(&says), "{error}");
        assert_eq!((error.kind(), error.retryable()), (ErrorKind::NoAnswer, Retryable::Never));
        assert!(error.hint_text().is_some_and(|hint| hint.contains("issuer")), "{error:?}");
        assert_eq!(server.received(), "");
    }
}

#[test]
fn a_server_that_wants_a_certificate_is_said_to_want_one() {
    let issuer = TestCertificateAuthority::new();
    let server = server_requiring_client_certificate(&issuer, &[&rustls::version::TLS13]);
    let error =
        HttpTransport::new().send(&form_request(&https_url(&server)), &issuer.trusting_options()).expect_err("refused");
    let says = format!("{}: the server wants a client certificate", server.authority());
    assert_error(&error, &says, Retryable::Never);
}

#[test]
fn a_server_without_tls_is_said_to_have_none() {
    let server = OneShotServer::start("127.0.0.1:0", |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let mut hello = vec![0; 4096];
        let count = stream.read(&mut hello).unwrap_or(0);
        hello.truncate(count);
        hello
    })
    .expect("loopback");
    let error = HttpTransport::new().send(&form_request(&https_url(&server)), &default_options()).expect_err("no TLS");
    assert_error(&error, &format!("{}: does not speak TLS", server.authority()), Retryable::Never);
    assert!(!server.received().contains("refresh_token"));
}

#[test]
fn a_handshake_that_breaks_off_may_be_repeated_even_with_a_single_use_code() {
    let server = OneShotServer::start("127.0.0.1:0", |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        Vec::new()
    })
    .expect("loopback");
    let error =
        HttpTransport::new().send(&form_request(&https_url(&server)), &default_options()).expect_err("broken off");
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::NoAnswer, Retryable::NothingSent));
}

#[test]
fn a_handshake_that_never_ends_is_cut_at_the_limit() {
    let server = OneShotServer::byte_by_byte(b"", std::time::Duration::from_secs(60));
    let limit = std::time::Duration::from_millis(300);
    let conditions = TransportOptions { timeout: limit, ..default_options() };
    let began = std::time::Instant::now();
    let error = HttpTransport::new().send(&form_request(&https_url(&server)), &conditions).expect_err("silence");
    assert!(began.elapsed() < 4 * limit, "{:?}", began.elapsed());
    let says = format!("{}: no connection within 0.3 s", server.authority());
    assert_error(&error, &says, Retryable::NothingSent);
}

#[test]
fn an_answer_without_length_must_end_as_tls_ends() {
    let issuer = TestCertificateAuthority::new();
    let answer = b"HTTP/1.1 200 OK\r\n\r\nhello";
    let server = start_tls_server(issuer.server(&["127.0.0.1"], |_| ()), answer, true);
    let response =
        HttpTransport::new().send(&form_request(&https_url(&server)), &issuer.trusting_options()).expect("answer");
    assert_eq!(&**response.body, b"hello");
    let server = start_tls_server(issuer.server(&["127.0.0.1"], |_| ()), answer, false);
    let error =
        HttpTransport::new().send(&form_request(&https_url(&server)), &issuer.trusting_options()).expect_err("cut off");
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::NoAnswer, Retryable::IfIdempotent), "{error}");
}

#[test]
fn a_file_of_certificates_that_is_missing_is_an_error_of_its_own_but_only_for_https() {
    let path = PathBuf::from("/no/such/ca.pem");
    let trust = RootCertificates::File { origin: "--ca-file".to_owned(), path };
    let conditions = TransportOptions { root_certificates: trust, ..default_options() };
    let error = HttpTransport::new().send(&form_request("https://127.0.0.1:1/"), &conditions).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.message().starts_with("--ca-file: /no/such/ca.pem cannot be read"), "{error}");
    let server = OneShotServer::responding(ANSWER);
    assert_eq!(HttpTransport::new().send(&form_request(&server.url()), &conditions).expect("answer").status, 200);
}
