//! What servers answer, and how it is printed.

use serde_json::{Value, json};

use super::{ACCESS, OTHER, exchange, gives, issued, other_gives};
use crate::support::samples::{REFRESH_TOKEN, ROBOT, ROTATED, TOKEN};
use crate::support::{Exchange, Test, sts};

const WORDS: &str = "--subject-token @{home}/jwt --audience a";

fn google(format: &str) -> Test {
    exchange(&format!("{WORDS} {format}"))
}

/// An answer with some of its members changed; `null` takes one away.
fn changed(changes: &Value) -> Exchange {
    let answer: Value = serde_json::from_str(&issued()).expect("JSON");
    gives_body(&crate::support::samples::with(answer, changes))
}

fn gives_body(body: &Value) -> Exchange {
    sts(200, body.to_string())
}

#[test]
fn every_format_is_one_whole() {
    for (format, stdout) in [
        ("", format!("{TOKEN}\n")),
        ("--format text", format!("{TOKEN}\n")),
        ("--format header", format!("Authorization: Bearer {TOKEN}\n")),
        (
            "--format env",
            format!("CLOUDSDK_AUTH_ACCESS_TOKEN={TOKEN}\nGOOGLE_OAUTH_ACCESS_TOKEN={TOKEN}\n"),
        ),
        ("--format curl-config", format!("header = \"Authorization: Bearer {TOKEN}\"\n")),
    ] {
        google(format).google(gives()).stdout(&stdout).run();
    }
}

#[test]
fn json_has_every_key_in_order() {
    let ran = google("--format json --quota-project payer").google(gives()).run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": ["https://www.googleapis.com/auth/cloud-platform"], "account": null, "kind": "exchange",
        "source": "exchange", "quota_project": "payer", "universe_domain": "googleapis.com", "cached": false,
        "issued_token_type": ACCESS,
    });
    assert_eq!(ran.json(), expected);
    let keys: Vec<&str> = ran.stdout.lines().filter_map(|line| line.split('"').nth(1)).collect();
    let order = [
        "token",
        "token_type",
        "expires_at",
        "expires_in",
        "scopes",
        "https://www.googleapis.com/auth/cloud-platform",
        "account",
        "kind",
        "source",
        "quota_project",
        "universe_domain",
        "cached",
        "issued_token_type",
    ];
    assert_eq!(keys, order);
}

#[test]
fn what_the_server_does_not_say_is_null() {
    let answer = json!({"access_token": TOKEN, "token_type": "bearer"}).to_string();
    let test = exchange(&format!("--subject-token @{{home}}/jwt --endpoint {OTHER} --format json"));
    let json = test.google(sts(200, answer).url(OTHER)).run().json();
    for key in ["expires_at", "expires_in", "scopes", "universe_domain", "issued_token_type"] {
        assert_eq!(json[key], Value::Null, "{key}");
    }
    assert_eq!(json["token_type"], "Bearer");
    assert!(json.get("refresh_token").is_none(), "{json}");
    let scoped = google("--format json --scopes a,b").google(changed(&json!({"scope": "y x"})));
    assert_eq!(scoped.run().json()["scopes"], json!(["x", "y"]));
}

#[test]
fn what_is_no_bearer_token_is_not_put_behind_bearer() {
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    for kind in ["N_A", "DPoP", "mac"] {
        let answer = || changed(&json!({"token_type": kind, "issued_token_type": jwt}));
        google("").google(answer()).stdout(&format!("{TOKEN}\n")).run();
        let json = google("--format json").google(answer()).run().json();
        assert_eq!((&json["token_type"], &json["issued_token_type"]), (&json!(kind), &json!(jwt)));
        for format in ["header", "env", "curl-config"] {
            google(&format!("--format {format}"))
                .google(answer())
                .status(7)
                .says(&format!("the token is of type {kind}"))
                .tries("--format text")
                .run();
        }
        google(&format!("--impersonate-service-account {ROBOT}"))
            .google(answer())
            .status(7)
            .says("cannot impersonate")
            .run();
    }
}

