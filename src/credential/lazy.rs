//! Credentials that are opened only when a token has to be minted: a cached one needs no more than a name.

use std::cell::OnceCell;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{About, Credential, Revocation};
use crate::error::Result;
use crate::http::Identity;
use crate::token::{AccessRequest, IdentityRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// A credential that has been found and not been looked into.
pub trait Closed {
    /// What is known from outside.
    fn about(&self) -> &About;

    /// Adds what decides its tokens, as far as it can be told from outside.
    fn identify(&self, digest: &mut KeyDigest);

    /// Looks into it.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    fn open(&self) -> Result<Box<dyn Credential>>;

    /// What can be told of it without opening it, where opening it costs a person something.
    fn outline(&self) -> Option<Result<About>> {
        None
    }

    /// The same of its server's last refusal.
    fn refusal(&self, _: &World) -> Option<String> {
        None
    }
}

/// A closed credential, opened at the first question that needs it, and once.
pub struct Lazy<C> {
    closed: C,
    inner: OnceCell<Box<dyn Credential>>,
}

impl<C: Closed> Lazy<C> {
    /// Not opened yet.
    pub fn new(closed: C) -> Lazy<C> {
        Lazy { closed, inner: OnceCell::new() }
    }

    /// What is in it.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn inner(&self) -> Result<&dyn Credential> {
        if let Some(inner) = self.inner.get() {
            return Ok(&**inner);
        }
        let inner = self.closed.open()?;
        Ok(&**self.inner.get_or_init(|| inner))
    }
}

impl<C: Closed> Lazy<C> {
    /// The same for somebody who asks servers: what opening it takes is not taken from their time.
    fn opened(&self, broker: &Broker<'_>) -> Result<&dyn Credential> {
        broker.outside(|| self.inner())
    }
}

impl<C: Closed> Credential for Lazy<C> {
    fn about(&self) -> &About {
        self.inner.get().map_or_else(|| self.closed.about(), |inner| inner.about())
    }

    fn describe(&self) -> Result<About> {
        match self.inner.get().is_none().then(|| self.closed.outline()).flatten() {
            Some(outline) => outline,
            None => self.inner().map(|inner| inner.about().clone()),
        }
    }

    fn identify(&self, digest: &mut KeyDigest) {
        self.closed.identify(digest);
    }

    fn refusal(&self, world: &World) -> Option<String> {
        match self.inner.get().is_none() && self.closed.outline().is_some() {
            true => self.closed.refusal(world),
            false => self.inner().ok()?.refusal(world),
        }
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.opened(broker)?.revoke(broker)
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.opened(broker)?.access_token(request, broker)
    }

    fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        self.opened(broker)?.prepare(request, broker)
    }

    fn identity(&self, world: &World) -> Result<Option<Identity>> {
        self.inner()?.identity(world)
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        self.opened(broker)?.ask_about(broker)
    }

    fn identity_token(&self, request: &IdentityRequest, broker: &Broker<'_>) -> Result<Token> {
        self.opened(broker)?.identity_token(request, broker)
    }

    fn self_signed(&self, request: &SelfSignedRequest, broker: &Broker<'_>) -> Result<Token> {
        self.opened(broker)?.self_signed(request, broker)
    }
}
