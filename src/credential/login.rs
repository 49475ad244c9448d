//! What both kinds of logins share: a refresh token that may rotate, and an access token saved beside it.

use serde_json::Value;

use crate::accounts::{Current, Login, Origin, SHARED, Stored};
use crate::broker::Broker;
use crate::cache::{KeyDigest, Lock};
use crate::credential::Setting;
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

/// Where what changes of a login is kept: where it came from, but for one that has another copy.
pub(super) fn origin(fields: &mut Fields, setting: &Setting) -> Origin {
    match fields.any(SHARED) {
        Some(Value::Bool(true)) => Origin::Foreign,
        _ => setting.origin.clone(),
    }
}

/// Adds what tells one login from the next.
pub(super) fn identify(origin: &Origin, refresh_token: &Secret, digest: &mut KeyDigest) {
    match origin.file() {
        // Our own file changes when its refresh token rotates, and the token stays good.
        Some(path) => digest.field(&path.to_string_lossy()),
        None => digest.secret(refresh_token),
    }
}

/// What a server may give along with its answer.
pub(super) trait Brings {
    /// The refresh token to use from now on.
    fn next(&self) -> Option<&Secret>;
}

impl Brings for Granted {
    fn next(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }
}

/// A login that nobody else refreshes meanwhile.
pub(super) struct Held<'a, 'w> {
    login: &'a Login<'a>,
    whose: Whose<'a>,
    broker: &'a Broker<'w>,
    lock: Option<Lock>,
    current: Current,
}

/// Whose login it is, and what is known of its kind.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    /// Its name, for errors.
    pub(super) name: &'a str,
    /// What to do when its person has to sign in again.
    pub(super) hint: &'a str,
    /// Whether each answer may bring the next refresh token.
    pub(super) rotates: bool,
}

impl<'a, 'w> Held<'a, 'w> {
    /// Waits for the login's lock, and reads what is stored now.
    ///
    /// # Errors
    /// `NoAnswer` when the time is up, or when the login was replaced meanwhile; `LoginRequired` when it is gone.
    pub(super) fn take(
        login: &'a Login<'a>,
        whose: Whose<'a>,
        broker: &'a Broker<'w>,
    ) -> Result<Held<'a, 'w>> {
        let lock = login.lock(broker.world, broker.deadline())?;
        let current = current(login, whose, broker)?;
        Ok(Held { login, whose, broker, lock, current })
    }

    /// Lets others use the login.
    pub(super) fn release(&mut self) {
        self.lock = None;
    }

    /// Takes it again, as it is now.
    ///
    /// # Errors
    /// As [`Held::take`].
    pub(super) fn retake(&mut self) -> Result<()> {
        self.lock = self.login.lock(self.broker.world, self.broker.deadline())?;
        self.current = current(self.login, self.whose, self.broker)?;
        Ok(())
    }

    /// Waits for the turn to ask the login's person something; the login is to be released first.
    ///
    /// # Errors
    /// `NoAnswer` when another process is at it for ten minutes.
    pub(super) fn turn(&self) -> Result<Option<Lock>> {
        self.broker.outside(|| self.login.turn(self.broker.world))
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
    pub(super) fn keep_rapt(&self, rapt: &Secret) {
        let world = self.broker.world;
        let stored = self.login.draft(world).and_then(|successor| {
            let stored = successor.store_rapt(&self.current.refresh_token, rapt, world);
            stored.map_err(|error| Error::unexpected(io_reason(&error)))
        });
        if let Err(error) = stored {
            let name = self.whose.name;
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
    pub(super) fn ask<T: Brings>(
        &mut self,
        ask: impl Fn(&Secret, Patience) -> Result<T>,
    ) -> Result<T> {
        let (login, name, world) = (self.login, self.whose.name, self.broker.world);
        // A refresh token that rotates is spent by asking: have the file for its successor ready.
        let rotates = self.whose.rotates || self.current.rotates;
        let draft = rotates.then(|| login.draft(world));
        if let Some(Err(error)) = &draft {
            return Err(Error::unexpected(format!(
                "the next refresh token of {name} could not be stored, {error}"
            ))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own"));
        }
        let patience = if rotates { Patience::SingleUse } else { Patience::Usual };
        let mut asked = ask(&self.current.refresh_token, patience);
        if asked.as_ref().is_err_and(|error| error.kind() == ErrorKind::LoginRequired) {
            let newer = current(login, self.whose, self.broker)?;
            if !newer.refresh_token.same_as(&self.current.refresh_token) {
                self.current = newer;
                asked = ask(&self.current.refresh_token, Patience::SingleUse);
            }
        }
        login.remember(&self.current.refresh_token, asked.as_ref().err(), world);
        let answer = asked?;
        let sent = &self.current.refresh_token;
        if let Some(next) = answer.next().filter(|next| !next.same_as(sent)) {
            let draft = draft.unwrap_or_else(|| login.draft(world));
            let stored = draft.and_then(|successor| {
                let stored = successor.store(sent, next, world);
                stored.map_err(|error| Error::unexpected(io_reason(&error)))
            });
            if let Err(error) = stored {
                // The token at hand is good; that the login may not be is said now, not next time.
                world.terminal.warn(&format!(
                    "the new refresh token of {name} cannot be stored, {error}: the next run may need a new login",
                ));
            }
            self.current.refresh_token = next.clone();
            self.current.rotates = true;
        }
        Ok(answer)
    }
}

fn current(login: &Login<'_>, whose: Whose<'_>, broker: &Broker<'_>) -> Result<Current> {
    let name = whose.name;
    match login.current(broker.world)? {
        Stored::Current(current) => Ok(current),
        Stored::Gone => {
            let why = "another gauth has signed out meanwhile";
            Err(Error::login_required(name, why, whose.hint))
        }
        Stored::Replaced => {
            let what = format!("{name} was signed in anew while its old login was being used");
            Err(Error::no_answer(what).hint("the same again, which uses the new login"))
        }
    }
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
    Some(naive.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
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
