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
use crate::jose::jwks::MAX_PUBLIC_KEYS_SECONDS;
use crate::text::secret::Secret;
use crate::tokens::Token;
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::private_file;
use crate::world::private_file::{PrivateFileError, SweepAgeLimits, WriteDurability};

pub use crate::tokens::cache::lock::{Lock, lock, lock_prompt, mark_prompting};

/// Largest entry that is read, in bytes.
const MAX_ENTRY_BYTES: usize = 64 * 1024;
/// The first word of an entry; another one is another format, and no entry.
pub const FORMAT_VERSION: &str = "gauth1";
/// An entry written later than this many milliseconds from now was written by a wrong clock.
const MAX_CLOCK_SKEW_MILLIS: i64 = 3_600_000;
/// The longest life that is believed, in seconds.
const MAX_TOKEN_LIFETIME_SECONDS: i64 = 12 * 3600;
/// How long processes that were already waiting share a failure, in milliseconds.
const SHARED_FAILURE_MILLIS: i64 = 2000;
/// What lies about in the folder: dead writers' files for an hour, all else for as long as it can be of use.
const SWEEP_LIMITS: SweepAgeLimits = SweepAgeLimits {
    temporary: Duration::from_secs(3600),
    other: Some(Duration::from_secs(MAX_PUBLIC_KEYS_SECONDS.unsigned_abs() + 3600)),
};

/// The name of an entry: 64 hex digits that tell nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey(String);

