//! Subject tokens from a user's login at an OpenID provider, as `gauth login --issuer` stores it: only gauth knows this
//! source.

use crate::credentials::ParseOptions;
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::credentials::oidc_session::OidcSession;
use crate::error::Result;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Revocation, Session};
use crate::world::World;

/// A login at an OpenID provider, whose ID tokens are the subject tokens.
struct OidcLoginSource(OidcSession);

/// Reads the fields of the source.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub(super) fn parse(
    mut source: JsonFields,
    _: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = parse_options.field_error("credential_source.");
    let fields = source.object("openid").map_err(malformed)?;
    let mut fields = fields.ok_or_else(|| malformed("openid is missing".to_owned()))?;
    let session = OidcSession::parse(&mut fields, "credential_source.openid", parse_options)?;
    Ok(Box::new(OidcLoginSource(session)))
}

impl SubjectTokenSource for OidcLoginSource {
    fn metrics_name(&self) -> &'static str {
        "programmatic"
    }

    fn location(&self) -> String {
        self.0.location()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("openid");
        self.0.hash_cache_key(hasher);
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.0.last_rejection(world)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        self.0.revoke(session)
    }

    fn subject_token(&self, _: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        self.0.id_token(session)
    }
}
