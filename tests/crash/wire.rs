//! The MQTT 3.1.1 and 5.0 that the clients of the crash test speak, written for them alone: a fault of
//! the broker's codec must not hide in its judge too.
//!
//! Encoders append to a buffer; [`cut`] takes one packet off the front of one.

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connack { present: bool, code: u8 },
    Publish(Publish),
    Puback { id: u16, code: u8 },
    Pubrec { id: u16, code: u8 },
    Pubrel { id: u16 },
    Pubcomp { id: u16, code: u8 },
    Suback { id: u16, codes: Vec<u8> },
    Unsuback { id: u16 },
    Pingresp,
    Disconnect { code: u8 },
    Odd(u8),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) id: u16,
    pub(crate) payload: Vec<u8>,
    /// Subscription Identifiers.
    pub(crate) identifiers: Vec<u32>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u16()?;
        String::from_utf8(self.take(length.into())?.to_vec()).ok()
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The Subscription Identifiers among the properties; the rest is skipped.
    fn properties(&mut self) -> Option<Vec<u32>> {
        let length = self.varint()?;
        let mut inside = Self(self.take(length)?);
        let mut identifiers = Vec::new();
        while !inside.0.is_empty() {
            match inside.u8()? {
                11 => identifiers.push(u32::try_from(inside.varint()?).ok()?),
                1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => drop(inside.take(1)?),
                19 | 33 | 34 | 35 => drop(inside.take(2)?),
                2 | 17 | 24 | 39 => drop(inside.take(4)?),
                38 => drop((inside.text()?, inside.text()?)),
                _ => {
                    let length = inside.u16()?;
                    inside.take(length.into())?;
                }
            }
        }
        Some(identifiers)
    }
}

/// Takes the first whole packet: how long it is, and what.
pub(crate) fn cut(bytes: &[u8], v5: bool) -> Option<(usize, Packet)> {
    let mut reader = Reader(bytes);
    let first = reader.u8()?;
    let length = reader.varint()?;
    let whole = bytes.len() - reader.0.len() + length;
    let body = reader.take(length)?;
    Some((whole, read(first, Reader(body), v5).unwrap_or(Packet::Odd(first))))
}

fn read(first: u8, mut body: Reader<'_>, v5: bool) -> Option<Packet> {
    Some(match first >> 4 {
        2 => Packet::Connack { present: body.u8()? == 1, code: body.u8()? },
        3 => {
            let topic = body.text()?;
            let qos = (first >> 1) & 3;
            let id = if qos == 0 { 0 } else { body.u16()? };
            let identifiers = if v5 { body.properties()? } else { Vec::new() };
            let (dup, retain) = (first & 8 != 0, first & 1 != 0);
            let payload = body.0.to_vec();
            Packet::Publish(Publish { dup, qos, retain, topic, id, payload, identifiers })
        }
        4 => Packet::Puback { id: body.u16()?, code: body.u8().unwrap_or(0) },
        5 => Packet::Pubrec { id: body.u16()?, code: body.u8().unwrap_or(0) },
        6 => Packet::Pubrel { id: body.u16()? },
        7 => Packet::Pubcomp { id: body.u16()?, code: body.u8().unwrap_or(0) },
        9 => {
            let id = body.u16()?;
            if v5 {
                body.properties()?;
            }
            Packet::Suback { id, codes: body.0.to_vec() }
        }
        11 => Packet::Unsuback { id: body.u16()? },
        13 => Packet::Pingresp,
        14 => Packet::Disconnect { code: body.u8().unwrap_or(0) },
        _ => return None,
    })
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    varint(out, body.len());
    out.extend_from_slice(body);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).expect("short").to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A Will.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) delay_secs: u32,
}

pub(crate) struct Connect<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) v5: bool,
    pub(crate) clean_start: bool,
    /// Session Expiry Interval, 5.0 only.
    pub(crate) expiry_secs: u32,
    pub(crate) will: Option<&'a Will>,
}

