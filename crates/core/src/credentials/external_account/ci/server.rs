//! CI systems that give tokens over HTTP: GitHub Actions and Azure DevOps.

use crate::credentials::external_account::ci::CiJob;
use crate::credentials::external_account::format::SubjectTokenFormat;
use crate::credentials::external_account::url::UrlSource;
use crate::error::Result;
use crate::net::endpoint_policy::EndpointKind;
use crate::net::message::{HttpHeaderValue, HttpMethod};
use crate::net::url::Url;
use crate::text::bearer_token;
use crate::text::secret::Secret;
use crate::world::env;
use crate::world::env::Variable;

/// GitHub's runner sets a URL and a bearer token for it; the audience is a parameter of the request.
pub(super) fn github_actions(job: &CiJob<'_>) -> Result<UrlSource> {
    let url = request_url(job, &env::ACTIONS_ID_TOKEN_REQUEST_URL, &[("audience", &job.requested_audience())])?;
    Ok(UrlSource {
        url,
        method: HttpMethod::Get,
        headers: vec![bearer_header(job, &env::ACTIONS_ID_TOKEN_REQUEST_TOKEN)?],
        format: SubjectTokenFormat::Json("value".to_owned()),
        failure_hint: String::new(),
    })
}

/// Azure DevOps signs for an audience of its own, which the provider must allow. Tasks with a service connection get
/// its ID in a variable.
pub(super) fn azure_devops(job: &CiJob<'_>) -> Result<UrlSource> {
    let connection = job.world.env.text(&env::AZURESUBSCRIPTION_SERVICE_CONNECTION_ID)?;
    let mut query = vec![("api-version", "7.1")];
    query.extend(connection.as_deref().map(|id| ("serviceConnectionId", id)));
    let url = request_url(job, &env::SYSTEM_OIDCREQUESTURI, &query)?;
    let headers = vec![
        bearer_header(job, &env::SYSTEM_ACCESSTOKEN)?,
        ("content-type".to_owned(), HttpHeaderValue::Plain("application/json".to_owned())),
        // Without this header, errors are answered with a sign-in page.
        ("x-tfs-fedauthredirect".to_owned(), HttpHeaderValue::Plain("Suppress".to_owned())),
    ];
    let format = SubjectTokenFormat::Json("oidcToken".to_owned());
    Ok(UrlSource { url, method: HttpMethod::Post, headers, format, failure_hint: String::new() })
}

/// The URL of a variable, with parameters added to its query.
fn request_url(job: &CiJob<'_>, variable: &Variable, query: &[(&str, &str)]) -> Result<Url> {
    let base_url = job.world.env.text(variable)?.unwrap_or_default();
    let added_query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let separator = if base_url.contains('?') { '&' } else { '?' };
    job.parse_options.checked_endpoint(
        EndpointKind::SubjectToken,
        variable.name,
        &format!("{base_url}{separator}{added_query}"),
        None,
    )
}

fn bearer_header(job: &CiJob<'_>, variable: &Variable) -> Result<(String, HttpHeaderValue)> {
    let token = job.world.env.secret(variable.name)?.unwrap_or_else(|| Secret::new(""));
    Ok(("authorization".to_owned(), HttpHeaderValue::Secret(bearer_token::authorization_header(&token))))
}
