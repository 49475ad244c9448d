//! SQLite, to read gcloud's databases without leaving a trace beside them.
//!
//! A reader of a database with a write-ahead log makes two files next to it unless told otherwise, so the kind
//! of database is looked at first, in its header.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error;
use crate::error::{Error, Result};
use crate::gcloud;
use crate::text::printable;

/// How long gcloud itself waits for a locked database.
const MAX_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest value read. A service-account key has 3 KiB.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// The first bytes of every SQLite database that is not empty.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Which byte of the header says that changes go to a write-ahead log, and how
/// (<https://www.sqlite.org/fileformat2.html>, 1.3.3).
const WAL_VERSION_BYTE: (usize, u8) = (19, 2);

/// An open database.
pub(super) struct GcloudDatabase {
    path: PathBuf,
    connection: Connection,
    lock_timeout: Duration,
}

impl GcloudDatabase {
    /// Opens a database for reading; `None` where there is none.
    pub(super) fn open(path: &Path, lock_timeout: Duration) -> Result<Option<GcloudDatabase>> {
        if !gcloud::is_file(path)? {
            return Ok(None);
        }
        // SQLite follows links, and looks for the log beside what they lead to.
        let path = path.canonicalize().map_err(|error| error::io("read", path, &error))?;
        let options = read_only_options(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let lock_timeout = lock_timeout.min(MAX_LOCK_TIMEOUT);
        let explain = |error: &rusqlite::Error| sqlite_error(&path, lock_timeout, error);
        let connection = Connection::open_with_flags(uri(&path, options), flags)
            .map_err(|error| explain(&error))?;
        connection.busy_timeout(lock_timeout).map_err(|error| explain(&error))?;
        Ok(Some(GcloudDatabase { path, connection, lock_timeout }))
    }

    /// The first column of every row, as text. Values that are neither text nor bytes are passed over.
    pub(super) fn query_strings(&self, sql: &str, parameter: Option<&str>) -> Result<Vec<String>> {
        let query = || -> rusqlite::Result<std::result::Result<Vec<String>, &'static str>> {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(parameter))?;
            let mut texts = Vec::new();
            while let Some(row) = rows.next()? {
                let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(0)? else {
                    continue;
                };
                if bytes.len() > MAX_VALUE_BYTES {
                    return Ok(Err("holds a value larger than 1 MiB"));
                }
                match std::str::from_utf8(bytes) {
                    Ok(text) => texts.push(text.to_owned()),
                    Err(_) => return Ok(Err("holds a value that is not valid UTF-8")),
                }
            }
            Ok(Ok(texts))
        };
        match query() {
            Ok(Ok(texts)) => Ok(texts),
            Ok(Err(what)) => Err(unusable_database_error(&self.path, what)),
            Err(error) => Err(sqlite_error(&self.path, self.lock_timeout, &error)),
        }
    }
}

/// How this database can be read without making files beside it.
fn read_only_options(path: &Path) -> Result<&'static str> {
    let mut header = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| error::io("read", path, &error))?;
    // An empty file is a database without tables, to SQLite.
    if !header.is_empty() && !header.starts_with(SQLITE_MAGIC) {
        return Err(unusable_database_error(path, "is not a database"));
    }
    let (offset, wal_version) = WAL_VERSION_BYTE;
    if header.get(offset) != Some(&wal_version) {
        return Ok("mode=ro");
    }
    let sibling_file_len = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        std::fs::metadata(name).map_or(0, |metadata| metadata.len())
    };
    match (sibling_file_len("-wal"), sibling_file_len("-shm")) {
        // All is in the database itself, and can be read as if it never changed.
        (0, _) => Ok("mode=ro&immutable=1"),
        (_, 0) => Err(Error::malformed(
            &printable::path(path),
            "has changes in its log (-wal) that only a writer can fold in",
        )
        .hint("gcloud auth list")),
        _ => Ok("mode=ro&readonly_shm=1"),
    }
}

/// The path as SQLite takes it with options.
fn uri(path: &Path, options: &str) -> String {
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    // A canonical path on Windows begins with \\?\, or with \\?\UNC\ where it leads to another machine.
    #[cfg(not(unix))]
    let bytes = {
        let path = path.to_string_lossy().replace('\\', "/");
        let local = path.strip_prefix("//?/").unwrap_or(&path);
        match local.strip_prefix("UNC/") {
            Some(remote) => format!("//{remote}").into_bytes(),
            None => format!("/{local}").into_bytes(),
        }
    };
    let mut uri = String::from("file://");
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-._~:".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    format!("{uri}?{options}")
}

/// SQLite's reason in words of ours.
fn sqlite_error(path: &Path, lock_timeout: Duration, error: &rusqlite::Error) -> Error {
    const SQLITE_READONLY_ROLLBACK: i32 = 776;
    let name = printable::path(path);
    let code = error.sqlite_error();
    match code.map(|error| error.code) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let waited = lock_timeout.as_secs_f32();
            Error::malformed(&name, format!("is locked by another program, waited {waited} s"))
                .hint("the same command, once gcloud has ended")
        }
        Some(ErrorCode::NotADatabase) => unusable_database_error(path, "is not a database"),
        Some(ErrorCode::DatabaseCorrupt) => unusable_database_error(path, "is damaged"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::malformed(&name, "cannot be opened as a database").hint("gcloud auth list")
        }
        _ if code.is_some_and(|error| error.extended_code == SQLITE_READONLY_ROLLBACK) => {
            Error::malformed(&name, "was left half-written by a program that was killed")
                .hint("gcloud auth list")
        }
        _ if error.to_string().contains("no such table") => {
            Error::malformed(&name, "is not a database of gcloud's, a table is missing")
                .hint("gcloud auth login")
        }
        _ => unusable_database_error(
            path,
            &format!("cannot be read, {}", printable::text(&error.to_string())),
        ),
    }
}

/// An error about a file that gcloud cannot use either.
fn unusable_database_error(path: &Path, what: &str) -> Error {
    Error::malformed(&printable::path(path), what)
        .hint("gcloud auth login, after moving that file away")
}
