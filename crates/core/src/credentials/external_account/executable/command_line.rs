//! Splits a command line into arguments, with the quotes of a POSIX shell (XCU 2.2) and without its expansions. The
//! crate `shlex` reads `#` as the start of a comment, which Google's libraries do not.

use std::str::Chars;

/// The arguments of a command line, the program first.
///
/// # Errors
/// What is malformed, as the end of a sentence.
pub(super) fn split_args(command: &str) -> Result<Vec<String>, String> {
    let mut letters = command.chars();
    let mut args = Vec::new();
    // `None` between arguments; "" in quotes is an empty argument.
    let mut arg: Option<String> = None;
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => args.extend(arg.take()),
            '\'' => read_single_quoted(&mut letters, arg.get_or_insert_default())?,
            '"' => read_double_quoted(&mut letters, arg.get_or_insert_default())?,
            '\\' => match letters.next() {
                Some('\n') => {}
                Some(letter) => arg.get_or_insert_default().push(letter),
                None => return Err("ends in a backslash".to_owned()),
            },
            letter => arg.get_or_insert_default().push(letter),
        }
    }
    args.extend(arg);
    Ok(args)
}

/// Reads up to the next single quote, every character as it is.
fn read_single_quoted(letters: &mut Chars<'_>, arg: &mut String) -> Result<(), String> {
    for letter in letters {
        match letter {
            '\'' => return Ok(()),
            letter => arg.push(letter),
        }
    }
    Err("has a single quote that is not closed".to_owned())
}

/// Reads up to the next double quote; a backslash escapes what is special to a shell there.
fn read_double_quoted(letters: &mut Chars<'_>, arg: &mut String) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Ok(()),
            '\\' => match letters.next() {
                Some('\n') => {}
                Some(letter @ ('$' | '`' | '"' | '\\')) => arg.push(letter),
                Some(letter) => arg.extend(['\\', letter]),
                None => break,
            },
            letter => arg.push(letter),
        }
    }
    Err("has a double quote that is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::split_args;

    #[test]
    fn words_are_as_a_shell_takes_them() {
        for (command, words) in [
            ("/bin/a", &["/bin/a"][..]),
            ("  /bin/a\t-b \r\n c  ", &["/bin/a", "-b", "c"]),
            ("/bin/a --format=json \"two words\"", &["/bin/a", "--format=json", "two words"]),
            ("a 'b  c' \"d  e\" f\\ g", &["a", "b  c", "d  e", "f g"]),
            ("a'b'\"c\"\\d", &["abcd"]),
            ("a '' \"\" b", &["a", "", "", "b"]),
            ("'a\\n\"$x' \"b'c\"", &["a\\n\"$x", "b'c"]),
            (r#""\$\`\"\\" "\a\'" \$\a"#, &["$`\"\\", "\\a\\'", "$a"]),
            ("a\\\nb \"c\\\nd\" \\\n", &["ab", "cd"]),
            (
                "a $HOME `id` $(id) * ~ #b | c > d; e && f",
                &["a", "$HOME", "`id`", "$(id)", "*", "~", "#b", "|", "c", ">", "d;", "e", "&&", "f"],
            ),
            ("ä 'ö ü'", &["ä", "ö ü"]),
            ("", &[]),
            (" \t\n", &[]),
        ] {
            assert_eq!(split_args(command).expect(command), words, "{command}");
        }
    }

    #[test]
    fn half_a_quote_is_an_error_that_repeats_nothing() {
        for (command, what) in [
            ("a 'hunter2", "single quote"),
            ("a \"hunter2", "double quote"),
            ("a \"hunter2\\", "double quote"),
            ("a \"b\\\" hunter2", "double quote"),
            ("a 'b'c'", "single quote"),
            ("hunter2 \\", "backslash"),
        ] {
            let error = split_args(command).expect_err(command);
            assert!(error.contains(what) && !error.contains("hunter2"), "{command}: {error}");
        }
    }
}
