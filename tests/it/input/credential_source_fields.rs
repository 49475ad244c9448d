//! Sources of subject tokens that contradict themselves, or the credential around them; and files that are named there.

use serde_json::{Value, json};

use super::credential_test;
use crate::support::sample_credentials::{
    SUBJECT_TOKEN, TOKEN, WORKFORCE_PROVIDER, authorized_user, aws_external_account, external_account,
    file_external_account, impersonated_service_account, service_account, sts_response_body, with_fields,
    workforce_external_account,
};
use crate::support::{Home, Test, sts_response};

#[track_caller]
fn assert_malformed(credential: &Value, message: &str) {
    credential_test(credential).expect_status(8).expect_error("HOME/key.json: ").expect_error(message).run();
}

#[test]
fn a_source_is_of_one_kind() {
    let parts = [
        ("file", json!("{home}/subject")),
        ("url", json!("https://idp.example/token")),
        ("executable", json!({"command": "/bin/true"})),
        ("certificate", json!({"use_default_certificate_config": true})),
        ("environment_id", json!("aws1")),
    ];
    let source = |names: &[&(&str, Value)]| {
        let fields = names.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        external_account(Value::Object(fields.collect()))
    };
    assert_malformed(&source(&[]), "credential_source has none of environment_id, file, executable");
    for (index, one) in parts.iter().enumerate() {
        for other in &parts[index + 1..] {
            // AWS has a URL of its own.
            if (one.0, other.0) == ("url", "environment_id") {
                continue;
            }
            assert_malformed(&source(&[one, other]), "credential_source has both ");
            assert_malformed(&source(&[other, one]), one.0);
        }
    }
    let all: Vec<_> = parts.iter().collect();
    assert_malformed(&source(&all), "credential_source has both ");
    for odd in [json!({"files": "x"}), json!({"format": {"type": "text"}}), json!({"file": null})] {
        assert_malformed(&external_account(odd), "credential_source has none of");
    }
}

