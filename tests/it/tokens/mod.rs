//! Each kind of credential: the requests that get its tokens, and the output.

mod authorized_user;
mod executable;
mod external_account;
mod id_token;
mod impersonation_downscoping;
mod metadata_server;
mod network;
mod output_formats;
mod reauth;
mod refresh_token_rotation;
mod service_account;
mod workforce_gdch_mtls;

use serde_json::Value;

use crate::support::Test;

/// `gauth token` with this credential in a file, and more arguments.
fn token_test(credential: &Value, args: &str) -> Test {
    Test::new(&format!("token --credentials {{home}}/key.json {args}")).json("key.json", credential)
}
