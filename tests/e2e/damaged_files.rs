//! Damaged files in gauth's folder, and unusable home folders.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::refresh_token_rotation::{overlay_file, store_own_login};
use super::{CredentialKind, ProcessResult, SandboxHome, for_each_parallel, run, share_machine};

/// The kinds of damage.
const DAMAGE_KINDS: [&str; 18] = [
    "empty", "half", "zeros", "junk", "flip", "append", "000", "644", "666", "folder", "dangling", "link", "loop",
    "fifo", "zero", "sparse", "gone", "hard",
];

/// The user `nobody`, because root can read files of mode 000.
const NOBODY_UID: u32 = 65534;

/// Damages a file.
fn damage(file: &Path, kind: &str) {
    let good = fs::read(file).unwrap();
    let mode = |bits| fs::set_permissions(file, Permissions::from_mode(bits)).unwrap();
    let put = |bytes: &[u8]| fs::write(file, bytes).unwrap();
    let aside = file.with_file_name("aside");
    let in_place = |target: &Path| {
        fs::rename(file, &aside).unwrap();
        symlink(target, file).unwrap();
    };
    match kind {
        "empty" => put(b""),
        "half" => put(&good[..good.len() / 2]),
        "zeros" => put(&vec![0; good.len()]),
        "junk" => put(&(0..=255).cycle().skip(7).take(300).collect::<Vec<u8>>()),
        "flip" => {
            let mut bytes = good;
            // An empty lock file has no byte to change.
            if let Some(byte) = bytes.get_mut(1) {
                *byte ^= 0x80;
            }
            put(&bytes);
        }
        "append" => File::options().append(true).open(file).unwrap().write_all(b"\xff{").unwrap(),
        "000" => mode(0o000),
        "644" => mode(0o644),
        "666" => mode(0o666),
        "folder" => {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }
        "dangling" => in_place(Path::new("/no/such/file")),
        "link" => in_place(&aside),
        "loop" => in_place(file),
        "fifo" => {
            fs::remove_file(file).unwrap();
            assert!(Command::new("mkfifo").args(["-m", "600"]).arg(file).status().unwrap().success());
        }
        "zero" => in_place(Path::new("/dev/zero")),
        "sparse" => File::options().write(true).open(file).unwrap().set_len(2 << 30).unwrap(),
        "gone" => fs::remove_file(file).unwrap(),
        "hard" => fs::hard_link(file, &aside).unwrap(),
        other => panic!("{other}"),
    }
}

fn remove_any(path: &Path) {
    drop(fs::remove_file(path));
    drop(fs::remove_dir(path));
}

