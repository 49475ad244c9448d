//! Where people sign in: the pages that ask them, what they decided, and the codes that come of it. Google
//! accounts, the workforce pool and the outside OpenID provider do the same, each at its own [`Door`].

pub(super) mod authorize;
pub(super) mod clients;
pub(super) mod device;
pub(super) mod grants;
mod page;

use std::collections::HashMap;

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::cast::{self, Person};
use crate::server::sandbox::ledger::{Door, Login, includes};
use crate::server::sandbox::{State, sts};

/// How long a page may be thought about, and how long a code is good, in seconds.
const PATIENCE: i64 = 600;

/// What a program asks a person for.
#[derive(Debug, Clone)]
struct Asked {
    door: Door,
    client: String,
    scopes: Vec<String>,
    /// Whether the granted scopes of earlier are to be part of the token.
    with_earlier: bool,
    /// Whether a refresh token is wanted.
    offline: bool,
    /// Whether the person is to consent again, which brings another refresh token.
    again: bool,
    /// Whether no page may be shown.
    silent: bool,
    /// Who is to sign in, where it is not theirs to choose.
    person: Option<&'static Person>,
    /// Goes into the ID token.
    nonce: Option<String>,
    back: Back,
}

/// Where the answer goes.
#[derive(Debug, Clone)]
enum Back {
    /// To the program, through the browser.
    Redirect { uri: String, state: Option<String>, challenge: String },
    /// To the device that asks with this code.
    Device(String),
}

/// What has been asked and decided, and not been fetched.
#[derive(Default)]
pub(super) struct Desk {
    /// By the token of the form, with their end.
    asked: HashMap<String, (Asked, i64)>,
    codes: HashMap<String, Code>,
    devices: HashMap<String, device::Device>,
}

/// What an authorization code is good for.
#[derive(Debug, Clone)]
struct Code {
    yes: Yes,
    redirect_uri: String,
    challenge: String,
    expires_at: i64,
    used: bool,
}

/// What a person allowed.
#[derive(Debug, Clone)]
struct Yes {
    login: Login,
    with_refresh_token: bool,
    nonce: Option<String>,
}

/// Shows the page that asks.
fn show(state: &State, asked: Asked) -> Answer {
    let Ok(token) = cast::random(24) else { return Answer::empty(500) };
    let page = page::consent(&asked, &token);
    let now = state.now();
    let mut desk = lock(&state.desk);
    desk.asked.retain(|_, (_, end)| *end > now);
    desk.asked.insert(token, (asked, now + PATIENCE));
    page
}

