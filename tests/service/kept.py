"""What is kept: what was acknowledged is there after restarts, kills, a cut of power, upgrades; and what the
broker says when its disk is full, or its store cannot be read.
"""

import re
import sqlite3
import time

import load
import mqtt
from container import quote
from place import conf, drop_in, killed, lasting, logged, main_pid, mqttd_json, show

STORE = "/var/lib/mqttd/mqttd.db"
TOPICS = ("kept/one", "kept/two")


def away(machine, name, version, topic_filter="kept/#"):
    """A client whose session lasts subscribes, and goes."""
    client = mqtt.Client(machine, name, version, clean=False, expiry=3600 if version == 5 else 0).connected()
    client.subscribe(topic_filter, 2)
    client.leave()


def back(machine, name, version, least=1):
    """The client comes back to its session; all that waited for it, at least so many messages."""
    client = mqtt.Client(machine, name, version, clean=False, expiry=3600 if version == 5 else 0).connected()
    assert client.present, f"the session of {name} is gone"
    taken = client.take(least)
    client.leave()
    return taken


class Everything:
    """One of each: sessions, subscriptions, queued messages, a retained one, a QoS 2 exchange half done."""

    def __init__(self, machine):
        for name, version in (("away-5", 5), ("away-4", 4)):
            away(machine, name, version)
        self.messages = []
        publisher = mqtt.Client(machine, "publisher", 5).connected()
        for number in range(1, 21):
            qos = 1 + number % 2
            publisher.published("kept/queue", str(number).encode(), qos, packet_id=number)
            self.messages.append(("kept/queue", str(number).encode(), qos))
        publisher.published("shown", b"retained", 1, retain=True)
        publisher.close()
        # PUBREC came; PUBREL was not sent.
        half = mqtt.Client(machine, "half", 4, clean=False).connected()
        half.publish("kept/half", b"once", 2, packet_id=9)
        assert half.heard(0x50) == 9
        half.close()
        self.messages.append(("kept/half", b"once", 2))

    def check(self, machine):
        """All of it is there; afterwards it is used up."""
        rows = mqttd_json(machine, "sessions list")["result"]
        found = {row["client_id"]: row["connected"] for row in rows}
        assert found == {"away-4": False, "away-5": False, "half": False}, found
        rows = mqttd_json(machine, "queue away-5 --payload")["result"]
        waiting = [(row["topic"], row["payload"].encode(), row["qos"]) for row in rows]
        assert waiting == self.messages, waiting
        half = mqtt.Client(machine, "half", 4, clean=False).connected()
        assert half.present, "the publisher's session is gone"
        half.publish("kept/half", b"once", 2, packet_id=9, dup=True)
        assert half.heard(0x50) == 9
        half.acknowledge(0x62, 9)
        assert half.heard(0x70) == 9
        half.close()
        for name, version in (("away-5", 5), ("away-4", 4)):
            taken = back(machine, name, version, len(self.messages))
            assert taken == self.messages, f"{name}: {taken}"
        assert machine.ok("mosquitto_sub -q 1 -t shown -C 1 -W 10 -F '%r %p'") == "1 retained"
        # The subscriptions too: nobody subscribed again.
        machine.ok("mosquitto_pub -q 1 -t kept/more -m more")
        for name, version in (("away-5", 5), ("away-4", 4)):
            assert back(machine, name, version) == [("kept/more", b"more", 1)]


def under_load(machine, disturb):
    """Publishes at QoS 1 and 2 to a client that is away while something happens; checks what it gets."""
    # However long it takes here.
    conf(machine, "[session]\nqueue_messages_max = 1000000\nqueue_bytes_max = \"1GiB\"\n")
    machine.ok("mqttd reload")
    away(machine, "receiver", 5)
    publishers = [load.Publisher(machine, topic, qos, per_sec=100) for topic, qos in zip(TOPICS, (1, 2))]
    for publisher in publishers:
        publisher.until(50)
    disturb(publishers)
    for publisher in publishers:
        publisher.finish()
    machine.ok("mqttd ping --wait 90")
    taken = back(machine, "receiver", 5, sum(len(publisher.acknowledged) for publisher in publishers))
    for publisher in publishers:
        assert publisher.connections > 1, "nothing has disturbed this publisher"
        load.check(taken, publisher)


