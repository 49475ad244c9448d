//! Credential access boundaries: they limit a token to some buckets, or parts of them. Parsed from a file, or built from
//! `--downscope`. What Google would silently ignore is refused here: the token would grant more than was meant.

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::text::{json, printable};
use crate::tokens::cache::CacheKeyHasher;

/// The most rules that Google's STS accepts.
const MAX_RULES: usize = 10;

/// The longest boundary, and the longest expression in one, in characters.
const MAX_LENGTH_CHARS: usize = 2048;

/// The prefix of resources of Cloud Storage, the only service that supports boundaries.
const BUCKET_RESOURCE_PREFIX: &str = "//storage.googleapis.com/projects/_/buckets/";

/// The prefix of permissions: boundaries support roles only.
const ROLE_PERMISSION_PREFIX: &str = "inRole:";

/// The smallest valid file, for hints.
const FILE_EXAMPLE: &str = r#"{"accessBoundary":{"accessBoundaryRules":[{"availablePermissions":["inRole:roles/storage.objectViewer"],"availableResource":"//storage.googleapis.com/projects/_/buckets/BUCKET"}]}}"#;

/// A valid flag, for hints.
const FLAG_EXAMPLE: &str = "--downscope objectViewer@BUCKET/PREFIX";

/// An access boundary that keeps Google's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessBoundary {
    /// JSON in one canonical form, so that files of the same meaning share a cached token.
    options_json: String,
}

/// The fields, in the order of the canonical form.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessBoundaryRule {
    available_permissions: Vec<String>,
    available_resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_condition: Option<AvailabilityCondition>,
}

#[derive(Serialize)]
struct AvailabilityCondition {
    expression: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl AccessBoundary {
    /// Parses a boundary file, `{"accessBoundary":{"accessBoundaryRules":[…]}}`.
    ///
    /// # Errors
    /// `Malformed`, naming `location` and the path of the field.
    pub fn parse(bytes: &[u8], location: &str) -> Result<AccessBoundary> {
        parse_rules(bytes)
            .and_then(|rules| AccessBoundary::from_rules(&rules))
            .map_err(|what| Error::malformed(location, what).hint(FILE_EXAMPLE))
    }

    /// Builds a boundary from flags of the form `ROLE@BUCKET[/PREFIX]`, one rule each: a token may do what any of
    /// them allows.
    ///
    /// # Errors
    /// `Usage`, naming the flag.
    pub fn from_flags(flags: &[String]) -> Result<AccessBoundary> {
        let usage = |what: String| Error::usage(format!("--downscope{what}")).hint(FLAG_EXAMPLE);
        let parse = |flag: &String| {
            rule_from_flag(flag).map_err(|what| usage(format!(" {} {what}", printable::redacted(flag))))
        };
        let rules = flags.iter().map(parse).collect::<Result<Vec<AccessBoundaryRule>>>()?;
        AccessBoundary::from_rules(&rules).map_err(|what| usage(format!(": {what}")))
    }

    /// Checks what the rules must keep together.
    fn from_rules(rules: &[AccessBoundaryRule]) -> std::result::Result<AccessBoundary, String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct BoundaryOptionsJson<'a> {
            access_boundary: AccessBoundaryJson<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct AccessBoundaryJson<'a> {
            access_boundary_rules: &'a [AccessBoundaryRule],
        }
        if rules.is_empty() {
            return Err("accessBoundary.accessBoundaryRules has no rule".to_owned());
        }
        if rules.len() > MAX_RULES {
            let count = rules.len();
            return Err(format!("accessBoundary.accessBoundaryRules has {count} rules, {MAX_RULES} at most"));
        }
        let access_boundary = AccessBoundaryJson { access_boundary_rules: rules };
        let options =
            serde_json::to_string(&BoundaryOptionsJson { access_boundary }).map_err(|error| error.to_string())?;
        match options.chars().count() {
            length if length > MAX_LENGTH_CHARS => {
                Err(format!("accessBoundary is {length} characters long, {MAX_LENGTH_CHARS} at most"))
            }
            _ => Ok(AccessBoundary { options_json: options }),
        }
    }

    /// The JSON for the field `options` of a token exchange.
    pub fn options_json(&self) -> &str {
        &self.options_json
    }

    /// Adds the boundary to a cache key.
    pub fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("access boundary");
        hasher.add_text(&self.options_json);
    }
}

/// An object of the file and its path.
struct JsonObject {
    path: String,
    fields: Map<String, Value>,
}

