//! The port a browser comes back to (RFC 8252, 7.3). It is open from before the browser is sent away until the one
//! right request has come, and whatever else comes in meanwhile gets a 404.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::http::server::http::{ServerRequest, ServerResponse};
use crate::http::server::{
    ConnectionPolicy, LoopbackServer, RequestHandler, StopSignal, lock_ignoring_poison,
};
use crate::login::callback::{CallbackResult, ExpectedCallback};
use crate::login::page;
use crate::login::provider::LoginProvider;
use crate::login::redirect::{RedirectTarget, RedirectUri};
use crate::login::wait::{Countdown, TICK_INTERVAL};
use crate::world::World;
use crate::world::exec::Browser;
use crate::world::listen;

/// How long a browser is kept waiting for its page while codes and tokens are exchanged.
const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a free port is looked for that is free on both stacks.
const MAX_PORT_ATTEMPTS: usize = 10;
/// Strangers that may have come and not been told of.
const MAX_QUEUED_REQUESTS: usize = 64;

/// Somebody came.
enum IncomingRequest {
    /// The one that is waited for, and where its page goes.
    Callback(CallbackResult, SyncSender<ServerResponse>),
    /// Somebody else, and how that was known.
    Ignored(&'static str),
}

/// A login that listens.
pub struct CallbackListener {
    servers: Vec<LoopbackServer>,
    redirect: RedirectUri,
    requests: Receiver<IncomingRequest>,
}

/// The browser that came, and has not been shown a page yet.
pub struct BrowserReply {
    page: SyncSender<ServerResponse>,
    servers: Vec<LoopbackServer>,
}

impl BrowserReply {
    /// Shows it one.
    pub fn send(self, answer: ServerResponse) {
        // A browser that has gone away needs none.
        _ = self.page.send(answer);
        drop(self.servers);
    }

    /// Shows it what has become of its errand.
    pub fn send_result(self, result: std::result::Result<&str, &Error>) {
        self.send(match result {
            Ok(account) => page::success(account),
            Err(error) => {
                page::failure(error.message(), error.hint_text().unwrap_or("gauth login"))
            }
        });
    }
}

impl CallbackListener {
    /// Listens where `target` says for the answer with this state.
    ///
    /// # Errors
    /// When the port is somebody else's.
    pub fn open(
        target: &RedirectTarget,
        state: &str,
        provider: &LoginProvider,
    ) -> Result<CallbackListener> {
        let (listeners, port) = bind_listeners(target)?;
        let redirect = target.with_port(port);
        let expected = ExpectedCallback {
            path: redirect.path.clone(),
            host: redirect.host.clone(),
            state: state.to_owned(),
            issuer: provider.issuer.clone(),
            sends_issuer: provider.sends_issuer,
        };
        let (sender, requests) = sync_channel(MAX_QUEUED_REQUESTS);
        let stop = Arc::new(StopSignal::default());
        let handler = callback_handler(expected, sender, Arc::clone(&stop));
        let servers = listeners.into_iter().map(|listener| {
            LoopbackServer::start(
                listener,
                None,
                ConnectionPolicy::CALLBACK,
                Arc::clone(&stop),
                Arc::clone(&handler),
            )
        });
        Ok(CallbackListener { servers: servers.collect::<Result<_>>()?, redirect, requests })
    }

    /// Where the browser is to come back to.
    pub fn redirect(&self) -> &RedirectUri {
        &self.redirect
    }

    /// Waits for the answer. The port is closed when it has come.
    ///
    /// # Errors
    /// When nobody came in time.
    pub fn wait(
        mut self,
        countdown: &Countdown<'_>,
        mut browser: Option<Browser>,
        world: &World,
    ) -> Result<(CallbackResult, BrowserReply)> {
        loop {
            countdown.tick()?;
            if let Some(why) = browser.as_mut().and_then(Browser::take_failure) {
                world.terminal.clear_status_line();
                world
                    .terminal
                    .warn(&format!("no browser could be opened: {why}; visit the address above"));
            }
            match self.requests.recv_timeout(TICK_INTERVAL) {
                Ok(IncomingRequest::Callback(outcome, page)) => {
                    self.servers.iter_mut().for_each(LoopbackServer::close);
                    return Ok((outcome, BrowserReply { page, servers: self.servers }));
                }
                Ok(IncomingRequest::Ignored(why)) => {
                    world.terminal.note(|| format!("a request was ignored: {why}"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::unexpected("nobody listens any more"));
                }
            }
        }
    }
}

/// Hears the right request once, and nobody else ever.
fn callback_handler(
    expected: ExpectedCallback,
    requests: SyncSender<IncomingRequest>,
    stop: Arc<StopSignal>,
) -> Arc<RequestHandler> {
    let is_answered = Mutex::new(false);
    Arc::new(move |request: &ServerRequest| {
        let outcome = match expected.check_request(request) {
            Ok(outcome) => outcome,
            Err(why) => {
                // Who looks is told of the first ones; a flood is not kept.
                _ = requests.try_send(IncomingRequest::Ignored(why));
                return not_found();
            }
        };
        if std::mem::replace(&mut *lock_ignoring_poison(&is_answered), true) {
            return not_found();
        }
        stop.set();
        let (page, shown) = sync_channel(1);
        let sent = requests.send(IncomingRequest::Callback(outcome, page));
        let answer = sent.ok().and_then(|()| shown.recv_timeout(PAGE_TIMEOUT).ok());
        answer.unwrap_or_else(|| page::failure("gauth has ended meanwhile", "gauth login"))
    })
}

fn not_found() -> ServerResponse {
    ServerResponse::text(404, "nothing is here\n").header("Cache-Control", "no-store")
}

/// The listeners, and the port they share.
fn bind_listeners(target: &RedirectTarget) -> Result<(Vec<TcpListener>, u16)> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let requested_port = target.port.unwrap_or(0);
    let port_in_use = |error: Error| match target.port {
        None => error,
        Some(port) => error.hint(format!(
            "stop what has port {port}, or choose another: --port where the client allows any, \
             --redirect-uri where another one is registered"
        )),
    };
    let first_address = if target.is_v6() { v6 } else { v4 };
    for _ in 0..MAX_PORT_ATTEMPTS {
        let listener = listen::bind_loopback(first_address, requested_port).map_err(port_in_use)?;
        let address =
            listener.local_addr().map_err(|error| Error::unexpected(io_reason(&error)))?;
        let port = address.port();
        if !target.is_localhost() || !listen::has_ipv6_loopback() {
            return Ok((vec![listener], port));
        }
        match (listen::bind_loopback(v6, port), target.port) {
            (Ok(other), _) => return Ok((vec![listener, other], port)),
            (Err(error), Some(_)) => return Err(port_in_use(error)),
            // Somebody has this port on the other stack: they would hear what is meant for us.
            (Err(_), None) => {}
        }
    }
    Err(Error::unexpected("no port is free on both 127.0.0.1 and ::1")
        .hint("--redirect-uri http://127.0.0.1/, if the client allows it"))
}
