//! Buildkite's agent: a program of the job's own that prints a token. What it asks is no interface for others, so
//! it is run, this one program, without the leave that programs in credential files need.

use std::ffi::OsString;
use std::time::Duration;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::ci::Job;
use crate::credential::external_account::format::Format;
use crate::credential::external_account::{Pool, SubjectSource};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::world::env;
use crate::world::exec::{self, Failure, Run};

/// How long it may take; it asks Buildkite over the network.
const LIMIT: Duration = Duration::from_secs(20);

/// What it is called.
const PROGRAM: &str = "buildkite-agent";

/// The agent, in one job.
struct Agent {
    job: String,
    audience: String,
}

/// The agent, if this is a job of its.
///
/// # Errors
/// When the job's ID is no text.
pub(super) fn source(job: &Job<'_>) -> Result<Option<Box<dyn SubjectSource>>> {
    let id = job.world.env.text(&env::BUILDKITE_JOB_ID)?;
    Ok(id.map(|id| -> Box<dyn SubjectSource> {
        Box::new(Agent { job: id, audience: job.wanted() })
    }))
}

impl SubjectSource for Agent {
    fn name(&self) -> &'static str {
        "executable"
    }

    fn place(&self) -> String {
        PROGRAM.to_owned()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field(PROGRAM);
        digest.field(&self.job);
        digest.field(&self.audience);
    }

    fn subject_token(&self, _: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        let words = [PROGRAM, "oidc", "request-token", "--audience", &self.audience];
        let words = words.map(OsString::from);
        let path = broker.world.env.os(&env::PATH).map(|path| ("PATH", Some(path)));
        let changes: Vec<_> = path.into_iter().collect();
        let run = Run { words: &words, changes: &changes, limit: LIMIT, interactive: false };
        let printed = broker
            .outside(|| exec::capture(&run, &*broker.world.clock))
            .map_err(|failure| self.failed(&failure))?;
        let unusable = |what| Error::no_answer(format!("{PROGRAM}: what it printed {what}"));
        Format::Text.read(&printed).map_err(|what| unusable(what).hint(self.by_hand()))
    }
}

impl Agent {
    fn failed(&self, failure: &Failure) -> Error {
        let (kind, why) = match failure {
            Failure::NotStarted(why) => (ErrorKind::NoCredential, why.clone()),
            Failure::Exit(code) => (ErrorKind::NoCredential, format!("ended with {code}")),
            Failure::Signal(signal) => {
                (ErrorKind::NoCredential, format!("died of signal {signal}"))
            }
            Failure::TooSlow => {
                (ErrorKind::NoAnswer, format!("did not end within {} s", LIMIT.as_secs()))
            }
            Failure::TooMuch => (ErrorKind::NoAnswer, "printed more than any token is".to_owned()),
            Failure::Lost(error) => {
                (ErrorKind::NoAnswer, format!("lost, {}", crate::error::io_reason(error)))
            }
        };
        Error::new(kind, format!("{PROGRAM}: {why}")).hint(self.by_hand())
    }

    fn by_hand(&self) -> String {
        format!("{PROGRAM} oidc request-token --audience {}", self.audience)
    }
}
