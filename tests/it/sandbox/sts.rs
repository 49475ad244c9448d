//! STS: every subject token, and every reason to refuse one.

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth_core::net::aws_sigv4;
use gauth_core::net::aws_sigv4::AwsCredentials;
use gauth_core::net::url::Url;
use gauth_core::text::scopes::CLOUD_PLATFORM_SCOPE;
use gauth_sandbox::RunningSandbox;
use gauth_sandbox::external_identities::{AWS_ARN, WORKLOAD_SUBJECT};
use gauth_sandbox::fixtures::{CLIENT_ID, USER, WORKFORCE_PROVIDER, WORKLOAD_PROVIDER};
use serde_json::{Value, json};

use super::{
    FORM_HEADER, HttpReply, NOW, basic_authorization_header, bearer_authorization_header, default_refresh_grant,
    encode_form, get_path, post_form, send_to_sandbox, start_sandbox, text_field,
};

pub(super) const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";
const SAML2_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:saml2";
const AWS4_REQUEST_TOKEN_TYPE: &str = "urn:ietf:params:aws:token-type:aws4_request";
const MTLS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:mtls";

/// The parameters of an exchange: those of a good one, with these in their place or, empty, left out.
fn exchange_form(token: &str, changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("audience", WORKLOAD_PROVIDER),
        ("scope", CLOUD_PLATFORM_SCOPE),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token", token),
        ("subject_token_type", JWT_TOKEN_TYPE),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((name, value));
    }
    fields.retain(|(_, value)| !value.is_empty());
    encode_form(&fields)
}

fn exchange_token(sandbox: &RunningSandbox, token: &str, changes: &[(&str, &str)]) -> HttpReply {
    send_to_sandbox(sandbox, "POST", "/v1/token", FORM_HEADER, &exchange_form(token, changes))
}

fn workload_subject_token(sandbox: &RunningSandbox) -> String {
    let token = sandbox.fixtures().external.workload_token(WORKLOAD_PROVIDER, NOW).unwrap();
    token.expose().to_owned()
}

/// Refused with this status and code, in words with these among them.
#[track_caller]
fn assert_refused(reply: &HttpReply, status: u16, code: &str, message: &str) {
    let answer = reply.json();
    assert_eq!((reply.status, text_field(&answer, "error")), (status, code), "{answer}");
    assert!(text_field(&answer, "error_description").contains(message), "{message}: {answer}");
}

/// What introspection says of a token.
pub(super) fn introspect(sandbox: &RunningSandbox, token: &str) -> Value {
    post_form(sandbox, "/v1/introspect", &[("token", token)]).json()
}

fn workload_principal(subject: &str) -> String {
    let pool = WORKLOAD_PROVIDER.split("/providers/").next().unwrap();
    format!("principal:{pool}/subject/{subject}")
}

#[test]
fn an_oidc_token_becomes_a_principals_access_token() {
    let (sandbox, clock) = start_sandbox(&[]);
    for (kind, audience) in [
        (JWT_TOKEN_TYPE, WORKLOAD_PROVIDER.to_owned()),
        (ID_TOKEN_TYPE, WORKLOAD_PROVIDER.to_owned()),
        (JWT_TOKEN_TYPE, format!("https:{WORKLOAD_PROVIDER}")),
    ] {
        let token = sandbox.fixtures().external.workload_token(&audience, NOW).unwrap();
        let reply = exchange_token(&sandbox, token.expose(), &[("subject_token_type", kind)]);
        assert_eq!(reply.status, 200, "{}", reply.json());
        let issued = reply.json();
        assert!(text_field(&issued, "access_token").starts_with("ya29.d."), "{issued}");
        assert_eq!(
            (text_field(&issued, "issued_token_type"), text_field(&issued, "token_type")),
            (ACCESS_TOKEN_TYPE, "Bearer")
        );
        assert_eq!(issued["expires_in"], 3599);
        let told = introspect(&sandbox, text_field(&issued, "access_token"));
        assert_eq!((told["active"].as_bool(), text_field(&told, "scope")), (Some(true), CLOUD_PLATFORM_SCOPE));
        assert_eq!(text_field(&told, "username"), workload_principal(WORKLOAD_SUBJECT));
        let token = text_field(&issued, "access_token");
        assert_eq!(get_path(&sandbox, &format!("/tokeninfo?access_token={token}")).status, 400);
        assert_eq!(
            send_to_sandbox(&sandbox, "GET", "/v1/userinfo", &bearer_authorization_header(token), "").status,
            401
        );
        clock.0.fetch_add(3600, Ordering::Relaxed);
        assert_eq!(introspect(&sandbox, token)["active"], false);
        clock.0.store(NOW, Ordering::Relaxed);
    }
    assert_eq!(sandbox.request_count("sts"), 3);
}

