//! Opening the browser and coming back from it: ports, browser commands, timeouts and interrupts.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::{ADA, SandboxHome, allow_consent, get_request_bytes, run, share_machine, wait_for_file};
use crate::browser::{get_page, send_raw, split_url};

/// Writes a script that is run in place of a program.
fn write_script(stage: &SandboxHome, name: &str, text: &str) -> PathBuf {
    let path = stage.home.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path
}

/// Writes a client file like the sandbox's, of this type and with these redirect URIs.
fn write_client_file(stage: &SandboxHome, client_type: &str, uris: &[&str]) -> PathBuf {
    let own = if client_type == "web" { "client_secret_web.json" } else { "client_secret.json" };
    let bytes = std::fs::read(stage.sandbox.file(own)).unwrap();
    let mut file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    file[client_type]["redirect_uris"] = json!(uris);
    let path = stage.home.path().join("client.json");
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

#[test]
fn the_redirect_goes_to_the_requested_port() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let port = free();
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "--port", &port.to_string()]));
    assert_eq!(login.redirect_uri(), format!("http://127.0.0.1:{port}/"));
    assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
    assert_eq!(login.wait().exit_code, 0);
    // A web client uses exactly the registered redirect URI, on IPv4 and IPv6.
    let mut command = stage.login_command(&["--no-launch-browser"]);
    command.env("GAUTH_CLIENT_ID_FILE", stage.sandbox.file("client_secret_web.json"));
    let login = stage.start_login(command);
    assert_eq!(login.redirect_uri(), "http://localhost:8088/");
    let back = allow_consent(&login.authorization_url);
    assert_eq!(get_page(&back).status, 200, "{back}");
    assert_eq!(login.wait().exit_code, 0);
    let named = format!("http://127.0.0.1:{}/come/back", free());
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "--redirect-uri", &named]));
    assert_eq!(login.redirect_uri(), named);
    assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
    assert_eq!(login.wait().exit_code, 0);
}

#[test]
fn a_port_in_use_is_reported() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let ended = run(stage.login_command(&["--no-launch-browser", "--port", &port]));
    assert_eq!((ended.exit_code, &*ended.stdout), (1, ""), "{ended:?}");
    let (message, hint) = ended.error_and_hint();
    assert!(message.contains(&port) && message.contains("in use") && hint.contains("--port"), "{ended:?}");
}

#[test]
fn clients_without_a_usable_redirect_uri_are_refused_before_the_login() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    for (file, words, code, says) in [
        (write_client_file(&stage, "web", &["https://app.example/cb"]), &[][..], 8, "web.redirect_uris"),
        (stage.sandbox.service_account_file(), &[], 8, "a credential (service_account)"),
        (stage.sandbox.file("nothing.json"), &[], 8, "there is no such file"),
        (
            stage.sandbox.file("client_secret.json"),
            &["--redirect-uri", "https://app.example/"],
            2,
            "does not lead to this machine",
        ),
        (stage.sandbox.file("client_secret.json"), &["--wait", "soon"], 2, "--wait: \"soon\""),
        (stage.sandbox.file("client_secret.json"), &["--wait", "0"], 2, "--wait: \"0\""),
        (stage.sandbox.file("client_secret.json"), &["--parameter", "state=x"], 2, "--parameter state=x"),
        (stage.sandbox.file("client_secret.json"), &["--no-browser"], 4, "needs a terminal"),
    ] {
        let mut command = stage.login_command(words);
        command.env_remove("GAUTH_CLIENT_ID_FILE").arg("--client-id-file").arg(&file);
        let ended = run(command);
        assert_eq!((ended.exit_code, &*ended.stdout), (code, ""), "{says}: {ended:?}");
        assert!(ended.error_and_hint().0.contains(says), "{says}: {ended:?}");
    }
    let mut command = stage.login_command(&[]);
    command.env_remove("GAUTH_CLIENT_ID_FILE");
    let ended = run(command);
    assert_eq!(ended.exit_code, 2);
    assert_eq!(ended.stderr.lines().count(), 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("Desktop app") && ended.stderr.contains("without a login of gauth's"));
    stage.assert_no_login();
    assert!(stage.sandbox.requests().is_empty());
}

#[test]
fn a_browser_is_started_with_the_url_and_without_waiting_for_it() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let seen = stage.home.path().join("seen");
    let browser = write_script(
        &stage,
        "browser",
        &format!("printf '%s\\n' \"$*\" > {0}.new; env > {0}.env; mv {0}.new {0}; sleep 20", seen.display()),
    );
    let mut command = stage.login_command(&[]);
    command.env("BROWSER", &browser).env("GAUTH_CREDENTIALS", "{\"private_key\":\"never\"}");
    let login = stage.start_login(command);
    wait_for_file(&seen);
    assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
    let url = login.authorization_url.clone();
    let ended = login.wait();
    assert_eq!(ended.exit_code, 0, "{ended:?}");
    assert!(ended.stderr.contains("opening the browser; if nothing opens, visit"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), format!("{url}\n"));
    let env = std::fs::read_to_string(stage.home.path().join("seen.env")).unwrap();
    assert!(!env.contains("never"), "{env}");
}

