//! Credentials that are parsed only when they are needed: for a cached token the text of the file is enough.

use std::cell::OnceCell;

use crate::error::Result;
use crate::net::message::ClientCertificate;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// A credential that was found and is not parsed yet.
pub trait UnparsedCredential {
    /// What is known without parsing it.
    fn info(&self) -> &CredentialInfo;

    /// Adds everything that decides its tokens to a cache key, without parsing it.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher);

    /// Parses it, and opens the store its secrets are in.
    ///
    /// # Errors
    /// `Malformed`, or those of the store.
    fn load(&self) -> Result<Box<dyn Credential>>;

    /// What is known without its secrets, where they are in a store that may ask the user to unlock it.
    fn info_without_secrets(&self) -> Option<Result<CredentialInfo>> {
        None
    }

    /// The reason its server gave when it last refused it, where its secrets are in such a store.
    fn last_rejection(&self, _: &World) -> Option<String> {
        None
    }
}

/// A credential that is parsed once, by the first method that needs it.
pub struct LazyCredential<C> {
    unparsed: C,
    loaded: OnceCell<Box<dyn Credential>>,
}

impl<C: UnparsedCredential> LazyCredential<C> {
    /// Wraps a credential without parsing it.
    pub fn new(unparsed: C) -> LazyCredential<C> {
        LazyCredential { unparsed, loaded: OnceCell::new() }
    }

    /// The parsed credential.
    ///
    /// # Errors
    /// Those of [`UnparsedCredential::load`].
    pub fn load(&self) -> Result<&dyn Credential> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(&**loaded);
        }
        let loaded = self.unparsed.load()?;
        Ok(&**self.loaded.get_or_init(|| loaded))
    }

    /// As [`LazyCredential::load`]; the time it takes is not taken from the session's budget for requests.
    fn load_outside_deadline(&self, session: &dyn Session) -> Result<&dyn Credential> {
        session.pause_deadline(|| self.load())
    }
}

/// Every method is that of the parsed credential, except those that need no parsing.
#[deny(clippy::missing_trait_methods)]
impl<C: UnparsedCredential> Credential for LazyCredential<C> {
    fn info(&self) -> &CredentialInfo {
        self.loaded.get().map_or_else(|| self.unparsed.info(), |parsed| parsed.info())
    }

    fn load_info(&self) -> Result<CredentialInfo> {
        match self.loaded.get().is_none().then(|| self.unparsed.info_without_secrets()).flatten() {
            Some(info) => info,
            None => self.load().and_then(|parsed| parsed.load_info()),
        }
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        self.unparsed.hash_cache_key(hasher);
    }

    /// A cached token is found before the credential is parsed.
    fn is_cacheable(&self) -> bool {
        self.loaded.get().is_none_or(|parsed| parsed.is_cacheable())
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        match self.loaded.get().is_none() && self.unparsed.info_without_secrets().is_some() {
            true => self.unparsed.last_rejection(world),
            false => self.load().ok()?.last_rejection(world),
        }
    }

    fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        self.load_outside_deadline(session)?.revoke(session)
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        self.load_outside_deadline(session)?.access_token(request, session)
    }

    fn prepare(&self, request: &TokenRequest, session: &dyn Session) -> Result<()> {
        self.load_outside_deadline(session)?.prepare(request, session)
    }

    fn client_certificate(&self, world: &World) -> Result<Option<ClientCertificate>> {
        self.load()?.client_certificate(world)
    }

    fn fetch_info(&self, session: &dyn Session) -> Result<CredentialInfo> {
        self.load_outside_deadline(session)?.fetch_info(session)
    }

    fn id_token(&self, request: &IdTokenRequest, session: &dyn Session) -> Result<Token> {
        self.load_outside_deadline(session)?.id_token(request, session)
    }

    fn self_signed_jwt(&self, request: &SelfSignedRequest, session: &dyn Session) -> Result<Token> {
        self.load_outside_deadline(session)?.self_signed_jwt(request, session)
    }
}
