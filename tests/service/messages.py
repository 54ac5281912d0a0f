"""Messages through the installed broker with Debian's mosquitto_pub and mosquitto_sub."""

import itertools
import time

import mqtt
from container import quote
from place import conf, logged, mqttd_json

VERSIONS = {"mqttv31": 3, "mqttv311": 4, "mqttv5": 5}
EACH = [(version, qos) for version in VERSIONS for qos in (0, 1, 2)]


_numbers = itertools.count(1)


def subscriber(machine, words, topic, count=1, name=None):
    """Starts mosquitto_sub and returns when the broker has its subscription: not that of another before it."""
    name = name or f"subscriber-{next(_numbers)}"
    process = machine.start(f"exec mosquitto_sub {words} -i {name} -t {quote(topic)} -C {count} -W 180")
    began = time.monotonic()
    while not is_subscribed(machine, name, topic):
        assert process.poll() is None and time.monotonic() - began < 90, process.communicate()
    return process


def is_subscribed(machine, name, topic):
    rows = mqttd_json(machine, "subscriptions list")["result"]
    return any((row["client_id"], row["filter"]) == (name, topic) for row in rows)


def told(process, expected):
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0 and out == expected, (process.returncode, out[:200], err)


def a2_each_version_and_qos(installed):
    """3.1, 3.1.1 and 5.0, QoS 0, 1 and 2: delivered"""
    for version, qos in EACH:
        topic = f"each/{version}/{qos}"
        process = subscriber(installed, f"-V {version} -q {qos}", topic)
        installed.ok(f"mosquitto_pub -V {version} -q {qos} -t {topic} -m hello-{qos}")
        told(process, f"hello-{qos}\n")


def a2_between_versions(installed):
    """a message goes from each version to each other, and keeps the lower QoS"""
    for sender in VERSIONS:
        for receiver in VERSIONS:
            process = subscriber(installed, f"-V {receiver} -q 1 -F '%q %p'", "between")
            installed.ok(f"mosquitto_pub -V {sender} -q 2 -t between -m hello")
            told(process, "1 hello\n")


def a2_retained(installed):
    """a retained message waits for subscribers; an empty one deletes it"""
    for version, qos in EACH:
        topic = f"kept/{version}/{qos}"
        installed.ok(f"mosquitto_pub -V {version} -q {qos} -r -t {topic} -m {version}-{qos}")
        # Nobody waits for an answer with QoS 0.
        installed.until(f"mqttd topics show {topic}")
        said = installed.ok(f"mosquitto_sub -V {version} -q {qos} -t {topic} -C 1 -W 90 -F '%r %p'")
        assert said == f"1 {version}-{qos}", said
        installed.ok(f"mosquitto_pub -V {version} -q {qos} -r -n -t {topic}")
        installed.until(f"! mqttd topics show {topic}")
    assert installed.run("mosquitto_sub -t 'kept/#' -C 1 -W 1").out == ""


def a2_will(installed):
    """a will is sent when a client's connection breaks, not when it leaves in order"""
    for version in VERSIONS:
        process = subscriber(installed, "-q 1", "will")
        # mosquitto_pub leaves in order after its message.
        installed.ok(f"mosquitto_pub -V {version} -i leaves -t x -m x --will-topic will --will-payload left")
        breaks = installed.start(f"exec mosquitto_sub -V {version} -i breaks -t x --will-topic will --will-payload broke "
                                 "--will-qos 1")
        installed.until("mqttd clients show breaks")
        installed.signal(breaks, "KILL")
        told(process, "broke\n")
        breaks.communicate()


def a2_offline_queue(installed):
    """a persistent session gets in order what came while its client was away"""
    for version, qos in [each for each in EACH if each[1] > 0]:
        name = f"away-{version}-{qos}"
        keep = f"-V {version} -q {qos} -c"
        if version == "mqttv5":
            keep += " -x 3600"
        process = subscriber(installed, keep, f"queue/{name}", name=name)
        installed.signal(process, "TERM")
        process.communicate()
        installed.ok(f"for i in 1 2 3 4 5; do mosquitto_pub -q {qos} -t queue/{name} -m $i; done")
        said = installed.ok(f"mosquitto_sub {keep} -i {name} -t queue/{name} -C 5 -W 90")
        assert said.split() == ["1", "2", "3", "4", "5"], said