def k1_restart(installed):
    """what was acknowledged survives systemctl restart: sessions, subscriptions, queues, retained, QoS 2"""
    everything = Everything(installed)
    installed.ok("systemctl restart mqttd")
    everything.check(installed)
    logged(installed, "recovered what was kept sessions=3")


def k1_restart_under_load(installed):
    """nothing acknowledged is lost, nothing of QoS 2 comes twice, when it is restarted under load"""
    def disturb(publishers):
        for _ in range(3):
            installed.ok("systemctl restart mqttd")
            for publisher in publishers:
                publisher.until(50)
    under_load(installed, disturb)


def k1_killed(installed):
    """what was acknowledged survives kill -9, and systemd brings it back"""
    everything = Everything(installed)
    killed(installed)
    everything.check(installed)


def k1_killed_under_load(installed):
    """five kill -9 under load: nothing acknowledged is lost, nothing of QoS 2 comes twice"""
    def disturb(publishers):
        for _ in range(5):
            before = main_pid(installed)
            installed.ok(f"kill -KILL {before}")
            for publisher in publishers:
                publisher.until(50)
            assert main_pid(installed) not in (0, before)
    under_load(installed, disturb)


def k1_power_cut(fresh):
    """the container is cut off under load, twice: nothing acknowledged is lost (its disk outlives it)"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    everything = Everything(fresh)

    def disturb(publishers):
        for _ in range(2):
            fresh.cut_power()
            fresh.boot()
            for publisher in publishers:
                publisher.until(50)
    fresh.cut_power()
    fresh.boot()
    fresh.ok("mqttd ping --wait 90")
    everything.check(fresh)
    fresh.ok("mqttd sessions delete away-5 --yes && mqttd sessions delete away-4 --yes")
    under_load(fresh, disturb)


def p19_upgrade_keeps_what_is_kept(fresh):
    """an upgrade keeps retained messages, sessions, subscriptions and queued messages"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    deb, new = fresh.package.newer()
    fresh.tree.copy_in(deb, "/root/newer.deb")
    everything = Everything(fresh)
    fresh.ok("dpkg -i /root/newer.deb && mqttd ping")
    assert fresh.ok("dpkg-query -W -f='${Version}' mqttd") == new
    everything.check(fresh)


def p19_upgrade_under_load(fresh):
    """nothing acknowledged is lost in an upgrade under load, forth and back"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    fresh.tree.copy_in(fresh.package.newer()[0], "/root/newer.deb")

    def disturb(publishers):
        for deb in ("newer", "mqttd"):
            fresh.ok(f"dpkg -i /root/{deb}.deb")
            for publisher in publishers:
                publisher.until(50)
    under_load(fresh, disturb)


def p22_store_stays_and_goes(fresh):
    """remove keeps the store and a new installation finds all of it; purge deletes it"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    everything = Everything(fresh)
    fresh.ok("dpkg -r mqttd")
    fresh.ok(f"test -s {STORE}")
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    everything.check(fresh)
    fresh.ok("dpkg --purge mqttd")
    assert fresh.run("ls -d /var/lib/mqttd").code != 0


def k2_file(installed):
    """the store belongs to mqttd, with mode 0640, in /var/lib/mqttd, and nobody else reads it"""
    files = installed.ok("stat -c '%n %U:%G %a' /var/lib/mqttd/mqttd.db*").splitlines()
    assert files[0] == f"{STORE} mqttd:mqttd 640", files
    assert all(line.endswith("mqttd:mqttd 640") for line in files), files
    assert installed.ok("stat -c '%U:%G %a' /var/lib/mqttd") == "mqttd:mqttd 750"
    assert installed.run(f"cat {STORE}", user="nobody").code != 0


