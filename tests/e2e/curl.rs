//! `gauth curl` with the real curl: the requests, the results, and where the token is visible.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::secret_exposure::run_watched;
use super::{CredentialKind, ProcessResult, SandboxHome, find_leaked_secret, pid, run, share_machine, wait_for};

/// Runs a script with `gauth curl`; `$U` is the URL of the sandbox.
fn run_curl(test: &SandboxHome, script: &str) -> ProcessResult {
    run(curl_command(test, CredentialKind::ServiceAccount, script))
}

fn curl_command(test: &SandboxHome, kind: CredentialKind, script: &str) -> Command {
    let mut command = test.shell_command(kind, script);
    command.env("U", test.sandbox.url()).env("T", test.sandbox.tls_url());
    command.env("CA", test.sandbox.file("ca.pem")).current_dir(test.home.path());
    command
}

/// The request that the sandbox's API or service received.
#[track_caller]
fn echoed_request(result: &ProcessResult) -> Value {
    assert_eq!((result.exit_code, result.stderr.as_str()), (0, ""), "{result:?}");
    serde_json::from_str(&result.stdout).unwrap_or_else(|_| panic!("{result:?}"))
}

/// Answers every request with `answer`, and sends its request line and headers to the channel.
fn echo_server(answer: String) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            _ = stream.write_all(answer.as_bytes());
            if send.send(head.join("\n")).is_err() {
                return;
            }
        }
    });
    (port, receive)
}

const CURL_TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn every_kind_of_request_has_the_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for (script, method, body) in [
        ("gauth curl -s $U/api/x", "GET", ""),
        ("gauth curl -s -- $U/api/x", "GET", ""),
        ("gauth --quota-project p curl -s $U/api/x", "GET", ""),
        ("gauth curl -s --url $U/api/x", "GET", ""),
        ("printf 'on stdin' | gauth curl -s -d @- $U/api/x", "POST", "on stdin"),
        ("printf 'in a file' > f && gauth curl -sT f $U/api/x", "PUT", "in a file"),
        ("gauth curl -s --json '{\"a\":1}' $U/api/x", "POST", "{\"a\":1}"),
        ("gauth curl -s -X DELETE $U/api/x", "DELETE", ""),
        ("gauth curl -s -o out $U/api/x && cat out", "GET", ""),
        ("gauth curl -s --cacert $CA $T/api/x", "GET", ""),
        ("gauth curl -sd @<(printf 'from a pipe') $U/api/x", "POST", "from a pipe"),
    ] {
        let response = echoed_request(&run_curl(&test, script));
        let expected = ("robot@sandbox-project.iam.gserviceaccount.com", method, body);
        let found = (&response["account"], &response["method"], &response["body"]);
        assert_eq!(
            (found.0.as_str(), found.1.as_str(), found.2.as_str()),
            (Some(expected.0), Some(expected.1), Some(expected.2)),
            "{script}"
        );
        let pays = script.contains("--quota-project").then_some("p");
        assert_eq!(response["quota_project"].as_str(), pays, "{script}");
    }
    let form = echoed_request(&run_curl(&test, "printf hello | gauth curl -s -F 'file=@-;type=text/plain' $U/api/x"));
    assert!(form["content_type"].as_str().unwrap().starts_with("multipart/form-data"), "{form}");
    assert!(form["body"].as_str().unwrap().contains("hello"), "{form}");
    assert_eq!(test.sandbox.request_count("token"), 1, "the token is cached");
}

#[test]
fn every_url_of_a_command_line_has_the_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for (script, requests) in [
        ("gauth curl -sf \"$U/api/{a,b}/[1-3]\"", 6),
        ("gauth curl -sf $U/api/a $U/api/b", 2),
        ("gauth curl -sf $U/api/a --next -sf -d x $U/api/b -: -sf -I $U/api/c", 3),
        ("gauth curl -sf -Z $U/api/a $U/api/b $U/api/c", 3),
    ] {
        let before = test.sandbox.request_count("api");
        let result = run_curl(&test, script);
        assert_eq!(
            (result.exit_code, test.sandbox.request_count("api") - before),
            (0, requests),
            "{script} {result:?}"
        );
    }
}

