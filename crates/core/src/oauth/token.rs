//! The token endpoint of OAuth 2.0: the JWT bearer grant (RFC 7523), the refresh grant (RFC 6749, 6) and token responses.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::jose::jwt;
use crate::net::message::{FormValue, HttpRequest, HttpResponse};
use crate::net::url::Url;
use crate::oauth::client_authentication::ClientCredentials;
use crate::oauth::metrics::metrics_header;
use crate::oauth::response;
use crate::text::json::JsonFields;
use crate::text::secret::Secret;
use crate::text::{bearer_token, printable};

/// The URL of Google's token endpoint.
pub const ENDPOINT: &str = "https://oauth2.googleapis.com/token";

/// Builds the request for an access token with a signed assertion (RFC 7523, 2.1).
pub(crate) fn jwt_bearer_request(url: &Url, assertion: &Secret) -> HttpRequest {
    assertion_request(url, assertion).header("x-goog-api-client", metrics_header("auth-request-type/at cred-type/sa"))
}

/// Builds the request for an ID token with a signed assertion, which names the audience.
pub fn id_token_request(url: &Url, assertion: &Secret) -> HttpRequest {
    assertion_request(url, assertion).header("x-goog-api-client", metrics_header("auth-request-type/it cred-type/sa"))
}

fn assertion_request(url: &Url, assertion: &Secret) -> HttpRequest {
    let fields: [(&str, FormValue<'_>); 2] =
        [("assertion", assertion.into()), ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into())];
    HttpRequest::form(url.clone(), &fields)
}

/// Reads the ID token of a response to [`id_token_request`], or to a refresh of a login with the scope `openid`. `None`:
/// the response has no ID token.
///
/// # Errors
/// As [`read_bearer_response`].
pub(crate) fn read_id_token(response: &HttpResponse, host: &str) -> Result<Option<Secret>> {
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let invalid_field =
        |what: String| response::invalid_response(response, host, &format!("is not understood, {what}"));
    let token = fields.secret("id_token").map_err(invalid_field)?;
    match &token {
        Some(token) if !is_well_formed_jwt(token) => Err(invalid_field("id_token is not a JWT".to_owned())),
        _ => Ok(token),
    }
}

/// The refresh grant (RFC 6749, 6).
#[derive(Debug)]
pub struct RefreshTokenGrant<'a> {
    /// The OAuth client that the refresh token was issued to.
    pub client: ClientCredentials<'a>,
    /// The newest refresh token of the login.
    pub refresh_token: &'a Secret,
    /// A subset of the granted scopes; empty for all of them.
    pub scopes: &'a [String],
    /// The reauthentication proof token, a parameter of Google's own.
    pub rapt: Option<&'a Secret>,
}

/// Builds the request for an access token with a refresh token.
pub(crate) fn refresh_request(url: &Url, grant: &RefreshTokenGrant<'_>) -> HttpRequest {
    let scopes = grant.scopes.join(" ");
    let mut fields: Vec<(&str, FormValue<'_>)> = vec![("grant_type", "refresh_token".into())];
    fields.extend(grant.client.form_fields());
    fields.push(("refresh_token", grant.refresh_token.into()));
    if !scopes.is_empty() {
        fields.push(("scope", (&scopes).into()));
    }
    if let Some(rapt) = grant.rapt {
        fields.push(("rapt", rapt.into()));
    }
    grant.client.add_header(HttpRequest::form(url.clone(), &fields))
}

/// A successful response of a token endpoint (RFC 6749, 5.1).
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token, or in a token exchange any other token.
    pub access_token: Secret,
    /// When the access token expires, in Unix seconds; `None` where the response has no positive `expires_in`.
    pub expires_at: Option<i64>,
    /// The granted scopes, sorted, where the response lists them.
    pub scopes: Option<Vec<String>>,
    /// The refresh token to use from now on, where the response has one.
    pub refresh_token: Option<Secret>,
    /// `token_type`, `Bearer` where it is missing. RFC 8693 has `N_A` for tokens that are not access tokens.
    pub token_type: String,
    /// `issued_token_type` of a token exchange (RFC 8693, 2.2.1).
    pub issued_token_type: Option<String>,
    /// The ID token (OpenID Connect Core, 3.1.3.3) of a login with the scope `openid`.
    pub id_token: Option<Secret>,
}

