//! The token endpoint: signed assertions, codes and refresh tokens in, access and ID tokens out, as strict as
//! Google's.

use serde_json::{Value, json};

use crate::error::Result;
use crate::jwt::{self, LONGEST_LIFE};
use crate::key::PublicKey;
use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{self, EMAIL_SCOPE, Person, SERVICE_ACCOUNT};
use crate::server::sandbox::guest::Guest;
use crate::server::sandbox::ledger::{Door, Grant, Ledger, Login, includes};
use crate::server::sandbox::oauth::{
    Form, error, invalid_grant, missing, scope_list, scopeless, unkept, unsupported_grant,
};
use crate::server::sandbox::signin::grants::{self, SignedIn};
use crate::server::sandbox::{faults, iam, reauth};

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
    unkept(match form.get("grant_type") {
        Some(JWT_BEARER) => assertion(state, &form),
        Some("refresh_token") => refresh(state, &form),
        Some(grants::CODE) => form
            .client(state)
            .and_then(|client| grants::code(state, &form, Door::Accounts, client))
            .and_then(|signed_in| first_tokens(state, signed_in)),
        Some(grants::DEVICE_CODE) => form
            .client(state)
            .and_then(|client| grants::device(state, &form, Door::Accounts, client))
            .and_then(|signed_in| first_tokens(state, signed_in)),
        Some(other) => Err(unsupported_grant(other)),
        None => Err(missing("grant_type")),
    })
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

