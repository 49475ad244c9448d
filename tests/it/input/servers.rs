//! What the servers of the newer kinds answer: STS, IAM, AWS's metadata server, a subject token's URL, Google
//! Distributed Cloud. Each fault with its exit code, the host or account, and the hint that fits.

use std::time::Duration;

use serde_json::{Value, json};

use super::with_credential;
use crate::support::samples::{
    REFRESH_TOKEN, SECOND, SUBJECT, TARGET, TOKEN, authorized_user, exchanged, gdch, granted,
    impersonated, lent, of_file, with, workforce_login,
};
use crate::support::{Exchange, Home, Test, iam, nothing, sts, token};

const HTML: &str = "<!DOCTYPE html><html>GAUTH-TEST-JUNK-SECRET</html>";

/// A run up to the answer in question, and the host that gives it.
struct Case {
    name: &'static str,
    test: fn() -> Test,
    answer: fn(u16, &str) -> Exchange,
    host: &'static str,
    /// The name of the field with the token.
    token: &'static str,
}

const OAUTHTOKEN: &str = "https://sts.googleapis.com/v1/oauthtoken";
const GDCH: &str = "https://service-identity.gdch.example/authenticate";

/// Those that answer with a token for Google's APIs.
const GRANTING: &[Case] = &[
    Case {
        name: "an exchange",
        test: || with_credential(&of_file()).subject(),
        answer: |status, body| sts(status, body),
        host: "sts.googleapis.com",
        token: "access_token",
    },
    Case {
        name: "a refresh of a workforce login",
        test: || with_credential(&workforce_login()),
        answer: |status, body| token(status, body).url(OAUTHTOKEN),
        host: "sts.googleapis.com",
        token: "access_token",
    },
    Case {
        name: "a service account that is acted as",
        test: || {
            let user = with_credential(&impersonated(authorized_user()));
            user.google(token(200, granted(TOKEN)))
        },
        answer: |status, body| iam(TARGET, "generateAccessToken", status, body),
        host: "iamcredentials.googleapis.com",
        token: "accessToken",
    },
    Case {
        name: "a distributed cloud",
        test: || {
            Test::new("token --credentials {home}/key.json --audience https://api.example")
                .json("key.json", &gdch())
        },
        answer: |status, body| token(status, body).url(GDCH),
        host: "service-identity.gdch.example",
        token: "access_token",
    },
    Case {
        name: "a narrowed token",
        test: || {
            Test::new("token --credentials {home}/key.json --downscope objectViewer@b-1")
                .json("key.json", &authorized_user())
                .google(token(200, granted(TOKEN)))
        },
        answer: |status, body| sts(status, body),
        host: "sts.googleapis.com",
        token: "access_token",
    },
];

/// Good status, useless body; `TOKEN` stands for the name of the field.
const USELESS: &[(&str, &str)] = &[
    ("", "the answer is empty"),
    ("OK", "the answer is not valid JSON"),
    ("[]", "the answer is JSON, but not an object"),
    ("\"ya29.GAUTH-TEST-JUNK-SECRET\"", "the answer is JSON, but not an object"),
    ("{", "the answer ends in the middle"),
    ("{}", "TOKEN is missing"),
    ("{\"error\":\"invalid_grant\"}", "TOKEN is missing"),
    ("{\"TOKEN\":null}", "TOKEN is missing"),
    ("{\"TOKEN\":\"\"}", "TOKEN is empty"),
    ("{\"TOKEN\":5}", "TOKEN is a number"),
    ("{\"TOKEN\":true}", "TOKEN is true or false"),
    ("{\"TOKEN\":[\"GAUTH-TEST-JUNK-SECRET\"]}", "TOKEN is a list"),
    ("{\"TOKEN\":{\"x\":\"GAUTH-TEST-JUNK-SECRET\"}}", "TOKEN is an object"),
    ("{\"TOKEN\":\"a b\"}", "TOKEN that no header can carry"),
    ("{\"TOKEN\":\"a\\r\\nX: y\"}", "TOKEN that no header can carry"),
    ("{\"TOKEN\":\"a\",\"TOKEN\":\"b\"}", "has the key \"TOKEN\" twice"),
    ("{\"Token\":\"GAUTH-TEST-JUNK-SECRET\"}", "TOKEN is missing"),
];

