//! Runs gauth inside the test, with nothing of the machine in it: a folder of its own, a clock that stands still, a
//! network that is a script. What must hold for every run is checked after every run.

pub(crate) mod browser;
mod leaks;
pub(crate) mod sample_credentials;
mod test_doubles;

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use gauth::cli;
use gauth_core::world::World;
use gauth_core::world::clock::Clock;
use gauth_core::world::env::Env;
use gauth_core::world::folders::Folders;
use gauth_core::world::streams::Streams;
use gauth_core::world::terminal::{ScriptedInput, Terminal};
use serde_json::Value;
use zeroize::Zeroizing;

use leaks::find_leaked_secret;
use test_doubles::{CapturedOutput, DeterministicRandom, ScriptedHttp, WriteHook};
pub(crate) use test_doubles::{
    ManualClock, MockExchange, SentRequest, get_response, iam_response, metadata_ping, metadata_response,
    post_response, put_response, sts_response, token_response, without_response,
};

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: i64 = 1_767_323_045;

/// A home folder and a clock, for one run or several.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    /// The time there.
    pub(crate) clock: Arc<ManualClock>,
}

impl Home {
    pub(crate) fn new() -> Rc<Home> {
        let folder = tempfile::tempdir().expect("a folder");
        Rc::new(Home { folder, clock: Arc::new(ManualClock::at_unix_seconds(NOW)) })
    }

    /// A path below the home folder.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A file of this user's, in folders of this user's.
    pub(crate) fn write(&self, below: &str, bytes: impl AsRef<[u8]>) {
        self.write_with_mode(below, bytes, 0o600);
    }

    pub(crate) fn write_with_mode(&self, below: &str, bytes: impl AsRef<[u8]>, mode: u32) {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let path = self.path(below);
        let folder = path.parent().expect("below the home folder");
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("its mode");
    }

    pub(crate) fn read(&self, below: &str) -> String {
        std::fs::read_to_string(self.path(below)).expect("a file")
    }

    pub(crate) fn read_json(&self, below: &str) -> Value {
        serde_json::from_str(&self.read(below)).expect("JSON")
    }

    /// The names in a folder, sorted; none when there is no such folder.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(below)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().into_string().expect("name")).collect();
        names.sort();
        names
    }

    /// The only entry of the cache.
    pub(crate) fn cache_entry(&self) -> PathBuf {
        let names = self.names(TOKEN_CACHE_FOLDER);
        let entries: Vec<&String> = names.iter().filter(|name| name.len() == 64).collect();
        assert_eq!(entries.len(), 1, "{names:?}");
        self.path(TOKEN_CACHE_FOLDER).join(entries[0])
    }

    /// Text with this folder called HOME.
    fn hide_home(&self, text: &str) -> String {
        text.replace(&*self.folder.path().to_string_lossy(), "HOME")
    }
}

/// The stored login of the sample user.
pub(crate) const LOGIN_FILE: &str = ".config/gauth/accounts/ada@example.com.json";

/// The folder with the overlay files of read-only logins.
pub(crate) const OVERLAY_FOLDER: &str = ".config/gauth/accounts/shadow";

/// The cache.
pub(crate) const TOKEN_CACHE_FOLDER: &str = ".config/gauth/tokens";
/// gcloud's folder.
#[cfg(feature = "gcloud-store")]
pub(crate) const GCLOUD_FOLDER: &str = ".config/gcloud";
/// The ADC file.
pub(crate) const ADC_FILE: &str = ".config/gcloud/application_default_credentials.json";

/// What came of a run.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub(crate) status: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What GitHub's runner was told to hide, in order; those lines are not in `stderr`.
    pub(crate) masks: Vec<String>,
    pub(crate) requests: Vec<SentRequest>,
    /// What the person at the terminal was asked.
    pub(crate) prompts: Vec<String>,
}

impl RunOutput {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON on standard output")
    }
}

type SetupStep = Box<dyn Fn(&Home)>;
type InputHook = Rc<dyn Fn(&Home)>;

