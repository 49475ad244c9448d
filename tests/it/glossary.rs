//! Each code name in `docs/glossary.md` exists, in the file that its path names.

use std::path::{Path, PathBuf};

/// The code names in the last column of the table.
fn code_names(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| term "));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// The file that the longest prefix of a name leads to, and the segments behind that prefix.
fn resolve<'a>(root: &Path, name: &'a str) -> Option<(PathBuf, Vec<&'a str>)> {
    let segments: Vec<&str> = name.split("::").collect();
    let (folder, segments) = match segments.split_first() {
        Some((&"gauth", rest)) => (root.join("src"), rest),
        Some((&"gauth_sandbox", rest)) => (root.join("crates/sandbox/src"), rest),
        _ => (root.join("crates/core/src"), &segments[..]),
    };
    (1..=segments.len()).rev().find_map(|length| {
        let module = folder.join(segments[..length].join("/"));
        let file = [module.with_extension("rs"), module.join("mod.rs")].into_iter();
        let file = file.into_iter().find(|file| file.is_file())?;
        Some((file, segments[length..].to_vec()))
    })
}

/// Whether a name leads to a module, an item that a module declares, or a part of such an item.
fn exists(root: &Path, name: &str) -> bool {
    let Some((file, items)) = resolve(root, name) else { return false };
    let source = std::fs::read_to_string(file).expect("a source file");
    let words: Vec<&str> = source.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let is_declared = |item: &&str| {
        let keywords = ["struct", "enum", "trait", "type", "fn", "const"];
        words.windows(2).any(|pair| keywords.contains(&pair[0]) && pair[1] == *item)
    };
    items.first().is_none_or(is_declared) && items.iter().all(|item| words.contains(item))
}

#[test]
fn every_code_name_in_the_glossary_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/glossary.md")).expect("the glossary");
    let names = code_names(&page);
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<&str> = names.into_iter().filter(|name| !exists(root, name)).collect();
    assert!(missing.is_empty(), "docs/glossary.md names what is not in the code: {missing:?}");
}

#[test]
fn a_name_that_does_not_exist_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(exists(root, "text::secret") && exists(root, "tokens::request::TokenRequest::IdToken"));
    for name in ["text::riddle", "text::secret::Riddle", "tokens::request::TokenRequest::Riddle"] {
        assert!(!exists(root, name), "{name}");
    }
}
