//! The port a browser comes back to (RFC 8252, 7.3). It is open from before the browser is sent away until the one
//! right request has come, and whatever else comes in meanwhile gets a 404.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::login::callback::{Expected, Outcome};
use crate::login::page;
use crate::login::provider::Provider;
use crate::login::redirect::{Redirect, Target};
use crate::login::wait::{TICK, Waiting};
use crate::server::http::{Answer, Request};
use crate::server::{Handler, Manner, Server, Stop, lock};
use crate::world::World;
use crate::world::exec::Browser;
use crate::world::listen;

/// How long a browser is kept waiting for its page while codes and tokens are exchanged.
const LONGEST: Duration = Duration::from_secs(120);
/// How often a free port is looked for that is free on both stacks.
const TRIES: usize = 10;
/// Strangers that may have come and not been told of.
const UNTOLD: usize = 64;

/// Somebody came.
enum Visit {
    /// The one that is waited for, and where its page goes.
    Right(Outcome, SyncSender<Answer>),
    /// Somebody else, and how that was known.
    Other(&'static str),
}

/// A login that listens.
pub struct Listener {
    servers: Vec<Server>,
    redirect: Redirect,
    visits: Receiver<Visit>,
}

/// The browser that came, and has not been shown a page yet.
pub struct Reply {
    page: SyncSender<Answer>,
    servers: Vec<Server>,
}

impl Reply {
    /// Shows it one.
    pub fn show(self, answer: Answer) {
        // A browser that has gone away needs none.
        _ = self.page.send(answer);
        drop(self.servers);
    }

    /// Shows it what has become of its errand.
    pub fn tell(self, account: std::result::Result<&str, &Error>) {
        self.show(match account {
            Ok(account) => page::done(account),
            Err(error) => page::failed(error.message(), error.hint_text().unwrap_or("gauth login")),
        });
    }
}

impl Listener {
    /// Listens where `target` says for the answer with this state.
    ///
    /// # Errors
    /// When the port is somebody else's.
    pub fn open(target: &Target, state: &str, provider: &Provider) -> Result<Listener> {
        let (listeners, port) = listeners(target)?;
        let redirect = target.at(port);
        let expected = Expected {
            path: redirect.path.clone(),
            host: redirect.host.clone(),
            state: state.to_owned(),
            issuer: provider.issuer.clone(),
            says_issuer: provider.says_issuer,
        };
        let (sender, visits) = sync_channel(UNTOLD);
        let stop = Arc::new(Stop::default());
        let handler = handler(expected, sender, Arc::clone(&stop));
        let servers = listeners.into_iter().map(|listener| {
            Server::start(listener, None, Manner::CALLBACK, Arc::clone(&stop), Arc::clone(&handler))
        });
        Ok(Listener { servers: servers.collect::<Result<_>>()?, redirect, visits })
    }

    /// Where the browser is to come back to.
    pub fn redirect(&self) -> &Redirect {
        &self.redirect
    }

    /// Waits for the answer. The port is closed when it has come.
    ///
    /// # Errors
    /// When nobody came in time.
    pub fn wait(
        mut self,
        waiting: &Waiting<'_>,
        mut browser: Option<Browser>,
        world: &World,
    ) -> Result<(Outcome, Reply)> {
        loop {
            waiting.tick()?;
            if let Some(why) = browser.as_mut().and_then(Browser::failed) {
                world.terminal.end_status();
                world
                    .terminal
                    .warn(&format!("no browser could be opened: {why}; visit the address above"));
            }
            match self.visits.recv_timeout(TICK) {
                Ok(Visit::Right(outcome, page)) => {
                    self.servers.iter_mut().for_each(Server::close);
                    return Ok((outcome, Reply { page, servers: self.servers }));
                }
                Ok(Visit::Other(why)) => {
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
fn handler(expected: Expected, visits: SyncSender<Visit>, stop: Arc<Stop>) -> Arc<Handler> {
    let heard = Mutex::new(false);
    Arc::new(move |request: &Request| {
        let outcome = match expected.judge(request) {
            Ok(outcome) => outcome,
            Err(why) => {
                // Who looks is told of the first ones; a flood is not kept.
                _ = visits.try_send(Visit::Other(why));
                return nothing();
            }
        };
        if std::mem::replace(&mut *lock(&heard), true) {
            return nothing();
        }
        stop.set();
        let (page, shown) = sync_channel(1);
        let sent = visits.send(Visit::Right(outcome, page));
        let answer = sent.ok().and_then(|()| shown.recv_timeout(LONGEST).ok());
        answer.unwrap_or_else(|| page::failed("gauth has ended meanwhile", "gauth login"))
    })
}

fn nothing() -> Answer {
    Answer::text(404, "nothing is here\n").header("Cache-Control", "no-store")
}

/// The listeners, and the port they share.
fn listeners(target: &Target) -> Result<(Vec<TcpListener>, u16)> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let wanted = target.port.unwrap_or(0);
    let taken = |error: Error| match target.port {
        None => error,
        Some(port) => error.hint(format!(
            "stop what has port {port}, or choose another: --port where the client allows any, \
             --redirect-uri where another one is registered"
        )),
    };
    let first = if target.is_v6() { v6 } else { v4 };
    for _ in 0..TRIES {
        let listener = listen::loopback(first, wanted).map_err(taken)?;
        let address =
            listener.local_addr().map_err(|error| Error::unexpected(io_reason(&error)))?;
        let port = address.port();
        if !target.is_named() || !listen::has_v6() {
            return Ok((vec![listener], port));
        }
        match (listen::loopback(v6, port), target.port) {
            (Ok(other), _) => return Ok((vec![listener, other], port)),
            (Err(error), Some(_)) => return Err(taken(error)),
            // Somebody has this port on the other stack: they would hear what is meant for us.
            (Err(_), None) => {}
        }
    }
    Err(Error::unexpected("no port is free on both 127.0.0.1 and ::1")
        .hint("--redirect-uri http://127.0.0.1/, if the client allows it"))
}
