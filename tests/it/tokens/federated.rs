//! Federated identities: the exchange that is sent, in order and in full, and what goes around it.

use serde_json::{Value, json};

use super::with;
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, IAM, PROVIDER, SECOND, SUBJECT, TARGET, TOKEN, WORKFORCE,
    exchanged, external_account, impersonated, lent, of_aws, of_file, workforce,
};
use crate::support::{Home, Sent, get, iam, put, sts};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
const FOR_IAM: &str = "https://www.googleapis.com/auth/iam";

/// An exchange as google-auth sends it, with these scopes and more fields.
#[track_caller]
fn exchanges(sent: &Sent, audience: &str, scope: &str, subject: [&str; 2], more: &[(&str, &str)]) {
    assert_eq!((sent.method, sent.url.as_str()), ("POST", "https://sts.googleapis.com/v1/token"));
    assert_eq!(sent.header("content-type"), Some("application/x-www-form-urlencoded"));
    let mut expected = vec![
        ("grant_type", EXCHANGE),
        ("audience", audience),
        ("scope", scope),
        ("requested_token_type", ACCESS),
        ("subject_token", subject[0]),
        ("subject_token_type", subject[1]),
    ];
    expected.extend(more);
    let fields = sent.fields();
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, expected);
}

#[track_caller]
fn measured(sent: &Sent, source: &str, impersonation: bool, lifetime: bool) {
    let measured = sent.header("x-goog-api-client").expect("the header of Google's metrics");
    let suffix = format!(
        " google-byoid-sdk source/{source} sa-impersonation/{impersonation} config-lifetime/{lifetime}"
    );
    assert!(measured.starts_with("gl-rust/") && measured.ends_with(&suffix), "{measured}");
}

/// The URL at which [`TARGET`] is acted as.
fn acting(credential: Value) -> Value {
    let url = format!("{IAM}/{TARGET}:generateAccessToken");
    samples::with(credential, &json!({ "service_account_impersonation_url": url }))
}

#[test]
fn a_token_in_a_file_is_exchanged() {
    let run = |credential: &Value, words: &str| {
        let test = with(credential, words).subject().google(sts(200, exchanged(TOKEN)));
        test.stdout(&format!("{TOKEN}\n")).run()
    };
    let ran = run(&of_file(), "");
    exchanges(&ran.sent[0], PROVIDER, CLOUD, [SUBJECT, JWT], &[]);
    measured(&ran.sent[0], "file", false, false);
    assert_eq!(ran.sent[0].header("authorization"), None);
    let ran = run(&of_file(), "--scopes pubsub,email");
    let scope = "email https://www.googleapis.com/auth/pubsub";
    exchanges(&ran.sent[0], PROVIDER, scope, [SUBJECT, JWT], &[]);
    // Scopes of the file are those of nobody else's choice.
    let own = samples::with(of_file(), &json!({"scopes": ["b", "a"]}));
    let [a, b] = ["a", "b"].map(|word| format!("https://www.googleapis.com/auth/{word}"));
    let scope = format!("{a} {b}");
    exchanges(&run(&own, "").sent[0], PROVIDER, &scope, [SUBJECT, JWT], &[]);
    exchanges(&run(&own, "--scopes email").sent[0], PROVIDER, "email", [SUBJECT, JWT], &[]);
    // So is the place of the STS, where the file names none.
    run(&samples::with(of_file(), &json!({"token_url": null})), "");
}

#[test]
fn a_token_in_a_field_of_json_is_exchanged() {
    let format = json!({"type": "json", "subject_token_field_name": "id token"});
    let source = json!({"file": "{home}/subject", "format": format});
    let ran = with(&external_account(source), "")
        .file("subject", json!({"x": [1], "id token": format!("{SUBJECT}\n")}).to_string())
        .google(sts(200, exchanged(TOKEN)))
        .run();
    exchanges(&ran.sent[0], PROVIDER, CLOUD, [SUBJECT, JWT], &[]);
}

#[test]
fn the_answer_is_told_whole() {
    let ran = with(&of_file(), "--format json").subject().google(sts(200, exchanged(TOKEN))).run();
    let expected = json!({
        "token": TOKEN, "token_type": "Bearer", "expires_at": "2026-01-02T04:04:04Z", "expires_in": 3599,
        "scopes": [CLOUD], "account": null, "kind": "external_account", "source": "file",
        "quota_project": null, "universe_domain": "googleapis.com", "cached": false,
    });
    assert_eq!(ran.json(), expected);
}

