//! A credential found as text, understood only when that is needed. A cached token needs it not: the text that
//! decides the cache key has given a token before.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::rc::Rc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::vault::{Kept, kept};
use crate::accounts::{self, Origin};
use crate::cache::KeyDigest;
use crate::credential::lazy::{Closed, Lazy};
use crate::credential::{self, AGAIN, About, Credential, Setting};
use crate::error::Result;
use crate::json;
use crate::world::World;

/// The JSON of a credential.
pub struct Deferred {
    text: Zeroizing<Vec<u8>>,
    setting: Setting,
    about: About,
}

impl Deferred {
    /// The credential in this text.
    pub fn new(text: Zeroizing<Vec<u8>>, setting: Setting) -> Lazy<Deferred> {
        let about = About {
            kind: "credential".to_owned(),
            place: setting.place.clone(),
            account: setting.account.clone(),
            ..About::default()
        };
        Lazy::new(Deferred { text, setting, about })
    }
}

impl Deferred {
    /// The file and the way to its secrets, where it leaves them to another store.
    fn kept(&self) -> Result<Option<(Map<String, Value>, Kept)>> {
        let (Origin::Ours(path), Some(vaults)) = (&self.setting.origin, &self.setting.vaults)
        else {
            return Ok(None);
        };
        let mark = kept::STORE.as_bytes();
        if !self.text.windows(mark.len()).any(|word| word == mark) {
            return Ok(None);
        }
        let malformed = |what: String| self.setting.malformed(what).hint(AGAIN);
        let file = json::object(&self.text).map_err(malformed)?;
        let store = kept::store_of(&file).map_err(malformed)?;
        let account = self.setting.account.as_deref().unwrap_or_default();
        Ok(store.map(|store| (file, Kept::new(path.clone(), account, store, vaults))))
    }
}

impl Closed for Deferred {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        let own;
        let text: &[u8] = match self.setting.origin.file() {
            None => {
                digest.field("text");
                &self.text
            }
            // Our own file changes when its refresh token does, and its access tokens stay good.
            Some(path) => {
                digest.field("own");
                digest.field(&path.to_string_lossy());
                own = lasting(&self.text);
                &own
            }
        };
        digest.number(text.len() as u64);
        for half in checksum(text) {
            digest.number(half);
        }
        self.setting.identify(digest);
    }

    fn open(&self) -> Result<Box<dyn Credential>> {
        let Some((file, kept)) = self.kept()? else {
            return credential::parse(&self.text, &self.setting);
        };
        let login = kept.login(&file)?;
        let origin = Origin::Kept(Rc::new(kept));
        credential::read(login, &Setting { origin, ..self.setting.clone() })
    }

    fn refusal(&self, world: &World) -> Option<String> {
        let (file, _) = self.kept().ok()??;
        accounts::refusal_of(file.get(kept::MARK)?.as_str()?, world)
    }

    /// A store is opened for a token, not to look at what it is for: the file has all but the secrets.
    fn outline(&self) -> Option<Result<About>> {
        match self.kept() {
            Ok(None) => None,
            Ok(Some((file, _))) => {
                let seen = credential::read(file, &self.setting);
                Some(seen.map(|seen| seen.about().clone()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Two SipHashes of a text that holds a secret nobody can aim at: as good a name as a SHA-256 of two kilobytes,
/// at a tenth of its cost on each run.
fn checksum(text: &[u8]) -> [u64; 2] {
    [1, 2].map(|seed| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(text);
        hasher.finish()
    })
}

/// The fields of our own files that a server changes.
const CHANGING: &[&[u8]] = &[
    b"\"refresh_token\"",
    b"\"refresh_token_rotates\"",
    b"\"refresh_token_shared\"",
    b"\"gauth_secrets\"",
    b"\"gauth_mark\"",
    b"\"rapt_token\"",
    b"\"id_token\"",
];

/// What lasts of a login: its JSON without the values that a server changes, and however it is laid out. It need not
/// be JSON: what is none is told apart as well.
fn lasting(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(2 * text.len()));
    let mut rest = text;
    while let Some((word, behind)) = next_word(rest) {
        rest = behind;
        match (CHANGING.contains(&word), next_word(rest)) {
            (true, Some((b":", behind))) => {
                rest = next_word(behind).map_or(&[], |(_, behind)| behind);
            }
            _ => {
                kept.extend_from_slice(word);
                kept.push(b' ');
            }
        }
    }
    kept
}

/// The next text, sign, or run of anything else, and what is behind it. Commas are passed over as white space is: a
/// field that is left out takes its own along.
fn next_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let between = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    let start = text.iter().position(|byte| !between(byte))?;
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
            let ends = |byte: &u8| between(byte) || b"\"{}[]:".contains(byte);
            text.iter().position(ends).unwrap_or(text.len())
        }
    };
    Some(text.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        lasting(one.as_bytes()) == lasting(other.as_bytes())
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
            assert!(same(login, other), "{other}");
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
            assert!(!same(login, other), "{other}");
        }
    }
}
