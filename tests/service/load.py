"""Publishers that go on whatever happens to the broker, and know what was acknowledged to them.

Called by the tests of what is kept. Like any good client a publisher connects again, to its session, and
sends again what was not acknowledged.
"""

import select
import struct
import threading
import time

import mqtt

WINDOW = 16


class Publisher(threading.Thread):
    """Publishes numbers from 0 to a topic until `finish`, at most `most` of them and `window` under way.

    With `per_sec` no faster than that, so that what happens meanwhile meets a publisher at work.
    """

    def __init__(self, machine, topic, qos, most=None, payload_bytes=0, window=WINDOW, keep_alive=0, per_sec=None,
                 version=5):
        super().__init__(name=topic, daemon=True)
        self.machine, self.topic, self.qos, self.most, self.window = machine, topic, qos, most, window
        self.padding, self.keep_alive, self.version = b" " * payload_bytes, keep_alive, version
        self.per_sec, self.began = per_sec, time.monotonic()
        self.sent = 0
        # Numbers under way, in order: whether PUBREC has come. Their Packet Identifiers follow from them.
        self.waiting = {}
        self.acknowledged = set()
        self.connections = 0
        self.ending = threading.Event()
        self.failure = None
        self.start()

    def __repr__(self):
        return (f"<{self.topic}: {self.sent} sent, {len(self.waiting)} under way, {len(self.acknowledged)} acknowledged, "
                f"{self.connections} connections, {self.failure!r}>")

    def run(self):
        try:
            while not (self.ending.is_set() and not self.waiting):
                self._connection()
        except BaseException as error:
            self.failure = error

    def finish(self, secs=300):
        """Sends nothing new; returns when all is acknowledged that was sent."""
        self.ending.set()
        self.join(secs)
        if self.failure:
            raise self.failure
        assert not self.is_alive(), f"{len(self.waiting)} messages on {self.topic} are still not acknowledged"
        assert self.acknowledged == set(range(self.sent)), "acknowledged is not what was sent"

    def until(self, count, secs=300):
        """Waits until so many more are acknowledged."""
        began, wanted = time.monotonic(), len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            assert not self.failure, repr(self.failure)
            assert time.monotonic() - began < secs, f"{self.topic}: {len(self.acknowledged)} of {wanted} in {secs} s"
            time.sleep(0.01)

    def _connection(self):
        try:
            client = mqtt.Client(self.machine, f"publisher of {self.topic}", self.version, clean=False,
                                 expiry=3600, keep_alive=self.keep_alive, timeout=300)
            client.connected()
        except (OSError, AssertionError):  # nobody is there at the moment, or no container
            time.sleep(0.05)
            return
        assert client.present or self.connections == 0, f"{self.topic}: the publisher's session is gone"
        self.connections += 1
        try:
            for number, released in list(self.waiting.items()):
                if released and client.present:
                    client.acknowledge(0x62, self._packet_id(number))
                else:
                    self.waiting[number] = False
                    self._send(client, number, dup=True)
            while self.waiting or not self.ending.is_set():
                self._turn(client)
        except (OSError, ConnectionError):
            pass
        finally:
            client.close()

    def _turn(self, client):
        while self._may_send():
            self.waiting[self.sent] = False
            self.sent += 1
            self._send(client, self.sent - 1)
        if not self.waiting:
            time.sleep(0.005)
            return
        if self.keep_alive and not client.buffer and not select.select([client.socket], [], [], self.keep_alive / 3)[0]:
            client.socket.sendall(b"\xc0\x00")
            return
        first, body = client.read()
        if first == 0xD0:
            return
        if first in (None, 0xE0):  # the end, with or without a word
            raise ConnectionError
        number = self._number(struct.unpack(">H", body[:2])[0])
        assert first in (0x40, 0x50, 0x70), f"{self.topic}: {first} {body.hex()}"
        assert len(body) < 3 or body[2] in (0, 0x10, 0x92), f"{self.topic}: refused with {body[2]:#x}"
        if first == 0x50:
            self.waiting[number] = True
            client.acknowledge(0x62, self._packet_id(number))
        else:
            del self.waiting[number]
            self.acknowledged.add(number)

    def _may_send(self):
        if len(self.waiting) >= self.window or self.ending.is_set():
            return False
        if self.most is not None and self.sent >= self.most:
            return False
        return not self.per_sec or self.sent < (time.monotonic() - self.began) * self.per_sec

    def _send(self, client, number, dup=False):
        client.publish(self.topic, str(number).encode() + self.padding, self.qos, packet_id=self._packet_id(number),
                       dup=dup)

    @staticmethod
    def _packet_id(number):
        return number % 60_000 + 1

    def _number(self, packet_id):
        return next(number for number in self.waiting if self._packet_id(number) == packet_id)


def check(taken, publisher):
    """Whether a subscriber got what a publisher was told is kept: all of it, in order, QoS 2 once."""
    numbers = [int(payload) for topic, payload, _ in taken if topic == publisher.topic]
    lost = publisher.acknowledged - set(numbers)
    assert not lost, f"{publisher.topic}: {len(lost)} of {len(publisher.acknowledged)} lost: {sorted(lost)[:10]}"
    if publisher.qos == 2:
        assert len(numbers) == len(set(numbers)), f"{publisher.topic}: some came twice"
    # Where one came twice, its first coming counts.
    firsts = list(dict.fromkeys(numbers))
    assert firsts == sorted(firsts), f"{publisher.topic}: out of order"
