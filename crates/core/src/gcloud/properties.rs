//! gcloud's properties, from the environment or else from the file of the active configuration.

use std::cell::OnceCell;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gcloud;
use crate::gcloud::ini::Ini;
use crate::text::printable;
use crate::world::env;
use crate::world::env::Env;

/// The configuration that is active by default.
const DEFAULT_CONFIGURATION: &str = "default";

/// The reserved name of the configuration without properties.
const EMPTY_CONFIGURATION: &str = "NONE";

/// gcloud's properties. Each file is read at most once, when a property is needed.
pub struct GcloudProperties {
    folder: Option<PathBuf>,
    env: Env,
    configuration: OnceCell<ActiveConfiguration>,
    configuration_file: OnceCell<Option<ConfigurationFile>>,
}

/// The active configuration, and where it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveConfiguration {
    /// The name of the configuration.
    pub name: String,
    /// The variable or file that sets it.
    pub origin: String,
}

/// A property that is set, possibly to an empty value.
#[derive(Clone, PartialEq, Eq)]
pub struct GcloudProperty {
    /// The value of the property.
    pub value: String,
    /// The variable or file that sets it.
    pub origin: String,
}

/// Leaves out the value, because some properties are passwords.
impl fmt::Debug for GcloudProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The file of the active configuration.
struct ConfigurationFile {
    display_path: String,
    ini: Ini,
}

impl GcloudProperties {
    /// The properties in gcloud's folder, or only those of the environment where there is no folder.
    pub fn open(folder: Option<&Path>, env: &Env) -> GcloudProperties {
        GcloudProperties {
            folder: folder.map(Path::to_owned),
            env: env.clone(),
            configuration: OnceCell::new(),
            configuration_file: OnceCell::new(),
        }
    }

    /// The active configuration.
    ///
    /// # Errors
    /// When the variable is not valid UTF-8, or the file that names the configuration cannot be read.
    pub fn configuration(&self) -> Result<&ActiveConfiguration> {
        if let Some(known) = self.configuration.get() {
            return Ok(known);
        }
        let found = self.find_active_configuration()?;
        Ok(self.configuration.get_or_init(|| found))
    }

    /// A property that is set. As with gcloud, an empty value is a value: an empty `CLOUDSDK_CORE_ACCOUNT` means no account,
    /// whatever the file has.
    ///
    /// # Errors
    /// Exit 8 when the file of the configuration cannot be read or parsed, exit 2 when the variable is not valid UTF-8.
    pub fn get(&self, section: &str, name: &str) -> Result<Option<GcloudProperty>> {
        if let Some(value) = self.env.gcloud_property(section, name) {
            let origin = env::gcloud_property_variable(section, name);
            return match value.into_string() {
                Ok(value) => Ok(Some(GcloudProperty { value, origin })),
                Err(_) => Err(Error::usage(format!("{origin} is not valid UTF-8")).hint(format!("unset {origin}"))),
            };
        }
        let Some(ConfigurationFile { display_path: file, ini }) = self.configuration_file()? else {
            return Ok(None);
        };
        let value = ini
            .get(section, name)
            .map_err(|what| Error::malformed(file, what).hint(format!("gcloud config set {section}/{name} VALUE")))?;
        Ok(value.map(|value| GcloudProperty { value, origin: file.clone() }))
    }

    /// A boolean property. As with gcloud, `none` means that it is not set.
    ///
    /// # Errors
    /// As [`GcloudProperties::get`].
    pub(crate) fn get_bool(&self, section: &str, name: &str) -> Result<Option<bool>> {
        let property = self.get(section, name)?;
        let property_set = property.filter(|property| !property.value.eq_ignore_ascii_case("none"));
        Ok(property_set.map(|property| env::is_true_text(&property.value)))
    }

