//! The IAM Service Account Credentials API: access tokens, ID tokens and signed JWTs of a service account.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::net::message::{HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::metrics::metrics_header;
use crate::oauth::{response, token};
use crate::text::bearer_token::{authorization_header, is_well_formed_secret};
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::Token;

/// The host of the API in the default universe.
pub const HOST: &str = "iamcredentials.googleapis.com";

/// The minimum token lifetime that gauth requests, in seconds.
pub(crate) const MIN_LIFETIME_SECONDS: u32 = 600;
/// The maximum token lifetime, in seconds. More than an hour requires an organisation policy that allows it.
pub const MAX_LIFETIME_SECONDS: u32 = 43_200;
/// The token lifetime that gauth requests by default, in seconds.
pub(crate) const DEFAULT_LIFETIME_SECONDS: u32 = 3600;

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamCredentialsMethod {
    /// Returns an access token.
    GenerateAccessToken,
    /// Signs the claims of a JWT.
    SignJwt,
    /// Returns an ID token.
    GenerateIdToken,
}

impl IamCredentialsMethod {
    /// The name of the method in a URL, after the colon.
    pub fn as_str(self) -> &'static str {
        match self {
            IamCredentialsMethod::GenerateAccessToken => "generateAccessToken",
            IamCredentialsMethod::SignJwt => "signJwt",
            IamCredentialsMethod::GenerateIdToken => "generateIdToken",
        }
    }
}

/// The service account that is impersonated, and its URL without a method: `…/v1/projects/-/serviceAccounts/EMAIL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetServiceAccount {
    base_url: String,
    /// The e-mail address or the unique ID of the service account.
    pub account: String,
}

impl TargetServiceAccount {
    /// The account in a `service_account_impersonation_url`: between the last `/` and `:generateAccessToken`.
    pub(crate) fn from_url(url: &Url) -> Option<TargetServiceAccount> {
        let (base, method) = url.as_str().rsplit_once(':')?;
        let account = base.rsplit('/').next().filter(|account| !account.is_empty())?;
        // Google's libraries write `generateAccessToken`; the one for Node.js accepts both.
        let known = ["generateAccessToken", "generateIdToken"].contains(&method);
        (known && !account.contains('?'))
            .then(|| TargetServiceAccount { base_url: base.to_owned(), account: account.to_owned() })
    }

    /// An account at a server such as `https://iamcredentials.googleapis.com`.
    pub fn new(server: &str, account: &str) -> TargetServiceAccount {
        let server = server.trim_end_matches('/');
        let base = format!("{server}/v1/projects/-/serviceAccounts/{account}");
        TargetServiceAccount { base_url: base, account: account.to_owned() }
    }

    /// The URL of a method.
    ///
    /// # Errors
    /// Usage, when the account is not valid in a URL.
    pub fn url(&self, method: IamCredentialsMethod) -> Result<Url> {
        Url::parse(&format!("{}:{}", self.base_url, method.as_str())).map_err(|what| {
            let account = printable::text(&self.account);
            Error::usage(format!("the URL of the service account {account} {what}"))
                .hint("name it by its e-mail address, as in ci@my-project.iam.gserviceaccount.com")
        })
    }