#[test]
fn a_good_status_alone_is_no_token() {
    for case in GRANTING {
        for (body, words) in USELESS {
            let body = body.replace("TOKEN", case.token);
            (case.test)()
                .google((case.answer)(200, &body))
                .status(6)
                .says(&format!("{}: the answer ", case.host))
                .says(&words.replace("TOKEN", case.token))
                .run();
        }
        let long = format!("{{\"{}\":\"{}\"}}", case.token, "x".repeat(16_385));
        let test = (case.test)().google((case.answer)(200, &long)).status(6);
        test.says("no header can carry").run();
    }
}

#[test]
fn a_bad_status_names_the_host_and_is_tried_again_where_that_helps() {
    for case in GRANTING {
        // A refresh token that rotates may be spent: it is sent again only if nobody got it.
        let again = |times: usize| match case.name {
            "a refresh of a workforce login" => 1,
            _ => times,
        };
        for (status, body, exit, times, words) in [
            (400, "", 5, 1, "status 400"),
            (400, "nonsense", 5, 1, "status 400: \"nonsense\""),
            (400, "{\"error\":5}", 5, 1, "status 400"),
            (403, HTML, 5, 1, "status 403 and a web page"),
            (404, "not found", 5, 1, "status 404: \"not found\""),
            (401, "a\u{1b}[31mb\u{202e}", 5, 1, "status 401: \"a\\u{1b}[31mb\\u{202e}\""),
            (407, "", 6, 1, "status 407"),
            (408, "", 6, again(3), "status 408"),
            (429, "{}", 6, again(3), "status 429"),
            (500, "", 6, again(3), "status 500"),
            (502, HTML, 6, again(3), "status 502 and a web page"),
            (503, "busy", 6, again(3), "status 503: \"busy\""),
            (501, "", 6, 1, "status 501"),
            (201, "{\"access_token\":\"ya29.GAUTH-TEST-JUNK-SECRET\"}", 6, 1, "status 201 where"),
            (204, "", 6, 1, "status 204 where 200 is due"),
            (302, "", 6, 1, "redirects to nowhere (302), which is not followed"),
            (304, "", 6, 1, "redirects to nowhere (304)"),
        ] {
            let answer = (case.answer)(status, body);
            (case.test)()
                .google_times(times, &answer)
                .status(exit)
                .says(&format!("{}: ", case.host))
                .says(words)
                .run();
        }
    }
}

#[test]
fn a_web_page_points_at_the_portal_whoever_was_asked() {
    for case in GRANTING {
        for (status, exit) in [(200, 6), (403, 5), (400, 5)] {
            let test = (case.test)().google((case.answer)(status, HTML)).status(exit);
            test.says(case.host).tries("a captive portal or a proxy answers").run();
        }
    }
}

#[test]
fn redirects_silence_and_delay_name_the_host() {
    for case in GRANTING {
        let away = (case.answer)(307, "").header("location", "https://evil.example/?GAUTH-TEST");
        let test = (case.test)().google(away).status(6);
        test.says(&format!("{}: redirects to evil.example (307)", case.host)).run();
        let gone = nothing((case.answer)(200, ""));
        let test = (case.test)().google_times(3, &gone).status(6);
        test.says(&format!("{}: connection refused", case.host)).run();
        let slow = (case.answer)(200, "").takes(Duration::from_secs(60));
        let test = (case.test)().google(slow).status(6);
        test.says(&format!("{}: no answer in time", case.host)).tries("--timeout").run();
        let busy = (case.answer)(503, "").header("retry-after", "600");
        let test = (case.test)().google(busy).status(6);
        test.says(&format!("{}: ", case.host)).run();
    }
}

fn said(code: &str, description: &str) -> String {
    json!({"error": code, "error_description": description}).to_string()
}

