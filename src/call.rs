//! One call to a server: certificates, proxy, attempts, pauses, all within one deadline.
//!
//! What holds for every call of a run is gathered when the first call needs it. A call to this machine needs none of
//! it, and reads no file.

mod trace;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Again, Error, Result};
use crate::http::{HttpRequest, HttpResponse, Patience};
use crate::printable;
use crate::proxy::{self, Properties, Proxies, Proxy};
use crate::roots::{self, Trust};
use crate::secret::Secret;
use crate::url::{Scheme, Url};
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::http::Conditions;
use crate::world::{env, random};

/// The longest an ordinary attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);

/// What the metadata server has for one attempt, unless a variable says otherwise: it is next door or nowhere.
pub const METADATA_ATTEMPT: Duration = Duration::from_secs(3);

/// A server that wants a longer wait is not waited for.
const LONGEST_ASKED: Duration = Duration::from_secs(30);

/// What servers answer when the same request may succeed a little later.
const PASSING: &[u16] = &[408, 429, 500, 502, 503, 504];

/// The same in the words of OAuth, whatever the status.
const PASSING_CODES: &[&str] = &["internal_failure", "server_error", "temporarily_unavailable"];

/// Looks up a property of gcloud's by section and name.
pub type Property = dyn Fn(&str, &str) -> Option<String>;

/// What somebody may have said about the network.
pub struct Network {
    /// The file of `--ca-file`, and the flag, variable or setting that named it.
    pub ca_file: Option<(String, PathBuf)>,
    /// gcloud's properties; asked only for calls that leave this machine.
    pub gcloud: Box<Property>,
    /// The longest one attempt at the metadata server may take (`GCE_METADATA_TIMEOUT`).
    pub metadata_attempt: Duration,
}

impl Default for Network {
    fn default() -> Network {
        Network { ca_file: None, gcloud: Box::new(|_, _| None), metadata_attempt: METADATA_ATTEMPT }
    }
}

/// Makes the calls of one run.
#[derive(Default)]
pub struct Caller {
    network: Network,
    trust: OnceCell<Trust>,
    proxies: OnceCell<Proxies>,
}

impl Caller {
    /// For a run in which this was said; looks at none of it yet.
    pub fn new(network: Network) -> Caller {
        Caller { network, ..Caller::default() }
    }

    /// Sends a request until its answer is final: any status but a redirect, once no further attempt may change it.
    ///
    /// # Errors
    /// `NoAnswer` when there is none, when it redirects, or when the server wants a longer wait than there is time
    /// for; `Malformed` or `Usage` when the certificates or the proxy somebody named cannot be used.
    pub fn call(
        &self,
        request: &HttpRequest,
        world: &World,
        deadline: Deadline,
    ) -> Result<HttpResponse> {
        let clock = &*world.clock;
        let mut conditions = self.conditions(request, world)?;
        let mut pauses = pauses(request.patience).iter();
        loop {
            let left = deadline.left(clock);
            if left.is_zero() {
                return Err(Error::no_answer(format!("{}: no time left", request.url.authority()))
                    .again(Again::NothingSent)
                    .hint("the same again with more time, such as --timeout 60s"));
            }
            conditions.limit = self.longest(request.patience).min(left);
            let outcome = attempt(request, &conditions, world);
            if !worth_repeating(&outcome, request.patience) {
                return outcome;
            }
            let Some(pause) = pauses.next() else { return outcome };
            let left = deadline.left(clock);
            let asked = asked(&outcome, clock.unix());
            if let Some(asked) = asked.filter(|asked| *asked > LONGEST_ASKED || *asked >= left) {
                return Err(busy(&request.url, asked));
            }
            let pause =
                jittered(*pause, random::fraction(&*world.random)).max(asked.unwrap_or_default());
            if pause >= left {
                return outcome;
            }
            world.terminal.note(|| {
                format!(
                    "{}, trying again in {:.1} s",
                    what_happened(&outcome, &request.url),
                    pause.as_secs_f64()
                )
            });
            clock.sleep(pause);
        }
    }

    /// Certificates and proxy for a request; the limit is set per attempt.
    fn conditions(&self, request: &HttpRequest, world: &World) -> Result<Conditions> {
        let trust = match (&request.ca_file, request.url.scheme) {
            // In the clear no certificate is looked at.
            (_, Scheme::Http) => Trust::System,
            (Some(path), _) => {
                Trust::File { named_by: "ca_cert_path".to_owned(), path: path.clone() }
            }
            (None, _) => self.trust.get_or_init(|| self.usual_trust(world)).clone(),
        };
        Ok(Conditions { limit: ATTEMPT, trust, proxy: self.proxy(request, world)? })
    }

    fn usual_trust(&self, world: &World) -> Trust {
        if self.property("auth", "disable_ssl_validation").is_some_and(|value| env::is_yes(&value))
        {
            world
                .terminal
                .warn("gcloud's auth/disable_ssl_validation is ignored, certificates are checked");
        }
        let flag = self.network.ca_file.as_ref();
        roots::choose(
            flag.map(|(named_by, path)| (named_by.as_str(), path.as_path())),
            || self.property("core", "custom_ca_certs_file").map(PathBuf::from),
            || world.env.os(&env::SSL_CERT_FILE).map(PathBuf::from),
        )
    }

