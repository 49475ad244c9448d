//! Flag groups shared by commands: who asks, what for, with what effort, and how to print.
//!
//! Flags are taken as they are written; `settings` gives them meaning, together with variables and files.

use std::ffi::OsString;

use clap::{ArgAction, Args, ValueEnum, ValueHint};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::output::format::OutputFormat;
use gauth_core::config::{Overrides, Source};
use gauth_core::error::{Error, Result};

/// The heading of the flags that every command has.
pub const GENERAL_HEADING: &str = "General";

/// Which credential.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Which credential")]
pub struct CredentialFlags {
    /// A credential file, or - for standard input
    #[arg(long, value_name = "FILE", visible_aliases = ["key-file", "cred-file"], value_hint = ValueHint::FilePath)]
    pub credentials: Option<OsString>,
    /// A login of gauth, gcloud or the machine
    #[arg(long, value_name = "EMAIL")]
    pub account: Option<OsString>,
    /// Only env, login, adc, gcloud or metadata
    #[arg(long, value_name = "SOURCE", value_parser = source_parser())]
    pub source: Option<Source>,
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
    /// Hosts that may get the token too
    // Shown where a token is sent.
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', hide = true)]
    pub allow_host: Vec<OsString>,
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
}

/// How servers are reached, for commands that ask about logins and not for one token.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Cache and network")]
pub struct NetworkFlags {
    /// Time for all requests together; 30s
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<OsString>,
    /// Certificates to trust, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<OsString>,
}

/// Which hosts may receive a credential's secrets.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Cache and network")]
pub struct TokenHostFlags {
    /// Hosts that may get its secrets too
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    pub allow_token_host: Vec<OsString>,
}

/// What holds for every command.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
#[command(next_help_heading = GENERAL_HEADING)]
pub struct GeneralFlags {
    /// A profile of config.toml
    #[arg(long, value_name = "NAME")]
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

/// The groups that every command for tokens has.
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
        Overrides {
            timeout: self.timeout.clone(),
            ca_file: self.ca_file.clone(),
            ..general.overrides()
        }
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
pub fn one_account(
    positional: Option<&OsString>,
    flag: Option<&OsString>,
) -> Result<Option<OsString>> {
    match (positional, flag) {
        (Some(one), Some(other)) if one != other => {
            Err(Error::usage("ACCOUNT and --account name different accounts")
                .hint("leave one of the two away"))
        }
        (one, other) => Ok(one.or(other).cloned()),
    }
}

fn source_parser() -> impl TypedValueParser<Value = Source> {
    let names = PossibleValuesParser::new(Source::SEARCHED.map(Source::as_str));
    names.try_map(|name| Source::parse(&name).ok_or("this is no source"))
}
