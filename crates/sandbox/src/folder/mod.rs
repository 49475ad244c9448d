//! The sandbox's folder: throw-away credentials in Google's own shapes, for one user's eyes, removed at the end.

pub(super) mod clients;
pub(super) mod federation;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::environment::DefaultCredential;
use crate::fixtures;
use crate::fixtures::{CLIENT_ID, PROJECT, SERVICE_ACCOUNT, USER};
use crate::{SandboxOptions, SandboxState};
use gauth_core::error::{Result, io};

/// The key file of the service account.
pub(super) const SERVICE_ACCOUNT_FILE: &str = "service_account.json";
/// The login of the person.
pub(super) const AUTHORIZED_USER_FILE: &str = "authorized_user.json";
/// gcloud's folder.
pub(super) const GCLOUD_FOLDER: &str = "gcloud";
/// gauth's folder.
pub(super) const GAUTH_FOLDER: &str = "gauth";
/// What goes in front of `PATH`.
pub(super) const PROGRAMS_FOLDER: &str = "bin";

/// A folder that goes when dropped.
pub(super) struct SandboxFolder(PathBuf);

impl SandboxFolder {
    /// Makes it and fills it.
    pub(super) fn create(options: &SandboxOptions, state: &SandboxState) -> Result<SandboxFolder> {
        let name =
            format!("gauth-sandbox-{}", fixtures::random_base64url(9)?.replace(['-', '_'], "0"));
        // Absolute, because programs in the sandbox may work elsewhere.
        let parent = std::path::absolute(&options.parent_folder)
            .map_err(|error| io("used", &options.parent_folder, &error))?;
        let path = parent.join(name);
        create_private_folder(&path)?;
        // From here on it is removed whatever happens.
        let folder = SandboxFolder(path);
        folder.write_files(options, state)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn write_files(&self, options: &SandboxOptions, state: &SandboxState) -> Result<()> {
        let gcloud = self.0.join(GCLOUD_FOLDER);
        for folder in [&self.0.join(GAUTH_FOLDER), &self.0.join(PROGRAMS_FOLDER), &gcloud] {
            create_private_folder(folder)?;
        }
        write_json(&self.0.join(SERVICE_ACCOUNT_FILE), &service_account_json(state))?;
        write_json(&self.0.join(AUTHORIZED_USER_FILE), &authorized_user_json(state))?;
        federation::write_credential_files(&self.0, state)?;
        clients::write_client_files(&self.0, state)?;
        if options.default_credential == DefaultCredential::Adc {
            let file = gcloud.join("application_default_credentials.json");
            write_json(&file, &authorized_user_json(state))?;
        }
        write_gcloud_folder(&gcloud, options.default_credential, state)?;
        match &options.gauth_program {
            Some(program) => install_program(program, &self.0.join(PROGRAMS_FOLDER)),
            None => Ok(()),
        }
    }
}

impl Drop for SandboxFolder {
    fn drop(&mut self) {
        // Its last chance: nobody is left to be told.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The key file as the console hands it out, but for its endpoints.
fn service_account_json(state: &SandboxState) -> Value {
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": state.fixtures.service_account_key_id,
        "private_key": state.fixtures.service_account_pem.expose(),
        "client_email": SERVICE_ACCOUNT,
        "client_id": fixtures::subject_id(SERVICE_ACCOUNT),
        "auth_uri": format!("{}/o/oauth2/auth", state.url),
        "token_uri": format!("{}/token", state.url),
        "auth_provider_x509_cert_url": format!("{}/oauth2/v1/certs", state.url),
        "client_x509_cert_url": format!("{}/robot/v1/metadata/x509/{SERVICE_ACCOUNT}", state.url),
        "universe_domain": "googleapis.com",
    })
}

/// The login as gcloud writes it for other programs, and with the endpoint that it leaves out.
fn authorized_user_json(state: &SandboxState) -> Value {
    json!({
        "type": "authorized_user",
        "account": USER,
        "client_id": CLIENT_ID,
        "client_secret": state.fixtures.client_secret.expose(),
        "refresh_token": state.fixtures.refresh_token.expose(),
        "token_uri": format!("{}/token", state.url),
        "universe_domain": "googleapis.com",
    })
}

/// gcloud's folder: a configuration, and both accounts in its store.
fn write_gcloud_folder(
    folder: &Path,
    default_credential: DefaultCredential,
    state: &SandboxState,
) -> Result<()> {
    let configurations = folder.join("configurations");
    create_private_folder(&configurations)?;
    // Without an account gcloud takes the machine's.
    let account = match default_credential {
        DefaultCredential::Metadata => String::new(),
        _ => format!("account = {USER}\n"),
    };
    let properties = format!("[core]\n{account}project = {PROJECT}\n");
    write_file(&configurations.join("config_default"), properties.as_bytes())?;
    write_file(&folder.join("active_config"), b"default")?;
    store::write_databases(folder, state)
}

#[cfg(feature = "gcloud-store")]
mod store {
    use rusqlite::{Connection, params};

