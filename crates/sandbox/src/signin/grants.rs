//! Redeeming grants: authorization codes, device codes and refresh tokens, by the client that they were issued to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::behaviours;
use crate::oauth::{OAuthForm, invalid_grant, oauth_error, parse_scopes};
use crate::pending_authorizations::AuthorizationGrant;
use crate::random_id::random_refresh_token;
use crate::signin::device;
use crate::state::SandboxState;
use crate::token_store::{Issuer, RefreshTokenRecord, TokenStore, includes_scope};
use gauth_core::http::server::http::ServerResponse;
use gauth_core::http::server::lock_ignoring_poison;

/// A grant that was redeemed, for which tokens can be issued.
pub(crate) struct RedeemedGrant {
    pub(crate) record: RefreshTokenRecord,
    /// The scopes of the access token: fewer than the grant's where a refresh asks for fewer.
    pub(crate) scopes: Vec<String>,
    /// A new refresh token: the first of a login, or the successor of a rotated one.
    pub(crate) refresh_token: Option<String>,
    /// The nonce of the authorization request, for the ID token.
    pub(crate) nonce: Option<String>,
}

/// Redeems an authorization code that this issuer gave to this client.
///
/// # Errors
/// The error response.
pub(crate) fn redeem_code(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
    client_id: &str,
) -> Result<RedeemedGrant, ServerResponse> {
    let presented = form.require("code")?;
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    let known = pending.authorization_codes.get_mut(presented).filter(|code| code.grant.record.issuer == issuer);
    let code = known.ok_or_else(|| invalid_grant("Malformed auth code."))?;
    if code.grant.record.client_id != client_id {
        return Err(invalid_grant("Bad Request"));
    }
    if code.is_used {
        // A code that is used twice was intercepted (RFC 6749, 4.1.2).
        lock_ignoring_poison(state.token_store_for(issuer)).revoke_family(code.grant.record.family);
        return Err(invalid_grant("Bad Request"));
    }
    if code.expires_at <= state.now() {
        return Err(invalid_grant("Bad Request"));
    }
    if form.require("redirect_uri")? != code.redirect_uri {
        return Err(oauth_error(400, "redirect_uri_mismatch", "Bad Request"));
    }
    let Some(verifier) = form.get("code_verifier") else {
        return Err(invalid_grant("Missing code verifier."));
    };
    if !is_code_verifier(verifier) || s256_code_challenge(verifier) != code.code_challenge {
        return Err(invalid_grant("Invalid code verifier."));
    }
    code.is_used = true;
    redeem_grant(state, code.grant.clone())
}

/// Redeems a device code, if the user has granted access.
///
/// # Errors
/// The error response, such as `authorization_pending`.
pub(crate) fn redeem_device_code(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
    client_id: &str,
) -> Result<RedeemedGrant, ServerResponse> {
    let grant = device::poll_grant(state, form.require("device_code")?, issuer, client_id)?;
    redeem_grant(state, grant)
}

fn redeem_grant(state: &SandboxState, grant: AuthorizationGrant) -> Result<RedeemedGrant, ServerResponse> {
    let AuthorizationGrant { record, issues_refresh_token, nonce } = grant;
    let mut refresh_token = None;
    if issues_refresh_token {
        let token = random_refresh_token()?;
        lock_ignoring_poison(state.token_store_for(record.issuer)).insert_refresh_token(&token, record.clone());
        refresh_token = Some(token);
    }
    let scopes = record.scopes.clone();
    Ok(RedeemedGrant { record, scopes, refresh_token, nonce })
}

/// Redeems a refresh token that this issuer gave to this client.
pub(crate) fn redeem_refresh_token(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
    client: &str,
) -> Result<RedeemedGrant, ServerResponse> {
    let presented = form.require("refresh_token")?;
    let mut token_store = lock_ignoring_poison(state.token_store_for(issuer));
    let record =
        token_store.find_refresh_token(presented).filter(|login| login.client_id == client && login.issuer == issuer);
    let record = record.cloned().ok_or_else(|| invalid_grant("Bad Request"))?;
    if record.is_rotated {
        // A refresh token that is used again was copied, so the login is revoked (RFC 9700, 4.14.2).
        token_store.revoke_family(record.family);
    }
    if token_store.is_family_revoked(record.family) {
        return Err(invalid_grant("Token has been expired or revoked."));
    }
    let scopes = narrow_scopes(&record, form.get("scope"))?;
    let refresh_token = rotate_refresh_token(state, &mut token_store, presented, &record)?;
    Ok(RedeemedGrant { record, scopes, refresh_token, nonce: None })
}

/// The requested scopes, which have to be among those that were granted.
fn narrow_scopes(record: &RefreshTokenRecord, requested: Option<&str>) -> Result<Vec<String>, ServerResponse> {
    let Some(requested) = requested else { return Ok(record.scopes.clone()) };
    let requested = parse_scopes(requested)?;
    match requested.iter().find(|scope| !includes_scope(&record.scopes, scope)) {
        None => Ok(requested),
        Some(ungranted) => {
            let text = format!("Some requested scopes were not granted: [{ungranted}]");
            Err(oauth_error(400, "invalid_scope", &text))
        }
    }
}

/// Replaces the refresh token, if the issuer rotates them.
fn rotate_refresh_token(
    state: &SandboxState,
    token_store: &mut TokenStore,
    presented: &str,
    record: &RefreshTokenRecord,
) -> Result<Option<String>, ServerResponse> {
    // The external provider always rotates its refresh tokens.
    if record.issuer != Issuer::External
        && !state.has_behaviour(record.issuer.token_route(), behaviours::ROTATE_REFRESH_TOKENS)
    {
        return Ok(None);
    }
    let new_refresh_token = random_refresh_token()?;
    token_store.mark_rotated(presented);
    token_store.insert_refresh_token(&new_refresh_token, record.clone());
    Ok(Some(new_refresh_token))
}

/// Whether the text is a valid code verifier (RFC 7636, 4.1).
fn is_code_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// The code challenge of a verifier with the method S256 (RFC 7636, 4.2).
fn s256_code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7636_example_challenge_matches() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_code_verifier(verifier));
        assert_eq!(s256_code_challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(!is_code_verifier(&verifier[1..]) && !is_code_verifier(&verifier.replace('-', "+")));
        assert!(is_code_verifier(&"~".repeat(128)) && !is_code_verifier(&"~".repeat(129)));
    }
}
