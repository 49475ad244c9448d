//! OAuth 2.0 (RFC 6749 and its extensions): pure functions build the requests and read the responses, one file per
//! protocol. They use no files, no cache and no terminal.

pub mod client_authentication;
pub mod code;
pub mod device;
pub mod metrics;
pub mod response;
pub mod revocation;
pub mod token;
pub mod token_exchange;
