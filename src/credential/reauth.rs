//! A login whose organisation wants its person to prove again who they are: the proofs there are already are tried,
//! and then, at a terminal, the person is asked. Elsewhere nobody is, and the error says what to run where somebody is.

use std::time::Duration;

use crate::broker::Broker;
use crate::credential::login::{Brings, Held};
use crate::error::{Error, ErrorKind, Result};
use crate::google::reauth::{self, Challenge, Kind, Next, ROUNDS, SCOPE};
use crate::google::token::Granted;
use crate::http::{HttpRequest, Patience};
use crate::printable;
use crate::secret::Secret;
use crate::url::Url;
use crate::world::clock::Deadline;
use crate::world::prompt;

/// How long a person may take for one answer, as at a login.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a refresh is asked with.
pub(super) struct Wish<'a> {
    pub(super) refresh_token: &'a Secret,
    pub(super) scopes: &'a [String],
    pub(super) rapt: Option<&'a Secret>,
    pub(super) patience: Patience,
}

/// What came of a refresh, other than an error.
pub(super) enum Said {
    Granted(Box<Granted>),
    /// The login is good, but a proof is missing or no longer good.
    WantsProof,
}

impl Brings for Said {
    fn next(&self) -> Option<&Secret> {
        match self {
            Said::Granted(granted) => granted.next(),
            Said::WantsProof => None,
        }
    }
}

type Ask<'a> = dyn Fn(&Wish<'_>) -> Result<Said> + 'a;

/// Whom to ask, and where.
pub(super) struct Person<'a> {
    pub(super) name: &'a str,
    pub(super) login_hint: &'a str,
    /// Whether the login is of our own store.
    pub(super) is_ours: bool,
    pub(super) token_endpoint: &'a Url,
    /// What the token is wanted for: the organisation's rules go by it.
    pub(super) scopes: &'a [String],
}

