//! The loopback port that receives the authorization response (RFC 8252, 7.3). It is open from before the browser is
//! opened until the expected request has come. Any other request gets status 404.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::http::server::http::{ServerRequest, ServerResponse};
use crate::http::server::{ConnectionPolicy, LoopbackServer, RequestHandler, StopSignal, lock_ignoring_poison};
use crate::login::callback::{CallbackResult, ExpectedCallback};
use crate::login::page;
use crate::login::provider::LoginProvider;
use crate::login::redirect::{RedirectTarget, RedirectUri};
use crate::login::wait::{Countdown, TICK_INTERVAL};
use crate::world::exec::Browser;
use crate::world::{World, listen};

/// How long a browser waits for its page while the code is exchanged.
const PAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// The number of attempts to find a port that is free on both IPv4 and IPv6.
const MAX_PORT_ATTEMPTS: usize = 10;
/// The maximum number of ignored requests that are queued for the notes of `-v`.
const MAX_QUEUED_REQUESTS: usize = 64;

/// A request to the port.
enum IncomingRequest {
    /// The authorization response, and the channel for the page that answers it.
    Callback(CallbackResult, SyncSender<ServerResponse>),
    /// Any other request, and why it is ignored.
    Ignored(&'static str),
}

/// The listener for the authorization response.
pub struct CallbackListener {
    servers: Vec<LoopbackServer>,
    redirect: RedirectUri,
    requests: Receiver<IncomingRequest>,
}

/// A browser that has sent the authorization response and waits for its page.
pub struct BrowserReply {
    page: SyncSender<ServerResponse>,
    servers: Vec<LoopbackServer>,
}

impl BrowserReply {
    /// Sends the page to the browser.
    pub fn send(self, answer: ServerResponse) {
        // The browser may have closed the connection.
        _ = self.page.send(answer);
        drop(self.servers);
    }

    /// Sends a page with the result of the sign-in: the account, or the error.
    pub fn send_result(self, result: std::result::Result<&str, &Error>) {
        self.send(match result {
            Ok(account) => page::success(account),
            Err(error) => page::failure(error.message(), error.hint_text().unwrap_or("gauth login")),
        });
    }
}

impl CallbackListener {
    /// Listens at `target` for the authorization response with this `state`.
    ///
    /// # Errors
    /// When the port is in use.
    pub fn open(target: &RedirectTarget, state: &str, provider: &LoginProvider) -> Result<CallbackListener> {
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
            LoopbackServer::start(listener, None, ConnectionPolicy::CALLBACK, Arc::clone(&stop), Arc::clone(&handler))
        });
        Ok(CallbackListener { servers: servers.collect::<Result<_>>()?, redirect, requests })
    }

    /// The redirect URI with the port that is in use.
    pub fn redirect(&self) -> &RedirectUri {
        &self.redirect
    }

    /// Waits for the authorization response, then closes the port.
    ///
    /// # Errors
    /// `NoAnswer`, when the time is up.
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
                world.terminal.warn(&format!("no browser can be opened: {why}; visit the address above"));
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
                    return Err(Error::unexpected("the listener for the browser has stopped"));
                }
            }
        }
    }
}

/// The handler that accepts the expected request once; any other gets status 404.
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
                // A full queue drops the notes about further requests.
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

/// The listeners on IPv4 and IPv6, and the port they share.
fn bind_listeners(target: &RedirectTarget) -> Result<(Vec<TcpListener>, u16)> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let requested_port = target.port.unwrap_or(0);
    let port_in_use = |error: Error| match target.port {
        None => error,
        Some(port) => error.hint(format!(
            "stop the program that uses port {port}, or choose another port: with --port where the client allows any, \
            with --redirect-uri where another one is registered"
        )),
    };
    let first_address = if target.is_v6() { v6 } else { v4 };
    for _ in 0..MAX_PORT_ATTEMPTS {
        let listener = listen::bind_loopback(first_address, requested_port).map_err(port_in_use)?;
        let address = listener.local_addr().map_err(|error| Error::unexpected(io_reason(&error)))?;
        let port = address.port();
        if !target.is_localhost() || !listen::has_ipv6_loopback() {
            return Ok((vec![listener], port));
        }
        match (listen::bind_loopback(v6, port), target.port) {
            (Ok(other), _) => return Ok((vec![listener, other], port)),
            (Err(error), Some(_)) => return Err(port_in_use(error)),
            // Another program uses the port on IPv6 and would receive the response.
            (Err(_), None) => {}
        }
    }
    Err(Error::unexpected("no port is free on both 127.0.0.1 and ::1")
        .hint("--redirect-uri http://127.0.0.1/, if the client allows it"))
}
