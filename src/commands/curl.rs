//! `gauth curl`: the real curl, with a token that only the right hosts get.

use std::ffi::OsString;

use clap::{Args, Command};
use zeroize::Zeroizing;

use crate::cli;
use crate::commands::print_identity_token::audience;
use crate::commands::{Example, Group, Spec, Status, Words};
use crate::credential::Credential;
use crate::curl::{self, Call, Filter, Kind, PROJECT, Rules};
use crate::discover::{self, Search};
use crate::error::{Error, Result};
use crate::flags::{Effort, General, Who, Wish};
use crate::output;
use crate::settings::{Given, Settings};
use crate::token::{IdentityRequest, Token, TokenRequest};
use crate::world::exec::{self, Change, Handed};
use crate::world::{World, env};

/// The command.
pub const SPEC: Spec = Spec {
    name: "curl",
    aliases: &[],
    about: "curl with a token that only the right hosts get",
    examples: &[
        Example("gauth curl -s https://pubsub.googleapis.com/v1/projects/p/topics", "an API"),
        Example("gauth curl https://svc-abc.run.app/", "Cloud Run"),
        Example("gauth curl --audience IAP-CLIENT-ID https://app.example.com/", "IAP"),
        Example("gauth curl --dry-run -d @body.json URL", "sends nothing"),
    ],
    more: "\
From the first word that is no flag of gauth's on, or from --, everything is curl's; so is every flag with one dash. The \
real curl runs, its status is returned, and what it reads and prints is untouched. The token goes to it through a pipe \
and stands in no list of processes, no environment and no file.\n\n\
An access token goes to Google's APIs; an ID token to *.run.app and *.cloudfunctions.net, with the URL's scheme and \
host for its audience, or where --audience or --id-token send it. Other hosts are named with --allow-host. The \
project that pays goes along in x-goog-user-project.\n\n\
URLs are written with their scheme, https, or http to a loopback address. What would take the token elsewhere, or \
show it, is refused with 9: -K, -k, --resolve, --connect-to, --unix-socket, --location-trusted, -u, --netrc, --trace \
and the like; .curlrc is not read. With -L, a redirect to another host gets no token (curl 7.83 and later; older ones \
from 7.58 on send it to another port of the same host). With -v the token is shown as its fingerprint. When a server \
says 401 and curl tells (-f without -s, -v), the cached token is dropped; nothing is sent twice.",
    group: Group::Use,
    flags,
    run,
};

/// What is written on the command line.
#[derive(Debug, Default, Args)]
#[group(skip)]
pub(super) struct Flags {
    /// Flags and URLs, as curl takes them
    #[arg(last = true, num_args = 0.., value_name = "CURL")]
    curl: Vec<OsString>,
    /// An ID token for this audience
    #[arg(long, value_name = "A")]
    audience: Option<OsString>,
    /// An ID token for the host of the URL
    #[arg(long)]
    id_token: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    effort: Effort,
    #[command(flatten)]
    general: General,
}

/// Letters are curl's.
fn flags(command: Command) -> Command {
    let command = Flags::augment_args(command)
        .mut_arg("allow_host", |arg| arg.hide(false))
        .mut_arg("verbose", |arg| arg.help("Say what is decided; twice: requests too"));
    ["help", "quiet", "verbose"]
        .into_iter()
        .fold(command, |command, flag| command.mut_arg(flag, |arg| arg.short(None)))
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    let settings = Settings::resolve(&flags.given(), world)?;
    let call = curl::read(&flags.curl)?;
    let hosts: Vec<_> = call.hosts().collect();
    if hosts.is_empty() && flags.dry_run {
        return Err(Error::usage("no URL is named").hint("gauth curl --dry-run URL").into());
    }
    if hosts.is_empty() {
        // Help, the version, or an error of curl's: no token is needed.
        return start(&flags.curl, &call, Vec::new(), world).map(|(status, _)| status);
    }
    let named = flags.audience.as_deref().map(audience).transpose()?;
    let kind = curl::kind(&hosts, named, flags.id_token)?;
    flags.check(&kind, &call, &settings)?;
    let request = match &kind {
        Kind::Access => TokenRequest::Access(settings.wish.clone()),
        Kind::Identity(audience) => TokenRequest::Identity(IdentityRequest {
            audience: Some(audience.clone()),
            ..IdentityRequest::default()
        }),
    };
    let broker = settings.broker(world);
    let found =
        discover::credential(&Search { settings: &settings, broker: &broker, may_ask: true })?;
    let credential: &dyn Credential = &*found.credential;
    allow(&settings, credential, &kind, &call)?;
    let mut token = broker.token(credential, &request)?;
    token.quota_project = match kind {
        Kind::Access => settings.quota_project.or(token.quota_project),
        Kind::Identity(_) => None,
    };
    if flags.dry_run {
        let text = curl::dry_run(&call, &kind, &token, broker.now());
        world.streams.result(text.as_bytes())?;
        return Ok(Status::DONE);
    }
    note_curlrc(world);
    let headers = headers(&call, &token)?;
    let (status, unauthorized) = start(&flags.curl, &call, headers, world)?;
    // A token that was made just now would be no better the next time.
    if unauthorized && token.cached {
        broker.forget(credential, &request);
        world.terminal.warn(
            "the server answered 401, the cached token is dropped\ntry: the same again, with a new token",
        );
    }
    Ok(status)
}

