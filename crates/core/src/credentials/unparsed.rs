//! The JSON text of a credential, parsed only when a new token is needed: a cached token is found by a digest of the
//! text, which was parsed when that token was fetched.

use std::rc::Rc;

use serde_json::{Map, Value};
use siphasher::sip128::SipHasher24;
use zeroize::{Zeroize, Zeroizing};

use crate::accounts::secrets::{ExternalSecret, external};
use crate::accounts::{Origin, fields};
use crate::credentials::lazy::{LazyCredential, UnparsedCredential};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions};
use crate::error::Result;
use crate::text::json;
use crate::text::json::JsonFields;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo};
use crate::world::World;
use crate::{accounts, credentials};

/// The JSON text of a credential, and how to parse it.
pub struct DeferredFile {
    text: Zeroizing<Vec<u8>>,
    parse_options: ParseOptions,
    info: CredentialInfo,
}

impl DeferredFile {
    /// The credential of a text that is not parsed yet.
    pub fn new(text: Zeroizing<Vec<u8>>, parse_options: ParseOptions) -> LazyCredential<DeferredFile> {
        let info = CredentialInfo {
            credential_type: "credential".to_owned(),
            location: parse_options.location.clone(),
            account: parse_options.account.clone(),
            ..CredentialInfo::default()
        };
        LazyCredential::new(DeferredFile { text, parse_options, info })
    }
}

impl DeferredFile {
    /// The parsed file and the access to its secrets, where they are in another store (a keyring, a command).
    fn external_secret(&self) -> Result<Option<(Map<String, Value>, ExternalSecret)>> {
        let (Origin::Own(path), Some(secret_stores)) = (&self.parse_options.origin, &self.parse_options.secret_stores)
        else {
            return Ok(None);
        };
        let marker = fields::STORE.as_bytes();
        if !self.text.windows(marker.len()).any(|window| window == marker) {
            return Ok(None);
        }
        let malformed = |what: String| self.parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
        let file = json::parse_object(&self.text).map_err(malformed)?;
        let store = external::named_store(&file).map_err(malformed)?;
        let account = self.parse_options.account.as_deref().unwrap_or_default();
        Ok(store.map(|store| (file, ExternalSecret::new(path.clone(), account, store, secret_stores))))
    }
}

impl UnparsedCredential for DeferredFile {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        let stable_text;
        let text: &[u8] = match self.parse_options.origin.file() {
            None => {
                hasher.add_text("text");
                &self.text
            }
            // Our own file changes with its refresh token, and its cached access tokens stay valid.
            Some(path) => {
                hasher.add_text("own");
                hasher.add_text(&path.to_string_lossy());
                stable_text = without_rotating_fields(&self.text);
                &stable_text
            }
        };
        // SipHash-2-4 of 128 bits: on each run SHA-256 would take ten times as long (docs/performance.md), and a
        // cached token would be found for another text only if two texts were made to collide.
        let digest = SipHasher24::new().hash(text);
        hasher.add_number(text.len() as u64);
        hasher.add_number(digest.h1);
        hasher.add_number(digest.h2);
        self.parse_options.hash_cache_key(hasher);
    }

    fn load(&self) -> Result<Box<dyn Credential>> {
        let Some((file, external_secret)) = self.external_secret()? else {
            return credentials::parse(&self.text, &self.parse_options);
        };
        let login = external_secret.load(&file)?;
        let origin = Origin::OwnExternalSecret(Rc::new(external_secret));
        credentials::parse_object(login, &ParseOptions { origin, ..self.parse_options.clone() })
    }

    fn last_rejection(&self, world: &World) -> Option<String> {
        let (file, _) = self.external_secret().ok()??;
        accounts::last_rejection_by_key(file.get(fields::REJECTION_KEY)?.as_str()?, world)
    }

    /// The file has everything but the secrets, so the store is opened for a token only.
    fn info_without_secrets(&self) -> Option<Result<CredentialInfo>> {
        match self.external_secret() {
            Ok(None) => None,
            Ok(Some((file, _))) => {
                let credential = credentials::parse_object(file, &self.parse_options);
                Some(credential.map(|credential| credential.info().clone()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// The content of one of our own files without what its server changes, and whatever its layout. A text that is not JSON
/// stays as it is.
fn without_rotating_fields(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let Ok(mut login) = json::parse_object(text) else {
        return Zeroizing::new(text.to_vec());
    };
    remove_rotating_fields(&mut login);
    let login = JsonFields::new(login);
    Zeroizing::new(serde_json::to_vec(login.remaining()).unwrap_or_default())
}

/// Removes them at every depth: a source of an identity can be a login itself.
fn remove_rotating_fields(object: &mut Map<String, Value>) {
    for field in fields::ROTATING {
        if let Some(Value::String(mut secret)) = object.remove(*field) {
            secret.zeroize();
        }
    }
    for value in object.values_mut() {
        if let Value::Object(object) = value {
            remove_rotating_fields(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same_login(one: &str, other: &str) -> bool {
        without_rotating_fields(one.as_bytes()) == without_rotating_fields(other.as_bytes())
    }

    #[test]
    fn a_login_is_the_same_with_its_next_refresh_token() {
        let login = r#"{"client_id":"c","refresh_token":"1//0a","type":"authorized_user"}"#;
        for other in [
            r#"{"client_id":"c","refresh_token":"1//0b","type":"authorized_user"}"#,
            "{\n  \"client_id\": \"c\",\n  \"refresh_token\": \"a\\\"b\",\n  \"refresh_token_rotates\": true,\n  \"type\": \"authorized_user\"\n}\n",
            r#"{"client_id":"c","rapt_token":"r","type":"authorized_user"}"#,
            r#"{"client_id":"c","refresh_token":"x","id_token":"y","type":"authorized_user"}"#,
        ] {
            assert!(is_same_login(login, other), "{other}");
        }
    }

    #[test]
    fn the_refresh_token_of_a_source_does_not_count_either() {
        let login = r#"{"type":"external_account","credential_source":{"openid":{"issuer":"i","refresh_token":"a"}}}"#;
        assert!(is_same_login(login, &login.replace(r#""a""#, r#""b""#)));
        assert!(!is_same_login(login, &login.replace(r#""i""#, r#""j""#)));
    }

    #[test]
    fn another_login_is_another() {
        let login = r#"{"client_id":"c","refresh_token":"1//0a","scopes":["a","b"]}"#;
        for other in [
            r#"{"client_id":"d","refresh_token":"1//0a","scopes":["a","b"]}"#,
            r#"{"client_id":"c","refresh_token":"1//0a","scopes":["a"]}"#,
            r#"{"client_id":"c","refresh_token":"1//0a","scopes":["a,b"]}"#,
            r#"{"client_id":"c","scopes":["a","b"],"x":"refresh_token"}"#,
            r#"{"client_id":"c \"refresh_token\":\"x\"","scopes":["a","b"]}"#,
            r#"{"client_id":"c","refresh_token":"1//0a","scopes":["a","b"]"#,
            "",
            "\"refresh_token",
            "\"refresh_token\":",
        ] {
            assert!(!is_same_login(login, other), "{other}");
        }
    }
}
