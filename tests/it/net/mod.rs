//! The HTTP door against servers that misbehave: what comes back, in which words, how soon.

mod one_shot_server;
mod proxy;
mod tls;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use gauth_core::error::{Error, ErrorKind, Retryable};
use gauth_core::http::transport::HttpTransport;
use gauth_core::net::message::{HttpRequest, HttpResponse};
use gauth_core::net::transport::{Http, RootCertificates, TransportOptions};
use gauth_core::net::url::Url;

use one_shot_server::OneShotServer;

/// One attempt without proxy, with the system's certificates, within two seconds.
fn default_options() -> TransportOptions {
    TransportOptions { timeout: Duration::from_secs(2), root_certificates: RootCertificates::System, proxy: None }
}

/// A request with a body, so that what is sent can be seen.
fn form_request(url: &str) -> HttpRequest {
    HttpRequest::form(Url::parse(url).expect("url"), &[("grant_type", "refresh_token"), ("refresh_token", "1//x")])
}

fn send_form(url: &str) -> Result<HttpResponse, Error> {
    HttpTransport::new().send(&form_request(url), &default_options())
}

/// The answer is good, with this body.
#[track_caller]
fn assert_body(answer: &[u8], body: &str) -> HttpResponse {
    let server = OneShotServer::responding(answer);
    let response = send_form(&server.url()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(String::from_utf8_lossy(&response.body), body);
    response
}

/// The answer is refused in these words, which follow the server's name.
#[track_caller]
fn assert_refused(answer: &[u8], message: &str, again: Retryable) {
    let server = OneShotServer::responding(answer);
    let error = send_form(&server.url()).expect_err("no usable response");
    assert_error(&error, &format!("{}: {message}", server.authority()), again);
}

#[track_caller]
fn assert_error(error: &Error, message: &str, again: Retryable) {
    assert_eq!(error.message(), message);
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::NoAnswer, again), "{error}");
    assert!(error.hint_text().is_some(), "no hint: {error}");
}

const CLOSED_EARLY_MESSAGE: &str = "the connection was closed before the response was whole";

#[test]
fn an_ordinary_answer_arrives_whole() {
    let response = assert_body(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", "hello");
    assert_eq!((response.status, response.header("x-a")), (200, Some("b")));
}

#[test]
fn the_request_is_what_was_asked_for_and_names_gauth() {
    let server = OneShotServer::responding(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    send_form(&format!("{}path?x=1", server.url())).expect("answer");
    let request = server.received();
    let (head, body) = request.split_once("\r\n\r\n").expect("head and body");
    let mut lines: Vec<_> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /path?x=1 http/1.1");
    lines.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    let host = server.authority();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity".to_owned(),
            "accept: */*".to_owned(),
            "content-length: 47".to_owned(),
            "content-type: application/x-www-form-urlencoded".to_owned(),
            format!("host: {host}"),
            format!("user-agent: gauth/{version}"),
        ]
    );
    assert_eq!(body, "grant_type=refresh_token&refresh_token=1%2F%2Fx");
}

#[test]
fn every_status_is_an_answer() {
    for status in [201, 204, 301, 302, 304, 307, 400, 401, 404, 429, 500, 503, 599] {
        let head = format!("HTTP/1.1 {status} X\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(assert_body(head.as_bytes(), "").status, status);
    }
}

#[test]
fn a_chunked_answer_arrives_whole() {
    assert_body(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "hello world",
    );
}

#[test]
fn an_answer_of_http_1_0_ends_with_the_connection() {
    assert_body(b"HTTP/1.0 200 OK\r\n\r\nhello", "hello");
}

#[test]
fn eight_interim_answers_are_patience_and_nine_are_too_many() {
    let interim = |count: usize| {
        let mut answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
        answer.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        answer
    };
    assert_body(&interim(8), "ok");
    assert_refused(&interim(9), "the response came after more than 8 interim responses", Retryable::Never);
    assert_refused(&interim(5000), "the response came after more than 8 interim responses", Retryable::Never);
}

#[test]
fn a_head_beyond_its_limits_is_refused() {
    let lines = |count: usize, length: usize| {
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n".to_vec();
        for line in 0..count {
            answer.extend_from_slice(format!("X-{line}: {}\r\n", "a".repeat(length)).as_bytes());
        }
        answer.extend_from_slice(b"\r\n");
        answer
    };
    assert_body(&lines(127, 1), "");
    assert_body(&lines(60, 1000), "");
    assert_refused(&lines(200, 1), "the response has more than 128 header lines", Retryable::Never);
    assert_refused(&lines(1, 100 * 1024), "the response has a head of more than 64 KiB", Retryable::Never);
    assert_refused(&lines(100, 1024), "the response has a head of more than 64 KiB", Retryable::Never);
}

#[test]
fn a_body_may_have_one_mebibyte_however_it_is_framed() {
    let body = |size: usize| "a".repeat(size);
    let limit = 1024 * 1024;
    let whole = body(limit);
    let announced =
        |size: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", body(size)).into_bytes();
    let chunked = |size: usize| {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n", body(size))
            .into_bytes()
    };
    let closed = |size: usize| format!("HTTP/1.1 200 OK\r\n\r\n{}", body(size)).into_bytes();
    for framed in [announced(limit), chunked(limit), closed(limit)] {
        assert_body(&framed, &whole);
    }
    for framed in [announced(2 * limit), chunked(limit + 1), closed(limit + 1)] {
        assert_refused(&framed, "the response is larger than 1 MiB", Retryable::Never);
    }
}

#[test]
fn framing_that_can_be_read_in_two_ways_is_refused() {
    for (lines, says) in [
        (
            "Content-Length: 5\r\nContent-Length: 6",
            "the response is not proper HTTP (conflicting content-length headers)",
        ),
        ("Content-Length: 5\r\nContent-Length: 5", "the response has two lengths"),
        ("Content-Length: -5", "the response is not proper HTTP (content-length header not a number)"),
        ("Content-Length: +5", "the response is not proper HTTP (content-length header not a number)"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "the response has a length and chunks"),
        ("Transfer-Encoding: gzip, chunked", "the response has the transfer encoding gzip, chunked"),
        (
            "Content-Length: 5\r\nContent-Encoding: gzip",
            "the response has the content encoding gzip, which was not requested",
        ),
        ("Transfer-Encoding: chunked", "the response is not proper HTTP (chunk length cannot be read as a number)"),
    ] {
        assert_refused(format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nhello\r\n\r\n").as_bytes(), says, Retryable::Never);
    }
    let long = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n";
    assert_refused(long, "the response is not proper HTTP (chunk expected crlf as next character)", Retryable::Never);
}

#[test]
fn what_is_not_http_is_said_to_be_so() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
    ] {
        let server = OneShotServer::responding(garbage);
        let error = send_form(&server.url()).expect_err("garbage");
        assert!(error.message().contains(": the response is not proper HTTP ("), "{error}");
        assert_eq!((error.kind(), error.retryable()), (ErrorKind::NoAnswer, Retryable::Never));
    }
    let says = "the response switches protocols (101)";
    assert_refused(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", says, Retryable::Never);
}

#[test]
fn an_answer_that_ends_early_may_be_asked_for_again() {
    for early in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1",
    ] {
        assert_refused(early, CLOSED_EARLY_MESSAGE, Retryable::IfIdempotent);
    }
}

