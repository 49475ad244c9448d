//! Every parameter, on the wire, in order.

use serde_json::json;

use super::{
    ACCESS_TOKEN_TYPE, AUDIENCE, CLOUD_PLATFORM, JWT, JWT_TYPE, OTHER_TOKEN_ENDPOINT, TOKEN_EXCHANGE_GRANT_TYPE,
    exchange_test, google_sts_success, other_sts_success, sts_token_response,
};
use crate::support::sample_credentials::{REFRESH_TOKEN, TOKEN, token_response_body};
use crate::support::{MockExchange, Test, sts_response, token_response};

#[track_caller]
fn assert_sends(test: Test, server: MockExchange, fields: &[(&str, &str)]) {
    let ran = test.expect_request(server).expect_stdout(&format!("{TOKEN}\n")).run();
    let written = ran.requests[0].form_fields();
    let sent: Vec<(&str, &str)> = written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sent, fields);
}

#[test]
fn a_subject_token_is_exchanged_with_the_parameters_google_requires() {
    let fields = [
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("audience", AUDIENCE),
        ("scope", CLOUD_PLATFORM),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token", JWT),
        ("subject_token_type", JWT_TYPE),
    ];
    let words = format!("--subject-token @{{home}}/jwt --audience {AUDIENCE}");
    assert_sends(exchange_test(&words), google_sts_success(), &fields);
    for endpoint in [
        "https://sts.googleapis.com/v1/token",
        "https://sts.mtls.googleapis.com/v1/token",
        "https://sts.us-east1.rep.googleapis.com/v1/token",
    ] {
        let test = exchange_test(&format!("{words} --endpoint {endpoint}"));
        assert_sends(test, google_sts_success().at_url(endpoint), &fields);
    }
    let moved = exchange_test(&words).env("CLOUDSDK_API_ENDPOINT_OVERRIDES_STS", "http://127.0.0.1:9/");
    assert_sends(moved, google_sts_success().at_url("http://127.0.0.1:9/v1/token"), &fields);
    let universe = exchange_test(&format!("{words} --universe-domain u.example"));
    assert_sends(universe, google_sts_success().at_url("https://sts.u.example/v1/token"), &fields);
    let own = exchange_test(&format!("{words} --universe-domain u.example --endpoint https://sts.u.example/v1/token"));
    assert_sends(own, google_sts_success().at_url("https://sts.u.example/v1/token"), &fields);
}

#[test]
fn short_scopes_get_googles_prefix_at_google_only() {
    let scope = |words: &str, server: MockExchange| {
        let words = format!("--subject-token @{{home}}/jwt --audience a {words}");
        exchange_test(&words).expect_request(server).run().requests[0].form_field("scope").to_owned()
    };
    let full = "https://www.googleapis.com/auth/pubsub openid";
    assert_eq!(scope("--scopes openid,pubsub", google_sts_success()), full);
    assert_eq!(scope("--scopes pubsub --scopes openid", google_sts_success()), full);
    let other = format!("--endpoint {OTHER_TOKEN_ENDPOINT}");
    assert_eq!(scope(&format!("{other} --scopes zeta,alpha --scopes zeta"), other_sts_success()), "zeta alpha");
    assert_eq!(scope(&other, other_sts_success()), "");
    let variable = |words: &str, server: MockExchange| {
        let words = format!("--subject-token @{{home}}/jwt --audience a {words}");
        let test = exchange_test(&words).env("GAUTH_SCOPES", "pubsub").expect_request(server);
        test.run().requests[0].form_field("scope").to_owned()
    };
    assert_eq!(variable("", google_sts_success()), "https://www.googleapis.com/auth/pubsub");
    assert_eq!(variable(&other, other_sts_success()), "");
}

