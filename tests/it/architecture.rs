//! The fences of the architecture: who may expose a secret, write a file, listen, start a program, print. Read
//! from the source itself, so that a breach is a failed test and not a matter of taste.

use std::path::Path;

use gauth_core::world::env::VARIABLES;

/// A source file: its path below `src/`, its text, and its text without its tests.
struct SourceFile {
    path: String,
    text: String,
    code_without_tests: String,
}

fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect_source_files(&root, &root, &mut found);
    assert!(found.len() > 40, "{} files", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect_source_files(root: &Path, folder: &Path, found: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect_source_files(root, &path, found);
            continue;
        }
        let name = path.strip_prefix(root).expect("below src").to_string_lossy().replace('\\', "/");
        let text = std::fs::read_to_string(&path).expect("text");
        found.push(SourceFile {
            code_without_tests: without_tests(&name, &text),
            path: name,
            text,
        });
    }
}

/// What runs: not the tests at the end of a file, not the files that are tests, and no comments.
fn without_tests(name: &str, text: &str) -> String {
    if name.ends_with("tests.rs") {
        return String::new();
    }
    let end =
        ["\n#[cfg(test)]", "\n#[cfg(all(test"].iter().filter_map(|mark| text.find(mark)).min();
    let code = &text[..end.unwrap_or(text.len())];
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |code, line| code + line + "\n")
}

/// Words occur in these files or folders only, and in each of them: a list never grows stale.
#[track_caller]
fn assert_occurs_only_in(patterns: &[&str], locations: &[&str]) {
    let sources = source_files();
    let uses =
        |source: &SourceFile| patterns.iter().any(|word| source.code_without_tests.contains(word));
    let within = |path: &str, place: &str| match place.ends_with('/') {
        true => path.starts_with(place),
        false => path == place,
    };
    let strangers: Vec<&str> = sources
        .iter()
        .filter(|source| uses(source) && !locations.iter().any(|place| within(&source.path, place)))
        .map(|source| source.path.as_str())
        .collect();
    assert!(strangers.is_empty(), "{patterns:?} in {strangers:?}");
    for place in locations {
        let used = sources.iter().any(|source| within(&source.path, place) && uses(source));
        assert!(used, "{patterns:?} is no longer in {place}: take it off the list");
    }
}

#[test]
fn secrets_are_exposed_where_they_are_sent_signed_kept_or_printed() {
    assert_occurs_only_in(
        &[".expose()"],
        &[
            "accounts/",
            "cache.rs",
            // Its purpose: a token in the environment of a program.
            "commands/exec.rs",
            // What gcloud stores is JSON with a secret in it, read and completed here.
            "credential/gcloud.rs",
            // Looks at what parsers made of arbitrary bytes; no command leads there.
            "fuzzing.rs",
            "google/",
            // Reads when a token ends, and what it is signed over.
            "jwt.rs",
            "key.rs",
            // The question's own secrets, what is pasted, and the login that is stored.
            "login/",
            "output.rs",
            "server/",
            // The secret access key signs; the session token is a header under the signature.
            "sigv4.rs",
            // The file that such a program reads instead.
            "token_file.rs",
            // Headers and the password of a proxy go over the wire.
            "world/http.rs",
            // A runner is told what it has to hide.
            "world/terminal.rs",
        ],
    );
}

#[test]
fn files_are_written_by_few() {
    assert_occurs_only_in(
        &[
            "fs::write",
            "File::create",
            "File::options",
            "OpenOptions",
            "create_dir",
            "DirBuilder",
            "fs::rename",
            "fs::copy",
            "fs::hard_link",
            "set_permissions",
            "symlink(",
        ],
        &[
            // Pages in the folder that the user named.
            "commands/man.rs",
            "private_file.rs",
            // A folder of throw-away credentials, gone at the end.
            "server/sandbox/folder.rs",
            // Opens /dev/null.
            "world/streams.rs",
        ],
    );
    assert_occurs_only_in(
        &["remove_file", "remove_dir"],
        &["cache.rs", "private_file.rs", "server/sandbox/folder.rs"],
    );
}

#[test]
fn sockets_are_opened_in_few_files() {
    assert_occurs_only_in(
        &["TcpListener::bind", "UnixListener", "UdpSocket"],
        &["world/listen.rs"],
    );
    assert_occurs_only_in(&["TcpStream::connect"], &["world/listen.rs"]);
    assert_occurs_only_in(&["TcpStream"], &["server/", "world/listen.rs"]);
    assert_occurs_only_in(
        &["ureq::", "rustls::"],
        &[
            // Takes PEM apart, as roots.rs does.
            "certificate.rs",
            // Hands a client certificate to TLS.
            "identity.rs",
            "roots.rs",
            // The server's side, for the sandbox.
            "server/tls.rs",
            "world/http.rs",
            "world/http/",
        ],
    );
    assert_occurs_only_in(&["rcgen::"], &["server/sandbox/certificates.rs"]);
}