#[test]
fn refusals_of_the_sts_say_what_to_look_at() {
    let run = |status, body: String| {
        let test = with_credential(&of_file()).subject().google(sts(status, body));
        test.status(5).says("sts.googleapis.com: Google says ")
    };
    let stale = "The ID Token in subject_token has expired";
    for (code, description, tries) in [
        ("invalid_grant", stale, "get a new subject token: HOME/subject gave one that has expired"),
        (
            "invalid_grant",
            "The audience in ID Token does not match",
            "compare issuer, audience and attribute condition of the provider with the token from HOME/subject",
        ),
        ("invalid_grant", "", "compare issuer, audience and attribute condition"),
        ("invalid_target", "The target service indicated is invalid", "check the audience"),
        ("invalid_client", "", "check client_id and client_secret"),
        ("unauthorized_client", "", "check client_id and client_secret"),
        ("invalid_scope", "Some", "check --scopes: one is misspelt"),
        ("unsupported_grant_type", "", "check the URL: this endpoint does not exchange tokens"),
        ("invalid_request", "Invalid subject_token", "check the token from HOME/subject, and its"),
        ("nobody_knows", "x", "check the token from HOME/subject, and its type"),
    ] {
        run(400, said(code, description)).says(code).says(description).tries(tries).run();
    }
    let more = json!({"error": "invalid_target", "error_uri": "https://e.example/\u{7}"});
    run(400, more.to_string()).says("invalid_target (https://e.example/\\u{7})").run();
    let later = said("temporarily_unavailable", "");
    let answer = sts(400, later);
    let test = with_credential(&of_file()).subject().google_times(3, &answer).status(5);
    test.says("temporarily_unavailable").run();
    // What the server repeats of the subject token is not.
    run(400, said("invalid_request", &format!("cannot read {SUBJECT}"))).run();
    let cut = said("invalid_request", &"y".repeat(5000));
    assert!(run(400, cut).says("yyy…\"").run().stderr.len() < 1000);
}

#[test]
fn a_refused_boundary_blames_the_boundary() {
    let run = |status, body: &str| {
        Test::new("token --credentials {home}/key.json --downscope objectViewer@b-1")
            .json("key.json", &authorized_user())
            .google(token(200, granted(TOKEN)))
            .google(sts(status, body))
    };
    run(400, &said("invalid_request", "Invalid boundary"))
        .status(5)
        .says("sts.googleapis.com: Google says invalid_request: \"Invalid boundary\"")
        .tries("check the boundary, and that the token of ada@example.com has the scope")
        .run();
}

#[test]
fn a_workforce_login_that_has_ended_is_made_again() {
    for (status, body) in [
        (400, said("invalid_grant", "Token has been expired or revoked.")),
        (401, said("invalid_grant", "")),
    ] {
        with_credential(&workforce_login())
            .google(token(status, body).url(OAUTHTOKEN))
            .status(4)
            .says("HOME/key.json must sign in again, Google says invalid_grant")
            .tries("gcloud auth application-default login --login-config FILE")
            .run();
    }
    for code in ["invalid_client", "unauthorized_client", "invalid_request"] {
        with_credential(&workforce_login())
            .google(token(401, said(code, "")).url(OAUTHTOKEN))
            .status(5)
            .says(&format!("sts.googleapis.com: Google says {code}"))
            .tries("check client_id and client_secret in HOME/key.json")
            .run();
    }
    let repeated = said("invalid_request", &format!("bad {REFRESH_TOKEN}"));
    let answer = token(400, repeated).url(OAUTHTOKEN);
    with_credential(&workforce_login()).google(answer).status(5).run();
}

/// An error in the style of Google's APIs.
fn api(status: u16, code: &str, message: &str, reason: &str) -> Exchange {
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason, "domain": "iam.googleapis.com",
        "metadata": {"permission": "iam.serviceAccounts.getAccessToken"},
    });
    let error = json!({"code": status, "message": message, "status": code, "details": [info]});
    iam(TARGET, "generateAccessToken", status, json!({ "error": error }).to_string())
}

fn acting() -> Test {
    with_credential(&impersonated(authorized_user())).google(token(200, granted(TOKEN)))
}

