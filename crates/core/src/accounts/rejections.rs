//! What is remembered of a login that its server refused, so that lists can say so without asking. The mark is for
//! one refresh token: the next one is not suspected. It lies among the cached tokens and may be lost.

use crate::error::{Error, ErrorKind};
use crate::text::secret::Secret;
use crate::tokens::cache::{Cache, CacheKey, CacheKeyHasher};
use crate::world::World;

/// The name of the mark of a refresh token and its client, which tells nothing of them.
pub(super) fn rejection_key(client_id: &str, refresh_token: &Secret) -> CacheKey {
    let mut digest = CacheKeyHasher::new("refused login");
    digest.add_text(client_id);
    digest.add_secret(refresh_token);
    digest.finish()
}

/// Remembers what came of sending a refresh token: that it is no longer good, or that it is.
pub(super) fn record_outcome(key: &CacheKey, error: Option<&Error>, world: &World) {
    let cache = Cache::new(world);
    match error {
        None => cache.remove_rejection(key),
        Some(error) if error.kind() == ErrorKind::LoginRequired => {
            cache.store_rejection(key, error);
        }
        Some(_) => {}
    }
}

/// In what words the server refused the refresh token with this mark, as far as that is known here.
pub(super) fn last_rejection(key: &CacheKey, world: &World) -> Option<String> {
    Cache::new(world).last_rejection(key)
}

/// In what words the server refused a login that is kept in another store, by the name of its mark: the store itself is
/// not opened.
pub fn last_rejection_by_key(key_name: &str, world: &World) -> Option<String> {
    last_rejection(&CacheKey::from_name(key_name)?, world)
}
