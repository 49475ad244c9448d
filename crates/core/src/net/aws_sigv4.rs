//! AWS Signature Version 4, as far as federation needs it: a signed GetCallerIdentity request that gauth never
//! sends. It goes to Google's STS as the subject token; STS replays it at AWS and so learns the identity of the caller (AIP-4117).

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::net::url::{Scheme, Url};
use crate::text::hex;
use crate::text::secret::Secret;

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same within a path.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The last part of every credential scope.
const SCOPE_TERMINATOR: &str = "aws4_request";

/// The header with the moment of the signature.
const DATE_HEADER: &str = "x-amz-date";

/// How AWS writes moments.
const TIMESTAMP_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// Binds the signed request to one provider: whoever gets hold of it cannot use it at another.
pub const TARGET_RESOURCE_HEADER: &str = "x-goog-cloud-target-resource";

/// What AWS gave to the caller.
pub struct AwsCredentials {
    /// The access key id, which is public.
    pub access_key_id: String,
    /// The secret access key, which signs requests.
    pub secret_access_key: Secret,
    /// With temporary keys only.
    pub session_token: Option<Secret>,
}

/// Headers by their lower-case name, in the order in which they are signed.
type CanonicalHeaders = BTreeMap<String, String>;

/// The subject token: a signed GetCallerIdentity request as percent-encoded JSON. `url` is the file's
/// `regional_cred_verification_url` with its region filled in, `audience` the provider, `now` Unix seconds.
///
/// # Errors
/// What is wrong with one of the values, as a sentence that repeats no secret.
pub fn subject_token(
    url: &Url,
    region: &str,
    credentials: &AwsCredentials,
    audience: &str,
    now: i64,
) -> Result<Secret, String> {
    if url.scheme != Scheme::Https {
        return Err(format!("{} is not https", url.without_query()));
    }
    if !is_region(region) {
        return Err(format!("\"{}\" is not an AWS region", crate::text::printable::redacted(region)));
    }
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id(&credentials.access_key_id) {
        return Err("the AWS access key id is not one: letters and digits only".to_owned());
    }
    let is_visible_ascii = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let is_visible_secret = |secret: &Secret| !secret.is_empty() && secret.is_visible_ascii();
    if !is_visible_secret(&credentials.secret_access_key) {
        return Err("the AWS secret access key has a space or an odd character".to_owned());
    }
    if credentials.session_token.as_ref().is_some_and(|token| !is_visible_secret(token)) {
        return Err("the AWS session token has a space or an odd character".to_owned());
    }
    if !is_visible_ascii(audience) {
        return Err("the audience has a space or an odd character".to_owned());
    }
    let mut headers = headers_to_sign(url, credentials, now)?;
    headers.insert(TARGET_RESOURCE_HEADER.to_owned(), audience.to_owned());
    let authorization = authorization(url, region, credentials, &headers);
    Ok(encode_subject_token(url, authorization, headers))
}

/// What AWS wants signed.
fn headers_to_sign(url: &Url, credentials: &AwsCredentials, now: i64) -> Result<CanonicalHeaders, String> {
    let timestamp = Timestamp::from_second(now).map_err(|_| "the clock is far off".to_owned())?;
    let mut headers = CanonicalHeaders::from([
        ("host".to_owned(), url.authority().to_owned()),
        (DATE_HEADER.to_owned(), timestamp.strftime(TIMESTAMP_FORMAT).to_string()),
    ]);
    if let Some(token) = &credentials.session_token {
        headers.insert("x-amz-security-token".to_owned(), token.expose().to_owned());
    }
    Ok(headers)
}

/// The request as STS reads it.
fn encode_subject_token(url: &Url, authorization: String, headers: CanonicalHeaders) -> Secret {
    #[derive(Serialize)]
    struct SignedHeaderJson {
        key: String,
        value: String,
    }
    #[derive(Serialize)]
    struct SignedRequestJson {
        headers: Vec<SignedHeaderJson>,
        method: &'static str,
        url: String,
    }
    let authorization_header = SignedHeaderJson { key: "Authorization".to_owned(), value: authorization };
    let other_headers = headers.into_iter().map(|(key, value)| SignedHeaderJson { key, value });
    // Google documents these URLs without the path, which ours always have.
    let url = match url.path_and_query().strip_prefix("/?") {
        Some(query) => format!("https://{}?{query}", url.authority()),
        None => url.as_str().to_owned(),
    };
    let request = SignedRequestJson {
        headers: std::iter::once(authorization_header).chain(other_headers).collect(),
        method: "POST",
        url,
    };
    // Texts alone always have a JSON form.
    let json = Zeroizing::new(serde_json::to_string(&request).unwrap_or_default());
    Secret::new(utf8_percent_encode(&json, RESERVED).to_string())
}

