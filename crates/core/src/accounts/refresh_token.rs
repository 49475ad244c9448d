//! The parts of a login that a server changes: the refresh token, and the reauthentication proof token (RAPT). gauth reads
//! the newest ones, and stores the next ones before it prints an access token. For a login that it does not write, such
//! as gcloud's or an ADC file, it stores them in an overlay file in `accounts/shadow/`.

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
use crate::world::clock::Deadline;
use crate::world::private_file::{PendingFile, WriteDurability};
use crate::world::{World, files, private_file};

/// The disk space that is reserved for a login before its refresh token is sent, in bytes.
pub(super) const RESERVED_BYTES: usize = 64 * 1024;

/// A login with a refresh token that the server may rotate.
#[derive(Debug)]
pub struct RefreshTokenHandle<'a> {
    /// Where the login is stored.
    pub origin: &'a Origin,
    /// The OAuth client that the refresh token was issued to.
    pub client_id: &'a str,
    /// The refresh token in the login.
    pub refresh_token: &'a Secret,
    /// The reauthentication proof token in the login.
    pub rapt: Option<&'a Secret>,
}

/// The current state of a stored login.
pub enum StoredState {
    /// The login is stored.
    Current(CurrentRefreshToken),
    /// The login has been removed since it was read.
    Gone,
    /// Another login with another OAuth client has replaced it since it was read.
    Replaced,
}

/// The refresh token to send, and the reauthentication proof tokens.
pub struct CurrentRefreshToken {
    /// The newest refresh token of the login.
    pub refresh_token: Secret,
    /// Whether the refresh token has been rotated before, so that the server is expected to rotate it again.
    pub rotates: bool,
    /// The reauthentication proof tokens, in the order in which to send them.
    pub rapts: Vec<Secret>,
}

/// A temporary file for a change, which is created before the change is known.
pub struct PendingUpdate {
    pending_file: PendingFile,
    path: PathBuf,
    is_own: bool,
    external_secret: Option<Rc<ExternalSecret>>,
    content: Map<String, Value>,
    /// The version of the file that `content` was read from.
    version: FileVersion,
}

/// Identifies the state of a file; `None` where it does not exist.
#[derive(PartialEq, Eq)]
struct FileVersion(Option<(u64, u64, Option<SystemTime>)>);

impl FileVersion {
    fn of(path: &Path) -> FileVersion {
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino;
        #[cfg(not(unix))]
        let number = |_: &std::fs::Metadata| 0;
        let about = files::symlink_metadata(path).ok();
        FileVersion(about.map(|about| (number(&about), about.len(), about.modified().ok())))
    }
}

impl PendingUpdate {
    /// Stores the refresh token that replaces `sent`, durably. A login that has been replaced or removed meanwhile is not
    /// changed.
    ///
    /// # Errors
    /// When it cannot be stored: the next call may need a new login.
    pub(crate) fn store_refresh_token(self, sent: &Secret, next: &Secret, world: &World) -> io::Result<()> {
        self.commit(sent, world, |content| {
            content.insert(fields::ROTATES.to_owned(), Value::Bool(true));
            refresh_token_location::object_mut(content).insert(fields::REFRESH_TOKEN.to_owned(), next.to_json());
        })
    }

    /// Stores the reauthentication proof token for the refresh token `sent`, durably.
    ///
    /// # Errors
    /// When it cannot be stored: the next call asks the user again.
    pub(crate) fn store_rapt(self, sent: &Secret, rapt: &Secret, world: &World) -> io::Result<()> {
        self.commit(sent, world, |content| {
            content.insert(fields::RAPT_TOKEN.to_owned(), rapt.to_json());
        })
    }

