//! IAM Service Account Credentials: tokens and signatures in the name of a service account.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::net::message::{HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::metrics::metrics_header;
use crate::oauth::{response, token};
use crate::text::bearer_token::authorization_header;
use crate::text::bearer_token::is_well_formed_secret;
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::Token;

/// Where the service is, in the default universe.
pub const HOST: &str = "iamcredentials.googleapis.com";

/// The shortest life of a token that may be asked for, in seconds.
pub const MIN_LIFETIME_SECONDS: u32 = 600;
/// The longest, in seconds; above an hour an organisation's policy must allow it.
pub const MAX_LIFETIME_SECONDS: u32 = 43_200;
/// What is asked for when nobody says, in seconds.
pub const DEFAULT_LIFETIME_SECONDS: u32 = 3600;

/// What a service account is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamCredentialsMethod {
    /// An access token.
    GenerateAccessToken,
    /// A signature over claims.
    SignJwt,
    /// An ID token.
    GenerateIdToken,
}

impl IamCredentialsMethod {
    /// As it stands behind the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            IamCredentialsMethod::GenerateAccessToken => "generateAccessToken",
            IamCredentialsMethod::SignJwt => "signJwt",
            IamCredentialsMethod::GenerateIdToken => "generateIdToken",
        }
    }
}

/// A service account at its URL, without the method: `…/v1/projects/-/serviceAccounts/EMAIL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetServiceAccount {
    base_url: String,
    /// The account: an e-mail address or a number.
    pub account: String,
}

impl TargetServiceAccount {
    /// The account an impersonation URL names: between its last `/` and `:generateAccessToken`.
    pub fn from_url(url: &Url) -> Option<TargetServiceAccount> {
        let (base, method) = url.as_str().rsplit_once(':')?;
        let account = base.rsplit('/').next().filter(|account| !account.is_empty())?;
        // Google's own libraries write the one, Node's reads the other as well.
        let known = ["generateAccessToken", "generateIdToken"].contains(&method);
        (known && !account.contains('?')).then(|| TargetServiceAccount {
            base_url: base.to_owned(),
            account: account.to_owned(),
        })
    }

    /// An account at a server, as in `https://iamcredentials.googleapis.com`.
    pub fn new(server: &str, account: &str) -> TargetServiceAccount {
        let server = server.trim_end_matches('/');
        let base = format!("{server}/v1/projects/-/serviceAccounts/{account}");
        TargetServiceAccount { base_url: base, account: account.to_owned() }
    }

    /// The URL of a method.
    ///
    /// # Errors
    /// Usage, when the account does not fit into one.
    pub fn url(&self, method: IamCredentialsMethod) -> Result<Url> {
        Url::parse(&format!("{}:{}", self.base_url, method.as_str())).map_err(|what| {
            let account = printable::text(&self.account);
            Error::usage(format!("the URL of the service account {account} {what}"))
                .hint("name it by its e-mail address, as in ci@my-project.iam.gserviceaccount.com")
        })
    }

    /// What decides which account it is, and where.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

#[derive(Serialize)]
struct GenerateAccessTokenBody<'a> {
    delegates: Option<&'a [String]>,
    scope: &'a [String],
    lifetime: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerateIdTokenBody<'a> {
    audience: &'a str,
    delegates: Option<&'a [String]>,
    include_email: bool,
}

#[derive(Serialize)]
struct SignJwtBody<'a> {
    delegates: Option<&'a [String]>,
    payload: &'a str,
}

/// Asks for an access token. `lifetime` in seconds; `delegates` as [`delegate`] names them.
///
/// # Errors
/// As [`Target::url`].
pub fn generate_access_token_request(
    target: &TargetServiceAccount,
    source: &Token,
    delegates: &[String],
    scopes: &[String],
    lifetime: u32,
) -> Result<HttpRequest> {
    let body = GenerateAccessTokenBody {
        delegates: non_empty(delegates),
        scope: scopes,
        lifetime: format!("{lifetime}s"),
    };
    Ok(with_source_token(
        HttpRequest::json(target.url(IamCredentialsMethod::GenerateAccessToken)?, &body),
        source,
        "at",
    ))
}

