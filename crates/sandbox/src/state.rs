//! The state that all routes share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::admitted::AdmittedCredential;
use crate::certificates::SandboxCertificates;
use crate::fixtures;
use crate::fixtures::{CLOUD_PLATFORM_SCOPE, Fixtures};
use crate::identity_pool::workforce_principal;
use crate::keys::GoogleSigningKey;
use crate::metadata_protocol::{AttachedServiceAccount, InstanceInfo};
use crate::pending_authorizations::PendingAuthorizations;
use crate::reauth_state::ReauthState;
use crate::token_store::{Issuer, RefreshTokenRecord, TokenStore};
use gauth_core::error::Result;
use gauth_core::http::server::tls::ServerTls;
use gauth_core::text::secret::Secret;
use gauth_core::world::clock::Clock;

/// The state that all routes share.
pub(crate) struct SandboxState {
    pub(crate) url: String,
    pub(crate) tls_url: String,
    pub(crate) ports: [u16; 2],
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fixtures: Fixtures,
    pub(crate) admitted: Vec<AdmittedCredential>,
    pub(crate) google_signing_key: GoogleSigningKey,
    pub(crate) machine_info: InstanceInfo,
    pub(crate) machine_accounts: Vec<AttachedServiceAccount>,
    pub(crate) certificates: SandboxCertificates,
    pub(crate) token_store: Mutex<TokenStore>,
    /// The tokens of the external provider, which Google's endpoints do not know.
    pub(crate) external_token_store: Mutex<TokenStore>,
    pub(crate) pending_authorizations: Mutex<PendingAuthorizations>,
    pub(crate) reauth: Mutex<ReauthState>,
    /// The session tokens of the AWS instance metadata service, and when they expire.
    pub(crate) aws_sessions: Mutex<HashMap<String, i64>>,
    /// The routes whose behaviour a fault changes, with the name of that behaviour.
    pub(crate) behaviours: Vec<(&'static str, &'static str)>,
}

impl SandboxState {
    /// Generates the keys, accounts and certificates; `key` is used for both RSA keys where it is given.
    pub(crate) fn new(
        ports: [u16; 2],
        key: Option<&Secret>,
        clock: Arc<dyn Clock>,
        admitted: Vec<AdmittedCredential>,
        behaviours: Vec<(&'static str, &'static str)>,
    ) -> Result<(SandboxState, ServerTls)> {
        let url = format!("http://127.0.0.1:{}", ports[0]);
        let fixtures = Fixtures::new(key, &url, clock.unix_seconds())?;
        let (certificates, tls) = SandboxCertificates::generate()?;
        let state = SandboxState {
            url,
            tls_url: format!("https://127.0.0.1:{}", ports[1]),
            ports,
            clock,
            token_store: Mutex::new(seed_token_store(&fixtures, &admitted)),
            fixtures,
            admitted,
            google_signing_key: GoogleSigningKey::new(key.cloned()),
            machine_info: fixtures::machine_info(),
            machine_accounts: fixtures::machine_accounts(),
            certificates,
            aws_sessions: Mutex::default(),
            external_token_store: Mutex::default(),
            pending_authorizations: Mutex::default(),
            reauth: Mutex::default(),
            behaviours,
        };
        Ok((state, tls))
    }

    /// The current time, in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.unix_seconds()
    }

    /// The tokens of this issuer.
    pub(crate) fn token_store_for(&self, issuer: Issuer) -> &Mutex<TokenStore> {
        match issuer {
            Issuer::Google | Issuer::Workforce => &self.token_store,
            Issuer::External => &self.external_token_store,
        }
    }

    /// Whether a fault changes the route's behaviour in this way.
    pub(crate) fn has_behaviour(&self, route: &str, behaviour: &str) -> bool {
        self.behaviours.contains(&(route, behaviour))
    }

    /// Whether the URL is one of the sandbox's own with one of these paths.
    pub(crate) fn is_own_url(&self, url: &str, paths: &[&str]) -> bool {
        let [http_port, https_port] = self.ports;
        let origins = [
            self.url.clone(),
            self.tls_url.clone(),
            format!("http://localhost:{http_port}"),
            format!("https://localhost:{https_port}"),
        ];
        origins.iter().any(|origin| url.strip_prefix(origin.as_str()).is_some_and(|path| paths.contains(&path)))
    }
}

/// A token store with the logins that exist at the start.
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
        account: workforce_principal(fixtures::USER),
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
                let record = RefreshTokenRecord { account, client_id: client, family, ..user.clone() };
                token_store.admit_refresh_token(refresh_token, record);
            }
            AdmittedCredential::WorkforceUser { client_id, refresh_token, .. } => {
                let record = RefreshTokenRecord { client_id: client_id.clone(), family, ..workforce_user.clone() };
                token_store.admit_refresh_token(refresh_token, record);
            }
            AdmittedCredential::ServiceAccount { .. } => {}
        }
    }
    token_store.admit_refresh_token(&fixtures.refresh_token, user);
    token_store.admit_refresh_token(&fixtures.workforce_refresh_token, workforce_user);
    token_store
}
