//! Subject tokens printed by a program (AIP-4117). A credential file that names one is as powerful as the program:
//! it is run only where a variable allows it, without a shell, and what it prints is never shown.

mod command_line;
pub mod response;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::credentials::ParseOptions;
use crate::credentials::external_account::executable::response::{
    ExecutableResponse, ResponseError, ResponseErrorKind,
};
use crate::credentials::external_account::provider::AudienceKind;
use crate::credentials::external_account::{SubjectTokenRequest, SubjectTokenSource};
use crate::error::{Error, Result, io_reason};
use crate::oauth::token_exchange::expand_token_type;
use crate::text::json::JsonFields;
use crate::text::printable;
use crate::text::secret::{Secret, looks_like_file_content};
use crate::tokens::cache::CacheKeyHasher;
use crate::tokens::credential::Session;
use crate::world::exec::{CommandFailure, EnvChange};
use crate::world::{World, env, exec, files, private_file};

/// How long a program may take where the file names no time, or 0.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The range of `timeout_millis`.
const TIMEOUT_MILLIS_RANGE: std::ops::RangeInclusive<u32> = 5_000..=120_000;
/// The range of `interactive_timeout_millis`, for programs that prompt the user.
const INTERACTIVE_TIMEOUT_MILLIS_RANGE: std::ops::RangeInclusive<u32> = 30_000..=1_800_000;

/// A program, and the file it may write its response to.
struct ExecutableSource {
    /// The command line as it is in the file, for the cache key.
    command: String,
    /// The program and its arguments; never empty.
    args: Vec<OsString>,
    timeout: Duration,
    /// How long it may take where it may prompt the user; `None`: it may not.
    interactive_timeout: Option<Duration>,
    output_file: Option<PathBuf>,
}

/// Reads the fields of the source.
///
/// # Errors
/// `Malformed`, naming the field.
pub(super) fn parse(
    mut source: JsonFields,
    _: &SubjectTokenRequest,
    parse_options: &ParseOptions,
) -> Result<Box<dyn SubjectTokenSource>> {
    let malformed = parse_options.field_error("credential_source.");
    let fields = source.object("executable").map_err(malformed)?;
    let mut fields = fields.ok_or_else(|| malformed("executable is missing".to_owned()))?;
    let malformed = parse_options.field_error("credential_source.executable.");
    let command = fields.required("command").map_err(malformed)?;
    let args = parse_command(&command).map_err(|what| malformed(format!("command {what}")))?;
    let timeout = read_timeout(&mut fields, "timeout_millis", TIMEOUT_MILLIS_RANGE).map_err(malformed)?;
    let interactive_timeout =
        read_timeout(&mut fields, "interactive_timeout_millis", INTERACTIVE_TIMEOUT_MILLIS_RANGE).map_err(malformed)?;
    let output_file = fields.non_empty_text("output_file").map_err(malformed)?;
    if output_file.as_ref().is_some_and(|path| path.contains('\0')) {
        return Err(malformed("output_file has a zero byte".to_owned()));
    }
    Ok(Box::new(ExecutableSource {
        command,
        args,
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        // A program that prompts has the terminal, so its response can only be in the file.
        interactive_timeout: interactive_timeout.filter(|_| output_file.is_some()),
        output_file: output_file.map(PathBuf::from),
    }))
}

fn parse_command(command: &str) -> std::result::Result<Vec<OsString>, String> {
    let args = command_line::split_args(command)?;
    if command.contains('\0') {
        return Err("has a zero byte".to_owned());
    }
    match args.first().is_some_and(|program| !program.is_empty()) {
        true => Ok(args.into_iter().map(OsString::from).collect()),
        false => Err("names no program".to_owned()),
    }
}

/// A time in a range, in milliseconds; 0 counts as absent.
fn read_timeout(
    fields: &mut JsonFields,
    name: &str,
    bounds: std::ops::RangeInclusive<u32>,
) -> std::result::Result<Option<Duration>, String> {
    if fields.remaining().get(name).and_then(serde_json::Value::as_u64) == Some(0) {
        return Ok(None);
    }
    let millis = fields.number(name, bounds)?;
    Ok(millis.map(|millis| Duration::from_millis(millis.into())))
}

