//! tokeninfo: what Google knows of an access token. By POST only: what stands in a URL stands in logs.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::net::message::{HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::response;
use crate::text::scopes::expand_scopes;
use crate::text::secret::Secret;

/// Where it is.
pub const ENDPOINT: &str = "https://oauth2.googleapis.com/tokeninfo";

/// What is known of a token that is good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whose it is, where its scopes tell.
    pub account: Option<String>,
    /// The account's number.
    pub subject: Option<String>,
    /// The OAuth client it was given to, or the number of the service account.
    pub audience: Option<String>,
    /// What it allows, sorted.
    pub scopes: Vec<String>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<i64>,
    /// Whether its user's login can be refreshed: `offline` or `online`.
    pub access_type: Option<String>,
}

/// Whether this is a token of the Security Token Service, which tokeninfo does not know.
pub fn is_federated_token(token: &Secret) -> bool {
    ["ya29.d.", "ya29.dr."].iter().any(|prefix| token.starts_with(prefix))
}

/// Whether this is a refresh token, which nobody but the token endpoint should see.
pub fn is_refresh_token(token: &Secret) -> bool {
    token.starts_with("1//")
}

/// Asks about a token.
pub fn token_info_request(url: &Url, token: &Secret) -> HttpRequest {
    HttpRequest::form(url.clone(), &[("access_token", token)])
}

/// What is known, or in words that it is not good. Numbers and truths arrive as text, or as what they are.
///
/// # Errors
/// As for any answer, when it says neither.
pub fn read_token_info(
    response: &HttpResponse,
    host: &str,
    now: i64,
) -> Result<std::result::Result<TokenInfo, String>> {
    if let (400 | 401, Some(server_error)) = (response.status, response::server_error(response))
        && matches!(server_error.code.as_str(), "invalid_token" | "invalid_request")
    {
        return Ok(Err(server_error.to_string()));
    }
    let fields = response::json_object(response, host)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let expires_at = integer_field(&fields, "exp")
        .or_else(|| Some(now.saturating_add(integer_field(&fields, "expires_in")?)));
    let info = TokenInfo {
        account: text("email"),
        subject: text("sub"),
        audience: text("aud"),
        scopes: expand_scopes(text("scope").iter().map(String::as_str)),
        expires_at,
        access_type: text("access_type"),
    };
    if info.expires_at.is_none() && info.audience.is_none() {
        return Err(no_token_info(response, host));
    }
    Ok(Ok(info))
}

fn no_token_info(response: &HttpResponse, host: &str) -> Error {
    response::invalid_response(response, host, "says nothing about the token")
}

fn integer_field(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    match fields.get(name)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// tokeninfo beside a token endpoint that was moved.
///
/// # Errors
/// What is wrong with the result, as for [`Url::parse`].
pub fn endpoint_beside(token_endpoint: &Url) -> std::result::Result<Url, &'static str> {
    let whole = token_endpoint.without_query();
    let folder = whole.rsplit_once('/').map_or(whole, |(folder, _)| folder);
    Url::parse(&format!("{folder}/tokeninfo"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn read_body(status: u16, body: &str) -> Result<std::result::Result<TokenInfo, String>> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        read_token_info(&HttpResponse { status, headers: Vec::new(), body }, "host", 1_000)
    }

    #[test]
    fn the_token_is_asked_about_in_a_form() {
        let url = Url::parse(ENDPOINT).expect("url");
        let request = token_info_request(&url, &Secret::new("ya29.a+b"));
        assert_eq!(request.url.as_str(), ENDPOINT);
        assert_eq!(&**request.body.as_ref().expect("body"), b"access_token=ya29.a%2Bb");
    }

    #[test]
    fn numbers_are_read_as_text_and_as_numbers() {
        let info = TokenInfo {
            account: Some("ada@example.com".to_owned()),
            subject: Some("1".to_owned()),
            audience: Some("client".to_owned()),
            scopes: vec!["email".to_owned(), "openid".to_owned()],
            expires_at: Some(4_600),
            access_type: Some("online".to_owned()),
        };
        for times in ["\"exp\":\"4600\",\"expires_in\":\"3600\"", "\"expires_in\":3600"] {
            let body = format!(
                r#"{{"aud":"client","azp":"client","sub":"1","scope":"openid email",{times},
                "email":"ada@example.com","email_verified":"true","access_type":"online"}}"#
            );
            assert_eq!(read_body(200, &body).expect("answer"), Ok(info.clone()), "{times}");
        }
    }

    #[test]
    fn a_refusal_is_a_verdict_and_anything_else_is_none() {
        let refused =
            read_body(400, r#"{"error":"invalid_token","error_description":"Invalid Value"}"#);
        assert!(refused.expect("answer").expect_err("invalid").contains("Invalid Value"));
        for (status, body) in [
            (400, r#"{"error":"unauthorized_client"}"#),
            (403, "{}"),
            (503, ""),
            (200, "{}"),
            (200, "<html>"),
            (200, r#"{"exp":"soon"}"#),
        ] {
            assert!(read_body(status, body).is_err(), "{status} {body}");
        }
    }

    #[test]
    fn tokeninfo_lies_beside_the_token_endpoint() {
        for (endpoint, info) in [
            ("http://127.0.0.1:8080/token", "http://127.0.0.1:8080/tokeninfo"),
            ("https://a.example/x/token?y=/z", "https://a.example/x/tokeninfo"),
            ("https://a.example", "https://a.example/tokeninfo"),
        ] {
            let endpoint = Url::parse(endpoint).expect("url");
            assert_eq!(endpoint_beside(&endpoint).expect("url").as_str(), info);
        }
    }

    #[test]
    fn tokens_that_tokeninfo_does_not_know_are_told_apart() {
        let token = |text: &str| Secret::new(text);
        assert!(is_federated_token(&token("ya29.d.x")) && is_federated_token(&token("ya29.dr.x")));
        assert!(
            !is_federated_token(&token("ya29.c.d.x")) && !is_federated_token(&token("ya29.a0d"))
        );
        assert!(is_refresh_token(&token("1//0x")) && !is_refresh_token(&token("ya29.1//")));
    }
}
