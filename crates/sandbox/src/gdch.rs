//! The identity service of Google Distributed Cloud, which exchanges a service account's ES256 assertion for an
//! access token.

use serde_json::{Value, json};

use crate::assertion::has_valid_lifetime;
use crate::external_identities::{GDCH_PROJECT, GDCH_SERVICE_IDENTITY_NAME};
use crate::issuing::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::json_body::read_json_object;
use crate::oauth::{invalid_grant, invalid_request, missing_parameter, no_store, unsupported_grant_type};
use crate::state::SandboxState;
use crate::token_store::AccessTokenRecord;
use crate::{grant_types, token_types};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::jose::jwt;

/// The path of the service.
pub(crate) const AUTHENTICATE_PATH: &str = "/authenticate";

/// Serves `POST /authenticate`.
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    match request.method.as_str() {
        "POST" => no_store(exchange_assertion(state, request)),
        _ => ServerResponse::method_not_allowed("POST"),
    }
}

/// The full name of the Kubernetes service account.
fn service_account_name() -> String {
    format!("system:serviceaccount:{GDCH_PROJECT}:{GDCH_SERVICE_IDENTITY_NAME}")
}

fn exchange_assertion(state: &SandboxState, request: &ServerRequest) -> Result<ServerResponse, ServerResponse> {
    let body = read_json_object(request).map_err(|what| invalid_request(&what))?;
    let require = |name: &str| {
        let value = body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
        value.ok_or_else(|| missing_parameter(name))
    };
    match require("grant_type")? {
        grant_types::GDCH_TOKEN_EXCHANGE => {}
        other => return Err(unsupported_grant_type(other)),
    }
    for (name, wanted) in [
        ("requested_token_type", token_types::ACCESS_TOKEN),
        ("subject_token_type", token_types::KUBERNETES_SERVICE_ACCOUNT),
    ] {
        if require(name)? != wanted {
            return Err(invalid_request(&format!("Invalid {name}")));
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
        "issued_token_type": token_types::ACCESS_TOKEN,
        "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
        "token_type": "Bearer",
    });
    Ok(ServerResponse::json(200, &value))
}

/// Verifies the service account's signature, the audience and the time limits of an assertion.
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
        return Err("the signature does not belong to the service account's key".to_owned());
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
        return Err("the claims iat and exp are required".to_owned());
    };
    match has_valid_lifetime(issued, expires, state.now()) {
        true => Ok(()),
        false => Err("the assertion is expired, or valid for more than an hour".to_owned()),
    }
}
