//! A private file with one access token, for a program that reads it again and again. It is replaced atomically before
//! the token expires, and removed at the end.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::text::secret::Secret;
use crate::text::{bearer_token, printable, secret};
use crate::world::private_file::{PrivateFileError, SweepAgeLimits, WriteDurability};
use crate::world::{World, files, private_file, random};

/// The folder inside gauth's own for `--token-file auto`.
const AUTO_FOLDER_NAME: &str = "exec";

/// Files of killed processes are removed after this time: their tokens are expired.
const ABANDONED_FILE_AGE: Duration = Duration::from_secs(2 * 24 * 3600);

/// A file with an access token. It is removed when this is dropped.
pub struct TokenFile {
    folder: PathBuf,
    name: OsString,
    has_been_written: Cell<bool>,
}

impl TokenFile {
    /// A file at the path the user named, where an older token may be, and nothing else.
    ///
    /// # Errors
    /// `Usage` for a path that is not a file's; `Unsafe` where other users could replace it, or where the file has other
    /// content.
    pub fn at_path(path: &Path) -> Result<TokenFile> {
        // Absolute: the program may change its folder before it reads the file.
        let absolute = std::path::absolute(path).ok();
        let parts = absolute.as_deref().and_then(|path| Some((path.parent()?, path.file_name()?)));
        let (folder, name) = parts.ok_or_else(|| {
            Error::usage(format!("--token-file {} does not name a file", printable::path(path)))
                .hint("--token-file auto")
        })?;
        check_folder_is_safe(folder)?;
        let file = TokenFile { folder: folder.to_owned(), name: name.to_owned(), has_been_written: Cell::new(false) };
        check_existing_file(&file.path())?;
        Ok(file)
    }

    /// A new file in gauth's own folder.
    ///
    /// # Errors
    /// When there is no such folder, or it cannot be written.
    pub fn in_gauth_folder(world: &World) -> Result<TokenFile> {
        let folder =
            private_file::create_subfolder(world.folders.gauth.as_deref(), AUTO_FOLDER_NAME).map_err(|error| {
                let reason = io_reason(&error);
                Error::unexpected(format!("--token-file: gauth's folder cannot be used, {reason}"))
                    .hint("--token-file PATH, in a folder of yours")
            })?;
        let limits = SweepAgeLimits { temporary: ABANDONED_FILE_AGE, other: Some(ABANDONED_FILE_AGE) };
        private_file::remove_stale_files(&folder, world.clock.unix_seconds(), &limits);
        let name = OsString::from(random::hex_name(&*world.random)?);
        Ok(TokenFile { folder, name, has_been_written: Cell::new(false) })
    }

    /// The absolute path of the file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Replaces the token atomically: readers see the old one or the new one.
    ///
    /// # Errors
    /// When it cannot be written; the file then still has the old one.
    pub fn replace(&self, token: &Secret, world: &World) -> Result<()> {
        let random = &*world.random;
        let name = self.name.to_string_lossy();
        let pending_file = private_file::PendingFile::create(&self.folder, &name, WriteDurability::Disposable, random);
        // No line end: not every program removes it.
        let published = pending_file.and_then(|draft| draft.commit(&self.path(), token.expose().as_bytes()));
        published.map_err(|error| {
            let (shown, reason) = (printable::path(&self.path()), io_reason(&error));
            Error::unexpected(format!("--token-file {shown}: cannot be written, {reason}"))
                .hint(format!("ls -ld {}", printable::path(&self.folder)))
        })?;
        self.has_been_written.set(true);
        Ok(())
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        if self.has_been_written.get() {
            private_file::remove(&self.path());
        }
    }
}

