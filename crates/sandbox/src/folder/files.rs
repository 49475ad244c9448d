//! Writing files and folders that only their owner may read.
#![expect(clippy::disallowed_methods, reason = "this is the door to the sandbox's own folder")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::Value;

use gauth_core::error::{Result, io};
use gauth_core::text::secret::Secret;

pub(crate) fn create_private_folder(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are unix"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io("made", path, &error))
}

/// Removes a folder and all that is in it.
pub(crate) fn remove_folder(path: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(path)
}

pub(crate) fn create_private_file(path: &Path) -> std::io::Result<File> {
    create_file_with_mode(path, 0o600)
}

pub(crate) fn create_file_with_mode(path: &Path, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    create_private_file(path).and_then(|mut file| file.write_all(bytes)).map_err(|error| io("written", path, &error))
}

/// Writes a token, key or password that the fixtures hold.
pub(crate) fn write_secret(path: &Path, secret: &Secret) -> Result<()> {
    write_file(path, secret.expose().as_bytes())
}

/// Writes an executable file.
pub(crate) fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    create_file_with_mode(path, 0o700)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| io("written", path, &error))
}

pub(crate) fn write_json(path: &Path, value: &Value) -> Result<()> {
    write_file(path, format!("{value:#}\n").as_bytes())
}

/// Makes `gauth` in the folder a link to this program.
#[cfg(unix)]
pub(crate) fn install_program(program: &Path, folder: &Path) -> Result<()> {
    let link = folder.join("gauth");
    std::os::unix::fs::symlink(program, &link).map_err(|error| io("made", &link, &error))
}

/// Makes `gauth.exe` in the folder a copy of this program, because links need a privilege on Windows.
#[cfg(not(unix))]
pub(crate) fn install_program(program: &Path, folder: &Path) -> Result<()> {
    let copy = folder.join("gauth.exe");
    std::fs::copy(program, &copy).map(drop).map_err(|error| io("made", &copy, &error))
}
