//! Asking the person: a browser is sent away and comes back, or its answer is pasted, or another device is asked.

use super::{Flags, Stored};
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::login::authorize::Challenge;
use crate::login::browser::{self, Choice};
use crate::login::callback::{Expected, Outcome};
use crate::login::loopback::{Listener, Reply};
use crate::login::redirect::Target;
use crate::login::wait::Waiting;
use crate::login::{self, Consent, Plan, device, paste};
use crate::settings::{self, Settings};
use crate::world::World;
use crate::world::{env, exec, random};

impl Flags {
    /// Asks the person, puts the code in, stores the login; and shows the browser what came of it.
    pub(super) fn sign_in(
        &self,
        plan: &Plan,
        broker: &Broker<'_>,
        settings: &Settings,
    ) -> Result<Stored> {
        let challenge = Challenge::new(&*broker.world.random)?;
        if self.way.device {
            let granted = device::sign_in(plan, broker)?;
            return self.store(plan, &granted, &challenge, broker, settings);
        }
        let (consent, browser) = broker.outside(|| self.ask(plan, &challenge, broker.world))?;
        let stored = consent.and_then(|consent| {
            let granted = login::exchange(plan, &consent, &challenge, broker)?;
            self.store(plan, &granted, &challenge, broker, settings)
        });
        if let Some(browser) = browser {
            browser.tell(stored.as_ref().map(|stored| stored.account.as_str()));
        }
        stored
    }

    /// The person's answer, and the browser that brought it. The inner error is the person's no.
    fn ask(
        &self,
        plan: &Plan,
        challenge: &Challenge,
        world: &World,
    ) -> Result<(Result<Consent>, Option<Reply>)> {
        let target = self.target(plan)?;
        if self.way.no_browser {
            let outcome = by_hand(plan, &target, challenge, world)?;
            return Ok((outcome, None));
        }
        if !target.is_local() {
            return Err(Error::usage("the redirect URI does not lead to this machine")
                .hint("--no-browser, and paste the address the browser ends at"));
        }
        let listener = Listener::open(&target, &challenge.state, &plan.provider)?;
        let redirect = listener.redirect().clone();
        let url = plan.question(&redirect, challenge)?;
        let browser = self.send_away(&url, &redirect.host, world)?;
        let waiting = Waiting::begin("the sign-in", plan.until, world)?;
        let (outcome, reply) = listener.wait(&waiting, browser, world)?;
        Ok((consent(plan, outcome, redirect.uri), Some(reply)))
    }

    /// Prints the URL, and opens a browser where that makes sense.
    fn send_away(&self, url: &str, host: &str, world: &World) -> Result<Option<exec::Browser>> {
        match browser::choose(url, !self.way.no_launch_browser, world)? {
            Choice::Open(commands) => {
                world
                    .terminal
                    .tell(&format!("opening the browser; if nothing opens, visit\n\n  {url}\n"));
                // Not what only we are to know.
                let changes = [(env::GAUTH_CREDENTIALS.name, None)];
                Ok(Some(exec::open(url, &commands, &changes)))
            }
            Choice::Not(why) => {
                world.terminal.tell(&format!("visit\n\n  {url}\n"));
                world.terminal.note(|| format!("no browser is opened: {why}"));
                if world.env.os(&env::SSH_CONNECTION).is_some() {
                    world.terminal.tell(&format!(
                        "in a browser of this machine, or with its port {host} forwarded (ssh -L); \
                         else gauth login --no-browser"
                    ));
                }
                Ok(None)
            }
        }
    }

    /// Where the browser is to come back to.
    fn target(&self, plan: &Plan) -> Result<Target> {
        let named = self.way.redirect_uri.as_deref();
        let named = named.map(|uri| settings::text("--redirect-uri", uri)).transpose()?;
        let exact = !plan.provider.google;
        Target::choose(&plan.client, named.as_deref(), self.way.port, exact)
    }
}

/// The answer that is pasted.
fn by_hand(
    plan: &Plan,
    target: &Target,
    challenge: &Challenge,
    world: &World,
) -> Result<Result<Consent>> {
    let redirect = target.at(target.port.unwrap_or_else(|| quiet_port(world)));
    let url = plan.question(&redirect, challenge)?;
    let expected = Expected {
        path: redirect.path.clone(),
        host: redirect.host.clone(),
        state: challenge.state.clone(),
        issuer: plan.provider.issuer.clone(),
        says_issuer: plan.provider.says_issuer,
    };
    world.terminal.tell(&format!(
        "visit this address in any browser\n\n  {url}\n\nit ends at an address of its own machine, where nothing answers"
    ));
    let outcome = paste::ask(&expected, plan.until, world)?;
    Ok(consent(plan, outcome, redirect.uri))
}

/// A port that hardly anything listens at on the machine of the browser.
fn quiet_port(world: &World) -> u16 {
    49152 + (random::fraction(&*world.random) * 16000.0) as u16
}

fn consent(plan: &Plan, outcome: Outcome, redirect_uri: String) -> Result<Consent> {
    match outcome {
        Outcome::Code(code) => Ok(Consent { code, redirect_uri }),
        Outcome::Error { code, description } => Err(plan.denied(&code, description.as_deref())),
    }
}
