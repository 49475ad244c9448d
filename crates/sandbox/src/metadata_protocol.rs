//! The protocol of the metadata server: which requests it accepts, its tree of paths, and the format of its
//! responses.
//!
//! A [`MetadataBackend`] supplies the data. The formats follow what Compute Engine returns, and what google-auth,
//! google-auth-library and gcloud request.

use serde_json::{Map, Value, json};

use gauth_core::http::server::http::{ServerRequest, ServerResponse};
use gauth_core::text::secret::Secret;

/// The path prefix of the API.
const ROOT_PATH: &str = "/computeMetadata/v1";

/// Headers that a browser or a proxy adds; such requests get no tokens.
const FORBIDDEN_HEADERS: [&str; 4] = ["x-forwarded-for", "origin", "referer", "sec-fetch-site"];

/// The host names of a metadata server.
const HOST_NAMES: [&str; 4] = ["metadata.google.internal", "metadata.google.internal.", "metadata", "169.254.169.254"];

/// The metadata of a virtual machine, except for its service accounts.
#[derive(Debug, Clone)]
pub(crate) struct InstanceInfo {
    pub(crate) project_id: String,
    pub(crate) project_number: String,
    /// The zone, such as `us-central1-a`.
    pub(crate) zone: String,
    /// The universe domain, which is normally `googleapis.com`.
    pub(crate) universe_domain: String,
    /// The name of the instance.
    pub(crate) instance_name: String,
    /// The numeric id of the instance.
    pub(crate) instance_id: u64,
}

/// A service account attached to a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttachedServiceAccount {
    /// The email address of the service account.
    pub(crate) email: String,
    /// The scopes of its tokens when a request names none.
    pub(crate) scopes: Vec<String>,
}

/// The options of a request for an ID token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdTokenOptions {
    /// The audience, which is never empty.
    pub(crate) audience: String,
    /// Whether the token has claims about the instance (`format=full`).
    pub(crate) full_format: bool,
    /// Whether the token lists the licenses of the instance's images.
    pub(crate) licenses: bool,
}

/// The virtual machine that a metadata server describes.
pub(crate) trait MetadataBackend {
    /// The metadata of the instance.
    fn instance(&self) -> &InstanceInfo;

    /// The service accounts; the first one is the `default`.
    fn service_accounts(&self) -> &[AttachedServiceAccount];

    /// An access token and its remaining lifetime in seconds. An empty list of scopes stands for the account's own.
    ///
    /// # Errors
    /// The error response.
    fn access_token(
        &self,
        account: &AttachedServiceAccount,
        scopes: &[String],
    ) -> Result<(String, i64), ServerResponse>;

    /// An ID token of the service account.
    ///
    /// # Errors
    /// The error response.
    fn id_token(&self, account: &AttachedServiceAccount, options: &IdTokenOptions) -> Result<Secret, ServerResponse>;
}

/// Responds to a request for `/` or below `/computeMetadata`; `port` is the port that received it.
pub(crate) fn respond(backend: &dyn MetadataBackend, request: &ServerRequest, port: u16) -> ServerResponse {
    let answer = reject_request(request, port).unwrap_or_else(|| route_path(backend, request));
    answer.header("Metadata-Flavor", "Google").header("Server", "Metadata Server for VM")
}

/// Rejects requests that no client of a metadata server sends.
fn reject_request(request: &ServerRequest, port: u16) -> Option<ServerResponse> {
    if !is_served_host(request.header("host").unwrap_or_default(), port) {
        return Some(ServerResponse::text(403, "this server does not have that host name\n"));
    }
    for name in FORBIDDEN_HEADERS {
        if request.header(name).is_some() {
            return Some(ServerResponse::text(403, format!("requests with the header {name} are rejected\n")));
        }
    }
    if request.method != "GET" {
        return Some(ServerResponse::method_not_allowed("GET"));
    }
    let flavor = request.header("metadata-flavor");
    let wanted = request.path.starts_with("/computeMetadata");
    (wanted && flavor != Some("Google")).then(|| ServerResponse::text(403, "Missing Metadata-Flavor:Google header.\n"))
}

