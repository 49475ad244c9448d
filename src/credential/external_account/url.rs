//! Subject tokens from a URL: Azure's metadata server, GitHub Actions, anybody's token service.

use std::time::Duration;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::format::{Format, LONGEST};
use crate::credential::external_account::{Pool, SubjectSource};
use crate::credential::{AGAIN, Setting};
use crate::error::{Error, Result};
use crate::google::answer;
use crate::http::HttpRequest;
use crate::json::Fields;
use crate::secret::Secret;
use crate::trust::Endpoint;
use crate::url::Url;

/// What such a server has to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A URL, asked with GET and these headers.
pub(super) struct Service {
    url: Url,
    headers: Vec<(String, Secret)>,
    format: Format,
}

impl Service {
    /// A URL that answers with JSON, asked with these headers.
    pub(super) fn new(url: Url, headers: Vec<(String, Secret)>, format: Format) -> Service {
        Service { url, headers, format }
    }
}

/// Reads the fields of the source.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub(super) fn parse(
    mut source: Fields,
    _: &Pool,
    setting: &Setting,
) -> Result<Box<dyn SubjectSource>> {
    let malformed =
        |what: String| setting.malformed(format!("credential_source.{what}")).hint(AGAIN);
    let url = source.needed("url").map_err(malformed)?;
    let url = setting.trusted(Endpoint::Subject, "credential_source.url", &url, None)?;
    let format = Format::parse(&mut source).map_err(malformed)?;
    let headers = headers(&mut source).map_err(malformed)?;
    Ok(Box::new(Service { url, headers, format }))
}

/// The longest value of a header, in bytes: few servers take more.
const LONGEST_HEADER: usize = 8192;

/// Headers that a request could not do with, or that say what is not so.
const FORBIDDEN: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "accept-encoding", "upgrade"];

fn headers(source: &mut Fields) -> std::result::Result<Vec<(String, Secret)>, String> {
    let Some(mut given) = source.object("headers")? else { return Ok(Vec::new()) };
    let names: Vec<String> = given.rest().keys().cloned().collect();
    let mut headers = Vec::new();
    for name in names {
        let within = |what: String| format!("headers.{}", crate::printable::said(&what));
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > 256 || !name.bytes().all(letters) {
            return Err(within(format!("{name} is no name of a header")));
        }
        if FORBIDDEN.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(within(format!("{name} may not be chosen")));
        }
        let value = given.text(&name).map_err(within)?.unwrap_or_default();
        if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(within(format!("{name} has a control character or is not ASCII")));
        }
        if value.len() > LONGEST_HEADER {
            return Err(within(format!("{name} is longer than {LONGEST_HEADER} bytes")));
        }
        headers.push((name.to_ascii_lowercase(), Secret::new(value)));
    }
    Ok(headers)
}

impl SubjectSource for Service {
    fn name(&self) -> &'static str {
        "url"
    }

    fn place(&self) -> String {
        self.url.authority().to_owned()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("url");
        digest.field(self.url.as_str());
        for (name, value) in &self.headers {
            digest.field(name);
            digest.secret(value);
        }
        digest.optional(match &self.format {
            Format::Text => None,
            Format::Json(field) => Some(field),
        });
    }

    fn subject_token(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        let mut request = HttpRequest::get(self.url.clone());
        request.proxy = !self.url.may_be_plain();
        for (name, value) in &self.headers {
            request = request.secret_header(name.clone(), value.clone());
        }
        let host = self.url.authority();
        let response = broker.send_within(&request, LIMIT)?;
        if response.status != 200 {
            let place = &pool.place;
            return Err(answer::failure(&response, host).hint_if_none(|| {
                format!("check url and headers of credential_source in {place}")
            }));
        }
        if response.body.len() > LONGEST {
            return Err(Error::no_answer(format!("{host}: the answer is larger than 64 KiB"))
                .hint("check url of credential_source: this is no subject token"));
        }
        self.format.read(&response.body).map_err(|what| answer::unusable(&response, host, &what))
    }
}
