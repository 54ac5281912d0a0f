"""Where a test runs: the package under test, a machine without it, a machine with it in order.

Called by run and by the tests. Knows what mqttd installs; the container itself is container.py's.
"""

import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import container

ROOT = Path(__file__).resolve().parent.parent.parent


class Skip(Exception):
    """This test cannot say anything here; the text says why."""


def lasting(secs):
    """Marks a test that must wait for long, so that it begins early."""
    def mark(function):
        function.lasts = secs
        return function
    return mark


def alone(function):
    """Marks a test that measures time, so that nothing else runs beside it."""
    function.alone = True
    return function


class Package:
    """The .deb under test."""

    def __init__(self, deb):
        self.deb = deb
        self.folder = Path(tempfile.mkdtemp(prefix="mqttd-test-deb-"))
        self._unpacked = None
        self._newer = None
        self._making = threading.RLock()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def field(self, name):
        return subprocess.check_output(["dpkg-deb", "-f", str(self.deb), name], text=True).strip()

    @property
    def files(self):
        """The unpacked content."""
        with self._making:
            if self._unpacked is None:
                folder = self.folder / "content"
                subprocess.run(["dpkg-deb", "-R", str(self.deb), str(folder)], check=True)
                self._unpacked = folder
            return self._unpacked

    @property
    def dbgsym(self):
        found = [path for path in self.deb.parent.glob("mqttd-dbgsym_*") if self.field("Version") in path.name]
        return found[0] if found else None

    def newer(self):
        """The same package as its next version, 1.0.0 → 1.0.9: what an upgrade installs.

        Its program is the same too, but for a word after its end that tells the files apart.
        """
        with self._making:
            if self._newer is None:
                self._newer = self._make_newer()
            return self._newer

    def _make_newer(self):
        old = self.field("Version")
        new = re.sub(r"\d$", "9", old)
        folder = self.folder / "newer"
        shutil.copytree(self.files, folder, symlinks=True)
        control = folder / "DEBIAN/control"
        control.write_text(control.read_text().replace(f"Version: {old}\n", f"Version: {new}\n"))
        program = folder / "usr/bin/mqttd"
        program.write_bytes(program.read_bytes() + new.encode())
        (folder / "DEBIAN/md5sums").unlink(missing_ok=True)
        made = self.folder / f"mqttd_{new}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(folder), str(made)], check=True,
                       capture_output=True)
        return made, new


def fresh(package, suite):
    """A booted machine with the package lying in /root, not installed."""
    machine = container.Machine(suite)
    machine.package = package
    machine.tree.copy_in(package.deb, "/root/mqttd.deb")
    machine.booted()
    return machine


class Installed(container.Machine):
    """A booted machine with the package installed and its service running."""

    def __init__(self, package, suite):
        self.package = package
        super().__init__(suite)
        try:
            self.tree.copy_in(package.deb, "/root/mqttd.deb")
            self.booted()
            self.ok("dpkg -i /root/mqttd.deb")
            self.ok("mqttd ping")
        except BaseException:
            self.close()
            raise

    def restore(self):
        """Puts everything back as installed; False when that did not work, or it is another boot."""
        self.run(
            "rm -rf /etc/mqttd/conf.d/*.toml /etc/systemd/system/mqttd.service.d /run/systemd/system/mqttd.service.d; "
            "systemctl daemon-reload; systemctl stop mqttd; mqttd --no-systemd --quiet stop; "
            "rm -f /var/lib/mqttd/mqttd.db*; "
            "systemctl unmask mqttd; systemctl enable mqttd; systemctl reset-failed")
        self.run("journalctl --rotate; journalctl --vacuum-time=1s")
        started = self.run("systemctl start mqttd && mqttd ping")
        return started.code == 0 and self.run("dpkg -V mqttd").text.strip() == ""


def conf(machine, text, name="test.toml"):
    """Sets configuration in a file of conf.d."""
    machine.tree.write(f"/etc/mqttd/conf.d/{name}", text)
    machine.ok(f"chgrp mqttd /etc/mqttd/conf.d/{name}")


def drop_in(machine, text):
    """Adds a drop-in to the unit, as `systemctl edit` would."""
    machine.tree.write("/etc/systemd/system/mqttd.service.d/test.conf", text)
    machine.ok("systemctl daemon-reload")


def in_time(secs, once, tries=3):
    """Does something that tells how long it took, and again when that was too long: whatever else this machine
    does takes time, and gives none."""
    took = []
    while not took or min(took) >= secs:
        assert len(took) < tries, f"in each try longer than {secs} s: {took}"
        took.append(once())
    assert min(took) > 0, took


def main_pid(machine):
    return int(show(machine, "MainPID"))


def show(machine, prop):
    return machine.ok(f"systemctl show -p {prop} --value mqttd")


def restarted(machine, before):
    """Waits until another process than before is the service and answers."""
    began = time.monotonic()
    while main_pid(machine) in (0, before) or machine.run("mqttd ping").code != 0:
        assert time.monotonic() - began < 120, "not back: " + machine.run("systemctl status mqttd").out
        time.sleep(0.02)


def killed(machine):
    """Kills the service's process (SIGKILL), and waits until systemd has brought it back."""
    before = main_pid(machine)
    machine.ok(f"kill -KILL {before}")
    restarted(machine, before)


def logged(machine, words, more=""):
    """Waits until the service's journal has a line with these words, as a regular expression of grep; all of it.

    The broker writes its log in a thread of its own, and journald takes its time.
    """
    journal = f"journalctl -u mqttd -o cat {more}"
    machine.until(f"{journal} | grep -qE {container.quote(words)}")
    return machine.ok(journal)


def mqttd_json(machine, words, code=0, **more):
    """What `mqttd … --json` says."""
    return json.loads(machine.ok(f"mqttd --json {words}", code=code, **more))


def processes(machine):
    """The pids of brokers inside: mqttd processes that are not a verb still running."""
    return machine.run("pgrep -x mqttd").out.split()
