//! AWS Signature Version 4, as far as federation needs it: a signed GetCallerIdentity request that gauth never
//! sends. It goes to Google's STS as the subject token; STS replays it at AWS and so learns who asks (AIP-4117).

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

use crate::secret::Secret;
use crate::url::{Scheme, Url};

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same within a path.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The last word of every scope.
const TERMINATION: &str = "aws4_request";

/// The header with the moment of the signature.
const DATE: &str = "x-amz-date";

/// How AWS writes moments.
const MOMENT: &str = "%Y%m%dT%H%M%SZ";

/// Binds the signed request to one provider: whoever gets hold of it cannot use it at another.
pub const TARGET_RESOURCE: &str = "x-goog-cloud-target-resource";

/// What AWS gave to the caller.
pub struct Keys {
    /// Its public name.
    pub access_key_id: String,
    /// What signs.
    pub secret_access_key: Secret,
    /// With temporary keys only.
    pub session_token: Option<Secret>,
}

/// Headers by their lower-case name, in the order in which they are signed.
type Headers = BTreeMap<String, String>;

/// The subject token: a signed GetCallerIdentity request as percent-encoded JSON. `url` is the file's
/// `regional_cred_verification_url` with its region filled in, `audience` the provider, `now` Unix seconds.
///
/// # Errors
/// What is wrong with one of the values, as a sentence that repeats no secret.
pub fn subject_token(
    url: &Url,
    region: &str,
    keys: &Keys,
    audience: &str,
    now: i64,
) -> Result<Secret, String> {
    if url.scheme != Scheme::Https {
        return Err(format!("{} is not https", url.without_query()));
    }
    if !is_region(region) {
        return Err(format!("\"{}\" is not an AWS region", crate::printable::said(region)));
    }
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id(&keys.access_key_id) {
        return Err("the AWS access key id is not one: letters and digits only".to_owned());
    }
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !visible(keys.secret_access_key.expose()) {
        return Err("the AWS secret access key has a space or an odd character".to_owned());
    }
    if keys.session_token.as_ref().is_some_and(|token| !visible(token.expose())) {
        return Err("the AWS session token has a space or an odd character".to_owned());
    }
    if !visible(audience) {
        return Err("the audience has a space or an odd character".to_owned());
    }
    let mut headers = headers(url, keys, now)?;
    headers.insert(TARGET_RESOURCE.to_owned(), audience.to_owned());
    let authorization = authorization(url, region, keys, &headers);
    Ok(packed(url, authorization, headers))
}

/// What AWS wants signed.
fn headers(url: &Url, keys: &Keys, now: i64) -> Result<Headers, String> {
    let moment = Timestamp::from_second(now).map_err(|_| "the clock is far off".to_owned())?;
    let mut headers = Headers::from([
        ("host".to_owned(), url.authority().to_owned()),
        (DATE.to_owned(), moment.strftime(MOMENT).to_string()),
    ]);
    if let Some(token) = &keys.session_token {
        headers.insert("x-amz-security-token".to_owned(), token.expose().to_owned());
    }
    Ok(headers)
}

/// The request as STS reads it.
fn packed(url: &Url, authorization: String, headers: Headers) -> Secret {
    #[derive(Serialize)]
    struct Header {
        key: String,
        value: String,
    }
    #[derive(Serialize)]
    struct Request {
        headers: Vec<Header>,
        method: &'static str,
        url: String,
    }
    let first = Header { key: "Authorization".to_owned(), value: authorization };
    let rest = headers.into_iter().map(|(key, value)| Header { key, value });
    // Google documents these URLs without the path, which ours always have.
    let url = match url.path_and_query().strip_prefix("/?") {
        Some(query) => format!("https://{}?{query}", url.authority()),
        None => url.as_str().to_owned(),
    };
    let request =
        Request { headers: std::iter::once(first).chain(rest).collect(), method: "POST", url };
    // Texts alone always have a JSON form.
    let json = Zeroizing::new(serde_json::to_string(&request).unwrap_or_default());
    Secret::new(utf8_percent_encode(&json, RESERVED).to_string())
}

/// The `Authorization` of an empty POST with all of these headers under the signature.
fn authorization(url: &Url, region: &str, keys: &Keys, headers: &Headers) -> String {
    let moment = headers.get(DATE).map(String::as_str).unwrap_or_default();
    let scope = Scope { date: date_of(moment), region, service: service(&url.host) };
    let request = canonical_request("POST", url, headers);
    let signature = signature(&keys.secret_access_key, &scope, moment, &request);
    let signed = names(headers);
    let id = &keys.access_key_id;
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}")
}

/// Method, URL and headers in the one way to write them; the body is empty.
fn canonical_request(method: &str, url: &Url, headers: &Headers) -> String {
    let path_and_query = url.path_and_query();
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let path = utf8_percent_encode(path, RESERVED_IN_PATH);
    let query = canonical_query(query);
    let mut lines = String::new();
    for (name, value) in headers {
        let value: Vec<&str> = value.split_ascii_whitespace().collect();
        lines.push_str(&format!("{name}:{}\n", value.join(" ")));
    }
    let body = hex(&Sha256::digest(b""));
    format!("{method}\n{path}\n{query}\n{lines}\n{}\n{body}", names(headers))
}

