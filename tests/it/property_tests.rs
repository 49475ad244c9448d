//! Arbitrary bytes and damaged samples never panic, and what is accepted keeps its promises.

use gauth_core::credentials;
use gauth_core::credentials::ParseOptions;
use gauth_core::google::metadata;
use gauth_core::http::transport::to_uri;
use gauth_core::jose::jwt;
use gauth_core::jose::key::PrivateKey;
use gauth_core::net::message::HttpResponse;
use gauth_core::net::url::Url;
use gauth_core::oauth::token;
use gauth_core::text::bearer_token::is_well_formed;
use gauth_core::text::{bearer_token, duration, json, printable};
use gauth_core::tokens::cache;
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::support::NOW;
use crate::support::sample_credentials::{
    authorized_user, service_account, service_account_key_pem, token_response_body,
};

/// A way of damaging bytes that were good.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Drop(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn damage_strategy() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        (any::<usize>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..20usize).prop_map(|(at, count)| Damage::Drop(at, count)),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<usize>(), 1..40usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ];
    prop::collection::vec(one, 1..4)
}

fn apply_damage(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = bytes.len().max(1);
        let piece = |at: usize, count: usize| {
            let start = (at % length).min(bytes.len());
            start..(start + count).min(bytes.len())
        };
        match damage {
            Damage::Flip(at, bit) => {
                if let Some(byte) = bytes.get_mut(at % length) {
                    *byte ^= 1 << bit;
                }
            }
            Damage::Cut(at) => bytes.truncate(at % length),
            Damage::Drop(at, count) => drop(bytes.drain(piece(*at, *count))),
            Damage::Insert(at, more) => {
                let at = piece(*at, 0).start;
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Repeat(at, count) => {
                let range = piece(*at, *count);
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, again);
            }
        }
    }
    bytes
}

fn http_response(status: u16, body: &[u8]) -> HttpResponse {
    let flavour = ("metadata-flavor".to_owned(), "Google".to_owned());
    HttpResponse { status, headers: vec![flavour], body: Zeroizing::new(body.to_vec()) }
}

