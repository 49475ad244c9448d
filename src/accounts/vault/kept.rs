//! A login whose secrets are in another store than its file. The file says which, has everything that anybody may see,
//! and a digest of what the store has: as long as that is the same, the store need not be asked again.

use std::cell::RefCell;
use std::path::PathBuf;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::accounts::mark::mark;
use crate::accounts::shape;
use crate::accounts::vault::{Store, Vaults};
use crate::cache::Key;
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::{json, printable};

/// Names the store, in a file without secrets.
pub const STORE: &str = "gauth_store";
/// The digest of what the store has.
pub const SECRETS: &str = "gauth_secrets";

/// The name of the mark that is left when the server refuses the login.
pub const MARK: &str = "gauth_mark";

/// Stands in a file where the store has a secret, so that the rest can be understood without it.
pub const ELSEWHERE: &str = "(in the store)";

/// The way to the secrets of one login.
#[derive(Debug)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    account: String,
    store: Store,
    vaults: Vaults,
    /// What the store had, and its digest.
    had: RefCell<Option<(String, Zeroizing<Vec<u8>>)>>,
}

/// The store that a file names; `None` where its secrets are in itself.
///
/// # Errors
/// What is wrong, as the end of a sentence about the file.
pub fn store_of(file: &Map<String, Value>) -> std::result::Result<Option<Store>, String> {
    match file.get(STORE) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => match Store::named(name, STORE) {
            Ok(Store::File) => Ok(None),
            Ok(store) => Ok(Some(store)),
            Err(_) => {
                Err(format!("{STORE} is \"{}\", known are keyring, command", printable::text(name)))
            }
        },
        Some(other) => Err(json::wrong_type(STORE, other, "a string")),
    }
}

/// The file of a login that is whole in a store.
pub fn without_secrets(login: &Map<String, Value>, store: Store) -> Map<String, Value> {
    let mut file = public(login);
    file.insert(STORE.to_owned(), Value::from(store.name()));
    file.insert(SECRETS.to_owned(), Value::from(digest(&text(login))));
    if let Some(mark) = mark_of(login) {
        file.insert(MARK.to_owned(), Value::from(mark.as_str()));
    }
    file
}

/// The mark of the login that its server may refuse.
fn mark_of(login: &Map<String, Value>) -> Option<Key> {
    let inner = |name: &str, within: &str| login.get(name)?.get(within)?.as_object();
    let source = login.get("source_credentials").and_then(Value::as_object);
    let holder = source.or_else(|| inner("credential_source", "openid")).unwrap_or(login);
    let text = |name: &str| holder.get(name).and_then(Value::as_str);
    let refresh_token = Secret::new(text("refresh_token")?);
    Some(mark(text("client_id")?, &refresh_token))
}

fn public(login: &Map<String, Value>) -> Map<String, Value> {
    let seen = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(inner) => Value::Object(public(inner)),
            value if shape::is_public(name) => value.clone(),
            Value::String(_) => Value::from(ELSEWHERE),
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Number(_) | Value::Array(_) => return None,
        };
        Some((name.clone(), value))
    };
    login.iter().filter_map(seen).collect()
}

/// A login as a store gets it: one line.
pub fn text(login: &Map<String, Value>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(8 * 1024));
    // Values that were read as JSON can be written as JSON.
    drop(serde_json::to_writer(&mut *text, login));
    text
}

fn digest(text: &[u8]) -> String {
    Sha256::digest(text.trim_ascii()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Kept {
    /// Of the login in this file, whose secrets are in this store.
    pub fn new(path: PathBuf, account: &str, store: Store, vaults: &Vaults) -> Kept {
        let (account, vaults) = (account.to_owned(), vaults.clone());
        Kept { path, account, store, vaults, had: RefCell::default() }
    }

    /// The whole login, where its file reads like this now.
    ///
    /// # Errors
    /// When the store does not give it.
    pub fn login(&self, file: &Map<String, Value>) -> Result<Map<String, Value>> {
        let named = file.get(SECRETS).and_then(Value::as_str).unwrap_or_default();
        let known = self.had.borrow().as_ref().is_some_and(|(digest, _)| digest == named);
        if !known {
            let text = self.vaults.get(self.store, &self.account)?;
            *self.had.borrow_mut() = Some((digest(&text), text));
        }
        let had = self.had.borrow();
        let text = had.as_ref().map_or(&[][..], |(_, text)| text.trim_ascii());
        json::object(text).map_err(|what| {
            let (store, shown) = (self.store.name(), printable::text(&self.account));
            Error::no_answer(format!("the {store} store's login of {shown} {what}"))
                .hint(format!("gauth login --account {shown} --store {store}"))
        })
    }

    /// Puts a changed login into the store, and returns what its file is to be then.
    ///
    /// # Errors
    /// When the store does not take it: what it has may be the old login or the new one.
    pub fn put(&self, login: &Map<String, Value>) -> Result<Map<String, Value>> {
        let text = text(login);
        self.vaults.put(self.store, &self.account, &text)?;
        let file = without_secrets(login, self.store);
        *self.had.borrow_mut() = Some((digest(&text), text));
        Ok(file)
    }

    /// Where it is.
    pub fn store(&self) -> Store {
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
    fn a_file_without_secrets_has_all_the_rest() {
        let login = map(json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
            "scopes": ["openid"], "later": 5, "flag": true,
            "credential_source": {"openid": {"client_id": "c", "refresh_token": "r", "issuer": "https://i/"}},
        }));
        let file = without_secrets(&login, Store::Command);
        let [digest, mark] =
            [SECRETS, MARK].map(|name| file[name].as_str().expect("a digest").to_owned());
        assert_eq!(
            Value::Object(file),
            json!({
                "type": "authorized_user", "client_id": "c", "client_secret": ELSEWHERE, "refresh_token": ELSEWHERE,
                "scopes": ["openid"], "flag": true, "gauth_store": "command", "gauth_secrets": digest, "gauth_mark": mark,
                "credential_source": {"openid": {"client_id": "c", "refresh_token": ELSEWHERE, "issuer": "https://i/"}},
            })
        );
        assert_ne!(
            Value::from(digest),
            without_secrets(&map(json!({"refresh_token": "x"})), Store::Command)[SECRETS]
        );
    }

    #[test]
    fn the_store_is_read_from_the_file() {
        let of = |value| store_of(&map(json!({"gauth_store": value})));
        assert_eq!(of(json!("keyring")), Ok(Some(Store::Keyring)));
        assert_eq!(of(json!("file")), Ok(None));
        assert_eq!(store_of(&Map::new()), Ok(None));
        assert!(of(json!("drawer")).is_err() && of(json!(5)).is_err());
    }
}
