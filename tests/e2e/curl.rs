//! `gauth curl` with the real curl: what arrives, what comes back, and who could have seen the token.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::secret_exposure::run_watched;
use super::{
    CredentialKind, ProcessResult, SandboxHome, find_leaked_secret, pid, run, share_machine,
    wait_for,
};

/// Runs `gauth curl` in a shell that knows the sandbox's address as `$U`.
fn run_curl(stage: &SandboxHome, script: &str) -> ProcessResult {
    run(curl_command(stage, CredentialKind::ServiceAccount, script))
}

fn curl_command(stage: &SandboxHome, kind: CredentialKind, script: &str) -> Command {
    let mut command = stage.shell_command(kind, script);
    command.env("U", stage.sandbox.url()).env("T", stage.sandbox.tls_url());
    command.env("CA", stage.sandbox.file("ca.pem")).current_dir(stage.home.path());
    command
}

/// What the API or the service says it was asked.
#[track_caller]
fn echoed_request(ended: &ProcessResult) -> Value {
    assert_eq!((ended.exit_code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

/// Answers every request with `answer` and tells what came: the first line and the headers.
fn echo_server(answer: String) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
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
fn everything_curl_can_send_arrives_with_the_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
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
        let told = echoed_request(&run_curl(&stage, script));
        let expected = ("robot@sandbox-project.iam.gserviceaccount.com", method, body);
        let found = (&told["account"], &told["method"], &told["body"]);
        assert_eq!(
            (found.0.as_str(), found.1.as_str(), found.2.as_str()),
            (Some(expected.0), Some(expected.1), Some(expected.2)),
            "{script}"
        );
        let pays = script.contains("--quota-project").then_some("p");
        assert_eq!(told["quota_project"].as_str(), pays, "{script}");
    }
    let form = echoed_request(&run_curl(
        &stage,
        "printf hello | gauth curl -s -F 'file=@-;type=text/plain' $U/api/x",
    ));
    assert!(form["content_type"].as_str().unwrap().starts_with("multipart/form-data"), "{form}");
    assert!(form["body"].as_str().unwrap().contains("hello"), "{form}");
    assert_eq!(stage.sandbox.request_count("token"), 1, "the token is cached");
}

#[test]
fn every_url_of_a_call_has_the_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for (script, requests) in [
        ("gauth curl -sf \"$U/api/{a,b}/[1-3]\"", 6),
        ("gauth curl -sf $U/api/a $U/api/b", 2),
        ("gauth curl -sf $U/api/a --next -sf -d x $U/api/b -: -sf -I $U/api/c", 3),
        ("gauth curl -sf -Z $U/api/a $U/api/b $U/api/c", 3),
    ] {
        let before = stage.sandbox.request_count("api");
        let ended = run_curl(&stage, script);
        assert_eq!(
            (ended.exit_code, stage.sandbox.request_count("api") - before),
            (0, requests),
            "{script} {ended:?}"
        );
    }
}

#[test]
fn a_repeated_request_has_the_token_too() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["api=503x2"]);
    let ended = run_curl(&stage, "gauth curl -s --retry 3 --retry-delay 1 $U/api/x 2> /dev/null");
    assert!(ended.stdout.contains("\"account\":\"robot@"), "{ended:?}");
    assert_eq!(stage.sandbox.request_count("api"), 3);
}

#[test]
fn a_project_of_the_users_own_replaces_ours() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let script = "gauth curl --quota-project ours -s -H 'X-Goog-User-Project: mine' $U/api";
    assert_eq!(echoed_request(&run_curl(&stage, script))["quota_project"], "mine");
}

#[test]
fn a_cloud_run_service_gets_an_id_token_with_its_own_audience() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for script in [
        "gauth curl --id-token -s $U/service/x",
        "gauth curl --audience $U --quota-project p -s $U/service/x",
    ] {
        let told = echoed_request(&run_curl(&stage, script));
        assert_eq!(told["aud"], stage.sandbox.url(), "{script}");
        assert_eq!(told["email"], "robot@sandbox-project.iam.gserviceaccount.com");
    }
    let inside_tls =
        echoed_request(&run_curl(&stage, "gauth curl --id-token -s --cacert $CA $T/service"));
    assert_eq!(inside_tls["aud"], stage.sandbox.tls_url());
    for script in [
        "gauth curl -s -o /dev/null -w '%{http_code}' $U/service/x",
        "gauth curl --audience https://other.example -so /dev/null -w '%{http_code}' $U/service/x",
        "gauth curl --id-token -so /dev/null -w '%{http_code}' $U/api/x",
    ] {
        assert_eq!(run_curl(&stage, script).stdout, "401", "{script}");
    }
}

