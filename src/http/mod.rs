//! The HTTP client with its retries, and the little server on loopback.

pub mod client;
pub mod server;
