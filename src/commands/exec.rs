//! `gauth exec`: runs a program with a token in its environment, or in a file that gauth renews.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::commands::print_identity_token::parse_audience;
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, TokenFlags};
use crate::output::error::report_not_started;
use crate::output::status::ExitStatus;
use gauth_core::config::{Config, Overrides};
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::text::secret::looks_like_file_content;
use gauth_core::tokens::broker::Broker;
use gauth_core::tokens::credential::Credential;
use gauth_core::tokens::file::TokenFile;
use gauth_core::tokens::{IdTokenRequest, Token, TokenRequest};
use gauth_core::world::env::Env;
use gauth_core::world::exec::{EnvChange, TerminationSignals};
use gauth_core::world::{World, env, exec};
use gauth_core::{config, discovery};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "exec",
    aliases: &[],
    about: "run a program with a token in its environment",
    examples: &[
        Example("gauth exec -- terraform apply", "with the default credential"),
        Example("gauth exec --impersonate-service-account A -- gcloud storage ls", "as A"),
        Example("gauth exec --token-file auto -- ./long-job", "with a token that is renewed"),
        Example("gauth exec --id-token --audiences URL -- ./probe", "with an ID token"),
    ],
    description: "\
Runs a program with an access token in the variables CLOUDSDK_AUTH_ACCESS_TOKEN (for gcloud, bq and gsutil) and \
GOOGLE_OAUTH_ACCESS_TOKEN (for Terraform), or with an ID token in GAUTH_ID_TOKEN. `--env` names other variables. The \
program replaces gauth, so that streams, signals and exit code are its own. A variable cannot be renewed, and a \
token usually expires after an hour.\n\n\
For longer runs, `--token-file` writes the token to a private file and puts its path in \
CLOUDSDK_AUTH_ACCESS_TOKEN_FILE, or in GAUTH_ID_TOKEN_FILE for an ID token. gauth then keeps running: it replaces \
the token before it expires, forwards signals, and deletes the file at the end.\n\n\
Exit codes: those of the program; 127 if it does not exist, 126 if it cannot be run, 128+n if signal n ends it. If \
gauth gets no token, the program does not run and the exit code is that of `gauth token`.",
    group: CommandGroup::Use,
    flags: ExecFlags::augment_args,
    run,
};

/// The command line of `gauth exec`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct ExecFlags {
    /// provide an ID token
    ///
    /// Provides an ID token instead of an access token.
    #[arg(long)]
    id_token: bool,
    /// audience of the ID token
    ///
    /// Requests the ID token for this audience: the URL of a service or an OAuth client ID.
    #[arg(long, value_name = "AUDIENCE", visible_alias = "audience")]
    audiences: Option<OsString>,
    /// variable to set instead of the default ones
    ///
    /// Sets this environment variable instead of the default ones.
    #[arg(long = "env", value_name = "NAME")]
    variable_names: Vec<OsString>,
    /// write the token to this file, or auto
    ///
    /// Writes the token to this file and renews it while the program runs. `auto` chooses a file in gauth's own
    /// folder.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    token_file: Option<OsString>,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    common: CommonFlags,
    /// program and arguments, after --
    ///
    /// Runs this program with these arguments.
    #[arg(last = true, num_args = 0.., value_name = "CMD")]
    command: Vec<OsString>,
}

