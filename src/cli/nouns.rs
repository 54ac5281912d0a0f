//! The operator's nouns as clap commands, made from `admin`'s tables.
//!
//! Called by `args` users and the console. A noun that has a `list` needs no verb for it.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

use crate::admin::{Argument, Call, Kind, Noun, Permission};

/// A call that a command line means.
pub(super) struct Meant {
    pub(super) call: &'static Call,
    pub(super) arguments: Map<String, Value>,
    /// Whether a question about it is answered with yes already.
    pub(super) yes: bool,
}

/// The option of calls that are asked about.
const YES: &str = "yes";

/// Adds the nouns to a command, leaving alone what it has already.
pub(super) fn add_to(mut command: Command, nouns: &'static [Noun]) -> Command {
    for noun in nouns {
        let verbs: Vec<_> = noun.calls.iter().filter(|call| call.name.contains('.')).collect();
        if !verbs.is_empty() {
            command = command.subcommand(noun_command(noun, &verbs));
        }
        for call in noun.calls.iter().filter(|call| !call.name.contains('.')) {
            if command.find_subcommand(call.name).is_none() {
                command = command.subcommand(call_command(call, call.name));
            }
        }
    }
    command
}

/// The call a command line means; `None` when it means no call of the nouns.
pub(super) fn call_of(matches: &ArgMatches, nouns: &'static [Noun]) -> Option<Meant> {
    let (name, matches) = matches.subcommand()?;
    let find = |wanted: &str| {
        let mut calls = nouns.iter().flat_map(|noun| noun.calls);
        calls.find(|call| call.name == wanted)
    };
    match matches.subcommand() {
        Some((verb, matches)) => {
            let call = find(&format!("{name}.{verb}"))?;
            Some(meant(call, matches))
        }
        None => match find(name) {
            Some(call) => Some(meant(call, matches)),
            None => {
                let call = find(&format!("{name}.list"))?;
                Some(Meant { call, arguments: Map::new(), yes: false })
            }
        },
    }
}

fn meant(call: &'static Call, matches: &ArgMatches) -> Meant {
    let yes = call.permission == Permission::Destroy && matches.get_flag(YES);
    Meant { call, arguments: arguments(call, matches), yes }
}

fn noun_command(noun: &Noun, verbs: &[&'static Call]) -> Command {
    let has_list = verbs.iter().any(|call| call.name.ends_with(".list"));
    let mut command = Command::new(noun.name)
        .about(noun.doc)
        .subcommand_required(!has_list)
        .arg_required_else_help(!has_list);
    for call in verbs {
        let verb = call.name.rsplit('.').next().unwrap_or(call.name);
        command = command.subcommand(call_command(call, verb));
    }
    command
}

fn call_command(call: &'static Call, name: &'static str) -> Command {
    let mut command = Command::new(name).about(call.doc);
    if !call.examples.is_empty() {
        let examples: Vec<_> =
            call.examples.iter().map(|example| format!("\n  mqttd {example}")).collect();
        command = command.after_long_help(format!("Examples:{}", examples.concat()));
    }
    if call.permission == Permission::Destroy {
        let yes = Arg::new(YES).long(YES).short('y').action(ArgAction::SetTrue);
        command = command.arg(yes.help("Do it without asking"));
    }
    command.args(call.arguments.iter().map(argument))
}

fn argument(argument: &'static Argument) -> Arg {
    let mut arg = Arg::new(argument.name).help(argument.doc).required(argument.required);
    if !argument.positional {
        arg = arg.long(argument.name.replace('_', "-"));
    }
    match argument.kind {
        Kind::Flag => arg.action(ArgAction::SetTrue),
        Kind::Text => arg.value_name(argument.name.to_uppercase()),
        Kind::Number(least, most) => {
            arg.value_name("N").value_parser(clap::value_parser!(u64).range(least..=most))
        }
        Kind::Choice(words) => {
            arg.value_name(argument.name.to_uppercase()).value_parser(words.to_vec())
        }
    }
}

fn arguments(call: &Call, matches: &ArgMatches) -> Map<String, Value> {
    let mut given = Map::new();
    for argument in call.arguments {
        let name = argument.name;
        let value = match argument.kind {
            Kind::Flag => matches.get_flag(name).then_some(Value::Bool(true)),
            Kind::Number(..) => matches.get_one::<u64>(name).copied().map(Value::from),
            Kind::Text | Kind::Choice(_) => {
                matches.get_one::<String>(name).cloned().map(Value::from)
            }
        };
        if let Some(value) = value {
            given.insert(name.to_owned(), value);
        }
    }
    given
}
