//! The filter that keeps secrets out of what gauth prints. It knows every secret the process has seen, by the first
//! bytes of each of its spellings: its cost is that of the line, not of the number of secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::text::secret::fingerprint;

/// Shorter values are not replaced in text: they occur in ordinary words.
const MIN_SECRET_BYTES: usize = 8;

/// All secrets this process has seen.
static KNOWN_SECRETS: Mutex<KnownSecrets> =
    Mutex::new(KnownSecrets { hashes: BTreeSet::new(), unindexed: Vec::new(), encodings: BTreeMap::new() });

struct KnownSecrets {
    /// What has been entered, by its hash.
    hashes: BTreeSet<u64>,
    /// Secrets whose encodings are not built yet: most runs print nothing that needs the filter.
    unindexed: Vec<Zeroizing<String>>,
    /// Spellings and their mark, by their first bytes, the longest first.
    encodings: BTreeMap<[u8; MIN_SECRET_BYTES], Vec<(Zeroizing<String>, String)>>,
}

/// Knows a secret from now on.
pub(super) fn register(secret: &Zeroizing<String>) {
    if secret.len() < MIN_SECRET_BYTES {
        return;
    }
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    if let Ok(mut live) = KNOWN_SECRETS.lock()
        && live.hashes.insert(hasher.finish())
    {
        live.unindexed.push(secret.clone());
    }
}

/// The text with each secret that is known replaced by its fingerprint; nothing, if that cannot be done.
pub(super) fn redact_known(text: &str) -> String {
    let Ok(mut known) = KNOWN_SECRETS.lock() else { return String::new() };
    known.index_new();
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = match known.encoding_at(rest) {
            Some((length, mark)) => {
                redacted.push_str(mark);
                &rest[length..]
            }
            None => {
                redacted.push(letter);
                &rest[letter.len_utf8()..]
            }
        };
    }
    redacted
}

impl KnownSecrets {
    fn index_new(&mut self) {
        for secret in std::mem::take(&mut self.unindexed) {
            let replacement = format!("[secret {}]", fingerprint(secret.as_bytes()));
            for encoding in encodings(&secret) {
                let Some(key) = prefix_key(&encoding) else { continue };
                let entries = self.encodings.entry(key).or_default();
                // Longest first, so that a padded form leaves no tail behind.
                let at = entries.partition_point(|(other, _)| other.len() > encoding.len());
                entries.insert(at, (encoding, replacement.clone()));
            }
        }
    }

    /// The spelling of a secret that the text begins with: its length and its mark.
    fn encoding_at(&self, text: &str) -> Option<(usize, &str)> {
        let forms = self.encodings.get(&prefix_key(text)?)?;
        let found = forms.iter().find(|(form, _)| text.starts_with(form.as_str()));
        found.map(|(form, mark)| (form.len(), mark.as_str()))
    }
}

fn prefix_key(text: &str) -> Option<[u8; MIN_SECRET_BYTES]> {
    text.as_bytes().first_chunk().copied()
}

/// The spellings under which a secret could slip into a line.
pub(super) fn encodings(secret: &str) -> Vec<Zeroizing<String>> {
    let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC);
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = vec![
        secret.to_owned(),
        percent.to_string(),
        form,
        secret.escape_debug().to_string(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    forms.sort();
    forms.dedup();
    forms.into_iter().map(Zeroizing::new).collect()
}
