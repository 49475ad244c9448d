//! gcloud's ADC file, which Google's libraries read. It is the only file in gcloud's folder that gauth writes, with
//! `gauth login --update-adc`. The previous file is kept beside it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::export_format;
use crate::accounts::files::{MAX_CREDENTIAL_FILE_BYTES, account_name};
use crate::error::{Error, Result, io_reason};
use crate::gcloud;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::oauth::token;
use crate::text::{json, printable};
use crate::world::private_file::{PrivateFileError, WriteDurability};
use crate::world::{World, files, private_file};

/// The maximum number of backups of previous files.
const MAX_BACKUPS: u32 = 100;

/// Fields of a login that Google's libraries write into credential files, and gcloud does not write into its ADC file.
const OMITTED_FIELDS: &[&str] = &["token", "expiry", "scopes", "rapt_token"];

/// The result of an update.
#[derive(Debug, PartialEq, Eq)]
pub struct AdcUpdate {
    /// The path of the ADC file.
    pub path: PathBuf,
    /// The backup of the previous file, if its content was different.
    pub backup: Option<PathBuf>,
}

/// Writes a login to gcloud's ADC file in the format that gcloud uses. The quota project of the previous file is kept if
/// that was of the same account.
///
/// # Errors
/// Exit 7 for types that gcloud does not write there, 9 where the file is a link or other users can write to its folder,
/// 1 when it cannot be written.
pub fn update_adc(name: &str, login: &Map<String, Value>, world: &World) -> Result<AdcUpdate> {
    check_adc_type(name, login)?;
    let kind = credential_type(login);
    let Some(folder) = &world.folders.gcloud else {
        return Err(Error::unexpected("there is no home folder to write the ADC file in")
            .hint("set HOME, or CLOUDSDK_CONFIG to gcloud's folder"));
    };
    let path = gcloud::adc_path(folder);
    let existing = read_existing(&path)?;
    let mut fields = adc_fields(name, kind, login);
    if !fields.contains_key("quota_project_id")
        && let Some(project) = existing.as_ref().and_then(|old| existing_quota_project(old, name))
    {
        fields.insert("quota_project_id".to_owned(), Value::from(project));
    }
    let text = to_json_bytes(&fields);
    private_file::create_private_folder(folder).map_err(|error| {
        let shown = printable::path(folder);
        Error::not_safe(format!("{shown} cannot be used, {}", io_reason(&error)))
            .hint(format!("chmod go-w {shown}, or set CLOUDSDK_CONFIG to a folder of yours"))
    })?;
    let backup = match &existing {
        Some(old) if **old != *text => Some(back_up(old, &path, folder, world)?),
        _ => None,
    };
    write_file(folder, &path, &text, world)?;
    Ok(AdcUpdate { path, backup })
}

fn credential_type(login: &Map<String, Value>) -> &str {
    login.get("type").and_then(Value::as_str).unwrap_or("authorized_user")
}

/// Checks that gcloud too writes logins of this type to the ADC file.
///
/// # Errors
/// Exit 7, where it does not.
pub fn check_adc_type(name: &str, login: &Map<String, Value>) -> Result<()> {
    let kind = credential_type(login);
    if !matches!(kind, "service_account" | "gdch_service_account") {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "{} is {}, and gcloud does not write keys to the ADC file",
        printable::text(name),
        crate::tokens::credential::credential_type_name(kind)
    ))
    .hint("set GOOGLE_APPLICATION_CREDENTIALS to its key file"))
}

/// The previous file. Links are not replaced.
fn read_existing(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let shown = printable::path(path);
    if files::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    if files::is_symlink(path) {
        return Err(Error::not_safe(format!("{shown} is a link, which gauth does not replace"))
            .hint(format!("rm {shown}, if the link is not needed")));
    }
    match private_file::read_user_file(path, MAX_CREDENTIAL_FILE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(PrivateFileError::NotFound) => Ok(None),
        Err(error) => Err(error.to_error(path, &shown).hint(format!("mv {shown} {shown}.old"))),
    }
}

