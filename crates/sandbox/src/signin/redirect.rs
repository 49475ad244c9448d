//! Redirects from the authorization endpoints back to the client (RFC 6749, 4.1.2; RFC 9207).

use crate::fixtures;
use crate::fixtures::UserAccount;
use crate::pending_authorizations::{AuthorizationCode, AuthorizationGrant, PENDING_LIFETIME_SECONDS};
use crate::random_id::random_base64url;
use crate::state::SandboxState;
use crate::token_store::Issuer;
use gauth_core::http::server::http::ServerResponse;
use gauth_core::http::server::lock_ignoring_poison;

/// The client's redirect URI and state, for a response with an authorization code.
pub(crate) struct CodeRedirect<'a> {
    pub(crate) redirect_uri: &'a str,
    pub(crate) client_state: Option<&'a str>,
    /// The value of Google's `prompt` parameter, which tells whether consent was asked for.
    pub(crate) prompt: &'static str,
}

/// Redirects the browser to the client with a new authorization code.
pub(crate) fn redirect_with_code(
    state: &SandboxState,
    target: &CodeRedirect<'_>,
    code_challenge: &str,
    grant: AuthorizationGrant,
    user: &UserAccount,
) -> ServerResponse {
    let Ok(random) = random_base64url(48) else { return ServerResponse::empty(500) };
    let code = format!("4/0{random}");
    let issuer = grant.record.issuer;
    let scopes = grant.record.scopes.join(" ");
    let now = state.now();
    let authorization_code = AuthorizationCode {
        grant,
        redirect_uri: target.redirect_uri.to_owned(),
        code_challenge: code_challenge.to_owned(),
        expires_at: now + PENDING_LIFETIME_SECONDS,
        is_used: false,
    };
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    // Used codes are kept, because using one again revokes the tokens that it issued.
    pending.authorization_codes.retain(|_, code| code.expires_at + PENDING_LIFETIME_SECONDS > now);
    pending.authorization_codes.insert(code.clone(), authorization_code);
    drop(pending);
    let mut pairs = vec![("code", code.as_str())];
    if issuer == Issuer::Google {
        pairs.extend([("scope", scopes.as_str()), ("authuser", "0")]);
        pairs.push(("hd", user.domain()));
        pairs.push(("prompt", target.prompt));
    }
    redirect_response(target.redirect_uri, target.client_state, issuer_identifier(state, issuer), &pairs)
}

/// The issuer identifier in authorization responses (RFC 9207). The workforce pool sends none.
pub(crate) fn issuer_identifier(state: &SandboxState, issuer: Issuer) -> Option<&str> {
    match issuer {
        Issuer::Google => Some(fixtures::GOOGLE_ISSUER),
        Issuer::Workforce => None,
        Issuer::External => Some(&state.fixtures.external.issuer),
    }
}

/// Redirects the browser to the client, with these parameters added to its redirect URI.
pub(crate) fn redirect_response(
    redirect_uri: &str,
    client_state: Option<&str>,
    issuer: Option<&str>,
    pairs: &[(&str, &str)],
) -> ServerResponse {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(client_state.map(|state| ("state", state)));
    query.extend_pairs(issuer.map(|issuer| ("iss", issuer)));
    query.extend_pairs(pairs);
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    ServerResponse::empty(302)
        .header("Location", format!("{redirect_uri}{separator}{}", query.finish()))
        .header("Cache-Control", "no-store")
        .header("Referrer-Policy", "no-referrer")
}
