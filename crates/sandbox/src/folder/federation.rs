//! Credential files for token exchange and impersonation, and the files that they refer to.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::external_identities::{GDCH_PROJECT, GDCH_SERVICE_IDENTITY_NAME, SUBJECT_TOKEN_LIFETIME_SECONDS};
use crate::file_names::{
    AWS_CONFIG_FILE, CA_CERTIFICATE_FILE, EXECUTABLE_CONFIG_FILE, FILE_SOURCED_CONFIG_FILE, GDCH_SERVICE_ACCOUNT_FILE,
    IMPERSONATED_SERVICE_ACCOUNT_FILE, WORKFORCE_CONFIG_FILE, WORKFORCE_LOGIN_FILE, X509_CONFIG_FILE,
};
use crate::fixtures::{
    CLIENT_ID, DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT, DEPLOYER_ACCOUNT, PROJECT, WORKFORCE_PROVIDER,
    WORKLOAD_PROVIDER,
};
use crate::folder::files::{write_executable, write_file, write_json, write_secret};
use crate::folder::google_accounts::{authorized_user_json, service_account_json};
use crate::shell::shell_quoted;
use crate::state::SandboxState;
use crate::{gdch, iam, token_types};
use gauth_core::error::{Error, Result};
use gauth_core::text::bearer_token::authorization_header;

/// The sandbox's folder, for the paths that its files contain.
struct FolderPaths<'a>(&'a Path);

impl FolderPaths<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}

/// Writes all of these files.
pub(crate) fn write_credential_files(folder: &Path, state: &SandboxState) -> Result<()> {
    let paths = FolderPaths(folder);
    write_subject_tokens(&paths, state)?;
    write_certificates(&paths, state)?;
    let workload = |kind: &str, source: Value| workload_config(state, kind, source);
    let workforce = |source: &str| workforce_config(state, json!({ "file": paths.text(source) }));
    let file = || workload(token_types::JWT, json!({ "file": paths.text("subject_token.txt") }));
    let mut with_client = workforce("workforce_token.txt");
    with_client["client_id"] = CLIENT_ID.into();
    with_client["client_secret"] = state.fixtures.client_secret.to_json();
    let mut with_user_project = workforce("workforce_token.txt");
    with_user_project["workforce_pool_user_project"] = PROJECT.into();
    let mut impersonating = file();
    impersonating["service_account_impersonation_url"] = impersonation_url(state, DEPLOYER_ACCOUNT).into();
    for (name, value) in [
        (FILE_SOURCED_CONFIG_FILE, file()),
        ("external_account_json.json", workload(token_types::JWT, json_file_source(&paths))),
        ("external_account_url.json", workload(token_types::JWT, url_source(state))),
        (
            "external_account_saml.json",
            workload(token_types::SAML2, json!({ "file": paths.text("saml_response.txt") })),
        ),
        (AWS_CONFIG_FILE, workload(token_types::AWS4_REQUEST, aws_source(state))),
        (EXECUTABLE_CONFIG_FILE, workload(token_types::JWT, executable_source(&paths.path(SUBJECT_TOKEN_SCRIPT)))),
        (X509_CONFIG_FILE, x509_config(&paths, state)),
        (WORKFORCE_CONFIG_FILE, with_user_project),
        ("external_account_workforce_client.json", with_client),
        ("external_account_impersonated.json", impersonating),
        (WORKFORCE_LOGIN_FILE, workforce_login_json(state)),
        (
            IMPERSONATED_SERVICE_ACCOUNT_FILE,
            impersonated_service_account_json(state, DEPLOYER_ACCOUNT, &[], authorized_user_json(state)),
        ),
        (
            "impersonated_delegates.json",
            impersonated_service_account_json(
                state,
                DELEGATION_TARGET_ACCOUNT,
                &[DELEGATE_ACCOUNT],
                service_account_json(state),
            ),
        ),
        (GDCH_SERVICE_ACCOUNT_FILE, gdch_service_account_json(&paths, state)),
    ] {
        write_json(&paths.path(name), &value)?;
    }
    Ok(())
}

/// The executable that prints a subject token.
const SUBJECT_TOKEN_SCRIPT: &str = "subject_token.sh";

fn write_subject_tokens(paths: &FolderPaths, state: &SandboxState) -> Result<()> {
    let signing_error = |what: String| Error::unexpected(format!("the key of the sandbox's OIDC provider {what}"));
    let (external, now) = (&state.fixtures.external, state.now());
    let workload = external.workload_token(WORKLOAD_PROVIDER, now).map_err(signing_error)?;
    let workforce = state.fixtures.workforce_token(now).map_err(signing_error)?;
    write_secret(&paths.path("subject_token.txt"), &workload)?;
    write_json(&paths.path("subject_token.json"), &json!({ "id_token": workload.to_json() }))?;
    write_secret(&paths.path("workforce_token.txt"), &workforce)?;
    write_secret(&paths.path("saml_response.txt"), &external.saml_response)?;
    let response = json!({
        "version": 1,
        "success": true,
        "token_type": token_types::JWT,
        "id_token": workload.to_json(),
        "expiration_time": now + SUBJECT_TOKEN_LIFETIME_SECONDS,
    });
    write_executable(&paths.path(SUBJECT_TOKEN_SCRIPT), subject_token_script(&response).as_bytes())
}

