//! The identity service of Google Distributed Cloud: an assertion on a curve in, an access token out.

use serde_json::{Value, json};

use crate::jwt::{self, LONGEST_LIFE};
use crate::server::http::{Answer, Request};
use crate::server::sandbox::State;
use crate::server::sandbox::ledger::Grant;
use crate::server::sandbox::oauth::{error, invalid_grant, missing, unkept, unsupported_grant};
use crate::server::sandbox::outside::{GDCH_NAME, GDCH_PROJECT};
use crate::server::sandbox::token::LIFE;

/// Where it answers.
pub(super) const PATH: &str = "/authenticate";
/// The name of a token type, where OAuth would have that of a grant.
const GRANT: &str = "urn:ietf:params:oauth:token-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SERVICE_ACCOUNT: &str = "urn:k8s:params:oauth:token-type:serviceaccount";
/// How far an assertion's clock may be off, in seconds.
const SKEW: i64 = 300;

/// Answers `POST /authenticate`.
pub(super) fn authenticate(state: &State, request: &Request) -> Answer {
    match request.method.as_str() {
        "POST" => unkept(authenticated(state, request)),
        _ => Answer::only("POST"),
    }
}

/// The service account's full name.
fn account() -> String {
    format!("system:serviceaccount:{GDCH_PROJECT}:{GDCH_NAME}")
}

fn authenticated(state: &State, request: &Request) -> Result<Answer, Answer> {
    let invalid = |what: &str| error(400, "invalid_request", what);
    let kind = request.header("content-type").unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(invalid("Invalid content type"));
    }
    let body =
        crate::json::object(&request.body).map_err(|what| invalid(&format!("The body {what}")))?;
    let needed = |name: &str| {
        let value = body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
        value.ok_or_else(|| missing(name))
    };
    match needed("grant_type")? {
        GRANT => {}
        other => return Err(unsupported_grant(other)),
    }
    for (name, wanted) in
        [("requested_token_type", ACCESS_TOKEN), ("subject_token_type", SERVICE_ACCOUNT)]
    {
        if needed(name)? != wanted {
            return Err(invalid(&format!("Invalid {name}")));
        }
    }
    let audience = needed("audience")?;
    verified(state, needed("subject_token")?).map_err(|what| invalid_grant(&what))?;
    let grant = Grant {
        account: account(),
        client: audience.to_owned(),
        scopes: Vec::new(),
        expires_at: state.now() + LIFE,
        family: None,
        boundary: None,
    };
    let token = state.issue("gdch.", grant)?;
    let value = json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "expires_in": LIFE,
        "token_type": "Bearer",
    });
    Ok(Answer::json(200, &value))
}

/// Whether the service account signed this, for us, and for now.
fn verified(state: &State, assertion: &str) -> Result<(), String> {
    let outside = &state.cast.outside;
    let parts = jwt::parts(assertion).map_err(|what| format!("the assertion {what}"))?;
    let header = |name: &str| parts.header.get(name).and_then(Value::as_str);
    let claim = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    if header("alg") != Some("ES256") {
        return Err("the algorithm must be ES256".to_owned());
    }
    if header("kid") != Some(&outside.gdch_key_id)
        || !outside.gdch_key.verifies(parts.message, &parts.signature)
    {
        return Err("the signature is not the service account's".to_owned());
    }
    let account = account();
    if claim("iss") != Some(&account) || claim("sub") != Some(&account) {
        return Err(format!("iss and sub must be {account}"));
    }
    if !claim("aud").is_some_and(|audience| state.is_own_url(audience, &[PATH])) {
        return Err("aud must be the URL of this service".to_owned());
    }
    let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err("iat and exp are needed".to_owned());
    };
    let now = state.now();
    let life = expires.saturating_sub(issued);
    match issued <= now + SKEW && expires > now && (1..=LONGEST_LIFE).contains(&life) {
        true => Ok(()),
        false => Err("the assertion is expired, or good for more than an hour".to_owned()),
    }
}
