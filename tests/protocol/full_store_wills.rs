//! Who comes back while the disk takes nothing: CONNACK promises that the Will is kept and the one
//! before is not published any more, so where it cannot be kept the client is refused, and its
//! connection and Will of before stay as they are.

use mqttd::broker::Storing;
use mqttd::codec::{
    Disconnect, Packet, Properties, PropertiesBuf, Property, QoS, ReasonCode, Version, Will,
};

use crate::kit::packets::{Hello, publish, will};
use crate::kit::{Broker, Client, keeping_with, limits};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// How the disk is down, and what a 5.0 client is told.
const DOWN: [(Storing, u8); 2] = [(Storing::Full, 0x97), (Storing::Failed, 0x88)];

/// A broker, somebody who hears all messages, and a disk that fails when it is told to.
struct Scene<'b> {
    broker: &'b mut Broker,
    watcher: Client,
    down: Storing,
    reason: u8,
}

/// With a disk that is full, and with one that failed.
fn each(script: impl Fn(&mut Scene<'_>)) {
    for (down, reason) in DOWN {
        keeping_with(&limits(), |broker| {
            let watcher = broker.connect(Version::V311, "watcher");
            broker.subscribe(watcher, &[("#", QoS::AtLeastOnce)]);
            script(&mut Scene { broker, watcher, down, reason });
        });
    }
}

/// The same for each version of the protocol.
fn each_version(script: impl Fn(&mut Scene<'_>, Version)) {
    for version in VERSIONS {
        each(|scene| script(scene, version));
    }
}

impl Scene<'_> {
    fn falls(&mut self) {
        self.broker.storing(self.down);
    }

    fn mends(&mut self) {
        self.broker.storing(Storing::Well);
    }

    /// The client must hear at once that it is not let in.
    fn refuses(&mut self, hello: &Hello<'_>) {
        let client = self.broker.open(hello.version);
        self.broker.send(client, &hello.packet());
        if hello.version == Version::V5 {
            self.broker.expect_connack_of_5(client, self.reason);
        } else {
            self.broker.expect_bytes(client, &[0x20, 2, 0, 3]);
        }
        self.broker.expect_closed(client);
    }

    /// It is let in, to the session that it had.
    fn resumes(&mut self, hello: &Hello<'_>) -> Client {
        let (client, present) = self.broker.connect_as(hello);
        // 3.1 does not say.
        assert_eq!(present, hello.version != Version::V31);
        client
    }

    fn begins(&mut self, hello: &Hello<'_>) -> Client {
        let (client, present) = self.broker.connect_as(hello);
        assert!(!present);
        client
    }

    fn mourned(&mut self, payload: &[u8]) {
        self.broker.expect_publish(self.watcher, &publish("w", payload));
    }

    fn nobody_mourned(&mut self) {
        self.broker.expect_silence(self.watcher);
    }
}

/// One whose session stays, and has no Will.
fn stays(version: Version) -> Hello<'static> {
    Hello::persistent(version, "mortal")
}

fn with<'a>(payload: &'a [u8], hello: Hello<'a>) -> Hello<'a> {
    Hello { will: Some(will("w", payload)), ..hello }
}

#[test]
fn a_will_that_cannot_be_kept_is_refused_and_the_connection_of_before_goes_on() {
    each_version(|scene, version| {
        let before = scene.begins(&stays(version));
        scene.falls();
        scene.refuses(&with(b"new", stays(version)));
        scene.broker.expect_silence(before);
        scene.mends();
        let client = scene.resumes(&with(b"new", stays(version)));
        scene.broker.expect_disconnected(before, ReasonCode::SessionTakenOver);
        scene.nobody_mourned();
        scene.broker.cut(client);
        scene.mourned(b"new");
    });
}

/// With a Will or without: taken over, the old one would be published, and that might be forgotten.
#[test]
fn a_connection_with_a_will_is_not_taken_over() {
    each_version(|scene, version| {
        let before = scene.begins(&with(b"old", stays(version)));
        scene.falls();
        for again in [stays(version), with(b"new", stays(version))] {
            scene.refuses(&again);
            scene.refuses(&Hello { clean_start: true, ..again });
        }
        scene.broker.expect_silence(before);
        scene.nobody_mourned();
        scene.mends();
        scene.resumes(&stays(version));
        scene.broker.expect_disconnected(before, ReasonCode::SessionTakenOver);
        scene.mourned(b"old");
        scene.nobody_mourned();
    });
}

/// DISCONNECT discards the Will, but not on the disk yet.
#[test]
fn a_will_is_discarded_on_the_disk_before_its_client_is_let_in() {
    each_version(|scene, version| {
        let client = scene.begins(&with(b"old", stays(version)));
        scene.falls();
        scene.broker.disconnect(client);
        scene.refuses(&stays(version));
        scene.refuses(&with(b"new", stays(version)));
        scene.mends();
        scene.resumes(&stays(version));
        scene.nobody_mourned();
        // From now on nothing is left to be kept.
        scene.falls();
        scene.resumes(&stays(version));
    });
}

