//! Durations as users write them: `3600`, `600s`, `10m`, `1h30m`, `PT10M`, `500ms`.

use std::time::Duration;

/// Reads a duration; a bare number counts seconds.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the value.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().map_err(|_| "is too long")?;
        return Ok(Duration::from_secs(seconds));
    }
    let duration: jiff::SignedDuration = text.parse().map_err(|_| "is not a duration like 3600, 600s, 10m or 1h30m")?;
    Duration::try_from(duration).map_err(|_| "is negative")
}

/// A span in words, in the two largest units that say enough: `47 min`, `2 h 5 min`, `12 s`.
pub fn humanize(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) if minutes % 60 == 0 => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, ..) => format!("{days} d"),
    }
}

/// A moment in RFC 3339, UTC, with `Z`; the clock's own limits where it lies beyond them.
pub fn rfc3339(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_duration_is_read() {
        for (text, millis) in [
            ("3600", 3_600_000),
            ("0", 0),
            ("600s", 600_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("PT10M", 600_000),
            ("500ms", 500),
            (" 5s ", 5000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "soon", "5 fortnights", "-5s", "1e3", "99999999999999999999", "1.5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_said_in_words() {
        for (seconds, words) in
            [(-3, "0 s"), (59, "59 s"), (2820, "47 min"), (3600, "1 h"), (7500, "2 h 5 min"), (200_000, "2 d")]
        {
            assert_eq!(humanize(seconds), words);
        }
        assert_eq!(rfc3339(1_767_323_045), "2026-01-02T03:04:05Z");
    }
}
