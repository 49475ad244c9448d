//! Reauthentication: an organisation can require its users to prove their identity again. The stored RAPTs (proof
//! tokens) are tried first; then the user is prompted at a terminal. Elsewhere the error names the command to run at one.

use std::time::Duration;

use crate::credentials::login_refresh::{HasRefreshToken, LockedLogin};
use crate::error::{Error, ErrorKind, Result};
use crate::google::reauth;
use crate::google::reauth::{ChallengeType, MAX_CHALLENGES, REAUTH_SCOPE, ReauthChallenge, ReauthSessionState};
use crate::net::message::{HttpRequest, RetryPolicy};
use crate::net::url::Url;
use crate::oauth::token::TokenResponse;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::credential::Session;
use crate::world::clock::Deadline;
use crate::world::prompt;

/// How long the user may take for one response, as at a login.
const PASSWORD_PROMPT_TIMEOUT: Duration = Duration::from_secs(300);

/// The parameters of one refresh.
pub(super) struct RefreshRequest<'a> {
    pub(super) refresh_token: &'a Secret,
    pub(super) scopes: &'a [String],
    pub(super) rapt: Option<&'a Secret>,
    pub(super) retry_policy: RetryPolicy,
}

/// The result of a refresh that is not an error.
pub(super) enum ReauthOutcome {
    Granted(Box<TokenResponse>),
    /// The login is valid, but a RAPT is missing or expired.
    ReauthRequired,
}

impl HasRefreshToken for ReauthOutcome {
    fn new_refresh_token(&self) -> Option<&Secret> {
        match self {
            ReauthOutcome::Granted(granted) => granted.new_refresh_token(),
            ReauthOutcome::ReauthRequired => None,
        }
    }
}

type SendRefresh<'a> = dyn Fn(&RefreshRequest<'_>) -> Result<ReauthOutcome> + 'a;

/// The user who reauthenticates, and for what.
pub(super) struct ReauthUser<'a> {
    pub(super) name: &'a str,
    pub(super) sign_in_hint: &'a str,
    /// Whether the login is one of gauth's own.
    pub(super) is_own_login: bool,
    pub(super) token_endpoint: &'a Url,
    /// The scopes of the token: the organisation's rules depend on them.
    pub(super) scopes: &'a [String],
}

