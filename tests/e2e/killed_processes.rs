//! Processes killed at any moment: stored data is old or new, and the next run works.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gauth_sandbox::fixtures::USER;

use super::login::{PendingLogin, allow_consent};
use super::refresh_token_rotation::{overlay_file, read_refresh_token, store_own_login};
use super::{
    CredentialKind, SandboxHome, file_names, for_each_parallel, lock_machine, pid, random_number, run,
    runs_full_counts, wait_for,
};
use crate::browser::split_url;
use rustix::process::{Signal, kill_process};

/// Waits a random part of `longest`, then kills the process.
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

/// How long a run takes on this machine at present.
fn measure_duration(test: &SandboxHome, args: &[&str]) -> Duration {
    let start = Instant::now();
    for _ in 0..5 {
        run(test.gauth_command(CredentialKind::User, args)).printed_token();
    }
    start.elapsed() / 5
}

/// Temporary files that the next writer would have to remove.
fn count_temporary_files(folder: &Path) -> usize {
    file_names(folder).iter().filter(|name| name.starts_with('.')).count()
}

#[test]
fn a_killed_writer_of_the_cache_leaves_an_entry_or_none() {
    let _exclusive = lock_machine();
    let kills = if runs_full_counts() { 10_000 } else { 1000 };
    let parts: [usize; 2] = [kills / 2; 2];
    for_each_parallel(&parts, 2, |kills| {
        let test = SandboxHome::new(&[]);
        let longest = measure_duration(&test, &["token", "--refresh"]);
        for round in 1..=*kills {
            kill_at_random_moment(test.gauth_command(CredentialKind::User, &["token", "--refresh"]), longest);
            if round % 10 == 0 {
                let result = run(test.gauth_command(CredentialKind::User, &["token", "-v"]));
                result.printed_token();
                assert!(!result.stderr.contains("damaged"), "{result:?}");
            }
        }
        assert!(count_temporary_files(&test.token_cache_folder()) < *kills);
        age_files_two_hours(&test.token_cache_folder());
        run(test.gauth_command(CredentialKind::User, &["token", "--refresh"])).printed_token();
        assert_eq!(
            count_temporary_files(&test.token_cache_folder()),
            0,
            "{:?}",
            file_names(&test.token_cache_folder())
        );
    });
}

/// Sets the modification times of files back by two hours.
fn age_files_two_hours(folder: &Path) {
    let then = std::time::SystemTime::now() - Duration::from_secs(7200);
    for name in file_names(folder) {
        std::fs::File::open(folder.join(name)).unwrap().set_modified(then).unwrap();
    }
}

#[test]
fn a_killed_refresh_leaves_the_old_or_the_new_refresh_token() {
    let _exclusive = lock_machine();
    let rounds = if runs_full_counts() { 1000 } else { 40 };
    for ours in [true, false] {
        let rounds: Vec<usize> = (0..rounds).collect();
        for_each_parallel(&rounds, 2, |_| {
            let test = SandboxHome::new(&["token=rotate"]);
            let login = ours.then(|| store_own_login(&test));
            let command = || {
                let mut command = test.gauth_command(CredentialKind::User, &["token", "--refresh"]);
                if ours {
                    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
                }
                command
            };
            let start = Instant::now();
            run(command()).printed_token();
            let longest = start.elapsed();
            let login = login.or_else(|| overlay_file(&test)).unwrap();
            for _ in 0..3 {
                let old = read_refresh_token(&login);
                kill_at_random_moment(command(), longest);
                // The refresh token is complete, be it the old or the new one.
                let new = read_refresh_token(&login);
                let result = run(command());
                if result.exit_code != 0 {
                    // The process was killed between receiving the new refresh token and storing it.
                    assert_eq!((result.exit_code, count_uses_of(&test, &new)), (4, 2), "{result:?}");
                    assert_eq!(new, old);
                    break;
                }
            }
        });
    }
}

/// The temporary files of killed writers in gauth's folder.
fn leftover_files(test: &SandboxHome) -> Vec<String> {
    let folders = ["", "accounts", "accounts/shadow", "tokens"].map(|name| test.config_folder().join(name));
    let names = folders.iter().flat_map(|folder| file_names(folder));
    names.filter(|name| name.starts_with('.')).collect()
}

/// Sets the modification times of all files in gauth's folder back by two hours.
fn age_all_files_two_hours(test: &SandboxHome) {
    for name in ["", "accounts", "accounts/shadow", "tokens"] {
        let folder = test.config_folder().join(name);
        let files = file_names(&folder).into_iter().filter(|name| folder.join(name).is_file());
        let then = std::time::SystemTime::now() - Duration::from_secs(7200);
        for file in files {
            std::fs::File::open(folder.join(file)).unwrap().set_modified(then).unwrap();
        }
    }
}

/// Asserts that one login is stored and valid, and returns its account.
#[track_caller]
fn assert_signed_in(test: &SandboxHome) -> String {
    let login = test.own_login(USER).expect("a login");
    assert_eq!(login["type"], "authorized_user");
    assert_eq!(test.active_account().as_deref(), Some(USER));
    let mut command = test.gauth_command(CredentialKind::User, &["token", "--account", USER, "--refresh"]);
    command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
    run(command).printed_token();
    login["refresh_token"].as_str().unwrap().to_owned()
}

/// Signs in up to the redirect: the process, and the redirect URL that the browser has to visit.
fn start_login_until_redirect(test: &SandboxHome) -> (PendingLogin, String) {
    let asking = test.start_login(test.login_command(&["--no-launch-browser"]));
    let back = allow_consent(&asking.authorization_url);
    (asking, back)
}