impl Person<'_> {
    /// What `ask` is granted, with a proof if that is what it takes.
    ///
    /// # Errors
    /// Those of `ask`; `LoginRequired` where nobody can be asked, or has no answer that is taken.
    pub(super) fn granted(
        &self,
        held: &mut Held<'_, '_>,
        scopes: &[String],
        ask: &Ask<'_>,
        broker: &Broker<'_>,
    ) -> Result<Granted> {
        let tried = (held.refresh_token().clone(), held.rapts().to_vec());
        if let Some(granted) = with_known_proofs(held, scopes, ask)? {
            return Ok(granted);
        }
        if !broker.may_ask() {
            return Err(self.required());
        }
        let Some(server) = reauth::server(self.token_endpoint) else {
            let host = self.token_endpoint.authority();
            return Err(
                self.login(&format!("{host} wants a reauthentication, which only Google has"))
            );
        };
        // Whoever waits for the person's answer holds nothing that a new login would have to wait for.
        held.release();
        let _sign = broker.asking();
        let _turn = held.turn()?;
        held.retake()?;
        // Somebody else may have asked meanwhile.
        if has_changed(held, &tried)
            && let Some(granted) = with_known_proofs(held, scopes, ask)?
        {
            return Ok(granted);
        }
        let token = self.token_for_this(held, ask)?;
        held.release();
        let proof = self.converse(&server, &token, broker)?;
        held.retake()?;
        held.keep_rapt(&proof);
        match with_proof(held, scopes, Some(&proof), ask)? {
            Said::Granted(granted) => Ok(*granted),
            Said::WantsProof => Err(self.login("Google does not take the proof it has just given")),
        }
    }

    /// An access token that is good for nothing but the questions.
    fn token_for_this(&self, held: &mut Held<'_, '_>, ask: &Ask<'_>) -> Result<Secret> {
        let never = || {
            let error =
                self.login("its login cannot be asked again (accounts.reauth was left out)");
            match self.is_ours {
                true => error
                    .hint(format!("{} --scopes cloud-platform,accounts.reauth", self.login_hint)),
                false => error,
            }
        };
        match with_proof(held, &[SCOPE.to_owned()], None, ask) {
            Ok(Said::Granted(granted)) => match &granted.scopes {
                Some(scopes) if !scopes.iter().any(|scope| scope == SCOPE) => Err(never()),
                _ => Ok(granted.access_token),
            },
            Ok(Said::WantsProof) => Err(never()),
            Err(error) if error.kind() == ErrorKind::Refused => Err(never()),
            Err(error) => Err(error),
        }
    }

    /// Answers what the server asks, until it gives the proof.
    fn converse(&self, server: &Url, token: &Secret, broker: &Broker<'_>) -> Result<Secret> {
        let mut next = self.send(&reauth::start(server, token, self.scopes)?, server, broker)?;
        let mut answered = None;
        for _ in 0..ROUNDS {
            let (session, challenges, pending) = match next {
                Next::Asked { session, challenges, pending } => (session, challenges, pending),
                Next::Proof(proof) => return Ok(proof),
                Next::Over(status) => return Err(self.over(&status)),
            };
            let challenge = self.answerable(&challenges)?;
            // The same once more: the answer was wrong.
            let again =
                answered.as_ref().is_some_and(|answered| !pending || *answered == challenge.id);
            let password = self.password(again, server, broker)?;
            let request = reauth::respond(server, token, &session, &challenge.id, &password)?;
            let host = server.authority();
            next = self
                .send(&request, server, broker)
                .map_err(|error| reauth::without_password(error, &password, host))?;
            answered = Some(challenge.id.clone());
        }
        match next {
            Next::Proof(proof) => Ok(proof),
            Next::Over(status) => Err(self.over(&status)),
            Next::Asked { .. } => Err(self.login(&format!("{ROUNDS} answers were not enough"))),
        }
    }

    fn send(&self, request: &HttpRequest, server: &Url, broker: &Broker<'_>) -> Result<Next> {
        let response = broker.send(request)?;
        reauth::read(&response, server.authority())
            .map_err(|error| error.hint_if_none(|| self.login_hint.to_owned()))
    }

    /// The first challenge that can be answered here.
    fn answerable<'c>(&self, challenges: &'c [Challenge]) -> Result<&'c Challenge> {
        let password = challenges.iter().find(|challenge| challenge.kind == Kind::Password);
        password.ok_or_else(|| {
            let kinds = challenges.iter().map(|challenge| challenge.kind.words());
            let asks = "the organisation asks for";
            match challenges.first().map(|challenge| &challenge.kind) {
                None => self.login("Google names nothing that could be answered now"),
                Some(Kind::SecurityKey) => self
                    .login(&format!("{asks} a security key, which only a browser can use"))
                    .hint(format!(
                        "{} in a browser; for machines a service account (--impersonate-service-account)",
                        self.login_hint
                    )),
                Some(Kind::Saml) => self.login(&format!("{asks} {}", Kind::Saml.words())),
                Some(_) => {
                    let kinds: Vec<String> = kinds.collect();
                    self.login(&format!("{asks} {}, which gauth does not know", kinds.join(" or ")))
                }
            }
        })
    }

    fn password(&self, again: bool, server: &Url, broker: &Broker<'_>) -> Result<Secret> {
        let name = printable::text(self.name);
        let place = if server.is_loopback() { server.authority() } else { "Google" };
        let why = match again {
            false => format!("the organisation asks {name} for the password again"),
            true => format!("{name}: this was not the password"),
        };
        let question = format!("{why}\nthe password, for {place} (not shown): ");
        let world = broker.world;
        let until = Deadline::after(&*world.clock, PATIENCE);
        let typed = broker.outside(|| prompt::hidden_until(&question, until, world));
        let typed = typed.map_err(|error| match error.kind() {
            ErrorKind::NoAnswer => {
                let minutes = PATIENCE.as_secs() / 60;
                let why = format!("nobody has typed the password for {minutes} minutes");
                self.login(&why).hint("the same again")
            }
            _ => error,
        })?;
        Ok(Secret::new(typed.as_str()))
    }

    fn over(&self, status: &str) -> Error {
        self.login(&format!("the reauthentication ended, Google says {status}"))
    }

    fn login(&self, why: &str) -> Error {
        Error::login_required(self.name, why, self.login_hint)
    }

    /// Nobody is there to be asked.
    fn required(&self) -> Error {
        let why = "the organisation asks for the password or key again (reauthentication)";
        let hint = match self.is_ours {
            true => format!(
                "gauth token --account {} at a terminal, which asks for it",
                printable::text(self.name)
            ),
            false => format!("{}, or the same at a terminal, which asks for it", self.login_hint),
        };
        self.login(why).hint(hint)
    }
}

/// Tries the proofs there are, or none where there is none.
fn with_known_proofs(
    held: &mut Held<'_, '_>,
    scopes: &[String],
    ask: &Ask<'_>,
) -> Result<Option<Granted>> {
    let known = held.rapts().to_vec();
    let mut known = known.iter().map(Some).collect::<Vec<_>>();
    if known.is_empty() {
        known.push(None);
    }
    for proof in known {
        if let Said::Granted(granted) = with_proof(held, scopes, proof, ask)? {
            return Ok(Some(*granted));
        }
    }
    Ok(None)
}

fn with_proof(
    held: &mut Held<'_, '_>,
    scopes: &[String],
    rapt: Option<&Secret>,
    ask: &Ask<'_>,
) -> Result<Said> {
    held.ask(|refresh_token, patience| ask(&Wish { refresh_token, scopes, rapt, patience }))
}

fn has_changed(held: &Held<'_, '_>, tried: &(Secret, Vec<Secret>)) -> bool {
    let (refresh_token, rapts) = tried;
    let is_new = |rapt: &Secret| !rapts.iter().any(|known| known.same_as(rapt));
    !held.refresh_token().same_as(refresh_token) || held.rapts().iter().any(is_new)
}
