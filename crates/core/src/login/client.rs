//! The OAuth client of a login: the file that the console calls `client_secret_….json`, for installed programs or for
//! the web.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::text::json;
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::world::private_file;
use crate::world::private_file::PrivateFileError;

/// Largest client file, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// Where clients are made.
const CONSOLE_URL: &str = "https://console.cloud.google.com/apis/credentials";

/// A program that may ask people for consent.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// Its name.
    pub id: String,
    /// Its secret, which is none where everybody can read it in a program (RFC 8252, 8.5). Some servers want none.
    pub secret: Option<Secret>,
    /// Whether it is one of a web server, whose redirect URIs are fixed.
    pub is_web: bool,
    /// Where people are asked, as the file has it.
    pub auth_uri: Option<String>,
    /// Where codes are put in, as the file has it.
    pub token_uri: Option<String>,
    /// Where a browser may be sent back to.
    pub redirect_uris: Vec<String>,
    /// The file, for errors.
    pub location: String,
}

impl OAuthClient {
    /// Reads a client file. `origin` is the flag, variable or setting that names it.
    ///
    /// # Errors
    /// Malformed, naming file and field; also for what is a credential and no client.
    pub fn read(path: &Path, origin: &str) -> Result<OAuthClient> {
        let shown = printable::path(path);
        let location = match origin.starts_with("--") {
            true => shown,
            false => format!("{shown} ({origin})"),
        };
        let bytes =
            private_file::read_user_file(path, MAX_FILE_BYTES).map_err(|fault| match fault {
                PrivateFileError::NotFound => Error::new(
                    ErrorKind::Malformed,
                    format!("{location}: there is no such file"),
                )
                .hint(format!(
                    "download the client at {CONSOLE_URL}, and name its file with --client-id-file"
                )),
                fault => fault.to_error(path, &location),
            })?;
        OAuthClient::parse(&bytes, &location)
    }

    /// Reads the text of a client file.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub fn parse(bytes: &[u8], location: &str) -> Result<OAuthClient> {
        let malformed = |what: String| {
            Error::malformed(location, what)
                .hint(format!("download the OAuth client again: {CONSOLE_URL}"))
        };
        let mut fields = JsonFields::new(json::parse_object(bytes).map_err(malformed)?);
        let kinds = ["installed", "web"];
        // Where a file has both, the one that can come back to any port is meant for programs.
        let Some(kind) = kinds.into_iter().find(|kind| fields.has(kind)) else {
            return Err(not_a_client_error(&mut fields, location));
        };
        let Some(mut inner) = fields.object(kind).map_err(malformed)? else {
            return Err(not_a_client_error(&mut fields, location));
        };
        let malformed_field = |what: String| malformed(format!("{kind}.{what}"));
        let id = inner.required("client_id").map_err(malformed_field)?;
        let secret = inner.secret("client_secret").map_err(malformed_field)?;
        let secret = secret.filter(|secret| !secret.is_empty());
        if id.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
            return Err(malformed_field("client_id has a space or a control character".to_owned()));
        }
        if secret.as_ref().is_some_and(|secret| !secret.is_one_line()) {
            return Err(malformed_field("client_secret has a line end".to_owned()));
        }
        Ok(OAuthClient {
            id,
            secret,
            is_web: kind == "web",
            auth_uri: optional_uri(&mut inner, "auth_uri").map_err(malformed_field)?,
            token_uri: optional_uri(&mut inner, "token_uri").map_err(malformed_field)?,
            redirect_uris: string_list(inner.value("redirect_uris")).map_err(malformed_field)?,
            location: location.to_owned(),
        })
    }

    /// What to do where there is no client at all.
    pub fn missing_error() -> Error {
        Error::usage(
            "a login needs an OAuth client, and none is named: --client-id-file, GAUTH_CLIENT_ID_FILE, \
             client_id_file in config.toml",
        )
        .hint(format!(
            "make one of type \"Desktop app\" at {CONSOLE_URL}\n     \
             download its JSON, then gauth login --client-id-file FILE\n     \
             whoever has signed in with gcloud needs no login: gauth token uses that one",
        ))
    }
}

/// What a login that is stored tells about the next one of the same person.
#[derive(Debug, Default)]
pub struct PreviousLogin {
    /// The client it was made with; `None`: the login is none of Google's, or does not tell.
    pub client: Option<OAuthClient>,
    /// What it allows.
    pub scopes: Vec<String>,
}

impl PreviousLogin {
    /// Reads a stored login; what it does not say is not there.
    pub fn parse(login: &[u8], location: &str) -> PreviousLogin {
        let Ok(login) = json::parse_object(login) else { return PreviousLogin::default() };
        let mut fields = JsonFields::new(login);
        let mut text =
            |name: &str| fields.text(name).ok().flatten().filter(|text| !text.is_empty());
        if text("type").as_deref() != Some("authorized_user") {
            return PreviousLogin::default();
        }
        let (id, secret, token_uri) = (text("client_id"), text("client_secret"), text("token_uri"));
        let client = id.zip(secret).map(|(id, secret)| OAuthClient {
            id,
            secret: Some(Secret::new(secret)),
            is_web: false,
            auth_uri: None,
            token_uri,
            redirect_uris: Vec::new(),
            location: location.to_owned(),
        });
        PreviousLogin {
            client,
            scopes: fields.string_list("scopes").ok().flatten().unwrap_or_default(),
        }
    }
}

