//! The device authorization grant (RFC 8628): its two requests and their responses. Google's endpoint is older than the
//! RFC and calls the verification URI `verification_url`.

use crate::error::{Error, Result};
use crate::net::message::{FormValue, HttpRequest, HttpResponse, RetryPolicy};
use crate::net::url::{Scheme, Url};
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::token::TokenResponse;
use crate::oauth::{response, token};
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::Secret;

/// The grant type of the device access token request (RFC 8628, 3.4).
pub(crate) const DEVICE_CODE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The polling interval in seconds where the response has none (RFC 8628, 3.2).
const DEFAULT_POLL_INTERVAL_SECONDS: i64 = 5;
/// The lifetime of the codes in seconds where the response has none. The RFC requires the field.
const DEFAULT_CODE_LIFETIME_SECONDS: i64 = 900;
/// The maximum length of a user code, in characters.
const MAX_USER_CODE_CHARS: usize = 64;

/// Builds the device authorization request (RFC 8628, 3.1). It may be repeated: a code that nobody enters has no effect.
pub(crate) fn device_authorization_request(url: &Url, client: ClientCredentials<'_>, scopes: &[String]) -> HttpRequest {
    let scopes = scopes.join(" ");
    let mut fields: Vec<(&str, FormValue<'_>)> = vec![("scope", (&scopes).into())];
    fields.extend(client.form_fields());
    fields.retain(|(_, value)| !value.is_empty());
    client.add_header(HttpRequest::form(url.clone(), &fields))
}

/// The device authorization response (RFC 8628, 3.2).
#[derive(Debug)]
pub struct DeviceAuthorizationResponse {
    /// The device code, which gauth polls with.
    pub device_code: Secret,
    /// The code that the user enters at `verification_uri`.
    pub user_code: String,
    /// The page at which the user enters the code.
    pub verification_uri: String,
    /// The same page with the code in its URL.
    pub verification_uri_complete: Option<String>,
    /// The lifetime of both codes, in seconds.
    pub expires_in: i64,
    /// The minimum time between two polls, in seconds.
    pub interval: i64,
}

/// Reads the response to `device_authorization_request`.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer` naming the invalid field.
pub fn read_device_authorization(
    response: &HttpResponse,
    host: &str,
    server_name: &str,
) -> Result<DeviceAuthorizationResponse> {
    if response.status != 200 {
        return Err(response::status_error(server_name, response, host));
    }
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let invalid = |what: String| response::invalid_response(response, host, &what);
    let invalid_field = |what: String| invalid(format!("is not understood, {what}"));
    let device_code = fields.required_secret("device_code").map_err(invalid_field)?;
    let user_code = fields.required("user_code").map_err(invalid_field)?;
    // The code is printed for the user in a line of its own.
    let plain = |letter: char| letter.is_alphanumeric() || " -_.".contains(letter);
    if user_code.chars().count() > MAX_USER_CODE_CHARS || !user_code.chars().all(plain) {
        return Err(invalid("has a user_code that is too long or has special characters".to_owned()));
    }
    let verification_uri = match fields.text("verification_uri").map_err(invalid_field)? {
        Some(page) => page,
        None => fields
            .required("verification_url")
            .map_err(|_| invalid("is not understood, verification_uri is missing".to_owned()))?,
    };
    let verification_uri = check_verification_uri(&verification_uri)
        .map_err(|what| invalid(format!("has a verification_uri that {what}")))?;
    let verification_uri_complete = fields.text("verification_uri_complete").map_err(invalid_field)?;
    let mut seconds = |name: &str, default: i64, min: i64, max: i64| {
        let given = fields.value(name).filter(|value| !value.is_null());
        match given.as_ref().map(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok())) {
            None => Ok(default),
            #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
            Some(Some(number)) if number.is_finite() => Ok(number.ceil().clamp(min as f64, max as f64) as i64),
            Some(_) => Err(invalid(format!("is not understood, {name} is not a number"))),
        }
    };
    Ok(DeviceAuthorizationResponse {
        expires_in: seconds("expires_in", DEFAULT_CODE_LIFETIME_SECONDS, 1, 24 * 3600)?,
        interval: seconds("interval", DEFAULT_POLL_INTERVAL_SECONDS, 1, 300)?,
        device_code,
        user_code,
        verification_uri,
        // The URL is optional: without it the user types the code.
        verification_uri_complete: verification_uri_complete
            .and_then(|complete| check_verification_uri(&complete).ok()),
    })
}

/// Checks a page that the user is sent to: its URL is https or on a loopback address.
fn check_verification_uri(text: &str) -> std::result::Result<String, &'static str> {
    let url = Url::parse(text)?;
    match url.scheme == Scheme::Https || url.is_loopback() {
        true => Ok(text.to_owned()),
        false => Err("is neither https nor on this machine"),
    }
}

