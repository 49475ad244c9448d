//! What a program says of a subject token: JSON of version 1 (AIP-4117).

use serde_json::Value;
use zeroize::Zeroizing;

use crate::credential::external_account::format::LONGEST;
use crate::google::sts::token_type;
use crate::json::{self, Fields, wrong_type};
use crate::printable;
use crate::secret::Secret;

/// The version that is read.
const VERSION: f64 = 1.0;

/// A subject token.
#[derive(Debug)]
pub(crate) struct Response {
    /// The token.
    pub(crate) token: Secret,
    /// Whether it is a SAML response, and no JWT.
    pub(crate) saml: bool,
    /// When it ends, in Unix seconds.
    pub(crate) expires_at: Option<i64>,
}

/// Why a response gives no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is no JSON.
    Junk,
    /// It is JSON that is no response.
    Shape,
    /// It is a response that does not serve: over, of another version, of an unknown type.
    Useless,
    /// The program says no.
    Refusal,
}

/// A response without a token, and what is wrong, as the end of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// In what way it is unusable.
    pub(crate) kind: Kind,
    /// In words; of the response itself they repeat nothing but version, code and message.
    pub(crate) what: String,
}

/// Reads a response. `needs_expiry`: one that does not say when it ends could not be told from one that is over.
///
/// # Errors
/// When there is no token in it that can be used `now`, in Unix seconds.
pub(crate) fn read(bytes: &[u8], now: i64, needs_expiry: bool) -> Result<Response, Unusable> {
    let map = json::object(bytes).map_err(|what| Unusable { kind: Kind::Junk, what })?;
    let mut fields = Fields::new(map);
    check_version(&mut fields)?;
    match fields.flag("success").map_err(shape)? {
        Some(true) => {}
        Some(false) => return Err(refusal(&mut fields)?),
        None => return Err(shape("success is missing".to_owned())),
    }
    let expires_at = expiry(&mut fields)?;
    match expires_at {
        Some(end) if end <= now => {
            let over = now.saturating_sub(end);
            return Err(useless(format!("expired {over} s ago, by this clock")));
        }
        None if needs_expiry => {
            return Err(useless("has no expiration_time, which output_file asks for".to_owned()));
        }
        _ => {}
    }
    let kind = fields.needed("token_type").map_err(shape)?;
    let saml = if kind == token_type("jwt") || kind == token_type("id_token") {
        false
    } else if kind == token_type("saml2") {
        true
    } else {
        return Err(useless(format!(
            "has the token_type \"{}\", known are jwt, id_token and saml2",
            printable::said(&kind)
        )));
    };
    let field = if saml { "saml_response" } else { "id_token" };
    let text = Zeroizing::new(fields.needed(field).map_err(shape)?);
    let token = Secret::new(text.trim_ascii());
    match token.len() {
        0 => Err(shape(format!("{field} is empty"))),
        1..=LONGEST => Ok(Response { token, saml, expires_at }),
        _ => Err(shape(format!("{field} is longer than {} KiB", LONGEST / 1024))),
    }
}

/// Before anything else: another version may have other fields.
fn check_version(fields: &mut Fields) -> Result<(), Unusable> {
    match fields.any("version") {
        None => Err(shape("version is missing".to_owned())),
        Some(Value::Number(version)) if version.as_f64() == Some(VERSION) => Ok(()),
        Some(Value::Number(version)) => {
            Err(useless(format!("has version {version}, this gauth reads version {VERSION}")))
        }
        Some(other) => Err(shape(wrong_type("version", &other, "a number"))),
    }
}

/// The program's own words for a failure.
fn refusal(fields: &mut Fields) -> Result<Unusable, Unusable> {
    let code = fields.needed("code").map_err(shape)?;
    let message = fields.needed("message").map_err(shape)?;
    let (code, message) = (printable::said(&code), printable::said(&message));
    Ok(Unusable { kind: Kind::Refusal, what: format!("says no: \"{message}\" (code {code})") })
}

fn expiry(fields: &mut Fields) -> Result<Option<i64>, Unusable> {
    match fields.any("expiration_time") {
        None => Ok(None),
        // Some programs divide milliseconds by 1000. What is out of range is at the end of time.
        #[expect(clippy::cast_possible_truncation, reason = "seconds are enough")]
        Some(Value::Number(end)) => Ok(end.as_i64().or_else(|| end.as_f64().map(|end| end as i64))),
        Some(other) => Err(shape(wrong_type("expiration_time", &other, "a number"))),
    }
}