pub(crate) fn connect(out: &mut Vec<u8>, connect: &Connect<'_>) {
    let mut body = Vec::new();
    bytes(&mut body, b"MQTT");
    body.push(if connect.v5 { 5 } else { 4 });
    let will = connect.will.map_or(0, |will| 4 | (will.qos << 3));
    body.push(will | if connect.clean_start { 2 } else { 0 });
    body.extend_from_slice(&[0, 0]);
    if connect.v5 {
        body.extend_from_slice(&[5, 17]);
        body.extend_from_slice(&connect.expiry_secs.to_be_bytes());
    }
    bytes(&mut body, connect.client_id.as_bytes());
    if let Some(will) = connect.will {
        if connect.v5 {
            body.extend_from_slice(&[5, 24]);
            body.extend_from_slice(&will.delay_secs.to_be_bytes());
        }
        bytes(&mut body, will.topic.as_bytes());
        bytes(&mut body, &will.payload);
    }
    put(out, 0x10, &body);
}

pub(crate) fn publish(out: &mut Vec<u8>, v5: bool, publish: &Publish) {
    let mut body = Vec::new();
    bytes(&mut body, publish.topic.as_bytes());
    if publish.qos > 0 {
        body.extend_from_slice(&publish.id.to_be_bytes());
    }
    if v5 {
        body.push(0);
    }
    body.extend_from_slice(&publish.payload);
    let dup = if publish.dup { 8 } else { 0 };
    put(out, 0x30 | dup | (publish.qos << 1) | u8::from(publish.retain), &body);
}

/// A filter, its QoS, and its Subscription Identifier (0: none; 5.0 only).
pub(crate) type Wish<'a> = (&'a str, u8);

pub(crate) fn subscribe(out: &mut Vec<u8>, v5: bool, id: u16, identifier: u8, wish: Wish<'_>) {
    let mut body = id.to_be_bytes().to_vec();
    match (v5, identifier) {
        (true, 0) => body.push(0),
        (true, identifier) => body.extend_from_slice(&[2, 11, identifier]),
        (false, _) => {}
    }
    bytes(&mut body, wish.0.as_bytes());
    body.push(wish.1);
    put(out, 0x82, &body);
}

pub(crate) fn unsubscribe(out: &mut Vec<u8>, v5: bool, id: u16, filter: &str) {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    bytes(&mut body, filter.as_bytes());
    put(out, 0xa2, &body);
}

/// PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7).
pub(crate) fn acknowledge(out: &mut Vec<u8>, kind: u8, id: u16) {
    put(out, kind << 4 | if kind == 6 { 2 } else { 0 }, &id.to_be_bytes());
}

pub(crate) fn pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc0, 0]);
}

pub(crate) fn disconnect(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xe0, 0]);
}

#[test]
fn what_is_sent_can_be_read() {
    let sent = Publish {
        dup: true,
        qos: 2,
        retain: true,
        topic: "a/b".into(),
        id: 7,
        payload: vec![1; 300],
        identifiers: Vec::new(),
    };
    for v5 in [false, true] {
        let mut out = Vec::new();
        publish(&mut out, v5, &sent);
        assert_eq!(cut(&out[..out.len() - 1], v5), None);
        assert_eq!(cut(&out, v5), Some((out.len(), Packet::Publish(sent.clone()))));
    }
    let answer = [0x90, 4, 0, 9, 0, 0x97];
    assert_eq!(cut(&answer, true), Some((6, Packet::Suback { id: 9, codes: vec![0x97] })));
    let numbered = [0x34, 9, 0, 1, b'a', 0, 2, 2, 11, 5, b'x'];
    let Some((11, Packet::Publish(read))) = cut(&numbered, true) else { panic!("a PUBLISH") };
    assert_eq!((read.id, read.identifiers, read.payload), (2, vec![5], b"x".to_vec()));
}
