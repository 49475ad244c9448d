//! Stands in for SQLite in a gauth that is built without the feature `gcloud-store`: it finds gcloud's databases and does
//! not read them.

use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gcloud;
use crate::gcloud::Query;
use crate::text::printable;

/// Opens no database: `None` where there is none.
///
/// # Errors
/// Exit 7, where there is a database.
pub(super) fn open(path: &Path, _: Duration) -> Result<Option<Box<Query>>> {
    if !gcloud::is_file(path)? {
        return Ok(None);
    }
    Err(Error::unsupported(format!(
        "{}: this gauth is built without the feature gcloud-store and cannot read gcloud's accounts",
        printable::path(path)
    ))
    .hint("cargo install gauth-cli --features gcloud-store"))
}
