//! Credential files of those who come in through STS or act as a service account, and what these files name.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{authorized_user, service_account, write, write_json, write_program};
use crate::error::{Error, Result};
use crate::server::sandbox::cast::{
    BEHIND, CLIENT_ID, DEPLOYER, MIDDLE, PROJECT, WORKFORCE_PROVIDER, WORKLOAD_PROVIDER,
};
use crate::server::sandbox::outside::{GDCH_NAME, GDCH_PROJECT};
use crate::server::sandbox::{State, gdch, iam, shell_quoted};

/// An OIDC token in a text file.
pub(in crate::server::sandbox) const FILE: &str = "external_account_file.json";
/// Keys of a machine at AWS.
pub(in crate::server::sandbox) const AWS: &str = "external_account_aws.json";
/// A program that prints an OIDC token.
pub(in crate::server::sandbox) const EXECUTABLE: &str = "external_account_executable.json";
/// A client certificate.
pub(in crate::server::sandbox) const X509: &str = "external_account_x509.json";
/// A person's OIDC token in a text file.
pub(in crate::server::sandbox) const WORKFORCE: &str = "external_account_workforce.json";
/// A person's login by way of the workforce pool.
pub(in crate::server::sandbox) const WORKFORCE_LOGIN: &str =
    "external_account_authorized_user.json";
/// The person, acting as a service account.
pub(in crate::server::sandbox) const IMPERSONATED: &str = "impersonated_service_account.json";
/// The service account of a distributed cloud.
pub(in crate::server::sandbox) const GDCH: &str = "gdch_service_account.json";
/// The certificate to trust for TLS.
pub(in crate::server::sandbox) const ISSUER: &str = "ca.pem";

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const AWS4_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";
const MTLS: &str = "urn:ietf:params:oauth:token-type:mtls";

/// Where files of the folder are, as other files name them.
struct Names<'a>(&'a Path);

impl Names<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}

/// Writes all of them.
pub(super) fn fill(folder: &Path, state: &State) -> Result<()> {
    let names = Names(folder);
    subject_tokens(&names, state)?;
    certificates(&names, state)?;
    let workload = |kind: &str, source: Value| workload(state, kind, source);
    let workforce = |source: &str| workforce(state, json!({ "file": names.text(source) }));
    let file = || workload(JWT, json!({ "file": names.text("subject_token.txt") }));
    let mut with_client = workforce("workforce_token.txt");
    with_client["client_id"] = CLIENT_ID.into();
    with_client["client_secret"] = state.cast.client_secret.expose().into();
    let mut for_project = workforce("workforce_token.txt");
    for_project["workforce_pool_user_project"] = PROJECT.into();
    let mut acting = file();
    acting["service_account_impersonation_url"] = impersonation_url(state, DEPLOYER).into();
    for (name, value) in [
        (FILE, file()),
        ("external_account_json.json", workload(JWT, json_file(&names))),
        ("external_account_url.json", workload(JWT, url(state))),
        (
            "external_account_saml.json",
            workload(SAML2, json!({ "file": names.text("saml_response.txt") })),
        ),
        (AWS, workload(AWS4_REQUEST, aws(state))),
        (EXECUTABLE, workload(JWT, executable(&names.path(SCRIPT)))),
        (X509, x509(&names, state)),
        (WORKFORCE, for_project),
        ("external_account_workforce_client.json", with_client),
        ("external_account_impersonated.json", acting),
        (WORKFORCE_LOGIN, workforce_login(state)),
        (IMPERSONATED, impersonated(state, DEPLOYER, &[], authorized_user(state))),
        (
            "impersonated_delegates.json",
            impersonated(state, BEHIND, &[MIDDLE], service_account(state)),
        ),
        (GDCH, gdch_service_account(&names, state)),
    ] {
        write_json(&names.path(name), &value)?;
    }
    Ok(())
}

/// The program that prints a subject token.
const SCRIPT: &str = "subject_token.sh";

fn subject_tokens(names: &Names, state: &State) -> Result<()> {
    let unsigned = |what: String| Error::unexpected(format!("the sandbox's issuer {what}"));
    let (outside, now) = (&state.cast.outside, state.now());
    let workload = outside.workload_token(WORKLOAD_PROVIDER, now).map_err(unsigned)?;
    let workforce = outside.workforce_token(now).map_err(unsigned)?;
    write(&names.path("subject_token.txt"), workload.expose().as_bytes())?;
    write_json(&names.path("subject_token.json"), &json!({ "id_token": workload.expose() }))?;
    write(&names.path("workforce_token.txt"), workforce.expose().as_bytes())?;
    write(&names.path("saml_response.txt"), outside.saml_response.expose().as_bytes())?;
    let response = json!({
        "version": 1,
        "success": true,
        "token_type": JWT,
        "id_token": workload.expose(),
        "expiration_time": now + crate::server::sandbox::outside::SUBJECT_LIFE,
    });
    write_program(&names.path(SCRIPT), script(&response).as_bytes())
}

