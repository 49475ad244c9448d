//! The gate on speed: the instructions that a cached token takes more than a program that prints one line.
//!
//! valgrind counts the user instructions of the whole process, which depend neither on the machine nor on its load.
//! `cargo run --release --example instructions` prints the numbers and fails above the limit.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program about programs")]

mod programs;

use std::ffi::OsStr;
use std::process::{Command, ExitCode, Output};

/// An empty program that links gauth's crates takes 180,000, most of them for relocations.
const MAX_EXTRA_INSTRUCTIONS: u64 = 300_000;

/// Set when the sandbox has started this program.
const HELLO_VARIABLE: &str = "GAUTH_BENCH_HELLO";

fn main() -> ExitCode {
    match std::env::var_os(HELLO_VARIABLE) {
        Some(hello) => compare(&std::env::var_os("GAUTH_BENCH_GAUTH").expect("gauth"), &hello),
        None => run_in_sandbox(),
    }
}

/// Runs this program again in a sandbox, where there is a credential.
fn run_in_sandbox() -> ExitCode {
    let (gauth, hello) = programs::build_programs();
    let status = Command::new(&gauth)
        .args(["sandbox", "--"])
        .arg(std::env::current_exe().expect("own path"))
        .env("GAUTH_BENCH_GAUTH", &gauth)
        .env(HELLO_VARIABLE, hello)
        .status()
        .expect("gauth starts");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare(gauth: &OsStr, hello: &OsStr) -> ExitCode {
    let minted = run_with_minimal_env(gauth, ["token"]);
    let floor = count_instructions(hello, &[]).0;
    let (cached, token) = count_instructions(gauth, &["token"]);
    assert!(!token.is_empty() && token == minted.stdout, "the second token is not the first");
    let extra = cached.saturating_sub(floor);
    println!("{cached:>10} instructions: gauth token, cached");
    println!("{floor:>10} instructions: hello");
    println!("{extra:>10} more, at most {MAX_EXTRA_INSTRUCTIONS}");
    if extra <= MAX_EXTRA_INSTRUCTIONS { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The user instructions of a whole process, and its output.
fn count_instructions(program: &OsStr, args: &[&str]) -> (u64, Vec<u8>) {
    let valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"].map(OsStr::new);
    let args = args.iter().map(OsStr::new);
    let output = run_with_minimal_env("valgrind".as_ref(), valgrind.into_iter().chain([program]).chain(args));
    let report = String::from_utf8_lossy(&output.stderr);
    let total = report.lines().find_map(|line| line.split("Collected : ").nth(1));
    let total = total.and_then(|count| count.trim().parse().ok());
    (total.expect("callgrind reports a total"), output.stdout)
}

/// Runs a program, which must succeed, with only the variables that gauth reads. Each variable takes the dynamic linker and
/// the program some instructions.
fn run_with_minimal_env(program: &OsStr, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("HOME", "/nonexistent");
    for name in ["PATH", "GAUTH_CONFIG_DIR", "GOOGLE_APPLICATION_CREDENTIALS"] {
        command.env(name, std::env::var_os(name).expect(name));
    }
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}
