//! Command lines that make no sense: exit code, the flag, and what to write instead.

use super::{JWT, OTHER_TOKEN_ENDPOINT, exchange_test};
use crate::support::Test;
use crate::support::sample_credentials::SERVICE_ACCOUNT_EMAIL;

/// What there has to be at least.
const VALID_ARGS: &str = "--subject-token @{home}/jwt --audience a";

/// Words in place of a good line.
const WHOLE_COMMAND_LINES: &[(&str, u8, &str, &str)] = &[
    ("", 2, "there is no subject token", "gauth exchange --subject-token @token.jwt"),
    ("--audience a", 2, "there is no subject token", "--subject-credentials"),
    ("--grant-type token-exchange", 2, "there is no subject token", "--subject-token"),
    ("--grant-type refresh_token", 2, "without --refresh-token", "--refresh-token @FILE"),
    ("--subject-token", 2, "--subject-token needs a value", "gauth exchange --help"),
    ("--subject-token=", 2, "--subject-token is empty", "--subject-token"),
    ("--subject-token hunter2", 2, "--subject-token is given as a value", "env:NAME"),
    ("--subject-token token.jwt", 2, "--subject-token is given as a value", "@FILE"),
    ("--subject-token /tmp/token", 2, "--subject-token is given as a value", "@FILE"),
    ("--subject-token --", 2, "--subject-token", "--subject-token"),
    ("--subject-token @", 2, "--subject-token names no file", "@FILE"),
    ("--subject-token @-", 2, "--subject-token @- is no file", "--subject-token -"),
    ("--subject-token env:", 2, "--subject-token names no variable", "env:NAME"),
    ("--subject-token ya29.hunter2", 9, "looks like a secret", "standard input"),
    ("--subject-token=eyJhunter2", 9, "looks like a secret", "standard input"),
    ("--subject-token @eyJhunter2", 9, "--subject-token is given as a value", "@FILE"),
    ("--subject-token env:ya29.hunter2", 9, "--subject-token is given as a value", "env:NAME"),
    ("--subject-token @a --subject-token @b", 2, "--subject-token is given twice", "leave one"),
    (
        "--subject-token @a --subject-credentials",
        2,
        "--subject-token and --subject-credentials",
        "leave one",
    ),
    (
        "--subject-token @a --subject-token-file b",
        2,
        "--subject-token and --subject-token-file",
        "leave one",
    ),
    (
        "--subject-token @a --subject-token-env B",
        2,
        "--subject-token and --subject-token-env",
        "leave one",
    ),
    ("--subject-token-env A --subject-token-file b", 2, "do not go together", "leave one"),
    (
        "--subject-token-url https://a.example --subject-credentials",
        2,
        "do not go together",
        "leave one",
    ),
    ("--subject-token-url a.example", 2, "--subject-token-url is not an absolute URL", "https://"),
    (
        "--subject-token-url http://a.example/",
        9,
        "--subject-token-url gets a secret from a.example",
        "https",
    ),
    ("--subject-token-env=", 2, "--subject-token-env is empty", "--subject-token-env"),
    (
        "--credentials key.json",
        2,
        "--credentials chooses a credential",
        "add --subject-credentials",
    ),
    ("--account ada@example.com", 2, "--account chooses a credential", "add --subject-credentials"),
    ("--source adc", 2, "--source chooses a credential", "add --subject-credentials"),
    (
        "--workload-identity-provider x",
        2,
        "--workload-identity-provider chooses",
        "add --subject-credentials",
    ),
    (
        "--subject-token @{home}/jwt --source adc",
        2,
        "--source chooses a credential",
        "add --subject-credentials",
    ),
    ("--subject-credentials=yes", 2, "--subject-credentials", "gauth exchange --help"),
    ("--refresh-token hunter2", 2, "--refresh-token is given as a value", "@FILE"),
    ("--refresh-token 1//hunter2", 9, "looks like a secret", "standard input"),
    ("--refresh-token=", 2, "--refresh-token is empty", "--refresh-token"),
    (
        "--refresh-token @a --subject-token @b",
        2,
        "--subject-token and --refresh-token",
        "leave one",
    ),
    (
        "--refresh-token @a --subject-credentials",
        2,
        "--subject-credentials and --refresh-token",
        "leave one",
    ),
    ("--refresh-token @a --actor-token @b", 2, "--actor-token and --refresh-token", "leave one"),
    ("--refresh-token @a --requested-token-type jwt", 2, "--requested-token-type and", "leave one"),
    ("--refresh-token @a --subject-token-type jwt", 2, "--subject-token-type and", "leave one"),
    ("--refresh-token @a --options {}", 2, "--options and --refresh-token", "leave one"),
    (
        "--refresh-token @a --grant-type token-exchange",
        2,
        "--grant-type is another grant",
        "refresh_token",
    ),
    (
        "--refresh-token @a --grant-type urn:x:y",
        2,
        "--grant-type is another grant",
        "refresh_token",
    ),
    ("one", 2, "there is a word too many", "gauth exchange --help"),
    ("--json", 2, "there is no flag --json", "--format json"),
    ("--dry-run", 2, "there is no flag --dry-run", "gauth exchange --help"),
];

