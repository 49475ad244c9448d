//! The authorization code grant (RFC 6749, 4.1.3) with PKCE (RFC 7636, 4.5).

use crate::net::message::{FormValue, HttpRequest, RetryPolicy};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientCredentials;
use crate::text::secret::Secret;

/// The parameters of an authorization code grant.
#[derive(Debug)]
pub struct AuthorizationCodeGrant<'a> {
    /// The authorization code, which can be exchanged once.
    pub code: &'a Secret,
    /// The redirect URI of the authorization request, unchanged.
    pub redirect_uri: &'a str,
    /// The PKCE code verifier of the authorization request.
    pub code_verifier: &'a Secret,
    /// The client that requested the code.
    pub client: ClientCredentials<'a>,
}

/// Builds the request that exchanges an authorization code. It is not sent again once a part of it may have reached
/// the server.
pub(crate) fn authorization_code_request(url: &Url, grant: &AuthorizationCodeGrant<'_>) -> HttpRequest {
    let mut fields: Vec<(&str, FormValue<'_>)> = vec![
        ("grant_type", "authorization_code".into()),
        ("code", grant.code.into()),
        ("redirect_uri", grant.redirect_uri.into()),
        ("code_verifier", grant.code_verifier.into()),
    ];
    fields.extend(grant.client.form_fields());
    grant.client.add_header(HttpRequest::form(url.clone(), &fields)).retry_policy(RetryPolicy::OnlyIfUnsent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_authentication::ClientAuthentication;

    #[test]
    fn a_code_is_exchanged_once_with_verifier_and_client_authentication() {
        let url = Url::parse("https://oauth2.googleapis.com/token").expect("url");
        let (code, verifier, secret) = (Secret::new("4/x"), Secret::new("V"), Secret::new("CS"));
        let request_body = |client| {
            let redirect_uri = "http://127.0.0.1:9/";
            let request = super::authorization_code_request(
                &url,
                &AuthorizationCodeGrant { code: &code, redirect_uri, code_verifier: &verifier, client },
            );
            assert_eq!(request.retry_policy, RetryPolicy::OnlyIfUnsent);
            let header = request.headers.iter().any(|(name, _)| name == "authorization");
            (String::from_utf8(request.body.expect("body").to_vec()).expect("text"), header)
        };
        let plain = "grant_type=authorization_code&code=4%2Fx&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F\
            &code_verifier=V";
        let body = request_body(ClientCredentials::new("CID", Some(&secret), ClientAuthentication::ClientSecretPost));
        assert_eq!(body, (format!("{plain}&client_id=CID&client_secret=CS"), false));
        assert_eq!(request_body(ClientCredentials::public("CID")), (format!("{plain}&client_id=CID"), false));
        assert_eq!(
            request_body(ClientCredentials::new(
                "CID",
                Some(&secret),
                ClientAuthentication::ClientSecretBasicUnencoded
            )),
            (plain.to_owned(), true)
        );
    }
}
