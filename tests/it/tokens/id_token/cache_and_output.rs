//! How ID tokens are cached and printed.

use std::rc::Rc;

use serde_json::json;

use super::{
    AUDIENCE_URL, METADATA_QUERY, id_token, id_token_test, id_token_until, metadata_identity_response, metadata_test,
    token_endpoint_body,
};
use crate::support::sample_credentials::{TOKEN, service_account, token_response_body};
use crate::support::{Home, NOW, Test, token_response};

#[test]
fn an_id_token_is_cached_until_its_exp_and_per_audience() {
    let home = Home::new();
    let ask = |audience: &str| {
        id_token_test(&service_account(), &format!("--audiences {audience} --format json")).home(&home)
    };
    let short = id_token_until(AUDIENCE_URL, NOW + 1000);
    let minted = ask(AUDIENCE_URL).expect_request(token_response(200, token_endpoint_body(&short))).run().json();
    assert_eq!((&minted["cached"], &minted["expires_in"]), (&json!(false), &json!(1000)));
    assert_eq!(minted["expires_at"], "2026-01-02T03:20:45Z");
    assert_eq!(minted["token_type"], "Bearer");
    let kept = ask(AUDIENCE_URL).run().json();
    assert_eq!((&kept["token"], &kept["cached"]), (&json!(short), &json!(true)));
    let other = id_token("https://other.example");
    let json =
        ask("https://other.example").expect_request(token_response(200, token_endpoint_body(&other))).run().json();
    assert_eq!(json["token"], json!(other));
    // An access token of the same account is cached separately.
    let access = Test::new("token --credentials {home}/key.json").home(&home);
    access.json("key.json", &service_account()).expect_request(token_response(200, token_response_body(TOKEN))).run();
    home.clock.advance(690);
    assert_eq!(ask(AUDIENCE_URL).run().json()["expires_in"], 310);
    home.clock.advance(15);
    ask(AUDIENCE_URL)
        .expect_request(token_response(200, token_endpoint_body(&id_token_until(AUDIENCE_URL, NOW + 4000))))
        .run();
    ask(&format!("{AUDIENCE_URL} --refresh"))
        .expect_request(token_response(200, token_endpoint_body(&id_token_until(AUDIENCE_URL, NOW + 5000))))
        .run();
    ask(&format!("{AUDIENCE_URL} --no-cache")).expect_request(token_response(200, token_endpoint_body(&short))).run();
    assert_eq!(ask(AUDIENCE_URL).run().json()["expires_in"], 5000 - 705);
}

#[test]
fn tokens_with_other_options_are_cached_separately() {
    let home: Rc<Home> = Home::new();
    for more in ["", "&format=full", "&format=full&licenses=TRUE"] {
        let words = match more {
            "" => "",
            "&format=full" => "--token-format full",
            _ => "--token-format full --include-license",
        };
        let ask = || metadata_test(&format!("--audiences {AUDIENCE_URL} {words}")).home(&home);
        let answer = id_token_until(AUDIENCE_URL, NOW + 3600 + i64::try_from(more.len()).expect("short"));
        ask().expect_request(metadata_identity_response(&format!("{METADATA_QUERY}{more}"), &answer)).run();
        ask().expect_stdout(&format!("{answer}\n")).run();
    }
}

#[test]
fn several_audiences_give_a_line_or_an_item_each() {
    let other = "https://other.example";
    let answers = |test: Test| {
        test.expect_request(token_response(200, token_endpoint_body(&id_token(AUDIENCE_URL))))
            .expect_request(token_response(200, token_endpoint_body(&id_token(other))))
    };
    let lines = format!("{}\n{}\n", id_token(AUDIENCE_URL), id_token(other));
    for words in [
        format!("--audiences {AUDIENCE_URL},{other}"),
        format!("--audiences {AUDIENCE_URL} --audiences {other}"),
        format!("--audiences={AUDIENCE_URL} --audience={other} --format value(token)"),
    ] {
        answers(id_token_test(&service_account(), &words).expect_stdout(&lines)).run();
    }
    let words = format!("--audiences {AUDIENCE_URL},{other} --format json");
    let list = answers(id_token_test(&service_account(), &words)).run().json();
    assert_eq!(list[0]["token"], json!(id_token(AUDIENCE_URL)));
    assert_eq!(list[1]["token"], json!(id_token(other)));
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    // If one of them fails, nothing is printed.
    let test = id_token_test(&service_account(), &format!("--audiences {AUDIENCE_URL},{other}")).expect_status(6);
    test.expect_request(token_response(200, token_endpoint_body(&id_token(AUDIENCE_URL))))
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .run();
    for format in ["header", "env", "curl-config"] {
        let words = format!("--audiences {AUDIENCE_URL},{other} --format {format}");
        id_token_test(&service_account(), &words).expect_status(2).expect_error("only as text or json").run();
    }
}

#[test]
fn one_token_has_every_format() {
    let jwt = id_token(AUDIENCE_URL);
    for (format, expected) in [
        ("text", format!("{jwt}\n")),
        ("value(token)", format!("{jwt}\n")),
        ("header", format!("Authorization: Bearer {jwt}\n")),
        ("env", format!("GAUTH_ID_TOKEN={jwt}\n")),
        ("curl-config", format!("header = \"Authorization: Bearer {jwt}\"\n")),
    ] {
        let words = format!("--audiences {AUDIENCE_URL} --format={format}");
        let test = id_token_test(&service_account(), &words).expect_stdout(&expected);
        test.expect_request(token_response(200, token_endpoint_body(&jwt))).run();
    }
}
