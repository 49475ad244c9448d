//! Measures the run time of whole processes: hello and gauth in turns, in a sandbox that this program serves.
//!
//! `cargo bench` prints the table of docs/performance.md; `cargo bench -- --runs 2000` measures more precisely. Slow runs
//! are no failure, because times depend on the machine and its load. `instructions.rs` is the gate.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program about programs")]

mod programs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gauth_core::jose::key::PrivateKey;
use gauth_core::text::secret::Secret;
use gauth_core::world::exec::EnvChange;
use gauth_sandbox::environment::{DefaultCredential, HostEnvironment};
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions, fixtures};

/// The time of hello on the machine on which the targets were set, in milliseconds. Targets are compared as multiples of it.
const REFERENCE_HELLO_MS: f64 = 0.26;
/// The memory limit of a run with a cached token, in MiB.
const MAX_MEMORY_MIB: f64 = 5.0;
/// The size limit of the program, in MiB.
const MAX_PROGRAM_MIB: f64 = 7.0;
/// The default of `--runs`, in pairs of runs.
const DEFAULT_RUNS: usize = 300;
/// Runs of other programs, which take seconds.
const PEER_RUNS: usize = 3;

struct Case {
    name: &'static str,
    credential: DefaultCredential,
    args: &'static [&'static str],
    /// The expected number of requests in one run.
    requests: usize,
    /// The target on the reference machine, in milliseconds.
    target_ms: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "cached, credential file",
        credential: DefaultCredential::ServiceAccount,
        args: &["token"],
        requests: 0,
        target_ms: 0.39,
    },
    Case {
        name: "cached, gcloud's account",
        credential: DefaultCredential::Gcloud,
        args: &["token"],
        requests: 0,
        target_ms: 0.65,
    },
    Case {
        name: "new, service account",
        credential: DefaultCredential::ServiceAccount,
        args: &["token", "--refresh"],
        requests: 1,
        target_ms: 1.9,
    },
    Case {
        name: "new, user login",
        credential: DefaultCredential::User,
        // With the scope openid the sandbox signs an ID token too, which takes longer than everything else.
        args: &["token", "--refresh", "--scopes", "cloud-platform"],
        requests: 1,
        target_ms: 0.7,
    },
    Case {
        name: "new, metadata server",
        credential: DefaultCredential::Metadata,
        args: &["token", "--refresh"],
        requests: 1,
        target_ms: 0.7,
    },
    Case {
        name: "cached, federated",
        credential: DefaultCredential::ExternalAccount,
        args: &["token"],
        requests: 0,
        target_ms: 0.39,
    },
    Case {
        name: "cached, impersonated",
        credential: DefaultCredential::ExternalAccount,
        args: &["token", "--impersonate-service-account", fixtures::DEPLOYER_ACCOUNT],
        requests: 0,
        target_ms: 0.39,
    },
    Case {
        name: "new, federated, acting as",
        credential: DefaultCredential::ExternalAccount,
        args: &["token", "--refresh", "--impersonate-service-account", fixtures::DEPLOYER_ACCOUNT],
        requests: 2,
        target_ms: 0.9,
    },
    Case {
        name: "new, self-signed JWT",
        credential: DefaultCredential::ServiceAccount,
        args: &["token", "--self-signed", "--no-cache"],
        requests: 0,
        target_ms: 1.8,
    },
];

/// Other programs that print an access token. They are measured where they are installed.
const PEER_PROGRAMS: &[(&str, DefaultCredential, &[&str])] = &[
    ("gcloud, as it comes", DefaultCredential::Gcloud, &["gcloud", "auth", "print-access-token"]),
    (
        "Python, google-auth",
        DefaultCredential::User,
        &[
            "python3",
            "-c",
            "import google.auth, google.auth.transport.requests as t\n\
             c, _ = google.auth.default()\nc.refresh(t.Request())\nprint(c.token)",
        ],
    ),
];

fn main() {
    let runs = runs();
    let (gauth, hello) = programs::build_programs();
    let key = PrivateKey::generate().and_then(|key| key.to_pem()).expect("a key");
    println!("{}", row(&["case", "median ms", "min", "max", "× hello", "target", "requests", "MiB"]));
    for case in CASES {
        println!("{}", measure(case, runs, &gauth, &hello, &key));
    }
    for (name, credential, args) in PEER_PROGRAMS {
        if let Some(line) = measure_peer(name, *credential, args, &hello, &key) {
            println!("{line}");
        }
    }
    let floor = TimingPairs::measure(&mut || time(&mut Command::new(&hello)), &mut || Duration::ZERO, runs);
    let size = std::fs::metadata(&gauth).expect("gauth").len() as f64 / 1_048_576.0;
    println!();
    println!(
        "hello {:.2} ms, at least {:.2}; {runs} pairs of each",
        floor.hello(),
        floor.0.iter().map(|pair| pair.0).fold(f64::INFINITY, f64::min)
    );
    println!("program {size:.2} MiB{}", over_suffix(size > MAX_PROGRAM_MIB));
}

fn runs() -> usize {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|arg| arg == "--runs") {
        Some(at) => args.get(at + 1).and_then(|count| count.parse().ok()).expect("--runs N"),
        None => DEFAULT_RUNS,
    }
}

fn row(columns: &[&str; 8]) -> String {
    let [name, rest @ ..] = columns;
    let rest: String = rest.iter().map(|column| format!(" | {column:>9}")).collect();
    format!("{name:<26}{rest}")
}