#[test]
fn a_token_behind_a_url_is_fetched_with_the_headers_of_the_file() {
    let azure = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://x";
    let source = json!({
        "url": azure, "headers": {"Metadata": "True", "X-Key": "planted-header-of-the-file"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    });
    let answer = json!({"access_token": SUBJECT, "expires_in": "3599"}).to_string();
    let ran = with(&external_account(source), "")
        .secret("planted-header-of-the-file")
        .env("HTTP_PROXY", "http://proxy.example:3128")
        .env("HTTPS_PROXY", "http://proxy.example:3128")
        .google(get(azure, 200, answer))
        .google(sts(200, exchanged(TOKEN)))
        .run();
    let fetched = &ran.sent[0];
    let headers: Vec<_> = fetched.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("metadata", "True"), ("x-key", "planted-header-of-the-file")]);
    assert_eq!((fetched.method, fetched.body.as_str()), ("GET", ""));
    assert_eq!((fetched.proxied, ran.sent[1].proxied), (false, true));
    exchanges(&ran.sent[1], PROVIDER, CLOUD, [SUBJECT, JWT], &[]);
    measured(&ran.sent[1], "url", false, false);
}

/// The keys of a machine at AWS.
fn keys() -> String {
    json!({
        "Code": "Success", "AccessKeyId": "AKIDEXAMPLE",
        "SecretAccessKey": "planted-key-of-amazon", "Token": "planted-session-of-amazon",
    })
    .to_string()
}

const META: &str = "http://169.254.169.254/latest/meta-data";

