//! Environment variables: every one gauth reads is a constant here, and the manual lists exactly these.

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
    GAUTH_CREDENTIALS = "a credential: JSON, base64 of JSON, or the path of a file";
    GAUTH_ACCOUNT = "like --account";
    GAUTH_SOURCE = "like --source";
    GAUTH_PROFILE = "like --profile";
    GAUTH_CONFIG_DIR = "the folder for settings, accounts and tokens, instead of the system's";
    GAUTH_SCOPES = "like --scopes";
    GAUTH_QUOTA_PROJECT = "like --quota-project";
    GAUTH_UNIVERSE_DOMAIN = "like --universe-domain";
    GAUTH_MIN_TTL = "like --min-ttl";
    GAUTH_NO_CACHE = "true: like --no-cache";
    GAUTH_TIMEOUT = "like --timeout";
    GAUTH_CA_FILE = "like --ca-file";
    GAUTH_ALLOW_HOST = "like --allow-host, comma-separated";
    GAUTH_ALLOW_TOKEN_HOST = "like --allow-token-host, comma-separated";
    GAUTH_LOG = "1: like -v, 2: like -vv";
    GAUTH_CLIENT_ID_FILE = "like --client-id-file";
    GAUTH_IMPERSONATE_SERVICE_ACCOUNT = "like --impersonate-service-account";
    GAUTH_WORKLOAD_IDENTITY_PROVIDER = "like --workload-identity-provider";
    GOOGLE_APPLICATION_CREDENTIALS = "the path of a credential file";
    CLOUDSDK_AUTH_ACCESS_TOKEN = "an access token, used as it is";
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE = "the path of a file with an access token, used as it is";
    GOOGLE_OAUTH_ACCESS_TOKEN = "an access token, used as it is";
    GOOGLE_CLOUD_PROJECT = "the project";
    GCLOUD_PROJECT = "the project, after GOOGLE_CLOUD_PROJECT";
    GOOGLE_CLOUD_QUOTA_PROJECT = "the quota project, over the credential file's";
    GOOGLE_CLOUD_UNIVERSE_DOMAIN = "the universe domain, over the credential file's";
    CLOUDSDK_CONFIG = "gcloud's folder";
    CLOUDSDK_ACTIVE_CONFIG_NAME = "gcloud's active configuration";
    CLOUDSDK_CORE_ACCOUNT = "gcloud's account; empty means none";
    CLOUDSDK_CORE_PROJECT = "gcloud's project";
    CLOUDSDK_CORE_UNIVERSE_DOMAIN = "the universe of gcloud's account";
    CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE = "certificates to trust";
    CLOUDSDK_CORE_CHECK_GCE_METADATA = "false: the metadata server is not asked";
    CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE = "a credential file used in place of gcloud's account";
    CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT = "the service account to act as, its delegates before it";
    CLOUDSDK_AUTH_TOKEN_HOST = "the token endpoint, over the credential's own";
    CLOUDSDK_AUTH_AUTH_HOST = "where login asks for consent, over the client's own";
    CLOUDSDK_AUTH_LOGIN_CONFIG_FILE = "like --login-config of gauth login";
    CLOUDSDK_AUTH_CLIENT_ID = "the OAuth client of workforce logins, where no client file is named";
    CLOUDSDK_AUTH_CLIENT_SECRET = "its secret";
    CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT = "where it is asked whose a federated token is";
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STS = "another place of the STS, a URL";
    CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS = "another place of IAM Service Account Credentials, a URL";
    CLOUDSDK_AUTH_SERVICE_ACCOUNT_USE_SELF_SIGNED_JWT = "true: gcloud's service accounts sign their own tokens";
    CLOUDSDK_AUTH_DISABLE_SSL_VALIDATION = "ignored, with a warning";
    CLOUDSDK_BILLING_QUOTA_PROJECT = "gcloud's quota project";
    CLOUDSDK_PROXY_TYPE = "gcloud's proxy: http, http_no_tunnel, socks4 or socks5";
    CLOUDSDK_PROXY_ADDRESS = "host of gcloud's proxy";
    CLOUDSDK_PROXY_PORT = "port of gcloud's proxy";
    CLOUDSDK_PROXY_USERNAME = "user name for gcloud's proxy";
    CLOUDSDK_PROXY_PASSWORD = "password for gcloud's proxy";
    CLOUDSDK_PROXY_RDNS = "false: names are resolved before a socks proxy is asked";
    GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES = "1: a credential file may name a program that is run";
    GOOGLE_API_CERTIFICATE_CONFIG = "the file that names the client certificate of a workload";
    CLOUDSDK_CONTEXT_AWARE_CERTIFICATE_CONFIG_FILE_PATH = "like GOOGLE_API_CERTIFICATE_CONFIG, after it";
    GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN = "false: tokens of agents are not bound to their certificate";
    GOOGLE_API_PREVENT_AGENT_TOKEN_SHARING_FOR_GCP_SERVICES = "false: the same, older";
    AWS_REGION = "the region of AWS";
    AWS_DEFAULT_REGION = "the region of AWS, after AWS_REGION";
    AWS_ACCESS_KEY_ID = "a key of AWS";
    AWS_SECRET_ACCESS_KEY = "its secret";
    AWS_SESSION_TOKEN = "its session";
    GITHUB_ACTIONS = "set in GitHub Actions; tokens are masked in its log";
    ACTIONS_ID_TOKEN_REQUEST_URL = "where GitHub Actions gives a token";
    ACTIONS_ID_TOKEN_REQUEST_TOKEN = "what it is asked with";
    GITLAB_CI = "set in GitLab CI";
    GITLAB_OIDC_TOKEN = "a token of GitLab CI";
    GCP_ID_TOKEN = "a token of GitLab CI, after GITLAB_OIDC_TOKEN";
    ID_TOKEN_1 = "a token of GitLab CI, after GCP_ID_TOKEN";
    CI_JOB_JWT_V2 = "a token of GitLab CI, after ID_TOKEN_1";
    CIRCLECI = "set in CircleCI";
    CIRCLE_OIDC_TOKEN_V2 = "a token of CircleCI";
    CIRCLE_OIDC_TOKEN = "a token of CircleCI, after CIRCLE_OIDC_TOKEN_V2";
    BUILDKITE = "set in Buildkite, whose agent is asked for a token";
    BUILDKITE_JOB_ID = "the job of Buildkite";
    BITBUCKET_BUILD_NUMBER = "set in Bitbucket Pipelines";
    BITBUCKET_STEP_OIDC_TOKEN = "a token of Bitbucket Pipelines";
    TF_BUILD = "set in Azure DevOps";
    SYSTEM_OIDCREQUESTURI = "where Azure DevOps gives a token";
    SYSTEM_ACCESSTOKEN = "what it is asked with";
    AZURESUBSCRIPTION_SERVICE_CONNECTION_ID = "the service connection that token is for";
    TFC_RUN_ID = "set in HCP Terraform";
    TFC_WORKLOAD_IDENTITY_TOKEN = "a token of HCP Terraform";
    KUBERNETES_SERVICE_HOST = "set in a pod, where projected tokens are looked for";
    GCE_METADATA_HOST = "host and port of the metadata server; set, it is taken to exist";
    GCE_METADATA_ROOT = "like GCE_METADATA_HOST, after it";
    GCE_METADATA_IP = "like GCE_METADATA_HOST, after GCE_METADATA_ROOT";
    GCE_METADATA_TIMEOUT = "seconds for one metadata request, 3 if not set";
    NO_GCE_CHECK = "true: there is no metadata server";
    METADATA_SERVER_DETECTION = "none: there is no metadata server; assume-present: there is one; bios-only, ping-only";
    K_SERVICE = "set on Cloud Run: there is a metadata server";
    CLOUD_RUN_JOB = "set on Cloud Run: there is a metadata server";
    FUNCTION_NAME = "set on Cloud Functions: there is a metadata server";
    FUNCTION_TARGET = "set on Cloud Functions: there is a metadata server";
    GAE_SERVICE = "set on App Engine: there is a metadata server";
    HTTPS_PROXY = "proxy for https (also in lower case)";
    HTTP_PROXY = "proxy for http, only in lower case as curl has it";
    ALL_PROXY = "proxy for both (also in lower case)";
    NO_PROXY = "hosts that are reached without proxy (also in lower case)";
    SSL_CERT_FILE = "certificates to trust, in place of the system's";
    HOME = "the home folder";
    XDG_CONFIG_HOME = "the folder for configuration on Linux; a relative path is ignored";
    APPDATA = "the folder for configuration on Windows";
    PATH = "where programs are found";
    TMPDIR = "where sandbox makes its folder";
    _GAUTH_COMPLETE = "set by the completion scripts: the shell that asks for candidates";
    CI = "set: nobody is there to be asked";
    BROWSER = "what login opens a URL with; several with colons between them, %s for the URL";
    DISPLAY = "set: there is a display for a browser";
    WAYLAND_DISPLAY = "set: there is a display for a browser";
    WSL_DISTRO_NAME = "set in Linux on Windows, whose browser is used";
    SSH_CONNECTION = "set over SSH: no browser is opened";
    SSH_CLIENT = "set over SSH: no browser is opened";
    SSH_TTY = "set over SSH: no browser is opened";
    NO_COLOR = "set: no colours";
    CLICOLOR_FORCE = "set and not 0: colours even where standard output is no terminal";
    TERM = "dumb: no colours";
    COLUMNS = "the width of the terminal";
}

