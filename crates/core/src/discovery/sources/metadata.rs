//! The step for the metadata server of Google's machines.

use std::rc::Rc;

use crate::config::Source;
use crate::credentials::metadata_server::MetadataServerCredential;
use crate::discovery::metadata_detection::{self, MetadataPresence};
use crate::discovery::{Discovery, Lookup};
use crate::error::Result;
use crate::tokens::credential::Credential;

/// The account that the server gives out by default.
pub(super) fn default_account(search: &Discovery<'_>) -> Result<Lookup> {
    match reason_against(search) {
        Some(reason) => Ok(Lookup::NotSet(reason)),
        None => Ok(Lookup::found(Source::Metadata, credential(search, None)?)),
    }
}

/// Another account of the server's. Whether the server has it is known when a token is requested.
pub(super) fn find_account(search: &Discovery<'_>, name: &str) -> Result<Option<Rc<dyn Credential>>> {
    match reason_against(search) {
        Some(_) => Ok(None),
        None => credential(search, Some(name)).map(Some),
    }
}

/// Why there is no server; `None` when there is one.
fn reason_against(search: &Discovery<'_>) -> Option<String> {
    match metadata_detection::infer_presence(search.world()) {
        MetadataPresence::Present => None,
        MetadataPresence::Absent(reason) => Some(reason),
        MetadataPresence::Unknown if !search.allow_network => {
            Some("not checked (gauth status --check does)".to_owned())
        }
        MetadataPresence::Unknown => metadata_detection::ping(search.broker).err(),
    }
}

fn credential(search: &Discovery<'_>, account: Option<&str>) -> Result<Rc<dyn Credential>> {
    let world = search.world();
    let host = metadata_detection::host(world)?;
    let universe = search.config.universe_domain.clone();
    Ok(Rc::new(MetadataServerCredential::new(host, account, world.folders.boot_id(), universe)))
}
