//! Names and shapes: one meaning for each type, no name from before the house was redrawn, files of readable size.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CRATES, SourceFile, repository, rust_files, source_files};

/// The longest file, in lines.
const MAX_FILE_LINES: usize = 600;

/// How many doc comments of three words or fewer there may be. It only ever goes down.
const MAX_SHORT_DOC_COMMENTS: usize = 60;

/// Names that types, functions, constants and modules had before they took the words of OAuth and Google.
const OLD_NAMES: &[&str] = &[
    "Again",
    "Asked",
    "Auth",
    "Brings",
    "Challenge",
    "Chosen",
    "Closed",
    "Conditions",
    "Consent",
    "Current",
    "Deferred",
    "Demands",
    "Desk",
    "Door",
    "Dress",
    "Effort",
    "FAREWELL",
    "Fate",
    "Fence",
    "First",
    "Foreign",
    "Given",
    "Held",
    "Hidden",
    "How",
    "KIND",
    "Kept",
    "LARGEST",
    "LONGEST",
    "Lazy",
    "Line",
    "Login",
    "Looked",
    "Made",
    "Makes",
    "Manner",
    "Names",
    "PASSING",
    "PATIENCE",
    "PLACES",
    "Parts",
    "Patience",
    "Picture",
    "Place",
    "Plan",
    "Pool",
    "Proof",
    "Ready",
    "Role",
    "Said",
    "Saved",
    "Setting",
    "Stored",
    "Successor",
    "Trust",
    "Vaults",
    "Visit",
    "Watch",
    "Way",
    "Who",
    "Whose",
    "Wire",
    "Wish",
    "Words",
    "Yes",
    "around",
    "cast",
    "draft",
    "elsewhere",
    "guard",
    "guest",
    "handed",
    "identify",
    "in_time",
    "ledger",
    "lent",
    "mark",
    "outline",
    "outside",
    "rather",
    "robot",
    "settles_for",
    "shadow",
    "shape",
    "spare",
    "stamp",
    "strangers",
    "survey",
    "ways",
];

/// The name that a line defines, if it defines one with one of these keywords.
fn defined_name<'l>(line: &'l str, keywords: &[&str]) -> Option<&'l str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let rest = keywords.iter().find_map(|keyword| line.strip_prefix(keyword)?.strip_prefix(' '))?;
    let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    Some(&rest[..end.unwrap_or(rest.len())])
}

#[test]
fn every_public_type_is_defined_once() {
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sources = source_files();
    // The other half of a file that a feature switches.
    for source in sources.iter().filter(|source| !source.path.ends_with("_unsupported.rs")) {
        for line in source.code.lines().filter(|line| line.trim_start().starts_with("pub")) {
            if let Some(name) = defined_name(line, &["struct", "enum", "trait", "type"]) {
                let files = definitions.entry(name.to_owned()).or_default();
                // Twice in one file: once for each system.
                if files.last() != Some(&source.path) {
                    files.push(source.path.clone());
                }
            }
        }
    }
    assert!(definitions.len() > 150, "{} types", definitions.len());
    for (name, files) in definitions {
        assert!(files.len() == 1, "{name} is defined in {files:?}");
    }
}

#[test]
fn no_old_name_is_left() {
    let keywords = ["struct", "enum", "trait", "type", "const", "static", "fn", "mod"];
    for source in source_files() {
        for line in source.code.lines() {
            let name = defined_name(line, &keywords).filter(|name| OLD_NAMES.contains(name));
            assert!(name.is_none(), "{name:?} in {}: {line}", source.path);
        }
    }
}

#[test]
fn doc_comments_say_something() {
    let short: Vec<String> = source_files().iter().flat_map(short_doc_comments).collect();
    let count = short.len();
    assert!(count <= MAX_SHORT_DOC_COMMENTS, "{count} comments say little:\n{}", short.join("\n"));
}

/// Doc comments of one line and three words or fewer.
fn short_doc_comments(source: &SourceFile) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().map(str::trim_start).collect();
    let doc = |at: Option<usize>| at.and_then(|at| lines.get(at)?.strip_prefix("///"));
    let is_short = |at: usize| {
        doc(Some(at)).is_some_and(|text| text.split_whitespace().count() <= 3)
            && doc(at.checked_sub(1)).is_none()
            && doc(Some(at + 1)).is_none()
    };
    let short = (0..lines.len()).filter(|at| is_short(*at));
    short.map(|at| format!("{}:{}: {}", source.path, at + 1, lines[at])).collect()
}

#[test]
fn a_module_with_parts_is_a_mod_rs_in_its_folder() {
    for (_, folder) in CRATES {
        for file in rust_files(&repository().join(folder)) {
            assert!(!file.with_extension("").is_dir(), "{} stands beside its folder", file.display());
        }
    }
}

#[test]
fn the_top_folders_are_read_at_a_glance() {
    for (folder, limit) in [("src", 8), ("crates/core/src", 16)] {
        let count = std::fs::read_dir(repository().join(folder)).expect(folder).count();
        assert!(count <= limit, "{folder} has {count} entries");
    }
}

#[test]
fn files_open_with_their_purpose_and_are_not_long() {
    for source in source_files() {
        let purpose = ["//! ", "#![doc = "].iter().any(|start| source.text.starts_with(start));
        assert!(purpose, "{} does not open with //!", source.path);
    }
    for folder in ["src", "crates", "tests", "benches"] {
        for file in rust_files(&repository().join(folder)) {
            let (path, text) = (file.display(), std::fs::read_to_string(&file).expect("text"));
            let lines = text.lines().count();
            assert!(lines <= MAX_FILE_LINES, "{path} has {lines} lines");
            for (number, line) in text.lines().enumerate() {
                assert_eq!(line.trim_end(), line, "{path}:{} ends in spaces", number + 1);
            }
        }
    }
}

#[test]
fn every_path_that_architecture_md_names_exists() {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("the page");
    let separator = |letter: char| letter.is_whitespace() || "`,;:()|[]".contains(letter);
    let is_path =
        |word: &&str| !word.contains("//") && (word.ends_with(".rs") || (word.len() > 1 && word.ends_with('/')));
    let paths: Vec<&str> = text.split(separator).filter(is_path).collect();
    assert!(paths.len() > 30, "{paths:?}");
    let roots = [Path::new(""), Path::new("crates/core/src"), Path::new("src"), Path::new("crates/sandbox/src")];
    for path in paths {
        let exists = roots.iter().any(|root| repository().join(root).join(path).exists());
        assert!(exists, "ARCHITECTURE.md names {path}");
    }
}