/// Asks for an ID token for `audience`, with the account's address or without.
///
/// # Errors
/// As [`Target::url`].
pub fn generate_id_token_request(
    target: &TargetServiceAccount,
    source: &Token,
    delegates: &[String],
    audience: &str,
    include_email: bool,
) -> Result<HttpRequest> {
    let body = GenerateIdTokenBody { audience, delegates: non_empty(delegates), include_email };
    let url = target.url(IamCredentialsMethod::GenerateIdToken)?;
    Ok(with_source_token(HttpRequest::json(url, &body), source, "it"))
}

/// Asks for a signature over claims, which are JSON.
///
/// # Errors
/// As [`Target::url`].
pub fn sign_jwt_request(
    target: &TargetServiceAccount,
    source: &Token,
    delegates: &[String],
    claims: &str,
) -> Result<HttpRequest> {
    let body = SignJwtBody { delegates: non_empty(delegates), payload: claims };
    Ok(with_source_token(
        HttpRequest::json(target.url(IamCredentialsMethod::SignJwt)?, &body),
        source,
        "at",
    ))
}

fn non_empty(delegates: &[String]) -> Option<&[String]> {
    Some(delegates).filter(|delegates| !delegates.is_empty())
}

/// With the source's token, the project that pays for the source's requests, and what Google counts by: signatures
/// are asked for on the way to an access token, too.
fn with_source_token(request: HttpRequest, source: &Token, request_type: &str) -> HttpRequest {
    let suffix = format!("auth-request-type/{request_type} cred-type/imp");
    let request = request
        .secret_header("authorization", authorization_header(&source.secret))
        .header("x-goog-api-client", metrics_header(&suffix));
    match &source.quota_project {
        Some(project) => request.header("x-goog-user-project", project.clone()),
        None => request,
    }
}

/// An account as a link of a chain of delegation.
pub fn delegate_resource_name(account: &str) -> String {
    format!("projects/-/serviceAccounts/{account}")
}

/// An access token and its end in Unix seconds, `None` where the server did not say.
///
/// # Errors
/// As for any answer.
pub fn read_access_token(response: &HttpResponse, host: &str) -> Result<(Secret, Option<i64>)> {
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let in_answer = |what: String| {
        response::invalid_response(response, host, &format!("is not understood, {what}"))
    };
    let token = fields.required_secret("accessToken").map_err(in_answer)?;
    if !is_well_formed_secret(&token) {
        let what = "holds an accessToken that no header can carry";
        return Err(response::invalid_response(response, host, what));
    }
    let expires_at = match fields.text("expireTime").map_err(in_answer)? {
        None => None,
        Some(text) => Some(text.parse::<jiff::Timestamp>().map_err(|_| {
            in_answer("expireTime is not a time like 2026-01-02T03:04:05Z".to_owned())
        })?),
    };
    Ok((token, expires_at.map(jiff::Timestamp::as_second)))
}

