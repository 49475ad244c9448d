//! The values of the command line, as plain data: the layer of the configuration that takes precedence over all others.

use std::ffi::OsString;

use crate::config::Source;

/// The values of the flags that commands share, not parsed yet. A flag that a command does not have is at its default.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--credentials`: a credential file, or `-` for standard input.
    pub credentials: Option<OsString>,
    /// `--account`: the name of a login.
    pub account: Option<OsString>,
    /// `--source`: the only source that is searched.
    pub source: Option<Source>,
    /// `--workload-identity-provider`: the resource name of a provider.
    pub workload_identity_provider: Option<OsString>,
    /// `--subject-token-file`: a file with the subject token for the provider.
    pub subject_token_file: Option<OsString>,
    /// `--subject-token-env`: the name of a variable with the subject token.
    pub subject_token_env: Option<OsString>,
    /// `--subject-token-url`: a URL that responds with the subject token.
    pub subject_token_url: Option<OsString>,
    /// `--impersonate-service-account`: delegates and target, separated by commas.
    pub impersonate_service_account: Option<OsString>,
    /// `--quota-project`: the ID of the project that is billed for requests.
    pub quota_project: Option<OsString>,
    /// `--universe-domain`: the domain of Google's APIs.
    pub universe_domain: Option<OsString>,
    /// `--allow-token-host`: hosts that may receive the credential's secrets.
    pub allow_token_host: Vec<OsString>,
    /// `--allow-host`: hosts that may receive a token.
    pub allow_host: Vec<OsString>,
    /// `--scopes`: lists of scopes, full or short.
    pub scopes: Vec<OsString>,
    /// `--subject`: the user that a service account acts for.
    pub subject: Option<OsString>,
    /// `--lifetime`: the duration for which a token is valid.
    pub lifetime: Option<OsString>,
    /// `--downscope`: rules of the form `ROLE@BUCKET[/PREFIX]`.
    pub downscope: Vec<OsString>,
    /// `--access-boundary`: a file with a Credential Access Boundary.
    pub access_boundary: Option<OsString>,
    /// `--min-ttl`: the duration that a cached token must still be valid.
    pub min_ttl: Option<OsString>,
    /// `--no-cache`: the token cache is neither read nor written.
    pub no_cache: bool,
    /// `--refresh`: a new token is requested and stored.
    pub refresh: bool,
    /// `--timeout`: the time limit for all requests together.
    pub timeout: Option<OsString>,
    /// `--ca-file`: root certificates in PEM.
    pub ca_file: Option<OsString>,
    /// `--profile`: the name of a profile of `config.toml`.
    pub profile: Option<OsString>,
    /// `--quiet`: only errors are printed on standard error.
    pub quiet: bool,
    /// How many times `--verbose` was given.
    pub verbose: u8,
    /// Whether the profile may be one that does not exist yet: this command creates it.
    pub allow_new_profile: bool,
}
