//! The metrics header of requests to Google's endpoints.

/// The value of `x-goog-api-client` as Google's libraries send it: the language, the library, and in `suffix` the kind
/// of request and of credential. It has nothing about the user or the machine.
pub(crate) fn metrics_header(suffix: &str) -> String {
    let rust = env!("CARGO_PKG_RUST_VERSION");
    let version = env!("CARGO_PKG_VERSION");
    format!("gl-rust/{rust} auth/{version} {suffix}")
}