/// The longest time between two checks of the clock. Timers do not count the time that a machine sleeps.
const MAX_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// How long before its refresh margin a token is renewed, in seconds.
const EARLY_RENEWAL_SECONDS: i64 = 60;

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: ExecFlags = args.flags()?;
    if let Err(failure) = exec::split_program(&flags.command) {
        return Err(failure.error.into());
    }
    let names = flags.variable_names()?;
    let id_token_request = flags.id_token_request()?;
    let config = Config::resolve(&flags.overrides(), world)?;
    let request = match id_token_request {
        Some(id_token) => TokenRequest::IdToken(id_token),
        None => TokenRequest::AccessToken(config.access_token_request.clone()),
    };
    let file = flags.token_file.as_deref().map(|path| match path == "auto" {
        true => TokenFile::in_gauth_folder(world),
        false => TokenFile::at_path(Path::new(path)),
    });
    let file = file.transpose()?;
    let broker = discovery::broker(&config, world);
    let search = Discovery { config: &config, broker: &broker, allow_network: true };
    let credential = discovery::credential(&search)?.credential;
    let token = broker.token(&*credential, &request)?;
    world.mask_in_ci_log(&token.secret);
    let result = match file {
        None => {
            let changes = environment_changes(&names, &token.secret.to_os_string(), &world.env);
            exec::replace_process(&flags.command, &changes, Vec::new())
        }
        Some(file) => {
            let changes = environment_changes(&names, file.path().as_os_str(), &world.env);
            let signals = TerminationSignals::catch()?;
            file.replace(&token.secret, world)?;
            let refresher = TokenFileRefresher { config: &config, credential: &*credential, request, world };
            let mut token = token;
            let mut renewal_due = refresher.renewal_due_millis(&token);
            exec::run_with_periodic_task(&flags.command, &changes, signals, || {
                refresher.refresh_if_due(&mut token, &mut renewal_due, &file)
            })
        }
    };
    Ok(result.map_or_else(|failure| report_not_started(&failure, world), ExitStatus))
}

impl ExecFlags {
    fn overrides(&self) -> Overrides {
        self.common.overrides_with(&self.token)
    }

    /// The ID token to request, with `--id-token`.
    fn id_token_request(&self) -> Result<Option<IdTokenRequest>> {
        let audience = self.audiences.as_deref().map(parse_audience).transpose()?;
        if !self.id_token {
            return match audience {
                None => Ok(None),
                Some(_) => {
                    Err(Error::usage("--audiences applies to ID tokens").hint("add --id-token, or remove --audiences"))
                }
            };
        }
        let token_flags = &self.token;
        let access_token_flags = [
            ("--scopes", !token_flags.scopes.is_empty()),
            ("--subject", token_flags.subject.is_some()),
            ("--lifetime", token_flags.lifetime.is_some()),
            ("--downscope", !token_flags.downscope.is_empty()),
            ("--access-boundary", token_flags.access_boundary.is_some()),
        ];
        match access_token_flags.iter().find(|(_, is_set)| *is_set) {
            Some((flag, _)) => {
                Err(Error::usage(format!("{flag} and --id-token exclude each other"))
                    .hint("remove one of the two flags"))
            }
            None => Ok(Some(IdTokenRequest { audience, ..IdTokenRequest::default() })),
        }
    }

    /// The variables to set, by `--env` or by default.
    fn variable_names(&self) -> Result<Vec<String>> {
        let default_names: &[&str] = match (self.id_token, self.token_file.is_some()) {
            (false, false) => &[env::CLOUDSDK_AUTH_ACCESS_TOKEN.name, env::GOOGLE_OAUTH_ACCESS_TOKEN.name],
            (false, true) => &[env::CLOUDSDK_AUTH_ACCESS_TOKEN_FILE.name],
            (true, false) => &["GAUTH_ID_TOKEN"],
            (true, true) => &["GAUTH_ID_TOKEN_FILE"],
        };
        match self.variable_names.is_empty() {
            true => Ok(default_names.iter().map(|name| (*name).to_owned()).collect()),
            false => self.variable_names.iter().map(|name| variable_name(name)).collect(),
        }
    }
}

/// Variables that decide which programs run and how, in upper or lower case. `*` stands for any text.
const RESERVED_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "PWD",
    "SHELL",
    "USER",
    "IFS",
    "ENV",
    "BASH_ENV",
    "PS4",
    "PROMPT_COMMAND",
    "TMPDIR",
    "LD_*",
    "DYLD_*",
    "GCONV_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "NODE_OPTIONS",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GIT_*",
    "PATHEXT",
    "COMSPEC",
    "SYSTEMROOT",
    "WINDIR",
];

