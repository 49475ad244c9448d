//! Secrets are not in arguments, environments, unexpected files or core dumps.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{
    CREDENTIAL_KINDS, CredentialKind, SandboxHome, file_names, find_leaked_secret, for_each_parallel, run,
    share_machine, wait_for,
};

/// Runs a command, and collects arguments and environments of its process tree until it ends.
pub(super) fn run_watched(mut command: Command) -> (super::ProcessResult, Vec<u8>) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let child = command.spawn().unwrap();
    let root = child.id();
    let result = std::thread::spawn(move || wait_for(child, start));
    let mut seen = BTreeSet::new();
    while !result.is_finished() {
        for process in process_tree(root) {
            for file in ["cmdline", "environ"] {
                seen.extend(std::fs::read(format!("/proc/{process}/{file}")));
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    (result.join().unwrap(), seen.into_iter().collect::<Vec<_>>().join(&b'\n'))
}

/// A process and its descendants.
fn process_tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut next = 0;
    while let Some(process) = all.get(next) {
        let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        let children = children.unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        next += 1;
    }
    all
}

#[test]
fn no_secret_is_in_any_argument_or_environment() {
    let _shared = share_machine();
    for kind in CREDENTIAL_KINDS {
        let test = SandboxHome::with_latency(&[], Duration::from_millis(150));
        let (result, seen) = run_watched(test.gauth_command(kind, &["token", "-vv"]));
        let token = result.printed_token();
        assert!(seen.windows(5).any(|five| five == b"token"), "the watch saw nothing");
        let mut secrets = test.secrets();
        secrets.push(token);
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
        assert_eq!(find_leaked_secret(result.stderr.as_bytes(), &secrets), None, "{kind:?}");
        let script = "gauth token --format header > /dev/null";
        let (_, seen) = run_watched(test.shell_command(kind, script));
        assert_eq!(find_leaked_secret(&seen, &secrets), None, "{kind:?}");
    }
}

#[test]
fn the_process_watcher_sees_a_leaking_script() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let secrets = test.secrets();
    let token = test.sandbox.fixtures().refresh_token.expose();
    for script in [
        format!("sleep 0.2 & exec 3< <(sh -c 'sleep 0.2; :' '{token}'); wait"),
        format!("REFRESH_TOKEN='{token}' sh -c 'sleep 0.2; :'"),
    ] {
        // The shell reads the script from standard input, so that it is no argument.
        let mut command = test.shell_command(CredentialKind::User, ". /dev/stdin");
        let path = test.home.path().join("script");
        std::fs::write(&path, script).unwrap();
        command.stdin(std::fs::File::open(&path).unwrap());
        let (_, seen) = run_watched(command);
        assert!(find_leaked_secret(&seen, &secrets).is_some(), "{}", String::from_utf8_lossy(&seen));
    }
}

/// The files below a folder that others can read or that contain a secret.
fn find_problems(folder: &Path, secrets: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in file_names(folder) {
        let path = folder.join(&name);
        let about = path.symlink_metadata().unwrap();
        let shown = path.display();
        let expected = if about.is_dir() { 0o700 } else { 0o600 };
        if about.mode() & 0o7777 != expected {
            wrong.push(format!("{shown} has mode {:o}", about.mode() & 0o7777));
        }
        match about.is_dir() {
            true => wrong.extend(find_problems(&path, secrets)),
            false => {
                let content = std::fs::read(&path).unwrap();
                wrong.extend(find_leaked_secret(&content, secrets).map(|_| format!("{shown} holds a secret")));
            }
        }
        wrong.extend(find_leaked_secret(name.as_bytes(), secrets).map(|_| format!("{shown} is a secret")));
    }
    wrong
}

#[test]
fn files_are_private_and_contain_no_unexpected_secret() {
    let _shared = share_machine();
    let faults = [None, Some("token=rotate"), Some("token=reflect"), Some("token=503")];
    let cells: Vec<_> = CREDENTIAL_KINDS.iter().flat_map(|kind| faults.map(|fault| (*kind, fault))).collect();
    for_each_parallel(&cells, 8, |(kind, fault)| {
        let test = SandboxHome::new(&fault.iter().copied().collect::<Vec<_>>());
        for args in ["token", "token --refresh", "token --scopes email", "status", "cache list"] {
            let script = format!("umask 0; GAUTH_TIMEOUT=1s exec gauth {args}");
            run(test.shell_command(*kind, &script));
        }
        // The cache contains access tokens and no other secret.
        assert_eq!(find_problems(&test.config_folder(), &test.secrets()), [""; 0], "{kind:?} {fault:?}");
        let others: Vec<String> = file_names(&test.home.path().join(".config"));
        assert!(others.is_empty() || others == ["gauth"], "{others:?}");
    });
}

#[test]
fn the_search_finds_open_files_and_secrets() {
    let _shared = share_machine();
    let test = SandboxHome::new(&[]);
    let token = test.sandbox.fixtures().refresh_token.expose();
    let script = "umask 0; mkdir -p ~/careless/open; cat \"$GOOGLE_APPLICATION_CREDENTIALS\" > ~/careless/file";
    run(test.shell_command(CredentialKind::User, script));
    std::fs::write(test.home.path().join("careless").join(token.replace('/', "_")), "").unwrap();
    let problems = find_problems(&test.home.path().join("careless"), &test.secrets());
    for wrong in ["open has mode", "file has mode", "file holds a secret"] {
        assert!(problems.iter().any(|finding| finding.contains(wrong)), "{wrong}: {problems:?}");
    }
}

#[test]
fn a_crash_leaves_no_core_dump_and_ptrace_is_denied() {
    let _shared = share_machine();
    let test = SandboxHome::new(&["token=hang"]);
    let mut command = test.shell_command(CredentialKind::User, "ulimit -c unlimited; exec gauth token");
    command.current_dir(test.home.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let child = command.spawn().unwrap();
    while test.sandbox.request_count("token") == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let process = format!("/proc/{}", child.id());
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // The memory of a process that is not dumpable belongs to root.
    let owner = std::fs::metadata(format!("{process}/mem")).unwrap().uid();
    assert_eq!(owner, 0);
    rustix::process::kill_process(super::pid(&child), rustix::process::Signal::ABORT).unwrap();
    assert_eq!(wait_for(child, start).exit_code, 134);
    let left = file_names(test.home.path());
    assert!(!left.iter().any(|name| name.starts_with("core")), "{left:?}");
}