#[test]
fn each_parameter_of_an_exchange_is_checked() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = workload_subject_token(&sandbox);
    let long = json!({ "userProject": "x".repeat(33) }).to_string();
    for (changes, code, words) in [
        (&[("grant_type", "")][..], "invalid_request", "grant_type"),
        (&[("grant_type", "password")], "unsupported_grant_type", "password"),
        (&[("requested_token_type", "")], "invalid_request", "requested_token_type"),
        (&[("requested_token_type", ID_TOKEN_TYPE)], "invalid_request", "requested_token_type"),
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
        (&[("audience", WORKFORCE_PROVIDER), ("options", &long)], "invalid_request", "Invalid options: userProject"),
        (&[("actor_token", &token)], "invalid_request", "sent together"),
        (&[("actor_token_type", JWT_TOKEN_TYPE)], "invalid_request", "sent together"),
        (&[("actor_token", &token), ("actor_token_type", SAML2_TOKEN_TYPE)], "invalid_request", "actor_token_type"),
        (&[("actor_token", "a.b.c"), ("actor_token_type", JWT_TOKEN_TYPE)], "invalid_grant", "ID Token"),
        (
            &[("audience", WORKFORCE_PROVIDER), ("subject_token_type", AWS4_REQUEST_TOKEN_TYPE)],
            "invalid_grant",
            "of this type",
        ),
        (&[("subject_token_type", MTLS_TOKEN_TYPE)], "invalid_request", "mutual TLS"),
    ] {
        assert_refused(&exchange_token(&sandbox, &token, changes), 400, code, words);
    }
    let twice = format!("{}&scope=x", exchange_form(&token, &[]));
    assert_refused(
        &send_to_sandbox(&sandbox, "POST", "/v1/token", FORM_HEADER, &twice),
        400,
        "invalid_request",
        "single",
    );
    let json = "Content-Type: application/json\r\n";
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/token", json, "{}");
    assert_refused(&reply, 400, "invalid_request", "content type");
    let with_bearer = format!("{FORM_HEADER}{}", bearer_authorization_header("ya29.x"));
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/token", &with_bearer, &exchange_form(&token, &[]));
    assert_refused(&reply, 401, "invalid_client", "bearer");
    let secret = sandbox.fixtures().client_secret.expose();
    let with_client = format!("{FORM_HEADER}{}", basic_authorization_header(CLIENT_ID, secret));
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/token", &with_client, &exchange_form(&token, &[]));
    assert_refused(&reply, 400, "invalid_request", "only supported for workforce pools");
    assert_eq!(send_to_sandbox(&sandbox, "GET", "/v1/token", "", "").status, 405);
    let good = [("actor_token", token.as_str()), ("actor_token_type", ID_TOKEN_TYPE)];
    assert_eq!(exchange_token(&sandbox, &token, &good).status, 200);
}

