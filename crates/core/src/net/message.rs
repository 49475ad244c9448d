//! HTTP requests and responses as plain values: built and read by pure functions, sent by `http::transport`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::net::url::Url;
use crate::text::secret::Secret;

/// The methods gauth uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// Reads a resource, without a body.
    Get,
    /// Sends a form or JSON in the body.
    Post,
    /// Sends a body (AWS session tokens).
    Put,
}

impl HttpMethod {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            HttpMethod::Get => "GET",
            HttpMethod::Post => "POST",
            HttpMethod::Put => "PUT",
        }
    }
}

/// How often and when a request may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Three attempts: safe to repeat.
    Standard,
    /// Five attempts of at most 3 s: the metadata server.
    MetadataServer,
    /// One attempt: a failure is a result, as with the ping of the metadata server.
    SingleAttempt,
    /// Repeated only while nothing has reached the server: single-use codes, refresh tokens that rotate.
    OnlyIfUnsent,
}

/// Headers that a request could not do with, or that say what is not so.
const RESERVED_HEADERS: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "accept-encoding", "upgrade"];

/// Checks the name of a header that a file or the user chose.
///
/// # Errors
/// What is wrong, as a sentence that begins with the name, which is repeated as it is.
pub fn check_custom_header(name: &str) -> Result<(), String> {
    let is_token_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 256 || !name.bytes().all(is_token_char) {
        return Err(format!("{name} is no name of a header"));
    }
    match RESERVED_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        true => Err(format!("{name} may not be chosen")),
        false => Ok(()),
    }
}

/// The value of a header, and whether traces may show it.
#[derive(Debug, Clone)]
pub enum HttpHeaderValue {
    /// A value that traces and errors may show.
    Plain(String),
    /// `Bearer` and a token, or anything else that may not be shown.
    Secret(Secret),
}

/// The value of a form field, plain or secret. Only the request that is built from it reads it.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub struct FormValue<'a>(&'a str);

impl FormValue<'_> {
    /// Whether the field has no value.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for FormValue<'a> {
    fn from(text: &'a str) -> FormValue<'a> {
        FormValue(text)
    }
}

impl<'a> From<&'a String> for FormValue<'a> {
    fn from(text: &'a String) -> FormValue<'a> {
        FormValue(text)
    }
}

impl<'a> From<&'a Secret> for FormValue<'a> {
    fn from(secret: &'a Secret) -> FormValue<'a> {
        FormValue(secret.expose())
    }
}

/// One request, complete but for what is the same for all (user agent, time limits, proxy, certificates).
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The method, which decides whether there is a body.
    pub method: HttpMethod,
    /// Where to; its host has been checked.
    pub url: Url,
    /// In the order in which they are sent.
    pub headers: Vec<(Cow<'static, str>, HttpHeaderValue)>,
    /// What is sent, with its media type among the headers.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// When to send it again.
    pub retry_policy: RetryPolicy,
    /// Certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The certificate for servers that request one (mutual TLS).
    pub client_certificate: Option<ClientCertificate>,
    /// Whether a proxy may carry it: never to metadata servers.
    pub allow_proxy: bool,
}

/// A client certificate and its private key, as files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// What names the two files, for errors.
    pub origin: String,
    /// The certificate, its issuers behind it.
    pub certificate_path: PathBuf,
    /// The private key of the certificate, in PEM.
    pub key_path: PathBuf,
}

impl HttpRequest {
    /// A GET request without headers.
    pub fn get(url: Url) -> HttpRequest {
        HttpRequest {
            method: HttpMethod::Get,
            url,
            headers: Vec::new(),
            body: None,
            retry_policy: RetryPolicy::Standard,
            ca_file: None,
            client_certificate: None,
            allow_proxy: true,
        }
    }

    /// A POST of a form (`application/x-www-form-urlencoded`), fields in the given order.
    pub fn form<'a, V: Into<FormValue<'a>> + Copy>(url: Url, fields: &[(&str, V)]) -> HttpRequest {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            form.append_pair(name, (*value).into().0);
        }
        let mut request = HttpRequest::get(url).header("content-type", "application/x-www-form-urlencoded".to_owned());
        request.method = HttpMethod::Post;
        request.body = Some(Zeroizing::new(form.finish().into_bytes()));
        request
    }

    /// A POST of JSON.
    pub fn json(url: Url, body: &impl Serialize) -> HttpRequest {
        let mut request = HttpRequest::get(url).header("content-type", "application/json");
        request.method = HttpMethod::Post;
        // Values that gauth makes can always be written; a server refuses what is empty.
        request.body = Some(Zeroizing::new(serde_json::to_vec(body).unwrap_or_default()));
        request
    }

    /// Adds a header that may be shown.
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> HttpRequest {
        self.headers.push((name.into(), HttpHeaderValue::Plain(value.into())));
        self
    }

    /// Adds a header that may not be shown.
    pub fn secret_header(mut self, name: impl Into<Cow<'static, str>>, value: Secret) -> HttpRequest {
        self.headers.push((name.into(), HttpHeaderValue::Secret(value)));
        self
    }

    /// Chooses when it is sent again.
    pub fn retry_policy(mut self, retry_policy: RetryPolicy) -> HttpRequest {
        self.retry_policy = retry_policy;
        self
    }
}

/// A complete response: status, headers in lower case, body.
#[derive(Debug, Clone, Default)]
pub struct HttpResponse {
    /// The status code, 100 to 999.
    pub status: u16,
    /// Names in lower case, values as text.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Zeroizing<Vec<u8>>,
}

impl HttpResponse {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); `now` in Unix seconds.
    pub fn retry_after(&self, now: i64) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
        }
        let until = parse_http_date(text)?;
        Some(Duration::from_secs(u64::try_from(until.saturating_sub(now)).unwrap_or(0)))
    }

    /// The server's own time from `Date`, in Unix seconds.
    pub fn date(&self) -> Option<i64> {
        parse_http_date(self.header("date")?)
    }
}

/// An HTTP date (RFC 9110, 5.6.7) in Unix seconds.
pub fn parse_http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(name: &str, value: &str) -> HttpResponse {
        HttpResponse { headers: vec![(name.to_owned(), value.to_owned())], ..HttpResponse::default() }
    }

    #[test]
    fn forms_keep_their_order_and_encode_spaces_as_plus() {
        let url = Url::parse("https://a.example/token").expect("url");
        let request = HttpRequest::form(url, &[("grant_type", "a:b"), ("scope", "x y/z")]);
        let body = request.body.expect("body");
        assert_eq!(&**body, b"grant_type=a%3Ab&scope=x+y%2Fz");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |text, now| response("retry-after", text).retry_after(now);
        assert_eq!(wait("7", 0), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT", 1_445_412_470), Some(Duration::from_secs(10)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT", 2_000_000_000), Some(Duration::ZERO));
        assert_eq!(wait("soon", 0), None);
        assert_eq!(wait("99999999999999999999", 0), Some(Duration::from_secs(u64::MAX)));
    }
}
