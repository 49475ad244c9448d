//! Google's Security Token Service, and any other that speaks RFC 8693: token exchange and introspection.

use crate::error::Error;
use crate::jose::jwt;
use crate::net::message::{FormValue, HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::response;
use crate::text::secret::Secret;

/// The grant of RFC 8693.
pub const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The grant of RFC 6749, 6.
pub const REFRESH_TOKEN_GRANT_TYPE: &str = "refresh_token";

/// An access token, as RFC 8693 names it.
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The types of tokens by the short names gauth takes, and in full.
pub const TOKEN_TYPE_ALIASES: &[(&str, &str)] = &[
    ("access_token", ACCESS_TOKEN_TYPE),
    ("refresh_token", "urn:ietf:params:oauth:token-type:refresh_token"),
    ("id_token", "urn:ietf:params:oauth:token-type:id_token"),
    ("jwt", "urn:ietf:params:oauth:token-type:jwt"),
    ("saml1", "urn:ietf:params:oauth:token-type:saml1"),
    ("saml2", "urn:ietf:params:oauth:token-type:saml2"),
    ("mtls", "urn:ietf:params:oauth:token-type:mtls"),
    ("aws4_request", "urn:ietf:params:aws:token-type:aws4_request"),
    (
        "access_boundary_intermediary_token",
        "urn:ietf:params:oauth:token-type:access_boundary_intermediary_token",
    ),
];

/// The parameters of an exchange, in the order in which they are sent. What is empty is left out.
#[derive(Debug, Clone, Default)]
pub struct TokenExchangeRequest<'a> {
    /// [`TOKEN_EXCHANGE`] if nothing else.
    pub grant_type: Option<&'a str>,
    /// URIs of what the token is to be used at.
    pub resources: &'a [String],
    /// Names of what the token is to be used at; Google's name of a provider.
    pub audiences: &'a [String],
    /// What the token is to allow.
    pub scopes: &'a [String],
    /// What kind of token is wanted.
    pub requested_token_type: Option<&'a str>,
    /// On whose behalf.
    pub subject_token: Option<(&'a Secret, &'a str)>,
    /// Who acts.
    pub actor_token: Option<(&'a Secret, &'a str)>,
    /// Google's additions, JSON.
    pub options: Option<&'a str>,
    /// The refresh token of the refresh grant.
    pub refresh_token: Option<&'a Secret>,
    /// The client.
    pub client: Option<ClientCredentials<'a>>,
}

/// Asks for a token.
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

/// Asks whose token this is (RFC 7662).
pub fn introspection_request(
    url: &Url,
    token: &Secret,
    client: Option<ClientCredentials<'_>>,
) -> HttpRequest {
    let fields: [(&str, FormValue<'_>); 2] =
        [("token", token.into()), ("token_type_hint", ACCESS_TOKEN_TYPE.into())];
    let form = HttpRequest::form(url.clone(), &fields);
    match client {
        Some(client) => client.add_header(form),
        None => form,
    }
}

/// Whose token it was, where the server says so and it is good.
///
/// # Errors
/// As for any answer.
pub fn read_introspected_username(
    response: &HttpResponse,
    host: &str,
) -> crate::Result<Option<String>> {
    let map = response::json_object(response, host)?;
    let active = map.get("active") == Some(&serde_json::Value::Bool(true));
    let name = map.get("username").and_then(|name| name.as_str());
    Ok(name.filter(|_| active).map(str::to_owned))
}

/// A token type in full; what is no short name is taken as it is.
pub fn expand_token_type(name: &str) -> &str {
    TOKEN_TYPE_ALIASES.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long)
}

/// The type a token has by its looks: a JWT, or an access token of Google's.
pub fn guess_token_type(token: &Secret) -> Option<&'static str> {
    match token.starts_with("ya29.") {
        true => Some(ACCESS_TOKEN_TYPE),
        false => jwt::decode_secret(token).is_ok().then(|| expand_token_type("jwt")),
    }
}

/// The scopes, audiences and so on that a refusal usually means. `subject` says in words where the subject token
/// came from.
pub fn add_token_exchange_hint(
    error: Error,
    response: &HttpResponse,
    subject_token_source: &str,
) -> Error {
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
            error.hint("check client_id and client_secret, and whether this provider wants them")
        }
        "invalid_scope" => error.hint("check --scopes: one is misspelt or may not be had this way"),
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
            client: Some(ClientCredentials::new(
                "CID",
                Some(&secret),
                ClientAuthentication::ClientSecretPost,
            )),
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
        assert_eq!(
            body(&empty),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
        );
    }

    #[test]
    fn options_are_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json"))
                .expect("vectors");
        let options = &vectors["sts_options"];
        for (json, form) in
            [("options_json", "form_value"), ("user_project_json", "user_project_form_value")]
        {
            let request = TokenExchangeRequest {
                options: options[json].as_str(),
                ..TokenExchangeRequest::default()
            };
            let expected = format!("&options={}", options[form].as_str().expect("text"));
            assert!(body(&request).ends_with(&expected), "{}", body(&request));
        }
    }
}
