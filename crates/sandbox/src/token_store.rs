//! The tokens that an issuer has issued: access tokens, and refresh tokens with their families.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::fixtures::EMAIL_SCOPE;
use gauth_core::text::secret::Secret;

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessTokenRecord {
    /// The owner: an email address, or a principal of an identity pool.
    pub(crate) account: String,
    /// The OAuth client, or the unique id of a service account.
    pub(crate) client_id: String,
    /// The scopes of the token.
    pub(crate) scopes: Vec<String>,
    /// When the token expires, in Unix seconds.
    pub(crate) expires_at: i64,
    /// The login that it was issued from; revoking that revokes the token.
    pub(crate) family: Option<u64>,
    /// The Credential Access Boundary that restricts the token.
    pub(crate) access_boundary: Option<Value>,
}

impl AccessTokenRecord {
    /// Whether the owner is a federated identity, which has no Google account.
    pub(crate) fn is_federated(&self) -> bool {
        self.account.starts_with("principal:")
    }

    /// Whether the owner is a user with a Google account.
    pub(crate) fn is_user(&self) -> bool {
        !self.is_federated() && !self.account.ends_with(".gserviceaccount.com")
    }
}

/// The authorization server that issued a refresh token, which is the only one that accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// Google accounts, at `/token`.
    Google,
    /// The workforce pool, at `/v1/oauthtoken`.
    Workforce,
    /// The external OpenID provider, at `/oidc/token`.
    External,
}

impl Issuer {
    /// The route that accepts the issuer's refresh tokens.
    pub(crate) fn token_route(self) -> &'static str {
        match self {
            Issuer::Google => "token",
            Issuer::Workforce => "oauthtoken",
            Issuer::External => "oidc-token",
        }
    }
}

/// What a refresh token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefreshTokenRecord {
    /// The authorization server that issued it.
    pub(crate) issuer: Issuer,
    /// The owner of the token.
    pub(crate) account: String,
    /// The OAuth client that it was issued to.
    pub(crate) client_id: String,
    /// The scopes that were granted.
    pub(crate) scopes: Vec<String>,
    /// The number of the login, which all its refresh tokens have in common.
    pub(crate) family: u64,
    /// Whether another refresh token has replaced it.
    pub(crate) is_rotated: bool,
}

impl RefreshTokenRecord {
    /// The record of an access token that is issued for this refresh token.
    pub(crate) fn access_token_record(&self, scopes: Vec<String>, expires_at: i64) -> AccessTokenRecord {
        AccessTokenRecord {
            account: self.account.clone(),
            client_id: self.client_id.clone(),
            scopes,
            expires_at,
            family: Some(self.family),
            access_boundary: None,
        }
    }
}

/// The tokens and consents of an issuer.
#[derive(Default)]
pub(crate) struct TokenStore {
    access_tokens: HashMap<String, AccessTokenRecord>,
    refresh_tokens: HashMap<String, RefreshTokenRecord>,
    revoked_families: HashSet<u64>,
    /// The number of the latest login.
    last_family: u64,
    /// The scopes that users have consented to, by account and client.
    consented_scopes: HashMap<(String, String), Vec<String>>,
    /// The tokens that the metadata server returns repeatedly, by account and scopes.
    machine_tokens: BTreeMap<(String, Vec<String>), String>,
}

impl TokenStore {
    /// Records an access token.
    pub(crate) fn insert_access_token(&mut self, token: &str, record: AccessTokenRecord) {
        self.access_tokens.insert(token.to_owned(), record);
    }

    /// The record of an access token, if it is valid.
    pub(crate) fn find_access_token(&self, token: &str, now: i64) -> Option<&AccessTokenRecord> {
        let record = self.access_tokens.get(token)?;
        let is_revoked = record.family.is_some_and(|family| self.revoked_families.contains(&family));
        (record.expires_at > now && !is_revoked).then_some(record)
    }

    /// A number for a new login.
    pub(crate) fn new_family(&mut self) -> u64 {
        self.last_family += 1;
        self.last_family
    }

    /// The scopes that the user has granted to the client; `None` if there is no consent, or it was revoked.
    pub(crate) fn find_consent(&self, account: &str, client: &str) -> Option<&[String]> {
        self.consented_scopes.get(&(account.to_owned(), client.to_owned())).map(Vec::as_slice)
    }

    /// Records consent to these scopes, in addition to earlier ones.
    pub(crate) fn record_consent(&mut self, account: &str, client: &str, scopes: &[String]) {
        let consented = self.consented_scopes.entry((account.to_owned(), client.to_owned())).or_default();
        for scope in scopes {
            if !includes_scope(consented, scope) {
                consented.push(scope.clone());
            }
        }
    }