#[test]
fn a_retried_request_has_the_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["api=503x2"]);
    let result = run_curl(&test, "gauth curl -s --retry 3 --retry-delay 1 $U/api/x 2> /dev/null");
    assert!(result.stdout.contains("\"account\":\"robot@"), "{result:?}");
    assert_eq!(test.sandbox.request_count("api"), 3);
}

#[test]
fn a_quota_project_header_of_the_user_replaces_the_own_one() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let script = "gauth curl --quota-project ours -s -H 'X-Goog-User-Project: mine' $U/api";
    assert_eq!(echoed_request(&run_curl(&test, script))["quota_project"], "mine");
}

#[test]
fn a_cloud_run_service_gets_an_id_token_with_its_own_audience() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    for script in
        ["gauth curl --id-token -s $U/service/x", "gauth curl --audience $U --quota-project p -s $U/service/x"]
    {
        let response = echoed_request(&run_curl(&test, script));
        assert_eq!(response["aud"], test.sandbox.url(), "{script}");
        assert_eq!(response["email"], "robot@sandbox-project.iam.gserviceaccount.com");
    }
    let inside_tls = echoed_request(&run_curl(&test, "gauth curl --id-token -s --cacert $CA $T/service"));
    assert_eq!(inside_tls["aud"], test.sandbox.tls_url());
    for script in [
        "gauth curl -s -o /dev/null -w '%{http_code}' $U/service/x",
        "gauth curl --audience https://other.example -so /dev/null -w '%{http_code}' $U/service/x",
        "gauth curl --id-token -so /dev/null -w '%{http_code}' $U/api/x",
    ] {
        assert_eq!(run_curl(&test, script).stdout, "401", "{script}");
    }
}

#[test]
fn a_redirect_to_another_host_does_not_get_the_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let (target_port, target_requests) = echo_server(ok.to_owned());
    for host in ["127.0.0.1", "localhost"] {
        let (redirect_port, redirect_requests) = echo_server(format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{host}:{target_port}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let result = run_curl(&test, &format!("gauth curl -sL http://127.0.0.1:{redirect_port}/a"));
        assert_eq!((result.exit_code, result.stdout.as_str()), (0, "ok"), "{result:?}");
        assert!(redirect_requests.recv_timeout(CURL_TIMEOUT).unwrap().contains("\nAuthorization: Bearer ya29."));
        let request = target_requests.recv_timeout(CURL_TIMEOUT).unwrap().to_lowercase();
        assert!(request.starts_with("get /x ") && !request.contains("authorization"), "{request}");
    }
}

#[test]
fn a_proxy_gets_no_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let (proxy, proxy_requests) =
        echo_server("HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    for variable in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let script = format!("{variable}=http://127.0.0.1:{proxy} gauth curl -s $U/api/x");
        echoed_request(&run_curl(&test, &script));
    }
    // Through a proxy, TLS shows only the host name.
    let script = format!("gauth curl -s -x http://127.0.0.1:{proxy} https://storage.googleapis.com/");
    assert_eq!(run_curl(&test, &script).exit_code, 56);
    let connect = proxy_requests.recv_timeout(CURL_TIMEOUT).unwrap().to_lowercase();
    assert!(connect.starts_with("connect storage.googleapis.com:443 ") && !connect.contains("bearer"), "{connect}");
}

#[test]
fn curlrc_is_not_read() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let (port, requests) = echo_server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    let rc = format!("url = http://127.0.0.1:{port}/\nproxy = http://127.0.0.1:{port}\n");
    std::fs::write(test.home.path().join(".curlrc"), rc).unwrap();
    echoed_request(&run_curl(&test, "gauth curl -s $U/api/x"));
    let result = run_curl(&test, "gauth curl --verbose -s $U/api/x");
    assert!(result.stderr.contains("gauth: curl does not read ~/.curlrc"), "{result:?}");
    assert!(requests.try_recv().is_err());
}