/// Runs a command with limited memory, and as the user `nobody` when the tests run as root.
fn run_with_little_memory(test: &SandboxHome, mut command: Command) -> ProcessResult {
    chown_to_nobody(test.home.path());
    if is_root() {
        command.uid(NOBODY_UID).gid(NOBODY_UID);
    }
    run(command)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn chown_to_nobody(path: &Path) {
    if !is_root() {
        return;
    }
    let link = path.symlink_metadata().unwrap().is_symlink();
    if !link {
        chown(path, Some(NOBODY_UID), Some(NOBODY_UID)).unwrap();
    }
    for entry in fs::read_dir(path).into_iter().flatten() {
        chown_to_nobody(&entry.unwrap().path());
    }
}

/// Runs gauth with a memory limit below 2 GiB.
fn run_gauth(test: &SandboxHome, kind: CredentialKind, args: &str) -> ProcessResult {
    let script = format!("ulimit -v 131072; exec gauth {args}");
    run_with_little_memory(test, test.shell_command(kind, &script))
}

#[test]
fn a_damaged_cache_entry_is_a_miss_and_is_replaced() {
    let _shared = share_machine();
    for_each_parallel(&DAMAGE_KINDS, 4, |how| {
        let test = SandboxHome::new(&[]);
        let token = run_gauth(&test, CredentialKind::User, "token").printed_token();
        let entry = test.cache_entry();
        damage(&entry, how);
        let result = run_gauth(&test, CredentialKind::User, "token -v");
        assert_ne!(result.printed_token(), token, "{how}");
        assert_eq!(test.sandbox.request_count("token"), 2, "{how}");
        assert_eq!(run_gauth(&test, CredentialKind::User, "cache list").exit_code, 0, "{how}");
        let again = run_gauth(&test, CredentialKind::User, "token").printed_token();
        // A folder in the place of the entry cannot be replaced.
        assert_eq!(again == result.printed_token(), *how != "folder", "{how}");
        let about = entry.symlink_metadata().unwrap();
        assert!(about.is_dir() || (about.is_file() && about.permissions().mode() & 0o777 == 0o600));
        let aside = entry.with_file_name("aside");
        assert!(!aside.exists() || fs::read_to_string(aside).unwrap().contains(&token), "{how}");
    });
}

#[test]
fn a_damaged_failure_note_fails_nothing() {
    let _shared = share_machine();
    for_each_parallel(&DAMAGE_KINDS, 4, |how| {
        let test = SandboxHome::new(&["token=400x2"]);
        assert_eq!(run_gauth(&test, CredentialKind::User, "token").exit_code, 5);
        let note = super::file_names(&test.token_cache_folder()).into_iter().find(|name| name.ends_with(".fail"));
        let note = test.token_cache_folder().join(note.unwrap());
        damage(&note, how);
        assert_eq!(run_gauth(&test, CredentialKind::User, "token").exit_code, 5, "{how}");
        restore_damage(&note, how);
        run_gauth(&test, CredentialKind::User, "token").printed_token();
    });
}

/// Restores what a failed run has written over.
fn restore_damage(file: &Path, kind: &str) {
    remove_any(&file.with_file_name("aside"));
    if file.is_file() {
        damage(file, kind);
    }
}

#[test]
fn a_damaged_lock_file_does_not_prevent_a_token() {
    let _shared = share_machine();
    for_each_parallel(&DAMAGE_KINDS, 4, |how| {
        let test = SandboxHome::new(&[]);
        run_gauth(&test, CredentialKind::ServiceAccount, "token").printed_token();
        for name in super::file_names(&test.config_folder().join("locks")) {
            damage(&test.config_folder().join("locks").join(name), how);
        }
        run_gauth(&test, CredentialKind::ServiceAccount, "token --refresh").printed_token();
        run_gauth(&test, CredentialKind::ServiceAccount, "token").printed_token();
        let zero = fs::metadata("/dev/zero").unwrap();
        assert!(!zero.is_file(), "{how}");
    });
}

/// The exit statuses allowed after damage to a file outside the cache.
fn allowed_statuses(file: &str, kind: &str) -> &'static [i32] {
    match (file, kind) {
        // Users write this file, and may use links and modes.
        ("config", "empty" | "644" | "666" | "dangling" | "link" | "gone" | "hard") => &[0],
        ("config", _) => &[8],
        ("state" | "login", "644" | "666" | "hard") => &[9],
        ("state", "gone" | "dangling") => &[3, 8],
        ("login", "gone" | "dangling") => &[3, 8],
        ("shadow", "644" | "666" | "hard") => &[9],
        // The newest refresh token is lost, and the first one was used.
        ("shadow", "empty" | "half" | "zeros" | "junk" | "flip" | "append" | "gone") => &[4],
        ("shadow", "dangling") => &[4, 8],
        _ => &[8],
    }
}

