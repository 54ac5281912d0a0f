"""scripts/bench --durable: what it costs that an acknowledged message is on disk.

Publishers with one QoS 1 message in flight each, for one subscriber whose session is kept: there, or
away until the end. mqttd beside mosquitto, NATS and the disk alone, turn about; then mqttd's classes
of durability beside each other."""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmark import brokers, report
from benchmark.brokers import BrokerProblem, faults, play
from benchmark.report import figure, median, table

PAYLOAD = 256
PUBLISHERS = [1, 10, 100, 1000]
CLASS_PUBLISHERS = [1, 256, 1000]
CLASSES = ["disk", "os", "memory"]
PROBE_SECS = 0.5
PROBE_BYTES = 4096
# Of the run that counts syncs.
COUNTED_SECS = 2
SYNCS = "fsync,fdatasync,sync_file_range,msync,sync,syncfs"
DISK = "the disk alone"


class Disk:
    """How often the disk takes 4 KiB and `fdatasync` in a second, one after the other."""

    def __init__(self, folder):
        self.folder = folder

    def probe(self):
        """Appends to a file of its own."""
        took = []
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="mqttd-bench-disk-") as file:
            block, at = os.urandom(PROBE_BYTES), file.fileno()
            began = time.monotonic()
            while time.monotonic() - began < PROBE_SECS:
                start = time.monotonic_ns()
                os.write(at, block)
                os.fdatasync(at)
                took.append((time.monotonic_ns() - start) / 1000)
            secs = time.monotonic() - began
        took.sort()
        return {
            "correct": True,
            "acknowledged_per_sec": len(took) / secs,
            "latency_us": {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]},
        }


def words_of(publishers, away):
    return ["durable", publishers, PAYLOAD, "--away", int(away)]


def run(load, broker, words, secs):
    """One run with a broker started afresh."""
    try:
        with broker:
            return play(load, broker, words, secs)
    except BrokerProblem as problem:
        return {"correct": False, "problem": str(problem).strip().replace("\n", " ")}


def turn_about(load, peers, disk, words, count, secs):
    """The rounds: reports by name, the disk alone in each of them."""
    reports = {broker.name: [] for broker in peers}
    if disk:
        reports[DISK] = []
    for _ in range(count):
        for broker in peers:
            reports[broker.name].append(run(load, broker, words, secs))
        if disk:
            reports[DISK].append(disk.probe())
    return reports


