//! Carries a plan out: reads what it names, sends one request, and says what a refusal means.

use std::path::Path;

use zeroize::Zeroizing;

use crate::commands::exchange::plan::{
    ExchangeGrant, ExchangePlan, MAX_OPTIONS_BYTES, StsOptions, SubjectTokenRef,
};
use gauth_core::config::Config;
use gauth_core::credentials::external_account::{warn_if_expired, workload};
use gauth_core::discovery;
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::http::client_certificate;
use gauth_core::net::endpoint_policy::{DEFAULT_UNIVERSE, EndpointKind, EndpointPolicy};
use gauth_core::net::message::{HttpResponse, RetryPolicy};
use gauth_core::net::url::Url;
use gauth_core::oauth::token_exchange;
use gauth_core::oauth::token_exchange::{
    ACCESS_TOKEN_TYPE, REFRESH_TOKEN_GRANT_TYPE, TokenExchangeRequest,
};
use gauth_core::oauth::{response, token};
use gauth_core::text::scopes::{CLOUD_PLATFORM_SCOPE, IAM_SCOPE};
use gauth_core::text::secret::Secret;
use gauth_core::text::{json, printable};
use gauth_core::tokens::broker::Broker;
use gauth_core::tokens::{AccessTokenRequest, TokenRequest};
use gauth_core::world::World;
use gauth_core::world::private_file;

/// What came of it.
pub(super) struct ExchangeResult {
    pub token_response: token::TokenResponse,
    /// The universe, where the server is Google's.
    pub universe_domain: Option<String>,
    /// Whether there is another refresh token than the one that was sent.
    pub has_new_refresh_token: bool,
}

/// The token that is handed in.
struct InputToken {
    secret: Secret,
    /// Of a subject token.
    token_type: String,
    /// Where it came from, in words.
    location: String,
    /// The universe of the credential it is of.
    universe_domain: Option<String>,
}

/// Sends the request. `acting`: the token is for impersonating a service account.
///
/// # Errors
/// Whatever is wrong with what the flags name; `Refused` in the server's words.
pub(super) fn execute(
    plan: &ExchangePlan,
    settings: &Config,
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
    let input_token = read_input_token(plan, settings, broker)?;
    let universe_domain = settings.universe_domain.clone().or(input_token.universe_domain.clone());
    let universe_domain = universe_domain.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
    let (url, is_google) = endpoint(plan, settings, &universe_domain)?;
    let scopes = requested_scopes(plan, settings, &input_token.token_type, impersonate, is_google);
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
            request.actor_token =
                actor_token.as_ref().map(|(secret, actor_token_type)| (secret, *actor_token_type));
            if is_google {
                request.requested_token_type =
                    request.requested_token_type.or(Some(ACCESS_TOKEN_TYPE));
            }
        }
    }
    let mut http_request = token_exchange::token_exchange_request(&url, &request);
    for header in &plan.headers {
        http_request = header.apply_to(http_request, world)?;
    }
    http_request.client_certificate.clone_from(&plan.client.certificate);
    if matches!(plan.grant, ExchangeGrant::RefreshToken(_)) {
        // It may be void once the server has seen it.
        http_request.retry_policy = RetryPolicy::OnlyIfUnsent;
    }
    let now = broker.now();
    let response = broker.send(&http_request)?;
    let mut token_response = read_response(&response, &url, is_google, now).map_err(|error| {
        explain_rejection(error, &response, plan, &input_token.location, is_google)
    })?;
    // What was asked for is what was granted, unless the server says otherwise (RFC 6749, 5.1).
    token_response.scopes =
        token_response.scopes.or_else(|| Some(scopes).filter(|scopes| !scopes.is_empty()));
    let has_new_refresh_token = token_response
        .refresh_token
        .as_ref()
        .is_some_and(|new| !new.constant_time_eq(&input_token.secret));
    Ok(ExchangeResult {
        token_response,
        universe_domain: is_google.then_some(universe_domain),
        has_new_refresh_token,
    })
}

fn read_response(
    response: &HttpResponse,
    url: &Url,
    is_google: bool,
    now: i64,
) -> Result<token::TokenResponse> {
    match response.status {
        status if status != 200 && !is_google => {
            Err(response::status_error("the server", response, url.authority()))
        }
        _ => token::read_token_response(response, url.authority(), now),
    }
}

