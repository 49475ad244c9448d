//! Why an attempt failed, in words a person can act on, and whether it may be repeated.

use std::fmt::Display;
use std::io::ErrorKind as Io;
use std::sync::{Mutex, PoisonError};

use rustls::{AlertDescription, CertificateError};
use ureq::Timeout;

use crate::error::{Again, Error, io_reason};
use crate::http::Identity;
use crate::printable;
use crate::proxy::Kind;
use crate::url::Url;
use crate::world::http::Conditions;
use crate::world::http::buffers::Watch;

/// What an error tells about the attempt behind it.
pub(super) struct Attempt<'a> {
    pub(super) url: &'a Url,
    /// The certificate the server was shown, if it asked.
    pub(super) shown: Option<&'a Identity>,
    pub(super) conditions: &'a Conditions,
    pub(super) watch: &'a Mutex<Watch>,
}

const NETWORK: &str = "check the network; behind a proxy: export HTTPS_PROXY=http://HOST:PORT";
const SLOW: &str = "the same again later, or --timeout 60s";
const INSPECTED: &str =
    "--ca-file FILE with the certificate of the issuer, if a proxy here inspects TLS";

const FLOODED: &str = "came after more than 8 interim answers";
const CLOSED: &str = "the connection was closed before the answer was whole";