impl SubjectTokenSource for ExecutableSource {
    fn metrics_name(&self) -> &'static str {
        "executable"
    }

    fn location(&self) -> String {
        printable::os(self.program())
    }

    fn hash_cache_key(&self, hasher: &mut CacheKeyHasher) {
        hasher.add_text("executable");
        hasher.add_text(&self.command);
        hasher.add_optional(self.output_file.as_ref().and_then(|path| path.to_str()));
    }

    fn subject_token(&self, request: &SubjectTokenRequest, session: &dyn Session) -> Result<Secret> {
        self.check_executables_allowed(request, session.world())?;
        if let Some(cached_response) = self.cached_response(request, session)? {
            return Ok(cached_response.token);
        }
        let printed = session.pause_deadline(|| self.run(request, session))?;
        let response_bytes = match printed.trim_ascii().is_empty() {
            true => self.read_output_file().unwrap_or(printed),
            false => printed,
        };
        let response = response::parse_response(&response_bytes, session.now(), self.output_file.is_some())
            .map_err(|unusable| self.response_error(request, &unusable))?;
        match matches_token_type(&response, request) {
            true => Ok(response.token),
            false => Err(self.token_type_mismatch_error(request)),
        }
    }
}

impl ExecutableSource {
    fn program(&self) -> &OsStr {
        self.args.first().map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// The program, for errors.
    fn error_context(&self, request: &SubjectTokenRequest) -> String {
        format!("{} (subject token of {})", self.location(), request.location)
    }

    /// Unless programs are allowed, the output file is not read either: the credential file chooses that path too.
    fn check_executables_allowed(&self, request: &SubjectTokenRequest, world: &World) -> Result<()> {
        let variable = env::GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES;
        if world.env.raw(&variable).is_some_and(|value| value == "1") {
            return Ok(());
        }
        let (location, name) = (&request.location, variable.name);
        Err(Error::not_safe(format!(
            "{location}: credential_source.executable names the program {}, and {name} is not 1",
            self.location()
        ))
        .hint(format!("export {name}=1, if you trust the program and the author of {location}")))
    }

    /// The response of an earlier run in the output file, while it is valid.
    fn cached_response(
        &self,
        request: &SubjectTokenRequest,
        session: &dyn Session,
    ) -> Result<Option<ExecutableResponse>> {
        let (Some(path), Some(bytes)) = (&self.output_file, self.read_output_file()) else {
            return Ok(None);
        };
        let shown_path = printable::path(path);
        match response::parse_response(&bytes, session.now(), true) {
            Ok(response) if matches_token_type(&response, request) => {
                session.world().terminal.note(|| format!("the response in {shown_path} is used"));
                Ok(Some(response))
            }
            Ok(_) => Ok(None),
            Err(ResponseError { kind: ResponseErrorKind::Malformed, message: what }) => {
                let location = format!("{shown_path} (output_file of {})", request.location);
                Err(Error::malformed(&location, what).hint(format!(
                    "remove {}, which {} creates again",
                    printable::path(path),
                    self.location()
                )))
            }
            Err(unusable) => {
                let what = unusable.message;
                session.world().terminal.note(|| format!("the response in {shown_path} {what}"));
                Ok(None)
            }
        }
    }

    /// The content of the output file, if it is a regular file; reading a pipe would wait for the program.
    fn read_output_file(&self) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        let path: &Path = self.output_file.as_deref()?;
        match files::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            true => private_file::read_user_file(path, exec::MAX_OUTPUT_BYTES).ok(),
            false => None,
        }
    }

    fn run(&self, request: &SubjectTokenRequest, session: &dyn Session) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        let world = session.world();
        if !Path::new(self.program()).is_absolute() {
            world.terminal.warn(&format!(
                "{}: the program {} has no absolute path, so another one may be run in its place",
                request.location,
                self.location()
            ));
        }
        let interactive_timeout = self.interactive_timeout.filter(|_| can_prompt_user(request, session));
        let timeout = interactive_timeout.unwrap_or(self.timeout);
        let interactive = interactive_timeout.is_some();
        let _prompt_marker = interactive.then(|| session.mark_prompting());
        world.terminal.note(|| format!("{} is run, for at most {timeout:?}", self.location()));
        let env_changes = self.environment_changes(request, interactive, world);
        let run = exec::CaptureCommand { argv: &self.args, env_changes: &env_changes, timeout, interactive };
        exec::capture_output(&run, &*world.clock)
            .map_err(|failure| self.run_error(request, &failure, timeout, interactive))
    }

    /// The program's environment: the request in variables, and none of gauth's own credentials.
    fn environment_changes(
        &self,
        request: &SubjectTokenRequest,
        interactive: bool,
        world: &World,
    ) -> Vec<EnvChange<'static>> {
        let email = request.impersonated_email.as_deref();
        let flag = |set| Some(OsString::from(if set { "1" } else { "0" }));
        let mut env_changes = vec![
            ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", Some(request.audience.clone().into())),
            ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", Some(request.subject_token_type.clone().into())),
            ("GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE", flag(interactive)),
            ("GOOGLE_EXTERNAL_ACCOUNT_REVOKE", flag(false)),
            ("GOOGLE_EXTERNAL_ACCOUNT_ID", Some(email.unwrap_or_default().into())),
            // Where there is none, a value inherited from a calling program would be wrong.
            ("GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL", email.map(OsString::from)),
            (
                "GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE",
                self.output_file.as_ref().map(|path| path.clone().into_os_string()),
            ),
        ];
        let own = env::GAUTH_CREDENTIALS;
        if world.env.raw(&own).is_some_and(|value| looks_like_file_content(&value.to_string_lossy())) {
            env_changes.push((own.name, None));
        }
        env_changes
    }

    fn run_error(
        &self,
        request: &SubjectTokenRequest,
        failure: &CommandFailure,
        timeout: Duration,
        interactive: bool,
    ) -> Error {
        let (context, program) = (self.error_context(request), self.location());
        let run_by_hand = || format!("run {program} by hand, and read its output");
        let no_answer = |what: String| Error::no_answer(format!("{context}: {what}"));
        match failure {
            CommandFailure::NotStarted(why) => Error::malformed(
                &request.location,
                format!("the program {program} of credential_source.executable.command: {why}"),
            )
            .hint(format!("ls -l {program}; it must be there, and executable")),
            CommandFailure::Exit(code) => no_answer(format!("ended with code {code}")).hint(run_by_hand()),
            CommandFailure::Signal(signal) => no_answer(format!("was killed by signal {signal}")).hint(run_by_hand()),
            CommandFailure::TimedOut => {
                let (field, maximum) = match interactive {
                    true => ("interactive_timeout_millis", INTERACTIVE_TIMEOUT_MILLIS_RANGE.end()),
                    false => ("timeout_millis", TIMEOUT_MILLIS_RANGE.end()),
                };
                no_answer(format!("did not end within {timeout:?} ({field})"))
                    .hint(format!("give it more with credential_source.executable.{field}, at most {maximum}"))
            }
            CommandFailure::OutputTooLarge => {
                let max_mib = exec::MAX_OUTPUT_BYTES / 1024 / 1024;
                no_answer(format!("printed more than {max_mib} MiB")).hint(run_by_hand())
            }
            CommandFailure::Io(error) => no_answer(format!("was lost, {}", io_reason(error))).hint(run_by_hand()),
        }
    }

    fn response_error(&self, request: &SubjectTokenRequest, error: &ResponseError) -> Error {
        let (context, program, what) = (self.error_context(request), self.location(), &error.message);
        match error.kind {
            ResponseErrorKind::ProgramError => Error::refused(format!("{context}: the program {what}"))
                .hint(format!("run {program} by hand; it may need a new sign-in")),
            _ => Error::no_answer(format!("{context}: the response {what}"))
                .hint(format!("run {program} by hand; it must print a response of AIP-4117, and nothing else")),
        }
    }

    fn token_type_mismatch_error(&self, request: &SubjectTokenRequest) -> Error {
        let context = self.error_context(request);
        Error::no_answer(format!(
            "{context}: the response has a token of another kind than {}",
            request.subject_token_type
        ))
        .hint(format!("correct subject_token_type in {}, or the program", request.location))
    }
}

/// Whether the identity is a user's, who can answer the program's prompts: users are in workforce pools.
fn can_prompt_user(request: &SubjectTokenRequest, session: &dyn Session) -> bool {
    AudienceKind::parse(&request.audience) == Ok(AudienceKind::Workforce) && session.can_prompt()
}

/// Whether the token can be of the credential's `subject_token_type`. The STS decides on types unknown to gauth.
fn matches_token_type(response: &ExecutableResponse, request: &SubjectTokenRequest) -> bool {
    let expected_type = request.subject_token_type.as_str();
    match response.is_saml {
        true => ![expand_token_type("jwt"), expand_token_type("id_token")].contains(&expected_type),
        false => expected_type != expand_token_type("saml2"),
    }
}
