//! Bytes from a network, in pieces of any size, cut into frames and decoded in every version.
//!
//! Promises: no panic; the pieces do not matter; nothing is allocated for a PUBLISH, and at most
//! the box of a CONNECT for anything else, so that what a packet announces costs nothing.

use mqttd::codec::{
    Connect, DecodeError, Frame, PACKET_BYTES_MAX, Packet, Properties, Publish, QoS, Version,
    decode,
};
use mqttd::server::{Incoming, ReadBuffer};

use super::VERSIONS;

/// Largest packets that connections take in: as small as can be, small, usual, all.
const LIMITS: [u32; 4] = [5, 60, 16 << 20, PACKET_BYTES_MAX];

/// The first byte chooses the limit, the second the sizes of the pieces; the rest is the stream,
/// behind a large packet when the first says so.
pub fn run(bytes: &[u8]) {
    let Some((&[settings, pieces], rest)) = bytes.split_first_chunk() else { return };
    let limit = LIMITS[usize::from(settings) % LIMITS.len()];
    let mut stream = Vec::new();
    if settings & 0x80 != 0 {
        publish(LARGE).encode(Version::V311, &mut stream);
    }
    stream.extend_from_slice(rest);
    let (frames, end) = whole(&stream, limit);
    let lens: Vec<usize> = frames.iter().map(|frame| frame.len).collect();
    assert_eq!(in_pieces(&stream, limit, pieces), (lens, end), "pieces matter");
    for frame in &frames {
        VERSIONS.iter().for_each(|version| one(*frame, *version));
    }
}

/// More than what waits of a packet in front of the next read.
const LARGE: &[u8] = &[0; 40_000];

const fn publish(payload: &[u8]) -> Publish<'_> {
    let (dup, qos, retain, packet_id) = (false, QoS::AtMostOnce, false, 0);
    Publish { dup, qos, retain, topic: "t", packet_id, properties: Properties::EMPTY, payload }
}

/// All frames of a stream, and what comes after them.
fn whole(stream: &[u8], limit: u32) -> (Vec<Frame<'_>>, Result<(), DecodeError>) {
    let (mut frames, mut rest) = (Vec::new(), stream);
    loop {
        match split(rest, limit) {
            Ok(Some(frame)) => {
                assert!(frame.len <= limit as usize, "a frame above the limit");
                rest = &rest[frame.len..];
                frames.push(frame);
            }
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// The same as it reaches a connection: what is not whole yet waits for more, and what waits takes
/// hardly more room than it has come.
fn in_pieces(stream: &[u8], limit: u32, pieces: u8) -> (Vec<usize>, Result<(), DecodeError>) {
    let (mut lens, mut end) = (Vec::new(), Ok(()));
    let (mut buffer, mut incoming) = (ReadBuffer::default(), Incoming::default());
    let mut rest = stream;
    let mut size = usize::from(pieces);
    while !rest.is_empty() && end.is_ok() {
        size = (size * 37 + 1) % (usize::from(pieces).pow(2) + 2);
        let (piece, later) = rest.split_at((1 + size).min(rest.len()));
        rest = later;
        buffer.space()[..piece.len()].copy_from_slice(piece);
        let before = incoming.len();
        incoming.take_in(&mut buffer, piece.len(), |bytes| {
            assert_eq!(bytes.len(), before + piece.len(), "bytes that came");
            let (frames, came_to) = whole(bytes, limit);
            lens.extend(frames.iter().map(|frame| frame.len));
            end = came_to;
            frames.iter().map(|frame| frame.len).sum()
        });
        let room = if incoming.is_empty() { 0 } else { (4 * incoming.len()).max(16 * 1024) };
        assert!(incoming.capacity() <= room, "{} bytes of room", incoming.capacity());
    }
    (lens, end)
}

/// Whatever the fixed header announces, nothing is allocated.
fn split(bytes: &[u8], limit: u32) -> Result<Option<Frame<'_>>, DecodeError> {
    let mut frame = Ok(None);
    let allocated = allocation_counter::measure(|| frame = Frame::split(bytes, limit));
    assert_eq!(allocated.count_total, 0, "allocations to find the end of a packet");
    frame
}

fn one(frame: Frame<'_>, version: Version) {
    let mut decoded = Err(DecodeError::Truncated);
    let allocated = allocation_counter::measure(|| decoded = decode(frame, version));
    let box_bytes =
        if matches!(decoded, Ok(Packet::Connect(_))) { size_of::<Connect<'_>>() } else { 0 };
    assert!(allocated.bytes_max <= box_bytes as u64, "{} bytes for a packet", allocated.bytes_max);
    match decoded {
        Ok(packet) => {
            let allocated = allocation_counter::measure(|| look(&packet));
            assert_eq!(allocated.count_total, 0, "allocations to look at a packet");
        }
        Err(error) => {
            assert!(error.reason().is_error(), "{error}: a reason that says all is well");
            assert!(!error.to_string().is_empty());
            let _ = Connect::refusal_version(frame, error);
        }
    }
}

/// Reads all that can be read of a packet.
fn look(packet: &Packet<'_>) {
    match packet {
        Packet::Connect(connect) => {
            properties(connect.properties);
            connect.will.iter().for_each(|will| properties(will.properties));
        }
        Packet::Connack(connack) => properties(connack.properties),
        Packet::Publish(publish) => properties(publish.properties),
        Packet::Puback(ack) | Packet::Pubrec(ack) | Packet::Pubrel(ack) | Packet::Pubcomp(ack) => {
            properties(ack.properties);
        }
        Packet::Subscribe(subscribe) => {
            properties(subscribe.properties);
            assert!(subscribe.requests().count() > 0, "a SUBSCRIBE without a request");
        }
        Packet::Suback(suback) => properties(suback.properties),
        Packet::Unsubscribe(unsubscribe) => {
            properties(unsubscribe.properties);
            assert!(unsubscribe.filters().count() > 0, "an UNSUBSCRIBE without a filter");
        }
        Packet::Unsuback(unsuback) => properties(unsuback.properties),
        Packet::Disconnect(disconnect) => properties(disconnect.properties),
        Packet::Auth(auth) => properties(auth.properties),
        Packet::Pingreq | Packet::Pingresp => {}
    }
}

/// Every property is looked up, and all together fill the list.
fn properties(properties: Properties<'_>) {
    let count = properties.iter().count();
    assert_eq!(count == 0, properties.is_empty());
    assert!(properties.topic_alias() != Some(0) && properties.receive_maximum() != Some(0));
    assert!(properties.maximum_packet_size() != Some(0));
    let texts = [
        properties.content_type(),
        properties.response_topic(),
        properties.authentication_method(),
        properties.reason_string(),
        properties.assigned_client_identifier(),
        properties.server_reference(),
        properties.response_information(),
    ];
    for text in texts.into_iter().flatten() {
        assert!(!text.contains('\0'), "a NUL in a string");
    }
}
