//! What is no JSON, or more than JSON, or another format altogether.

use serde_json::json;

use super::{assert_malformed, credential_file_test};
use crate::support::sample_credentials::{TOKEN, authorized_user, token_response_body};
use crate::support::token_response;

/// Follows the byte order mark where one is allowed.
fn user_json() -> String {
    authorized_user().to_string()
}

#[test]
fn what_is_not_one_json_object_is_named() {
    let user = user_json();
    let inside = &user[1..user.len() - 1];
    let pem = crate::support::sample_credentials::service_account_key_pem();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(user.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let cases: &[(&[u8], &str)] = &[
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\0\0\0\0", "is not valid JSON"),
        (&utf16, "is not UTF-8 text"),
        (b"{\"type\":\"\xff\"}", "is not UTF-8 text"),
        (b"0\x82\x09\xa1\x02\x01\x03\x30\x82\x09", "is not UTF-8 text"),
        (b"[]", "is JSON, but not an object"),
        (b"\"GAUTH-TEST-JUNK-SECRET\"", "is JSON, but not an object"),
        (b"42", "is JSON, but not an object"),
        (b"-1e999", "is not valid JSON"),
        (b"true", "is JSON, but not an object"),
        (b"null", "is JSON, but not an object"),
        (b"GAUTH-TEST-JUNK-SECRET", "is not valid JSON"),
        (b"{", "ends in the middle"),
        (b"{\"type\":", "ends in the middle"),
        (b"{\"type\":\"GAUTH-TEST-JUNK-SECRET", "ends in the middle"),
        (b"{\"type\":\"\\ud800\"}", "is not valid JSON"),
        (b"{\"type\":\"a\nb\"}", "is not valid JSON"),
        (b"{'type':'authorized_user'}", "is not valid JSON"),
        (b"{type:\"authorized_user\"}", "is not valid JSON"),
        (b"{\"type\":NaN}", "is not valid JSON"),
        (b"type: authorized_user\nrefresh_token: GAUTH-TEST-JUNK-SECRET\n", "is not valid JSON"),
        (b"<!DOCTYPE html><html>GAUTH-TEST-JUNK-SECRET</html>", "is not valid JSON"),
        (pem.as_bytes(), "is not valid JSON"),
    ];
    for (bytes, words) in cases {
        assert_malformed(bytes, words);
    }
    for (text, words) in [
        (format!("{{{inside},}}"), "is not valid JSON"),
        (format!("{user},"), "is not valid JSON"),
        (format!("{user}{user}"), "is not valid JSON"),
        (format!("{user}\0"), "is not valid JSON"),
        (format!("// mine\n{user}"), "is not valid JSON"),
        (format!("{{/* mine */{inside}}}"), "is not valid JSON"),
        (format!("\u{feff}\u{feff}{user}"), "is not valid JSON"),
        (format!("[{user}]"), "is JSON, but not an object"),
        (json!(user).to_string(), "is JSON, but not an object"),
        (user[..user.len() / 2].to_owned(), "ends in the middle"),
    ] {
        assert_malformed(text, words);
    }
}

#[test]
fn a_key_that_comes_twice_is_named() {
    let user = user_json();
    let inside = &user[1..user.len() - 1];
    for (text, key) in [
        (format!("{{{inside},\"refresh_token\":\"GAUTH-TEST-JUNK-SECRET\"}}"), "refresh_token"),
        (format!("{{{inside},\"type\":\"authorized_user\"}}"), "type"),
        (format!("{{{inside},\"x\":{{\"y\":1,\"y\":2}}}}"), "y"),
        (format!("{{{inside},\"x\":[{{\"y\":1,\"y\":2}}]}}"), "y"),
        (format!("{{{inside},\"\\u0074ype\":1}}"), "type"),
        (format!("{{{inside},\"a\\nb\":1,\"a\\nb\":1}}"), "a\\nb"),
    ] {
        assert_malformed(text, &format!("has the key \"{key}\" twice"));
    }
}

#[test]
fn nesting_and_size_have_limits() {
    let user = user_json();
    let inside = &user[1..user.len() - 1];
    let deep = |levels: usize| format!("{{{inside},\"x\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_malformed(deep(64), "is nested deeper than 64 levels");
    assert_malformed(deep(100_000), "is nested deeper than 64 levels");
    assert_malformed("[".repeat(100_000), "is nested deeper than 64 levels");
    assert_malformed("{\"a\":".repeat(100_000), "is nested deeper than 64 levels");
    let large = |bytes: usize| format!("{user}{}", " ".repeat(bytes - user.len()));
    assert_malformed(large(1024 * 1024 + 1), "is larger than 1024 KiB");
    assert_malformed(large(3 * 1024 * 1024), "is larger than 1024 KiB");
    for fine in [deep(60), large(1024 * 1024)] {
        credential_file_test(fine)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_stdout(&format!("{TOKEN}\n"))
            .run();
    }
}

#[test]
fn what_editors_leave_is_read() {
    let user = user_json();
    let pretty = serde_json::to_string_pretty(&authorized_user()).expect("JSON");
    for fine in [
        format!("\u{feff}{user}"),
        format!("\n\n  {user}  \r\n"),
        pretty.replace('\n', "\r\n"),
        user.replace("type", "\\u0074ype"),
    ] {
        credential_file_test(fine)
            .expect_request(token_response(200, token_response_body(TOKEN)))
            .expect_stdout(&format!("{TOKEN}\n"))
            .run();
    }
}
