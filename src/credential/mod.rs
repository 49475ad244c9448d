//! Credentials: one file per kind. A kind knows its own fields and which requests answer them. It does not
//! know files, caches or formats.

pub mod authorized_user;
pub mod deferred;
pub mod downscoped;
pub mod external_account;
pub mod external_account_authorized_user;
pub mod gcloud;
pub mod gdch_service_account;
pub mod impersonated;
pub mod lazy;
mod login;
pub mod metadata;
pub mod openid;
mod openid_login;
pub mod ready;
mod reauth;
pub mod service_account;
pub mod source;

use serde_json::{Map, Value};

use crate::accounts::Origin;
use crate::accounts::vault::{Vaults, kept};
use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::provider::visible;
use crate::error::{Error, Result};
use crate::http::Identity;
use crate::json::{self, Fields};
use crate::token::{AccessRequest, IdentityRequest, SelfSignedRequest, Token, TokenRequest};
use crate::trust::{self, Endpoint, Fence};
use crate::url::Url;
use crate::world::World;

/// Seconds a cached token must have left, as gcloud has it.
pub const USUAL_MARGIN: i64 = 300;

/// Something that can mint tokens. What a kind cannot do says so.
pub trait Credential {
    /// What is known of it without asking anybody.
    fn about(&self) -> &About;

    /// Adds everything that decides its tokens to a cache key.
    fn identify(&self, digest: &mut KeyDigest);

    /// Whether its tokens are kept.
    fn cacheable(&self) -> bool {
        true
    }

    /// Least life of a cached token, in seconds.
    fn margin(&self) -> i64 {
        USUAL_MARGIN
    }

    /// An access token.
    ///
    /// # Errors
    /// Why there is none.
    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token>;

    /// Gets what it needs of another credential, before the broker takes the lock of this one's token: nobody
    /// may hold two of them.
    ///
    /// # Errors
    /// Why there is none.
    fn prepare(&self, _: &TokenRequest, _: &Broker<'_>) -> Result<()> {
        Ok(())
    }

    /// What servers are shown in its name (mutual TLS).
    ///
    /// # Errors
    /// When certificate and key cannot be used.
    fn identity(&self, _: &World) -> Result<Option<Identity>> {
        Ok(None)
    }

    /// A JWT signed with its own key.
    ///
    /// # Errors
    /// Why there is none.
    fn self_signed(&self, _: &SelfSignedRequest, _: &Broker<'_>) -> Result<Token> {
        Err(self.about().cannot("sign a token itself").hint(
            "use the key of a service account (--credentials KEY.json), \
             or leave --audience and --self-signed away",
        ))
    }

    /// An ID token (OpenID Connect Core 1.0, section 2).
    ///
    /// # Errors
    /// Why there is none.
    fn identity_token(&self, _: &IdentityRequest, _: &Broker<'_>) -> Result<Token> {
        Err(self.about().cannot("give ID tokens").hint(
            "act as a service account, which can: --impersonate-service-account ci@my-project.iam.gserviceaccount.com",
        ))
    }

    /// What is known of it without asking a server; unlike `about`, this may open files.
    ///
    /// # Errors
    /// When it turns out to be unusable.
    fn describe(&self) -> Result<About> {
        Ok(self.about().clone())
    }

    /// In what words its server refused this very login, as far as that is remembered: nobody is asked.
    fn refusal(&self, _: &World) -> Option<String> {
        None
    }

    /// Ends the login at its server. The caller holds the lock of the login.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    fn revoke(&self, _: &Broker<'_>) -> Result<Revocation> {
        Ok(Revocation::Impossible)
    }

    /// What only a server can tell: account, project, universe.
    ///
    /// # Errors
    /// When the server does not answer.
    fn ask_about(&self, _: &Broker<'_>) -> Result<About> {
        self.describe()
    }
}

/// What came of ending a login at its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It is over.
    Done,
    /// It was over before.
    Before,
    /// This kind can only be forgotten here.
    Impossible,
}

impl Revocation {
    /// What the server's answer means: the login ended now, or was not known any more.
    fn told(now: bool) -> Revocation {
        if now { Revocation::Done } else { Revocation::Before }
    }
}

