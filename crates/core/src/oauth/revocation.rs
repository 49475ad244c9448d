//! Token revocation (RFC 7009). The token is sent in the form only, because servers log URLs.

use crate::error::Result;
use crate::net::message::{FormValue, HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::response;
use crate::text::secret::Secret;

/// Google's revocation endpoint for the refresh tokens of Google Accounts.
pub const ENDPOINT: &str = "https://oauth2.googleapis.com/revoke";

/// Builds the request that revokes a refresh token at Google, where the client does not authenticate.
pub(crate) fn google_revocation_request(url: &Url, refresh_token: &Secret) -> HttpRequest {
    HttpRequest::form(url.clone(), &[("token", refresh_token)])
}

/// Builds the request that revokes a refresh token at the STS or at any other server, where the client authenticates.
pub(crate) fn revocation_request(url: &Url, refresh_token: &Secret, client: ClientCredentials<'_>) -> HttpRequest {
    let mut fields: Vec<(&str, FormValue<'_>)> =
        vec![("token", refresh_token.into()), ("token_type_hint", "refresh_token".into())];
    fields.extend(client.form_fields());
    client.add_header(HttpRequest::form(url.clone(), &fields))
}

/// Reads the response of `server_name`: whether the token was revoked now. `false`: the server did not know the token
/// any more. The body of a response with status 200 has no meaning (RFC 7009, 2.2).
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer`.
pub(crate) fn read_revocation(server_name: &str, response: &HttpResponse, host: &str) -> Result<bool> {
    let server_error = response::server_error(response);
    match response.status {
        // A web page comes from a proxy or a captive portal, whatever its status.
        200 if !response::is_html(response) => Ok(true),
        200 => Err(response::invalid_response(response, host, "is a web page")),
        400 if server_error.is_some_and(|error| error.code == "invalid_token") => Ok(false),
        _ => Err(response::status_error(server_name, response, host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::net::message::HttpHeaderValue;
    use crate::oauth::client_authentication::ClientAuthentication;
    use zeroize::Zeroizing;

    fn read_response(status: u16, body: &str) -> Result<bool> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        read_revocation("Google", &HttpResponse { status, headers: Vec::new(), body }, "host")
    }

    fn body(request: &HttpRequest) -> &str {
        std::str::from_utf8(request.body.as_ref().expect("body")).expect("text")
    }

    #[test]
    fn the_token_is_sent_in_the_form_only() {
        let (url, token) = (Url::parse(ENDPOINT).expect("url"), Secret::new("1//0a+b"));
        let request = google_revocation_request(&url, &token);
        assert_eq!((request.url.as_str(), body(&request)), (ENDPOINT, "token=1%2F%2F0a%2Bb"));
        assert!(request.headers.iter().all(|(name, _)| name == "content-type"));
    }

    #[test]
    fn a_client_authenticates_with_the_chosen_method() {
        let (url, token) = (Url::parse(ENDPOINT).expect("url"), Secret::new("RT"));
        let secret = Secret::new("CS");
        let basic = revocation_request(
            &url,
            &token,
            ClientCredentials::new("CID", Some(&secret), ClientAuthentication::ClientSecretBasicUnencoded),
        );
        assert_eq!(body(&basic), "token=RT&token_type_hint=refresh_token");
        let sent = basic.headers.iter().find(|(name, _)| name == "authorization");
        assert!(matches!(sent, Some((_, HttpHeaderValue::Secret(sent))) if sent.expose() == "Basic Q0lEOkNT"));
        let posted = revocation_request(
            &url,
            &token,
            ClientCredentials::new("CID", Some(&secret), ClientAuthentication::ClientSecretPost),
        );
        let fields = "token=RT&token_type_hint=refresh_token&client_id=CID&client_secret=CS";
        assert_eq!(body(&posted), fields);
        let public = revocation_request(&url, &token, ClientCredentials::public("CID"));
        assert_eq!(body(&public), "token=RT&token_type_hint=refresh_token&client_id=CID");
    }

    #[test]
    fn a_token_that_is_already_invalid_is_distinguished_from_a_refusal() {
        assert!(read_response(200, "").expect("done") && read_response(200, "{}").expect("done"));
        assert!(!read_response(400, r#"{"error":"invalid_token"}"#).expect("gone"));
        for (status, body, kind) in [
            (400, r#"{"error":"invalid_request"}"#, ErrorKind::Refused),
            (401, r#"{"error":"invalid_client"}"#, ErrorKind::Refused),
            (403, "", ErrorKind::Refused),
            (200, "<html>log in</html>", ErrorKind::NoAnswer),
            (204, "", ErrorKind::NoAnswer),
            (503, "", ErrorKind::NoAnswer),
        ] {
            assert_eq!(read_response(status, body).expect_err(body).kind(), kind, "{status} {body}");
        }
    }
}
