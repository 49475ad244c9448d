//! Environment variables: every one gauth reads is a constant here, and the manual lists exactly these.
#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::error::{Error, Result};
use crate::text::secret::Secret;

/// A variable gauth reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// As it is spelled.
    pub name: &'static str,
    /// What it does, for the manual.
    pub about: &'static str,
}

/// Defines the constants and the list of them in one place.
macro_rules! variables {
    ($($constant:ident = $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $constant: Variable = Variable { name: stringify!($constant), about: $about };
        )*
        /// Every variable, in the order of the manual.
        pub const VARIABLES: &[Variable] = &[$($constant),*];
    };
}

variables! {
    GAUTH_CREDENTIALS = "contains a credential (JSON, or base64 of JSON) or the path of a credential file";
    GAUTH_ACCOUNT = "sets --account";
    GAUTH_SOURCE = "sets --source";
    GAUTH_PROFILE = "sets --profile";
    GAUTH_CONFIG_DIR = "names the folder for settings, accounts and tokens, instead of the system's";
    GAUTH_SCOPES = "sets --scopes";
    GAUTH_QUOTA_PROJECT = "sets --quota-project";
    GAUTH_UNIVERSE_DOMAIN = "sets --universe-domain";
    GAUTH_MIN_TTL = "sets --min-ttl";
    GAUTH_NO_CACHE = "sets --no-cache if true";
    GAUTH_TIMEOUT = "sets --timeout";
    GAUTH_CA_FILE = "sets --ca-file";
    GAUTH_ALLOW_HOST = "sets --allow-host; hosts are separated by commas";
    GAUTH_ALLOW_TOKEN_HOST = "sets --allow-token-host; hosts are separated by commas";
    GAUTH_LOG = "sets -v if it is 1, and -vv if it is 2";
    GAUTH_CLIENT_ID_FILE = "sets --client-id-file";
    GAUTH_IMPERSONATE_SERVICE_ACCOUNT = "sets --impersonate-service-account";
    GAUTH_WORKLOAD_IDENTITY_PROVIDER = "sets --workload-identity-provider";
    GOOGLE_APPLICATION_CREDENTIALS = "contains the path of a credential file";
    CLOUDSDK_AUTH_ACCESS_TOKEN = "contains an access token, which is used as it is";
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE = "contains the path of a file with an access token, which is used as it is";
    GOOGLE_OAUTH_ACCESS_TOKEN = "contains an access token, which is used as it is";
    GOOGLE_CLOUD_PROJECT = "names the project";
    GCLOUD_PROJECT = "names the project if GOOGLE_CLOUD_PROJECT is not set";
    GOOGLE_CLOUD_QUOTA_PROJECT = "names the quota project; overrides the credential file";
    GOOGLE_CLOUD_UNIVERSE_DOMAIN = "names the universe domain; overrides the credential file";
    CLOUDSDK_CONFIG = "names gcloud's configuration folder";
    CLOUDSDK_ACTIVE_CONFIG_NAME = "names gcloud's active configuration";
    CLOUDSDK_CORE_ACCOUNT = "names gcloud's account; if it is empty there is none";
    CLOUDSDK_CORE_PROJECT = "names gcloud's project";
    CLOUDSDK_CORE_UNIVERSE_DOMAIN = "names the universe domain of gcloud's account";
    CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE = "names a PEM file of trusted root certificates";
    CLOUDSDK_CORE_CHECK_GCE_METADATA = "disables the metadata server if false";
    CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE = "names a credential file that replaces gcloud's account";
    CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT = "names the service account to impersonate, after its delegates";
    CLOUDSDK_AUTH_TOKEN_HOST = "names the token endpoint; overrides the credential file";
    CLOUDSDK_AUTH_AUTH_HOST = "names the authorization endpoint of gauth login; overrides the client file";
    CLOUDSDK_AUTH_LOGIN_CONFIG_FILE = "sets --login-config of gauth login";
    CLOUDSDK_AUTH_CLIENT_ID = "names the OAuth client of workforce logins if there is no client file";
    CLOUDSDK_AUTH_CLIENT_SECRET = "contains the secret of that OAuth client";
    CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT = "names the endpoint that tells the account of a federated token";
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STS = "contains another URL for the Security Token Service";
    CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS = "contains another URL for IAM Service Account Credentials";
    CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT = "makes gcloud's service accounts use self-signed JWTs if true";
    CLOUDSDK_AUTH_DISABLE_SSL_VALIDATION = "is ignored with a warning: certificates are always verified";
    CLOUDSDK_BILLING_QUOTA_PROJECT = "names gcloud's quota project";
    CLOUDSDK_PROXY_TYPE = "sets the type of gcloud's proxy: http, http_no_tunnel, socks4 or socks5";
    CLOUDSDK_PROXY_ADDRESS = "names the host of gcloud's proxy";
    CLOUDSDK_PROXY_PORT = "sets the port of gcloud's proxy";
    CLOUDSDK_PROXY_USERNAME = "sets the user name for gcloud's proxy";
    CLOUDSDK_PROXY_PASSWORD = "contains the password for gcloud's proxy";
    CLOUDSDK_PROXY_RDNS = "makes gauth resolve host names itself, not the SOCKS proxy, if false";
    GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES = "allows credential files to name a program to run if it is 1";
    GOOGLE_API_CERTIFICATE_CONFIG = "names the file that describes the client certificate of a workload";
    CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH = "does the same if GOOGLE_API_CERTIFICATE_CONFIG is not set";
    GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN = "stops the binding of agents' tokens to their certificate if false";
    GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES = "is the older name of GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN";
    AWS_REGION = "names the AWS region";
    AWS_DEFAULT_REGION = "names the AWS region if AWS_REGION is not set";
    AWS_ACCESS_KEY_ID = "contains the ID of an AWS access key";
    AWS_SECRET_ACCESS_KEY = "contains the secret of that AWS access key";
    AWS_SESSION_TOKEN = "contains the session token of that AWS access key";
    GITHUB_ACTIONS = "is set in GitHub Actions; gauth then masks tokens in the log";
    ACTIONS_ID_TOKEN_REQUEST_URL = "contains the URL at which GitHub Actions issues OIDC tokens";
    ACTIONS_ID_TOKEN_REQUEST_TOKEN = "contains the token that authorises that request";
    GITLAB_CI = "is set in GitLab CI";
    GITLAB_OIDC_TOKEN = "contains an OIDC token of GitLab CI";
    GCP_ID_TOKEN = "contains an OIDC token of GitLab CI, used if GITLAB_OIDC_TOKEN is not set";
    ID_TOKEN_1 = "contains an OIDC token of GitLab CI, used if GCP_ID_TOKEN is not set";
    CI_JOB_JWT_V2 = "contains an OIDC token of GitLab CI, used if ID_TOKEN_1 is not set";
    CIRCLECI = "is set in CircleCI";
    CIRCLE_OIDC_TOKEN_V2 = "contains an OIDC token of CircleCI";
    CIRCLE_OIDC_TOKEN = "contains an OIDC token of CircleCI, used if CIRCLE_OIDC_TOKEN_V2 is not set";
    BUILDKITE = "is set in Buildkite, whose agent issues OIDC tokens";
    BUILDKITE_JOB_ID = "contains the ID of the Buildkite job";
    BITBUCKET_BUILD_NUMBER = "is set in Bitbucket Pipelines";
    BITBUCKET_STEP_OIDC_TOKEN = "contains an OIDC token of Bitbucket Pipelines";
    TF_BUILD = "is set in Azure DevOps";
    SYSTEM_OIDCREQUESTURI = "contains the URL at which Azure DevOps issues OIDC tokens";
    SYSTEM_ACCESSTOKEN = "contains the token that authorises that request";
    AZURESUBSCRIPTION_SERVICE_CONNECTION_ID = "names the Azure service connection that the OIDC token is for";
    TFC_RUN_ID = "is set in HCP Terraform";
    TFC_WORKLOAD_IDENTITY_TOKEN = "contains an OIDC token of HCP Terraform";
    KUBERNETES_SERVICE_HOST = "is set in a Kubernetes pod, where gauth looks for projected tokens";
    GCE_METADATA_HOST = "contains host and port of the metadata server, which is then assumed to exist";
    GCE_METADATA_ROOT = "does the same if GCE_METADATA_HOST is not set";
    GCE_METADATA_IP = "does the same if GCE_METADATA_ROOT is not set";
    GCE_METADATA_TIMEOUT = "limits the seconds of a request to the metadata server; default: 3";
    NO_GCE_CHECK = "disables the metadata server if true";
    METADATA_SERVER_DETECTION = "sets how the metadata server is detected: none, assume-present, bios-only or ping-only";
    K_SERVICE = "is set on Cloud Run, which has a metadata server";
    CLOUD_RUN_JOB = "is set on Cloud Run, which has a metadata server";
    FUNCTION_NAME = "is set on Cloud Functions, which has a metadata server";
    FUNCTION_TARGET = "is set on Cloud Functions, which has a metadata server";
    GAE_SERVICE = "is set on App Engine, which has a metadata server";
    HTTPS_PROXY = "names the proxy for https; also read in lower case";
    HTTP_PROXY = "names the proxy for http; read in lower case only, as curl does";
    ALL_PROXY = "names the proxy for http and https; also read in lower case";
    NO_PROXY = "lists hosts that are reached without a proxy; also read in lower case";
    SSL_CERT_FILE = "names a PEM file of trusted root certificates that replaces the system's";
    HOME = "names the home folder";
    XDG_CONFIG_HOME = "names the configuration folder on Linux; a relative path is ignored";
    APPDATA = "names the configuration folder on Windows";
    PATH = "lists the folders in which programs are found";
    TMPDIR = "names the folder in which gauth sandbox creates its own";
    _GAUTH_COMPLETE = "is set by the completion scripts to the shell that requests candidates";
    CI = "disables prompts and browsers if set";
    BROWSER = "lists the commands that open a URL, separated by colons; %s stands for the URL";
    DISPLAY = "is set if there is a display for a browser";
    WAYLAND_DISPLAY = "is set if there is a display for a browser";
    WSL_DISTRO_NAME = "is set in the Windows Subsystem for Linux, where gauth opens the browser of Windows";
    SSH_CONNECTION = "is set over SSH, where gauth opens no browser";
    SSH_CLIENT = "is set over SSH, where gauth opens no browser";
    SSH_TTY = "is set over SSH, where gauth opens no browser";
    NO_COLOR = "disables colours if set";
    CLICOLOR_FORCE = "enables colours even without a terminal, unless it is 0";
    TERM = "disables colours if it is dumb";
    COLUMNS = "sets the width of the terminal";
}

