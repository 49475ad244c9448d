//! The authorization endpoints: what a program asks for is checked, then the person is asked (RFC 6749, 4.1;
//! RFC 7636; OpenID Connect Core, 3.1.2).

use super::{Asked, Back, Shown, clients, decide, issuer, page, redirect, show, with_code, yes};
use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{self, PEOPLE, WORKFORCE_PROVIDER};
use crate::server::sandbox::ledger::{Door, includes};
use crate::server::sandbox::oauth::{Form, scope_list};
use crate::server::sandbox::sts;

/// Where Google asks people.
pub(in crate::server::sandbox) const PATHS: [&str; 2] = ["/o/oauth2/auth", "/o/oauth2/v2/auth"];
/// Where people of the workforce pool are asked.
pub(in crate::server::sandbox) const WORKFORCE_PATH: &str = "/workforce/authorize";
/// Where the outside provider asks people.
pub(in crate::server::sandbox) const OUTSIDE_PATH: &str = "/oidc/authorize";

/// A SHA-256 in base64url without padding.
const CHALLENGE: usize = 43;

/// Answers Google's page.
pub(in crate::server::sandbox) fn google(state: &State, request: &Request) -> Answer {
    answer(state, request, Door::Accounts)
}

/// Answers the page of the workforce pool.
pub(in crate::server::sandbox) fn workforce(state: &State, request: &Request) -> Answer {
    answer(state, request, Door::Sts)
}

/// Answers the page of the outside provider.
pub(in crate::server::sandbox) fn outside(state: &State, request: &Request) -> Answer {
    answer(state, request, Door::Outside)
}

fn answer(state: &State, request: &Request, door: Door) -> Answer {
    match request.method.as_str() {
        "GET" => asked(state, request, door).unwrap_or_else(|refusal| refusal),
        "POST" => decide(state, request, door),
        _ => Answer::only("GET, POST"),
    }
}

/// Shows the page, or answers at once what needs none.
fn asked(state: &State, request: &Request, door: Door) -> Result<Answer, Answer> {
    let form = Form::of_query(request);
    let form = form.map_err(|what| faulty("invalid_request", &what))?;
    // Until these two are known to be good, nobody is sent anywhere.
    let needed = |name: &str| {
        let text = format!("Required parameter is missing: {name}");
        form.get(name).ok_or_else(|| faulty("invalid_request", &text))
    };
    let id = needed("client_id")?;
    let client = clients::find(state, door, id)
        .ok_or_else(|| faulty("invalid_client", "The OAuth client was not found."))?;
    let uri = needed("redirect_uri")?;
    if !client.may_redirect_to(uri) {
        let text = format!("The redirect URI {uri} is not one of this client's.");
        return Err(faulty("redirect_uri_mismatch", &text));
    }
    let given = form.get("state");
    let refused = |(code, text): (&str, String)| {
        let pairs = [("error", code), ("error_description", &text)];
        redirect(uri, given, issuer(state, door), &pairs)
    };
    let challenge = challenge(&form).map_err(refused)?;
    if door == Door::Sts {
        provider(&form).map_err(refused)?;
    }
    let back = Back::Redirect { uri: uri.to_owned(), state: given.map(str::to_owned), challenge };
    let asked = wish(&form, door, id, back).map_err(refused)?;
    match asked.silent {
        false => Ok(show(state, asked)),
        true => silently(state, &asked).map_err(refused),
    }
}

/// A request that nobody may be sent back with.
fn faulty(code: &str, text: &str) -> Answer {
    page::told(400, &format!("Error 400: {code}"), text)
}

