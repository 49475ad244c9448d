//! Subject tokens from outside: who is it, and is it true.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Pool, invalid_request};
use crate::jwt;
use crate::server::http::{Answer, Request};
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{CONFIDENTIAL_CLIENT_ID, PUBLIC_CLIENT_ID};
use crate::server::sandbox::certificates::CLIENT;
use crate::server::sandbox::oauth::invalid_grant;
use crate::server::sandbox::outside::{SUBJECT_LIFE, WORKLOAD_SUBJECT};

/// The claims of a good JWT of the sandbox's OIDC issuer, whomever it is for.
pub(super) fn claims(state: &State, token: &str) -> Result<Map<String, Value>, Answer> {
    let outside = &state.cast.outside;
    let parts = jwt::parts(token)
        .map_err(|what| invalid_grant(&format!("The ID Token cannot be read: it {what}.")))?;
    let text = |map: &Map<String, Value>, name: &str| {
        map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    if text(&parts.claims, "iss") != outside.issuer {
        return Err(invalid_grant("The issuer in ID Token does not match the expected one."));
    }
    let known = text(&parts.header, "alg") == "ES256"
        && text(&parts.header, "kid") == outside.issuer_key_id();
    if !known || !outside.issued(parts.message, &parts.signature) {
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
    if expires <= now || now - issued > SUBJECT_LIFE {
        return Err(expired(issued));
    }
    if text(&parts.claims, "sub").is_empty() {
        return Err(invalid_grant("ID Token has no subject."));
    }
    Ok(parts.claims)
}

/// What STS says of a subject token whose time is over.
fn expired(issued: i64) -> Answer {
    invalid_grant(&format!("ID Token issued at {issued} is stale to sign-in."))
}

/// The subject of a JWT for this pool's provider.
pub(super) fn jwt(state: &State, token: &str, pool: Pool) -> Result<String, Answer> {
    let claims = claims(state, token)?;
    let provider = pool.provider();
    let is_meant = |audience: &Value| {
        let audience = audience.as_str().unwrap_or_default();
        // Those who registered the provider allowed the issuer's clients too.
        [PUBLIC_CLIENT_ID, CONFIDENTIAL_CLIENT_ID].contains(&audience)
            || audience.strip_prefix("https:").unwrap_or(audience) == provider
    };
    let meant = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_meant),
        Some(audience) => is_meant(audience),
        None => false,
    };
    match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if meant => Ok(subject.to_owned()),
        _ => Err(invalid_grant("The audience in ID Token does not match the expected audience.")),
    }
}

/// The subject of the SAML response.
pub(super) fn saml(state: &State, token: &str) -> Result<String, Answer> {
    let outside = &state.cast.outside;
    if STANDARD.decode(token).is_err() {
        return Err(invalid_grant("The SAML response is not base64."));
    }
    if token != outside.saml_response.expose() {
        return Err(invalid_grant("The SAML response could not be verified."));
    }
    match state.now() < outside.saml_ends_at {
        true => Ok(WORKLOAD_SUBJECT.to_owned()),
        false => Err(invalid_grant("The SAML response has expired.")),
    }
}

/// The subject of the certificate that was shown: the token repeats it, its issuers behind it.
pub(super) fn certificate(state: &State, request: &Request, token: &str) -> Result<String, Answer> {
    let Some(shown) = &request.certificate else {
        return Err(invalid_request("No client certificate was shown: certificates need mTLS."));
    };
    let items: Vec<String> = serde_json::from_str(token)
        .map_err(|_| invalid_grant("The subject token is not a JSON list of certificates."))?;
    let chain: Vec<Vec<u8>> = items
        .iter()
        .map(|item| STANDARD.decode(item))
        .collect::<Result<_, _>>()
        .map_err(|_| invalid_grant("A certificate of the subject token is not base64."))?;
    match chain.split_first() {
        Some((leaf, issuers)) if leaf == shown => {
            match issuers.iter().all(|issuer| *issuer == state.certificates.issuer_der) {
                true => Ok(CLIENT.to_owned()),
                false => Err(invalid_grant("The chain of certificates does not fit together.")),
            }
        }
        _ => Err(invalid_grant("The first certificate is not the one that was shown.")),
    }
}
