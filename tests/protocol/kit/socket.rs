//! A server with two shards, over sockets on the loopback interface.
//!
//! Everything waits on readiness: a read that gets nothing for a minute fails the test.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use mqttd::broker::{Directions, Limits, Methods, Storing};
use mqttd::codec::{Frame, PACKET_BYTES_MAX};
use mqttd::server::{Anonymous, Inherited, Options, Server};

use super::Wire;

pub(super) struct Socket {
    server: Server,
    options: Options,
    address: SocketAddr,
    connections: Vec<Connection>,
}

struct Connection {
    /// Closed as soon as the server has closed its side.
    stream: Option<TcpStream>,
    heard: Vec<u8>,
}

impl Socket {
    pub(super) fn new(limits: &Limits, methods: &Methods) -> Self {
        let options = Options {
            shards: 2,
            tcp: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            limits: limits.clone(),
            anonymous: Anonymous::Private,
            methods: methods.clone(),
            connections_max: 1000,
            connect_timeout_secs: 60,
            connecting_max: 100,
            directions: Directions::default(),
            draining: false,
            sys_interval_secs: 0,
            sync_delay_ms_max: 0,
        };
        let server = Server::start(options.clone(), Inherited::new()).expect("a server");
        let address = server.listeners()[0].address;
        Self { server, options, address, connections: Vec::new() }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Clients first, so that nobody has to be waited for.
        self.connections.clear();
        self.server.stop(Duration::from_secs(5), || ());
    }
}

impl Connection {
    /// Reads more; `false` at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let Some(stream) = &mut self.stream else { return false };
        match stream.read(&mut buffer) {
            Ok(0) => self.stream = None,
            Ok(count) => self.heard.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => self.stream = None,
            Err(error) => panic!("nothing comes: {error}"),
        }
        self.stream.is_some()
    }

    fn packet_len(&self) -> Option<usize> {
        let frame = Frame::split(&self.heard, PACKET_BYTES_MAX);
        frame.expect("a broker that speaks MQTT").map(|frame| frame.len)
    }
}

impl Wire for Socket {
    fn open(&mut self) {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a TCP socket");
        self.connections.push(Connection { stream: Some(stream), heard: Vec::new() });
    }

    fn send(&mut self, connection: usize, bytes: &[u8]) {
        // A server may have closed the connection already; what it said is still to be heard.
        if let Some(stream) = &mut self.connections[connection].stream {
            let _ = stream.write_all(bytes);
        }
    }

    fn receive(&mut self, connection: usize) -> Option<Vec<u8>> {
        let connection = &mut self.connections[connection];
        loop {
            if let Some(len) = connection.packet_len() {
                return Some(connection.heard.drain(..len).collect());
            }
            if !connection.read() {
                return None;
            }
        }
    }

    fn cut(&mut self, connection: usize) {
        let connection = &mut self.connections[connection];
        if let Some(stream) = &connection.stream {
            let _ = stream.shutdown(Shutdown::Write);
        }
        while connection.read() {}
    }

    fn kick(&mut self, client_id: &str) {
        let home = self.server.home(client_id);
        let kicked = self.server.ask(home, |shard, now| shard.kick(client_id, now));
        assert!(kicked, "{client_id} is connected");
    }

    fn direct(&mut self, directions: &Directions, draining: bool) {
        self.options.directions = directions.clone();
        self.options.draining = draining;
        self.server.reconfigure(&self.options);
    }

    fn store(&mut self, _storing: Storing, _queue_bytes: u64) {
        panic!("a dialogue about the disk runs in memory alone");
    }

    fn pass(&mut self, _ms: u64) {
        panic!("a dialogue that needs time runs in memory alone");
    }
}
