//! One connection of a client: a socket that never blocks, and whole packets in and out.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wire::{self, Packet};

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    v5: bool,
    came: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) over: bool,
}

impl Link {
    pub(crate) fn open(address: SocketAddr, v5: bool) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nonblocking(true).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream, v5, came: Vec::new(), out: Vec::new(), over: false })
    }

    /// All packets that are there.
    pub(crate) fn read(&mut self) -> Vec<Packet> {
        let mut buffer = [0; 1 << 16];
        while !self.over {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.over = true,
                Ok(count) => self.came.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.over = true,
            }
        }
        let mut packets = Vec::new();
        let mut done = 0;
        while let Some((length, packet)) = wire::cut(&self.came[done..], self.v5) {
            packets.push(packet);
            done += length;
        }
        self.came.drain(..done);
        packets
    }

    pub(crate) fn flush(&mut self) {
        while !self.out.is_empty() && !self.over {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What has come is still to be read.
                Err(_) => self.out.clear(),
            }
        }
    }
}
