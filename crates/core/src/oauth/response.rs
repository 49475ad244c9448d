//! Reads the response of any endpoint: a JSON object with status 200, or an error.

use serde_json::{Map, Value};

use crate::error::{Error, Result, Retryable};
use crate::net::message::HttpResponse;
use crate::text::{json, printable};

/// The error in a response body (RFC 6749, 5.2, or Google's API style).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// The error code, such as `invalid_grant` or `PERMISSION_DENIED`.
    pub code: String,
    /// The server's description in printable characters.
    pub description: Option<String>,
    /// Google's subtype of the error code, such as `invalid_rapt`.
    pub subtype: Option<String>,
    /// The page that explains the error.
    pub uri: Option<String>,
    /// The reason and the domain of `google.rpc.ErrorInfo`, such as `IAM_PERMISSION_DENIED of iam.googleapis.com`.
    pub reason: Option<String>,
}

impl ServerError {
    /// Whether the server requires the user to reauthenticate before it accepts the refresh token.
    pub(crate) fn is_reauth_required(&self) -> bool {
        let subtype = self.subtype.as_deref();
        self.code == "invalid_grant" && matches!(subtype, Some("invalid_rapt" | "rapt_required"))
    }

    /// The code, the description, the reason and the URI in one line.
    pub fn message(&self) -> String {
        let mut message = self.code.clone();
        if let Some(description) = &self.description {
            message.push_str(&format!(": \"{description}\""));
        }
        for more in [&self.reason, &self.uri].into_iter().flatten() {
            message.push_str(&format!(" ({more})"));
        }
        message
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Google says {}", self.message())
    }
}

/// The JSON object in a response with status 200. Errors name `host`.
///
/// # Errors
/// `Refused` for a client error (4xx); `NoAnswer` for any other status, or for a body that is no JSON object.
pub(crate) fn json_object(response: &HttpResponse, host: &str) -> Result<Map<String, Value>> {
    if response.status != 200 {
        return Err(status_error("Google", response, host));
    }
    json::parse_object(&response.body).map_err(|what| invalid_response(response, host, &what))
}

/// The error for a response whose status is 200 and whose content is invalid; `what` ends the sentence.
pub fn invalid_response(response: &HttpResponse, host: &str, what: &str) -> Error {
    let error = Error::no_answer(format!("{host}: the response {what}")).with_status(response.status);
    match is_html(response) {
        true => error.hint(CAPTIVE_PORTAL_HINT),
        false => error.hint("try again later; gauth -vv shows the exchange"),
    }
}

const CAPTIVE_PORTAL_HINT: &str = "open any web page: a captive portal or a proxy answers in place of Google";

/// The error for a response of `server_name` whose status is not 200: `Refused` for 4xx, or else `NoAnswer`.
pub fn status_error(server_name: &str, response: &HttpResponse, host: &str) -> Error {
    let status = response.status;
    let reason_text = match server_error(response) {
        Some(error) => format!("{server_name} says {}", error.message()),
        None if response.body.is_empty() => format!("status {status}"),
        None if is_html(response) => format!("status {status} and a web page"),
        None => format!("status {status}: \"{}\"", printable::first_line(&response.body)),
    };
    let message = format!("{host}: {reason_text}");
    let error = match status {
        408 | 429 => Error::no_answer(message).with_retryable(Retryable::IfIdempotent).hint("try again later"),
        407 => Error::no_answer(message).hint("check HTTPS_PROXY, its user name and password"),
        400..=499 => Error::refused(message),
        500..=599 => Error::no_answer(message).with_retryable(Retryable::IfIdempotent).hint("try again later"),
        _ => Error::no_answer(format!("{host}: the response has status {status}, not 200")),
    };
    let error = error.with_status(status);
    match is_html(response) {
        true => error.hint(CAPTIVE_PORTAL_HINT),
        false => error,
    }
}

