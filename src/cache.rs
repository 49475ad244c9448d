//! Tokens we may lose: one private file each, found by the digest of everything that decides the token.
//!
//! A reader takes no lock. A writer holds one of 256 lock files while it asks the server, so that many
//! processes make one request. A failure is noted for two seconds, so that they share that too.

mod lock;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::private_file::{self, Durability, Fault, Limits};
use crate::secret::Secret;
use crate::token::Token;
use crate::world::World;
use crate::world::clock::Deadline;

pub use lock::{Lock, lock, sign, turn};

/// Largest entry that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// The first word of an entry; another one is another format, and no entry.
pub(crate) const VERSION: &str = "gauth1";
/// An entry written later than this many milliseconds from now was written by a wrong clock.
const FUTURE: i64 = 3_600_000;
/// The longest life that is believed, in seconds.
const LONGEST: i64 = 12 * 3600;
/// How long processes that were already waiting share a failure, in milliseconds.
const SHARED_FAILURE: i64 = 2000;
/// The longest that a server's public keys are kept, in seconds.
pub const LONGEST_KEYS: i64 = 24 * 3600;
/// What lies about in the folder: dead writers' files for an hour, all else for as long as it can be of use.
const SWEEP: Limits = Limits {
    temporary: Duration::from_secs(3600),
    other: Some(Duration::from_secs(LONGEST_KEYS.unsigned_abs() + 3600)),
};

