//! An offline fake Google on loopback, part of the product: for trying gauth out, for scripts in CI, and for
//! gauth's own tests.
//!
//! It verifies what it is sent as strictly as Google does, and misbehaves on request. Everything in it is made
//! up at its start and gone at its end.

pub mod admitted;
mod aws;
mod certificates;
pub mod environment;
pub mod external_identities;
pub mod faults;
pub mod fixtures;
mod folder;
mod gdch;
mod iam;
mod identity;
mod metadata;
pub mod metadata_protocol;
mod oauth;
mod openid;
mod reauth;
mod service;
mod signin;
mod sts;
mod subject;
mod token;
mod token_store;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::admitted::AdmittedCredential;
use crate::certificates::SandboxCertificates;
use crate::environment::{DefaultCredential, HostEnvironment};
use crate::faults::{Fault, FaultSchedule};
use crate::fixtures::{Fixtures, GoogleSigningKey};
use crate::folder::SandboxFolder;
use crate::metadata_protocol::{AttachedServiceAccount, InstanceInfo};
use crate::reauth::ReauthState;
use crate::signin::{PendingAuthorizations, authorize, device};
use crate::token_store::{Issuer, RefreshTokenRecord, TokenStore};
use gauth_core::error::{Error, Result, io_reason};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::tls::ServerTls;
use gauth_core::http::server::{
    ConnectionPolicy, LoopbackServer, RequestHandler, StopSignal, lock_ignoring_poison,
};
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_core::text::secret::Secret;
use gauth_core::world::clock::{Clock, SystemClock};
use gauth_core::world::exec::EnvChange;
use gauth_core::world::listen;

/// A part of Google.
pub struct Route {
    /// As `--fault` and [`Running::count`] know it.
    pub name: &'static str,
    matches: fn(&str) -> bool,
    handler: fn(&SandboxState, &ServerRequest) -> ServerResponse,
}

/// Everything that is answered, one line each.
pub const ROUTES: &[Route] = &[
    Route { name: "token", matches: |path| token::PATHS.contains(&path), handler: token::handle },
    Route {
        name: "metadata",
        matches: |path| path == "/" || path.starts_with("/computeMetadata"),
        handler: metadata::handle,
    },
    Route {
        name: "tokeninfo",
        matches: |path| identity::TOKENINFO_PATHS.contains(&path),
        handler: identity::tokeninfo,
    },
    Route {
        name: "userinfo",
        matches: |path| identity::USERINFO_PATHS.contains(&path),
        handler: identity::userinfo,
    },
    Route {
        name: "certs",
        matches: |path| identity::CERTS_PATHS.contains(&path),
        handler: identity::certs,
    },
    Route { name: "revoke", matches: |path| path == "/revoke", handler: token::revoke },
    Route {
        name: "authorize",
        matches: |path| authorize::GOOGLE_PATHS.contains(&path),
        handler: authorize::handle_google,
    },
    Route {
        name: "device-code",
        matches: |path| path == "/device/code",
        handler: device::handle_device_code,
    },
    Route {
        name: "device",
        matches: |path| path == device::VERIFICATION_PATH,
        handler: device::handle_verification,
    },
    Route {
        name: "discovery",
        matches: |path| path == openid::DISCOVERY_PATH,
        handler: openid::google_discovery,
    },
    Route { name: "reauth", matches: reauth::is_reauth_path, handler: reauth::handle },
    Route { name: "sts", matches: |path| path == "/v1/token", handler: sts::handle_exchange },
    Route {
        name: "oauthtoken",
        matches: |path| path == "/v1/oauthtoken",
        handler: sts::handle_token,
    },
    Route {
        name: "introspect",
        matches: |path| path == "/v1/introspect",
        handler: sts::introspect,
    },
    Route { name: "sts-revoke", matches: |path| path == "/v1/revoke", handler: sts::revoke },
    Route {
        name: "workforce-authorize",
        matches: |path| path == authorize::WORKFORCE_PATH,
        handler: authorize::handle_workforce,
    },
    Route { name: "iam", matches: |path| path.starts_with(iam::PATH_PREFIX), handler: iam::handle },
    Route { name: "aws", matches: |path| path.starts_with(aws::PATH_PREFIX), handler: aws::handle },
    Route {
        name: "subject",
        matches: |path| subject::PATHS.contains(&path),
        handler: subject::handle,
    },
    Route {
        name: "oidc-discovery",
        matches: |path| path == "/oidc/.well-known/openid-configuration",
        handler: openid::external_discovery,
    },
    Route { name: "oidc-jwks", matches: |path| path == "/oidc/jwks", handler: openid::jwks },
    Route {
        name: "oidc-authorize",
        matches: |path| path == authorize::EXTERNAL_PATH,
        handler: authorize::handle_external,
    },
    Route {
        name: "oidc-token",
        matches: |path| path == "/oidc/token",
        handler: openid::handle_token,
    },
    Route { name: "oidc-revoke", matches: |path| path == "/oidc/revoke", handler: openid::revoke },
    Route {
        name: "oidc-device-code",
        matches: |path| path == "/oidc/device/code",
        handler: device::handle_external_device_code,
    },
    Route {
        name: "oidc-device",
        matches: |path| path == device::EXTERNAL_VERIFICATION_PATH,
        handler: device::handle_external_verification,
    },
    Route { name: "api", matches: service::is_api_path, handler: service::handle_api },
    Route { name: "service", matches: service::is_service_path, handler: service::handle_service },
    Route { name: "gdch", matches: |path| path == gdch::AUTHENTICATE_PATH, handler: gdch::handle },
];

