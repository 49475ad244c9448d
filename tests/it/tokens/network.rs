//! What a run reports about its network: proxies, certificates, time.

use super::token_test;
use crate::support::sample_credentials::{TOKEN, authorized_user, token_response_body};
use crate::support::token_response;

#[test]
fn certificates_are_verified_even_if_gcloud_disables_it() {
    let warning = "gcloud's auth/disable_ssl_validation is ignored, certificates are checked";
    let variable = "CLOUDSDK_AUTH_DISABLE_SSL_VALIDATION";
    for yes in ["true", "True", "1", "yes", "on"] {
        let test = token_test(&authorized_user(), "").env(variable, yes);
        test.expect_request(token_response(200, token_response_body(TOKEN))).expect_warning(warning).run();
    }
    for no in ["false", "", "0", "none"] {
        let test = token_test(&authorized_user(), "").env(variable, no);
        test.expect_request(token_response(200, token_response_body(TOKEN))).expect_stderr("").run();
    }
    let content = "[auth]\ndisable_ssl_validation = true\n";
    let file = token_test(&authorized_user(), "").file(".config/gcloud/configurations/config_default", content);
    file.expect_request(token_response(200, token_response_body(TOKEN))).expect_warning(warning).run();
    // The warning is given once, however many requests there are.
    let again = token_test(&authorized_user(), "").env(variable, "true").expect_request(token_response(503, ""));
    let ran = again.expect_request(token_response(200, token_response_body(TOKEN))).expect_warning(warning).run();
    assert_eq!(ran.stderr.matches("disable_ssl").count(), 1);
}

#[test]
fn a_proxy_is_used_for_external_requests_only() {
    for (variable, proxied) in
        [("HTTPS_PROXY", true), ("https_proxy", true), ("ALL_PROXY", true), ("http_proxy", false)]
    {
        let test = token_test(&authorized_user(), "").env(variable, "http://proxy.example:3128");
        let ran = test.expect_request(token_response(200, token_response_body(TOKEN))).run();
        assert_eq!(ran.requests[0].is_proxied, proxied, "{variable}");
    }
    let excepted =
        token_test(&authorized_user(), "").env("HTTPS_PROXY", "http://p:1").env("NO_PROXY", ".googleapis.com");
    assert!(!excepted.expect_request(token_response(200, token_response_body(TOKEN))).run().requests[0].is_proxied);
    for junk in ["http://", "://x", "gopher://x", "http://a b", "http://x:0"] {
        let test = token_test(&authorized_user(), "").env("HTTPS_PROXY", junk).expect_status(2);
        test.expect_error("HTTPS_PROXY").run();
    }
    let secret = "http://user:GAUTH-TEST-JUNK-SECRET@proxy.example:0";
    token_test(&authorized_user(), "").env("HTTPS_PROXY", secret).expect_status(2).expect_error("HTTPS_PROXY").run();
}

#[test]
fn the_timeout_covers_all_attempts_together() {
    let slow = || token_response(503, "").with_latency(std::time::Duration::from_secs(3));
    // Three seconds and a pause of one; of the four and a half that are left the server takes three.
    let test =
        token_test(&authorized_user(), "--timeout 8s").expect_request(slow()).expect_request(slow()).expect_status(6);
    let ran = test.expect_error("status 503").run();
    assert_eq!(ran.requests[0].timeout.as_secs(), 8);
    assert!(ran.requests[1].timeout.as_secs() < 5, "{:?}", ran.requests[1].timeout);
}