/// RFC 7523: a JWT signed with the key of a service account.
fn assertion(state: &State, form: &Form) -> std::result::Result<Answer, Answer> {
    let assertion = form.needed("assertion")?;
    let parts = jwt::parts(assertion).map_err(|_| invalid_grant("Invalid JWT: malformed."))?;
    let claim = |name: &str| parts.claims.get(name).and_then(Value::as_str);
    let header = |name: &str| parts.header.get(name);
    if header("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(invalid_grant("Invalid JWT: the algorithm must be RS256."));
    }
    let issuer = claim("iss").unwrap_or_default();
    let Some((key_id, key)) = signer(state, issuer)? else {
        return Err(invalid_grant("Invalid grant: account not found"));
    };
    let known = header("kid").is_none_or(|kid| kid.as_str() == key_id.as_deref());
    if !known || !key.verifies(parts.message, &parts.signature) {
        return Err(invalid_grant("Invalid JWT Signature."));
    }
    let audience = claim("aud").unwrap_or_default();
    if !GOOGLES.contains(&audience) && !state.is_own_url(audience, &PATHS) {
        let text =
            format!("Invalid JWT: Failed audience check. The right audience is {}", GOOGLES[0]);
        return Err(invalid_grant(&text));
    }
    let now = state.now();
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
                boundary: None,
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

/// The key of a service account, and its number: its own, or the one IAM signs with for it.
fn signer(state: &State, email: &str) -> std::result::Result<Option<Signer>, Answer> {
    if email == SERVICE_ACCOUNT {
        let cast = &state.cast;
        return Ok(Some((Some(cast.key_id.clone()), cast.service_account_key.clone())));
    }
    if iam::is_target(email) {
        let (key, id) = state.google.public()?;
        return Ok(Some((Some(id), key)));
    }
    Ok(state.guests.iter().find_map(|guest| match guest {
        Guest::ServiceAccount { email: known, key_id, key } if known == email => {
            Some((key_id.clone(), key.clone()))
        }
        _ => None,
    }))
}

type Signer = (Option<String>, PublicKey);

/// RFC 6749, section 6.
fn refresh(state: &State, form: &Form) -> std::result::Result<Answer, Answer> {
    let client = form.client(state)?;
    let Redeemed { login, scopes, next } = redeem(state, form, Door::Accounts, client)?;
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
    value["access_token"] = state.issue("ya29.a0", login.grant(scopes, state.now() + LIFE))?.into();
    Ok(Answer::json(200, &value))
}

/// The tokens of somebody who has just signed in.
fn first_tokens(state: &State, signed_in: SignedIn) -> std::result::Result<Answer, Answer> {
    let SignedIn { login, refresh_token, nonce } = signed_in;
    let scopes = login.scopes.clone();
    let mut value = json!({
        "expires_in": LIFE,
        "scope": scopes.join(" "),
        "token_type": "Bearer",
    });
    if includes(&scopes, "openid") {
        let knows_email = includes(&scopes, "email");
        let domain = cast::person(&login.account).map(Person::domain);
        let extra = json!({
            "azp": login.client,
            "nonce": nonce,
            "hd": domain,
            "email": knows_email.then_some(&login.account),
            "email_verified": knows_email.then_some(true),
        });
        value["id_token"] = state.identity_token(&login.account, &login.client, extra)?.into();
    }
    if let Some(token) = refresh_token {
        value["refresh_token"] = token.into();
    }
    value["access_token"] = state.issue("ya29.a0", login.grant(scopes, state.now() + LIFE))?.into();
    Ok(Answer::json(200, &value))
}

/// Whether a request would be let through by a Google that wants proof that it is still the same person: it brings
/// the proof, asks for what it takes to get one, or somebody has signed in a moment ago.
pub(super) fn needs_no_rapt(state: &State, route: &str, request: &Request) -> bool {
    let Ok(form) = Form::of(request) else { return false };
    match form.get("grant_type") {
        _ if route != "token" => false,
        Some(grants::CODE | grants::DEVICE_CODE) => true,
        Some("refresh_token") => {
            let sent = form.get("refresh_token").unwrap_or_default();
            let account = lock(&state.ledger).login(sent).map(|login| login.account.clone());
            let is_proved = form.get("rapt").zip(account);
            form.get("scope") == Some(reauth::SCOPE)
                || is_proved.is_some_and(|(rapt, account)| reauth::is_proof(state, rapt, &account))
        }
        _ => false,
    }
}

/// What a refresh token was good for.
pub(super) struct Redeemed {
    pub(super) login: Login,
    pub(super) scopes: Vec<String>,
    /// The refresh token that takes its place, if they rotate.
    pub(super) next: Option<String>,
}

/// Takes the refresh token of a form, which must be this client's and be used at its own door.
pub(super) fn redeem(
    state: &State,
    form: &Form,
    door: Door,
    client: &str,
) -> std::result::Result<Redeemed, Answer> {
    let sent = form.needed("refresh_token")?;
    let mut ledger = lock(state.book(door));
    let login = ledger.login(sent).filter(|login| login.client == client && login.door == door);
    let login = login.cloned().ok_or_else(|| invalid_grant("Bad Request"))?;
    if login.replaced {
        // Somebody else has a copy: nobody may go on (RFC 9700, 4.14.2).
        ledger.revoke_family(login.family);
    }
    if ledger.is_revoked(login.family) {
        return Err(invalid_grant("Token has been expired or revoked."));
    }
    let scopes = narrowed(&login, form.get("scope"))?;
    let next = next_refresh_token(state, &mut ledger, sent, &login)?;
    Ok(Redeemed { login, scopes, next })
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
    // The outside provider's always are.
    if login.door != Door::Outside && !state.has_way(login.door.route(), faults::ROTATE) {
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

    /// An ID token signed by the sandbox's Google; `extra` claims come on top, and `null` takes one away.
    pub(super) fn identity_token(
        &self,
        account: &str,
        audience: &str,
        extra: Value,
    ) -> std::result::Result<String, Answer> {
        let now = self.now();
        let mut claims = json!({
            "aud": audience,
            "email": account,
            "email_verified": true,
            "exp": now + 3600,
            "iat": now,
            "iss": cast::GOOGLE,
            "sub": cast::subject(account),
        });
        if let (Value::Object(claims), Value::Object(extra)) = (&mut claims, extra) {
            claims.extend(extra);
            claims.retain(|_, value| !value.is_null());
        }
        self.google.sign(&claims)
    }

    /// The scopes that let userinfo and tokeninfo tell the address.
    pub(super) fn tells_email(scopes: &[String]) -> bool {
        includes(scopes, EMAIL_SCOPE)
    }
}
