//! Carries a plan out: reads what it names, sends one request, and says what a refusal means.

use std::path::Path;

use zeroize::Zeroizing;

use super::plan::{Grant, LARGEST_OPTIONS, Options, Plan, Subject};
use crate::broker::Broker;
use crate::credential::external_account::{warn_if_over, workload};
use crate::discover::{self, Search};
use crate::error::{Error, Result};
use crate::google::sts::{self, ACCESS_TOKEN, Exchange, REFRESH};
use crate::google::{answer, token};
use crate::http::{HttpResponse, Patience};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::token::{AccessRequest, CLOUD_PLATFORM, IAM, TokenRequest};
use crate::trust::{DEFAULT_UNIVERSE, Endpoint, Fence};
use crate::url::Url;
use crate::world::World;
use crate::{identity, json, printable, private_file};

/// What came of it.
pub(super) struct Exchanged {
    pub granted: token::Granted,
    /// The universe, where the server is Google's.
    pub universe: Option<String>,
    /// Whether there is another refresh token than the one that was sent.
    pub has_new_login: bool,
}

/// The token that is handed in.
struct HandedIn {
    secret: Secret,
    /// Of a subject token.
    kind: String,
    /// Where it came from, in words.
    place: String,
    /// The universe of the credential it is of.
    universe: Option<String>,
}

/// Sends the request. `acting`: the token is for impersonating a service account.
///
/// # Errors
/// Whatever is wrong with what the flags name; `Refused` in the server's words.
pub(super) fn carry_out(
    plan: &Plan,
    settings: &Settings,
    acting: bool,
    broker: &Broker<'_>,
) -> Result<Exchanged> {
    let world = broker.world;
    if let Some(pair) = &plan.client.identity {
        identity::check(pair)?;
    }
    let options = plan.options.as_ref().map(read_options).transpose()?;
    let client_secret = plan.client.secret(world)?;
    let actor = actor(plan, world)?;
    let handed_in = handed_in(plan, settings, broker)?;
    let universe = settings.universe_domain.clone().or(handed_in.universe.clone());
    let universe = universe.unwrap_or_else(|| DEFAULT_UNIVERSE.to_owned());
    let (url, google) = endpoint(plan, settings, &universe)?;
    let scopes = scopes(plan, settings, &handed_in.kind, acting, google);
    let mut wish = Exchange {
        resources: &plan.resources,
        audiences: &plan.audiences,
        scopes: &scopes,
        requested_token_type: plan.requested_token_type.as_deref(),
        options: options.as_deref().map(String::as_str),
        client: plan.client.auth(&client_secret, google),
        ..Exchange::default()
    };
    match &plan.grant {
        Grant::Refresh(_) => {
            wish.grant_type = Some(REFRESH);
            wish.refresh_token = Some(&handed_in.secret);
        }
        Grant::Exchange { grant_type, .. } => {
            wish.grant_type = Some(grant_type);
            wish.subject = Some((&handed_in.secret, &handed_in.kind));
            wish.actor = actor.as_ref().map(|(secret, kind)| (secret, *kind));
            if google {
                wish.requested_token_type = wish.requested_token_type.or(Some(ACCESS_TOKEN));
            }
        }
    }
    let mut asked = sts::exchange(&url, &wish);
    for header in &plan.headers {
        asked = header.put_on(asked, world)?;
    }
    asked.identity.clone_from(&plan.client.identity);
    if matches!(plan.grant, Grant::Refresh(_)) {
        // It may be void once the server has seen it.
        asked.patience = Patience::SingleUse;
    }
    let now = broker.now();
    let response = broker.send(&asked)?;
    let mut granted = read(&response, &url, google, now)
        .map_err(|error| explained(error, &response, plan, &handed_in.place, google))?;
    // What was asked for is what was granted, unless the server says otherwise (RFC 6749, 5.1).
    granted.scopes = granted.scopes.or_else(|| Some(scopes).filter(|scopes| !scopes.is_empty()));
    let has_new_login =
        granted.refresh_token.as_ref().is_some_and(|new| !new.same_as(&handed_in.secret));
    Ok(Exchanged { granted, universe: google.then_some(universe), has_new_login })
}

fn read(response: &HttpResponse, url: &Url, google: bool, now: i64) -> Result<token::Granted> {
    match response.status {
        status if status != 200 && !google => {
            Err(answer::failure_of("the server", response, url.authority()))
        }
        _ => token::read_any(response, url.authority(), now),
    }
}

/// Google's or the one of the flag, and whether it is Google's. One that a variable moved is.
fn endpoint(plan: &Plan, settings: &Settings, universe: &str) -> Result<(Url, bool)> {
    match &plan.endpoint {
        Some(url) => {
            let fence = Fence { place: "", allowed: &[], chosen: Some(universe), claimed: None };
            let google = !url.is_loopback()
                && fence.endpoint(Endpoint::Sts, "--endpoint", url.as_str()).is_ok();
            Ok((url.clone(), google))
        }
        None => match plan.grant {
            Grant::Exchange { .. } => settings.services.exchange(universe),
            Grant::Refresh(_) => settings.services.refresh(universe),
        }
        .map(|url| (url, true)),
    }
}

