//! Signing in for a device that has no browser (RFC 8628): its codes, the page where people enter them, and what
//! the device is told until they do.

use serde_json::json;

use crate::SandboxState;
use crate::fixtures;
use crate::oauth::{OAuthForm, invalid_grant, no_store, oauth_error};
use crate::signin::{
    AuthorizationGrant, ConsentRequest, ResponseTarget, authorize, clients, handle_decision, page,
    show_consent_page,
};
use crate::token_store::Issuer;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::world::random::{Random, SystemRandom};

/// Where people enter Google's codes.
pub(crate) const VERIFICATION_PATH: &str = "/device";
/// Where people enter codes of the outside provider.
pub(crate) const EXTERNAL_VERIFICATION_PATH: &str = "/oidc/device";

/// How long a code is good, in seconds.
const DEVICE_CODE_LIFETIME_SECONDS: i64 = 1800;
/// How long with the fault `brief`.
const BRIEF_LIFETIME_SECONDS: i64 = 2;
/// Seconds between two questions of a device. Google's is five, which nobody wants to wait for here.
const POLL_INTERVAL_SECONDS: i64 = 1;
/// What a device that asks too often is slowed down by, in milliseconds (RFC 8628, 3.5).
const SLOW_DOWN_MILLIS: i64 = 5000;
/// How much earlier than agreed a question may come, in milliseconds: the way here is not always equally long.
const EARLY_POLL_TOLERANCE_MILLIS: i64 = 100;
/// Consonants that are not mistaken for one another, so that no code is a word (RFC 8628, 6.1).
const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// What Google lets devices ask for, but for YouTube's.
const ALLOWED_SCOPES: [&str; 7] = [
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.appdata",
];

/// A device that waits.
pub(super) struct PendingDevice {
    issuer: Issuer,
    client_id: String,
    scopes: Vec<String>,
    /// Without the dash.
    user_code: String,
    expires_at: i64,
    /// In milliseconds.
    interval_millis: i64,
    /// When it asked last, in Unix milliseconds.
    last_poll_at: Option<i64>,
    /// The first question is to be one too early.
    slow_down_first_poll: bool,
    decision: DeviceDecision,
}

enum DeviceDecision {
    Pending,
    Denied,
    Approved(Box<AuthorizationGrant>),
    /// And fetched.
    Redeemed,
}

/// Answers `POST /device/code`.
pub(crate) fn handle_device_code(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle_device_authorization(state, request, Issuer::Google)
}

/// Answers `POST /oidc/device/code`.
pub(crate) fn handle_external_device_code(
    state: &SandboxState,
    request: &ServerRequest,
) -> ServerResponse {
    handle_device_authorization(state, request, Issuer::External)
}

fn handle_device_authorization(
    state: &SandboxState,
    request: &ServerRequest,
    issuer: Issuer,
) -> ServerResponse {
    match request.method.as_str() {
        "POST" => no_store(
            OAuthForm::from_request(request)
                .and_then(|form| authorize_device(state, &form, issuer)),
        ),
        _ => ServerResponse::method_not_allowed("POST"),
    }
}

fn authorize_device(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
) -> Result<ServerResponse, ServerResponse> {
    let id = match issuer {
        Issuer::External => form.authenticate_external_client(state)?,
        Issuer::Google | Issuer::Workforce => form.require("client_id")?,
    };
    let client = clients::find_client(state, issuer, id);
    match client {
        Some(client) if client.can_use_device_flow => {}
        Some(_) => return Err(oauth_error(401, "invalid_client", "Invalid client type.")),
        None => return Err(oauth_error(401, "invalid_client", "The OAuth client was not found.")),
    }
    let scopes = authorize::known_scopes(issuer, form.require("scope")?);
    let scopes = scopes.filter(|scopes| {
        issuer != Issuer::Google || scopes.iter().all(|scope| is_allowed_scope(scope))
    });
    let Some(scopes) = scopes else {
        return Err(oauth_error(400, "invalid_scope", "Invalid device flow scope."));
    };
    let route = fault_route(issuer);
    let lifetime = if state.has_behaviour(route, "brief") {
        BRIEF_LIFETIME_SECONDS
    } else {
        DEVICE_CODE_LIFETIME_SECONDS
    };
    let now = state.now();
    let user_code = generate_user_code().map_err(|_| ServerResponse::empty(500))?;
    let device_code =
        format!("AH-1{}", fixtures::random_base64url(60).map_err(|_| ServerResponse::empty(500))?);
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    // One that is over is remembered, to say so.
    pending.devices.retain(|_, device| device.expires_at + DEVICE_CODE_LIFETIME_SECONDS > now);
    let device = PendingDevice {
        issuer,
        client_id: id.to_owned(),
        scopes,
        user_code: user_code.replace('-', ""),
        expires_at: now + lifetime,
        interval_millis: POLL_INTERVAL_SECONDS * 1000,
        last_poll_at: None,
        slow_down_first_poll: state.has_behaviour(route, "slow-down"),
        decision: DeviceDecision::Pending,
    };
    pending.devices.insert(device_code.clone(), device);
    let mut response = json!({
        "device_code": device_code,
        "user_code": user_code,
        "expires_in": lifetime,
        "interval": POLL_INTERVAL_SECONDS,
    });
    let verification_uri = format!(
        "{}{}",
        state.url,
        if issuer == Issuer::External { EXTERNAL_VERIFICATION_PATH } else { VERIFICATION_PATH }
    );
    if issuer == Issuer::External {
        response["verification_uri_complete"] =
            format!("{verification_uri}?user_code={user_code}").into();
        response["verification_uri"] = verification_uri.into();
    } else {
        // Google was earlier than the standard.
        response["verification_url"] = verification_uri.into();
    }
    Ok(ServerResponse::json(200, &response))
}

