//! Subject tokens from a person's login at an OpenID provider, as `gauth login --issuer` stores it: no other program
//! knows this source.

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::{Pool, SubjectSource};
use crate::credential::openid::Session;
use crate::credential::{AGAIN, Revocation, Setting};
use crate::error::Result;
use crate::json::Fields;
use crate::secret::Secret;
use crate::world::World;

/// A login.
struct Person(Session);

/// Reads the fields of the source.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub(super) fn parse(
    mut source: Fields,
    _: &Pool,
    setting: &Setting,
) -> Result<Box<dyn SubjectSource>> {
    const WITHIN: &str = "credential_source.openid";
    let malformed =
        |what: String| setting.malformed(format!("credential_source.{what}")).hint(AGAIN);
    let fields = source.object("openid").map_err(malformed)?;
    let mut fields =
        fields.ok_or_else(|| setting.malformed(format!("{WITHIN} is missing")).hint(AGAIN))?;
    Ok(Box::new(Person(Session::parse(&mut fields, WITHIN, setting)?)))
}

impl SubjectSource for Person {
    fn name(&self) -> &'static str {
        "programmatic"
    }

    fn place(&self) -> String {
        self.0.place()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("openid");
        self.0.identify(digest);
    }

    fn subject_token(&self, _: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        self.0.id_token(broker)
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.0.refusal(world)
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.0.revoke(broker)
    }
}