/// What is asked for here: scopes for a service account are for that. Google wants to know the scope of an external
/// identity, and must not be told one of an access token of its own.
fn scopes(plan: &Plan, settings: &Settings, kind: &str, acting: bool, google: bool) -> Vec<String> {
    let external = matches!(plan.grant, Grant::Exchange { .. }) && kind != ACCESS_TOKEN;
    let wished = &settings.wish.scopes;
    match (google, acting) {
        (false, false) => plan.scopes.clone(),
        (false, true) => Vec::new(),
        (true, true) => external.then(|| IAM.to_owned()).into_iter().collect(),
        (true, false) if external && wished.is_empty() => vec![CLOUD_PLATFORM.to_owned()],
        (true, false) if external || !plan.scopes.is_empty() => wished.clone(),
        (true, false) => Vec::new(),
    }
}

fn actor<'p>(plan: &'p Plan, world: &World) -> Result<Option<(Secret, &'p str)>> {
    match &plan.grant {
        Grant::Exchange { actor: Some((token, kind)), .. } => Ok(Some((token.read(world)?, kind))),
        _ => Ok(None),
    }
}

fn handed_in(plan: &Plan, settings: &Settings, broker: &Broker<'_>) -> Result<HandedIn> {
    let (subject, subject_type) = match &plan.grant {
        Grant::Refresh(token) => {
            let secret = token.read(broker.world)?;
            return Ok(HandedIn {
                secret,
                kind: String::new(),
                place: token.name(),
                universe: None,
            });
        }
        Grant::Exchange { subject, subject_type, .. } => (subject, subject_type),
    };
    let (secret, place) = match subject {
        Subject::Hidden(hidden) => (hidden.read(broker.world)?, hidden.name()),
        Subject::Url(url) => (workload::token_at(url, broker)?, url.authority().to_owned()),
        Subject::Credential => return of_credential(subject_type.as_deref(), settings, broker),
    };
    let kind = subject_type.as_deref().or_else(|| sts::type_by_looks(&secret));
    let kind = kind.ok_or_else(|| {
        Error::usage(format!("the subject token from {place} does not show its type"))
            .hint("--subject-token-type access_token, id_token, saml2, or a URN")
    })?;
    warn_if_over(&secret, &place, broker);
    Ok(HandedIn { secret, kind: kind.to_owned(), place, universe: None })
}

/// An access token of the credential that gauth would use.
fn of_credential(
    subject_type: Option<&str>,
    settings: &Settings,
    broker: &Broker<'_>,
) -> Result<HandedIn> {
    let found = discover::credential(&Search { settings, broker, may_ask: true })?;
    let token =
        broker.token(&*found.credential, &TokenRequest::Access(AccessRequest::default()))?;
    Ok(HandedIn {
        secret: token.secret,
        kind: subject_type.unwrap_or(ACCESS_TOKEN).to_owned(),
        place: found.credential.about().name().to_owned(),
        universe: token.universe_domain,
    })
}

fn read_options(options: &Options) -> Result<Zeroizing<String>> {
    let path = match options {
        Options::Text(text) => return Ok(Zeroizing::new(text.clone())),
        Options::File(path) => path,
    };
    let place = format!("{} (--options)", printable::path(path));
    let hint = "a file with one JSON object, such as {\"userProject\":\"my-project\"}";
    let bytes = private_file::read_named(Path::new(path), LARGEST_OPTIONS)
        .map_err(|fault| fault.at(path, &place).hint(hint))?;
    json::object(&bytes).map_err(|what| Error::malformed(&place, what).hint(hint))?;
    // It has just been read as JSON, and so is UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').trim().to_owned()))
}

/// What a refusal usually means, in the words of this command's flags.
fn explained(
    error: Error,
    response: &HttpResponse,
    plan: &Plan,
    place: &str,
    google: bool,
) -> Error {
    let Some(said) = answer::server_error(response) else {
        return error
            .hint_if_none(|| "check --endpoint: this is no answer of a token endpoint".to_owned());
    };
    match (said.code.as_str(), &plan.grant) {
        ("invalid_client" | "unauthorized_client", _) => {
            error.hint("check --client-id, --client-secret and --client-auth")
        }
        ("invalid_grant", Grant::Refresh(_)) => error.hint(format!(
            "sign in again: the refresh token from {place} has ended, was used before, or is another client's"
        )),
        ("invalid_target", _) if !google => {
            error.hint("check --audience and --resource: this server does not give tokens for them")
        }
        ("invalid_grant", _) if !google => error.hint(format!(
            "check the token from {place}: whether it has expired, and whether this server takes it"
        )),
        ("invalid_request", _) if !google => error.hint(
            "compare what gauth -vv shows with what this server wants: client, audience, resource, types",
        ),
        ("unsupported_grant_type", Grant::Refresh(_)) => {
            error.hint("check --endpoint: this one does not refresh tokens")
        }
        ("unsupported_grant_type", _) => {
            error.hint("check --endpoint: this one does not exchange tokens")
        }
        _ => sts::explain(error, response, place),
    }
}
