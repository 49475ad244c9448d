//! Reauthentication: an organisation wants its people to prove again, from time to time, who they are. The proof
//! (RAPT) goes along with the refresh token from then on.
//!
//! A session is started with an access token for this alone, and names challenges; answers go to the session until it
//! has the proof. Only a password can be answered from here: SAML wants a browser, a security key its own program.

use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::google::{answer, bearer, metrics, token};
use crate::http::{HttpRequest, HttpResponse, Patience};
use crate::json::Fields;
use crate::printable;
use crate::secret::Secret;
use crate::trust;
use crate::url::Url;

/// Where Google asks.
pub const SERVER: &str = "https://reauth.googleapis.com";

/// What a login must have been made with, so that its person can be asked at all.
pub const SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";

/// How many challenges of one session are answered.
pub const ROUNDS: usize = 5;

/// What Google may ask for. The last two are named to the person, who has other ways.
const SUPPORTED: [&str; 3] = ["PASSWORD", "SECURITY_KEY", "SAML"];

/// The longest name of a session or challenge, in bytes.
const LONGEST_NAME: usize = 1024;

/// What a path does not have as it is (RFC 3986, 2.3).
const IN_PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The server that asks the people who get their tokens at `token_endpoint`: Google's, or the one on this machine
/// that stands for it. `None`: whoever gives the tokens is not Google, and nobody there is to see a password.
pub fn server(token_endpoint: &Url) -> Option<Url> {
    match token_endpoint.is_loopback() {
        true => {
            let origin = token_endpoint.as_str().strip_suffix(token_endpoint.path_and_query())?;
            Url::parse(origin).ok()
        }
        false if trust::is_googles(token_endpoint) => Url::parse(SERVER).ok(),
        false => None,
    }
}

/// What a session says.
#[derive(Debug)]
pub enum Next {
    /// The person has proved it.
    Proof(Secret),
    /// One of these is to be answered.
    Asked {
        /// The session's name.
        session: String,
        /// What can be answered now, in the server's order.
        challenges: Vec<Challenge>,
        /// Whether it goes on from a good answer, as far as the server tells.
        pending: bool,
    },
    /// It has ended without a proof, in the server's word.
    Over(String),
}

/// One way to prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its name within the session: a text, or a number that has to go back as one.
    pub id: Value,
    /// What is wanted.
    pub kind: Kind,
}

/// What a challenge wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The account's password.
    Password,
    /// A security key, by WebAuthn or U2F.
    SecurityKey,
    /// A sign-in at the organisation's own provider, by browser.
    Saml,
    /// Anything else, as the server calls it.
    Other(String),
}

impl Kind {
    /// As people say it.
    pub fn words(&self) -> String {
        match self {
            Kind::Password => "the password".to_owned(),
            Kind::SecurityKey => "a security key".to_owned(),
            Kind::Saml => "a sign-in in the browser (SAML)".to_owned(),
            Kind::Other(name) => format!("\"{name}\""),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    supported_challenge_types: [&'a str; 3],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    oauth_scopes_for_domain_policy_lookup: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    session_id: &'a str,
    challenge_id: &'a Value,
    action: &'a str,
    proposal_response: Proposal<'a>,
}

#[derive(Serialize)]
struct Proposal<'a> {
    credential: &'a str,
}

/// Starts a session. `scopes` are those of the token that is wanted: the organisation's rules go by them.
///
/// # Errors
/// What is wrong with the URL, as for [`Url::parse`].
pub fn start(server: &Url, token: &Secret, scopes: &[String]) -> Result<HttpRequest> {
    let wish = Start {
        supported_challenge_types: SUPPORTED,
        oauth_scopes_for_domain_policy_lookup: scopes,
    };
    Ok(HttpRequest::json(below(server, "/v2/sessions:start")?, &wish)
        .secret_header("authorization", bearer(token))
        .header("x-goog-api-client", metrics("auth-request-type/re-start")))
}

/// Answers a challenge with a password; an empty one is sent as one space, as the server wants it.
///
/// # Errors
/// As [`start`].
pub fn respond(
    server: &Url,
    token: &Secret,
    session: &str,
    challenge: &Value,
    password: &Secret,
) -> Result<HttpRequest> {
    let credential = if password.is_empty() { " " } else { password.expose() };
    let answer = Answer {
        session_id: session,
        challenge_id: challenge,
        action: "RESPOND",
        proposal_response: Proposal { credential },
    };
    let name = percent_encoding::utf8_percent_encode(session, IN_PATH);
    let url = below(server, &format!("/v2/sessions/{name}:continue"))?;
    // With room for all of it: no copy of the password is left behind by growing. A letter takes six bytes at most.
    let room = 6 * (credential.len() + session.len() + LONGEST_NAME);
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    let written = serde_json::to_writer(&mut *body, &answer);
    written.map_err(|_| Error::unexpected("the answer to a challenge cannot be written"))?;
    // A wrong answer counts: it is not sent twice.
    let mut request = HttpRequest::json(url, &()).patience(Patience::SingleUse);
    request.body = Some(body);
    Ok(request
        .secret_header("authorization", bearer(token))
        .header("x-goog-api-client", metrics("auth-request-type/re-cont")))
}

fn below(server: &Url, path: &str) -> Result<Url> {
    let server = server.as_str().trim_end_matches('/');
    Url::parse(&format!("{server}{path}")).map_err(|what| {
        Error::no_answer(format!("{server}: the URL of the session {what}"))
            .hint("try again later; gauth -vv shows the exchange")
    })
}

/// Reads what a session says, after the start and after each answer.
///
/// # Errors
/// `Refused` in the server's words; `NoAnswer`, naming what is wrong.
pub fn read(response: &HttpResponse, host: &str) -> Result<Next> {
    let unusable = |what: String| answer::unusable(response, host, &what);
    let in_answer = |what: String| unusable(format!("is not understood, {what}"));
    let mut fields = Fields::new(answer::object(response, host)?);
    let status = fields.needed("status").map_err(in_answer)?;
    match status.as_str() {
        "AUTHENTICATED" => {
            let proof = fields.needed_secret("encodedProofOfReauthToken").map_err(in_answer)?;
            match token::can_be_sent(&proof) {
                true => Ok(Next::Proof(proof)),
                false => Err(unusable("holds a proof that no form can carry".to_owned())),
            }
        }
        "CHALLENGE_REQUIRED" | "CHALLENGE_PENDING" => {
            let session = name(&mut fields, "sessionId").map_err(in_answer)?;
            let challenges = match fields.any("challenges") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) => ready(items).map_err(in_answer)?,
                Some(_) => return Err(in_answer("challenges is not a list".to_owned())),
            };
            let pending = status == "CHALLENGE_PENDING";
            Ok(Next::Asked { session, challenges, pending })
        }
        other => Ok(Next::Over(printable::said(other))),
    }
}

