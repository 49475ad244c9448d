//! Which kinds of credential give ID tokens, and with which options.

use serde_json::{Value, json};

use super::{AUDIENCE_URL, METADATA_QUERY, iam_body, id_token, metadata_identity_response, token_endpoint_body};
use crate::support::sample_credentials::{
    self, TARGET_SERVICE_ACCOUNT, TOKEN, authorized_user, file_external_account, gdch_service_account,
    iam_response_body, impersonated_service_account, service_account, sts_response_body, token_response_body,
    workforce_login,
};
use crate::support::{MockExchange, Test, iam_response, metadata_response, sts_response, token_response};

/// Compares the exit code of each kind, and a word of its message, with `capabilities.txt`.
#[test]
fn every_credential_kind_reports_its_capabilities() {
    let url = format!("{}/{TARGET_SERVICE_ACCOUNT}:generateAccessToken", sample_credentials::IAM_SERVICE_ACCOUNTS_URL);
    let lending =
        sample_credentials::with_fields(file_external_account(), &json!({ "service_account_impersonation_url": url }));
    let kinds: [(&str, Option<Value>); 8] = [
        ("sa", Some(service_account())),
        ("user", Some(authorized_user())),
        ("federated", Some(file_external_account())),
        ("lending", Some(lending)),
        ("workforce", Some(workforce_login())),
        ("impersonated", Some(impersonated_service_account(authorized_user()))),
        ("gdch", Some(gdch_service_account())),
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
            let (status, word) = exit_code_and_reason(kind, credential.as_ref(), words);
            let words = words.replace(" --audiences https://svc.example", " A");
            let line = format!("{kind:<12} {words:<48} {status} {word}");
            table.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    assert_eq!(table, include_str!("capabilities.txt"), "\n{table}");
}

/// The exit code of a run where Google grants every request, and the deciding word of the message.
fn exit_code_and_reason(kind: &str, credential: Option<&Value>, args: &str) -> (u8, String) {
    let jwt = id_token(AUDIENCE_URL);
    let identity = args.starts_with("id-token");
    let plain = || {
        let test = match credential {
            Some(value) => Test::new(&format!("{args} --credentials {{home}}/key.json"))
                .json("key.json", value)
                .subject_token_file(),
            None => Test::new(args).env("GCE_METADATA_HOST", "metadata.google.internal"),
        };
        test.expect_any_status(&[0, 2, 7])
    };
    let user = json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"});
    let lend = match (identity, args.contains("--subject")) {
        (true, _) => {
            vec![iam_response(TARGET_SERVICE_ACCOUNT, "generateIdToken", 200, iam_body(&jwt))]
        }
        (false, false) => {
            vec![iam_response(TARGET_SERVICE_ACCOUNT, "generateAccessToken", 200, iam_response_body(TOKEN))]
        }
        (false, true) => vec![
            iam_response(TARGET_SERVICE_ACCOUNT, "signJwt", 200, json!({"signedJwt": "e30.e30.c2ln"}).to_string()),
            token_response(200, token_response_body(TOKEN)),
        ],
    };
    let query = match (args.contains("full"), args.contains("license")) {
        (true, true) => "&format=full&licenses=TRUE",
        (true, false) => "&format=full",
        _ => "",
    };
    let answers: Vec<MockExchange> = match (kind, identity) {
        ("sa", true) => vec![token_response(200, token_endpoint_body(&jwt))],
        ("sa", false) if args.contains("--self-signed") => vec![],
        ("sa", false) => vec![token_response(200, token_response_body(TOKEN))],
        ("user", true) => {
            vec![token_response(200, sample_credentials::with_fields(user, &json!({ "id_token": jwt })).to_string())]
        }
        ("user", false) => vec![token_response(200, token_response_body(TOKEN))],
        ("federated", _) => vec![sts_response(200, sts_response_body(TOKEN))],
        ("lending", _) => [vec![sts_response(200, sts_response_body(TOKEN))], lend].concat(),
        ("workforce", _) => {
            vec![sts_response(200, token_response_body(TOKEN)).at_url("https://sts.googleapis.com/v1/oauthtoken")]
        }
        ("impersonated", _) => [vec![token_response(200, token_response_body(TOKEN))], lend].concat(),
        ("metadata", true) => {
            vec![metadata_identity_response(&format!("{METADATA_QUERY}{query}"), &jwt)]
        }
        ("metadata", false) => {
            vec![metadata_response("instance/service-accounts/default/token", 200, token_response_body(TOKEN))]
        }
        _ => vec![],
    };
    // Refusals send no request: the double fails where one is sent, and where an expected one is not.
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| plain().run()));
    let ran = refused.unwrap_or_else(|_| answers.into_iter().fold(plain(), Test::expect_request).run());
    let first = ran.stderr.lines().find(|line| line.starts_with("gauth: ")).unwrap_or_default();
    let word = first.rsplit(['(', ' ']).next().unwrap_or_default().trim_end_matches(')');
    (ran.status, word.to_owned())
}
