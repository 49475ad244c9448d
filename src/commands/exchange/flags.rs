//! The flags of `gauth exchange`.

use std::ffi::OsString;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::flags::{CommonFlags, OutputFlags};
use gauth_core::config::Overrides;
use gauth_core::oauth::client_authentication::ClientAuthentication;

/// The command line of `gauth exchange`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(in crate::commands) struct ExchangeFlags {
    #[command(flatten)]
    pub(super) parameters: ExchangeParameterFlags,
    #[command(flatten)]
    pub(super) client: ClientFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
    #[command(flatten)]
    pub(super) common: CommonFlags,
}

/// The parameters of RFC 8693, and of the refresh grant.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct ExchangeParameterFlags {
    /// Exchange this: -, @FILE or env:NAME
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub subject_token: Option<OsString>,
    /// What it is: jwt, access_token, a URN
    #[arg(long, value_name = "TYPE")]
    pub subject_token_type: Option<OsString>,
    /// Exchange a token of gauth's credential
    #[arg(long)]
    pub subject_credentials: bool,
    /// The provider or service it is for
    #[arg(long, value_name = "NAME")]
    pub audience: Vec<OsString>,
    /// The URI of what it is for
    #[arg(long, value_name = "URI", value_hint = ValueHint::Url)]
    pub resource: Vec<OsString>,
    /// What it is to allow
    #[arg(long, value_name = "SCOPE,…")]
    pub scopes: Vec<OsString>,
    /// What is wanted, if no access_token
    #[arg(long, value_name = "TYPE")]
    pub requested_token_type: Option<OsString>,
    /// Who acts: -, @FILE or env:NAME
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub actor_token: Option<OsString>,
    /// What the actor's token is
    #[arg(long, value_name = "TYPE")]
    pub actor_token_type: Option<OsString>,
    /// Additions of Google's: JSON or @FILE
    #[arg(long, value_name = "JSON")]
    pub options: Option<OsString>,
    /// Refresh this: -, @FILE or env:NAME
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub refresh_token: Option<OsString>,
    /// token-exchange, refresh_token or a URN
    #[arg(long, value_name = "GRANT")]
    pub grant_type: Option<OsString>,
    /// The token endpoint, if not Google's
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub endpoint: Option<OsString>,
    /// Send this too: 'Name: value'
    #[arg(long, value_name = "HEADER")]
    pub header: Vec<OsString>,
    /// Life of what is impersonated: 10m, 1h
    #[arg(long, value_name = "DURATION")]
    pub lifetime: Option<OsString>,
}

/// Who asks.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Which client")]
pub(super) struct ClientFlags {
    /// The OAuth client
    #[arg(long, value_name = "ID")]
    pub client_id: Option<OsString>,
    /// Its secret: -, @FILE or env:NAME
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub client_secret: Option<OsString>,
    /// By none, basic, body or certificate
    #[arg(long, value_name = "HOW", value_parser = client_auth_parser(), hide_possible_values = true)]
    pub client_auth: Option<ClientAuthentication>,
    /// Its certificate, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "client_key")]
    pub client_certificate: Option<OsString>,
    /// The key of that, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "client_certificate")]
    pub client_key: Option<OsString>,
}

/// The values of `--client-auth`, and the method of client authentication that each stands for.
const CLIENT_AUTH_VALUES: &[(&str, &str, ClientAuthentication)] = &[
    ("none", "Not at all, it only says its name", ClientAuthentication::None),
    ("basic", "With HTTP Basic", ClientAuthentication::ClientSecretBasic),
    ("body", "With fields of the form", ClientAuthentication::ClientSecretPost),
    ("certificate", "With a certificate (RFC 8705)", ClientAuthentication::TlsClientAuth),
];

fn client_auth_parser() -> impl TypedValueParser<Value = ClientAuthentication> {
    let values = CLIENT_AUTH_VALUES.iter();
    let values = values.map(|(name, help, _)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(values).map(|value| {
        let mut values = CLIENT_AUTH_VALUES.iter();
        values.find(|(name, ..)| *name == value).map(|(.., method)| *method).unwrap_or_default()
    })
}

impl ExchangeFlags {
    /// The settings of the shared flags. Without `--workload-identity-provider`, the subject token flags name the token to
    /// exchange and say nothing about the credential.
    pub(super) fn overrides(&self) -> Overrides {
        let mut overrides = self.common.overrides();
        if overrides.workload_identity_provider.is_none() {
            overrides.subject_token_file = None;
            overrides.subject_token_env = None;
            overrides.subject_token_url = None;
        }
        overrides.scopes = self.parameters.scopes.clone();
        overrides.lifetime = self.parameters.lifetime.clone();
        overrides
    }
}
