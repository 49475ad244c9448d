//! `gauth man`: the manual as man pages, made from the same tables as the help.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, ValueHint};

use crate::cli::help::flags;
use crate::cli::{COMMANDS, help};
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs, sandbox};
use crate::flags::GeneralFlags;
use crate::output::page::{Page, Topic, sentence};
use crate::output::status::ExitStatus;
use gauth_core::error;
use gauth_core::world::World;

pub(crate) const SPEC: CommandSpec = CommandSpec {
    name: "man",
    aliases: &[],
    about: "print the manual as man pages",
    examples: &[
        Example("gauth man | man -l -", "read the page gauth(1)"),
        Example("gauth man ~/.local/share/man/man1", "write all pages into this folder"),
    ],
    description: "\
Writes one page for gauth and one for each command into a folder, from which man shows them, as in man gauth-login. \
Without a folder it prints the page gauth(1).",
    group: CommandGroup::More,
    flags: ManFlags::augment_args,
    run,
};

/// The date on the pages: that of the release, so that the same source gives the same pages.
const RELEASE_DATE: &str = "2026-11-22";

#[derive(Debug, Default, Args)]
pub(super) struct ManFlags {
    /// folder for the pages; without it gauth(1) is printed
    ///
    /// Writes all pages into this folder, which must exist. Without it the page gauth(1) is printed on standard
    /// output.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: Option<OsString>,
    #[command(flatten)]
    general: GeneralFlags,
}

fn run(args: ParsedArgs, world: &World) -> anyhow::Result<ExitStatus> {
    let flags: ManFlags = args.flags()?;
    match &flags.folder {
        None => world.streams.write_result(&overview())?,
        Some(folder) => {
            for (name, page) in pages() {
                write_page(&Path::new(folder).join(name), &page)?;
            }
        }
    }
    Ok(ExitStatus::SUCCESS)
}

#[expect(clippy::disallowed_methods, reason = "a path the user named, and nothing secret")]
fn write_page(path: &Path, page: &[u8]) -> gauth_core::Result<()> {
    std::fs::write(path, page).map_err(|error| {
        let what = error::io_reason(&error);
        let path = gauth_core::text::printable::path(path);
        gauth_core::Error::unexpected(format!("{path}: cannot be written, {what}"))
            .hint("name a folder that exists and is yours")
    })
}

/// All pages, with the names of their files.
pub fn pages() -> Vec<(String, Vec<u8>)> {
    let mut pages = vec![("gauth.1".to_owned(), overview())];
    for spec in COMMANDS {
        pages.push((format!("gauth-{}.1", spec.name), command_page(spec)));
    }
    pages
}

fn command_page(spec: &'static CommandSpec) -> Vec<u8> {
    let mut page = RoffPage::new(&format!("gauth-{}", spec.name), spec.about);
    page.section("SYNOPSIS");
    page.bold_then(&format!("gauth {}", spec.short_name()), &flags::usage(spec));
    page.section("DESCRIPTION");
    page.paragraphs(spec.description);
    let others: Vec<&str> = spec.names().filter(|name| *name != spec.short_name()).collect();
    if !others.is_empty() {
        page.paragraphs(&format!("It is also called gauth {}.", others.join(", gauth ")));
    }
    page.section("OPTIONS");
    for (heading, entries) in flags::sections(spec) {
        if heading != flags::COMMAND_HEADING {
            page.subsection(&heading);
        }
        entries.iter().for_each(|entry| page.entry(&entry.term, &entry.long));
    }
    if spec.name == "sandbox" {
        page.topic(&sandbox::FAULTS_TOPIC);
    }
    page.section("EXAMPLES");
    for example in spec.examples {
        page.entry(example.0, &sentence(example.1));
    }
    page.section("SEE ALSO");
    page.bold_then("gauth", "(1)");
    page.finish()
}

fn overview() -> Vec<u8> {
    let mut page = RoffPage::new("gauth", "Google tokens for scripts");
    page.section("SYNOPSIS");
    page.bold_then("gauth", "COMMAND [FLAGS]");
    page.section("DESCRIPTION");
    page.paragraphs(DESCRIPTION);
    page.section("COMMANDS");
    for spec in COMMANDS {
        page.entry(&format!("gauth-{}(1)", spec.name), &sentence(spec.about));
    }
    let own_page = sandbox::FAULTS_TOPIC.name;
    help::TOPICS.iter().filter(|topic| topic.name != own_page).for_each(|topic| page.topic(topic));
    page.section("SECURITY");
    page.paragraphs(SECURITY);
    page.section("SEE ALSO");
    let pages: Vec<String> = COMMANDS.iter().map(|spec| format!("gauth-{}(1)", spec.name)).collect();
    page.paragraphs(&pages.join(", "));
    page.finish()
}

