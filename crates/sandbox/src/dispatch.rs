//! Dispatches each request to its route, applies the faults and writes the log.

use crate::faults::FaultSchedule;
use crate::request_log::RequestLog;
use crate::routes::ROUTES;
use crate::state::SandboxState;
use crate::timestamp::http_date;
use crate::token;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};

/// What serves requests: the state of the routes, the faults that are due, and the log.
pub(crate) struct Dispatcher {
    pub(crate) state: SandboxState,
    pub(crate) fault_schedule: FaultSchedule,
    pub(crate) request_log: RequestLog,
}

impl Dispatcher {
    pub(crate) fn handle(&self, request: &ServerRequest) -> ServerResponse {
        let state = &self.state;
        let route = ROUTES.iter().find(|route| (route.matches)(&request.path));
        self.request_log.record(route.map(|route| route.name), request);
        let answer = match route {
            Some(route) => {
                let normal_response = || (route.handler)(state, request);
                let is_rapt_exempt = || token::is_rapt_exempt(state, route.name, request);
                self.fault_schedule.apply(route.name, request, state.now(), is_rapt_exempt, normal_response)
            }
            None => ServerResponse::text(404, "the sandbox does not serve this path\n"),
        };
        // Clients compare the date with their own clock, so it has to be the sandbox's.
        match http_date(state.now()) {
            Some(date) => answer.header("Date", date),
            None => answer,
        }
    }
}
