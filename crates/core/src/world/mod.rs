//! Everything outside the process, behind doors: variables, clock, randomness, HTTP, terminal, folders, streams.
//!
//! Code that needs the outside takes a `&World`; code that can take a value does not. Each door has a double
//! for tests, so that a whole command can run inside a test with nothing of the machine in it.

pub mod clock;
pub mod env;
pub mod exec;
pub mod files;
pub mod folders;
pub mod interrupt;
pub mod listen;
pub mod private_file;
pub mod process_hardening;
pub mod prompt;
pub mod random;
pub mod streams;
pub mod terminal;
pub mod threads;

use std::sync::Arc;

use crate::net::transport::Http;
use crate::text::secret::Secret;
use crate::world::clock::Clock;
use crate::world::env::Env;
use crate::world::folders::Folders;
use crate::world::random::Random;
use crate::world::streams::Streams;
use crate::world::terminal::Terminal;

/// The outside, as one value.
pub struct World {
    /// The environment variables of the process.
    pub env: Env,
    /// The clock, which also waits.
    pub clock: Arc<dyn Clock>,
    /// The system's source of unpredictable bytes.
    pub random: Box<dyn Random>,
    /// The network, one HTTP request at a time.
    pub http: Box<dyn Http>,
    /// Messages to the user on standard error, and prompts.
    pub terminal: Terminal,
    /// Standard input and output.
    pub streams: Streams,
    /// Where things are kept.
    pub folders: Folders,
    /// When this process began, in Unix milliseconds.
    pub started_at_millis: i64,
}

impl World {
    /// The real one, with the network behind `http`.
    pub fn real(http: Box<dyn Http>) -> World {
        let env = Env::Process;
        let clock: Arc<dyn Clock> = Arc::new(clock::SystemClock::new());
        World {
            folders: Folders::from_env(&env),
            terminal: Terminal::standard(&env),
            streams: Streams::standard(),
            http,
            random: Box::new(random::SystemRandom),
            started_at_millis: clock.unix_millis(),
            clock,
            env,
        }
    }

    /// Whether gauth may prompt the user: it runs in the foreground of a terminal, and `CI` is unset.
    pub fn is_interactive(&self) -> bool {
        let at_terminal = self.terminal.is_terminal && self.streams.stdin_is_terminal;
        let has_scripted_input = self.terminal.scripted_input.is_some();
        self.terminal.may_prompt && at_terminal && (has_scripted_input || !prompt::is_in_background())
    }

    /// Keeps a token out of the log of GitHub Actions, whose own secrets are all it hides by itself: to be called
    /// before the token goes anywhere. Elsewhere nothing happens.
    pub fn mask_in_ci_log(&self, token: &Secret) {
        let on_github = self.env.os(&env::GITHUB_ACTIONS).is_some_and(|value| value == "true");
        if on_github && !token.is_empty() {
            self.terminal.add_github_mask(token);
        }
    }
}
