//! Signing keys: loading or generating them, their key ids, and the key that signs Google's ID tokens.

use std::sync::Mutex;

use sha2::{Digest, Sha256};

use gauth_core::error::{Error, Result};
use gauth_core::http::server::http::ServerResponse;
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::jose::jwt;
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::text::hex;
use gauth_core::text::secret::Secret;

/// Loads a private key from PEM, or generates one.
pub(crate) fn load_or_generate_key(pem: Option<&Secret>) -> Result<PrivateKey> {
    let key = match pem {
        Some(pem) => PrivateKey::rsa_from_secret(pem),
        None => PrivateKey::generate(),
    };
    key.map_err(|what| Error::unexpected(format!("a key of the sandbox {what}")))
}

/// A key id of 40 hexadecimal digits, as Google has them, derived from the key.
pub(crate) fn key_id(key: &PublicKey) -> String {
    hex::encode(&Sha256::digest(key.jwk_parameters().0)[..20])
}

/// The key that signs Google's ID tokens, generated when it is first needed.
pub(crate) struct GoogleSigningKey {
    pem: Option<Secret>,
    key: Mutex<Option<PrivateKey>>,
}

impl GoogleSigningKey {
    /// Key generation takes a moment, which `pem` saves.
    pub(crate) fn new(pem: Option<Secret>) -> GoogleSigningKey {
        GoogleSigningKey { pem, key: Mutex::new(None) }
    }

    /// Signs these claims.
    ///
    /// # Errors
    /// The error response, if the key cannot be used.
    pub(crate) fn sign(&self, claims: &serde_json::Value) -> std::result::Result<Secret, ServerResponse> {
        self.with_key(|key| jwt::sign(key, Some(&key_id(&key.public_key())), claims))?
            .map_err(|what| ServerResponse::text(500, format!("the key for Google's ID tokens {what}\n")))
    }

    /// The public key and its id.
    ///
    /// # Errors
    /// The error response, if the key cannot be used.
    pub(crate) fn public_key(&self) -> std::result::Result<(PublicKey, String), ServerResponse> {
        self.with_key(PrivateKey::public_key).map(|key| {
            let id = key_id(&key);
            (key, id)
        })
    }

    fn with_key<T>(&self, use_key: impl FnOnce(&PrivateKey) -> T) -> std::result::Result<T, ServerResponse> {
        let mut slot = lock_ignoring_poison(&self.key);
        if slot.is_none() {
            let new = load_or_generate_key(self.pem.as_ref());
            *slot = Some(new.map_err(|error| ServerResponse::text(500, format!("{error}\n")))?);
        }
        match &*slot {
            Some(key) => Ok(use_key(key)),
            None => Err(ServerResponse::empty(500)),
        }
    }
}