    fn proxy(&self, request: &HttpRequest, world: &World) -> Result<Option<Proxy>> {
        if !request.proxy || proxy::stays_here(&request.url) {
            return Ok(None);
        }
        if self.proxies.get().is_none() {
            let property = |name| self.property("proxy", name);
            let read = Proxies::read(
                &world.env,
                &Properties {
                    kind: property("type"),
                    address: property("address"),
                    port: property("port"),
                    username: property("username"),
                    password: property("password").map(Secret::new),
                    rdns: property("rdns"),
                },
            )?;
            let _ = self.proxies.set(read);
        }
        self.proxies.get().map_or(Ok(None), |proxies| proxies.choose(&request.url))
    }

    /// One of gcloud's properties; an empty one is none.
    fn property(&self, section: &str, name: &str) -> Option<String> {
        (self.network.gcloud)(section, name).filter(|value| !value.is_empty())
    }

    fn longest(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Metadata => self.network.metadata_attempt,
            Patience::Usual | Patience::Once | Patience::SingleUse => ATTEMPT,
        }
    }
}

/// The pauses between attempts: one attempt more than there are pauses.
fn pauses(patience: Patience) -> &'static [Duration] {
    const PAUSES: &[Duration] = &[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(4),
        Duration::from_secs(8),
    ];
    match patience {
        Patience::Usual | Patience::SingleUse => &PAUSES[..2],
        Patience::Metadata => PAUSES,
        Patience::Once => &[],
    }
}

/// Ten per cent more or less, so that many who failed together do not come back together.
fn jittered(pause: Duration, fraction: f64) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fraction.clamp(0.0, 1.0))
}

/// One attempt, told about with `-vv`.
fn attempt(request: &HttpRequest, conditions: &Conditions, world: &World) -> Result<HttpResponse> {
    for line in trace::request(request, conditions.proxy.as_ref()) {
        world.terminal.trace(|| line.to_string());
    }
    let before = world.clock.elapsed();
    let outcome = world.http.send(request, conditions);
    let took = world.clock.elapsed().saturating_sub(before);
    world.terminal.trace(|| trace::outcome(&outcome, took));
    match outcome {
        Ok(response) if (300..400).contains(&response.status) => {
            Err(redirected(request, &response))
        }
        outcome => outcome,
    }
}

/// Whether the same request may fare better: what failed on the way, or passes by the server's own word.
fn worth_repeating(outcome: &Result<HttpResponse>, patience: Patience) -> bool {
    match (outcome, patience) {
        (Err(error), _) if error.repeatable() == Again::NothingSent => true,
        // The server may have seen the request, and a second one would be taken for a theft.
        (_, Patience::SingleUse) => false,
        (Err(error), _) => error.repeatable() == Again::Later,
        (Ok(response), _) => {
            PASSING.contains(&response.status)
                || (response.status >= 400 && says_passing(&response.body))
        }
    }
}

/// Whether a body is OAuth's JSON with one of the codes for "later".
fn says_passing(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    ["error", "error_description"]
        .iter()
        .filter_map(|name| body.get(name)?.as_str())
        .any(|text| PASSING_CODES.contains(&text))
}

/// How long the server wants us to wait.
fn asked(outcome: &Result<HttpResponse>, now: i64) -> Option<Duration> {
    match outcome {
        Ok(response) => response.retry_after(now),
        Err(error) => error.wait_asked(),
    }
}

fn busy(url: &Url, asked: Duration) -> Error {
    let seconds = asked.as_secs() + u64::from(asked.subsec_nanos() > 0);
    Error::no_answer(format!("{}: the server asks to wait {seconds} s", url.authority()))
        .retry_after(Some(asked))
        .hint(format!("the same again in {seconds} s"))
}

/// A redirect is never followed: the request carries secrets that are meant for this host.
fn redirected(request: &HttpRequest, response: &HttpResponse) -> Error {
    let location = response.header("location").unwrap_or_default();
    let target = match Url::parse(location) {
        Ok(url) => url.authority().to_owned(),
        Err(_) if location.is_empty() => "nowhere".to_owned(),
        // What follows a question mark, or stands before an @, may be anybody's secret.
        Err(_) => {
            let place = location.split(['?', '#']).next().unwrap_or_default();
            printable::text(place.rsplit('@').next().unwrap_or_default())
        }
    };
    let host = request.url.authority();
    Error::no_answer(format!(
        "{host}: redirects to {target} ({}), which is not followed",
        response.status
    ))
    .with_status(response.status)
    .hint("check the URL; a captive portal or proxy may answer in its place")
}

fn what_happened(outcome: &Result<HttpResponse>, url: &Url) -> String {
    match outcome {
        Ok(response) => format!("{}: status {}", url.authority(), response.status),
        Err(error) => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
