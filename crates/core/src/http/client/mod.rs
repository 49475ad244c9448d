//! One call to a server: certificates, proxy, attempts, pauses, all within one deadline.
//!
//! What holds for every call of a run is gathered when the first call needs it. A call to this machine needs none of
//! it, and reads no file.

#[cfg(test)]
mod tests;
mod trace;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result, Retryable};
use crate::http::proxy_config::{GcloudProxyProperties, ProxyConfig};
use crate::http::{proxy_config, root_certificates};
use crate::net::message::{HttpRequest, HttpResponse, RetryPolicy};
use crate::net::proxy::Proxy;
use crate::net::transport::{RootCertificates, TransportOptions};
use crate::net::url::{Scheme, Url};
use crate::text::printable;
use crate::text::secret::Secret;
use crate::world::clock::Deadline;
use crate::world::{World, env, random};

/// The longest an ordinary attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit of an attempt at the metadata server, unless a variable sets another: it is near or absent.
pub const METADATA_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest `Retry-After` that gauth waits for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Statuses after which the same request may succeed a little later.
const TRANSIENT_STATUS: &[u16] = &[408, 429, 500, 502, 503, 504];

/// OAuth error codes that mean the same, whatever the status.
const TRANSIENT_ERROR_CODES: &[&str] = &["internal_failure", "server_error", "temporarily_unavailable"];

/// Looks up a property of gcloud's by section and name.
pub type GcloudPropertyLookup = dyn Fn(&str, &str) -> Option<String>;

/// The network settings of flags, variables and gcloud's properties.
pub struct NetworkConfig {
    /// The file of `--ca-file`, and the flag, variable or setting that named it.
    pub ca_file: Option<(String, PathBuf)>,
    /// gcloud's properties; read only for requests that leave this machine.
    pub gcloud_property: Box<GcloudPropertyLookup>,
    /// The longest one attempt at the metadata server may take (`GCE_METADATA_TIMEOUT`).
    pub metadata_attempt_timeout: Duration,
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            ca_file: None,
            gcloud_property: Box::new(|_, _| None),
            metadata_attempt_timeout: METADATA_ATTEMPT_TIMEOUT,
        }
    }
}

/// Makes the calls of one run.
#[derive(Default)]
pub struct HttpClient {
    config: NetworkConfig,
    root_certificates: OnceCell<RootCertificates>,
    proxies: OnceCell<ProxyConfig>,
}

impl HttpClient {
    /// A client with these settings, which are read with the first request.
    pub fn new(config: NetworkConfig) -> HttpClient {
        HttpClient { config, ..HttpClient::default() }
    }

    /// Sends a request, again after transient failures, and returns the final response: any status but a redirect.
    ///
    /// # Errors
    /// `NoAnswer` when there is none, when it redirects, or when the server wants a longer wait than there is time
    /// for; `Malformed` or `Usage` when the configured certificates or proxy cannot be used.
    pub fn send(&self, request: &HttpRequest, world: &World, deadline: Deadline) -> Result<HttpResponse> {
        let clock = &*world.clock;
        let mut options = self.transport_options(request, world)?;
        let mut pauses = retry_pauses(request.retry_policy).iter();
        loop {
            let left = deadline.remaining(clock);
            if left.is_zero() {
                return Err(Error::no_answer(format!("{}: no time left", request.url.authority()))
                    .with_retryable(Retryable::NothingSent)
                    .hint("the same again with more time, such as --timeout 60s"));
            }
            options.timeout = self.attempt_timeout(request.retry_policy).min(left);
            let outcome = send_once(request, &options, world);
            if !should_retry(&outcome, request.retry_policy) {
                return outcome;
            }
            let Some(pause) = pauses.next() else { return outcome };
            let left = deadline.remaining(clock);
            let retry_after = requested_wait(&outcome, clock.unix_seconds());
            if let Some(retry_after) = retry_after.filter(|wait| *wait > MAX_RETRY_AFTER || *wait >= left) {
                return Err(wait_too_long_error(&request.url, retry_after));
            }
            let pause = jittered(*pause, random::unit_fraction(&*world.random)).max(retry_after.unwrap_or_default());
            if pause >= left {
                return outcome;
            }
            world.terminal.note(|| {
                format!("{}, trying again in {:.1} s", describe_outcome(&outcome, &request.url), pause.as_secs_f64())
            });
            clock.sleep(pause);
        }
    }

    /// Certificates and proxy for a request; the limit is set per attempt.
    fn transport_options(&self, request: &HttpRequest, world: &World) -> Result<TransportOptions> {
        let root_certificates = match (&request.ca_file, request.url.scheme) {
            // Without TLS, no certificate is read.
            (_, Scheme::Http) => RootCertificates::System,
            (Some(path), _) => RootCertificates::File { origin: "ca_cert_path".to_owned(), path: path.clone() },
            (None, _) => self.root_certificates.get_or_init(|| self.default_root_certificates(world)).clone(),
        };
        Ok(TransportOptions { timeout: ATTEMPT_TIMEOUT, root_certificates, proxy: self.proxy(request, world)? })
    }

    fn default_root_certificates(&self, world: &World) -> RootCertificates {
        if self.gcloud_property("auth", "disable_ssl_validation").is_some_and(|value| env::is_true_text(&value)) {
            world.terminal.warn("gcloud's auth/disable_ssl_validation is ignored, certificates are checked");
        }
        let flag = self.config.ca_file.as_ref();
        root_certificates::select(
            flag.map(|(named_by, path)| (named_by.as_str(), path.as_path())),
            || self.gcloud_property("core", "custom_ca_certs_file").map(PathBuf::from),
            || world.env.os(&env::SSL_CERT_FILE).map(PathBuf::from),
        )
    }