#[test]
fn damaged_settings_and_logins_are_reported_and_never_changed() {
    let _shared = share_machine();
    let cells: Vec<(&str, &str)> =
        ["config", "state", "login", "shadow"].iter().flat_map(|file| DAMAGE_KINDS.map(|how| (*file, how))).collect();
    for_each_parallel(&cells, 6, |(file, how)| {
        let test = SandboxHome::new(if *file == "shadow" { &["token=rotate"] } else { &[] });
        let login = store_own_login(&test);
        let config = test.config_folder().join("config.toml");
        fs::write(&config, "timeout = \"20s\"\nscopes = [\"email\"]\n").unwrap();
        let (path, words): (PathBuf, &str) = match *file {
            "config" => (config, "token --refresh"),
            "state" => (test.config_folder().join("state.json"), "token --refresh"),
            "login" => (login, "token --refresh"),
            _ => {
                run_gauth(&test, CredentialKind::User, "token").printed_token();
                (overlay_file(&test).unwrap(), "token --refresh")
            }
        };
        let ask = || {
            let script = format!("ulimit -v 131072; exec gauth {words}");
            let mut command = test.shell_command(CredentialKind::User, &script);
            if *file != "shadow" {
                command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            }
            run_with_little_memory(&test, command)
        };
        ask().printed_token();
        let good = fs::read(&path).unwrap();
        damage(&path, how);
        let before = path.symlink_metadata().ok().map(|about| (about.len(), about.permissions()));
        let result = ask();
        let at = format!("{file} {how}: {}", result.stderr);
        assert!(allowed_statuses(file, how).contains(&result.exit_code), "exit {} {at}", result.exit_code);
        result.assert_output_whole();
        if result.exit_code != 0 {
            let (message, _) = result.error_and_hint();
            let name = path.file_name().unwrap().to_str().unwrap();
            let named = message.contains(name) || matches!(result.exit_code, 3 | 4);
            assert!(named, "the file is not named: {at}");
            let after = path.symlink_metadata().ok().map(|about| (about.len(), about.permissions()));
            assert_eq!(before, after, "changed: {at}");
        }
        // The restored file works, unless its refresh token was used.
        if result.exit_code != 4 {
            remove_any(&path);
            remove_any(&path.with_file_name("aside"));
            fs::write(&path, good).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            ask().printed_token();
        }
    });
}

#[test]
fn without_a_proper_home_there_is_a_token_and_no_cache() {
    let _shared = share_machine();
    let homes = ["unset", "empty", "missing", "file", "read-only", "000", "relative", "dangling", "full"];
    let cells = [CredentialKind::ServiceAccount, CredentialKind::Metadata].map(|kind| homes.map(|how| (how, kind)));
    for (how, kind) in cells.into_iter().flatten() {
        let test = SandboxHome::new(&[]);
        let folder = test.home.path().join("home");
        fs::create_dir(&folder).unwrap();
        let mut command = test.shell_command(kind, "gauth token -v && exec gauth token");
        command.env("HOME", &folder);
        match how {
            // The password database has no home folder for `nobody`, and one for other users.
            "unset" | "empty" if !is_root() => continue,
            "unset" => drop(command.env_remove("HOME")),
            "empty" => drop(command.env("HOME", "")),
            "missing" => drop(command.env("HOME", "/no/such/home")),
            "file" => drop(command.env("HOME", test.sandbox.service_account_file())),
            "read-only" => fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap(),
            "000" => fs::set_permissions(&folder, Permissions::from_mode(0o000)).unwrap(),
            "relative" => drop(command.env("HOME", "no/such/home")),
            "dangling" => {
                symlink("/no/such/home", test.home.path().join("link")).unwrap();
                command.env("HOME", test.home.path().join("link"));
            }
            "full" if !mount_full_filesystem(&folder) => continue,
            _ => {}
        }
        let result = run_with_little_memory(&test, command);
        if how == "full" {
            assert!(Command::new("umount").arg(&folder).status().unwrap().success());
        }
        assert_eq!(result.exit_code, 0, "{how}: {result:?}");
        assert_eq!(result.stdout.lines().count(), 2, "{how}: {result:?}");
        assert!(result.stderr.contains("the token is not cached"), "{how}: {}", result.stderr);
        assert_eq!(test.sandbox.request_count(kind.fault_route()), 2, "{how}");
    }
}

/// Mounts a full file system, which only root can do.
fn mount_full_filesystem(folder: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=64k,mode=777", "none"]).arg(folder);
    let mounted = is_root() && mount.output().is_ok_and(|output| output.status.success());
    if mounted {
        let mut file = File::create(folder.join("ballast")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }
    mounted
}
