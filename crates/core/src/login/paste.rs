//! The authorization response as pasted text: the address that a browser on another machine ended at, or the code in it.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::http::server::http::parse_form;
use crate::login::callback::{CallbackResult, ExpectedCallback, is_authorization_code};
use crate::text::secret::Secret;
use crate::world::clock::Deadline;
use crate::world::{World, prompt};

/// The number of attempts to paste the response.
const MAX_ATTEMPTS: usize = 5;

/// Asks for the response at the terminal. The pasted text is not shown.
///
/// # Errors
/// `LoginRequired`, when there is no terminal for a prompt; usage, when the pasted text is not the response.
pub fn prompt_for_response(expected: &ExpectedCallback, deadline: Deadline, world: &World) -> Result<CallbackResult> {
    if !world.is_interactive() {
        return Err(not_interactive_error());
    }
    for attempts_left in (0..MAX_ATTEMPTS).rev() {
        let prompt_text = "paste the address the browser ended at (not shown): ";
        let pasted = prompt::ask_secret_until(prompt_text, deadline, world)?;
        if pasted.is_empty() {
            break;
        }
        match parse_pasted(&pasted, expected) {
            Ok(outcome) => return Ok(outcome),
            Err(what) if attempts_left > 0 => world.terminal.warn(&format!("{what}; try again")),
            Err(what) => {
                return Err(Error::usage(what).hint("gauth login --no-browser, then paste the whole address"));
            }
        }
    }
    Err(Error::usage("nothing was pasted")
        .hint("gauth login --no-browser, then paste the address the browser ended at"))
}

/// The error when there is no terminal for a prompt.
fn not_interactive_error() -> Error {
    Error::new(ErrorKind::LoginRequired, "--no-browser needs a terminal, at which the user pastes the address")
        .hint("gauth login --no-browser at a terminal; machines use a service account or --workload-identity-provider")
}

/// Reads pasted text: an address, its query, or the code alone, which is of use only with the code verifier of this login.
///
/// # Errors
/// What the text is instead, without quoting it.
pub fn parse_pasted(pasted: &str, expected: &ExpectedCallback) -> std::result::Result<CallbackResult, String> {
    // Terminals and mail programs wrap long lines.
    let text = pasted.chars().filter(|letter| !letter.is_whitespace());
    let text = Zeroizing::new(text.collect::<String>());
    let text = text.trim_matches(['"', '\'', '<', '>']);
    let query = match text.split_once('?') {
        Some((_, query)) => query,
        None if text.contains("code=") || text.contains("error=") => text,
        None if is_authorization_code(text) && !text.contains("://") => {
            return Ok(CallbackResult::Code(Secret::new(text)));
        }
        None => return Err("that is not an address with a code in it".to_owned()),
    };
    let query = query.split('#').next().unwrap_or_default();
    let parameters = parse_form(query.as_bytes());
    if parameters.iter().any(|(name, _)| name == "code_challenge") {
        return Err("that is the address to visit, not the one the browser ended at".to_owned());
    }
    expected.parse_parameters(&parameters).map_err(|why| match why {
        "another state" => "that is the response to another login (state)".to_owned(),
        why => format!("that address is not the response to this login, it has {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> ExpectedCallback {
        ExpectedCallback {
            path: "/".to_owned(),
            host: "127.0.0.1:9".to_owned(),
            state: "STATE".to_owned(),
            issuer: Some("https://accounts.google.com".to_owned()),
            sends_issuer: false,
        }
    }

    #[test]
    fn an_address_its_query_and_a_code_are_accepted() {
        for text in [
            "http://127.0.0.1:9/?state=STATE&code=4/x&scope=a",
            "https://localhost:9/?state=STATE&code=4%2Fx",
            " 'http://127.0.0.1:9/?state=STATE\n  &code=4/x' ",
            "code=4/x&state=STATE",
            "?code=4/x&state=STATE#_=_",
            "4/x",
        ] {
            match parse_pasted(text, &expected()) {
                Ok(CallbackResult::Code(code)) => {
                    assert!(code.constant_time_eq(&Secret::new("4/x")), "{text}")
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let denied = parse_pasted("http://127.0.0.1:9/?error=access_denied&state=STATE", &expected());
        assert!(matches!(denied, Ok(CallbackResult::Error { .. })));
    }

    #[test]
    fn any_other_text_is_refused_without_quoting_it() {
        for (text, what) in [
            ("http://127.0.0.1:9/?state=OTHER&code=s3cret-code", "another login"),
            ("http://127.0.0.1:9/?code=s3cret-code", "no state"),
            ("http://127.0.0.1:9/", "not an address with a code"),
            ("https://accounts.google.com/o/oauth2/v2/auth?state=STATE&code_challenge=c", "to visit"),
            ("code=s3cret-code&state=STATE&iss=https://evil.example", "another issuer"),
            ("https://a.example/s3cret-code", "not an address with a code"),
        ] {
            let error = parse_pasted(text, &expected()).expect_err(text);
            assert!(error.contains(what) && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