/// Whether the `Host` header names this server. Otherwise a web page could reach it through a name of its own that
/// resolves to 127.0.0.1 (DNS rebinding).
fn is_served_host(host: &str, port: u16) -> bool {
    let host = host.to_ascii_lowercase();
    let loopback_names = ["127.0.0.1", "localhost", "[::1]"];
    let matches = |name: &str, port: u16| host == format!("{name}:{port}");
    loopback_names.iter().any(|name| matches(name, port))
        || HOST_NAMES.iter().any(|name| host == *name || matches(name, 80) || matches(name, port))
        || (port == 80 && loopback_names.contains(&host.as_str()))
}

fn route_path(backend: &dyn MetadataBackend, request: &ServerRequest) -> ServerResponse {
    let path = match request.path.as_str() {
        "/" => return ServerResponse::text(200, "computeMetadata/\n"),
        "/computeMetadata" | "/computeMetadata/" => return ServerResponse::text(200, "v1/\n"),
        path => path.strip_prefix(ROOT_PATH),
    };
    let segments: Vec<&str> = match path {
        Some("") => Vec::new(),
        Some(path) if path.starts_with('/') => path.split('/').filter(|segment| !segment.is_empty()).collect(),
        _ => return not_found(),
    };
    if let ["instance", "service-accounts", name, what @ ("token" | "identity")] = segments[..] {
        return match find_service_account(backend, name) {
            Some(account) if what == "token" => access_token_response(backend, account, request),
            Some(account) => id_token_response(backend, account, request),
            None => not_found(),
        };
    }
    let tree = metadata_tree(backend);
    let node = segments.iter().try_fold(&tree, |node, segment| node.get(segment));
    let recursive = request.query("recursive").is_some_and(|yes| yes.eq_ignore_ascii_case("true"));
    match node {
        Some(node @ Value::Object(_)) if recursive => ServerResponse::json(200, &camel_case_keys(node)),
        Some(Value::Object(members)) => text(&directory_listing(members)),
        // Only directories may have a trailing slash.
        Some(_) if request.path.ends_with('/') => not_found(),
        Some(Value::Array(lines)) => text(&lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")),
        Some(Value::String(value)) => text(value),
        Some(value) => text(&value.to_string()),
        None => not_found(),
    }
}

fn text(text: &str) -> ServerResponse {
    as_metadata(ServerResponse::text(200, text))
}

/// The response with the media type that Compute Engine uses; clients only test for JSON.
fn as_metadata(response: ServerResponse) -> ServerResponse {
    response.header("Content-Type", "application/text")
}

fn not_found() -> ServerResponse {
    ServerResponse::text(404, "there is no metadata at this path\n")
}

fn find_service_account<'a>(backend: &'a dyn MetadataBackend, name: &str) -> Option<&'a AttachedServiceAccount> {
    match name {
        "default" => backend.service_accounts().first(),
        _ => backend.service_accounts().iter().find(|account| account.email == name),
    }
}

fn access_token_response(
    backend: &dyn MetadataBackend,
    account: &AttachedServiceAccount,
    request: &ServerRequest,
) -> ServerResponse {
    let scopes: Vec<String> = request
        .query("scopes")
        .unwrap_or_default()
        .split([',', ' '])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    match backend.access_token(account, &scopes) {
        Ok((token, left)) => {
            let value = json!({ "access_token": token, "expires_in": left, "token_type": "Bearer" });
            ServerResponse::json(200, &value).header("Content-Type", "application/json")
        }
        Err(answer) => answer,
    }
}

