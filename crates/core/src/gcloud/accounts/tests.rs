//! Databases as gcloud writes them, and damaged ones.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

/// Tests do not wait for locks.
const NO_WAIT: Duration = Duration::ZERO;

/// The table as gcloud 528 creates it.
const CREATE_TABLE: &str = "CREATE TABLE \"credentials\" (account_id TEXT PRIMARY KEY, value BLOB)";

const USER: &str = "{\n  \"refresh_token\": \"1//hush\",\n  \"type\": \"authorized_user\"\n}";

fn create_database(rows: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = open_writer(&folder);
    connection.execute_batch(CREATE_TABLE).expect("a table");
    for (key, json) in rows {
        connection.execute("INSERT INTO credentials VALUES (?1, ?2)", [key, json]).expect("a row");
    }
    folder
}

fn open_writer(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join("credentials.db")).expect("a database")
}

fn file_names(folder: &TempDir) -> BTreeSet<String> {
    let entries = folder.path().read_dir().expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn find_name(folder: &TempDir, name: &str) -> Option<String> {
    let row = find(folder.path(), name, None, NO_WAIT).expect("readable");
    row.map(|row| row.account.name)
}

#[track_caller]
fn assert_malformed(folder: &TempDir, message_end: &str) {
    let listed = list(folder.path(), NO_WAIT).expect_err("refused");
    let error = find(folder.path(), "ada@example.com", None, NO_WAIT).expect_err("refused");
    for error in [listed, error] {
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.message().contains("credentials.db: "), "{error}");
        assert!(error.message().ends_with(message_end), "{error}");
    }
}

#[test]
fn accounts_are_listed_in_the_order_of_their_logins() {
    let folder = create_database(&[
        ("zoe@example.com", USER),
        ("robot@p.iam.gserviceaccount.com#example.goog", r#"{"type":"service_account"}"#),
        ("old@example.com", r#"{"type":"gce","universe_domain":"example.goog"}"#),
        ("odd@example.com", "not JSON"),
    ]);
    let listed = list(folder.path(), NO_WAIT).expect("readable");
    let listed: Vec<_> = listed
        .iter()
        .map(|account| (account.name.as_str(), account.universe_domain.as_str(), account.credential_type.as_str()))
        .collect();
    assert_eq!(
        listed,
        [
            ("zoe@example.com", "googleapis.com", "authorized_user"),
            ("robot@p.iam.gserviceaccount.com", "example.goog", "service_account"),
            ("old@example.com", "example.goog", "gce"),
            ("odd@example.com", "googleapis.com", "unknown"),
        ]
    );
}

#[test]
fn a_value_may_be_text_or_bytes() {
    let folder = create_database(&[("text@example.com", USER)]);
    let sql = "INSERT INTO credentials VALUES (?1, ?2)";
    let bytes = rusqlite::params!["bytes@example.com", USER.as_bytes()];
    open_writer(&folder).execute(sql, bytes).expect("a row");
    for name in ["text@example.com", "bytes@example.com"] {
        let row = find(folder.path(), name, None, NO_WAIT).expect("readable").expect("there");
        assert!(row.json.constant_time_eq(&Secret::new(USER)));
        assert_eq!(row.account.credential_type, "authorized_user");
        assert!(!format!("{row:?}").contains("hush"));
    }
}

#[test]
fn case_is_ignored_unless_two_names_differ_only_in_case() {
    let folder = create_database(&[("Ada@example.com", USER), ("bob@x", USER), ("BOB@x", USER)]);
    assert_eq!(find_name(&folder, "Ada@example.com").as_deref(), Some("Ada@example.com"));
    assert_eq!(find_name(&folder, "ada@EXAMPLE.com").as_deref(), Some("Ada@example.com"));
    assert_eq!(find_name(&folder, "BOB@x").as_deref(), Some("BOB@x"));
    assert_eq!(find_name(&folder, "Bob@x"), None);
    assert_eq!(find_name(&folder, "ada"), None);
    assert_eq!(find_name(&folder, "%"), None);
}

#[test]
fn the_universe_selects_the_row() {
    let folder = create_database(&[("ada@x#a.goog", USER), ("ada@x#b.goog", USER), ("bob@x", USER)]);
    let ask = |name, universe| find(folder.path(), name, universe, NO_WAIT);
    let row = ask("ada@x", Some("b.goog")).expect("readable").expect("there");
    assert_eq!(row.account.universe_domain, "b.goog");
    assert!(ask("bob@x", Some("googleapis.com")).expect("readable").is_some());
    let error = ask("ada@x", None).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::NoCredential);
    assert_eq!(error.message(), "gcloud's account ada@x is in the universe a.goog, b.goog, not in googleapis.com");
    assert_eq!(error.hint_text(), Some("gcloud config set core/universe_domain a.goog"));
}

#[test]
fn without_a_database_there_are_no_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(list(folder.path(), NO_WAIT).expect("empty"), []);
    assert_eq!(find_name(&folder, "ada@example.com"), None);
    assert_eq!(fingerprint(folder.path()), None);
    assert!(rapt(folder.path(), "ada@example.com").is_none());
    assert!(file_names(&folder).is_empty());
}

