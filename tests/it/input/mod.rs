//! Bad input of every kind: the exit code, the file and field at fault, the way out, and never a secret or a panic.

mod config_files;
mod credential_files;
mod credential_source_fields;
mod external_credential_fields;
mod external_endpoint_policy;
mod external_sources;
mod fields;
mod flags;
mod malformed_json;
mod private_keys;
mod sts_iam_responses;
mod token_endpoint_policy;
mod token_endpoint_responses;

use serde_json::Value;

use crate::support::Test;

/// `gauth token` with this credential file.
fn credential_file_test(bytes: impl AsRef<[u8]>) -> Test {
    Test::new("token --credentials {home}/key.json").file("key.json", bytes)
}

/// The same with a file of this JSON.
fn credential_test(value: &Value) -> Test {
    Test::new("token --credentials {home}/key.json").json("key.json", value)
}

/// The file is refused as malformed, with these words.
#[track_caller]
fn assert_malformed(bytes: impl AsRef<[u8]>, message: &str) {
    credential_file_test(bytes).expect_status(8).expect_error("HOME/key.json: ").expect_error(message).run();
}
