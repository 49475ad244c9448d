//! Flag groups that commands share. Values are kept as they are typed; the configuration interprets them together
//! with variables and files.
//!
//! The first line of a flag's doc comment is its short help (`-h`), the paragraphs below are its long help (`--help`
//! and the manual).

use std::ffi::OsString;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::output::format::OutputFormat;
use gauth_core::config::{Overrides, Source};
use gauth_core::error::{Error, Result};

/// The heading of the flags that choose a credential.
pub const CREDENTIAL_HEADING: &str = "Which credential";
/// The heading of the flags about cache and network.
pub const NETWORK_HEADING: &str = "Cache and network";
/// The heading of the flags that every command has.
pub const GENERAL_HEADING: &str = "General";

/// Flags that choose a credential.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = CREDENTIAL_HEADING)]
pub struct CredentialFlags {
    /// credential file, or - for standard input
    ///
    /// Uses the Google credential in this JSON file: a service account key, a user login, an external account or any
    /// other kind. `-` reads it from standard input. GAUTH_CREDENTIALS sets the same; it also accepts the JSON
    /// itself.
    #[arg(long, value_name = "FILE", visible_aliases = ["key-file", "cred-file"], value_hint = ValueHint::FilePath)]
    pub credentials: Option<OsString>,
    /// login of this account
    ///
    /// Uses the credential of this account: gauth's login, else gcloud's, else the credential of a variable or of
    /// gcloud's ADC file if it belongs to this account, else the service account of the metadata server. `gauth
    /// accounts` lists the logins. GAUTH_ACCOUNT sets the same.
    #[arg(long, value_name = "EMAIL")]
    pub account: Option<OsString>,
    /// only env, login, adc, gcloud or metadata
    ///
    /// Looks for a credential in this source only: `env` (variables), `login` (gauth's active account), `adc`
    /// (gcloud's application default credentials file), `gcloud` (gcloud's active account) or `metadata` (the
    /// metadata server). Default: all of them, in this order. GAUTH_SOURCE sets the same.
    #[arg(long, value_name = "SOURCE", value_parser = source_parser())]
    pub source: Option<Source>,
    /// exchange a CI job's OIDC token here
    ///
    /// Exchanges the OIDC token of the CI job or pod for a Google access token; no credential file is needed. The
    /// value is the full name of a provider,
    /// projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID. `gauth help sources` lists the
    /// supported CI systems. GAUTH_WORKLOAD_IDENTITY_PROVIDER sets the same.
    #[arg(long, value_name = "NAME")]
    pub workload_identity_provider: Option<OsString>,
    /// subject token from this file
    ///
    /// Reads the subject token for `--workload-identity-provider` from this file. Default: the token of the CI system
    /// that gauth runs in.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["subject_token_env", "subject_token_url"])]
    pub subject_token_file: Option<OsString>,
    /// subject token from this variable
    ///
    /// Reads the subject token for `--workload-identity-provider` from this environment variable.
    #[arg(long, value_name = "NAME", conflicts_with = "subject_token_url")]
    pub subject_token_env: Option<OsString>,
    /// subject token from this URL
    ///
    /// Fetches the subject token for `--workload-identity-provider` from this URL.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub subject_token_url: Option<OsString>,
    /// impersonate this service account
    ///
    /// Impersonates this service account, given by its e-mail address. Earlier ones in a comma-separated list are
    /// delegates: with `A,B` the credential impersonates A, and A impersonates B. Each step needs the role
    /// roles/iam.serviceAccountTokenCreator. GAUTH_IMPERSONATE_SERVICE_ACCOUNT sets the same.
    #[arg(long, value_name = "EMAIL,…", visible_alias = "service-account")]
    pub impersonate_service_account: Option<OsString>,
    /// project charged for the requests
    ///
    /// Charges quota and cost of API requests to this project. Default: the quota project of the credential.
    /// GAUTH_QUOTA_PROJECT sets the same.
    #[arg(long, value_name = "PROJECT")]
    pub quota_project: Option<OsString>,
    /// universe other than googleapis.com
    ///
    /// Uses Google's endpoints in this universe domain. Default: the credential's universe, which is googleapis.com
    /// unless it names another. gauth accepts endpoints of another universe in a credential file only if this flag,
    /// GAUTH_UNIVERSE_DOMAIN, GOOGLE_CLOUD_UNIVERSE_DOMAIN or `universe_domain` in config.toml names that universe.
    #[arg(long, value_name = "DOMAIN")]
    pub universe_domain: Option<OsString>,
    /// send the token to this host too
    ///
    /// Sends the token to this host as well; without this flag, access tokens go to Google's APIs only. Several hosts
    /// are separated by commas. GAUTH_ALLOW_HOST and `allowed_hosts` in config.toml set the same.
    // Visible only in the help of commands that send a token.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', hide = true)]
    pub allow_host: Vec<OsString>,
}

