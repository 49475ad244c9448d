//! Messages to the user on standard error: warnings, notes, traces. Every line passes the secret filter.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::rc::Rc;

use anstyle::{AnsiColor, Style};
use zeroize::Zeroizing;

use crate::text::secret;
use crate::text::secret::Secret;
use crate::world::env;
use crate::world::env::Env;

/// How much gauth prints on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// `-q`: errors only, no warnings.
    Quiet,
    /// The default: errors and warnings.
    Normal,
    /// `-v`: what was decided and why.
    Verbose,
    /// `-vv`: requests and responses too.
    Trace,
}

/// The door to standard error.
pub struct Terminal {
    verbosity: Cell<Verbosity>,
    sink: TerminalSink,
    /// Whether standard error is a terminal.
    pub is_terminal: bool,
    /// Whether gauth may prompt the user: `CI` is unset.
    pub may_prompt: bool,
    /// Replaces the terminal's input in tests: returns the line for a prompt.
    pub scripted_input: Option<ScriptedInput>,
    /// Width in columns that pages are made for: `COLUMNS`, else 80.
    pub width: usize,
    /// Whether `TERM` is `dumb`: the terminal can only print, and no line is overwritten.
    is_dumb: bool,
    /// Whether the variables switch colours on or off; `None` leaves it to the stream.
    colour: Option<bool>,
}

/// Returns what the user types at this prompt.
pub type ScriptedInput = Box<dyn Fn(&str) -> Zeroizing<String>>;

enum TerminalSink {
    Standard,
    Captured(Rc<RefCell<Vec<u8>>>),
}

impl Terminal {
    /// The process's own standard error.
    pub fn standard(env: &Env) -> Terminal {
        let dumb = env.os(&env::TERM).is_some_and(|term| term == "dumb");
        let disabled = env.os(&env::NO_COLOR).is_some() || dumb;
        let forced = env.os(&env::CLICOLOR_FORCE).is_some_and(|value| value != "0");
        Terminal {
            verbosity: Cell::new(Verbosity::Normal),
            sink: TerminalSink::Standard,
            is_terminal: std::io::stderr().is_terminal(),
            may_prompt: env.os(&env::CI).is_none(),
            scripted_input: None,
            width: columns_from_env(env),
            is_dumb: dumb,
            colour: if disabled {
                Some(false)
            } else if forced {
                Some(true)
            } else {
                None
            },
        }
    }

    /// A terminal that writes to a buffer, for tests.
    pub fn captured(buffer: Rc<RefCell<Vec<u8>>>) -> Terminal {
        Terminal {
            verbosity: Cell::new(Verbosity::Normal),
            sink: TerminalSink::Captured(buffer),
            is_terminal: false,
            may_prompt: false,
            scripted_input: Some(Box::new(|_| Zeroizing::default())),
            width: 80,
            is_dumb: false,
            colour: Some(false),
        }
    }

    /// Sets how much gauth prints on standard error.
    pub fn set_verbosity(&self, level: Verbosity) {
        self.verbosity.set(level);
    }

