//! The names of a stored login's fields that more than one file knows: those of Google's JSON that a server changes,
//! and those that are gauth's own; and which fields anybody may see.

/// The refresh token (RFC 6749, 1.5), in the part of a login that [`super::refresh_token_location`] finds.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// The OAuth client of a login, beside its refresh token.
pub const CLIENT_ID: &str = "client_id";

/// The proof of reauthentication, as Google's libraries have it.
pub const RAPT_TOKEN: &str = "rapt_token";

/// When a login was stored: RFC 3339, to the millisecond. No two logins of an account have the same, so that a token of
/// the one before is not taken for one of the next.
pub const SIGNED_IN_AT: &str = "signed_in_at";

/// Marks a stored login whose server has given it another refresh token, and so will again.
pub const ROTATES: &str = "refresh_token_rotates";

/// Marks a login of ours that is a copy of one elsewhere: both then keep what changes beside the original, under the
/// one lock, or each would spend the refresh tokens of the other.
pub const SHARED: &str = "refresh_token_shared";

/// Names the store, in a file without secrets.
pub const STORE: &str = "gauth_store";

/// The digest of what the store has.
pub const SECRETS_DIGEST: &str = "gauth_secrets";

/// The name of the mark that is left when the server refuses the login.
pub const REJECTION_KEY: &str = "gauth_mark";

/// Stands in a file where the store has a secret, so that the rest can be understood without it.
pub const SECRET_PLACEHOLDER: &str = "(in the store)";

/// What is ours in a login's JSON, and nobody else's.
pub const GAUTH_OWN: &[&str] =
    &[STORE, SECRETS_DIGEST, REJECTION_KEY, SIGNED_IN_AT, ROTATES, SHARED];

/// What changes of a stored login while it stays the same login: its access tokens in the cache stay good.
pub const ROTATING: &[&str] =
    &[REFRESH_TOKEN, ROTATES, SHARED, SECRETS_DIGEST, REJECTION_KEY, RAPT_TOKEN, "id_token"];

/// Fields whose values are no secrets. Whatever is not among them is hidden.
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

/// Whether anybody may see the value of this field.
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
