//! Where the tokens and secrets come from, and what is impersonated afterwards.

use serde_json::json;

use super::{ACCESS, AUDIENCE, JWT, JWT_TYPE, OTHER, exchange, gives, issued, other_gives};
use crate::support::samples::{ROBOT, SECOND, TOKEN, authorized_user, granted, service_account};
use crate::support::{Home, TOKENS, Test, iam, metadata, sts, token};

/// What IAM gives: another token, for an hour.
fn impersonated() -> String {
    json!({"accessToken": SECOND, "expireTime": "2026-01-02T04:04:05Z"}).to_string()
}

#[test]
fn a_subject_token_may_be_in_any_place() {
    for words in [
        "--subject-token -",
        "--subject-token=-",
        "--subject-token @{home}/jwt",
        "--subject-token env:SUBJECT",
        "--subject-token-file {home}/jwt",
        "--subject-token-env SUBJECT",
    ] {
        let test = exchange(&format!("{words} --audience a")).env("SUBJECT", format!(" {JWT}\n"));
        let ran = test.input(format!("{JWT}\r\n")).google(gives()).run();
        assert_eq!(ran.sent[0].field("subject_token"), JWT, "{words}");
        assert_eq!(ran.sent[0].field("subject_token_type"), JWT_TYPE, "{words}");
    }
    let url = "https://issuer.example/token?aud=a";
    let test = exchange(&format!("--subject-token-url {url} --audience a"));
    let answer = metadata("", 200, JWT).url(url);
    let ran = test.google(answer.clone()).google(gives()).run();
    assert_eq!(ran.sent[1].field("subject_token"), JWT);
    let test = exchange(&format!("--subject-token-url {url} --audience a"));
    test.google(answer.answers(404)).status(5).says("issuer.example").run();
}

#[test]
fn any_one_secret_may_be_on_standard_input() {
    for (words, field) in [
        ("--subject-token @{home}/jwt --actor-token - --actor-token-type jwt", "actor_token"),
        (
            "--subject-token @{home}/jwt --client-id c --client-secret - --client-auth body",
            "client_secret",
        ),
        ("--refresh-token - --client-id c", "refresh_token"),
    ] {
        let test = exchange(&format!("{words} --endpoint {OTHER}")).input("planted-secret\n");
        let ran = test.secret("planted-secret").google(other_gives()).run();
        assert_eq!(ran.sent[0].field(field), "planted-secret", "{words}");
    }
}

#[test]
fn the_type_of_a_subject_token_is_seen_or_asked_for() {
    let odd = |words: &str| {
        exchange(&format!("--subject-token - --audience a {words}"))
            .input("planted-opaque-token")
            .secret("planted-opaque-token")
    };
    odd("")
        .status(2)
        .says("from standard input does not show its type")
        .tries("--subject-token-type")
        .run();
    let ran = odd("--subject-token-type saml2").google(gives()).run();
    assert_eq!(ran.sent[0].field("subject_token_type"), "urn:ietf:params:oauth:token-type:saml2");
    let ran = odd("--subject-token-type urn:x:y").google(gives()).run();
    assert_eq!(ran.sent[0].field("subject_token_type"), "urn:x:y");
    let google = exchange("--subject-token -").input(TOKEN).google(gives()).run();
    assert_eq!(google.sent[0].field("subject_token_type"), ACCESS);
}

#[test]
fn a_token_of_gauths_own_credential_is_exchanged_from_the_cache() {
    let home = Home::new();
    let words = "exchange --subject-credentials --credentials {home}/key.json --options {}";
    let first = Test::new(words)
        .home(&home)
        .json("key.json", &service_account())
        .google(token(200, granted(SECOND)))
        .google(gives());
    let ran = first.run();
    assert_eq!(ran.sent[1].field("subject_token"), SECOND);
    assert_eq!(ran.sent[1].field("subject_token_type"), ACCESS);
    assert_eq!((ran.sent[1].field("scope"), ran.sent[1].field("audience")), ("", ""));
    // The next one asks for the exchange only, and whether the token was printed or exchanged is the same.
    Test::new(words).home(&home).google(gives()).stdout(&format!("{TOKEN}\n")).run();
    Test::new("token --credentials {home}/key.json")
        .home(&home)
        .stdout(&format!("{SECOND}\n"))
        .run();
    assert_eq!(home.names(TOKENS).iter().filter(|name| name.len() == 64).count(), 1);
    let other = format!("{words} --subject-token-type jwt --endpoint {OTHER}");
    let ran = Test::new(&other).home(&home).google(other_gives()).run();
    assert_eq!(ran.sent[0].field("subject_token_type"), JWT_TYPE);
}