fn names(headers: &Headers) -> String {
    headers.keys().map(String::as_str).collect::<Vec<_>>().join(";")
}

/// The parameters decoded, encoded again in the one way of RFC 3986, and sorted.
fn canonical_query(query: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
    let mut parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    parameters.sort();
    parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// `sts` of `sts.eu-west-3.amazonaws.com`, and of the endpoint with FIPS.
fn service(host: &str) -> &str {
    let label = host.split('.').next().unwrap_or_default();
    label.strip_suffix("-fips").unwrap_or(label)
}

/// What a signing key is good for.
#[derive(Debug, PartialEq, Eq)]
struct Scope<'a> {
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{TERMINATION}", self.date, self.region, self.service)
    }
}

/// The day of a moment.
fn date_of(moment: &str) -> &str {
    moment.split('T').next().unwrap_or_default()
}

fn string_to_sign(scope: &Scope<'_>, moment: &str, canonical_request: &str) -> String {
    let hash = hex(&Sha256::digest(canonical_request.as_bytes()));
    format!("{ALGORITHM}\n{moment}\n{scope}\n{hash}")
}

fn signing_key(secret: &Secret, scope: &Scope<'_>) -> Zeroizing<[u8; 32]> {
    let first = Zeroizing::new(format!("AWS4{}", secret.expose()));
    let mut key = Zeroizing::new(mac(first.as_bytes(), scope.date));
    for word in [scope.region, scope.service, TERMINATION] {
        key = Zeroizing::new(mac(&*key, word));
    }
    key
}

fn signature(secret: &Secret, scope: &Scope<'_>, moment: &str, request: &str) -> String {
    hex(&mac(&*signing_key(secret, scope), &string_to_sign(scope, moment, request)))
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key)
        .expect("HMAC takes keys of any length (RFC 2104)")
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this could be one of AWS's regions.
pub fn is_region(text: &str) -> bool {
    let of_a_region = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(of_a_region)
}

/// The region of an availability zone: `us-east-1` of `us-east-1d`. `None` where the text is neither.
pub fn region_of(zone: &str) -> Option<String> {
    let zone = zone.trim();
    let region = match zone.as_bytes() {
        [.., digit, letter] if digit.is_ascii_digit() && letter.is_ascii_lowercase() => {
            &zone[..zone.len() - 1]
        }
        _ => zone,
    };
    is_region(region).then(|| region.to_owned())
}

/// What a signed request says of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Whose key signed.
    pub access_key_id: &'a str,
    /// When, in Unix seconds.
    pub signed_at: i64,
    /// Lower-case names of the headers under the signature.
    pub signed_headers: Vec<&'a str>,
    scope: Scope<'a>,
    moment: &'a str,
    signature: &'a str,
}

/// Reads the claim in a request's headers, `None` where there is none. It is proved by [`verify`] only.
pub fn claim(headers: &[(String, String)]) -> Option<Claim<'_>> {
    let authorization = header(headers, "authorization")?.strip_prefix(ALGORITHM)?;
    let mut fields = authorization.split(',').map(str::trim);
    let credential = fields.next()?.strip_prefix("Credential=")?;
    let signed_headers = fields.next()?.strip_prefix("SignedHeaders=")?.split(';').collect();
    let signature = fields.next()?.strip_prefix("Signature=")?;
    let parts: Vec<&str> = credential.split('/').collect();
    let [access_key_id, date, region, service, TERMINATION] = parts[..] else { return None };
    let moment = header(headers, DATE)?;
    let signed_at =
        DateTime::strptime(MOMENT, moment).ok()?.to_zoned_datetime(TimeZone::UTC).ok()?;
    Some(Claim {
        access_key_id,
        signed_at: signed_at.timestamp().as_second(),
        signed_headers,
        scope: Scope { date, region, service },
        moment,
        signature,
    })
}

/// Proves a signature as AWS does: the sandbox stands in for AWS. How old it may be is for the caller to say.
///
/// # Errors
/// What is wrong with the request, as a sentence.
pub fn verify(
    method: &str,
    url: &Url,
    headers: &[(String, String)],
    secret_access_key: &Secret,
    region: &str,
) -> Result<(), String> {
    let claim = claim(headers).ok_or("the request is not signed")?;
    let wanted = Scope { date: date_of(claim.moment), region, service: service(&url.host) };
    if claim.scope != wanted {
        return Err(format!("the key is scoped to {}, it should be {wanted}", claim.scope));
    }
    if header(headers, "host") != Some(url.authority()) {
        return Err("the host header is not the URL's host".to_owned());
    }
    let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
    let mut names = headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    if let Some(name) =
        names.find(|name| must_be_signed(name) && !claim.signed_headers.contains(&name.as_str()))
    {
        return Err(format!("{name} is not signed"));
    }
    let signed = claim.signed_headers.iter().map(|name| {
        let value =
            header(headers, name).ok_or_else(|| format!("{name} is signed, but not sent"))?;
        Ok(((*name).to_owned(), value.to_owned()))
    });
    let request = canonical_request(method, url, &signed.collect::<Result<Headers, String>>()?);
    match signature(secret_access_key, &claim.scope, claim.moment, &request) == claim.signature {
        true => Ok(()),
        false => Err("the signature does not match".to_owned()),
    }
}

