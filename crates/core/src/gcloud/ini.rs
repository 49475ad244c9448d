//! Parses a configuration of gcloud's as Python's `configparser.ConfigParser` does.
//!
//! There are no comments after values. Keys are case-insensitive, sections are not. Indented lines continue a value.
//! `[DEFAULT]` has default values for every section, and `%%` is a percent sign. Where Python refuses duplicate keys or
//! sections, the last one is used.

use std::collections::HashMap;

use configparser::ini::IniDefault;

/// The name for lines before the first section, which no section can have.
const NO_SECTION: &str = "\n";

/// Python's section with default values for all others.
const DEFAULT_SECTION: &str = "DEFAULT";

/// The values by section and lower-case key. Percent signs are still doubled.
pub struct Ini(HashMap<String, HashMap<String, String>>);

impl Ini {
    /// Parses the text. Errors do not quote it, because it may have the password of a proxy.
    pub fn parse(text: &str) -> Result<Ini, String> {
        let mut rules = IniDefault::default();
        rules.default_section = NO_SECTION.to_owned();
        rules.enable_inline_comments = false;
        rules.multiline = true;
        rules.case_sensitive = true;
        // Python also ends a line at a single carriage return.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let sections = configparser::ini::Ini::new_from_defaults(rules).read(text)?;
        if sections.contains_key(NO_SECTION) {
            return Err("has a line before its first [section]".to_owned());
        }
        let mut values = HashMap::with_capacity(sections.len());
        for (section, keys) in sections {
            values.insert(section, lowercase_keys(keys)?);
        }
        Ok(Ini(values))
    }

    /// The value as gcloud reads it.
    pub fn get(&self, section: &str, name: &str) -> Result<Option<String>, String> {
        let value_in = |section: &str| self.0.get(section)?.get(name);
        // `[DEFAULT]` does not apply to sections that are not in the file.
        let raw = value_in(section).or_else(|| {
            self.0.get(section)?;
            value_in(DEFAULT_SECTION)
        });
        raw.map(|raw| unescape_percent(raw)).transpose().map_err(|what| format!("{section}/{name} {what}"))
    }
}

/// Converts keys to lower case, and checks that every key has a value.
fn lowercase_keys(keys: HashMap<String, Option<String>>) -> Result<HashMap<String, String>, String> {
    let mut lowercased = HashMap::with_capacity(keys.len());
    for (key, value) in keys {
        let Some(value) = value else { return Err("has a line without = or :".to_owned()) };
        // On Windows the crate joins the lines of a value with a carriage return, which Python does not.
        let value = value.replace('\r', "");
        // The order of the two keys is lost, so the last one is not known.
        if lowercased.insert(key.to_lowercase(), value).is_some() {
            return Err("has a key twice, in different case".to_owned());
        }
    }
    Ok(lowercased)
}

