//! What a run says about its network: proxies, certificates, time.

use super::with;
use crate::support::samples::{TOKEN, authorized_user, granted};
use crate::support::token;

#[test]
fn certificates_are_checked_whatever_gcloud_was_told() {
    let warning = "gcloud's auth/disable_ssl_validation is ignored, certificates are checked";
    let variable = "CLOUDSDK_AUTH_DISABLE_SSL_VALIDATION";
    for yes in ["true", "True", "1", "yes", "on"] {
        let test = with(&authorized_user(), "").env(variable, yes);
        test.google(token(200, granted(TOKEN))).warns(warning).run();
    }
    for no in ["false", "", "0", "none"] {
        let test = with(&authorized_user(), "").env(variable, no);
        test.google(token(200, granted(TOKEN))).stderr("").run();
    }
    let content = "[auth]\ndisable_ssl_validation = true\n";
    let file =
        with(&authorized_user(), "").file(".config/gcloud/configurations/config_default", content);
    file.google(token(200, granted(TOKEN))).warns(warning).run();
    // Said once, however often a server is asked.
    let again = with(&authorized_user(), "").env(variable, "true").google(token(503, ""));
    let ran = again.google(token(200, granted(TOKEN))).warns(warning).run();
    assert_eq!(ran.stderr.matches("disable_ssl").count(), 1);
}

#[test]
fn a_proxy_carries_what_goes_out_and_nothing_else() {
    for (variable, proxied) in
        [("HTTPS_PROXY", true), ("https_proxy", true), ("ALL_PROXY", true), ("http_proxy", false)]
    {
        let test = with(&authorized_user(), "").env(variable, "http://proxy.example:3128");
        let ran = test.google(token(200, granted(TOKEN))).run();
        assert_eq!(ran.sent[0].proxied, proxied, "{variable}");
    }
    let excepted = with(&authorized_user(), "")
        .env("HTTPS_PROXY", "http://p:1")
        .env("NO_PROXY", ".googleapis.com");
    assert!(!excepted.google(token(200, granted(TOKEN))).run().sent[0].proxied);
    for junk in ["http://", "://x", "gopher://x", "http://a b", "http://x:0"] {
        let test = with(&authorized_user(), "").env("HTTPS_PROXY", junk).status(2);
        test.says("HTTPS_PROXY").run();
    }
    let secret = "http://user:GAUTH-TEST-JUNK-SECRET@proxy.example:0";
    with(&authorized_user(), "").env("HTTPS_PROXY", secret).status(2).says("HTTPS_PROXY").run();
}

#[test]
fn a_budget_is_for_all_attempts_together() {
    let slow = || token(503, "").takes(std::time::Duration::from_secs(3));
    // Three seconds, a pause of one, and then four and a half are left of which the server takes three.
    let test = with(&authorized_user(), "--timeout 8s").google(slow()).google(slow()).status(6);
    let ran = test.says("status 503").run();
    assert_eq!(ran.sent[0].limit.as_secs(), 8);
    assert!(ran.sent[1].limit.as_secs() < 5, "{:?}", ran.sent[1].limit);
}
