//! Subject tokens in the content of a file or a response: the whole text, or a field of a JSON object.

use crate::text::json;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;

/// Longest subject token, in bytes; also the longest file or response with one.
pub const MAX_SUBJECT_TOKEN_BYTES: usize = 64 * 1024;

/// Longest name of the field with the token, in bytes.
const MAX_FIELD_NAME_BYTES: usize = 256;

/// The format of the content (`format.type`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectTokenFormat {
    /// The content is the token.
    Text,
    /// The content is a JSON object, and this field of it the token.
    Json(String),
}

impl SubjectTokenFormat {
    /// Parses `format` of a source.
    ///
    /// # Errors
    /// What is malformed, naming the field.
    pub fn parse(source: &mut JsonFields) -> Result<SubjectTokenFormat, String> {
        let Some(mut format) = source.object("format")? else {
            return Ok(SubjectTokenFormat::Text);
        };
        let within = |what: String| format!("format.{what}");
        match format.text("type").map_err(within)?.as_deref() {
            None | Some("" | "text") => Ok(SubjectTokenFormat::Text),
            Some("json") => {
                let field = "subject_token_field_name";
                let name = format.required(field).map_err(within)?;
                match name.chars().any(char::is_control) || name.len() > MAX_FIELD_NAME_BYTES {
                    false => Ok(SubjectTokenFormat::Json(name)),
                    true => Err(within(format!(
                        "{field} has a control character, or more than {MAX_FIELD_NAME_BYTES} bytes"
                    ))),
                }
            }
            Some(_) => Err("format.type is neither text nor json".to_owned()),
        }
    }

    /// The token in `bytes`. White space around it is removed: no token ends in it, and an STS refuses it.
    ///
    /// # Errors
    /// What is malformed, as the end of a sentence that begins with the file's or server's name.
    pub fn extract_token(&self, bytes: &[u8]) -> Result<Secret, String> {
        let token = match self {
            SubjectTokenFormat::Text => {
                let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
                Secret::new(text.trim_ascii())
            }
            SubjectTokenFormat::Json(field) => {
                let mut fields = JsonFields::new(json::parse_object(bytes)?);
                let name = crate::text::printable::text(field);
                match fields.text(field)? {
                    Some(text) => Secret::new(text.trim_ascii()),
                    None => return Err(format!("has no field {name}")),
                }
            }
        };
        match token.is_empty() {
            true => Err("holds no token, it is empty".to_owned()),
            false => Ok(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_text_or_a_field_without_the_space_around_it() {
        let json = SubjectTokenFormat::Json("t".to_owned());
        let read = |format: &SubjectTokenFormat, text: &str| {
            format.extract_token(text.as_bytes()).map(|token| token.constant_time_eq(&Secret::new("ab.c")))
        };
        assert_eq!(read(&SubjectTokenFormat::Text, " ab.c\r\n"), Ok(true));
        assert_eq!(read(&json, "{\"t\":\"ab.c\\n\",\"u\":1}"), Ok(true));
        for (format, text, what) in [
            (&SubjectTokenFormat::Text, " \n", "is empty"),
            (&json, "ab.c", "not valid JSON"),
            (&json, "{\"u\":\"ab.c\"}", "has no field t"),
            (&json, "{\"t\":5}", "t is a number"),
            (&json, "{\"t\":\"\"}", "is empty"),
            (&json, "[]", "not an object"),
        ] {
            let error = read(format, text).expect_err(text);
            assert!(error.contains(what) && !error.contains("ab.c"), "{text}: {error}");
        }
        assert_eq!(read(&SubjectTokenFormat::Text, "\u{0}x").map(|_| ()), Ok(()));
        assert!(SubjectTokenFormat::Text.extract_token(b"\xff\xfe").is_err());
    }
}
