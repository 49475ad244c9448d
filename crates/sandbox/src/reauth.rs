//! Proving again that it is still the same person (RAPT): a session, its challenges, and the proof that a refresh
//! then carries.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::fixtures;
use crate::token_store::includes_scope;
use crate::{SandboxState, iam};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// The scope that lets a program ask.
pub(super) const REAUTH_SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";

const START_PATH: &str = "/v2/sessions:start";
const SESSION_PATH_PREFIX: &str = "/v2/sessions/";
const CONTINUE_SUFFIX: &str = ":continue";
/// How long a proof is good, in seconds: a working day.
const RAPT_LIFETIME_SECONDS: i64 = 16 * 3600;
/// How long a session is good, in seconds.
const SESSION_LIFETIME_SECONDS: i64 = 600;

/// What is under way, and what has been proved.
#[derive(Default)]
pub(super) struct ReauthState {
    sessions: HashMap<String, ChallengeSession>,
    /// By the proof: who it was, and until when it is good.
    rapts: HashMap<String, (String, i64)>,
}

struct ChallengeSession {
    account: String,
    /// The kinds of challenges that the program can deal with.
    supported_challenge_types: Vec<String>,
    /// Good answers that are still needed.
    remaining_challenges: u32,
    /// Of the challenge that is to be answered.
    challenge_id: u64,
    expires_at: i64,
}

/// The paths.
pub(super) fn is_reauth_path(path: &str) -> bool {
    path == START_PATH || path.starts_with(SESSION_PATH_PREFIX)
}

/// Answers `POST /v2/sessions:start` and `POST /v2/sessions/ID:continue`.
pub(super) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    let result = match request.path.strip_prefix(SESSION_PATH_PREFIX) {
        None => start_session(state, request),
        Some(rest) => match rest.strip_suffix(CONTINUE_SUFFIX) {
            Some(id) => continue_session(state, request, id),
            None => Err(iam::api_error(404, "Requested entity was not found.")),
        },
    };
    result.unwrap_or_else(|refusal| refusal)
}

/// Whether this proof was given to this person, and is still good.
pub(super) fn is_valid_rapt(state: &SandboxState, rapt: &str, account: &str) -> bool {
    let reauth = lock_ignoring_poison(&state.reauth);
    reauth.rapts.get(rapt).is_some_and(|(owner, end)| owner == account && *end > state.now())
}

/// Who asks: a person's token that may.
fn authenticate_user(
    state: &SandboxState,
    request: &ServerRequest,
) -> Result<String, ServerResponse> {
    let token = request.bearer_token().unwrap_or_default();
    let token_store = lock_ignoring_poison(&state.token_store);
    let record = token_store.find_access_token(token, state.now()).filter(|grant| grant.is_user());
    let record = record
        .ok_or_else(|| iam::api_error(401, "Request had invalid authentication credentials."))?;
    match includes_scope(&record.scopes, REAUTH_SCOPE) {
        true => Ok(record.account.clone()),
        false => Err(iam::api_error(403, "Request had insufficient authentication scopes.")),
    }
}

fn json_body(request: &ServerRequest) -> Result<Map<String, Value>, ServerResponse> {
    let content_type = request.header("content-type").unwrap_or_default();
    if content_type.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(iam::api_error(400, "The request has to be JSON."));
    }
    gauth_core::text::json::parse_object(&request.body)
        .map_err(|what| iam::api_error(400, &format!("Invalid JSON payload received: it {what}.")))
}

/// A list of words.
fn string_list(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, ServerResponse> {
    let items = match body.get(name) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(iam::api_error(400, &format!("Invalid value at '{name}'."))),
    };
    let owned_text = |item: &Value| item.as_str().map(str::to_owned);
    items
        .iter()
        .map(owned_text)
        .collect::<Option<_>>()
        .ok_or_else(|| iam::api_error(400, &format!("Invalid value at '{name}'.")))
}

fn start_session(
    state: &SandboxState,
    request: &ServerRequest,
) -> Result<ServerResponse, ServerResponse> {
    let account = authenticate_user(state, request)?;
    let body = json_body(request)?;
    let supported_challenge_types = string_list(&body, "supportedChallengeTypes")?;
    string_list(&body, "oauthScopesForDomainPolicyLookup")?;
    if supported_challenge_types.is_empty() {
        return Err(iam::api_error(400, "supportedChallengeTypes must not be empty."));
    }
    if has_behaviour(state, "authenticated") {
        return authenticated_response(state, &account, None);
    }
    let now = state.now();
    let id = fixtures::random_base64url(24).map_err(|_| ServerResponse::empty(500))?;
    let remaining_challenges = if has_behaviour(state, "two-rounds") { 2 } else { 1 };
    let session = ChallengeSession {
        account,
        supported_challenge_types,
        remaining_challenges,
        challenge_id: 1,
        expires_at: now + SESSION_LIFETIME_SECONDS,
    };
    let response = challenge_response(state, &id, &session, "CHALLENGE_REQUIRED");
    let mut reauth = lock_ignoring_poison(&state.reauth);
    reauth.sessions.retain(|_, session| session.expires_at > now);
    reauth.sessions.insert(id, session);
    Ok(response)
}

