//! Whether an ID token is good: signature, issuer, audience, times. Pure: keys and clock are given.

use serde_json::Value;

use crate::jwks::Jwks;
use crate::jwt::Parts;
use crate::{duration, printable};

/// The longest life that is believed, in seconds.
const LONGEST_LIFE: i64 = 86_400;

/// Numbers beyond this are no times: what comes after has no exact value in JSON.
const LAST: f64 = 9_007_199_254_740_991.0;

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub struct Demands<'a> {
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
pub enum Fault {
    /// Something in it, as a statement about it.
    Wrong(String),
    /// No key has the name it gives: others may have been published since.
    UnknownKey(String),
}

impl Fault {
    /// What is wrong, printable.
    pub fn words(&self) -> String {
        match self {
            Fault::Wrong(what) => what.clone(),
            Fault::UnknownKey(kid) => format!("its issuer has no key {}", short(kid)),
        }
    }
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(what.into()))
}

/// The algorithm and the name of the key, as the header gives them; they decide nothing yet.
///
/// # Errors
/// For anything but RS256 and ES256, for a token that names no key, and for one that demands to be understood in a
/// way that is not known here (RFC 7515, 4.1.11).
pub fn header<'a>(parts: &'a Parts<'_>) -> Result<(&'a str, &'a str), Fault> {
    let text = |name: &str| parts.header.get(name).and_then(Value::as_str);
    let algorithm = match text("alg") {
        Some(known @ ("RS256" | "ES256")) => known,
        Some(other) => {
            let other = printable::text(other);
            return wrong(format!("its algorithm is {other}, not RS256 or ES256"));
        }
        None => return wrong("it names no algorithm"),
    };
    if parts.header.contains_key("crit") {
        return wrong("its header has crit, which is not understood");
    }
    match text("kid").filter(|kid| !kid.is_empty()) {
        Some(kid) => Ok((algorithm, kid)),
        None => wrong("it names no key (kid)"),
    }
}

/// Checks what needs no key: header, times, issuer, audience.
///
/// # Errors
/// The first thing that is wrong.
pub fn claims(parts: &Parts<'_>, demands: &Demands<'_>) -> Result<(), Fault> {
    header(parts)?;
    issuer(parts, demands.issuers)?;
    times(parts, demands)?;
    audience(parts, demands.audiences)
}

/// Checks the signature with the key that the token names. The algorithm is the key's; the token must say the same.
///
/// # Errors
/// When there is no such key, or it did not sign this.
pub fn signature(parts: &Parts<'_>, keys: &Jwks) -> Result<(), Fault> {
    let (algorithm, kid) = header(parts)?;
    let named = keys.named(kid);
    if named.is_empty() {
        return Err(Fault::UnknownKey(kid.to_owned()));
    }
    let fitting: Vec<_> = named.iter().filter(|key| key.algorithm() == algorithm).collect();
    if fitting.is_empty() {
        return wrong(format!("it says {algorithm}, and key {} is for another", short(kid)));
    }
    match fitting.iter().any(|key| key.verifies(parts.message, &parts.signature)) {
        true => Ok(()),
        false => wrong(format!("key {} did not sign this", short(kid))),
    }
}

fn issuer(parts: &Parts<'_>, known: &[String]) -> Result<(), Fault> {
    match parts.claims.get("iss") {
        Some(Value::String(issuer)) if known.contains(issuer) => Ok(()),
        Some(Value::String(issuer)) => wrong(format!("its issuer is {}", printable::text(issuer))),
        Some(_) => wrong("its issuer (iss) is no text"),
        None => wrong("it names no issuer (iss)"),
    }
}

fn times(parts: &Parts<'_>, demands: &Demands<'_>) -> Result<(), Fault> {
    let Demands { now, skew, .. } = *demands;
    let end = needed(parts, "exp")?;
    let begin = needed(parts, "iat")?;
    if now > end.saturating_add(skew) {
        let ago = duration::in_words(now.saturating_sub(end));
        return wrong(format!("expired {ago} ago"));
    }
    let early = |from: i64| now < from.saturating_sub(skew);
    let ahead = |from: i64| duration::in_words(from.saturating_sub(now));
    if early(begin) {
        return wrong(format!("issued {} in the future", ahead(begin)));
    }
    if let Some(from) = parts.claims.get("nbf") {
        match moment(from) {
            Some(from) if early(from) => {
                return wrong(format!("not to be used before {} from now", ahead(from)));
            }
            Some(_) => {}
            None => return wrong("its beginning (nbf) is no time"),
        }
    }
    match end.saturating_sub(begin) > LONGEST_LIFE {
        true => {
            let life = duration::in_words(end.saturating_sub(begin));
            wrong(format!("it lives for {life}, longer than a day"))
        }
        false => Ok(()),
    }
}

fn needed(parts: &Parts<'_>, name: &str) -> Result<i64, Fault> {
    let what = if name == "exp" { "end" } else { "time of issue" };
    match parts.claims.get(name) {
        None => wrong(format!("it has no {what} ({name})")),
        Some(value) => match moment(value) {
            Some(time) => Ok(time),
            None => wrong(format!("its {what} ({name}) is no time")),
        },
    }
}

/// A claim as Unix seconds (RFC 7519, 2: NumericDate, which may have a fraction).
pub fn moment(value: &Value) -> Option<i64> {
    let exact = value.as_i64().filter(|seconds| seconds.unsigned_abs() <= LAST as u64);
    exact.or_else(|| {
        let seconds = value.as_f64().filter(|seconds| seconds.abs() <= LAST)?;
        Some(seconds.floor() as i64)
    })
}

fn audience(parts: &Parts<'_>, wanted: &[String]) -> Result<(), Fault> {
    let given = match parts.claims.get("aud") {
        Some(Value::Array(list)) if !list.iter().all(Value::is_string) => {
            return wrong("its audience (aud) is no text");
        }
        None | Some(Value::String(_) | Value::Array(_)) => audiences(parts),
        Some(_) => return wrong("its audience (aud) is no text"),
    };
    if given.is_empty() {
        return wrong("it names no audience (aud)");
    }
    match wanted.is_empty() || meant_for(parts, wanted).is_some() {
        true => Ok(()),
        false => {
            let names = given.iter().map(|name| printable::text(name));
            wrong(format!("it is for {}", names.collect::<Vec<_>>().join(" and ")))
        }
    }
}

fn audiences<'a>(parts: &'a Parts<'_>) -> Vec<&'a str> {
    match parts.claims.get("aud") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        one => one.and_then(Value::as_str).into_iter().collect(),
    }
}

/// Which of these the token is for, printable.
pub fn meant_for(parts: &Parts<'_>, wanted: &[String]) -> Option<String> {
    let given = audiences(parts);
    wanted.iter().find(|name| given.contains(&name.as_str())).map(|name| printable::text(name))
}

/// The beginning of a key's name: enough to tell keys apart.
pub fn short(kid: &str) -> String {
    match kid.chars().count() > 16 {
        true => printable::text(&kid.chars().take(8).collect::<String>()),
        false => printable::text(kid),
    }
}

#[cfg(test)]
mod tests;
