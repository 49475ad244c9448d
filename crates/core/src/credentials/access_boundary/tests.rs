//! Boundaries, right and wrong.

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;

const SAMPLE: &[u8] = include_bytes!("../../../../../tests/data/credentials/credential_access_boundary.json");

fn resource(bucket: &str) -> String {
    format!("//storage.googleapis.com/projects/_/buckets/{bucket}")
}

fn rule() -> Value {
    json!({
        "availablePermissions": ["inRole:roles/storage.objectViewer"],
        "availableResource": resource("example-bucket"),
    })
}

fn boundary_file(rules: Value) -> Vec<u8> {
    json!({"accessBoundary": {"accessBoundaryRules": rules}}).to_string().into_bytes()
}

/// A file with one rule, a field of which is another.
fn file_with_field(field: &str, value: Value) -> Vec<u8> {
    let mut rule = rule();
    rule[field] = value;
    boundary_file(json!([rule]))
}

fn file_without_field(field: &str) -> Vec<u8> {
    let mut rule = rule();
    rule.as_object_mut().expect("object").remove(field);
    boundary_file(json!([rule]))
}

fn boundary_from_flags(flags: &[&str]) -> Result<AccessBoundary> {
    AccessBoundary::from_flags(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>())
}

/// The rules that were made of flags.
#[track_caller]
fn rules_from_flags(flags: &[&str]) -> Vec<Value> {
    let boundary = boundary_from_flags(flags).expect("a boundary");
    let options: Value = serde_json::from_str(boundary.options_json()).expect("json");
    options["accessBoundary"]["accessBoundaryRules"].as_array().expect("rules").clone()
}

#[test]
fn the_published_options_come_out_byte_for_byte() {
    let vectors: Value = serde_json::from_str(include_str!("../../../../../tests/data/vectors.json")).expect("vectors");
    let case = &vectors["sts_options"];
    let boundary = AccessBoundary::parse(SAMPLE, "boundary.json").expect("boundary");
    assert_eq!(boundary.options_json(), case["options_json"]);
    let form: String = form_urlencoded::byte_serialize(boundary.options_json().as_bytes()).collect();
    assert_eq!(form, case["form_value"]);
}

#[test]
fn files_that_say_the_same_are_the_same() {
    let one = AccessBoundary::parse(&boundary_file(json!([rule()])), "x").expect("boundary");
    let spaced = serde_json::to_vec_pretty(&json!({"accessBoundary": {"accessBoundaryRules": [rule()]}}));
    assert_eq!(AccessBoundary::parse(&spaced.expect("json"), "x").expect("boundary"), one);
    assert_eq!(AccessBoundary::parse(one.options_json().as_bytes(), "x").expect("boundary"), one);
    assert_eq!(boundary_from_flags(&["objectViewer@example-bucket"]).expect("boundary"), one);
    let key = |boundary: &AccessBoundary| {
        let mut hasher = CacheKeyHasher::new("test");
        boundary.hash_cache_key(&mut hasher);
        hasher.finish().as_str().to_owned()
    };
    let other = boundary_from_flags(&["objectViewer@example-bucket/x"]).expect("boundary");
    assert_ne!(key(&one), key(&other));
    assert_eq!(key(&one), key(&one.clone()));
}

#[test]
fn what_google_takes_is_taken() {
    for bytes in [
        boundary_file(json!(vec![rule(); 10])),
        file_with_field("availableResource", json!(resource("a.b_c-9"))),
        file_with_field("availableResource", json!(resource(&format!("{0}.{0}", "x".repeat(63))))),
        file_with_field("availablePermissions", json!(["inRole:organizations/123456/roles/my.Role_1"])),
        file_with_field("availablePermissions", json!(["inRole:projects/example.com:p-1/roles/r"])),
        file_with_field(
            "availablePermissions",
            json!(["inRole:roles/storage.objectViewer", "inRole:roles/storage.objectCreator"]),
        ),
        file_with_field("availabilityCondition", json!({"expression": "true\n|| false", "title": ""})),
        [b"\xef\xbb\xbf".to_vec(), boundary_file(json!([rule()]))].concat(),
    ] {
        let read = AccessBoundary::parse(&bytes, "boundary.json");
        assert!(read.is_ok(), "{}: {read:?}", String::from_utf8_lossy(&bytes));
    }
}

