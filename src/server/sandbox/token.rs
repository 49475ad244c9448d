//! The token endpoint: signed assertions and refresh tokens in, access and ID tokens out, as strict as Google's.

use serde_json::{Value, json};

use crate::error::Result;
use crate::jwt::{self, LONGEST_LIFE};
use crate::key::PublicKey;
use crate::secret::Secret;
use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{self, CLIENT_ID, EMAIL_SCOPE, SERVICE_ACCOUNT};
use crate::server::sandbox::guest::Guest;
use crate::server::sandbox::ledger::{Grant, Ledger, Login, includes};

/// What Google gives: an hour less the second it took.
pub(super) const LIFE: i64 = 3599;
/// How far an assertion's clock may be off, in seconds.
const SKEW: i64 = 300;
/// The grant of RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Google's own names of its token endpoint. Clients write the first one whatever URL they post to.
const GOOGLES: [&str; 3] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
];
/// The paths at which the endpoint answers.
pub(super) const PATHS: [&str; 3] = ["/token", "/oauth2/v4/token", "/o/oauth2/token"];

/// Answers `POST /token`.
pub(super) fn token(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    let form = match Form::of(request) {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    let answered = match form.get("grant_type") {
        Some(JWT_BEARER) => assertion(state, &form),
        Some("refresh_token") => refresh(state, &form),
        Some(other) => {
            Err(error(400, "unsupported_grant_type", &format!("Invalid grant_type: {other}")))
        }
        None => Err(missing("grant_type")),
    };
    let answer = answered.unwrap_or_else(|refusal| refusal);
    answer.header("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
}

/// Answers `POST /revoke`, the token in the query or the form.
pub(super) fn revoke(state: &State, request: &Request) -> Answer {
    if request.method != "POST" {
        return Answer::only("POST");
    }
    let form = request.form().unwrap_or_default();
    let mut pairs = request.query.iter().chain(&form);
    let Some((_, token)) = pairs.find(|(name, _)| name == "token") else {
        return missing("token");
    };
    match lock(&state.ledger).revoke(token) {
        true => Answer::json(200, &json!({})),
        false => error(400, "invalid_token", "Token expired or revoked"),
    }
}

/// An error as RFC 6749, 5.2 has it.
pub(super) fn error(status: u16, code: &str, description: &str) -> Answer {
    Answer::json(status, &json!({ "error": code, "error_description": description }))
}

fn missing(name: &str) -> Answer {
    error(400, "invalid_request", &format!("Required parameter is missing: {name}"))
}

fn invalid_grant(description: &str) -> Answer {
    error(400, "invalid_grant", description)
}

/// The parameters of a request.
struct Form {
    fields: Vec<(String, String)>,
    /// Client and secret of `Authorization: Basic`.
    basic: Option<(String, String)>,
}

impl Form {
    fn of(request: &Request) -> std::result::Result<Form, Answer> {
        let Some(fields) = request.form() else {
            return Err(error(400, "invalid_request", "Invalid content type"));
        };
        for (index, (name, _)) in fields.iter().enumerate() {
            if fields[..index].iter().any(|(earlier, _)| earlier == name) {
                let text = format!("OAuth 2 parameters can only have a single value: {name}");
                return Err(error(400, "invalid_request", &text));
            }
        }
        Ok(Form { fields, basic: request.header("authorization").and_then(basic) })
    }

    /// A parameter; an empty one is absent (RFC 6749, 3.2).
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    use base64::Engine;
    let (scheme, packed) = header.split_once(' ')?;
    let packed = scheme.eq_ignore_ascii_case("basic").then(|| packed.trim())?;
    let pair = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// RFC 7523: a JWT signed with the key of a service account.
fn assertion(state: &State, form: &Form) -> std::result::Result<Answer, Answer> {
    let assertion = form.get("assertion").ok_or_else(|| missing("assertion"))?;
    let parts = jwt::parts(assertion).map_err(|_| invalid_grant("Invalid JWT: malformed."))?;
    let claim = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    let header = |name: &str| parts.header.get(name);
    if header("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(invalid_grant("Invalid JWT: the algorithm must be RS256."));
    }
    let Some((issuer, key_id, key)) = signer(state, claim("iss").unwrap_or_default()) else {
        return Err(invalid_grant("Invalid grant: account not found"));
    };
    let known = header("kid").is_none_or(|kid| kid.as_str() == key_id);
    if !known || !key.verifies(parts.message, &parts.signature) {
        return Err(invalid_grant("Invalid JWT Signature."));
    }
    let audience = claim("aud").unwrap_or_default();
    if !GOOGLES.contains(&audience) && !state.is_own_url(audience, &PATHS) {
        let text =
            format!("Invalid JWT: Failed audience check. The right audience is {}", GOOGLES[0]);
        return Err(invalid_grant(&text));
    }
    let now = state.clock.unix();
    let time = |name: &str| parts.claims.get(name).and_then(Value::as_i64);
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err(timeless());
    };
    let life = expires.saturating_sub(issued);
    let reasonable = issued <= now.saturating_add(SKEW) && expires > now;
    if !reasonable || !(1..=LONGEST_LIFE).contains(&life) {
        return Err(timeless());
    }
    let account = claim("sub").unwrap_or(issuer);
    if account != issuer && !account.contains('@') {
        return Err(invalid_grant("Invalid email or User ID"));
    }
    match (claim("target_audience"), claim("scope")) {
        (Some(audience), None | Some("")) if !audience.is_empty() => {
            let token = state.identity_token(account, audience, json!({ "azp": account }))?;
            Ok(Answer::json(200, &json!({ "id_token": token })))
        }
        (None | Some(""), Some(scopes)) => {
            let scopes = scope_list(scopes)?;
            let left = LIFE.min(expires - now);
            let grant = Grant {
                account: account.to_owned(),
                client: cast::subject(issuer),
                scopes,
                expires_at: now + left,
                family: None,
            };
            let token = state.issue("ya29.c.b0", grant)?;
            let value =
                json!({ "access_token": token, "expires_in": left, "token_type": "Bearer" });
            Ok(Answer::json(200, &value))
        }
        _ => Err(scopeless()),
    }
}

fn timeless() -> Answer {
    invalid_grant(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
         Check your iat and exp values in the JWT claim.",
    )
}

fn scopeless() -> Answer {
    error(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
}

/// A service account with a key here: its name, the number of its key, the public half.
fn signer<'a>(state: &'a State, email: &str) -> Option<(&'a str, Option<&'a str>, &'a PublicKey)> {
    if email == SERVICE_ACCOUNT {
        let cast = &state.cast;
        return Some((SERVICE_ACCOUNT, Some(&cast.key_id), &cast.service_account_key));
    }
    state.guests.iter().find_map(|guest| match guest {
        Guest::ServiceAccount { email: known, key_id, key } if known == email => {
            Some((known.as_str(), key_id.as_deref(), key))
        }
        _ => None,
    })
}

/// Scopes are words of OpenID Connect or URLs.
fn scope_list(text: &str) -> std::result::Result<Vec<String>, Answer> {
    let scopes: Vec<String> =
        text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect();
    let good = |scope: &String| {
        matches!(scope.as_str(), "openid" | "email" | "profile") || scope.starts_with("https://")
    };
    match !scopes.is_empty() && scopes.iter().all(good) {
        true => Ok(scopes),
        false => Err(scopeless()),
    }
}

/// RFC 6749, section 6.
fn refresh(state: &State, form: &Form) -> std::result::Result<Answer, Answer> {
    let client = client(state, form)?;
    let sent = form.get("refresh_token").ok_or_else(|| missing("refresh_token"))?;
    let mut ledger = lock(&state.ledger);
    let login = ledger.login(sent).filter(|login| login.client == client).cloned();
    let login = login.ok_or_else(|| invalid_grant("Bad Request"))?;
    if login.replaced {
        // Somebody else has a copy: nobody may go on (RFC 9700, 4.14.2).
        ledger.revoke_family(login.family);
    }
    if ledger.is_revoked(login.family) {
        return Err(invalid_grant("Token has been expired or revoked."));
    }
    let scopes = narrowed(&login, form.get("scope"))?;
    let next = next_refresh_token(state, &mut ledger, sent, &login)?;
    drop(ledger);
    let wants_identity =
        ["openid", "email", "profile"].iter().any(|wanted| includes(&scopes, wanted));
    let mut value = json!({
        "expires_in": LIFE,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if wants_identity {
        let extra = json!({ "azp": client });
        value["id_token"] = state.identity_token(&login.account, client, extra)?.into();
    }
    if let Some(next) = next {
        value["refresh_token"] = next.into();
    }
    let grant = Grant {
        account: login.account,
        client: client.to_owned(),
        scopes,
        expires_at: state.clock.unix() + LIFE,
        family: Some(login.family),
    };
    value["access_token"] = state.issue("ya29.a0", grant)?.into();
    Ok(Answer::json(200, &value))
}

/// The OAuth client, which must be one of those known here.
fn client<'a>(state: &State, form: &'a Form) -> std::result::Result<&'a str, Answer> {
    let (id, secret) = match &form.basic {
        Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
        None => (form.get("client_id"), form.get("client_secret")),
    };
    let refused = |text| Err(error(401, "invalid_client", text));
    match (id, secret) {
        (None, _) => {
            Err(error(400, "invalid_request", "Could not determine client ID from request."))
        }
        (Some(id), _) if client_secret(state, id).is_none() => {
            refused("The OAuth client was not found.")
        }
        (_, None) => Err(error(400, "invalid_request", "client_secret is missing.")),
        (Some(id), Some(secret)) => match client_secret(state, id) {
            Some(known) if known.expose() == secret => Ok(id),
            _ => refused("The provided client secret is invalid."),
        },
    }
}

fn client_secret<'a>(state: &'a State, id: &str) -> Option<&'a Secret> {
    if id == CLIENT_ID {
        return Some(&state.cast.client_secret);
    }
    state.guests.iter().find_map(|guest| match guest {
        Guest::User { client_id, client_secret, .. } if client_id == id => Some(client_secret),
        _ => None,
    })
}

