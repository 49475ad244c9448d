//! Proving again that it is still the same person (RAPT): a session, its challenges, and the proof that a refresh
//! then carries.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::cast;
use crate::server::sandbox::ledger::includes;
use crate::server::sandbox::{State, iam};

/// The scope that lets a program ask.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";

const START: &str = "/v2/sessions:start";
const SESSION: &str = "/v2/sessions/";
const CONTINUE: &str = ":continue";
/// How long a proof is good, in seconds: a working day.
const LIFE: i64 = 16 * 3600;
/// How long a session is good, in seconds.
const PATIENCE: i64 = 600;

/// What is under way, and what has been proved.
#[derive(Default)]
pub(super) struct Reauth {
    sessions: HashMap<String, Session>,
    /// By the proof: who it was, and until when it is good.
    proofs: HashMap<String, (String, i64)>,
}

struct Session {
    account: String,
    /// The kinds of challenges that the program can deal with.
    supported: Vec<String>,
    /// Good answers that are still needed.
    rounds: u32,
    /// Of the challenge that is to be answered.
    challenge: u64,
    expires_at: i64,
}

/// The paths.
pub(super) fn serves(path: &str) -> bool {
    path == START || path.starts_with(SESSION)
}

/// Answers `POST /v2/sessions:start` and `POST /v2/sessions/ID:continue`.
pub(super) fn answer(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    let answered = match request.path.strip_prefix(SESSION) {
        None => start(state, request),
        Some(rest) => match rest.strip_suffix(CONTINUE) {
            Some(id) => proceed(state, request, id),
            None => Err(iam::error(404, "Requested entity was not found.")),
        },
    };
    answered.unwrap_or_else(|refusal| refusal)
}

/// Whether this proof was given to this person, and is still good.
pub(super) fn is_proof(state: &State, proof: &str, account: &str) -> bool {
    let reauth = lock(&state.reauth);
    reauth.proofs.get(proof).is_some_and(|(whose, end)| whose == account && *end > state.now())
}

/// Who asks: a person's token that may.
fn caller(state: &State, request: &Request) -> Result<String, Answer> {
    let token = request.bearer().unwrap_or_default();
    let ledger = lock(&state.ledger);
    let grant = ledger.access(token, state.now()).filter(|grant| grant.is_users());
    let grant =
        grant.ok_or_else(|| iam::error(401, "Request had invalid authentication credentials."))?;
    match includes(&grant.scopes, SCOPE) {
        true => Ok(grant.account.clone()),
        false => Err(iam::error(403, "Request had insufficient authentication scopes.")),
    }
}

fn body(request: &Request) -> Result<Map<String, Value>, Answer> {
    let kind = request.header("content-type").unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(iam::error(400, "The request has to be JSON."));
    }
    crate::json::object(&request.body)
        .map_err(|what| iam::error(400, &format!("Invalid JSON payload received: it {what}.")))
}

/// A list of words.
fn words(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, Answer> {
    let items = match body.get(name) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(iam::error(400, &format!("Invalid value at '{name}'."))),
    };
    let word = |item: &Value| item.as_str().map(str::to_owned);
    items
        .iter()
        .map(word)
        .collect::<Option<_>>()
        .ok_or_else(|| iam::error(400, &format!("Invalid value at '{name}'.")))
}

fn start(state: &State, request: &Request) -> Result<Answer, Answer> {
    let account = caller(state, request)?;
    let body = body(request)?;
    let supported = words(&body, "supportedChallengeTypes")?;
    words(&body, "oauthScopesForDomainPolicyLookup")?;
    if supported.is_empty() {
        return Err(iam::error(400, "supportedChallengeTypes must not be empty."));
    }
    if has(state, "authenticated") {
        return proved(state, &account, None);
    }
    let now = state.now();
    let id = cast::random(24).map_err(|_| Answer::empty(500))?;
    let rounds = if has(state, "two-rounds") { 2 } else { 1 };
    let session = Session { account, supported, rounds, challenge: 1, expires_at: now + PATIENCE };
    let told = challenge(state, &id, &session, "CHALLENGE_REQUIRED");
    let mut reauth = lock(&state.reauth);
    reauth.sessions.retain(|_, session| session.expires_at > now);
    reauth.sessions.insert(id, session);
    Ok(told)
}

fn has(state: &State, way: &str) -> bool {
    state.has_way("reauth", way)
}

/// The answer that asks.
fn challenge(state: &State, id: &str, session: &Session, status: &str) -> Answer {
    let kind = match () {
        () if has(state, "saml") => "SAML",
        () if has(state, "security-key") => "SECURITY_KEY",
        () if has(state, "unknown-challenge") => "RIDDLE",
        () => "PASSWORD",
    };
    let ready = if has(state, "none-ready") { "INELIGIBLE" } else { "READY" };
    let mut challenges = Vec::new();
    if session.supported.iter().any(|supported| supported == kind) || kind == "RIDDLE" {
        let mut one =
            json!({ "challengeId": session.challenge, "challengeType": kind, "status": ready });
        if kind == "SECURITY_KEY" {
            one["securityKey"] = json!({
                "applicationId": "https://www.gstatic.com/securitykey/origins.json",
                "relyingPartyId": "google.com",
                "challenges": [{ "keyHandle": "c2FuZGJveA", "challenge": "Y2hhbGxlbmdl" }],
            });
        }
        challenges.push(one);
    }
    let value = json!({ "status": status, "sessionId": id, "challenges": challenges });
    Answer::json(200, &value)
}

fn proceed(state: &State, request: &Request, id: &str) -> Result<Answer, Answer> {
    let account = caller(state, request)?;
    let body = body(request)?;
    let mut reauth = lock(&state.reauth);
    let now = state.now();
    let session = reauth.sessions.get_mut(id);
    let session = session
        .filter(|session| session.account == account && session.expires_at > now)
        .ok_or_else(|| iam::error(404, "Requested entity was not found."))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if text("sessionId") != Some(id) {
        return Err(iam::error(400, "Invalid value at 'sessionId'."));
    }
    if body.get("challengeId") != Some(&session.challenge.into()) {
        return Err(iam::error(400, "Invalid value at 'challengeId'."));
    }
    if text("action") != Some("RESPOND") {
        return Err(iam::error(400, "Invalid value at 'action'."));
    }
    let credential = body
        .get("proposalResponse")
        .and_then(|response| response.get("credential"))
        .and_then(Value::as_str)
        .ok_or_else(|| iam::error(400, "Invalid value at 'proposal_response'."))?;
    session.challenge += 1;
    let is_asked = !["saml", "security-key", "none-ready", "unknown-challenge"]
        .iter()
        .any(|way| has(state, way));
    if !is_asked || credential != state.cast.password.expose() {
        return Ok(challenge(state, id, session, "CHALLENGE_REQUIRED"));
    }
    session.rounds -= 1;
    if session.rounds > 0 {
        return Ok(challenge(state, id, session, "CHALLENGE_PENDING"));
    }
    reauth.sessions.remove(id);
    drop(reauth);
    proved(state, &account, Some(id))
}

/// The answer that brings a proof.
fn proved(state: &State, account: &str, session: Option<&str>) -> Result<Answer, Answer> {
    let proof = cast::random(48).map_err(|_| Answer::empty(500))?;
    let until = state.now() + LIFE;
    lock(&state.reauth).proofs.insert(proof.clone(), (account.to_owned(), until));
    let mut value = json!({ "status": "AUTHENTICATED", "encodedProofOfReauthToken": proof });
    if let Some(session) = session {
        value["sessionId"] = session.into();
    }
    Ok(Answer::json(200, &value))
}
