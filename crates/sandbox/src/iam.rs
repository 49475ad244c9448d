//! The IAM Credentials API: callers who may impersonate a service account get tokens of it, or have JWTs signed.

use serde_json::{Map, Value, json};

use crate::fixtures;
use crate::fixtures::{
    CLOUD_PLATFORM_SCOPE, DELEGATE_ACCOUNT, DELEGATION_TARGET_ACCOUNT, DEPLOYER_ACCOUNT, FORBIDDEN_ACCOUNT,
};
use crate::google_api::{api_error, error_body, error_with_reason, permission_denied, string_list};
use crate::json_body::read_json_object;
use crate::oauth::is_google_scope;
use crate::state::SandboxState;
use crate::timestamp::rfc3339;
use crate::token_store::AccessTokenRecord;
use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::http::server::lock_ignoring_poison;
use gauth_core::text::json;

/// The path prefix of the API.
pub(crate) const PATH_PREFIX: &str = "/v1/projects/-/serviceAccounts/";
/// The narrower scope that is sufficient in place of cloud-platform.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";
/// The longest lifetime of an access token without an organization policy, in seconds.
const MAX_LIFETIME_SECONDS: i64 = 3600;
/// The longest lifetime of an access token with an organization policy, in seconds.
const MAX_EXTENDED_LIFETIME_SECONDS: i64 = 43_200;
/// The longest lifetime of a signed JWT, in seconds.
const MAX_JWT_LIFETIME_SECONDS: i64 = 12 * 3600;

/// A method of the API: its name, the permission it requires, the fields it accepts, and its handler.
struct IamMethod {
    name: &'static str,
    permission: &'static str,
    fields: &'static [&'static str],
    handler: IamMethodHandler,
}

/// A handler gets the target service account and the fields of the request.
type IamMethodHandler = fn(&SandboxState, &str, &Map<String, Value>) -> Result<ServerResponse, ServerResponse>;

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

/// Whether `caller` may impersonate `target`; `None` if there is no such service account.
fn can_impersonate(caller: &str, target: &str) -> Option<bool> {
    match target {
        DEPLOYER_ACCOUNT | DELEGATE_ACCOUNT => Some(true),
        DELEGATION_TARGET_ACCOUNT => Some(caller == DELEGATE_ACCOUNT),
        FORBIDDEN_ACCOUNT => Some(false),
        _ => None,
    }
}

/// Serves `POST /v1/projects/-/serviceAccounts/EMAIL:METHOD`.
pub(crate) fn handle(state: &SandboxState, request: &ServerRequest) -> ServerResponse {
    try_handle(state, request).unwrap_or_else(|refusal| refusal)
}

fn try_handle(state: &SandboxState, request: &ServerRequest) -> Result<ServerResponse, ServerResponse> {
    let name = request.path.strip_prefix(PATH_PREFIX).unwrap_or_default();
    let method = name
        .rsplit_once(':')
        .and_then(|(account, name)| Some((account, METHODS.iter().find(|method| method.name == name)?)));
    let Some((account, method)) = method.filter(|_| request.method == "POST") else {
        return Err(api_error(404, "The requested URL was not found on this server."));
    };
    let caller = authenticate_caller(state, request)?;
    let fields = request_fields(request, method.fields)?;
    let target = resolve_target(&caller, &parse_delegates(&fields)?, account, method.permission)?;
    (method.handler)(state, target, &fields)
}

/// The account of the bearer token, if the token is valid and has a sufficient scope.
fn authenticate_caller(state: &SandboxState, request: &ServerRequest) -> Result<String, ServerResponse> {
    let service = json!({ "service": "iamcredentials.googleapis.com" });
    let unauthenticated = |reason| {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
        error_with_reason(401, message, reason, "googleapis.com", service.clone())
            .header("WWW-Authenticate", "Bearer realm=\"https://accounts.google.com/\"")
    };
    let token = request.bearer_token().ok_or_else(|| unauthenticated("CREDENTIALS_MISSING"))?;
    let token_store = lock_ignoring_poison(&state.token_store);
    let record =
        token_store.find_access_token(token, state.now()).ok_or_else(|| unauthenticated("ACCESS_TOKEN_INVALID"))?;
    if !record.scopes.iter().any(|scope| scope == CLOUD_PLATFORM_SCOPE || scope == IAM_SCOPE) {
        let message = "Request had insufficient authentication scopes.";
        let reason = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";
        return Err(error_with_reason(403, message, reason, "googleapis.com", service));
    }
    // Access boundaries only grant access to Cloud Storage.
    match record.access_boundary {
        None => Ok(record.account.clone()),
        Some(_) => Err(permission_denied("iam.serviceAccounts.getAccessToken")),
    }
}

/// The fields of the request, without those that are null.
fn request_fields(request: &ServerRequest, allowed: &[&str]) -> Result<Map<String, Value>, ServerResponse> {
    let invalid = |what: &str| api_error(400, &format!("Invalid JSON payload received. {what}"));
    let members = read_json_object(request).map_err(|what| invalid(&what))?;
    if let Some(name) = members.keys().find(|name| !allowed.contains(&name.as_str())) {
        return Err(invalid(&format!("Unknown name \"{name}\": Cannot find field.")));
    }
    Ok(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// The email addresses of the delegation chain.
fn parse_delegates(fields: &Map<String, Value>) -> Result<Vec<String>, ServerResponse> {
    let invalid = || api_error(400, "Invalid value at 'delegates': must be projects/-/serviceAccounts/EMAIL.");
    string_list(fields, "delegates")?
        .into_iter()
        .map(|name| {
            let email = name.strip_prefix("projects/-/serviceAccounts/").ok_or_else(invalid)?;
            Some(email.to_owned()).filter(|email| !email.is_empty()).ok_or_else(invalid)
        })
        .collect()
}

/// The target, if each account of the chain may impersonate the next one.
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
                return Err(api_error(404, &format!("Not found; no service account has the name {next}.")));
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
    let expire_time = rfc3339(record.expires_at);
    let token = state.issue_access_token("ya29.c.c0", record)?;
    Ok(ServerResponse::json(200, &json!({ "accessToken": token, "expireTime": expire_time })))
}

/// Parses a duration: digits, followed by `s`.
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

/// Generates an ID token for an audience, with the email claims if they are requested.
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
    Ok(ServerResponse::json(200, &json!({ "token": token.to_json() })))
}

fn sign_jwt(state: &SandboxState, _: &str, fields: &Map<String, Value>) -> Result<ServerResponse, ServerResponse> {
    let invalid = |what: &str| api_error(400, &format!("Invalid value at 'payload': {what}"));
    let payload = fields.get("payload").and_then(Value::as_str);
    let payload = payload.ok_or_else(|| invalid("must be a JSON object as a string"))?;
    let claims = json::parse_object(payload.as_bytes()).map_err(|what| invalid(&what))?;
    match claims.get("exp").map(Value::as_i64) {
        Some(None) => return Err(invalid("exp is not a number")),
        Some(Some(end)) if end > state.now().saturating_add(MAX_JWT_LIFETIME_SECONDS) => {
            return Err(invalid("exp is more than 12 hours in the future"));
        }
        _ => {}
    }
    let (_, id) = state.google_signing_key.public_key()?;
    let signed_jwt = state.google_signing_key.sign(&Value::Object(claims))?;
    Ok(ServerResponse::json(200, &json!({ "keyId": id, "signedJwt": signed_jwt.to_json() })))
}
