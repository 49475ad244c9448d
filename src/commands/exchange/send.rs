//! Reads the secrets of an exchange, sends its request, and explains a refusal.

use std::path::Path;

use zeroize::Zeroizing;

use crate::commands::exchange::plan::{ExchangeGrant, ExchangePlan, MAX_OPTIONS_BYTES, StsOptions, SubjectTokenRef};
use gauth_core::config::Config;
use gauth_core::credentials::external_account::{warn_if_expired, workload};
use gauth_core::discovery;
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::http::client_certificate;
use gauth_core::net::endpoint_policy::{DEFAULT_UNIVERSE, EndpointKind, EndpointPolicy};
use gauth_core::net::message::{HttpResponse, RetryPolicy};
use gauth_core::net::url::Url;
use gauth_core::oauth::token_exchange::{ACCESS_TOKEN_TYPE, REFRESH_TOKEN_GRANT_TYPE, TokenExchangeRequest};
use gauth_core::oauth::{response, token, token_exchange};
use gauth_core::text::scopes::{CLOUD_PLATFORM_SCOPE, IAM_SCOPE};
use gauth_core::text::secret::Secret;
use gauth_core::text::{json, printable};
use gauth_core::tokens::broker::Broker;
use gauth_core::tokens::{AccessTokenRequest, TokenRequest};
use gauth_core::world::{World, private_file};

/// The result of an exchange.
pub(super) struct ExchangeResult {
    pub token_response: token::TokenResponse,
    /// The universe domain, where the server is Google's.
    pub universe_domain: Option<String>,
    /// Whether the server issued a refresh token other than the one that was sent.
    pub has_new_refresh_token: bool,
}

/// The subject token or refresh token to send.
struct InputToken {
    secret: Secret,
    /// Token type URI; empty for a refresh token.
    token_type: String,
    /// Its location, for messages.
    location: String,
    /// The universe domain of the credential that it belongs to.
    universe_domain: Option<String>,
}

/// Sends the request. With `impersonate`, the token is then used to impersonate a service account.
///
/// # Errors
/// When a secret cannot be read or the server refuses (`Refused`).
pub(super) fn execute(
    plan: &ExchangePlan,
    config: &Config,
    impersonate: bool,
    broker: &Broker<'_>,
) -> Result<ExchangeResult> {
    let world = broker.world;
    if let Some(certificate) = &plan.client.certificate {
        client_certificate::check_key_pair(certificate)?;
    }
    let options = plan.options.as_ref().map(read_options).transpose()?;
    let client_secret = plan.client.read_secret(world)?;
    let actor_token = read_actor_token(plan, world)?;
    let input_token = read_input_token(plan, config, broker)?;
    let universe_domain = config.universe_domain.clone().or(input_token.universe_domain.clone());
    let universe_domain = universe_domain.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
    let (url, is_google) = endpoint(plan, config, &universe_domain)?;
    let scopes = requested_scopes(plan, config, &input_token.token_type, impersonate, is_google);
    let mut request = TokenExchangeRequest {
        resources: &plan.resources,
        audiences: &plan.audiences,
        scopes: &scopes,
        requested_token_type: plan.requested_token_type.as_deref(),
        options: options.as_deref().map(String::as_str),
        client: plan.client.credentials(&client_secret, is_google),
        ..TokenExchangeRequest::default()
    };
    match &plan.grant {
        ExchangeGrant::RefreshToken(_) => {
            request.grant_type = Some(REFRESH_TOKEN_GRANT_TYPE);
            request.refresh_token = Some(&input_token.secret);
        }
        ExchangeGrant::TokenExchange { grant_type, .. } => {
            request.grant_type = Some(grant_type);
            request.subject_token = Some((&input_token.secret, &input_token.token_type));
            request.actor_token = actor_token.as_ref().map(|(secret, actor_token_type)| (secret, *actor_token_type));
            if is_google {
                request.requested_token_type = request.requested_token_type.or(Some(ACCESS_TOKEN_TYPE));
            }
        }
    }
    let mut http_request = token_exchange::token_exchange_request(&url, &request);
    for header in &plan.headers {
        http_request = header.apply_to(http_request, world)?;
    }
    http_request.client_certificate.clone_from(&plan.client.certificate);
    if matches!(plan.grant, ExchangeGrant::RefreshToken(_)) {
        // The server may revoke a refresh token once it was used.
        http_request.retry_policy = RetryPolicy::OnlyIfUnsent;
    }
    let now = broker.now();
    let response = broker.send(&http_request)?;
    let mut token_response = read_response(&response, &url, is_google, now)
        .map_err(|error| explain_rejection(error, &response, plan, &input_token.location, is_google))?;
    // Without `scope` in the response, the requested scopes were granted (RFC 6749 section 5.1).
    token_response.scopes = token_response.scopes.or_else(|| Some(scopes).filter(|scopes| !scopes.is_empty()));
    let has_new_refresh_token =
        token_response.refresh_token.as_ref().is_some_and(|new| !new.constant_time_eq(&input_token.secret));
    Ok(ExchangeResult { token_response, universe_domain: is_google.then_some(universe_domain), has_new_refresh_token })
}

