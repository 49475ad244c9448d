//! `gauth login --credentials` stores a credential file as a login, and with `--update-adc` writes gcloud's ADC file.

use serde_json::{Value, json};

use super::{ADA, gauth_in, home_with_logins, login_file, login_json, state_json};
use crate::support::sample_credentials::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SERVICE_ACCOUNT_EMAIL, TARGET_SERVICE_ACCOUNT, TOKEN,
    authorized_user, file_external_account, impersonated_service_account, service_account, sts_response_body,
    token_response_body, workforce_login,
};
use crate::support::{ADC_FILE, Home, Test, post_response, sts_response, token_response, without_response};

fn stored_login(home: &Home, account: &str) -> Value {
    serde_json::from_str(&home.read(&login_file(account))).expect("JSON")
}

/// Runs `login --credentials` with a file of this content.
fn login_with_credential_file(home: &std::rc::Rc<Home>, credential: &Value, args: &str) -> Test {
    home.write("my.json", credential.to_string());
    gauth_in(home, &format!("login --credentials {{home}}/my.json {args}"))
}

#[test]
fn every_type_is_stored_under_its_account_name() {
    for (credential, name) in [
        (login_json("Ada@Example.com"), ADA),
        (service_account(), SERVICE_ACCOUNT_EMAIL),
        (impersonated_service_account(login_json(ADA)), TARGET_SERVICE_ACCOUNT),
        (
            sample_credentials::gdch_service_account(),
            "system:serviceaccount:example-gdch-project:example-service-identity",
        ),
    ] {
        let home = home_with_logins(&[]);
        let ran = login_with_credential_file(&home, &credential, "").run();
        assert!(ran.stdout.to_lowercase().starts_with(&format!("signed in as {name}")), "{ran:?}");
        let spelled = state_json(&home)["active"].as_str().expect("a name").to_owned();
        let file = gauth_core::accounts::file_name(&spelled);
        let kept: Value = serde_json::from_str(&home.read(&format!(".config/gauth/accounts/{file}"))).expect("JSON");
        let added = json!({"signed_in_at": "2026-01-02T03:04:05Z"});
        let mut expected = sample_credentials::with_fields(credential, &added);
        for object in ["", "/source_credentials"] {
            if let Some(object) = expected.pointer_mut(object)
                && object.get("refresh_token").is_some()
            {
                object["refresh_token_shared"] = json!(true);
            }
        }
        if kept.get("account").is_some() {
            expected["account"] = json!(spelled);
        }
        assert_eq!(kept, expected);
    }
}

#[test]
fn a_stored_login_is_used_and_is_a_valid_credential_file() {
    let home = home_with_logins(&[]);
    login_with_credential_file(&home, &service_account(), "").run();
    gauth_in(&home, "token")
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_stdout(&format!("{TOKEN}\n"))
        .run();
    let file = Test::new("token --no-cache").home(&home);
    let file = file.env("GOOGLE_APPLICATION_CREDENTIALS", format!("{{home}}/{}", login_file(SERVICE_ACCOUNT_EMAIL)));
    file.expect_request(token_response(200, token_response_body(TOKEN))).run();
}

