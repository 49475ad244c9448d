//! The device authorization grant (RFC 8628): issuing device codes, the page for entering user codes, and polling.

use serde_json::json;

use crate::oauth::{OAuthForm, invalid_grant, no_store, oauth_error};
use crate::pending_authorizations::{
    AuthorizationGrant, ConsentRequest, DeviceDecision, PendingDevice, ResponseTarget,
};
use crate::random_id::random_base64url;
use crate::signin::authorize::known_scopes;
use crate::signin::consent::{handle_decision, show_consent_page};
use crate::signin::page;
use crate::state::SandboxState;
use crate::token_store::Issuer;
use crate::{behaviours, registered_clients};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::world::random::{Random, SystemRandom};

/// The path of Google's page for user codes.
pub(crate) const VERIFICATION_PATH: &str = "/device";
/// The path of the external provider's page for user codes.
pub(crate) const EXTERNAL_VERIFICATION_PATH: &str = "/oidc/device";

/// The lifetime of device codes, in seconds.
const DEVICE_CODE_LIFETIME_SECONDS: i64 = 1800;
/// The lifetime of device codes with the fault `brief`, in seconds.
const BRIEF_LIFETIME_SECONDS: i64 = 2;
/// The polling interval in seconds. Google's is five, which takes too long for tests.
const POLL_INTERVAL_SECONDS: i64 = 1;
/// How much a `slow_down` increases the polling interval, in milliseconds (RFC 8628, 3.5).
const SLOW_DOWN_MILLIS: i64 = 5000;
/// How much earlier than the interval a poll may arrive, in milliseconds, because network delays vary.
const EARLY_POLL_TOLERANCE_MILLIS: i64 = 100;
/// Consonants that are easy to tell apart, so that no user code is a word (RFC 8628, 6.1).
const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// The scopes that Google allows for devices, except for YouTube's.
const ALLOWED_SCOPES: [&str; 7] = [
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.appdata",
];

/// Serves `POST /device/code`.
pub(crate) fn handle_device_code(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle_device_authorization(state, request, Issuer::Google)
}

/// Serves `POST /oidc/device/code`.
pub(crate) fn handle_external_device_code(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle_device_authorization(state, request, Issuer::External)
}

fn handle_device_authorization(state: &SandboxState, request: &ServerRequest, issuer: Issuer) -> ServerResponse {
    match request.method.as_str() {
        "POST" => no_store(OAuthForm::from_request(request).and_then(|form| authorize_device(state, &form, issuer))),
        _ => ServerResponse::method_not_allowed("POST"),
    }
}

fn authorize_device(state: &SandboxState, form: &OAuthForm, issuer: Issuer) -> Result<ServerResponse, ServerResponse> {
    let id = match issuer {
        Issuer::External => form.authenticate_external_client(state)?,
        Issuer::Google | Issuer::Workforce => form.require("client_id")?,
    };
    let client = registered_clients::find_client(state, issuer, id);
    match client {
        Some(client) if client.can_use_device_flow => {}
        Some(_) => return Err(oauth_error(401, "invalid_client", "Invalid client type.")),
        None => return Err(oauth_error(401, "invalid_client", "The OAuth client was not found.")),
    }
    let scopes = known_scopes(issuer, form.require("scope")?);
    let scopes = scopes.filter(|scopes| issuer != Issuer::Google || scopes.iter().all(|scope| is_allowed_scope(scope)));
    let Some(scopes) = scopes else {
        return Err(oauth_error(400, "invalid_scope", "Invalid device flow scope."));
    };
    let route = fault_route(issuer);
    let lifetime = if state.has_behaviour(route, behaviours::DEVICE_BRIEF) {
        BRIEF_LIFETIME_SECONDS
    } else {
        DEVICE_CODE_LIFETIME_SECONDS
    };
    let now = state.now();
    let user_code = generate_user_code().map_err(|_| ServerResponse::empty(500))?;
    let device_code = format!("AH-1{}", random_base64url(60).map_err(|_| ServerResponse::empty(500))?);
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    // Expired codes are kept for a while, so that they can be answered with expired_token.
    pending.devices.retain(|_, device| device.expires_at + DEVICE_CODE_LIFETIME_SECONDS > now);
    let device = PendingDevice {
        issuer,
        client_id: id.to_owned(),
        scopes,
        user_code: user_code.replace('-', ""),
        expires_at: now + lifetime,
        interval_millis: POLL_INTERVAL_SECONDS * 1000,
        last_poll_at: None,
        slow_down_first_poll: state.has_behaviour(route, behaviours::DEVICE_SLOW_DOWN),
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
        response["verification_uri_complete"] = format!("{verification_uri}?user_code={user_code}").into();
        response["verification_uri"] = verification_uri.into();
    } else {
        // Google's response is older than RFC 8628 and names this field differently.
        response["verification_url"] = verification_uri.into();
    }
    Ok(ServerResponse::json(200, &response))
}

/// The route whose faults affect the device codes of this issuer.
fn fault_route(issuer: Issuer) -> &'static str {
    if issuer == Issuer::External { "oidc-device-code" } else { "device-code" }
}

fn is_allowed_scope(scope: &str) -> bool {
    ALLOWED_SCOPES.contains(&scope) || scope.starts_with("https://www.googleapis.com/auth/youtube")
}

/// A user code: eight letters with a dash in the middle.
fn generate_user_code() -> gauth_core::error::Result<String> {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes)?;
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(USER_CODE_ALPHABET[usize::from(*byte) % USER_CODE_ALPHABET.len()]))
        .collect();
    let (first, second) = letters.split_at(4);
    Ok(format!("{}-{}", String::from_iter(first), String::from_iter(second)))
}

/// Serves Google's page for user codes.
pub(crate) fn handle_verification(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle_user_code(state, request, Issuer::Google)
}

/// Serves the external provider's page for user codes.
pub(crate) fn handle_external_verification(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    handle_user_code(state, request, Issuer::External)
}

fn handle_user_code(state: &SandboxState, request: &ServerRequest, issuer: Issuer) -> ServerResponse {
    match request.method.as_str() {
        "GET" => {}
        "POST" => return handle_decision(state, request, issuer),
        _ => return ServerResponse::method_not_allowed("GET, POST"),
    }
    let path = if issuer == Issuer::External { EXTERNAL_VERIFICATION_PATH } else { VERIFICATION_PATH };
    let Some(entered_code) = request.query("user_code") else {
        return page::user_code_page(path, false);
    };
    // The code is accepted in lower case, and with or without the dash.
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

/// Responds to a poll: the grant once the user has consented, or the error of RFC 8628, 3.5.
pub(crate) fn poll_grant(
    state: &SandboxState,
    device_code: &str,
    issuer: Issuer,
    client_id: &str,
) -> Result<AuthorizationGrant, ServerResponse> {
    // Google has statuses of its own; RFC 8628 uses 400 for all errors.
    let error_status = |google| if issuer == Issuer::External { 400 } else { google };
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    let device = pending.devices.get_mut(device_code);
    let device = device.filter(|device| device.issuer == issuer && device.client_id == client_id);
    let device = device.ok_or_else(|| invalid_grant("Malformed device code."))?;
    if device.expires_at <= state.now() {
        return Err(oauth_error(400, "expired_token", "The device code has expired."));
    }
    let now = state.clock.unix_millis();
    let is_early =
        device.last_poll_at.is_some_and(|last| now - last < device.interval_millis - EARLY_POLL_TOLERANCE_MILLIS);
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
        DeviceDecision::Redeemed => Err(invalid_grant("The device code has already been used.")),
    }
}
