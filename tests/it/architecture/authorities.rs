//! Who may expose a secret, write a file, listen, start a program, print. `clippy.toml` names the functions; this says
//! which files may use them.

use gauth_core::world::env::VARIABLES;

use super::{SourceFile, source_files};

/// These patterns occur in these files or folders only, and in each of them: a list never grows stale.
#[track_caller]
pub(super) fn assert_occurs_only_in(patterns: &[&str], locations: &[&str]) {
    let sources = source_files();
    let uses = |source: &SourceFile| patterns.iter().any(|pattern| contains_word(&source.code, pattern));
    let within = |path: &str, location: &str| match location.ends_with('/') {
        true => path.starts_with(location),
        false => path == location,
    };
    let unexpected: Vec<&str> = sources
        .iter()
        .filter(|source| uses(source) && !locations.iter().any(|location| within(&source.path, location)))
        .map(|source| source.path.as_str())
        .collect();
    assert!(unexpected.is_empty(), "{patterns:?} in {unexpected:?}");
    for location in locations {
        let used = sources.iter().any(|source| within(&source.path, location) && uses(source));
        assert!(used, "{patterns:?} is no longer in {location}: take it off the list");
    }
}

/// Whether the code has this pattern, and not as the end of a longer name.
fn contains_word(code: &str, pattern: &str) -> bool {
    let continues = |letter: char| letter.is_alphanumeric() || letter == '_';
    let starts_word = pattern.starts_with(continues);
    code.match_indices(pattern).any(|(at, _)| !(starts_word && code[..at].ends_with(continues)))
}

#[test]
fn secrets_are_exposed_where_they_are_sent_signed_kept_or_printed() {
    assert_occurs_only_in(
        &[".expose()"],
        &[
            "core/accounts/refresh_token.rs",
            // Tokens that the sandbox issues, and the private key of its certificate.
            "core/http/server/",
            // Headers and the password of a proxy go over the wire.
            "core/http/transport/mod.rs",
            // Tokens are decoded, keys read: the rest of the tree uses `decode_secret` and `rsa_from_secret`.
            "core/jose/jwt.rs",
            "core/jose/key.rs",
            // The secret access key signs; the session token is a header under the signature.
            "core/net/aws_sigv4.rs",
            // Fields of a form.
            "core/net/message.rs",
            "core/text/json.rs",
            "core/tokens/cache/mod.rs",
            // A file with a token for another program.
            "core/tokens/file.rs",
            // The runner of GitHub Actions gets a mask for it.
            "core/world/terminal.rs",
            "sandbox/folder/files.rs",
            "sandbox/token_store.rs",
            "src/output/token.rs",
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
            "src/cli/man.rs",
            "core/world/private_file/mod.rs",
            // A folder of throw-away credentials, gone at the end.
            "sandbox/folder/files.rs",
            // Opens /dev/null.
            "core/world/streams.rs",
        ],
    );
    assert_occurs_only_in(
        &["remove_file", "remove_dir"],
        &["core/world/private_file/mod.rs", "sandbox/folder/files.rs"],
    );
}

#[test]
fn sockets_are_opened_in_few_files() {
    assert_occurs_only_in(&["TcpListener::bind", "UnixListener", "UdpSocket"], &["core/world/listen.rs"]);
    assert_occurs_only_in(&["TcpStream::connect"], &["core/world/listen.rs"]);
    assert_occurs_only_in(&["TcpStream"], &["core/http/server/", "core/world/listen.rs"]);
    assert_occurs_only_in(
        &["ureq::", "rustls::"],
        &[
            // Takes PEM apart.
            "core/credentials/external_account/x509.rs",
            // Hands a client certificate to TLS.
            "core/http/client_certificate.rs",
            "core/http/root_certificates.rs",
            // The server's side, for the sandbox.
            "core/http/server/tls.rs",
            "core/http/transport/",
        ],
    );
    assert_occurs_only_in(&["rcgen::"], &["sandbox/certificates.rs"]);
}

#[test]
fn programs_are_started_in_one_place() {
    assert_occurs_only_in(
        &["process::Command", "process::{Command", "process::Child", "process::{Child"],
        &["core/world/exec/"],
    );
    assert_occurs_only_in(&["\"sh\"", "\"/bin/sh\"", "cmd.exe"], &[]);
    assert_occurs_only_in(&["process::exit", "process::abort", "ExitCode"], &["src/main.rs"]);
}

#[test]
fn variables_clocks_and_randomness_are_read_only_by_the_world() {
    assert_occurs_only_in(&["std::env::var", "env::vars"], &["core/world/env.rs"]);
    assert_occurs_only_in(&["env::args"], &["src/main.rs"]);
    assert_occurs_only_in(&["SystemTime::now", "Instant::now"], &["core/world/clock.rs", "core/http/transport/mod.rs"]);
    assert_occurs_only_in(&["thread::sleep"], &["core/world/clock.rs"]);
    assert_occurs_only_in(&["getrandom", "SysRng", "thread_rng"], &["core/jose/key.rs", "core/world/random.rs"]);
}

#[test]
fn all_output_goes_through_the_streams() {
    assert_occurs_only_in(&["io::stdout", "stdio::stdout"], &["core/world/streams.rs"]);
    assert_occurs_only_in(&["io::stderr"], &["core/world/terminal.rs"]);
    assert_occurs_only_in(&["println!", "print!(", "eprintln!", "eprint!(", "dbg!("], &[]);
}

#[test]
fn no_unwrap_panic_todo_or_unsafe_is_left() {
    for source in source_files() {
        for word in [".unwrap()", "todo!", "unimplemented!", "panic!(", "unreachable!", "TODO", "FIXME", "XXX"] {
            assert!(!source.code.contains(word), "{word} in {}", source.path);
        }
        assert!(!source.text.contains("#[ignore"), "{}", source.path);
        assert!(!source.code.contains("unsafe {"), "{}", source.path);
    }
}

#[test]
fn no_machine_is_named() {
    // Put together here, so that this file does not name them.
    let machines = ["/work", "/Users", "/root", "/mnt", "C:\\\\Users"].map(|path| format!("\"{path}/"));
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
    let property = property.map(|(section, name)| [section, name].map(|word| format!("\"{}\"", word.to_lowercase())));
    sources.iter().filter(|source| source.path != "core/world/env.rs").any(|source| {
        source.code.contains(&constant)
            || quoted.iter().any(|spelling| source.code.contains(spelling))
            || property.as_ref().is_some_and(|words| words.iter().all(|word| source.code.contains(word)))
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
    let breach = std::panic::catch_unwind(|| assert_occurs_only_in(&["pub fn"], &["src/main.rs"]));
    assert!(breach.is_err());
    let stale = std::panic::catch_unwind(|| assert_occurs_only_in(&["no such word anywhere"], &["src/main.rs"]));
    assert!(stale.is_err());
}
