"""A Debian container that boots systemd, for tests of the installed package.

Called by the tests of this folder. A root file system is made once with mmdebstrap and kept in the
cache, named after everything it was made from; each container runs on a copy of it, alone in its own
network. Commands run inside through nsenter, so nothing in the container has to listen. What this
does not do: know mqttd, or touch anything of the machine outside its own folder and processes.
"""

import hashlib
import inspect
import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PACKAGES = {
    # What a test needs inside, beside a small Debian. mosquitto is the broker that holds port 1883
    # in some tests; its service is switched off.
    "systemd": [
        "adduser", "bash-completion", "fish", "iproute2", "man-db", "mosquitto", "mosquitto-clients", "procps", "systemd",
        "systemd-sysv", "zsh",
    ],
    # A container as people build them: no systemd, no init.
    "minbase": ["adduser", "procps"],
}

BOOT_SECS = 180
COMMAND_SECS = 180
# For what is to come true: a slow machine has its time, and a quick one loses none.
UNTIL_SECS = 90

_numbers = itertools.count(1)
_open = set()


class Unable(Exception):
    """This machine cannot run such containers; the text says why."""


def cache_dir():
    """Where roots are kept between runs: $MQTTD_CACHE, or mqttd in the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mqttd"
    return Path(os.environ.get("MQTTD_CACHE") or default)


def check_machine():
    """Raises Unable unless containers can be booted here."""
    if os.geteuid() != 0:
        raise Unable("booting a container needs root")
    for tool in ("mmdebstrap", "systemd-nspawn", "nsenter", "unshare"):
        if not shutil.which(tool):
            raise Unable(f"{tool} is not installed")
    if subprocess.run(["unshare", "-mnp", "--fork", "true"], capture_output=True).returncode != 0:
        raise Unable("this machine gives no new namespaces")


def root_for(suite, kind):
    """The pristine root of a suite ("bookworm") and kind ("systemd", "minbase"); made when missing."""
    recipe = json.dumps([suite, kind, PACKAGES[kind], inspect.getsource(_settle)])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    roots = cache_dir() / "roots"
    root = roots / f"{suite}-{kind}-{digest}"
    if root.is_dir():
        return root
    roots.mkdir(parents=True, exist_ok=True)
    print(f"making the root {root.name} (about two minutes, once)", file=sys.stderr, flush=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=roots))
    command = [
        "mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES[kind]), suite, str(made / "root"),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(made, ignore_errors=True)
        raise Unable("mmdebstrap failed: " + done.stderr.strip()[-2000:])
    _settle(made / "root", kind)
    try:
        (made / "root").rename(root)
    except OSError:  # another run was faster
        pass
    shutil.rmtree(made, ignore_errors=True)
    return root


def _settle(root, kind):
    """Makes boots quick and quiet, and alike."""
    (root / "etc/hostname").write_text("mqttd-test\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost mqttd-test\n::1 localhost\n")
    if kind != "systemd":
        return
    units = root / "etc/systemd/system"
    for unit in ("systemd-networkd.service", "systemd-resolved.service", "apt-daily.timer", "apt-daily-upgrade.timer",
                 "man-db.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"):
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for wants in units.glob("*.wants"):
        (wants / "mosquitto.service").unlink(missing_ok=True)
    journal = root / "etc/systemd/journald.conf.d"
    journal.mkdir(parents=True, exist_ok=True)
    (journal / "test.conf").write_text("[Journal]\nRateLimitIntervalSec=0\n")


class Done:
    """What a command did."""

    def __init__(self, command, code, out, err, secs):
        self.command, self.code, self.out, self.err, self.secs = command, code, out, err, secs

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return f"$ {self.command}\n{self.out}{self.err}[exit code {self.code}, {self.secs:.2f} s]"


class Tree:
    """A copy of a root that goes away with it."""

    def __init__(self, suite, kind):
        base = root_for(suite, kind)
        self.dir = Path(tempfile.mkdtemp(prefix="mqttd-test-"))
        self.root = self.dir / "root"
        self.root.mkdir()
        layers = self.dir / "layers"
        layers.mkdir()
        self.mounts = []
        self._mount(["-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(layers)], layers)
        (layers / "upper").mkdir()
        (layers / "work").mkdir()
        options = f"lowerdir={base},upperdir={layers}/upper,workdir={layers}/work"
        if not self._mount(["-t", "overlay", "-o", options, "overlay", str(self.root)], self.root, needed=False):
            self.root.rmdir()
            subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(self.root)], check=True)

    def _mount(self, words, target, needed=True):
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
        if done.returncode == 0:
            self.mounts.append(target)
        elif needed:
            raise Unable("mount: " + done.stderr.strip())
        return done.returncode == 0

    def write(self, path, text, mode=0o644):
        """Writes a file by its path inside."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text()

    def copy_in(self, source, path):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def remove(self):
        for target in reversed(self.mounts):
            subprocess.run(["umount", "-l", str(target)], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class _Inside:
    """Running commands inside; for both kinds of container."""

    ENVIRONMENT = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "USER": "root",
        "LANG": "C.UTF-8", "TERM": "dumb", "DEBIAN_FRONTEND": "noninteractive",
    }

    def _enter(self, namespaces="-m -u -i -n -p -C"):
        return ["nsenter", "-t", str(self.leader), *namespaces.split(), "--"]

    def start(self, command, user=None, env=None, **more):
        """Starts a shell command inside; a Popen with text pipes. A last word with exec gets `signal`."""
        variables = {**self.ENVIRONMENT, **(env or {})}
        words = ["env", "-i", *[f"{name}={value}" for name, value in variables.items()]]
        if user:
            words = ["runuser", "-u", user, "--", *words]
        note = f"/tmp/.started-{next(_numbers)}"
        words += ["/bin/sh", "-c", f"echo $$ >{note}; cd /; {command}"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen(self._enter() + words, text=True, errors="replace", **pipes)
        process.note = note
        return process

    def signal(self, process, name):
        """Sends a signal to a command that was started: not to nsenter, which would not pass it on."""
        self.ok(f"kill -{name} $(cat {process.note})")

    def run(self, command, user=None, env=None, timeout=COMMAND_SECS, input=None):
        """Runs a shell command inside and gives what it did, whatever that was."""
        began = time.monotonic()
        more = {"stdin": subprocess.PIPE} if input is not None else {}
        process = self.start(command, user=user, env=env, **more)
        try:
            out, err = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += f"\n[not finished after {timeout} s]"
        return Done(command, process.returncode, out, err, time.monotonic() - began)

    def ok(self, command, code=0, **more):
        """Runs a command that must end with this code; gives its output without the last newline."""
        done = self.run(command, **more)
        assert done.code == code, f"expected exit code {code}:\n{done!r}"
        return done.out.rstrip("\n")

    def until(self, command, secs=UNTIL_SECS, code=0):
        """Runs a command until it ends with this code; how long that took."""
        began = time.monotonic()
        while True:
            done = self.run(command)
            if done.code == code:
                return time.monotonic() - began
            assert time.monotonic() - began < secs, f"not within {secs} s:\n{done!r}"
            time.sleep(0.05)

    def python(self, *words, **more):
        """Starts this machine's Python in the container's network and with its clock, nothing else."""
        command = [*self._enter("-n"), sys.executable, *words]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(command, text=True, **pipes)


class Machine(_Inside):
    """A booted Debian. Use as a context, so that it always ends."""

    def __init__(self, suite="bookworm"):
        self.tree = Tree(suite, "systemd")
        self.name = f"mqttd-test-{os.getpid()}-{next(_numbers)}"
        self.process = None
        self.leader = None
        _open.add(self)
        try:
            self.boot()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self):
        """Boots, and returns when systemd takes commands."""
        _cgroups()
        self.log = open(self.tree.dir / "console", "ab")
        command = [
            "systemd-nspawn", "--quiet", "-D", str(self.tree.root), f"--machine={self.name}", "--boot", "--register=no",
            "--keep-unit", "--private-network", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
            "--console=pipe",
        ]
        # A control group of its own for each container, so that two at once do not share one. A shell enters it:
        # Python code between fork and exec waits for ever for a lock that another thread had.
        own = _cgroups() / self.name
        own.mkdir(exist_ok=True)
        command = ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(own / "cgroup.procs"), *command]
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_LOCK": "0"}
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            start_new_session=True)
        self.began = time.monotonic()
        self._wait("its first process", self._find_leader)
        self._wait("systemd", lambda: self.run("systemctl is-system-running").out.strip() in ("running", "degraded",
                                                                                               "starting"))

    def _find_leader(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        ours = os.readlink("/proc/self/ns/pid")
        for pid in children.read_text().split():
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") != ours and Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    self.leader = int(pid)
                    return True
            except OSError:
                pass
        return False

    def _wait(self, what, ready):
        while not ready():
            if self.process.poll() is not None or time.monotonic() - self.began > BOOT_SECS:
                console = (self.tree.dir / "console").read_text(errors="replace")
                raise Unable(f"the container did not get as far as {what}:\n{console[-2000:]}")
            time.sleep(0.02)

    def booted(self):
        """Waits until all of the boot is done."""
        self.run("systemctl is-system-running --wait")

    def power_off(self):
        if self.process and self.process.poll() is None:
            if self.leader:
                self.run("systemctl poweroff --no-block", timeout=10)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.kill(self.process.pid, signal.SIGTERM)
                try:
                    self.process.wait(10)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        self.leader = None
        self.log.close()

    def cut_power(self):
        """Ends all that runs inside at once, as seen from inside: nobody is told, nothing is closed, and no
        process of it runs on. What was written to files stays, whether it was synced or not, as the memory of
        this machine holds them: that a sync is waited for is not shown by this."""
        leader, self.leader = self.leader, None
        os.kill(leader, signal.SIGKILL)
        self.process.wait(90)
        self.log.close()

    def reboot(self):
        """Powers off and boots the same root again."""
        self.power_off()
        self.boot()

    def close(self):
        """Ends the container at once: its files go away too."""
        _open.discard(self)
        if self.process and self.process.poll() is None:
            if self.leader:
                os.kill(self.leader, signal.SIGKILL)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            _remove_cgroup(_cgroups() / self.name)
        self.tree.remove()


class Minimal(_Inside):
    """A container without init and systemd: a root in namespaces of its own."""

    def __init__(self, suite="bookworm"):
        self.tree = Tree(suite, "minbase")
        script = (
            "mount --make-rprivate / && ip link set lo up; cd \"$1\" && mount -t proc proc proc && "
            "mount -t tmpfs tmpfs run && mount --rbind /dev dev && "
            # Only what is inside already may say so: commands go to where this process is.
            "exec chroot . /bin/sh -c 'echo ready; exec sleep infinity'"
        )
        self.process = subprocess.Popen(
            ["unshare", "-m", "-u", "-i", "-n", "-p", "--fork", "--kill-child", "/bin/sh", "-c", script, "sh",
             str(self.tree.root)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.kill()
            raise Unable("no minimal container: " + self.process.stderr.read())
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.leader = int(children.read_text().split()[0])
        _open.add(self)
        assert os.path.samestat(os.stat(f"/proc/{self.leader}/root"), os.stat(self.tree.root)), "not inside"

    def _enter(self, namespaces=None):
        words = ["nsenter", "-t", str(self.leader), *(namespaces or "-m -u -i -n -p").split()]
        return words + ["--"] if namespaces else words + ["-r", "-w", "--"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        _open.discard(self)
        self.process.kill()
        self.process.wait()
        self.tree.remove()


_cgroup_mount = None
_cgroup_making = threading.Lock()


def _cgroups():
    """The folder for our control groups, on a mount of our own when this machine has no usual one."""
    global _cgroup_mount
    with _cgroup_making:
        if _cgroup_mount is None:
            usual = Path("/sys/fs/cgroup")
            if not (usual / "cgroup.controllers").exists():
                usual = Path(tempfile.mkdtemp(prefix="mqttd-test-cgroup-"))
                done = subprocess.run(["mount", "-t", "cgroup2", "none", str(usual)], capture_output=True, text=True)
                if done.returncode != 0:
                    usual.rmdir()
                    raise Unable("mount cgroup2: " + done.stderr.strip())
            _cgroup_mount = usual
        return _cgroup_mount


def release():
    """Ends what is still open, and takes away what all containers of this run shared."""
    global _cgroup_mount
    for each in list(_open):
        each.close()
    if _cgroup_mount and _cgroup_mount != Path("/sys/fs/cgroup"):
        subprocess.run(["umount", "-l", str(_cgroup_mount)], capture_output=True)
        _cgroup_mount.rmdir()
    _cgroup_mount = None


def _remove_cgroup(folder):
    for _ in range(50):
        left = sorted(folder.glob("**/"), key=lambda path: -len(path.parts))
        for each in left:
            try:
                each.rmdir()
            except OSError:
                pass
        if not folder.exists():
            return
        time.sleep(0.02)


def quote(text):
    """Text as one word of a shell command."""
    return shlex.quote(str(text))
