//! Killed at any moment: what is stored is old or new, and the next run works.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gauth::server::sandbox::cast::USER;

use super::login::{Asking, allow, parts};
use super::rotation::{own_login, refresh_token, shadow};
use super::{Kind, Stage, alone, chance, each, finish, full, names, pid, run};
use rustix::process::{Signal, kill_process};

/// Waits a part of `longest`, then kills.
pub(super) fn kill_at_some_moment(mut command: std::process::Command, longest: Duration) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let moment = longest.mul_f64((chance() % 10_000) as f64 / 10_000.0);
    let start = Instant::now();
    while start.elapsed() < moment {
        std::thread::sleep(Duration::from_micros(200).min(moment));
    }
    let _ = child.kill();
    child.wait().unwrap();
}

/// How long a run takes here and now.
fn usual(stage: &Stage, words: &[&str]) -> Duration {
    let start = Instant::now();
    for _ in 0..5 {
        run(stage.gauth(Kind::User, words)).token();
    }
    start.elapsed() / 5
}

/// Temporary files that the next writer would have to remove.
fn lying_about(folder: &Path) -> usize {
    names(folder).iter().filter(|name| name.starts_with('.')).count()
}

#[test]
fn a_killed_writer_of_the_cache_leaves_an_entry_or_none() {
    let _alone = alone();
    let kills = if full() { 10_000 } else { 1000 };
    let parts: [usize; 2] = [kills / 2; 2];
    each(&parts, 2, |kills| {
        let stage = Stage::new(&[]);
        let longest = usual(&stage, &["token", "--refresh"]);
        for round in 1..=*kills {
            kill_at_some_moment(stage.gauth(Kind::User, &["token", "--refresh"]), longest);
            if round % 10 == 0 {
                let ended = run(stage.gauth(Kind::User, &["token", "-v"]));
                ended.token();
                assert!(!ended.err.contains("damaged"), "{ended:?}");
            }
        }
        assert!(lying_about(&stage.tokens()) < *kills);
        age_by_hours(&stage.tokens());
        run(stage.gauth(Kind::User, &["token", "--refresh"])).token();
        assert_eq!(lying_about(&stage.tokens()), 0, "{:?}", names(&stage.tokens()));
    });
}

/// As if two hours had gone by.
fn age_by_hours(folder: &Path) {
    let then = std::time::SystemTime::now() - Duration::from_secs(7200);
    for name in names(folder) {
        std::fs::File::open(folder.join(name)).unwrap().set_modified(then).unwrap();
    }
}

#[test]
fn a_killed_refresh_leaves_the_old_or_the_new_refresh_token() {
    let _alone = alone();
    let rounds = if full() { 1000 } else { 40 };
    for ours in [true, false] {
        let rounds: Vec<usize> = (0..rounds).collect();
        each(&rounds, 2, |_| {
            let stage = Stage::new(&["token=rotate"]);
            let login = ours.then(|| own_login(&stage));
            let command = || {
                let mut command = stage.gauth(Kind::User, &["token", "--refresh"]);
                if ours {
                    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
                }
                command
            };
            let start = Instant::now();
            run(command()).token();
            let longest = start.elapsed();
            let login = login.or_else(|| shadow(&stage)).unwrap();
            for _ in 0..3 {
                let old = refresh_token(&login);
                kill_at_some_moment(command(), longest);
                // Whole, whichever it is.
                let new = refresh_token(&login);
                let ended = run(command());
                if ended.code != 0 {
                    // The successor died with the process that it was given to: nothing can mend that.
                    assert_eq!((ended.code, times_sent(&stage, &new)), (4, 2), "{ended:?}");
                    assert_eq!(new, old);
                    break;
                }
            }
        });
    }
}

/// Everything that writers who died have left anywhere in gauth's folder.
fn left_by_the_dead(stage: &Stage) -> Vec<String> {
    let folders = ["", "accounts", "accounts/shadow", "tokens"].map(|name| stage.own().join(name));
    let names = folders.iter().flat_map(|folder| names(folder));
    names.filter(|name| name.starts_with('.')).collect()
}

/// As if two hours had gone by for all that lies there.
fn age_all(stage: &Stage) {
    for name in ["", "accounts", "accounts/shadow", "tokens"] {
        let folder = stage.own().join(name);
        let files = names(&folder).into_iter().filter(|name| folder.join(name).is_file());
        let then = std::time::SystemTime::now() - Duration::from_secs(7200);
        for file in files {
            std::fs::File::open(folder.join(file)).unwrap().set_modified(then).unwrap();
        }
    }
}

