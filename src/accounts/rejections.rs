//! What is remembered of a login that its server refused, so that lists can say so without asking. The mark is for
//! one refresh token: the next one is not suspected. It lies among the cached tokens and may be lost.

use crate::accounts::RefreshTokenHandle;
use crate::error::{Error, ErrorKind};
use crate::text::secret::Secret;
use crate::tokens::cache::{Cache, CacheKey, CacheKeyHasher};
use crate::world::World;

impl RefreshTokenHandle<'_> {
    /// Remembers what came of sending a refresh token: that it is no longer good, or that it is.
    pub fn record_outcome(&self, sent: &Secret, error: Option<&Error>, world: &World) {
        let (cache, key) = (Cache::new(world), self.rejection_key(sent));
        match error {
            None => cache.remove_rejection(&key),
            Some(error) if error.kind() == ErrorKind::LoginRequired => {
                cache.store_rejection(&key, error);
            }
            Some(_) => {}
        }
    }

    /// In what words the server refused the newest refresh token of this login, as far as that is known here.
    pub fn last_rejection(&self, world: &World) -> Option<String> {
        let newest = self.newest_refresh_token(world).ok()?;
        Cache::new(world).last_rejection(&self.rejection_key(&newest))
    }

    fn rejection_key(&self, refresh_token: &Secret) -> CacheKey {
        rejection_key(self.client_id, refresh_token)
    }
}

/// The name of the mark of a login, which tells nothing of it.
pub(super) fn rejection_key(client_id: &str, refresh_token: &Secret) -> CacheKey {
    let mut digest = CacheKeyHasher::new("refused login");
    digest.add_text(client_id);
    digest.add_secret(refresh_token);
    digest.finish()
}

/// In what words the server refused a login that is kept in another store, by the name of its mark: the store itself is
/// not opened.
pub fn last_rejection_by_key(key_name: &str, world: &World) -> Option<String> {
    Cache::new(world).last_rejection(&CacheKey::from_name(key_name)?)
}
