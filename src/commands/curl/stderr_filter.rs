//! Removes tokens from curl's standard error.

use gauth_core::text::secret;

/// Filters curl's standard error line by line.
#[derive(Debug, Default)]
pub(super) struct StderrFilter {
    unfinished_line: Vec<u8>,
    /// Whether a server answered 401.
    pub(super) saw_unauthorized: bool,
}

impl StderrFilter {
    /// Takes the next bytes and returns the lines that are complete, filtered. A progress meter ends its lines with CR.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        self.unfinished_line.extend_from_slice(bytes);
        while let Some(end) = self.unfinished_line.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let line: Vec<u8> = self.unfinished_line.drain(..=end).collect();
            self.filter_line(&line, &mut shown);
        }
        shown
    }

    /// Returns the last line, which may have no line end, filtered.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut shown = Vec::new();
        let line = std::mem::take(&mut self.unfinished_line);
        self.filter_line(&line, &mut shown);
        shown
    }

    fn filter_line(&mut self, line: &[u8], output: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        self.saw_unauthorized |= is_unauthorized_status(&text);
        let clean = redact_bearer(&secret::redact(&text));
        // A line without secrets keeps its bytes, also those that are not UTF-8.
        match clean == text {
            true => output.extend_from_slice(line),
            false => output.extend_from_slice(clean.as_bytes()),
        }
    }
}

/// Whether this is `< HTTP/2 401` of `-v`, or the error message of `-f`.
fn is_unauthorized_status(line: &str) -> bool {
    let status = line.strip_prefix("< HTTP/").and_then(|rest| rest.split_whitespace().nth(1));
    status == Some("401")
        || line.strip_prefix("curl: (22) ").is_some_and(|message| message.trim_end().ends_with("error: 401"))
}

/// Removes the start of a token that curl cut off and that therefore does not look like one.
fn redact_bearer(line: &str) -> String {
    const BEARER: &str = "bearer ";
    let lower = line.to_ascii_lowercase();
    let Some(start) = lower.find(BEARER).map(|at| at + BEARER.len()) else {
        return line.to_owned();
    };
    let is_authorization = lower[..start].contains("authorization");
    if !is_authorization || line[start..].starts_with("[secret ") {
        return line.to_owned();
    }
    let end = line[start..].find([' ', '\r', '\n', ']', '"']).map_or(line.len(), |at| start + at);
    format!("{}[secret]{}", &line[..start], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauth_core::text::secret::Secret;

    fn filtered(text: &str) -> (String, bool) {
        let mut filter = StderrFilter::default();
        // A pipe delivers lines in pieces.
        let mut shown: Vec<u8> = text.as_bytes().chunks(7).flat_map(|part| filter.push(part)).collect();
        shown.extend(filter.finish());
        (String::from_utf8(shown).expect("text"), filter.saw_unauthorized)
    }

    #[test]
    fn a_whole_or_cut_off_token_is_removed() {
        let secret = Secret::new("ya29.curl-filter-0123456789");
        let line = format!("> Authorization: Bearer {}\r\n", secret.expose());
        let (shown, _) = filtered(&line);
        assert!(shown.starts_with("> Authorization: Bearer [secret "), "{shown}");
        assert!(shown.ends_with("]\r\n"), "{shown}");
        let (shown, _) = filtered("* h2h3 [authorization: Bearer abcdefgh-cut-he");
        assert_eq!(shown, "* h2h3 [authorization: Bearer [secret]");
        let (shown, _) = filtered("* [HTTP/2] [1] [authorization: Bearer abc]\n");
        assert_eq!(shown, "* [HTTP/2] [1] [authorization: Bearer [secret]]\n");
    }

    #[test]
    fn other_bytes_are_unchanged() {
        let mut filter = StderrFilter::default();
        let bytes = b"\r  0 100\rabc\xff\xfe\n> X: bearer of news\nend";
        let mut shown = filter.push(bytes);
        shown.extend(filter.finish());
        assert_eq!(shown, bytes);
        assert!(!filter.saw_unauthorized);
    }

    #[test]
    fn an_unauthorized_status_is_recognized() {
        assert!(filtered("< HTTP/2 401 \r\n").1 && filtered("< HTTP/1.1 401 Unauthorized\r\n").1);
        assert!(filtered("curl: (22) The requested URL returned error: 401\n").1);
        assert!(!filtered("< HTTP/2 200 \r\n< x: 401\r\n").1);
        assert!(!filtered("curl: (22) The requested URL returned error: 404\n").1);
    }
}
