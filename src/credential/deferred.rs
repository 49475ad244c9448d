//! A credential found as text, understood only when that is needed. A cached token needs it not: the text that
//! decides the cache key has given a token before.

use std::cell::OnceCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{self, About, Credential, Setting};
use crate::error::Result;
use crate::http::Identity;
use crate::token::{AccessRequest, SelfSignedRequest, Token, TokenRequest};
use crate::world::World;

/// The JSON of a credential.
pub struct Deferred {
    text: Zeroizing<Vec<u8>>,
    setting: Setting,
    about: About,
    inner: OnceCell<Box<dyn Credential>>,
}

impl Deferred {
    /// The credential in this text.
    pub fn new(text: Zeroizing<Vec<u8>>, setting: Setting) -> Deferred {
        let about = About {
            kind: "credential".to_owned(),
            place: setting.place.clone(),
            account: setting.account.clone(),
            ..About::default()
        };
        Deferred { text, setting, about, inner: OnceCell::new() }
    }

    fn inner(&self) -> Result<&dyn Credential> {
        if let Some(inner) = self.inner.get() {
            return Ok(&**inner);
        }
        let inner = credential::parse(&self.text, &self.setting)?;
        Ok(&**self.inner.get_or_init(|| inner))
    }
}

impl Credential for Deferred {
    fn about(&self) -> &About {
        self.inner.get().map_or(&self.about, |inner| inner.about())
    }

    fn describe(&self) -> Result<About> {
        self.inner().map(|inner| inner.about().clone())
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("text");
        digest.number(self.text.len() as u64);
        for half in checksum(&self.text) {
            digest.number(half);
        }
        self.setting.identify(digest);
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.inner()?.access_token(request, broker)
    }

    fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        self.inner()?.prepare(request, broker)
    }

    fn identity(&self, world: &World) -> Result<Option<Identity>> {
        self.inner()?.identity(world)
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        self.inner()?.ask_about(broker)
    }

    fn self_signed(&self, request: &SelfSignedRequest, broker: &Broker<'_>) -> Result<Token> {
        self.inner()?.self_signed(request, broker)
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
