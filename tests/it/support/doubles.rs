//! The doubles of the world's doors: clock, randomness, network, output.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use gauth::error::{Again, Error, Result};
use gauth::http::{HttpRequest, HttpResponse, Identity, Method, Patience, Value};
use gauth::world::clock::Clock;
use gauth::world::http::{Conditions, Http};
use gauth::world::random::Random;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{Home, NOW};

/// A clock that is moved by hand, and by those who wait.
pub(crate) struct Hand {
    millis: AtomicI64,
    /// How much faster than in the world outside time passes by itself.
    pace: AtomicU32,
    start: Instant,
}

impl Hand {
    pub(crate) fn at(unix: i64) -> Hand {
        Hand { millis: AtomicI64::new(unix * 1000), pace: AtomicU32::new(0), start: Instant::now() }
    }

    pub(crate) fn millis(&self) -> i64 {
        self.millis.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.millis.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Time passes by itself from now on, so many times faster than outside: for the limits of programs. The hour
    /// stays what it is.
    pub(crate) fn run(&self, pace: u32) {
        self.pace.store(pace, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn unix_millis(&self) -> i64 {
        self.millis()
    }

    fn elapsed(&self) -> Duration {
        // Far from zero, so that a clock set back does not go below it.
        let by_hand =
            Duration::from_millis((self.millis() - (NOW - 100_000_000) * 1000).unsigned_abs());
        by_hand + self.start.elapsed() * self.pace.load(Ordering::Relaxed)
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
pub(super) struct Seeded(Cell<u64>);

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        for byte in bytes {
            let next = self
                .0
                .get()
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            self.0.set(next);
            *byte = next.to_be_bytes()[0];
        }
        Ok(())
    }
}

/// What happens when something is printed.
pub(super) type Printing = Rc<dyn Fn(&Home) -> std::io::Result<()>>;

/// An output that is kept.
#[derive(Clone)]
pub(super) struct Kept {
    bytes: Rc<RefCell<Vec<u8>>>,
    printing: Printing,
    home: Rc<Home>,
}

impl Kept {
    pub(super) fn new(printing: &Printing, home: &Rc<Home>) -> Kept {
        Kept { bytes: Rc::default(), printing: Rc::clone(printing), home: Rc::clone(home) }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.bytes.take()
    }
}

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (self.printing)(&self.home)?;
        self.bytes.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
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
    pub(crate) identity: Option<Identity>,
    /// Whether it is sent once only if something may have reached the server.
    pub(crate) single_use: bool,
    /// What it was given to take.
    pub(crate) limit: Duration,
    pub(crate) proxied: bool,
}

impl Sent {
    fn of(request: &HttpRequest, conditions: &Conditions) -> Sent {
        let text = |value: &Value| match value {
            Value::Plain(text) => text.clone(),
            Value::Secret(secret) => secret.expose().to_owned(),
        };
        let body = request.body.as_ref().map(|body| body.to_vec()).unwrap_or_default();
        Sent {
            method: request.method.as_str(),
            url: request.url.to_string(),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            form: form_urlencoded::parse(&body).into_owned().collect(),
            body: String::from_utf8(body).expect("text"),
            ca_file: request.ca_file.clone(),
            identity: request.identity.clone(),
            single_use: request.patience == Patience::SingleUse,
            limit: conditions.limit,
            proxied: conditions.proxy.is_some(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The fields of a form, in the order in which they are sent.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
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
        let names =
            ["assertion", "client_secret", "refresh_token", "rapt", "subject_token", "actor_token"];
        let in_form = names.iter().filter_map(|name| self.form.get(*name).cloned());
        let json: Json = serde_json::from_str(&self.body).unwrap_or_default();
        let in_json = json.get("subject_token").and_then(Json::as_str).map(str::to_owned);
        let names = ["authorization", "x-aws-ec2-metadata-token"];
        let in_headers = names.iter().filter_map(|name| self.headers.get(*name));
        let in_headers = in_headers.filter_map(|value| value.split(' ').next_back());
        in_form.chain(in_json).chain(in_headers.map(str::to_owned)).collect()
    }
}

type During = Rc<dyn Fn(&Home)>;

/// One request that is expected, and what comes back.
#[derive(Clone)]
pub(crate) struct Exchange {
    method: Method,
    url: String,
    /// `None`: nothing comes back.
    answer: Option<HttpResponse>,
    takes: Duration,
    during: Option<During>,
}

impl Exchange {
    fn new(method: Method, url: &str, status: u16, body: &[u8]) -> Exchange {
        let answer =
            HttpResponse { status, headers: Vec::new(), body: Zeroizing::new(body.to_vec()) };
        Exchange {
            method,
            url: url.to_owned(),
            answer: Some(answer),
            takes: Duration::ZERO,
            during: None,
        }
    }

    /// At another URL.
    pub(crate) fn url(mut self, url: &str) -> Exchange {
        url.clone_into(&mut self.url);
        self
    }

    /// With another status.
    pub(crate) fn answers(mut self, status: u16) -> Exchange {
        self.answer.as_mut().expect("an answer").status = status;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Exchange {
        let answer = self.answer.as_mut().expect("an answer");
        answer.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without_headers(mut self) -> Exchange {
        self.answer.as_mut().expect("an answer").headers.clear();
        self
    }

    /// The server is slow.
    pub(crate) fn takes(mut self, time: Duration) -> Exchange {
        self.takes = time;
        self
    }

    /// Something else happens while the server works.
    pub(crate) fn during(mut self, during: impl Fn(&Home) + 'static) -> Exchange {
        self.during = Some(Rc::new(during));
        self
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        self.answer.as_ref().expect("an answer").status
    }

    /// The tokens in the answer.
    pub(super) fn secrets(&self) -> Vec<String> {
        let body = self.answer.as_ref().map(|answer| answer.body.to_vec()).unwrap_or_default();
        let json: Json = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &&str| json.get(*name)?.as_str().map(str::to_owned);
        let names = ["access_token", "refresh_token", "id_token", "accessToken", "signedJwt"];
        let others =
            ["SecretAccessKey", "Token", "value", "oidcToken", "encodedProofOfReauthToken"];
        names.iter().chain(&others).filter_map(text).collect()
    }

    fn answer(
        &self,
        request: &HttpRequest,
        conditions: &Conditions,
        home: &Home,
    ) -> Result<HttpResponse> {
        assert_eq!((request.method, request.url.as_str()), (self.method, self.url.as_str()));
        home.clock.sleep(self.takes.min(conditions.limit));
        if let Some(during) = &self.during {
            during(home);
        }
        let host = request.url.authority();
        if self.takes > conditions.limit {
            let message = format!("{host}: no answer in time");
            return Err(Error::no_answer(message).again(Again::Later).hint("--timeout 60s"));
        }
        self.answer.clone().ok_or_else(|| {
            let message = format!("{host}: connection refused");
            Error::no_answer(message).again(Again::NothingSent).hint("check the network")
        })
    }
}

/// Google's token endpoint.
pub(crate) fn token(status: u16, body: impl AsRef<[u8]>) -> Exchange {
    Exchange::new(Method::Post, "https://oauth2.googleapis.com/token", status, body.as_ref())
        .header("content-type", "application/json")
}

/// Google's STS, or another one at its URL.
pub(crate) fn sts(status: u16, body: impl AsRef<[u8]>) -> Exchange {
    token(status, body).url("https://sts.googleapis.com/v1/token")
}

/// IAM, asked for this account.
pub(crate) fn iam(account: &str, method: &str, status: u16, body: impl AsRef<[u8]>) -> Exchange {
    let server = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";
    token(status, body).url(&format!("{server}/{account}:{method}"))
}

/// Anybody, asked with GET.
pub(crate) fn get(url: &str, status: u16, body: impl AsRef<[u8]>) -> Exchange {
    Exchange::new(Method::Get, url, status, body.as_ref())
}

/// AWS's metadata server, asked for a session.
pub(crate) fn put(url: &str, status: u16, body: impl AsRef<[u8]>) -> Exchange {
    Exchange::new(Method::Put, url, status, body.as_ref())
}

/// An answer of anybody's to a POST.
pub(crate) fn post(url: &str, status: u16, body: impl AsRef<[u8]>) -> Exchange {
    Exchange::new(Method::Post, url, status, body.as_ref())
}

/// A value of the metadata server's.
pub(crate) fn metadata(path: &str, status: u16, body: impl AsRef<[u8]>) -> Exchange {
    let url = format!("http://metadata.google.internal/computeMetadata/v1/{path}");
    Exchange::new(Method::Get, &url, status, body.as_ref()).header("metadata-flavor", "Google")
}

/// The question whether there is a metadata server, answered with yes.
pub(crate) fn ping() -> Exchange {
    Exchange::new(Method::Get, "http://169.254.169.254/", 200, b"")
        .header("metadata-flavor", "Google")
}

/// A request that nobody answers.
pub(crate) fn nothing(exchange: Exchange) -> Exchange {
    Exchange { answer: None, ..exchange }
}

/// The network: a list of what is expected.
pub(super) struct Script {
    left: RefCell<VecDeque<Exchange>>,
    sent: Rc<RefCell<Vec<Sent>>>,
    home: Rc<Home>,
}

impl Script {
    pub(super) fn new(exchanges: &[Exchange], home: &Rc<Home>) -> Script {
        let left = RefCell::new(exchanges.iter().cloned().collect());
        Script { left, sent: Rc::default(), home: Rc::clone(home) }
    }

    pub(super) fn sent(&self) -> Rc<RefCell<Vec<Sent>>> {
        Rc::clone(&self.sent)
    }
}

impl Http for Script {
    fn send(&self, request: &HttpRequest, conditions: &Conditions) -> Result<HttpResponse> {
        let next = self.left.borrow_mut().pop_front();
        let next = next.unwrap_or_else(|| panic!("an unexpected request to {}", request.url));
        self.sent.borrow_mut().push(Sent::of(request, conditions));
        next.answer(request, conditions, &self.home)
    }
}