fn shape(what: String) -> Unusable {
    Unusable { kind: Kind::Shape, what: format!("is not understood, {what}") }
}

fn useless(what: String) -> Unusable {
    Unusable { kind: Kind::Useless, what }
}

#[cfg(test)]
mod tests {
    use super::Kind::{Junk, Refusal, Shape, Useless};
    use super::*;

    const NOW: i64 = 1_767_323_045;
    const JWT: &str = r#""token_type":"urn:ietf:params:oauth:token-type:jwt""#;
    const ID: &str = r#""token_type":"urn:ietf:params:oauth:token-type:id_token""#;
    const SAML: &str = r#""token_type":"urn:ietf:params:oauth:token-type:saml2""#;

    /// A response with these fields besides version and success, which stand for `V` and `S`.
    fn spelled(text: &str) -> String {
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
            (
                r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":1767323046}"#,
                false,
                Some(NOW + 1),
            ),
            (
                r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":1767323046.7}"#,
                false,
                Some(NOW + 1),
            ),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","expiration_time":1e300}"#, false, Some(i64::MAX)),
            (r#"{V,S,J:,"id_token":"hunter2.b.c","code":5,"message":null}"#, false, None),
        ] {
            let text = spelled(text);
            let read = read(text.as_bytes(), NOW, false).expect(&text);
            assert!(read.token.same_as(&Secret::new("hunter2.b.c")), "{text}");
            assert_eq!((read.saml, read.expires_at), (saml, expires_at), "{text}");
        }
    }

