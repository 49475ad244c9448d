//! Prints tokens, with one function per format. Standard output is written once, after everything succeeded.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::output::format::OutputFormat;
use gauth_core::error::{Error, Result};
use gauth_core::text::duration;
use gauth_core::text::secret::Secret;
use gauth_core::tokens::Token;
use gauth_core::world::World;

/// A token as JSON. An unknown value is `null`; keys are never renamed.
#[derive(Serialize)]
struct TokenJson<'a> {
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

/// The other members of a token exchange response (RFC 8693 section 2.2.1).
#[derive(Debug)]
pub struct IssuedTokenDetails {
    /// `token_type`: `Bearer`, or `N_A` for a token that is not an access token.
    pub token_type: String,
    /// `issued_token_type`, a token type URI.
    pub issued_token_type: Option<String>,
    /// `refresh_token`, where the server issued one.
    pub refresh_token: Option<Secret>,
}

/// An exchanged token as JSON. A new refresh token is included, because the server may have revoked the old one.
#[derive(Serialize)]
struct IssuedTokenJson<'a> {
    #[serde(flatten)]
    token: TokenJson<'a>,
    issued_token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// Prints an access token; `source` is where its credential was found.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_token(token: &Token, source: &str, format: OutputFormat, world: &World) -> Result<()> {
    let render = match format {
        OutputFormat::Text => render_text(token),
        OutputFormat::Json => render_json(token, source, world.clock.unix_seconds()),
        OutputFormat::Header => render_header(token),
        OutputFormat::Env => render_env(token),
        OutputFormat::CurlConfig => render_curl_config(token),
    };
    world.mask_in_ci_log(&token.secret);
    world.streams.write_result(render.as_bytes())
}

/// Prints ID tokens, one per line; as JSON, one object or a list of objects.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_id_tokens(tokens: &[Token], source: &str, format: OutputFormat, world: &World) -> Result<()> {
    let now = world.clock.unix_seconds();
    let mut render = Zeroizing::new(String::new());
    match (format, tokens) {
        (OutputFormat::Json, [token]) => render = render_json(token, source, now),
        (OutputFormat::Json, tokens) => {
            let list: Vec<_> = tokens.iter().map(|token| token_json(token, source, "Bearer", now)).collect();
            render = pretty_json(&list);
        }
        (format, tokens) => {
            for token in tokens {
                let line = match format {
                    OutputFormat::Header => render_header(token),
                    OutputFormat::Env => id_token_env(token),
                    OutputFormat::CurlConfig => render_curl_config(token),
                    OutputFormat::Text | OutputFormat::Json => render_text(token),
                };
                render = Zeroizing::new([render.as_str(), line.as_str()].concat());
            }
        }
    }
    tokens.iter().for_each(|token| world.mask_in_ci_log(&token.secret));
    world.streams.write_result(render.as_bytes())
}

/// Checks that a format can hold more than one token.
///
/// # Errors
/// `Usage` when it cannot.
pub fn check_allows_several(format: OutputFormat) -> Result<()> {
    match format {
        OutputFormat::Text | OutputFormat::Json => Ok(()),
        OutputFormat::Header | OutputFormat::Env | OutputFormat::CurlConfig => {
            Err(Error::usage("--format: several audiences can be printed only as text or json")
                .hint("use --format json, or name one audience"))
        }
    }
}

fn id_token_env(token: &Token) -> Zeroizing<String> {
    Zeroizing::new(format!("GAUTH_ID_TOKEN={}\n", shell_word(token.secret.expose()).as_str()))
}

/// Prints an exchanged token.
///
/// # Errors
/// `Unsupported` for a format other than text and json when the token is not a bearer token; when standard output cannot
/// be written.
pub fn print_issued_token(
    token: &Token,
    details: &IssuedTokenDetails,
    format: OutputFormat,
    world: &World,
) -> Result<()> {
    let render = match format {
        OutputFormat::Json => render_issued_json(token, details, world.clock.unix_seconds()),
        OutputFormat::Text => render_text(token),
        _ if !details.token_type.eq_ignore_ascii_case("bearer") => {
            let kind = &details.token_type;
            let message = format!("the token is of type {kind}, and this --format is for bearer tokens");
            return Err(Error::unsupported(message).hint("use --format text or --format json"));
        }
        OutputFormat::Header => render_header(token),
        OutputFormat::Env => render_env(token),
        OutputFormat::CurlConfig => render_curl_config(token),
    };
    world.mask_in_ci_log(&token.secret);
    if let Some(refresh_token) = &details.refresh_token {
        world.mask_in_ci_log(refresh_token);
    }
    world.streams.write_result(render.as_bytes())
}

