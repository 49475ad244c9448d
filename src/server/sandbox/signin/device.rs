//! Signing in for a device that has no browser (RFC 8628): its codes, the page where people enter them, and what
//! the device is told until they do.

use serde_json::json;

use super::{Asked, Back, Yes, authorize, clients, decide, page, show};
use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast;
use crate::server::sandbox::ledger::Door;
use crate::server::sandbox::oauth::{Form, error, invalid_grant, unkept};
use crate::world::random::{Random, System};

/// Where people enter Google's codes.
pub(in crate::server::sandbox) const PATH: &str = "/device";
/// Where people enter codes of the outside provider.
pub(in crate::server::sandbox) const OUTSIDE_PATH: &str = "/oidc/device";

/// How long a code is good, in seconds.
const LIFE: i64 = 1800;
/// How long with the fault `brief`.
const BRIEF: i64 = 2;
/// Seconds between two questions of a device. Google's is five, which nobody wants to wait for here.
const INTERVAL: i64 = 1;
/// What a device that asks too often is slowed down by, in milliseconds (RFC 8628, 3.5).
const SLOWER: i64 = 5000;
/// How much earlier than agreed a question may come, in milliseconds: the way here is not always equally long.
const EARLY: i64 = 100;
/// Consonants that are not mistaken for one another, so that no code is a word (RFC 8628, 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// What Google lets devices ask for, but for YouTube's.
const ALLOWED: [&str; 7] = [
    "openid",
    "email",
    "profile",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/drive.appdata",
];

/// A device that waits.
pub(super) struct Device {
    door: Door,
    client: String,
    scopes: Vec<String>,
    /// Without the dash.
    user_code: String,
    expires_at: i64,
    /// In milliseconds.
    interval: i64,
    /// When it asked last, in Unix milliseconds.
    asked_at: Option<i64>,
    /// The first question is to be one too early.
    is_hurried: bool,
    decision: Decision,
}

enum Decision {
    Awaited,
    Denied,
    Allowed(Box<Yes>),
    /// And fetched.
    Over,
}

/// Answers `POST /device/code`.
pub(in crate::server::sandbox) fn code(state: &State, request: &Request) -> Answer {
    begin(state, request, Door::Accounts)
}

/// Answers `POST /oidc/device/code`.
pub(in crate::server::sandbox) fn outside_code(state: &State, request: &Request) -> Answer {
    begin(state, request, Door::Outside)
}

fn begin(state: &State, request: &Request, door: Door) -> Answer {
    match request.method.as_str() {
        "POST" => unkept(Form::of(request).and_then(|form| begun(state, &form, door))),
        _ => Answer::only("POST"),
    }
}

fn begun(state: &State, form: &Form, door: Door) -> Result<Answer, Answer> {
    let id = match door {
        Door::Outside => form.outside_client(state)?,
        Door::Accounts | Door::Sts => form.needed("client_id")?,
    };
    let client = clients::find(state, door, id);
    match client {
        Some(client) if client.is_device => {}
        Some(_) => return Err(error(401, "invalid_client", "Invalid client type.")),
        None => return Err(error(401, "invalid_client", "The OAuth client was not found.")),
    }
    let scopes = authorize::known_scopes(door, form.needed("scope")?);
    let scopes = scopes
        .filter(|scopes| door != Door::Accounts || scopes.iter().all(|scope| is_allowed(scope)));
    let Some(scopes) = scopes else {
        return Err(error(400, "invalid_scope", "Invalid device flow scope."));
    };
    let route = route(door);
    let life = if state.has_way(route, "brief") { BRIEF } else { LIFE };
    let now = state.now();
    let user_code = user_code().map_err(|_| Answer::empty(500))?;
    let code = format!("AH-1{}", cast::random(60).map_err(|_| Answer::empty(500))?);
    let mut desk = lock(&state.desk);
    // One that is over is remembered, to say so.
    desk.devices.retain(|_, device| device.expires_at + LIFE > now);
    let device = Device {
        door,
        client: id.to_owned(),
        scopes,
        user_code: user_code.replace('-', ""),
        expires_at: now + life,
        interval: INTERVAL * 1000,
        asked_at: None,
        is_hurried: state.has_way(route, "slow-down"),
        decision: Decision::Awaited,
    };
    desk.devices.insert(code.clone(), device);
    let mut told = json!({
        "device_code": code,
        "user_code": user_code,
        "expires_in": life,
        "interval": INTERVAL,
    });
    let page = format!("{}{}", state.url, if door == Door::Outside { OUTSIDE_PATH } else { PATH });
    if door == Door::Outside {
        told["verification_uri_complete"] = format!("{page}?user_code={user_code}").into();
        told["verification_uri"] = page.into();
    } else {
        // Google was earlier than the standard.
        told["verification_url"] = page.into();
    }
    Ok(Answer::json(200, &told))
}

