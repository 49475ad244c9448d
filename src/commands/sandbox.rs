//! `gauth sandbox`: an offline fake Google, for one command or until Ctrl-C.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::output::error::report_not_started;
use crate::output::page::Topic;
use crate::output::status::ExitStatus;
use gauth_core::error::{Error, Result};
use gauth_core::text::{duration, printable};
use gauth_core::world::exec::{EnvChange, TerminationSignals};
use gauth_core::world::{World, env, exec, files};
use gauth_sandbox::admitted::AdmittedCredential;
use gauth_sandbox::environment::{DefaultCredential, HostEnvironment};
use gauth_sandbox::faults::{FAULTS, Fault};
use gauth_sandbox::{ROUTES, RunningSandbox, Sandbox, SandboxOptions, shell_quoted};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "sandbox",
    aliases: &[],
    about: "an offline fake of Google with throw-away credentials",
    examples: &[
        Example("gauth sandbox -- gauth token", "a token of the sandbox"),
        Example("gauth sandbox -- make test", "your tests, without a network"),
        Example("gauth sandbox --fault token=503x2 -- gauth token", "with two failed requests"),
        Example("gauth sandbox --as metadata -- python app.py", "as on a virtual machine"),
    ],
    description: "\
Runs a command with a fake of Google's servers on 127.0.0.1. Variables lead Google's client libraries and gcloud to \
it and to its throw-away credentials; your own credentials are removed from the environment. The exit code is that \
of the command.\n\n\
Without a command, gauth prints the variables for a shell and serves until Ctrl-C. `eval \"$(gauth sandbox &)\"` \
sets the variables in a shell, `kill $GAUTH_SANDBOX_PID` ends the sandbox.\n\n\
The sandbox serves the token, tokeninfo, userinfo and revocation endpoints, the keys of its ID tokens, the metadata \
server, the Security Token Service, IAM Credentials, the metadata server of AWS, an OpenID provider (/oidc) and the \
identity service of Google Distributed Cloud; a second port serves the same over TLS. It verifies signatures, \
claims, clients, certificates and refresh tokens as Google does. /api accepts any access token of the sandbox and \
shows its account and quota project; /service accepts ID tokens for the sandbox's URL.\n\n\
A temporary folder that only you can read holds credentials of every kind, OAuth client files (client_*.json), a \
workforce login configuration (login_config.json) and the password for reauthentication (password.txt). The users \
are ada@example.com and bob@example.com. In the project sandbox-project, every account may impersonate the service \
account deployer@; behind@ requires middle@ as a delegate; no account may impersonate forbidden@.",
    group: CommandGroup::More,
    flags: SandboxFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct SandboxFlags {
    /// misbehave; see gauth help faults
    ///
    /// Makes a route misbehave, as in `token=503`. With `xN` at the end it affects the first N requests only. `gauth
    /// help faults` lists routes and faults.
    #[arg(long = "fault", value_name = "ROUTE=FAULT[xN]")]
    faults: Vec<String>,
    /// delay of each response, such as 50ms
    ///
    /// Delays each response by this time, such as `50ms` or `2s`. Default: no delay.
    #[arg(long, value_name = "DURATION")]
    latency: Option<String>,
    /// port to listen on; 0: a free one
    ///
    /// Listens on this port of 127.0.0.1. Default: `0`, a free port.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// accept this fake key or login
    ///
    /// Accepts the fake key or login in this credential file, which your tests bring along.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    admit: Vec<PathBuf>,
    /// default credential: user, metadata, …
    ///
    /// Selects the credential that is found first: `service-account` (a key), `user` (a user login), `adc` (gcloud's
    /// ADC file), `gcloud` (gcloud's account), `metadata` (the metadata server), `external-account` (an OIDC token in
    /// a file), `aws`, `executable` or `x509` (other external accounts), `workforce` (a workforce pool),
    /// `workforce-login` (a workforce login), `impersonated` (an impersonated service account) or `gdch` (Google
    /// Distributed Cloud). Default: `service-account`.
    #[arg(long = "as", value_name = "KIND", value_parser = default_credential_parser(), default_value = "service-account")]
    default_credential: DefaultCredential,
    /// program and arguments, after --
    ///
    /// Runs this program with these arguments inside the sandbox.
    #[arg(last = true, num_args = 0.., value_name = "CMD")]
    command: Vec<OsString>,
}

