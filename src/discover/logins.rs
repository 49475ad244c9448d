//! Every login there is: gauth's and gcloud's, for lists, for looking at one, and for ending it.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::accounts;
use crate::broker::Broker;
use crate::credential::gcloud;
use crate::credential::{About, Credential};
use crate::discover::{Search, places};
use crate::error::{Error, ErrorKind, Result};
use crate::gcloud::accounts as stored;
use crate::gcloud::properties::Properties;
use crate::json;
use crate::printable;
use crate::token::{AccessRequest, TokenRequest};
use crate::world::World;

/// How long gcloud may keep its database locked before a list goes without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose store a login is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// gauth's own folder.
    Gauth,
    /// gcloud's database.
    Gcloud,
}

impl Keeper {
    /// As lists name it.
    pub fn name(self) -> &'static str {
        match self {
            Keeper::Gauth => "gauth",
            Keeper::Gcloud => "gcloud",
        }
    }
}

/// A stored login.
pub struct Login {
    /// Whose it is.
    pub account: String,
    /// Who keeps it.
    pub keeper: Keeper,
    /// The file it is in.
    pub file: PathBuf,
    /// The universe that gcloud has it for.
    pub universe: Option<String>,
    /// What can mint its tokens; it has not been looked into.
    pub credential: Option<Rc<dyn Credential>>,
    /// Its own JSON, or why that cannot be read.
    pub json: Result<Map<String, Value>>,
}

impl Login {
    /// Its `type`, even where the rest cannot be understood.
    pub fn kind(&self) -> Option<&str> {
        let map = self.json.as_ref().ok()?;
        let kind = map.get("type").and_then(Value::as_str);
        // What Google's quickstarts save has none.
        kind.or_else(|| map.contains_key("refresh_token").then_some("authorized_user"))
    }

    /// Its whole JSON, secrets included.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, search: &Search<'_>) -> Result<Map<String, Value>> {
        let json = self.json.clone()?;
        match self.keeper {
            Keeper::Gcloud => Ok(json),
            Keeper::Gauth => {
                let bytes = accounts::read_stored(&self.file, search.world())?;
                accounts::whole(&self.file, &self.account, &bytes, &search.settings.vaults)
            }
        }
    }

    /// What is known of it without asking anybody.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    pub fn describe(&self) -> Result<About> {
        match &self.credential {
            Some(credential) => credential.describe(),
            None => Ok(About { account: Some(self.account.clone()), ..About::default() }),
        }
    }
}

/// How a login is, as far as that is known.
#[derive(Debug)]
pub enum Condition {
    /// Nothing is known against it.
    Good,
    /// Its server has refused it, in these words.
    MustSignIn(String),
    /// It cannot be understood: why, as the end of a sentence that begins with its file.
    Broken(String),
    /// It could not be told, or something else stands against it.
    Failed(Error),
}

impl Login {
    /// How it is, without asking anybody.
    pub fn condition(&self, world: &World) -> Condition {
        let error = match (&self.json, self.describe()) {
            (Err(error), _) => error.message().to_owned(),
            (_, Err(error)) => error.message().to_owned(),
            (Ok(_), Ok(_)) => {
                let refusal = self.credential.as_ref().and_then(|known| known.refusal(world));
                return refusal.map_or(Condition::Good, Condition::MustSignIn);
            }
        };
        let file = format!("{}: ", printable::path(&self.file));
        Condition::Broken(error.strip_prefix(&file).unwrap_or(&error).to_owned())
    }

    /// How it is, by its server's word: a new token is asked for.
    pub fn check(&self, broker: &Broker<'_>) -> Condition {
        let known = self.condition(broker.world);
        let (Condition::Good | Condition::MustSignIn(_), Some(credential)) =
            (&known, &self.credential)
        else {
            return known;
        };
        let wish = TokenRequest::Access(AccessRequest::default());
        match broker.token(&**credential, &wish) {
            Ok(_) => Condition::Good,
            Err(error) if error.kind() == ErrorKind::LoginRequired => {
                Condition::MustSignIn(error.message().to_owned())
            }
            Err(error) => Condition::Failed(error),
        }
    }
}

/// What could not be listed, and the logins that could.
pub struct Logins {
    /// gauth's first, each keeper's in the order of its store.
    pub all: Vec<Login>,
    /// Why gcloud's are missing, if they are.
    pub trouble: Option<Error>,
}

/// All of them.
pub fn all(search: &Search<'_>) -> Logins {
    let mut all = own(search);
    let trouble = match in_gcloud(search) {
        Ok(more) => {
            all.extend(more);
            None
        }
        Err(error) => Some(error),
    };
    Logins { all, trouble }
}

/// gauth's own.
pub fn own(search: &Search<'_>) -> Vec<Login> {
    let files = accounts::files(search.world()).into_iter();
    files.map(|(account, file)| own_login(search, account, file)).collect()
}

fn own_login(search: &Search<'_>, account: String, file: PathBuf) -> Login {
    let place = printable::path(&file);
    let (credential, json) = match accounts::read_stored(&file, search.world()) {
        Ok(bytes) => {
            let json = json::object(&bytes).map_err(|what| Error::malformed(&place, what));
            (Some(places::own_login(search, &account, file.clone(), bytes)), json)
        }
        Err(error) => (None, Err(error)),
    };
    Login { account, keeper: Keeper::Gauth, file, universe: None, credential, json }
}

/// gcloud's.
///
/// # Errors
/// When its database is there and cannot be read.
fn in_gcloud(search: &Search<'_>) -> Result<Vec<Login>> {
    let Some(folder) = &search.world().folders.gcloud else { return Ok(Vec::new()) };
    let mut logins = Vec::new();
    for account in stored::list(folder, PATIENCE)? {
        let (name, universe) = (account.name, account.universe);
        let login = places::gcloud_login_of(search, &name, Some(universe.clone()))?;
        logins.push(Login {
            json: gcloud::stored(folder, &name, &universe, PATIENCE),
            account: name,
            keeper: Keeper::Gcloud,
            file: folder.join("credentials.db"),
            universe: Some(universe),
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
pub fn active(search: &Search<'_>) -> Result<Option<(String, Keeper)>> {
    let world = search.world();
    let own = match &search.settings.account {
        Some(chosen) => Some(chosen.value.clone()),
        None => accounts::active(world)?,
    };
    if let Some(name) = own {
        let keeper = match is_own(&name, world) {
            true => Keeper::Gauth,
            false => Keeper::Gcloud,
        };
        return Ok(Some((name, keeper)));
    }
    let properties = Properties::open(world.folders.gcloud.as_deref(), &world.env);
    // A broken configuration of gcloud's is said where it is used.
    let account = crate::gcloud::active_account(&properties).ok().flatten();
    Ok(account.map(|account| (account.value, Keeper::Gcloud)))
}

/// Whether gauth has a login of this account.
pub fn is_own(name: &str, world: &World) -> bool {
    accounts::path(name, world).is_some_and(|path| path.symlink_metadata().is_ok())
}
