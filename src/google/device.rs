//! Signing in for a device without a browser (RFC 8628): its two requests, and what comes back. Google was earlier
//! than the standard and has a name of its own for the page.

use crate::error::{Error, Result};
use crate::google::answer;
use crate::google::sts::{self, ClientAuth};
use crate::google::token::{self, Granted};
use crate::http::{HttpRequest, HttpResponse, Patience};
use crate::json::Fields;
use crate::printable;
use crate::secret::Secret;
use crate::url::{Scheme, Url};

/// The grant of RFC 8628, 3.4.
pub const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Seconds between two questions where the server does not say (RFC 8628, 3.2).
const INTERVAL: i64 = 5;
/// How long a code is good where the server does not say, in seconds. The standard has it say.
const LIFE: i64 = 900;
/// The longest code that anybody types.
const LONGEST_CODE: usize = 64;

/// Asks for a code. It is safe to ask again: one that nobody enters is nothing.
pub fn begin(url: &Url, client: ClientAuth<'_>, scopes: &[String]) -> HttpRequest {
    let scopes = scopes.join(" ");
    let mut fields = vec![("scope", scopes.as_str())];
    fields.extend(sts::client_fields(client));
    fields.retain(|(_, value)| !value.is_empty());
    sts::authenticated(HttpRequest::form(url.clone(), &fields), Some(client))
}

/// A login that waits for somebody to enter its code.
#[derive(Debug)]
pub struct Begun {
    /// What the device asks with.
    pub device_code: Secret,
    /// What the person enters.
    pub user_code: String,
    /// Where.
    pub page: String,
    /// The page that has the code in it already.
    pub complete: Option<String>,
    /// How long the code is good, in seconds.
    pub life: i64,
    /// Seconds between two questions.
    pub interval: i64,
}

/// Reads the answer to [`begin`].
///
/// # Errors
/// `Refused` in the server's words, or `NoAnswer` naming the field at fault.
pub fn read(response: &HttpResponse, host: &str, who: &str) -> Result<Begun> {
    if response.status != 200 {
        return Err(answer::failure_of(who, response, host));
    }
    let mut fields = Fields::new(answer::object(response, host)?);
    let unusable = |what: String| answer::unusable(response, host, &what);
    let in_answer = |what: String| unusable(format!("is not understood, {what}"));
    let device_code = fields.needed_secret("device_code").map_err(in_answer)?;
    let user_code = fields.needed("user_code").map_err(in_answer)?;
    // It is shown to a person in a line of its own.
    let plain = |letter: char| letter.is_alphanumeric() || " -_.".contains(letter);
    if user_code.chars().count() > LONGEST_CODE || !user_code.chars().all(plain) {
        return Err(unusable("has a user_code that nobody can type".to_owned()));
    }
    let page = match fields.text("verification_uri").map_err(in_answer)? {
        Some(page) => page,
        None => fields
            .needed("verification_url")
            .map_err(|_| unusable("is not understood, verification_uri is missing".to_owned()))?,
    };
    let page =
        address(&page).map_err(|what| unusable(format!("has a verification_uri that {what}")))?;
    let complete = fields.text("verification_uri_complete").map_err(in_answer)?;
    let mut seconds = |name: &str, usual: i64, least: i64, most: i64| {
        let given = fields.any(name).filter(|value| !value.is_null());
        match given.as_ref().map(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok())) {
            None => Ok(usual),
            #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
            Some(Some(number)) if number.is_finite() => {
                Ok(number.ceil().clamp(least as f64, most as f64) as i64)
            }
            Some(_) => Err(unusable(format!("is not understood, {name} is not a number"))),
        }
    };
    Ok(Begun {
        life: seconds("expires_in", LIFE, 1, 24 * 3600)?,
        interval: seconds("interval", INTERVAL, 1, 300)?,
        device_code,
        user_code,
        page,
        // A convenience: without it people type.
        complete: complete.and_then(|complete| address(&complete).ok()),
    })
}

