//! Asking the person: a browser is sent away and comes back, or its answer is pasted, or another device is asked.

use crate::commands::login::{LoginFlags, LoginResult};
use gauth_core::config;
use gauth_core::config::Config;
use gauth_core::error::{Error, Result};
use gauth_core::login;
use gauth_core::login::authorize::AuthorizationSession;
use gauth_core::login::browser;
use gauth_core::login::browser::BrowserChoice;
use gauth_core::login::callback::{CallbackResult, ExpectedCallback};
use gauth_core::login::loopback::{BrowserReply, CallbackListener};
use gauth_core::login::redirect::RedirectTarget;
use gauth_core::login::wait::Countdown;
use gauth_core::login::{AuthorizationResponse, LoginRequest, device, paste};
use gauth_core::tokens::broker::Broker;
use gauth_core::world::World;
use gauth_core::world::{env, exec, random};

impl LoginFlags {
    /// Asks the person, puts the code in, stores the login; and shows the browser what came of it.
    pub(super) fn sign_in(
        &self,
        login_request: &LoginRequest,
        broker: &Broker<'_>,
        settings: &Config,
    ) -> Result<LoginResult> {
        let session = AuthorizationSession::new(&*broker.world.random)?;
        if self.method.device {
            let granted = device::sign_in(login_request, broker)?;
            return self.store_tokens(login_request, &granted, &session, broker, settings);
        }
        let (response, browser) = broker
            .pause_deadline(|| self.request_authorization(login_request, &session, broker.world))?;
        let stored = response.and_then(|response| {
            let granted = login::exchange_code(login_request, &response, &session, broker)?;
            self.store_tokens(login_request, &granted, &session, broker, settings)
        });
        if let Some(browser) = browser {
            browser.send_result(stored.as_ref().map(|stored| stored.account.as_str()));
        }
        stored
    }

    /// The person's answer, and the browser that brought it. The inner error is the person's no.
    fn request_authorization(
        &self,
        login_request: &LoginRequest,
        session: &AuthorizationSession,
        world: &World,
    ) -> Result<(Result<AuthorizationResponse>, Option<BrowserReply>)> {
        let target = self.redirect_target(login_request)?;
        if self.method.no_browser {
            let outcome = authorize_by_paste(login_request, &target, session, world)?;
            return Ok((outcome, None));
        }
        if !target.is_local() {
            return Err(Error::usage("the redirect URI does not lead to this machine")
                .hint("--no-browser, and paste the address the browser ends at"));
        }
        let listener = CallbackListener::open(&target, &session.state, &login_request.provider)?;
        let redirect = listener.redirect().clone();
        let url = login_request.authorization_url(&redirect, session)?;
        let browser = self.open_browser(&url, &redirect.host, world)?;
        let countdown = Countdown::start("the sign-in", login_request.deadline, world)?;
        let (outcome, reply) = listener.wait(&countdown, browser, world)?;
        Ok((authorization_response(login_request, outcome, redirect.uri), Some(reply)))
    }

    /// Prints the URL, and opens a browser where that makes sense.
    fn open_browser(&self, url: &str, host: &str, world: &World) -> Result<Option<exec::Browser>> {
        match browser::choose(url, !self.method.no_launch_browser, world)? {
            BrowserChoice::Open(commands) => {
                world
                    .terminal
                    .info(&format!("opening the browser; if nothing opens, visit\n\n  {url}\n"));
                // Not what only we are to know.
                let changes = [(env::GAUTH_CREDENTIALS.name, None)];
                Ok(Some(exec::open_browser(url, &commands, &changes)))
            }
            BrowserChoice::Unavailable(why) => {
                world.terminal.info(&format!("visit\n\n  {url}\n"));
                world.terminal.note(|| format!("no browser is opened: {why}"));
                if world.env.os(&env::SSH_CONNECTION).is_some() {
                    world.terminal.info(&format!(
                        "in a browser of this machine, or with its port {host} forwarded (ssh -L); \
                         else gauth login --no-browser"
                    ));
                }
                Ok(None)
            }
        }
    }

    /// Where the browser is to come back to.
    fn redirect_target(&self, login_request: &LoginRequest) -> Result<RedirectTarget> {
        let redirect_uri = self.method.redirect_uri.as_deref();
        let redirect_uri =
            redirect_uri.map(|uri| config::flag_text("--redirect-uri", uri)).transpose()?;
        let match_host = !login_request.provider.is_google;
        RedirectTarget::choose(
            &login_request.client,
            redirect_uri.as_deref(),
            self.method.port,
            match_host,
        )
    }
}

/// The answer that is pasted.
fn authorize_by_paste(
    login_request: &LoginRequest,
    target: &RedirectTarget,
    session: &AuthorizationSession,
    world: &World,
) -> Result<Result<AuthorizationResponse>> {
    let redirect = target.with_port(target.port.unwrap_or_else(|| random_dynamic_port(world)));
    let url = login_request.authorization_url(&redirect, session)?;
    let expected = ExpectedCallback {
        path: redirect.path.clone(),
        host: redirect.host.clone(),
        state: session.state.clone(),
        issuer: login_request.provider.issuer.clone(),
        sends_issuer: login_request.provider.sends_issuer,
    };
    world.terminal.info(&format!(
        "visit this address in any browser\n\n  {url}\n\nit ends at an address of its own machine, where nothing answers"
    ));
    let outcome = paste::prompt_for_response(&expected, login_request.deadline, world)?;
    Ok(authorization_response(login_request, outcome, redirect.uri))
}

/// A port that hardly anything listens at on the machine of the browser.
fn random_dynamic_port(world: &World) -> u16 {
    49152 + (random::unit_fraction(&*world.random) * 16000.0) as u16
}

fn authorization_response(
    login_request: &LoginRequest,
    outcome: CallbackResult,
    redirect_uri: String,
) -> Result<AuthorizationResponse> {
    match outcome {
        CallbackResult::Code(code) => Ok(AuthorizationResponse { code, redirect_uri }),
        CallbackResult::Error { code, description } => {
            Err(login_request.authorization_error(&code, description.as_deref()))
        }
    }
}