#[test]
fn a_new_refresh_token_is_printed_or_warned_of() {
    let refresh = |format: &str, new: &str| {
        let answer = changed(&json!({"refresh_token": new, "issued_token_type": null}));
        exchange(&format!("--refresh-token - --client-id c {format}"))
            .input(REFRESH_TOKEN)
            .google(answer.url("https://sts.googleapis.com/v1/oauthtoken"))
    };
    let json = refresh("--format json", ROTATED).run().json();
    assert_eq!(json["refresh_token"], ROTATED);
    for format in ["", "--format header", "--format env", "--format curl-config"] {
        refresh(format, ROTATED).warns("only --format json prints it").run();
        // The same again is no news.
        refresh(format, REFRESH_TOKEN).stderr("").run();
    }
    assert_eq!(
        refresh("--format json", REFRESH_TOKEN).run().json()["refresh_token"],
        REFRESH_TOKEN
    );
    // Nor is it printed when the rest fails.
    let failed = refresh("--format json --min-ttl 2h", ROTATED).status(7);
    failed.warns("only --format json prints it").run();
    let given = google("").google(changed(&json!({"refresh_token": ROTATED})));
    given.warns("only --format json prints it").run();
}

#[test]
fn a_token_must_last_as_long_as_was_asked() {
    google("--min-ttl 50m").google(gives()).run();
    google("--min-ttl 2h").google(gives()).status(7).says("--min-ttl asks for 7200 s").run();
}

#[test]
fn answers_without_a_usable_token_are_no_answers() {
    for body in [
        String::new(),
        "[]".to_owned(),
        "<html>log in</html>".to_owned(),
        json!({"token_type": "Bearer"}).to_string(),
        json!({"access_token": ""}).to_string(),
        json!({"access_token": 5}).to_string(),
        json!({"access_token": "two words"}).to_string(),
        json!({"access_token": TOKEN, "expires_in": "soon"}).to_string(),
        json!({"access_token": TOKEN, "issued_token_type": 5}).to_string(),
    ] {
        google("").google(sts(200, body)).status(6).says("sts.googleapis.com: the answer").run();
    }
}

/// Code, description, URI as the server says it, and words of the hint.
const REFUSALS: &[(u16, &str, &str, &str)] = &[
    (400, "invalid_grant", "The ID Token is expired", "get a new subject token: HOME/jwt"),
    (400, "invalid_grant", "The audience is wrong", "attribute condition of the provider"),
    (400, "invalid_target", "no such provider", "workloadIdentityPools/POOL/providers/PROVIDER"),
    (401, "invalid_client", "who?", "--client-id, --client-secret and --client-auth"),
    (400, "unauthorized_client", "no", "--client-id, --client-secret and --client-auth"),
    (400, "invalid_scope", "no", "--scopes"),
    (400, "unsupported_grant_type", "no", "check --endpoint"),
    (400, "invalid_request", "no", "check the token from HOME/jwt, and its type"),
];

#[test]
fn a_refusal_has_code_description_and_uri_and_a_hint() {
    for (status, code, description, hint) in REFUSALS {
        let uri = "https://tools.example/rfc8693";
        let body = json!({"error": code, "error_description": description, "error_uri": uri});
        google("")
            .google(sts(*status, body.to_string()))
            .status(5)
            .says(&format!("sts.googleapis.com: Google says {code}: \"{description}\" ({uri})"))
            .tries(hint)
            .run();
    }
    let bare = google("").google(sts(400, json!({"error": "invalid_scope"}).to_string()));
    bare.status(5).says("Google says invalid_scope").run();
}

#[test]
fn another_server_is_not_called_google() {
    for (status, code, hint) in [
        (400, "invalid_grant", "check the token from HOME/jwt"),
        (400, "invalid_target", "check --audience and --resource"),
        (401, "invalid_client", "--client-secret"),
        (400, "invalid_request", "what gauth -vv shows"),
        (400, "unsupported_grant_type", "check --endpoint: this one does not exchange"),
    ] {
        let body = json!({"error": code, "error_description": "no"}).to_string();
        exchange(&format!("{WORDS} --endpoint {OTHER}"))
            .google(sts(status, body).url(OTHER))
            .status(5)
            .says(&format!("as.example.com: the server says {code}: \"no\""))
            .tries(hint)
            .run();
    }
    let lost = exchange(&format!("{WORDS} --endpoint {OTHER}"));
    lost.google(other_gives().answers(404)).status(5).tries("check --endpoint").run();
    let refused = json!({"error": "invalid_grant", "error_description": "revoked"}).to_string();
    exchange(&format!("--refresh-token - --client-id c --endpoint {OTHER}"))
        .input(REFRESH_TOKEN)
        .google(sts(400, refused).url(OTHER))
        .status(5)
        .tries("sign in again: the refresh token from standard input")
        .run();
}

#[test]
fn a_server_that_repeats_a_secret_is_not_repeated() {
    let body =
        json!({"error": "invalid_request", "error_description": format!("bad {}", super::JWT)});
    google("").google(sts(400, body.to_string())).status(5).says("[secret ").run();
}
