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
    /// token to exchange: -, @FILE or env:NAME
    ///
    /// Exchanges this token (subject_token). The value is `-` for standard input, `@FILE` or `env:NAME`.
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    pub subject_token: Option<OsString>,
    /// its type, such as jwt or access_token
    ///
    /// States the type of the subject token (subject_token_type): `jwt`, `id_token`, `access_token`, `saml2`, another
    /// abbreviation or a full URN. Default: `jwt` for a JWT, `access_token` for an access token of Google.
    #[arg(long, value_name = "TYPE")]
    pub subject_token_type: Option<OsString>,
    /// exchange an access token of gauth's own
    ///
    /// Exchanges an access token of the credential that `gauth token` would use. The flags under "Which credential"
    /// choose it.
    #[arg(long)]
    pub subject_credentials: bool,
    /// provider or service the token is for
    ///
    /// Requests a token for this audience. At Google it is the full name of a workload or workforce identity
    /// provider.
    #[arg(long, value_name = "NAME")]
    pub audience: Vec<OsString>,
    /// URI of the service the token is for
    ///
    /// Requests a token for the service with this absolute URI (resource).
    #[arg(long, hide_short_help = true, value_name = "URI", value_hint = ValueHint::Url)]
    pub resource: Vec<OsString>,
    /// scopes to request
    ///
    /// Requests these scopes, separated by commas or spaces. At Google's endpoint a short scope such as `pubsub` is
    /// completed to a URL. Default at Google's endpoint: cloud-platform, except for a subject token that is an access
    /// token.
    #[arg(long, value_name = "SCOPE,…")]
    pub scopes: Vec<OsString>,
    /// type to request, default access_token
    ///
    /// Requests a token of this type (requested_token_type), abbreviated or as a full URN. Default at Google's
    /// endpoint: `access_token`.
    #[arg(long, hide_short_help = true, value_name = "TYPE")]
    pub requested_token_type: Option<OsString>,
    /// token of the acting party
    ///
    /// States the party that acts for the subject, by its token (actor_token). The value is `-` for standard input,
    /// `@FILE` or `env:NAME`.
    #[arg(long, hide_short_help = true, value_name = "LOCATION", allow_hyphen_values = true)]
    pub actor_token: Option<OsString>,
    /// type of the actor token
    ///
    /// States the type of the actor token (actor_token_type), abbreviated or as a full URN.
    #[arg(long, hide_short_help = true, value_name = "TYPE")]
    pub actor_token_type: Option<OsString>,
    /// Google's options: JSON or @FILE
    ///
    /// Sends Google's `options` parameter: a JSON object, or `@FILE` for a file that contains it. Example: a
    /// Credential Access Boundary.
    #[arg(long, value_name = "JSON")]
    pub options: Option<OsString>,
    /// token to refresh: -, @FILE or env:NAME
    ///
    /// Sends a refresh request with this refresh token instead of a token exchange. The value is `-` for standard
    /// input, `@FILE` or `env:NAME`.
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    pub refresh_token: Option<OsString>,
    /// grant type of the request
    ///
    /// States the grant type: `token-exchange`, `refresh_token` or a full URN. Default: `refresh_token` with
    /// `--refresh-token`, otherwise `token-exchange`.
    #[arg(long, hide_short_help = true, value_name = "GRANT")]
    pub grant_type: Option<OsString>,
    /// token endpoint, if not Google's
    ///
    /// Sends the request to this token endpoint. Default: `https://sts.googleapis.com/v1/token`, or that of
    /// `--universe-domain`.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub endpoint: Option<OsString>,
    /// additional header, 'Name: value'
    ///
    /// Sends this header as well, as in `'X-Tenant: blue'`. `'Name: @FILE'` and `'Name: env:NAME'` read the value
    /// from a file or a variable.
    #[arg(long, hide_short_help = true, value_name = "HEADER")]
    pub header: Vec<OsString>,
    /// lifetime after impersonation
    ///
    /// Requests this lifetime, such as `10m`, for the token of `--impersonate-service-account`. Default: 1h.
    #[arg(long, hide_short_help = true, value_name = "DURATION")]
    pub lifetime: Option<OsString>,
}

/// Flags about the OAuth client.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "OAuth client")]
pub(super) struct ClientFlags {
    /// OAuth client ID
    ///
    /// Identifies the OAuth client that sends the request.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<OsString>,
    /// client secret: -, @FILE or env:NAME
    ///
    /// Authenticates the client with this secret. The value is `-` for standard input, `@FILE` or `env:NAME`.
    #[arg(long, value_name = "LOCATION", allow_hyphen_values = true)]
    pub client_secret: Option<OsString>,
    /// client authentication method
    ///
    /// Authenticates the client with this method: `none` (send the client ID only), `basic` (HTTP Basic), `body`
    /// (secret in the form) or `certificate` (mutual TLS, RFC 8705). Default: `basic` with `--client-secret`,
    /// `certificate` with `--client-certificate`, otherwise `none`.
    #[arg(long, hide_short_help = true, value_name = "METHOD", value_parser = client_auth_parser(), hide_possible_values = true)]
    pub client_auth: Option<ClientAuthentication>,
    /// client certificate, PEM
    ///
    /// Presents this client certificate (PEM file) to the endpoint, such as
    /// `https://sts.mtls.googleapis.com/v1/token`. Requires `--client-key`.
    #[arg(long, hide_short_help = true, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "client_key")]
    pub client_certificate: Option<OsString>,
    /// private key of the certificate, PEM
    ///
    /// Uses the private key in this PEM file for the client certificate.
    #[arg(long, hide_short_help = true, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "client_certificate")]
    pub client_key: Option<OsString>,
}

/// The values of `--client-auth`, and the method of client authentication that each stands for.
const CLIENT_AUTH_VALUES: &[(&str, &str, ClientAuthentication)] = &[
    ("none", "send the client ID only", ClientAuthentication::None),
    ("basic", "HTTP Basic", ClientAuthentication::ClientSecretBasic),
    ("body", "secret in the form", ClientAuthentication::ClientSecretPost),
    ("certificate", "mutual TLS (RFC 8705)", ClientAuthentication::TlsClientAuth),
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
