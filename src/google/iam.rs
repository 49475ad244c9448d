//! IAM Service Account Credentials: tokens and signatures in the name of a service account.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::google::{answer, bearer, metrics, token};
use crate::http::{HttpRequest, HttpResponse};
use crate::json::Fields;
use crate::printable;
use crate::secret::Secret;
use crate::token::{Token, well_formed};
use crate::url::Url;

/// Where the service is, in the default universe.
pub const HOST: &str = "iamcredentials.googleapis.com";

/// The shortest life of a token that may be asked for, in seconds.
pub const SHORTEST_LIFE: u32 = 600;
/// The longest, in seconds; above an hour an organisation's policy must allow it.
pub const LONGEST_LIFE: u32 = 43_200;
/// What is asked for when nobody says, in seconds.
pub const USUAL_LIFE: u32 = 3600;

/// What a service account is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// An access token.
    GenerateAccessToken,
    /// A signature over claims.
    SignJwt,
    /// An ID token.
    GenerateIdToken,
}

impl Method {
    /// As it stands behind the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::GenerateAccessToken => "generateAccessToken",
            Method::SignJwt => "signJwt",
            Method::GenerateIdToken => "generateIdToken",
        }
    }
}

/// A service account at its URL, without the method: `…/v1/projects/-/serviceAccounts/EMAIL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    base: String,
    /// The account: an e-mail address or a number.
    pub account: String,
}

impl Target {
    /// The account an impersonation URL names: between its last `/` and `:generateAccessToken`.
    pub fn of_url(url: &Url) -> Option<Target> {
        let (base, method) = url.as_str().rsplit_once(':')?;
        let account = base.rsplit('/').next().filter(|account| !account.is_empty())?;
        // Google's own libraries write the one, Node's reads the other as well.
        let known = ["generateAccessToken", "generateIdToken"].contains(&method);
        (known && !account.contains('?'))
            .then(|| Target { base: base.to_owned(), account: account.to_owned() })
    }

    /// An account at a server, as in `https://iamcredentials.googleapis.com`.
    pub fn at(server: &str, account: &str) -> Target {
        let server = server.trim_end_matches('/');
        let base = format!("{server}/v1/projects/-/serviceAccounts/{account}");
        Target { base, account: account.to_owned() }
    }

    /// The URL of a method.
    ///
    /// # Errors
    /// Usage, when the account does not fit into one.
    pub fn url(&self, method: Method) -> Result<Url> {
        Url::parse(&format!("{}:{}", self.base, method.as_str())).map_err(|what| {
            let account = printable::text(&self.account);
            Error::usage(format!("the URL of the service account {account} {what}"))
                .hint("name it by its e-mail address, as in ci@my-project.iam.gserviceaccount.com")
        })
    }

    /// What decides which account it is, and where.
    pub fn as_str(&self) -> &str {
        &self.base
    }
}

#[derive(Serialize)]
struct AccessBody<'a> {
    delegates: Option<&'a [String]>,
    scope: &'a [String],
    lifetime: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdBody<'a> {
    audience: &'a str,
    delegates: Option<&'a [String]>,
    include_email: bool,
}

#[derive(Serialize)]
struct SignBody<'a> {
    delegates: Option<&'a [String]>,
    payload: &'a str,
}

/// Asks for an access token. `lifetime` in seconds; `delegates` as [`delegate`] names them.
///
/// # Errors
/// As [`Target::url`].
pub fn access_token(
    target: &Target,
    source: &Token,
    delegates: &[String],
    scopes: &[String],
    lifetime: u32,
) -> Result<HttpRequest> {
    let body =
        AccessBody { delegates: some(delegates), scope: scopes, lifetime: format!("{lifetime}s") };
    Ok(signed(HttpRequest::json(target.url(Method::GenerateAccessToken)?, &body), source, "at"))
}

/// Asks for an ID token for `audience`, with the account's address or without.
///
/// # Errors
/// As [`Target::url`].
pub fn id_token(
    target: &Target,
    source: &Token,
    delegates: &[String],
    audience: &str,
    email: bool,
) -> Result<HttpRequest> {
    let body = IdBody { audience, delegates: some(delegates), include_email: email };
    let url = target.url(Method::GenerateIdToken)?;
    Ok(signed(HttpRequest::json(url, &body), source, "it"))
}

