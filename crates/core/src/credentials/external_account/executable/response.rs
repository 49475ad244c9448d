//! The response of a program: JSON of version 1 with a subject token (AIP-4117).

use serde_json::Value;
use zeroize::Zeroizing;

use crate::credentials::external_account::format::MAX_SUBJECT_TOKEN_BYTES;
use crate::oauth::token_exchange::expand_token_type;
use crate::text::json::{JsonFields, wrong_type};
use crate::text::secret::Secret;
use crate::text::{json, printable};

/// The supported version of the response format.
const RESPONSE_VERSION: f64 = 1.0;

/// The subject token of a response.
#[derive(Debug)]
pub struct ExecutableResponse {
    /// The subject token that the program printed.
    pub token: Secret,
    /// Whether it is a SAML response, not a JWT.
    pub is_saml: bool,
    /// Its expiry, in Unix seconds.
    pub expires_at: Option<i64>,
}

/// Why a response has no usable token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseErrorKind {
    /// It is not JSON.
    NotJson,
    /// It is JSON, but not a response of AIP-4117.
    Malformed,
    /// It is expired, of another version or of an unknown type.
    Unusable,
    /// The program reports an error.
    ProgramError,
}

/// A response without a usable token, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct ResponseError {
    /// The kind of failure.
    pub kind: ResponseErrorKind,
    /// The end of a sentence; of the response it repeats nothing but version, code and message.
    pub message: String,
}

/// Parses a response. `needs_expiry`: a response without expiry is refused, because it may be expired.
///
/// # Errors
/// When there is no token in it that is valid at `now`, in Unix seconds.
pub fn parse_response(bytes: &[u8], now: i64, needs_expiry: bool) -> Result<ExecutableResponse, ResponseError> {
    let map =
        json::parse_object(bytes).map_err(|what| ResponseError { kind: ResponseErrorKind::NotJson, message: what })?;
    let mut fields = JsonFields::new(map);
    check_version(&mut fields)?;
    match fields.boolean("success").map_err(malformed)? {
        Some(true) => {}
        Some(false) => return Err(program_error(&mut fields)?),
        None => return Err(malformed("success is missing".to_owned())),
    }
    let expires_at = expiration_time(&mut fields)?;
    match expires_at {
        Some(end) if end <= now => {
            let expired_seconds = now.saturating_sub(end);
            return Err(unusable(format!("expired {expired_seconds} s ago, by this clock")));
        }
        None if needs_expiry => {
            return Err(unusable("has no expiration_time, which output_file asks for".to_owned()));
        }
        _ => {}
    }
    let token_type_urn = fields.required("token_type").map_err(malformed)?;
    let is_saml = if token_type_urn == expand_token_type("jwt") || token_type_urn == expand_token_type("id_token") {
        false
    } else if token_type_urn == expand_token_type("saml2") {
        true
    } else {
        return Err(unusable(format!(
            "has the token_type \"{}\", known are jwt, id_token and saml2",
            printable::redacted(&token_type_urn)
        )));
    };
    let field = if is_saml { "saml_response" } else { "id_token" };
    let text = Zeroizing::new(fields.required(field).map_err(malformed)?);
    let token = Secret::new(text.trim_ascii());
    match token.len() {
        0 => Err(malformed(format!("{field} is empty"))),
        1..=MAX_SUBJECT_TOKEN_BYTES => Ok(ExecutableResponse { token, is_saml, expires_at }),
        _ => Err(malformed(format!("{field} is longer than {} KiB", MAX_SUBJECT_TOKEN_BYTES / 1024))),
    }
}

/// Checked first: another version may have other fields.
fn check_version(fields: &mut JsonFields) -> Result<(), ResponseError> {
    match fields.value("version") {
        None => Err(malformed("version is missing".to_owned())),
        Some(Value::Number(version)) if version.as_f64() == Some(RESPONSE_VERSION) => Ok(()),
        Some(Value::Number(version)) => {
            Err(unusable(format!("has version {version}, this gauth supports version {RESPONSE_VERSION}")))
        }
        Some(other) => Err(malformed(wrong_type("version", &other, "a number"))),
    }
}

/// The error that the program reports.
fn program_error(fields: &mut JsonFields) -> Result<ResponseError, ResponseError> {
    let code = fields.required("code").map_err(malformed)?;
    let message = fields.required("message").map_err(malformed)?;
    let (code, message) = (printable::redacted(&code), printable::redacted(&message));
    Ok(ResponseError { kind: ResponseErrorKind::ProgramError, message: format!("reports \"{message}\" (code {code})") })
}

fn expiration_time(fields: &mut JsonFields) -> Result<Option<i64>, ResponseError> {
    match fields.value("expiration_time") {
        None => Ok(None),
        // Some programs divide milliseconds by 1000, so there are fractions.
        #[expect(clippy::cast_possible_truncation, reason = "seconds are enough")]
        Some(Value::Number(end)) => Ok(end.as_i64().or_else(|| end.as_f64().map(|end| end as i64))),
        Some(other) => Err(malformed(wrong_type("expiration_time", &other, "a number"))),
    }
}

