//! The names of faults that change how a route works for the whole run, as the routes and `--fault` know them.

/// Every refresh issues a new refresh token, and a refresh token that is used twice revokes the login.
pub(crate) const ROTATE_REFRESH_TOKENS: &str = "rotate";
/// Reauthentication succeeds at once, without a challenge.
pub(crate) const REAUTH_AUTHENTICATED: &str = "authenticated";
/// Reauthentication asks for the password twice.
pub(crate) const REAUTH_TWO_ROUNDS: &str = "two-rounds";
/// Reauthentication asks for a SAML sign-in.
pub(crate) const REAUTH_SAML: &str = "saml";
/// Reauthentication asks for a security key.
pub(crate) const REAUTH_SECURITY_KEY: &str = "security-key";
/// Reauthentication asks for a challenge of an unknown type.
pub(crate) const REAUTH_UNKNOWN_CHALLENGE: &str = "unknown-challenge";
/// Reauthentication offers a challenge that cannot be answered now.
pub(crate) const REAUTH_NONE_READY: &str = "none-ready";
/// The first poll with a device code is answered with `slow_down`.
pub(crate) const DEVICE_SLOW_DOWN: &str = "slow-down";
/// Device codes expire after two seconds.
pub(crate) const DEVICE_BRIEF: &str = "brief";
