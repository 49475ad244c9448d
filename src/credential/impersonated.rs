//! A service account that another credential acts as: tokens from IAM Service Account Credentials.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::gdch_service_account;
use crate::credential::source::Source;
use crate::credential::{
    self, AGAIN, About, Credential, Revocation, Services, Setting, kind_in_words,
};
use crate::error::{Error, Result};
use crate::google::iam::{self, LONGEST_LIFE, SHORTEST_LIFE, Target, USUAL_LIFE};
use crate::google::token as oauth;
use crate::json::Fields;
use crate::jwt::{self, BACKDATED, Claims};
use crate::printable;
use crate::token::{AccessRequest, IdentityRequest, Token, TokenRequest};
use crate::trust::{DEFAULT_UNIVERSE, Endpoint};
use crate::url::Url;
use crate::world::World;

/// The kind, also where it is made of flags.
pub const KIND: &str = "impersonated_service_account";

/// What another credential acts as.
pub struct Role {
    /// The service account.
    pub account: String,
    /// Where it is.
    pub server: Server,
    /// Accounts between the source and the target, in order, as [`iam::delegate`] names them.
    pub delegates: Vec<String>,
    /// Scopes when nobody asks for others.
    pub scopes: Vec<String>,
    /// Life when nobody asks for another one, in seconds.
    pub lifetime: Option<u32>,
    /// Where a JWT signed by the service account is exchanged, for `--subject`.
    pub token_uri: Url,
}

/// Where IAM is asked for a service account.
pub enum Server {
    /// At the URL a file names.
    Url(Target),
    /// In the universe of the source, or the one the user chose.
    Universe(Services, Option<String>),
}

/// An impersonated service account.
pub struct Impersonated {
    source: Source,
    role: Role,
    about: OnceCell<About>,
    /// What the credential's own file says of it; without one only its kind is known.
    own: About,
}

impl Impersonated {
    /// `source` acting in a role.
    pub fn new(source: Rc<dyn Credential>, role: Role) -> Impersonated {
        let own = About { kind: KIND.to_owned(), ..About::default() };
        Impersonated::of_file(source, role, own)
    }

    /// The same as a file has it, with what that says of it.
    pub(crate) fn of_file(source: Rc<dyn Credential>, role: Role, own: About) -> Impersonated {
        Impersonated { source: Source::for_iam(source), role, about: OnceCell::new(), own }
    }

    /// What is known, made of what is known of the source.
    fn made_of(&self, source: &About) -> About {
        let own = self.own.clone();
        let kind = kind_in_words(&source.kind);
        let mut through = match &source.account {
            Some(account) => format!("{account}, {kind}"),
            None => kind.to_owned(),
        };
        if let Some(more) = &source.through {
            through.push_str(&format!(", by {more}"));
        }
        for delegate in &self.role.delegates {
            through
                .push_str(&format!(", then {}", delegate.rsplit('/').next().unwrap_or(delegate)));
        }
        About {
            kind: own.kind,
            place: if own.place.is_empty() { source.place.clone() } else { own.place },
            account: Some(self.role.account.clone()),
            project: project_of(&self.role.account),
            quota_project: own.quota_project,
            universe_domain: own.universe_domain.or_else(|| source.universe_domain.clone()),
            through: Some(through),
        }
    }

    /// The service account at its server. A source may have to be opened to know its universe.
    fn target(&self) -> Result<Target> {
        match &self.role.server {
            Server::Url(target) => Ok(target.clone()),
            Server::Universe(services, chosen) => {
                let universe = self.source.universe(chosen.as_deref())?;
                Ok(Target::at(&services.iam_credentials(&universe), &self.role.account))
            }
        }
    }

