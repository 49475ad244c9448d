//! Verifying subject tokens of external identity providers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::certificates::CLIENT_COMMON_NAME;
use crate::external_identities::{SUBJECT_TOKEN_LIFETIME_SECONDS, WORKLOAD_SUBJECT};
use crate::fixtures::{CONFIDENTIAL_CLIENT_ID, PUBLIC_CLIENT_ID};
use crate::identity_pool::IdentityPool;
use crate::oauth::{invalid_grant, invalid_request};
use crate::state::SandboxState;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::jose::jwt;

/// The claims of a valid JWT of the external OIDC provider, for any audience.
pub(crate) fn verify_id_token(state: &SandboxState, token: &str) -> Result<Map<String, Value>, ServerResponse> {
    let external = &state.fixtures.external;
    let parts =
        jwt::decode(token).map_err(|what| invalid_grant(&format!("The ID Token cannot be read: it {what}.")))?;
    let text =
        |map: &Map<String, Value>, name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(&parts.claims, "iss") != external.issuer {
        return Err(invalid_grant("The issuer in ID Token does not match the expected one."));
    }
    let is_known_key = text(&parts.header, "alg") == "ES256" && text(&parts.header, "kid") == external.issuer_key_id();
    if !is_known_key || !external.has_issuer_signature(parts.signing_input, &parts.signature) {
        return Err(invalid_grant("Invalid signature for ID Token."));
    }
    let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err(invalid_grant("ID Token must have iat and exp."));
    };
    let now = state.now();
    if issued > now {
        return Err(invalid_grant(&format!("ID Token issued at {issued} is not valid yet.")));
    }
    if expires <= now || now - issued > SUBJECT_TOKEN_LIFETIME_SECONDS {
        return Err(stale_id_token(issued));
    }
    if text(&parts.claims, "sub").is_empty() {
        return Err(invalid_grant("ID Token has no subject."));
    }
    Ok(parts.claims)
}

/// The error of STS for an expired subject token.
fn stale_id_token(issued: i64) -> ServerResponse {
    invalid_grant(&format!("ID Token issued at {issued} is stale to sign-in."))
}

/// The subject of a JWT for this pool's provider.
pub(crate) fn jwt_subject(state: &SandboxState, token: &str, pool: IdentityPool) -> Result<String, ServerResponse> {
    let claims = verify_id_token(state, token)?;
    let provider = pool.provider();
    let is_expected_audience = |audience: &Value| {
        let audience = audience.as_str().unwrap_or_default();
        // The provider is configured to accept the OIDC clients as audiences as well.
        [PUBLIC_CLIENT_ID, CONFIDENTIAL_CLIENT_ID].contains(&audience)
            || audience.strip_prefix("https:").unwrap_or(audience) == provider
    };
    let is_for_provider = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_expected_audience),
        Some(audience) => is_expected_audience(audience),
        None => false,
    };
    match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if is_for_provider => Ok(subject.to_owned()),
        _ => Err(invalid_grant("The audience in ID Token does not match the expected audience.")),
    }
}

/// The subject of the SAML response.
pub(crate) fn saml_subject(state: &SandboxState, token: &str) -> Result<String, ServerResponse> {
    let external = &state.fixtures.external;
    if STANDARD.decode(token).is_err() {
        return Err(invalid_grant("The SAML response is not base64."));
    }
    if !external.saml_response.matches(token) {
        return Err(invalid_grant("The SAML response could not be verified."));
    }
    match state.now() < external.saml_expires_at {
        true => Ok(WORKLOAD_SUBJECT.to_owned()),
        false => Err(invalid_grant("The SAML response has expired.")),
    }
}

/// The subject of the TLS client certificate, which the subject token repeats along with its issuers.
pub(crate) fn certificate_subject(
    state: &SandboxState,
    request: &ServerRequest,
    token: &str,
) -> Result<String, ServerResponse> {
    let Some(presented) = &request.client_certificate else {
        return Err(invalid_request(
            "The request has no client certificate; this subject token type requires mutual TLS.",
        ));
    };
    let items: Vec<String> = serde_json::from_str(token)
        .map_err(|_| invalid_grant("The subject token is not a JSON list of certificates."))?;
    let chain: Vec<Vec<u8>> = items
        .iter()
        .map(|item| STANDARD.decode(item))
        .collect::<Result<_, _>>()
        .map_err(|_| invalid_grant("A certificate of the subject token is not base64."))?;
    match chain.split_first() {
        Some((leaf, issuers)) if leaf == presented => {
            match issuers.iter().all(|issuer| *issuer == state.certificates.ca_der) {
                true => Ok(CLIENT_COMMON_NAME.to_owned()),
                false => Err(invalid_grant("The certificate chain is not valid.")),
            }
        }
        _ => Err(invalid_grant("The first certificate is not the TLS client certificate.")),
    }
}
