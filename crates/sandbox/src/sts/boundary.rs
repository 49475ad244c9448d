//! Validating Credential Access Boundaries.

use serde_json::{Map, Value};

/// The greatest length of a boundary, and of a condition's expression, in characters.
const MAX_CHARS: usize = 2048;
/// The greatest number of rules in a boundary.
const MAX_RULES: usize = 10;
/// The prefix of the resources that a rule can name, which are buckets.
const BUCKET_RESOURCE_PREFIX: &str = "//storage.googleapis.com/projects/_/buckets/";

/// Validates the value of `accessBoundary` as Google does.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(crate) fn validate_boundary(boundary: &Value) -> Result<(), String> {
    if boundary.to_string().chars().count() > MAX_CHARS {
        return Err(format!("it has more than {MAX_CHARS} characters"));
    }
    let rules = object_with_names(boundary, &["accessBoundaryRules"])?.get("accessBoundaryRules");
    let rules = rules.and_then(Value::as_array).ok_or("accessBoundaryRules is missing")?;
    if !(1..=MAX_RULES).contains(&rules.len()) {
        return Err(format!("there must be 1 to {MAX_RULES} rules"));
    }
    rules.iter().try_for_each(validate_rule)
}

fn validate_rule(rule: &Value) -> Result<(), String> {
    let known = ["availableResource", "availablePermissions", "availabilityCondition"];
    let rule = object_with_names(rule, &known)?;
    let resource = rule.get("availableResource").and_then(Value::as_str).unwrap_or_default();
    let bucket = resource.strip_prefix(BUCKET_RESOURCE_PREFIX).unwrap_or_default();
    if bucket.is_empty() || bucket.contains('/') {
        return Err("availableResource is not a Cloud Storage bucket".to_owned());
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
    rule.get("availabilityCondition").map_or(Ok(()), validate_condition)
}

fn validate_condition(condition: &Value) -> Result<(), String> {
    let condition = object_with_names(condition, &["expression", "title", "description"])?;
    if condition.values().any(|value| !value.is_string()) {
        return Err("availabilityCondition has a member that is not a string".to_owned());
    }
    let expression = condition.get("expression").and_then(Value::as_str).unwrap_or_default();
    match (1..=MAX_CHARS).contains(&expression.chars().count()) {
        true => Ok(()),
        false => Err(format!("expression must have 1 to {MAX_CHARS} characters")),
    }
}

fn object_with_names<'a>(value: &'a Value, allowed: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let members = value.as_object().ok_or("an object is needed")?;
    match members.keys().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => Err(format!("unknown name {name}")),
        None => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn valid_rule() -> Value {
        json!({
            "availableResource": format!("{BUCKET_RESOURCE_PREFIX}b"),
            "availablePermissions": ["inRole:roles/storage.objectViewer"],
            "availabilityCondition": { "expression": "true", "title": "t" },
        })
    }

    /// Rules without a condition, so that many of them stay below the greatest length.
    fn boundary_with_rules(count: usize) -> Value {
        let mut rule = valid_rule();
        rule.as_object_mut().expect("object").remove("availabilityCondition");
        json!({ "accessBoundaryRules": vec![rule; count] })
    }

    fn boundary_with_member(name: &str, value: Value) -> Value {
        let mut rule = valid_rule();
        rule[name] = value;
        json!({ "accessBoundaryRules": [rule] })
    }

    #[test]
    fn boundaries_allow_only_roles_on_buckets() {
        assert_eq!(validate_boundary(&boundary_with_rules(10)), Ok(()));
        let sample = include_bytes!("../../../../tests/data/credentials/credential_access_boundary.json");
        let sample = gauth_core::text::json::parse_object(sample).expect("sample");
        assert_eq!(validate_boundary(&sample["accessBoundary"]), Ok(()));
        for (bad, words) in [
            (json!([]), "an object"),
            (json!({}), "is missing"),
            (json!({ "accessBoundaryRules": [] }), "1 to 10"),
            (boundary_with_rules(11), "1 to 10"),
            (json!({ "accessBoundaryRules": [1] }), "an object"),
            (json!({ "accessBoundaryRules": [valid_rule()], "x": 1 }), "unknown name x"),
            (boundary_with_member("availableResource", json!(BUCKET_RESOURCE_PREFIX)), "not a Cloud Storage bucket"),
            (
                boundary_with_member("availableResource", json!("//storage.googleapis.com/b")),
                "not a Cloud Storage bucket",
            ),
            (boundary_with_member("availablePermissions", json!([])), "inRole"),
            (boundary_with_member("availablePermissions", json!(["roles/viewer"])), "inRole"),
            (boundary_with_member("availabilityCondition", json!({ "title": "t" })), "expression"),
            (boundary_with_member("availabilityCondition", json!({ "expression": 1 })), "not a string"),
            (boundary_with_member("availabilityCondition", json!("x".repeat(2048))), "more than 2048"),
            (boundary_with_member("condition", json!(1)), "unknown name condition"),
        ] {
            let error = validate_boundary(&bad).expect_err(words);
            assert!(error.contains(words), "{error} for {words}");
        }
    }
}
