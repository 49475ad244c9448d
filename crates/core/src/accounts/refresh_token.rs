//! What a server changes of a login: its refresh token, and the proof of reauthentication that goes along with it. The
//! newest ones are read, and the next ones stored before an access token is printed. Where the original is not ours
//! to write (gcloud's, an ADC file), they go to `accounts/shadow/`.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::files::{accounts_folder, read_file, remove_stale_files, sha256_hex};
use crate::accounts::origin::Origin;
use crate::accounts::refresh_token_location::LocatedRefreshToken;
use crate::accounts::secrets::ExternalSecret;
use crate::accounts::{fields, refresh_token_location, rejections};
use crate::error::{Error, Result, io_reason};
use crate::text::secret::Secret;
use crate::text::{json, printable};
use crate::tokens::cache;
use crate::tokens::cache::{CacheKey, Lock};
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::private_file;
use crate::world::private_file::{PendingFile, WriteDurability};

/// Room reserved for a login before a rotating refresh token is spent, in bytes.
pub(super) const RESERVED_BYTES: usize = 64 * 1024;

/// A login whose refresh token may change.
#[derive(Debug)]
pub struct RefreshTokenHandle<'a> {
    /// Where it came from.
    pub origin: &'a Origin,
    /// The OAuth client it was made with.
    pub client_id: &'a str,
    /// The refresh token as it was found there.
    pub refresh_token: &'a Secret,
    /// The proof of reauthentication as it was found there.
    pub rapt: Option<&'a Secret>,
}

/// What the store says of a login now.
pub enum StoredState {
    /// It is there.
    Current(CurrentRefreshToken),
    /// It has been forgotten since it was read.
    Gone,
    /// Another login, made with another OAuth client, has taken its place since it was read.
    Replaced,
}

/// The refresh token to send, and the place for the next one.
pub struct CurrentRefreshToken {
    /// The newest refresh token of this login.
    pub refresh_token: Secret,
    /// Whether it has been rotated before, and so will be again.
    pub rotates: bool,
    /// The proofs of reauthentication that there are, in the order in which to send them.
    pub rapts: Vec<Secret>,
}

/// The file for what will change, before that is known.
pub struct PendingUpdate {
    pending_file: PendingFile,
    path: PathBuf,
    is_own: bool,
    external_secret: Option<Rc<ExternalSecret>>,
    content: Map<String, Value>,
    /// Of the file that `content` was read from.
    version: FileVersion,
}

/// What tells one state of a file from the next; nothing, where there is none.
#[derive(PartialEq, Eq)]
struct FileVersion(Option<(u64, u64, Option<SystemTime>)>);

impl FileVersion {
    fn of(path: &Path) -> FileVersion {
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino;
        #[cfg(not(unix))]
        let number = |_: &std::fs::Metadata| 0;
        let about = path.symlink_metadata().ok();
        FileVersion(about.map(|about| (number(&about), about.len(), about.modified().ok())))
    }
}

impl PendingUpdate {
    /// Stores the refresh token that came for the one that was `sent`, durably. A login that has taken its place
    /// meanwhile, or that was forgotten, is left as it is.
    ///
    /// # Errors
    /// When it cannot be stored: the next call will need a new login.
    pub fn store_refresh_token(
        self,
        sent: &Secret,
        next: &Secret,
        world: &World,
    ) -> io::Result<()> {
        self.commit(sent, world, |content| {
            content.insert(fields::ROTATES.to_owned(), Value::Bool(true));
            refresh_token_location::object_mut(content)
                .insert(fields::REFRESH_TOKEN.to_owned(), next.to_json());
        })
    }

    /// Stores the proof of reauthentication that was had for the refresh token that was `sent`, durably.
    ///
    /// # Errors
    /// When it cannot be stored: the person will be asked again.
    pub fn store_rapt(self, sent: &Secret, rapt: &Secret, world: &World) -> io::Result<()> {
        self.commit(sent, world, |content| {
            content.insert(fields::RAPT_TOKEN.to_owned(), rapt.to_json());
        })
    }

