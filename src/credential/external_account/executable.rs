//! Subject tokens printed by a program (AIP-4117). A credential file that names one is as powerful as the program:
//! it is run only where a variable allows it, without a shell, and what it prints is never shown.

pub(crate) mod response;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::broker::Broker;
use crate::cache::KeyDigest;
use crate::credential::external_account::provider::Provider;
use crate::credential::external_account::{Pool, SubjectSource};
use crate::credential::{AGAIN, Setting};
use crate::error::{Error, Result, io_reason};
use crate::google::sts::token_type;
use crate::json::Fields;
use crate::secret::{Secret, looks_like_content};
use crate::world::World;
use crate::world::env;
use crate::world::exec::{self, Change, Failure};
use crate::{printable, private_file};
use response::{Kind, Response, Unusable};

/// How long a program may take when nothing is said, or 0.
const USUAL_LIMIT: Duration = Duration::from_secs(30);
/// The least and the most that may be said, in milliseconds.
const LIMITS: std::ops::RangeInclusive<u32> = 5_000..=120_000;
/// The same where a person answers.
const INTERACTIVE_LIMITS: std::ops::RangeInclusive<u32> = 30_000..=1_800_000;

/// A program, and the file it may leave its answer in.
struct Executable {
    /// As it is written, for the cache key.
    command: String,
    /// The program and its arguments; never empty.
    words: Vec<OsString>,
    limit: Duration,
    /// How long it may take where a person answers; `None`: nobody is asked.
    interactive_limit: Option<Duration>,
    output_file: Option<PathBuf>,
}

/// Reads the fields of the source.
///
/// # Errors
/// Malformed, naming the field.
pub(super) fn parse(
    mut source: Fields,
    _: &Pool,
    setting: &Setting,
) -> Result<Box<dyn SubjectSource>> {
    let malformed =
        |what: String| setting.malformed(format!("credential_source.{what}")).hint(AGAIN);
    let fields = source.object("executable").map_err(malformed)?;
    let mut fields = fields.ok_or_else(|| malformed("executable is missing".to_owned()))?;
    let malformed = |what: String| malformed(format!("executable.{what}"));
    let command = fields.needed("command").map_err(malformed)?;
    let words = words(&command).map_err(|what| malformed(format!("command {what}")))?;
    let limit = millis(&mut fields, "timeout_millis", LIMITS).map_err(malformed)?;
    let interactive_limit =
        millis(&mut fields, "interactive_timeout_millis", INTERACTIVE_LIMITS).map_err(malformed)?;
    let output_file = fields.text("output_file").map_err(malformed)?;
    let output_file = output_file.filter(|path| !path.is_empty());
    if output_file.as_ref().is_some_and(|path| path.contains('\0')) {
        return Err(malformed("output_file has a zero byte".to_owned()));
    }
    Ok(Box::new(Executable {
        command,
        words,
        limit: limit.unwrap_or(USUAL_LIMIT),
        // Its answer can only be in the file.
        interactive_limit: interactive_limit.filter(|_| output_file.is_some()),
        output_file: output_file.map(PathBuf::from),
    }))
}

fn words(command: &str) -> std::result::Result<Vec<OsString>, String> {
    let words = words::split(command)?;
    if command.contains('\0') {
        return Err("has a zero byte".to_owned());
    }
    match words.first().is_some_and(|program| !program.is_empty()) {
        true => Ok(words.into_iter().map(OsString::from).collect()),
        false => Err("names no program".to_owned()),
    }
}

/// A time within bounds, in milliseconds; 0 is as good as nothing.
fn millis(
    fields: &mut Fields,
    name: &str,
    bounds: std::ops::RangeInclusive<u32>,
) -> std::result::Result<Option<Duration>, String> {
    if fields.rest().get(name).and_then(serde_json::Value::as_u64) == Some(0) {
        return Ok(None);
    }
    let millis = fields.number(name, bounds)?;
    Ok(millis.map(|millis| Duration::from_millis(millis.into())))
}

