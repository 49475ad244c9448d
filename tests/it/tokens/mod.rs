//! What is asked of Google for each kind of credential, and what is made of the answer.

mod elsewhere;
mod executable;
mod federated;
mod formats;
mod identity;
mod lent;
mod login;
mod machine;
mod network;
mod reauth;
mod robot;
mod rotation;

use serde_json::Value;

use crate::support::Test;

/// `gauth token` with this credential in a file, and more words.
fn with(credential: &Value, words: &str) -> Test {
    Test::new(&format!("token --credentials {{home}}/key.json {words}"))
        .json("key.json", credential)
}
