"""scripts/bench --queues: long queues on disk. What they take of memory and disk, and a start with them.

* 10 000 sessions that are away, one message for all of them: stored once.
* 1 000 sessions with 1 000 messages each: memory while they wait, order when they are taken, space
  given back.
* 1 000 000 messages in 10 000 sessions and 1 000 000 retained, `kill -9`, `mqttd start`."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path

from benchmark import brokers, report
from benchmark.brokers import faults, mqttd_command, play
from benchmark.report import figure, table

MIB = 2**20
# Long runs: how long the generator may take for one.
RUN_SECS_MAX = 900
START_SECS_MAX = 120
# After a run: positions are written, what is dead is swept.
SETTLE_SECS = 3
GIVEN_BACK_SECS = 60


def disk_bytes(home):
    """Bytes that the broker's files take on the disk, without its logs."""
    taken = 0
    for folder, _, names in os.walk(home):
        for name in names:
            try:
                if not name.endswith(".log") and Path(folder).name != "log":
                    taken += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return taken


def memory_kib(pid):
    """Resident memory, and what of it is not mapped from files."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon"))


def written_bytes(pid):
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["write_bytes"])


def mib(count):
    return f"{figure(count / MIB)} MiB"


class Sampler(threading.Thread):
    """Looks at memory and disk twice a second while something runs."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker = broker
        self.ended = threading.Event()
        self.samples = []

    def run(self):
        began = time.monotonic()
        while not self.ended.is_set():
            resident, anonymous = memory_kib(self.broker.pid)
            at = time.monotonic() - began
            self.samples.append((at, resident, anonymous, disk_bytes(self.broker.home)))
            self.ended.wait(0.5)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def peak(self, column):
        return max(sample[column] for sample in self.samples)


def one_for_all(load, broker):
    """One message for 10 000 sessions that are away."""
    sessions, payload = 10_000, 1024
    with broker:
        # The sessions alone first, so that what the message adds is seen by itself.
        shape = [payload, "--all", 1]
        opened = play(load, broker, ["fill", sessions, 0, *shape], secs_max=RUN_SECS_MAX)
        time.sleep(SETTLE_SECS)
        disk, written = disk_bytes(broker.home), written_bytes(broker.pid)
        words = ["fill", sessions, 1, *shape, "--opened", 1]
        filled = play(load, broker, words, secs_max=RUN_SECS_MAX)
        time.sleep(SETTLE_SECS)
        grown, written = disk_bytes(broker.home) - disk, written_bytes(broker.pid) - written
        drained = play(load, broker, ["drain", sessions, 1, "--all", 1], secs_max=RUN_SECS_MAX)
    rows = [
        ["payload times sessions", mib(sessions * payload)],
        ["files before the message (10 000 sessions and subscriptions)", mib(disk)],
        ["growth of the files by the message", mib(grown)],
        ["written to the disk for it", mib(written)],
        ["delivered, each once", figure(drained.get("delivered"))],
    ]
    return rows, [opened, filled, drained]


def given_back(broker, before):
    """How the files shrink after the last message: sizes by second, until nearly all is given back."""
    began, sizes = time.monotonic(), []
    while True:
        at, size = time.monotonic() - began, disk_bytes(broker.home)
        sizes.append((at, size))
        if at > GIVEN_BACK_SECS or size <= before + 8 * MIB:
            return sizes
        time.sleep(1)


def long_queues(load, broker):
    """1 000 sessions with 1 000 messages of 1 KiB each."""
    sessions, messages, payload = 1000, 1000, 1024
    with broker:
        opened = play(load, broker, ["fill", sessions, 0, payload], secs_max=RUN_SECS_MAX)
        time.sleep(SETTLE_SECS)
        memory, disk = memory_kib(broker.pid), disk_bytes(broker.home)
        with Sampler(broker) as filling:
            words = ["fill", sessions, messages, payload, "--opened", 1]
            filled = play(load, broker, words, secs_max=RUN_SECS_MAX)
        time.sleep(SETTLE_SECS)
        full, full_disk = memory_kib(broker.pid), disk_bytes(broker.home)
        with Sampler(broker) as draining:
            drained = play(load, broker, ["drain", sessions, messages], secs_max=RUN_SECS_MAX)
        sizes = given_back(broker, disk)
        end = memory_kib(broker.pid)
    at, size = sizes[-1]
    kib = 1024
    rows = [
        ["queued", f"{figure(filled.get('acknowledged'))} messages, {mib(sessions * messages * payload)}"],
        ["stored per second", figure(filled.get("acknowledged_per_sec"))],
        ["CPU us a message, storing", figure(filled.get("cpu_us_per_message"))],
        ["written per payload byte, storing", figure(filled.get("written_per_payload_byte"))],
        ["resident memory before", mib(memory[0] * kib)],
        ["growth of it with all queued (bound: 64 MiB)", mib((full[0] - memory[0]) * kib)],
        ["growth of its anonymous part", mib((full[1] - memory[1]) * kib)],
        ["highest growth while they were queued", mib((filling.peak(1) - memory[0]) * kib)],
        ["highest growth while they were taken", mib((draining.peak(1) - memory[0]) * kib)],
        ["growth when all were taken", mib((end[0] - memory[0]) * kib)],
        ["taken per second, in order", figure(drained.get("delivered_per_sec"))],
        ["CPU us a message, taken", figure(drained.get("cpu_us_per_message"))],
        ["files before / full / highest", " / ".join(
            mib(size) for size in (disk, full_disk, max(filling.peak(3), draining.peak(3)))
        )],
        ["files after the last was taken (bound: 60 s)", f"{mib(size)} after {figure(at)} s"],
    ]
    return rows, [opened, filled, drained]


