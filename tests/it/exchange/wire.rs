//! Every parameter, on the wire, in order.

use serde_json::json;

use super::{
    ACCESS, AUDIENCE, CLOUD_PLATFORM, GRANT, JWT, JWT_TYPE, OTHER, exchange, gives, issued,
    other_gives,
};
use crate::support::samples::{REFRESH_TOKEN, TOKEN, granted};
use crate::support::{Exchange, Test, sts, token};

#[track_caller]
fn sends(test: Test, server: Exchange, fields: &[(&str, &str)]) {
    let ran = test.google(server).stdout(&format!("{TOKEN}\n")).run();
    let written = ran.sent[0].fields();
    let sent: Vec<(&str, &str)> =
        written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sent, fields);
}

#[test]
fn a_providers_token_is_exchanged_with_what_google_wants_to_know() {
    let fields = [
        ("grant_type", GRANT),
        ("audience", AUDIENCE),
        ("scope", CLOUD_PLATFORM),
        ("requested_token_type", ACCESS),
        ("subject_token", JWT),
        ("subject_token_type", JWT_TYPE),
    ];
    let words = format!("--subject-token @{{home}}/jwt --audience {AUDIENCE}");
    sends(exchange(&words), gives(), &fields);
    for endpoint in [
        "https://sts.googleapis.com/v1/token",
        "https://sts.mtls.googleapis.com/v1/token",
        "https://sts.us-east1.rep.googleapis.com/v1/token",
    ] {
        let test = exchange(&format!("{words} --endpoint {endpoint}"));
        sends(test, gives().url(endpoint), &fields);
    }
    let moved = exchange(&words).env("CLOUDSDK_API_ENDPOINT_OVERRIDES_STS", "http://127.0.0.1:9/");
    sends(moved, gives().url("http://127.0.0.1:9/v1/token"), &fields);
    let universe = exchange(&format!("{words} --universe-domain u.example"));
    sends(universe, gives().url("https://sts.u.example/v1/token"), &fields);
    let own = exchange(&format!(
        "{words} --universe-domain u.example --endpoint https://sts.u.example/v1/token"
    ));
    sends(own, gives().url("https://sts.u.example/v1/token"), &fields);
}

#[test]
fn short_scopes_get_googles_prefix_at_google_only() {
    let scope = |words: &str, server: Exchange| {
        let words = format!("--subject-token @{{home}}/jwt --audience a {words}");
        exchange(&words).google(server).run().sent[0].field("scope").to_owned()
    };
    let full = "https://www.googleapis.com/auth/pubsub openid";
    assert_eq!(scope("--scopes openid,pubsub", gives()), full);
    assert_eq!(scope("--scopes pubsub --scopes openid", gives()), full);
    let other = format!("--endpoint {OTHER}");
    assert_eq!(
        scope(&format!("{other} --scopes zeta,alpha --scopes zeta"), other_gives()),
        "zeta alpha"
    );
    assert_eq!(scope(&other, other_gives()), "");
    let variable = |words: &str, server: Exchange| {
        let words = format!("--subject-token @{{home}}/jwt --audience a {words}");
        let test = exchange(&words).env("GAUTH_SCOPES", "pubsub").google(server);
        test.run().sent[0].field("scope").to_owned()
    };
    assert_eq!(variable("", gives()), "https://www.googleapis.com/auth/pubsub");
    assert_eq!(variable(&other, other_gives()), "");
}

