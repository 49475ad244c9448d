//! Who lives in the sandbox, and the secrets they are known by. All of it is made up and thrown away.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::jwt;
use crate::key::{PrivateKey, PublicKey};
use crate::secret::Secret;
use crate::server::http::Answer;
use crate::server::lock;
use crate::server::metadata::{Account, Facts};
use crate::server::sandbox::outside::Outside;
use crate::token::CLOUD_PLATFORM;
use crate::world::random::{Random, System};

/// The person.
pub const USER: &str = "ada@example.com";
/// The other person.
pub const OTHER_USER: &str = "bob@example.com";
/// What Google calls itself as an issuer.
pub const GOOGLE: &str = "https://accounts.google.com";

/// Somebody who can sign in.
#[derive(Debug)]
pub struct Person {
    /// The address.
    pub email: &'static str,
    /// The first name.
    pub given_name: &'static str,
    /// The other one.
    pub family_name: &'static str,
}

impl Person {
    /// The organisation that the address is of.
    pub fn domain(&self) -> &'static str {
        self.email.rsplit('@').next().unwrap_or_default()
    }
}

/// Those who can sign in, the usual one first.
pub const PEOPLE: &[Person] = &[
    Person { email: USER, given_name: "Ada", family_name: "Lovelace" },
    Person { email: OTHER_USER, given_name: "Bob", family_name: "Example" },
];

/// The person with this address.
pub fn person(email: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.email.eq_ignore_ascii_case(email))
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
pub const DEPLOYER: &str = "deployer@sandbox-project.iam.gserviceaccount.com";
/// The service account between: everybody may act as it, and it as [`BEHIND`].
pub const MIDDLE: &str = "middle@sandbox-project.iam.gserviceaccount.com";
/// The service account that only [`MIDDLE`] may act as.
pub const BEHIND: &str = "behind@sandbox-project.iam.gserviceaccount.com";
/// The service account that nobody may act as.
pub const FORBIDDEN: &str = "forbidden@sandbox-project.iam.gserviceaccount.com";
/// The provider of the workload pool.
pub const WORKLOAD_PROVIDER: &str = "//iam.googleapis.com/projects/123456789012/locations/global/\
                                     workloadIdentityPools/sandbox-pool/providers/sandbox-provider";
/// The provider of the workforce pool.
pub const WORKFORCE_PROVIDER: &str = "//iam.googleapis.com/locations/global/\
                                      workforcePools/sandbox-workforce/providers/sandbox-idp";
/// The long name of the `email` scope.
pub const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";

/// What the person has granted: the scopes of `gcloud auth login`.
pub const GRANTED: [&str; 7] = [
    "openid",
    EMAIL_SCOPE,
    CLOUD_PLATFORM,
    "https://www.googleapis.com/auth/appengine.admin",
    "https://www.googleapis.com/auth/sqlservice.login",
    "https://www.googleapis.com/auth/compute",
    "https://www.googleapis.com/auth/accounts.reauth",
];

/// Those who have secrets.
pub struct Cast {
    /// The key of the service account, for its file.
    pub service_account_pem: Secret,
    /// Its number.
    pub key_id: String,
    /// Its public half, which is all the token endpoint needs.
    pub service_account_key: PublicKey,
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
    pub outside: Outside,
}

impl Cast {
    /// Makes up the secrets, for a sandbox at `url` that starts `now`; `pem` saves the time to make a key.
    ///
    /// # Errors
    /// When `pem` is not a key, or the system has no randomness.
    pub(super) fn new(pem: Option<&Secret>, url: &str, now: i64) -> Result<Cast> {
        let key = key(pem)?;
        let unusable = |what: String| Error::unexpected(format!("the key {what}"));
        Ok(Cast {
            service_account_pem: key.to_pem().map_err(unusable)?,
            key_id: key_id(&key.public()),
            service_account_key: key.public(),
            client_secret: Secret::new(format!("GOCSPX-{}", random(21)?)),
            web_client_secret: Secret::new(format!("GOCSPX-{}", random(21)?)),
            device_client_secret: Secret::new(format!("GOCSPX-{}", random(21)?)),
            password: Secret::new(random(9)?),
            refresh_token: Secret::new(format!("1//{}", random(45)?)),
            workforce_refresh_token: Secret::new(format!("1//{}", random(45)?)),
            outside: Outside::new(url, now)?,
        })
    }
}

/// A key from PEM, or a new one.
fn key(pem: Option<&Secret>) -> Result<PrivateKey> {
    let key = match pem {
        Some(pem) => PrivateKey::from_pem(pem.expose()),
        None => PrivateKey::generate(),
    };
    key.map_err(|what| Error::unexpected(format!("the sandbox's key {what}")))
}

/// 40 hex digits, as Google's, from the key itself.
pub(super) fn key_id(key: &PublicKey) -> String {
    Sha256::digest(key.parts().0).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// `bytes` random bytes, base64url.
pub fn random(bytes: usize) -> Result<String> {
    let mut raw = vec![0; bytes];
    System.fill(&mut raw)?;
    Ok(URL_SAFE_NO_PAD.encode(raw))
}

/// The number of an account, always the same for the same name.
pub fn subject(account: &str) -> String {
    let digest = Sha256::digest(account);
    let number = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("1{number:020}")
}

/// What the machine is.
pub fn facts() -> Facts {
    Facts {
        project: PROJECT.to_owned(),
        number: PROJECT_NUMBER.to_owned(),
        zone: "us-central1-a".to_owned(),
        universe: "googleapis.com".to_owned(),
        name: "sandbox-vm".to_owned(),
        id: 1_234_567_890_123_456_789,
    }
}

/// The accounts of the machine.
pub fn machine_accounts() -> Vec<Account> {
    let account = |email: &str, scopes: &[&str]| Account {
        email: email.to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    vec![
        account(MACHINE_ACCOUNT, &[CLOUD_PLATFORM, EMAIL_SCOPE]),
        account(OTHER_MACHINE_ACCOUNT, &[CLOUD_PLATFORM]),
    ]
}

/// The key Google signs ID tokens with, made when first needed.
pub struct GoogleKey {
    pem: Option<Secret>,
    made: Mutex<Option<PrivateKey>>,
}

impl GoogleKey {
    /// `pem` saves the time to make one.
    pub fn new(pem: Option<Secret>) -> GoogleKey {
        GoogleKey { pem, made: Mutex::new(None) }
    }

    /// Signs claims.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn sign(&self, claims: &serde_json::Value) -> std::result::Result<String, Answer> {
        self.with(|key| jwt::sign(key, Some(&key_id(&key.public())), claims))?
            .map(|token| token.expose().to_owned())
            .map_err(|what| Answer::text(500, format!("Google's key {what}\n")))
    }

    /// The public half and its number.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn public(&self) -> std::result::Result<(PublicKey, String), Answer> {
        self.with(PrivateKey::public).map(|key| {
            let id = key_id(&key);
            (key, id)
        })
    }

    fn with<T>(&self, use_key: impl FnOnce(&PrivateKey) -> T) -> std::result::Result<T, Answer> {
        let mut made = lock(&self.made);
        if made.is_none() {
            let new = key(self.pem.as_ref());
            *made = Some(new.map_err(|error| Answer::text(500, format!("{error}\n")))?);
        }
        match &*made {
            Some(key) => Ok(use_key(key)),
            None => Err(Answer::empty(500)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_numbers_that_stay() {
        let number = subject(USER);
        assert_eq!(number, subject(USER));
        assert_ne!(number, subject(SERVICE_ACCOUNT));
        assert!(number.len() == 21 && number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
    }
}
