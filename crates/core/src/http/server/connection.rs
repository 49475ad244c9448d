//! One connection: reads requests within limits and writes responses, until client or server closes it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::http::server::http::{ResponseDelivery, ServerRequest, ServerResponse, parse_form};
use crate::http::server::tls::{ServerStream, ServerTls};
use crate::http::server::{RequestHandler, StopSignal};
use crate::world::clock::{Deadline, SystemClock};

/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 100;
/// Longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// A request must have arrived this long after its first byte, a first request this long after the connection.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may rest between two requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two bytes of a slow response.
const DRIP_INTERVAL: Duration = Duration::from_millis(100);

/// Serves a connection until it closes: after the first response, unless it is kept alive.
pub(crate) fn serve(
    socket: &TcpStream,
    tls: Option<&ServerTls>,
    allow_keep_alive: bool,
    stop_signal: &StopSignal,
    handler: &RequestHandler,
) {
    // A response is one write; waiting for more would only delay it.
    drop(socket.set_nodelay(true));
    drop(socket.set_write_timeout(Some(IDLE_TIMEOUT)));
    let Some(stream) = ServerStream::new(socket, tls) else { return };
    let mut reader = RequestReader { stream, buffered: Vec::new(), clock: SystemClock::new() };
    let mut timeout = REQUEST_TIMEOUT;
    while !stop_signal.is_set() {
        let (request, keep_alive) = match reader.next_request(timeout) {
            Ok((request, keep_alive)) => (request, keep_alive && allow_keep_alive),
            Err(RequestReadError::Disconnected) => return,
            Err(RequestReadError::Rejected(status)) => {
                let answer = ServerResponse::text(status, "this is not a request this server reads\n");
                drop(send(&mut reader.stream, stop_signal, &answer, false, false));
                return reader.drain_unread();
            }
        };
        let answer = handler(&request);
        let is_head_request = request.method == "HEAD";
        let sent = send(&mut reader.stream, stop_signal, &answer, is_head_request, keep_alive);
        if sent.is_err() || answer.delivery != ResponseDelivery::Complete {
            return;
        }
        if !keep_alive {
            return reader.stream.send_close_notify();
        }
        timeout = IDLE_TIMEOUT;
    }
}

/// Why there is no request.
enum RequestReadError {
    /// The client went away or took too long.
    Disconnected,
    /// It gets this status.
    Rejected(u16),
}

struct RequestReader<'a> {
    stream: ServerStream<'a>,
    /// Bytes that have come and not been used.
    buffered: Vec<u8>,
    clock: SystemClock,
}

impl RequestReader<'_> {
    /// The next request, and whether another one may follow.
    fn next_request(&mut self, timeout: Duration) -> Result<(ServerRequest, bool), RequestReadError> {
        if self.buffered.is_empty() {
            self.read_more(Deadline::after(&self.clock, timeout))?;
        }
        let deadline = Deadline::after(&self.clock, REQUEST_TIMEOUT);
        let head = loop {
            match parse_head(&self.buffered)? {
                Some(head) => break head,
                None if self.buffered.len() >= MAX_HEAD_BYTES => {
                    return Err(RequestReadError::Rejected(431));
                }
                None => self.read_more(deadline)?,
            }
        };
        let mut request = head.request;
        self.buffered.drain(..head.length);
        let length = body_length(&request)?;
        let expects = request.header("expect");
        if expects.is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) && self.buffered.len() < length {
            let interim_response = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.stream.write_all(interim_response).map_err(|_| RequestReadError::Disconnected)?;
        }
        while self.buffered.len() < length {
            self.read_more(deadline)?;
        }
        request.body = self.buffered.drain(..length).collect();
        request.peer = self.stream.socket().peer_addr().ok();
        request.client_certificate = self.stream.client_certificate();
        Ok((request, head.keep_alive))
    }

    /// Takes what has come, at least one byte.
    fn read_more(&mut self, deadline: Deadline) -> Result<(), RequestReadError> {
        let mut chunk = [0; 8192];
        loop {
            let left = deadline.remaining(&self.clock);
            if left.is_zero() {
                return Err(RequestReadError::Disconnected);
            }
            let socket = self.stream.socket();
            socket.set_read_timeout(Some(left)).map_err(|_| RequestReadError::Disconnected)?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(RequestReadError::Disconnected),
                Ok(count) => {
                    self.buffered.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(RequestReadError::Disconnected),
            }
        }
    }

    /// Reads on for a moment: closing with unread bytes would reset the connection before the client has read the response.
    fn drain_unread(&mut self) {
        self.stream.send_close_notify();
        drop(self.stream.socket().shutdown(Shutdown::Write));
        let deadline = Deadline::after(&self.clock, Duration::from_secs(1));
        while self.read_more(deadline).is_ok() && self.buffered.len() < 4 * MAX_BODY_BYTES {}
    }
}

/// The head of a request.
struct RequestHead {
    request: ServerRequest,
    keep_alive: bool,
    /// In bytes, with the empty line.
    length: usize,
}

