//! The table of faults.

use serde_json::Value;

use crate::behaviours;
use crate::faults::responses::{
    LifetimeOverride, captive_portal_page, deeply_nested_json, duplicate_keys, expired_subject_token, garbage_bytes,
    interim_responses, oversized_body, rapt_required, raw_json, raw_response, redirect_elsewhere, reflect_secrets,
    replace_token, target_denied, two_content_lengths, with_redirect_parameter,
};
use crate::oauth::oauth_error;
use gauth_core::http::server::http::{ResponseDelivery, ServerRequest, ServerResponse};

/// An entry of the table of faults.
pub struct FaultSpec {
    /// The name of the fault on the command line.
    pub name: &'static str,
    /// What the fault does, as the help describes it.
    pub description: &'static str,
    /// The only routes that it applies to; if empty, it applies to all.
    pub(crate) routes: &'static [&'static str],
    pub(crate) effect: FaultEffect,
}

impl FaultSpec {
    /// Whether the fault applies to this route.
    pub fn applies_to(&self, route: &str) -> bool {
        self.routes.is_empty() || self.routes.contains(&route)
    }
}

/// How a fault takes effect.
#[derive(Clone, Copy)]
pub(crate) enum FaultEffect {
    /// It replaces the route's response, so that nothing is issued.
    ReplaceResponse(fn(&ServerRequest) -> ServerResponse),
    /// It modifies the route's successful response.
    EditResponse(fn(ServerResponse) -> ServerResponse),
    /// It changes the token lifetime in the route's successful response.
    OverrideLifetime(LifetimeOverride),
    /// The route itself behaves in another way during the whole run.
    RouteBehaviour,
}

use FaultEffect::{EditResponse, OverrideLifetime, ReplaceResponse, RouteBehaviour};

/// An entry for all routes.
const fn fault(name: &'static str, description: &'static str, effect: FaultEffect) -> FaultSpec {
    FaultSpec { name, description, routes: &[], effect }
}

/// An entry for some routes.
const fn route_fault(
    routes: &'static [&'static str],
    name: &'static str,
    description: &'static str,
    effect: FaultEffect,
) -> FaultSpec {
    FaultSpec { name, description, routes, effect }
}

/// The routes whose own behaviour faults can change.
const REFRESH_ROUTES: &[&str] = &["token", "oauthtoken"];
const REAUTH_ROUTES: &[&str] = &["reauth"];
const DEVICE_CODE_ROUTES: &[&str] = &["device-code", "oidc-device-code"];
const AUTHORIZE_ROUTES: &[&str] = &["authorize", "oidc-authorize"];

