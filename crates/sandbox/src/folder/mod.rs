//! The folder with the sandbox's credential files, which only its owner can read and which is removed at the end.

use std::path::{Path, PathBuf};

use crate::environment::DefaultCredential;
use crate::file_names::{AUTHORIZED_USER_FILE, GAUTH_FOLDER, GCLOUD_FOLDER, PROGRAMS_FOLDER, SERVICE_ACCOUNT_FILE};
use crate::folder::files::{create_private_folder, install_program, remove_folder, write_json};
use crate::folder::gcloud::write_gcloud_folder;
use crate::folder::google_accounts::{authorized_user_json, service_account_json};
use crate::random_id::random_base64url;
use crate::state::SandboxState;
use gauth_core::error::{Result, io};

mod clients;
mod federation;
mod files;
mod gcloud;
mod google_accounts;

/// The folder, which is removed when this value is dropped.
pub(crate) struct SandboxFolder(PathBuf);

impl SandboxFolder {
    /// Creates the folder and writes all files.
    pub(crate) fn create(
        parent: &Path,
        default_credential: DefaultCredential,
        gauth_program: Option<&Path>,
        state: &SandboxState,
    ) -> Result<SandboxFolder> {
        let name = format!("gauth-sandbox-{}", random_base64url(9)?.replace(['-', '_'], "0"));
        // Absolute, because programs in the sandbox may have another working directory.
        let parent = std::path::absolute(parent).map_err(|error| io("used", parent, &error))?;
        let path = parent.join(name);
        create_private_folder(&path)?;
        // From here on the folder is removed even if an error occurs.
        let folder = SandboxFolder(path);
        folder.write_files(default_credential, gauth_program, state)?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write_files(
        &self,
        default_credential: DefaultCredential,
        gauth_program: Option<&Path>,
        state: &SandboxState,
    ) -> Result<()> {
        let gcloud = self.0.join(GCLOUD_FOLDER);
        for folder in [&self.0.join(GAUTH_FOLDER), &self.0.join(PROGRAMS_FOLDER), &gcloud] {
            create_private_folder(folder)?;
        }
        write_json(&self.0.join(SERVICE_ACCOUNT_FILE), &service_account_json(state))?;
        write_json(&self.0.join(AUTHORIZED_USER_FILE), &authorized_user_json(state))?;
        federation::write_credential_files(&self.0, state)?;
        clients::write_client_files(&self.0, state)?;
        if default_credential == DefaultCredential::Adc {
            let file = gcloud.join("application_default_credentials.json");
            write_json(&file, &authorized_user_json(state))?;
        }
        write_gcloud_folder(&gcloud, default_credential, state)?;
        match gauth_program {
            Some(program) => install_program(program, &self.0.join(PROGRAMS_FOLDER)),
            None => Ok(()),
        }
    }
}

impl Drop for SandboxFolder {
    fn drop(&mut self) {
        // An error cannot be reported here.
        drop(remove_folder(&self.0));
    }
}
