//! What a call is: its name, its words for the operator, its arguments, and how it is answered.
//!
//! The nouns define their calls with these types; `control` dispatches by them, the command and
//! the console build verbs, help and completion from them. Nothing here knows a broker.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::broadcast;

use super::{Admin, Problem};

/// One noun of the vocabulary: a file of this room.
#[derive(Debug)]
pub struct Noun {
    /// Its name on the command line, e.g. `clients`.
    pub name: &'static str,
    /// One line: what it is.
    pub doc: &'static str,
    /// What can be asked of it.
    pub calls: &'static [Call],
}

/// One question or command of the operator's vocabulary.
#[derive(Debug)]
pub struct Call {
    /// `noun.verb`, or one word; e.g. `clients.list`.
    pub name: &'static str,
    /// One line: what it does.
    pub doc: &'static str,
    /// Command lines that show its use, without `mqttd`.
    pub examples: &'static [&'static str],
    /// What can be given; positional ones in their order on the command line.
    pub arguments: &'static [Argument],
    /// What the caller must be allowed to do.
    pub permission: Permission,
    /// How it is answered.
    pub answer: AnswerBy,
}

/// What a caller must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Look.
    Read,
    /// Change something.
    Operate,
    /// Change something that cannot be had back: a face asks a person before.
    Destroy,
}

/// One argument of a call.
#[derive(Debug)]
pub struct Argument {
    /// Its key in the request, and `--name` on the command line.
    pub name: &'static str,
    /// One line: what it means, its unit, its default.
    pub doc: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether the call fails without it.
    pub required: bool,
    /// Whether its place on the command line names it; else `--name`.
    pub positional: bool,
    /// What a console completes it with.
    pub completion: Completion,
}

/// The values an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number in this range, both ends included.
    Number(u64, u64),
    /// `true` or `false`; on the command line its presence.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// What an argument names, so that it can be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Nothing that could be looked up.
    Nothing,
    /// A Client Identifier.
    ClientId,
    /// The topic of a retained message.
    Topic,
}

/// The function behind a call; which one says what comes back.
#[derive(Clone, Copy, Debug)]
pub enum AnswerBy {
    /// One value.
    Value(fn(&Admin, &Arguments) -> Result<Value, Problem>),
    /// Rows, page by page.
    Pages(fn(&Admin, &Arguments) -> Result<Pages, Problem>),
    /// Lines, until one side leaves.
    Lines(fn(&Admin, &Arguments) -> Result<Lines, Problem>),
    /// Lines that the caller sends, then one value.
    Takes(fn(&Admin, &Arguments) -> Result<Taking, Problem>),
}

/// Rows in pages: called until it gives `None`, or says why there are no more. A page is made when
/// it is asked for.
pub type Pages = Box<dyn FnMut() -> Result<Option<Vec<Value>>, Problem> + Send>;

/// What takes in the lines of one caller.
pub type Taking = Box<dyn Takes>;

/// Takes in what a caller sends, line by line.
pub trait Takes: Send {
    /// One line, without its newline. May wait.
    ///
    /// # Errors
    /// It cannot be taken in; no more are taken.
    fn take(&mut self, line: &[u8]) -> Result<(), Problem>;

    /// There are no more: what came of it. May wait.
    ///
    /// # Errors
    /// What was taken in is not complete, or could not be kept.
    fn finish(self: Box<Self>) -> Result<Value, Problem>;
}

/// A live feed of lines.
pub type Lines = broadcast::Receiver<Arc<str>>;

/// What a call gives back.
pub enum Reply {
    /// One value.
    Value(Value),
    /// Rows, page by page.
    Pages(Pages),
    /// Lines, until one side leaves.
    Lines(Lines),
    /// The caller's turn to send lines.
    Takes(Taking),
}

/// Something that answers calls: [`Admin`], or a double in tests of the faces.
pub trait Answers: Send + Sync + 'static {
    /// Answers one call. May wait for a shard; not to be called on a thread that must not wait.
    ///
    /// # Errors
    /// No such call, wrong arguments, or what the call itself reports.
    fn answer(&self, call: &str, arguments: Map<String, Value>) -> Result<Reply, Problem>;
}

/// The arguments of one request, checked against the call's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Checks what was given against what `call` takes.
    ///
    /// # Errors
    /// An unknown, missing or wrong argument.
    pub fn check(call: &Call, given: Map<String, Value>) -> Result<Self, Problem> {
        for (name, value) in &given {
            match call.arguments.iter().find(|known| known.name == name) {
                Some(argument) => argument.check(call, value)?,
                None => return Err(unknown(call, name)),
            }
        }
        match call
            .arguments
            .iter()
            .find(|known| known.required && given.get(known.name).is_none_or(Value::is_null))
        {
            Some(missing) => Err(Problem::new(
                "missing_argument",
                format!("{} needs {:?}: {}", call.name, missing.name, missing.doc),
            )),
            None => Ok(Self(given)),
        }
    }

    /// A text or a choice.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// A flag; `false` when not given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

impl Argument {
    /// One that must be given, by its place.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, doc, kind, required: true, positional: true, completion: Completion::Nothing }
    }

    /// One that can be given, by its place.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { required: false, ..Self::required(name, kind, doc) }
    }

    /// One that can be given as `--name`.
    #[must_use]
    pub const fn option(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { positional: false, ..Self::optional(name, kind, doc) }
    }

    /// The same, completed by what `completion` looks up.
    #[must_use]
    pub const fn completed(self, completion: Completion) -> Self {
        Self { completion, ..self }
    }

    fn check(&self, call: &Call, value: &Value) -> Result<(), Problem> {
        let fits = match self.kind {
            _ if value.is_null() => true,
            Kind::Text => value.is_string(),
            Kind::Number(least, most) => value.as_u64().is_some_and(|n| n >= least && n <= most),
            Kind::Flag => value.is_boolean(),
            Kind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        };
        if fits {
            return Ok(());
        }
        let wanted = match self.kind {
            Kind::Text => "a text".to_owned(),
            Kind::Number(least, u64::MAX) => format!("a whole number, {least} or more"),
            Kind::Number(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Flag => "true or false".to_owned(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
        };
        Err(Problem::new(
            "bad_argument",
            format!("{}: {:?} is to be {wanted}, not {value}", call.name, self.name),
        ))
    }
}

fn unknown(call: &Call, name: &str) -> Problem {
    let known: Vec<_> = call.arguments.iter().map(|known| known.name).collect();
    let problem =
        Problem::new("unknown_argument", format!("{} has no argument {name:?}", call.name));
    if known.is_empty() {
        problem.hint("it takes none")
    } else {
        problem.hint(format!("it takes {}", known.join(", ")))
    }
}

impl Problem {
    /// A problem without a way out to name.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: None }
    }

    /// The same with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
