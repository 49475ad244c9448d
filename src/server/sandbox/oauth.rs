//! What the OAuth endpoints have in common: forms, clients, scopes, and errors in their shape.

use serde_json::json;

use crate::server::http::{Answer, Request};
use crate::server::sandbox::State;
use crate::server::sandbox::ledger::Door;
use crate::server::sandbox::signin::clients;

/// An error as RFC 6749, 5.2 has it.
pub(super) fn error(status: u16, code: &str, description: &str) -> Answer {
    Answer::json(status, &json!({ "error": code, "error_description": description }))
}

/// A parameter that must be there is not.
pub(super) fn missing(name: &str) -> Answer {
    error(400, "invalid_request", &format!("Required parameter is missing: {name}"))
}

/// What was presented is not good.
pub(super) fn invalid_grant(description: &str) -> Answer {
    error(400, "invalid_grant", description)
}

/// A grant this endpoint does not know.
pub(super) fn unsupported_grant(grant_type: &str) -> Answer {
    error(400, "unsupported_grant_type", &format!("Invalid grant_type: {grant_type}"))
}

/// What OAuth endpoints say may be kept by nobody (RFC 6749, 5.1).
pub(super) fn unkept(answered: Result<Answer, Answer>) -> Answer {
    let answer = answered.unwrap_or_else(|refusal| refusal);
    answer.header("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
}

/// The parameters of a request.
pub(super) struct Form {
    fields: Vec<(String, String)>,
    /// Client and secret of `Authorization: Basic`.
    basic: Option<(String, String)>,
}

impl Form {
    /// # Errors
    /// The answer to give, when the body is no form or says something twice.
    pub(super) fn of(request: &Request) -> Result<Form, Answer> {
        let Some(fields) = request.form() else {
            return Err(error(400, "invalid_request", "Invalid content type"));
        };
        let form = Form { fields, basic: request.header("authorization").and_then(basic) };
        form.said_once().map_err(|text| error(400, "invalid_request", &text))
    }

    /// The parameters of an address.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn of_query(request: &Request) -> Result<Form, String> {
        Form { fields: request.query.clone(), basic: None }.said_once()
    }

    fn said_once(self) -> Result<Form, String> {
        for (index, (name, _)) in self.fields.iter().enumerate() {
            if self.fields[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("OAuth 2 parameters can only have a single value: {name}"));
            }
        }
        Ok(self)
    }

    /// A parameter; an empty one is absent (RFC 6749, 3.2).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Answer> {
        self.get(name).ok_or_else(|| missing(name))
    }

    /// The OAuth client, by header or parameters, which must be one of those known here.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn client(&self, state: &State) -> Result<&str, Answer> {
        if self.basic.is_some() {
            return self.basic_client(state);
        }
        known(state, self.get("client_id"), self.get("client_secret"))
    }

    /// The client of the outside provider, by header or parameters; one has no secret, and then gives none.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn outside_client(&self, state: &State) -> Result<&str, Answer> {
        let (id, secret) = match &self.basic {
            Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
            None => (self.get("client_id"), self.get("client_secret")),
        };
        let id = id.ok_or_else(|| missing("client_id"))?;
        let client = clients::find(state, Door::Outside, id);
        let client = client.ok_or_else(|| refused("The OAuth client was not found."))?;
        match (client.secret, secret.filter(|secret| !secret.is_empty())) {
            (None, None) => Ok(id),
            (Some(known), Some(given)) if known.expose() == given => Ok(id),
            _ => Err(refused("The client authentication is not good.")),
        }
    }

    /// The OAuth client of the header, which must be one of those known here.
    ///
    /// # Errors
    /// The answer to give.
    pub(super) fn basic_client(&self, state: &State) -> Result<&str, Answer> {
        match &self.basic {
            Some((id, secret)) => known(state, Some(id), Some(secret)),
            None => Err(refused("The request has no client authentication.")),
        }
    }
}

fn refused(text: &str) -> Answer {
    // RFC 6749, 5.2: with 401 comes the scheme that would have done.
    error(401, "invalid_client", text).header("WWW-Authenticate", "Basic realm=\"sandbox\"")
}

fn known<'a>(state: &State, id: Option<&'a str>, secret: Option<&str>) -> Result<&'a str, Answer> {
    let Some(id) = id else {
        return Err(error(400, "invalid_request", "Could not determine client ID from request."));
    };
    let client = clients::find(state, Door::Accounts, id);
    match (client.and_then(|client| client.secret), secret) {
        (None, _) => Err(refused("The OAuth client was not found.")),
        (Some(_), None) => Err(error(400, "invalid_request", "client_secret is missing.")),
        (Some(known), Some(secret)) if known.expose() == secret => Ok(id),
        (Some(_), Some(_)) => Err(refused("The provided client secret is invalid.")),
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    use base64::Engine;
    let (scheme, packed) = header.split_once(' ')?;
    let packed = scheme.eq_ignore_ascii_case("basic").then(|| packed.trim())?;
    let pair = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// Scopes are words of OpenID Connect or URLs.
///
/// # Errors
/// The answer to give.
pub(super) fn scope_list(text: &str) -> Result<Vec<String>, Answer> {
    let scopes: Vec<String> =
        text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    match !scopes.is_empty() && scopes.iter().all(|scope| is_scope(scope)) {
        true => Ok(scopes),
        false => Err(scopeless()),
    }
}

/// Whether it looks like one of Google's.
pub(super) fn is_scope(scope: &str) -> bool {
    matches!(scope, "openid" | "email" | "profile") || scope.starts_with("https://")
}

/// No scope, or none that Google has.
pub(super) fn scopeless() -> Answer {
    error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
}
