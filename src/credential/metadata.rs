//! The account of the machine: tokens from the metadata server.

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::{About, Credential};
use crate::error::{Error, ErrorKind, Result};
use crate::google::metadata;
use crate::token::{AccessRequest, IdentityRequest, Token};
use crate::trust::DEFAULT_UNIVERSE;

/// Seconds a cached token must have left. The server hands out the same token until four minutes before its
/// end: asking earlier gives nothing new.
const MARGIN: i64 = 225;

/// A service account attached to this machine.
pub struct Metadata {
    about: About,
    /// Host and port of the server.
    base: String,
    /// `default`, or an e-mail.
    account: String,
    /// Tells one start of the machine from the next: another account may be attached meanwhile.
    boot_id: Option<String>,
    /// The universe the user named, which the server's must be.
    universe: Option<String>,
}

impl Metadata {
    /// The server at `base` (host and port), with the chosen account or its default one.
    pub fn new(
        base: String,
        account: Option<&str>,
        boot_id: Option<String>,
        universe: Option<String>,
    ) -> Metadata {
        let about = About {
            kind: "metadata".to_owned(),
            place: format!("the metadata server {}", crate::printable::text(&base)),
            account: account.map(str::to_owned),
            universe_domain: universe.clone(),
            ..About::default()
        };
        let account = account.unwrap_or("default").to_owned();
        Metadata { about, base, account, boot_id, universe }
    }

    fn value(&self, path: &str, broker: &Broker<'_>) -> Result<Option<String>> {
        let request = metadata::value(&self.base, path)?;
        let response = broker.send(&request)?;
        metadata::read_value(&response, request.url.authority())
    }

    fn check(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<()> {
        if request.subject.is_some() {
            let error = self.about.cannot("act for a user (--subject)");
            return Err(error.hint("use the key of a service account with domain-wide delegation"));
        }
        if request.lifetime.is_some() {
            let error = self.about.cannot("choose how long its tokens live (--lifetime)");
            return Err(error.hint("leave --lifetime away, the server decides"));
        }
        let Some(wanted) = &self.universe else { return Ok(()) };
        let found = self.value("universe/universe-domain", broker)?;
        let found = found.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
        match found == *wanted {
            true => Ok(()),
            false => {
                let found = crate::printable::said(&found);
                let message = format!("this machine is in the universe {found}, not {wanted}");
                Err(Error::unsupported(message).hint("leave --universe-domain away"))
            }
        }
    }
}

impl Credential for Metadata {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("metadata");
        digest.field(&self.base);
        digest.field(&self.account);
        digest.optional(self.boot_id.as_deref());
        digest.optional(self.universe.as_deref());
    }

    fn margin(&self) -> i64 {
        MARGIN
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.check(request, broker)?;
        let now = broker.now();
        let wish = metadata::access_token(&self.base, &self.account, &request.scopes)?;
        let response = broker.send(&wish)?;
        let granted = metadata::read_token(&response, wish.url.authority(), now)
            .map_err(|error| self.not_found(error))?;
        let mut token = Token::new(granted.access_token, "metadata", granted.expires_at);
        token.scopes = granted.scopes;
        Ok(self.about.stamp(token))
    }

    fn identity_token(&self, request: &IdentityRequest, broker: &Broker<'_>) -> Result<Token> {
        self.about.plain_identity(&IdentityRequest {
            full: None,
            licenses: false,
            ..request.clone()
        })?;
        let Some(audience) = &request.audience else { return Err(self.about.needs_audience()) };
        self.check(&AccessRequest::default(), broker)?;
        let full = request.full.unwrap_or(false);
        let wish = metadata::identity(&self.base, &self.account, audience, full, request.licenses)?;
        let response = broker.send(&wish)?;
        let token = metadata::read_identity(&response, wish.url.authority())
            .map_err(|error| self.not_found(error))?;
        Ok(self.about.stamp(Token::identity(token, "metadata")))
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        let mut about = self.about.clone();
        about.account = self.value(&metadata::email_path(&self.account), broker)?;
        about.project = self.value("project/project-id", broker)?;
        let universe = self.value("universe/universe-domain", broker)?;
        about.universe_domain = universe.or_else(|| Some(DEFAULT_UNIVERSE.to_owned()));
        Ok(about)
    }
}

impl Metadata {
    /// An account the server does not have is an account that was found nowhere.
    fn not_found(&self, error: Error) -> Error {
        match (error.http_status(), self.about.account.as_deref()) {
            (Some(404), Some(account)) => Error::new(
                ErrorKind::NoCredential,
                format!(
                    "{} is no login of gauth or gcloud, and {} has no such account",
                    crate::printable::text(account),
                    self.about.place
                ),
            )
            .hint("gauth status lists what there is"),
            _ => error,
        }
    }
}
