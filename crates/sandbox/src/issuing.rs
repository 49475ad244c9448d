//! Issuing access tokens and ID tokens, and verifying the ID tokens that were issued.

use serde_json::Value;

use crate::fixtures;
use crate::fixtures::EMAIL_SCOPE;
use crate::id_token::{ID_TOKEN_LIFETIME_SECONDS, id_token_claims};
use crate::random_id::random_base64url;
use crate::state::SandboxState;
use crate::token_store::{AccessTokenRecord, includes_scope};
use gauth_core::http::server::http::ServerResponse;
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::jose::jwt;
use gauth_core::jose::jwt::UnverifiedJwt;
use gauth_core::text::secret::Secret;

/// The lifetime of access tokens, which is an hour less one second, as at Google.
pub(crate) const ACCESS_TOKEN_LIFETIME_SECONDS: i64 = 3599;

impl SandboxState {
    /// Issues an access token, and records what it stands for.
    pub(crate) fn issue_access_token(&self, prefix: &str, record: AccessTokenRecord) -> Result<String, ServerResponse> {
        let token = self.generate_access_token(prefix)?;
        lock_ignoring_poison(&self.token_store).insert_access_token(&token, record);
        Ok(token)
    }

    /// Generates an access token without recording it.
    pub(crate) fn generate_access_token(&self, prefix: &str) -> Result<String, ServerResponse> {
        random_base64url(96).map(|random| format!("{prefix}{random}")).map_err(|_| ServerResponse::empty(500))
    }

    /// Issues an ID token, signed by the sandbox's Google. The extra claims are added; those that are null are left
    /// out.
    pub(crate) fn issue_id_token(
        &self,
        account: &str,
        audience: &str,
        extra_claims: Value,
    ) -> Result<Secret, ServerResponse> {
        let now = self.now();
        let mut claims = id_token_claims(
            fixtures::GOOGLE_ISSUER,
            &fixtures::subject_id(account),
            audience,
            now,
            ID_TOKEN_LIFETIME_SECONDS,
        );
        claims["email"] = account.into();
        claims["email_verified"] = true.into();
        if let (Value::Object(claims), Value::Object(extra)) = (&mut claims, extra_claims) {
            claims.extend(extra);
            claims.retain(|_, value| !value.is_null());
        }
        self.google_signing_key.sign(&claims)
    }

    /// The header and claims of an unexpired ID token that the sandbox's Google signed.
    pub(crate) fn verify_google_id_token<'a>(&self, token: &'a str) -> Option<UnverifiedJwt<'a>> {
        let parts = jwt::decode(token).ok()?;
        let (key, id) = self.google_signing_key.public_key().ok()?;
        let expires_at = parts.claims.get("exp").and_then(Value::as_i64)?;
        let is_signed = parts.header.get("kid").and_then(Value::as_str) == Some(&id)
            && key.verifies(parts.signing_input, &parts.signature);
        (is_signed && expires_at > self.now()).then_some(parts)
    }

    /// Whether these scopes let tokeninfo and userinfo return the email address.
    pub(crate) fn has_email_scope(scopes: &[String]) -> bool {
        includes_scope(scopes, EMAIL_SCOPE)
    }
}
