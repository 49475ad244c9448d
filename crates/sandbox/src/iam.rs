//! IAM Credentials: who may act as a service account gets its tokens, or has it sign.

use serde_json::{Map, Value, json};

use crate::SandboxState;
use crate::fixtures;
use crate::fixtures::{
    DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT, DEPLOYER_ACCOUNT, FORBIDDEN_ACCOUNT,
};
use crate::oauth::is_google_scope;
use crate::token_store::AccessTokenRecord;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;

/// Everything here lives below this path.
pub(super) const PATH_PREFIX: &str = "/v1/projects/-/serviceAccounts/";
/// The scope that is enough, beside that of the whole platform.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";
/// The longest life of a token where no policy of the organization allows more, in seconds.
const MAX_LIFETIME_SECONDS: i64 = 3600;
/// The longest life such a policy may allow, in seconds.
const MAX_EXTENDED_LIFETIME_SECONDS: i64 = 43_200;
/// The longest life of a JWT signed here, in seconds.
const MAX_JWT_LIFETIME_SECONDS: i64 = 12 * 3600;

/// A method of a service account: its name, the permission it needs, its fields, and what does it.
struct IamMethod {
    name: &'static str,
    permission: &'static str,
    fields: &'static [&'static str],
    handler: IamMethodHandler,
}

/// What a method does for the account it is called on.
type IamMethodHandler =
    fn(&SandboxState, &str, &Map<String, Value>) -> Result<ServerResponse, ServerResponse>;

const METHODS: &[IamMethod] = &[
    IamMethod {
        name: "generateAccessToken",
        permission: "iam.serviceAccounts.getAccessToken",
        fields: &["scope", "lifetime", "delegates"],
        handler: generate_access_token,
    },
    IamMethod {
        name: "generateIdToken",
        permission: "iam.serviceAccounts.getOpenIdToken",
        fields: &["audience", "includeEmail", "delegates", "organizationNumberIncluded"],
        handler: generate_id_token,
    },
    IamMethod {
        name: "signJwt",
        permission: "iam.serviceAccounts.signJwt",
        fields: &["payload", "delegates"],
        handler: sign_jwt,
    },
];

/// Whether somebody may be let act as this account.
pub(super) fn is_impersonable(email: &str) -> bool {
    [DEPLOYER_ACCOUNT, DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT].contains(&email)
}

/// Whether `caller` may act as `target`; `None` when there is no such account.
fn can_impersonate(caller: &str, target: &str) -> Option<bool> {
    match target {
        DEPLOYER_ACCOUNT | DELEGATE_ACCOUNT => Some(true),
        DELEGATION_TARGET_ACCOUNT => Some(caller == DELEGATE_ACCOUNT),
        FORBIDDEN_ACCOUNT => Some(false),
        _ => None,
    }
}

/// Answers `POST /v1/projects/-/serviceAccounts/EMAIL:METHOD`.
pub(super) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    try_handle(state, request).unwrap_or_else(|refusal| refusal)
}

fn try_handle(
    state: &SandboxState,
    request: &ServerRequest,
) -> Result<ServerResponse, ServerResponse> {
    let name = request.path.strip_prefix(PATH_PREFIX).unwrap_or_default();
    let method = name.rsplit_once(':').and_then(|(account, name)| {
        Some((account, METHODS.iter().find(|method| method.name == name)?))
    });
    let Some((account, method)) = method.filter(|_| request.method == "POST") else {
        return Err(api_error(404, "The requested URL was not found on this server."));
    };
    let caller = authenticate_caller(state, request)?;
    let fields = request_fields(request, method.fields)?;
    let target = resolve_target(&caller, &parse_delegates(&fields)?, account, method.permission)?;
    (method.handler)(state, target, &fields)
}

/// An error as Google's APIs have it.
pub(super) fn api_error(code: u16, message: &str) -> ServerResponse {
    ServerResponse::json(code, &json!({ "error": error_body(code, message) }))
}

fn error_body(code: u16, message: &str) -> Value {
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
fn error_with_reason(
    code: u16,
    message: &str,
    reason: &str,
    domain: &str,
    metadata: Value,
) -> ServerResponse {
    let mut body = error_body(code, message);
    body["details"] = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }]);
    ServerResponse::json(code, &json!({ "error": body }))
}