/// What is known of a credential.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its `type` in Google's JSON, or what stands for it.
    pub kind: String,
    /// The file, variable or server it came from, for errors.
    pub place: String,
    /// Whose it is.
    pub account: Option<String>,
    /// The project it belongs to.
    pub project: Option<String>,
    /// The project that pays for requests made with it.
    pub quota_project: Option<String>,
    /// The universe its APIs are in.
    pub universe_domain: Option<String>,
    /// What it comes to its tokens by, where that is not itself: "ada@example.com, a user login".
    pub through: Option<String>,
}

impl About {
    /// The account, or failing that the place, for sentences.
    pub fn name(&self) -> &str {
        self.account.as_deref().unwrap_or(&self.place)
    }

    /// Exit 7: the beginning of "KIND of NAME cannot WHAT".
    pub fn cannot(&self, what: &str) -> Error {
        let kind = kind_in_words(&self.kind);
        Error::unsupported(format!("{} is {kind}, which cannot {what}", self.name()))
    }

    /// Exit 2: an ID token is for somebody.
    pub fn needs_audience(&self) -> Error {
        Error::usage(format!("an ID token of {} is for somebody, and nobody is named", self.name()))
            .hint("--audiences https://SERVICE-HASH-REGION.a.run.app, the URL of the service")
    }

    /// Refuses the wishes about ID tokens that only the metadata server and IAM can meet.
    ///
    /// # Errors
    /// Exit 7, naming the flag.
    pub fn plain_identity(&self, request: &IdentityRequest) -> Result<()> {
        for (given, flag, who) in [
            (request.full.is_some(), "--token-format", "the metadata server of Compute Engine"),
            (request.licenses, "--include-license", "the metadata server of Compute Engine"),
            (request.email.is_some(), "--include-email", "an impersonated service account"),
        ] {
            if given {
                let error = self.cannot(&format!("obey {flag}"));
                return Err(error.hint(format!("leave {flag} away, it is for {who}")));
            }
        }
        Ok(())
    }

    /// Stamps a token with what is known.
    pub fn stamp(&self, mut token: Token) -> Token {
        token.account = self.account.clone();
        token.universe_domain = self.universe_domain.clone();
        token.quota_project = self.quota_project.clone();
        token
    }
}

/// A kind as people say it.
pub fn kind_in_words(kind: &str) -> &str {
    match kind {
        "authorized_user" => "a user login",
        "service_account" => "a service account",
        "access_token" => "a ready token",
        "metadata" => "the metadata server's account",
        "external_account" => "a federated identity",
        "external_account_authorized_user" => "a workforce login",
        "impersonated_service_account" => "an impersonated service account",
        "gdch_service_account" => "a service account of Google Distributed Cloud",
        openid::KIND => "a login at another provider",
        other => other,
    }
}

/// What decides how a credential's JSON is understood, besides the JSON.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The file or variable, for errors.
    pub place: String,
    /// Where it came from, and so where a rotated refresh token goes.
    pub origin: Origin,
    /// The token endpoint chosen by variable or property, over the file's own.
    pub token_host: Option<Url>,
    /// Other services of Google's at another place than usual.
    pub services: Services,
    /// Hosts that may receive this credential's secrets besides Google's.
    pub allowed_hosts: Vec<String>,
    /// The universe chosen by flag or variable, over the file's own.
    pub universe_domain: Option<String>,
    /// Whether service accounts sign their own access tokens.
    pub self_signed: bool,
    /// What to do when a person has to sign in again.
    pub login_hint: String,
    /// The project that pays, where the JSON itself names none.
    pub quota_project: Option<String>,
    /// The name it is stored under, where the JSON itself has none.
    pub account: Option<String>,
    /// What of the environment decides whose tokens these are: the keys of AWS's programs.
    pub surroundings: Option<String>,
    /// The way to the secrets that a file of ours leaves to another store.
    pub vaults: Option<Vaults>,
}

/// Google's services at the places the user moved them to, as gcloud's variables can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// In place of `https://sts.googleapis.com/`.
    pub sts: Option<Url>,
    /// In place of `https://iamcredentials.googleapis.com/`.
    pub iam_credentials: Option<Url>,
    /// The whole URL that tells whose a federated token is.
    pub introspection: Option<Url>,
}