/// Google's or the one of the flag, and whether it is Google's. One that a variable moved is.
fn endpoint(plan: &ExchangePlan, settings: &Config, universe_domain: &str) -> Result<(Url, bool)> {
    match &plan.endpoint {
        Some(url) => {
            let policy = EndpointPolicy {
                location: "",
                allowed_hosts: &[],
                trusted_universe: Some(universe_domain),
                claimed_universe: None,
            };
            let is_google = !url.is_loopback()
                && policy.check_endpoint(EndpointKind::Sts, "--endpoint", url.as_str()).is_ok();
            Ok((url.clone(), is_google))
        }
        None => match plan.grant {
            ExchangeGrant::TokenExchange { .. } => {
                settings.services.token_exchange_url(universe_domain)
            }
            ExchangeGrant::RefreshToken(_) => settings.services.refresh_url(universe_domain),
        }
        .map(|url| (url, true)),
    }
}

/// What is asked for here: scopes for a service account are for that. Google wants to know the scope of an external
/// identity, and must not be told one of an access token of its own.
fn requested_scopes(
    plan: &ExchangePlan,
    settings: &Config,
    subject_token_type: &str,
    impersonate: bool,
    is_google: bool,
) -> Vec<String> {
    let external = matches!(plan.grant, ExchangeGrant::TokenExchange { .. })
        && subject_token_type != ACCESS_TOKEN_TYPE;
    let configured_scopes = &settings.access_token_request.scopes;
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

fn read_actor_token<'p>(
    plan: &'p ExchangePlan,
    world: &World,
) -> Result<Option<(Secret, &'p str)>> {
    match &plan.grant {
        ExchangeGrant::TokenExchange { actor: Some((token, kind)), .. } => {
            Ok(Some((token.read(world)?, kind)))
        }
        _ => Ok(None),
    }
}

fn read_input_token(
    plan: &ExchangePlan,
    settings: &Config,
    broker: &Broker<'_>,
) -> Result<InputToken> {
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
        SubjectTokenRef::Secret(secret_ref) => {
            (secret_ref.read(broker.world)?, secret_ref.location_name())
        }
        SubjectTokenRef::Url(url) => {
            (workload::fetch_subject_token(url, broker)?, url.authority().to_owned())
        }
        SubjectTokenRef::Credential => {
            return credential_access_token(subject_type.as_deref(), settings, broker);
        }
    };
    let token_type = subject_type.as_deref().or_else(|| token_exchange::guess_token_type(&secret));
    let token_type = token_type.ok_or_else(|| {
        Error::usage(format!("the subject token from {location} does not show its type"))
            .hint("--subject-token-type access_token, id_token, saml2, or a URN")
    })?;
    warn_if_expired(&secret, &location, broker);
    Ok(InputToken { secret, token_type: token_type.to_owned(), location, universe_domain: None })
}

/// An access token of the credential that gauth would use.
fn credential_access_token(
    subject_type: Option<&str>,
    settings: &Config,
    broker: &Broker<'_>,
) -> Result<InputToken> {
    let found =
        discovery::credential(&Discovery { config: settings, broker, allow_network: true })?;
    let token = broker
        .token(&*found.credential, &TokenRequest::AccessToken(AccessTokenRequest::default()))?;
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
        .map_err(|fault| fault.to_error(path, &location).hint(hint))?;
    json::parse_object(&bytes).map_err(|what| Error::malformed(&location, what).hint(hint))?;
    // It has just been read as JSON, and so is UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').trim().to_owned()))
}

/// What a refusal usually means, in the words of this command's flags.
fn explain_rejection(
    error: Error,
    response: &HttpResponse,
    plan: &ExchangePlan,
    location: &str,
    is_google: bool,
) -> Error {
    let Some(server_error) = response::server_error(response) else {
        return error
            .hint_if_none(|| "check --endpoint: this is no answer of a token endpoint".to_owned());
    };
    match (server_error.code.as_str(), &plan.grant) {
        ("invalid_client" | "unauthorized_client", _) => {
            error.hint("check --client-id, --client-secret and --client-auth")
        }
        ("invalid_grant", ExchangeGrant::RefreshToken(_)) => error.hint(format!(
            "sign in again: the refresh token from {location} has ended, was used before, or is another client's"
        )),
        ("invalid_target", _) if !is_google => {
            error.hint("check --audience and --resource: this server does not give tokens for them")
        }
        ("invalid_grant", _) if !is_google => error.hint(format!(
            "check the token from {location}: whether it has expired, and whether this server takes it"
        )),
        ("invalid_request", _) if !is_google => error.hint(
            "compare what gauth -vv shows with what this server wants: client, audience, resource, types",
        ),
        ("unsupported_grant_type", ExchangeGrant::RefreshToken(_)) => {
            error.hint("check --endpoint: this one does not refresh tokens")
        }
        ("unsupported_grant_type", _) => {
            error.hint("check --endpoint: this one does not exchange tokens")
        }
        _ => token_exchange::add_token_exchange_hint(error, response, location),
    }
}
