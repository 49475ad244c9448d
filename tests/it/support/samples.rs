//! Credentials to begin with. Their secrets are in the list that every run is searched for.

use serde_json::{Value, json};

/// The access token of most answers.
pub(crate) const TOKEN: &str = "ya29.token-of-the-first-answer";
/// Another one.
pub(crate) const SECOND: &str = "ya29.token-of-the-second-answer";
pub(crate) const CLIENT_ID: &str = "123456789012-exampleclientid.apps.googleusercontent.com";
pub(crate) const CLIENT_SECRET: &str = "planted-client-secret";
pub(crate) const REFRESH_TOKEN: &str = "1//0planted-refresh-token";
pub(crate) const ROTATED: &str = "1//0rotated-refresh-token";
pub(crate) const RAPT: &str = "planted-proof-of-reauthentication";
pub(crate) const ROBOT: &str = "example-sa@example-project.iam.gserviceaccount.com";

/// What must never be seen. Of the key, a line from its middle.
pub(super) const SECRETS: &[&str] = &[
    TOKEN,
    SECOND,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    ROTATED,
    RAPT,
    "aDAeIosCihgH7BeRuX4CgIam9KFaqoVBMLYdy+3lQWKNPAIGH5Y+mkpYj8cZG0wO",
    "GAUTH-TEST-JUNK-SECRET",
];

/// A key file as Google's console hands it out.
pub(crate) fn service_account() -> Value {
    serde_json::from_str(include_str!("../../data/credentials/service_account.json")).expect("JSON")
}

/// Its key.
pub(crate) fn pem() -> String {
    service_account()["private_key"].as_str().expect("a key").to_owned()
}

/// A login as gcloud writes it for other programs.
pub(crate) fn authorized_user() -> Value {
    json!({
        "type": "authorized_user",
        "account": "ada@example.com",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    })
}

/// A credential with some fields changed; `null` takes one away.
pub(crate) fn with(mut credential: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        match value {
            Value::Null => drop(credential.as_object_mut().expect("object").remove(name)),
            value => credential[name] = value.clone(),
        }
    }
    credential
}

/// What the token endpoint answers.
pub(crate) fn granted(token: &str) -> String {
    json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}).to_string()
}