impl Attempt<'_> {
    /// The error of a person for an error of ureq.
    pub(super) fn failed(&self, error: ureq::Error) -> Error {
        match error {
            ureq::Error::Timeout(when) => self.timed_out(when),
            ureq::Error::HostNotFound => {
                self.unsent(format!("{} cannot be looked up", self.name())).hint(NETWORK)
            }
            ureq::Error::Rustls(error) => self.tls(&error),
            ureq::Error::Io(error) => self.socket(&error),
            ureq::Error::ConnectProxyFailed(reason) => self.proxy_refused(&reason),
            ureq::Error::LargeResponseHeader(..) => {
                self.malformed("has a head of more than 64 KiB")
            }
            ureq::Error::Protocol(ureq_error) => match ureq_error.to_string().as_str() {
                "http parse resulted in too many headers" => {
                    self.malformed("has more than 128 header lines")
                }
                reason => {
                    self.malformed(&format!("is not proper HTTP ({})", printable::text(reason)))
                }
            },
            // ureq's word for a connection that ends within the size of a chunk.
            ureq::Error::BodyStalled => self.broken(CLOSED).hint(SLOW),
            // The line gives up on a flood of interim answers in these words.
            ureq::Error::ConnectionFailed if self.seen(Watch::flooded) => self.malformed(FLOODED),
            other => self
                .says(format!("no usable answer, {}", printable::text(&other.to_string())))
                .hint(NETWORK),
        }
    }

    /// An answer that breaks the rules: it will not be better next time.
    pub(super) fn malformed(&self, what: &str) -> Error {
        self.says(format!("the answer {what}"))
            .hint("check the URL, and what stands between here and there")
    }

    /// A body beyond the limit.
    pub(super) fn too_large(&self) -> Error {
        self.malformed("is larger than 1 MiB")
    }

    /// Whether interim answers stayed within their limit.
    pub(super) fn interim(&self) -> Result<(), String> {
        match self.seen(Watch::flooded) {
            true => Err(FLOODED.to_owned()),
            false => Ok(()),
        }
    }

    fn seen<T>(&self, look: impl FnOnce(&Watch) -> T) -> T {
        look(&self.watch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names the host, and the proxy while only that was spoken to.
    fn says(&self, what: impl Display) -> Error {
        let host = self.url.authority();
        Error::no_answer(match &self.conditions.proxy {
            Some(proxy) if !self.seen(|watch| watch.reached) => {
                format!("{host}: the proxy {proxy} of {}: {what}", proxy.named_by)
            }
            _ => format!("{host}: {what}"),
        })
    }

    /// A failure before the server could know of the request.
    fn unsent(&self, what: impl Display) -> Error {
        self.says(what).again(Again::NothingSent)
    }

    /// A failure while the request was under way, or before.
    fn broken(&self, what: impl Display) -> Error {
        match self.seen(|watch| watch.sent) {
            true => self.says(what).again(Again::Later),
            false => self.unsent(what),
        }
    }

    /// The name that could not be looked up: the server's, the proxy's, or one of the two.
    fn name(&self) -> &'static str {
        match self.conditions.proxy.as_ref().map(|proxy| proxy.kind) {
            Some(Kind::Socks4 | Kind::Socks5) => "its name or the server's",
            _ => "the name",
        }
    }

    fn timed_out(&self, when: Timeout) -> Error {
        let limit = seconds(match when {
            Timeout::Resolve | Timeout::Connect => super::CONNECT.min(self.conditions.limit),
            _ => self.conditions.limit,
        });
        if self.seen(|watch| watch.sent) {
            return self
                .says(format!("no whole answer within {limit}"))
                .again(Again::Later)
                .hint(SLOW);
        }
        let what = match when {
            Timeout::Resolve => "no address",
            _ => "no connection",
        };
        self.unsent(format!("{what} within {limit}")).hint(NETWORK)
    }

    fn socket(&self, error: &std::io::Error) -> Error {
        match error.kind() {
            Io::ConnectionRefused => {
                self.unsent("connection refused").hint(match self.url.is_loopback() {
                    true => "start what should listen there, or check the port",
                    false => NETWORK,
                })
            }
            Io::NetworkUnreachable | Io::HostUnreachable | Io::AddrNotAvailable => {
                self.unsent(io_reason(error)).hint(NETWORK)
            }
            Io::UnexpectedEof | Io::BrokenPipe | Io::ConnectionReset | Io::ConnectionAborted => {
                self.broken(CLOSED).hint(SLOW)
            }
            _ => self.broken(io_reason(error)).hint(NETWORK),
        }
    }

    fn proxy_refused(&self, reason: &str) -> Error {
        let Some(proxy) = &self.conditions.proxy else {
            return self.says("no way through").hint(NETWORK);
        };
        let status =
            reason.split(|letter: char| !letter.is_ascii_digit()).find(|word| word.len() == 3);
        let Some(status) = status else { return self.unsent("no answer").hint(NETWORK) };
        let named_by = &proxy.named_by;
        let error = self.unsent(format!("refused, {status}"));
        match status {
            "407" => error
                .again(Again::Never)
                .hint(format!("give a user name and password in {named_by}")),
            status if status.starts_with('5') => error.hint(SLOW),
            _ => error
                .again(Again::Never)
                .hint(format!("check {named_by}, or name the host in NO_PROXY")),
        }
    }

    fn tls(&self, error: &rustls::Error) -> Error {
        use CertificateError as Bad;

        let certificate = match error {
            rustls::Error::InvalidCertificate(certificate) => certificate,
            rustls::Error::InvalidMessage(_) => {
                return self.says("does not speak TLS").hint("check the port");
            }
            rustls::Error::AlertReceived(alert) if self.shown.is_some() && is_refusal(*alert) => {
                return self.not_accepted(*alert);
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                return self.says("the server wants a client certificate").hint(
                    "check the URL: hosts with mtls in their names are for certificates only",
                );
            }
            _ => {
                return self
                    .broken(format!("TLS failed, {}", printable::text(&error.to_string())))
                    .hint(NETWORK);
            }
        };
        match certificate {
            Bad::Expired | Bad::ExpiredContext { .. } => self
                .says("the server's certificate has expired")
                .hint("date -u, and set the clock if that is wrong; else its owner must renew it"),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => self
                .says("the server's certificate is not valid yet")
                .hint("date -u, and set the clock if that is wrong"),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => self
                .says(format!(
                    "the server's certificate is for another host than {}",
                    self.url.host
                ))
                .hint("check the URL; something between here and there may answer in its place"),
            // A bad signature is one by an issuer whose name is known but whose key is not. A certificate that is its
            // own issuer is told apart by rustls only in words.
            Bad::UnknownIssuer | Bad::BadSignature => self.unknown_issuer(),
            Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                self.unknown_issuer()
            }
            other => self
                .says(format!(
                    "the server's certificate cannot be used, {}",
                    printable::text(&other.to_string())
                ))
                .hint(INSPECTED),
        }
    }

    /// The server has looked at our certificate; it will not find it better next time.
    fn not_accepted(&self, alert: AlertDescription) -> Error {
        let path = self.shown.map(|shown| printable::path(&shown.certificate)).unwrap_or_default();
        self.says(format!("the certificate {path} was not accepted, {alert:?}"))
            .hint("compare its issuer with those the provider trusts, and its dates with date -u")
    }

    fn unknown_issuer(&self) -> Error {
        self.says("the server's certificate has an unknown issuer").hint(INSPECTED)
    }
}

/// Whether a server says so of a client's certificate.
fn is_refusal(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// `30 s`, `0.5 s`.
fn seconds(limit: std::time::Duration) -> String {
    let tenths = limit.as_millis().div_ceil(100);
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        tenth => format!("{}.{tenth} s", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_are_shown_in_seconds() {
        assert_eq!(seconds(Duration::from_secs(30)), "30 s");
        assert_eq!(seconds(Duration::from_millis(500)), "0.5 s");
        assert_eq!(seconds(Duration::from_micros(29_999_500)), "30 s");
    }
}
