//! Standard input and output. Output holds results only, written once, after everything has succeeded.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::cell::RefCell;
use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, io_reason};
use crate::world::private_file;
use crate::world::private_file::PrivateFileError;

/// The door to standard input and output.
pub struct Streams {
    input: InputSource,
    output: RefCell<Box<dyn Write>>,
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
}

impl Streams {
    /// Standard input and standard output of the process.
    pub fn standard() -> Streams {
        Streams {
            input: InputSource::Standard,
            output: RefCell::new(Box::new(StandardOutput)),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
        }
    }

    /// Other streams, which tests give.
    pub fn from_parts(input: Box<dyn Read>, output: Box<dyn Write>) -> Streams {
        Streams {
            input: InputSource::Other(RefCell::new(input)),
            output: RefCell::new(output),
            stdin_is_terminal: false,
            stdout_is_terminal: false,
        }
    }

    /// Writes a result to standard output, whole.
    ///
    /// # Errors
    /// A reader that went away is `BrokenPipe`; anything else (full disk, closed) is exit 1.
    pub fn write_result(&self, bytes: &[u8]) -> crate::Result<()> {
        let mut output = self.output.borrow_mut();
        output.write_all(bytes).and_then(|()| output.flush()).map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => {
                Error::new(ErrorKind::BrokenPipe, "the reader of standard output has closed it")
            }
            _ => Error::unexpected(format!("standard output cannot be written, {}", io_reason(&error))),
        })
    }

    /// Ends standard output, for a command that lives on: who reads it need not wait for that.
    pub fn close_stdout(&self) {
        #[cfg(unix)]
        if let Ok(dev_null) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
            let _ = rustix::stdio::dup2_stdout(dev_null);
        }
    }

    /// Reads all of standard input, at most `limit` bytes, within `time`.
    ///
    /// # Errors
    /// When it cannot be read, is larger, or does not end in time.
    pub fn read_stdin(&self, limit: usize, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
        let mut bytes = Zeroizing::new(Vec::new());
        match &self.input {
            InputSource::Standard => read_process_stdin(&mut bytes, limit, timeout)?,
            InputSource::Other(reader) => {
                reader.borrow_mut().read_to_end(&mut bytes)?;
            }
        }
        match bytes.len() > limit {
            true => Err(PrivateFileError::TooLarge(limit)),
            false => Ok(bytes),
        }
    }
}

#[cfg(unix)]
fn read_process_stdin(bytes: &mut Vec<u8>, limit: usize, timeout: Duration) -> Result<(), PrivateFileError> {
    private_file::read_with_timeout(&mut std::io::stdin(), bytes, limit, timeout)
}

#[cfg(not(unix))]
fn read_process_stdin(bytes: &mut Vec<u8>, limit: usize, _: Duration) -> Result<(), PrivateFileError> {
    std::io::stdin().take(limit as u64 + 1).read_to_end(bytes)?;
    Ok(())
}

enum InputSource {
    Standard,
    Other(RefCell<Box<dyn Read>>),
}

/// Standard output without the standard library's buffer, which would split a result into several writes.
struct StandardOutput;

#[cfg(unix)]
impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(not(unix))]
impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stdout().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}