def small_disk(machine, mib, ballast_mib):
    """A file system of its own for the data, with a file on it that can go."""
    machine.ok(
        "systemctl stop mqttd; rm -rf /var/lib/mqttd/*; "
        f"mount -t tmpfs -o size={mib}m,mode=0750,uid=$(id -u mqttd),gid=$(id -g mqttd) tmpfs /var/lib/mqttd; "
        f"head -c {ballast_mib}M /dev/zero >/var/lib/mqttd/ballast; systemctl start mqttd")


KEEP_ALIVE = 6


def stats(machine):
    return mqttd_json(machine, "stats")["result"]


def stat(machine, name):
    return stats(machine)[name]


@lasting(15)
def k3_disk_full(fresh):
    """disk full under load, then space: nothing acknowledged lost, nobody disconnected, no restart, all told"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    # What is dropped because a queue is full would look lost.
    conf(fresh, "[session]\nqueue_messages_max = 1000000\nqueue_bytes_max = \"1GiB\"\n[store]\nqueue_bytes_max = \"1GiB\"\n")
    small_disk(fresh, 200, 184)
    pid = main_pid(fresh)
    away(fresh, "receiver", 5)
    watcher = mqtt.Client(fresh, "watcher", 5).connected()
    watcher.subscribe("live")
    # Nobody is read who brings more once 32 MiB wait for the disk. Those of QoS 1 alone are more, all of them
    # unwritten: of QoS 2 a message whose PUBREC came is under way until PUBCOMP, and on the disk. What the broker
    # allows is 1 024. They speak 3.1.1: of 5.0 what comes once the store is known to be full is refused, and
    # waits for nothing. All that is ever sent has room on the disk without its ballast.
    publishers = [load.Publisher(fresh, topic, qos, most=1500, payload_bytes=40_000, window=window, keep_alive=KEEP_ALIVE,
                                 version=4)
                  for topic, qos, window in (("kept/one", 1, 1000), ("kept/two", 2, 600))]
    logged(fresh, "store is full", "-p err")
    began = time.monotonic()
    while stat(fresh, "connections.paused") == 0:
        assert time.monotonic() - began < 180, f"all of it was read: more has to come; {publishers} {stats(fresh)}"
        watcher.ping()
    assert stat(fresh, "store.pauses") > 0
    # A small piece of what waits may still find room, until it was tried in vain some times.
    stood, tries = None, 0
    while True:
        acknowledged = [len(publisher.acknowledged) for publisher in publishers]
        if stood != acknowledged:
            stood, tries = acknowledged, stat(fresh, "store.failures")
        elif stat(fresh, "store.failures") > tries + 3:
            break
        time.sleep(0.2)
        watcher.ping()
    # Longer than silence is borne of somebody who is listened to.
    began = time.monotonic()
    while time.monotonic() - began < 2 * KEEP_ALIVE:
        time.sleep(0.5)
        watcher.ping()
    status = fresh.ok("mqttd status")
    assert re.search(r"^  store +FULL since .*no space", status, re.M) and "/var/lib/mqttd" in status, status
    fresh.until("systemctl show -p StatusText mqttd | grep -q 'STORE IS FULL'")
    assert mqttd_json(fresh, "status")["result"]["store"]["state"] == "full"
    fresh.ok("mosquitto_pub -t live -m 'QoS 0 goes on'")
    assert watcher.take() == [("live", b"QoS 0 goes on", 0)]
    assert [len(publisher.acknowledged) for publisher in publishers] == stood, "acknowledged without a place"
    received = sum(list(publishers[1].waiting.values()))
    assert (sum(stood) + received) * 40_000 < 16 << 20, f"{stood} and {received} have no place there"
    fresh.ok("rm /var/lib/mqttd/ballast")
    for publisher in publishers:
        publisher.until(20)
    for publisher in publishers:
        publisher.finish()
        assert publisher.connections == 1, "it was disconnected"
    logged(fresh, "works again")
    fresh.until("mqttd --json status | grep -q '\"state\":\"well\"'")
    assert "FULL" not in fresh.ok("mqttd status")
    watcher.ping()
    assert main_pid(fresh) == pid and show(fresh, "NRestarts") == "0"
    taken = back(fresh, "receiver", 5, sum(len(publisher.acknowledged) for publisher in publishers))
    for publisher in publishers:
        load.check(taken, publisher)


def k3_start_without_space(fresh):
    """a start without space says so, and comes true by itself when there is some; kill -9 without space harms nothing"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    small_disk(fresh, 40, 1)
    everything = Everything(fresh)
    fresh.ok("systemctl stop mqttd")
    fresh.run("cat /dev/zero >/var/lib/mqttd/fill")
    done = fresh.run("mqttd start")
    assert done.code == 1 and done.err.startswith("mqttd: no space is left for /var/lib/mqttd/mqttd.db"), done
    assert "no space is left" in fresh.run("mqttd status").out
    fresh.ok("rm /var/lib/mqttd/fill && mqttd ping --wait 90")
    fresh.run("cat /dev/zero >/var/lib/mqttd/fill")
    publisher = load.Publisher(fresh, "kept/one", 1, payload_bytes=40_000, version=4)
    fresh.until("mqttd status | grep -q FULL")
    publisher.ending.set()
    killed(fresh)
    fresh.ok("rm /var/lib/mqttd/fill")
    publisher.finish()
    taken = back(fresh, "away-5", 5, len(everything.messages) + len(publisher.acknowledged))
    assert taken[:len(everything.messages)] == everything.messages, taken[:30]
    load.check(taken, publisher)