/// The fields that gcloud writes for such a login.
fn adc_fields(name: &str, kind: &str, login: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = login.clone();
    fields.insert("type".to_owned(), Value::from(kind));
    export_format::remove_fields_not_exported(&mut fields);
    fields.retain(|field, _| !OMITTED_FIELDS.contains(&field.as_str()));
    if kind == "authorized_user" {
        // Without the field, readers of the file use Google's token endpoint.
        fields.retain(|field, value| field != "token_uri" || value != token::ENDPOINT);
        fields.insert("account".to_owned(), Value::from(name));
        fields.entry("universe_domain").or_insert_with(|| Value::from(DEFAULT_UNIVERSE));
    }
    fields
}

/// The quota project of the previous file, if that was of this account.
fn existing_quota_project(existing: &[u8], name: &str) -> Option<String> {
    let existing = json::parse_object(existing).ok()?;
    let same = account_name(&existing).is_some_and(|owner| owner.eq_ignore_ascii_case(name));
    let project = existing.get("quota_project_id")?.as_str()?;
    same.then(|| project.to_owned())
}

fn to_json_bytes(fields: &Map<String, Value>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
    // Values that were read as JSON can be written as JSON.
    drop(serde_json::to_writer_pretty(&mut *text, fields));
    text
}

/// Copies the previous file to the first free backup name, unless a backup has the same content.
fn back_up(existing: &[u8], path: &Path, folder: &Path, world: &World) -> Result<PathBuf> {
    for number in 0..MAX_BACKUPS {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".bak");
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let backup = folder.join(name);
        match private_file::read_private(&backup, MAX_CREDENTIAL_FILE_BYTES) {
            Ok(bytes) if *bytes == existing => return Ok(backup),
            Err(PrivateFileError::NotFound) => {
                write_file(folder, &backup, existing, world)?;
                return Ok(backup);
            }
            Ok(_) | Err(_) => {}
        }
    }
    let shown = printable::path(path);
    Err(Error::unexpected(format!("{shown} has {MAX_BACKUPS} backups already"))
        .hint(format!("remove some of {shown}.bak, {shown}.bak.1 and so on")))
}