/// The route whose faults are a device's.
fn fault_route(issuer: Issuer) -> &'static str {
    if issuer == Issuer::External { "oidc-device-code" } else { "device-code" }
}

fn is_allowed_scope(scope: &str) -> bool {
    ALLOWED_SCOPES.contains(&scope) || scope.starts_with("https://www.googleapis.com/auth/youtube")
}

/// Eight letters, with a dash in the middle.
fn generate_user_code() -> gauth_core::Result<String> {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes)?;
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(USER_CODE_ALPHABET[usize::from(*byte) % USER_CODE_ALPHABET.len()]))
        .collect();
    let (first, second) = letters.split_at(4);
    Ok(format!("{}-{}", String::from_iter(first), String::from_iter(second)))
}

/// Answers Google's page for codes.
pub(crate) fn handle_verification(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle_user_code(state, request, Issuer::Google)
}

/// Answers the outside provider's page for codes.
pub(crate) fn handle_external_verification(
    state: &SandboxState,
    request: &ServerRequest,
) -> ServerResponse {
    handle_user_code(state, request, Issuer::External)
}

fn handle_user_code(
    state: &SandboxState,
    request: &ServerRequest,
    issuer: Issuer,
) -> ServerResponse {
    match request.method.as_str() {
        "GET" => {}
        "POST" => return handle_decision(state, request, issuer),
        _ => return ServerResponse::method_not_allowed("GET, POST"),
    }
    let path =
        if issuer == Issuer::External { EXTERNAL_VERIFICATION_PATH } else { VERIFICATION_PATH };
    let Some(entered_code) = request.query("user_code") else {
        return page::user_code_page(path, false);
    };
    // However people type it.
    let entered_code: String = entered_code.chars().filter(char::is_ascii_alphanumeric).collect();
    let entered_code = entered_code.to_ascii_uppercase();
    let now = state.now();
    let pending = lock_ignoring_poison(&state.pending_authorizations);
    let matching_device = pending.devices.iter().find(|(_, device)| {
        let is_open = matches!(device.decision, DeviceDecision::Pending) && device.expires_at > now;
        device.issuer == issuer && device.user_code == entered_code && is_open
    });
    let Some((code, device)) = matching_device else { return page::user_code_page(path, true) };
    let consent_request = ConsentRequest {
        issuer,
        client_id: device.client_id.clone(),
        scopes: device.scopes.clone(),
        include_granted_scopes: false,
        offline_access: true,
        prompt_consent: true,
        prompt_none: false,
        user: None,
        nonce: None,
        response_target: ResponseTarget::Device(code.clone()),
    };
    drop(pending);
    show_consent_page(state, consent_request)
}

/// Notes what the person decided: `None` is a no.
pub(super) fn record_decision(
    state: &SandboxState,
    device_code: &str,
    grant: Option<AuthorizationGrant>,
) {
    if let Some(device) =
        lock_ignoring_poison(&state.pending_authorizations).devices.get_mut(device_code)
    {
        device.decision = match grant {
            Some(grant) => DeviceDecision::Approved(Box::new(grant)),
            None => DeviceDecision::Denied,
        };
    }
}

/// What a device gets when it asks.
pub(super) fn poll_grant(
    state: &SandboxState,
    device_code: &str,
    issuer: Issuer,
    client_id: &str,
) -> Result<AuthorizationGrant, ServerResponse> {
    // Google's statuses; the standard has 400 for all.
    let error_status = |google| if issuer == Issuer::External { 400 } else { google };
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    let device = pending.devices.get_mut(device_code);
    let device = device.filter(|device| device.issuer == issuer && device.client_id == client_id);
    let device = device.ok_or_else(|| invalid_grant("Malformed device code."))?;
    if device.expires_at <= state.now() {
        return Err(oauth_error(400, "expired_token", "The device code has expired."));
    }
    let now = state.clock.unix_millis();
    let is_early = device
        .last_poll_at
        .is_some_and(|last| now - last < device.interval_millis - EARLY_POLL_TOLERANCE_MILLIS);
    device.last_poll_at = Some(now);
    if is_early || std::mem::take(&mut device.slow_down_first_poll) {
        device.interval_millis += SLOW_DOWN_MILLIS;
        return Err(oauth_error(error_status(403), "slow_down", "Forbidden"));
    }
    match std::mem::replace(&mut device.decision, DeviceDecision::Redeemed) {
        DeviceDecision::Approved(grant) => Ok(*grant),
        DeviceDecision::Pending => {
            device.decision = DeviceDecision::Pending;
            Err(oauth_error(error_status(428), "authorization_pending", "Precondition Required"))
        }
        DeviceDecision::Denied => {
            device.decision = DeviceDecision::Denied;
            Err(oauth_error(error_status(403), "access_denied", "Forbidden"))
        }
        DeviceDecision::Redeemed => Err(invalid_grant("The device code was used already.")),
    }
}