fn render_text(token: &Token) -> Zeroizing<String> {
    Zeroizing::new(format!("{}\n", token.secret.expose()))
}

/// The HTTP header with the token, and a newline.
pub fn render_header(token: &Token) -> Zeroizing<String> {
    Zeroizing::new(format!("Authorization: Bearer {}\n", token.secret.expose()))
}

/// The variables with the token, quoted for a shell.
fn render_env(token: &Token) -> Zeroizing<String> {
    let value = shell_word(token.secret.expose());
    let value = value.as_str();
    Zeroizing::new(format!("CLOUDSDK_AUTH_ACCESS_TOKEN={value}\nGOOGLE_OAUTH_ACCESS_TOKEN={value}\n"))
}

/// Quotes a value for a shell where necessary. Google's tokens need no quotes.
fn shell_word(value: &str) -> Zeroizing<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/+=~:@%".contains(letter);
    Zeroizing::new(match value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    })
}

fn render_curl_config(token: &Token) -> Zeroizing<String> {
    let value = Zeroizing::new(token.secret.expose().replace('\\', "\\\\").replace('"', "\\\""));
    Zeroizing::new(format!("header = \"Authorization: Bearer {}\"\n", value.as_str()))
}

fn render_json(token: &Token, source: &str, now: i64) -> Zeroizing<String> {
    pretty_json(&token_json(token, source, "Bearer", now))
}

fn render_issued_json(token: &Token, details: &IssuedTokenDetails, now: i64) -> Zeroizing<String> {
    // The value is case-insensitive (RFC 6749 section 5.1).
    let bearer = details.token_type.eq_ignore_ascii_case("bearer");
    pretty_json(&IssuedTokenJson {
        token: token_json(token, "exchange", if bearer { "Bearer" } else { &details.token_type }, now),
        issued_token_type: details.issued_token_type.as_deref(),
        refresh_token: details.refresh_token.as_ref().map(Secret::expose),
    })
}

fn token_json<'a>(token: &'a Token, source: &'a str, token_type: &'a str, now: i64) -> TokenJson<'a> {
    TokenJson {
        token: token.secret.expose(),
        token_type,
        expires_at: token.expires_at.map(duration::rfc3339),
        expires_in: token.seconds_left(now),
        scopes: token.scopes.as_deref(),
        account: token.account.as_deref(),
        kind: &token.credential_type,
        source,
        quota_project: token.quota_project.as_deref(),
        universe_domain: token.universe_domain.as_deref(),
        cached: token.from_cache,
    }
}

fn pretty_json(json: &impl Serialize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(serde_json::to_string_pretty(json).unwrap_or_default());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauth_core::text::secret::Secret;

    #[test]
    fn every_format_escapes_special_characters() {
        let token = Token::new(Secret::new("a'b\"c\\d$e"), "access_token", None);
        assert_eq!(render_text(&token).as_str(), "a'b\"c\\d$e\n");
        assert_eq!(render_header(&token).as_str(), "Authorization: Bearer a'b\"c\\d$e\n");
        assert!(render_env(&token).starts_with("CLOUDSDK_AUTH_ACCESS_TOKEN='a'\\''b\"c\\d$e'\n"));
        assert_eq!(render_curl_config(&token).as_str(), "header = \"Authorization: Bearer a'b\\\"c\\\\d$e\"\n");
    }

    #[test]
    fn the_json_has_every_key_and_unknown_is_null() {
        let token = Token::new(Secret::new("ya29.x"), "metadata", Some(1_767_326_645));
        let json: serde_json::Value =
            serde_json::from_str(&render_json(&token, "metadata", 1_767_323_045)).expect("json");
        let expected = serde_json::json!({
            "token": "ya29.x", "token_type": "Bearer", "expires_at": "2026-01-02T04:04:05Z",
            "expires_in": 3600, "scopes": null, "account": null, "kind": "metadata",
            "source": "metadata", "quota_project": null, "universe_domain": null, "cached": false
        });
        assert_eq!(json, expected);
    }
}