fn parse_head(bytes: &[u8]) -> Result<Option<RequestHead>, RequestReadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Err(RequestReadError::Rejected(431));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::Version) => return Err(RequestReadError::Rejected(505)),
        Err(_) => return Err(RequestReadError::Rejected(400)),
    };
    let target = parsed.path.unwrap_or_default();
    // Only the form that goes to an origin server: this is no proxy.
    if !target.starts_with('/') {
        return Err(RequestReadError::Rejected(400));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let headers: Vec<(String, String)> = parsed
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    let request = ServerRequest {
        method: parsed.method.unwrap_or_default().to_owned(),
        path,
        query: parse_form(query.as_bytes()),
        headers,
        body: Vec::new(),
        peer: None,
        client_certificate: None,
    };
    let is_http_1_1 = parsed.version == Some(1);
    // RFC 9112, 3.2: exactly one in HTTP/1.1.
    let hosts = request.headers.iter().filter(|(name, _)| name == "host").count();
    if hosts > 1 || (is_http_1_1 && hosts == 0) {
        return Err(RequestReadError::Rejected(400));
    }
    let connection = request.header("connection").unwrap_or_default().to_ascii_lowercase();
    let keep_alive = if is_http_1_1 { !connection.contains("close") } else { connection.contains("keep-alive") };
    Ok(Some(RequestHead { request, keep_alive, length }))
}

/// What would be answered to this head, if it were all that came: a request, or a refusal. For the fuzzer.
pub fn parse_request_head(bytes: &[u8]) -> Option<(ServerRequest, usize)> {
    let request = parse_head(bytes).ok()??.request;
    let length = body_length(&request).ok()?;
    Some((request, length))
}

/// The length of the body. Bodies in chunks are not read: no client of Google's endpoints sends them.
fn body_length(request: &ServerRequest) -> Result<usize, RequestReadError> {
    if request.header("transfer-encoding").is_some() {
        return Err(RequestReadError::Rejected(411));
    }
    let mut lengths = request.headers.iter().filter(|(name, _)| name == "content-length");
    let Some((_, length)) = lengths.next() else { return Ok(0) };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.next().is_some() || !digits {
        return Err(RequestReadError::Rejected(400));
    }
    match length.parse() {
        Ok(length) if length <= MAX_BODY_BYTES => Ok(length),
        _ => Err(RequestReadError::Rejected(413)),
    }
}

fn send(
    stream: &mut ServerStream,
    stop_signal: &StopSignal,
    answer: &ServerResponse,
    is_head_request: bool,
    keep_alive: bool,
) -> std::io::Result<()> {
    let body = if is_head_request { &[][..] } else { &answer.body };
    match &answer.delivery {
        ResponseDelivery::Complete => stream.write_all(&[&answer.encode_head(keep_alive)[..], body].concat()),
        ResponseDelivery::CloseWithoutResponse => Ok(()),
        ResponseDelivery::Hang => {
            wait_for_disconnect(stream, stop_signal);
            Ok(())
        }
        ResponseDelivery::TruncatedBody => {
            stream.write_all(&[&answer.encode_head(false)[..], &body[..body.len() / 2]].concat())
        }
        ResponseDelivery::SlowBody => {
            stream.write_all(&answer.encode_head(false))?;
            for byte in body {
                if stop_signal.wait(DRIP_INTERVAL) {
                    break;
                }
                stream.write_all(&[*byte])?;
            }
            Ok(())
        }
        ResponseDelivery::RawBytes(bytes) => stream.write_all(bytes),
    }
}

fn wait_for_disconnect(stream: &mut ServerStream, stop_signal: &StopSignal) {
    drop(stream.socket().set_nonblocking(true));
    while !stop_signal.wait(DRIP_INTERVAL) {
        match stream.read(&mut [0; 1024]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(1..) => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(bytes: &str) -> Result<Option<usize>, u16> {
        match parse_head(bytes.as_bytes()) {
            Ok(Some(head)) => match body_length(&head.request) {
                Ok(length) => Ok(Some(length)),
                Err(RequestReadError::Rejected(status)) => Err(status),
                Err(RequestReadError::Disconnected) => Err(0),
            },
            Ok(None) => Ok(None),
            Err(RequestReadError::Rejected(status)) => Err(status),
            Err(RequestReadError::Disconnected) => Err(0),
        }
    }

    #[test]
    fn heads_are_read_strictly() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some(0))),
            ("GET / HTTP/1.0\r\n\r\n", Ok(Some(0))),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n", Ok(Some(7))),
            ("GET / HTTP/1.1\r\nHost: a\r\n", Ok(None)),
            ("GET / HTTP/1.1\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err(400)),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Err(400)),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(505)),
            ("\u{16}\u{3}\u{1} TLS", Err(400)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", Err(400)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", Err(413)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Err(400)),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Err(411)),
        ] {
            assert_eq!(status(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn keep_alive_is_the_rule_in_one_one_and_the_exception_in_one_zero() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            let head = parse_head(bytes.as_bytes()).ok().flatten().expect("head");
            assert_eq!(head.keep_alive, expected, "{bytes:?}");
        }
    }
}
