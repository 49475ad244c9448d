//! Reads the token from a file, standard input or a prompt, never from an argument.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use gauth_core::error::{Error, Result};
use gauth_core::text::secret::Secret;
use gauth_core::text::{json, printable, secret};
use gauth_core::world::private_file::PrivateFileError;
use gauth_core::world::{World, private_file, prompt};

/// The largest input, in bytes; more than any output format of gauth needs.
const MAX_INPUT_BYTES: usize = 64 * 1024;

/// How long reading standard input may take. The program that writes it may wait for a server.
const STDIN_TIMEOUT: Duration = Duration::from_secs(120);

const INPUT_HINT: &str = "gauth id-token --audiences URL | gauth inspect, or name a file that holds one token";

/// Reads the token from this file, from standard input, or at a terminal from a prompt.
///
/// # Errors
/// `Usage` or `Malformed` with the source when it holds no token; `Unsafe` when the file name looks like a secret.
pub(super) fn read_token(file: Option<&OsStr>, world: &World) -> Result<Secret> {
    let file = file.filter(|name| *name != "-");
    let (text, location) = match file {
        Some(name) => (read_file(name)?, printable::os(name)),
        None if world.streams.stdin_is_terminal => return prompt_for_token(world),
        None => (read_stdin(world)?, "standard input".to_owned()),
    };
    let malformed = |reason: String| Error::malformed(&location, reason).hint(INPUT_HINT);
    let text = std::str::from_utf8(&text).map_err(|_| malformed("is not UTF-8 text".to_owned()))?;
    parse_token(text).map_err(malformed)
}

fn read_file(name: &OsStr) -> Result<Zeroizing<Vec<u8>>> {
    if name.is_empty() {
        return Err(Error::usage("FILE is empty").hint("name a file, or - for standard input"));
    }
    if secret::looks_like_file_content(&name.to_string_lossy()) {
        let message = "FILE looks like a token, and every list of processes shows the arguments";
        return Err(Error::not_safe(message).hint("pass the token on standard input, or name a file that holds it"));
    }
    let path = Path::new(name);
    private_file::read_user_file(path, MAX_INPUT_BYTES)
        .map_err(|error| add_hint(&error, error.to_error(path, &printable::path(path))))
}

fn read_stdin(world: &World) -> Result<Zeroizing<Vec<u8>>> {
    world.streams.read_stdin(MAX_INPUT_BYTES, STDIN_TIMEOUT).map_err(|error| match error {
        PrivateFileError::TimedOut => {
            let seconds = STDIN_TIMEOUT.as_secs();
            Error::malformed("standard input", format!("did not end within {seconds} s")).hint(INPUT_HINT)
        }
        error => add_hint(&error, error.to_error(Path::new("-"), "standard input")),
    })
}

/// Adds the hint where the input exists and is not a token.
fn add_hint(read_error: &PrivateFileError, error: Error) -> Error {
    match read_error {
        PrivateFileError::NotRegularFile | PrivateFileError::TooLarge(_) | PrivateFileError::TimedOut => {
            error.hint(INPUT_HINT)
        }
        PrivateFileError::NotFound | PrivateFileError::Io(_) | PrivateFileError::Insecure(..) => error,
    }
}

fn prompt_for_token(world: &World) -> Result<Secret> {
    if !world.is_interactive() {
        return Err(Error::usage("the input has no token, and there is no terminal to prompt at").hint(INPUT_HINT));
    }
    let typed = prompt::ask_secret("token (not shown): ", world)?;
    parse_token(&typed).map_err(|reason| Error::usage(format!("the typed text {reason}")).hint(INPUT_HINT))
}

/// Finds the one token in a text: alone, in a header, or in one of gauth's output formats.
///
/// # Errors
/// The end of a sentence that begins with the source; it does not contain the text.
pub(crate) fn parse_token(text: &str) -> std::result::Result<Secret, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return token_from_json(text);
    }
    if text.starts_with('[') {
        return Err("is a JSON list, not one token".to_owned());
    }
    let mut tokens = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(token_from_line);
    let Some(first) = tokens.next() else { return Err("is empty".to_owned()) };
    let first = first?;
    for other in tokens {
        // gauth's env format gives the same token two names.
        if !other?.constant_time_eq(&first) {
            return Err("holds more than one token, or a token over several lines".to_owned());
        }
    }
    Ok(first)
}

