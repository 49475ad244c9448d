//! Downscoped tokens: access tokens exchanged under a credential access boundary.

use std::rc::Rc;

use crate::credentials::EndpointOverrides;
use crate::credentials::access_boundary::AccessBoundary;
use crate::credentials::source::SourceCredential;
use crate::error::{Error, ErrorKind, Result};
use crate::net::message::ClientCertificate;
use crate::net::url::Url;
use crate::oauth::token_exchange::{ACCESS_TOKEN_TYPE, TokenExchangeRequest};
use crate::oauth::{token as oauth, token_exchange};
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// A credential whose access tokens are downscoped.
pub struct DownscopedCredential {
    source: SourceCredential,
    access_boundary: AccessBoundary,
    endpoint_overrides: EndpointOverrides,
    chosen_universe: Option<String>,
}

impl DownscopedCredential {
    /// Downscopes the tokens of `source`, at the STS of the universe the user chose, or of its own.
    pub fn new(
        source: Rc<dyn Credential>,
        access_boundary: AccessBoundary,
        endpoint_overrides: EndpointOverrides,
        chosen_universe: Option<String>,
    ) -> DownscopedCredential {
        DownscopedCredential {
            source: SourceCredential::forwarding_requests(source),
            access_boundary,
            endpoint_overrides,
            chosen_universe,
        }
    }
}

/// The methods about its login are those of its source; tokens that cannot be downscoped are refused.
#[deny(clippy::missing_trait_methods)]
impl Credential for DownscopedCredential {
    fn info(&self) -> &CredentialInfo {
        self.source.credential().info()
    }

    fn load_info(&self) -> Result<CredentialInfo> {
        self.source.credential().load_info()
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.source.credential().last_rejection(world)
    }

    fn fetch_info(&self, session: &dyn Session) -> Result<CredentialInfo> {
        self.source.credential().fetch_info(session)
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        self.source.credential().revoke(session)
    }

    /// The new token is not bound to the certificate of its source.
    fn client_certificate(&self, _: &World) -> Result<Option<ClientCertificate>> {
        Ok(None)
    }

    /// Also where the source token is not: the exchange gives a new one.
    fn is_cacheable(&self) -> bool {
        true
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("downscoped");
        self.source.credential().hash_cache_key(hasher);
        self.access_boundary.hash_cache_key(hasher);
        hasher.add_optional(self.endpoint_overrides.sts.as_ref().map(Url::as_str));
        hasher.add_optional(self.chosen_universe.as_deref());
    }

    fn prepare(&self, request: &TokenRequest, session: &dyn Session) -> Result<()> {
        match request {
            TokenRequest::AccessToken(_) => self.source.prepare(request, session),
            TokenRequest::SelfSignedJwt(_) | TokenRequest::IdToken(_) => Ok(()),
        }
    }

    fn id_token(&self, _: &IdTokenRequest, _: &dyn Session) -> Result<Token> {
        let error = Error::usage("an ID token cannot be downscoped: it grants access to no bucket");
        Err(error.hint("remove --downscope and --access-boundary"))
    }

    fn self_signed_jwt(&self, _: &SelfSignedRequest, _: &dyn Session) -> Result<Token> {
        Err(self.info().signing_unsupported_error())
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        let source_token = self.source.token(&TokenRequest::AccessToken(request.clone()), session)?;
        let exchange_request = TokenExchangeRequest {
            requested_token_type: Some(ACCESS_TOKEN_TYPE),
            subject_token: Some((&source_token.secret, ACCESS_TOKEN_TYPE)),
            options: Some(self.access_boundary.options_json()),
            ..TokenExchangeRequest::default()
        };
        let universe = self.source.universe_domain(self.chosen_universe.as_deref())?;
        let url = self.endpoint_overrides.token_exchange_url(&universe)?;
        let now = session.now();
        let response = session.send(&token_exchange::token_exchange_request(&url, &exchange_request))?;
        let source_name = self.info().display_name();
        let granted = oauth::read_bearer_response(&response, url.authority(), now).map_err(|error| {
            if error.kind() != ErrorKind::Refused {
                return error;
            }
            error.hint_if_none(|| {
                format!("check the access boundary, and that the token of {source_name} has the scope cloud-platform")
            })
        })?;
        // It never outlives its source token; for a user's token the STS does not give an expiry.
        let end = match (granted.expires_at, source_token.expires_at) {
            (Some(own_expiry), Some(source_expiry)) => Some(own_expiry.min(source_expiry)),
            (own_expiry, source_expiry) => own_expiry.or(source_expiry),
        };
        let mut token = Token::new(granted.access_token, &source_token.credential_type, end);
        token.scopes.clone_from(&source_token.scopes);
        // A new one would be made from the same source token for as long as that is used.
        token.refresh_margin = source_token.refresh_margin;
        Ok(self.source.credential().info().annotate(token))
    }
}
