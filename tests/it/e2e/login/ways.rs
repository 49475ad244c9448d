//! Ways to and from the browser: ports, programs that open it, people who are late or stop.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::{ADA, Stage, allow, beside, get, parts, raw, run, visit};

/// A script that a test calls in place of a program.
fn script(stage: &Stage, name: &str, text: &str) -> PathBuf {
    let path = stage.home.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path
}

/// A client file like the sandbox's, of this kind and with these redirect URIs.
fn client(stage: &Stage, kind: &str, uris: &[&str]) -> PathBuf {
    let own = if kind == "web" { "client_secret_web.json" } else { "client_secret.json" };
    let bytes = std::fs::read(stage.google.file(own)).unwrap();
    let mut file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    file[kind]["redirect_uris"] = json!(uris);
    let path = stage.home.path().join("client.json");
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

#[test]
fn a_browser_comes_back_to_the_port_that_is_wanted() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let port = free();
    let login = stage.asking(stage.sign_in(&["--no-launch-browser", "--port", &port.to_string()]));
    assert_eq!(login.redirect(), format!("http://127.0.0.1:{port}/"));
    assert_eq!(visit(&allow(&login.url)).status, 200);
    assert_eq!(login.end().code, 0);
    // A web client is answered at exactly what it is registered with, and on both stacks.
    let mut command = stage.sign_in(&["--no-launch-browser"]);
    command.env("GAUTH_CLIENT_ID_FILE", stage.google.file("client_secret_web.json"));
    let login = stage.asking(command);
    assert_eq!(login.redirect(), "http://localhost:8088/");
    let back = allow(&login.url);
    assert_eq!(visit(&back).status, 200, "{back}");
    assert_eq!(login.end().code, 0);
    let named = format!("http://127.0.0.1:{}/come/back", free());
    let login = stage.asking(stage.sign_in(&["--no-launch-browser", "--redirect-uri", &named]));
    assert_eq!(login.redirect(), named);
    assert_eq!(visit(&allow(&login.url)).status, 200);
    assert_eq!(login.end().code, 0);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let ended = run(stage.sign_in(&["--no-launch-browser", "--port", &port]));
    assert_eq!((ended.code, &*ended.out), (1, ""), "{ended:?}");
    let (message, hint) = ended.two_lines();
    assert!(
        message.contains(&port) && message.contains("in use") && hint.contains("--port"),
        "{ended:?}"
    );
}

#[test]
fn clients_that_lead_nowhere_are_refused_before_anybody_is_asked() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    for (file, words, code, says) in [
        (client(&stage, "web", &["https://app.example/cb"]), &[][..], 8, "web.redirect_uris"),
        (stage.google.service_account_file(), &[], 8, "a credential (service_account)"),
        (stage.google.file("nothing.json"), &[], 8, "there is no such file"),
        (
            stage.google.file("client_secret.json"),
            &["--redirect-uri", "https://app.example/"],
            2,
            "does not lead to this machine",
        ),
        (stage.google.file("client_secret.json"), &["--wait", "soon"], 2, "--wait soon"),
        (stage.google.file("client_secret.json"), &["--wait", "0"], 2, "--wait 0"),
        (
            stage.google.file("client_secret.json"),
            &["--parameter", "state=x"],
            2,
            "--parameter state=x",
        ),
        (stage.google.file("client_secret.json"), &["--no-browser"], 4, "nobody is there"),
    ] {
        let mut command = stage.sign_in(words);
        command.env_remove("GAUTH_CLIENT_ID_FILE").arg("--client-id-file").arg(&file);
        let ended = run(command);
        assert_eq!((ended.code, &*ended.out), (code, ""), "{says}: {ended:?}");
        assert!(ended.two_lines().0.contains(says), "{says}: {ended:?}");
    }
    let mut command = stage.sign_in(&[]);
    command.env_remove("GAUTH_CLIENT_ID_FILE");
    let ended = run(command);
    assert_eq!(ended.code, 2);
    assert_eq!(ended.err.lines().count(), 4, "{}", ended.err);
    assert!(ended.err.contains("Desktop app") && ended.err.contains("gcloud needs no login"));
    stage.has_no_login();
    assert!(stage.google.requests().is_empty());
}

#[test]
fn a_browser_is_called_with_the_url_and_not_waited_for() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let seen = stage.home.path().join("seen");
    let browser = script(
        &stage,
        "browser",
        &format!(
            "printf '%s\\n' \"$*\" > {0}.new; env > {0}.env; mv {0}.new {0}; sleep 20",
            seen.display()
        ),
    );
    let mut command = stage.sign_in(&[]);
    command.env("BROWSER", &browser).env("GAUTH_CREDENTIALS", "{\"private_key\":\"never\"}");
    let login = stage.asking(command);
    assert_eq!(visit(&allow(&login.url)).status, 200);
    let url = login.url.clone();
    let ended = login.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("opening the browser; if nothing opens, visit"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), format!("{url}\n"));
    let env = std::fs::read_to_string(stage.home.path().join("seen.env")).unwrap();
    assert!(!env.contains("never"), "{env}");
}

