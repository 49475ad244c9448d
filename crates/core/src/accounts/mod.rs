//! The account store: one private file for each login, in the JSON format of Google's credential files, and the active
//! account.
//!
//! A file imports only files after it in this list: `adc` and `store` write logins, `refresh_token` updates what a server
//! changes, `origin` is where a login is stored, `secrets` are the stores for its secrets, `files` its file,
//! `refresh_token_location` and `fields` the content of the file.

mod adc;
pub mod export_format;
mod store;

mod active;
mod refresh_token;
mod rejections;

mod origin;
pub mod secrets;

pub mod fields;
mod files;
pub mod refresh_token_location;

pub use crate::accounts::active::{AccountSelection, active_account};
pub use crate::accounts::adc::{AdcUpdate, check_adc_type, update_adc};
pub use crate::accounts::files::{MAX_CREDENTIAL_FILE_BYTES, account_name, file_name, list, load, path};
pub(crate) use crate::accounts::files::{list_files, read_stored, sha256_hex};
pub use crate::accounts::origin::{Origin, resolve_secrets};
pub use crate::accounts::refresh_token::{
    CurrentRefreshToken, PendingUpdate, RefreshTokenHandle, StoredState, with_newest_refresh_token,
};
pub(crate) use crate::accounts::rejections::last_rejection_by_key;
pub use crate::accounts::store::{check_storage, forget, mark_shared, remove_overlays, store_login};
