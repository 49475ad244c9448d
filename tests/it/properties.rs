//! Arbitrary bytes and damaged samples never panic, and what is accepted keeps its promises.

use gauth::credential::{self, Setting};
use gauth::google::{metadata, token};
use gauth::http::HttpResponse;
use gauth::key::PrivateKey;
use gauth::token::well_formed;
use gauth::url::Url;
use gauth::{cache, duration, json, jwt, printable};
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::support::NOW;
use crate::support::samples::{authorized_user, granted, pem, service_account};

/// A way of damaging bytes that were good.
#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Drop(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        (any::<usize>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..20usize).prop_map(|(at, count)| Damage::Drop(at, count)),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<usize>(), 1..40usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ];
    prop::collection::vec(one, 1..4)
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
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

fn answer(status: u16, body: &[u8]) -> HttpResponse {
    let flavour = ("metadata-flavor".to_owned(), "Google".to_owned());
    HttpResponse { status, headers: vec![flavour], body: Zeroizing::new(body.to_vec()) }
}

/// A message for people: of this place, in one line.
fn is_a_line(message: &str) {
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

fn read_credential(bytes: &[u8]) {
    match credential::parse(bytes, &Setting::at("key.json".to_owned())) {
        Ok(credential) => assert!(!credential.about().kind.is_empty()),
        Err(error) => {
            is_a_line(error.message());
            assert!(error.message().starts_with("key.json: "), "{error}");
            assert!(error.hint_text().is_some(), "{error}");
            assert!([7, 8, 9].contains(&error.kind().exit_code()), "{error}");
        }
    }
}

fn read_answer(status: u16, bytes: &[u8]) {
    let response = answer(status, bytes);
    for read in [token::read(&response, "host", NOW), metadata::read_token(&response, "host", NOW)]
    {
        match read {
            Ok(granted) => {
                assert_eq!(status, 200);
                assert!(well_formed(granted.access_token.expose()));
                assert!(granted.expires_at.is_none_or(|end| end > NOW));
            }
            Err(error) => {
                is_a_line(error.message());
                assert!(error.message().starts_with("host: "), "{error}");
                assert!([5, 6].contains(&error.kind().exit_code()), "{error}");
            }
        }
    }
    drop(metadata::read_value(&response, "host"));
}

fn entry(token: &str) -> Vec<u8> {
    let home = crate::support::Home::new();
    let body = serde_json::json!({"access_token": token, "expires_in": 3599}).to_string();
    crate::support::Test::new("token --credentials -")
        .home(&home)
        .input(authorized_user().to_string())
        .google(crate::support::token(200, body))
        .run();
    std::fs::read(home.entry()).expect("an entry")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_credential_or_an_error(bytes: Vec<u8>) {
        read_credential(&bytes);
    }

    #[test]
    fn a_damaged_credential_is_a_credential_or_an_error(damages in damages()) {
        read_credential(&damaged(service_account().to_string().into_bytes(), &damages));
        read_credential(&damaged(authorized_user().to_string().into_bytes(), &damages));
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text: String) {
        drop(PrivateKey::from_pem(&text));
        drop(PrivateKey::from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----")));
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(status in 100..600u16, bytes: Vec<u8>) {
        read_answer(status, &bytes);
        read_answer(200, &bytes);
    }

    #[test]
    fn a_damaged_answer_is_an_answer_or_an_error(damages in damages()) {
        read_answer(200, &damaged(granted("ya29.damaged-in-a-property").into_bytes(), &damages));
        let refusal = br#"{"error":"invalid_grant","error_description":"Bad Request","error_subtype":"x"}"#;
        read_answer(400, &damaged(refusal.to_vec(), &damages));
    }

    #[test]
    fn any_bytes_are_no_entry(bytes: Vec<u8>) {
        prop_assert!(cache::decode(&bytes).is_none());
    }

    #[test]
    fn any_text_is_a_url_or_an_error(text: String) {
        if let Ok(url) = Url::parse(&text) {
            let again = Url::parse(url.as_str()).expect("what was read once is read again");
            prop_assert_eq!(&again, &url);
        }
    }

    #[test]
    fn what_is_nearly_a_url_is_a_url_or_an_error(host in "[a-z0-9.:@\\[\\]%-]{0,24}", rest in "[ -~]{0,12}") {
        if let Ok(url) = Url::parse(&format!("https://{host}{rest}")) {
            prop_assert!(url.as_str().starts_with("https://"));
            prop_assert!(!url.authority().contains('@') && url.port != 0);
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
    fn any_moment_has_words(seconds: i64) {
        prop_assert!(!duration::in_words(seconds).is_empty());
        prop_assert!(duration::rfc3339(seconds).ends_with('Z'));
    }

    #[test]
    fn any_text_is_a_jwt_or_an_error(text: String, parts in "[A-Za-z0-9_.-]{0,60}") {
        drop(jwt::parts(&text));
        drop(jwt::parts(&parts));
    }

    #[test]
    fn any_bytes_are_json_or_an_error_in_one_line(bytes: Vec<u8>) {
        if let Err(what) = json::object(&bytes) {
            is_a_line(&what);
        }
    }

    #[test]
    fn whatever_is_shown_is_visible(bytes: Vec<u8>, text: String) {
        is_a_line(&printable::bytes(&bytes));
        is_a_line(&printable::text(&text));
        is_a_line(&printable::first_line(&bytes));
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
    fn a_damaged_key_is_a_key_or_an_error(damages in damages()) {
        let pem = damaged(pem().into_bytes(), &damages);
        if let Ok(pem) = String::from_utf8(pem)
            && let Err(what) = PrivateKey::from_pem(&pem)
        {
            is_a_line(&what);
        }
    }
}

#[test]
fn a_damaged_entry_is_the_same_entry_or_none() {
    let good = entry("ya29.kept-in-a-property");
    let token =
        |bytes: &[u8]| cache::decode(bytes).map(|entry| entry.token.secret.expose().to_owned());
    assert!(token(&good).is_some());
    let config =
        ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&damages(), |damages| {
            let found = token(&damaged(good.clone(), &damages));
            prop_assert!(found.is_none() || found == token(&good));
            Ok(())
        })
        .expect("no damage is believed");
}
