//! The table of faults.

use serde_json::Value;

use crate::behaviours;
use crate::faults::responses::{
    LifetimeOverride, captive_portal_page, deeply_nested_json, duplicate_keys,
    expired_subject_token, garbage_bytes, interim_responses, oversized_body, rapt_required,
    raw_json, raw_response, redirect_elsewhere, reflect_secrets, replace_token, target_denied,
    two_content_lengths, with_redirect_parameter,
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
        "never answers",
        ReplaceResponse(|_| ServerResponse::empty(200).delivery(ResponseDelivery::Hang)),
    ),
    fault(
        "close",
        "closes without an answer",
        ReplaceResponse(|_| {
            ServerResponse::empty(200).delivery(ResponseDelivery::CloseWithoutResponse)
        }),
    ),
    fault(
        "truncate",
        "stops in the middle of the body",
        EditResponse(|answer| answer.delivery(ResponseDelivery::TruncatedBody)),
    ),
    fault(
        "slow",
        "sends ten bytes a second",
        EditResponse(|answer| answer.delivery(ResponseDelivery::SlowBody)),
    ),
    fault("html", "a page of HTML with status 200", ReplaceResponse(captive_portal_page)),
    fault("redirect", "302 to /elsewhere of the same server", ReplaceResponse(redirect_elsewhere)),
    fault("oversize", "two MiB of good JSON", EditResponse(oversized_body)),
    fault("empty", "status 200 and no body", ReplaceResponse(|_| raw_json(Vec::new()))),
    fault(
        "garbage",
        "bytes that are neither text nor JSON",
        ReplaceResponse(|_| raw_json(garbage_bytes())),
    ),
    fault("array", "a JSON array", ReplaceResponse(|_| raw_json(b"[]".to_vec()))),
    fault("deep", "JSON nested 10,000 levels", ReplaceResponse(|_| raw_json(deeply_nested_json()))),
    fault(
        "encoded",
        "says Content-Encoding: gzip",
        EditResponse(|answer| answer.header("Content-Encoding", "gzip")),
    ),
    fault("missing", "no token in the answer", EditResponse(|answer| replace_token(answer, None))),
    fault(
        "null-token",
        "null for a token",
        EditResponse(|answer| replace_token(answer, Some(Value::Null))),
    ),
    fault(
        "bad-token",
        "a token with a space and a line end",
        EditResponse(|answer| {
            replace_token(answer, Some("ya29.two words\r\nX-Injected: yes".into()))
        }),
    ),
    fault(
        "long-token",
        "a token of 20,000 characters",
        EditResponse(|answer| replace_token(answer, Some("x".repeat(20_000).into()))),
    ),
    fault(
        "string-expiry",
        "expires_in as decimal text, which is allowed",
        OverrideLifetime(LifetimeOverride::SecondsAsString),
    ),
    fault(
        "text-expiry",
        "expires_in, or expireTime, is a word",
        OverrideLifetime(LifetimeOverride::NonNumeric),
    ),
    fault("no-expiry", "no expires_in, or expireTime", OverrideLifetime(LifetimeOverride::Omitted)),
    fault(
        "zero-expiry",
        "expires_in is 0, or expireTime is now",
        OverrideLifetime(LifetimeOverride::Seconds(0)),
    ),
    fault(
        "negative-expiry",
        "expires_in is -1, or expireTime is past",
        OverrideLifetime(LifetimeOverride::Seconds(-1)),
    ),
    fault(
        "short-expiry",
        "expires_in is 2, or as expireTime says",
        OverrideLifetime(LifetimeOverride::Seconds(2)),
    ),
    fault(
        "long-expiry",
        "a hundred years",
        OverrideLifetime(LifetimeOverride::Seconds(3_155_760_000)),
    ),
    fault("duplicate-keys", "every name twice in the JSON", EditResponse(duplicate_keys)),
    fault("two-lengths", "two Content-Length that differ", EditResponse(two_content_lengths)),
    fault(
        "bad-chunk",
        "a chunked body with a broken length",
        EditResponse(|answer| {
            raw_response(&answer, "Transfer-Encoding: chunked", b"xyz\r\n{}\r\n0\r\n\r\n")
        }),
    ),
    fault("interim", "nine interim answers before the real one", EditResponse(interim_responses)),
    fault(
        "revoked",
        "invalid_grant: expired or revoked",
        ReplaceResponse(|_| {
            oauth_error(400, "invalid_grant", "Token has been expired or revoked.")
        }),
    ),
    fault(
        TARGET_DENIED,
        "invalid_target; of iam, PERMISSION_DENIED",
        ReplaceResponse(target_denied),
    ),
    fault(
        "expired-subject",
        "invalid_grant: the subject token has expired",
        ReplaceResponse(expired_subject_token),
    ),
    fault(
        RAPT_REQUIRED,
        "invalid_grant: the person must authenticate again",
        ReplaceResponse(rapt_required),
    ),
    fault(
        "control",
        "an error text with control, colour and direction characters",
        ReplaceResponse(|_| {
            oauth_error(
                400,
                "invalid_grant",
                "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}b\r\nc\u{0}\u{9b}2J",
            )
        }),
    ),
    fault(
        "reflect",
        "an error text that repeats every secret that was sent",
        ReplaceResponse(reflect_secrets),
    ),
    route_fault(
        REFRESH_ROUTES,
        behaviours::ROTATE_REFRESH_TOKENS,
        "each refresh gives a new refresh token; one used twice ends the login",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_AUTHENTICATED,
        "no challenge, the proof at once (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_TWO_ROUNDS,
        "the password is wanted twice (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_SAML,
        "the challenge is SAML (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_SECURITY_KEY,
        "the challenge is a security key (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_UNKNOWN_CHALLENGE,
        "the challenge is of a kind nobody knows (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        behaviours::REAUTH_NONE_READY,
        "no challenge can be answered now (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        DEVICE_CODE_ROUTES,
        behaviours::DEVICE_SLOW_DOWN,
        "the first poll is one too early (device-code)",
        RouteBehaviour,
    ),
    route_fault(
        DEVICE_CODE_ROUTES,
        behaviours::DEVICE_BRIEF,
        "codes are good for two seconds (device-code)",
        RouteBehaviour,
    ),
    route_fault(
        AUTHORIZE_ROUTES,
        "wrong-state",
        "the browser comes back with another state (authorize)",
        EditResponse(|answer| with_redirect_parameter(answer, "state", "forged")),
    ),
    route_fault(
        AUTHORIZE_ROUTES,
        "wrong-issuer",
        "the browser comes back from another issuer (authorize)",
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
