//! The HTTP door: one request out, one whole answer in, every limit set.
//!
//! ureq speaks HTTP; what it leaves to others is in the rooms behind this door: `line` carries the bytes (TLS, wall
//! clock), `buffers` are wiped, `framing` refuses what is ambiguous, `failure` puts errors into words. An attempt
//! is an agent of its own: it costs microseconds, and nothing of one attempt can leak into the next.

mod buffers;
mod failure;
mod framing;
mod line;

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderName, HeaderValue, Request, Response};
use ureq::{Agent, Body, ProxyProtocol};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::http::{HttpRequest, HttpResponse, Identity, Method, Value};
use crate::identity;
use crate::proxy::{Kind, Proxy};
use crate::roots::Trust;
use crate::url::Scheme;
use crate::world::http::buffers::Watch;
use crate::world::http::failure::Attempt;
use crate::world::http::line::{Line, Names};

/// Getting a connection, looking up the name included.
const CONNECT: Duration = Duration::from_secs(5);

/// The largest body: tokens are a thousandth of it.
const LARGEST_BODY: usize = 1024 * 1024;

/// The largest head of an answer.
const LARGEST_HEAD: usize = 64 * 1024;

/// Where buffers begin; a token's answer fits.
const BUFFER: usize = 8 * 1024;

/// The door to the network. One call is one attempt.
pub trait Http {
    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host, with [`Again`](crate::error::Again) set as the failure allows; `Malformed` when
    /// a file of certificates cannot be used; `Unsafe` when a header cannot be sent as it is.
    fn send(&self, request: &HttpRequest, conditions: &Conditions) -> Result<HttpResponse>;
}

/// What holds for one attempt.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Wall clock from looking up the name to the last byte read.
    pub limit: Duration,
    /// What the server's certificate is measured against; read only for https.
    pub trust: Trust,
    /// What carries the request.
    pub proxy: Option<Proxy>,
}

/// The real network.
#[derive(Default)]
pub struct Wire {
    /// Certificates are read once a run, not once a request.
    clients: Mutex<Vec<Client>>,
}

/// TLS under these certificates, with one of our own to show.
struct Client {
    trust: Trust,
    shown: Option<Identity>,
    config: Arc<ClientConfig>,
}

impl Wire {
    /// Connects to nothing yet, and reads nothing.
    pub fn new() -> Wire {
        Wire::default()
    }

    /// The client for these certificates.
    fn client(&self, trust: &Trust, shown: Option<&Identity>) -> Result<Arc<ClientConfig>> {
        let mut clients = self.clients.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let same = |known: &&Client| known.trust == *trust && known.shown.as_ref() == shown;
        if let Some(known) = clients.iter().find(same) {
            return Ok(Arc::clone(&known.config));
        }
        let config = trust.client()?;
        let config = Arc::new(match shown {
            Some(identity) => identity::shown_by(config, identity)?,
            None => config,
        });
        let kept = Arc::clone(&config);
        clients.push(Client { trust: trust.clone(), shown: shown.cloned(), config: kept });
        Ok(config)
    }
}

