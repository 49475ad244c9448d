//! Credential access boundaries: a token that is good for some buckets, or parts of them, and nothing else. Read from
//! a file, or built from `--downscope`. What Google would pass over without a word is refused here: the token would
//! open more than was meant.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::cache::KeyDigest;
use crate::error::{Error, Result};
use crate::json;
use crate::printable;

/// The most rules that Google's STS takes.
const MOST_RULES: usize = 10;

/// The longest boundary, and the longest expression in one, in characters.
const LONGEST: usize = 2048;

/// How the one service with boundaries names its resources.
const BUCKETS: &str = "//storage.googleapis.com/projects/_/buckets/";

/// How a permission begins: boundaries know roles only.
const IN_ROLE: &str = "inRole:";

/// The smallest right file.
const FILE_EXAMPLE: &str = r#"{"accessBoundary":{"accessBoundaryRules":[{"availablePermissions":["inRole:roles/storage.objectViewer"],"availableResource":"//storage.googleapis.com/projects/_/buckets/BUCKET"}]}}"#;

/// A right flag.
const FLAG_EXAMPLE: &str = "--downscope objectViewer@BUCKET/PREFIX";

/// A boundary that keeps Google's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// Written in one way, so that two files that say the same make the same token.
    options: String,
}

/// The fields in the order in which they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    available_permissions: Vec<String>,
    available_resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability_condition: Option<Condition>,
}

#[derive(Serialize)]
struct Condition {
    expression: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl Boundary {
    /// Reads the file of a boundary, `{"accessBoundary":{"accessBoundaryRules":[…]}}`.
    ///
    /// # Errors
    /// Malformed, naming `place` and the path of the field.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Boundary> {
        rules_in(bytes)
            .and_then(|rules| Boundary::of_rules(&rules))
            .map_err(|what| Error::malformed(place, what).hint(FILE_EXAMPLE))
    }

    /// Builds a boundary from flags of the form `ROLE@BUCKET[/PREFIX]`, one rule each: a token may do what any of
    /// them allows.
    ///
    /// # Errors
    /// Usage, naming the flag.
    pub fn of_flags(flags: &[String]) -> Result<Boundary> {
        let usage = |what: String| Error::usage(format!("--downscope{what}")).hint(FLAG_EXAMPLE);
        let rule = |flag: &String| {
            rule_of(flag).map_err(|what| usage(format!(" {} {what}", printable::said(flag))))
        };
        let rules = flags.iter().map(rule).collect::<Result<Vec<Rule>>>()?;
        Boundary::of_rules(&rules).map_err(|what| usage(format!(": {what}")))
    }

    /// What holds for the whole.
    fn of_rules(rules: &[Rule]) -> std::result::Result<Boundary, String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Options<'a> {
            access_boundary: AccessBoundary<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct AccessBoundary<'a> {
            access_boundary_rules: &'a [Rule],
        }
        if rules.is_empty() {
            return Err("accessBoundary.accessBoundaryRules has no rule".to_owned());
        }
        if rules.len() > MOST_RULES {
            let count = rules.len();
            return Err(format!(
                "accessBoundary.accessBoundaryRules has {count} rules, {MOST_RULES} at most"
            ));
        }
        let access_boundary = AccessBoundary { access_boundary_rules: rules };
        let options = serde_json::to_string(&Options { access_boundary })
            .map_err(|error| error.to_string())?;
        match options.chars().count() {
            length if length > LONGEST => {
                Err(format!("accessBoundary is {length} characters long, {LONGEST} at most"))
            }
            _ => Ok(Boundary { options }),
        }
    }

    /// The JSON for the field `options` of a token exchange.
    pub fn options(&self) -> &str {
        &self.options
    }

    /// Adds what sets its tokens apart from those of another boundary.
    pub fn identify(&self, digest: &mut KeyDigest) {
        digest.field("access boundary");
        digest.field(&self.options);
    }
}

