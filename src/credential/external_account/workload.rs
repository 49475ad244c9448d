//! Federation without a credential file: a provider named by a flag, and the token a CI system has for its job.

use std::path::PathBuf;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::file::File;
use crate::credential::external_account::format::Format;
use crate::credential::external_account::url::Service;
use crate::credential::external_account::{ExternalAccount, KIND, Parts, Pool, SubjectSource, ci};
use crate::credential::{About, Setting};
use crate::error::{Error, Result};
use crate::google::sts;
use crate::http::Method;
use crate::secret::Secret;
use crate::settings::{Subject, Workload};
use crate::trust::{DEFAULT_UNIVERSE, Endpoint};
use crate::url::Url;
use crate::world::World;

/// The federated identity of this job. `impersonated`: the service account that will be acted as.
///
/// # Errors
/// When the token is nowhere to be found, or is named wrongly.
pub fn credential(
    workload: &Workload,
    impersonated: Option<String>,
    setting: &Setting,
    world: &World,
) -> Result<ExternalAccount> {
    let source = source(&workload.subject, &workload.audience, setting, world)?;
    let universe = setting.universe_domain.clone().unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
    let token_url = setting.services.exchange(&universe)?;
    let about = About {
        kind: KIND.to_owned(),
        place: source.place(),
        universe_domain: Some(universe),
        ..About::default()
    };
    let pool = Pool {
        place: setting.place.clone(),
        audience: workload.audience.clone(),
        subject_token_type: sts::token_type("jwt").to_owned(),
        impersonated,
    };
    let parts = Parts {
        pool,
        source,
        token_url,
        token_info_url: setting.services.introspection.clone(),
        client: None,
        user_project: None,
        scopes: Vec::new(),
        lifetime: None,
        surroundings: None,
    };
    Ok(ExternalAccount::new(about, parts))
}

/// Where the token for a provider comes from.
fn source(
    subject: &Subject,
    audience: &str,
    setting: &Setting,
    world: &World,
) -> Result<Box<dyn SubjectSource>> {
    match subject {
        Subject::Found => ci::find(audience, setting, world),
        Subject::File(path) => Ok(Box::new(Content::of(path.clone(), &setting.place)?)),
        Subject::Variable(name) => Ok(Box::new(Variable::named(name, world)?)),
        Subject::Url(url) => {
            let url = setting.trusted(Endpoint::Subject, "--subject-token-url", url, None)?;
            Ok(Box::new(at_url(url)))
        }
    }
}

/// A URL that gives the token to whoever asks.
fn at_url(url: Url) -> Service {
    Service {
        url,
        method: Method::Get,
        headers: Vec::new(),
        format: Format::Text,
        mend: "check --subject-token-url: it has to answer with the token alone".to_owned(),
    }
}

/// The token that a URL of the user's choice gives, for an exchange.
///
/// # Errors
/// When it gives none.
pub fn token_at(url: &Url, broker: &Broker<'_>) -> Result<Secret> {
    let pool = Pool {
        place: "--subject-token-url".to_owned(),
        audience: String::new(),
        subject_token_type: String::new(),
        impersonated: None,
    };
    at_url(url.clone()).subject_token(&pool, broker)
}

/// A token in a file that the user named. Its content decides whose tokens are found in the cache: the next job
/// on the same machine may have another one at the same path.
pub(super) struct Content {
    file: File,
    token: Secret,
}

impl Content {
    /// The token in this file; `place` is what named it.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn of(path: PathBuf, place: &str) -> Result<Content> {
        let file = File::of_text(path);
        let token = file.read(place)?;
        Ok(Content { file, token })
    }
}

impl SubjectSource for Content {
    fn name(&self) -> &'static str {
        "file"
    }

    fn place(&self) -> String {
        self.file.place()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        self.file.identify(digest);
        digest.secret(&self.token);
    }

    fn subject_token(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        self.file.subject_token(pool, broker)
    }
}

/// A token in a variable. It is the credential, and so decides whose tokens are found in the cache.
pub(super) struct Variable {
    name: String,
    token: Secret,
}

impl Variable {
    /// This token, from the variable of this name.
    pub(super) fn holding(name: &str, token: Secret) -> Variable {
        Variable { name: name.to_owned(), token }
    }

    /// The token in the variable of this name.
    ///
    /// # Errors
    /// Usage, when there is none or it is empty.
    pub(super) fn named(name: &str, world: &World) -> Result<Variable> {
        match world.env.secret(name)? {
            Some(token) => Ok(Variable::holding(name, token)),
            None => {
                let name = crate::printable::text(name);
                Err(Error::usage(format!("the variable {name} holds no token"))
                    .hint(format!("export {name}, or name another with --subject-token-env")))
            }
        }
    }
}

impl SubjectSource for Variable {
    fn name(&self) -> &'static str {
        "programmatic"
    }

    fn place(&self) -> String {
        crate::printable::text(&self.name)
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("variable");
        digest.secret(&self.token);
    }

    fn subject_token(&self, _: &Pool, _: &Broker<'_>) -> Result<Secret> {
        Ok(self.token.clone())
    }
}