    /// Whom an ID token is for, if it is one that IAM gives.
    fn audience<'a>(&self, request: &'a IdentityRequest) -> Result<&'a str> {
        let about = self.about();
        about.plain_identity(&IdentityRequest { email: None, ..request.clone() })?;
        request.audience.as_deref().ok_or_else(|| about.needs_audience())
    }

    fn lifetime(&self, request: &AccessRequest) -> Result<u32> {
        life(request.lifetime.or(self.role.lifetime))
    }

    /// A JWT that the service account signs at IAM, exchanged as one signed with its own key would be.
    fn for_subject(
        &self,
        subject: &str,
        scopes: &[String],
        request: &AccessRequest,
        broker: &Broker<'_>,
    ) -> Result<Token> {
        let account = self.role.account.as_str();
        if let Some(universe) = self.describe()?.universe_domain.as_deref()
            && universe != DEFAULT_UNIVERSE
        {
            let error = Error::unsupported(format!(
                "{account} cannot act for another user in the universe {universe} (--subject)"
            ));
            return Err(error.hint("leave --subject away"));
        }
        let life = match request.lifetime {
            None => jwt::LONGEST_LIFE,
            Some(seconds) if i64::from(seconds) <= jwt::LONGEST_LIFE => i64::from(seconds),
            Some(seconds) => {
                return Err(Error::usage(format!(
                    "--lifetime {seconds}s is too long with --subject"
                ))
                .hint("give at most 1h"));
            }
        };
        let now = broker.now();
        let iat = now - BACKDATED;
        let scope = scopes.join(" ");
        let claims = Claims {
            iss: account,
            sub: Some(subject),
            scope: Some(&scope),
            aud: Some(self.role.token_uri.as_str()),
            iat,
            exp: iat + life,
            ..Claims::default()
        };
        let claims = serde_json::to_string(&claims)
            .map_err(|error| Error::unexpected(format!("the claims cannot be written, {error}")))?;
        let source = self.source.token(&TokenRequest::Access(request.clone()), broker)?;
        let mut asked = iam::sign_jwt(&self.target()?, &source, &self.role.delegates, &claims)?;
        asked.identity = self.source.identity(broker.world)?;
        let response = broker.send(&asked)?;
        let assertion = iam::read_signed_jwt(&response, asked.url.authority())
            .map_err(|error| self.explained(error, &response))?;
        let response = broker.send(&oauth::jwt_grant(&self.role.token_uri, &assertion))?;
        let granted = oauth::read(&response, self.role.token_uri.authority(), now)
            .map_err(|error| oauth::explain_assertion(error, &response, broker.now(), account))?;
        Ok(Token::new(granted.access_token, &self.own.kind, granted.expires_at))
    }

    fn explained(&self, error: Error, response: &crate::http::HttpResponse) -> Error {
        // Whoever stands nearest to the account in the chain is the one who may not.
        iam::explain(error, response, self.source.about().name(), &self.role.account)
    }
}

impl Credential for Impersonated {
    fn about(&self) -> &About {
        self.about.get_or_init(|| self.made_of(self.source.about()))
    }

    fn describe(&self) -> Result<About> {
        Ok(self.made_of(&self.source.describe()?))
    }

    fn refusal(&self, world: &World) -> Option<String> {
        self.source.refusal(world)
    }

    fn revoke(&self, broker: &Broker<'_>) -> Result<Revocation> {
        self.source.revoke(broker)
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field(KIND);
        self.source.identify(digest);
        match &self.role.server {
            Server::Url(target) => digest.field(target.as_str()),
            Server::Universe(services, chosen) => {
                digest.field(&self.role.account);
                digest.optional(services.iam_credentials.as_ref().map(Url::as_str));
                digest.optional(chosen.as_deref());
            }
        }
        for list in [&self.role.delegates, &self.role.scopes] {
            digest.number(list.len() as u64);
            list.iter().for_each(|item| digest.field(item));
        }
        digest.optional(self.role.lifetime.map(|seconds| seconds.to_string()).as_deref());
    }

    fn prepare(&self, request: &TokenRequest, broker: &Broker<'_>) -> Result<()> {
        match request {
            TokenRequest::Access(access) => {
                self.lifetime(access)?;
                self.source.prepare(request, broker)
            }
            TokenRequest::Identity(identity) => {
                self.audience(identity)?;
                self.source.prepare(request, broker)
            }
            TokenRequest::SelfSigned(_) => Ok(()),
        }
    }