fn over_suffix(is: bool) -> &'static str {
    if is { " over" } else { "" }
}

fn measure(case: &Case, runs: usize, gauth: &Path, hello: &Path, key: &Secret) -> String {
    let sandbox = sandbox(case.credential, key);
    let mut hello = sandbox_command(&sandbox, hello.as_os_str(), &[]);
    let mut gauth_command = sandbox_command(&sandbox, gauth.as_os_str(), case.args);
    // The first run fills the cache, and the kernel caches the files.
    for _ in 0..3 {
        time(&mut gauth_command);
    }
    let before = requests(&sandbox);
    let pairs = TimingPairs::measure(&mut || time(&mut hello), &mut || time(&mut gauth_command), runs);
    let sent = requests(&sandbox) - before;
    let memory = peak_memory(&mut gauth_command);
    let target = case.target_ms / REFERENCE_HELLO_MS;
    let memory_over = case.requests == 0 && case.target_ms < 1.0 && memory > Some(MAX_MEMORY_MIB);
    row(&[
        case.name,
        &format!("{:.2}", pairs.median()),
        &format!("{:.2}", pairs.min()),
        &format!("{:.2}", pairs.max()),
        &format!("{:.2}", pairs.ratio()),
        &format!("{target:.1}{}", over_suffix(pairs.ratio() > target)),
        &format!("{:.1}{}", sent as f64 / runs as f64, over_suffix(sent != case.requests * runs)),
        &memory.map_or(String::new(), |memory| format!("{memory:.1}{}", over_suffix(memory_over))),
    ])
}

/// Measures another program; `None` where it is not installed or prints no token.
fn measure_peer(
    name: &str,
    credential: DefaultCredential,
    args: &[&str],
    hello: &Path,
    key: &Secret,
) -> Option<String> {
    let sandbox = sandbox(credential, key);
    let (program, args) = args.split_first()?;
    let mut peer = sandbox_command(&sandbox, program.as_ref(), args);
    if !peer.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut hello = sandbox_command(&sandbox, hello.as_os_str(), &[]);
    let before = requests(&sandbox);
    let pairs = TimingPairs::measure(&mut || time(&mut hello), &mut || time(&mut peer), PEER_RUNS);
    let sent = (requests(&sandbox) - before) as f64 / PEER_RUNS as f64;
    let [median, min, max] = [pairs.median(), pairs.min(), pairs.max()].map(|ms| format!("{ms:.0}"));
    let ratio = format!("{:.0}", pairs.ratio());
    Some(row(&[name, &median, &min, &max, &ratio, "", &format!("{sent:.1}"), ""]))
}

fn sandbox(credential: DefaultCredential, key: &Secret) -> RunningSandbox {
    let key = Some(Secret::new(key.expose()));
    Sandbox::start(SandboxOptions { key, default_credential: credential, ..SandboxOptions::default() })
        .expect("a sandbox")
}

/// The number of requests so far, to all endpoints.
fn requests(sandbox: &RunningSandbox) -> usize {
    gauth_sandbox::ROUTES.iter().map(|route| sandbox.request_count(route.name)).sum::<usize>()
        + sandbox.request_count("")
}

/// A program with only the sandbox's variables in its environment.
fn sandbox_command(sandbox: &RunningSandbox, program: &std::ffi::OsStr, args: &[&str]) -> Command {
    let caller = HostEnvironment { path: std::env::var_os("PATH"), no_proxy: None };
    let changes: Vec<EnvChange> = sandbox.environment(&caller).expect("an environment");
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_clear().env("HOME", sandbox.folder());
    command.envs(changes.into_iter().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// The time from starting the process to its end.
fn time(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    let duration = start.elapsed();
    assert!(status.success(), "{command:?} fails");
    duration
}

/// Times of hello and of another program in milliseconds, measured in turns so that the load is the same for both.
struct TimingPairs(Vec<(f64, f64)>);

impl TimingPairs {
    fn measure(hello: &mut dyn FnMut() -> Duration, other: &mut dyn FnMut() -> Duration, runs: usize) -> TimingPairs {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        TimingPairs((0..runs).map(|_| (millis(hello()), millis(other()))).collect())
    }

    fn hello(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.0))
    }

    fn median(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.1))
    }

    fn min(&self) -> f64 {
        self.0.iter().map(|pair| pair.1).fold(f64::INFINITY, f64::min)
    }

    fn max(&self) -> f64 {
        self.0.iter().map(|pair| pair.1).fold(0.0, f64::max)
    }

    fn ratio(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.1 / pair.0))
    }
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Peak resident memory in MiB, read while the program waits to write its result into a full pipe. The value that the kernel
/// reports at the end includes the parent's memory before the exec.
#[cfg(target_os = "linux")]
fn peak_memory(command: &mut Command) -> Option<f64> {
    use std::io::{Read, Write};
    const PIPE: usize = 65536;
    let (mut reader, mut writer) = std::io::pipe().ok()?;
    writer.write_all(&[0; PIPE]).ok()?;
    let mut child = command.stdout(writer).spawn().ok()?;
    std::thread::sleep(Duration::from_millis(100));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    // `command` holds its end of the pipe until it gets another standard output.
    command.stdout(Stdio::null());
    reader.read_to_end(&mut Vec::new()).ok()?;
    child.wait().ok()?;
    let status = status.ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

#[cfg(not(target_os = "linux"))]
fn peak_memory(_: &mut Command) -> Option<f64> {
    None
}
