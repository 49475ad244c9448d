//! Attempts and pauses, against a scripted server and a clock that only moves when somebody waits.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::*;
use crate::error::ErrorKind;
use crate::net::transport::Http;
use crate::world::clock::Clock;
use crate::world::env::Env;
use crate::world::folders::Folders;
use crate::world::random::Random;
use crate::world::streams::Streams;
use crate::world::terminal::{Terminal, Verbosity};

/// A clock that moves by waiting only.
#[derive(Default)]
struct ManualClock(Mutex<Duration>);

impl Clock for ManualClock {
    fn unix_millis(&self) -> i64 {
        1_445_412_470_000
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock().expect("clock")
    }

    fn sleep(&self, pause: Duration) {
        *self.0.lock().expect("clock") += pause;
    }
}

/// Half of everything: no jitter.
struct MidpointRandom;

impl Random for MidpointRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        bytes.fill(0);
        if let Some(last) = bytes.last_mut() {
            *last = 0x80;
        }
        Ok(())
    }
}

type ScriptedOutcomes = VecDeque<Result<HttpResponse>>;

/// Answers by the script, and remembers under which conditions it was asked.
struct ScriptedHttp {
    outcomes: RefCell<ScriptedOutcomes>,
    received_options: Rc<RefCell<Vec<TransportOptions>>>,
}

impl Http for ScriptedHttp {
    fn send(&self, _: &HttpRequest, conditions: &TransportOptions) -> Result<HttpResponse> {
        self.received_options.borrow_mut().push(conditions.clone());
        self.outcomes.borrow_mut().pop_front().expect("an attempt more than expected")
    }
}

/// What a call led to.
struct CallRecord {
    outcome: Result<HttpResponse>,
    received_options: Vec<TransportOptions>,
    waited: Duration,
    stderr: String,
}

fn call_scripted(
    url: &str,
    retry_policy: RetryPolicy,
    budget: u64,
    config: NetworkConfig,
    variables: &[(&str, &str)],
    script: ScriptedOutcomes,
) -> CallRecord {
    let received_options = Rc::new(RefCell::new(Vec::new()));
    let stderr = Rc::new(RefCell::new(Vec::new()));
    let terminal = Terminal::captured(Rc::clone(&stderr));
    terminal.set_verbosity(Verbosity::Trace);
    let pair = |(name, value): &(&str, &str)| (String::from(*name), OsString::from(*value));
    let env = Env::Fixed(variables.iter().map(pair).collect::<BTreeMap<_, _>>());
    let world = World {
        folders: Folders::from_env(&env),
        env,
        clock: Arc::new(ManualClock::default()),
        random: Box::new(MidpointRandom),
        http: Box::new(ScriptedHttp { outcomes: RefCell::new(script), received_options: Rc::clone(&received_options) }),
        terminal,
        streams: Streams::from_parts(Box::new(std::io::empty()), Box::new(std::io::sink())),
        started_at_millis: 0,
    };
    let request = HttpRequest::get(Url::parse(url).expect("url")).retry_policy(retry_policy);
    let deadline = Deadline::after(&*world.clock, Duration::from_secs(budget));
    let outcome = HttpClient::new(config).send(&request, &world, deadline);
    let said = String::from_utf8(stderr.borrow().clone()).expect("text");
    CallRecord { outcome, received_options: received_options.take(), waited: world.clock.elapsed(), stderr: said }
}

fn call_with_defaults(retry_policy: RetryPolicy, budget: u64, script: Vec<Result<HttpResponse>>) -> CallRecord {
    call_scripted("https://a.example/", retry_policy, budget, NetworkConfig::default(), &[], script.into())
}

fn status(status: u16) -> Result<HttpResponse> {
    Ok(HttpResponse { status, ..HttpResponse::default() })
}

fn status_with_header(status: u16, name: &str, value: &str) -> Result<HttpResponse> {
    let headers = vec![(name.to_owned(), value.to_owned())];
    Ok(HttpResponse { status, headers, ..HttpResponse::default() })
}

fn status_with_body(status: u16, body: &str) -> Result<HttpResponse> {
    Ok(HttpResponse { status, body: body.as_bytes().to_vec().into(), ..HttpResponse::default() })
}

fn connection_error(retryable: Retryable) -> Result<HttpResponse> {
    Err(Error::no_answer("a.example: lost").with_retryable(retryable))
}

/// The status it ended with, 0 for an error; the attempts; the seconds waited.
#[track_caller]
fn check(record: &CallRecord, expected_status: u16, attempts: usize, waited: u64) {
    assert_eq!(record.outcome.as_ref().map_or(0, |response| response.status), expected_status);
    assert_eq!(record.received_options.len(), attempts, "attempts");
    assert_eq!(record.waited.as_millis().div_ceil(10) / 100, u128::from(waited), "seconds waited");
}

