//! One connection: requests are read within limits, answers are written, until either side has had enough.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::server::http::{Answer, Delivery, Request, pairs};
use crate::server::tls::{Stream, Tls};
use crate::server::{Handler, Stop};
use crate::world::clock::{Deadline, System};

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 100;
/// Longest body of a request, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;
/// A request must have arrived this long after its first byte, a first request this long after the connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may rest between two requests.
const REST: Duration = Duration::from_secs(30);
/// Between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_millis(100);

/// Serves a connection to its end, which is the first answer's unless it is kept.
pub(crate) fn serve(
    socket: &TcpStream,
    tls: Option<&Tls>,
    keeps: bool,
    stop: &Stop,
    handler: &Handler,
) {
    // An answer is one write; waiting for more would only delay it.
    drop(socket.set_nodelay(true));
    drop(socket.set_write_timeout(Some(REST)));
    let Some(stream) = Stream::new(socket, tls) else { return };
    let mut reader = Reader { stream, kept: Vec::new(), clock: System::new() };
    let mut wait = PATIENCE;
    while !stop.is_set() {
        let (request, keep_alive) = match reader.request(wait) {
            Ok((request, keep_alive)) => (request, keep_alive && keeps),
            Err(Refusal::Gone) => return,
            Err(Refusal::Status(status)) => {
                let answer = Answer::text(status, "this is not a request this server reads\n");
                drop(send(&mut reader.stream, stop, &answer, false, false));
                return reader.drain();
            }
        };
        let answer = handler(&request);
        let only_head = request.method == "HEAD";
        let sent = send(&mut reader.stream, stop, &answer, only_head, keep_alive);
        if sent.is_err() || answer.delivery != Delivery::Whole {
            return;
        }
        if !keep_alive {
            return reader.stream.end();
        }
        wait = REST;
    }
}

/// Why there is no request.
enum Refusal {
    /// The client went away or took too long.
    Gone,
    /// It gets this status.
    Status(u16),
}

struct Reader<'a> {
    stream: Stream<'a>,
    /// Bytes that have come and not been used.
    kept: Vec<u8>,
    clock: System,
}

impl Reader<'_> {
    /// The next request, and whether another one may follow.
    fn request(&mut self, wait: Duration) -> Result<(Request, bool), Refusal> {
        if self.kept.is_empty() {
            self.fill(Deadline::after(&self.clock, wait))?;
        }
        let deadline = Deadline::after(&self.clock, PATIENCE);
        let head = loop {
            match head(&self.kept)? {
                Some(head) => break head,
                None if self.kept.len() >= LONGEST_HEAD => return Err(Refusal::Status(431)),
                None => self.fill(deadline)?,
            }
        };
        let mut request = head.request;
        self.kept.drain(..head.length);
        let length = body_length(&request)?;
        let expects = request.header("expect");
        if expects.is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
            && self.kept.len() < length
        {
            let go = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.stream.write_all(go).map_err(|_| Refusal::Gone)?;
        }
        while self.kept.len() < length {
            self.fill(deadline)?;
        }
        request.body = self.kept.drain(..length).collect();
        request.peer = self.stream.socket().peer_addr().ok();
        request.certificate = self.stream.certificate();
        Ok((request, head.keep_alive))
    }

    /// Takes what has come, at least one byte.
    fn fill(&mut self, deadline: Deadline) -> Result<(), Refusal> {
        let mut piece = [0; 8192];
        loop {
            let left = deadline.left(&self.clock);
            if left.is_zero() {
                return Err(Refusal::Gone);
            }
            let socket = self.stream.socket();
            socket.set_read_timeout(Some(left)).map_err(|_| Refusal::Gone)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(Refusal::Gone),
                Ok(count) => {
                    self.kept.extend_from_slice(&piece[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Refusal::Gone),
            }
        }
    }

    /// Reads on for a moment: closing with unread bytes would reset the connection under the answer.
    fn drain(&mut self) {
        self.stream.end();
        drop(self.stream.socket().shutdown(Shutdown::Write));
        let deadline = Deadline::after(&self.clock, Duration::from_secs(1));
        while self.fill(deadline).is_ok() && self.kept.len() < 4 * LONGEST_BODY {}
    }
}

