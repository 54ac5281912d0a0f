//! Do the judges notice? Made-up histories, each with one thing wrong, and the same without it.

use std::collections::BTreeMap;

use crate::ledger::{Ledger, Stream, matches};
use crate::registers::Registers;

const PUBLISHER: usize = 0;
const LISTENER: usize = 1;
const OTHER: usize = 2;

const ONE: Stream = Stream { publisher: PUBLISHER, topic: 0, qos: 1 };
const TWO: Stream = Stream { publisher: PUBLISHER, topic: 0, qos: 2 };

/// A publisher, and a listener with an acknowledged subscription.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(&["t/0", "t/1"], &["publisher", "listener", "other"]);
    for who in [PUBLISHER, LISTENER, OTHER] {
        ledger.connect_sent(who, false, 3600);
        ledger.connected(who, false);
    }
    ledger.subscribe_sent(LISTENER, "t/#");
    ledger.subscribed(LISTENER, "t/#");
    ledger
}

fn sent(ledger: &mut Ledger, stream: Stream, acknowledged: bool) -> u32 {
    let number = ledger.publish_sent(stream);
    if acknowledged {
        ledger.acknowledged(stream, number);
    }
    number
}

/// The broker is killed and all come back.
fn crash(ledger: &mut Ledger) {
    for who in [PUBLISHER, LISTENER, OTHER] {
        ledger.lost(who);
    }
    ledger.crashed();
    ledger.restarted();
    for who in [PUBLISHER, LISTENER, OTHER] {
        ledger.connect_sent(who, false, 3600);
        ledger.connected(who, true);
    }
}

#[track_caller]
fn fine(ledger: &mut Ledger) {
    ledger.settle();
    assert_eq!(ledger.findings, Vec::<String>::new());
}

#[track_caller]
fn noticed(ledger: &mut Ledger, words: &str) {
    ledger.settle();
    let findings = &ledger.findings;
    assert!(findings.len() == 1 && findings[0].contains(words), "{words:?} not in {findings:?}");
}

#[test]
fn filters_match_as_the_standard_says() {
    for (filter, topic, is) in [
        ("t/#", "t/0", true),
        ("t/#", "t", true),
        ("t/+", "t/0", true),
        ("t/+", "t/0/1", false),
        ("+/3", "t/3", true),
        ("t/0", "t/1", false),
        ("t/0/1", "t/0", false),
    ] {
        assert_eq!(matches(filter, topic), is, "{filter} {topic}");
    }
}

#[test]
fn an_acknowledged_message_that_never_comes_is_noticed() {
    let mut ledger = ledger();
    sent(&mut ledger, ONE, true);
    crash(&mut ledger);
    noticed(&mut ledger, "1 on t/0 (QoS 1), sent at 0 ms, is lost");
}

#[test]
fn an_unacknowledged_message_may_be_lost() {
    let mut ledger = ledger();
    let number = sent(&mut ledger, ONE, false);
    ledger.abandoned(ONE, number);
    crash(&mut ledger);
    fine(&mut ledger);
}

#[test]
fn a_message_before_the_acknowledgement_of_the_subscription_may_be_lost() {
    let mut ledger = ledger();
    ledger.subscribe_sent(OTHER, "t/0");
    let number = sent(&mut ledger, ONE, true);
    ledger.subscribed(OTHER, "t/0");
    ledger.delivered(LISTENER, ONE, number, 1);
    fine(&mut ledger);
}

/// A full disk refused the first, its publisher went before it heard so, and sends both again.
#[test]
fn a_message_whose_refusal_was_not_heard_comes_late_and_must_come() {
    for is_lost in [false, true] {
        let mut ledger = ledger();
        let first = sent(&mut ledger, ONE, false);
        let second = sent(&mut ledger, ONE, false);
        ledger.delivered(LISTENER, ONE, second, 1);
        for number in [first, second] {
            ledger.perhaps_refused(ONE, number);
            ledger.sent_again(ONE, number);
            ledger.acknowledged(ONE, number);
        }
        if is_lost {
            noticed(&mut ledger, "1 on t/0 (QoS 1), sent at 0 ms, is lost");
        } else {
            ledger.delivered(LISTENER, ONE, first, 1);
            ledger.delivered(LISTENER, ONE, second, 1);
            fine(&mut ledger);
        }
    }
}

#[test]
fn a_message_that_is_lost_is_noticed_at_the_next_one() {
    let mut ledger = ledger();
    sent(&mut ledger, ONE, true);
    let second = sent(&mut ledger, ONE, true);
    ledger.delivered(LISTENER, ONE, second, 1);
    noticed(&mut ledger, "1 on t/0 (QoS 1) is lost, or overtaken by 2");
}

