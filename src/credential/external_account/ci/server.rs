//! CI systems that give a token when asked over HTTP: GitHub Actions and Azure DevOps.

use crate::credential::external_account::ci::Job;
use crate::credential::external_account::format::Format;
use crate::credential::external_account::url::Service;
use crate::error::Result;
use crate::google;
use crate::http::{Method, Value};
use crate::secret::Secret;
use crate::trust::Endpoint;
use crate::url::Url;
use crate::world::env::{self, Variable};

/// GitHub's runner gives a URL and a token for it, and adds the audience it is asked for to what it signs.
pub(super) fn github(job: &Job<'_>) -> Result<Service> {
    let url = asked(job, &env::ACTIONS_ID_TOKEN_REQUEST_URL, &[("audience", &job.wanted())])?;
    Ok(Service {
        url,
        method: Method::Get,
        headers: vec![bearer(job, &env::ACTIONS_ID_TOKEN_REQUEST_TOKEN)?],
        format: Format::Json("value".to_owned()),
        mend: String::new(),
    })
}

/// Azure's signs for an audience of its own; the provider has to allow that. Of which service connection the job
/// is, the tasks that are given one say.
pub(super) fn azure(job: &Job<'_>) -> Result<Service> {
    let connection = job.world.env.text(&env::AZURESUBSCRIPTION_SERVICE_CONNECTION_ID)?;
    let mut query = vec![("api-version", "7.1")];
    query.extend(connection.as_deref().map(|id| ("serviceConnectionId", id)));
    let url = asked(job, &env::SYSTEM_OIDCREQUESTURI, &query)?;
    let headers = vec![
        bearer(job, &env::SYSTEM_ACCESSTOKEN)?,
        ("content-type".to_owned(), Value::Plain("application/json".to_owned())),
        // Without this, a page to sign in on answers in place of an error.
        ("x-tfs-fedauthredirect".to_owned(), Value::Plain("Suppress".to_owned())),
    ];
    let format = Format::Json("oidcToken".to_owned());
    Ok(Service { url, method: Method::Post, headers, format, mend: String::new() })
}

/// The URL in a variable, with more in its query.
fn asked(job: &Job<'_>, variable: &Variable, query: &[(&str, &str)]) -> Result<Url> {
    let base = job.world.env.text(variable)?.unwrap_or_default();
    let more = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let mark = if base.contains('?') { '&' } else { '?' };
    job.setting.trusted(Endpoint::Subject, variable.name, &format!("{base}{mark}{more}"), None)
}

fn bearer(job: &Job<'_>, variable: &Variable) -> Result<(String, Value)> {
    let token = job.world.env.secret(variable.name)?.unwrap_or_else(|| Secret::new(""));
    Ok(("authorization".to_owned(), Value::Secret(google::bearer(&token))))
}
