//! Requests and responses of the loopback server, as plain values.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde_json::Value;

use crate::text::secret::Secret;

/// A request, read whole.
#[derive(Debug, Clone)]
pub struct ServerRequest {
    /// As it came: `GET`, `POST`, or anything else.
    pub method: String,
    /// Path, percent-decoded, without the query.
    pub path: String,
    /// The pairs of the query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
    /// The address of the client.
    pub peer: Option<SocketAddr>,
    /// The client certificate (mutual TLS), as DER.
    pub client_certificate: Option<Vec<u8>>,
}

impl ServerRequest {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of this name in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The fields of a form, if the Content-Type is that of a form.
    pub fn form(&self) -> Option<Vec<(String, String)>> {
        let kind = self.header("content-type")?.split(';').next().unwrap_or_default().trim();
        let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| parse_form(&self.body))
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer_token(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }
}

/// Decodes `a=b&c=d` (`application/x-www-form-urlencoded`).
pub fn parse_form(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// How a response is sent. Anything but `Whole` simulates a fault of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseDelivery {
    /// As it should be.
    Complete,
    /// Not at all: the connection is closed.
    CloseWithoutResponse,
    /// Not at all: the connection stays open until the client goes.
    Hang,
    /// Half of the body, then the connection is closed.
    TruncatedBody,
    /// A byte at a time, ten a second.
    SlowBody,
    /// These bytes in place of status, headers and body, then the connection is closed.
    RawBytes(Vec<u8>),
}

/// A response of the little server.
#[derive(Debug, Clone)]
pub struct ServerResponse {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Without `Content-Length` and `Connection`, which the server adds.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body; its media type is among the headers.
    pub body: Vec<u8>,
    /// How it is sent.
    pub delivery: ResponseDelivery,
}

impl ServerResponse {
    /// A response without a body.
    pub fn empty(status: u16) -> ServerResponse {
        ServerResponse { status, headers: Vec::new(), body: Vec::new(), delivery: ResponseDelivery::Complete }
    }

    /// A response with a body of plain text.
    pub fn text(status: u16, text: impl Into<String>) -> ServerResponse {
        let mut answer = ServerResponse::empty(status).header("Content-Type", "text/plain; charset=utf-8");
        answer.body = text.into().into_bytes();
        answer
    }

    /// A response with a secret as its text.
    pub fn secret(status: u16, secret: &Secret) -> ServerResponse {
        ServerResponse::text(status, secret.expose())
    }

    /// A response with a body of JSON.
    pub fn json(status: u16, value: &Value) -> ServerResponse {
        let answer = ServerResponse::empty(status).header("Content-Type", "application/json; charset=utf-8");
        ServerResponse { body: value.to_string().into_bytes(), ..answer }
    }

    /// What a method gets that a path does not know.
    pub fn method_not_allowed(methods: &'static str) -> ServerResponse {
        ServerResponse::text(405, format!("only {methods} here\n")).header("Allow", methods)
    }

    /// Adds a header, in place of one of the same name. A line end in the value would begin another header:
    /// it becomes a space.
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> ServerResponse {
        let value = value.into();
        let value = match value.contains(['\r', '\n', '\0']) {
            true => Cow::Owned(value.replace(['\r', '\n', '\0'], " ")),
            false => value,
        };
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name, value));
        self
    }

    /// Chooses how it is sent.
    pub fn delivery(mut self, delivery: ResponseDelivery) -> ServerResponse {
        self.delivery = delivery;
        self
    }

    /// Status line, headers and the empty line.
    pub fn encode_head(&self, keep_alive: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // RFC 9110, 8.6: these have no body and say no length.
        if !matches!(self.status, 204 | 304) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str(if keep_alive { "\r\n" } else { "Connection: close\r\n\r\n" });
        head.into_bytes()
    }
}

/// The reason phrase of a status (RFC 9110 section 15).
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_cannot_carry_another() {
        let answer = ServerResponse::empty(302).header("Location", "/x\r\nSet-Cookie: a".to_owned());
        let head = String::from_utf8(answer.encode_head(true)).expect("text");
        assert_eq!(head, "HTTP/1.1 302 Found\r\nLocation: /x  Set-Cookie: a\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn a_form_is_read_only_where_it_is_said_to_be_one() {
        let mut request = ServerRequest {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: Vec::new(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: b"a=b+c&d=%2F".to_vec(),
            peer: None,
            client_certificate: None,
        };
        assert_eq!(request.form(), None);
        request.headers[0].1 = "Application/X-WWW-form-urlencoded; charset=utf-8".to_owned();
        let fields = request.form().expect("form");
        assert_eq!(fields[0], ("a".to_owned(), "b c".to_owned()));
        assert_eq!(fields[1], ("d".to_owned(), "/".to_owned()));
    }
}
