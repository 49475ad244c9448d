//! How a token is printed: one function per format. One write, after everything has succeeded.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::duration;
use crate::error::{Error, Result};
use crate::flags::Format;
use crate::secret::Secret;
use crate::token::Token;
use crate::world::World;

/// What is known of a token, for the JSON format. Unknown is `null`; keys are never renamed.
#[derive(Serialize)]
struct Json<'a> {
    token: &'a str,
    token_type: &'a str,
    expires_at: Option<String>,
    expires_in: Option<i64>,
    scopes: Option<&'a [String]>,
    account: Option<&'a str>,
    kind: &'a str,
    source: &'a str,
    quota_project: Option<&'a str>,
    universe_domain: Option<&'a str>,
    cached: bool,
}

/// What an exchange gave besides its token (RFC 8693, 2.2.1).
#[derive(Debug)]
pub struct Issued {
    /// `Bearer`, or what the server calls it: `N_A` for what is no access token.
    pub token_type: String,
    /// What kind of token it is, where the server says.
    pub issued_token_type: Option<String>,
    /// A refresh token, where the server gave one.
    pub refresh_token: Option<Secret>,
}

/// The same of an exchange. A refresh token is there when the server sent one: it may have made the old one void.
#[derive(Serialize)]
struct IssuedJson<'a> {
    #[serde(flatten)]
    token: Json<'a>,
    issued_token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// Prints a token found in `source`.
///
/// # Errors
/// When standard output cannot be written.
pub fn token(token: &Token, source: &str, format: Format, world: &World) -> Result<()> {
    let render = match format {
        Format::Text => text(token),
        Format::Json => json(token, source, world.clock.unix()),
        Format::Header => header(token),
        Format::Env => env(token),
        Format::CurlConfig => curl_config(token),
    };
    world.mask(&token.secret);
    world.streams.result(render.as_bytes())
}

/// Prints ID tokens found in `source`: one a line, or as JSON one object, or a list of them.
///
/// # Errors
/// When standard output cannot be written.
pub fn identities(tokens: &[Token], source: &str, format: Format, world: &World) -> Result<()> {
    let now = world.clock.unix();
    let mut render = Zeroizing::new(String::new());
    match (format, tokens) {
        (Format::Json, [token]) => render = json(token, source, now),
        (Format::Json, tokens) => {
            let list: Vec<_> =
                tokens.iter().map(|token| known(token, source, "Bearer", now)).collect();
            render = pretty(&list);
        }
        (format, tokens) => {
            for token in tokens {
                let line = match format {
                    Format::Header => header(token),
                    Format::Env => identity_env(token),
                    Format::CurlConfig => curl_config(token),
                    Format::Text | Format::Json => text(token),
                };
                render = Zeroizing::new([render.as_str(), line.as_str()].concat());
            }
        }
    }
    tokens.iter().for_each(|token| world.mask(&token.secret));
    world.streams.result(render.as_bytes())
}

/// Whether a format has room for more than one token.
///
/// # Errors
/// Usage, when it has not.
pub fn check_several(format: Format) -> Result<()> {
    match format {
        Format::Text | Format::Json => Ok(()),
        Format::Header | Format::Env | Format::CurlConfig => {
            Err(Error::usage("several audiences go into text and json only")
                .hint("--format json, or one audience at a time"))
        }
    }
}

fn identity_env(token: &Token) -> Zeroizing<String> {
    Zeroizing::new(format!("GAUTH_ID_TOKEN={}\n", shell_word(token.secret.expose()).as_str()))
}

/// Prints a token that was exchanged for another.
///
/// # Errors
/// Unsupported for a format with `Bearer` in it when the token is no bearer token; and when standard output cannot
/// be written.
pub fn issued(token: &Token, issued: &Issued, format: Format, world: &World) -> Result<()> {
    let render = match format {
        Format::Json => issued_json(token, issued, world.clock.unix()),
        Format::Text => text(token),
        _ if !issued.token_type.eq_ignore_ascii_case("bearer") => {
            let kind = &issued.token_type;
            let message = format!("the token is of type {kind}, which is not sent behind Bearer");
            return Err(Error::unsupported(message).hint("--format text, or --format json"));
        }
        Format::Header => header(token),
        Format::Env => env(token),
        Format::CurlConfig => curl_config(token),
    };
    world.mask(&token.secret);
    if let Some(refresh_token) = &issued.refresh_token {
        world.mask(refresh_token);
    }
    world.streams.result(render.as_bytes())
}

