//! What a person allowed becomes tokens: codes and device codes, redeemed by the program they were made for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{Yes, device};
use crate::server::http::Answer;
use crate::server::lock;
use crate::server::sandbox::ledger::{Door, Login};
use crate::server::sandbox::oauth::{Form, error, invalid_grant};
use crate::server::sandbox::{State, cast};

/// RFC 6749, 4.1.3.
pub(in crate::server::sandbox) const CODE: &str = "authorization_code";
/// RFC 8628, 3.4.
pub(in crate::server::sandbox) const DEVICE_CODE: &str =
    "urn:ietf:params:oauth:grant-type:device_code";

/// Somebody has signed in.
pub(in crate::server::sandbox) struct SignedIn {
    pub(in crate::server::sandbox) login: Login,
    pub(in crate::server::sandbox) refresh_token: Option<String>,
    pub(in crate::server::sandbox) nonce: Option<String>,
}

/// Redeems an authorization code of this client's, at the door where it was made.
///
/// # Errors
/// The answer to give.
pub(in crate::server::sandbox) fn code(
    state: &State,
    form: &Form,
    door: Door,
    client: &str,
) -> Result<SignedIn, Answer> {
    let sent = form.needed("code")?;
    let mut desk = lock(&state.desk);
    let known = desk.codes.get_mut(sent).filter(|code| code.yes.login.door == door);
    let code = known.ok_or_else(|| invalid_grant("Malformed auth code."))?;
    if code.yes.login.client != client {
        return Err(invalid_grant("Bad Request"));
    }
    if code.used {
        // Somebody else has seen it (RFC 6749, 4.1.2).
        lock(state.book(door)).revoke_family(code.yes.login.family);
        return Err(invalid_grant("Bad Request"));
    }
    if code.expires_at <= state.now() {
        return Err(invalid_grant("Bad Request"));
    }
    if form.needed("redirect_uri")? != code.redirect_uri {
        return Err(error(400, "redirect_uri_mismatch", "Bad Request"));
    }
    let Some(verifier) = form.get("code_verifier") else {
        return Err(invalid_grant("Missing code verifier."));
    };
    if !is_verifier(verifier) || challenge(verifier) != code.challenge {
        return Err(invalid_grant("Invalid code verifier."));
    }
    code.used = true;
    signed_in(state, code.yes.clone())
}

/// Tells a device what the person decided, and gives it what they allowed.
///
/// # Errors
/// The answer to give, such as that they have not decided yet.
pub(in crate::server::sandbox) fn device(
    state: &State,
    form: &Form,
    door: Door,
    client: &str,
) -> Result<SignedIn, Answer> {
    let yes = device::poll(state, form.needed("device_code")?, door, client)?;
    signed_in(state, yes)
}

fn signed_in(state: &State, yes: Yes) -> Result<SignedIn, Answer> {
    let Yes { login, with_refresh_token, nonce } = yes;
    let mut refresh_token = None;
    if with_refresh_token {
        let token = format!("1//{}", cast::random(45).map_err(|_| Answer::empty(500))?);
        lock(state.book(login.door)).enter(&token, login.clone());
        refresh_token = Some(token);
    }
    Ok(SignedIn { login, refresh_token, nonce })
}

/// RFC 7636, 4.1.
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// RFC 7636, 4.2.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_of_rfc_7636_fits_its_verifier() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(is_verifier(verifier));
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(!is_verifier(&verifier[1..]) && !is_verifier(&verifier.replace('-', "+")));
        assert!(is_verifier(&"~".repeat(128)) && !is_verifier(&"~".repeat(129)));
    }
}
