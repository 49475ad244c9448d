//! Federated identities: the requests of the token exchange, complete and in order.

use serde_json::{Value, json};

use super::token_test;
use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, CLOUD_PLATFORM, IAM_SERVICE_ACCOUNTS_URL, SECOND_TOKEN, SUBJECT_TOKEN,
    TARGET_SERVICE_ACCOUNT, TOKEN, WORKFORCE_PROVIDER, WORKLOAD_PROVIDER, aws_external_account, external_account,
    file_external_account, iam_response_body, impersonated_service_account, sts_response_body,
    workforce_external_account,
};
use crate::support::{Home, SentRequest, get_response, iam_response, put_response, sts_response};

const TOKEN_EXCHANGE_GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";

/// Checks that an exchange has the form of google-auth's, with these scopes and more fields.
#[track_caller]
fn assert_token_exchange(
    sent: &SentRequest,
    audience: &str,
    scope: &str,
    subject_token: [&str; 2],
    more: &[(&str, &str)],
) {
    assert_eq!((sent.method, sent.url.as_str()), ("POST", "https://sts.googleapis.com/v1/token"));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    let mut expected = vec![
        ("grant_type", TOKEN_EXCHANGE_GRANT_TYPE),
        ("audience", audience),
        ("scope", scope),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        ("subject_token", subject_token[0]),
        ("subject_token_type", subject_token[1]),
    ];
    expected.extend(more);
    let fields = sent.form_fields();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, expected);
}

#[track_caller]
fn assert_metrics_header(sent: &SentRequest, source: &str, impersonation: bool, lifetime: bool) {
    let measured = sent.header("x-goog-api-client").expect("the header of Google's metrics");
    let suffix =
        format!(" google-byoid-sdk source/{source} sa-impersonation/{impersonation} config-lifetime/{lifetime}");
    assert!(measured.starts_with("gl-rust/") && measured.ends_with(&suffix), "{measured}");
}

