//! Reauthentication: an organisation can require its users to prove their identity again from time to time. The result
//! is a reauthentication proof token (RAPT), which is sent with the refresh token from then on.
//!
//! A session is started with an access token for [`REAUTH_SCOPE`] and returns challenges. The client responds to them
//! until the session returns the RAPT. gauth can respond to a password challenge only: SAML requires a browser, and a
//! security key requires a program of its own.

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::net::endpoint_policy;
use crate::net::message::{HttpRequest, HttpResponse, RetryPolicy};
use crate::net::url::Url;
use crate::oauth::metrics::metrics_header;
use crate::oauth::response;
use crate::text::bearer_token::{self, authorization_header};
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::{self, Secret};

/// The root URL of Google's reauthentication server.
pub const DEFAULT_SERVER: &str = "https://reauth.googleapis.com";

/// The scope that a login needs for reauthentication.
pub const REAUTH_SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";

/// The maximum number of challenges that gauth responds to in one session.
pub(crate) const MAX_CHALLENGES: usize = 5;

/// The challenge types that gauth reports as supported. For the last two it tells the user what else to do.
const SUPPORTED_CHALLENGE_TYPES: [&str; 3] = ["PASSWORD", "SECURITY_KEY", "SAML"];

/// The maximum length of a session ID and of a challenge ID, in bytes.
const MAX_ID_BYTES: usize = 1024;

/// The characters that are percent-encoded in a path segment: all but the unreserved ones (RFC 3986, 2.3).
const PATH_SEGMENT_ENCODE_SET: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The reauthentication server for logins at `token_endpoint`: Google's, or a test server on a loopback address. `None`:
/// the token endpoint is not Google's, and no password may be sent there.
pub(crate) fn server_for_token_endpoint(token_endpoint: &Url) -> Option<Url> {
    match token_endpoint.is_loopback() {
        true => Url::parse(token_endpoint.origin()).ok(),
        false if endpoint_policy::is_google_token_endpoint(token_endpoint) => Url::parse(DEFAULT_SERVER).ok(),
        false => None,
    }
}

/// The state of a reauthentication session.
#[derive(Debug)]
pub enum ReauthSessionState {
    /// The user has proved their identity; the value is the RAPT.
    Authenticated(Secret),
    /// The user has to respond to one of the challenges.
    ChallengeRequired {
        /// The ID of the session.
        session_id: String,
        /// The challenges that are ready for a response, in the server's order.
        challenges: Vec<ReauthChallenge>,
        /// Whether the status is `CHALLENGE_PENDING`, which follows a correct response where more challenges remain.
        pending: bool,
    },
    /// The session has ended without a RAPT; the value is the server's status.
    Ended(String),
}

/// One challenge of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReauthChallenge {
    /// The ID of the challenge: a string or a number, which has to be sent back as it is.
    pub id: Value,
    /// The kind of proof that the challenge requires.
    pub challenge_type: ChallengeType,
}

/// The kind of proof that a challenge requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChallengeType {
    /// The password of the account.
    Password,
    /// A security key, by WebAuthn or U2F.
    SecurityKey,
    /// A sign-in at the organisation's identity provider in a browser.
    Saml,
    /// Any other type, with the server's name for it.
    Other(String),
}

