//! `gauth login --credentials`: a credential file becomes an account, and with `--update-adc` gcloud's ADC file.

use serde_json::{Value, json};

use super::{ADA, at, login, place, signed_in, state};
use crate::support::samples::{
    self, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, ROBOT, TARGET, TOKEN, authorized_user,
    exchanged, granted, impersonated, of_file, service_account, workforce_login,
};
use crate::support::{ADC, Home, Test, nothing, post, sts, token};

fn stored(home: &Home, account: &str) -> Value {
    serde_json::from_str(&home.read(&place(account))).expect("JSON")
}

/// What `login --credentials` makes of it.
fn takes(home: &std::rc::Rc<Home>, credential: &Value, words: &str) -> Test {
    home.write("my.json", credential.to_string());
    at(home, &format!("login --credentials {{home}}/my.json {words}"))
}

#[test]
fn every_kind_is_stored_under_the_name_it_has() {
    for (credential, name) in [
        (login("Ada@Example.com"), ADA),
        (service_account(), ROBOT),
        (impersonated(login(ADA)), TARGET),
        (samples::gdch(), "system:serviceaccount:example-gdch-project:example-service-identity"),
    ] {
        let home = signed_in(&[]);
        let ran = takes(&home, &credential, "").run();
        assert!(ran.stdout.to_lowercase().starts_with(&format!("signed in as {name}")), "{ran:?}");
        let spelled = state(&home)["active"].as_str().expect("a name").to_owned();
        let file = gauth::accounts::file_name(&spelled);
        let kept: Value =
            serde_json::from_str(&home.read(&format!(".config/gauth/accounts/{file}")))
                .expect("JSON");
        let added = json!({"signed_in_at": "2026-01-02T03:04:05Z"});
        let mut expected = samples::with(credential, &added);
        if expected.get("refresh_token").is_some() {
            expected["refresh_token_shared"] = json!(true);
        }
        if kept.get("account").is_some() {
            expected["account"] = json!(spelled);
        }
        assert_eq!(kept, expected);
    }
}

#[test]
fn a_stored_file_is_used_and_is_good_for_others() {
    let home = signed_in(&[]);
    takes(&home, &service_account(), "").run();
    at(&home, "token").google(token(200, granted(TOKEN))).stdout(&format!("{TOKEN}\n")).run();
    let file = Test::new("token --no-cache").home(&home);
    let file = file.env("GOOGLE_APPLICATION_CREDENTIALS", format!("{{home}}/{}", place(ROBOT)));
    file.google(token(200, granted(TOKEN))).run();
}

#[test]
fn whose_it_is_is_asked_where_the_file_does_not_say() {
    let home = signed_in(&[]);
    let nameless = samples::with(authorized_user(), &json!({"account": null, "type": null}));
    let told = json!({"exp": "1767326645", "email": ADA});
    takes(&home, &nameless, "")
        .google(token(200, granted(TOKEN)))
        .google(post("https://oauth2.googleapis.com/tokeninfo", 200, told.to_string()))
        .stdout("signed in as ada@example.com\n")
        .run();
    assert_eq!(
        (&stored(&home, ADA)["account"], &stored(&home, ADA)["type"]),
        (&json!(ADA), &json!("authorized_user"))
    );
    let principal = "principal://iam.googleapis.com/x/subject/ada";
    let introspected = json!({"active": true, "username": principal});
    takes(&home, &workforce_login(), "")
        .google(token(200, granted(TOKEN)).url("https://sts.googleapis.com/v1/oauthtoken"))
        .google(post("https://sts.googleapis.com/v1/introspect", 200, introspected.to_string()))
        .stdout(&format!("signed in as {principal}\n"))
        .run();
    home.write("subject", samples::SUBJECT);
    let federated = samples::with(
        of_file(),
        &json!({"credential_source": {"file": home.path("subject")}, "token_info_url": "https://sts.googleapis.com/v1/introspect"}),
    );
    takes(&home, &federated, "")
        .google(sts(200, exchanged(TOKEN)))
        .google(post("https://sts.googleapis.com/v1/introspect", 403, ""))
        .stdout("signed in as my\n")
        .run();
    takes(&signed_in(&[]), &federated, "")
        .google_times(3, &nothing(sts(200, "")))
        .warns("whose HOME/my.json is could not be asked, sts.googleapis.com: connection refused")
        .run();
    // Who names it need not ask.
    takes(&home, &federated, "--account ci").stdout("signed in as ci\n").run();
}

#[test]
fn standard_input_needs_a_name_unless_it_has_one() {
    let home = signed_in(&[]);
    at(&home, "login --credentials -")
        .input(login(ADA).to_string())
        .stdout("signed in as ada@example.com\n")
        .run();
    let federated = samples::with(of_file(), &json!({"credential_source": {"file": "/run/token"}}));
    at(&home, "login --credentials -")
        .input(federated.to_string())
        .status(2)
        .says("standard input: whose it is cannot be told")
        .tries("--account NAME")
        .run();
}