#[test]
fn the_exit_status_of_curl_is_returned() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["api=404"]);
    for (script, code) in [
        ("gauth curl -s $U/api/x", 0),
        ("gauth curl -sf $U/api/x", 22),
        ("gauth curl -s http://127.0.0.1:1/", 7),
        ("gauth curl -s -o /no/such/folder/x $U/api/x", 23),
        ("gauth curl -s", 2),
        ("gauth curl -V > /dev/null", 0),
        ("gauth curl https://example.com/", 9),
        ("gauth curl -s $U/api/x --dry-run", 2),
        ("gauth curl --dry-run", 2),
        ("gauth curl --credentials - -d @- $U/api/x < /dev/null", 2),
        ("gauth curl --scopes email --id-token $U/service", 2),
        ("gauth curl --nosuch $U/api/x", 9),
        ("gauth curl --audience '' $U/service", 2),
        ("gauth curl --audience 'a b' $U/service", 2),
        ("gauth curl --allow-host http://a.example/ $U/api/x", 2),
    ] {
        let result = run_curl(&test, script);
        assert_eq!(result.exit_code, code, "{script}: {result:?}");
    }
    // Command lines are refused before a token is requested.
    assert_eq!(test.sandbox.request_count("token"), 1);
}

#[test]
fn without_curl_the_error_names_the_program() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let result = run_curl(&test, "exec 3> /dev/null; g=$(command -v gauth); PATH=/nowhere $g curl $U/api/x");
    assert_eq!(result.exit_code, 127);
    assert_eq!(result.error_and_hint().0, "curl: no such program");
    let result = run_curl(&test, "g=$(command -v gauth); PATH=/nowhere $g curl --dry-run $U/api/x");
    assert_eq!(result.exit_code, 0, "{result:?}");
}

#[test]
fn a_dry_run_sends_nothing_and_shows_no_secret() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let result = run_curl(&test, "gauth curl --dry-run --quota-project p -d x $U/api -H 'A: b' --next $U/api/2");
    let token = run(test.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
    let url = test.sandbox.url();
    let lines: Vec<&str> = result.stdout.lines().collect();
    assert_eq!(lines[0], format!("POST {url}/api"));
    let authorization = "authorization: Bearer ya29.… (access token of robot@sandbox-project.iam.gserviceaccount.com, 59 min left, fingerprint ";
    assert!(lines[1].starts_with(authorization), "{result:?}");
    assert_eq!(lines[2..5], ["x-goog-user-project: p", "A: b", ""]);
    assert_eq!(lines[5], format!("GET {url}/api/2"));
    assert_eq!(find_leaked_secret(result.stdout.as_bytes(), &[token]), None);
    assert_eq!((result.exit_code, test.sandbox.request_count("api")), (0, 0));
}

#[test]
fn verbose_output_of_curl_has_no_token() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let token = run(test.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
    for options in ["-sv", "-svo /dev/null", "-s --verbose", "-v --no-progress-meter", "-vf", "-svvf"] {
        let result = run_curl(&test, &format!("gauth curl {options} $U/api/x"));
        assert_eq!(result.exit_code, 0, "{result:?}");
        assert!(result.stderr.contains("> Authorization: Bearer [secret "), "{result:?}");
        assert!(result.stderr.contains("< HTTP/1.1 200 OK"), "{result:?}");
        assert_eq!(find_leaked_secret(result.stderr.as_bytes(), std::slice::from_ref(&token)), None, "{options}");
    }
    for options in ["--trace -", "--trace-ascii f", "--libcurl f", "--stderr f", "-vvv"] {
        let result = run_curl(&test, &format!("gauth curl {options} $U/api/x"));
        assert_eq!(result.exit_code, 9, "{result:?}");
    }
}

#[test]
fn a_cached_token_is_removed_after_401() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["api=401x2"]);
    let first = run_curl(&test, "gauth curl -sSf $U/api/x");
    // A token that was not cached is not removed from the cache.
    assert_eq!((first.exit_code, first.stderr.lines().count()), (22, 1), "{first:?}");
    let second = run_curl(&test, "gauth curl -sSf $U/api/x");
    let (_, gauth_stderr) = second.stderr.split_once('\n').unwrap();
    let warning = "gauth: warning: the server answered 401, so the cached token was removed\ntry: run the command again, with a new token\n";
    assert_eq!((second.exit_code, gauth_stderr), (22, warning), "{second:?}");
    assert_eq!(test.sandbox.request_count("api"), 2, "nothing is sent twice");
    echoed_request(&run_curl(&test, "gauth curl -sf $U/api/x"));
    assert_eq!(test.sandbox.request_count("token"), 2);
}