    fn find_active_configuration(&self) -> Result<ActiveConfiguration> {
        if let Some(name) = self.env.text(&env::CLOUDSDK_ACTIVE_CONFIG_NAME)? {
            return Ok(ActiveConfiguration { name, origin: env::CLOUDSDK_ACTIVE_CONFIG_NAME.name.to_owned() });
        }
        if let Some(path) = self.folder.as_ref().map(|folder| folder.join("active_config"))
            && let Some(bytes) = gcloud::read_file(&path)?
            && let Ok(name) = String::from_utf8(bytes)
            // gcloud writes no newline and reads one as part of the name; gauth accepts the newline of an editor or `echo`.
            && let name = name.trim_end_matches(['\r', '\n'])
            // gcloud deletes a file with any other content and uses the default.
            && (name == EMPTY_CONFIGURATION || is_configuration_name(name))
        {
            return Ok(ActiveConfiguration { name: name.to_owned(), origin: printable::path(&path) });
        }
        Ok(ActiveConfiguration { name: DEFAULT_CONFIGURATION.to_owned(), origin: "gcloud's default".to_owned() })
    }

    fn configuration_file(&self) -> Result<Option<&ConfigurationFile>> {
        if let Some(known) = self.configuration_file.get() {
            return Ok(known.as_ref());
        }
        let read = self.read_configuration_file()?;
        Ok(self.configuration_file.get_or_init(|| read).as_ref())
    }

    fn read_configuration_file(&self) -> Result<Option<ConfigurationFile>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let name = &self.configuration()?.name;
        // `NONE` has no file, and a name with other characters could lead out of the folder.
        if !is_configuration_name(name) {
            return Ok(None);
        }
        let path = folder.join("configurations").join(format!("config_{name}"));
        let Some(bytes) = gcloud::read_file(&path)? else { return Ok(None) };
        let file = printable::path(&path);
        let parsed = match std::str::from_utf8(&bytes) {
            Ok(text) => Ini::parse(text),
            Err(_) => Err("is not valid UTF-8".to_owned()),
        };
        match parsed {
            Ok(ini) => Ok(Some(ConfigurationFile { display_path: file, ini })),
            Err(what) => Err(Error::malformed(&file, what)
                .hint("correct the file, or set CLOUDSDK_ACTIVE_CONFIG_NAME=NONE to ignore it")),
        }
    }
}

