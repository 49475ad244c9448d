//! A login at another OpenID provider: a saved ID token, and a refresh token that gets the next one.

use crate::accounts::{Origin, RefreshTokenHandle};
use crate::credentials::login_refresh::RefreshEndpoint;
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions, login_refresh};
use crate::error::{Error, Result};
use crate::net::endpoint_policy::EndpointKind;
use crate::net::url::Url;
use crate::oauth::client_authentication::{ClientAuthentication, ClientCredentials, check_client_credentials};
use crate::oauth::{revocation, token};
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::Secret;
use crate::tokens::Token;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::{Revocation, Session};
use crate::world::World;

/// The `type` of a login that gives ID tokens only.
pub const CREDENTIAL_TYPE: &str = "openid_login";

/// Seconds a saved ID token must have left to be used: it is sent on after this.
const MIN_ID_TOKEN_SECONDS: i64 = 60;

/// The methods of client authentication that a stored login may name; the first one where it names none.
const CLIENT_AUTHENTICATION_METHODS: [ClientAuthentication; 2] =
    [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost];

/// A login at an OpenID provider other than Google.
pub struct OidcSession {
    /// The provider's issuer identifier.
    issuer: String,
    token_uri: Url,
    /// The OAuth client of the login, the audience of its ID tokens.
    pub client_id: String,
    client_secret: Option<Secret>,
    client_authentication: ClientAuthentication,
    /// The revocation endpoint (RFC 7009).
    revoke_url: Option<Url>,
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    origin: Origin,
    /// The account or provider, for errors.
    display_name: String,
    sign_in_hint: String,
}

impl OidcSession {
    /// Reads the fields. `within` is their path in errors, such as `credential_source.openid`.
    ///
    /// # Errors
    /// `Malformed` or `Unsafe`, naming the field.
    pub fn parse(fields: &mut JsonFields, field_prefix: &str, parse_options: &ParseOptions) -> Result<OidcSession> {
        let full_name = |name: &str| match field_prefix {
            "" => name.to_owned(),
            field_prefix => format!("{field_prefix}.{name}"),
        };
        let malformed = |what: String| parse_options.malformed(full_name(&what)).hint(BROKEN_CREDENTIAL_HINT);
        let issuer = fields.required("issuer").map_err(malformed)?;
        let token_uri = fields.required("token_uri").map_err(malformed)?;
        // The refresh token of a file may go to any provider that the same file names.
        let token_uri =
            parse_options.checked_endpoint(EndpointKind::SubjectToken, &full_name("token_uri"), &token_uri, None)?;
        let revoke_url = fields.non_empty_text("revoke_url").map_err(malformed)?;
        let revoke_url = revoke_url
            .map(|url| parse_options.checked_endpoint(EndpointKind::SubjectToken, &full_name("revoke_url"), &url, None))
            .transpose()?;
        let client_id = fields.required("client_id").map_err(malformed)?;
        let client_secret = fields.secret("client_secret").map_err(malformed)?;
        let method_name = fields.non_empty_text("client_auth").map_err(malformed)?;
        let client_authentication = match method_name.as_deref() {
            None => CLIENT_AUTHENTICATION_METHODS[0],
            Some(name) => {
                CLIENT_AUTHENTICATION_METHODS.into_iter().find(|method| method.name() == name).ok_or_else(|| {
                    let names = CLIENT_AUTHENTICATION_METHODS.map(ClientAuthentication::name);
                    malformed(format!("client_auth is none of {}", names.join(", ")))
                })?
            }
        };
        let refresh_token = fields.secret("refresh_token").map_err(malformed)?;
        let id_token = fields.secret("id_token").map_err(malformed)?;
        check_client_credentials(&client_id, "").map_err(malformed)?;
        for (name, value) in [("client_secret", &client_secret), ("refresh_token", &refresh_token)] {
            if value.as_ref().is_some_and(|value| !value.is_one_line()) {
                return Err(malformed(format!("{name} has a line end")));
            }
        }
        if refresh_token.is_none() && id_token.is_none() {
            return Err(malformed("refresh_token is missing, and id_token too".to_owned()));
        }
        let shown_issuer = printable::text(&issuer);
        Ok(OidcSession {
            issuer,
            token_uri,
            client_id,
            client_secret,
            client_authentication,
            revoke_url,
            refresh_token,
            id_token: id_token.filter(token::is_well_formed_jwt),
            origin: login_refresh::storage_origin(fields, parse_options),
            display_name: parse_options.account.clone().unwrap_or_else(|| parse_options.location.clone()),
            sign_in_hint: format!("gauth login --issuer {shown_issuer} --client-id-file FILE"),
        })
    }