/// The environment: the process's own, or a fixed one in tests.
#[derive(Debug, Clone)]
pub enum Env {
    /// The environment of the process, read at each lookup.
    Process,
    /// Exactly these variables, for tests.
    Fixed(BTreeMap<String, OsString>),
}

impl Env {
    /// The variable as it is, even when empty. gcloud's own variables count as set when they are.
    pub fn raw(&self, variable: &Variable) -> Option<OsString> {
        self.lookup(variable.name)
    }

    /// The variable; an empty one is unset.
    pub fn os(&self, variable: &Variable) -> Option<OsString> {
        self.raw(variable).filter(|value| !value.is_empty())
    }

    /// The variable as text; an empty one is unset.
    ///
    /// # Errors
    /// When it is not UTF-8: exit 2, naming the variable.
    pub fn text(&self, variable: &Variable) -> Result<Option<String>> {
        match self.os(variable).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => {
                Err(Error::usage(format!("{} is not valid UTF-8", variable.name))
                    .hint(format!("unset {}", variable.name)))
            }
        }
    }

    /// The variable under its name or, failing that, its name in lower case, as proxies are given.
    pub fn any_case(&self, variable: &Variable) -> Result<Option<String>> {
        let lower = variable.name.to_ascii_lowercase();
        match self.lookup(&lower).filter(|value| !value.is_empty()) {
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|_| Error::usage(format!("{lower} is not valid UTF-8")).hint(format!("unset {lower}"))),
            None => self.text(variable),
        }
    }

    /// The shell whose completion script runs gauth.
    pub fn completion_shell(&self) -> Option<OsString> {
        self.os(&_GAUTH_COMPLETE)
    }

    /// Whether the variable is true: `true`, `1`, `on`, `yes`, `y` in any case.
    pub fn is_true(&self, variable: &Variable) -> bool {
        self.os(variable).is_some_and(|value| is_true_text(&value.to_string_lossy()))
    }

    /// The variable for one of gcloud's properties, even when it is empty. Any property
    /// may be set this way; those that gauth reads are among [`VARIABLES`].
    pub fn gcloud_property(&self, section: &str, name: &str) -> Option<OsString> {
        self.lookup(&gcloud_property_variable(section, name))
    }

    /// A variable of the user's choice that holds a secret, without the white space around it.
    ///
    /// # Errors
    /// When it is not UTF-8: exit 2, naming the variable.
    pub fn secret(&self, name: &str) -> Result<Option<Secret>> {
        // Setting or asking for such a name is an error of the system's library.
        if name.is_empty() || name.contains(['=', '\0']) {
            return Ok(None);
        }
        match self.lookup(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(Secret::new(text.trim())).filter(|text| !text.is_empty())),
            Some(Err(_)) => {
                let name = crate::text::printable::text(name);
                Err(Error::usage(format!("{name} is not valid UTF-8")).hint(format!("unset {name}")))
            }
        }
    }

    fn lookup(&self, name: &str) -> Option<OsString> {
        match self {
            Env::Process => std::env::var_os(name),
            Env::Fixed(variables) => variables.get(name).cloned(),
        }
    }
}

