//! A login whose secrets are in another store. Its file names the store, and has all fields that are not secret and a
//! digest of the login in the store: while that is the same, the store need not be read again.

use std::cell::RefCell;
use std::path::PathBuf;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::accounts::rejections::rejection_key;
use crate::accounts::secrets::{SecretStore, SecretStores};
use crate::accounts::{fields, refresh_token_location};
use crate::error::{Error, Result};
use crate::text::{hex, json, printable};
use crate::tokens::cache::CacheKey;

/// The access to the secrets of one login in another store.
#[derive(Debug)]
pub struct ExternalSecret {
    /// The file of the login.
    pub path: PathBuf,
    account: String,
    store: SecretStore,
    stores: SecretStores,
    /// The login in the store as it was last read or written, and its digest.
    cached: RefCell<Option<(String, Zeroizing<Vec<u8>>)>>,
}

/// The store that a file names; `None` where the file has the secrets itself.
///
/// # Errors
/// The end of a sentence that begins with the file.
pub(crate) fn named_store(file: &Map<String, Value>) -> std::result::Result<Option<SecretStore>, String> {
    match file.get(fields::STORE) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => match SecretStore::parse(name, fields::STORE) {
            Ok(SecretStore::File) => Ok(None),
            Ok(store) => Ok(Some(store)),
            Err(_) => Err(format!("{} is \"{}\", not keyring or command", fields::STORE, printable::text(name))),
        },
        Some(other) => Err(json::wrong_type(fields::STORE, other, "a string")),
    }
}

/// The content of the file of a login whose secrets are in `store`.
pub(crate) fn without_secrets(login: &Map<String, Value>, store: SecretStore) -> Map<String, Value> {
    let mut file = public_fields(login);
    file.insert(fields::STORE.to_owned(), Value::from(store.name()));
    file.insert(fields::SECRETS_DIGEST.to_owned(), Value::from(secret_digest(&to_json_line(login))));
    if let Some(rejection_key) = rejection_key_of(login) {
        file.insert(fields::REJECTION_KEY.to_owned(), Value::from(rejection_key.as_str()));
    }
    file
}

/// The cache key under which the rejection of the login is recorded.
fn rejection_key_of(login: &Map<String, Value>) -> Option<CacheKey> {
    let found = refresh_token_location::find(login)?;
    Some(rejection_key(found.client_id, &found.refresh_token))
}

fn public_fields(login: &Map<String, Value>) -> Map<String, Value> {
    let public_value = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(inner) => Value::Object(public_fields(inner)),
            value if fields::is_public(name) => value.clone(),
            Value::String(_) => Value::from(fields::SECRET_PLACEHOLDER),
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Number(_) | Value::Array(_) => return None,
        };
        Some((name.clone(), value))
    };
    login.iter().filter_map(public_value).collect()
}

/// A login as a store has it: JSON in one line.
pub fn to_json_line(login: &Map<String, Value>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
    // Writing values that were read as JSON cannot fail.
    drop(serde_json::to_writer(&mut *text, login));
    text
}

fn secret_digest(text: &[u8]) -> String {
    hex::encode(&Sha256::digest(text.trim_ascii()))
}

impl ExternalSecret {
    /// The access for the login in this file, whose secrets are in this store.
    pub fn new(path: PathBuf, account: &str, store: SecretStore, stores: &SecretStores) -> ExternalSecret {
        let (account, stores) = (account.to_owned(), stores.clone());
        ExternalSecret { path, account, store, stores, cached: RefCell::default() }
    }

    /// The login including its secrets. `file` is the current content of its file.
    ///
    /// # Errors
    /// When the store does not return the login.
    pub fn load(&self, file: &Map<String, Value>) -> Result<Map<String, Value>> {
        let expected_digest = file.get(fields::SECRETS_DIGEST).and_then(Value::as_str).unwrap_or_default();
        let is_cached = self.cached.borrow().as_ref().is_some_and(|(digest, _)| digest == expected_digest);
        if !is_cached {
            let text = self.stores.get(self.store, &self.account)?;
            *self.cached.borrow_mut() = Some((secret_digest(&text), text));
        }
        let cached = self.cached.borrow();
        let text = cached.as_ref().map_or(&[][..], |(_, text)| text.trim_ascii());
        json::parse_object(text).map_err(|what| {
            let (store, shown) = (self.store.name(), printable::text(&self.account));
            Error::no_answer(format!("the {store} store's login of {shown} {what}"))
                .hint(format!("gauth login --account {shown} --store {store}"))
        })
    }

    /// Writes a changed login to the store, and returns the new content of its file.
    ///
    /// # Errors
    /// When the store does not accept it. The store may then have the previous login or the new one.
    pub fn put(&self, login: &Map<String, Value>) -> Result<Map<String, Value>> {
        let text = to_json_line(login);
        self.stores.put(self.store, &self.account, &text)?;
        let file = without_secrets(login, self.store);
        *self.cached.borrow_mut() = Some((secret_digest(&text), text));
        Ok(file)
    }

    /// The store that has the secrets.
    pub fn store(&self) -> SecretStore {
        self.store
    }
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

    #[test]
    fn a_file_without_secrets_has_all_other_fields() {
        let login = map(json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
            "scopes": ["openid"], "later": 5, "flag": true,
            "credential_source": {"openid": {"client_id": "c", "refresh_token": "r", "issuer": "https://i/"}},
        }));
        let file = without_secrets(&login, SecretStore::Command);
        let [digest, mark] = [fields::SECRETS_DIGEST, fields::REJECTION_KEY]
            .map(|name| file[name].as_str().expect("a digest").to_owned());
        assert_eq!(
            Value::Object(file),
            json!({
                "type": "authorized_user", "client_id": "c", "client_secret": fields::SECRET_PLACEHOLDER, "refresh_token": fields::SECRET_PLACEHOLDER,
                "scopes": ["openid"], "flag": true, "gauth_store": "command", "gauth_secrets": digest, "gauth_mark": mark,
                "credential_source": {"openid": {"client_id": "c", "refresh_token": fields::SECRET_PLACEHOLDER, "issuer": "https://i/"}},
            })
        );
        assert_ne!(
            Value::from(digest),
            without_secrets(&map(json!({"refresh_token": "x"})), SecretStore::Command)[fields::SECRETS_DIGEST]
        );
    }

    #[test]
    fn the_file_names_the_store() {
        let of = |value| named_store(&map(json!({"gauth_store": value})));
        assert_eq!(of(json!("keyring")), Ok(Some(SecretStore::Keyring)));
        assert_eq!(of(json!("file")), Ok(None));
        assert_eq!(named_store(&Map::new()), Ok(None));
        assert!(of(json!("drawer")).is_err() && of(json!(5)).is_err());
    }
}