/// What those get who lack a permission.
pub(super) fn permission_denied(permission: &str) -> ServerResponse {
    let message = format!("Permission '{permission}' denied on resource (or it may not exist).");
    let metadata = json!({ "permission": permission });
    error_with_reason(403, &message, "IAM_PERMISSION_DENIED", "iam.googleapis.com", metadata)
}

/// Whose token came along: any that is good and may be used here.
fn authenticate_caller(
    state: &SandboxState,
    request: &ServerRequest,
) -> Result<String, ServerResponse> {
    let service = json!({ "service": "iamcredentials.googleapis.com" });
    let unauthenticated = |reason| {
        let message =
            "Request had invalid authentication credentials. Expected OAuth 2 access token.";
        error_with_reason(401, message, reason, "googleapis.com", service.clone())
            .header("WWW-Authenticate", "Bearer realm=\"https://accounts.google.com/\"")
    };
    let token = request.bearer_token().ok_or_else(|| unauthenticated("CREDENTIALS_MISSING"))?;
    let token_store = lock_ignoring_poison(&state.token_store);
    let record = token_store
        .find_access_token(token, state.now())
        .ok_or_else(|| unauthenticated("ACCESS_TOKEN_INVALID"))?;
    if !record.scopes.iter().any(|scope| scope == CLOUD_PLATFORM_SCOPE || scope == IAM_SCOPE) {
        let message = "Request had insufficient authentication scopes.";
        let reason = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";
        return Err(error_with_reason(403, message, reason, "googleapis.com", service));
    }
    // A boundary speaks of storage only, and what it does not speak of it forbids.
    match record.access_boundary {
        None => Ok(record.account.clone()),
        Some(_) => Err(permission_denied("iam.serviceAccounts.getAccessToken")),
    }
}

/// The members of the body, without those that are null.
fn request_fields(
    request: &ServerRequest,
    allowed: &[&str],
) -> Result<Map<String, Value>, ServerResponse> {
    let invalid = |what: &str| api_error(400, &format!("Invalid JSON payload received. {what}"));
    let content_type = request.header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if !content_type.eq_ignore_ascii_case("application/json") {
        return Err(invalid("The content type must be application/json."));
    }
    let members = gauth_core::text::json::parse_object(&request.body)
        .map_err(|what| invalid(&format!("The body {what}.")))?;
    if let Some(name) = members.keys().find(|name| !allowed.contains(&name.as_str())) {
        return Err(invalid(&format!("Unknown name \"{name}\": Cannot find field.")));
    }
    Ok(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// The accounts to go through, by their addresses.
fn parse_delegates(fields: &Map<String, Value>) -> Result<Vec<String>, ServerResponse> {
    let invalid = || {
        api_error(400, "Invalid value at 'delegates': must be projects/-/serviceAccounts/EMAIL.")
    };
    string_list(fields, "delegates")?
        .into_iter()
        .map(|name| {
            let email = name.strip_prefix("projects/-/serviceAccounts/").ok_or_else(invalid)?;
            Some(email.to_owned()).filter(|email| !email.is_empty()).ok_or_else(invalid)
        })
        .collect()
}

fn string_list<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Vec<&'a str>, ServerResponse> {
    let invalid = || api_error(400, &format!("Invalid value at '{name}' (TYPE_STRING)"));
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or_else(invalid)).collect()
        }
        Some(_) => Err(invalid()),
    }
}

/// The target, when each of the chain may act as the next.
fn resolve_target<'a>(
    caller: &str,
    delegates: &[String],
    target: &'a str,
    permission: &str,
) -> Result<&'a str, ServerResponse> {
    let mut actor = caller;
    for next in delegates.iter().map(String::as_str).chain([target]) {
        match can_impersonate(actor, next) {
            Some(true) => actor = next,
            Some(false) => return Err(permission_denied(permission)),
            None => {
                return Err(api_error(
                    404,
                    &format!("Not found; no service account has the name {next}."),
                ));
            }
        }
    }
    Ok(target)
}

