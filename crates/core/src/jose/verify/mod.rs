//! Verifies ID tokens (OpenID Connect Core, 3.1.3.7): the signature, the issuer, the audience and the times. Keys and
//! time are arguments.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::jose::jwks::Jwks;
use crate::jose::jwt::UnverifiedJwt;
use crate::text::{duration, printable};

/// The maximum lifetime of an ID token, in seconds.
const MAX_LIFETIME_SECONDS: i64 = 86_400;

/// The largest absolute value of a time: larger integers have no exact value in JSON.
const MAX_NUMERIC_DATE: f64 = 9_007_199_254_740_991.0;

/// The values that a token is verified against.
#[derive(Debug, Clone, Copy)]
pub struct Validation<'a> {
    /// The issuers that are accepted.
    pub issuers: &'a [String],
    /// The audiences that are accepted; empty for any.
    pub audiences: &'a [String],
    /// The current time, in Unix seconds.
    pub now: i64,
    /// The accepted difference between the clocks of the issuer and of this machine, in seconds.
    pub skew: i64,
}

/// The reason why a token is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidationError {
    /// A sentence about the content or the signature of the token.
    Invalid(String),
    /// The key set has no key with this `kid`. The issuer may have published new keys since it was cached.
    UnknownKey(String),
}

impl ValidationError {
    /// The reason in printable characters.
    pub fn message(&self) -> String {
        match self {
            ValidationError::Invalid(what) => what.clone(),
            ValidationError::UnknownKey(kid) => {
                format!("its issuer has no key {}", short_key_id(kid))
            }
        }
    }
}

fn invalid<T>(what: impl Into<String>) -> Result<T, ValidationError> {
    Err(ValidationError::Invalid(what.into()))
}

/// The `alg` and the `kid` of the header, which are not trusted.
///
/// # Errors
/// When the algorithm is neither RS256 nor ES256, when there is no `kid`, or when the header has `crit` (RFC 7515,
/// 4.1.11).
pub fn algorithm_and_key_id<'a>(jwt: &'a UnverifiedJwt<'_>) -> Result<(&'a str, &'a str), ValidationError> {
    let text = |name: &str| jwt.header.get(name).and_then(Value::as_str);
    let algorithm = match text("alg") {
        Some(known @ ("RS256" | "ES256")) => known,
        Some(other) => {
            let other = printable::text(other);
            return invalid(format!("its algorithm is {other}, not RS256 or ES256"));
        }
        None => return invalid("its algorithm (alg) is missing"),
    };
    if jwt.header.contains_key("crit") {
        return invalid("its header has crit, which gauth does not support");
    }
    match text("kid").filter(|kid| !kid.is_empty()) {
        Some(kid) => Ok((algorithm, kid)),
        None => invalid("its key ID (kid) is missing"),
    }
}

/// Checks the header, the issuer, the times and the audience, for which no key is needed.
///
/// # Errors
/// The first reason why the token is not valid.
pub fn check_claims(jwt: &UnverifiedJwt<'_>, validation: &Validation<'_>) -> Result<(), ValidationError> {
    algorithm_and_key_id(jwt)?;
    check_issuer(jwt, validation.issuers)?;
    check_times(jwt, validation)?;
    check_audience(jwt, validation.audiences)
}

/// Checks the signature with the key that the token names. The key decides the algorithm, and the header must have the
/// same.
///
/// # Errors
/// When the set has no such key, or the signature is not valid.
pub fn check_signature(jwt: &UnverifiedJwt<'_>, keys: &Jwks) -> Result<(), ValidationError> {
    let (algorithm, kid) = algorithm_and_key_id(jwt)?;
    let candidates = keys.keys_with_id(kid);
    if candidates.is_empty() {
        return Err(ValidationError::UnknownKey(kid.to_owned()));
    }
    let usable: Vec<_> = candidates.iter().filter(|key| key.algorithm() == algorithm).collect();
    if usable.is_empty() {
        return invalid(format!("its algorithm is {algorithm}, and key {} is for another one", short_key_id(kid)));
    }
    match usable.iter().any(|key| key.verifies(jwt.signing_input, &jwt.signature)) {
        true => Ok(()),
        false => invalid(format!("its signature is not of key {}", short_key_id(kid))),
    }
}

