//! TLS: what is trusted, what is not and in which words, and that a bad certificate is sent nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use gauth::error::{Again, ErrorKind};
use gauth::http::Identity;
use gauth::roots::Trust;
use gauth::world::http::{Conditions, Http, Wire};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::server::{Server, read_request};
use super::{failed, form, usual};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An issuer of certificates, and its own certificate in a file.
pub(super) struct Issuer {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Issuer {
    pub(super) fn new() -> Issuer {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an issuer");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key"))
            .expect("issuer");
        let folder = tempfile::tempdir().expect("folder");
        std::fs::File::create(folder.path().join("ca.pem"))
            .and_then(|mut file| file.write_all(issuer.pem().as_bytes()))
            .expect("file");
        Issuer { issuer, folder }
    }

    /// What `--ca-file` with its certificate means.
    pub(super) fn trusted(&self) -> Conditions {
        let path = self.folder.path().join("ca.pem");
        Conditions { trust: Trust::File { named_by: "--ca-file".to_owned(), path }, ..usual() }
    }

    /// A server's side of TLS, with a certificate for these names.
    pub(super) fn server(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        config(certificate.der().clone(), &key)
    }
}

/// A certificate to show, signed by this issuer, in files beside its own.
fn shown_by(issuer: &Issuer) -> Identity {
    let key = KeyPair::generate().expect("key");
    let leaf = params(&["client"]).signed_by(&key, &issuer.issuer).expect("certificate");
    let file = |name: &str, text: String| {
        let path = issuer.folder.path().join(name);
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("file");
        path
    };
    Identity {
        named_by: "certificate_config.json".to_owned(),
        certificate: file("client.pem", leaf.pem()),
        key: file("client.key", key.serialize_pem()),
    }
}

/// A server that wants a certificate of this issuer.
fn demanding(issuer: &Issuer, versions: &[&'static SupportedProtocolVersion]) -> Server {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.issuer.der().clone()).expect("root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = KeyPair::generate().expect("key");
    let certificate = params(&["127.0.0.1"]).signed_by(&key, &issuer.issuer).expect("certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("verifier"))
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("configuration");
    let config = Arc::new(config);
    Server::start("127.0.0.1:0", move |stream| {
        let unread = stream.try_clone();
        let request = serve(Arc::clone(&config), stream, ANSWER, true);
        // What nobody reads turns the goodbye into a reset.
        if let Ok(mut unread) = unread {
            let _ = unread.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut unread, &mut std::io::sink());
        }
        request
    })
    .expect("loopback")
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| String::from(*name)).collect();
    CertificateParams::new(names).expect("parameters")
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
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
pub(super) fn serve(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    answer: &[u8],
    graceful: bool,
) -> Vec<u8> {
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

fn start(config: Arc<ServerConfig>, answer: &'static [u8], graceful: bool) -> Server {
    Server::start("127.0.0.1:0", move |stream| serve(config, stream, answer, graceful))
        .expect("loopback")
}

fn https(server: &Server) -> String {
    format!("https://{}/", server.authority())
}

#[test]
fn a_server_whose_issuer_is_named_is_trusted() {
    let issuer = Issuer::new();
    let server = start(issuer.server(&["127.0.0.1"], |_| ()), ANSWER, true);
    let response = Wire::new().send(&form(&https(&server)), &issuer.trusted()).expect("answer");
    assert_eq!(&**response.body, b"ok");
    assert!(server.received().ends_with("refresh_token=1%2F%2Fx"));
}

#[test]
fn a_server_is_known_by_its_name_too() {
    let issuer = Issuer::new();
    let server = start(issuer.server(&["localhost"], |_| ()), ANSWER, true);
    let url = format!("https://localhost:{}/", server.port());
    let response = Wire::new().send(&form(&url), &issuer.trusted()).expect("answer");
    assert_eq!(response.status, 200);
}

#[test]
fn certificates_are_read_once_a_run() {
    let issuer = Issuer::new();
    let wire = Wire::new();
    let conditions = issuer.trusted();
    for round in 0..2 {
        let server = start(issuer.server(&["127.0.0.1"], |_| ()), ANSWER, true);
        assert_eq!(wire.send(&form(&https(&server)), &conditions).expect("answer").status, 200);
        if round == 0 {
            std::fs::remove_file(issuer.folder.path().join("ca.pem")).expect("removed");
        }
    }
}

/// Refused in these words, never to be tried again, and not a byte of the request was sent.
#[track_caller]
fn refused(config: Arc<ServerConfig>, conditions: &Conditions, says: &str) {
    let server = start(config, ANSWER, true);
    let error = Wire::new().send(&form(&https(&server)), conditions).expect_err("refused");
    failed(&error, &format!("{}: {says}", server.authority()), Again::Never);
    assert_eq!(server.received(), "", "the request was sent");
}

#[test]
fn an_unknown_issuer_is_refused() {
    let issuer = Issuer::new();
    let says = "the server's certificate has an unknown issuer";
    refused(issuer.server(&["127.0.0.1"], |_| ()), &usual(), says);
    refused(issuer.server(&["127.0.0.1"], |_| ()), &Issuer::new().trusted(), says);
}

#[test]
fn a_certificate_that_signed_itself_is_refused() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = params(&["127.0.0.1"]);
        params.is_ca = is_ca;
        let key = KeyPair::generate().expect("key");
        let certificate = params.self_signed(&key).expect("certificate");
        let config = config(certificate.der().clone(), &key);
        refused(config, &usual(), "the server's certificate has an unknown issuer");
    }
}

