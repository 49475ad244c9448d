//! The fences of the architecture: who may expose a secret, write a file, listen, start a program, print. Read
//! from the source itself, so that a breach is a failed test and not a matter of taste.

use std::path::Path;

use gauth::world::env::VARIABLES;

/// A source file: its path below `src/`, its text, and its text without its tests.
struct Source {
    path: String,
    text: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 40, "{} files", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, found);
            continue;
        }
        let name = path.strip_prefix(root).expect("below src").to_string_lossy().replace('\\', "/");
        let text = std::fs::read_to_string(&path).expect("text");
        found.push(Source { code: without_tests(&name, &text), path: name, text });
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
fn only(words: &[&str], places: &[&str]) {
    let sources = sources();
    let uses = |source: &Source| words.iter().any(|word| source.code.contains(word));
    let within = |path: &str, place: &str| match place.ends_with('/') {
        true => path.starts_with(place),
        false => path == place,
    };
    let strangers: Vec<&str> = sources
        .iter()
        .filter(|source| uses(source) && !places.iter().any(|place| within(&source.path, place)))
        .map(|source| source.path.as_str())
        .collect();
    assert!(strangers.is_empty(), "{words:?} in {strangers:?}");
    for place in places {
        let used = sources.iter().any(|source| within(&source.path, place) && uses(source));
        assert!(used, "{words:?} is no longer in {place}: take it off the list");
    }
}

#[test]
fn secrets_are_exposed_where_they_are_sent_signed_kept_or_printed() {
    only(
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
    only(
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
    only(
        &["remove_file", "remove_dir"],
        &["cache.rs", "private_file.rs", "server/sandbox/folder.rs"],
    );
}

#[test]
fn the_network_has_few_doors() {
    only(&["TcpListener::bind", "UnixListener", "UdpSocket"], &["world/listen.rs"]);
    only(&["TcpStream::connect"], &["world/listen.rs"]);
    only(&["TcpStream"], &["server/", "world/listen.rs"]);
    only(
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
    only(&["rcgen::"], &["server/sandbox/certificates.rs"]);
}

#[test]
fn programs_are_started_in_one_place() {
    only(
        &["process::Command", "process::{Command", "process::Child", "process::{Child"],
        &["world/exec.rs", "world/exec/"],
    );
    only(&["\"sh\"", "\"/bin/sh\"", "cmd.exe"], &[]);
    only(&["process::exit", "process::abort", "ExitCode"], &["main.rs"]);
}

#[test]
fn variables_clocks_and_chance_are_the_worlds() {
    only(&["std::env::var", "env::vars"], &["world/env.rs"]);
    only(&["env::args"], &["main.rs"]);
    only(&["SystemTime::now", "Instant::now"], &["world/clock.rs", "world/http.rs"]);
    only(&["thread::sleep"], &["world/clock.rs"]);
    only(&["getrandom", "SysRng", "thread_rng"], &["key.rs", "world/random.rs"]);
}

#[test]
fn nobody_prints_past_the_streams() {
    only(&["io::stdout", "stdio::stdout"], &["world/streams.rs"]);
    only(&["io::stderr"], &["world/terminal.rs"]);
    only(&["println!", "print!(", "eprintln!", "eprint!(", "dbg!("], &[]);
}

#[test]
fn files_say_what_they_are_and_are_not_long() {
    for source in sources() {
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
fn nothing_is_left_to_chance_or_for_later() {
    for source in sources() {
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
            assert!(!source.code.contains(word), "{word} in {}", source.path);
        }
        assert!(!source.text.contains("#[ignore"), "{}", source.path);
        assert!(!source.code.contains("unsafe {"), "{}", source.path);
    }
}

#[test]
fn no_machine_is_named() {
    // Put together here, so that this file does not name them.
    let machines =
        ["/work", "/Users", "/root", "/mnt", "C:\\\\Users"].map(|path| format!("\"{path}/"));
    for source in sources() {
        for machine in &machines {
            assert!(!source.text.contains(machine.as_str()), "{machine} in {}", source.path);
        }
    }
}

/// Whether the code asks for a variable: by its constant, as a property of gcloud's, or through another crate.
fn is_read(name: &str, sources: &[Source]) -> bool {
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
        source.code.contains(&constant)
            || quoted.iter().any(|spelling| source.code.contains(spelling))
            || property
                .as_ref()
                .is_some_and(|words| words.iter().all(|word| source.code.contains(word)))
    })
}

#[test]
fn every_variable_of_the_manual_is_read() {
    let sources = sources();
    for variable in VARIABLES {
        assert!(is_read(variable.name, &sources), "{} is read nowhere", variable.name);
        assert!(!variable.about.is_empty() && !variable.about.ends_with('.'), "{}", variable.name);
    }
    assert!(!is_read("GAUTH_NO_SUCH_VARIABLE", &sources));
}

#[test]
fn the_fences_hold_what_breaks_through() {
    let breach = std::panic::catch_unwind(|| only(&["pub fn"], &["main.rs"]));
    assert!(breach.is_err());
    let stale = std::panic::catch_unwind(|| only(&["no such word anywhere"], &["main.rs"]));
    assert!(stale.is_err());
}
