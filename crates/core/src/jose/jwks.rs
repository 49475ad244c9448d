//! JSON Web Key Sets (RFC 7517), which issuers publish so that others can verify their tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::jose::key::PublicKey;
use crate::text::json;

/// The maximum time for which a key set is cached, in seconds.
pub(crate) const MAX_PUBLIC_KEYS_SECONDS: i64 = 24 * 3600;

/// The minimum length of the modulus of an RSA key, in bytes (RFC 7518, 3.3).
const MIN_MODULUS_BYTES: usize = 256;

/// The minimum time for which a key set is cached, in seconds, whatever the response says.
const MIN_CACHE_SECONDS: i64 = 60;

/// A set of public keys. The parameters of a key are decoded only when a token names it.
#[derive(Debug, Clone)]
pub struct Jwks(Vec<Map<String, Value>>);

impl Jwks {
    /// Reads a set. Keys that do not verify RS256 or ES256, or have no `kid`, are ignored (RFC 7517, 5).
    ///
    /// # Errors
    /// The end of a sentence that begins with the location of the set.
    pub fn parse(bytes: &[u8]) -> Result<Jwks, String> {
        let mut set = json::parse_object(bytes)?;
        let Some(Value::Array(list)) = set.remove("keys") else {
            return Err("is not a set of keys, it has no list \"keys\"".to_owned());
        };
        let keys = list.into_iter().filter_map(|key| match key {
            Value::Object(key) => is_usable(&key).then_some(key),
            _ => None,
        });
        let keys: Vec<_> = keys.collect();
        match keys.is_empty() {
            true => Err("has no key with a \"kid\" that verifies RS256 or ES256".to_owned()),
            false => Ok(Jwks(keys)),
        }
    }

    /// The keys with this `kid`. There are several only where keys of different types have the same one.
    pub fn keys_with_id(&self, kid: &str) -> Vec<PublicKey> {
        let matching = self.0.iter().filter(|key| text(key, "kid") == Some(kid));
        matching.filter_map(public_key).collect()
    }

    /// The `kid` of every key.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| text(key, "kid"))
    }
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    key.get(name).and_then(Value::as_str)
}

/// Whether a key is for verifying RS256 or ES256, by its fields other than the key parameters.
fn is_usable(key: &Map<String, Value>) -> bool {
    let algorithm = match (text(key, "kty"), text(key, "crv")) {
        (Some("RSA"), _) => "RS256",
        (Some("EC"), Some("P-256")) => "ES256",
        _ => return false,
    };
    let is_absent_or = |name: &str, expected: &str| match key.get(name) {
        None => true,
        Some(Value::Array(list)) => list.iter().any(|item| item == expected),
        Some(value) => value == expected,
    };
    is_absent_or("alg", algorithm)
        && is_absent_or("use", "sig")
        && is_absent_or("key_ops", "verify")
        && text(key, "kid").is_some_and(|kid| !kid.is_empty())
}

fn public_key(key: &Map<String, Value>) -> Option<PublicKey> {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(key, name)?).ok();
    match text(key, "kty")? {
        "RSA" => {
            let modulus = number("n")?;
            let first = modulus.iter().position(|byte| *byte != 0)?;
            let large_enough = modulus.len() - first >= MIN_MODULUS_BYTES;
            large_enough.then(|| PublicKey::from_rsa_parameters(&modulus[first..], &number("e")?))?
        }
        _ => PublicKey::from_ec_point(&number("x")?, &number("y")?),
    }
}

