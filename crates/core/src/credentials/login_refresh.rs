//! What both kinds of logins share: a refresh token that may rotate, and an access token saved beside it.

use serde_json::Value;

use crate::accounts::{CurrentRefreshToken, Origin, RefreshTokenHandle, StoredState, fields};
use crate::credentials::ParseOptions;
use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::net::message::RetryPolicy;
use crate::oauth::token::TokenResponse;
use crate::text::bearer_token;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::tokens::Token;
use crate::tokens::broker::Broker;
use crate::tokens::cache::{CacheKeyHasher, Lock};

/// An access token kept beside the login.
pub(super) struct SavedAccessToken {
    token: Secret,
    expires_at: i64,
    scopes: Option<Vec<String>>,
}

impl SavedAccessToken {
    /// Reads `token` and `expiry`; `None` where one is missing, or the token could not be sent.
    pub(super) fn read(
        fields: &mut JsonFields,
        scopes: Option<Vec<String>>,
    ) -> std::result::Result<Option<SavedAccessToken>, String> {
        let token = fields.secret("token")?.filter(|token| !token.is_empty());
        let expires_at = match fields.text("expiry")? {
            None => None,
            Some(text) => {
                Some(parse_expiry(&text).ok_or("expiry is not a time like 2026-01-02T03:04:05Z")?)
            }
        };
        let token = token.filter(bearer_token::is_well_formed_secret);
        Ok(token.zip(expires_at).map(|(token, expires_at)| SavedAccessToken {
            token,
            expires_at,
            scopes: scopes.map(sorted_and_deduplicated),
        }))
    }

    /// The token, while it lasts and nobody asked for a longer one.
    pub(super) fn usable_token(
        &self,
        credential_type: &str,
        refresh_margin: i64,
        broker: &Broker<'_>,
    ) -> Option<Token> {
        let mut token = Token::new(self.token.clone(), credential_type, Some(self.expires_at));
        token.scopes.clone_from(&self.scopes);
        broker.is_sufficient(&token, refresh_margin).then_some(token)
    }

    pub(super) fn hash_cache_key(saved: Option<&SavedAccessToken>, hasher: &mut CacheKeyHasher) {
        match saved {
            Some(saved) => hasher.add_secret(&saved.token),
            None => hasher.add_text("no saved token"),
        }
    }
}

/// Where what changes of a login is kept: where it came from, but for one that has another copy.
pub(super) fn storage_origin(fields: &mut JsonFields, parse_options: &ParseOptions) -> Origin {
    match fields.value(fields::SHARED) {
        Some(Value::Bool(true)) => Origin::ReadOnly,
        _ => parse_options.origin.clone(),
    }
}

/// Adds what tells one login from the next.
pub(super) fn hash_cache_key(origin: &Origin, refresh_token: &Secret, hasher: &mut CacheKeyHasher) {
    match origin.file() {
        // Our own file changes when its refresh token rotates, and the token stays good.
        Some(path) => hasher.add_text(&path.to_string_lossy()),
        None => hasher.add_secret(refresh_token),
    }
}

/// What a server may give along with its answer.
pub(super) trait HasRefreshToken {
    /// The refresh token to use from now on.
    fn new_refresh_token(&self) -> Option<&Secret>;
}

impl HasRefreshToken for TokenResponse {
    fn new_refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }
}

/// A login that nobody else refreshes meanwhile.
pub(super) struct LockedLogin<'a, 'w> {
    handle: &'a RefreshTokenHandle<'a>,
    context: LoginContext<'a>,
    broker: &'a Broker<'w>,
    lock: Option<Lock>,
    current: CurrentRefreshToken,
}

/// Whose login it is, and what is known of its kind.
#[derive(Clone, Copy)]
pub(super) struct LoginContext<'a> {
    /// Its name, for errors.
    pub(super) name: &'a str,
    /// What to do when its person has to sign in again.
    pub(super) sign_in_hint: &'a str,
    /// Whether each answer may bring the next refresh token.
    pub(super) rotates_refresh_tokens: bool,
}

impl<'a, 'w> LockedLogin<'a, 'w> {
    /// Waits for the login's lock, and reads what is stored now.
    ///
    /// # Errors
    /// `NoAnswer` when the time is up, or when the login was replaced meanwhile; `LoginRequired` when it is gone.
    pub(super) fn acquire(
        handle: &'a RefreshTokenHandle<'a>,
        context: LoginContext<'a>,
        broker: &'a Broker<'w>,
    ) -> Result<LockedLogin<'a, 'w>> {
        let lock = handle.lock(broker.world, broker.deadline())?;
        let current = read_current(handle, context, broker)?;
        Ok(LockedLogin { handle, context, broker, lock, current })
    }

    /// Lets others use the login.
    pub(super) fn release(&mut self) {
        self.lock = None;
    }

    /// Takes it again, as it is now.
    ///
    /// # Errors
    /// As [`Held::take`].
    pub(super) fn reacquire(&mut self) -> Result<()> {
        self.lock = self.handle.lock(self.broker.world, self.broker.deadline())?;
        self.current = read_current(self.handle, self.context, self.broker)?;
        Ok(())
    }

