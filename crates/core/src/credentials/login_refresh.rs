//! What the kinds of logins share: a refresh token that may rotate, and an access token saved beside it.

use serde_json::Value;

use crate::accounts::{CurrentRefreshToken, Origin, RefreshTokenHandle, StoredState, fields};
use crate::credentials::ParseOptions;
use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::net::message::{HttpRequest, RetryPolicy};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::token::{RefreshTokenGrant, TokenResponse};
use crate::oauth::{response, revocation, token};
use crate::text::bearer_token;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::tokens::Token;
use crate::tokens::cache::{CacheKeyHasher, Lock};
use crate::tokens::credential::{CredentialInfo, Revocation, Session};

/// An access token saved in the file of a login.
pub(super) struct SavedAccessToken {
    token: Secret,
    expires_at: i64,
    scopes: Option<Vec<String>>,
}

impl SavedAccessToken {
    /// Reads `token` and `expiry`; `None` where one is missing, or the token is not fit for a header.
    pub(super) fn read(
        fields: &mut JsonFields,
        scopes: Option<Vec<String>>,
    ) -> std::result::Result<Option<SavedAccessToken>, String> {
        let token = fields.secret("token")?;
        let expires_at = match fields.text("expiry")? {
            None => None,
            Some(text) => Some(parse_expiry(&text).ok_or("expiry is not a time like 2026-01-02T03:04:05Z")?),
        };
        let token = token.filter(bearer_token::is_well_formed_secret);
        Ok(token.zip(expires_at).map(|(token, expires_at)| SavedAccessToken {
            token,
            expires_at,
            scopes: scopes.map(sorted_and_deduplicated),
        }))
    }

    /// The token, while it is fresh enough for the request.
    pub(super) fn usable_token(&self, info: &CredentialInfo, session: &dyn Session) -> Option<Token> {
        let mut token = Token::new(self.token.clone(), &info.credential_type, Some(self.expires_at));
        token.scopes.clone_from(&self.scopes);
        if !session.is_sufficient(&token, token.refresh_margin) {
            return None;
        }
        session.world().terminal.note(|| format!("the token saved in {} is used", info.location));
        Some(info.annotate(token))
    }

    pub(super) fn hash_cache_key(saved: Option<&SavedAccessToken>, hasher: &mut CacheKeyHasher) {
        match saved {
            Some(saved) => hasher.add_secret(&saved.token),
            None => hasher.add_text("no saved token"),
        }
    }
}

/// Where a login's next refresh token is stored: in its file, unless the login is a copy of another one.
pub(super) fn storage_origin(fields: &mut JsonFields, parse_options: &ParseOptions) -> Origin {
    match fields.value(fields::SHARED) {
        Some(Value::Bool(true)) => Origin::ReadOnly,
        _ => parse_options.origin.clone(),
    }
}

/// Adds the login's identity to a cache key.
pub(super) fn hash_cache_key(origin: &Origin, refresh_token: &Secret, hasher: &mut CacheKeyHasher) {
    match origin.file() {
        // Our own file changes with its refresh token, and its cached access tokens stay valid.
        Some(path) => hasher.add_text(&path.to_string_lossy()),
        None => hasher.add_secret(refresh_token),
    }
}

/// Sends a revocation request (RFC 7009) to `server_name`.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(super) fn revoke(server_name: &str, request: &HttpRequest, session: &dyn Session) -> Result<Revocation> {
    let response = session.send(request)?;
    match revocation::read_revocation(server_name, &response, request.url.authority())? {
        true => Ok(Revocation::Revoked),
        false => Ok(Revocation::AlreadyRevoked),
    }
}

/// A response that may have a new refresh token.
pub(super) trait HasRefreshToken {
    /// The new refresh token, which replaces the one that was sent.
    fn new_refresh_token(&self) -> Option<&Secret>;
}

impl HasRefreshToken for TokenResponse {
    fn new_refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }
}

