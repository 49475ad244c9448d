//! The time limits of JWT assertions (RFC 7523, section 3).

use gauth_core::jose::jwt::MAX_ASSERTION_LIFETIME_SECONDS;

/// How far the issuer's clock may be ahead of the sandbox's, in seconds.
const MAX_CLOCK_SKEW_SECONDS: i64 = 300;

/// Whether an assertion with these `iat` and `exp` claims is acceptable at `now`: already issued, not expired, and
/// valid for at most an hour in all.
pub(crate) fn has_valid_lifetime(issued_at: i64, expires_at: i64, now: i64) -> bool {
    let lifetime = expires_at.saturating_sub(issued_at);
    issued_at <= now.saturating_add(MAX_CLOCK_SKEW_SECONDS)
        && expires_at > now
        && (1..=MAX_ASSERTION_LIFETIME_SECONDS).contains(&lifetime)
}
