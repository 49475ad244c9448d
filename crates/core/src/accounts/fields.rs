//! The fields of stored logins that more than one file uses: fields of Google's credential files that a server changes,
//! and fields of gauth's own. Also the list of fields that are not secret.

/// The refresh token (RFC 6749, 1.5), in the object that [`super::refresh_token_location`] finds.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// The OAuth client that the refresh token was issued to, in the same object.
pub const CLIENT_ID: &str = "client_id";

/// The reauthentication proof token, as Google's libraries name it.
pub(crate) const RAPT_TOKEN: &str = "rapt_token";

/// The time at which a login was stored, in RFC 3339 with milliseconds. It differs for every login of an account, so that
/// cached tokens of the previous login are not used for the next one.
pub const SIGNED_IN_AT: &str = "signed_in_at";

/// True for a login whose server has rotated the refresh token before.
pub(crate) const ROTATES: &str = "refresh_token_rotates";

/// True for a stored login of which there is a copy outside of the account store, in the object that has the refresh
/// token. Both copies then store rotated refresh tokens in one overlay file under one lock, because each would otherwise
/// invalidate the refresh token of the other.
pub(crate) const SHARED: &str = "refresh_token_shared";

/// The store that has the secrets, in a file without secrets.
pub const STORE: &str = "gauth_store";

/// The digest of the login in that store.
pub(crate) const SECRETS_DIGEST: &str = "gauth_secrets";

/// The name of the cache entry that records the rejection of the refresh token.
pub(crate) const REJECTION_KEY: &str = "gauth_mark";

/// Replaces a secret in a file without secrets, so that the file can be parsed.
pub const SECRET_PLACEHOLDER: &str = "(in the store)";

/// The fields of gauth's own, which other programs do not know.
pub(crate) const GAUTH_OWN: &[&str] = &[STORE, SECRETS_DIGEST, REJECTION_KEY, SIGNED_IN_AT, ROTATES, SHARED];

/// The fields that change while a login stays the same: its cached access tokens remain valid.
pub(crate) const ROTATING: &[&str] =
    &[REFRESH_TOKEN, ROTATES, SHARED, SECRETS_DIGEST, REJECTION_KEY, RAPT_TOKEN, "id_token"];

/// The fields whose values are not secret. All others are hidden.
const PUBLIC: &[&str] = &[
    "type",
    "account",
    "audience",
    "auth_provider_x509_cert_url",
    "auth_uri",
    "ca_cert_path",
    "certificate_config_location",
    "client_auth",
    "client_email",
    "client_id",
    "client_x509_cert_url",
    "command",
    "delegates",
    "environment_id",
    "expiry",
    "file",
    "format_version",
    REJECTION_KEY,
    SECRETS_DIGEST,
    STORE,
    "imdsv2_session_token_url",
    "interactive_timeout_millis",
    "issuer",
    "name",
    "output_file",
    "private_key_id",
    "project",
    "project_id",
    "quota_project_id",
    ROTATES,
    SHARED,
    "region_url",
    "regional_cred_verification_url",
    "revoke_uri",
    "revoke_url",
    "scopes",
    "service_account_impersonation_url",
    SIGNED_IN_AT,
    "subject_token_field_name",
    "subject_token_type",
    "timeout_millis",
    "token_info_url",
    "token_lifetime_seconds",
    "token_uri",
    "token_url",
    "trust_chain_path",
    "universe_domain",
    "url",
    "use_default_certificate_config",
    "workforce_pool_user_project",
];

/// Whether the value of a field is not secret.
pub fn is_public(field: &str) -> bool {
    PUBLIC.contains(&field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_public() {
        for secret in [
            "refresh_token",
            "client_secret",
            "private_key",
            "rapt_token",
            "token",
            "id_token",
            "password",
            "headers",
            "anything",
        ] {
            assert!(!is_public(secret), "{secret}");
        }
    }
}