#[test]
fn the_credential_is_chosen_as_for_any_command() {
    let ready =
        Test::new("exchange --subject-credentials").env("GOOGLE_OAUTH_ACCESS_TOKEN", SECOND);
    assert_eq!(ready.google(gives()).run().sent[0].field("subject_token"), SECOND);
    let adc = Test::new("exchange --subject-credentials --source adc")
        .env("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN)
        .json(crate::support::ADC, &authorized_user());
    let ran = adc.google(token(200, granted(SECOND))).google(gives()).run();
    assert_eq!(ran.sent[1].field("subject_token"), SECOND);
    Test::new("exchange --subject-credentials").env("NO_GCE_CHECK", "true").status(3).run();
    let input = Test::new("exchange --subject-credentials --credentials -")
        .input(authorized_user().to_string());
    input.google(token(200, granted(SECOND))).google(gives()).run();
    let universe = json!({"universe_domain": "u.example"});
    let key = crate::support::samples::with(service_account(), &universe);
    // A key of another universe signs its tokens itself, and its STS is there.
    let there =
        Test::new("exchange --subject-credentials --credentials {home}/key.json --format json")
            .json("key.json", &key)
            .google(gives().url("https://sts.u.example/v1/token"));
    assert_eq!(there.run().json()["universe_domain"], "u.example");
}

#[test]
fn a_provider_federates_the_subject_with_the_token_named_for_it() {
    let provider = AUDIENCE.trim_start_matches("//iam.googleapis.com/");
    let words = format!(
        "--subject-credentials --workload-identity-provider {provider} --subject-token-file {{home}}/jwt --options {{}}"
    );
    let first = sts(200, issued().replace(TOKEN, SECOND));
    let ran = exchange(&words).google(first).google(gives()).run();
    assert_eq!(ran.sent[0].field("subject_token"), JWT);
    assert_eq!(ran.sent[0].field("audience"), AUDIENCE);
    assert_eq!(ran.sent[1].field("subject_token"), SECOND);
}

#[test]
fn what_was_exchanged_impersonates_a_service_account() {
    let words = format!(
        "--subject-token @{{home}}/jwt --audience {AUDIENCE} --impersonate-service-account {ROBOT} \
         --scopes pubsub --lifetime 20m --format json"
    );
    let ran = exchange(&words)
        .google(gives())
        .google(iam(ROBOT, "generateAccessToken", 200, impersonated()))
        .run();
    assert_eq!(ran.sent[0].field("scope"), "https://www.googleapis.com/auth/iam");
    assert_eq!(ran.sent[1].headers["authorization"], format!("Bearer {TOKEN}"));
    let asked = json!({
        "delegates": [], "scope": ["https://www.googleapis.com/auth/pubsub"], "lifetime": "1200s",
    });
    assert_eq!(ran.sent[1].json()["scope"], asked["scope"]);
    assert_eq!(ran.sent[1].json()["lifetime"], asked["lifetime"]);
    let json = ran.json();
    assert_eq!((&json["token"], &json["account"]), (&json!(SECOND), &json!(ROBOT)));
    assert_eq!((&json["source"], &json["issued_token_type"]), (&json!("exchange"), &json!(ACCESS)));
    assert_eq!(json["expires_in"], 3600);
}

#[test]
fn delegates_stand_before_the_service_account_and_other_servers_get_no_scope() {
    let middle = "middle@example-project.iam.gserviceaccount.com";
    let words = format!(
        "--subject-token @{{home}}/jwt --endpoint {OTHER} --impersonate-service-account {middle},{ROBOT} --scopes pubsub"
    );
    let home = Home::new();
    let test = exchange(&words).home(&home).google(other_gives());
    let ran = test
        .google(iam(ROBOT, "generateAccessToken", 200, impersonated()))
        .stdout(&format!("{SECOND}\n"))
        .run();
    assert_eq!(ran.sent[0].field("scope"), "");
    assert_eq!(
        ran.sent[1].json()["delegates"],
        json!([format!("projects/-/serviceAccounts/{middle}")])
    );
    // Neither of the two tokens is kept.
    assert!(home.names(TOKENS).is_empty());
}

#[test]
fn a_variable_is_about_the_credential_and_not_about_what_is_exchanged() {
    let words = "--subject-token @{home}/jwt --audience a";
    let test = exchange(words).env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", ROBOT);
    test.google(gives()).stdout(&format!("{TOKEN}\n")).run();
    let test = Test::new("exchange --subject-credentials --credentials {home}/user.json")
        .env("GAUTH_IMPERSONATE_SERVICE_ACCOUNT", ROBOT)
        .json("user.json", &authorized_user());
    let ran = test
        .google(token(200, granted("ya29.token-of-the-person")))
        .google(iam(ROBOT, "generateAccessToken", 200, impersonated()))
        .google(gives())
        .run();
    assert_eq!(ran.sent[2].field("subject_token"), SECOND);
}

#[test]
fn a_service_account_that_may_not_be_acted_as_is_told_of() {
    let words =
        format!("--subject-token @{{home}}/jwt --audience a --impersonate-service-account {ROBOT}");
    let denied = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "No."}});
    exchange(&words)
        .google(gives())
        .google(iam(ROBOT, "generateAccessToken", 403, denied.to_string()))
        .status(5)
        .says("the exchanged token may not act as")
        .tries("serviceAccountTokenCreator")
        .run();
}