fn has_behaviour(state: &SandboxState, behaviour: &str) -> bool {
    state.has_behaviour("reauth", behaviour)
}

/// The answer that asks.
fn challenge_response(
    state: &SandboxState,
    id: &str,
    session: &ChallengeSession,
    status: &str,
) -> ServerResponse {
    let challenge_type = match () {
        () if has_behaviour(state, "saml") => "SAML",
        () if has_behaviour(state, "security-key") => "SECURITY_KEY",
        () if has_behaviour(state, "unknown-challenge") => "RIDDLE",
        () => "PASSWORD",
    };
    let challenge_status = if has_behaviour(state, "none-ready") { "INELIGIBLE" } else { "READY" };
    let mut challenges = Vec::new();
    if session.supported_challenge_types.iter().any(|supported| supported == challenge_type)
        || challenge_type == "RIDDLE"
    {
        let mut challenge = json!({ "challengeId": session.challenge_id, "challengeType": challenge_type, "status": challenge_status });
        if challenge_type == "SECURITY_KEY" {
            challenge["securityKey"] = json!({
                "applicationId": "https://www.gstatic.com/securitykey/origins.json",
                "relyingPartyId": "google.com",
                "challenges": [{ "keyHandle": "c2FuZGJveA", "challenge": "Y2hhbGxlbmdl" }],
            });
        }
        challenges.push(challenge);
    }
    let value = json!({ "status": status, "sessionId": id, "challenges": challenges });
    ServerResponse::json(200, &value)
}

fn continue_session(
    state: &SandboxState,
    request: &ServerRequest,
    id: &str,
) -> Result<ServerResponse, ServerResponse> {
    let account = authenticate_user(state, request)?;
    let body = json_body(request)?;
    let mut reauth = lock_ignoring_poison(&state.reauth);
    let now = state.now();
    let session = reauth.sessions.get_mut(id);
    let session = session
        .filter(|session| session.account == account && session.expires_at > now)
        .ok_or_else(|| iam::api_error(404, "Requested entity was not found."))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if text("sessionId") != Some(id) {
        return Err(iam::api_error(400, "Invalid value at 'sessionId'."));
    }
    if body.get("challengeId") != Some(&session.challenge_id.into()) {
        return Err(iam::api_error(400, "Invalid value at 'challengeId'."));
    }
    if text("action") != Some("RESPOND") {
        return Err(iam::api_error(400, "Invalid value at 'action'."));
    }
    let credential = body
        .get("proposalResponse")
        .and_then(|response| response.get("credential"))
        .and_then(Value::as_str)
        .ok_or_else(|| iam::api_error(400, "Invalid value at 'proposal_response'."))?;
    session.challenge_id += 1;
    let is_password_challenge = !["saml", "security-key", "none-ready", "unknown-challenge"]
        .iter()
        .any(|behaviour| has_behaviour(state, behaviour));
    if !is_password_challenge || credential != state.fixtures.password.expose() {
        return Ok(challenge_response(state, id, session, "CHALLENGE_REQUIRED"));
    }
    session.remaining_challenges -= 1;
    if session.remaining_challenges > 0 {
        return Ok(challenge_response(state, id, session, "CHALLENGE_PENDING"));
    }
    reauth.sessions.remove(id);
    drop(reauth);
    authenticated_response(state, &account, Some(id))
}

/// The answer that brings a proof.
fn authenticated_response(
    state: &SandboxState,
    account: &str,
    session: Option<&str>,
) -> Result<ServerResponse, ServerResponse> {
    let rapt = fixtures::random_base64url(48).map_err(|_| ServerResponse::empty(500))?;
    let expires_at = state.now() + RAPT_LIFETIME_SECONDS;
    lock_ignoring_poison(&state.reauth)
        .rapts
        .insert(rapt.clone(), (account.to_owned(), expires_at));
    let mut value = json!({ "status": "AUTHENTICATED", "encodedProofOfReauthToken": rapt });
    if let Some(session) = session {
        value["sessionId"] = session.into();
    }
    Ok(ServerResponse::json(200, &value))
}