/// It was published, but the disk would publish it again.
#[test]
fn a_will_is_published_on_the_disk_too_before_its_client_is_let_in() {
    each_version(|scene, version| {
        let client = scene.begins(&with(b"old", stays(version)));
        scene.falls();
        scene.broker.cut(client);
        scene.mourned(b"old");
        scene.refuses(&stays(version));
        scene.mends();
        scene.resumes(&stays(version));
        scene.nobody_mourned();
    });
}

/// `[MQTT-3.1.3-9]`: its client is back in time only when it is let in.
#[test]
fn a_will_that_waits_is_not_discarded_by_a_client_that_is_refused() {
    let (mut properties, mut of_will) = (PropertiesBuf::default(), PropertiesBuf::default());
    properties.push(Property::SessionExpiryInterval(3600));
    of_will.push(Property::WillDelayInterval(10));
    let again = Hello { properties: properties.as_properties(), ..stays(Version::V5) };
    let will = Will { properties: of_will.as_properties(), ..will("w", b"old") };
    let delayed = Hello { will: Some(will), ..again.clone() };
    each(|scene| {
        let client = scene.begins(&delayed);
        scene.broker.cut(client);
        scene.falls();
        scene.refuses(&again);
        scene.broker.pass_secs(8);
        scene.nobody_mourned();
        scene.mends();
        let client = scene.resumes(&delayed);
        scene.broker.pass_secs(30);
        scene.nobody_mourned();
        scene.broker.cut(client);
        scene.falls();
        scene.refuses(&again);
        scene.broker.pass_secs(11);
        scene.mourned(b"old");
        scene.refuses(&again);
        scene.mends();
        scene.resumes(&again);
        scene.nobody_mourned();
    });
}

/// DISCONNECT says how long the session stays; CONNACK says it once more.
#[test]
fn a_new_session_expiry_is_on_the_disk_before_its_client_is_let_in() {
    let mut longer = PropertiesBuf::default();
    longer.push(Property::SessionExpiryInterval(7200));
    let properties = longer.as_properties();
    each(|scene| {
        let client = scene.begins(&stays(Version::V5));
        scene.falls();
        let goodbye = Disconnect { reason: ReasonCode::Success, properties };
        scene.broker.send(client, &Packet::Disconnect(goodbye));
        scene.broker.expect_closed(client);
        let again = Hello { properties, ..stays(Version::V5) };
        scene.refuses(&again);
        scene.mends();
        scene.resumes(&again);
    });
}

/// A session that ends with this connection ends on the disk before there is another: else what it
/// was would come back.
#[test]
fn a_session_that_ends_is_gone_from_the_disk_before_its_client_is_let_in() {
    let passing = Hello { properties: Properties::EMPTY, ..stays(Version::V5) };
    each(|scene| {
        let before = scene.begins(&stays(Version::V5));
        let before = {
            let client = scene.resumes(&passing);
            scene.broker.expect_disconnected(before, ReasonCode::SessionTakenOver);
            client
        };
        scene.falls();
        scene.refuses(&passing);
        scene.broker.expect_silence(before);
        scene.broker.disconnect(before);
        scene.refuses(&passing);
        scene.refuses(&Hello { clean_start: true, ..passing.clone() });
        scene.mends();
        scene.begins(&passing);
    });
}

/// What is not kept needs no disk.
#[test]
fn a_session_that_ends_with_its_connection_is_let_in_with_its_will() {
    each_version(|scene, version| {
        scene.falls();
        let passing = Hello::new(version, "mortal");
        let before = scene.begins(&with(b"1", passing.clone()));
        let client = scene.begins(&with(b"2", passing));
        scene.broker.expect_disconnected(before, ReasonCode::SessionTakenOver);
        scene.mourned(b"1");
        scene.broker.cut(client);
        scene.mourned(b"2");
    });
}

/// Nor does a session of which nothing changes: it comes and goes, and QoS 0 passes.
#[test]
fn a_session_without_a_will_comes_and_goes() {
    each_version(|scene, version| {
        let client = scene.begins(&stays(version));
        scene.broker.disconnect(client);
        scene.falls();
        let mut client = scene.resumes(&stays(version));
        for payload in [b"1", b"2", b"3"] {
            scene.broker.send(client, &Packet::Publish(publish("w", payload)));
            scene.mourned(payload);
            match payload {
                b"1" => scene.broker.disconnect(client),
                b"2" => scene.broker.cut(client),
                _ => {}
            }
            client = scene.resumes(&stays(version));
        }
        scene.broker.expect_silence(client);
    });
}