impl Flags {
    /// Whether they go together with each other and with curl's.
    fn check(&self, kind: &Kind, call: &Call, settings: &Settings) -> Result<()> {
        let wish = &self.wish;
        let given = [
            (!wish.scopes.is_empty(), "--scopes"),
            (wish.subject.is_some(), "--subject"),
            (wish.lifetime.is_some(), "--lifetime"),
            (!wish.downscope.is_empty(), "--downscope"),
            (wish.access_boundary.is_some(), "--access-boundary"),
        ];
        if let (Kind::Identity(_), Some((_, flag))) = (kind, given.iter().find(|flag| flag.0)) {
            return Err(Error::usage(format!(
                "{flag} is for access tokens, and an ID token is sent"
            ))
            .hint(format!("leave {flag} away")));
        }
        let input = settings.credentials.as_ref().is_some_and(|chosen| chosen.value == "-");
        match input && call.reads_input {
            true => Err(Error::usage("the credential and curl would both read standard input")
                .hint("--credentials FILE, or a file behind the @ of curl's")),
            false => Ok(()),
        }
    }

    fn given(&self) -> Given {
        Given {
            who: self.who.clone(),
            wish: self.wish.clone(),
            effort: self.effort.clone(),
            general: self.general.clone(),
            ..Given::default()
        }
    }
}

/// Checks the hosts. What the credential says of itself is looked up only where it decides.
fn allow(settings: &Settings, credential: &dyn Credential, kind: &Kind, call: &Call) -> Result<()> {
    let hosts: Vec<_> = call.hosts().collect();
    let rules = Rules {
        allowed: &settings.allowed_hosts,
        universe: settings.universe_domain.as_deref(),
        account: None,
    };
    if rules.check(kind, &hosts).is_ok() {
        return Ok(());
    }
    let about = credential.describe()?;
    let universe = rules.universe.or(about.universe_domain.as_deref());
    Rules { universe, account: about.account.as_deref(), ..rules }.check(kind, &hosts)
}

/// The headers of each group, as curl reads them from a file.
fn headers(call: &Call, token: &Token) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let project = token.quota_project.as_deref();
    if project.is_some_and(|project| project.chars().any(char::is_control)) {
        return Err(Error::usage("the quota project has a control character")
            .hint("--quota-project PROJECT"));
    }
    let of = |group: &curl::Group| {
        let project = project.filter(|_| !group.has_header(PROJECT));
        let project = project.map(|project| format!("{PROJECT}: {project}\n"));
        let authorization = output::header(token);
        Zeroizing::new(
            [&authorization, project.as_deref().unwrap_or_default()].concat().into_bytes(),
        )
    };
    Ok(call.groups.iter().map(of).collect())
}

/// Runs curl, and says whether a server said 401.
fn start(
    words: &[OsString],
    call: &Call,
    headers: Vec<Zeroizing<Vec<u8>>>,
    world: &World,
) -> anyhow::Result<(Status, bool)> {
    let handed: Vec<Handed> = headers.into_iter().map(Handed::new).collect::<Result<_>>()?;
    let words = with_headers(words, call, &handed);
    let mut filter = Filter::default();
    let mut listener = |piece: &[u8]| {
        let shown = if piece.is_empty() { filter.finish() } else { filter.push(piece) };
        world.terminal.pass(&shown);
    };
    // Without a reason to stay, gauth becomes curl: streams, signals and status are its own.
    let ended = match !handed.is_empty() && (call.verbose || call.fails) {
        true => exec::run_with(&words, &changes(call), handed, Some(&mut listener)),
        false => exec::replace_with(&words, &changes(call), handed),
    };
    let status = ended.map(Status).unwrap_or_else(|mut not| {
        if not.status == 127 {
            not.error = not.error.hint("apt install curl, or your system's package of that name");
        }
        cli::not_started(&not, world)
    });
    Ok((status, filter.unauthorized))
}

/// curl's words, with our headers at the head of each group. `-q` is obeyed only as the first: .curlrc may say what
/// we refuse.
fn with_headers(words: &[OsString], call: &Call, handed: &[Handed]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["curl".into(), "-q".into()];
    let mut rest = words;
    let mut done = 0;
    for (group, handed) in call.groups.iter().zip(handed) {
        let (before, behind) = rest.split_at(group.start - done);
        all.extend_from_slice(before);
        all.extend(["-H".into(), format!("@{}", handed.path()).into()]);
        (rest, done) = (behind, group.start);
    }
    all.extend_from_slice(rest);
    all
}

/// curl needs no credential of ours. And a proxy would see what goes without TLS, which stays on this machine.
fn changes(call: &Call) -> Vec<Change<'static>> {
    let secret =
        [env::GAUTH_CREDENTIALS, env::CLOUDSDK_AUTH_ACCESS_TOKEN, env::GOOGLE_OAUTH_ACCESS_TOKEN];
    let proxies = ["http_proxy", "all_proxy", "ALL_PROXY"].iter().filter(|_| call.is_plain());
    let names = secret.iter().map(|variable| &variable.name).chain(proxies);
    names.map(|name| (*name, None)).collect()
}

fn note_curlrc(world: &World) {
    world.terminal.note(|| {
        let home = world.folders.home.as_ref().map(|home| home.join(".curlrc"));
        match home.is_some_and(|file| file.exists()) {
            true => "~/.curlrc is not read: it may lead the token elsewhere".to_owned(),
            false => "curl runs without .curlrc".to_owned(),
        }
    });
}