#[test]
fn a_message_that_was_overtaken_and_is_acknowledged_later_is_noticed() {
    let mut ledger = ledger();
    let first = sent(&mut ledger, ONE, false);
    let second = sent(&mut ledger, ONE, false);
    ledger.delivered(LISTENER, ONE, second, 1);
    ledger.acknowledged(ONE, first);
    ledger.acknowledged(ONE, second);
    noticed(&mut ledger, "was overtaken");
}

#[test]
fn an_overtaking_message_is_noticed() {
    let mut ledger = ledger();
    let first = sent(&mut ledger, TWO, false);
    let second = sent(&mut ledger, TWO, false);
    ledger.delivered(LISTENER, TWO, second, 2);
    ledger.delivered(LISTENER, TWO, first, 2);
    noticed(&mut ledger, "came late");
}

#[test]
fn a_second_delivery_of_qos_2_is_noticed_and_of_qos_1_is_none() {
    let mut ledger = ledger();
    let (one, two) = (sent(&mut ledger, ONE, true), sent(&mut ledger, TWO, true));
    ledger.delivered(LISTENER, ONE, one, 1);
    ledger.delivered(LISTENER, TWO, two, 2);
    crash(&mut ledger);
    ledger.delivered(LISTENER, ONE, one, 1);
    assert_eq!(ledger.findings, Vec::<String>::new());
    ledger.delivered(LISTENER, TWO, two, 2);
    noticed(&mut ledger, "of QoS 2 came twice");
}

#[test]
fn messages_that_come_again_keep_their_order() {
    let mut ledger = ledger();
    for _ in 0..3 {
        let number = sent(&mut ledger, ONE, true);
        ledger.delivered(LISTENER, ONE, number, 1);
    }
    crash(&mut ledger);
    ledger.delivered(LISTENER, ONE, 2, 1);
    ledger.delivered(LISTENER, ONE, 3, 1);
    assert_eq!(ledger.findings, Vec::<String>::new());
    ledger.delivered(LISTENER, ONE, 2, 1);
    noticed(&mut ledger, "out of order");
}

#[test]
fn a_message_comes_once_in_a_connection() {
    let mut ledger = ledger();
    let number = sent(&mut ledger, ONE, true);
    crash(&mut ledger);
    ledger.delivered(LISTENER, ONE, number, 1);
    ledger.delivered(LISTENER, ONE, number, 1);
    noticed(&mut ledger, "twice in one connection");
}

#[test]
fn what_its_publisher_sends_again_may_come_again() {
    let mut ledger = ledger();
    let number = sent(&mut ledger, ONE, false);
    ledger.delivered(LISTENER, ONE, number, 1);
    crash(&mut ledger);
    ledger.sent_again(ONE, number);
    ledger.delivered(LISTENER, ONE, number, 1);
    ledger.delivered(LISTENER, ONE, number, 1);
    ledger.acknowledged(ONE, number);
    fine(&mut ledger);
}

#[test]
fn what_its_publisher_sends_again_may_come_behind_later_ones() {
    let mut ledger = ledger();
    let first = sent(&mut ledger, ONE, false);
    ledger.subscribe_sent(OTHER, "t/0");
    let second = sent(&mut ledger, ONE, false);
    ledger.subscribed(OTHER, "t/0");
    crash(&mut ledger);
    for number in [first, second] {
        ledger.sent_again(ONE, number);
        ledger.acknowledged(ONE, number);
        ledger.delivered(LISTENER, ONE, number, 1);
    }
    for number in [second, first, second] {
        ledger.delivered(OTHER, ONE, number, 1);
    }
    fine(&mut ledger);
}

#[test]
fn a_subscription_that_ended_is_silent() {
    let mut ledger = ledger();
    let before = sent(&mut ledger, ONE, true);
    ledger.unsubscribe_sent(LISTENER, "t/#");
    ledger.unsubscribed(LISTENER, "t/#");
    let after = sent(&mut ledger, ONE, true);
    crash(&mut ledger);
    ledger.delivered(LISTENER, ONE, before, 1);
    assert_eq!(ledger.findings, Vec::<String>::new());
    ledger.delivered(LISTENER, ONE, after, 1);
    noticed(&mut ledger, "nothing had asked for it");
}

#[test]
fn a_session_that_is_gone_is_noticed() {
    let mut ledger = ledger();
    ledger.lost(LISTENER);
    ledger.crashed();
    ledger.restarted();
    ledger.connect_sent(LISTENER, false, 3600);
    ledger.connected(LISTENER, false);
    noticed(&mut ledger, "session is gone");
}

