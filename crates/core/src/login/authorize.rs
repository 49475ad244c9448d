//! The authorization request (RFC 6749, 4.1.1): a URL with a PKCE code challenge (RFC 7636), and with a state and a nonce
//! that cannot be guessed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::login::LoginRequest;
use crate::text::secret::Secret;
use crate::world::random::Random;

/// The parameters of an authorization request that the user can choose.
#[derive(Debug, Clone, Default)]
pub struct AuthorizationRequest {
    /// The scopes that are requested.
    pub scopes: Vec<String>,
    /// The account that is to sign in (`login_hint`).
    pub account: Option<String>,
    /// What the server asks the user (`prompt`): values separated by spaces.
    pub prompt: Option<String>,
    /// The Google Workspace domain whose accounts are offered (`hd`).
    pub hosted_domain: Option<String>,
    /// Whether the token includes scopes that the user granted earlier (Google's incremental authorization).
    pub include_granted_scopes: bool,
    /// Other parameters, from `--parameter`.
    pub extra_parameters: Vec<(String, String)>,
}

/// The parameters that gauth sets itself.
const RESERVED_PARAMETERS: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "access_type",
    "prompt",
    "login_hint",
    "hd",
    "include_granted_scopes",
    "request",
    "request_uri",
];

impl AuthorizationRequest {
    /// Adds a parameter, written `NAME=VALUE`.
    ///
    /// # Errors
    /// Usage, for a malformed or repeated parameter, or for one that gauth sets itself.
    pub fn add_parameter(&mut self, parameter: &str) -> Result<()> {
        let invalid = |what: &str| {
            Error::usage(format!("--parameter {} {what}", crate::text::printable::text(parameter)))
                .hint("--parameter NAME=VALUE; scopes, prompt, account and domain have flags of their own")
        };
        let (name, value) = parameter.split_once('=').ok_or_else(|| invalid("is not NAME=VALUE"))?;
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            return Err(invalid("has an invalid name"));
        }
        if RESERVED_PARAMETERS.contains(&name) {
            return Err(invalid("sets a parameter that gauth sets itself"));
        }
        if self.extra_parameters.iter().any(|(known, _)| known == name) {
            return Err(invalid("is given twice"));
        }
        self.extra_parameters.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// The random values of one sign-in, which tie the responses to the request.
pub struct AuthorizationSession {
    /// The `state`, which the response repeats (RFC 6749, 10.12). 128 bits. It is part of the URL, so it is no [`Secret`].
    pub state: String,
    /// The PKCE code verifier (RFC 7636, 4.1).
    pub code_verifier: Secret,
    /// The `nonce`, which the ID token repeats (OpenID Connect Core, 3.1.2.1).
    pub nonce: String,
}

impl AuthorizationSession {
    /// Generates the values of a new sign-in.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(random: &dyn Random) -> Result<AuthorizationSession> {
        Ok(AuthorizationSession {
            state: random_token::<16>(random)?,
            // 256 bits make 43 characters, the minimum length of a code verifier.
            code_verifier: Secret::new(random_token::<32>(random)?),
            nonce: random_token::<16>(random)?,
        })
    }
}

fn random_token<const BYTES: usize>(random: &dyn Random) -> Result<String> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    random.fill(&mut *bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(*bytes))
}

/// The code challenge of a code verifier by the method S256 (RFC 7636, 4.2).
pub fn s256_code_challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(verifier.sha256())
}

