//! What goes over the wire, and the wire itself: HTTP messages, URLs, the transport with its proxies and certificates,
//! and the policy that says which hosts may receive a secret. Nothing here knows the rest of the process.

pub mod aws_sigv4;
pub mod endpoint_policy;
pub mod message;
pub mod proxy;
pub mod transport;
pub mod url;
