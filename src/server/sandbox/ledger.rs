//! What the sandbox has issued: access tokens, and refresh tokens with the families they belong to.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::server::sandbox::cast::EMAIL_SCOPE;

/// An access token's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// Whose it is: an e-mail address, or a principal of federation.
    pub(super) account: String,
    /// To which OAuth client, or for a service account its number.
    pub(super) client: String,
    /// What it allows.
    pub(super) scopes: Vec<String>,
    /// Until when, in Unix seconds.
    pub(super) expires_at: i64,
    /// The login it came from: it ends with that.
    pub(super) family: Option<u64>,
    /// What it is downscoped to, a Credential Access Boundary.
    pub(super) boundary: Option<Value>,
}

impl Grant {
    /// Whether it is of somebody whom Google knows through STS only.
    pub(super) fn is_federated(&self) -> bool {
        self.account.starts_with("principal:")
    }

    /// Whether it is of a person with a Google account.
    pub(super) fn is_users(&self) -> bool {
        !self.is_federated() && !self.account.ends_with(".gserviceaccount.com")
    }
}

/// Where a login was made, which is where its refresh token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Google accounts: `/token`.
    Accounts,
    /// A workforce pool: `/v1/oauthtoken`.
    Sts,
    /// The outside OpenID provider: `/oidc/token`.
    Outside,
}

impl Door {
    /// The route that takes its refresh tokens.
    pub(super) fn route(self) -> &'static str {
        match self {
            Door::Accounts => "token",
            Door::Sts => "oauthtoken",
            Door::Outside => "oidc-token",
        }
    }
}

/// A refresh token's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Where it was made.
    pub(super) door: Door,
    /// Whose it is.
    pub(super) account: String,
    /// The OAuth client it was made with.
    pub(super) client: String,
    /// What was granted.
    pub(super) scopes: Vec<String>,
    /// All refresh tokens that came from one login.
    pub(super) family: u64,
    /// Whether another refresh token took its place.
    pub(super) replaced: bool,
}

impl Login {
    /// The meaning of an access token that comes from it.
    pub(super) fn grant(&self, scopes: Vec<String>, expires_at: i64) -> Grant {
        Grant {
            account: self.account.clone(),
            client: self.client.clone(),
            scopes,
            expires_at,
            family: Some(self.family),
            boundary: None,
        }
    }
}

/// The book.
#[derive(Default)]
pub(super) struct Ledger {
    access: HashMap<String, Grant>,
    refresh: HashMap<String, Login>,
    revoked: HashSet<u64>,
    /// The number of the latest login.
    families: u64,
    /// What people agreed to, by account and client.
    consents: HashMap<(String, String), Vec<String>>,
    /// What the metadata server hands out again and again, by account and scopes.
    machine: BTreeMap<(String, Vec<String>), String>,
}

impl Ledger {
    /// Enters an access token.
    pub(super) fn issue(&mut self, token: &str, grant: Grant) {
        self.access.insert(token.to_owned(), grant);
    }

    /// What an access token means, while it is good.
    pub(super) fn access(&self, token: &str, now: i64) -> Option<&Grant> {
        let grant = self.access.get(token)?;
        let ended = grant.family.is_some_and(|family| self.revoked.contains(&family));
        (grant.expires_at > now && !ended).then_some(grant)
    }

    /// A number for another login.
    pub(super) fn new_family(&mut self) -> u64 {
        self.families += 1;
        self.families
    }

    /// What a person has agreed to give a client, if they were ever asked and it was not taken back.
    pub(super) fn consent(&self, account: &str, client: &str) -> Option<&[String]> {
        self.consents.get(&(account.to_owned(), client.to_owned())).map(Vec::as_slice)
    }

    /// Notes what a person agreed to, beside what they had.
    pub(super) fn note_consent(&mut self, account: &str, client: &str, scopes: &[String]) {
        let known = self.consents.entry((account.to_owned(), client.to_owned())).or_default();
        for scope in scopes {
            if !includes(known, scope) {
                known.push(scope.clone());
            }
        }
    }

