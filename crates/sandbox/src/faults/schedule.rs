//! The faults of a run: which of them are still due, and their effect on a response.

use std::sync::Mutex;

use crate::faults::fault::{Fault, FaultKind};
use crate::faults::responses::{in_route_format, override_lifetime, status_error};
use crate::faults::table::{FAULTS, FaultEffect, RAPT_REQUIRED, TARGET_DENIED};
use crate::google_api;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// The faults that are still due.
pub(crate) struct FaultSchedule(Mutex<Vec<Fault>>);

impl FaultSchedule {
    pub(crate) fn new(faults: Vec<Fault>) -> FaultSchedule {
        FaultSchedule(Mutex::new(faults.into_iter().filter(|fault| fault.route_behaviour().is_none()).collect()))
    }

    /// Responds to a request for this route: normally, unless a fault is due. A request that is exempt from
    /// reauthentication is not affected by the fault `rapt`.
    pub(crate) fn apply(
        &self,
        route: &str,
        request: &ServerRequest,
        now: i64,
        is_rapt_exempt: impl Fn() -> bool,
        normal_response: impl FnOnce() -> ServerResponse,
    ) -> ServerResponse {
        match self.take_due(route, is_rapt_exempt) {
            None => normal_response(),
            Some(FaultKind::Status(status, wait)) => in_route_format(route, status_error(status, wait)),
            Some(FaultKind::Named(TARGET_DENIED)) if route == "iam" => {
                google_api::permission_denied("iam.serviceAccounts.getAccessToken")
            }
            Some(FaultKind::Named(name)) => {
                match FAULTS.iter().find(|known| known.name == name).map(|known| known.effect) {
                    Some(FaultEffect::ReplaceResponse(answer)) => in_route_format(route, answer(request)),
                    Some(FaultEffect::EditResponse(change)) => change(normal_response()),
                    Some(FaultEffect::OverrideLifetime(life)) => override_lifetime(normal_response(), life, now),
                    Some(FaultEffect::RouteBehaviour) | None => normal_response(),
                }
            }
        }
    }

    /// The first fault for this route that is not used up, which is then counted as used once more.
    fn take_due(&self, route: &str, is_rapt_exempt: impl Fn() -> bool) -> Option<FaultKind> {
        let mut faults = lock_ignoring_poison(&self.0);
        let fault = faults.iter_mut().find(|fault| {
            let is_candidate = fault.route == route && fault.remaining != Some(0);
            is_candidate && !(fault.kind == FaultKind::Named(RAPT_REQUIRED) && is_rapt_exempt())
        })?;
        fault.remaining = fault.remaining.map(|times| times - 1);
        Some(fault.kind.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up_in_order() {
        let faults = ["token=503x2", "token=closex1", "certs=500"];
        let plan = FaultSchedule::new(faults.map(|text| Fault::parse(text).expect(text)).to_vec());
        let seen: Vec<Option<FaultKind>> = (0..4).map(|_| plan.take_due("token", || false)).collect();
        let unavailable = Some(FaultKind::Status(503, None));
        let close = Some(FaultKind::Named("close"));
        assert_eq!(seen, [unavailable.clone(), unavailable, close, None]);
        assert!((0..2).all(|_| plan.take_due("certs", || false).is_some()));
    }
}
