//! The values of the command line, as plain data: the layer of the configuration that takes precedence over all others.

use std::ffi::OsString;

use crate::config::Source;

/// The values of the flags that commands share, not parsed yet. A flag that a command does not have is at its default.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--credentials`: a credential file, or `-` for standard input.
    pub credentials: Option<OsString>,
    /// `--account`.
    pub account: Option<OsString>,
    /// `--source`.
    pub source: Option<Source>,
    /// `--workload-identity-provider`.
    pub workload_identity_provider: Option<OsString>,
    /// `--subject-token-file`.
    pub subject_token_file: Option<OsString>,
    /// `--subject-token-env`.
    pub subject_token_env: Option<OsString>,
    /// `--subject-token-url`.
    pub subject_token_url: Option<OsString>,
    /// `--impersonate-service-account`.
    pub impersonate_service_account: Option<OsString>,
    /// `--quota-project`.
    pub quota_project: Option<OsString>,
    /// `--universe-domain`.
    pub universe_domain: Option<OsString>,
    /// `--allow-token-host`.
    pub allow_token_host: Vec<OsString>,
    /// `--allow-host`.
    pub allow_host: Vec<OsString>,
    /// `--scopes`.
    pub scopes: Vec<OsString>,
    /// `--subject`.
    pub subject: Option<OsString>,
    /// `--lifetime`.
    pub lifetime: Option<OsString>,
    /// `--downscope`.
    pub downscope: Vec<OsString>,
    /// `--access-boundary`.
    pub access_boundary: Option<OsString>,
    /// `--min-ttl`.
    pub min_ttl: Option<OsString>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--refresh`.
    pub refresh: bool,
    /// `--timeout`.
    pub timeout: Option<OsString>,
    /// `--ca-file`.
    pub ca_file: Option<OsString>,
    /// `--profile`.
    pub profile: Option<OsString>,
    /// `--quiet`.
    pub quiet: bool,
    /// How many times `--verbose` was given.
    pub verbose: u8,
    /// Whether the profile may be one that does not exist yet: this command creates it.
    pub allow_new_profile: bool,
}
