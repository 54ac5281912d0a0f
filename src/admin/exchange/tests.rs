//! Lines come back as they were, and wrong ones are refused in words.

use super::*;

/// One of each, with everything in it.
fn all() -> Vec<Entry> {
    let properties = MessageProperties {
        payload_format_indicator: Some(1),
        content_type: Some("text/plain".to_owned()),
        response_topic: Some("answers/ü".to_owned()),
        correlation_data: Some(Octets(vec![0, 0xff])),
        user_properties: vec![("k".into(), "2".into()), ("k".into(), "1".into())],
    };
    let will = WillEntry {
        topic: "w".into(),
        qos: 2,
        retain: true,
        payload: Octets(vec![0xc3]),
        properties: properties.clone(),
        delay_secs: 7,
        expiry_secs: Some(0),
    };
    let subscription = SubscriptionEntry {
        filter: "$share/g/a/+/#".into(),
        qos: 1,
        no_local: false,
        retain_as_published: true,
        retain_handling: 2,
        identifier: Some(268_435_455),
    };
    let recipient = RecipientEntry {
        client_id: "c\u{1b}".into(),
        qos: 2,
        retain: true,
        share: Some("$share/g/a/+/#".into()),
        identifiers: vec![1, 2],
        packet_id: Some(65_535),
    };
    vec![
        Entry::Export(Header::new(5)),
        Entry::Retained(RetainedEntry {
            topic: "a/\u{7}".into(),
            qos: 1,
            payload: Octets("ü\n".into()),
            properties: properties.clone(),
            stored_unix_ms: Some(1),
            expires_unix_ms: Some(u64::MAX),
        }),
        Entry::Session(SessionEntry {
            client_id: "c\u{1b}".into(),
            username: Some(String::new()),
            protocol: "5.0".into(),
            expiry_interval_secs: u32::MAX,
            created_unix_ms: Some(1),
            connected_unix_ms: Some(2),
            disconnected_unix_ms: Some(3),
            will: Some(will),
            subscriptions: vec![subscription],
            awaiting_pubrel: vec![3, 1],
            awaiting_pubcomp: vec![65_535],
        }),
        Entry::Message(MessageEntry {
            topic: "a/b".into(),
            qos: 2,
            retain: true,
            payload: Octets(Vec::new()),
            properties,
            accepted_unix_ms: Some(1),
            expires_unix_ms: None,
            to: vec![recipient],
        }),
        Entry::End(Totals { retained: 1, sessions: 1, messages: 1 }),
    ]
}

#[test]
fn a_line_comes_back_as_it_was() {
    for entry in all() {
        let line = entry.line();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(Entry::read(&line).unwrap(), entry);
    }
}

#[test]
fn bytes_are_text_where_they_can_be() {
    let Entry::Retained(retained) = all().remove(1) else { panic!("the second is one") };
    let line = |payload: &[u8]| {
        let payload = Octets(payload.to_vec());
        String::from_utf8(Entry::Retained(RetainedEntry { payload, ..retained.clone() }).line())
            .unwrap()
    };
    assert!(line(b"a\"b").contains(r#""payload":"a\"b""#));
    assert!(line(&[0xff]).contains(r#""payload":{"base64":"/w=="}"#));
}

#[test]
fn properties_come_back_from_a_packet_s_form() {
    let Entry::Retained(retained) = all().remove(1) else { panic!("the second is one") };
    let encoded = retained.properties.encoded();
    assert_eq!(MessageProperties::of(encoded.as_properties()), retained.properties);
}

#[test]
fn what_is_written_by_hand_may_be_short() {
    for line in [
        r#"{"retained":{"topic":"a","payload":"x"}}"#,
        r#"{"session":{"client_id":"c","protocol":"3.1.1","expiry_interval_secs":60}}"#,
        r#"{"message":{"topic":"a","qos":1,"payload":"","to":[{"client_id":"c","qos":1}]}}"#,
    ] {
        Entry::read(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn what_mqtt_forbids_is_refused_in_words() {
    for (line, words) in [
        ("", "EOF"),
        ("{}", "expected"),
        (r#"{"retained":{"topic":"a","payload":"x","payloat":"y"}}"#, "payloat"),
        (r#"{"retained":{"topic":"a","payload":"x","\u001b[2J":1}}"#, "\\u{1b}[2J"),
        (r#"{"retained":{"topic":"a/#","payload":"x"}}"#, "no topic name"),
        (r#"{"retained":{"topic":"a","payload":""}}"#, "is empty"),
        (r#"{"retained":{"topic":"a","payload":{"base64":"?"}}}"#, "no Base64"),
        (r#"{"retained":{"topic":"a","payload":7}}"#, "a text, or"),
        (r#"{"retained":{"topic":"a","payload":"x","qos":3}}"#, "none of 0, 1, 2"),
        (r#"{"retained":{"topic":"a\u0000","payload":"x"}}"#, "U+0000"),
        (r#"{"session":{"client_id":"","protocol":"5.0","expiry_interval_secs":1}}"#, "empty"),
        (r#"{"session":{"client_id":"c","protocol":"4","expiry_interval_secs":1}}"#, "protocol"),
        (r#"{"session":{"client_id":"c","protocol":"5.0","expiry_interval_secs":0}}"#, "none of"),
        (
            r#"{"session":{"client_id":"c","protocol":"5.0","expiry_interval_secs":1,"subscriptions":[{"filter":"a#","qos":1}]}}"#,
            "no topic filter",
        ),
        (r#"{"message":{"topic":"a","qos":1,"payload":"x","to":[]}}"#, "to is empty"),
        (r#"{"export":{"format":2,"mqttd":"9.0.0","unix_ms":1}}"#, "format 2"),
    ] {
        let error = Entry::read(line.as_bytes()).expect_err(line).to_string();
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[test]
fn longest_texts_fit_and_longer_ones_do_not() {
    let session = |client_id: String| SessionEntry {
        client_id,
        username: None,
        protocol: "5.0".into(),
        expiry_interval_secs: 1,
        created_unix_ms: None,
        connected_unix_ms: None,
        disconnected_unix_ms: None,
        will: None,
        subscriptions: Vec::new(),
        awaiting_pubrel: Vec::new(),
        awaiting_pubcomp: Vec::new(),
    };
    let read = |length| Entry::read(&Entry::Session(session("x".repeat(length))).line());
    assert!(read(65_535).is_ok());
    assert!(matches!(read(65_536), Err(EntryError::Text("client_id"))));
}
