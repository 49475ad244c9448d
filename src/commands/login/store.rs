//! Stores a login, makes its account the active one, updates the ADC file, and prints the result.

use std::ffi::OsStr;

use serde_json::{Map, Value, json};

use crate::commands::login::{LoginFlags, import, provider};
use crate::flags::ReportFormat;
use gauth_core::accounts::secrets::SecretStore;
use gauth_core::accounts::{AccountSelection, refresh_token_location};
use gauth_core::config::Config;
use gauth_core::discovery::Discovery;
use gauth_core::error::Result;
use gauth_core::login::authorize::AuthorizationSession;
use gauth_core::login::{LoginRequest, NewLogin, user};
use gauth_core::oauth::token::TokenResponse;
use gauth_core::text::printable;
use gauth_core::tokens::broker::Broker;
use gauth_core::world::World;
use gauth_core::{accounts, config, discovery};

/// The result of a login.
pub(super) struct LoginResult {
    pub(super) account: String,
    pub(super) scopes: Option<Vec<String>>,
}

impl LoginFlags {
    /// Stores the login for the granted tokens.
    pub(super) fn store_tokens(
        &self,
        login_request: &LoginRequest,
        granted: &TokenResponse,
        session: &AuthorizationSession,
        broker: &Broker<'_>,
        settings: &Config,
    ) -> Result<LoginResult> {
        let quota_project = settings.quota_project.as_deref();
        let NewLogin { account, json: login } = login_request.build_login(granted, session, quota_project, broker)?;
        warn_missing_scopes(login_request, granted.scopes.as_deref(), broker.world);
        self.save(&account, &login, settings, broker.world)?;
        Ok(LoginResult { account, scopes: granted.scopes.clone() })
    }

    /// Stores a credential file as a login.
    pub(super) fn import_credential(&self, file: &OsStr, settings: &Config, world: &World) -> Result<LoginResult> {
        let broker = discovery::broker(settings, world);
        let discovery = Discovery { config: settings, broker: &broker, allow_network: true };
        let mut imported = import::import_file(file, provider::requested_account(settings).as_deref(), &discovery)?;
        if self.storage.update_adc {
            accounts::check_adc_type(&imported.name, &imported.json)?;
        }
        if let Some(project) = &settings.quota_project {
            imported.json.insert("quota_project_id".to_owned(), json!(project));
        }
        self.save(&imported.name, &imported.json, settings, world)?;
        Ok(LoginResult { account: imported.name, scopes: None })
    }

    /// Stores a login, makes its account the active one, and with `--update-adc` writes the ADC file.
    fn save(&self, account: &str, login: &Map<String, Value>, settings: &Config, world: &World) -> Result<()> {
        let mut login = login.clone();
        if self.storage.update_adc {
            refresh_token_location::mark_shared(&mut login);
        }
        let store = self.secret_store(settings, world)?;
        accounts::store_login(account, &login, store, &discovery::secret_stores(settings, world), world)?;
        self.activate(account, world)?;
        if self.storage.update_adc {
            let updated = accounts::update_adc(account, &login, world)?;
            let path = printable::path(&updated.path);
            world.terminal.info(&match updated.backup {
                Some(backup) => {
                    format!("wrote {path}, the previous file is now {}", printable::path(&backup))
                }
                None => format!("wrote {path}"),
            });
        }
        Ok(())
    }

    /// The store for the secrets, from the flag or the configuration.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub(super) fn secret_store(&self, settings: &Config, world: &World) -> Result<SecretStore> {
        let flag = self.storage.store.as_deref().map(|name| config::flag_text("--store", name));
        let store = match flag.transpose()? {
            Some(name) => SecretStore::parse(&name, "--store")?,
            None => settings.secret_store.unwrap_or_default(),
        };
        discovery::secret_stores(settings, world).check(store)?;
        Ok(store)
    }

    /// Makes the account the active one, or that of the profile.
    fn activate(&self, account: &str, world: &World) -> Result<()> {
        if self.storage.no_activate {
            return Ok(());
        }
        let account = account.to_owned();
        let profile = self.general.profile.as_deref();
        let profile = profile.map(|name| config::flag_text("--profile", name)).transpose()?;
        AccountSelection::update(world, |state| match profile {
            Some(profile) => drop(state.profiles.insert(profile, account)),
            None => state.active = Some(account),
        })
    }

    pub(super) fn report(&self, result: &LoginResult, world: &World) -> Result<()> {
        let text = match self.report.format.unwrap_or_default() {
            ReportFormat::Text => {
                let account = printable::text(&result.account);
                match &result.scopes {
                    Some(scopes) => {
                        format!("signed in as {account}, scopes {}\n", short_scopes(scopes).join(", "))
                    }
                    None => format!("signed in as {account}\n"),
                }
            }
            ReportFormat::Json => {
                let active = accounts::active_account(world)?.as_ref() == Some(&result.account);
                let value = json!({
                    "account": result.account,
                    "scopes": result.scopes,
                    "active": active,
                });
                format!("{value:#}\n")
            }
        };
        world.streams.write_result(text.as_bytes())
    }
}

fn warn_missing_scopes(login_request: &LoginRequest, granted: Option<&[String]>, world: &World) {
    let missing = user::missing_scopes(&login_request.authorization.scopes, granted);
    if !missing.is_empty() {
        let missing: Vec<String> = missing.into_iter().map(short_scope).collect();
        world.terminal.warn(&format!("not granted: {}", missing.join(", ")));
    }
}

/// Short names of scopes, sorted.
fn short_scopes(scopes: &[String]) -> Vec<String> {
    let mut short: Vec<String> = scopes.iter().map(|scope| short_scope(scope)).collect();
    short.sort();
    short
}

fn short_scope(scope: &str) -> String {
    let short_name = scope.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(scope);
    printable::text(match short_name {
        "userinfo.email" => "email",
        "userinfo.profile" => "profile",
        word => word,
    })
}