/// Reads a response with a bearer token; `now` is the time before the request, in Unix seconds.
///
/// # Errors
/// `Refused` with the server's error, or `NoAnswer` naming the invalid field.
pub fn read_bearer_response(response: &HttpResponse, host: &str, now: i64) -> Result<TokenResponse> {
    let granted = read_token_response(response, host, now)?;
    match granted.token_type.eq_ignore_ascii_case("bearer") {
        true => Ok(granted),
        false => {
            let what = format!("has a token of type {}, not Bearer", granted.token_type);
            Err(response::invalid_response(response, host, &what))
        }
    }
}

/// Reads a response with a token of any type.
///
/// # Errors
/// As [`read_bearer_response`].
pub fn read_token_response(response: &HttpResponse, host: &str, now: i64) -> Result<TokenResponse> {
    let mut fields = JsonFields::new(response::json_object(response, host)?);
    let invalid = |what: String| response::invalid_response(response, host, &what);
    let invalid_field = |what: String| invalid(format!("is not understood, {what}"));
    let access_token = fields.required_secret("access_token").map_err(invalid_field)?;
    if !bearer_token::is_well_formed_secret(&access_token) {
        return Err(invalid("has an access_token that cannot be sent in a header".to_owned()));
    }
    let token_type = fields.text("token_type").map_err(invalid_field)?;
    let issued_token_type = fields.text("issued_token_type").map_err(invalid_field)?;
    let lifetime = parse_expires_in(fields.value("expires_in")).map_err(invalid_field)?;
    let mut scopes = fields.string_list("scope").map_err(invalid_field)?;
    if let Some(scopes) = &mut scopes {
        scopes.sort();
        scopes.dedup();
    }
    let refresh_token = fields.secret("refresh_token").map_err(invalid_field)?;
    let id_token = fields.secret("id_token").map_err(invalid_field)?;
    Ok(TokenResponse {
        access_token,
        expires_at: lifetime.map(|life| now.saturating_add(life)),
        scopes: scopes.filter(|scopes| !scopes.is_empty()),
        refresh_token,
        token_type: token_type.map_or_else(|| "Bearer".to_owned(), |kind| printable::redacted(&kind)),
        issued_token_type: issued_token_type.map(|kind| printable::redacted(&kind)),
        id_token: id_token.filter(bearer_token::is_well_formed_secret),
    })
}

/// Whether a token is a JWT that can be sent in a header, as every ID token is.
pub(crate) fn is_well_formed_jwt(token: &Secret) -> bool {
    bearer_token::is_well_formed_secret(token) && jwt::decode_secret(token).is_ok()
}

/// `expires_in` in seconds: a number, or a decimal number in a string. Zero or less counts as missing.
fn parse_expires_in(value: Option<Value>) -> std::result::Result<Option<i64>, String> {
    let number = match &value {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) if is_decimal(text) => text.parse().ok(),
        Some(_) => None,
    };
    let number = number.filter(|number| number.is_finite()).ok_or_else(|| "expires_in is not a number".to_owned())?;
    // No token lives that long; the cache has a lower limit of its own.
    #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
    let seconds = number.clamp(0.0, 1e9) as i64;
    Ok(Some(seconds).filter(|seconds| *seconds > 0))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Adds a hint about the usual reason why a server refuses an assertion. `local_time` is in Unix seconds.
