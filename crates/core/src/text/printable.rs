//! Text from outside, made fit for a terminal: server responses, file contents, path names, variables.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;

/// Longest piece of server text that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 500;

/// Text with control, direction and invisible characters as visible escapes, cut at 500 characters.
pub fn text(raw: &str) -> String {
    if raw.len() <= MAX_SHOWN_CHARS && raw.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return raw.to_owned();
    }
    let mut shown = String::with_capacity(raw.len().min(MAX_SHOWN_CHARS * 4));
    for (count, letter) in raw.chars().enumerate() {
        if count == MAX_SHOWN_CHARS {
            shown.push('…');
            break;
        }
        match letter {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_invisible(letter) => shown.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            _ => shown.push(letter),
        }
    }
    shown
}

/// The same for bytes; what is not UTF-8 becomes the replacement character.
pub fn bytes(raw: &[u8]) -> String {
    text(&String::from_utf8_lossy(raw))
}

/// A server's text without secrets, which it may repeat. They are removed before the cut: the filter does not know a
/// part of one.
pub fn redacted(raw: &str) -> String {
    text(&crate::text::secret::redact(raw))
}

/// A value of the operating system's, such as a variable.
pub fn os(raw: &OsStr) -> String {
    text(&raw.to_string_lossy())
}

/// The argument at fault in quotes, for an error. One that may be a secret in the wrong place is replaced by
/// `otherwise`: a long one, one with characters that do not print, and what resembles a token, a key or JSON.
pub fn quoted_argument(raw: &str, otherwise: &str) -> String {
    match is_harmless(raw) {
        true => format!("\"{raw}\""),
        false => otherwise.to_owned(),
    }
}

fn is_harmless(raw: &str) -> bool {
    const MAX_ARGUMENT_CHARS: usize = 40;
    const MIN_RANDOM_BYTES: usize = 20;
    let is_base64 = |letter: char| letter.is_ascii_alphanumeric() || "+/_-".contains(letter);
    let is_word_byte = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    // Only words joined by hyphens, such as the name of a flag, are that long and not random.
    let is_random = |run: &str| {
        run.len() >= MIN_RANDOM_BYTES
            && (!run.bytes().all(is_word_byte) || run.split('-').any(|word| word.len() >= MIN_RANDOM_BYTES))
    };
    raw.chars().count() <= MAX_ARGUMENT_CHARS
        && !raw.chars().any(is_invisible)
        && !raw.contains("GOCSPX-")
        && !raw.trim_start().starts_with('{')
        && !crate::text::secret::looks_like_secret(raw)
        && !raw.split(|letter| !is_base64(letter)).any(is_random)
}

/// A path, safe for a terminal.
pub fn path(raw: &Path) -> String {
    os(raw.as_os_str())
}

/// The first line of a response that is not JSON.
pub fn first_line(raw: &[u8]) -> String {
    let raw = String::from_utf8_lossy(raw);
    redacted(raw.trim().lines().next().unwrap_or_default())
}

/// Breaks a text between words so that it fits behind `indent` columns.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut used = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        match lines.is_empty() {
            true => {}
            false if used + 1 + length > width => {
                lines.push_str(&format!("\n{:indent$}", ""));
                used = indent;
            }
            false => {
                lines.push(' ');
                used += 1;
            }
        }
        lines.push_str(word);
        used += length;
    }
    lines
}

/// Control, bidirectional, zero-width and separator characters.
fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A path with the home folder as `~`.
pub fn home_path<'a>(path: &'a Path, home: Option<&Path>) -> Cow<'a, str> {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => Cow::Owned(format!("~/{}", self::path(rest))),
        None => Cow::Owned(self::path(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_across_the_cut_leaves_no_part_of_itself() {
        let secret = crate::text::secret::Secret::new("hunter2-".repeat(20));
        let words = format!("{}{}", "x".repeat(450), secret.expose());
        assert!(!redacted(&words).contains("hunter2"), "{}", redacted(&words));
        assert!(!first_line(words.as_bytes()).contains("hunter2"));
    }

    #[test]
    fn control_and_direction_characters_become_visible() {
        assert_eq!(text("a\u{1b}[31mb\u{202e}c\nd\u{200b}"), "a\\u{1b}[31mb\\u{202e}c\\nd\\u{200b}");
        assert_eq!(text("\u{9b}2J"), "\\u{9b}2J");
    }

    #[test]
    fn an_argument_that_may_be_a_secret_is_not_quoted() {
        for harmless in ["xml", "x y", "ümlaut", "ada@example.com", "--impersonate-service-acount"] {
            assert_eq!(quoted_argument(harmless, "the value"), format!("\"{harmless}\""));
        }
        for suspicious in [
            "ya29.c",
            "1//0g",
            "eyJhbGciOiJ",
            "GOCSPX-abc",
            "client:GOCSPX-abc",
            "-----BEGIN KEY",
            "{\"type\": \"x\"}",
            "0123456789abcdef0123",
            "wJalrXUtnFEMI/K7MDENG",
            "abcdefghijklmnopqrst",
            "two\nlines",
            "a\u{202e}b",
            &"a b ".repeat(11),
        ] {
            assert_eq!(quoted_argument(suspicious, "the value"), "the value", "{suspicious}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        let shown = text(&"x".repeat(10_000));
        assert_eq!(shown.chars().count(), 501);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn the_home_folder_is_a_tilde() {
        let home = Some(Path::new("/home/ada"));
        assert_eq!(home_path(Path::new("/home/ada/x/k.json"), home), "~/x/k.json");
        assert_eq!(home_path(Path::new("/etc/k.json"), home), "/etc/k.json");
        assert_eq!(home_path(Path::new("/home/adam/k.json"), home), "/home/adam/k.json");
    }
}