    /// How much gauth prints on standard error.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity.get()
    }

    /// Says that something needs attention, unless `-q`.
    pub fn warn(&self, text: &str) {
        self.write_line(Verbosity::Normal, || format!("gauth: warning: {text}"));
    }

    /// Says what was decided, with `-v`.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.write_line(Verbosity::Verbose, || format!("gauth: {}", text()));
    }

    /// Says what was sent and received, with `-vv`.
    pub fn trace(&self, text: impl FnOnce() -> String) {
        self.write_line(Verbosity::Trace, text);
    }

    /// Prints a line that is neither a warning nor an error, unless `-q` is given.
    pub fn info(&self, text: &str) {
        self.write_line(Verbosity::Normal, || text.to_owned());
    }

    /// A line that the next one of its kind overwrites, cut at the width of the terminal; on a terminal only, and not
    /// with `-q`.
    pub fn show_status_line(&self, text: &str) {
        if self.can_overwrite_lines() {
            let width = self.columns().saturating_sub(1);
            let text: String = secret::redact(text).chars().take(width).collect();
            self.write(&format!("\r\u{1b}[K{text}"));
        }
    }

    /// Takes that line away.
    pub fn clear_status_line(&self) {
        if self.can_overwrite_lines() {
            self.write("\r\u{1b}[K");
        }
    }

    fn can_overwrite_lines(&self) -> bool {
        self.is_terminal && !self.is_dumb && self.verbosity.get() >= Verbosity::Normal
    }

    /// How wide the terminal is right now, in columns.
    pub fn columns(&self) -> usize {
        match &self.sink {
            TerminalSink::Standard => window_width().unwrap_or(self.width),
            TerminalSink::Captured(_) => self.width,
        }
    }

    /// Prints a prompt, without a line end.
    pub(super) fn write_prompt(&self, text: &str) {
        self.write(text);
    }

    /// Prints the two lines of an error, also with `-q`.
    pub fn error(&self, text: &str) {
        self.write_line(Verbosity::Quiet, || text.to_owned());
    }

    /// Prints the output of a child, from which the caller has removed secrets.
    pub fn write_raw(&self, bytes: &[u8]) {
        match &self.sink {
            TerminalSink::Standard => drop(std::io::stderr().lock().write_all(bytes)),
            TerminalSink::Captured(kept) => kept.borrow_mut().extend_from_slice(bytes),
        }
    }

    /// Tells the runner of GitHub Actions to hide a secret in all that the job prints from now on: it reads its
    /// commands on standard error too, and does not print this one. The only line that the filter may not touch.
    pub(super) fn add_github_mask(&self, secret: &Secret) {
        let value = secret.expose();
        let mut line = Zeroizing::new(String::with_capacity(16 + 3 * value.len()));
        line.push_str("::add-mask::");
        for letter in value.chars() {
            match letter {
                '%' => line.push_str("%25"),
                '\r' => line.push_str("%0D"),
                '\n' => line.push_str("%0A"),
                letter => line.push(letter),
            }
        }
        line.push('\n');
        self.write(&line);
    }

    /// Colours for a stream that is, or is not, a terminal.
    pub fn text_style(&self, stream_is_terminal: bool) -> TextStyle {
        TextStyle(self.colour.unwrap_or(stream_is_terminal))
    }

    fn write_line(&self, verbosity: Verbosity, text: impl FnOnce() -> String) {
        if verbosity > self.verbosity.get() {
            return;
        }
        let text = text();
        self.write(&format!("{}\n", secret::redact(&text)));
    }

    fn write(&self, line: &str) {
        // Standard error that cannot be written changes nothing.
        self.write_raw(line.as_bytes());
    }
}

/// Standard error, for the messages of a child to the user: standard output is for results.
pub fn stderr_for_child() -> std::process::Stdio {
    std::io::stderr().into()
}

#[cfg(unix)]
fn window_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn window_width() -> Option<usize> {
    None
}

fn columns_from_env(env: &Env) -> usize {
    let columns = env.text(&env::COLUMNS).ok().flatten().and_then(|text| text.parse().ok());
    columns.unwrap_or(80).clamp(40, 200)
}

/// Colours where the terminal supports them, plain text elsewhere. No information is in a colour alone.
#[derive(Debug, Clone, Copy)]
pub struct TextStyle(pub bool);

impl TextStyle {
    /// Used, or in order.
    pub fn success(self, text: &str) -> String {
        self.styled(AnsiColor::Green.on_default(), text)
    }

    /// The text in the colour of a warning.
    pub fn warning(self, text: &str) -> String {
        self.styled(AnsiColor::Yellow.on_default(), text)
    }

    /// The text in the colour of a failure.
    pub fn failure(self, text: &str) -> String {
        self.styled(AnsiColor::Red.on_default(), text)
    }

    /// The text in the colour of what was skipped.
    pub fn dim(self, text: &str) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    /// The text as a heading.
    pub fn heading(self, text: &str) -> String {
        self.styled(Style::new().bold(), text)
    }

    fn styled(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
