//! Is there a metadata server? Variables, the machine's own data, one short ping.

use std::time::Duration;

use super::{machine, uses};
use crate::support::{Home, Test, nothing, ping};

const DMI: &str = "root/sys/class/dmi/id/product_name";

fn wanted() -> Test {
    Test::new("token --format json")
}

#[test]
fn variables_of_googles_environments_need_no_ping() {
    for variable in
        ["K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_NAME", "FUNCTION_TARGET", "GAE_SERVICE"]
    {
        uses(wanted().env(variable, "x").google(machine()), "metadata", None);
    }
    let present = wanted().env("METADATA_SERVER_DETECTION", "assume-present");
    uses(present.google(machine()), "metadata", None);
    for variable in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"] {
        let url = "http://10.0.0.9:81/computeMetadata/v1/instance/service-accounts/default/token";
        let test = wanted().env(variable, "10.0.0.9:81");
        uses(test.google(machine().url(url)), "metadata", None);
    }
}

#[test]
fn the_machines_own_data_needs_no_ping() {
    for name in ["Google Compute Engine\n", "Google\n"] {
        uses(wanted().file(DMI, name).google(machine()), "metadata", None);
    }
    let bios = wanted().env("METADATA_SERVER_DETECTION", "bios-only").file(DMI, "Google");
    uses(bios.google(machine()), "metadata", None);
    let other = wanted().file(DMI, "Some Board\n").google(nothing(ping()));
    other.status(3).run();
}

#[test]
fn variables_that_say_no_are_believed() {
    for (variable, value) in [
        ("NO_GCE_CHECK", "true"),
        ("NO_GCE_CHECK", "TRUE"),
        ("NO_GCE_CHECK", "1"),
        ("METADATA_SERVER_DETECTION", "none"),
        ("METADATA_SERVER_DETECTION", "bios-only"),
        ("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false"),
    ] {
        wanted().env(variable, value).status(3).run();
    }
    // What says no goes before what says yes.
    let both = wanted()
        .env("NO_GCE_CHECK", "true")
        .env("GCE_METADATA_HOST", "10.0.0.9")
        .file(DMI, "Google");
    both.status(3).run();
    let only = wanted().env("METADATA_SERVER_DETECTION", "ping-only").file(DMI, "Google");
    only.google(nothing(ping())).status(3).run();
    for (variable, value) in [
        ("NO_GCE_CHECK", "false"),
        ("NO_GCE_CHECK", ""),
        ("CLOUDSDK_CORE_CHECK_GCE_METADATA", "true"),
    ] {
        wanted().env(variable, value).google(nothing(ping())).status(3).run();
    }
}

#[test]
fn a_ping_is_answered_or_not() {
    let ran = wanted().google(ping()).google(machine()).run();
    assert_eq!(ran.sent[0].limit, Duration::from_millis(500));
    assert_eq!(ran.sent[0].headers["metadata-flavor"], "Google");
    assert!(ran.sent.iter().all(|sent| !sent.proxied));
    wanted().google(ping().takes(Duration::from_millis(400))).google(machine()).run();
    for no in [
        nothing(ping()),
        ping().without_headers(),
        ping().without_headers().header("metadata-flavor", "google"),
        ping().takes(Duration::from_secs(2)),
        ping().answers(404),
        ping().answers(302).header("location", "http://portal.example/"),
    ] {
        wanted().google(no).status(3).says("no credential found").run();
    }
}

#[test]
fn a_no_is_kept_for_ten_minutes_of_the_same_start() {
    let home = Home::new();
    let boot = "root/proc/sys/kernel/random/boot_id";
    home.write(boot, "one\n");
    let run = |pings: usize| {
        wanted().home(&home).google_times(pings, &nothing(ping())).status(3).run();
    };
    run(1);
    run(0);
    home.clock.advance(590);
    run(0);
    home.clock.advance(20);
    run(1);
    home.write(boot, "two\n");
    run(1);
    // A yes is asked for each time: a token is what is kept.
    home.clock.advance(601);
    wanted().home(&home).google(ping()).google(machine()).run();
    // The clock was set back: the note is from the future, and no longer believed.
    home.clock.advance(601);
    run(1);
    home.clock.advance(-3600);
    run(1);
}

#[test]
fn a_proxy_is_never_asked_about_the_machine() {
    let test =
        wanted().env("http_proxy", "http://proxy.example:3128").env("ALL_PROXY", "http://p:1");
    let ran = test.google(ping()).google(machine()).run();
    assert!(ran.sent.iter().all(|sent| !sent.proxied), "{ran:#?}");
}

#[test]
fn status_does_not_ping() {
    let ran = Test::new("status").run();
    assert!(ran.stdout.contains("not asked (gauth status --check asks)"), "{}", ran.stdout);
}