impl JsonObject {
    /// An object that may have these fields and no others.
    fn new(path: String, value: Value, known_fields: &[&str]) -> std::result::Result<JsonObject, String> {
        let Value::Object(fields) = value else {
            return Err(json::wrong_type(&path, &value, "an object"));
        };
        let object = JsonObject { path, fields };
        match object.fields.keys().find(|name| !known_fields.contains(&name.as_str())) {
            Some(name) => {
                let path = object.field_path(&printable::redacted(name));
                Err(format!("{path} is unknown, it would be ignored"))
            }
            None => Ok(object),
        }
    }

    /// The path of a field.
    fn field_path(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn required(&mut self, name: &str) -> std::result::Result<Value, String> {
        self.fields.remove(name).ok_or_else(|| format!("{} is missing", self.field_path(name)))
    }

    fn required_list(&mut self, name: &str) -> std::result::Result<Vec<Value>, String> {
        match self.required(name)? {
            Value::Array(items) => Ok(items),
            other => Err(json::wrong_type(&self.field_path(name), &other, "a list")),
        }
    }

    fn required_text(&mut self, name: &str) -> std::result::Result<String, String> {
        let value = self.required(name)?;
        expect_string(&self.field_path(name), value)
    }

    /// `null` is an error: a template that was not filled in must not widen a token.
    fn optional_text(&mut self, name: &str) -> std::result::Result<Option<String>, String> {
        self.fields.remove(name).map(|value| expect_string(&self.field_path(name), value)).transpose()
    }
}

fn expect_string(path: &str, value: Value) -> std::result::Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(json::wrong_type(path, &other, "a string")),
    }
}

fn parse_rules(bytes: &[u8]) -> std::result::Result<Vec<AccessBoundaryRule>, String> {
    let file = Value::Object(json::parse_object(bytes)?);
    let mut file = JsonObject::new(String::new(), file, &["accessBoundary"])?;
    let boundary = file.required("accessBoundary")?;
    let mut boundary = JsonObject::new("accessBoundary".to_owned(), boundary, &["accessBoundaryRules"])?;
    let rules = boundary.required_list("accessBoundaryRules")?.into_iter().enumerate();
    rules.map(|(index, rule)| parse_rule(boundary.field_path(&format!("accessBoundaryRules[{index}]")), rule)).collect()
}

fn parse_rule(path: String, rule: Value) -> std::result::Result<AccessBoundaryRule, String> {
    let known = ["availablePermissions", "availableResource", "availabilityCondition"];
    let mut rule = JsonObject::new(path, rule, &known)?;
    let permissions = rule.required_list("availablePermissions")?;
    let permissions_path = rule.field_path("availablePermissions");
    if permissions.is_empty() {
        return Err(format!("{permissions_path} is empty"));
    }
    let permissions = permissions.into_iter().enumerate();
    let available_permissions = permissions
        .map(|(at, permission)| parse_permission(&format!("{permissions_path}[{at}]"), permission))
        .collect::<std::result::Result<_, _>>()?;

    let available_resource = rule.required_text("availableResource")?;
    let resource_path = rule.field_path("availableResource");
    match available_resource.strip_prefix(BUCKET_RESOURCE_PREFIX) {
        None => {
            return Err(format!("{resource_path} does not begin with {BUCKET_RESOURCE_PREFIX}"));
        }
        Some(bucket) => check_bucket_name(bucket).map_err(|what| format!("{resource_path}: {what}"))?,
    }
    let condition_path = rule.field_path("availabilityCondition");
    let condition = rule.fields.remove("availabilityCondition");
    let condition = condition.map(|condition| parse_condition(condition_path, condition));
    let availability_condition = condition.transpose()?;
    Ok(AccessBoundaryRule { available_permissions, available_resource, availability_condition })
}

fn parse_permission(path: &str, permission: Value) -> std::result::Result<String, String> {
    let permission = expect_string(path, permission)?;
    let Some(role) = permission.strip_prefix(ROLE_PERMISSION_PREFIX) else {
        return Err(format!("{path} does not begin with {ROLE_PERMISSION_PREFIX}"));
    };
    match is_full_role_name(role) {
        true => Ok(permission),
        false => Err(format!("{path}: {}", invalid_role_message(role))),
    }
}