/// Words behind a good line.
const ADDITIONAL_ARGS: &[(&str, u8, &str, &str)] = &[
    ("--grant-type=", 2, "--grant-type is empty", "--grant-type"),
    ("--grant-type password", 2, "--grant-type is none that is known", "token-exchange"),
    ("--grant-type token_exchange", 2, "--grant-type is none that is known", "token-exchange"),
    ("--grant-type urn:", 2, "--grant-type is none that is known", "token-exchange"),
    ("--grant-type refresh_token", 2, "without --refresh-token", "--refresh-token"),
    ("--audience=", 2, "--audience is empty", "--audience"),
    ("--resource=", 2, "--resource is empty", "--resource"),
    ("--resource api", 2, "--resource is no absolute URI", "https://api.example.com/"),
    ("--resource /api", 2, "--resource is no absolute URI", "https://api.example.com/"),
    ("--resource https:", 2, "--resource is no absolute URI", "https://api.example.com/"),
    ("--resource https://a.example/#x", 2, "without a fragment", "https://api.example.com/"),
    ("--resource 1a:b", 2, "--resource is no absolute URI", "https://api.example.com/"),
    ("--resource https://\u{fc}.example/", 2, "--resource is no absolute URI", "--resource"),
    ("--scopes=", 2, "--scopes is empty", "--scopes"),
    ("--scopes ,", 2, "--scopes holds no scope", "cloud-platform"),
    ("--scopes \u{fc}", 2, "--scopes holds no scope", "cloud-platform"),
    ("--subject-token-type=", 2, "--subject-token-type is empty", "--subject-token-type"),
    ("--subject-token-type JWT", 2, "--subject-token-type is no token type", "access_token"),
    ("--subject-token-type urn:", 2, "--subject-token-type is no token type", "jwt"),
    ("--requested-token-type token", 2, "--requested-token-type is no token type", "id_token"),
    (
        "--actor-token @a",
        2,
        "--actor-token is given without --actor-token-type",
        "--actor-token-type jwt",
    ),
    (
        "--actor-token-type jwt",
        2,
        "--actor-token-type is given without --actor-token",
        "--actor-token @FILE",
    ),
    (
        "--actor-token hunter2 --actor-token-type jwt",
        2,
        "--actor-token is given as a value",
        "env:NAME",
    ),
    ("--actor-token eyJhunter2 --actor-token-type jwt", 9, "looks like a secret", "standard input"),
    ("--actor-token @a --actor-token-type actor", 2, "--actor-token-type is no token type", "jwt"),
    ("--options=", 2, "--options is empty", "--options"),
    ("--options @", 2, "--options names no file", "--options @FILE"),
    ("--options []", 2, "--options is JSON, but not an object", "userProject"),
    ("--options {", 2, "--options ends in the middle of its JSON", "userProject"),
    ("--options {\"a\":1,\"a\":2}", 2, "--options has the key \"a\" twice", "userProject"),
    ("--options userProject=p", 2, "--options is not valid JSON", "--options @FILE"),
    ("--options @{home}/none", 8, "HOME/none (--options): there is no such file", "userProject"),
    ("--options @{home}/jwt", 8, "HOME/jwt (--options): is not valid JSON", "userProject"),
    ("--header", 2, "--header needs a value", "gauth exchange --help"),
    ("--header=", 2, "--header is empty", "--header"),
    ("--header X-Tenant", 2, "--header has no colon", "--header 'X-Tenant: blue'"),
    ("--header Host:evil.example", 2, "--header: Host may not be chosen", "X-Tenant"),
    ("--header X\u{fc}:1", 2, "is no name of a header", "X-Tenant"),
    ("--header X-A:1 --header x-a:2", 2, "--header x-a is given twice", "leave one"),
    ("--header X-A:@", 2, "--header names no file", "@FILE"),
    ("--header X-A:-", 2, "standard input is for one secret", "X-Tenant"),
    ("--header X-A:@{home}/none", 8, "HOME/none (--header): there is no such file", "--header"),
    ("--header X-A:env:NONE", 2, "the variable NONE (--header)", "export NONE"),
    (
        "--header Authorization:hunter2",
        9,
        "--header: the value of authorization",
        "authorization: @FILE",
    ),
    ("--header X-Api-Key:hunter2", 9, "--header: the value of x-api-key", "x-api-key: env:NAME"),
    ("--header X-A:ya29.hunter2", 9, "--header: the value of x-a may be a secret", "x-a: @FILE"),
    ("--client-id=", 2, "--client-id is empty", "--client-id"),
    ("--client-secret @a", 2, "--client-secret is given without --client-id", "--client-id ID"),
    ("--client-id c --client-secret hunter2", 2, "--client-secret is given as a value", "@FILE"),
    ("--client-id c --client-secret ya29.hunter2", 9, "looks like a secret", "standard input"),
    (
        "--client-id c --client-secret @{home}/none",
        8,
        "HOME/none (--client-secret)",
        "--client-secret",
    ),
    ("--client-id a:b --client-secret @a", 2, "--client-id has a colon", "--client-auth body"),
    (
        "--client-auth digest",
        2,
        "--client-auth does not know that value",
        "none, basic, body, certificate",
    ),
    ("--client-auth basic", 2, "--client-auth is given without --client-id", "--client-id ID"),
    ("--client-id c --client-auth body", 2, "without --client-secret", "--client-secret @FILE"),
    (
        "--client-id c --client-secret @a --client-auth none",
        2,
        "has no use for it",
        "--client-auth basic",
    ),
    ("--client-id c --client-auth certificate", 2, "without --client-certificate", "--client-key"),
    ("--client-certificate a", 2, "--client-key is missing", "gauth exchange --help"),
    ("--client-key a", 2, "--client-certificate is missing", "gauth exchange --help"),
    ("--client-certificate= --client-key a", 2, "--client-certificate is empty", "FILE.pem"),
    (
        "--client-certificate a --client-key b --endpoint http://127.0.0.1/",
        2,
        "--client-certificate is shown over https",
        "--endpoint https://",
    ),
    (
        "--client-id c --client-secret @a --header Authorization:@b",
        2,
        "--header authorization and --client-auth basic",
        "--client-auth body",
    ),
    ("--endpoint=", 2, "--endpoint is empty", "--endpoint"),
    (
        "--endpoint sts.example.com",
        2,
        "--endpoint is not an absolute URL",
        "https://sts.example.com/token",
    ),
    ("--endpoint ftp://a.example/", 2, "--endpoint is neither https nor http", "https://"),
    ("--endpoint https://u:p@a.example/", 2, "--endpoint has a user name", "https://"),
    ("--endpoint https://a.example/#x", 2, "--endpoint has a fragment", "https://"),
    (
        "--endpoint http://a.example/token",
        9,
        "--endpoint sends secrets to a.example without TLS",
        "https",
    ),
    ("--endpoint http://localhost/token", 9, "without TLS", "https"),
    ("--lifetime 10m", 2, "--lifetime is given, but the server", "--impersonate-service-account"),
    ("--lifetime soon --impersonate-service-account a@b.c", 2, "--lifetime soon", "--lifetime 10m"),
    ("--impersonate-service-account robot", 2, "is no service account", "gserviceaccount.com"),
    (
        "--impersonate-service-account a@b.c --requested-token-type jwt",
        2,
        "--impersonate-service-account needs an access token",
        "leave one",
    ),
    ("--universe-domain com", 2, "--universe-domain is not a domain name", "googleapis.com"),
    ("--format xml", 2, "--format does not know that value", "curl-config"),
    ("--subject ada@example.com", 2, "there is no flag --subject", "gauth exchange --help"),
];

