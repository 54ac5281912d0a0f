//! Texts of configuration files, in the order in which they win.
//!
//! Promises: no panic; an error has a line and a column of the text, a key unless the text is no
//! TOML at all, and is one line that a terminal can show; what is valid, is complete, and comes
//! back the same from its own dump.

use std::path::PathBuf;

use mqttd::daemon::config::{ConfigError, Loaded, diff, dump, keys, merge};

/// Files of one configuration; a zero byte ends one.
const FILES_MAX: usize = 4;

pub fn run(bytes: &[u8]) {
    let texts = bytes.split(|byte| *byte == 0).take(FILES_MAX).enumerate();
    let files: Vec<(PathBuf, String)> = texts
        .map(|(number, text)| {
            (PathBuf::from(format!("{number}.toml")), String::from_utf8_lossy(text).into_owned())
        })
        .collect();
    match merge(files.iter().cloned().map(Ok)) {
        Ok(loaded) => valid(&loaded, &files),
        Err(errors) => refused(&errors, &files),
    }
}

fn valid(loaded: &Loaded, files: &[(PathBuf, String)]) {
    assert_eq!(loaded.settings.len(), keys().len());
    for origin in loaded.settings.iter().filter_map(|setting| setting.origin.as_ref()) {
        stands(files, &origin.file, origin.line, origin.column);
    }
    let text = dump(loaded);
    let again = merge([Ok((PathBuf::from("dump.toml"), text.clone()))]);
    let again = again.unwrap_or_else(|errors| panic!("{errors:?} in the dump\n{text}"));
    assert_eq!(again.config, loaded.config, "{text}");
    let defaults = Loaded::defaults();
    assert!(diff(&again, loaded).applied.is_empty());
    let left = diff(&defaults.reloaded(loaded.clone()), loaded);
    assert!(left.applied.is_empty(), "{left:?} after a reload");
}

fn refused(errors: &[ConfigError], files: &[(PathBuf, String)]) {
    assert!(!errors.is_empty(), "refused without a reason");
    for error in errors {
        let (line, column) = error.place.expect("an error has a place");
        stands(files, &error.file, line, column);
        // Without a key, the file is no TOML, and no error in it has one.
        let mut others = errors.iter().filter(|other| other.file == error.file);
        assert!(others.all(|other| other.key.is_some() == error.key.is_some()), "{errors:?}");
        let shown = error.to_string();
        assert!(!error.what.is_empty() && !shown.contains(char::is_control), "{shown:?}");
    }
}

/// The place is one of the file: its last line may be followed by one more, of nothing.
fn stands(files: &[(PathBuf, String)], file: &PathBuf, line: usize, column: usize) {
    let (_, text) = files.iter().find(|(path, _)| path == file).expect("a file that was given");
    assert!(line >= 1 && column >= 1, "lines and columns begin at 1");
    let at = text.split('\n').nth(line - 1).expect("a line of the file");
    assert!(column <= at.chars().count() + 1, "column {column} of {at:?}");
}
