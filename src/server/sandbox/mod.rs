//! An offline fake Google on loopback, part of the product: for trying gauth out, for scripts in CI, and for
//! gauth's own tests.
//!
//! It verifies what it is sent as strictly as Google does, and misbehaves on request. Everything in it is made
//! up at its start and gone at its end.

mod aws;
pub mod cast;
mod certificates;
pub mod environment;
pub mod faults;
mod folder;
mod gdch;
pub mod guest;
mod iam;
mod identity;
mod ledger;
mod metadata;
mod oauth;
mod openid;
pub mod outside;
mod reauth;
mod service;
mod signin;
mod sts;
mod subject;
mod token;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result, io_reason};
use crate::secret::Secret;
use crate::server::http::{Answer, Request};
use crate::server::metadata::{Account, Facts};
use crate::server::sandbox::cast::{Cast, GoogleKey};
use crate::server::sandbox::certificates::Certificates;
use crate::server::sandbox::environment::{Caller, First};
use crate::server::sandbox::faults::{Fault, Plan};
use crate::server::sandbox::folder::Folder;
use crate::server::sandbox::guest::Guest;
use crate::server::sandbox::ledger::{Door, Ledger, Login};
use crate::server::sandbox::reauth::Reauth;
use crate::server::sandbox::signin::{Desk, authorize, device};
use crate::server::tls::Tls;
use crate::server::{Handler, Manner, Server, Stop, lock};
use crate::token::CLOUD_PLATFORM;
use crate::world::clock::{Clock, System};
use crate::world::exec::Change;
use crate::world::listen;

/// A part of Google.
pub struct Route {
    /// As `--fault` and [`Running::count`] know it.
    pub name: &'static str,
    serves: fn(&str) -> bool,
    answer: fn(&State, &Request) -> Answer,
}

/// Everything that is answered, one line each.
pub const ROUTES: &[Route] = &[
    Route { name: "token", serves: |path| token::PATHS.contains(&path), answer: token::token },
    Route {
        name: "metadata",
        serves: |path| path == "/" || path.starts_with("/computeMetadata"),
        answer: metadata::answer,
    },
    Route {
        name: "tokeninfo",
        serves: |path| identity::TOKENINFO.contains(&path),
        answer: identity::tokeninfo,
    },
    Route {
        name: "userinfo",
        serves: |path| identity::USERINFO.contains(&path),
        answer: identity::userinfo,
    },
    Route {
        name: "certs",
        serves: |path| identity::CERTS.contains(&path),
        answer: identity::certs,
    },
    Route { name: "revoke", serves: |path| path == "/revoke", answer: token::revoke },
    Route {
        name: "authorize",
        serves: |path| authorize::PATHS.contains(&path),
        answer: authorize::google,
    },
    Route { name: "device-code", serves: |path| path == "/device/code", answer: device::code },
    Route { name: "device", serves: |path| path == device::PATH, answer: device::page },
    Route { name: "discovery", serves: |path| path == openid::DISCOVERY, answer: openid::googles },
    Route { name: "reauth", serves: reauth::serves, answer: reauth::answer },
    Route { name: "sts", serves: |path| path == "/v1/token", answer: sts::exchange },
    Route { name: "oauthtoken", serves: |path| path == "/v1/oauthtoken", answer: sts::oauth_token },
    Route { name: "introspect", serves: |path| path == "/v1/introspect", answer: sts::introspect },
    Route { name: "sts-revoke", serves: |path| path == "/v1/revoke", answer: sts::revoke },
    Route {
        name: "workforce-authorize",
        serves: |path| path == authorize::WORKFORCE_PATH,
        answer: authorize::workforce,
    },
    Route { name: "iam", serves: |path| path.starts_with(iam::ROOT), answer: iam::answer },
    Route { name: "aws", serves: |path| path.starts_with(aws::ROOT), answer: aws::answer },
    Route {
        name: "subject",
        serves: |path| subject::PATHS.contains(&path),
        answer: subject::answer,
    },
    Route {
        name: "oidc-discovery",
        serves: |path| path == "/oidc/.well-known/openid-configuration",
        answer: openid::outsides,
    },
    Route { name: "oidc-jwks", serves: |path| path == "/oidc/jwks", answer: openid::jwks },
    Route {
        name: "oidc-authorize",
        serves: |path| path == authorize::OUTSIDE_PATH,
        answer: authorize::outside,
    },
    Route { name: "oidc-token", serves: |path| path == "/oidc/token", answer: openid::token },
    Route { name: "oidc-revoke", serves: |path| path == "/oidc/revoke", answer: openid::revoke },
    Route {
        name: "oidc-device-code",
        serves: |path| path == "/oidc/device/code",
        answer: device::outside_code,
    },
    Route {
        name: "oidc-device",
        serves: |path| path == device::OUTSIDE_PATH,
        answer: device::outside_page,
    },
    Route { name: "api", serves: service::is_api, answer: service::api },
    Route { name: "service", serves: service::is_service, answer: service::service },
    Route { name: "gdch", serves: |path| path == gdch::PATH, answer: gdch::authenticate },
];

