//! What the OAuth endpoints have in common: form parameters, client authentication, scopes and error responses.

use serde_json::json;

use crate::registered_clients;
use crate::state::SandboxState;
use crate::token_store::Issuer;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};

/// An OAuth error response (RFC 6749, 5.2).
pub(crate) fn oauth_error(status: u16, code: &str, description: &str) -> ServerResponse {
    ServerResponse::json(status, &json!({ "error": code, "error_description": description }))
}

/// The error response for a missing required parameter.
pub(crate) fn missing_parameter(name: &str) -> ServerResponse {
    oauth_error(400, "invalid_request", &format!("Required parameter is missing: {name}"))
}

/// The error response for a malformed request.
pub(crate) fn invalid_request(description: &str) -> ServerResponse {
    oauth_error(400, "invalid_request", description)
}

/// The error response for a credential or grant that is invalid or expired.
pub(crate) fn invalid_grant(description: &str) -> ServerResponse {
    oauth_error(400, "invalid_grant", description)
}

/// The error response for a grant type that this endpoint does not support.
pub(crate) fn unsupported_grant_type(grant_type: &str) -> ServerResponse {
    oauth_error(400, "unsupported_grant_type", &format!("Invalid grant_type: {grant_type}"))
}

/// Forbids caching of an OAuth response (RFC 6749, 5.1).
pub(crate) fn no_store(result: Result<ServerResponse, ServerResponse>) -> ServerResponse {
    let answer = result.unwrap_or_else(|refusal| refusal);
    answer.header("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
}

/// The parameters of an OAuth request.
pub(crate) struct OAuthForm {
    parameters: Vec<(String, String)>,
    /// The client id and secret of an `Authorization: Basic` header.
    basic_auth: Option<(String, String)>,
}

impl OAuthForm {
    /// # Errors
    /// An error response if the body is not a form, or a parameter is repeated.
    pub(crate) fn from_request(request: &ServerRequest) -> Result<OAuthForm, ServerResponse> {
        let Some(parameters) = request.form() else {
            return Err(oauth_error(400, "invalid_request", "Invalid content type"));
        };
        let form = OAuthForm { parameters, basic_auth: request.header("authorization").and_then(parse_basic_auth) };
        form.reject_duplicates().map_err(|text| oauth_error(400, "invalid_request", &text))
    }

    /// The parameters in the query of a URL.
    ///
    /// # Errors
    /// A description of the problem, if a parameter is repeated.
    pub(crate) fn from_query(request: &ServerRequest) -> Result<OAuthForm, String> {
        OAuthForm { parameters: request.query.clone(), basic_auth: None }.reject_duplicates()
    }

    fn reject_duplicates(self) -> Result<OAuthForm, String> {
        for (index, (name, _)) in self.parameters.iter().enumerate() {
            if self.parameters[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("OAuth 2 parameters can only have a single value: {name}"));
            }
        }
        Ok(self)
    }

    /// A parameter; an empty one counts as absent (RFC 6749, 3.2).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A required parameter.
    ///
    /// # Errors
    /// The error response if it is missing.
    pub(crate) fn require(&self, name: &str) -> Result<&str, ServerResponse> {
        self.get(name).ok_or_else(|| missing_parameter(name))
    }

    /// Authenticates a Google OAuth client by header or form, and returns its id.
    ///
    /// # Errors
    /// The error response.
    pub(crate) fn authenticate_client(&self, state: &SandboxState) -> Result<&str, ServerResponse> {
        if self.basic_auth.is_some() {
            return self.authenticate_basic_client(state);
        }
        check_client_secret(state, self.get("client_id"), self.get("client_secret"))
    }

    /// Authenticates a client of the external OpenID provider by header or form, and returns its id. A public client
    /// must not send a secret.
    ///
    /// # Errors
    /// The error response.
    pub(crate) fn authenticate_external_client(&self, state: &SandboxState) -> Result<&str, ServerResponse> {
        let (id, secret) = match &self.basic_auth {
            Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
            None => (self.get("client_id"), self.get("client_secret")),
        };
        let id = id.ok_or_else(|| missing_parameter("client_id"))?;
        let client = registered_clients::find_client(state, Issuer::External, id);
        let client = client.ok_or_else(|| invalid_client("The OAuth client was not found."))?;
        match (client.secret, secret.filter(|secret| !secret.is_empty())) {
            (None, None) => Ok(id),
            (Some(known), Some(given)) if known.matches(given) => Ok(id),
            _ => Err(invalid_client("The client authentication is invalid.")),
        }
    }

    /// Authenticates a Google OAuth client by the `Authorization` header only, and returns its id.
    ///
    /// # Errors
    /// The error response.
    pub(crate) fn authenticate_basic_client(&self, state: &SandboxState) -> Result<&str, ServerResponse> {
        match &self.basic_auth {
            Some((id, secret)) => check_client_secret(state, Some(id), Some(secret)),
            None => Err(invalid_client("The request has no client authentication in the Authorization header.")),
        }
    }
}

fn invalid_client(text: &str) -> ServerResponse {
    // RFC 6749, 5.2 requires this header with the status 401.
    oauth_error(401, "invalid_client", text).header("WWW-Authenticate", "Basic realm=\"sandbox\"")
}

fn check_client_secret<'a>(
    state: &SandboxState,
    id: Option<&'a str>,
    secret: Option<&str>,
) -> Result<&'a str, ServerResponse> {
    let Some(id) = id else {
        return Err(oauth_error(400, "invalid_request", "Could not determine client ID from request."));
    };
    let client = registered_clients::find_client(state, Issuer::Google, id);
    match (client.and_then(|client| client.secret), secret) {
        (None, _) => Err(invalid_client("The OAuth client was not found.")),
        (Some(_), None) => Err(oauth_error(400, "invalid_request", "client_secret is missing.")),
        (Some(known), Some(secret)) if known.matches(secret) => Ok(id),
        (Some(_), Some(_)) => Err(invalid_client("The provided client secret is invalid.")),
    }
}

fn parse_basic_auth(header: &str) -> Option<(String, String)> {
    use base64::Engine;
    let (scheme, encoded) = header.split_once(' ')?;
    let encoded = scheme.eq_ignore_ascii_case("basic").then(|| encoded.trim())?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// Parses a list of scopes, each of which is one of OpenID Connect's or a URL.
///
/// # Errors
/// The error response for an empty list or an invalid scope.
pub(crate) fn parse_scopes(text: &str) -> Result<Vec<String>, ServerResponse> {
    let scopes: Vec<String> = text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    match !scopes.is_empty() && scopes.iter().all(|scope| is_google_scope(scope)) {
        true => Ok(scopes),
        false => Err(invalid_scope()),
    }
}

/// Whether the scope is in a form that Google's scopes have.
pub(crate) fn is_google_scope(scope: &str) -> bool {
    matches!(scope, "openid" | "email" | "profile") || scope.starts_with("https://")
}

/// The error response for missing or invalid scopes.
pub(crate) fn invalid_scope() -> ServerResponse {
    oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
}