#[test]
fn places_without_a_usable_secret_are_named() {
    let run = |words: &str| exchange(&format!("{words} --audience a"));
    run("--subject-token @{home}/none")
        .status(8)
        .says("HOME/none (--subject-token): there is no such file")
        .run();
    run("--subject-token-file {home}/none")
        .status(8)
        .says("HOME/none (--subject-token-file)")
        .run();
    run("--subject-token @{home}")
        .status(8)
        .says("is not a regular file")
        .tries("--subject-token")
        .run();
    run("--subject-token env:NONE").status(2).says("the variable NONE (--subject-token)").run();
    run("--subject-token-env NONE").status(2).says("the variable NONE (--subject-token-env)").run();
    run("--subject-token env:A=B").status(2).says("the variable A=B").run();
    run("--subject-token -").status(8).says("standard input (--subject-token): is empty").run();
    for (content, words) in [
        (b"".to_vec(), "is empty"),
        (b" \n".to_vec(), "is empty"),
        (b"\xff\xfe".to_vec(), "is not UTF-8 text"),
        (b"two\nlines".to_vec(), "is more than one line"),
        (b"nul\0".to_vec(), "is more than one line"),
        (vec![b'x'; 64 * 1024 + 1], "is larger than 64 KiB"),
    ] {
        let test = run("--subject-token @{home}/bad").file("bad", &content);
        test.status(8).says("HOME/bad (--subject-token)").says(words).run();
        run("--subject-token -").input(&content).status(8).says("standard input").says(words).run();
        let words = "--subject-token @{home}/jwt --client-id c --client-secret @{home}/bad";
        run(words).file("bad", &content).status(8).says("HOME/bad (--client-secret)").run();
    }
}

#[test]
fn a_subject_token_that_has_ended_is_warned_of() {
    // Its claims are {"exp":1767323000}.
    let over = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3NjczMjMwMDB9.c2lnbmF0dXJl";
    exchange("--subject-token - --audience a")
        .input(over)
        .google(gives())
        .warns("the subject token from standard input expired 45 s ago")
        .run();
}