    fn identity_token(&self, request: &IdentityRequest, broker: &Broker<'_>) -> Result<Token> {
        let about = self.about();
        let audience = self.audience(request)?;
        let source = self.source.token(&TokenRequest::Identity(request.clone()), broker)?;
        let email = request.email.unwrap_or(true);
        let mut asked =
            iam::id_token(&self.target()?, &source, &self.role.delegates, audience, email)?;
        asked.identity = self.source.identity(broker.world)?;
        let response = broker.send(&asked)?;
        let token = iam::read_id_token(&response, asked.url.authority())
            .map_err(|error| self.explained(error, &response))?;
        Ok(about.stamp(Token::identity(token, &self.own.kind)))
    }

    fn access_token(&self, request: &AccessRequest, broker: &Broker<'_>) -> Result<Token> {
        let lifetime = self.lifetime(request)?;
        let scopes = match (request.scopes.is_empty(), self.role.scopes.is_empty()) {
            (false, _) => request.scopes.clone(),
            (true, false) if !request.for_iam => self.role.scopes.clone(),
            (true, _) => request.scopes_or_default(),
        };
        let mut token = match &request.subject {
            Some(subject) => self.for_subject(subject, &scopes, request, broker)?,
            None => {
                let (role, wanted) = (&self.role, TokenRequest::Access(request.clone()));
                let source = self.source.token(&wanted, broker)?;
                let target = self.target()?;
                let mut asked =
                    iam::access_token(&target, &source, &role.delegates, &scopes, lifetime)?;
                asked.identity = self.source.identity(broker.world)?;
                let response = broker.send(&asked)?;
                let (token, end) = iam::read_access_token(&response, asked.url.authority())
                    .map_err(|error| self.explained(error, &response))?;
                Token::new(token, &self.own.kind, end)
            }
        };
        token.scopes = Some(scopes);
        Ok(self.about().stamp(token))
    }
}

/// How long a token of a service account is to live, in seconds.
///
/// # Errors
/// Usage, when none lives that long.
pub fn life(wanted: Option<u32>) -> Result<u32> {
    match wanted.unwrap_or(USUAL_LIFE) {
        seconds @ SHORTEST_LIFE..=LONGEST_LIFE => Ok(seconds),
        seconds => Err(Error::usage(format!(
            "--lifetime {seconds}s is out of range for an impersonated service account"
        ))
        .hint("give 10m to 12h; above 1h a policy of the organisation must allow it")),
    }
}

/// The project in the name of a service account.
fn project_of(account: &str) -> Option<String> {
    let domain = account.split_once('@')?.1;
    domain.strip_suffix(".iam.gserviceaccount.com").map(str::to_owned)
}

/// Reads the fields of an `impersonated_service_account` file.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub fn parse(mut fields: Fields, setting: &Setting) -> Result<Box<dyn Credential>> {
    let malformed = |what: String| setting.malformed(what).hint(AGAIN);
    let universe = fields.text("universe_domain").map_err(malformed)?;
    let universe = universe.filter(|domain| !domain.is_empty());
    let field = "service_account_impersonation_url";
    let url = fields.needed(field).map_err(malformed)?;
    let target = target(&url, field, setting, universe.as_deref())?;
    let delegates = fields.words("delegates").map_err(malformed)?.unwrap_or_default();
    for delegate in &delegates {
        check_delegate(delegate)
            .map_err(|what| malformed(format!("an item of delegates {what}")))?;
    }
    let scopes = scopes(&mut fields).map_err(malformed)?;
    let quota_project = setting.quota_project(&mut fields)?;
    let source = source(&mut fields, setting)?;
    let universe_domain = match universe {
        Some(_) => Some(setting.universe(universe)?),
        None => None,
    };
    let own = About {
        kind: KIND.to_owned(),
        place: setting.place.clone(),
        quota_project,
        universe_domain,
        ..About::default()
    };
    let token_uri = setting.endpoint(None)?;
    let account = target.account.clone();
    let server = Server::Url(target);
    let role = Role { account, server, delegates, scopes, lifetime: None, token_uri };
    Ok(Box::new(Impersonated::of_file(source, role, own)))
}

