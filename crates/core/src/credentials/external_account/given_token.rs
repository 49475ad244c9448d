//! Subject tokens that a job gets in a file or variable. The token itself is part of the cache key.

use std::path::PathBuf;

use crate::credentials::external_account::file::FileSource;
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::error::{Error, Result};
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::World;

/// A token in a file that the user named. Its content is part of the cache key: the next job on the same machine may
/// have another one at the same path.
pub(super) struct HashedFileSource {
    file: FileSource,
    token: Secret,
}

impl HashedFileSource {
    /// The token in this file; `location` is the flag or variable that named it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open(path: PathBuf, location: &str) -> Result<HashedFileSource> {
        let file = FileSource::plain_text(path);
        let token = file.read_token(location)?;
        Ok(HashedFileSource { file, token })
    }
}

impl SubjectTokenSource for HashedFileSource {
    fn metrics_name(&self) -> &'static str {
        "file"
    }

    fn location(&self) -> String {
        self.file.location()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        self.file.hash_cache_key(hasher);
        hasher.add_secret(&self.token);
    }

    fn subject_token(&self, request: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        self.file.subject_token(request, session)
    }
}

/// A token in a variable. Its content is part of the cache key.
pub(super) struct VariableSource {
    name: String,
    token: Secret,
}

impl VariableSource {
    /// This token of the variable of this name.
    pub(super) fn new(name: &str, token: Secret) -> VariableSource {
        VariableSource { name: name.to_owned(), token }
    }

    /// The token in the variable of this name.
    ///
    /// # Errors
    /// `Usage`, when the variable is not set or empty.
    pub(super) fn from_environment(name: &str, world: &World) -> Result<VariableSource> {
        match world.env.secret(name)? {
            Some(token) => Ok(VariableSource::new(name, token)),
            None => {
                let name = crate::text::printable::text(name);
                Err(Error::usage(format!("the variable {name} holds no token"))
                    .hint(format!("export {name}, or name another with --subject-token-env")))
            }
        }
    }
}

impl SubjectTokenSource for VariableSource {
    fn metrics_name(&self) -> &'static str {
        "programmatic"
    }

    fn location(&self) -> String {
        crate::text::printable::text(&self.name)
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("variable");
        hasher.add_secret(&self.token);
    }

    fn subject_token(&self, _: &SubjectTokenRequest, _: &dyn Session) -> Result<Secret> {
        Ok(self.token.clone())
    }
}
