//! The identity of the user who signed in, and the login that is built for it.

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::jose::{jwt, verify};
use crate::login::authorize::AuthorizationSession;
use crate::login::{LoginRequest, json_object};
use crate::net::endpoint_policy::DEFAULT_UNIVERSE;
use crate::net::message::HttpRequest;
use crate::oauth::response;
use crate::oauth::token::TokenResponse;
use crate::text::bearer_token::authorization_header;
use crate::text::secret::Secret;
use crate::text::{printable, scopes};
use crate::tokens::broker::Broker;

/// The accepted difference between the clocks of the server and of this machine, in seconds.
const MAX_CLOCK_SKEW_SECONDS: i64 = 300;

/// The user who signed in, as the server identifies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInUser {
    /// The e-mail address, or `sub` where there is none.
    pub account: String,
    /// The Google Workspace domain of the user (`hd`).
    pub hosted_domain: Option<String>,
}

/// Identifies the user by the ID token, or else by userinfo, and compares them with the requested account.
///
/// # Errors
/// `NoAnswer` for an ID token of another login, or without an identity; `LoginRequired` when another user signed in than
/// the requested one.
pub(crate) fn identify_user(
    login_request: &LoginRequest,
    granted: &TokenResponse,
    session: &AuthorizationSession,
    broker: &Broker<'_>,
) -> Result<SignedInUser> {
    let claims = match &granted.id_token {
        Some(token) => Some(id_token_claims(token, login_request, &session.nonce, broker.now())?),
        None => None,
    };
    let claims = match claims {
        Some(claims) if claims.contains_key("email") => claims,
        claims => userinfo_claims(login_request, &granted.access_token, broker, claims)?,
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(account) = text("email").or(text("sub")).or(login_request.authorization.account.as_deref()) else {
        return Err(Error::no_answer(format!("{} does not say who signed in", login_request.provider.name))
            .hint("gauth login --account NAME, with the name to store the login under"));
    };
    let user = SignedInUser { account: account.to_owned(), hosted_domain: text("hd").map(str::to_owned) };
    user.check_requested_user(login_request)?;
    Ok(user)
}

impl SignedInUser {
    fn check_requested_user(&self, login_request: &LoginRequest) -> Result<()> {
        let shown = printable::text(&self.account);
        if let Some(requested) = login_request.authorization.account.as_deref()
            && !requested.eq_ignore_ascii_case(&self.account)
        {
            return Err(wrong_user_error(&self.account, requested));
        }
        if let Some(requested) = login_request.authorization.hosted_domain.as_deref()
            && requested != "*"
            && !self.hosted_domain.as_deref().is_some_and(|domain| domain.eq_ignore_ascii_case(requested))
        {
            let requested = printable::text(requested);
            return Err(Error::new(
                ErrorKind::LoginRequired,
                format!("{shown} signed in and is not of {requested} (--hd), nothing was stored"),
            )
            .hint("gauth login --prompt select_account, and choose an account of that organisation"));
        }
        Ok(())
    }
}

/// The error when another user signed in than the requested one.
pub(crate) fn wrong_user_error(account: &str, requested: &str) -> Error {
    let (shown, requested) = (printable::text(account), printable::text(requested));
    Error::new(
        ErrorKind::LoginRequired,
        format!("{shown} signed in instead of {requested} (--account), nothing was stored"),
    )
    .hint(format!("gauth login --account {requested} --prompt select_account, or remove --account"))
}

/// The claims of an ID token, which must be for this login. The signature need not be checked, because the token came
/// from the token endpoint over TLS (OpenID Connect Core, 3.1.3.7).
fn id_token_claims(token: &Secret, login_request: &LoginRequest, nonce: &str, now: i64) -> Result<Map<String, Value>> {
    let invalid = |what: &str| {
        let host = login_request.provider.token_endpoint.authority();
        Error::no_answer(format!("{host}: the ID token of the response {what}"))
            .hint("gauth login; gauth -vv login shows the exchange")
    };
    let parts = jwt::decode_secret(token).map_err(&invalid)?;
    let text = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    if let Some(issuer) = &login_request.provider.issuer {
        let token_issuer = text("iss").unwrap_or_default();
        // Google's ID tokens may have the issuer without the scheme.
        let is_expected_issuer = token_issuer == issuer
            || (login_request.provider.is_google && format!("https://{token_issuer}") == *issuer);
        if !is_expected_issuer {
            return Err(invalid("is of another issuer (iss)"));
        }
    }
    if verify::matching_audience(&parts, std::slice::from_ref(&login_request.client.id)).is_none() {
        return Err(invalid("is for another client (aud)"));
    }
    let expires_at = parts.claims.get("exp").and_then(verify::numeric_date);
    if expires_at.is_none_or(|ends| ends.saturating_add(MAX_CLOCK_SKEW_SECONDS) < now) {
        return Err(invalid("has expired (exp); check the clock"));
    }
    match text("nonce") {
        Some(token_nonce) if token_nonce != nonce => Err(invalid("is for another login (nonce)")),
        _ => Ok(parts.claims),
    }
}

/// Adds the claims of the userinfo endpoint (OpenID Connect Core, 5.3) to those of the ID token, where the server has the
/// endpoint.
fn userinfo_claims(
    login_request: &LoginRequest,
    access_token: &Secret,
    broker: &Broker<'_>,
    id_token_claims: Option<Map<String, Value>>,
) -> Result<Map<String, Value>> {
    let id_token_claims = id_token_claims.unwrap_or_default();
    let Some(url) = &login_request.provider.userinfo_endpoint else { return Ok(id_token_claims) };
    let request = HttpRequest::get(url.clone()).secret_header("authorization", authorization_header(access_token));
    let response = broker.send(&request)?;
    let claims = match response::json_object(&response, url.authority()) {
        Ok(claims) => claims,
        // The scopes of the token do not allow it.
        Err(error) if error.kind() == ErrorKind::Refused => return Ok(id_token_claims),
        Err(error) => return Err(error),
    };
    match (id_token_claims.get("sub"), claims.get("sub")) {
        // OpenID Connect Core, 5.3.2: claims of another subject must not be used.
        (Some(one), Some(other)) if one != other => Ok(id_token_claims),
        _ => Ok(id_token_claims.into_iter().chain(claims).collect()),
    }
}

/// The requested scopes that were not granted.
pub fn missing_scopes<'a>(requested: &'a [String], granted: Option<&[String]>) -> Vec<&'a str> {
    // Without `scope` in the response, all requested scopes are granted (RFC 6749, 5.1).
    let Some(granted) = granted else { return Vec::new() };
    let requested = requested.iter().map(String::as_str);
    requested
        .filter(|scope| !granted.iter().any(|given| scopes::is_same_scope(given, scope)))
        // `offline_access` requests a refresh token and is not a scope of the access token.
        .filter(|scope| *scope != "offline_access")
        .collect()
}

/// Builds a login of type `authorized_user`.
///
/// # Errors
/// `Refused`, when there is no refresh token, without which the login would end with its first access token.
pub fn authorized_user(
    login_request: &LoginRequest,
    user: &SignedInUser,
    granted: &TokenResponse,
) -> Result<Map<String, Value>> {
    let Some(refresh_token) = &granted.refresh_token else {
        return Err(Error::refused(format!(
            "{} gave no refresh token for {}, it gives one only with new consent",
            login_request.provider.name,
            printable::text(&user.account)
        ))
        .hint("gauth login --prompt consent"));
    };
    let secret = login_request.client.secret.as_ref().map_or(json!(""), Secret::to_json);
    let scopes = granted.scopes.as_deref().unwrap_or(&login_request.authorization.scopes);
    Ok(json_object([
        ("type", json!("authorized_user")),
        ("account", json!(user.account)),
        ("client_id", json!(login_request.client.id)),
        ("client_secret", secret),
        ("refresh_token", refresh_token.to_json()),
        ("token_uri", json!(login_request.provider.token_endpoint.as_str())),
        ("scopes", json!(scopes)),
        ("universe_domain", json!(DEFAULT_UNIVERSE)),
    ]))
}
