//! Looks at files and folders that others may have written. Files of gauth's own are read and written by
//! [`private_file`](crate::world::private_file).
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Size, kind and time of a file, or of the file that a link leads to.
///
/// # Errors
/// The system's, as for every function here.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    std::fs::metadata(path)
}

/// Size, kind and time of a file, or of the link itself.
///
/// # Errors
/// As [`metadata`].
pub fn symlink_metadata(path: &Path) -> io::Result<Metadata> {
    std::fs::symlink_metadata(path)
}

/// Whether the path is a symbolic link.
pub fn is_symlink(path: &Path) -> bool {
    path.is_symlink()
}

/// Whether the path leads to something that this user may look at.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// The absolute path without links.
///
/// # Errors
/// As [`metadata`].
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// Opens a file to read it. A named pipe waits for its writer: look at its [`metadata`] first.
///
/// # Errors
/// As [`metadata`].
pub fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// The UTF-8 names in a folder, sorted; none where it cannot be read.
pub fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The folder in which this process runs.
///
/// # Errors
/// As [`metadata`]: it may have been removed.
pub fn current_folder() -> io::Result<PathBuf> {
    std::env::current_dir()
}

/// The system's folder for temporary files: `TMPDIR`, else `/tmp`.
pub fn temporary_folder() -> PathBuf {
    std::env::temp_dir()
}
