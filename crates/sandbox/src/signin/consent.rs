//! The consent page of an authorization request, and what follows from the user's decision.

use crate::fixtures;
use crate::fixtures::UserAccount;
use crate::identity_pool::workforce_principal;
use crate::pending_authorizations::{AuthorizationGrant, ConsentRequest, PENDING_LIFETIME_SECONDS, ResponseTarget};
use crate::random_id::random_base64url;
use crate::signin::page;
use crate::signin::redirect::{CodeRedirect, issuer_identifier, redirect_response, redirect_with_code};
use crate::state::SandboxState;
use crate::token_store::{Issuer, RefreshTokenRecord, includes_scope};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// Shows the consent page.
pub(crate) fn show_consent_page(state: &SandboxState, consent_request: ConsentRequest) -> ServerResponse {
    let Ok(token) = random_base64url(24) else { return ServerResponse::empty(500) };
    let page = page::consent_page(&consent_request, &token);
    let now = state.now();
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    pending.consent_requests.retain(|_, (_, end)| *end > now);
    pending.consent_requests.insert(token, (consent_request, now + PENDING_LIFETIME_SECONDS));
    page
}

/// Handles the form of the consent page.
pub(crate) fn handle_decision(state: &SandboxState, request: &ServerRequest, issuer: Issuer) -> ServerResponse {
    if !is_own_form(state, request) {
        return page::message_page(403, "Form rejected", "The form was sent from another website.");
    }
    let fields = request.form().unwrap_or_default();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let token = field("token").unwrap_or_default();
    let pending = lock_ignoring_poison(&state.pending_authorizations).consent_requests.remove(token);
    let pending = pending.filter(|(asked, end)| asked.issuer == issuer && *end > state.now());
    let Some((consent_request, _)) = pending else {
        let text = "This page has expired or was already used. Start the sign-in again.";
        return page::message_page(400, "Page expired", text);
    };
    let user = consent_request.user.or_else(|| fixtures::find_user(field("account").unwrap_or_default()));
    let chosen_scopes = fields.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| scope);
    let chosen_scopes: Vec<String> = chosen_scopes.cloned().collect();
    let are_requested = chosen_scopes.iter().all(|scope| consent_request.scopes.contains(scope));
    match (field("decision"), user) {
        (Some("allow"), Some(person)) if are_requested && !chosen_scopes.is_empty() => {
            approve(state, &consent_request, person, chosen_scopes)
        }
        (Some("allow"), Some(_)) if are_requested => deny(state, &consent_request),
        (Some("deny"), _) => deny(state, &consent_request),
        _ => page::message_page(400, "Invalid form", "The form was changed before it was sent."),
    }
}

/// Whether the browser says that the form was sent by one of the sandbox's own pages.
fn is_own_form(state: &SandboxState, request: &ServerRequest) -> bool {
    let from = request.header("sec-fetch-site");
    let origin = request.header("origin");
    from.is_none_or(|from| from == "same-origin") && origin.is_none_or(|origin| state.is_own_url(origin, &[""]))
}

/// Grants these scopes, and responds to the client or the device.
fn approve(
    state: &SandboxState,
    consent_request: &ConsentRequest,
    user: &UserAccount,
    scopes: Vec<String>,
) -> ServerResponse {
    let grant = grant_access(state, consent_request, user, scopes);
    match &consent_request.response_target {
        ResponseTarget::Device(code) => {
            lock_ignoring_poison(&state.pending_authorizations).record_device_decision(code, Some(grant));
            page::message_page(200, "Signed in", "Continue on your device. You can close this window.")
        }
        ResponseTarget::Redirect { redirect_uri: uri, client_state: given, code_challenge: challenge } => {
            let target = CodeRedirect { redirect_uri: uri, client_state: given.as_deref(), prompt: "consent" };
            redirect_with_code(state, &target, challenge, grant, user)
        }
    }
}

fn deny(state: &SandboxState, consent_request: &ConsentRequest) -> ServerResponse {
    match &consent_request.response_target {
        ResponseTarget::Device(code) => {
            lock_ignoring_poison(&state.pending_authorizations).record_device_decision(code, None);
            page::message_page(200, "Denied", "Your device was not given access. You can close this window.")
        }
        ResponseTarget::Redirect { redirect_uri: uri, client_state: given, .. } => {
            let issuer = issuer_identifier(state, consent_request.issuer);
            redirect_response(uri, given.as_deref(), issuer, &[("error", "access_denied")])
        }
    }
}

/// Records the consent, and creates the grant.
pub(crate) fn grant_access(
    state: &SandboxState,
    consent_request: &ConsentRequest,
    user: &UserAccount,
    scopes: Vec<String>,
) -> AuthorizationGrant {
    let account = account_name(consent_request.issuer, user);
    let mut token_store = lock_ignoring_poison(state.token_store_for(consent_request.issuer));
    let earlier_scopes = token_store.find_consent(&account, &consent_request.client_id).map(<[String]>::to_vec);
    let is_first = earlier_scopes.is_none();
    let mut granted = scopes.clone();
    if consent_request.include_granted_scopes {
        let more = earlier_scopes.unwrap_or_default().into_iter();
        granted.extend(more.filter(|scope| !includes_scope(&scopes, scope)));
    }
    token_store.record_consent(&account, &consent_request.client_id, &granted);
    let issues_refresh_token = match consent_request.issuer {
        Issuer::Google => consent_request.offline_access && (is_first || consent_request.prompt_consent),
        Issuer::Workforce => true,
        Issuer::External => includes_scope(&granted, "offline_access"),
    };
    let record = RefreshTokenRecord {
        issuer: consent_request.issuer,
        account,
        client_id: consent_request.client_id.clone(),
        scopes: granted,
        family: token_store.new_family(),
        is_rotated: false,
    };
    AuthorizationGrant { record, issues_refresh_token, nonce: consent_request.nonce.clone() }
}

/// The account name of a user at this authorization server.
pub(crate) fn account_name(issuer: Issuer, user: &UserAccount) -> String {
    match issuer {
        Issuer::Workforce => workforce_principal(user.email),
        Issuer::Google | Issuer::External => user.email.to_owned(),
    }
}