const DESCRIPTION: &str = "\
gauth prints Google access tokens and ID tokens for scripts, CI jobs and curl. It reads every kind of Google \
credential and caches tokens in private files.\n\n\
Standard output holds the result and nothing else; it is empty after a failure. An error is two lines on standard \
error: what happened, and how to fix it.";

const SECURITY: &str = "\
Every user of a machine can read the arguments of its programs, for example with ps. A token in an argument, as in \
curl -H \"Authorization: Bearer $(gauth token)\", is visible to them; curl -H @<(gauth token --format header) hides it.\n\n\
Files have mode 0600, folders 0700. gauth sends secrets over https, to loopback addresses and to the metadata server \
only, and only to Google's hosts unless --allow-token-host names others.";

/// A page in the language of man.
struct RoffPage(String);

impl RoffPage {
    fn new(name: &str, about: &str) -> RoffPage {
        let title = name.to_uppercase();
        let source = concat!("gauth ", env!("CARGO_PKG_VERSION"));
        let mut page = RoffPage(format!(".TH {title} 1 {RELEASE_DATE} \"{source}\" \"gauth manual\"\n"));
        page.section("NAME");
        page.0.push_str(&format!("{} \\- {}\n", escape_roff(name), escape_roff(about)));
        page
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn topic(&mut self, topic: &Topic) {
        self.section(&topic.title.to_uppercase());
        (topic.write)(self);
    }

    fn subsection(&mut self, title: &str) {
        self.0.push_str(&format!(".SS {title}\n"));
    }

    fn bold_then(&mut self, bold: &str, roman: &str) {
        let space = if roman.starts_with('(') { "" } else { " " };
        self.0.push_str(&format!("\\fB{}\\fR{space}{}\n", escape_roff(bold), escape_roff(roman)));
    }
}

impl Page for RoffPage {
    fn section(&mut self, title: &str) {
        self.0.push_str(&format!(".SH {title}\n"));
    }

    fn paragraphs(&mut self, text: &str) {
        for (index, paragraph) in text.split("\n\n").enumerate() {
            // Directly below a heading the first one needs no mark, and may have none.
            let headed = self.0.lines().last().is_some_and(|line| line.starts_with(".S"));
            if index > 0 || !headed {
                self.0.push_str(".PP\n");
            }
            self.0.push_str(&escape_roff(&paragraph.replace('\n', " ")));
            self.0.push('\n');
        }
    }

    fn entry(&mut self, term: &str, meaning: &str) {
        let meaning = escape_roff(meaning).replace("\n\n", "\n.IP\n");
        self.0.push_str(&format!(".TP\n\\fB{}\\fR\n{meaning}\n", escape_roff(term)));
    }

    fn verbatim(&mut self, text: &str) {
        self.0.push_str(".PP\n.RS 4\n.nf\n");
        for line in text.lines() {
            let line = escape_roff(line);
            self.0.push_str(if line.is_empty() { "\\&" } else { &line });
            self.0.push('\n');
        }
        self.0.push_str(".fi\n.RE\n");
    }
}

/// Text that roff prints as it is; what stands between backticks becomes bold.
fn escape_roff(text: &str) -> String {
    let mut out = String::new();
    let mut fonts = ["\\fB", "\\fR"].into_iter().cycle();
    if text.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.extend(fonts.next()),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '…' => out.push_str("..."),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauth_core::world::env::VARIABLES;

    #[test]
    fn what_is_typed_survives_roff() {
        assert_eq!(escape_roff("it's --a `b` ~/c \\n"), "it\\(aqs \\-\\-a \\fBb\\fR \\(ti/c \\en");
        assert_eq!(escape_roff(".netrc"), "\\&.netrc");
    }

    #[test]
    fn the_manual_has_a_page_for_each_command_and_every_variable() {
        let pages = pages();
        assert_eq!(pages.len(), 1 + COMMANDS.len());
        let overview = String::from_utf8_lossy(&pages[0].1).into_owned();
        for variable in VARIABLES {
            assert!(overview.contains(&format!("\\fB{}\\fR", variable.name)), "{}", variable.name);
        }
    }
}
