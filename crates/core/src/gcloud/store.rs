//! Reads gcloud's SQLite databases without creating files beside them.
//!
//! By default a reader of a database with a write-ahead log creates two files next to it, so the header is read first to
//! find out whether there is a log.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result};
use crate::gcloud::Query;
use crate::text::printable;
use crate::world::files;
use crate::{error, gcloud};

/// The maximum wait for a locked database, which is also gcloud's.
const MAX_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a value, in bytes. A service account key has 3 KiB.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// The first bytes of every SQLite database that is not an empty file.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// The offset and the value of the header byte that indicates a write-ahead log
/// (<https://www.sqlite.org/fileformat2.html>, 1.3.3).
const WAL_VERSION_BYTE: (usize, u8) = (19, 2);

/// Opens a database for reading; `None` where there is no database.
///
/// # Errors
/// Exit 8, where the file cannot be read as a database.
pub(super) fn open(path: &Path, lock_timeout: Duration) -> Result<Option<Box<Query>>> {
    if !gcloud::is_file(path)? {
        return Ok(None);
    }
    // SQLite follows links, and looks for the log beside the file they lead to.
    let path = files::canonicalize(path).map_err(|error| error::io("read", path, &error))?;
    let options = read_only_options(&path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let lock_timeout = lock_timeout.min(MAX_LOCK_TIMEOUT);
    let connection = Connection::open_with_flags(uri(&path, options), flags)
        .and_then(|connection| connection.busy_timeout(lock_timeout).map(|()| connection))
        .map_err(|error| sqlite_error(&path, lock_timeout, &error))?;
    Ok(Some(Box::new(move |sql, parameter| {
        query_strings(&connection, sql, parameter)
            .map_err(|error| sqlite_error(&path, lock_timeout, &error))?
            .map_err(|what| unusable_database_error(&path, what))
    })))
}

fn query_strings(
    connection: &Connection,
    sql: &str,
    parameter: Option<&str>,
) -> rusqlite::Result<std::result::Result<Vec<String>, &'static str>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameter))?;
    let mut texts = Vec::new();
    while let Some(row) = rows.next()? {
        let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(0)? else { continue };
        if bytes.len() > MAX_VALUE_BYTES {
            return Ok(Err("holds a value larger than 1 MiB"));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => texts.push(text.to_owned()),
            Err(_) => return Ok(Err("holds a value that is not valid UTF-8")),
        }
    }
    Ok(Ok(texts))
}

/// The URI parameters with which this database can be read without creating files beside it.
fn read_only_options(path: &Path) -> Result<&'static str> {
    let mut header = Vec::new();
    files::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(|error| error::io("read", path, &error))?;
    // For SQLite an empty file is a database without tables.
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
        files::metadata(Path::new(&name)).map_or(0, |metadata| metadata.len())
    };
    match (sibling_file_len("-wal"), sibling_file_len("-shm")) {
        // The log is empty, and the database can be read as one that does not change.
        (0, _) => Ok("mode=ro&immutable=1"),
        (_, 0) => Err(Error::malformed(
            &printable::path(path),
            "has changes in its write-ahead log (-wal) that gauth cannot read",
        )
        .hint("gcloud auth list")),
        _ => Ok("mode=ro&readonly_shm=1"),
    }
}

/// The path and the parameters as a URI for SQLite.
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

/// The error for an error of SQLite's.
fn sqlite_error(path: &Path, lock_timeout: Duration, error: &rusqlite::Error) -> Error {
    const SQLITE_READONLY_ROLLBACK: i32 = 776;
    let name = printable::path(path);
    let code = error.sqlite_error();
    match code.map(|error| error.code) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            let waited = lock_timeout.as_secs_f32();
            Error::malformed(&name, format!("is locked by another program, waited {waited} s"))
                .hint("run the command again when gcloud has finished")
        }
        Some(ErrorCode::NotADatabase) => unusable_database_error(path, "is not a database"),
        Some(ErrorCode::DatabaseCorrupt) => unusable_database_error(path, "is damaged"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::malformed(&name, "cannot be opened as a database").hint("gcloud auth list")
        }
        _ if code.is_some_and(|error| error.extended_code == SQLITE_READONLY_ROLLBACK) => {
            Error::malformed(&name, "has an incomplete transaction of a program that was killed")
                .hint("gcloud auth list")
        }
        _ if error.to_string().contains("no such table") => {
            Error::malformed(&name, "is not a database of gcloud's, a table is missing").hint("gcloud auth login")
        }
        _ => unusable_database_error(path, &format!("cannot be read, {}", printable::text(&error.to_string()))),
    }
}

/// The error for a file that gcloud cannot use either.
fn unusable_database_error(path: &Path, what: &str) -> Error {
    Error::malformed(&printable::path(path), what).hint("gcloud auth login, after moving that file away")
}
