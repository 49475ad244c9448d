//! Lays out help pages: paragraphs, tables and plain lines, wrapped to the width of the terminal.

/// A term that is wider than this has its meaning on the next line.
const MAX_TERM_COLUMNS: usize = 34;
/// A narrower page puts every meaning on the next line.
const MIN_TWO_COLUMN_WIDTH: usize = 60;

/// A help page; `width` is in columns.
pub(crate) struct HelpPage {
    text: String,
    width: usize,
}

impl HelpPage {
    pub(crate) fn new(width: usize) -> HelpPage {
        HelpPage { text: String::new(), width }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Adds a line without wrapping it.
    pub(crate) fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// Adds wrapped text.
    pub(crate) fn paragraph(&mut self, text: &str) {
        for line in wrap_words(text, self.width) {
            self.line(&line);
        }
    }

    /// Adds terms and their meanings, in two columns where the width allows it.
    pub(crate) fn table(&mut self, rows: &[(String, String)]) {
        let wide = rows.iter().map(|(term, _)| term.chars().count());
        let wide = wide.filter(|wide| *wide <= MAX_TERM_COLUMNS).max().unwrap_or(MAX_TERM_COLUMNS);
        let column = if self.width < MIN_TWO_COLUMN_WIDTH { 6 } else { wide + 4 };
        for (term, meaning) in rows {
            let fits_beside = self.width >= MIN_TWO_COLUMN_WIDTH && term.chars().count() <= wide;
            let mut lines = wrap_words(meaning, self.width - column).into_iter();
            match lines.next().filter(|_| fits_beside) {
                Some(first) => self.line(&format!("  {term:wide$}  {first}")),
                None => {
                    self.line(&format!("  {term}"));
                    lines = wrap_words(meaning, self.width - column).into_iter();
                }
            }
            for line in lines {
                self.line(&format!("{:column$}{line}", ""));
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
        let mut page = HelpPage::new(width);
        let row = |term: &str, meaning: &str| (term.to_owned(), meaning.to_owned());
        page.table(&[
            row("one", "short"),
            row("seven", &"word ".repeat(16)),
            row(&"X".repeat(40), "below its term"),
            row("bare", ""),
        ]);
        page.finish()
    }

    #[test]
    fn a_table_has_two_columns_where_there_is_room() {
        let words = |count| vec!["word"; count].join(" ");
        let long = "X".repeat(40);
        let (first, second) = (words(14), words(2));
        let expected = format!(
            "  one    short\n  seven  {first}\n         {second}\n  {long}\n         below its term\n  bare\n"
        );
        assert_eq!(table(80), expected);
    }

    #[test]
    fn a_narrow_table_puts_the_meaning_below() {
        let text = table(40);
        assert!(text.starts_with("  one\n      short\n  seven\n      word"), "{text}");
    }

    #[test]
    fn a_paragraph_breaks_between_words() {
        assert_eq!(wrap_words("a bb  ccc\ndddddddd", 6), ["a bb", "ccc", "dddddddd"]);
        assert!(wrap_words(" ", 6).is_empty());
    }
}
