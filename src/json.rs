//! JSON from outside, read strictly: no repeated keys, no deep nesting, and errors that name the field.

use std::fmt;
use std::path::PathBuf;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::secret::Secret;

/// Deepest nesting that is read.
const DEEPEST: u8 = 64;

/// Longest text of a field, in bytes: more than any key, token or chain of certificates.
const LONGEST: usize = 64 * 1024;

/// Longest path of a file, in bytes: what Linux takes.
const LONGEST_PATH: usize = 4096;

/// Reads one JSON object and nothing behind it. A byte order mark is skipped.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the file's or the server's name. No content is
/// repeated but the name of a repeated key.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".to_owned());
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err("is not UTF-8 text".to_owned());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(|error| explain(&error))?;
    reader.end().map_err(|error| explain(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("is JSON, but not an object".to_owned()),
    }
}

/// serde_json's reasons repeat no content, but ours for repeated keys come with a position as well.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.starts_with(REPEATED) || text.starts_with(NESTED) {
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
pub const REPEATED: &str = "has the key ";
const NESTED: &str = "is nested deeper than ";

/// Reads any value, counting depth and refusing repeated keys.
struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: de::Error>(&self) -> Result<Strict, E> {
        match self.depth < DEEPEST {
            true => Ok(Strict { depth: self.depth + 1 }),
            false => Err(E::custom(format!("{NESTED}{DEEPEST} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
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
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.deeper()?)?;
            if map.contains_key(&key) {
                let key = crate::printable::said(&key);
                return Err(de::Error::custom(format!("{REPEATED}\"{key}\" twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The fields of an object, taken out one by one; what is wrong with one is said with its name.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of this object.
    pub fn new(map: Map<String, Value>) -> Fields {
        Fields(map)
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
            Some(Value::String(text)) => within_limit(name, text).map(Some),
            Some(other) => Err(wrong_type(name, &other, "a string")),
        }
    }

    /// Takes a text that must be there and not be empty.
    ///
    /// # Errors
    /// When it is missing, empty, too long or of another type.
    pub fn needed(&mut self, name: &str) -> Result<String, String> {
        match self.text(name)? {
            Some(text) if text.is_empty() => Err(format!("{name} is empty")),
            Some(text) => Ok(text),
            None => Err(format!("{name} is missing")),
        }
    }

    /// Takes a text into custody.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn secret(&mut self, name: &str) -> Result<Option<Secret>, String> {
        Ok(self.text(name)?.map(Secret::new))
    }

    /// Takes a text that must be there into custody.
    ///
    /// # Errors
    /// When it is missing, empty or of another type.
    pub fn needed_secret(&mut self, name: &str) -> Result<Secret, String> {
        self.needed(name).map(Secret::new)
    }

    /// Takes the path of a file; an empty one is none.
    ///
    /// # Errors
    /// When it is of another type, or could not be opened wherever it leads.
    pub fn path(&mut self, name: &str) -> Result<Option<PathBuf>, String> {
        let path = self.text(name)?.filter(|path| !path.is_empty());
        path.map(|path| path_of(name, path)).transpose()
    }

    /// Takes the path of a file that must be named.
    ///
    /// # Errors
    /// When it is missing or empty, and as for [`Fields::path`].
    pub fn needed_path(&mut self, name: &str) -> Result<PathBuf, String> {
        self.needed(name).and_then(|path| path_of(name, path))
    }

    /// Takes a list of texts, or one text with spaces between the words.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn words(&mut self, name: &str) -> Result<Option<Vec<String>>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                let text = within_limit(name, text)?;
                Ok(Some(text.split_whitespace().map(str::to_owned).collect()))
            }
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => within_limit(&format!("an item of {name}"), text),
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
    pub fn object(&mut self, name: &str) -> Result<Option<Fields>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields(map))),
            Some(other) => Err(wrong_type(name, &other, "an object")),
        }
    }

    /// Takes a whole number from a range.
    ///
    /// # Errors
    /// When it is of another type, or outside the range.
    pub fn number(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, String> {
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
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong_type(name, &other, "true or false")),
        }
    }

    /// Takes any value.
    pub fn any(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// What has not been taken.
    pub fn rest(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Drop for Fields {
    /// Unknown fields may hold secrets too.
    fn drop(&mut self) {
        for (_, value) in self.0.iter_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

fn within_limit(name: &str, text: String) -> Result<String, String> {
    match text.len() > LONGEST {
        true => Err(format!("{name} is longer than 64 KiB")),
        false => Ok(text),
    }
}

fn path_of(name: &str, path: String) -> Result<PathBuf, String> {
    if path.contains('\0') {
        return Err(format!("{name} has a NUL character"));
    }
    match path.len() > LONGEST_PATH {
        true => Err(format!("{name} is longer than {LONGEST_PATH} bytes")),
        false => Ok(PathBuf::from(path)),
    }
}

/// Says that the field `name` is of another type than `wanted`, "a string".
pub fn wrong_type(name: &str, value: &Value, wanted: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("{name} is {found} where {wanted} is needed")
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
            let error = object(text.as_bytes()).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(object(b"\xff\xfe{\0}\0").expect_err("utf-16"), "is not UTF-8 text");
        assert!(object(b"\xef\xbb\xbf{\"a\":[1,2.5,null,true]} \n").is_ok());
    }

    #[test]
    fn wrong_types_name_the_field() {
        let map = object(br#"{"a":5,"b":"","c":null,"d":["x",1],"e":"x  y","f":{}}"#).expect("map");
        let mut fields = Fields::new(map);
        assert_eq!(fields.text("a"), Err("a is a number where a string is needed".to_owned()));
        assert_eq!(fields.needed("b"), Err("b is empty".to_owned()));
        assert_eq!(fields.needed("c"), Err("c is missing".to_owned()));
        assert!(fields.words("d").expect_err("type").starts_with("an item of d is a number"));
        assert_eq!(fields.words("e"), Ok(Some(vec!["x".to_owned(), "y".to_owned()])));
        assert!(fields.words("f").expect_err("type").contains("an object"));
    }

    #[test]
    fn what_is_too_long_names_the_field() {
        let long = |length| object(format!("{{\"a\":\"{}\"}}", "x".repeat(length)).as_bytes());
        let fields = |length| Fields::new(long(length).expect("map"));
        assert!(fields(LONGEST).text("a").is_ok() && fields(LONGEST_PATH).path("a").is_ok());
        let too_long = Err("a is longer than 64 KiB".to_owned());
        assert_eq!(fields(LONGEST + 1).text("a"), too_long);
        assert!(fields(LONGEST + 1).words("a").is_err());
        assert_eq!(
            fields(LONGEST_PATH + 1).path("a"),
            Err("a is longer than 4096 bytes".to_owned())
        );
    }
}
