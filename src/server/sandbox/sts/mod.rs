//! STS: a subject token in, an access token of Google's out (RFC 8693), as strict as Google's.

mod amazon;
mod boundary;
mod session;
mod subject;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{WORKFORCE_PROVIDER, WORKLOAD_PROVIDER};
use crate::server::sandbox::ledger::Grant;
use crate::server::sandbox::oauth::{
    Form, error, invalid_grant, scope_list, unkept, unsupported_grant,
};
use crate::server::sandbox::token::LIFE;
use crate::token::CLOUD_PLATFORM;

pub(super) use session::{introspect, oauth_token, revoke};

/// The grant of RFC 8693.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of what is issued; as a subject token it is to be downscoped.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const MTLS: &str = "urn:ietf:params:oauth:token-type:mtls";
const AWS4_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// The longest id or number of a project.
const LONGEST_PROJECT: usize = 32;
/// A SHA-256 in base64 without padding.
const FINGERPRINT: usize = 43;

/// Through which pool somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pool {
    Workload,
    Workforce,
}

impl Pool {
    /// The pool whose provider this audience names.
    fn of(audience: &str) -> Option<Pool> {
        match audience {
            WORKLOAD_PROVIDER => Some(Pool::Workload),
            WORKFORCE_PROVIDER => Some(Pool::Workforce),
            _ => None,
        }
    }

    fn provider(self) -> &'static str {
        match self {
            Pool::Workload => WORKLOAD_PROVIDER,
            Pool::Workforce => WORKFORCE_PROVIDER,
        }
    }
}

/// Answers `POST /v1/token`.
pub(super) fn exchange(state: &State, request: &Request) -> Answer {
    match request.method.as_str() {
        "POST" => unkept(exchanged(state, request)),
        _ => Answer::only("POST"),
    }
}

fn exchanged(state: &State, request: &Request) -> Result<Answer, Answer> {
    let form = Form::of(request)?;
    if request.bearer().is_some() {
        return Err(error(401, "invalid_client", "A bearer token is no client authentication."));
    }
    match form.needed("grant_type")? {
        TOKEN_EXCHANGE => {}
        other => return Err(unsupported_grant(other)),
    }
    if form.needed("requested_token_type")? != ACCESS_TOKEN {
        return Err(invalid_request(
            "Invalid requested_token_type: only access tokens are issued.",
        ));
    }
    let kind = form.needed("subject_token_type")?;
    let token = form.needed("subject_token")?;
    let options = options(form.get("options"))?;
    actor(state, &form)?;
    match kind {
        ACCESS_TOKEN => downscope(state, request, &form, token, &options),
        _ => federate(state, request, &form, (kind, token), &options),
    }
}

fn invalid_request(description: &str) -> Answer {
    error(400, "invalid_request", description)
}

/// The options, a JSON object. Some clients percent-encode it once more than the form does, which Google allows.
fn options(text: Option<&str>) -> Result<Map<String, Value>, Answer> {
    let Some(text) = text else { return Ok(Map::new()) };
    let options = crate::json::object(text.as_bytes()).or_else(|_| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        crate::json::object(&decoded)
    });
    let options = options.map_err(|what| invalid_request(&format!("Invalid options: {what}")))?;
    let is_known =
        |name: &str| matches!(name, "userProject" | "accessBoundary" | "bindCertFingerprint");
    if let Some(name) = options.keys().find(|name| !is_known(name)) {
        return Err(invalid_request(&format!("Invalid options: unknown name {name}")));
    }
    if let Some(print) = options.get("bindCertFingerprint")
        && print.as_str().is_none_or(|print| print.len() != FINGERPRINT)
    {
        return Err(invalid_request("Invalid options: bindCertFingerprint"));
    }
    Ok(options)
}

/// Who acts for the subject, which needs a type as the subject does.
fn actor(state: &State, form: &Form) -> Result<(), Answer> {
    match (form.get("actor_token"), form.get("actor_token_type")) {
        (None, None) => Ok(()),
        (Some(token), Some(JWT | ID_TOKEN)) => subject::claims(state, token).map(drop),
        (Some(_), Some(_)) => Err(invalid_request("Invalid actor_token_type.")),
        _ => Err(invalid_request("actor_token and actor_token_type come together or not at all.")),
    }
}