/// The log keeps this many of the latest requests.
const LOGGED: usize = 10_000;

/// How a sandbox is to be.
pub struct Options {
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
    pub guests: Vec<Guest>,
    /// What a program in the sandbox sees first.
    pub first: First,
    /// Where the folder is made.
    pub parent: PathBuf,
    /// The program that `gauth` is in the sandbox.
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            key: None,
            clock: Arc::new(System::new()),
            faults: Vec::new(),
            latency: Duration::ZERO,
            port: 0,
            guests: Vec::new(),
            first: First::ServiceAccount,
            parent: std::env::temp_dir(),
            program: None,
        }
    }
}

/// A request as the log keeps it.
#[derive(Debug, Clone)]
pub struct Logged {
    /// The route's name; `None` where nothing is served.
    pub route: Option<&'static str>,
    /// What came.
    pub request: Request,
}

#[derive(Default)]
struct Log {
    latest: VecDeque<Logged>,
    /// By route, `""` for none.
    counts: BTreeMap<&'static str, usize>,
}

/// Starts an offline Google.
pub struct Sandbox;

impl Sandbox {
    /// Makes the credentials, writes them into a folder of its own and serves from now on.
    ///
    /// # Errors
    /// When the folder cannot be made or the port is taken.
    pub fn start(options: Options) -> Result<Running> {
        let (plain, port) = listening(options.port)?;
        let (inside_tls, tls_port) = listening(0)?;
        let (state, tls) = State::new([port, tls_port], &options)?;
        let state = Arc::new(state);
        let folder = Folder::make(&options, &state)?;
        let stop = Arc::new(Stop::default());
        let (ours, pauses, latency) = (Arc::clone(&state), Arc::clone(&stop), options.latency);
        let handler: Arc<Handler> = Arc::new(move |request: &Request| {
            let answer = ours.answer(request);
            pauses.pause(latency);
            answer
        });
        let servers = [
            Server::start(plain, None, Manner::SERVICE, Arc::clone(&stop), Arc::clone(&handler))?,
            Server::start(inside_tls, Some(tls), Manner::SERVICE, stop, handler)?,
        ];
        Ok(Running { first: options.first, state, _servers: servers, folder })
    }
}

/// A listener on loopback, and its port.
fn listening(port: u16) -> Result<(TcpListener, u16)> {
    let listener = listen::loopback(IpAddr::V4(Ipv4Addr::LOCALHOST), port)?;
    let address = listener.local_addr().map_err(|error| Error::unexpected(io_reason(&error)))?;
    Ok((listener, address.port()))
}

/// A sandbox that serves; dropped, it stops and removes its folder.
pub struct Running {
    first: First,
    state: Arc<State>,
    // Dropped before the folder goes.
    _servers: [Server; 2],
    folder: Folder,
}

impl Running {
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
    pub fn cast(&self) -> &Cast {
        &self.state.cast
    }

    /// The variables of a program in the sandbox.
    ///
    /// # Errors
    /// When a path cannot be part of `PATH`.
    pub fn environment(&self, caller: &Caller) -> Result<Vec<Change<'static>>> {
        let place = environment::Place {
            url: self.url(),
            folder: self.folder.path(),
            client_secret: self.state.cast.client_secret.expose(),
        };
        environment::changes(&place, self.first, caller)
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Logged> {
        lock(&self.state.log).latest.iter().cloned().collect()
    }

    /// How many requests a route has had; `""`: those that nothing serves.
    pub fn count(&self, route: &str) -> usize {
        lock(&self.state.log).counts.get(route).copied().unwrap_or_default()
    }
}

/// What the routes share.
pub struct State {
    url: String,
    tls_url: String,
    ports: [u16; 2],
    clock: Arc<dyn Clock>,
    cast: Cast,
    guests: Vec<Guest>,
    google: GoogleKey,
    facts: Facts,
    accounts: Vec<Account>,
    certificates: Certificates,
    ledger: Mutex<Ledger>,
    /// What the outside provider has issued, of which Google knows nothing.
    outside_ledger: Mutex<Ledger>,
    desk: Mutex<Desk>,
    reauth: Mutex<Reauth>,
    /// Session tokens of the metadata server of AWS, and when they end.
    aws_sessions: Mutex<HashMap<String, i64>>,
    /// Routes that do their work in another way than usual, and that way.
    ways: Vec<(&'static str, &'static str)>,
    plan: Plan,
    log: Mutex<Log>,
}

