//! `gauth login --credentials`: stores a credential file as a login of gauth's, named after its account. Relative paths in
//! the file are made absolute.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use gauth_core::accounts::{MAX_CREDENTIAL_FILE_BYTES, refresh_token_location};
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::text::{json, printable};
use gauth_core::tokens::credential::Credential;
use gauth_core::world::{files, private_file};
use gauth_core::{credentials, discovery};

/// How long to wait for standard input.
const STDIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A credential file that can be stored as a login.
#[derive(Debug)]
pub(super) struct ImportedCredential {
    /// The account name to store it under: an e-mail address, or another name where there is none.
    pub(super) name: String,
    /// The content of the file.
    pub(super) json: Map<String, Value>,
}

/// Reads a credential file, or standard input for `-`. `account` is the account that the user requests, which must be
/// that of the credential if it names one. Where neither names the account, the servers of the credential name it.
///
/// # Errors
/// Malformed, for an invalid file; usage, for another account than that of the file, or where there is no account name.
pub(super) fn import_file(
    file: &OsStr,
    account: Option<&str>,
    discovery: &Discovery<'_>,
) -> Result<ImportedCredential> {
    let (bytes, location) = read_file_or_stdin(file, discovery)?;
    let options = discovery::parse_options(discovery, location.clone());
    let credential = credentials::parse(&bytes, &options)?;
    let mut json = json::parse_object(&bytes).map_err(|what| options.malformed(what))?;
    // The `token.json` of Google's quickstarts has no type.
    json.entry("type").or_insert_with(|| Value::from("authorized_user"));
    if refresh_token_location::is_outermost(&json) {
        for saved in ["token", "expiry"] {
            json.remove(saved);
        }
    }
    // The file stays where it is, and every program that reads it refreshes the same login.
    refresh_token_location::mark_shared(&mut json);
    json.retain(|_, value| !value.is_null());
    if let Ok(folder) = files::current_folder() {
        make_paths_absolute(&mut json, &folder);
    }
    let name = resolve_account_name(&*credential, file, &location, account, discovery)?;
    Ok(ImportedCredential { name, json })
}

fn read_file_or_stdin(file: &OsStr, discovery: &Discovery<'_>) -> Result<(Zeroizing<Vec<u8>>, String)> {
    if file == "-" {
        let location = "standard input".to_owned();
        let read = discovery.world().streams.read_stdin(MAX_CREDENTIAL_FILE_BYTES, STDIN_TIMEOUT);
        return read.map(|bytes| (bytes, location.clone())).map_err(|error| error.to_error(Path::new("-"), &location));
    }
    let path = Path::new(file);
    let location = printable::path(path);
    let read = private_file::read_user_file(path, MAX_CREDENTIAL_FILE_BYTES);
    read.map(|bytes| (bytes, location.clone())).map_err(|error| error.to_error(path, &location))
}

/// The account of a credential: its own, or the requested one, or that from its servers, or the name of the file.
fn resolve_account_name(
    credential: &dyn Credential,
    file: &OsStr,
    location: &str,
    requested: Option<&str>,
    discovery: &Discovery<'_>,
) -> Result<String> {
    let own = credential.load_info()?.account;
    match (own, requested) {
        (Some(own), Some(requested)) if !own.eq_ignore_ascii_case(requested) => {
            let (own, requested) = (printable::text(&own), printable::text(requested));
            return Err(Error::usage(format!("{location} is a credential of {own}, not of {requested} (--account)"))
                .hint("remove --account"));
        }
        (Some(own), _) => return Ok(own),
        (None, Some(requested)) => return Ok(requested.to_owned()),
        (None, None) => {}
    }
    let terminal = &discovery.world().terminal;
    match credential.fetch_info(discovery.broker).map(|about| about.account) {
        Ok(Some(name)) => return Ok(name),
        Ok(None) => {}
        Err(error) => terminal.warn(&format!("the account of {location} is not known, {error}")),
    }
    let stem = Path::new(file).file_stem().and_then(OsStr::to_str).filter(|stem| *stem != "-");
    match stem {
        Some(stem) => Ok(stem.to_owned()),
        None => Err(Error::usage(format!("{location} does not name its account"))
            .hint("add --account NAME, with the name to store it under")),
    }
}

