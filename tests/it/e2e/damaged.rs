//! Files of gauth's that are damaged in every way, and homes that are none.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rotation::{own_login, shadow};
use super::{Ended, Kind, Stage, beside, each, run};

/// What may befall a file.
const DAMAGE: [&str; 18] = [
    "empty", "half", "zeros", "junk", "flip", "append", "000", "644", "666", "folder", "dangling",
    "link", "loop", "fifo", "zero", "sparse", "gone", "hard",
];

/// Nobody: root may read what has mode 000.
const NOBODY: u32 = 65534;

/// Does it.
fn damage(file: &Path, how: &str) {
    let good = fs::read(file).unwrap();
    let mode = |bits| fs::set_permissions(file, Permissions::from_mode(bits)).unwrap();
    let put = |bytes: &[u8]| fs::write(file, bytes).unwrap();
    let aside = file.with_file_name("aside");
    let in_place = |target: &Path| {
        fs::rename(file, &aside).unwrap();
        symlink(target, file).unwrap();
    };
    match how {
        "empty" => put(b""),
        "half" => put(&good[..good.len() / 2]),
        "zeros" => put(&vec![0; good.len()]),
        "junk" => put(&(0..=255).cycle().skip(7).take(300).collect::<Vec<u8>>()),
        "flip" => {
            let mut bytes = good;
            // A lock file has nothing to flip.
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
            assert!(
                Command::new("mkfifo").args(["-m", "600"]).arg(file).status().unwrap().success()
            );
        }
        "zero" => in_place(Path::new("/dev/zero")),
        "sparse" => File::options().write(true).open(file).unwrap().set_len(2 << 30).unwrap(),
        "gone" => fs::remove_file(file).unwrap(),
        "hard" => fs::hard_link(file, &aside).unwrap(),
        other => panic!("{other}"),
    }
}

fn remove(path: &Path) {
    drop(fs::remove_file(path));
    drop(fs::remove_dir(path));
}

