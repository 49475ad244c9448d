//! Every login there is: gauth's and gcloud's, for lists, for looking at one, and for ending it.

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
use crate::text::json;
use crate::text::printable;
use crate::tokens::broker::Broker;
use crate::tokens::credential::{Credential, CredentialInfo};
use crate::tokens::{AccessTokenRequest, TokenRequest};
use crate::world::World;

/// How long gcloud may keep its database locked before a list goes without it.
const DATABASE_LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Whose store a login is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginStore {
    /// gauth's own folder.
    Gauth,
    /// gcloud's database.
    Gcloud,
}

impl LoginStore {
    /// As lists name it.
    pub fn name(self) -> &'static str {
        match self {
            LoginStore::Gauth => "gauth",
            LoginStore::Gcloud => "gcloud",
        }
    }
}

/// A stored login.
pub struct StoredLogin {
    /// Whose it is.
    pub account: String,
    /// Who keeps it.
    pub store: LoginStore,
    /// The file it is in.
    pub file: PathBuf,
    /// The universe that gcloud has it for.
    pub universe_domain: Option<String>,
    /// What can mint its tokens; it has not been looked into.
    pub credential: Option<Rc<dyn Credential>>,
    /// Its own JSON, or why that cannot be read.
    pub json: Result<Map<String, Value>>,
}

impl StoredLogin {
    /// Its `type`, even where the rest cannot be understood.
    pub fn kind(&self) -> Option<&str> {
        let map = self.json.as_ref().ok()?;
        let kind = map.get("type").and_then(Value::as_str);
        // What Google's quickstarts save has none.
        kind.or_else(|| {
            accounts::refresh_token_location::is_outermost(map).then_some("authorized_user")
        })
    }

    /// Its whole JSON, secrets included.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn json_with_secrets(&self, search: &Discovery<'_>) -> Result<Map<String, Value>> {
        let json = self.json.clone()?;
        match self.store {
            LoginStore::Gcloud => Ok(json),
            LoginStore::Gauth => {
                let bytes = accounts::read_stored(&self.file, search.world())?;
                accounts::resolve_secrets(
                    &self.file,
                    &self.account,
                    &bytes,
                    &search.secret_stores(),
                )
            }
        }
    }

    /// What is known of it without asking anybody.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn load_info(&self) -> Result<CredentialInfo> {
        match &self.credential {
            Some(credential) => credential.load_info(),
            None => Ok(CredentialInfo {
                account: Some(self.account.clone()),
                ..CredentialInfo::default()
            }),
        }
    }
}

/// How a login is, as far as that is known.
#[derive(Debug)]
pub enum LoginState {
    /// Nothing is known against it.
    Usable,
    /// Its server has refused it, in these words.
    LoginRequired(String),
    /// It cannot be understood: why, as the end of a sentence that begins with its file.
    Unreadable(String),
    /// It could not be told, or something else stands against it.
    CheckFailed(Error),
}

impl StoredLogin {
    /// How it is, without asking anybody.
    pub fn local_state(&self, world: &World) -> LoginState {
        let error = match (&self.json, self.load_info()) {
            (Err(error), _) => error.message().to_owned(),
            (_, Err(error)) => error.message().to_owned(),
            (Ok(_), Ok(_)) => {
                let refusal =
                    self.credential.as_ref().and_then(|known| known.last_rejection(world));
                return refusal.map_or(LoginState::Usable, LoginState::LoginRequired);
            }
        };
        let file = format!("{}: ", printable::path(&self.file));
        LoginState::Unreadable(error.strip_prefix(&file).unwrap_or(&error).to_owned())
    }

    /// How it is, by its server's word: a new token is asked for.
    pub fn check_with_server(&self, broker: &Broker<'_>) -> LoginState {
        let known = self.local_state(broker.world);
        let (LoginState::Usable | LoginState::LoginRequired(_), Some(credential)) =
            (&known, &self.credential)
        else {
            return known;
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

/// What could not be listed, and the logins that could.
pub struct Logins {
    /// gauth's first, each keeper's in the order of its store.
    pub all: Vec<StoredLogin>,
    /// Why gcloud's are missing, if they are.
    pub gcloud_error: Option<Error>,
}

/// All of them.
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

/// gauth's own.
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

/// gcloud's.
///
/// # Errors
/// When its database is there and cannot be read.
fn gcloud_logins(search: &Discovery<'_>) -> Result<Vec<StoredLogin>> {
    let Some(folder) = &search.world().folders.gcloud else { return Ok(Vec::new()) };
    let mut logins = Vec::new();
    for account in stored::list(folder, DATABASE_LOCK_TIMEOUT)? {
        let (name, universe_domain) = (account.name, account.universe_domain);
        let login = sources::gcloud::stored_login(search, &name, Some(universe_domain.clone()))?;
        logins.push(StoredLogin {
            json: gcloud_account::account_json(
                folder,
                &name,
                &universe_domain,
                DATABASE_LOCK_TIMEOUT,
            ),
            account: name,
            store: LoginStore::Gcloud,
            file: folder.join("credentials.db"),
            universe_domain: Some(universe_domain),
            credential: login.map(|login| Rc::new(login) as Rc<dyn Credential>),
        });
    }
    Ok(logins)
}

/// The account that is used of all these where no other credential is named or set: of this run, gauth's active one,
/// or else gcloud's.
///
/// # Errors
/// When what is chosen cannot be read.
pub fn active_account(search: &Discovery<'_>) -> Result<Option<(String, LoginStore)>> {
    let world = search.world();
    let own = match &search.config.account {
        Some(chosen) => Some(chosen.value.clone()),
        None => accounts::active_account(world)?,
    };
    if let Some(name) = own {
        let store = match has_gauth_login(&name, world) {
            true => LoginStore::Gauth,
            false => LoginStore::Gcloud,
        };
        return Ok(Some((name, store)));
    }
    let properties = GcloudProperties::open(world.folders.gcloud.as_deref(), &world.env);
    // A broken configuration of gcloud's is said where it is used.
    let account = crate::gcloud::active_account(&properties).ok().flatten();
    Ok(account.map(|account| (account.value, LoginStore::Gcloud)))
}

/// Whether gauth has a login of this account.
pub fn has_gauth_login(name: &str, world: &World) -> bool {
    accounts::path(name, world).is_some_and(|path| path.symlink_metadata().is_ok())
}