#[test]
fn a_killed_login_leaves_the_old_account_or_the_new_one() {
    let _exclusive = lock_machine();
    let kills = if runs_full_counts() { 2000 } else { 60 };
    for_each_parallel(&[kills / 2; 2], 2, |kills| {
        let test = SandboxHome::new(&[]);
        let (mut old, mut longest) = (None, Duration::from_millis(300));
        let (mut kept, mut replaced) = (0, 0);
        for round in 0..=*kills {
            let (asking, back) = start_login_until_redirect(&test);
            let (pid, start) = (asking.pid(), Instant::now());
            let browser = std::thread::spawn(move || follow_redirect(&back));
            if round == 0 {
                // A login that is not killed.
                assert_eq!(asking.wait().exit_code, 0);
                longest = start.elapsed();
            } else {
                std::thread::sleep(longest.mul_f64((random_number() % 10_000) as f64 / 10_000.0));
                let _ = kill_process(pid, Signal::KILL);
                asking.wait();
            }
            browser.join().unwrap();
            let now = assert_signed_in(&test);
            match old.replace(now.clone()) {
                Some(old) if old == now => kept += 1,
                _ => replaced += 1,
            }
        }
        assert!(kept > 0 && replaced > 1, "{kept} kept, {replaced} replaced: no test at all");
        age_all_files_two_hours(&test);
        let (asking, back) = start_login_until_redirect(&test);
        follow_redirect(&back);
        assert_eq!(asking.wait().exit_code, 0);
        assert_eq!(leftover_files(&test), [""; 0]);
    });
}

#[test]
fn a_killed_logout_leaves_an_account_that_can_be_signed_out_or_none() {
    let _exclusive = lock_machine();
    let kills = if runs_full_counts() { 2000 } else { 60 };
    for_each_parallel(&[kills / 2; 2], 2, |kills| {
        let test = SandboxHome::new(&[]);
        let (mut longest, mut kept, mut gone) = (Duration::from_millis(300), 0, 0);
        for round in 0..=*kills {
            // Each login has its own grant, which logout revokes.
            let (asking, back) = start_login_until_redirect(&test);
            follow_redirect(&back);
            assert_eq!(asking.wait().exit_code, 0);
            let logout = || test.gauth_command(CredentialKind::Metadata, &["logout", USER]);
            if round == 0 {
                let result = run(logout());
                assert_eq!(result.exit_code, 0, "{result:?}");
                longest = result.duration;
            } else {
                kill_at_random_moment(logout(), longest);
            }
            let chosen = test.active_account();
            if test.own_login(USER).is_none() {
                gone += 1;
                assert_eq!(chosen, None, "what is chosen is there");
                continue;
            }
            kept += 1;
            // The account is complete. Its grant is valid or already revoked, and a second logout removes it.
            let mut command = test.gauth_command(CredentialKind::User, &["token", "--account", USER, "--refresh"]);
            command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            let result = run(command);
            assert!([0, 4].contains(&result.exit_code), "{result:?}");
            let result = run(logout());
            assert_eq!((result.exit_code, test.own_login(USER)), (0, None), "{result:?}");
            assert_eq!(test.active_account(), None);
        }
        assert!(kept > 0 && gone > 1, "{kept} kept, {gone} gone: no test at all");
        age_all_files_two_hours(&test);
        let (asking, back) = start_login_until_redirect(&test);
        follow_redirect(&back);
        assert_eq!(asking.wait().exit_code, 0);
        assert_eq!(leftover_files(&test), [""; 0]);
    });
}

/// Visits the redirect URL; the listener may be gone.
fn follow_redirect(redirect: &str) {
    let (host, path) = split_url(redirect);
    let Ok(mut stream) = std::net::TcpStream::connect(&host) else { return };
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_killed_first_login_leaves_an_account_or_none() {
    let _exclusive = lock_machine();
    let rounds: Vec<usize> = (0..if runs_full_counts() { 400 } else { 12 }).collect();
    for_each_parallel(&rounds, 2, |_| {
        let test = SandboxHome::new(&[]);
        let (asking, back) = start_login_until_redirect(&test);
        let pid = asking.pid();
        let browser = std::thread::spawn(move || follow_redirect(&back));
        std::thread::sleep(Duration::from_micros(random_number() % 150_000));
        let _ = kill_process(pid, Signal::KILL);
        asking.wait();
        browser.join().unwrap();
        let mut command = test.gauth_command(CredentialKind::User, &["token", "--account", USER]);
        command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
        let result = run(command);
        match test.own_login(USER) {
            Some(_) => drop(result.printed_token()),
            None => {
                assert_eq!((result.exit_code, test.active_account()), (3, None), "{result:?}");
            }
        }
    });
}

/// How many requests used this refresh token.
pub(super) fn count_uses_of(test: &SandboxHome, token: &str) -> usize {
    let forms = test.sandbox.requests().into_iter().filter_map(|logged| logged.request.form());
    forms.flatten().filter(|(_, value)| value == token).count()
}

#[test]
fn an_interrupted_run_ends_as_the_signal_does() {
    let _exclusive = lock_machine();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let test = SandboxHome::new(&["token=hang"]);
        let mut command = test.gauth_command(CredentialKind::User, &["token"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let child = command.spawn().unwrap();
        while test.sandbox.request_count("token") == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(pid(&child), signal).unwrap();
        let result = wait_for(child, start);
        assert_eq!((result.exit_code, result.stdout.as_str(), result.stderr.as_str()), (code, "", ""));
        assert_eq!(count_temporary_files(&test.token_cache_folder()), 0);
    }
}
