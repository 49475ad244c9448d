//! `gauth man`: the manual, made from the same tables as the help.

use std::ffi::OsString;
use std::path::Path;

use clap::{Args, ValueHint};

use crate::cli::COMMANDS;
use crate::cli::help;
use crate::cli::help::flags;
use crate::cli::help::flags::FlagEntry;
use crate::commands::{CommandGroup, CommandSpec, Example, ParsedArgs};
use crate::flags::GeneralFlags;
use crate::output::status::ExitStatus;
use gauth_core::error;
use gauth_core::error::ERROR_KINDS;
use gauth_core::world::World;
use gauth_core::world::env::VARIABLES;
use gauth_sandbox::faults::FAULTS;

/// The command.
pub const SPEC: CommandSpec = CommandSpec {
    name: "man",
    aliases: &[],
    about: "the manual as man pages",
    examples: &[
        Example("gauth man | man -l -", "read it"),
        Example("gauth man ~/.local/share/man/man1", "write all pages into a folder"),
    ],
    description: "Without a folder the page gauth(1) goes to standard output.",
    group: CommandGroup::More,
    flags: ManFlags::augment_args,
    run,
};

/// The date on the pages: that of the release, so that the same source gives the same pages.
const RELEASE_DATE: &str = "2026-11-22";

#[derive(Debug, Default, Args)]
pub(super) struct ManFlags {
    /// The folder for the pages; without it gauth(1) is shown
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
        if heading != "Flags" {
            page.subsection(&heading);
        }
        for entry in entries {
            page.entry(&entry.term, &full_description(&entry));
        }
    }
    if spec.name == "sandbox" {
        page.section("FAULTS");
        page.paragraphs(help::FAULTS_INTRODUCTION);
        for fault in FAULTS {
            page.entry(fault.name, &sentence(fault.description));
        }
    }
    page.section("EXAMPLES");
    for example in spec.examples {
        page.entry(example.0, &sentence(example.1));
    }
    page.section("EXIT STATUS");
    page.paragraphs("The table in gauth(1) holds for all commands.");
    page.section("SEE ALSO");
    page.bold_then("gauth", "(1)");
    page.finish()
}

/// What the help has no room for.
fn full_description(entry: &FlagEntry) -> String {
    // What stands behind the colon comes again, with its meaning.
    let short = entry.about.split(": ").next().filter(|_| !entry.values.is_empty());
    let mut text = sentence(short.unwrap_or(&entry.about));
    let values: Vec<String> =
        entry.values.iter().map(|(value, about)| format!("{value} ({about})")).collect();
    for more in [
        (!values.is_empty()).then(|| format!("The values are {}.", values.join(", "))),
        entry.default.as_ref().map(|value| format!("The default is {value}.")),
        (!entry.aliases.is_empty()).then(|| format!("Also {}.", entry.aliases.join(", "))),
        entry.repeatable.then(|| "May be given more than once.".to_owned()),
    ]
    .into_iter()
    .flatten()
    {
        text.push(' ');
        text.push_str(&more);
    }
    text
}

/// The manual has sentences where the help has lines.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    match letters.next() {
        None => String::new(),
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
    }
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
    page.section("FORMATS");
    page.paragraphs("What --format prints:");
    for (format, about) in help::FORMATS {
        page.entry(format, about);
    }
    page.section("ENVIRONMENT");
    page.paragraphs(
        "A flag goes before GAUTH_*, that before Google's own, that before config.toml. An empty \
         variable is unset.",
    );
    for variable in VARIABLES {
        page.entry(variable.name, &sentence(variable.about));
    }
    page.section("FILES");
    page.paragraphs(help::FILES_INTRODUCTION);
    for (file, about) in help::FILES {
        page.entry(file, &sentence(about));
    }
    page.paragraphs("config.toml, with every key there is:");
    page.verbatim(help::CONFIG_EXAMPLE);
    page.section("EXIT STATUS");
    page.entry("0", "Done.");
    for (kind, _, about) in ERROR_KINDS {
        page.entry(&kind.exit_code().to_string(), &sentence(about));
    }
    page.entry("128+n", "Ended by signal n.");
    page.section("SECURITY");
    page.paragraphs(SECURITY);
    page.section("SEE ALSO");
    let pages: Vec<String> =
        COMMANDS.iter().map(|spec| format!("gauth-{}(1)", spec.name)).collect();
    page.paragraphs(&pages.join(", "));
    page.finish()
}

const DESCRIPTION: &str = "\
gauth prints Google access tokens for scripts, CI steps and curl, from any credential this version reads, and keeps \
them in a private cache.\n\n\
It looks for a credential in six places, in this order: a ready token in a variable; GAUTH_CREDENTIALS and \
GOOGLE_APPLICATION_CREDENTIALS; gauth's active account; the ADC file in gcloud's folder; gcloud's account; the \
metadata server. gauth status shows what each of them has.\n\n\
Standard output holds the result and nothing else, and nothing on failure. An error is two lines on standard error: \
what happened, and what mends it.";

const SECURITY: &str = "\
A token in the arguments of a program can be seen by every user of the machine (ps). Prefer \
curl -H @<(gauth token --format header) to -H \"Authorization: Bearer $(gauth token)\".\n\n\
Folders are 0700, files 0600. Secrets go to https only, or to loopback addresses and the metadata server, and to \
Google's hosts unless --allow-token-host names another.";

/// A page in the language of man.
struct RoffPage(String);

impl RoffPage {
    fn new(name: &str, about: &str) -> RoffPage {
        let title = name.to_uppercase();
        let source = concat!("gauth ", env!("CARGO_PKG_VERSION"));
        let mut page =
            RoffPage(format!(".TH {title} 1 {RELEASE_DATE} \"{source}\" \"gauth manual\"\n"));
        page.section("NAME");
        page.0.push_str(&format!("{} \\- {}\n", escape_roff(name), escape_roff(about)));
        page
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }

    fn section(&mut self, title: &str) {
        self.0.push_str(&format!(".SH {title}\n"));
    }

    fn subsection(&mut self, title: &str) {
        self.0.push_str(&format!(".SS {title}\n"));
    }

    fn bold_then(&mut self, bold: &str, roman: &str) {
        let space = if roman.starts_with('(') { "" } else { " " };
        self.0.push_str(&format!("\\fB{}\\fR{space}{}\n", escape_roff(bold), escape_roff(roman)));
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

    fn entry(&mut self, term: &str, about: &str) {
        match about {
            "" => self.0.push_str(&format!(".PP\n\\fB{}\\fR\n", escape_roff(term))),
            about => {
                self.0.push_str(&format!(
                    ".TP\n\\fB{}\\fR\n{}\n",
                    escape_roff(term),
                    escape_roff(about)
                ));
            }
        }
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

/// Plain text, safe from roff: what is typed must come out as it can be typed.
fn escape_roff(text: &str) -> String {
    let mut out = String::new();
    if text.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
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

    #[test]
    fn what_is_typed_survives_roff() {
        assert_eq!(
            escape_roff("it's --a `b` ~/c \\n"),
            "it\\(aqs \\-\\-a \\(gab\\(ga \\(ti/c \\en"
        );
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