pub(crate) fn add_assertion_hint(error: Error, response: &HttpResponse, local_time: i64, key_file: &str) -> Error {
    let Some(server_error) = response::server_error(response) else { return error };
    let description = server_error.description.as_deref().unwrap_or_default();
    let skew = response.date().map_or(0, |server_time| server_time.saturating_sub(local_time));
    match server_error.code.as_str() {
        "invalid_grant" if skew.abs() > 60 => {
            let direction = if skew > 0 { "behind" } else { "ahead of" };
            error.hint(format!("set the clock, it is {} s {direction} Google's (timedatectl set-ntp true)", skew.abs()))
        }
        "invalid_grant" if description.contains("Signature") => {
            error.hint(format!("make a new key: the one in {key_file} has been deleted, or is not this account's"))
        }
        "invalid_grant" => {
            error.hint(format!("check that the account in {key_file} exists and is not disabled, and the clock"))
        }
        "unauthorized_client" => {
            error.hint("grant these scopes to the account under domain-wide delegation in the admin console")
        }
        "invalid_scope" => error.hint("check --scopes: a scope is misspelt, or is not granted to service accounts"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::oauth::client_authentication::ClientAuthentication;
    use zeroize::Zeroizing;

    fn read_response_body(body: &str) -> Result<TokenResponse> {
        let response =
            HttpResponse { status: 200, headers: Vec::new(), body: Zeroizing::new(body.as_bytes().to_vec()) };
        read_bearer_response(&response, "host", 1000)
    }

    #[test]
    fn a_refresh_sends_its_fields_in_googles_order() {
        let url = Url::parse(ENDPOINT).expect("url");
        let (secret, login, rapt) = (Secret::new("CS"), Secret::new("RT"), Secret::new("RAPT"));
        let mut grant = RefreshTokenGrant {
            client: ClientCredentials::new("CID", Some(&secret), ClientAuthentication::ClientSecretPost),
            refresh_token: &login,
            scopes: &[],
            rapt: None,
        };
        let body = |grant: &RefreshTokenGrant<'_>| {
            let body = refresh_request(&url, grant).body.expect("body");
            String::from_utf8(body.to_vec()).expect("text")
        };
        let plain = "grant_type=refresh_token&client_id=CID&client_secret=CS&refresh_token=RT";
        assert_eq!(body(&grant), plain);
        let scopes = ["a".to_owned(), "b".to_owned()];
        grant.scopes = &scopes;
        grant.rapt = Some(&rapt);
        assert_eq!(body(&grant), format!("{plain}&scope=a+b&rapt=RAPT"));
    }

    #[test]
    fn every_format_of_expires_in_is_read_or_refused() {
        for (written, expected) in [
            ("3599", Some(Some(4599))),
            ("\"3599\"", Some(Some(4599))),
            ("3599.0", Some(Some(4599))),
            ("\"3599.7\"", Some(Some(4599))),
            ("null", Some(None)),
            ("0", Some(None)),
            ("-1", Some(None)),
            ("\"-5\"", Some(None)),
            ("1e300", Some(Some(1_000_001_000))),
            ("99999999999999999999", Some(Some(1_000_001_000))),
            ("true", None),
            ("\"soon\"", None),
            ("\"\"", None),
            ("\"NaN\"", None),
            ("\"inf\"", None),
            ("[3599]", None),
            ("{}", None),
        ] {
            let body = format!("{{\"access_token\":\"t\",\"expires_in\":{written}}}");
            let read = read_response_body(&body);
            match expected {
                Some(end) => assert_eq!(read.expect(written).expires_at, end, "{written}"),
                None => {
                    let error = read.expect_err(written);
                    assert_eq!(error.kind(), ErrorKind::NoAnswer);
                    assert!(error.message().contains("expires_in"), "{error}");
                }
            }
        }
    }

    #[test]
    fn responses_without_a_valid_token_are_refused() {
        let long = format!("{{\"access_token\":\"{}\"}}", "x".repeat(20_000));
        for body in [
            "{}",
            "{\"access_token\":null}",
            "{\"access_token\":\"\"}",
            "{\"access_token\":5}",
            "{\"access_token\":\"a b\"}",
            "{\"access_token\":\"a\\nb\"}",
            "{\"access_token\":\"a\",\"access_token\":\"b\"}",
            "{\"access_token\":\"a\",\"token_type\":\"mac\"}",
            long.as_str(),
        ] {
            assert_eq!(read_response_body(body).expect_err(body).kind(), ErrorKind::NoAnswer, "{body}");
        }
    }
}