/// An object of the file and where it is.
struct Object {
    path: String,
    fields: Map<String, Value>,
}

impl Object {
    /// Takes `value` for an object with these fields and no others.
    fn new(path: String, value: Value, known: &[&str]) -> std::result::Result<Object, String> {
        let Value::Object(fields) = value else {
            return Err(json::wrong_type(&path, &value, "an object"));
        };
        let object = Object { path, fields };
        match object.fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let path = object.at(&printable::said(name));
                Err(format!("{path} is unknown, it would be ignored"))
            }
            None => Ok(object),
        }
    }

    /// The path of a field.
    fn at(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    fn needed(&mut self, name: &str) -> std::result::Result<Value, String> {
        self.fields.remove(name).ok_or_else(|| format!("{} is missing", self.at(name)))
    }

    fn needed_list(&mut self, name: &str) -> std::result::Result<Vec<Value>, String> {
        match self.needed(name)? {
            Value::Array(items) => Ok(items),
            other => Err(json::wrong_type(&self.at(name), &other, "a list")),
        }
    }

    fn needed_text(&mut self, name: &str) -> std::result::Result<String, String> {
        let value = self.needed(name)?;
        text(&self.at(name), value)
    }

    /// `null` is no text: a template that was not filled in must not widen a token.
    fn text(&mut self, name: &str) -> std::result::Result<Option<String>, String> {
        self.fields.remove(name).map(|value| text(&self.at(name), value)).transpose()
    }
}

fn text(path: &str, value: Value) -> std::result::Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(json::wrong_type(path, &other, "a string")),
    }
}

fn rules_in(bytes: &[u8]) -> std::result::Result<Vec<Rule>, String> {
    let file = Value::Object(json::object(bytes)?);
    let mut file = Object::new(String::new(), file, &["accessBoundary"])?;
    let boundary = file.needed("accessBoundary")?;
    let mut boundary =
        Object::new("accessBoundary".to_owned(), boundary, &["accessBoundaryRules"])?;
    let rules = boundary.needed_list("accessBoundaryRules")?.into_iter().enumerate();
    rules
        .map(|(at, rule)| rule_in(boundary.at(&format!("accessBoundaryRules[{at}]")), rule))
        .collect()
}

fn rule_in(path: String, rule: Value) -> std::result::Result<Rule, String> {
    let known = ["availablePermissions", "availableResource", "availabilityCondition"];
    let mut rule = Object::new(path, rule, &known)?;
    let permissions = rule.needed_list("availablePermissions")?;
    let permissions_at = rule.at("availablePermissions");
    if permissions.is_empty() {
        return Err(format!("{permissions_at} is empty"));
    }
    let permissions = permissions.into_iter().enumerate();
    let available_permissions = permissions
        .map(|(at, permission)| permission_in(&format!("{permissions_at}[{at}]"), permission))
        .collect::<std::result::Result<_, _>>()?;

    let available_resource = rule.needed_text("availableResource")?;
    let resource_at = rule.at("availableResource");
    match available_resource.strip_prefix(BUCKETS) {
        None => return Err(format!("{resource_at} does not begin with {BUCKETS}")),
        Some(bucket) => bucket_name(bucket).map_err(|what| format!("{resource_at}: {what}"))?,
    }
    let condition_at = rule.at("availabilityCondition");
    let condition = rule.fields.remove("availabilityCondition");
    let condition = condition.map(|condition| condition_in(condition_at, condition));
    let availability_condition = condition.transpose()?;
    Ok(Rule { available_permissions, available_resource, availability_condition })
}

fn permission_in(path: &str, permission: Value) -> std::result::Result<String, String> {
    let permission = text(path, permission)?;
    let Some(role) = permission.strip_prefix(IN_ROLE) else {
        return Err(format!("{path} does not begin with {IN_ROLE}"));
    };
    match is_role(role) {
        true => Ok(permission),
        false => Err(format!("{path}: {}", not_a_role(role))),
    }
}

