//! Subject tokens from a URL: Azure's metadata server, GitHub Actions, anybody's token service.

use std::time::Duration;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::format::{Format, LONGEST};
use crate::credential::external_account::{Pool, SubjectSource};
use crate::credential::{AGAIN, Setting};
use crate::error::{Error, Result};
use crate::google::answer;
use crate::http::{self, HttpRequest, Method, Value};
use crate::json::Fields;
use crate::secret::Secret;
use crate::trust::Endpoint;
use crate::url::Url;

/// What such a server has to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A URL, asked with these headers.
pub(super) struct Service {
    /// Where.
    pub(super) url: Url,
    /// GET, or POST with nothing in it.
    pub(super) method: Method,
    /// What is sent along.
    pub(super) headers: Vec<(String, Value)>,
    /// What comes back.
    pub(super) format: Format,
    /// What to do when it does not.
    pub(super) mend: String,
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
    let mend = format!("check url and headers of credential_source in {}", setting.place);
    Ok(Box::new(Service { url, method: Method::Get, headers, format, mend }))
}

/// The longest value of a header, in bytes: few servers take more.
const LONGEST_HEADER: usize = 8192;

fn headers(source: &mut Fields) -> std::result::Result<Vec<(String, Value)>, String> {
    let Some(mut given) = source.object("headers")? else { return Ok(Vec::new()) };
    let names: Vec<String> = given.rest().keys().cloned().collect();
    let mut headers = Vec::new();
    for name in names {
        let within = |what: String| format!("headers.{}", crate::printable::said(&what));
        http::check_chosen_header(&name).map_err(within)?;
        let value = given.text(&name).map_err(within)?.unwrap_or_default();
        if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(within(format!("{name} has a control character or is not ASCII")));
        }
        if value.len() > LONGEST_HEADER {
            return Err(within(format!("{name} is longer than {LONGEST_HEADER} bytes")));
        }
        headers.push((name.to_ascii_lowercase(), Value::Secret(Secret::new(value))));
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
            match value {
                Value::Plain(text) => digest.field(text),
                Value::Secret(secret) => digest.secret(secret),
            }
        }
        digest.optional(match &self.format {
            Format::Text => None,
            Format::Json(field) => Some(field),
        });
    }

    fn subject_token(&self, _: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        let mut request = HttpRequest::get(self.url.clone());
        request.method = self.method;
        request.proxy = !self.url.may_be_plain();
        let headers = self.headers.iter().cloned();
        request.headers.extend(headers.map(|(name, value)| (name.into(), value)));
        let host = self.url.authority();
        let response = broker.send_within(&request, LIMIT)?;
        if response.status != 200 {
            return Err(answer::failure(&response, host).hint_if_none(|| self.mend.clone()));
        }
        if response.body.len() > LONGEST {
            return Err(Error::no_answer(format!("{host}: the answer is larger than 64 KiB"))
                .hint(self.mend.clone()));
        }
        self.format.read(&response.body).map_err(|what| answer::unusable(&response, host, &what))
    }
}
