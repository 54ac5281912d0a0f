"""The control socket: who may use it, and what hostile peers of it can do."""

import re
import subprocess
import sys

from place import drop_in, main_pid


def p58_socket_mode(installed):
    """0660 of mqttd's group whatever the umask; outsiders get exit code 4"""
    for umask in ("0000", "0022", "0077"):
        drop_in(installed, f"[Service]\nUMask={umask}\n")
        installed.ok("systemctl restart mqttd")
        said = installed.ok("stat -c '%G %a' /run/mqttd/mqttd.sock; stat -c %a /run/mqttd")
        assert said == "mqttd 660\n755", said
    assert installed.run("mqttd ping", user="nobody").code == 4
    installed.ok("adduser --quiet --system --ingroup nogroup operator; adduser --quiet operator mqttd")
    assert installed.ok("mqttd ping", user="operator") == "pong"
    installed.ok("systemctl stop mqttd")
    for umask in ("000", "022", "077"):
        installed.ok(f"umask {umask}; mqttd --no-systemd start")
        assert installed.ok("stat -c '%G %a' /run/mqttd/mqttd.sock") == "mqttd 660"
        installed.ok("mqttd --no-systemd stop")


CROWD = """
import socket, sys
def dial():
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]); return s
kept = []
for kind in range(500):
    try:
        s = dial()
        if kind % 3 == 1: s.sendall(b'{"half":')
        if kind % 3 == 2: s.sendall(b'x' * 100000)
        kept.append(s)
    except OSError:
        pass
print(len(kept), flush=True)
sys.stdin.read()
"""


def p58_crowd(installed):
    """500 idle, partial and oversized control connections do not keep ping from its answer"""
    socket = installed.tree.root / "run/mqttd/mqttd.sock"
    del socket
    words = [*installed._enter("-m"), "/bin/true"]
    assert subprocess.run(words).returncode == 0
    crowd = subprocess.Popen([sys.executable, "-c", CROWD, f"/proc/{installed.leader}/root/run/mqttd/mqttd.sock"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert int(crowd.stdout.readline()) >= 1
        for _ in range(20):
            done = installed.run("mqttd ping")
            # They are cut off after 5 s: it is not that which is waited for.
            assert done.code == 0 and done.secs < 4, done
    finally:
        crowd.communicate("")
    assert main_pid(installed) > 0


def p58_path_stays(installed):
    """the socket stays with the running instance when a second one is tried"""
    before = installed.ok("stat -c %i /run/mqttd/mqttd.sock")
    done = installed.run("mqttd --no-systemd foreground")
    assert done.code == 1 and re.search(rf"\b{main_pid(installed)}\b", done.err), done
    assert installed.ok("stat -c %i /run/mqttd/mqttd.sock") == before
    assert installed.ok("mqttd ping") == "pong"