/// Takes what the person decided on the page of this door.
fn decide(state: &State, request: &Request, door: Door) -> Answer {
    if !is_own_form(state, request) {
        return page::told(403, "Not from here", "This form was sent by another site.");
    }
    let fields = request.form().unwrap_or_default();
    let field = |name: &str| {
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let token = field("token").unwrap_or_default();
    let asked = lock(&state.desk).asked.remove(token);
    let asked = asked.filter(|(asked, end)| asked.door == door && *end > state.now());
    let Some((asked, _)) = asked else {
        let text = "This page was used before, or it is too old. Start again in your program.";
        return page::told(400, "No longer good", text);
    };
    let person = asked.person.or_else(|| cast::person(field("account").unwrap_or_default()));
    let chosen = fields.iter().filter(|(name, _)| name == "scope").map(|(_, scope)| scope);
    let chosen: Vec<String> = chosen.cloned().collect();
    let is_asked_for = chosen.iter().all(|scope| asked.scopes.contains(scope));
    match (field("decision"), person) {
        (Some("allow"), Some(person)) if is_asked_for && !chosen.is_empty() => {
            allowed(state, &asked, person, chosen)
        }
        (Some("allow"), Some(_)) if is_asked_for => denied(state, &asked),
        (Some("deny"), _) => denied(state, &asked),
        _ => page::told(400, "Not understood", "The form was not sent as it was shown."),
    }
}

/// Whether a form was sent by a page of ours, as far as the browser says.
fn is_own_form(state: &State, request: &Request) -> bool {
    let from = request.header("sec-fetch-site");
    let origin = request.header("origin");
    from.is_none_or(|from| from == "same-origin")
        && origin.is_none_or(|origin| state.is_own_url(origin, &[""]))
}

/// The person agreed to these scopes.
fn allowed(state: &State, asked: &Asked, person: &Person, scopes: Vec<String>) -> Answer {
    let yes = yes(state, asked, person, scopes);
    match &asked.back {
        Back::Device(code) => {
            device::decide_for(state, code, Some(yes));
            page::told(200, "Signed in", "Go on at your device. You can close this window.")
        }
        Back::Redirect { uri, state: given, challenge } => {
            let shown = Shown { uri, given: given.as_deref(), prompt: "consent" };
            with_code(state, &shown, challenge, yes, person)
        }
    }
}

fn denied(state: &State, asked: &Asked) -> Answer {
    match &asked.back {
        Back::Device(code) => {
            device::decide_for(state, code, None);
            page::told(
                200,
                "Denied",
                "Nothing was given to your device. You can close this window.",
            )
        }
        Back::Redirect { uri, state: given, .. } => {
            let issuer = issuer(state, asked.door);
            redirect(uri, given.as_deref(), issuer, &[("error", "access_denied")])
        }
    }
}

/// Notes the consent, and what the program gets for it.
fn yes(state: &State, asked: &Asked, person: &Person, scopes: Vec<String>) -> Yes {
    let account = match asked.door {
        Door::Sts => sts::workforce_principal(person.email),
        Door::Accounts | Door::Outside => person.email.to_owned(),
    };
    let mut book = lock(state.book(asked.door));
    let earlier = book.consent(&account, &asked.client).map(<[String]>::to_vec);
    let is_first = earlier.is_none();
    let mut granted = scopes.clone();
    if asked.with_earlier {
        let more = earlier.unwrap_or_default().into_iter();
        granted.extend(more.filter(|scope| !includes(&scopes, scope)));
    }
    book.note_consent(&account, &asked.client, &granted);
    let with_refresh_token = match asked.door {
        Door::Accounts => asked.offline && (is_first || asked.again),
        Door::Sts => true,
        Door::Outside => includes(&granted, "offline_access"),
    };
    let login = Login {
        door: asked.door,
        account,
        client: asked.client.clone(),
        scopes: granted,
        family: book.new_family(),
        replaced: false,
    };
    Yes { login, with_refresh_token, nonce: asked.nonce.clone() }
}

/// Where a code goes, and what is said with it.
struct Shown<'a> {
    uri: &'a str,
    given: Option<&'a str>,
    /// Whether the person was asked, in Google's word.
    prompt: &'static str,
}

/// Sends the browser back with a new code.
fn with_code(
    state: &State,
    shown: &Shown<'_>,
    challenge: &str,
    yes: Yes,
    person: &Person,
) -> Answer {
    let Ok(random) = cast::random(48) else { return Answer::empty(500) };
    let code = format!("4/0{random}");
    let door = yes.login.door;
    let scopes = yes.login.scopes.join(" ");
    let now = state.now();
    let entry = Code {
        yes,
        redirect_uri: shown.uri.to_owned(),
        challenge: challenge.to_owned(),
        expires_at: now + PATIENCE,
        used: false,
    };
    let mut desk = lock(&state.desk);
    // One that was used is remembered: used again, it ends what it gave.
    desk.codes.retain(|_, code| code.expires_at + PATIENCE > now);
    desk.codes.insert(code.clone(), entry);
    drop(desk);
    let mut pairs = vec![("code", code.as_str())];
    if door == Door::Accounts {
        pairs.extend([("scope", scopes.as_str()), ("authuser", "0")]);
        pairs.push(("hd", person.domain()));
        pairs.push(("prompt", shown.prompt));
    }
    redirect(shown.uri, shown.given, issuer(state, door), &pairs)
}

/// What the issuer of a door calls itself in answers (RFC 9207). The workforce pool's says nothing.
fn issuer(state: &State, door: Door) -> Option<&str> {
    match door {
        Door::Accounts => Some(cast::GOOGLE),
        Door::Sts => None,
        Door::Outside => Some(&state.cast.outside.issuer),
    }
}

/// Sends the browser to the program, which finds these pairs behind what its address has already.
fn redirect(
    uri: &str,
    given: Option<&str>,
    issuer: Option<&str>,
    pairs: &[(&str, &str)],
) -> Answer {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(given.map(|state| ("state", state)));
    query.extend_pairs(issuer.map(|issuer| ("iss", issuer)));
    query.extend_pairs(pairs);
    let mark = if uri.contains('?') { '&' } else { '?' };
    Answer::empty(302)
        .header("Location", format!("{uri}{mark}{}", query.finish()))
        .header("Cache-Control", "no-store")
        .header("Referrer-Policy", "no-referrer")
}
