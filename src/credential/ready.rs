//! A ready access token from a variable or a file: used as it is, its life unknown.

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{About, Credential};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::token::{self, AccessRequest, Token};

/// A token somebody else minted.
pub struct Ready {
    token: Secret,
    about: About,
}

impl Ready {
    /// Takes a token found at `place`; white space around it is dropped, as gcloud does.
    ///
    /// # Errors
    /// Malformed, when it is empty or cannot be a token.
    pub fn new(raw: &[u8], place: &str) -> Result<Ready> {
        let malformed = |what| {
            Error::malformed(place, what)
                .hint(format!("put an access token there, or take {place} away"))
        };
        let text = std::str::from_utf8(raw).map_err(|_| malformed("is not UTF-8 text"))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(malformed("holds no token"));
        }
        let token = Secret::new(text);
        if text.starts_with('{') {
            return Err(malformed("holds JSON where a bare token belongs"));
        }
        if !token::well_formed(text) {
            return Err(malformed("holds no token: it has spaces or is too long"));
        }
        let about =
            About { kind: "access_token".to_owned(), place: place.to_owned(), ..About::default() };
        Ok(Ready { token, about })
    }

    /// Takes a token that gauth itself has got.
    pub fn known(token: Secret, about: About) -> Ready {
        Ready { token, about }
    }
}

impl Credential for Ready {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("access_token");
        digest.secret(&self.token);
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn access_token(&self, request: &AccessRequest, _: &Broker<'_>) -> Result<Token> {
        let wish = [
            ("--scopes", !request.scopes.is_empty()),
            ("--lifetime", request.lifetime.is_some()),
            ("--subject", request.subject.is_some()),
        ];
        if let Some((flag, _)) = wish.iter().find(|(_, given)| *given) {
            return Err(Error::unsupported(format!(
                "{} holds a ready token, which {flag} cannot change",
                self.about.place
            ))
            .hint(format!("leave {flag} away, or unset {}", self.about.place)));
        }
        Ok(self.about.stamp(Token::new(self.token.clone(), "access_token", None)))
    }
}