/// Prints the response to those who say what they want it for, as they must.
fn script(response: &Value) -> String {
    let refusal = json!({
        "version": 1,
        "success": false,
        "code": "400",
        "message": "the variables GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE and _TOKEN_TYPE do not fit",
    });
    let quoted = |value: &Value| shell_quoted(&value.to_string().into());
    format!(
        "#!/bin/sh\n\
         if [ \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE\" = '{WORKLOAD_PROVIDER}' ] &&\n\
         \t[ \"$GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE\" = '{JWT}' ]; then\n\
         \tprintf '%s\\n' {}\n\
         else\n\
         \tprintf '%s\\n' {}\n\
         fi\n",
        quoted(response),
        quoted(&refusal)
    )
}

fn certificates(names: &Names, state: &State) -> Result<()> {
    let certificates = &state.certificates;
    write(&names.path(ISSUER), certificates.issuer.as_bytes())?;
    write(&names.path("client.pem"), certificates.client.as_bytes())?;
    write(&names.path("client.key"), certificates.client_key.expose().as_bytes())?;
    let pair =
        json!({ "cert_path": names.text("client.pem"), "key_path": names.text("client.key") });
    let config = json!({ "version": 1, "cert_configs": { "workload": pair }, "libs": {} });
    write_json(&names.path("certificate_config.json"), &config)
}

fn workload(state: &State, kind: &str, source: Value) -> Value {
    external_account(&state.url, WORKLOAD_PROVIDER, kind, source)
}

fn workforce(state: &State, source: Value) -> Value {
    external_account(&state.url, WORKFORCE_PROVIDER, ID_TOKEN, source)
}

fn external_account(url: &str, audience: &str, kind: &str, source: Value) -> Value {
    json!({
        "type": "external_account",
        "universe_domain": "googleapis.com",
        "audience": audience,
        "subject_token_type": kind,
        "token_url": format!("{url}/v1/token"),
        "token_info_url": format!("{url}/v1/introspect"),
        "credential_source": source,
    })
}

fn json_file(names: &Names) -> Value {
    json!({
        "file": names.text("subject_token.json"),
        "format": { "type": "json", "subject_token_field_name": "id_token" },
    })
}

fn url(state: &State) -> Value {
    let secret = state.cast.outside.runner_secret.expose();
    json!({
        "url": format!("{}/subject.json", state.url),
        "headers": { "Authorization": format!("Bearer {secret}") },
        "format": { "type": "json", "subject_token_field_name": "value" },
    })
}

fn aws(state: &State) -> Value {
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

fn executable(script: &Path) -> Value {
    // Some clients know no quotes: only odd names are put in them.
    let name = script.to_string_lossy();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || "/._-+:\\".contains(c));
    let command = if is_plain { name.into_owned() } else { shell_quoted(&script.into()) };
    json!({ "executable": { "command": command, "timeout_millis": 5000 } })
}

fn x509(names: &Names, state: &State) -> Value {
    let source = json!({ "certificate": {
        "certificate_config_location": names.text("certificate_config.json"),
        "trust_chain_path": names.text(ISSUER),
    }});
    external_account(&state.tls_url, WORKLOAD_PROVIDER, MTLS, source)
}

fn workforce_login(state: &State) -> Value {
    json!({
        "type": "external_account_authorized_user",
        "universe_domain": "googleapis.com",
        "audience": WORKFORCE_PROVIDER,
        "client_id": CLIENT_ID,
        "client_secret": state.cast.client_secret.expose(),
        "refresh_token": state.cast.workforce_refresh_token.expose(),
        "token_url": format!("{}/v1/oauthtoken", state.url),
        "token_info_url": format!("{}/v1/introspect", state.url),
        "revoke_url": format!("{}/v1/revoke", state.url),
    })
}

fn impersonation_url(state: &State, account: &str) -> String {
    format!("{}{}{account}:generateAccessToken", state.url, iam::ROOT)
}

fn impersonated(state: &State, target: &str, through: &[&str], source: Value) -> Value {
    let through: Vec<String> =
        through.iter().map(|account| format!("projects/-/serviceAccounts/{account}")).collect();
    json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": impersonation_url(state, target),
        "delegates": through,
        "source_credentials": source,
    })
}

fn gdch_service_account(names: &Names, state: &State) -> Value {
    let outside = &state.cast.outside;
    json!({
        "type": "gdch_service_account",
        "format_version": "1",
        "project": GDCH_PROJECT,
        "name": GDCH_NAME,
        "private_key_id": outside.gdch_key_id,
        "private_key": outside.gdch_pem.expose(),
        "ca_cert_path": names.text(ISSUER),
        "token_uri": format!("{}{}", state.tls_url, gdch::PATH),
    })
}
