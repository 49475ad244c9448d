//! A login as Google's libraries read it: which fields, in which order.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::fields;
use crate::error::{Error, Result};
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::oauth::token;

/// As google-auth's `to_json` writes the login of a user, and what that leaves out behind it.
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

/// The same of a workforce login, which is read with its account too.
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

/// As Google's console writes the key of a service account.
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

/// A login as it is handed to other programs.
pub struct ExportedCredential(Vec<(String, Value)>);

impl ExportedCredential {
    /// Of a login's own JSON, without the fields named in `without`.
    ///
    /// # Errors
    /// Usage, for a field that no such login has.
    pub fn new(
        login: &Map<String, Value>,
        omitted_fields: &[String],
    ) -> Result<ExportedCredential> {
        let kind = login.get("type").and_then(Value::as_str);
        let order = match kind {
            Some("authorized_user") | None => USER_FIELDS,
            Some("external_account_authorized_user") => WORKFORCE_FIELDS,
            Some("service_account") => SERVICE_ACCOUNT_FIELDS,
            Some(_) => &["type"],
        };
        let mut login = login.clone();
        login.retain(|name, value| !value.is_null() && !fields::GAUTH_OWN.contains(&name.as_str()));
        let drops_unknown_fields = matches!(order, USER_FIELDS | WORKFORCE_FIELDS);
        if order == USER_FIELDS {
            let defaults = [
                ("token_uri", token::ENDPOINT),
                ("universe_domain", DEFAULT_UNIVERSE),
                ("type", "authorized_user"),
            ];
            for (name, default) in defaults {
                login.entry(name).or_insert_with(|| Value::from(default));
            }
        }
        if let Some(unknown) = omitted_fields
            .iter()
            .find(|name| !order.contains(&name.as_str()) && !login.contains_key(name.as_str()))
        {
            let unknown = crate::text::printable::text(unknown);
            return Err(Error::usage(format!("--strip: such a login has no field {unknown}"))
                .hint(format!("name some of {}", ordered_field_names(order, &login).join(", "))));
        }
        let included = ordered_field_names(order, &login).into_iter().filter(|name| {
            !omitted_fields.contains(name)
                && (!drops_unknown_fields || order.contains(&name.as_str()))
        });
        Ok(ExportedCredential(
            included.filter_map(|name| login.remove(&name).map(|value| (name, value))).collect(),
        ))
    }

    /// Its text.
    pub fn to_json_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
        // Values that were read as JSON can be written as JSON.
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

/// The fields that are there: in this order, and then those that it does not have.
fn ordered_field_names(order: &[&str], login: &Map<String, Value>) -> Vec<String> {
    let known =
        order.iter().filter(|name| login.contains_key(**name)).map(|name| (*name).to_owned());
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
            [
                "refresh_token",
                "token_uri",
                "client_id",
                "client_secret",
                "universe_domain",
                "account"
            ]
        );
        let text = ExportedCredential::new(&map(user()), &[]).expect("exported").to_json_bytes();
        assert!(text.starts_with(b"{\n  \"refresh_token\": \"r\",\n  \"token_uri\": \"https://oauth2.googleapis.com/token\",\n"));
    }

    #[test]
    fn what_is_unknown_of_other_kinds_is_kept() {
        let key = json!({"type": "service_account", "client_email": "a@b", "later": 1, "private_key": "k", "signed_in_at": "x"});
        assert_eq!(fields(key, &[]), ["type", "private_key", "client_email", "later"]);
        let external = json!({"type": "external_account", "audience": "a", "account": "x"});
        assert_eq!(fields(external, &["account"]), ["type", "audience"]);
    }

    #[test]
    fn a_field_that_no_login_has_cannot_be_left_out() {
        let odd = ExportedCredential::new(&map(user()), &["refreshtoken".to_owned()])
            .err()
            .expect("refused");
        assert!(odd.message().contains("no field refreshtoken"), "{odd}");
        assert!(odd.hint_text().expect("hint").contains("refresh_token, token_uri"), "{odd}");
    }
}
