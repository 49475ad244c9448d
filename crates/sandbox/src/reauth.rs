//! Google's reauthentication API: a session with challenges, whose result is a proof (RAPT) that a refresh then
//! presents.

use serde_json::{Value, json};

use crate::google_api::string_list;
use crate::json_body::read_json_object;
use crate::random_id::random_base64url;
use crate::reauth_state::ChallengeSession;
use crate::state::SandboxState;
use crate::token_store::includes_scope;
use crate::{behaviours, google_api};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// The scope that reauthentication requires.
pub(crate) const REAUTH_SCOPE: &str = "https://www.googleapis.com/auth/accounts.reauth";

const START_PATH: &str = "/v2/sessions:start";
const SESSION_PATH_PREFIX: &str = "/v2/sessions/";
const CONTINUE_SUFFIX: &str = ":continue";
/// The lifetime of a RAPT in seconds, which is a working day.
const RAPT_LIFETIME_SECONDS: i64 = 16 * 3600;
/// The lifetime of a reauthentication session, in seconds.
const SESSION_LIFETIME_SECONDS: i64 = 600;

/// Whether the path belongs to the reauthentication API.
pub(crate) fn is_reauth_path(path: &str) -> bool {
    path == START_PATH || path.starts_with(SESSION_PATH_PREFIX)
}

/// Serves `POST /v2/sessions:start` and `POST /v2/sessions/ID:continue`.
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    let result = match request.path.strip_prefix(SESSION_PATH_PREFIX) {
        None => start_session(state, request),
        Some(rest) => match rest.strip_suffix(CONTINUE_SUFFIX) {
            Some(id) => continue_session(state, request, id),
            None => Err(google_api::api_error(404, "Requested entity was not found.")),
        },
    };
    result.unwrap_or_else(|refusal| refusal)
}

/// Whether the RAPT was issued to this account and has not expired.
pub(crate) fn is_valid_rapt(state: &SandboxState, rapt: &str, account: &str) -> bool {
    let reauth = lock_ignoring_poison(&state.reauth);
    reauth.rapts.get(rapt).is_some_and(|(owner, end)| owner == account && *end > state.now())
}

/// The user of the bearer token, if the token has the required scope.
fn authenticate_user(state: &SandboxState, request: &ServerRequest) -> Result<String, ServerResponse> {
    let token = request.bearer_token().unwrap_or_default();
    let token_store = lock_ignoring_poison(&state.token_store);
    let record = token_store.find_access_token(token, state.now()).filter(|grant| grant.is_user());
    let record = record.ok_or_else(|| google_api::api_error(401, "Request had invalid authentication credentials."))?;
    match includes_scope(&record.scopes, REAUTH_SCOPE) {
        true => Ok(record.account.clone()),
        false => Err(google_api::api_error(403, "Request had insufficient authentication scopes.")),
    }
}

fn start_session(state: &SandboxState, request: &ServerRequest) -> Result<ServerResponse, ServerResponse> {
    let account = authenticate_user(state, request)?;
    let body = read_json_object(request).map_err(|what| google_api::api_error(400, &what))?;
    let supported_challenge_types = string_list(&body, "supportedChallengeTypes")?;
    let supported_challenge_types: Vec<String> = supported_challenge_types.into_iter().map(str::to_owned).collect();
    string_list(&body, "oauthScopesForDomainPolicyLookup")?;
    if supported_challenge_types.is_empty() {
        return Err(google_api::api_error(400, "supportedChallengeTypes must not be empty."));
    }
    if has_behaviour(state, behaviours::REAUTH_AUTHENTICATED) {
        return authenticated_response(state, &account, None);
    }
    let now = state.now();
    let id = random_base64url(24).map_err(|_| ServerResponse::empty(500))?;
    let remaining_challenges = if has_behaviour(state, behaviours::REAUTH_TWO_ROUNDS) { 2 } else { 1 };
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

/// A response that presents a challenge.
fn challenge_response(state: &SandboxState, id: &str, session: &ChallengeSession, status: &str) -> ServerResponse {
    let challenge_type = match () {
        () if has_behaviour(state, behaviours::REAUTH_SAML) => "SAML",
        () if has_behaviour(state, behaviours::REAUTH_SECURITY_KEY) => "SECURITY_KEY",
        () if has_behaviour(state, behaviours::REAUTH_UNKNOWN_CHALLENGE) => "RIDDLE",
        () => "PASSWORD",
    };
    let challenge_status = if has_behaviour(state, behaviours::REAUTH_NONE_READY) { "INELIGIBLE" } else { "READY" };
    let mut challenges = Vec::new();
    if session.supported_challenge_types.iter().any(|supported| supported == challenge_type)
        || challenge_type == "RIDDLE"
    {
        let mut challenge =
            json!({ "challengeId": session.challenge_id, "challengeType": challenge_type, "status": challenge_status });
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

fn continue_session(state: &SandboxState, request: &ServerRequest, id: &str) -> Result<ServerResponse, ServerResponse> {
    let account = authenticate_user(state, request)?;
    let body = read_json_object(request).map_err(|what| google_api::api_error(400, &what))?;
    let mut reauth = lock_ignoring_poison(&state.reauth);
    let now = state.now();
    let session = reauth.sessions.get_mut(id);
    let session = session
        .filter(|session| session.account == account && session.expires_at > now)
        .ok_or_else(|| google_api::api_error(404, "Requested entity was not found."))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if text("sessionId") != Some(id) {
        return Err(google_api::api_error(400, "Invalid value at 'sessionId'."));
    }
    if body.get("challengeId") != Some(&session.challenge_id.into()) {
        return Err(google_api::api_error(400, "Invalid value at 'challengeId'."));
    }
    if text("action") != Some("RESPOND") {
        return Err(google_api::api_error(400, "Invalid value at 'action'."));
    }
    let credential = body
        .get("proposalResponse")
        .and_then(|response| response.get("credential"))
        .and_then(Value::as_str)
        .ok_or_else(|| google_api::api_error(400, "Invalid value at 'proposal_response'."))?;
    session.challenge_id += 1;
    let is_password_challenge = ![
        behaviours::REAUTH_SAML,
        behaviours::REAUTH_SECURITY_KEY,
        behaviours::REAUTH_NONE_READY,
        behaviours::REAUTH_UNKNOWN_CHALLENGE,
    ]
    .iter()
    .any(|behaviour| has_behaviour(state, behaviour));
    if !is_password_challenge || !state.fixtures.password.matches(credential) {
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

/// A response with a new RAPT.
fn authenticated_response(
    state: &SandboxState,
    account: &str,
    session: Option<&str>,
) -> Result<ServerResponse, ServerResponse> {
    let rapt = random_base64url(48).map_err(|_| ServerResponse::empty(500))?;
    let expires_at = state.now() + RAPT_LIFETIME_SECONDS;
    lock_ignoring_poison(&state.reauth).rapts.insert(rapt.clone(), (account.to_owned(), expires_at));
    let mut value = json!({ "status": "AUTHENTICATED", "encodedProofOfReauthToken": rapt });
    if let Some(session) = session {
        value["sessionId"] = session.into();
    }
    Ok(ServerResponse::json(200, &value))
}