    /// The URL without a method, which identifies the account and the server.
    pub(crate) fn base_url(&self) -> &str {
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

/// Builds the request for an access token. `lifetime` is in seconds, `delegates` as in [`delegate_resource_name`].
///
/// # Errors
/// As [`TargetServiceAccount::url`].
pub(crate) fn generate_access_token_request(
    target: &TargetServiceAccount,
    source: &Token,
    delegates: &[String],
    scopes: &[String],
    lifetime: u32,
) -> Result<HttpRequest> {
    let body =
        GenerateAccessTokenBody { delegates: non_empty(delegates), scope: scopes, lifetime: format!("{lifetime}s") };
    Ok(with_source_token(
        HttpRequest::json(target.url(IamCredentialsMethod::GenerateAccessToken)?, &body),
        source,
        "at",
    ))
}

/// Builds the request for an ID token for `audience`, with or without the account's e-mail address.
///
/// # Errors
/// As [`TargetServiceAccount::url`].
pub(crate) fn generate_id_token_request(
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

/// Builds the request for a signed JWT. `claims` is a JSON object.
///
/// # Errors
/// As [`TargetServiceAccount::url`].
pub(crate) fn sign_jwt_request(
    target: &TargetServiceAccount,
    source: &Token,
    delegates: &[String],
    claims: &str,
) -> Result<HttpRequest> {
    let body = SignJwtBody { delegates: non_empty(delegates), payload: claims };
    Ok(with_source_token(HttpRequest::json(target.url(IamCredentialsMethod::SignJwt)?, &body), source, "at"))
}

fn non_empty(delegates: &[String]) -> Option<&[String]> {
    Some(delegates).filter(|delegates| !delegates.is_empty())
}

/// Adds the access token and the quota project of the source credential, and the metrics header. A signed JWT counts as a
/// request for an access token, because it is exchanged for one.
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

/// The resource name of an account in a delegation chain.
pub(crate) fn delegate_resource_name(account: &str) -> String {
    format!("projects/-/serviceAccounts/{account}")
}

/// Reads an access token and its expiry in Unix seconds, `None` where the response has none.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer` naming the invalid field.
pub fn read_access_token(response: &HttpResponse, host: &str) -> Result<(Secret, Option<i64>)> {
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let invalid_field =
        |what: String| response::invalid_response(response, host, &format!("is not understood, {what}"));
    let token = fields.required_secret("accessToken").map_err(invalid_field)?;
    if !is_well_formed_secret(&token) {
        let what = "has an accessToken that cannot be sent in a header";
        return Err(response::invalid_response(response, host, what));
    }
    let expires_at = match fields.text("expireTime").map_err(invalid_field)? {
        None => None,
        Some(text) => Some(
            text.parse::<jiff::Timestamp>()
                .map_err(|_| invalid_field("expireTime is not a time like 2026-01-02T03:04:05Z".to_owned()))?,
        ),
    };
    Ok((token, expires_at.map(jiff::Timestamp::as_second)))
}

/// Reads an ID token.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer` naming the invalid field.
pub(crate) fn read_id_token(response: &HttpResponse, host: &str) -> Result<Secret> {
    let token = read_jwt(response, host, "token")?;
    match token::is_well_formed_jwt(&token) {
        true => Ok(token),
        false => Err(response::invalid_response(response, host, "is not understood, token is not a JWT")),
    }
}

/// Reads a signed JWT.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer` naming the invalid field.
pub fn read_signed_jwt(response: &HttpResponse, host: &str) -> Result<Secret> {
    read_jwt(response, host, "signedJwt")
}

fn read_jwt(response: &HttpResponse, host: &str, field: &str) -> Result<Secret> {
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let invalid_field =
        |what: String| response::invalid_response(response, host, &format!("is not understood, {what}"));
    let token = fields.required_secret(field).map_err(invalid_field)?;
    match is_well_formed_secret(&token) {
        true => Ok(token),
        false => Err(invalid_field(format!("{field} is not a JWT"))),
    }
}

/// Explains why IAM refuses `source_principal` a token of `account`, with a hint about what to do.
pub fn explain_refusal(error: Error, response: &HttpResponse, source_principal: &str, account: &str) -> Error {
    if error.kind() != ErrorKind::Refused {
        return error;
    }
    // A response without IAM's error is from a proxy or from another server.
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
        403 if text.contains("has not been used") || text.contains("is disabled") => {
            refused("gcloud services enable iamcredentials.googleapis.com in the project of the source".to_owned())
        }
        403 => refused(format!(
            "grant roles/iam.serviceAccountTokenCreator on that service account to {source_principal}, and wait a minute"
        )),
        404 => refused(format!("check the names of {account} and of its delegates: one of them does not exist")),
        401 => refused(format!("gauth token --refresh, because the token of {source_principal} is no longer accepted")),
        400 if text.to_lowercase().contains("lifetime") => error.hint(
            "ask for at most 1h with --lifetime, or have the organisation policy \
             constraints/iam.allowServiceAccountCredentialLifetimeExtension name the account",
        ),
        _ => error.hint_if_none(|| "check --scopes, --lifetime and the name of the account".to_owned()),
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
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["impersonation_url"].as_array().expect("cases") {
            let url = Url::parse(case["in"].as_str().expect("text")).expect("url");
            let target = TargetServiceAccount::from_url(&url);
            assert_eq!(target.as_ref().map(|t| t.account.as_str()), case["principal"].as_str(), "{url}");
            if let Some(target) = target {
                assert_eq!(target.url(IamCredentialsMethod::GenerateAccessToken).expect("url"), url);
            }
        }
    }

    #[test]
    fn requests_are_the_same_as_those_of_googles_libraries() {
        let target = TargetServiceAccount::new("https://iamcredentials.googleapis.com", "T");
        let mut source = Token::new(Secret::new("ACCESS"), "authorized_user", None);
        source.quota_project = Some("qp".to_owned());
        let delegates = [delegate_resource_name("D")];
        let scopes = ["a".to_owned(), "b".to_owned()];
        let request = generate_access_token_request(&target, &source, &delegates, &scopes, 600).expect("request");
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
        assert!(
            metrics.is_some_and(|(_, value)| matches!(value, HttpHeaderValue::Plain(text) if text.ends_with(suffix)))
        );
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
            assert_eq!(read_access_token(&response(200, body), "host").expect_err(body).kind(), ErrorKind::NoAnswer);
        }
    }

    #[test]
    fn a_refusal_names_the_source_principal_and_the_target_account() {
        let body = r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#;
        let response = response(403, body);
        let error = read_access_token(&response, "host").expect_err("refused");
        let error = explain_refusal(error, &response, "ada@example.com", "ci@p");
        assert_eq!(
            error.message(),
            "ada@example.com may not act as ci@p, Google says PERMISSION_DENIED: \"Permission denied\""
        );
        assert!(error.hint_text().expect("hint").starts_with("grant roles/iam.serviceAccountTokenCreator"));
    }
}
