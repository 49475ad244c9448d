//! Token exchange (RFC 8693) and token introspection (RFC 7662), at Google's Security Token Service (STS) or elsewhere.

use crate::error::Error;
use crate::jose::jwt;
use crate::net::message::{FormValue, HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::response;
use crate::text::secret::Secret;

/// The grant type of token exchange (RFC 8693, 2.1).
pub const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The grant type of the refresh grant (RFC 6749, 6).
pub const REFRESH_TOKEN_GRANT_TYPE: &str = "refresh_token";

/// The token type identifier of access tokens (RFC 8693, 3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The short names of token types that gauth accepts, and the token type identifiers (RFC 8693, 3) they stand for.
pub const TOKEN_TYPE_ALIASES: &[(&str, &str)] = &[
    ("access_token", ACCESS_TOKEN_TYPE),
    ("refresh_token", "urn:ietf:params:oauth:token-type:refresh_token"),
    ("id_token", "urn:ietf:params:oauth:token-type:id_token"),
    ("jwt", "urn:ietf:params:oauth:token-type:jwt"),
    ("saml1", "urn:ietf:params:oauth:token-type:saml1"),
    ("saml2", "urn:ietf:params:oauth:token-type:saml2"),
    ("mtls", "urn:ietf:params:oauth:token-type:mtls"),
    ("aws4_request", "urn:ietf:params:aws:token-type:aws4_request"),
    ("access_boundary_intermediary_token", "urn:ietf:params:oauth:token-type:access_boundary_intermediary_token"),
];

/// The parameters of a token exchange (RFC 8693, 2.1), in the order in which they are sent. Empty ones are not sent.
#[derive(Debug, Clone, Default)]
pub struct TokenExchangeRequest<'a> {
    /// The grant type; `None` for [`TOKEN_EXCHANGE_GRANT_TYPE`].
    pub grant_type: Option<&'a str>,
    /// The URIs of the services at which the token will be used.
    pub resources: &'a [String],
    /// The names of the services at which the token will be used; for Google, the resource name of the provider.
    pub audiences: &'a [String],
    /// The scopes that are requested.
    pub scopes: &'a [String],
    /// The type of the requested token.
    pub requested_token_type: Option<&'a str>,
    /// The token that represents the subject, and its type.
    pub subject_token: Option<(&'a Secret, &'a str)>,
    /// The token that represents the acting party, and its type.
    pub actor_token: Option<(&'a Secret, &'a str)>,
    /// Google's `options` parameter, JSON.
    pub options: Option<&'a str>,
    /// The refresh token, for a refresh grant with parameters of a token exchange.
    pub refresh_token: Option<&'a Secret>,
    /// The OAuth client, where the server requires one.
    pub client: Option<ClientCredentials<'a>>,
}

