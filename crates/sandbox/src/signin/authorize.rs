//! The authorization endpoints: validate an authorization request, then ask the user for consent (RFC 6749, 4.1; RFC
//! 7636; OpenID Connect Core, 3.1.2).

use crate::fixtures::{USERS, WORKFORCE_PROVIDER};
use crate::oauth::{OAuthForm, parse_scopes};
use crate::pending_authorizations::{ConsentRequest, ResponseTarget};
use crate::signin::consent::{account_name, grant_access, handle_decision, show_consent_page};
use crate::signin::page;
use crate::signin::redirect::{CodeRedirect, issuer_identifier, redirect_response, redirect_with_code};
use crate::state::SandboxState;
use crate::token_store::{Issuer, includes_scope};
use crate::{fixtures, registered_clients};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// Google's authorization endpoints.
pub(crate) const GOOGLE_PATHS: [&str; 2] = ["/o/oauth2/auth", "/o/oauth2/v2/auth"];
/// The authorization endpoint of the workforce pool.
pub(crate) const WORKFORCE_PATH: &str = "/workforce/authorize";
/// The authorization endpoint of the external provider.
pub(crate) const EXTERNAL_PATH: &str = "/oidc/authorize";

/// The length of a SHA-256 digest in base64url without padding.
const CODE_CHALLENGE_LENGTH: usize = 43;

/// Serves Google's authorization endpoint.
pub(crate) fn handle_google(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle(state, request, Issuer::Google)
}

/// Serves the authorization endpoint of the workforce pool.
pub(crate) fn handle_workforce(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle(state, request, Issuer::Workforce)
}

/// Serves the authorization endpoint of the external provider.
pub(crate) fn handle_external(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle(state, request, Issuer::External)
}

fn handle(state: &SandboxState, request: &ServerRequest, issuer: Issuer) -> ServerResponse {
    match request.method.as_str() {
        "GET" => start_authorization(state, request, issuer).unwrap_or_else(|refusal| refusal),
        "POST" => handle_decision(state, request, issuer),
        _ => ServerResponse::method_not_allowed("GET, POST"),
    }
}

/// Shows the consent page, or responds at once if the request is invalid or needs no consent.
fn start_authorization(
    state: &SandboxState,
    request: &ServerRequest,
    issuer: Issuer,
) -> Result<ServerResponse, ServerResponse> {
    let form = OAuthForm::from_query(request);
    let form = form.map_err(|what| error_page("invalid_request", &what))?;
    // There are no redirects until the client and the redirect URI are verified.
    let require = |name: &str| {
        let text = format!("Required parameter is missing: {name}");
        form.get(name).ok_or_else(|| error_page("invalid_request", &text))
    };
    let id = require("client_id")?;
    let client = registered_clients::find_client(state, issuer, id)
        .ok_or_else(|| error_page("invalid_client", "The OAuth client was not found."))?;
    let redirect_uri = require("redirect_uri")?;
    if !client.can_redirect_to(redirect_uri) {
        let text = format!("The redirect URI {redirect_uri} is not registered for this client.");
        return Err(error_page("redirect_uri_mismatch", &text));
    }
    let client_state = form.get("state");
    let error_redirect = |(code, text): (&str, String)| {
        let pairs = [("error", code), ("error_description", &text)];
        redirect_response(redirect_uri, client_state, issuer_identifier(state, issuer), &pairs)
    };
    let code_challenge = parse_code_challenge(&form).map_err(error_redirect)?;
    if issuer == Issuer::Workforce {
        check_provider(&form).map_err(error_redirect)?;
    }
    let response_target = ResponseTarget::Redirect {
        redirect_uri: redirect_uri.to_owned(),
        client_state: client_state.map(str::to_owned),
        code_challenge,
    };
    let consent_request = parse_consent_request(&form, issuer, id, response_target).map_err(error_redirect)?;
    match consent_request.prompt_none {
        false => Ok(show_consent_page(state, consent_request)),
        true => authorize_without_prompt(state, &consent_request).map_err(error_redirect),
    }
}

/// An error page, for a request whose redirect URI cannot be trusted.
fn error_page(code: &str, text: &str) -> ServerResponse {
    page::message_page(400, &format!("Error 400: {code}"), text)
}

