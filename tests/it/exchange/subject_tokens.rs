//! Where the tokens and secrets come from, and what is impersonated afterwards.

use serde_json::json;

use super::{
    ACCESS_TOKEN_TYPE, AUDIENCE, JWT, JWT_TYPE, OTHER_TOKEN_ENDPOINT, exchange_test, google_sts_success,
    other_sts_success, sts_token_response,
};
use crate::support::sample_credentials::{
    SECOND_TOKEN, SERVICE_ACCOUNT_EMAIL, TOKEN, authorized_user, service_account, token_response_body,
};
use crate::support::{Home, TOKEN_CACHE_FOLDER, Test, iam_response, metadata_response, sts_response, token_response};

/// What IAM gives: another token, for an hour.
fn iam_token_response() -> String {
    json!({"accessToken": SECOND_TOKEN, "expireTime": "2026-01-02T04:04:05Z"}).to_string()
}

#[test]
fn a_subject_token_can_come_from_argument_file_variable_or_stdin() {
    for words in [
        "--subject-token -",
        "--subject-token=-",
        "--subject-token @{home}/jwt",
        "--subject-token env:SUBJECT",
        "--subject-token-file {home}/jwt",
        "--subject-token-env SUBJECT",
    ] {
        let test = exchange_test(&format!("{words} --audience a")).env("SUBJECT", format!(" {JWT}\n"));
        let ran = test.stdin(format!("{JWT}\r\n")).expect_request(google_sts_success()).run();
        assert_eq!(ran.requests[0].form_field("subject_token"), JWT, "{words}");
        assert_eq!(ran.requests[0].form_field("subject_token_type"), JWT_TYPE, "{words}");
    }
    let url = "https://issuer.example/token?aud=a";
    let test = exchange_test(&format!("--subject-token-url {url} --audience a"));
    let answer = metadata_response("", 200, JWT).at_url(url);
    let ran = test.expect_request(answer.clone()).expect_request(google_sts_success()).run();
    assert_eq!(ran.requests[1].form_field("subject_token"), JWT);
    let test = exchange_test(&format!("--subject-token-url {url} --audience a"));
    test.expect_request(answer.with_status(404)).expect_status(5).expect_error("issuer.example").run();
}

#[test]
fn one_secret_can_be_read_from_standard_input() {
    for (words, field) in [
        ("--subject-token @{home}/jwt --actor-token - --actor-token-type jwt", "actor_token"),
        ("--subject-token @{home}/jwt --client-id c --client-secret - --client-auth body", "client_secret"),
        ("--refresh-token - --client-id c", "refresh_token"),
    ] {
        let test = exchange_test(&format!("{words} --endpoint {OTHER_TOKEN_ENDPOINT}")).stdin("planted-secret\n");
        let ran = test.secret("planted-secret").expect_request(other_sts_success()).run();
        assert_eq!(ran.requests[0].form_field(field), "planted-secret", "{words}");
    }
}