impl State {
    fn new(ports: [u16; 2], options: &Options) -> Result<(State, Tls)> {
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let cast = Cast::new(options.key.as_ref(), &url, options.clock.unix())?;
        let (certificates, tls) = Certificates::make()?;
        let state = State {
            url,
            tls_url: format!("https://127.0.0.1:{}", ports[1]),
            ports,
            clock: Arc::clone(&options.clock),
            ledger: Mutex::new(logins(&cast, &options.guests)),
            cast,
            guests: options.guests.clone(),
            google: GoogleKey::new(options.key.clone()),
            facts: cast::facts(),
            accounts: cast::machine_accounts(),
            certificates,
            aws_sessions: Mutex::default(),
            outside_ledger: Mutex::default(),
            desk: Mutex::default(),
            reauth: Mutex::default(),
            ways: options.faults.iter().filter_map(Fault::way).collect(),
            plan: Plan::new(options.faults.clone()),
            log: Mutex::default(),
        };
        Ok((state, tls))
    }

    /// The time, in Unix seconds.
    fn now(&self) -> i64 {
        self.clock.unix()
    }

    fn answer(&self, request: &Request) -> Answer {
        let route = ROUTES.iter().find(|route| (route.serves)(&request.path));
        self.note(route.map(|route| route.name), request);
        let answer = match route {
            Some(route) => {
                let usual = || (route.answer)(self, request);
                let spares_rapt = || token::needs_no_rapt(self, route.name, request);
                self.plan.apply(route.name, request, self.now(), spares_rapt, usual)
            }
            None => Answer::text(404, "the sandbox has no such path\n"),
        };
        match self.date() {
            Some(date) => answer.header("Date", date),
            None => answer,
        }
    }

    fn note(&self, route: Option<&'static str>, request: &Request) {
        let mut log = lock(&self.log);
        *log.counts.entry(route.unwrap_or_default()).or_default() += 1;
        if log.latest.len() == LOGGED {
            log.latest.pop_front();
        }
        log.latest.push_back(Logged { route, request: request.clone() });
    }

    /// The time as the sandbox has it: clients compare it with theirs.
    fn date(&self) -> Option<String> {
        let now = jiff::Timestamp::from_second(self.clock.unix()).ok()?;
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()
    }

    /// The book in which this door writes.
    fn book(&self, door: Door) -> &Mutex<Ledger> {
        match door {
            Door::Accounts | Door::Sts => &self.ledger,
            Door::Outside => &self.outside_ledger,
        }
    }

    /// Whether a route is to work in this way, which is not the usual one.
    fn has_way(&self, route: &str, way: &str) -> bool {
        self.ways.contains(&(route, way))
    }

    /// Whether a URL is the sandbox's own, with one of these paths.
    fn is_own_url(&self, url: &str, paths: &[&str]) -> bool {
        let [plain, tls] = self.ports;
        let origins = [
            self.url.clone(),
            self.tls_url.clone(),
            format!("http://localhost:{plain}"),
            format!("https://localhost:{tls}"),
        ];
        origins.iter().any(|origin| {
            url.strip_prefix(origin.as_str()).is_some_and(|path| paths.contains(&path))
        })
    }
}

/// The logins there are at the start.
fn logins(cast: &Cast, guests: &[Guest]) -> Ledger {
    let mut ledger = Ledger::default();
    let person = Login {
        door: Door::Accounts,
        account: cast::USER.to_owned(),
        client: cast::CLIENT_ID.to_owned(),
        scopes: cast::GRANTED.map(str::to_owned).to_vec(),
        family: ledger.new_family(),
        replaced: false,
    };
    let workforce = Login {
        door: Door::Sts,
        account: sts::workforce_principal(cast::USER),
        scopes: vec![CLOUD_PLATFORM.to_owned()],
        family: ledger.new_family(),
        ..person.clone()
    };
    for guest in guests {
        let family = ledger.new_family();
        match guest {
            Guest::User { account, client_id, refresh_token, .. } => {
                let account = account.clone().unwrap_or_else(|| person.account.clone());
                let client = client_id.clone();
                let guest = Login { account, client, family, ..person.clone() };
                ledger.enter(refresh_token.expose(), guest);
            }
            Guest::WorkforceUser { client_id, refresh_token, .. } => {
                let guest = Login { client: client_id.clone(), family, ..workforce.clone() };
                ledger.enter(refresh_token.expose(), guest);
            }
            Guest::ServiceAccount { .. } => {}
        }
    }
    ledger.enter(cast.refresh_token.expose(), person);
    ledger.enter(cast.workforce_refresh_token.expose(), workforce);
    ledger
}

/// A moment as Google's JSON has it.
fn rfc3339(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).map(|moment| moment.to_string()).unwrap_or_default()
}

/// A value as a shell reads it back: in single quotes.
pub fn shell_quoted(value: &OsString) -> String {
    format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"))
}