#[test]
fn a_reset_is_not_the_end_of_a_body() {
    for before in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", b"HTTP/1.0 200 OK\r\n\r\nhello"] {
        let server = OneShotServer::resetting_after(before);
        let error = send_form(&server.url()).expect_err("reset");
        assert_error(&error, &format!("{}: {CLOSED_EARLY_MESSAGE}", server.authority()), Retryable::IfIdempotent);
    }
}

#[test]
fn a_refused_connection_says_so_and_nothing_was_sent() {
    let free = TcpListener::bind("127.0.0.1:0").expect("listener").local_addr().expect("address");
    let error = send_form(&format!("http://{free}/")).expect_err("refused");
    assert_error(&error, &format!("{free}: connection refused"), Retryable::NothingSent);
}

#[test]
fn a_server_that_says_nothing_is_waited_for_until_the_limit() {
    let server = OneShotServer::byte_by_byte(b"", Duration::from_secs(60));
    let conditions = TransportOptions { timeout: Duration::from_millis(300), ..default_options() };
    let began = Instant::now();
    let error = HttpTransport::new().send(&form_request(&server.url()), &conditions).expect_err("silence");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_error(&error, &format!("{}: no whole answer within 0.3 s", server.authority()), Retryable::IfIdempotent);
}

#[test]
fn a_drip_does_not_extend_the_limit() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..],
        b"HTTP/1.1 200 OK\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let server = OneShotServer::byte_by_byte(answer, Duration::from_millis(50));
        let conditions = TransportOptions { timeout: Duration::from_millis(500), ..default_options() };
        let began = Instant::now();
        let error = HttpTransport::new().send(&form_request(&server.url()), &conditions).expect_err("drip");
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
        assert_error(&error, &format!("{}: no whole answer within 0.5 s", server.authority()), Retryable::IfIdempotent);
    }
}

#[test]
fn an_address_of_ipv6_is_reached() {
    let Some(server) = OneShotServer::on("[::1]:0", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") else {
        return; // No IPv6 on this machine.
    };
    assert_eq!(&**send_form(&server.url()).expect("answer").body, b"ok");
    assert!(server.received().to_ascii_lowercase().contains(&format!("host: {}", server.authority())));
}

#[test]
fn a_name_nobody_knows_is_said_to_be_unknown() {
    let error = send_form("http://no-such-host.invalid/").expect_err("no such host");
    // Where the resolver is out of reach too, this may end by its time limit.
    if !error.message().contains("no address within") {
        let says = "no-such-host.invalid: the name cannot be looked up";
        assert_error(&error, says, Retryable::NothingSent);
    }
}

#[test]
fn a_call_on_loopback_costs_well_under_a_millisecond_more_than_the_socket() {
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..50 {
        let server = OneShotServer::responding(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let (wire, request, conditions) = (HttpTransport::new(), form_request(&server.url()), default_options());
        let began = Instant::now();
        wire.send(&request, &conditions).expect("answer");
        fastest[0] = fastest[0].min(began.elapsed());
        let server = OneShotServer::responding(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let began = Instant::now();
        let mut socket = TcpStream::connect(server.authority()).expect("connection");
        socket.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("written");
        socket.read_to_end(&mut Vec::new()).expect("read");
        fastest[1] = fastest[1].min(began.elapsed());
    }
    let cost = fastest[0].saturating_sub(fastest[1]);
    // Optimised it is 0.04 ms; this is neither optimised nor alone on the machine.
    assert!(cost < Duration::from_millis(5), "{fastest:?}");
}
