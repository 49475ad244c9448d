//! gcloud's configuration folder: a configuration, and the accounts in its SQLite database.

use std::path::Path;

use crate::environment::DefaultCredential;
use crate::fixtures::{PROJECT, USER};
use crate::folder::files::{create_private_folder, write_file};
use crate::state::SandboxState;
use gauth_core::error::Result;

/// Writes gcloud's folder: a configuration, and the databases.
pub(crate) fn write_gcloud_folder(
    folder: &Path,
    default_credential: DefaultCredential,
    state: &SandboxState,
) -> Result<()> {
    let configurations = folder.join("configurations");
    create_private_folder(&configurations)?;
    // Without an account, gcloud uses that of the metadata server.
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

    use std::path::Path;

    use serde_json::{Value, json};

    use crate::fixtures::{CLIENT_ID, GRANTED_SCOPES, SERVICE_ACCOUNT, USER};
    use crate::folder::files::create_private_file;
    use crate::folder::google_accounts::service_account_json;
    use crate::state::SandboxState;
    use gauth_core::error::{Error, Result};

    /// Writes gcloud's two databases: the accounts, and the access tokens, of which there are none.
    pub(crate) fn write_databases(folder: &Path, state: &SandboxState) -> Result<()> {
        let [accounts, tokens] = ["credentials.db", "access_tokens.db"].map(|name| folder.join(name));
        write_accounts(&accounts, state)
            .and_then(|()| create_tokens_table(&tokens))
            .map_err(|error| Error::unexpected(format!("gcloud's store could not be written, {error}")))
    }

    fn create_database(path: &Path) -> rusqlite::Result<Connection> {
        // Created with private permissions before SQLite writes to it.
        create_private_file(path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Connection::open(path)
    }

    fn write_accounts(path: &Path, state: &SandboxState) -> rusqlite::Result<()> {
        let database = create_database(path)?;
        database.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)", [])?;
        for (account, value) in
            [(USER, user_credential_json(state)), (SERVICE_ACCOUNT, service_account_credential_json(state))]
        {
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
            "client_id": CLIENT_ID,
            "client_secret": state.fixtures.client_secret.to_json(),
            "refresh_token": state.fixtures.refresh_token.to_json(),
            "revoke_uri": format!("{}/revoke", state.url),
            "scopes": GRANTED_SCOPES,
            "token_uri": format!("{}/token", state.url),
            "type": "authorized_user",
            "universe_domain": "googleapis.com",
        })
    }

    fn service_account_credential_json(state: &SandboxState) -> Value {
        let mut value = service_account_json(state);
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

    /// Writes nothing: without SQLite, gcloud has no accounts in the sandbox.
    pub(crate) fn write_databases(_: &Path, _: &SandboxState) -> Result<()> {
        Ok(())
    }
}
