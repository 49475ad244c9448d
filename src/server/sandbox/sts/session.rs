//! The tokens of people in workforce pools: given for a code, refreshed, looked at, ended.

use serde_json::json;

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast;
use crate::server::sandbox::ledger::Door;
use crate::server::sandbox::oauth::{Form, error, unkept, unsupported_grant};
use crate::server::sandbox::signin::grants::{self, SignedIn};
use crate::server::sandbox::token::{LIFE, Redeemed, redeem};

/// Answers `POST /v1/oauthtoken`: a code or a refresh token in, and the client by HTTP Basic.
pub(in crate::server::sandbox) fn oauth_token(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    unkept(Form::of(request).and_then(|form| match form.needed("grant_type")? {
        "refresh_token" => refresh(state, &form),
        grants::CODE => redeem_code(state, &form),
        other => Err(unsupported_grant(other)),
    }))
}

fn redeem_code(state: &State, form: &Form) -> Result<Answer, Answer> {
    let client = form.basic_client(state)?;
    for name in ["client_id", "client_secret"] {
        if form.get(name).is_some() {
            let text = format!("{name} belongs into the header.");
            return Err(error(400, "invalid_request", &text));
        }
    }
    let SignedIn { login, refresh_token, .. } = grants::code(state, form, Door::Sts, client)?;
    let scopes = login.scopes.clone();
    let token = state.issue("ya29.d.", login.grant(scopes, state.now() + LIFE))?;
    Ok(Answer::json(
        200,
        &json!({
            "access_token": token,
            "expires_in": LIFE,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
        }),
    ))
}

fn refresh(state: &State, form: &Form) -> Result<Answer, Answer> {
    let client = form.basic_client(state)?;
    let Redeemed { login, scopes, next } = redeem(state, form, Door::Sts, client)?;
    let mut value = json!({ "expires_in": LIFE, "token_type": "Bearer" });
    if let Some(next) = next {
        value["refresh_token"] = next.into();
    }
    value["access_token"] = state.issue("ya29.d.", login.grant(scopes, state.now() + LIFE))?.into();
    Ok(Answer::json(200, &value))
}

/// Answers `POST /v1/introspect` (RFC 7662): what a token means, while it is good.
pub(in crate::server::sandbox) fn introspect(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    unkept(Form::of(request).and_then(|form| introspected(state, request, &form)))
}

fn introspected(state: &State, request: &Request, form: &Form) -> Result<Answer, Answer> {
    // Those who say which client they are must be it; files without one are let ask too.
    if request.header("authorization").is_some() {
        form.basic_client(state)?;
    }
    let token = form.needed("token")?;
    let ledger = lock(&state.ledger);
    let Some(grant) = ledger.access(token, state.now()) else {
        return Ok(Answer::json(200, &json!({ "active": false })));
    };
    Ok(Answer::json(
        200,
        &json!({
            "active": true,
            "username": grant.account,
            "client_id": grant.client,
            "exp": grant.expires_at,
            "iss": "https://sts.googleapis.com/",
            "scope": grant.scopes.join(" "),
            "sub": cast::subject(&grant.account),
            "token_type": "Bearer",
        }),
    ))
}

/// Answers `POST /v1/revoke` (RFC 7009): the client by HTTP Basic, and a token that is its own.
pub(in crate::server::sandbox) fn revoke(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    unkept(Form::of(request).and_then(|form| {
        let client = form.basic_client(state)?;
        let token = form.needed("token")?;
        let mut ledger = lock(&state.ledger);
        let owner = ledger.client(token);
        match owner {
            Some(owner) if owner == client => {
                ledger.revoke(token);
                Ok(Answer::json(200, &json!({})))
            }
            Some(_) => Err(error(400, "unauthorized_client", "The token is another client's.")),
            // RFC 7009, 2.2: a token that is nothing is as good as revoked.
            None => Ok(Answer::json(200, &json!({}))),
        }
    }))
}
