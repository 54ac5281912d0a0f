"""As much of an MQTT client as the tests need: for what mosquitto's clients cannot do.

Many connections at once, answers looked at byte by byte, silence. Sockets are made inside the
container's network and used from here. Called by the tests of this folder.
"""

import ctypes
import os
import socket
import struct
import threading

# For what comes if it comes at all: how slow the machine is says nothing about the broker.
PATIENCE_SECS = 60

CLONE_NEWNET = 0x40000000


def socket_in(pid, family=socket.AF_INET):
    """A TCP socket in the network of a process: made by a thread that goes there and ends."""
    made = []

    def make():
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with open(f"/proc/{pid}/ns/net") as net:
                if libc.setns(net.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket(family, socket.SOCK_STREAM))
        except OSError as error:  # the container is not there
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def accepts(machine, host="127.0.0.1", port=1883):
    """Whether a connection is taken right now."""
    tried = socket_in(machine.leader, socket.AF_INET6 if ":" in host else socket.AF_INET)
    tried.settimeout(PATIENCE_SECS)
    try:
        tried.connect((host, port))
        return True
    except ConnectionRefusedError:
        return False
    finally:
        tried.close()


def text(words):
    data = words.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    length, head = len(body), bytearray([first])
    while True:
        length, digit = divmod(length, 128)
        head.append(digit | (128 if length else 0))
        if not length:
            return bytes(head) + body