    /// Sets the account for errors, where the file names one.
    pub fn with_account(self, account: Option<&str>) -> OidcSession {
        OidcSession { display_name: account.map_or(self.display_name, str::to_owned), ..self }
    }

    /// The provider, for errors.
    pub fn location(&self) -> String {
        format!("the login at {}", printable::text(&self.issuer))
    }

    /// Adds the login's identity to a cache key.
    pub fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text(&self.issuer);
        hasher.add_text(self.token_uri.as_str());
        hasher.add_text(&self.client_id);
        let key_token = self.refresh_token.as_ref().or(self.id_token.as_ref());
        if let Some(key_token) = key_token {
            login_refresh::hash_cache_key(&self.origin, key_token, hasher);
        }
    }

    /// A valid ID token, saved or new.
    ///
    /// # Errors
    /// `LoginRequired` when the user must sign in again.
    pub fn id_token(&self, session: &dyn Session) -> Result<Secret> {
        if let Some(stored_token) = self.id_token.as_ref().filter(|token| self.is_usable(token, session)) {
            session.world().terminal.note(|| format!("the ID token kept for {} is used", self.display_name));
            return Ok(stored_token.clone());
        }
        let Some(refresh_token) = &self.refresh_token else {
            let why = "its ID token is expired, and there is no refresh token";
            return Err(Error::login_required(&self.display_name, why, &self.sign_in_hint));
        };
        let handle = self.refresh_token_handle(refresh_token);
        let host = self.token_uri.authority();
        let endpoint = RefreshEndpoint {
            url: &self.token_uri,
            client: self.client_credentials(),
            server_name: "the provider",
            rejecting_server: host,
            refusal_hint: &self.sign_in_hint,
        };
        let granted = endpoint.refresh_and_store(&handle, &self.display_name, &self.sign_in_hint, session)?;
        granted.id_token.filter(token::is_well_formed_jwt).ok_or_else(|| {
            let why = format!("{host} gives no ID token without a new sign-in");
            Error::login_required(&self.display_name, &why, &self.sign_in_hint)
        })
    }

    /// The reason the provider gave when it last refused this login, where that is remembered.
    pub fn last_rejection(&self, world: &World) -> Option<String> {
        self.refresh_token_handle(self.refresh_token.as_ref()?).last_rejection(world)
    }

    /// Revokes the login at the provider.
    ///
    /// # Errors
    /// When the provider does not answer, or refuses.
    pub fn revoke(&self, session: &dyn Session) -> Result<Revocation> {
        let (Some(url), Some(refresh_token)) = (&self.revoke_url, &self.refresh_token) else {
            return Ok(Revocation::Unsupported);
        };
        let refresh_token = self.refresh_token_handle(refresh_token).newest_refresh_token(session.world())?;
        let client = self.client_credentials();
        let request = revocation::revocation_request(url, &refresh_token, client);
        login_refresh::revoke("the provider", &request, session)
    }

    fn refresh_token_handle<'a>(&'a self, refresh_token: &'a Secret) -> RefreshTokenHandle<'a> {
        RefreshTokenHandle { origin: &self.origin, client_id: &self.client_id, refresh_token, rapt: None }
    }

    /// Whether the saved ID token is used: while it is fresh, and where there is no refresh token until it expires.
    fn is_usable(&self, id_token: &Secret, session: &dyn Session) -> bool {
        let token = Token::from_id_token(id_token.clone(), CREDENTIAL_TYPE);
        let is_valid = token.expires_at.is_some() && token.is_fresh(session.now(), MIN_ID_TOKEN_SECONDS);
        is_valid && (self.refresh_token.is_none() || session.is_sufficient(&token, MIN_ID_TOKEN_SECONDS))
    }

    fn client_credentials(&self) -> ClientCredentials<'_> {
        let secret = self.client_secret.as_ref();
        ClientCredentials::new(&self.client_id, secret, self.client_authentication)
    }
}