/// A message for people: of this place, in one line.
fn is_single_line_message(message: &str) {
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

fn parse_credential(bytes: &[u8]) {
    match credentials::parse(bytes, &ParseOptions::new("key.json".to_owned())) {
        Ok(credential) => assert!(!credential.info().credential_type.is_empty()),
        Err(error) => {
            is_single_line_message(error.message());
            assert!(error.message().starts_with("key.json: "), "{error}");
            assert!(error.hint_text().is_some(), "{error}");
            assert!([7, 8, 9].contains(&error.kind().exit_code()), "{error}");
        }
    }
}

fn parse_response(status: u16, bytes: &[u8]) {
    let response = http_response(status, bytes);
    for read in
        [token::read_bearer_response(&response, "host", NOW), metadata::read_access_token(&response, "host", NOW)]
    {
        match read {
            Ok(granted) => {
                assert_eq!(status, 200);
                assert!(is_well_formed(granted.access_token.expose()));
                assert!(granted.expires_at.is_none_or(|end| end > NOW));
            }
            Err(error) => {
                is_single_line_message(error.message());
                assert!(error.message().starts_with("host: "), "{error}");
                assert!([5, 6].contains(&error.kind().exit_code()), "{error}");
            }
        }
    }
    drop(metadata::read_value(&response, "host"));
}

fn cache_entry(token: &str) -> Vec<u8> {
    let home = crate::support::Home::new();
    let body = serde_json::json!({"access_token": token, "expires_in": 3599}).to_string();
    crate::support::Test::new("token --credentials -")
        .home(&home)
        .stdin(authorized_user().to_string())
        .expect_request(crate::support::token_response(200, body))
        .run();
    std::fs::read(home.cache_entry()).expect("an entry")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_credential_or_an_error(bytes: Vec<u8>) {
        parse_credential(&bytes);
    }

    #[test]
    fn a_damaged_credential_is_a_credential_or_an_error(damages in damage_strategy()) {
        parse_credential(&apply_damage(service_account().to_string().into_bytes(), &damages));
        parse_credential(&apply_damage(authorized_user().to_string().into_bytes(), &damages));
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text: String) {
        drop(PrivateKey::rsa_from_pem(&text));
        drop(PrivateKey::rsa_from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----")));
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(status in 100..600u16, bytes: Vec<u8>) {
        parse_response(status, &bytes);
        parse_response(200, &bytes);
    }

    #[test]
    fn a_damaged_answer_is_an_answer_or_an_error(damages in damage_strategy()) {
        parse_response(200, &apply_damage(token_response_body("ya29.damaged-in-a-property").into_bytes(), &damages));
        let refusal = br#"{"error":"invalid_grant","error_description":"Bad Request","error_subtype":"x"}"#;
        parse_response(400, &apply_damage(refusal.to_vec(), &damages));
    }

    #[test]
    fn any_bytes_are_no_entry(bytes: Vec<u8>) {
        prop_assert!(cache::decode_entry(&bytes).is_none());
    }

    #[test]
    fn any_text_is_a_url_or_an_error(text: String) {
        if let Ok(url) = Url::parse(&text) {
            let again = Url::parse(url.as_str()).expect("what was read once is read again");
            prop_assert!(to_uri(&url).is_some(), "{} leads elsewhere for the HTTP client", url);
            prop_assert_eq!(&again, &url);
        }
    }

    #[test]
    fn what_is_nearly_a_url_is_a_url_or_an_error(host in "[a-z0-9.:@\\[\\]%-]{0,24}", rest in "[ -~]{0,12}") {
        if let Ok(url) = Url::parse(&format!("https://{host}{rest}")) {
            prop_assert!(url.as_str().starts_with("https://"));
            prop_assert!(!url.authority().contains('@') && url.port != 0);
            prop_assert!(to_uri(&url).is_some(), "{} leads elsewhere for the HTTP client", url);
            prop_assert_eq!(Url::parse(url.as_str()).expect("again"), url);
        }
    }

    #[test]
    fn any_text_is_a_duration_or_an_error(text: String, number: u64, unit in "[a-zA-Z ]{0,3}") {
        let _ = duration::parse(&text);
        let _ = duration::parse(&format!("{number}{unit}"));
        let _ = duration::parse(&format!("PT{number}{unit}"));
    }

    #[test]
    fn any_time_can_be_formatted(seconds: i64) {
        prop_assert!(!duration::humanize(seconds).is_empty());
        prop_assert!(duration::rfc3339(seconds).ends_with('Z'));
    }

    #[test]
    fn any_text_is_a_jwt_or_an_error(text: String, parts in "[A-Za-z0-9_.-]{0,60}") {
        drop(jwt::decode(&text));
        drop(jwt::decode(&parts));
    }

    #[test]
    fn any_bytes_are_json_or_an_error_in_one_line(bytes: Vec<u8>) {
        if let Err(what) = json::parse_object(&bytes) {
            is_single_line_message(&what);
        }
    }

    #[test]
    fn whatever_is_shown_is_visible(bytes: Vec<u8>, text: String) {
        is_single_line_message(&printable::bytes(&bytes));
        is_single_line_message(&printable::text(&text));
        is_single_line_message(&printable::first_line(&bytes));
    }

    #[test]
    fn dates_of_servers_are_read_or_not(text: String) {
        let headers = vec![("retry-after".to_owned(), text.clone()), ("date".to_owned(), text)];
        let response = HttpResponse { status: 503, headers, ..HttpResponse::default() };
        let _ = (response.retry_after(NOW), response.date());
    }
}

proptest! {
    // Reading a key costs a millisecond.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_key_is_a_key_or_an_error(damages in damage_strategy()) {
        let pem = apply_damage(service_account_key_pem().into_bytes(), &damages);
        if let Ok(pem) = String::from_utf8(pem)
            && let Err(what) = PrivateKey::rsa_from_pem(&pem)
        {
            is_single_line_message(&what);
        }
    }
}

#[test]
fn a_damaged_entry_is_a_well_formed_token_or_none() {
    let good = cache_entry("ya29.kept-in-a-property");
    assert!(cache::decode_entry(&good).is_some());
    let config = ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&damage_strategy(), |damages| {
            let found = cache::decode_entry(&apply_damage(good.clone(), &damages));
            prop_assert!(found.is_none_or(|entry| bearer_token::is_well_formed_secret(&entry.token.secret)));
            Ok(())
        })
        .expect("well-formed or none");
}