fn generate_access_token(
    state: &SandboxState,
    target: &str,
    fields: &Map<String, Value>,
) -> Result<ServerResponse, ServerResponse> {
    let scopes = string_list(fields, "scope")?;
    if scopes.is_empty() {
        return Err(api_error(400, "Request must have at least one scope."));
    }
    if let Some(invalid_scope) = scopes.iter().find(|scope| !is_google_scope(scope)) {
        return Err(api_error(400, &format!("Request contains an invalid scope: {invalid_scope}")));
    }
    let lifetime = parse_lifetime(fields)?;
    let record = AccessTokenRecord {
        account: target.to_owned(),
        client_id: fixtures::subject_id(target),
        scopes: scopes.into_iter().map(str::to_owned).collect(),
        expires_at: state.now() + lifetime,
        family: None,
        access_boundary: None,
    };
    let expire_time = super::rfc3339(record.expires_at);
    let token = state.issue_access_token("ya29.c.c0", record)?;
    Ok(ServerResponse::json(200, &json!({ "accessToken": token, "expireTime": expire_time })))
}

/// Digits and an `s` behind them.
fn parse_lifetime(fields: &Map<String, Value>) -> Result<i64, ServerResponse> {
    let invalid = |what: &str| api_error(400, &format!("Invalid value at 'lifetime': {what}"));
    let Some(value) = fields.get("lifetime") else { return Ok(MAX_LIFETIME_SECONDS) };
    let digits = value.as_str().and_then(|text| text.strip_suffix('s'));
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(life @ 1..=MAX_LIFETIME_SECONDS) => Ok(life),
        Some(1..=MAX_EXTENDED_LIFETIME_SECONDS) => {
            let message = "The lifetime is over 3600s, which needs the organization policy \
                           constraints/iam.allowServiceAccountCredentialLifetimeExtension.";
            let mut body = error_body(400, message);
            body["status"] = "FAILED_PRECONDITION".into();
            Err(ServerResponse::json(400, &json!({ "error": body })))
        }
        Some(_) => Err(invalid("must be from 1s to 43200s")),
        None => Err(invalid("must be a duration such as 3600s")),
    }
}

/// An ID token for an audience, with the account's address if that is asked for.
fn generate_id_token(
    state: &SandboxState,
    target: &str,
    fields: &Map<String, Value>,
) -> Result<ServerResponse, ServerResponse> {
    let audience = fields.get("audience").and_then(Value::as_str).unwrap_or_default();
    if audience.is_empty() {
        return Err(api_error(400, "Request contains an invalid argument: audience is required."));
    }
    let include_email = match fields.get("includeEmail") {
        None => false,
        Some(Value::Bool(email)) => *email,
        Some(_) => return Err(api_error(400, "Invalid value at 'include_email' (TYPE_BOOL)")),
    };
    let mut extra_claims = json!({ "azp": fixtures::subject_id(target) });
    if !include_email {
        for claim in ["email", "email_verified"] {
            extra_claims[claim] = Value::Null;
        }
    }
    let token = state.issue_id_token(target, audience, extra_claims)?;
    Ok(ServerResponse::json(200, &json!({ "token": token })))
}

fn sign_jwt(
    state: &SandboxState,
    _: &str,
    fields: &Map<String, Value>,
) -> Result<ServerResponse, ServerResponse> {
    let invalid = |what: &str| api_error(400, &format!("Invalid value at 'payload': {what}"));
    let payload = fields.get("payload").and_then(Value::as_str);
    let payload = payload.ok_or_else(|| invalid("a JSON object as text is needed"))?;
    let claims =
        gauth_core::text::json::parse_object(payload.as_bytes()).map_err(|what| invalid(&what))?;
    match claims.get("exp").map(Value::as_i64) {
        Some(None) => return Err(invalid("exp is not a number")),
        Some(Some(end)) if end > state.now().saturating_add(MAX_JWT_LIFETIME_SECONDS) => {
            return Err(invalid("exp is more than 12 hours ahead"));
        }
        _ => {}
    }
    let (_, id) = state.google_signing_key.public_key()?;
    let signed_jwt = state.google_signing_key.sign(&Value::Object(claims))?;
    Ok(ServerResponse::json(200, &json!({ "keyId": id, "signedJwt": signed_jwt })))
}