impl Services {
    /// The root of IAM Service Account Credentials in a universe.
    pub fn iam_credentials(&self, universe: &str) -> String {
        match &self.iam_credentials {
            Some(moved) => moved.as_str().to_owned(),
            None => format!("https://iamcredentials.{universe}"),
        }
    }

    /// The exchange endpoint in a universe.
    ///
    /// # Errors
    /// Usage, when the universe makes no URL.
    pub fn exchange(&self, universe: &str) -> Result<Url> {
        self.sts(universe, "token")
    }

    /// Where refresh tokens of the STS's own are taken in a universe: those of workforce logins.
    ///
    /// # Errors
    /// Usage, when the universe makes no URL.
    pub fn refresh(&self, universe: &str) -> Result<Url> {
        self.sts(universe, "oauthtoken")
    }

    fn sts(&self, universe: &str, name: &str) -> Result<Url> {
        let usual = Url::parse(&format!("https://sts.{universe}/v1/{name}"));
        let moved = usual.and_then(|usual| match &self.sts {
            Some(moved) => usual.moved_to(moved),
            None => Ok(usual),
        });
        moved.map_err(|what| {
            Error::usage(format!(
                "the URL of the STS in {} {what}",
                crate::printable::text(universe)
            ))
            .hint("check --universe-domain")
        })
    }
}

impl Setting {
    /// The plainest setting for a credential found at `place`.
    pub fn at(place: impl Into<String>) -> Setting {
        Setting {
            place: place.into(),
            origin: Origin::Foreign,
            token_host: None,
            services: Services::default(),
            allowed_hosts: Vec::new(),
            universe_domain: None,
            self_signed: false,
            login_hint: USUAL_LOGIN.to_owned(),
            quota_project: None,
            account: None,
            surroundings: None,
            vaults: None,
        }
    }

    /// The project that pays: the credential's, or that of where it was found. It will stand in a header.
    fn quota_project(&self, fields: &mut Fields) -> Result<Option<String>> {
        let malformed = |what: String| self.malformed(what).hint(AGAIN);
        let field = "quota_project_id";
        let own = fields.text(field).map_err(malformed)?.filter(|own| !own.is_empty());
        if let Some(own) = &own {
            visible(own).map_err(|what| malformed(format!("{field} {what}")))?;
        }
        Ok(own.or_else(|| self.quota_project.clone()))
    }

    /// Adds what decides a token besides the credential's own content.
    fn identify(&self, digest: &mut KeyDigest) {
        digest.optional(self.token_host.as_ref().map(Url::as_str));
        digest.optional(self.universe_domain.as_deref());
        digest.field(if self.self_signed { "signs" } else { "asks" });
        for moved in [&self.services.sts, &self.services.iam_credentials] {
            digest.optional(moved.as_ref().map(Url::as_str));
        }
        digest.optional(self.surroundings.as_deref());
        // A host that was allowed once is not allowed for ever.
        for host in &self.allowed_hosts {
            digest.field(host);
        }
    }

    /// An error about this credential's content.
    pub fn malformed(&self, what: impl std::fmt::Display) -> Error {
        Error::malformed(&self.place, what)
    }

    /// The token endpoint: chosen, or the credential's, or Google's.
    fn endpoint(&self, token_uri: Option<&str>) -> Result<Url> {
        if let Some(chosen) = &self.token_host {
            return Ok(chosen.clone());
        }
        let text = token_uri.unwrap_or(crate::google::token::ENDPOINT);
        self.trusted(Endpoint::OAuth, "token_uri", text, None)
    }

    /// An endpoint the credential names, checked, and moved to where the user wants that service to be.
    /// `claimed` is the universe the credential says it is of.
    pub(crate) fn trusted(
        &self,
        kind: Endpoint,
        field: &str,
        text: &str,
        claimed: Option<&str>,
    ) -> Result<Url> {
        let fence = Fence {
            place: &self.place,
            allowed: &self.allowed_hosts,
            chosen: self.universe_domain.as_deref(),
            claimed,
        };
        let url = fence.endpoint(kind, field, text)?;
        let moved = match kind {
            Endpoint::Sts => &self.services.sts,
            Endpoint::Iam => &self.services.iam_credentials,
            _ => &None,
        };
        match moved {
            // A loopback address is where somebody put it already.
            Some(moved) if !url.is_loopback() => {
                url.moved_to(moved).map_err(|what| self.malformed(format!("{field} {what}")))
            }
            _ => Ok(url),
        }
    }

