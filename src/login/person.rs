//! Who signed in, and the account that is made of it.

use serde_json::{Map, Value, json};

use crate::broker::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::google::answer;
use crate::google::bearer;
use crate::google::token::Granted;
use crate::http::HttpRequest;
use crate::login::Plan;
use crate::login::authorize::Challenge;
use crate::secret::Secret;
use crate::trust::DEFAULT_UNIVERSE;
use crate::{jwt, printable, token, verify};

/// A clock may be off by so many seconds.
const SKEW: i64 = 300;

/// Who signed in, by the word of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The address, or the number where there is no address.
    pub account: String,
    /// The organisation (`hd`).
    pub domain: Option<String>,
}

/// Who signed in: the ID token says so, else userinfo, and it must be who was asked for.
///
/// # Errors
/// `NoAnswer` for an ID token that is not for this login, or when nobody tells; `LoginRequired` for somebody else.
pub fn of(
    plan: &Plan,
    granted: &Granted,
    challenge: &Challenge,
    broker: &Broker<'_>,
) -> Result<Person> {
    let told = match &granted.id_token {
        Some(token) => Some(by_id_token(token, plan, &challenge.nonce, broker.now())?),
        None => None,
    };
    let told = match told {
        Some(claims) if claims.contains_key("email") => claims,
        claims => userinfo(plan, &granted.access_token, broker, claims)?,
    };
    let text = |name: &str| told.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(account) = text("email").or(text("sub")).or(plan.wish.account.as_deref()) else {
        return Err(Error::no_answer(format!("{} does not say who signed in", plan.provider.name))
            .hint("gauth login --account NAME, the name it is to be stored under"));
    };
    let person = Person { account: account.to_owned(), domain: text("hd").map(str::to_owned) };
    person.is_who_was_asked_for(plan)?;
    Ok(person)
}

impl Person {
    fn is_who_was_asked_for(&self, plan: &Plan) -> Result<()> {
        let shown = printable::text(&self.account);
        if let Some(wanted) = plan.wish.account.as_deref()
            && !wanted.eq_ignore_ascii_case(&self.account)
        {
            return Err(somebody_else(&self.account, wanted));
        }
        if let Some(wanted) = plan.wish.domain.as_deref()
            && wanted != "*"
            && !self.domain.as_deref().is_some_and(|domain| domain.eq_ignore_ascii_case(wanted))
        {
            let wanted = printable::text(wanted);
            return Err(Error::new(
                ErrorKind::LoginRequired,
                format!("{shown} is not of {wanted}, which --hd asks for; nothing was stored"),
            )
            .hint(
                "gauth login --prompt select_account, and choose an account of that organisation",
            ));
        }
        Ok(())
    }
}

/// The wrong person signed in.
pub fn somebody_else(account: &str, wanted: &str) -> Error {
    let (shown, wanted) = (printable::text(account), printable::text(wanted));
    Error::new(
        ErrorKind::LoginRequired,
        format!("{shown} signed in, --account asks for {wanted}; nothing was stored"),
    )
    .hint(format!(
        "gauth login --account {wanted} --prompt select_account, or leave --account away"
    ))
}

/// The claims of an ID token that came straight from the token endpoint, over TLS: its signature says no more than
/// that (OpenID Connect Core, 3.1.3.7). The rest must be for this login.
fn by_id_token(token: &Secret, plan: &Plan, nonce: &str, now: i64) -> Result<Map<String, Value>> {
    let wrong = |what: &str| {
        let host = plan.provider.token.authority();
        Error::no_answer(format!("{host}: the ID token of the answer {what}"))
            .hint("gauth login once more; gauth -vv login shows the exchange")
    };
    let parts = jwt::parts_of(token).map_err(&wrong)?;
    let text = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    if let Some(issuer) = &plan.provider.issuer {
        let said = text("iss").unwrap_or_default();
        // Google has two names.
        let same = said == issuer || (plan.provider.google && format!("https://{said}") == *issuer);
        if !same {
            return Err(wrong("is another server's (iss)"));
        }
    }
    if verify::meant_for(&parts, std::slice::from_ref(&plan.client.id)).is_none() {
        return Err(wrong("is for another client (aud)"));
    }
    let ends = parts.claims.get("exp").and_then(verify::moment);
    if ends.is_none_or(|ends| ends.saturating_add(SKEW) < now) {
        return Err(wrong("is over (exp); check the clock"));
    }
    match text("nonce") {
        Some(said) if said != nonce => Err(wrong("is for another login (nonce)")),
        _ => Ok(parts.claims),
    }
}

/// What userinfo says (OpenID Connect Core, 5.3), on top of what is known. Nobody has to have it.
fn userinfo(
    plan: &Plan,
    access_token: &Secret,
    broker: &Broker<'_>,
    known: Option<Map<String, Value>>,
) -> Result<Map<String, Value>> {
    let known = known.unwrap_or_default();
    let Some(url) = &plan.provider.userinfo else { return Ok(known) };
    let request =
        HttpRequest::get(url.clone()).secret_header("authorization", bearer(access_token));
    let response = broker.send(&request)?;
    let told = match answer::object(&response, url.authority()) {
        Ok(told) => told,
        // Scopes that do not let it tell.
        Err(error) if error.kind() == ErrorKind::Refused => return Ok(known),
        Err(error) => return Err(error),
    };
    match (known.get("sub"), told.get("sub")) {
        // OpenID Connect Core, 5.3.2: then it is about somebody else.
        (Some(one), Some(other)) if one != other => Ok(known),
        _ => Ok(known.into_iter().chain(told).collect()),
    }
}

/// The scopes that were asked for and not given.
pub fn missing<'a>(asked: &'a [String], granted: Option<&[String]>) -> Vec<&'a str> {
    // A server that says nothing gave what was asked for (RFC 6749, 5.1).
    let Some(granted) = granted else { return Vec::new() };
    let asked = asked.iter().map(String::as_str);
    asked
        .filter(|asked| !granted.iter().any(|given| token::same_scope(given, asked)))
        // It is a wish for a refresh token, and none of the scopes of an access token.
        .filter(|asked| *asked != "offline_access")
        .collect()
}

/// A login in Google's own JSON.
///
/// # Errors
/// When there is no refresh token: it would be over with its first access token.
pub fn authorized_user(
    plan: &Plan,
    person: &Person,
    granted: &Granted,
    quota_project: Option<&str>,
) -> Result<Map<String, Value>> {
    let Some(refresh_token) = &granted.refresh_token else {
        return Err(Error::refused(format!(
            "{} gave no refresh token for {}: it does so only when consent is given anew",
            plan.provider.name,
            printable::text(&person.account)
        ))
        .hint("gauth login --prompt consent"));
    };
    let secret = plan.client.secret.as_ref().map_or("", Secret::expose);
    let scopes = granted.scopes.as_deref().unwrap_or(&plan.wish.scopes);
    let mut login = Map::new();
    for (name, value) in [
        ("type", json!("authorized_user")),
        ("account", json!(person.account)),
        ("client_id", json!(plan.client.id)),
        ("client_secret", json!(secret)),
        ("refresh_token", json!(refresh_token.expose())),
        ("token_uri", json!(plan.provider.token.as_str())),
        ("scopes", json!(scopes)),
        ("universe_domain", json!(DEFAULT_UNIVERSE)),
    ] {
        login.insert(name.to_owned(), value);
    }
    if let Some(project) = quota_project {
        login.insert("quota_project_id".to_owned(), json!(project));
    }
    Ok(login)
}