/// The credential with the URL that impersonates [`TARGET_SERVICE_ACCOUNT`].
fn with_impersonation_url(credential: Value) -> Value {
    let url = format!("{IAM_SERVICE_ACCOUNTS_URL}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
    sample_credentials::with_fields(credential, &json!({ "service_account_impersonation_url": url }))
}

#[test]
fn a_token_in_a_file_is_exchanged() {
    let run = |credential: &Value, words: &str| {
        let test = token_test(credential, words)
            .subject_token_file()
            .expect_request(sts_response(200, sts_response_body(TOKEN)));
        test.expect_stdout(&format!("{TOKEN}\n")).run()
    };
    let ran = run(&file_external_account(), "");
    assert_token_exchange(&ran.requests[0], WORKLOAD_PROVIDER, CLOUD_PLATFORM, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
    assert_metrics_header(&ran.requests[0], "file", false, false);
    assert_eq!(ran.requests[0].header("authorization"), None);
    let ran = run(&file_external_account(), "--scopes pubsub,email");
    let scope = "email https://www.googleapis.com/auth/pubsub";
    assert_token_exchange(&ran.requests[0], WORKLOAD_PROVIDER, scope, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
    // The scopes of the file are used where the user names none.
    let own = sample_credentials::with_fields(file_external_account(), &json!({"scopes": ["b", "a"]}));
    let [a, b] = ["a", "b"].map(|word| format!("https://www.googleapis.com/auth/{word}"));
    let scope = format!("{a} {b}");
    assert_token_exchange(&run(&own, "").requests[0], WORKLOAD_PROVIDER, &scope, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
    assert_token_exchange(
        &run(&own, "--scopes email").requests[0],
        WORKLOAD_PROVIDER,
        "email",
        [SUBJECT_TOKEN, JWT_TOKEN_TYPE],
        &[],
    );
    // The STS's URL follows the universe too, where the file names none.
    run(&sample_credentials::with_fields(file_external_account(), &json!({"token_url": null})), "");
}

#[test]
fn a_token_in_a_field_of_json_is_exchanged() {
    let format = json!({"type": "json", "subject_token_field_name": "id token"});
    let source = json!({"file": "{home}/subject", "format": format});
    let ran = token_test(&external_account(source), "")
        .file("subject", json!({"x": [1], "id token": format!("{SUBJECT_TOKEN}\n")}).to_string())
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
    assert_token_exchange(&ran.requests[0], WORKLOAD_PROVIDER, CLOUD_PLATFORM, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
}

#[test]
fn the_whole_token_response_is_printed() {
    let ran = token_test(&file_external_account(), "--format json")
        .subject_token_file()
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": [CLOUD_PLATFORM], "account": null, "kind": "external_account", "source": "file",
        "quota_project": null, "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
}

#[test]
fn a_token_behind_a_url_is_fetched_with_the_headers_of_the_file() {
    let azure = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://x";
    let source = json!({
        "url": azure, "headers": {"Metadata": "True", "X-Key": "planted-header-of-the-file"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    });
    let answer = json!({"access_token": SUBJECT_TOKEN, "expires_in": "3599"}).to_string();
    let ran = token_test(&external_account(source), "")
        .secret("planted-header-of-the-file")
        .env("HTTP_PROXY", "http://proxy.example:3128")
        .env("HTTPS_PROXY", "http://proxy.example:3128")
        .expect_request(get_response(azure, 200, answer))
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
    let fetched = &ran.requests[0];
    let headers: Vec<_> = fetched.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("metadata", "True"), ("x-key", "planted-header-of-the-file")]);
    assert_eq!((fetched.method, fetched.body.as_str()), ("GET", ""));
    assert_eq!((fetched.is_proxied, ran.requests[1].is_proxied), (false, true));
    assert_token_exchange(&ran.requests[1], WORKLOAD_PROVIDER, CLOUD_PLATFORM, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
    assert_metrics_header(&ran.requests[1], "url", false, false);
}

/// The security credentials of an AWS instance.
fn aws_security_credentials() -> String {
    json!({
        "Code": "Success", "AccessKeyId": "AKIDEXAMPLE",
        "SecretAccessKey": "planted-key-of-amazon", "Token": "planted-session-of-amazon",
    })
    .to_string()
}

const IMDS_URL: &str = "http://169.254.169.254/latest/meta-data";

/// The signed request inside a subject token.
#[track_caller]
fn signed_aws_request(sent: &SentRequest, region: &str) -> Value {
    let packed = sent.form_field("subject_token");
    assert!(!packed.contains(['{', '"', ' ']), "{packed}");
    let text = percent_encoding::percent_decode_str(packed).decode_utf8().expect("text");
    let request: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(request["method"], "POST");
    let url = format!("https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(request["url"], url);
    let header = |name: &str| {
        let headers = request["headers"].as_array().expect("headers").iter();
        let mut found = headers.filter(|header| header["key"] == name);
        found.next().map(|header| header["value"].as_str().expect("text").to_owned())
    };
    assert_eq!(header("x-goog-cloud-target-resource").as_deref(), Some(WORKLOAD_PROVIDER));
    assert_eq!(header("x-amz-date").as_deref(), Some("20260102T030405Z"));
    let authorization = header("Authorization").expect("a signature");
    let scope = format!("Credential=AKIDEXAMPLE/20260102/{region}/sts/aws4_request");
    assert!(authorization.contains(&scope), "{authorization}");
    assert!(authorization.contains("x-goog-cloud-target-resource"), "{authorization}");
    json!({"session": header("x-amz-security-token")})
}

#[test]
fn keys_of_amazon_in_variables_need_no_metadata_server() {
    let run = |variables: &[(&str, &str)]| {
        let test = token_test(&aws_external_account(), "")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
            .secret("planted-key-of-amazon")
            .expect_request(sts_response(200, sts_response_body(TOKEN)));
        variables.iter().fold(test, |test, (name, value)| test.env(name, value)).run()
    };
    let ran = run(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")]);
    assert_eq!(signed_aws_request(&ran.requests[0], "eu-west-1")["session"], Value::Null);
    assert_metrics_header(&ran.requests[0], "aws", false, false);
    assert_eq!(ran.requests[0].form_field("subject_token_type"), "urn:ietf:params:aws:token-type:aws4_request");
    let session = "planted-session-of-amazon";
    let ran = run(&[("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_SESSION_TOKEN", session)]);
    assert_eq!(signed_aws_request(&ran.requests[0], "us-east-1")["session"], session);
}

#[test]
fn amazons_metadata_server_is_asked_in_one_session() {
    let roles = format!("{IMDS_URL}/iam/security-credentials");
    let ran = token_test(&aws_external_account(), "")
        .secret("planted-session-of-the-visit")
        .expect_request(put_response("http://169.254.169.254/latest/api/token", 200, "planted-session-of-the-visit"))
        .expect_request(get_response(&format!("{IMDS_URL}/placement/availability-zone"), 200, "us-east-1d\n"))
        .expect_request(get_response(&roles, 200, "role-name\n"))
        .expect_request(get_response(&format!("{roles}/role-name"), 200, aws_security_credentials()))
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
    let [session, visits @ .., exchange] = ran.requests.as_slice() else { panic!("{:#?}", ran.requests) };
    assert_eq!(session.method, "PUT");
    assert_eq!(session.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("300"));
    for visit in visits {
        assert_eq!(visit.method, "GET");
        let session = visit.header("x-aws-ec2-metadata-token");
        assert_eq!(session, Some("planted-session-of-the-visit"));
        assert!(!visit.is_proxied);
    }
    assert_eq!(signed_aws_request(exchange, "us-east-1")["session"], "planted-session-of-amazon");
    // Version 1 of the metadata service has no session tokens.
    let mut first = aws_external_account();
    first["credential_source"]["imdsv2_session_token_url"] = Value::Null;
    let ran = token_test(&first, "")
        .expect_request(get_response(&format!("{IMDS_URL}/placement/availability-zone"), 200, "eu-central-1a"))
        .expect_request(get_response(&roles, 200, "role-name"))
        .expect_request(get_response(&format!("{roles}/role-name"), 200, aws_security_credentials()))
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
    assert!(ran.requests.iter().all(|sent| sent.header("x-aws-ec2-metadata-token").is_none()));
    signed_aws_request(&ran.requests[3], "eu-central-1");
    // What is in variables is not requested.
    let ran = token_test(&aws_external_account(), "")
        .env("AWS_REGION", "eu-west-1")
        .expect_request(put_response("http://169.254.169.254/latest/api/token", 200, "planted-session-of-the-visit"))
        .expect_request(get_response(&roles, 200, "role-name"))
        .expect_request(get_response(&format!("{roles}/role-name"), 200, aws_security_credentials()))
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
    signed_aws_request(&ran.requests[3], "eu-west-1");
    // A key ID without its secret is ignored.
    token_test(&aws_external_account(), "")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDOTHER")
        .expect_request(put_response("http://169.254.169.254/latest/api/token", 200, "planted-session-of-the-visit"))
        .expect_request(get_response(&roles, 200, "role-name"))
        .expect_request(get_response(&format!("{roles}/role-name"), 200, aws_security_credentials()))
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
}

#[test]
fn aws_keys_are_part_of_the_cache_key() {
    let home = Home::new();
    let run = |key: &str| {
        token_test(&aws_external_account(), "")
            .home(&home)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
    };
    run("AKIDONE").expect_request(sts_response(200, sts_response_body(TOKEN))).run();
    run("AKIDTWO")
        .expect_request(sts_response(200, sts_response_body(SECOND_TOKEN)))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
    run("AKIDONE").expect_stdout(&format!("{TOKEN}\n")).run();
}

#[test]
fn a_workforce_pool_needs_a_user_project_or_a_client() {
    let pays = json!({"workforce_pool_user_project": "payer"});
    let run = |credential: &Value| {
        token_test(credential, "")
            .subject_token_file()
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run()
            .requests
            .remove(0)
    };
    assert_token_exchange(
        &run(&workforce_external_account()),
        WORKFORCE_PROVIDER,
        CLOUD_PLATFORM,
        [SUBJECT_TOKEN, JWT_TOKEN_TYPE],
        &[],
    );
    let paid = run(&sample_credentials::with_fields(workforce_external_account(), &pays));
    let options = [("options", r#"{"userProject":"payer"}"#)];
    assert_token_exchange(&paid, WORKFORCE_PROVIDER, CLOUD_PLATFORM, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &options);
    assert!(paid.body.ends_with("&options=%7B%22userProject%22%3A%22payer%22%7D"), "{}", paid.body);
    // An OAuth client has a project of its own; it is sent in the Authorization header only.
    let client = json!({"client_id": "CID", "client_secret": "CS"});
    let known = run(&sample_credentials::with_fields(
        sample_credentials::with_fields(workforce_external_account(), &pays),
        &client,
    ));
    assert_token_exchange(&known, WORKFORCE_PROVIDER, CLOUD_PLATFORM, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
    assert_eq!(known.header("authorization"), Some("Basic Q0lEOkNT"));
    let bare = run(&sample_credentials::with_fields(workforce_external_account(), &json!({"client_id": "CID"})));
    assert_eq!(bare.header("authorization"), Some("Basic Q0lEOg=="));
    let client = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET});
    let long = run(&sample_credentials::with_fields(workforce_external_account(), &client));
    assert!(long.header("authorization").is_some_and(|basic| !basic.contains('\n')));
}

#[test]
fn a_service_account_is_impersonated_with_the_exchanged_token() {
    let lifetime = json!({"service_account_impersonation": {"token_lifetime_seconds": 2800}});
    for (credential, words, scope, life, config) in [
        (with_impersonation_url(file_external_account()), "", json!([CLOUD_PLATFORM]), "3600s", false),
        (
            sample_credentials::with_fields(with_impersonation_url(file_external_account()), &lifetime),
            "",
            json!([CLOUD_PLATFORM]),
            "2800s",
            true,
        ),
        (
            sample_credentials::with_fields(with_impersonation_url(file_external_account()), &lifetime),
            "--lifetime 10m --scopes email,openid",
            json!(["email", "openid"]),
            "600s",
            true,
        ),
        (
            sample_credentials::with_fields(
                with_impersonation_url(file_external_account()),
                &json!({"scopes": "openid", "quota_project_id": "payer"}),
            ),
            "--lifetime 12h",
            json!(["openid"]),
            "43200s",
            false,
        ),
    ] {
        let ran = token_test(&credential, &format!("--format json {words}"))
            .subject_token_file()
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .expect_request(iam_response(
                TARGET_SERVICE_ACCOUNT,
                "generateAccessToken",
                200,
                iam_response_body(SECOND_TOKEN),
            ))
            .run();
        assert_token_exchange(&ran.requests[0], WORKLOAD_PROVIDER, IAM_SCOPE, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
        assert_metrics_header(&ran.requests[0], "file", true, config);
        let asked = &ran.requests[1];
        assert_eq!(asked.json(), json!({"delegates": null, "scope": scope, "lifetime": life}));
        assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        // The quota project is for requests made with the token, not for the exchange.
        assert_eq!(asked.header("x-goog-user-project"), None);
        let told = ran.json();
        assert_eq!((&told["token"], &told["account"]), (&json!(SECOND_TOKEN), &json!(TARGET_SERVICE_ACCOUNT)));
        assert_eq!(told["quota_project"], credential["quota_project_id"]);
        assert_eq!(told["expires_at"], "2026-01-02T04:04:05Z");
    }
    for words in ["--lifetime 599", "--lifetime 43201"] {
        token_test(&with_impersonation_url(file_external_account()), words)
            .subject_token_file()
            .expect_status(2)
            .expect_error("--lifetime")
            .expect_hint("10m to 12h")
            .run();
    }
}

#[test]
fn the_subject_token_is_read_for_every_exchange_and_never_cached() {
    let home = Home::new();
    let run = |words: &str| {
        token_test(&file_external_account(), words)
            .home(&home)
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
    };
    home.write("subject", SUBJECT_TOKEN);
    run("").run();
    home.write("subject", "planted-second-subject-token");
    let ran = run("--refresh").run();
    assert_eq!(ran.requests[0].form_field("subject_token"), "planted-second-subject-token");
    let entry = std::fs::read(home.cache_entry()).expect("the entry");
    let text = String::from_utf8_lossy(&entry);
    assert!(!text.contains("planted") && text.contains(TOKEN), "{text}");
    // A cached token needs no subject token.
    std::fs::remove_file(home.path("subject")).expect("removed");
    token_test(&file_external_account(), "").home(&home).run();
}

#[test]
fn options_that_a_federated_identity_does_not_support_are_refused_before_anything_is_sent() {
    for (words, says) in [
        ("--subject ada@example.com", "cannot act for another user (--subject)"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)"),
        ("--audience https://a.example", "cannot sign a token itself"),
        ("--self-signed", "cannot sign a token itself"),
    ] {
        let test = token_test(&file_external_account(), words).subject_token_file().expect_status(7);
        test.expect_error("HOME/key.json is a federated identity, which ").expect_error(says).run();
    }
}

#[test]
fn an_external_account_can_be_the_source_of_an_impersonated_account() {
    let ran = token_test(&impersonated_service_account(file_external_account()), "")
        .subject_token_file()
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        ))
        .expect_stdout(&format!("{SECOND_TOKEN}\n"))
        .run();
    assert_token_exchange(&ran.requests[0], WORKLOAD_PROVIDER, IAM_SCOPE, [SUBJECT_TOKEN, JWT_TOKEN_TYPE], &[]);
    // A chain: the first account is named in the source's file, the second in the file around it.
    let other = "other@example-project.iam.gserviceaccount.com";
    let url = format!("{IAM_SERVICE_ACCOUNTS_URL}/{other}:generateAccessToken");
    let twice = sample_credentials::with_fields(
        impersonated_service_account(with_impersonation_url(file_external_account())),
        &json!({ "service_account_impersonation_url": url }),
    );
    let ran = token_test(&twice, "")
        .subject_token_file()
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        ))
        .expect_request(iam_response(other, "generateAccessToken", 200, iam_response_body("ya29.of-the-third-account")))
        .run();
    assert_eq!(ran.requests[1].json()["scope"], json!([IAM_SCOPE]));
    assert_eq!(ran.requests[2].header("authorization"), Some(&*format!("Bearer {SECOND_TOKEN}")));
}