#[test]
fn a_session_that_had_ended_is_noticed() {
    let mut ledger = ledger();
    ledger.lost(LISTENER);
    ledger.connect_sent(LISTENER, true, 1);
    ledger.connected(LISTENER, false);
    ledger.lost(LISTENER);
    ledger.at(5000);
    ledger.connect_sent(LISTENER, false, 1);
    ledger.connected(LISTENER, true);
    noticed(&mut ledger, "has ended");
}

#[test]
fn the_expiry_of_a_session_is_open_around_its_end() {
    for present in [false, true] {
        let mut ledger = ledger();
        ledger.lost(LISTENER);
        ledger.connect_sent(LISTENER, true, 1);
        ledger.connected(LISTENER, false);
        ledger.lost(LISTENER);
        ledger.at(1200);
        ledger.connect_sent(LISTENER, false, 1);
        ledger.connected(LISTENER, present);
        fine(&mut ledger);
    }
}

#[test]
fn a_group_gets_each_message_of_qos_2_once() {
    let mut ledger = ledger();
    for who in [LISTENER, OTHER] {
        ledger.subscribe_sent(who, "$share/g/t/1");
        ledger.subscribed(who, "$share/g/t/1");
    }
    ledger.unsubscribe_sent(LISTENER, "t/#");
    ledger.unsubscribed(LISTENER, "t/#");
    let stream = Stream { topic: 1, ..TWO };
    let number = sent(&mut ledger, stream, true);
    assert_eq!(ledger.outstanding(), 1);
    ledger.delivered(OTHER, stream, number, 2);
    assert_eq!(ledger.outstanding(), 0);
    ledger.delivered(LISTENER, stream, number, 2);
    noticed(&mut ledger, "twice to one group");
}

#[test]
fn a_message_that_is_lost_to_a_group_is_noticed() {
    let mut ledger = ledger();
    ledger.subscribe_sent(OTHER, "$share/g/t/1");
    ledger.subscribed(OTHER, "$share/g/t/1");
    let stream = Stream { topic: 1, ..ONE };
    let number = sent(&mut ledger, stream, true);
    ledger.delivered(LISTENER, stream, number, 1);
    noticed(&mut ledger, "$share/g/t/1: publisher's 1");
}

fn registers() -> Registers {
    Registers::new(["r/0".to_owned()].into_iter())
}

fn read(registers: &mut Registers, number: Option<u32>) -> usize {
    let asked = registers.tick();
    let told = number.map(|number| ("r/0".to_owned(), Some((0, number, 1))));
    registers.read(asked, &told.into_iter().collect::<BTreeMap<_, _>>()).len()
}

#[test]
fn an_acknowledged_retained_message_replaces_the_one_before() {
    for (told, findings) in [(Some(2), 0), (Some(1), 1), (None, 1)] {
        let mut registers = registers();
        for number in [1, 2] {
            let write = registers.began("r/0", Some((0, number, 1)));
            registers.ended("r/0", write, true);
        }
        assert_eq!(registers.set(), 1);
        assert_eq!(read(&mut registers, told), findings, "{told:?}");
    }
}

#[test]
fn a_cleared_retained_message_does_not_come_back() {
    let mut registers = registers();
    for value in [Some((0, 1, 1)), None] {
        let write = registers.began("r/0", value);
        registers.ended("r/0", write, true);
    }
    assert_eq!(registers.set(), 0);
    assert_eq!(read(&mut registers, Some(1)), 1);
    assert_eq!(read(&mut registers, None), 1, "what was told has been there");
}

#[test]
fn an_unacknowledged_retained_message_is_there_or_not_and_stays_so() {
    for told in [Some(1), Some(2)] {
        let mut registers = registers();
        let first = registers.began("r/0", Some((0, 1, 1)));
        registers.ended("r/0", first, true);
        let second = registers.began("r/0", Some((0, 2, 1)));
        registers.ended("r/0", second, false);
        assert_eq!(read(&mut registers, told), 0);
        assert_eq!(read(&mut registers, told), 0);
        assert_eq!(read(&mut registers, Some(3 - told.unwrap())), 1);
    }
}

#[test]
fn a_retained_message_that_replaces_another_while_it_is_read_is_there_afterwards() {
    let mut registers = registers();
    let first = registers.began("r/0", Some((0, 1, 1)));
    registers.ended("r/0", first, true);
    let second = registers.began("r/0", Some((0, 2, 1)));
    let asked = registers.tick();
    registers.ended("r/0", second, true);
    let told = BTreeMap::from([("r/0".to_owned(), Some((0, 1, 1)))]);
    assert_eq!(registers.read(asked, &told).len(), 0);
    assert_eq!(read(&mut registers, Some(2)), 0);
}
