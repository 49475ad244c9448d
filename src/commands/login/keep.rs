//! What becomes of a login: it is stored, made the active one, written for others, and said.

use std::ffi::OsStr;

use serde_json::{Map, Value, json};

use super::{Flags, place};
use crate::accounts::vault::Store;
use crate::accounts::{self, State};
use crate::broker::Broker;
use crate::discover::Search;
use crate::error::Result;
use crate::flags::ReportFormat;
use crate::google::token::Granted;
use crate::login::authorize::Challenge;
use crate::login::{Made, Plan, person};
use crate::printable;
use crate::settings::{self, Settings};
use crate::world::World;

/// What came of it.
pub(super) struct Stored {
    pub(super) account: String,
    pub(super) scopes: Option<Vec<String>>,
}

impl Flags {
    /// Keeps what was granted.
    pub(super) fn store(
        &self,
        plan: &Plan,
        granted: &Granted,
        challenge: &Challenge,
        broker: &Broker<'_>,
        settings: &Settings,
    ) -> Result<Stored> {
        let quota_project = settings.quota_project.as_deref();
        let Made { account, login } = plan.login(granted, challenge, quota_project, broker)?;
        warn_of_missing(plan, granted.scopes.as_deref(), broker.world);
        self.keep(&account, &login, settings, broker.world)?;
        Ok(Stored { account, scopes: granted.scopes.clone() })
    }

    /// Keeps a credential file as an account.
    pub(super) fn take(&self, file: &OsStr, settings: &Settings, world: &World) -> Result<Stored> {
        let broker = settings.broker(world);
        let search = Search { settings, broker: &broker, may_ask: true };
        let mut taken = accounts::from_file(file, place::account(settings).as_deref(), &search)?;
        if self.fate.update_adc {
            accounts::belongs_into_adc(&taken.name, &taken.json)?;
        }
        if let Some(project) = &settings.quota_project {
            taken.json.insert("quota_project_id".to_owned(), json!(project));
        }
        self.keep(&taken.name, &taken.json, settings, world)?;
        Ok(Stored { account: taken.name, scopes: None })
    }

    /// Stores a login, makes it the account that is used, and writes it for others where that is wanted.
    fn keep(
        &self,
        account: &str,
        login: &Map<String, Value>,
        settings: &Settings,
        world: &World,
    ) -> Result<()> {
        let mut login = login.clone();
        if self.fate.update_adc {
            login.insert(accounts::SHARED.to_owned(), Value::Bool(true));
        }
        let store = self.store_chosen(settings)?;
        accounts::keep(account, &login, store, &settings.vaults, world)?;
        self.activate(account, world)?;
        if self.fate.update_adc {
            let updated = accounts::update_adc(account, &login, world)?;
            let path = printable::path(&updated.path);
            world.terminal.tell(&match updated.backup {
                Some(backup) => {
                    format!("wrote {path}, what was there is now {}", printable::path(&backup))
                }
                None => format!("wrote {path}"),
            });
        }
        Ok(())
    }

    /// Where the secrets go, by the flag or the settings; it can be used.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn store_chosen(&self, settings: &Settings) -> Result<Store> {
        let flag = self.fate.store.as_deref().map(|name| settings::text("--store", name));
        let store = match flag.transpose()? {
            Some(name) => Store::named(&name, "--store")?,
            None => settings.store.unwrap_or_default(),
        };
        settings.vaults.check(store)?;
        Ok(store)
    }

    /// Makes it the account that is used from now on.
    fn activate(&self, account: &str, world: &World) -> Result<()> {
        if self.fate.no_activate {
            return Ok(());
        }
        let account = account.to_owned();
        let profile = self.general.profile.as_deref();
        let profile = profile.map(|name| settings::text("--profile", name)).transpose()?;
        State::change(world, |state| match profile {
            Some(profile) => drop(state.profiles.insert(profile, account)),
            None => state.active = Some(account),
        })
    }

    pub(super) fn report(&self, done: &Stored, world: &World) -> Result<()> {
        let text = match self.report.format.unwrap_or_default() {
            ReportFormat::Text => {
                let account = printable::text(&done.account);
                match &done.scopes {
                    Some(scopes) => {
                        format!("signed in as {account}, scopes {}\n", short(scopes).join(", "))
                    }
                    None => format!("signed in as {account}\n"),
                }
            }
            ReportFormat::Json => {
                let active = accounts::active(world)?.as_ref() == Some(&done.account);
                let value = json!({
                    "account": done.account,
                    "scopes": done.scopes,
                    "active": active,
                });
                format!("{value:#}\n")
            }
        };
        world.streams.result(text.as_bytes())
    }
}

fn warn_of_missing(plan: &Plan, granted: Option<&[String]>, world: &World) {
    let missing = person::missing(&plan.wish.scopes, granted);
    if !missing.is_empty() {
        let missing: Vec<String> = missing.into_iter().map(short_one).collect();
        world.terminal.warn(&format!("not granted: {}", missing.join(", ")));
    }
}

/// Scopes as people write them.
fn short(scopes: &[String]) -> Vec<String> {
    let mut short: Vec<String> = scopes.iter().map(|scope| short_one(scope)).collect();
    short.sort();
    short
}

fn short_one(scope: &str) -> String {
    let word = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
    printable::text(match word {
        "userinfo.email" => "email",
        "userinfo.profile" => "profile",
        word => word,
    })
}