#[test]
fn programs_are_started_in_one_place() {
    assert_occurs_only_in(
        &["process::Command", "process::{Command", "process::Child", "process::{Child"],
        &["world/exec.rs", "world/exec/"],
    );
    assert_occurs_only_in(&["\"sh\"", "\"/bin/sh\"", "cmd.exe"], &[]);
    assert_occurs_only_in(&["process::exit", "process::abort", "ExitCode"], &["main.rs"]);
}

#[test]
fn variables_clocks_and_randomness_are_read_only_by_the_world() {
    assert_occurs_only_in(&["std::env::var", "env::vars"], &["world/env.rs"]);
    assert_occurs_only_in(&["env::args"], &["main.rs"]);
    assert_occurs_only_in(
        &["SystemTime::now", "Instant::now"],
        &["world/clock.rs", "world/http.rs"],
    );
    assert_occurs_only_in(&["thread::sleep"], &["world/clock.rs"]);
    assert_occurs_only_in(&["getrandom", "SysRng", "thread_rng"], &["key.rs", "world/random.rs"]);
}

#[test]
fn all_output_goes_through_the_streams() {
    assert_occurs_only_in(&["io::stdout", "stdio::stdout"], &["world/streams.rs"]);
    assert_occurs_only_in(&["io::stderr"], &["world/terminal.rs"]);
    assert_occurs_only_in(&["println!", "print!(", "eprintln!", "eprint!(", "dbg!("], &[]);
}

#[test]
fn files_say_what_they_are_and_are_not_long() {
    for source in source_files() {
        let path = &source.path;
        assert!(source.text.starts_with("//! "), "{path} does not open with //!");
        let lines = source.text.lines().count();
        assert!(lines <= 600, "{path} has {lines} lines");
        for (number, line) in source.text.lines().enumerate() {
            assert_eq!(line.trim_end(), line, "{path}:{} ends in spaces", number + 1);
        }
    }
}

#[test]
fn no_unwrap_panic_todo_or_unsafe_is_left() {
    for source in source_files() {
        for word in [
            ".unwrap()",
            "todo!",
            "unimplemented!",
            "panic!(",
            "unreachable!",
            "TODO",
            "FIXME",
            "XXX",
        ] {
            assert!(!source.code_without_tests.contains(word), "{word} in {}", source.path);
        }
        assert!(!source.text.contains("#[ignore"), "{}", source.path);
        assert!(!source.code_without_tests.contains("unsafe {"), "{}", source.path);
    }
}

#[test]
fn no_machine_is_named() {
    // Put together here, so that this file does not name them.
    let machines =
        ["/work", "/Users", "/root", "/mnt", "C:\\\\Users"].map(|path| format!("\"{path}/"));
    for source in source_files() {
        for machine in &machines {
            assert!(!source.text.contains(machine.as_str()), "{machine} in {}", source.path);
        }
    }
}

/// Whether the code asks for a variable: by its constant, as a property of gcloud's, or through another crate.
fn is_variable_read(name: &str, sources: &[SourceFile]) -> bool {
    // The crate `dirs` reads it.
    if name == "XDG_CONFIG_HOME" {
        return true;
    }
    let constant = format!("env::{name}");
    // Proxies are asked for by name, some in lower case only.
    let quoted = [format!("\"{name}\""), format!("\"{}\"", name.to_lowercase())];
    let property = name.strip_prefix("CLOUDSDK_").and_then(|rest| rest.split_once('_'));
    let property = property
        .map(|(section, name)| [section, name].map(|word| format!("\"{}\"", word.to_lowercase())));
    sources.iter().filter(|source| source.path != "world/env.rs").any(|source| {
        source.code_without_tests.contains(&constant)
            || quoted.iter().any(|spelling| source.code_without_tests.contains(spelling))
            || property.as_ref().is_some_and(|words| {
                words.iter().all(|word| source.code_without_tests.contains(word))
            })
    })
}

#[test]
fn every_variable_of_the_manual_is_read() {
    let sources = source_files();
    for variable in VARIABLES {
        assert!(is_variable_read(variable.name, &sources), "{} is read nowhere", variable.name);
        assert!(!variable.about.is_empty() && !variable.about.ends_with('.'), "{}", variable.name);
    }
    assert!(!is_variable_read("GAUTH_NO_SUCH_VARIABLE", &sources));
}

#[test]
fn the_checks_detect_violations() {
    let breach = std::panic::catch_unwind(|| assert_occurs_only_in(&["pub fn"], &["main.rs"]));
    assert!(breach.is_err());
    let stale = std::panic::catch_unwind(|| {
        assert_occurs_only_in(&["no such word anywhere"], &["main.rs"])
    });
    assert!(stale.is_err());
}
