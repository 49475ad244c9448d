//! The public keys that a token is verified with: whose they are, where they are published, and how long they are kept.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::broker::Broker;
use crate::cache::{Cache, Key, KeyDigest};
use crate::credential::impersonated;
use crate::error::{Error, Result};
use crate::google::answer;
use crate::http::HttpRequest;
use crate::jwks::{self, Jwks};
use crate::jwt::Parts;
use crate::settings::Settings;
use crate::url::{Scheme, Url};
use crate::verify::{self, Fault};
use crate::{printable, private_file, secret};

/// Whom ID tokens of Google's are from, as they say it.
const GOOGLE: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
/// The same below the address of a sandbox.
const GOOGLE_PATH: &str = "/oauth2/v3/certs";

/// Whom the assertions of Identity-Aware Proxy are from.
const IAP: &str = "https://cloud.google.com/iap";
const IAP_KEYS: &str = "https://www.gstatic.com/iap/verify/public_key-jwk";

/// Before the name of a service account, whose own key signed.
const ACCOUNT_KEYS: &str = "https://www.googleapis.com/service_accounts/v1/metadata/jwk/";

/// Largest file with keys, in bytes; as large as an answer may be.
const LONGEST: usize = 1024 * 1024;

/// Who is believed when nobody is named.
pub(super) fn usual_issuers() -> Vec<String> {
    GOOGLE.iter().chain([&IAP]).map(|issuer| (*issuer).to_owned()).collect()
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Published there.
    Url(Url),
    /// In a file.
    File(PathBuf),
}

/// Whose keys, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// In words, as in "signed by".
    pub(super) whose: String,
    place: Place,
}

/// Reads `--jwks`.
///
/// # Errors
/// Usage for what is neither URL nor path; unsafe where anybody on the way could put in another key.
pub(super) fn place(value: &OsStr) -> Result<Place> {
    let Some(text) = value.to_str().filter(|text| text.contains("://")) else {
        if value.is_empty() {
            return Err(Error::usage("--jwks is empty").hint("give --jwks a URL or a file"));
        }
        if secret::looks_like_content(&value.to_string_lossy()) {
            let message = "--jwks is given content in place of the name of a file";
            return Err(Error::usage(message).hint("--jwks FILE, or --jwks URL"));
        }
        return Ok(Place::File(PathBuf::from(value)));
    };
    let url = Url::parse(text).map_err(|what| {
        Error::usage(format!("--jwks {what}")).hint(format!("--jwks {GOOGLE_KEYS}"))
    })?;
    match url.scheme == Scheme::Https || url.is_loopback() {
        true => Ok(Place::Url(url)),
        false => {
            let host = printable::text(url.authority());
            let message =
                format!("--jwks gets keys from {host} without TLS, where others can put in theirs");
            Err(Error::not_safe(message).hint("use https in --jwks"))
        }
    }
}

/// The keys of this issuer, who is believed.
///
/// # Errors
/// Usage, when it is not known where they are.
pub(super) fn of(issuer: &str, chosen: Option<&Place>, settings: &Settings) -> Result<Keys> {
    if let Some(place) = chosen {
        let name = match place {
            Place::Url(url) => url.authority().to_owned(),
            Place::File(path) => printable::path(path),
        };
        return Ok(Keys { whose: format!("a key of {name}"), place: place.clone() });
    }
    let (whose, url) = if GOOGLE.contains(&issuer) {
        // In a sandbox, tokens are signed by it.
        match settings.token_host.as_ref().filter(|moved| moved.is_loopback()) {
            None => ("Google".to_owned(), GOOGLE_KEYS.to_owned()),
            Some(moved) => {
                let whole = moved.as_str();
                let origin = whole.strip_suffix(moved.path_and_query()).unwrap_or(whole);
                (format!("a key of {}", moved.authority()), format!("{origin}{GOOGLE_PATH}"))
            }
        }
    } else if issuer == IAP {
        ("Identity-Aware Proxy".to_owned(), IAP_KEYS.to_owned())
    } else if impersonated::is_account(issuer) {
        (issuer.to_owned(), format!("{ACCOUNT_KEYS}{issuer}"))
    } else {
        let issuer = printable::text(issuer);
        return Err(Error::usage(format!("where {issuer} publishes its keys is not known"))
            .hint("--jwks URL, or --jwks FILE"));
    };
    let url = Url::parse(&url).map_err(|what| {
        Error::usage(format!("--issuer {what}")).hint("--jwks URL, or --jwks FILE")
    })?;
    Ok(Keys { whose, place: Place::Url(url) })
}

impl Keys {
    /// Checks a signature. Keys at hand will do, unless the token names one that is not among them: then they are
    /// fetched, once.
    ///
    /// # Errors
    /// When there are no keys to be had, which says nothing about the token.
    pub(super) fn check(
        &self,
        parts: &Parts<'_>,
        broker: &Broker<'_>,
    ) -> Result<std::result::Result<(), Fault>> {
        let url = match &self.place {
            Place::File(path) => return Ok(verify::signature(parts, &of_file(path)?)),
            Place::Url(url) => url,
        };
        let cache = Cache::new(broker.world);
        let key = key(url);
        let kept = broker.caches().then(|| cache.keys(&key)).flatten();
        if let Some(keys) = kept.and_then(|text| Jwks::parse(text.as_bytes()).ok()) {
            match verify::signature(parts, &keys) {
                Err(Fault::UnknownKey(_)) => {}
                checked => return Ok(checked),
            }
        }
        let host = printable::text(url.authority());
        let response = broker.send(&HttpRequest::get(url.clone()))?;
        if response.status != 200 {
            return Err(answer::failure_of(&host, &response, &host));
        }
        let keys = Jwks::parse(&response.body)
            .map_err(|what| answer::unusable(&response, &host, &what))?;
        if broker.caches()
            && let Ok(text) = std::str::from_utf8(&response.body)
        {
            cache.keep_keys(&key, text, jwks::life(response.header("cache-control")));
        }
        Ok(verify::signature(parts, &keys))
    }
}

fn key(url: &Url) -> Key {
    let mut digest = KeyDigest::new("keys");
    digest.field(url.as_str());
    digest.finish()
}

fn of_file(path: &Path) -> Result<Jwks> {
    let place = printable::path(path);
    let hint = "name a file with a set of keys, {\"keys\":[…]}";
    let bytes = private_file::read_named(path, LONGEST)
        .map_err(|fault| fault.at(path, &place).hint(hint))?;
    Jwks::parse(&bytes).map_err(|what| Error::malformed(&place, what).hint(hint))
}