    /// Records a refresh token.
    pub(crate) fn insert_refresh_token(&mut self, token: &str, record: RefreshTokenRecord) {
        self.refresh_tokens.insert(token.to_owned(), record);
    }

    /// Stores the refresh token of a fixture or of an admitted credential.
    pub(crate) fn admit_refresh_token(&mut self, token: &Secret, record: RefreshTokenRecord) {
        self.insert_refresh_token(token.expose(), record);
    }

    /// The record of a refresh token, even if it is no longer valid.
    pub(crate) fn find_refresh_token(&self, token: &str) -> Option<&RefreshTokenRecord> {
        self.refresh_tokens.get(token)
    }

    /// Whether the login has been revoked.
    pub(crate) fn is_family_revoked(&self, family: u64) -> bool {
        self.revoked_families.contains(&family)
    }

    /// Records that another refresh token has replaced this one.
    pub(crate) fn mark_rotated(&mut self, token: &str) {
        if let Some(record) = self.refresh_tokens.get_mut(token) {
            record.is_rotated = true;
        }
    }

    /// Revokes a login with all its refresh and access tokens.
    pub(crate) fn revoke_family(&mut self, family: u64) {
        self.revoked_families.insert(family);
    }

    /// Revokes a token, its login and the user's consent; returns whether the token was known.
    pub(crate) fn revoke_token(&mut self, token: &str) -> bool {
        let record = self.refresh_tokens.get(token);
        let record = record.map(|login| (login.family, &login.account, &login.client_id));
        let record = record.or_else(|| {
            let record = self.access_tokens.get(token)?;
            Some((record.family?, &record.account, &record.client_id))
        });
        match record {
            Some((family, account, client)) => {
                self.consented_scopes.remove(&(account.clone(), client.clone()));
                self.revoked_families.insert(family)
            }
            None => self.access_tokens.remove(token).is_some(),
        }
    }

    /// The client that a token was issued to.
    pub(crate) fn client_id_of(&self, token: &str) -> Option<&str> {
        let client_id = self.refresh_tokens.get(token).map(|login| login.client_id.as_str());
        client_id.or_else(|| self.access_tokens.get(token).map(|grant| grant.client_id.as_str()))
    }

    /// The metadata server's current token for these scopes, and when it expires.
    pub(crate) fn machine_token(&self, account: &str, scopes: &[String]) -> Option<(String, i64)> {
        let token = self.machine_tokens.get(&(account.to_owned(), scopes.to_vec()))?;
        let record = self.access_tokens.get(token)?;
        Some((token.clone(), record.expires_at))
    }

    /// Records the metadata server's token for these scopes.
    pub(crate) fn store_machine_token(&mut self, token: &str, record: AccessTokenRecord) {
        let key = (record.account.clone(), record.scopes.clone());
        self.machine_tokens.insert(key, token.to_owned());
        self.insert_access_token(token, record);
    }
}

/// The full name of a scope: two of OpenID Connect's have a short and a full name.
pub(crate) fn canonical_scope(scope: &str) -> &str {
    match scope {
        "email" => EMAIL_SCOPE,
        "profile" => "https://www.googleapis.com/auth/userinfo.profile",
        other => other,
    }
}

/// Whether the scope is in the list, by either name.
pub(crate) fn includes_scope(scopes: &[String], wanted: &str) -> bool {
    scopes.iter().any(|scope| canonical_scope(scope) == canonical_scope(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revoking_a_family_revokes_its_access_tokens() {
        let mut token_store = TokenStore::default();
        let record = |family| AccessTokenRecord {
            account: "a".to_owned(),
            client_id: "c".to_owned(),
            scopes: Vec::new(),
            expires_at: 10,
            family,
            access_boundary: None,
        };
        token_store.insert_access_token("one", record(Some(1)));
        token_store.insert_access_token("two", record(None));
        assert!(
            token_store.find_access_token("one", 9).is_some() && token_store.find_access_token("one", 10).is_none()
        );
        assert!(token_store.revoke_token("one"));
        assert!(token_store.find_access_token("one", 9).is_none() && token_store.find_access_token("two", 9).is_some());
        assert!(
            token_store.revoke_token("two") && !token_store.revoke_token("two") && !token_store.revoke_token("three")
        );
    }

    #[test]
    fn scope_aliases_are_equal() {
        let scopes = [EMAIL_SCOPE.to_owned(), "openid".to_owned()];
        assert!(includes_scope(&scopes, "email") && includes_scope(&scopes, "openid"));
        assert!(!includes_scope(&scopes, "profile"));
    }
}
