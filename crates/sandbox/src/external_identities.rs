//! Identities without a Google account: a workload with an OIDC token, an AWS role or a SAML response, and the
//! service account of Google Distributed Cloud.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::id_token::id_token_claims;
use crate::keys::key_id;
use crate::random_id::random_base64url;
use crate::timestamp::rfc3339;
use gauth_core::error::{Error, Result};
use gauth_core::jose::jwt;
use gauth_core::jose::key::{PrivateKey, PublicKey};
use gauth_core::net::aws_sigv4::AwsCredentials;
use gauth_core::text::secret::Secret;

/// The subject of the workload in OIDC tokens and SAML responses.
pub const WORKLOAD_SUBJECT: &str = "repo:sandbox/app:ref:refs/heads/main";
/// The name of the AWS machine's role.
pub const AWS_ROLE: &str = "sandbox-role";
/// The ARN of a session of that role.
pub const AWS_ARN: &str = "arn:aws:sts::123456789012:assumed-role/sandbox-role/i-0sandbox";
/// The availability zone of the AWS machine.
pub const AWS_ZONE: &str = "us-east-2b";
/// The project in Google Distributed Cloud.
pub const GDCH_PROJECT: &str = "sandbox-gdch";
/// The name of the service identity in Google Distributed Cloud.
pub const GDCH_SERVICE_IDENTITY_NAME: &str = "sandbox-identity";
/// The lifetime of subject tokens in seconds, which is the longest that STS accepts.
pub const SUBJECT_TOKEN_LIFETIME_SECONDS: i64 = 24 * 3600;

/// The external identities and their secrets.
pub struct ExternalIdentities {
    /// The issuer identifier of the external OIDC provider.
    pub issuer: String,
    issuer_key: PrivateKey,
    /// The secret of the OIDC provider's confidential client.
    pub client_secret: Secret,
    /// The secret with which a CI runner requests OIDC tokens.
    pub runner_secret: Secret,
    /// The AWS credentials that the instance metadata service issues.
    pub aws_keys: AwsCredentials,
    /// A SAML response, base64-encoded.
    pub saml_response: Secret,
    /// When the SAML response expires, in Unix seconds.
    pub saml_expires_at: i64,
    /// The private key of the GDCH service account as PEM.
    pub gdch_private_key_pem: Secret,
    /// The id of that key.
    pub gdch_key_id: String,
    /// The public half of that key.
    pub gdch_public_key: PublicKey,
}

impl ExternalIdentities {
    /// Generates the secrets for a sandbox at `url` that starts `now`.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub(crate) fn new(url: &str, now: i64) -> Result<ExternalIdentities> {
        let key_error = |what: String| Error::unexpected(format!("a key of the sandbox {what}"));
        // Elliptic curve keys, because generating an RSA key takes a moment.
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

    /// Signs these claims as the external OIDC provider.
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
        self.subject_token(WORKLOAD_SUBJECT, audience, now)
    }

    /// An OIDC token for this subject and audience.
    pub(crate) fn subject_token(&self, subject: &str, audience: &str, now: i64) -> std::result::Result<Secret, String> {
        let lifetime = SUBJECT_TOKEN_LIFETIME_SECONDS;
        self.sign_claims(&id_token_claims(&self.issuer, subject, audience, now, lifetime))
    }

    /// The public half of the OIDC provider's signing key.
    pub(crate) fn issuer_public_key(&self) -> PublicKey {
        self.issuer_key.public_key()
    }

    /// The id of the OIDC provider's signing key.
    pub(crate) fn issuer_key_id(&self) -> String {
        key_id(&self.issuer_key.public_key())
    }

    /// Whether the OIDC provider signed this message.
    pub(crate) fn has_issuer_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        self.issuer_key.public_key().verifies(message, signature)
    }
}

/// Temporary AWS credentials, as a role has them: with a session token.
fn generate_aws_keys() -> Result<AwsCredentials> {
    let letters = random_base64url(24)?.to_ascii_uppercase().replace(['-', '_'], "7");
    Ok(AwsCredentials {
        access_key_id: format!("ASIA{}", &letters[..16]),
        secret_access_key: Secret::new(random_base64url(30)?),
        session_token: Some(Secret::new(STANDARD.encode(random_base64url(150)?))),
    })
}

/// A SAML response as an identity provider posts it, except that it is not signed: STS compares it as a whole.
fn generate_saml_response(issuer: &str, expires_at: i64) -> Result<Secret> {
    let id = random_base64url(20)?;
    let not_on_or_after = rfc3339(expires_at);
    Ok(Secret::new(STANDARD.encode(format!(
        "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_{id}\" Version=\"2.0\">\
         <Issuer>{issuer}</Issuer><Assertion ID=\"_a{id}\" Version=\"2.0\"><Subject>\
         <NameID>{WORKLOAD_SUBJECT}</NameID></Subject><Conditions NotOnOrAfter=\"{not_on_or_after}\"/>\
         </Assertion></samlp:Response>"
    ))))
}
