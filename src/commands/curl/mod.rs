//! `gauth curl`: the real curl, with a token that only the right hosts get.

mod arguments;
mod destination;
mod dry_run;
mod options;
pub(crate) mod separator;
mod stderr_filter;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::{Args, Command};
use zeroize::Zeroizing;

use crate::commands::curl::arguments::{CurlInvocation, RequestGroup, parse_args};
use crate::commands::curl::destination::{CurlTokenKind, DestinationPolicy, choose_token_kind};
use crate::commands::curl::dry_run::{QUOTA_PROJECT_HEADER, dry_run};
use crate::commands::curl::stderr_filter::StderrFilter;
use crate::commands::print_identity_token::parse_audience;
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::{CommonFlags, TokenFlags};
use crate::output::error::report_not_started;
use crate::output::status::ExitStatus;
use crate::output::token;
use gauth_core::config::{Config, Overrides};
use gauth_core::discovery;
use gauth_core::discovery::Discovery;
use gauth_core::error::{Error, Result};
use gauth_core::tokens::credential::Credential;
use gauth_core::tokens::{IdTokenRequest, Token, TokenRequest};
use gauth_core::world::exec::{EnvChange, InheritedPipe};
use gauth_core::world::{World, env, exec, files};

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "curl",
    aliases: &[],
    about: "run curl with a token for the URL",
    examples: &[
        Example("gauth curl -s https://pubsub.googleapis.com/v1/projects/p/topics", "a Google API"),
        Example("gauth curl https://svc-abc.run.app/", "Cloud Run"),
        Example("gauth curl --audience IAP-CLIENT-ID https://app.example.com/", "IAP"),
        Example("gauth curl --dry-run -d @body.json URL", "show the request"),
    ],
    description: "\
Runs curl with an Authorization header for the URL. curl reads the token from a pipe: it appears in no argument, \
variable or file. gauth's flags come first; everything from the first other argument on, or after `--`, is passed to \
curl. Flags with one dash are always curl's. The exit code is that of curl.\n\n\
Google's APIs get an access token. Services on *.run.app and *.cloudfunctions.net get an ID token whose audience is \
the scheme and host of the URL; `--audience` and `--id-token` request one for other hosts. gauth sends no token to \
any other host unless `--allow-host` names it. The quota project is sent in the header x-goog-user-project.\n\n\
URLs need a scheme: https, or http for a loopback address. gauth refuses curl's flags that could send the token \
elsewhere or reveal it, such as `-K`, `-k`, `--resolve`, `--connect-to`, `--unix-socket`, `--location-trusted`, \
`-u`, `--netrc` and `--trace`, and curl does not read .curlrc. With `-L`, curl 7.83 and later drop the token when \
they are redirected to another host or port; curl 7.58 and later when they are redirected to another host. With \
`-v`, gauth replaces the token by its fingerprint.\n\n\
When curl reports status 401 (`-f` without `-s`, or `-v`), gauth deletes the cached token. It does not repeat the \
request. Exit code 9 means that gauth refused to send the token.",
    group: CommandGroup::Use,
    flags: add_flags,
    run,
};

/// The command line of `gauth curl`.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct CurlFlags {
    /// curl's flags and URLs
    ///
    /// Passes these flags and URLs to curl.
    #[arg(last = true, num_args = 0.., value_name = "CURL")]
    curl: Vec<OsString>,
    /// send an ID token for this audience
    ///
    /// Sends an ID token for this audience instead of an access token.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<OsString>,
    /// send an ID token for the host of the URL
    ///
    /// Sends an ID token whose audience is the scheme and host of the URL.
    #[arg(long)]
    id_token: bool,
    /// show the request, send nothing
    ///
    /// Prints the request that would be sent, with a fingerprint in place of the token, and sends nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    common: CommonFlags,
}

