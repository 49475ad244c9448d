//! Federated identities: another provider's proof of who we are, exchanged at Google's STS (RFC 8693).
//!
//! The proof, the subject token, is fetched anew for every exchange and never kept. One file per place it may come
//! from.

mod aws;
mod certificate;
pub mod ci;
pub(crate) mod executable;
mod file;
pub(crate) mod format;
mod openid;
pub mod provider;
mod url;
pub mod workload;

use std::cell::OnceCell;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::provider::Provider;
use crate::credential::impersonated::{self, Impersonated, Role, Server};
use crate::credential::{AGAIN, About, Credential, Revocation, Setting};
use crate::error::Result;
use crate::google::iam::{LONGEST_LIFE, SHORTEST_LIFE, Target};
use crate::google::sts::{self, ACCESS_TOKEN, ClientAuth, Exchange};
use crate::google::{metrics, token};
use crate::http::Identity;
use crate::json::Fields;
use crate::jwt;
use crate::secret::Secret;
use crate::token::{AccessRequest, Token};
use crate::trust::Endpoint;
use crate::url::Url;
use crate::world::World;

/// The kind, also where it is made of flags.
pub const KIND: &str = "external_account";

/// The longest id or secret of an OAuth client, in bytes.
const LONGEST_OF_CLIENT: usize = 2048;

/// Where a subject token comes from.
pub trait SubjectSource {
    /// As Google's metrics name it: `file`, `url`, `aws`, `executable`, `x509`, `programmatic`.
    fn name(&self) -> &'static str;

    /// In words, for errors: "the file /run/token".
    fn place(&self) -> String;

    /// Adds everything that decides whose tokens these are.
    fn identify(&self, digest: &mut KeyDigest);

    /// The subject token, fetched now.
    ///
    /// # Errors
    /// Why there is none.
    fn subject_token(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Secret>;

    /// In what words the server of that login refused it, as [`Credential::refusal`].
    fn refusal(&self, _: &World) -> Option<String> {
        None
    }

    /// Ends the login that the proof comes from, where there is one.
    ///
    /// # Errors
    /// As [`Credential::revoke`].
    fn revoke(&self, _: &Broker<'_>) -> Result<Revocation> {
        Ok(Revocation::Impossible)
    }

    /// What the STS is shown (mutual TLS).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    fn identity(&self, _: &World) -> Result<Option<Identity>> {
        Ok(None)
    }

    /// What binds the token to that certificate, where Google wants it bound: the certificate's fingerprint.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    fn bound_to(&self, _: &World) -> Result<Option<String>> {
        Ok(None)
    }
}

/// What a subject token is for.
#[derive(Debug, Clone)]
pub struct Pool {
    /// The file or variable the credential came from, for errors.
    pub place: String,
    /// The provider, as Google names it.
    pub audience: String,
    /// What kind of token proves who we are.
    pub subject_token_type: String,
    /// The service account that will be impersonated.
    pub impersonated: Option<String>,
}

/// The parts of a federated identity.
pub struct Parts {
    /// What its tokens are exchanged for.
    pub pool: Pool,
    /// Where its proof comes from.
    pub source: Box<dyn SubjectSource>,
    /// Google's STS.
    pub token_url: Url,
    /// Tells whose a token is.
    pub token_info_url: Option<Url>,
    /// An OAuth client and its secret.
    pub client: Option<(String, Secret)>,
    /// The project that pays for the exchange (workforce pools).
    pub user_project: Option<String>,
    /// Scopes when nobody asks for others.
    pub scopes: Vec<String>,
    /// Whether the file asks for another life than usual, for Google's metrics.
    pub lifetime: Option<u32>,
    /// What of the environment decides whose tokens these are.
    pub surroundings: Option<String>,
}

/// A federated identity.
pub struct ExternalAccount {
    about: About,
    parts: Parts,
    principal: OnceCell<String>,
}

impl ExternalAccount {
    /// One made of its parts.
    pub fn new(about: About, parts: Parts) -> ExternalAccount {
        let provider = parts.pool.audience.trim_start_matches("//iam.googleapis.com/");
        let through = format!("the token from {}, for {provider}", parts.source.place());
        let about = About { through: Some(through), ..about };
        ExternalAccount { about, parts, principal: OnceCell::new() }
    }