#[test]
fn the_subject_token_type_is_guessed_or_required() {
    let odd = |words: &str| {
        exchange_test(&format!("--subject-token - --audience a {words}"))
            .stdin("planted-opaque-token")
            .secret("planted-opaque-token")
    };
    odd("")
        .expect_status(2)
        .expect_error("from standard input does not show its token type")
        .expect_hint("--subject-token-type")
        .run();
    let ran = odd("--subject-token-type saml2").expect_request(google_sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token_type"), "urn:ietf:params:oauth:token-type:saml2");
    let ran = odd("--subject-token-type urn:x:y").expect_request(google_sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token_type"), "urn:x:y");
    let google = exchange_test("--subject-token -").stdin(TOKEN).expect_request(google_sts_success()).run();
    assert_eq!(google.requests[0].form_field("subject_token_type"), ACCESS_TOKEN_TYPE);
}

#[test]
fn a_token_of_gauths_own_credential_is_exchanged_from_the_cache() {
    let home = Home::new();
    let words = "exchange --subject-credentials --credentials {home}/key.json --options {}";
    let first = Test::new(words)
        .home(&home)
        .json("key.json", &service_account())
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .expect_request(google_sts_success());
    let ran = first.run();
    assert_eq!(ran.requests[1].form_field("subject_token"), SECOND_TOKEN);
    assert_eq!(ran.requests[1].form_field("subject_token_type"), ACCESS_TOKEN_TYPE);
    assert_eq!((ran.requests[1].form_field("scope"), ran.requests[1].form_field("audience")), ("", ""));
    // The next one asks for the exchange only, and whether the token was printed or exchanged is the same.
    Test::new(words).home(&home).expect_request(google_sts_success()).expect_stdout(&format!("{TOKEN}\n")).run();
    Test::new("token --credentials {home}/key.json").home(&home).expect_stdout(&format!("{SECOND_TOKEN}\n")).run();
    assert_eq!(home.names(TOKEN_CACHE_FOLDER).iter().filter(|name| name.len() == 64).count(), 1);
    let other = format!("{words} --subject-token-type jwt --endpoint {OTHER_TOKEN_ENDPOINT}");
    let ran = Test::new(&other).home(&home).expect_request(other_sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token_type"), JWT_TYPE);
}

#[test]
fn the_credential_is_chosen_as_for_any_command() {
    let ready = Test::new("exchange --subject-credentials").env("GOOGLE_OAUTH_ACCESS_TOKEN", SECOND_TOKEN);
    assert_eq!(ready.expect_request(google_sts_success()).run().requests[0].form_field("subject_token"), SECOND_TOKEN);
    let adc = Test::new("exchange --subject-credentials --source adc")
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN)
        .json(crate::support::ADC_FILE, &authorized_user());
    let ran = adc
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .expect_request(google_sts_success())
        .run();
    assert_eq!(ran.requests[1].form_field("subject_token"), SECOND_TOKEN);
    Test::new("exchange --subject-credentials").env("NO_GCE_CHECK", "true").expect_status(3).run();
    let input = Test::new("exchange --subject-credentials --credentials -").stdin(authorized_user().to_string());
    input
        .expect_request(token_response(200, token_response_body(SECOND_TOKEN)))
        .expect_request(google_sts_success())
        .run();
    let universe = json!({"universe_domain": "u.example"});
    let key = crate::support::sample_credentials::with_fields(service_account(), &universe);
    // A key of another universe signs its tokens itself, and its STS is there.
    let there = Test::new("exchange --subject-credentials --credentials {home}/key.json --format json")
        .json("key.json", &key)
        .expect_request(google_sts_success().at_url("https://sts.u.example/v1/token"));
    assert_eq!(there.run().json()["universe_domain"], "u.example");
}

#[test]
fn a_provider_federates_the_subject_with_the_token_named_for_it() {
    let provider = AUDIENCE.trim_start_matches("//iam.googleapis.com/");
    let words = format!(
        "--subject-credentials --workload-identity-provider {provider} --subject-token-file {{home}}/jwt --options {{}}"
    );
    let first = sts_response(200, sts_token_response().replace(TOKEN, SECOND_TOKEN));
    let ran = exchange_test(&words).expect_request(first).expect_request(google_sts_success()).run();
    assert_eq!(ran.requests[0].form_field("subject_token"), JWT);
    assert_eq!(ran.requests[0].form_field("audience"), AUDIENCE);
    assert_eq!(ran.requests[1].form_field("subject_token"), SECOND_TOKEN);
}

#[test]
fn what_was_exchanged_impersonates_a_service_account() {
    let words = format!(
        "--subject-token @{{home}}/jwt --audience {AUDIENCE} --impersonate-service-account {SERVICE_ACCOUNT_EMAIL} \
         --scopes pubsub --lifetime 20m --format json"
    );
    let ran = exchange_test(&words)
        .expect_request(google_sts_success())
        .expect_request(iam_response(SERVICE_ACCOUNT_EMAIL, "generateAccessToken", 200, iam_token_response()))
        .run();
    assert_eq!(ran.requests[0].form_field("scope"), "https://www.googleapis.com/auth/iam");
    assert_eq!(ran.requests[1].headers["authorization"], format!("Bearer {TOKEN}"));
    let asked = json!({
        "delegates": [], "scope": ["https://www.googleapis.com/auth/pubsub"], "lifetime": "1200s",
    });
    assert_eq!(ran.requests[1].json()["scope"], asked["scope"]);
    assert_eq!(ran.requests[1].json()["lifetime"], asked["lifetime"]);
    let json = ran.json();
    assert_eq!((&json["token"], &json["account"]), (&json!(SECOND_TOKEN), &json!(SERVICE_ACCOUNT_EMAIL)));
    assert_eq!((&json["source"], &json["issued_token_type"]), (&json!("exchange"), &json!(ACCESS_TOKEN_TYPE)));
    assert_eq!(json["expires_in"], 3600);
}

#[test]
fn delegates_precede_the_service_account_and_other_servers_get_no_scope() {
    let middle = "middle@example-project.iam.gserviceaccount.com";
    let words = format!(
        "--subject-token @{{home}}/jwt --endpoint {OTHER_TOKEN_ENDPOINT} --impersonate-service-account {middle},{SERVICE_ACCOUNT_EMAIL} --scopes pubsub"
    );
    let home = Home::new();
    let test = exchange_test(&words).home(&home).expect_request(other_sts_success());
    let ran = test
        .expect_request(iam_response(SERVICE_ACCOUNT_EMAIL, "generateAccessToken", 200, iam_token_response()))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
    assert_eq!(ran.requests[0].form_field("scope"), "");
    assert_eq!(ran.requests[1].json()["delegates"], json!([format!("projects/-/serviceAccounts/{middle}")]));
    // Neither of the two tokens is kept.
    assert!(home.names(TOKEN_CACHE_FOLDER).is_empty());
}

#[test]
fn a_variable_is_about_the_credential_and_not_about_what_is_exchanged() {
    let words = "--subject-token @{home}/jwt --audience a";
    let test = exchange_test(words).env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", SERVICE_ACCOUNT_EMAIL);
    test.expect_request(google_sts_success()).expect_stdout(&format!("{TOKEN}\n")).run();
    let test = Test::new("exchange --subject-credentials --credentials {home}/user.json")
        .env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", SERVICE_ACCOUNT_EMAIL)
        .json("user.json", &authorized_user());
    let ran = test
        .expect_request(token_response(200, token_response_body("ya29.token-of-the-person")))
        .expect_request(iam_response(SERVICE_ACCOUNT_EMAIL, "generateAccessToken", 200, iam_token_response()))
        .expect_request(google_sts_success())
        .run();
    assert_eq!(ran.requests[2].form_field("subject_token"), SECOND_TOKEN);
}

#[test]
fn a_denied_impersonation_is_reported() {
    let words =
        format!("--subject-token @{{home}}/jwt --audience a --impersonate-service-account {SERVICE_ACCOUNT_EMAIL}");
    let denied = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "No."}});
    exchange_test(&words)
        .expect_request(google_sts_success())
        .expect_request(iam_response(SERVICE_ACCOUNT_EMAIL, "generateAccessToken", 403, denied.to_string()))
        .expect_status(5)
        .expect_error("the exchanged token may not act as")
        .expect_hint("serviceAccountTokenCreator")
        .run();
}