/// Adds the flags without their short forms: those are curl's.
fn add_flags(command: Command) -> Command {
    let command = CurlFlags::augment_args(command)
        .mut_arg("allow_host", |arg| arg.hide(false).help_heading(None))
        .mut_arg("help", |arg| arg.long_help("show this help\n\nShows this page."));
    ["help", "quiet", "verbose"].into_iter().fold(command, |command, flag| command.mut_arg(flag, |arg| arg.short(None)))
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: CurlFlags = args.flags()?;
    let config = Config::resolve(&flags.overrides(), world)?;
    let invocation = parse_args(&flags.curl)?;
    let hosts: Vec<_> = invocation.destinations().collect();
    if hosts.is_empty() && flags.dry_run {
        return Err(Error::usage("--dry-run: the command line contains no URL")
            .hint("gauth curl --dry-run URL")
            .into());
    }
    if hosts.is_empty() {
        // curl prints its help, its version or an error, and needs no token.
        return run_curl(&flags.curl, &invocation, Vec::new(), world).map(|(status, _)| status);
    }
    let requested_audience = flags.audience.as_deref().map(parse_audience).transpose()?;
    let token_kind = choose_token_kind(&hosts, requested_audience, flags.id_token)?;
    flags.check_combination(&token_kind, &invocation, &config)?;
    let request = match &token_kind {
        CurlTokenKind::AccessToken => TokenRequest::AccessToken(config.access_token_request.clone()),
        CurlTokenKind::IdToken(audience) => {
            TokenRequest::IdToken(IdTokenRequest { audience: Some(audience.clone()), ..IdTokenRequest::default() })
        }
    };
    let broker = discovery::broker(&config, world);
    let found = discovery::credential(&Discovery { config: &config, broker: &broker, allow_network: true })?;
    let credential: &dyn Credential = &*found.credential;
    check_destinations(&config, credential, &token_kind, &invocation)?;
    let mut token = broker.token(credential, &request)?;
    token.quota_project = match token_kind {
        CurlTokenKind::AccessToken => config.quota_project.or(token.quota_project),
        CurlTokenKind::IdToken(_) => None,
    };
    if flags.dry_run {
        let text = dry_run(&invocation, &token_kind, &token, broker.now());
        world.streams.write_result(text.as_bytes())?;
        return Ok(ExitStatus::SUCCESS);
    }
    note_curlrc(world);
    let headers = header_contents(&invocation, &token)?;
    let (status, unauthorized) = run_curl(&flags.curl, &invocation, headers, world)?;
    // A token that was fetched for this run would be refused again.
    if unauthorized && token.from_cache {
        broker.remove_cached_token(credential, &request);
        world.terminal.warn(
            "the server answered 401, so the cached token was removed\ntry: run the command again, with a new token",
        );
    }
    Ok(status)
}

impl CurlFlags {
    /// Refuses flags that contradict each other or the arguments of curl.
    fn check_combination(
        &self,
        token_kind: &CurlTokenKind,
        invocation: &CurlInvocation,
        config: &Config,
    ) -> Result<()> {
        let token = &self.token;
        let access_token_flags = [
            (!token.scopes.is_empty(), "--scopes"),
            (token.subject.is_some(), "--subject"),
            (token.lifetime.is_some(), "--lifetime"),
            (!token.downscope.is_empty(), "--downscope"),
            (token.access_boundary.is_some(), "--access-boundary"),
        ];
        if let (CurlTokenKind::IdToken(_), Some((_, flag))) =
            (token_kind, access_token_flags.iter().find(|flag| flag.0))
        {
            return Err(Error::usage(format!("{flag} applies to access tokens, and this command sends an ID token"))
                .hint(format!("remove {flag}")));
        }
        let credential_on_stdin = config.credentials.as_ref().is_some_and(|credentials| credentials.value == "-");
        match credential_on_stdin && invocation.reads_stdin {
            true => Err(Error::usage("--credentials - and curl would both read standard input")
                .hint("use --credentials FILE, or give curl a file, as in -d @FILE")),
            false => Ok(()),
        }
    }

    fn overrides(&self) -> Overrides {
        self.common.overrides_with(&self.token)
    }
}

/// Checks that every host may receive the token. Loads account and universe of the credential, which can take a request,
/// only when the hosts need them.
fn check_destinations(
    config: &Config,
    credential: &dyn Credential,
    token_kind: &CurlTokenKind,
    invocation: &CurlInvocation,
) -> Result<()> {
    let hosts: Vec<_> = invocation.destinations().collect();
    let rules = DestinationPolicy {
        allowed: &config.allowed_hosts,
        universe: config.universe_domain.as_deref(),
        account: None,
    };
    if rules.check(token_kind, &hosts).is_ok() {
        return Ok(());
    }
    let info = credential.load_info()?;
    let universe = rules.universe.or(info.universe_domain.as_deref());
    DestinationPolicy { universe, account: info.account.as_deref(), ..rules }.check(token_kind, &hosts)
}