/// The `Authorization` of an empty POST with all of these headers under the signature.
fn authorization(url: &Url, region: &str, credentials: &AwsCredentials, headers: &CanonicalHeaders) -> String {
    let timestamp = headers.get(DATE_HEADER).map(String::as_str).unwrap_or_default();
    let scope = CredentialScope { date: date_of(timestamp), region, service: service_of_host(&url.host) };
    let request = canonical_request("POST", url, headers);
    let signature = signature(&credentials.secret_access_key, &scope, timestamp, &request);
    let signed_headers = signed_header_names(headers);
    let access_key_id = &credentials.access_key_id;
    format!("{ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}")
}

/// Method, URL and headers in the one way to write them; the body is empty.
fn canonical_request(method: &str, url: &Url, headers: &CanonicalHeaders) -> String {
    let path_and_query = url.path_and_query();
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let path = utf8_percent_encode(path, RESERVED_IN_PATH);
    let query = canonical_query(query);
    let mut lines = String::new();
    for (name, value) in headers {
        let value: Vec<&str> = value.split_ascii_whitespace().collect();
        lines.push_str(&format!("{name}:{}\n", value.join(" ")));
    }
    let body = hex::encode(&Sha256::digest(b""));
    format!("{method}\n{path}\n{query}\n{lines}\n{}\n{body}", signed_header_names(headers))
}

fn signed_header_names(headers: &CanonicalHeaders) -> String {
    headers.keys().map(String::as_str).collect::<Vec<_>>().join(";")
}

/// The parameters decoded, encoded again in the one way of RFC 3986, and sorted.
fn canonical_query(query: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut parameters: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (encoded(&name), encoded(&value))).collect();
    parameters.sort();
    parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `sts` of `sts.eu-west-3.amazonaws.com`, and of the endpoint with FIPS.
fn service_of_host(host: &str) -> &str {
    let label = host.split('.').next().unwrap_or_default();
    label.strip_suffix("-fips").unwrap_or(label)
}

/// What a signing key is good for.
#[derive(Debug, PartialEq, Eq)]
struct CredentialScope<'a> {
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

impl fmt::Display for CredentialScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{SCOPE_TERMINATOR}", self.date, self.region, self.service)
    }
}

/// The day of a moment.
fn date_of(timestamp: &str) -> &str {
    timestamp.split('T').next().unwrap_or_default()
}

fn string_to_sign(scope: &CredentialScope<'_>, timestamp: &str, canonical_request: &str) -> String {
    let hash = hex::encode(&Sha256::digest(canonical_request.as_bytes()));
    format!("{ALGORITHM}\n{timestamp}\n{scope}\n{hash}")
}

fn signing_key(secret_access_key: &Secret, scope: &CredentialScope<'_>) -> Zeroizing<[u8; 32]> {
    let initial_key = Zeroizing::new(format!("AWS4{}", secret_access_key.expose()));
    let mut key = Zeroizing::new(hmac_sha256(initial_key.as_bytes(), scope.date));
    for part in [scope.region, scope.service, SCOPE_TERMINATOR] {
        key = Zeroizing::new(hmac_sha256(&*key, part));
    }
    key
}

fn signature(
    secret_access_key: &Secret,
    scope: &CredentialScope<'_>,
    timestamp: &str,
    canonical_request: &str,
) -> String {
    hex::encode(&hmac_sha256(
        &*signing_key(secret_access_key, scope),
        &string_to_sign(scope, timestamp, canonical_request),
    ))
}

fn hmac_sha256(key: &[u8], message: &str) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key)
        .expect("HMAC takes keys of any length (RFC 2104)")
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

/// Whether this could be one of AWS's regions.
pub fn is_region(text: &str) -> bool {
    let is_region_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(is_region_byte)
}

