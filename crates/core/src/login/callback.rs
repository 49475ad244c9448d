//! Recognises the authorization response among the requests to the loopback port (RFC 8252, 8.3; RFC 9207).
//!
//! Any program on this machine and any web page can send a request to the port. A request without the right `state` has
//! no effect, even if it has an error.

use crate::http::server::http::ServerRequest;
use crate::text::secret::Secret;

/// The properties of the expected authorization response.
#[derive(Debug)]
pub struct ExpectedCallback {
    /// The path of the redirect URI.
    pub path: String,
    /// The value of the `Host` header, including the port.
    pub host: String,
    /// The `state` of the authorization request.
    pub state: String,
    /// The issuer identifier of the server.
    pub issuer: Option<String>,
    /// Whether the server always sends the parameter `iss` (RFC 9207).
    pub sends_issuer: bool,
}

/// The content of an authorization response.
#[derive(Debug)]
pub enum CallbackResult {
    /// An authorization code (RFC 6749, 4.1.2).
    Code(Secret),
    /// An error (RFC 6749, 4.1.2.1).
    Error {
        /// The error code, such as `access_denied`.
        code: String,
        /// The server's description of the error.
        description: Option<String>,
    },
}

impl ExpectedCallback {
    /// Reads the authorization response in a request.
    ///
    /// # Errors
    /// Why the request is not the expected one, for the notes of `-v`.
    pub fn check_request(&self, request: &ServerRequest) -> Result<CallbackResult, &'static str> {
        if request.method != "GET" {
            return Err("another method than GET");
        }
        if request.path != self.path {
            return Err("another path");
        }
        let host = request.header("host").unwrap_or_default();
        if !host.eq_ignore_ascii_case(&self.host) {
            return Err("another host");
        }
        self.parse_parameters(&request.query)
    }

    /// Reads the parameters of an authorization response.
    ///
    /// # Errors
    /// Why the parameters are not the expected ones, in a short phrase.
    pub(crate) fn parse_parameters(&self, parameters: &[(String, String)]) -> Result<CallbackResult, &'static str> {
        let single = |name: &str| {
            let mut found = parameters.iter().filter(|(known, _)| known == name);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Ok(Some(value.as_str())),
                (Some(_), Some(_)) => Err("a repeated parameter"),
                (None, _) => Ok(None),
            }
        };
        let state = single("state")?.ok_or("no state")?;
        if state != self.state {
            return Err("another state");
        }
        match (single("iss")?, &self.issuer) {
            (Some(received), Some(issuer)) if received != issuer => {
                return Err("another issuer (iss)");
            }
            (None, Some(_)) if self.sends_issuer => return Err("no issuer (iss)"),
            _ => {}
        }
        match (single("code")?, single("error")?) {
            (Some(code), None) if is_authorization_code(code) => Ok(CallbackResult::Code(Secret::new(code))),
            (Some(_), None) => Err("an invalid code"),
            (None, Some(error)) if !error.is_empty() => Ok(CallbackResult::Error {
                code: error.to_owned(),
                description: single("error_description")?.map(str::to_owned),
            }),
            (Some(_), Some(_)) => Err("both a code and an error"),
            _ => Err("neither a code nor an error"),
        }
    }
}

/// Whether a text can be an authorization code: visible ASCII characters (RFC 6749, appendix A.11), 4096 at most.
pub(crate) fn is_authorization_code(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::server::connection;

    fn expected(sends_issuer: bool) -> ExpectedCallback {
        ExpectedCallback {
            path: "/".to_owned(),
            host: "127.0.0.1:9".to_owned(),
            state: "STATE".to_owned(),
            issuer: Some("https://accounts.google.com".to_owned()),
            sends_issuer,
        }
    }

    /// Checks a request with this head.
    fn check_head(head: &str, sends_issuer: bool) -> Result<CallbackResult, &'static str> {
        let bytes = format!("{head}\r\n\r\n");
        let (request, _) = connection::parse_request_head(bytes.as_bytes()).expect("a request");
        expected(sends_issuer).check_request(&request)
    }

    fn get(target: &str) -> Result<CallbackResult, &'static str> {
        check_head(&format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:9"), false)
    }

    #[test]
    fn the_expected_response_is_accepted() {
        for target in [
            "/?code=4/x&state=STATE",
            "/?state=STATE&code=4%2Fx&scope=a+b&authuser=0&prompt=consent",
            "/?state=STATE&iss=https%3A%2F%2Faccounts.google.com&code=4/x",
        ] {
            match get(target) {
                Ok(CallbackResult::Code(code)) => {
                    assert!(code.constant_time_eq(&Secret::new("4/x")), "{target}")
                }
                other => panic!("{target}: {other:?}"),
            }
        }
        match get("/?error=access_denied&state=STATE&error_description=no%20way") {
            Ok(CallbackResult::Error { code, description }) => {
                assert_eq!((&*code, description.as_deref()), ("access_denied", Some("no way")));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn any_other_request_is_refused() {
        for (target, why) in [
            ("/", "no state"),
            ("/favicon.ico", "another path"),
            ("/x?code=c&state=STATE", "another path"),
            ("//?code=c&state=STATE", "another path"),
            ("/?code=c", "no state"),
            ("/?code=c&state=", "another state"),
            ("/?code=c&state=state", "another state"),
            ("/?code=c&state=STATE2", "another state"),
            ("/?code=c&state=STATE&state=STATE", "a repeated parameter"),
            ("/?code=c&state=x&state=STATE", "a repeated parameter"),
            ("/?code=c&code=d&state=STATE", "a repeated parameter"),
            ("/?error=access_denied", "no state"),
            ("/?error=access_denied&state=x", "another state"),
            ("/?error=&state=STATE", "neither a code nor an error"),
            ("/?error=e&code=c&state=STATE", "both a code and an error"),
            ("/?code=&state=STATE", "an invalid code"),
            ("/?code=a%20b&state=STATE", "an invalid code"),
            ("/?code=a%0Ab&state=STATE", "an invalid code"),
            ("/?state=STATE", "neither a code nor an error"),
            ("/?code=c&state=STATE&iss=https://evil.example", "another issuer (iss)"),
            ("/?code=c&state=STATE&iss=", "another issuer (iss)"),
        ] {
            assert_eq!(get(target).expect_err(target), why, "{target}");
        }
        for (head, why) in [
            ("POST /?code=c&state=STATE HTTP/1.1\r\nHost: 127.0.0.1:9", "another method than GET"),
            ("HEAD /?code=c&state=STATE HTTP/1.1\r\nHost: 127.0.0.1:9", "another method than GET"),
            ("GET /?code=c&state=STATE HTTP/1.1\r\nHost: localhost:9", "another host"),
            ("GET /?code=c&state=STATE HTTP/1.1\r\nHost: 127.0.0.1", "another host"),
            ("GET /?code=c&state=STATE HTTP/1.1\r\nHost: evil.example:9", "another host"),
            ("GET /?code=c&state=STATE HTTP/1.0", "another host"),
        ] {
            assert_eq!(check_head(head, false).expect_err(head), why);
        }
        let silent = "GET /?code=c&state=STATE HTTP/1.1\r\nHost: 127.0.0.1:9";
        assert_eq!(check_head(silent, true).expect_err("iss is missing"), "no issuer (iss)");
    }
}
