//! The door to the network as others see it: one request out, one whole response in, and what holds for that attempt.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::net::message::{HttpRequest, HttpResponse};
use crate::net::proxy::Proxy;

/// The door to the network. One call is one attempt.
pub trait Http {
    /// Sends a request and reads the whole response, whatever its status.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host, with [`Retryable`](crate::error::Retryable) set as the failure allows; `Malformed` when
    /// a file of certificates cannot be used; `Unsafe` when a header cannot be sent as it is.
    fn send(&self, request: &HttpRequest, options: &TransportOptions) -> Result<HttpResponse>;
}

/// What holds for one attempt.
#[derive(Debug, Clone)]
pub struct TransportOptions {
    /// Wall clock from looking up the name to the last byte read.
    pub timeout: Duration,
    /// What the server's certificate is measured against; read only for https.
    pub root_certificates: RootCertificates,
    /// What carries the request.
    pub proxy: Option<Proxy>,
}

/// What a server's certificate is measured against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// A file, and what named it: a flag, variable or property.
    File {
        /// As an error shows it: `--ca-file`.
        origin: String,
        /// PEM, one certificate or many.
        path: PathBuf,
    },
    /// The system's, else those compiled in.
    System,
}