    fn proxy(&self, request: &HttpRequest, world: &World) -> Result<Option<Proxy>> {
        if !request.allow_proxy || proxy_config::is_never_proxied(&request.url) {
            return Ok(None);
        }
        if self.proxies.get().is_none() {
            let property = |name| self.gcloud_property("proxy", name);
            let loaded = ProxyConfig::load(
                &world.env,
                &GcloudProxyProperties {
                    kind: property("type"),
                    address: property("address"),
                    port: property("port"),
                    username: property("username"),
                    password: property("password").map(Secret::new),
                    rdns: property("rdns"),
                },
            )?;
            let _ = self.proxies.set(loaded);
        }
        self.proxies.get().map_or(Ok(None), |proxies| proxies.proxy_for(&request.url))
    }

    /// One of gcloud's properties; an empty one is none.
    fn gcloud_property(&self, section: &str, name: &str) -> Option<String> {
        (self.config.gcloud_property)(section, name).filter(|value| !value.is_empty())
    }

    fn attempt_timeout(&self, retry_policy: RetryPolicy) -> Duration {
        match retry_policy {
            RetryPolicy::MetadataServer => self.config.metadata_attempt_timeout,
            RetryPolicy::Standard | RetryPolicy::SingleAttempt | RetryPolicy::OnlyIfUnsent => ATTEMPT_TIMEOUT,
        }
    }
}

/// The pauses between attempts: one attempt more than there are pauses.
fn retry_pauses(retry_policy: RetryPolicy) -> &'static [Duration] {
    const BACKOFF: &[Duration] =
        &[Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
    match retry_policy {
        RetryPolicy::Standard | RetryPolicy::OnlyIfUnsent => &BACKOFF[..2],
        RetryPolicy::MetadataServer => BACKOFF,
        RetryPolicy::SingleAttempt => &[],
    }
}

/// Ten per cent more or less, so that many who failed together do not come back together.
fn jittered(pause: Duration, fraction: f64) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fraction.clamp(0.0, 1.0))
}

/// One attempt, which `-vv` shows.
fn send_once(request: &HttpRequest, options: &TransportOptions, world: &World) -> Result<HttpResponse> {
    for line in trace::request_lines(request, options.proxy.as_ref()) {
        world.terminal.trace(|| line.to_string());
    }
    let started_at = world.clock.elapsed();
    let outcome = world.http.send(request, options);
    let elapsed = world.clock.elapsed().saturating_sub(started_at);
    world.terminal.trace(|| trace::outcome_line(&outcome, elapsed));
    match outcome {
        Ok(response) if (300..400).contains(&response.status) => Err(redirect_error(request, &response)),
        outcome => outcome,
    }
}

/// Whether the same request may succeed later: it failed in transport, or the server says that its failure is transient.
fn should_retry(outcome: &Result<HttpResponse>, retry_policy: RetryPolicy) -> bool {
    match (outcome, retry_policy) {
        (Err(error), _) if error.retryable() == Retryable::NothingSent => true,
        // The server may have seen the request, and a second one would be taken for a theft.
        (_, RetryPolicy::OnlyIfUnsent) => false,
        (Err(error), _) => error.retryable() == Retryable::IfIdempotent,
        (Ok(response), _) => {
            TRANSIENT_STATUS.contains(&response.status)
                || (response.status >= 400 && has_transient_error_code(&response.body))
        }
    }
}

/// Whether a body is OAuth's JSON with one of the codes for "later".
fn has_transient_error_code(body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    ["error", "error_description"]
        .iter()
        .filter_map(|name| body.get(name)?.as_str())
        .any(|text| TRANSIENT_ERROR_CODES.contains(&text))
}

/// How long the server wants us to wait.
fn requested_wait(outcome: &Result<HttpResponse>, now: i64) -> Option<Duration> {
    match outcome {
        Ok(response) => response.retry_after(now),
        Err(error) => error.retry_delay(),
    }
}

fn wait_too_long_error(url: &Url, wait: Duration) -> Error {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Error::no_answer(format!("{}: the server asks to wait {seconds} s", url.authority()))
        .with_retry_after(Some(wait))
        .hint(format!("the same again in {seconds} s"))
}

/// A redirect is never followed: the request carries secrets that are meant for this host.
fn redirect_error(request: &HttpRequest, response: &HttpResponse) -> Error {
    let location = response.header("location").unwrap_or_default();
    let target = match Url::parse(location) {
        Ok(url) => url.authority().to_owned(),
        Err(_) if location.is_empty() => "nowhere".to_owned(),
        // What follows a question mark, or stands before an @, may be a secret.
        Err(_) => {
            let target = location.split(['?', '#']).next().unwrap_or_default();
            printable::text(target.rsplit('@').next().unwrap_or_default())
        }
    };
    let host = request.url.authority();
    Error::no_answer(format!("{host}: redirects to {target} ({}), which is not followed", response.status))
        .with_status(response.status)
        .hint("check the URL; a captive portal or proxy may answer in its place")
}

fn describe_outcome(outcome: &Result<HttpResponse>, url: &Url) -> String {
    match outcome {
        Ok(response) => format!("{}: status {}", url.authority(), response.status),
        Err(error) => error.message().to_owned(),
    }
}