fn malformed(what: String) -> ResponseError {
    ResponseError { kind: ResponseErrorKind::Malformed, message: format!("is malformed, {what}") }
}

fn unusable(what: String) -> ResponseError {
    ResponseError { kind: ResponseErrorKind::Unusable, message: what }
}

#[cfg(test)]
mod tests {
    use super::ResponseErrorKind::{Malformed, NotJson, ProgramError, Unusable};
    use super::*;

    const NOW: i64 = 1_767_323_045;
    const JWT: &str = r#""token_type":"urn:ietf:params:oauth:token-type:jwt""#;
    const ID: &str = r#""token_type":"urn:ietf:params:oauth:token-type:id_token""#;
    const SAML: &str = r#""token_type":"urn:ietf:params:oauth:token-type:saml2""#;

    /// A response with these fields besides version and success, which stand for `V` and `S`.
    fn expand_shorthand(text: &str) -> String {
        let text = text.replace('V', r#""version":1"#).replace('S', r#""success":true"#);
        text.replace("J:", JWT).replace("I:", ID).replace("L:", SAML)
    }

    #[test]
    fn a_response_has_a_token_of_one_of_two_kinds() {
        for (text, saml, expires_at) in [
            (r#"{V,S,J:,"id_token":"hunter2.b.c"}"#, false, None),
            (r#"{V,S,I:,"id_token":"hunter2.b.c"}"#, false, None),
            (r#"{V,S,L:,"saml_response":"hunter2.b.c"}"#, true, None),
            (r#"{V,S,J:,"id_token":" hunter2.b.c\n"}"#, false, None),
            (r#" {V,S,J:,"id_token":"hunter2.b.c"} "#, false, None),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","saml_response":"x"}"#, false, None),
            (r#"{V,S,L:,"id_token":"x","saml_response":"hunter2.b.c"}"#, true, None),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","more":{"of":["it"]}}"#, false, None),
            (r#"{"version":1.0,S,J:,"id_token":"hunter2.b.c"}"#, false, None),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":null}"#, false, None),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":1767323046}"#, false, Some(NOW + 1)),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":1767323046.7}"#, false, Some(NOW + 1)),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":1e300}"#, false, Some(i64::MAX)),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","code":5,"message":null}"#, false, None),
        ] {
            let text = expand_shorthand(text);
            let read = parse_response(text.as_bytes(), NOW, false).expect(&text);
            assert!(read.token.constant_time_eq(&Secret::new("hunter2.b.c")), "{text}");
            assert_eq!((read.is_saml, read.expires_at), (saml, expires_at), "{text}");
        }
    }

    #[test]
    fn a_response_that_may_be_kept_says_when_it_ends() {
        let read =
            |text: &str| parse_response(expand_shorthand(text).as_bytes(), NOW, true).map(|read| read.expires_at);
        assert_eq!(read(r#"{V,S,J:,"id_token":"a","expiration_time":1767326645}"#), Ok(Some(NOW + 3600)));
        for text in [r#"{V,S,J:,"id_token":"a"}"#, r#"{V,S,J:,"id_token":"a","expiration_time":null}"#, r#"{V,S,J:}"#] {
            let unusable = read(text).expect_err(text);
            assert_eq!(unusable.kind, Unusable, "{text}");
            assert!(unusable.message.contains("no expiration_time"), "{unusable:?}");
        }
    }

    #[test]
    fn what_gives_no_token_says_why_and_repeats_none() {
        let long = format!(r#"{{V,S,J:,"id_token":"{}"}}"#, "hunter2.".repeat(MAX_SUBJECT_TOKEN_BYTES / 8 + 1));
        for (text, kind, what) in [
            ("", NotJson, "is empty"),
            (" \n", NotJson, "is empty"),
            ("hunter2", NotJson, "not valid JSON"),
            ("{\"version\":1", NotJson, "ends in the middle"),
            ("\"hunter2\"", NotJson, "not an object"),
            ("[]", NotJson, "not an object"),
            ("null", NotJson, "not an object"),
            (r#"{V,S,J:,"id_token":"hunter2"} x"#, NotJson, "not valid JSON"),
            (r#"{V,S,J:,"id_token":"hunter2","id_token":"x"}"#, NotJson, "\"id_token\" twice"),
            (r#"{S,J:,"id_token":"hunter2"}"#, Malformed, "version is missing"),
            (r#"{"version":null,S,J:,"id_token":"hunter2"}"#, Malformed, "version is missing"),
            (r#"{"version":"1",S,J:,"id_token":"hunter2"}"#, Malformed, "version is a string"),
            (r#"{"version":[1],S,J:,"id_token":"hunter2"}"#, Malformed, "version is a list"),
            (r#"{"version":2,S,J:,"id_token":"hunter2"}"#, Unusable, "has version 2"),
            (r#"{"version":2}"#, Unusable, "supports version 1"),
            (r#"{"version":0,S,J:,"id_token":"hunter2"}"#, Unusable, "has version 0"),
            (r#"{"version":-1,S}"#, Unusable, "has version -1"),
            (r#"{"version":1.5,S}"#, Unusable, "has version 1.5"),
            (r#"{V,J:,"id_token":"hunter2"}"#, Malformed, "success is missing"),
            (r#"{V,"success":null,J:,"id_token":"hunter2"}"#, Malformed, "success is missing"),
            (r#"{V,"success":"true",J:,"id_token":"hunter2"}"#, Malformed, "success is a string"),
            (r#"{V,"success":1,J:,"id_token":"hunter2"}"#, Malformed, "success is a number"),
            (
                r#"{V,"success":false,"code":"401","message":"Caller not authorized."}"#,
                ProgramError,
                "reports \"Caller not authorized.\" (code 401)",
            ),
            (r#"{V,"success":false,"code":"4\u001b1","message":"a\nb"}"#, ProgramError, "\"a\\nb\" (code 4\\u{1b}1)"),
            (r#"{V,"success":false,"code":"1","message":"ya29.hunter2-hunter2-hunter2"}"#, ProgramError, "[secret "),
            (r#"{V,"success":false,"code":"401"}"#, Malformed, "message is missing"),
            (r#"{V,"success":false,"message":"hunter2"}"#, Malformed, "code is missing"),
            (r#"{V,"success":false,"code":401,"message":"x"}"#, Malformed, "code is a number"),
            (r#"{V,"success":false,"code":"1","message":["x"]}"#, Malformed, "message is a list"),
            (r#"{V,"success":false,"code":"","message":"x"}"#, Malformed, "code is empty"),
            (r#"{V,"success":false,J:,"id_token":"hunter2"}"#, Malformed, "code is missing"),
            (r#"{V,S,"id_token":"hunter2"}"#, Malformed, "token_type is missing"),
            (r#"{V,S,"token_type":"","id_token":"hunter2"}"#, Malformed, "token_type is empty"),
            (r#"{V,S,"token_type":5,"id_token":"hunter2"}"#, Malformed, "token_type is a number"),
            (r#"{V,S,"token_type":"jwt","id_token":"hunter2"}"#, Unusable, "token_type \"jwt\", known"),
            (
                r#"{V,S,"token_type":"urn:ietf:params:oauth:token-type:access_token","id_token":"hunter2"}"#,
                Unusable,
                "access_token\", known",
            ),
            (r#"{V,S,J:,"saml_response":"hunter2"}"#, Malformed, "id_token is missing"),
            (r#"{V,S,I:,"saml_response":"hunter2"}"#, Malformed, "id_token is missing"),
            (r#"{V,S,L:,"id_token":"hunter2"}"#, Malformed, "saml_response is missing"),
            (r#"{V,S,J:,"id_token":""}"#, Malformed, "id_token is empty"),
            (r#"{V,S,J:,"id_token":" \n"}"#, Malformed, "id_token is empty"),
            (r#"{V,S,J:,"id_token":{"hunter2":1}}"#, Malformed, "id_token is an object"),
            (r#"{V,S,L:,"saml_response":null}"#, Malformed, "saml_response is missing"),
            (long.as_str(), Malformed, "longer than 64 KiB"),
            (r#"{V,S,J:,"id_token":"hunter2","expiration_time":1767323045}"#, Unusable, "expired 0 s ago"),
            (r#"{V,S,J:,"id_token":"hunter2","expiration_time":1767319445}"#, Unusable, "expired 3600 s ago"),
            (r#"{V,S,J:,"id_token":"hunter2","expiration_time":-9e300}"#, Unusable, "expired"),
            (
                r#"{V,S,J:,"id_token":"hunter2","expiration_time":"1767326645"}"#,
                Malformed,
                "expiration_time is a string",
            ),
            (r#"{V,S,J:,"id_token":"hunter2","expiration_time":true}"#, Malformed, "true or false"),
        ] {
            let text = expand_shorthand(text);
            let unusable = parse_response(text.as_bytes(), NOW, false).expect_err(&text);
            assert_eq!(unusable.kind, kind, "{text}: {unusable:?}");
            assert!(unusable.message.contains(what), "{text}: {unusable:?}");
            assert!(!unusable.message.contains("hunter2"), "{unusable:?}");
        }
        assert_eq!(parse_response(b"\xff\xfe{}", NOW, false).expect_err("UTF-16").kind, NotJson);
    }

    #[test]
    fn the_samples_are_read() {
        let read = |text: &str| parse_response(text.as_bytes(), NOW, true);
        let oidc = include_str!("../../../../../../tests/data/credentials/executable_response_oidc.json");
        let saml = include_str!("../../../../../../tests/data/credentials/executable_response_saml.json");
        let no = include_str!("../../../../../../tests/data/credentials/executable_response_error.json");
        assert!(read(oidc).is_ok_and(|read| !read.is_saml && read.expires_at == Some(NOW + 3600)));
        assert!(read(saml).is_ok_and(|read| read.is_saml));
        assert_eq!(read(no).expect_err("a refusal").kind, ProgramError);
    }
}
