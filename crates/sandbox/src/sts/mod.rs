//! STS: a subject token in, an access token of Google's out (RFC 8693), as strict as Google's.

mod amazon;
mod boundary;
mod session;
mod subject;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::SandboxState;
use crate::fixtures::{WORKFORCE_PROVIDER, WORKLOAD_PROVIDER};
use crate::oauth::{
    OAuthForm, invalid_grant, no_store, oauth_error, parse_scopes, unsupported_grant_type,
};
use crate::token::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::token_store::AccessTokenRecord;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;

pub(super) use crate::sts::session::{handle_token, introspect, revoke};

/// The grant of RFC 8693.
const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of what is issued; as a subject token it is to be downscoped.
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
const SAML2_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:saml2";
const MTLS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:mtls";
const AWS4_REQUEST_TOKEN_TYPE: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// The longest id or number of a project.
const MAX_PROJECT_LENGTH: usize = 32;
/// A SHA-256 in base64 without padding.
const FINGERPRINT_LENGTH: usize = 43;

/// Through which pool somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdentityPool {
    Workload,
    Workforce,
}

impl IdentityPool {
    /// The pool whose provider this audience names.
    fn from_audience(audience: &str) -> Option<IdentityPool> {
        match audience {
            WORKLOAD_PROVIDER => Some(IdentityPool::Workload),
            WORKFORCE_PROVIDER => Some(IdentityPool::Workforce),
            _ => None,
        }
    }

    fn provider(self) -> &'static str {
        match self {
            IdentityPool::Workload => WORKLOAD_PROVIDER,
            IdentityPool::Workforce => WORKFORCE_PROVIDER,
        }
    }
}

/// Answers `POST /v1/token`.
pub(super) fn handle_exchange(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    match request.method.as_str() {
        "POST" => no_store(exchange_token(state, request)),
        _ => ServerResponse::method_not_allowed("POST"),
    }
}

fn exchange_token(
    state: &SandboxState,
    request: &ServerRequest,
) -> Result<ServerResponse, ServerResponse> {
    let form = OAuthForm::from_request(request)?;
    if request.bearer_token().is_some() {
        return Err(oauth_error(
            401,
            "invalid_client",
            "A bearer token is no client authentication.",
        ));
    }
    match form.require("grant_type")? {
        TOKEN_EXCHANGE_GRANT_TYPE => {}
        other => return Err(unsupported_grant_type(other)),
    }
    if form.require("requested_token_type")? != ACCESS_TOKEN_TYPE {
        return Err(invalid_request(
            "Invalid requested_token_type: only access tokens are issued.",
        ));
    }
    let subject_token_type = form.require("subject_token_type")?;
    let subject_token = form.require("subject_token")?;
    let options = parse_options(form.get("options"))?;
    check_actor_token(state, &form)?;
    match subject_token_type {
        ACCESS_TOKEN_TYPE => downscope(state, request, &form, subject_token, &options),
        _ => exchange_external_token(
            state,
            request,
            &form,
            (subject_token_type, subject_token),
            &options,
        ),
    }
}

fn invalid_request(description: &str) -> ServerResponse {
    oauth_error(400, "invalid_request", description)
}

/// The options, a JSON object. Some clients percent-encode it once more than the form does, which Google allows.
fn parse_options(text: Option<&str>) -> Result<Map<String, Value>, ServerResponse> {
    let Some(text) = text else { return Ok(Map::new()) };
    let options = gauth_core::text::json::parse_object(text.as_bytes()).or_else(|_| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        gauth_core::text::json::parse_object(&decoded)
    });
    let options = options.map_err(|what| invalid_request(&format!("Invalid options: {what}")))?;
    let is_known =
        |name: &str| matches!(name, "userProject" | "accessBoundary" | "bindCertFingerprint");
    if let Some(name) = options.keys().find(|name| !is_known(name)) {
        return Err(invalid_request(&format!("Invalid options: unknown name {name}")));
    }
    if let Some(fingerprint) = options.get("bindCertFingerprint")
        && fingerprint.as_str().is_none_or(|print| print.len() != FINGERPRINT_LENGTH)
    {
        return Err(invalid_request("Invalid options: bindCertFingerprint"));
    }
    Ok(options)
}

/// Who acts for the subject, which needs a type as the subject does.
fn check_actor_token(state: &SandboxState, form: &OAuthForm) -> Result<(), ServerResponse> {
    match (form.get("actor_token"), form.get("actor_token_type")) {
        (None, None) => Ok(()),
        (Some(token), Some(JWT_TOKEN_TYPE | ID_TOKEN_TYPE)) => {
            subject::verify_id_token(state, token).map(drop)
        }
        (Some(_), Some(_)) => Err(invalid_request("Invalid actor_token_type.")),
        _ => Err(invalid_request("actor_token and actor_token_type come together or not at all.")),
    }
}