#[test]
fn no_argument_environment_variable_or_file_has_the_token() {
    let _shared = share_machine();
    let test = SandboxHome::with_latency(&[], Duration::from_millis(150));
    for script in [
        "gauth curl -s $U/api/x",
        "gauth curl -s $U/api/x --next -sv $U/api/y",
        "gauth curl --id-token -s $U/service",
        "exec gauth curl -sf -d @- $U/api/x < /dev/null",
    ] {
        let (result, seen) = run_watched(curl_command(&test, CredentialKind::ServiceAccount, script));
        assert_eq!(result.exit_code, 0, "{result:?}");
        assert!(seen.windows(9).any(|part| part == b"curl\0-q\0-"), "the watcher saw no curl process");
        let mut secrets = test.secrets();
        secrets.push(run(test.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token());
        let audience = test.sandbox.url().to_owned();
        secrets.push(
            run(test.gauth_command(CredentialKind::ServiceAccount, &["id-token", "--audiences", &audience]))
                .printed_token(),
        );
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{script}");
        assert_eq!(find_leaked_secret(result.stderr.as_bytes(), &secrets), None, "{script}");
    }
    let left: Vec<String> = super::file_names(test.home.path());
    assert!(left.iter().all(|name| name == ".config" || name.starts_with("gauth-sandbox-")), "{left:?}");
}

#[test]
fn the_process_watcher_sees_a_token_among_curls_arguments() {
    let _shared = share_machine();
    let test = SandboxHome::with_latency(&[], Duration::from_millis(150));
    let token = run(test.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
    for script in
        ["curl -s -H \"Authorization: Bearer $(gauth token)\" $U/api/x", "TOKEN=$(gauth token) curl -s $U/api/x"]
    {
        let (_, seen) = run_watched(curl_command(&test, CredentialKind::ServiceAccount, script));
        assert!(find_leaked_secret(&seen, std::slice::from_ref(&token)).is_some(), "{script}");
    }
}

#[test]
fn a_signal_ends_curl_and_gauth_returns_its_status() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["api=hang"]);
    for (options, signal, code) in [("-s", Signal::TERM, 143), ("-sf", Signal::INT, 130), ("-sv", Signal::HUP, 129)] {
        let before = test.sandbox.request_count("api");
        let mut command =
            curl_command(&test, CredentialKind::ServiceAccount, &format!("exec gauth curl {options} $U/api/x"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn().unwrap();
        while test.sandbox.request_count("api") == before {
            assert!(start.elapsed() < CURL_TIMEOUT, "no request");
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(pid(&child), signal).unwrap();
        let result = wait_for(child, start);
        assert_eq!(result.exit_code, code, "{options}: {result:?}");
    }
}

/// A script in the place of curl reports how it receives the header.
#[test]
fn curl_receives_the_header_through_a_pipe() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let folder = test.home.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("curl");
    let text =
        "#!/bin/sh\necho \"$*\"; test -p \"${3#@}\" && echo pipe; cat \"${3#@}\" | cut -c1-26; env | grep -c ya29\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let static_token = "CLOUDSDK_AUTH_ACCESS_TOKEN=ya29.in-a-variable-0123456789";
    let result = run_curl(&test, &format!("export {static_token}; PATH=$PWD/bin:$PATH gauth curl -s $U/api/x"));
    let lines: Vec<&str> = result.stdout.lines().collect();
    let [args, pipe, header, count] = lines[..] else { panic!("{result:?}") };
    assert!(args.starts_with("-q -H @/dev/fd/") && args.contains(" -s http://127.0.0.1:"), "{args}");
    assert_eq!((pipe, header, count), ("pipe", "Authorization: Bearer ya29", "0"));
}