    use super::{Path, Result, SERVICE_ACCOUNT, SandboxState, USER, Value, json};
    use crate::fixtures::GRANTED_SCOPES;
    use gauth_core::error::Error;

    /// gcloud's two databases: the accounts, and no access tokens yet.
    pub(super) fn write_databases(folder: &Path, state: &SandboxState) -> Result<()> {
        let [accounts, tokens] =
            ["credentials.db", "access_tokens.db"].map(|name| folder.join(name));
        write_accounts(&accounts, state).and_then(|()| create_tokens_table(&tokens)).map_err(
            |error| Error::unexpected(format!("gcloud's store could not be written, {error}")),
        )
    }

    fn create_database(path: &Path) -> rusqlite::Result<Connection> {
        // Made private before there is anything in it.
        super::create_private_file(path)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Connection::open(path)
    }

    fn write_accounts(path: &Path, state: &SandboxState) -> rusqlite::Result<()> {
        let database = create_database(path)?;
        database
            .execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)", [])?;
        for (account, value) in [
            (USER, user_credential_json(state)),
            (SERVICE_ACCOUNT, service_account_credential_json(state)),
        ] {
            let value = format!("{value:#}");
            database.execute("INSERT INTO credentials VALUES (?1, ?2)", params![account, value])?;
        }
        Ok(())
    }

    fn create_tokens_table(path: &Path) -> rusqlite::Result<()> {
        let columns = "account_id TEXT PRIMARY KEY, access_token TEXT, token_expiry TIMESTAMP, \
                       rapt_token TEXT, id_token TEXT";
        create_database(path)?.execute(&format!("CREATE TABLE access_tokens ({columns})"), [])?;
        Ok(())
    }

    fn user_credential_json(state: &SandboxState) -> Value {
        json!({
            "client_id": super::CLIENT_ID,
            "client_secret": state.fixtures.client_secret.expose(),
            "refresh_token": state.fixtures.refresh_token.expose(),
            "revoke_uri": format!("{}/revoke", state.url),
            "scopes": GRANTED_SCOPES,
            "token_uri": format!("{}/token", state.url),
            "type": "authorized_user",
            "universe_domain": "googleapis.com",
        })
    }

    fn service_account_credential_json(state: &SandboxState) -> Value {
        let mut value = super::service_account_json(state);
        if let Value::Object(members) = &mut value {
            for name in ["auth_uri", "auth_provider_x509_cert_url", "client_x509_cert_url"] {
                members.remove(name);
            }
        }
        value
    }
}

#[cfg(not(feature = "gcloud-store"))]
mod store {
    use super::{Path, Result, SandboxState};

    /// Without SQLite gcloud has no accounts here.
    pub(super) fn write_databases(_: &Path, _: &SandboxState) -> Result<()> {
        Ok(())
    }
}

/// Puts this program where `gauth` is looked for first.
#[cfg(unix)]
fn install_program(program: &Path, folder: &Path) -> Result<()> {
    let link = folder.join("gauth");
    std::os::unix::fs::symlink(program, &link).map_err(|error| io("made", &link, &error))
}

/// Links need a privilege on Windows, copies do not.
#[cfg(not(unix))]
fn install_program(program: &Path, folder: &Path) -> Result<()> {
    let copy = folder.join("gauth.exe");
    std::fs::copy(program, &copy).map(drop).map_err(|error| io("made", &copy, &error))
}

fn create_private_folder(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are unix"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io("made", path, &error))
}

fn create_private_file(path: &Path) -> std::io::Result<File> {
    create_file_with_mode(path, 0o600)
}

fn create_file_with_mode(path: &Path, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    create_private_file(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| io("written", path, &error))
}

/// A file that may be run.
fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    create_file_with_mode(path, 0o700)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| io("written", path, &error))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write_file(path, format!("{value:#}\n").as_bytes())
}