/// Asks for a signature over claims, which are JSON.
///
/// # Errors
/// As [`Target::url`].
pub fn sign_jwt(
    target: &Target,
    source: &Token,
    delegates: &[String],
    claims: &str,
) -> Result<HttpRequest> {
    let body = SignBody { delegates: some(delegates), payload: claims };
    Ok(signed(HttpRequest::json(target.url(Method::SignJwt)?, &body), source, "at"))
}

fn some(delegates: &[String]) -> Option<&[String]> {
    Some(delegates).filter(|delegates| !delegates.is_empty())
}

/// With the source's token, the project that pays for the source's requests, and what Google counts by: signatures
/// are asked for on the way to an access token, too.
fn signed(request: HttpRequest, source: &Token, counted_as: &str) -> HttpRequest {
    let suffix = format!("auth-request-type/{counted_as} cred-type/imp");
    let request = request
        .secret_header("authorization", bearer(&source.secret))
        .header("x-goog-api-client", metrics(&suffix));
    match &source.quota_project {
        Some(project) => request.header("x-goog-user-project", project.clone()),
        None => request,
    }
}

/// An account as a link of a chain of delegation.
pub fn delegate(account: &str) -> String {
    format!("projects/-/serviceAccounts/{account}")
}

/// An access token and its end in Unix seconds, `None` where the server did not say.
///
/// # Errors
/// As for any answer.
pub fn read_access_token(response: &HttpResponse, host: &str) -> Result<(Secret, Option<i64>)> {
    let mut fields = Fields::new(answer::object(response, host)?);
    let in_answer =
        |what: String| answer::unusable(response, host, &format!("is not understood, {what}"));
    let token = fields.needed_secret("accessToken").map_err(in_answer)?;
    if !well_formed(token.expose()) {
        let what = "holds an accessToken that no header can carry";
        return Err(answer::unusable(response, host, what));
    }
    let end = match fields.text("expireTime").map_err(in_answer)? {
        None => None,
        Some(text) => Some(text.parse::<jiff::Timestamp>().map_err(|_| {
            in_answer("expireTime is not a time like 2026-01-02T03:04:05Z".to_owned())
        })?),
    };
    Ok((token, end.map(jiff::Timestamp::as_second)))
}

/// An ID token.
///
/// # Errors
/// As for any answer.
pub fn read_id_token(response: &HttpResponse, host: &str) -> Result<Secret> {
    let token = read_jwt(response, host, "token")?;
    match token::is_id_token(&token) {
        true => Ok(token),
        false => Err(answer::unusable(response, host, "is not understood, token is no JWT")),
    }
}

/// A signed JWT.
///
/// # Errors
/// As for any answer.
pub fn read_signed_jwt(response: &HttpResponse, host: &str) -> Result<Secret> {
    read_jwt(response, host, "signedJwt")
}

fn read_jwt(response: &HttpResponse, host: &str, field: &str) -> Result<Secret> {
    let mut fields = Fields::new(answer::object(response, host)?);
    let in_answer =
        |what: String| answer::unusable(response, host, &format!("is not understood, {what}"));
    let token = fields.needed_secret(field).map_err(in_answer)?;
    match well_formed(token.expose()) {
        true => Ok(token),
        false => Err(in_answer(format!("{field} is no JWT"))),
    }
}

