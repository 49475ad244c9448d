//! Subject tokens in files, as Kubernetes projects them and CI systems leave them.

use std::path::PathBuf;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::format::{Format, LONGEST};
use crate::credential::external_account::{Pool, SubjectSource};
use crate::credential::{AGAIN, Setting};
use crate::error::{Error, Result};
use crate::json::Fields;
use crate::printable;
use crate::private_file;
use crate::secret::Secret;

/// A file, read anew for every exchange: its token rotates.
pub(super) struct File {
    path: PathBuf,
    format: Format,
}

impl File {
    /// A file that holds nothing but the token.
    pub(super) fn of_text(path: PathBuf) -> File {
        File { path, format: Format::Text }
    }

    /// The token that is there now, for the credential at `asker`.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn read(&self, asker: &str) -> Result<Secret> {
        let place = format!("{} (subject token of {asker})", self.place());
        let hint = || {
            let path = self.place();
            format!("ls -l {path}; the job or pod must be given a token there")
        };
        let bytes = private_file::read_named(&self.path, LONGEST)
            .map_err(|fault| fault.at(&self.path, &place).hint(hint()))?;
        self.format.read(&bytes).map_err(|what| Error::malformed(&place, what).hint(hint()))
    }
}

/// Reads the fields of the source.
///
/// # Errors
/// Malformed, naming the field.
pub(super) fn parse(
    mut source: Fields,
    _: &Pool,
    setting: &Setting,
) -> Result<Box<dyn SubjectSource>> {
    let malformed =
        |what: String| setting.malformed(format!("credential_source.{what}")).hint(AGAIN);
    let path = source.needed_path("file").map_err(malformed)?;
    let format = Format::parse(&mut source).map_err(malformed)?;
    Ok(Box::new(File { path, format }))
}

impl SubjectSource for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn place(&self) -> String {
        printable::path(&self.path)
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("file");
        digest.field(&self.path.to_string_lossy());
        digest.optional(match &self.format {
            Format::Text => None,
            Format::Json(field) => Some(field),
        });
    }

    fn subject_token(&self, pool: &Pool, _: &Broker<'_>) -> Result<Secret> {
        self.read(&pool.place)
    }
}
