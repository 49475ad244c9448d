//! JSON from outside, read strictly: no repeated keys, no deep nesting, and errors that name the field.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::text::secret::Secret;

/// Deepest nesting that is read.
const MAX_DEPTH: u8 = 64;

/// Longest text of a field, in bytes: more than any key, token or chain of certificates.
const MAX_STRING_BYTES: usize = 64 * 1024;

/// Longest path of a file, in bytes: what Linux takes.
const MAX_PATH_BYTES: usize = 4096;

/// Reads one JSON object and nothing behind it. A byte order mark is skipped.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the file's or the server's name. No content is
/// repeated but the name of a repeated key.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".to_owned());
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err("is not UTF-8 text".to_owned());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = StrictValueReader { depth: 0 }.deserialize(&mut reader).map_err(|error| error_message(&error))?;
    reader.end().map_err(|error| error_message(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("is JSON, but not an object".to_owned()),
    }
}

/// Reads one JSON object that is a secret as a whole.
///
/// # Errors
/// As [`parse_object`].
pub fn parse_secret_object(text: &Secret) -> Result<Map<String, Value>, String> {
    parse_object(text.expose().as_bytes())
}

/// serde_json's reasons repeat no content, but ours for repeated keys come with a position as well.
fn error_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.starts_with(DUPLICATE_KEY_PREFIX) || text.starts_with(TOO_DEEP_PREFIX) {
        true => text.split(" at line ").next().unwrap_or(&text).to_owned(),
        false => {
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Eof => "ends in the middle of its JSON",
                _ => "is not valid JSON",
            };
            format!("{what}, line {line} column {column}")
        }
    }
}

/// How the reason begins when an object has a key twice.
pub const DUPLICATE_KEY_PREFIX: &str = "has the key ";
const TOO_DEEP_PREFIX: &str = "is nested deeper than ";

/// Reads any value, counting depth and refusing repeated keys.
struct StrictValueReader {
    depth: u8,
}