/// Flags about the requested token.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct TokenFlags {
    /// scopes of the token, such as pubsub
    ///
    /// Requests these OAuth scopes, separated by commas or spaces. A scope without `:` and `/` is completed to
    /// `https://www.googleapis.com/auth/SCOPE`, except `openid`, `email` and `profile`. Default: cloud-platform,
    /// where the credential needs a scope. GAUTH_SCOPES sets the same.
    #[arg(long, value_name = "SCOPE,…")]
    pub scopes: Vec<OsString>,
    /// user to impersonate in the domain
    ///
    /// Impersonates this user of a Google Workspace domain (domain-wide delegation). The credential must be a service
    /// account that the domain's administrator has authorised for the scopes.
    #[arg(long, value_name = "EMAIL")]
    pub subject: Option<OsString>,
    /// lifetime of the token, such as 10m
    ///
    /// Requests a token with this lifetime: `3600`, `600s`, `10m` or `1h30m`. User logins, the metadata server and
    /// external accounts do not support it without `--impersonate-service-account`. Default: 1h.
    #[arg(long, value_name = "DURATION")]
    pub lifetime: Option<OsString>,
    /// restrict to ROLE@BUCKET[/PREFIX]
    ///
    /// Restricts the token to this role on a Cloud Storage bucket, or on objects whose names begin with PREFIX, as in
    /// `objectViewer@my-bucket/reports`.
    #[arg(long, value_name = "RULE", conflicts_with = "access_boundary")]
    pub downscope: Vec<OsString>,
    /// restrict to this access boundary
    ///
    /// Restricts the token to the Credential Access Boundary in this JSON file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub access_boundary: Option<OsString>,
}

/// Flags about cached tokens.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = NETWORK_HEADING)]
pub struct CacheFlags {
    /// minimum time left of a cached token
    ///
    /// Uses a cached token only if it is valid for at least this long. Default: 5m; 225s for the metadata server.
    /// GAUTH_MIN_TTL sets the same.
    #[arg(long, value_name = "DURATION")]
    pub min_ttl: Option<OsString>,
    /// do not read or write the cache
    ///
    /// Neither reads nor writes the token cache. GAUTH_NO_CACHE=true sets the same.
    #[arg(long, conflicts_with = "refresh")]
    pub no_cache: bool,
    /// request a new token
    ///
    /// Requests a new token even if a cached one is valid, and caches it.
    #[arg(long)]
    pub refresh: bool,
}

/// Flags about the network.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = NETWORK_HEADING)]
pub struct NetworkFlags {
    /// time limit for all requests together
    ///
    /// Limits the time of all HTTP requests together. Default: 30s. GAUTH_TIMEOUT sets the same.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<OsString>,
    /// trusted root certificates, PEM
    ///
    /// Trusts the root certificates in this PEM file instead of the system's. GAUTH_CA_FILE sets the same.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<OsString>,
}