/// An ID token.
///
/// # Errors
/// As for any answer.
pub fn read_id_token(response: &HttpResponse, host: &str) -> Result<Secret> {
    let token = read_jwt(response, host, "token")?;
    match token::is_well_formed_jwt(&token) {
        true => Ok(token),
        false => {
            Err(response::invalid_response(response, host, "is not understood, token is no JWT"))
        }
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
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let in_answer = |what: String| {
        response::invalid_response(response, host, &format!("is not understood, {what}"))
    };
    let token = fields.required_secret(field).map_err(in_answer)?;
    match is_well_formed_secret(&token) {
        true => Ok(token),
        false => Err(in_answer(format!("{field} is no JWT"))),
    }
}

/// What a refusal means: `who` asked for a token of `account`.
pub fn explain_refusal(
    error: Error,
    response: &HttpResponse,
    source_principal: &str,
    account: &str,
) -> Error {
    if error.kind() != ErrorKind::Refused {
        return error;
    }
    // What is not in IAM's own words comes from somebody in between.
    let Some(server_error) = response::server_error(response) else {
        return error.hint_if_none(|| "check the name of the account and the network".to_owned());
    };
    let text = server_error.description.as_deref().unwrap_or_default();
    let (source_principal, account) = (printable::text(source_principal), printable::text(account));
    let refused = |hint: String| {
        Error::refused(format!("{source_principal} may not act as {account}, {server_error}"))
            .with_status(response.status)
            .hint(hint)
    };
    match response.status {
        403 if text.contains("has not been used") || text.contains("is disabled") => refused(
            "gcloud services enable iamcredentials.googleapis.com in the project of the source"
                .to_owned(),
        ),
        403 => refused(format!(
            "grant roles/iam.serviceAccountTokenCreator on that service account to {source_principal}, and wait a minute"
        )),
        404 => refused(format!(
            "check the name {account} and those of its delegates: one does not exist"
        )),
        401 => refused(format!(
            "gauth token --refresh: the token of {source_principal} is no longer accepted"
        )),
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
    use crate::net::message::HttpHeaderValue;
    use zeroize::Zeroizing;

    fn body_text(request: &HttpRequest) -> &str {
        std::str::from_utf8(request.body.as_ref().expect("body")).expect("text")
    }

    fn response(status: u16, body: &str) -> HttpResponse {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        HttpResponse { status, headers: Vec::new(), body }
    }

    #[test]
    fn the_account_of_a_url_is_found_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json"))
                .expect("vectors");
        for case in vectors["impersonation_url"].as_array().expect("cases") {
            let url = Url::parse(case["in"].as_str().expect("text")).expect("url");
            let target = TargetServiceAccount::from_url(&url);
            assert_eq!(
                target.as_ref().map(|t| t.account.as_str()),
                case["principal"].as_str(),
                "{url}"
            );
            if let Some(target) = target {
                assert_eq!(
                    target.url(IamCredentialsMethod::GenerateAccessToken).expect("url"),
                    url
                );
            }
        }
    }

    #[test]
    fn requests_are_those_of_googles_libraries() {
        let target = TargetServiceAccount::new("https://iamcredentials.googleapis.com", "T");
        let mut source = Token::new(Secret::new("ACCESS"), "authorized_user", None);
        source.quota_project = Some("qp".to_owned());
        let delegates = [delegate_resource_name("D")];
        let scopes = ["a".to_owned(), "b".to_owned()];
        let request = generate_access_token_request(&target, &source, &delegates, &scopes, 600)
            .expect("request");
        assert_eq!(
            body_text(&request),
            r#"{"delegates":["projects/-/serviceAccounts/D"],"scope":["a","b"],"lifetime":"600s"}"#
        );
        assert!(request.headers.iter().any(|(name, _)| name == "x-goog-user-project"));
        let request = sign_jwt_request(&target, &source, &[], "{\"iss\":\"T\"}").expect("request");
        assert_eq!(body_text(&request), r#"{"delegates":null,"payload":"{\"iss\":\"T\"}"}"#);
        assert!(request.url.as_str().ends_with("/v1/projects/-/serviceAccounts/T:signJwt"));
        let metrics = request.headers.iter().find(|(name, _)| name == "x-goog-api-client");
        let suffix = "auth-request-type/at cred-type/imp";
        assert!(metrics.is_some_and(
            |(_, value)| matches!(value, HttpHeaderValue::Plain(text) if text.ends_with(suffix))
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
            let read = read_access_token(&response(200, &body), "host");
            assert_eq!(read.ok().and_then(|(_, end)| end), end, "{time}");
        }
        for body in ["{}", "{\"accessToken\":\"a b\",\"expireTime\":\"2026-01-02T04:04:05Z\"}"] {
            assert_eq!(
                read_access_token(&response(200, body), "host").expect_err(body).kind(),
                ErrorKind::NoAnswer
            );
        }
    }

    #[test]
    fn a_refusal_names_the_source_principal_and_the_target_account() {
        let body =
            r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#;
        let response = response(403, body);
        let error = read_access_token(&response, "host").expect_err("refused");
        let error = explain_refusal(error, &response, "ada@example.com", "ci@p");
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
