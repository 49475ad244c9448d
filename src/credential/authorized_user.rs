//! User logins: a refresh token and the OAuth client it was made with (RFC 6749, section 6).
//!
//! Also the `token.json` that Google's quickstarts save, without `type` and with a token that is used until
//! its `expiry`.

use crate::accounts::{Login, Origin};
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{AGAIN, About, Credential, Setting};
use crate::error::{Error, ErrorKind, Result, io_reason};
use crate::google::token::{Granted, Refresh};
use crate::google::{answer, token};
use crate::http::Patience;
use crate::json::Fields;
use crate::secret::Secret;
use crate::token::{AccessRequest, Token};
use crate::trust::DEFAULT_UNIVERSE;
use crate::url::Url;

/// A person's login.
struct AuthorizedUser {
    about: About,
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    token_uri: Url,
    rapt: Option<Secret>,
    saved: Option<Saved>,
    origin: Origin,
    login_hint: String,
}

/// An access token kept beside the login.
struct Saved {
    token: Secret,
    expires_at: i64,
    scopes: Option<Vec<String>>,
}

/// Reads the fields of a login.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let client_id = fields.needed("client_id").map_err(malformed)?;
    let client_secret = fields.needed_secret("client_secret").map_err(malformed)?;
    let refresh_token = fields.needed_secret("refresh_token").map_err(malformed)?;
    let token_uri = fields.text("token_uri").map_err(malformed)?;
    let universe = fields.text("universe_domain").map_err(malformed)?;
    let universe = setting.universe(universe.filter(|domain| !domain.is_empty()))?;
    let account = fields.text("account").map_err(malformed)?;
    let scopes = fields.words("scopes").map_err(malformed)?;
    let token = fields.secret("token").map_err(malformed)?.filter(|token| !token.is_empty());
    let expiry = match fields.text("expiry").map_err(malformed)? {
        None => None,
        Some(text) => Some(unix(&text).ok_or_else(|| malformed(EXPIRY.to_owned()))?),
    };
    let saved = match (token, expiry) {
        (Some(token), Some(expires_at)) if token::can_be_sent(&token) => {
            Some(Saved { token, expires_at, scopes: scopes.map(sorted) })
        }
        _ => None,
    };
    let about = About {
        kind: "authorized_user".to_owned(),
        place: setting.place.clone(),
        account: account.filter(|name| !name.is_empty()).or_else(|| setting.account.clone()),
        project: None,
        quota_project: setting.quota_project(fields.text("quota_project_id").map_err(malformed)?),
        universe_domain: Some(universe),
    };
    Ok(Box::new(AuthorizedUser {
        about,
        client_id,
        client_secret,
        refresh_token,
        token_uri: setting.endpoint(token_uri.as_deref().filter(|uri| !uri.is_empty()))?,
        rapt: fields.secret("rapt_token").map_err(malformed)?.filter(|rapt| !rapt.is_empty()),
        saved,
        origin: setting.origin.clone(),
        login_hint: setting.login_hint.clone(),
    }))
}

const EXPIRY: &str = "expiry is not a time like 2026-01-02T03:04:05Z";

impl Credential for AuthorizedUser {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("authorized_user");
        digest.field(&self.client_id);
        digest.field(self.token_uri.as_str());
        match &self.origin {
            // Our own file changes when its refresh token rotates, and the token stays good.
            Origin::Ours(path) => digest.field(&path.to_string_lossy()),
            Origin::Foreign => digest.secret(&self.refresh_token),
        }
        match &self.saved {
            Some(saved) => digest.secret(&saved.token),
            None => digest.field("no saved token"),
        }
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.check(request)?;
        if let Some(token) = self.saved_token(request, broker) {
            broker
                .world
                .terminal
                .note(|| format!("the token saved in {} is used", self.about.place));
            return Ok(token);
        }
        let now = broker.now();
        let granted = self.refresh(&request.scopes, broker)?;
        self.warn_of_missing_scopes(request, &granted, broker);
        let mut token = Token::new(granted.access_token, "authorized_user", granted.expires_at);
        token.scopes = granted.scopes;
        token.cacheable = token.expires_at.is_some_and(|end| end > now);
        Ok(self.about.stamp(token))
    }
}

impl AuthorizedUser {
    fn check(&self, request: &AccessRequest) -> Result<()> {
        if request.subject.is_some() {
            let error = self.about.cannot("act for another user (--subject)");
            return Err(error.hint("use the key of a service account with domain-wide delegation"));
        }
        if request.lifetime.is_some() {
            let error = self.about.cannot("choose how long its tokens live (--lifetime)");
            return Err(error.hint("leave --lifetime away, Google gives an hour"));
        }
        match self.about.universe_domain.as_deref() {
            None | Some(DEFAULT_UNIVERSE) => Ok(()),
            Some(other) => Err(self
                .about
                .cannot(&format!("be refreshed in the universe {other}"))
                .hint("use the key of a service account of that universe")),
        }
    }

