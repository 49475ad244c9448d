//! OpenID providers: Google's own description, and somebody else's whole provider, whose ID tokens are good as
//! subject tokens at STS.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast;
use crate::server::sandbox::ledger::{Door, Login, includes};
use crate::server::sandbox::oauth::{Form, error, missing, unkept, unsupported_grant};
use crate::server::sandbox::signin::grants::{self, SignedIn};
use crate::server::sandbox::token::{LIFE, Redeemed, redeem};

/// Where an issuer is described (OpenID Connect Discovery, 4).
pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Answers Google's description.
pub(super) fn googles(state: &State, request: &Request) -> Answer {
    let url = &state.url;
    described(
        request,
        json!({
            "issuer": cast::GOOGLE,
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
                grants::CODE,
                "refresh_token",
                grants::DEVICE_CODE,
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
            "authorization_response_iss_parameter_supported": true,
        }),
    )
}

/// Answers the description of the outside provider.
pub(super) fn outsides(state: &State, request: &Request) -> Answer {
    let issuer = &state.cast.outside.issuer;
    described(
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
            "grant_types_supported": [grants::CODE, "refresh_token", grants::DEVICE_CODE],
            "authorization_response_iss_parameter_supported": true,
        }),
    )
}

fn described(request: &Request, description: Value) -> Answer {
    match request.method.as_str() {
        "GET" | "HEAD" => {
            Answer::json(200, &description).header("Cache-Control", "public, max-age=3600")
        }
        _ => Answer::only("GET, HEAD"),
    }
}

/// Answers the outside provider's keys.
pub(super) fn jwks(state: &State, request: &Request) -> Answer {
    let outside = &state.cast.outside;
    let (x, y) = outside.issuer_public_key().parts();
    described(
        request,
        json!({ "keys": [{
            "alg": "ES256",
            "crv": "P-256",
            "kid": outside.issuer_key_id(),
            "kty": "EC",
            "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        }]}),
    )
}

/// Answers `POST /oidc/token`. Its refresh tokens are good once each.
pub(super) fn token(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    unkept(Form::of(request).and_then(|form| {
        let grant_type = form.needed("grant_type")?;
        let client = form.outside_client(state)?;
        match grant_type {
            grants::CODE => signed_in(state, grants::code(state, &form, Door::Outside, client)?),
            grants::DEVICE_CODE => {
                signed_in(state, grants::device(state, &form, Door::Outside, client)?)
            }
            "refresh_token" => {
                let Redeemed { login, scopes, next } = redeem(state, &form, Door::Outside, client)?;
                issued(state, &login, scopes, next, None)
            }
            other => Err(unsupported_grant(other)),
        }
    }))
}

fn signed_in(state: &State, signed_in: SignedIn) -> Result<Answer, Answer> {
    let SignedIn { login, refresh_token, nonce } = signed_in;
    let scopes = login.scopes.clone();
    issued(state, &login, scopes, refresh_token, nonce)
}

fn issued(
    state: &State,
    login: &Login,
    scopes: Vec<String>,
    refresh_token: Option<String>,
    nonce: Option<String>,
) -> Result<Answer, Answer> {
    let mut value =
        json!({ "expires_in": LIFE, "scope": scopes.join(" "), "token_type": "Bearer" });
    if includes(&scopes, "openid") {
        value["id_token"] = identity(state, login, &scopes, nonce)?.into();
    }
    if let Some(token) = refresh_token {
        value["refresh_token"] = token.into();
    }
    let token = state.new_token("outside.")?;
    let grant = login.grant(scopes, state.now() + LIFE);
    lock(&state.outside_ledger).issue(&token, grant);
    value["access_token"] = token.into();
    Ok(Answer::json(200, &value))
}

/// An ID token for the client that asks.
fn identity(
    state: &State,
    login: &Login,
    scopes: &[String],
    nonce: Option<String>,
) -> Result<String, Answer> {
    let outside = &state.cast.outside;
    let now = state.now();
    let mut claims = json!({
        "iss": outside.issuer,
        "sub": login.account,
        "aud": login.client,
        "iat": now,
        "exp": now + 3600,
    });
    if includes(scopes, "email") {
        claims["email"] = login.account.clone().into();
        claims["email_verified"] = true.into();
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    let signed = outside.sign(&claims);
    let unsigned = |what: String| Answer::text(500, format!("the issuer's key {what}\n"));
    signed.map(|token| token.expose().to_owned()).map_err(unsigned)
}

/// Answers `POST /oidc/revoke` (RFC 7009): a token of the client's own, or one that is nothing.
pub(super) fn revoke(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    unkept(Form::of(request).and_then(|form| {
        let client = form.outside_client(state)?;
        let token = form.get("token").ok_or_else(|| missing("token"))?;
        let mut ledger = lock(&state.outside_ledger);
        match ledger.client(token) {
            Some(owner) if owner != client => {
                Err(error(400, "unauthorized_client", "The token is another client's."))
            }
            _ => {
                ledger.revoke(token);
                Ok(Answer::json(200, &json!({})))
            }
        }
    }))
}
