//! Killed at any moment: what is stored is old or new, and the next run works.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gauth_sandbox::fixtures::USER;

use super::login::{PendingLogin, allow_consent, split_url};
use super::refresh_token_rotation::{overlay_file, read_refresh_token, store_own_login};
use super::{
    CredentialKind, SandboxHome, file_names, for_each_parallel, lock_machine, pid, random_number,
    run, runs_full_counts, wait_for,
};
use rustix::process::{Signal, kill_process};

/// Waits a part of `longest`, then kills.
pub(super) fn kill_at_random_moment(mut command: std::process::Command, max_delay: Duration) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let moment = max_delay.mul_f64((random_number() % 10_000) as f64 / 10_000.0);
    let start = Instant::now();
    while start.elapsed() < moment {
        std::thread::sleep(Duration::from_micros(200).min(moment));
    }
    let _ = child.kill();
    child.wait().unwrap();
}

/// How long a run takes here and now.
fn measure_duration(stage: &SandboxHome, args: &[&str]) -> Duration {
    let start = Instant::now();
    for _ in 0..5 {
        run(stage.gauth_command(CredentialKind::User, args)).printed_token();
    }
    start.elapsed() / 5
}

/// Temporary files that the next writer would have to remove.
fn count_temporary_files(folder: &Path) -> usize {
    file_names(folder).iter().filter(|name| name.starts_with('.')).count()
}

#[test]
fn a_killed_writer_of_the_cache_leaves_an_entry_or_none() {
    let _alone = lock_machine();
    let kills = if runs_full_counts() { 10_000 } else { 1000 };
    let parts: [usize; 2] = [kills / 2; 2];
    for_each_parallel(&parts, 2, |kills| {
        let stage = SandboxHome::new(&[]);
        let longest = measure_duration(&stage, &["token", "--refresh"]);
        for round in 1..=*kills {
            kill_at_random_moment(
                stage.gauth_command(CredentialKind::User, &["token", "--refresh"]),
                longest,
            );
            if round % 10 == 0 {
                let ended = run(stage.gauth_command(CredentialKind::User, &["token", "-v"]));
                ended.printed_token();
                assert!(!ended.stderr.contains("damaged"), "{ended:?}");
            }
        }
        assert!(count_temporary_files(&stage.token_cache_folder()) < *kills);
        age_files_two_hours(&stage.token_cache_folder());
        run(stage.gauth_command(CredentialKind::User, &["token", "--refresh"])).printed_token();
        assert_eq!(
            count_temporary_files(&stage.token_cache_folder()),
            0,
            "{:?}",
            file_names(&stage.token_cache_folder())
        );
    });
}

/// As if two hours had gone by.
fn age_files_two_hours(folder: &Path) {
    let then = std::time::SystemTime::now() - Duration::from_secs(7200);
    for name in file_names(folder) {
        std::fs::File::open(folder.join(name)).unwrap().set_modified(then).unwrap();
    }
}

#[test]
fn a_killed_refresh_leaves_the_old_or_the_new_refresh_token() {
    let _alone = lock_machine();
    let rounds = if runs_full_counts() { 1000 } else { 40 };
    for ours in [true, false] {
        let rounds: Vec<usize> = (0..rounds).collect();
        for_each_parallel(&rounds, 2, |_| {
            let stage = SandboxHome::new(&["token=rotate"]);
            let login = ours.then(|| store_own_login(&stage));
            let command = || {
                let mut command =
                    stage.gauth_command(CredentialKind::User, &["token", "--refresh"]);
                if ours {
                    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
                }
                command
            };
            let start = Instant::now();
            run(command()).printed_token();
            let longest = start.elapsed();
            let login = login.or_else(|| overlay_file(&stage)).unwrap();
            for _ in 0..3 {
                let old = read_refresh_token(&login);
                kill_at_random_moment(command(), longest);
                // Whole, whichever it is.
                let new = read_refresh_token(&login);
                let ended = run(command());
                if ended.exit_code != 0 {
                    // The successor died with the process that it was given to: nothing can mend that.
                    assert_eq!((ended.exit_code, count_uses_of(&stage, &new)), (4, 2), "{ended:?}");
                    assert_eq!(new, old);
                    break;
                }
            }
        });
    }
}