fn condition_in(path: String, condition: Value) -> std::result::Result<Condition, String> {
    let mut condition = Object::new(path, condition, &["expression", "title", "description"])?;
    let expression = condition.needed_text("expression")?;
    if expression.trim().is_empty() {
        return Err(format!("{} is empty", condition.at("expression")));
    }
    let length = expression.chars().count();
    if length > LONGEST {
        let path = condition.at("expression");
        return Err(format!("{path} is {length} characters long, {LONGEST} at most"));
    }
    let (title, description) = (condition.text("title")?, condition.text("description")?);
    Ok(Condition { expression, title, description })
}

/// The rule of one flag.
fn rule_of(flag: &str) -> std::result::Result<Rule, String> {
    let (role, place) = flag.split_once('@').ok_or("has no @ between role and bucket")?;
    let role = match role {
        role if role.contains('/') => role.to_owned(),
        role if role.contains('.') => format!("roles/{role}"),
        role => format!("roles/storage.{role}"),
    };
    if !is_role(&role) {
        return Err(format!("is wrong, {}", not_a_role(&role)));
    }
    let (bucket, prefix) = match place.split_once('/') {
        Some((bucket, prefix)) => (bucket, Some(prefix)),
        None => (place, None),
    };
    bucket_name(bucket).map_err(|what| format!("is wrong, {what}"))?;
    Ok(Rule {
        available_permissions: vec![format!("{IN_ROLE}{role}")],
        available_resource: format!("{BUCKETS}{bucket}"),
        availability_condition: prefix.map(|prefix| under(bucket, prefix)).transpose()?,
    })
}

/// The condition that an object, or a list of objects, is under a prefix.
fn under(bucket: &str, prefix: &str) -> std::result::Result<Condition, String> {
    if prefix.is_empty() {
        // Perhaps a variable that was not set: the whole bucket must be asked for in so many words.
        return Err("has nothing behind its /, leave that away for the whole bucket".to_owned());
    }
    if prefix.contains(char::is_control) {
        return Err("has a control character in its prefix".to_owned());
    }
    let object = cel_text(&format!("projects/_/buckets/{bucket}/objects/{prefix}"));
    let list = cel_text(prefix);
    Ok(Condition {
        expression: format!(
            "resource.name.startsWith({object}) || \
             api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith({list})"
        ),
        title: None,
        description: None,
    })
}

/// A string literal of the Common Expression Language. Control characters have been refused, all others but these two
/// stand for themselves.
fn cel_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Whether this is the full name of a role: predefined, of a project, or of an organisation.
fn is_role(role: &str) -> bool {
    let is_name = |name: &str| {
        let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.split('.').all(|part| !part.is_empty() && part.bytes().all(of_a_name))
    };
    // The projects of some organisations are called `example.com:project`.
    let is_id = |id: &str| {
        let of_an_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
        !id.is_empty() && id.bytes().all(of_an_id)
    };
    match role.split('/').collect::<Vec<_>>()[..] {
        ["roles", name] => is_name(name),
        ["projects" | "organizations", id, "roles", name] => is_id(id) && is_name(name),
        _ => false,
    }
}

fn not_a_role(role: &str) -> String {
    let shown = printable::said(role);
    format!("\"{shown}\" is not a role like roles/storage.objectViewer or projects/P/roles/R")
}

/// Cloud Storage's rules for names, but for the words it gives to nobody: Google has such buckets itself.
fn bucket_name(name: &str) -> std::result::Result<(), String> {
    let what = match name {
        "" => return Err("the bucket is missing".to_owned()),
        _ if name.len() < 3 => "is shorter than 3 characters",
        _ if name.len() > 63 && !name.contains('.') => "is longer than 63 characters",
        _ if name.len() > 222 => "is longer than 222 characters",
        _ if !name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        }) =>
        {
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
    Err(format!("\"{}\" is not a bucket, it {what}", printable::said(name)))
}

#[cfg(test)]
mod tests;
