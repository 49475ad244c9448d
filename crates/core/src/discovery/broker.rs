//! What acts in a run, made from the configuration, which is data, and the world.

use std::time::Duration;

use crate::accounts::secrets::SecretStores;
use crate::config;
use crate::config::Config;
use crate::gcloud::properties::GcloudProperties;
use crate::http::client;
use crate::http::client::{HttpClient, NetworkConfig};
use crate::tokens::broker::Broker;
use crate::world::{World, env};

/// The broker of a run: its time limit begins now.
pub fn broker<'w>(config: &Config, world: &'w World) -> Broker<'w> {
    let properties = GcloudProperties::open(world.folders.gcloud.as_deref(), &world.env);
    let network = NetworkConfig {
        ca_file: config.ca_file.as_ref().map(|file| (file.origin.clone(), file.value.clone())),
        gcloud_property: Box::new(move |section, name| {
            properties.get(section, name).ok().flatten().map(|property| property.value)
        }),
        metadata_attempt_timeout: metadata_attempt_timeout(world),
    };
    Broker::new(world, config.cache_policy, HttpClient::new(network), config.timeout)
}

/// The stores for the secrets of gauth's logins, with the programs that `config.toml` names.
pub fn secret_stores(config: &Config, world: &World) -> SecretStores {
    SecretStores::new(config.store_command.clone(), &config::file_location(world), world)
}

/// `GCE_METADATA_TIMEOUT` in seconds. A value that is not a number is ignored, as in Google's libraries.
fn metadata_attempt_timeout(world: &World) -> Duration {
    let text = world.env.text(&env::GCE_METADATA_TIMEOUT).ok().flatten();
    let seconds = text.and_then(|text| text.trim().parse().ok()).filter(|seconds| *seconds > 0);
    seconds.map_or(client::METADATA_ATTEMPT_TIMEOUT, Duration::from_secs)
}
