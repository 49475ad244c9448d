//! `gauth man`: the manual, made from the same tables as the help.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::commands::{COMMANDS, Example, Group, Spec, Status, Words};
use crate::error::{self, KINDS};
use crate::flags::General;
use crate::world::World;
use crate::world::env::VARIABLES;
use crate::{cli, help};

/// The command.
pub const SPEC: Spec = Spec {
    name: "man",
    aliases: &[],
    about: "the manual as man pages",
    examples: &[
        Example("gauth man | man -l -", "read it"),
        Example("gauth man ~/.local/share/man/man1", "write all pages into a folder"),
    ],
    more: "Without a folder the page gauth(1) goes to standard output.",
    group: Group::More,
    flags: Flags::augment_args,
    run,
};

/// The date on the pages: that of the release, so that the same source gives the same pages.
const DATE: &str = "2026-11-22";

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// The folder to write gauth.1, gauth-print-access-token.1, … into
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<OsString>,
    #[command(flatten)]
    general: General,
}

fn run(words: Words, world: &World) -> anyhow::Result<Status> {
    let flags: Flags = words.flags()?;
    match &flags.folder {
        None => world.streams.result(&overview()?)?,
        Some(folder) => {
            for (name, page) in pages()? {
                write_page(&Path::new(folder).join(name), &page)?;
            }
        }
    }
    Ok(Status::DONE)
}

#[expect(clippy::disallowed_methods, reason = "a path the user named, and nothing secret")]
fn write_page(path: &Path, page: &[u8]) -> crate::Result<()> {
    std::fs::write(path, page).map_err(|error| {
        let what = error::io_reason(&error);
        let path = crate::printable::path(path);
        crate::Error::unexpected(format!("{path}: cannot be written, {what}"))
            .hint("name a folder that exists and is yours")
    })
}

/// All pages, with the names of their files.
///
/// # Errors
/// Never: they are written into memory.
pub fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![("gauth.1".to_owned(), overview()?)];
    for spec in COMMANDS {
        pages.push((format!("gauth-{}.1", spec.name), page(spec)?));
    }
    Ok(pages)
}

fn man(command: clap::Command, title: String) -> Man {
    let source = format!("gauth {}", env!("CARGO_PKG_VERSION"));
    Man::new(command).title(title.to_uppercase()).date(DATE).source(source).manual("gauth")
}

fn page(spec: &'static Spec) -> std::io::Result<Vec<u8>> {
    let name = format!("gauth-{}", spec.name);
    let command = cli::command(spec).name(name.clone()).bin_name(format!("gauth {}", spec.name));
    let man = man(command, name);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    let mut roff = Roff::new();
    section(&mut roff, "DESCRIPTION");
    paragraphs(&mut roff, spec.more);
    if !spec.aliases.is_empty() {
        paragraphs(&mut roff, &format!("It is also called {}.", spec.aliases.join(", ")));
    }
    roff.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    section(&mut roff, "EXAMPLES");
    for example in spec.examples {
        entry(&mut roff, example.0, example.1);
    }
    section(&mut roff, "SEE ALSO");
    roff.text([bold("gauth"), roman("(1)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn overview() -> std::io::Result<Vec<u8>> {
    let command = clap::Command::new("gauth").about("Google tokens for scripts");
    let man = man(command, "gauth".to_owned());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut roff = Roff::new();
    section(&mut roff, "SYNOPSIS");
    roff.text([bold("gauth"), roman(" COMMAND [FLAGS]")]);
    section(&mut roff, "DESCRIPTION");
    paragraphs(&mut roff, DESCRIPTION);
    section(&mut roff, "COMMANDS");
    for spec in COMMANDS {
        entry(&mut roff, &format!("gauth-{}(1)", spec.name), spec.about);
    }
    section(&mut roff, "ENVIRONMENT");
    for variable in VARIABLES {
        entry(&mut roff, variable.name, variable.about);
    }
    section(&mut roff, "FILES");
    verbatim(&mut roff, help::FILES);
    section(&mut roff, "EXIT STATUS");
    entry(&mut roff, "0", "done");
    for (kind, _, about) in KINDS {
        entry(&mut roff, &kind.exit_code().to_string(), about);
    }
    section(&mut roff, "SECURITY");
    paragraphs(&mut roff, SECURITY);
    roff.to_writer(&mut page)?;
    Ok(page)
}

const DESCRIPTION: &str = "\
gauth prints Google access tokens for scripts, CI steps, curl, kubectl, docker and git, from any credential this \
machine has, and keeps them in a private cache.\n\n\
It looks for a credential in six places, in this order: a ready token in a variable; GAUTH_CREDENTIALS and \
GOOGLE_APPLICATION_CREDENTIALS; gauth's active account; the ADC file in gcloud's folder; gcloud's account; the \
metadata server. gauth status shows what each of them has.\n\n\
Standard output holds the result and nothing else, and nothing on failure. An error is two lines on standard error: \
what happened, and what mends it.";

const SECURITY: &str = "\
A token in the arguments of a program can be seen by every user of the machine (ps). Prefer \
curl -H @<(gauth token --format header) to -H \"Authorization: Bearer $(gauth token)\".\n\n\
Folders are 0700, files 0600. Secrets go to https only, or to loopback addresses, and to Google's hosts unless \
--allow-token-host names another.";

fn section(roff: &mut Roff, title: &str) {
    roff.control("SH", [title]);
}

fn paragraphs(roff: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        roff.control("PP", []);
        roff.text([roman(paragraph.replace('\n', " "))]);
    }
}

fn entry(roff: &mut Roff, term: &str, about: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(about)]);
}

fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in text.lines() {
        match line {
            "" => drop(roff.control("PP", [])),
            line => drop(roff.text([Inline::Roman(line.to_owned())])),
        }
    }
    roff.control("fi", []);
}