    fn client(&self) -> Option<ClientAuth<'_>> {
        self.parts.client.as_ref().map(|(id, secret)| ClientAuth::Basic(id, secret))
    }

    /// A subject token by where it came from and what it says of itself, to compare with the provider.
    fn in_words(&self, subject: &Secret) -> String {
        let place = self.parts.source.place();
        match jwt::addressed(subject) {
            Some(address) => format!("{place} ({address})"),
            None => place,
        }
    }
}

/// A provider refuses what is over; say so before it does. `place` is where the subject token came from.
pub fn warn_if_over(subject: &Secret, place: &str, broker: &Broker<'_>) {
    let Some(end) = jwt::expiry(subject) else { return };
    let over = broker.now() - end;
    if over > 0 {
        broker
            .world
            .terminal
            .warn(&format!("the subject token from {place} expired {over} s ago, by this clock"));
    }
}

impl Credential for ExternalAccount {
    fn about(&self) -> &About {
        &self.about
    }

    fn identify(&self, digest: &mut KeyDigest) {
        let parts = &self.parts;
        digest.field(KIND);
        digest.field(&parts.pool.audience);
        digest.field(&parts.pool.subject_token_type);
        digest.field(parts.token_url.as_str());
        parts.source.identify(digest);
        digest.optional(parts.client.as_ref().map(|(id, _)| id.as_str()));
        digest.optional(parts.user_project.as_deref());
        digest.optional(parts.surroundings.as_deref());
        parts.scopes.iter().for_each(|scope| digest.field(scope));
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        self.check(request)?;
        let parts = &self.parts;
        let scopes = match request.scopes.is_empty() && !request.for_iam && !parts.scopes.is_empty()
        {
            true => parts.scopes.clone(),
            false => request.scopes_or_default(),
        };
        let identity = parts.source.identity(broker.world)?;
        let subject = parts.source.subject_token(&parts.pool, broker)?;
        broker.world.mask(&subject);
        warn_if_over(&subject, &parts.source.place(), broker);
        let options = self.options(broker.world)?;
        let wish = Exchange {
            audiences: std::slice::from_ref(&parts.pool.audience),
            scopes: &scopes,
            requested_token_type: Some(ACCESS_TOKEN),
            subject: Some((&subject, &parts.pool.subject_token_type)),
            options: options.as_deref(),
            client: self.client(),
            ..Exchange::default()
        };
        let suffix = format!(
            "google-byoid-sdk source/{} sa-impersonation/{} config-lifetime/{}",
            parts.source.name(),
            parts.pool.impersonated.is_some(),
            parts.lifetime.is_some(),
        );
        let mut asked =
            sts::exchange(&parts.token_url, &wish).header("x-goog-api-client", metrics(&suffix));
        asked.identity = identity;
        let now = broker.now();
        let response = broker.send(&asked)?;
        let granted = token::read(&response, parts.token_url.authority(), now)
            .map_err(|error| sts::explain(error, &response, &self.in_words(&subject)))?;
        if granted.expires_at.is_none() {
            let host = parts.token_url.authority();
            broker.world.terminal.warn(&format!(
                "{host} does not say how long its token lives, so that is not kept"
            ));
        }
        let mut token = Token::new(granted.access_token, KIND, granted.expires_at);
        token.scopes = Some(granted.scopes.unwrap_or(scopes));
        let token = self.about.stamp(token);
        Ok(token)
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.parts.source.refusal(world)
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.parts.source.revoke(broker)
    }

    fn identity(&self, world: &World) -> Result<Option<Identity>> {
        self.parts.source.identity(world)
    }

    fn ask_about(&self, broker: &Broker<'_>) -> Result<About> {
        let mut about = self.about.clone();
        let Some(url) = &self.parts.token_info_url else { return Ok(about) };
        if self.principal.get().is_none() {
            let token = broker.source_token(self)?;
            let asked = sts::introspect(url, &token.secret, self.client());
            // Google tells it to its own clients only: not being told is no failure.
            let told =
                broker.send(&asked).and_then(|told| sts::read_principal(&told, url.authority()));
            if let Ok(Some(name)) = told {
                let _ = self.principal.set(name);
            }
        }
        about.account = self.principal.get().cloned();
        Ok(about)
    }
}

