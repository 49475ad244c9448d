//! Who is it: tokeninfo, userinfo, and the keys that verify ID tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::jwt;
use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{self, CLIENT_ID};
use crate::server::sandbox::ledger::includes;
use crate::server::sandbox::oauth::error;

/// The paths of tokeninfo.
pub(super) const TOKENINFO: [&str; 3] =
    ["/tokeninfo", "/oauth2/v3/tokeninfo", "/oauth2/v1/tokeninfo"];
/// The paths of userinfo.
pub(super) const USERINFO: [&str; 3] = ["/v1/userinfo", "/oauth2/v3/userinfo", "/userinfo"];
/// The paths of the keys.
pub(super) const CERTS: [&str; 2] = ["/oauth2/v3/certs", "/certs"];

/// Answers tokeninfo: the token in the query, the form or the header; numbers come back as text.
pub(super) fn tokeninfo(state: &State, request: &Request) -> Answer {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Answer::only("GET, POST");
    }
    let form = request.form().unwrap_or_default();
    let given = |name: &str| {
        let mut pairs = request.query.iter().chain(&form);
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let told = match (given("id_token"), given("access_token"), request.bearer()) {
        (Some(token), ..) => about_identity_token(state, &token),
        (None, Some(token), _) => about_access_token(state, &token),
        (None, None, Some(token)) => about_access_token(state, token),
        (None, None, None) => {
            return error(400, "invalid_request", "Required parameter is missing: access_token");
        }
    };
    match told {
        Some(told) => Answer::json(200, &Value::Object(told)),
        None => error(400, "invalid_token", "Invalid Value"),
    }
}

fn about_access_token(state: &State, token: &str) -> Option<Map<String, Value>> {
    let now = state.clock.unix();
    let ledger = lock(&state.ledger);
    // Tokens of STS are unknown here: they are introspected.
    let grant = ledger.access(token, now).filter(|grant| !grant.is_federated())?;
    let mut told = json!({
        "access_type": if grant.client == CLIENT_ID { "offline" } else { "online" },
        "aud": grant.client,
        "azp": grant.client,
        "exp": grant.expires_at.to_string(),
        "expires_in": (grant.expires_at - now).to_string(),
        "scope": grant.scopes.join(" "),
    });
    if State::tells_email(&grant.scopes) {
        told["email"] = grant.account.clone().into();
        told["email_verified"] = "true".into();
    }
    if State::tells_email(&grant.scopes) || includes(&grant.scopes, "openid") {
        told["sub"] = cast::subject(&grant.account).into();
    }
    told.as_object().cloned()
}

fn about_identity_token(state: &State, token: &str) -> Option<Map<String, Value>> {
    let parts = jwt::parts(token).ok()?;
    let (key, id) = state.google.public().ok()?;
    let signed = parts.header.get("kid").and_then(Value::as_str) == Some(&id)
        && key.verifies(parts.message, &parts.signature);
    let end = parts.claims.get("exp").and_then(Value::as_i64)?;
    if !signed || end <= state.clock.unix() {
        return None;
    }
    let told = parts.header.into_iter().chain(parts.claims).map(|(name, value)| match value {
        Value::Number(number) => (name, number.to_string().into()),
        Value::Bool(yes) => (name, yes.to_string().into()),
        other => (name, other),
    });
    Some(told.collect())
}

/// Answers userinfo: a bearer token that may know who it is.
pub(super) fn userinfo(state: &State, request: &Request) -> Answer {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Answer::only("GET, POST");
    }
    let ledger = lock(&state.ledger);
    let token = request.bearer().unwrap_or_default();
    let known = ledger.access(token, state.clock.unix());
    let Some(grant) = known.filter(|grant| !grant.is_federated()) else {
        return error(401, "invalid_request", "Invalid Credentials")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"invalid_token\"");
    };
    let knows = |scope| includes(&grant.scopes, scope);
    if !["openid", "email", "profile"].into_iter().any(knows) {
        return error(403, "insufficient_scope", "The token has none of openid, email, profile")
            .header("WWW-Authenticate", "Bearer realm=\"sandbox\", error=\"insufficient_scope\"");
    }
    let mut told = json!({ "sub": cast::subject(&grant.account) });
    if knows("email") {
        told["email"] = grant.account.clone().into();
        told["email_verified"] = true.into();
    }
    if let Some(person) = cast::person(&grant.account).filter(|_| knows("profile")) {
        told["name"] = format!("{} {}", person.given_name, person.family_name).into();
        told["given_name"] = person.given_name.into();
        told["family_name"] = person.family_name.into();
    }
    Answer::json(200, &told)
}

/// Answers the keys of ID tokens as a JWK set (RFC 7517).
pub(super) fn certs(state: &State, request: &Request) -> Answer {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Answer::only("GET, HEAD");
    }
    match state.google.public() {
        Ok((key, id)) => {
            let (modulus, exponent) = key.parts();
            let keys = json!({ "keys": [{
                "alg": "RS256",
                "e": URL_SAFE_NO_PAD.encode(exponent),
                "kid": id,
                "kty": "RSA",
                "n": URL_SAFE_NO_PAD.encode(modulus),
                "use": "sig",
            }]});
            Answer::json(200, &keys)
                .header("Cache-Control", "public, max-age=3600, must-revalidate")
        }
        Err(answer) => answer,
    }
}
