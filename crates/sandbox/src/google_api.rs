//! What Google's JSON APIs have in common: the errors of `google.rpc.Status`, and the fields of a request.

use serde_json::{Map, Value, json};

use gauth_core::http::server::http::ServerResponse;

/// An error response in the format of Google's APIs.
pub(crate) fn api_error(code: u16, message: &str) -> ServerResponse {
    ServerResponse::json(code, &json!({ "error": error_body(code, message) }))
}

pub(crate) fn error_body(code: u16, message: &str) -> Value {
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

/// An error response with a reason (`google.rpc.ErrorInfo`).
pub(crate) fn error_with_reason(
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

/// The error response for a caller who lacks an IAM permission.
pub(crate) fn permission_denied(permission: &str) -> ServerResponse {
    let message = format!("Permission '{permission}' denied on resource (or it may not exist).");
    let metadata = json!({ "permission": permission });
    error_with_reason(403, &message, "IAM_PERMISSION_DENIED", "iam.googleapis.com", metadata)
}

pub(crate) fn string_list<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Vec<&'a str>, ServerResponse> {
    let invalid = || api_error(400, &format!("Invalid value at '{name}' (TYPE_STRING)"));
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().ok_or_else(invalid)).collect(),
        Some(_) => Err(invalid()),
    }
}