/// Every kind of file that is refused, and where its error says the fault is.
#[test]
fn bad_files_are_refused_and_the_field_is_named() {
    let first = |what: &str| format!("accessBoundary.accessBoundaryRules[0]{what}");
    let resource_at = |what: &str| first(&format!(".availableResource{what}"));
    let permissions_at = |what: &str| first(&format!(".availablePermissions{what}"));
    let condition_at = |what: &str| first(&format!(".availabilityCondition{what}"));
    let of = |text: &str| text.as_bytes().to_vec();
    let resource_is = |value: Value| file_with_field("availableResource", value);
    let permissions_are = |value: Value| file_with_field("availablePermissions", value);
    let condition_is = |value: Value| file_with_field("availabilityCondition", value);
    let expression_of = |length: usize| condition_is(json!({"expression": "x".repeat(length)}));
    let mut third = vec![rule(), rule(), rule()];
    third[2]["availablePermissions"] = json!("inRole:roles/storage.objectViewer");
    let cases = [
        (of(""), "is empty".to_owned()),
        (of("null"), "is JSON, but not an object".to_owned()),
        (of("[]"), "is JSON, but not an object".to_owned()),
        (of("{\"accessBoundary\":"), "ends in the middle of its JSON".to_owned()),
        (of("{'accessBoundary':{}}"), "is not valid JSON".to_owned()),
        (of("\u{0}"), "is not valid JSON".to_owned()),
        (vec![0xff, 0xfe], "is not UTF-8 text".to_owned()),
        (of("{\"accessBoundary\":{},\"accessBoundary\":{}}"), "has the key".to_owned()),
        (of("{}"), "accessBoundary is missing".to_owned()),
        (of("{\"accessboundary\":{}}"), "accessboundary is unknown".to_owned()),
        (of("{\"accessBoundary\":{},\"x\\u001b\":1}"), "x\\u{1b} is unknown".to_owned()),
        (of("{\"accessBoundaryRules\":[]}"), "accessBoundaryRules is unknown".to_owned()),
        (of("{\"accessBoundary\":null}"), "accessBoundary is null where an object".to_owned()),
        (of("{\"accessBoundary\":[]}"), "accessBoundary is a list where an object".to_owned()),
        (of("{\"accessBoundary\":\"x\"}"), "accessBoundary is a string where".to_owned()),
        (of("{\"accessBoundary\":{}}"), "accessBoundary.accessBoundaryRules is missing".to_owned()),
        (
            of("{\"accessBoundary\":{\"accessBoundaryRules\":[],\"rules\":[]}}"),
            "accessBoundary.rules is unknown".to_owned(),
        ),
        (boundary_file(json!(null)), "accessBoundary.accessBoundaryRules is null where a list".to_owned()),
        (boundary_file(rule()), "accessBoundary.accessBoundaryRules is an object where a list".to_owned()),
        (boundary_file(json!([])), "accessBoundary.accessBoundaryRules has no rule".to_owned()),
        (
            boundary_file(json!(vec![rule(); 11])),
            "accessBoundary.accessBoundaryRules has 11 rules, 10 at most".to_owned(),
        ),
        (boundary_file(json!([null])), first(" is null where an object is needed")),
        (boundary_file(json!([[]])), first(" is a list where an object is needed")),
        (boundary_file(json!([rule(), 7])), "accessBoundaryRules[1] is a number".to_owned()),
        (
            boundary_file(json!(third)),
            "accessBoundaryRules[2].availablePermissions is a string where a list".to_owned(),
        ),
        (boundary_file(json!([{}])), permissions_at(" is missing")),
        (file_with_field("availableConditions", json!({})), first(".availableConditions is unknown")),
        (file_with_field("available_resource", json!("x")), first(".available_resource is unknown")),
        (file_with_field("condition", json!(null)), first(".condition is unknown, it would be ignored")),
        (file_without_field("availablePermissions"), permissions_at(" is missing")),
        (permissions_are(json!(null)), permissions_at(" is null where a list is needed")),
        (permissions_are(json!({})), permissions_at(" is an object where a list is needed")),
        (permissions_are(json!([])), permissions_at(" is empty")),
        (permissions_are(json!([null])), permissions_at("[0] is null where a string")),
        (permissions_are(json!(["inRole:roles/x", 5])), permissions_at("[1] is a number")),
        (permissions_are(json!([""])), permissions_at("[0] does not begin with inRole:")),
        (permissions_are(json!(["roles/x"])), permissions_at("[0] does not begin with inRole:")),
        (permissions_are(json!(["InRole:roles/x"])), permissions_at("[0] does not begin")),
        (permissions_are(json!([" inRole:roles/x"])), permissions_at("[0] does not begin")),
        (permissions_are(json!(["inRole:"])), permissions_at("[0]: \"\" is not a role")),
        (permissions_are(json!(["inRole:objectViewer"])), permissions_at("[0]: \"objectViewer\"")),
        (permissions_are(json!(["inRole:roles/x\n"])), permissions_at("[0]: \"roles/x\\n\"")),
        (permissions_are(json!(["inRole:roles/"])), permissions_at("[0]: \"roles/\" is not")),
        (permissions_are(json!(["inRole:projects//roles/x"])), permissions_at("[0]: ")),
        (permissions_are(json!(["inRole:folders/1/roles/x"])), permissions_at("[0]: ")),
        (file_without_field("availableResource"), resource_at(" is missing")),
        (resource_is(json!(null)), resource_at(" is null where a string is needed")),
        (resource_is(json!(["x"])), resource_at(" is a list where a string is needed")),
        (resource_is(json!("")), resource_at(" does not begin with //storage.googleapis.com/")),
        (resource_is(json!("example-bucket")), resource_at(" does not begin with")),
        (resource_is(json!("gs://example-bucket")), resource_at(" does not begin with")),
        (resource_is(json!(&resource("b")[2..])), resource_at(" does not begin with")),
        (resource_is(json!(resource("").replace("_", "p"))), resource_at(" does not begin with")),
        (resource_is(json!(resource(""))), resource_at(": the bucket is missing")),
        (resource_is(json!(resource("*"))), resource_at(": \"*\" is not a bucket")),
        (resource_is(json!(resource("b/objects/x"))), resource_at(": \"b/objects/x\" is not a")),
        (resource_is(json!(resource("example-bucket/"))), resource_at(": \"example-bucket/\" is")),
        (condition_is(json!(null)), condition_at(" is null where an object is needed")),
        (condition_is(json!("true")), condition_at(" is a string where an object is needed")),
        (condition_is(json!({})), condition_at(".expression is missing")),
        (condition_is(json!({"title": "x"})), condition_at(".expression is missing")),
        (condition_is(json!({"expression": null})), condition_at(".expression is null where")),
        (condition_is(json!({"expression": true})), condition_at(".expression is true or false")),
        (condition_is(json!({"expression": ""})), condition_at(".expression is empty")),
        (condition_is(json!({"expression": " \n"})), condition_at(".expression is empty")),
        (condition_is(json!({"expresion": "true"})), condition_at(".expresion is unknown")),
        (condition_is(json!({"expression": "true", "location": ""})), condition_at(".location is unknown")),
        (condition_is(json!({"expression": "true", "title": 1})), condition_at(".title is a num")),
        (
            condition_is(json!({"expression": "true", "description": null})),
            condition_at(".description is null where a string"),
        ),
        (expression_of(2049), condition_at(".expression is 2049 characters long, 2048 at most")),
        (expression_of(2048), "accessBoundary is 2".to_owned()),
        (
            condition_is(json!({"expression": "true", "description": "ä".repeat(2048)})),
            "characters long, 2048 at most".to_owned(),
        ),
    ];
    assert!(cases.len() >= 40, "{}", cases.len());
    for (bytes, words) in cases {
        let file = String::from_utf8_lossy(&bytes).into_owned();
        let error = AccessBoundary::parse(&bytes, "boundary.json").expect_err(&file);
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().starts_with("boundary.json: "), "{error}");
        assert!(error.message().contains(&words), "{error}\nwithout {words}\nfor {file}");
        assert_eq!(error.hint_text(), Some(FILE_EXAMPLE));
    }
}