impl ExternalAccount {
    /// Google's additions to the exchange, as JSON.
    fn options(&self, world: &World) -> Result<Option<String>> {
        let parts = &self.parts;
        let mut options = Map::new();
        // A client of its own says which project pays.
        if let Some(project) = parts.user_project.as_ref().filter(|_| parts.client.is_none()) {
            options.insert("userProject".to_owned(), Value::from(project.as_str()));
        }
        if let Some(fingerprint) = parts.source.bound_to(world)? {
            options.insert("bindCertFingerprint".to_owned(), Value::from(fingerprint));
        }
        Ok((!options.is_empty()).then(|| Value::Object(options).to_string()))
    }

    fn check(&self, request: &AccessRequest) -> Result<()> {
        let hint = "name a service account with --impersonate-service-account";
        if request.subject.is_some() {
            return Err(self.about.cannot("act for another user (--subject)").hint(hint));
        }
        if request.lifetime.is_some() {
            return Err(self
                .about
                .cannot("choose how long its tokens live (--lifetime)")
                .hint(hint));
        }
        Ok(())
    }
}

/// Reads the fields of an `external_account` file.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let audience = fields.needed("audience").map_err(malformed)?;
    let provider = Provider::of(&audience).map_err(|what| malformed(format!("audience {what}")))?;
    let subject_token_type = fields.needed("subject_token_type").map_err(malformed)?;
    provider::visible(&subject_token_type)
        .map_err(|what| malformed(format!("subject_token_type {what}")))?;
    let own_universe = fields.text("universe_domain").map_err(malformed)?;
    let own_universe = own_universe.filter(|domain| !domain.is_empty());
    let universe = setting.universe(own_universe.clone())?;
    let claimed = own_universe.as_deref();
    let token_url = fields.text("token_url").map_err(malformed)?.filter(|url| !url.is_empty());
    let token_url = token_url.unwrap_or_else(|| format!("https://sts.{universe}/v1/token"));
    let token_url = setting.trusted(Endpoint::Sts, "token_url", &token_url, claimed)?;
    let token_info_url = fields.text("token_info_url").map_err(malformed)?;
    let token_info_url = introspection(token_info_url, setting, claimed)?;
    let user_project = fields.text("workforce_pool_user_project").map_err(malformed)?;
    let user_project = user_project.filter(|project| !project.is_empty());
    if user_project.is_some() && provider != Provider::Workforce {
        let what = "workforce_pool_user_project is set, but audience names no workforce pool";
        return Err(malformed(what.to_owned()));
    }
    if let Some(project) = &user_project {
        let what = provider::visible(project);
        what.map_err(|what| malformed(format!("workforce_pool_user_project {what}")))?;
    }
    let client = client(&mut fields).map_err(malformed)?;
    let scopes = impersonated::scopes(&mut fields).map_err(malformed)?;
    let (target, lifetime) = impersonation(&mut fields, setting, claimed)?;
    let about = About {
        kind: KIND.to_owned(),
        place: setting.place.clone(),
        account: setting.account.clone(),
        quota_project: setting.quota_project(&mut fields)?,
        universe_domain: Some(universe),
        ..About::default()
    };
    let pool = Pool {
        place: setting.place.clone(),
        audience,
        subject_token_type,
        impersonated: target.as_ref().map(|target| target.account.clone()),
    };
    let source = source(&mut fields, &pool, setting)?;
    let surroundings = setting.surroundings.clone();
    let parts = Parts {
        pool,
        source,
        token_url,
        token_info_url,
        client,
        user_project,
        scopes: scopes.clone(),
        lifetime,
        surroundings,
    };
    let Some(target) = target else { return Ok(Box::new(ExternalAccount::new(about, parts))) };
    // The identity itself pays for nothing: what the file says of projects is said of the service account.
    let itself = About { account: None, quota_project: None, ..about.clone() };
    let identity = ExternalAccount::new(itself, parts);
    let role = Role {
        account: target.account.clone(),
        server: Server::Url(target),
        delegates: Vec::new(),
        scopes,
        lifetime,
        token_uri: setting.endpoint(None)?,
    };
    Ok(Box::new(Impersonated::of_file(Rc::new(identity), role, about)))
}