/// The environment: the process's own, or a fixed one in tests.
#[derive(Debug, Clone)]
pub enum Env {
    /// Looked up when asked for.
    Process,
    /// Exactly these.
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
            Some(Err(_)) => Err(Error::usage(format!("{} is not valid UTF-8", variable.name))
                .hint(format!("unset {}", variable.name))),
        }
    }

    /// The variable under its name or, failing that, its name in lower case, as proxies are given.
    pub fn any_case(&self, variable: &Variable) -> Result<Option<String>> {
        let lower = variable.name.to_ascii_lowercase();
        match self.lookup(&lower).filter(|value| !value.is_empty()) {
            Some(value) => value.into_string().map(Some).map_err(|_| {
                Error::usage(format!("{lower} is not valid UTF-8")).hint(format!("unset {lower}"))
            }),
            None => self.text(variable),
        }
    }

    /// The shell whose completion script is asking.
    pub fn completion_shell(&self) -> Option<OsString> {
        self.os(&_GAUTH_COMPLETE)
    }

    /// Whether the variable says yes: `true`, `1`, `on`, `yes`, `y` in any case.
    pub fn is_true(&self, variable: &Variable) -> bool {
        self.os(variable).is_some_and(|value| is_true_text(&value.to_string_lossy()))
    }

    /// What the environment says of one of gcloud's properties, even when that is the empty text. Any property
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
                Err(Error::usage(format!("{name} is not valid UTF-8"))
                    .hint(format!("unset {name}")))
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
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
        assert_eq!(
            gcloud_property_variable("core", "universe_domain"),
            CLOUDSDK_CORE_UNIVERSE_DOMAIN.name
        );
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
