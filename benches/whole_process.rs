//! Whole processes against the clock: hello, gauth, hello, gauth, …, inside a sandbox that this program serves.
//!
//! `cargo bench` prints the table of docs/performance.md; `cargo bench -- --runs 2000` takes more care. Nothing
//! fails here for being slow: times belong to a machine and its load. The gate is `instructions.rs`.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program about programs")]

mod programs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gauth::key::PrivateKey;
use gauth::secret::Secret;
use gauth::server::sandbox::environment::{Caller, First};
use gauth::server::sandbox::{self, Options, Running, Sandbox, cast};
use gauth::world::exec::Change;

/// The targets were set on a machine where hello takes this many milliseconds; here they are as many times hello.
const REFERENCE: f64 = 0.26;
/// Most memory of a run that finds its token in the cache, in MiB.
const MOST_MEMORY: f64 = 5.0;
/// Largest program, in MiB.
const LARGEST: f64 = 7.0;
/// Pairs of runs, unless `--runs` says otherwise.
const RUNS: usize = 300;
/// Others take seconds, not milliseconds.
const RUNS_OF_PEERS: usize = 3;

struct Case {
    name: &'static str,
    first: First,
    words: &'static [&'static str],
    /// Requests of one run.
    requests: usize,
    /// Milliseconds on the reference machine.
    target: f64,
}

const CASES: &[Case] = &[
    Case {
        name: "cached, credential file",
        first: First::ServiceAccount,
        words: &["token"],
        requests: 0,
        target: 0.39,
    },
    Case {
        name: "cached, gcloud's account",
        first: First::Gcloud,
        words: &["token"],
        requests: 0,
        target: 0.65,
    },
    Case {
        name: "new, service account",
        first: First::ServiceAccount,
        words: &["token", "--refresh"],
        requests: 1,
        target: 1.9,
    },
    Case {
        name: "new, user login",
        first: First::User,
        // With openid among the scopes the sandbox would sign an ID token as well, which takes longer than all the rest.
        words: &["token", "--refresh", "--scopes", "cloud-platform"],
        requests: 1,
        target: 0.7,
    },
    Case {
        name: "new, metadata server",
        first: First::Metadata,
        words: &["token", "--refresh"],
        requests: 1,
        target: 0.7,
    },
    Case {
        name: "cached, federated",
        first: First::ExternalAccount,
        words: &["token"],
        requests: 0,
        target: 0.39,
    },
    Case {
        name: "cached, impersonated",
        first: First::ExternalAccount,
        words: &["token", "--impersonate-service-account", cast::DEPLOYER],
        requests: 0,
        target: 0.39,
    },
    Case {
        name: "new, federated, acting as",
        first: First::ExternalAccount,
        words: &["token", "--refresh", "--impersonate-service-account", cast::DEPLOYER],
        requests: 2,
        target: 0.9,
    },
    Case {
        name: "new, self-signed JWT",
        first: First::ServiceAccount,
        words: &["token", "--self-signed", "--no-cache"],
        requests: 0,
        target: 1.8,
    },
];

/// Other programs that print an access token, where they are installed.
const PEERS: &[(&str, First, &[&str])] = &[
    ("gcloud, as it comes", First::Gcloud, &["gcloud", "auth", "print-access-token"]),
    (
        "Python, google-auth",
        First::User,
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
    let (gauth, hello) = programs::built();
    let key = PrivateKey::generate().and_then(|key| key.to_pem()).expect("a key");
    println!(
        "{}",
        row(&["case", "median ms", "min", "max", "× hello", "target", "requests", "MiB"])
    );
    for case in CASES {
        println!("{}", measure(case, runs, &gauth, &hello, &key));
    }
    for (name, first, words) in PEERS {
        if let Some(line) = measure_peer(name, *first, words, &hello, &key) {
            println!("{line}");
        }
    }
    let floor = Pairs::of(&mut || time(&mut Command::new(&hello)), &mut || Duration::ZERO, runs);
    let size = std::fs::metadata(&gauth).expect("gauth").len() as f64 / 1_048_576.0;
    println!();
    println!(
        "hello {:.2} ms, at least {:.2}; {runs} pairs of each",
        floor.hello(),
        floor.0.iter().map(|pair| pair.0).fold(f64::INFINITY, f64::min)
    );
    println!("program {size:.2} MiB{}", over(size > LARGEST));
}

fn runs() -> usize {
    let words: Vec<String> = std::env::args().collect();
    match words.iter().position(|word| word == "--runs") {
        Some(at) => words.get(at + 1).and_then(|count| count.parse().ok()).expect("--runs N"),
        None => RUNS,
    }
}

fn row(columns: &[&str; 8]) -> String {
    let [name, rest @ ..] = columns;
    let rest: String = rest.iter().map(|column| format!(" | {column:>9}")).collect();
    format!("{name:<26}{rest}")
}

fn over(is: bool) -> &'static str {
    if is { " over" } else { "" }
}

