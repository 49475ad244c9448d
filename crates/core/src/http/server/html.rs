//! What the pages of our little servers share: text that stays text, and a policy that lets nothing else in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Text of others, as HTML shows it.
pub fn escape_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

/// A content security policy (CSP Level 3) for a page that loads nothing: this style is all there is, and forms are
/// sent to `form_targets`.
pub fn content_security_policy(style: &str, form_targets: &str) -> String {
    let style = STANDARD.encode(Sha256::digest(style));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action {form_targets}; \
         base-uri 'none'; frame-ancestors 'none'"
    )
}