#[test]
fn locations_without_a_usable_secret_are_named() {
    let run = |words: &str| exchange_test(&format!("{words} --audience a"));
    run("--subject-token @{home}/none")
        .expect_status(8)
        .expect_error("HOME/none (--subject-token): there is no such file")
        .run();
    run("--subject-token-file {home}/none").expect_status(8).expect_error("HOME/none (--subject-token-file)").run();
    run("--subject-token @{home}")
        .expect_status(8)
        .expect_error("is not a regular file")
        .expect_hint("--subject-token")
        .run();
    run("--subject-token env:NONE").expect_status(2).expect_error("the variable NONE (--subject-token)").run();
    run("--subject-token-env NONE").expect_status(2).expect_error("the variable NONE (--subject-token-env)").run();
    run("--subject-token env:A=B").expect_status(2).expect_error("the variable A=B").run();
    run("--subject-token -").expect_status(8).expect_error("standard input (--subject-token): is empty").run();
    for (content, words) in [
        (b"".to_vec(), "is empty"),
        (b" \n".to_vec(), "is empty"),
        (b"\xff\xfe".to_vec(), "is not UTF-8 text"),
        (b"two\nlines".to_vec(), "is not one line"),
        (b"nul\0".to_vec(), "is not one line"),
        (vec![b'x'; 64 * 1024 + 1], "is larger than 64 KiB"),
    ] {
        let test = run("--subject-token @{home}/bad").file("bad", &content);
        test.expect_status(8).expect_error("HOME/bad (--subject-token)").expect_error(words).run();
        run("--subject-token -")
            .stdin(&content)
            .expect_status(8)
            .expect_error("standard input")
            .expect_error(words)
            .run();
        let words = "--subject-token @{home}/jwt --client-id c --client-secret @{home}/bad";
        run(words).file("bad", &content).expect_status(8).expect_error("HOME/bad (--client-secret)").run();
    }
}

#[test]
fn a_subject_token_that_has_ended_is_warned_of() {
    // Its claims are {"exp":1767323000}.
    let over = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3NjczMjMwMDB9.c2lnbmF0dXJl";
    exchange_test("--subject-token - --audience a")
        .stdin(over)
        .expect_request(google_sts_success())
        .expect_warning("the subject token from standard input expired 45 s ago")
        .run();
}
