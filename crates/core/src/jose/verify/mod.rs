//! Whether an ID token is good: signature, issuer, audience, times. Pure: keys and clock are given.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::jose::jwks::Jwks;
use crate::jose::jwt::UnverifiedJwt;
use crate::text::{duration, printable};

/// The longest life that is believed, in seconds.
const MAX_LIFETIME_SECONDS: i64 = 86_400;

/// Numbers beyond this are no times: what comes after has no exact value in JSON.
const MAX_NUMERIC_DATE: f64 = 9_007_199_254_740_991.0;

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub struct Validation<'a> {
    /// Whom it may be from.
    pub issuers: &'a [String],
    /// Whom it may be for, one of these; empty: anybody.
    pub audiences: &'a [String],
    /// The time, in Unix seconds.
    pub now: i64,
    /// How far other clocks may be off, in seconds.
    pub skew: i64,
}

/// Why a token is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidationError {
    /// Something in it, as a statement about it.
    Invalid(String),
    /// No key has the name it gives: others may have been published since.
    UnknownKey(String),
}

impl ValidationError {
    /// What is wrong, printable.
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

/// The algorithm and the name of the key, as the header gives them; they decide nothing yet.
///
/// # Errors
/// For anything but RS256 and ES256, for a token that names no key, and for one that demands to be understood in a
/// way that is not known here (RFC 7515, 4.1.11).
pub fn algorithm_and_key_id<'a>(
    jwt: &'a UnverifiedJwt<'_>,
) -> Result<(&'a str, &'a str), ValidationError> {
    let text = |name: &str| jwt.header.get(name).and_then(Value::as_str);
    let algorithm = match text("alg") {
        Some(known @ ("RS256" | "ES256")) => known,
        Some(other) => {
            let other = printable::text(other);
            return invalid(format!("its algorithm is {other}, not RS256 or ES256"));
        }
        None => return invalid("it names no algorithm"),
    };
    if jwt.header.contains_key("crit") {
        return invalid("its header has crit, which is not understood");
    }
    match text("kid").filter(|kid| !kid.is_empty()) {
        Some(kid) => Ok((algorithm, kid)),
        None => invalid("it names no key (kid)"),
    }
}

/// Checks what needs no key: header, times, issuer, audience.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_claims(
    jwt: &UnverifiedJwt<'_>,
    validation: &Validation<'_>,
) -> Result<(), ValidationError> {
    algorithm_and_key_id(jwt)?;
    check_issuer(jwt, validation.issuers)?;
    check_times(jwt, validation)?;
    check_audience(jwt, validation.audiences)
}

/// Checks the signature with the key that the token names. The algorithm is the key's; the token must say the same.
///
/// # Errors
/// When there is no such key, or it did not sign this.
pub fn check_signature(jwt: &UnverifiedJwt<'_>, keys: &Jwks) -> Result<(), ValidationError> {
    let (algorithm, kid) = algorithm_and_key_id(jwt)?;
    let candidates = keys.keys_with_id(kid);
    if candidates.is_empty() {
        return Err(ValidationError::UnknownKey(kid.to_owned()));
    }
    let usable: Vec<_> = candidates.iter().filter(|key| key.algorithm() == algorithm).collect();
    if usable.is_empty() {
        return invalid(format!(
            "it says {algorithm}, and key {} is for another",
            short_key_id(kid)
        ));
    }
    match usable.iter().any(|key| key.verifies(jwt.signing_input, &jwt.signature)) {
        true => Ok(()),
        false => invalid(format!("key {} did not sign this", short_key_id(kid))),
    }
}

fn check_issuer(jwt: &UnverifiedJwt<'_>, allowed: &[String]) -> Result<(), ValidationError> {
    match jwt.claims.get("iss") {
        Some(Value::String(issuer)) if allowed.contains(issuer) => Ok(()),
        Some(Value::String(issuer)) => {
            invalid(format!("its issuer is {}", printable::text(issuer)))
        }
        Some(_) => invalid("its issuer (iss) is no text"),
        None => invalid("it names no issuer (iss)"),
    }
}

fn check_times(
    jwt: &UnverifiedJwt<'_>,
    validation: &Validation<'_>,
) -> Result<(), ValidationError> {
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
                return invalid(format!("not to be used before {} from now", time_until(from)));
            }
            Some(_) => {}
            None => return invalid("its beginning (nbf) is no time"),
        }
    }
    match expires_at.saturating_sub(issued_at) > MAX_LIFETIME_SECONDS {
        true => {
            let lifetime = duration::humanize(expires_at.saturating_sub(issued_at));
            invalid(format!("it lives for {lifetime}, longer than a day"))
        }
        false => Ok(()),
    }
}

fn required_time(jwt: &UnverifiedJwt<'_>, name: &str) -> Result<i64, ValidationError> {
    let what = if name == "exp" { "end" } else { "time of issue" };
    match jwt.claims.get(name) {
        None => invalid(format!("it has no {what} ({name})")),
        Some(value) => match numeric_date(value) {
            Some(time) => Ok(time),
            None => invalid(format!("its {what} ({name}) is no time")),
        },
    }
}

/// A claim as Unix seconds (RFC 7519, 2: NumericDate, which may have a fraction).
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
            return invalid("its audience (aud) is no text");
        }
        None | Some(Value::String(_) | Value::Array(_)) => audiences(jwt),
        Some(_) => return invalid("its audience (aud) is no text"),
    };
    if actual.is_empty() {
        return invalid("it names no audience (aud)");
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

/// Which of these the token is for, printable.
pub fn matching_audience(jwt: &UnverifiedJwt<'_>, allowed: &[String]) -> Option<String> {
    let actual = audiences(jwt);
    allowed.iter().find(|name| actual.contains(&name.as_str())).map(|name| printable::text(name))
}

/// The beginning of a key's name: enough to tell keys apart.
pub fn short_key_id(kid: &str) -> String {
    match kid.chars().count() > 16 {
        true => printable::text(&kid.chars().take(8).collect::<String>()),
        false => printable::text(kid),
    }
}
