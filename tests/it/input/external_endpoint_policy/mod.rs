//! Every URL field of an external credential, against hosts that do not belong to the service.

mod permitted_endpoints;
mod universes;

use serde_json::{Value, json};

use super::credential_test;
use crate::support::Home;
use crate::support::sample_credentials::{
    TARGET_SERVICE_ACCOUNT, authorized_user, aws_external_account, external_account, file_external_account,
    gdch_service_account, impersonated_service_account, with_fields, workforce_login,
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
    let field =
        |credential, path, service, rest: &str| UrlField { credential, path, service, path_suffix: rest.to_owned() };
    let account = format!("/v1/projects/-/serviceAccounts/{TARGET_SERVICE_ACCOUNT}:generateAccessToken");
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
        field(aws_external_account(), "credential_source.region_url", Service::AwsMetadata, "/latest"),
        field(aws_external_account(), "credential_source.imdsv2_session_token_url", Service::AwsMetadata, "/latest"),
        field(aws_external_account(), "credential_source.regional_cred_verification_url", Service::AwsSts, amazon),
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
        let metadata =
            METADATA_SERVER_URLS.iter().filter(|_| !matches!(field.service, Service::AwsMetadata | Service::Subject));
        for (url, status) in broken.chain(elsewhere.chain(metadata).map(|url| (*url, 9))) {
            // A name before a port that is not one, or an address: what follows does not belong to the host.
            let url = format!("{}{}", url.replace("HOST", usual_host(field.service)), field.path_suffix);
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
        (with_fields(file_external_account(), &json!({"token_url": "https://sts.corp.example/x"})), "sts.corp.example"),
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