/// All faults except HTTP statuses.
pub const FAULTS: &[FaultSpec] = &[
    fault(
        "hang",
        "sends no response and keeps the connection open",
        ReplaceResponse(|_| ServerResponse::empty(200).delivery(ResponseDelivery::Hang)),
    ),
    fault(
        "close",
        "closes the connection without a response",
        ReplaceResponse(|_| ServerResponse::empty(200).delivery(ResponseDelivery::CloseWithoutResponse)),
    ),
    fault(
        "truncate",
        "closes the connection in the middle of the body",
        EditResponse(|answer| answer.delivery(ResponseDelivery::TruncatedBody)),
    ),
    fault("slow", "sends ten bytes per second", EditResponse(|answer| answer.delivery(ResponseDelivery::SlowBody))),
    fault("html", "sends an HTML page with status 200", ReplaceResponse(captive_portal_page)),
    fault("redirect", "redirects to /elsewhere on the same server (status 302)", ReplaceResponse(redirect_elsewhere)),
    fault("oversize", "sends two MiB of valid JSON", EditResponse(oversized_body)),
    fault("empty", "sends status 200 and no body", ReplaceResponse(|_| raw_json(Vec::new()))),
    fault("garbage", "sends bytes that are neither text nor JSON", ReplaceResponse(|_| raw_json(garbage_bytes()))),
    fault("array", "sends a JSON array", ReplaceResponse(|_| raw_json(b"[]".to_vec()))),
    fault("deep", "sends JSON that is nested 10,000 levels deep", ReplaceResponse(|_| raw_json(deeply_nested_json()))),
    fault("encoded", "sends Content-Encoding: gzip", EditResponse(|answer| answer.header("Content-Encoding", "gzip"))),
    fault("missing", "omits the token from the response", EditResponse(|answer| replace_token(answer, None))),
    fault("null-token", "sends null for the token", EditResponse(|answer| replace_token(answer, Some(Value::Null)))),
    fault(
        "bad-token",
        "sends a token that contains a space and a line end",
        EditResponse(|answer| replace_token(answer, Some("ya29.two words\r\nX-Injected: yes".into()))),
    ),
    fault(
        "long-token",
        "sends a token of 20,000 characters",
        EditResponse(|answer| replace_token(answer, Some("x".repeat(20_000).into()))),
    ),
    fault(
        "string-expiry",
        "sends expires_in as a string of digits, which is allowed",
        OverrideLifetime(LifetimeOverride::SecondsAsString),
    ),
    fault("text-expiry", "sends letters in expires_in or expireTime", OverrideLifetime(LifetimeOverride::NonNumeric)),
    fault("no-expiry", "omits expires_in and expireTime", OverrideLifetime(LifetimeOverride::Omitted)),
    fault(
        "zero-expiry",
        "sends an expires_in of 0, or the current time in expireTime",
        OverrideLifetime(LifetimeOverride::Seconds(0)),
    ),
    fault(
        "negative-expiry",
        "sends an expires_in of -1, or a past time in expireTime",
        OverrideLifetime(LifetimeOverride::Seconds(-1)),
    ),
    fault(
        "short-expiry",
        "issues a token with a lifetime of two seconds",
        OverrideLifetime(LifetimeOverride::Seconds(2)),
    ),
    fault(
        "long-expiry",
        "issues a token with a lifetime of a hundred years",
        OverrideLifetime(LifetimeOverride::Seconds(3_155_760_000)),
    ),
    fault("duplicate-keys", "sends each JSON member twice", EditResponse(duplicate_keys)),
    fault("two-lengths", "sends two Content-Length headers that differ", EditResponse(two_content_lengths)),
    fault(
        "bad-chunk",
        "sends a chunked body with an invalid length",
        EditResponse(|answer| raw_response(&answer, "Transfer-Encoding: chunked", b"xyz\r\n{}\r\n0\r\n\r\n")),
    ),
    fault("interim", "sends nine interim responses (1xx) before the final one", EditResponse(interim_responses)),
    fault(
        "revoked",
        "sends invalid_grant: the token is expired or revoked",
        ReplaceResponse(|_| oauth_error(400, "invalid_grant", "Token has been expired or revoked.")),
    ),
    fault(TARGET_DENIED, "sends invalid_target, or PERMISSION_DENIED on the route iam", ReplaceResponse(target_denied)),
    fault(
        "expired-subject",
        "sends invalid_grant: the subject token is expired",
        ReplaceResponse(expired_subject_token),
    ),
    fault(RAPT_REQUIRED, "sends invalid_grant: the user must reauthenticate", ReplaceResponse(rapt_required)),
    fault(
        "control",
        "sends an error text with control, colour and direction characters",
        ReplaceResponse(|_| {
            oauth_error(400, "invalid_grant", "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}b\r\nc\u{0}\u{9b}2J")
        }),
    ),
    fault("reflect", "sends an error text that repeats each secret of the request", ReplaceResponse(reflect_secrets)),
    route_fault(
        REFRESH_ROUTES,
        behaviours::ROTATE_REFRESH_TOKENS,
        "issues a new refresh token at each refresh; a refresh token that is used twice ends the login",
        RouteBehaviour,
    ),
    route_fault(REAUTH_ROUTES, behaviours::REAUTH_AUTHENTICATED, "requires no challenge (reauth)", RouteBehaviour),
    route_fault(REAUTH_ROUTES, behaviours::REAUTH_TWO_ROUNDS, "requires the password twice (reauth)", RouteBehaviour),
    route_fault(REAUTH_ROUTES, behaviours::REAUTH_SAML, "requires a SAML challenge (reauth)", RouteBehaviour),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_SECURITY_KEY,
        "requires a security key challenge (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_UNKNOWN_CHALLENGE,
        "requires a challenge of an unknown type (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_NONE_READY,
        "offers no challenge that is ready (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        DEVICE_CODE_ROUTES,
        behaviours::DEVICE_SLOW_DOWN,
        "sends slow_down to the first poll (device-code)",
        RouteBehaviour,
    ),
    route_fault(
        DEVICE_CODE_ROUTES,
        behaviours::DEVICE_BRIEF,
        "issues codes that expire after two seconds (device-code)",
        RouteBehaviour,
    ),
    route_fault(
        AUTHORIZE_ROUTES,
        "wrong-state",
        "redirects with a wrong state parameter (authorize)",
        EditResponse(|answer| with_redirect_parameter(answer, "state", "forged")),
    ),
    route_fault(
        AUTHORIZE_ROUTES,
        "wrong-issuer",
        "redirects with a wrong iss parameter (authorize)",
        EditResponse(|answer| with_redirect_parameter(answer, "iss", "https://other.example")),
    ),
];

/// The name of the fault that does not affect requests exempt from reauthentication.
pub(crate) const RAPT_REQUIRED: &str = "rapt";

/// The name of the fault that has an error of its own at the route `iam`.
pub(crate) const TARGET_DENIED: &str = "denied";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_name() {
        let mut names: Vec<_> = FAULTS.iter().map(|known| known.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
    }
}