#[test]
fn the_examples_in_hints_are_right() {
    let file = FILE_EXAMPLE.replace("BUCKET", "example-bucket");
    assert!(AccessBoundary::parse(file.as_bytes(), "hint").is_ok());
    let flag = FLAG_EXAMPLE.replace("BUCKET", "example-bucket");
    let flag = flag.strip_prefix("--downscope ").expect("a flag");
    assert!(boundary_from_flags(&[flag]).is_ok());
}

#[test]
fn a_length_of_2048_characters_is_the_last_that_is_taken() {
    let fixed = AccessBoundary::parse(&file_with_field("availabilityCondition", json!({"expression": "x"})), "x");
    let fixed = fixed.expect("boundary").options_json().chars().count() - 1;
    let of = |length: usize| {
        let expression = "ä".repeat(length - fixed);
        AccessBoundary::parse(&file_with_field("availabilityCondition", json!({"expression": expression})), "x")
    };
    assert_eq!(of(MAX_LENGTH_CHARS).expect("boundary").options_json().chars().count(), MAX_LENGTH_CHARS);
    let error = of(MAX_LENGTH_CHARS + 1).expect_err("too long");
    assert_eq!(error.message(), "x: accessBoundary is 2049 characters long, 2048 at most");
}

#[test]
fn roles_are_named_in_full_or_in_short() {
    for (role, full) in [
        ("objectViewer", "roles/storage.objectViewer"),
        ("storage.objectViewer", "roles/storage.objectViewer"),
        ("roles/storage.objectViewer", "roles/storage.objectViewer"),
        ("projects/p-1/roles/reader", "projects/p-1/roles/reader"),
        ("projects/example.com:p/roles/reader", "projects/example.com:p/roles/reader"),
        ("organizations/123/roles/my.reader", "organizations/123/roles/my.reader"),
    ] {
        let rules = rules_from_flags(&[&format!("{role}@example-bucket")]);
        assert_eq!(
            rules,
            [json!({
                "availablePermissions": [format!("inRole:{full}")],
                "availableResource": resource("example-bucket"),
            })]
        );
    }
}

