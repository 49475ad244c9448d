//! What is said to people, on standard error: warnings, notes, traces. Every line passes the secret filter.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::rc::Rc;

use anstyle::{AnsiColor, Style};
use zeroize::Zeroizing;

use crate::secret::{self, Secret};
use crate::world::env::{self, Env};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `-q`: errors only.
    Quiet,
    /// Errors and warnings.
    Usual,
    /// `-v`: what was decided and why.
    Verbose,
    /// `-vv`: requests and answers too.
    Trace,
}

/// The door to standard error.
pub struct Terminal {
    level: Cell<Level>,
    sink: Sink,
    /// Whether standard error is a terminal.
    pub is_terminal: bool,
    /// Whether a person may be asked something: `CI` is unset.
    pub attended: bool,
    /// Who types where no real terminal is: gives the line for a question.
    pub typist: Option<Typist>,
    /// Width in columns that pages are made for: `COLUMNS`, else 80.
    pub width: usize,
    /// Whether it can only print, as `TERM=dumb` says: no line is overwritten then.
    dumb: bool,
    /// What the variables say of colour: always, never, or as the stream is.
    colour: Option<bool>,
}

/// Answers a question with what a person would type.
pub type Typist = Box<dyn Fn(&str) -> Zeroizing<String>>;

enum Sink {
    Standard,
    Captured(Rc<RefCell<Vec<u8>>>),
}

impl Terminal {
    /// The process's own standard error.
    pub fn standard(env: &Env) -> Terminal {
        let dumb = env.os(&env::TERM).is_some_and(|term| term == "dumb");
        let no = env.os(&env::NO_COLOR).is_some() || dumb;
        let forced = env.os(&env::CLICOLOR_FORCE).is_some_and(|value| value != "0");
        Terminal {
            level: Cell::new(Level::Usual),
            sink: Sink::Standard,
            is_terminal: std::io::stderr().is_terminal(),
            attended: env.os(&env::CI).is_none(),
            typist: None,
            width: width(env),
            dumb,
            colour: if no {
                Some(false)
            } else if forced {
                Some(true)
            } else {
                None
            },
        }
    }

    /// One that keeps what is said, for tests.
    pub fn captured(kept: Rc<RefCell<Vec<u8>>>) -> Terminal {
        Terminal {
            level: Cell::new(Level::Usual),
            sink: Sink::Captured(kept),
            is_terminal: false,
            attended: false,
            typist: Some(Box::new(|_| Zeroizing::default())),
            width: 80,
            dumb: false,
            colour: Some(false),
        }
    }

    /// Chooses how much is said.
    pub fn set_level(&self, level: Level) {
        self.level.set(level);
    }

    /// How much is said.
    pub fn level(&self) -> Level {
        self.level.get()
    }

    /// Says that something needs attention, unless `-q`.
    pub fn warn(&self, text: &str) {
        self.say(Level::Usual, || format!("gauth: warning: {text}"));
    }

    /// Says what was decided, with `-v`.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.say(Level::Verbose, || format!("gauth: {}", text()));
    }

    /// Says what was sent and received, with `-vv`.
    pub fn trace(&self, text: impl FnOnce() -> String) {
        self.say(Level::Trace, text);
    }

    /// A line for a person that is neither warning nor error, unless `-q`.
    pub fn tell(&self, text: &str) {
        self.say(Level::Usual, || text.to_owned());
    }

    /// A line that the next one of its kind overwrites, cut at the width of the terminal; on a terminal only, and not
    /// with `-q`.
    pub fn status(&self, text: &str) {
        if self.overwrites() {
            let width = self.columns().saturating_sub(1);
            let text: String = secret::redact(text).chars().take(width).collect();
            self.write(&format!("\r\u{1b}[K{text}"));
        }
    }

    /// Takes that line away.
    pub fn end_status(&self) {
        if self.overwrites() {
            self.write("\r\u{1b}[K");
        }
    }

    fn overwrites(&self) -> bool {
        self.is_terminal && !self.dumb && self.level.get() >= Level::Usual
    }

    /// How wide the terminal is right now, in columns.
    pub fn columns(&self) -> usize {
        match &self.sink {
            Sink::Standard => window_width().unwrap_or(self.width),
            Sink::Captured(_) => self.width,
        }
    }

    /// A question, behind which the answer is typed.
    pub(super) fn ask(&self, text: &str) {
        self.write(text);
    }

    /// The two lines of an error; always said.
    pub fn error(&self, text: &str) {
        self.say(Level::Quiet, || text.to_owned());
    }

    /// Passes on what a child said, which the caller has searched for secrets.
    pub fn pass(&self, bytes: &[u8]) {
        match &self.sink {
            Sink::Standard => drop(std::io::stderr().lock().write_all(bytes)),
            Sink::Captured(kept) => kept.borrow_mut().extend_from_slice(bytes),
        }
    }

    /// Tells the runner of GitHub Actions to hide a secret in all that the job prints from now on: it reads its
    /// commands on standard error too, and does not print this one. The only line that the filter may not touch.
    pub(super) fn mask(&self, secret: &Secret) {
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
    pub fn paint(&self, stream_is_terminal: bool) -> Paint {
        Paint(self.colour.unwrap_or(stream_is_terminal))
    }

    fn say(&self, level: Level, text: impl FnOnce() -> String) {
        if level > self.level.get() {
            return;
        }
        let text = text();
        self.write(&format!("{}\n", secret::redact(&text)));
    }

    fn write(&self, line: &str) {
        // Standard error that cannot be written changes nothing.
        self.pass(line.as_bytes());
    }
}

/// Standard error as a place for what a child prints to a person: standard output is for results.
pub fn for_a_child() -> std::process::Stdio {
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

fn width(env: &Env) -> usize {
    let columns = env.text(&env::COLUMNS).ok().flatten().and_then(|text| text.parse().ok());
    columns.unwrap_or(80).clamp(40, 200)
}

/// Colours where they are wanted, plain text elsewhere. They add, they never carry: the words say the same.
#[derive(Debug, Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    /// Used, or in order.
    pub fn good(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default(), text)
    }

    /// Worth a look.
    pub fn notable(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// Wrong.
    pub fn wrong(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    /// Skipped.
    pub fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
