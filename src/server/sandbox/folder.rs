//! The sandbox's folder: throw-away credentials in Google's own shapes, for one user's eyes, removed at the end.

pub(super) mod clients;
pub(super) mod federation;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Result, io};
use crate::server::sandbox::cast::{self, CLIENT_ID, PROJECT, SERVICE_ACCOUNT, USER};
use crate::server::sandbox::environment::First;
use crate::server::sandbox::{Options, State};

/// The key file of the service account.
pub(super) const SERVICE_ACCOUNT_FILE: &str = "service_account.json";
/// The login of the person.
pub(super) const AUTHORIZED_USER_FILE: &str = "authorized_user.json";
/// gcloud's folder.
pub(super) const GCLOUD: &str = "gcloud";
/// gauth's folder.
pub(super) const GAUTH: &str = "gauth";
/// What goes in front of `PATH`.
pub(super) const PROGRAMS: &str = "bin";

/// A folder that goes when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it and fills it.
    pub(super) fn make(options: &Options, state: &State) -> Result<Folder> {
        let name = format!("gauth-sandbox-{}", cast::random(9)?.replace(['-', '_'], "0"));
        // Absolute, because programs in the sandbox may work elsewhere.
        let parent = std::path::absolute(&options.parent)
            .map_err(|error| io("used", &options.parent, &error))?;
        let path = parent.join(name);
        make_folder(&path)?;
        // From here on it is removed whatever happens.
        let folder = Folder(path);
        folder.fill(options, state)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn fill(&self, options: &Options, state: &State) -> Result<()> {
        let gcloud = self.0.join(GCLOUD);
        for folder in [&self.0.join(GAUTH), &self.0.join(PROGRAMS), &gcloud] {
            make_folder(folder)?;
        }
        write_json(&self.0.join(SERVICE_ACCOUNT_FILE), &service_account(state))?;
        write_json(&self.0.join(AUTHORIZED_USER_FILE), &authorized_user(state))?;
        federation::fill(&self.0, state)?;
        clients::fill(&self.0, state)?;
        if options.first == First::Adc {
            let file = gcloud.join("application_default_credentials.json");
            write_json(&file, &authorized_user(state))?;
        }
        fill_gcloud(&gcloud, options.first, state)?;
        match &options.program {
            Some(program) => link(program, &self.0.join(PROGRAMS)),
            None => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Its last chance: nobody is left to be told.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The key file as the console hands it out, but for its endpoints.
fn service_account(state: &State) -> Value {
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": state.cast.key_id,
        "private_key": state.cast.service_account_pem.expose(),
        "client_email": SERVICE_ACCOUNT,
        "client_id": cast::subject(SERVICE_ACCOUNT),
        "auth_uri": format!("{}/o/oauth2/auth", state.url),
        "token_uri": format!("{}/token", state.url),
        "auth_provider_x509_cert_url": format!("{}/oauth2/v1/certs", state.url),
        "client_x509_cert_url": format!("{}/robot/v1/metadata/x509/{SERVICE_ACCOUNT}", state.url),
        "universe_domain": "googleapis.com",
    })
}

/// The login as gcloud writes it for other programs, and with the endpoint that it leaves out.
fn authorized_user(state: &State) -> Value {
    json!({
        "type": "authorized_user",
        "account": USER,
        "client_id": CLIENT_ID,
        "client_secret": state.cast.client_secret.expose(),
        "refresh_token": state.cast.refresh_token.expose(),
        "token_uri": format!("{}/token", state.url),
        "universe_domain": "googleapis.com",
    })
}

/// gcloud's folder: a configuration, and both accounts in its store.
fn fill_gcloud(folder: &Path, first: First, state: &State) -> Result<()> {
    let configurations = folder.join("configurations");
    make_folder(&configurations)?;
    // Without an account gcloud takes the machine's.
    let account = match first {
        First::Metadata => String::new(),
        _ => format!("account = {USER}\n"),
    };
    let properties = format!("[core]\n{account}project = {PROJECT}\n");
    write(&configurations.join("config_default"), properties.as_bytes())?;
    write(&folder.join("active_config"), b"default")?;
    store::write(folder, state)
}

#[cfg(feature = "gcloud-store")]
mod store {
    use rusqlite::{Connection, params};

    use super::{Path, Result, SERVICE_ACCOUNT, State, USER, Value, json};
    use crate::error::Error;
    use crate::server::sandbox::cast::GRANTED;

    /// gcloud's two databases: the accounts, and no access tokens yet.
    pub(super) fn write(folder: &Path, state: &State) -> Result<()> {
        let [accounts, tokens] =
            ["credentials.db", "access_tokens.db"].map(|name| folder.join(name));
        fill(&accounts, state).and_then(|()| tokens_table(&tokens)).map_err(|error| {
            Error::unexpected(format!("gcloud's store could not be written, {error}"))
        })
    }

    fn open(path: &Path) -> rusqlite::Result<Connection> {
        // Made private before there is anything in it.
        super::create(path)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Connection::open(path)
    }

    fn fill(path: &Path, state: &State) -> rusqlite::Result<()> {
        let base = open(path)?;
        base.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)", [])?;
        for (account, value) in [(USER, user(state)), (SERVICE_ACCOUNT, robot(state))] {
            let value = format!("{value:#}");
            base.execute("INSERT INTO credentials VALUES (?1, ?2)", params![account, value])?;
        }
        Ok(())
    }

    fn tokens_table(path: &Path) -> rusqlite::Result<()> {
        let columns = "account_id TEXT PRIMARY KEY, access_token TEXT, token_expiry TIMESTAMP, \
                       rapt_token TEXT, id_token TEXT";
        open(path)?.execute(&format!("CREATE TABLE access_tokens ({columns})"), [])?;
        Ok(())
    }

    fn user(state: &State) -> Value {
        json!({
            "client_id": super::CLIENT_ID,
            "client_secret": state.cast.client_secret.expose(),
            "refresh_token": state.cast.refresh_token.expose(),
            "revoke_uri": format!("{}/revoke", state.url),
            "scopes": GRANTED,
            "token_uri": format!("{}/token", state.url),
            "type": "authorized_user",
            "universe_domain": "googleapis.com",
        })
    }

    fn robot(state: &State) -> Value {
        let mut value = super::service_account(state);
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
    use super::{Path, Result, State};

    /// Without SQLite gcloud has no accounts here.
    pub(super) fn write(_: &Path, _: &State) -> Result<()> {
        Ok(())
    }
}

/// Puts this program where `gauth` is looked for first.
#[cfg(unix)]
fn link(program: &Path, folder: &Path) -> Result<()> {
    let link = folder.join("gauth");
    std::os::unix::fs::symlink(program, &link).map_err(|error| io("made", &link, &error))
}

/// Links need a privilege on Windows, copies do not.
#[cfg(not(unix))]
fn link(program: &Path, folder: &Path) -> Result<()> {
    let copy = folder.join("gauth.exe");
    std::fs::copy(program, &copy).map(drop).map_err(|error| io("made", &copy, &error))
}

fn make_folder(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are unix"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io("made", path, &error))
}

fn create(path: &Path) -> std::io::Result<File> {
    create_with(path, 0o600)
}

fn create_with(path: &Path, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    create(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| io("written", path, &error))
}

/// A file that may be run.
fn write_program(path: &Path, bytes: &[u8]) -> Result<()> {
    create_with(path, 0o700)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|error| io("written", path, &error))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, format!("{value:#}\n").as_bytes())
}
