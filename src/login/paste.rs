//! The answer by hand: the address that a browser elsewhere ended at, or the code in it.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::login::callback::{Expected, Outcome, is_code};
use crate::secret::Secret;
use crate::server::http::pairs;
use crate::world::World;
use crate::world::clock::Deadline;
use crate::world::prompt;

/// How often somebody may paste the wrong thing.
const TRIES: usize = 5;

/// Asks for it at the terminal; what is pasted is not shown.
///
/// # Errors
/// When nobody is there, or what was pasted is no answer.
pub fn ask(expected: &Expected, until: Deadline, world: &World) -> Result<Outcome> {
    if !world.is_attended() {
        return Err(nobody());
    }
    for left in (0..TRIES).rev() {
        let question = "paste the address the browser ended at (not shown): ";
        let pasted = prompt::hidden_until(question, until, world)?;
        if pasted.is_empty() {
            break;
        }
        match read(&pasted, expected) {
            Ok(outcome) => return Ok(outcome),
            Err(what) if left > 0 => world.terminal.warn(&format!("{what}; once more")),
            Err(what) => {
                return Err(
                    Error::usage(what).hint("gauth login --no-browser, and the whole address")
                );
            }
        }
    }
    Err(Error::usage("nothing was pasted")
        .hint("gauth login --no-browser, then paste the address the browser ended at"))
}

/// Why nothing is asked.
fn nobody() -> Error {
    Error::new(
        ErrorKind::LoginRequired,
        "a person has to paste the answer, and nobody is there to be asked",
    )
    .hint("gauth login --no-browser at a terminal; machines use a service account or --workload-identity-provider")
}

/// What was pasted: an address, its query, or the bare code, which only this login's verifier makes worth anything.
///
/// # Errors
/// What it is instead; nothing of it is repeated.
pub(crate) fn read(pasted: &str, expected: &Expected) -> std::result::Result<Outcome, String> {
    // Terminals and mail programs break long lines.
    let text = pasted.chars().filter(|letter| !letter.is_whitespace());
    let text = Zeroizing::new(text.collect::<String>());
    let text = text.trim_matches(['"', '\'', '<', '>']);
    let query = match text.split_once('?') {
        Some((_, query)) => query,
        None if text.contains("code=") || text.contains("error=") => text,
        None if is_code(text) && !text.contains("://") => {
            return Ok(Outcome::Code(Secret::new(text)));
        }
        None => return Err("that is no address with a code in it".to_owned()),
    };
    let query = query.split('#').next().unwrap_or_default();
    let parameters = pairs(query.as_bytes());
    if parameters.iter().any(|(name, _)| name == "code_challenge") {
        return Err("that is the address to visit, not the one the browser ended at".to_owned());
    }
    expected.outcome(&parameters).map_err(|why| match why {
        "another state" => "that is the answer to another login (state)".to_owned(),
        why => format!("that address is not the answer: it has {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected {
            path: "/".to_owned(),
            host: "127.0.0.1:9".to_owned(),
            state: "STATE".to_owned(),
            issuer: Some("https://accounts.google.com".to_owned()),
            says_issuer: false,
        }
    }

    #[test]
    fn an_address_its_query_or_the_code_will_do() {
        for text in [
            "http://127.0.0.1:9/?state=STATE&code=4/x&scope=a",
            "https://localhost:9/?state=STATE&code=4%2Fx",
            " 'http://127.0.0.1:9/?state=STATE\n  &code=4/x' ",
            "code=4/x&state=STATE",
            "?code=4/x&state=STATE#_=_",
            "4/x",
        ] {
            match read(text, &expected()) {
                Ok(Outcome::Code(code)) => assert!(code.same_as(&Secret::new("4/x")), "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let denied = read("http://127.0.0.1:9/?error=access_denied&state=STATE", &expected());
        assert!(matches!(denied, Ok(Outcome::Error { .. })));
    }

    #[test]
    fn anything_else_is_named_and_not_repeated() {
        for (text, what) in [
            ("http://127.0.0.1:9/?state=OTHER&code=s3cret-code", "another login"),
            ("http://127.0.0.1:9/?code=s3cret-code", "no state"),
            ("http://127.0.0.1:9/", "no address with a code"),
            (
                "https://accounts.google.com/o/oauth2/v2/auth?state=STATE&code_challenge=c",
                "to visit",
            ),
            ("code=s3cret-code&state=STATE&iss=https://evil.example", "another issuer"),
            ("https://a.example/s3cret-code", "no address with a code"),
        ] {
            let error = read(text, &expected()).expect_err(text);
            assert!(error.contains(what) && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
