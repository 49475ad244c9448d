//! What is remembered of a login that its server refused, so that lists can say so without asking. The mark is for
//! one refresh token: the next one is not suspected. It lies among the cached tokens and may be lost.

use crate::accounts::Login;
use crate::cache::{Cache, Key, KeyDigest};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::world::World;

impl Login<'_> {
    /// Remembers what came of sending a refresh token: that it is no longer good, or that it is.
    pub fn remember(&self, sent: &Secret, error: Option<&Error>, world: &World) {
        let (cache, key) = (Cache::new(world), self.mark(sent));
        match error {
            None => cache.forget_refusal(&key),
            Some(error) if error.kind() == ErrorKind::LoginRequired => {
                cache.note_refusal(&key, error);
            }
            Some(_) => {}
        }
    }

    /// In what words the server refused the newest refresh token of this login, as far as that is known here.
    pub fn refusal(&self, world: &World) -> Option<String> {
        let newest = self.newest(world).ok()?;
        Cache::new(world).refusal(&self.mark(&newest))
    }

    fn mark(&self, refresh_token: &Secret) -> Key {
        mark(self.client_id, refresh_token)
    }
}

/// The name of the mark of a login, which tells nothing of it.
pub(super) fn mark(client_id: &str, refresh_token: &Secret) -> Key {
    let mut digest = KeyDigest::new("refused login");
    digest.field(client_id);
    digest.secret(refresh_token);
    digest.finish()
}

/// In what words the server refused a login that is kept in another store, by the name of its mark: the store itself is
/// not opened.
pub fn refusal_of(mark: &str, world: &World) -> Option<String> {
    Cache::new(world).refusal(&Key::named(mark)?)
}
