//! A line of the console as words, quoted as in a shell: '…', "…" and \.

/// Splits a line. A line that begins with `#` is a comment and has no words.
///
/// # Errors
/// A quote that is not closed.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    if line.trim_start().starts_with('#') {
        return Ok(Vec::new());
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let word = word.get_or_insert_default();
                quoted(&mut letters, letter, |letter| word.push(letter))?;
            }
            '"' => {
                let word = word.get_or_insert_default();
                quoted(&mut letters, letter, |letter| word.push(letter))?;
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            _ if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(
    letters: &mut std::str::Chars<'_>,
    quote: char,
    mut push: impl FnMut(char),
) -> Result<(), String> {
    while let Some(letter) = letters.next() {
        if letter == quote {
            return Ok(());
        }
        match (quote, letter) {
            ('"', '\\') => match letters.next() {
                Some(escaped @ ('"' | '\\')) => push(escaped),
                Some(other) => {
                    push('\\');
                    push(other);
                }
                None => break,
            },
            _ => push(letter),
        }
    }
    Err(format!("a quote {quote} is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        words(line).unwrap()
    }

    #[test]
    fn words_as_in_a_shell() {
        assert_eq!(split("  clients  list "), ["clients", "list"]);
        assert_eq!(
            split("a 'b c' \"d \\\" 'e'\" f\\ g h''i"),
            ["a", "b c", "d \" 'e'", "f g", "hi"]
        );
        assert_eq!(split("publish a/b ''"), ["publish", "a/b", ""]);
        assert_eq!(split("topics list '#'"), ["topics", "list", "#"]);
        assert_eq!(split("topics list #"), ["topics", "list", "#"]);
        assert!(split("# a comment").is_empty() && split("").is_empty());
        assert!(words("show 'x").is_err() && words("show \"x\\").is_err());
    }
}