/// The number of seconds for which a response with this `Cache-Control` may be cached (RFC 9111, 5.2.2): at least a
/// minute, which is also the default.
pub fn cache_seconds(cache_control: Option<&str>) -> i64 {
    let directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let ages = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse::<i64>())
    });
    let age = ages.flatten().min().unwrap_or_default();
    age.clamp(MIN_CACHE_SECONDS, MAX_PUBLIC_KEYS_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vectors() -> Value {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        vectors["id_token_verify"]["jwks"].clone()
    }

    #[test]
    fn the_published_set_has_a_key_of_each_kind() {
        let set = Jwks::parse(vectors().to_string().as_bytes()).expect("set");
        let names: Vec<&str> = set.key_ids().collect();
        assert_eq!(names.len(), 2);
        let algorithms = names.iter().flat_map(|name| set.keys_with_id(name));
        let algorithms: Vec<_> = algorithms.map(|key| key.algorithm()).collect();
        assert_eq!(algorithms, ["RS256", "ES256"]);
        assert!(set.keys_with_id("another").is_empty());
    }

    #[test]
    fn malformed_key_sets_are_refused() {
        for (text, message) in [
            ("", "is empty"),
            ("<!doctype html><title>log in</title>", "is not valid JSON"),
            ("[]", "not an object"),
            ("{}", "no list \"keys\""),
            (r#"{"keys":{}}"#, "no list \"keys\""),
            (r#"{"keys":null}"#, "no list \"keys\""),
            (r#"{"keys":[]}"#, "has no key"),
            (r#"{"keys":[5,null,"x",[]]}"#, "has no key"),
            (r#"{"keys":[],"keys":[]}"#, "twice"),
            (r#"{"0123":"-----BEGIN CERTIFICATE-----"}"#, "no list \"keys\""),
        ] {
            let error = Jwks::parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    /// The first key of the published set, with a field changed or, `null`, taken away.
    fn with_changed_key(index: usize, name: &str, value: Value) -> Vec<u8> {
        let mut key = vectors()["keys"][index].clone();
        match value {
            Value::Null => drop(key.as_object_mut().expect("key").remove(name)),
            value => key[name] = value,
        }
        json!({ "keys": [key] }).to_string().into_bytes()
    }

    #[test]
    fn keys_for_other_uses_are_skipped() {
        for (index, name, value) in [
            (0, "kid", Value::Null),
            (0, "kid", json!("")),
            (0, "kid", json!(5)),
            (0, "kty", Value::Null),
            (0, "kty", json!("oct")),
            (0, "kty", json!("EC")),
            (0, "alg", json!("RS512")),
            (0, "alg", json!("ES256")),
            (0, "alg", json!(5)),
            (0, "use", json!("enc")),
            (0, "key_ops", json!(["encrypt"])),
            (1, "crv", Value::Null),
            (1, "crv", json!("P-384")),
            (1, "alg", json!("RS256")),
        ] {
            assert!(Jwks::parse(&with_changed_key(index, name, value.clone())).is_err(), "{name} {value}");
        }
        for (name, value) in [("alg", Value::Null), ("use", Value::Null), ("key_ops", json!(["verify"]))] {
            assert!(Jwks::parse(&with_changed_key(0, name, value)).is_ok(), "{name}");
        }
    }

    #[test]
    fn invalid_key_parameters_yield_no_key() {
        let kid = |index: usize| vectors()["keys"][index]["kid"].as_str().expect("kid").to_owned();
        let short = URL_SAFE_NO_PAD.encode([vec![0; 200], vec![0xff; 128]].concat());
        let huge = URL_SAFE_NO_PAD.encode([0xff; 4096]);
        for (index, name, value) in [
            (0, "n", Value::Null),
            (0, "n", json!("")),
            (0, "n", json!("!")),
            (0, "n", json!(short)),
            (0, "n", json!(huge)),
            (0, "e", Value::Null),
            (0, "e", json!("AA")),
            (0, "e", json!("AQ")),
            (1, "x", Value::Null),
            (1, "x", json!("AA")),
            (1, "y", json!("YDLmJJvw57TQ3ucPUi-LKhWGibZhDJGD5TQ-ilS5Ft9")),
        ] {
            let set = Jwks::parse(&with_changed_key(index, name, value.clone())).expect("set");
            assert!(set.keys_with_id(&kid(index)).is_empty(), "{name} {value}");
        }
    }

    #[test]
    fn keys_are_cached_for_a_minute_to_a_day() {
        for (header, seconds) in [
            (None, 60),
            (Some(""), 60),
            (Some("no-store"), 60),
            (Some("max-age=0"), 60),
            (Some("max-age=-5"), 60),
            (Some("max-age=soon"), 60),
            (Some("public, max-age=3600, must-revalidate"), 3600),
            (Some("Max-Age=\"7200\""), 7200),
            (Some("max-age=3600, max-age=100"), 100),
            (Some("max-age=99999999"), 86_400),
            (Some("s-maxage=7200"), 60),
        ] {
            assert_eq!(cache_seconds(header), seconds, "{header:?}");
        }
    }
}
