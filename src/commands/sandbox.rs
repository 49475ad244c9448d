//! `gauth sandbox`: an offline fake Google, for one command or until Ctrl-C.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};

use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::output::error::report_not_started;
use crate::output::status::ExitStatus;
use gauth_core::error::{Error, Result};
use gauth_core::text::{duration, printable};
use gauth_core::world::World;
use gauth_core::world::env;
use gauth_core::world::exec;
use gauth_core::world::exec::{EnvChange, TerminationSignals};
use gauth_sandbox::admitted::AdmittedCredential;
use gauth_sandbox::environment::{DefaultCredential, HostEnvironment};
use gauth_sandbox::faults::Fault;
use gauth_sandbox::{RunningSandbox, Sandbox, SandboxOptions, shell_quoted};

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
    name: "sandbox",
    aliases: &[],
    about: "an offline fake Google with throw-away credentials",
    examples: &[
        Example("gauth sandbox -- gauth token", "a token of the sandbox's own"),
        Example("gauth sandbox -- make test", "your tests, off the network"),
        Example("gauth sandbox --fault token=503x2 -- gauth token", "the same on a bad day"),
        Example("gauth sandbox --as metadata -- python app.py", "as on a virtual machine"),
    ],
    description: "The sandbox listens on 127.0.0.1 and has a token endpoint, a metadata server, tokeninfo, userinfo, \
        revocation and the keys of its ID tokens; STS with introspection, IAM Credentials, the metadata server of \
        AWS, an OIDC issuer, and the identity service of a distributed cloud. People sign in at its pages, as \
        ada@example.com or bob@example.com: at Google's, the workforce pool's (login_config.json), those of \
        another OpenID provider (/oidc below the sandbox's URL), or with the code of a device; client files for \
        each, client_*.json, and the password for proving again who they are, password.txt, lie in the folder. \
        /api takes \
        any access token and shows whose it is and which project pays, /service an ID token for the sandbox's own \
        URL. On a second port the same is served \
        with TLS. It verifies signatures, claims, clients, certificates and refresh tokens as Google does. Its \
        credentials, one of every kind, are made at the start, lie in a temporary folder that only you can read, \
        and are worth nothing anywhere else.\n\n\
        --as chooses the credential that is found first: service-account, user, adc (gcloud's ADC file), gcloud \
        (its account), metadata; external-account (an OIDC token in a file), aws, executable, x509, workforce, \
        workforce-login, impersonated, gdch. The others lie in the folder of GOOGLE_APPLICATION_CREDENTIALS. \
        Everybody may act as deployer@ of sandbox-project, nobody as forbidden@, and as behind@ only who acts \
        as middle@.\n\n\
        With a command, that runs with variables that lead Google's clients into the sandbox and without \
        those that would bring your own credentials along; its status is returned. A fake key or login that \
        your tests bring is let in with --admit. Without a command the \
        variables are printed for a shell, and the sandbox serves until Ctrl-C: \
        eval \"$(gauth sandbox &)\" takes them over, kill $GAUTH_SANDBOX_PID ends it.",
    group: CommandGroup::More,
    flags: SandboxFlags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct SandboxFlags {
    /// Misbehave, N times with xN; see gauth help faults
    #[arg(long = "fault", value_name = "ROUTE=WHAT[xN]")]
    faults: Vec<String>,
    /// Answer this late, as in 50ms or 2s
    #[arg(long, value_name = "DURATION")]
    latency: Option<String>,
    /// Listen on this port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Let in a fake key or login of your own
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    admit: Vec<PathBuf>,
    /// Act as user, metadata, aws …; the manual has them all
    #[arg(long = "as", value_name = "WHO", value_parser = default_credential_parser(), default_value = "service-account")]
    default_credential: DefaultCredential,
    /// What to run inside, behind --
    #[arg(last = true, num_args = 0.., value_name = "CMD")]
    command: Vec<OsString>,
}

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
        admitted: flags
            .admit
            .iter()
            .map(|file| AdmittedCredential::read(file))
            .collect::<Result<_>>()?,
        default_credential: flags.default_credential,
        parent_folder: parent.unwrap_or_else(std::env::temp_dir),
        gauth_program: std::env::current_exe().ok(),
        ..SandboxOptions::default()
    })
}

/// Runs the command in the sandbox, and returns its status.
fn run_inside(command: &[OsString], changes: &[EnvChange<'_>], world: &World) -> ExitStatus {
    exec::run(command, changes)
        .map_or_else(|failure| report_not_started(&failure, world), ExitStatus)
}

/// Prints the variables and waits for a signal. The caller drops the sandbox, which removes its folder.
fn serve(
    sandbox: &RunningSandbox,
    changes: &[EnvChange<'_>],
    world: &World,
) -> anyhow::Result<ExitStatus> {
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
    let removed: Vec<&str> =
        changes.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    text.push_str(&format!("export GAUTH_SANDBOX_PID={}\n", std::process::id()));
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
