//! A token that allows less: an access token exchanged under a credential access boundary.

use std::rc::Rc;

use crate::credentials::EndpointOverrides;
use crate::credentials::access_boundary::AccessBoundary;
use crate::credentials::source::SourceCredential;
use crate::error::{Error, ErrorKind, Result};
use crate::net::url::Url;
use crate::oauth::token as oauth;
use crate::oauth::token_exchange;
use crate::oauth::token_exchange::{ACCESS_TOKEN_TYPE, TokenExchangeRequest};
use crate::tokens::broker::Broker;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, Token, TokenRequest};
use crate::world::World;

/// A credential whose tokens are narrowed.
pub struct DownscopedCredential {
    source: SourceCredential,
    access_boundary: AccessBoundary,
    endpoint_overrides: EndpointOverrides,
    chosen_universe: Option<String>,
}

impl DownscopedCredential {
    /// `source` within a boundary, its tokens exchanged in the universe the user chose, or its own.
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

impl Credential for DownscopedCredential {
    fn info(&self) -> &CredentialInfo {
        self.source.info()
    }

    fn load_info(&self) -> Result<CredentialInfo> {
        self.source.load_info()
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        self.source.last_rejection(world)
    }

    fn fetch_info(&self, broker: &Broker<'_>) -> Result<CredentialInfo> {
        self.source.fetch_info(broker)
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("downscoped");
        self.source.hash_cache_key(hasher);
        self.access_boundary.hash_cache_key(hasher);
        hasher.add_optional(self.endpoint_overrides.sts.as_ref().map(Url::as_str));
        hasher.add_optional(self.chosen_universe.as_deref());
    }

    fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        match request {
            TokenRequest::AccessToken(_) => self.source.prepare(request, broker),
            TokenRequest::SelfSignedJwt(_) | TokenRequest::IdToken(_) => Ok(()),
        }
    }

    fn id_token(&self, _: &IdTokenRequest, _: &Broker<'_>) -> Result<Token> {
        let error = Error::usage("an ID token cannot be narrowed: it opens no bucket");
        Err(error.hint("leave --downscope and --access-boundary away"))
    }

    fn access_token(&self, request: &AccessTokenRequest, broker: &Broker<'_>) -> Result<Token> {
        let source_token =
            self.source.token(&TokenRequest::AccessToken(request.clone()), broker)?;
        let exchange_request = TokenExchangeRequest {
            requested_token_type: Some(ACCESS_TOKEN_TYPE),
            subject_token: Some((&source_token.secret, ACCESS_TOKEN_TYPE)),
            options: Some(self.access_boundary.options_json()),
            ..TokenExchangeRequest::default()
        };
        let universe = self.source.universe_domain(self.chosen_universe.as_deref())?;
        let url = self.endpoint_overrides.token_exchange_url(&universe)?;
        let now = broker.now();
        let response =
            broker.send(&token_exchange::token_exchange_request(&url, &exchange_request))?;
        let source_name = self.info().display_name();
        let granted = oauth::read_bearer_response(&response, url.authority(), now).map_err(|error| {
            if error.kind() != ErrorKind::Refused {
                return error;
            }
            error.hint_if_none(|| {
                format!(
                    "check the boundary, and that the token of {source_name} has the scope cloud-platform"
                )
            })
        })?;
        // It never outlives the token it was made of; of a user's token the server does not say more.
        let end = match (granted.expires_at, source_token.expires_at) {
            (Some(own_expiry), Some(source_expiry)) => Some(own_expiry.min(source_expiry)),
            (own_expiry, source_expiry) => own_expiry.or(source_expiry),
        };
        let mut token = Token::new(granted.access_token, &source_token.credential_type, end);
        token.scopes.clone_from(&source_token.scopes);
        Ok(self.source.info().annotate(token))
    }
}