/// Checks a variable name of `--env`. It has to be valid in a shell and not reserved.
fn variable_name(name: &OsStr) -> Result<String> {
    let text = config::flag_text("--env", name)?;
    let shown = gauth_core::text::printable::redacted(&text);
    let hint = "--env GOOGLE_OAUTH_ACCESS_TOKEN";
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.bytes().all(is_name_byte) || text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Error::usage(format!(
            "--env: \"{shown}\" is not a variable name, which has letters, digits and underscores"
        ))
        .hint(hint));
    }
    let upper = text.to_ascii_uppercase();
    let is_reserved = RESERVED_VARIABLES.iter().any(|name| match name.strip_suffix('*') {
        Some(start) => upper.starts_with(start),
        None => upper == *name,
    });
    match is_reserved {
        true => {
            Err(Error::usage(format!("--env: \"{shown}\" has a meaning for the system or for other programs"))
                .hint(hint))
        }
        false => Ok(text),
    }
}

/// The variables to set and to remove in the child's environment.
fn environment_changes<'n>(names: &'n [String], value: &OsStr, env: &Env) -> Vec<EnvChange<'n>> {
    let mut changes: Vec<EnvChange<'n>> = names.iter().map(|name| (name.as_str(), Some(value.to_owned()))).collect();
    let own = env::GAUTH_CREDENTIALS.name;
    let holds_credential =
        env.raw(&env::GAUTH_CREDENTIALS).is_some_and(|value| looks_like_file_content(&value.to_string_lossy()));
    if holds_credential && !names.iter().any(|name| name == own) {
        changes.push((own, None));
    }
    let token = env::CLOUDSDK_AUTH_ACCESS_TOKEN.name;
    let file = env::CLOUDSDK_AUTH_ACCESS_TOKEN_FILE.name;
    let is_set = |name: &str| names.iter().any(|known| known == name);
    if is_set(token) || is_set(file) {
        // gcloud prefers one of the two variables, so the other one is removed.
        changes.extend([token, file].into_iter().filter(|name| !is_set(name)).map(|name| (name, None)));
        // The token is already impersonated and scoped. gcloud does not impersonate when its variable is empty; without the
        // variable it follows its configuration.
        changes.push((env::CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT.name, Some(OsString::new())));
        changes.push((env::GAUTH_IMPERSONATE_SERVICE_ACCOUNT.name, None));
        changes.push((env::GAUTH_SCOPES.name, None));
    }
    changes
}

/// Renews the token in a token file.
struct TokenFileRefresher<'a> {
    config: &'a Config,
    credential: &'a dyn Credential,
    request: TokenRequest,
    world: &'a World,
}

impl TokenFileRefresher<'_> {
    /// Renews the token if it is due. Returns when to check again.
    fn refresh_if_due(&self, token: &mut Token, renewal_due: &mut Option<i64>, file: &TokenFile) -> Duration {
        let now = self.world.clock.unix_millis();
        if renewal_due.is_some_and(|due| due <= now) {
            match self.renew(token, file) {
                Ok(new) => *token = new,
                Err(error) => {
                    self.world.terminal.warn(&format!("the token file could not be renewed: {error}"));
                }
            }
            *renewal_due = self.renewal_due_millis(token);
        }
        let now = self.world.clock.unix_millis();
        let left = renewal_due.map(|due| u64::try_from(due.saturating_sub(now)).unwrap_or(0));
        left.map_or(MAX_CHECK_INTERVAL, |left| Duration::from_millis(left).min(MAX_CHECK_INTERVAL))
    }

    /// Fetches a token and writes it to the file if it expires later than the old one.
    fn renew(&self, old: &Token, file: &TokenFile) -> Result<Token> {
        let broker: Broker<'_> = discovery::broker(self.config, self.world);
        let left = old.seconds_left(self.world.clock.unix_seconds()).unwrap_or(0);
        let token = broker.for_renewal(left).token(self.credential, &self.request)?;
        if token.expires_at > old.expires_at {
            self.world.mask_in_ci_log(&token.secret);
            file.replace(&token.secret, self.world)?;
            self.world.terminal.note(|| "wrote a new token to the token file".to_owned());
        }
        Ok(token)
    }

    /// When to renew a token, in Unix milliseconds; `None` when its expiry is unknown.
    fn renewal_due_millis(&self, token: &Token) -> Option<i64> {
        let now = self.world.clock.unix_millis();
        let left = token.expires_at?.saturating_mul(1000).saturating_sub(now);
        Some(now.saturating_add(renewal_delay_millis(left, token.refresh_margin)))
    }
}

