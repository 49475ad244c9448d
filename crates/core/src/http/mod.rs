//! The HTTP client with its retries, and the little server on loopback.

pub mod client;
pub mod client_certificate;
pub mod proxy_config;
pub mod root_certificates;
pub mod server;
pub mod transport;

use crate::http::transport::HttpTransport;
use crate::world::World;

/// The real world with the real network: what the program runs in.
pub fn real_world() -> World {
    World::real(Box::new(HttpTransport::new()))
}