/// The headers of each group, as curl reads them from `-H @FILE`.
fn header_contents(invocation: &CurlInvocation, token: &Token) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let project = token.quota_project.as_deref();
    if project.is_some_and(|project| project.chars().any(char::is_control)) {
        return Err(Error::usage("the quota project contains a control character").hint("--quota-project PROJECT"));
    }
    let group_headers = |group: &RequestGroup| {
        let project = project.filter(|_| !group.has_header(QUOTA_PROJECT_HEADER));
        let project = project.map(|project| format!("{QUOTA_PROJECT_HEADER}: {project}\n"));
        let authorization = token::render_header(token);
        Zeroizing::new([&authorization, project.as_deref().unwrap_or_default()].concat().into_bytes())
    };
    Ok(invocation.groups.iter().map(group_headers).collect())
}

/// Runs curl. Returns its status, and whether a server answered 401.
fn run_curl(
    args: &[OsString],
    invocation: &CurlInvocation,
    headers: Vec<Zeroizing<Vec<u8>>>,
    world: &World,
) -> anyhow::Result<(ExitStatus, bool)> {
    let header_files: Vec<InheritedPipe> = headers.into_iter().map(InheritedPipe::new).collect::<Result<_>>()?;
    let args = with_headers(args, invocation, &header_files);
    let mut filter = StderrFilter::default();
    let mut listener = |piece: &[u8]| {
        let filtered = if piece.is_empty() { filter.finish() } else { filter.push(piece) };
        world.terminal.write_raw(&filtered);
    };
    // gauth stays only to filter standard error; otherwise curl replaces the process.
    let status = match !header_files.is_empty() && (invocation.verbose || invocation.fails_on_http_error) {
        true => exec::run(&args, &environment_changes(invocation), header_files, Some(&mut listener)),
        false => exec::replace_process(&args, &environment_changes(invocation), header_files),
    };
    let status = status.map(ExitStatus).unwrap_or_else(|mut failure| {
        if failure.status == 127 {
            failure.error = failure.error.hint("apt install curl, or the package of that name on your system");
        }
        report_not_started(&failure, world)
    });
    Ok((status, filter.saw_unauthorized))
}

/// Inserts the header file at the start of each group. `-q`, which curl obeys only as its first argument, ignores .curlrc,
/// which could hold options that gauth refuses.
fn with_headers(args: &[OsString], invocation: &CurlInvocation, header_files: &[InheritedPipe]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["curl".into(), "-q".into()];
    let mut rest = args;
    let mut consumed = 0;
    for (group, header_file) in invocation.groups.iter().zip(header_files) {
        let (before, behind) = rest.split_at(group.first_arg - consumed);
        all.extend_from_slice(before);
        all.extend(["-H".into(), format!("@{}", header_file.path()).into()]);
        (rest, consumed) = (behind, group.first_arg);
    }
    all.extend_from_slice(rest);
    all
}

/// Removes gauth's credentials, and the proxy where a URL has the scheme `http`: the proxy would see the token.
fn environment_changes(invocation: &CurlInvocation) -> Vec<EnvChange<'static>> {
    let secret = [env::GAUTH_CREDENTIALS, env::CLOUDSDK_AUTH_ACCESS_TOKEN, env::GOOGLE_OAUTH_ACCESS_TOKEN];
    let proxies = ["http_proxy", "all_proxy", "ALL_PROXY"].iter().filter(|_| invocation.uses_plain_http());
    let names = secret.iter().map(|variable| &variable.name).chain(proxies);
    names.map(|name| (*name, None)).collect()
}

fn note_curlrc(world: &World) {
    world.terminal.note(|| {
        let home = world.folders.home.as_ref().map(|home| home.join(".curlrc"));
        match home.is_some_and(|file| files::exists(&file)) {
            true => "curl does not read ~/.curlrc, which could send the token to another host".to_owned(),
            false => "curl runs with -q, without .curlrc".to_owned(),
        }
    });
}