#[test]
fn an_invalid_database_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("credentials.db");
    std::fs::create_dir(&path).expect("a folder");
    assert_malformed(&folder, "is not a regular file");
    std::fs::remove_dir(&path).expect("gone");
    let mut file = std::fs::File::create(&path).expect("an empty file");
    assert_malformed(&folder, "is not a database of gcloud's, a table is missing");
    std::io::Write::write_all(&mut file, b"{\"type\": \"authorized_user\"}").expect("room");
    assert_malformed(&folder, "is not a database");
    let folder = create_database(&[("ada@example.com", "x")]);
    let sql = "INSERT INTO credentials VALUES (CAST(x'ff' AS TEXT), 'x')";
    open_writer(&folder).execute_batch(sql).expect("a row");
    assert_malformed(&folder, "holds a value that is not valid UTF-8");
}

#[cfg(unix)]
#[test]
fn an_unreadable_database_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = create_database(&[("ada@example.com", USER)]);
    let path = folder.path().join("credentials.db");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).expect("locked away");
    // Root may read everything.
    if std::fs::File::open(&path).is_err() {
        assert_malformed(&folder, "cannot be read, permission denied");
    }
    assert!(fingerprint(folder.path()).is_some());
}

#[test]
fn a_locked_database_is_an_error_that_names_it() {
    let folder = create_database(&[("ada@example.com", USER)]);
    let gcloud = open_writer(&folder);
    gcloud.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    assert_malformed(&folder, "is locked by another program, waited 0 s");
    gcloud.execute_batch("COMMIT").expect("no lock");
    assert!(find_name(&folder, "ada@example.com").is_some());
}

#[test]
fn the_fingerprint_changes_only_with_the_database() {
    let folder = create_database(&[("ada@example.com", USER)]);
    let before = fingerprint(folder.path()).expect("a database");
    assert!(find_name(&folder, "ada@example.com").is_some());
    assert_eq!(fingerprint(folder.path()), Some(before.clone()));
    let sql = "CREATE TABLE more (x); DELETE FROM credentials";
    open_writer(&folder).execute_batch(sql).expect("a change");
    let after = fingerprint(folder.path()).expect("a database");
    assert_ne!(after.as_str(), before.as_str());
    std::fs::File::create(folder.path().join("credentials.db-wal")).expect("a log");
    assert_ne!(fingerprint(folder.path()), Some(after));
}

#[cfg(unix)]
#[test]
fn reading_makes_no_files_even_where_it_could_not() {
    use std::os::unix::fs::PermissionsExt;
    let folder = create_database(&[("ada@example.com", USER)]);
    let before = file_names(&folder);
    let mode = |mode| std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode));
    mode(0o500).expect("read-only");
    let name = find_name(&folder, "ada@example.com");
    mode(0o700).expect("as before");
    assert!(name.is_some());
    assert_eq!(file_names(&folder), before);
}

