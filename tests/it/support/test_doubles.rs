//! The doubles of the world's doors: clock, randomness, network, output.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gauth_core::error::{Error, Result, Retryable};
use gauth_core::net::message::{
    ClientCertificate, HttpHeaderValue, HttpMethod, HttpRequest, HttpResponse, RetryPolicy,
};
use gauth_core::net::transport::{Http, TransportOptions};
use gauth_core::world::clock::Clock;
use gauth_core::world::random::Random;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{Home, NOW};

/// A clock that is moved by hand, and by those who wait.
pub(crate) struct ManualClock {
    millis: AtomicI64,
    /// How much faster than in the world outside time passes by itself.
    speed: AtomicU32,
    start: Instant,
}

impl ManualClock {
    pub(crate) fn at_unix_seconds(unix: i64) -> ManualClock {
        ManualClock { millis: AtomicI64::new(unix * 1000), speed: AtomicU32::new(0), start: Instant::now() }
    }

    pub(crate) fn millis(&self) -> i64 {
        self.millis.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.millis.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Time passes by itself from now on, so many times faster than outside: for the limits of programs. The hour
    /// stays what it is.
    pub(crate) fn run_at_speed(&self, speed: u32) {
        self.speed.store(speed, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_millis(&self) -> i64 {
        self.millis()
    }

    fn elapsed(&self) -> Duration {
        // Far from zero, so that a clock set back does not go below it.
        let by_hand = Duration::from_millis((self.millis() - (NOW - 100_000_000) * 1000).unsigned_abs());
        by_hand + self.start.elapsed() * self.speed.load(Ordering::Relaxed)
    }

    fn sleep(&self, pause: Duration) {
        // A program that another test starts has a copy of our locks until it runs: a moment for that.
        std::thread::sleep(Duration::from_micros(100));
        let millis = i64::try_from(pause.as_millis()).expect("a short pause").max(1);
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }
}

/// Random bytes that are the same every time, and never twice the same in a run.
#[derive(Default)]
pub(super) struct DeterministicRandom(Cell<u64>);

impl Random for DeterministicRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        for byte in bytes {
            let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0.set(next);
            *byte = next.to_be_bytes()[0];
        }
        Ok(())
    }
}

/// What happens when something is printed.
pub(super) type WriteHook = Rc<dyn Fn(&Home) -> std::io::Result<()>>;

/// An output that is kept.
#[derive(Clone)]
pub(super) struct CapturedOutput {
    bytes: Rc<RefCell<Vec<u8>>>,
    on_write: WriteHook,
    home: Rc<Home>,
}

impl CapturedOutput {
    pub(super) fn new(on_write: &WriteHook, home: &Rc<Home>) -> CapturedOutput {
        CapturedOutput { bytes: Rc::default(), on_write: Rc::clone(on_write), home: Rc::clone(home) }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.bytes.take()
    }
}

impl std::io::Write for CapturedOutput {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (self.on_write)(&self.home)?;
        self.bytes.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentRequest {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// The fields of a form, by name.
    pub(crate) form: BTreeMap<String, String>,
    /// As it goes over the wire.
    pub(crate) body: String,
    /// Certificates that are trusted instead of the usual ones.
    pub(crate) ca_file: Option<PathBuf>,
    /// The client certificate that is shown.
    pub(crate) client_certificate: Option<ClientCertificate>,
    /// Whether it is sent once only if something may have reached the server.
    pub(crate) single_use: bool,
    /// What it was given to take.
    pub(crate) timeout: Duration,
    pub(crate) is_proxied: bool,
}

impl SentRequest {
    fn from_request(request: &HttpRequest, conditions: &TransportOptions) -> SentRequest {
        let text = |value: &HttpHeaderValue| match value {
            HttpHeaderValue::Plain(text) => text.clone(),
            HttpHeaderValue::Secret(secret) => secret.expose().to_owned(),
        };
        let body = request.body.as_ref().map(|body| body.to_vec()).unwrap_or_default();
        SentRequest {
            method: request.method.as_str(),
            url: request.url.to_string(),
            headers: request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            form: form_urlencoded::parse(&body).into_owned().collect(),
            body: String::from_utf8(body).expect("text"),
            ca_file: request.ca_file.clone(),
            client_certificate: request.client_certificate.clone(),
            single_use: request.retry_policy == RetryPolicy::OnlyIfUnsent,
            timeout: conditions.timeout,
            is_proxied: conditions.proxy.is_some(),
        }
    }

    pub(crate) fn form_field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The fields of a form, in the order in which they are sent.
    pub(crate) fn form_fields(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).expect("JSON in a request")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// What nobody may see of it.
    pub(super) fn secrets(&self) -> Vec<String> {
        let names = ["assertion", "client_secret", "refresh_token", "rapt", "subject_token", "actor_token"];
        let in_form = names.iter().filter_map(|name| self.form.get(*name).cloned());
        let json: Json = serde_json::from_str(&self.body).unwrap_or_default();
        let in_json = json.get("subject_token").and_then(Json::as_str).map(str::to_owned);
        let names = ["authorization", "x-aws-ec2-metadata-token"];
        let in_headers = names.iter().filter_map(|name| self.headers.get(*name));
        let in_headers = in_headers.filter_map(|value| value.split(' ').next_back());
        in_form.chain(in_json).chain(in_headers.map(str::to_owned)).collect()
    }
}

type RequestHook = Rc<dyn Fn(&Home)>;

/// One request that is expected, and what comes back.
#[derive(Clone)]
pub(crate) struct MockExchange {
    method: HttpMethod,
    url: String,
    /// `None`: nothing comes back.
    response: Option<HttpResponse>,
    latency: Duration,
    on_request: Option<RequestHook>,
}

impl MockExchange {
    fn new(method: HttpMethod, url: &str, status: u16, body: &[u8]) -> MockExchange {
        let response = HttpResponse { status, headers: Vec::new(), body: Zeroizing::new(body.to_vec()) };
        MockExchange {
            method,
            url: url.to_owned(),
            response: Some(response),
            latency: Duration::ZERO,
            on_request: None,
        }
    }

