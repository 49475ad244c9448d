//! Refuses responses whose end is ambiguous: two readers that disagree about it could swap responses (RFC 9112 section 6.3).
//!
//! ureq refuses lengths that differ or are no numbers, chunks that do not parse, and responses that end early. What it
//! lets pass is refused here. Left as it is: a sign before a chunk's size, an extension behind it, and a connection
//! that closes after the last chunk but before the empty line behind it; none changes what the body is.

use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use ureq::http::{HeaderMap, HeaderName, StatusCode, Version};

use crate::text::printable;

/// Checks the head of a response.
///
/// # Errors
/// What is wrong with it, as the end of a sentence: "has two lengths".
pub(super) fn check_head(status: StatusCode, version: Version, headers: &HeaderMap) -> Result<(), String> {
    if status.is_informational() {
        return Err(format!("switches protocols ({})", status.as_u16()));
    }
    let lengths = header_values(headers, &CONTENT_LENGTH);
    if lengths.len() > 1 || lengths.iter().any(|length| length.contains(',')) {
        return Err("has two lengths".to_owned());
    }
    let transfer_codings = header_values(headers, &TRANSFER_ENCODING);
    if !transfer_codings.is_empty() {
        if !lengths.is_empty() {
            return Err("has a length and chunks".to_owned());
        }
        if version == Version::HTTP_10 {
            return Err("has chunks, which HTTP/1.0 does not know".to_owned());
        }
        if transfer_codings.len() > 1 || !transfer_codings[0].trim().eq_ignore_ascii_case("chunked") {
            return Err(format!("has the transfer encoding {}", join_printable(&transfer_codings)));
        }
    }
    let content_codings = header_values(headers, &CONTENT_ENCODING);
    match content_codings.iter().all(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
        true => Ok(()),
        false => Err(format!("has the content encoding {}, which was not requested", join_printable(&content_codings))),
    }
}

/// All lines of one header.
fn header_values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect()
}

fn join_printable(values: &[String]) -> String {
    printable::text(&values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_headers(version: Version, lines: &[(&'static str, &'static str)], says: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("value"));
        }
        let verdict = check_head(StatusCode::OK, version, &headers);
        assert_eq!(verdict.err().unwrap_or_default(), says);
    }

    #[test]
    fn one_length_or_chunks_and_nothing_else() {
        let now = Version::HTTP_11;
        check_headers(now, &[], "");
        check_headers(now, &[("content-length", "5")], "");
        check_headers(now, &[("transfer-encoding", "Chunked")], "");
        check_headers(now, &[("content-length", "5"), ("content-length", "5")], "has two lengths");
        check_headers(now, &[("content-length", "5, 5")], "has two lengths");
        check_headers(now, &[("content-length", "5"), ("transfer-encoding", "chunked")], "has a length and chunks");
        let gzip = "has the transfer encoding gzip, chunked";
        check_headers(now, &[("transfer-encoding", "gzip, chunked")], gzip);
        check_headers(
            Version::HTTP_10,
            &[("transfer-encoding", "chunked")],
            "has chunks, which HTTP/1.0 does not know",
        );
    }

    #[test]
    fn an_encoding_nobody_asked_for_is_refused() {
        let gzip = "has the content encoding gzip, which was not requested";
        check_headers(Version::HTTP_11, &[("content-encoding", "gzip")], gzip);
        check_headers(Version::HTTP_11, &[("content-encoding", "Identity")], "");
    }
}