#[test]
fn each_claim_of_a_subject_token_is_checked() {
    let (sandbox, _) = start_sandbox(&[]);
    let outside = &sandbox.fixtures().external;
    let good = json!({
        "iss": outside.issuer, "sub": "s", "aud": WORKLOAD_PROVIDER, "iat": NOW, "exp": NOW + 60,
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        outside.sign_claims(&claims).unwrap().expose().to_owned()
    };
    for (name, value) in [
        ("aud", json!(["https://x.example", WORKLOAD_PROVIDER])),
        ("iat", json!(NOW - 86_400)),
        ("exp", json!(NOW + 1)),
        ("sub", json!("other")),
    ] {
        assert_eq!(exchange_token(&sandbox, &with(name, value), &[]).status, 200, "{name}");
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
        assert_refused(&exchange_token(&sandbox, &with(name, value), &[]), 400, "invalid_grant", words);
    }
    let token = workload_subject_token(&sandbox);
    let signature = token.rsplit('.').next().unwrap();
    let other = with("sub", json!("admin"));
    let message = other.rsplit_once('.').unwrap().0;
    let unsigned =
        [json!({ "alg": "none", "typ": "JWT" }), good].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    for forged in [format!("{message}.{signature}"), format!("{unsigned}.")] {
        assert_refused(&exchange_token(&sandbox, &forged, &[]), 400, "invalid_grant", "signature");
    }
    for torn in ["x", "a.b", "a.b.c"] {
        assert_refused(&exchange_token(&sandbox, torn, &[]), 400, "invalid_grant", "cannot be read");
    }
}

#[test]
fn a_saml_response_is_good_for_a_day() {
    let (sandbox, clock) = start_sandbox(&[]);
    let saml = [("subject_token_type", SAML2_TOKEN_TYPE)];
    let response = sandbox.fixtures().external.saml_response.expose();
    let issued = exchange_token(&sandbox, response, &saml).json();
    let told = introspect(&sandbox, text_field(&issued, "access_token"));
    assert_eq!(text_field(&told, "username"), workload_principal(WORKLOAD_SUBJECT));
    let other = base64::engine::general_purpose::STANDARD.encode("<samlp:Response/>");
    assert_refused(&exchange_token(&sandbox, "<x/>", &saml), 400, "invalid_grant", "base64");
    assert_refused(&exchange_token(&sandbox, &other, &saml), 400, "invalid_grant", "verified");
    clock.0.fetch_add(86_400, Ordering::Relaxed);
    assert_refused(&exchange_token(&sandbox, response, &saml), 400, "invalid_grant", "expired");
}

/// A signed request, before it is encoded.
fn signed_aws_request(sandbox: &RunningSandbox, audience: &str, now: i64) -> Value {
    let url = "https://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
    let aws = &sandbox.fixtures().external.aws_keys;
    let token = aws_sigv4::subject_token(&Url::parse(url).unwrap(), "us-east-2", aws, audience, now);
    let token = token.unwrap();
    let decoded = percent_encoding::percent_decode_str(token.expose()).decode_utf8().unwrap();
    serde_json::from_str(&decoded).unwrap()
}

fn exchange_aws_request(sandbox: &RunningSandbox, request: &Value) -> HttpReply {
    let all = percent_encoding::NON_ALPHANUMERIC;
    let token = percent_encoding::utf8_percent_encode(&request.to_string(), all).to_string();
    exchange_token(sandbox, &token, &[("subject_token_type", AWS4_REQUEST_TOKEN_TYPE)])
}

/// The header's value, to be changed.
fn header_value_mut<'a>(request: &'a mut Value, name: &str) -> &'a mut Value {
    let headers = request["headers"].as_array_mut().unwrap().iter_mut();
    let mut found = headers.filter(|header| header["key"].as_str().unwrap() == name);
    &mut found.next().unwrap()["value"]
}

#[test]
fn the_signature_of_an_aws_request_is_recomputed() {
    let (sandbox, _) = start_sandbox(&[]);
    for now in [NOW, NOW - 900, NOW + 900] {
        let reply = exchange_aws_request(&sandbox, &signed_aws_request(&sandbox, WORKLOAD_PROVIDER, now));
        assert_eq!(reply.status, 200, "{}", reply.json());
        let told = introspect(&sandbox, text_field(&reply.json(), "access_token"));
        assert_eq!(text_field(&told, "username"), workload_principal(AWS_ARN));
    }
    // As it is, not encoded once more, is what some clients send; Google reads both.
    let plain = signed_aws_request(&sandbox, WORKLOAD_PROVIDER, NOW).to_string();
    assert_eq!(exchange_token(&sandbox, &plain, &[("subject_token_type", AWS4_REQUEST_TOKEN_TYPE)]).status, 200);
    let refuse = |request: &Value, words: &str| {
        assert_refused(&exchange_aws_request(&sandbox, request), 400, "invalid_grant", words);
    };
    refuse(&signed_aws_request(&sandbox, WORKLOAD_PROVIDER, NOW - 901), "expired");
    refuse(&signed_aws_request(&sandbox, WORKLOAD_PROVIDER, NOW + 901), "expired");
    refuse(&signed_aws_request(&sandbox, WORKFORCE_PROVIDER, NOW), "not the audience");
    refuse(&json!({ "url": "x" }), "cannot be read");
    let change = |edit: &dyn Fn(&mut Value), words: &str| {
        let mut request = signed_aws_request(&sandbox, WORKLOAD_PROVIDER, NOW);
        edit(&mut request);
        refuse(&request, words);
    };
    change(&|request| request["method"] = "GET".into(), "without a body");
    change(&|request| request["body"] = "x".into(), "without a body");
    change(&|request| request["more"] = "x".into(), "cannot be read");
    let query = "Action=GetCallerIdentity&Version=2011-06-15";
    for (url, words) in [
        (format!("http://sts.us-east-2.amazonaws.com?{query}"), "not one of AWS"),
        (format!("https://sts.us-east-2.evil.example?{query}"), "not one of AWS"),
        (format!("https://sts.a-b.evil.amazonaws.com?{query}"), "not one of AWS"),
        (format!("https://sts.us-east-2.amazonaws.com:8443?{query}"), "not one of AWS"),
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
        change(&|request| *header_value_mut(request, name) = value.into(), words);
    }
    let unsign = |request: &mut Value| {
        let value = header_value_mut(request, "Authorization");
        *value = value.as_str().unwrap().replace(";x-goog-cloud-target-resource", "").into();
    };
    change(&unsign, "target-resource is not signed");
    let flip = |request: &mut Value| {
        let value = header_value_mut(request, "Authorization").as_str().unwrap().to_owned();
        let (kept, last) = value.split_at(value.len() - 1);
        let last = if last == "0" { "1" } else { "0" };
        *header_value_mut(request, "Authorization") = format!("{kept}{last}").into();
    };
    change(&flip, "signature does not match");
}