/// The challenges that wait for an answer.
fn ready(items: Vec<Value>) -> std::result::Result<Vec<Challenge>, String> {
    let mut ready = Vec::new();
    for item in items {
        let Value::Object(item) = item else {
            return Err("an item of challenges is not an object".to_owned());
        };
        let mut fields = Fields::new(item);
        if fields.text("status")?.as_deref() != Some("READY") {
            continue;
        }
        let kind = match fields.needed("challengeType")?.as_str() {
            "PASSWORD" => Kind::Password,
            "SECURITY_KEY" => Kind::SecurityKey,
            "SAML" => Kind::Saml,
            other => Kind::Other(printable::said(other)),
        };
        let id = match fields.rest().get("challengeId") {
            Some(Value::Number(number)) => Value::from(number.clone()),
            _ => Value::from(name(&mut fields, "challengeId")?),
        };
        ready.push(Challenge { id, kind });
    }
    Ok(ready)
}

fn name(fields: &mut Fields, field: &str) -> std::result::Result<String, String> {
    let name = fields.needed(field)?;
    match name.len() <= LONGEST_NAME && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(name),
        false => Err(format!("{field} is no name")),
    }
}

/// An error about an answer that may repeat the password: the filter does not know one of less than eight letters, so
/// then the server's words are left out.
pub fn without_password(error: Error, password: &Secret, host: &str) -> Error {
    let said = [Some(error.message()), error.hint_text()];
    if password.is_empty() || !said.into_iter().flatten().any(|said| repeats(said, password)) {
        return error;
    }
    let status = error.http_status().map_or(String::new(), |status| format!(" (status {status})"));
    Error::new(error.kind(), format!("{host}: the answer{status} repeats the password"))
        .hint("gauth -vv shows the exchange without it")
}