/// The route whose faults are a device's.
fn route(door: Door) -> &'static str {
    if door == Door::Outside { "oidc-device-code" } else { "device-code" }
}

fn is_allowed(scope: &str) -> bool {
    ALLOWED.contains(&scope) || scope.starts_with("https://www.googleapis.com/auth/youtube")
}

/// Eight letters, with a dash in the middle.
fn user_code() -> crate::Result<String> {
    let mut bytes = [0; 8];
    System.fill(&mut bytes)?;
    let letters: Vec<char> =
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    let (first, second) = letters.split_at(4);
    Ok(format!("{}-{}", String::from_iter(first), String::from_iter(second)))
}

/// Answers Google's page for codes.
pub(in crate::server::sandbox) fn page(state: &State, request: &Request) -> Answer {
    enter(state, request, Door::Accounts)
}

/// Answers the outside provider's page for codes.
pub(in crate::server::sandbox) fn outside_page(state: &State, request: &Request) -> Answer {
    enter(state, request, Door::Outside)
}

fn enter(state: &State, request: &Request, door: Door) -> Answer {
    match request.method.as_str() {
        "GET" => {}
        "POST" => return decide(state, request, door),
        _ => return Answer::only("GET, POST"),
    }
    let path = if door == Door::Outside { OUTSIDE_PATH } else { PATH };
    let Some(given) = request.query("user_code") else { return page::code_entry(path, false) };
    // However people type it.
    let given: String = given.chars().filter(char::is_ascii_alphanumeric).collect();
    let given = given.to_ascii_uppercase();
    let now = state.now();
    let desk = lock(&state.desk);
    let waiting = desk.devices.iter().find(|(_, device)| {
        let open = matches!(device.decision, Decision::Awaited) && device.expires_at > now;
        device.door == door && device.user_code == given && open
    });
    let Some((code, device)) = waiting else { return page::code_entry(path, true) };
    let asked = Asked {
        door,
        client: device.client.clone(),
        scopes: device.scopes.clone(),
        with_earlier: false,
        offline: true,
        again: true,
        silent: false,
        person: None,
        nonce: None,
        back: Back::Device(code.clone()),
    };
    drop(desk);
    show(state, asked)
}

/// Notes what the person decided: `None` is a no.
pub(super) fn decide_for(state: &State, code: &str, yes: Option<Yes>) {
    if let Some(device) = lock(&state.desk).devices.get_mut(code) {
        device.decision = match yes {
            Some(yes) => Decision::Allowed(Box::new(yes)),
            None => Decision::Denied,
        };
    }
}

/// What a device gets when it asks.
pub(super) fn poll(state: &State, code: &str, door: Door, client: &str) -> Result<Yes, Answer> {
    // Google's statuses; the standard has 400 for all.
    let status = |google| if door == Door::Outside { 400 } else { google };
    let mut desk = lock(&state.desk);
    let device = desk.devices.get_mut(code);
    let device = device.filter(|device| device.door == door && device.client == client);
    let device = device.ok_or_else(|| invalid_grant("Malformed device code."))?;
    if device.expires_at <= state.now() {
        return Err(error(400, "expired_token", "The device code has expired."));
    }
    let now = state.clock.unix_millis();
    let early = device.asked_at.is_some_and(|last| now - last < device.interval - EARLY);
    device.asked_at = Some(now);
    if early || std::mem::take(&mut device.is_hurried) {
        device.interval += SLOWER;
        return Err(error(status(403), "slow_down", "Forbidden"));
    }
    match std::mem::replace(&mut device.decision, Decision::Over) {
        Decision::Allowed(yes) => Ok(*yes),
        Decision::Awaited => {
            device.decision = Decision::Awaited;
            Err(error(status(428), "authorization_pending", "Precondition Required"))
        }
        Decision::Denied => {
            device.decision = Decision::Denied;
            Err(error(status(403), "access_denied", "Forbidden"))
        }
        Decision::Over => Err(invalid_grant("The device code was used already.")),
    }
}