fn check_issuer(jwt: &UnverifiedJwt<'_>, allowed: &[String]) -> Result<(), ValidationError> {
    match jwt.claims.get("iss") {
        Some(Value::String(issuer)) if allowed.contains(issuer) => Ok(()),
        Some(Value::String(issuer)) => invalid(format!("its issuer is {}", printable::text(issuer))),
        Some(_) => invalid("its issuer (iss) is not a string"),
        None => invalid("its issuer (iss) is missing"),
    }
}

fn check_times(jwt: &UnverifiedJwt<'_>, validation: &Validation<'_>) -> Result<(), ValidationError> {
    let Validation { now, skew, .. } = *validation;
    let expires_at = required_time(jwt, "exp")?;
    let issued_at = required_time(jwt, "iat")?;
    if now > expires_at.saturating_add(skew) {
        let ago = duration::humanize(now.saturating_sub(expires_at));
        return invalid(format!("expired {ago} ago"));
    }
    let is_before = |from: i64| now < from.saturating_sub(skew);
    let time_until = |from: i64| duration::humanize(from.saturating_sub(now));
    if is_before(issued_at) {
        return invalid(format!("issued {} in the future", time_until(issued_at)));
    }
    if let Some(from) = jwt.claims.get("nbf") {
        match numeric_date(from) {
            Some(from) if is_before(from) => {
                return invalid(format!("not valid for another {}", time_until(from)));
            }
            Some(_) => {}
            None => return invalid("its start (nbf) is not a time"),
        }
    }
    match expires_at.saturating_sub(issued_at) > MAX_LIFETIME_SECONDS {
        true => {
            let lifetime = duration::humanize(expires_at.saturating_sub(issued_at));
            invalid(format!("its lifetime is {lifetime}, longer than a day"))
        }
        false => Ok(()),
    }
}

fn required_time(jwt: &UnverifiedJwt<'_>, name: &str) -> Result<i64, ValidationError> {
    let what = if name == "exp" { "expiry" } else { "time of issue" };
    match jwt.claims.get(name) {
        None => invalid(format!("its {what} ({name}) is missing")),
        Some(value) => match numeric_date(value) {
            Some(time) => Ok(time),
            None => invalid(format!("its {what} ({name}) is not a time")),
        },
    }
}

/// A claim of type NumericDate (RFC 7519, 2), which may have a fraction, in Unix seconds.
pub fn numeric_date(value: &Value) -> Option<i64> {
    let exact = value.as_i64().filter(|seconds| seconds.unsigned_abs() <= MAX_NUMERIC_DATE as u64);
    exact.or_else(|| {
        let seconds = value.as_f64().filter(|seconds| seconds.abs() <= MAX_NUMERIC_DATE)?;
        Some(seconds.floor() as i64)
    })
}

fn check_audience(jwt: &UnverifiedJwt<'_>, allowed: &[String]) -> Result<(), ValidationError> {
    let actual = match jwt.claims.get("aud") {
        Some(Value::Array(list)) if !list.iter().all(Value::is_string) => {
            return invalid("its audience (aud) is not a string");
        }
        None | Some(Value::String(_) | Value::Array(_)) => audiences(jwt),
        Some(_) => return invalid("its audience (aud) is not a string"),
    };
    if actual.is_empty() {
        return invalid("its audience (aud) is missing");
    }
    match allowed.is_empty() || matching_audience(jwt, allowed).is_some() {
        true => Ok(()),
        false => {
            let names = actual.iter().map(|name| printable::text(name));
            invalid(format!("it is for {}", names.collect::<Vec<_>>().join(" and ")))
        }
    }
}

fn audiences<'a>(jwt: &'a UnverifiedJwt<'_>) -> Vec<&'a str> {
    match jwt.claims.get("aud") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        one => one.and_then(Value::as_str).into_iter().collect(),
    }
}

/// The first accepted audience that the token is for, in printable characters.
pub fn matching_audience(jwt: &UnverifiedJwt<'_>, allowed: &[String]) -> Option<String> {
    let actual = audiences(jwt);
    allowed.iter().find(|name| actual.contains(&name.as_str())).map(|name| printable::text(name))
}

/// The beginning of a `kid`, long enough to distinguish keys.
pub fn short_key_id(kid: &str) -> String {
    match kid.chars().count() > 16 {
        true => printable::text(&kid.chars().take(8).collect::<String>()),
        false => printable::text(kid),
    }
}