    fn commit(
        self,
        sent: &Secret,
        world: &World,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> io::Result<()> {
        // Locks cannot be had everywhere, and people move files: what is there now decides. Only a look, where nothing
        // has changed: whoever is killed between the answer and the rename loses the login.
        let mut content = self.content;
        let version = FileVersion::of(&self.path);
        if self.is_own && version.0.is_none() {
            return Ok(());
        }
        if version != self.version {
            let now = read_file(&self.path, world).ok().flatten();
            let now = now.and_then(|bytes| json::parse_object(&bytes).ok());
            let now =
                now.and_then(|now| with_external_secrets(now, self.external_secret.as_ref()).ok());
            content = now.unwrap_or(content);
        }
        if self.is_own && content.is_empty() {
            // Half a login would be in the way of the one that somebody may have a copy of.
            return Err(io::Error::other("its file is damaged"));
        }
        let is_another = |token: &str| !Secret::new(token).constant_time_eq(sent);
        let stored_token = refresh_token_location::object(&content)
            .get(fields::REFRESH_TOKEN)
            .and_then(Value::as_str);
        if self.is_own && stored_token.is_some_and(is_another) {
            return Ok(());
        }
        change(&mut content);
        if let Some(kept) = &self.external_secret {
            content = kept.put(&content).unwrap_or_else(|error| {
                // What the server gave once is kept at any price.
                world.terminal.warn(&format!(
                    "{error}: the login is in {} from now on, secrets included; gauth login --store {} puts it back",
                    printable::path(&self.path),
                    kept.store().name()
                ));
                content
            });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(RESERVED_BYTES));
        serde_json::to_writer_pretty(&mut *bytes, &content)?;
        bytes.push(b'\n');
        let published = self.pending_file.commit(&self.path, &bytes);
        published.or_else(|_| {
            // The draft may be gone: to a clock that was set, or a machine that slept, it looked like one that a writer
            // who died had left.
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            private_file::write_atomic(
                folder,
                &name,
                &bytes,
                WriteDurability::Durable,
                &*world.random,
            )
        })
    }
}

/// The whole of a stored login, where a file of ours leaves its secrets to another store.
fn with_external_secrets(
    file: Map<String, Value>,
    external_secret: Option<&Rc<ExternalSecret>>,
) -> Result<Map<String, Value>> {
    match external_secret {
        // It may have come back from there.
        Some(kept) if file.contains_key(fields::STORE) => kept.load(&file),
        _ => Ok(file),
    }
}

impl<'a> RefreshTokenHandle<'a> {
    /// Of a login whose changes are kept beside it, as its JSON has it.
    pub(super) fn beside(found: &'a LocatedRefreshToken<'a>) -> RefreshTokenHandle<'a> {
        RefreshTokenHandle {
            origin: &Origin::ReadOnly,
            client_id: found.client_id,
            refresh_token: &found.refresh_token,
            rapt: None,
        }
    }
}