    /// Enters a login's first refresh token, or the next one in place of it.
    pub(super) fn enter(&mut self, token: &str, login: Login) {
        self.refresh.insert(token.to_owned(), login);
    }

    /// What a refresh token means, even when it is no longer good.
    pub(super) fn login(&self, token: &str) -> Option<&Login> {
        self.refresh.get(token)
    }

    /// Whether the family has been revoked.
    pub(super) fn is_revoked(&self, family: u64) -> bool {
        self.revoked.contains(&family)
    }

    /// Notes that another refresh token took this one's place.
    pub(super) fn replace(&mut self, token: &str) {
        if let Some(login) = self.refresh.get_mut(token) {
            login.replaced = true;
        }
    }

    /// Ends a login: all its refresh and access tokens.
    pub(super) fn revoke_family(&mut self, family: u64) {
        self.revoked.insert(family);
    }

    /// Ends what this token stands for, and the consent that it came from; says whether it was anything.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        let login = self.refresh.get(token);
        let login = login.map(|login| (login.family, &login.account, &login.client));
        let login = login.or_else(|| {
            let grant = self.access.get(token)?;
            Some((grant.family?, &grant.account, &grant.client))
        });
        match login {
            Some((family, account, client)) => {
                self.consents.remove(&(account.clone(), client.clone()));
                self.revoked.insert(family)
            }
            None => self.access.remove(token).is_some(),
        }
    }

    /// The client that a token was made for, while it is known.
    pub(super) fn client(&self, token: &str) -> Option<&str> {
        let login = self.refresh.get(token).map(|login| login.client.as_str());
        login.or_else(|| self.access.get(token).map(|grant| grant.client.as_str()))
    }

    /// The token the metadata server has for these scopes, with its end.
    pub(super) fn machine_token(&self, account: &str, scopes: &[String]) -> Option<(String, i64)> {
        let token = self.machine.get(&(account.to_owned(), scopes.to_vec()))?;
        let grant = self.access.get(token)?;
        Some((token.clone(), grant.expires_at))
    }

    /// Keeps the token the metadata server has for these scopes.
    pub(super) fn keep_machine_token(&mut self, token: &str, grant: Grant) {
        let key = (grant.account.clone(), grant.scopes.clone());
        self.machine.insert(key, token.to_owned());
        self.issue(token, grant);
    }
}

/// Two of OpenID Connect's scopes have a long name too; the long one counts.
pub(super) fn canonical(scope: &str) -> &str {
    match scope {
        "email" => EMAIL_SCOPE,
        "profile" => "https://www.googleapis.com/auth/userinfo.profile",
        other => other,
    }
}

/// Whether a scope is among others, under either name.
pub(super) fn includes(scopes: &[String], wanted: &str) -> bool {
    scopes.iter().any(|scope| canonical(scope) == canonical(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_family_takes_its_access_tokens_along() {
        let mut ledger = Ledger::default();
        let grant = |family| Grant {
            account: "a".to_owned(),
            client: "c".to_owned(),
            scopes: Vec::new(),
            expires_at: 10,
            family,
            boundary: None,
        };
        ledger.issue("one", grant(Some(1)));
        ledger.issue("two", grant(None));
        assert!(ledger.access("one", 9).is_some() && ledger.access("one", 10).is_none());
        assert!(ledger.revoke("one"));
        assert!(ledger.access("one", 9).is_none() && ledger.access("two", 9).is_some());
        assert!(ledger.revoke("two") && !ledger.revoke("two") && !ledger.revoke("three"));
    }

    #[test]
    fn both_names_of_a_scope_are_one() {
        let scopes = [EMAIL_SCOPE.to_owned(), "openid".to_owned()];
        assert!(includes(&scopes, "email") && includes(&scopes, "openid"));
        assert!(!includes(&scopes, "profile"));
    }
}
