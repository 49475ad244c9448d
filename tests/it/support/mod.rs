//! Runs gauth inside the test, with nothing of the machine in it: a folder of its own, a clock that stands still, a
//! network that is a script. What must hold for every run is checked after every run.

pub(crate) mod browser;
mod doubles;
pub(crate) mod samples;

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use gauth::cli;
use gauth::world::World;
use gauth::world::clock::Clock;
use gauth::world::env::Env;
use gauth::world::folders::Folders;
use gauth::world::streams::Streams;
use gauth::world::terminal::{Terminal, Typist};
use serde_json::Value;
use zeroize::Zeroizing;

pub(crate) use doubles::{
    Exchange, Hand, Sent, get, iam, metadata, nothing, ping, post, put, sts, token,
};
use doubles::{Kept, Printing, Script, Seeded};

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: i64 = 1_767_323_045;

/// A home folder and a clock, for one run or several.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    /// The time there.
    pub(crate) clock: Arc<Hand>,
}

impl Home {
    pub(crate) fn new() -> Rc<Home> {
        let folder = tempfile::tempdir().expect("a folder");
        Rc::new(Home { folder, clock: Arc::new(Hand::at(NOW)) })
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

    /// The names in a folder, sorted; none when there is no such folder.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(below)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("entry").file_name().into_string().expect("name"))
            .collect();
        names.sort();
        names
    }

    /// The only entry of the cache.
    pub(crate) fn entry(&self) -> PathBuf {
        let names = self.names(TOKENS);
        let entries: Vec<&String> = names.iter().filter(|name| name.len() == 64).collect();
        assert_eq!(entries.len(), 1, "{names:?}");
        self.path(TOKENS).join(entries[0])
    }

    /// Text with this folder called HOME.
    fn shown(&self, text: &str) -> String {
        text.replace(&*self.folder.path().to_string_lossy(), "HOME")
    }
}

/// The cache.
pub(crate) const TOKENS: &str = ".config/gauth/tokens";
/// gcloud's folder.
#[cfg(feature = "gcloud-store")]
pub(crate) const GCLOUD: &str = ".config/gcloud";
/// The ADC file.
pub(crate) const ADC: &str = ".config/gcloud/application_default_credentials.json";

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What GitHub's runner was told to hide, in order; those lines are not in `stderr`.
    pub(crate) masks: Vec<String>,
    pub(crate) sent: Vec<Sent>,
    /// What the person at the terminal was asked.
    pub(crate) asked: Vec<String>,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON on standard output")
    }
}

type Step = Box<dyn Fn(&Home)>;
type Typing = Rc<dyn Fn(&Home)>;

/// A run that is being prepared, and what is expected of it.
pub(crate) struct Test {
    words: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    steps: Vec<Step>,
    script: Vec<Exchange>,
    input: Vec<u8>,
    home: Option<Rc<Home>>,
    secrets: Vec<String>,
    started: Option<i64>,
    attended: bool,
    ci: bool,
    typed: Vec<(String, Typing)>,
    printing: Printing,
    /// Any of these.
    status: Vec<u8>,
    stdout: Option<String>,
    stderr: Option<String>,
    says: Vec<String>,
    tries: Vec<String>,
    warns: Vec<String>,
    tells: String,
}

impl Test {
    /// The words behind `gauth`, with `{home}` for the home folder.
    pub(crate) fn new(words: &str) -> Test {
        Test {
            words: words.split_whitespace().map(OsString::from).collect(),
            variables: Vec::new(),
            steps: Vec::new(),
            script: Vec::new(),
            input: Vec::new(),
            home: None,
            secrets: samples::SECRETS.iter().map(|secret| (*secret).to_owned()).collect(),
            started: None,
            attended: false,
            ci: false,
            typed: Vec::new(),
            printing: Rc::new(|_| Ok(())),
            status: vec![0],
            stdout: None,
            stderr: None,
            says: Vec::new(),
            tries: Vec::new(),
            warns: Vec::new(),
            tells: String::new(),
        }
    }

    /// In a home folder that other runs use as well.
    pub(crate) fn home(mut self, home: &Rc<Home>) -> Test {
        self.home = Some(Rc::clone(home));
        self
    }

    /// A word that may hold spaces or no text at all.
    pub(crate) fn word(mut self, word: impl AsRef<OsStr>) -> Test {
        self.words.push(word.as_ref().to_owned());
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
        self.step(move |home| home.write_with_mode(&below, &bytes, mode))
    }

