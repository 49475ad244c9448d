//! What a person allowed becomes tokens: codes and device codes, redeemed by the program they were made for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::oauth::{OAuthForm, invalid_grant, oauth_error};
use crate::signin::{AuthorizationGrant, device};
use crate::token_store::{Issuer, RefreshTokenRecord};
use crate::{SandboxState, fixtures};
use gauth_core::http::server::http::ServerResponse;
use gauth_core::http::server::lock_ignoring_poison;

/// RFC 6749, 4.1.3.
pub(crate) const AUTHORIZATION_CODE: &str = "authorization_code";
/// RFC 8628, 3.4.
pub(crate) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Somebody has signed in.
pub(crate) struct RedeemedGrant {
    pub(crate) record: RefreshTokenRecord,
    pub(crate) refresh_token: Option<String>,
    pub(crate) nonce: Option<String>,
}

/// Redeems an authorization code of this client's, at the door where it was made.
///
/// # Errors
/// The answer to give.
pub(crate) fn redeem_code(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
    client_id: &str,
) -> Result<RedeemedGrant, ServerResponse> {
    let presented = form.require("code")?;
    let mut pending = lock_ignoring_poison(&state.pending_authorizations);
    let known = pending
        .authorization_codes
        .get_mut(presented)
        .filter(|code| code.grant.record.issuer == issuer);
    let code = known.ok_or_else(|| invalid_grant("Malformed auth code."))?;
    if code.grant.record.client_id != client_id {
        return Err(invalid_grant("Bad Request"));
    }
    if code.is_used {
        // Somebody else has seen it (RFC 6749, 4.1.2).
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

/// Tells a device what the person decided, and gives it what they allowed.
///
/// # Errors
/// The answer to give, such as that they have not decided yet.
pub(crate) fn redeem_device_code(
    state: &SandboxState,
    form: &OAuthForm,
    issuer: Issuer,
    client_id: &str,
) -> Result<RedeemedGrant, ServerResponse> {
    let grant = device::poll_grant(state, form.require("device_code")?, issuer, client_id)?;
    redeem_grant(state, grant)
}

fn redeem_grant(
    state: &SandboxState,
    grant: AuthorizationGrant,
) -> Result<RedeemedGrant, ServerResponse> {
    let AuthorizationGrant { record, issues_refresh_token, nonce } = grant;
    let mut refresh_token = None;
    if issues_refresh_token {
        let token = format!(
            "1//{}",
            fixtures::random_base64url(45).map_err(|_| ServerResponse::empty(500))?
        );
        lock_ignoring_poison(state.token_store_for(record.issuer))
            .insert_refresh_token(&token, record.clone());
        refresh_token = Some(token);
    }
    Ok(RedeemedGrant { record, refresh_token, nonce })
}

/// RFC 7636, 4.1.
fn is_code_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// RFC 7636, 4.2.
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
        assert!(
            !is_code_verifier(&verifier[1..]) && !is_code_verifier(&verifier.replace('-', "+"))
        );
        assert!(is_code_verifier(&"~".repeat(128)) && !is_code_verifier(&"~".repeat(129)));
    }
}
