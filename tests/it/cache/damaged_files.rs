//! Damaged or unsafe files and folders of the cache: a run never fails because of them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::{output_line, service_account_test, token_with_lifetime, user_test};
use crate::support::sample_credentials::{SECOND_TOKEN, TOKEN};
use crate::support::{Home, NOW, TOKEN_CACHE_FOLDER, Test};

type Damage = (&'static str, fn(&Path));

fn rewrite(path: &Path, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let bytes = change(std::fs::read(path).expect("an entry"));
    std::fs::write(path, bytes).expect("room");
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
}

fn replace(path: &Path, create: impl Fn(&Path)) {
    std::fs::remove_file(path).expect("an entry");
    create(path);
}

fn mkfifo(path: &Path) {
    use rustix::fs::{CWD, Mode, mkfifoat};
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).expect("a pipe");
}

const DAMAGES: &[Damage] = &[
    ("empty", |path| rewrite(path, |_| Vec::new())),
    ("half", |path| rewrite(path, |bytes| bytes[..bytes.len() / 2].to_vec())),
    ("zeros", |path| rewrite(path, |bytes| vec![0; bytes.len()])),
    ("junk", |path| rewrite(path, |_| b"GAUTH-TEST-JUNK-SECRET".to_vec())),
    ("no UTF-8", |path| rewrite(path, |bytes| vec![0xff; bytes.len()])),
    ("zeros at the end", |path| {
        rewrite(path, |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..].fill(0);
            bytes
        })
    }),
    ("zeros in the middle", |path| {
        rewrite(path, |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] = 0;
            bytes
        })
    }),
    ("something appended", |path| rewrite(path, |bytes| [bytes, b"x".to_vec()].concat())),
    ("another version", |path| {
        rewrite(path, |mut bytes| {
            bytes[5] = b'1';
            bytes
        })
    }),
    ("only the version", |path| rewrite(path, |bytes| bytes[..7].to_vec())),
    ("for others to read", |path| set_mode(path, 0o644)),
    ("for others to write", |path| set_mode(path, 0o666)),
    ("a link", |path| {
        replace(path, |path| {
            let target = path.with_file_name("target");
            std::fs::write(&target, "x").expect("room");
            std::os::unix::fs::symlink(target, path).expect("a link");
        })
    }),
    ("a link to nowhere", |path| {
        replace(path, |path| std::os::unix::fs::symlink("nosuch", path).expect("a link"));
    }),
    ("a link to itself", |path| {
        replace(path, |path| std::os::unix::fs::symlink(path, path).expect("a link"));
    }),
    ("a pipe", |path| replace(path, mkfifo)),
    ("a device", |path| {
        replace(path, |path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link"));
    }),
    ("two names", |path| std::fs::hard_link(path, path.with_file_name("second")).expect("a link")),
    ("two gigabytes", |path| {
        std::fs::File::options().write(true).open(path).expect("an entry").set_len(2 << 30).expect("room");
    }),
    ("gone", |path| std::fs::remove_file(path).expect("an entry")),
];

#[test]
fn a_damaged_entry_is_no_entry_and_is_replaced() {
    for (what, damage) in DAMAGES {
        let home = Home::new();
        user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
        let entry = home.cache_entry();
        damage(&entry);
        user_test(&home, "")
            .expect_request(token_with_lifetime(SECOND_TOKEN, 3599))
            .expect_stdout(&output_line(SECOND_TOKEN))
            .run();
        user_test(&home, "").expect_stdout(&output_line(SECOND_TOKEN)).run();
        let about = std::fs::symlink_metadata(&entry).expect("an entry");
        assert!(about.is_file() && about.permissions().mode() & 0o777 == 0o600, "{what}");
    }
}

#[test]
fn a_folder_in_place_of_an_entry_is_tolerated() {
    let home = Home::new();
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    let entry = home.cache_entry();
    replace(&entry, |path| std::fs::create_dir(path).expect("a folder"));
    for _ in 0..2 {
        user_test(&home, "")
            .expect_request(token_with_lifetime(SECOND_TOKEN, 3599))
            .expect_stdout(&output_line(SECOND_TOKEN))
            .run();
    }
}

#[test]
fn damage_is_reported_with_v() {
    let home = Home::new();
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    set_mode(&home.cache_entry(), 0o644);
    let ran = user_test(&home, "-v").expect_request(token_with_lifetime(SECOND_TOKEN, 3599)).run();
    assert!(ran.stderr.contains("can be used by others; ignored"), "{}", ran.stderr);
    rewrite(&home.cache_entry(), |_| b"junk".to_vec());
    let ran = user_test(&home, "-v").expect_request(token_with_lifetime(SECOND_TOKEN, 3599)).run();
    assert!(ran.stderr.contains("a cache entry is damaged; ignored"), "{}", ran.stderr);
}

