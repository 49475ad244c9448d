//! A token that allows less: an access token exchanged under a credential access boundary.

use std::rc::Rc;

use crate::boundary::Boundary;
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::source::Source;
use crate::credential::{About, Credential, Services};
use crate::error::{Error, ErrorKind, Result};
use crate::google::sts::{self, ACCESS_TOKEN, Exchange};
use crate::google::token as oauth;
use crate::token::{AccessRequest, IdentityRequest, Token, TokenRequest};
use crate::url::Url;
use crate::world::World;

/// A credential whose tokens are narrowed.
pub struct Downscoped {
    source: Source,
    boundary: Boundary,
    services: Services,
    universe: Option<String>,
}

impl Downscoped {
    /// `source` within a boundary, its tokens exchanged in the universe the user chose, or its own.
    pub fn new(
        source: Rc<dyn Credential>,
        boundary: Boundary,
        services: Services,
        universe: Option<String>,
    ) -> Downscoped {
        Downscoped { source: Source::as_wanted(source), boundary, services, universe }
    }
}

impl Credential for Downscoped {
    fn about(&self) -> &About {
        self.source.about()
    }

    fn describe(&self) -> Result<About> {
        self.source.describe()
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.source.refusal(world)
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        self.source.ask_about(broker)
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("downscoped");
        self.source.identify(digest);
        self.boundary.identify(digest);
        digest.optional(self.services.sts.as_ref().map(Url::as_str));
        digest.optional(self.universe.as_deref());
    }

    fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        match request {
            TokenRequest::Access(_) => self.source.prepare(request, broker),
            TokenRequest::SelfSigned(_) | TokenRequest::Identity(_) => Ok(()),
        }
    }

    fn identity_token(&self, _: &IdentityRequest, _: &Broker<'_>) -> Result<Token> {
        let error = Error::usage("an ID token cannot be narrowed: it opens no bucket");
        Err(error.hint("leave --downscope and --access-boundary away"))
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        let source = self.source.token(&TokenRequest::Access(request.clone()), broker)?;
        let wish = Exchange {
            requested_token_type: Some(ACCESS_TOKEN),
            subject: Some((&source.secret, ACCESS_TOKEN)),
            options: Some(self.boundary.options()),
            ..Exchange::default()
        };
        let universe = self.source.universe(self.universe.as_deref())?;
        let url = self.services.exchange(&universe)?;
        let now = broker.now();
        let response = broker.send(&sts::exchange(&url, &wish))?;
        let who = self.about().name();
        let granted = oauth::read(&response, url.authority(), now).map_err(|error| {
            if error.kind() != ErrorKind::Refused {
                return error;
            }
            error.hint_if_none(|| {
                format!(
                    "check the boundary, and that the token of {who} has the scope cloud-platform"
                )
            })
        })?;
        // It never outlives the token it was made of; of a user's token the server does not say more.
        let end = match (granted.expires_at, source.expires_at) {
            (Some(own), Some(its)) => Some(own.min(its)),
            (own, its) => own.or(its),
        };
        let mut token = Token::new(granted.access_token, &source.kind, end);
        token.scopes.clone_from(&source.scopes);
        Ok(self.source.about().stamp(token))
    }
}