#[test]
fn a_redirect_to_another_host_does_not_get_the_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let (there, arrived) = echo_server(ok.to_owned());
    for host in ["127.0.0.1", "localhost"] {
        let (here, asked) = echo_server(format!(
            "HTTP/1.1 302 Found\r\nLocation: http://{host}:{there}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        let ended = run_curl(&stage, &format!("gauth curl -sL http://127.0.0.1:{here}/a"));
        assert_eq!((ended.exit_code, ended.stdout.as_str()), (0, "ok"), "{ended:?}");
        assert!(
            asked.recv_timeout(CURL_TIMEOUT).unwrap().contains("\nAuthorization: Bearer ya29.")
        );
        let arrived = arrived.recv_timeout(CURL_TIMEOUT).unwrap().to_lowercase();
        assert!(arrived.starts_with("get /x ") && !arrived.contains("authorization"), "{arrived}");
    }
}

#[test]
fn a_proxy_gets_no_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let (proxy, asked) =
        echo_server("HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    for variable in ["http_proxy", "all_proxy", "ALL_PROXY"] {
        let script = format!("{variable}=http://127.0.0.1:{proxy} gauth curl -s $U/api/x");
        echoed_request(&run_curl(&stage, &script));
    }
    // Inside TLS nothing is seen but the name of the host.
    let script =
        format!("gauth curl -s -x http://127.0.0.1:{proxy} https://storage.googleapis.com/");
    assert_eq!(run_curl(&stage, &script).exit_code, 56);
    let asked = asked.recv_timeout(CURL_TIMEOUT).unwrap().to_lowercase();
    assert!(
        asked.starts_with("connect storage.googleapis.com:443 ") && !asked.contains("bearer"),
        "{asked}"
    );
}

#[test]
fn the_file_of_options_is_not_read() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let (trap, asked) =
        echo_server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    let rc = format!("url = http://127.0.0.1:{trap}/\nproxy = http://127.0.0.1:{trap}\n");
    std::fs::write(stage.home.path().join(".curlrc"), rc).unwrap();
    echoed_request(&run_curl(&stage, "gauth curl -s $U/api/x"));
    let ended = run_curl(&stage, "gauth curl --verbose -s $U/api/x");
    assert!(ended.stderr.contains("gauth: curl does not read ~/.curlrc"), "{ended:?}");
    assert!(asked.try_recv().is_err());
}

#[test]
fn curls_status_is_returned() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["api=404"]);
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
        let ended = run_curl(&stage, script);
        assert_eq!(ended.exit_code, code, "{script}: {ended:?}");
    }
    // Refusals come before anybody is asked for a token.
    assert_eq!(stage.sandbox.request_count("token"), 1);
}

#[test]
fn without_curl_the_package_is_named() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let ended = run_curl(
        &stage,
        "exec 3> /dev/null; g=$(command -v gauth); PATH=/nowhere $g curl $U/api/x",
    );
    assert_eq!(ended.exit_code, 127);
    assert_eq!(ended.error_and_hint().0, "curl: no such program");
    let ended = run_curl(&stage, "g=$(command -v gauth); PATH=/nowhere $g curl --dry-run $U/api/x");
    assert_eq!(ended.exit_code, 0, "{ended:?}");
}

#[test]
fn a_dry_run_sends_nothing_and_shows_no_secret() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let ended = run_curl(
        &stage,
        "gauth curl --dry-run --quota-project p -d x $U/api -H 'A: b' --next $U/api/2",
    );
    let token =
        run(stage.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
    let url = stage.sandbox.url();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], format!("POST {url}/api"));
    let whose = "authorization: Bearer ya29.… (access token of robot@sandbox-project.iam.gserviceaccount.com, 59 min left, fingerprint ";
    assert!(lines[1].starts_with(whose), "{ended:?}");
    assert_eq!(lines[2..5], ["x-goog-user-project: p", "A: b", ""]);
    assert_eq!(lines[5], format!("GET {url}/api/2"));
    assert_eq!(find_leaked_secret(ended.stdout.as_bytes(), &[token]), None);
    assert_eq!((ended.exit_code, stage.sandbox.request_count("api")), (0, 0));
}

#[test]
fn curl_may_talk_of_everything_but_the_token() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let token =
        run(stage.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
    for options in
        ["-sv", "-svo /dev/null", "-s --verbose", "-v --no-progress-meter", "-vf", "-svvf"]
    {
        let ended = run_curl(&stage, &format!("gauth curl {options} $U/api/x"));
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        assert!(ended.stderr.contains("> Authorization: Bearer [secret "), "{ended:?}");
        assert!(ended.stderr.contains("< HTTP/1.1 200 OK"), "{ended:?}");
        assert_eq!(
            find_leaked_secret(ended.stderr.as_bytes(), std::slice::from_ref(&token)),
            None,
            "{options}"
        );
    }
    for options in ["--trace -", "--trace-ascii f", "--libcurl f", "--stderr f", "-vvv"] {
        let ended = run_curl(&stage, &format!("gauth curl {options} $U/api/x"));
        assert_eq!(ended.exit_code, 9, "{ended:?}");
    }
}