/// Replaces `%%` by a percent sign. References to other keys (`%(key)s`), which gcloud does not write, are not supported.
fn unescape_percent(raw: &str) -> Result<String, &'static str> {
    let mut pieces = raw.split('%');
    let mut value = pieces.next().unwrap_or_default().to_owned();
    while let Some(between) = pieces.next() {
        match pieces.next() {
            Some(after) if between.is_empty() => {
                value.push('%');
                value.push_str(after);
            }
            _ if between.starts_with('(') => return Err("refers to another key with %(…)s"),
            _ => return Err("has a % that is not doubled"),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, account: Option<&str>, project: Option<&str>) {
        let ini = Ini::parse(text).expect(text);
        assert_eq!(ini.get("core", "account").expect(text).as_deref(), account, "{text}");
        assert_eq!(ini.get("core", "project").expect(text).as_deref(), project, "{text}");
    }

    /// Every line here was given to gcloud 528, which reads the same.
    #[test]
    fn values_are_what_gcloud_reads() {
        let both = |a, p| (Some(a), Some(p));
        for (text, (account, project)) in [
            ("[core]\naccount = a#b ;c # d\nproject: colon\n", both("a#b ;c # d", "colon")),
            ("[core]\naccount = ünï@exämple.com\n", (Some("ünï@exämple.com"), None)),
            ("[core]\nACCOUNT = up\n", (Some("up"), None)),
            ("[Core]\naccount = up\n", (None, None)),
            ("[core]\naccount = a\n   b\n\n   c\nproject = p\n", both("a\nb\n\nc", "p")),
            ("[core]\naccount =\nproject = p\n", both("", "p")),
            ("[DEFAULT]\naccount = d\n[core]\nproject = p\n", both("d", "p")),
            ("[DEFAULT]\naccount = d\n", (None, None)),
            ("[core]\r\naccount = crlf\r\nproject = p\r\n", both("crlf", "p")),
            ("[core]\raccount = cr\rproject = p\r", both("cr", "p")),
            ("  [core]\n  account = a\n  project = p\n", both("a", "p")),
            ("# c\n; d\n[core]\n# c\naccount = a\n  # in\n  b\n;x\nproject = p\n", both("a\nb", "p")),
            ("[core]\naccount = \"a@b\"\n", (Some("\"a@b\""), None)),
            ("[core]\naccount = a=b:c\n", (Some("a=b:c"), None)),
            ("[core] tail\naccount = a\n", (Some("a"), None)),
            ("[core]\naccount = a\u{2028}b\u{85}c\n", (Some("a\u{2028}b\u{85}c"), None)),
            ("[core]\naccount = a%%b%%%%\n", (Some("a%b%%"), None)),
            ("", (None, None)),
        ] {
            check(text, account, project);
        }
    }

    /// gcloud does not start with these.
    #[test]
    fn the_last_of_duplicate_keys_and_sections_wins() {
        check("[core]\naccount = a\n[core]\nproject = p\n", Some("a"), Some("p"));
        check("[core]\naccount = a\naccount = b\n", Some("b"), None);
    }

    /// gcloud does not start with these either.
    #[test]
    fn malformed_text_is_refused_without_quoting_it() {
        for (text, message) in [
            ("account = hush\n", "has a line before its first [section]"),
            ("\u{feff}[core]\naccount = hush\n", "has a line before its first [section]"),
            ("[core]\nhush\n", "has a line without = or :"),
            ("[core]\naccount = hush\nAccount = hush\n", "has a key twice, in different case"),
            ("[core]\n= hush\n", "line 2:0: Key cannot be empty"),
        ] {
            assert_eq!(Ini::parse(text).err().as_deref(), Some(message), "{text}");
        }
        assert!(Ini::parse("[hush\n").is_err_and(|message| !message.contains("hush")));
    }

    #[test]
    fn a_single_percent_sign_invalidates_only_its_own_value() {
        let ini =
            Ini::parse("[core]\naccount = a\n[proxy]\npassword = a%b\nusername = %(password)s").expect("sections");
        assert_eq!(ini.get("core", "account").expect("plain").as_deref(), Some("a"));
        for (name, message) in [
            ("password", "proxy/password has a % that is not doubled"),
            ("username", "proxy/username refers to another key with %(…)s"),
        ] {
            assert_eq!(ini.get("proxy", name).unwrap_err(), message);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([\\[\\]a=:%( )s;#\r\n\t\u{feff}é]|\\PC){0,80}") {
            if let Ok(ini) = Ini::parse(&text) {
                drop(ini.get("a", "a"));
            }
        }

        #[test]
        fn what_gcloud_writes_comes_back(value in "[^\\s\\p{C}]([^\\p{C}\u{2028}\u{2029}]{0,20}[^\\s\\p{C}])?") {
            let text = format!("[core]\naccount = {}\n\n", value.replace('%', "%%"));
            let ini = Ini::parse(&text).expect("well formed");
            prop_assert_eq!(ini.get("core", "account").expect("doubled"), Some(value));
        }
    }
}