#[test]
fn a_wrong_command_line_is_explained_and_sends_nothing() {
    assert!(WHOLE_COMMAND_LINES.len() + ADDITIONAL_ARGS.len() >= 100);
    for (words, status, says, tries) in WHOLE_COMMAND_LINES {
        assert_refused(exchange_test(words), *status, says, tries);
    }
    for (words, status, says, tries) in ADDITIONAL_ARGS {
        assert_refused(exchange_test(&format!("{VALID_ARGS} {words}")), *status, says, tries);
    }
}

#[track_caller]
fn assert_refused(test: Test, status: u8, error: &str, hint: &str) {
    let ran =
        test.secret("hunter2").expect_status(status).expect_error(error).expect_hint(hint).run();
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

#[test]
fn standard_input_is_read_by_one_flag_only() {
    for (one, other) in [
        ("--subject-token - --actor-token - --actor-token-type jwt", "--actor-token"),
        ("--subject-token - --client-id c --client-secret -", "--client-secret"),
        ("--refresh-token - --client-id c --client-secret -", "--client-secret"),
        (
            "--subject-credentials --credentials - --actor-token - --actor-token-type jwt",
            "--credentials",
        ),
    ] {
        let test = exchange_test(&format!("{one} --endpoint {OTHER_TOKEN_ENDPOINT}")).stdin(JWT);
        test.expect_status(2)
            .expect_error("both want standard input")
            .expect_hint(&format!("{other} @FILE"))
            .run();
    }
}

#[test]
fn long_and_odd_values_are_refused() {
    for (flag, value, words) in [
        ("--audience", "a b".to_owned(), "has spaces"),
        ("--audience", "a\nb".to_owned(), "control characters"),
        ("--audience", "a".repeat(2049), "longer than 2048"),
        ("--resource", "https://a.example/ b".to_owned(), "no absolute URI"),
        ("--resource", format!("urn:{}", "a".repeat(2049)), "no absolute URI"),
        ("--endpoint", format!("https://a.example/{}", "a".repeat(2048)), "longer than 2048"),
        ("--client-id", "a\tb".to_owned(), "control character"),
        ("--header", "X-A: a\nX-B: b".to_owned(), "control character"),
        ("--options", format!("{{\"a\":{}1{}}}", "[".repeat(99), "]".repeat(99)), "nested deeper"),
    ] {
        exchange_test(VALID_ARGS)
            .arg(flag)
            .arg(&value)
            .expect_status(2)
            .expect_error(flag)
            .expect_error(words)
            .run();
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    let test =
        exchange_test(&format!("{VALID_ARGS} --options @{{home}}/large")).file("large", large);
    test.expect_status(8).expect_error("HOME/large (--options): is larger than 4096 KiB").run();
    for flag in ["--audience", "--header", "--options", "--endpoint", "--client-id"] {
        exchange_test(VALID_ARGS)
            .arg(flag)
            .arg(non_utf8_string())
            .expect_status(2)
            .expect_error(flag)
            .expect_error("not valid UTF-8")
            .run();
    }
    let subject = Test::new("exchange --subject-token").arg(non_utf8_string());
    subject.expect_status(2).expect_error("the value of --subject-token is not valid UTF-8").run();
}

fn non_utf8_string() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(b"@\xff".to_vec())
}

#[test]
fn a_lifetime_out_of_range_is_refused() {
    for life in ["13h", "5m"] {
        let words = format!(
            "{VALID_ARGS} --impersonate-service-account {SERVICE_ACCOUNT_EMAIL} --lifetime {life}"
        );
        exchange_test(&words)
            .expect_status(2)
            .expect_error("--lifetime")
            .expect_error("is out of range")
            .run();
    }
}
