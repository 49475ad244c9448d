//! Who lives in the sandbox, and the secrets they are known by. All of it is made up and thrown away.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::external_identities::ExternalIdentities;
use crate::metadata_protocol::{AttachedServiceAccount, InstanceInfo};
use gauth_core::error::{Error, Result};
use gauth_core::http::server::http::ServerResponse;
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::jose::jwt;
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_core::text::secret::Secret;
use gauth_core::world::random::{Random, SystemRandom};

/// The person.
pub const USER: &str = "ada@example.com";
/// The other person.
pub const OTHER_USER: &str = "bob@example.com";
/// What Google calls itself as an issuer.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// Somebody who can sign in.
#[derive(Debug)]
pub struct UserAccount {
    /// The address.
    pub email: &'static str,
    /// The first name.
    pub given_name: &'static str,
    /// The other one.
    pub family_name: &'static str,
}

impl UserAccount {
    /// The organisation that the address is of.
    pub fn domain(&self) -> &'static str {
        self.email.rsplit('@').next().unwrap_or_default()
    }
}

/// Those who can sign in, the usual one first.
pub const USERS: &[UserAccount] = &[
    UserAccount { email: USER, given_name: "Ada", family_name: "Lovelace" },
    UserAccount { email: OTHER_USER, given_name: "Bob", family_name: "Example" },
];

/// The person with this address.
pub fn find_user(email: &str) -> Option<&'static UserAccount> {
    USERS.iter().find(|user| user.email.eq_ignore_ascii_case(email))
}
/// The service account that has a key file.
pub const SERVICE_ACCOUNT: &str = "robot@sandbox-project.iam.gserviceaccount.com";
/// The service account of the machine.
pub const MACHINE_ACCOUNT: &str = "machine@sandbox-project.iam.gserviceaccount.com";
/// The other service account of the machine.
pub const OTHER_MACHINE_ACCOUNT: &str = "second@sandbox-project.iam.gserviceaccount.com";
/// The project.
pub const PROJECT: &str = "sandbox-project";
/// The number of the project.
pub const PROJECT_NUMBER: &str = "123456789012";
/// The OAuth client of the person's login.
pub const CLIENT_ID: &str = "123456789012-sandbox.apps.googleusercontent.com";
/// An OAuth client of a web site, which gets its answers at [`WEB_REDIRECT_URI`].
pub const WEB_CLIENT_ID: &str = "123456789012-sandboxweb.apps.googleusercontent.com";
/// The one address that is registered for [`WEB_CLIENT_ID`].
pub const WEB_REDIRECT_URI: &str = "http://localhost:8088/";
/// An OAuth client of a device without a browser.
pub const DEVICE_CLIENT_ID: &str = "123456789012-sandboxtv.apps.googleusercontent.com";
/// The client without a secret, of the outside OpenID provider.
pub const PUBLIC_CLIENT_ID: &str = "sandbox-public";
/// The client with a secret, of the outside OpenID provider.
pub const CONFIDENTIAL_CLIENT_ID: &str = "sandbox-confidential";
/// The service account that everybody may act as.
pub const DEPLOYER_ACCOUNT: &str = "deployer@sandbox-project.iam.gserviceaccount.com";
/// The service account between: everybody may act as it, and it as [`BEHIND`].
pub const DELEGATE_ACCOUNT: &str = "middle@sandbox-project.iam.gserviceaccount.com";
/// The service account that only [`MIDDLE`] may act as.
pub const DELEGATION_TARGET_ACCOUNT: &str = "behind@sandbox-project.iam.gserviceaccount.com";
/// The service account that nobody may act as.
pub const FORBIDDEN_ACCOUNT: &str = "forbidden@sandbox-project.iam.gserviceaccount.com";
/// The provider of the workload pool.
pub const WORKLOAD_PROVIDER: &str = "//iam.googleapis.com/projects/123456789012/locations/global/\
                                     workloadIdentityPools/sandbox-pool/providers/sandbox-provider";
/// The provider of the workforce pool.
pub const WORKFORCE_PROVIDER: &str = "//iam.googleapis.com/locations/global/\
                                      workforcePools/sandbox-workforce/providers/sandbox-idp";
/// The long name of the `email` scope.
pub const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";

/// What the person has granted: the scopes of `gcloud auth login`.
pub const GRANTED_SCOPES: [&str; 7] = [
    "openid",
    EMAIL_SCOPE,
    CLOUD_PLATFORM_SCOPE,
    "https://www.googleapis.com/auth/appengine.admin",
    "https://www.googleapis.com/auth/sqlservice.login",
    "https://www.googleapis.com/auth/compute",
    "https://www.googleapis.com/auth/accounts.reauth",
];

