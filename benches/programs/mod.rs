//! The programs that are measured, built as they are released.
#![allow(clippy::disallowed_methods, reason = "a program about programs")]

use std::path::PathBuf;
use std::process::Command;

/// gauth and hello, built by the cargo that built the caller, next to it.
pub(crate) fn built() -> (PathBuf, PathBuf) {
    let target = target_folder();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--bin", "gauth", "--example", "hello"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo starts");
    assert!(status.success(), "gauth and hello do not build");
    let release = target.join("release");
    let name = |name: &str| format!("{name}{}", std::env::consts::EXE_SUFFIX);
    (release.join(name("gauth")), release.join("examples").join(name("hello")))
}

/// Where cargo builds: the caller lies in `release/deps` or `release/examples` of it.
pub(crate) fn target_folder() -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    own.ancestors().nth(3).expect("a target folder").to_path_buf()
}
