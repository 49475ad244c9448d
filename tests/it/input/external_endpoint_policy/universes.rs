//! Endpoints in another universe, and gcloud's endpoint overrides.

use serde_json::{Value, json};

use crate::input::credential_test;
use crate::support::sample_credentials::{
    IAM_SERVICE_ACCOUNTS_URL, SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, file_external_account, iam_response_body,
    sts_response_body, with_fields,
};
use crate::support::{MockExchange, Test, iam_response, sts_response};

/// The credential of a file with its services in another universe.
fn other_universe_credential() -> Value {
    let fields = json!({
        "universe_domain": "u.example",
        "token_url": "https://sts.u.example/v1/token",
        "token_info_url": "https://sts.u.example/v1/introspect",
        "service_account_impersonation_url":
            format!("{}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken", IAM_SERVICE_ACCOUNTS_URL.replace("googleapis.com", "u.example")),
    });
    with_fields(file_external_account(), &fields)
}

fn universe_responses() -> [MockExchange; 2] {
    let at = format!(
        "{}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken",
        IAM_SERVICE_ACCOUNTS_URL.replace("googleapis.com", "u.example")
    );
    [
        sts_response(200, sts_response_body(TOKEN)).at_url("https://sts.u.example/v1/token"),
        iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN)).at_url(&at),
    ]
}

#[test]
fn another_universe_counts_once_the_user_chose_it() {
    let answered = |test: Test| universe_responses().into_iter().fold(test.subject_token_file(), Test::expect_request);
    let flag = "token --credentials {home}/key.json --universe-domain u.example";
    answered(Test::new(flag).json("key.json", &other_universe_credential())).run();
    for variable in ["GAUTH_UNIVERSE_DOMAIN", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"] {
        answered(credential_test(&other_universe_credential()).env(variable, "u.example")).run();
    }
    // Named one by one, the hosts will do as well.
    let hosts = "sts.u.example,iamcredentials.u.example";
    answered(credential_test(&other_universe_credential()).env("GAUTH_ALLOW_TOKEN_HOST", hosts)).run();
    credential_test(&other_universe_credential())
        .env("GAUTH_ALLOW_TOKEN_HOST", "sts.u.example")
        .expect_status(9)
        .expect_error("service_account_impersonation_url names iamcredentials.u.example")
        .run();
    credential_test(&other_universe_credential())
        .env("GAUTH_UNIVERSE_DOMAIN", "v.example")
        .expect_any_status(&[7, 9])
        .expect_error("HOME/key.json: ")
        .run();
    // A file without URLs is asked for in the universe that was chosen.
    let plain = with_fields(file_external_account(), &json!({"token_url": null}));
    Test::new(flag)
        .json("key.json", &plain)
        .subject_token_file()
        .expect_request(sts_response(200, sts_response_body(TOKEN)).at_url("https://sts.u.example/v1/token"))
        .run();
}

#[test]
fn a_file_alone_cannot_choose_another_universe() {
    for field in ["token_url", "token_info_url", "service_account_impersonation_url"] {
        let mut credential = with_fields(file_external_account(), &json!({"universe_domain": "u.example"}));
        credential[field] = other_universe_credential()[field].clone();
        let test = credential_test(&credential).subject_token_file();
        test.expect_status(9).expect_error(&format!("HOME/key.json: {field} ")).run();
    }
    // Nor does the endpoint that follows from its universe.
    let plain = with_fields(file_external_account(), &json!({"token_url": null, "universe_domain": "u.example"}));
    let test = credential_test(&plain).subject_token_file().expect_status(9);
    test.expect_error("token_url names sts.u.example").expect_hint("--universe-domain u.example").run();
}

#[test]
fn gclouds_endpoint_overrides_apply() {
    let moved = [
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STS", "https://sts.corp.example/"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS", "https://iam.corp.example/"),
    ];
    let url = format!("{IAM_SERVICE_ACCOUNTS_URL}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
    let acting = with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    let test = credential_test(&acting).subject_token_file();
    let at = url.replace("iamcredentials.googleapis.com", "iam.corp.example");
    moved
        .iter()
        .fold(test, |test, (name, value)| test.env(name, value))
        .expect_request(sts_response(200, sts_response_body(TOKEN)).at_url("https://sts.corp.example/v1/token"))
        .expect_request(
            iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN))
                .at_url(&at),
        )
        .run();
    for (name, _) in moved {
        for (value, status) in [
            ("http://sts.corp.example/", 9),
            ("http://localhost/", 9),
            ("corp.example", 2),
            ("https://u@corp.example/", 2),
            ("https://corp.example/\n", 2),
        ] {
            let test = credential_test(&acting).subject_token_file().env(name, value);
            test.expect_status(status).expect_error(name).run();
        }
    }
}