/// Those who have secrets.
pub struct Fixtures {
    /// The key of the service account, for its file.
    pub service_account_pem: Secret,
    /// Its number.
    pub service_account_key_id: String,
    /// Its public half, which is all the token endpoint needs.
    pub service_account_public_key: PublicKey,
    /// The secret of the OAuth client.
    pub client_secret: Secret,
    /// The secret of the web site's client.
    pub web_client_secret: Secret,
    /// The secret of the device's client, which every such device knows.
    pub device_client_secret: Secret,
    /// What people answer when they are asked for their password again.
    pub password: Secret,
    /// The person's first refresh token.
    pub refresh_token: Secret,
    /// The first refresh token of the person who comes in through the workforce pool.
    pub workforce_refresh_token: Secret,
    /// Those who have no Google account.
    pub external: ExternalIdentities,
}

impl Fixtures {
    /// Makes up the secrets, for a sandbox at `url` that starts `now`; `pem` saves the time to make a key.
    ///
    /// # Errors
    /// When `pem` is not a key, or the system has no randomness.
    pub(super) fn new(pem: Option<&Secret>, url: &str, now: i64) -> Result<Fixtures> {
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
}

/// A key from PEM, or a new one.
fn load_or_generate_key(pem: Option<&Secret>) -> Result<PrivateKey> {
    let key = match pem {
        Some(pem) => PrivateKey::rsa_from_pem(pem.expose()),
        None => PrivateKey::generate(),
    };
    key.map_err(|what| Error::unexpected(format!("the sandbox's key {what}")))
}

/// 40 hex digits, as Google's, from the key itself.
pub(super) fn key_id(key: &PublicKey) -> String {
    Sha256::digest(key.jwk_parameters().0)
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `bytes` random bytes, base64url.
pub fn random_base64url(bytes: usize) -> Result<String> {
    let mut raw = vec![0; bytes];
    SystemRandom.fill(&mut raw)?;
    Ok(URL_SAFE_NO_PAD.encode(raw))
}

/// The number of an account, always the same for the same name.
pub fn subject_id(account: &str) -> String {
    let digest = Sha256::digest(account);
    let number = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("1{number:020}")
}

/// What the machine is.
pub fn machine_info() -> InstanceInfo {
    InstanceInfo {
        project_id: PROJECT.to_owned(),
        project_number: PROJECT_NUMBER.to_owned(),
        zone: "us-central1-a".to_owned(),
        universe_domain: "googleapis.com".to_owned(),
        instance_name: "sandbox-vm".to_owned(),
        instance_id: 1_234_567_890_123_456_789,
    }
}

/// The accounts of the machine.
pub fn machine_accounts() -> Vec<AttachedServiceAccount> {
    let account = |email: &str, scopes: &[&str]| AttachedServiceAccount {
        email: email.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    vec![
        account(MACHINE_ACCOUNT, &[CLOUD_PLATFORM_SCOPE, EMAIL_SCOPE]),
        account(OTHER_MACHINE_ACCOUNT, &[CLOUD_PLATFORM_SCOPE]),
    ]
}

/// The key Google signs ID tokens with, made when first needed.
pub struct GoogleSigningKey {
    pem: Option<Secret>,
    key: Mutex<Option<PrivateKey>>,
}

impl GoogleSigningKey {
    /// `pem` saves the time to make one.
    pub fn new(pem: Option<Secret>) -> GoogleSigningKey {
        GoogleSigningKey { pem, key: Mutex::new(None) }
    }

    /// Signs claims.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn sign(&self, claims: &serde_json::Value) -> std::result::Result<String, ServerResponse> {
        self.with_key(|key| jwt::sign(key, Some(&key_id(&key.public_key())), claims))?
            .map(|token| token.expose().to_owned())
            .map_err(|what| ServerResponse::text(500, format!("Google's key {what}\n")))
    }

    /// The public half and its number.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn public_key(&self) -> std::result::Result<(PublicKey, String), ServerResponse> {
        self.with_key(PrivateKey::public_key).map(|key| {
            let id = key_id(&key);
            (key, id)
        })
    }

    fn with_key<T>(
        &self,
        use_key: impl FnOnce(&PrivateKey) -> T,
    ) -> std::result::Result<T, ServerResponse> {
        let mut slot = lock_ignoring_poison(&self.key);
        if slot.is_none() {
            let new = load_or_generate_key(self.pem.as_ref());
            *slot = Some(new.map_err(|error| ServerResponse::text(500, format!("{error}\n")))?);
        }
        match &*slot {
            Some(key) => Ok(use_key(key)),
            None => Err(ServerResponse::empty(500)),
        }
    }
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
