//! The files for signing in: OAuth clients as Google's console exports them, the login configuration of the workforce
//! pool, and the users' password.

use std::path::Path;

use serde_json::{Value, json};

use crate::file_names::INSTALLED_CLIENT_FILE;
use crate::fixtures::{
    CLIENT_ID, CONFIDENTIAL_CLIENT_ID, DEVICE_CLIENT_ID, PROJECT, PUBLIC_CLIENT_ID, WEB_CLIENT_ID, WEB_REDIRECT_URI,
    WORKFORCE_PROVIDER,
};
use crate::folder::files::{write_json, write_secret};
use crate::signin::authorize::{EXTERNAL_PATH, GOOGLE_PATHS, WORKFORCE_PATH};
use crate::state::SandboxState;
use gauth_core::error::Result;
use gauth_core::text::secret::Secret;

/// Writes all of these files.
pub(crate) fn write_client_files(folder: &Path, state: &SandboxState) -> Result<()> {
    let (fixtures, url) = (&state.fixtures, &state.url);
    let google_client = |id: &str, secret: &Secret, redirect_uris: &[&str]| {
        json!({
            "client_id": id,
            "project_id": PROJECT,
            "auth_uri": format!("{url}{}", GOOGLE_PATHS[0]),
            "token_uri": format!("{url}/token"),
            "auth_provider_x509_cert_url": format!("{url}/oauth2/v1/certs"),
            "client_secret": secret.to_json(),
            "redirect_uris": redirect_uris,
        })
    };
    let mut device = google_client(DEVICE_CLIENT_ID, &fixtures.device_client_secret, &[]);
    if let Value::Object(members) = &mut device {
        members.remove("redirect_uris");
    }
    let external_client = |id: &str| {
        json!({
            "client_id": id,
            "auth_uri": format!("{url}{EXTERNAL_PATH}"),
            "token_uri": format!("{url}/oidc/token"),
            "redirect_uris": ["http://localhost"],
        })
    };
    let mut confidential = external_client(CONFIDENTIAL_CLIENT_ID);
    confidential["client_secret"] = fixtures.external.client_secret.to_json();
    let installed = google_client(CLIENT_ID, &fixtures.client_secret, &["http://localhost"]);
    let web = google_client(WEB_CLIENT_ID, &fixtures.web_client_secret, &[WEB_REDIRECT_URI]);
    for (name, value) in [
        (INSTALLED_CLIENT_FILE, json!({ "installed": installed })),
        ("client_secret_web.json", json!({ "web": web })),
        ("client_secret_device.json", json!({ "installed": device })),
        ("client_oidc.json", json!({ "installed": external_client(PUBLIC_CLIENT_ID) })),
        ("client_oidc_confidential.json", json!({ "installed": confidential })),
        ("login_config.json", login_config(url)),
    ] {
        write_json(&folder.join(name), &value)?;
    }
    write_secret(&folder.join("password.txt"), &fixtures.password.map(|text| format!("{text}\n")))
}

/// The login configuration, as `gcloud iam workforce-pools create-login-config` writes it.
fn login_config(url: &str) -> Value {
    json!({
        "type": "external_account_authorized_user_login_config",
        "audience": WORKFORCE_PROVIDER,
        "auth_url": format!("{url}{WORKFORCE_PATH}"),
        "token_url": format!("{url}/v1/oauthtoken"),
        "token_info_url": format!("{url}/v1/introspect"),
        "universe_domain": "googleapis.com",
        "universe_cloud_web_domain": "cloud.google",
    })
}