#[test]
fn every_parameter_goes_to_any_server_in_order() {
    let test = exchange_test(&format!(
        "--grant-type token-exchange --resource https://api.example.com/ --resource urn:example:r \
         --audience one --audience two --scopes read --scopes write --requested-token-type jwt \
         --subject-token @{{home}}/jwt --subject-token-type id_token --actor-token @{{home}}/actor \
         --actor-token-type urn:example:actor --client-id CID --client-secret @{{home}}/secret --client-auth body \
         --endpoint {OTHER_TOKEN_ENDPOINT} --header X-Tenant:blue --header Authorization:env:AUTH --header X-From:@{{home}}/from"
    ))
    .arg("--options")
    .arg(r#"{"userProject": "p & q"}"#)
    .file("actor", "planted-actor-token\n")
    .secret("planted-actor-token")
    .file("secret", "planted-client-secret\n")
    .file("from", "planted-header-value")
    .secret("planted-header-value")
    .env("AUTH", "Bearer planted-authorization")
    .secret("planted-authorization");
    let ran = test.expect_request(other_sts_success()).run();
    let written = ran.requests[0].form_fields();
    let sent: Vec<(&str, &str)> = written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("resource", "https://api.example.com/"),
        ("resource", "urn:example:r"),
        ("audience", "one"),
        ("audience", "two"),
        ("scope", "read write"),
        ("requested_token_type", JWT_TYPE),
        ("subject_token", JWT),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("actor_token", "planted-actor-token"),
        ("actor_token_type", "urn:example:actor"),
        ("options", r#"{"userProject": "p & q"}"#),
        ("client_id", "CID"),
        ("client_secret", "planted-client-secret"),
    ];
    assert_eq!(sent, expected);
    let headers = &ran.requests[0].headers;
    assert_eq!(headers["x-tenant"], "blue");
    assert_eq!(headers["authorization"], "Bearer planted-authorization");
    assert_eq!(headers["x-from"], "planted-header-value");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
}

#[test]
fn any_other_server_gets_what_is_written_and_nothing_else() {
    let fields = [("grant_type", TOKEN_EXCHANGE_GRANT_TYPE), ("subject_token", JWT), ("subject_token_type", JWT_TYPE)];
    for endpoint in
        [OTHER_TOKEN_ENDPOINT, "http://127.0.0.1:9/token", "https://sts.googleapis.com.evil.example/v1/token"]
    {
        let test = exchange_test(&format!("--subject-token @{{home}}/jwt --endpoint {endpoint}"));
        assert_sends(test, google_sts_success().at_url(endpoint), &fields);
    }
    let grant = "urn:example:grant";
    let test =
        exchange_test(&format!("--subject-token @{{home}}/jwt --endpoint {OTHER_TOKEN_ENDPOINT} --grant-type {grant}"));
    let fields = [("grant_type", grant), ("subject_token", JWT), ("subject_token_type", JWT_TYPE)];
    assert_sends(test, other_sts_success(), &fields);
}

#[test]
fn a_media_type_of_the_users_own_takes_the_place_of_the_usual_one() {
    let test = exchange_test("--subject-token @{home}/jwt --audience a --header")
        .arg("Content-Type: application/x-www-form-urlencoded; charset=UTF-8");
    let ran = test.expect_request(google_sts_success()).run();
    let media_type = "application/x-www-form-urlencoded; charset=UTF-8";
    assert_eq!(ran.requests[0].headers["content-type"], media_type);
    assert_eq!(ran.requests[0].headers.keys().filter(|name| *name == "content-type").count(), 1);
}

#[test]
fn options_come_from_a_file_as_well() {
    let boundary = "\u{feff} {\"accessBoundary\":{\"accessBoundaryRules\":[]}}\n";
    let test = exchange_test("--subject-token @{home}/google --options @{home}/options.json")
        .file("google", TOKEN)
        .file("options.json", boundary);
    let ran = test.expect_request(google_sts_success()).run();
    assert_eq!(ran.requests[0].form_field("options"), boundary.trim_start_matches('\u{feff}').trim());
    // An access token of Google's own keeps its scopes.
    assert_eq!(ran.requests[0].form_field("scope"), "");
    assert_eq!(ran.requests[0].form_field("subject_token_type"), ACCESS_TOKEN_TYPE);
}

#[test]
fn a_refresh_token_is_sent_once_and_to_its_own_endpoint() {
    let workforce = "https://sts.googleapis.com/v1/oauthtoken";
    for (words, url, fields) in [
        (
            "--client-id CID --client-secret env:SECRET",
            workforce,
            vec![("grant_type", "refresh_token"), ("refresh_token", REFRESH_TOKEN)],
        ),
        (
            "--grant-type refresh_token --scopes a,b --client-id CID --endpoint https://as.example.com/token",
            OTHER_TOKEN_ENDPOINT,
            vec![
                ("grant_type", "refresh_token"),
                ("scope", "a b"),
                ("refresh_token", REFRESH_TOKEN),
                ("client_id", "CID"),
            ],
        ),
    ] {
        let test = exchange_test(&format!("--refresh-token @{{home}}/login {words}"))
            .file("login", format!("{REFRESH_TOKEN}\n"))
            .env("SECRET", "planted-client-secret");
        let ran = test
            .expect_request(token_response(200, token_response_body(TOKEN)).at_url(url))
            .expect_stdout(&format!("{TOKEN}\n"))
            .run();
        let written = ran.requests[0].form_fields();
        let sent: Vec<(&str, &str)> = written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(sent, fields);
        assert!(ran.requests[0].single_use);
    }
    let once = exchange_test("--refresh-token @{home}/login --client-id CID").file("login", REFRESH_TOKEN);
    once.expect_request(token_response(503, "{}").at_url(workforce)).expect_status(6).expect_error("status 503").run();
}

#[test]
fn an_exchange_is_tried_again_when_the_server_is_busy() {
    let words = "--subject-token @{home}/jwt --audience a";
    let ran = exchange_test(words)
        .expect_request(sts_response(503, ""))
        .expect_request(sts_response(429, ""))
        .expect_request(google_sts_success())
        .run();
    assert_eq!(ran.requests[0].form_fields(), ran.requests[2].form_fields());
    exchange_test(words).expect_requests(3, &sts_response(500, "")).expect_status(6).expect_error("status 500").run();
}

#[test]
fn nothing_is_cached() {
    let home = crate::support::Home::new();
    for _ in 0..2 {
        let ran = exchange_test("--subject-token @{home}/jwt --audience a --format json")
            .home(&home)
            .expect_request(sts_response(200, sts_token_response()))
            .run();
        assert_eq!(ran.json()["cached"], json!(false));
    }
    assert!(home.names(crate::support::TOKEN_CACHE_FOLDER).is_empty());
}
