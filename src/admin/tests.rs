//! The vocabulary as a table: names, words and arguments hold together.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

fn calls() -> impl Iterator<Item = (&'static Noun, &'static Call)> {
    NOUNS.iter().flat_map(|noun| noun.calls.iter().map(move |call| (noun, call)))
}

fn call(name: &str) -> &'static Call {
    calls().map(|(_, call)| call).find(|call| call.name == name).unwrap()
}

fn given(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn each_call_has_a_name_of_its_own_under_its_noun() {
    let mut names = BTreeSet::new();
    for (noun, call) in calls() {
        assert!(names.insert(call.name), "{} twice", call.name);
        if let Some((before, _)) = call.name.split_once('.') {
            assert_eq!(before, noun.name, "{}", call.name);
        }
    }
}

#[test]
fn each_call_and_argument_says_what_it_is() {
    for (_, call) in calls() {
        assert!(!call.doc.is_empty() && !call.doc.ends_with('.'), "{}", call.name);
        assert!(!call.examples.is_empty(), "{}", call.name);
        for argument in call.arguments {
            assert!(!argument.doc.is_empty(), "{}: {}", call.name, argument.name);
        }
    }
}

#[test]
fn what_must_be_given_by_place_comes_before_what_can_be() {
    for (_, call) in calls() {
        let places: Vec<_> = call
            .arguments
            .iter()
            .filter(|argument| argument.positional)
            .map(|argument| argument.required)
            .collect();
        assert!(places.is_sorted_by_key(|required| !required), "{}", call.name);
    }
}

#[test]
fn arguments_are_checked_by_the_table() {
    let list = call("clients.list");
    let code = |value| Arguments::check(list, given(value)).map_err(|problem| problem.code);
    assert!(code(json!({})).is_ok());
    assert!(code(json!({"filter": "x", "limit": 3, "connected": true})).is_ok());
    assert!(code(json!({"limit": null})).is_ok());
    assert_eq!(code(json!({"limt": 3})).unwrap_err(), "unknown_argument");
    assert_eq!(code(json!({"limit": 0})).unwrap_err(), "bad_argument");
    assert_eq!(code(json!({"limit": "3"})).unwrap_err(), "bad_argument");
    let level = call("log.level");
    let problem = Arguments::check(level, given(json!({"level": "loud"}))).unwrap_err();
    assert!(problem.message.contains("one of error, warn, info"), "{problem}");
    let show = call("clients.show");
    let problem = Arguments::check(show, Map::new()).unwrap_err();
    assert_eq!(problem.code, "missing_argument");
}
