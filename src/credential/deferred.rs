//! A credential found as text, understood only when that is needed. A cached token needs it not: the text that
//! decides the cache key has given a token before.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use zeroize::Zeroizing;

use crate::cache::KeyDigest;
use crate::credential::lazy::{Closed, Lazy};
use crate::credential::{self, About, Credential, Setting};
use crate::error::Result;

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

impl Closed for Deferred {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("text");
        digest.number(self.text.len() as u64);
        for half in checksum(&self.text) {
            digest.number(half);
        }
        self.setting.identify(digest);
    }

    fn open(&self) -> Result<Box<dyn Credential>> {
        credential::parse(&self.text, &self.setting)
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