#[test]
fn a_server_is_asked_for_the_account_where_the_file_does_not_name_it() {
    let home = home_with_logins(&[]);
    let nameless = sample_credentials::with_fields(authorized_user(), &json!({"account": null, "type": null}));
    let told = json!({"exp": "1767326645", "email": ADA});
    login_with_credential_file(&home, &nameless, "")
        .expect_request(token_response(200, token_response_body(TOKEN)))
        .expect_request(post_response("https://oauth2.googleapis.com/tokeninfo", 200, told.to_string()))
        .expect_stdout("signed in as ada@example.com\n")
        .run();
    assert_eq!(
        (&stored_login(&home, ADA)["account"], &stored_login(&home, ADA)["type"]),
        (&json!(ADA), &json!("authorized_user"))
    );
    let principal = "principal://iam.googleapis.com/x/subject/ada";
    let introspected = json!({"active": true, "username": principal});
    login_with_credential_file(&home, &workforce_login(), "")
        .expect_request(
            token_response(200, token_response_body(TOKEN)).at_url("https://sts.googleapis.com/v1/oauthtoken"),
        )
        .expect_request(post_response("https://sts.googleapis.com/v1/introspect", 200, introspected.to_string()))
        .expect_stdout(&format!("signed in as {principal}\n"))
        .run();
    home.write("subject", sample_credentials::SUBJECT_TOKEN);
    let federated = sample_credentials::with_fields(
        file_external_account(),
        &json!({"credential_source": {"file": home.path("subject")}, "token_info_url": "https://sts.googleapis.com/v1/introspect"}),
    );
    login_with_credential_file(&home, &federated, "")
        .expect_request(sts_response(200, sts_response_body(TOKEN)))
        .expect_request(post_response("https://sts.googleapis.com/v1/introspect", 403, ""))
        .expect_stdout("signed in as my\n")
        .run();
    login_with_credential_file(&home_with_logins(&[]), &federated, "")
        .expect_requests(3, &without_response(sts_response(200, "")))
        .expect_warning("the account of HOME/my.json is not known, sts.googleapis.com: connection refused")
        .run();
    // With --account there is no request.
    login_with_credential_file(&home, &federated, "--account ci").expect_stdout("signed in as ci\n").run();
}

#[test]
fn standard_input_needs_an_account_flag_unless_it_names_the_account() {
    let home = home_with_logins(&[]);
    gauth_in(&home, "login --credentials -")
        .stdin(login_json(ADA).to_string())
        .expect_stdout("signed in as ada@example.com\n")
        .run();
    let federated =
        sample_credentials::with_fields(file_external_account(), &json!({"credential_source": {"file": "/run/token"}}));
    gauth_in(&home, "login --credentials -")
        .stdin(federated.to_string())
        .expect_status(2)
        .expect_error("standard input does not name its account")
        .expect_hint("--account NAME")
        .run();
}

#[test]
fn contradicting_and_malformed_credentials_are_not_stored() {
    let home = home_with_logins(&[]);
    login_with_credential_file(&home, &login_json(ADA), "--account bob@example.com")
        .expect_status(2)
        .expect_error("is a credential of ada@example.com")
        .run();
    login_with_credential_file(&home, &json!({"installed": {}}), "")
        .expect_status(8)
        .expect_error("this is an OAuth client")
        .run();
    login_with_credential_file(&home, &json!("junk"), "").expect_status(8).run();
    gauth_in(&home, "login --credentials {home}/nosuch.json").expect_status(8).expect_error("no such file").run();
    login_with_credential_file(
        &home,
        &sample_credentials::with_fields(login_json(ADA), &json!({"token_uri": "https://evil.example/"})),
        "",
    )
    .expect_status(9)
    .run();
    login_with_credential_file(&home, &login_json(ADA), "--no-browser")
        .expect_status(2)
        .expect_error("exclude each other")
        .run();
    assert!(home.names(".config/gauth/accounts").is_empty());
}

#[test]
fn a_new_login_does_not_use_the_old_logins_cached_token() {
    let home = home_with_logins(&[]);
    login_with_credential_file(&home, &login_json(ADA), "").run();
    gauth_in(&home, "token").expect_request(token_response(200, token_response_body(TOKEN))).run();
    gauth_in(&home, "token").run();
    login_with_credential_file(&home, &login_json(ADA), "").run();
    gauth_in(&home, "token")
        .expect_request(token_response(200, token_response_body(sample_credentials::SECOND_TOKEN)))
        .run();
}

#[test]
fn the_login_can_be_that_of_a_profile() {
    let home = home_with_logins(&[("bob@example.com", login_json("bob@example.com"))]);
    login_with_credential_file(&home, &login_json(ADA), "--profile work").run();
    assert_eq!(state_json(&home), json!({"active": "bob@example.com", "profiles": {"work": ADA}}));
    let ran = gauth_in(&home, "token --profile work --format json")
        .expect_request(token_response(200, token_response_body(TOKEN)));
    assert_eq!(ran.run().json()["account"], ADA);
}

