//! Every field of the credentials that lead to other services: missing, null, empty, of each wrong type, too long, with
//! line ends and other control characters. None of these files may cause a request.

use serde_json::{Value, json};

use super::with_credential;
use crate::support::samples::{
    PROVIDER, SECOND, SUBJECT, TARGET, TOKEN, authorized_user, exchanged, external_account, gdch,
    granted, impersonated, lent, of_aws, of_file, service_account, with, workforce,
    workforce_login,
};
use crate::support::{Home, Test, get, iam, sts, token};

/// What a field holds.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
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
    Words,
    Object,
    /// From 600 to 43200.
    Seconds,
    Flag,
}
use Holds::{Flag, Line, List, Name, Object, Path, Seconds, Text, Url, Words};

/// What becomes of a credential without a field.
#[derive(Clone, Copy, PartialEq)]
enum Without {
    Nothing,
    TheSame,
    /// A credential of another kind, which this table does not run.
    Another,
}
use Without::{Another, Nothing, TheSame};

type Field = (&'static str, Holds, Without);

/// A credential, its fields, and what a good one asks for.
struct Specimen {
    credential: Value,
    fields: Vec<Field>,
    /// Variables, files and answers.
    good: fn(Test) -> Test,
}

/// The fields that every federated identity has.
const FEDERATED: &[Field] = &[
    ("type", Text, Another),
    ("audience", Name, Nothing),
    ("subject_token_type", Name, Nothing),
    ("token_url", Url, TheSame),
    ("token_info_url", Url, TheSame),
    ("service_account_impersonation", Object, TheSame),
    ("service_account_impersonation_url", Url, Another),
    ("client_id", Line, Another),
    ("client_secret", Line, TheSame),
    ("workforce_pool_user_project", Name, Another),
    ("quota_project_id", Name, TheSame),
    ("scopes", List, TheSame),
    ("universe_domain", Name, TheSame),
    ("credential_source", Object, Nothing),
];

const FORMAT: &[Field] = &[
    ("credential_source.format", Object, Another),
    ("credential_source.format.type", Text, Another),
    ("credential_source.format.subject_token_field_name", Line, Nothing),
];

fn federated(more: &[Field]) -> Vec<Field> {
    [FEDERATED, more].concat()
}

fn exchange(test: Test) -> Test {
    test.subject().google(sts(200, exchanged(TOKEN)))
}

fn lend(test: Test) -> Test {
    test.google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
}

fn specimens() -> Vec<Specimen> {
    let json = json!({"type": "json", "subject_token_field_name": "id_token"});
    let certificate = json!({"certificate_config_location": "{home}/nosuch.json"});
    let inside = |name: &'static str, holds, without| [(name, holds, without)];
    let mut all = vec![
        Specimen {
            credential: of_file(),
            fields: federated(&inside("credential_source.file", Path, Nothing)),
            good: exchange,
        },
        Specimen {
            credential: external_account(json!({"file": "{home}/json", "format": json})),
            fields: FORMAT.to_vec(),
            good: |test| exchange(test.file("json", json!({ "id_token": SUBJECT }).to_string())),
        },
        Specimen {
            credential: external_account(json!({
                "url": "https://idp.example/token", "headers": {"Metadata": "True"}, "format": json,
            })),
            fields: [
                ("credential_source.url", Url, Nothing),
                ("credential_source.headers", Object, TheSame),
                ("credential_source.headers.Metadata", Line, TheSame),
            ]
            .into_iter()
            .chain(FORMAT.iter().copied())
            .collect(),
            good: |test| {
                let body = json!({ "id_token": SUBJECT }).to_string();
                exchange(test.google(get("https://idp.example/token", 200, body)))
            },
        },
        Specimen {
            credential: of_aws(),
            fields: vec![
                ("credential_source.environment_id", Name, Another),
                ("credential_source.region_url", Url, TheSame),
                ("credential_source.url", Url, TheSame),
                ("credential_source.imdsv2_session_token_url", Url, TheSame),
                ("credential_source.regional_cred_verification_url", Url, TheSame),
            ],
            good: |test| {
                exchange(test)
                    .env("AWS_REGION", "eu-west-1")
                    .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                    .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
            },
        },
        Specimen {
            credential: external_account(json!({ "certificate": certificate })),
            fields: vec![
                ("credential_source.certificate", Object, Another),
                ("credential_source.certificate.certificate_config_location", Path, Nothing),
                ("credential_source.certificate.use_default_certificate_config", Flag, Another),
                ("credential_source.certificate.trust_chain_path", Path, Another),
            ],
            good: |test| test,
        },
        Specimen {
            credential: with(
                of_file(),
                &json!({
                    "service_account_impersonation_url":
                        impersonated(Value::Null)["service_account_impersonation_url"],
                    "service_account_impersonation": {"token_lifetime_seconds": 2800},
                }),
            ),
            fields: federated(&inside(
                "service_account_impersonation.token_lifetime_seconds",
                Seconds,
                TheSame,
            )),
            good: |test| lend(exchange(test)),
        },
        Specimen {
            credential: with(workforce(), &json!({"workforce_pool_user_project": "payer"})),
            fields: FEDERATED
                .iter()
                .map(|(name, holds, without)| match *name {
                    "workforce_pool_user_project" => (*name, *holds, TheSame),
                    _ => (*name, *holds, *without),
                })
                .collect(),
            good: exchange,
        },
        Specimen {
            credential: workforce_login(),
            fields: vec![
                ("client_id", Line, Nothing),
                ("client_secret", Line, Nothing),
                ("refresh_token", Line, Nothing),
                ("token_url", Url, TheSame),
                ("token_info_url", Url, TheSame),
                ("universe_domain", Name, TheSame),
                ("quota_project_id", Name, TheSame),
                ("audience", Text, TheSame),
                ("account", Text, TheSame),
                ("scopes", Words, TheSame),
                ("token", Text, TheSame),
                ("expiry", Name, Another),
            ],
            good: |test| {
                test.google(
                    token(200, granted(TOKEN)).url("https://sts.googleapis.com/v1/oauthtoken"),
                )
            },
        },
        Specimen {
            credential: with(gdch(), &json!({"ca_cert_path": "{home}/ca.pem"})),
            fields: vec![
                ("format_version", Name, Nothing),
                ("project", Name, Nothing),
                ("name", Name, Nothing),
                ("private_key", Text, Nothing),
                ("private_key_id", Name, Nothing),
                ("token_uri", Url, Nothing),
                ("ca_cert_path", Path, Another),
            ],
            good: |test| {
                let at = "https://service-identity.gdch.example/authenticate";
                test.google(token(200, granted(TOKEN)).url(at))
            },
        },
    ];
    all.extend(acting_as_another());
    all
}

/// Credentials with another one inside, whose fields are judged as if it stood alone.
fn acting_as_another() -> [Specimen; 4] {
    let own: &[Field] = &[
        ("service_account_impersonation_url", Url, Nothing),
        ("source_credentials", Object, Nothing),
        ("delegates", List, TheSame),
        ("scopes", List, TheSame),
        ("quota_project_id", Name, TheSame),
        ("universe_domain", Name, TheSame),
        ("source_credentials.type", Text, Another),
    ];
    let fields = |inside: &[Field]| [own, inside].concat();
    [
        Specimen {
            credential: impersonated(authorized_user()),
            fields: fields(&[
                ("source_credentials.client_id", Line, Nothing),
                ("source_credentials.client_secret", Line, Nothing),
                ("source_credentials.refresh_token", Line, Nothing),
                ("source_credentials.token_uri", Url, TheSame),
                ("source_credentials.quota_project_id", Name, TheSame),
            ]),
            good: |test| lend(test.google(token(200, granted(TOKEN)))),
        },
        Specimen {
            credential: impersonated(service_account()),
            fields: fields(&[
                ("source_credentials.client_email", Line, Nothing),
                ("source_credentials.private_key", Text, Nothing),
                ("source_credentials.private_key_id", Text, TheSame),
            ]),
            good: |test| lend(test.google(token(200, granted(TOKEN)))),
        },
        Specimen {
            credential: impersonated(of_file()),
            fields: fields(&[
                ("source_credentials.audience", Name, Nothing),
                ("source_credentials.subject_token_type", Name, Nothing),
                ("source_credentials.credential_source", Object, Nothing),
                ("source_credentials.credential_source.file", Path, Nothing),
            ]),
            good: |test| lend(exchange(test)),
        },
        Specimen {
            credential: impersonated(workforce_login()),
            fields: fields(&[
                ("source_credentials.client_id", Line, Nothing),
                ("source_credentials.client_secret", Line, Nothing),
                ("source_credentials.refresh_token", Line, Nothing),
            ]),
            good: |test| {
                let at = "https://sts.googleapis.com/v1/oauthtoken";
                lend(test.google(token(200, granted(TOKEN)).url(at)))
            },
        },
    ]
}

/// The credential with a field, which may be inside another one, set or taken away.
fn set(credential: &Value, path: &str, value: Option<&Value>) -> Value {
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
fn wrong(holds: Holds, good: &Value) -> Vec<Value> {
    let junk = "GAUTH-TEST-JUNK-SECRET";
    let mut wrong = match holds {
        Name | Line | Text | Url | Path => {
            vec![json!(5), json!(1.5e300), json!(true), json!([junk]), json!({ "x": junk })]
        }
        List | Words => vec![
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
    let more: Vec<Value> = match holds {
        Name => odd(&["\n", "\r\nX: y", "\0", "\u{1b}[31m", " x", "\u{fc}"]),
        Line => odd(&["\n", "\r\nX: y", "\0", "\u{1b}[31m"]),
        Url => odd(&["\n", "\r\nX: y", "\0", "\u{1b}[31m", " x", "#x", &"x".repeat(3000)]),
        Path => odd(&["\0", &"x".repeat(5000)]),
        List => vec![json!(["a\u{1}b"]), json!(["a\0"])],
        Text | Words | Object | Seconds | Flag => Vec::new(),
    };
    wrong.extend(more);
    if matches!(holds, Name | Line | Text | Url | Path) {
        wrong.push(json!("x".repeat(70_000)));
    }
    wrong
}

#[test]
fn each_field_of_each_kind_is_judged_before_anything_is_sent() {
    let mut count = 0;
    for Specimen { credential, fields, .. } in specimens() {
        for (path, holds, without) in &fields {
            let good = path.split('.').fold(&credential, |object, name| &object[name]);
            let mut cases: Vec<Value> = wrong(*holds, good)
                .iter()
                .map(|value| set(&credential, path, Some(value)))
                .collect();
            if *without == Nothing {
                cases.push(set(&credential, path, None));
                cases.push(set(&credential, path, Some(&Value::Null)));
                if !matches!(holds, Object | List | Words | Seconds | Flag) {
                    cases.push(set(&credential, path, Some(&json!(""))));
                }
            }
            for case in cases {
                let test = Test::new("token --credentials {home}/key.json").json("key.json", &case);
                // Once: what -vv adds is seen with other errors.
                let ran = test.subject().any_status(&[8, 9]).home(&Home::new()).run();
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
    for Specimen { credential, fields, good } in specimens() {
        let words = match credential["type"].as_str() {
            Some("gdch_service_account") => " --audience https://api.example",
            _ => "",
        };
        for (path, holds, _) in fields.iter().filter(|(_, _, without)| *without == TheSame) {
            let empty = match holds {
                Object => json!({}),
                List | Words => json!([]),
                Seconds | Flag => Value::Null,
                _ => json!(""),
            };
            for value in [None, Some(&Value::Null), Some(&empty)] {
                let credential = set(&credential, path, value);
                let test = Test::new(&format!("token --credentials {{home}}/key.json{words}"));
                good(test.json("key.json", &credential)).run();
            }
        }
    }
}

#[test]
fn fields_that_nobody_knows_are_passed_over() {
    for Specimen { credential, good, .. } in specimens() {
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
        good(test.json("key.json", &with(credential, &odd))).run();
    }
}

#[test]
fn a_universe_is_a_domain_in_every_kind() {
    for credential in [of_file(), workforce(), workforce_login(), impersonated(authorized_user())] {
        for junk in ["com", "Googleapis.com", "https://u.example", "u.example/", "u.example:443"] {
            with_credential(&with(credential.clone(), &json!({"universe_domain": junk})))
                .status(8)
                .says("HOME/key.json: universe_domain is not a domain name")
                .run();
        }
    }
}

#[test]
fn the_audience_is_repeated_nowhere_it_could_do_harm() {
    let long = format!("{PROVIDER}{}", "x".repeat(2048));
    with_credential(&with(of_file(), &json!({ "audience": long })))
        .status(8)
        .says("audience is longer than 2048 characters")
        .run();
}