fn repeats(said: &str, password: &Secret) -> bool {
    let shown = printable::text(password.expose());
    said.contains(password.expose()) || said.contains(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use serde_json::json;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn said(status: u16, body: &str) -> Result<Next> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        read(&HttpResponse { status, headers: Vec::new(), body }, "host")
    }

    fn body(request: &HttpRequest) -> Value {
        serde_json::from_slice(request.body.as_ref().expect("a body")).expect("JSON")
    }

    #[test]
    fn only_google_and_what_stands_for_it_here_may_see_a_password() {
        for (endpoint, expected) in [
            (token::ENDPOINT, Some("https://reauth.googleapis.com/")),
            ("https://oauth2.mtls.googleapis.com/token", Some("https://reauth.googleapis.com/")),
            ("https://accounts.google.com/o/oauth2/token", Some("https://reauth.googleapis.com/")),
            ("http://127.0.0.1:8080/a/token?x=/y", Some("http://127.0.0.1:8080/")),
            ("https://[::1]/token", Some("https://[::1]/")),
            ("https://tokens.example/token", None),
            ("http://localhost:8080/token", None),
            ("https://svc.run.app/token", None),
        ] {
            let server = server(&url(endpoint));
            assert_eq!(server.as_ref().map(Url::as_str), expected, "{endpoint}");
        }
    }

    #[test]
    fn a_session_is_started_with_the_scopes_that_are_wanted() {
        let token = Secret::new("ya29.for-this-alone");
        let server = url("https://reauth.googleapis.com/");
        let asked = start(&server, &token, &["openid".to_owned()]).expect("a request");
        assert_eq!(asked.url.as_str(), "https://reauth.googleapis.com/v2/sessions:start");
        let types = json!(["PASSWORD", "SECURITY_KEY", "SAML"]);
        let lookup = "oauthScopesForDomainPolicyLookup";
        let expected = json!({"supportedChallengeTypes": types, lookup: ["openid"]});
        assert_eq!(body(&asked), expected);
        let asked = start(&server, &token, &[]).expect("a request");
        assert_eq!(body(&asked), json!({"supportedChallengeTypes": types}));
    }

    #[test]
    fn a_password_goes_to_its_challenge_and_an_empty_one_as_a_space() {
        let token = Secret::new("ya29.for-this-alone");
        let server = url("http://127.0.0.1:80/");
        for (session, path) in [("abc-1", "abc-1"), ("a/b?c", "a%2Fb%3Fc"), ("..", "..")] {
            for (typed, sent) in [("hunter2", "hunter2"), ("", " "), ("\"\u{1}ä", "\"\u{1}ä")] {
                let password = Secret::new(typed);
                let id = json!(7);
                let asked = respond(&server, &token, session, &id, &password).expect("a request");
                let expected = format!("http://127.0.0.1/v2/sessions/{path}:continue");
                assert_eq!(asked.url.as_str(), expected);
                assert_eq!(asked.patience, Patience::SingleUse);
                let expected = json!({"sessionId": session, "challengeId": 7, "action": "RESPOND",
                    "proposalResponse": {"credential": sent}});
                assert_eq!(body(&asked), expected);
            }
        }
    }

    #[test]
    fn every_state_of_a_session_is_told_from_the_others() {
        let proof = said(200, r#"{"status":"AUTHENTICATED","encodedProofOfReauthToken":"p"}"#);
        assert!(matches!(proof, Ok(Next::Proof(proof)) if proof.expose() == "p"));
        for status in ["CHALLENGE_REQUIRED", "CHALLENGE_PENDING"] {
            let body = json!({"status": status, "sessionId": "s", "challenges": [
                {"status": "PROPOSED", "challengeId": 1, "challengeType": "SAML"},
                {"challengeId": 1},
                {"status": "READY", "challengeId": 2, "challengeType": "SECURITY_KEY", "securityKey": {}},
                {"status": "READY", "challengeId": "x", "challengeType": "PASSWORD"},
                {"status": "READY", "challengeId": 4, "challengeType": "FAX\u{7}"},
            ]});
            let Ok(Next::Asked { session, challenges, pending }) = said(200, &body.to_string())
            else {
                panic!("{status}")
            };
            assert_eq!((session.as_str(), pending), ("s", status.ends_with("PENDING")));
            let challenge = |id, kind| Challenge { id, kind };
            let expected = [
                challenge(json!(2), Kind::SecurityKey),
                challenge(json!("x"), Kind::Password),
                challenge(json!(4), Kind::Other("FAX\\u{7}".to_owned())),
            ];
            assert_eq!(challenges, expected);
        }
        let over = said(200, r#"{"status":"LOCKED\n"}"#);
        assert!(matches!(over, Ok(Next::Over(status)) if status == "LOCKED\\n"));
        let none = said(200, r#"{"status":"CHALLENGE_PENDING","sessionId":"s"}"#);
        assert!(matches!(none, Ok(Next::Asked { challenges, .. }) if challenges.is_empty()));
    }

    #[test]
    fn what_is_no_session_is_no_answer() {
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
            (
                200,
                r#"{"status":"CHALLENGE_REQUIRED","sessionId":"s","challenges":[{"status":"READY"}]}"#,
            ),
            (
                200,
                r#"{"status":"CHALLENGE_REQUIRED","sessionId":"s","challenges":[{"status":"READY","challengeType":"SAML","challengeId":[]}]}"#,
            ),
            (503, "{}"),
            (204, ""),
        ] {
            let error = said(status, body).expect_err(body);
            assert_eq!(error.kind(), ErrorKind::NoAnswer, "{body}");
        }
        let refused = said(401, r#"{"error":{"status":"UNAUTHENTICATED","message":"no"}}"#);
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::Refused);
    }

    #[test]
    fn a_server_that_repeats_the_password_is_not_repeated() {
        let refused = |password: &str, message: &str| {
            let error = Error::refused(message).with_status(400);
            without_password(error, &Secret::new(password), "host").message().to_owned()
        };
        assert_eq!(refused("pw", "no"), "no");
        assert_eq!(refused("", "no"), "no");
        assert_eq!(
            refused("pw", "pw is bad"),
            "host: the answer (status 400) repeats the password"
        );
        assert_eq!(refused("p\tw", "p\\tw?"), "host: the answer (status 400) repeats the password");
    }
}
