//! STS: every subject token, and every reason to refuse one.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth::server::sandbox::Running;
use gauth::server::sandbox::cast::{CLIENT_ID, USER, WORKFORCE_PROVIDER, WORKLOAD_PROVIDER};
use gauth::server::sandbox::outside::{AWS_ARN, WORKLOAD_SUBJECT};
use gauth::sigv4::{self, Keys};
use gauth::token::CLOUD_PLATFORM;
use gauth::url::Url;
use serde_json::{Value, json};

use super::{FORM, NOW, Reply, ask, basic, bearer, encoded, form, get, refresh, sandbox, text};

pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const AWS4: &str = "urn:ietf:params:aws:token-type:aws4_request";
const MTLS: &str = "urn:ietf:params:oauth:token-type:mtls";

/// The parameters of an exchange: those of a good one, with these in their place or, empty, left out.
fn fields(token: &str, changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("grant_type", EXCHANGE),
        ("audience", WORKLOAD_PROVIDER),
        ("scope", CLOUD_PLATFORM),
        ("requested_token_type", ACCESS),
        ("subject_token", token),
        ("subject_token_type", JWT),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    fields.retain(|(_, value)| !value.is_empty());
    encoded(&fields)
}

fn exchange(sandbox: &Running, token: &str, changes: &[(&str, &str)]) -> Reply {
    ask(sandbox, "POST", "/v1/token", FORM, &fields(token, changes))
}

fn workload(sandbox: &Running) -> String {
    let token = sandbox.cast().outside.workload_token(WORKLOAD_PROVIDER, NOW).unwrap();
    token.expose().to_owned()
}

/// Refused with this status and code, in words with these among them.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, words: &str) {
    let answer = reply.json();
    assert_eq!((reply.status, text(&answer, "error")), (status, code), "{answer}");
    assert!(text(&answer, "error_description").contains(words), "{words}: {answer}");
}

/// What introspection says of a token.
pub(super) fn introspected(sandbox: &Running, token: &str) -> Value {
    form(sandbox, "/v1/introspect", &[("token", token)]).json()
}

fn workload_principal(subject: &str) -> String {
    let pool = WORKLOAD_PROVIDER.split("/providers/").next().unwrap();
    format!("principal:{pool}/subject/{subject}")
}

#[test]
fn an_oidc_token_becomes_a_principals_access_token() {
    let (sandbox, clock) = sandbox(&[]);
    for (kind, audience) in [
        (JWT, WORKLOAD_PROVIDER.to_owned()),
        (ID_TOKEN, WORKLOAD_PROVIDER.to_owned()),
        (JWT, format!("https:{WORKLOAD_PROVIDER}")),
    ] {
        let token = sandbox.cast().outside.workload_token(&audience, NOW).unwrap();
        let reply = exchange(&sandbox, token.expose(), &[("subject_token_type", kind)]);
        assert_eq!(reply.status, 200, "{}", reply.json());
        let issued = reply.json();
        assert!(text(&issued, "access_token").starts_with("ya29.d."), "{issued}");
        assert_eq!(
            (text(&issued, "issued_token_type"), text(&issued, "token_type")),
            (ACCESS, "Bearer")
        );
        assert_eq!(issued["expires_in"], 3599);
        let told = introspected(&sandbox, text(&issued, "access_token"));
        assert_eq!((told["active"].as_bool(), text(&told, "scope")), (Some(true), CLOUD_PLATFORM));
        assert_eq!(text(&told, "username"), workload_principal(WORKLOAD_SUBJECT));
        let token = text(&issued, "access_token");
        assert_eq!(get(&sandbox, &format!("/tokeninfo?access_token={token}")).status, 400);
        assert_eq!(ask(&sandbox, "GET", "/v1/userinfo", &bearer(token), "").status, 401);
        clock.0.fetch_add(3600, Ordering::Relaxed);
        assert_eq!(introspected(&sandbox, token)["active"], false);
        clock.0.store(NOW, Ordering::Relaxed);
    }
    assert_eq!(sandbox.count("sts"), 3);
}

