//! Google's tokeninfo endpoint, which describes an access token. The token is sent by POST only, because servers log
//! URLs.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::net::message::{HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::response;
use crate::text::scopes::expand_scopes;
use crate::text::secret::Secret;

/// The URL of Google's tokeninfo endpoint.
pub const ENDPOINT: &str = "https://oauth2.googleapis.com/tokeninfo";

/// The description of a valid access token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// The account's e-mail address, where the scopes of the token include it.
    pub account: Option<String>,
    /// The unique ID of the account (`sub`).
    pub subject: Option<String>,
    /// The OAuth client that the token was issued to, or the unique ID of the service account.
    pub audience: Option<String>,
    /// The granted scopes, sorted.
    pub scopes: Vec<String>,
    /// When the token expires, in Unix seconds.
    pub expires_at: Option<i64>,
    /// `offline` where the login has a refresh token, or else `online`.
    pub access_type: Option<String>,
}

/// Whether a token was issued by the Security Token Service, whose tokens tokeninfo does not know.
pub fn is_federated_token(token: &Secret) -> bool {
    ["ya29.d.", "ya29.dr."].iter().any(|prefix| token.starts_with(prefix))
}

/// Whether a token is one of Google's refresh tokens, which are sent to the token endpoint only.
pub fn is_refresh_token(token: &Secret) -> bool {
    token.starts_with("1//")
}

/// Builds the request for the description of an access token.
pub fn token_info_request(url: &Url, token: &Secret) -> HttpRequest {
    HttpRequest::form(url.clone(), &[("access_token", token)])
}

/// Reads the description of the token; the inner error is the server's reason why the token is invalid. The server sends
/// numbers and booleans as such or as strings.
///
/// # Errors
/// `Refused` or `NoAnswer`, where the response is neither.
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
    let expires_at =
        integer_field(&fields, "exp").or_else(|| Some(now.saturating_add(integer_field(&fields, "expires_in")?)));
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
    response::invalid_response(response, host, "does not describe the token")
}

fn integer_field(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    match fields.get(name)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
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
    fn the_token_is_sent_in_the_form() {
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
    fn an_invalid_token_is_a_result_and_other_responses_are_errors() {
        let refused = read_body(400, r#"{"error":"invalid_token","error_description":"Invalid Value"}"#);
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
    fn federated_tokens_and_refresh_tokens_are_recognised() {
        let token = |text: &str| Secret::new(text);
        assert!(is_federated_token(&token("ya29.d.x")) && is_federated_token(&token("ya29.dr.x")));
        assert!(!is_federated_token(&token("ya29.c.d.x")) && !is_federated_token(&token("ya29.a0d")));
        assert!(is_refresh_token(&token("1//0x")) && !is_refresh_token(&token("ya29.1//")));
    }
}
