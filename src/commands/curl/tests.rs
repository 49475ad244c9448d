//! Which command lines of curl run, with which token, and which are refused.

use std::ffi::OsString;

use crate::commands::curl::arguments::parse_args;
use crate::commands::curl::destination::{CurlTokenKind, DestinationPolicy, choose_token_kind};
use gauth_core::error::{Error, ErrorKind};

fn split_args(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

/// The token that this line of curl's arguments sends, with these values of --audience, --allow-host and
/// --universe-domain.
fn outcome(
    line: &str,
    audience: Option<&str>,
    allowed: &[&str],
    universe: Option<&str>,
) -> Result<CurlTokenKind, Error> {
    let invocation = parse_args(&split_args(line))?;
    let hosts: Vec<_> = invocation.destinations().collect();
    let kind = choose_token_kind(&hosts, audience.map(str::to_owned), false)?;
    let allowed: Vec<String> = allowed.iter().map(|&host| host.to_owned()).collect();
    DestinationPolicy { allowed: &allowed, universe, account: None }.check(&kind, &hosts)?;
    Ok(kind)
}

#[track_caller]
fn assert_access_token(line: &str) {
    assert_eq!(outcome(line, None, &[], None).ok(), Some(CurlTokenKind::AccessToken), "{line}");
}

#[track_caller]
fn assert_refused(line: &str) -> Error {
    let error = outcome(line, None, &[], None).expect_err(line);
    assert_eq!(error.kind(), ErrorKind::Unsafe, "{line}: {error}");
    let hint = error.hint_text().unwrap_or_default();
    assert!(!hint.is_empty(), "{line}: {error} has no hint");
    error
}

const API: &str = "https://storage.googleapis.com/b";

#[test]
fn googles_apis_get_an_access_token() {
    for url in [
        "https://storage.googleapis.com/storage/v1/b?project=p",
        "https://googleapis.com.storage.googleapis.com/",
        "HTTPS://Storage.GoogleApis.Com/",
        "https://storage.googleapis.com:443/x",
        "https://storage.googleapis.com",
        "https://storage.googleapis.com?x=1",
        "https://storage.googleapis.com#fragment",
        "https://us-docker.pkg.dev/v2/",
        "https://gcr.io/v2/",
        "https://eu.gcr.io/v2/",
        "https://p.googlesource.com/r",
        "https://source.developers.google.com/p/x",
        "https://gke-1234.us-east1.gke.goog/api",
        "https://accounts.google.com/o/oauth2",
        "http://127.0.0.1:8080/x",
        "http://127.8.8.8/",
        "http://[::1]:8080/x",
        "https://127.0.0.1:8443/",
        "https://storage.googleapis.com/{a,b}/[1-3]",
        "https://storage.googleapis.com/a?b={1,2}@evil.example",
        "https://storage.googleapis.com/\u{fc}",
        "https://storage.googleapis.com/a\\b",
    ] {
        assert_access_token(url);
    }
    assert_access_token(&format!("{API}/{}", "x".repeat(5000)));
}

#[test]
fn other_hosts_get_no_token() {
    for url in [
        "https://example.com/",
        "https://googleapis.com/",
        "https://evilgoogleapis.com/",
        "https://storage.googleapis.com.evil.example/",
        "https://storage.googleapis.com:8443/",
        "https://pkg.dev/",
        "https://evil-gcr.io/",
        "https://accounts.google.com.evil.example/",
        "https://x.accounts.google.com/",
        "https://www.google.com/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "http://169.254.169.254/",
        "http://metadata.google.internal/",
        "http://storage.googleapis.com/",
        "http://localhost:8080/",
        "http://127.0.0.1.evil.example/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "storage.googleapis.com/b",
        "//storage.googleapis.com/b",
        "https:/storage.googleapis.com/b",
        "https:storage.googleapis.com/b",
        "https:///storage.googleapis.com/b",
        "ftp://storage.googleapis.com/b",
        "file:///etc/passwd",
        "https://user@storage.googleapis.com/",
        "https://user:password@storage.googleapis.com/",
        "https://storage.googleapis.com@evil.example/",
        "https://storage.googleapis.com\\@evil.example/",
        "https://storage.googleapis.com\\.evil.example/",
        "https://storage.googleapis.com%2eevil.example/",
        "https://storage.googleapis.com./",
        "https://storage.googleapis.com:/",
        "https://storage.googleapis.com:0/",
        "https://st\u{f6}rage.googleapis.com/",
        "https://{storage,evil}.googleapis.com/",
        "https://storage.googleapis.com{,.evil.example}/",
        "https://storage.googleapis.com{/,@evil.example/}",
        "https://[a-z].googleapis.com/",
        "https://[1-3].googleapis.com/",
        "https://storage.googleapis.com:[443-445]/",
        "http://[::1][1-3]/",
        "http{s,}://storage.googleapis.com/",
        "{https://storage.googleapis.com/,https://evil.example/}",
        "https://storage.googleapis.com/a\nb",
        "https://\tstorage.googleapis.com/",
        "https://storage.googleapis.com\0.evil.example/",
        "@urls.txt",
        "",
        "-",
    ] {
        assert_refused(url);
        assert_refused(&format!("-s {API} --url {url}"));
        assert_refused(&format!("{API} --next -d x -- {url}"));
    }
}

#[test]
fn harmless_curl_options_are_accepted() {
    for options in [
        "-s",
        "-sS",
        "-sSfL",
        "-fsSLo file",
        "-L --max-redirs 3",
        "--fail-with-body",
        "-X POST",
        "-XPOST",
        "-sXDELETE",
        "-d @-",
        "-d@-",
        "--data-binary @file",
        "--data-urlencode a@file",
        "-G -d a=b",
        "-F file=@-",
        "--form-string a=b",
        "--json {}",
        "-T file",
        "-T -",
        "-I",
        "-o /dev/null",
        "-O",
        "--output-dir d -O",
        "-H X-A:b",
        "-HX-A:b",
        "-H Content-Type:",
        "-H X-Empty;",
        "-H x-goog-user-project:p",
        "-H X-Serverless-Authorization:x",
        "-A agent",
        "-e https://evil.example/",
        "-b a=b",
        "-c jar",
        "--compressed",
        "--retry 3 --retry-all-errors --retry-delay 0",
        "-m 10",
        "--connect-timeout 5",
        "-w %{http_code}",
        "-D -",
        "-i",
        "-v",
        "-vv",
        "-sv",
        "--verbose",
        "--http2",
        "--http1.1",
        "-0",
        "-4",
        "-6",
        "-1",
        "--tlsv1.2",
        "--cacert ca.pem",
        "--capath certs",
        "--cert client.pem",
        "--pinnedpubkey sha256//x",
        "-x http://proxy.example:3128",
        "-x socks5h://proxy.example",
        "--proxy https://proxy.example",
        "--socks5-hostname proxy.example",
        "--preproxy socks5://a",
        "-U user",
        "--noproxy *",
        "--proxytunnel",
        "--proxy-header X:y",
        "--url-query a=b",
        "--request-target /other",
        "--request-target *",
        "--interface eth0",
        "--dns-servers 1.1.1.1",
        "--doh-url https://dns.example/",
        "--alt-svc file",
        "--hsts file",
        "-Z --parallel-max 4",
        "-r 0-99",
        "-C -",
        "-z yesterday",
        "-#",
        "-N",
        "--no-buffer",
        "--buffer",
        "--no-insecure",
        "--no-location-trusted",
        "--no-netrc",
        "-g",
        "-q",
        "--disable",
        "-d -k",
        "-d --config",
        "-o --",
        "-A --insecure",
    ] {
        assert_access_token(&format!("{options} {API}"));
        assert_access_token(&format!("{API} {options}"));
        assert_access_token(&format!("{API} --next {options} --url {API}"));
    }
}

#[test]
fn options_that_redirect_or_reveal_the_token_are_refused() {
    for options in [
        "-K file",
        "-Kfile",
        "-sK -",
        "--config file",
        "-k",
        "-sk",
        "-skL",
        "--insecure",
        "--proxy-insecure",
        "--connect-to a:1:b:2",
        "--connect-to ::evil.example:",
        "--resolve storage.googleapis.com:443:10.0.0.1",
        "--unix-socket /run/s",
        "--abstract-unix-socket s",
        "--location-trusted",
        "-u user:password",
        "-uuser",
        "--user user",
        "-n",
        "--netrc",
        "--netrc-optional",
        "--netrc-file file",
        "--oauth2-bearer x",
        "--aws-sigv4 aws:amz",
        "--negotiate",
        "--ntlm",
        "--digest",
        "--anyauth",
        "-H Authorization:x",
        "-HAuthorization:x",
        "-H authorization:",
        "-H AUTHORIZATION;",
        "-H Authorization\u{20}:x",
        "-H Host:evil.example",
        "-Hhost:evil.example",
        "-H :authority:evil.example",
        "-H @file",
        "-H @-",
        "-H a:b\nAuthorization:c",
        "--header a:b\r\nHost:c",
        "-A a\r\nHost:c",
        "-e a\nHost:c",
        "-XGET\nHost:c",
        "--request-target /\nHost:c",
        "--trace file",
        "--trace -",
        "--trace-ascii -",
        "--trace-ascii %",
        "--libcurl file",
        "--stderr file",
        "-vvv",
        "-x http://user:password@proxy.example",
        "--proxy user@proxy.example",
        "-U user:password",
        "--proxy-user user:password",
        "--request-target https://evil.example/",
        "--request-target evil.example:443",
        "--expand-url https://{{HOST}}/",
        "--expand-header {{X}}",
        "--insecur",
        "--Insecure",
        "--conf file",
        "--nosuch",
        "--no-next",
        "--no-header",
        "-\u{e9}",
        "-s:",
        "-",
    ] {
        assert_refused(&format!("{options} {API}"));
        assert_refused(&format!("{API} {options}"));
        assert_refused(&format!("-s {API} --next {options} {API}"));
    }
}

#[test]
fn an_authorization_header_with_a_space_is_refused() {
    let line = ["-H", "Authorization: Bearer x", API].map(OsString::from);
    assert_eq!(parse_args(&line).expect_err("refused").kind(), ErrorKind::Unsafe);
}

#[test]
fn invalid_curl_arguments_are_usage_errors() {
    for line in ["-o", "--header", "-sd", "--url=https://storage.googleapis.com/", "--data=x URL"] {
        assert_eq!(parse_args(&split_args(line)).expect_err(line).kind(), ErrorKind::Usage, "{line}");
    }
    let many = vec![API; 102].join(" --next ");
    assert_eq!(parse_args(&split_args(&many)).expect_err("too many").kind(), ErrorKind::Usage);
}

#[test]
fn a_proxy_sees_no_token_without_tls() {
    assert_refused("-x http://proxy.example http://127.0.0.1:1/");
    assert_refused("--socks5 proxy.example http://127.0.0.1:1/");
    assert_access_token(&format!("-x http://proxy.example {API} --next http://127.0.0.1:1/"));
}

#[test]
fn services_that_anybody_can_deploy_get_an_id_token_for_themselves() {
    for (line, audience) in [
        ("https://svc-abc.a.run.app/x?y", "https://svc-abc.a.run.app"),
        ("-s https://svc-abc.run.app --next https://svc-abc.run.app/b", "https://svc-abc.run.app"),
        ("https://us-east1-p.cloudfunctions.net/f", "https://us-east1-p.cloudfunctions.net"),
    ] {
        let expected = Some(CurlTokenKind::IdToken(audience.to_owned()));
        assert_eq!(outcome(line, None, &[], None).ok(), expected, "{line}");
        // Not even a host that is allowed gets an access token there.
        assert_eq!(outcome(line, None, &["svc-abc.run.app"], None).ok(), expected, "{line}");
    }
    assert_refused("https://a.run.app/ https://b.run.app/");
    assert_refused("https://a.run.app/ https://storage.googleapis.com/");
    assert_refused("https://storage.googleapis.com/ --next https://a.run.app/");
    assert_refused("http://a.run.app/");
    assert_refused("https://a.run.app.evil.example/");
}

#[test]
fn an_audience_sends_an_id_token_to_one_host() {
    let to = |line, audience, allowed: &[&str]| outcome(line, Some(audience), allowed, None);
    for (line, audience) in [
        ("https://example.com/", "https://example.com"),
        ("https://example.com/a https://example.com/b", "123.apps.googleusercontent.com"),
        ("https://custom.example/", "https://svc.run.app"),
        ("http://127.0.0.1:1/", "x"),
        ("https://example.com/ http://127.0.0.1:1/", "x"),
    ] {
        assert_eq!(to(line, audience, &[]).ok(), Some(CurlTokenKind::IdToken(audience.to_owned())), "{line}");
    }
    for (line, audience) in [
        ("https://example.com/ https://evil.example/", "x"),
        ("https://example.com/ https://evil.example/", "https://example.com"),
        ("http://example.com/", "x"),
    ] {
        assert_eq!(to(line, audience, &[]).map_err(|e| e.kind()), Err(ErrorKind::Unsafe), "{line}");
    }
    assert!(to("https://a.example/ https://b.example/", "x", &["b.example"]).is_ok());
}

#[test]
fn a_host_is_allowed_by_its_name_and_with_tls() {
    let to = |line| outcome(line, None, &["api.example.com"], None).map_err(|error| error.kind());
    assert_eq!(to("https://api.example.com/"), Ok(CurlTokenKind::AccessToken));
    assert_eq!(to("https://API.example.com:8443/"), Ok(CurlTokenKind::AccessToken));
    for line in [
        "http://api.example.com/",
        "https://x.api.example.com/",
        "https://example.com/",
        "https://api.example.com/ https://example.com/",
    ] {
        assert_eq!(to(line), Err(ErrorKind::Unsafe), "{line}");
    }
}

#[test]
fn a_universe_has_its_own_apis() {
    let to = |line, universe| outcome(line, None, &[], universe).is_ok();
    assert!(to("https://storage.u.example/", Some("u.example")));
    assert!(!to("https://storage.u.example/", None) && !to("https://u.example/", Some("u.example")));
    assert!(!to("https://storage.xu.example/", Some("u.example")));
}

#[test]
fn a_refusal_hints_at_the_remedy() {
    for (line, message, hint) in [
        (
            "https://example.com/",
            "example.com is not a Google API, the access token was not sent",
            "gauth curl --allow-host example.com …, or --audience AUDIENCE to send an ID token",
        ),
        (
            "storage.googleapis.com/b",
            "the URL \"storage.googleapis.com/b\" has no scheme, and curl would send the token over http, without TLS",
            "https://storage.googleapis.com/b",
        ),
        ("http://localhost:80/x", "http://localhost would receive the token without TLS", "http://127.0.0.1/"),
        (
            "--insec https://storage.googleapis.com/",
            "the curl option --insec is unknown to gauth",
            "write the whole name, --insecure",
        ),
    ] {
        let error = assert_refused(line);
        assert_eq!((error.message(), error.hint_text()), (message, Some(hint)));
    }
}

#[test]
fn the_method_follows_curls_options() {
    for (line, method) in [
        ("URL", "GET"),
        ("-d x URL", "POST"),
        ("-F x=y URL", "POST"),
        ("--json {} URL", "POST"),
        ("-T f URL", "PUT"),
        ("-I URL", "HEAD"),
        ("-G -d x URL", "GET"),
        ("-d x -G URL", "GET"),
        ("-X PATCH -d x URL", "PATCH"),
    ] {
        let invocation = parse_args(&split_args(&line.replace("URL", API))).expect(line);
        assert_eq!(invocation.groups[0].method(), method, "{line}");
    }
}

#[test]
fn groups_begin_behind_next() {
    let invocation =
        parse_args(&split_args(&format!("-s {API} --next -d @- {API} -: -H a:b {API}"))).expect("valid arguments");
    let starts: Vec<usize> = invocation.groups.iter().map(|group| group.first_arg).collect();
    assert_eq!(starts, [0, 3, 7]);
    assert!(invocation.reads_stdin && !invocation.verbose && invocation.groups[2].has_header("A"));
}