/// The error in a response body, if it has one in either form.
pub fn server_error(response: &HttpResponse) -> Option<ServerError> {
    let mut map = json::parse_object(&response.body).ok()?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(printable::redacted);
    match map.remove("error")? {
        Value::String(code) => Some(ServerError {
            code: printable::redacted(&code),
            description: map.get("error_description").and_then(text),
            subtype: map.get("error_subtype").and_then(text),
            uri: map.get("error_uri").and_then(text),
            reason: None,
        }),
        Value::Object(error) => Some(ServerError {
            code: error.get("status").and_then(text).unwrap_or_else(|| format!("status {}", response.status)),
            description: error.get("message").and_then(text),
            subtype: None,
            uri: None,
            reason: error_reason(&error),
        }),
        _ => None,
    }
}

/// The reason and the domain of an error in Google's API style (`google.rpc.ErrorInfo`).
fn error_reason(error: &Map<String, Value>) -> Option<String> {
    let details = error.get("details")?.as_array()?;
    let is_info =
        |detail: &&Value| detail["@type"].as_str().is_some_and(|kind| kind.ends_with("/google.rpc.ErrorInfo"));
    let info = details.iter().find(is_info)?;
    let reason = printable::redacted(info["reason"].as_str().filter(|reason| !reason.is_empty())?);
    Some(match info["domain"].as_str() {
        Some(domain) if !domain.is_empty() => {
            format!("{reason} of {}", printable::redacted(domain))
        }
        _ => reason,
    })
}

pub(super) fn is_html(response: &HttpResponse) -> bool {
    let media_type = response.header("content-type").unwrap_or_default();
    let start = String::from_utf8_lossy(&response.body[..response.body.len().min(64)]);
    let start = start.trim_start().to_ascii_lowercase();
    media_type.to_ascii_lowercase().starts_with("text/html")
        || start.starts_with("<!doctype html")
        || start.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use zeroize::Zeroizing;

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    #[test]
    fn both_formats_of_errors_are_read() {
        let oauth = response(
            400,
            r#"{"error":"invalid_grant","error_description":"Bad\nRequest","error_subtype":"invalid_rapt"}"#,
        );
        let error = server_error(&oauth).expect("error");
        assert_eq!(error.to_string(), "Google says invalid_grant: \"Bad\\nRequest\"");
        assert_eq!(error.subtype.as_deref(), Some("invalid_rapt"));
        let api = response(403, r#"{"error":{"code":403,"message":"No.","status":"PERMISSION_DENIED"}}"#);
        let error = server_error(&api).expect("error");
        assert_eq!(error.to_string(), "Google says PERMISSION_DENIED: \"No.\"");
    }

    #[test]
    fn an_error_info_reason_is_shown_with_its_domain() {
        let shown = |details: &str| {
            let body = format!(r#"{{"error":{{"status":"S","message":"M","details":{details}}}}}"#);
            server_error(&response(403, &body)).expect("error").to_string()
        };
        let info =
            r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"R\u0007","domain":"iam.googleapis.com"}"#;
        let other = r#"{"@type":"type.googleapis.com/google.rpc.Help","reason":"X"}"#;
        let expected = "Google says S: \"M\" (R\\u{7} of iam.googleapis.com)";
        assert_eq!(shown(&format!("[{other},5,{info}]")), expected);
        for details in ["[]", "5", "{}", "[null]", &format!("[{other}]"), r#"[{"@type":5}]"#] {
            assert_eq!(shown(details), "Google says S: \"M\"", "{details}");
        }
    }

    #[test]
    fn the_status_decides_between_refused_and_no_answer() {
        for (status, body, kind) in [
            (400, "", ErrorKind::Refused),
            (404, "not found", ErrorKind::Refused),
            (407, "", ErrorKind::NoAnswer),
            (429, "{}", ErrorKind::NoAnswer),
            (500, "<html>", ErrorKind::NoAnswer),
            (204, "", ErrorKind::NoAnswer),
            (200, "<!DOCTYPE html>", ErrorKind::NoAnswer),
            (200, "[]", ErrorKind::NoAnswer),
        ] {
            let error = json_object(&response(status, body), "host").expect_err(body);
            assert_eq!(error.kind(), kind, "{status} {body}");
            assert!(error.message().starts_with("host: "));
        }
    }

    #[test]
    fn a_web_page_in_place_of_a_response_hints_at_a_captive_portal() {
        let error = json_object(&response(200, "<html>log in</html>"), "host").expect_err("html");
        assert!(error.hint_text().expect("hint").contains("captive portal"));
    }
}
