//! Files that hold secrets: read with suspicion, written whole or not at all.
//!
//! Our own files are 0600 in 0700 folders, written to a temporary name and renamed. What a user names is read
//! through one descriptor, checked after opening, and never followed by a second look at the path.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

#[cfg(all(test, unix))]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, io_reason};
use crate::text::printable;
use crate::world::random;
use crate::world::random::Random;

/// How long a pipe that the user named may take, in full.
const PIPE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a file was not read.
#[derive(Debug)]
pub enum PrivateFileError {
    /// There is no such file.
    NotFound,
    /// The operating system refuses the access.
    Io(io::Error),
    /// A folder, device or socket.
    NotRegularFile,
    /// More than the limit, in bytes.
    TooLarge(usize),
    /// A pipe that did not end in time.
    TimedOut,
    /// Ours, but others could have written or read it: what is wrong, and the command that mends it.
    Insecure(&'static str, String),
}

impl PrivateFileError {
    /// The fault as an error about the file the user, or a variable, named.
    pub fn to_error(&self, path: &Path, location: &str) -> Error {
        let kind = match self {
            PrivateFileError::Insecure(..) => ErrorKind::Unsafe,
            _ => ErrorKind::Malformed,
        };
        let what = match self {
            PrivateFileError::NotFound => "there is no such file".to_owned(),
            PrivateFileError::Io(error) => format!("cannot be read, {}", io_reason(error)),
            PrivateFileError::NotRegularFile => "is not a regular file".to_owned(),
            PrivateFileError::TooLarge(limit) => format!("is larger than {} KiB", limit / 1024),
            PrivateFileError::TimedOut => "did not end within 10 s".to_owned(),
            PrivateFileError::Insecure(what, _) => (*what).to_owned(),
        };
        let error = Error::new(kind, format!("{location}: {what}"));
        let shown = printable::path(path);
        match self {
            PrivateFileError::NotFound => error.hint(format!("ls -l {shown}, or name another file")),
            PrivateFileError::Io(_) => error.hint(format!("ls -l {shown}, and let it be read by this user")),
            PrivateFileError::NotRegularFile | PrivateFileError::TooLarge(_) | PrivateFileError::TimedOut => {
                error.hint("name a credential file, as Google's console or gcloud writes it")
            }
            PrivateFileError::Insecure(_, command) => error.hint(command.clone()),
        }
    }
}

impl From<io::Error> for PrivateFileError {
    fn from(error: io::Error) -> PrivateFileError {
        match error.kind() {
            io::ErrorKind::NotFound => PrivateFileError::NotFound,
            _ => PrivateFileError::Io(error),
        }
    }
}

/// Whether the way to a file leads through a folder that this user may not enter, or through no folder at all. In
/// containers `HOME` is often another user's.
pub fn is_unreachable(path: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, PermissionDenied};
    let found = std::fs::symlink_metadata(path);
    found.is_err_and(|error| matches!(error.kind(), NotADirectory | PermissionDenied))
}

/// Reads a file the user named: a regular file, or a pipe (process substitution) within 10 s.
pub fn read_user_file(path: &Path, limit: usize) -> std::result::Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = open(path, false)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        if metadata.len() > limit as u64 {
            return Err(PrivateFileError::TooLarge(limit));
        }
        return read_to_end(file, limit, metadata.len());
    }
    match is_pipe(&metadata) {
        true => read_pipe(file, limit),
        false => Err(PrivateFileError::NotRegularFile),
    }
}

/// Reads a file of our own: ours, regular, no link, closed to others.
pub fn read_private(path: &Path, limit: usize) -> std::result::Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = open(path, true)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotRegularFile);
    }
    if metadata.len() > limit as u64 {
        return Err(PrivateFileError::TooLarge(limit));
    }
    check_private(path, &metadata)?;
    read_to_end(file, limit, metadata.len())
}

fn read_to_end(
    file: File,
    limit: usize,
    expected_size: u64,
) -> std::result::Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    // One byte of room more than expected: the end is seen without another allocation.
    let capacity = usize::try_from(expected_size).unwrap_or(limit).min(limit) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > limit {
        true => Err(PrivateFileError::TooLarge(limit)),
        false => Ok(bytes),
    }
}

#[cfg(unix)]
fn open(path: &Path, own_file: bool) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;

    // Without O_NONBLOCK, opening a FIFO without a writer would hang.
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if own_file {
        flags |= OFlags::NOFOLLOW;
    }
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, _: bool) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn is_pipe(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(unix)]
fn read_pipe(mut file: File, limit: usize) -> std::result::Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    read_with_timeout(&mut file, &mut bytes, limit, PIPE_TIMEOUT)?;
    match bytes.len() > limit {
        true => Err(PrivateFileError::TooLarge(limit)),
        false => Ok(bytes),
    }
}

#[cfg(not(unix))]
fn read_pipe(_: File, _: usize) -> std::result::Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    Err(PrivateFileError::NotRegularFile)
}

