//! The format of credential files for other programs: the fields that Google's libraries read, in their order.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::{fields, refresh_token_location};
use crate::error::{Error, Result};
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::oauth::token;

/// The fields of a user login: those of google-auth's `to_json` in its order, then others that it reads.
const USER_FIELDS: &[&str] = &[
    "token",
    "refresh_token",
    "token_uri",
    "client_id",
    "client_secret",
    "scopes",
    "rapt_token",
    "universe_domain",
    "account",
    "expiry",
    "quota_project_id",
    "type",
];

/// The fields of a workforce login, in the same way.
const WORKFORCE_FIELDS: &[&str] = &[
    "audience",
    "refresh_token",
    "token_url",
    "token_info_url",
    "client_id",
    "client_secret",
    "token",
    "expiry",
    "revoke_url",
    "scopes",
    "quota_project_id",
    "universe_domain",
    "account",
    "type",
];

/// The fields of a service account key, in the order of the Google Cloud console.
const SERVICE_ACCOUNT_FIELDS: &[&str] = &[
    "type",
    "project_id",
    "private_key_id",
    "private_key",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
];

/// A login in the format for other programs.
pub struct ExportedCredential(Vec<(String, Value)>);

impl ExportedCredential {
    /// Converts the JSON of a stored login, without the fields in `omitted_fields`.
    ///
    /// # Errors
    /// Usage, when `omitted_fields` has a field that logins of this type do not have.
    pub fn new(login: &Map<String, Value>, omitted_fields: &[String]) -> Result<ExportedCredential> {
        let order = field_order(login);
        let mut login = login.clone();
        remove_fields_not_exported(&mut login);
        if order == USER_FIELDS {
            let defaults =
                [("token_uri", token::ENDPOINT), ("universe_domain", DEFAULT_UNIVERSE), ("type", "authorized_user")];
            for (name, default) in defaults {
                login.entry(name).or_insert_with(|| Value::from(default));
            }
        }
        if let Some(unknown) =
            omitted_fields.iter().find(|name| !order.contains(&name.as_str()) && !login.contains_key(name.as_str()))
        {
            let unknown = crate::text::printable::text(unknown);
            return Err(Error::usage(format!("--strip: this login has no field {unknown}"))
                .hint(format!("--strip with one of {}", ordered_field_names(order, &login).join(", "))));
        }
        let included = ordered_field_names(order, &login).into_iter().filter(|name| !omitted_fields.contains(name));
        Ok(ExportedCredential(included.filter_map(|name| login.remove(&name).map(|value| (name, value))).collect()))
    }

    /// The content of the credential file.
    pub fn to_json_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
        // Writing values that were read as JSON cannot fail.
        drop(serde_json::to_writer_pretty(&mut *text, self));
        text.push(b'\n');
        text
    }
}

impl Serialize for ExportedCredential {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn field_order(login: &Map<String, Value>) -> &'static [&'static str] {
    match login.get("type").and_then(Value::as_str) {
        Some("authorized_user") | None => USER_FIELDS,
        Some("external_account_authorized_user") => WORKFORCE_FIELDS,
        Some("service_account") => SERVICE_ACCOUNT_FIELDS,
        Some(_) => &["type"],
    }
}

/// Removes the fields that other programs have no use for: null ones, gauth's own, and those of a user's login that
/// Google's libraries do not write.
pub(super) fn remove_fields_not_exported(login: &mut Map<String, Value>) {
    let order = field_order(login);
    if matches!(order, USER_FIELDS | WORKFORCE_FIELDS) {
        login.retain(|name, _| order.contains(&name.as_str()));
    }
    let is_exported =
        |name: &String, value: &mut Value| !value.is_null() && !fields::GAUTH_OWN.contains(&name.as_str());
    login.retain(is_exported);
    refresh_token_location::object_mut(login).retain(is_exported);
}

/// The names of the fields of a login: those in `order` first, then the others.
fn ordered_field_names(order: &[&str], login: &Map<String, Value>) -> Vec<String> {
    let known = order.iter().filter(|name| login.contains_key(**name)).map(|name| (*name).to_owned());
    let others = login.keys().filter(|name| !order.contains(&name.as_str())).cloned();
    known.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    fn fields(login: Value, without: &[&str]) -> Vec<String> {
        let without: Vec<String> = without.iter().map(|name| (*name).to_owned()).collect();
        let exported = ExportedCredential::new(&map(login), &without).expect("exported");
        exported.0.into_iter().map(|(name, _)| name).collect()
    }

    fn user() -> Value {
        json!({
            "account": "ada@example.com", "client_id": "c", "client_secret": "s",
            "refresh_token": "r", "refresh_token_rotates": true, "signed_in_at": "x",
            "scopes": ["openid"], "revoke_uri": "https://x/", "rapt_token": null,
        })
    }

    #[test]
    fn a_user_login_has_the_fields_of_to_json_in_its_order() {
        let all = [
            "refresh_token",
            "token_uri",
            "client_id",
            "client_secret",
            "scopes",
            "universe_domain",
            "account",
            "type",
        ];
        assert_eq!(fields(user(), &[]), all);
        assert_eq!(
            fields(user(), &["scopes", "token", "type"]),
            ["refresh_token", "token_uri", "client_id", "client_secret", "universe_domain", "account"]
        );
        let text = ExportedCredential::new(&map(user()), &[]).expect("exported").to_json_bytes();
        assert!(text.starts_with(
            b"{\n  \"refresh_token\": \"r\",\n  \"token_uri\": \"https://oauth2.googleapis.com/token\",\n"
        ));
    }

    #[test]
    fn unknown_fields_of_other_types_are_exported() {
        let key = json!({"type": "service_account", "client_email": "a@b", "later": 1, "private_key": "k", "signed_in_at": "x"});
        assert_eq!(fields(key, &[]), ["type", "private_key", "client_email", "later"]);
        let external = json!({"type": "external_account", "audience": "a", "account": "x"});
        assert_eq!(fields(external, &["account"]), ["type", "audience"]);
    }

    #[test]
    fn an_unknown_field_cannot_be_omitted() {
        let error = ExportedCredential::new(&map(user()), &["refreshtoken".to_owned()]).err().expect("refused");
        assert!(error.message().contains("no field refreshtoken"), "{error}");
        assert!(error.hint_text().expect("hint").contains("refresh_token, token_uri"), "{error}");
    }
}