fn parse_condition(path: String, condition: Value) -> std::result::Result<AvailabilityCondition, String> {
    let mut condition = JsonObject::new(path, condition, &["expression", "title", "description"])?;
    let expression = condition.required_text("expression")?;
    if expression.trim().is_empty() {
        return Err(format!("{} is empty", condition.field_path("expression")));
    }
    let length = expression.chars().count();
    if length > MAX_LENGTH_CHARS {
        let path = condition.field_path("expression");
        return Err(format!("{path} is {length} characters long, {MAX_LENGTH_CHARS} at most"));
    }
    let (title, description) = (condition.optional_text("title")?, condition.optional_text("description")?);
    Ok(AvailabilityCondition { expression, title, description })
}

/// The rule of one flag.
fn rule_from_flag(flag: &str) -> std::result::Result<AccessBoundaryRule, String> {
    let (role, bucket_and_prefix) = flag.split_once('@').ok_or("has no @ between role and bucket")?;
    let role = match role {
        role if role.contains('/') => role.to_owned(),
        role if role.contains('.') => format!("roles/{role}"),
        role => format!("roles/storage.{role}"),
    };
    if !is_full_role_name(&role) {
        return Err(format!("is wrong, {}", invalid_role_message(&role)));
    }
    let (bucket, prefix) = match bucket_and_prefix.split_once('/') {
        Some((bucket, prefix)) => (bucket, Some(prefix)),
        None => (bucket_and_prefix, None),
    };
    check_bucket_name(bucket).map_err(|what| format!("is wrong, {what}"))?;
    Ok(AccessBoundaryRule {
        available_permissions: vec![format!("{ROLE_PERMISSION_PREFIX}{role}")],
        available_resource: format!("{BUCKET_RESOURCE_PREFIX}{bucket}"),
        availability_condition: prefix.map(|prefix| prefix_condition(bucket, prefix)).transpose()?,
    })
}

/// The condition that an object, or a list of objects, is under a prefix.
fn prefix_condition(bucket: &str, prefix: &str) -> std::result::Result<AvailabilityCondition, String> {
    if prefix.is_empty() {
        // It may come from a variable that is not set: without the slash the whole bucket is meant.
        return Err("has nothing after its /, remove it for the whole bucket".to_owned());
    }
    if prefix.contains(char::is_control) {
        return Err("has a control character in its prefix".to_owned());
    }
    let object = cel_string_literal(&format!("projects/_/buckets/{bucket}/objects/{prefix}"));
    let list = cel_string_literal(prefix);
    Ok(AvailabilityCondition {
        expression: format!(
            "resource.name.startsWith({object}) || \
             api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith({list})"
        ),
        title: None,
        description: None,
    })
}

/// A string literal of the Common Expression Language. Control characters are refused before; of all others only these
/// two need an escape.
fn cel_string_literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Whether this is the full name of a role: predefined, of a project, or of an organisation.
fn is_full_role_name(role: &str) -> bool {
    let is_name = |name: &str| {
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.split('.').all(|part| !part.is_empty() && part.bytes().all(is_name_byte))
    };
    // The projects of some organisations are called `example.com:project`.
    let is_id = |id: &str| {
        let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
        !id.is_empty() && id.bytes().all(is_id_byte)
    };
    match role.split('/').collect::<Vec<_>>()[..] {
        ["roles", name] => is_name(name),
        ["projects" | "organizations", id, "roles", name] => is_id(id) && is_name(name),
        _ => false,
    }
}

fn invalid_role_message(role: &str) -> String {
    let shown = printable::redacted(role);
    format!("\"{shown}\" is not a role like roles/storage.objectViewer or projects/P/roles/R")
}

/// Checks Cloud Storage's rules for bucket names, without its reserved words: Google itself has such buckets.
fn check_bucket_name(name: &str) -> std::result::Result<(), String> {
    let what = match name {
        "" => return Err("the bucket is missing".to_owned()),
        _ if name.len() < 3 => "is shorter than 3 characters",
        _ if name.len() > 63 && !name.contains('.') => "is longer than 63 characters",
        _ if name.len() > 222 => "is longer than 222 characters",
        _ if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)) => {
            "has something else than a-z, 0-9, - . and _"
        }
        _ if !name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            || !name.ends_with(|letter: char| letter.is_ascii_alphanumeric()) =>
        {
            "does not begin and end with a letter or digit"
        }
        _ if name.split('.').any(|part| !(1..=63).contains(&part.len())) => {
            "has a part between dots that is empty or longer than 63 characters"
        }
        _ if name.parse::<std::net::Ipv4Addr>().is_ok() => "is an IP address",
        _ => return Ok(()),
    };
    Err(format!("\"{}\" is not a bucket, it {what}", printable::redacted(name)))
}