/// The name of an entry: 64 hex digits that tell nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key with this name, if it could be one.
    pub fn named(name: &str) -> Option<Key> {
        is_key(name).then(|| Key(name.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Collects what decides a token.
pub struct KeyDigest(Sha256);

impl KeyDigest {
    /// Begins a key of this purpose.
    pub fn new(purpose: &str) -> KeyDigest {
        let mut digest = KeyDigest(Sha256::new());
        digest.field(purpose);
        digest
    }

    /// Adds a value; its length goes first, so that no two lists of values give the same key.
    pub fn field(&mut self, value: &str) {
        self.number(value.len() as u64);
        self.0.update(value.as_bytes());
    }

    /// Adds a number.
    pub fn number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    /// Adds a secret.
    pub fn secret(&mut self, value: &Secret) {
        self.field(value.expose());
    }

    /// Adds a value that may be absent.
    pub fn optional(&mut self, value: Option<&str>) {
        self.field(if value.is_some() { "some" } else { "none" });
        self.field(value.unwrap_or_default());
    }

    /// The key.
    pub fn finish(self) -> Key {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut name = String::with_capacity(64);
        for byte in self.0.finalize() {
            name.push(char::from(HEX[usize::from(byte >> 4)]));
            name.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Key(name)
    }
}

/// An entry as it is found.
#[derive(Debug)]
pub struct Entry {
    /// The token, marked as cached.
    pub token: Token,
    /// When it was written, in Unix milliseconds.
    pub written: i64,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    written: i64,
    expires_at: i64,
    #[serde(borrow)]
    token: std::borrow::Cow<'a, str>,
    kind: String,
    account: Option<String>,
    scopes: Option<Vec<String>>,
    universe_domain: Option<String>,
    quota_project: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Failure {
    written: i64,
    kind: String,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Keys {
    written: i64,
    expires_at: i64,
    text: String,
}

/// The cache of this user.
pub struct Cache<'w> {
    world: &'w World,
}

impl<'w> Cache<'w> {
    /// The cache in gauth's folder.
    pub fn new(world: &'w World) -> Cache<'w> {
        Cache { world }
    }

    fn path(&self, key: &Key, ending: &str) -> Option<PathBuf> {
        let folder = self.world.folders.gauth.as_ref()?;
        let mut path = folder.join("tokens");
        path.push(format!("{}{ending}", key.0));
        Some(path)
    }

    /// The entry, if there is a usable one. Whatever is wrong with it, it is a miss.
    pub fn look(&self, key: &Key) -> Option<Entry> {
        let path = self.path(key, "")?;
        let bytes = match private_file::read_own(&path, LARGEST) {
            Ok(bytes) => bytes,
            Err(Fault::Missing) => return None,
            Err(fault) => {
                self.world
                    .terminal
                    .note(|| format!("{}; ignored", fault.at(&path, "a cache entry")));
                return None;
            }
        };
        let entry = decode(&bytes);
        if entry.is_none() {
            self.world.terminal.note(|| "a cache entry is damaged; ignored".to_owned());
        }
        let entry = entry?;
        if entry.written > self.world.clock.unix_millis().saturating_add(FUTURE) {
            self.world.terminal.note(|| "a cache entry is from the future; ignored".to_owned());
            return None;
        }
        Some(entry)
    }

    /// Keeps a token, if its life is known. A cache that cannot be written fails nothing.
    pub fn keep(&self, key: &Key, token: &Token) {
        let (Some(expires_at), true) = (token.expires_at, token.cacheable) else { return };
        let now = self.world.clock.unix_millis();
        let stored = Stored {
            written: now,
            expires_at: expires_at.min(now.div_euclid(1000).saturating_add(LONGEST)),
            token: token.secret.expose().into(),
            kind: token.kind.clone(),
            account: token.account.clone(),
            scopes: token.scopes.clone(),
            universe_domain: token.universe_domain.clone(),
            quota_project: token.quota_project.clone(),
        };
        if let Err(error) = self.write(key, "", &encode(&stored)) {
            self.world.terminal.note(|| format!("the token is not cached, {}", io_reason(&error)));
        }
    }

    /// Drops an entry, if it is there and can be dropped.
    pub fn forget(&self, key: &Key) {
        if let Some(path) = self.path(key, "") {
            _ = std::fs::remove_file(path);
        }
    }

    /// Keeps a server's public keys as it sent them, for so many seconds. What cannot be written is fetched again.
    pub fn keep_keys(&self, key: &Key, text: &str, life: i64) {
        let now = self.world.clock.unix_millis();
        let expires_at = now.div_euclid(1000).saturating_add(life.min(LONGEST_KEYS));
        let keys = Keys { written: now, expires_at, text: text.to_owned() };
        if let Err(error) = self.write(key, ".keys", &encode(&keys)) {
            self.world.terminal.note(|| format!("the keys are not cached, {}", io_reason(&error)));
        }
    }

    /// The public keys that were kept and may still be used.
    pub fn keys(&self, key: &Key) -> Option<String> {
        let bytes = private_file::read_own(&self.path(key, ".keys")?, LARGEST).ok()?;
        let keys: Keys = unpack(&bytes)?;
        let now = self.world.clock.unix_millis();
        let written = keys.written <= now.saturating_add(FUTURE);
        (written && keys.expires_at > now.div_euclid(1000)).then_some(keys.text)
    }

    fn write(&self, key: &Key, ending: &str, bytes: &[u8]) -> std::io::Result<()> {
        let folder = private_file::subfolder(self.world.folders.gauth.as_deref(), "tokens")?;
        private_file::sweep(&folder, self.world.clock.unix(), &SWEEP);
        let name = format!("{}{ending}", key.0);
        private_file::write(&folder, &name, bytes, Durability::Disposable, &*self.world.random)
    }

    /// Leaves a note of a failure for those who are waiting for the same token.
    pub fn note_failure(&self, key: &Key, error: &Error) {
        // A note that cannot be left means that each waiter finds out by itself.
        drop(self.write(key, ".fail", &encode(&self.failure_of(error))));
    }

    fn failure_of(&self, error: &Error) -> Failure {
        Failure {
            written: self.world.clock.unix_millis(),
            kind: error.kind().name().to_owned(),
            message: crate::secret::redact(error.message()),
            hint: error.hint_text().map(crate::secret::redact),
        }
    }

    /// The failure of another process that asked after this one had started.
    pub fn shared_failure(&self, key: &Key) -> Option<Error> {
        let failure = self.failure(key, SHARED_FAILURE)?;
        if failure.written <= self.world.started {
            return None;
        }
        let error = Error::new(ErrorKind::named(&failure.kind)?, failure.message);
        Some(match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Leaves a mark that a server refused what this key stands for.
    pub fn note_refusal(&self, key: &Key, error: &Error) {
        drop(self.write(key, ".refused", &encode(&self.failure_of(error))));
    }

    /// Removes such a mark, if there is one.
    pub fn forget_refusal(&self, key: &Key) {
        if let Some(path) = self.path(key, ".refused") {
            private_file::remove(&path);
        }
    }

    /// In what words a server refused what this key stands for. The mark may be lost at any time.
    pub fn refusal(&self, key: &Key) -> Option<String> {
        let bytes = private_file::read_own(&self.path(key, ".refused")?, LARGEST).ok()?;
        unpack(&bytes).map(|failure: Failure| failure.message)
    }

    /// Whether a failure was noted within the last `age` milliseconds.
    pub fn failed_lately(&self, key: &Key, age: i64) -> bool {
        self.failure(key, age).is_some()
    }

    fn failure(&self, key: &Key, oldest: i64) -> Option<Failure> {
        let bytes = private_file::read_own(&self.path(key, ".fail")?, LARGEST).ok()?;
        let failure: Failure = unpack(&bytes)?;
        let age = self.world.clock.unix_millis().saturating_sub(failure.written);
        (0..=oldest).contains(&age).then_some(failure)
    }

    /// Takes the lock of this key, waiting for at most the deadline. `None`: this system or folder has no
    /// locks, and work goes on without.
    ///
    /// # Errors
    /// `NoAnswer` when the time is up.
    pub fn lock(&self, key: &Key, deadline: Deadline) -> Result<Option<Lock>> {
        lock(self.world, Cache::lock_name(key), deadline)
    }

    /// The name of the lock file of this key.
    pub fn lock_name(key: &Key) -> &str {
        &key.0[..2]
    }

    /// Drops the tokens of an account.
    pub fn forget_account(&self, account: &str) {
        let is_its = |entry: &Entry| {
            let owner = entry.token.account.as_deref();
            owner.is_some_and(|owner| owner.eq_ignore_ascii_case(account))
        };
        for (name, _) in self.list().into_iter().filter(|(_, entry)| is_its(entry)) {
            self.forget(&Key(name));
        }
    }

    /// All entries, with the names of their files.
    pub fn list(&self) -> Vec<(String, Entry)> {
        let Some(folder) = self.world.folders.gauth.as_ref().map(|folder| folder.join("tokens"))
        else {
            return Vec::new();
        };
        let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
        let names = files.flatten().filter_map(|file| file.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_key(name)).collect();
        names.sort();
        let entries = names.into_iter().filter_map(|name| {
            let entry = self.look(&Key(name.clone()))?;
            Some((name, entry))
        });
        entries.collect()
    }

    /// Removes every entry and note; says how many entries there were.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn clear(&self) -> Result<usize> {
        let Some(folder) = self.world.folders.gauth.as_ref().map(|folder| folder.join("tokens"))
        else {
            return Ok(0);
        };
        let Ok(files) = std::fs::read_dir(&folder) else { return Ok(0) };
        let mut count = 0;
        for file in files.flatten() {
            let path = file.path();
            match std::fs::remove_file(&path) {
                Ok(()) if is_key(&file.file_name().to_string_lossy()) => count += 1,
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(crate::error::io("removed", &path, &error)),
            }
        }
        Ok(count)
    }
}

fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Version and checksum first, so that a torn or zeroed page is no entry.
fn encode(content: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(serde_json::to_vec(content).unwrap_or_default());
    let mut bytes = Zeroizing::new(format!("{VERSION} {:016x}\n", checksum(&body)).into_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn unpack<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (head, body) = bytes.split_at_checked(VERSION.len() + 18)?;
    let head = std::str::from_utf8(head).ok()?;
    let sum = head.strip_prefix(VERSION)?.strip_prefix(' ')?.strip_suffix('\n')?;
    let sum = u64::from_str_radix(sum, 16).ok()?;
    match sum == checksum(body) {
        true => serde_json::from_slice(body).ok(),
        false => None,
    }
}

/// Reads an entry; whatever is not one is `None`.
pub fn decode(bytes: &[u8]) -> Option<Entry> {
    let stored: Stored<'_> = unpack(bytes)?;
    if !crate::token::well_formed(&stored.token) {
        return None;
    }
    let mut token = Token::new(Secret::new(stored.token), &stored.kind, Some(stored.expires_at));
    token.account = stored.account;
    token.scopes = stored.scopes;
    token.universe_domain = stored.universe_domain;
    token.quota_project = stored.quota_project;
    token.cached = true;
    Some(Entry { token, written: stored.written })
}

/// FNV-1a: enough against torn writes; who can write here needs no forgery.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Zeroizing<Vec<u8>> {
        encode(&Stored {
            written: 1,
            expires_at: 2,
            token: "ya29.x".into(),
            kind: "service_account".into(),
            account: None,
            scopes: None,
            universe_domain: None,
            quota_project: None,
        })
    }

    #[test]
    fn an_entry_survives_the_way_to_disk_and_back() {
        let read = decode(&entry()).expect("entry");
        assert_eq!(read.token.secret.expose(), "ya29.x");
        assert_eq!((read.written, read.token.expires_at, read.token.cached), (1, Some(2), true));
    }

    #[test]
    fn every_single_bit_flip_and_every_cut_is_a_miss() {
        let good = entry();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The checksum is hex: a flip between cases spells the same number.
            let same = bad.to_ascii_lowercase() == good.to_ascii_lowercase();
            assert!(same || decode(&bad).is_none(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_none(), "{length} bytes");
        }
        assert!(decode(&vec![0; good.len()]).is_none());
    }

    #[test]
    fn keys_do_not_run_into_each_other() {
        let key = |fields: &[&str]| {
            let mut digest = KeyDigest::new("test");
            fields.iter().for_each(|field| digest.field(field));
            digest.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
        assert_eq!(key(&["a"]).as_str().len(), 64);
    }
}