#[test]
fn an_expired_certificate_and_one_of_the_future_are_refused() {
    let issuer = Issuer::new();
    let expired = issuer.server(&["127.0.0.1"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    refused(expired, &issuer.trusted(), "the server's certificate has expired");
    let future = issuer.server(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2500, 1, 1);
    });
    refused(future, &issuer.trusted(), "the server's certificate is not valid yet");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let issuer = Issuer::new();
    let other = issuer.server(&["oauth2.googleapis.com"], |_| ());
    let says = "the server's certificate is for another host than 127.0.0.1";
    refused(other, &issuer.trusted(), says);
}

#[test]
fn a_server_is_shown_the_certificate_it_wants() {
    let issuer = Issuer::new();
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let server = demanding(&issuer, versions);
        let mut request = form(&https(&server));
        request.identity = Some(shown_by(&issuer));
        let answer = Wire::new().send(&request, &issuer.trusted()).expect("answer");
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn a_certificate_that_a_server_does_not_take_is_named_and_not_shown_again() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let server = demanding(&issuer, versions);
        let mut request = form(&https(&server));
        let shown = shown_by(&stranger);
        let path = shown.certificate.display().to_string();
        let says = format!("{}: the certificate {path} was not accepted, ", server.authority());
        request.identity = Some(shown);
        let error = Wire::new().send(&request, &issuer.trusted()).expect_err("refused");
        assert!(error.message().starts_with(&says), "{error}");
        assert_eq!((error.kind(), error.repeatable()), (ErrorKind::NoAnswer, Again::Never));
        assert!(error.hint_text().is_some_and(|hint| hint.contains("issuer")), "{error:?}");
        assert_eq!(server.received(), "");
    }
}

#[test]
fn a_server_that_wants_a_certificate_is_said_to_want_one() {
    let issuer = Issuer::new();
    let server = demanding(&issuer, &[&rustls::version::TLS13]);
    let error = Wire::new().send(&form(&https(&server)), &issuer.trusted()).expect_err("refused");
    let says = format!("{}: the server wants a client certificate", server.authority());
    failed(&error, &says, Again::Never);
}

#[test]
fn a_server_without_tls_is_said_to_have_none() {
    let server = Server::start("127.0.0.1:0", |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let mut hello = vec![0; 4096];
        let count = stream.read(&mut hello).unwrap_or(0);
        hello.truncate(count);
        hello
    })
    .expect("loopback");
    let error = Wire::new().send(&form(&https(&server)), &usual()).expect_err("no TLS");
    failed(&error, &format!("{}: does not speak TLS", server.authority()), Again::Never);
    assert!(!server.received().contains("refresh_token"));
}

#[test]
fn a_handshake_that_breaks_off_may_be_repeated_even_with_a_single_use_code() {
    let server = Server::start("127.0.0.1:0", |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        Vec::new()
    })
    .expect("loopback");
    let error = Wire::new().send(&form(&https(&server)), &usual()).expect_err("broken off");
    assert_eq!((error.kind(), error.repeatable()), (ErrorKind::NoAnswer, Again::NothingSent));
}

#[test]
fn a_handshake_that_never_ends_is_cut_at_the_limit() {
    let server = Server::dripping(b"", std::time::Duration::from_secs(60));
    let limit = std::time::Duration::from_millis(300);
    let conditions = Conditions { limit, ..usual() };
    let began = std::time::Instant::now();
    let error = Wire::new().send(&form(&https(&server)), &conditions).expect_err("silence");
    assert!(began.elapsed() < 4 * limit, "{:?}", began.elapsed());
    let says = format!("{}: no connection within 0.3 s", server.authority());
    failed(&error, &says, Again::NothingSent);
}

#[test]
fn an_answer_without_length_must_end_as_tls_ends() {
    let issuer = Issuer::new();
    let answer = b"HTTP/1.1 200 OK\r\n\r\nhello";
    let server = start(issuer.server(&["127.0.0.1"], |_| ()), answer, true);
    let response = Wire::new().send(&form(&https(&server)), &issuer.trusted()).expect("answer");
    assert_eq!(&**response.body, b"hello");
    let server = start(issuer.server(&["127.0.0.1"], |_| ()), answer, false);
    let error = Wire::new().send(&form(&https(&server)), &issuer.trusted()).expect_err("cut off");
    assert_eq!((error.kind(), error.repeatable()), (ErrorKind::NoAnswer, Again::Later), "{error}");
}

#[test]
fn a_file_of_certificates_that_is_missing_is_an_error_of_its_own_but_only_for_https() {
    let path = PathBuf::from("/no/such/ca.pem");
    let trust = Trust::File { named_by: "--ca-file".to_owned(), path };
    let conditions = Conditions { trust, ..usual() };
    let error = Wire::new().send(&form("https://127.0.0.1:1/"), &conditions).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(error.message().starts_with("--ca-file: /no/such/ca.pem cannot be read"), "{error}");
    let server = Server::answering(ANSWER);
    assert_eq!(Wire::new().send(&form(&server.url()), &conditions).expect("answer").status, 200);
}
