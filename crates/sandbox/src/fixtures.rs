//! The users, service accounts and OAuth clients of the sandbox, and their secrets, which are generated for each run.

use sha2::{Digest, Sha256};

use crate::external_identities::ExternalIdentities;
use crate::keys::{key_id, load_or_generate_key};
use crate::metadata_protocol::{AttachedServiceAccount, InstanceInfo};
use crate::random_id::random_base64url;
use gauth_core::error::{Error, Result};
use gauth_core::jose::key::PublicKey;
use gauth_core::text::secret::Secret;

/// The email address of the first user.
pub const USER: &str = "ada@example.com";
/// The email address of the second user.
pub const OTHER_USER: &str = "bob@example.com";
/// Google's issuer identifier.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// A user with a Google account.
#[derive(Debug)]
pub struct UserAccount {
    pub(crate) email: &'static str,
    pub(crate) given_name: &'static str,
    pub(crate) family_name: &'static str,
}

impl UserAccount {
    /// The Google Workspace domain of the user.
    pub fn domain(&self) -> &'static str {
        self.email.rsplit('@').next().unwrap_or_default()
    }
}

/// The users who can sign in; the first one is the default.
pub const USERS: &[UserAccount] = &[
    UserAccount { email: USER, given_name: "Ada", family_name: "Lovelace" },
    UserAccount { email: OTHER_USER, given_name: "Bob", family_name: "Example" },
];

/// Finds a user by email address.
pub fn find_user(email: &str) -> Option<&'static UserAccount> {
    USERS.iter().find(|user| user.email.eq_ignore_ascii_case(email))
}
/// The service account that has a key file.
pub const SERVICE_ACCOUNT: &str = "robot@sandbox-project.iam.gserviceaccount.com";
/// The default service account of the virtual machine.
pub const MACHINE_ACCOUNT: &str = "machine@sandbox-project.iam.gserviceaccount.com";
/// The second service account of the virtual machine.
pub const OTHER_MACHINE_ACCOUNT: &str = "second@sandbox-project.iam.gserviceaccount.com";
/// The ID of the sandbox's only project.
pub const PROJECT: &str = "sandbox-project";
/// The number of the same project.
pub const PROJECT_NUMBER: &str = "123456789012";
/// The OAuth client for installed applications, with which the user's login was made.
pub const CLIENT_ID: &str = "123456789012-sandbox.apps.googleusercontent.com";
/// The OAuth client for web applications, whose only redirect URI is [`WEB_REDIRECT_URI`].
pub const WEB_CLIENT_ID: &str = "123456789012-sandboxweb.apps.googleusercontent.com";
/// The redirect URI that is registered for [`WEB_CLIENT_ID`].
pub const WEB_REDIRECT_URI: &str = "http://localhost:8088/";
/// The OAuth client for devices with limited input.
pub const DEVICE_CLIENT_ID: &str = "123456789012-sandboxtv.apps.googleusercontent.com";
/// The public client of the external OpenID provider.
pub const PUBLIC_CLIENT_ID: &str = "sandbox-public";
/// The confidential client of the external OpenID provider.
pub const CONFIDENTIAL_CLIENT_ID: &str = "sandbox-confidential";
/// The service account that everyone may impersonate.
pub const DEPLOYER_ACCOUNT: &str = "deployer@sandbox-project.iam.gserviceaccount.com";
/// The service account for delegation chains: everyone may impersonate it, and it may impersonate
/// [`DELEGATION_TARGET_ACCOUNT`].
pub const DELEGATE_ACCOUNT: &str = "middle@sandbox-project.iam.gserviceaccount.com";
/// The service account that only [`DELEGATE_ACCOUNT`] may impersonate.
pub const DELEGATION_TARGET_ACCOUNT: &str = "behind@sandbox-project.iam.gserviceaccount.com";
/// The service account that no account may impersonate.
pub const FORBIDDEN_ACCOUNT: &str = "forbidden@sandbox-project.iam.gserviceaccount.com";
/// The resource name of the workload identity pool provider.
pub const WORKLOAD_PROVIDER: &str = "//iam.googleapis.com/projects/123456789012/locations/global/\
                                     workloadIdentityPools/sandbox-pool/providers/sandbox-provider";
/// The resource name of the workforce identity pool provider.
pub const WORKFORCE_PROVIDER: &str = "//iam.googleapis.com/locations/global/\
                                      workforcePools/sandbox-workforce/providers/sandbox-idp";