    #[test]
    fn a_response_that_may_be_kept_says_when_it_ends() {
        let read =
            |text: &str| read(spelled(text).as_bytes(), NOW, true).map(|read| read.expires_at);
        assert_eq!(
            read(r#"{V,S,J:,"id_token":"a","expiration_time":1767326645}"#),
            Ok(Some(NOW + 3600))
        );
        for text in [
            r#"{V,S,J:,"id_token":"a"}"#,
            r#"{V,S,J:,"id_token":"a","expiration_time":null}"#,
            r#"{V,S,J:}"#,
        ] {
            let unusable = read(text).expect_err(text);
            assert_eq!(unusable.kind, Useless, "{text}");
            assert!(unusable.what.contains("no expiration_time"), "{unusable:?}");
        }
    }

    #[test]
    fn what_gives_no_token_says_why_and_repeats_none() {
        let long = format!(r#"{{V,S,J:,"id_token":"{}"}}"#, "hunter2.".repeat(LONGEST / 8 + 1));
        for (text, kind, what) in [
            ("", Junk, "is empty"),
            (" \n", Junk, "is empty"),
            ("hunter2", Junk, "not valid JSON"),
            ("{\"version\":1", Junk, "ends in the middle"),
            ("\"hunter2\"", Junk, "not an object"),
            ("[]", Junk, "not an object"),
            ("null", Junk, "not an object"),
            (r#"{V,S,J:,"id_token":"hunter2"} x"#, Junk, "not valid JSON"),
            (r#"{V,S,J:,"id_token":"hunter2","id_token":"x"}"#, Junk, "\"id_token\" twice"),
            (r#"{S,J:,"id_token":"hunter2"}"#, Shape, "version is missing"),
            (r#"{"version":null,S,J:,"id_token":"hunter2"}"#, Shape, "version is missing"),
            (r#"{"version":"1",S,J:,"id_token":"hunter2"}"#, Shape, "version is a string"),
            (r#"{"version":[1],S,J:,"id_token":"hunter2"}"#, Shape, "version is a list"),
            (r#"{"version":2,S,J:,"id_token":"hunter2"}"#, Useless, "has version 2"),
            (r#"{"version":2}"#, Useless, "reads version 1"),
            (r#"{"version":0,S,J:,"id_token":"hunter2"}"#, Useless, "has version 0"),
            (r#"{"version":-1,S}"#, Useless, "has version -1"),
            (r#"{"version":1.5,S}"#, Useless, "has version 1.5"),
            (r#"{V,J:,"id_token":"hunter2"}"#, Shape, "success is missing"),
            (r#"{V,"success":null,J:,"id_token":"hunter2"}"#, Shape, "success is missing"),
            (r#"{V,"success":"true",J:,"id_token":"hunter2"}"#, Shape, "success is a string"),
            (r#"{V,"success":1,J:,"id_token":"hunter2"}"#, Shape, "success is a number"),
            (
                r#"{V,"success":false,"code":"401","message":"Caller not authorized."}"#,
                Refusal,
                "says no: \"Caller not authorized.\" (code 401)",
            ),
            (
                r#"{V,"success":false,"code":"4\u001b1","message":"a\nb"}"#,
                Refusal,
                "\"a\\nb\" (code 4\\u{1b}1)",
            ),
            (
                r#"{V,"success":false,"code":"1","message":"ya29.hunter2-hunter2-hunter2"}"#,
                Refusal,
                "[secret ",
            ),
            (r#"{V,"success":false,"code":"401"}"#, Shape, "message is missing"),
            (r#"{V,"success":false,"message":"hunter2"}"#, Shape, "code is missing"),
            (r#"{V,"success":false,"code":401,"message":"x"}"#, Shape, "code is a number"),
            (r#"{V,"success":false,"code":"1","message":["x"]}"#, Shape, "message is a list"),
            (r#"{V,"success":false,"code":"","message":"x"}"#, Shape, "code is empty"),
            (r#"{V,"success":false,J:,"id_token":"hunter2"}"#, Shape, "code is missing"),
            (r#"{V,S,"id_token":"hunter2"}"#, Shape, "token_type is missing"),
            (r#"{V,S,"token_type":"","id_token":"hunter2"}"#, Shape, "token_type is empty"),
            (r#"{V,S,"token_type":5,"id_token":"hunter2"}"#, Shape, "token_type is a number"),
            (
                r#"{V,S,"token_type":"jwt","id_token":"hunter2"}"#,
                Useless,
                "token_type \"jwt\", known",
            ),
            (
                r#"{V,S,"token_type":"urn:ietf:params:oauth:token-type:access_token","id_token":"hunter2"}"#,
                Useless,
                "access_token\", known",
            ),
            (r#"{V,S,J:,"saml_response":"hunter2"}"#, Shape, "id_token is missing"),
            (r#"{V,S,I:,"saml_response":"hunter2"}"#, Shape, "id_token is missing"),
            (r#"{V,S,L:,"id_token":"hunter2"}"#, Shape, "saml_response is missing"),
            (r#"{V,S,J:,"id_token":""}"#, Shape, "id_token is empty"),
            (r#"{V,S,J:,"id_token":" \n"}"#, Shape, "id_token is empty"),
            (r#"{V,S,J:,"id_token":{"hunter2":1}}"#, Shape, "id_token is an object"),
            (r#"{V,S,L:,"saml_response":null}"#, Shape, "saml_response is missing"),
            (long.as_str(), Shape, "longer than 64 KiB"),
            (
                r#"{V,S,J:,"id_token":"hunter2","expiration_time":1767323045}"#,
                Useless,
                "expired 0 s ago",
            ),
            (
                r#"{V,S,J:,"id_token":"hunter2","expiration_time":1767319445}"#,
                Useless,
                "expired 3600 s ago",
            ),
            (r#"{V,S,J:,"id_token":"hunter2","expiration_time":-9e300}"#, Useless, "expired"),
            (
                r#"{V,S,J:,"id_token":"hunter2","expiration_time":"1767326645"}"#,
                Shape,
                "expiration_time is a string",
            ),
            (r#"{V,S,J:,"id_token":"hunter2","expiration_time":true}"#, Shape, "true or false"),
        ] {
            let text = spelled(text);
            let unusable = read(text.as_bytes(), NOW, false).expect_err(&text);
            assert_eq!(unusable.kind, kind, "{text}: {unusable:?}");
            assert!(unusable.what.contains(what), "{text}: {unusable:?}");
            assert!(!unusable.what.contains("hunter2"), "{unusable:?}");
        }
        assert_eq!(read(b"\xff\xfe{}", NOW, false).expect_err("UTF-16").kind, Junk);
    }

    #[test]
    fn the_samples_are_read() {
        let read = |text: &str| read(text.as_bytes(), NOW, true);
        let oidc = include_str!("../../../../tests/data/credentials/executable_response_oidc.json");
        let saml = include_str!("../../../../tests/data/credentials/executable_response_saml.json");
        let no = include_str!("../../../../tests/data/credentials/executable_response_error.json");
        assert!(read(oidc).is_ok_and(|read| !read.saml && read.expires_at == Some(NOW + 3600)));
        assert!(read(saml).is_ok_and(|read| read.saml));
        assert_eq!(read(no).expect_err("a refusal").kind, Refusal);
    }
}