impl SubjectSource for Executable {
    fn name(&self) -> &'static str {
        "executable"
    }

    fn place(&self) -> String {
        printable::os(self.program())
    }

    fn identify(&self, digest: &mut KeyDigest) {
        digest.field("executable");
        digest.field(&self.command);
        digest.optional(self.output_file.as_ref().and_then(|path| path.to_str()));
    }

    fn subject_token(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Secret> {
        self.check_allowed(pool, broker.world)?;
        if let Some(kept) = self.kept(pool, broker)? {
            return Ok(kept.token);
        }
        let printed = broker.outside(|| self.run(pool, broker))?;
        let answer = match printed.trim_ascii().is_empty() {
            true => self.left_in_file().unwrap_or(printed),
            false => printed,
        };
        let response = response::read(&answer, broker.now(), self.output_file.is_some())
            .map_err(|unusable| self.unusable(pool, &unusable))?;
        match suits(&response, pool) {
            true => Ok(response.token),
            false => Err(self.mismatch(pool)),
        }
    }
}

impl Executable {
    fn program(&self) -> &OsStr {
        self.words.first().map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// The program, for errors.
    fn asked(&self, pool: &Pool) -> String {
        format!("{} (subject token of {})", self.place(), pool.place)
    }

    /// The file is not read either: whoever may not have the program run may not choose that file.
    fn check_allowed(&self, pool: &Pool, world: &World) -> Result<()> {
        let variable = env::GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES;
        if world.env.raw(&variable).is_some_and(|value| value == "1") {
            return Ok(());
        }
        let (place, name) = (&pool.place, variable.name);
        Err(Error::not_safe(format!(
            "{place}: credential_source.executable names the program {}, and {name} is not 1",
            self.place()
        ))
        .hint(format!("export {name}=1, if you trust the program and whoever wrote {place}")))
    }

    /// What an earlier run left in the file, while it lasts.
    fn kept(&self, pool: &Pool, broker: &Broker<'_>) -> Result<Option<Response>> {
        let (Some(path), Some(bytes)) = (&self.output_file, self.left_in_file()) else {
            return Ok(None);
        };
        let place = printable::path(path);
        match response::read(&bytes, broker.now(), true) {
            Ok(response) if suits(&response, pool) => {
                broker.world.terminal.note(|| format!("the answer in {place} is used"));
                Ok(Some(response))
            }
            Ok(_) => Ok(None),
            Err(Unusable { kind: Kind::Shape, what }) => {
                let place = format!("{place} (output_file of {})", pool.place);
                Err(Error::malformed(&place, what).hint(format!(
                    "remove {}, which {} writes anew",
                    printable::path(path),
                    self.place()
                )))
            }
            Err(unusable) => {
                let what = unusable.what;
                broker.world.terminal.note(|| format!("the answer in {place} {what}"));
                Ok(None)
            }
        }
    }

    /// What is in the file, if it is one. A pipe is the program's to write to, and not ours to wait for.
    fn left_in_file(&self) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        let path: &Path = self.output_file.as_deref()?;
        match std::fs::metadata(path).is_ok_and(|about| about.is_file()) {
            true => private_file::read_named(path, exec::LARGEST).ok(),
            false => None,
        }
    }

    fn run(&self, pool: &Pool, broker: &Broker<'_>) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let world = broker.world;
        if !Path::new(self.program()).is_absolute() {
            world.terminal.warn(&format!(
                "{}: the program {} has no absolute path, so another one may be run in its place",
                pool.place,
                self.place()
            ));
        }
        let for_people = self.interactive_limit.filter(|_| is_answered(pool, broker));
        let limit = for_people.unwrap_or(self.limit);
        let interactive = for_people.is_some();
        let _sign = interactive.then(|| broker.asking());
        world.terminal.note(|| format!("{} is run, for at most {limit:?}", self.place()));
        let changes = self.changes(pool, interactive, world);
        let run = exec::Run { words: &self.words, changes: &changes, limit, interactive };
        exec::capture(&run, &*world.clock)
            .map_err(|failure| self.failed(pool, &failure, limit, interactive))
    }