#[test]
fn unknown_aws_keys_are_refused() {
    let (sandbox, _) = start_sandbox(&[]);
    let aws = &sandbox.fixtures().external.aws_keys;
    let url = "https://sts.us-east-2.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
    let secret = |text: &str| gauth_core::text::secret::Secret::new(text);
    let id = || aws.access_key_id.clone();
    let real = || secret(aws.secret_access_key.expose());
    let session = || Some(secret(aws.session_token.as_ref().unwrap().expose()));
    for (access_key_id, secret_access_key, session_token, words) in [
        ("AKIDOTHER".to_owned(), real(), session(), "security token"),
        (id(), secret("other"), session(), "signature does not match"),
        (id(), real(), None, "security token"),
        (id(), real(), Some(secret("other")), "security token"),
    ] {
        let keys = AwsCredentials { access_key_id, secret_access_key, session_token };
        let url = Url::parse(url).unwrap();
        let token = aws_sigv4::subject_token(&url, "us-east-2", &keys, WORKLOAD_PROVIDER, NOW).unwrap();
        let reply = exchange_token(&sandbox, token.expose(), &[("subject_token_type", AWS4_REQUEST_TOKEN_TYPE)]);
        assert_refused(&reply, 400, "invalid_grant", words);
    }
}

#[test]
fn a_workforce_pool_takes_a_project_or_a_client() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = sandbox.fixtures().workforce_token(NOW).unwrap();
    let token = token.expose();
    let workforce = ("audience", WORKFORCE_PROVIDER);
    let id_token = ("subject_token_type", ID_TOKEN_TYPE);
    let options = json!({ "userProject": "p" }).to_string();
    // Some clients percent-encode the options before the form does.
    let encoded_once = "%7B%22userProject%22%3A%20%22p%22%7D";
    for options in ["", &options, encoded_once] {
        let reply = exchange_token(&sandbox, token, &[workforce, id_token, ("options", options)]);
        assert_eq!(reply.status, 200, "{}", reply.json());
        let told = introspect(&sandbox, text_field(&reply.json(), "access_token"));
        let pool = WORKFORCE_PROVIDER.split("/providers/").next().unwrap();
        assert_eq!(text_field(&told, "username"), format!("principal:{pool}/subject/{USER}"));
    }
    let body = exchange_form(token, &[workforce, id_token]);
    let with = |id: &str, secret: &str| {
        send_to_sandbox(
            &sandbox,
            "POST",
            "/v1/token",
            &format!("{FORM_HEADER}{}", basic_authorization_header(id, secret)),
            &body,
        )
    };
    let issued = with(CLIENT_ID, sandbox.fixtures().client_secret.expose());
    let told = introspect(&sandbox, text_field(&issued.json(), "access_token"));
    assert_eq!(text_field(&told, "client_id"), CLIENT_ID);
    assert_refused(&with(CLIENT_ID, "other"), 401, "invalid_client", "secret");
    assert_refused(&with("other", "x"), 401, "invalid_client", "not found");
    assert!(with("other", "x").head.contains("WWW-Authenticate: Basic"));
    let garbled = format!("{FORM_HEADER}Authorization: Basic !\r\n");
    let reply = send_to_sandbox(&sandbox, "POST", "/v1/token", &garbled, &body);
    assert_refused(&reply, 401, "invalid_client", "no client");
}

/// The options that leave one bucket.
fn one_bucket_options() -> String {
    let rule = json!({
        "availableResource": "//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions": ["inRole:roles/storage.objectViewer"],
    });
    json!({ "accessBoundary": { "accessBoundaryRules": [rule] } }).to_string()
}