/// Runs with little memory, and as nobody if the tests are root's.
fn modestly(stage: &Stage, mut command: Command) -> Ended {
    give_away(stage.home.path());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    run(command)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give_away(path: &Path) {
    if !is_root() {
        return;
    }
    let link = path.symlink_metadata().unwrap().is_symlink();
    if !link {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for entry in fs::read_dir(path).into_iter().flatten() {
        give_away(&entry.unwrap().path());
    }
}

/// All that a token needs may be mapped, and little more; 2 GiB may not.
fn gauth(stage: &Stage, kind: Kind, words: &str) -> Ended {
    let script = format!("ulimit -v 131072; exec gauth {words}");
    modestly(stage, stage.shell(kind, &script))
}

#[test]
fn a_damaged_cache_entry_is_a_miss_and_is_replaced() {
    let _beside = beside();
    each(&DAMAGE, 4, |how| {
        let stage = Stage::new(&[]);
        let token = gauth(&stage, Kind::User, "token").token();
        let entry = stage.entry();
        damage(&entry, how);
        let ended = gauth(&stage, Kind::User, "token -v");
        assert_ne!(ended.token(), token, "{how}");
        assert_eq!(stage.google.count("token"), 2, "{how}");
        assert_eq!(gauth(&stage, Kind::User, "cache list").code, 0, "{how}");
        let again = gauth(&stage, Kind::User, "token").token();
        // Only a folder cannot be replaced.
        assert_eq!(again == ended.token(), *how != "folder", "{how}");
        let about = entry.symlink_metadata().unwrap();
        assert!(about.is_dir() || (about.is_file() && about.permissions().mode() & 0o777 == 0o600));
        let aside = entry.with_file_name("aside");
        assert!(!aside.exists() || fs::read_to_string(aside).unwrap().contains(&token), "{how}");
    });
}

#[test]
fn a_damaged_failure_note_fails_nothing() {
    let _beside = beside();
    each(&DAMAGE, 4, |how| {
        let stage = Stage::new(&["token=400x2"]);
        assert_eq!(gauth(&stage, Kind::User, "token").code, 5);
        let note = super::names(&stage.tokens()).into_iter().find(|name| name.ends_with(".fail"));
        let note = stage.tokens().join(note.unwrap());
        damage(&note, how);
        assert_eq!(gauth(&stage, Kind::User, "token").code, 5, "{how}");
        damage_again(&note, how);
        gauth(&stage, Kind::User, "token").token();
    });
}

/// The failure has written a good one in its place.
fn damage_again(file: &Path, how: &str) {
    remove(&file.with_file_name("aside"));
    if file.is_file() {
        damage(file, how);
    }
}

#[test]
fn a_damaged_lock_file_keeps_nobody_from_a_token() {
    let _beside = beside();
    each(&DAMAGE, 4, |how| {
        let stage = Stage::new(&[]);
        gauth(&stage, Kind::ServiceAccount, "token").token();
        for name in super::names(&stage.own().join("locks")) {
            damage(&stage.own().join("locks").join(name), how);
        }
        gauth(&stage, Kind::ServiceAccount, "token --refresh").token();
        gauth(&stage, Kind::ServiceAccount, "token").token();
        let zero = fs::metadata("/dev/zero").unwrap();
        assert!(!zero.is_file(), "{how}");
    });
}

/// The status after damage to a file that is no cache, and whether another is allowed too.
fn allowed(file: &str, how: &str) -> &'static [i32] {
    match (file, how) {
        // People write it, links and modes are theirs.
        ("config", "empty" | "644" | "666" | "dangling" | "link" | "gone" | "hard") => &[0],
        ("config", _) => &[8],
        ("state" | "login", "644" | "666" | "hard") => &[9],
        ("state", "gone" | "dangling") => &[3, 8],
        ("login", "gone" | "dangling") => &[3, 8],
        ("shadow", "644" | "666" | "hard") => &[9],
        // The newest refresh token is lost, and the first one is spent.
        ("shadow", "empty" | "half" | "zeros" | "junk" | "flip" | "append" | "gone") => &[4],
        ("shadow", "dangling") => &[4, 8],
        _ => &[8],
    }
}

#[test]
fn damaged_settings_and_logins_are_said_and_never_changed() {
    let _beside = beside();
    let cells: Vec<(&str, &str)> = ["config", "state", "login", "shadow"]
        .iter()
        .flat_map(|file| DAMAGE.map(|how| (*file, how)))
        .collect();
    each(&cells, 6, |(file, how)| {
        let stage = Stage::new(if *file == "shadow" { &["token=rotate"] } else { &[] });
        let login = own_login(&stage);
        let config = stage.own().join("config.toml");
        fs::write(&config, "timeout = \"20s\"\nscopes = [\"email\"]\n").unwrap();
        let (path, words): (PathBuf, &str) = match *file {
            "config" => (config, "token --refresh"),
            "state" => (stage.own().join("state.json"), "token --refresh"),
            "login" => (login, "token --refresh"),
            _ => {
                gauth(&stage, Kind::User, "token").token();
                (shadow(&stage).unwrap(), "token --refresh")
            }
        };
        let ask = || {
            let script = format!("ulimit -v 131072; exec gauth {words}");
            let mut command = stage.shell(Kind::User, &script);
            if *file != "shadow" {
                command.env_remove("GOOGLE_APPLICATION_CREDENTIALS");
            }
            modestly(&stage, command)
        };
        ask().token();
        let good = fs::read(&path).unwrap();
        damage(&path, how);
        let before = path.symlink_metadata().ok().map(|about| (about.len(), about.permissions()));
        let ended = ask();
        let at = format!("{file} {how}: {}", ended.err);
        assert!(allowed(file, how).contains(&ended.code), "exit {} {at}", ended.code);
        ended.whole();
        if ended.code != 0 {
            let (message, _) = ended.two_lines();
            let name = path.file_name().unwrap().to_str().unwrap();
            let named = message.contains(name) || matches!(ended.code, 3 | 4);
            assert!(named, "the file is not named: {at}");
            let after =
                path.symlink_metadata().ok().map(|about| (about.len(), about.permissions()));
            assert_eq!(before, after, "changed: {at}");
        }
        // Mended, all is well; a spent refresh token cannot be mended.
        if ended.code != 4 {
            remove(&path);
            remove(&path.with_file_name("aside"));
            fs::write(&path, good).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            ask().token();
        }
    });
}

#[test]
fn without_a_proper_home_there_is_a_token_and_no_cache() {
    let _beside = beside();
    let homes =
        ["unset", "empty", "missing", "file", "read-only", "000", "relative", "dangling", "full"];
    let cells = [Kind::ServiceAccount, Kind::Metadata].map(|kind| homes.map(|how| (how, kind)));
    for (how, kind) in cells.into_iter().flatten() {
        let stage = Stage::new(&[]);
        let folder = stage.home.path().join("home");
        fs::create_dir(&folder).unwrap();
        let mut command = stage.shell(kind, "gauth token -v && exec gauth token");
        command.env("HOME", &folder);
        match how {
            // The password database gives nobody no home; it would give others their own.
            "unset" | "empty" if !is_root() => continue,
            "unset" => drop(command.env_remove("HOME")),
            "empty" => drop(command.env("HOME", "")),
            "missing" => drop(command.env("HOME", "/no/such/home")),
            "file" => drop(command.env("HOME", stage.google.service_account_file())),
            "read-only" => fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap(),
            "000" => fs::set_permissions(&folder, Permissions::from_mode(0o000)).unwrap(),
            "relative" => drop(command.env("HOME", "no/such/home")),
            "dangling" => {
                symlink("/no/such/home", stage.home.path().join("link")).unwrap();
                command.env("HOME", stage.home.path().join("link"));
            }
            "full" if !fill(&folder) => continue,
            _ => {}
        }
        let ended = modestly(&stage, command);
        if how == "full" {
            assert!(Command::new("umount").arg(&folder).status().unwrap().success());
        }
        assert_eq!(ended.code, 0, "{how}: {ended:?}");
        assert_eq!(ended.out.lines().count(), 2, "{how}: {ended:?}");
        assert!(ended.err.contains("the token is not cached"), "{how}: {}", ended.err);
        assert_eq!(stage.google.count(kind.route()), 2, "{how}");
    }
}

/// Mounts a file system without room there; only root can.
fn fill(folder: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=64k,mode=777", "none"]).arg(folder);
    let mounted = is_root() && mount.output().is_ok_and(|output| output.status.success());
    if mounted {
        let mut file = File::create(folder.join("ballast")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }
    mounted
}
