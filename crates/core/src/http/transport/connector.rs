//! What carries the bytes of one attempt: looking up names, TLS, and one end of time for everything.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration, Instant as Moment};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport, TransportAdapter};
use ureq::{Error, Timeout};
use zeroize::Zeroize;

use crate::http::transport::buffers::{Progress, ZeroizingBuffers, record_progress};

/// Resolves host names. An IP address is used as it is, without a lookup and without a thread.
#[derive(Debug)]
pub(super) struct HostResolver;

impl Resolver for HostResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let Ok(address) = host.parse::<IpAddr>() else {
            // Every failure of the system's resolver has the same meaning: no such host for now.
            return DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| match error {
                Error::Timeout(_) => error,
                _ => Error::HostNotFound,
            });
        };
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let mut addresses = self.empty();
        addresses.push((address, uri.port_u16().unwrap_or(default_port)).into());
        Ok(addresses)
    }
}

/// The last link of the chain of connectors: TLS where the URL wants it, then the wall clock over everything.
pub(super) struct TlsConnector {
    target_uri: Uri,
    tls_config: Option<Arc<ClientConfig>>,
    deadline: Instant,
    progress: Arc<Mutex<Progress>>,
}

impl TlsConnector {
    pub(super) fn new(
        target_uri: Uri,
        tls_config: Option<Arc<ClientConfig>>,
        deadline: Instant,
        progress: &Arc<Mutex<Progress>>,
    ) -> TlsConnector {
        TlsConnector { target_uri, tls_config, deadline, progress: Arc::clone(progress) }
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = HttpConnection;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<HttpConnection>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        // The chain also runs for the proxy's own connection, which does not concern the request.
        let progress = (*details.uri == self.target_uri).then(|| Arc::clone(&self.progress));
        record_progress(&progress, |watch| watch.server_reached = true);
        let mut socket = TransportAdapter::new(Box::new(transport) as Box<dyn Transport>, details.current_time.clone());
        socket.set_timeout(cap_timeout(remaining_connect_time(details), self.deadline));
        let stream = match (&self.tls_config, details.needs_tls()) {
            (Some(tls_config), true) => ClientStream::Tls(Box::new(tls_handshake(tls_config, details.uri, socket)?)),
            (None, true) => return Err(Error::TlsRequired),
            (_, false) => ClientStream::Plain(socket),
        };
        Ok(Some(HttpConnection { stream, buffers: ZeroizingBuffers::new(progress), deadline: self.deadline }))
    }
}

/// What is left of the time to connect: the limit was taken when connecting began.
fn remaining_connect_time(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    let now = (details.current_time)();
    if let (Duration::Exact(limit), Moment::Exact(began), Moment::Exact(now)) = (timeout.after, details.now, now) {
        timeout.after = limit.saturating_sub(now.saturating_duration_since(began)).into();
    }
    timeout
}

/// The timeout, cut at the end of the attempt.
fn cap_timeout(mut timeout: NextTimeout, deadline: Instant) -> NextTimeout {
    let remaining: Duration = deadline.saturating_duration_since(super::now()).into();
    if remaining < timeout.after {
        timeout.after = remaining;
        timeout.reason = Timeout::Global;
    }
    timeout
}

fn tls_handshake(
    tls_config: &Arc<ClientConfig>,
    uri: &Uri,
    mut socket: TransportAdapter,
) -> Result<StreamOwned<ClientConnection, TransportAdapter>, Error> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|_| Error::HostNotFound)?;
    let mut connection = ClientConnection::new(Arc::clone(tls_config), name)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(unwrap_tls_error)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// An error of TLS is wrapped in an error of the socket.
fn unwrap_tls_error(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Error::Rustls(tls.clone()),
        None => error.into(),
    }
}

enum ClientStream {
    Plain(TransportAdapter),
    Tls(Box<StreamOwned<ClientConnection, TransportAdapter>>),
}

impl ClientStream {
    fn socket(&mut self) -> &mut TransportAdapter {
        match self {
            ClientStream::Plain(socket) => socket,
            ClientStream::Tls(tls) => &mut tls.sock,
        }
    }
}

/// A connection, ready for HTTP.
pub(super) struct HttpConnection {
    stream: ClientStream,
    buffers: ZeroizingBuffers,
    deadline: Instant,
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpConnection")
    }
}

impl Transport for HttpConnection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.socket().set_timeout(cap_timeout(timeout, self.deadline));
        record_progress(&self.buffers.attempt_progress, |watch| watch.request_sent = true);
        let bytes = &self.buffers.output[..amount];
        match &mut self.stream {
            ClientStream::Plain(socket) => socket.write_all(bytes),
            ClientStream::Tls(tls) => tls.write_all(bytes),
        }
        .map_err(unwrap_tls_error)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.buffers.too_many_interim {
            return Err(Error::ConnectionFailed);
        }
        self.stream.socket().set_timeout(cap_timeout(timeout, self.deadline));
        let free_space = self.buffers.free_space();
        let count = match &mut self.stream {
            ClientStream::Plain(socket) => socket.read(free_space),
            ClientStream::Tls(tls) => tls.read(free_space),
        }
        .map_err(|error| match error.kind() {
            // ureq takes these for the end of a body without a length. They are not: a reset, or TLS that ends
            // without saying so, may hide the rest of it.
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof => {
                Error::from(io::Error::from(io::ErrorKind::BrokenPipe))
            }
            _ => unwrap_tls_error(error),
        })?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Never used twice, so ureq need not probe it.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, ClientStream::Tls(_))
    }
}

impl Drop for HttpConnection {
    /// Without TLS, the socket's own buffers contain the plain text.
    fn drop(&mut self) {
        if let ClientStream::Plain(socket) = &mut self.stream {
            let buffers = socket.get_mut().buffers();
            buffers.output().zeroize();
            let unread = buffers.input().len();
            buffers.input_consume(unread);
            buffers.input_append_buf().zeroize();
        }
    }
}
