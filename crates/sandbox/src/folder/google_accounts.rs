//! Credential files of Google accounts: the service account's key, and the user's login.

use serde_json::{Value, json};

use crate::fixtures;
use crate::fixtures::{CLIENT_ID, PROJECT, SERVICE_ACCOUNT, USER};
use crate::state::SandboxState;

/// The service account key as Google's console exports it, but with the sandbox's endpoints.
pub(crate) fn service_account_json(state: &SandboxState) -> Value {
    json!({
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": state.fixtures.service_account_key_id,
        "private_key": state.fixtures.service_account_pem.to_json(),
        "client_email": SERVICE_ACCOUNT,
        "client_id": fixtures::subject_id(SERVICE_ACCOUNT),
        "auth_uri": format!("{}/o/oauth2/auth", state.url),
        "token_uri": format!("{}/token", state.url),
        "auth_provider_x509_cert_url": format!("{}/oauth2/v1/certs", state.url),
        "client_x509_cert_url": format!("{}/robot/v1/metadata/x509/{SERVICE_ACCOUNT}", state.url),
        "universe_domain": "googleapis.com",
    })
}

/// The login as gcloud writes it for Application Default Credentials, and with the token endpoint, which gcloud
/// omits.
pub(crate) fn authorized_user_json(state: &SandboxState) -> Value {
    json!({
        "type": "authorized_user",
        "account": USER,
        "client_id": CLIENT_ID,
        "client_secret": state.fixtures.client_secret.to_json(),
        "refresh_token": state.fixtures.refresh_token.to_json(),
        "token_uri": format!("{}/token", state.url),
        "universe_domain": "googleapis.com",
    })
}
