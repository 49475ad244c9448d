//! Credential Access Boundaries: what may be in one.

use serde_json::{Map, Value};

/// The longest boundary, and the longest expression in it, in characters.
const LONGEST: usize = 2048;
/// Most rules of a boundary.
const MOST_RULES: usize = 10;
/// The resources that can be named: buckets.
const BUCKETS: &str = "//storage.googleapis.com/projects/_/buckets/";

/// Whether Google would take the value of `accessBoundary`.
///
/// # Errors
/// What is wrong, as the end of a sentence.
pub(super) fn check(boundary: &Value) -> Result<(), String> {
    if boundary.to_string().chars().count() > LONGEST {
        return Err(format!("it has more than {LONGEST} characters"));
    }
    let rules = members(boundary, &["accessBoundaryRules"])?.get("accessBoundaryRules");
    let rules = rules.and_then(Value::as_array).ok_or("accessBoundaryRules is missing")?;
    if !(1..=MOST_RULES).contains(&rules.len()) {
        return Err(format!("there must be 1 to {MOST_RULES} rules"));
    }
    rules.iter().try_for_each(rule)
}

fn rule(rule: &Value) -> Result<(), String> {
    let known = ["availableResource", "availablePermissions", "availabilityCondition"];
    let rule = members(rule, &known)?;
    let resource = rule.get("availableResource").and_then(Value::as_str).unwrap_or_default();
    let bucket = resource.strip_prefix(BUCKETS).unwrap_or_default();
    if bucket.is_empty() || bucket.contains('/') {
        return Err("availableResource is not a bucket".to_owned());
    }
    let permissions = rule.get("availablePermissions").and_then(Value::as_array);
    let is_role = |permission: &Value| {
        permission
            .as_str()
            .and_then(|text| text.strip_prefix("inRole:"))
            .is_some_and(|role| role.contains("roles/") && !role.ends_with('/'))
    };
    if !permissions.is_some_and(|all| !all.is_empty() && all.iter().all(is_role)) {
        return Err("availablePermissions is not a list of inRole:ROLE".to_owned());
    }
    rule.get("availabilityCondition").map_or(Ok(()), condition)
}

fn condition(condition: &Value) -> Result<(), String> {
    let condition = members(condition, &["expression", "title", "description"])?;
    if condition.values().any(|value| !value.is_string()) {
        return Err("availabilityCondition has a member that is no text".to_owned());
    }
    let expression = condition.get("expression").and_then(Value::as_str).unwrap_or_default();
    match (1..=LONGEST).contains(&expression.chars().count()) {
        true => Ok(()),
        false => Err(format!("expression must have 1 to {LONGEST} characters")),
    }
}

fn members<'a>(value: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let members = value.as_object().ok_or("an object is needed")?;
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("unknown name {name}")),
        None => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Value {
        json!({
            "availableResource": format!("{BUCKETS}b"),
            "availablePermissions": ["inRole:roles/storage.objectViewer"],
            "availabilityCondition": { "expression": "true", "title": "t" },
        })
    }

    /// Short, so that many of them are not too long together.
    fn many(count: usize) -> Value {
        let mut rule = good();
        rule.as_object_mut().expect("object").remove("availabilityCondition");
        json!({ "accessBoundaryRules": vec![rule; count] })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut rule = good();
        rule[name] = value;
        json!({ "accessBoundaryRules": [rule] })
    }

    #[test]
    fn a_boundary_restricts_to_roles_in_buckets() {
        assert_eq!(check(&many(10)), Ok(()));
        let sample =
            include_bytes!("../../../../tests/data/credentials/credential_access_boundary.json");
        let sample = crate::json::object(sample).expect("sample");
        assert_eq!(check(&sample["accessBoundary"]), Ok(()));
        for (bad, words) in [
            (json!([]), "an object"),
            (json!({}), "is missing"),
            (json!({ "accessBoundaryRules": [] }), "1 to 10"),
            (many(11), "1 to 10"),
            (json!({ "accessBoundaryRules": [1] }), "an object"),
            (json!({ "accessBoundaryRules": [good()], "x": 1 }), "unknown name x"),
            (with("availableResource", json!(BUCKETS)), "not a bucket"),
            (with("availableResource", json!("//storage.googleapis.com/b")), "not a bucket"),
            (with("availablePermissions", json!([])), "inRole"),
            (with("availablePermissions", json!(["roles/viewer"])), "inRole"),
            (with("availabilityCondition", json!({ "title": "t" })), "expression"),
            (with("availabilityCondition", json!({ "expression": 1 })), "no text"),
            (with("availabilityCondition", json!("x".repeat(2048))), "more than 2048"),
            (with("condition", json!(1)), "unknown name condition"),
        ] {
            let error = check(&bad).expect_err(words);
            assert!(error.contains(words), "{error} for {words}");
        }
    }
}
