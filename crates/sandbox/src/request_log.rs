//! The log of received requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use gauth_core::http::server::http::ServerRequest;
use gauth_core::http::server::lock_ignoring_poison;

/// The log keeps this many of the latest requests.
const MAX_LOGGED_REQUESTS: usize = 10_000;

/// An entry of the log of requests.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// The name of the route; `None` if no route serves the path.
    pub route: Option<&'static str>,
    /// The request as it was received.
    pub request: ServerRequest,
}

/// The latest requests, and how many each route has received.
#[derive(Default)]
pub(crate) struct RequestLog(Mutex<LogEntries>);

#[derive(Default)]
struct LogEntries {
    latest: VecDeque<LoggedRequest>,
    /// By the route's name, which is empty for requests that no route serves.
    counts_by_route: BTreeMap<&'static str, usize>,
}

impl RequestLog {
    pub(crate) fn record(&self, route: Option<&'static str>, request: &ServerRequest) {
        let mut log = lock_ignoring_poison(&self.0);
        *log.counts_by_route.entry(route.unwrap_or_default()).or_default() += 1;
        if log.latest.len() == MAX_LOGGED_REQUESTS {
            log.latest.pop_front();
        }
        log.latest.push_back(LoggedRequest { route, request: request.clone() });
    }

    /// The logged requests, oldest first.
    pub(crate) fn requests(&self) -> Vec<LoggedRequest> {
        lock_ignoring_poison(&self.0).latest.iter().cloned().collect()
    }

    /// How many requests a route has received.
    pub(crate) fn count(&self, route: &str) -> usize {
        lock_ignoring_poison(&self.0).counts_by_route.get(route).copied().unwrap_or_default()
    }
}