fn token_from_json(text: &str) -> std::result::Result<Secret, String> {
    let mut fields = json::JsonFields::new(json::parse_object(text.as_bytes())?);
    for name in ["token", "id_token", "access_token"] {
        if fields.has(name) {
            return validated(&Zeroizing::new(fields.required(name)?));
        }
    }
    Err("is JSON without a field token, id_token or access_token".to_owned())
}

fn token_from_line(line: &str) -> std::result::Result<Secret, String> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    // A line of curl's configuration file.
    let line = match line.strip_prefix("header").map(str::trim_start) {
        Some(rest) if rest.starts_with('=') => unquoted(rest[1..].trim(), '"', "\\\"", "\""),
        _ => Zeroizing::new(line.to_owned()),
    };
    // A shell variable.
    let is_name =
        |name: &str| name.ends_with("TOKEN") && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let line = match line.split_once('=') {
        Some((name, value)) if is_name(name) => unquoted(value, '\'', "'\\''", "'"),
        _ => line,
    };
    // A header of any name.
    let value = line.split_once(':').map_or(line.as_str(), |(_, value)| value.trim_start());
    let bearer = value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    validated(if bearer { value[7..].trim() } else { value })
}

fn validated(token: &str) -> std::result::Result<Secret, String> {
    // A header without a token.
    let is_scheme = token.eq_ignore_ascii_case("bearer");
    let visible = token.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    match visible && !token.is_empty() && !is_scheme {
        true => Ok(Secret::new(token)),
        false => Err("is not a token: it is empty or contains spaces or other characters that a header cannot contain"
            .to_owned()),
    }
}

fn unquoted(text: &str, quote: char, escaped: &str, plain: &str) -> Zeroizing<String> {
    let inside = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    Zeroizing::new(inside.map_or_else(|| text.to_owned(), |inside| inside.replace(escaped, plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";

    #[test]
    fn a_token_is_found_in_every_supported_format() {
        for format in [
            "@",
            "  @\r\n\n",
            "\u{feff}@",
            "Bearer @",
            "bearer   @ ",
            "Authorization: Bearer @\n",
            "authorization:Bearer @",
            "X-Serverless-Authorization: bearer @",
            "x-goog-iap-jwt-assertion: @",
            "CLOUDSDK_AUTH_ACCESS_TOKEN=@\nGOOGLE_OAUTH_ACCESS_TOKEN=@\n",
            "GAUTH_ID_TOKEN=@",
            "export GAUTH_ID_TOKEN='@'",
            "header = \"Authorization: Bearer @\"\n",
            "{\"token\": \"@\", \"token_type\": \"Bearer\", \"account\": null}",
            "{\"id_token\":\"@\"}",
            "{\"access_token\":\"@\"}",
        ] {
            for token in [JWT, "ya29.a0AfB_byC-0123", "opaque=="] {
                let text = format.replace('@', token);
                let found = parse_token(&text).expect(&text);
                assert!(found.constant_time_eq(&Secret::new(token)), "{text}");
            }
        }
        let quoted = parse_token("GAUTH_ID_TOKEN='a'\\''b$c'").expect("token");
        assert!(quoted.constant_time_eq(&Secret::new("a'b$c")));
    }

    #[test]
    fn input_without_a_token_is_refused_and_not_repeated() {
        for (text, message) in [
            ("", "is empty"),
            (" \n ", "is empty"),
            ("hunter2 hunter3", "is not a token"),
            ("Bearer ", "is not a token"),
            ("Authorization:", "is not a token"),
            ("hunter2\nhunter3", "more than one"),
            ("GAUTH_ID_TOKEN=hunter2\nGAUTH_ID_TOKEN=hunter3", "more than one"),
            ("hünter2", "is not a token"),
            ("[\"hunter2\"]", "a JSON list"),
            ("{\"hunter2\":1}", "without a field"),
            ("{\"token\":5}", "token is a number"),
            ("{\"token\":\"hunter2\"", "ends in the middle"),
        ] {
            let error = parse_token(text).expect_err(text);
            assert!(error.contains(message) && !error.contains("hunter"), "{text}: {error}");
        }
    }
}