impl ReauthUser<'_> {
    /// Refreshes the login, with a RAPT if the server requires one.
    ///
    /// # Errors
    /// Those of `send_refresh`; `LoginRequired` where the user cannot be prompted, or the response is not accepted.
    pub(super) fn refresh_with_reauth(
        &self,
        locked_login: &mut LockedLogin<'_>,
        scopes: &[String],
        send_refresh: &SendRefresh<'_>,
        session: &dyn Session,
    ) -> Result<TokenResponse> {
        let tried_tokens = (locked_login.refresh_token().clone(), locked_login.rapts().to_vec());
        if let Some(granted) = refresh_with_known_rapts(locked_login, scopes, send_refresh)? {
            return Ok(granted);
        }
        if !session.can_prompt() {
            return Err(self.reauth_required_error());
        }
        let Some(server) = reauth::server_for_token_endpoint(self.token_endpoint) else {
            let host = self.token_endpoint.authority();
            return Err(
                self.login_required_error(&format!("{host} requires a reauthentication, which only Google supports"))
            );
        };
        // While the user is prompted, the login is not locked: a new login in another process need not wait.
        locked_login.release();
        let _prompt_marker = session.mark_prompting();
        let _prompt_lock = locked_login.lock_prompt()?;
        locked_login.reacquire()?;
        // Another process may have prompted the user meanwhile.
        if has_new_tokens(locked_login, &tried_tokens)
            && let Some(granted) = refresh_with_known_rapts(locked_login, scopes, send_refresh)?
        {
            return Ok(granted);
        }
        let reauth_token = self.reauth_scoped_token(locked_login, send_refresh)?;
        locked_login.release();
        let rapt = self.answer_challenges(&server, &reauth_token, session)?;
        locked_login.reacquire()?;
        locked_login.store_rapt(&rapt);
        match refresh_with_rapt(locked_login, scopes, Some(&rapt), send_refresh)? {
            ReauthOutcome::Granted(granted) => Ok(*granted),
            ReauthOutcome::ReauthRequired => {
                Err(self.login_required_error("Google does not accept the RAPT it has just given"))
            }
        }
    }

    /// An access token for the reauthentication API only.
    fn reauth_scoped_token(
        &self,
        locked_login: &mut LockedLogin<'_>,
        send_refresh: &SendRefresh<'_>,
    ) -> Result<Secret> {
        let scope_missing_error = || {
            let error =
                self.login_required_error("its login lacks the scope accounts.reauth, which a reauthentication needs");
            match self.is_own_login {
                true => error.hint(format!("{} --scopes cloud-platform,accounts.reauth", self.sign_in_hint)),
                false => error,
            }
        };
        match refresh_with_rapt(locked_login, &[REAUTH_SCOPE.to_owned()], None, send_refresh) {
            Ok(ReauthOutcome::Granted(granted)) => match &granted.scopes {
                Some(scopes) if !scopes.iter().any(|scope| scope == REAUTH_SCOPE) => Err(scope_missing_error()),
                _ => Ok(granted.access_token),
            },
            Ok(ReauthOutcome::ReauthRequired) => Err(scope_missing_error()),
            Err(error) if error.kind() == ErrorKind::Refused => Err(scope_missing_error()),
            Err(error) => Err(error),
        }
    }

    /// Responds to the server's challenges until it issues a RAPT.
    fn answer_challenges(&self, server: &Url, token: &Secret, session: &dyn Session) -> Result<Secret> {
        let mut next = self.send(&reauth::start_session_request(server, token, self.scopes)?, server, session)?;
        let mut answered_challenge = None;
        for _ in 0..MAX_CHALLENGES {
            let (session_id, challenges, pending) = match next {
                ReauthSessionState::ChallengeRequired { session_id, challenges, pending } => {
                    (session_id, challenges, pending)
                }
                ReauthSessionState::Authenticated(proof) => return Ok(proof),
                ReauthSessionState::Ended(status) => return Err(self.ended_error(&status)),
            };
            let challenge = self.supported_challenge(&challenges)?;
            // The same challenge again: the response was wrong.
            let is_retry = answered_challenge.as_ref().is_some_and(|answered| !pending || *answered == challenge.id);
            let password = self.prompt_password(is_retry, server, session)?;
            let request = reauth::continue_session_request(server, token, &session_id, &challenge.id, &password)?;
            let host = server.authority();
            next = self
                .send(&request, server, session)
                .map_err(|error| reauth::without_password_echo(error, &password, host))?;
            answered_challenge = Some(challenge.id.clone());
        }
        match next {
            ReauthSessionState::Authenticated(proof) => Ok(proof),
            ReauthSessionState::Ended(status) => Err(self.ended_error(&status)),
            ReauthSessionState::ChallengeRequired { .. } => {
                Err(self.login_required_error(&format!("{MAX_CHALLENGES} answers were not enough")))
            }
        }
    }

    fn send(&self, request: &HttpRequest, server: &Url, session: &dyn Session) -> Result<ReauthSessionState> {
        let response = session.send(request)?;
        reauth::read_session(&response, server.authority())
            .map_err(|error| error.hint_if_none(|| self.sign_in_hint.to_owned()))
    }

    /// The first challenge that gauth supports.
    fn supported_challenge<'c>(&self, challenges: &'c [ReauthChallenge]) -> Result<&'c ReauthChallenge> {
        let password = challenges.iter().find(|challenge| challenge.challenge_type == ChallengeType::Password);
        password.ok_or_else(|| {
            let kinds = challenges.iter().map(|challenge| challenge.challenge_type.description());
            let asks = "the organisation asks for";
            match challenges.first().map(|challenge| &challenge.challenge_type) {
                None => self.login_required_error("Google names no challenge that is ready"),
                Some(ChallengeType::SecurityKey) => self
                    .login_required_error(&format!("{asks} a security key, which only a browser can use"))
                    .hint(format!(
                        "{} in a browser; for machines a service account (--impersonate-service-account)",
                        self.sign_in_hint
                    )),
                Some(ChallengeType::Saml) => {
                    self.login_required_error(&format!("{asks} {}", ChallengeType::Saml.description()))
                }
                Some(_) => {
                    let kinds: Vec<String> = kinds.collect();
                    self.login_required_error(&format!("{asks} {}, which gauth does not support", kinds.join(" or ")))
                }
            }
        })
    }

    fn prompt_password(&self, is_retry: bool, server: &Url, session: &dyn Session) -> Result<Secret> {
        let name = printable::text(self.name);
        let server_name = if server.is_loopback() { server.authority() } else { "Google" };
        let why = match is_retry {
            false => format!("the organisation asks {name} for the password again"),
            true => format!("{name}: that was not the password"),
        };
        let question = format!("{why}\nthe password, for {server_name} (not shown): ");
        let world = session.world();
        let deadline = Deadline::after(&*world.clock, PASSWORD_PROMPT_TIMEOUT);
        let password = session.pause_deadline(|| prompt::ask_secret_until(&question, deadline, world));
        let password = password.map_err(|error| match error.kind() {
            ErrorKind::NoAnswer => {
                let minutes = PASSWORD_PROMPT_TIMEOUT.as_secs() / 60;
                let why = format!("no password was entered within {minutes} minutes");
                self.login_required_error(&why).hint("run the command again")
            }
            _ => error,
        })?;
        Ok(Secret::new(password.as_str()))
    }

    fn ended_error(&self, status: &str) -> Error {
        self.login_required_error(&format!("the reauthentication ended, Google says {status}"))
    }

    fn login_required_error(&self, why: &str) -> Error {
        Error::login_required(self.name, why, self.sign_in_hint)
    }

    /// The error where the user cannot be prompted.
    fn reauth_required_error(&self) -> Error {
        let why = "the organisation asks for the password or key again (reauthentication)";
        let hint = match self.is_own_login {
            true => format!("gauth token --account {} at a terminal, which prompts for it", printable::text(self.name)),
            false => format!("{}, or the same command at a terminal, which prompts for it", self.sign_in_hint),
        };
        self.login_required_error(why).hint(hint)
    }
}

