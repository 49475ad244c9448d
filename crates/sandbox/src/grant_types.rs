//! The values of `grant_type` that the sandbox's token endpoints accept.

/// The authorization code grant (RFC 6749, 4.1.3).
pub(crate) const AUTHORIZATION_CODE: &str = "authorization_code";
/// The refresh token grant (RFC 6749, 6).
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";
/// The device authorization grant (RFC 8628, 3.4).
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The JWT bearer grant (RFC 7523, 2.1).
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The token exchange grant (RFC 8693, 2.1).
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What Google Distributed Cloud expects as grant type, although it has the form of a token type.
pub(crate) const GDCH_TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:token-type:token-exchange";