fn read_response(response: &HttpResponse, url: &Url, is_google: bool, now: i64) -> Result<token::TokenResponse> {
    match response.status {
        status if status != 200 && !is_google => Err(response::status_error("the server", response, url.authority())),
        _ => token::read_token_response(response, url.authority(), now),
    }
}

/// The token endpoint, and whether it is Google's. An endpoint override in the environment counts as Google's.
fn endpoint(plan: &ExchangePlan, config: &Config, universe_domain: &str) -> Result<(Url, bool)> {
    match &plan.endpoint {
        Some(url) => {
            let policy = EndpointPolicy {
                location: "",
                allowed_hosts: &[],
                trusted_universe: Some(universe_domain),
                claimed_universe: None,
            };
            let is_google =
                !url.is_loopback() && policy.check_endpoint(EndpointKind::Sts, "--endpoint", url.as_str()).is_ok();
            Ok((url.clone(), is_google))
        }
        None => match plan.grant {
            ExchangeGrant::TokenExchange { .. } => config.services.token_exchange_url(universe_domain),
            ExchangeGrant::RefreshToken(_) => config.services.refresh_url(universe_domain),
        }
        .map(|url| (url, true)),
    }
}

/// The scopes to send. With `impersonate`, `--scopes` applies to the service account's token instead. Google requires a
/// scope for an external subject token, and refuses one for its own access tokens unless the user names it.
fn requested_scopes(
    plan: &ExchangePlan,
    config: &Config,
    subject_token_type: &str,
    impersonate: bool,
    is_google: bool,
) -> Vec<String> {
    let external = matches!(plan.grant, ExchangeGrant::TokenExchange { .. }) && subject_token_type != ACCESS_TOKEN_TYPE;
    let configured_scopes = &config.access_token_request.scopes;
    match (is_google, impersonate) {
        (false, false) => plan.scopes.clone(),
        (false, true) => Vec::new(),
        (true, true) => external.then(|| IAM_SCOPE.to_owned()).into_iter().collect(),
        (true, false) if external && configured_scopes.is_empty() => {
            vec![CLOUD_PLATFORM_SCOPE.to_owned()]
        }
        (true, false) if external || !plan.scopes.is_empty() => configured_scopes.clone(),
        (true, false) => Vec::new(),
    }
}

fn read_actor_token<'p>(plan: &'p ExchangePlan, world: &World) -> Result<Option<(Secret, &'p str)>> {
    match &plan.grant {
        ExchangeGrant::TokenExchange { actor: Some((token, kind)), .. } => Ok(Some((token.read(world)?, kind))),
        _ => Ok(None),
    }
}

