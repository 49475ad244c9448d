//! Signs and decodes JSON Web Tokens (RFC 7519) with RS256 or ES256 signatures (RFC 7515).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::jose::key::PrivateKey;
use crate::text::bearer_token::MAX_TOKEN_CHARS;
use crate::text::secret::Secret;
use crate::text::{json, printable};

/// The maximum lifetime of an assertion that Google accepts, in seconds.
pub const MAX_ASSERTION_LIFETIME_SECONDS: i64 = 3600;

/// The number of seconds by which `iat` is set back, so that the server accepts assertions of a clock that is ahead.
pub(crate) const IAT_BACKDATE_SECONDS: i64 = 10;

/// The JOSE header (RFC 7515, 4), in the order in which the fields are written.
#[derive(Debug, Serialize)]
pub struct JoseHeader<'a> {
    /// The algorithm of the key, `RS256` or `ES256`.
    pub alg: &'a str,
    /// The type of the token, always `JWT`.
    pub typ: &'a str,
    /// The ID of the key that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<&'a str>,
}

/// The claims of the assertions that gauth signs, in the order in which they are written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Claims<'a> {
    /// The issuer of the token.
    pub iss: &'a str,
    /// The subject of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<&'a str>,
    /// The requested scopes, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
    /// The audience of the ID token that is requested with this assertion. The claim is Google's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_audience: Option<&'a str>,
    /// The audience of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<&'a str>,
    /// The time of issue, in Unix seconds.
    pub iat: i64,
    /// The time of expiry, in Unix seconds.
    pub exp: i64,
}

/// Signs the claims with a header of type `JWT`.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(key: &PrivateKey, kid: Option<&str>, claims: &impl Serialize) -> Result<Secret, String> {
    let header = JoseHeader { alg: key.algorithm(), typ: "JWT", kid };
    sign_with_header(key, &header, claims)
}

/// Signs the claims with any other header, whose `alg` must be that of the key.
///
/// # Errors
/// When they cannot be written as JSON or the key cannot sign.
pub fn sign_with_header(key: &PrivateKey, header: &impl Serialize, claims: &impl Serialize) -> Result<Secret, String> {
    let json_error = |error: serde_json::Error| error.to_string();
    let header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(header).map_err(json_error)?);
    let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).map_err(json_error)?);
    let message = format!("{header}.{claims}");
    let signature = key.sign(message.as_bytes())?;
    Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// A decoded JWT whose signature is not verified.
#[derive(Debug)]
pub struct UnverifiedJwt<'a> {
    /// The JOSE header, a JSON object.
    pub header: serde_json::Map<String, serde_json::Value>,
    /// The claims, a JSON object.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The signing input (RFC 7515, 2): the encoded header and claims with the dot between them.
    pub signing_input: &'a [u8],
    /// The signature, decoded from base64url.
    pub signature: Vec<u8>,
}

/// Decodes a JWT in compact form. Its length is checked first.
///
/// # Errors
/// The end of a sentence that begins with "the token".
pub fn decode(token: &str) -> Result<UnverifiedJwt<'_>, &'static str> {
    if token.len() > MAX_TOKEN_CHARS {
        return Err("is longer than 16384 characters");
    }
    let mut segments = token.splitn(4, '.');
    let (Some(header), Some(claims), Some(signature), None) =
        (segments.next(), segments.next(), segments.next(), segments.next())
    else {
        return Err("does not have three segments");
    };
    let decode_segment = |text: &str| {
        URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| "has a segment that is not base64url")
    };
    // RFC 7519, 4 lets parsers reject duplicate names or take the last one, so other readers may see another value.
    let object = |text: &str| {
        json::parse_object(&decode_segment(text)?).map_err(|what| match what.starts_with(json::DUPLICATE_KEY_PREFIX) {
            true => "has a duplicate name in its header or claims",
            false => "has a segment that is not a JSON object",
        })
    };
    Ok(UnverifiedJwt {
        header: object(header)?,
        claims: object(claims)?,
        signing_input: &token.as_bytes()[..header.len() + 1 + claims.len()],
        signature: decode_segment(signature)?,
    })
}

/// Decodes the JWT in a [`Secret`].
///
/// # Errors
/// As [`decode`].
pub fn decode_secret(token: &Secret) -> Result<UnverifiedJwt<'_>, &'static str> {
    decode(token.expose())
}

/// Whether a token looks like a JWT, valid or not: it begins like the base64url encoding of `{`, or has three segments.
/// Google's access tokens have one to three segments and begin with `ya29.`.
pub fn looks_like_jwt(token: &Secret) -> bool {
    let text = token.expose();
    let starts_like_json = text.as_bytes().first() == Some(&b'e')
        && text.as_bytes().get(1).is_some_and(|byte| b"wxyz0123456789-_".contains(byte));
    !text.starts_with("ya29.") && (starts_like_json || text.matches('.').count() >= 2)
}