/// Everything that writers who died have left anywhere in gauth's folder.
fn leftover_files(stage: &SandboxHome) -> Vec<String> {
    let folders =
        ["", "accounts", "accounts/shadow", "tokens"].map(|name| stage.config_folder().join(name));
    let names = folders.iter().flat_map(|folder| file_names(folder));
    names.filter(|name| name.starts_with('.')).collect()
}

/// As if two hours had gone by for all that lies there.
fn age_all_files_two_hours(stage: &SandboxHome) {
    for name in ["", "accounts", "accounts/shadow", "tokens"] {
        let folder = stage.config_folder().join(name);
        let files = file_names(&folder).into_iter().filter(|name| folder.join(name).is_file());
        let then = std::time::SystemTime::now() - Duration::from_secs(7200);
        for file in files {
            std::fs::File::open(folder.join(file)).unwrap().set_modified(then).unwrap();
        }
    }
}

/// The login is there and good, whichever it is, and nothing else than a login is chosen.
#[track_caller]
fn assert_signed_in(stage: &SandboxHome) -> String {
    let login = stage.own_login(USER).expect("a login");
    assert_eq!(login["type"], "authorized_user");
    assert_eq!(stage.active_account().as_deref(), Some(USER));
    let mut command =
        stage.gauth_command(CredentialKind::User, &["token", "--account", USER, "--refresh"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command).printed_token();
    login["refresh_token"].as_str().unwrap().to_owned()
}

/// Signs in up to the moment when the browser comes back: the process, and where it waits.
fn start_login_until_redirect(stage: &SandboxHome) -> (PendingLogin, String) {
    let asking = stage.start_login(stage.login_command(&["--no-launch-browser"]));
    let back = allow_consent(&asking.authorization_url);
    (asking, back)
}

#[test]
fn a_killed_login_leaves_the_old_account_or_the_new_one() {
    let _alone = lock_machine();
    let kills = if runs_full_counts() { 2000 } else { 60 };
    for_each_parallel(&[kills / 2; 2], 2, |kills| {
        let stage = SandboxHome::new(&[]);
        let (mut old, mut longest) = (None, Duration::from_millis(300));
        let (mut kept, mut replaced) = (0, 0);
        for round in 0..=*kills {
            let (asking, back) = start_login_until_redirect(&stage);
            let (pid, start) = (asking.pid(), Instant::now());
            let browser = std::thread::spawn(move || follow_redirect(&back));
            if round == 0 {
                // One that nobody ends: what is there from now on.
                assert_eq!(asking.wait().exit_code, 0);
                longest = start.elapsed();
            } else {
                std::thread::sleep(longest.mul_f64((random_number() % 10_000) as f64 / 10_000.0));
                let _ = kill_process(pid, Signal::KILL);
                asking.wait();
            }
            browser.join().unwrap();
            let now = assert_signed_in(&stage);
            match old.replace(now.clone()) {
                Some(old) if old == now => kept += 1,
                _ => replaced += 1,
            }
        }
        assert!(kept > 0 && replaced > 1, "{kept} kept, {replaced} replaced: no test at all");
        age_all_files_two_hours(&stage);
        let (asking, back) = start_login_until_redirect(&stage);
        follow_redirect(&back);
        assert_eq!(asking.wait().exit_code, 0);
        assert_eq!(leftover_files(&stage), [""; 0]);
    });
}

#[test]
fn a_killed_logout_leaves_an_account_that_can_be_signed_out_or_none() {
    let _alone = lock_machine();
    let kills = if runs_full_counts() { 2000 } else { 60 };
    for_each_parallel(&[kills / 2; 2], 2, |kills| {
        let stage = SandboxHome::new(&[]);
        let (mut longest, mut kept, mut gone) = (Duration::from_millis(300), 0, 0);
        for round in 0..=*kills {
            // Each login has a grant of its own, which the server takes back.
            let (asking, back) = start_login_until_redirect(&stage);
            follow_redirect(&back);
            assert_eq!(asking.wait().exit_code, 0);
            let logout = || stage.gauth_command(CredentialKind::Metadata, &["logout", USER]);
            if round == 0 {
                let ended = run(logout());
                assert_eq!(ended.exit_code, 0, "{ended:?}");
                longest = ended.duration;
            } else {
                kill_at_random_moment(logout(), longest);
            }
            let chosen = stage.active_account();
            if stage.own_login(USER).is_none() {
                gone += 1;
                assert_eq!(chosen, None, "what is chosen is there");
                continue;
            }
            kept += 1;
            // Whole, and good or ended at the server: then it can be ended here as well.
            let mut command = stage
                .gauth_command(CredentialKind::User, &["token", "--account", USER, "--refresh"]);
            command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            let ended = run(command);
            assert!([0, 4].contains(&ended.exit_code), "{ended:?}");
            let ended = run(logout());
            assert_eq!((ended.exit_code, stage.own_login(USER)), (0, None), "{ended:?}");
            assert_eq!(stage.active_account(), None);
        }
        assert!(kept > 0 && gone > 1, "{kept} kept, {gone} gone: no test at all");
        age_all_files_two_hours(&stage);
        let (asking, back) = start_login_until_redirect(&stage);
        follow_redirect(&back);
        assert_eq!(asking.wait().exit_code, 0);
        assert_eq!(leftover_files(&stage), [""; 0]);
    });
}

/// As a browser does, which does not mind when nobody answers.
fn follow_redirect(redirect: &str) {
    let (host, path) = split_url(redirect);
    let Ok(mut stream) = std::net::TcpStream::connect(&host) else { return };
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_killed_first_login_leaves_an_account_or_none() {
    let _alone = lock_machine();
    let rounds: Vec<usize> = (0..if runs_full_counts() { 400 } else { 12 }).collect();
    for_each_parallel(&rounds, 2, |_| {
        let stage = SandboxHome::new(&[]);
        let (asking, back) = start_login_until_redirect(&stage);
        let pid = asking.pid();
        let browser = std::thread::spawn(move || follow_redirect(&back));
        std::thread::sleep(Duration::from_micros(random_number() % 150_000));
        let _ = kill_process(pid, Signal::KILL);
        asking.wait();
        browser.join().unwrap();
        let mut command = stage.gauth_command(CredentialKind::User, &["token", "--account", USER]);
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        let ended = run(command);
        match stage.own_login(USER) {
            Some(_) => drop(ended.printed_token()),
            None => {
                assert_eq!((ended.exit_code, stage.active_account()), (3, None), "{ended:?}");
            }
        }
    });
}

/// How often this refresh token was spent.
pub(super) fn count_uses_of(stage: &SandboxHome, token: &str) -> usize {
    let forms = stage.sandbox.requests().into_iter().filter_map(|logged| logged.request.form());
    forms.flatten().filter(|(_, value)| value == token).count()
}

#[test]
fn an_interrupted_run_ends_as_the_signal_does() {
    let _alone = lock_machine();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let stage = SandboxHome::new(&["token=hang"]);
        let mut command = stage.gauth_command(CredentialKind::User, &["token"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn().unwrap();
        while stage.sandbox.request_count("token") == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(pid(&child), signal).unwrap();
        let ended = wait_for(child, start);
        assert_eq!((ended.exit_code, ended.stdout.as_str(), ended.stderr.as_str()), (code, "", ""));
        assert_eq!(count_temporary_files(&stage.token_cache_folder()), 0);
    }
}
