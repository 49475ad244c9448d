//! Logins at somebody else's OpenID provider that stand for nobody at Google: they give the provider's ID tokens, and
//! no access tokens.

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::openid::{KIND, Session};
use crate::credential::{AGAIN, About, Credential, Revocation, Setting};
use crate::error::{Error, Result};
use crate::json::Fields;
use crate::printable;
use crate::token::{AccessRequest, IdentityRequest, Token};
use crate::world::World;

struct OpenIdLogin {
    about: About,
    session: Session,
}

/// Reads the fields of a login.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub(super) fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let account = fields.text("account").map_err(malformed)?.filter(|name| !name.is_empty());
    let account = account.or_else(|| setting.account.clone());
    let session = Session::parse(&mut fields, "", setting)?.of(account.as_deref());
    let about = About {
        kind: KIND.to_owned(),
        place: setting.place.clone(),
        account,
        quota_project: setting.quota_project(&mut fields)?,
        ..About::default()
    };
    Ok(Box::new(OpenIdLogin { about, session }))
}

impl Credential for OpenIdLogin {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field(KIND);
        self.session.identify(digest);
    }

    fn access_token(&self, _: &AccessRequest, _: &Broker<'_>) -> Result<Token> {
        Err(self.about.cannot("give access tokens of Google's").hint(
            "gauth id-token gives the provider's ID token; or sign in for a pool of Google's: gauth login --issuer \
             URL --workload-identity-provider NAME",
        ))
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.session.refusal(world)
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.session.revoke(broker)
    }

    fn identity_token(&self, request: &IdentityRequest, broker: &Broker<'_>) -> Result<Token> {
        self.about.plain_identity(request)?;
        let own = &self.session.client_id;
        if let Some(audience) = request.audience.as_deref().filter(|wanted| wanted != own) {
            let (name, audience) = (self.about.name(), printable::text(audience));
            return Err(Error::unsupported(format!(
                "{name} is a login at another provider, whose ID tokens are for its client {} only, not for {audience}",
                printable::text(own)
            ))
            .hint("leave --audiences away"));
        }
        Ok(self.about.stamp(Token::identity(self.session.id_token(broker)?, KIND)))
    }
}