#[test]
fn a_database_with_a_log_is_read_without_making_files() {
    let folder = create_database(&[("ada@example.com", USER)]);
    let gcloud = open_writer(&folder);
    gcloud.pragma_update(None, "journal_mode", "wal").expect("a log");
    gcloud.execute("INSERT INTO credentials VALUES ('bob@x', 'x')", []).expect("a row");
    let path = folder.path().join("credentials.db");

    // A writer is there: its log and index are used.
    assert_eq!(file_names(&folder).len(), 3);
    assert!(find_name(&folder, "bob@x").is_some());
    assert_eq!(file_names(&folder).len(), 3);

    // Log without index, as a careless copy leaves it.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["credentials.db", "credentials.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).expect("a copy");
    }
    assert_malformed(&copy, "has changes in its write-ahead log (-wal) that gauth cannot read");
    assert_eq!(file_names(&copy).len(), 2);

    // Log and index of a writer that was killed.
    let index = folder.path().join("credentials.db-shm");
    std::fs::copy(index, copy.path().join("credentials.db-shm")).expect("a copy");
    assert!(find_name(&copy, "bob@x").is_some());
    assert_eq!(file_names(&copy).len(), 3);

    // The writer has gone, and taken both with it.
    drop(gcloud);
    assert_eq!(file_names(&folder), BTreeSet::from(["credentials.db".to_owned()]));
    assert!(find_name(&folder, "bob@x").is_some());
    assert_eq!(file_names(&folder), BTreeSet::from(["credentials.db".to_owned()]));
    assert!(path.exists());
}

#[test]
fn a_database_with_an_incomplete_transaction_is_refused() {
    let folder = create_database(&[("ada@example.com", USER)]);
    let gcloud = open_writer(&folder);
    gcloud.pragma_update(None, "cache_size", 1).expect("no cache");
    // More than the cache holds, so that pages are written before the end.
    let sql = "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO credentials SELECT 'x' || i, zeroblob(4000) FROM n";
    gcloud.execute_batch(sql).expect("a half");
    let copy = tempfile::tempdir().expect("a folder");
    for name in file_names(&folder) {
        std::fs::copy(folder.path().join(&name), copy.path().join(&name)).expect("a copy");
    }
    let before = file_names(&copy);
    assert!(before.contains("credentials.db-journal"), "{before:?}");
    assert_malformed(&copy, "has an incomplete transaction of a program that was killed");
    assert_eq!(file_names(&copy), before);
}

#[cfg(unix)]
#[test]
fn folder_names_with_special_characters_are_supported() {
    let outer = tempfile::tempdir().expect("a folder");
    let path = outer.path().join("a b?c#d%20é");
    std::fs::create_dir(&path).expect("a folder");
    let folder = create_database(&[("ada@example.com", USER)]);
    std::fs::copy(folder.path().join("credentials.db"), path.join("credentials.db")).expect("a copy");
    assert_eq!(list(&path, NO_WAIT).expect("readable").len(), 1);
}

#[test]
fn a_rapt_is_found_by_account() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = Connection::open(folder.path().join("access_tokens.db")).expect("a database");
    let sql = "CREATE TABLE \"access_tokens\" (account_id TEXT PRIMARY KEY, access_token TEXT,
        token_expiry TIMESTAMP, rapt_token TEXT, id_token TEXT);
        INSERT INTO access_tokens VALUES ('ada@x', 't', '2026-01-02 03:04:05', 'proof', NULL);
        INSERT INTO access_tokens VALUES ('bob@x', 't', '2026-01-02 03:04:05', NULL, NULL);";
    connection.execute_batch(sql).expect("a table");
    let stored_rapt = rapt(folder.path(), "ada@x").expect("there");
    assert!(stored_rapt.constant_time_eq(&Secret::new("proof")));
    assert!(rapt(folder.path(), "bob@x").is_none());
    assert!(rapt(folder.path(), "zoe@x").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn damaged_databases_cause_no_panic(offset in 0usize..8192, bytes: [u8; 16], length in 0usize..9000) {
        let folder = create_database(&[("ada@example.com", USER)]);
        let path = folder.path().join("credentials.db");
        let mut content = std::fs::read(&path).expect("a database");
        for (at, byte) in content.iter_mut().skip(offset).zip(bytes) {
            *at = byte;
        }
        content.truncate(length);
        let mut file = std::fs::File::create(&path).expect("a file");
        std::io::Write::write_all(&mut file, &content).expect("room");
        drop(list(folder.path(), NO_WAIT));
        drop(find(folder.path(), "ada@example.com", None, NO_WAIT));
        prop_assert_eq!(file_names(&folder).len(), 1);
    }
}
