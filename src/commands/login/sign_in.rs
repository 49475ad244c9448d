//! The sign-in itself: in a browser of this machine, with a pasted authorization response, or on another device.

use crate::commands::login::{LoginFlags, LoginResult};
use gauth_core::config::Config;
use gauth_core::error::{Error, Result};
use gauth_core::login::authorize::AuthorizationSession;
use gauth_core::login::browser::BrowserChoice;
use gauth_core::login::callback::{CallbackResult, ExpectedCallback};
use gauth_core::login::loopback::{BrowserReply, CallbackListener};
use gauth_core::login::redirect::RedirectTarget;
use gauth_core::login::wait::Countdown;
use gauth_core::login::{AuthorizationResponse, LoginRequest, browser, device, paste};
use gauth_core::tokens::broker::Broker;
use gauth_core::world::{World, env, exec, random};
use gauth_core::{config, login};

impl LoginFlags {
    /// Signs the user in, stores the login, and shows the result in the browser.
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
        let (response, browser) =
            broker.pause_deadline(|| self.request_authorization(login_request, &session, broker.world))?;
        let stored = response.and_then(|response| {
            let granted = login::exchange_code(login_request, &response, &session, broker)?;
            self.store_tokens(login_request, &granted, &session, broker, settings)
        });
        if let Some(browser) = browser {
            browser.send_result(stored.as_ref().map(|stored| stored.account.as_str()));
        }
        stored
    }

    /// The authorization response, and the browser that sent it. The inner error is an authorization error response.
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
                .hint("add --no-browser, then paste the address the browser ended at"));
        }
        let listener = CallbackListener::open(&target, &session.state, &login_request.provider)?;
        let redirect = listener.redirect().clone();
        let url = login_request.authorization_url(&redirect, session)?;
        let browser = self.open_browser(&url, &redirect.host, world)?;
        let countdown = Countdown::start("the sign-in", login_request.deadline, world)?;
        let (outcome, reply) = listener.wait(&countdown, browser, world)?;
        Ok((authorization_response(login_request, outcome, redirect.uri), Some(reply)))
    }

    /// Prints the URL, and opens a browser where there is one.
    fn open_browser(&self, url: &str, host: &str, world: &World) -> Result<Option<exec::Browser>> {
        match browser::choose(url, !self.method.no_launch_browser, world)? {
            BrowserChoice::Open(commands) => {
                world.terminal.info(&format!("opening the browser; if nothing opens, visit\n\n  {url}\n"));
                // The browser does not need gauth's own credential.
                let changes = [(env::GAUTH_CREDENTIALS.name, None)];
                Ok(Some(exec::open_browser(url, &commands, &changes)))
            }
            BrowserChoice::Unavailable(why) => {
                world.terminal.info(&format!("visit\n\n  {url}\n"));
                world.terminal.note(|| format!("no browser is opened: {why}"));
                if world.env.os(&env::SSH_CONNECTION).is_some() {
                    world.terminal.info(&format!(
                        "use a browser of this machine, or forward the port of {host} (ssh -L); \
                        or use gauth login --no-browser"
                    ));
                }
                Ok(None)
            }
        }
    }

    /// The redirect URI of the flags or of the client.
    fn redirect_target(&self, login_request: &LoginRequest) -> Result<RedirectTarget> {
        let redirect_uri = self.method.redirect_uri.as_deref();
        let redirect_uri = redirect_uri.map(|uri| config::flag_text("--redirect-uri", uri)).transpose()?;
        let match_host = !login_request.provider.is_google;
        RedirectTarget::choose(&login_request.client, redirect_uri.as_deref(), self.method.port, match_host)
    }
}

/// The authorization response that the user pastes.
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
        "visit this address in any browser\n\n  {url}\n\nthe browser ends at an address of its own machine, which it cannot open"
    ));
    let outcome = paste::prompt_for_response(&expected, login_request.deadline, world)?;
    Ok(authorization_response(login_request, outcome, redirect.uri))
}

/// A random port of the dynamic range, which is probably not in use on the machine of the browser.
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
