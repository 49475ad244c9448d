//! What stands in for SQLite in a gauth built without it: gcloud's databases are seen, and not read.

use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gcloud;
use crate::text::printable;

/// A database that cannot be opened.
pub(super) enum GcloudDatabase {}

impl GcloudDatabase {
    /// Says that this gauth cannot read the database, if there is one.
    pub(super) fn open(path: &Path, _: Duration) -> Result<Option<GcloudDatabase>> {
        if !gcloud::is_file(path)? {
            return Ok(None);
        }
        Err(Error::unsupported(format!(
            "{}: this gauth was built without gcloud-store and cannot read gcloud's accounts",
            printable::path(path)
        ))
        .hint("cargo install gauth-cli --features gcloud-store"))
    }

    /// Never called.
    pub(super) fn query_strings(&self, _: &str, _: Option<&str>) -> Result<Vec<String>> {
        match *self {}
    }
}