/// Whether gcloud allows this name for a configuration.
fn is_configuration_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::error::ErrorKind;

    /// As gcloud 528 wrote it.
    const WORK: &str = "[core]\naccount = ünï@exämple.com\n\n[proxy]\npassword = pa%%ss\n\n";

    fn folder(active: Option<&[u8]>, configurations: &[(&str, &[u8])]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("configurations")).expect("a folder in it");
        let write = |name: &str, content: &[u8]| {
            let mut file = std::fs::File::create(folder.path().join(name)).expect("a file");
            std::io::Write::write_all(&mut file, content).expect("room");
        };
        if let Some(active) = active {
            write("active_config", active);
        }
        for (name, content) in configurations {
            write(&format!("configurations/config_{name}"), content);
        }
        folder
    }

    fn open(folder: &TempDir, variables: &[(&str, &str)]) -> GcloudProperties {
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        GcloudProperties::open(Some(folder.path()), &Env::Fixed(variables))
    }

    fn two_configurations() -> [(&'static str, &'static [u8]); 2] {
        [("work", WORK.as_bytes()), ("default", b"[core]\naccount = default@example.com\n")]
    }

    fn account(properties: &GcloudProperties) -> Option<String> {
        properties.get("core", "account").expect("readable").map(|property| property.value)
    }

    #[test]
    fn the_active_configuration_is_found_as_gcloud_finds_it() {
        for (active, variable, name, expected_account) in [
            (Some("work"), "", "work", Some("ünï@exämple.com")),
            (Some("work\n"), "", "work", Some("ünï@exämple.com")),
            (Some("work"), "default", "default", Some("default@example.com")),
            (Some("work"), "NONE", "NONE", None),
            (Some("work"), "../configurations/config_work", "../configurations/config_work", None),
            (Some("work"), "nosuch", "nosuch", None),
            (None, "", "default", Some("default@example.com")),
            (Some(""), "", "default", Some("default@example.com")),
            (Some(" work"), "", "default", Some("default@example.com")),
            (Some("Work"), "", "default", Some("default@example.com")),
            (Some("NONE"), "", "NONE", None),
            (Some("nosuch"), "", "nosuch", None),
        ] {
            let folder = folder(active.map(str::as_bytes), &two_configurations());
            let properties = open(&folder, &[("CLOUDSDK_ACTIVE_CONFIG_NAME", variable)]);
            assert_eq!(properties.configuration().expect("readable").name, name, "{active:?}");
            assert_eq!(account(&properties).as_deref(), expected_account, "{active:?} {variable}");
        }
    }

    #[test]
    fn the_environment_comes_first_even_when_empty() {
        let folder = folder(Some(b"work"), &two_configurations());
        let properties = open(&folder, &[("CLOUDSDK_CORE_ACCOUNT", "")]);
        let found = properties.get("core", "account").expect("set").expect("set");
        assert_eq!((found.value.as_str(), found.origin.as_str()), ("", "CLOUDSDK_CORE_ACCOUNT"));
        let password = properties.get("proxy", "password").expect("read").expect("set");
        assert_eq!(password.value, "pa%ss");
        assert!(password.origin.ends_with("config_work"), "{}", password.origin);
        assert!(!format!("{password:?}").contains("pa%ss"));
        assert_eq!(properties.get("proxy", "nosuch").expect("read"), None);
    }

    #[test]
    fn booleans_are_read_as_gcloud_reads_them() {
        let text = b"[a]\nyes = Y\nno = off\nodd = maybe\nnone = None\nempty =\n";
        let folder = folder(None, &[("default", text)]);
        for (name, truth) in [
            ("yes", Some(true)),
            ("no", Some(false)),
            ("odd", Some(false)),
            ("empty", Some(false)),
            ("none", None),
            ("absent", None),
        ] {
            assert_eq!(open(&folder, &[]).get_bool("a", name).expect("read"), truth, "{name}");
        }
    }

    #[test]
    fn without_files_no_property_is_set() {
        assert_eq!(account(&GcloudProperties::open(None, &Env::Fixed(BTreeMap::new()))), None);
        assert_eq!(account(&open(&tempfile::tempdir().expect("a folder"), &[])), None);
    }

    #[test]
    fn malformed_files_are_errors_that_name_them() {
        let hushed: &[u8] = b"[core\naccount = hush";
        for broken in [hushed, b"account = hush", b"[core]\naccount = hush\xe9"] {
            let folder = folder(None, &[("default", broken)]);
            let error = open(&folder, &[]).get("core", "account").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed);
            assert!(error.message().contains("config_default: "), "{error}");
            assert!(!error.message().contains("hush"), "{error}");
        }
        let folder = folder(None, &[]);
        std::fs::create_dir(folder.path().join("active_config")).expect("a folder");
        let error = open(&folder, &[]).get("core", "account").unwrap_err();
        assert!(error.message().ends_with("active_config: is not a regular file"), "{error}");
    }

    #[test]
    fn properties_in_the_environment_do_not_need_the_file() {
        let folder = folder(None, &[("default", b"[core")]);
        let properties = open(&folder, &[("CLOUDSDK_CORE_ACCOUNT", "ada@example.com")]);
        assert_eq!(account(&properties).as_deref(), Some("ada@example.com"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn arbitrary_bytes_cause_no_panic(active: Vec<u8>, content: Vec<u8>) {
            let folder = folder(Some(&active), &[("default", &content)]);
            drop(open(&folder, &[]).get("core", "account"));
        }
    }
}
