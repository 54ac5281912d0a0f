//! The little of MQTT 3.1.1 that a load generator speaks, written for it alone.
//!
//! Encoders append to a buffer; [`cut`] takes one packet off the front of one. It does not check
//! what a broker sends beyond what it needs.

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Connack {
        code: u8,
        session_present: bool,
    },
    Suback {
        code: u8,
    },
    Publish {
        qos: u8,
        id: u16,
        payload: &'a [u8],
    },
    Puback(u16),
    Pubrec(u16),
    Pubrel(u16),
    Pubcomp(u16),
    Pingresp,
    /// Something a 3.1.1 client never gets.
    Other(u8),
}

/// Takes the first whole packet: how long it is, and what.
pub(crate) fn cut(bytes: &[u8]) -> Option<(usize, Packet<'_>)> {
    let (&first, rest) = bytes.split_first()?;
    let mut length = 0usize;
    let mut digits = 0;
    loop {
        let digit = *rest.get(digits)?;
        length |= usize::from(digit & 0x7f) << (7 * digits);
        digits += 1;
        if digit & 0x80 == 0 || digits == 4 {
            break;
        }
    }
    let body = rest.get(digits..digits + length)?;
    Some((1 + digits + length, read(first, body).unwrap_or(Packet::Other(first))))
}

fn read(first: u8, body: &[u8]) -> Option<Packet<'_>> {
    let number = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    Some(match first >> 4 {
        2 => Packet::Connack { code: *body.get(1)?, session_present: body.first()? & 1 == 1 },
        3 => {
            let qos = (first >> 1) & 3;
            let topic_end = 2 + usize::from(number(0)?);
            let (id, start) =
                if qos == 0 { (0, topic_end) } else { (number(topic_end)?, topic_end + 2) };
            Packet::Publish { qos, id, payload: body.get(start..)? }
        }
        4 => Packet::Puback(number(0)?),
        5 => Packet::Pubrec(number(0)?),
        6 => Packet::Pubrel(number(0)?),
        7 => Packet::Pubcomp(number(0)?),
        9 => Packet::Suback { code: *body.get(2)? },
        13 => Packet::Pingresp,
        _ => return None,
    })
}

fn head(out: &mut Vec<u8>, first: u8, mut length: usize) {
    out.push(first);
    while length >= 0x80 {
        out.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    out.push(length.to_le_bytes()[0]);
}

fn text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("names of the generator are short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// CONNECT without keep alive.
pub(crate) fn connect(out: &mut Vec<u8>, client_id: &str, clean_session: bool) {
    head(out, 0x10, 10 + 2 + client_id.len());
    text(out, "MQTT");
    out.extend_from_slice(&[4, u8::from(clean_session) << 1, 0, 0]);
    text(out, client_id);
}

pub(crate) fn subscribe(out: &mut Vec<u8>, filter: &str, qos: u8) {
    head(out, 0x82, 2 + 2 + filter.len() + 1);
    out.extend_from_slice(&[0, 1]);
    text(out, filter);
    out.push(qos);
}

/// PUBLISH; `fill` bytes follow the stamp.
pub(crate) fn publish(
    out: &mut Vec<u8>,
    topic: &str,
    (qos, id): (u8, u16),
    stamp: &[u8],
    fill: usize,
) {
    publish_with(out, topic, (qos, id, false), stamp, fill);
}

/// PUBLISH of QoS 1 that is retained.
pub(crate) fn retain(out: &mut Vec<u8>, topic: &str, id: u16, stamp: &[u8], fill: usize) {
    publish_with(out, topic, (1, id, true), stamp, fill);
}

fn publish_with(
    out: &mut Vec<u8>,
    topic: &str,
    (qos, id, retain): (u8, u16, bool),
    stamp: &[u8],
    fill: usize,
) {
    let id_bytes = if qos == 0 { 0 } else { 2 };
    head(
        out,
        0x30 | (qos << 1) | u8::from(retain),
        2 + topic.len() + id_bytes + stamp.len() + fill,
    );
    text(out, topic);
    if qos > 0 {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(stamp);
    out.resize(out.len() + fill, b'.');
}

/// PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7).
pub(crate) fn acknowledge(out: &mut Vec<u8>, kind: u8, id: u16) {
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[kind << 4 | if kind == 6 { 2 } else { 0 }, 2, high, low]);
}

pub(crate) fn disconnect(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xe0, 0]);
}
