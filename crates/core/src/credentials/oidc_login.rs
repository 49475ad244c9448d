//! Logins at another OpenID provider without a workforce or workload pool: they give the provider's ID tokens, and no
//! access tokens of Google.

use crate::credentials::oidc_session::{CREDENTIAL_TYPE, OidcSession};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions};
use crate::error::{Error, Result};
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, Token};
use crate::world::World;

struct OidcLogin {
    info: CredentialInfo,
    oidc_session: OidcSession,
}

/// Reads the fields of a login.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub(super) fn parse(mut fields: JsonFields, parse_options: &ParseOptions) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
    let account = fields.non_empty_text("account").map_err(malformed)?;
    let account = account.or_else(|| parse_options.account.clone());
    let oidc_session = OidcSession::parse(&mut fields, "", parse_options)?.with_account(account.as_deref());
    let info = CredentialInfo {
        credential_type: CREDENTIAL_TYPE.to_owned(),
        location: parse_options.location.clone(),
        account,
        quota_project: parse_options.read_quota_project(&mut fields)?,
        ..CredentialInfo::default()
    };
    Ok(Box::new(OidcLogin { info, oidc_session }))
}

impl Credential for OidcLogin {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(CREDENTIAL_TYPE);
        self.oidc_session.hash_cache_key(hasher);
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.oidc_session.last_rejection(world)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        self.oidc_session.revoke(session)
    }

    fn access_token(&self, _: &AccessTokenRequest, _: &dyn Session) -> Result<Token> {
        Err(self.info.unsupported_error("give access tokens of Google").hint(
            "gauth id-token gives the provider's ID token; or sign in for a pool of Google's: gauth login --issuer \
             URL --workload-identity-provider NAME",
        ))
    }

    fn id_token(&self, request: &IdTokenRequest, session: &dyn Session) -> Result<Token> {
        self.info.check_id_token_options(request)?;
        let client_id = &self.oidc_session.client_id;
        if let Some(audience) = request.audience.as_deref().filter(|audience| audience != client_id) {
            let (name, audience) = (self.info.display_name(), printable::text(audience));
            return Err(Error::unsupported(format!(
                "{name} is a login at another provider, whose ID tokens are for its client {} only, not for {audience}",
                printable::text(client_id)
            ))
            .hint("remove --audiences"));
        }
        Ok(self.info.annotate(Token::from_id_token(self.oidc_session.id_token(session)?, CREDENTIAL_TYPE)))
    }
}