/// A run that is being prepared, and what is expected of it.
pub(crate) struct Test {
    args: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    setup_steps: Vec<SetupStep>,
    exchanges: Vec<MockExchange>,
    stdin: Vec<u8>,
    home: Option<Rc<Home>>,
    secrets: Vec<String>,
    started: Option<i64>,
    is_interactive: bool,
    is_ci: bool,
    typed_lines: Vec<(String, InputHook)>,
    on_write: WriteHook,
    /// Any of these.
    expected_statuses: Vec<u8>,
    expected_stdout: Option<String>,
    expected_stderr: Option<String>,
    expected_errors: Vec<String>,
    expected_hints: Vec<String>,
    expected_warnings: Vec<String>,
    expected_notice: String,
}

impl Test {
    /// The words behind `gauth`, with `{home}` for the home folder.
    pub(crate) fn new(args: &str) -> Test {
        Test {
            args: args.split_whitespace().map(OsString::from).collect(),
            variables: Vec::new(),
            setup_steps: Vec::new(),
            exchanges: Vec::new(),
            stdin: Vec::new(),
            home: None,
            secrets: sample_credentials::PLANTED_SECRETS.iter().map(|secret| (*secret).to_owned()).collect(),
            started: None,
            is_interactive: false,
            is_ci: false,
            typed_lines: Vec::new(),
            on_write: Rc::new(|_| Ok(())),
            expected_statuses: vec![0],
            expected_stdout: None,
            expected_stderr: None,
            expected_errors: Vec::new(),
            expected_hints: Vec::new(),
            expected_warnings: Vec::new(),
            expected_notice: String::new(),
        }
    }

    /// In a home folder that other runs use as well.
    pub(crate) fn home(mut self, home: &Rc<Home>) -> Test {
        self.home = Some(Rc::clone(home));
        self
    }

    /// A word that may hold spaces or no text at all.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Test {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Test {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// A file below the home folder, 0600.
    pub(crate) fn file(self, below: &str, bytes: impl AsRef<[u8]>) -> Test {
        self.file_with_mode(below, bytes, 0o600)
    }

    pub(crate) fn file_with_mode(self, below: &str, bytes: impl AsRef<[u8]>, mode: u32) -> Test {
        let (below, bytes) = (below.to_owned(), bytes.as_ref().to_vec());
        self.setup(move |home| home.write_with_mode(&below, &bytes, mode))
    }

    /// The same of JSON, with `{home}` for the home folder.
    pub(crate) fn json(self, below: &str, value: &Value) -> Test {
        let (below, text) = (below.to_owned(), value.to_string());
        self.setup(move |home| {
            home.write(&below, text.replace("{home}", &home.folder.path().to_string_lossy()));
        })
    }

    /// The subject token of federated identities, in its file.
    pub(crate) fn subject_token_file(self) -> Test {
        self.file("subject", format!("{}\n", sample_credentials::SUBJECT_TOKEN))
    }

    /// Anything else that has to be done to the home folder first.
    pub(crate) fn setup(mut self, setup_step: impl Fn(&Home) + 'static) -> Test {
        self.setup_steps.push(Box::new(setup_step));
        self
    }

    /// The next request that is sent, and its answer.
    pub(crate) fn expect_request(mut self, exchange: MockExchange) -> Test {
        self.exchanges.push(exchange);
        self
    }

