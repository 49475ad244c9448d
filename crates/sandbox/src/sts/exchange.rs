//! Token exchange (RFC 8693) at Google's Security Token Service.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::fixtures::CLOUD_PLATFORM_SCOPE;
use crate::identity_pool::{IdentityPool, principal};
use crate::issuing::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::oauth::{
    OAuthForm, invalid_grant, invalid_request, no_store, oauth_error, parse_scopes, unsupported_grant_type,
};
use crate::state::SandboxState;
use crate::sts::{amazon, boundary, subject_token};
use crate::token_store::AccessTokenRecord;
use crate::{grant_types, token_types};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::json;

/// The greatest length of a project id or number.
const MAX_PROJECT_LENGTH: usize = 32;
/// The length of a SHA-256 digest in base64 without padding.
const FINGERPRINT_LENGTH: usize = 43;

/// Serves `POST /v1/token`.
pub(crate) fn handle_exchange(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    match request.method.as_str() {
        "POST" => no_store(exchange_token(state, request)),
        _ => ServerResponse::method_not_allowed("POST"),
    }
}

fn exchange_token(state: &SandboxState, request: &ServerRequest) -> Result<ServerResponse, ServerResponse> {
    let form = OAuthForm::from_request(request)?;
    if request.bearer_token().is_some() {
        return Err(oauth_error(401, "invalid_client", "A bearer token is not a client authentication method."));
    }
    match form.require("grant_type")? {
        grant_types::TOKEN_EXCHANGE => {}
        other => return Err(unsupported_grant_type(other)),
    }
    if form.require("requested_token_type")? != token_types::ACCESS_TOKEN {
        return Err(invalid_request("Invalid requested_token_type: only access tokens can be issued."));
    }
    let subject_token_type = form.require("subject_token_type")?;
    let subject_token = form.require("subject_token")?;
    let options = parse_options(form.get("options"))?;
    check_actor_token(state, &form)?;
    match subject_token_type {
        token_types::ACCESS_TOKEN => downscope(state, request, &form, subject_token, &options),
        _ => exchange_external_token(state, request, &form, (subject_token_type, subject_token), &options),
    }
}

/// Parses the options, a JSON object. As at Google, it may be percent-encoded once more than the form is.
fn parse_options(text: Option<&str>) -> Result<Map<String, Value>, ServerResponse> {
    let Some(text) = text else { return Ok(Map::new()) };
    let options = json::parse_object(text.as_bytes()).or_else(|_| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        json::parse_object(&decoded)
    });
    let options = options.map_err(|what| invalid_request(&format!("Invalid options: {what}")))?;
    let is_known = |name: &str| matches!(name, "userProject" | "accessBoundary" | "bindCertFingerprint");
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

/// Checks the actor token, which requires a type, as the subject token does.
fn check_actor_token(state: &SandboxState, form: &OAuthForm) -> Result<(), ServerResponse> {
    match (form.get("actor_token"), form.get("actor_token_type")) {
        (None, None) => Ok(()),
        (Some(token), Some(token_types::JWT | token_types::ID_TOKEN)) => {
            subject_token::verify_id_token(state, token).map(drop)
        }
        (Some(_), Some(_)) => Err(invalid_request("Invalid actor_token_type.")),
        _ => Err(invalid_request("actor_token and actor_token_type have to be sent together.")),
    }
}

/// Exchanges an external subject token for an access token of the pool's principal.
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
        return Err(invalid_request("accessBoundary is only supported for subject tokens that are access tokens."));
    }
    let project = options.get("userProject");
    if project.is_some() && pool == IdentityPool::Workload {
        return Err(invalid_request("userProject is only supported for workforce pools."));
    }
    let is_project_id = |name: &str| !name.is_empty() && name.len() <= MAX_PROJECT_LENGTH;
    if project.is_some_and(|project| !project.as_str().is_some_and(is_project_id)) {
        return Err(invalid_request("Invalid options: userProject"));
    }
    let client = match (request.header("authorization"), pool) {
        (None, _) => pool.provider(),
        (Some(_), IdentityPool::Workforce) => form.authenticate_basic_client(state)?,
        (Some(_), IdentityPool::Workload) => {
            return Err(invalid_request("Client authentication is only supported for workforce pools."));
        }
    };
    let subject = match (subject_token_type, pool) {
        (token_types::JWT | token_types::ID_TOKEN, _) => subject_token::jwt_subject(state, subject_token, pool)?,
        (token_types::SAML2, _) => subject_token::saml_subject(state, subject_token)?,
        (token_types::AWS4_REQUEST, IdentityPool::Workload) => amazon::caller_arn(state, subject_token)?,
        (token_types::MTLS, IdentityPool::Workload) => {
            subject_token::certificate_subject(state, request, subject_token)?
        }
        (token_types::AWS4_REQUEST | token_types::MTLS, IdentityPool::Workforce) => {
            return Err(invalid_grant("The provider does not accept subject tokens of this type."));
        }
        _ => {
            return Err(invalid_request(&format!("Invalid subject_token_type: {subject_token_type}")));
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
    token_response(&state.issue_access_token("ya29.d.", record)?, Some(ACCESS_TOKEN_LIFETIME_SECONDS))
}

/// Exchanges an access token for one that a Credential Access Boundary restricts.
fn downscope(
    state: &SandboxState,
    request: &ServerRequest,
    form: &OAuthForm,
    subject_token: &str,
    options: &Map<String, Value>,
) -> Result<ServerResponse, ServerResponse> {
    for name in ["audience", "scope"] {
        if form.get(name).is_some() {
            return Err(invalid_request(&format!(
                "{name} is not supported when the subject token is an access token."
            )));
        }
    }
    if request.header("authorization").is_some() {
        return Err(invalid_request(
            "Client authentication is not supported when the subject token is an access token.",
        ));
    }
    if let Some(name) = options.keys().find(|name| *name != "accessBoundary") {
        return Err(invalid_request(&format!("{name} is not supported when the subject token is an access token.")));
    }
    let access_boundary = options.get("accessBoundary");
    let access_boundary =
        access_boundary.ok_or_else(|| invalid_request("Required option is missing: accessBoundary"))?;
    boundary::validate_boundary(access_boundary)
        .map_err(|what| invalid_request(&format!("Invalid accessBoundary: {what}")))?;
    let now = state.now();
    let source = lock_ignoring_poison(&state.token_store).find_access_token(subject_token, now).cloned();
    let source = source.ok_or_else(|| invalid_grant("The subject token is expired or unknown."))?;
    if source.access_boundary.is_some() {
        return Err(invalid_grant("The subject token already has an access boundary."));
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
        "issued_token_type": token_types::ACCESS_TOKEN,
        "token_type": "Bearer",
    });
    if let Some(lifetime) = lifetime {
        value["expires_in"] = lifetime.into();
    }
    Ok(ServerResponse::json(200, &value))
}
