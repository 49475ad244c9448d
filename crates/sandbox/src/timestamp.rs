//! Points in time as Google's JSON and HTTP headers write them.

/// A Unix time as RFC 3339, which Google's JSON uses.
pub(crate) fn rfc3339(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map(|moment| moment.to_string()).unwrap_or_default()
}

/// The value of an HTTP `Date` header (RFC 9110, 5.6.7) for a Unix time.
pub(crate) fn http_date(unix_seconds: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_second(unix_seconds).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()
}