/// Builds the device access token request (RFC 8628, 3.4), which polls for the user's decision. It is not sent again
/// once a part of it may have reached the server, because the response with the tokens is given once.
pub(crate) fn device_token_request(url: &Url, client: ClientCredentials<'_>, device_code: &Secret) -> HttpRequest {
    let mut fields: Vec<(&str, FormValue<'_>)> =
        vec![("grant_type", DEVICE_CODE_GRANT_TYPE.into()), ("device_code", device_code.into())];
    fields.extend(client.form_fields());
    client.add_header(HttpRequest::form(url.clone(), &fields)).retry_policy(RetryPolicy::OnlyIfUnsent)
}

/// The result of one poll (RFC 8628, 3.5).
#[derive(Debug)]
pub enum PollOutcome {
    /// The user has approved, and the response has the tokens.
    Granted(Box<TokenResponse>),
    /// The user has not decided yet.
    AuthorizationPending,
    /// The user has not decided yet, and the next poll has to wait longer.
    SlowDown,
    /// The user denied the request.
    AccessDenied,
    /// The codes have expired before the user decided.
    ExpiredToken,
    /// The server does not know the device code, or has answered it with tokens already.
    InvalidGrant(Error),
}

/// Reads the response to `device_token_request` by its error code: Google's statuses differ from those of the RFC.
///
/// # Errors
/// Any other error, which ends the login.
pub fn read_poll_response(response: &HttpResponse, host: &str, server_name: &str, now: i64) -> Result<PollOutcome> {
    if response.status == 200 {
        return token::read_bearer_response(response, host, now).map(|granted| PollOutcome::Granted(Box::new(granted)));
    }
    let server_error = response::server_error(response);
    match server_error.as_ref().map(|error| error.code.as_str()) {
        Some("authorization_pending") => Ok(PollOutcome::AuthorizationPending),
        Some("slow_down") => Ok(PollOutcome::SlowDown),
        Some("access_denied") => Ok(PollOutcome::AccessDenied),
        Some("expired_token") => Ok(PollOutcome::ExpiredToken),
        Some("invalid_grant") => Ok(PollOutcome::InvalidGrant(response::status_error(server_name, response, host))),
        _ if matches!(response.status, 408 | 429 | 500..=599) => Ok(PollOutcome::SlowDown),
        _ => Err(response::status_error(server_name, response, host)),
    }
}

/// The scopes that Google grants to devices, besides those that begin with [`YOUTUBE_SCOPE_PREFIX`].
const DEVICE_SCOPES: &[&str] = &[
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.appdata",
];

const YOUTUBE_SCOPE_PREFIX: &str = "https://www.googleapis.com/auth/youtube";

/// Refuses scopes that Google does not grant to devices, before the user is asked.
///
/// # Errors
/// `Unsupported`, naming the first such scope.
pub(crate) fn check_device_scopes(scopes: &[String]) -> Result<()> {
    let is_allowed =
        |scope: &&String| DEVICE_SCOPES.contains(&scope.as_str()) || scope.starts_with(YOUTUBE_SCOPE_PREFIX);
    let Some(scope) = scopes.iter().find(|scope| !is_allowed(scope)) else { return Ok(()) };
    let short_name = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
    let word = printable::text(short_name);
    Err(Error::unsupported(format!("Google does not grant the scope {word} to devices (--device)")).hint(
        "gauth login --no-browser, which works without a browser here too; devices get openid, email, profile, \
         drive.file, drive.appdata and youtube",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use zeroize::Zeroizing;

    fn response(status: u16, body: &str) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    fn read_body(body: &str) -> Result<DeviceAuthorizationResponse> {
        read_device_authorization(&response(200, body), "host", "the provider")
    }

    const VERIFICATION_URI: &str = r#""verification_uri":"https://a.example/d""#;

    #[test]
    fn both_names_of_the_verification_uri_are_read_and_defaults_apply() {
        let google = read_body(
            r#"{"device_code":"D","user_code":"ABCD-EFGH","verification_url":"https://www.google.com/device","expires_in":1800,"interval":5}"#,
        )
        .expect("Google's");
        assert_eq!(
            (google.verification_uri.as_str(), google.verification_uri_complete),
            ("https://www.google.com/device", None)
        );
        assert_eq!((google.user_code.as_str(), google.expires_in, google.interval), ("ABCD-EFGH", 1800, 5));
        let defaults =
            read_body(&format!(r#"{{"device_code":"D","user_code":"X",{VERIFICATION_URI},"interval":null}}"#));
        let least = defaults.expect("the least");
        assert_eq!((least.expires_in, least.interval), (DEFAULT_CODE_LIFETIME_SECONDS, 5));
        let response = read_body(&format!(
            r#"{{"device_code":"D","user_code":"X",{VERIFICATION_URI},"expires_in":"60","interval":0.2,
                "verification_uri_complete":"https://a.example/d?c=X"}}"#
        ));
        let response = response.expect("a response");
        assert_eq!((response.expires_in, response.interval), (60, 1));
        assert_eq!(response.verification_uri_complete.as_deref(), Some("https://a.example/d?c=X"));
    }

    #[test]
    fn invalid_device_authorization_responses_are_refused() {
        for (body, what) in [
            (format!(r#"{{"user_code":"X",{VERIFICATION_URI}}}"#), "device_code"),
            (format!(r#"{{"device_code":"D",{VERIFICATION_URI}}}"#), "user_code"),
            (
                format!(r#"{{"device_code":"D","user_code":"a\u001b[31m",{VERIFICATION_URI}}}"#),
                "user_code that is too long",
            ),
            (
                format!(r#"{{"device_code":"D","user_code":"{}",{VERIFICATION_URI}}}"#, "x".repeat(65)),
                "user_code that is too long",
            ),
            (r#"{"device_code":"D","user_code":"X"}"#.to_owned(), "verification_uri is missing"),
            (
                r#"{"device_code":"D","user_code":"X","verification_uri":"javascript:alert(1)"}"#.to_owned(),
                "verification_uri",
            ),
            (
                r#"{"device_code":"D","user_code":"X","verification_uri":"http://a.example/"}"#.to_owned(),
                "neither https",
            ),
            (format!(r#"{{"device_code":"D","user_code":"X",{VERIFICATION_URI},"interval":"soon"}}"#), "interval"),
            ("[]".to_owned(), "host: the response"),
            ("<html>".to_owned(), "host: the response"),
        ] {
            let error = read_body(&body).expect_err(&body);
            assert_eq!(error.kind(), ErrorKind::NoAnswer, "{body}");
            assert!(error.message().contains(what), "{body}: {error}");
        }
        let refused =
            read_device_authorization(&response(403, r#"{"error_code":"rate_limit_exceeded"}"#), "host", "Google");
        assert_eq!(refused.expect_err("a quota").kind(), ErrorKind::Refused);
        let refused = read_device_authorization(&response(401, r#"{"error":"invalid_client"}"#), "host", "Google");
        assert!(refused.expect_err("a client").message().contains("Google says invalid_client"));
    }

    #[test]
    fn the_error_code_decides_the_outcome_of_a_poll() {
        let poll_error = |status, code: &str| {
            let body = format!(r#"{{"error":"{code}"}}"#);
            read_poll_response(&response(status, &body), "host", "Google", 0)
        };
        for status in [400, 403, 428] {
            assert!(matches!(poll_error(status, "authorization_pending"), Ok(PollOutcome::AuthorizationPending)));
            assert!(matches!(poll_error(status, "slow_down"), Ok(PollOutcome::SlowDown)));
            assert!(matches!(poll_error(status, "access_denied"), Ok(PollOutcome::AccessDenied)));
            assert!(matches!(poll_error(status, "expired_token"), Ok(PollOutcome::ExpiredToken)));
            assert!(matches!(poll_error(status, "invalid_grant"), Ok(PollOutcome::InvalidGrant(_))));
            assert!(poll_error(status, "invalid_client").is_err());
        }
        assert!(matches!(poll_error(503, "backend_error"), Ok(PollOutcome::SlowDown)));
        assert!(poll_error(302, "x").is_err());
        let granted = read_poll_response(&response(200, r#"{"access_token":"ya29.x"}"#), "host", "Google", 0);
        assert!(matches!(granted, Ok(PollOutcome::Granted(_))));
        assert!(read_poll_response(&response(200, "<html>"), "host", "Google", 0).is_err());
    }

    #[test]
    fn scopes_that_devices_do_not_get_are_refused_by_name() {
        let scopes = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let tube = format!("{YOUTUBE_SCOPE_PREFIX}.readonly");
        assert!(check_device_scopes(&scopes(&["openid", "email", DEVICE_SCOPES[5], &tube])).is_ok());
        let error = check_device_scopes(&scopes(&["openid", crate::text::scopes::CLOUD_PLATFORM_SCOPE]));
        let error = error.expect_err("cloud-platform");
        assert_eq!(error.kind().exit_code(), 7);
        assert!(error.message().contains("the scope cloud-platform to devices"), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("--no-browser")));
    }
}