fn write_file(folder: &Path, path: &Path, text: &[u8], world: &World) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let written = private_file::write_atomic(folder, &name, text, WriteDurability::Durable, &*world.random);
    written.map_err(|error| {
        let shown = printable::path(path);
        Error::unexpected(format!("{shown} cannot be written, {}", io_reason(&error)))
            .hint(format!("ls -ld {}", printable::path(folder)))
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    /// A world whose folder for gcloud is a temporary one.
    fn world() -> (tempfile::TempDir, World) {
        let home = tempfile::tempdir().expect("a folder");
        let mut world = crate::http::real_world();
        world.folders.gcloud = Some(home.path().join("gcloud"));
        (home, world)
    }

    fn login(more: Value) -> Map<String, Value> {
        let mut login = json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
            "token_uri": token::ENDPOINT, "scopes": ["openid"], "signed_in_at": "x", "rapt_token": null,
        });
        for (name, value) in more.as_object().expect("fields") {
            login[name] = value.clone();
        }
        login.as_object().expect("an object").clone()
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn the_file_is_as_gcloud_writes_it() {
        let (_home, world) = world();
        let updated = update_adc("ada@example.com", &login(json!({})), &world).expect("updated");
        assert_eq!(updated.backup, None);
        assert_eq!(
            read(&updated.path),
            "{\n  \"account\": \"ada@example.com\",\n  \"client_id\": \"c\",\n  \"client_secret\": \"s\",\n  \
             \"refresh_token\": \"r\",\n  \"type\": \"authorized_user\",\n  \"universe_domain\": \"googleapis.com\"\n}"
        );
        let mode = updated.path.metadata().expect("file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        // A token endpoint other than Google's is written.
        let moved = login(json!({"token_uri": "http://127.0.0.1:9/token", "quota_project_id": "p"}));
        let updated = update_adc("ada@example.com", &moved, &world).expect("updated");
        let text = read(&updated.path);
        assert!(text.contains("127.0.0.1:9") && text.contains("\"quota_project_id\": \"p\""), "{text}");
    }

    #[test]
    fn every_previous_file_has_one_backup() {
        let (home, world) = world();
        let write = |refresh: &str| {
            let login = login(json!({"refresh_token": refresh}));
            let backup = update_adc("ada@example.com", &login, &world).expect("updated").backup;
            backup.map(|path| path.file_name().expect("name").to_string_lossy().into_owned())
        };
        let bak = |ending: &str| Some(format!("application_default_credentials.json.bak{ending}"));
        assert_eq!(write("1"), None);
        assert_eq!(write("1"), None);
        assert_eq!(write("2"), bak(""));
        assert_eq!(write("1"), bak(".1"));
        // The content that is replaced now has a backup already.
        assert_eq!(write("2"), bak(""));
        assert_eq!(write("3"), bak(".1"));
        let kept = |ending: &str| read(&home.path().join("gcloud").join(bak(ending).expect("a name")));
        assert!(kept("").contains("\"1\"") && kept(".1").contains("\"2\""));
    }

    #[test]
    fn a_quota_project_stays_with_its_account() {
        let (home, world) = world();
        let old = home.path().join("gcloud/application_default_credentials.json");
        std::fs::DirBuilder::new().create(home.path().join("gcloud")).expect("a folder");
        let write = |text: &str| {
            drop(std::fs::remove_file(&old));
            write_file(&home.path().join("gcloud"), &old, text.as_bytes(), &world).expect("written");
            update_adc("ada@example.com", &login(json!({})), &world).expect("updated");
            read(&old).contains("\"quota_project_id\": \"payer\"")
        };
        assert!(write("{\"account\":\"Ada@Example.com\",\"quota_project_id\":\"payer\"}"));
        assert!(!write("{\"account\":\"bob@example.com\",\"quota_project_id\":\"payer\"}"));
        assert!(!write("{\"quota_project_id\":\"payer\"}") && !write("junk"));
    }

    #[test]
    fn keys_links_and_writable_folders_are_refused() {
        let (home, world) = world();
        let kind = |error: Error| error.kind();
        let key = login(json!({"type": "service_account"}));
        let refused = update_adc("ci@p", &key, &world).map_err(kind);
        assert_eq!(refused, Err(crate::ErrorKind::Unsupported));
        let folder = home.path().join("gcloud");
        private_file::create_private_folder(&folder).expect("a folder");
        let adc = gcloud::adc_path(&folder);
        std::os::unix::fs::symlink(home.path().join("elsewhere"), &adc).expect("a link");
        let refused = update_adc("ada@example.com", &login(json!({})), &world).map_err(kind);
        assert_eq!(refused, Err(crate::ErrorKind::Unsafe));
        std::fs::remove_file(&adc).expect("removed");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).expect("mode");
        let refused = update_adc("ada@example.com", &login(json!({})), &world).map_err(kind);
        assert_eq!(refused, Err(crate::ErrorKind::Unsafe));
        assert!(!adc.exists());
    }

    #[test]
    fn a_workforce_login_has_the_fields_that_gcloud_writes() {
        let workforce = json!({
            "type": "external_account_authorized_user", "audience": "a", "token_url": "u", "token_info_url": "i",
            "token": "t", "expiry": "e",
        });
        let shape = adc_fields("x", "external_account_authorized_user", &login(workforce));
        let names: Vec<&str> = shape.keys().map(String::as_str).collect();
        let expected =
            ["audience", "client_id", "client_secret", "refresh_token", "token_info_url", "token_url", "type"];
        assert_eq!(names, expected);
    }
}