fn measure(case: &Case, runs: usize, gauth: &Path, hello: &Path, key: &Secret) -> String {
    let sandbox = sandbox(case.first, key);
    let mut hello = inside(&sandbox, hello.as_os_str(), &[]);
    let mut ours = inside(&sandbox, gauth.as_os_str(), case.words);
    // The first run fills the cache and warms the files.
    for _ in 0..3 {
        time(&mut ours);
    }
    let before = requests(&sandbox);
    let pairs = Pairs::of(&mut || time(&mut hello), &mut || time(&mut ours), runs);
    let sent = requests(&sandbox) - before;
    let memory = peak_memory(&mut ours);
    let target = case.target / REFERENCE;
    let memory_over = case.requests == 0 && case.target < 1.0 && memory > Some(MOST_MEMORY);
    row(&[
        case.name,
        &format!("{:.2}", pairs.median()),
        &format!("{:.2}", pairs.least()),
        &format!("{:.2}", pairs.most()),
        &format!("{:.2}", pairs.ratio()),
        &format!("{target:.1}{}", over(pairs.ratio() > target)),
        &format!("{:.1}{}", sent as f64 / runs as f64, over(sent != case.requests * runs)),
        &memory.map_or(String::new(), |memory| format!("{memory:.1}{}", over(memory_over))),
    ])
}

/// `None` where the program is not installed or does not give a token.
fn measure_peer(
    name: &str,
    first: First,
    words: &[&str],
    hello: &Path,
    key: &Secret,
) -> Option<String> {
    let sandbox = sandbox(first, key);
    let (program, words) = words.split_first()?;
    let mut peer = inside(&sandbox, program.as_ref(), words);
    if !peer.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut hello = inside(&sandbox, hello.as_os_str(), &[]);
    let before = requests(&sandbox);
    let pairs = Pairs::of(&mut || time(&mut hello), &mut || time(&mut peer), RUNS_OF_PEERS);
    let sent = (requests(&sandbox) - before) as f64 / RUNS_OF_PEERS as f64;
    let [median, least, most] =
        [pairs.median(), pairs.least(), pairs.most()].map(|ms| format!("{ms:.0}"));
    let ratio = format!("{:.0}", pairs.ratio());
    Some(row(&[name, &median, &least, &most, &ratio, "", &format!("{sent:.1}"), ""]))
}

fn sandbox(first: First, key: &Secret) -> Running {
    let key = Some(Secret::new(key.expose()));
    Sandbox::start(Options { key, first, ..Options::default() }).expect("a sandbox")
}

/// All requests so far, whatever they are for.
fn requests(sandbox: &Running) -> usize {
    sandbox::ROUTES.iter().map(|route| sandbox.count(route.name)).sum::<usize>() + sandbox.count("")
}

/// A program with the sandbox's variables and no others.
fn inside(sandbox: &Running, program: &std::ffi::OsStr, words: &[&str]) -> Command {
    let caller = Caller { path: std::env::var_os("PATH"), no_proxy: None };
    let changes: Vec<Change> = sandbox.environment(&caller).expect("an environment");
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_clear().env("HOME", sandbox.folder());
    command.envs(changes.into_iter().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// From the wish to the end of the process.
fn time(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    let took = start.elapsed();
    assert!(status.success(), "{command:?} fails");
    took
}

/// Times of hello and of another program, taken in turns so that both meet the same weather.
struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    fn of(
        hello: &mut dyn FnMut() -> Duration,
        other: &mut dyn FnMut() -> Duration,
        runs: usize,
    ) -> Pairs {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        Pairs((0..runs).map(|_| (millis(hello()), millis(other()))).collect())
    }

    fn hello(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.0))
    }

    fn median(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.1))
    }

    fn least(&self) -> f64 {
        self.0.iter().map(|pair| pair.1).fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
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

/// Peak resident memory in MiB, as the kernel has it while the program waits to write its result into a full pipe.
/// What the kernel reports at the end counts the parent's memory too, from before the exec.
#[cfg(target_os = "linux")]
fn peak_memory(command: &mut Command) -> Option<f64> {
    use std::io::{Read, Write};
    const PIPE: usize = 65536;
    let (mut reader, mut writer) = std::io::pipe().ok()?;
    writer.write_all(&[0; PIPE]).ok()?;
    let mut child = command.stdout(writer).spawn().ok()?;
    std::thread::sleep(Duration::from_millis(100));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    // The command keeps its end of the pipe until it gets another.
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
