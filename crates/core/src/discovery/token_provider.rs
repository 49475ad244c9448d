//! The small public face of this library: a credential, and tokens of it.

use std::rc::Rc;

use crate::config::{Config, Overrides};
use crate::discovery::Discovery;
use crate::error::Result;
use crate::text::scopes;
use crate::tokens::credential::Credential;
use crate::tokens::{IdTokenRequest, Token, TokenRequest};
use crate::world::World;
use crate::{credentials, discovery, http};

/// What errors call a credential that the program hands over.
const JSON_LOCATION: &str = "the JSON of the credential";

/// A Google credential, and the tokens it gives.
///
/// The environment variables and the `config.toml` that the `gauth` program reads hold here too: proxy, certificates,
/// impersonated service account, quota project. Nothing is printed, and the user is never asked for anything: a
/// credential that needs the user gives an error of the kind [`LoginRequired`](crate::ErrorKind::LoginRequired).
///
/// Each call takes a token from the cache that all processes of this user share, if the token lasts long enough, and
/// requests one otherwise. A call blocks for at most 30 seconds (`GAUTH_TIMEOUT`). A provider stays in the thread that
/// made it; several threads make one each.
pub struct TokenProvider {
    world: World,
    config: Config,
    credential: Rc<dyn Credential>,
}

impl TokenProvider {
    /// The default credential of this machine: the one that `gauth status` shows as used.
    ///
    /// # Errors
    /// [`NoCredential`](crate::ErrorKind::NoCredential) when there is none;
    /// [`Malformed`](crate::ErrorKind::Malformed) when the first one that is set, or `config.toml`, cannot be used.
    pub fn new() -> Result<TokenProvider> {
        TokenProvider::in_world(http::real_world(), None)
    }

    /// The credential in this JSON: any of Google's `type`s, as in the files that `GOOGLE_APPLICATION_CREDENTIALS`
    /// names.
    ///
    /// # Errors
    /// [`Malformed`](crate::ErrorKind::Malformed) when the JSON is not a credential, naming the field;
    /// [`Unsafe`](crate::ErrorKind::Unsafe) when it would send a secret to a host that is not Google's.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<TokenProvider> {
        TokenProvider::in_world(http::real_world(), Some(json.as_ref()))
    }

    /// The same in a world of the caller's choice.
    #[doc(hidden)]
    pub fn in_world(mut world: World, json: Option<&[u8]>) -> Result<TokenProvider> {
        world.terminal.may_prompt = false;
        let config = Config::resolve(&Overrides { quiet: true, ..Overrides::default() }, &world)?;
        let broker = discovery::broker(&config, &world);
        let search = Discovery { config: &config, broker: &broker, allow_network: true };
        let credential = match json {
            None => discovery::credential(&search)?.credential,
            Some(json) => {
                let options = discovery::parse_options(&search, JSON_LOCATION.to_owned());
                discovery::decorate(credentials::parse(json, &options)?.into(), &config)?
            }
        };
        drop(broker);
        Ok(TokenProvider { world, config, credential })
    }

    /// Access tokens for these scopes in place of the default ones. A scope without `:` and `/` gets Google's prefix,
    /// so `devstorage.read_only` stands for `https://www.googleapis.com/auth/devstorage.read_only`.
    #[must_use]
    pub fn with_scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> TokenProvider {
        let scopes: Vec<S> = scopes.into_iter().collect();
        self.config.access_token_request.scopes = scopes::expand_scopes(scopes.iter().map(AsRef::as_ref));
        self
    }

    /// An OAuth 2.0 access token (RFC 6749) that lasts at least five minutes; 225 seconds from the metadata server,
    /// which gives no newer one before.
    ///
    /// # Errors
    /// [`LoginRequired`](crate::ErrorKind::LoginRequired) when the user has to sign in again,
    /// [`Refused`](crate::ErrorKind::Refused) when the server refuses,
    /// [`NoAnswer`](crate::ErrorKind::NoAnswer) when it cannot be reached.
    pub fn access_token(&self) -> Result<Token> {
        self.token(&TokenRequest::AccessToken(self.config.access_token_request.clone()))
    }

    /// An ID token (OpenID Connect Core 1.0, section 2) for an audience: the URL of a Cloud Run service, or the client
    /// ID of an Identity-Aware Proxy.
    ///
    /// # Errors
    /// As [`access_token`](TokenProvider::access_token);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) when this kind of credential has no ID token for that audience.
    pub fn id_token(&self, audience: &str) -> Result<Token> {
        let audience = Some(audience.to_owned());
        self.token(&TokenRequest::IdToken(IdTokenRequest { audience, ..IdTokenRequest::default() }))
    }

    fn token(&self, request: &TokenRequest) -> Result<Token> {
        let mut token = discovery::broker(&self.config, &self.world).token(&*self.credential, request)?;
        token.quota_project = self.config.quota_project.clone().or(token.quota_project);
        Ok(token)
    }
}
