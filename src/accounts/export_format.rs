//! A login as Google's libraries read it: which fields, in which order; and which of them anybody may see.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::secrets::external;
use crate::accounts::{Origin, RefreshTokenHandle, SIGNED_IN_AT_FIELD, StoredState, refresh_token};
use crate::error::{Error, Result};
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::oauth::token;
use crate::text::secret::Secret;
use crate::world::World;

/// What is ours in a login's JSON, and nobody else's.
const GAUTH_FIELDS: &[&str] = &[
    external::STORE_FIELD,
    external::SECRETS_DIGEST_FIELD,
    external::REJECTION_KEY_FIELD,
    SIGNED_IN_AT_FIELD,
    refresh_token::ROTATES_FIELD,
    refresh_token::SHARED_FIELD,
];

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

/// Fields whose values are no secrets. Whatever is not among them is hidden.
const PUBLIC_FIELDS: &[&str] = &[
    "type",
    "account",
    "audience",
    "auth_provider_x509_cert_url",
    "auth_uri",
    "ca_cert_path",
    "certificate_config_location",
    "client_auth",
    "client_email",
    "client_id",
    "client_x509_cert_url",
    "command",
    "delegates",
    "environment_id",
    "expiry",
    "file",
    "format_version",
    "gauth_mark",
    "gauth_secrets",
    "gauth_store",
    "imdsv2_session_token_url",
    "interactive_timeout_millis",
    "issuer",
    "name",
    "output_file",
    "private_key_id",
    "project",
    "project_id",
    "quota_project_id",
    "refresh_token_rotates",
    "refresh_token_shared",
    "region_url",
    "regional_cred_verification_url",
    "revoke_uri",
    "revoke_url",
    "scopes",
    "service_account_impersonation_url",
    "signed_in_at",
    "subject_token_field_name",
    "subject_token_type",
    "timeout_millis",
    "token_info_url",
    "token_lifetime_seconds",
    "token_uri",
    "token_url",
    "trust_chain_path",
    "universe_domain",
    "url",
    "use_default_certificate_config",
    "workforce_pool_user_project",
];

/// Whether anybody may see the value of this field.
pub fn is_public(field: &str) -> bool {
    PUBLIC_FIELDS.contains(&field)
}

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
        login.retain(|name, value| !value.is_null() && !GAUTH_FIELDS.contains(&name.as_str()));
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

/// The same login with the newest refresh token there is of it: of one that is not ours to write, that may lie beside.
///
/// # Errors
/// When a store of ours cannot be used.
pub fn with_newest_refresh_token(
    mut login: Map<String, Value>,
    world: &World,
) -> Result<Map<String, Value>> {
    if let Some(Value::Object(source)) = login.remove("source_credentials") {
        login.insert(
            "source_credentials".to_owned(),
            Value::Object(with_newest_refresh_token(source, world)?),
        );
    }
    let text = |name: &str| login.get(name).and_then(Value::as_str).map(str::to_owned);
    if let (Some(client_id), Some(found)) = (text("client_id"), text("refresh_token")) {
        let refresh_token = Secret::new(found);
        let handle = RefreshTokenHandle {
            origin: &Origin::ReadOnly,
            client_id: &client_id,
            refresh_token: &refresh_token,
            rapt: None,
        };
        if let StoredState::Current(current) = handle.stored_state(world)? {
            let newest = current.refresh_token.expose();
            login.insert("refresh_token".to_owned(), Value::from(newest));
            if let Some(rapt) = current.rapts.last() {
                login.insert("rapt_token".to_owned(), Value::from(rapt.expose()));
            }
        }
    }
    Ok(login)
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

    #[test]
    fn secrets_are_not_public() {
        for secret in [
            "refresh_token",
            "client_secret",
            "private_key",
            "rapt_token",
            "token",
            "id_token",
            "password",
            "headers",
            "anything",
        ] {
            assert!(!is_public(secret), "{secret}");
        }
    }
}
