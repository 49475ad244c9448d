//! Credentials that are opened only when a token has to be minted: a cached one needs no more than a name.

use std::cell::OnceCell;

use crate::error::Result;
use crate::net::message::ClientCertificate;
use crate::tokens::broker::Broker;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// A credential that has been found and not been looked into.
pub trait UnparsedCredential {
    /// What is known from outside.
    fn info(&self) -> &CredentialInfo;

    /// Adds what decides its tokens, as far as it can be told from outside.
    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher);

    /// Looks into it.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    fn load(&self) -> Result<Box<dyn Credential>>;

    /// What can be told of it without opening it, where opening it costs a person something.
    fn info_without_secrets(&self) -> Option<Result<CredentialInfo>> {
        None
    }

    /// The same of its server's last refusal.
    fn last_rejection(&self, _: &World) -> Option<String> {
        None
    }
}

/// A closed credential, opened at the first question that needs it, and once.
pub struct LazyCredential<C> {
    unparsed: C,
    loaded: OnceCell<Box<dyn Credential>>,
}

impl<C: UnparsedCredential> LazyCredential<C> {
    /// Not opened yet.
    pub fn new(unparsed: C) -> LazyCredential<C> {
        LazyCredential { unparsed, loaded: OnceCell::new() }
    }

    /// What is in it.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn load(&self) -> Result<&dyn Credential> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(&**loaded);
        }
        let loaded = self.unparsed.load()?;
        Ok(&**self.loaded.get_or_init(|| loaded))
    }
}

impl<C: UnparsedCredential> LazyCredential<C> {
    /// The same for somebody who asks servers: what opening it takes is not taken from their time.
    fn load_outside_deadline(&self, broker: &Broker<'_>) -> Result<&dyn Credential> {
        broker.pause_deadline(|| self.load())
    }
}

impl<C: UnparsedCredential> Credential for LazyCredential<C> {
    fn info(&self) -> &CredentialInfo {
        self.loaded.get().map_or_else(|| self.unparsed.info(), |inner| inner.info())
    }

    fn load_info(&self) -> Result<CredentialInfo> {
        match self.loaded.get().is_none().then(|| self.unparsed.info_without_secrets()).flatten() {
            Some(info) => info,
            None => self.load().map(|inner| inner.info().clone()),
        }
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        self.unparsed.hash_cache_key(hasher);
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        match self.loaded.get().is_none() && self.unparsed.info_without_secrets().is_some() {
            true => self.unparsed.last_rejection(world),
            false => self.load().ok()?.last_rejection(world),
        }
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.load_outside_deadline(broker)?.revoke(broker)
    }

    fn access_token(&self, request: &AccessTokenRequest, broker: &Broker<'_>) -> Result<Token> {
        self.load_outside_deadline(broker)?.access_token(request, broker)
    }

    fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        self.load_outside_deadline(broker)?.prepare(request, broker)
    }

    fn client_certificate(&self, world: &World) -> Result<Option<ClientCertificate>> {
        self.load()?.client_certificate(world)
    }

    fn fetch_info(&self, broker: &Broker<'_>) -> Result<CredentialInfo> {
        self.load_outside_deadline(broker)?.fetch_info(broker)
    }

    fn id_token(&self, request: &IdTokenRequest, broker: &Broker<'_>) -> Result<Token> {
        self.load_outside_deadline(broker)?.id_token(request, broker)
    }

    fn self_signed_jwt(&self, request: &SelfSignedRequest, broker: &Broker<'_>) -> Result<Token> {
        self.load_outside_deadline(broker)?.self_signed_jwt(request, broker)
    }
}