impl RefreshTokenHandle<'_> {
    /// Takes the lock of this login, whatever scopes are asked for: a refresh token that rotates may be
    /// spent once only.
    ///
    /// # Errors
    /// `NoAnswer` when the deadline passes.
    pub fn lock(&self, world: &World, deadline: Deadline) -> Result<Option<Lock>> {
        cache::lock(world, &self.lock_name(), deadline)
    }

    /// Waits for the turn to ask this login's person something: never two at once. The login's lock is not to be
    /// held then, or nobody could store a new login while the person thinks.
    ///
    /// # Errors
    /// `NoAnswer` when another process is at it for ten minutes.
    pub fn lock_prompt(&self, world: &World) -> Result<Option<Lock>> {
        cache::lock_prompt(world, &self.lock_name())
    }

    fn lock_name(&self) -> String {
        format!("login-{}", &self.digest()[..2])
    }

    /// Reads the store again: another process may have been given a newer refresh token, or a person.
    ///
    /// # Errors
    /// When a store of ours cannot be used.
    pub fn stored_state(&self, world: &World) -> Result<StoredState> {
        let bytes = match self.path(world) {
            Some(path) => read_file(&path, world)?,
            None => None,
        };
        if bytes.is_none() && self.is_own() {
            return Ok(StoredState::Gone);
        }
        // A file that is damaged says nothing; one of ours was whole when it was read.
        let stored = bytes.and_then(|bytes| json::parse_object(&bytes).ok()).unwrap_or_default();
        let mut stored = with_external_secrets(stored, self.external_secret())?;
        let is_marked = stored.get(fields::ROTATES) == Some(&Value::Bool(true));
        let mut stored =
            json::JsonFields::new(std::mem::take(refresh_token_location::object_mut(&mut stored)));
        let client_id = stored.text(fields::CLIENT_ID).ok().flatten();
        if self.is_own() && client_id.is_some_and(|client_id| client_id != self.client_id) {
            return Ok(StoredState::Replaced);
        }
        let mut secret = |name| stored.secret(name).ok().flatten().filter(|text| !text.is_empty());
        let (stored_token, rapt) = (secret(fields::REFRESH_TOKEN), secret(fields::RAPT_TOKEN));
        // A proof of somebody else's keeping, which may be the newest, goes first; ours was read again just now.
        let read_only_rapt = self.rapt.filter(|_| !self.is_own()).cloned();
        let mut rapts: Vec<Secret> = read_only_rapt.into_iter().chain(rapt).collect();
        rapts.dedup_by(|a, b| a.constant_time_eq(b));
        let current = match stored_token {
            Some(token) => CurrentRefreshToken {
                rotates: is_marked || !token.constant_time_eq(self.refresh_token) || !self.is_own(),
                refresh_token: token,
                rapts,
            },
            None => CurrentRefreshToken {
                refresh_token: self.refresh_token.clone(),
                rotates: false,
                rapts,
            },
        };
        Ok(StoredState::Current(current))
    }

    /// The newest refresh token, or the one that was read where the login is no longer there.
    ///
    /// # Errors
    /// When a store of ours cannot be used.
    pub fn newest_refresh_token(&self, world: &World) -> Result<Secret> {
        Ok(match self.stored_state(world)? {
            StoredState::Current(current) => current.refresh_token,
            StoredState::Gone | StoredState::Replaced => self.refresh_token.clone(),
        })
    }

    /// Remembers what came of sending a refresh token: that it is no longer good, or that it is.
    pub fn record_outcome(&self, sent: &Secret, error: Option<&Error>, world: &World) {
        rejections::record_outcome(&self.rejection_key(sent), error, world);
    }

    /// In what words the server refused the newest refresh token of this login, as far as that is known here.
    pub fn last_rejection(&self, world: &World) -> Option<String> {
        let newest = self.newest_refresh_token(world).ok()?;
        rejections::last_rejection(&self.rejection_key(&newest), world)
    }

    fn rejection_key(&self, refresh_token: &Secret) -> CacheKey {
        rejections::rejection_key(self.client_id, refresh_token)
    }

    /// Prepares the file for what will change, with room for it and all that stays in it, before the refresh token
    /// is spent.
    ///
    /// # Errors
    /// When there is no folder or no room, or the stored login cannot be read.
    pub fn pending_update(&self, world: &World) -> Result<PendingUpdate> {
        let failed = |error: io::Error| Error::unexpected(io_reason(&error));
        let path = self.path(world).ok_or_else(|| Error::unexpected("there is no home folder"))?;
        let version = FileVersion::of(&path);
        let content = match read_file(&path, world) {
            Ok(bytes) => {
                bytes.and_then(|bytes| json::parse_object(&bytes).ok()).unwrap_or_default()
            }
            Err(error) if self.is_own() => return Err(error),
            Err(_) => Map::new(),
        };
        let content = with_external_secrets(content, self.external_secret())?;
        private_file::create_subfolder(world.folders.gauth.as_deref(), "accounts")
            .map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        private_file::create_private_folder(folder).map_err(failed)?;
        remove_stale_files(folder, world);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut pending_file =
            PendingFile::create(folder, &name, WriteDurability::Durable, &*world.random)
                .map_err(failed)?;
        pending_file.reserve_space(RESERVED_BYTES).map_err(failed)?;
        let (is_own, external_secret) = (self.is_own(), self.external_secret().cloned());
        Ok(PendingUpdate { pending_file, path, is_own, external_secret, content, version })
    }

    /// Removes what was kept beside a login that is not ours.
    pub(super) fn remove_overlay(&self, world: &World) {
        if let (Origin::ReadOnly, Some(path)) = (self.origin, self.path(world)) {
            private_file::remove(&path);
        }
    }

    fn is_own(&self) -> bool {
        self.origin.file().is_some()
    }

    fn external_secret(&self) -> Option<&Rc<ExternalSecret>> {
        match self.origin {
            Origin::OwnExternalSecret(kept) => Some(kept),
            Origin::Own(_) | Origin::ReadOnly => None,
        }
    }

    fn path(&self, world: &World) -> Option<PathBuf> {
        match self.origin.file() {
            Some(path) => Some(path.to_owned()),
            None => {
                Some(accounts_folder(world)?.join("shadow").join(format!("{}.json", self.digest())))
            }
        }
    }

    /// Names the login without telling anything: of a foreign one the original refresh token decides.
    fn digest(&self) -> String {
        match self.origin.file() {
            Some(path) => sha256_hex(&[&path.to_string_lossy()]),
            None => sha256_hex(&[self.client_id, self.refresh_token.expose()]),
        }
    }
}

/// The same login with the newest refresh token there is of it: of one that is not ours to write, that may lie beside.
///
/// # Errors
/// When a store of ours cannot be used.
pub fn with_newest_refresh_token(
    mut login: Map<String, Value>,
    world: &World,
) -> Result<Map<String, Value>> {
    let state = match refresh_token_location::find(&login) {
        Some(found) => RefreshTokenHandle::beside(&found).stored_state(world)?,
        None => return Ok(login),
    };
    if let StoredState::Current(current) = state {
        let object = refresh_token_location::object_mut(&mut login);
        let newest = current.refresh_token.to_json();
        object.insert(fields::REFRESH_TOKEN.to_owned(), newest);
        if let Some(rapt) = current.rapts.last() {
            object.insert(fields::RAPT_TOKEN.to_owned(), rapt.to_json());
        }
    }
    Ok(login)
}
