//! Proxies: what they are told, what they never see, and whose fault it is when they fail.

use std::io::{Read, Write};
use std::net::TcpListener;

use gauth_core::error::Retryable;
use gauth_core::http::transport::HttpTransport;
use gauth_core::net::proxy::{Proxy, ProxyScheme};
use gauth_core::net::transport::{Http, TransportOptions};
use gauth_core::text::secret::Secret;
use rustls::{ServerConnection, StreamOwned};

use super::one_shot_server::{OneShotServer, read_request};
use super::tls::{TestCertificateAuthority, serve_tls};
use super::{assert_error, default_options, form_request};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn proxy_at(kind: ProxyScheme, port: u16, user_info: Option<(&str, &str)>) -> Proxy {
    Proxy {
        scheme: kind,
        host: "127.0.0.1".to_owned(),
        port,
        user_info: user_info.map(|(user, password)| (user.to_owned(), Secret::new(password))),
        origin: "HTTPS_PROXY".to_owned(),
    }
}

fn with_proxy(conditions: TransportOptions, proxy: Proxy) -> TransportOptions {
    TransportOptions { proxy: Some(proxy), ..conditions }
}

#[test]
fn https_goes_through_a_tunnel_that_sees_only_the_name() {
    let issuer = TestCertificateAuthority::new();
    let config = issuer.server(&["sts.googleapis.com"], |_| ());
    let proxy = OneShotServer::start("127.0.0.1:0", move |mut stream| {
        let mut connect = read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
        // Behind the tunnel: the server itself.
        connect.extend_from_slice(&serve_tls(config, stream, ANSWER, true));
        connect
    })
    .expect("loopback");
    let login = Some(("ada", "hunter2:hunter2"));
    let conditions = with_proxy(issuer.trusting_options(), proxy_at(ProxyScheme::Http, proxy.port(), login));
    let request = form_request("https://sts.googleapis.com/v1/token");
    let response = HttpTransport::new().send(&request, &conditions).expect("answer");
    assert_eq!(&**response.body, b"ok");
    let seen = proxy.received();
    assert!(seen.starts_with("CONNECT sts.googleapis.com:443 HTTP/1.1\r\nHost: sts.googleapis.com:443\r\n"), "{seen}");
    assert!(seen.contains("Proxy-Authorization: Basic YWRhOmh1bnRlcjI6aHVudGVyMg==\r\n"), "{seen}");
    let (_, inside) = seen.split_once("POST /v1/token HTTP/1.1").expect("the request");
    assert!(!inside.to_ascii_lowercase().contains("proxy-authorization"), "{inside}");
}

#[test]
fn plain_http_goes_through_a_tunnel_too() {
    let proxy = OneShotServer::start("127.0.0.1:0", |mut stream| {
        let connect = read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        read_request(&mut stream);
        let _ = stream.write_all(ANSWER);
        connect
    })
    .expect("loopback");
    let conditions = with_proxy(default_options(), proxy_at(ProxyScheme::Http, proxy.port(), None));
    assert_eq!(HttpTransport::new().send(&form_request("http://a.example/"), &conditions).expect("answer").status, 200);
    assert!(proxy.received().starts_with("CONNECT a.example:80 HTTP/1.1\r\n"));
}

#[test]
fn an_https_proxy_is_verified_like_a_server() {
    let issuer = TestCertificateAuthority::new();
    let start = |issuer: &TestCertificateAuthority| {
        let config = issuer.server(&["127.0.0.1"], |_| ());
        let start = OneShotServer::start("127.0.0.1:0", move |stream| {
            let mut tls = StreamOwned::new(ServerConnection::new(config).expect("server"), stream);
            let mut seen = read_request(&mut tls);
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            seen.extend_from_slice(&read_request(&mut tls));
            let _ = tls.write_all(ANSWER);
            seen
        });
        start.expect("loopback")
    };
    let proxy = start(&issuer);
    let conditions = with_proxy(issuer.trusting_options(), proxy_at(ProxyScheme::Https, proxy.port(), None));
    let request = form_request("http://a.example/");
    assert_eq!(HttpTransport::new().send(&request, &conditions).expect("answer").status, 200);
    assert!(proxy.received().starts_with("CONNECT a.example:80 HTTP/1.1\r\n"));
    let proxy = start(&issuer);
    let conditions = with_proxy(default_options(), proxy_at(ProxyScheme::Https, proxy.port(), None));
    let error = HttpTransport::new().send(&request, &conditions).expect_err("untrusted");
    let place = format!("the proxy {} of HTTPS_PROXY", proxy.authority());
    let says = format!("a.example: {place}: the server's certificate has an unknown issuer");
    assert_error(&error, &says, Retryable::Never);
    assert_eq!(proxy.received(), "");
}

