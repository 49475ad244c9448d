//! The environment variables of a program in the sandbox: Google's clients use the sandbox, and the caller's
//! credentials are hidden.

use std::ffi::OsString;
use std::path::Path;

use crate::file_names::{
    AUTHORIZED_USER_FILE, AWS_CONFIG_FILE, CA_CERTIFICATE_FILE, EXECUTABLE_CONFIG_FILE, FILE_SOURCED_CONFIG_FILE,
    GAUTH_FOLDER, GCLOUD_FOLDER, GDCH_SERVICE_ACCOUNT_FILE, IMPERSONATED_SERVICE_ACCOUNT_FILE, INSTALLED_CLIENT_FILE,
    PROGRAMS_FOLDER, SERVICE_ACCOUNT_FILE, WORKFORCE_CONFIG_FILE, WORKFORCE_LOGIN_FILE, X509_CONFIG_FILE,
};
use crate::fixtures::{CLIENT_ID, PROJECT};
use gauth_core::error::{Error, Result};
use gauth_core::text::secret::Secret;
use gauth_core::world::env;
use gauth_core::world::env::Env;
use gauth_core::world::exec::EnvChange;

/// The credential that Application Default Credentials finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DefaultCredential {
    /// A key file, by GOOGLE_APPLICATION_CREDENTIALS
    #[default]
    ServiceAccount,
    /// A user's login, by GOOGLE_APPLICATION_CREDENTIALS
    User,
    /// A user's login, as gcloud's ADC file
    Adc,
    /// A user's login, as gcloud's account
    Gcloud,
    /// The machine's account, by the metadata server
    Metadata,
    /// A workload with an OIDC token in a file
    ExternalAccount,
    /// A machine at AWS
    Aws,
    /// A program that prints an OIDC token
    Executable,
    /// A machine with a client certificate
    X509,
    /// A user with an OIDC token for a workforce pool
    Workforce,
    /// A user's login by way of a workforce pool
    WorkforceLogin,
    /// A user who impersonates a service account
    Impersonated,
    /// A service account of a distributed cloud
    Gdch,
}

impl DefaultCredential {
    /// All of them, in the order of the help.
    pub const ALL: [DefaultCredential; 13] = [
        DefaultCredential::ServiceAccount,
        DefaultCredential::User,
        DefaultCredential::Adc,
        DefaultCredential::Gcloud,
        DefaultCredential::Metadata,
        DefaultCredential::ExternalAccount,
        DefaultCredential::Aws,
        DefaultCredential::Executable,
        DefaultCredential::X509,
        DefaultCredential::Workforce,
        DefaultCredential::WorkforceLogin,
        DefaultCredential::Impersonated,
        DefaultCredential::Gdch,
    ];

    /// The name that `--as` takes.
    pub fn as_str(self) -> &'static str {
        match self {
            DefaultCredential::ServiceAccount => "service-account",
            DefaultCredential::User => "user",
            DefaultCredential::Adc => "adc",
            DefaultCredential::Gcloud => "gcloud",
            DefaultCredential::Metadata => "metadata",
            DefaultCredential::ExternalAccount => "external-account",
            DefaultCredential::Aws => "aws",
            DefaultCredential::Executable => "executable",
            DefaultCredential::X509 => "x509",
            DefaultCredential::Workforce => "workforce",
            DefaultCredential::WorkforceLogin => "workforce-login",
            DefaultCredential::Impersonated => "impersonated",
            DefaultCredential::Gdch => "gdch",
        }
    }

    /// The credential of this name.
    pub fn parse(name: &str) -> Option<DefaultCredential> {
        DefaultCredential::ALL.into_iter().find(|credential| credential.as_str() == name)
    }

    /// The file that `GOOGLE_APPLICATION_CREDENTIALS` names, if it is set.
    fn credential_file(self) -> Option<&'static str> {
        match self {
            DefaultCredential::ServiceAccount => Some(SERVICE_ACCOUNT_FILE),
            DefaultCredential::User => Some(AUTHORIZED_USER_FILE),
            DefaultCredential::Adc | DefaultCredential::Gcloud | DefaultCredential::Metadata => None,
            DefaultCredential::ExternalAccount => Some(FILE_SOURCED_CONFIG_FILE),
            DefaultCredential::Aws => Some(AWS_CONFIG_FILE),
            DefaultCredential::Executable => Some(EXECUTABLE_CONFIG_FILE),
            DefaultCredential::X509 => Some(X509_CONFIG_FILE),
            DefaultCredential::Workforce => Some(WORKFORCE_CONFIG_FILE),
            DefaultCredential::WorkforceLogin => Some(WORKFORCE_LOGIN_FILE),
            DefaultCredential::Impersonated => Some(IMPERSONATED_SERVICE_ACCOUNT_FILE),
            DefaultCredential::Gdch => Some(GDCH_SERVICE_ACCOUNT_FILE),
        }
    }
}