#[test]
fn a_browser_that_fails_is_said_and_the_login_goes_on() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let fails = script(&stage, "fails", "exit 3");
    for (browser, words) in [
        (fails.display().to_string(), "fails failed"),
        ("no-such-browser-anywhere".to_owned(), "no-such-browser-anywhere cannot be started"),
        (format!("no-such-browser:{}", fails.display()), "fails failed"),
    ] {
        let mut command = stage.sign_in(&[]);
        command.env("BROWSER", browser);
        let login = stage.asking(command);
        // The answer comes after it was noticed.
        std::thread::sleep(std::time::Duration::from_millis(400));
        assert_eq!(visit(&allow(&login.url)).status, 200);
        let ended = login.end();
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.err.contains("no browser could be opened") && ended.err.contains(words),
            "{ended:?}"
        );
    }
}

#[test]
fn no_browser_is_opened_where_nobody_sees_it() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let mark = stage.home.path().join("opened");
    let browser = script(&stage, "browser", &format!("touch {}", mark.display()));
    for variables in [&[("CI", "true")][..], &[("SSH_CONNECTION", "1"), ("DISPLAY", ":0")]] {
        let mut command = stage.sign_in(&[]);
        command.env("BROWSER", &browser).envs(variables.iter().copied());
        let login = stage.asking(command);
        assert_eq!(visit(&allow(&login.url)).status, 200);
        let ended = login.end();
        assert_eq!(ended.code, 0, "{ended:?}");
        let forwarded = ended.err.contains("ssh -L");
        assert_eq!(forwarded, variables[0].0 == "SSH_CONNECTION", "{ended:?}");
    }
    assert!(!mark.exists());
}

#[test]
fn nobody_who_comes_is_not_waited_for_for_ever() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let login = stage.asking(stage.sign_in(&["--no-launch-browser", "--wait", "1s"]));
    let ended = login.end();
    assert_eq!((ended.code, &*ended.out), (6, ""), "{ended:?}");
    let (message, hint) = ended.two_lines();
    assert!(message.contains("waited 1 s") && hint.contains("--wait 15m"), "{ended:?}");
    stage.has_no_login();
}

#[test]
fn whoever_stops_a_login_keeps_the_old_one() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let login = stage.asking(stage.sign_in(&["--no-launch-browser"]));
    visit(&allow(&login.url));
    assert_eq!(login.end().code, 0);
    let before = stage.login_of(ADA);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let login = stage.asking(stage.sign_in(&["--no-launch-browser"]));
        kill_process(login.pid(), signal).unwrap();
        assert_eq!(login.end().code, code);
        assert_eq!(stage.login_of(ADA), before);
    }
}

#[test]
fn ctrl_c_ends_a_login_that_waits_for_the_server_too() {
    let _beside = beside();
    let stage = Stage::new(&["token=hang"]);
    let login = stage.asking(stage.sign_in(&["--no-launch-browser"]));
    let back = allow(&login.url);
    let pid = login.pid();
    std::thread::scope(|scope| {
        let browser = scope.spawn(|| raw(&parts(&back).0, get(&back).as_bytes()));
        while stage.google.count("token") == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        kill_process(pid, Signal::INT).unwrap();
        assert_eq!(browser.join().unwrap(), "");
    });
    assert_eq!(login.end().code, 130);
    stage.has_no_login();
}

#[test]
fn ten_logins_at_once_open_one_browser() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let tabs = stage.home.path().join("tabs");
    let browser =
        script(&stage, "browser", &format!("printf '%s\\n' \"$1\" >> {}", tabs.display()));
    let command = || {
        let mut command = stage.sign_in(&[]);
        command.env("BROWSER", &browser);
        command
    };
    let first = stage.asking(command());
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
    assert_eq!(visit(&allow(&first.url)).status, 200);
    assert_eq!(first.end().code, 0);
    for (other, _said) in others {
        let ended = super::finish(other, std::time::Instant::now());
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.starts_with("signed in as ada@example.com"), "{ended:?}");
    }
    assert_eq!(std::fs::read_to_string(tabs).unwrap().lines().count(), 1);
}

#[test]
fn nobody_is_asked_for_a_login_that_could_not_be_kept() {
    let _beside = beside();
    let stage = Stage::new(&[]);
    let file = stage.home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = stage.sign_in(&["--no-launch-browser"]);
    command.env("GAUTH_CONFIG_DIR", file.join("gauth"));
    let ended = run(command);
    assert_eq!((ended.code, &*ended.out), (1, ""), "{ended:?}");
    let (message, hint) = ended.two_lines();
    assert!(message.contains("a login cannot be kept there"), "{message}");
    assert!(hint.contains("GAUTH_CONFIG_DIR"), "{hint}");
    assert!(stage.google.requests().is_empty());
}