impl ChallengeType {
    /// The name in messages to the user.
    pub fn description(&self) -> String {
        match self {
            ChallengeType::Password => "the password".to_owned(),
            ChallengeType::SecurityKey => "a security key".to_owned(),
            ChallengeType::Saml => "a sign-in in the browser (SAML)".to_owned(),
            ChallengeType::Other(name) => format!("\"{name}\""),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartSessionBody<'a> {
    supported_challenge_types: [&'a str; 3],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    oauth_scopes_for_domain_policy_lookup: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContinueSessionBody<'a> {
    session_id: &'a str,
    challenge_id: &'a Value,
    action: &'a str,
    proposal_response: ProposalResponseBody<'a>,
}

#[derive(Serialize)]
struct ProposalResponseBody<'a> {
    #[serde(serialize_with = "secret::serialize")]
    credential: &'a Secret,
}

/// Builds the request that starts a session. `scopes` are those of the access token that is needed: the organisation's
/// policy may depend on them.
///
/// # Errors
/// When the URL of the session is invalid.
pub(crate) fn start_session_request(server: &Url, token: &Secret, scopes: &[String]) -> Result<HttpRequest> {
    let body = StartSessionBody {
        supported_challenge_types: SUPPORTED_CHALLENGE_TYPES,
        oauth_scopes_for_domain_policy_lookup: scopes,
    };
    Ok(HttpRequest::json(session_url(server, "/v2/sessions:start")?, &body)
        .secret_header("authorization", authorization_header(token))
        .header("x-goog-api-client", metrics_header("auth-request-type/re-start")))
}

/// Builds the request that responds to a challenge with a password. An empty password is sent as one space, which the
/// server requires.
///
/// # Errors
/// As `start_session_request`.
pub fn continue_session_request(
    server: &Url,
    token: &Secret,
    session_id: &str,
    challenge_id: &Value,
    password: &Secret,
) -> Result<HttpRequest> {
    let space = Secret::new(" ");
    let credential = if password.is_empty() { &space } else { password };
    let session_body = ContinueSessionBody {
        session_id,
        challenge_id,
        action: "RESPOND",
        proposal_response: ProposalResponseBody { credential },
    };
    let name = percent_encoding::utf8_percent_encode(session_id, PATH_SEGMENT_ENCODE_SET);
    let url = session_url(server, &format!("/v2/sessions/{name}:continue"))?;
    // The buffer must not grow, because that would leave a copy of the password in memory. An escaped character takes six
    // bytes at most.
    let capacity = 6 * (credential.len() + session_id.len() + MAX_ID_BYTES);
    let mut body = Zeroizing::new(Vec::with_capacity(capacity));
    let written = serde_json::to_writer(&mut *body, &session_body);
    written.map_err(|_| Error::unexpected("the response to a challenge cannot be written"))?;
    // The server counts wrong passwords, so the request is not repeated.
    let mut request = HttpRequest::json(url, &()).retry_policy(RetryPolicy::OnlyIfUnsent);
    request.body = Some(body);
    Ok(request
        .secret_header("authorization", authorization_header(token))
        .header("x-goog-api-client", metrics_header("auth-request-type/re-cont")))
}

fn session_url(server: &Url, path: &str) -> Result<Url> {
    let server = server.as_str().trim_end_matches('/');
    Url::parse(&format!("{server}{path}")).map_err(|what| {
        Error::no_answer(format!("{server}: the URL of the session {what}"))
            .hint("try again later; gauth -vv shows the exchange")
    })
}

/// Reads the state of a session, after its start and after each response.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer` naming the invalid field.
pub fn read_session(response: &HttpResponse, host: &str) -> Result<ReauthSessionState> {
    let invalid = |what: String| response::invalid_response(response, host, &what);
    let invalid_field = |what: String| invalid(format!("is not understood, {what}"));
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let status = fields.required("status").map_err(invalid_field)?;
    match status.as_str() {
        "AUTHENTICATED" => {
            let rapt = fields.required_secret("encodedProofOfReauthToken").map_err(invalid_field)?;
            match bearer_token::is_well_formed_secret(&rapt) {
                true => Ok(ReauthSessionState::Authenticated(rapt)),
                false => Err(invalid_field("encodedProofOfReauthToken has invalid characters".to_owned())),
            }
        }
        "CHALLENGE_REQUIRED" | "CHALLENGE_PENDING" => {
            let session_id = read_id(&mut fields, "sessionId").map_err(invalid_field)?;
            let challenges = match fields.value("challenges") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) => ready_challenges(items).map_err(invalid_field)?,
                Some(_) => return Err(invalid_field("challenges is not a list".to_owned())),
            };
            let pending = status == "CHALLENGE_PENDING";
            Ok(ReauthSessionState::ChallengeRequired { session_id, challenges, pending })
        }
        other => Ok(ReauthSessionState::Ended(printable::redacted(other))),
    }
}

/// The challenges that are ready for a response.
fn ready_challenges(items: Vec<Value>) -> std::result::Result<Vec<ReauthChallenge>, String> {
    let mut ready_challenges = Vec::new();
    for item in items {
        let Value::Object(item) = item else {
            return Err("an item of challenges is not an object".to_owned());
        };
        let mut fields = JsonFields::new(item);
        if fields.text("status")?.as_deref() != Some("READY") {
            continue;
        }
        let challenge_type = match fields.required("challengeType")?.as_str() {
            "PASSWORD" => ChallengeType::Password,
            "SECURITY_KEY" => ChallengeType::SecurityKey,
            "SAML" => ChallengeType::Saml,
            other => ChallengeType::Other(printable::redacted(other)),
        };
        let id = match fields.remaining().get("challengeId") {
            Some(Value::Number(number)) => Value::from(number.clone()),
            _ => Value::from(read_id(&mut fields, "challengeId")?),
        };
        ready_challenges.push(ReauthChallenge { id, challenge_type });
    }
    Ok(ready_challenges)
}

fn read_id(fields: &mut JsonFields, field: &str) -> std::result::Result<String, String> {
    let id = fields.required(field)?;
    match id.len() <= MAX_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(id),
        false => Err(format!("{field} is not a valid ID")),
    }
}

