//! The OIDC tokens that CI systems give to their jobs.

use crate::credential::Setting;
use crate::credential::external_account::SubjectSource;
use crate::error::{Error, Result};
use crate::world::World;

/// The token of the CI system this runs in, for the provider with this audience.
///
/// # Errors
/// When none is found.
pub(super) fn find(_: &str, _: &Setting, _: &World) -> Result<Box<dyn SubjectSource>> {
    Err(Error::usage("no CI system is recognised").hint("--subject-token-file FILE"))
}
