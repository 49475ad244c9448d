//! The OAuth client of a login, from the file that the Google Cloud console names `client_secret_….json`: a desktop or
//! a web client.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::{json, printable};
use crate::world::private_file;
use crate::world::private_file::PrivateFileError;

/// The maximum size of a client file, in bytes.
const MAX_FILE_BYTES: usize = 64 * 1024;

/// The page of the Google Cloud console where clients are created.
const CONSOLE_URL: &str = "https://console.cloud.google.com/apis/credentials";

/// An OAuth client, as it is registered with the authorization server.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// The ID of the client.
    pub id: String,
    /// The client secret, which is not confidential in an installed program (RFC 8252, 8.5). Public clients have none.
    pub secret: Option<Secret>,
    /// Whether it is a client of type web, whose redirect URIs include the port.
    pub is_web: bool,
    /// The authorization endpoint in the file.
    pub auth_uri: Option<String>,
    /// The token endpoint in the file.
    pub token_uri: Option<String>,
    /// The registered redirect URIs.
    pub redirect_uris: Vec<String>,
    /// The location of the file, for errors.
    pub location: String,
}

impl OAuthClient {
    /// Reads a client file. `origin` is the flag, variable or setting that names it.
    ///
    /// # Errors
    /// Malformed, naming file and field; also when the file is a credential instead of a client.
    pub fn read(path: &Path, origin: &str) -> Result<OAuthClient> {
        let shown = printable::path(path);
        let location = match origin.starts_with("--") {
            true => shown,
            false => format!("{shown} ({origin})"),
        };
        let bytes = private_file::read_user_file(path, MAX_FILE_BYTES).map_err(|error| match error {
            PrivateFileError::NotFound => {
                Error::new(ErrorKind::Malformed, format!("{location}: there is no such file"))
                    .hint(format!("download the client at {CONSOLE_URL}, then pass its file to --client-id-file"))
            }
            error => error.to_error(path, &location),
        })?;
        OAuthClient::parse(&bytes, &location)
    }

    /// Reads the text of a client file.
    ///
    /// # Errors
    /// As [`OAuthClient::read`].
    pub fn parse(bytes: &[u8], location: &str) -> Result<OAuthClient> {
        let malformed = |what: String| {
            Error::malformed(location, what).hint(format!("download the OAuth client again: {CONSOLE_URL}"))
        };
        let mut fields = JsonFields::new(json::parse_object(bytes).map_err(malformed)?);
        let kinds = ["installed", "web"];
        // Where a file has both, the desktop client is used, because it accepts any port in the redirect URI.
        let Some(kind) = kinds.into_iter().find(|kind| fields.has(kind)) else {
            return Err(not_a_client_error(&mut fields, location));
        };
        let Some(mut inner) = fields.object(kind).map_err(malformed)? else {
            return Err(not_a_client_error(&mut fields, location));
        };
        let malformed_field = |what: String| malformed(format!("{kind}.{what}"));
        let id = inner.required("client_id").map_err(malformed_field)?;
        let secret = inner.secret("client_secret").map_err(malformed_field)?;
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
            auth_uri: inner.non_empty_text("auth_uri").map_err(malformed_field)?,
            token_uri: inner.non_empty_text("token_uri").map_err(malformed_field)?,
            redirect_uris: string_list(inner.value("redirect_uris")).map_err(malformed_field)?,
            location: location.to_owned(),
        })
    }

    /// The error for a login without a client.
    pub fn missing_error() -> Error {
        Error::usage(
            "a login needs an OAuth client, and none of --client-id-file, GAUTH_CLIENT_ID_FILE and client_id_file in \
            config.toml is set",
        )
        .hint(format!(
            "create a client of type \"Desktop app\" at {CONSOLE_URL}\n     \
            download its JSON, then gauth login --client-id-file FILE\n     \
            if you are signed in with gcloud, gauth token works without a login of gauth's",
        ))
    }
}

/// The parts of a stored login that the next login of the same user takes over.
#[derive(Debug, Default)]
pub struct PreviousLogin {
    /// The client of the stored login; `None` where it is not a login at Google, or has no client.
    pub client: Option<OAuthClient>,
    /// The scopes of the stored login.
    pub scopes: Vec<String>,
}

impl PreviousLogin {
    /// Reads a stored login. Missing or malformed fields are ignored.
    pub fn parse(login: &[u8], location: &str) -> PreviousLogin {
        let Ok(login) = json::parse_object(login) else { return PreviousLogin::default() };
        let mut fields = JsonFields::new(login);
        let mut text = |name: &str| fields.non_empty_text(name).ok().flatten();
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
        PreviousLogin { client, scopes: fields.string_list("scopes").ok().flatten().unwrap_or_default() }
    }
}

fn string_list(value: Option<Value>) -> std::result::Result<Vec<String>, String> {
    let wrong_type = || "redirect_uris is not a list of strings".to_owned();
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

/// The error for a file that is not an OAuth client, naming what it is.
fn not_a_client_error(fields: &mut JsonFields, location: &str) -> Error {
    let kind = fields.text("type").ok().flatten();
    match kind.as_deref() {
        Some("external_account_authorized_user_login_config") => {
            Error::malformed(location, "this is a login configuration of a workforce pool, not an OAuth client")
                .hint(format!("gauth login --login-config {location}"))
        }
        Some(kind) => {
            let kind = printable::text(kind);
            Error::malformed(location, format!("this is a credential ({kind}), not an OAuth client"))
                .hint(format!("gauth login --credentials {location}, which stores it as an account"))
        }
        None => Error::malformed(location, "this is not an OAuth client, it has neither installed nor web")
            .hint(format!("download a client of type \"Desktop app\" at {CONSOLE_URL}")),
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
    fn the_next_login_takes_over_client_and_scopes() {
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
    fn an_error_names_what_a_file_is_instead_of_a_client() {
        for (text, what, hint) in [
            ("{}", "neither installed nor web", "Desktop app"),
            ("[]", "not an object", "download"),
            (r#"{"type":"service_account"}"#, "a credential (service_account)", "--credentials"),
            (r#"{"type":"authorized_user"}"#, "a credential", "gauth login --credentials"),
            (r#"{"type":"external_account_authorized_user_login_config"}"#, "a login configuration", "--login-config"),
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