/// A login under its lock: no other process refreshes it meanwhile.
pub(super) struct LockedLogin<'a> {
    handle: &'a RefreshTokenHandle<'a>,
    context: LoginContext<'a>,
    session: &'a dyn Session,
    lock: Option<Lock>,
    current: CurrentRefreshToken,
}

/// What messages say of a login, and how its server treats refresh tokens.
#[derive(Clone, Copy)]
pub(super) struct LoginContext<'a> {
    /// Its account or location, for errors.
    pub(super) name: &'a str,
    /// The command that signs the user in again.
    pub(super) sign_in_hint: &'a str,
    /// Whether each response may have a new refresh token.
    pub(super) rotates_refresh_tokens: bool,
}

impl<'a> LockedLogin<'a> {
    /// Waits for the login's lock, then reads its stored state.
    ///
    /// # Errors
    /// `NoAnswer` at the deadline, or when the login was replaced meanwhile; `LoginRequired` when it was removed.
    pub(super) fn acquire(
        handle: &'a RefreshTokenHandle<'a>,
        context: LoginContext<'a>,
        session: &'a dyn Session,
    ) -> Result<LockedLogin<'a>> {
        let lock = handle.lock(session.world(), session.deadline())?;
        let current = read_current(handle, context, session)?;
        Ok(LockedLogin { handle, context, session, lock, current })
    }

    /// Releases the lock before this value is dropped.
    pub(super) fn release(&mut self) {
        self.lock = None;
    }

    /// Takes the lock again and reads the stored state again.
    ///
    /// # Errors
    /// As [`LockedLogin::acquire`].
    pub(super) fn reacquire(&mut self) -> Result<()> {
        self.lock = self.handle.lock(self.session.world(), self.session.deadline())?;
        self.current = read_current(self.handle, self.context, self.session)?;
        Ok(())
    }

    /// Waits until no other process prompts the user for this login; the login must be released first.
    ///
    /// # Errors
    /// `NoAnswer` when another process prompts for ten minutes.
    pub(super) fn lock_prompt(&self) -> Result<Option<Lock>> {
        self.session.pause_deadline(|| self.handle.lock_prompt(self.session.world()))
    }

    /// The stored RAPTs (reauthentication proof tokens).
    pub(super) fn rapts(&self) -> &[Secret] {
        &self.current.rapts
    }

    /// The newest refresh token.
    pub(super) fn refresh_token(&self) -> &Secret {
        &self.current.refresh_token
    }

    /// Stores a RAPT with the login.
    pub(super) fn store_rapt(&self, rapt: &Secret) {
        let world = self.session.world();
        let stored = self.handle.pending_update(world).and_then(|update| {
            let stored = update.store_rapt(&self.current.refresh_token, rapt, world);
            stored.map_err(|error| Error::unexpected(io_reason(&error)))
        });
        if let Err(error) = stored {
            let name = self.context.name;
            world
                .terminal
                .warn(&format!("the reauthentication of {name} cannot be stored, {error}: the next run asks again"));
        }
    }

    /// Sends the newest refresh token, and stores the new one of the response before anything else. `send_refresh` must
    /// return `LoginRequired` for a refresh token that is not valid any more.
    ///
    /// # Errors
    /// Those of `send_refresh`; `Unexpected` where the new refresh token could not be stored, before anything is sent.
    pub(super) fn refresh_and_store<T: HasRefreshToken>(
        &mut self,
        send_refresh: impl Fn(&Secret, RetryPolicy) -> Result<T>,
    ) -> Result<T> {
        let (handle, name, world) = (self.handle, self.context.name, self.session.world());
        // A rotating refresh token can be sent once: the file for the new one must be ready before.
        let rotates = self.context.rotates_refresh_tokens || self.current.rotates;
        let pending_update = rotates.then(|| handle.pending_update(world));
        if let Some(Err(error)) = &pending_update {
            return Err(Error::unexpected(format!("the next refresh token of {name} could not be stored, {error}"))
                .hint("free disk space, or set GAUTH_CONFIG_DIR to a folder of your own"));
        }
        let retry_policy = if rotates { RetryPolicy::OnlyIfUnsent } else { RetryPolicy::Standard };
        let mut result = send_refresh(&self.current.refresh_token, retry_policy);
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::LoginRequired) {
            let newer = read_current(handle, self.context, self.session)?;
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
                let stored = update.store_refresh_token(sent_refresh_token, new_refresh_token, world);
                stored.map_err(|error| Error::unexpected(io_reason(&error)))
            });
            if let Err(error) = stored {
                // The access token is valid, so this run succeeds; the warning says now that the login may be lost.
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

/// The token endpoint of a login, at a server that may give a new refresh token with each response.
#[derive(Clone, Copy)]
pub(super) struct RefreshEndpoint<'a> {
    pub(super) url: &'a Url,
    pub(super) client: ClientCredentials<'a>,
    /// The server in errors about its responses: `Google`, or `the provider`.
    pub(super) server_name: &'a str,
    /// The server in the error for a login that is not valid any more: `Google`, or the host.
    pub(super) rejecting_server: &'a str,
    /// The hint where the server refuses anything but the refresh token.
    pub(super) refusal_hint: &'a str,
}

