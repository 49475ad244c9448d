//! Signing in with the browser of another device (RFC 8628): an address and a code are shown, and the server is asked
//! until somebody has entered it there.

use std::time::Duration;

use crate::broker::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::google::device::{self, Begun, Polled};
use crate::google::sts::ClientAuth;
use crate::google::token::Granted;
use crate::login::wait::Waiting;
use crate::login::{Plan, qr};
use crate::world::World;
use crate::world::clock::Deadline;

/// What a server that is asked too early wants to be left alone for besides (RFC 8628, 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// What one question may take.
const LIMIT: Duration = Duration::from_secs(15);
/// So many questions in a row may remain without an answer.
const PATIENCE: usize = 10;

/// Signs somebody in.
///
/// # Errors
/// What cannot be had in this way is said before anything is asked; then the server's refusal, the person's no, or that
/// nobody came in time.
pub fn sign_in(plan: &Plan, broker: &Broker<'_>) -> Result<Granted> {
    let world = broker.world;
    let provider = &plan.provider;
    let Some(endpoint) = &provider.device else {
        return Err(Error::unsupported(format!(
            "{} has no sign-in for devices (--device)",
            provider.name
        ))
        .hint("gauth login --no-browser, which works without a browser here too"));
    };
    if provider.google {
        device::check_scopes(&plan.wish.scopes)?;
    }
    // Google takes the name alone here, and the secret at the other endpoint.
    let client = match provider.google {
        true => ClientAuth::Id(&plan.client.id),
        false => plan.client_auth(),
    };
    let response = broker.send(&device::begin(endpoint, client, &plan.wish.scopes))?;
    let begun = device::read(&response, endpoint.authority(), &provider.name)
        .map_err(|error| explain(error, plan))?;
    let good = Deadline::after(&*world.clock, seconds(begun.life));
    show(&begun, world);
    let waiting = Waiting::begin("the sign-in", plan.until, world)?;
    wait(plan, &begun, good, &waiting, broker)
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

/// What a refusal of the first question usually means.
fn explain(error: Error, plan: &Plan) -> Error {
    let place = &plan.client.place;
    match plan.provider.google && error.kind() == ErrorKind::Refused {
        true => error.hint(format!(
            "make a client of type \"TVs and Limited Input devices\", another than that of {place}; or gauth login --no-browser"
        )),
        false => error.hint_if_none(|| {
            format!("check that the client in {place} may use the device flow")
        }),
    }
}

fn wait(
    plan: &Plan,
    begun: &Begun,
    good: Deadline,
    waiting: &Waiting<'_>,
    broker: &Broker<'_>,
) -> Result<Granted> {
    let (endpoint, who) = (&plan.provider.token, plan.provider.name.as_str());
    let clock = &*broker.world.clock;
    let request = device::poll(endpoint, plan.client_auth(), &begun.device_code);
    let mut interval = seconds(begun.interval);
    let mut unanswered = 0;
    let mut lost = false;
    loop {
        broker.outside(|| waiting.pause(interval))?;
        let now = broker.now();
        let polled = broker
            .outside(|| broker.send_within(&request, LIMIT))
            .and_then(|response| device::read_poll(&response, endpoint.authority(), who, now));
        if good.left(clock).is_zero() && !matches!(polled, Ok(Polled::Granted(_))) {
            return Err(expired());
        }
        match polled {
            Ok(Polled::Granted(granted)) => return Ok(*granted),
            Ok(Polled::Pending) => unanswered = 0,
            Ok(Polled::SlowDown) => interval += SLOWER,
            Ok(Polled::Denied) => {
                return Err(Error::refused(format!("{who} was told no: the consent was denied"))
                    .hint("gauth login --device once more, and allow it"));
            }
            Ok(Polled::Expired) => return Err(expired()),
            Ok(Polled::Unknown(error)) if lost => {
                let message = format!("{error}; an answer was lost on the way here before");
                return Err(Error::no_answer(message).hint("gauth login --device once more"));
            }
            Ok(Polled::Unknown(error)) => return Err(error.hint("gauth login --device once more")),
            Err(error) if error.kind() == ErrorKind::NoAnswer && error.http_status().is_none() => {
                unanswered += 1;
                // What was granted may have been in it, and comes once only.
                lost = true;
                if unanswered == PATIENCE {
                    return Err(
                        error.hint("gauth login --device once more, when the network works")
                    );
                }
                broker.world.terminal.note(|| format!("{error}; asking again"));
                interval += Duration::from_secs(1);
            }
            Err(error) => {
                return Err(error.hint_if_none(|| "gauth login --device once more".to_owned()));
            }
        }
    }
}

fn expired() -> Error {
    Error::no_answer("nobody entered the code while it was good")
        .hint("gauth login --device once more")
}

/// Shows where to go and what to enter; on a terminal, the address as a picture too.
fn show(begun: &Begun, world: &World) {
    let Begun { page, user_code, .. } = begun;
    let text = [
        "visit, in any browser".to_owned(),
        String::new(),
        format!("  {page}"),
        String::new(),
        "and enter the code".to_owned(),
        String::new(),
        format!("  {user_code}"),
    ];
    let picture = match world.terminal.is_terminal {
        true => {
            let address = begun.complete.as_ref().unwrap_or(page);
            qr::lines(address, world.terminal.paint(true)).unwrap_or_default()
        }
        false => Vec::new(),
    };
    let lines = beside(&text, &picture, world.terminal.columns());
    world.terminal.tell(&format!("{}\n", lines.join("\n")));
}

/// Text and picture side by side where there is room, the picture below where it fits alone, else the text only.
fn beside(text: &[String], picture: &[String], columns: usize) -> Vec<String> {
    const GAP: usize = 3;
    let room = qr::width(picture);
    let widest = text.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    if picture.is_empty() || room > columns {
        return text.to_vec();
    }
    if widest + GAP + room > columns {
        return text.iter().cloned().chain([String::new()]).chain(picture.to_vec()).collect();
    }
    let before = picture.len().saturating_sub(text.len()) / 2;
    let blank = String::new();
    (0..picture.len().max(text.len()))
        .map(|at| {
            let line = at.checked_sub(before).and_then(|at| text.get(at)).unwrap_or(&blank);
            match picture.get(at) {
                Some(picture) => {
                    let fill = " ".repeat(widest - line.chars().count() + GAP);
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
    fn the_picture_stands_where_there_is_room() {
        let text = ["visit".to_owned(), "  ABCD".to_owned()];
        let picture = ["████".to_owned(), "█  █".to_owned(), "████".to_owned(), "    ".to_owned()];
        let shown = beside(&text, &picture, 80);
        assert_eq!(shown, ["         ████", "visit    █  █", "  ABCD   ████", "             "]);
        let below = beside(&text, &picture, 10);
        assert_eq!(below.len(), 7);
        assert_eq!(
            (below[1].as_str(), below[2].as_str(), below[3].as_str()),
            ("  ABCD", "", "████")
        );
        assert_eq!(beside(&text, &picture, 3), text);
        assert_eq!(beside(&text, &[], 80), text);
    }
}
