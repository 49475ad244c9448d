//! Chooses the authorization server (Google, a workforce pool, or another OpenID provider) and the OAuth client.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use gauth_core::accounts::secrets::external;
use gauth_core::config::Config;
use gauth_core::discovery::secret_stores;
use gauth_core::error::{Error, Result};
use gauth_core::gcloud::properties::GcloudProperties;
use gauth_core::login::client::{OAuthClient, PreviousLogin};
use gauth_core::login::provider::LoginProvider;
use gauth_core::login::workforce::WorkforceLoginConfig;
use gauth_core::login::{LoginKind, discovery, openid, workforce};
use gauth_core::net::endpoint_policy::DEFAULT_UNIVERSE;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_core::text::{printable, scopes};
use gauth_core::tokens::broker::Broker;
use gauth_core::world::{World, env};
use gauth_core::{accounts, config};

/// Flags about identity providers other than Google.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Other identity providers")]
pub(super) struct ProviderFlags {
    /// sign in at this OpenID provider
    ///
    /// Signs in at the OpenID provider with this issuer URL instead of Google.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, conflicts_with = "login_config")]
    issuer: Option<OsString>,
    /// exchange its ID tokens at this provider
    ///
    /// Exchanges the ID tokens of `--issuer` for Google access tokens at this workload or workforce identity
    /// provider, given by its full name.
    #[arg(long, value_name = "NAME", requires = "issuer")]
    pub(super) workload_identity_provider: Option<OsString>,
    /// sign in through a workforce pool
    ///
    /// Signs in through the workforce identity pool in this file, which `gcloud iam workforce-pools
    /// create-login-config` writes. The property auth/login_config_file of gcloud sets the same.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    login_config: Option<OsString>,
}

/// The authorization server with the client and the defaults for it.
pub(super) struct ProviderChoice {
    pub(super) provider: LoginProvider,
    pub(super) client: OAuthClient,
    pub(super) kind: LoginKind,
    pub(super) scopes: Vec<String>,
    /// The default of `--prompt`.
    pub(super) prompt: Option<&'static str>,
    /// The requested account, by its name at the server.
    pub(super) account: Option<String>,
}

impl ProviderFlags {
    /// Chooses from flags and configuration. For another OpenID provider it requests the provider metadata.
    ///
    /// # Errors
    /// Usage, malformed or unsafe, naming flag, variable or file; and those of the metadata request.
    pub(super) fn resolve(
        &self,
        client_file: Option<&OsString>,
        scopes: &[OsString],
        settings: &Config,
        broker: &Broker<'_>,
    ) -> Result<ProviderChoice> {
        let world = broker.world;
        let client = read_client(client_file, settings)?;
        if let Some(issuer) = &self.issuer {
            let issuer = config::flag_text("--issuer", issuer)?;
            return openid_login(&issuer, client, scopes, settings, broker);
        }
        let properties = GcloudProperties::open(world.folders.gcloud.as_deref(), &world.env);
        let flag = self.login_config.clone().map(|file| (file, "--login-config".to_owned()));
        let config = match flag {
            Some(named) => Some(named),
            None => {
                workforce::gcloud_login_config_file(&properties)?.map(|(file, origin)| (OsString::from(file), origin))
            }
        };
        if let Some((file, origin)) = config {
            let config = WorkforceLoginConfig::read(&PathBuf::from(file), &origin, settings)?;
            return workforce_login(config, client, &properties, settings);
        }
        let previous = previous_login(settings, world)?;
        let client = client.or(previous.client).ok_or_else(OAuthClient::missing_error)?;
        google_login(client, &previous.scopes, settings, world)
    }
}

/// The client of the flag, the variable or the setting.
fn read_client(flag: Option<&OsString>, settings: &Config) -> Result<Option<OAuthClient>> {
    let flag = flag.map(|file| (Path::new(file), "--client-id-file"));
    let named = settings.client_id_file.as_ref();
    let named = named.map(|chosen| (chosen.value.as_path(), chosen.origin.as_str()));
    flag.or(named).map(|(file, origin)| OAuthClient::read(file, origin)).transpose()
}