/// The value of a header that is there once.
fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
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
            serde_json::from_str(include_str!("../tests/data/vectors.json")).expect("vectors");
        vectors["aws_sigv4"].as_array().expect("cases").clone()
    }

    fn keys(case: &Value) -> Keys {
        Keys {
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
    fn unpacked(token: &Secret) -> (Url, Vec<(String, String)>) {
        let json =
            percent_encoding::percent_decode_str(token.expose()).decode_utf8().expect("text");
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
            let (keys, region) = (keys(case), case["region"].as_str().expect("region"));
            let url = url(region);
            let target_is_signed = case["target_resource_signed"] == true;
            let mut sent = headers(&url, &keys, NOW).expect("headers");
            let mut signed = sent.clone();
            sent.insert(TARGET_RESOURCE.to_owned(), AUDIENCE.to_owned());
            if target_is_signed {
                signed = sent.clone();
                let token = subject_token(&url, region, &keys, AUDIENCE, NOW).expect("token");
                assert_eq!(token.expose(), case["subject_token"]);
            }
            let scope = Scope { date: "20260102", region, service: "sts" };
            let request = canonical_request("POST", &url, &signed);
            assert_eq!(request, case["canonical_request"]);
            let to_sign = string_to_sign(&scope, "20260102T030405Z", &request);
            assert_eq!(to_sign, case["string_to_sign"]);
            let key = signing_key(&keys.secret_access_key, &scope);
            assert_eq!(hex(&*key), case["signing_key_hex"]);
            assert_eq!(hex(&mac(&*key, &to_sign)), case["signature"]);
            let authorization = authorization(&url, region, &keys, &signed);
            assert_eq!(authorization, case["authorization"]);
            let token = packed(&url, authorization, sent);
            assert_eq!(token.expose(), case["subject_token"]);
            let json = percent_encoding::percent_decode_str(token.expose()).decode_utf8();
            assert_eq!(*json.expect("text"), case["subject_token_json"]);
        }
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else_does() {
        for case in &cases() {
            let (keys, region) = (keys(case), case["region"].as_str().expect("region"));
            let token = subject_token(&url(region), region, &keys, AUDIENCE, NOW).expect("token");
            let (url, headers) = unpacked(&token);
            let claim = claim(&headers).expect("claim");
            assert_eq!((claim.access_key_id, claim.signed_at), ("AKIDEXAMPLE", NOW));
            assert!(claim.signed_headers.contains(&TARGET_RESOURCE));
            let secret = &keys.secret_access_key;
            let check =
                |headers: &[(String, String)]| verify("POST", &url, headers, secret, region);
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
            assert!(verify("GET", &url, &headers, secret, region).is_err());
            assert!(verify("POST", &url, &headers, &Secret::new("another"), region).is_err());
            let error = verify("POST", &url, &headers, secret, "us-west-2").expect_err("region");
            assert!(error.contains("it should be 20260102/us-west-2/sts/aws4_request"), "{error}");
            let other = format!("https://{}/?Action=GetSessionToken", url.authority());
            let other = Url::parse(&other).expect("url");
            assert!(verify("POST", &other, &headers, secret, region).is_err());
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
        assert_eq!(service("sts.us-east-1.amazonaws.com"), "sts");
        assert_eq!(service("sts-fips.us-gov-west-1.amazonaws.com"), "sts");
        assert_eq!(service("sts.amazonaws.com"), "sts");
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
            assert_eq!(region_of(zone).as_deref(), region, "{zone:?}");
        }
    }

    #[test]
    fn odd_values_are_refused_without_being_repeated() {
        let good = || keys(&cases()[1]);
        let sign = |keys: &Keys, region: &str, audience: &str| {
            subject_token(&url("us-east-1"), region, keys, audience, NOW).expect_err("refused")
        };
        let with = |change: fn(&mut Keys)| {
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
            assert_eq!(claim(&headers), None, "{authorization}");
        }
        let whole = "AWS4-HMAC-SHA256 Credential=A/20260102/r/sts/aws4_request, SignedHeaders=host, Signature=0";
        let whole = ("authorization".to_owned(), whole.to_owned());
        assert!(claim(&[whole.clone(), date]).is_some());
        assert!(claim(std::slice::from_ref(&whole)).is_none());
        assert!(claim(&[whole, ("x-amz-date".to_owned(), "yesterday".to_owned())]).is_none());
    }
}
