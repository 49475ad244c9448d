//! Where one answer ends must not be a matter of opinion: two readers that disagree are how answers get swapped.
//!
//! ureq refuses lengths that differ or are no numbers, chunks that do not parse, and answers that end early. What it
//! lets pass is refused here. Left as it is: a sign before a chunk's size, an extension behind it, and a connection
//! that closes after the last chunk but before the empty line behind it; none changes what the body is.

use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use ureq::http::{HeaderMap, HeaderName, StatusCode, Version};

use crate::printable;

/// Checks the head of an answer.
///
/// # Errors
/// What is wrong with it, as the end of a sentence: "has two lengths".
pub(super) fn check(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
) -> Result<(), String> {
    if status.is_informational() {
        return Err(format!("switches protocols ({})", status.as_u16()));
    }
    let lengths = all(headers, &CONTENT_LENGTH);
    if lengths.len() > 1 || lengths.iter().any(|length| length.contains(',')) {
        return Err("has two lengths".to_owned());
    }
    let transfer = all(headers, &TRANSFER_ENCODING);
    if !transfer.is_empty() {
        if !lengths.is_empty() {
            return Err("has a length and chunks".to_owned());
        }
        if version == Version::HTTP_10 {
            return Err("has chunks, which HTTP/1.0 does not know".to_owned());
        }
        if transfer.len() > 1 || !transfer[0].trim().eq_ignore_ascii_case("chunked") {
            return Err(format!("has the transfer encoding {}", shown(&transfer)));
        }
    }
    let content = all(headers, &CONTENT_ENCODING);
    match content.iter().all(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
        true => Ok(()),
        false => {
            Err(format!("has the content encoding {}, which was not asked for", shown(&content)))
        }
    }
}

/// All lines of one header.
fn all(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect()
}

fn shown(values: &[String]) -> String {
    printable::text(&values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn verdict(version: Version, lines: &[(&'static str, &'static str)], says: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("value"));
        }
        let verdict = check(StatusCode::OK, version, &headers);
        assert_eq!(verdict.err().unwrap_or_default(), says);
    }

    #[test]
    fn one_length_or_chunks_and_nothing_else() {
        let now = Version::HTTP_11;
        verdict(now, &[], "");
        verdict(now, &[("content-length", "5")], "");
        verdict(now, &[("transfer-encoding", "Chunked")], "");
        verdict(now, &[("content-length", "5"), ("content-length", "5")], "has two lengths");
        verdict(now, &[("content-length", "5, 5")], "has two lengths");
        verdict(
            now,
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            "has a length and chunks",
        );
        let gzip = "has the transfer encoding gzip, chunked";
        verdict(now, &[("transfer-encoding", "gzip, chunked")], gzip);
        verdict(
            Version::HTTP_10,
            &[("transfer-encoding", "chunked")],
            "has chunks, which HTTP/1.0 does not know",
        );
    }

    #[test]
    fn an_encoding_nobody_asked_for_is_refused() {
        let gzip = "has the content encoding gzip, which was not asked for";
        verdict(Version::HTTP_11, &[("content-encoding", "gzip")], gzip);
        verdict(Version::HTTP_11, &[("content-encoding", "Identity")], "");
    }
}
