//! A value passed to a child through a file descriptor: other processes do not see it, as they would see an argument,
//! a variable or a file.

use std::io::{PipeReader, PipeWriter, Write};

use zeroize::Zeroizing;

use crate::error::{Error, Result, io_reason};

/// A pipe that the next child inherits, and what it will read there once.
pub struct InheritedPipe {
    reader: PipeReader,
    writer: PipeWriter,
    content: Zeroizing<Vec<u8>>,
}

/// Every pipe has room for so much, in bytes.
const PIPE_CAPACITY_BYTES: usize = 4096;

/// The end of a pipe that a program inherits when this process becomes it.
pub(super) struct FilledPipe {
    _reader: PipeReader,
}

impl InheritedPipe {
    /// Prepares to hand over `content`.
    ///
    /// # Errors
    /// When the system has no pipe left, or is none that names open files by path.
    pub fn new(content: Zeroizing<Vec<u8>>) -> Result<InheritedPipe> {
        let (reader, writer) =
            std::io::pipe().map_err(|error| Error::unexpected(format!("no pipe, {}", io_reason(&error))))?;
        make_inheritable(&reader)?;
        Ok(InheritedPipe { reader, writer, content })
    }

    /// Where the child finds it.
    #[cfg(unix)]
    pub fn path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/dev/fd/{}", self.reader.as_raw_fd())
    }

    /// Nowhere: [`Handed::new`] has failed.
    #[cfg(not(unix))]
    pub fn path(&self) -> String {
        String::new()
    }

    /// Whether the value fits into a pipe before its reader has started.
    pub(super) fn fits_in_pipe(&self) -> bool {
        self.content.len() <= PIPE_CAPACITY_BYTES
    }

    /// Writes what fits ahead of the reader.
    pub(super) fn fill(self) -> std::io::Result<FilledPipe> {
        let InheritedPipe { reader, mut writer, content } = self;
        writer.write_all(&content)?;
        Ok(FilledPipe { _reader: reader })
    }

    /// Writes it, when the child has its end: a pipe need not have room for all of it.
    pub(super) fn write_to_child(self) {
        let InheritedPipe { reader, mut writer, content } = self;
        drop(reader);
        // A child that has ended without reading prints its own error.
        _ = writer.write_all(&content);
    }
}

/// Only the end that is read: with the other one in its hands, the child would wait for itself.
#[cfg(unix)]
fn make_inheritable(reader: &PipeReader) -> Result<()> {
    rustix::io::fcntl_setfd(reader, rustix::io::FdFlags::empty())
        .map_err(|error| Error::unexpected(format!("no pipe, {}", io_reason(&error.into()))))
}

#[cfg(not(unix))]
fn make_inheritable(_: &PipeReader) -> Result<()> {
    Err(Error::unsupported("this command is not available on this system")
        .hint("gauth token --format curl-config | curl -K - URL"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::world::exec::run;

    #[test]
    fn a_child_reads_it_once_and_to_its_end() {
        // More than a pipe may have room for.
        let content = "x".repeat(200_000);
        let handed = InheritedPipe::new(Zeroizing::new(content.clone().into_bytes())).expect("a pipe");
        let script = format!("cat {} | wc -c >&2; test -z \"$(cat {})\"", handed.path(), handed.path());
        let words = ["sh", "-c", &script].map(OsString::from);
        let mut said = Vec::new();
        let mut listener = |piece: &[u8]| said.extend_from_slice(piece);
        let status = run(&words, &[], vec![handed], Some(&mut listener)).expect("started");
        assert_eq!((status, String::from_utf8_lossy(&said).trim()), (0, "200000"));
    }

    #[test]
    fn a_child_that_does_not_read_ends_all_the_same() {
        let handed = InheritedPipe::new(Zeroizing::new(vec![b'x'; 200_000])).expect("a pipe");
        let words = ["sh", "-c", "exit 3"].map(OsString::from);
        assert_eq!(run(&words, &[], vec![handed], None).map_err(|not| not.status), Ok(3));
    }
}