/// Replaces an error whose text repeats the password: the filter for secrets does not find passwords of fewer than eight
/// characters.
pub fn without_password_echo(error: Error, password: &Secret, host: &str) -> Error {
    let messages = [Some(error.message()), error.hint_text()];
    if password.is_empty() || !messages.into_iter().flatten().any(|message| contains_password(message, password)) {
        return error;
    }
    let status_text = error.http_status().map_or(String::new(), |status| format!(" (status {status})"));
    Error::new(error.kind(), format!("{host}: the response{status_text} repeats the password"))
        .hint("gauth -vv shows the exchange without it")
}

fn contains_password(message: &str, password: &Secret) -> bool {
    password.occurs_in(message) || password.map(printable::text).occurs_in(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use serde_json::json;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn session_state(status: u16, body: &str) -> Result<ReauthSessionState> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        read_session(&HttpResponse { status, headers: Vec::new(), body }, "host")
    }

    fn body(request: &HttpRequest) -> Value {
        serde_json::from_slice(request.body.as_ref().expect("a body")).expect("JSON")
    }

    #[test]
    fn a_password_is_sent_only_to_google_or_a_loopback_server() {
        for (endpoint, expected) in [
            (crate::oauth::token::ENDPOINT, Some("https://reauth.googleapis.com/")),
            ("https://oauth2.mtls.googleapis.com/token", Some("https://reauth.googleapis.com/")),
            ("https://accounts.google.com/o/oauth2/token", Some("https://reauth.googleapis.com/")),
            ("http://127.0.0.1:8080/a/token?x=/y", Some("http://127.0.0.1:8080/")),
            ("https://[::1]/token", Some("https://[::1]/")),
            ("https://tokens.example/token", None),
            ("http://localhost:8080/token", None),
            ("https://svc.run.app/token", None),
        ] {
            let server = server_for_token_endpoint(&url(endpoint));
            assert_eq!(server.as_ref().map(Url::as_str), expected, "{endpoint}");
        }
    }

    #[test]
    fn a_session_is_started_with_the_needed_scopes() {
        let token = Secret::new("ya29.for-this-alone");
        let server = url("https://reauth.googleapis.com/");
        let request = start_session_request(&server, &token, &["openid".to_owned()]).expect("a request");
        assert_eq!(request.url.as_str(), "https://reauth.googleapis.com/v2/sessions:start");
        let types = json!(["PASSWORD", "SECURITY_KEY", "SAML"]);
        let lookup = "oauthScopesForDomainPolicyLookup";
        let expected = json!({"supportedChallengeTypes": types, lookup: ["openid"]});
        assert_eq!(body(&request), expected);
        let request = start_session_request(&server, &token, &[]).expect("a request");
        assert_eq!(body(&request), json!({"supportedChallengeTypes": types}));
    }

    #[test]
    fn a_password_is_sent_to_its_challenge_and_an_empty_one_as_a_space() {
        let token = Secret::new("ya29.for-this-alone");
        let server = url("http://127.0.0.1:80/");
        for (session, path) in [("abc-1", "abc-1"), ("a/b?c", "a%2Fb%3Fc"), ("..", "..")] {
            for (typed, sent) in [("hunter2", "hunter2"), ("", " "), ("\"\u{1}ä", "\"\u{1}ä")] {
                let password = Secret::new(typed);
                let id = json!(7);
                let request = continue_session_request(&server, &token, session, &id, &password).expect("a request");
                let expected = format!("http://127.0.0.1/v2/sessions/{path}:continue");
                assert_eq!(request.url.as_str(), expected);
                assert_eq!(request.retry_policy, RetryPolicy::OnlyIfUnsent);
                let expected = json!({"sessionId": session, "challengeId": 7, "action": "RESPOND",
                    "proposalResponse": {"credential": sent}});
                assert_eq!(body(&request), expected);
            }
        }
    }

    #[test]
    fn every_session_state_is_distinguished() {
        let rapt = session_state(200, r#"{"status":"AUTHENTICATED","encodedProofOfReauthToken":"p"}"#);
        assert!(matches!(rapt, Ok(ReauthSessionState::Authenticated(proof)) if proof.expose() == "p"));
        for status in ["CHALLENGE_REQUIRED", "CHALLENGE_PENDING"] {
            let body = json!({"status": status, "sessionId": "s", "challenges": [
                {"status": "PROPOSED", "challengeId": 1, "challengeType": "SAML"},
                {"challengeId": 1},
                {"status": "READY", "challengeId": 2, "challengeType": "SECURITY_KEY", "securityKey": {}},
                {"status": "READY", "challengeId": "x", "challengeType": "PASSWORD"},
                {"status": "READY", "challengeId": 4, "challengeType": "FAX\u{7}"},
            ]});
            let Ok(ReauthSessionState::ChallengeRequired { session_id: session, challenges, pending }) =
                session_state(200, &body.to_string())
            else {
                panic!("{status}")
            };
            assert_eq!((session.as_str(), pending), ("s", status.ends_with("PENDING")));
            let challenge = |id, kind| ReauthChallenge { id, challenge_type: kind };
            let expected = [
                challenge(json!(2), ChallengeType::SecurityKey),
                challenge(json!("x"), ChallengeType::Password),
                challenge(json!(4), ChallengeType::Other("FAX\\u{7}".to_owned())),
            ];
            assert_eq!(challenges, expected);
        }
        let over = session_state(200, r#"{"status":"LOCKED\n"}"#);
        assert!(matches!(over, Ok(ReauthSessionState::Ended(status)) if status == "LOCKED\\n"));
        let none = session_state(200, r#"{"status":"CHALLENGE_PENDING","sessionId":"s"}"#);
        assert!(matches!(none, Ok(ReauthSessionState::ChallengeRequired { challenges, .. }) if challenges.is_empty()));
    }

    #[test]
    fn an_invalid_session_is_an_invalid_response() {
        for (status, body) in [
            (200, "<html>"),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"status":5}"#),
            (200, r#"{"status":"AUTHENTICATED"}"#),
            (200, r#"{"status":"AUTHENTICATED","encodedProofOfReauthToken":"a b"}"#),
            (200, r#"{"status":"AUTHENTICATED","encodedProofOfReauthToken":5}"#),
            (200, r#"{"status":"CHALLENGE_REQUIRED"}"#),
            (200, r#"{"status":"CHALLENGE_REQUIRED","sessionId":"a b"}"#),
            (200, r#"{"status":"CHALLENGE_REQUIRED","sessionId":"s","challenges":{}}"#),
            (200, r#"{"status":"CHALLENGE_REQUIRED","sessionId":"s","challenges":[5]}"#),
            (200, r#"{"status":"CHALLENGE_REQUIRED","sessionId":"s","challenges":[{"status":"READY"}]}"#),
            (
                200,
                r#"{"status":"CHALLENGE_REQUIRED","sessionId":"s","challenges":[{"status":"READY","challengeType":"SAML","challengeId":[]}]}"#,
            ),
            (503, "{}"),
            (204, ""),
        ] {
            let error = session_state(status, body).expect_err(body);
            assert_eq!(error.kind(), ErrorKind::NoAnswer, "{body}");
        }
        let refused = session_state(401, r#"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#);
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::Refused);
    }

    #[test]
    fn an_error_does_not_repeat_the_password() {
        let refused = |password: &str, message: &str| {
            let error = Error::refused(message).with_status(400);
            without_password_echo(error, &Secret::new(password), "host").message().to_owned()
        };
        assert_eq!(refused("pw", "no"), "no");
        assert_eq!(refused("", "no"), "no");
        assert_eq!(refused("pw", "pw is bad"), "host: the response (status 400) repeats the password");
        assert_eq!(refused("p\tw", "p\\tw?"), "host: the response (status 400) repeats the password");
    }
}