/// An OAuth client; without a secret it has an empty one.
fn client(fields: &mut Fields) -> std::result::Result<Option<(String, Secret)>, String> {
    let id = fields.text("client_id")?.filter(|id| !id.is_empty());
    let secret = fields.text("client_secret")?.unwrap_or_default();
    check_client(id.as_deref().unwrap_or_default(), &secret)?;
    Ok(id.map(|id| (id, Secret::new(secret))))
}

/// Whether an OAuth client and its secret fit into a header together (RFC 7617, 2).
pub(crate) fn check_client(id: &str, secret: &str) -> std::result::Result<(), String> {
    if id.contains(':') {
        return Err("client_id has a colon".to_owned());
    }
    for (name, text) in [("client_id", id), ("client_secret", secret)] {
        if text.chars().any(char::is_control) {
            return Err(format!("{name} has a control character"));
        }
        if text.len() > LONGEST_OF_CLIENT {
            return Err(format!("{name} is longer than {LONGEST_OF_CLIENT} bytes"));
        }
    }
    Ok(())
}

/// Where it is said whose a token is: as the user wants it, or as the file has it.
pub(crate) fn introspection(
    field: Option<String>,
    setting: &Setting,
    claimed: Option<&str>,
) -> Result<Option<Url>> {
    let named = match field.filter(|url| !url.is_empty()) {
        Some(url) => Some(setting.trusted(Endpoint::Sts, "token_info_url", &url, claimed)?),
        None => None,
    };
    Ok(setting.services.introspection.clone().or(named))
}

/// The service account that is impersonated, and for how long in seconds.
fn impersonation(
    fields: &mut Fields,
    setting: &Setting,
    claimed: Option<&str>,
) -> Result<(Option<Target>, Option<u32>)> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let field = "service_account_impersonation_url";
    let url = fields.text(field).map_err(malformed)?.filter(|url| !url.is_empty());
    let options = fields.object("service_account_impersonation").map_err(malformed)?;
    let lifetime = match options {
        None => None,
        Some(mut options) => options
            .number("token_lifetime_seconds", SHORTEST_LIFE..=LONGEST_LIFE)
            .map_err(|what| malformed(format!("service_account_impersonation.{what}")))?,
    };
    let target = url.map(|url| impersonated::target(&url, field, setting, claimed)).transpose()?;
    Ok((target, lifetime))
}

type ParseSource = fn(Fields, &Pool, &Setting) -> Result<Box<dyn SubjectSource>>;

/// The sources, by the field that is there for each of them alone.
const SOURCES: &[(&str, ParseSource)] = &[
    ("environment_id", aws::parse),
    ("file", file::parse),
    ("executable", executable::parse),
    ("certificate", certificate::parse),
    ("url", url::parse),
    ("openid", openid::parse),
];

fn source(fields: &mut Fields, pool: &Pool, setting: &Setting) -> Result<Box<dyn SubjectSource>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let source = fields.object("credential_source").map_err(malformed)?;
    let source = source.ok_or_else(|| malformed("credential_source is missing".to_owned()))?;
    let mut found: Vec<_> = SOURCES.iter().filter(|(field, _)| source.has(field)).collect();
    // AWS has a URL of its own beside what tells it apart.
    if found.first().is_some_and(|(field, _)| *field == "environment_id") {
        found.retain(|(field, _)| *field != "url");
    }
    match found.as_slice() {
        [(field, _)] if pool.subject_token_type == aws::TYPE && *field != "environment_id" => {
            let what = format!("subject_token_type is {}, which goes with", aws::TYPE);
            Err(malformed(format!("{what} environment_id, not with {field} of credential_source")))
        }
        [(_, parse)] => parse(source, pool, setting),
        [] => {
            let known: Vec<_> = SOURCES.iter().map(|(field, _)| *field).collect();
            Err(malformed(format!("credential_source has none of {}", known.join(", "))))
        }
        [(one, _), (other, _), ..] => {
            Err(malformed(format!("credential_source has both {one} and {other}")))
        }
    }
}

/// A source's content as text, for what it alone decides.
fn written(source: &Fields) -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new(Value::Object(source.rest().clone()).to_string())
}