#[test]
fn every_parameter_goes_to_any_server_in_order() {
    let test = exchange(&format!(
        "--grant-type token-exchange --resource https://api.example.com/ --resource urn:example:r \
         --audience one --audience two --scopes read --scopes write --requested-token-type jwt \
         --subject-token @{{home}}/jwt --subject-token-type id_token --actor-token @{{home}}/actor \
         --actor-token-type urn:example:actor --client-id CID --client-secret @{{home}}/secret --client-auth body \
         --endpoint {OTHER} --header X-Tenant:blue --header Authorization:env:AUTH --header X-From:@{{home}}/from"
    ))
    .word("--options")
    .word(r#"{"userProject": "p & q"}"#)
    .file("actor", "planted-actor-token\n")
    .secret("planted-actor-token")
    .file("secret", "planted-client-secret\n")
    .file("from", "planted-header-value")
    .secret("planted-header-value")
    .env("AUTH", "Bearer planted-authorization")
    .secret("planted-authorization");
    let ran = test.google(other_gives()).run();
    let written = ran.sent[0].fields();
    let sent: Vec<(&str, &str)> =
        written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("grant_type", GRANT),
        ("resource", "https://api.example.com/"),
        ("resource", "urn:example:r"),
        ("audience", "one"),
        ("audience", "two"),
        ("scope", "read write"),
        ("requested_token_type", JWT_TYPE),
        ("subject_token", JWT),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ("actor_token", "planted-actor-token"),
        ("actor_token_type", "urn:example:actor"),
        ("options", r#"{"userProject": "p & q"}"#),
        ("client_id", "CID"),
        ("client_secret", "planted-client-secret"),
    ];
    assert_eq!(sent, expected);
    let headers = &ran.sent[0].headers;
    assert_eq!(headers["x-tenant"], "blue");
    assert_eq!(headers["authorization"], "Bearer planted-authorization");
    assert_eq!(headers["x-from"], "planted-header-value");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
}

#[test]
fn any_other_server_gets_what_is_written_and_nothing_else() {
    let fields = [("grant_type", GRANT), ("subject_token", JWT), ("subject_token_type", JWT_TYPE)];
    for endpoint in
        [OTHER, "http://127.0.0.1:9/token", "https://sts.googleapis.com.evil.example/v1/token"]
    {
        let test = exchange(&format!("--subject-token @{{home}}/jwt --endpoint {endpoint}"));
        sends(test, gives().url(endpoint), &fields);
    }
    let grant = "urn:example:grant";
    let test =
        exchange(&format!("--subject-token @{{home}}/jwt --endpoint {OTHER} --grant-type {grant}"));
    let fields = [("grant_type", grant), ("subject_token", JWT), ("subject_token_type", JWT_TYPE)];
    sends(test, other_gives(), &fields);
}

#[test]
fn a_media_type_of_the_users_own_takes_the_place_of_the_usual_one() {
    let test = exchange("--subject-token @{home}/jwt --audience a --header")
        .word("Content-Type: application/x-www-form-urlencoded; charset=UTF-8");
    let ran = test.google(gives()).run();
    let media_type = "application/x-www-form-urlencoded; charset=UTF-8";
    assert_eq!(ran.sent[0].headers["content-type"], media_type);
    assert_eq!(ran.sent[0].headers.keys().filter(|name| *name == "content-type").count(), 1);
}

#[test]
fn options_come_from_a_file_as_well() {
    let boundary = "\u{feff} {\"accessBoundary\":{\"accessBoundaryRules\":[]}}\n";
    let test = exchange("--subject-token @{home}/google --options @{home}/options.json")
        .file("google", TOKEN)
        .file("options.json", boundary);
    let ran = test.google(gives()).run();
    assert_eq!(ran.sent[0].field("options"), boundary.trim_start_matches('\u{feff}').trim());
    // An access token of Google's own keeps its scopes.
    assert_eq!(ran.sent[0].field("scope"), "");
    assert_eq!(ran.sent[0].field("subject_token_type"), ACCESS);
}

#[test]
fn a_refresh_token_is_sent_once_and_to_its_own_endpoint() {
    let workforce = "https://sts.googleapis.com/v1/oauthtoken";
    for (words, url, fields) in [
        (
            "--client-id CID --client-secret env:SECRET",
            workforce,
            vec![("grant_type", "refresh_token"), ("refresh_token", REFRESH_TOKEN)],
        ),
        (
            "--grant-type refresh_token --scopes a,b --client-id CID --endpoint https://as.example.com/token",
            OTHER,
            vec![
                ("grant_type", "refresh_token"),
                ("scope", "a b"),
                ("refresh_token", REFRESH_TOKEN),
                ("client_id", "CID"),
            ],
        ),
    ] {
        let test = exchange(&format!("--refresh-token @{{home}}/login {words}"))
            .file("login", format!("{REFRESH_TOKEN}\n"))
            .env("SECRET", "planted-client-secret");
        let ran =
            test.google(token(200, granted(TOKEN)).url(url)).stdout(&format!("{TOKEN}\n")).run();
        let written = ran.sent[0].fields();
        let sent: Vec<(&str, &str)> =
            written.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(sent, fields);
        assert!(ran.sent[0].single_use);
    }
    let once =
        exchange("--refresh-token @{home}/login --client-id CID").file("login", REFRESH_TOKEN);
    once.google(token(503, "{}").url(workforce)).status(6).says("status 503").run();
}

#[test]
fn an_exchange_is_tried_again_when_the_server_is_busy() {
    let words = "--subject-token @{home}/jwt --audience a";
    let ran = exchange(words).google(sts(503, "")).google(sts(429, "")).google(gives()).run();
    assert_eq!(ran.sent[0].fields(), ran.sent[2].fields());
    exchange(words).google_times(3, &sts(500, "")).status(6).says("status 500").run();
}

#[test]
fn nothing_is_kept() {
    let home = crate::support::Home::new();
    for _ in 0..2 {
        let ran = exchange("--subject-token @{home}/jwt --audience a --format json")
            .home(&home)
            .google(sts(200, issued()))
            .run();
        assert_eq!(ran.json()["cached"], json!(false));
    }
    assert!(home.names(crate::support::TOKENS).is_empty());
}
