//! The stored logins of gauth and gcloud, for the commands that list, show, export and end them.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::accounts;
use crate::credentials::gcloud_account;
use crate::discovery::{Discovery, sources};
use crate::error::{Error, ErrorKind, Result};
use crate::gcloud::accounts as stored;
use crate::gcloud::properties::GcloudProperties;
use crate::text::{json, printable};
use crate::tokens::broker::Broker;
use crate::tokens::credential::{Credential, CredentialInfo};
use crate::tokens::{AccessTokenRequest, TokenRequest};
use crate::world::{World, files};

/// How long gcloud may keep its database locked before its logins are left out.
const DATABASE_LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The program that stores a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStore {
    /// gauth, in its accounts folder.
    Gauth,
    /// gcloud, in its database.
    Gcloud,
}

impl LoginStore {
    /// The name in lists and the JSON output.
    pub fn name(self) -> &'static str {
        match self {
            LoginStore::Gauth => "gauth",
            LoginStore::Gcloud => "gcloud",
        }
    }
}

/// A login that gauth or gcloud stores.
pub struct StoredLogin {
    /// The name of the account, usually an e-mail address.
    pub account: String,
    /// The program that stores it.
    pub store: LoginStore,
    /// The account's file, or gcloud's database.
    pub file: PathBuf,
    /// The universe domain under which gcloud stores it; `None` for gauth's logins.
    pub universe_domain: Option<String>,
    /// Mints its tokens; not parsed yet. `None` when the file cannot be read.
    pub credential: Option<Rc<dyn Credential>>,
    /// The stored JSON without the secrets that are in another store, or why it cannot be read.
    pub json: Result<Map<String, Value>>,
}

impl StoredLogin {
    /// The credential's `type`, even when the rest of the JSON is not valid.
    pub fn kind(&self) -> Option<&str> {
        let map = self.json.as_ref().ok()?;
        let kind = map.get("type").and_then(Value::as_str);
        // The token.json of Google's quickstarts has no type.
        kind.or_else(|| accounts::refresh_token_location::is_outermost(map).then_some("authorized_user"))
    }

    /// The whole JSON, secrets included.
    ///
    /// # Errors
    /// When the file or the store of its secrets cannot be read.
    pub fn json_with_secrets(&self, search: &Discovery<'_>) -> Result<Map<String, Value>> {
        let json = self.json.clone()?;
        match self.store {
            LoginStore::Gcloud => Ok(json),
            LoginStore::Gauth => {
                let bytes = accounts::read_stored(&self.file, search.world())?;
                accounts::resolve_secrets(&self.file, &self.account, &bytes, &search.secret_stores())
            }
        }
    }

    /// Account, type and projects of the credential, without a request.
    ///
    /// # Errors
    /// When the JSON is not a valid credential.
    pub fn load_info(&self) -> Result<CredentialInfo> {
        match &self.credential {
            Some(credential) => credential.load_info(),
            None => Ok(CredentialInfo { account: Some(self.account.clone()), ..CredentialInfo::default() }),
        }
    }
}

/// Whether a login can be used.
#[derive(Debug)]
pub enum LoginState {
    /// It is valid, and its server has not refused it.
    Usable,
    /// Its server has refused it, with this message.
    LoginRequired(String),
    /// The JSON is not a valid credential: why, as the end of a sentence that begins with the file.
    Unreadable(String),
    /// No token could be had, for another reason.
    CheckFailed(Error),
}

impl StoredLogin {
    /// Whether it can be used, without a request.
    pub fn local_state(&self, world: &World) -> LoginState {
        let error = match (&self.json, self.load_info()) {
            (Err(error), _) => error.message().to_owned(),
            (_, Err(error)) => error.message().to_owned(),
            (Ok(_), Ok(_)) => {
                let refusal = self.credential.as_ref().and_then(|credential| credential.last_rejection(world));
                return refusal.map_or(LoginState::Usable, LoginState::LoginRequired);
            }
        };
        let file = format!("{}: ", printable::path(&self.file));
        LoginState::Unreadable(error.strip_prefix(&file).unwrap_or(&error).to_owned())
    }

