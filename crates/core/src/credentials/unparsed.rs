//! A credential found as text, understood only when that is needed. A cached token needs it not: the text that
//! decides the cache key has given a token before.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::rc::Rc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts;
use crate::accounts::secrets::{ExternalSecret, external};
use crate::accounts::{Origin, fields};
use crate::credentials;
use crate::credentials::lazy::{LazyCredential, UnparsedCredential};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions};
use crate::error::Result;
use crate::text::json;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo};
use crate::world::World;

/// The JSON of a credential.
pub struct DeferredFile {
    text: Zeroizing<Vec<u8>>,
    parse_options: ParseOptions,
    info: CredentialInfo,
}

impl DeferredFile {
    /// The credential in this text.
    pub fn new(
        text: Zeroizing<Vec<u8>>,
        parse_options: ParseOptions,
    ) -> LazyCredential<DeferredFile> {
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
    /// The file and the way to its secrets, where it leaves them to another store.
    fn external_secret(&self) -> Result<Option<(Map<String, Value>, ExternalSecret)>> {
        let (Origin::Own(path), Some(secret_stores)) =
            (&self.parse_options.origin, &self.parse_options.secret_stores)
        else {
            return Ok(None);
        };
        let marker = fields::STORE.as_bytes();
        if !self.text.windows(marker.len()).any(|word| word == marker) {
            return Ok(None);
        }
        let malformed =
            |what: String| self.parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT);
        let file = json::parse_object(&self.text).map_err(malformed)?;
        let store = external::named_store(&file).map_err(malformed)?;
        let account = self.parse_options.account.as_deref().unwrap_or_default();
        Ok(store
            .map(|store| (file, ExternalSecret::new(path.clone(), account, store, secret_stores))))
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
            // Our own file changes when its refresh token does, and its access tokens stay good.
            Some(path) => {
                hasher.add_text("own");
                hasher.add_text(&path.to_string_lossy());
                stable_text = without_rotating_fields(&self.text);
                &stable_text
            }
        };
        hasher.add_number(text.len() as u64);
        for hash in hash_content(text) {
            hasher.add_number(hash);
        }
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

    /// A store is opened for a token, not to look at what it is for: the file has all but the secrets.
    fn info_without_secrets(&self) -> Option<Result<CredentialInfo>> {
        match self.external_secret() {
            Ok(None) => None,
            Ok(Some((file, _))) => {
                let credential = credentials::parse_object(file, &self.parse_options);
                Some(credential.map(|seen| seen.info().clone()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Two SipHashes of a text that holds a secret nobody can aim at: as good a name as a SHA-256 of two kilobytes,
/// at a tenth of its cost on each run.
fn hash_content(text: &[u8]) -> [u64; 2] {
    [1, 2].map(|seed| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(text);
        hasher.finish()
    })
}

/// Whether this is the name of a field of our own files that a server changes, in its quotes.
fn is_rotating_field(token: &[u8]) -> bool {
    let name = token.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    name.is_some_and(|name| fields::ROTATING.iter().any(|field| field.as_bytes() == name))
}

/// What lasts of a login: its JSON without the values that a server changes, and however it is laid out. It need not
/// be JSON: what is none is told apart as well.
fn without_rotating_fields(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut stable = Zeroizing::new(Vec::with_capacity(2 * text.len()));
    let mut rest = text;
    while let Some((token, remaining)) = next_json_token(rest) {
        rest = remaining;
        match (is_rotating_field(token), next_json_token(rest)) {
            (true, Some((b":", remaining))) => {
                rest = next_json_token(remaining).map_or(&[], |(_, behind)| behind);
            }
            _ => {
                stable.extend_from_slice(token);
                stable.push(b' ');
            }
        }
    }
    stable
}

/// The next text, sign, or run of anything else, and what is behind it. Commas are passed over as white space is: a
/// field that is left out takes its own along.
fn next_json_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_separator = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    let start = text.iter().position(|byte| !is_separator(byte))?;
    let text = &text[start..];
    let length = match text[0] {
        b'"' => {
            let mut escaped = false;
            let closes = |byte: &u8| {
                let closes = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                closes
            };
            text[1..].iter().position(closes).map_or(text.len(), |end| end + 2)
        }
        b'{' | b'}' | b'[' | b']' | b':' => 1,
        _ => {
            let ends = |byte: &u8| is_separator(byte) || b"\"{}[]:".contains(byte);
            text.iter().position(ends).unwrap_or(text.len())
        }
    };
    Some(text.split_at(length))
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
