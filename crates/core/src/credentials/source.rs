//! The source of another credential: its token is exchanged for the other one's.

use std::cell::RefCell;
use std::rc::Rc;

use crate::error::Result;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::tokens::credential::{Credential, Session};
use crate::tokens::{Token, TokenRequest};

/// Seconds the source token must have left to be used again.
const MIN_SOURCE_TOKEN_SECONDS: i64 = 60;

/// A credential, and its token once that is fetched.
pub struct SourceCredential {
    credential: Rc<dyn Credential>,
    /// Whether the source gets the same request as the credential made from it; otherwise its token is for IAM.
    forwards_request: bool,
    token: RefCell<Option<Rc<Token>>>,
}

impl SourceCredential {
    /// A source whose token gets another one from IAM.
    pub fn for_iam(credential: Rc<dyn Credential>) -> SourceCredential {
        SourceCredential { credential, forwards_request: false, token: RefCell::default() }
    }

    /// A source that gets the same request as the credential made from it.
    pub fn forwarding_requests(credential: Rc<dyn Credential>) -> SourceCredential {
        SourceCredential { credential, forwards_request: true, token: RefCell::default() }
    }

    /// The credential itself, for everything but its token.
    pub fn credential(&self) -> &dyn Credential {
        &*self.credential
    }

    /// The universe domain the user chose, or the credential's own.
    ///
    /// # Errors
    /// When its file is malformed.
    pub fn universe_domain(&self, chosen_universe: Option<&str>) -> Result<String> {
        match chosen_universe {
            Some(chosen) => Ok(chosen.to_owned()),
            None => Ok(self.credential.load_info()?.universe_domain.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned())),
        }
    }

    /// Fetches its token, unless the one fetched before is fresh: a run that outlives a token prepares again.
    ///
    /// # Errors
    /// Those of the credential.
    pub fn prepare(&self, request: &TokenRequest, session: &dyn Session) -> Result<()> {
        let known_token = self.token.borrow().clone();
        match known_token.is_some_and(|token| token.is_fresh(session.now(), MIN_SOURCE_TOKEN_SECONDS)) {
            true => Ok(()),
            false => self.fetch_token(request, session).map(drop),
        }
    }

    /// Its token: the one fetched by `prepare`, however long that lasts, because the lock of another cache entry is
    /// held now; without one, it is fetched.
    ///
    /// # Errors
    /// Those of the credential.
    pub fn token(&self, request: &TokenRequest, session: &dyn Session) -> Result<Rc<Token>> {
        let known_token = self.token.borrow().clone();
        known_token.map_or_else(|| self.fetch_token(request, session), Ok)
    }

    fn fetch_token(&self, request: &TokenRequest, session: &dyn Session) -> Result<Rc<Token>> {
        let token = Rc::new(match self.forwards_request {
            true => session.token(&*self.credential, request)?,
            false => session.source_token(&*self.credential)?,
        });
        self.token.replace(Some(Rc::clone(&token)));
        Ok(token)
    }
}
