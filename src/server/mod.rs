//! A little HTTP/1.1 server on loopback: a thread per connection, every limit set.
//!
//! What it serves is a [`Handler`]: a function from request to answer. The metadata protocol is in [`metadata`],
//! the whole offline Google in [`sandbox`].

pub(crate) mod connection;
pub mod html;
pub mod http;
pub mod metadata;
pub mod sandbox;
pub mod tls;

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::server::http::{Answer, Request};
use crate::server::tls::Tls;
use crate::world::listen;

/// How visitors are treated.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Most connections at a time.
    most: usize,
    /// What happens to one too many: the oldest makes room for it, or it is closed at once.
    oldest_goes: bool,
    /// Whether a connection may bring a second request.
    keeps: bool,
}

impl Manner {
    /// For programs, which come back.
    pub const SERVICE: Manner = Manner { most: 256, oldest_goes: false, keeps: true };
    /// For one browser, which comes once; whoever else holds connections may not keep it out.
    pub const CALLBACK: Manner = Manner { most: 32, oldest_goes: true, keeps: false };
}

/// An answer that is on its way when the server ends has this long.
const FAREWELL: Duration = Duration::from_millis(500);

/// What answers requests, from many threads.
pub type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// A running server; it ends when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<Stop>,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers what comes in at `listener`, inside TLS if there is one, until `stop` is set or the server is
    /// dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        listener: TcpListener,
        tls: Option<Tls>,
        manner: Manner,
        stop: Arc<Stop>,
        handler: Arc<Handler>,
    ) -> Result<Server> {
        let failed = |error: std::io::Error| {
            Error::unexpected(format!("no server could be started, {}", io_reason(&error)))
        };
        let address = listener.local_addr().map_err(failed)?;
        let connections = Arc::new(Connections::default());
        let (ours, kept) = (Arc::clone(&stop), Arc::clone(&connections));
        let accepting = std::thread::Builder::new()
            .name("accept".to_owned())
            .spawn(move || accept(&listener, tls.as_ref(), manner, &ours, &kept, &handler))
            .map_err(failed)?;
        Ok(Server { address, stop, connections, accepting: Some(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Server {
    /// Lets nobody in any more, and gives the port back. Answers on their way are still sent.
    pub fn close(&mut self) {
        self.stop.set();
        if let Some(accepting) = self.accepting.take() {
            listen::knock(self.address);
            drop(accepting.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
        self.connections.end();
    }
}

fn accept(
    listener: &TcpListener,
    tls: Option<&Tls>,
    manner: Manner,
    stop: &Arc<Stop>,
    connections: &Arc<Connections>,
    handler: &Arc<Handler>,
) {
    loop {
        let accepted = listener.accept();
        if stop.is_set() {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: some come back when connections end.
            stop.pause(Duration::from_millis(50));
            continue;
        };
        let Some(number) = connections.admit(&stream, manner) else { continue };
        let (stop, handler, tls) = (Arc::clone(stop), Arc::clone(handler), tls.cloned());
        let ours = Arc::clone(connections);
        let started = std::thread::Builder::new().name("connection".to_owned()).spawn(move || {
            let _leaving = Leaving(&ours, number);
            connection::serve(&stream, tls.as_ref(), manner.keeps, &stop, &*handler);
        });
        if started.is_err() {
            connections.leave(number);
        }
    }
}

/// The connections that are open, to count and to close them.
#[derive(Default)]
struct Connections {
    /// By number, the oldest first.
    streams: Mutex<BTreeMap<u64, TcpStream>>,
    next: Mutex<u64>,
    left: Condvar,
}

impl Connections {
    fn admit(&self, stream: &TcpStream, manner: Manner) -> Option<u64> {
        let mut streams = lock(&self.streams);
        if streams.len() >= manner.most {
            let oldest = streams.first_entry().filter(|_| manner.oldest_goes)?;
            drop(oldest.remove().shutdown(Shutdown::Both));
        }
        let mut next = lock(&self.next);
        *next += 1;
        streams.insert(*next, stream.try_clone().ok()?);
        Some(*next)
    }

    fn leave(&self, number: u64) {
        lock(&self.streams).remove(&number);
        self.left.notify_all();
    }

    /// Ends those that wait for a request at once, and gives the others a moment to send their answer.
    fn end(&self) {
        let streams = lock(&self.streams);
        for stream in streams.values() {
            drop(stream.shutdown(Shutdown::Read));
        }
        let waited = self.left.wait_timeout_while(streams, FAREWELL, |open| !open.is_empty());
        for stream in waited.unwrap_or_else(PoisonError::into_inner).0.values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Leaves also when a handler panics.
struct Leaving<'a>(&'a Connections, u64);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// A wish to end, which also interrupts pauses.
#[derive(Default)]
pub struct Stop {
    wished: Mutex<bool>,
    bell: Condvar,
}

impl Stop {
    /// Wishes it.
    pub fn set(&self) {
        *lock(&self.wished) = true;
        self.bell.notify_all();
    }

    /// Whether it is wished.
    pub fn is_set(&self) -> bool {
        *lock(&self.wished)
    }

    /// Waits, less when the end is wished meanwhile; says whether it is.
    pub fn pause(&self, time: Duration) -> bool {
        let wished = lock(&self.wished);
        let waited = self.bell.wait_timeout_while(wished, time, |wished| !*wished);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What a thread that panicked left behind is still good enough for a server.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
