//! The public keys that verify a token's signature: who publishes them, where, and how long they are cached.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gauth_core::config::Config;
use gauth_core::credentials::impersonated;
use gauth_core::error::{Error, Result};
use gauth_core::jose::jwks::Jwks;
use gauth_core::jose::jwt::UnverifiedJwt;
use gauth_core::jose::verify::ValidationError;
use gauth_core::jose::{jwks, verify};
use gauth_core::net::message::HttpRequest;
use gauth_core::net::url::{Scheme, Url};
use gauth_core::oauth::response;
use gauth_core::text::{printable, secret};
use gauth_core::tokens::broker::Broker;
use gauth_core::tokens::cache::{Cache, CacheKey, CacheKeyHasher};
use gauth_core::world::private_file;

/// The `iss` claims of Google's ID tokens.
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const GOOGLE_JWKS_URL: &str = "https://www.googleapis.com/oauth2/v3/certs";
/// The path of Google's keys in a sandbox.
const GOOGLE_JWKS_PATH: &str = "/oauth2/v3/certs";

/// The `iss` claim of Identity-Aware Proxy's assertions.
const IAP_ISSUER: &str = "https://cloud.google.com/iap";
const IAP_JWKS_URL: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";

/// The URL of a service account's keys, without its email address.
const SERVICE_ACCOUNT_JWKS_URL_PREFIX: &str = "https://www.googleapis.com/service_accounts/v1/metadata/jwk/";

/// The largest JWKS file, in bytes, as large as an HTTP response may be.
const MAX_JWKS_FILE_BYTES: usize = 1024 * 1024;

/// The trusted issuers without `--issuer`.
pub(super) fn default_issuers() -> Vec<String> {
    GOOGLE_ISSUERS.iter().chain([&IAP_ISSUER]).map(|issuer| (*issuer).to_owned()).collect()
}

/// The location of a JSON Web Key Set (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JwksLocation {
    /// An https URL, or http on a loopback address.
    Url(Url),
    /// A file with a JWK set or PEM certificates.
    File(PathBuf),
}

/// The keys of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IssuerKeys {
    /// The issuer, for "signed by …".
    pub(super) signer: String,
    location: JwksLocation,
}

/// Reads `--jwks`.
///
/// # Errors
/// `Usage` for what is neither a URL nor a path; `Unsafe` for a URL without TLS.
pub(super) fn parse_location(value: &OsStr) -> Result<JwksLocation> {
    let Some(text) = value.to_str().filter(|text| text.contains("://")) else {
        if value.is_empty() {
            return Err(Error::usage("--jwks is empty").hint("give --jwks a URL or a file"));
        }
        if secret::looks_like_file_content(&value.to_string_lossy()) {
            let message = "--jwks contains keys or another file's content, not the name of a file";
            return Err(Error::usage(message).hint("--jwks FILE, or --jwks URL"));
        }
        return Ok(JwksLocation::File(PathBuf::from(value)));
    };
    let url = Url::parse(text)
        .map_err(|reason| Error::usage(format!("--jwks {reason}")).hint(format!("--jwks {GOOGLE_JWKS_URL}")))?;
    match url.scheme == Scheme::Https || url.is_loopback() {
        true => Ok(JwksLocation::Url(url)),
        false => {
            let host = printable::text(url.authority());
            let message = format!("--jwks loads keys from {host} without TLS, so that others could replace them");
            Err(Error::not_safe(message).hint("use an https URL for --jwks"))
        }
    }
}

