//! Bad input of every kind: the exit code, the file and field at fault, the way out, and never a secret or a panic.

mod answers;
mod config;
mod endpoints;
mod fields;
mod files;
mod flags;
mod hosts;
mod json;
mod kinds;
mod outside;
mod pem;
mod servers;
mod sources;

use serde_json::Value;

use crate::support::Test;

/// `gauth token` with this credential file.
fn with_file(bytes: impl AsRef<[u8]>) -> Test {
    Test::new("token --credentials {home}/key.json").file("key.json", bytes)
}

/// The same with a file of this JSON.
fn with_credential(value: &Value) -> Test {
    Test::new("token --credentials {home}/key.json").json("key.json", value)
}

/// The file is refused as malformed, with these words.
#[track_caller]
fn malformed(bytes: impl AsRef<[u8]>, words: &str) {
    with_file(bytes).status(8).says("HOME/key.json: ").says(words).run();
}
