//! Every field of the credentials that lead to other services: missing, null, empty, of each wrong type, too long, with
//! line ends and other control characters. None of these files may cause a request.

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{
    SECOND_TOKEN, SUBJECT_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, WORKLOAD_PROVIDER, authorized_user,
    aws_external_account, external_account, file_external_account, gdch_service_account, iam_response_body,
    impersonated_service_account, service_account, sts_response_body, token_response_body, with_fields,
    workforce_external_account, workforce_login,
};
use crate::support::{Home, Test, get_response, iam_response, sts_response, token_response};

/// What a field holds.
#[derive(Clone, Copy, PartialEq)]
enum FieldType {
    /// Visible ASCII.
    Name,
    /// A text without control characters.
    Line,
    /// Any text.
    Text,
    /// An https URL.
    Url,
    /// The path of a file.
    Path,
    /// Strings without control characters.
    List,
    /// Strings that are only told.
    AnyStrings,
    Object,
    /// From 600 to 43200.
    Seconds,
    Flag,
}
use FieldType::{AnyStrings, Flag, Line, List, Name, Object, Path, Seconds, Text, Url};

/// What becomes of a credential without a field.
#[derive(Clone, Copy, PartialEq)]
enum WhenMissing {
    Required,
    Optional,
    /// A credential of another kind, which this table does not run.
    ChangesKind,
}
use WhenMissing::{ChangesKind, Optional, Required};

