//! Misbehaviour on request: `ROUTE=WHAT`, for the first N requests with `xN` behind it.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::oauth::oauth_error;
use crate::{ROUTES, iam, rfc3339};
use gauth_core::error::{Error, Result};
use gauth_core::http::server::http::{ResponseDelivery, ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// A way to misbehave.
pub struct FaultSpec {
    /// As it is asked for.
    pub name: &'static str,
    /// What happens, for people.
    pub description: &'static str,
    /// The only routes that can misbehave in this way; none: all.
    routes: &'static [&'static str],
    effect: FaultEffect,
}

impl FaultSpec {
    /// Whether this route can misbehave in this way.
    pub fn applies_to(&self, route: &str) -> bool {
        self.routes.is_empty() || self.routes.contains(&route)
    }
}

/// When a fault acts.
#[derive(Clone, Copy)]
enum FaultEffect {
    /// In place of the route: nothing is issued.
    ReplaceResponse(fn(&ServerRequest) -> ServerResponse),
    /// On the route's good answer.
    EditResponse(fn(ServerResponse) -> ServerResponse),
    /// On the life of what the route's good answer brings.
    OverrideLifetime(LifetimeOverride),
    /// Inside the route, for the whole run.
    RouteBehaviour,
}

/// What is said of a life.
#[derive(Clone, Copy)]
enum LifetimeOverride {
    /// So many seconds.
    Seconds(i64),
    /// The right number, but as text.
    SecondsAsString,
    /// A word.
    NonNumeric,
    /// Nothing.
    Omitted,
}

use FaultEffect::{EditResponse, OverrideLifetime as Lives, ReplaceResponse, RouteBehaviour};

/// A row of the table.
const fn fault(name: &'static str, description: &'static str, effect: FaultEffect) -> FaultSpec {
    FaultSpec { name, description, routes: &[], effect }
}

/// A row for some routes.
const fn route_fault(
    routes: &'static [&'static str],
    name: &'static str,
    description: &'static str,
    effect: FaultEffect,
) -> FaultSpec {
    FaultSpec { name, description, routes, effect }
}

/// Routes with a way of their own.
const REFRESH_ROUTES: &[&str] = &["token", "oauthtoken"];
const REAUTH_ROUTES: &[&str] = &["reauth"];
const DEVICE_CODE_ROUTES: &[&str] = &["device-code", "oidc-device-code"];
const AUTHORIZE_ROUTES: &[&str] = &["authorize", "oidc-authorize"];

