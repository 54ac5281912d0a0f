//! Messages through shards: across them, in pieces, large, many, and past those who do not read.

use std::io::{Read, Write};

use super::peer::{Peer, packet, publish};
use super::{Running, options};

#[test]
fn messages_reach_every_subscriber_in_order_across_shards() {
    for shards in [1, 2, 4] {
        let running = Running::new(shards);
        let mut receivers: Vec<Peer> = (0..8)
            .map(|number| {
                let mut peer = Peer::new(running.address(), &format!("receiver-{number}"));
                peer.subscribe("room/+", 0);
                peer
            })
            .collect();
        let mut publisher = Peer::new(running.address(), "publisher");
        let messages: Vec<u8> =
            (0..500u32).flat_map(|number| publish("room/1", &number.to_be_bytes())).collect();
        publisher.send(&messages);
        for receiver in &mut receivers {
            for number in 0..500u32 {
                let (topic, payload) = receiver.receive_publish();
                assert_eq!((topic.as_str(), payload), ("room/1", number.to_be_bytes().to_vec()));
            }
        }
    }
}

#[test]
fn a_packet_may_come_in_two_pieces_cut_anywhere() {
    let running = Running::new(1);
    let mut receiver = Peer::new(running.address(), "receiver");
    receiver.subscribe("#", 0);
    let mut publisher = Peer::new(running.address(), "publisher");
    let message = publish("a/b", b"payload");
    for cut in 1..message.len() {
        publisher.send(&message[..cut]);
        // By the time of this answer the first piece has been read.
        running.wait_for_stat("memory.partial_bytes", cut as u64);
        publisher.send(&message[cut..]);
        assert_eq!(receiver.receive_publish().1, b"payload");
    }
    running.wait_for_stat("memory.partial_bytes", 0);
}

#[test]
fn a_payload_of_one_mebibyte_passes_whole() {
    let running = Running::new(2);
    let mut receiver = Peer::new(running.address(), "receiver");
    receiver.subscribe("big", 0);
    let payload: Vec<u8> = (0..1 << 20).map(|number: u32| number.to_le_bytes()[0]).collect();
    let mut publisher = Peer::new(running.address(), "publisher");
    for _ in 0..3 {
        publisher.send(&publish("big", &payload));
        assert!(receiver.receive_publish().1 == payload, "the payload arrives as it was sent");
    }
}

#[test]
fn who_does_not_read_harms_nobody_else() {
    let running = Running::new(2);
    let mut deaf = Peer::new(running.address(), "deaf");
    deaf.subscribe("news", 0);
    let mut receiver = Peer::new(running.address(), "receiver");
    receiver.subscribe("news", 0);
    let mut publisher = Peer::new(running.address(), "publisher");
    let payload = vec![7; 64 * 1024];
    // 32 MiB: more than sockets and queues hold.
    for _ in 0..512 {
        publisher.send(&publish("news", &payload));
        assert_eq!(receiver.receive_publish().1.len(), payload.len());
    }
    assert!(running.stat("messages.dropped.queue_full") > 0, "the deaf client loses its own");
    publisher.ping();
}

#[test]
fn who_does_not_read_its_answers_is_not_read_and_loses_none_of_them() {
    const PINGS: usize = 8 << 20;
    let running = Running::new(1);
    let mut peer = Peer::with_small_window(running.address(), "deaf for a while");
    let mut writer = peer.socket.try_clone().expect("the other end");
    let send = std::thread::spawn(move || {
        let pings = [0xc0, 0].repeat(PINGS / 64);
        for _ in 0..64 {
            writer.write_all(&pings).expect("the server reads in the end");
        }
    });
    running.wait_for_stat("connections.choked", 1);
    assert!(!send.is_finished(), "the server does not read who does not read");
    Peer::new(running.address(), "somebody else").ping();
    let mut answers = vec![0; 2 * PINGS];
    peer.socket.read_exact(&mut answers).expect("all answers");
    assert!(answers.chunks(2).all(|answer| answer == [0xd0, 0]), "PINGRESP, all of them");
    send.join().expect("the sender");
    running.wait_for_stat("connections.choked", 0);
}

#[test]
fn what_was_sent_before_the_end_still_counts() {
    let running = Running::new(2);
    let mut receiver = Peer::new(running.address(), "receiver");
    receiver.subscribe("#", 0);
    for number in 0..50u8 {
        let mut publisher = Peer::new(running.address(), "publisher");
        let mut bytes = publish("last/words", &[number]);
        bytes.extend(packet(0xe0, &[]));
        publisher.send(&bytes);
        drop(publisher);
        assert_eq!(receiver.receive_publish().1, [number]);
    }
    running.wait_for_stat("connections.current", 1);
}

#[test]
fn a_thousand_clients_are_served_at_once() {
    let running = Running::with(options(2));
    let mut peers: Vec<Peer> =
        (0..1000).map(|number| Peer::new(running.address(), &format!("client-{number}"))).collect();
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.subscribe(&format!("to/{number}"), 0);
    }
    assert_eq!(running.stat("connections.current"), 1000);
    assert_eq!(running.stat("clients.connected"), 1000);
    for number in 0..1000 {
        let to = (number * 7 + 1) % 1000;
        peers[number].send(&publish(&format!("to/{to}"), b"hello"));
        assert_eq!(peers[to].receive_publish().1, b"hello");
    }
    drop(peers);
    running.wait_for_stat("connections.current", 0);
    running.wait_for_stat("clients.connected", 0);
}