/// The head of a request.
struct Head {
    request: Request,
    keep_alive: bool,
    /// In bytes, with the empty line.
    length: usize,
}

fn head(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= LONGEST_HEAD => length,
        Ok(httparse::Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::Status(431));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::Version) => return Err(Refusal::Status(505)),
        Err(_) => return Err(Refusal::Status(400)),
    };
    let target = parsed.path.unwrap_or_default();
    // Only the form that goes to an origin server: this is no proxy.
    if !target.starts_with('/') {
        return Err(Refusal::Status(400));
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
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path,
        query: pairs(query.as_bytes()),
        headers,
        body: Vec::new(),
        peer: None,
        certificate: None,
    };
    let modern = parsed.version == Some(1);
    // RFC 9112, 3.2: exactly one in HTTP/1.1.
    let hosts = request.headers.iter().filter(|(name, _)| name == "host").count();
    if hosts > 1 || (modern && hosts == 0) {
        return Err(Refusal::Status(400));
    }
    let connection = request.header("connection").unwrap_or_default().to_ascii_lowercase();
    let keep_alive =
        if modern { !connection.contains("close") } else { connection.contains("keep-alive") };
    Ok(Some(Head { request, keep_alive, length }))
}

/// What would be answered to this head, if it were all that came: a request, or a refusal. For the fuzzer.
pub(crate) fn understood(bytes: &[u8]) -> Option<(Request, usize)> {
    let request = head(bytes).ok()??.request;
    let length = body_length(&request).ok()?;
    Some((request, length))
}

/// The length of the body. Bodies in chunks are not read: no client of Google's endpoints sends them.
fn body_length(request: &Request) -> Result<usize, Refusal> {
    if request.header("transfer-encoding").is_some() {
        return Err(Refusal::Status(411));
    }
    let mut lengths = request.headers.iter().filter(|(name, _)| name == "content-length");
    let Some((_, length)) = lengths.next() else { return Ok(0) };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.next().is_some() || !digits {
        return Err(Refusal::Status(400));
    }
    match length.parse() {
        Ok(length) if length <= LONGEST_BODY => Ok(length),
        _ => Err(Refusal::Status(413)),
    }
}

fn send(
    stream: &mut Stream,
    stop: &Stop,
    answer: &Answer,
    only_head: bool,
    keep_alive: bool,
) -> std::io::Result<()> {
    let body = if only_head { &[][..] } else { &answer.body };
    match &answer.delivery {
        Delivery::Whole => stream.write_all(&[&answer.head(keep_alive)[..], body].concat()),
        Delivery::Nothing => Ok(()),
        Delivery::Never => {
            wait_for_the_client_to_go(stream, stop);
            Ok(())
        }
        Delivery::Half => {
            stream.write_all(&[&answer.head(false)[..], &body[..body.len() / 2]].concat())
        }
        Delivery::Drip => {
            stream.write_all(&answer.head(false))?;
            for byte in body {
                if stop.pause(DRIP) {
                    break;
                }
                stream.write_all(&[*byte])?;
            }
            Ok(())
        }
        Delivery::Raw(bytes) => stream.write_all(bytes),
    }
}

fn wait_for_the_client_to_go(stream: &mut Stream, stop: &Stop) {
    drop(stream.socket().set_nonblocking(true));
    while !stop.pause(DRIP) {
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
        match head(bytes.as_bytes()) {
            Ok(Some(head)) => match body_length(&head.request) {
                Ok(length) => Ok(Some(length)),
                Err(Refusal::Status(status)) => Err(status),
                Err(Refusal::Gone) => Err(0),
            },
            Ok(None) => Ok(None),
            Err(Refusal::Status(status)) => Err(status),
            Err(Refusal::Gone) => Err(0),
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
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                Err(400),
            ),
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
            let head = head(bytes.as_bytes()).ok().flatten().expect("head");
            assert_eq!(head.keep_alive, expected, "{bytes:?}");
        }
    }
}