/// The variable that sets one of gcloud's properties.
pub fn gcloud_property_variable(section: &str, name: &str) -> String {
    format!("CLOUDSDK_{section}_{name}").to_ascii_uppercase()
}

/// gcloud's idea of a true value.
pub fn is_true_text(text: &str) -> bool {
    ["true", "1", "on", "yes", "y"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(name: &str, value: &str) -> Env {
        Env::Fixed(BTreeMap::from([(name.to_owned(), OsString::from(value))]))
    }

    #[test]
    fn an_empty_variable_is_unset_but_can_be_seen_raw() {
        let env = fixed("CLOUDSDK_CORE_ACCOUNT", "");
        assert_eq!(env.text(&CLOUDSDK_CORE_ACCOUNT).expect("text"), None);
        assert_eq!(env.raw(&CLOUDSDK_CORE_ACCOUNT), Some(OsString::new()));
    }

    #[test]
    fn every_gcloud_property_has_a_variable() {
        let env = fixed("CLOUDSDK_CORE_UNIVERSE_DOMAIN", "");
        assert_eq!(gcloud_property_variable("core", "universe_domain"), CLOUDSDK_CORE_UNIVERSE_DOMAIN.name);
        assert_eq!(env.gcloud_property("core", "universe_domain"), Some(OsString::new()));
        assert_eq!(env.gcloud_property("core", "account"), None);
    }

    #[test]
    fn proxies_are_read_in_both_cases() {
        assert_eq!(
            fixed("https_proxy", "http://p:1").any_case(&HTTPS_PROXY).expect("text").as_deref(),
            Some("http://p:1")
        );
    }

    #[test]
    fn no_variable_is_listed_twice() {
        let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
