//! The metrics header that Google's endpoints are sent.

/// The metrics header Google's libraries send: language, library, and what is asked with which kind.
/// Nothing else about the user or the machine is sent.
pub fn metrics_header(suffix: &str) -> String {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let version = env!("CARGO_PKG_VERSION");
    format!("gl-rust/{rust} auth/{version} {suffix}")
}