#[test]
fn a_token_that_is_refused_is_no_longer_cached() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["api=401x2"]);
    let first = run_curl(&stage, "gauth curl -sSf $U/api/x");
    // Made just now: another one would be no better.
    assert_eq!((first.exit_code, first.stderr.lines().count()), (22, 1), "{first:?}");
    let second = run_curl(&stage, "gauth curl -sSf $U/api/x");
    let (_, ours) = second.stderr.split_once('\n').unwrap();
    let said = "gauth: warning: the server answered 401, so the cached token was removed\ntry: run the command again, with a new token\n";
    assert_eq!((second.exit_code, ours), (22, said), "{second:?}");
    assert_eq!(stage.sandbox.request_count("api"), 2, "nothing is sent twice");
    echoed_request(&run_curl(&stage, "gauth curl -sf $U/api/x"));
    assert_eq!(stage.sandbox.request_count("token"), 2);
}

#[test]
fn no_argument_environment_or_file_has_the_token() {
    let _beside = share_machine();
    let stage = SandboxHome::with_latency(&[], Duration::from_millis(150));
    for script in [
        "gauth curl -s $U/api/x",
        "gauth curl -s $U/api/x --next -sv $U/api/y",
        "gauth curl --id-token -s $U/service",
        "exec gauth curl -sf -d @- $U/api/x < /dev/null",
    ] {
        let (ended, seen) =
            run_watched(curl_command(&stage, CredentialKind::ServiceAccount, script));
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        assert!(seen.windows(9).any(|part| part == b"curl\0-q\0-"), "the watch saw no curl");
        let mut secrets = stage.secrets();
        secrets.push(
            run(stage.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token(),
        );
        let audience = stage.sandbox.url().to_owned();
        secrets.push(
            run(stage.gauth_command(
                CredentialKind::ServiceAccount,
                &["id-token", "--audiences", &audience],
            ))
            .printed_token(),
        );
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{script}");
        assert_eq!(find_leaked_secret(ended.stderr.as_bytes(), &secrets), None, "{script}");
    }
    let left: Vec<String> = super::file_names(stage.home.path());
    assert!(
        left.iter().all(|name| name == ".config" || name.starts_with("gauth-sandbox-")),
        "{left:?}"
    );
}

#[test]
fn the_process_watcher_sees_a_token_among_curls_arguments() {
    let _beside = share_machine();
    let stage = SandboxHome::with_latency(&[], Duration::from_millis(150));
    let token =
        run(stage.gauth_command(CredentialKind::ServiceAccount, &["token"])).printed_token();
    for script in [
        "curl -s -H \"Authorization: Bearer $(gauth token)\" $U/api/x",
        "TOKEN=$(gauth token) curl -s $U/api/x",
    ] {
        let (_, seen) = run_watched(curl_command(&stage, CredentialKind::ServiceAccount, script));
        assert!(find_leaked_secret(&seen, std::slice::from_ref(&token)).is_some(), "{script}");
    }
}

#[test]
fn signals_reach_curl_and_its_end_is_ours() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["api=hang"]);
    for (options, signal, code) in
        [("-s", Signal::TERM, 143), ("-sf", Signal::INT, 130), ("-sv", Signal::HUP, 129)]
    {
        let before = stage.sandbox.request_count("api");
        let mut command = curl_command(
            &stage,
            CredentialKind::ServiceAccount,
            &format!("exec gauth curl {options} $U/api/x"),
        );
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn().unwrap();
        while stage.sandbox.request_count("api") == before {
            assert!(start.elapsed() < CURL_TIMEOUT, "no request");
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(pid(&child), signal).unwrap();
        let ended = wait_for(child, start);
        assert_eq!(ended.exit_code, code, "{options}: {ended:?}");
    }
}

/// The programs that stand for curl read what they are given, and say how it came.
#[test]
fn the_header_is_in_a_pipe_and_nowhere_else() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let folder = stage.home.path().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let program = folder.join("curl");
    let text = "#!/bin/sh\necho \"$*\"; test -p \"${3#@}\" && echo pipe; cat \"${3#@}\" | cut -c1-26; env | grep -c ya29\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ready = "CLOUDSDK_AUTH_ACCESS_TOKEN=ya29.in-a-variable-0123456789";
    let ended =
        run_curl(&stage, &format!("export {ready}; PATH=$PWD/bin:$PATH gauth curl -s $U/api/x"));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let [words, pipe, header, count] = lines[..] else { panic!("{ended:?}") };
    assert!(
        words.starts_with("-q -H @/dev/fd/") && words.contains(" -s http://127.0.0.1:"),
        "{words}"
    );
    assert_eq!((pipe, header, count), ("pipe", "Authorization: Bearer ya29", "0"));
}