#[test]
fn what_contradicts_or_is_broken_is_not_stored() {
    let home = signed_in(&[]);
    takes(&home, &login(ADA), "--account bob@example.com")
        .status(2)
        .says("is a credential of ada@example.com")
        .run();
    takes(&home, &json!({"installed": {}}), "").status(8).says("this is an OAuth client").run();
    takes(&home, &json!("junk"), "").status(8).run();
    at(&home, "login --credentials {home}/nosuch.json").status(8).says("no such file").run();
    takes(&home, &samples::with(login(ADA), &json!({"token_uri": "https://evil.example/"})), "")
        .status(9)
        .run();
    takes(&home, &login(ADA), "--no-browser").status(2).says("do not go together").run();
    assert!(home.names(".config/gauth/accounts").is_empty());
}

#[test]
fn a_login_made_anew_took_the_old_ones_token() {
    let home = signed_in(&[]);
    takes(&home, &login(ADA), "").run();
    at(&home, "token").google(token(200, granted(TOKEN))).run();
    at(&home, "token").run();
    takes(&home, &login(ADA), "").run();
    at(&home, "token").google(token(200, granted(samples::SECOND))).run();
}

#[test]
fn a_profile_gets_the_login() {
    let home = signed_in(&[("bob@example.com", login("bob@example.com"))]);
    takes(&home, &login(ADA), "--profile work").run();
    assert_eq!(state(&home), json!({"active": "bob@example.com", "profiles": {"work": ADA}}));
    let ran = at(&home, "token --profile work --format json").google(token(200, granted(TOKEN)));
    assert_eq!(ran.run().json()["account"], ADA);
}

#[test]
fn the_adc_file_is_written_too() {
    let home = signed_in(&[]);
    takes(&home, &login(ADA), "--update-adc --quota-project payer")
        .stderr("wrote HOME/.config/gcloud/application_default_credentials.json\n")
        .run();
    let adc: Value = serde_json::from_str(&home.read(ADC)).expect("JSON");
    let expected = json!({
        "account": ADA, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN,
        "type": "authorized_user", "universe_domain": "googleapis.com", "quota_project_id": "payer",
    });
    assert_eq!(adc, expected);
    let other = samples::with(login(ADA), &json!({"refresh_token": "1//0another-login"}));
    takes(&home, &other, "--update-adc")
        .stderr(
            "wrote HOME/.config/gcloud/application_default_credentials.json, what was there is now \
             HOME/.config/gcloud/application_default_credentials.json.bak\n",
        )
        .run();
    assert!(home.read(ADC).contains("payer"), "the quota project of the same account");
    takes(&home, &service_account(), "--update-adc")
        .status(7)
        .says("does not belong into the ADC file")
        .run();
    assert!(!home.path(&place(ROBOT)).exists());
}

#[test]
fn a_link_in_the_place_of_the_adc_file_is_left_alone() {
    let home = signed_in(&[]);
    home.write(".config/gcloud/elsewhere.json", "{}");
    std::os::unix::fs::symlink("elsewhere.json", home.path(ADC)).expect("a link");
    takes(&home, &login(ADA), "--update-adc").status(9).says("is a link").run();
    assert_eq!(home.read(".config/gcloud/elsewhere.json"), "{}");
    // The login itself is kept.
    assert_eq!(state(&home)["active"], ADA);
}

#[test]
fn a_copy_and_its_original_never_spend_each_others_refresh_tokens() {
    let home = signed_in(&[]);
    let rotating = |access: &str, next: &str| {
        token(
            200,
            json!({"access_token": access, "expires_in": 3599, "refresh_token": next}).to_string(),
        )
    };
    takes(&home, &login(ADA), "").run();
    at(&home, "token").google(rotating(TOKEN, samples::ROTATED)).run();
    let ran = at(&home, "token --credentials {home}/my.json --refresh")
        .google(rotating(TOKEN, "1//0third"))
        .secret("1//0third")
        .run();
    assert_eq!(ran.sent[0].field("refresh_token"), samples::ROTATED);
    // A copy that is made now is of the newest, and so is what both have from then on.
    at(&home, "accounts show ada@example.com --export {home}/copy.json").run();
    let copy: Value = serde_json::from_str(&home.read("copy.json")).expect("JSON");
    assert_eq!(
        (&copy["refresh_token"], copy.get("refresh_token_shared")),
        (&json!("1//0third"), None)
    );
    at(&home, "token --credentials {home}/copy.json --refresh")
        .google(rotating(TOKEN, "1//0fourth"))
        .run();
    let ran = at(&home, "token --refresh").google(token(200, granted(TOKEN))).run();
    assert_eq!(ran.sent[0].field("refresh_token"), "1//0fourth");
    let ran =
        at(&home, "logout").google(post("https://oauth2.googleapis.com/revoke", 200, "")).run();
    assert_eq!(ran.sent[0].field("token"), "1//0fourth");
}