/// The variables of the caller's environment that the sandbox extends.
#[derive(Debug, Clone, Default)]
pub struct HostEnvironment {
    /// The caller's `PATH`.
    pub path: Option<OsString>,
    /// The caller's `NO_PROXY`.
    pub no_proxy: Option<String>,
}

impl HostEnvironment {
    /// Reads the variables.
    ///
    /// # Errors
    /// When `NO_PROXY` is not UTF-8.
    pub fn from_env(env: &Env) -> Result<HostEnvironment> {
        Ok(HostEnvironment { path: env.os(&env::PATH), no_proxy: env.any_case(&env::NO_PROXY)? })
    }
}

/// Variables that are removed: they would bring the caller's real credentials, or a way to the network, into the
/// sandbox.
const REMOVED_VARIABLES: &[&str] = &[
    "GAUTH_CREDENTIALS",
    "GAUTH_ACCOUNT",
    "GAUTH_SOURCE",
    "GAUTH_PROFILE",
    "GAUTH_SCOPES",
    "GAUTH_IMPERSONATE_SERVICE_ACCOUNT",
    "GAUTH_WORKLOAD_IDENTITY_PROVIDER",
    "GAUTH_QUOTA_PROJECT",
    "GAUTH_UNIVERSE_DOMAIN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "GOOGLE_ACCESS_TOKEN",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_CLOUD_KEYFILE_JSON",
    "GCLOUD_KEYFILE_JSON",
    "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT",
    "GOOGLE_CLOUD_QUOTA_PROJECT",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    "GCLOUD_PROJECT",
    "CLOUDSDK_ACTIVE_CONFIG_NAME",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_CORE_UNIVERSE_DOMAIN",
    "CLOUDSDK_CORE_CHECK_GCE_METADATA",
    "CLOUDSDK_AUTH_ACCESS_TOKEN",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
    "CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT",
    "CLOUDSDK_AUTH_LOGIN_CONFIG_FILE",
    "GOOGLE_AUTH_WEBAUTHN_PLUGIN",
    "CLOUDSDK_BILLING_QUOTA_PROJECT",
    "CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE",
    "CLOUDSDK_PROXY_TYPE",
    "CLOUDSDK_PROXY_ADDRESS",
    "CLOUDSDK_PROXY_PORT",
    "CLOUDSDK_PROXY_USERNAME",
    "CLOUDSDK_PROXY_PASSWORD",
    "CLOUDSDK_PROXY_RDNS",
    "CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH",
    "GOOGLE_API_CERTIFICATE_CONFIG",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE",
    "GOOGLE_API_USE_MTLS",
    "GOOGLE_API_USE_MTLS_ENDPOINT",
    "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
    // Identities of AWS machines and CI jobs.
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "BITBUCKET_STEP_OIDC_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
    "SYSTEM_ACCESSTOKEN",
    "SYSTEM_OIDCREQUESTURI",
    "TFC_WORKLOAD_IDENTITY_TOKEN",
    "GCE_METADATA_MTLS_MODE",
    "NO_GCE_CHECK",
    "METADATA_SERVER_DETECTION",
];

