//! The HTTP door: one request out, one whole answer in, every limit set.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::http::{HttpRequest, HttpResponse};

/// The door to the network. One call is one attempt.
pub trait Http {
    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// `NoAnswer`, naming the host, with [`Again`](crate::error::Again) set as the failure allows.
    fn send(&self, request: &HttpRequest, conditions: &Conditions) -> Result<HttpResponse>;
}

/// What holds for one attempt.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Wall clock from the first byte sent to the last byte read.
    pub limit: Duration,
}

/// The real network.
pub struct Wire;

impl Wire {
    /// Connects to nothing yet.
    pub fn new() -> Wire {
        Wire
    }
}

impl Http for Wire {
    fn send(&self, _: &HttpRequest, _: &Conditions) -> Result<HttpResponse> {
        Err(Error::no_answer("not built"))
    }
}
