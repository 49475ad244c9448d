//! The identity service of Google Distributed Cloud: an assertion on a curve in, an access token out.

use serde_json::{Value, json};

use crate::SandboxState;
use crate::external_identities::{GDCH_PROJECT, GDCH_SERVICE_IDENTITY_NAME};
use crate::oauth::{
    invalid_grant, missing_parameter, no_store, oauth_error, unsupported_grant_type,
};
use crate::token::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::token_store::AccessTokenRecord;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::jose::jwt;
use gauth_core::jose::jwt::MAX_ASSERTION_LIFETIME_SECONDS;

/// Where it answers.
pub(super) const AUTHENTICATE_PATH: &str = "/authenticate";
/// The name of a token type, where OAuth would have that of a grant.
const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:token-type:token-exchange";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const SERVICE_ACCOUNT_TOKEN_TYPE: &str = "urn:k8s:params:oauth:token-type:serviceaccount";
/// How far an assertion's clock may be off, in seconds.
const MAX_CLOCK_SKEW_SECONDS: i64 = 300;

/// Answers `POST /authenticate`.
pub(super) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    match request.method.as_str() {
        "POST" => no_store(exchange_assertion(state, request)),
        _ => ServerResponse::method_not_allowed("POST"),
    }
}

/// The service account's full name.
fn service_account_name() -> String {
    format!("system:serviceaccount:{GDCH_PROJECT}:{GDCH_SERVICE_IDENTITY_NAME}")
}

fn exchange_assertion(
    state: &SandboxState,
    request: &ServerRequest,
) -> Result<ServerResponse, ServerResponse> {
    let invalid = |what: &str| oauth_error(400, "invalid_request", what);
    let content_type = request.header("content-type").unwrap_or_default();
    if content_type.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(invalid("Invalid content type"));
    }
    let body = gauth_core::text::json::parse_object(&request.body)
        .map_err(|what| invalid(&format!("The body {what}")))?;
    let require = |name: &str| {
        let value = body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
        value.ok_or_else(|| missing_parameter(name))
    };
    match require("grant_type")? {
        TOKEN_EXCHANGE_GRANT_TYPE => {}
        other => return Err(unsupported_grant_type(other)),
    }
    for (name, wanted) in [
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token_type", SERVICE_ACCOUNT_TOKEN_TYPE),
    ] {
        if require(name)? != wanted {
            return Err(invalid(&format!("Invalid {name}")));
        }
    }
    let audience = require("audience")?;
    verify_assertion(state, require("subject_token")?).map_err(|what| invalid_grant(&what))?;
    let record = AccessTokenRecord {
        account: service_account_name(),
        client_id: audience.to_owned(),
        scopes: Vec::new(),
        expires_at: state.now() + ACCESS_TOKEN_LIFETIME_SECONDS,
        family: None,
        access_boundary: None,
    };
    let token = state.issue_access_token("gdch.", record)?;
    let value = json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN_TYPE,
        "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
        "token_type": "Bearer",
    });
    Ok(ServerResponse::json(200, &value))
}

/// Whether the service account signed this, for us, and for now.
fn verify_assertion(state: &SandboxState, assertion: &str) -> Result<(), String> {
    let external = &state.fixtures.external;
    let parts = jwt::decode(assertion).map_err(|what| format!("the assertion {what}"))?;
    let header = |name: &str| parts.header.get(name).and_then(Value::as_str);
    let claim = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    if header("alg") != Some("ES256") {
        return Err("the algorithm must be ES256".to_owned());
    }
    if header("kid") != Some(&external.gdch_key_id)
        || !external.gdch_public_key.verifies(parts.signing_input, &parts.signature)
    {
        return Err("the signature is not the service account's".to_owned());
    }
    let account = service_account_name();
    if claim("iss") != Some(&account) || claim("sub") != Some(&account) {
        return Err(format!("iss and sub must be {account}"));
    }
    if !claim("aud").is_some_and(|audience| state.is_own_url(audience, &[AUTHENTICATE_PATH])) {
        return Err("aud must be the URL of this service".to_owned());
    }
    let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err("iat and exp are needed".to_owned());
    };
    let now = state.now();
    let lifetime = expires.saturating_sub(issued);
    match issued <= now + MAX_CLOCK_SKEW_SECONDS
        && expires > now
        && (1..=MAX_ASSERTION_LIFETIME_SECONDS).contains(&lifetime)
    {
        true => Ok(()),
        false => Err("the assertion is expired, or good for more than an hour".to_owned()),
    }
}
