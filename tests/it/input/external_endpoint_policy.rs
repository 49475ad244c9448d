//! Where the credentials of other services may send anybody: every field with a URL, against hosts that are not the
//! service's, and all the places where it really is.

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{
    IAM_SERVICE_ACCOUNTS_URL, SECOND_TOKEN, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user,
    aws_external_account, external_account, file_external_account, gdch_service_account,
    iam_response_body, impersonated_service_account, sts_response_body, token_response_body,
    with_fields, workforce_login,
};
use crate::support::{
    Home, MockExchange, Test, get_response, iam_response, put_response, sts_response,
    token_response,
};

/// Whom a URL leads to, and what path goes with it.
#[derive(Clone, Copy, PartialEq)]
enum Service {
    Sts,
    Iam,
    AwsMetadata,
    AwsSts,
    /// Anybody with TLS.
    Subject,
    OAuth,
}

struct UrlField {
    credential: Value,
    path: &'static str,
    service: Service,
    /// Behind the host.
    path_suffix: String,
}

/// Every field with a URL.
fn url_fields() -> Vec<UrlField> {
    let field = |credential, path, service, rest: &str| UrlField {
        credential,
        path,
        service,
        path_suffix: rest.to_owned(),
    };
    let account =
        format!("/v1/projects/-/serviceAccounts/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
    let acting = "service_account_impersonation_url";
    let amazon = "?Action=GetCallerIdentity&Version=2011-06-15";
    let of_url = || external_account(json!({"url": "https://idp.example/"}));
    // Without a file of certificates the endpoint has to be Google's.
    let bare = with_fields(gdch_service_account(), &json!({"ca_cert_path": null}));
    vec![
        field(file_external_account(), "token_url", Service::Sts, "/v1/token"),
        field(file_external_account(), "token_info_url", Service::Sts, "/v1/introspect"),
        field(file_external_account(), acting, Service::Iam, &account),
        field(workforce_login(), "token_url", Service::Sts, "/v1/oauthtoken"),
        field(workforce_login(), "token_info_url", Service::Sts, "/v1/introspect"),
        field(impersonated_service_account(authorized_user()), acting, Service::Iam, &account),
        field(
            impersonated_service_account(authorized_user()),
            "source_credentials.token_uri",
            Service::OAuth,
            "/token",
        ),
        field(
            impersonated_service_account(file_external_account()),
            "source_credentials.token_url",
            Service::Sts,
            "/v1/token",
        ),
        field(of_url(), "credential_source.url", Service::Subject, "/token"),
        field(aws_external_account(), "credential_source.url", Service::AwsMetadata, "/latest"),
        field(
            aws_external_account(),
            "credential_source.region_url",
            Service::AwsMetadata,
            "/latest",
        ),
        field(
            aws_external_account(),
            "credential_source.imdsv2_session_token_url",
            Service::AwsMetadata,
            "/latest",
        ),
        field(
            aws_external_account(),
            "credential_source.regional_cred_verification_url",
            Service::AwsSts,
            amazon,
        ),
        field(bare, "token_uri", Service::OAuth, "/authenticate"),
        field(gdch_service_account(), "token_uri", Service::Subject, "/authenticate"),
    ]
}

fn with_url(field: &UrlField, url: &str) -> Value {
    let mut credential = field.credential.clone();
    let object = field.path.rsplit_once('.').map_or("", |(object, _)| object);
    let name = field.path.rsplit('.').next().expect("a name");
    match object {
        "" => credential[name] = json!(url),
        object => credential[object][name] = json!(url),
    }
    credential
}

/// What no URL of a credential may be: no URL at all, or one that different readers read differently.
const MALFORMED_URLS: &[&str] = &[
    "https://user@HOST",
    "https://user:hunter2hunter2@HOST",
    "https://HOST@evil.example",
    "https://HOST:443@evil.example",
    "https://evil.example\\@HOST",
    "https://HOST\\.evil.example",
    "https://evil.example#@HOST",
    "https://HOST#.evil.example",
    "https://HOST:0",
    "https://HOST:65536",
    "https://HOST:99999999999",
    "https://HOST:",
    "https://HOST:443x",
    "https://HOST:-1",
    "https://HOST.:443",
    "https://HOST.",
    "https://.HOST",
    "https://HOST..evil.example",
    "https://-HOST",
    "https://HOST%00.evil.example",
    "https://HOST%2eevil.example",
    "https://%48OST",
    "https://HOST\t.evil.example",
    "https://HOST\n",
    "https://HOST\r\nHost:%20evil.example",
    "https://HOST\u{0}",
    "https://HOST\u{3002}evil.example",
    "https://\u{43e}HOST",
    "https://HOST\u{200b}",
    "https://\u{ff48}ost.example",
    "https://HOST ",
    " https://HOST",
    "https:/HOST",
    "https:HOST",
    "//HOST",
    "HOST",
    "https://",
    "https:///HOST",
    "https://:443",
    "ftp://HOST",
    "ws://HOST",
    "gopher://HOST",
    "unix://HOST",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/plain,x",
    "https://[::1",
    "https://::1",
    "https://[::1%25lo]",
    "https://[HOST]",
    "http://2130706433",
    "http://0x7f000001",
    "http://0x7f.0.0.1",
    "http://017700000001",
    "http://0177.0.0.1",
    "http://127.1",
    "http://127.0.0.1.1",
    "http://127.0.0.256",
];

/// Well-formed, and not where the service is.
const WRONG_HOST_URLS: &[&str] = &[
    "http://HOST",
    "https://evil.example",
    "https://HOST.evil.example",
    "https://HOST:8443",
    "https://HOST:80",
    "https://evil-HOST.example",
    "https://googleapis.com",
    "https://google.com",
    "https://www.google.com",
    "https://sts.googleapis.com.evil.example",
    "https://stsgoogleapis.com",
    "https://sts-googleapis.com",
    "https://sts.googleapis.co",
    "https://xsts.googleapis.com",
    "https://stsx.googleapis.com",
    "https://iamcredentialsx.googleapis.com",
    "https://iamcredentials.googleapis.com.evil.example",
    "https://sts.a.b.googleapis.com",
    "https://a.b.sts.googleapis.com",
    "https://a.b.iamcredentials.googleapis.com",
    "https://sts.rep.googleapis.com.evil.example",
    "https://sts.us-east1.rep.googleapis.example",
    "https://sts-x.q.googleapis.com",
    "https://storage.googleapis.com",
    "https://attacker.storage.googleapis.com",
    "https://sts.storage.googleapis.com",
    "https://iamcredentials.storage.googleapis.com",
    "https://sts.commondatastorage.googleapis.com",
    "https://sts.storage-download.googleapis.com",
    "https://sts.run.app",
    "https://sts-abcdef-ew.a.run.app",
    "https://sts.appspot.com",
    "https://sts.cloudfunctions.net",
    "https://sts.web.app",
    "https://sts.firebaseapp.com",
    "https://sts.googleusercontent.com",
    "https://sts.universe.example",
    "https://iamcredentials.universe.example",
    "https://xn--sts-googleapis-com.example",
    "https://localhost",
    "http://localhost:8080",
    "http://localhost.localdomain",
    "http://0.0.0.0",
    "https://0.0.0.0",
    "http://[::]",
    "https://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
    "http://[::ffff:169.254.169.254]",
    "http://10.0.0.1",
    "https://10.0.0.1",
    "https://172.16.0.1",
    "http://192.168.0.1",
    "http://169.254.0.1",
    "http://169.254.169.253",
    "http://[fe80::1]",
    "http://[fd00::1]",
    "https://[2001:db8::1]",
    "http://metadata.goog",
    "http://metadata",
    "https://127.0.0.1.evil.example",
    "http://127.0.0.1.evil.example",
    "https://sts.amazonaws.com.evil.example",
    "https://sts.evil.example.amazonaws.com",
    "https://s3.amazonaws.com",
    "https://sts.s3.eu-west-1.amazonaws.com",
    "https://stsamazonaws.com",
    "http://sts.eu-west-1.amazonaws.com",
];

/// Metadata servers, where they do not belong.
const METADATA_SERVER_URLS: &[&str] = &[
    "http://169.254.169.254",
    "https://169.254.169.254",
    "http://[fd00:ec2::254]",
    "http://metadata.google.internal",
    "https://metadata.google.internal",
];

/// The name that `HOST` stands for.
fn usual_host(service: Service) -> &'static str {
    match service {
        Service::Sts => "sts.googleapis.com",
        Service::Iam => "iamcredentials.googleapis.com",
        Service::AwsMetadata => "169.254.169.254",
        Service::AwsSts => "sts.eu-west-1.amazonaws.com",
        Service::Subject => "idp.example",
        Service::OAuth => "oauth2.googleapis.com",
    }
}

