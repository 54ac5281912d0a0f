//! Tab: commands, options and choices from the command tree, client identifiers and topics from
//! the running broker.

use std::path::PathBuf;
use std::time::Duration;

use clap::Command;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use serde_json::{Map, Value, json};

use crate::admin::{Argument, Call, Completion, Kind, NOUNS};
use crate::control::Client;

/// Names looked up for one Tab, at most.
const NAMES_MAX: u64 = 200;

/// A Tab waits no longer than this for the broker.
const LOOK_UP_MS: u64 = 500;

/// What completes a line.
pub(super) struct Tab {
    tree: Command,
    socket: PathBuf,
}

impl Tab {
    pub(super) fn new(tree: Command, socket: PathBuf) -> Self {
        Self { tree, socket }
    }

    /// Everything that can stand where `prefix` stands after `words`.
    fn candidates(&self, words: &[&str], prefix: &str) -> Vec<String> {
        let mut command = &self.tree;
        let mut path = Vec::new();
        let mut places = 0;
        for &word in words {
            match command.find_subcommand(word).filter(|_| places == 0) {
                Some(deeper) => {
                    command = deeper;
                    path.push(deeper.get_name().to_owned());
                }
                None => places += usize::from(!word.starts_with('-')),
            }
        }
        let mut found: Vec<String> = command
            .get_subcommands()
            .filter(|_| places == 0)
            .filter(|deeper| !deeper.is_hide_set())
            .map(|deeper| deeper.get_name().to_owned())
            .collect();
        if path.first().is_some_and(|first| first == "help") || path.is_empty() {
            found.push("help".to_owned());
        }
        if prefix.starts_with('-') {
            let options = command.get_arguments().filter(|option| !option.is_hide_set());
            found.extend(options.filter_map(|option| Some(format!("--{}", option.get_long()?))));
        }
        let call = call(&path);
        let by_place =
            |call: &&Call| call.arguments.iter().filter(|argument| argument.positional).nth(places);
        if let Some(argument) = call.as_ref().and_then(by_place) {
            found.extend(self.values(argument, prefix));
        }
        found.retain(|candidate| candidate.starts_with(prefix));
        found.sort();
        found.dedup();
        found
    }

    fn values(&self, argument: &Argument, prefix: &str) -> Vec<String> {
        let names = |call, args, key| self.names(call, args, key).unwrap_or_default();
        match (argument.kind, argument.completion) {
            (Kind::Choice(words), _) => words.iter().map(|&word| word.to_owned()).collect(),
            (_, Completion::ClientId) => {
                let args = json!({ "filter": prefix, "limit": NAMES_MAX });
                names("clients.list", args, "client_id")
            }
            (_, Completion::Topic) => names("topics.list", json!({ "limit": NAMES_MAX }), "topic"),
            (_, Completion::Nothing) => Vec::new(),
        }
    }

    fn names(&self, call: &str, args: Value, key: &str) -> Option<Vec<String>> {
        let args: Map<_, _> = args.as_object()?.clone();
        let mut client = Client::connect(&self.socket, Duration::from_millis(LOOK_UP_MS)).ok()?;
        let rows = client.call(call, args).ok()?;
        let name = |row: &Value| row[key].as_str().map(str::to_owned);
        Some(rows.as_array()?.iter().filter_map(name).collect())
    }
}

/// The call of a noun's verb, or of a word.
fn call(path: &[String]) -> Option<&'static Call> {
    let name = path.join(".");
    NOUNS.iter().flat_map(|noun| noun.calls).find(|call| call.name == name)
}

/// A name as it has to be typed.
fn typed(name: &str) -> String {
    let plain = |letter: char| !letter.is_whitespace() && !"'\"\\".contains(letter);
    if name.chars().all(plain) {
        return name.to_owned();
    }
    let escape = |letter| if plain(letter) { String::from(letter) } else { format!("\\{letter}") };
    name.chars().map(escape).collect()
}

impl Completer for Tab {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..at).unwrap_or(line);
        let start = before.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let words: Vec<_> = before[..start].split_whitespace().collect();
        let words = words.strip_prefix(&["mqttd"]).unwrap_or(&words);
        let found = self.candidates(words, &before[start..]);
        let pair = |name: String| Pair {
            replacement: format!("{} ", typed(&name)),
            display: crate::cli::table::printable(&name),
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Tab {
    type Hint = String;
}

impl Highlighter for Tab {}

impl Validator for Tab {}

impl Helper for Tab {}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], prefix: &str) -> Vec<String> {
        let tab = Tab::new(super::super::tree::tree(), "/nonexistent".into());
        tab.candidates(words, prefix)
    }

    #[test]
    fn commands_nouns_options_and_choices() {
        assert_eq!(found(&[], "st"), ["stats", "status", "stop", "store"]);
        assert_eq!(found(&["clients"], ""), ["kick", "list", "show"]);
        assert_eq!(found(&["clients", "list"], "--c"), ["--connected"]);
        assert_eq!(found(&["log"], "o"), ["off", "on"]);
        assert_eq!(found(&["log", "level"], "d"), ["debug"]);
        assert!(found(&["log", "level", "debug"], "").is_empty());
        assert!(found(&["clients", "show"], "x").is_empty(), "nobody to ask");
    }

    #[test]
    fn names_are_typed_so_that_they_are_one_word() {
        assert_eq!(typed("a b'c"), "a\\ b\\'c");
        let word = super::super::words::words(&typed("a b\"\\")).unwrap();
        assert_eq!(word, ["a b\"\\"]);
    }
}
