//! Authorizations that are not redeemed yet: consent pages, authorization codes and device codes.

use std::collections::HashMap;

use crate::fixtures::UserAccount;
use crate::token_store::{Issuer, RefreshTokenRecord};

/// How long consent pages and authorization codes are valid, in seconds.
pub(crate) const PENDING_LIFETIME_SECONDS: i64 = 600;

/// An authorization request that has been validated, as the consent page shows it.
#[derive(Debug, Clone)]
pub(crate) struct ConsentRequest {
    pub(crate) issuer: Issuer,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    /// Whether the scopes of earlier grants are included.
    pub(crate) include_granted_scopes: bool,
    /// Whether a refresh token is requested (`access_type=offline`).
    pub(crate) offline_access: bool,
    /// Whether consent is requested again, which issues another refresh token (`prompt=consent`).
    pub(crate) prompt_consent: bool,
    /// Whether no page may be shown (`prompt=none`).
    pub(crate) prompt_none: bool,
    /// The user of a `login_hint`; without one the user chooses an account.
    pub(crate) user: Option<&'static UserAccount>,
    /// The nonce for the ID token.
    pub(crate) nonce: Option<String>,
    pub(crate) response_target: ResponseTarget,
}

/// Where the response to an authorization request is delivered.
#[derive(Debug, Clone)]
pub(crate) enum ResponseTarget {
    /// To the client, by redirecting the browser.
    Redirect { redirect_uri: String, client_state: Option<String>, code_challenge: String },
    /// To the device that polls with this device code.
    Device(String),
}

/// The authorizations that are not redeemed yet.
#[derive(Default)]
pub(crate) struct PendingAuthorizations {
    /// By the form's token, each with the time when it expires.
    pub(crate) consent_requests: HashMap<String, (ConsentRequest, i64)>,
    pub(crate) authorization_codes: HashMap<String, AuthorizationCode>,
    pub(crate) devices: HashMap<String, PendingDevice>,
}

/// The grant of an authorization code, and what has to match when it is redeemed.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizationCode {
    pub(crate) grant: AuthorizationGrant,
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
    pub(crate) expires_at: i64,
    pub(crate) is_used: bool,
}

/// What a user has granted to a client.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizationGrant {
    pub(crate) record: RefreshTokenRecord,
    pub(crate) issues_refresh_token: bool,
    pub(crate) nonce: Option<String>,
}

/// A device code that has not been redeemed yet.
pub(crate) struct PendingDevice {
    pub(crate) issuer: Issuer,
    pub(crate) client_id: String,
    pub(crate) scopes: Vec<String>,
    /// The user code without its dash.
    pub(crate) user_code: String,
    pub(crate) expires_at: i64,
    /// The shortest time between two polls, in milliseconds.
    pub(crate) interval_millis: i64,
    /// The time of the latest poll, in Unix milliseconds.
    pub(crate) last_poll_at: Option<i64>,
    /// Whether the first poll is answered with `slow_down`.
    pub(crate) slow_down_first_poll: bool,
    pub(crate) decision: DeviceDecision,
}

pub(crate) enum DeviceDecision {
    Pending,
    Denied,
    Approved(Box<AuthorizationGrant>),
    /// The tokens have been issued.
    Redeemed,
}

impl PendingAuthorizations {
    /// Records what the user decided for a device: `None` means that access was denied.
    pub(crate) fn record_device_decision(&mut self, device_code: &str, grant: Option<AuthorizationGrant>) {
        if let Some(device) = self.devices.get_mut(device_code) {
            device.decision = match grant {
                Some(grant) => DeviceDecision::Approved(Box::new(grant)),
                None => DeviceDecision::Denied,
            };
        }
    }
}