fn optional_uri(
    fields: &mut JsonFields,
    name: &str,
) -> std::result::Result<Option<String>, String> {
    Ok(fields.text(name)?.filter(|uri| !uri.is_empty()))
}

fn string_list(value: Option<Value>) -> std::result::Result<Vec<String>, String> {
    let wrong_type = || "redirect_uris is not a list of texts".to_owned();
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong_type()),
            })
            .collect(),
        Some(_) => Err(wrong_type()),
    }
}

/// What the file is instead.
fn not_a_client_error(fields: &mut JsonFields, location: &str) -> Error {
    let kind = fields.text("type").ok().flatten();
    match kind.as_deref() {
        Some("external_account_authorized_user_login_config") => Error::malformed(
            location,
            "this is a login configuration of a workforce pool, no OAuth client",
        )
        .hint(format!("gauth login --login-config {location}")),
        Some(kind) => {
            let kind = printable::text(kind);
            Error::malformed(location, format!("this is a credential ({kind}), no OAuth client"))
                .hint(format!(
                    "gauth login --credentials {location}, which stores it as an account"
                ))
        }
        None => {
            Error::malformed(location, "this is no OAuth client: it has neither installed nor web")
                .hint(format!("download one of type \"Desktop app\" at {CONSOLE_URL}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OAuthClient> {
        OAuthClient::parse(text.as_bytes(), "client.json")
    }

    #[test]
    fn both_kinds_of_client_files_are_read() {
        let samples = [
            include_str!("../../../../tests/data/credentials/client_secret_installed.json"),
            include_str!("../../../../tests/data/credentials/client_secret_web.json"),
        ];
        for (text, web) in samples.into_iter().zip([false, true]) {
            let client = parse(text).expect("a client");
            assert_eq!(client.is_web, web);
            assert!(client.id.ends_with(".apps.googleusercontent.com"), "{}", client.id);
            assert!(client.secret.is_some() && !client.redirect_uris.is_empty());
        }
        let both = r#"{"web":{"client_id":"w"},"installed":{"client_id":"i"}}"#;
        assert_eq!(parse(both).expect("a client").id, "i");
    }

    #[test]
    fn a_stored_login_tells_about_the_next_one() {
        let login = br#"{"type":"authorized_user","client_id":"c","client_secret":"s",
            "refresh_token":"1//r","token_uri":"https://oauth2.googleapis.com/token","scopes":["a","b"]}"#;
        let previous = PreviousLogin::parse(login, "ada.json");
        assert_eq!(previous.scopes, ["a", "b"]);
        let client = previous.client.expect("a client");
        assert_eq!((&*client.id, client.is_web, &*client.location), ("c", false, "ada.json"));
        assert_eq!(client.token_uri.as_deref(), Some("https://oauth2.googleapis.com/token"));
        for other in [
            r#"{"type":"service_account","client_id":"c","client_secret":"s"}"#,
            r#"{"type":"authorized_user","client_id":"c"}"#,
            r#"{"type":"authorized_user","client_secret":"s"}"#,
            "[]",
        ] {
            assert!(PreviousLogin::parse(other.as_bytes(), "x").client.is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_no_client_says_what_it_is() {
        for (text, what, hint) in [
            ("{}", "neither installed nor web", "Desktop app"),
            ("[]", "not an object", "download"),
            (r#"{"type":"service_account"}"#, "a credential (service_account)", "--credentials"),
            (r#"{"type":"authorized_user"}"#, "a credential", "gauth login --credentials"),
            (
                r#"{"type":"external_account_authorized_user_login_config"}"#,
                "a login configuration",
                "--login-config",
            ),
            (r#"{"installed":{}}"#, "installed.client_id", "download"),
            (r#"{"installed":null}"#, "neither", "Desktop app"),
            (r#"{"installed":[]}"#, "installed", "download"),
            (r#"{"installed":{"client_id":7}}"#, "installed.client_id", "download"),
            (r#"{"installed":{"client_id":"a b"}}"#, "a space", "download"),
            (r#"{"web":{"client_id":"a","client_secret":"a\nb"}}"#, "a line end", "download"),
            (r#"{"web":{"client_id":"a","client_secret":[]}}"#, "web.client_secret", "download"),
            (r#"{"web":{"client_id":"a","redirect_uris":"x"}}"#, "redirect_uris", "download"),
            (r#"{"web":{"client_id":"a","redirect_uris":[1]}}"#, "redirect_uris", "download"),
            (r#"{"web":{"client_id":"a","auth_uri":1}}"#, "web.auth_uri", "download"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Malformed, "{text}");
            assert!(error.message().contains(what), "{text}: {error}");
            assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{text}");
        }
    }
}