    /// The token beside the login, while it lasts and nobody asked for other scopes.
    fn saved_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Option<Token> {
        let saved = self.saved.as_ref()?;
        let mut token = Token::new(saved.token.clone(), "authorized_user", Some(saved.expires_at));
        if !request.scopes.is_empty() || !broker.settles_for(&token, self.margin()) {
            return None;
        }
        token.scopes = saved.scopes.clone();
        Some(self.about.stamp(token))
    }

    /// Asks with the newest refresh token of this login, and stores the next one before anything is printed.
    fn refresh(&self, scopes: &[String], broker: &Broker<'_>) -> Result<Granted> {
        let world = broker.world;
        let login = Login {
            origin: &self.origin,
            client_id: &self.client_id,
            refresh_token: &self.refresh_token,
        };
        let lock = login.lock(world, broker.deadline())?;
        let current = login.current(world)?;
        // A refresh token that rotates is spent by asking: have the file for its successor ready.
        let draft = match current.rotates {
            true => Some(login.draft(world)),
            false => None,
        };
        if let Some(Err(error)) = &draft {
            return Err(Error::unexpected(format!(
                "the next refresh token of {} could not be stored, {error}",
                self.about.name(),
            ))
            .hint("make room, or set GAUTH_CONFIG_DIR to a folder of your own"));
        }
        let mut sent = current.refresh_token;
        let mut asked = self.ask(&sent, current.rotates, scopes, broker);
        if is_invalid_grant(&asked) {
            let newer = login.current(world)?.refresh_token;
            if !newer.same_as(&sent) {
                sent = newer;
                asked = self.ask(&sent, true, scopes, broker);
            }
        }
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
                    "the new refresh token of {} cannot be stored, {error}: the next run may need a new login",
                    self.about.name(),
                ));
            }
        }
        drop(lock);
        Ok(granted)
    }

    fn ask(
        &self,
        refresh_token: &Secret,
        rotates: bool,
        scopes: &[String],
        broker: &Broker<'_>,
    ) -> Result<Granted> {
        let refresh = Refresh {
            client_id: &self.client_id,
            client_secret: &self.client_secret,
            refresh_token,
            scopes,
            rapt: self.rapt.as_ref(),
        };
        let patience = if rotates { Patience::SingleUse } else { Patience::Usual };
        let request = token::refresh(&self.token_uri, &refresh).patience(patience);
        let now = broker.now();
        let response = broker.send(&request)?;
        token::read(&response, self.token_uri.authority(), now).map_err(|error| {
            match answer::server_error(&response) {
                Some(said) if error.kind() == ErrorKind::Refused => self.refused(error, &said),
                _ => error,
            }
        })
    }

    fn refused(&self, error: Error, said: &answer::ServerError) -> Error {
        let name = self.about.name();
        match (said.code.as_str(), said.subtype.as_deref()) {
            ("invalid_grant", Some("invalid_rapt" | "rapt_required")) => Error::login_required(
                name,
                "the organisation asks for the password or key again (reauthentication)",
                &self.login_hint,
            ),
            ("invalid_grant", _) => {
                Error::login_required(name, &said.to_string(), &self.login_hint)
            }
            ("invalid_client" | "unauthorized_client", _) => error.hint(format!(
                "check client_id and client_secret in {}, or log in again: {}",
                self.about.place, self.login_hint
            )),
            ("invalid_scope", _) => {
                error.hint("ask for scopes that were granted at login, or log in with more")
            }
            ("access_denied" | "admin_policy_enforced", _) => {
                error.hint("ask the administrator: a policy blocks this user, app or device")
            }
            _ => error.hint_if_none(|| self.login_hint.clone()),
        }
    }

    fn warn_of_missing_scopes(
        &self,
        request: &AccessRequest,
        granted: &Granted,
        broker: &Broker<'_>,
    ) {
        let Some(given) = &granted.scopes else { return };
        let missing: Vec<&str> = request
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| !given.iter().any(|given| same_scope(given, scope)))
            .collect();
        if !missing.is_empty() {
            broker.world.terminal.warn(&format!("not granted: {}", missing.join(", ")));
        }
    }
}

fn is_invalid_grant(asked: &Result<Granted>) -> bool {
    asked.as_ref().is_err_and(|error| error.kind() == ErrorKind::LoginRequired)
}

/// Google answers two of OpenID Connect's scopes with names of its own.
fn same_scope(given: &str, asked: &str) -> bool {
    let own = |scope| match scope {
        "email" => "https://www.googleapis.com/auth/userinfo.email".to_owned(),
        "profile" => "https://www.googleapis.com/auth/userinfo.profile".to_owned(),
        _ => String::from(scope),
    };
    own(given) == own(asked)
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

    #[test]
    fn googles_names_for_email_and_profile_are_the_same_scopes() {
        assert!(same_scope("https://www.googleapis.com/auth/userinfo.email", "email"));
        assert!(same_scope("openid", "openid") && !same_scope("openid", "email"));
    }
}