type AuthorizationError = (&'static str, String);

fn request_error(text: impl Into<String>) -> AuthorizationError {
    ("invalid_request", text.into())
}

/// The PKCE code challenge, which the sandbox requires of every client.
fn parse_code_challenge(form: &OAuthForm) -> Result<String, AuthorizationError> {
    match form.get("response_type") {
        Some("code") => {}
        None => return Err(request_error("Required parameter is missing: response_type")),
        Some(other) => {
            return Err(("unsupported_response_type", format!("Invalid response_type: {other}")));
        }
    }
    if form.get("code_challenge_method") != Some("S256") {
        return Err(request_error("code_challenge_method must be S256."));
    }
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match form.get("code_challenge") {
        Some(text) if text.len() == CODE_CHALLENGE_LENGTH && text.bytes().all(is_base64url) => Ok(text.to_owned()),
        Some(_) => Err(request_error("code_challenge is not a SHA-256 digest in base64url.")),
        None => Err(request_error("Required parameter is missing: code_challenge")),
    }
}

/// Checks the provider, which a request to the workforce pool has to name.
fn check_provider(form: &OAuthForm) -> Result<(), AuthorizationError> {
    let name = WORKFORCE_PROVIDER.trim_start_matches("//iam.googleapis.com/");
    match form.get("provider_name") {
        Some(given) if given == name => Ok(()),
        Some(_) => Err(request_error("Invalid provider_name: the provider does not exist or is disabled.")),
        None => Err(request_error("Required parameter is missing: provider_name")),
    }
}

/// Parses the remaining parameters of the request.
fn parse_consent_request(
    form: &OAuthForm,
    issuer: Issuer,
    client_id: &str,
    response_target: ResponseTarget,
) -> Result<ConsentRequest, AuthorizationError> {
    let scopes = form.get("scope").ok_or_else(|| request_error("Missing required parameter: scope"))?;
    let scopes = known_scopes(issuer, scopes)
        .ok_or_else(|| ("invalid_scope", format!("Some requested scopes were invalid: {scopes}")))?;
    let prompt = form.get("prompt").unwrap_or_default();
    let requested_prompts: Vec<&str> = prompt.split(' ').filter(|word| !word.is_empty()).collect();
    let is_known_prompt = |word: &&str| ["none", "consent", "select_account", "login"].contains(word);
    let has_prompt = |word| requested_prompts.contains(&word);
    if !requested_prompts.iter().all(is_known_prompt) || (has_prompt("none") && requested_prompts.len() > 1) {
        return Err(request_error(format!("Invalid parameter value for prompt: {prompt}")));
    }
    let boolean_parameter = |name: &str, choices: [&str; 2]| match form.get(name) {
        None => Ok(false),
        Some(given) if given == choices[0] => Ok(true),
        Some(given) if given == choices[1] => Ok(false),
        Some(given) => Err(request_error(format!("Invalid parameter value for {name}: {given}"))),
    };
    Ok(ConsentRequest {
        issuer,
        client_id: client_id.to_owned(),
        scopes,
        include_granted_scopes: boolean_parameter("include_granted_scopes", ["true", "false"])?,
        offline_access: boolean_parameter("access_type", ["offline", "online"])?,
        prompt_consent: has_prompt("consent"),
        prompt_none: has_prompt("none"),
        user: form.get("login_hint").and_then(fixtures::find_user).filter(|_| !has_prompt("select_account")),
        nonce: form.get("nonce").map(str::to_owned),
        response_target,
    })
}

/// Parses a list of scopes and removes duplicates; `None` if it is empty or a scope is unknown to this issuer.
pub(crate) fn known_scopes(issuer: Issuer, text: &str) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = match issuer {
        Issuer::Google | Issuer::Workforce => parse_scopes(text).ok()?,
        Issuer::External => text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
    };
    let is_external_scope = |scope: &String| ["openid", "email", "profile", "offline_access"].contains(&scope.as_str());
    let is_valid = !scopes.is_empty() && (issuer != Issuer::External || scopes.iter().all(is_external_scope));
    let mut seen = Vec::new();
    scopes.retain(|scope| {
        let new = !seen.contains(scope);
        seen.push(scope.clone());
        new
    });
    is_valid.then_some(scopes)
}

/// Issues a code without showing a page (`prompt=none`), if the user has consented to all scopes before.
fn authorize_without_prompt(
    state: &SandboxState,
    consent_request: &ConsentRequest,
) -> Result<ServerResponse, AuthorizationError> {
    let user = consent_request.user.unwrap_or(&USERS[0]);
    let account = account_name(consent_request.issuer, user);
    let has_consented = lock_ignoring_poison(state.token_store_for(consent_request.issuer))
        .find_consent(&account, &consent_request.client_id)
        .is_some_and(|earlier| consent_request.scopes.iter().all(|scope| includes_scope(earlier, scope)));
    match &consent_request.response_target {
        ResponseTarget::Redirect { redirect_uri: uri, client_state: given, code_challenge: challenge }
            if has_consented =>
        {
            let target = CodeRedirect { redirect_uri: uri, client_state: given.as_deref(), prompt: "none" };
            let grant = grant_access(state, consent_request, user, consent_request.scopes.clone());
            Ok(redirect_with_code(state, &target, challenge, grant, user))
        }
        _ => Err(("interaction_required", "The user has not consented to all of these scopes.".to_owned())),
    }
}