#[test]
fn a_passing_status_is_tried_three_times_and_then_returned() {
    for passing in [408, 429, 500, 502, 503, 504] {
        let story =
            call_with_defaults(RetryPolicy::Standard, 30, vec![status(passing), status(passing), status(passing)]);
        check(&story, passing, 3, 3);
        let story = call_with_defaults(RetryPolicy::Standard, 30, vec![status(passing), status(200)]);
        check(&story, 200, 2, 1);
        let request = "> GET https://a.example/\n";
        let note = format!("gauth: a.example: status {passing}, trying again in 1.0 s\n");
        let answers = [format!("< {passing}, 0 bytes, 0 ms\n"), "< 200, 0 bytes, 0 ms\n".to_owned()];
        let said = format!("{request}{}{note}{request}{}", answers[0], answers[1]);
        assert_eq!(story.stderr, said);
    }
}

#[test]
fn a_final_status_is_returned_at_once() {
    for last in [200, 201, 204, 400, 401, 403, 404, 501, 505] {
        check(&call_with_defaults(RetryPolicy::Standard, 30, vec![status(last)]), last, 1, 0);
    }
}

#[test]
fn oauths_own_words_for_later_are_believed_with_any_bad_status() {
    for text in [
        r#"{"error":"internal_failure"}"#,
        r#"{"error":"server_error"}"#,
        r#"{"error":"x","error_description":"temporarily_unavailable"}"#,
    ] {
        check(
            &call_with_defaults(RetryPolicy::Standard, 30, vec![status_with_body(400, text), status(200)]),
            200,
            2,
            1,
        );
        check(&call_with_defaults(RetryPolicy::Standard, 30, vec![status_with_body(200, text)]), 200, 1, 0);
    }
    for text in [r#"{"error":"invalid_grant"}"#, r#"{"error":{"status":"server_error"}}"#, "server_error", ""] {
        check(&call_with_defaults(RetryPolicy::Standard, 30, vec![status_with_body(400, text)]), 400, 1, 0);
    }
}

#[test]
fn a_lost_connection_is_tried_again_and_a_bad_certificate_is_not() {
    for again in [Retryable::NothingSent, Retryable::IfIdempotent] {
        let story = call_with_defaults(
            RetryPolicy::Standard,
            30,
            vec![connection_error(again), connection_error(again), connection_error(again)],
        );
        check(&story, 0, 3, 3);
        check(&call_with_defaults(RetryPolicy::Standard, 30, vec![connection_error(again), status(200)]), 200, 2, 1);
    }
    check(&call_with_defaults(RetryPolicy::Standard, 30, vec![connection_error(Retryable::Never)]), 0, 1, 0);
}

#[test]
fn the_metadata_server_gets_five_short_attempts() {
    let script = || {
        vec![
            connection_error(Retryable::IfIdempotent),
            status(503),
            connection_error(Retryable::NothingSent),
            status(500),
            status(200),
        ]
    };
    let story = call_with_defaults(RetryPolicy::MetadataServer, 60, script());
    check(&story, 200, 5, 15);
    assert!(story.received_options.iter().all(|conditions| conditions.timeout == Duration::from_secs(3)));
    let network = NetworkConfig { metadata_attempt_timeout: Duration::from_millis(500), ..NetworkConfig::default() };
    let story = call_scripted("https://a.example/", RetryPolicy::MetadataServer, 60, network, &[], script().into());
    assert!(story.received_options.iter().all(|conditions| conditions.timeout == Duration::from_millis(500)));
}

#[test]
fn a_question_asked_once_is_asked_once() {
    check(&call_with_defaults(RetryPolicy::SingleAttempt, 30, vec![status(503)]), 503, 1, 0);
    check(&call_with_defaults(RetryPolicy::SingleAttempt, 30, vec![connection_error(Retryable::NothingSent)]), 0, 1, 0);
}

