//! The rules of ARCHITECTURE.md and CONTRIBUTING.md, read from the sources themselves: a violation is a failed test
//! and not a matter of taste.

mod authorities;
mod layers;
mod names;

use std::path::{Path, PathBuf};

/// A source file of one of the three crates.
struct SourceFile {
    /// `core/net/url.rs`, `sandbox/server.rs`, `src/main.rs`.
    path: String,
    text: String,
    /// The text without comments and without tests.
    code: String,
}

impl SourceFile {
    /// The crate, `core`, `sandbox` or `src`, and the path inside it.
    fn split_crate(&self) -> (&str, &str) {
        self.path.split_once('/').expect("a path inside a crate")
    }

    /// The module, as `crate::` names it: `net::url`; empty for the root.
    fn module(&self) -> String {
        let path = self.split_crate().1.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        match path {
            "lib" | "main" | "mod" => String::new(),
            path => path.replace('/', "::"),
        }
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates: what the tests call them, and their folders.
const CRATES: [(&str, &str); 3] = [("core", "crates/core/src"), ("sandbox", "crates/sandbox/src"), ("src", "src")];

fn source_files() -> Vec<SourceFile> {
    let mut found = Vec::new();
    for (name, folder) in CRATES {
        let root = repository().join(folder);
        let files = rust_files(&root);
        assert!(files.len() > 30, "{folder} has {} files", files.len());
        for file in files {
            let inside = file.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
            let path = format!("{name}/{}", inside.replace('\\', "/"));
            let text = std::fs::read_to_string(&file).expect("text");
            found.push(SourceFile { code: code_without_tests(&path, &text), path, text });
        }
    }
    found
}

/// Every `.rs` file below a folder, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => found.extend(rust_files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                found.push(path);
            }
            false => {}
        }
    }
    found
}

/// What runs: not the tests at the end of a file, not the files that are tests, and no comments.
fn code_without_tests(path: &str, text: &str) -> String {
    if path.ends_with("tests.rs") || path.contains("/tests/") {
        return String::new();
    }
    let code = &text[..test_module_start(text).unwrap_or(text.len())];
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |code, line| code + line + "\n")
}

/// Where `#[cfg(test)] mod tests {` begins. `mod tests;` names a file of its own and ends nothing.
fn test_module_start(text: &str) -> Option<usize> {
    let marks = ["\n#[cfg(test)]", "\n#[cfg(all(test"];
    let mut starts: Vec<usize> = marks.iter().flat_map(|mark| text.match_indices(mark)).map(|(at, _)| at).collect();
    starts.sort_unstable();
    starts.into_iter().find(|at| {
        let mut item = text[at + 1..].lines().skip_while(|line| line.starts_with("#["));
        item.next().is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    })
}
