//! Refresh tokens that a server changes: the newest one is read, and the next one stored before an access token is
//! printed. Where the original is not ours to write (gcloud's, an ADC file), the new one goes to `accounts/shadow/`.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::{Origin, digest, folder, read};
use crate::cache::{self, Lock};
use crate::error::{Error, Result, io_reason};
use crate::json;
use crate::private_file::{self, Draft, Durability};
use crate::secret::Secret;
use crate::world::World;
use crate::world::clock::Deadline;

/// Room reserved for a login before a rotating refresh token is spent, in bytes.
const ROOM: usize = 64 * 1024;
/// Marks a stored login whose server has given it another refresh token, and so will again.
pub(super) const ROTATES: &str = "refresh_token_rotates";

/// A login whose refresh token may change.
#[derive(Debug)]
pub struct Login<'a> {
    /// Where it came from.
    pub origin: &'a Origin,
    /// The OAuth client it was made with.
    pub client_id: &'a str,
    /// The refresh token as it was found there.
    pub refresh_token: &'a Secret,
}

/// The refresh token to send, and the place for the next one.
pub struct Current {
    /// The newest refresh token of this login.
    pub refresh_token: Secret,
    /// Whether it has been rotated before, and so will be again.
    pub rotates: bool,
}

/// The file of the next refresh token, before that is known.
pub struct Successor {
    draft: Draft,
    path: PathBuf,
    content: Map<String, Value>,
}

impl Successor {
    /// Stores the refresh token durably.
    ///
    /// # Errors
    /// When it cannot be stored: the next call will need a new login.
    pub fn store(self, refresh_token: &Secret) -> io::Result<()> {
        let mut content = self.content;
        content.insert(ROTATES.to_owned(), Value::Bool(true));
        content.insert("refresh_token".to_owned(), Value::from(refresh_token.expose()));
        let mut bytes = Zeroizing::new(serde_json::to_vec_pretty(&content)?);
        bytes.push(b'\n');
        self.draft.publish(&self.path, &bytes)
    }
}

impl Login<'_> {
    /// Takes the lock of this login, whatever scopes are asked for: a refresh token that rotates may be
    /// spent once only.
    ///
    /// # Errors
    /// `NoAnswer` when the deadline passes.
    pub fn lock(&self, world: &World, deadline: Deadline) -> Result<Option<Lock>> {
        cache::lock(world, &format!("login-{}", &self.digest()[..2]), deadline)
    }

    /// Reads the store again: another process may have been given a newer refresh token.
    ///
    /// # Errors
    /// When a store of ours cannot be used.
    pub fn current(&self, world: &World) -> Result<Current> {
        let stored = match self.path(world) {
            Some(path) => match read(&path, world)? {
                Some(bytes) => json::object(&bytes).ok().map(json::Fields::new),
                None => None,
            },
            None => None,
        };
        let (newer, marked) = match stored {
            Some(mut fields) => (
                fields.secret("refresh_token").ok().flatten(),
                fields.any(ROTATES) == Some(Value::Bool(true)),
            ),
            None => (None, false),
        };
        Ok(match newer.filter(|token| !token.is_empty()) {
            Some(token) => Current {
                rotates: marked || !token.same_as(self.refresh_token) || !self.is_ours(),
                refresh_token: token,
            },
            None => Current { refresh_token: self.refresh_token.clone(), rotates: false },
        })
    }

    /// Prepares the file for a rotated refresh token, with room for it and all that stays in it, before the old
    /// one is spent.
    ///
    /// # Errors
    /// When there is no folder or no room, or the stored login cannot be read.
    pub fn draft(&self, world: &World) -> Result<Successor> {
        let failed = |error: io::Error| Error::unexpected(io_reason(&error));
        let path = self.path(world).ok_or_else(|| Error::unexpected("there is no home folder"))?;
        let mut content = Map::new();
        if self.is_ours()
            && let Some(bytes) = read(&path, world)?
        {
            content = json::object(&bytes).unwrap_or_default();
        }
        private_file::subfolder(world.folders.gauth.as_deref(), "accounts").map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        private_file::make_folder(folder).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut draft =
            Draft::begin(folder, &name, Durability::Durable, &*world.random).map_err(failed)?;
        draft.reserve(ROOM).map_err(failed)?;
        Ok(Successor { draft, path, content })
    }

    /// Removes what was kept beside a login that is not ours.
    pub(super) fn remove_shadow(&self, world: &World) {
        if let (Origin::Foreign, Some(path)) = (self.origin, self.path(world)) {
            private_file::remove(&path);
        }
    }

    fn is_ours(&self) -> bool {
        matches!(self.origin, Origin::Ours(_))
    }

    fn path(&self, world: &World) -> Option<PathBuf> {
        match self.origin {
            Origin::Ours(path) => Some(path.clone()),
            Origin::Foreign => {
                Some(folder(world)?.join("shadow").join(format!("{}.json", self.digest())))
            }
        }
    }

    /// Names the login without telling anything: of a foreign one the original refresh token decides.
    fn digest(&self) -> String {
        match self.origin {
            Origin::Ours(path) => digest(&[&path.to_string_lossy()]),
            Origin::Foreign => digest(&[self.client_id, self.refresh_token.expose()]),
        }
    }
}