/// Reads a descriptor to its end, at most one byte more than `limit`, within `time`.
///
/// A FIFO without a writer reads as empty, so it is read again until the time is over.
#[cfg(unix)]
pub fn read_with_timeout<F: Read + std::os::fd::AsFd>(
    file: &mut F,
    bytes: &mut Vec<u8>,
    limit: usize,
    timeout: Duration,
) -> std::result::Result<(), PrivateFileError> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut remaining = timeout;
    let step = Duration::from_millis(50);
    let mut chunk = Zeroizing::new(vec![0; 8192]);
    while bytes.len() <= limit {
        let wait = Timespec::try_from(step.min(remaining)).map_err(|_| PrivateFileError::TimedOut)?;
        let ready = poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&wait));
        match ready {
            Ok(0) => remaining = remaining.saturating_sub(step),
            Ok(_) => match file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    remaining = remaining.saturating_sub(step);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            },
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        if remaining.is_zero() {
            return Err(PrivateFileError::TimedOut);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn check_private(path: &Path, metadata: &std::fs::Metadata) -> std::result::Result<(), PrivateFileError> {
    use std::os::unix::fs::MetadataExt;

    let insecure =
        |what, command: &str| Err(PrivateFileError::Insecure(what, format!("{command} {}", printable::path(path))));
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return insecure("belongs to another user", "chown \"$USER\"");
    }
    if metadata.mode() & 0o077 != 0 {
        return insecure("can be used by others", "chmod 600");
    }
    if metadata.nlink() > 1 {
        return insecure("has a second name (hard link)", "rm");
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &std::fs::Metadata) -> std::result::Result<(), PrivateFileError> {
    Ok(())
}

/// Makes a folder of ours (and its parents), 0700, and checks that it is one.
///
/// # Errors
/// When it cannot be made, is a link, or others may write to it.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    if check_private_folder(path).is_ok() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    check_private_folder(path)
}

fn check_private_folder(path: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::other("not a folder"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("the folder belongs to another user"));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other("others may write to the folder"));
        }
    }
    Ok(())
}

/// What must survive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteDurability {
    /// A cache: may be lost, never torn.
    Disposable,
    /// A login: on the disk before anything else happens.
    Durable,
}

/// A file being written under a temporary name; dropped before `publish`, it is gone.
pub struct PendingFile {
    file: Option<File>,
    temporary_path: PathBuf,
    durability: WriteDurability,
}

impl PendingFile {
    /// Begins a file in `folder` that will be called `name`.
    ///
    /// # Errors
    /// When nothing can be made there.
    pub fn create(
        folder: &Path,
        name: &str,
        durability: WriteDurability,
        random: &dyn Random,
    ) -> io::Result<PendingFile> {
        crate::world::process_hardening::ignore_file_size_signal();
        let unique = random::hex_name(random).map_err(io::Error::other)?;
        let temporary_path = folder.join(format!(".{name}.{}-{unique}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&temporary_path)?;
        Ok(PendingFile { file: Some(file), temporary_path, durability })
    }

    /// Allocates disk space now, so that a full disk is noticed before a request whose response the server
    /// sends only once.
    ///
    /// # Errors
    /// When there is no room.
    pub fn reserve_space(&mut self, bytes: usize) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&vec![b' '; bytes])?;
        file.sync_data()?;
        io::Seek::rewind(file)
    }

    /// Writes the content and gives the file its name.
    ///
    /// # Errors
    /// When the disk is full or the like; the old file is then still there.
    pub fn commit(mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        if self.durability == WriteDurability::Durable {
            file.sync_all()?;
        }
        drop(file);
        std::fs::rename(&self.temporary_path, path)?;
        self.temporary_path = PathBuf::new();
        if self.durability == WriteDurability::Durable
            && let Some(folder) = path.parent()
        {
            sync_folder(folder)?;
        }
        Ok(())
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.temporary_path.as_os_str().is_empty() {
            // A temporary file that stays is removed by a later writer.
            drop(std::fs::remove_file(&self.temporary_path));
        }
    }
}

/// Writes a file of ours, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_atomic(
    folder: &Path,
    name: &str,
    bytes: &[u8],
    durability: WriteDurability,
    random: &dyn Random,
) -> io::Result<()> {
    PendingFile::create(folder, name, durability, random)?.commit(&folder.join(name), bytes)
}

/// Removes a file of ours. Failures do not matter: a later sweep finds it.
pub fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

/// Removes a file of ours; `false`: there is none.
///
/// # Errors
/// When it is still there.
pub fn try_remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file of ours that must not come back after a power failure. One that is not there is removed.
///
/// # Errors
/// When it is still there.
pub fn remove_durably(path: &Path) -> io::Result<()> {
    try_remove(path)?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders are no files.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Age at which what lies about is removed.
pub struct SweepAgeLimits {
    /// For temporary files of writers that died.
    pub temporary: Duration,
    /// For everything else in the folder; `None`: it stays.
    pub other: Option<Duration>,
}

/// Removes what is too old from a folder. Failures do not matter: the next writer tries again.
pub fn remove_stale_files(folder: &Path, now: i64, limits: &SweepAgeLimits) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_temporary = name.starts_with('.') && name.ends_with(".tmp");
        let Some(limit) = (if is_temporary { Some(limits.temporary) } else { limits.other }) else {
            continue;
        };
        if entry.metadata().is_ok_and(|metadata| age_seconds(&metadata, now) > limit.as_secs()) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// Seconds since the last change; zero for a change in the future.
fn age_seconds(metadata: &std::fs::Metadata, now: i64) -> u64 {
    let modified = metadata.modified().ok();
    let changed = modified.and_then(|when| when.duration_since(std::time::UNIX_EPOCH).ok());
    let now = u64::try_from(now).unwrap_or(0);
    changed.map_or(0, |since| now.saturating_sub(since.as_secs()))
}

/// Opens, making it if need be, a file that only serves to be locked.
///
/// # Errors
/// When it cannot be opened.
pub fn open_lock_file(folder: &Path, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(folder.join(name))
}

/// Makes gauth's folder and one inside it.
///
/// # Errors
/// When there is no home, or the folder cannot be made or trusted.
pub fn create_subfolder(gauth: Option<&Path>, name: &str) -> io::Result<PathBuf> {
    let gauth = gauth.ok_or_else(|| io::Error::other("there is no home folder"))?;
    let folder = gauth.join(name);
    if check_private_folder(&folder).is_err() {
        create_private_folder(gauth)?;
        create_private_folder(&folder)?;
    }
    Ok(folder)
}
