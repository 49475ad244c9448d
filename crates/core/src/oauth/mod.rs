//! OAuth 2.0 as the RFCs have it: requests are built and responses read by pure functions, one file per protocol. Nothing
//! here knows files, caches or terminals.

pub mod client_authentication;
pub mod code;
pub mod device;
pub mod metrics;
pub mod response;
pub mod revocation;
pub mod token;
pub mod token_exchange;
