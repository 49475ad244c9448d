//! Misbehaviour on request: `ROUTE=WHAT`, for the first N requests with `xN` behind it.

use std::sync::Mutex;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::server::http::{Answer, Delivery, Request};
use crate::server::lock;
use crate::server::sandbox::oauth::error;
use crate::server::sandbox::{ROUTES, iam, rfc3339};

/// A way to misbehave.
pub struct Known {
    /// As it is asked for.
    pub name: &'static str,
    /// What happens, for people.
    pub about: &'static str,
    /// The only routes that can misbehave in this way; none: all.
    routes: &'static [&'static str],
    effect: Effect,
}

impl Known {
    /// Whether this route can misbehave in this way.
    pub fn is_for(&self, route: &str) -> bool {
        self.routes.is_empty() || self.routes.contains(&route)
    }
}

/// When a fault acts.
#[derive(Clone, Copy)]
enum Effect {
    /// In place of the route: nothing is issued.
    Instead(fn(&Request) -> Answer),
    /// On the route's good answer.
    After(fn(Answer) -> Answer),
    /// On the life of what the route's good answer brings.
    Life(Life),
    /// Inside the route, for the whole run.
    Within,
}

/// What is said of a life.
#[derive(Clone, Copy)]
enum Life {
    /// So many seconds.
    Seconds(i64),
    /// The right number, but as text.
    Decimal,
    /// A word.
    Soon,
    /// Nothing.
    Unsaid,
}

use Effect::{After, Instead, Life as Lives, Within};

/// A row of the table.
const fn fault(name: &'static str, about: &'static str, effect: Effect) -> Known {
    Known { name, about, routes: &[], effect }
}

/// A row for some routes.
const fn of(
    routes: &'static [&'static str],
    name: &'static str,
    about: &'static str,
    effect: Effect,
) -> Known {
    Known { name, about, routes, effect }
}

/// Routes with a way of their own.
const REFRESHES: &[&str] = &["token", "oauthtoken"];
const REAUTH: &[&str] = &["reauth"];
const DEVICES: &[&str] = &["device-code", "oidc-device-code"];
const PAGES: &[&str] = &["authorize", "oidc-authorize"];

