//! Subject tokens of AWS: a signed request that Google's STS sends to AWS in our place (AIP-4117).

use std::time::Duration;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::{Pool, SubjectSource, written};
use crate::credential::{AGAIN, Setting};
use crate::error::{Error, Result};
use crate::google::answer;
use crate::http::{HttpRequest, HttpResponse, Method, Patience};
use crate::json::{self, Fields};
use crate::printable;
use crate::secret::Secret;
use crate::sigv4::{self, Keys};
use crate::token;
use crate::trust::Endpoint;
use crate::url::Url;
use crate::world::env;

/// The subject token type that goes with this source, and with no other.
pub(super) const TYPE: &str = "urn:ietf:params:aws:token-type:aws4_request";

/// What stands for the region in the URL of AWS's STS.
const REGION: &str = "{region}";

/// AWS's STS, where the credential does not say.
const USUAL_STS: &str =
    "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";

/// How long a session at the metadata server is to last, in seconds: a few requests.
const SESSION: &str = "300";

/// What the metadata server of AWS has to answer: it is next door or nowhere.
const LIMIT: Duration = Duration::from_secs(10);

/// A machine or program of AWS's.
struct Aws {
    region_url: Option<Url>,
    credentials_url: Option<Url>,
    session_url: Option<Url>,
    /// With [`REGION`] in it.
    sts_url: String,
    text: zeroize::Zeroizing<String>,
}

/// Reads the fields of the source.
///
/// # Errors
/// Malformed or unsafe, naming the field.
pub(super) fn parse(
    mut source: Fields,
    pool: &Pool,
    setting: &Setting,
) -> Result<Box<dyn SubjectSource>> {
    let malformed =
        |what: String| setting.malformed(format!("credential_source.{what}")).hint(AGAIN);
    let text = written(&source);
    let environment = source.needed("environment_id").map_err(malformed)?;
    match environment.strip_prefix("aws").and_then(|version| version.parse::<u32>().ok()) {
        Some(1) => {}
        Some(version) => {
            let what = format!("environment_id has version {version}, this gauth reads version 1");
            return Err(malformed(what).hint("a newer gauth may read it"));
        }
        None => {
            let shown = printable::said(&environment);
            return Err(malformed(format!("environment_id is \"{shown}\", known is aws1")));
        }
    }
    if pool.subject_token_type != TYPE {
        let what = format!("subject_token_type is not {TYPE}, which credential_source asks for");
        return Err(setting.malformed(what).hint(AGAIN));
    }
    let mut url = |name: &str| -> Result<Option<Url>> {
        let text = source.text(name).map_err(malformed)?.filter(|url| !url.is_empty());
        let field = format!("credential_source.{name}");
        text.map(|url| setting.trusted(Endpoint::AwsMetadata, &field, &url, None)).transpose()
    };
    let region_url = url("region_url")?;
    let credentials_url = url("url")?;
    let session_url = url("imdsv2_session_token_url")?;
    let field = "regional_cred_verification_url";
    let sts_url = source.text(field).map_err(malformed)?.filter(|url| !url.is_empty());
    let sts_url = sts_url.unwrap_or_else(|| USUAL_STS.to_owned());
    let example = sts_url.replace(REGION, "us-east-1");
    setting.trusted(Endpoint::AwsSts, &format!("credential_source.{field}"), &example, None)?;
    Ok(Box::new(Aws { region_url, credentials_url, session_url, sts_url, text }))
}

impl SubjectSource for Aws {
    fn name(&self) -> &'static str {
        "aws"
    }

    fn place(&self) -> String {
        "AWS".to_owned()
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("aws");
        digest.field(&self.text);
    }

    fn subject_token(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        let mut visit = Visit { aws: self, pool, broker, session: None };
        let region = match region_of_environment(broker)? {
            Some(region) => region,
            None => visit.region()?,
        };
        let own = keys_of_environment(broker)?;
        let visited = own.is_none();
        let keys = match own {
            Some(keys) => keys,
            None => visit.keys()?,
        };
        let url = Url::parse(&self.sts_url.replace(REGION, &region)).map_err(|what| {
            Error::usage(format!(
                "the URL of AWS's STS in the region {} {what}",
                printable::said(&region)
            ))
            .hint("check AWS_REGION, as in AWS_REGION=eu-west-1")
        })?;
        sigv4::subject_token(&url, &region, &keys, &pool.audience, broker.now()).map_err(|what| {
            match &self.credentials_url {
                Some(url) if visited => Error::no_answer(format!("{}: {what}", url.authority()))
                    .hint("check the IAM role of this instance, and AWS_REGION"),
                _ => Error::usage(what).hint("check AWS_REGION and the keys of AWS"),
            }
        })
    }
}