#[test]
fn the_adc_file_is_written_with_update_adc() {
    let home = home_with_logins(&[]);
    login_with_credential_file(&home, &login_json(ADA), "--update-adc --quota-project payer")
        .expect_stderr("wrote HOME/.config/gcloud/application_default_credentials.json\n")
        .run();
    let adc: Value = serde_json::from_str(&home.read(ADC_FILE)).expect("JSON");
    let expected = json!({
        "account": ADA, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN,
        "type": "authorized_user", "universe_domain": "googleapis.com", "quota_project_id": "payer",
    });
    assert_eq!(adc, expected);
    let other = sample_credentials::with_fields(login_json(ADA), &json!({"refresh_token": "1//0another-login"}));
    login_with_credential_file(&home, &other, "--update-adc")
        .expect_stderr(
            "wrote HOME/.config/gcloud/application_default_credentials.json, the previous file is now \
             HOME/.config/gcloud/application_default_credentials.json.bak\n",
        )
        .run();
    assert!(home.read(ADC_FILE).contains("payer"), "the quota project of the same account");
    login_with_credential_file(&home, &service_account(), "--update-adc")
        .expect_status(7)
        .expect_error("gcloud does not write keys to the ADC file")
        .run();
    assert!(!home.path(&login_file(SERVICE_ACCOUNT_EMAIL)).exists());
}

#[test]
fn an_adc_file_that_is_a_link_is_not_replaced() {
    let home = home_with_logins(&[]);
    home.write(".config/gcloud/elsewhere.json", "{}");
    std::os::unix::fs::symlink("elsewhere.json", home.path(ADC_FILE)).expect("a link");
    login_with_credential_file(&home, &login_json(ADA), "--update-adc")
        .expect_status(9)
        .expect_error("is a link")
        .run();
    assert_eq!(home.read(".config/gcloud/elsewhere.json"), "{}");
    // The login itself is stored.
    assert_eq!(state_json(&home)["active"], ADA);
}

#[test]
fn a_copy_and_its_original_share_one_chain_of_refresh_tokens() {
    let home = home_with_logins(&[]);
    let rotating = |access: &str, next: &str| {
        token_response(200, json!({"access_token": access, "expires_in": 3599, "refresh_token": next}).to_string())
    };
    login_with_credential_file(&home, &login_json(ADA), "").run();
    gauth_in(&home, "token").expect_request(rotating(TOKEN, sample_credentials::ROTATED_REFRESH_TOKEN)).run();
    let ran = gauth_in(&home, "token --credentials {home}/my.json --refresh")
        .expect_request(rotating(TOKEN, "1//0third"))
        .secret("1//0third")
        .run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), sample_credentials::ROTATED_REFRESH_TOKEN);
    // A copy that is exported now has the newest refresh token, and both use the next ones.
    gauth_in(&home, "accounts show ada@example.com --export {home}/copy.json").run();
    let copy: Value = serde_json::from_str(&home.read("copy.json")).expect("JSON");
    assert_eq!((&copy["refresh_token"], copy.get("refresh_token_shared")), (&json!("1//0third"), None));
    gauth_in(&home, "token --credentials {home}/copy.json --refresh")
        .expect_request(rotating(TOKEN, "1//0fourth"))
        .run();
    let ran = gauth_in(&home, "token --refresh").expect_request(token_response(200, token_response_body(TOKEN))).run();
    assert_eq!(ran.requests[0].form_field("refresh_token"), "1//0fourth");
    let ran =
        gauth_in(&home, "logout").expect_request(post_response("https://oauth2.googleapis.com/revoke", 200, "")).run();
    assert_eq!(ran.requests[0].form_field("token"), "1//0fourth");
}