    /// Whether it can be used, by requesting a token.
    pub fn check_with_server(&self, broker: &Broker<'_>) -> LoginState {
        let state = self.local_state(broker.world);
        let (LoginState::Usable | LoginState::LoginRequired(_), Some(credential)) = (&state, &self.credential) else {
            return state;
        };
        let request = TokenRequest::AccessToken(AccessTokenRequest::default());
        match broker.token(&**credential, &request) {
            Ok(_) => LoginState::Usable,
            Err(error) if error.kind() == ErrorKind::LoginRequired => {
                LoginState::LoginRequired(error.message().to_owned())
            }
            Err(error) => LoginState::CheckFailed(error),
        }
    }
}

/// The logins that can be listed.
pub struct Logins {
    /// gauth's, then gcloud's, each in the order of its store.
    pub all: Vec<StoredLogin>,
    /// Why gcloud's are missing; `None` when they are not.
    pub gcloud_error: Option<Error>,
}

/// The logins of gauth and gcloud.
pub fn all(search: &Discovery<'_>) -> Logins {
    let mut all = gauth_logins(search);
    let gcloud_error = match gcloud_logins(search) {
        Ok(more) => {
            all.extend(more);
            None
        }
        Err(error) => Some(error),
    };
    Logins { all, gcloud_error }
}

/// The logins of gauth.
pub fn gauth_logins(search: &Discovery<'_>) -> Vec<StoredLogin> {
    let files = accounts::list_files(search.world()).into_iter();
    files.map(|(account, file)| read_gauth_login(search, account, file)).collect()
}

fn read_gauth_login(search: &Discovery<'_>, account: String, file: PathBuf) -> StoredLogin {
    let location = printable::path(&file);
    let (credential, json) = match accounts::read_stored(&file, search.world()) {
        Ok(bytes) => {
            let json = json::parse_object(&bytes).map_err(|what| Error::malformed(&location, what));
            (Some(sources::login::stored_login(search, &account, file.clone(), bytes)), json)
        }
        Err(error) => (None, Err(error)),
    };
    StoredLogin { account, store: LoginStore::Gauth, file, universe_domain: None, credential, json }
}

/// The logins of gcloud.
///
/// # Errors
/// When its database exists and cannot be read.
fn gcloud_logins(search: &Discovery<'_>) -> Result<Vec<StoredLogin>> {
    let Some(folder) = &search.world().folders.gcloud else { return Ok(Vec::new()) };
    let mut logins = Vec::new();
    for account in stored::list(folder, DATABASE_LOCK_TIMEOUT)? {
        let (name, universe_domain) = (account.name, account.universe_domain);
        let login = sources::gcloud::stored_login(search, &name, Some(universe_domain.clone()))?;
        logins.push(StoredLogin {
            json: gcloud_account::account_json(folder, &name, &universe_domain, DATABASE_LOCK_TIMEOUT),
            account: name,
            store: LoginStore::Gcloud,
            file: folder.join("credentials.db"),
            universe_domain: Some(universe_domain),
            credential: login.map(|login| Rc::new(login) as Rc<dyn Credential>),
        });
    }
    Ok(logins)
}

/// The account that is used where no other credential is named or set: that of `--account`, gauth's active account, or
/// gcloud's.
///
/// # Errors
/// When gauth's `state.json` cannot be read.
pub fn active_account(search: &Discovery<'_>) -> Result<Option<(String, LoginStore)>> {
    let world = search.world();
    let account = match &search.config.account {
        Some(chosen) => Some(chosen.value.clone()),
        None => accounts::active_account(world)?,
    };
    if let Some(name) = account {
        let store = match has_gauth_login(&name, world) {
            true => LoginStore::Gauth,
            false => LoginStore::Gcloud,
        };
        return Ok(Some((name, store)));
    }
    let properties = GcloudProperties::open(world.folders.gcloud.as_deref(), &world.env);
    // A broken configuration of gcloud is reported where it is used.
    let account = crate::gcloud::active_account(&properties).ok().flatten();
    Ok(account.map(|account| (account.value, LoginStore::Gcloud)))
}

/// Whether gauth has a login for this account.
pub fn has_gauth_login(name: &str, world: &World) -> bool {
    accounts::path(name, world).is_some_and(|path| files::symlink_metadata(&path).is_ok())
}
