//! Logins we may not lose: one private file each, in Google's own JSON.
//!
//! Refresh tokens that a server rotates are stored before the access token is printed. Where the original is
//! not ours to write (gcloud's, an ADC file), the new one goes to `accounts/shadow/`.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cache::{self, Lock};
use crate::error::{Error, Result, io_reason};
use crate::private_file::{self, Draft, Durability, Fault};
use crate::secret::Secret;
use crate::world::World;
use crate::world::clock::Deadline;
use crate::{json, printable};

/// Largest credential file, in bytes.
pub const LARGEST: usize = 1024 * 1024;
/// Longest file name made of an account; a longer one becomes a digest.
const LONGEST_NAME: usize = 120;
/// Room reserved for a login before a rotating refresh token is spent, in bytes.
const ROOM: usize = 64 * 1024;
/// Marks a stored login whose server has given it another refresh token, and so will again.
const ROTATES: &str = "refresh_token_rotates";

/// The file name of an account: lower case, percent-encoded, a digest beyond 120 bytes.
pub fn file_name(account: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'@')
        .remove(b'.')
        .remove(b'-')
        .remove(b'_')
        .remove(b'+');
    let name = account.to_lowercase();
    let name = percent_encoding::utf8_percent_encode(&name, KEPT).to_string();
    match name.len() > LONGEST_NAME {
        true => format!("sha256-{}.json", digest(&[&name])),
        // A name of dots only would be a folder, and one with a leading dot is hidden.
        false if name.starts_with('.') => format!("%2E{}.json", &name[1..]),
        false => format!("{name}.json"),
    }
}

/// The active account, as `accounts use` and `login` leave it in `state.json`.
///
/// # Errors
/// When the file is there and cannot be used.
pub fn active(world: &World) -> Result<Option<String>> {
    let Some(path) = world.folders.gauth.as_ref().map(|folder| folder.join("state.json")) else {
        return Ok(None);
    };
    let place = printable::path(&path);
    let Some(bytes) = read(&path, world)? else { return Ok(None) };
    let mut fields =
        json::Fields::new(json::object(&bytes).map_err(|what| broken_state(&place, what))?);
    fields.text("active").map_err(|what| broken_state(&place, what))
}

fn broken_state(place: &str, what: String) -> Error {
    Error::malformed(place, what)
        .hint(format!("rm {place}, then choose the account with --account"))
}

/// The stored login of an account: its path and content.
///
/// # Errors
/// When the file is there and cannot be used.
pub fn load(account: &str, world: &World) -> Result<Option<(PathBuf, Zeroizing<Vec<u8>>)>> {
    let Some(folder) = folder(world) else { return Ok(None) };
    let path = folder.join(file_name(account));
    Ok(read(&path, world)?.map(|bytes| (path, bytes)))
}

/// The accounts with a stored login, as their files are named.
pub fn list(world: &World) -> Vec<String> {
    let Some(entries) = folder(world).and_then(|folder| std::fs::read_dir(folder).ok()) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| !name.starts_with('.'))
        .filter_map(|name| {
            let name = name.strip_suffix(".json")?;
            Some(percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned())
        })
        .collect();
    names.sort();
    names
}

fn folder(world: &World) -> Option<PathBuf> {
    world.folders.gauth.as_ref().map(|folder| folder.join("accounts"))
}

fn read(path: &Path, world: &World) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match private_file::read_own(path, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Fault::Missing) => Ok(None),
        Err(Fault::Io(_)) if private_file::is_out_of_reach(path) => Ok(None),
        Err(Fault::Exposed(what, _)) if provided_by_root(path) => {
            world.terminal.note(|| format!("{} {what}, read all the same", printable::path(path)));
            let read = private_file::read_named(path, LARGEST);
            read.map(Some).map_err(|fault| fault.at(path, &printable::path(path)))
        }
        Err(fault) => Err(fault.at(path, &printable::path(path))),
    }
}

/// Containers mount stores that belong to root; nobody but root can have written those.
#[cfg(unix)]
fn provided_by_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    !rustix::process::geteuid().is_root()
        && path.metadata().is_ok_and(|about| about.uid() == 0 && about.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn provided_by_root(_: &Path) -> bool {
    false
}

/// Where a login came from, and so where its next refresh token goes.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file of our own account store.
    Ours(PathBuf),
    /// A file, variable or database that is not ours to write.
    Foreign,
}

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

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_tell_accounts_apart() {
        assert_eq!(file_name("Ada@Example.com"), "ada@example.com.json");
        assert_eq!(file_name("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd.json");
        assert_eq!(file_name("a/b"), "a%2Fb.json");
        assert_ne!(file_name("a%2Fb"), file_name("a/b"));
        let long = "x".repeat(300);
        assert!(file_name(&long).len() < 90 && file_name(&long).starts_with("sha256-"));
    }
}