/// The log keeps this many of the latest requests.
const MAX_LOGGED_REQUESTS: usize = 10_000;

/// How a sandbox is to be.
pub struct SandboxOptions {
    /// The key of the service account and of Google as PEM; without it both are made, which takes a moment.
    pub key: Option<Secret>,
    /// The clock that judges assertions and tokens.
    pub clock: Arc<dyn Clock>,
    /// Misbehaviour.
    pub faults: Vec<Fault>,
    /// Every answer is this late.
    pub latency: Duration,
    /// 0: a free one.
    pub port: u16,
    /// Credentials of the caller's own that are let in.
    pub admitted: Vec<AdmittedCredential>,
    /// What a program in the sandbox sees first.
    pub default_credential: DefaultCredential,
    /// Where the folder is made.
    pub parent_folder: PathBuf,
    /// The program that `gauth` is in the sandbox.
    pub gauth_program: Option<PathBuf>,
}

impl Default for SandboxOptions {
    fn default() -> SandboxOptions {
        SandboxOptions {
            key: None,
            clock: Arc::new(SystemClock::new()),
            faults: Vec::new(),
            latency: Duration::ZERO,
            port: 0,
            admitted: Vec::new(),
            default_credential: DefaultCredential::ServiceAccount,
            parent_folder: std::env::temp_dir(),
            gauth_program: None,
        }
    }
}

/// A request as the log keeps it.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// The route's name; `None` where nothing is served.
    pub route: Option<&'static str>,
    /// What came.
    pub request: ServerRequest,
}

#[derive(Default)]
struct RequestLog {
    latest: VecDeque<LoggedRequest>,
    /// By route, `""` for none.
    counts_by_route: BTreeMap<&'static str, usize>,
}

/// Starts an offline Google.
pub struct Sandbox;

impl Sandbox {
    /// Makes the credentials, writes them into a folder of its own and serves from now on.
    ///
    /// # Errors
    /// When the folder cannot be made or the port is taken.
    pub fn start(options: SandboxOptions) -> Result<RunningSandbox> {
        let (http_listener, port) = bind_loopback(options.port)?;
        let (https_listener, tls_port) = bind_loopback(0)?;
        let (state, tls) = SandboxState::new([port, tls_port], &options)?;
        let state = Arc::new(state);
        let folder = SandboxFolder::create(&options, &state)?;
        let stop = Arc::new(StopSignal::default());
        let (handler_state, handler_stop, latency) =
            (Arc::clone(&state), Arc::clone(&stop), options.latency);
        let handler: Arc<RequestHandler> = Arc::new(move |request: &ServerRequest| {
            let answer = handler_state.handle(request);
            handler_stop.wait(latency);
            answer
        });
        let servers = [
            LoopbackServer::start(
                http_listener,
                None,
                ConnectionPolicy::SERVICE,
                Arc::clone(&stop),
                Arc::clone(&handler),
            )?,
            LoopbackServer::start(
                https_listener,
                Some(tls),
                ConnectionPolicy::SERVICE,
                stop,
                handler,
            )?,
        ];
        Ok(RunningSandbox {
            default_credential: options.default_credential,
            state,
            _servers: servers,
            folder,
        })
    }
}

