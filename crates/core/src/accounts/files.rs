//! The files of the account store: one for each login, named after its account.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Result;
use crate::text::{hex, json, printable};
use crate::world::private_file::{PrivateFileError, SweepAgeLimits};
use crate::world::{World, files, private_file};

/// The maximum size of a credential file, in bytes.
pub const MAX_CREDENTIAL_FILE_BYTES: usize = 1024 * 1024;
/// Temporary files of processes that were killed are removed after an hour. Other files are never removed.
const STALE_FILE_LIMITS: SweepAgeLimits = SweepAgeLimits { temporary: Duration::from_secs(3600), other: None };
/// The maximum length of a file name that spells the account, in bytes. A longer one is a digest.
const MAX_FILE_NAME_BYTES: usize = 120;

/// The file name of an account: in lower case and percent-encoded, or a digest where that is longer than 120 bytes.
pub fn file_name(account: &str) -> String {
    const UNESCAPED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'@').remove(b'.').remove(b'-').remove(b'_').remove(b'+');
    let name = account.to_lowercase();
    let name = percent_encoding::utf8_percent_encode(&name, UNESCAPED).to_string();
    match name.len() > MAX_FILE_NAME_BYTES {
        true => format!("sha256-{}.json", sha256_hex(&[&name])),
        // A name of dots only would be a folder, and a leading dot would hide the file.
        false if name.starts_with('.') => format!("%2E{}.json", &name[1..]),
        false => format!("{name}.json"),
    }
}

/// The stored login of an account: its path and content.
///
/// # Errors
/// When the file exists and cannot be used.
pub fn load(account: &str, world: &World) -> Result<Option<(PathBuf, Zeroizing<Vec<u8>>)>> {
    let Some(path) = path(account, world) else { return Ok(None) };
    Ok(read_file(&path, world)?.map(|bytes| (path, bytes)))
}

/// The accounts with a stored login, sorted.
pub fn list(world: &World) -> Vec<String> {
    let mut names: Vec<String> = list_files(world).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// The accounts with their files, sorted by file name.
pub(crate) fn list_files(world: &World) -> Vec<(String, PathBuf)> {
    let Some(folder) = accounts_folder(world) else { return Vec::new() };
    let names = files::file_names(&folder).into_iter().filter(|name| !name.starts_with('.'));
    let account = |name: String| {
        let path = folder.join(&name);
        let plain = name.strip_suffix(".json")?;
        let plain = percent_encoding::percent_decode_str(plain).decode_utf8_lossy().into_owned();
        // The login has the account in the user's spelling, also where the file name is a digest.
        let bytes = private_file::read_private(&path, MAX_CREDENTIAL_FILE_BYTES).ok();
        let login = bytes.and_then(|bytes| json::parse_object(&bytes).ok());
        let spelled = login.as_ref().and_then(account_name).filter(|owner| file_name(owner) == name);
        Some((spelled.map_or(plain, str::to_owned), path))
    };
    names.filter_map(account).collect()
}

/// The account that a login names in its own JSON.
pub fn account_name(login: &Map<String, Value>) -> Option<&str> {
    let text = |name| login.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("account").or_else(|| text("client_email"))
}

/// The file of an account, whether it exists or not; `None` without a home folder.
pub fn path(account: &str, world: &World) -> Option<PathBuf> {
    accounts_folder(world).map(|folder| folder.join(file_name(account)))
}

/// The content of a stored login.
///
/// # Errors
/// When the file cannot be used or does not exist.
pub(crate) fn read_stored(path: &Path, world: &World) -> Result<Zeroizing<Vec<u8>>> {
    let gone = || PrivateFileError::NotFound.to_error(path, &printable::path(path));
    read_file(path, world)?.ok_or_else(gone)
}

pub(super) fn accounts_folder(world: &World) -> Option<PathBuf> {
    world.folders.gauth.as_ref().map(|folder| folder.join("accounts"))
}

/// Removes temporary files of processes that were killed.
pub(super) fn remove_stale_files(folder: &Path, world: &World) {
    private_file::remove_stale_files(folder, world.clock.unix_seconds(), &STALE_FILE_LIMITS);
}

/// The content of a file in the account store; `None` where it does not exist.
pub(super) fn read_file(path: &Path, world: &World) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match private_file::read_private(path, MAX_CREDENTIAL_FILE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(PrivateFileError::NotFound) => Ok(None),
        Err(PrivateFileError::Io(_)) if private_file::is_unreachable(path) => Ok(None),
        Err(PrivateFileError::Insecure(problem, _)) if is_owned_by_root(path) => {
            world
                .terminal
                .note(|| format!("{} {problem}, it is read because it belongs to root", printable::path(path)));
            let read = private_file::read_user_file(path, MAX_CREDENTIAL_FILE_BYTES);
            read.map(Some).map_err(|error| error.to_error(path, &printable::path(path)))
        }
        Err(error) => Err(error.to_error(path, &printable::path(path))),
    }
}

/// Whether only root can have written the file, as in a store that is mounted into a container.
#[cfg(unix)]
fn is_owned_by_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    !rustix::process::geteuid().is_root()
        && files::metadata(path).is_ok_and(|about| about.uid() == 0 && about.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_owned_by_root(_: &Path) -> bool {
    false
}

/// A digest in hexadecimal digits, for file names that must not reveal their parts.
pub(crate) fn sha256_hex(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    hex::encode(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_differ_for_different_accounts() {
        assert_eq!(file_name("Ada@Example.com"), "ada@example.com.json");
        assert_eq!(file_name("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd.json");
        assert_eq!(file_name("a/b"), "a%2Fb.json");
        assert_ne!(file_name("a%2Fb"), file_name("a/b"));
        let long = "x".repeat(300);
        assert!(file_name(&long).len() < 90 && file_name(&long).starts_with("sha256-"));
    }
}