class Client:
    """One connection. `version` is 3 (MQTT 3.1), 4 (3.1.1) or 5; `expiry`: seconds that the session lasts (5.0)."""

    def __init__(self, machine, client_id="", version=5, host="127.0.0.1", port=1883, source=None, keep_alive=0,
                 clean=True, timeout=PATIENCE_SECS, expiry=0):
        self.version = version
        self.present = False
        self.buffer = b""
        self.socket = socket_in(machine.leader, socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        name = "MQIsdp" if version == 3 else "MQTT"
        body = text(name) + bytes([version, 2 if clean else 0]) + struct.pack(">H", keep_alive)
        if version == 5:
            body += b"\x05\x11" + struct.pack(">I", expiry) if expiry else b"\0"
        body += text(client_id)
        self.socket.sendall(packet(0x10, body))

    def read(self):
        """The next packet: (first byte, body); (None, b"") at the end of the connection."""
        while True:
            if len(self.buffer) >= 2:
                length, shift, at = 0, 0, 1
                while at < len(self.buffer):
                    digit = self.buffer[at]
                    length |= (digit & 127) << shift
                    shift, at = shift + 7, at + 1
                    if digit < 128:
                        if len(self.buffer) >= at + length:
                            first, body = self.buffer[0], self.buffer[at:at + length]
                            self.buffer = self.buffer[at + length:]
                            return first, body
                        break
            more = self._receive()
            if not more:
                return None, b""
            self.buffer += more

    def _receive(self):
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def connected(self):
        """Takes the CONNACK, which must say yes."""
        first, body = self.read()
        assert first == 0x20 and body[1] == 0, f"no CONNACK that says yes: {first} {body.hex()}"
        self.present = body[0] == 1
        return self

    def ping(self):
        self.socket.sendall(b"\xc0\x00")
        first, _ = self.read()
        assert first == 0xD0, f"no PINGRESP: {first}"

    def subscribe(self, topic_filter, qos=0):
        properties = b"\0" if self.version == 5 else b""
        self.socket.sendall(packet(0x82, struct.pack(">H", 1) + properties + text(topic_filter) + bytes([qos])))
        first, body = self.read()
        assert first == 0x90 and body[-1] == qos, f"no SUBACK: {first} {body.hex()}"

    def publish(self, topic, payload, qos=0, retain=False, packet_id=1, dup=False):
        body = text(topic) + (struct.pack(">H", packet_id) if qos else b"") + (b"\0" if self.version == 5 else b"")
        self.socket.sendall(packet(0x30 | int(dup) << 3 | qos << 1 | int(retain), body + payload))

    def acknowledge(self, first, packet_id):
        """PUBACK (0x40), PUBREC (0x50), PUBREL (0x62) or PUBCOMP (0x70)."""
        self.socket.sendall(packet(first, struct.pack(">H", packet_id)))

    def heard(self, wanted):
        """The next packet, which is an acknowledgement of this kind; its Packet Identifier."""
        first, body = self.read()
        assert first == wanted, f"{wanted:#x} was to come, not {first} {body.hex()}"
        assert len(body) < 3 or body[2] < 0x80, f"refused with {body[2]:#x}"
        return struct.unpack(">H", body[:2])[0]

    def published(self, topic, payload, qos, retain=False, packet_id=1):
        """Publishes, and returns when the broker has acknowledged all of it."""
        self.publish(topic, payload, qos, retain, packet_id)
        if qos == 1:
            self.heard(0x40)
        elif qos == 2:
            self.heard(0x50)
            self.acknowledge(0x62, packet_id)
            self.heard(0x70)

    def take(self, least=1, quiet_secs=1.0):
        """All messages that come, acknowledged, and the broker knows it: (topic, payload, QoS).

        So many at least are waited for with patience; what comes too must follow in so short a time.
        """
        taken, unreleased, asked, timeout = [], set(), False, self.socket.gettimeout()
        try:
            while True:
                is_owed = len(taken) < least or unreleased or asked
                self.socket.settimeout(timeout if is_owed else quiet_secs)
                try:
                    first, body = self.read()
                except TimeoutError:
                    assert not unreleased and not asked, f"no answer after {len(taken)} messages"
                    if len(taken) < least:
                        return taken
                    # Its answer comes when all acknowledgements have been read.
                    self.socket.sendall(b"\xc0\x00")
                    asked = True
                    continue
                assert first is not None, f"disconnected after {len(taken)} messages"
                if first & 0xF0 == 0x30:
                    taken.append(self._message(first, body, unreleased))
                elif first == 0x62:
                    packet_id = struct.unpack(">H", body[:2])[0]
                    unreleased.discard(packet_id)
                    self.acknowledge(0x70, packet_id)
                elif first == 0xD0:
                    return taken
                elif first == 0xE0:
                    raise AssertionError(f"disconnected: {body.hex()}")
        finally:
            self.socket.settimeout(timeout)

    def _message(self, first, body, unreleased):
        """Takes a PUBLISH apart and acknowledges it."""
        length = struct.unpack(">H", body[:2])[0]
        topic, rest, qos = body[2:2 + length].decode(), body[2 + length:], first >> 1 & 3
        if qos:
            packet_id = struct.unpack(">H", rest[:2])[0]
            self.acknowledge({1: 0x40, 2: 0x50}[qos], packet_id)
            if qos == 2:
                unreleased.add(packet_id)
            rest = rest[2:]
        if self.version == 5:
            assert rest[0] < 128, "long properties were not to come"
            rest = rest[1 + rest[0]:]
        return topic, rest, qos

    def leave(self):
        """DISCONNECT; returns when the broker has read it."""
        self.socket.sendall(b"\xe0\x00")
        while self.read()[0] is not None:
            pass
        self.close()

    def close(self):
        self.socket.close()


def open_files(least):
    """Raises this process's limit of open files; what it is afterwards."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(least, 1024), hard), hard))
    return min(least, hard)


def process_cpu_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def host_pid(machine, pid):
    """The number on this machine of a process inside."""
    ours = os.readlink(f"/proc/{machine.leader}/ns/pid")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != ours:
                    continue
                with open(f"/proc/{entry}/status") as status:
                    numbers = next(line for line in status if line.startswith("NSpid:")).split()
                if int(numbers[-1]) == pid:
                    return int(entry)
            except (OSError, StopIteration):
                pass
    raise AssertionError(f"no process {pid} inside")
