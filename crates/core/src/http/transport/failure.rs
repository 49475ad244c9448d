//! Errors of an attempt: what failed, what the user can do, and whether the request may be repeated.

use std::fmt::Display;
use std::io::ErrorKind as Io;
use std::sync::{Mutex, PoisonError};

use rustls::{AlertDescription, CertificateError};
use ureq::Timeout;

use crate::error::{Error, Retryable, io_reason};
use crate::http::transport::buffers::Progress;
use crate::net::message::ClientCertificate;
use crate::net::proxy::ProxyScheme;
use crate::net::transport::TransportOptions;
use crate::net::url::Url;
use crate::text::printable;

/// What an error tells about the attempt behind it.
pub(super) struct AttemptContext<'a> {
    pub(super) url: &'a Url,
    /// The client certificate that the server got, if it requested one.
    pub(super) client_certificate: Option<&'a ClientCertificate>,
    pub(super) options: &'a TransportOptions,
    pub(super) progress: &'a Mutex<Progress>,
}

const NETWORK_HINT: &str = "check the network; behind a proxy: export HTTPS_PROXY=http://HOST:PORT";
const RETRY_LATER_HINT: &str = "the same again later, or --timeout 60s";
const TLS_INSPECTION_HINT: &str = "--ca-file FILE with the certificate of the issuer, if a proxy here inspects TLS";

const TOO_MANY_INTERIM_RESPONSES: &str = "came after more than 8 interim responses";
const CONNECTION_CLOSED: &str = "the connection was closed before the response was whole";