/// Whether a well-formed URL may be refused here: some services are anywhere with TLS, or have no TLS at all.
fn is_refused_host(service: Service, url: &str) -> bool {
    match service {
        Service::Sts | Service::Iam | Service::AwsSts | Service::OAuth => true,
        Service::Subject => url.starts_with("http://"),
        // AWS's metadata server has one address and any port.
        Service::AwsMetadata => !url.contains("HOST") || url.contains("evil"),
    }
}

#[test]
fn hostile_urls_in_every_field_are_sent_nothing() {
    let mut count = 0;
    for field in url_fields() {
        let broken = MALFORMED_URLS.iter().map(|url| (*url, 8));
        let elsewhere = WRONG_HOST_URLS.iter().filter(|url| is_refused_host(field.service, url));
        let metadata = METADATA_SERVER_URLS
            .iter()
            .filter(|_| !matches!(field.service, Service::AwsMetadata | Service::Subject));
        for (url, status) in broken.chain(elsewhere.chain(metadata).map(|url| (*url, 9))) {
            // A name before a port that is not one, or an address: what follows does not belong to the host.
            let url =
                format!("{}{}", url.replace("HOST", usual_host(field.service)), field.path_suffix);
            let name = field.path.replace("source_credentials.", "source_credentials: ");
            let ran = credential_test(&with_url(&field, &url))
                .subject_token_file()
                .env("AWS_REGION", "eu-west-1")
                .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
                .secret("hunter2hunter2")
                .expect_any_status(&[8, 9])
                .expect_error(&format!("HOME/key.json: {name} "))
                .home(&Home::new())
                .run();
            assert_eq!(ran.status, status, "{} {url:?}: {}", field.path, ran.stderr);
            count += 1;
        }
    }
    assert!(count >= 200, "{count} URLs");
}