#[test]
fn each_parameter_of_an_exchange_is_checked() {
    let (sandbox, _) = sandbox(&[]);
    let token = workload(&sandbox);
    let long = json!({ "userProject": "x".repeat(33) }).to_string();
    for (changes, code, words) in [
        (&[("grant_type", "")][..], "invalid_request", "grant_type"),
        (&[("grant_type", "password")], "unsupported_grant_type", "password"),
        (&[("requested_token_type", "")], "invalid_request", "requested_token_type"),
        (&[("requested_token_type", ID_TOKEN)], "invalid_request", "requested_token_type"),
        (&[("subject_token", "")], "invalid_request", "subject_token"),
        (&[("subject_token_type", "")], "invalid_request", "subject_token_type"),
        (&[("subject_token_type", "jwt")], "invalid_request", "subject_token_type: jwt"),
        (&[("audience", "")], "invalid_request", "audience"),
        (&[("audience", "//iam.googleapis.com/x")], "invalid_target", "audience"),
        (&[("audience", WORKFORCE_PROVIDER)], "invalid_grant", "audience in ID Token"),
        (&[("scope", "")], "invalid_request", "scope"),
        (&[("scope", "cloud-platform")], "invalid_scope", "Invalid OAuth scope"),
        (&[("options", "x")], "invalid_request", "Invalid options"),
        (&[("options", "[]")], "invalid_request", "not an object"),
        (&[("options", r#"{"x":1}"#)], "invalid_request", "unknown name x"),
        (&[("options", r#"{"bindCertFingerprint":"x"}"#)], "invalid_request", "bindCert"),
        (&[("options", r#"{"userProject":"p"}"#)], "invalid_request", "workforce"),
        (&[("options", r#"{"accessBoundary":{}}"#)], "invalid_request", "access tokens"),
        (
            &[("audience", WORKFORCE_PROVIDER), ("options", &long)],
            "invalid_request",
            "Invalid options: userProject",
        ),
        (&[("actor_token", &token)], "invalid_request", "come together"),
        (&[("actor_token_type", JWT)], "invalid_request", "come together"),
        (
            &[("actor_token", &token), ("actor_token_type", SAML2)],
            "invalid_request",
            "actor_token_type",
        ),
        (&[("actor_token", "a.b.c"), ("actor_token_type", JWT)], "invalid_grant", "ID Token"),
        (
            &[("audience", WORKFORCE_PROVIDER), ("subject_token_type", AWS4)],
            "invalid_grant",
            "of this type",
        ),
        (&[("subject_token_type", MTLS)], "invalid_request", "mTLS"),
    ] {
        refused(&exchange(&sandbox, &token, changes), 400, code, words);
    }
    let twice = format!("{}&scope=x", fields(&token, &[]));
    refused(&ask(&sandbox, "POST", "/v1/token", FORM, &twice), 400, "invalid_request", "single");
    let json = "Content-Type: application/json\r\n";
    let reply = ask(&sandbox, "POST", "/v1/token", json, "{}");
    refused(&reply, 400, "invalid_request", "content type");
    let with_bearer = format!("{FORM}{}", bearer("ya29.x"));
    let reply = ask(&sandbox, "POST", "/v1/token", &with_bearer, &fields(&token, &[]));
    refused(&reply, 401, "invalid_client", "bearer");
    let secret = sandbox.cast().client_secret.expose();
    let with_client = format!("{FORM}{}", basic(CLIENT_ID, secret));
    let reply = ask(&sandbox, "POST", "/v1/token", &with_client, &fields(&token, &[]));
    refused(&reply, 400, "invalid_request", "no OAuth clients");
    assert_eq!(ask(&sandbox, "GET", "/v1/token", "", "").status, 405);
    let good = [("actor_token", token.as_str()), ("actor_token_type", ID_TOKEN)];
    assert_eq!(exchange(&sandbox, &token, &good).status, 200);
}

#[test]
fn each_claim_of_a_subject_token_is_checked() {
    let (sandbox, _) = sandbox(&[]);
    let outside = &sandbox.cast().outside;
    let good = json!({
        "iss": outside.issuer, "sub": "s", "aud": WORKLOAD_PROVIDER, "iat": NOW, "exp": NOW + 60,
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        outside.sign(&claims).unwrap().expose().to_owned()
    };
    for (name, value) in [
        ("aud", json!(["https://x.example", WORKLOAD_PROVIDER])),
        ("iat", json!(NOW - 86_400)),
        ("exp", json!(NOW + 1)),
        ("sub", json!("other")),
    ] {
        assert_eq!(exchange(&sandbox, &with(name, value), &[]).status, 200, "{name}");
    }
    for (name, value, words) in [
        ("iss", json!("https://accounts.google.com"), "issuer"),
        ("iss", Value::Null, "issuer"),
        ("aud", json!("https://x.example"), "audience"),
        ("aud", json!(["https://x.example"]), "audience"),
        ("aud", json!(format!("http:{WORKLOAD_PROVIDER}")), "audience"),
        ("aud", Value::Null, "audience"),
        ("iat", json!(NOW + 1), "not valid yet"),
        ("iat", json!(NOW - 86_401), "stale"),
        ("iat", Value::Null, "iat and exp"),
        ("exp", json!(NOW), "stale"),
        ("exp", json!("soon"), "iat and exp"),
        ("sub", json!(""), "no subject"),
    ] {
        refused(&exchange(&sandbox, &with(name, value), &[]), 400, "invalid_grant", words);
    }
    let token = workload(&sandbox);
    let signature = token.rsplit('.').next().unwrap();
    let other = with("sub", json!("admin"));
    let message = other.rsplit_once('.').unwrap().0;
    let unsigned = [json!({ "alg": "none", "typ": "JWT" }), good]
        .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
        .join(".");
    for forged in [format!("{message}.{signature}"), format!("{unsigned}.")] {
        refused(&exchange(&sandbox, &forged, &[]), 400, "invalid_grant", "signature");
    }
    for torn in ["x", "a.b", "a.b.c"] {
        refused(&exchange(&sandbox, torn, &[]), 400, "invalid_grant", "cannot be read");
    }
}

#[test]
fn a_saml_response_is_good_for_a_day() {
    let (sandbox, clock) = sandbox(&[]);
    let saml = [("subject_token_type", SAML2)];
    let response = sandbox.cast().outside.saml_response.expose();
    let issued = exchange(&sandbox, response, &saml).json();
    let told = introspected(&sandbox, text(&issued, "access_token"));
    assert_eq!(text(&told, "username"), workload_principal(WORKLOAD_SUBJECT));
    let other = base64::engine::general_purpose::STANDARD.encode("<samlp:Response/>");
    refused(&exchange(&sandbox, "<x/>", &saml), 400, "invalid_grant", "base64");
    refused(&exchange(&sandbox, &other, &saml), 400, "invalid_grant", "verified");
    clock.0.fetch_add(86_400, Ordering::Relaxed);
    refused(&exchange(&sandbox, response, &saml), 400, "invalid_grant", "expired");
}

/// A signed request, before it is encoded.
fn signed(sandbox: &Running, audience: &str, now: i64) -> Value {
    let url = "https://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
    let aws = &sandbox.cast().outside.aws;
    let token = sigv4::subject_token(&Url::parse(url).unwrap(), "us-east-2", aws, audience, now);
    let token = token.unwrap();
    let decoded = percent_encoding::percent_decode_str(token.expose()).decode_utf8().unwrap();
    serde_json::from_str(&decoded).unwrap()
}

fn present(sandbox: &Running, request: &Value) -> Reply {
    let all = percent_encoding::NON_ALPHANUMERIC;
    let token = percent_encoding::utf8_percent_encode(&request.to_string(), all).to_string();
    exchange(sandbox, &token, &[("subject_token_type", AWS4)])
}

/// The header's value, to be changed.
fn header<'a>(request: &'a mut Value, name: &str) -> &'a mut Value {
    let headers = request["headers"].as_array_mut().unwrap().iter_mut();
    let mut found = headers.filter(|header| header["key"].as_str().unwrap() == name);
    &mut found.next().unwrap()["value"]
}

#[test]
fn a_signed_aws_request_is_computed_anew() {
    let (sandbox, _) = sandbox(&[]);
    for now in [NOW, NOW - 900, NOW + 900] {
        let reply = present(&sandbox, &signed(&sandbox, WORKLOAD_PROVIDER, now));
        assert_eq!(reply.status, 200, "{}", reply.json());
        let told = introspected(&sandbox, text(&reply.json(), "access_token"));
        assert_eq!(text(&told, "username"), workload_principal(AWS_ARN));
    }
    // As it is, not encoded once more, is what some clients send; Google reads both.
    let plain = signed(&sandbox, WORKLOAD_PROVIDER, NOW).to_string();
    assert_eq!(exchange(&sandbox, &plain, &[("subject_token_type", AWS4)]).status, 200);
    let refuse = |request: &Value, words: &str| {
        refused(&present(&sandbox, request), 400, "invalid_grant", words);
    };
    refuse(&signed(&sandbox, WORKLOAD_PROVIDER, NOW - 901), "expired");
    refuse(&signed(&sandbox, WORKLOAD_PROVIDER, NOW + 901), "expired");
    refuse(&signed(&sandbox, WORKFORCE_PROVIDER, NOW), "not the audience");
    refuse(&json!({ "url": "x" }), "cannot be read");
    let change = |edit: &dyn Fn(&mut Value), words: &str| {
        let mut request = signed(&sandbox, WORKLOAD_PROVIDER, NOW);
        edit(&mut request);
        refuse(&request, words);
    };
    change(&|request| request["method"] = "GET".into(), "empty POST");
    change(&|request| request["body"] = "x".into(), "empty POST");
    change(&|request| request["more"] = "x".into(), "cannot be read");
    let query = "Action=GetCallerIdentity&Version=2011-06-15";
    for (url, words) in [
        (format!("http://sts.us-east-2.amazonaws.com?{query}"), "not that of AWS"),
        (format!("https://sts.us-east-2.evil.example?{query}"), "not that of AWS"),
        (format!("https://sts.a-b.evil.amazonaws.com?{query}"), "not that of AWS"),
        (format!("https://sts.us-east-2.amazonaws.com:8443?{query}"), "not that of AWS"),
        (format!("https://sts.us-east-1.amazonaws.com?{query}"), "scoped to"),
        (format!("https://sts.us-east-2.amazonaws.com/x?{query}"), "GetCallerIdentity"),
        ("https://sts.us-east-2.amazonaws.com?Action=AssumeRole".to_owned(), "GetCallerIdentity"),
    ] {
        change(&|request| request["url"] = url.clone().into(), words);
    }
    for (name, value, words) in [
        ("host", "sts.us-east-1.amazonaws.com", "host"),
        ("x-amz-date", "20260102T030406Z", "signature"),
        ("x-amz-security-token", "other", "security token"),
        ("x-goog-cloud-target-resource", "//iam.googleapis.com/x", "not the audience"),
        ("Authorization", "Bearer x", "not signed"),
    ] {
        change(&|request| *header(request, name) = value.into(), words);
    }
    let unsign = |request: &mut Value| {
        let value = header(request, "Authorization");
        *value = value.as_str().unwrap().replace(";x-goog-cloud-target-resource", "").into();
    };
    change(&unsign, "target-resource is not signed");
    let flip = |request: &mut Value| {
        let value = header(request, "Authorization").as_str().unwrap().to_owned();
        let (kept, last) = value.split_at(value.len() - 1);
        let last = if last == "0" { "1" } else { "0" };
        *header(request, "Authorization") = format!("{kept}{last}").into();
    };
    change(&flip, "signature does not match");
}

#[test]
fn keys_that_aws_did_not_give_are_refused() {
    let (sandbox, _) = sandbox(&[]);
    let aws = &sandbox.cast().outside.aws;
    let url = "https://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
    let secret = |text: &str| gauth::secret::Secret::new(text);
    let id = || aws.access_key_id.clone();
    let real = || secret(aws.secret_access_key.expose());
    let session = || Some(secret(aws.session_token.as_ref().unwrap().expose()));
    for (access_key_id, secret_access_key, session_token, words) in [
        ("AKIDOTHER".to_owned(), real(), session(), "security token"),
        (id(), secret("other"), session(), "signature does not match"),
        (id(), real(), None, "security token"),
        (id(), real(), Some(secret("other")), "security token"),
    ] {
        let keys = Keys { access_key_id, secret_access_key, session_token };
        let url = Url::parse(url).unwrap();
        let token = sigv4::subject_token(&url, "us-east-2", &keys, WORKLOAD_PROVIDER, NOW).unwrap();
        let reply = exchange(&sandbox, token.expose(), &[("subject_token_type", AWS4)]);
        refused(&reply, 400, "invalid_grant", words);
    }
}

#[test]
fn a_workforce_pool_takes_a_project_or_a_client() {
    let (sandbox, _) = sandbox(&[]);
    let token = sandbox.cast().outside.workforce_token(NOW).unwrap();
    let token = token.expose();
    let workforce = ("audience", WORKFORCE_PROVIDER);
    let id_token = ("subject_token_type", ID_TOKEN);
    let options = json!({ "userProject": "p" }).to_string();
    // Some clients percent-encode the options before the form does.
    let encoded_once = "%7B%22userProject%22%3A%20%22p%22%7D";
    for options in ["", &options, encoded_once] {
        let reply = exchange(&sandbox, token, &[workforce, id_token, ("options", options)]);
        assert_eq!(reply.status, 200, "{}", reply.json());
        let told = introspected(&sandbox, text(&reply.json(), "access_token"));
        let pool = WORKFORCE_PROVIDER.split("/providers/").next().unwrap();
        assert_eq!(text(&told, "username"), format!("principal:{pool}/subject/{USER}"));
    }
    let body = fields(token, &[workforce, id_token]);
    let with = |id: &str, secret: &str| {
        ask(&sandbox, "POST", "/v1/token", &format!("{FORM}{}", basic(id, secret)), &body)
    };
    let issued = with(CLIENT_ID, sandbox.cast().client_secret.expose());
    let told = introspected(&sandbox, text(&issued.json(), "access_token"));
    assert_eq!(text(&told, "client_id"), CLIENT_ID);
    refused(&with(CLIENT_ID, "other"), 401, "invalid_client", "secret");
    refused(&with("other", "x"), 401, "invalid_client", "not found");
    assert!(with("other", "x").head.contains("WWW-Authenticate: Basic"));
    let garbled = format!("{FORM}Authorization: Basic !\r\n");
    let reply = ask(&sandbox, "POST", "/v1/token", &garbled, &body);
    refused(&reply, 401, "invalid_client", "no client");
}

/// The options that leave one bucket.
fn one_bucket() -> String {
    let rule = json!({
        "availableResource": "//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions": ["inRole:roles/storage.objectViewer"],
    });
    json!({ "accessBoundary": { "accessBoundaryRules": [rule] } }).to_string()
}

fn downscope(sandbox: &Running, token: &str, changes: &[(&str, &str)]) -> Reply {
    let options = one_bucket();
    let mut all = vec![
        ("audience", ""),
        ("scope", ""),
        ("subject_token_type", ACCESS),
        ("options", options.as_str()),
    ];
    for change in changes {
        all.retain(|(name, _)| name != &change.0);
        all.push(*change);
    }
    exchange(sandbox, token, &all)
}

#[test]
fn a_downscoped_token_ends_with_its_source() {
    let (sandbox, clock) = sandbox(&[]);
    let users = refresh(&sandbox, &[]).json();
    let users = downscope(&sandbox, text(&users, "access_token"), &[]).json();
    assert!(users.get("expires_in").is_none(), "{users}");
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let machines = get(&sandbox, path).json();
    clock.0.fetch_add(100, Ordering::Relaxed);
    let machines = downscope(&sandbox, text(&machines, "access_token"), &[]).json();
    assert_eq!(machines["expires_in"], 3499);
    let federated = exchange(&sandbox, &workload(&sandbox), &[]).json();
    let federated = downscope(&sandbox, text(&federated, "access_token"), &[]).json();
    assert_eq!(federated["expires_in"], 3599);
    for downscoped in [&users, &machines, &federated] {
        assert_eq!(text(downscoped, "issued_token_type"), ACCESS);
        let again = downscope(&sandbox, text(downscoped, "access_token"), &[]);
        refused(&again, 400, "invalid_grant", "already");
    }
    let token = text(&users, "access_token");
    assert_eq!(text(&introspected(&sandbox, token), "username"), USER);
    form(&sandbox, "/revoke", &[("token", sandbox.cast().refresh_token.expose())]);
    assert_eq!(introspected(&sandbox, token)["active"], false);
}

#[test]
fn what_cannot_be_downscoped_is_refused() {
    let (sandbox, _) = sandbox(&[]);
    let token = refresh(&sandbox, &[]).json();
    let token = text(&token, "access_token");
    let ten = r#"{"accessBoundary":{"accessBoundaryRules":[]}}"#;
    let project = r#"{"userProject":"p"}"#;
    for (changes, code, words) in [
        (&[("audience", WORKLOAD_PROVIDER)][..], "invalid_request", "audience"),
        (&[("scope", CLOUD_PLATFORM)], "invalid_request", "scope"),
        (&[("options", "")], "invalid_request", "accessBoundary is missing"),
        (&[("options", ten)], "invalid_request", "1 to 10"),
        (&[("options", project)], "invalid_request", "userProject"),
        (&[("subject_token", "ya29.x")], "invalid_grant", "unknown"),
    ] {
        refused(&downscope(&sandbox, token, changes), 400, code, words);
    }
    let narrow = refresh(&sandbox, &[("scope", "openid")]).json();
    let reply = downscope(&sandbox, text(&narrow, "access_token"), &[]);
    refused(&reply, 400, "invalid_grant", "lacks the scope");
    let workforce = sandbox.cast().outside.workforce_token(NOW).unwrap();
    let workforce = exchange(&sandbox, workforce.expose(), &[("audience", WORKFORCE_PROVIDER)]);
    let reply = downscope(&sandbox, text(&workforce.json(), "access_token"), &[]);
    refused(&reply, 400, "invalid_grant", "workforce");
}

#[test]
fn faults_of_sts_are_its_own() {
    for (fault, status, code) in [
        ("sts=denied", 400, "invalid_target"),
        ("sts=expired-subject", 400, "invalid_grant"),
        ("sts=revoked", 400, "invalid_grant"),
        ("sts=503", 503, "backend_error"),
    ] {
        let (sandbox, _) = sandbox(&[fault]);
        refused(&exchange(&sandbox, &workload(&sandbox), &[]), status, code, "");
    }
    let (sandbox, _) = sandbox(&["sts=no-expiry"]);
    let issued = exchange(&sandbox, &workload(&sandbox), &[]).json();
    assert!(issued["access_token"].is_string() && issued.get("expires_in").is_none(), "{issued}");
}
