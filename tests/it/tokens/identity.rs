//! ID tokens: what is asked of whom, what is refused, and how they are kept and printed.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gauth::jwt;
use gauth::key::PrivateKey;
use serde_json::{Value, json};

use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROBOT, TARGET, TOKEN, authorized_user,
    exchanged, gdch, granted, impersonated, lent, of_file, pem, service_account, workforce_login,
};
use crate::support::{Exchange, Home, NOW, Sent, Test, iam, metadata, sts, token};

const URL: &str = "https://svc.example";

/// An ID token as good as any: nobody looks at its signature here.
fn id_token_until(audience: &str, exp: i64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": "k"}));
    let claims = part(json!({"aud": audience, "exp": exp, "iss": "https://accounts.google.com"}));
    format!("{header}.{claims}.c2lnbmF0dXJl")
}

fn id_token(audience: &str) -> String {
    id_token_until(audience, NOW + 3600)
}

/// The token endpoint's answer, which has an ID token.
fn given(token: &str) -> String {
    json!({ "id_token": token }).to_string()
}

/// IAM's.
fn given_by_iam(token: &str) -> String {
    json!({ "token": token }).to_string()
}

fn with(credential: &Value, words: &str) -> Test {
    Test::new(&format!("id-token --credentials {{home}}/key.json {words}"))
        .json("key.json", credential)
        .subject()
}

fn on_machine(words: &str) -> Test {
    Test::new(&format!("id-token {words}")).env("GCE_METADATA_HOST", "metadata.google.internal")
}

fn of_machine(query: &str, body: &str) -> Exchange {
    metadata(&format!("instance/service-accounts/default/identity?{query}"), 200, body)
}

const MACHINE_QUERY: &str = "audience=https%3A%2F%2Fsvc.example";