#[test]
fn a_browser_that_fails_is_reported_and_the_login_continues() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let fails = write_script(&stage, "fails", "exit 3");
    for (browser, words) in [
        (fails.display().to_string(), "fails failed"),
        ("no-such-browser-anywhere".to_owned(), "no-such-browser-anywhere cannot be started"),
        (format!("no-such-browser:{}", fails.display()), "fails failed"),
    ] {
        let mut command = stage.login_command(&[]);
        command.env("BROWSER", browser);
        let mut login = stage.start_login(command);
        login.wait_for_line("no browser can be opened");
        assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
        let ended = login.wait();
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        assert!(ended.stderr.contains("no browser can be opened") && ended.stderr.contains(words), "{ended:?}");
    }
}

#[test]
fn no_browser_is_opened_without_a_display() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let mark = stage.home.path().join("opened");
    let browser = write_script(&stage, "browser", &format!("touch {}", mark.display()));
    for variables in [&[("CI", "true")][..], &[("SSH_CONNECTION", "1"), ("DISPLAY", ":0")]] {
        let mut command = stage.login_command(&[]);
        command.env("BROWSER", &browser).envs(variables.iter().copied());
        let login = stage.start_login(command);
        assert_eq!(get_page(&allow_consent(&login.authorization_url)).status, 200);
        let ended = login.wait();
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        let forwarded = ended.stderr.contains("ssh -L");
        assert_eq!(forwarded, variables[0].0 == "SSH_CONNECTION", "{ended:?}");
    }
    assert!(!mark.exists());
}

#[test]
fn a_login_without_a_callback_times_out() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser", "--wait", "1s"]));
    let ended = login.wait();
    assert_eq!((ended.exit_code, &*ended.stdout), (6, ""), "{ended:?}");
    let (message, hint) = ended.error_and_hint();
    assert!(message.contains("within 1 s") && hint.contains("--wait 15m"), "{ended:?}");
    stage.assert_no_login();
}

#[test]
fn an_interrupted_login_keeps_the_previous_one() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser"]));
    get_page(&allow_consent(&login.authorization_url));
    assert_eq!(login.wait().exit_code, 0);
    let before = stage.own_login(ADA);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let login = stage.start_login(stage.login_command(&["--no-launch-browser"]));
        kill_process(login.pid(), signal).unwrap();
        assert_eq!(login.wait().exit_code, code);
        assert_eq!(stage.own_login(ADA), before);
    }
}

#[test]
fn ctrl_c_ends_a_login_that_waits_for_the_server() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&["token=hang"]);
    let login = stage.start_login(stage.login_command(&["--no-launch-browser"]));
    let back = allow_consent(&login.authorization_url);
    let pid = login.pid();
    std::thread::scope(|scope| {
        let browser = scope.spawn(|| send_raw(&split_url(&back).0, get_request_bytes(&back).as_bytes()));
        while stage.sandbox.request_count("token") == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(browser.join().unwrap(), "");
    });
    assert_eq!(login.wait().exit_code, 130);
    stage.assert_no_login();
}

#[test]
fn ten_logins_at_once_open_one_browser() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let tabs = stage.home.path().join("tabs");
    let browser = write_script(&stage, "browser", &format!("printf '%s\\n' \"$1\" >> {}", tabs.display()));
    let command = || {
        let mut command = stage.login_command(&[]);
        command.env("BROWSER", &browser);
        command
    };
    let first = stage.start_login(command());
    let others: Vec<_> = (0..9)
        .map(|_| {
            let mut command = command();
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            let mut said = BufReader::new(child.stderr.take().unwrap());
            said.read_line(&mut line).unwrap();
            assert!(line.starts_with("another gauth is waiting for a sign-in"), "{line}");
            (child, said)
        })
        .collect();
    wait_for_file(&tabs);
    assert_eq!(get_page(&allow_consent(&first.authorization_url)).status, 200);
    assert_eq!(first.wait().exit_code, 0);
    for (other, _said) in others {
        let ended = super::wait_for(other, std::time::Instant::now());
        assert_eq!(ended.exit_code, 0, "{ended:?}");
        assert!(ended.stdout.starts_with("signed in as ada@example.com"), "{ended:?}");
    }
    assert_eq!(std::fs::read_to_string(tabs).unwrap().lines().count(), 1);
}

#[test]
fn a_login_that_cannot_be_stored_is_not_started() {
    let _beside = share_machine();
    let stage = SandboxHome::new(&[]);
    let file = stage.home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = stage.login_command(&["--no-launch-browser"]);
    command.env("GAUTH_CONFIG_DIR", file.join("gauth"));
    let ended = run(command);
    assert_eq!((ended.exit_code, &*ended.stdout), (1, ""), "{ended:?}");
    let (message, hint) = ended.error_and_hint();
    assert!(message.contains("a login cannot be stored there"), "{message}");
    assert!(hint.contains("GAUTH_CONFIG_DIR"), "{hint}");
    assert!(stage.sandbox.requests().is_empty());
}
