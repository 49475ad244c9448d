//! Static access tokens from a variable or a file: used as they are, their expiry unknown.

use crate::error::{Error, Result};
use crate::text::bearer_token;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Session};
use crate::tokens::{AccessTokenRequest, Token};

/// An access token that gauth did not fetch.
pub struct StaticToken {
    token: Secret,
    info: CredentialInfo,
}

impl StaticToken {
    /// The token found at `location`; white space around it is removed, as gcloud does.
    ///
    /// # Errors
    /// `Malformed`, when it is empty or cannot be a token.
    pub fn new(raw: &[u8], location: &str) -> Result<StaticToken> {
        let malformed =
            |what| Error::malformed(location, what).hint(format!("put an access token there, or remove {location}"));
        let text = std::str::from_utf8(raw).map_err(|_| malformed("is not UTF-8 text"))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(malformed("holds no token"));
        }
        let token = Secret::new(text);
        if text.starts_with('{') {
            return Err(malformed("holds JSON, not an access token"));
        }
        if !bearer_token::is_well_formed(text) {
            return Err(malformed("holds no token: it has spaces or is too long"));
        }
        let info = CredentialInfo {
            credential_type: "access_token".to_owned(),
            location: location.to_owned(),
            ..CredentialInfo::default()
        };
        Ok(StaticToken { token, info })
    }

    /// A token that gauth fetched itself.
    pub fn from_token(token: Secret, info: CredentialInfo) -> StaticToken {
        StaticToken { token, info }
    }
}

impl Credential for StaticToken {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("access_token");
        hasher.add_secret(&self.token);
    }

    fn is_cacheable(&self) -> bool {
        false
    }

    fn access_token(&self, request: &AccessTokenRequest, _: &dyn Session) -> Result<Token> {
        let unsupported_flags = [
            ("--scopes", !request.scopes.is_empty()),
            ("--lifetime", request.lifetime.is_some()),
            ("--subject", request.subject.is_some()),
        ];
        if let Some((flag, _)) = unsupported_flags.iter().find(|(_, is_set)| *is_set) {
            return Err(Error::unsupported(format!(
                "{} holds a static access token, which {flag} cannot change",
                self.info.location
            ))
            .hint(format!("remove {flag}, or unset {}", self.info.location)));
        }
        Ok(self.info.annotate(Token::new(self.token.clone(), "access_token", None)))
    }
}
