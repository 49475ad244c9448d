//! The metadata server of the sandbox's virtual machine.

use serde_json::json;

use crate::issuing::ACCESS_TOKEN_LIFETIME_SECONDS;
use crate::metadata_protocol::{AttachedServiceAccount, IdTokenOptions, InstanceInfo, MetadataBackend};
use crate::state::SandboxState;
use crate::token_store::AccessTokenRecord;
use crate::{fixtures, metadata_protocol};
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::secret::Secret;

/// As on Compute Engine, the same token is returned until it has about this many seconds left.
const RENEWAL_THRESHOLD_SECONDS: i64 = 300;

/// Serves `/` and everything below `/computeMetadata`.
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    // The server listens on two ports; the Host header tells which one received the request.
    let host = request.header("host").unwrap_or_default();
    let [http_port, https_port] = state.ports;
    let port = if host.ends_with(&format!(":{https_port}")) { https_port } else { http_port };
    metadata_protocol::respond(state, request, port)
}

impl MetadataBackend for SandboxState {
    fn instance(&self) -> &InstanceInfo {
        &self.machine_info
    }

    fn service_accounts(&self) -> &[AttachedServiceAccount] {
        &self.machine_accounts
    }

    fn access_token(
        &self,
        account: &AttachedServiceAccount,
        scopes: &[String],
    ) -> Result<(String, i64), ServerResponse> {
        let mut scopes = if scopes.is_empty() { account.scopes.clone() } else { scopes.to_vec() };
        scopes.sort();
        scopes.dedup();
        let now = self.clock.unix_seconds();
        let mut token_store = lock_ignoring_poison(&self.token_store);
        if let Some((token, expires_at)) = token_store.machine_token(&account.email, &scopes)
            && expires_at - now > RENEWAL_THRESHOLD_SECONDS
        {
            return Ok((token, expires_at - now));
        }
        let token = self.generate_access_token("ya29.c.m0")?;
        let record = AccessTokenRecord {
            account: account.email.clone(),
            client_id: fixtures::subject_id(&account.email),
            scopes,
            expires_at: now + ACCESS_TOKEN_LIFETIME_SECONDS,
            family: None,
            access_boundary: None,
        };
        token_store.store_machine_token(&token, record);
        Ok((token, ACCESS_TOKEN_LIFETIME_SECONDS))
    }

    fn id_token(&self, account: &AttachedServiceAccount, request: &IdTokenOptions) -> Result<Secret, ServerResponse> {
        let mut extra_claims = json!({ "azp": fixtures::subject_id(&account.email) });
        if request.full_format {
            let info = self.instance();
            extra_claims["google"]["compute_engine"] = json!({
                "instance_creation_timestamp": self.clock.unix_seconds() - 86_400,
                "instance_id": info.instance_id.to_string(),
                "instance_name": info.instance_name,
                "project_id": info.project_id,
                "project_number": info.project_number.parse::<u64>().unwrap_or_default(),
                "zone": info.zone,
            });
        }
        if request.licenses {
            extra_claims["google"]["compute_engine"]["license_id"] = json!(["1000000"]);
        }
        SandboxState::issue_id_token(self, &account.email, &request.audience, extra_claims)
    }
}