/// Builds the token exchange request.
pub fn token_exchange_request(url: &Url, request: &TokenExchangeRequest<'_>) -> HttpRequest {
    let scopes = request.scopes.join(" ");
    let grant_type = request.grant_type.unwrap_or(TOKEN_EXCHANGE_GRANT_TYPE);
    let mut fields: Vec<(&str, FormValue<'_>)> = vec![("grant_type", grant_type.into())];
    fields.extend(request.resources.iter().map(|resource| ("resource", resource.into())));
    fields.extend(request.audiences.iter().map(|audience| ("audience", audience.into())));
    fields.push(("scope", (&scopes).into()));
    fields.push(("requested_token_type", request.requested_token_type.unwrap_or_default().into()));
    for (names, token) in [
        (["subject_token", "subject_token_type"], request.subject_token),
        (["actor_token", "actor_token_type"], request.actor_token),
    ] {
        if let Some((token, token_type)) = token {
            fields.extend([(names[0], token.into()), (names[1], token_type.into())]);
        }
    }
    fields.push(("options", request.options.unwrap_or_default().into()));
    fields.extend(request.refresh_token.map(|token| ("refresh_token", token.into())));
    fields.extend(request.client.into_iter().flat_map(ClientCredentials::form_fields));
    fields.retain(|(_, value)| !value.is_empty());
    let form = HttpRequest::form(url.clone(), &fields);
    match request.client {
        Some(client) => client.add_header(form),
        None => form,
    }
}

/// Builds the request for information about an access token (RFC 7662, 2.1).
pub(crate) fn introspection_request(url: &Url, token: &Secret, client: Option<ClientCredentials<'_>>) -> HttpRequest {
    let fields: [(&str, FormValue<'_>); 2] = [("token", token.into()), ("token_type_hint", ACCESS_TOKEN_TYPE.into())];
    let form = HttpRequest::form(url.clone(), &fields);
    match client {
        Some(client) => client.add_header(form),
        None => form,
    }
}

/// Reads the `username` of an active token from an introspection response (RFC 7662, 2.2).
///
/// # Errors
/// As `response::json_object`.
pub fn read_introspected_username(response: &HttpResponse, host: &str) -> crate::Result<Option<String>> {
    let map = response::json_object(response, host)?;
    let active = map.get("active") == Some(&serde_json::Value::Bool(true));
    let name = map.get("username").and_then(|name| name.as_str());
    Ok(name.filter(|_| active).map(str::to_owned))
}

/// The token type identifier of a short name; any other text is returned as it is.
pub fn expand_token_type(name: &str) -> &str {
    TOKEN_TYPE_ALIASES.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long)
}

/// Guesses the type of a token from its text: Google's access tokens begin with `ya29.`, and a JWT can be decoded.
pub fn guess_token_type(token: &Secret) -> Option<&'static str> {
    match token.starts_with("ya29.") {
        true => Some(ACCESS_TOKEN_TYPE),
        false => jwt::decode_secret(token).is_ok().then(|| expand_token_type("jwt")),
    }
}

/// Adds a hint about the usual reason why a server refuses a token exchange. `subject_token_source` describes where
/// the subject token is from.
pub fn add_token_exchange_hint(error: Error, response: &HttpResponse, subject_token_source: &str) -> Error {
    let Some(server_error) = response::server_error(response) else { return error };
    let description = server_error.description.as_deref().unwrap_or_default().to_lowercase();
    match server_error.code.as_str() {
        "invalid_grant" if description.contains("expired") => {
            error.hint(format!("get a new subject token: {subject_token_source} gave one that has expired"))
        }
        "invalid_grant" => error.hint(format!(
            "compare issuer, audience and attribute condition of the provider with the token from {subject_token_source}"
        )),
        "invalid_target" => error.hint(
            "check the audience: …/workloadIdentityPools/POOL/providers/PROVIDER, with the project's number",
        ),
        "invalid_client" | "unauthorized_client" => {
            error.hint("check client_id and client_secret, and whether this provider requires them")
        }
        "invalid_scope" => error.hint("check --scopes: a scope is misspelt, or is not granted in a token exchange"),
        "unsupported_grant_type" => error.hint("check the URL: this endpoint does not exchange tokens"),
        _ => error.hint_if_none(|| format!("check the token from {subject_token_source}, and its type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_authentication::ClientAuthentication;

    fn body(request: &TokenExchangeRequest<'_>) -> String {
        let url = Url::parse("https://sts.googleapis.com/v1/token").expect("url");
        let body = token_exchange_request(&url, request).body.expect("body");
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[test]
    fn every_parameter_is_sent_in_googles_order() {
        let (subject, actor, secret) = (Secret::new("ST"), Secret::new("AT"), Secret::new("CS"));
        let list = |items: &[&str]| items.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (resources, audiences, scopes) = (list(&["r"]), list(&["x", "y"]), list(&["a", "b"]));
        let request = TokenExchangeRequest {
            grant_type: None,
            resources: &resources,
            audiences: &audiences,
            scopes: &scopes,
            requested_token_type: Some(ACCESS_TOKEN_TYPE),
            subject_token: Some((&subject, expand_token_type("jwt"))),
            actor_token: Some((&actor, expand_token_type("id_token"))),
            options: Some("{\"userProject\":\"p\"}"),
            refresh_token: None,
            client: Some(ClientCredentials::new("CID", Some(&secret), ClientAuthentication::ClientSecretPost)),
        };
        assert_eq!(
            body(&request),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&resource=r&audience=x\
             &audience=y&scope=a+b\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
             &subject_token=ST&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt\
             &actor_token=AT&actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token\
             &options=%7B%22userProject%22%3A%22p%22%7D&client_id=CID&client_secret=CS"
        );
        let empty = TokenExchangeRequest::default();
        assert_eq!(body(&empty), "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange");
    }

    #[test]
    fn options_are_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        let options = &vectors["sts_options"];
        for (json, form) in [("options_json", "form_value"), ("user_project_json", "user_project_form_value")] {
            let request = TokenExchangeRequest { options: options[json].as_str(), ..TokenExchangeRequest::default() };
            let expected = format!("&options={}", options[form].as_str().expect("text"));
            assert!(body(&request).ends_with(&expected), "{}", body(&request));
        }
    }
}