def journal(machine):
    return machine.ok("journalctl -u mqttd -o cat").splitlines()


def does_not_start(machine, said, way_out):
    """The service is down for good, and each place that says so says why and what to do, in one sentence."""
    restarts = show(machine, "NRestarts")
    done = machine.run("mqttd start")
    assert done.code != 0 and re.search(said, done.err) and way_out in done.err, done
    assert machine.run("systemctl is-failed mqttd").out == "failed\n"
    machine.until(f"journalctl -u mqttd -p err -o cat | grep -E {quote(said)} | grep -qF {quote(way_out)}")
    status = machine.run("systemctl status --full --lines 20 mqttd").out
    assert re.search(said, status) and way_out in status, status
    time.sleep(2.5)
    assert show(machine, "NRestarts") == restarts, "it was tried again, which mends nothing"
    done = machine.run("mqttd status")
    assert done.code == 3 and re.search(said, done.out) and way_out in done.out, done


def k4_damaged_store(installed):
    """a damaged store: the service does not start, says so everywhere, with the way out, which works"""
    away(installed, "receiver", 5)
    client = mqtt.Client(installed, "publisher").connected()
    for number in range(1, 101):
        client.published("kept/one", b"%03d" % number + b"." * 4000, 1, packet_id=number)
    client.close()
    installed.ok("systemctl stop mqttd")
    size = int(installed.ok(f"stat -c %s {STORE}"))
    installed.ok(f"dd if=/dev/zero of={STORE} bs=4096 seek={size // 8192} count=8 conv=notrunc status=none")
    does_not_start(installed, r"mqttd\.db is damaged", "`mqttd store repair`")
    done = installed.run("mqttd store repair --yes")
    assert done.code == 0 and "lost: " in done.text and "mqttd.db.damaged-1" in done.text, done
    installed.ok("mqttd start")
    numbers = [int(payload[:3]) for _, payload, _ in back(installed, "receiver", 5, 51)]
    assert 50 < len(numbers) < 100 and numbers == sorted(set(numbers)), numbers


def k4_newer_store(installed):
    """a store of a newer version: the service does not start, and says which program to install"""
    installed.ok("systemctl stop mqttd")
    store = sqlite3.connect(installed.tree.root / STORE.lstrip("/"))
    store.execute("PRAGMA user_version = 99")
    store.close()
    installed.ok(f"chown mqttd:mqttd {STORE}*")
    does_not_start(installed, r"mqttd\.db has format 99", "install")