    /// At another URL.
    pub(crate) fn at_url(mut self, url: &str) -> MockExchange {
        url.clone_into(&mut self.url);
        self
    }

    /// With another status.
    pub(crate) fn with_status(mut self, status: u16) -> MockExchange {
        self.response.as_mut().expect("an answer").status = status;
        self
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> MockExchange {
        let response = self.response.as_mut().expect("an answer");
        response.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without_headers(mut self) -> MockExchange {
        self.response.as_mut().expect("an answer").headers.clear();
        self
    }

    /// The server is slow.
    pub(crate) fn with_latency(mut self, time: Duration) -> MockExchange {
        self.latency = time;
        self
    }

    /// Something else happens while the server works.
    pub(crate) fn on_request(mut self, on_request: impl Fn(&Home) + 'static) -> MockExchange {
        self.on_request = Some(Rc::new(on_request));
        self
    }

    /// The status of the response.
    pub(crate) fn status(&self) -> u16 {
        self.response.as_ref().expect("an answer").status
    }

    /// The tokens in the response.
    pub(super) fn secrets(&self) -> Vec<String> {
        let body = self.response.as_ref().map(|response| response.body.to_vec()).unwrap_or_default();
        let json: Json = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &&str| json.get(*name)?.as_str().map(str::to_owned);
        let names = ["access_token", "refresh_token", "id_token", "accessToken", "signedJwt"];
        let others = ["SecretAccessKey", "Token", "value", "oidcToken", "encodedProofOfReauthToken"];
        names.iter().chain(&others).filter_map(text).collect()
    }

    fn respond(&self, request: &HttpRequest, conditions: &TransportOptions, home: &Home) -> Result<HttpResponse> {
        assert_eq!((request.method, request.url.as_str()), (self.method, self.url.as_str()));
        home.clock.sleep(self.latency.min(conditions.timeout));
        if let Some(during) = &self.on_request {
            during(home);
        }
        let host = request.url.authority();
        if self.latency > conditions.timeout {
            let message = format!("{host}: no answer in time");
            return Err(Error::no_answer(message).with_retryable(Retryable::IfIdempotent).hint("--timeout 60s"));
        }
        self.response.clone().ok_or_else(|| {
            let message = format!("{host}: connection refused");
            Error::no_answer(message).with_retryable(Retryable::NothingSent).hint("check the network")
        })
    }
}

/// Google's token endpoint.
pub(crate) fn token_response(status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    MockExchange::new(HttpMethod::Post, "https://oauth2.googleapis.com/token", status, body.as_ref())
        .with_header("content-type", "application/json")
}

/// Google's STS, or another one at its URL.
pub(crate) fn sts_response(status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    token_response(status, body).at_url("https://sts.googleapis.com/v1/token")
}

/// IAM, asked for this account.
pub(crate) fn iam_response(account: &str, method: &str, status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    let server = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";
    token_response(status, body).at_url(&format!("{server}/{account}:{method}"))
}

/// Anybody, asked with GET.
pub(crate) fn get_response(url: &str, status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    MockExchange::new(HttpMethod::Get, url, status, body.as_ref())
}

/// AWS's metadata server, asked for a session.
pub(crate) fn put_response(url: &str, status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    MockExchange::new(HttpMethod::Put, url, status, body.as_ref())
}

/// An answer of anybody's to a POST.
pub(crate) fn post_response(url: &str, status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    MockExchange::new(HttpMethod::Post, url, status, body.as_ref())
}

/// A value of the metadata server's.
pub(crate) fn metadata_response(path: &str, status: u16, body: impl AsRef<[u8]>) -> MockExchange {
    let url = format!("http://metadata.google.internal/computeMetadata/v1/{path}");
    MockExchange::new(HttpMethod::Get, &url, status, body.as_ref()).with_header("metadata-flavor", "Google")
}

/// The question whether there is a metadata server, answered with yes.
pub(crate) fn metadata_ping() -> MockExchange {
    MockExchange::new(HttpMethod::Get, "http://169.254.169.254/", 200, b"").with_header("metadata-flavor", "Google")
}

/// A request that nobody answers.
pub(crate) fn without_response(exchange: MockExchange) -> MockExchange {
    MockExchange { response: None, ..exchange }
}

/// The network: a list of what is expected.
pub(super) struct ScriptedHttp {
    remaining: RefCell<VecDeque<MockExchange>>,
    sent: Rc<RefCell<Vec<SentRequest>>>,
    home: Rc<Home>,
}

impl ScriptedHttp {
    pub(super) fn new(exchanges: &[MockExchange], home: &Rc<Home>) -> ScriptedHttp {
        let remaining = RefCell::new(exchanges.iter().cloned().collect());
        ScriptedHttp { remaining, sent: Rc::default(), home: Rc::clone(home) }
    }

    pub(super) fn sent(&self) -> Rc<RefCell<Vec<SentRequest>>> {
        Rc::clone(&self.sent)
    }
}

impl Http for ScriptedHttp {
    fn send(&self, request: &HttpRequest, conditions: &TransportOptions) -> Result<HttpResponse> {
        let next = self.remaining.borrow_mut().pop_front();
        let next = next.unwrap_or_else(|| panic!("an unexpected request to {}", request.url));
        self.sent.borrow_mut().push(SentRequest::from_request(request, conditions));
        next.respond(request, conditions, &self.home)
    }
}