/// Fewer scopes may be asked for, others not.
fn narrowed(login: &Login, wanted: Option<&str>) -> std::result::Result<Vec<String>, Answer> {
    let Some(wanted) = wanted else { return Ok(login.scopes.clone()) };
    let wanted = scope_list(wanted)?;
    match wanted.iter().find(|scope| !includes(&login.scopes, scope)) {
        None => Ok(wanted),
        Some(foreign) => {
            let text = format!("Some requested scopes were not granted: [{foreign}]");
            Err(error(400, "invalid_scope", &text))
        }
    }
}

/// With rotation every refresh token is good once.
fn next_refresh_token(
    state: &State,
    ledger: &mut Ledger,
    sent: &str,
    login: &Login,
) -> std::result::Result<Option<String>, Answer> {
    if !state.rotate {
        return Ok(None);
    }
    let next = format!("1//{}", cast::random(45).map_err(|_| Answer::empty(500))?);
    ledger.replace(sent);
    ledger.enter(&next, login.clone());
    Ok(Some(next))
}

impl State {
    /// Makes an access token and remembers what it means.
    pub(super) fn issue(&self, prefix: &str, grant: Grant) -> std::result::Result<String, Answer> {
        let token = self.new_token(prefix)?;
        lock(&self.ledger).issue(&token, grant);
        Ok(token)
    }

    /// A random access token.
    pub(super) fn new_token(&self, prefix: &str) -> std::result::Result<String, Answer> {
        let random: Result<String> = cast::random(96);
        random.map(|random| format!("{prefix}{random}")).map_err(|_| Answer::empty(500))
    }

    /// An ID token signed by the sandbox's Google; `extra` claims come on top.
    pub(super) fn identity_token(
        &self,
        account: &str,
        audience: &str,
        extra: Value,
    ) -> std::result::Result<String, Answer> {
        let now = self.clock.unix();
        let mut claims = json!({
            "aud": audience,
            "email": account,
            "email_verified": true,
            "exp": now + 3600,
            "iat": now,
            "iss": "https://accounts.google.com",
            "sub": cast::subject(account),
        });
        if let (Value::Object(claims), Value::Object(extra)) = (&mut claims, extra) {
            claims.extend(extra);
        }
        self.google.sign(&claims)
    }

    /// The scopes that let userinfo and tokeninfo tell the address.
    pub(super) fn tells_email(scopes: &[String]) -> bool {
        includes(scopes, EMAIL_SCOPE)
    }
}