/// A script that prints the response if the variables that describe the request are set correctly.
fn subject_token_script(response: &Value) -> String {
    let refusal = json!({
        "version": 1,
        "success": false,
        "code": "400",
        "message": "the variables GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE and _TOKEN_TYPE do not fit",
    });
    let quoted = |value: &Value| shell_quoted(&value.to_string().into());
    let jwt_type = token_types::JWT;
    format!(
        "#!/bin/sh\n\
         if [ \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE\" = '{WORKLOAD_PROVIDER}' ] &&\n\
         \t[ \"$GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE\" = '{jwt_type}' ]; then\n\
         \tprintf '%s\\n' {}\n\
         else\n\
         \tprintf '%s\\n' {}\n\
         fi\n",
        quoted(response),
        quoted(&refusal)
    )
}

fn write_certificates(paths: &FolderPaths, state: &SandboxState) -> Result<()> {
    let certificates = &state.certificates;
    write_file(&paths.path(CA_CERTIFICATE_FILE), certificates.ca_pem.as_bytes())?;
    write_file(&paths.path("client.pem"), certificates.client_certificate_pem.as_bytes())?;
    write_secret(&paths.path("client.key"), &certificates.client_key_pem)?;
    let key_pair = json!({ "cert_path": paths.text("client.pem"), "key_path": paths.text("client.key") });
    let config = json!({ "version": 1, "cert_configs": { "workload": key_pair }, "libs": {} });
    write_json(&paths.path("certificate_config.json"), &config)
}

fn workload_config(state: &SandboxState, subject_token_type: &str, source: Value) -> Value {
    external_account_config(&state.url, WORKLOAD_PROVIDER, subject_token_type, source)
}

fn workforce_config(state: &SandboxState, source: Value) -> Value {
    external_account_config(&state.url, WORKFORCE_PROVIDER, token_types::ID_TOKEN, source)
}

fn external_account_config(url: &str, audience: &str, subject_token_type: &str, source: Value) -> Value {
    json!({
        "type": "external_account",
        "universe_domain": "googleapis.com",
        "audience": audience,
        "subject_token_type": subject_token_type,
        "token_url": format!("{url}/v1/token"),
        "token_info_url": format!("{url}/v1/introspect"),
        "credential_source": source,
    })
}

fn json_file_source(paths: &FolderPaths) -> Value {
    json!({
        "file": paths.text("subject_token.json"),
        "format": { "type": "json", "subject_token_field_name": "id_token" },
    })
}

fn url_source(state: &SandboxState) -> Value {
    let authorization = authorization_header(&state.fixtures.external.runner_secret);
    json!({
        "url": format!("{}/subject.json", state.url),
        "headers": { "Authorization": authorization.to_json() },
        "format": { "type": "json", "subject_token_field_name": "value" },
    })
}

fn aws_source(state: &SandboxState) -> Value {
    let root = format!("{}/latest", state.url);
    let sts = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
    json!({
        "environment_id": "aws1",
        "region_url": format!("{root}/meta-data/placement/availability-zone"),
        "url": format!("{root}/meta-data/iam/security-credentials"),
        "regional_cred_verification_url": sts,
        "imdsv2_session_token_url": format!("{root}/api/token"),
    })
}

fn executable_source(script: &Path) -> Value {
    // Some clients do not parse quotes, so only unusual paths are quoted.
    let name = script.to_string_lossy();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || "/._-+:\\".contains(c));
    let command = if is_plain { name.into_owned() } else { shell_quoted(&script.into()) };
    json!({ "executable": { "command": command, "timeout_millis": 5000 } })
}

fn x509_config(paths: &FolderPaths, state: &SandboxState) -> Value {
    let source = json!({ "certificate": {
        "certificate_config_location": paths.text("certificate_config.json"),
        "trust_chain_path": paths.text(CA_CERTIFICATE_FILE),
    }});
    external_account_config(&state.tls_url, WORKLOAD_PROVIDER, token_types::MTLS, source)
}

fn workforce_login_json(state: &SandboxState) -> Value {
    json!({
        "type": "external_account_authorized_user",
        "universe_domain": "googleapis.com",
        "audience": WORKFORCE_PROVIDER,
        "client_id": CLIENT_ID,
        "client_secret": state.fixtures.client_secret.to_json(),
        "refresh_token": state.fixtures.workforce_refresh_token.to_json(),
        "token_url": format!("{}/v1/oauthtoken", state.url),
        "token_info_url": format!("{}/v1/introspect", state.url),
        "revoke_url": format!("{}/v1/revoke", state.url),
    })
}

fn impersonation_url(state: &SandboxState, account: &str) -> String {
    format!("{}{}{account}:generateAccessToken", state.url, iam::PATH_PREFIX)
}

fn impersonated_service_account_json(state: &SandboxState, target: &str, delegates: &[&str], source: Value) -> Value {
    let delegates: Vec<String> =
        delegates.iter().map(|account| format!("projects/-/serviceAccounts/{account}")).collect();
    json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": impersonation_url(state, target),
        "delegates": delegates,
        "source_credentials": source,
    })
}

fn gdch_service_account_json(paths: &FolderPaths, state: &SandboxState) -> Value {
    let external = &state.fixtures.external;
    json!({
        "type": "gdch_service_account",
        "format_version": "1",
        "project": GDCH_PROJECT,
        "name": GDCH_SERVICE_IDENTITY_NAME,
        "private_key_id": external.gdch_key_id,
        "private_key": external.gdch_private_key_pem.to_json(),
        "ca_cert_path": paths.text(CA_CERTIFICATE_FILE),
        "token_uri": format!("{}{}", state.tls_url, gdch::AUTHENTICATE_PATH),
    })
}
