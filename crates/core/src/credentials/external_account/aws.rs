//! Subject tokens of AWS: a signed request, which Google's STS sends to AWS (AIP-4117).

use std::time::Duration;

use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource, source_json};
use crate::credentials::{BROKEN_CREDENTIAL_HINT, ParseOptions};
use crate::error::{Error, Result};
use crate::net::aws_sigv4;
use crate::net::aws_sigv4::AwsCredentials;
use crate::net::endpoint_policy::EndpointKind;
use crate::net::message::{HttpMethod, HttpRequest, HttpResponse, RetryPolicy};
use crate::net::url::Url;
use crate::oauth::response;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::{bearer_token, json, printable};
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::env;

/// The subject token type of this source, and of no other.
pub(super) const SUBJECT_TOKEN_TYPE: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// The placeholder for the region in the URL of AWS's STS.
const REGION_PLACEHOLDER: &str = "{region}";

/// AWS's STS, where the credential names none.
const DEFAULT_STS_URL: &str = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

/// Lifetime of a session at the metadata server, in seconds: enough for a few requests.
const SESSION_TTL_SECONDS: &str = "300";

/// How long the metadata server of AWS may take to answer: it is on the same host, or absent.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// The AWS identity of this machine or process.
struct AwsSource {
    region_url: Option<Url>,
    credentials_url: Option<Url>,
    session_url: Option<Url>,
    /// A URL with the placeholder for the region.
    sts_url: String,
    source_json: zeroize::Zeroizing<String>,
}

/// Reads the fields of the source.
///
/// # Errors
/// `Malformed` or `Unsafe`, naming the field.
pub(super) fn parse(
    mut source: JsonFields,
    request: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = parse_options.field_error("credential_source.");
    let source_json = source_json(&source);
    let environment = source.required("environment_id").map_err(malformed)?;
    match environment.strip_prefix("aws").and_then(|version| version.parse::<u32>().ok()) {
        Some(1) => {}
        Some(version) => {
            let what = format!("environment_id has version {version}, this gauth supports version 1");
            return Err(malformed(what).hint("a newer gauth may support it"));
        }
        None => {
            let shown = printable::redacted(&environment);
            return Err(malformed(format!("environment_id is \"{shown}\", not aws1")));
        }
    }
    if request.subject_token_type != SUBJECT_TOKEN_TYPE {
        let what = format!("subject_token_type is not {SUBJECT_TOKEN_TYPE}, which environment_id needs");
        return Err(parse_options.malformed(what).hint(BROKEN_CREDENTIAL_HINT));
    }
    let mut read_url = |name: &str| -> Result<Option<Url>> {
        let text = source.non_empty_text(name).map_err(malformed)?;
        let field = format!("credential_source.{name}");
        text.map(|url| parse_options.checked_endpoint(EndpointKind::AwsMetadata, &field, &url, None)).transpose()
    };
    let region_url = read_url("region_url")?;
    let credentials_url = read_url("url")?;
    let session_url = read_url("imdsv2_session_token_url")?;
    let field = "regional_cred_verification_url";
    let sts_url = source.non_empty_text(field).map_err(malformed)?;
    let sts_url = sts_url.unwrap_or_else(|| DEFAULT_STS_URL.to_owned());
    let example = sts_url.replace(REGION_PLACEHOLDER, "us-east-1");
    parse_options.checked_endpoint(EndpointKind::AwsSts, &format!("credential_source.{field}"), &example, None)?;
    Ok(Box::new(AwsSource { region_url, credentials_url, session_url, sts_url, source_json }))
}

impl SubjectTokenSource for AwsSource {
    fn metrics_name(&self) -> &'static str {
        "aws"
    }

    fn location(&self) -> String {
        "AWS".to_owned()
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("aws");
        hasher.add_text(&self.source_json);
    }

    fn subject_token(&self, request: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        let mut metadata =
            AwsMetadataClient { source: self, subject_token_request: request, session, session_token: None };
        let region = match region_from_environment(session)? {
            Some(region) => region,
            None => metadata.fetch_region()?,
        };
        let from_environment = credentials_from_environment(session)?;
        let from_metadata = from_environment.is_none();
        let credentials = match from_environment {
            Some(keys) => keys,
            None => metadata.fetch_credentials()?,
        };
        let url = Url::parse(&self.sts_url.replace(REGION_PLACEHOLDER, &region)).map_err(|what| {
            Error::usage(format!("the URL of AWS's STS in the region {} {what}", printable::redacted(&region)))
                .hint("check AWS_REGION, as in AWS_REGION=eu-west-1")
        })?;
        aws_sigv4::subject_token(&url, &region, &credentials, &request.audience, session.now()).map_err(|what| {
            match &self.credentials_url {
                Some(url) if from_metadata => Error::no_answer(format!("{}: {what}", url.authority()))
                    .hint("check the IAM role of this instance, and AWS_REGION"),
                _ => Error::usage(what).hint("check AWS_REGION and the keys of AWS"),
            }
        })
    }
}