fn id_token_response(
    backend: &dyn MetadataBackend,
    account: &AttachedServiceAccount,
    request: &ServerRequest,
) -> ServerResponse {
    let Some(audience) = request.query("audience").filter(|audience| !audience.is_empty()) else {
        return ServerResponse::text(400, "non-empty audience parameter required\n");
    };
    let has_query_value =
        |name, wanted: &str| request.query(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    let full = has_query_value("format", "full");
    let options = IdTokenOptions {
        audience: audience.to_owned(),
        full_format: full,
        licenses: full && has_query_value("licenses", "true"),
    };
    match backend.id_token(account, &options) {
        Ok(token) => as_metadata(ServerResponse::secret(200, &token)),
        Err(answer) => answer,
    }
}

/// All metadata except tokens as one JSON value, in which directories are objects.
fn metadata_tree(backend: &dyn MetadataBackend) -> Value {
    let instance = backend.instance();
    let mut accounts = Map::new();
    for (index, account) in backend.service_accounts().iter().enumerate() {
        let aliases = if index == 0 { vec!["default"] } else { Vec::new() };
        let node = json!({ "aliases": aliases, "email": account.email, "scopes": account.scopes });
        if index == 0 {
            accounts.insert("default".to_owned(), node.clone());
        }
        accounts.insert(account.email.clone(), node);
    }
    json!({
        "instance": {
            "attributes": {},
            "id": instance.instance_id,
            "name": instance.instance_name,
            "hostname": format!("{}.{}.c.{}.internal", instance.instance_name, instance.zone, instance.project_id),
            "service-accounts": accounts,
            "zone": format!("projects/{}/zones/{}", instance.project_number, instance.zone),
        },
        "project": {
            "attributes": {},
            "numeric-project-id": instance.project_number,
            "project-id": instance.project_id,
        },
        "universe": { "universe-domain": instance.universe_domain },
    })
}

/// A directory listing: one name per line, directories with a slash.
fn directory_listing(members: &Map<String, Value>) -> String {
    let mut lines: Vec<String> =
        members.iter().map(|(name, value)| if value.is_object() { format!("{name}/") } else { name.clone() }).collect();
    if members.contains_key("aliases") {
        lines.extend(["identity".to_owned(), "token".to_owned()]);
        lines.sort();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Converts keys to camel case, as for `recursive=true`, but leaves email addresses unchanged.
fn camel_case_keys(node: &Value) -> Value {
    let Value::Object(members) = node else { return node.clone() };
    let renamed = |name: &str| match name.contains('@') {
        true => name.to_owned(),
        false => {
            let mut words = name.split('-');
            let first = words.next().unwrap_or_default().to_owned();
            words.fold(first, |name, word| {
                let (head, tail) = word.split_at(word.len().min(1));
                format!("{name}{}{tail}", head.to_ascii_uppercase())
            })
        }
    };
    members.iter().map(|(name, value)| (renamed(name), camel_case_keys(value))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct SampleBackend(InstanceInfo, Vec<AttachedServiceAccount>);

    impl MetadataBackend for SampleBackend {
        fn instance(&self) -> &InstanceInfo {
            &self.0
        }

        fn service_accounts(&self) -> &[AttachedServiceAccount] {
            &self.1
        }

        fn access_token(&self, _: &AttachedServiceAccount, scopes: &[String]) -> Result<(String, i64), ServerResponse> {
            Ok((format!("token {}", scopes.join("|")), 7))
        }

        fn id_token(
            &self,
            account: &AttachedServiceAccount,
            options: &IdTokenOptions,
        ) -> Result<Secret, ServerResponse> {
            let IdTokenOptions { audience, full_format, licenses } = options;
            Ok(Secret::new(format!("{} {audience} {full_format} {licenses}", account.email)))
        }
    }

    fn ask(target: &str, change: impl Fn(&mut ServerRequest)) -> (u16, String) {
        let facts = InstanceInfo {
            project_id: "p".to_owned(),
            project_number: "12".to_owned(),
            zone: "z".to_owned(),
            universe_domain: "googleapis.com".to_owned(),
            instance_name: "vm".to_owned(),
            instance_id: 3,
        };
        let named = |email: &str| AttachedServiceAccount {
            email: email.to_owned(),
            scopes: vec!["s1".to_owned(), "s2".to_owned()],
        };
        let machine = SampleBackend(facts, vec![named("a-b@c-d.example"), named("other@c.example")]);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = ServerRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: gauth_core::http::server::http::parse_form(query.as_bytes()),
            headers: [("host", "127.0.0.1:80"), ("metadata-flavor", "Google")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: Vec::new(),
            peer: None,
            client_certificate: None,
        };
        change(&mut request);
        let answer = respond(&machine, &request, 80);
        let flavor = ("Metadata-Flavor", "Google".into());
        assert!(answer.headers.contains(&flavor), "{target}");
        (answer.status, String::from_utf8(answer.body).expect("text"))
    }

    #[test]
    fn every_path_that_clients_use_is_there() {
        let account = r#"{"aliases":["default"],"email":"a-b@c-d.example","scopes":["s1","s2"]}"#;
        for (path, body) in [
            ("", "instance/\nproject/\nuniverse/\n"),
            ("/instance/service-accounts/", "a-b@c-d.example/\ndefault/\nother@c.example/\n"),
            ("/instance/service-accounts/default/", "aliases\nemail\nidentity\nscopes\ntoken\n"),
            ("/instance/service-accounts/default/?recursive=true", account),
            ("/instance/service-accounts/default/email", "a-b@c-d.example"),
            ("/instance/service-accounts/other@c.example/email", "other@c.example"),
            ("/instance/service-accounts/default/scopes", "s1\ns2"),
            (
                "/instance/service-accounts/default/token?scopes=a,b",
                r#"{"access_token":"token a|b","expires_in":7,"token_type":"Bearer"}"#,
            ),
            (
                "/instance/service-accounts/default/identity?audience=x&format=full&licenses=TRUE",
                "a-b@c-d.example x true true",
            ),
            ("/instance/zone", "projects/12/zones/z"),
            ("/instance/id", "3"),
            ("/project/project-id", "p"),
            ("/project/numeric-project-id", "12"),
            ("/project/?recursive=true", r#"{"attributes":{},"numericProjectId":"12","projectId":"p"}"#),
            ("/universe/universe-domain", "googleapis.com"),
        ] {
            assert_eq!(ask(&format!("{ROOT_PATH}{path}"), |_| ()), (200, body.to_owned()), "{path}");
        }
        assert_eq!(ask("/", |_| ()).0, 200);
        assert_eq!(ask(&format!("{ROOT_PATH}/instance"), |_| ()).0, 200);
        let all = ask(&format!("{ROOT_PATH}/?recursive=true"), |_| ()).1;
        assert!(all.contains(r#""serviceAccounts":{"a-b@c-d.example":"#), "{all}");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "/computeMetadata/v2/",
            "/computeMetadata/v1x",
            "/computeMetadata/v1/instance/zone/",
            "/computeMetadata/v1/instance/service-accounts/nobody@c.example/token",
            "/computeMetadata/v1/instance/zone/x",
        ] {
            assert_eq!(ask(path, |_| ()).0, 404, "{path}");
        }
        let nameless = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=";
        assert_eq!(ask(nameless, |_| ()).0, 400);
    }

    #[test]
    fn browsers_proxies_and_foreign_hosts_are_refused() {
        let path = "/computeMetadata/v1/project/project-id";
        for name in FORBIDDEN_HEADERS {
            let with = |request: &mut ServerRequest| {
                request.headers.push((name.to_owned(), "x".to_owned()));
            };
            assert_eq!(ask(path, with).0, 403, "{name}");
        }
        assert_eq!(ask(path, |request| request.headers.truncate(1)).0, 403);
        assert_eq!(ask("/", |request| request.headers.truncate(1)).0, 200);
        assert_eq!(ask(path, |request| request.method = "POST".to_owned()).0, 405);
        for (host, status) in [
            ("evil.example", 403),
            ("127.0.0.1:81", 403),
            ("localhost:80", 200),
            ("metadata.google.internal", 200),
            ("169.254.169.254", 200),
            ("", 403),
        ] {
            let from = |request: &mut ServerRequest| request.headers[0].1 = host.to_owned();
            assert_eq!(ask(path, from).0, status, "{host}");
        }
    }
}
