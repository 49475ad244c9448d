//! What the OAuth endpoints have in common: forms, clients, scopes, and errors in their shape.

use serde_json::json;

use crate::SandboxState;
use crate::signin::clients;
use crate::token_store::Issuer;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};

/// An error as RFC 6749, 5.2 has it.
pub(super) fn oauth_error(status: u16, code: &str, description: &str) -> ServerResponse {
    ServerResponse::json(status, &json!({ "error": code, "error_description": description }))
}

/// A parameter that must be there is not.
pub(super) fn missing_parameter(name: &str) -> ServerResponse {
    oauth_error(400, "invalid_request", &format!("Required parameter is missing: {name}"))
}

/// What was presented is not good.
pub(super) fn invalid_grant(description: &str) -> ServerResponse {
    oauth_error(400, "invalid_grant", description)
}

/// A grant this endpoint does not know.
pub(super) fn unsupported_grant_type(grant_type: &str) -> ServerResponse {
    oauth_error(400, "unsupported_grant_type", &format!("Invalid grant_type: {grant_type}"))
}

/// What OAuth endpoints say may be kept by nobody (RFC 6749, 5.1).
pub(super) fn no_store(result: Result<ServerResponse, ServerResponse>) -> ServerResponse {
    let answer = result.unwrap_or_else(|refusal| refusal);
    answer.header("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
}

/// The parameters of a request.
pub(super) struct OAuthForm {
    parameters: Vec<(String, String)>,
    /// Client and secret of `Authorization: Basic`.
    basic_auth: Option<(String, String)>,
}

impl OAuthForm {
    /// # Errors
    /// The answer to give, when the body is no form or says something twice.
    pub(super) fn from_request(request: &ServerRequest) -> Result<OAuthForm, ServerResponse> {
        let Some(parameters) = request.form() else {
            return Err(oauth_error(400, "invalid_request", "Invalid content type"));
        };
        let form = OAuthForm {
            parameters,
            basic_auth: request.header("authorization").and_then(parse_basic_auth),
        };
        form.reject_duplicates().map_err(|text| oauth_error(400, "invalid_request", &text))
    }

    /// The parameters of an address.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn from_query(request: &ServerRequest) -> Result<OAuthForm, String> {
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

    /// A parameter; an empty one is absent (RFC 6749, 3.2).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn require(&self, name: &str) -> Result<&str, ServerResponse> {
        self.get(name).ok_or_else(|| missing_parameter(name))
    }

    /// The OAuth client, by header or parameters, which must be one of those known here.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn authenticate_client(&self, state: &SandboxState) -> Result<&str, ServerResponse> {
        if self.basic_auth.is_some() {
            return self.authenticate_basic_client(state);
        }
        check_client_secret(state, self.get("client_id"), self.get("client_secret"))
    }

    /// The client of the outside provider, by header or parameters; one has no secret, and then gives none.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn authenticate_external_client(
        &self,
        state: &SandboxState,
    ) -> Result<&str, ServerResponse> {
        let (id, secret) = match &self.basic_auth {
            Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
            None => (self.get("client_id"), self.get("client_secret")),
        };
        let id = id.ok_or_else(|| missing_parameter("client_id"))?;
        let client = clients::find_client(state, Issuer::External, id);
        let client = client.ok_or_else(|| invalid_client("The OAuth client was not found."))?;
        match (client.secret, secret.filter(|secret| !secret.is_empty())) {
            (None, None) => Ok(id),
            (Some(known), Some(given)) if known.expose() == given => Ok(id),
            _ => Err(invalid_client("The client authentication is not good.")),
        }
    }

    /// The OAuth client of the header, which must be one of those known here.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn authenticate_basic_client(
        &self,
        state: &SandboxState,
    ) -> Result<&str, ServerResponse> {
        match &self.basic_auth {
            Some((id, secret)) => check_client_secret(state, Some(id), Some(secret)),
            None => Err(invalid_client("The request has no client authentication.")),
        }
    }
}

fn invalid_client(text: &str) -> ServerResponse {
    // RFC 6749, 5.2: with 401 comes the scheme that would have done.
    oauth_error(401, "invalid_client", text).header("WWW-Authenticate", "Basic realm=\"sandbox\"")
}

fn check_client_secret<'a>(
    state: &SandboxState,
    id: Option<&'a str>,
    secret: Option<&str>,
) -> Result<&'a str, ServerResponse> {
    let Some(id) = id else {
        return Err(oauth_error(
            400,
            "invalid_request",
            "Could not determine client ID from request.",
        ));
    };
    let client = clients::find_client(state, Issuer::Google, id);
    match (client.and_then(|client| client.secret), secret) {
        (None, _) => Err(invalid_client("The OAuth client was not found.")),
        (Some(_), None) => Err(oauth_error(400, "invalid_request", "client_secret is missing.")),
        (Some(known), Some(secret)) if known.expose() == secret => Ok(id),
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

/// Scopes are words of OpenID Connect or URLs.
///
/// # Errors
/// The answer to give.
pub(super) fn parse_scopes(text: &str) -> Result<Vec<String>, ServerResponse> {
    let scopes: Vec<String> =
        text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    match !scopes.is_empty() && scopes.iter().all(|scope| is_google_scope(scope)) {
        true => Ok(scopes),
        false => Err(invalid_scope()),
    }
}

/// Whether it looks like one of Google's.
pub(super) fn is_google_scope(scope: &str) -> bool {
    matches!(scope, "openid" | "email" | "profile") || scope.starts_with("https://")
}

/// No scope, or none that Google has.
pub(super) fn invalid_scope() -> ServerResponse {
    oauth_error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
}
