//! A connection on its way in: whatever bytes come, in whatever pieces, the same is decided.

use std::net::SocketAddr;
use std::sync::Arc;

use mqttd::broker::{
    Applicant, Denial, Directions, Exchange, Grant, Heard, Introduction, Limits, Method, Methods,
    Reception, Refusal, Step,
};
use mqttd::codec::{Connect, Frame, PACKET_BYTES_MAX, Packet, ReasonCode, Version, decode};
use mqttd::session::Violation;
use proptest::prelude::*;

use crate::kit::limits;

/// Asks twice and believes every answer but `no`.
struct Twice;

struct Left(u8);

impl Method for Twice {
    fn name(&self) -> &str {
        "m"
    }

    fn begin(&self, _: &Applicant<'_>) -> Box<dyn Exchange> {
        Box::new(Left(2))
    }
}

impl Exchange for Left {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        match self.0 {
            _ if data == Some(b"no") => {
                let why = "it says no";
                Step::Refused(Denial { reason: ReasonCode::NotAuthorized, why })
            }
            0 => Step::Granted(Grant::default()),
            left => {
                self.0 = left - 1;
                Step::Continue(Some(vec![left]))
            }
        }
    }
}

struct Desk(Methods);

impl Reception for Desk {
    fn limits(&self) -> Arc<Limits> {
        Arc::new(limits())
    }

    fn methods(&self) -> &Methods {
        &self.0
    }

    fn directions(&self) -> Arc<Directions> {
        Arc::default()
    }

    fn client_id(&self) -> Box<str> {
        "made-up".into()
    }

    fn admits(&self, _: &Connect<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What came of it: every word of the server, and the end of the story.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    said: Vec<Vec<u8>>,
    end: End,
    /// Whether who was turned away had said too much too early.
    early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Waiting,
    Admitted,
    TurnedAway,
}

fn story<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Story {
    let desk = Desk(Methods::default().with(Arc::new(Twice)));
    let mut introduction = Introduction::new(SocketAddr::from(([192, 0, 2, 1], 1024)));
    let (mut bytes, mut said) = (Vec::new(), Vec::new());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        loop {
            let (used, heard) = introduction.hear(&bytes, &desk);
            bytes.drain(..used);
            let (end, early) = match heard {
                Heard::More => break,
                Heard::Challenge(auth) => {
                    said.push(auth);
                    continue;
                }
                Heard::Admitted(_) => (End::Admitted, false),
                Heard::Refused { connack, .. } => {
                    said.push(connack);
                    (End::TurnedAway, false)
                }
                Heard::Violated { violation, connack } => {
                    said.push(connack);
                    let early = violation == Violation::PacketBeforeConnack;
                    (End::TurnedAway, early)
                }
                Heard::NoConnect | Heard::Goodbye => (End::TurnedAway, false),
            };
            return Story { said, end, early };
        }
    }
    Story { said, end: End::Waiting, early: false }
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let known: &[&[u8]] = &[
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a",
        b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a",
        b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01m\x00\x01a",
        b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01m\x00\x01a",
        b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01x\x00\x01a",
        b"\xf0\x06\x18\x04\x15\x00\x01m",
        b"\xf0\x06\x18\x04\x15\x00\x01m",
        b"\xf0\x06\x18\x04\x15\x00\x01m",
        b"\xf0\x0b\x18\x09\x15\x00\x01m\x16\x00\x02no",
        b"\xf0\x06\x19\x04\x15\x00\x01m",
        b"\xf0\x06\x18\x04\x15\x00\x01x",
        b"\xf0\x00",
        b"\xe0\x00",
        b"\xc0\x00",
    ];
    let known: Vec<Vec<u8>> = known.iter().map(|bytes| bytes.to_vec()).collect();
    prop_oneof![
        20 => prop::sample::select(known),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn the_same_is_decided_in_whatever_pieces_it_comes(
        packets in prop::collection::vec(packet(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        // Most connections begin well.
        let mut bytes = b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01m\x00\x01a".to_vec();
        if packets.len() % 4 == 3 {
            bytes.clear();
        }
        bytes.extend(packets.concat());
        let whole = story(std::iter::once(&bytes[..]));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = story(cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
        if whole.early && pieces.end == End::Admitted {
            // What came too early had not come when it was decided.
            prop_assert!(pieces.said.len() + 1 == whole.said.len());
        } else {
            prop_assert_eq!(&pieces, &whole);
        }
        for said in whole.said.iter().filter(|said| !said.is_empty()) {
            let frame = Frame::split(said, PACKET_BYTES_MAX).expect("MQTT").expect("a packet");
            let packet = decode(frame, Version::V5);
            prop_assert!(matches!(packet, Ok(Packet::Auth(_) | Packet::Connack(_))), "{packet:?}");
        }
    }
}