/// How long to wait before renewing a token, in milliseconds: until a minute before its refresh margin, or half the time
/// left when that is short, but at least a second.
fn renewal_delay_millis(millis_left: i64, margin_seconds: i64) -> i64 {
    let early_millis = margin_seconds.saturating_add(EARLY_RENEWAL_SECONDS).saturating_mul(1000);
    match millis_left > early_millis.saturating_mul(2) {
        true => millis_left - early_millis,
        false => (millis_left / 2).clamp(1000, 30_000.max(millis_left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_variable_name_is_valid_and_not_reserved() {
        for valid in ["T", "_t", "TF_VAR_token", "GOOGLE_OAUTH_ACCESS_TOKEN", "PATHS", "GAUTH_ID_TOKEN"] {
            assert_eq!(variable_name(valid.as_ref()).expect("a name"), valid);
        }
        for invalid in [
            "",
            " ",
            "A B",
            "A=B",
            "1A",
            "A-B",
            "A.B",
            "Ä",
            "A\n",
            "A$B",
            "PATH",
            "Path",
            "HOME",
            "IFS",
            "ENV",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "PYTHONPATH",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
        ] {
            let error = variable_name(invalid.as_ref()).expect_err(invalid);
            assert_eq!(error.kind(), gauth_core::error::ErrorKind::Usage, "{invalid}");
            assert!(error.hint_text().is_some(), "{invalid}");
        }
    }

    #[test]
    fn a_token_is_renewed_long_before_it_expires() {
        for (left, margin, expected) in [
            (3_600_000, 300, 3_240_000),
            (720_001, 300, 360_001),
            (720_000, 300, 360_000),
            (4_000, 300, 2_000),
            (1_000, 300, 1_000),
            (0, 300, 1_000),
            (-3_600_000, 300, 1_000),
        ] {
            assert_eq!(renewal_delay_millis(left, margin), expected, "{left}");
        }
    }

    fn changed(names: &[&str], variables: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.into()));
        let env = Env::Fixed(variables.collect());
        let changes = environment_changes(&names, "T".as_ref(), &env);
        let text = |value: OsString| value.to_string_lossy().into_owned();
        changes.into_iter().map(|(name, value)| (name.to_owned(), value.map(text))).collect()
    }

    #[test]
    fn variables_that_take_precedence_over_the_token_are_removed() {
        let set = |value: &str| Some(Some(value.to_owned()));
        let found = changed(&["CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"], &[]);
        assert_eq!(found.get("GOOGLE_OAUTH_ACCESS_TOKEN").cloned(), set("T"));
        assert_eq!(found.get("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE").cloned(), Some(None));
        assert_eq!(found.get("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT").cloned(), set(""));
        assert_eq!(found.get("GAUTH_SCOPES").cloned(), Some(None));
        let found = changed(&["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"], &[]);
        assert_eq!(found.get("CLOUDSDK_AUTH_ACCESS_TOKEN").cloned(), Some(None));
        assert_eq!(changed(&["MINE"], &[]).len(), 1);
    }

    #[test]
    fn a_credential_in_a_variable_is_removed_and_a_path_is_kept() {
        let json = [("GAUTH_CREDENTIALS", "{\"type\": \"service_account\"}")];
        assert_eq!(changed(&["MINE"], &json).get("GAUTH_CREDENTIALS").cloned(), Some(None));
        let path = [("GAUTH_CREDENTIALS", "/etc/key.json")];
        assert_eq!(changed(&["MINE"], &path).len(), 1);
    }
}