/// The signed request inside a subject token.
#[track_caller]
fn signed(sent: &Sent, region: &str) -> Value {
    let packed = sent.field("subject_token");
    assert!(!packed.contains(['{', '"', ' ']), "{packed}");
    let text = percent_encoding::percent_decode_str(packed).decode_utf8().expect("text");
    let request: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(request["method"], "POST");
    let url =
        format!("https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(request["url"], url);
    let header = |name: &str| {
        let headers = request["headers"].as_array().expect("headers").iter();
        let mut found = headers.filter(|header| header["key"] == name);
        found.next().map(|header| header["value"].as_str().expect("text").to_owned())
    };
    assert_eq!(header("x-goog-cloud-target-resource").as_deref(), Some(PROVIDER));
    assert_eq!(header("x-amz-date").as_deref(), Some("20260102T030405Z"));
    let authorization = header("Authorization").expect("a signature");
    let scope = format!("Credential=AKIDEXAMPLE/20260102/{region}/sts/aws4_request");
    assert!(authorization.contains(&scope), "{authorization}");
    assert!(authorization.contains("x-goog-cloud-target-resource"), "{authorization}");
    json!({"session": header("x-amz-security-token")})
}

#[test]
fn keys_of_amazon_in_variables_need_no_metadata_server() {
    let run = |variables: &[(&str, &str)]| {
        let test = with(&of_aws(), "")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
            .secret("planted-key-of-amazon")
            .google(sts(200, exchanged(TOKEN)));
        variables.iter().fold(test, |test, (name, value)| test.env(name, value)).run()
    };
    let ran = run(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")]);
    assert_eq!(signed(&ran.sent[0], "eu-west-1")["session"], Value::Null);
    measured(&ran.sent[0], "aws", false, false);
    assert_eq!(
        ran.sent[0].field("subject_token_type"),
        "urn:ietf:params:aws:token-type:aws4_request"
    );
    let session = "planted-session-of-amazon";
    let ran = run(&[("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_SESSION_TOKEN", session)]);
    assert_eq!(signed(&ran.sent[0], "us-east-1")["session"], session);
}

#[test]
fn amazons_metadata_server_is_asked_in_one_session() {
    let roles = format!("{META}/iam/security-credentials");
    let ran = with(&of_aws(), "")
        .secret("planted-session-of-the-visit")
        .google(put("http://169.254.169.254/latest/api/token", 200, "planted-session-of-the-visit"))
        .google(get(&format!("{META}/placement/availability-zone"), 200, "us-east-1d\n"))
        .google(get(&roles, 200, "role-name\n"))
        .google(get(&format!("{roles}/role-name"), 200, keys()))
        .google(sts(200, exchanged(TOKEN)))
        .run();
    let [session, visits @ .., exchange] = ran.sent.as_slice() else { panic!("{:#?}", ran.sent) };
    assert_eq!(session.method, "PUT");
    assert_eq!(session.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("300"));
    for visit in visits {
        assert_eq!(visit.method, "GET");
        let session = visit.header("x-aws-ec2-metadata-token");
        assert_eq!(session, Some("planted-session-of-the-visit"));
        assert!(!visit.proxied);
    }
    assert_eq!(signed(exchange, "us-east-1")["session"], "planted-session-of-amazon");
    // The older one knows no sessions.
    let mut first = of_aws();
    first["credential_source"]["imdsv2_session_token_url"] = Value::Null;
    let ran = with(&first, "")
        .google(get(&format!("{META}/placement/availability-zone"), 200, "eu-central-1a"))
        .google(get(&roles, 200, "role-name"))
        .google(get(&format!("{roles}/role-name"), 200, keys()))
        .google(sts(200, exchanged(TOKEN)))
        .run();
    assert!(ran.sent.iter().all(|sent| sent.header("x-aws-ec2-metadata-token").is_none()));
    signed(&ran.sent[3], "eu-central-1");
    // What variables say is not asked for.
    let ran = with(&of_aws(), "")
        .env("AWS_REGION", "eu-west-1")
        .google(put("http://169.254.169.254/latest/api/token", 200, "planted-session-of-the-visit"))
        .google(get(&roles, 200, "role-name"))
        .google(get(&format!("{roles}/role-name"), 200, keys()))
        .google(sts(200, exchanged(TOKEN)))
        .run();
    signed(&ran.sent[3], "eu-west-1");
    // Half a key is none.
    with(&of_aws(), "")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDOTHER")
        .google(put("http://169.254.169.254/latest/api/token", 200, "planted-session-of-the-visit"))
        .google(get(&roles, 200, "role-name"))
        .google(get(&format!("{roles}/role-name"), 200, keys()))
        .google(sts(200, exchanged(TOKEN)))
        .run();
}

#[test]
fn keys_of_amazon_decide_whose_token_is_found() {
    let home = Home::new();
    let run = |key: &str| {
        with(&of_aws(), "")
            .home(&home)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", "planted-key-of-amazon")
    };
    run("AKIDONE").google(sts(200, exchanged(TOKEN))).run();
    run("AKIDTWO").google(sts(200, exchanged(SECOND))).stdout(&format!("{SECOND}\n")).run();
    run("AKIDONE").stdout(&format!("{TOKEN}\n")).run();
}

#[test]
fn a_workforce_pool_is_paid_for_by_a_project_or_known_by_a_client() {
    let pays = json!({"workforce_pool_user_project": "payer"});
    let run = |credential: &Value| {
        with(credential, "").subject().google(sts(200, exchanged(TOKEN))).run().sent.remove(0)
    };
    exchanges(&run(&workforce()), WORKFORCE, CLOUD, [SUBJECT, JWT], &[]);
    let paid = run(&samples::with(workforce(), &pays));
    let options = [("options", r#"{"userProject":"payer"}"#)];
    exchanges(&paid, WORKFORCE, CLOUD, [SUBJECT, JWT], &options);
    assert!(paid.body.ends_with("&options=%7B%22userProject%22%3A%22payer%22%7D"), "{}", paid.body);
    // A client says who pays, and is told in a header alone.
    let client = json!({"client_id": "CID", "client_secret": "CS"});
    let known = run(&samples::with(samples::with(workforce(), &pays), &client));
    exchanges(&known, WORKFORCE, CLOUD, [SUBJECT, JWT], &[]);
    assert_eq!(known.header("authorization"), Some("Basic Q0lEOkNT"));
    let bare = run(&samples::with(workforce(), &json!({"client_id": "CID"})));
    assert_eq!(bare.header("authorization"), Some("Basic Q0lEOg=="));
    let client = json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET});
    let long = run(&samples::with(workforce(), &client));
    assert!(long.header("authorization").is_some_and(|basic| !basic.contains('\n')));
}

#[test]
fn a_service_account_is_acted_as_with_the_exchanged_token() {
    let lifetime = json!({"service_account_impersonation": {"token_lifetime_seconds": 2800}});
    for (credential, words, scope, life, config) in [
        (acting(of_file()), "", json!([CLOUD]), "3600s", false),
        (samples::with(acting(of_file()), &lifetime), "", json!([CLOUD]), "2800s", true),
        (
            samples::with(acting(of_file()), &lifetime),
            "--lifetime 10m --scopes email,openid",
            json!(["email", "openid"]),
            "600s",
            true,
        ),
        (
            samples::with(
                acting(of_file()),
                &json!({"scopes": "openid", "quota_project_id": "payer"}),
            ),
            "--lifetime 12h",
            json!(["openid"]),
            "43200s",
            false,
        ),
    ] {
        let ran = with(&credential, &format!("--format json {words}"))
            .subject()
            .google(sts(200, exchanged(TOKEN)))
            .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
            .run();
        exchanges(&ran.sent[0], PROVIDER, FOR_IAM, [SUBJECT, JWT], &[]);
        measured(&ran.sent[0], "file", true, config);
        let asked = &ran.sent[1];
        assert_eq!(asked.json(), json!({"delegates": null, "scope": scope, "lifetime": life}));
        assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        // The project pays for what is done with the token, not for getting it.
        assert_eq!(asked.header("x-goog-user-project"), None);
        let told = ran.json();
        assert_eq!((&told["token"], &told["account"]), (&json!(SECOND), &json!(TARGET)));
        assert_eq!(told["quota_project"], credential["quota_project_id"]);
        assert_eq!(told["expires_at"], "2026-01-02T04:04:05Z");
    }
    for words in ["--lifetime 599", "--lifetime 43201"] {
        with(&acting(of_file()), words)
            .subject()
            .status(2)
            .says("--lifetime")
            .tries("10m to 12h")
            .run();
    }
}

#[test]
fn the_subject_token_is_read_anew_and_kept_nowhere() {
    let home = Home::new();
    let run = |words: &str| with(&of_file(), words).home(&home).google(sts(200, exchanged(TOKEN)));
    home.write("subject", SUBJECT);
    run("").run();
    home.write("subject", "planted-second-subject-token");
    let ran = run("--refresh").run();
    assert_eq!(ran.sent[0].field("subject_token"), "planted-second-subject-token");
    let entry = std::fs::read(home.entry()).expect("the entry");
    let text = String::from_utf8_lossy(&entry);
    assert!(!text.contains("planted") && text.contains(TOKEN), "{text}");
    // A token that is at hand needs no subject token.
    std::fs::remove_file(home.path("subject")).expect("removed");
    with(&of_file(), "").home(&home).run();
}

#[test]
fn what_a_federated_identity_cannot_do_is_refused_before_anything_is_sent() {
    for (words, says) in [
        ("--subject ada@example.com", "cannot act for another user (--subject)"),
        ("--lifetime 10m", "cannot choose how long its tokens live (--lifetime)"),
        ("--audience https://a.example", "cannot sign a token itself"),
        ("--self-signed", "cannot sign a token itself"),
    ] {
        let test = with(&of_file(), words).subject().status(7);
        test.says("HOME/key.json is a federated identity, which ").says(says).run();
    }
}

#[test]
fn a_federated_identity_may_stand_behind_an_impersonated_account() {
    let ran = with(&impersonated(of_file()), "")
        .subject()
        .google(sts(200, exchanged(TOKEN)))
        .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
        .stdout(&format!("{SECOND}\n"))
        .run();
    exchanges(&ran.sent[0], PROVIDER, FOR_IAM, [SUBJECT, JWT], &[]);
    // An account that acts as an account: the first by the file of the source, the second by the file around it.
    let other = "other@example-project.iam.gserviceaccount.com";
    let url = format!("{IAM}/{other}:generateAccessToken");
    let twice = samples::with(
        impersonated(acting(of_file())),
        &json!({ "service_account_impersonation_url": url }),
    );
    let ran = with(&twice, "")
        .subject()
        .google(sts(200, exchanged(TOKEN)))
        .google(iam(TARGET, "generateAccessToken", 200, lent(SECOND)))
        .google(iam(other, "generateAccessToken", 200, lent("ya29.of-the-third-account")))
        .run();
    assert_eq!(ran.sent[1].json()["scope"], json!([FOR_IAM]));
    assert_eq!(ran.sent[2].header("authorization"), Some(&*format!("Bearer {SECOND}")));
}