/// A listener on loopback, and its port.
fn bind_loopback(port: u16) -> Result<(TcpListener, u16)> {
    let listener = listen::bind_loopback(IpAddr::V4(Ipv4Addr::LOCALHOST), port)?;
    let address = listener.local_addr().map_err(|error| Error::unexpected(io_reason(&error)))?;
    Ok((listener, address.port()))
}

/// A sandbox that serves; dropped, it stops and removes its folder.
pub struct RunningSandbox {
    default_credential: DefaultCredential,
    state: Arc<SandboxState>,
    // Dropped before the folder goes.
    _servers: [LoopbackServer; 2],
    folder: SandboxFolder,
}

impl RunningSandbox {
    /// `http://127.0.0.1:PORT`, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// `https://127.0.0.1:PORT`, where the same is served to those who trust `ca.pem` of the folder.
    pub fn tls_url(&self) -> &str {
        &self.state.tls_url
    }

    /// The folder with the credentials.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The key file of the service account.
    pub fn service_account_file(&self) -> PathBuf {
        self.folder.path().join(folder::SERVICE_ACCOUNT_FILE)
    }

    /// The login of the person, as `gcloud auth application-default login` writes it, with a `token_uri`.
    pub fn authorized_user_file(&self) -> PathBuf {
        self.folder.path().join(folder::AUTHORIZED_USER_FILE)
    }

    /// A file of the folder, such as `external_account_file.json`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is known of those who have secrets.
    pub fn fixtures(&self) -> &Fixtures {
        &self.state.fixtures
    }

    /// The variables of a program in the sandbox.
    ///
    /// # Errors
    /// When a path cannot be part of `PATH`.
    pub fn environment(&self, host: &HostEnvironment) -> Result<Vec<EnvChange<'static>>> {
        let location = environment::SandboxLocation {
            url: self.url(),
            folder: self.folder.path(),
            client_secret: self.state.fixtures.client_secret.expose(),
        };
        environment::environment_changes(&location, self.default_credential, host)
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock_ignoring_poison(&self.state.request_log).latest.iter().cloned().collect()
    }

    /// How many requests a route has had; `""`: those that nothing serves.
    pub fn request_count(&self, route: &str) -> usize {
        lock_ignoring_poison(&self.state.request_log)
            .counts_by_route
            .get(route)
            .copied()
            .unwrap_or_default()
    }
}

/// What the routes share.
pub struct SandboxState {
    url: String,
    tls_url: String,
    ports: [u16; 2],
    clock: Arc<dyn Clock>,
    fixtures: Fixtures,
    admitted: Vec<AdmittedCredential>,
    google_signing_key: GoogleSigningKey,
    machine_info: InstanceInfo,
    machine_accounts: Vec<AttachedServiceAccount>,
    certificates: SandboxCertificates,
    token_store: Mutex<TokenStore>,
    /// What the outside provider has issued, of which Google knows nothing.
    external_token_store: Mutex<TokenStore>,
    pending_authorizations: Mutex<PendingAuthorizations>,
    reauth: Mutex<ReauthState>,
    /// Session tokens of the metadata server of AWS, and when they end.
    aws_sessions: Mutex<HashMap<String, i64>>,
    /// Routes that do their work in another way than usual, and that way.
    behaviours: Vec<(&'static str, &'static str)>,
    fault_schedule: FaultSchedule,
    request_log: Mutex<RequestLog>,
}

impl SandboxState {
    fn new(ports: [u16; 2], options: &SandboxOptions) -> Result<(SandboxState, ServerTls)> {
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let fixtures = Fixtures::new(options.key.as_ref(), &url, options.clock.unix_seconds())?;
        let (certificates, tls) = SandboxCertificates::generate()?;
        let state = SandboxState {
            url,
            tls_url: format!("https://127.0.0.1:{}", ports[1]),
            ports,
            clock: Arc::clone(&options.clock),
            token_store: Mutex::new(seed_token_store(&fixtures, &options.admitted)),
            fixtures,
            admitted: options.admitted.clone(),
            google_signing_key: GoogleSigningKey::new(options.key.clone()),
            machine_info: fixtures::machine_info(),
            machine_accounts: fixtures::machine_accounts(),
            certificates,
            aws_sessions: Mutex::default(),
            external_token_store: Mutex::default(),
            pending_authorizations: Mutex::default(),
            reauth: Mutex::default(),
            behaviours: options.faults.iter().filter_map(Fault::route_behaviour).collect(),
            fault_schedule: FaultSchedule::new(options.faults.clone()),
            request_log: Mutex::default(),
        };
        Ok((state, tls))
    }