#[test]
fn a_refusal_names_the_host_and_the_way_out() {
    let claimed = json!({
        "universe_domain": "u.example", "token_url": "https://sts.u.example/v1/token",
    });
    credential_test(&with_fields(file_external_account(), &claimed))
        .expect_status(9)
        .expect_error("token_url names sts.u.example, which is not Google's")
        .expect_hint("--universe-domain u.example if you trust that universe")
        .run();
    for (credential, host) in [
        (
            with_fields(
                file_external_account(),
                &json!({"token_url": "https://sts.corp.example/x"}),
            ),
            "sts.corp.example",
        ),
        (
            with_fields(
                file_external_account(),
                &json!({"universe_domain": "u.example", "token_url": "https://sts.v.example/x"}),
            ),
            "sts.v.example",
        ),
    ] {
        credential_test(&credential)
            .expect_status(9)
            .expect_error(&format!("token_url names {host}, which is not Google's"))
            .expect_hint(&format!("--allow-token-host {host} if you trust it"))
            .run();
    }
    let mut aws = aws_external_account();
    aws["credential_source"]["region_url"] = json!("http://10.0.0.1/zone");
    credential_test(&aws)
        .expect_status(9)
        .expect_error("credential_source.region_url names 10.0.0.1, which is not AWS's")
        .expect_hint("http://169.254.169.254")
        .run();
    let mut aws = aws_external_account();
    aws["credential_source"]["regional_cred_verification_url"] = json!("https://sts.corp.example");
    credential_test(&aws)
        .expect_status(9)
        .expect_error("regional_cred_verification_url names sts.corp.example, which is not AWS's")
        .expect_hint("--allow-token-host sts.corp.example")
        .run();
}

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
        let credential = with_fields(
            file_external_account(),
            &json!({ "token_url": url, "token_info_url": url }),
        );
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
        let url = format!(
            "{server}/v1/projects/-/serviceAccounts/{TARGET_SERVICE_ACCOUNT}:generateAccessToken"
        );
        let named = json!({ "service_account_impersonation_url": url });
        let answer = iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        )
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
            .expect_request(get_response(
                url,
                200,
                crate::support::sample_credentials::SUBJECT_TOKEN,
            ))
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run();
        assert_eq!(ran.requests[0].url, url);
    }
}