fn region_of_environment(broker: &Broker<'_>) -> Result<Option<String>> {
    for variable in [&env::AWS_REGION, &env::AWS_DEFAULT_REGION] {
        let Some(region) = broker.world.env.text(variable)? else { continue };
        if !sigv4::is_region(&region) {
            let what =
                format!("{} \"{}\" is not a region", variable.name, printable::said(&region));
            return Err(Error::usage(what).hint(format!("{}=eu-west-1", variable.name)));
        }
        return Ok(Some(region));
    }
    Ok(None)
}

/// Both halves of a key, or none at all.
fn keys_of_environment(broker: &Broker<'_>) -> Result<Option<Keys>> {
    let env = &broker.world.env;
    let secret = |variable| Ok::<_, Error>(env.text(variable)?.map(Secret::new));
    let id = env.text(&env::AWS_ACCESS_KEY_ID)?;
    let key = secret(&env::AWS_SECRET_ACCESS_KEY)?;
    let Some((access_key_id, secret_access_key)) = id.zip(key) else { return Ok(None) };
    let session_token = secret(&env::AWS_SESSION_TOKEN)?;
    Ok(Some(Keys { access_key_id, secret_access_key, session_token }))
}

/// A visit to the metadata server, with one session for all of it.
struct Visit<'a> {
    aws: &'a Aws,
    pool: &'a Pool,
    broker: &'a Broker<'a>,
    session: Option<Secret>,
}

impl Visit<'_> {
    fn region(&mut self) -> Result<String> {
        let Some(url) = &self.aws.region_url else {
            return Err(self.missing("region", "region_url", "AWS_REGION"));
        };
        let zone = self.text(url)?;
        sigv4::region_of(&zone).ok_or_else(|| {
            let zone = printable::said(&zone);
            Error::no_answer(format!("{}: \"{zone}\" is no zone of AWS", url.authority()))
                .hint("set AWS_REGION")
        })
    }

    fn keys(&mut self) -> Result<Keys> {
        let Some(url) = &self.aws.credentials_url else {
            let variables = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(self.missing("key", "url", variables));
        };
        let role = self.text(url)?;
        let of_a_role = |letter: char| letter.is_ascii_alphanumeric() || "+=,.@-_".contains(letter);
        if role.is_empty() || role.len() > 128 || !role.chars().all(of_a_role) {
            return Err(Error::no_answer(format!("{}: there is no role", url.authority()))
                .hint("attach an IAM role to this instance"));
        }
        let url = Url::parse(&format!("{}/{role}", url.as_str().trim_end_matches('/')))
            .map_err(|what| Error::no_answer(format!("{}: the role {what}", url.authority())))?;
        let response = self.ask(&url)?;
        let host = url.authority();
        let unusable = |what: String| answer::unusable(&response, host, &what);
        let mut fields = Fields::new(json::object(&response.body).map_err(unusable)?);
        let in_answer = |what: String| unusable(format!("is not understood, {what}"));
        Ok(Keys {
            access_key_id: fields.needed("AccessKeyId").map_err(in_answer)?,
            secret_access_key: fields.needed_secret("SecretAccessKey").map_err(in_answer)?,
            session_token: fields.secret("Token").map_err(in_answer)?.filter(|t| !t.is_empty()),
        })
    }

    fn text(&mut self, url: &Url) -> Result<String> {
        let response = self.ask(url)?;
        Ok(String::from_utf8_lossy(&response.body).trim().to_owned())
    }

    fn ask(&mut self, url: &Url) -> Result<HttpResponse> {
        let mut request = plain(url);
        if let Some(session_url) = &self.aws.session_url {
            if self.session.is_none() {
                let mut asked = plain(session_url);
                asked.method = Method::Put;
                asked = asked.header("x-aws-ec2-metadata-token-ttl-seconds", SESSION);
                let response = self.send(&asked)?;
                let session = String::from_utf8_lossy(&response.body).trim().to_owned();
                if !token::well_formed(&session) {
                    let what = "is no session token";
                    return Err(answer::unusable(&response, session_url.authority(), what));
                }
                self.session = Some(Secret::new(session));
            }
            if let Some(session) = &self.session {
                request = request.secret_header("x-aws-ec2-metadata-token", session.clone());
            }
        }
        self.send(&request)
    }

    fn send(&self, request: &HttpRequest) -> Result<HttpResponse> {
        let response = self.broker.send_within(request, LIMIT)?;
        match response.status {
            200 => Ok(response),
            _ => Err(answer::failure(&response, request.url.authority()).hint_if_none(|| {
                "check that this instance has an IAM role, and its metadata options".to_owned()
            })),
        }
    }

    fn missing(&self, what: &str, field: &str, variables: &str) -> Error {
        Error::malformed(
            &self.pool.place,
            format!("there is no {what} of AWS, credential_source has no {field}"),
        )
        .hint(format!("set {variables}"))
    }
}

/// To the machine itself: through no proxy.
fn plain(url: &Url) -> HttpRequest {
    let mut request = HttpRequest::get(url.clone()).patience(Patience::Metadata);
    request.proxy = false;
    request
}
