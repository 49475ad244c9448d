//! Who has no Google account and is let in by federation: a runner with an OIDC token, a role at AWS, a SAML
//! assertion; and the service account of a distributed cloud. Their secrets are made up like all others here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fixtures::{WORKFORCE_PROVIDER, key_id, random_base64url};
use gauth_core::error::{Error, Result};
use gauth_core::jose::jwt;
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::net::aws_sigv4::AwsCredentials;
use gauth_core::text::secret::Secret;

/// What OIDC tokens and SAML assertions call the workload.
pub const WORKLOAD_SUBJECT: &str = "repo:sandbox/app:ref:refs/heads/main";
/// The role of the machine at AWS.
pub const AWS_ROLE: &str = "sandbox-role";
/// What AWS calls who has that role.
pub const AWS_ARN: &str = "arn:aws:sts::123456789012:assumed-role/sandbox-role/i-0sandbox";
/// Where the machine at AWS is.
pub const AWS_ZONE: &str = "us-east-2b";
/// The project of the distributed cloud.
pub const GDCH_PROJECT: &str = "sandbox-gdch";
/// The service account of the distributed cloud.
pub const GDCH_SERVICE_IDENTITY_NAME: &str = "sandbox-identity";
/// How long subject tokens are good, in seconds: the longest that STS takes.
pub const SUBJECT_TOKEN_LIFETIME_SECONDS: i64 = 24 * 3600;

/// Everybody outside, and what they are known by.
pub struct ExternalIdentities {
    /// What the OIDC issuer calls itself.
    pub issuer: String,
    issuer_key: PrivateKey,
    /// The secret of the issuer's confidential client.
    pub client_secret: Secret,
    /// The secret with which the runner asks for OIDC tokens.
    pub runner_secret: Secret,
    /// What the metadata server of AWS hands out.
    pub aws_keys: AwsCredentials,
    /// A SAML response, base64.
    pub saml_response: Secret,
    /// When the SAML response ends, in Unix seconds.
    pub saml_expires_at: i64,
    /// The key of the distributed cloud's service account, for its file.
    pub gdch_private_key_pem: Secret,
    /// Its number.
    pub gdch_key_id: String,
    /// Its public half.
    pub gdch_public_key: PublicKey,
}

impl ExternalIdentities {
    /// Makes up the secrets, for a sandbox at `url` that starts `now`.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn new(url: &str, now: i64) -> Result<ExternalIdentities> {
        let key_error = |what: String| Error::unexpected(format!("the sandbox's key {what}"));
        // On a curve, because an RSA key takes a moment to make.
        let gdch_key = PrivateKey::generate_ec().map_err(key_error)?;
        let issuer = format!("{url}/oidc");
        let saml_expires_at = now + SUBJECT_TOKEN_LIFETIME_SECONDS;
        Ok(ExternalIdentities {
            issuer_key: PrivateKey::generate_ec().map_err(key_error)?,
            client_secret: Secret::new(random_base64url(30)?),
            runner_secret: Secret::new(random_base64url(30)?),
            aws_keys: generate_aws_keys()?,
            saml_response: generate_saml_response(&issuer, saml_expires_at)?,
            saml_expires_at,
            gdch_private_key_pem: gdch_key.to_pem().map_err(key_error)?,
            gdch_key_id: key_id(&gdch_key.public_key()),
            gdch_public_key: gdch_key.public_key(),
            issuer,
        })
    }

    /// Signs claims as the OIDC issuer.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_claims(&self, claims: &Value) -> std::result::Result<Secret, String> {
        jwt::sign(&self.issuer_key, Some(&self.issuer_key_id()), claims)
    }

    /// An OIDC token of the workload for this audience.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn workload_token(&self, audience: &str, now: i64) -> std::result::Result<Secret, String> {
        self.sign_claims(&self.subject_token_claims(WORKLOAD_SUBJECT, audience, now))
    }

    /// An OIDC token of the person, for the workforce pool.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn workforce_token(&self, now: i64) -> std::result::Result<Secret, String> {
        self.sign_claims(&self.subject_token_claims(super::fixtures::USER, WORKFORCE_PROVIDER, now))
    }

    fn subject_token_claims(&self, subject: &str, audience: &str, now: i64) -> Value {
        json!({
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "iat": now,
            "exp": now + SUBJECT_TOKEN_LIFETIME_SECONDS,
        })
    }

    /// The public half of the issuer's key.
    pub(super) fn issuer_public_key(&self) -> PublicKey {
        self.issuer_key.public_key()
    }

    /// The number of the issuer's key.
    pub(super) fn issuer_key_id(&self) -> String {
        key_id(&self.issuer_key.public_key())
    }

    /// Whether the issuer signed this.
    pub(super) fn has_issuer_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        self.issuer_key.public_key().verifies(message, signature)
    }
}

/// Keys in the shapes of AWS: for a role they are temporary, so there is a session token.
fn generate_aws_keys() -> Result<AwsCredentials> {
    let letters = random_base64url(24)?.to_ascii_uppercase().replace(['-', '_'], "7");
    Ok(AwsCredentials {
        access_key_id: format!("ASIA{}", &letters[..16]),
        secret_access_key: Secret::new(random_base64url(30)?),
        session_token: Some(Secret::new(STANDARD.encode(random_base64url(150)?))),
    })
}

/// As an identity provider would post it, but for the signature: STS knows it by what it is.
fn generate_saml_response(issuer: &str, expires_at: i64) -> Result<Secret> {
    let id = random_base64url(20)?;
    let not_on_or_after = super::rfc3339(expires_at);
    Ok(Secret::new(STANDARD.encode(format!(
        "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_{id}\" Version=\"2.0\">\
         <Issuer>{issuer}</Issuer><Assertion ID=\"_a{id}\" Version=\"2.0\"><Subject>\
         <NameID>{WORKLOAD_SUBJECT}</NameID></Subject><Conditions NotOnOrAfter=\"{not_on_or_after}\"/>\
         </Assertion></samlp:Response>"
    ))))
}