#[test]
fn a_single_use_code_is_repeated_only_while_nothing_was_sent() {
    check(
        &call_with_defaults(RetryPolicy::OnlyIfUnsent, 30, vec![connection_error(Retryable::NothingSent), status(200)]),
        200,
        2,
        1,
    );
    check(&call_with_defaults(RetryPolicy::OnlyIfUnsent, 30, vec![connection_error(Retryable::IfIdempotent)]), 0, 1, 0);
    check(&call_with_defaults(RetryPolicy::OnlyIfUnsent, 30, vec![status(503)]), 503, 1, 0);
    check(
        &call_with_defaults(RetryPolicy::OnlyIfUnsent, 30, vec![status_with_body(400, r#"{"error":"server_error"}"#)]),
        400,
        1,
        0,
    );
}

#[test]
fn a_wait_the_server_asks_for_is_kept() {
    let ask = |wait| vec![status_with_header(503, "retry-after", wait), status(200)];
    check(&call_with_defaults(RetryPolicy::Standard, 30, ask("7")), 200, 2, 7);
    check(&call_with_defaults(RetryPolicy::Standard, 30, ask("0")), 200, 2, 1);
    check(&call_with_defaults(RetryPolicy::Standard, 30, ask("Wed, 21 Oct 2015 07:28:00 GMT")), 200, 2, 10);
}

#[test]
fn a_wait_that_does_not_fit_ends_the_call_and_is_told() {
    for (wait, budget) in [("31", 120), ("10", 10), ("10", 5), ("99999999999999999999", 30)] {
        let story =
            call_with_defaults(RetryPolicy::Standard, budget, vec![status_with_header(429, "retry-after", wait)]);
        check(&story, 0, 1, 0);
        let error = story.outcome.expect_err("busy");
        assert_eq!(error.kind(), ErrorKind::NoAnswer);
        assert!(error.message().starts_with("a.example: the server asks to wait "), "{error}");
    }
}

#[test]
fn everything_fits_into_the_deadline() {
    let story = call_with_defaults(RetryPolicy::Standard, 2, vec![status(503), status(503)]);
    check(&story, 503, 2, 1);
    assert_eq!(story.received_options[0].timeout, Duration::from_secs(2));
    assert!(story.received_options[1].timeout <= Duration::from_secs(1));
    let story = call_with_defaults(RetryPolicy::Standard, 0, vec![]);
    assert!(story.outcome.expect_err("late").message().ends_with("no time left"));
    assert_eq!(
        call_with_defaults(RetryPolicy::Standard, 90, vec![status(200)]).received_options[0].timeout,
        ATTEMPT_TIMEOUT
    );
}

#[test]
fn a_redirect_is_an_error_that_names_its_target() {
    for (location, target) in [
        ("https://evil.example/token?x=1", "evil.example"),
        ("http://evil.example:8080/", "evil.example:8080"),
        ("/login?token=hunter2hunter2", "/login"),
        ("https://a@evil.example/\u{1b}", "evil.example/\\u{1b}"),
        ("https://hunter2hunter2@b@evil.example/", "evil.example/"),
        ("", "nowhere"),
    ] {
        let story = call_with_defaults(RetryPolicy::Standard, 30, vec![status_with_header(302, "location", location)]);
        check(&story, 0, 1, 0);
        let error = story.outcome.expect_err("redirect");
        let says = format!("a.example: redirects to {target} (302), which is not followed");
        assert_eq!(error.message(), says);
    }
}

#[test]
fn jitter_is_a_tenth_at_most() {
    let second = Duration::from_secs(1);
    assert_eq!(jittered(second, 0.0).as_millis(), 900);
    assert_eq!(jittered(second, 0.5).as_millis(), 1000);
    assert_eq!(jittered(second, 1.0).as_millis(), 1100);
}

/// A network that counts the questions gcloud is asked.
fn config_counting_lookups(properties: &'static [(&'static str, &'static str)]) -> (NetworkConfig, Rc<Cell<usize>>) {
    let count = Rc::new(Cell::new(0));
    let counter = Rc::clone(&count);
    let gcloud = move |section: &str, name: &str| {
        counter.set(counter.get() + 1);
        let path = format!("{section}/{name}");
        properties.iter().find(|(known, _)| *known == path).map(|(_, value)| (*value).to_owned())
    };
    (NetworkConfig { gcloud_property: Box::new(gcloud), ..NetworkConfig::default() }, count)
}

#[test]
fn a_call_to_this_machine_asks_nobody_about_certificates_or_proxies() {
    let (network, count) = config_counting_lookups(&[("core/custom_ca_certs_file", "/g.pem")]);
    let variables = [("http_proxy", "p:1"), ("SSL_CERT_FILE", "/v.pem")];
    let story =
        call_scripted("http://127.0.0.1:1/", RetryPolicy::Standard, 30, network, &variables, vec![status(200)].into());
    assert_eq!(count.get(), 0);
    assert!(story.received_options[0].proxy.is_none());
    assert_eq!(story.received_options[0].root_certificates, RootCertificates::System);
}

#[test]
fn certificates_and_proxy_are_those_somebody_named() {
    let file = |named_by: &str, path: &str| RootCertificates::File { origin: named_by.to_owned(), path: path.into() };
    let ask = |network, variables: &[(&str, &str)]| {
        let mut story = call_scripted(
            "https://a.example/",
            RetryPolicy::SingleAttempt,
            30,
            network,
            variables,
            vec![status(200)].into(),
        );
        story.received_options.pop().expect("asked")
    };
    let variables = [("HTTPS_PROXY", "p:1"), ("SSL_CERT_FILE", "/v.pem")];
    let asked = ask(NetworkConfig::default(), &variables);
    assert_eq!(asked.root_certificates, file("SSL_CERT_FILE", "/v.pem"));
    assert_eq!(asked.proxy.expect("proxy").to_string(), "p:1");
    let all =
        &[("core/custom_ca_certs_file", "/g.pem"), ("proxy/type", "http"), ("proxy/address", "g"), ("proxy/port", "2")];
    let asked = ask(config_counting_lookups(all).0, &variables);
    assert_eq!(asked.root_certificates, file("gcloud's core/custom_ca_certs_file", "/g.pem"));
    assert_eq!(asked.proxy.expect("proxy").to_string(), "g:2");
    let mut network = config_counting_lookups(all).0;
    network.ca_file = Some(("GAUTH_CA_FILE".to_owned(), "/f.pem".into()));
    assert_eq!(ask(network, &variables).root_certificates, file("GAUTH_CA_FILE", "/f.pem"));
}