/// Every fault but the plain statuses.
pub const FAULTS: &[Known] = &[
    fault("hang", "never answers", Instead(|_| Answer::empty(200).delivery(Delivery::Never))),
    fault(
        "close",
        "closes without an answer",
        Instead(|_| Answer::empty(200).delivery(Delivery::Nothing)),
    ),
    fault(
        "truncate",
        "stops in the middle of the body",
        After(|answer| answer.delivery(Delivery::Half)),
    ),
    fault("slow", "sends ten bytes a second", After(|answer| answer.delivery(Delivery::Drip))),
    fault("html", "a page of HTML with status 200", Instead(html)),
    fault("redirect", "302 to /elsewhere of the same server", Instead(redirect)),
    fault("oversize", "two MiB of good JSON", After(oversize)),
    fault("empty", "status 200 and no body", Instead(|_| json_bytes(Vec::new()))),
    fault("garbage", "bytes that are neither text nor JSON", Instead(|_| json_bytes(garbage()))),
    fault("array", "a JSON array", Instead(|_| json_bytes(b"[]".to_vec()))),
    fault("deep", "JSON nested 10,000 levels", Instead(|_| json_bytes(deep()))),
    fault(
        "encoded",
        "says Content-Encoding: gzip",
        After(|answer| answer.header("Content-Encoding", "gzip")),
    ),
    fault("missing", "no token in the answer", After(|answer| with_token(answer, None))),
    fault("null-token", "null for a token", After(|answer| with_token(answer, Some(Value::Null)))),
    fault(
        "bad-token",
        "a token with a space and a line end",
        After(|answer| with_token(answer, Some("ya29.two words\r\nX-Injected: yes".into()))),
    ),
    fault(
        "long-token",
        "a token of 20,000 characters",
        After(|answer| with_token(answer, Some("x".repeat(20_000).into()))),
    ),
    fault("string-expiry", "expires_in as decimal text, which is allowed", Lives(Life::Decimal)),
    fault("text-expiry", "expires_in, or expireTime, is a word", Lives(Life::Soon)),
    fault("no-expiry", "no expires_in, or expireTime", Lives(Life::Unsaid)),
    fault("zero-expiry", "expires_in is 0, or expireTime is now", Lives(Life::Seconds(0))),
    fault("negative-expiry", "expires_in is -1, or expireTime is past", Lives(Life::Seconds(-1))),
    fault("short-expiry", "expires_in is 2, or as expireTime says", Lives(Life::Seconds(2))),
    fault("long-expiry", "a hundred years", Lives(Life::Seconds(3_155_760_000))),
    fault("duplicate-keys", "every name twice in the JSON", After(duplicate_keys)),
    fault("two-lengths", "two Content-Length that differ", After(two_lengths)),
    fault(
        "bad-chunk",
        "a chunked body with a broken length",
        After(|answer| raw(&answer, "Transfer-Encoding: chunked", b"xyz\r\n{}\r\n0\r\n\r\n")),
    ),
    fault("interim", "nine interim answers before the real one", After(interim)),
    fault(
        "revoked",
        "invalid_grant: expired or revoked",
        Instead(|_| error(400, "invalid_grant", "Token has been expired or revoked.")),
    ),
    fault(DENIED, "invalid_target; of iam, PERMISSION_DENIED", Instead(denied)),
    fault("expired-subject", "invalid_grant: the subject token has expired", Instead(expired)),
    fault(RAPT, "invalid_grant: the person must authenticate again", Instead(rapt)),
    fault(
        "control",
        "an error text with control, colour and direction characters",
        Instead(|_| {
            error(
                400,
                "invalid_grant",
                "a\u{1b}[31mred\u{1b}]0;title\u{7}\u{202e}b\r\nc\u{0}\u{9b}2J",
            )
        }),
    ),
    fault("reflect", "an error text that repeats every secret that was sent", Instead(reflect)),
    of(
        REFRESHES,
        ROTATE,
        "each refresh gives a new refresh token; one used twice ends the login",
        Within,
    ),
    of(REAUTH, "authenticated", "no challenge, the proof at once (reauth)", Within),
    of(REAUTH, "two-rounds", "the password is wanted twice (reauth)", Within),
    of(REAUTH, "saml", "the challenge is SAML (reauth)", Within),
    of(REAUTH, "security-key", "the challenge is a security key (reauth)", Within),
    of(REAUTH, "unknown-challenge", "the challenge is of a kind nobody knows (reauth)", Within),
    of(REAUTH, "none-ready", "no challenge can be answered now (reauth)", Within),
    of(DEVICES, "slow-down", "the first poll is one too early (device-code)", Within),
    of(DEVICES, "brief", "codes are good for two seconds (device-code)", Within),
    of(
        PAGES,
        "wrong-state",
        "the browser comes back with another state (authorize)",
        After(|answer| came_back(answer, "state", "forged")),
    ),
    of(
        PAGES,
        "wrong-issuer",
        "the browser comes back from another issuer (authorize)",
        After(|answer| came_back(answer, "iss", "https://other.example")),
    ),
];

/// What a refresh with a proof is spared.
const RAPT: &str = "rapt";

/// What route `iam` says in another way.
const DENIED: &str = "denied";

/// Every refresh token is good once.
pub(super) const ROTATE: &str = "rotate";

const FAULT_HINT: &str = "a status such as 503, or a name that gauth help faults lists";

