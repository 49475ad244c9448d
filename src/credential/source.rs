//! The credential behind another one: whose token is exchanged for the one that is wanted.

use std::cell::RefCell;
use std::rc::Rc;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{About, Credential, Revocation};
use crate::error::Result;
use crate::http::Identity;
use crate::token::{Token, TokenRequest};
use crate::trust::DEFAULT_UNIVERSE;
use crate::world::World;

/// What a token must have left to be used once more, in seconds.
const LEAST: i64 = 60;

/// A credential, and its token once there is one.
pub struct Source {
    credential: Rc<dyn Credential>,
    /// `None`: the token is for IAM only. Otherwise it is asked for as the wanted one is.
    as_wanted: bool,
    token: RefCell<Option<Rc<Token>>>,
}

impl Source {
    /// A source whose token gets another one from IAM.
    pub fn for_iam(credential: Rc<dyn Credential>) -> Source {
        Source { credential, as_wanted: false, token: RefCell::default() }
    }

    /// A source that is asked for the very token that is wanted.
    pub fn as_wanted(credential: Rc<dyn Credential>) -> Source {
        Source { credential, as_wanted: true, token: RefCell::default() }
    }

    /// What is known of it.
    pub fn about(&self) -> &About {
        self.credential.about()
    }

    /// What files tell of it.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn describe(&self) -> Result<About> {
        self.credential.describe()
    }

    /// The universe of the user's choice, or its own.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn universe(&self, chosen: Option<&str>) -> Result<String> {
        match chosen {
            Some(chosen) => Ok(chosen.to_owned()),
            None => {
                Ok(self.describe()?.universe_domain.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned()))
            }
        }
    }

    /// In what words its server refused it, as far as that is remembered.
    pub fn refusal(&self, world: &World) -> Option<String> {
        self.credential.refusal(world)
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
    pub fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        self.credential.ask_about(broker)
    }

    /// What servers are shown in its name (mutual TLS).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    pub fn identity(&self, world: &World) -> Result<Option<Identity>> {
        self.credential.identity(world)
    }

    /// Adds what decides its tokens.
    pub fn identify(&self, digest: &mut KeyDigest) {
        self.credential.identify(digest);
    }

    /// Gets its token, unless the one at hand lasts: a program that lives longer than a token comes here again.
    ///
    /// # Errors
    /// Why there is none.
    pub fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        let held = self.token.borrow().clone();
        match held.is_some_and(|token| token.fresh(broker.now(), LEAST)) {
            true => Ok(()),
            false => self.get(request, broker).map(drop),
        }
    }

    /// Its token: the one it was prepared with, however long that lasts, because the lock of another token is held
    /// by now; or one got for a caller who holds none.
    ///
    /// # Errors
    /// Why there is none.
    pub fn token(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<Rc<Token>> {
        let held = self.token.borrow().clone();
        held.map_or_else(|| self.get(request, broker), Ok)
    }

    fn get(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<Rc<Token>> {
        let token = Rc::new(match self.as_wanted {
            true => broker.token(&*self.credential, request)?,
            false => broker.source_token(&*self.credential)?,
        });
        self.token.replace(Some(Rc::clone(&token)));
        Ok(token)
    }
}
