//! Is there a metadata server? Variables, the machine's own data, one short ping.

use std::time::Duration;

use super::{assert_uses, metadata_server_success};
use crate::support::{Home, Test, metadata_ping, without_response};

const DMI_PRODUCT_NAME_FILE: &str = "root/sys/class/dmi/id/product_name";

fn detection_test() -> Test {
    Test::new("token --format json")
}

#[test]
fn variables_of_googles_environments_need_no_ping() {
    for variable in ["K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_NAME", "FUNCTION_TARGET", "GAE_SERVICE"] {
        assert_uses(detection_test().env(variable, "x").expect_request(metadata_server_success()), "metadata", None);
    }
    let present = detection_test().env("METADATA_SERVER_DETECTION", "assume-present");
    assert_uses(present.expect_request(metadata_server_success()), "metadata", None);
    for variable in ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"] {
        let url = "http://10.0.0.9:81/computeMetadata/v1/instance/service-accounts/default/token";
        let test = detection_test().env(variable, "10.0.0.9:81");
        assert_uses(test.expect_request(metadata_server_success().at_url(url)), "metadata", None);
    }
}

#[test]
fn dmi_data_needs_no_ping() {
    for name in ["Google Compute Engine\n", "Google\n"] {
        assert_uses(
            detection_test().file(DMI_PRODUCT_NAME_FILE, name).expect_request(metadata_server_success()),
            "metadata",
            None,
        );
    }
    let bios = detection_test().env("METADATA_SERVER_DETECTION", "bios-only").file(DMI_PRODUCT_NAME_FILE, "Google");
    assert_uses(bios.expect_request(metadata_server_success()), "metadata", None);
    let other =
        detection_test().file(DMI_PRODUCT_NAME_FILE, "Some Board\n").expect_request(without_response(metadata_ping()));
    other.expect_status(3).run();
}

#[test]
fn variables_that_disable_detection_are_honoured() {
    for (variable, value) in [
        ("NO_GCE_CHECK", "true"),
        ("NO_GCE_CHECK", "TRUE"),
        ("NO_GCE_CHECK", "1"),
        ("METADATA_SERVER_DETECTION", "none"),
        ("METADATA_SERVER_DETECTION", "bios-only"),
        ("CLOUDSDK_CORE_CHECK_GCE_METADATA", "false"),
    ] {
        detection_test().env(variable, value).expect_status(3).run();
    }
    // What says no goes before what says yes.
    let both = detection_test()
        .env("NO_GCE_CHECK", "true")
        .env("GCE_METADATA_HOST", "10.0.0.9")
        .file(DMI_PRODUCT_NAME_FILE, "Google");
    both.expect_status(3).run();
    let only = detection_test().env("METADATA_SERVER_DETECTION", "ping-only").file(DMI_PRODUCT_NAME_FILE, "Google");
    only.expect_request(without_response(metadata_ping())).expect_status(3).run();
    for (variable, value) in
        [("NO_GCE_CHECK", "false"), ("NO_GCE_CHECK", ""), ("CLOUDSDK_CORE_CHECK_GCE_METADATA", "true")]
    {
        detection_test().env(variable, value).expect_request(without_response(metadata_ping())).expect_status(3).run();
    }
}

#[test]
fn a_ping_is_answered_or_not() {
    let ran = detection_test().expect_request(metadata_ping()).expect_request(metadata_server_success()).run();
    assert_eq!(ran.requests[0].timeout, Duration::from_millis(500));
    assert_eq!(ran.requests[0].headers["metadata-flavor"], "Google");
    assert!(ran.requests.iter().all(|sent| !sent.is_proxied));
    detection_test()
        .expect_request(metadata_ping().with_latency(Duration::from_millis(400)))
        .expect_request(metadata_server_success())
        .run();
    for no in [
        without_response(metadata_ping()),
        metadata_ping().without_headers(),
        metadata_ping().without_headers().with_header("metadata-flavor", "google"),
        metadata_ping().with_latency(Duration::from_secs(2)),
        metadata_ping().with_status(404),
        metadata_ping().with_status(302).with_header("location", "http://portal.example/"),
    ] {
        detection_test().expect_request(no).expect_status(3).expect_error("no credential found").run();
    }
}

#[test]
fn a_negative_result_is_cached_for_ten_minutes_of_the_same_boot() {
    let home = Home::new();
    let boot = "root/proc/sys/kernel/random/boot_id";
    home.write(boot, "one\n");
    let run = |pings: usize| {
        detection_test().home(&home).expect_requests(pings, &without_response(metadata_ping())).expect_status(3).run();
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
    detection_test().home(&home).expect_request(metadata_ping()).expect_request(metadata_server_success()).run();
    // The clock was set back: the note is from the future, and no longer believed.
    home.clock.advance(601);
    run(1);
    home.clock.advance(-3600);
    run(1);
}

#[test]
fn the_ping_never_uses_a_proxy() {
    let test = detection_test().env("http_proxy", "http://proxy.example:3128").env("ALL_PROXY", "http://p:1");
    let ran = test.expect_request(metadata_ping()).expect_request(metadata_server_success()).run();
    assert!(ran.requests.iter().all(|sent| !sent.is_proxied), "{ran:#?}");
}

#[test]
fn status_does_not_ping() {
    let ran = Test::new("status").run();
    assert!(ran.stdout.contains("not checked (gauth status --check does)"), "{}", ran.stdout);
}