/// A fault as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which route misbehaves, one of [`ROUTES`].
    pub route: &'static str,
    what: What,
    /// How often; `None`: always.
    times: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
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
        let shown = crate::printable::text(text);
        let wrong =
            |what: &str, hint: String| Error::usage(format!("--fault {shown}: {what}")).hint(hint);
        let Some((route, rest)) = text.split_once('=') else {
            return Err(wrong("is not ROUTE=WHAT", "--fault token=503x2".to_owned()));
        };
        let route = ROUTES.iter().map(|known| known.name).find(|name| *name == route);
        let Some(route) = route else {
            let names: Vec<&str> = ROUTES.iter().map(|known| known.name).collect();
            return Err(wrong("no such route", format!("one of {}", names.join(", "))));
        };
        let (what, times) = match rest.rsplit_once('x') {
            Some((what, count))
                if count.bytes().all(|b| b.is_ascii_digit()) && !count.is_empty() =>
            {
                (what, Some(count.parse().unwrap_or(u32::MAX)))
            }
            _ => (rest, None),
        };
        let what =
            What::parse(what).ok_or_else(|| wrong("no such fault", FAULT_HINT.to_owned()))?;
        let fault = Fault { route, what, times };
        if let Some(known) = fault.known() {
            let routes = known.routes.iter().map(|route| format!("{route}={}", known.name));
            let hint = format!("--fault {}", routes.collect::<Vec<_>>().join(", or "));
            if !known.is_for(route) {
                return Err(wrong("is not for this route", hint));
            }
            if matches!(known.effect, Within) && times.is_some() {
                return Err(wrong("holds for all requests", hint));
            }
        }
        Ok(fault)
    }

    /// The row of the table.
    fn known(&self) -> Option<&'static Known> {
        match self.what {
            What::Named(name) => FAULTS.iter().find(|known| known.name == name),
            What::Status(..) => None,
        }
    }

    /// The route, and in which way it is to do its work, if that is what is asked for.
    pub fn way(&self) -> Option<(&'static str, &'static str)> {
        let known = self.known().filter(|known| matches!(known.effect, Within))?;
        Some((self.route, known.name))
    }
}

impl What {
    fn parse(text: &str) -> Option<What> {
        if let Some(known) = FAULTS.iter().find(|known| known.name == text) {
            return Some(What::Named(known.name));
        }
        let (status, wait) = match text.split_once("+retry-after:") {
            Some((status, wait)) => (status, Some(wait.to_owned())),
            None => (text, None),
        };
        let status = status.parse().ok().filter(|status| (200..600).contains(status))?;
        Some(What::Status(status, wait))
    }
}

/// The faults that are still to happen.
pub(super) struct Plan(Mutex<Vec<Fault>>);

impl Plan {
    pub(super) fn new(faults: Vec<Fault>) -> Plan {
        Plan(Mutex::new(faults.into_iter().filter(|fault| fault.way().is_none()).collect()))
    }

    /// Answers in the way planned for this route: with `usual`, unless a fault is due. A request that
    /// `spares_rapt` is not asked for proof.
    pub(super) fn apply(
        &self,
        route: &str,
        request: &Request,
        now: i64,
        spares_rapt: impl Fn() -> bool,
        usual: impl FnOnce() -> Answer,
    ) -> Answer {
        match self.due(route, spares_rapt) {
            None => usual(),
            Some(What::Status(status, wait)) => shaped(route, plain(status, wait)),
            Some(What::Named(DENIED)) if route == "iam" => {
                iam::denied("iam.serviceAccounts.getAccessToken")
            }
            Some(What::Named(name)) => {
                match FAULTS.iter().find(|known| known.name == name).map(|known| known.effect) {
                    Some(Instead(answer)) => shaped(route, answer(request)),
                    Some(After(change)) => change(usual()),
                    Some(Lives(life)) => with_life(usual(), life, now),
                    Some(Within) | None => usual(),
                }
            }
        }
    }

    /// The first fault for this route that is not used up; it is used once more.
    fn due(&self, route: &str, spares_rapt: impl Fn() -> bool) -> Option<What> {
        let mut faults = lock(&self.0);
        let fault = faults.iter_mut().find(|fault| {
            let is_due = fault.route == route && fault.times != Some(0);
            is_due && !(fault.what == What::Named(RAPT) && spares_rapt())
        })?;
        fault.times = fault.times.map(|times| times - 1);
        Some(fault.what.clone())
    }
}

