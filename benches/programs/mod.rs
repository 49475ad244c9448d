//! Builds the measured programs with the release profile.
#![allow(clippy::disallowed_methods, reason = "a program about programs")]

use std::path::PathBuf;
use std::process::Command;

/// Builds gauth and hello into the target folder of the caller.
pub(crate) fn build_programs() -> (PathBuf, PathBuf) {
    let release = target_folder().join("release");
    let name = |name: &str| format!("{name}{}", std::env::consts::EXE_SUFFIX);
    // Separately, because an example enables features of the development dependencies.
    build(&["--bin", "gauth"]);
    build(&["--example", "hello"]);
    (release.join(name("gauth")), release.join("examples").join(name("hello")))
}

fn build(target: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    // ring and everything that depends on it would be rebuilt when these variables change.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .args(["build", "--quiet", "--release"])
        .args(target)
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(target_folder())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "{target:?} does not build");
}

/// The target folder: the caller is in `release/deps` or `release/examples` of it.
fn target_folder() -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    own.ancestors().nth(3).expect("a target folder").to_path_buf()
}
