//! Google's Security Token Service, and any other that speaks RFC 8693: token exchange and introspection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::google::answer;
use crate::http::{HttpRequest, HttpResponse};
use crate::jwt;
use crate::secret::Secret;
use crate::url::Url;

/// The grant of RFC 8693.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The grant of RFC 6749, 6.
pub const REFRESH: &str = "refresh_token";

/// An access token, as RFC 8693 names it.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The types of tokens by the short names gauth takes, and in full.
pub const TOKEN_TYPES: &[(&str, &str)] = &[
    ("access_token", ACCESS_TOKEN),
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

/// How the client of a request proves who it is (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy)]
pub enum ClientAuth<'a> {
    /// `Authorization: Basic`, as Google reads it.
    Basic(&'a str, &'a Secret),
    /// The same with both form-encoded first, as RFC 6749, 2.3.1 has it for everybody.
    EncodedBasic(&'a str, &'a Secret),
    /// `client_id` and `client_secret` among the fields.
    Body(&'a str, &'a Secret),
    /// `client_id` alone among the fields: a public client, or one known by its certificate (RFC 8705).
    Id(&'a str),
}

/// The parameters of an exchange, in the order in which they are sent. What is empty is left out.
#[derive(Debug, Clone, Default)]
pub struct Exchange<'a> {
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
    pub subject: Option<(&'a Secret, &'a str)>,
    /// Who acts.
    pub actor: Option<(&'a Secret, &'a str)>,
    /// Google's additions, JSON.
    pub options: Option<&'a str>,
    /// The refresh token of the refresh grant.
    pub refresh_token: Option<&'a Secret>,
    /// The client.
    pub client: Option<ClientAuth<'a>>,
}

/// Asks for a token.
pub fn exchange(url: &Url, wish: &Exchange<'_>) -> HttpRequest {
    let scopes = wish.scopes.join(" ");
    let mut fields = vec![("grant_type", wish.grant_type.unwrap_or(TOKEN_EXCHANGE))];
    fields.extend(wish.resources.iter().map(|resource| ("resource", resource.as_str())));
    fields.extend(wish.audiences.iter().map(|audience| ("audience", audience.as_str())));
    fields.push(("scope", &scopes));
    fields.push(("requested_token_type", wish.requested_token_type.unwrap_or_default()));
    for (names, token) in [
        (["subject_token", "subject_token_type"], wish.subject),
        (["actor_token", "actor_token_type"], wish.actor),
    ] {
        if let Some((token, kind)) = token {
            fields.extend([(names[0], token.expose()), (names[1], kind)]);
        }
    }
    fields.push(("options", wish.options.unwrap_or_default()));
    fields.push(("refresh_token", wish.refresh_token.map_or("", Secret::expose)));
    fields.extend(wish.client.into_iter().flat_map(client_fields));
    fields.retain(|(_, value)| !value.is_empty());
    authenticated(HttpRequest::form(url.clone(), &fields), wish.client)
}

/// The client's part of a form.
pub(super) fn client_fields<'a>(
    client: ClientAuth<'a>,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let (id, secret) = match client {
        ClientAuth::Body(id, secret) => (Some(id), Some(secret.expose())),
        ClientAuth::Id(id) => (Some(id), None),
        ClientAuth::Basic(..) | ClientAuth::EncodedBasic(..) => (None, None),
    };
    let id = id.map(|id| ("client_id", id));
    id.into_iter().chain(secret.map(|secret| ("client_secret", secret)))
}

/// A request with the client's part of its head.
pub(super) fn authenticated(request: HttpRequest, client: Option<ClientAuth<'_>>) -> HttpRequest {
    match client {
        Some(ClientAuth::Basic(id, secret)) => {
            request.secret_header("authorization", basic(id, secret))
        }
        Some(ClientAuth::EncodedBasic(id, secret)) => {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let secret = Secret::new(encoded(secret.expose()));
            request.secret_header("authorization", basic(&encoded(id), &secret))
        }
        Some(ClientAuth::Body(..) | ClientAuth::Id(_)) | None => request,
    }
}

/// Asks whose token this is (RFC 7662).
pub fn introspect(url: &Url, token: &Secret, client: Option<ClientAuth<'_>>) -> HttpRequest {
    let fields = [("token", token.expose()), ("token_type_hint", ACCESS_TOKEN)];
    authenticated(HttpRequest::form(url.clone(), &fields), client)
}

/// Whose token it was, where the server says so and it is good.
///
/// # Errors
/// As for any answer.
pub fn read_principal(response: &HttpResponse, host: &str) -> crate::Result<Option<String>> {
    let map = answer::object(response, host)?;
    let active = map.get("active") == Some(&serde_json::Value::Bool(true));
    let name = map.get("username").and_then(|name| name.as_str());
    Ok(name.filter(|_| active).map(str::to_owned))
}

