//! How the client proves who it is.

use super::{OTHER_TOKEN_ENDPOINT, exchange_test, google_sts_success, other_sts_success};
use crate::support::Test;

fn client_test(args: &str) -> Test {
    exchange_test(&format!("--subject-token @{{home}}/jwt --endpoint {OTHER_TOKEN_ENDPOINT} {args}"))
        .file("secret", "planted-client-secret\n")
        .env("SECRET", "planted-client-secret")
}

#[test]
fn each_client_authentication_method_is_sent_as_specified() {
    // CID:planted-client-secret, and CID with nothing.
    let basic = "Basic Q0lEOnBsYW50ZWQtY2xpZW50LXNlY3JldA==";
    for (words, header, id, secret) in [
        ("", None, "", ""),
        ("--client-id CID", None, "CID", ""),
        ("--client-id CID --client-auth none", None, "CID", ""),
        ("--client-id CID --client-secret @{home}/secret", Some(basic), "", ""),
        ("--client-id CID --client-secret env:SECRET --client-auth basic", Some(basic), "", ""),
        ("--client-id CID --client-auth basic", Some("Basic Q0lEOg=="), "", ""),
        ("--client-id CID --client-secret - --client-auth body", None, "CID", "planted-client-secret"),
    ] {
        let ran = client_test(words).stdin("planted-client-secret\n").expect_request(other_sts_success()).run();
        let sent = &ran.requests[0];
        assert_eq!(sent.headers.get("authorization").map(String::as_str), header, "{words}");
        assert_eq!((sent.form_field("client_id"), sent.form_field("client_secret")), (id, secret), "{words}");
        assert_eq!(sent.client_certificate, None);
    }
}

#[test]
fn another_server_gets_name_and_secret_encoded_as_rfc_6749_has_it() {
    let words = "--subject-token @{home}/jwt --audience a --client-id c/d --client-secret @{home}/odd";
    let odd = "planted+secret %";
    // c/d:planted+secret %, and the same form-encoded.
    let plain = "Basic Yy9kOnBsYW50ZWQrc2VjcmV0ICU=";
    let encoded = "Basic YyUyRmQ6cGxhbnRlZCUyQnNlY3JldCslMjU=";
    for (words, server, header) in [
        (words.to_owned(), google_sts_success(), plain),
        (format!("{words} --endpoint {OTHER_TOKEN_ENDPOINT}"), other_sts_success(), encoded),
    ] {
        let ran = exchange_test(&words).file("odd", odd).secret(odd).expect_request(server).run();
        assert_eq!(ran.requests[0].headers["authorization"], header);
    }
}

/// A pair made for the tests of certificates: it is not used for anything.
fn with_certificate_files(test: Test) -> Test {
    let made = rcgen::generate_simple_self_signed(vec!["client.example".to_owned()]).expect("a certificate");
    test.file("cert.pem", made.cert.pem()).file("key.pem", made.signing_key.serialize_pem())
}

#[test]
fn a_certificate_is_shown_and_its_client_named() {
    let flags = "--client-certificate {home}/cert.pem --client-key {home}/key.pem";
    for (words, id, header) in [
        ("", "", false),
        ("--client-id CID", "CID", false),
        ("--client-id CID --client-auth certificate", "CID", false),
        ("--client-id CID --client-secret env:SECRET", "", true),
    ] {
        let ran =
            with_certificate_files(client_test(&format!("{flags} {words}"))).expect_request(other_sts_success()).run();
        let sent = &ran.requests[0];
        assert_eq!(sent.form_field("client_id"), id, "{words}");
        assert_eq!(sent.headers.contains_key("authorization"), header, "{words}");
        let shown = sent.client_certificate.as_ref().expect("a certificate");
        assert!(shown.certificate_path.ends_with("cert.pem") && shown.key_path.ends_with("key.pem"));
    }
}

#[test]
fn a_pair_that_does_not_fit_is_refused_before_anything_is_sent() {
    let flags = "--client-certificate {home}/cert.pem --client-key {home}/key.pem";
    let says = "--client-certificate, --client-key: HOME/key.pem is not the key of the certificate";
    with_certificate_files(client_test(flags))
        .file("key.pem", other_private_key())
        .expect_status(8)
        .expect_error(says)
        .run();
    let broken = with_certificate_files(client_test(flags)).file("cert.pem", "no certificate");
    broken.expect_status(8).expect_error("HOME/cert.pem holds no certificate in PEM").run();
    client_test(flags).expect_status(8).expect_error("there is no such file").run();
}

fn other_private_key() -> String {
    let made = rcgen::generate_simple_self_signed(vec!["other.example".to_owned()]).expect("a certificate");
    made.signing_key.serialize_pem()
}
