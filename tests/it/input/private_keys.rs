//! Private keys as they are found in key files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::credential_test;
use crate::support::sample_credentials::{
    TOKEN, service_account, service_account_key_pem, token_response_body, with_fields,
};
use crate::support::{Test, token_response};

const RSA_512: &str = include_str!("../../data/keys/rsa512.pem");
const RSA_1024: &str = include_str!("../../data/keys/rsa1024.pem");
const RSA_2047: &str = include_str!("../../data/keys/rsa2047.pem");
const RSA_16384: &str = include_str!("../../data/keys/rsa16384.pem");
const EC: &str = include_str!("../../data/keys/ec.pem");
const EC_SEC1: &str = include_str!("../../data/keys/ec-sec1.pem");
const ED25519: &str = include_str!("../../data/keys/ed25519.pem");

fn key_test(key: &str) -> Test {
    credential_test(&with_fields(service_account(), &json!({"private_key": key})))
}

#[track_caller]
fn assert_refused(key: &str, message: &str) {
    key_test(key)
        .expect_status(8)
        .expect_error("HOME/key.json: private_key ")
        .expect_error(message)
        .expect_hint("download the JSON key of the service account again")
        .run();
}

/// The bytes between the lines of armour.
fn decode_pem(pem: &str) -> Vec<u8> {
    let inside: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(inside).expect("base64")
}

fn encode_pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The PKCS#1 key inside a PKCS#8 one: the content of its last octet string.
fn inner_pkcs1_key(pem: &str) -> String {
    encode_pem("RSA PRIVATE KEY", &decode_pem(pem)[26..])
}

#[test]
fn what_is_no_rsa_key_is_named() {
    let good = service_account_key_pem();
    let torn = good.lines().take(5).collect::<Vec<_>>().join("\n");
    let middle = good.lines().nth(9).expect("a line");
    for (key, words) in [
        ("  \n ".to_owned(), "is empty"),
        ("GAUTH-TEST-JUNK-SECRET".to_owned(), "is not a PEM private key"),
        (middle.to_owned(), "is not a PEM private key"),
        (STANDARD.encode(&good), "is not a PEM private key"),
        (good.replace("PRIVATE KEY", "CERTIFICATE"), "it starts with \"-----BEGIN CERTIFICATE-----\""),
        (good.replace("PRIVATE KEY", "PUBLIC KEY"), "it starts with \"-----BEGIN PUBLIC KEY-----\""),
        (good.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY"), "BEGIN OPENSSH PRIVATE KEY"),
        (good.replace("PRIVATE KEY", "DSA PRIVATE KEY"), "BEGIN DSA PRIVATE KEY"),
        (good.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "is encrypted"),
        (good.replace("PRIVATE KEY", "RSA PRIVATE KEY"), "is not a valid PKCS#1 RSA key"),
        (inner_pkcs1_key(&good).replace("RSA PRIVATE KEY", "PRIVATE KEY"), "is not a valid PKCS#8 RSA key"),
        (EC.to_owned(), "is not an RSA key"),
        (EC_SEC1.to_owned(), "is not an RSA key"),
        (ED25519.to_owned(), "is not an RSA key"),
        (torn, "is cut off"),
        (good.replace("-----END PRIVATE KEY-----\n", ""), "is cut off"),
        (good.replace("-----END", "----END"), "is cut off"),
        (good.replace("BEGIN PRIVATE", "BEGIN  PRIVATE"), "it starts with"),
        (format!("{good}{good}"), "holds more than one PEM block"),
        (format!("{good}{}", good.replace("PRIVATE KEY", "CERTIFICATE")), "is cut off"),
        (good.replacen(middle, "", 1), "is not a valid PKCS#8 RSA key"),
        (good.replacen(middle, &middle[1..], 1), "has broken base64"),
        (good.replacen(middle, &middle.replace(&middle[..1], "!"), 1), "has broken base64"),
        (good.replacen(middle, &format!("{middle}="), 1), "has broken base64"),
        (encode_pem("PRIVATE KEY", b""), "is not a valid PKCS#8 RSA key"),
        (encode_pem("RSA PRIVATE KEY", b""), "is not a valid PKCS#1 RSA key"),
        (encode_pem("PRIVATE KEY", b"0\x84\xff\xff\xff\xff"), "is not a valid PKCS#8 RSA key"),
        (encode_pem("PRIVATE KEY", &[decode_pem(&good), vec![0]].concat()), "is not a valid PKCS#8 RSA key"),
    ] {
        assert_refused(&key, words);
    }
}

#[test]
fn the_size_of_a_key_is_judged() {
    assert_refused(RSA_512, "has 512 bits, 2048 to 8192 are accepted");
    assert_refused(RSA_16384, "has 16384 bits, 2048 to 8192 are accepted");
    for (key, bits) in [(RSA_1024, 1024), (RSA_2047, 2047)] {
        key_test(key)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_warning(&format!("HOME/key.json: private_key has only {bits} bits, create a new one"))
            .run();
    }
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let good = decode_pem(&service_account_key_pem());
    // Modulus, public exponent, private exponent, first prime, second prime: a byte in the middle of each.
    for at in [120, 297, 420, 620, 760] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert_refused(&encode_pem("PRIVATE KEY", &bad), "");
    }
}

#[test]
fn every_way_of_writing_the_same_key_is_read() {
    let good = service_account_key_pem();
    for key in [
        good.replace('\n', "\r\n"),
        good.replace('\n', "\\n"),
        good.replace('\n', "\\r\\n"),
        good.replace('\n', " \t\n"),
        good.replace('\n', "\n\n"),
        good.trim_end().to_owned(),
        format!("\n  {good}\n\n"),
        encode_pem("PRIVATE KEY", &decode_pem(&good)),
        inner_pkcs1_key(&good),
    ] {
        key_test(&key)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_stdout(&format!("{TOKEN}\n"))
            .run();
    }
}
