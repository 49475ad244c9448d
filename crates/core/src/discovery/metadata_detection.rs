//! Whether there is a metadata server: variables and the machine's own data tell, or else one short ping.

use std::time::Duration;

use crate::error::Error;
use crate::google::metadata;
use crate::net::url::Url;
use crate::tokens::broker::Broker;
use crate::tokens::cache::{Cache, CacheKeyHasher};
use crate::world::env::Variable;
use crate::world::{World, env};

/// How long the ping may take: where there is a server, it answers within a few milliseconds.
const PING_TIMEOUT: Duration = Duration::from_millis(500);
/// How long it is remembered that no server answered, in milliseconds: as long as gcloud does.
const NEGATIVE_CACHE_MILLIS: i64 = 600_000;

/// Variables that only Google's own environments set.
const GOOGLE_RUNTIME_VARIABLES: &[Variable] =
    &[env::K_SERVICE, env::CLOUD_RUN_JOB, env::FUNCTION_NAME, env::FUNCTION_TARGET, env::GAE_SERVICE];

/// What is known of the server without a request.
#[derive(Debug, PartialEq, Eq)]
pub enum MetadataPresence {
    /// There is a server.
    Present,
    /// There is no server, and why that is known.
    Absent(String),
    /// Only a ping can tell.
    Unknown,
}

/// Host and port of the server, from the variables of Google's libraries or by default.
///
/// # Errors
/// When such a variable is not valid UTF-8.
pub fn host(world: &World) -> crate::Result<String> {
    for variable in [env::GCE_METADATA_HOST, env::GCE_METADATA_ROOT, env::GCE_METADATA_IP] {
        if let Some(value) = world.env.text(&variable)? {
            return Ok(strip_scheme(&value).to_owned());
        }
    }
    Ok(metadata::HOST.to_owned())
}

/// The variables take a host; a URL is accepted as well, as some of Google's clients do.
fn strip_scheme(value: &str) -> &str {
    value.strip_prefix("http://").unwrap_or(value).trim_end_matches('/')
}

/// What variables and the machine's own data tell.
pub fn infer_presence(world: &World) -> MetadataPresence {
    let is_set = |variable: &Variable| world.env.os(variable).is_some();
    let lowercase_value =
        |variable: &Variable| world.env.os(variable).map(|value| value.to_string_lossy().to_ascii_lowercase());
    let absent = |variable: &Variable| MetadataPresence::Absent(format!("{} says there is none", variable.name));
    if world.env.is_true(&env::NO_GCE_CHECK) {
        return absent(&env::NO_GCE_CHECK);
    }
    let check = world.env.raw(&env::CLOUDSDK_CORE_CHECK_GCE_METADATA);
    if check.is_some_and(|value| !value.is_empty() && !env::is_true_text(&value.to_string_lossy())) {
        return absent(&env::CLOUDSDK_CORE_CHECK_GCE_METADATA);
    }
    let detection = lowercase_value(&env::METADATA_SERVER_DETECTION);
    match detection.as_deref() {
        Some("none") => return absent(&env::METADATA_SERVER_DETECTION),
        Some("assume-present") => return MetadataPresence::Present,
        _ => {}
    }
    let addresses = [env::GCE_METADATA_HOST, env::GCE_METADATA_ROOT, env::GCE_METADATA_IP];
    if addresses.iter().chain(GOOGLE_RUNTIME_VARIABLES).any(is_set) {
        return MetadataPresence::Present;
    }
    match detection.as_deref() {
        Some("ping-only") => MetadataPresence::Unknown,
        _ if world.folders.is_google_machine() => MetadataPresence::Present,
        Some("bios-only") => MetadataPresence::Absent("the machine does not say it is Google's".to_owned()),
        _ => MetadataPresence::Unknown,
    }
}

/// Sends a ping, unless a recent one found no server.
///
/// # Errors
/// Why there is no server, as the end of a sentence.
pub fn ping(broker: &Broker<'_>) -> std::result::Result<(), String> {
    let world = broker.world;
    let cache = Cache::new(world);
    let mut digest = CacheKeyHasher::new("no metadata server");
    digest.add_optional(world.folders.boot_id().as_deref());
    let key = digest.finish();
    if cache.failed_recently(&key, NEGATIVE_CACHE_MILLIS) {
        return Err("none answered within the last 10 minutes".to_owned());
    }
    let answered = Url::parse(&format!("http://{}/", metadata::IP_ADDRESS))
        .ok()
        .and_then(|url| broker.send_with_timeout(&metadata::ping_request(&url), PING_TIMEOUT).ok())
        .is_some_and(|answer| answer.status == 200 && metadata::has_metadata_flavor(&answer));
    match answered {
        true => Ok(()),
        false => {
            cache.store_failure(&key, &Error::no_answer("no metadata server"));
            Err("none answers".to_owned())
        }
    }
}