/// The help topic about `--fault`.
pub const FAULTS_TOPIC: Topic = Topic {
    name: "faults",
    title: "Faults",
    write: |page| {
        let routes: Vec<&str> = ROUTES.iter().map(|route| route.name).collect();
        page.paragraphs(&format!(
            "`gauth sandbox --fault ROUTE=FAULT` makes a route of the sandbox misbehave. FAULT is an \
             HTTP status from 200 to 599, such as `503` or `503+retry-after:2`, or a name from the \
             table. With `xN` at the end, as in `token=503x2`, it affects the first N requests only.\n\n\
             The routes are {}.",
            routes.join(", ")
        ));
        page.table(&FAULTS.iter().map(|fault| (fault.name, fault.description)).collect::<Vec<_>>());
    },
};

fn default_credential_parser() -> impl TypedValueParser<Value = DefaultCredential> {
    PossibleValuesParser::new(DefaultCredential::ALL.map(DefaultCredential::as_str))
        .try_map(|name| DefaultCredential::parse(&name).ok_or("not a credential of the sandbox"))
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: SandboxFlags = args.flags()?;
    let options = options(&flags, world)?;
    let sandbox = Sandbox::start(options)?;
    let changes = sandbox.environment(&HostEnvironment::from_env(&world.env)?)?;
    match flags.command.is_empty() {
        true => serve(&sandbox, &changes, world),
        false => Ok(run_inside(&flags.command, &changes, world)),
    }
}

fn options(flags: &SandboxFlags, world: &World) -> Result<SandboxOptions> {
    let faults = flags.faults.iter().map(|text| Fault::parse(text)).collect::<Result<_>>()?;
    let latency = flags.latency.as_deref().map(parse_latency).transpose()?.unwrap_or_default();
    let parent = world.env.os(&env::TMPDIR).map(PathBuf::from);
    Ok(SandboxOptions {
        clock: std::sync::Arc::clone(&world.clock),
        faults,
        latency,
        port: flags.port,
        admitted: flags.admit.iter().map(|file| AdmittedCredential::read(file)).collect::<Result<_>>()?,
        default_credential: flags.default_credential,
        parent_folder: parent.unwrap_or_else(files::temporary_folder),
        gauth_program: exec::own_program(),
        ..SandboxOptions::default()
    })
}

/// Runs the command in the sandbox, and returns its status.
fn run_inside(command: &[OsString], changes: &[EnvChange<'_>], world: &World) -> ExitStatus {
    exec::run(command, changes, Vec::new(), None).map_or_else(|failure| report_not_started(&failure, world), ExitStatus)
}

/// Prints the variables and waits for a signal. The caller drops the sandbox, which removes its folder.
fn serve(sandbox: &RunningSandbox, changes: &[EnvChange<'_>], world: &World) -> anyhow::Result<ExitStatus> {
    // Installed before the process ID is printed, so that no signal is missed.
    let signals = TerminationSignals::catch()?;
    let folder = printable::path(sandbox.folder());
    world.terminal.info(&format!(
        "an offline Google on {} and {}, throw-away credentials in {folder}",
        sandbox.url(),
        sandbox.tls_url()
    ));
    world.streams.write_result(shell_exports(changes).as_bytes())?;
    // A shell that reads the variables with $(…) waits for the end of the output.
    world.streams.close_stdout();
    world.terminal.info("Ctrl-C ends it and removes the folder");
    Ok(ExitStatus(128 + signals.wait()))
}

/// The changes as shell commands.
fn shell_exports(changes: &[EnvChange<'_>]) -> String {
    let mut text = String::new();
    for (name, value) in changes {
        if let Some(value) = value {
            text.push_str(&format!("export {name}={}\n", shell_quoted(value)));
        }
    }
    let removed: Vec<&str> = changes.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    text.push_str(&format!("export GAUTH_SANDBOX_PID={}\n", exec::own_process_id()));
    text.push_str(&format!("unset {}\n", removed.join(" ")));
    text
}

fn parse_latency(text: &str) -> Result<Duration> {
    duration::parse(text).map_err(|reason| {
        let shown = printable::text(text);
        Error::usage(format!("--latency: \"{shown}\" {reason}")).hint("--latency 50ms")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_are_quoted_for_a_shell() {
        let changes = [("A", Some(OsString::from("it's $x"))), ("B", None), ("C", None)];
        let text = shell_exports(&changes);
        assert!(text.starts_with("export A='it'\\''s $x'\n"), "{text}");
        assert!(text.ends_with("unset B C\n"), "{text}");
    }
}