    /// The time, in Unix seconds.
    fn now(&self) -> i64 {
        self.clock.unix_seconds()
    }

    fn handle(&self, request: &ServerRequest) -> ServerResponse {
        let route = ROUTES.iter().find(|route| (route.matches)(&request.path));
        self.log_request(route.map(|route| route.name), request);
        let answer = match route {
            Some(route) => {
                let normal_response = || (route.handler)(self, request);
                let is_rapt_exempt = || token::is_rapt_exempt(self, route.name, request);
                self.fault_schedule.apply(
                    route.name,
                    request,
                    self.now(),
                    is_rapt_exempt,
                    normal_response,
                )
            }
            None => ServerResponse::text(404, "the sandbox has no such path\n"),
        };
        match self.date() {
            Some(date) => answer.header("Date", date),
            None => answer,
        }
    }

    fn log_request(&self, route: Option<&'static str>, request: &ServerRequest) {
        let mut log = lock_ignoring_poison(&self.request_log);
        *log.counts_by_route.entry(route.unwrap_or_default()).or_default() += 1;
        if log.latest.len() == MAX_LOGGED_REQUESTS {
            log.latest.pop_front();
        }
        log.latest.push_back(LoggedRequest { route, request: request.clone() });
    }

    /// The time as the sandbox has it: clients compare it with theirs.
    fn date(&self) -> Option<String> {
        let now = jiff::Timestamp::from_second(self.clock.unix_seconds()).ok()?;
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()
    }

    /// The book in which this door writes.
    fn token_store_for(&self, issuer: Issuer) -> &Mutex<TokenStore> {
        match issuer {
            Issuer::Google | Issuer::Workforce => &self.token_store,
            Issuer::External => &self.external_token_store,
        }
    }

    /// Whether a route is to work in this way, which is not the usual one.
    fn has_behaviour(&self, route: &str, behaviour: &str) -> bool {
        self.behaviours.contains(&(route, behaviour))
    }

    /// Whether a URL is the sandbox's own, with one of these paths.
    fn is_own_url(&self, url: &str, paths: &[&str]) -> bool {
        let [http_port, https_port] = self.ports;
        let origins = [
            self.url.clone(),
            self.tls_url.clone(),
            format!("http://localhost:{http_port}"),
            format!("https://localhost:{https_port}"),
        ];
        origins.iter().any(|origin| {
            url.strip_prefix(origin.as_str()).is_some_and(|path| paths.contains(&path))
        })
    }
}

/// The logins there are at the start.
fn seed_token_store(fixtures: &Fixtures, admitted: &[AdmittedCredential]) -> TokenStore {
    let mut token_store = TokenStore::default();
    let user = RefreshTokenRecord {
        issuer: Issuer::Google,
        account: fixtures::USER.to_owned(),
        client_id: fixtures::CLIENT_ID.to_owned(),
        scopes: fixtures::GRANTED_SCOPES.map(str::to_owned).to_vec(),
        family: token_store.new_family(),
        is_rotated: false,
    };
    let workforce_user = RefreshTokenRecord {
        issuer: Issuer::Workforce,
        account: sts::workforce_principal(fixtures::USER),
        scopes: vec![CLOUD_PLATFORM_SCOPE.to_owned()],
        family: token_store.new_family(),
        ..user.clone()
    };
    for credential in admitted {
        let family = token_store.new_family();
        match credential {
            AdmittedCredential::User { account, client_id, refresh_token, .. } => {
                let account = account.clone().unwrap_or_else(|| user.account.clone());
                let client = client_id.clone();
                let record =
                    RefreshTokenRecord { account, client_id: client, family, ..user.clone() };
                token_store.insert_refresh_token(refresh_token.expose(), record);
            }
            AdmittedCredential::WorkforceUser { client_id, refresh_token, .. } => {
                let record = RefreshTokenRecord {
                    client_id: client_id.clone(),
                    family,
                    ..workforce_user.clone()
                };
                token_store.insert_refresh_token(refresh_token.expose(), record);
            }
            AdmittedCredential::ServiceAccount { .. } => {}
        }
    }
    token_store.insert_refresh_token(fixtures.refresh_token.expose(), user);
    token_store.insert_refresh_token(fixtures.workforce_refresh_token.expose(), workforce_user);
    token_store
}

/// A moment as Google's JSON has it.
fn rfc3339(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map(|moment| moment.to_string()).unwrap_or_default()
}

/// A value as a shell reads it back: in single quotes.
pub fn shell_quoted(value: &OsString) -> String {
    format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"))
}
