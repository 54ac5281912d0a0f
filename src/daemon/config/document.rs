//! What people read about the keys, made from the table: the shipped file, the section of the
//! manual page, and the effective configuration.
//!
//! Called by the tests that keep `packaging/mqttd.toml` in step, by the generator of the manual
//! pages, and by `mqttd check-config --dump`.

use std::fmt::Write;

use super::Loaded;
use super::schema::{Applies, Key, Section, keys, keys_of, sections};

const WIDTH: usize = 78;

const HEAD: &str = "\
mqttd's configuration. Every key is shown with its default: remove the \"#\" before a \
key to change it. An empty file means the same as this one.

Changes to this file survive upgrades, but the better place for them is a file of your own, such \
as conf.d/local.toml beside this one: files there are read afterwards in the order of their names, \
and each key they set wins over the same key set earlier.

Check with `mqttd check-config`, apply with `mqttd reload`. See mqttd.toml(5).";

/// The configuration file that is shipped: all keys, documented, none set.
#[must_use]
pub fn shipped() -> String {
    let mut text = String::new();
    for paragraph in HEAD.split("\n\n") {
        comment(&mut text, paragraph);
        text.push_str("#\n");
    }
    text.truncate(text.len() - 2);
    for section in sections() {
        text.push('\n');
        if !section.path.is_empty() {
            comment(&mut text, section.doc);
            let _ = writeln!(text, "[{}]", section.path);
        }
        for (index, key) in keys_of(section).enumerate() {
            if index > 0 || !section.path.is_empty() {
                text.push('\n');
            }
            comment(&mut text, key.doc);
            comment(&mut text, &format!("{}.", facts(key)));
            let _ = writeln!(text, "#{} = {}", key.name(), key.default);
        }
    }
    text
}

/// The sections of mqttd.toml(5) that describe the keys, as man(7) source.
#[must_use]
pub fn manual() -> String {
    let mut text = String::from(".SH KEYS\n");
    for section in sections() {
        manual_section(&mut text, section);
        for key in keys_of(section) {
            let _ = writeln!(
                text,
                ".TP\n\\fB{}\\fR = {}\n{}\n.br\n{}.",
                roff(key.name()),
                roff(key.default),
                roff(key.doc),
                roff(&facts(key)),
            );
        }
    }
    text
}

fn manual_section(text: &mut String, section: &Section) {
    if section.path.is_empty() {
        let _ = writeln!(text, ".SS Before the first table\n{}", roff(section.doc));
    } else {
        let _ = writeln!(text, ".SS [{}]\n{}", roff(section.path), roff(section.doc));
    }
}

/// The effective configuration as a file that would give it, with the place of each value.
#[must_use]
pub fn dump(loaded: &Loaded) -> String {
    let mut text = String::new();
    for section in sections() {
        if !section.path.is_empty() {
            let _ = writeln!(text, "\n[{}]", section.path);
        }
        for (key, setting) in keys().iter().zip(&loaded.settings) {
            if key.section() != section.path {
                continue;
            }
            let origin = match &setting.origin {
                Some(origin) => origin.to_string(),
                None => "default".to_owned(),
            };
            let line = format!("{} = {}", key.name(), setting.value);
            let _ = writeln!(text, "{line:<44} # {origin}");
        }
    }
    text
}

/// What a key takes and when it applies.
fn facts(key: &Key) -> String {
    let applies = match key.applies {
        Applies::OnReload => "reload",
        Applies::OnRestart => "restart",
    };
    format!("Takes {}; applied by {applies}", key.kind)
}

/// Appends text as comment lines.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line != "#" {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// Text as man(7) takes it: `\` and `-` escaped, no line that begins as a request.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}
