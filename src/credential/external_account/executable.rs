//! Subject tokens printed by a program.

use crate::credential::Setting;
use crate::credential::external_account::{Pool, SubjectSource};
use crate::error::Result;
use crate::json::Fields;

/// Reads the fields of the source.
///
/// # Errors
/// Malformed, naming the field.
pub(super) fn parse(_: Fields, _: &Pool, setting: &Setting) -> Result<Box<dyn SubjectSource>> {
    Err(setting.malformed("programs are not read yet"))
}