/// The region of an availability zone: `us-east-1` of `us-east-1d`. `None` where the text is neither.
pub fn region_of_zone(zone: &str) -> Option<String> {
    let zone = zone.trim();
    let region = match zone.as_bytes() {
        [.., digit, letter] if digit.is_ascii_digit() && letter.is_ascii_lowercase() => &zone[..zone.len() - 1],
        _ => zone,
    };
    is_region(region).then(|| region.to_owned())
}

/// The fields of the Authorization header of a signed request.
#[derive(Debug, PartialEq, Eq)]
pub struct AwsAuthorization<'a> {
    /// The access key id of the signature.
    pub access_key_id: &'a str,
    /// When, in Unix seconds.
    pub signed_at: i64,
    /// Lower-case names of the headers under the signature.
    pub signed_headers: Vec<&'a str>,
    credential_scope: CredentialScope<'a>,
    timestamp: &'a str,
    signature: &'a str,
}

/// Reads the claim in a request's headers, `None` where there is none. It is proved by [`verify_signature`] only.
pub fn parse_authorization(headers: &[(String, String)]) -> Option<AwsAuthorization<'_>> {
    let authorization = single_header(headers, "authorization")?.strip_prefix(ALGORITHM)?;
    let mut fields = authorization.split(',').map(str::trim);
    let credential = fields.next()?.strip_prefix("Credential=")?;
    let signed_headers = fields.next()?.strip_prefix("SignedHeaders=")?.split(';').collect();
    let signature = fields.next()?.strip_prefix("Signature=")?;
    let parts: Vec<&str> = credential.split('/').collect();
    let [access_key_id, date, region, service, SCOPE_TERMINATOR] = parts[..] else { return None };
    let timestamp = single_header(headers, DATE_HEADER)?;
    let signed_at = DateTime::strptime(TIMESTAMP_FORMAT, timestamp).ok()?.to_zoned_datetime(TimeZone::UTC).ok()?;
    Some(AwsAuthorization {
        access_key_id,
        signed_at: signed_at.timestamp().as_second(),
        signed_headers,
        credential_scope: CredentialScope { date, region, service },
        timestamp,
        signature,
    })
}

/// Proves a signature as AWS does: the sandbox stands in for AWS. How old it may be is for the caller to say.
///
/// # Errors
/// What is wrong with the request, as a sentence.
pub fn verify_signature(
    method: &str,
    url: &Url,
    headers: &[(String, String)],
    secret_access_key: &Secret,
    region: &str,
) -> Result<(), String> {
    let authorization = parse_authorization(headers).ok_or("the request is not signed")?;
    let expected_scope =
        CredentialScope { date: date_of(authorization.timestamp), region, service: service_of_host(&url.host) };
    if authorization.credential_scope != expected_scope {
        return Err(format!("the key is scoped to {}, it should be {expected_scope}", authorization.credential_scope));
    }
    if single_header(headers, "host") != Some(url.authority()) {
        return Err("the host header is not the URL's host".to_owned());
    }
    let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
    let mut names = headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    if let Some(name) =
        names.find(|name| must_be_signed(name) && !authorization.signed_headers.contains(&name.as_str()))
    {
        return Err(format!("{name} is not signed"));
    }
    let signed = authorization.signed_headers.iter().map(|name| {
        let value = single_header(headers, name).ok_or_else(|| format!("{name} is signed, but not sent"))?;
        Ok(((*name).to_owned(), value.to_owned()))
    });
    let request = canonical_request(method, url, &signed.collect::<Result<CanonicalHeaders, String>>()?);
    match signature(secret_access_key, &authorization.credential_scope, authorization.timestamp, &request)
        == authorization.signature
    {
        true => Ok(()),
        false => Err("the signature does not match".to_owned()),
    }
}

