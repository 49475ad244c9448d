//! Subject tokens from AWS: a signed GetCallerIdentity request. Google sends it to AWS; the sandbox verifies the
//! signature.

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use crate::external_identities::AWS_ARN;
use crate::identity_pool::IdentityPool;
use crate::oauth::invalid_grant;
use crate::state::SandboxState;
use gauth_core::http::server::http::{ServerResponse, parse_form};
use gauth_core::net::aws_sigv4;
use gauth_core::net::aws_sigv4::TARGET_RESOURCE_HEADER;
use gauth_core::net::url::{Scheme, Url};

/// How far the time of a signature may be off in seconds, as at AWS.
const MAX_SIGNATURE_AGE_SECONDS: u64 = 15 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedAwsRequest {
    url: String,
    method: String,
    headers: Vec<SerializedAwsHeader>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedAwsHeader {
    key: String,
    value: String,
}

/// The ARN of the caller who signed the request.
pub(crate) fn caller_arn(state: &SandboxState, token: &str) -> Result<String, ServerResponse> {
    let decoded: Vec<u8> = percent_decode_str(token).collect();
    let request: SerializedAwsRequest =
        serde_json::from_slice(&decoded).map_err(|_| invalid_grant("The AWS request cannot be read."))?;
    verify_request(state, &request).map_err(|what| invalid_grant(&format!("The AWS request was refused: {what}")))?;
    Ok(AWS_ARN.to_owned())
}

fn verify_request(state: &SandboxState, request: &SerializedAwsRequest) -> Result<(), String> {
    let url = Url::parse(&request.url).map_err(|what| format!("the URL {what}"))?;
    let region = sts_region(&url.host).filter(|_| url.scheme == Scheme::Https && url.port == 443);
    let region = region.ok_or("the URL is not one of AWS STS")?;
    let mut query = match url.path_and_query().split_once('?') {
        Some(("/", query)) => parse_form(query.as_bytes()),
        _ => Vec::new(),
    };
    query.sort();
    let expected_query = [("Action", "GetCallerIdentity"), ("Version", "2011-06-15")];
    if query != expected_query.map(|(name, value)| (name.to_owned(), value.to_owned())) {
        return Err("it does not ask for GetCallerIdentity".to_owned());
    }
    if request.method != "POST" || !request.body.is_empty() {
        return Err("it is not a POST request without a body".to_owned());
    }
    let headers: Vec<(String, String)> =
        request.headers.iter().map(|header| (header.key.clone(), header.value.clone())).collect();
    let value = |name: &str| {
        let mut found = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    };
    let claim = aws_sigv4::parse_authorization(&headers).ok_or("it is not signed")?;
    let keys = &state.fixtures.external.aws_keys;
    let session_token_matches = match (&keys.session_token, value("x-amz-security-token")) {
        (Some(known), Some(received)) => known.matches(received),
        (known, received) => known.is_none() && received.is_none(),
    };
    if claim.access_key_id != keys.access_key_id || !session_token_matches {
        return Err("the security token included in the request is invalid".to_owned());
    }
    let target = value(TARGET_RESOURCE_HEADER).unwrap_or_default();
    if target.strip_prefix("https:").unwrap_or(target) != IdentityPool::Workload.provider() {
        return Err(format!("{TARGET_RESOURCE_HEADER} is not the audience"));
    }
    if !claim.signed_headers.contains(&TARGET_RESOURCE_HEADER) {
        return Err(format!("{TARGET_RESOURCE_HEADER} is not signed"));
    }
    if claim.signed_at.abs_diff(state.now()) > MAX_SIGNATURE_AGE_SECONDS {
        return Err("the signature has expired".to_owned());
    }
    aws_sigv4::verify_signature(&request.method, &url, &headers, &keys.secret_access_key, region)
}

/// The region of an AWS STS endpoint.
fn sts_region(host: &str) -> Option<&str> {
    if host == "sts.amazonaws.com" {
        return Some("us-east-1");
    }
    let region = host.strip_prefix("sts.")?.strip_suffix(".amazonaws.com")?;
    let is_name = region.contains('-') && !region.contains('.');
    is_name.then_some(region)
}