/// Refreshes with each stored RAPT in turn, or without one where there is none.
fn refresh_with_known_rapts(
    locked_login: &mut LockedLogin<'_>,
    scopes: &[String],
    send_refresh: &SendRefresh<'_>,
) -> Result<Option<TokenResponse>> {
    let known_rapts = locked_login.rapts().to_vec();
    let mut candidates = known_rapts.iter().map(Some).collect::<Vec<_>>();
    if candidates.is_empty() {
        candidates.push(None);
    }
    for rapt in candidates {
        if let ReauthOutcome::Granted(granted) = refresh_with_rapt(locked_login, scopes, rapt, send_refresh)? {
            return Ok(Some(*granted));
        }
    }
    Ok(None)
}

fn refresh_with_rapt(
    locked_login: &mut LockedLogin<'_>,
    scopes: &[String],
    rapt: Option<&Secret>,
    send_refresh: &SendRefresh<'_>,
) -> Result<ReauthOutcome> {
    locked_login.refresh_and_store(|refresh_token, retry_policy| {
        send_refresh(&RefreshRequest { refresh_token, scopes, rapt, retry_policy })
    })
}

fn has_new_tokens(locked_login: &LockedLogin<'_>, tried_tokens: &(Secret, Vec<Secret>)) -> bool {
    let (refresh_token, rapts) = tried_tokens;
    let is_new = |rapt: &Secret| !rapts.iter().any(|known| known.constant_time_eq(rapt));
    !locked_login.refresh_token().constant_time_eq(refresh_token) || locked_login.rapts().iter().any(is_new)
}
