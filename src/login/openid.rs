//! The login that is made of an OpenID provider's answer: an identity of a pool of Google's where one is named, else
//! one that gives ID tokens only.

use serde_json::{Map, Value, json};

use crate::credential::openid::{self, KIND};
use crate::error::{Error, Result};
use crate::google::sts;
use crate::google::token::Granted;
use crate::login::discovery::Description;
use crate::login::person::Person;
use crate::login::{Made, Plan};
use crate::printable;
use crate::url::Url;
use crate::world::World;
use crate::{duration, jwt};

/// What is stored of a login at a provider, besides the tokens.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the provider calls itself.
    issuer: String,
    /// Where it takes its tokens back.
    revocation: Option<Url>,
    /// The provider of a pool of Google's that takes its ID tokens.
    audience: Option<String>,
    /// Of that pool.
    universe: String,
}

impl Target {
    /// A login at this provider, for this pool.
    pub fn new(description: &Description, audience: Option<String>, universe: &str) -> Target {
        Target {
            issuer: description.issuer.clone(),
            revocation: description.revocation.clone(),
            audience,
            universe: universe.to_owned(),
        }
    }

    /// What its accounts are named after: the pool, or the provider's host.
    fn realm(&self) -> String {
        let pool = self.audience.as_deref().and_then(|audience| {
            let marks = ["/workforcePools/", "/workloadIdentityPools/"];
            let after = marks.iter().find_map(|mark| audience.split_once(mark));
            after.and_then(|(_, rest)| rest.split('/').next())
        });
        match pool {
            Some(pool) => pool.to_owned(),
            None => Url::parse(&self.issuer)
                .map_or_else(|_| self.issuer.clone(), |url| url.authority().to_owned()),
        }
    }

    /// The person in the name of an account of this realm.
    pub fn person<'a>(&self, account: &'a str) -> &'a str {
        account.strip_prefix(&format!("{}/", self.realm())).unwrap_or(account)
    }

    /// The login. Its name says where the person is known, because Google may know one of the same address.
    ///
    /// # Errors
    /// When there is no ID token.
    pub fn login(
        &self,
        plan: &Plan,
        person: &Person,
        granted: &Granted,
        quota_project: Option<&str>,
        world: &World,
    ) -> Result<Made> {
        let who = &plan.provider.name;
        let Some(id_token) = &granted.id_token else {
            return Err(Error::refused(format!("{who} gave no ID token"))
                .hint("leave openid among --scopes, and check that the client may use OpenID"));
        };
        let account = format!("{}/{}", self.realm(), person.account);
        if granted.refresh_token.is_none() {
            let end = jwt::expiry(id_token).map(duration::rfc3339).unwrap_or_default();
            world.terminal.warn(&format!(
                "{who} gave no refresh token: this login ends with its ID token, {end}; --scopes openid,email,\
                 offline_access asks for one"
            ));
        }
        let mut session = Map::new();
        let mut put = |name: &str, value: Value| session.insert(name.to_owned(), value);
        put("issuer", json!(self.issuer));
        put("token_uri", json!(plan.provider.token.as_str()));
        put("client_id", json!(plan.client.id));
        if let Some(secret) = &plan.client.secret {
            put("client_secret", json!(secret.expose()));
            put("client_auth", json!(openid::auth_name(plan.provider.auth)));
        }
        if let Some(token) = &granted.refresh_token {
            put("refresh_token", json!(token.expose()));
        }
        put("id_token", json!(id_token.expose()));
        if let Some(url) = &self.revocation {
            put("revoke_url", json!(url.as_str()));
        }
        let mut login = match &self.audience {
            None => {
                session.insert("type".to_owned(), json!(KIND));
                session
            }
            Some(audience) => self.federated(audience, session),
        };
        login.insert("account".to_owned(), json!(account));
        if let Some(project) = quota_project {
            login.insert("quota_project_id".to_owned(), json!(project));
        }
        Ok(Made { account, login })
    }

    /// An `external_account` whose proof is the provider's ID token.
    fn federated(&self, audience: &str, session: Map<String, Value>) -> Map<String, Value> {
        let server = format!("https://sts.{}/v1", self.universe);
        let mut login = Map::new();
        for (name, value) in [
            ("type", json!("external_account")),
            ("audience", json!(audience)),
            ("subject_token_type", json!(sts::token_type("id_token"))),
            ("token_url", json!(format!("{server}/token"))),
            ("token_info_url", json!(format!("{server}/introspect"))),
            ("credential_source", json!({ "openid": session })),
            ("universe_domain", json!(self.universe)),
        ] {
            login.insert(name.to_owned(), value);
        }
        login
    }
}

/// What is asked for where the user names nothing: who it is, and to be asked no more.
pub fn usual_scopes(description: &Description) -> Vec<String> {
    let mut scopes = vec!["openid", "email"];
    if description.knows_offline_access() {
        scopes.push("offline_access");
    }
    scopes.into_iter().map(str::to_owned).collect()
}

/// Scopes as the user wrote them for a provider, which has its own: nothing is put in front of a word.
///
/// # Errors
/// Usage, for what is no scope.
pub fn scopes(written: &[String]) -> Result<Vec<String>> {
    let mut scopes = vec!["openid".to_owned()];
    for word in written.iter().flat_map(|text| text.split([',', ' '])) {
        let plain =
            word.bytes().all(|byte| byte > 0x20 && byte < 0x7f && byte != b'"' && byte != b'\\');
        if !plain {
            return Err(Error::usage(format!("--scopes {} is no scope", printable::text(word)))
                .hint("--scopes openid,email,offline_access"));
        }
        if !word.is_empty() && !scopes.iter().any(|known| known == word) {
            scopes.push(word.to_owned());
        }
    }
    Ok(scopes)
}
