//! Reading the JSON body of a request.

use serde_json::{Map, Value};

use gauth_core::http::server::http::ServerRequest;
use gauth_core::text::json;

/// The members of a JSON object in the body.
///
/// # Errors
/// A sentence that says why the body was not accepted.
pub(crate) fn read_json_object(request: &ServerRequest) -> Result<Map<String, Value>, String> {
    let content_type = request.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err("The content type must be application/json.".to_owned());
    }
    json::parse_object(&request.body).map_err(|what| format!("The body {what}."))
}