#[test]
fn a_prefix_limits_objects_and_lists_of_objects() {
    let rules = rules_from_flags(&["objectViewer@example-bucket/customer-a/x"]);
    assert_eq!(
        rules[0]["availabilityCondition"],
        json!({"expression": "resource.name.startsWith('projects/_/buckets/example-bucket/objects/customer-a/x') || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('customer-a/x')"})
    );
}

#[test]
fn several_flags_are_a_union_of_rules() {
    let rules = rules_from_flags(&["objectViewer@one", "objectCreator@two/x", "objectViewer@one"]);
    let resources: Vec<&Value> = rules.iter().map(|rule| &rule["availableResource"]).collect();
    assert_eq!(resources, [&resource("one"), &resource("two"), &resource("one")]);
    assert!(rules[0].get("availabilityCondition").is_none());
    assert!(rules[1].get("availabilityCondition").is_some());
    assert!(boundary_from_flags(&["objectViewer@example-bucket"; 10]).is_ok());
}

/// Reads the string literals of an expression as CEL does.
fn cel_literals(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut letters = expression.chars();
    while letters.any(|letter| letter == '\'') {
        let mut literal = String::new();
        loop {
            match letters.next().expect("the literal ends") {
                '\'' => break,
                '\\' => literal.push(letters.next().expect("an escaped letter")),
                letter => literal.push(letter),
            }
        }
        found.push(literal);
    }
    found
}