#[test]
fn a_key_asks_the_token_endpoint_with_a_target() {
    let words = format!("--audiences {URL}");
    let ran = with(&service_account(), &words).google(token(200, given(&id_token(URL)))).run();
    assert_eq!(ran.stdout, format!("{}\n", id_token(URL)));
    let sent = &ran.sent[0];
    let fields: Vec<String> = sent.fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(fields, ["assertion", "grant_type"]);
    assert_eq!(sent.field("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let metrics = sent.header("x-goog-api-client").unwrap_or_default();
    assert!(metrics.ends_with(" auth-request-type/it cred-type/sa"), "{metrics}");
    let parts = jwt::parts(sent.field("assertion")).expect("a JWT");
    let key = PrivateKey::from_pem(&pem()).expect("the key");
    assert!(key.public().verifies(parts.message, &parts.signature), "the signature");
    let expected = json!({
        "iss": ROBOT, "aud": "https://oauth2.googleapis.com/token", "target_audience": URL,
        "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(Value::from(parts.claims), expected);
}

/// What IAM was asked for, by whom.
#[track_caller]
fn asked_of_iam(sent: &Sent, bearer: &str, body: &Value) {
    assert_eq!(sent.header("authorization"), Some(format!("Bearer {bearer}").as_str()));
    assert_eq!(&sent.json(), body);
    let metrics = sent.header("x-goog-api-client").unwrap_or_default();
    assert!(metrics.ends_with(" auth-request-type/it cred-type/imp"), "{metrics}");
}

#[test]
fn a_key_of_another_universe_asks_its_iam() {
    let robot = samples::with(
        service_account(),
        &json!({"universe_domain": "u.example", "token_uri": null}),
    );
    let url = format!(
        "https://iamcredentials.u.example/v1/projects/-/serviceAccounts/{ROBOT}:generateIdToken"
    );
    let answer = token(200, given_by_iam(&id_token(URL))).url(&url);
    let ran = with(&robot, &format!("--audiences {URL}")).google(answer).run();
    assert_eq!(ran.stdout, format!("{}\n", id_token(URL)));
    let bearer = ran.sent[0].header("authorization").unwrap_or_default();
    let bearer = bearer.strip_prefix("Bearer ").expect("a bearer");
    let claims = Value::from(jwt::parts(bearer).expect("a JWT").claims);
    let expected = json!({
        "iss": ROBOT, "sub": ROBOT, "scope": "https://www.googleapis.com/auth/iam",
        "iat": NOW - 10, "exp": NOW + 3590,
    });
    assert_eq!(claims, expected);
    asked_of_iam(
        &ran.sent[0],
        bearer,
        &json!({"audience": URL, "delegates": null, "includeEmail": true}),
    );
}

#[test]
fn a_machine_asks_its_metadata_server() {
    for (words, more) in [
        ("", ""),
        ("--token-format standard", ""),
        ("--token-format=full", "&format=full"),
        ("--token-format full --include-license", "&format=full&licenses=TRUE"),
        ("--include-license --token-format full", "&format=full&licenses=TRUE"),
    ] {
        let query = format!("{MACHINE_QUERY}{more}");
        let ran = on_machine(&format!("--audiences={URL} {words}"))
            .google(of_machine(&query, &id_token(URL)))
            .run();
        assert_eq!(ran.stdout, format!("{}\n", id_token(URL)));
        let sent = &ran.sent[0];
        assert_eq!(sent.header("metadata-flavor"), Some("Google"));
        let metrics = sent.header("x-goog-api-client").unwrap_or_default();
        assert!(metrics.ends_with(" auth-request-type/it cred-type/mds"), "{metrics}");
    }
}

#[test]
fn an_impersonated_account_asks_iam_through_its_delegates() {
    let lender = "delegate@example-project.iam.gserviceaccount.com";
    let chain = format!("--audiences {URL} --impersonate-service-account {lender},{TARGET}");
    for (words, email) in [
        ("", true),
        ("--include-email", true),
        ("--include-email=true", true),
        ("--include-email=false", false),
    ] {
        let ran = with(&authorized_user(), &format!("{chain} {words}"))
            .google(token(200, granted(TOKEN)))
            .google(iam(TARGET, "generateIdToken", 200, given_by_iam(&id_token(URL))))
            .run();
        assert_eq!(ran.stdout, format!("{}\n", id_token(URL)));
        let delegates = json!([format!("projects/-/serviceAccounts/{lender}")]);
        let body = json!({"audience": URL, "delegates": delegates, "includeEmail": email});
        asked_of_iam(&ran.sent[1], TOKEN, &body);
    }
    let file = samples::with(impersonated(authorized_user()), &json!({"quota_project_id": "pays"}));
    let ran = with(&file, &format!("--audiences {URL}"))
        .google(token(200, granted(TOKEN)))
        .google(iam(TARGET, "generateIdToken", 200, given_by_iam(&id_token(URL))))
        .run();
    asked_of_iam(
        &ran.sent[1],
        TOKEN,
        &json!({"audience": URL, "delegates": null, "includeEmail": true}),
    );
}

#[test]
fn a_federated_identity_asks_through_its_account() {
    let url = format!("{}/{TARGET}:generateAccessToken", samples::IAM);
    let file = samples::with(of_file(), &json!({ "service_account_impersonation_url": url }));
    let ran = with(&file, &format!("--audiences {URL}"))
        .google(sts(200, exchanged(TOKEN)))
        .google(iam(TARGET, "generateIdToken", 200, given_by_iam(&id_token(URL))))
        .run();
    assert_eq!(ran.sent[0].field("scope"), "https://www.googleapis.com/auth/iam");
    asked_of_iam(
        &ran.sent[1],
        TOKEN,
        &json!({"audience": URL, "delegates": null, "includeEmail": true}),
    );
}

#[test]
fn a_user_gets_the_token_of_the_refresh() {
    let both = json!({
        "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer", "id_token": id_token(CLIENT_ID),
    });
    for words in [String::new(), format!("--audiences {CLIENT_ID}")] {
        let ran = with(&authorized_user(), &words).google(token(200, both.to_string())).run();
        assert_eq!(ran.stdout, format!("{}\n", id_token(CLIENT_ID)));
        let fields = ran.sent[0].fields();
        let expected = [
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("refresh_token", REFRESH_TOKEN),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let words = format!("--audiences {URL}");
    with(&authorized_user(), &words)
        .status(7)
        .says("OAuth client only")
        .tries("--impersonate")
        .run();
    let test = with(&authorized_user(), "").google(token(200, granted(TOKEN))).status(7);
    test.says("openid").run();
}

/// How each kind answers: exit code and a word of the message; what needs requests has its answers ready.
#[test]
fn every_kind_says_what_it_can_and_what_it_cannot() {
    let url = format!("{}/{TARGET}:generateAccessToken", samples::IAM);
    let lending = samples::with(of_file(), &json!({ "service_account_impersonation_url": url }));
    let kinds: [(&str, Option<Value>); 8] = [
        ("sa", Some(service_account())),
        ("user", Some(authorized_user())),
        ("federated", Some(of_file())),
        ("lending", Some(lending)),
        ("workforce", Some(workforce_login())),
        ("impersonated", Some(impersonated(authorized_user()))),
        ("gdch", Some(gdch())),
        ("metadata", None),
    ];
    let abilities = [
        "id-token",
        "id-token --audiences https://svc.example",
        "id-token --audiences https://svc.example --token-format full",
        "id-token --audiences https://svc.example --token-format full --include-license",
        "id-token --audiences https://svc.example --include-email",
        "token",
        "token --self-signed",
        "token --subject ada@example.com",
        "token --lifetime 10m",
    ];
    let mut table = String::new();
    for (kind, credential) in &kinds {
        for words in abilities {
            let (status, word) = verdict(kind, credential.as_ref(), words);
            let words = words.replace(" --audiences https://svc.example", " A");
            let line = format!("{kind:<12} {words:<48} {status} {word}");
            table.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    assert_eq!(table, include_str!("abilities.txt"), "\n{table}");
}

/// The exit code of a run in a home where Google grants everything that is asked, and what the message turns on.
fn verdict(kind: &str, credential: Option<&Value>, words: &str) -> (u8, String) {
    let jwt = id_token(URL);
    let identity = words.starts_with("id-token");
    let plain = || {
        let test = match credential {
            Some(value) => Test::new(&format!("{words} --credentials {{home}}/key.json"))
                .json("key.json", value)
                .subject(),
            None => Test::new(words).env("GCE_METADATA_HOST", "metadata.google.internal"),
        };
        test.any_status(&[0, 2, 7])
    };
    let user = json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"});
    let lend = match (identity, words.contains("--subject")) {
        (true, _) => vec![iam(TARGET, "generateIdToken", 200, given_by_iam(&jwt))],
        (false, false) => vec![iam(TARGET, "generateAccessToken", 200, lent(TOKEN))],
        (false, true) => vec![
            iam(TARGET, "signJwt", 200, json!({"signedJwt": "e30.e30.c2ln"}).to_string()),
            token(200, granted(TOKEN)),
        ],
    };
    let query = match (words.contains("full"), words.contains("license")) {
        (true, true) => "&format=full&licenses=TRUE",
        (true, false) => "&format=full",
        _ => "",
    };
    let answers: Vec<Exchange> = match (kind, identity) {
        ("sa", true) => vec![token(200, given(&jwt))],
        ("sa", false) if words.contains("--self-signed") => vec![],
        ("sa", false) => vec![token(200, granted(TOKEN))],
        ("user", true) => {
            vec![token(200, samples::with(user, &json!({ "id_token": jwt })).to_string())]
        }
        ("user", false) => vec![token(200, granted(TOKEN))],
        ("federated", _) => vec![sts(200, exchanged(TOKEN))],
        ("lending", _) => [vec![sts(200, exchanged(TOKEN))], lend].concat(),
        ("workforce", _) => {
            vec![sts(200, granted(TOKEN)).url("https://sts.googleapis.com/v1/oauthtoken")]
        }
        ("impersonated", _) => [vec![token(200, granted(TOKEN))], lend].concat(),
        ("metadata", true) => vec![of_machine(&format!("{MACHINE_QUERY}{query}"), &jwt)],
        ("metadata", false) => {
            vec![metadata("instance/service-accounts/default/token", 200, granted(TOKEN))]
        }
        _ => vec![],
    };
    // What is refused is refused without a request: the script says so, since all of it must be used.
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| plain().run()));
    let ran = refused.unwrap_or_else(|_| answers.into_iter().fold(plain(), Test::google).run());
    let first = ran.stderr.lines().find(|line| line.starts_with("gauth: ")).unwrap_or_default();
    let word = first.rsplit(['(', ' ']).next().unwrap_or_default().trim_end_matches(')');
    (ran.status, word.to_owned())
}

#[test]
fn a_token_is_kept_until_its_own_end_and_for_its_own_audience() {
    let home = Home::new();
    let ask = |audience: &str| {
        with(&service_account(), &format!("--audiences {audience} --format json")).home(&home)
    };
    let short = id_token_until(URL, NOW + 1000);
    let minted = ask(URL).google(token(200, given(&short))).run().json();
    assert_eq!((&minted["cached"], &minted["expires_in"]), (&json!(false), &json!(1000)));
    assert_eq!(minted["expires_at"], "2026-01-02T03:20:45Z");
    assert_eq!(minted["token_type"], "Bearer");
    let kept = ask(URL).run().json();
    assert_eq!((&kept["token"], &kept["cached"]), (&json!(short), &json!(true)));
    let other = id_token("https://other.example");
    let json = ask("https://other.example").google(token(200, given(&other))).run().json();
    assert_eq!(json["token"], json!(other));
    // An access token of the same account is another thing.
    let access = Test::new("token --credentials {home}/key.json").home(&home);
    access.json("key.json", &service_account()).google(token(200, granted(TOKEN))).run();
    home.clock.advance(690);
    assert_eq!(ask(URL).run().json()["expires_in"], 310);
    home.clock.advance(15);
    ask(URL).google(token(200, given(&id_token_until(URL, NOW + 4000)))).run();
    ask(&format!("{URL} --refresh"))
        .google(token(200, given(&id_token_until(URL, NOW + 5000))))
        .run();
    ask(&format!("{URL} --no-cache")).google(token(200, given(&short))).run();
    assert_eq!(ask(URL).run().json()["expires_in"], 5000 - 705);
}

#[test]
fn a_token_of_another_shape_is_another_token() {
    let home: Rc<Home> = Home::new();
    for more in ["", "&format=full", "&format=full&licenses=TRUE"] {
        let words = match more {
            "" => "",
            "&format=full" => "--token-format full",
            _ => "--token-format full --include-license",
        };
        let ask = || on_machine(&format!("--audiences {URL} {words}")).home(&home);
        let answer = id_token_until(URL, NOW + 3600 + i64::try_from(more.len()).expect("short"));
        ask().google(of_machine(&format!("{MACHINE_QUERY}{more}"), &answer)).run();
        ask().stdout(&format!("{answer}\n")).run();
    }
}

#[test]
fn several_audiences_give_a_line_or_an_item_each() {
    let other = "https://other.example";
    let answers = |test: Test| {
        test.google(token(200, given(&id_token(URL)))).google(token(200, given(&id_token(other))))
    };
    let lines = format!("{}\n{}\n", id_token(URL), id_token(other));
    for words in [
        format!("--audiences {URL},{other}"),
        format!("--audiences {URL} --audiences {other}"),
        format!("--audiences={URL} --audience={other} --format value(token)"),
    ] {
        answers(with(&service_account(), &words).stdout(&lines)).run();
    }
    let words = format!("--audiences {URL},{other} --format json");
    let list = answers(with(&service_account(), &words)).run().json();
    assert_eq!(list[0]["token"], json!(id_token(URL)));
    assert_eq!(list[1]["token"], json!(id_token(other)));
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    // One failure, and nothing is printed.
    let test = with(&service_account(), &format!("--audiences {URL},{other}")).status(6);
    test.google(token(200, given(&id_token(URL)))).google(token(200, granted(TOKEN))).run();
    for format in ["header", "env", "curl-config"] {
        let words = format!("--audiences {URL},{other} --format {format}");
        with(&service_account(), &words).status(2).says("text and json only").run();
    }
}

#[test]
fn one_token_has_every_format() {
    let jwt = id_token(URL);
    for (format, expected) in [
        ("text", format!("{jwt}\n")),
        ("value(token)", format!("{jwt}\n")),
        ("header", format!("Authorization: Bearer {jwt}\n")),
        ("env", format!("GAUTH_ID_TOKEN={jwt}\n")),
        ("curl-config", format!("header = \"Authorization: Bearer {jwt}\"\n")),
    ] {
        let words = format!("--audiences {URL} --format={format}");
        let test = with(&service_account(), &words).stdout(&expected);
        test.google(token(200, given(&jwt))).run();
    }
}

#[test]
fn an_audience_that_is_none_is_refused_before_anything_is_asked() {
    let long = "a".repeat(2049);
    for (audience, what) in [
        ("", "--audiences is empty"),
        (",", "--audiences is empty"),
        ("https://a.example,", "--audiences is empty"),
        (" ", "spaces or control characters"),
        ("https://a.example https://b.example", "spaces or control characters"),
        ("https://a.example\n", "spaces or control characters"),
        ("https://a.example\r\nX: y", "spaces or control characters"),
        ("a\u{7f}b", "spaces or control characters"),
        ("a\u{a0}b", "spaces or control characters"),
        (&long, "longer than 2048"),
    ] {
        for credential in [service_account(), authorized_user(), impersonated(authorized_user())] {
            with(&credential, "--audiences").word(audience).status(2).says(what).run();
        }
    }
    for credential in [service_account(), impersonated(authorized_user())] {
        let test = with(&credential, "").status(2);
        test.says("nobody is named").tries("--audiences https://").run();
    }
    on_machine("").status(2).says("nobody is named").run();
    let bytes = std::os::unix::ffi::OsStrExt::from_bytes(b"a\xffb");
    let bytes: &std::ffi::OsStr = bytes;
    with(&service_account(), "--audiences").word(bytes).status(2).says("not valid UTF-8").run();
    let test = with(&service_account(), &format!("--audiences {URL} --include-license"));
    test.status(2).tries("--token-format full").run();
}

#[test]
fn an_answer_without_an_id_token_is_no_answer() {
    let not_jwts = ["opaque", "a.b.c", "<html>", "eyJhbGciOiJub25lIn0", "two words", "ümlaut"];
    let ask = || with(&service_account(), &format!("--audiences {URL}")).status(6);
    ask().google(token(200, granted(TOKEN))).says("holds no id_token").run();
    ask().google(token(200, "{}")).run();
    ask().google(token(200, "<html>")).run();
    for word in not_jwts {
        ask().google(token(200, given(word))).run();
        on_machine(&format!("--audiences {URL}"))
            .google(of_machine(MACHINE_QUERY, word))
            .status(6)
            .run();
        with(&impersonated(authorized_user()), &format!("--audiences {URL}"))
            .google(token(200, granted(TOKEN)))
            .google(iam(TARGET, "generateIdToken", 200, given_by_iam(word)))
            .status(6)
            .run();
    }
    for body in ["{}", r#"{"token": null}"#, r#"{"token": 7}"#, "[]", "<html>"] {
        with(&impersonated(authorized_user()), &format!("--audiences {URL}"))
            .google(token(200, granted(TOKEN)))
            .google(iam(TARGET, "generateIdToken", 200, body))
            .status(6)
            .run();
    }
}

#[test]
fn a_refusal_says_who_and_what_to_do() {
    let refused = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
        "message": "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource"}});
    with(&impersonated(authorized_user()), &format!("--audiences {URL}"))
        .google(token(200, granted(TOKEN)))
        .google(iam(TARGET, "generateIdToken", 403, refused.to_string()))
        .status(5)
        .says(TARGET)
        .run();
    on_machine(&format!("--audiences {URL}"))
        .google(metadata(
            &format!("instance/service-accounts/default/identity?{MACHINE_QUERY}"),
            404,
            "",
        ))
        .any_status(&[3, 5])
        .run();
}
