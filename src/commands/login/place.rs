//! Where a person signs in: at Google, by way of a workforce pool, or at somebody else's OpenID provider; and with which
//! client.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::accounts;
use crate::accounts::vault::kept;
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::gcloud::properties::Properties;
use crate::login::client::{Client, Earlier};
use crate::login::provider::Provider;
use crate::login::workforce::{self, Config};
use crate::login::{Makes, discovery, openid};
use crate::printable;
use crate::settings::{self, Settings};
use crate::token::{self, CLOUD_PLATFORM};
use crate::trust::DEFAULT_UNIVERSE;
use crate::world::{World, env};

/// Elsewhere than at Google.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Elsewhere than at Google")]
pub(super) struct Place {
    /// Another OpenID provider
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, conflicts_with = "login_config")]
    issuer: Option<OsString>,
    /// The pool that takes its ID tokens
    #[arg(long, value_name = "NAME", requires = "issuer")]
    pub(super) workload_identity_provider: Option<OsString>,
    /// A workforce pool, by its file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    login_config: Option<OsString>,
}

/// The place, and what is usual there.
pub(super) struct Chosen {
    pub(super) provider: Provider,
    pub(super) client: Client,
    pub(super) makes: Makes,
    pub(super) scopes: Vec<String>,
    /// What the person is asked, where the user does not say.
    pub(super) prompt: Option<&'static str>,
    /// Whose login it is to be, as the place knows them.
    pub(super) account: Option<String>,
}

impl Place {
    /// Chooses. Only another provider is asked anything: how it is used.
    ///
    /// # Errors
    /// Usage, malformed or unsafe, naming flag, variable or file; and those of the provider's answer.
    pub(super) fn choose(
        &self,
        client_file: Option<&OsString>,
        scopes: &[OsString],
        settings: &Settings,
        broker: &Broker<'_>,
    ) -> Result<Chosen> {
        let world = broker.world;
        let client = client(client_file, settings)?;
        if let Some(issuer) = &self.issuer {
            let issuer = settings::text("--issuer", issuer)?;
            return at_issuer(&issuer, client, scopes, settings, broker);
        }
        let properties = Properties::open(world.folders.gcloud.as_deref(), &world.env);
        let flag = self.login_config.clone().map(|file| (file, "--login-config".to_owned()));
        let config = match flag {
            Some(named) => Some(named),
            None => workforce::gclouds_config(&properties)?
                .map(|(file, origin)| (OsString::from(file), origin)),
        };
        if let Some((file, origin)) = config {
            let chosen = workforce::Chosen::of(settings);
            let config = Config::read(&PathBuf::from(file), &origin, chosen)?;
            return in_pool(config, client, &properties, settings);
        }
        let earlier = earlier(settings, world)?;
        let client = client.or(earlier.client).ok_or_else(Client::none)?;
        at_google(client, &earlier.scopes, settings, world)
    }
}

/// The client that is named by flag, variable or setting.
fn client(flag: Option<&OsString>, settings: &Settings) -> Result<Option<Client>> {
    let flag = flag.map(|file| (Path::new(file), "--client-id-file"));
    let named = settings.client_id_file.as_ref();
    let named = named.map(|chosen| (chosen.value.as_path(), chosen.origin.as_str()));
    flag.or(named).map(|(file, origin)| Client::read(file, origin)).transpose()
}

/// What the login that there is already tells: that of the account that is named, or of the active one, which may be
/// somebody else's and tells its client only.
fn earlier(settings: &Settings, world: &World) -> Result<Earlier> {
    let named = account(settings);
    let Some(name) =
        named.clone().map_or_else(|| accounts::active(world), |name| Ok(Some(name)))?
    else {
        return Ok(Earlier::default());
    };
    let stored = accounts::load(&name, world)?;
    let earlier = stored.map(|(path, bytes)| {
        let place = printable::path(&path);
        match accounts::whole(&path, &name, &bytes, &settings.vaults) {
            Ok(login) => Earlier::of(&kept::text(&login), &place),
            // One that its store does not give any more is made anew, with another client.
            Err(_) => Earlier { client: None, ..Earlier::of(&bytes, &place) },
        }
    });
    let mut earlier = earlier.unwrap_or_default();
    if named.is_none() {
        earlier.scopes.clear();
    }
    Ok(earlier)
}

