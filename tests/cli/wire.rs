//! A client of MQTT 3.1.1 that does only what it is told: to leave exchanges half done.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::bench::Home;

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
}

impl Wire {
    /// Connects to a persistent session, and says whether it was there.
    pub(crate) fn resume(home: &Home, client_id: &str) -> (Self, bool) {
        let address = home.json("listeners list").1["result"][0]["address"].clone();
        let stream = TcpStream::connect(address.as_str().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire = Self { stream };
        let mut connect = b"\0\x04MQTT\x04\0\0\0".to_vec();
        put(client_id, &mut connect);
        wire.send(0x10, &connect);
        let (first, body) = wire.receive();
        assert_eq!((first, body[1]), (0x20, 0));
        (wire, body[0] == 1)
    }

    pub(crate) fn send(&mut self, first: u8, body: &[u8]) {
        self.stream.write_all(&packet(first, body)).unwrap();
    }

    /// PUBACK, PUBREC, PUBREL (with its flag) or PUBCOMP.
    pub(crate) fn acknowledge(&mut self, first: u8, packet_id: u16) {
        self.send(first, &packet_id.to_be_bytes());
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 1];
        put(filter, &mut body);
        body.push(qos);
        self.send(0x82, &body);
        assert_eq!(self.receive(), (0x90, vec![0, 1, qos]));
    }

    /// The next packet: its first byte, and what follows the length.
    pub(crate) fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut byte = [0];
        let mut next = |stream: &mut TcpStream| {
            stream.read_exact(&mut byte).unwrap();
            byte[0]
        };
        let first = next(&mut self.stream);
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = next(&mut self.stream);
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (first, body)
    }
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap();
        length >>= 7;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

/// PUBLISH with QoS 1 or 2.
pub(crate) fn publish(topic: &str, payload: &[u8], flags: u8, packet_id: u16) -> Vec<u8> {
    let mut body = Vec::new();
    put(topic, &mut body);
    body.extend_from_slice(&packet_id.to_be_bytes());
    body.extend_from_slice(payload);
    packet(0x30 | flags, &body)
}

fn put(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
