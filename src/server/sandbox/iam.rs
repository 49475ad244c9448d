//! IAM Credentials: who may act as a service account gets its tokens, or has it sign.

use serde_json::{Map, Value, json};

use crate::server::http::{Answer, Request};
use crate::server::lock;
use crate::server::sandbox::State;
use crate::server::sandbox::cast::{self, BEHIND, DEPLOYER, FORBIDDEN, MIDDLE};
use crate::server::sandbox::ledger::Grant;
use crate::server::sandbox::oauth::is_scope;
use crate::token::CLOUD_PLATFORM;

/// Everything here lives below this path.
pub(super) const ROOT: &str = "/v1/projects/-/serviceAccounts/";
/// The scope that is enough, beside that of the whole platform.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";
/// The longest life of a token where no policy of the organization allows more, in seconds.
const LONGEST: i64 = 3600;
/// The longest life such a policy may allow, in seconds.
const LONGEST_EVER: i64 = 43_200;
/// The longest life of a JWT signed here, in seconds.
const LONGEST_JWT: i64 = 12 * 3600;

/// A method of a service account: its name, the permission it needs, its fields, and what does it.
struct Method {
    name: &'static str,
    permission: &'static str,
    fields: &'static [&'static str],
    run: Run,
}

/// What a method does for the account it is called on.
type Run = fn(&State, &str, &Map<String, Value>) -> Result<Answer, Answer>;

const METHODS: &[Method] = &[
    Method {
        name: "generateAccessToken",
        permission: "iam.serviceAccounts.getAccessToken",
        fields: &["scope", "lifetime", "delegates"],
        run: generate_access_token,
    },
    Method {
        name: "generateIdToken",
        permission: "iam.serviceAccounts.getOpenIdToken",
        fields: &["audience", "includeEmail", "delegates", "organizationNumberIncluded"],
        run: generate_id_token,
    },
    Method {
        name: "signJwt",
        permission: "iam.serviceAccounts.signJwt",
        fields: &["payload", "delegates"],
        run: sign_jwt,
    },
];

/// Whether somebody may be let act as this account.
pub(super) fn is_target(email: &str) -> bool {
    [DEPLOYER, MIDDLE, BEHIND].contains(&email)
}

/// Whether `caller` may act as `target`; `None` when there is no such account.
fn may_act(caller: &str, target: &str) -> Option<bool> {
    match target {
        DEPLOYER | MIDDLE => Some(true),
        BEHIND => Some(caller == MIDDLE),
        FORBIDDEN => Some(false),
        _ => None,
    }
}

/// Answers `POST /v1/projects/-/serviceAccounts/EMAIL:METHOD`.
pub(super) fn answer(state: &State, request: &Request) -> Answer {
    answered(state, request).unwrap_or_else(|refusal| refusal)
}

fn answered(state: &State, request: &Request) -> Result<Answer, Answer> {
    let name = request.path.strip_prefix(ROOT).unwrap_or_default();
    let method = name.rsplit_once(':').and_then(|(account, name)| {
        Some((account, METHODS.iter().find(|method| method.name == name)?))
    });
    let Some((account, method)) = method.filter(|_| request.method == "POST") else {
        return Err(error(404, "The requested URL was not found on this server."));
    };
    let caller = caller(state, request)?;
    let fields = fields(request, method.fields)?;
    let target = permitted(&caller, &delegates(&fields)?, account, method.permission)?;
    (method.run)(state, target, &fields)
}

/// An error as Google's APIs have it.
pub(super) fn error(code: u16, message: &str) -> Answer {
    Answer::json(code, &json!({ "error": body(code, message) }))
}

fn body(code: u16, message: &str) -> Value {
    let status = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "UNKNOWN",
    };
    json!({ "code": code, "message": message, "status": status })
}