impl StrictValueReader {
    fn nested<E: de::Error>(&self) -> Result<StrictValueReader, E> {
        match self.depth < MAX_DEPTH {
            true => Ok(StrictValueReader { depth: self.depth + 1 }),
            false => Err(E::custom(format!("{TOO_DEEP_PREFIX}{MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for StrictValueReader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValueReader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.nested()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.nested()?)?;
            if map.contains_key(&key) {
                let key = crate::text::printable::redacted(&key);
                return Err(de::Error::custom(format!("{DUPLICATE_KEY_PREFIX}\"{key}\" twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The fields of an object, taken out one by one; errors name the field.
pub struct JsonFields(Map<String, Value>);

impl JsonFields {
    /// The fields of this object.
    pub fn new(map: Map<String, Value>) -> JsonFields {
        JsonFields(map)
    }

    /// Whether the field is there and not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a text; `null` and absent are `None`.
    ///
    /// # Errors
    /// When it is of another type, or longer than 64 KiB.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => check_length(name, text).map(Some),
            Some(other) => Err(wrong_type(name, &other, "a string")),
        }
    }

    /// Takes a text; `null`, absent and empty are `None`.
    ///
    /// # Errors
    /// As [`JsonFields::text`].
    pub fn non_empty_text(&mut self, name: &str) -> Result<Option<String>, String> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// Takes a text that must be there and not be empty.
    ///
    /// # Errors
    /// When it is missing, empty, too long or of another type.
    pub fn required(&mut self, name: &str) -> Result<String, String> {
        match self.text(name)? {
            Some(text) if text.is_empty() => Err(format!("{name} is empty")),
            Some(text) => Ok(text),
            None => Err(format!("{name} is missing")),
        }
    }

    /// Takes a secret; `null`, absent and empty are `None`.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn secret(&mut self, name: &str) -> Result<Option<Secret>, String> {
        Ok(self.non_empty_text(name)?.map(Secret::new))
    }

    /// Takes a text that must be there into custody.
    ///
    /// # Errors
    /// When it is missing, empty or of another type.
    pub fn required_secret(&mut self, name: &str) -> Result<Secret, String> {
        self.required(name).map(Secret::new)
    }

    /// Takes the path of a file; an empty one is none.
    ///
    /// # Errors
    /// When it is of another type, or could not be opened wherever it leads.
    pub fn path(&mut self, name: &str) -> Result<Option<PathBuf>, String> {
        let path = self.non_empty_text(name)?;
        path.map(|path| check_path(name, path)).transpose()
    }

    /// Takes the path of a file that must be named.
    ///
    /// # Errors
    /// When it is missing or empty, and as for [`Fields::path`].
    pub fn required_path(&mut self, name: &str) -> Result<PathBuf, String> {
        self.required(name).and_then(|path| check_path(name, path))
    }

    /// Takes a list of texts, or one text with spaces between the words.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn string_list(&mut self, name: &str) -> Result<Option<Vec<String>>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                let text = check_length(name, text)?;
                Ok(Some(text.split_whitespace().map(str::to_owned).collect()))
            }
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => check_length(&format!("an item of {name}"), text),
                    other => Err(wrong_type(&format!("an item of {name}"), &other, "a string")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(wrong_type(name, &other, "a list of strings")),
        }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn object(&mut self, name: &str) -> Result<Option<JsonFields>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(JsonFields(map))),
            Some(other) => Err(wrong_type(name, &other, "an object")),
        }
    }

    /// Takes a whole number from a range.
    ///
    /// # Errors
    /// When it is of another type, or outside the range.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u32>) -> Result<Option<u32>, String> {
        let value = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(other) => return Err(wrong_type(name, &other, "a number")),
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{name} is not from {} to {}", range.start(), range.end())),
        }
    }

    /// Takes `true` or `false`.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(name, &other, "true or false")),
        }
    }

    /// Takes a field of any type out of the object.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// What has not been taken.
    pub fn remaining(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Drop for JsonFields {
    /// Unknown fields may hold secrets too.
    fn drop(&mut self) {
        for (_, value) in self.0.iter_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

fn check_length(name: &str, text: String) -> Result<String, String> {
    match text.len() > MAX_STRING_BYTES {
        true => Err(format!("{name} is longer than 64 KiB")),
        false => Ok(text),
    }
}

fn check_path(name: &str, path: String) -> Result<PathBuf, String> {
    if path.contains('\0') {
        return Err(format!("{name} has a NUL character"));
    }
    match path.len() > MAX_PATH_BYTES {
        true => Err(format!("{name} is longer than {MAX_PATH_BYTES} bytes")),
        false => Ok(PathBuf::from(path)),
    }
}

/// The error for the field `name` of another type than `wanted`, such as "a string".
pub fn wrong_type(name: &str, value: &Value, expected: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("{name} is {found} where {expected} is needed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_without_repeating_content() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
        for (text, words) in [
            ("", "is empty"),
            ("  \n", "is empty"),
            ("[1]", "not an object"),
            ("\"hunter2\"", "not an object"),
            ("{\"a\":\"hunter2\",\"a\":1}", "has the key \"a\" twice"),
            ("{\"x\":{\"a\":1,\"a\":1}}", "has the key \"a\" twice"),
            ("{\"a\":\"hunter2", "ends in the middle"),
            ("{\"a\":hunter2}", "is not valid JSON, line 1 column"),
            ("{} {}", "is not valid JSON"),
            (deep.as_str(), "nested deeper than 64"),
        ] {
            let error = parse_object(text.as_bytes()).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(parse_object(b"\xff\xfe{\0}\0").expect_err("utf-16"), "is not UTF-8 text");
        assert!(parse_object(b"\xef\xbb\xbf{\"a\":[1,2.5,null,true]} \n").is_ok());
    }

    #[test]
    fn wrong_types_name_the_field() {
        let map = parse_object(br#"{"a":5,"b":"","c":null,"d":["x",1],"e":"x  y","f":{}}"#).expect("map");
        let mut fields = JsonFields::new(map);
        assert_eq!(fields.text("a"), Err("a is a number where a string is needed".to_owned()));
        assert_eq!(fields.required("b"), Err("b is empty".to_owned()));
        assert_eq!(fields.required("c"), Err("c is missing".to_owned()));
        assert!(fields.string_list("d").expect_err("type").starts_with("an item of d is a number"));
        assert_eq!(fields.string_list("e"), Ok(Some(vec!["x".to_owned(), "y".to_owned()])));
        assert!(fields.string_list("f").expect_err("type").contains("an object"));
    }

    #[test]
    fn what_is_too_long_names_the_field() {
        let long = |length| parse_object(format!("{{\"a\":\"{}\"}}", "x".repeat(length)).as_bytes());
        let fields = |length| JsonFields::new(long(length).expect("map"));
        assert!(fields(MAX_STRING_BYTES).text("a").is_ok() && fields(MAX_PATH_BYTES).path("a").is_ok());
        let too_long = Err("a is longer than 64 KiB".to_owned());
        assert_eq!(fields(MAX_STRING_BYTES + 1).text("a"), too_long);
        assert!(fields(MAX_STRING_BYTES + 1).string_list("a").is_err());
        assert_eq!(fields(MAX_PATH_BYTES + 1).path("a"), Err("a is longer than 4096 bytes".to_owned()));
    }
}