/// The keys of this trusted issuer.
///
/// # Errors
/// `Usage` when gauth does not know where the issuer publishes them.
pub(super) fn for_issuer(issuer: &str, jwks_override: Option<&JwksLocation>, config: &Config) -> Result<IssuerKeys> {
    if let Some(location) = jwks_override {
        let name = match location {
            JwksLocation::Url(url) => url.authority().to_owned(),
            JwksLocation::File(path) => printable::path(path),
        };
        return Ok(IssuerKeys { signer: format!("a key of {name}"), location: location.clone() });
    }
    let (signer, url) = if GOOGLE_ISSUERS.contains(&issuer) {
        // The sandbox signs its own tokens.
        match config.token_host.as_ref().filter(|endpoint_override| endpoint_override.is_loopback()) {
            None => ("Google".to_owned(), GOOGLE_JWKS_URL.to_owned()),
            Some(endpoint_override) => {
                let host_url = endpoint_override.as_str();
                let origin = host_url.strip_suffix(endpoint_override.path_and_query()).unwrap_or(host_url);
                (format!("a key of {}", endpoint_override.authority()), format!("{origin}{GOOGLE_JWKS_PATH}"))
            }
        }
    } else if issuer == IAP_ISSUER {
        ("Identity-Aware Proxy".to_owned(), IAP_JWKS_URL.to_owned())
    } else if impersonated::is_service_account_name(issuer) {
        (issuer.to_owned(), format!("{SERVICE_ACCOUNT_JWKS_URL_PREFIX}{issuer}"))
    } else {
        let issuer = printable::text(issuer);
        return Err(Error::usage(format!("gauth does not know where \"{issuer}\" publishes its keys"))
            .hint("--jwks URL, or --jwks FILE"));
    };
    let url = Url::parse(&url)
        .map_err(|reason| Error::usage(format!("--issuer {reason}")).hint("--jwks URL, or --jwks FILE"))?;
    Ok(IssuerKeys { signer, location: JwksLocation::Url(url) })
}

impl IssuerKeys {
    /// Verifies the signature with the cached keys, or with fetched ones if none are cached or the token names a key that is
    /// not among them.
    ///
    /// # Errors
    /// When the keys cannot be loaded. The inner result is that of the verification.
    pub(super) fn verify_signature(
        &self,
        jwt: &UnverifiedJwt<'_>,
        broker: &Broker<'_>,
    ) -> Result<std::result::Result<(), ValidationError>> {
        let url = match &self.location {
            JwksLocation::File(path) => {
                return Ok(verify::check_signature(jwt, &read_jwks_file(path)?));
            }
            JwksLocation::Url(url) => url,
        };
        let cache = Cache::new(broker.world);
        let cache_key = cache_key(url);
        let cached = broker.uses_cache().then(|| cache.public_keys(&cache_key)).flatten();
        if let Some(keys) = cached.and_then(|text| Jwks::parse(text.as_bytes()).ok()) {
            match verify::check_signature(jwt, &keys) {
                Err(ValidationError::UnknownKey(_)) => {}
                result => return Ok(result),
            }
        }
        let host = printable::text(url.authority());
        let response = broker.send(&HttpRequest::get(url.clone()))?;
        if response.status != 200 {
            return Err(response::status_error(&host, &response, &host));
        }
        let keys =
            Jwks::parse(&response.body).map_err(|reason| response::invalid_response(&response, &host, &reason))?;
        if broker.uses_cache()
            && let Ok(text) = std::str::from_utf8(&response.body)
        {
            cache.store_public_keys(&cache_key, text, jwks::cache_seconds(response.header("cache-control")));
        }
        Ok(verify::check_signature(jwt, &keys))
    }
}

fn cache_key(url: &Url) -> CacheKey {
    let mut digest = CacheKeyHasher::new("keys");
    digest.add_text(url.as_str());
    digest.finish()
}

fn read_jwks_file(path: &Path) -> Result<Jwks> {
    let location = printable::path(path);
    let hint = "name a file with a JSON Web Key Set, {\"keys\":[…]}";
    let bytes = private_file::read_user_file(path, MAX_JWKS_FILE_BYTES)
        .map_err(|error| error.to_error(path, &location).hint(hint))?;
    Jwks::parse(&bytes).map_err(|reason| Error::malformed(&location, reason).hint(hint))
}