impl Http for Wire {
    fn send(&self, request: &HttpRequest, conditions: &Conditions) -> Result<HttpResponse> {
        let message = message(request)?;
        let proxy_has_tls =
            conditions.proxy.as_ref().is_some_and(|proxy| proxy.kind == Kind::Https);
        let client = match request.url.scheme == Scheme::Https || proxy_has_tls {
            true => Some(self.client(&conditions.trust, request.identity.as_ref())?),
            false => None,
        };
        let watch = Arc::new(Mutex::new(Watch::default()));
        let shown = request.identity.as_ref();
        let attempt = Attempt { url: &request.url, shown, conditions, watch: &watch };
        let line = Line::new(message.uri().clone(), client, now() + conditions.limit, &watch);
        let answer = agent(conditions, line).and_then(|agent| agent.run(message));
        let answer = answer.map_err(|error| attempt.failed(error))?;
        framing::check(answer.status(), answer.version(), answer.headers())
            .and_then(|()| attempt.interim())
            .map_err(|what| attempt.malformed(&what))?;
        read(answer, &attempt)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the door: sockets need the machine's own clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// The request as ureq wants it.
fn message(request: &HttpRequest) -> Result<Request<&[u8]>> {
    let body: &[u8] = request.body.as_ref().map_or(&[], |body| body);
    let mut message = Request::new(body);
    *message.method_mut() = match request.method {
        Method::Get => ureq::http::Method::GET,
        Method::Post => ureq::http::Method::POST,
        Method::Put => ureq::http::Method::PUT,
    };
    *message.uri_mut() = request.url.as_str().parse().map_err(|_| {
        Error::not_safe(format!("{}: the URL cannot be sent as it is", request.url.authority()))
    })?;
    for (name, value) in &request.headers {
        let (text, secret) = match value {
            Value::Plain(text) => (text.as_str(), false),
            Value::Secret(secret) => (secret.expose(), true),
        };
        // Line ends before all: they would begin a second header.
        let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let value = HeaderValue::from_str(text).ok().filter(|_| plain);
        let Some((name, mut value)) = HeaderName::from_bytes(name.as_bytes()).ok().zip(value)
        else {
            return Err(Error::not_safe(format!(
                "{}: the value of header {name} has a control character or is not ASCII",
                request.url.authority()
            )));
        };
        value.set_sensitive(secret);
        message.headers_mut().append(name, value);
    }
    Ok(message)
}

/// ureq with every limit set, and nothing taken from the environment.
fn agent(conditions: &Conditions, line: Line) -> std::result::Result<Agent, ureq::Error> {
    use ureq::unversioned::transport::{
        ConnectProxyConnector, Connector, SocksConnector, TcpConnector,
    };

    let proxy = conditions.proxy.as_ref().map(carrier).transpose()?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .timeout_global(Some(conditions.limit))
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .max_response_header_size(LARGEST_HEAD)
        .max_idle_connections(0)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .accept_encoding(AutoHeaderValue::Provided(Arc::new("identity".to_owned())))
        .user_agent(concat!("gauth/", env!("CARGO_PKG_VERSION")))
        .build();
    let connector =
        ().chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(line);
    Ok(Agent::with_parts(config, connector, Names))
}

/// The proxy as ureq wants it.
fn carrier(proxy: &Proxy) -> std::result::Result<ureq::Proxy, ureq::Error> {
    let protocol = match proxy.kind {
        Kind::Http => ProxyProtocol::Http,
        Kind::Https => ProxyProtocol::Https,
        Kind::Socks4 => ProxyProtocol::Socks4,
        Kind::Socks4a => ProxyProtocol::Socks4A,
        Kind::Socks5 => ProxyProtocol::Socks5,
        Kind::Socks5h => ProxyProtocol::Socks5h,
    };
    let host =
        if proxy.host.contains(':') { format!("[{}]", proxy.host) } else { proxy.host.clone() };
    let mut builder = ureq::Proxy::builder(protocol).host(&host).port(proxy.port);
    if let Some((user, password)) = &proxy.login {
        builder = builder.username(user);
        if !password.is_empty() {
            builder = builder.password(password.expose());
        }
    }
    builder.build()
}

/// Reads the body to its end, through buffers that are wiped.
fn read(answer: Response<Body>, attempt: &Attempt) -> Result<HttpResponse> {
    let (parts, body) = answer.into_parts();
    let announced = body.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > LARGEST_BODY) {
        return Err(attempt.too_large());
    }
    let mut reader = body.into_reader();
    let mut bytes = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(BUFFER)));
    let mut piece = Zeroizing::new([0; BUFFER]);
    loop {
        let count = reader.read(&mut *piece).map_err(|error| attempt.failed(error.into()))?;
        if count == 0 {
            break;
        }
        if bytes.len() + count > LARGEST_BODY {
            return Err(attempt.too_large());
        }
        append(&mut bytes, &piece[..count]);
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(HttpResponse {
        status: parts.status.as_u16(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        body: bytes,
    })
}

/// Appends without leaving a copy behind: a vector that grows by itself does not wipe its old place.
fn append(bytes: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    if bytes.capacity() - bytes.len() < piece.len() {
        let mut larger = Vec::with_capacity((bytes.len() + piece.len()) * 2);
        larger.extend_from_slice(bytes);
        *bytes = Zeroizing::new(larger);
    }
    bytes.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::secret::Secret;
    use crate::url::Url;

    #[test]
    fn a_header_with_a_line_end_is_refused_before_anything_is_sent() {
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\rb", "ä"] {
            let url = Url::parse("http://127.0.0.1:1/").expect("url");
            let mut request = HttpRequest::get(url).header("x-goog-user-project", value);
            let error = message(&request).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::Unsafe);
            request.headers = vec![("authorization".into(), Value::Secret(Secret::new(value)))];
            let error = message(&request).expect_err(value);
            assert!(error.message().contains("header authorization"), "{error}");
        }
    }

    #[test]
    fn a_growing_body_keeps_its_bytes() {
        let mut bytes = Zeroizing::new(Vec::new());
        for piece in 0..100_u8 {
            append(&mut bytes, &[piece; 100]);
        }
        assert_eq!(bytes.len(), 10_000);
        assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 100));
    }
}
