//! A single fault as `--fault` describes it.

use crate::faults::table::{FAULTS, FaultEffect, FaultSpec};
use crate::routes::ROUTES;
use gauth_core::error::{Error, Result};
use gauth_core::text::printable;

const FAULT_HINT: &str = "a status such as 503, or a name that gauth help faults lists";

/// A fault, with the route that it affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of the affected route, one of [`ROUTES`].
    pub route: &'static str,
    pub(crate) kind: FaultKind,
    /// How many requests it still affects; `None` means all of them.
    pub(crate) remaining: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// This HTTP status, with this `Retry-After` header if there is one.
    Status(u16, Option<String>),
    /// The name of an entry of [`FAULTS`].
    Named(&'static str),
}

impl Fault {
    /// Parses a fault such as `token=503x2`, `metadata=hang` or `certs=503+retry-after:2`.
    ///
    /// # Errors
    /// A usage error that lists the routes, or refers to the list of faults.
    pub fn parse(text: &str) -> Result<Fault> {
        let shown = printable::text(text);
        let usage_error = |what: &str, hint: String| Error::usage(format!("--fault {shown}: {what}")).hint(hint);
        let Some((route, rest)) = text.split_once('=') else {
            return Err(usage_error("must have the form ROUTE=FAULT", "--fault token=503x2".to_owned()));
        };
        let route = ROUTES.iter().map(|known| known.name).find(|name| *name == route);
        let Some(route) = route else {
            let names: Vec<&str> = ROUTES.iter().map(|known| known.name).collect();
            return Err(usage_error("there is no such route", format!("one of {}", names.join(", "))));
        };
        let (kind, remaining) = match rest.rsplit_once('x') {
            Some((what, count)) if count.bytes().all(|b| b.is_ascii_digit()) && !count.is_empty() => {
                (what, Some(count.parse().unwrap_or(u32::MAX)))
            }
            _ => (rest, None),
        };
        let kind =
            FaultKind::parse(kind).ok_or_else(|| usage_error("there is no such fault", FAULT_HINT.to_owned()))?;
        let fault = Fault { route, kind, remaining };
        if let Some(spec) = fault.spec() {
            let routes = spec.routes.iter().map(|route| format!("{route}={}", spec.name));
            let hint = format!("--fault {}", routes.collect::<Vec<_>>().join(", or "));
            if !spec.applies_to(route) {
                return Err(usage_error("the fault does not apply to this route", hint));
            }
            if matches!(spec.effect, FaultEffect::RouteBehaviour) && remaining.is_some() {
                return Err(usage_error("the fault applies to all requests, so xN is not allowed", hint));
            }
        }
        Ok(fault)
    }

    /// The fault's entry in the table.
    fn spec(&self) -> Option<&'static FaultSpec> {
        match self.kind {
            FaultKind::Named(name) => FAULTS.iter().find(|known| known.name == name),
            FaultKind::Status(..) => None,
        }
    }

    /// The route and the name of the behaviour, for faults that change how a route works.
    pub fn route_behaviour(&self) -> Option<(&'static str, &'static str)> {
        let spec = self.spec().filter(|known| matches!(known.effect, FaultEffect::RouteBehaviour))?;
        Some((self.route, spec.name))
    }
}

impl FaultKind {
    fn parse(text: &str) -> Option<FaultKind> {
        if let Some(spec) = FAULTS.iter().find(|known| known.name == text) {
            return Some(FaultKind::Named(spec.name));
        }
        let (status, wait) = match text.split_once("+retry-after:") {
            Some((status, wait)) => (status, Some(wait.to_owned())),
            None => (text, None),
        };
        let status = status.parse().ok().filter(|status| (200..600).contains(status))?;
        Some(FaultKind::Status(status, wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        let fault = |route, what, times| Fault { route, kind: what, remaining: times };
        for (text, expected) in [
            ("token=503", fault("token", FaultKind::Status(503, None), None)),
            ("token=503x2", fault("token", FaultKind::Status(503, None), Some(2))),
            ("certs=429+retry-after:7x1", fault("certs", FaultKind::Status(429, Some("7".to_owned())), Some(1))),
            ("metadata=hang", fault("metadata", FaultKind::Named("hang"), None)),
            ("token=text-expiryx3", fault("token", FaultKind::Named("text-expiry"), Some(3))),
        ] {
            assert_eq!(Fault::parse(text).expect(text), expected);
        }
        for (text, names) in [
            ("token", "--fault"),
            ("tokens=503", "metadata"),
            ("token=99", "gauth help faults"),
            ("token=600", "gauth help faults"),
            ("token=sleep", "gauth help faults"),
            ("token=x2", "gauth help faults"),
            ("token=", "gauth help faults"),
            ("metadata=rotate", "token=rotate"),
            ("token=rotatex2", "token=rotate"),
        ] {
            let error = Fault::parse(text).expect_err(text);
            assert_eq!(error.kind().exit_code(), 2);
            assert!(error.hint_text().is_some_and(|hint| hint.contains(names)), "{text}: {error:?}");
        }
    }
}
