//! The instance metadata service (IMDS) of an AWS machine: session tokens, its region, and the credentials of its
//! role.

use serde_json::json;

use crate::external_identities::{AWS_ROLE, AWS_ZONE};
use crate::random_id::random_base64url;
use crate::state::SandboxState;
use crate::timestamp::rfc3339;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::secret::Secret;

/// The path prefix of the service.
pub(crate) const PATH_PREFIX: &str = "/latest/";
/// The longest lifetime of a session token that can be requested, in seconds.
const MAX_SESSION_SECONDS: i64 = 21_600;
/// The lifetime of the role's credentials, in seconds.
const KEYS_LIFETIME_SECONDS: i64 = 6 * 3600;

/// Serves `/latest/`, both with session tokens (IMDSv2) and without (IMDSv1).
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    let path = request.path.strip_prefix(PATH_PREFIX).unwrap_or_default();
    if path == "api/token" {
        return create_session(state, request);
    }
    if request.method != "GET" {
        return ServerResponse::method_not_allowed("GET");
    }
    if let Some(token) = request.header("x-aws-ec2-metadata-token")
        && lock_ignoring_poison(&state.aws_sessions).get(token).is_none_or(|end| *end <= state.now())
    {
        return ServerResponse::text(401, "Unauthorized\n");
    }
    match path.strip_prefix("meta-data/") {
        Some("placement/availability-zone") => ServerResponse::text(200, AWS_ZONE),
        Some("placement/region") => ServerResponse::text(200, &AWS_ZONE[..AWS_ZONE.len() - 1]),
        Some("iam/security-credentials" | "iam/security-credentials/") => ServerResponse::text(200, AWS_ROLE),
        Some(path) if path.strip_prefix("iam/security-credentials/") == Some(AWS_ROLE) => security_credentials(state),
        _ => ServerResponse::text(404, "Not Found\n"),
    }
}

fn create_session(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "PUT" {
        return ServerResponse::method_not_allowed("PUT");
    }
    // Like AWS, refuse requests that come through a proxy.
    if request.header("x-forwarded-for").is_some() {
        return ServerResponse::text(403, "Forbidden\n");
    }
    let requested_ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds");
    let Some(ttl @ 1..=MAX_SESSION_SECONDS) = requested_ttl.and_then(|text| text.parse().ok()) else {
        return ServerResponse::text(400, "Bad Request\n");
    };
    let Ok(token) = random_base64url(42) else {
        return ServerResponse::text(500, "no randomness\n");
    };
    lock_ignoring_poison(&state.aws_sessions).insert(token.clone(), state.now() + ttl);
    ServerResponse::text(200, token).header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl.to_string())
}

fn security_credentials(state: &SandboxState) -> ServerResponse {
    let (keys, now) = (&state.fixtures.external.aws_keys, state.now());
    let value = json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": rfc3339(now),
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key.to_json(),
        "Token": keys.session_token.as_ref().map(Secret::to_json),
        "Expiration": rfc3339(now + KEYS_LIFETIME_SECONDS),
    });
    // AWS sends this JSON as text.
    ServerResponse::json(200, &value).header("Content-Type", "text/plain")
}