/// An identity from outside becomes a principal of Google's.
fn federate(
    state: &State,
    request: &Request,
    form: &Form,
    (kind, token): (&str, &str),
    options: &Map<String, Value>,
) -> Result<Answer, Answer> {
    let Some(pool) = Pool::of(form.needed("audience")?) else {
        let text = "The target service indicated by the \"audience\" parameter is invalid: there is no \
                    such pool or provider, or it is disabled.";
        return Err(error(400, "invalid_target", text));
    };
    let scopes = scope_list(form.needed("scope")?)?;
    if options.contains_key("accessBoundary") {
        return Err(invalid_request("accessBoundary is for access tokens."));
    }
    let project = options.get("userProject");
    if project.is_some() && pool == Pool::Workload {
        return Err(invalid_request("userProject is for workforce pools."));
    }
    let is_project = |name: &str| !name.is_empty() && name.len() <= LONGEST_PROJECT;
    if project.is_some_and(|project| !project.as_str().is_some_and(is_project)) {
        return Err(invalid_request("Invalid options: userProject"));
    }
    let client = match (request.header("authorization"), pool) {
        (None, _) => pool.provider(),
        (Some(_), Pool::Workforce) => form.basic_client(state)?,
        (Some(_), Pool::Workload) => {
            return Err(invalid_request("Workload pools have no OAuth clients."));
        }
    };
    let subject = match (kind, pool) {
        (JWT | ID_TOKEN, _) => subject::jwt(state, token, pool)?,
        (SAML2, _) => subject::saml(state, token)?,
        (AWS4_REQUEST, Pool::Workload) => amazon::caller(state, token)?,
        (MTLS, Pool::Workload) => subject::certificate(state, request, token)?,
        (AWS4_REQUEST | MTLS, Pool::Workforce) => {
            return Err(invalid_grant("The provider takes no subject tokens of this type."));
        }
        _ => return Err(invalid_request(&format!("Invalid subject_token_type: {kind}"))),
    };
    let grant = Grant {
        account: principal(pool, &subject),
        client: client.to_owned(),
        scopes,
        expires_at: state.now() + LIFE,
        family: None,
        boundary: None,
    };
    issued(&state.issue("ya29.d.", grant)?, Some(LIFE))
}

/// The name that policies know somebody by.
fn principal(pool: Pool, subject: &str) -> String {
    // The pool is named by all that stands before its providers.
    let pool = pool.provider().split("/providers/").next().unwrap_or_default();
    format!("principal:{pool}/subject/{subject}")
}

/// The name of a person who comes in through the workforce pool.
pub(super) fn workforce_principal(email: &str) -> String {
    principal(Pool::Workforce, email)
}

/// A token that can do less, and nothing else that the source cannot.
fn downscope(
    state: &State,
    request: &Request,
    form: &Form,
    token: &str,
    options: &Map<String, Value>,
) -> Result<Answer, Answer> {
    for name in ["audience", "scope"] {
        if form.get(name).is_some() {
            return Err(invalid_request(&format!("{name} is not for access tokens.")));
        }
    }
    if request.header("authorization").is_some() {
        return Err(invalid_request("Downscoping needs no client authentication."));
    }
    if let Some(name) = options.keys().find(|name| *name != "accessBoundary") {
        return Err(invalid_request(&format!("{name} is not for access tokens.")));
    }
    let boundary = options.get("accessBoundary");
    let boundary = boundary.ok_or_else(|| invalid_request("accessBoundary is missing."))?;
    boundary::check(boundary)
        .map_err(|what| invalid_request(&format!("Invalid accessBoundary: {what}")))?;
    let now = state.now();
    let source = lock(&state.ledger).access(token, now).cloned();
    let source = source.ok_or_else(|| invalid_grant("The subject token is expired or unknown."))?;
    if source.boundary.is_some() {
        return Err(invalid_grant("The subject token has an access boundary already."));
    }
    if source.account.starts_with(&principal(Pool::Workforce, "")) {
        return Err(invalid_grant("Tokens of workforce pools cannot be downscoped."));
    }
    if !source.scopes.iter().any(|scope| scope == CLOUD_PLATFORM) {
        return Err(invalid_grant("The subject token lacks the scope cloud-platform."));
    }
    let left = (!source.is_users()).then_some(source.expires_at - now);
    let grant = Grant { boundary: Some(boundary.clone()), ..source };
    issued(&state.issue("ya29.dr.", grant)?, left)
}

fn issued(token: &str, life: Option<i64>) -> Result<Answer, Answer> {
    let mut value = json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
    });
    if let Some(life) = life {
        value["expires_in"] = life.into();
    }
    Ok(Answer::json(200, &value))
}