#[test]
fn amazons_metadata_server_has_two_addresses() {
    for server in ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://127.0.0.1:1338"] {
        let mut credential = aws_external_account();
        for (field, path) in [
            ("region_url", "zone"),
            ("url", "credentials"),
            ("imdsv2_session_token_url", "session"),
        ] {
            credential["credential_source"][field] = json!(format!("{server}/{path}"));
        }
        let keys =
            json!({"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "planted-key-of-amazon"});
        credential_test(&credential)
            .expect_request(put_response(&format!("{server}/session"), 200, "planted-session"))
            .expect_request(get_response(&format!("{server}/zone"), 200, "eu-west-1a"))
            .expect_request(get_response(&format!("{server}/credentials"), 200, "role"))
            .expect_request(get_response(
                &format!("{server}/credentials/role"),
                200,
                keys.to_string(),
            ))
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
        iam_response(
            TARGET_SERVICE_ACCOUNT,
            "generateAccessToken",
            200,
            iam_response_body(SECOND_TOKEN),
        )
        .at_url(&at),
    ]
}

#[test]
fn another_universe_counts_once_the_user_chose_it() {
    let answered = |test: Test| {
        universe_responses().into_iter().fold(test.subject_token_file(), Test::expect_request)
    };
    let flag = "token --credentials {home}/key.json --universe-domain u.example";
    answered(Test::new(flag).json("key.json", &other_universe_credential())).run();
    for variable in ["GAUTH_UNIVERSE_DOMAIN", "GOOGLE_CLOUD_UNIVERSE_DOMAIN"] {
        answered(credential_test(&other_universe_credential()).env(variable, "u.example")).run();
    }
    // Named one by one, the hosts will do as well.
    let hosts = "sts.u.example,iamcredentials.u.example";
    answered(credential_test(&other_universe_credential()).env("GAUTH_ALLOW_TOKEN_HOST", hosts))
        .run();
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
        .expect_request(
            sts_response(200, sts_response_body(TOKEN)).at_url("https://sts.u.example/v1/token"),
        )
        .run();
}

#[test]
fn a_file_alone_cannot_choose_another_universe() {
    for field in ["token_url", "token_info_url", "service_account_impersonation_url"] {
        let mut credential =
            with_fields(file_external_account(), &json!({"universe_domain": "u.example"}));
        credential[field] = other_universe_credential()[field].clone();
        let test = credential_test(&credential).subject_token_file();
        test.expect_status(9).expect_error(&format!("HOME/key.json: {field} ")).run();
    }
    // Nor does the endpoint that follows from its universe.
    let plain = with_fields(
        file_external_account(),
        &json!({"token_url": null, "universe_domain": "u.example"}),
    );
    let test = credential_test(&plain).subject_token_file().expect_status(9);
    test.expect_error("token_url names sts.u.example")
        .expect_hint("--universe-domain u.example")
        .run();
}

#[test]
fn gclouds_endpoint_overrides_apply() {
    let moved = [
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STS", "https://sts.corp.example/"),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS", "https://iam.corp.example/"),
    ];
    let url = format!("{IAM_SERVICE_ACCOUNTS_URL}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
    let acting =
        with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    let test = credential_test(&acting).subject_token_file();
    let at = url.replace("iamcredentials.googleapis.com", "iam.corp.example");
    moved
        .iter()
        .fold(test, |test, (name, value)| test.env(name, value))
        .expect_request(
            sts_response(200, sts_response_body(TOKEN)).at_url("https://sts.corp.example/v1/token"),
        )
        .expect_request(
            iam_response(
                TARGET_SERVICE_ACCOUNT,
                "generateAccessToken",
                200,
                iam_response_body(SECOND_TOKEN),
            )
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