fn downscope(sandbox: &RunningSandbox, token: &str, changes: &[(&str, &str)]) -> HttpReply {
    let options = one_bucket_options();
    let mut all =
        vec![("audience", ""), ("scope", ""), ("subject_token_type", ACCESS_TOKEN_TYPE), ("options", options.as_str())];
    for change in changes {
        all.retain(|(name, _)| name != &change.0);
        all.push(*change);
    }
    exchange_token(sandbox, token, &all)
}

#[test]
fn a_downscoped_token_ends_with_its_source() {
    let (sandbox, clock) = start_sandbox(&[]);
    let users = default_refresh_grant(&sandbox, &[]).json();
    let users = downscope(&sandbox, text_field(&users, "access_token"), &[]).json();
    assert!(users.get("expires_in").is_none(), "{users}");
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let machines = get_path(&sandbox, path).json();
    clock.0.fetch_add(100, Ordering::Relaxed);
    let machines = downscope(&sandbox, text_field(&machines, "access_token"), &[]).json();
    assert_eq!(machines["expires_in"], 3499);
    let federated = exchange_token(&sandbox, &workload_subject_token(&sandbox), &[]).json();
    let federated = downscope(&sandbox, text_field(&federated, "access_token"), &[]).json();
    assert_eq!(federated["expires_in"], 3599);
    for downscoped in [&users, &machines, &federated] {
        assert_eq!(text_field(downscoped, "issued_token_type"), ACCESS_TOKEN_TYPE);
        let again = downscope(&sandbox, text_field(downscoped, "access_token"), &[]);
        assert_refused(&again, 400, "invalid_grant", "already");
    }
    let token = text_field(&users, "access_token");
    assert_eq!(text_field(&introspect(&sandbox, token), "username"), USER);
    post_form(&sandbox, "/revoke", &[("token", sandbox.fixtures().refresh_token.expose())]);
    assert_eq!(introspect(&sandbox, token)["active"], false);
}

#[test]
fn what_cannot_be_downscoped_is_refused() {
    let (sandbox, _) = start_sandbox(&[]);
    let token = default_refresh_grant(&sandbox, &[]).json();
    let token = text_field(&token, "access_token");
    let ten = r#"{"accessBoundary":{"accessBoundaryRules":[]}}"#;
    let project = r#"{"userProject":"p"}"#;
    for (changes, code, words) in [
        (&[("audience", WORKLOAD_PROVIDER)][..], "invalid_request", "audience"),
        (&[("scope", CLOUD_PLATFORM_SCOPE)], "invalid_request", "scope"),
        (&[("options", "")], "invalid_request", "missing: accessBoundary"),
        (&[("options", ten)], "invalid_request", "1 to 10"),
        (&[("options", project)], "invalid_request", "userProject"),
        (&[("subject_token", "ya29.x")], "invalid_grant", "unknown"),
    ] {
        assert_refused(&downscope(&sandbox, token, changes), 400, code, words);
    }
    let narrow = default_refresh_grant(&sandbox, &[("scope", "openid")]).json();
    let reply = downscope(&sandbox, text_field(&narrow, "access_token"), &[]);
    assert_refused(&reply, 400, "invalid_grant", "lacks the scope");
    let workforce = sandbox.fixtures().workforce_token(NOW).unwrap();
    let workforce = exchange_token(&sandbox, workforce.expose(), &[("audience", WORKFORCE_PROVIDER)]);
    let reply = downscope(&sandbox, text_field(&workforce.json(), "access_token"), &[]);
    assert_refused(&reply, 400, "invalid_grant", "workforce");
}

#[test]
fn sts_faults_produce_sts_errors() {
    for (fault, status, code) in [
        ("sts=denied", 400, "invalid_target"),
        ("sts=expired-subject", 400, "invalid_grant"),
        ("sts=revoked", 400, "invalid_grant"),
        ("sts=503", 503, "backend_error"),
    ] {
        let (sandbox, _) = start_sandbox(&[fault]);
        assert_refused(&exchange_token(&sandbox, &workload_subject_token(&sandbox), &[]), status, code, "");
    }
    let (sandbox, _) = start_sandbox(&["sts=no-expiry"]);
    let issued = exchange_token(&sandbox, &workload_subject_token(&sandbox), &[]).json();
    assert!(issued["access_token"].is_string() && issued.get("expires_in").is_none(), "{issued}");
}