    fn commit(self, sent: &Secret, world: &World, change: impl FnOnce(&mut Map<String, Value>)) -> io::Result<()> {
        // Some file systems have no locks, and users move files, so the current file decides. It is read again only where it
        // has changed: a process that is killed between the response and the rename loses the login.
        let mut content = self.content;
        let version = FileVersion::of(&self.path);
        if self.is_own && version.0.is_none() {
            return Ok(());
        }
        if version != self.version {
            let now = read_file(&self.path, world).ok().flatten();
            let now = now.and_then(|bytes| json::parse_object(&bytes).ok());
            let now = now.and_then(|now| with_external_secrets(now, self.external_secret.as_ref()).ok());
            content = now.unwrap_or(content);
        }
        if self.is_own && content.is_empty() {
            // An incomplete login would replace one that the user may be able to restore.
            return Err(io::Error::other("its file is damaged"));
        }
        let is_another = |token: &str| !Secret::new(token).constant_time_eq(sent);
        let stored_token = refresh_token_location::object(&content).get(fields::REFRESH_TOKEN).and_then(Value::as_str);
        if self.is_own && stored_token.is_some_and(is_another) {
            return Ok(());
        }
        change(&mut content);
        if let Some(external_secret) = &self.external_secret {
            content = external_secret.put(&content).unwrap_or_else(|error| {
                // The server sends a refresh token once, so it is stored even without the other store.
                world.terminal.warn(&format!(
                    "{error}: the login is now in {} including its secrets; gauth login --store {} moves it back",
                    printable::path(&self.path),
                    external_secret.store().name()
                ));
                content
            });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(RESERVED_BYTES));
        serde_json::to_writer_pretty(&mut *bytes, &content)?;
        bytes.push(b'\n');
        let published = self.pending_file.commit(&self.path, &bytes);
        published.or_else(|_| {
            // Another process may have removed the temporary file as a stale one, after the clock was set or the machine
            // was suspended.
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            private_file::write_atomic(folder, &name, &bytes, WriteDurability::Durable, &*world.random)
        })
    }
}

/// A stored login including its secrets, where they are in another store.
fn with_external_secrets(
    file: Map<String, Value>,
    external_secret: Option<&Rc<ExternalSecret>>,
) -> Result<Map<String, Value>> {
    match external_secret {
        // The file may have its secrets again, after the other store failed.
        Some(external_secret) if file.contains_key(fields::STORE) => external_secret.load(&file),
        _ => Ok(file),
    }
}

impl<'a> RefreshTokenHandle<'a> {
    /// The handle of a login whose changes are stored in an overlay file.
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
    /// Acquires the lock of this login, which all processes use that send its refresh token.
    ///
    /// # Errors
    /// `NoAnswer` when the deadline passes.
    pub fn lock(&self, world: &World, deadline: Deadline) -> Result<Option<Lock>> {
        cache::lock(world, &self.lock_name(), deadline)
    }

    /// Acquires the lock for a prompt about this login, so that only one process asks the user. The lock of the login must be
    /// released before, so that another process can store a new login meanwhile.
    ///
    /// # Errors
    /// `NoAnswer` when another process has the lock for ten minutes.
    pub(crate) fn lock_prompt(&self, world: &World) -> Result<Option<Lock>> {
        cache::lock_prompt(world, &self.lock_name())
    }

    fn lock_name(&self) -> String {
        format!("login-{}", &self.digest()[..2])
    }

    /// Reads the stored login again, because another process may have stored a newer refresh token or login.
    ///
    /// # Errors
    /// When the account store or the store of the secrets cannot be used.
    pub(crate) fn stored_state(&self, world: &World) -> Result<StoredState> {
        let bytes = match self.path(world) {
            Some(path) => read_file(&path, world)?,
            None => None,
        };
        if bytes.is_none() && self.is_own() {
            return Ok(StoredState::Gone);
        }
        // A damaged overlay file is ignored; a file of the account store was valid when it was read.
        let stored = bytes.and_then(|bytes| json::parse_object(&bytes).ok()).unwrap_or_default();
        let mut stored = with_external_secrets(stored, self.external_secret())?;
        let is_marked = stored.get(fields::ROTATES) == Some(&Value::Bool(true));
        let mut stored = json::JsonFields::new(std::mem::take(refresh_token_location::object_mut(&mut stored)));
        let client_id = stored.text(fields::CLIENT_ID).ok().flatten();
        if self.is_own() && client_id.is_some_and(|client_id| client_id != self.client_id) {
            return Ok(StoredState::Replaced);
        }
        let mut secret = |name| stored.secret(name).ok().flatten();
        let (stored_token, rapt) = (secret(fields::REFRESH_TOKEN), secret(fields::RAPT_TOKEN));
        // The RAPT of a read-only login goes first, because it may be newer than that in the overlay file.
        let read_only_rapt = self.rapt.filter(|_| !self.is_own()).cloned();
        let mut rapts: Vec<Secret> = read_only_rapt.into_iter().chain(rapt).collect();
        rapts.dedup_by(|a, b| a.constant_time_eq(b));
        let current = match stored_token {
            Some(token) => CurrentRefreshToken {
                rotates: is_marked || !token.constant_time_eq(self.refresh_token) || !self.is_own(),
                refresh_token: token,
                rapts,
            },
            None => CurrentRefreshToken { refresh_token: self.refresh_token.clone(), rotates: false, rapts },
        };
        Ok(StoredState::Current(current))
    }