def a2_large_payload(installed):
    """a payload of 1 MiB arrives whole"""
    installed.ok("head -c 1048576 /dev/urandom >/tmp/large")
    wanted = installed.ok("sha256sum </tmp/large")
    for version, qos in EACH:
        process = installed.start(f"mosquitto_sub -V {version} -q {qos} -t large -C 1 -W 180 -N | sha256sum")
        installed.until("mqttd --json subscriptions list | grep -q large")
        installed.ok(f"mosquitto_pub -V {version} -q {qos} -t large -f /tmp/large")
        told(process, wanted + "\n")
        installed.until("! mqttd --json subscriptions list | grep -q large")


def a2_unicode_topic(installed):
    """topics and payloads in any script arrive as they were"""
    for version, topic in ((version, topic) for version in VERSIONS for topic in ("家/溫度/🌡", "Zuhause/Küche", "дом/+")):
        process = subscriber(installed, f"-V {version} -v", topic)
        name = topic.replace("+", "кухня")
        installed.ok(f"mosquitto_pub -V {version} -t {quote(name)} -m {quote('二十度 ½')}")
        told(process, f"{name} 二十度 ½\n")


def a2_own_client(installed):
    """mqttd pub and mqttd sub understand each other and mosquitto's"""
    process = installed.start("exec mqttd sub -t own -q 1 -C 2 -W 180")
    installed.until("mqttd --json subscriptions list | grep -q own")
    installed.ok("mqttd pub -t own -q 1 -m one && mosquitto_pub -q 2 -t own -m two")
    told(process, "one\ntwo\n")
    installed.ok("mqttd pub -t own -r -m kept")
    assert installed.ok("mosquitto_sub -t own -C 1 -W 90") == "kept"
    installed.ok("mqttd topics delete own")


def two_networks(machine):
    """Addresses of a public-looking and of a private network, both of this container."""
    machine.ok("ip address replace 203.0.113.5/32 dev lo; ip address replace 10.9.8.7/32 dev lo; "
               "ip address replace 2001:db8::5/128 dev lo nodad; ip address replace fd00::7/128 dev lo nodad")


PUBLIC = [("203.0.113.5", "203.0.113.5"), ("2001:db8::5", "2001:db8::5")]
PRIVATE = [("10.9.8.7", "10.9.8.7"), ("127.0.0.1", "127.0.0.1"), ("fd00::7", "fd00::7"), ("::1", "::1")]
REFUSED = {3: 5, 4: 5, 5: 0x87}


def a5_public_addresses_are_refused(installed):
    """without credentials: refused from a public address with the right code, served from private ones"""
    two_networks(installed)
    for host, source in PUBLIC:
        for version, code in REFUSED.items():
            client = mqtt.Client(installed, f"public-{version}", version, host=host, source=source)
            first, body = client.read()
            assert first == 0x20 and body[1] == code, f"{source}, version {version}: {first} {body.hex()}"
            assert client.read() == (None, b""), "the connection stayed open"
            client.close()
        done = installed.run(f"mosquitto_pub -h {host} -A {source} -V mqttv311 -t a -m b")
        assert done.code == 5 and "not authorised" in done.err.lower(), done
    for host, source in PRIVATE:
        for version in REFUSED:
            mqtt.Client(installed, f"private-{version}", version, host=host, source=source).connected().close()
    log = logged(installed, "203.0.113.5", "-p warning")
    said = [line for line in log.splitlines() if "203.0.113.5" in line]
    assert said and "anonymous" in said[0], f"no word of why and how to allow it: {log}"


def a5_anonymous_decides(installed):
    """anonymous = "never" refuses private addresses too, "always" serves all; both by reload"""
    two_networks(installed)
    conf(installed, 'anonymous = "never"\n')
    installed.ok("mqttd reload")
    first, body = mqtt.Client(installed, "a", 4, host="10.9.8.7", source="10.9.8.7").read()
    assert first == 0x20 and body[1] == 5, body
    conf(installed, 'anonymous = "always"\n')
    installed.ok("mqttd reload")
    mqtt.Client(installed, "b", 5, host="203.0.113.5", source="203.0.113.5").connected().close()


def p18_private_only(installed):
    """out of the box a client without credentials is served from private networks only"""
    two_networks(installed)
    first, body = mqtt.Client(installed, "a", 5, host="203.0.113.5", source="203.0.113.5").read()
    assert first == 0x20 and body[1] == 0x87, body
    mqtt.Client(installed, "a", 5, host="10.9.8.7", source="10.9.8.7").connected().close()
    assert mqttd_json(installed, "status")["ok"]