fn text(token: &Token) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", token.secret.expose()))
}

/// The line of HTTP that carries it.
pub fn header(token: &Token) -> Zeroizing<String> {
    Zeroizing::new(format!("Authorization: Bearer {}\n", token.secret.expose()))
}

/// A token is visible ASCII, but a shell that reads these lines takes `'` and `$` for its own.
fn env(token: &Token) -> Zeroizing<String> {
    let value = shell_word(token.secret.expose());
    let value = value.as_str();
    Zeroizing::new(format!(
        "CLOUDSDK_AUTH_ACCESS_TOKEN={value}\nGOOGLE_OAUTH_ACCESS_TOKEN={value}\n"
    ))
}

/// Quoted where it has to be; the characters of Google's tokens need no quotes.
fn shell_word(value: &str) -> Zeroizing<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/+=~:@%".contains(letter);
    Zeroizing::new(match value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    })
}

fn curl_config(token: &Token) -> Zeroizing<String> {
    let value = Zeroizing::new(token.secret.expose().replace('\\', "\\\\").replace('"', "\\\""));
    Zeroizing::new(format!("header = \"Authorization: Bearer {}\"\n", value.as_str()))
}

fn json(token: &Token, source: &str, now: i64) -> Zeroizing<String> {
    pretty(&known(token, source, "Bearer", now))
}

fn issued_json(token: &Token, issued: &Issued, now: i64) -> Zeroizing<String> {
    // However it is spelt, it means the same.
    let bearer = issued.token_type.eq_ignore_ascii_case("bearer");
    pretty(&IssuedJson {
        token: known(token, "exchange", if bearer { "Bearer" } else { &issued.token_type }, now),
        issued_token_type: issued.issued_token_type.as_deref(),
        refresh_token: issued.refresh_token.as_ref().map(Secret::expose),
    })
}

fn known<'a>(token: &'a Token, source: &'a str, token_type: &'a str, now: i64) -> Json<'a> {
    Json {
        token: token.secret.expose(),
        token_type,
        expires_at: token.expires_at.map(duration::rfc3339),
        expires_in: token.left(now),
        scopes: token.scopes.as_deref(),
        account: token.account.as_deref(),
        kind: &token.kind,
        source,
        quota_project: token.quota_project.as_deref(),
        universe_domain: token.universe_domain.as_deref(),
        cached: token.cached,
    }
}

fn pretty(json: &impl Serialize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(serde_json::to_string_pretty(json).unwrap_or_default());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn every_format_quotes_what_its_reader_would_misread() {
        let token = Token::new(Secret::new("a'b\"c\\d$e"), "access_token", None);
        assert_eq!(text(&token).as_str(), "a'b\"c\\d$e\n");
        assert_eq!(header(&token).as_str(), "Authorization: Bearer a'b\"c\\d$e\n");
        assert!(env(&token).starts_with("CLOUDSDK_AUTH_ACCESS_TOKEN='a'\\''b\"c\\d$e'\n"));
        assert_eq!(
            curl_config(&token).as_str(),
            "header = \"Authorization: Bearer a'b\\\"c\\\\d$e\"\n"
        );
    }

    #[test]
    fn the_json_has_every_key_and_unknown_is_null() {
        let token = Token::new(Secret::new("ya29.x"), "metadata", Some(1_767_326_645));
        let json: serde_json::Value =
            serde_json::from_str(&json(&token, "metadata", 1_767_323_045)).expect("json");
        let expected = serde_json::json!({
            "token": "ya29.x", "token_type": "Bearer", "expires_at": "2026-01-02T04:04:05Z",
            "expires_in": 3600, "scopes": null, "account": null, "kind": "metadata",
            "source": "metadata", "quota_project": null, "universe_domain": null, "cached": false
        });
        assert_eq!(json, expected);
    }
}