/// Whose login it is to be: who is named for this run, not whom a profile has had until now.
pub(super) fn account(settings: &Settings) -> Option<String> {
    let account = settings.account.as_ref()?;
    let named = ["--account", env::GAUTH_ACCOUNT.name].contains(&account.origin.as_str());
    named.then(|| account.value.clone())
}

/// `earlier`: the scopes of the login that is to be made anew.
fn at_google(
    client: Client,
    earlier: &[String],
    settings: &Settings,
    world: &World,
) -> Result<Chosen> {
    let chosen = Some(settings.wish.scopes.as_slice()).filter(|chosen| !chosen.is_empty());
    let mut scopes = match chosen.unwrap_or(earlier) {
        [] => vec![CLOUD_PLATFORM.to_owned()],
        chosen => chosen.to_vec(),
    };
    // Whose login it is has to be known to be kept.
    for needed in ["email", "openid"] {
        if !scopes.iter().any(|scope| token::same_scope(scope, needed)) {
            scopes.push(needed.to_owned());
        }
    }
    Ok(Chosen {
        provider: Provider::google(&client, settings, world)?,
        client,
        makes: Makes::User,
        scopes,
        // Without it there is a refresh token for the first consent only.
        prompt: Some("consent"),
        account: account(settings),
    })
}

fn in_pool(
    config: Config,
    client: Option<Client>,
    properties: &Properties,
    settings: &Settings,
) -> Result<Chosen> {
    let client = match client {
        Some(client) => client,
        None => workforce::gclouds_client(properties)?.ok_or_else(workforce::no_client)?,
    };
    let scopes = match settings.wish.scopes.as_slice() {
        [] => token::scopes(["cloud-platform"]),
        chosen => chosen.to_vec(),
    };
    Ok(Chosen {
        provider: config.provider(),
        client: workforce::with_secret(client),
        makes: Makes::Workforce(Box::new(config)),
        scopes,
        prompt: None,
        account: account(settings),
    })
}

fn at_issuer(
    issuer: &str,
    client: Option<Client>,
    scopes: &[OsString],
    settings: &Settings,
    broker: &Broker<'_>,
) -> Result<Chosen> {
    discovery::issuer(issuer)?;
    let client = client.ok_or_else(|| {
        Error::usage("a login needs an OAuth client of the provider's, and none is named").hint(
            "register a native client there, with the redirect URI http://127.0.0.1/\n     \
                 put its id into a file: {\"installed\":{\"client_id\":\"…\"}}\n     \
                 gauth login --issuer URL --client-id-file FILE",
        )
    })?;
    let written: Vec<String> =
        scopes.iter().map(|text| settings::text("--scopes", text)).collect::<Result<_>>()?;
    let written = openid::scopes(&written)?;
    let description = discovery::ask(issuer, broker)?;
    let scopes = match scopes {
        [] => openid::usual_scopes(&description),
        _ => written,
    };
    let audience = settings.workload.as_ref().map(|workload| workload.value.audience.clone());
    let universe = settings.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE);
    let target = openid::Target::new(&description, audience, universe);
    let account = account(settings).map(|account| target.person(&account).to_owned());
    // OpenID Connect Core, 11: to be asked no more needs a yes of its own.
    let is_offline = scopes.iter().any(|scope| scope == "offline_access");
    Ok(Chosen {
        provider: description.provider(client.secret.is_some())?,
        client,
        makes: Makes::OpenId(Box::new(target)),
        scopes,
        prompt: is_offline.then_some("consent"),
        account,
    })
}
