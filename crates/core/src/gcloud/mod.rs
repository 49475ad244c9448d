//! gcloud's folder, read and never written: the properties of the active configuration and the stored accounts.
//!
//! gauth uses the logins, the account and the project of gcloud's users. It reads them from gcloud's files and never
//! starts gcloud, which would take a third of a second.

pub mod accounts;
pub mod ini;
pub mod properties;
#[cfg_attr(not(feature = "gcloud-store"), path = "store_unsupported.rs")]
mod store;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error;
use crate::error::{Error, Result};
use crate::gcloud::properties::{GcloudProperties, GcloudProperty};
use crate::text::printable;
use crate::world::files;

/// Runs one SQL query with at most one parameter. The result is the first column of every row that has text or bytes
/// there.
type Query = dyn Fn(&str, Option<&str>) -> Result<Vec<String>>;

/// The maximum size of a text file, in bytes. gcloud's own files are below 1 KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The file with the application default credentials of gcloud and of Google's libraries.
pub(crate) fn adc_path(folder: &Path) -> PathBuf {
    folder.join("application_default_credentials.json")
}

/// The file with the location of the client certificate of a workload.
pub(crate) fn certificate_config_path(folder: &Path) -> PathBuf {
    folder.join("certificate_config.json")
}

/// gcloud's account: `core/account`. An empty value means no account.
///
/// # Errors
/// As [`GcloudProperties::get`].
pub fn active_account(properties: &GcloudProperties) -> Result<Option<GcloudProperty>> {
    non_empty_property(properties, "core", "account")
}

/// gcloud's project: `core/project`.
///
/// # Errors
/// As [`GcloudProperties::get`].
pub fn project(properties: &GcloudProperties) -> Result<Option<GcloudProperty>> {
    non_empty_property(properties, "core", "project")
}

/// The universe of gcloud's account: `core/universe_domain`. `None`: googleapis.com.
///
/// # Errors
/// As [`GcloudProperties::get`].
pub fn universe_domain(properties: &GcloudProperties) -> Result<Option<GcloudProperty>> {
    non_empty_property(properties, "core", "universe_domain")
}

/// The quota project, where `billing/quota_project` names one. gcloud's three special values for the current project do
/// not.
///
/// # Errors
/// As [`GcloudProperties::get`].
pub fn quota_project(properties: &GcloudProperties) -> Result<Option<GcloudProperty>> {
    const CURRENT_PROJECT_VALUES: [&str; 3] = ["CURRENT_PROJECT", "CURRENT_PROJECT_WITH_FALLBACK", "LEGACY"];
    let property = non_empty_property(properties, "billing", "quota_project")?;
    Ok(property.filter(|property| !CURRENT_PROJECT_VALUES.contains(&property.value.as_str())))
}

fn non_empty_property(properties: &GcloudProperties, section: &str, name: &str) -> Result<Option<GcloudProperty>> {
    Ok(properties.get(section, name)?.filter(|property| !property.value.is_empty()))
}

/// The bytes of a file; `None` where there is no such file.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>> {
    // The type is checked first, because opening a named pipe would wait for a writer.
    if !is_file(path)? {
        return Ok(None);
    }
    let file = files::open(path).map_err(|error| error::io("read", path, &error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error::io("read", path, &error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::malformed(&printable::path(path), "is larger than 1 MiB"));
    }
    Ok(Some(bytes))
}

/// Whether the file exists. Anything but a regular file is an error.
fn is_file(path: &Path) -> Result<bool> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match files::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(Error::malformed(&printable::path(path), "is not a regular file")),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
        Err(_) if crate::world::private_file::is_unreachable(path) => Ok(false),
        Err(error) => Err(error::io("read", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use super::*;
    use crate::world::env::Env;

    fn property_value(
        variables: &[(&str, &str)],
        getter: fn(&GcloudProperties) -> Result<Option<GcloudProperty>>,
    ) -> Option<String> {
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        let properties = GcloudProperties::open(None, &Env::Fixed(variables));
        getter(&properties).expect("no files involved").map(|property| property.value)
    }

    #[test]
    fn an_account_set_to_nothing_is_no_account() {
        assert_eq!(property_value(&[("CLOUDSDK_CORE_ACCOUNT", "")], active_account), None);
        assert_eq!(
            property_value(&[("CLOUDSDK_CORE_ACCOUNT", "ada@example.com")], active_account).as_deref(),
            Some("ada@example.com")
        );
    }

    #[test]
    fn the_special_values_for_the_current_project_name_no_project() {
        for word in ["CURRENT_PROJECT", "CURRENT_PROJECT_WITH_FALLBACK", "LEGACY", ""] {
            assert_eq!(property_value(&[("CLOUDSDK_BILLING_QUOTA_PROJECT", word)], quota_project), None);
        }
        let named = [("CLOUDSDK_BILLING_QUOTA_PROJECT", "payer")];
        assert_eq!(property_value(&named, quota_project).as_deref(), Some("payer"));
    }

    #[test]
    fn project_and_universe_are_plain_properties() {
        assert_eq!(property_value(&[("CLOUDSDK_CORE_PROJECT", "p")], project).as_deref(), Some("p"));
        let set = [("CLOUDSDK_CORE_UNIVERSE_DOMAIN", "example.goog")];
        assert_eq!(property_value(&set, universe_domain).as_deref(), Some("example.goog"));
    }

    #[test]
    fn large_files_and_folders_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("large");
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(MAX_FILE_BYTES + 1).expect("room");
        assert!(read_file(&path).unwrap_err().message().ends_with("large: is larger than 1 MiB"));
        assert!(read_file(folder.path()).unwrap_err().message().ends_with("is not a regular file"));
        assert_eq!(read_file(&path.join("below a file")).expect("absent"), None);
        assert_eq!(read_file(&folder.path().join("absent")).expect("absent"), None);
    }
}
