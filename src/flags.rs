//! Flag groups shared by commands: who asks, what for, with what effort, and how to print.
//!
//! Flags are taken as they are written; `settings` gives them meaning, together with variables and files.

use std::ffi::OsString;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

use crate::cli::GENERAL_HEADING;
use crate::cli::complete;
use crate::error::{Error, Result};

/// Which credential.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Which credential")]
pub struct CredentialFlags {
    /// A credential file, or - for standard input
    #[arg(long, value_name = "FILE", visible_aliases = ["key-file", "cred-file"], value_hint = ValueHint::FilePath)]
    pub credentials: Option<OsString>,
    /// A login of gauth, gcloud or the machine
    #[arg(long, value_name = "EMAIL", add = complete::accounts())]
    pub account: Option<OsString>,
    /// Only env, login, adc, gcloud or metadata
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<SourceName>,
    /// Federate with the CI system's own token
    #[arg(long, value_name = "NAME")]
    pub workload_identity_provider: Option<OsString>,
    /// A file with the token for it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["subject_token_env", "subject_token_url"])]
    pub subject_token_file: Option<OsString>,
    /// A variable with the token for it
    #[arg(long, value_name = "NAME", conflicts_with = "subject_token_url")]
    pub subject_token_env: Option<OsString>,
    /// A URL that gives the token for it
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub subject_token_url: Option<OsString>,
    /// Act as A; before it, those in between
    #[arg(long, value_name = "A", visible_alias = "service-account")]
    pub impersonate_service_account: Option<OsString>,
    /// The project that pays for the requests
    #[arg(long, value_name = "PROJECT")]
    pub quota_project: Option<OsString>,
    /// The universe, if not googleapis.com
    #[arg(long, value_name = "DOMAIN")]
    pub universe_domain: Option<OsString>,
    /// Hosts that may get its secrets too
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    pub allow_token_host: Vec<OsString>,
    /// Hosts that may get the token too
    // Shown where a token is sent.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', hide = true)]
    pub allow_host: Vec<OsString>,
}

impl CredentialFlags {
    /// The same with the account that stands without a flag.
    ///
    /// # Errors
    /// Usage, when both name one and they differ.
    pub fn with_positional(&self, positional: Option<&OsString>) -> Result<CredentialFlags> {
        let mut flags = self.clone();
        match (positional, &flags.account) {
            (Some(one), Some(other)) if one != other => {
                Err(Error::usage("ACCOUNT and --account name different accounts")
                    .hint("leave one of the two away"))
            }
            (Some(one), _) => {
                flags.account = Some(one.clone());
                Ok(flags)
            }
            (None, _) => Ok(flags),
        }
    }
}

/// Where a credential may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SourceName {
    /// The variables
    Env,
    /// gauth's active account
    Login,
    /// The ADC file in gcloud's folder
    Adc,
    /// gcloud's active account
    Gcloud,
    /// The metadata server
    Metadata,
}

/// What for.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct TokenFlags {
    /// What for; a word gets Google's prefix
    #[arg(long, value_name = "SCOPE,…")]
    pub scopes: Vec<OsString>,
    /// Act for this user of the domain
    #[arg(long, value_name = "EMAIL")]
    pub subject: Option<OsString>,
    /// How long it lives: 600s, 10m, 1h30m
    #[arg(long, value_name = "DURATION")]
    pub lifetime: Option<OsString>,
    /// No more than ROLE@BUCKET[/PREFIX]
    #[arg(long, value_name = "RULE", conflicts_with = "access_boundary")]
    pub downscope: Vec<OsString>,
    /// No more than this access boundary
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub access_boundary: Option<OsString>,
}

/// With what effort.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Cache and network")]
pub struct CacheFlags {
    /// Least life if cached; 5m, metadata 225s
    #[arg(long, value_name = "DURATION")]
    pub min_ttl: Option<OsString>,
    /// Neither read nor write the cache
    #[arg(long, conflicts_with = "refresh")]
    pub no_cache: bool,
    /// Ask for a new token and store it
    #[arg(long)]
    pub refresh: bool,
    /// Time for all requests together; 30s
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<OsString>,
    /// Certificates to trust, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<OsString>,
}

/// How servers are reached, for commands that ask about logins and not for one token.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// Time for all requests together; 30s
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<OsString>,
    /// Certificates to trust, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<OsString>,
    /// Hosts that may get its secrets too
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    pub allow_token_host: Vec<OsString>,
}

impl NetworkFlags {
    /// Its part of the effort.
    pub fn cache_flags(&self) -> CacheFlags {
        let (timeout, ca_file) = (self.timeout.clone(), self.ca_file.clone());
        CacheFlags { timeout, ca_file, ..CacheFlags::default() }
    }

    /// Its part of which credential.
    pub fn credential_flags(&self) -> CredentialFlags {
        CredentialFlags {
            allow_token_host: self.allow_token_host.clone(),
            ..CredentialFlags::default()
        }
    }
}

/// What holds for every command.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = GENERAL_HEADING)]
pub struct GeneralFlags {
    /// A profile of config.toml
    #[arg(long, value_name = "NAME", add = complete::profiles())]
    pub profile: Option<OsString>,
    /// Only errors on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say what is decided; -vv: requests too
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// How a token is printed.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// As text, json, header, env or curl-config
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<OutputFormat>,
}

/// The formats of a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// The token alone.
    #[default]
    Text,
    /// One object with everything that is known.
    Json,
    /// `Authorization: Bearer TOKEN`.
    Header,
    /// Variables that gcloud and terraform read.
    Env,
    /// A line for curl's `-K`.
    CurlConfig,
}

impl ValueEnum for OutputFormat {
    fn value_variants<'a>() -> &'a [OutputFormat] {
        &[
            OutputFormat::Text,
            OutputFormat::Json,
            OutputFormat::Header,
            OutputFormat::Env,
            OutputFormat::CurlConfig,
        ]
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

/// How a report for people is printed.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Output")]
pub struct ReportFlags {
    /// As text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<ReportFormat>,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}