    /// The variables that tell the program what is wanted. A credential of ours is not for it.
    fn changes(&self, pool: &Pool, interactive: bool, world: &World) -> Vec<Change<'static>> {
        let email = pool.impersonated.as_deref();
        let flag = |set| Some(OsString::from(if set { "1" } else { "0" }));
        let mut changes = vec![
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", Some(pool.audience.clone().into())),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", Some(pool.subject_token_type.clone().into())),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", flag(interactive)),
            ("GOOGLE_EXTERNAL_ACCOUNT_REVOKE", flag(false)),
            ("GOOGLE_EXTERNAL_ACCOUNT_ID", Some(email.unwrap_or_default().into())),
            // Not those of a program that runs us, where there is none.
            ("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", email.map(OsString::from)),
            (
                "GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE",
                self.output_file.as_ref().map(|path| path.clone().into_os_string()),
            ),
        ];
        let own = env::GAUTH_CREDENTIALS;
        if world.env.raw(&own).is_some_and(|value| looks_like_content(&value.to_string_lossy())) {
            changes.push((own.name, None));
        }
        changes
    }

    fn failed(&self, pool: &Pool, failure: &Failure, limit: Duration, interactive: bool) -> Error {
        let (asked, program) = (self.asked(pool), self.place());
        let by_hand = || format!("run {program} by hand, and see what it says");
        let no_answer = |what: String| Error::no_answer(format!("{asked}: {what}"));
        match failure {
            Failure::NotStarted(why) => Error::malformed(
                &pool.place,
                format!("the program {program} of credential_source.executable.command: {why}"),
            )
            .hint(format!("ls -l {program}; it must be there, and executable")),
            Failure::Exit(code) => no_answer(format!("ended with code {code}")).hint(by_hand()),
            Failure::Signal(signal) => {
                no_answer(format!("was killed by signal {signal}")).hint(by_hand())
            }
            Failure::TooSlow => {
                let (field, most) = match interactive {
                    true => ("interactive_timeout_millis", INTERACTIVE_LIMITS.end()),
                    false => ("timeout_millis", LIMITS.end()),
                };
                no_answer(format!("did not end within {limit:?} ({field})")).hint(format!(
                    "give it more with credential_source.executable.{field}, at most {most}"
                ))
            }
            Failure::TooMuch => {
                let most = exec::LARGEST / 1024 / 1024;
                no_answer(format!("printed more than {most} MiB")).hint(by_hand())
            }
            Failure::Lost(error) => {
                no_answer(format!("was lost, {}", io_reason(error))).hint(by_hand())
            }
        }
    }

    fn unusable(&self, pool: &Pool, unusable: &Unusable) -> Error {
        let (asked, program, what) = (self.asked(pool), self.place(), &unusable.what);
        match unusable.kind {
            Kind::Refusal => Error::refused(format!("{asked}: the program {what}"))
                .hint(format!("run {program} by hand; perhaps somebody must sign in there")),
            _ => Error::no_answer(format!("{asked}: the answer {what}")).hint(format!(
                "run {program} by hand; it must print a response of AIP-4117, and nothing else"
            )),
        }
    }

    fn mismatch(&self, pool: &Pool) -> Error {
        let asked = self.asked(pool);
        Error::no_answer(format!(
            "{asked}: the answer has a token of another kind than {}",
            pool.subject_token_type
        ))
        .hint(format!("correct subject_token_type in {}, or the program", pool.place))
    }
}

/// Whether somebody who signs in with a browser or a password is there to answer the program: people have workforce
/// pools, machines have others.
fn is_answered(pool: &Pool, broker: &Broker<'_>) -> bool {
    Provider::of(&pool.audience) == Ok(Provider::Workforce) && broker.may_ask()
}

/// Whether the STS would take this token for what the credential says it is. Types we do not know are left to it.
fn suits(response: &Response, pool: &Pool) -> bool {
    let wanted = pool.subject_token_type.as_str();
    match response.saml {
        true => ![token_type("jwt"), token_type("id_token")].contains(&wanted),
        false => wanted != token_type("saml2"),
    }
}
