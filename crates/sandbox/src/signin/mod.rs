//! Where people sign in: the pages that ask them, what they decided, and the codes that come of it. Google
//! accounts, the workforce pool and the outside OpenID provider do the same, each at its own [`Door`].

pub(super) mod authorize;
pub(super) mod clients;
pub(super) mod device;
pub(super) mod grants;
mod page;

use std::collections::HashMap;

use crate::fixtures;
use crate::fixtures::UserAccount;
use crate::token_store::{Issuer, RefreshTokenRecord, includes_scope};
use crate::{SandboxState, sts};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// How long a page may be thought about, and how long a code is good, in seconds.
const PENDING_LIFETIME_SECONDS: i64 = 600;

/// What a program asks a person for.
#[derive(Debug, Clone)]
struct ConsentRequest {
    issuer: Issuer,
    client_id: String,
    scopes: Vec<String>,
    /// Whether the granted scopes of earlier are to be part of the token.
    include_granted_scopes: bool,
    /// Whether a refresh token is wanted.
    offline_access: bool,
    /// Whether the person is to consent again, which brings another refresh token.
    prompt_consent: bool,
    /// Whether no page may be shown.
    prompt_none: bool,
    /// Who is to sign in, where it is not theirs to choose.
    user: Option<&'static UserAccount>,
    /// Goes into the ID token.
    nonce: Option<String>,
    response_target: ResponseTarget,
}

/// Where the answer goes.
#[derive(Debug, Clone)]
enum ResponseTarget {
    /// To the program, through the browser.
    Redirect { redirect_uri: String, client_state: Option<String>, code_challenge: String },
    /// To the device that asks with this code.
    Device(String),
}

/// What has been asked and decided, and not been fetched.
#[derive(Default)]
pub(super) struct PendingAuthorizations {
    /// By the token of the form, with their end.
    consent_requests: HashMap<String, (ConsentRequest, i64)>,
    authorization_codes: HashMap<String, AuthorizationCode>,
    devices: HashMap<String, device::PendingDevice>,
}

/// What an authorization code is good for.
#[derive(Debug, Clone)]
struct AuthorizationCode {
    grant: AuthorizationGrant,
    redirect_uri: String,
    code_challenge: String,
    expires_at: i64,
    is_used: bool,
}

/// What a person allowed.
#[derive(Debug, Clone)]
struct AuthorizationGrant {
    record: RefreshTokenRecord,
    issues_refresh_token: bool,
    nonce: Option<String>,
}

/// Shows the page that asks.
fn show_consent_page(state: &SandboxState, consent_request: ConsentRequest) -> ServerResponse {
    let Ok(token) = fixtures::random_base64url(24) else { return ServerResponse::empty(500) };
    let page = page::consent_page(&consent_request, &token);
    let now = state.now();
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    pending.consent_requests.retain(|_, (_, end)| *end > now);
    pending.consent_requests.insert(token, (consent_request, now + PENDING_LIFETIME_SECONDS));
    page
}

/// Takes what the person decided on the page of this door.
fn handle_decision(
    state: &SandboxState,
    request: &ServerRequest,
    issuer: Issuer,
) -> ServerResponse {
    if !is_own_form(state, request) {
        return page::message_page(403, "Not from here", "This form was sent by another site.");
    }
    let fields = request.form().unwrap_or_default();
    let field = |name: &str| {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let token = field("token").unwrap_or_default();
    let pending =
        lock_ignoring_poison(&state.pending_authorizations).consent_requests.remove(token);
    let pending = pending.filter(|(asked, end)| asked.issuer == issuer && *end > state.now());
    let Some((consent_request, _)) = pending else {
        let text = "This page was used before, or it is too old. Start again in your program.";
        return page::message_page(400, "No longer good", text);
    };
    let user =
        consent_request.user.or_else(|| fixtures::find_user(field("account").unwrap_or_default()));
    let chosen_scopes = fields.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| scope);
    let chosen_scopes: Vec<String> = chosen_scopes.cloned().collect();
    let are_requested = chosen_scopes.iter().all(|scope| consent_request.scopes.contains(scope));
    match (field("decision"), user) {
        (Some("allow"), Some(person)) if are_requested && !chosen_scopes.is_empty() => {
            approve(state, &consent_request, person, chosen_scopes)
        }
        (Some("allow"), Some(_)) if are_requested => deny(state, &consent_request),
        (Some("deny"), _) => deny(state, &consent_request),
        _ => page::message_page(400, "Not understood", "The form was not sent as it was shown."),
    }
}