impl RefreshEndpoint<'_> {
    /// Refreshes the login (RFC 6749, section 6), and stores the new refresh token of the response.
    ///
    /// # Errors
    /// `LoginRequired` when the refresh token is not valid any more; those of [`LockedLogin`].
    pub(super) fn refresh_and_store(
        self,
        handle: &RefreshTokenHandle<'_>,
        name: &str,
        sign_in_hint: &str,
        session: &dyn Session,
    ) -> Result<TokenResponse> {
        let context = LoginContext { name, sign_in_hint, rotates_refresh_tokens: true };
        let send_refresh = |refresh_token: &Secret, retry_policy: RetryPolicy| {
            let client = self.client;
            let grant = RefreshTokenGrant { client, refresh_token, scopes: &[], rapt: None };
            let (now, host) = (session.now(), self.url.authority());
            let request = token::refresh_request(self.url, &grant).retry_policy(retry_policy);
            let response = session.send(&request)?;
            if response.status == 200 {
                return token::read_bearer_response(&response, host, now);
            }
            let error = response::status_error(self.server_name, &response, host);
            match response::server_error(&response) {
                Some(server_error) if error.kind() == ErrorKind::Refused && server_error.code == "invalid_grant" => {
                    let why = format!("{} says {}", self.rejecting_server, server_error.message());
                    Err(Error::login_required(name, &why, sign_in_hint))
                }
                _ => Err(error.hint_if_none(|| self.refusal_hint.to_owned())),
            }
        };
        LockedLogin::acquire(handle, context, session)?.refresh_and_store(send_refresh)
    }
}

fn read_current(
    handle: &RefreshTokenHandle<'_>,
    context: LoginContext<'_>,
    session: &dyn Session,
) -> Result<CurrentRefreshToken> {
    let name = context.name;
    match handle.stored_state(session.world())? {
        StoredState::Current(current) => Ok(current),
        StoredState::Gone => {
            let why = "another gauth signed it out meanwhile";
            Err(Error::login_required(name, why, context.sign_in_hint))
        }
        StoredState::Replaced => {
            let what = format!("{name} was signed in again while its old login was used");
            Err(Error::no_answer(what).hint("run the command again, it uses the new login"))
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
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        for case in vectors["expiry_parse"].as_array().expect("cases") {
            let text = case["in"].as_str().expect("text");
            assert_eq!(parse_expiry(text), case["unix"].as_i64(), "{text}");
        }
        assert_eq!(parse_expiry("2026-01-02T05:04:04+01:00"), parse_expiry("2026-01-02T04:04:04Z"));
        assert_eq!(parse_expiry("yesterday"), None);
    }
}