def syncs_per_message(load, broker, words):
    """Syncs of the broker over messages acknowledged, in a run of its own below strace."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as traced:
        broker.wrapper = [strace, "-f", "--seccomp-bpf", "-qq", "-ttt", "-e", f"trace={SYNCS}"]
        broker.wrapper += ["-e", "signal=none", "-o", traced.name]
        told = run(load, broker, words, COUNTED_SECS)
        broker.wrapper = []
        if not told.get("acknowledged"):
            return None
        begun = re.findall(r"^(?:\d+ +)?(\d+\.\d+) \w+\(", traced.read(), re.M)
    inside = [at for at in begun if told["began_unix"] <= float(at) <= told["ended_unix"]]
    return len(inside) / told["acknowledged"]


def latency(runs):
    tail = [median(runs, "latency_us", part) for part in ("p50", "p99")]
    return "-" if None in tail else " / ".join(figure(part / 1000) for part in tail)


def drained(runs):
    secs = median(runs, "drain", "secs")
    return f"{figure(secs)} s, {figure(median(runs, 'drain', 'cpu_us_per_message'))}"


def compared(load, peers, disk, count, secs):
    """The table of brokers, and what was wrong."""
    text = []
    for away in (False, True):
        head = ["", "messages/s", "PUBACK p50 / p99, ms", "CPU us", "syncs", "written"]
        head += ["drain, CPU us"] if away else []
        where = "away" if away else "connected"
        text.append(f"\n### The subscriber is {where}\n")
        for publishers in PUBLISHERS:
            words = words_of(publishers, away)
            reports = turn_about(load, peers, disk, words, count, secs)
            rows, wrong = [], []
            for name, runs in reports.items():
                broker = next((broker for broker in peers if broker.name == name), None)
                syncs = syncs_per_message(load, broker, words) if broker else 1.0
                row = [name, figure(median(runs, "acknowledged_per_sec")), latency(runs)]
                row += [figure(median(runs, "cpu_us_per_message")), figure(syncs)]
                row += [figure(median(runs, "written_per_payload_byte"))]
                rows.append(row + ([drained(runs) if broker else "-"] if away else []))
                if faults(runs):
                    wrong.append(f"* {name}: {faults(runs)}.")
            plural = "" if publishers == 1 else "s"
            title = f"{publishers} publisher{plural}".replace("1000", "1 000")
            text.append(f"{title}:\n\n{table(head, rows)}")
            text.append("\n".join(wrong) + "\n" if wrong else "")
            print("\n".join(text[-2:]), flush=True)
    return text


def threads(runs):
    """CPU by thread, the dearest first."""
    spent = {}
    for told in runs:
        for name, us in told.get("threads_us_per_message", {}).items():
            spent.setdefault(name, []).append(us)
    dear = sorted(((statistics.median(us), name) for name, us in spent.items()), reverse=True)
    return ", ".join(f"{name} {figure(us)}" for us, name in dear if us >= 0.01) or "-"


def classes(load, program, shards, count, secs):
    """The table of mqttd's classes."""
    peers = [brokers.mqttd_keeping(program, shards, durability) for durability in CLASSES]
    head = ["", "messages/s", "PUBACK p50 / p99, ms", "CPU us", "written", "CPU us by thread"]
    text = []
    for away in (False, True):
        for publishers in CLASS_PUBLISHERS:
            reports = turn_about(load, peers, None, words_of(publishers, away), count, secs)
            rows, wrong = [], []
            for name, runs in reports.items():
                row = [name, figure(median(runs, "acknowledged_per_sec")), latency(runs)]
                row += [figure(median(runs, "cpu_us_per_message"))]
                rows.append(row + [figure(median(runs, "written_per_payload_byte")), threads(runs)])
                if faults(runs):
                    wrong.append(f"* {name}: {faults(runs)}.")
            where = "away" if away else "connected"
            plural = "" if publishers == 1 else "s"
            title = f"{publishers} publisher{plural}, the subscriber is {where}:"
            text.append(f"{title}\n\n{table(head, rows)}")
            text.append("\n".join(wrong) + "\n" if wrong else "")
            print("\n".join(text[-2:]), flush=True)
    return text


def store_alone(store, folder):
    """The table of the store without a broker."""
    told = subprocess.run([store, folder], capture_output=True, text=True)
    text = told.stdout if told.returncode == 0 else f"* The store: {told.stderr.strip()}\n"
    print(text, flush=True)
    return [text]


def main(asked, programs, shards):
    """Plays all, prints and perhaps writes the tables; whether every run of mqttd was correct."""
    (program, load, *rest), folder = programs, Path(asked.dir)
    versions, peers = [], [brokers.mqttd_keeping(program, shards, name="mqttd")]
    versions.append(brokers.mqttd_version(program, shards))
    missing = []
    if asked.without_mosquitto:
        missing.append("mosquitto was left out.")
    elif found := brokers.find_mosquitto():
        peers.append(brokers.mosquitto(found, keeps=True))
        versions.append(brokers.mosquitto_version(found))
    else:
        missing.append("mosquitto is not installed (apt install mosquitto): its rows are missing.")
    found, why = brokers.find_nats()
    if found:
        peers.append(brokers.nats(found))
        versions.append(brokers.nats_version(found))
    else:
        missing.append(f"NATS is missing: {why}.")
    if not shutil.which("strace"):
        missing.append("strace is not installed: syncs were not counted.")
    count, secs = max(asked.rounds, 1), asked.secs or 2
    text = [report.machine(folder, versions), *(f"* {line}" for line in missing)]
    text.append(
        f"Medians of {count} round{'s' if count > 1 else ''} of {secs} s, all brokers in each round, each started afresh;"
        f" payload {PAYLOAD} bytes.\n"
    )
    print("\n".join(text), flush=True)
    text += compared(load, peers, Disk(folder), count, secs)
    text.append("\n### mqttd's classes\n")
    text += classes(load, program, shards, count, secs)
    if rest:
        text.append("\n### The store alone\n")
        text += store_alone(rest[0], asked.dir)
    text.append(f"Load of the machine at the end: {os.getloadavg()[0]:.1f}.")
    whole = "\n".join(text)
    if asked.write:
        report.write("durable", whole)
    return "mqttd" not in "".join(line for line in text if line.startswith("* "))