/// `Basic` and the pair in base64, the standard alphabet with padding (RFC 7617).
pub fn basic(id: &str, secret: &Secret) -> Secret {
    let pair = Zeroizing::new(format!("{id}:{}", secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// A token type in full; what is no short name is taken as it is.
pub fn token_type(name: &str) -> &str {
    TOKEN_TYPES.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long)
}

/// The type a token has by its looks: a JWT, or an access token of Google's.
pub fn type_by_looks(token: &Secret) -> Option<&'static str> {
    match token.expose() {
        google if google.starts_with("ya29.") => Some(ACCESS_TOKEN),
        other => jwt::parts(other).is_ok().then(|| token_type("jwt")),
    }
}

/// The scopes, audiences and so on that a refusal usually means. `subject` says in words where the subject token
/// came from.
pub fn explain(error: Error, response: &HttpResponse, subject: &str) -> Error {
    let Some(said) = answer::server_error(response) else { return error };
    let description = said.description.as_deref().unwrap_or_default().to_lowercase();
    match said.code.as_str() {
        "invalid_grant" if description.contains("expired") => {
            error.hint(format!("get a new subject token: {subject} gave one that has expired"))
        }
        "invalid_grant" => error.hint(format!(
            "compare issuer, audience and attribute condition of the provider with the token from {subject}"
        )),
        "invalid_target" => error.hint(
            "check the audience: …/workloadIdentityPools/POOL/providers/PROVIDER, with the project's number",
        ),
        "invalid_client" | "unauthorized_client" => {
            error.hint("check client_id and client_secret, and whether this provider wants them")
        }
        "invalid_scope" => error.hint("check --scopes: one is misspelt or may not be had this way"),
        "unsupported_grant_type" => error.hint("check the URL: this endpoint does not exchange tokens"),
        _ => error.hint_if_none(|| format!("check the token from {subject}, and its type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Value;

    fn body(wish: &Exchange<'_>) -> String {
        let url = Url::parse("https://sts.googleapis.com/v1/token").expect("url");
        let body = exchange(&url, wish).body.expect("body");
        String::from_utf8(body.to_vec()).expect("text")
    }

    #[test]
    fn every_parameter_is_sent_in_googles_order() {
        let (subject, actor, secret) = (Secret::new("ST"), Secret::new("AT"), Secret::new("CS"));
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (resources, audiences, scopes) = (list(&["r"]), list(&["x", "y"]), list(&["a", "b"]));
        let wish = Exchange {
            grant_type: None,
            resources: &resources,
            audiences: &audiences,
            scopes: &scopes,
            requested_token_type: Some(ACCESS_TOKEN),
            subject: Some((&subject, token_type("jwt"))),
            actor: Some((&actor, token_type("id_token"))),
            options: Some("{\"userProject\":\"p\"}"),
            refresh_token: None,
            client: Some(ClientAuth::Body("CID", &secret)),
        };
        assert_eq!(
            body(&wish),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&resource=r&audience=x\
             &audience=y&scope=a+b\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
             &subject_token=ST&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt\
             &actor_token=AT&actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token\
             &options=%7B%22userProject%22%3A%22p%22%7D&client_id=CID&client_secret=CS"
        );
        let nothing = Exchange::default();
        assert_eq!(
            body(&nothing),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
        );
    }

    #[test]
    fn a_client_of_another_server_is_encoded_before_it_is_packed() {
        let secret = Secret::new("a+b c%:");
        let header = |client| {
            let url = Url::parse("https://as.example.com/token").expect("url");
            let wish = Exchange { client: Some(client), ..Exchange::default() };
            exchange(&url, &wish).headers.pop().map(|(_, value)| value)
        };
        for (client, pair) in [
            (ClientAuth::Basic("c:d", &secret), "c:d:a+b c%:"),
            (ClientAuth::EncodedBasic("c:d", &secret), "c%3Ad:a%2Bb+c%25%3A"),
        ] {
            let Some(Value::Secret(sent)) = header(client) else {
                assert_eq!(pair, "a secret header");
                continue;
            };
            assert_eq!(sent.expose(), format!("Basic {}", STANDARD.encode(pair)));
        }
    }

    #[test]
    fn options_and_client_authentication_are_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["basic_auth"].as_array().expect("cases") {
            let text = |name: &str| case[name].as_str().expect("text");
            let secret = Secret::new(text("client_secret"));
            assert_eq!(basic(text("client_id"), &secret).expose(), text("header"));
        }
        let options = &vectors["sts_options"];
        for (json, form) in
            [("options_json", "form_value"), ("user_project_json", "user_project_form_value")]
        {
            let wish = Exchange { options: options[json].as_str(), ..Exchange::default() };
            let expected = format!("&options={}", options[form].as_str().expect("text"));
            assert!(body(&wish).ends_with(&expected), "{}", body(&wish));
        }
    }
}
