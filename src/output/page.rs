//! Pages of help: what help and manual have in common, and the page for a terminal.

use gauth_core::world::terminal::TextStyle;

/// A term that is wider than this has its meaning on the next line.
const MAX_TERM_COLUMNS: usize = 34;
/// A narrower page puts every meaning on the next line.
const MIN_TWO_COLUMN_WIDTH: usize = 60;

/// A document that help and manual both print: sections, paragraphs and entries.
pub trait Page {
    /// Begins a section with this heading.
    fn section(&mut self, title: &str);
    /// Running text; an empty line separates paragraphs.
    fn paragraphs(&mut self, text: &str);
    /// A term, and its meaning in one or more sentences.
    fn entry(&mut self, term: &str, meaning: &str);
    /// Lines that are not wrapped.
    fn verbatim(&mut self, text: &str);

    /// Terms with short meanings.
    fn table(&mut self, rows: &[(&str, &str)]) {
        for (term, meaning) in rows {
            self.entry(term, &sentence(meaning));
        }
    }
}

/// A subject of `gauth help`, which is also a section of the manual.
pub struct Topic {
    /// The argument of `gauth help`.
    pub name: &'static str,
    /// The heading of the section.
    pub title: &'static str,
    /// Writes the text below the heading.
    pub write: fn(&mut dyn Page),
}

/// The line with a capital letter and a full stop. The line must not begin with a literal value.
pub fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    match letters.next() {
        None => String::new(),
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
    }
}

/// A page for a terminal.
pub(crate) struct HelpPage {
    text: String,
    width: usize,
    style: TextStyle,
    /// Whether the next block is separated from the previous one by an empty line.
    needs_gap: bool,
}

impl HelpPage {
    pub(crate) fn new(width: usize, style: TextStyle) -> HelpPage {
        HelpPage { text: String::new(), width, style, needs_gap: false }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Separates what follows from what precedes it.
    pub(crate) fn gap(&mut self) {
        if std::mem::replace(&mut self.needs_gap, true) {
            self.text.push('\n');
        }
    }

    /// A line that is not wrapped.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
        self.needs_gap = true;
    }

    fn wrapped(&mut self, text: &str, indent: usize) {
        for line in wrap_words(text, self.width - indent) {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    /// Examples with explanations, beside them if that fits for all.
    pub(crate) fn examples(&mut self, examples: &[(&str, &str)]) {
        self.gap();
        let length = |text: &str| text.chars().count();
        let wide = examples.iter().map(|(line, _)| length(line)).max().unwrap_or(0);
        let fits = |(_, about): &(&str, &str)| 2 + wide + 2 + length(about) <= self.width;
        let fits = examples.iter().all(fits);
        for (line, explanation) in examples {
            let explanation = self.style.dim(explanation);
            match fits {
                true => self.line(&format!("  {line:wide$}  {explanation}")),
                false => {
                    self.line(&format!("  {line}"));
                    self.wrapped(&explanation, 6);
                }
            }
        }
    }
}

impl Page for HelpPage {
    fn section(&mut self, title: &str) {
        self.gap();
        self.line(&self.style.heading(title));
        self.needs_gap = false;
    }

    fn paragraphs(&mut self, text: &str) {
        for paragraph in text.split("\n\n") {
            self.gap();
            self.wrapped(paragraph, 0);
        }
    }

    fn entry(&mut self, term: &str, meaning: &str) {
        self.line(&format!("  {term}"));
        meaning.split("\n\n").for_each(|paragraph| self.wrapped(paragraph, 6));
    }

    fn verbatim(&mut self, text: &str) {
        self.gap();
        text.lines().for_each(|line| self.line(&format!("  {line}")));
    }

    /// Two columns where there is room.
    fn table(&mut self, rows: &[(&str, &str)]) {
        self.gap();
        let columns = rows.iter().map(|(term, _)| term.chars().count());
        let wide = columns.filter(|wide| *wide <= MAX_TERM_COLUMNS).max().unwrap_or_default();
        for (term, meaning) in rows {
            if self.width < MIN_TWO_COLUMN_WIDTH || term.chars().count() > wide {
                self.entry(term, meaning);
                continue;
            }
            let lines = wrap_words(meaning, self.width - wide - 4);
            for (index, line) in lines.iter().enumerate() {
                let term = if index == 0 { term } else { "" };
                self.line(&format!("  {term:wide$}  {line}"));
            }
        }
    }
}

/// Wraps text between words. A word that is longer than the width gets its own line.
fn wrap_words(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: usize) -> String {
        let mut page = HelpPage::new(width, TextStyle(false));
        page.table(&[("one", "short"), ("seven", &"word ".repeat(16)), (&"X".repeat(40), "below its term")]);
        page.finish()
    }

    #[test]
    fn a_table_has_two_columns_where_there_is_room() {
        let words = |count| vec!["word"; count].join(" ");
        let long = "X".repeat(40);
        let (first, second) = (words(14), words(2));
        let expected = format!("  one    short\n  seven  {first}\n         {second}\n  {long}\n      below its term\n");
        assert_eq!(table(80), expected);
    }

    #[test]
    fn a_narrow_table_puts_the_meaning_below() {
        let text = table(40);
        assert!(text.starts_with("  one\n      short\n  seven\n      word"), "{text}");
    }

    #[test]
    fn an_empty_line_separates_blocks() {
        let mut page = HelpPage::new(80, TextStyle(false));
        page.section("Title");
        page.paragraphs("one\n\ntwo");
        page.verbatim("  three\n\nfour");
        page.section("Next");
        page.entry("-x", "five\n\nsix");
        let expected = "Title\none\n\ntwo\n\n    three\n\n  four\n\nNext\n  -x\n      five\n      six\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_paragraph_breaks_between_words() {
        assert_eq!(wrap_words("a bb  ccc\ndddddddd", 6), ["a bb", "ccc", "dddddddd"]);
        assert!(wrap_words(" ", 6).is_empty());
    }
}