/// The parts that are taken over from the stored login of the requested account, or only the client from that of the
/// active account, which may be of another user.
fn previous_login(settings: &Config, world: &World) -> Result<PreviousLogin> {
    let named = requested_account(settings);
    let Some(name) = named.clone().map_or_else(|| accounts::active_account(world), |name| Ok(Some(name)))? else {
        return Ok(PreviousLogin::default());
    };
    let stored = accounts::load(&name, world)?;
    let previous = stored.map(|(path, bytes)| {
        let location = printable::path(&path);
        match accounts::resolve_secrets(&path, &name, &bytes, &secret_stores(settings, world)) {
            Ok(login) => PreviousLogin::parse(&external::to_json_line(&login), &location),
            // Without the secret from the store, the client cannot be used again.
            Err(_) => PreviousLogin { client: None, ..PreviousLogin::parse(&bytes, &location) },
        }
    });
    let mut previous = previous.unwrap_or_default();
    if named.is_none() {
        previous.scopes.clear();
    }
    Ok(previous)
}

/// The account that a flag or a variable requests. The account of a profile does not count, because the login may change
/// it.
pub(super) fn requested_account(settings: &Config) -> Option<String> {
    let account = settings.account.as_ref()?;
    let named = ["--account", env::GAUTH_ACCOUNT.name].contains(&account.origin.as_str());
    named.then(|| account.value.clone())
}

/// A login at Google. `previous_scopes` are those of the stored login of the same account.
fn google_login(
    client: OAuthClient,
    previous_scopes: &[String],
    settings: &Config,
    world: &World,
) -> Result<ProviderChoice> {
    let requested = Some(settings.access_token_request.scopes.as_slice()).filter(|chosen| !chosen.is_empty());
    let mut scopes = match requested.unwrap_or(previous_scopes) {
        [] => vec![CLOUD_PLATFORM_SCOPE.to_owned()],
        chosen => chosen.to_vec(),
    };
    // The e-mail address is needed to name the login.
    for needed in ["email", "openid"] {
        if !scopes.iter().any(|scope| scopes::is_same_scope(scope, needed)) {
            scopes.push(needed.to_owned());
        }
    }
    Ok(ProviderChoice {
        provider: LoginProvider::google(&client, settings, world)?,
        client,
        kind: LoginKind::User,
        scopes,
        // Otherwise Google gives a refresh token for the first consent only.
        prompt: Some("consent"),
        account: requested_account(settings),
    })
}

fn workforce_login(
    config: WorkforceLoginConfig,
    client: Option<OAuthClient>,
    properties: &GcloudProperties,
    settings: &Config,
) -> Result<ProviderChoice> {
    let client = match client {
        Some(client) => client,
        None => workforce::gcloud_client(properties)?.ok_or_else(workforce::missing_client_error)?,
    };
    let scopes = match settings.access_token_request.scopes.as_slice() {
        [] => scopes::expand_scopes(["cloud-platform"]),
        chosen => chosen.to_vec(),
    };
    Ok(ProviderChoice {
        provider: config.login_provider(),
        client: workforce::with_secret_or_empty(client),
        kind: LoginKind::Workforce(Box::new(config)),
        scopes,
        prompt: None,
        account: requested_account(settings),
    })
}

fn openid_login(
    issuer: &str,
    client: Option<OAuthClient>,
    scopes: &[OsString],
    settings: &Config,
    broker: &Broker<'_>,
) -> Result<ProviderChoice> {
    discovery::parse_issuer(issuer)?;
    let client = client.ok_or_else(|| {
        Error::usage("a login at another provider needs an OAuth client of that provider").hint(
            "register a native client there, with the redirect URI http://127.0.0.1/\n     \
                 put its id into a file: {\"installed\":{\"client_id\":\"…\"}}\n     \
                 gauth login --issuer URL --client-id-file FILE",
        )
    })?;
    let written: Vec<String> = scopes.iter().map(|text| config::flag_text("--scopes", text)).collect::<Result<_>>()?;
    let written = openid::parse_scopes(&written)?;
    let metadata = discovery::fetch(issuer, broker)?;
    let scopes = match scopes {
        [] => openid::default_scopes(&metadata),
        _ => written,
    };
    let audience = settings.workload_identity.as_ref().map(|workload| workload.value.audience.clone());
    let universe = settings.universe_domain.as_deref().unwrap_or(DEFAULT_UNIVERSE);
    let login_config = openid::OpenIdLoginConfig::new(&metadata, audience, universe);
    let account = requested_account(settings).map(|account| login_config.strip_namespace(&account).to_owned());
    // OpenID Connect Core, 11: `offline_access` requires consent.
    let is_offline = scopes.iter().any(|scope| scope == "offline_access");
    Ok(ProviderChoice {
        provider: metadata.login_provider(client.secret.is_some())?,
        client,
        kind: LoginKind::OpenId(Box::new(login_config)),
        scopes,
        prompt: is_offline.then_some("consent"),
        account,
    })
}