#[test]
fn a_socks_proxy_is_given_the_name_when_it_looks_names_up() {
    let proxy = OneShotServer::start("127.0.0.1:0", |mut stream| {
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).expect("greeting");
        let _ = stream.write_all(&[5, 0]);
        let mut head = [0; 5];
        stream.read_exact(&mut head).expect("request");
        let mut name = vec![0; usize::from(head[4]) + 2];
        stream.read_exact(&mut name).expect("name and port");
        let _ = stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
        read_request(&mut stream);
        let _ = stream.write_all(ANSWER);
        name.truncate(usize::from(head[4]));
        name
    })
    .expect("loopback");
    let conditions = with_proxy(default_options(), proxy_at(ProxyScheme::Socks5h, proxy.port(), None));
    let request = form_request("http://no-such-host.invalid/");
    assert_eq!(HttpTransport::new().send(&request, &conditions).expect("answer").status, 200);
    assert_eq!(proxy.received(), "no-such-host.invalid");
}

/// Refused by the proxy in these words.
#[track_caller]
fn assert_proxy_refused(answer: &'static [u8], message: &str, again: Retryable) {
    let proxy = OneShotServer::responding(answer);
    let conditions = with_proxy(default_options(), proxy_at(ProxyScheme::Http, proxy.port(), None));
    let error = HttpTransport::new().send(&form_request("https://a.example/"), &conditions).expect_err("refused");
    let place = format!("the proxy {} of HTTPS_PROXY", proxy.authority());
    assert_error(&error, &format!("a.example: {place}: {message}"), again);
    assert!(!proxy.received().contains("refresh_token"), "the proxy saw the request");
}

#[test]
fn a_proxys_refusal_names_the_proxy_and_its_variable() {
    assert_proxy_refused(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused, 407", Retryable::Never);
    assert_proxy_refused(b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused, 403", Retryable::Never);
    assert_proxy_refused(b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "refused, 502", Retryable::NothingSent);
    assert_proxy_refused(b"", "no answer", Retryable::NothingSent);
}

#[test]
fn a_proxy_that_is_not_there_is_said_to_be_so() {
    let free = TcpListener::bind("127.0.0.1:0").expect("listener").local_addr().expect("address");
    for kind in [ProxyScheme::Http, ProxyScheme::Socks5h] {
        let conditions = with_proxy(default_options(), proxy_at(kind, free.port(), None));
        let error = HttpTransport::new().send(&form_request("https://a.example/"), &conditions).expect_err("refused");
        let says = format!("a.example: the proxy {free} of HTTPS_PROXY: connection refused");
        assert_error(&error, &says, Retryable::NothingSent);
    }
}

#[test]
fn a_proxy_that_drips_is_cut_at_the_limit() {
    let proxy = OneShotServer::byte_by_byte(
        b"HTTP/1.1 200 Connection established, slowly\r\n\r\n",
        std::time::Duration::from_millis(60),
    );
    let limit = std::time::Duration::from_millis(400);
    let conditions = with_proxy(
        TransportOptions { timeout: limit, ..default_options() },
        proxy_at(ProxyScheme::Http, proxy.port(), None),
    );
    let began = std::time::Instant::now();
    let error = HttpTransport::new().send(&form_request("https://a.example/"), &conditions).expect_err("drip");
    assert!(began.elapsed() < 3 * limit, "{:?}", began.elapsed());
    assert_eq!(error.retryable(), Retryable::NothingSent, "{error}");
}