/// An address that people are sent to.
fn address(text: &str) -> std::result::Result<String, &'static str> {
    let url = Url::parse(text)?;
    match url.scheme == Scheme::Https || url.is_loopback() {
        true => Ok(text.to_owned()),
        false => Err("is neither https nor on this machine"),
    }
}

/// Asks whether the person has decided. It may be asked as often as one likes, but an answer that brings tokens comes
/// once.
pub fn poll(url: &Url, client: ClientAuth<'_>, device_code: &Secret) -> HttpRequest {
    let mut fields = vec![("grant_type", GRANT), ("device_code", device_code.expose())];
    fields.extend(sts::client_fields(client));
    sts::authenticated(HttpRequest::form(url.clone(), &fields), Some(client))
        .patience(Patience::SingleUse)
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// Tokens.
    Granted(Box<Granted>),
    /// Nothing yet.
    Pending,
    /// Nothing yet, and it was asked too early, or the server is busy.
    SlowDown,
    /// The person said no.
    Denied,
    /// Nobody entered the code in time.
    Expired,
    /// The code is used, or nothing.
    Unknown(Error),
}

/// Reads the answer to [`poll`]. The code of the error counts, whatever the status: Google's are not the standard's.
///
/// # Errors
/// Anything that ends the login.
pub fn read_poll(response: &HttpResponse, host: &str, who: &str, now: i64) -> Result<Polled> {
    if response.status == 200 {
        return token::read(response, host, now).map(|granted| Polled::Granted(Box::new(granted)));
    }
    let said = answer::server_error(response);
    match said.as_ref().map(|said| said.code.as_str()) {
        Some("authorization_pending") => Ok(Polled::Pending),
        Some("slow_down") => Ok(Polled::SlowDown),
        Some("access_denied") => Ok(Polled::Denied),
        Some("expired_token") => Ok(Polled::Expired),
        Some("invalid_grant") => Ok(Polled::Unknown(answer::failure_of(who, response, host))),
        _ if matches!(response.status, 408 | 429 | 500..=599) => Ok(Polled::SlowDown),
        _ => Err(answer::failure_of(who, response, host)),
    }
}

/// What Google lets devices ask for; and all that begins with [`YOUTUBE`].
const ALLOWED: &[&str] = &[
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.appdata",
];

const YOUTUBE: &str = "https://www.googleapis.com/auth/youtube";

