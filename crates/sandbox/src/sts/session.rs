//! The tokens of workforce pool users: issuing, refreshing, introspecting and revoking them.

use serde_json::json;

use crate::issuing::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::oauth::{OAuthForm, no_store, oauth_error, unsupported_grant_type};
use crate::signin::grants;
use crate::signin::grants::RedeemedGrant;
use crate::state::SandboxState;
use crate::token_store::Issuer;
use crate::{fixtures, grant_types};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;

/// Serves `POST /v1/oauthtoken`: exchanges an authorization code or a refresh token, with client authentication by
/// HTTP Basic.
pub(crate) fn handle_token(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    no_store(OAuthForm::from_request(request).and_then(|form| match form.require("grant_type")? {
        grant_types::REFRESH_TOKEN => refresh(state, &form),
        grant_types::AUTHORIZATION_CODE => redeem_code(state, &form),
        other => Err(unsupported_grant_type(other)),
    }))
}

fn redeem_code(state: &SandboxState, form: &OAuthForm) -> Result<ServerResponse, ServerResponse> {
    let client = form.authenticate_basic_client(state)?;
    for name in ["client_id", "client_secret"] {
        if form.get(name).is_some() {
            let text = format!("{name} must be sent in the Authorization header.");
            return Err(oauth_error(400, "invalid_request", &text));
        }
    }
    let RedeemedGrant { record, scopes, refresh_token, .. } =
        grants::redeem_code(state, form, Issuer::Workforce, client)?;
    let token = state.issue_access_token(
        "ya29.d.",
        record.access_token_record(scopes, state.now() + ACCESS_TOKEN_LIFETIME_SECONDS),
    )?;
    Ok(ServerResponse::json(
        200,
        &json!({
            "access_token": token,
            "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
        }),
    ))
}

fn refresh(state: &SandboxState, form: &OAuthForm) -> Result<ServerResponse, ServerResponse> {
    let client = form.authenticate_basic_client(state)?;
    let RedeemedGrant { record, scopes, refresh_token, .. } =
        grants::redeem_refresh_token(state, form, Issuer::Workforce, client)?;
    let mut value = json!({ "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS, "token_type": "Bearer" });
    if let Some(next) = refresh_token {
        value["refresh_token"] = next.into();
    }
    value["access_token"] = state
        .issue_access_token("ya29.d.", record.access_token_record(scopes, state.now() + ACCESS_TOKEN_LIFETIME_SECONDS))?
        .into();
    Ok(ServerResponse::json(200, &value))
}

/// Serves `POST /v1/introspect` (RFC 7662).
pub(crate) fn introspect(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    no_store(OAuthForm::from_request(request).and_then(|form| introspection_response(state, request, &form)))
}

fn introspection_response(
    state: &SandboxState,
    request: &ServerRequest,
    form: &OAuthForm,
) -> Result<ServerResponse, ServerResponse> {
    // Client authentication is optional, but it has to be valid.
    if request.header("authorization").is_some() {
        form.authenticate_basic_client(state)?;
    }
    let token = form.require("token")?;
    let token_store = lock_ignoring_poison(&state.token_store);
    let Some(record) = token_store.find_access_token(token, state.now()) else {
        return Ok(ServerResponse::json(200, &json!({ "active": false })));
    };
    Ok(ServerResponse::json(
        200,
        &json!({
            "active": true,
            "username": record.account,
            "client_id": record.client_id,
            "exp": record.expires_at,
            "iss": "https://sts.googleapis.com/",
            "scope": record.scopes.join(" "),
            "sub": fixtures::subject_id(&record.account),
            "token_type": "Bearer",
        }),
    ))
}

/// Serves `POST /v1/revoke` (RFC 7009) for tokens of the client's own, with client authentication by HTTP Basic.
pub(crate) fn revoke(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    no_store(OAuthForm::from_request(request).and_then(|form| {
        let client = form.authenticate_basic_client(state)?;
        let token = form.require("token")?;
        let mut token_store = lock_ignoring_poison(&state.token_store);
        let owner = token_store.client_id_of(token);
        match owner {
            Some(owner) if owner == client => {
                token_store.revoke_token(token);
                Ok(ServerResponse::json(200, &json!({})))
            }
            Some(_) => Err(oauth_error(400, "unauthorized_client", "The token was issued to another client.")),
            // RFC 7009, 2.2: revoking an unknown token succeeds.
            None => Ok(ServerResponse::json(200, &json!({}))),
        }
    }))
}
