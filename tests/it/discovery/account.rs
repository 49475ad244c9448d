//! An account that is named: where it is looked for.

use serde_json::json;

use super::{PLACES, login, machine, uses, yes};
use crate::support::samples::{ROBOT, service_account};
use crate::support::{ADC, Test, metadata};

const ADA: &str = "ada@example.com";

fn wanted(account: &str) -> Test {
    Test::new("token --format json --account").word(account)
}

fn own(test: Test) -> Test {
    test.json(".config/gauth/accounts/ada@example.com.json", &login(ADA))
}

#[cfg(feature = "gcloud-store")]
fn in_gcloud(test: Test) -> Test {
    test.step(|home| super::store(home, &[(ADA, login(""))]))
}

fn in_variable(test: Test) -> Test {
    test.env("GAUTH_CREDENTIALS", login(ADA).to_string())
}

fn in_adc(test: Test) -> Test {
    test.json(ADC, &login(ADA))
}

#[test]
fn logins_go_before_files_and_files_before_the_machine() {
    #[cfg(feature = "gcloud-store")]
    uses(in_adc(in_variable(in_gcloud(own(wanted(ADA))))).google(yes()), "login", Some(ADA));
    #[cfg(feature = "gcloud-store")]
    uses(in_adc(in_variable(in_gcloud(wanted(ADA)))).google(yes()), "gcloud", Some(ADA));
    uses(in_adc(in_variable(wanted(ADA))).google(yes()), "env", Some(ADA));
    uses(in_adc(wanted(ADA)).google(yes()), "adc", Some(ADA));
    let path = "instance/service-accounts/ada@example.com/token";
    let test = wanted(ADA).env("GCE_METADATA_HOST", "metadata.google.internal");
    let answer =
        metadata(path, 200, crate::support::samples::granted(crate::support::samples::TOKEN));
    uses(test.google(answer), "metadata", Some(ADA));
}

#[test]
fn an_account_goes_before_every_place() {
    let test = PLACES.iter().fold(wanted(ADA), |test, place| (place.make)(test));
    uses(own(test).google(yes()), "login", Some(ADA));
}

#[test]
fn an_account_is_named_in_three_ways() {
    uses(own(Test::new("token ada@example.com --format json")).google(yes()), "login", Some(ADA));
    uses(own(wanted("Ada@Example.COM")).google(yes()), "login", Some(ADA));
    let same = "token ada@example.com --account ada@example.com --format json";
    uses(own(Test::new(same)).google(yes()), "login", Some(ADA));
    let variable = Test::new("token --format json").env("GAUTH_ACCOUNT", ADA);
    uses(own(variable).google(yes()), "login", Some(ADA));
    let both = wanted(ADA).env("GAUTH_ACCOUNT", "bob@example.com");
    uses(own(both).google(yes()), "login", Some(ADA));
}

#[test]
fn an_account_and_a_file_must_agree() {
    let file = |account: &str| wanted(account).word("--credentials").word("{home}/key.json");
    let robot = |account: &str| file(account).json("key.json", &service_account());
    uses(robot(ROBOT).google(yes()), "file", Some(ROBOT));
    uses(robot(&ROBOT.to_uppercase()).google(yes()), "file", Some(ROBOT));
    robot(ADA)
        .status(2)
        .says("is a credential of example-sa@example-project")
        .says("--account asks for ada@example.com")
        .run();
}

#[test]
fn an_account_that_is_nowhere_is_said_so_with_those_that_are() {
    let nobody = wanted("bob@example.com").env("NO_GCE_CHECK", "true").status(3);
    nobody
        .says("bob@example.com is no login of gauth or gcloud")
        .tries("gauth login --account bob@example.com")
        .run();
    let others = own(wanted("bob@example.com")).env("NO_GCE_CHECK", "true").status(3);
    others
        .says("bob@example.com is no login")
        .tries("gauth login --account bob@example.com, or use one of ada@example.com")
        .run();
    let other_file = in_adc(in_variable(wanted("bob@example.com"))).env("NO_GCE_CHECK", "true");
    other_file.status(3).says("bob@example.com is no login").run();
    let odd = wanted("../../etc/passwd").env("NO_GCE_CHECK", "true").status(3);
    odd.says("../../etc/passwd is no login").run();
}

#[test]
fn the_machine_without_that_account_says_so() {
    wanted("bob@example.com")
        .env("GCE_METADATA_HOST", "metadata.google.internal")
        .google(metadata("instance/service-accounts/bob@example.com/token", 404, ""))
        .status(3)
        .says("bob@example.com is no login of gauth or gcloud")
        .says("metadata.google.internal has no such account")
        .run();
}

#[test]
fn a_source_narrows_where_an_account_is_looked_for() {
    let adc = own(in_adc(wanted(ADA))).word("--source").word("adc");
    uses(adc.google(yes()), "adc", Some(ADA));
    let none = own(wanted(ADA)).word("--source").word("adc").status(3);
    none.says("ada@example.com is no login").run();
}

#[test]
fn the_active_account_is_the_one_in_the_state() {
    let state = json!({"active": "ada@example.com", "later": {"x": 1}});
    let test = own(Test::new("token --format json")).json(".config/gauth/state.json", &state);
    uses(test.google(yes()), "login", Some(ADA));
    // A login that nobody made active is no reason to use it.
    let test =
        own(Test::new("token --format json")).env("GCE_METADATA_HOST", "metadata.google.internal");
    uses(test.google(machine()), "metadata", None);
}