/// The issuer and the audiences in the claims of a JWT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuerAndAudiences {
    /// `iss` in printable characters.
    pub issuer: String,
    /// Every `aud` in printable characters.
    pub audiences: Vec<String>,
}

impl std::fmt::Display for IssuerAndAudiences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "issuer {}, audience {}", self.issuer, self.audiences.join(" and "))
    }
}

/// The issuer and the audiences of a JWT whose signature is not verified; `None` where the token is not a JWT.
pub(crate) fn issuer_and_audiences(token: &Secret) -> Option<IssuerAndAudiences> {
    let claims = decode_secret(token).ok()?.claims;
    let text = |value: &serde_json::Value| value.as_str().map(printable::text);
    let audiences = match claims.get("aud") {
        Some(serde_json::Value::Array(list)) => list.iter().filter_map(text).collect(),
        one => one.and_then(text).into_iter().collect(),
    };
    Some(IssuerAndAudiences { issuer: claims.get("iss").and_then(text).unwrap_or_default(), audiences })
}

/// The time of expiry of a JWT whose signature is not verified, in Unix seconds.
pub fn expiry(token: &Secret) -> Option<i64> {
    decode_secret(token).ok()?.claims.get("exp")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn rs256_tokens_are_those_of_the_published_vectors() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        let file: Value = serde_json::from_str(include_str!("../../../../tests/data/credentials/service_account.json"))
            .expect("sample");
        let key = PrivateKey::rsa_from_pem(file["private_key"].as_str().expect("pem")).expect("key");
        for case in vectors["rs256"].as_array().expect("cases") {
            let claims = &case["claims"];
            let text = |name: &str| claims[name].as_str();
            let claims = Claims {
                iss: text("iss").expect("iss"),
                sub: text("sub"),
                scope: text("scope"),
                target_audience: text("target_audience"),
                aud: text("aud"),
                iat: claims["iat"].as_i64().expect("iat"),
                exp: claims["exp"].as_i64().expect("exp"),
            };
            let jwt = sign(&key, case["header"]["kid"].as_str(), &claims).expect("jwt");
            assert_eq!(jwt.expose(), case["jwt"], "{}", case["name"]);
            let decoded = decode(jwt.expose()).expect("parts");
            assert!(key.public_key().verifies(decoded.signing_input, &decoded.signature));
        }
    }

    #[test]
    fn the_published_es256_vector_verifies_and_one_signed_here_does_too() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        let file = include_str!("../../../../tests/data/credentials/gdch_service_account.json").as_bytes();
        let mut file = crate::text::json::JsonFields::new(crate::text::json::parse_object(file).expect("sample"));
        let pem = file.required_secret("private_key").expect("pem");
        let kid = file.required("private_key_id").expect("kid");
        let key = PrivateKey::any_from_secret(&pem).expect("key");

        let case = &vectors["es256_verify_only"];
        let published = case["jwt"].as_str().expect("jwt");
        let decoded = decode(published).expect("parts");
        assert!(key.public_key().verifies(decoded.signing_input, &decoded.signature));
        assert!(!key.public_key().verifies(&decoded.signing_input[1..], &decoded.signature));

        let text = |name: &str| case["claims"][name].as_str();
        let claims = Claims {
            iss: text("iss").expect("iss"),
            sub: text("sub"),
            aud: text("aud"),
            iat: case["claims"]["iat"].as_i64().expect("iat"),
            exp: case["claims"]["exp"].as_i64().expect("exp"),
            ..Claims::default()
        };
        let signed = sign(&key, Some(&kid), &claims).expect("jwt");
        let signed_jwt = super::decode(signed.expose()).expect("parts");
        // All but the signature, which is another one: the published one was made with a random nonce.
        assert_eq!(signed_jwt.signing_input, decoded.signing_input);
        assert!(key.public_key().verifies(signed_jwt.signing_input, &signed_jwt.signature));
    }

    #[test]
    fn issuer_and_audiences_are_read_from_a_jwt() {
        let jwt = |claims: &str| Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.as_bytes())));
        let shown = |claims: &str| issuer_and_audiences(&jwt(claims)).map(|address| address.to_string());
        assert_eq!(
            shown(r#"{"iss":"https://ci.example","aud":["a","b\n"]}"#).as_deref(),
            Some("issuer https://ci.example, audience a and b\\n")
        );
        assert_eq!(shown(r#"{"aud":"a"}"#).as_deref(), Some("issuer , audience a"));
        assert_eq!(issuer_and_audiences(&jwt("{}")), Some(IssuerAndAudiences::default()));
        assert_eq!(issuer_and_audiences(&Secret::new("no JWT")), None);
    }

    #[test]
    fn malformed_tokens_are_refused_early() {
        for token in ["", "a", "a.b", "a.b.c.d", "!.e30.e30", "e30.W10.e30", "e30.e30.!"] {
            assert!(decode(token).is_err(), "{token}");
        }
        assert!(decode(&".".repeat(10_000)).is_err());
        assert!(decode(&"x".repeat(MAX_TOKEN_CHARS + 1)).is_err());
    }
}