    /// The same several times over.
    pub(crate) fn expect_requests(mut self, times: usize, exchange: &MockExchange) -> Test {
        self.exchanges.extend(std::iter::repeat_n(exchange.clone(), times));
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Test {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// Another secret that must not be seen.
    pub(crate) fn secret(mut self, secret: &str) -> Test {
        self.secrets.push(secret.to_owned());
        self
    }

    /// The process began at this moment, in Unix milliseconds.
    pub(crate) fn started(mut self, started: i64) -> Test {
        self.started = Some(started);
        self
    }

    /// Somebody sits at a terminal.
    pub(crate) fn interactive(mut self) -> Test {
        self.is_interactive = true;
        self
    }

    /// There is a terminal, but nobody sits at it: this is CI.
    pub(crate) fn ci_terminal(mut self) -> Test {
        self.is_ci = true;
        self.interactive()
    }

    /// What is typed at the next question, which nobody may see.
    pub(crate) fn type_line(self, line: &str) -> Test {
        self.type_line_after(line, |_| {})
    }

    /// The same, once something else has happened.
    pub(crate) fn type_line_after(mut self, line: &str, before: impl Fn(&Home) + 'static) -> Test {
        self.typed_lines.push((line.to_owned(), Rc::new(before)));
        self.interactive()
    }

    /// What happens when something is printed, before it is.
    pub(crate) fn on_write(mut self, on_write: impl Fn(&Home) -> std::io::Result<()> + 'static) -> Test {
        self.on_write = Rc::new(on_write);
        self
    }

    pub(crate) fn expect_status(self, status: u8) -> Test {
        self.expect_any_status(&[status])
    }

    /// One of these.
    pub(crate) fn expect_any_status(mut self, statuses: &[u8]) -> Test {
        self.expected_statuses = statuses.to_vec();
        self
    }

    /// Standard output, whole.
    pub(crate) fn expect_stdout(mut self, stdout: &str) -> Test {
        self.expected_stdout = Some(stdout.to_owned());
        self
    }

    /// Standard error, whole.
    pub(crate) fn expect_stderr(mut self, stderr: &str) -> Test {
        self.expected_stderr = Some(stderr.to_owned());
        self
    }

    /// Words in the first line of an error.
    pub(crate) fn expect_error(mut self, text: &str) -> Test {
        self.expected_errors.push(text.to_owned());
        self
    }

    /// Words in its second line.
    pub(crate) fn expect_hint(mut self, text: &str) -> Test {
        self.expected_hints.push(text.to_owned());
        self
    }

    /// Words in a warning.
    pub(crate) fn expect_warning(mut self, text: &str) -> Test {
        self.expected_warnings.push(text.to_owned());
        self
    }

    /// What a person is told, in one piece: neither warning nor error.
    pub(crate) fn expect_notice(mut self, text: &str) -> Test {
        text.clone_into(&mut self.expected_notice);
        self
    }

    /// Runs it; without a home of its own, a second time with everything said that `-vv` says.
    #[track_caller]
    pub(crate) fn run(self) -> RunOutput {
        match &self.home {
            Some(home) => self.run_once(home, false),
            None => {
                let ran = self.run_once(&Home::new(), false);
                self.run_once(&Home::new(), true);
                ran
            }
        }
    }

    #[track_caller]
    fn run_once(&self, home: &Rc<Home>, very_verbose: bool) -> RunOutput {
        for step in &self.setup_steps {
            step(home);
        }
        let (stdout, stderr) = (CapturedOutput::new(&self.on_write, home), Rc::new(RefCell::new(Vec::new())));
        let http = ScriptedHttp::new(&self.exchanges, home);
        let requests = http.sent();
        let mut world = self.world(home, http, stdout.clone(), Rc::clone(&stderr), very_verbose);
        let (typist, prompts) = self.typist(home);
        world.terminal.scripted_input = Some(typist);
        let args = self.args(home.folder.path());
        let outcome = catch_unwind(AssertUnwindSafe(|| cli::run(&args, &world)));
        let stderr = String::from_utf8(stderr.take()).expect("text on standard error");
        let (masks, stderr) = self.masks(&stderr);
        let ran = RunOutput {
            masks,
            status: outcome.unwrap_or_else(|_| panic!("{:?} panicked\n{stderr}", self.args)).0,
            stdout: home.hide_home(&String::from_utf8(stdout.take()).expect("text")),
            stderr: home.hide_home(&stderr),
            requests: requests.take(),
            prompts: prompts.take(),
        };
        // The next process begins later than this one ended.
        home.clock.sleep(std::time::Duration::from_millis(1));
        assert_eq!(ran.requests.len(), self.exchanges.len(), "requests: {ran:#?}");
        assert_eq!(ran.prompts.len(), self.typed_lines.len(), "questions: {ran:#?}");
        self.check(&ran, very_verbose);
        ran
    }

    /// Types what the case says, and keeps the questions.
    fn typist(&self, home: &Rc<Home>) -> (ScriptedInput, Rc<RefCell<Vec<String>>>) {
        let prompts: Rc<RefCell<Vec<String>>> = Rc::default();
        let (typed_lines, home, recorded_prompts) = (self.typed_lines.clone(), Rc::clone(home), Rc::clone(&prompts));
        let typist = move |question: &str| {
            let number = recorded_prompts.borrow().len();
            let next = typed_lines.get(number);
            let (line, before) = next.unwrap_or_else(|| panic!("unexpected: {question}"));
            recorded_prompts.borrow_mut().push(question.to_owned());
            before(&home);
            Zeroizing::new(line.clone())
        };
        (Box::new(typist), prompts)
    }

    /// What the runner of GitHub Actions takes out of standard error, and what it leaves.
    fn masks(&self, stderr: &str) -> (Vec<String>, String) {
        let on_github = self.variables.iter().any(|(name, value)| name == "GITHUB_ACTIONS" && value == "true");
        let command = |line: &&str| on_github && line.starts_with("::add-mask::");
        let (masks, rest): (Vec<&str>, Vec<&str>) = stderr.split_inclusive('\n').partition(command);
        let value = |line: &str| line.trim_end().replacen("::add-mask::", "", 1);
        (masks.into_iter().map(value).collect(), rest.concat())
    }

    fn args(&self, home: &Path) -> Vec<OsString> {
        let expand_home = |word: &OsString| replace_home(word, home);
        std::iter::once(OsString::from("gauth")).chain(self.args.iter().map(expand_home)).collect()
    }

    fn world(
        &self,
        home: &Rc<Home>,
        http: ScriptedHttp,
        stdout: CapturedOutput,
        stderr: Rc<RefCell<Vec<u8>>>,
        very_verbose: bool,
    ) -> World {
        let expand_home = |value: &OsString| replace_home(value, home.folder.path());
        let mut variables = std::collections::BTreeMap::new();
        variables.insert("HOME".to_owned(), home.folder.path().into());
        if very_verbose {
            variables.insert("GAUTH_LOG".to_owned(), "2".into());
        }
        variables.extend(self.variables.iter().map(|(name, value)| (name.clone(), expand_home(value))));
        let env = Env::Fixed(variables);
        let mut folders = Folders::from_env(&env);
        folders.system_root = home.path("root");
        let mut terminal = Terminal::captured(stderr);
        let columns = env.text(&gauth_core::world::env::COLUMNS).expect("text");
        terminal.width = columns.map_or(80, |columns| columns.parse().expect("a number"));
        let input = Box::new(std::io::Cursor::new(self.stdin.clone()));
        let mut streams = Streams::from_parts(input, Box::new(stdout));
        (terminal.may_prompt, terminal.is_terminal) = (self.is_interactive && !self.is_ci, self.is_interactive);
        streams.stdin_is_terminal = self.is_interactive;
        World {
            folders,
            terminal,
            streams,
            http: Box::new(http),
            random: Box::new(DeterministicRandom::default()),
            started_at_millis: self.started.unwrap_or_else(|| home.clock.millis()),
            clock: Arc::clone(&home.clock) as Arc<dyn Clock>,
            env,
        }
    }

    /// What the case asks for, and what holds for every run.
    #[track_caller]
    fn check(&self, ran: &RunOutput, very_verbose: bool) {
        assert!(self.expected_statuses.contains(&ran.status), "not {:?}: {ran:#?}", self.expected_statuses);
        let mut secrets = self.secrets.clone();
        secrets.extend(self.typed_lines.iter().map(|(line, _)| line.clone()));
        secrets.extend(self.exchanges.iter().flat_map(MockExchange::secrets));
        secrets.extend(ran.requests.iter().flat_map(SentRequest::secrets));
        if let Some(leaked) = find_leaked_secret(ran.stderr.as_bytes(), &secrets) {
            panic!("{leaked} is on standard error: {ran:#?}");
        }
        let report_commands = ["status", "whoami", "cache", "inspect", "accounts", "logout"];
        if self.args.iter().any(|arg| report_commands.iter().any(|report| arg == report))
            && let Some(leaked) = find_leaked_secret(ran.stdout.as_bytes(), &secrets)
        {
            panic!("{leaked} is in a report: {ran:#?}");
        }
        let odd = |letter: char| letter.is_control() && letter != '\n';
        assert!(!ran.stderr.contains(odd), "control characters: {ran:#?}");
        assert!(ran.stderr.contains(&self.expected_notice), "not told {:?}: {ran:#?}", self.expected_notice);
        let warning = |line: &&str| line.starts_with("gauth: warning: ");
        // A hint may go on in lines that are indented as far as its first.
        let notices = ran.stderr.replacen(&self.expected_notice, "", 1).replace("\n     ", " ");
        let (warnings, other): (Vec<&str>, Vec<&str>) = notices.lines().partition(warning);
        for text in &self.expected_warnings {
            assert!(warnings.iter().any(|line| line.contains(text)), "no {text:?} in {ran:#?}");
        }
        match ran.status {
            0 => assert!(ran.stdout.ends_with('\n'), "{ran:#?}"),
            // A report all the same.
            10 => assert!(ran.stdout.contains("not valid: ") || ran.json()["valid"] == false),
            // Nobody reads any more, and nobody is told.
            141 => assert!(very_verbose || ran.stderr.is_empty(), "{ran:#?}"),
            _ => self.check_failure(ran, &other, very_verbose),
        }
        if let Some(stdout) = &self.expected_stdout {
            assert_eq!(&ran.stdout, stdout, "{ran:#?}");
        }
        if very_verbose || self.args.iter().any(|arg| arg == "-v" || arg == "-vv") {
            return;
        }
        if let Some(stderr) = &self.expected_stderr {
            assert_eq!(&ran.stderr, stderr);
        }
        if matches!(ran.status, 0 | 10) {
            assert!(other.is_empty() || self.expected_stderr.is_some(), "{ran:#?}");
            assert!(self.expected_warnings.len() >= warnings.len() || self.expected_stderr.is_some(), "{ran:#?}");
        }
    }

    #[track_caller]
    fn check_failure(&self, ran: &RunOutput, lines: &[&str], very_verbose: bool) {
        assert_eq!(ran.stdout, "", "{ran:#?}");
        let [before @ .., first, second] = lines else { panic!("no two lines: {ran:#?}") };
        let verbose = very_verbose || self.variables.iter().any(|(name, _)| name == "GAUTH_LOG");
        let verbose = verbose || self.args.iter().any(|arg| arg == "-v" || arg == "-vv");
        assert!(before.is_empty() || verbose, "more than two lines: {ran:#?}");
        let message = first.strip_prefix("gauth: ").unwrap_or_else(|| panic!("{ran:#?}"));
        let hint = second.strip_prefix("try: ").unwrap_or_else(|| panic!("{ran:#?}"));
        assert!(!message.is_empty() && !hint.is_empty(), "{ran:#?}");
        assert!(!message.ends_with('.') && !hint.ends_with('.'), "a full stop: {ran:#?}");
        for text in &self.expected_errors {
            assert!(message.contains(text), "no {text:?} in {ran:#?}");
        }
        for text in &self.expected_hints {
            assert!(hint.contains(text), "no {text:?} in {ran:#?}");
        }
    }
}

/// A word or value with `{home}` replaced; what is no text stays as it is.
fn replace_home(value: &OsString, home: &Path) -> OsString {
    match value.to_str() {
        Some(text) => text.replace("{home}", &home.to_string_lossy()).into(),
        None => value.clone(),
    }
}

/// Every mode of a folder's entries, for those who look for one that is too open.
pub(crate) fn collect_modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let metadata = entry.metadata().expect("metadata");
        found.push((entry.path(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            collect_modes(&entry.path(), found);
        }
    }
}
