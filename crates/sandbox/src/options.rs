//! The options of a sandbox.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::admitted::AdmittedCredential;
use crate::environment::DefaultCredential;
use crate::faults::Fault;
use gauth_core::text::secret::Secret;
use gauth_core::world::clock::{Clock, SystemClock};
use gauth_core::world::files;

/// The options of a sandbox.
pub struct SandboxOptions {
    /// The private key of the service account and of Google as PEM. Without it two keys are generated, which takes a
    /// moment.
    pub key: Option<Secret>,
    /// The clock that decides whether assertions and tokens are expired.
    pub clock: Arc<dyn Clock>,
    /// The faults of the run.
    pub faults: Vec<Fault>,
    /// A delay before every response.
    pub latency: Duration,
    /// The port to listen on; 0 selects a free one.
    pub port: u16,
    /// Credentials of the caller that the sandbox accepts.
    pub admitted: Vec<AdmittedCredential>,
    /// The credential that Application Default Credentials finds.
    pub default_credential: DefaultCredential,
    /// The folder in which the sandbox's folder is created.
    pub parent_folder: PathBuf,
    /// The program that `gauth` starts inside the sandbox.
    pub gauth_program: Option<PathBuf>,
}

impl Default for SandboxOptions {
    fn default() -> SandboxOptions {
        SandboxOptions {
            key: None,
            clock: Arc::new(SystemClock::new()),
            faults: Vec::new(),
            latency: Duration::ZERO,
            port: 0,
            admitted: Vec::new(),
            default_credential: DefaultCredential::ServiceAccount,
            parent_folder: files::temporary_folder(),
            gauth_program: None,
        }
    }
}
