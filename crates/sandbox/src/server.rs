//! Starting and stopping a sandbox.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dispatch::Dispatcher;
use crate::environment::{DefaultCredential, HostEnvironment};
use crate::faults::{Fault, FaultSchedule};
use crate::fixtures::Fixtures;
use crate::folder::SandboxFolder;
use crate::options::SandboxOptions;
use crate::request_log::{LoggedRequest, RequestLog};
use crate::state::SandboxState;
use crate::{environment, file_names};
use gauth_core::error::{Error, Result, io_reason};
use gauth_core::http::server::http::ServerRequest;
use gauth_core::http::server::{ConnectionPolicy, LoopbackServer, RequestHandler, StopSignal};
use gauth_core::world::exec::EnvChange;
use gauth_core::world::listen;

/// An offline Google, which [`Sandbox::start`] starts.
pub struct Sandbox;

impl Sandbox {
    /// Generates the credentials, writes them into a new folder, and starts to serve.
    ///
    /// # Errors
    /// When the folder cannot be created, or the port is in use.
    pub fn start(options: SandboxOptions) -> Result<RunningSandbox> {
        let (http_listener, port) = bind_loopback(options.port)?;
        let (https_listener, tls_port) = bind_loopback(0)?;
        let behaviours = options.faults.iter().filter_map(Fault::route_behaviour).collect();
        let (state, tls) =
            SandboxState::new([port, tls_port], options.key.as_ref(), options.clock, options.admitted, behaviours)?;
        let folder = SandboxFolder::create(
            &options.parent_folder,
            options.default_credential,
            options.gauth_program.as_deref(),
            &state,
        )?;
        let dispatcher = Arc::new(Dispatcher {
            state,
            fault_schedule: FaultSchedule::new(options.faults),
            request_log: RequestLog::default(),
        });
        let stop = Arc::new(StopSignal::default());
        let (handler_dispatcher, handler_stop, latency) = (Arc::clone(&dispatcher), Arc::clone(&stop), options.latency);
        let handler: Arc<RequestHandler> = Arc::new(move |request: &ServerRequest| {
            let answer = handler_dispatcher.handle(request);
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
            LoopbackServer::start(https_listener, Some(tls), ConnectionPolicy::SERVICE, stop, handler)?,
        ];
        Ok(RunningSandbox { default_credential: options.default_credential, dispatcher, _servers: servers, folder })
    }
}

/// A listener on loopback, and its port.
fn bind_loopback(port: u16) -> Result<(TcpListener, u16)> {
    let listener = listen::bind_loopback(IpAddr::V4(Ipv4Addr::LOCALHOST), port)?;
    let address = listener.local_addr().map_err(|error| Error::unexpected(io_reason(&error)))?;
    Ok((listener, address.port()))
}

/// A sandbox that serves until it is dropped, which also removes its folder.
pub struct RunningSandbox {
    default_credential: DefaultCredential,
    dispatcher: Arc<Dispatcher>,
    // Dropped before the folder, so that no request is served without it.
    _servers: [LoopbackServer; 2],
    folder: SandboxFolder,
}

impl RunningSandbox {
    /// The sandbox's URL, `http://127.0.0.1:PORT`, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.dispatcher.state.url
    }

    /// The URL that serves the same by TLS, `https://127.0.0.1:PORT`, for clients that trust `ca.pem` of the folder.
    pub fn tls_url(&self) -> &str {
        &self.dispatcher.state.tls_url
    }

    /// The folder with the credential files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The key file of the service account.
    pub fn service_account_file(&self) -> PathBuf {
        self.folder.path().join(file_names::SERVICE_ACCOUNT_FILE)
    }

    /// The user's login, as `gcloud auth application-default login` writes it, but with a `token_uri`.
    pub fn authorized_user_file(&self) -> PathBuf {
        self.folder.path().join(file_names::AUTHORIZED_USER_FILE)
    }

    /// A file in the folder, such as `external_account_file.json`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The accounts, clients and secrets of the sandbox.
    pub fn fixtures(&self) -> &Fixtures {
        &self.dispatcher.state.fixtures
    }

    /// The environment variables of a program in the sandbox.
    ///
    /// # Errors
    /// When the path of the folder cannot be part of `PATH`.
    pub fn environment(&self, host: &HostEnvironment) -> Result<Vec<EnvChange<'static>>> {
        let location = environment::SandboxLocation {
            url: self.url(),
            folder: self.folder.path(),
            client_secret: &self.dispatcher.state.fixtures.client_secret,
        };
        environment::environment_changes(&location, self.default_credential, host)
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.dispatcher.request_log.requests()
    }

    /// How many requests a route has received; the empty name counts those that no route serves.
    pub fn request_count(&self, route: &str) -> usize {
        self.dispatcher.request_log.count(route)
    }
}