#[test]
fn refusals_of_iam_say_who_may_not_act_as_whom() {
    let who = format!("ada@example.com may not act as {TARGET}, Google says ");
    let denied =
        "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
    acting()
        .google(api(403, "PERMISSION_DENIED", denied, "IAM_PERMISSION_DENIED"))
        .status(5)
        .stderr(&format!(
            "gauth: {who}PERMISSION_DENIED: \"{denied}\" (IAM_PERMISSION_DENIED of iam.googleapis.com)\n\
             try: grant roles/iam.serviceAccountTokenCreator on that service account to ada@example.com, and wait a minute\n"
        ))
        .run();
    let disabled = "IAM Service Account Credentials API has not been used in project 1 before or it is disabled.";
    for (status, code, message, reason, says, tries) in [
        (
            403,
            "PERMISSION_DENIED",
            disabled,
            "SERVICE_DISABLED",
            who.as_str(),
            "gcloud services enable",
        ),
        (404, "NOT_FOUND", "Unknown service account", "X", who.as_str(), "check the name"),
        (401, "UNAUTHENTICATED", "Invalid credentials", "X", who.as_str(), "gauth token --refresh"),
        (
            400,
            "INVALID_ARGUMENT",
            "The token lifetime exceeds the maximum",
            "X",
            "iamcredentials.googleapis.com: Google says INVALID_ARGUMENT",
            "allowServiceAccountCredentialLifetimeExtension",
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "Request contains an invalid argument.",
            "X",
            "iamcredentials.googleapis.com: Google says INVALID_ARGUMENT",
            "check --scopes, --lifetime and the name of the account",
        ),
    ] {
        let test = acting().google(api(status, code, message, reason)).status(5);
        test.says(says).says(message).says(reason).tries(tries).run();
    }
    for (status, code, reason) in [
        (429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"),
        (500, "INTERNAL", "X"),
        (503, "UNAVAILABLE", "X"),
    ] {
        let answer = api(status, code, "Later", reason);
        acting()
            .google_times(3, &answer)
            .status(6)
            .says(&format!(
                "iamcredentials.googleapis.com: Google says {code}: \"Later\" ({reason} of"
            ))
            .tries("try again later")
            .run();
    }
}

#[test]
fn the_end_of_a_lent_token_is_a_time() {
    for (end, words) in [
        (json!("tomorrow"), "expireTime is not a time like"),
        (json!("2026-01-02"), "expireTime is not a time like"),
        (json!("2026-13-02T04:04:05Z"), "expireTime is not a time like"),
        (json!("2026-01-02T04:04:05"), "expireTime is not a time like"),
        (json!(""), "expireTime is not a time like"),
        (json!(1_767_326_645), "expireTime is a number"),
        (json!(["2026-01-02T04:04:05Z"]), "expireTime is a list"),
    ] {
        let body = json!({"accessToken": SECOND, "expireTime": end}).to_string();
        let answer = iam(TARGET, "generateAccessToken", 200, body);
        let test = acting().google(answer).status(6);
        test.says("iamcredentials.googleapis.com: the answer is not understood, ")
            .says(words)
            .run();
    }
    // An odd clock, there or here, is no reason to withhold a token; what has ended, or does not say when, is not
    // kept.
    for (end, left) in [
        (Value::Null, 0),
        (json!("2026-01-02T03:04:04Z"), 0),
        (json!("1970-01-01T00:00:00Z"), 0),
        (json!("9999-01-01T00:00:00Z"), 1),
        (json!("2026-01-02T05:04:05.999999999+01:00"), 1),
    ] {
        let home = Home::new();
        let body = json!({"accessToken": SECOND, "expireTime": end}).to_string();
        let run = || {
            Test::new("token --credentials {home}/key.json")
                .json("key.json", &impersonated(authorized_user()))
                .home(&home)
                .stdout(&format!("{SECOND}\n"))
        };
        let answer = iam(TARGET, "generateAccessToken", 200, &body);
        run().google(token(200, granted(TOKEN))).google(answer.clone()).run();
        match left {
            0 => run().google(answer).run(),
            _ => run().run(),
        };
    }
}

#[test]
fn a_life_that_is_not_told_is_warned_about_and_not_kept() {
    let body = |life: Value| {
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": life}).to_string()
    };
    for life in [Value::Null, json!(0), json!(-1), json!("0")] {
        let home = Home::new();
        for _ in 0..2 {
            with_credential(&of_file())
                .home(&home)
                .subject()
                .google(sts(200, body(life.clone())))
                .warns("sts.googleapis.com does not say how long its token lives")
                .run();
        }
    }
    for life in [json!("3599"), json!(3599.0), json!(1e300)] {
        let home = Home::new();
        with_credential(&of_file()).home(&home).subject().google(sts(200, body(life))).run();
        with_credential(&of_file()).home(&home).subject().run();
    }
    for life in [json!("soon"), json!(true), json!([1]), json!({}), json!("NaN"), json!("1e3")] {
        with_credential(&of_file())
            .subject()
            .google(sts(200, body(life)))
            .status(6)
            .says("sts.googleapis.com: the answer is not understood, expires_in is not a number")
            .run();
    }
}

#[test]
fn types_of_tokens_are_told_apart() {
    let body = |kind: Value, issued: Value| {
        json!({"access_token": TOKEN, "token_type": kind, "issued_token_type": issued, "expires_in": 5})
            .to_string()
    };
    let run =
        |kind, issued| with_credential(&of_file()).subject().google(sts(200, body(kind, issued)));
    for issued in
        [Value::Null, json!("urn:ietf:params:oauth:token-type:access_token"), json!("x\n")]
    {
        run(json!("bearer"), issued).run();
    }
    for (kind, issued, words) in [
        (json!("N_A"), Value::Null, "a token of type N_A, not Bearer"),
        (json!("mac\u{1b}"), Value::Null, "a token of type mac\\u{1b}, not Bearer"),
        (json!(5), Value::Null, "token_type is a number"),
        (json!("Bearer"), json!(5), "issued_token_type is a number"),
        (json!("Bearer"), json!(["x"]), "issued_token_type is a list"),
    ] {
        run(kind, issued).status(6).says("sts.googleapis.com: the answer ").says(words).run();
    }
}

#[test]
fn a_wrong_clock_of_a_distributed_cloud_is_told_from_the_servers_date() {
    let run = |body: String, date: &str| {
        Test::new("token --credentials {home}/key.json --audience https://api.example")
            .json("key.json", &gdch())
            .google(token(401, body).url(GDCH).header("date", date))
            .status(5)
            .says("service-identity.gdch.example: Google says ")
    };
    let refused = || said("invalid_grant", "Invalid JWT");
    run(refused(), "Fri, 02 Jan 2026 03:34:05 GMT").tries("it is 1800 s behind").run();
    run(refused(), "Fri, 02 Jan 2026 02:34:05 GMT").tries("it is 1800 s ahead of").run();
    run(refused(), "Fri, 02 Jan 2026 03:04:05 GMT").tries("HOME/key.json").run();
    run(said("nobody_knows", ""), "")
        .tries("check the identity and the key in HOME/key.json")
        .run();
    run(said("invalid_grant", "Invalid JWT Signature."), "").tries("HOME/key.json").run();
}

#[test]
fn a_distributed_cloud_needs_an_audience_and_nothing_else() {
    let run = |words: &str| {
        Test::new(&format!("token --credentials {{home}}/key.json {words}"))
            .json("key.json", &gdch())
    };
    let who = "system:serviceaccount:example-gdch-project:example-service-identity is a service account of Google Distributed Cloud, which cannot ";
    run("").status(7).says(who).tries("--audience https://SERVICE").run();
    run("--scopes openid").status(7).says(who).tries("--audience").run();
    run("--self-signed").status(7).says(who).tries("--audience").run();
    run("--audience https://a.example --lifetime 10m")
        .status(7)
        .says(who)
        .tries("--lifetime")
        .run();
    run("--impersonate-service-account ci@p.iam.gserviceaccount.com").status(7).says(who).run();
    for (kind, fine) in [("STS-Bearer", true), ("bearer", true), ("mac", false), ("x", false)] {
        let body = json!({"access_token": TOKEN, "token_type": kind, "expires_in": 60}).to_string();
        let test = run("--audience https://a.example").google(token(200, body).url(GDCH));
        match fine {
            true => test.run(),
            false => test.status(6).says(&format!("a token of type {kind}, not Bearer")).run(),
        };
    }
    // Its key is looked at before anything is sent.
    let other = with(gdch(), &json!({"private_key": "GAUTH-TEST-JUNK-SECRET"}));
    Test::new("token --credentials {home}/key.json --audience https://a.example")
        .json("key.json", &other)
        .status(8)
        .says("HOME/key.json: private_key is not a PEM private key")
        .run();
}

#[test]
fn what_an_answer_lends_is_lent_by_a_source_that_answered() {
    // The source's fault is the source's, and the service account is not asked.
    let refused = token(400, said("invalid_grant", "Token has been expired or revoked."));
    with_credential(&impersonated(authorized_user()))
        .google(refused)
        .status(4)
        .says("ada@example.com must sign in again")
        .run();
    with_credential(&impersonated(of_file()))
        .subject()
        .google(sts(400, said("invalid_target", "x")))
        .status(5)
        .says("sts.googleapis.com: Google says invalid_target")
        .tries("check the audience")
        .run();
    let url = impersonated(Value::Null)["service_account_impersonation_url"].clone();
    let acting = with(of_file(), &json!({ "service_account_impersonation_url": url }));
    with_credential(&acting)
        .subject()
        .google(sts(200, exchanged(TOKEN)))
        .google(api(403, "PERMISSION_DENIED", "denied", "IAM_PERMISSION_DENIED"))
        .status(5)
        .says(&format!("may not act as {TARGET}, Google says PERMISSION_DENIED"))
        .tries("roles/iam.serviceAccountTokenCreator")
        .run();
    with_credential(&impersonated(authorized_user()))
        .google(token(200, granted(TOKEN)))
        .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
        .stdout(&format!("{SECOND}\n"))
        .run();
}