/// The service accounts that can be impersonated at all.
pub(crate) const IMPERSONABLE_ACCOUNTS: [&str; 3] = [DEPLOYER_ACCOUNT, DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT];
/// The scope for all of Google Cloud.
pub(crate) const CLOUD_PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The full name of the `email` scope.
pub const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";

/// The scopes that the user has granted, which are those of `gcloud auth login`.
pub const GRANTED_SCOPES: [&str; 7] = [
    "openid",
    EMAIL_SCOPE,
    CLOUD_PLATFORM_SCOPE,
    "https://www.googleapis.com/auth/appengine.admin",
    "https://www.googleapis.com/auth/sqlservice.login",
    "https://www.googleapis.com/auth/compute",
    "https://www.googleapis.com/auth/accounts.reauth",
];

/// The secrets of the sandbox's accounts and clients.
pub struct Fixtures {
    /// The private key of the service account as PEM.
    pub service_account_pem: Secret,
    /// The id of that key.
    pub service_account_key_id: String,
    /// The public half of that key.
    pub service_account_public_key: PublicKey,
    /// The secret of the OAuth client for installed applications.
    pub client_secret: Secret,
    /// The secret of the OAuth client for web applications.
    pub web_client_secret: Secret,
    /// The secret of the OAuth client for devices.
    pub device_client_secret: Secret,
    /// The users' password, for reauthentication.
    pub password: Secret,
    /// The user's first refresh token.
    pub refresh_token: Secret,
    /// The first refresh token of the user who signs in through the workforce pool.
    pub workforce_refresh_token: Secret,
    /// The identities without a Google account.
    pub external: ExternalIdentities,
}

impl Fixtures {
    /// Generates the secrets for a sandbox at `url` that starts `now`. Key generation takes a moment, which `pem`
    /// saves.
    ///
    /// # Errors
    /// When `pem` is not a private key, or the operating system has no random numbers.
    pub(crate) fn new(pem: Option<&Secret>, url: &str, now: i64) -> Result<Fixtures> {
        let key = load_or_generate_key(pem)?;
        let key_error = |what: String| Error::unexpected(format!("the key {what}"));
        Ok(Fixtures {
            service_account_pem: key.to_pem().map_err(key_error)?,
            service_account_key_id: key_id(&key.public_key()),
            service_account_public_key: key.public_key(),
            client_secret: Secret::new(format!("GOCSPX-{}", random_base64url(21)?)),
            web_client_secret: Secret::new(format!("GOCSPX-{}", random_base64url(21)?)),
            device_client_secret: Secret::new(format!("GOCSPX-{}", random_base64url(21)?)),
            password: Secret::new(random_base64url(9)?),
            refresh_token: Secret::new(format!("1//{}", random_base64url(45)?)),
            workforce_refresh_token: Secret::new(format!("1//{}", random_base64url(45)?)),
            external: ExternalIdentities::new(url, now)?,
        })
    }

    /// An OIDC token of the user, as a subject token for the workforce pool.
    ///
    /// # Errors
    /// When the external issuer's key cannot sign.
    pub fn workforce_token(&self, now: i64) -> std::result::Result<Secret, String> {
        self.external.subject_token(USER, WORKFORCE_PROVIDER, now)
    }
}

/// The unique id of an account, which depends on its name only.
pub fn subject_id(account: &str) -> String {
    let digest = Sha256::digest(account);
    let number = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("1{number:020}")
}

/// The metadata of the virtual machine.
pub(crate) fn machine_info() -> InstanceInfo {
    InstanceInfo {
        project_id: PROJECT.to_owned(),
        project_number: PROJECT_NUMBER.to_owned(),
        zone: "us-central1-a".to_owned(),
        universe_domain: "googleapis.com".to_owned(),
        instance_name: "sandbox-vm".to_owned(),
        instance_id: 1_234_567_890_123_456_789,
    }
}

/// The service accounts of the virtual machine.
pub(crate) fn machine_accounts() -> Vec<AttachedServiceAccount> {
    let account = |email: &str, scopes: &[&str]| AttachedServiceAccount {
        email: email.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    vec![
        account(MACHINE_ACCOUNT, &[CLOUD_PLATFORM_SCOPE, EMAIL_SCOPE]),
        account(OTHER_MACHINE_ACCOUNT, &[CLOUD_PLATFORM_SCOPE]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_ids_are_stable_numbers() {
        let number = subject_id(USER);
        assert_eq!(number, subject_id(USER));
        assert_ne!(number, subject_id(SERVICE_ACCOUNT));
        assert!(number.len() == 21 && number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
    }
}