/// Refuses the scopes that Google gives to no device, before anybody is asked.
///
/// # Errors
/// `Unsupported`, naming the first one and the way out.
pub fn check_scopes(scopes: &[String]) -> Result<()> {
    let is_allowed =
        |scope: &&String| ALLOWED.contains(&scope.as_str()) || scope.starts_with(YOUTUBE);
    let Some(scope) = scopes.iter().find(|scope| !is_allowed(scope)) else { return Ok(()) };
    let word = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
    let word = printable::text(word);
    Err(Error::unsupported(format!("Google gives {word} to no device (--device)")).hint(
        "gauth login --no-browser, which works without a browser here too; devices get openid, email, profile, \
         drive.file, drive.appdata and youtube",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use zeroize::Zeroizing;

    fn answered(status: u16, body: &str) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    fn begun(body: &str) -> Result<Begun> {
        read(&answered(200, body), "host", "the provider")
    }

    const URL: &str = r#""verification_uri":"https://a.example/d""#;

    #[test]
    fn both_names_of_the_page_are_known_and_silence_has_its_meaning() {
        let google = begun(
            r#"{"device_code":"D","user_code":"ABCD-EFGH","verification_url":"https://www.google.com/device","expires_in":1800,"interval":5}"#,
        )
        .expect("Google's");
        assert_eq!(
            (google.page.as_str(), google.complete),
            ("https://www.google.com/device", None)
        );
        assert_eq!(
            (google.user_code.as_str(), google.life, google.interval),
            ("ABCD-EFGH", 1800, 5)
        );
        let least =
            begun(&format!(r#"{{"device_code":"D","user_code":"X",{URL},"interval":null}}"#));
        let least = least.expect("the least");
        assert_eq!((least.life, least.interval), (LIFE, 5));
        let odd = begun(&format!(
            r#"{{"device_code":"D","user_code":"X",{URL},"expires_in":"60","interval":0.2,
                "verification_uri_complete":"https://a.example/d?c=X"}}"#
        ));
        let odd = odd.expect("odd numbers");
        assert_eq!((odd.life, odd.interval), (60, 1));
        assert_eq!(odd.complete.as_deref(), Some("https://a.example/d?c=X"));
    }

    #[test]
    fn what_cannot_be_shown_or_used_is_named() {
        for (body, what) in [
            (format!(r#"{{"user_code":"X",{URL}}}"#), "device_code"),
            (format!(r#"{{"device_code":"D",{URL}}}"#), "user_code"),
            (
                format!(r#"{{"device_code":"D","user_code":"a\u001b[31m",{URL}}}"#),
                "nobody can type",
            ),
            (
                format!(r#"{{"device_code":"D","user_code":"{}",{URL}}}"#, "x".repeat(65)),
                "nobody can type",
            ),
            (r#"{"device_code":"D","user_code":"X"}"#.to_owned(), "verification_uri is missing"),
            (
                r#"{"device_code":"D","user_code":"X","verification_uri":"javascript:alert(1)"}"#
                    .to_owned(),
                "verification_uri",
            ),
            (
                r#"{"device_code":"D","user_code":"X","verification_uri":"http://a.example/"}"#
                    .to_owned(),
                "neither https",
            ),
            (
                format!(r#"{{"device_code":"D","user_code":"X",{URL},"interval":"soon"}}"#),
                "interval",
            ),
            ("[]".to_owned(), "host: the answer"),
            ("<html>".to_owned(), "host: the answer"),
        ] {
            let error = begun(&body).expect_err(&body);
            assert_eq!(error.kind(), ErrorKind::NoAnswer, "{body}");
            assert!(error.message().contains(what), "{body}: {error}");
        }
        let refused =
            read(&answered(403, r#"{"error_code":"rate_limit_exceeded"}"#), "host", "Google");
        assert_eq!(refused.expect_err("a quota").kind(), ErrorKind::Refused);
        let refused = read(&answered(401, r#"{"error":"invalid_client"}"#), "host", "Google");
        assert!(refused.expect_err("a client").message().contains("Google says invalid_client"));
    }

    #[test]
    fn the_code_of_an_error_counts_and_not_its_status() {
        let polled = |status, code: &str| {
            let body = format!(r#"{{"error":"{code}"}}"#);
            read_poll(&answered(status, &body), "host", "Google", 0)
        };
        for status in [400, 403, 428] {
            assert!(matches!(polled(status, "authorization_pending"), Ok(Polled::Pending)));
            assert!(matches!(polled(status, "slow_down"), Ok(Polled::SlowDown)));
            assert!(matches!(polled(status, "access_denied"), Ok(Polled::Denied)));
            assert!(matches!(polled(status, "expired_token"), Ok(Polled::Expired)));
            assert!(matches!(polled(status, "invalid_grant"), Ok(Polled::Unknown(_))));
            assert!(polled(status, "invalid_client").is_err());
        }
        assert!(matches!(polled(503, "backend_error"), Ok(Polled::SlowDown)));
        assert!(polled(302, "x").is_err());
        let granted =
            read_poll(&answered(200, r#"{"access_token":"ya29.x"}"#), "host", "Google", 0);
        assert!(matches!(granted, Ok(Polled::Granted(_))));
        assert!(read_poll(&answered(200, "<html>"), "host", "Google", 0).is_err());
    }

    #[test]
    fn scopes_that_no_device_gets_are_refused_by_name() {
        let scopes = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let tube = format!("{YOUTUBE}.readonly");
        assert!(check_scopes(&scopes(&["openid", "email", ALLOWED[5], &tube])).is_ok());
        let error = check_scopes(&scopes(&["openid", crate::token::CLOUD_PLATFORM]));
        let error = error.expect_err("cloud-platform");
        assert_eq!(error.kind().exit_code(), 7);
        assert!(error.message().contains("cloud-platform to no device"), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("--no-browser")));
    }
}
