//! The service account of the machine: tokens from the metadata server of Compute Engine and its like.

use crate::error::{Error, ErrorKind, Result};
use crate::google::metadata;
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Credential, CredentialInfo, Session};
use crate::tokens::{AccessTokenRequest, IdTokenRequest, Token};

/// Seconds a cached token must have left. The server gives the same token until four minutes before its expiry:
/// asking earlier gives no new one.
const REFRESH_MARGIN_SECONDS: i64 = 225;

/// A service account that is attached to this machine.
pub struct MetadataServerCredential {
    info: CredentialInfo,
    /// The server's host and port.
    server_authority: String,
    /// `default`, or an e-mail address.
    account: String,
    /// Differs from one boot of the machine to the next: another account may be attached then.
    boot_id: Option<String>,
    /// The universe domain the user chose, which the server's must be.
    required_universe: Option<String>,
}

impl MetadataServerCredential {
    /// The account of this name, or the default one, at the server with this host and port.
    pub fn new(
        server_authority: String,
        account: Option<&str>,
        boot_id: Option<String>,
        required_universe: Option<String>,
    ) -> MetadataServerCredential {
        let info = CredentialInfo {
            credential_type: "metadata".to_owned(),
            location: format!("the metadata server {}", crate::text::printable::text(&server_authority)),
            account: account.map(str::to_owned),
            universe_domain: required_universe.clone(),
            ..CredentialInfo::default()
        };
        let account = account.unwrap_or("default").to_owned();
        MetadataServerCredential { info, server_authority, account, boot_id, required_universe }
    }

    fn fetch_value(&self, path: &str, session: &dyn Session) -> Result<Option<String>> {
        let request = metadata::value_request(&self.server_authority, path)?;
        let response = session.send(&request)?;
        metadata::read_value(&response, request.url.authority())
    }

    fn check_supported(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<()> {
        if request.subject.is_some() {
            let error = self.info.unsupported_error("act for a user (--subject)");
            return Err(error.hint("use the key of a service account with domain-wide delegation"));
        }
        if request.lifetime.is_some() {
            let error = self.info.unsupported_error("choose how long its tokens live (--lifetime)");
            return Err(error.hint("remove --lifetime, the server decides"));
        }
        let Some(required_universe) = &self.required_universe else { return Ok(()) };
        let found = self.fetch_value("universe/universe-domain", session)?;
        let found = found.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
        match found == *required_universe {
            true => Ok(()),
            false => {
                let found = crate::text::printable::redacted(&found);
                let message = format!("this machine is in the universe {found}, not {required_universe}");
                Err(Error::unsupported(message).hint("remove --universe-domain"))
            }
        }
    }
}

impl Credential for MetadataServerCredential {
    fn info(&self) -> &CredentialInfo {
        &self.info
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("metadata");
        hasher.add_text(&self.server_authority);
        hasher.add_text(&self.account);
        hasher.add_optional(self.boot_id.as_deref());
        hasher.add_optional(self.required_universe.as_deref());
    }

    fn access_token(&self, request: &AccessTokenRequest, session: &dyn Session) -> Result<Token> {
        self.check_supported(request, session)?;
        let now = session.now();
        let http_request = metadata::access_token_request(&self.server_authority, &self.account, &request.scopes)?;
        let response = session.send(&http_request)?;
        let granted = metadata::read_access_token(&response, http_request.url.authority(), now)
            .map_err(|error| self.explain_not_found(error))?;
        let mut token = Token::new(granted.access_token, "metadata", granted.expires_at);
        token.scopes = granted.scopes;
        token.refresh_margin = REFRESH_MARGIN_SECONDS;
        Ok(self.info.annotate(token))
    }

    fn id_token(&self, request: &IdTokenRequest, session: &dyn Session) -> Result<Token> {
        self.info.check_id_token_options(&IdTokenRequest {
            full_format: None,
            include_licenses: false,
            ..request.clone()
        })?;
        let Some(audience) = &request.audience else {
            return Err(self.info.missing_audience_error());
        };
        self.check_supported(&AccessTokenRequest::default(), session)?;
        let full_format = request.full_format.unwrap_or(false);
        let http_request = metadata::id_token_request(
            &self.server_authority,
            &self.account,
            audience,
            full_format,
            request.include_licenses,
        )?;
        let response = session.send(&http_request)?;
        let token = metadata::read_id_token(&response, http_request.url.authority())
            .map_err(|error| self.explain_not_found(error))?;
        let mut token = Token::from_id_token(token, "metadata");
        token.refresh_margin = REFRESH_MARGIN_SECONDS;
        Ok(self.info.annotate(token))
    }

    fn fetch_info(&self, session: &dyn Session) -> Result<CredentialInfo> {
        let mut info = self.info.clone();
        info.account = self.fetch_value(&metadata::email_path(&self.account), session)?;
        info.project = self.fetch_value("project/project-id", session)?;
        let universe = self.fetch_value("universe/universe-domain", session)?;
        info.universe_domain = universe.or_else(|| Some(DEFAULT_UNIVERSE.to_owned()));
        Ok(info)
    }
}

impl MetadataServerCredential {
    /// The server is the last source in which an account is looked up: if it is not there, it does not exist.
    fn explain_not_found(&self, error: Error) -> Error {
        match (error.http_status(), self.info.account.as_deref()) {
            (Some(404), Some(account)) => Error::new(
                ErrorKind::NoCredential,
                format!(
                    "neither gauth nor gcloud has a login for {}, and {} has no such account",
                    crate::text::printable::text(account),
                    self.info.location
                ),
            )
            .hint("gauth status lists what there is"),
            _ => error,
        }
    }
}