/// Something that prevents the use of gauth's folder.
type Obstacle = (&'static str, fn(&Home), fn(Test) -> Test);

const OBSTACLES: &[Obstacle] = &[
    ("no home", |_| {}, |test| test.env("HOME", "")),
    ("a home that is a file", |home| home.write("file", ""), |test| test.env("HOME", "{home}/file")),
    ("a folder that is a file", |home| home.write(".config/gauth", ""), |test| test),
    ("a cache that is a file", |home| home.write(TOKEN_CACHE_FOLDER, ""), |test| test),
    ("locks that are a file", |home| home.write(".config/gauth/locks", ""), |test| test),
    (
        "a folder for everybody",
        |home| {
            home.write(".config/gauth/x", "");
            set_mode(&home.path(".config/gauth"), 0o777);
        },
        |test| test,
    ),
    (
        "a cache for everybody",
        |home| {
            home.write(".config/gauth/tokens/x", "");
            set_mode(&home.path(TOKEN_CACHE_FOLDER), 0o777);
        },
        |test| test,
    ),
    (
        "a cache that is a link",
        |home| {
            home.write("elsewhere/x", "");
            home.write(".config/gauth/x", "");
            std::os::unix::fs::symlink(home.path("elsewhere"), home.path(TOKEN_CACHE_FOLDER)).expect("a link");
        },
        |test| test,
    ),
    ("a folder of the system's", |_| {}, |test| test.env("GAUTH_CONFIG_DIR", "/proc/self/gauth")),
];

#[test]
fn without_a_cache_folder_the_token_is_still_printed() {
    for (what, obstruct, vary) in OBSTACLES {
        for words in ["", "-v"] {
            let home = Home::new();
            obstruct(&home);
            let login = crate::support::sample_credentials::authorized_user().to_string();
            let test = vary(Test::new(&format!("token --credentials - {words}")).home(&home));
            let ran = test
                .stdin(login)
                .expect_request(token_with_lifetime(TOKEN, 3599))
                .expect_stdout(&output_line(TOKEN))
                .run();
            let told = ["the token is not cached", "no lock is taken"];
            let told = told.iter().any(|words| ran.stderr.contains(words));
            assert!(words.is_empty() || told, "{what}: {}", ran.stderr);
        }
    }
}

#[test]
fn an_entry_from_the_future_is_ignored() {
    for (back, believed) in [(3599, true), (3602, false), (100_000, false)] {
        let home = Home::new();
        service_account_test(&home, "").expect_request(token_with_lifetime(TOKEN, 200_000)).run();
        home.clock.advance(-back);
        match believed {
            true => service_account_test(&home, "").expect_stdout(&output_line(TOKEN)).run(),
            false => service_account_test(&home, "")
                .expect_request(token_with_lifetime(SECOND_TOKEN, 3599))
                .expect_stdout(&output_line(SECOND_TOKEN))
                .run(),
        };
    }
}

#[test]
fn leftovers_of_killed_writers_are_removed_after_an_hour() {
    let home = Home::new();
    let left = |name: &str, age: u64| {
        let path = format!("{TOKEN_CACHE_FOLDER}/{name}");
        home.write(&path, "x");
        let changed = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs() - age);
        let file = std::fs::File::options().write(true).open(home.path(&path)).expect("a file");
        file.set_modified(changed).expect("its time");
    };
    let key = "0".repeat(64);
    left(".x.1-2.tmp", 3601);
    left(".y.1-2.tmp", 3599);
    left(&key, 26 * 3600);
    left(&format!("{key}.fail"), 26 * 3600);
    left(&"1".repeat(64), 24 * 3600);
    user_test(&home, "").expect_request(token_with_lifetime(TOKEN, 3599)).run();
    let names = home.names(TOKEN_CACHE_FOLDER);
    assert!(names.contains(&".y.1-2.tmp".to_owned()) && names.contains(&"1".repeat(64)), "{names:?}");
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_successful_run_leaves_no_temporary_files() {
    let home = Home::new();
    for seconds in [3599, 3600] {
        user_test(&home, "--refresh").expect_request(token_with_lifetime(TOKEN, seconds)).run();
        service_account_test(&home, "--refresh").expect_request(token_with_lifetime(TOKEN, seconds)).run();
    }
    let names = home.names(TOKEN_CACHE_FOLDER);
    assert!(names.len() == 2 && names.iter().all(|name| name.len() == 64), "{names:?}");
}