/// Variables that name certificate authorities to trust in place of the sandbox's.
const CA_FILE_VARIABLES: [&str; 2] = [env::GAUTH_CA_FILE.name, env::CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE.name];

/// The endpoint overrides of Google APIs that gcloud uses to obtain tokens, or along the way. The sandbox serves STS
/// and IAM Credentials; for the others, a 404 from here is better than a request that leaves the machine.
const ENDPOINT_OVERRIDE_VARIABLES: &[&str] = &[
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS",
];

/// The addresses that the variables name.
pub(crate) struct SandboxLocation<'a> {
    pub(crate) url: &'a str,
    pub(crate) folder: &'a Path,
    /// The secret of the OAuth client for installed applications, which is not confidential (RFC 8252, 8.5).
    pub(crate) client_secret: &'a Secret,
}

/// The changes to the environment, in the order in which they are printed.
pub(crate) fn environment_changes(
    location: &SandboxLocation,
    default_credential: DefaultCredential,
    host: &HostEnvironment,
) -> Result<Vec<EnvChange<'static>>> {
    let SandboxLocation { url, folder, client_secret } = *location;
    let metadata_host = url.trim_start_matches("http://");
    let mut set: Vec<(&'static str, OsString)> = Vec::new();
    if let Some(file) = default_credential.credential_file() {
        set.push((env::GOOGLE_APPLICATION_CREDENTIALS.name, folder.join(file).into()));
    }
    match default_credential {
        DefaultCredential::Executable => set.push(("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1".into())),
        DefaultCredential::X509 => set.push((env::SSL_CERT_FILE.name, folder.join(CA_CERTIFICATE_FILE).into())),
        _ => {}
    }
    // Each client reads one or two of these three.
    for variable in [&env::GCE_METADATA_HOST, &env::GCE_METADATA_IP, &env::GCE_METADATA_ROOT] {
        set.push((variable.name, metadata_host.into()));
    }
    set.push((env::GAUTH_CONFIG_DIR.name, folder.join(GAUTH_FOLDER).into()));
    set.push((env::GAUTH_CLIENT_ID_FILE.name, folder.join(INSTALLED_CLIENT_FILE).into()));
    set.push((env::GOOGLE_CLOUD_PROJECT.name, PROJECT.into()));
    set.push((env::CLOUDSDK_CONFIG.name, folder.join(GCLOUD_FOLDER).into()));
    set.push((env::CLOUDSDK_CORE_PROJECT.name, PROJECT.into()));
    for (name, value) in [
        ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1"),
        ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1"),
        ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1"),
        // `gcloud auth activate-refresh-token` needs these two.
        ("CLOUDSDK_AUTH_CLIENT_ID", CLIENT_ID),
    ] {
        set.push((name, value.into()));
    }
    set.push(("CLOUDSDK_AUTH_CLIENT_SECRET", client_secret.to_os_string()));
    for (name, path) in [
        ("CLOUDSDK_AUTH_TOKEN_HOST", "/token"),
        ("CLOUDSDK_AUTH_MTLS_TOKEN_HOST", "/token"),
        ("CLOUDSDK_AUTH_AUTH_HOST", "/o/oauth2/auth"),
        ("CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT", "/v1/introspect"),
    ] {
        set.push((name, format!("{url}{path}").into()));
    }
    set.extend(ENDPOINT_OVERRIDE_VARIABLES.iter().map(|name| (*name, format!("{url}/").into())));
    let no_proxy_list = with_loopback_exempt(host.no_proxy.as_deref());
    set.push(("NO_PROXY", no_proxy_list.clone().into()));
    set.push(("no_proxy", no_proxy_list.into()));
    set.push((env::PATH.name, search_path(&folder.join(PROGRAMS_FOLDER), host)?));
    // Variables that take precedence over SSL_CERT_FILE are only removed where it is set.
    let ca_file_variables: &[&str] =
        if default_credential == DefaultCredential::X509 { &CA_FILE_VARIABLES } else { &[] };
    let removed = REMOVED_VARIABLES.iter().chain(ca_file_variables);
    let removed = removed.filter(|name| !set.iter().any(|(known, _)| known == *name));
    let removed: Vec<EnvChange<'static>> = removed.map(|name| (*name, None)).collect();
    Ok(set.into_iter().map(|(name, value)| (name, Some(value))).chain(removed).collect())
}