/// The value of a header that is there once.
fn single_header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let value = found.next()?.1.as_str();
    found.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_767_323_045;
    const AUDIENCE: &str = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/example-pool/providers/example-provider";

    fn cases() -> Vec<Value> {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).expect("vectors");
        vectors["aws_sigv4"].as_array().expect("cases").clone()
    }

    fn credentials(case: &Value) -> AwsCredentials {
        AwsCredentials {
            access_key_id: case["access_key_id"].as_str().expect("id").to_owned(),
            secret_access_key: Secret::new(case["secret_access_key"].as_str().expect("key")),
            session_token: case["session_token"].as_str().map(Secret::new),
        }
    }

    fn url(region: &str) -> Url {
        let query = "Action=GetCallerIdentity&Version=2011-06-15";
        Url::parse(&format!("https://sts.{region}.amazonaws.com?{query}")).expect("url")
    }

    /// The request inside a subject token.
    fn decode_subject_token(token: &Secret) -> (Url, Vec<(String, String)>) {
        let json = percent_encoding::percent_decode_str(token.expose()).decode_utf8().expect("text");
        let request: Value = serde_json::from_str(&json).expect("json");
        assert_eq!(request["method"], "POST");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let headers = request["headers"].as_array().expect("headers").iter();
        let headers = headers.map(|header| (text(&header["key"]), text(&header["value"])));
        (Url::parse(&text(&request["url"])).expect("url"), headers.collect())
    }

    #[test]
    fn the_published_vectors_come_out_byte_for_byte() {
        let cases = cases();
        assert_eq!(cases.len(), 4);
        for case in &cases {
            let (keys, region) = (credentials(case), case["region"].as_str().expect("region"));
            let url = url(region);
            let target_is_signed = case["target_resource_signed"] == true;
            let mut sent = headers_to_sign(&url, &keys, NOW).expect("headers");
            let mut signed = sent.clone();
            sent.insert(TARGET_RESOURCE_HEADER.to_owned(), AUDIENCE.to_owned());
            if target_is_signed {
                signed = sent.clone();
                let token = subject_token(&url, region, &keys, AUDIENCE, NOW).expect("token");
                assert_eq!(token.expose(), case["subject_token"]);
            }
            let scope = CredentialScope { date: "20260102", region, service: "sts" };
            let request = canonical_request("POST", &url, &signed);
            assert_eq!(request, case["canonical_request"]);
            let to_sign = string_to_sign(&scope, "20260102T030405Z", &request);
            assert_eq!(to_sign, case["string_to_sign"]);
            let key = signing_key(&keys.secret_access_key, &scope);
            assert_eq!(hex::encode(&*key), case["signing_key_hex"]);
            assert_eq!(hex::encode(&hmac_sha256(&*key, &to_sign)), case["signature"]);
            let authorization = authorization(&url, region, &keys, &signed);
            assert_eq!(authorization, case["authorization"]);
            let token = encode_subject_token(&url, authorization, sent);
            assert_eq!(token.expose(), case["subject_token"]);
            let json = percent_encoding::percent_decode_str(token.expose()).decode_utf8();
            assert_eq!(*json.expect("text"), case["subject_token_json"]);
        }
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else_does() {
        for case in &cases() {
            let (keys, region) = (credentials(case), case["region"].as_str().expect("region"));
            let token = subject_token(&url(region), region, &keys, AUDIENCE, NOW).expect("token");
            let (url, headers) = decode_subject_token(&token);
            let claim = parse_authorization(&headers).expect("claim");
            assert_eq!((claim.access_key_id, claim.signed_at), ("AKIDEXAMPLE", NOW));
            assert!(claim.signed_headers.contains(&TARGET_RESOURCE_HEADER));
            let secret = &keys.secret_access_key;
            let check = |headers: &[(String, String)]| verify_signature("POST", &url, headers, secret, region);
            assert_eq!(check(&headers), Ok(()));

            for at in 0..headers.len() {
                let mut changed = headers.clone();
                changed[at].1.push('x');
                assert!(check(&changed).is_err(), "{} was changed", headers[at].0);
                let mut left_out = headers.clone();
                left_out.remove(at);
                assert!(check(&left_out).is_err(), "{} was left out", headers[at].0);
                let mut twice = headers.clone();
                twice.push(headers[at].clone());
                assert!(check(&twice).is_err(), "{} is there twice", headers[at].0);
            }
            let mut unsigned = headers.clone();
            unsigned.push(("X-Amz-Expires".to_owned(), "1".to_owned()));
            assert_eq!(check(&unsigned), Err("x-amz-expires is not signed".to_owned()));
            assert!(verify_signature("GET", &url, &headers, secret, region).is_err());
            assert!(verify_signature("POST", &url, &headers, &Secret::new("another"), region).is_err());
            let error = verify_signature("POST", &url, &headers, secret, "us-west-2").expect_err("region");
            assert!(error.contains("it should be 20260102/us-west-2/sts/aws4_request"), "{error}");
            let other = format!("https://{}/?Action=GetSessionToken", url.authority());
            let other = Url::parse(&other).expect("url");
            assert!(verify_signature("POST", &other, &headers, secret, region).is_err());
        }
    }

    #[test]
    fn the_query_is_sorted_and_encoded_in_one_way() {
        for (query, canonical) in [
            ("", ""),
            ("Version=2011-06-15&Action=X", "Action=X&Version=2011-06-15"),
            ("b=1&a=2&a=1&a", "a=&a=1&a=2&b=1"),
            ("a=x+y&b=%20%2f%7E*", "a=x%20y&b=%20%2F~%2A"),
            ("%C3%A4=%3d", "%C3%A4=%3D"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }

    #[test]
    fn the_service_is_the_first_label_of_the_host() {
        assert_eq!(service_of_host("sts.us-east-1.amazonaws.com"), "sts");
        assert_eq!(service_of_host("sts-fips.us-gov-west-1.amazonaws.com"), "sts");
        assert_eq!(service_of_host("sts.amazonaws.com"), "sts");
    }

    #[test]
    fn a_zone_loses_its_letter_a_region_nothing() {
        for (zone, region) in [
            ("us-east-1d", Some("us-east-1")),
            (" eu-west-3b\n", Some("eu-west-3")),
            ("us-east-1", Some("us-east-1")),
            ("us-gov-west-1a", Some("us-gov-west-1")),
            ("local", Some("local")),
            ("", None),
            ("<html>", None),
            ("us-east-1d\nX", None),
            ("us-east-1é", None),
        ] {
            assert_eq!(region_of_zone(zone).as_deref(), region, "{zone:?}");
        }
    }

    #[test]
    fn odd_values_are_refused_without_being_repeated() {
        let good = || credentials(&cases()[1]);
        let sign = |keys: &AwsCredentials, region: &str, audience: &str| {
            subject_token(&url("us-east-1"), region, keys, audience, NOW).expect_err("refused")
        };
        let with = |change: fn(&mut AwsCredentials)| {
            let mut keys = good();
            change(&mut keys);
            sign(&keys, "us-east-1", AUDIENCE)
        };
        for (error, words) in [
            (sign(&good(), "", AUDIENCE), "is not an AWS region"),
            (sign(&good(), "us-east-1\r\nX: y", AUDIENCE), "\"us-east-1\\r\\nX: y\" is not"),
            (sign(&good(), "us-east-1/x", AUDIENCE), "is not an AWS region"),
            (sign(&good(), "us-east-1", ""), "the audience"),
            (sign(&good(), "us-east-1", "//iam\n"), "the audience"),
            (with(|keys| keys.access_key_id.clear()), "access key id"),
            (with(|keys| keys.access_key_id = "AKID/x".to_owned()), "access key id"),
            (with(|keys| keys.secret_access_key = Secret::new("hunter2 ")), "secret access key"),
            (with(|keys| keys.secret_access_key = Secret::new("")), "secret access key"),
            (with(|keys| keys.session_token = Some(Secret::new("hunter2\n"))), "session token"),
        ] {
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
        let plain = Url::parse("http://127.0.0.1/").expect("url");
        assert!(subject_token(&plain, "us-east-1", &good(), AUDIENCE, NOW).is_err());
        let url = url("us-east-1");
        assert!(subject_token(&url, "us-east-1", &good(), AUDIENCE, i64::MAX).is_err());
    }

    #[test]
    fn a_request_without_a_whole_signature_claims_nothing() {
        let date = ("x-amz-date".to_owned(), "20260102T030405Z".to_owned());
        for authorization in [
            "",
            "Bearer x",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=A/20260102/r/sts/aws4_request",
            "AWS4-HMAC-SHA256 Credential=A/20260102/r/sts, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256 SignedHeaders=host, Credential=A/20260102/r/sts/aws4_request, Signature=0",
        ] {
            let headers = [("Authorization".to_owned(), authorization.to_owned()), date.clone()];
            assert_eq!(parse_authorization(&headers), None, "{authorization}");
        }
        let whole = "AWS4-HMAC-SHA256 Credential=A/20260102/r/sts/aws4_request, SignedHeaders=host, Signature=0";
        let whole = ("authorization".to_owned(), whole.to_owned());
        assert!(parse_authorization(&[whole.clone(), date]).is_some());
        assert!(parse_authorization(std::slice::from_ref(&whole)).is_none());
        assert!(parse_authorization(&[whole, ("x-amz-date".to_owned(), "yesterday".to_owned())]).is_none());
    }
}