/// What a refusal means: `who` asked for a token of `account`.
pub fn explain(error: Error, response: &HttpResponse, who: &str, account: &str) -> Error {
    if error.kind() != ErrorKind::Refused {
        return error;
    }
    // What is not in IAM's own words comes from somebody in between.
    let Some(said) = answer::server_error(response) else {
        return error.hint_if_none(|| "check the name of the account and the network".to_owned());
    };
    let text = said.description.as_deref().unwrap_or_default();
    let (who, account) = (printable::text(who), printable::text(account));
    let refused = |hint: String| {
        Error::refused(format!("{who} may not act as {account}, {said}"))
            .with_status(response.status)
            .hint(hint)
    };
    match response.status {
        403 if text.contains("has not been used") || text.contains("is disabled") => refused(
            "gcloud services enable iamcredentials.googleapis.com in the project of the source"
                .to_owned(),
        ),
        403 => refused(format!(
            "grant roles/iam.serviceAccountTokenCreator on that service account to {who}, and wait a minute"
        )),
        404 => refused(format!(
            "check the name {account} and those of its delegates: one does not exist"
        )),
        401 => refused(format!("gauth token --refresh: the token of {who} is no longer accepted")),
        400 if text.to_lowercase().contains("lifetime") => error.hint(
            "ask for at most 1h with --lifetime, or have the organisation policy \
             constraints/iam.allowServiceAccountCredentialLifetimeExtension name the account",
        ),
        _ => error
            .hint_if_none(|| "check --scopes, --lifetime and the name of the account".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Value;
    use zeroize::Zeroizing;

    fn text(request: &HttpRequest) -> &str {
        std::str::from_utf8(request.body.as_ref().expect("body")).expect("text")
    }

    fn answered(status: u16, body: &str) -> HttpResponse {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        HttpResponse { status, headers: Vec::new(), body }
    }

    #[test]
    fn the_account_of_a_url_is_found_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["impersonation_url"].as_array().expect("cases") {
            let url = Url::parse(case["in"].as_str().expect("text")).expect("url");
            let target = Target::of_url(&url);
            assert_eq!(
                target.as_ref().map(|t| t.account.as_str()),
                case["principal"].as_str(),
                "{url}"
            );
            if let Some(target) = target {
                assert_eq!(target.url(Method::GenerateAccessToken).expect("url"), url);
            }
        }
    }

    #[test]
    fn requests_are_those_of_googles_libraries() {
        let target = Target::at("https://iamcredentials.googleapis.com", "T");
        let mut source = Token::new(Secret::new("ACCESS"), "authorized_user", None);
        source.quota_project = Some("qp".to_owned());
        let delegates = [delegate("D")];
        let scopes = ["a".to_owned(), "b".to_owned()];
        let request = access_token(&target, &source, &delegates, &scopes, 600).expect("request");
        assert_eq!(
            text(&request),
            r#"{"delegates":["projects/-/serviceAccounts/D"],"scope":["a","b"],"lifetime":"600s"}"#
        );
        assert!(request.headers.iter().any(|(name, _)| name == "x-goog-user-project"));
        let request = sign_jwt(&target, &source, &[], "{\"iss\":\"T\"}").expect("request");
        assert_eq!(text(&request), r#"{"delegates":null,"payload":"{\"iss\":\"T\"}"}"#);
        assert!(request.url.as_str().ends_with("/v1/projects/-/serviceAccounts/T:signJwt"));
        let metrics = request.headers.iter().find(|(name, _)| name == "x-goog-api-client");
        let suffix = "auth-request-type/at cred-type/imp";
        assert!(metrics.is_some_and(
            |(_, value)| matches!(value, Value::Plain(text) if text.ends_with(suffix))
        ));
    }

    #[test]
    fn times_with_fractions_and_offsets_are_read() {
        for (time, end) in [
            ("2026-01-02T04:04:05Z", Some(1_767_326_645)),
            ("2026-01-02T04:04:05.123456789Z", Some(1_767_326_645)),
            ("2026-01-02T05:04:05+01:00", Some(1_767_326_645)),
            ("tomorrow", None),
            ("2026-01-02", None),
            ("", None),
        ] {
            let body = format!("{{\"accessToken\":\"ya29.c\",\"expireTime\":\"{time}\"}}");
            let read = read_access_token(&answered(200, &body), "host");
            assert_eq!(read.ok().and_then(|(_, end)| end), end, "{time}");
        }
        for body in ["{}", "{\"accessToken\":\"a b\",\"expireTime\":\"2026-01-02T04:04:05Z\"}"] {
            assert_eq!(
                read_access_token(&answered(200, body), "host").expect_err(body).kind(),
                ErrorKind::NoAnswer
            );
        }
    }

    #[test]
    fn a_refusal_says_who_may_not_act_as_whom() {
        let body =
            r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#;
        let response = answered(403, body);
        let error = read_access_token(&response, "host").expect_err("refused");
        let error = explain(error, &response, "ada@example.com", "ci@p");
        assert_eq!(
            error.message(),
            "ada@example.com may not act as ci@p, Google says PERMISSION_DENIED: \"Permission denied\""
        );
        assert!(
            error
                .hint_text()
                .expect("hint")
                .starts_with("grant roles/iam.serviceAccountTokenCreator")
        );
    }
}