fn plain(status: u16, wait: Option<String>) -> Answer {
    let code = match status {
        400 => "invalid_request",
        401 => "invalid_client",
        403 => "access_denied",
        429 => "rate_limit_exceeded",
        500.. => "backend_error",
        _ => "sandbox",
    };
    let answer = error(status, code, &format!("the sandbox was asked for {status}"));
    match wait {
        Some(wait) => answer.header("Retry-After", wait),
        None => answer,
    }
}

/// An OAuth error in the shape that this route's errors have.
fn shaped(route: &str, answer: Answer) -> Answer {
    let said: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let said = said.filter(|said| said["error"].is_string());
    let Some(text) = said.as_ref().and_then(|said| said["error_description"].as_str()) else {
        return answer;
    };
    let shaped = match route {
        // What a grant is to OAuth, the bearer token is to an API.
        "iam" if answer.status == 400 => iam::error(401, text),
        "iam" => iam::error(answer.status, text),
        "aws" | "subject" => Answer::text(answer.status, text),
        _ => return answer,
    };
    // Such as Retry-After.
    let rest = answer.headers.into_iter().filter(|(name, _)| *name != "Content-Type");
    rest.fold(shaped, |shaped, (name, value)| shaped.header(name, value))
}

fn json_bytes(body: Vec<u8>) -> Answer {
    Answer { body, ..Answer::json(200, &Value::Null) }
}

fn html(_: &Request) -> Answer {
    Answer::text(200, "<!doctype html><title>Welcome</title><p>Sign in to the hotel's network.\n")
        .header("Content-Type", "text/html; charset=utf-8")
}

fn redirect(request: &Request) -> Answer {
    let host = request.header("host").unwrap_or("127.0.0.1");
    // With the scheme of the request, which may have come over TLS.
    Answer::text(302, "elsewhere\n").header("Location", format!("//{host}/elsewhere"))
}

fn oversize(mut answer: Answer) -> Answer {
    answer.body.extend(std::iter::repeat_n(b' ', 2 * 1024 * 1024));
    answer
}

fn garbage() -> Vec<u8> {
    (0..=255u8).rev().cycle().take(1000).collect()
}

fn deep() -> Vec<u8> {
    let mut body = b"{\"access_token\":".to_vec();
    body.extend(std::iter::repeat_n(b'[', 10_000));
    body.extend(std::iter::repeat_n(b']', 10_000));
    body.push(b'}');
    body
}

fn rapt(_: &Request) -> Answer {
    let value = json!({
        "error": "invalid_grant",
        "error_description": "reauth related error (invalid_rapt)",
        "error_subtype": "invalid_rapt",
        "error_uri": "https://support.google.com/a/answer/9368756",
    });
    Answer::json(400, &value)
}

fn denied(_: &Request) -> Answer {
    error(400, "invalid_target", "The caller may not use this target, or there is none.")
}

fn expired(_: &Request) -> Answer {
    error(400, "invalid_grant", "The subject token has expired.")
}

/// Where the browser is sent, with another value of this name.
fn came_back(mut answer: Answer, name: &str, value: &str) -> Answer {
    for (header, place) in &mut answer.headers {
        if let Some((address, query)) = place.split_once('?').filter(|_| *header == "Location") {
            let pairs = form_urlencoded::parse(query.as_bytes());
            let pairs = pairs.map(|(known, kept)| {
                let kept = if known == name { value.into() } else { kept };
                (known, kept)
            });
            let mut query = form_urlencoded::Serializer::new(String::new());
            *place = format!("{address}?{}", query.extend_pairs(pairs).finish()).into();
        }
    }
    answer
}

/// What a careless server or proxy would echo.
fn reflect(request: &Request) -> Answer {
    let mut said: Vec<String> =
        request.form().unwrap_or_default().into_iter().map(|(_, value)| value).collect();
    said.extend(request.header("authorization").map(str::to_owned));
    said.push(String::from_utf8_lossy(&request.body).into_owned());
    error(400, "invalid_grant", &format!("refused: {}", said.join(" | ")))
}

