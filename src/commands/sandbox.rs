//! `gauth sandbox`: an offline Google to try things in, around one command or until Ctrl-C.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli;
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::error::{Error, Result};
use crate::server::sandbox::environment::{Caller, First};
use crate::server::sandbox::faults::Fault;
use crate::server::sandbox::guest::Guest;
use crate::server::sandbox::{Options, Running, Sandbox, shell_quoted};
use crate::world::World;
use crate::world::env;
use crate::world::exec::{self, Change, Signals};
use crate::{duration, printable};

/// The command.
pub const SPEC: Spec = Spec {
    name: "sandbox",
    aliases: &[],
    about: "an offline fake Google with throw-away credentials",
    examples: &[
        Example("gauth sandbox -- gauth token", "a token of the sandbox's own"),
        Example("gauth sandbox -- make test", "your tests, off the network"),
        Example("gauth sandbox --fault token=503x2 -- gauth token", "the same on a bad day"),
        Example("gauth sandbox --as metadata -- python app.py", "as on a virtual machine"),
    ],
    more: "The sandbox listens on 127.0.0.1 and has a token endpoint, a metadata server, tokeninfo, userinfo, \
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
    group: Group::More,
    flags: Flags::augment_args,
    run,
};

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
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
    #[arg(long = "as", value_name = "WHO", value_enum, default_value = "service-account")]
    first: First,
    /// What to run inside, behind --
    #[arg(last = true, num_args = 0.., value_name = "CMD")]
    command: Vec<OsString>,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let options = options(&flags, world)?;
    let sandbox = Sandbox::start(options)?;
    let changes = sandbox.environment(&Caller::of(&world.env)?)?;
    match flags.command.is_empty() {
        true => serve(&sandbox, &changes, world),
        false => Ok(inside(&flags.command, &changes, world)),
    }
}

fn options(flags: &Flags, world: &World) -> Result<Options> {
    let faults = flags.faults.iter().map(|text| Fault::parse(text)).collect::<Result<_>>()?;
    let latency = flags.latency.as_deref().map(latency).transpose()?.unwrap_or_default();
    let parent = world.env.os(&env::TMPDIR).map(PathBuf::from);
    Ok(Options {
        clock: std::sync::Arc::clone(&world.clock),
        faults,
        latency,
        port: flags.port,
        guests: flags.admit.iter().map(|file| Guest::read(file)).collect::<Result<_>>()?,
        first: flags.first,
        parent: parent.unwrap_or_else(std::env::temp_dir),
        program: std::env::current_exe().ok(),
        ..Options::default()
    })
}

/// Runs the command; its status is ours.
fn inside(command: &[OsString], changes: &[Change<'_>], world: &World) -> Status {
    exec::run(command, changes).map_or_else(|not| cli::not_started(&not, world), Status)
}

/// Prints the variables and waits for a signal; the folder goes with the sandbox.
fn serve(sandbox: &Running, changes: &[Change<'_>], world: &World) -> anyhow::Result<Status> {
    // Caught before anyone can know that we are here.
    let signals = Signals::caught()?;
    let folder = printable::path(sandbox.folder());
    world.terminal.tell(&format!(
        "an offline Google on {} and {}, throw-away credentials in {folder}",
        sandbox.url(),
        sandbox.tls_url()
    ));
    world.streams.result(exports(changes).as_bytes())?;
    // A shell that reads the variables with $(…) waits for the end of the output.
    world.streams.let_go();
    world.terminal.tell("Ctrl-C ends it and removes the folder");
    Ok(Status(128 + signals.wait()))
}

/// The changes in the words of a shell.
fn exports(changes: &[Change<'_>]) -> String {
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

fn latency(text: &str) -> Result<Duration> {
    duration::parse(text).map_err(|what| {
        let shown = printable::text(text);
        Error::usage(format!("--latency {shown} {what}")).hint("--latency 50ms")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_survive_a_shell() {
        let changes = [("A", Some(OsString::from("it's $x"))), ("B", None), ("C", None)];
        let text = exports(&changes);
        assert!(text.starts_with("export A='it'\\''s $x'\n"), "{text}");
        assert!(text.ends_with("unset B C\n"), "{text}");
    }
}
