//! What both kinds of logins share: a refresh token that may rotate, and an access token saved beside it.

use crate::accounts::{Login, Origin};
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::google::token::{self, Granted};
use crate::http::Patience;
use crate::json::Fields;
use crate::secret::Secret;
use crate::token::Token;

/// An access token kept beside the login.
pub(super) struct Saved {
    token: Secret,
    expires_at: i64,
    scopes: Option<Vec<String>>,
}

impl Saved {
    /// Reads `token` and `expiry`; `None` where one is missing, or the token could not be sent.
    pub(super) fn read(
        fields: &mut Fields,
        scopes: Option<Vec<String>>,
    ) -> std::result::Result<Option<Saved>, String> {
        let token = fields.secret("token")?.filter(|token| !token.is_empty());
        let expires_at = match fields.text("expiry")? {
            None => None,
            Some(text) => {
                Some(unix(&text).ok_or("expiry is not a time like 2026-01-02T03:04:05Z")?)
            }
        };
        let token = token.filter(token::can_be_sent);
        Ok(token.zip(expires_at).map(|(token, expires_at)| Saved {
            token,
            expires_at,
            scopes: scopes.map(sorted),
        }))
    }

    /// The token, while it lasts and nobody asked for a longer one.
    pub(super) fn token(&self, kind: &str, margin: i64, broker: &Broker<'_>) -> Option<Token> {
        let mut token = Token::new(self.token.clone(), kind, Some(self.expires_at));
        token.scopes.clone_from(&self.scopes);
        broker.settles_for(&token, margin).then_some(token)
    }

    pub(super) fn identify(saved: Option<&Saved>, digest: &mut KeyDigest) {
        match saved {
            Some(saved) => digest.secret(&saved.token),
            None => digest.field("no saved token"),
        }
    }
}

/// Adds what tells one login from the next.
pub(super) fn identify(origin: &Origin, refresh_token: &Secret, digest: &mut KeyDigest) {
    match origin {
        // Our own file changes when its refresh token rotates, and the token stays good.
        Origin::Ours(path) => digest.field(&path.to_string_lossy()),
        Origin::Foreign => digest.secret(refresh_token),
    }
}

/// Asks with the newest refresh token of a login, and stores the next one before anything is printed. `name` is
/// whose login it is, for errors; `rotates` says that each answer may bring the next refresh token; `ask` must
/// answer `LoginRequired` when the token is no longer good.
///
/// # Errors
/// Those of `ask`, or that the next refresh token could not be stored.
pub(super) fn spend(
    login: &Login<'_>,
    name: &str,
    rotates: bool,
    broker: &Broker<'_>,
    ask: impl Fn(&Secret, Patience) -> Result<Granted>,
) -> Result<Granted> {
    let world = broker.world;
    let lock = login.lock(world, broker.deadline())?;
    let current = login.current(world)?;
    // A refresh token that rotates is spent by asking: have the file for its successor ready.
    let rotates = rotates || current.rotates;
    let draft = rotates.then(|| login.draft(world));
    if let Some(Err(error)) = &draft {
        return Err(Error::unexpected(format!(
            "the next refresh token of {name} could not be stored, {error}"
        ))
        .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own"));
    }
    let mut sent = current.refresh_token;
    let patience = if rotates { Patience::SingleUse } else { Patience::Usual };
    let mut asked = ask(&sent, patience);
    if asked.as_ref().is_err_and(|error| error.kind() == ErrorKind::LoginRequired) {
        let newer = login.current(world)?.refresh_token;
        if !newer.same_as(&sent) {
            sent = newer;
            asked = ask(&sent, Patience::SingleUse);
        }
    }
    login.remember(&sent, asked.as_ref().err(), world);
    let granted = asked?;
    if let Some(next) = &granted.refresh_token
        && !next.same_as(&sent)
    {
        let draft = draft.unwrap_or_else(|| login.draft(world));
        let stored = draft.and_then(|successor| {
            successor.store(next).map_err(|error| Error::unexpected(io_reason(&error)))
        });
        if let Err(error) = stored {
            // The token at hand is good; that the login may not be is said now, not next time.
            world.terminal.warn(&format!(
                "the new refresh token of {name} cannot be stored, {error}: the next run may need a new login",
            ));
        }
    }
    drop(lock);
    Ok(granted)
}

fn sorted(mut scopes: Vec<String>) -> Vec<String> {
    scopes.sort();
    scopes.dedup();
    scopes
}

/// A saved expiry in Unix seconds: UTC unless it has an offset, fractions ignored.
fn unix(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let naive: jiff::civil::DateTime = text.parse().ok()?;
    Some(naive.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_read_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["expiry_parse"].as_array().expect("cases") {
            let text = case["in"].as_str().expect("text");
            assert_eq!(unix(text), case["unix"].as_i64(), "{text}");
        }
        assert_eq!(unix("2026-01-02T05:04:04+01:00"), unix("2026-01-02T04:04:04Z"));
        assert_eq!(unix("yesterday"), None);
    }
}
