//! The metadata server of a machine at AWS: session tokens, the zone, the keys of its role.

use serde_json::json;

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::outside::{AWS_ROLE, AWS_ZONE};
use crate::server::sandbox::{State, cast, rfc3339};

/// Everything here lives below this path.
pub(super) const ROOT: &str = "/latest/";
/// The longest life of a session token, in seconds.
const LONGEST: i64 = 21_600;
/// How long the keys of the role are good, in seconds.
const KEYS_LIFE: i64 = 6 * 3600;

/// Answers everything below `/latest`, with session tokens (IMDSv2) and without (IMDSv1).
pub(super) fn answer(state: &State, request: &Request) -> Answer {
    let path = request.path.strip_prefix(ROOT).unwrap_or_default();
    if path == "api/token" {
        return session(state, request);
    }
    if request.method != "GET" {
        return Answer::only("GET");
    }
    if let Some(token) = request.header("x-aws-ec2-metadata-token")
        && lock(&state.aws_sessions).get(token).is_none_or(|end| *end <= state.now())
    {
        return Answer::text(401, "Unauthorized\n");
    }
    match path.strip_prefix("meta-data/") {
        Some("placement/availability-zone") => Answer::text(200, AWS_ZONE),
        Some("placement/region") => Answer::text(200, &AWS_ZONE[..AWS_ZONE.len() - 1]),
        Some("iam/security-credentials" | "iam/security-credentials/") => {
            Answer::text(200, AWS_ROLE)
        }
        Some(path) if path.strip_prefix("iam/security-credentials/") == Some(AWS_ROLE) => {
            keys(state)
        }
        _ => Answer::text(404, "Not Found\n"),
    }
}

fn session(state: &State, request: &Request) -> Answer {
    if request.method != "PUT" {
        return Answer::only("PUT");
    }
    // The real one gives none to what comes through a proxy.
    if request.header("x-forwarded-for").is_some() {
        return Answer::text(403, "Forbidden\n");
    }
    let wanted = request.header("x-aws-ec2-metadata-token-ttl-seconds");
    let Some(life @ 1..=LONGEST) = wanted.and_then(|text| text.parse().ok()) else {
        return Answer::text(400, "Bad Request\n");
    };
    let Ok(token) = cast::random(42) else { return Answer::text(500, "no randomness\n") };
    lock(&state.aws_sessions).insert(token.clone(), state.now() + life);
    Answer::text(200, token).header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", life.to_string())
}

fn keys(state: &State) -> Answer {
    let (keys, now) = (&state.cast.outside.aws, state.now());
    let value = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": rfc3339(now),
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key.expose(),
        "Token": keys.session_token.as_ref().map(|token| token.expose()),
        "Expiration": rfc3339(now + KEYS_LIFE),
    });
    // The real one calls its JSON text.
    Answer::json(200, &value).header("Content-Type", "text/plain")
}