#[test]
fn amazons_token_type_and_source_go_together() {
    let jwt = json!({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"});
    assert_malformed(
        &with_fields(aws_external_account(), &jwt),
        "subject_token_type is not urn:ietf:params:aws:token-type",
    );
    let mut elsewhere = file_external_account();
    elsewhere["subject_token_type"] = aws_external_account()["subject_token_type"].clone();
    assert_malformed(&elsewhere, "subject_token_type");
    assert_malformed(&elsewhere, "environment_id");
    for (id, words) in [
        ("aws2", "environment_id has version 2, this gauth supports version 1"),
        ("aws10", "environment_id has version 10"),
        ("aws", "environment_id is \"aws\", not aws1"),
        ("aws01x", "environment_id is \"aws01x\""),
        ("aws-1", "environment_id is \"aws-1\""),
        ("aws99999999999999999999", "environment_id is \"aws9999"),
        ("AWS1", "environment_id is \"AWS1\""),
        ("azure1", "environment_id is \"azure1\""),
        ("a\u{1b}[31m\n", "environment_id is \"a\\u{1b}[31m\\n\""),
        ("", "environment_id is empty"),
    ] {
        let mut credential = aws_external_account();
        credential["credential_source"]["environment_id"] = json!(id);
        assert_malformed(&credential, words);
    }
}

#[test]
fn a_user_project_is_for_workforce_pools_only() {
    let pays = json!({"workforce_pool_user_project": "payer"});
    assert_malformed(&with_fields(file_external_account(), &pays), "audience names no workforce pool");
    for odd in [
        "//iam.googleapis.com.evil.example/locations/global/workforcePools/p/providers/q",
        "//iam.googleapis.com/projects/1/locations/global/workforcePools/p/providers/q",
        "//iam.googleapis.com/locations/global/workforcePool/p/providers/q",
        "https://iam.googleapis.com/locations/global/workforcePools/p/providers/q",
    ] {
        let audience = json!({ "audience": odd });
        assert_malformed(
            &with_fields(with_fields(file_external_account(), &audience), &pays),
            "audience names no workforce pool",
        );
    }
    let fine = [WORKFORCE_PROVIDER, "//iam.googleapis.com/locations/eu/workforcePools/p/providers/q"];
    for audience in fine {
        let credential =
            with_fields(with_fields(workforce_external_account(), &json!({ "audience": audience })), &pays);
        credential_test(&credential)
            .subject_token_file()
            .expect_request(sts_response(200, sts_response_body(TOKEN)))
            .run();
    }
}

#[test]
fn a_certificate_is_named_in_one_way() {
    let of = |fields: Value| external_account(json!({ "certificate": fields }));
    for (fields, words) in [
        (json!({}), "certificate.certificate_config_location is missing"),
        (json!({"use_default_certificate_config": false}), "use_default_certificate_config is not"),
        (json!({"trust_chain_path": "/x"}), "certificate.certificate_config_location is missing"),
        (json!({"use_default_certificate_config": true, "certificate_config_location": "/x"}), "are both set"),
    ] {
        assert_malformed(&of(fields), words);
    }
    // A file that the credential names, and what is wrong with it.
    let config = |content: &'static str| {
        let named = of(json!({"certificate_config_location": "{home}/config.json"}));
        let test = credential_test(&named).expect_status(8).expect_error("HOME/config.json");
        match content {
            "" => test,
            content => test.file("config.json", content),
        }
    };
    config("").expect_error("there is no such file").run();
    for (content, words) in [
        ("{", "ends in the middle"),
        ("[]", "not an object"),
        ("{}", "cert_configs is missing"),
        ("{\"cert_configs\":5}", "cert_configs is a number"),
        ("{\"cert_configs\":{}}", "cert_configs.workload is missing"),
        ("{\"cert_configs\":{\"workload\":[]}}", "cert_configs.workload is a list"),
        ("{\"cert_configs\":{\"workload\":{}}}", "cert_configs.workload.cert_path is missing"),
        ("{\"cert_configs\":{\"workload\":{\"cert_path\":\"\"}}}", "cert_configs.workload.cert_path is empty"),
        ("{\"cert_configs\":{\"workload\":{\"cert_path\":\"/x\"}}}", "cert_configs.workload.key_path is missing"),
        (
            "{\"cert_configs\":{\"workload\":{\"cert_path\":\"/x\",\"key_path\":5}}}",
            "cert_configs.workload.key_path is a number",
        ),
        (
            "{\"cert_configs\":{\"workload\":{\"cert_path\":\"/x\\u0000\",\"key_path\":\"/y\"}}}",
            "cert_configs.workload.cert_path has a NUL character",
        ),
        ("{\"cert_configs\":{},\"cert_configs\":{}}", "has the key \"cert_configs\" twice"),
    ] {
        config(content).expect_error(words).run();
    }
    // One whose certificate is none; the key is not sent anywhere either.
    let pair = |certificate: &'static str, key: &'static str, words: &str| {
        let named = of(json!({"certificate_config_location": "{home}/config.json"}));
        let config = json!({"cert_configs": {"workload": {
            "cert_path": "{home}/certificate.pem", "key_path": "{home}/key.pem",
        }}});
        credential_test(&named)
            .json("config.json", &config)
            .file("certificate.pem", certificate)
            .file("key.pem", key)
            .expect_status(8)
            .expect_error(words)
            .run();
    };
    let key = include_str!("../../data/keys/ec.pem");
    pair("", key, "certificate.pem holds no certificate in PEM");
    pair("junk", key, "certificate.pem holds no certificate in PEM");
    pair(key, key, "certificate.pem holds no certificate in PEM");
    pair("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key, "certificate.pem");
}

#[test]
fn a_subject_token_is_in_its_file_or_the_file_is_named() {
    let text = with_fields(file_external_account(), &json!({}));
    let mut json = file_external_account();
    json["credential_source"]["format"] = json!({"type": "json", "subject_token_field_name": "id_token"});
    let long = "x".repeat(64 * 1024 + 1);
    for (credential, content, words) in [
        (&text, "", "holds no token, it is empty"),
        (&text, " \r\n\t", "holds no token, it is empty"),
        (&text, long.as_str(), "is larger than 64 KiB"),
        (&json, "", "is empty"),
        (&json, SUBJECT_TOKEN, "is not valid JSON"),
        (&json, "[\"GAUTH-TEST-JUNK-SECRET\"]", "is JSON, but not an object"),
        (&json, "{}", "has no field id_token"),
        (&json, "{\"ID_TOKEN\":\"GAUTH-TEST-JUNK-SECRET\"}", "has no field id_token"),
        (&json, "{\"id_token\":null}", "has no field id_token"),
        (&json, "{\"id_token\":5}", "id_token is a number"),
        (&json, "{\"id_token\":[\"GAUTH-TEST-JUNK-SECRET\"]}", "id_token is a list"),
        (&json, "{\"id_token\":\" \\n\"}", "holds no token, it is empty"),
        (&json, "{\"id_token\":\"a\",\"id_token\":\"b\"}", "has the key \"id_token\" twice"),
        (&json, "{\"id_token\":\"GAUTH-TEST", "ends in the middle"),
    ] {
        credential_test(credential)
            .file("subject", content)
            .expect_status(8)
            .expect_error("HOME/subject (subject token of HOME/key.json): ")
            .expect_error(words)
            .expect_hint("ls -l HOME/subject")
            .run();
    }
    type BadSubjectFile = (fn(&Home), &'static str);
    let circumstances: &[BadSubjectFile] = &[
        (|_| {}, "there is no such file"),
        (|home| home.write("subject/below", ""), "is not a regular file"),
        (
            |home| std::os::unix::fs::symlink("subject", home.path("subject")).expect("a link"),
            "cannot be read, too many levels",
        ),
        (|home| home.write("subject", b"\xff\xfe"), "is not UTF-8 text"),
    ];
    for (make, words) in circumstances {
        let test = credential_test(&text).setup(make).expect_status(8);
        test.expect_error("HOME/subject (subject token of HOME/key.json): ").expect_error(words).run();
    }
    // What Kubernetes projects is a link, and may be readable by others.
    credential_test(&text)
        .file_with_mode("..data/token", SUBJECT_TOKEN, 0o644)
        .setup(|home| {
            std::os::unix::fs::symlink("..data/token", home.path("subject")).expect("a link");
        })
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .run();
}

#[test]
fn a_format_is_text_or_json() {
    for (format, words) in [
        (json!({"type": "xml"}), "format.type is neither text nor json"),
        (json!({"type": "JSON"}), "format.type is neither text nor json"),
        (json!({"type": "json\n"}), "format.type is neither text nor json"),
        (json!({"type": "json"}), "format.subject_token_field_name is missing"),
        (json!({"type": "json", "subject_token_field_name": ""}), "format.subject_token_field_name is empty"),
    ] {
        for mut source in [json!({"file": "/x"}), json!({"url": "https://idp.example/"})] {
            source["format"] = format.clone();
            assert_malformed(&external_account(source), &format!("credential_source.{words}"));
        }
    }
}

#[test]
fn headers_are_those_a_request_can_carry() {
    let with_header = |name: &str, value: Value| {
        let mut source = json!({"url": "https://idp.example/token", "headers": {}});
        source["headers"][name] = value;
        external_account(source)
    };
    for name in ["", " ", "a b", "a:b", "a\n", "a\r\nb", "a\0", "a\u{fc}", "(a)", "\"a\"", "a/b", "\u{1b}[31m"] {
        assert_malformed(&with_header(name, json!("x")), "is no name of a header");
    }
    assert_malformed(&with_header(&"x".repeat(257), json!("x")), "is no name of a header");
    for name in ["Host", "host", "Content-Length", "Transfer-Encoding", "Connection", "UPGRADE"] {
        assert_malformed(&with_header(name, json!("x")), "may not be chosen");
    }
    for value in ["a\nb", "a\r\nX: y", "\0", "\u{1b}", "\u{fc}", "\t"] {
        let words = "credential_source.headers.X-Mine has a control character";
        assert_malformed(&with_header("X-Mine", json!(value)), words);
    }
    let long = json!("x".repeat(8193));
    assert_malformed(&with_header("X-Mine", long), "headers.X-Mine is longer than 8192 bytes");
    assert_malformed(&with_header("X-Mine", json!(5)), "headers.X-Mine is a number");
}

#[test]
fn delegates_are_named_as_iam_wants_them() {
    let of = |item: &str| with_fields(impersonated_service_account(authorized_user()), &json!({"delegates": [item]}));
    for odd in [
        "ci@p.iam.gserviceaccount.com",
        "projects/p/serviceAccounts/ci@p.iam.gserviceaccount.com",
        "projects/-/serviceAccounts/",
        "projects/-/serviceAccounts/ci",
        "projects/-/serviceAccounts/ci@p",
        "projects/-/serviceAccounts/ci@p.example/keys",
        "projects/-/serviceAccounts/ci@p.example\n",
        "projects/-/serviceAccounts/a b@p.example",
        "//iam.googleapis.com/projects/-/serviceAccounts/ci@p.iam.gserviceaccount.com",
        "",
    ] {
        assert_malformed(&of(odd), "an item of delegates is ");
    }
    let long = format!("projects/-/serviceAccounts/{}@p.example", "x".repeat(300));
    assert_malformed(&of(&long), "an item of delegates is ");
}

#[test]
fn a_source_credential_cannot_nest_another_one() {
    let inner = impersonated_service_account(authorized_user());
    credential_test(&impersonated_service_account(inner))
        .expect_status(8)
        .expect_error("HOME/key.json: source_credentials is itself an impersonated_service_account")
        .expect_hint("delegates")
        .run();
    for (source, words) in [
        (json!({}), "source_credentials: type is missing"),
        (json!({"type": "nosuch"}), "source_credentials: type is \"nosuch\", known are"),
        (json!({"installed": {}}), "source_credentials: this is an OAuth client"),
        (json!("{\"type\":\"authorized_user\"}"), "source_credentials is not an object"),
        (json!([authorized_user()]), "source_credentials is not an object"),
        (Value::Null, "source_credentials is missing"),
        (
            with_fields(service_account(), &json!({"private_key": "GAUTH-TEST-JUNK-SECRET"})),
            "source_credentials: private_key is not a PEM private key",
        ),
    ] {
        assert_malformed(&impersonated_service_account(source), words);
    }
    // A file of Google Distributed Cloud has nothing that IAM would take.
    credential_test(&impersonated_service_account(crate::support::sample_credentials::gdch_service_account()))
        .expect_status(7)
        .expect_error("HOME/key.json: source_credentials is of Google Distributed Cloud")
        .run();
}

#[test]
fn an_impersonation_url_names_an_account() {
    let server = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts";
    for odd in [
        format!("{server}/"),
        format!("{server}/a@p.example"),
        format!("{server}/a@p.example:signBlob"),
        format!("{server}/a@p.example:generateaccesstoken"),
        format!("{server}/:generateAccessToken"),
        format!("{server}/a@p.example:generateAccessToken/"),
        format!("{server}/a@p.example:generateAccessToken?x=y"),
        format!("{server}/a@p.example?x=:generateAccessToken"),
        format!("{server}/a@p.example/generateAccessToken"),
        "https://iamcredentials.googleapis.com".to_owned(),
    ] {
        let url = json!({ "service_account_impersonation_url": odd });
        for credential in [impersonated_service_account(authorized_user()), file_external_account()] {
            let words = "service_account_impersonation_url does not end in";
            assert_malformed(&with_fields(credential, &url), words);
        }
    }
}

#[test]
fn a_boundary_in_a_file_or_flag_is_judged_before_anything_is_sent() {
    let user = || Test::new("token --credentials {home}/key.json").json("key.json", &authorized_user());
    let rule = |resource: &str, permission: &str| {
        json!({"accessBoundary": {"accessBoundaryRules": [
            {"availableResource": resource, "availablePermissions": [permission]},
        ]}})
        .to_string()
    };
    let bucket = "//storage.googleapis.com/projects/_/buckets/b-1";
    for (content, words) in [
        (String::new(), "is empty"),
        ("{}".to_owned(), "accessBoundary is missing"),
        ("{\"accessBoundary\":{\"accessBoundaryRules\":[]}}".to_owned(), "has no rule"),
        (rule("//compute.googleapis.com/x", "inRole:roles/storage.admin"), "availableResource"),
        (rule(bucket, "roles/storage.admin"), "availablePermissions[0]"),
        (rule(&format!("{bucket}\n"), "inRole:roles/storage.admin"), "availableResource"),
        (rule(&format!("{bucket}{}", "x".repeat(70_000)), "inRole:roles/x"), ""),
    ] {
        user()
            .arg("--access-boundary")
            .arg("{home}/boundary.json")
            .file("boundary.json", content)
            .expect_status(8)
            .expect_error("HOME/boundary.json (--access-boundary): ")
            .expect_error(words)
            .run();
    }
    for rule in ["x", "@b-1", "objectViewer@", "objectViewer@B", "objectViewer@b-1/", "a b@b-1"] {
        user().arg("--downscope").arg(rule).expect_status(2).expect_error("--downscope").run();
    }
    let many = (0..11).fold(user(), |test, index| test.arg("--downscope").arg(format!("objectViewer@bucket-{index}")));
    many.expect_status(2).expect_error("11 rules, 10 at most").run();
}
