"""The broker under test: the built binary, in the foreground, in a folder of its own.

Called by the runner and by checks that look at the broker from the operator's side. It listens on a
port of the loopback that the kernel chose. What this does not do: speak MQTT.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

READY_SECS = 120
LOOK_SECS = 90


class Broker:
    """A running broker; ends with close()."""

    def __init__(self, binary, more=""):
        self.binary = str(binary)
        self.home = Path(tempfile.mkdtemp(prefix="mqttd-clients-"))
        self.env = {**os.environ, "MQTTD_NO_SYSTEMD": "1", "HOME": str(self.home)}
        (self.home / "mqttd.toml").write_text(f'[listener.tcp]\naddress = ["127.0.0.1:0"]\n{more}')
        words = ["foreground"] + (["--user", "root"] if os.geteuid() == 0 else [])
        self.log = open(self.home / "stderr", "wb")
        self.process = subprocess.Popen(
            self.words(*words), env=self.env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        try:
            self.run("ping", "--wait", str(READY_SECS))
            address = json.loads(self.run("listeners", "--json"))["result"][0]["address"]
        except BaseException:
            print((self.home / "stderr").read_text(errors="replace"))
            self.close()
            raise
        self.host, self.port = address.rsplit(":", 1)[0], int(address.rsplit(":", 1)[1])

    def words(self, *words):
        return [self.binary, "--home", str(self.home), *words]

    def run(self, *words):
        """Runs the command about this broker; its output."""
        done = subprocess.run(self.words(*words), env=self.env, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"mqttd {' '.join(words)}: exit code {done.returncode}, {done.stderr}"
        return done.stdout

    def ask(self, call, **args):
        """The answer of one call over the control socket; None when it is `not_found`."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(LOOK_SECS)
            control.connect(str(self.home / "run/mqttd.sock"))
            with control.makefile("rw", encoding="utf-8") as lines:
                json.loads(lines.readline())  # who it is
                lines.write(json.dumps({"id": 1, "call": call, "args": args}) + "\n")
                lines.flush()
                result = []
                while True:
                    reply = json.loads(lines.readline())
                    if not reply["ok"]:
                        if reply["error"]["code"] == "not_found":
                            return None
                        raise AssertionError(f"{call}: {reply['error']}")
                    if isinstance(reply.get("result"), list):
                        result += reply["result"]
                    else:
                        result = reply.get("result")
                    if not reply.get("more"):
                        return result

    def client(self, client_id):
        """What the broker knows of a session; None without one."""
        return self.ask("clients.show", client_id=client_id)

    def until(self, what, is_so):
        """Looks again until it is so."""
        began = time.monotonic()
        while not (found := is_so()):
            assert time.monotonic() - began < LOOK_SECS, f"not within {LOOK_SECS} s: {what}"
            threading.Event().wait(0.005)
        return found

    def until_away(self, client_id):
        """Returns when the client is not connected, whether its session is kept or not."""
        self.until(f"{client_id} is away", lambda: not (self.client(client_id) or {}).get("connected"))

    def until_subscribed(self, client_id, count):
        """Returns when the session has that many subscriptions."""
        has = lambda: (self.client(client_id) or {}).get("subscriptions", 0) >= count
        self.until(f"{client_id} has {count} subscriptions", has)

    def until_acknowledged(self, client_id):
        """Returns when the client has acknowledged all it was sent."""
        def nothing_under_way():
            client = self.client(client_id)
            return client["inflight"] == client["queue_messages"] == 0

        self.until(f"{client_id} has acknowledged", nothing_under_way)

    def close(self):
        """Ends the broker and removes its folder; its exit code."""
        self.process.terminate()
        try:
            code = self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.log.close()
        said = (self.home / "stderr").read_text(errors="replace")
        shutil.rmtree(self.home, ignore_errors=True)
        return code, said
