//! A client that speaks in bytes, so that the codec is not tested with itself.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;

pub(super) struct Peer {
    pub(super) socket: TcpStream,
    five: bool,
}

pub(super) struct Packet {
    pub(super) first: u8,
    pub(super) body: Vec<u8>,
}

/// A CONNECT with clean start and no keep alive.
pub(super) fn connect(client_id: &str, level: u8) -> Vec<u8> {
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([level, 0x02, 0, 0]);
    if level == 5 {
        body.push(0);
    }
    string(client_id, &mut body);
    packet(0x10, &body)
}

/// A CONNECT for a session that stays, and no keep alive.
pub(super) fn connect_to_stay(client_id: &str) -> Vec<u8> {
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([4, 0, 0, 0]);
    string(client_id, &mut body);
    packet(0x10, &body)
}

/// With QoS 1, and RETAIN where it is 1.
pub(super) fn publish_at_least_once(topic: &str, id: u16, retain: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    string(topic, &mut body);
    body.extend(id.to_be_bytes());
    body.extend(payload);
    packet(0x32 | retain, &body)
}

pub(super) fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    string(topic, &mut body);
    body.extend(payload);
    packet(0x30, &body)
}

pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let more = if len >= 128 { 0x80 } else { 0 };
        bytes.push(u8::try_from(len % 128).expect("below 128") | more);
        len /= 128;
        if len == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend(u16::try_from(text.len()).expect("a short string").to_be_bytes());
    out.extend(text.as_bytes());
}

impl Peer {
    /// A socket and nothing more.
    pub(super) fn socket(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("a connection"))
    }

    /// A client of MQTT 3.1.1 whose kernel takes little that it has not read.
    pub(super) fn with_small_window(address: SocketAddr, client_id: &str) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("one");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.connect(&address.into()).expect("a connection");
        Self::over(socket.into()).let_in(client_id, 4)
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_nodelay(true).expect("no delay");
        Self { socket, five: false }
    }

    /// A client of MQTT 3.1.1 that is let in.
    pub(super) fn new(address: SocketAddr, client_id: &str) -> Self {
        Self::of_level(address, client_id, 4)
    }

    /// A client of MQTT 5.0 that is let in.
    pub(super) fn five(address: SocketAddr, client_id: &str) -> Self {
        Self::of_level(address, client_id, 5)
    }

    /// A client of MQTT 3.1.1 whose session stays, and whether there was one.
    pub(super) fn that_stays(address: SocketAddr, client_id: &str) -> (Self, bool) {
        let mut peer = Self::socket(address);
        peer.send(&connect_to_stay(client_id));
        let connack = peer.receive();
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "let in");
        (peer, connack.body[0] == 1)
    }

    fn of_level(address: SocketAddr, client_id: &str, level: u8) -> Self {
        Self::socket(address).let_in(client_id, level)
    }

    fn let_in(mut self, client_id: &str, level: u8) -> Self {
        self.five = level == 5;
        self.send(&connect(client_id, level));
        let connack = self.receive();
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "let in");
        self
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server reads");
    }

    pub(super) fn subscribe(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 7];
        if self.five {
            body.push(0);
        }
        string(filter, &mut body);
        body.push(qos);
        self.send(&packet(0x82, &body));
        assert_eq!(self.receive().first, 0x90, "SUBACK");
    }

    /// PINGREQ and its answer: what was sent before has been dealt with.
    pub(super) fn ping(&mut self) {
        self.send(&[0xc0, 0]);
        assert_eq!(self.receive().first, 0xd0, "PINGRESP");
    }

    /// The next packet, or `None` when the server closes.
    pub(super) fn try_receive(&mut self) -> Option<Packet> {
        let mut first = [0];
        match self.socket.read_exact(&mut first) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("nothing to read: {error}"),
        }
        let (mut len, mut shift) = (0, 0);
        loop {
            let mut byte = [0];
            self.socket.read_exact(&mut byte).expect("a length");
            len |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut body = vec![0; len];
        self.socket.read_exact(&mut body).expect("a body");
        Some(Packet { first: first[0], body })
    }

    pub(super) fn receive(&mut self) -> Packet {
        self.try_receive().expect("a packet before the end")
    }

    /// The next packet is a PUBLISH of QoS 0; its topic and payload.
    pub(super) fn receive_publish(&mut self) -> (String, Vec<u8>) {
        let packet = self.receive();
        assert_eq!(packet.first & 0xf6, 0x30, "PUBLISH of QoS 0");
        let len = usize::from(u16::from_be_bytes([packet.body[0], packet.body[1]]));
        let topic = String::from_utf8(packet.body[2..2 + len].to_vec()).expect("UTF-8");
        let payload = packet.body[2 + len + usize::from(self.five)..].to_vec();
        (topic, payload)
    }

    /// The next packet is a PUBLISH of QoS 1; its topic and payload. It is acknowledged.
    pub(super) fn receive_at_least_once(&mut self) -> (String, Vec<u8>) {
        let packet = self.receive();
        assert_eq!(packet.first & 0xf6, 0x32, "PUBLISH of QoS 1");
        let len = usize::from(u16::from_be_bytes([packet.body[0], packet.body[1]]));
        let topic = String::from_utf8(packet.body[2..2 + len].to_vec()).expect("UTF-8");
        let (id, payload) = packet.body[2 + len..].split_at(2);
        self.send(&[0x40, 2, id[0], id[1]]);
        (topic, payload.to_vec())
    }

    /// The next packet is PUBACK for this identifier.
    pub(super) fn expect_puback(&mut self, id: u16) {
        let puback = self.receive();
        assert_eq!((puback.first, &puback.body[..2]), (0x40, &id.to_be_bytes()[..]), "PUBACK");
    }

    pub(super) fn expect_end(&mut self) {
        assert!(self.try_receive().is_none(), "the server closes");
    }
}
