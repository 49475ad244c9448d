//! The credential behind another one: whose token is exchanged for the one that is wanted.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::Result;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::net::message::ClientCertificate;
use crate::tokens::broker::Broker;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Revocation};
use crate::tokens::{Token, TokenRequest};
use crate::world::World;

/// What a token must have left to be used once more, in seconds.
const MIN_SOURCE_TOKEN_SECONDS: i64 = 60;

/// A credential, and its token once there is one.
pub struct SourceCredential {
    credential: Rc<dyn Credential>,
    /// `None`: the token is for IAM only. Otherwise it is asked for as the wanted one is.
    forwards_request: bool,
    token: RefCell<Option<Rc<Token>>>,
}

impl SourceCredential {
    /// A source whose token gets another one from IAM.
    pub fn for_iam(credential: Rc<dyn Credential>) -> SourceCredential {
        SourceCredential { credential, forwards_request: false, token: RefCell::default() }
    }

    /// A source that is asked for the very token that is wanted.
    pub fn forwarding_requests(credential: Rc<dyn Credential>) -> SourceCredential {
        SourceCredential { credential, forwards_request: true, token: RefCell::default() }
    }

    /// What is known of it.
    pub fn info(&self) -> &CredentialInfo {
        self.credential.info()
    }

    /// What files tell of it.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn load_info(&self) -> Result<CredentialInfo> {
        self.credential.load_info()
    }

    /// The universe of the user's choice, or its own.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn universe_domain(&self, chosen_universe: Option<&str>) -> Result<String> {
        match chosen_universe {
            Some(chosen) => Ok(chosen.to_owned()),
            None => {
                Ok(self.load_info()?.universe_domain.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned()))
            }
        }
    }

    /// In what words its server refused it, as far as that is remembered.
    pub fn last_rejection(&self, world: &World) -> Option<String> {
        self.credential.last_rejection(world)
    }

    /// Ends its login at its server.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.credential.revoke(broker)
    }

    /// What only a server tells of it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn fetch_info(&self, broker: &Broker<'_>) -> Result<CredentialInfo> {
        self.credential.fetch_info(broker)
    }

    /// What servers are shown in its name (mutual TLS).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    pub fn identity(&self, world: &World) -> Result<Option<ClientCertificate>> {
        self.credential.client_certificate(world)
    }

    /// Adds what decides its tokens.
    pub fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        self.credential.hash_cache_key(hasher);
    }

    /// Gets its token, unless the one at hand lasts: a program that lives longer than a token comes here again.
    ///
    /// # Errors
    /// Why there is none.
    pub fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        let known_token = self.token.borrow().clone();
        match known_token
            .is_some_and(|token| token.is_fresh(broker.now(), MIN_SOURCE_TOKEN_SECONDS))
        {
            true => Ok(()),
            false => self.fetch_token(request, broker).map(drop),
        }
    }

    /// Its token: the one it was prepared with, however long that lasts, because the lock of another token is held
    /// by now; or one got for a caller who holds none.
    ///
    /// # Errors
    /// Why there is none.
    pub fn token(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<Rc<Token>> {
        let known_token = self.token.borrow().clone();
        known_token.map_or_else(|| self.fetch_token(request, broker), Ok)
    }

    fn fetch_token(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<Rc<Token>> {
        let token = Rc::new(match self.forwards_request {
            true => broker.token(&*self.credential, request)?,
            false => broker.source_token(&*self.credential)?,
        });
        self.token.replace(Some(Rc::clone(&token)));
        Ok(token)
    }
}