type Refusal = (&'static str, String);

fn invalid(text: impl Into<String>) -> Refusal {
    ("invalid_request", text.into())
}

/// The challenge of PKCE, which everybody has to have here.
fn challenge(form: &Form) -> Result<String, Refusal> {
    match form.get("response_type") {
        Some("code") => {}
        None => return Err(invalid("Required parameter is missing: response_type")),
        Some(other) => {
            return Err(("unsupported_response_type", format!("Invalid response_type: {other}")));
        }
    }
    if form.get("code_challenge_method") != Some("S256") {
        return Err(invalid("code_challenge_method must be S256."));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match form.get("code_challenge") {
        Some(text) if text.len() == CHALLENGE && text.bytes().all(letter) => Ok(text.to_owned()),
        Some(_) => Err(invalid("code_challenge is not a SHA-256 in base64url.")),
        None => Err(invalid("Required parameter is missing: code_challenge")),
    }
}

/// A workforce pool has many providers: which one is to be said.
fn provider(form: &Form) -> Result<(), Refusal> {
    let name = WORKFORCE_PROVIDER.trim_start_matches("//iam.googleapis.com/");
    match form.get("provider_name") {
        Some(given) if given == name => Ok(()),
        Some(_) => Err(invalid("There is no such provider, or it is disabled: provider_name")),
        None => Err(invalid("Required parameter is missing: provider_name")),
    }
}

/// The rest of what is asked for.
fn wish(form: &Form, door: Door, client: &str, back: Back) -> Result<Asked, Refusal> {
    let scopes = form.get("scope").ok_or_else(|| invalid("Missing required parameter: scope"))?;
    let scopes = known_scopes(door, scopes).ok_or_else(|| {
        ("invalid_scope", format!("Some requested scopes were invalid: {scopes}"))
    })?;
    let prompt = form.get("prompt").unwrap_or_default();
    let prompts: Vec<&str> = prompt.split(' ').filter(|word| !word.is_empty()).collect();
    let is_prompt = |word: &&str| ["none", "consent", "select_account", "login"].contains(word);
    let asks = |word| prompts.contains(&word);
    if !prompts.iter().all(is_prompt) || (asks("none") && prompts.len() > 1) {
        return Err(invalid(format!("Invalid parameter value for prompt: {prompt}")));
    }
    let word = |name: &str, words: [&str; 2]| match form.get(name) {
        None => Ok(false),
        Some(given) if given == words[0] => Ok(true),
        Some(given) if given == words[1] => Ok(false),
        Some(given) => Err(invalid(format!("Invalid parameter value for {name}: {given}"))),
    };
    Ok(Asked {
        door,
        client: client.to_owned(),
        scopes,
        with_earlier: word("include_granted_scopes", ["true", "false"])?,
        offline: word("access_type", ["offline", "online"])?,
        again: asks("consent"),
        silent: asks("none"),
        person: form.get("login_hint").and_then(cast::person).filter(|_| !asks("select_account")),
        nonce: form.get("nonce").map(str::to_owned),
        back,
    })
}

/// The scopes of a list, where all are known at this door.
pub(super) fn known_scopes(door: Door, text: &str) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = match door {
        Door::Accounts | Door::Sts => scope_list(text).ok()?,
        Door::Outside => text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
    };
    let outside =
        |scope: &String| ["openid", "email", "profile", "offline_access"].contains(&scope.as_str());
    let good = !scopes.is_empty() && (door != Door::Outside || scopes.iter().all(outside));
    let mut seen = Vec::new();
    scopes.retain(|scope| {
        let new = !seen.contains(scope);
        seen.push(scope.clone());
        new
    });
    good.then_some(scopes)
}

/// Without a page: for a person who has agreed to all of it before.
fn silently(state: &State, asked: &Asked) -> Result<Answer, Refusal> {
    let person = asked.person.unwrap_or(&PEOPLE[0]);
    let account = match asked.door {
        Door::Sts => sts::workforce_principal(person.email),
        Door::Accounts | Door::Outside => person.email.to_owned(),
    };
    let agreed = lock(state.book(asked.door))
        .consent(&account, &asked.client)
        .is_some_and(|earlier| asked.scopes.iter().all(|scope| includes(earlier, scope)));
    match &asked.back {
        Back::Redirect { uri, state: given, challenge } if agreed => {
            let shown = Shown { uri, given: given.as_deref(), prompt: "none" };
            let yes = yes(state, asked, person, asked.scopes.clone());
            Ok(with_code(state, &shown, challenge, yes, person))
        }
        _ => Err(("interaction_required", "The person has to be asked.".to_owned())),
    }
}
