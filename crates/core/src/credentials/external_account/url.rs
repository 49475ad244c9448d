//! Subject tokens from a URL: Azure's metadata server, GitHub Actions, or any token service.

use std::time::Duration;

use crate::credentials::ParseOptions;
use crate::credentials::external_account::format::{MAX_SUBJECT_TOKEN_BYTES, SubjectTokenFormat};
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::error::{Error, Result};
use crate::net::endpoint_policy::EndpointKind;
use crate::net::message;
use crate::net::message::{HttpHeaderValue, HttpMethod, HttpRequest};
use crate::net::url::Url;
use crate::oauth::response;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;

/// How long such a server may take to answer.
const SERVER_TIMEOUT: Duration = Duration::from_secs(10);

/// A URL, and the request to it.
pub(super) struct UrlSource {
    /// The URL of the token service.
    pub(super) url: Url,
    /// GET, or POST with an empty body.
    pub(super) method: HttpMethod,
    /// Headers of the request.
    pub(super) headers: Vec<(String, HttpHeaderValue)>,
    /// The format of the response.
    pub(super) format: SubjectTokenFormat,
    /// The hint for a response without a token.
    pub(super) failure_hint: String,
}

/// Reads the fields of the source.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub(super) fn parse(
    mut source: JsonFields,
    _: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = parse_options.field_error("credential_source.");
    let url = source.required("url").map_err(malformed)?;
    let url = parse_options.checked_endpoint(EndpointKind::SubjectToken, "credential_source.url", &url, None)?;
    let format = SubjectTokenFormat::parse(&mut source).map_err(malformed)?;
    let headers = parse_headers(&mut source).map_err(malformed)?;
    let failure_hint = format!("check url and headers of credential_source in {}", parse_options.location);
    Ok(Box::new(UrlSource { url, method: HttpMethod::Get, headers, format, failure_hint }))
}

/// Longest value of a header, in bytes: few servers accept more.
const MAX_HEADER_BYTES: usize = 8192;

fn parse_headers(source: &mut JsonFields) -> std::result::Result<Vec<(String, HttpHeaderValue)>, String> {
    let Some(mut header_fields) = source.object("headers")? else { return Ok(Vec::new()) };
    let names: Vec<String> = header_fields.remaining().keys().cloned().collect();
    let mut headers = Vec::new();
    for name in names {
        let within = |what: String| format!("headers.{}", crate::text::printable::redacted(&what));
        message::check_custom_header(&name).map_err(within)?;
        let value = header_fields.text(&name).map_err(within)?.unwrap_or_default();
        if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(within(format!("{name} has a control character or is not ASCII")));
        }
        if value.len() > MAX_HEADER_BYTES {
            return Err(within(format!("{name} is longer than {MAX_HEADER_BYTES} bytes")));
        }
        headers.push((name.to_ascii_lowercase(), HttpHeaderValue::Secret(Secret::new(value))));
    }
    Ok(headers)
}

impl SubjectTokenSource for UrlSource {
    fn metrics_name(&self) -> &'static str {
        "url"
    }

    fn location(&self) -> String {
        self.url.authority().to_owned()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("url");
        hasher.add_text(self.url.as_str());
        for (name, value) in &self.headers {
            hasher.add_text(name);
            match value {
                HttpHeaderValue::Plain(text) => hasher.add_text(text),
                HttpHeaderValue::Secret(secret) => hasher.add_secret(secret),
            }
        }
        hasher.add_optional(match &self.format {
            SubjectTokenFormat::Text => None,
            SubjectTokenFormat::Json(field) => Some(field),
        });
    }

    fn subject_token(&self, _: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        let mut request = HttpRequest::get(self.url.clone());
        request.method = self.method;
        request.allow_proxy = !self.url.allows_plain_http();
        let headers = self.headers.iter().cloned();
        request.headers.extend(headers.map(|(name, value)| (name.into(), value)));
        let host = self.url.authority();
        let response = session.send_with_timeout(&request, SERVER_TIMEOUT)?;
        if response.status != 200 {
            return Err(response::status_error("Google", &response, host).hint_if_none(|| self.failure_hint.clone()));
        }
        if response.body.len() > MAX_SUBJECT_TOKEN_BYTES {
            return Err(
                Error::no_answer(format!("{host}: the response is larger than 64 KiB")).hint(self.failure_hint.clone())
            );
        }
        self.format.extract_token(&response.body).map_err(|what| response::invalid_response(&response, host, &what))
    }
}
