//! The HTTP transport: sends one request and reads one whole response, within limits.
//!
//! ureq speaks HTTP; the files beside this one do what it leaves to others: `connector` carries the bytes (TLS, wall
//! clock), `buffers` are wiped, `framing` refuses ambiguous responses, `failure` builds the errors. An attempt
//! is an agent of its own: it costs microseconds, and nothing of one attempt can leak into the next.

mod buffers;
mod connector;
mod failure;
mod framing;

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderName, HeaderValue, Request, Response, Uri};
use ureq::{Agent, Body, ProxyProtocol};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::http::client_certificate;
use crate::http::transport::buffers::Progress;
use crate::http::transport::connector::{HostResolver, TlsConnector};
use crate::http::transport::failure::AttemptContext;
use crate::net::message::{ClientCertificate, HttpHeaderValue, HttpMethod, HttpRequest, HttpResponse};
use crate::net::proxy::{Proxy, ProxyScheme};
use crate::net::transport::{Http, RootCertificates, TransportOptions};
use crate::net::url::{Scheme, Url};

/// Getting a connection, looking up the name included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest body: tokens are a thousandth of it.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest head of a response, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The initial size of buffers, in bytes; a token response fits.
const BUFFER_BYTES: usize = 8 * 1024;

/// HTTP over the real network.
#[derive(Default)]
pub struct HttpTransport {
    /// Certificates are read once a run, not once a request.
    tls_configs: Mutex<Vec<CachedTlsConfig>>,
}

/// TLS under these certificates, with one of our own to show.
struct CachedTlsConfig {
    root_certificates: RootCertificates,
    client_certificate: Option<ClientCertificate>,
    config: Arc<ClientConfig>,
}

impl HttpTransport {
    /// Connects to nothing yet, and reads nothing.
    pub fn new() -> HttpTransport {
        HttpTransport::default()
    }

    /// The client for these certificates.
    fn tls_config(
        &self,
        root_certificates: &RootCertificates,
        client_certificate: Option<&ClientCertificate>,
    ) -> Result<Arc<ClientConfig>> {
        let mut cached = self.tls_configs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let same = |known: &&CachedTlsConfig| {
            known.root_certificates == *root_certificates && known.client_certificate.as_ref() == client_certificate
        };
        if let Some(known) = cached.iter().find(same) {
            return Ok(Arc::clone(&known.config));
        }
        let config = root_certificates.tls_client_config()?;
        let config = Arc::new(match client_certificate {
            Some(identity) => client_certificate::with_client_certificate(config, identity)?,
            None => config,
        });
        let shared = Arc::clone(&config);
        cached.push(CachedTlsConfig {
            root_certificates: root_certificates.clone(),
            client_certificate: client_certificate.cloned(),
            config: shared,
        });
        Ok(config)
    }
}

