//! Is there a metadata server? Variables and the machine's own data first, one short ping at the last.

use std::time::Duration;

use crate::broker::Broker;
use crate::cache::{Cache, KeyDigest};
use crate::error::Error;
use crate::google::metadata;
use crate::url::Url;
use crate::world::World;
use crate::world::env::{self, Variable};

/// How long the ping may take: on the machines that have a server it answers within a few.
const PING: Duration = Duration::from_millis(500);
/// How long a "no" is kept, in milliseconds: as gcloud does.
const NO_LASTS: i64 = 600_000;

/// Variables that only Google's own environments set.
const RESIDENCES: &[Variable] = &[
    env::K_SERVICE,
    env::CLOUD_RUN_JOB,
    env::FUNCTION_NAME,
    env::FUNCTION_TARGET,
    env::GAE_SERVICE,
];

/// What is known without asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Guess {
    /// There is one; who says so.
    Yes(String),
    /// There is none; who says so.
    No(String),
    /// It has to be asked.
    Unknown,
}

/// Host (and port) of the server.
pub fn host(world: &World) -> crate::Result<String> {
    for variable in [env::GCE_METADATA_HOST, env::GCE_METADATA_ROOT, env::GCE_METADATA_IP] {
        if let Some(value) = world.env.text(&variable)? {
            return Ok(bare(&value).to_owned());
        }
    }
    Ok(metadata::HOST.to_owned())
}

/// Some clients take a URL where a host is meant; so do users.
fn bare(value: &str) -> &str {
    value.strip_prefix("http://").unwrap_or(value).trim_end_matches('/')
}

/// What variables and the machine say.
pub fn guess(world: &World) -> Guess {
    let set = |variable: &Variable| world.env.os(variable).is_some();
    let says = |variable: &Variable| {
        world.env.os(variable).map(|value| value.to_string_lossy().to_ascii_lowercase())
    };
    let no = |variable: &Variable| Guess::No(format!("{} says there is none", variable.name));
    let yes = |variable: &Variable| Guess::Yes(format!("{} is set", variable.name));
    if world.env.says_yes(&env::NO_GCE_CHECK) {
        return no(&env::NO_GCE_CHECK);
    }
    let check = world.env.raw(&env::CLOUDSDK_CORE_CHECK_GCE_METADATA);
    if check.is_some_and(|value| !value.is_empty() && !env::is_yes(&value.to_string_lossy())) {
        return no(&env::CLOUDSDK_CORE_CHECK_GCE_METADATA);
    }
    let detection = says(&env::METADATA_SERVER_DETECTION);
    match detection.as_deref() {
        Some("none") => return no(&env::METADATA_SERVER_DETECTION),
        Some("assume-present") => return yes(&env::METADATA_SERVER_DETECTION),
        _ => {}
    }
    let addresses = [env::GCE_METADATA_HOST, env::GCE_METADATA_ROOT, env::GCE_METADATA_IP];
    if let Some(variable) = addresses.iter().chain(RESIDENCES).find(|variable| set(variable)) {
        return yes(variable);
    }
    match detection.as_deref() {
        Some("ping-only") => Guess::Unknown,
        _ if world.folders.is_google_machine() => {
            Guess::Yes("the machine says it is Google's".to_owned())
        }
        Some("bios-only") => Guess::No("the machine does not say it is Google's".to_owned()),
        _ => Guess::Unknown,
    }
}

/// Asks, unless a recent "no" is on file. `Err`: why there is none.
pub fn ping(broker: &Broker<'_>) -> std::result::Result<(), String> {
    let world = broker.world;
    let cache = Cache::new(world);
    let mut digest = KeyDigest::new("no metadata server");
    digest.optional(world.folders.boot_id().as_deref());
    let key = digest.finish();
    if cache.failed_lately(&key, NO_LASTS) {
        return Err("none answered within the last 10 minutes".to_owned());
    }
    let answered = Url::parse(&format!("http://{}/", metadata::ADDRESS))
        .ok()
        .and_then(|url| broker.send_within(&metadata::ping(&url), PING).ok())
        .is_some_and(|answer| answer.status == 200 && metadata::is_flavoured(&answer));
    match answered {
        true => Ok(()),
        false => {
            cache.note_failure(&key, &Error::no_answer("no metadata server"));
            Err("none answers".to_owned())
        }
    }
}