/// The same with `google.rpc.ErrorInfo`.
fn error_because(code: u16, message: &str, reason: &str, domain: &str, metadata: Value) -> Answer {
    let mut body = body(code, message);
    body["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }]);
    Answer::json(code, &json!({ "error": body }))
}

/// What those get who lack a permission.
pub(super) fn denied(permission: &str) -> Answer {
    let message = format!("Permission '{permission}' denied on resource (or it may not exist).");
    let metadata = json!({ "permission": permission });
    error_because(403, &message, "IAM_PERMISSION_DENIED", "iam.googleapis.com", metadata)
}

/// Whose token came along: any that is good and may be used here.
fn caller(state: &State, request: &Request) -> Result<String, Answer> {
    let service = json!({ "service": "iamcredentials.googleapis.com" });
    let refused = |reason| {
        let message =
            "Request had invalid authentication credentials. Expected OAuth 2 access token.";
        error_because(401, message, reason, "googleapis.com", service.clone())
            .header("WWW-Authenticate", "Bearer realm=\"https://accounts.google.com/\"")
    };
    let token = request.bearer().ok_or_else(|| refused("CREDENTIALS_MISSING"))?;
    let ledger = lock(&state.ledger);
    let grant = ledger.access(token, state.now()).ok_or_else(|| refused("ACCESS_TOKEN_INVALID"))?;
    if !grant.scopes.iter().any(|scope| scope == CLOUD_PLATFORM || scope == IAM_SCOPE) {
        let message = "Request had insufficient authentication scopes.";
        let reason = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";
        return Err(error_because(403, message, reason, "googleapis.com", service));
    }
    // A boundary speaks of storage only, and what it does not speak of it forbids.
    match grant.boundary {
        None => Ok(grant.account.clone()),
        Some(_) => Err(denied("iam.serviceAccounts.getAccessToken")),
    }
}

/// The members of the body, without those that are null.
fn fields(request: &Request, known: &[&str]) -> Result<Map<String, Value>, Answer> {
    let wrong = |what: &str| error(400, &format!("Invalid JSON payload received. {what}"));
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(wrong("The content type must be application/json."));
    }
    let members =
        crate::json::object(&request.body).map_err(|what| wrong(&format!("The body {what}.")))?;
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(wrong(&format!("Unknown name \"{name}\": Cannot find field.")));
    }
    Ok(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// The accounts to go through, by their addresses.
fn delegates(fields: &Map<String, Value>) -> Result<Vec<String>, Answer> {
    let wrong =
        || error(400, "Invalid value at 'delegates': must be projects/-/serviceAccounts/EMAIL.");
    texts(fields, "delegates")?
        .into_iter()
        .map(|name| {
            let email = name.strip_prefix("projects/-/serviceAccounts/").ok_or_else(wrong)?;
            Some(email.to_owned()).filter(|email| !email.is_empty()).ok_or_else(wrong)
        })
        .collect()
}

fn texts<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Vec<&'a str>, Answer> {
    let wrong = || error(400, &format!("Invalid value at '{name}' (TYPE_STRING)"));
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The target, when each of the chain may act as the next.
fn permitted<'a>(
    caller: &str,
    delegates: &[String],
    target: &'a str,
    permission: &str,
) -> Result<&'a str, Answer> {
    let mut actor = caller;
    for next in delegates.iter().map(String::as_str).chain([target]) {
        match may_act(actor, next) {
            Some(true) => actor = next,
            Some(false) => return Err(denied(permission)),
            None => {
                return Err(error(
                    404,
                    &format!("Not found; no service account has the name {next}."),
                ));
            }
        }
    }
    Ok(target)
}

fn generate_access_token(
    state: &State,
    target: &str,
    fields: &Map<String, Value>,
) -> Result<Answer, Answer> {
    let scopes = texts(fields, "scope")?;
    if scopes.is_empty() {
        return Err(error(400, "Request must have at least one scope."));
    }
    if let Some(foreign) = scopes.iter().find(|scope| !is_scope(scope)) {
        return Err(error(400, &format!("Request contains an invalid scope: {foreign}")));
    }
    let life = lifetime(fields)?;
    let grant = Grant {
        account: target.to_owned(),
        client: cast::subject(target),
        scopes: scopes.into_iter().map(str::to_owned).collect(),
        expires_at: state.now() + life,
        family: None,
        boundary: None,
    };
    let end = super::rfc3339(grant.expires_at);
    let token = state.issue("ya29.c.c0", grant)?;
    Ok(Answer::json(200, &json!({ "accessToken": token, "expireTime": end })))
}

/// Digits and an `s` behind them.
fn lifetime(fields: &Map<String, Value>) -> Result<i64, Answer> {
    let wrong = |what: &str| error(400, &format!("Invalid value at 'lifetime': {what}"));
    let Some(value) = fields.get("lifetime") else { return Ok(LONGEST) };
    let digits = value.as_str().and_then(|text| text.strip_suffix('s'));
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(life @ 1..=LONGEST) => Ok(life),
        Some(1..=LONGEST_EVER) => {
            let message = "The lifetime is over 3600s, which needs the organization policy \
                           constraints/iam.allowServiceAccountCredentialLifetimeExtension.";
            let mut body = body(400, message);
            body["status"] = "FAILED_PRECONDITION".into();
            Err(Answer::json(400, &json!({ "error": body })))
        }
        Some(_) => Err(wrong("must be from 1s to 43200s")),
        None => Err(wrong("must be a duration such as 3600s")),
    }
}

/// An ID token for an audience, with the account's address if that is asked for.
fn generate_id_token(
    state: &State,
    target: &str,
    fields: &Map<String, Value>,
) -> Result<Answer, Answer> {
    let audience = fields.get("audience").and_then(Value::as_str).unwrap_or_default();
    if audience.is_empty() {
        return Err(error(400, "Request contains an invalid argument: audience is required."));
    }
    let email = match fields.get("includeEmail") {
        None => false,
        Some(Value::Bool(email)) => *email,
        Some(_) => return Err(error(400, "Invalid value at 'include_email' (TYPE_BOOL)")),
    };
    let mut extra = json!({ "azp": cast::subject(target) });
    if !email {
        for claim in ["email", "email_verified"] {
            extra[claim] = Value::Null;
        }
    }
    let token = state.identity_token(target, audience, extra)?;
    Ok(Answer::json(200, &json!({ "token": token })))
}

fn sign_jwt(state: &State, _: &str, fields: &Map<String, Value>) -> Result<Answer, Answer> {
    let wrong = |what: &str| error(400, &format!("Invalid value at 'payload': {what}"));
    let payload = fields.get("payload").and_then(Value::as_str);
    let payload = payload.ok_or_else(|| wrong("a JSON object as text is needed"))?;
    let claims = crate::json::object(payload.as_bytes()).map_err(|what| wrong(&what))?;
    match claims.get("exp").map(Value::as_i64) {
        Some(None) => return Err(wrong("exp is not a number")),
        Some(Some(end)) if end > state.now().saturating_add(LONGEST_JWT) => {
            return Err(wrong("exp is more than 12 hours ahead"));
        }
        _ => {}
    }
    let (_, id) = state.google.public()?;
    let signed = state.google.sign(&Value::Object(claims))?;
    Ok(Answer::json(200, &json!({ "keyId": id, "signedJwt": signed })))
}
