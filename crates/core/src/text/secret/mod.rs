//! The one type for tokens, keys and passwords, and the filter that keeps them out of what gauth prints.
//!
//! A `Secret` cannot be printed, is zeroed when dropped, and is known to the filter as long as the process
//! lives: every line for standard error passes [`redact`].

mod filter;

use std::borrow::{Borrow, Cow};
use std::ffi::OsString;

use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::text::hex;

/// A token, key or password. It has no `Display`, and `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value into custody; the filter knows it from now on.
    pub fn new(value: impl Into<String>) -> Secret {
        let value = Zeroizing::new(value.into());
        filter::register(&value);
        Secret(value)
    }

    /// The raw value, for the few files that send, sign with or print it: `tests/it/architecture/authorities.rs` lists them. All
    /// others use the methods below.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Another secret built from this one: a header's value, an encoded form.
    pub fn map(&self, build: impl FnOnce(&str) -> String) -> Secret {
        Secret::new(build(&self.0))
    }

    /// A JSON string, for a file or a response that holds the secret itself.
    pub fn to_json(&self) -> Value {
        Value::from(self.0.as_str())
    }

    /// The value of an environment variable, for a program that gets the secret itself.
    pub fn to_os_string(&self) -> OsString {
        OsString::from(self.0.as_str())
    }

    /// The SHA-256 of the value.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// Whether the value begins with `prefix`, which tells types of token apart.
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.starts_with(prefix)
    }

    /// Whether every character is visible ASCII, as a header or a signature needs it.
    pub fn is_visible_ascii(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether `text` repeats the value.
    pub fn occurs_in(&self, text: &str) -> bool {
        text.contains(self.0.as_str())
    }

    /// Whether a client sent this value. The comparison takes time that depends on the lengths only.
    pub fn matches(&self, received: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), received.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (x, y)| sum | (x ^ y)) == 0
    }

    /// The first 8 hex digits of the SHA-256: enough to compare, useless to guess from.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.as_bytes())
    }

    /// What all tokens of its sort begin with: nothing to hide, and a sign of what it is.
    pub fn known_prefix(&self) -> &'static str {
        ["ya29.", "eyJ", "1//", "GOCSPX-", "-----BEGIN"]
            .into_iter()
            .find(|prefix| self.starts_with(prefix))
            .unwrap_or_default()
    }

    /// The length of the value in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is one line of text, without any control character.
    pub fn is_one_line(&self) -> bool {
        !self.0.chars().any(char::is_control)
    }

    /// Compares in time that depends on the lengths only.
    pub fn constant_time_eq(&self, other: &Secret) -> bool {
        self.matches(&other.0)
    }
}

/// Serializes the raw value, for a field marked `#[serde(serialize_with = "secret::serialize")]`. `Secret` itself does not
/// implement `Serialize`, so that no struct prints one by accident.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: serde::Serializer>(secret: &impl Borrow<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&secret.borrow().0)
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// The first 8 hex digits of the SHA-256 of `bytes`.
pub fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..4])
}

/// Whether a value given on the command line looks like a secret that does not belong there: a token or key, or
/// the JSON of a credential.
pub fn looks_like_secret(value: &str) -> bool {
    let begins_secret = |word: &str| {
        let word = word.trim_start_matches(['"', '\'']);
        ["ya29.", "1//", "eyJ"].iter().any(|prefix| word.starts_with(prefix))
    };
    let fields = ["private_key", "refresh_token", "client_secret", "access_token"];
    value.contains("-----BEGIN")
        || value.split_whitespace().any(begins_secret)
        || (value.contains('{') && fields.iter().any(|field| value.contains(field)))
}

/// Whether a value that should be the path of a file may be the file's content, perhaps torn or in base64: such a
/// path is not repeated in an error.
pub fn looks_like_file_content(path: &str) -> bool {
    /// Base64 runs on where names in a path end.
    const MAX_PATH_SEGMENT_BYTES: usize = 80;
    let is_name_char = |letter: char| letter.is_ascii_alphanumeric() || "+=_-".contains(letter);
    looks_like_secret(path)
        || (path.contains('{') && path.contains('"'))
        || path.split(|letter| !is_name_char(letter)).any(|name| name.len() > MAX_PATH_SEGMENT_BYTES)
}

/// Replaces every live secret in `text`, plain, percent-encoded or base64, by its fingerprint; and what looks like a
/// token though it was never taken for one, such as a variable that holds it by mistake.
pub fn redact(text: &str) -> String {
    filter::redact_known(&redact_lookalikes(text))
}

/// The shortest text that is taken for a token because it begins like one.
const MIN_LOOKALIKE_BYTES: usize = 20;

fn redact_lookalikes(text: &str) -> Cow<'_, str> {
    let is_edge = |letter: char| !(letter.is_ascii_alphanumeric() || "._-/+=~".contains(letter));
    let words = text.split(is_edge);
    let found = words.filter(|word| word.len() >= MIN_LOOKALIKE_BYTES && looks_like_secret(word));
    found.fold(Cow::Borrowed(text), |clean, word| {
        let mark = format!("[secret {}]", fingerprint(word.as_bytes()));
        Cow::Owned(clean.replace(word, &mark))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2hunter2")), "Secret(..)");
    }

    #[test]
    fn equality_needs_every_byte() {
        let secret = Secret::new("abcdefgh");
        assert!(secret.constant_time_eq(&Secret::new("abcdefgh")));
        assert!(!secret.constant_time_eq(&Secret::new("abcdefgi")));
        assert!(!secret.constant_time_eq(&Secret::new("abcdefg")));
    }

    #[test]
    fn the_filter_finds_every_spelling() {
        let secret = Secret::new("s3cret/with+odd=chars?");
        for form in filter::encodings(secret.expose()) {
            let line = format!("before {} after", form.as_str());
            let clean = redact(&line);
            assert!(!clean.contains(form.as_str()), "{clean}");
            assert!(clean.starts_with("before [secret ") && clean.ends_with("] after"), "{clean}");
        }
        assert_eq!(redact("an ordinary line"), "an ordinary line");
    }

    #[test]
    fn a_token_nobody_took_for_one_is_hidden_too() {
        let clean = redact("GAUTH_SOURCE: there is no source ya29.a0AfB_byC-0123456789abcdef");
        assert!(clean.starts_with("GAUTH_SOURCE: there is no source [secret "), "{clean}");
        assert!(redact("ya29.… is how they begin, 1//0 too").contains("ya29.…"));
    }

    #[test]
    fn words_are_not_taken_for_secrets() {
        assert!(looks_like_secret("ya29.a0Af") && looks_like_secret("1//0g") && looks_like_secret("eyJhbGc"));
        assert!(!looks_like_secret("ada@example.com") && !looks_like_secret("/home/ada/key.json"));
        assert!(looks_like_secret("'ya29.a0Af'") && looks_like_secret("{\"refresh_token\": \"x\"}"));
        let path = "/var/lib/jenkins/workspace/nightly-build_main/.secrets/service-account.json";
        assert!(!looks_like_file_content(path) && looks_like_file_content(&"QUJD".repeat(40)));
    }
}