impl Http for HttpTransport {
    fn send(&self, request: &HttpRequest, options: &TransportOptions) -> Result<HttpResponse> {
        let ureq_request = to_ureq_request(request)?;
        let proxy_has_tls = options.proxy.as_ref().is_some_and(|proxy| proxy.scheme == ProxyScheme::Https);
        let tls_config = match request.url.scheme == Scheme::Https || proxy_has_tls {
            true => Some(self.tls_config(&options.root_certificates, request.client_certificate.as_ref())?),
            false => None,
        };
        let progress = Arc::new(Mutex::new(Progress::default()));
        let client_certificate = request.client_certificate.as_ref();
        let attempt = AttemptContext { url: &request.url, client_certificate, options, progress: &progress };
        let tls_connector =
            TlsConnector::new(ureq_request.uri().clone(), tls_config, now() + options.timeout, &progress);
        let answer = build_agent(options, tls_connector).and_then(|agent| agent.run(ureq_request));
        let answer = answer.map_err(|error| attempt.transport_error(error))?;
        framing::check_head(answer.status(), answer.version(), answer.headers())
            .and_then(|()| attempt.check_interim_responses())
            .map_err(|what| attempt.malformed_response(&what))?;
        read_response(answer, &attempt)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door: sockets need the machine's own clock")]
fn now() -> Instant {
    Instant::now()
}

/// The request as ureq wants it.
fn to_ureq_request(request: &HttpRequest) -> Result<Request<&[u8]>> {
    let body: &[u8] = request.body.as_ref().map_or(&[], |body| body);
    let mut ureq_request = Request::new(body);
    *ureq_request.method_mut() = match request.method {
        HttpMethod::Get => ureq::http::Method::GET,
        HttpMethod::Post => ureq::http::Method::POST,
        HttpMethod::Put => ureq::http::Method::PUT,
    };
    *ureq_request.uri_mut() = to_uri(&request.url)
        .ok_or_else(|| Error::not_safe(format!("{}: the URL cannot be sent as it is", request.url.authority())))?;
    for (name, value) in &request.headers {
        let (text, is_secret) = match value {
            HttpHeaderValue::Plain(text) => (text.as_str(), false),
            HttpHeaderValue::Secret(secret) => (secret.expose(), true),
        };
        // Line ends before all: they would begin a second header.
        let is_printable_ascii = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let value = HeaderValue::from_str(text).ok().filter(|_| is_printable_ascii);
        let Some((name, mut value)) = HeaderName::from_bytes(name.as_bytes()).ok().zip(value) else {
            return Err(Error::not_safe(format!(
                "{}: the value of header {name} has a control character or is not ASCII",
                request.url.authority()
            )));
        };
        value.set_sensitive(is_secret);
        ureq_request.headers_mut().append(name, value);
    }
    Ok(ureq_request)
}

/// The URL as ureq reads it, if ureq finds the same scheme, host and port in it: those that were checked are dialled.
pub fn to_uri(url: &Url) -> Option<Uri> {
    let uri: Uri = url.as_str().parse().ok()?;
    let (scheme, default_port) = match url.scheme {
        Scheme::Https => ("https", 443),
        Scheme::Http => ("http", 80),
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let is_same = uri.scheme_str() == Some(scheme)
        && host == url.host
        && uri.port_u16().unwrap_or(default_port) == url.port
        && uri.path_and_query().is_some_and(|path| path.as_str() == url.path_and_query());
    is_same.then_some(uri)
}

/// ureq with every limit set, and nothing taken from the environment.
fn build_agent(options: &TransportOptions, tls_connector: TlsConnector) -> std::result::Result<Agent, ureq::Error> {
    use ureq::unversioned::transport::{ConnectProxyConnector, Connector, SocksConnector, TcpConnector};

    let proxy = options.proxy.as_ref().map(to_ureq_proxy).transpose()?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .timeout_global(Some(options.timeout))
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .max_response_header_size(MAX_HEAD_BYTES)
        .max_idle_connections(0)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .accept_encoding(AutoHeaderValue::Provided(Arc::new("identity".to_owned())))
        .user_agent(concat!("gauth/", env!("CARGO_PKG_VERSION")))
        .build();
    let connector =
        ().chain(SocksConnector::default())
            .chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(tls_connector);
    Ok(Agent::with_parts(config, connector, HostResolver))
}

/// The proxy as ureq wants it.
fn to_ureq_proxy(proxy: &Proxy) -> std::result::Result<ureq::Proxy, ureq::Error> {
    let protocol = match proxy.scheme {
        ProxyScheme::Http => ProxyProtocol::Http,
        ProxyScheme::Https => ProxyProtocol::Https,
        ProxyScheme::Socks4 => ProxyProtocol::Socks4,
        ProxyScheme::Socks4a => ProxyProtocol::Socks4A,
        ProxyScheme::Socks5 => ProxyProtocol::Socks5,
        ProxyScheme::Socks5h => ProxyProtocol::Socks5h,
    };
    let host = if proxy.host.contains(':') { format!("[{}]", proxy.host) } else { proxy.host.clone() };
    let mut builder = ureq::Proxy::builder(protocol).host(&host).port(proxy.port);
    if let Some((user, password)) = &proxy.user_info {
        builder = builder.username(user);
        if !password.is_empty() {
            builder = builder.password(password.expose());
        }
    }
    builder.build()
}

/// Reads the body to its end, through buffers that are wiped.
fn read_response(answer: Response<Body>, attempt: &AttemptContext) -> Result<HttpResponse> {
    let (parts, body) = answer.into_parts();
    let content_length = body.content_length().and_then(|length| usize::try_from(length).ok());
    if content_length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(attempt.body_too_large());
    }
    let mut reader = body.into_reader();
    let mut bytes = Zeroizing::new(Vec::with_capacity(content_length.unwrap_or(BUFFER_BYTES)));
    let mut chunk = Zeroizing::new([0; BUFFER_BYTES]);
    loop {
        let count = reader.read(&mut *chunk).map_err(|error| attempt.transport_error(error.into()))?;
        if count == 0 {
            break;
        }
        if bytes.len() + count > MAX_BODY_BYTES {
            return Err(attempt.body_too_large());
        }
        append_zeroizing(&mut bytes, &chunk[..count]);
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(HttpResponse {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body: bytes,
    })
}

/// Appends without leaving a copy behind: a vector that grows by itself does not wipe its old memory.
fn append_zeroizing(bytes: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    if bytes.capacity() - bytes.len() < chunk.len() {
        let mut larger = Vec::with_capacity((bytes.len() + chunk.len()) * 2);
        larger.extend_from_slice(bytes);
        *bytes = Zeroizing::new(larger);
    }
    bytes.extend_from_slice(chunk);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::text::secret::Secret;

    #[test]
    fn a_header_with_a_line_end_is_refused_before_anything_is_sent() {
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\rb", "ä"] {
            let url = Url::parse("http://127.0.0.1:1/").expect("url");
            let mut request = HttpRequest::get(url).header("x-goog-user-project", value);
            let error = to_ureq_request(&request).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::Unsafe);
            request.headers = vec![("authorization".into(), HttpHeaderValue::Secret(Secret::new(value)))];
            let error = to_ureq_request(&request).expect_err(value);
            assert!(error.message().contains("header authorization"), "{error}");
        }
    }

    #[test]
    fn a_growing_body_keeps_its_bytes() {
        let mut bytes = Zeroizing::new(Vec::new());
        for piece in 0..100_u8 {
            append_zeroizing(&mut bytes, &[piece; 100]);
        }
        assert_eq!(bytes.len(), 10_000);
        assert!(bytes.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 100));
    }
}