/// Whether a form was sent by a page of ours, as far as the browser says.
fn is_own_form(state: &SandboxState, request: &ServerRequest) -> bool {
    let from = request.header("sec-fetch-site");
    let origin = request.header("origin");
    from.is_none_or(|from| from == "same-origin")
        && origin.is_none_or(|origin| state.is_own_url(origin, &[""]))
}

/// The person agreed to these scopes.
fn approve(
    state: &SandboxState,
    consent_request: &ConsentRequest,
    user: &UserAccount,
    scopes: Vec<String>,
) -> ServerResponse {
    let grant = grant_access(state, consent_request, user, scopes);
    match &consent_request.response_target {
        ResponseTarget::Device(code) => {
            device::record_decision(state, code, Some(grant));
            page::message_page(200, "Signed in", "Go on at your device. You can close this window.")
        }
        ResponseTarget::Redirect {
            redirect_uri: uri,
            client_state: given,
            code_challenge: challenge,
        } => {
            let target = CodeRedirect {
                redirect_uri: uri,
                client_state: given.as_deref(),
                prompt: "consent",
            };
            redirect_with_code(state, &target, challenge, grant, user)
        }
    }
}

fn deny(state: &SandboxState, consent_request: &ConsentRequest) -> ServerResponse {
    match &consent_request.response_target {
        ResponseTarget::Device(code) => {
            device::record_decision(state, code, None);
            page::message_page(
                200,
                "Denied",
                "Nothing was given to your device. You can close this window.",
            )
        }
        ResponseTarget::Redirect { redirect_uri: uri, client_state: given, .. } => {
            let issuer = issuer_identifier(state, consent_request.issuer);
            redirect_response(uri, given.as_deref(), issuer, &[("error", "access_denied")])
        }
    }
}

/// Notes the consent, and what the program gets for it.
fn grant_access(
    state: &SandboxState,
    consent_request: &ConsentRequest,
    user: &UserAccount,
    scopes: Vec<String>,
) -> AuthorizationGrant {
    let account = match consent_request.issuer {
        Issuer::Workforce => sts::workforce_principal(user.email),
        Issuer::Google | Issuer::External => user.email.to_owned(),
    };
    let mut token_store = lock_ignoring_poison(state.token_store_for(consent_request.issuer));
    let earlier_scopes =
        token_store.find_consent(&account, &consent_request.client_id).map(<[String]>::to_vec);
    let is_first = earlier_scopes.is_none();
    let mut granted = scopes.clone();
    if consent_request.include_granted_scopes {
        let more = earlier_scopes.unwrap_or_default().into_iter();
        granted.extend(more.filter(|scope| !includes_scope(&scopes, scope)));
    }
    token_store.record_consent(&account, &consent_request.client_id, &granted);
    let issues_refresh_token = match consent_request.issuer {
        Issuer::Google => {
            consent_request.offline_access && (is_first || consent_request.prompt_consent)
        }
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

/// Where a code goes, and what is said with it.
struct CodeRedirect<'a> {
    redirect_uri: &'a str,
    client_state: Option<&'a str>,
    /// Whether the person was asked, in Google's word.
    prompt: &'static str,
}

/// Sends the browser back with a new code.
fn redirect_with_code(
    state: &SandboxState,
    target: &CodeRedirect<'_>,
    code_challenge: &str,
    grant: AuthorizationGrant,
    user: &UserAccount,
) -> ServerResponse {
    let Ok(random) = fixtures::random_base64url(48) else { return ServerResponse::empty(500) };
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
    // One that was used is remembered: used again, it ends what it gave.
    pending.authorization_codes.retain(|_, code| code.expires_at + PENDING_LIFETIME_SECONDS > now);
    pending.authorization_codes.insert(code.clone(), authorization_code);
    drop(pending);
    let mut pairs = vec![("code", code.as_str())];
    if issuer == Issuer::Google {
        pairs.extend([("scope", scopes.as_str()), ("authuser", "0")]);
        pairs.push(("hd", user.domain()));
        pairs.push(("prompt", target.prompt));
    }
    redirect_response(
        target.redirect_uri,
        target.client_state,
        issuer_identifier(state, issuer),
        &pairs,
    )
}

/// What the issuer of a door calls itself in answers (RFC 9207). The workforce pool's says nothing.
fn issuer_identifier(state: &SandboxState, issuer: Issuer) -> Option<&str> {
    match issuer {
        Issuer::Google => Some(fixtures::GOOGLE_ISSUER),
        Issuer::Workforce => None,
        Issuer::External => Some(&state.fixtures.external.issuer),
    }
}

/// Sends the browser to the program, which finds these pairs behind what its address has already.
fn redirect_response(
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