impl AttemptContext<'_> {
    /// gauth's error for an error of ureq.
    pub(super) fn transport_error(&self, error: ureq::Error) -> Error {
        match error {
            ureq::Error::Timeout(when) => self.timeout_error(when),
            ureq::Error::HostNotFound => {
                self.unsent_error(format!("{} cannot be looked up", self.unresolved_name())).hint(NETWORK_HINT)
            }
            ureq::Error::Rustls(error) => self.tls_error(&error),
            ureq::Error::Io(error) => self.io_error(&error),
            ureq::Error::ConnectProxyFailed(reason) => self.proxy_refused_error(&reason),
            ureq::Error::LargeResponseHeader(..) => self.malformed_response("has a head of more than 64 KiB"),
            ureq::Error::Protocol(ureq_error) => match ureq_error.to_string().as_str() {
                "http parse resulted in too many headers" => self.malformed_response("has more than 128 header lines"),
                reason => self.malformed_response(&format!("is not proper HTTP ({})", printable::text(reason))),
            },
            // ureq's error for a connection that ends within the size of a chunk.
            ureq::Error::BodyStalled => self.interrupted_error(CONNECTION_CLOSED).hint(RETRY_LATER_HINT),
            // The transport reports too many interim responses as this error.
            ureq::Error::ConnectionFailed if self.with_progress(Progress::has_too_many_interim) => {
                self.malformed_response(TOO_MANY_INTERIM_RESPONSES)
            }
            other => self
                .no_answer(format!("no usable response, {}", printable::text(&other.to_string())))
                .hint(NETWORK_HINT),
        }
    }

    /// A response that violates HTTP: another attempt would not help.
    pub(super) fn malformed_response(&self, what: &str) -> Error {
        self.no_answer(format!("the response {what}")).hint("check the URL, and the proxies on the way to it")
    }

    /// A body beyond the limit.
    pub(super) fn body_too_large(&self) -> Error {
        self.malformed_response("is larger than 1 MiB")
    }

    /// Whether interim responses stayed within their limit.
    pub(super) fn check_interim_responses(&self) -> Result<(), String> {
        match self.with_progress(Progress::has_too_many_interim) {
            true => Err(TOO_MANY_INTERIM_RESPONSES.to_owned()),
            false => Ok(()),
        }
    }

    fn with_progress<T>(&self, read: impl FnOnce(&Progress) -> T) -> T {
        read(&self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names the host, and the proxy while only that was spoken to.
    fn no_answer(&self, what: impl Display) -> Error {
        let host = self.url.authority();
        Error::no_answer(match &self.options.proxy {
            Some(proxy) if !self.with_progress(|watch| watch.server_reached) => {
                format!("{host}: the proxy {proxy} of {}: {what}", proxy.origin)
            }
            _ => format!("{host}: {what}"),
        })
    }

    /// A failure before the server could know of the request.
    fn unsent_error(&self, what: impl Display) -> Error {
        self.no_answer(what).with_retryable(Retryable::NothingSent)
    }

    /// A failure while the request was under way, or before.
    fn interrupted_error(&self, what: impl Display) -> Error {
        match self.with_progress(|watch| watch.request_sent) {
            true => self.no_answer(what).with_retryable(Retryable::IfIdempotent),
            false => self.unsent_error(what),
        }
    }

    /// The name that could not be resolved: the server's, the proxy's, or one of the two.
    fn unresolved_name(&self) -> &'static str {
        match self.options.proxy.as_ref().map(|proxy| proxy.scheme) {
            Some(ProxyScheme::Socks4 | ProxyScheme::Socks5) => "its name or the server's",
            _ => "the name",
        }
    }

    fn timeout_error(&self, when: Timeout) -> Error {
        let limit = format_seconds(match when {
            Timeout::Resolve | Timeout::Connect => super::CONNECT_TIMEOUT.min(self.options.timeout),
            _ => self.options.timeout,
        });
        if self.with_progress(|watch| watch.request_sent) {
            return self
                .no_answer(format!("no whole answer within {limit}"))
                .with_retryable(Retryable::IfIdempotent)
                .hint(RETRY_LATER_HINT);
        }
        let what = match when {
            Timeout::Resolve => "no address",
            _ => "no connection",
        };
        self.unsent_error(format!("{what} within {limit}")).hint(NETWORK_HINT)
    }

    fn io_error(&self, error: &std::io::Error) -> Error {
        match error.kind() {
            Io::ConnectionRefused => self.unsent_error("connection refused").hint(match self.url.is_loopback() {
                true => "start what should listen there, or check the port",
                false => NETWORK_HINT,
            }),
            Io::NetworkUnreachable | Io::HostUnreachable | Io::AddrNotAvailable => {
                self.unsent_error(io_reason(error)).hint(NETWORK_HINT)
            }
            Io::UnexpectedEof | Io::BrokenPipe | Io::ConnectionReset | Io::ConnectionAborted => {
                self.interrupted_error(CONNECTION_CLOSED).hint(RETRY_LATER_HINT)
            }
            _ => self.interrupted_error(io_reason(error)).hint(NETWORK_HINT),
        }
    }

    fn proxy_refused_error(&self, reason: &str) -> Error {
        let Some(proxy) = &self.options.proxy else {
            return self.no_answer("no way through").hint(NETWORK_HINT);
        };
        let status = reason.split(|letter: char| !letter.is_ascii_digit()).find(|word| word.len() == 3);
        let Some(status) = status else { return self.unsent_error("no answer").hint(NETWORK_HINT) };
        let named_by = &proxy.origin;
        let error = self.unsent_error(format!("refused, {status}"));
        match status {
            "407" => {
                error.with_retryable(Retryable::Never).hint(format!("give a user name and password in {named_by}"))
            }
            status if status.starts_with('5') => error.hint(RETRY_LATER_HINT),
            _ => error.with_retryable(Retryable::Never).hint(format!("check {named_by}, or name the host in NO_PROXY")),
        }
    }

    fn tls_error(&self, error: &rustls::Error) -> Error {
        use CertificateError as Bad;

        let certificate = match error {
            rustls::Error::InvalidCertificate(certificate) => certificate,
            rustls::Error::InvalidMessage(_) => {
                return self.no_answer("does not speak TLS").hint("check the port");
            }
            rustls::Error::AlertReceived(alert)
                if self.client_certificate.is_some() && is_certificate_rejection(*alert) =>
            {
                return self.client_certificate_rejected(*alert);
            }
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                return self
                    .no_answer("the server wants a client certificate")
                    .hint("check the URL: hosts with mtls in their names are for certificates only");
            }
            _ => {
                return self
                    .interrupted_error(format!("TLS failed, {}", printable::text(&error.to_string())))
                    .hint(NETWORK_HINT);
            }
        };
        match certificate {
            Bad::Expired | Bad::ExpiredContext { .. } => self
                .no_answer("the server's certificate has expired")
                .hint("date -u, and set the clock if that is wrong; else its owner must renew it"),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => self
                .no_answer("the server's certificate is not valid yet")
                .hint("date -u, and set the clock if that is wrong"),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => self
                .no_answer(format!("the server's certificate is for another host than {}", self.url.host))
                .hint("check the URL; a proxy on the way may answer in place of the server"),
            // A bad signature is one by an issuer whose name is known but whose key is not. A certificate that is its
            // own issuer is recognised only by the text of the error of rustls.
            Bad::UnknownIssuer | Bad::BadSignature => self.unknown_issuer(),
            Bad::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => self.unknown_issuer(),
            other => self
                .no_answer(format!("the server's certificate cannot be used, {}", printable::text(&other.to_string())))
                .hint(TLS_INSPECTION_HINT),
        }
    }

    /// The server has rejected the client certificate; another attempt would not help.
    fn client_certificate_rejected(&self, alert: AlertDescription) -> Error {
        let path = self.client_certificate.map(|shown| printable::path(&shown.certificate_path)).unwrap_or_default();
        self.no_answer(format!("the certificate {path} was not accepted, {alert:?}"))
            .hint("compare its issuer with those the provider trusts, and its dates with date -u")
    }

    fn unknown_issuer(&self) -> Error {
        self.no_answer("the server's certificate has an unknown issuer").hint(TLS_INSPECTION_HINT)
    }
}

/// Whether a TLS alert means that the server rejects the client certificate.
fn is_certificate_rejection(alert: AlertDescription) -> bool {
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
fn format_seconds(limit: std::time::Duration) -> String {
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
        assert_eq!(format_seconds(Duration::from_secs(30)), "30 s");
        assert_eq!(format_seconds(Duration::from_millis(500)), "0.5 s");
        assert_eq!(format_seconds(Duration::from_micros(29_999_500)), "30 s");
    }
}