type FieldSpec = (&'static str, FieldType, WhenMissing);

/// A credential, its fields, and what a good one asks for.
struct CredentialSample {
    credential: Value,
    fields: Vec<FieldSpec>,
    /// Variables, files and answers.
    setup: fn(Test) -> Test,
}

/// The fields that every federated identity has.
const EXTERNAL_ACCOUNT_FIELDS: &[FieldSpec] = &[
    ("type", Text, ChangesKind),
    ("audience", Name, Required),
    ("subject_token_type", Name, Required),
    ("token_url", Url, Optional),
    ("token_info_url", Url, Optional),
    ("service_account_impersonation", Object, Optional),
    ("service_account_impersonation_url", Url, ChangesKind),
    ("client_id", Line, ChangesKind),
    ("client_secret", Line, Optional),
    ("workforce_pool_user_project", Name, ChangesKind),
    ("quota_project_id", Name, Optional),
    ("scopes", List, Optional),
    ("universe_domain", Name, Optional),
    ("credential_source", Object, Required),
];

const FORMAT_FIELDS: &[FieldSpec] = &[
    ("credential_source.format", Object, ChangesKind),
    ("credential_source.format.type", Text, ChangesKind),
    ("credential_source.format.subject_token_field_name", Line, Required),
];

fn external_account_fields(more_fields: &[FieldSpec]) -> Vec<FieldSpec> {
    [EXTERNAL_ACCOUNT_FIELDS, more_fields].concat()
}

fn expect_exchange(test: Test) -> Test {
    test.subject_token_file().expect_request(sts_response(200, sts_response_body(TOKEN)))
}

fn expect_impersonation(test: Test) -> Test {
    test.expect_request(iam_response(
        TARGET_SERVICE_ACCOUNT,
        "generateAccessToken",
        200,
        iam_response_body(SECOND_TOKEN),
    ))
}

fn credential_samples() -> Vec<CredentialSample> {
    let json = json!({"type": "json", "subject_token_field_name": "id_token"});
    let certificate = json!({"certificate_config_location": "{home}/nosuch.json"});
    let inside = |name: &'static str, holds, without| [(name, holds, without)];
    let mut all = vec![
        CredentialSample {
            credential: file_external_account(),
            fields: external_account_fields(&inside("credential_source.file", Path, Required)),
            setup: expect_exchange,
        },
        CredentialSample {
            credential: external_account(json!({"file": "{home}/json", "format": json})),
            fields: FORMAT_FIELDS.to_vec(),
            setup: |test| expect_exchange(test.file("json", json!({ "id_token": SUBJECT_TOKEN }).to_string())),
        },
        CredentialSample {
            credential: external_account(json!({
                "url": "https://idp.example/token", "headers": {"Metadata": "True"}, "format": json,
            })),
            fields: [
                ("credential_source.url", Url, Required),
                ("credential_source.headers", Object, Optional),
                ("credential_source.headers.Metadata", Line, Optional),
            ]
            .into_iter()
            .chain(FORMAT_FIELDS.iter().copied())
            .collect(),
            setup: |test| {
                let body = json!({ "id_token": SUBJECT_TOKEN }).to_string();
                expect_exchange(test.expect_request(get_response("https://idp.example/token", 200, body)))
            },
        },
        CredentialSample {
            credential: aws_external_account(),
            fields: vec![
                ("credential_source.environment_id", Name, ChangesKind),
                ("credential_source.region_url", Url, Optional),
                ("credential_source.url", Url, Optional),
                ("credential_source.imdsv2_session_token_url", Url, Optional),
                ("credential_source.regional_cred_verification_url", Url, Optional),
            ],
            setup: |test| {
                expect_exchange(test)
                    .env("AWS_REGION", "eu-west-1")
                    .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                    .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
            },
        },
        CredentialSample {
            credential: external_account(json!({ "certificate": certificate })),
            fields: vec![
                ("credential_source.certificate", Object, ChangesKind),
                ("credential_source.certificate.certificate_config_location", Path, Required),
                ("credential_source.certificate.use_default_certificate_config", Flag, ChangesKind),
                ("credential_source.certificate.trust_chain_path", Path, ChangesKind),
            ],
            setup: |test| test,
        },
        CredentialSample {
            credential: with_fields(
                file_external_account(),
                &json!({
                    "service_account_impersonation_url":
                        impersonated_service_account(Value::Null)["service_account_impersonation_url"],
                    "service_account_impersonation": {"token_lifetime_seconds": 2800},
                }),
            ),
            fields: external_account_fields(&inside(
                "service_account_impersonation.token_lifetime_seconds",
                Seconds,
                Optional,
            )),
            setup: |test| expect_impersonation(expect_exchange(test)),
        },
        CredentialSample {
            credential: with_fields(workforce_external_account(), &json!({"workforce_pool_user_project": "payer"})),
            fields: EXTERNAL_ACCOUNT_FIELDS
                .iter()
                .map(|(name, holds, without)| match *name {
                    "workforce_pool_user_project" => (*name, *holds, Optional),
                    _ => (*name, *holds, *without),
                })
                .collect(),
            setup: expect_exchange,
        },
        CredentialSample {
            credential: workforce_login(),
            fields: vec![
                ("client_id", Line, Required),
                ("client_secret", Line, Required),
                ("refresh_token", Line, Required),
                ("token_url", Url, Optional),
                ("token_info_url", Url, Optional),
                ("universe_domain", Name, Optional),
                ("quota_project_id", Name, Optional),
                ("audience", Text, Optional),
                ("account", Text, Optional),
                ("scopes", AnyStrings, Optional),
                ("token", Text, Optional),
                ("expiry", Name, ChangesKind),
            ],
            setup: |test| {
                test.expect_request(
                    token_response(200, token_response_body(TOKEN)).at_url("https://sts.googleapis.com/v1/oauthtoken"),
                )
            },
        },
        CredentialSample {
            credential: with_fields(gdch_service_account(), &json!({"ca_cert_path": "{home}/ca.pem"})),
            fields: vec![
                ("format_version", Name, Required),
                ("project", Name, Required),
                ("name", Name, Required),
                ("private_key", Text, Required),
                ("private_key_id", Name, Required),
                ("token_uri", Url, Required),
                ("ca_cert_path", Path, ChangesKind),
            ],
            setup: |test| {
                let at = "https://service-identity.gdch.example/authenticate";
                test.expect_request(token_response(200, token_response_body(TOKEN)).at_url(at))
            },
        },
    ];
    all.extend(impersonation_samples());
    all
}

/// Credentials with another one inside, whose fields are judged as if it stood alone.
fn impersonation_samples() -> [CredentialSample; 4] {
    let own: &[FieldSpec] = &[
        ("service_account_impersonation_url", Url, Required),
        ("source_credentials", Object, Required),
        ("delegates", List, Optional),
        ("scopes", List, Optional),
        ("quota_project_id", Name, Optional),
        ("universe_domain", Name, Optional),
        ("source_credentials.type", Text, ChangesKind),
    ];
    let fields = |inside: &[FieldSpec]| [own, inside].concat();
    [
        CredentialSample {
            credential: impersonated_service_account(authorized_user()),
            fields: fields(&[
                ("source_credentials.client_id", Line, Required),
                ("source_credentials.client_secret", Line, Required),
                ("source_credentials.refresh_token", Line, Required),
                ("source_credentials.token_uri", Url, Optional),
                ("source_credentials.quota_project_id", Name, Optional),
            ]),
            setup: |test| expect_impersonation(test.expect_request(token_response(200, token_response_body(TOKEN)))),
        },
        CredentialSample {
            credential: impersonated_service_account(service_account()),
            fields: fields(&[
                ("source_credentials.client_email", Line, Required),
                ("source_credentials.private_key", Text, Required),
                ("source_credentials.private_key_id", Text, Optional),
            ]),
            setup: |test| expect_impersonation(test.expect_request(token_response(200, token_response_body(TOKEN)))),
        },
        CredentialSample {
            credential: impersonated_service_account(file_external_account()),
            fields: fields(&[
                ("source_credentials.audience", Name, Required),
                ("source_credentials.subject_token_type", Name, Required),
                ("source_credentials.credential_source", Object, Required),
                ("source_credentials.credential_source.file", Path, Required),
            ]),
            setup: |test| expect_impersonation(expect_exchange(test)),
        },
        CredentialSample {
            credential: impersonated_service_account(workforce_login()),
            fields: fields(&[
                ("source_credentials.client_id", Line, Required),
                ("source_credentials.client_secret", Line, Required),
                ("source_credentials.refresh_token", Line, Required),
            ]),
            setup: |test| {
                let at = "https://sts.googleapis.com/v1/oauthtoken";
                expect_impersonation(test.expect_request(token_response(200, token_response_body(TOKEN)).at_url(at)))
            },
        },
    ]
}

/// The credential with a field, which may be inside another one, set or taken away.
fn with_value(credential: &Value, path: &str, value: Option<&Value>) -> Value {
    let mut credential = credential.clone();
    let (outside, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut object = &mut credential;
    for name in outside.split('.').filter(|name| !name.is_empty()) {
        if !object[name].is_object() {
            object[name] = json!({});
        }
        object = &mut object[name];
    }
    match value {
        Some(value) => object[name] = value.clone(),
        None => drop(object.as_object_mut().expect("object").remove(name)),
    }
    credential
}

/// What a field may not hold.
fn wrong_values(field_type: FieldType, good: &Value) -> Vec<Value> {
    let junk = "GAUTH-TEST-JUNK-SECRET";
    let mut wrong = match field_type {
        Name | Line | Text | Url | Path => {
            vec![json!(5), json!(1.5e300), json!(true), json!([junk]), json!({ "x": junk })]
        }
        List | AnyStrings => vec![
            json!(5),
            json!(true),
            json!({ "x": junk }),
            json!([5]),
            json!([null]),
            json!([[junk]]),
            json!([{ "x": junk }]),
            json!(["x".repeat(70_000)]),
            json!("x".repeat(70_000)),
        ],
        Object => vec![json!(5), json!(true), json!(junk), json!([junk]), json!([{ "x": junk }])],
        Seconds => vec![
            json!("2800"),
            json!("2800s"),
            json!(true),
            json!([2800]),
            json!({ "x": 2800 }),
            json!(0),
            json!(-1),
            json!(599),
            json!(43_201),
            json!(2800.5),
            json!(1e300),
            json!(18_446_744_073_709_551_615_u64),
        ],
        Flag => vec![json!("true"), json!(1), json!([true]), json!({ "x": true })],
    };
    let text = good.as_str().filter(|text| !text.is_empty()).unwrap_or("https://a.example/");
    let odd = |odd: &[&str]| odd.iter().map(|odd| json!(format!("{text}{odd}"))).collect();
    let more: Vec<Value> = match field_type {
        Name => odd(&["\n", "\r\nX: y", "\0", "\u{1b}[31m", " x", "\u{fc}"]),
        Line => odd(&["\n", "\r\nX: y", "\0", "\u{1b}[31m"]),
        Url => odd(&["\n", "\r\nX: y", "\0", "\u{1b}[31m", " x", "#x", &"x".repeat(3000)]),
        Path => odd(&["\0", &"x".repeat(5000)]),
        List => vec![json!(["a\u{1}b"]), json!(["a\0"])],
        Text | AnyStrings | Object | Seconds | Flag => Vec::new(),
    };
    wrong.extend(more);
    if matches!(field_type, Name | Line | Text | Url | Path) {
        wrong.push(json!("x".repeat(70_000)));
    }
    wrong
}

#[test]
fn each_field_of_each_kind_is_judged_before_anything_is_sent() {
    let mut count = 0;
    for CredentialSample { credential, fields, .. } in credential_samples() {
        for (path, holds, without) in &fields {
            let good = path.split('.').fold(&credential, |object, name| &object[name]);
            let mut cases: Vec<Value> =
                wrong_values(*holds, good).iter().map(|value| with_value(&credential, path, Some(value))).collect();
            if *without == Required {
                cases.push(with_value(&credential, path, None));
                cases.push(with_value(&credential, path, Some(&Value::Null)));
                if !matches!(holds, Object | List | AnyStrings | Seconds | Flag) {
                    cases.push(with_value(&credential, path, Some(&json!(""))));
                }
            }
            for case in cases {
                let test = Test::new("token --credentials {home}/key.json").json("key.json", &case);
                // Once: what -vv adds is seen with other errors.
                let ran = test.subject_token_file().expect_any_status(&[8, 9]).home(&Home::new()).run();
                let line = ran.stderr.lines().next().unwrap_or_default();
                let shown = || case.to_string().chars().take(900).collect::<String>();
                assert!(line.starts_with("gauth: HOME/key.json: "), "{line}\n{}", shown());
                let named = path.split('.').all(|name| line.contains(name));
                assert!(named, "{path} is not in {line}\n{}", shown());
                count += 1;
            }
        }
    }
    assert!(count >= 400, "{count} malformed files");
}

#[test]
fn what_may_be_missing_may_be_null_or_empty() {
    for CredentialSample { credential, fields, setup: good } in credential_samples() {
        let words = match credential["type"].as_str() {
            Some("gdch_service_account") => " --audience https://api.example",
            _ => "",
        };
        for (path, holds, _) in fields.iter().filter(|(_, _, without)| *without == Optional) {
            let empty = match holds {
                Object => json!({}),
                List | AnyStrings => json!([]),
                Seconds | Flag => Value::Null,
                _ => json!(""),
            };
            for value in [None, Some(&Value::Null), Some(&empty)] {
                let credential = with_value(&credential, path, value);
                let test = Test::new(&format!("token --credentials {{home}}/key.json{words}"));
                good(test.json("key.json", &credential)).run();
            }
        }
    }
}

#[test]
fn unknown_fields_are_ignored() {
    for CredentialSample { credential, setup: good, .. } in credential_samples() {
        if !credential["credential_source"]["certificate"].is_null() {
            continue;
        }
        let odd = json!({
            "cloud_resource_manager_url": 5, "trust_boundary": [], "lifetime": true,
            "revoke_url": "http://evil.example/", "x": {"y": ["z"]},
        });
        let words = match credential["type"].as_str() {
            Some("gdch_service_account") => " --audience https://api.example",
            _ => "",
        };
        let test = Test::new(&format!("token --credentials {{home}}/key.json{words}"));
        good(test.json("key.json", &with_fields(credential, &odd))).run();
    }
}

#[test]
fn a_universe_is_a_domain_in_every_kind() {
    for credential in [
        file_external_account(),
        workforce_external_account(),
        workforce_login(),
        impersonated_service_account(authorized_user()),
    ] {
        for junk in ["com", "Googleapis.com", "https://u.example", "u.example/", "u.example:443"] {
            credential_test(&with_fields(credential.clone(), &json!({"universe_domain": junk})))
                .expect_status(8)
                .expect_error("HOME/key.json: universe_domain is not a domain name")
                .run();
        }
    }
}

#[test]
fn an_audience_longer_than_2048_characters_is_refused() {
    let long = format!("{WORKLOAD_PROVIDER}{}", "x".repeat(2048));
    credential_test(&with_fields(file_external_account(), &json!({ "audience": long })))
        .expect_status(8)
        .expect_error("audience is longer than 2048 characters")
        .run();
}