/// A user who may write to the folder could replace the file.
fn check_folder_is_safe(folder: &Path) -> Result<()> {
    let shown = printable::path(folder);
    let metadata = files::metadata(folder).map_err(|error| {
        Error::usage(format!("--token-file: the folder {shown} cannot be used, {}", io_reason(&error)))
            .hint(format!("mkdir -m 700 {shown}, or --token-file auto"))
    })?;
    if !metadata.is_dir() {
        return Err(Error::usage(format!("--token-file: {shown} is not a folder")).hint("--token-file auto"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let own_uid = rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o002 != 0 {
            return Err(Error::not_safe(format!("--token-file: every user may write to the folder {shown}"))
                .hint("--token-file auto, or a path in a folder of yours"));
        }
        if metadata.uid() != own_uid && metadata.uid() != 0 {
            return Err(Error::not_safe(format!("--token-file: the folder {shown} belongs to another user"))
                .hint("--token-file auto, or a path in a folder of yours"));
        }
    }
    Ok(())
}

/// A file that exists is replaced and removed: it must hold an earlier token, or be empty as `mktemp` creates it.
fn check_existing_file(path: &Path) -> Result<()> {
    let shown = printable::path(path);
    let hint = "--token-file auto, or the path of a file that is not there yet";
    let refused = |what: &str| Err(Error::not_safe(format!("--token-file {shown}: {what}")).hint(hint));
    if files::is_symlink(path) {
        return refused("is a link");
    }
    match private_file::read_private(path, bearer_token::MAX_TOKEN_CHARS + 1) {
        Err(PrivateFileError::NotFound) => Ok(()),
        Err(PrivateFileError::Insecure(what, _)) => refused(what),
        Err(PrivateFileError::NotRegularFile) => refused("is not a regular file"),
        Err(PrivateFileError::Io(error)) => refused(&format!("cannot be read, {}", io_reason(&error))),
        Err(PrivateFileError::TooLarge(_) | PrivateFileError::TimedOut) => {
            refused("holds something other than a token")
        }
        Ok(bytes) => match std::str::from_utf8(&bytes).map(str::trim_end) {
            Ok("") => Ok(()),
            Ok(text) if bearer_token::is_well_formed(text) && secret::looks_like_secret(text) => Ok(()),
            _ => refused("holds something other than a token"),
        },
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::os::unix::fs::PermissionsExt;

    fn folder(mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).expect("mode");
        folder
    }

    #[track_caller]
    fn refused(path: &Path, kind: ErrorKind, word: &str) {
        let Err(error) = TokenFile::at_path(path) else { panic!("{word}: accepted") };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(word) && error.hint_text().is_some(), "{error}");
    }

    #[test]
    fn a_folder_that_others_write_to_is_refused() {
        for (mode, good) in [(0o700, true), (0o755, true), (0o775, true), (0o777, false)] {
            let folder = folder(mode);
            let path = folder.path().join("token");
            match good {
                true => assert_eq!(TokenFile::at_path(&path).expect("good").path(), path),
                false => refused(&path, ErrorKind::Unsafe, "every user may write"),
            }
        }
        refused(Path::new("/no/such/folder/token"), ErrorKind::Usage, "no such file");
        refused(Path::new("/dev/null/token"), ErrorKind::Usage, "is not a folder");
        refused(Path::new("/"), ErrorKind::Usage, "does not name a file");
    }

    #[test]
    fn what_is_no_token_of_ours_is_neither_replaced_nor_removed() {
        let folder = folder(0o700);
        let path = folder.path().join("token");
        for (content, mode, word) in [
            (&b"export PATH=/bin\n"[..], 0o600, Some("something other")),
            (b"password", 0o600, Some("something other")),
            (b"\xff\xfe", 0o600, Some("something other")),
            (&[b'x'; 20_000], 0o600, Some("something other")),
            (b"ya29.old", 0o644, Some("can be used by others")),
            (b"ya29.old", 0o600, None),
            (b"eyJhbGciOiJub25lIn0.e30.\n", 0o600, None),
            (b"", 0o600, None),
        ] {
            std::fs::write(&path, content).expect("file");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
            match word {
                Some(word) => refused(&path, ErrorKind::Unsafe, word),
                None => drop(TokenFile::at_path(&path).expect("an old token")),
            }
            assert_eq!(std::fs::read(&path).expect("still there"), content);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("link");
        refused(&link, ErrorKind::Unsafe, "is a link");
        std::os::unix::fs::symlink("/nowhere", folder.path().join("dangling")).expect("link");
        refused(&folder.path().join("dangling"), ErrorKind::Unsafe, "is a link");
        std::fs::create_dir(folder.path().join("inner")).expect("folder");
        refused(&folder.path().join("inner"), ErrorKind::Unsafe, "not a regular file");
    }
}