fn read_input_token(plan: &ExchangePlan, config: &Config, broker: &Broker<'_>) -> Result<InputToken> {
    let (subject, subject_type) = match &plan.grant {
        ExchangeGrant::RefreshToken(token) => {
            let secret = token.read(broker.world)?;
            return Ok(InputToken {
                secret,
                token_type: String::new(),
                location: token.location_name(),
                universe_domain: None,
            });
        }
        ExchangeGrant::TokenExchange { subject, subject_type, .. } => (subject, subject_type),
    };
    let (secret, location) = match subject {
        SubjectTokenRef::Secret(secret_ref) => (secret_ref.read(broker.world)?, secret_ref.location_name()),
        SubjectTokenRef::Url(url) => (workload::fetch_subject_token(url, broker)?, url.authority().to_owned()),
        SubjectTokenRef::Credential => {
            return credential_access_token(subject_type.as_deref(), config, broker);
        }
    };
    let token_type = subject_type.as_deref().or_else(|| token_exchange::guess_token_type(&secret));
    let token_type = token_type.ok_or_else(|| {
        Error::usage(format!("the subject token from {location} does not show its token type"))
            .hint("--subject-token-type access_token, id_token, saml2, or a URN")
    })?;
    warn_if_expired(&secret, &location, broker);
    Ok(InputToken { secret, token_type: token_type.to_owned(), location, universe_domain: None })
}

/// An access token of the credential that gauth finds, as the subject token.
fn credential_access_token(subject_type: Option<&str>, config: &Config, broker: &Broker<'_>) -> Result<InputToken> {
    let found = discovery::credential(&Discovery { config, broker, allow_network: true })?;
    let token = broker.token(&*found.credential, &TokenRequest::AccessToken(AccessTokenRequest::default()))?;
    Ok(InputToken {
        secret: token.secret,
        token_type: subject_type.unwrap_or(ACCESS_TOKEN_TYPE).to_owned(),
        location: found.credential.info().display_name().to_owned(),
        universe_domain: token.universe_domain,
    })
}

fn read_options(options: &StsOptions) -> Result<Zeroizing<String>> {
    let path = match options {
        StsOptions::Inline(text) => return Ok(Zeroizing::new(text.clone())),
        StsOptions::File(path) => path,
    };
    let location = format!("{} (--options)", printable::path(path));
    let hint = "a file with one JSON object, such as {\"userProject\":\"my-project\"}";
    let bytes = private_file::read_user_file(Path::new(path), MAX_OPTIONS_BYTES)
        .map_err(|error| error.to_error(path, &location).hint(hint))?;
    json::parse_object(&bytes).map_err(|reason| Error::malformed(&location, reason).hint(hint))?;
    // JSON was parsed from these bytes, so they are UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').trim().to_owned()))
}

/// Adds a hint that names the flags to check.
fn explain_rejection(
    error: Error,
    response: &HttpResponse,
    plan: &ExchangePlan,
    location: &str,
    is_google: bool,
) -> Error {
    let Some(server_error) = response::server_error(response) else {
        return error.hint_if_none(|| "check --endpoint: the response is not that of a token endpoint".to_owned());
    };
    match (server_error.code.as_str(), &plan.grant) {
        ("invalid_client" | "unauthorized_client", _) => {
            error.hint("check --client-id, --client-secret and --client-auth")
        }
        ("invalid_grant", ExchangeGrant::RefreshToken(_)) => error.hint(format!(
            "sign in again: the refresh token from {location} has expired, was revoked or used, or belongs to another client"
        )),
        ("invalid_target", _) if !is_google => {
            error.hint("check --audience and --resource: this server issues no tokens for them")
        }
        ("invalid_grant", _) if !is_google => error.hint(format!(
            "check whether the token from {location} has expired and whether this server accepts its issuer"
        )),
        ("invalid_request", _) if !is_google => error.hint(
            "gauth -vv shows the request: check client, audience, resource and token types",
        ),
        ("unsupported_grant_type", ExchangeGrant::RefreshToken(_)) => {
            error.hint("check --endpoint: this server does not refresh tokens")
        }
        ("unsupported_grant_type", _) => {
            error.hint("check --endpoint: this server does not exchange tokens")
        }
        _ => token_exchange::add_token_exchange_hint(error, response, location),
    }
}
