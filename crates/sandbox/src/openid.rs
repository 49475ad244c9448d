//! OpenID Connect: Google's discovery document, and an external provider whose ID tokens STS accepts as subject
//! tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::id_token::{ID_TOKEN_LIFETIME_SECONDS, id_token_claims};
use crate::issuing::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::oauth::{OAuthForm, missing_parameter, no_store, oauth_error, unsupported_grant_type};
use crate::signin::grants;
use crate::signin::grants::RedeemedGrant;
use crate::state::SandboxState;
use crate::token_store::{Issuer, RefreshTokenRecord, includes_scope};
use crate::{fixtures, grant_types};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::secret::Secret;

/// The path of the discovery document (OpenID Connect Discovery, 4).
pub(crate) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// Serves Google's discovery document.
pub(crate) fn google_discovery(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    let url = &state.url;
    cacheable_json(
        request,
        json!({
            "issuer": fixtures::GOOGLE_ISSUER,
            "authorization_endpoint": format!("{url}/o/oauth2/v2/auth"),
            "device_authorization_endpoint": format!("{url}/device/code"),
            "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/v1/userinfo"),
            "revocation_endpoint": format!("{url}/revoke"),
            "jwks_uri": format!("{url}/oauth2/v3/certs"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": [
                grant_types::AUTHORIZATION_CODE,
                grant_types::REFRESH_TOKEN,
                grant_types::DEVICE_CODE,
                grant_types::JWT_BEARER,
            ],
            "authorization_response_iss_parameter_supported": true,
        }),
    )
}

/// Serves the discovery document of the external provider.
pub(crate) fn external_discovery(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    let issuer = &state.fixtures.external.issuer;
    cacheable_json(
        request,
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "device_authorization_endpoint": format!("{issuer}/device/code"),
            "token_endpoint": format!("{issuer}/token"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": [grant_types::AUTHORIZATION_CODE, grant_types::REFRESH_TOKEN, grant_types::DEVICE_CODE],
            "authorization_response_iss_parameter_supported": true,
        }),
    )
}

fn cacheable_json(request: &ServerRequest, document: Value) -> ServerResponse {
    match request.method.as_str() {
        "GET" | "HEAD" => ServerResponse::json(200, &document).header("Cache-Control", "public, max-age=3600"),
        _ => ServerResponse::method_not_allowed("GET, HEAD"),
    }
}

/// Serves the JWK set of the external provider.
pub(crate) fn jwks(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    let external = &state.fixtures.external;
    let (x, y) = external.issuer_public_key().jwk_parameters();
    cacheable_json(
        request,
        json!({ "keys": [{
            "alg": "ES256",
            "crv": "P-256",
            "kid": external.issuer_key_id(),
            "kty": "EC",
            "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        }]}),
    )
}

/// Serves `POST /oidc/token`. Each refresh token can be used once.
pub(crate) fn handle_token(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    no_store(OAuthForm::from_request(request).and_then(|form| {
        let grant_type = form.require("grant_type")?;
        let client = form.authenticate_external_client(state)?;
        match grant_type {
            grant_types::AUTHORIZATION_CODE => grants::redeem_code(state, &form, Issuer::External, client),
            grant_types::DEVICE_CODE => grants::redeem_device_code(state, &form, Issuer::External, client),
            grant_types::REFRESH_TOKEN => grants::redeem_refresh_token(state, &form, Issuer::External, client),
            other => Err(unsupported_grant_type(other)),
        }
        .and_then(|redeemed| token_response(state, redeemed))
    }))
}

fn token_response(state: &SandboxState, redeemed: RedeemedGrant) -> Result<ServerResponse, ServerResponse> {
    let RedeemedGrant { record, scopes, refresh_token, nonce } = redeemed;
    let mut value = json!({
        "expires_in": ACCESS_TOKEN_LIFETIME_SECONDS,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if includes_scope(&scopes, "openid") {
        value["id_token"] = issue_id_token(state, &record, &scopes, nonce)?.to_json();
    }
    if let Some(token) = refresh_token {
        value["refresh_token"] = token.into();
    }
    let token = state.generate_access_token("outside.")?;
    let record = record.access_token_record(scopes, state.now() + ACCESS_TOKEN_LIFETIME_SECONDS);
    lock_ignoring_poison(&state.external_token_store).insert_access_token(&token, record);
    value["access_token"] = token.into();
    Ok(ServerResponse::json(200, &value))
}

/// An ID token of the external provider for this client.
fn issue_id_token(
    state: &SandboxState,
    record: &RefreshTokenRecord,
    scopes: &[String],
    nonce: Option<String>,
) -> Result<Secret, ServerResponse> {
    let external = &state.fixtures.external;
    let now = state.now();
    let mut claims =
        id_token_claims(&external.issuer, &record.account, &record.client_id, now, ID_TOKEN_LIFETIME_SECONDS);
    if includes_scope(scopes, "email") {
        claims["email"] = record.account.clone().into();
        claims["email_verified"] = true.into();
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    let id_token = external.sign_claims(&claims);
    let signing_error = |what: String| ServerResponse::text(500, format!("the key of the OIDC provider {what}\n"));
    id_token.map_err(signing_error)
}

/// Serves `POST /oidc/revoke` (RFC 7009) for tokens of the client's own; unknown tokens are ignored.
pub(crate) fn revoke(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    if request.method != "POST" {
        return ServerResponse::method_not_allowed("POST");
    }
    no_store(OAuthForm::from_request(request).and_then(|form| {
        let client = form.authenticate_external_client(state)?;
        let token = form.get("token").ok_or_else(|| missing_parameter("token"))?;
        let mut token_store = lock_ignoring_poison(&state.external_token_store);
        match token_store.client_id_of(token) {
            Some(owner) if owner != client => {
                Err(oauth_error(400, "unauthorized_client", "The token was issued to another client."))
            }
            _ => {
                token_store.revoke_token(token);
                Ok(ServerResponse::json(200, &json!({})))
            }
        }
    }))
}
