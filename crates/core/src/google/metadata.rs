//! The metadata server of Compute Engine, GKE, Cloud Run and other Google Cloud runtimes.

use crate::error::{Error, Result};
use crate::net::message::{HttpRequest, HttpResponse, RetryPolicy};
use crate::net::url::Url;
use crate::oauth::metrics::metrics_header;
use crate::oauth::{response, token};
use crate::text::secret::Secret;

/// The host of the metadata server where no variable overrides it.
pub const HOST: &str = "metadata.google.internal";
/// The IP address of the metadata server. The ping uses it to avoid a DNS lookup.
pub(crate) const IP_ADDRESS: &str = "169.254.169.254";

/// Builds the request that detects a metadata server.
pub(crate) fn ping_request(url: &Url) -> HttpRequest {
    let request = metadata_request(url).header("x-goog-api-client", metrics_header("auth-request-type/mds"));
    request.retry_policy(RetryPolicy::SingleAttempt)
}

/// Builds the request for an access token of `account`, which is `default` or an e-mail address.
///
/// # Errors
/// Usage, when the host is not valid in a URL.
pub fn access_token_request(host: &str, account: &str, scopes: &[String]) -> Result<HttpRequest> {
    let mut path = format!("instance/service-accounts/{}/token", encode_path_segment(account));
    if !scopes.is_empty() {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("scopes", &scopes.join(","));
        path = format!("{path}?{}", query.finish());
    }
    let request = metadata_request(&metadata_url(host, &path)?);
    Ok(request.header("x-goog-api-client", metrics_header("auth-request-type/at cred-type/mds")))
}

/// Builds the request for an ID token of `account` for `audience`. `full_format` adds claims about the machine,
/// `licenses` the licence codes of its images.
///
/// # Errors
/// Usage, when the host is not valid in a URL.
pub fn id_token_request(
    host: &str,
    account: &str,
    audience: &str,
    full_format: bool,
    licenses: bool,
) -> Result<HttpRequest> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("audience", audience);
    if full_format {
        query.append_pair("format", "full");
    }
    if licenses {
        query.append_pair("licenses", "TRUE");
    }
    let path = format!("instance/service-accounts/{}/identity?{}", encode_path_segment(account), query.finish());
    let request = metadata_request(&metadata_url(host, &path)?);
    Ok(request.header("x-goog-api-client", metrics_header("auth-request-type/it cred-type/mds")))
}

/// Reads an ID token, which is the whole response body.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer`.
pub(crate) fn read_id_token(response: &HttpResponse, host: &str) -> Result<Secret> {
    check_metadata_flavor(response, host)?;
    if response.status != 200 {
        return Err(response::status_error("Google", response, host).hint_if_none(|| {
            "attach a service account to this machine, or choose one it has with --account".to_owned()
        }));
    }
    let token = Secret::new(String::from_utf8_lossy(&response.body).trim());
    match token::is_well_formed_jwt(&token) {
        true => Ok(token),
        false => Err(response::invalid_response(response, host, "is not an ID token")),
    }
}

/// Builds the request for one metadata value, such as `universe/universe-domain`.
///
/// # Errors
/// Usage, when the host is not valid in a URL.
pub(crate) fn value_request(host: &str, path: &str) -> Result<HttpRequest> {
    Ok(metadata_request(&metadata_url(host, path)?))
}

/// The path of an account's e-mail address.
pub(crate) fn email_path(account: &str) -> String {
    format!("instance/service-accounts/{}/email", encode_path_segment(account))
}

/// The URL of a path below `/computeMetadata/v1/`.
///
/// # Errors
/// Usage, when the host from the variable is not valid in a URL.
pub(crate) fn metadata_url(host: &str, path: &str) -> Result<Url> {
    Url::parse(&format!("http://{host}/computeMetadata/v1/{path}")).map_err(|what| {
        let host = crate::text::printable::text(host);
        Error::usage(format!("the metadata server's address {host} {what}"))
            .hint("check GCE_METADATA_HOST, GCE_METADATA_ROOT and GCE_METADATA_IP: HOST:PORT")
    })
}

/// Reads an access token; `now` is the time before the request, in Unix seconds.
///
/// # Errors
/// As [`token::read_bearer_response`], with a hint about the service account or the access scopes of the machine.
pub fn read_access_token(response: &HttpResponse, host: &str, now: i64) -> Result<token::TokenResponse> {
    check_metadata_flavor(response, host)?;
    token::read_bearer_response(response, host, now).map_err(|error| match response.status {
        404 => error.hint("attach a service account to this machine, or choose one it has with --account"),
        403 => error.hint("allow access scopes on this machine, or ask for fewer with --scopes"),
        _ => error,
    })
}

/// Reads one metadata value as text; `None` where the server has no such value.
///
/// # Errors
/// When the response is not from a metadata server, or has another status.
pub fn read_value(response: &HttpResponse, host: &str) -> Result<Option<String>> {
    check_metadata_flavor(response, host)?;
    match response.status {
        404 => Ok(None),
        200 => {
            let text = String::from_utf8_lossy(&response.body);
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        }
        _ => Err(crate::oauth::response::status_error("Google", response, host)),
    }
}

/// Whether a response is from a metadata server, which sends `Metadata-Flavor: Google`.
pub(crate) fn has_metadata_flavor(response: &HttpResponse) -> bool {
    response.header("metadata-flavor").is_some_and(|flavor| flavor == "Google")
}

fn check_metadata_flavor(response: &HttpResponse, host: &str) -> Result<()> {
    // Errors of proxies in front of the server lack the header; their status is enough to report them.
    if response.status != 200 || has_metadata_flavor(response) {
        return Ok(());
    }
    let message = format!("{host}: the response is not from a metadata server (no Metadata-Flavor)");
    Err(Error::no_answer(message).hint("set NO_GCE_CHECK=true if this machine is not on Google Cloud"))
}

fn metadata_request(url: &Url) -> HttpRequest {
    let mut request = HttpRequest::get(url.clone()).header("metadata-flavor", "Google");
    request.retry_policy = RetryPolicy::MetadataServer;
    request.allow_proxy = false;
    request
}

/// An account, percent-encoded as one path segment.
fn encode_path_segment(account: &str) -> String {
    const UNRESERVED: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'@').remove(b'.').remove(b'-').remove(b'_');
    percent_encoding::utf8_percent_encode(account, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_joined_by_commas_and_encoded() {
        let scopes = ["a".to_owned(), "b".to_owned()];
        let request = access_token_request("metadata.google.internal", "default", &scopes).expect("request");
        assert_eq!(
            request.url.as_str(),
            "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token?scopes=a%2Cb"
        );
        let request = access_token_request("127.0.0.1:81", "x/../y@z", &[]).expect("request");
        assert!(request.url.as_str().ends_with("/x%2F..%2Fy@z/token"), "{}", request.url);
    }

    #[test]
    fn a_response_without_metadata_flavor_is_rejected() {
        let response = HttpResponse { status: 200, ..HttpResponse::default() };
        assert!(read_value(&response, "host").is_err());
        let missing = HttpResponse { status: 404, ..HttpResponse::default() };
        assert_eq!(read_value(&missing, "host").expect("none"), None);
    }
}