/// Changes the answer where it is a JSON object.
fn edited(mut answer: Answer, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Answer {
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(&answer.body) {
        edit(&mut members);
        answer.body = Value::Object(members).to_string().into_bytes();
    }
    answer
}

/// The members that hold secrets, of all routes.
const TOKENS: &[&str] = &[
    "access_token",
    "id_token",
    "accessToken",
    "signedJwt",
    "token",
    "value",
    "SecretAccessKey",
    "Token",
];

fn with_token(answer: Answer, token: Option<Value>) -> Answer {
    // Some answers are the token itself.
    if answer.status == 200 && !answer.body.starts_with(b"{") {
        let text = token.as_ref().and_then(Value::as_str).unwrap_or_default();
        return Answer { body: text.as_bytes().to_vec(), ..answer };
    }
    edited(answer, |members| {
        for name in TOKENS {
            match (members.contains_key(*name), &token) {
                (true, Some(token)) => drop(members.insert((*name).to_owned(), token.clone())),
                _ => drop(members.remove(*name)),
            }
        }
    })
}

/// The members that say when something ends: in seconds from now, and as moments.
const MOMENTS: &[&str] = &["expireTime", "Expiration"];

fn with_life(answer: Answer, life: Life, now: i64) -> Answer {
    edited(answer, |members| {
        let moment = MOMENTS.iter().find(|name| members.contains_key(**name));
        let name = moment.copied().unwrap_or("expires_in");
        let value: Value = match (life, moment) {
            (Life::Unsaid, _) => return drop(members.remove(name)),
            (Life::Soon, _) => "soon".into(),
            // Moments are text as it is.
            (Life::Decimal, Some(_)) => return,
            (Life::Decimal, None) => match members.get(name) {
                Some(seconds) => seconds.to_string().into(),
                None => return,
            },
            (Life::Seconds(seconds), Some(_)) => rfc3339(now + seconds).into(),
            (Life::Seconds(seconds), None) => seconds.into(),
        };
        members.insert(name.to_owned(), value);
    })
}

fn duplicate_keys(mut answer: Answer) -> Answer {
    if answer.body.starts_with(b"{") && answer.body.len() > 2 {
        let inside = &answer.body[1..answer.body.len() - 1];
        answer.body = [b"{", inside, b",", inside, b"}"].concat();
    }
    answer
}

/// The answer with this framing in place of its own.
fn raw(answer: &Answer, framing: &str, body: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
    answer.clone().delivery(Delivery::Raw([head.as_bytes(), body].concat()))
}

fn two_lengths(answer: Answer) -> Answer {
    let length = answer.body.len();
    let framing = format!("Content-Length: {length}\r\nContent-Length: {}", length / 2);
    raw(&answer, &framing, &answer.body)
}

fn interim(answer: Answer) -> Answer {
    let mut bytes = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(9);
    bytes.extend(answer.head(false));
    bytes.extend(&answer.body);
    answer.delivery(Delivery::Raw(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        let fault = |route, what, times| Fault { route, what, times };
        for (text, expected) in [
            ("token=503", fault("token", What::Status(503, None), None)),
            ("token=503x2", fault("token", What::Status(503, None), Some(2))),
            (
                "certs=429+retry-after:7x1",
                fault("certs", What::Status(429, Some("7".to_owned())), Some(1)),
            ),
            ("metadata=hang", fault("metadata", What::Named("hang"), None)),
            ("token=text-expiryx3", fault("token", What::Named("text-expiry"), Some(3))),
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
        let plan = Plan::new(faults.map(|text| Fault::parse(text).expect(text)).to_vec());
        let seen: Vec<Option<What>> = (0..4).map(|_| plan.due("token", || false)).collect();
        let unavailable = Some(What::Status(503, None));
        let close = Some(What::Named("close"));
        assert_eq!(seen, [unavailable.clone(), unavailable, close, None]);
        assert!((0..2).all(|_| plan.due("certs", || false).is_some()));
    }

    #[test]
    fn every_fault_has_its_own_name() {
        let mut names: Vec<_> = FAULTS.iter().map(|known| known.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
    }
}