    /// The newest refresh token, or the one that was read before where the login is no longer stored.
    ///
    /// # Errors
    /// When the account store or the store of the secrets cannot be used.
    pub(crate) fn newest_refresh_token(&self, world: &World) -> Result<Secret> {
        Ok(match self.stored_state(world)? {
            StoredState::Current(current) => current.refresh_token,
            StoredState::Gone | StoredState::Replaced => self.refresh_token.clone(),
        })
    }

    /// Records whether the server accepted or rejected a refresh token.
    pub(crate) fn record_outcome(&self, sent: &Secret, error: Option<&Error>, world: &World) {
        rejections::record_outcome(&self.rejection_key(sent), error, world);
    }

    /// The error with which the server rejected the newest refresh token, where that is recorded.
    pub fn last_rejection(&self, world: &World) -> Option<String> {
        let newest = self.newest_refresh_token(world).ok()?;
        rejections::last_rejection(&self.rejection_key(&newest), world)
    }

    fn rejection_key(&self, refresh_token: &Secret) -> CacheKey {
        rejections::rejection_key(self.client_id, refresh_token)
    }

    /// Creates a temporary file with reserved disk space for the next state of the login, before the refresh token is sent.
    ///
    /// # Errors
    /// When there is no folder or no disk space, or the stored login cannot be read.
    pub(crate) fn pending_update(&self, world: &World) -> Result<PendingUpdate> {
        let failed = |error: io::Error| Error::unexpected(io_reason(&error));
        let path = self.path(world).ok_or_else(|| Error::unexpected("there is no home folder"))?;
        let version = FileVersion::of(&path);
        let content = match read_file(&path, world) {
            Ok(bytes) => bytes.and_then(|bytes| json::parse_object(&bytes).ok()).unwrap_or_default(),
            Err(error) if self.is_own() => return Err(error),
            Err(_) => Map::new(),
        };
        let content = with_external_secrets(content, self.external_secret())?;
        private_file::create_subfolder(world.folders.gauth.as_deref(), "accounts").map_err(failed)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        private_file::create_private_folder(folder).map_err(failed)?;
        remove_stale_files(folder, world);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut pending_file =
            PendingFile::create(folder, &name, WriteDurability::Durable, &*world.random).map_err(failed)?;
        pending_file.reserve_space(RESERVED_BYTES).map_err(failed)?;
        let (is_own, external_secret) = (self.is_own(), self.external_secret().cloned());
        Ok(PendingUpdate { pending_file, path, is_own, external_secret, content, version })
    }

    /// Removes the overlay file of a read-only login.
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
            Origin::OwnExternalSecret(secret) => Some(secret),
            Origin::Own(_) | Origin::ReadOnly => None,
        }
    }

    fn path(&self, world: &World) -> Option<PathBuf> {
        match self.origin.file() {
            Some(path) => Some(path.to_owned()),
            None => Some(accounts_folder(world)?.join("shadow").join(format!("{}.json", self.digest()))),
        }
    }

    /// Identifies the login without revealing it: by its file, or for a read-only login by its original refresh token.
    fn digest(&self) -> String {
        match self.origin.file() {
            Some(path) => sha256_hex(&[&path.to_string_lossy()]),
            None => sha256_hex(&[self.client_id, self.refresh_token.expose()]),
        }
    }
}

/// The login with the newest refresh token and RAPT from its overlay file.
///
/// # Errors
/// When the overlay file cannot be used.
pub fn with_newest_refresh_token(mut login: Map<String, Value>, world: &World) -> Result<Map<String, Value>> {
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
