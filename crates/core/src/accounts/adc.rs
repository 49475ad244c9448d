//! gcloud's ADC file, which Google's libraries read: the one file in gcloud's folder that gauth writes, where
//! `gauth login --update-adc` asks for it. The old one is kept beside it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::fields;
use crate::accounts::files::{MAX_CREDENTIAL_FILE_BYTES, account_name};
use crate::error::{Error, Result, io_reason};
use crate::gcloud;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::oauth::token;
use crate::text::{json, printable};
use crate::world::World;
use crate::world::private_file;
use crate::world::private_file::{PrivateFileError, WriteDurability};

/// How many old files are kept before it is said that they are too many.
const MAX_BACKUPS: u32 = 100;

/// What gcloud writes of the login of a user.
const USER_FIELDS: &[&str] =
    &["client_id", "client_secret", "refresh_token", "type", "universe_domain", "quota_project_id"];

/// What it leaves out of others; and what is ours.
const OMITTED_FIELDS: &[&str] =
    &["token", "expiry", "scopes", fields::SIGNED_IN_AT, fields::SHARED, fields::ROTATES];

/// What was written.
#[derive(Debug, PartialEq, Eq)]
pub struct AdcUpdate {
    /// The file.
    pub path: PathBuf,
    /// Where the one before it is now, if there was one and it was another.
    pub backup: Option<PathBuf>,
}

/// Writes a login into gcloud's ADC file as gcloud would. The quota project of the old file stays if that was of the
/// same account.
///
/// # Errors
/// Exit 7 for kinds that gcloud does not write there, 9 where the file is a link or its folder is open to others, 1
/// when it cannot be written.
pub fn update_adc(name: &str, login: &Map<String, Value>, world: &World) -> Result<AdcUpdate> {
    check_adc_type(name, login)?;
    let kind = credential_type(login);
    let Some(folder) = &world.folders.gcloud else {
        return Err(Error::unexpected("there is no home folder, and so no ADC file")
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

/// Whether gcloud itself would write such a login there.
///
/// # Errors
/// Exit 7, where it would not.
pub fn check_adc_type(name: &str, login: &Map<String, Value>) -> Result<()> {
    let kind = credential_type(login);
    if !matches!(kind, "service_account" | "gdch_service_account") {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "{} is {}, whose key does not belong into the ADC file",
        printable::text(name),
        crate::tokens::credential::credential_type_name(kind)
    ))
    .hint("set GOOGLE_APPLICATION_CREDENTIALS to its key file"))
}

/// The file that is there, if it is one that may be replaced.
fn read_existing(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let shown = printable::path(path);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    if path.read_link().is_ok() {
        return Err(Error::not_safe(format!("{shown} is a link, which is not written through"))
            .hint(format!("rm {shown}, if what it leads to is not needed there")));
    }
    match private_file::read_user_file(path, MAX_CREDENTIAL_FILE_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(PrivateFileError::NotFound) => Ok(None),
        Err(fault) => Err(fault.to_error(path, &shown).hint(format!("mv {shown} {shown}.old"))),
    }
}

/// The login as gcloud has it there.
fn adc_fields(name: &str, kind: &str, login: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = login.clone();
    fields.retain(|_, value| !value.is_null());
    fields.insert("type".to_owned(), Value::from(kind));
    match kind {
        "authorized_user" => {
            // Only Google's own is meant where none is said.
            let is_another_endpoint = |value: &Value| value.as_str() != Some(token::ENDPOINT);
            let keeps_token_uri = fields.get("token_uri").is_some_and(is_another_endpoint);
            fields.retain(|field, _| {
                USER_FIELDS.contains(&field.as_str()) || (keeps_token_uri && field == "token_uri")
            });
            fields.insert("account".to_owned(), Value::from(name));
            fields.entry("universe_domain").or_insert_with(|| Value::from(DEFAULT_UNIVERSE));
        }
        _ => fields.retain(|field, _| !OMITTED_FIELDS.contains(&field.as_str())),
    }
    fields
}

/// The quota project of the old file, if that was of this account.
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

/// Keeps the old file under a name that no other old file has.
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
    Err(Error::unexpected(format!("{shown}: there are {MAX_BACKUPS} old files beside it"))
        .hint(format!("look at {shown}.bak and remove some")))
}

fn write_file(folder: &Path, path: &Path, text: &[u8], world: &World) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let written =
        private_file::write_atomic(folder, &name, text, WriteDurability::Durable, &*world.random);
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

    /// A world with gcloud's folder in a folder of the test's.
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
        // Elsewhere than at Google, it has to be said where.
        let moved =
            login(json!({"token_uri": "http://127.0.0.1:9/token", "quota_project_id": "p"}));
        let updated = update_adc("ada@example.com", &moved, &world).expect("updated");
        let text = read(&updated.path);
        assert!(
            text.contains("127.0.0.1:9") && text.contains("\"quota_project_id\": \"p\""),
            "{text}"
        );
    }

    #[test]
    fn every_old_file_is_kept_once() {
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
        // What is replaced now is there already.
        assert_eq!(write("2"), bak(""));
        assert_eq!(write("3"), bak(".1"));
        let kept =
            |ending: &str| read(&home.path().join("gcloud").join(bak(ending).expect("a name")));
        assert!(kept("").contains("\"1\"") && kept(".1").contains("\"2\""));
    }

    #[test]
    fn a_quota_project_stays_with_its_account() {
        let (home, world) = world();
        let old = home.path().join("gcloud/application_default_credentials.json");
        std::fs::DirBuilder::new().create(home.path().join("gcloud")).expect("a folder");
        let write = |text: &str| {
            drop(std::fs::remove_file(&old));
            write_file(&home.path().join("gcloud"), &old, text.as_bytes(), &world)
                .expect("written");
            update_adc("ada@example.com", &login(json!({})), &world).expect("updated");
            read(&old).contains("\"quota_project_id\": \"payer\"")
        };
        assert!(write("{\"account\":\"Ada@Example.com\",\"quota_project_id\":\"payer\"}"));
        assert!(!write("{\"account\":\"bob@example.com\",\"quota_project_id\":\"payer\"}"));
        assert!(!write("{\"quota_project_id\":\"payer\"}") && !write("junk"));
    }

    #[test]
    fn keys_links_and_open_folders_are_refused() {
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
    fn a_workforce_login_keeps_what_it_needs() {
        let workforce = json!({
            "type": "external_account_authorized_user", "audience": "a", "token_url": "u", "token_info_url": "i",
            "token": "t", "expiry": "e",
        });
        let shape = adc_fields("x", "external_account_authorized_user", &login(workforce));
        let names: Vec<&str> = shape.keys().map(String::as_str).collect();
        let expected = [
            "audience",
            "client_id",
            "client_secret",
            "refresh_token",
            "token_info_url",
            "token_uri",
            "token_url",
            "type",
        ];
        assert_eq!(names, expected);
    }
}