@lasting(15)
def k5_long_recovery(fresh):
    """a recovery that takes longer than TimeoutStartSec is waited for, and says how far it is"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    conf(fresh, "[session]\nqueue_messages_max = 1000000\n")
    fresh.ok("mqttd reload")
    for number in range(20):
        away(fresh, f"receiver-{number}", 5)
    publisher = load.Publisher(fresh, "kept/one", 1, most=30_000, window=1000)
    publisher.until(30_000)
    publisher.finish()
    fresh.ok("systemctl stop mqttd")
    # On a slow machine: it runs for 10 ms, and then not for a while.
    limit_secs = 10
    drop_in(fresh, f"[Service]\nTimeoutStartSec={limit_secs}\nExecStart=\n"
            "ExecStart=/bin/sh -c 'kill -STOP $$$$; exec /usr/bin/mqttd foreground'\n")
    started = time.monotonic()
    fresh.ok("systemctl start --no-block mqttd")
    fresh.until("systemctl show -p ControlGroup mqttd | grep -q mqttd && test $(systemctl show -p MainPID --value mqttd) != 0")
    pid = main_pid(fresh)
    began = time.monotonic()
    while not show(fresh, "StatusText").startswith("restoring: "):
        assert time.monotonic() - began < 60 and show(fresh, "ActiveState") == "activating", journal(fresh)
        fresh.ok(f"kill -CONT {pid}; sleep 0.01; kill -STOP {pid}; sleep 0.2")
    time.sleep(max(0, started + limit_secs + 1 - time.monotonic()))
    assert show(fresh, "ActiveState") == "activating", "it was not waited for"
    fresh.ok(f"kill -CONT {pid}; mqttd ping --wait 90")
    fresh.until("systemctl is-active mqttd")
    assert main_pid(fresh) == pid and show(fresh, "NRestarts") == "0"
    rows = mqttd_json(fresh, "sessions list")["result"]
    assert [row["queue_messages"] for row in rows if row["client_id"].startswith("receiver")] == [30_000] * 20


def k6_backup(fresh):
    """a backup of the broker at work, restored in a new installation, has all that was kept"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    everything = Everything(fresh)
    away(fresh, "receiver", 5, "busy/#")
    publisher = load.Publisher(fresh, "busy/one", 1, most=4000, per_sec=500)
    publisher.until(200)
    before = len(publisher.acknowledged)
    fresh.ok("mqttd backup /root/kept.backup")
    after = publisher.sent
    publisher.finish()
    done = fresh.run("mqttd restore /root/kept.backup")
    assert done.code == 1 and "mqttd stop" in done.err, done
    fresh.ok("dpkg --purge mqttd && dpkg -i /root/mqttd.deb && mqttd ping")
    assert mqttd_json(fresh, "sessions list")["result"] == []
    fresh.ok("mqttd stop && mqttd restore /root/kept.backup && mqttd start")
    found = fresh.ok("find /var/lib/mqttd ! -user mqttd")
    assert found == "", f"not of the service's user: {found}"
    numbers = [int(payload) for _, payload, _ in back(fresh, "receiver", 5, before)]
    assert numbers == list(range(len(numbers))), "not what was there at one moment"
    assert before <= len(numbers) <= after, (before, len(numbers), after)
    for client in ("receiver", "publisher of busy/one"):
        fresh.ok(f"mqttd sessions delete {quote(client)} --yes")
    everything.check(fresh)


def k6_export(fresh):
    """an export, taken into a new installation, has sessions, queues and retained messages"""
    fresh.ok("dpkg -i /root/mqttd.deb && mqttd ping")
    everything = Everything(fresh)
    fresh.ok("mqttd export /root/kept.jsonl")
    fresh.ok("dpkg --purge mqttd && dpkg -i /root/mqttd.deb && mqttd ping")
    fresh.ok("mqttd import /root/kept.jsonl")
    killed(fresh)
    everything.check(fresh)
