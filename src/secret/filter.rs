//! The filter that keeps secrets out of what people read. It knows every secret the process has seen, by the first
//! bytes of each of its spellings: its cost is that of the line, not of the number of secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::fingerprint;

/// Shorter values are not replaced in text: they would tear ordinary words apart.
const SHORTEST: usize = 8;

/// All secrets this process has seen.
static LIVE: Mutex<Live> =
    Mutex::new(Live { seen: BTreeSet::new(), fresh: Vec::new(), forms: BTreeMap::new() });

struct Live {
    /// What has been entered, by its hash.
    seen: BTreeSet<u64>,
    /// What nobody has had to look for yet: most runs say nothing at all.
    fresh: Vec<Zeroizing<String>>,
    /// Spellings and their mark, by their first bytes, the longest first.
    forms: BTreeMap<[u8; SHORTEST], Vec<(Zeroizing<String>, String)>>,
}

/// Knows a secret from now on.
pub(super) fn enter(secret: &Zeroizing<String>) {
    if secret.len() < SHORTEST {
        return;
    }
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    if let Ok(mut live) = LIVE.lock()
        && live.seen.insert(hasher.finish())
    {
        live.fresh.push(secret.clone());
    }
}

/// The text with each secret that is known replaced by its fingerprint; nothing, if that cannot be done.
pub(super) fn clean(text: &str) -> String {
    let Ok(mut live) = LIVE.lock() else { return String::new() };
    live.learn();
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = match live.form_at(rest) {
            Some((length, mark)) => {
                clean.push_str(mark);
                &rest[length..]
            }
            None => {
                clean.push(letter);
                &rest[letter.len_utf8()..]
            }
        };
    }
    clean
}

impl Live {
    fn learn(&mut self) {
        for secret in std::mem::take(&mut self.fresh) {
            let mark = format!("[secret {}]", fingerprint(secret.as_bytes()));
            for form in forms(&secret) {
                let Some(key) = key(&form) else { continue };
                let known = self.forms.entry(key).or_default();
                // Longest first, so that a padded form leaves no tail behind.
                let at = known.partition_point(|(other, _)| other.len() > form.len());
                known.insert(at, (form, mark.clone()));
            }
        }
    }

    /// The spelling of a secret that the text begins with: its length and its mark.
    fn form_at(&self, text: &str) -> Option<(usize, &str)> {
        let forms = self.forms.get(&key(text)?)?;
        let found = forms.iter().find(|(form, _)| text.starts_with(form.as_str()));
        found.map(|(form, mark)| (form.len(), mark.as_str()))
    }
}

fn key(text: &str) -> Option<[u8; SHORTEST]> {
    text.as_bytes().first_chunk().copied()
}

/// The spellings under which a secret could slip into a line.
pub(super) fn forms(secret: &str) -> Vec<Zeroizing<String>> {
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
