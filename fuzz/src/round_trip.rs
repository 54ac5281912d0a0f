//! What can be decoded can be encoded, and is then the same packet, no longer than before.

use mqttd::codec::{Frame, PACKET_BYTES_MAX, Packet, Version, decode, encode};

use super::VERSIONS;

/// The bytes are a stream of packets.
pub fn run(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(frame)) = Frame::split(rest, PACKET_BYTES_MAX) {
        rest = &rest[frame.len..];
        for version in VERSIONS {
            if let Ok(packet) = decode(frame, version) {
                comes_back(&packet, version, frame.len);
                VERSIONS.iter().for_each(|other| in_another(&packet, *other));
            }
        }
    }
}

fn comes_back(packet: &Packet<'_>, version: Version, len: usize) {
    let mut bytes = Vec::new();
    encode(packet, version, &mut bytes);
    // A DISCONNECT or AUTH with a reason may come without its Property Length, and leaves with one.
    let len = len + usize::from(matches!(packet, Packet::Disconnect(_) | Packet::Auth(_)));
    assert!(bytes.len() <= len, "{} bytes instead of {len}: {packet:?}", bytes.len());
    let frame = whole(&bytes, packet);
    let again = decode(frame, version).unwrap_or_else(|error| panic!("{packet:?}: {error}"));
    assert_eq!(&again, packet, "in {version}");
    let mut bytes_again = Vec::new();
    encode(&again, version, &mut bytes_again);
    assert_eq!(bytes_again, bytes, "two forms of {packet:?}");
}

/// A server may say what it heard in one version to a client of another.
fn in_another(packet: &Packet<'_>, version: Version) {
    let mut bytes = Vec::new();
    encode(packet, version, &mut bytes);
    let frame = whole(&bytes, packet);
    if let Packet::Publish(publish) = packet
        && !publish.topic.is_empty()
    {
        let read = decode(frame, version);
        let Ok(Packet::Publish(read)) = read else { panic!("{packet:?} in {version}: {read:?}") };
        assert_eq!((read.topic, read.payload), (publish.topic, publish.payload));
    }
}

/// The length that a packet announces is the length it has.
fn whole<'b>(bytes: &'b [u8], packet: &Packet<'_>) -> Frame<'b> {
    let frame = Frame::split(bytes, PACKET_BYTES_MAX);
    let Ok(Some(frame)) = frame else { panic!("{packet:?} is written as {bytes:x?}: {frame:?}") };
    assert_eq!(frame.len, bytes.len(), "bytes behind {packet:?}");
    frame
}