    /// The universe: chosen, or the credential's, or the default.
    fn universe(&self, from_file: Option<String>) -> Result<String> {
        if let Some(domain) = &from_file {
            trust::universe(domain)
                .map_err(|what| self.malformed(format!("universe_domain {what}")).hint(AGAIN))?;
        }
        match (&self.universe_domain, from_file) {
            (Some(chosen), Some(domain)) if *chosen != domain => Err(Error::unsupported(format!(
                "{}: this credential belongs to the universe {domain}, not {chosen}",
                self.place
            ))
            .hint("leave --universe-domain and GOOGLE_CLOUD_UNIVERSE_DOMAIN away")),
            (Some(chosen), _) => Ok(chosen.clone()),
            (None, Some(domain)) => Ok(domain),
            (None, None) => Ok(trust::DEFAULT_UNIVERSE.to_owned()),
        }
    }
}

/// What makes another login where nobody says more than that there was one.
pub const USUAL_LOGIN: &str = "gauth login, or gcloud auth application-default login";

/// What to do about most broken credential files.
pub const AGAIN: &str =
    "download or make the credential again; gauth help sources lists what is read";

type Parse = fn(Fields, &Setting) -> Result<Box<dyn Credential>>;

/// The kinds that come as JSON, by their `type`.
const KINDS: &[(&str, Parse)] = &[
    ("authorized_user", authorized_user::parse),
    ("service_account", service_account::parse),
    ("external_account", external_account::parse),
    ("external_account_authorized_user", external_account_authorized_user::parse),
    ("impersonated_service_account", impersonated::parse),
    ("gdch_service_account", gdch_service_account::parse),
    (openid::KIND, openid_login::parse),
];

/// Reads a credential from the text of its JSON.
///
/// # Errors
/// Malformed, naming place and field; unsafe, for an endpoint that is not Google's.
pub fn parse(bytes: &[u8], setting: &Setting) -> Result<Box<dyn Credential>> {
    let map = json::object(bytes).map_err(|what| setting.malformed(what).hint(AGAIN))?;
    read(map, setting)
}

/// Reads a credential from its JSON object.
///
/// # Errors
/// As [`parse`].
pub fn read(map: Map<String, Value>, setting: &Setting) -> Result<Box<dyn Credential>> {
    if map.contains_key(kept::STORE) && matches!(setting.origin, Origin::Foreign) {
        let what = "this is an account of gauth's whose secrets are in another store";
        return Err(setting.malformed(what).hint("gauth token --account ACCOUNT, by its name"));
    }
    let mut fields = Fields::new(map);
    let kind = fields.text("type").map_err(|what| setting.malformed(what).hint(AGAIN))?;
    let Some(kind) = kind else { return parse_untyped(fields, setting) };
    match KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, parse)) => parse(fields, setting),
        None if kind == "service_account_p12" => {
            Err(Error::unsupported(format!("{}: keys in P12 files are not read", setting.place))
                .hint("make a new key of the account, as JSON"))
        }
        None if kind == crate::login::workforce::KIND => {
            let file = crate::printable::text(&setting.place);
            Err(setting
                .malformed("this is a login configuration, which can start a login but is none")
                .hint(format!("gauth login --login-config {file}")))
        }
        None => {
            let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            let kind = crate::printable::text(&kind);
            Err(setting
                .malformed(format!("type is \"{kind}\", known are {}", known.join(", ")))
                .hint(AGAIN))
        }
    }
}

/// Files without `type`: what Google's quickstarts save, and OAuth clients taken for credentials.
fn parse_untyped(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    for kind in ["installed", "web"] {
        if matches!(fields.any(kind), Some(Value::Object(_))) {
            let file = crate::printable::text(&setting.place);
            return Err(setting
                .malformed("this is an OAuth client, which can start a login but is none")
                .hint(format!("gauth login --client-id-file {file}")));
        }
    }
    match fields.has("refresh_token") {
        true => authorized_user::parse(fields, setting),
        false => Err(setting.malformed("type is missing, this is no credential").hint(AGAIN)),
    }
}