impl CacheKey {
    /// The key with this name, if it could be one.
    pub fn from_name(name: &str) -> Option<CacheKey> {
        is_key_name(name).then(|| CacheKey(name.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Collects what decides a token.
pub struct CacheKeyHasher(Sha256);

impl CacheKeyHasher {
    /// Begins a key of this purpose.
    pub fn new(purpose: &str) -> CacheKeyHasher {
        let mut hasher = CacheKeyHasher(Sha256::new());
        hasher.add_text(purpose);
        hasher
    }

    /// Adds a value; its length goes first, so that no two lists of values give the same key.
    pub fn add_text(&mut self, value: &str) {
        self.add_number(value.len() as u64);
        self.0.update(value.as_bytes());
    }

    /// Adds a number.
    pub fn add_number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    /// Adds a secret.
    pub fn add_secret(&mut self, value: &Secret) {
        self.add_text(value.expose());
    }

    /// Adds a value that may be absent.
    pub fn add_optional(&mut self, value: Option<&str>) {
        self.add_text(if value.is_some() { "some" } else { "none" });
        self.add_text(value.unwrap_or_default());
    }

    /// The key.
    pub fn finish(self) -> CacheKey {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut name = String::with_capacity(64);
        for byte in self.0.finalize() {
            name.push(char::from(HEX[usize::from(byte >> 4)]));
            name.push(char::from(HEX[usize::from(byte & 15)]));
        }
        CacheKey(name)
    }
}

/// An entry as it is found.
#[derive(Debug)]
pub struct CacheEntry {
    /// The token, marked as cached.
    pub token: Token,
    /// When it was written, in Unix milliseconds.
    pub written_at_millis: i64,
}

#[derive(Serialize, Deserialize)]
struct CacheEntryJson<'a> {
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
struct CachedFailureJson {
    written: i64,
    kind: String,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CachedPublicKeysJson {
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

    fn path(&self, key: &CacheKey, suffix: &str) -> Option<PathBuf> {
        let folder = self.world.folders.gauth.as_ref()?;
        let mut path = folder.join("tokens");
        path.push(format!("{}{suffix}", key.0));
        Some(path)
    }

    /// The entry, if there is a usable one. Whatever is wrong with it, it is a miss.
    pub fn get(&self, key: &CacheKey) -> Option<CacheEntry> {
        let path = self.path(key, "")?;
        let bytes = match private_file::read_private(&path, MAX_ENTRY_BYTES) {
            Ok(bytes) => bytes,
            Err(PrivateFileError::NotFound) => return None,
            Err(fault) => {
                self.world
                    .terminal
                    .note(|| format!("{}; ignored", fault.to_error(&path, "a cache entry")));
                return None;
            }
        };
        let entry = decode_entry(&bytes);
        if entry.is_none() {
            self.world.terminal.note(|| "a cache entry is damaged; ignored".to_owned());
        }
        let entry = entry?;
        if entry.written_at_millis
            > self.world.clock.unix_millis().saturating_add(MAX_CLOCK_SKEW_MILLIS)
        {
            self.world.terminal.note(|| "a cache entry is from the future; ignored".to_owned());
            return None;
        }
        Some(entry)
    }

    /// Keeps a token, if its life is known. A cache that cannot be written fails nothing.
    pub fn store(&self, key: &CacheKey, token: &Token) {
        let (Some(expires_at), true) = (token.expires_at, token.cacheable) else { return };
        let now = self.world.clock.unix_millis();
        let stored = CacheEntryJson {
            written: now,
            expires_at: expires_at
                .min(now.div_euclid(1000).saturating_add(MAX_TOKEN_LIFETIME_SECONDS)),
            token: token.secret.expose().into(),
            kind: token.credential_type.clone(),
            account: token.account.clone(),
            scopes: token.scopes.clone(),
            universe_domain: token.universe_domain.clone(),
            quota_project: token.quota_project.clone(),
        };
        if let Err(error) = self.write(key, "", &encode_checked(&stored)) {
            self.world.terminal.note(|| format!("the token is not cached, {}", io_reason(&error)));
        }
    }

    /// Drops an entry, if it is there and can be dropped.
    pub fn remove(&self, key: &CacheKey) {
        if let Some(path) = self.path(key, "") {
            _ = std::fs::remove_file(path);
        }
    }

    /// Keeps a server's public keys as it sent them, for so many seconds. What cannot be written is fetched again.
    pub fn store_public_keys(&self, key: &CacheKey, text: &str, lifetime_seconds: i64) {
        let now = self.world.clock.unix_millis();
        let expires_at =
            now.div_euclid(1000).saturating_add(lifetime_seconds.min(MAX_PUBLIC_KEYS_SECONDS));
        let keys = CachedPublicKeysJson { written: now, expires_at, text: text.to_owned() };
        if let Err(error) = self.write(key, ".keys", &encode_checked(&keys)) {
            self.world.terminal.note(|| format!("the keys are not cached, {}", io_reason(&error)));
        }
    }

    /// The public keys that were kept and may still be used.
    pub fn public_keys(&self, key: &CacheKey) -> Option<String> {
        let bytes = private_file::read_private(&self.path(key, ".keys")?, MAX_ENTRY_BYTES).ok()?;
        let keys: CachedPublicKeysJson = decode_checked(&bytes)?;
        let now = self.world.clock.unix_millis();
        let is_plausible = keys.written <= now.saturating_add(MAX_CLOCK_SKEW_MILLIS);
        (is_plausible && keys.expires_at > now.div_euclid(1000)).then_some(keys.text)
    }

    fn write(&self, key: &CacheKey, suffix: &str, bytes: &[u8]) -> std::io::Result<()> {
        let folder = private_file::create_subfolder(self.world.folders.gauth.as_deref(), "tokens")?;
        private_file::remove_stale_files(&folder, self.world.clock.unix_seconds(), &SWEEP_LIMITS);
        let name = format!("{}{suffix}", key.0);
        private_file::write_atomic(
            &folder,
            &name,
            bytes,
            WriteDurability::Disposable,
            &*self.world.random,
        )
    }

    /// Leaves a note of a failure for those who are waiting for the same token.
    pub fn store_failure(&self, key: &CacheKey, error: &Error) {
        // A note that cannot be left means that each waiter finds out by itself.
        drop(self.write(key, ".fail", &encode_checked(&self.failure_record(error))));
    }

    fn failure_record(&self, error: &Error) -> CachedFailureJson {
        CachedFailureJson {
            written: self.world.clock.unix_millis(),
            kind: error.kind().name().to_owned(),
            message: crate::text::secret::redact(error.message()),
            hint: error.hint_text().map(crate::text::secret::redact),
        }
    }

    /// The failure of another process that asked after this one had started.
    pub fn recent_shared_failure(&self, key: &CacheKey) -> Option<Error> {
        let failure = self.recent_failure(key, SHARED_FAILURE_MILLIS)?;
        if failure.written <= self.world.started_at_millis {
            return None;
        }
        let error = Error::new(ErrorKind::from_name(&failure.kind)?, failure.message);
        Some(match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Leaves a mark that a server refused what this key stands for.
    pub fn store_rejection(&self, key: &CacheKey, error: &Error) {
        drop(self.write(key, ".refused", &encode_checked(&self.failure_record(error))));
    }

    /// Removes such a mark, if there is one.
    pub fn remove_rejection(&self, key: &CacheKey) {
        if let Some(path) = self.path(key, ".refused") {
            private_file::remove(&path);
        }
    }

    /// In what words a server refused what this key stands for. The mark may be lost at any time.
    pub fn last_rejection(&self, key: &CacheKey) -> Option<String> {
        let bytes =
            private_file::read_private(&self.path(key, ".refused")?, MAX_ENTRY_BYTES).ok()?;
        decode_checked(&bytes).map(|failure: CachedFailureJson| failure.message)
    }

    /// Whether a failure was noted within the last `age` milliseconds.
    pub fn failed_recently(&self, key: &CacheKey, max_age_millis: i64) -> bool {
        self.recent_failure(key, max_age_millis).is_some()
    }

    fn recent_failure(&self, key: &CacheKey, max_age_millis: i64) -> Option<CachedFailureJson> {
        let bytes = private_file::read_private(&self.path(key, ".fail")?, MAX_ENTRY_BYTES).ok()?;
        let failure: CachedFailureJson = decode_checked(&bytes)?;
        let age_millis = self.world.clock.unix_millis().saturating_sub(failure.written);
        (0..=max_age_millis).contains(&age_millis).then_some(failure)
    }

    /// Takes the lock of this key, waiting for at most the deadline. `None`: this system or folder has no
    /// locks, and work goes on without.
    ///
    /// # Errors
    /// `NoAnswer` when the time is up.
    pub fn lock(&self, key: &CacheKey, deadline: Deadline) -> Result<Option<Lock>> {
        lock(self.world, Cache::lock_name(key), deadline)
    }

    /// The name of the lock file of this key.
    pub fn lock_name(key: &CacheKey) -> &str {
        &key.0[..2]
    }

    /// Drops the tokens of an account.
    pub fn remove_account(&self, account: &str) {
        let belongs_to_account = |entry: &CacheEntry| {
            let owner = entry.token.account.as_deref();
            owner.is_some_and(|owner| owner.eq_ignore_ascii_case(account))
        };
        for (name, _) in self.list().into_iter().filter(|(_, entry)| belongs_to_account(entry)) {
            self.remove(&CacheKey(name));
        }
    }

    /// All entries, with the names of their files.
    pub fn list(&self) -> Vec<(String, CacheEntry)> {
        let Some(folder) = self.world.folders.gauth.as_ref().map(|folder| folder.join("tokens"))
        else {
            return Vec::new();
        };
        let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
        let names = files.flatten().filter_map(|file| file.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_key_name(name)).collect();
        names.sort();
        let entries = names.into_iter().filter_map(|name| {
            let entry = self.get(&CacheKey(name.clone()))?;
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
                Ok(()) if is_key_name(&file.file_name().to_string_lossy()) => count += 1,
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(crate::error::io("removed", &path, &error)),
            }
        }
        Ok(count)
    }
}

fn is_key_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Version and checksum first, so that a torn or zeroed page is no entry.
fn encode_checked(content: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let body = Zeroizing::new(serde_json::to_vec(content).unwrap_or_default());
    let mut bytes =
        Zeroizing::new(format!("{FORMAT_VERSION} {:016x}\n", fnv1a_checksum(&body)).into_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn decode_checked<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (head, body) = bytes.split_at_checked(FORMAT_VERSION.len() + 18)?;
    let head = std::str::from_utf8(head).ok()?;
    let checksum_hex = head.strip_prefix(FORMAT_VERSION)?.strip_prefix(' ')?.strip_suffix('\n')?;
    let expected_checksum = u64::from_str_radix(checksum_hex, 16).ok()?;
    match expected_checksum == fnv1a_checksum(body) {
        true => serde_json::from_slice(body).ok(),
        false => None,
    }
}

/// Reads an entry; whatever is not one is `None`.
pub fn decode_entry(bytes: &[u8]) -> Option<CacheEntry> {
    let stored: CacheEntryJson<'_> = decode_checked(bytes)?;
    if !crate::text::bearer_token::is_well_formed(&stored.token) {
        return None;
    }
    let mut token = Token::new(Secret::new(stored.token), &stored.kind, Some(stored.expires_at));
    token.account = stored.account;
    token.scopes = stored.scopes;
    token.universe_domain = stored.universe_domain;
    token.quota_project = stored.quota_project;
    token.from_cache = true;
    Some(CacheEntry { token, written_at_millis: stored.written })
}

/// FNV-1a: enough against torn writes; who can write here needs no forgery.
pub fn fnv1a_checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Zeroizing<Vec<u8>> {
        encode_checked(&CacheEntryJson {
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
        let read = decode_entry(&entry()).expect("entry");
        assert_eq!(read.token.secret.expose(), "ya29.x");
        assert_eq!(
            (read.written_at_millis, read.token.expires_at, read.token.from_cache),
            (1, Some(2), true)
        );
    }

    #[test]
    fn every_single_bit_flip_and_every_cut_is_a_miss() {
        let good = entry();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The checksum is hex: a flip between cases spells the same number.
            let same = bad.to_ascii_lowercase() == good.to_ascii_lowercase();
            assert!(same || decode_entry(&bad).is_none(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(decode_entry(&good[..length]).is_none(), "{length} bytes");
        }
        assert!(decode_entry(&vec![0; good.len()]).is_none());
    }

    #[test]
    fn keys_do_not_run_into_each_other() {
        let key = |fields: &[&str]| {
            let mut hasher = CacheKeyHasher::new("test");
            fields.iter().for_each(|field| hasher.add_text(field));
            hasher.finish()
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
        assert_eq!(key(&["a"]).as_str().len(), 64);
    }
}