    /// Waits for the turn to ask the login's person something; the login is to be released first.
    ///
    /// # Errors
    /// `NoAnswer` when another process is at it for ten minutes.
    pub(super) fn lock_prompt(&self) -> Result<Option<Lock>> {
        self.broker.pause_deadline(|| self.handle.lock_prompt(self.broker.world))
    }

    /// The proofs of reauthentication that there are.
    pub(super) fn rapts(&self) -> &[Secret] {
        &self.current.rapts
    }

    /// The newest refresh token.
    pub(super) fn refresh_token(&self) -> &Secret {
        &self.current.refresh_token
    }

    /// Keeps a proof of reauthentication with the login.
    pub(super) fn store_rapt(&self, rapt: &Secret) {
        let world = self.broker.world;
        let stored = self.handle.pending_update(world).and_then(|update| {
            let stored = update.store_rapt(&self.current.refresh_token, rapt, world);
            stored.map_err(|error| Error::unexpected(io_reason(&error)))
        });
        if let Err(error) = stored {
            let name = self.context.name;
            world.terminal.warn(&format!(
                "the proof of reauthentication of {name} cannot be stored, {error}: the next run will ask again"
            ));
        }
    }

    /// Asks with the newest refresh token, and stores the next one before anything else happens. `ask` must answer
    /// `LoginRequired` when the token is no longer good.
    ///
    /// # Errors
    /// Those of `ask`, or that the next refresh token could not be stored.
    pub(super) fn refresh_and_store<T: HasRefreshToken>(
        &mut self,
        send_refresh: impl Fn(&Secret, RetryPolicy) -> Result<T>,
    ) -> Result<T> {
        let (handle, name, world) = (self.handle, self.context.name, self.broker.world);
        // A refresh token that rotates is spent by asking: have the file for its successor ready.
        let rotates = self.context.rotates_refresh_tokens || self.current.rotates;
        let pending_update = rotates.then(|| handle.pending_update(world));
        if let Some(Err(error)) = &pending_update {
            return Err(Error::unexpected(format!(
                "the next refresh token of {name} could not be stored, {error}"
            ))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own"));
        }
        let retry_policy = if rotates { RetryPolicy::OnlyIfUnsent } else { RetryPolicy::Standard };
        let mut result = send_refresh(&self.current.refresh_token, retry_policy);
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::LoginRequired) {
            let newer = read_current(handle, self.context, self.broker)?;
            if !newer.refresh_token.constant_time_eq(&self.current.refresh_token) {
                self.current = newer;
                result = send_refresh(&self.current.refresh_token, RetryPolicy::OnlyIfUnsent);
            }
        }
        handle.record_outcome(&self.current.refresh_token, result.as_ref().err(), world);
        let response = result?;
        let sent_refresh_token = &self.current.refresh_token;
        if let Some(new_refresh_token) =
            response.new_refresh_token().filter(|next| !next.constant_time_eq(sent_refresh_token))
        {
            let pending_update = pending_update.unwrap_or_else(|| handle.pending_update(world));
            let stored = pending_update.and_then(|update| {
                let stored =
                    update.store_refresh_token(sent_refresh_token, new_refresh_token, world);
                stored.map_err(|error| Error::unexpected(io_reason(&error)))
            });
            if let Err(error) = stored {
                // The token at hand is good; that the login may not be is said now, not next time.
                world.terminal.warn(&format!(
                    "the new refresh token of {name} cannot be stored, {error}: the next run may need a new login",
                ));
            }
            self.current.refresh_token = new_refresh_token.clone();
            self.current.rotates = true;
        }
        Ok(response)
    }
}

fn read_current(
    handle: &RefreshTokenHandle<'_>,
    context: LoginContext<'_>,
    broker: &Broker<'_>,
) -> Result<CurrentRefreshToken> {
    let name = context.name;
    match handle.stored_state(broker.world)? {
        StoredState::Current(current) => Ok(current),
        StoredState::Gone => {
            let why = "another gauth has signed out meanwhile";
            Err(Error::login_required(name, why, context.sign_in_hint))
        }
        StoredState::Replaced => {
            let what = format!("{name} was signed in anew while its old login was being used");
            Err(Error::no_answer(what).hint("the same again, which uses the new login"))
        }
    }
}

fn sorted_and_deduplicated(mut scopes: Vec<String>) -> Vec<String> {
    scopes.sort();
    scopes.dedup();
    scopes
}

/// A saved expiry in Unix seconds: UTC unless it has an offset, fractions ignored.
fn parse_expiry(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let naive: jiff::civil::DateTime = text.parse().ok()?;
    Some(naive.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_read_as_the_published_vectors_say() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json"))
                .expect("vectors");
        for case in vectors["expiry_parse"].as_array().expect("cases") {
            let text = case["in"].as_str().expect("text");
            assert_eq!(parse_expiry(text), case["unix"].as_i64(), "{text}");
        }
        assert_eq!(parse_expiry("2026-01-02T05:04:04+01:00"), parse_expiry("2026-01-02T04:04:04Z"));
        assert_eq!(parse_expiry("yesterday"), None);
    }
}
