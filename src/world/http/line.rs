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
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, TransportAdapter,
};
use ureq::{Error, Timeout};
use zeroize::Zeroize;

use super::buffers::{Watch, Wiped, note};

/// Looks up names; an address is taken as it is, without a question to anybody and without a thread.
#[derive(Debug)]
pub(super) struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let Ok(address) = host.parse::<IpAddr>() else {
            // Every failure of the system's resolver has the same meaning: no such host for now.
            return DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| {
                match error {
                    Error::Timeout(_) => error,
                    _ => Error::HostNotFound,
                }
            });
        };
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let mut addresses = self.empty();
        addresses.push((address, uri.port_u16().unwrap_or(usual)).into());
        Ok(addresses)
    }
}

/// The last link of the chain of connectors: TLS where the URL wants it, then the wall clock over everything.
pub(super) struct Line {
    target: Uri,
    client: Option<Arc<ClientConfig>>,
    ends: Instant,
    watch: Arc<Mutex<Watch>>,
}

impl Line {
    pub(super) fn new(
        target: Uri,
        client: Option<Arc<ClientConfig>>,
        ends: Instant,
        watch: &Arc<Mutex<Watch>>,
    ) -> Line {
        Line { target, client, ends, watch: Arc::clone(watch) }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl<In: Transport> Connector<In> for Line {
    type Out = Wired;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Wired>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        // The chain also runs for the proxy's own connection, which says nothing about the request.
        let watch = (*details.uri == self.target).then(|| Arc::clone(&self.watch));
        note(&watch, |watch| watch.reached = true);
        let mut socket = TransportAdapter::new(
            Box::new(transport) as Box<dyn Transport>,
            details.current_time.clone(),
        );
        socket.set_timeout(within(left(details), self.ends));
        let stream = match (&self.client, details.needs_tls()) {
            (Some(client), true) => Stream::Tls(Box::new(handshake(client, details.uri, socket)?)),
            (None, true) => return Err(Error::TlsRequired),
            (_, false) => Stream::Plain(socket),
        };
        Ok(Some(Wired { stream, buffers: Wiped::new(watch), ends: self.ends }))
    }
}

/// What is left of the time to connect: the limit was taken when connecting began.
fn left(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    let now = (details.current_time)();
    if let (Duration::Exact(limit), Moment::Exact(began), Moment::Exact(now)) =
        (timeout.after, details.now, now)
    {
        timeout.after = limit.saturating_sub(now.saturating_duration_since(began)).into();
    }
    timeout
}

/// The timeout, cut at the end of the attempt.
fn within(mut timeout: NextTimeout, ends: Instant) -> NextTimeout {
    let left: Duration = ends.saturating_duration_since(super::now()).into();
    if left < timeout.after {
        timeout.after = left;
        timeout.reason = Timeout::Global;
    }
    timeout
}

fn handshake(
    client: &Arc<ClientConfig>,
    uri: &Uri,
    mut socket: TransportAdapter,
) -> Result<StreamOwned<ClientConnection, TransportAdapter>, Error> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|_| Error::HostNotFound)?;
    let mut tls = ClientConnection::new(Arc::clone(client), name)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).map_err(unwrapped)?;
    }
    Ok(StreamOwned::new(tls, socket))
}

/// What TLS says comes wrapped as an error of the socket.
fn unwrapped(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Error::Rustls(tls.clone()),
        None => error.into(),
    }
}

enum Stream {
    Plain(TransportAdapter),
    Tls(Box<StreamOwned<ClientConnection, TransportAdapter>>),
}

impl Stream {
    fn socket(&mut self) -> &mut TransportAdapter {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &mut tls.sock,
        }
    }
}

/// A connection, ready for HTTP.
pub(super) struct Wired {
    stream: Stream,
    buffers: Wiped,
    ends: Instant,
}

impl fmt::Debug for Wired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wired")
    }
}

impl Transport for Wired {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.socket().set_timeout(within(timeout, self.ends));
        note(&self.buffers.watch, |watch| watch.sent = true);
        let bytes = &self.buffers.output[..amount];
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes),
        }
        .map_err(unwrapped)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.buffers.flooded {
            return Err(Error::ConnectionFailed);
        }
        self.stream.socket().set_timeout(within(timeout, self.ends));
        let room = self.buffers.room();
        let count = match &mut self.stream {
            Stream::Plain(socket) => socket.read(room),
            Stream::Tls(tls) => tls.read(room),
        }
        .map_err(|error| match error.kind() {
            // ureq takes these for the end of a body without a length. They are not: a reset, or TLS that ends
            // without saying so, may hide the rest of it.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof => {
                Error::from(io::Error::from(io::ErrorKind::BrokenPipe))
            }
            _ => unwrapped(error),
        })?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Never used twice, so ureq need not probe it.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

impl Drop for Wired {
    /// Without TLS the socket's own buffers hold what was said in the clear.
    fn drop(&mut self) {
        if let Stream::Plain(socket) = &mut self.stream {
            let buffers = socket.get_mut().buffers();
            buffers.output().zeroize();
            let unread = buffers.input().len();
            buffers.input_consume(unread);
            buffers.input_append_buf().zeroize();
        }
    }
}