/// Every fault but the plain statuses.
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
        Lives(LifetimeOverride::SecondsAsString),
    ),
    fault(
        "text-expiry",
        "expires_in, or expireTime, is a word",
        Lives(LifetimeOverride::NonNumeric),
    ),
    fault("no-expiry", "no expires_in, or expireTime", Lives(LifetimeOverride::Omitted)),
    fault(
        "zero-expiry",
        "expires_in is 0, or expireTime is now",
        Lives(LifetimeOverride::Seconds(0)),
    ),
    fault(
        "negative-expiry",
        "expires_in is -1, or expireTime is past",
        Lives(LifetimeOverride::Seconds(-1)),
    ),
    fault(
        "short-expiry",
        "expires_in is 2, or as expireTime says",
        Lives(LifetimeOverride::Seconds(2)),
    ),
    fault("long-expiry", "a hundred years", Lives(LifetimeOverride::Seconds(3_155_760_000))),
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
        ROTATE_REFRESH_TOKENS,
        "each refresh gives a new refresh token; one used twice ends the login",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        "authenticated",
        "no challenge, the proof at once (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        "two-rounds",
        "the password is wanted twice (reauth)",
        RouteBehaviour,
    ),
    route_fault(REAUTH_ROUTES, "saml", "the challenge is SAML (reauth)", RouteBehaviour),
    route_fault(
        REAUTH_ROUTES,
        "security-key",
        "the challenge is a security key (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        "unknown-challenge",
        "the challenge is of a kind nobody knows (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        REAUTH_ROUTES,
        "none-ready",
        "no challenge can be answered now (reauth)",
        RouteBehaviour,
    ),
    route_fault(
        DEVICE_CODE_ROUTES,
        "slow-down",
        "the first poll is one too early (device-code)",
        RouteBehaviour,
    ),
    route_fault(
        DEVICE_CODE_ROUTES,
        "brief",
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

/// What a refresh with a proof is spared.
const RAPT_REQUIRED: &str = "rapt";

/// What route `iam` says in another way.
const TARGET_DENIED: &str = "denied";

/// Every refresh token is good once.
pub(super) const ROTATE_REFRESH_TOKENS: &str = "rotate";

const FAULT_HINT: &str = "a status such as 503, or a name that gauth help faults lists";

/// A fault as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which route misbehaves, one of [`ROUTES`].
    pub route: &'static str,
    kind: FaultKind,
    /// How often; `None`: always.
    remaining: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FaultKind {
    /// This status, with `Retry-After` if asked for.
    Status(u16, Option<String>),
    /// The row of [`FAULTS`].
    Named(&'static str),
}

impl Fault {
    /// Reads `token=503x2`, `metadata=hang`, `certs=503+retry-after:2`.
    ///
    /// # Errors
    /// Exit 2, listing the routes or naming the list of faults.
    pub fn parse(text: &str) -> Result<Fault> {
        let shown = gauth_core::text::printable::text(text);
        let usage_error =
            |what: &str, hint: String| Error::usage(format!("--fault {shown}: {what}")).hint(hint);
        let Some((route, rest)) = text.split_once('=') else {
            return Err(usage_error("is not ROUTE=WHAT", "--fault token=503x2".to_owned()));
        };
        let route = ROUTES.iter().map(|known| known.name).find(|name| *name == route);
        let Some(route) = route else {
            let names: Vec<&str> = ROUTES.iter().map(|known| known.name).collect();
            return Err(usage_error("no such route", format!("one of {}", names.join(", "))));
        };
        let (kind, remaining) = match rest.rsplit_once('x') {
            Some((what, count))
                if count.bytes().all(|b| b.is_ascii_digit()) && !count.is_empty() =>
            {
                (what, Some(count.parse().unwrap_or(u32::MAX)))
            }
            _ => (rest, None),
        };
        let kind = FaultKind::parse(kind)
            .ok_or_else(|| usage_error("no such fault", FAULT_HINT.to_owned()))?;
        let fault = Fault { route, kind, remaining };
        if let Some(spec) = fault.spec() {
            let routes = spec.routes.iter().map(|route| format!("{route}={}", spec.name));
            let hint = format!("--fault {}", routes.collect::<Vec<_>>().join(", or "));
            if !spec.applies_to(route) {
                return Err(usage_error("is not for this route", hint));
            }
            if matches!(spec.effect, RouteBehaviour) && remaining.is_some() {
                return Err(usage_error("holds for all requests", hint));
            }
        }
        Ok(fault)
    }

    /// The row of the table.
    fn spec(&self) -> Option<&'static FaultSpec> {
        match self.kind {
            FaultKind::Named(name) => FAULTS.iter().find(|known| known.name == name),
            FaultKind::Status(..) => None,
        }
    }

    /// The route, and in which way it is to do its work, if that is what is asked for.
    pub fn route_behaviour(&self) -> Option<(&'static str, &'static str)> {
        let spec = self.spec().filter(|known| matches!(known.effect, RouteBehaviour))?;
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

/// The faults that are still to happen.
pub(super) struct FaultSchedule(Mutex<Vec<Fault>>);

impl FaultSchedule {
    pub(super) fn new(faults: Vec<Fault>) -> FaultSchedule {
        FaultSchedule(Mutex::new(
            faults.into_iter().filter(|fault| fault.route_behaviour().is_none()).collect(),
        ))
    }

    /// Answers in the way planned for this route: with `usual`, unless a fault is due. A request that
    /// `spares_rapt` is not asked for proof.
    pub(super) fn apply(
        &self,
        route: &str,
        request: &ServerRequest,
        now: i64,
        is_rapt_exempt: impl Fn() -> bool,
        normal_response: impl FnOnce() -> ServerResponse,
    ) -> ServerResponse {
        match self.take_due(route, is_rapt_exempt) {
            None => normal_response(),
            Some(FaultKind::Status(status, wait)) => {
                in_route_format(route, status_error(status, wait))
            }
            Some(FaultKind::Named(TARGET_DENIED)) if route == "iam" => {
                iam::permission_denied("iam.serviceAccounts.getAccessToken")
            }
            Some(FaultKind::Named(name)) => {
                match FAULTS.iter().find(|known| known.name == name).map(|known| known.effect) {
                    Some(ReplaceResponse(answer)) => in_route_format(route, answer(request)),
                    Some(EditResponse(change)) => change(normal_response()),
                    Some(Lives(life)) => override_lifetime(normal_response(), life, now),
                    Some(RouteBehaviour) | None => normal_response(),
                }
            }
        }
    }

    /// The first fault for this route that is not used up; it is used once more.
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

fn status_error(status: u16, retry_after: Option<String>) -> ServerResponse {
    let code = match status {
        400 => "invalid_request",
        401 => "invalid_client",
        403 => "access_denied",
        429 => "rate_limit_exceeded",
        500.. => "backend_error",
        _ => "sandbox",
    };
    let answer = oauth_error(status, code, &format!("the sandbox was asked for {status}"));
    match retry_after {
        Some(wait) => answer.header("Retry-After", wait),
        None => answer,
    }
}

/// An OAuth error in the shape that this route's errors have.
fn in_route_format(route: &str, answer: ServerResponse) -> ServerResponse {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let body = body.filter(|said| said["error"].is_string());
    let Some(text) = body.as_ref().and_then(|said| said["error_description"].as_str()) else {
        return answer;
    };
    let formatted = match route {
        // What a grant is to OAuth, the bearer token is to an API.
        "iam" if answer.status == 400 => iam::api_error(401, text),
        "iam" => iam::api_error(answer.status, text),
        "aws" | "subject" => ServerResponse::text(answer.status, text),
        _ => return answer,
    };
    // Such as Retry-After.
    let rest = answer.headers.into_iter().filter(|(name, _)| *name != "Content-Type");
    rest.fold(formatted, |shaped, (name, value)| shaped.header(name, value))
}

fn raw_json(body: Vec<u8>) -> ServerResponse {
    ServerResponse { body, ..ServerResponse::json(200, &Value::Null) }
}

fn captive_portal_page(_: &ServerRequest) -> ServerResponse {
    ServerResponse::text(
        200,
        "<!doctype html><title>Welcome</title><p>Sign in to the hotel's network.\n",
    )
    .header("Content-Type", "text/html; charset=utf-8")
}

fn redirect_elsewhere(request: &ServerRequest) -> ServerResponse {
    let host = request.header("host").unwrap_or("127.0.0.1");
    // With the scheme of the request, which may have come over TLS.
    ServerResponse::text(302, "elsewhere\n").header("Location", format!("//{host}/elsewhere"))
}

fn oversized_body(mut answer: ServerResponse) -> ServerResponse {
    answer.body.extend(std::iter::repeat_n(b' ', 2 * 1024 * 1024));
    answer
}

fn garbage_bytes() -> Vec<u8> {
    (0..=255u8).rev().cycle().take(1000).collect()
}

fn deeply_nested_json() -> Vec<u8> {
    let mut body = b"{\"access_token\":".to_vec();
    body.extend(std::iter::repeat_n(b'[', 10_000));
    body.extend(std::iter::repeat_n(b']', 10_000));
    body.push(b'}');
    body
}

fn rapt_required(_: &ServerRequest) -> ServerResponse {
    let value = json!({
        "error": "invalid_grant",
        "error_description": "reauth related error (invalid_rapt)",
        "error_subtype": "invalid_rapt",
        "error_uri": "https://support.google.com/a/answer/9368756",
    });
    ServerResponse::json(400, &value)
}

fn target_denied(_: &ServerRequest) -> ServerResponse {
    oauth_error(400, "invalid_target", "The caller may not use this target, or there is none.")
}

fn expired_subject_token(_: &ServerRequest) -> ServerResponse {
    oauth_error(400, "invalid_grant", "The subject token has expired.")
}

/// Where the browser is sent, with another value of this name.
fn with_redirect_parameter(mut answer: ServerResponse, name: &str, value: &str) -> ServerResponse {
    for (header, target) in &mut answer.headers {
        if let Some((address, query)) = target.split_once('?').filter(|_| *header == "Location") {
            let pairs = form_urlencoded::parse(query.as_bytes());
            let pairs = pairs.map(|(known, kept)| {
                let kept = if known == name { value.into() } else { kept };
                (known, kept)
            });
            let mut query = form_urlencoded::Serializer::new(String::new());
            *target = format!("{address}?{}", query.extend_pairs(pairs).finish()).into();
        }
    }
    answer
}

/// What a careless server or proxy would echo.
fn reflect_secrets(request: &ServerRequest) -> ServerResponse {
    let mut sent: Vec<String> =
        request.form().unwrap_or_default().into_iter().map(|(_, value)| value).collect();
    sent.extend(request.header("authorization").map(str::to_owned));
    sent.push(String::from_utf8_lossy(&request.body).into_owned());
    oauth_error(400, "invalid_grant", &format!("refused: {}", sent.join(" | ")))
}

/// Changes the answer where it is a JSON object.
fn edit_json(
    mut answer: ServerResponse,
    edit: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> ServerResponse {
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(&answer.body) {
        edit(&mut members);
        answer.body = Value::Object(members).to_string().into_bytes();
    }
    answer
}

/// The members that hold secrets, of all routes.
const TOKEN_FIELDS: &[&str] = &[
    "access_token",
    "id_token",
    "accessToken",
    "signedJwt",
    "token",
    "value",
    "SecretAccessKey",
    "Token",
];

fn replace_token(answer: ServerResponse, token: Option<Value>) -> ServerResponse {
    // Some answers are the token itself.
    if answer.status == 200 && !answer.body.starts_with(b"{") {
        let text = token.as_ref().and_then(Value::as_str).unwrap_or_default();
        return ServerResponse { body: text.as_bytes().to_vec(), ..answer };
    }
    edit_json(answer, |members| {
        for name in TOKEN_FIELDS {
            match (members.contains_key(*name), &token) {
                (true, Some(token)) => drop(members.insert((*name).to_owned(), token.clone())),
                _ => drop(members.remove(*name)),
            }
        }
    })
}

/// The members that say when something ends: in seconds from now, and as moments.
const TIMESTAMP_FIELDS: &[&str] = &["expireTime", "Expiration"];

fn override_lifetime(
    answer: ServerResponse,
    lifetime: LifetimeOverride,
    now: i64,
) -> ServerResponse {
    edit_json(answer, |members| {
        let timestamp_field = TIMESTAMP_FIELDS.iter().find(|name| members.contains_key(**name));
        let name = timestamp_field.copied().unwrap_or("expires_in");
        let value: Value = match (lifetime, timestamp_field) {
            (LifetimeOverride::Omitted, _) => return drop(members.remove(name)),
            (LifetimeOverride::NonNumeric, _) => "soon".into(),
            // Moments are text as it is.
            (LifetimeOverride::SecondsAsString, Some(_)) => return,
            (LifetimeOverride::SecondsAsString, None) => match members.get(name) {
                Some(seconds) => seconds.to_string().into(),
                None => return,
            },
            (LifetimeOverride::Seconds(seconds), Some(_)) => rfc3339(now + seconds).into(),
            (LifetimeOverride::Seconds(seconds), None) => seconds.into(),
        };
        members.insert(name.to_owned(), value);
    })
}

fn duplicate_keys(mut answer: ServerResponse) -> ServerResponse {
    if answer.body.starts_with(b"{") && answer.body.len() > 2 {
        let inside = &answer.body[1..answer.body.len() - 1];
        answer.body = [b"{", inside, b",", inside, b"}"].concat();
    }
    answer
}

/// The answer with this framing in place of its own.
fn raw_response(answer: &ServerResponse, framing: &str, body: &[u8]) -> ServerResponse {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
    answer.clone().delivery(ResponseDelivery::RawBytes([head.as_bytes(), body].concat()))
}

fn two_content_lengths(answer: ServerResponse) -> ServerResponse {
    let length = answer.body.len();
    let framing = format!("Content-Length: {length}\r\nContent-Length: {}", length / 2);
    raw_response(&answer, &framing, &answer.body)
}

fn interim_responses(answer: ServerResponse) -> ServerResponse {
    let mut bytes = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(9);
    bytes.extend(answer.encode_head(false));
    bytes.extend(&answer.body);
    answer.delivery(ResponseDelivery::RawBytes(bytes))
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
            (
                "certs=429+retry-after:7x1",
                fault("certs", FaultKind::Status(429, Some("7".to_owned())), Some(1)),
            ),
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
            assert!(
                error.hint_text().is_some_and(|hint| hint.contains(names)),
                "{text}: {error:?}"
            );
        }
    }

    #[test]
    fn faults_are_used_up_in_order() {
        let faults = ["token=503x2", "token=closex1", "certs=500"];
        let plan = FaultSchedule::new(faults.map(|text| Fault::parse(text).expect(text)).to_vec());
        let seen: Vec<Option<FaultKind>> =
            (0..4).map(|_| plan.take_due("token", || false)).collect();
        let unavailable = Some(FaultKind::Status(503, None));
        let close = Some(FaultKind::Named("close"));
        assert_eq!(seen, [unavailable.clone(), unavailable, close, None]);
        assert!((0..2).all(|_| plan.take_due("certs", || false).is_some()));
    }

    #[test]
    fn every_fault_has_its_own_name() {
        let mut names: Vec<_> = FAULTS.iter().map(|known| known.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
    }
}
