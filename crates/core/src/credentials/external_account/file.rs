//! Subject tokens in files, as Kubernetes and CI systems write them.

use std::path::PathBuf;

use crate::credentials::ParseOptions;
use crate::credentials::external_account::format::{MAX_SUBJECT_TOKEN_BYTES, SubjectTokenFormat};
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::error::{Error, Result};
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::private_file;

/// A file that is read for every exchange, because its token rotates.
pub(super) struct FileSource {
    path: PathBuf,
    format: SubjectTokenFormat,
}

impl FileSource {
    /// A file with the token and nothing else.
    pub(super) fn plain_text(path: PathBuf) -> FileSource {
        FileSource { path, format: SubjectTokenFormat::Text }
    }

    /// The token that is in it now, for the credential at `credential_location`.
    ///
    /// # Errors
    /// When the file cannot be read, or has no token.
    pub(super) fn read_token(&self, credential_location: &str) -> Result<Secret> {
        let location = format!("{} (subject token of {credential_location})", self.location());
        let hint = || {
            let path = self.location();
            format!("ls -l {path}; the job or pod must be given a token there")
        };
        let bytes = private_file::read_user_file(&self.path, MAX_SUBJECT_TOKEN_BYTES)
            .map_err(|fault| fault.to_error(&self.path, &location).hint(hint()))?;
        self.format.extract_token(&bytes).map_err(|what| Error::malformed(&location, what).hint(hint()))
    }
}

/// Reads the fields of the source.
///
/// # Errors
/// `Malformed`, naming the field.
pub(super) fn parse(
    mut source: JsonFields,
    _: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = parse_options.field_error("credential_source.");
    let path = source.required_path("file").map_err(malformed)?;
    let format = SubjectTokenFormat::parse(&mut source).map_err(malformed)?;
    Ok(Box::new(FileSource { path, format }))
}

impl SubjectTokenSource for FileSource {
    fn metrics_name(&self) -> &'static str {
        "file"
    }

    fn location(&self) -> String {
        printable::path(&self.path)
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("file");
        hasher.add_text(&self.path.to_string_lossy());
        hasher.add_optional(match &self.format {
            SubjectTokenFormat::Text => None,
            SubjectTokenFormat::Json(field) => Some(field),
        });
    }

    fn subject_token(&self, request: &SubjectTokenRequest, _: &dyn Session) -> Result<Secret> {
        self.read_token(&request.location)
    }
}
