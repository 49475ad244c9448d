//! The authentication endpoint of Google Distributed Cloud. It expects a grant type that is named like a token type.

use serde::Serialize;

use crate::net::message::HttpRequest;
use crate::net::url::Url;
use crate::oauth::token_exchange::ACCESS_TOKEN_TYPE;
use crate::text::secret::{self, Secret};

#[derive(Serialize)]
struct GdchTokenExchangeRequest<'a> {
    grant_type: &'a str,
    audience: &'a str,
    requested_token_type: &'a str,
    #[serde(serialize_with = "secret::serialize")]
    subject_token: &'a Secret,
    subject_token_type: &'a str,
}

/// Builds the request for an access token for `audience` with a signed assertion.
pub fn token_exchange_request(url: &Url, audience: &str, assertion: &Secret) -> HttpRequest {
    let body = GdchTokenExchangeRequest {
        grant_type: "urn:ietf:params:oauth:token-type:token-exchange",
        audience,
        requested_token_type: ACCESS_TOKEN_TYPE,
        subject_token: assertion,
        subject_token_type: "urn:k8s:params:oauth:token-type:serviceaccount",
    };
    HttpRequest::json(url.clone(), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_the_same_as_that_of_googles_libraries() {
        let url = Url::parse("https://service-identity.example.com/authenticate").expect("url");
        let request = token_exchange_request(&url, "https://api.example.com", &Secret::new("JWT"));
        let body: serde_json::Value = serde_json::from_slice(request.body.as_ref().expect("body")).expect("json");
        let expected = serde_json::json!({
            "grant_type": "urn:ietf:params:oauth:token-type:token-exchange",
            "audience": "https://api.example.com",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": "JWT",
            "subject_token_type": "urn:k8s:params:oauth:token-type:serviceaccount",
        });
        assert_eq!(body, expected);
    }
}