fn region_from_environment(session: &dyn Session) -> Result<Option<String>> {
    for variable in [&env::AWS_REGION, &env::AWS_DEFAULT_REGION] {
        let Some(region) = session.world().env.text(variable)? else { continue };
        if !aws_sigv4::is_region(&region) {
            let what = format!("{} \"{}\" is not a region", variable.name, printable::redacted(&region));
            return Err(Error::usage(what).hint(format!("{}=eu-west-1", variable.name)));
        }
        return Ok(Some(region));
    }
    Ok(None)
}

/// Both parts of an access key, or none.
fn credentials_from_environment(session: &dyn Session) -> Result<Option<AwsCredentials>> {
    let env = &session.world().env;
    let secret = |variable| Ok::<_, Error>(env.text(variable)?.map(Secret::new));
    let access_key_id = env.text(&env::AWS_ACCESS_KEY_ID)?;
    let secret_access_key = secret(&env::AWS_SECRET_ACCESS_KEY)?;
    let Some((access_key_id, secret_access_key)) = access_key_id.zip(secret_access_key) else {
        return Ok(None);
    };
    let session_token = secret(&env::AWS_SESSION_TOKEN)?;
    Ok(Some(AwsCredentials { access_key_id, secret_access_key, session_token }))
}

/// A conversation with the metadata server, with one session token for all requests.
struct AwsMetadataClient<'a> {
    source: &'a AwsSource,
    subject_token_request: &'a SubjectTokenRequest,
    session: &'a dyn Session,
    session_token: Option<Secret>,
}

impl AwsMetadataClient<'_> {
    fn fetch_region(&mut self) -> Result<String> {
        let Some(url) = &self.source.region_url else {
            return Err(self.missing_error("region", "region_url", "AWS_REGION"));
        };
        let zone = self.get_text(url)?;
        aws_sigv4::region_of_zone(&zone).ok_or_else(|| {
            let zone = printable::redacted(&zone);
            Error::no_answer(format!("{}: \"{zone}\" is not a zone of AWS", url.authority())).hint("set AWS_REGION")
        })
    }

    fn fetch_credentials(&mut self) -> Result<AwsCredentials> {
        let Some(url) = &self.source.credentials_url else {
            let variables = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(self.missing_error("key", "url", variables));
        };
        let role = self.get_text(url)?;
        let is_role_character = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@-_".contains(letter);
        if role.is_empty() || role.len() > 128 || !role.chars().all(is_role_character) {
            return Err(Error::no_answer(format!("{}: this instance has no IAM role", url.authority()))
                .hint("attach an IAM role to this instance"));
        }
        let url = Url::parse(&format!("{}/{role}", url.as_str().trim_end_matches('/')))
            .map_err(|what| Error::no_answer(format!("{}: the role {what}", url.authority())))?;
        let response = self.get(&url)?;
        let host = url.authority();
        let unusable = |what: String| response::invalid_response(&response, host, &what);
        let mut fields = JsonFields::new(json::parse_object(&response.body).map_err(unusable)?);
        let malformed_response = |what: String| unusable(format!("is malformed, {what}"));
        Ok(AwsCredentials {
            access_key_id: fields.required("AccessKeyId").map_err(malformed_response)?,
            secret_access_key: fields.required_secret("SecretAccessKey").map_err(malformed_response)?,
            session_token: fields.secret("Token").map_err(malformed_response)?,
        })
    }

    fn get_text(&mut self, url: &Url) -> Result<String> {
        let response = self.get(url)?;
        Ok(String::from_utf8_lossy(&response.body).trim().to_owned())
    }

    fn get(&mut self, url: &Url) -> Result<HttpResponse> {
        let mut request = metadata_request(url);
        if let Some(session_url) = &self.source.session_url {
            if self.session_token.is_none() {
                let mut session_request = metadata_request(session_url);
                session_request.method = HttpMethod::Put;
                session_request = session_request.header("x-aws-ec2-metadata-token-ttl-seconds", SESSION_TTL_SECONDS);
                let response = self.send(&session_request)?;
                let session_token = String::from_utf8_lossy(&response.body).trim().to_owned();
                if !bearer_token::is_well_formed(&session_token) {
                    let what = "is not a session token";
                    return Err(response::invalid_response(&response, session_url.authority(), what));
                }
                self.session_token = Some(Secret::new(session_token));
            }
            if let Some(session_token) = &self.session_token {
                request = request.secret_header("x-aws-ec2-metadata-token", session_token.clone());
            }
        }
        self.send(&request)
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        let response = self.session.send_with_timeout(request, METADATA_TIMEOUT)?;
        match response.status {
            200 => Ok(response),
            _ => Err(response::status_error("Google", &response, request.url.authority())
                .hint_if_none(|| "check that this instance has an IAM role, and its metadata options".to_owned())),
        }
    }

    fn missing_error(&self, what: &str, field: &str, variables: &str) -> Error {
        Error::malformed(
            &self.subject_token_request.location,
            format!("there is no {what} of AWS, and credential_source has no {field}"),
        )
        .hint(format!("set {variables}"))
    }
}

/// A request to the machine's own metadata server, without a proxy.
fn metadata_request(url: &Url) -> HttpRequest {
    let mut request = HttpRequest::get(url.clone()).retry_policy(RetryPolicy::MetadataServer);
    request.allow_proxy = false;
    request
}
