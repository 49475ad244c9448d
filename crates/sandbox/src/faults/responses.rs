//! The responses of faults: those that replace a route's response, and those that modify it.

use serde_json::{Map, Value, json};

use crate::google_api;
use crate::oauth::oauth_error;
use crate::timestamp::rfc3339;
use gauth_core::http::server::http::{ResponseDelivery, ServerRequest, ServerResponse};

/// A replacement for a token's lifetime in a response.
#[derive(Clone, Copy)]
pub(crate) enum LifetimeOverride {
    /// This many seconds.
    Seconds(i64),
    /// The correct number of seconds, but as a JSON string.
    SecondsAsString,
    /// A word in place of a number.
    NonNumeric,
    /// No lifetime at all.
    Omitted,
}

pub(crate) fn status_error(status: u16, retry_after: Option<String>) -> ServerResponse {
    let code = match status {
        400 => "invalid_request",
        401 => "invalid_client",
        403 => "access_denied",
        429 => "rate_limit_exceeded",
        500.. => "backend_error",
        _ => "sandbox",
    };
    let answer = oauth_error(status, code, &format!("the sandbox is configured to return the status {status}"));
    match retry_after {
        Some(wait) => answer.header("Retry-After", wait),
        None => answer,
    }
}

/// Converts an OAuth error to the error format of this route.
pub(crate) fn in_route_format(route: &str, answer: ServerResponse) -> ServerResponse {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let body = body.filter(|said| said["error"].is_string());
    let Some(text) = body.as_ref().and_then(|said| said["error_description"].as_str()) else {
        return answer;
    };
    let formatted = match route {
        // An invalid grant corresponds to an invalid bearer token at an API.
        "iam" if answer.status == 400 => google_api::api_error(401, text),
        "iam" => google_api::api_error(answer.status, text),
        "aws" | "subject" => ServerResponse::text(answer.status, text),
        _ => return answer,
    };
    // Keeps the other headers, such as Retry-After.
    let rest = answer.headers.into_iter().filter(|(name, _)| *name != "Content-Type");
    rest.fold(formatted, |shaped, (name, value)| shaped.header(name, value))
}

pub(crate) fn raw_json(body: Vec<u8>) -> ServerResponse {
    ServerResponse { body, ..ServerResponse::json(200, &Value::Null) }
}

pub(crate) fn captive_portal_page(_: &ServerRequest) -> ServerResponse {
    ServerResponse::text(200, "<!doctype html><title>Welcome</title><p>Sign in to the hotel's network.\n")
        .header("Content-Type", "text/html; charset=utf-8")
}

pub(crate) fn redirect_elsewhere(request: &ServerRequest) -> ServerResponse {
    let host = request.header("host").unwrap_or("127.0.0.1");
    // Without a scheme, because the request may have come over TLS.
    ServerResponse::text(302, "elsewhere\n").header("Location", format!("//{host}/elsewhere"))
}

pub(crate) fn oversized_body(mut answer: ServerResponse) -> ServerResponse {
    answer.body.extend(std::iter::repeat_n(b' ', 2 * 1024 * 1024));
    answer
}

pub(crate) fn garbage_bytes() -> Vec<u8> {
    (0..=255u8).rev().cycle().take(1000).collect()
}

pub(crate) fn deeply_nested_json() -> Vec<u8> {
    let mut body = b"{\"access_token\":".to_vec();
    body.extend(std::iter::repeat_n(b'[', 10_000));
    body.extend(std::iter::repeat_n(b']', 10_000));
    body.push(b'}');
    body
}

pub(crate) fn rapt_required(_: &ServerRequest) -> ServerResponse {
    let value = json!({
        "error": "invalid_grant",
        "error_description": "reauth related error (invalid_rapt)",
        "error_subtype": "invalid_rapt",
        "error_uri": "https://support.google.com/a/answer/9368756",
    });
    ServerResponse::json(400, &value)
}

pub(crate) fn target_denied(_: &ServerRequest) -> ServerResponse {
    oauth_error(400, "invalid_target", "The target does not exist, or the caller may not use it.")
}

pub(crate) fn expired_subject_token(_: &ServerRequest) -> ServerResponse {
    oauth_error(400, "invalid_grant", "The subject token has expired.")
}

/// Replaces a query parameter in the URL of a redirect.
pub(crate) fn with_redirect_parameter(mut answer: ServerResponse, name: &str, value: &str) -> ServerResponse {
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

/// An error message that repeats the request's secrets, as a careless server or proxy would.
pub(crate) fn reflect_secrets(request: &ServerRequest) -> ServerResponse {
    let mut sent: Vec<String> = request.form().unwrap_or_default().into_iter().map(|(_, value)| value).collect();
    sent.extend(request.header("authorization").map(str::to_owned));
    sent.push(String::from_utf8_lossy(&request.body).into_owned());
    oauth_error(400, "invalid_grant", &format!("refused: {}", sent.join(" | ")))
}

/// Edits the body, if it is a JSON object.
pub(crate) fn edit_json(mut answer: ServerResponse, edit: impl FnOnce(&mut Map<String, Value>)) -> ServerResponse {
    if let Ok(Value::Object(mut members)) = serde_json::from_slice(&answer.body) {
        edit(&mut members);
        answer.body = Value::Object(members).to_string().into_bytes();
    }
    answer
}

/// The members that hold tokens in the responses of all routes.
pub(crate) const TOKEN_FIELDS: &[&str] =
    &["access_token", "id_token", "accessToken", "signedJwt", "token", "value", "SecretAccessKey", "Token"];

pub(crate) fn replace_token(answer: ServerResponse, token: Option<Value>) -> ServerResponse {
    // Some responses consist of the token only.
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

/// The members that hold an expiry time; other responses have a lifetime in seconds.
pub(crate) const TIMESTAMP_FIELDS: &[&str] = &["expireTime", "Expiration"];

pub(crate) fn override_lifetime(answer: ServerResponse, lifetime: LifetimeOverride, now: i64) -> ServerResponse {
    edit_json(answer, |members| {
        let timestamp_field = TIMESTAMP_FIELDS.iter().find(|name| members.contains_key(**name));
        let name = timestamp_field.copied().unwrap_or("expires_in");
        let value: Value = match (lifetime, timestamp_field) {
            (LifetimeOverride::Omitted, _) => return drop(members.remove(name)),
            (LifetimeOverride::NonNumeric, _) => "soon".into(),
            // Timestamps are strings already.
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

pub(crate) fn duplicate_keys(mut answer: ServerResponse) -> ServerResponse {
    if answer.body.starts_with(b"{") && answer.body.len() > 2 {
        let inside = &answer.body[1..answer.body.len() - 1];
        answer.body = [b"{", inside, b",", inside, b"}"].concat();
    }
    answer
}

/// The response with other framing headers and another body, byte for byte.
pub(crate) fn raw_response(answer: &ServerResponse, framing: &str, body: &[u8]) -> ServerResponse {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
    answer.clone().delivery(ResponseDelivery::RawBytes([head.as_bytes(), body].concat()))
}

pub(crate) fn two_content_lengths(answer: ServerResponse) -> ServerResponse {
    let length = answer.body.len();
    let framing = format!("Content-Length: {length}\r\nContent-Length: {}", length / 2);
    raw_response(&answer, &framing, &answer.body)
}

pub(crate) fn interim_responses(answer: ServerResponse) -> ServerResponse {
    let mut bytes = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(9);
    bytes.extend(answer.encode_head(false));
    bytes.extend(&answer.body);
    answer.delivery(ResponseDelivery::RawBytes(bytes))
}
