//! Buildkite's agent: a program of the job that prints a token. It is run without the permission that programs in
//! credential files need, because no file chooses it.

use std::ffi::OsString;
use std::time::Duration;

use crate::credentials::external_account::ci::CiJob;
use crate::credentials::external_account::format::SubjectTokenFormat;
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::error::{Error, ErrorKind, Result};
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::exec::{CaptureCommand, CommandFailure};
use crate::world::{env, exec};

/// How long it may take; it sends a request to Buildkite.
const AGENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The name of the program.
const AGENT_PROGRAM: &str = "buildkite-agent";

/// The agent of one job.
struct BuildkiteAgentSource {
    job_id: String,
    audience: String,
}

/// The agent, if this is a job of its.
///
/// # Errors
/// When the job's ID is no text.
pub(super) fn find(job: &CiJob<'_>) -> Result<Option<Box<dyn SubjectTokenSource>>> {
    let id = job.world.env.text(&env::BUILDKITE_JOB_ID)?;
    Ok(id.map(|id| -> Box<dyn SubjectTokenSource> {
        Box::new(BuildkiteAgentSource { job_id: id, audience: job.requested_audience() })
    }))
}

impl SubjectTokenSource for BuildkiteAgentSource {
    fn metrics_name(&self) -> &'static str {
        "executable"
    }

    fn location(&self) -> String {
        AGENT_PROGRAM.to_owned()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(AGENT_PROGRAM);
        hasher.add_text(&self.job_id);
        hasher.add_text(&self.audience);
    }

    fn subject_token(&self, _: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        let args = [AGENT_PROGRAM, "oidc", "request-token", "--audience", &self.audience];
        let args = args.map(OsString::from);
        let path = session.world().env.os(&env::PATH).map(|path| ("PATH", Some(path)));
        let changes: Vec<_> = path.into_iter().collect();
        let run = CaptureCommand { argv: &args, env_changes: &changes, timeout: AGENT_TIMEOUT, interactive: false };
        let printed = session
            .pause_deadline(|| exec::capture_output(&run, &*session.world().clock))
            .map_err(|failure| self.run_error(&failure))?;
        let unusable = |what| Error::no_answer(format!("{AGENT_PROGRAM}: what it printed {what}"));
        SubjectTokenFormat::Text.extract_token(&printed).map_err(|what| unusable(what).hint(self.manual_command()))
    }
}

impl BuildkiteAgentSource {
    fn run_error(&self, failure: &CommandFailure) -> Error {
        let (kind, why) = match failure {
            CommandFailure::NotStarted(why) => (ErrorKind::NoCredential, why.clone()),
            CommandFailure::Exit(code) => (ErrorKind::NoCredential, format!("ended with {code}")),
            CommandFailure::Signal(signal) => (ErrorKind::NoCredential, format!("was killed by signal {signal}")),
            CommandFailure::TimedOut => {
                (ErrorKind::NoAnswer, format!("did not end within {} s", AGENT_TIMEOUT.as_secs()))
            }
            CommandFailure::OutputTooLarge => (ErrorKind::NoAnswer, "printed more than a token can be".to_owned()),
            CommandFailure::Io(error) => (ErrorKind::NoAnswer, format!("lost, {}", crate::error::io_reason(error))),
        };
        Error::new(kind, format!("{AGENT_PROGRAM}: {why}")).hint(self.manual_command())
    }

    fn manual_command(&self) -> String {
        format!("{AGENT_PROGRAM} oidc request-token --audience {}", self.audience)
    }
}