/// Adds loopback to `NO_PROXY`, so that no proxy receives requests to the sandbox.
fn with_loopback_exempt(inherited: Option<&str>) -> String {
    let loopback = "127.0.0.1,localhost";
    match inherited {
        Some(inherited_list) => format!("{inherited_list},{loopback}"),
        None => loopback.to_owned(),
    }
}

fn search_path(programs_folder: &Path, host: &HostEnvironment) -> Result<OsString> {
    let inherited = host.path.iter().flat_map(std::env::split_paths);
    std::env::join_paths(std::iter::once(programs_folder.to_path_buf()).chain(inherited)).map_err(|_| {
        let shown = gauth_core::text::printable::path(programs_folder);
        Error::usage(format!("{shown} cannot be part of PATH")).hint("export TMPDIR=/tmp")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(default_credential: DefaultCredential, host: &HostEnvironment) -> Vec<EnvChange<'static>> {
        let (url, folder) = ("http://127.0.0.1:1", Path::new("/s"));
        let location = SandboxLocation { url, folder, client_secret: &Secret::new("s") };
        environment_changes(&location, default_credential, host).expect("an environment")
    }

    fn value(changes: &[EnvChange<'_>], name: &str) -> Option<Option<String>> {
        let found = changes.iter().find(|(known, _)| *known == name)?;
        Some(found.1.as_ref().map(|value| value.to_string_lossy().into_owned()))
    }

    #[test]
    fn no_variable_is_changed_twice() {
        for default_credential in &DefaultCredential::ALL {
            let changes = changes(*default_credential, &HostEnvironment::default());
            let mut names: Vec<_> = changes.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), changes.len());
        }
    }

    #[cfg(unix)]
    #[test]
    fn default_credential_sets_its_variables() {
        let host = HostEnvironment { path: Some("/usr/bin:/bin".into()), no_proxy: Some("corp.example".to_owned()) };
        let changes = |first| changes(first, &host);
        let file = |first| value(&changes(first), "GOOGLE_APPLICATION_CREDENTIALS");
        assert_eq!(file(DefaultCredential::ServiceAccount), Some(Some("/s/service_account.json".to_owned())));
        assert_eq!(file(DefaultCredential::User), Some(Some("/s/authorized_user.json".to_owned())));
        assert_eq!(file(DefaultCredential::Metadata), Some(None));
        assert_eq!(file(DefaultCredential::Aws), Some(Some("/s/external_account_aws.json".to_owned())));
        let allowed = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";
        assert_eq!(value(&changes(DefaultCredential::Executable), allowed), Some(Some("1".to_owned())));
        assert_eq!(value(&changes(DefaultCredential::Aws), allowed), Some(None));
        let x509 = changes(DefaultCredential::X509);
        assert_eq!(value(&x509, "SSL_CERT_FILE"), Some(Some("/s/ca.pem".to_owned())));
        assert_eq!(value(&x509, "GAUTH_CA_FILE"), Some(None));
        let changes = changes(DefaultCredential::Gcloud);
        assert_eq!(value(&changes, "SSL_CERT_FILE"), None);
        let is = |name, expected: &str| assert_eq!(value(&changes, name), Some(Some(expected.to_owned())));
        is("PATH", "/s/bin:/usr/bin:/bin");
        is("NO_PROXY", "corp.example,127.0.0.1,localhost");
        is("GCE_METADATA_HOST", "127.0.0.1:1");
        assert_eq!(value(&changes, "CLOUDSDK_AUTH_ACCESS_TOKEN"), Some(None));
    }
}
