//! Private files as a reader and a writer find them.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).expect("mode");
    folder
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    write_atomic(folder, name, bytes, WriteDurability::Disposable, &random::SystemRandom).expect("written");
}

#[test]
fn what_is_written_is_private_and_read_back() {
    let folder = folder();
    put(folder.path(), "x", b"one");
    put(folder.path(), "x", b"two");
    let path = folder.path().join("x");
    assert_eq!(&**read_private(&path, 10).expect("read"), b"two");
    assert_eq!(path.metadata().expect("stat").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
}

#[test]
fn our_own_files_are_refused_when_others_had_a_hand_in_them() {
    let folder = folder();
    put(folder.path(), "x", b"one");
    let path = folder.path().join("x");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("mode");
    assert!(matches!(read_private(&path, 10), Err(PrivateFileError::Insecure("can be used by others", _))));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("mode");
    std::fs::hard_link(&path, folder.path().join("y")).expect("link");
    assert!(matches!(read_private(&path, 10), Err(PrivateFileError::Insecure(..))));
    std::os::unix::fs::symlink(&path, folder.path().join("z")).expect("link");
    assert!(matches!(read_private(&folder.path().join("z"), 10), Err(PrivateFileError::Io(_))));
    assert!(matches!(read_private(folder.path(), 10), Err(PrivateFileError::NotRegularFile)));
}

#[test]
fn large_files_devices_and_folders_are_not_read() {
    let folder = folder();
    put(folder.path(), "x", b"12345678901");
    assert!(matches!(read_user_file(&folder.path().join("x"), 10), Err(PrivateFileError::TooLarge(10))));
    assert!(matches!(read_user_file(Path::new("/dev/zero"), 10), Err(PrivateFileError::NotRegularFile)));
    assert!(matches!(read_user_file(folder.path(), 10), Err(PrivateFileError::NotRegularFile)));
    assert!(matches!(read_user_file(&folder.path().join("no"), 10), Err(PrivateFileError::NotFound)));
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    let folder = folder();
    let pending = PendingFile::create(folder.path(), "x", WriteDurability::Durable, &random::SystemRandom);
    drop(pending.expect("draft"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0);
}

#[test]
fn a_reserved_draft_is_cut_to_its_content() {
    let folder = folder();
    let mut pending =
        PendingFile::create(folder.path(), "x", WriteDurability::Durable, &random::SystemRandom).expect("draft");
    pending.reserve_space(4096).expect("room");
    pending.commit(&folder.path().join("x"), b"short").expect("published");
    assert_eq!(&**read_private(&folder.path().join("x"), 10).expect("read"), b"short");
}

#[test]
fn a_folder_others_may_write_to_is_not_used() {
    let folder = folder();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("mode");
    assert!(create_private_folder(folder.path()).is_err());
    let inside = folder.path().join("a/b");
    create_private_folder(&inside).expect("made");
    assert_eq!(inside.metadata().expect("stat").permissions().mode() & 0o777, 0o700);
}

#[test]
fn old_temporary_files_are_swept_and_young_ones_stay() {
    let folder = folder();
    for name in [".x.1-2.tmp", "entry"] {
        File::create(folder.path().join(name)).expect("file");
    }
    let hour = Duration::from_secs(3600);
    let limits = SweepAgeLimits { temporary: hour, other: Some(hour * 24) };
    let now = std::time::UNIX_EPOCH.elapsed().expect("now").as_secs().cast_signed();
    remove_stale_files(folder.path(), now, &limits);
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 2);
    remove_stale_files(folder.path(), now + 7200, &limits);
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
    remove_stale_files(folder.path(), now + 172_800, &limits);
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0);
}
