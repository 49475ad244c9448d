//! Responses of IAM: refusals, expiry times, and which of the two credentials failed.

use serde_json::{Value, json};

use super::{api_error_response, oauth_error_body};
use crate::input::credential_test;
use crate::support::sample_credentials::{
    SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user, file_external_account, iam_response_body,
    impersonated_service_account, sts_response_body, token_response_body, with_fields,
};
use crate::support::{Home, Test, iam_response, sts_response, token_response};

fn impersonation_test() -> Test {
    credential_test(&impersonated_service_account(authorized_user()))
        .expect_request(token_response(200, token_response_body(TOKEN)))
}

#[test]
fn refusals_of_iam_say_who_may_not_act_as_whom() {
    let who = format!("ada@example.com may not act as {TARGET_SERVICE_ACCOUNT}, Google says ");
    let denied = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    impersonation_test()
        .expect_request(api_error_response(403, "PERMISSION_DENIED", denied, "IAM_PERMISSION_DENIED"))
        .expect_status(5)
        .expect_stderr(&format!(
            "gauth: {who}PERMISSION_DENIED: \"{denied}\" (IAM_PERMISSION_DENIED of iam.googleapis.com)\n\
             try: grant roles/iam.serviceAccountTokenCreator on that service account to ada@example.com, and wait a minute\n"
        ))
        .run();
    let disabled = "IAM Service Account Credentials API has not been used in project 1 before or it is disabled.";
    for (status, code, message, reason, says, tries) in [
        (403, "PERMISSION_DENIED", disabled, "SERVICE_DISABLED", who.as_str(), "gcloud services enable"),
        (404, "NOT_FOUND", "Unknown service account", "X", who.as_str(), "check the name"),
        (401, "UNAUTHENTICATED", "Invalid credentials", "X", who.as_str(), "gauth token --refresh"),
        (
            400,
            "INVALID_ARGUMENT",
            "The token lifetime exceeds the maximum",
            "X",
            "iamcredentials.googleapis.com: Google says INVALID_ARGUMENT",
            "allowServiceAccountCredentialLifetimeExtension",
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "Request contains an invalid argument.",
            "X",
            "iamcredentials.googleapis.com: Google says INVALID_ARGUMENT",
            "check --scopes, --lifetime and the name of the account",
        ),
    ] {
        let test =
            impersonation_test().expect_request(api_error_response(status, code, message, reason)).expect_status(5);
        test.expect_error(says).expect_error(message).expect_error(reason).expect_hint(tries).run();
    }
    for (status, code, reason) in
        [(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"), (500, "INTERNAL", "X"), (503, "UNAVAILABLE", "X")]
    {
        let answer = api_error_response(status, code, "Later", reason);
        impersonation_test()
            .expect_requests(3, &answer)
            .expect_status(6)
            .expect_error(&format!("iamcredentials.googleapis.com: Google says {code}: \"Later\" ({reason} of"))
            .expect_hint("try again later")
            .run();
    }
}

#[test]
fn the_expiry_of_an_impersonated_token_must_be_a_time() {
    for (end, words) in [
        (json!("tomorrow"), "expireTime is not a time like"),
        (json!("2026-01-02"), "expireTime is not a time like"),
        (json!("2026-13-02T04:04:05Z"), "expireTime is not a time like"),
        (json!("2026-01-02T04:04:05"), "expireTime is not a time like"),
        (json!(""), "expireTime is not a time like"),
        (json!(1_767_326_645), "expireTime is a number"),
        (json!(["2026-01-02T04:04:05Z"]), "expireTime is a list"),
    ] {
        let body = json!({"accessToken": SECOND_TOKEN, "expireTime": end}).to_string();
        let answer = iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, body);
        let test = impersonation_test().expect_request(answer).expect_status(6);
        test.expect_error("iamcredentials.googleapis.com: the response is not understood, ").expect_error(words).run();
    }
    // An odd clock, there or here, is no reason to withhold a token; what has ended, or does not say when, is not
    // kept.
    for (end, left) in [
        (Value::Null, 0),
        (json!("2026-01-02T03:04:04Z"), 0),
        (json!("1970-01-01T00:00:00Z"), 0),
        (json!("9999-01-01T00:00:00Z"), 1),
        (json!("2026-01-02T05:04:05.999999999+01:00"), 1),
    ] {
        let home = Home::new();
        let body = json!({"accessToken": SECOND_TOKEN, "expireTime": end}).to_string();
        let run = || {
            Test::new("token --credentials {home}/key.json")
                .json("key.json", &impersonated_service_account(authorized_user()))
                .home(&home)
                .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        };
        let answer = iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, &body);
        run().expect_request(token_response(200, token_response_body(TOKEN))).expect_request(answer.clone()).run();
        match left {
            0 => run().expect_request(answer).run(),
            _ => run().run(),
        };
    }
}

#[test]
fn a_missing_expiry_causes_a_warning_and_no_caching() {
    let body = |life: Value| json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": life}).to_string();
    for life in [Value::Null, json!(0), json!(-1), json!("0")] {
        let home = Home::new();
        for _ in 0..2 {
            credential_test(&file_external_account())
                .home(&home)
                .subject_token_file()
                .expect_request(sts_response(200, body(life.clone())))
                .expect_warning("sts.googleapis.com gives no expiry for its token")
                .run();
        }
    }
    for life in [json!("3599"), json!(3599.0), json!(1e300)] {
        let home = Home::new();
        credential_test(&file_external_account())
            .home(&home)
            .subject_token_file()
            .expect_request(sts_response(200, body(life)))
            .run();
        credential_test(&file_external_account()).home(&home).subject_token_file().run();
    }
    for life in [json!("soon"), json!(true), json!([1]), json!({}), json!("NaN"), json!("1e3")] {
        credential_test(&file_external_account())
            .subject_token_file()
            .expect_request(sts_response(200, body(life)))
            .expect_status(6)
            .expect_error("sts.googleapis.com: the response is not understood, expires_in is not a number")
            .run();
    }
}

#[test]
fn errors_name_the_source_or_the_impersonation_that_failed() {
    // The source's fault is the source's, and the service account is not asked.
    let refused = token_response(400, oauth_error_body("invalid_grant", "Token has been expired or revoked."));
    credential_test(&impersonated_service_account(authorized_user()))
        .expect_request(refused)
        .expect_status(4)
        .expect_error("ada@example.com must sign in again")
        .run();
    credential_test(&impersonated_service_account(file_external_account()))
        .subject_token_file()
        .expect_request(sts_response(400, oauth_error_body("invalid_target", "x")))
        .expect_status(5)
        .expect_error("sts.googleapis.com: Google says invalid_target")
        .expect_hint("check the audience")
        .run();
    let url = impersonated_service_account(Value::Null)["service_account_impersonation_url"].clone();
    let acting = with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    credential_test(&acting)
        .subject_token_file()
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(api_error_response(403, "PERMISSION_DENIED", "denied", "IAM_PERMISSION_DENIED"))
        .expect_status(5)
        .expect_error(&format!("may not act as {TARGET_SERVICE_ACCOUNT}, Google says PERMISSION_DENIED"))
        .expect_hint("roles/iam.serviceAccountTokenCreator")
        .run();
    credential_test(&impersonated_service_account(authorized_user()))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_request(iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        ))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
}