/// The URL of an authorization request.
///
/// # Errors
/// Usage, when the URL is too long for a browser.
pub fn authorization_url(
    login_request: &LoginRequest,
    redirect_uri: &str,
    session: &AuthorizationSession,
) -> Result<String> {
    let LoginRequest { provider, client, authorization, .. } = login_request;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("response_type", "code")
        .append_pair("scope", &authorization.scopes.join(" "))
        .append_pair("state", &session.state)
        .append_pair("code_challenge", &s256_code_challenge(&session.code_verifier))
        .append_pair("code_challenge_method", "S256");
    if authorization.scopes.iter().any(|scope| scope == "openid") {
        query.append_pair("nonce", &session.nonce);
    }
    if provider.is_google {
        query.append_pair("access_type", "offline");
    }
    if authorization.include_granted_scopes {
        query.append_pair("include_granted_scopes", "true");
    }
    let optional = [
        ("prompt", &authorization.prompt),
        ("login_hint", &authorization.account),
        ("hd", &authorization.hosted_domain),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.extend_pairs(provider.extra_parameters.iter().chain(&authorization.extra_parameters));
    let base = provider.authorization_endpoint.as_str();
    let separator = if base.contains('?') { '&' } else { '?' };
    // Some servers read + as a plus sign, and every server reads %20 as a space.
    let url = format!("{base}{separator}{}", query.finish().replace('+', "%20"));
    match url.len() <= MAX_URL_BYTES {
        true => Ok(url),
        false => Err(Error::usage(format!("the URL of this login is {} characters long", url.len()))
            .hint("request fewer --scopes")),
    }
}

/// The maximum length of the URL: some browsers and servers truncate longer ones.
const MAX_URL_BYTES: usize = 8000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::client::OAuthClient;
    use crate::login::provider::{AUTHORIZATION_ENDPOINT, LoginProvider};
    use crate::net::url::Url;
    use crate::oauth::client_authentication::ClientAuthentication;
    use crate::world::clock::{Deadline, SystemClock};
    use std::time::Duration;

    fn login_request(authorization: AuthorizationRequest, is_google: bool) -> LoginRequest {
        let endpoint = |text: &str| Url::parse(text).expect("url");
        let client = OAuthClient::parse(br#"{"installed":{"client_id":"CID"}}"#, "c.json").expect("client");
        LoginRequest {
            provider: LoginProvider {
                name: "Google".to_owned(),
                issuer: None,
                sends_issuer: false,
                authorization_endpoint: endpoint(AUTHORIZATION_ENDPOINT),
                token_endpoint: endpoint("https://oauth2.googleapis.com/token"),
                device_authorization_endpoint: None,
                userinfo_endpoint: None,
                client_authentication: ClientAuthentication::ClientSecretPost,
                extra_parameters: Vec::new(),
                is_google,
            },
            client,
            authorization,
            deadline: Deadline::after(&SystemClock::new(), Duration::from_secs(1)),
            kind: crate::login::LoginKind::User,
        }
    }

    fn session() -> AuthorizationSession {
        AuthorizationSession {
            state: "STATE".to_owned(),
            code_verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            nonce: "NONCE".to_owned(),
        }
    }

    #[test]
    fn the_code_challenge_is_that_of_rfc_7636() {
        // RFC 7636, appendix B.
        assert_eq!(s256_code_challenge(&session().code_verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        let text = |name: &str| vectors["pkce"][name].as_str().expect("a text").to_owned();
        let verifier = Secret::new(text("code_verifier"));
        assert_eq!(s256_code_challenge(&verifier), text("code_challenge"));
    }

    #[test]
    fn the_url_has_the_chosen_parameters_and_no_others() {
        let scopes = vec!["openid".to_owned(), "https://www.googleapis.com/auth/x y".to_owned()];
        let plain = AuthorizationRequest { scopes: scopes.clone(), ..AuthorizationRequest::default() };
        let url = |request: AuthorizationRequest, google| {
            super::authorization_url(&login_request(request, google), "http://127.0.0.1:9/", &session()).expect("a URL")
        };
        let common = "https://accounts.google.com/o/oauth2/v2/auth?client_id=CID\
            &redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2F&response_type=code\
            &scope=openid%20https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fx%20y&state=STATE\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
            &nonce=NONCE";
        assert_eq!(url(plain.clone(), false), common);
        assert_eq!(url(plain, true), format!("{common}&access_type=offline"));
        let mut request = AuthorizationRequest {
            scopes,
            account: Some("ada+x@example.com".to_owned()),
            prompt: Some("select_account consent".to_owned()),
            hosted_domain: Some("example.com".to_owned()),
            include_granted_scopes: true,
            extra_parameters: Vec::new(),
        };
        request.add_parameter("ui_locales=de&at").expect("a parameter");
        let more = "&access_type=offline&include_granted_scopes=true&prompt=select_account%20consent\
            &login_hint=ada%2Bx%40example.com&hd=example.com&ui_locales=de%26at";
        assert_eq!(url(request, true), format!("{common}{more}"));
    }

    #[test]
    fn parameters_that_gauth_sets_itself_are_refused() {
        let mut request = AuthorizationRequest::default();
        request.add_parameter("acr_values=a=b").expect("a parameter");
        for written in ["state=x", "redirect_uri=x", "scope=x", "x", "=x", "a b=c", "acr_values=c"] {
            assert_eq!(request.add_parameter(written).expect_err(written).kind().exit_code(), 2);
        }
        assert_eq!(request.extra_parameters, [("acr_values".to_owned(), "a=b".to_owned())]);
    }

    #[test]
    fn no_two_sign_ins_have_the_same_random_values() {
        let new = || AuthorizationSession::new(&crate::world::random::SystemRandom).expect("randomness");
        let (one, other) = (new(), new());
        assert!(one.state != other.state && !one.code_verifier.constant_time_eq(&other.code_verifier));
        assert!(one.state.len() >= 22 && one.code_verifier.len() >= 43);
    }
}
