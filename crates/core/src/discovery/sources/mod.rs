//! The table of sources: every step of the search for a credential, in its order.

mod configured;
mod environment;
pub(super) mod gcloud;
pub(super) mod login;
mod metadata;

use std::rc::Rc;

use crate::config::Source;
use crate::discovery::{Discovery, Lookup};
use crate::error::Result;
use crate::tokens::credential::Credential;
use crate::world::{World, env};

pub use crate::discovery::sources::environment::parse_options;

/// One step of the search.
pub struct CredentialSource {
    /// Its number in `gauth status` and the manual. The two steps for what the user configured have none: they are
    /// listed only when they apply.
    pub number: Option<u8>,
    /// The value of `--source` that selects it; `None` for a step that `--source` does not switch off.
    pub source: Option<Source>,
    /// What `gauth status` calls it: a variable, a file or a phrase.
    pub label: fn(&World) -> String,
    /// Looks for its credential. An error means that it is set and unusable.
    pub(super) probe: fn(&Discovery<'_>) -> Result<Lookup>,
    /// How `--account` is looked up in it.
    by_account: AccountLookup,
}

/// Finds the credential of an account by its name; `None` when the source has no such account.
type FindAccount = fn(&Discovery<'_>, &str) -> Result<Option<Rc<dyn Credential>>>;

/// How an account is looked up in a source by its name.
enum AccountLookup {
    /// It has no accounts of its own.
    Never,
    /// In a store that has a login for each name.
    Store(FindAccount),
    /// The source has one credential, which is used if it is this account's.
    OneCredential,
    /// By a request to a server.
    Server(FindAccount),
}

/// Every step of the search, in its order.
pub const SOURCES: &[CredentialSource] = &[
    CredentialSource {
        number: None,
        source: None,
        label: |_| "named by flag, variable or profile".to_owned(),
        probe: configured::named_credential,
        by_account: AccountLookup::Never,
    },
    CredentialSource {
        number: Some(1),
        source: Some(Source::Env),
        label: |_| "CLOUDSDK_AUTH_ACCESS_TOKEN and the like".to_owned(),
        probe: environment::access_token_variables,
        by_account: AccountLookup::OneCredential,
    },
    CredentialSource {
        number: Some(2),
        source: Some(Source::Env),
        label: |_| env::GAUTH_CREDENTIALS.name.to_owned(),
        probe: environment::gauth_credentials_variable,
        by_account: AccountLookup::OneCredential,
    },
    CredentialSource {
        number: Some(2),
        source: Some(Source::Env),
        label: |_| env::GOOGLE_APPLICATION_CREDENTIALS.name.to_owned(),
        probe: environment::application_credentials_variable,
        by_account: AccountLookup::OneCredential,
    },
    CredentialSource {
        number: None,
        source: None,
        label: |_| "default in config.toml".to_owned(),
        probe: configured::default_credential,
        by_account: AccountLookup::Never,
    },
    CredentialSource {
        number: Some(3),
        source: Some(Source::Login),
        label: |_| "gauth's active account".to_owned(),
        probe: login::active_login,
        by_account: AccountLookup::Store(login::find_account),
    },
    CredentialSource {
        number: Some(4),
        source: Some(Source::Adc),
        label: gcloud::adc_label,
        probe: gcloud::adc_file,
        by_account: AccountLookup::OneCredential,
    },
    CredentialSource {
        number: Some(5),
        source: Some(Source::Gcloud),
        label: |_| "gcloud's account".to_owned(),
        probe: gcloud::active_account,
        by_account: AccountLookup::Store(gcloud::find_account),
    },
    CredentialSource {
        number: Some(6),
        source: Some(Source::Metadata),
        label: |_| "metadata server".to_owned(),
        probe: metadata::default_account,
        by_account: AccountLookup::Server(metadata::find_account),
    },
];