/// The account an impersonation URL of a credential stands for.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub(crate) fn target(
    url: &str,
    field: &str,
    setting: &Setting,
    claimed: Option<&str>,
) -> Result<Target> {
    let url = setting.trusted(Endpoint::Iam, field, url, claimed)?;
    Target::of_url(&url).ok_or_else(|| {
        setting
            .malformed(format!("{field} does not end in serviceAccounts/EMAIL:generateAccessToken"))
            .hint(AGAIN)
    })
}

/// A list of scopes of a file, made whole and sorted as those of a flag are.
pub(crate) fn scopes(fields: &mut Fields) -> std::result::Result<Vec<String>, String> {
    let words = fields.words("scopes")?.unwrap_or_default();
    let scopes = crate::token::scopes(words.iter().map(String::as_str));
    match scopes.iter().all(|scope| scope.bytes().all(|byte| (0x21..=0x7e).contains(&byte))) {
        true => Ok(scopes),
        false => Err("scopes holds a character no scope has".to_owned()),
    }
}

fn check_delegate(delegate: &str) -> std::result::Result<(), String> {
    let account = delegate.strip_prefix("projects/-/serviceAccounts/");
    match account.is_some_and(is_account) {
        true => Ok(()),
        false => {
            Err(format!("is {}, not projects/-/serviceAccounts/EMAIL", printable::said(delegate)))
        }
    }
}

/// Whether this names a service account: an e-mail address, or the account's number.
pub fn is_account(name: &str) -> bool {
    let visible = |letter: char| letter.is_ascii_alphanumeric() || "@.-_:".contains(letter);
    let number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.split_once('@');
    let mail = parts.is_some_and(|(user, domain)| {
        !user.is_empty() && domain.contains('.') && !domain.contains('@')
    });
    name.len() <= 256 && name.chars().all(visible) && (number || mail)
}

/// The credential inside the credential: any kind but this one, for which there are delegates.
fn source(fields: &mut Fields, setting: &Setting) -> Result<Rc<dyn Credential>> {
    let malformed = |what: &str| setting.malformed(what).hint(AGAIN);
    let map = match fields.any("source_credentials") {
        Some(serde_json::Value::Object(map)) => map,
        Some(_) => return Err(malformed("source_credentials is not an object")),
        None => return Err(malformed("source_credentials is missing")),
    };
    if map.get("type").is_some_and(|kind| kind == KIND) {
        return Err(setting
            .malformed("source_credentials is itself an impersonated_service_account")
            .hint("name the accounts between source and target in delegates"));
    }
    if map.get("type").is_some_and(|kind| kind == gdch_service_account::KIND) {
        let what =
            "source_credentials is of Google Distributed Cloud, whose tokens IAM does not take";
        return Err(Error::unsupported(format!("{}: {what}", setting.place)).hint(
            "gauth token --audience https://SERVICE with the file of source_credentials alone",
        ));
    }
    let inner = Setting {
        place: format!("{}: source_credentials", setting.place),
        quota_project: None,
        account: None,
        origin: crate::accounts::Origin::Foreign,
        ..setting.clone()
    };
    credential::read(map, &inner).map(Rc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_addresses_or_numbers() {
        for good in ["ci@p.iam.gserviceaccount.com", "100000000000000000001", "a.b@x.example.com"] {
            assert!(is_account(good), "{good}");
        }
        for bad in
            ["", "ci", "@p.example", "a@b", "a b@c.d", "a@b.c/d", "a@b@c.d", "ä@b.c", "a@b.c?x"]
        {
            assert!(!is_account(bad), "{bad}");
        }
    }

    #[test]
    fn the_project_is_in_the_name() {
        assert_eq!(project_of("ci@p.iam.gserviceaccount.com").as_deref(), Some("p"));
        assert_eq!(project_of("1-compute@developer.gserviceaccount.com"), None);
    }
}