/// The login is there and good, whichever it is, and nothing else than a login is chosen.
#[track_caller]
fn is_signed_in(stage: &Stage) -> String {
    let login = stage.login_of(USER).expect("a login");
    assert_eq!(login["type"], "authorized_user");
    assert_eq!(stage.active().as_deref(), Some(USER));
    let mut command = stage.gauth(Kind::User, &["token", "--account", USER, "--refresh"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command).token();
    login["refresh_token"].as_str().unwrap().to_owned()
}

/// Signs in up to the moment when the browser comes back: the process, and where it waits.
fn about_to_sign_in(stage: &Stage) -> (Asking, String) {
    let asking = stage.asking(stage.sign_in(&["--no-launch-browser"]));
    let back = allow(&asking.url);
    (asking, back)
}

#[test]
fn a_killed_login_leaves_the_old_account_or_the_new_one() {
    let _alone = alone();
    let kills = if full() { 2000 } else { 60 };
    each(&[kills / 2; 2], 2, |kills| {
        let stage = Stage::new(&[]);
        let (mut old, mut longest) = (None, Duration::from_millis(300));
        let (mut kept, mut replaced) = (0, 0);
        for round in 0..=*kills {
            let (asking, back) = about_to_sign_in(&stage);
            let (pid, start) = (asking.pid(), Instant::now());
            let browser = std::thread::spawn(move || back_with(&back));
            if round == 0 {
                // One that nobody ends: what is there from now on.
                assert_eq!(asking.end().code, 0);
                longest = start.elapsed();
            } else {
                std::thread::sleep(longest.mul_f64((chance() % 10_000) as f64 / 10_000.0));
                let _ = kill_process(pid, Signal::KILL);
                asking.end();
            }
            browser.join().unwrap();
            let now = is_signed_in(&stage);
            match old.replace(now.clone()) {
                Some(old) if old == now => kept += 1,
                _ => replaced += 1,
            }
        }
        assert!(kept > 0 && replaced > 1, "{kept} kept, {replaced} replaced: no test at all");
        age_all(&stage);
        let (asking, back) = about_to_sign_in(&stage);
        back_with(&back);
        assert_eq!(asking.end().code, 0);
        assert_eq!(left_by_the_dead(&stage), [""; 0]);
    });
}

#[test]
fn a_killed_logout_leaves_an_account_that_can_be_signed_out_or_none() {
    let _alone = alone();
    let kills = if full() { 2000 } else { 60 };
    each(&[kills / 2; 2], 2, |kills| {
        let stage = Stage::new(&[]);
        let (mut longest, mut kept, mut gone) = (Duration::from_millis(300), 0, 0);
        for round in 0..=*kills {
            // Each login has a grant of its own, which the server takes back.
            let (asking, back) = about_to_sign_in(&stage);
            back_with(&back);
            assert_eq!(asking.end().code, 0);
            let logout = || stage.gauth(Kind::Metadata, &["logout", USER]);
            if round == 0 {
                let ended = run(logout());
                assert_eq!(ended.code, 0, "{ended:?}");
                longest = ended.took;
            } else {
                kill_at_some_moment(logout(), longest);
            }
            let chosen = stage.active();
            if stage.login_of(USER).is_none() {
                gone += 1;
                assert_eq!(chosen, None, "what is chosen is there");
                continue;
            }
            kept += 1;
            // Whole, and good or ended at the server: then it can be ended here as well.
            let mut command = stage.gauth(Kind::User, &["token", "--account", USER, "--refresh"]);
            command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            let ended = run(command);
            assert!([0, 4].contains(&ended.code), "{ended:?}");
            let ended = run(logout());
            assert_eq!((ended.code, stage.login_of(USER)), (0, None), "{ended:?}");
            assert_eq!(stage.active(), None);
        }
        assert!(kept > 0 && gone > 1, "{kept} kept, {gone} gone: no test at all");
        age_all(&stage);
        let (asking, back) = about_to_sign_in(&stage);
        back_with(&back);
        assert_eq!(asking.end().code, 0);
        assert_eq!(left_by_the_dead(&stage), [""; 0]);
    });
}

/// As a browser does, which does not mind when nobody answers.
fn back_with(back: &str) {
    let (host, path) = parts(back);
    let Ok(mut stream) = std::net::TcpStream::connect(&host) else { return };
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_killed_first_login_leaves_an_account_or_none() {
    let _alone = alone();
    let rounds: Vec<usize> = (0..if full() { 400 } else { 12 }).collect();
    each(&rounds, 2, |_| {
        let stage = Stage::new(&[]);
        let (asking, back) = about_to_sign_in(&stage);
        let pid = asking.pid();
        let browser = std::thread::spawn(move || back_with(&back));
        std::thread::sleep(Duration::from_micros(chance() % 150_000));
        let _ = kill_process(pid, Signal::KILL);
        asking.end();
        browser.join().unwrap();
        let mut command = stage.gauth(Kind::User, &["token", "--account", USER]);
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        let ended = run(command);
        match stage.login_of(USER) {
            Some(_) => drop(ended.token()),
            None => {
                assert_eq!((ended.code, stage.active()), (3, None), "{ended:?}");
            }
        }
    });
}

/// How often this refresh token was spent.
pub(super) fn times_sent(stage: &Stage, token: &str) -> usize {
    let forms = stage.google.requests().into_iter().filter_map(|logged| logged.request.form());
    forms.flatten().filter(|(_, value)| value == token).count()
}

#[test]
fn an_interrupted_run_ends_as_the_signal_does() {
    let _alone = alone();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let stage = Stage::new(&["token=hang"]);
        let mut command = stage.gauth(Kind::User, &["token"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn().unwrap();
        while stage.google.count("token") == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(pid(&child), signal).unwrap();
        let ended = finish(child, start);
        assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (code, "", ""));
        assert_eq!(lying_about(&stage.tokens()), 0);
    }
}