/// The flag about hosts that may receive a credential's secrets.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = NETWORK_HEADING)]
pub struct TokenHostFlags {
    /// allow this host in credential files
    ///
    /// Allows credential files to name this host as an endpoint, which then receives the credential's secrets.
    /// Default: Google's hosts only. Several hosts are separated by commas. GAUTH_ALLOW_TOKEN_HOST and
    /// `allowed_token_hosts` in config.toml set the same.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    pub allow_token_host: Vec<OsString>,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = GENERAL_HEADING)]
pub struct GeneralFlags {
    /// use this profile of config.toml
    ///
    /// Uses the settings of this profile in config.toml. GAUTH_PROFILE sets the same. `gauth help files` shows a
    /// config.toml.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<OsString>,
    /// print only errors on standard error
    ///
    /// Prints only errors on standard error, without warnings and progress.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// explain decisions; -vv: show requests
    ///
    /// Explains on standard error what gauth decides. Given twice, it also shows HTTP requests and responses, with
    /// fingerprints in place of secrets. GAUTH_LOG=1 and GAUTH_LOG=2 set the same.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The flag about the format of a token.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// text, json, header, env or curl-config
    ///
    /// Prints the token in this format: `text` (the token), `json` (one object with token, expiry, scopes and more),
    /// `header` (an HTTP header), `env` (variables for gcloud and Terraform) or `curl-config` (for `curl -K -`).
    /// Default: `text`. `gauth help formats` shows them.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<OutputFormat>,
}

impl ValueEnum for OutputFormat {
    fn value_variants<'a>() -> &'a [OutputFormat] {
        &[OutputFormat::Text, OutputFormat::Json, OutputFormat::Header, OutputFormat::Env, OutputFormat::CurlConfig]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        use clap::builder::PossibleValue;
        Some(match self {
            // What scripts written for gcloud pass.
            OutputFormat::Text => PossibleValue::new("text").alias("value(token)"),
            OutputFormat::Json => PossibleValue::new("json"),
            OutputFormat::Header => PossibleValue::new("header"),
            OutputFormat::Env => PossibleValue::new("env"),
            OutputFormat::CurlConfig => PossibleValue::new("curl-config"),
        })
    }
}

/// The flag about the format of a report.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Output")]
pub struct ReportFlags {
    /// text or json
    ///
    /// Prints the result as `text` for the terminal or as `json` for programs. Default: `text`.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<ReportFormat>,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// for the terminal, in lines and columns
    #[default]
    Text,
    /// for programs, as one JSON object
    Json,
}

/// The flag groups of every command that needs a credential.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct CommonFlags {
    #[command(flatten)]
    pub(crate) credential: CredentialFlags,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    token_hosts: TokenHostFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

impl CommonFlags {
    /// The configuration that these flags override.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = self.network.overrides(&self.general);
        let credential = self.credential.clone();
        overrides.credentials = credential.credentials;
        overrides.account = credential.account;
        overrides.source = credential.source;
        overrides.workload_identity_provider = credential.workload_identity_provider;
        overrides.subject_token_file = credential.subject_token_file;
        overrides.subject_token_env = credential.subject_token_env;
        overrides.subject_token_url = credential.subject_token_url;
        overrides.impersonate_service_account = credential.impersonate_service_account;
        overrides.quota_project = credential.quota_project;
        overrides.universe_domain = credential.universe_domain;
        overrides.allow_host = credential.allow_host;
        overrides.allow_token_host = self.token_hosts.allow_token_host.clone();
        overrides.min_ttl = self.cache.min_ttl.clone();
        overrides.no_cache = self.cache.no_cache;
        overrides.refresh = self.cache.refresh;
        overrides
    }

    /// The same, and what the token is for.
    pub fn overrides_with(&self, token: &TokenFlags) -> Overrides {
        let token = token.clone();
        Overrides {
            scopes: token.scopes,
            subject: token.subject,
            lifetime: token.lifetime,
            downscope: token.downscope,
            access_boundary: token.access_boundary,
            ..self.overrides()
        }
    }
}

impl NetworkFlags {
    /// The configuration that these flags and the general ones override.
    pub fn overrides(&self, general: &GeneralFlags) -> Overrides {
        Overrides { timeout: self.timeout.clone(), ca_file: self.ca_file.clone(), ..general.overrides() }
    }
}

impl GeneralFlags {
    /// The configuration that these flags override.
    pub fn overrides(&self) -> Overrides {
        let (profile, quiet, verbose) = (self.profile.clone(), self.quiet, self.verbose);
        Overrides { profile, quiet, verbose, ..Overrides::default() }
    }
}

/// The account that is named by `--account`, or without a flag.
///
/// # Errors
/// Usage, when both name one and they differ.
pub fn one_account(positional: Option<&OsString>, flag: Option<&OsString>) -> Result<Option<OsString>> {
    match (positional, flag) {
        (Some(one), Some(other)) if one != other => {
            Err(Error::usage("ACCOUNT and --account name different accounts").hint("omit one of the two"))
        }
        (one, other) => Ok(one.or(other).cloned()),
    }
}

fn source_parser() -> impl TypedValueParser<Value = Source> {
    let names = PossibleValuesParser::new(Source::SEARCHED.map(Source::as_str));
    names.try_map(|name| Source::parse(&name).ok_or("this is no source"))
}
