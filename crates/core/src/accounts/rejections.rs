//! Records that a server rejected a refresh token, so that `gauth accounts` can show it without a request. A record is of
//! one refresh token and does not apply to the next one. The records are in the cache and may be lost.

use crate::error::{Error, ErrorKind};
use crate::text::secret::Secret;
use crate::tokens::cache::{Cache, CacheKey, CacheKeyHasher};
use crate::world::World;

/// The cache key of the record for a refresh token and its client. It does not reveal them.
pub(super) fn rejection_key(client_id: &str, refresh_token: &Secret) -> CacheKey {
    let mut digest = CacheKeyHasher::new("refused login");
    digest.add_text(client_id);
    digest.add_secret(refresh_token);
    digest.finish()
}

/// Records the rejection of a refresh token, or removes the record after the token was accepted.
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

/// The error with which the server rejected the refresh token, where that is recorded.
pub(super) fn last_rejection(key: &CacheKey, world: &World) -> Option<String> {
    Cache::new(world).last_rejection(key)
}

/// The recorded rejection by the text of its key, for a login whose secrets are in another store that is not opened.
pub(crate) fn last_rejection_by_key(key_name: &str, world: &World) -> Option<String> {
    last_rejection(&CacheKey::from_name(key_name)?, world)
}