#[test]
fn no_prefix_breaks_out_of_its_literal() {
    for prefix in [
        "customer a",
        "it's",
        "') || true || ('",
        "\\",
        "\\'",
        "\\\\'",
        "a\\') || true || (\\'",
        "\"quoted\"",
        "`x` $y {z} @w",
        "ümläut/日本語/🗝",
        "/leading",
        "..//",
        "\u{2028}\u{202e}",
        "\\u0027\\x27\\047",
    ] {
        let rules = rules_from_flags(&[&format!("objectViewer@example-bucket/{prefix}")]);
        let expression = rules[0]["availabilityCondition"]["expression"].as_str().expect("text");
        let object = format!("projects/_/buckets/example-bucket/objects/{prefix}");
        let attribute = "storage.googleapis.com/objectListPrefix";
        assert_eq!(cel_literals(expression), [object.as_str(), attribute, "", prefix]);
    }
}

#[test]
fn bad_flags_are_refused_and_repeated() {
    let long = format!("objectViewer@{}", "x".repeat(64));
    let longer = format!("objectViewer@{}", ["x".repeat(60).as_str(); 4].join("."));
    let part = format!("objectViewer@a.{}", "x".repeat(64));
    let prefix = format!("objectViewer@example-bucket/{}", "x".repeat(2048));
    for (flag, words) in [
        ("", "has no @"),
        ("objectViewer", "has no @"),
        ("example-bucket/x", "has no @"),
        ("@example-bucket", "\"roles/storage.\" is not a role"),
        (".@example-bucket", "\"roles/.\" is not a role"),
        ("storage..viewer@example-bucket", "is not a role"),
        ("@", "is wrong"),
        ("object viewer@example-bucket", "is not a role"),
        ("roles/@example-bucket", "\"roles/\" is not a role"),
        ("role/storage.objectViewer@example-bucket", "is not a role"),
        ("roles/storage/objectViewer@example-bucket", "is not a role"),
        ("inRole:roles/storage.objectViewer@example-bucket", "is not a role"),
        ("projects/p/objectViewer@example-bucket", "is not a role"),
        ("projects//roles/x@example-bucket", "is not a role"),
        ("organizations/1/roles/@example-bucket", "is not a role"),
        ("folders/1/roles/x@example-bucket", "is not a role"),
        ("objectViewer@", "the bucket is missing"),
        ("objectViewer@/x", "the bucket is missing"),
        ("objectViewer@ab", "shorter than 3"),
        (&long, "longer than 63"),
        (&longer, "longer than 222"),
        (&part, "longer than 63"),
        ("objectViewer@Example", "something else than a-z"),
        ("objectViewer@a b c", "something else than a-z"),
        ("objectViewer@bücket", "something else than a-z"),
        ("objectViewer@gs://example-bucket", "\"gs:\" is not a bucket"),
        ("objectViewer@user@example-bucket", "something else than a-z"),
        ("objectViewer@*", "is not a bucket"),
        ("objectViewer@-abc", "does not begin and end with"),
        ("objectViewer@abc_", "does not begin and end with"),
        ("objectViewer@.abc", "does not begin and end with"),
        ("objectViewer@a..b", "between dots"),
        ("objectViewer@192.168.5.4", "is an IP address"),
        ("objectViewer@example-bucket/", "has nothing after its /"),
        ("objectViewer@example-bucket/a\nb", "control character"),
        ("objectViewer@example-bucket/a\u{0}b", "control character"),
        ("objectViewer@example-bucket/a\u{85}b", "control character"),
        (&prefix, "characters long, 2048 at most"),
    ] {
        let error = boundary_from_flags(&["objectViewer@example-bucket", flag]).expect_err(flag);
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().starts_with("--downscope"), "{error}");
        assert!(error.message().contains(words), "{error}\nwithout {words}");
        assert!(!error.message().contains(char::is_control), "{error}");
        assert_eq!(error.hint_text(), Some(FLAG_EXAMPLE));
    }
    let error = boundary_from_flags(&["objectViewer@example-bucket"; 11]).expect_err("too many");
    let words = "--downscope: accessBoundary.accessBoundaryRules has 11 rules, 10 at most";
    assert_eq!(error.message(), words);
    assert!(boundary_from_flags(&[]).is_err());
}
