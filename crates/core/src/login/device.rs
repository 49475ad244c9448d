//! The sign-in with the browser of another device (RFC 8628): gauth shows an address and a code, and polls the server
//! until the user has entered the code there.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::login::wait::Countdown;
use crate::login::{LoginRequest, qr};
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::device;
use crate::oauth::device::{DeviceAuthorizationResponse, PollOutcome};
use crate::oauth::token::TokenResponse;
use crate::tokens::broker::Broker;
use crate::world::World;
use crate::world::clock::Deadline;

/// The increase of the polling interval after `slow_down` (RFC 8628, 3.5).
const SLOW_DOWN_INCREMENT: Duration = Duration::from_secs(5);
/// The timeout of one poll.
const POLL_TIMEOUT: Duration = Duration::from_secs(15);
/// The number of polls in a row without a response after which the sign-in fails.
const MAX_POLL_FAILURES: usize = 10;

/// Signs a user in.
///
/// # Errors
/// `Unsupported`, where the provider or one of the scopes does not allow it; `Refused` by the server or the user;
/// `NoAnswer`, when the time is up.
pub fn sign_in(login_request: &LoginRequest, broker: &Broker<'_>) -> Result<TokenResponse> {
    let world = broker.world;
    let provider = &login_request.provider;
    let Some(endpoint) = &provider.device_authorization_endpoint else {
        return Err(Error::unsupported(format!(
            "{} does not support the sign-in of devices (--device)",
            provider.name
        ))
        .hint("gauth login --no-browser, which works without a browser here too"));
    };
    if provider.is_google {
        device::check_device_scopes(&login_request.authorization.scopes)?;
    }
    // Google expects the client ID alone at this endpoint, and the secret at the token endpoint.
    let client = match provider.is_google {
        true => ClientCredentials::public(&login_request.client.id),
        false => login_request.client_credentials(),
    };
    let response =
        broker.send(&device::device_authorization_request(endpoint, client, &login_request.authorization.scopes))?;
    let authorization = device::read_device_authorization(&response, endpoint.authority(), &provider.name)
        .map_err(|error| add_hint(error, login_request))?;
    let code_deadline = Deadline::after(&*world.clock, seconds(authorization.expires_in));
    show_user_code(&authorization, world);
    let countdown = Countdown::start("the sign-in", login_request.deadline, world)?;
    poll_until_granted(login_request, &authorization, code_deadline, &countdown, broker)
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

/// Adds a hint about the usual reason why a server refuses the device authorization request.
fn add_hint(error: Error, login_request: &LoginRequest) -> Error {
    let location = &login_request.client.location;
    match login_request.provider.is_google && error.kind() == ErrorKind::Refused {
        true => error.hint(format!(
            "create a client of type \"TVs and Limited Input devices\", in place of that of {location}; or gauth login --no-browser"
        )),
        false => error.hint_if_none(|| {
            format!("check that the client in {location} may use the device flow")
        }),
    }
}

fn poll_until_granted(
    login_request: &LoginRequest,
    authorization: &DeviceAuthorizationResponse,
    code_deadline: Deadline,
    countdown: &Countdown<'_>,
    broker: &Broker<'_>,
) -> Result<TokenResponse> {
    let (endpoint, provider_name) = (&login_request.provider.token_endpoint, login_request.provider.name.as_str());
    let clock = &*broker.world.clock;
    let request =
        device::device_token_request(endpoint, login_request.client_credentials(), &authorization.device_code);
    let mut interval = seconds(authorization.interval);
    let mut failures = 0;
    let mut response_lost = false;
    loop {
        broker.pause_deadline(|| countdown.pause(interval))?;
        let now = broker.now();
        let polled = broker
            .pause_deadline(|| broker.send_with_timeout(&request, POLL_TIMEOUT))
            .and_then(|response| device::read_poll_response(&response, endpoint.authority(), provider_name, now));
        if code_deadline.remaining(clock).is_zero() && !matches!(polled, Ok(PollOutcome::Granted(_))) {
            return Err(expired_error());
        }
        match polled {
            Ok(PollOutcome::Granted(granted)) => return Ok(*granted),
            Ok(PollOutcome::AuthorizationPending) => failures = 0,
            Ok(PollOutcome::SlowDown) => interval += SLOW_DOWN_INCREMENT,
            Ok(PollOutcome::AccessDenied) => {
                return Err(Error::refused(format!("{provider_name}: consent was denied"))
                    .hint("gauth login --device, and allow the access"));
            }
            Ok(PollOutcome::ExpiredToken) => return Err(expired_error()),
            Ok(PollOutcome::InvalidGrant(error)) if response_lost => {
                let message = format!("{error}; an earlier response of the server was lost");
                return Err(Error::no_answer(message).hint("gauth login --device"));
            }
            Ok(PollOutcome::InvalidGrant(error)) => {
                return Err(error.hint("gauth login --device"));
            }
            Err(error) if error.kind() == ErrorKind::NoAnswer && error.http_status().is_none() => {
                failures += 1;
                // The lost response may have had the tokens, which the server sends once.
                response_lost = true;
                if failures == MAX_POLL_FAILURES {
                    return Err(error.hint("gauth login --device, when the network works"));
                }
                broker.world.terminal.note(|| format!("{error}; polling again"));
                interval += Duration::from_secs(1);
            }
            Err(error) => {
                return Err(error.hint_if_none(|| "gauth login --device".to_owned()));
            }
        }
    }
}

fn expired_error() -> Error {
    Error::no_answer("the code expired before it was entered").hint("gauth login --device")
}

/// Shows the address and the code, and on a terminal the address as a QR code.
fn show_user_code(authorization: &DeviceAuthorizationResponse, world: &World) {
    let DeviceAuthorizationResponse { verification_uri: page, user_code, .. } = authorization;
    let text = [
        "visit, in any browser".to_owned(),
        String::new(),
        format!("  {page}"),
        String::new(),
        "and enter the code".to_owned(),
        String::new(),
        format!("  {user_code}"),
    ];
    let qr_code = match world.terminal.is_terminal {
        true => {
            let address = authorization.verification_uri_complete.as_ref().unwrap_or(page);
            qr::render(address, world.terminal.text_style(true)).unwrap_or_default()
        }
        false => Vec::new(),
    };
    let lines = side_by_side(&text, &qr_code, world.terminal.columns());
    world.terminal.info(&format!("{}\n", lines.join("\n")));
}

/// The text beside the QR code where there is room, above it where only the QR code fits, or else the text alone.
fn side_by_side(text: &[String], qr_code: &[String], columns: usize) -> Vec<String> {
    const GAP_COLUMNS: usize = 3;
    let qr_width = qr::width(qr_code);
    let text_width = text.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    if qr_code.is_empty() || qr_width > columns {
        return text.to_vec();
    }
    if text_width + GAP_COLUMNS + qr_width > columns {
        return text.iter().cloned().chain([String::new()]).chain(qr_code.to_vec()).collect();
    }
    let top_margin = qr_code.len().saturating_sub(text.len()) / 2;
    let blank = String::new();
    (0..qr_code.len().max(text.len()))
        .map(|at| {
            let line = at.checked_sub(top_margin).and_then(|at| text.get(at)).unwrap_or(&blank);
            match qr_code.get(at) {
                Some(picture) => {
                    let fill = " ".repeat(text_width - line.chars().count() + GAP_COLUMNS);
                    format!("{line}{fill}{picture}")
                }
                None => line.clone(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_qr_code_is_shown_where_there_is_room() {
        let text = ["visit".to_owned(), "  ABCD".to_owned()];
        let picture = ["████".to_owned(), "█  █".to_owned(), "████".to_owned(), "    ".to_owned()];
        let shown = side_by_side(&text, &picture, 80);
        assert_eq!(shown, ["         ████", "visit    █  █", "  ABCD   ████", "             "]);
        let below = side_by_side(&text, &picture, 10);
        assert_eq!(below.len(), 7);
        assert_eq!((below[1].as_str(), below[2].as_str(), below[3].as_str()), ("  ABCD", "", "████"));
        assert_eq!(side_by_side(&text, &picture, 3), text);
        assert_eq!(side_by_side(&text, &[], 80), text);
    }
}
