//! The programs that are measured, built as they are released.
#![allow(clippy::disallowed_methods, reason = "a program about programs")]

use std::path::PathBuf;
use std::process::Command;

/// gauth and hello, built by the cargo that built the caller, next to it.
pub(crate) fn build_programs() -> (PathBuf, PathBuf) {
    let release = target_folder().join("release");
    let name = |name: &str| format!("{name}{}", std::env::consts::EXE_SUFFIX);
    // Apart: with an example come the features that tests want of the dependencies.
    build(&["--bin", "gauth"]);
    build(&["--example", "hello"]);
    (release.join(name("gauth")), release.join("examples").join(name("hello")))
}

fn build(what: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    // ring builds itself anew when it sees other values of these, and with it all that stands on it.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .args(["build", "--quiet", "--release"])
        .args(what)
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(target_folder())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "{what:?} does not build");
}

/// Where cargo builds: the caller lies in `release/deps` or `release/examples` of it.
fn target_folder() -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    own.ancestors().nth(3).expect("a target folder").to_path_buf()
}
