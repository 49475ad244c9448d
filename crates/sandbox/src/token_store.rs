//! What the sandbox has issued: access tokens, and refresh tokens with the families they belong to.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::fixtures::EMAIL_SCOPE;

/// An access token's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessTokenRecord {
    /// Whose it is: an e-mail address, or a principal of federation.
    pub(super) account: String,
    /// To which OAuth client, or for a service account its number.
    pub(super) client_id: String,
    /// What it allows.
    pub(super) scopes: Vec<String>,
    /// Until when, in Unix seconds.
    pub(super) expires_at: i64,
    /// The login it came from: it ends with that.
    pub(super) family: Option<u64>,
    /// What it is downscoped to, a Credential Access Boundary.
    pub(super) access_boundary: Option<Value>,
}

impl AccessTokenRecord {
    /// Whether it is of somebody whom Google knows through STS only.
    pub(super) fn is_federated(&self) -> bool {
        self.account.starts_with("principal:")
    }

    /// Whether it is of a person with a Google account.
    pub(super) fn is_user(&self) -> bool {
        !self.is_federated() && !self.account.ends_with(".gserviceaccount.com")
    }
}

/// Where a login was made, which is where its refresh token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Issuer {
    /// Google accounts: `/token`.
    Google,
    /// A workforce pool: `/v1/oauthtoken`.
    Workforce,
    /// The outside OpenID provider: `/oidc/token`.
    External,
}

impl Issuer {
    /// The route that takes its refresh tokens.
    pub(super) fn token_route(self) -> &'static str {
        match self {
            Issuer::Google => "token",
            Issuer::Workforce => "oauthtoken",
            Issuer::External => "oidc-token",
        }
    }
}

/// A refresh token's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefreshTokenRecord {
    /// Where it was made.
    pub(super) issuer: Issuer,
    /// Whose it is.
    pub(super) account: String,
    /// The OAuth client it was made with.
    pub(super) client_id: String,
    /// What was granted.
    pub(super) scopes: Vec<String>,
    /// All refresh tokens that came from one login.
    pub(super) family: u64,
    /// Whether another refresh token took its place.
    pub(super) is_rotated: bool,
}

impl RefreshTokenRecord {
    /// The meaning of an access token that comes from it.
    pub(super) fn access_token_record(
        &self,
        scopes: Vec<String>,
        expires_at: i64,
    ) -> AccessTokenRecord {
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

/// The book.
#[derive(Default)]
pub(super) struct TokenStore {
    access_tokens: HashMap<String, AccessTokenRecord>,
    refresh_tokens: HashMap<String, RefreshTokenRecord>,
    revoked_families: HashSet<u64>,
    /// The number of the latest login.
    last_family: u64,
    /// What people agreed to, by account and client.
    consented_scopes: HashMap<(String, String), Vec<String>>,
    /// What the metadata server hands out again and again, by account and scopes.
    machine_tokens: BTreeMap<(String, Vec<String>), String>,
}

impl TokenStore {
    /// Enters an access token.
    pub(super) fn insert_access_token(&mut self, token: &str, record: AccessTokenRecord) {
        self.access_tokens.insert(token.to_owned(), record);
    }

    /// What an access token means, while it is good.
    pub(super) fn find_access_token(&self, token: &str, now: i64) -> Option<&AccessTokenRecord> {
        let record = self.access_tokens.get(token)?;
        let is_revoked =
            record.family.is_some_and(|family| self.revoked_families.contains(&family));
        (record.expires_at > now && !is_revoked).then_some(record)
    }

    /// A number for another login.
    pub(super) fn new_family(&mut self) -> u64 {
        self.last_family += 1;
        self.last_family
    }

    /// What a person has agreed to give a client, if they were ever asked and it was not taken back.
    pub(super) fn find_consent(&self, account: &str, client: &str) -> Option<&[String]> {
        self.consented_scopes.get(&(account.to_owned(), client.to_owned())).map(Vec::as_slice)
    }

    /// Notes what a person agreed to, beside what they had.
    pub(super) fn record_consent(&mut self, account: &str, client: &str, scopes: &[String]) {
        let consented =
            self.consented_scopes.entry((account.to_owned(), client.to_owned())).or_default();
        for scope in scopes {
            if !includes_scope(consented, scope) {
                consented.push(scope.clone());
            }
        }
    }

    /// Enters a login's first refresh token, or the next one in place of it.
    pub(super) fn insert_refresh_token(&mut self, token: &str, record: RefreshTokenRecord) {
        self.refresh_tokens.insert(token.to_owned(), record);
    }

    /// What a refresh token means, even when it is no longer good.
    pub(super) fn find_refresh_token(&self, token: &str) -> Option<&RefreshTokenRecord> {
        self.refresh_tokens.get(token)
    }

    /// Whether the family has been revoked.
    pub(super) fn is_family_revoked(&self, family: u64) -> bool {
        self.revoked_families.contains(&family)
    }

    /// Notes that another refresh token took this one's place.
    pub(super) fn mark_rotated(&mut self, token: &str) {
        if let Some(record) = self.refresh_tokens.get_mut(token) {
            record.is_rotated = true;
        }
    }

    /// Ends a login: all its refresh and access tokens.
    pub(super) fn revoke_family(&mut self, family: u64) {
        self.revoked_families.insert(family);
    }

    /// Ends what this token stands for, and the consent that it came from; says whether it was anything.
    pub(super) fn revoke_token(&mut self, token: &str) -> bool {
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

    /// The client that a token was made for, while it is known.
    pub(super) fn client_id_of(&self, token: &str) -> Option<&str> {
        let client_id = self.refresh_tokens.get(token).map(|login| login.client_id.as_str());
        client_id.or_else(|| self.access_tokens.get(token).map(|grant| grant.client_id.as_str()))
    }

    /// The token the metadata server has for these scopes, with its end.
    pub(super) fn machine_token(&self, account: &str, scopes: &[String]) -> Option<(String, i64)> {
        let token = self.machine_tokens.get(&(account.to_owned(), scopes.to_vec()))?;
        let record = self.access_tokens.get(token)?;
        Some((token.clone(), record.expires_at))
    }

    /// Keeps the token the metadata server has for these scopes.
    pub(super) fn store_machine_token(&mut self, token: &str, record: AccessTokenRecord) {
        let key = (record.account.clone(), record.scopes.clone());
        self.machine_tokens.insert(key, token.to_owned());
        self.insert_access_token(token, record);
    }
}

/// Two of OpenID Connect's scopes have a long name too; the long one counts.
pub(super) fn canonical_scope(scope: &str) -> &str {
    match scope {
        "email" => EMAIL_SCOPE,
        "profile" => "https://www.googleapis.com/auth/userinfo.profile",
        other => other,
    }
}

/// Whether a scope is among others, under either name.
pub(super) fn includes_scope(scopes: &[String], wanted: &str) -> bool {
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
            token_store.find_access_token("one", 9).is_some()
                && token_store.find_access_token("one", 10).is_none()
        );
        assert!(token_store.revoke_token("one"));
        assert!(
            token_store.find_access_token("one", 9).is_none()
                && token_store.find_access_token("two", 9).is_some()
        );
        assert!(
            token_store.revoke_token("two")
                && !token_store.revoke_token("two")
                && !token_store.revoke_token("three")
        );
    }

    #[test]
    fn scope_aliases_are_equal() {
        let scopes = [EMAIL_SCOPE.to_owned(), "openid".to_owned()];
        assert!(includes_scope(&scopes, "email") && includes_scope(&scopes, "openid"));
        assert!(!includes_scope(&scopes, "profile"));
    }
}