    /// The same of JSON, with `{home}` for the home folder.
    pub(crate) fn json(self, below: &str, value: &Value) -> Test {
        let (below, text) = (below.to_owned(), value.to_string());
        self.step(move |home| {
            home.write(&below, text.replace("{home}", &home.folder.path().to_string_lossy()));
        })
    }

    /// The subject token of federated identities, in its file.
    pub(crate) fn subject(self) -> Test {
        self.file("subject", format!("{}\n", samples::SUBJECT))
    }

    /// Anything else that has to be done to the home folder first.
    pub(crate) fn step(mut self, step: impl Fn(&Home) + 'static) -> Test {
        self.steps.push(Box::new(step));
        self
    }

    /// The next request that is sent, and its answer.
    pub(crate) fn google(mut self, exchange: Exchange) -> Test {
        self.script.push(exchange);
        self
    }

    /// The same several times over.
    pub(crate) fn google_times(mut self, times: usize, exchange: &Exchange) -> Test {
        self.script.extend(std::iter::repeat_n(exchange.clone(), times));
        self
    }

    pub(crate) fn input(mut self, bytes: impl AsRef<[u8]>) -> Test {
        self.input = bytes.as_ref().to_vec();
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
    pub(crate) fn attended(mut self) -> Test {
        self.attended = true;
        self
    }

    /// There is a terminal, but nobody sits at it: this is CI.
    pub(crate) fn unattended_terminal(mut self) -> Test {
        self.ci = true;
        self.attended()
    }

    /// What is typed at the next question, which nobody may see.
    pub(crate) fn types(self, line: &str) -> Test {
        self.types_after(line, |_| {})
    }

    /// The same, once something else has happened.
    pub(crate) fn types_after(mut self, line: &str, before: impl Fn(&Home) + 'static) -> Test {
        self.typed.push((line.to_owned(), Rc::new(before)));
        self.attended()
    }

    /// What happens when something is printed, before it is.
    pub(crate) fn printing(
        mut self,
        printing: impl Fn(&Home) -> std::io::Result<()> + 'static,
    ) -> Test {
        self.printing = Rc::new(printing);
        self
    }

    pub(crate) fn status(self, status: u8) -> Test {
        self.any_status(&[status])
    }

    /// One of these.
    pub(crate) fn any_status(mut self, status: &[u8]) -> Test {
        self.status = status.to_vec();
        self
    }

    /// Standard output, whole.
    pub(crate) fn stdout(mut self, stdout: &str) -> Test {
        self.stdout = Some(stdout.to_owned());
        self
    }

    /// Standard error, whole.
    pub(crate) fn stderr(mut self, stderr: &str) -> Test {
        self.stderr = Some(stderr.to_owned());
        self
    }

    /// Words in the first line of an error.
    pub(crate) fn says(mut self, words: &str) -> Test {
        self.says.push(words.to_owned());
        self
    }

    /// Words in its second line.
    pub(crate) fn tries(mut self, words: &str) -> Test {
        self.tries.push(words.to_owned());
        self
    }

    /// Words in a warning.
    pub(crate) fn warns(mut self, words: &str) -> Test {
        self.warns.push(words.to_owned());
        self
    }

    /// What a person is told, in one piece: neither warning nor error.
    pub(crate) fn tells(mut self, text: &str) -> Test {
        text.clone_into(&mut self.tells);
        self
    }

    /// Runs it; without a home of its own, a second time with everything said that `-vv` says.
    #[track_caller]
    pub(crate) fn run(self) -> Ran {
        match &self.home {
            Some(home) => self.once(home, false),
            None => {
                let ran = self.once(&Home::new(), false);
                self.once(&Home::new(), true);
                ran
            }
        }
    }

    #[track_caller]
    fn once(&self, home: &Rc<Home>, loud: bool) -> Ran {
        for step in &self.steps {
            step(home);
        }
        let (stdout, stderr) = (Kept::new(&self.printing, home), Rc::new(RefCell::new(Vec::new())));
        let script = Script::new(&self.script, home);
        let sent = script.sent();
        let mut world = self.world(home, script, stdout.clone(), Rc::clone(&stderr), loud);
        let (typist, asked) = self.typist(home);
        world.terminal.typist = Some(typist);
        let words = self.words(home.folder.path());
        let outcome = catch_unwind(AssertUnwindSafe(|| cli::run(&words, &world)));
        let stderr = String::from_utf8(stderr.take()).expect("text on standard error");
        let (masks, stderr) = self.masks(&stderr);
        let ran = Ran {
            masks,
            status: outcome.unwrap_or_else(|_| panic!("{:?} panicked\n{stderr}", self.words)).0,
            stdout: home.shown(&String::from_utf8(stdout.take()).expect("text")),
            stderr: home.shown(&stderr),
            sent: sent.take(),
            asked: asked.take(),
        };
        // The next process begins later than this one ended.
        home.clock.sleep(std::time::Duration::from_millis(1));
        assert_eq!(ran.sent.len(), self.script.len(), "requests: {ran:#?}");
        assert_eq!(ran.asked.len(), self.typed.len(), "questions: {ran:#?}");
        self.check(&ran, loud);
        ran
    }

    /// Types what the case says, and keeps the questions.
    fn typist(&self, home: &Rc<Home>) -> (Typist, Rc<RefCell<Vec<String>>>) {
        let asked: Rc<RefCell<Vec<String>>> = Rc::default();
        let (typed, home, kept) = (self.typed.clone(), Rc::clone(home), Rc::clone(&asked));
        let typist = move |question: &str| {
            let number = kept.borrow().len();
            let next = typed.get(number);
            let (line, before) = next.unwrap_or_else(|| panic!("unexpected: {question}"));
            kept.borrow_mut().push(question.to_owned());
            before(&home);
            Zeroizing::new(line.clone())
        };
        (Box::new(typist), asked)
    }

    /// What the runner of GitHub Actions takes out of standard error, and what it leaves.
    fn masks(&self, stderr: &str) -> (Vec<String>, String) {
        let on_github =
            self.variables.iter().any(|(name, value)| name == "GITHUB_ACTIONS" && value == "true");
        let command = |line: &&str| on_github && line.starts_with("::add-mask::");
        let (masks, rest): (Vec<&str>, Vec<&str>) = stderr.split_inclusive('\n').partition(command);
        let value = |line: &str| line.trim_end().replacen("::add-mask::", "", 1);
        (masks.into_iter().map(value).collect(), rest.concat())
    }

    fn words(&self, home: &Path) -> Vec<OsString> {
        let place = |word: &OsString| replace_home(word, home);
        std::iter::once(OsString::from("gauth")).chain(self.words.iter().map(place)).collect()
    }

    fn world(
        &self,
        home: &Rc<Home>,
        script: Script,
        stdout: Kept,
        stderr: Rc<RefCell<Vec<u8>>>,
        loud: bool,
    ) -> World {
        let at_home = |value: &OsString| replace_home(value, home.folder.path());
        let mut variables = std::collections::BTreeMap::new();
        variables.insert("HOME".to_owned(), home.folder.path().into());
        if loud {
            variables.insert("GAUTH_LOG".to_owned(), "2".into());
        }
        variables.extend(self.variables.iter().map(|(name, value)| (name.clone(), at_home(value))));
        let env = Env::Fixed(variables);
        let mut folders = Folders::of(&env);
        folders.root = home.path("root");
        let mut terminal = Terminal::captured(stderr);
        let columns = env.text(&gauth::world::env::COLUMNS).expect("text");
        terminal.width = columns.map_or(80, |columns| columns.parse().expect("a number"));
        let input = Box::new(std::io::Cursor::new(self.input.clone()));
        let mut streams = Streams::other(input, Box::new(stdout));
        (terminal.attended, terminal.is_terminal) = (self.attended && !self.ci, self.attended);
        streams.in_is_terminal = self.attended;
        World {
            folders,
            terminal,
            streams,
            http: Box::new(script),
            random: Box::new(Seeded::default()),
            started: self.started.unwrap_or_else(|| home.clock.millis()),
            clock: Arc::clone(&home.clock) as Arc<dyn Clock>,
            env,
        }
    }

    /// What the case asks for, and what holds for every run.
    #[track_caller]
    fn check(&self, ran: &Ran, loud: bool) {
        assert!(self.status.contains(&ran.status), "not {:?}: {ran:#?}", self.status);
        let mut secrets = self.secrets.clone();
        secrets.extend(self.typed.iter().map(|(line, _)| line.clone()));
        secrets.extend(self.script.iter().flat_map(Exchange::secrets));
        secrets.extend(ran.sent.iter().flat_map(Sent::secrets));
        if let Some(leaked) = leak(&ran.stderr, &secrets) {
            panic!("{leaked} is on standard error: {ran:#?}");
        }
        let reports = ["status", "whoami", "cache", "inspect", "accounts", "logout"];
        if self.words.iter().any(|word| reports.iter().any(|report| word == report))
            && let Some(leaked) = leak(&ran.stdout, &secrets)
        {
            panic!("{leaked} is in a report: {ran:#?}");
        }
        let odd = |letter: char| letter.is_control() && letter != '\n';
        assert!(!ran.stderr.contains(odd), "control characters: {ran:#?}");
        assert!(ran.stderr.contains(&self.tells), "not told {:?}: {ran:#?}", self.tells);
        let warning = |line: &&str| line.starts_with("gauth: warning: ");
        // A hint may go on in lines that are indented as far as its first.
        let said = ran.stderr.replacen(&self.tells, "", 1).replace("\n     ", " ");
        let (warnings, other): (Vec<&str>, Vec<&str>) = said.lines().partition(warning);
        for words in &self.warns {
            assert!(warnings.iter().any(|line| line.contains(words)), "no {words:?} in {ran:#?}");
        }
        match ran.status {
            0 => assert!(ran.stdout.ends_with('\n'), "{ran:#?}"),
            // A report all the same.
            10 => assert!(ran.stdout.contains("not valid: ") || ran.json()["valid"] == false),
            // Nobody reads any more, and nobody is told.
            141 => assert!(loud || ran.stderr.is_empty(), "{ran:#?}"),
            _ => self.check_failure(ran, &other, loud),
        }
        if let Some(stdout) = &self.stdout {
            assert_eq!(&ran.stdout, stdout, "{ran:#?}");
        }
        if loud || self.words.iter().any(|word| word == "-v" || word == "-vv") {
            return;
        }
        if let Some(stderr) = &self.stderr {
            assert_eq!(&ran.stderr, stderr);
        }
        if matches!(ran.status, 0 | 10) {
            assert!(other.is_empty() || self.stderr.is_some(), "{ran:#?}");
            assert!(self.warns.len() >= warnings.len() || self.stderr.is_some(), "{ran:#?}");
        }
    }

    #[track_caller]
    fn check_failure(&self, ran: &Ran, lines: &[&str], loud: bool) {
        assert_eq!(ran.stdout, "", "{ran:#?}");
        let [before @ .., first, second] = lines else { panic!("no two lines: {ran:#?}") };
        let verbose = loud || self.variables.iter().any(|(name, _)| name == "GAUTH_LOG");
        let verbose = verbose || self.words.iter().any(|word| word == "-v" || word == "-vv");
        assert!(before.is_empty() || verbose, "more than two lines: {ran:#?}");
        let message = first.strip_prefix("gauth: ").unwrap_or_else(|| panic!("{ran:#?}"));
        let hint = second.strip_prefix("try: ").unwrap_or_else(|| panic!("{ran:#?}"));
        assert!(!message.is_empty() && !hint.is_empty(), "{ran:#?}");
        assert!(!message.ends_with('.') && !hint.ends_with('.'), "a full stop: {ran:#?}");
        for words in &self.says {
            assert!(message.contains(words), "no {words:?} in {ran:#?}");
        }
        for words in &self.tries {
            assert!(hint.contains(words), "no {words:?} in {ran:#?}");
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

/// The first of the secrets that `text` shows, plain, percent-encoded or in base64.
fn leak<'a>(text: &str, secrets: &'a [String]) -> Option<&'a str> {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let shows = |secret: &str| {
        let percent: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        // The last letters of base64 depend on what follows.
        let packed = [STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
        text.contains(secret)
            || text.contains(&percent)
            || packed.iter().any(|packed| text.contains(&packed[..packed.len() - 2]))
    };
    secrets
        .iter()
        .map(String::as_str)
        .filter(|secret| secret.len() >= 8)
        .find(|secret| shows(secret))
}

/// Every mode of a folder's entries, for those who look for one that is too open.
pub(crate) fn modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let about = entry.metadata().expect("metadata");
        found.push((entry.path(), about.permissions().mode() & 0o777));
        if about.is_dir() {
            modes(&entry.path(), found);
        }
    }
}

#[test]
fn the_detector_finds_a_secret_in_every_spelling() {
    let secrets = ["s3cret/with+odd".to_owned()];
    for line in ["s3cret/with+odd", "x=s3cret%2Fwith%2Bodd&", "czNjcmV0L3dpdGgrb2Rk"] {
        assert!(leak(line, &secrets).is_some(), "{line}");
    }
    assert_eq!(leak("nothing of the kind", &secrets), None);
}