/// Makes the paths in a credential absolute. Relative ones are relative to the current folder.
fn make_paths_absolute(login: &mut Map<String, Value>, folder: &Path) {
    const PATH_FIELDS: [&str; 5] =
        ["file", "certificate_config_location", "trust_chain_path", "output_file", "ca_cert_path"];
    const NESTED_FIELDS: [&str; 4] = ["source_credentials", "credential_source", "certificate", "executable"];
    for (name, value) in login.iter_mut() {
        match value {
            Value::String(path) if PATH_FIELDS.contains(&name.as_str()) && !path.is_empty() => {
                *path = folder.join(&*path).to_string_lossy().into_owned();
            }
            // Only a relative path is changed, and only where the command has no quotes.
            Value::String(command) if name == "command" => {
                let program = command.split(' ').next().unwrap_or_default();
                if program.contains('/') && Path::new(program).is_relative() && !program.contains(['"', '\'', '\\']) {
                    let folder = folder.to_string_lossy();
                    if !folder.contains([' ', '"', '\'', '\\']) {
                        *command = format!("{folder}/{command}");
                    }
                }
            }
            Value::Object(inner) if NESTED_FIELDS.contains(&name.as_str()) => make_paths_absolute(inner, folder),
            _ => {}
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use gauth_core::config::{Config, Overrides};
    use gauth_core::world::env::Env;
    use gauth_core::world::folders::Folders;
    use serde_json::json;

    /// Imports a file with this content.
    fn imported(content: &Value, account: Option<&str>) -> Result<ImportedCredential> {
        let home = tempfile::tempdir().expect("a folder");
        let mut world = gauth_core::http::real_world();
        world.env = Env::Fixed(std::collections::BTreeMap::new());
        world.folders = Folders { gauth: Some(home.path().join("gauth")), ..Folders::default() };
        let file = home.path().join("my-login.json");
        let written = private_file::write_atomic(
            home.path(),
            "my-login.json",
            content.to_string().as_bytes(),
            private_file::WriteDurability::Disposable,
            &*world.random,
        );
        written.expect("a file");
        let settings = Config::resolve(&Overrides::default(), &world).expect("settings");
        let broker = discovery::broker(&settings, &world);
        let discovery = Discovery { config: &settings, broker: &broker, allow_network: false };
        import_file(file.as_os_str(), account, &discovery)
    }

    fn user(more: Value) -> Value {
        let mut login = json!({"client_id": "c", "client_secret": "s", "refresh_token": "r"});
        for (name, value) in more.as_object().expect("fields") {
            login[name] = value.clone();
        }
        login
    }

    #[test]
    fn a_login_is_named_after_its_account() {
        let login = imported(
            &user(
                json!({"account": "Ada@example.com", "token": "t", "expiry": "2026-01-02T03:04:05Z", "rapt_token": null}),
            ),
            None,
        );
        let login = login.expect("imported");
        assert_eq!(login.name, "Ada@example.com");
        let expected =
            user(json!({"account": "Ada@example.com", "type": "authorized_user", "refresh_token_shared": true}));
        assert_eq!(Value::Object(login.json), expected);
        let named = imported(&user(json!({})), Some("work")).expect("imported");
        assert_eq!(named.name, "work");
        let same = imported(&user(json!({"account": "ada@example.com"})), Some("ADA@example.com"));
        assert_eq!(same.expect("imported").name, "ada@example.com");
    }

    #[test]
    fn another_account_and_a_malformed_file_are_refused() {
        let other = imported(&user(json!({"account": "ada@example.com"})), Some("bob@example.com"));
        let other = other.expect_err("refused");
        assert_eq!(other.kind(), gauth_core::ErrorKind::Usage);
        assert!(other.message().ends_with("is a credential of ada@example.com, not of bob@example.com (--account)"));
        for (content, kind) in [
            (json!({"type": "odd"}), gauth_core::ErrorKind::Malformed),
            (json!({"installed": {}}), gauth_core::ErrorKind::Malformed),
            (user(json!({"token_uri": "https://evil.example/"})), gauth_core::ErrorKind::Unsafe),
        ] {
            assert_eq!(imported(&content, Some("x")).expect_err("refused").kind(), kind, "{content}");
        }
    }

    #[test]
    fn a_federated_identity_is_named_after_its_service_account_or_its_file() {
        let source = json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": {"file": "/run/token"},
        });
        assert_eq!(imported(&source, None).expect("imported").name, "my-login");
        let mut acting = source;
        acting["service_account_impersonation_url"] = json!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/ci@p.iam.gserviceaccount.com:generateAccessToken"
        );
        assert_eq!(imported(&acting, None).expect("imported").name, "ci@p.iam.gserviceaccount.com");
    }

    #[test]
    fn relative_paths_are_made_absolute() {
        let source = |before: &str| {
            json!({
                "source_credentials": {
                    "ca_cert_path": format!("{before}ca.pem"),
                    "credential_source": {
                        "file": format!("{before}x/token"),
                        "url": "https://idp.example.com/file",
                        "executable": {"command": format!("{before}bin/give -f x"), "output_file": format!("{before}out")},
                        "certificate": {"certificate_config_location": format!("{before}c.json"), "trust_chain_path": format!("{before}t.pem")},
                    },
                },
            })
        };
        let Value::Object(mut login) = source("") else { panic!("an object") };
        make_paths_absolute(&mut login, Path::new("/home/ada"));
        assert_eq!(Value::Object(login.clone()), source("/home/ada/"));
        make_paths_absolute(&mut login, Path::new("/elsewhere"));
        assert_eq!(Value::Object(login), source("/home/ada/"));
    }

    #[test]
    fn command_names_and_quoted_commands_are_not_changed() {
        for command in ["give -f ./x", "'bin/give it' x", "/bin/give x"] {
            let Value::Object(mut login) = json!({"command": command}) else { panic!("an object") };
            make_paths_absolute(&mut login, Path::new("/home/ada"));
            assert_eq!(login["command"], command);
        }
    }
}
