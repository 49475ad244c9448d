//! What a bearer token looks like, whatever made it (RFC 6750).

use crate::text::secret::Secret;

/// The longest token that is accepted, in characters.
pub const MAX_TOKEN_CHARS: usize = 16_384;

/// Whether a value can be a bearer token: 1 to 16,384 visible ASCII characters.
pub fn is_well_formed(value: &str) -> bool {
    (1..=MAX_TOKEN_CHARS).contains(&value.len()) && value.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// Whether a secret can be a bearer token.
pub fn is_well_formed_secret(token: &Secret) -> bool {
    (1..=MAX_TOKEN_CHARS).contains(&token.len()) && token.is_visible_ascii()
}

/// The value of an `Authorization` header that carries this token (RFC 6750, 2.1).
pub fn authorization_header(token: &Secret) -> Secret {
    token.map(|token| format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_visible_ascii_of_bounded_length() {
        assert!(is_well_formed("ya29.a-b_c~"));
        for bad in ["", "two words", "line\n", "ümlaut", "\u{7f}"] {
            assert!(!is_well_formed(bad), "{bad:?}");
        }
        assert!(is_well_formed(&"x".repeat(MAX_TOKEN_CHARS)));
        assert!(!is_well_formed(&"x".repeat(MAX_TOKEN_CHARS + 1)));
    }
}
