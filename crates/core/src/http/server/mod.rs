//! A small HTTP/1.1 server on loopback addresses, with a thread for each connection and limits for everything.
//!
//! It serves the callback of a login and, in the crate `gauth-sandbox`, a whole offline Google. Requests are
//! handled by a [`RequestHandler`], a function from request to response.

pub mod connection;
pub mod html;
pub mod http;
pub mod tls;

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::http::server::http::{ServerRequest, ServerResponse};
use crate::http::server::tls::ServerTls;
use crate::world::{listen, threads};

/// How visitors are treated.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionPolicy {
    /// Most connections at a time.
    max_connections: usize,
    /// What happens to one too many: the oldest makes room for it, or it is closed at once.
    evict_oldest: bool,
    /// Whether a connection may bring a second request.
    keep_alive: bool,
}

impl ConnectionPolicy {
    /// For programs, which come back.
    pub const SERVICE: ConnectionPolicy =
        ConnectionPolicy { max_connections: 256, evict_oldest: false, keep_alive: true };
    /// For one browser, which comes once; whoever else holds connections may not keep it out.
    pub const CALLBACK: ConnectionPolicy =
        ConnectionPolicy { max_connections: 32, evict_oldest: true, keep_alive: false };
}

/// How long a response may take that has begun when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Handles requests, on several threads.
pub type RequestHandler = dyn Fn(&ServerRequest) -> ServerResponse + Send + Sync;

/// A running server; it ends when dropped.
pub struct LoopbackServer {
    address: SocketAddr,
    stop_signal: Arc<StopSignal>,
    connections: Arc<OpenConnections>,
    accept_thread: Option<JoinHandle<()>>,
}

impl LoopbackServer {
    /// Handles the requests that arrive at `listener`, inside TLS if there is one, until `stop` is set or the server is
    /// dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        listener: TcpListener,
        tls: Option<ServerTls>,
        policy: ConnectionPolicy,
        stop_signal: Arc<StopSignal>,
        handler: Arc<RequestHandler>,
    ) -> Result<LoopbackServer> {
        let failed =
            |error: std::io::Error| Error::unexpected(format!("no server could be started, {}", io_reason(&error)));
        let address = listener.local_addr().map_err(failed)?;
        let connections = Arc::new(OpenConnections::default());
        let (shared_stop_signal, shared_connections) = (Arc::clone(&stop_signal), Arc::clone(&connections));
        let accept_thread = threads::spawn("accept", move || {
            accept_loop(&listener, tls.as_ref(), policy, &shared_stop_signal, &shared_connections, &handler)
        })
        .map_err(failed)?;
        Ok(LoopbackServer { address, stop_signal, connections, accept_thread: Some(accept_thread) })
    }

    /// The address and port on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl LoopbackServer {
    /// Accepts no further connection and closes the port. Responses that have begun are still sent.
    pub fn close(&mut self) {
        self.stop_signal.set();
        if let Some(accepting) = self.accept_thread.take() {
            listen::wake_listener(self.address);
            drop(accepting.join());
        }
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.close();
        self.connections.shut_down();
    }
}

fn accept_loop(
    listener: &TcpListener,
    tls: Option<&ServerTls>,
    policy: ConnectionPolicy,
    stop_signal: &Arc<StopSignal>,
    connections: &Arc<OpenConnections>,
    handler: &Arc<RequestHandler>,
) {
    loop {
        let accepted = listener.accept();
        if stop_signal.is_set() {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: some come back when connections end.
            stop_signal.wait(Duration::from_millis(50));
            continue;
        };
        let Some(number) = connections.register(&stream, policy) else { continue };
        let (stop, handler, tls) = (Arc::clone(stop_signal), Arc::clone(handler), tls.cloned());
        let shared_connections = Arc::clone(connections);
        let started = threads::spawn("connection", move || {
            let _guard = UnregisterOnDrop(&shared_connections, number);
            connection::serve(&stream, tls.as_ref(), policy.keep_alive, &stop, &*handler);
        });
        if started.is_err() {
            connections.unregister(number);
        }
    }
}

/// The connections that are open, to count and to close them.
#[derive(Default)]
struct OpenConnections {
    /// By number, the oldest first.
    streams: Mutex<BTreeMap<u64, TcpStream>>,
    last_id: Mutex<u64>,
    closed: Condvar,
}

impl OpenConnections {
    fn register(&self, stream: &TcpStream, policy: ConnectionPolicy) -> Option<u64> {
        let mut streams = lock_ignoring_poison(&self.streams);
        if streams.len() >= policy.max_connections {
            let oldest = streams.first_entry().filter(|_| policy.evict_oldest)?;
            drop(oldest.remove().shutdown(Shutdown::Both));
        }
        let mut last_id = lock_ignoring_poison(&self.last_id);
        *last_id += 1;
        streams.insert(*last_id, stream.try_clone().ok()?);
        Some(*last_id)
    }

    fn unregister(&self, number: u64) {
        lock_ignoring_poison(&self.streams).remove(&number);
        self.closed.notify_all();
    }

    /// Closes connections without a request at once, and waits a moment for the responses of the others.
    fn shut_down(&self) {
        let streams = lock_ignoring_poison(&self.streams);
        for stream in streams.values() {
            drop(stream.shutdown(Shutdown::Read));
        }
        let waited = self.closed.wait_timeout_while(streams, SHUTDOWN_GRACE, |open| !open.is_empty());
        for stream in waited.unwrap_or_else(PoisonError::into_inner).0.values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Leaves also when a handler panics.
struct UnregisterOnDrop<'a>(&'a OpenConnections, u64);

impl Drop for UnregisterOnDrop<'_> {
    fn drop(&mut self) {
        self.0.unregister(self.1);
    }
}

/// The signal that the server has to stop. It also interrupts pauses.
#[derive(Default)]
pub struct StopSignal {
    stopped: Mutex<bool>,
    condvar: Condvar,
}

impl StopSignal {
    /// Tells the server to stop.
    pub fn set(&self) {
        *lock_ignoring_poison(&self.stopped) = true;
        self.condvar.notify_all();
    }

    /// Whether it is wished.
    pub fn is_set(&self) -> bool {
        *lock_ignoring_poison(&self.stopped)
    }

    /// Waits until the server has to stop or the time is over; returns whether it has to stop.
    pub fn wait(&self, timeout: Duration) -> bool {
        let stopped = lock_ignoring_poison(&self.stopped);
        let waited = self.condvar.wait_timeout_while(stopped, timeout, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What a thread that panicked left behind is still good enough for a server.
pub fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
