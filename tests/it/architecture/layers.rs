//! Who may import whom: folders in one order, files without circles, few places that build the real `World`.

use std::collections::{BTreeMap, BTreeSet};

use super::authorities::assert_occurs_only_in;
use super::{SourceFile, repository, source_files};

/// The folders of `gauth-core`. Each imports only folders to its right.
const CORE: &[&str] = &[
    "discovery",
    "login",
    "config",
    "credentials",
    "accounts",
    "google",
    "tokens",
    "oauth",
    "jose",
    "gcloud",
    "http",
    "world",
    "net",
    "error",
    "text",
];

/// The folders of the program, in the same order.
const PROGRAM: &[&str] = &["cli", "commands", "flags", "output"];

/// What the sandbox uses of `gauth-core`: no credential, no cache.
const USED_BY_SANDBOX: &[&str] = &["error", "http", "jose", "net", "text", "world"];

#[test]
fn a_folder_imports_only_folders_below_it() {
    for source in source_files() {
        let (crate_name, _) = source.split_crate();
        let order = match crate_name {
            "core" => CORE,
            "src" => PROGRAM,
            _ => &[],
        };
        let module = source.module();
        let position = |folder: &str| order.iter().position(|known| *known == folder);
        let Some(own) = position(first_segment(&module)) else { continue };
        for import in imports(&source.code, "crate::") {
            let above = position(first_segment(&import)).is_some_and(|imported| imported < own);
            assert!(!above, "{} imports crate::{import}, which is above it", source.path);
        }
    }
}

#[test]
fn every_folder_of_the_core_has_its_layer() {
    for source in source_files().iter().filter(|source| source.path.starts_with("core/")) {
        let module = source.module();
        let folder = first_segment(&module);
        assert!(folder.is_empty() || CORE.contains(&folder), "{} has no layer", source.path);
    }
}

#[test]
fn the_sandbox_knows_neither_credentials_nor_the_cache() {
    for source in source_files().iter().filter(|source| source.path.starts_with("sandbox/")) {
        for import in imports(&source.code, "gauth_core::") {
            let folder = first_segment(&import);
            let known = USED_BY_SANDBOX.contains(&folder);
            assert!(known, "{} uses gauth_core::{import}", source.path);
        }
    }
}

#[test]
fn the_core_does_not_know_the_parser_of_the_command_line() {
    for manifest in ["crates/core/Cargo.toml", "crates/sandbox/Cargo.toml"] {
        let text = std::fs::read_to_string(repository().join(manifest)).expect(manifest);
        for dependency in ["clap", "anyhow"] {
            assert!(!text.contains(dependency), "{manifest} names {dependency}");
        }
    }
}

#[test]
fn only_main_and_the_token_provider_build_the_real_world() {
    assert_occurs_only_in(&["World::real("], &["core/http/mod.rs"]);
    assert_occurs_only_in(&["real_world("], &["core/discovery/token_provider.rs", "core/http/mod.rs", "src/main.rs"]);
}

#[test]
fn no_two_files_import_each_other() {
    let sources = source_files();
    for crate_name in ["core", "sandbox", "src"] {
        let of_crate: Vec<&SourceFile> = sources.iter().filter(|source| source.split_crate().0 == crate_name).collect();
        let imports = file_imports(&of_crate);
        let reachable: BTreeMap<&String, BTreeSet<&String>> =
            imports.keys().map(|module| (module, reachable(module, &imports))).collect();
        for (module, reached) in &reachable {
            for other in reached.iter().filter(|other| other > &module) {
                let back = reachable.get(other).is_some_and(|reached| reached.contains(module));
                assert!(!back, "{crate_name}: {module} and {other} import each other");
            }
        }
    }
}

/// Which modules each module imports. A file and the folder it is in are one family: their imports do not count.
fn file_imports(sources: &[&SourceFile]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<String> = sources.iter().map(|source| source.module()).collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let own = source.module();
        let imported = imports(&source.code, "crate::").into_iter().filter_map(|path| {
            let ends = path.match_indices("::").map(|(at, _)| at).chain([path.len()]);
            let longest = ends.map(|end| &path[..end]).filter(|path| modules.contains(*path)).last();
            longest.map(str::to_owned)
        });
        let is_family = |other: &String| *other == own || other.is_empty() || own.starts_with(&format!("{other}::"));
        let others = imported.filter(|other| !is_family(other)).collect();
        found.insert(own.clone(), if own.is_empty() { BTreeSet::new() } else { others });
    }
    found
}

fn reachable<'m>(module: &String, imports: &'m BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'m String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = imports[module].iter().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(imports.get(next).into_iter().flatten());
        }
    }
    reached
}

fn first_segment(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

/// Every path behind `prefix`, with the groups in braces taken apart.
fn imports(code: &str, prefix: &str) -> Vec<String> {
    let is_boundary = |at: usize| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$')
    };
    code.match_indices(prefix)
        .filter(|(at, _)| is_boundary(*at))
        .flat_map(|(at, _)| expand(&code[at + prefix.len()..]))
        .collect()
}

/// The paths that a use declaration names: `net::{url, proxy::Proxy}` gives two.
fn expand(text: &str) -> Vec<String> {
    let is_path_char = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let end = text.find(|letter| !is_path_char(letter)).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let Some(group) = path.ends_with("::").then(|| rest.strip_prefix('{')).flatten() else {
        return vec![path.trim_end_matches(':').to_owned()];
    };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        if depth == 0 && matches!(letter, ',' | '}') {
            let item = group[start..at].trim();
            let items = if item.is_empty() { Vec::new() } else { expand(item) };
            found.extend(items.into_iter().map(|item| format!("{path}{item}")));
            start = at + 1;
        }
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

#[test]
fn groups_in_braces_are_taken_apart() {
    let code = "use crate::net::{url, proxy::{Proxy, ProxyScheme}};\nlet x = crate::text::hex(1);";
    let expected = ["net::url", "net::proxy::Proxy", "net::proxy::ProxyScheme", "text::hex"].map(str::to_owned);
    assert_eq!(imports(code, "crate::"), expected);
}