/// An identity from outside becomes a principal of Google's.
fn exchange_external_token(
    state: &SandboxState,
    request: &ServerRequest,
    form: &OAuthForm,
    (subject_token_type, subject_token): (&str, &str),
    options: &Map<String, Value>,
) -> Result<ServerResponse, ServerResponse> {
    let Some(pool) = IdentityPool::from_audience(form.require("audience")?) else {
        let text = "The target service indicated by the \"audience\" parameter is invalid: there is no \
                    such pool or provider, or it is disabled.";
        return Err(oauth_error(400, "invalid_target", text));
    };
    let scopes = parse_scopes(form.require("scope")?)?;
    if options.contains_key("accessBoundary") {
        return Err(invalid_request("accessBoundary is for access tokens."));
    }
    let project = options.get("userProject");
    if project.is_some() && pool == IdentityPool::Workload {
        return Err(invalid_request("userProject is for workforce pools."));
    }
    let is_project_id = |name: &str| !name.is_empty() && name.len() <= MAX_PROJECT_LENGTH;
    if project.is_some_and(|project| !project.as_str().is_some_and(is_project_id)) {
        return Err(invalid_request("Invalid options: userProject"));
    }
    let client = match (request.header("authorization"), pool) {
        (None, _) => pool.provider(),
        (Some(_), IdentityPool::Workforce) => form.authenticate_basic_client(state)?,
        (Some(_), IdentityPool::Workload) => {
            return Err(invalid_request("Workload pools have no OAuth clients."));
        }
    };
    let subject = match (subject_token_type, pool) {
        (JWT_TOKEN_TYPE | ID_TOKEN_TYPE, _) => subject::jwt_subject(state, subject_token, pool)?,
        (SAML2_TOKEN_TYPE, _) => subject::saml_subject(state, subject_token)?,
        (AWS4_REQUEST_TOKEN_TYPE, IdentityPool::Workload) => {
            amazon::caller_arn(state, subject_token)?
        }
        (MTLS_TOKEN_TYPE, IdentityPool::Workload) => {
            subject::certificate_subject(state, request, subject_token)?
        }
        (AWS4_REQUEST_TOKEN_TYPE | MTLS_TOKEN_TYPE, IdentityPool::Workforce) => {
            return Err(invalid_grant("The provider takes no subject tokens of this type."));
        }
        _ => {
            return Err(invalid_request(&format!(
                "Invalid subject_token_type: {subject_token_type}"
            )));
        }
    };
    let record = AccessTokenRecord {
        account: principal(pool, &subject),
        client_id: client.to_owned(),
        scopes,
        expires_at: state.now() + ACCESS_TOKEN_LIFETIME_SECONDS,
        family: None,
        access_boundary: None,
    };
    token_response(
        &state.issue_access_token("ya29.d.", record)?,
        Some(ACCESS_TOKEN_LIFETIME_SECONDS),
    )
}

/// The name that policies know somebody by.
fn principal(pool: IdentityPool, subject: &str) -> String {
    // The pool is named by all that stands before its providers.
    let pool = pool.provider().split("/providers/").next().unwrap_or_default();
    format!("principal:{pool}/subject/{subject}")
}

/// The name of a person who comes in through the workforce pool.
pub(super) fn workforce_principal(email: &str) -> String {
    principal(IdentityPool::Workforce, email)
}

/// A token that can do less, and nothing else that the source cannot.
fn downscope(
    state: &SandboxState,
    request: &ServerRequest,
    form: &OAuthForm,
    subject_token: &str,
    options: &Map<String, Value>,
) -> Result<ServerResponse, ServerResponse> {
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
    let access_boundary = options.get("accessBoundary");
    let access_boundary =
        access_boundary.ok_or_else(|| invalid_request("accessBoundary is missing."))?;
    boundary::validate_boundary(access_boundary)
        .map_err(|what| invalid_request(&format!("Invalid accessBoundary: {what}")))?;
    let now = state.now();
    let source =
        lock_ignoring_poison(&state.token_store).find_access_token(subject_token, now).cloned();
    let source = source.ok_or_else(|| invalid_grant("The subject token is expired or unknown."))?;
    if source.access_boundary.is_some() {
        return Err(invalid_grant("The subject token has an access boundary already."));
    }
    if source.account.starts_with(&principal(IdentityPool::Workforce, "")) {
        return Err(invalid_grant("Tokens of workforce pools cannot be downscoped."));
    }
    if !source.scopes.iter().any(|scope| scope == CLOUD_PLATFORM_SCOPE) {
        return Err(invalid_grant("The subject token lacks the scope cloud-platform."));
    }
    let lifetime = (!source.is_user()).then_some(source.expires_at - now);
    let record = AccessTokenRecord { access_boundary: Some(access_boundary.clone()), ..source };
    token_response(&state.issue_access_token("ya29.dr.", record)?, lifetime)
}

fn token_response(token: &str, lifetime: Option<i64>) -> Result<ServerResponse, ServerResponse> {
    let mut value = json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN_TYPE,
        "token_type": "Bearer",
    });
    if let Some(lifetime) = lifetime {
        value["expires_in"] = lifetime.into();
    }
    Ok(ServerResponse::json(200, &value))
}
