//! The search for secrets in what gauth prints, for the in-process and the end-to-end tests.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The first secret of eight bytes or more that a text contains: plain, percent-encoded or in base64.
pub(crate) fn find_leaked_secret<'a>(text: &[u8], secrets: &'a [String]) -> Option<&'a str> {
    let text = String::from_utf8_lossy(text);
    // Line ends may be escaped.
    let flat = text.replace("\\n", "").replace("%0A", "").replace('\n', "");
    secrets.iter().map(String::as_str).filter(|secret| secret.len() >= 8).find(|secret| {
        let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC);
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        // The last letters of base64 depend on what follows.
        let base64 = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|base64| {
            let encoded = base64.encode(secret);
            encoded[..encoded.len() - 2].to_owned()
        });
        let plain = [(*secret).to_owned(), secret.replace('\n', ""), percent.to_string(), form];
        plain.iter().chain(&base64).any(|form| text.contains(form) || flat.contains(form))
    })
}

#[test]
fn a_secret_in_any_encoding_is_found() {
    let secrets = ["GOCSPX-a/b+c".to_owned(), "-----BEGIN X\nabcd\n-----END X".to_owned()];
    for text in [
        "say GOCSPX-a/b+c",
        "say GOCSPX%2Da%2Fb%2Bc",
        "say GOCSPX-a%2Fb%2Bc&x=y",
        "say R09DU1BYLWEvYitj",
        "say \"-----BEGIN X\\nabcd\\n-----END X\"",
    ] {
        assert!(find_leaked_secret(text.as_bytes(), &secrets).is_some(), "{text}");
    }
    assert_eq!(find_leaked_secret(b"say [secret 01234567]", &secrets), None);
}
