//! Endpoints that are used as the credential file names them.

use serde_json::{Value, json};

use crate::input::credential_test;
use crate::support::sample_credentials::{
    SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user, aws_external_account, external_account,
    file_external_account, gdch_service_account, iam_response_body, impersonated_service_account, sts_response_body,
    token_response_body, with_fields, workforce_login,
};
use crate::support::{Test, get_response, iam_response, put_response, sts_response, token_response};

/// Where the STS is.
const STS_URLS: &[&str] = &[
    "https://sts.googleapis.com/v1/token",
    "https://sts.googleapis.com:443/v1/token",
    "https://STS.googleapis.com/v1/token",
    "https://sts.mtls.googleapis.com/v1/token",
    "https://sts.us-east1.rep.googleapis.com/v1/token",
    "https://sts.europe-west3.rep.googleapis.com/v1/token",
    "https://sts.eu.rep.googleapis.com/v1/token",
    "https://sts.us-east1.rep.mtls.googleapis.com/v1/token",
    "https://us-east1.sts.googleapis.com/v1/token",
    "https://us-east1.sts.mtls.googleapis.com/v1/token",
    "https://us-east1-sts.googleapis.com/v1/token",
    "https://us-east1-sts.mtls.googleapis.com/v1/token",
    "https://sts.us-east1.googleapis.com/v1/token",
    "https://sts.us-east1.mtls.googleapis.com/v1/token",
    "https://sts-vpc.p.googleapis.com/v1/token",
    "https://sts-my-endpoint.p.googleapis.com/v1/token",
    "https://sts-vpc.p.mtls.googleapis.com/v1/token",
    "http://127.0.0.1:8080/v1/token",
    "http://[::1]:8080/v1/token",
];

/// Where IAM is.
const IAM_URLS: &[&str] = &[
    "https://iamcredentials.googleapis.com",
    "https://iamcredentials.mtls.googleapis.com",
    "https://iamcredentials.us-east1.rep.googleapis.com",
    "https://iamcredentials.europe-west3.rep.googleapis.com",
    "https://us-east1.iamcredentials.googleapis.com",
    "https://us-east1-iamcredentials.googleapis.com",
    "https://iamcredentials.us-east1.googleapis.com",
    "https://iamcredentials-vpc.p.googleapis.com",
    "https://iamcredentials-my-endpoint.p.googleapis.com",
    "http://127.0.0.1:8080",
];

/// Where AWS's STS is.
const AWS_STS_URLS: &[&str] = &[
    "https://sts.{region}.amazonaws.com",
    "https://sts.eu-west-1.amazonaws.com",
    "https://sts.amazonaws.com",
    "https://sts-fips.{region}.amazonaws.com",
    "https://sts.{region}.api.aws",
    "https://sts.cn-north-1.amazonaws.com.cn",
];

/// As it stands in a request.
fn request_url(url: &str) -> String {
    url.replace(":443/", "/").replace("STS", "sts")
}

#[test]
fn googles_and_amazons_endpoints_are_asked_where_they_are() {
    let mut count = STS_URLS.len() + IAM_URLS.len() + AWS_STS_URLS.len();
    for url in STS_URLS {
        let credential = with_fields(file_external_account(), &json!({ "token_url": url, "token_info_url": url }));
        let answer = sts_response(200, sts_response_body(TOKEN)).at_url(&request_url(url));
        credential_test(&credential).subject_token_file().expect_request(answer).run();
    }
    for url in &STS_URLS[..6] {
        let url = url.replace("/v1/token", "/v1/oauthtoken");
        let credential = with_fields(workforce_login(), &json!({ "token_url": url }));
        let answer = token_response(200, token_response_body(TOKEN)).at_url(&request_url(&url));
        credential_test(&credential).expect_request(answer).run();
        count += 1;
    }
    for server in IAM_URLS {
        let url = format!("{server}/v1/projects/-/serviceAccounts/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
        let named = json!({ "service_account_impersonation_url": url });
        let answer = iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, iam_response_body(SECOND_TOKEN))
            .at_url(&url);
        credential_test(&with_fields(impersonated_service_account(authorized_user()), &named))
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_request(answer)
            .run();
    }
    for url in AWS_STS_URLS {
        let mut credential = aws_external_account();
        let query = format!("{url}?Action=GetCallerIdentity&Version=2011-06-15");
        credential["credential_source"]["regional_cred_verification_url"] = json!(query);
        let ran = credential_test(&credential)
            .env("AWS_DEFAULT_REGION", "us-gov-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run();
        let packed = ran.requests[0].form_field("subject_token");
        let signed = percent_encoding::percent_decode_str(packed).decode_utf8().expect("text");
        let signed: Value = serde_json::from_str(&signed).expect("JSON");
        assert_eq!(signed["url"], query.replace("{region}", "us-gov-west-1"));
    }
    assert!(count >= 40, "{count} endpoints");
}

#[test]
fn subject_tokens_can_come_from_any_https_or_loopback_url() {
    for url in [
        "https://idp.example/token",
        "https://login.corp.example:8443/token?x=y&z=1",
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://x",
        "http://metadata.google.internal/computeMetadata/v1/instance/x",
        "http://127.0.0.1:8080/token",
        "http://[::1]:8080/token",
        "https://10.0.0.1/token",
    ] {
        let credential = external_account(json!({ "url": url }));
        let ran = credential_test(&credential)
            .expect_request(get_response(url, 200, crate::support::sample_credentials::SUBJECT_TOKEN))
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run();
        assert_eq!(ran.requests[0].url, url);
    }
}

#[test]
fn amazons_metadata_server_has_two_addresses() {
    for server in ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://127.0.0.1:1338"] {
        let mut credential = aws_external_account();
        for (field, path) in [("region_url", "zone"), ("url", "credentials"), ("imdsv2_session_token_url", "session")] {
            credential["credential_source"][field] = json!(format!("{server}/{path}"));
        }
        let keys = json!({"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "planted-key-of-amazon"});
        credential_test(&credential)
            .expect_request(put_response(&format!("{server}/session"), 200, "planted-session"))
            .expect_request(get_response(&format!("{server}/zone"), 200, "eu-west-1a"))
            .expect_request(get_response(&format!("{server}/credentials"), 200, "role"))
            .expect_request(get_response(&format!("{server}/credentials/role"), 200, keys.to_string()))
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run();
    }
}

#[test]
fn gdch_can_be_at_any_host_with_its_own_certificates() {
    for url in ["https://gdch.example/x", "https://10.0.0.1:8443/x", "https://gdch.internal/x"] {
        let credential = with_fields(gdch_service_account(), &json!({ "token_uri": url }));
        Test::new("token --credentials {home}/key.json --audience https://api.example")
            .json("key.json", &credential)
            .expect_request(token_response(200, token_response_body(TOKEN)).at_url(url))
            .run();
        let bare = with_fields(credential, &json!({"ca_cert_path": null}));
        credential_test(&bare)
            .expect_status(9)
            .expect_error("token_uri names ")
            .expect_hint("--allow-token-host")
            .run();
    }
}
