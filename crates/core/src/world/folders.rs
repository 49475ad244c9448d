//! Where things are kept: gauth's folder, gcloud's folder, the home folder.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::world::env;
use crate::world::env::Env;

/// The folders of this user. `None`: there is no home to put one in.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// gauth's own: `GAUTH_CONFIG_DIR`, else `gauth` in the system's configuration folder.
    pub gauth: Option<PathBuf>,
    /// gcloud's: `CLOUDSDK_CONFIG`, else the folder that gcloud uses on this system.
    pub gcloud: Option<PathBuf>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The root of `/proc` and `/sys`: `/`, or another folder in tests.
    pub system_root: PathBuf,
}

impl Folders {
    /// The folders that the environment names; without `HOME`, the home folder is the one in the password database.
    pub fn from_env(env: &Env) -> Folders {
        let home = match env {
            Env::Process => dirs::home_dir(),
            Env::Fixed(_) => env.os(&env::HOME).map(PathBuf::from),
        };
        // A relative home would be another one in every folder.
        let home = home.filter(|home| home.is_absolute());
        let config = match env {
            Env::Process => dirs::config_dir(),
            Env::Fixed(_) => home.as_ref().map(|home| home.join(".config")),
        };
        let config = config.filter(|config| config.is_absolute());
        let gauth = env.os(&env::GAUTH_CONFIG_DIR).map(PathBuf::from);
        let gcloud = env.os(&env::CLOUDSDK_CONFIG).map(PathBuf::from);
        Folders {
            gauth: gauth.or_else(|| config.map(|config| config.join("gauth"))),
            gcloud: gcloud.or_else(|| default_gcloud_folder(env, home.as_deref())),
            home,
            system_root: PathBuf::from("/"),
        }
    }

    /// The ID of this start of the machine, on Linux.
    pub fn boot_id(&self) -> Option<String> {
        let id = std::fs::read_to_string(self.system_root.join("proc/sys/kernel/random/boot_id")).ok()?;
        Some(id.trim().to_owned())
    }

    /// Whether this is a machine of Google's, by the product name of its firmware.
    pub fn is_google_machine(&self) -> bool {
        std::fs::read_to_string(self.system_root.join("sys/class/dmi/id/product_name"))
            .is_ok_and(|name| name.starts_with("Google"))
    }

    /// Checks what the user named.
    ///
    /// # Errors
    /// When `GAUTH_CONFIG_DIR` is relative: its meaning would change with the current folder.
    pub fn check_config_dir(&self) -> Result<()> {
        match &self.gauth {
            Some(folder) if folder.is_relative() => Err(Error::usage(format!(
                "GAUTH_CONFIG_DIR is a relative path: {}",
                crate::text::printable::path(folder)
            ))
            .hint("export GAUTH_CONFIG_DIR=\"$PWD/…\", an absolute path")),
            _ => Ok(()),
        }
    }
}

#[cfg(not(windows))]
fn default_gcloud_folder(_: &Env, home: Option<&std::path::Path>) -> Option<PathBuf> {
    home.map(|home| home.join(".config").join("gcloud"))
}

#[cfg(windows)]
fn default_gcloud_folder(env: &Env, _: Option<&std::path::Path>) -> Option<PathBuf> {
    let data = env.os(&env::APPDATA).map(PathBuf::from);
    Some(data.unwrap_or_else(|| PathBuf::from("C:\\")).join("gcloud"))
}