def drop_from_page_cache(home):
    """Lets the kernel forget the files, so that the next start reads the disk."""
    os.sync()
    for folder, _, names in os.walk(home):
        for name in names:
            path = Path(folder) / name
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Started:
    """A broker that `mqttd start` started in the folder of another."""

    def __init__(self, program, broker):
        self.program, self.home, self.port = program, broker.home, broker.port
        began = time.monotonic()
        command = mqttd_command(program, "start", self.home)
        done = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.answer_secs = None
        while self.answer_secs is None and time.monotonic() - began < START_SECS_MAX:
            if brokers.answers(self.port, START_SECS_MAX):
                self.answer_secs = time.monotonic() - began
            elif done.poll() not in (None, 0):
                break
            else:
                # Nobody tells when a foreign process listens: ask again.
                time.sleep(0.01)
        self.said = done.communicate()[0].strip()
        self.secs = time.monotonic() - began
        self.code = done.returncode
        named = re.search(r"pid (\d+)", self.said)
        self.pid = int(named[1]) if self.code == 0 and named else 0

    def ask(self, verb):
        command = mqttd_command(self.program, verb, self.home)
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def end(self):
        if self.pid:
            os.kill(self.pid, 9)
            while Path(f"/proc/{self.pid}").exists():
                time.sleep(0.01)


def start_with_much(load, program, broker):
    """1 000 000 queued and 1 000 000 retained, then killed and started."""
    sessions, messages, payload, retained = 10_000, 100, 256, 1_000_000
    with broker:
        filled = play(load, broker, ["fill", sessions, messages, payload], secs_max=RUN_SECS_MAX)
        kept = play(load, broker, ["retain", retained, 64], secs_max=RUN_SECS_MAX)
        time.sleep(SETTLE_SECS)
        before, disk = memory_kib(broker.pid), disk_bytes(broker.home)
        broker.kill()
        warm = Started(program, broker)
        warm_memory = memory_kib(warm.pid) if warm.pid else (0, 0)
        warm.end()
        drop_from_page_cache(broker.home)
        cold = Started(program, broker)
        reports = [filled, kept]
        try:
            if cold.pid:
                status = cold.ask("status")
                reports.append(
                    play(load, cold, ["drain", sessions, messages], secs_max=RUN_SECS_MAX)
                )
                reports.append(play(load, cold, ["retained", retained], secs_max=RUN_SECS_MAX))
            else:
                reports.append({"correct": False, "problem": f"mqttd start: {cold.said}"})
                status = ""
        finally:
            cold.end()
    taken, got = (reports[2:] + [{}, {}])[:2]
    rows = [
        ["queued, stored per second", figure(filled.get("acknowledged_per_sec"))],
        ["retained, stored per second", figure((kept.get("acknowledged") or 0) / kept.get("secs", 1))],
        ["CPU us a retained message", figure(kept.get("cpu_us_per_message"))],
        ["files", mib(disk)],
        ["resident memory before the kill", mib(before[0] * 1024)],
        ["the first CONNACK came after (bound: 10 s)", f"{figure(warm.answer_secs)} s"],
        ["`mqttd start` was back after", f"{figure(warm.secs)} s"],
        ["the same with nothing in the page cache", f"{figure(cold.answer_secs)} s / {figure(cold.secs)} s"],
        ["resident memory after the start", mib(warm_memory[0] * 1024)],
        ["queued messages taken afterwards, in order", figure(taken.get("delivered"))],
        ["sessions missing", figure(taken.get("sessions_missing"))],
        ["retained messages taken afterwards", figure(got.get("delivered"))],
    ]
    said = f"$ mqttd start\n{warm.said}\n\n$ mqttd status\n{status}"
    return rows, reports, said.replace(str(broker.home), "DIR")


PARTS = {
    "all": ("10 000 sessions that are away, one message of 1 KiB for all", one_for_all),
    "long": ("1 000 sessions × 1 000 messages of 1 KiB", long_queues),
    "start": (
        "A start after kill -9 with 1 000 000 messages of 256 bytes in 10 000 sessions,"
        " and 1 000 000 retained of 64 bytes",
        None,
    ),
}


def main(asked, program, load, shards):
    """Plays all, prints and perhaps writes the tables; whether every run was correct."""
    broker = brokers.mqttd_keeping(program, shards, asked.durability, name="mqttd")
    text = [report.machine(Path(asked.dir), [brokers.mqttd_version(program, shards)])]
    print(text[0], flush=True)
    correct = True
    for key in asked.parts.split(","):
        title, part = PARTS[key]
        text.append(f"\n### {title}\n")
        print(text[-1], flush=True)
        said = ""
        try:
            if part:
                rows, reports = part(load, broker)
            else:
                rows, reports, said = start_with_much(load, program, broker)
        except brokers.BrokerProblem as problem:
            rows, reports = [], [{"correct": False, "problem": str(problem)}]
        text.append(table(["", "measured"], rows))
        wrong = faults(reports)
        text.append(f"* mqttd: {wrong}.\n" if wrong else "No message lost, doubled or out of order.\n")
        if said:
            text.append("```\n" + said + "\n```\n")
        correct = correct and not wrong
        print("\n".join(text[-3:]), flush=True)
    text.append(f"Load of the machine at the end: {os.getloadavg()[0]:.1f}.")
    if asked.write:
        report.write("queues", "\n".join(text))
    return correct
