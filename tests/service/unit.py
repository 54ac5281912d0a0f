"""The service under systemd: rights, restarts, reload, stop, limits, journal."""

import json
import re
import threading
import time

import mqtt
from place import Skip, alone, conf, drop_in, in_time, lasting, logged, main_pid, mqttd_json, restarted, show


def p27_active_means_accepting(installed):
    """systemctl start returns when a connection is accepted, 50 times"""
    for _ in range(50):
        installed.ok("systemctl stop mqttd && systemctl start mqttd")
        assert mqtt.accepts(installed) and mqtt.accepts(installed, "::1")


def p29_rights(installed):
    """no capability, no new privileges, seccomp, no group but its own"""
    status = installed.ok(f"cat /proc/{main_pid(installed)}/status")
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^CapBnd:\s+0+$", status, re.M), status
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^Seccomp:\s+2$", status, re.M), status
    assert re.search(rf"^Groups:\s+{installed.ok('id -g mqttd')}\s*$", status, re.M), status


@alone
def p30_killed_comes_back(installed):
    """after kill -9 and after abort it is back within 3 s"""
    for signal in ("KILL", "ABRT"):
        def once():
            before, began = main_pid(installed), time.monotonic()
            installed.ok(f"kill -{signal} {before}")
            restarted(installed, before)
            installed.until("systemctl is-active mqttd")
            # systemd looked at the same clock.
            return int(show(installed, "ActiveEnterTimestampMonotonic")) / 1e6 - began

        in_time(3, once)


def p30_wrong_configuration_is_final(installed):
    """with a wrong configuration it ends with code 6 and is not tried again"""
    conf(installed, "[limits]\nconnections_max = \"many\"\n")
    installed.run("systemctl restart mqttd")
    assert installed.run("systemctl is-failed mqttd").out == "failed\n"
    assert show(installed, "ExecMainStatus") == "6" and show(installed, "NRestarts") == "0"
    logged(installed, r"conf\.d/test\.toml:2:[0-9]+")


def p30_term_is_a_clean_end(installed):
    """SIGTERM ends it in order: inactive, code 0"""
    installed.ok("systemctl stop mqttd")
    assert installed.run("systemctl is-active mqttd").out == "inactive\n"
    assert show(installed, "ExecMainStatus") == "0" and show(installed, "Result") == "success"


@lasting(45)
def p31_watchdog(installed):
    """a broker that hangs is restarted within two watchdog periods"""
    period = int(re.search(r"^WatchdogSec=(\d+)$", installed.ok("systemctl cat mqttd"), re.M).group(1))
    before = main_pid(installed)
    time.sleep(period * 1.2)
    assert main_pid(installed) == before, "the watchdog bit a healthy broker"
    began = time.monotonic()
    installed.ok(f"kill -STOP {before}")
    restarted(installed, before)
    installed.until("systemctl is-active mqttd")
    back = int(show(installed, "ActiveEnterTimestampMonotonic")) / 1e6 - began
    assert 0 < back < 2 * period, f"{back:.1f} s"
    logged(installed, "[Ww]atchdog")


@lasting(50)
def p32_address_that_comes_late(fresh):
    """an address that appears 40 s after the boot ends in an active broker"""
    fresh.ok("dpkg -i /root/mqttd.deb")
    conf(fresh, '[listener.tcp]\naddress = ["198.51.100.7:1883"]\n')
    fresh.reboot()
    time.sleep(40)
    assert fresh.run("mqttd ping").code == 3
    fresh.ok("ip address add 198.51.100.7/32 dev lo")
    fresh.until("mqttd ping")
    fresh.until("systemctl is-active mqttd")
    assert mqtt.accepts(fresh, "198.51.100.7")


def p33_reload(installed):
    """reload applies a good configuration without dropping a client; a bad one changes nothing"""
    client = mqtt.Client(installed, "stays").connected()
    before = main_pid(installed)
    conf(installed, "[limits]\nconnections_max = 1\n")
    installed.ok("systemctl reload mqttd")
    client.ping()
    refused = mqtt.Client(installed, "one-too-many")
    first, body = refused.read()
    assert first is None or body[1] != 0, "the new limit is not in force"
    conf(installed, "[limits]\nconnections_max = -3\n")
    done = installed.run("systemctl reload mqttd")
    assert done.code != 0, done
    logged(installed, r"conf\.d/test\.toml:2")
    client.ping()
    assert main_pid(installed) == before and installed.ok("systemctl is-active mqttd") == "active"
    assert installed.run("mqttd reload").code == 6


@alone
def p34_stop_with_a_thousand_clients(installed):
    """1 000 idle clients: stopped within 5 s, each 5.0 client told 0x8B"""
    mqtt.open_files(4096)

    def once():
        installed.ok("systemctl start mqttd")
        clients = [mqtt.Client(installed, f"idle-{number}").connected() for number in range(1000)]
        assert mqttd_json(installed, "status")["result"]["clients_connected"] == 1000
        done = installed.run("systemctl stop mqttd")
        assert done.code == 0, done
        for client in clients:
            first, body = client.read()
            assert first == 0xE0 and body[:1] == b"\x8b", f"no DISCONNECT 0x8B: {first} {body.hex()}"
            client.close()
        return done.secs

    in_time(5, once)


def p35_status_line(installed):
    """systemctl status shows how the broker is doing"""
    client = mqtt.Client(installed, "seen").connected()
    began = time.monotonic()
    while not re.search(r"\b1 client", show(installed, "StatusText")):
        assert time.monotonic() - began < 90, show(installed, "StatusText")
        time.sleep(0.2)
    client.close()


def p35_notify_reload(installed):
    """works with Type=notify-reload where systemd knows it"""
    if int(installed.ok("systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p'")) < 253:
        raise Skip("systemd here is older than 253")
    drop_in(installed, "[Service]\nType=notify-reload\nExecReload=\n")
    installed.ok("systemctl restart mqttd")
    before = main_pid(installed)
    installed.ok("systemctl reload mqttd")
    assert main_pid(installed) == before and installed.ok("mqttd ping") == "pong"


def p36_open_files(installed):
    """the unit asks for 1 048 576 files; status tells what is in force and what it allows"""
    assert show(installed, "LimitNOFILE") == "1048576"
    limits = installed.ok(f"cat /proc/{main_pid(installed)}/limits")
    soft, hard = re.search(r"^Max open files\s+(\d+)\s+(\d+)", limits, re.M).groups()
    assert soft == hard, limits
    said = mqttd_json(installed, "status")["result"]
    assert said["open_files_max"] == int(soft) and 0 < said["connections_max"] < int(soft), said
    drop_in(installed, "[Service]\nLimitNOFILE=2000\n")
    conf(installed, "[limits]\nconnections_max = 50000\n")
    installed.ok("systemctl restart mqttd")
    said = mqttd_json(installed, "status")["result"]
    assert said["open_files_max"] == 2000 and said["connections_max"] < 2000, said
    run = show(installed, "InvocationID")
    # What is said at the start is there when a later line is.
    mqtt.Client(installed, "after-the-start").connected().close()
    logged(installed, "after-the-start")
    warnings = installed.ok(f"journalctl _SYSTEMD_INVOCATION_ID={run} -p warning -o cat")
    assert len(re.findall(r"connections_max", warnings)) == 1, warnings


def p37_unit_bounds(installed):
    """OOM score, tasks and core dumps are set, memory is not"""
    assert show(installed, "OOMScoreAdjust") == "-500" and show(installed, "LimitCORE") == "0"
    assert int(show(installed, "TasksMax")) >= 2048 and show(installed, "MemoryMax") == "infinity"
    assert "MemoryMax" in installed.ok("zcat -f /usr/share/doc/mqttd/README.Debian*")


def probe(machine, stop, counts):
    """Connects as fast as it can until told to stop; counts what happens."""
    try:
        while not stop.is_set():
            counts[mqtt.accepts(machine)] += 1
    except OSError as error:
        counts[error] = 1


def p38_restart_refuses_nobody(installed):
    """connections during restarts wait instead of being refused; a changed address is honoured"""
    stop, counts = threading.Event(), {True: 0, False: 0}
    prober = threading.Thread(target=probe, args=(installed, stop, counts))
    prober.start()
    try:
        for _ in range(4):
            installed.ok("systemctl restart mqttd")
        # Those that waited too.
        wanted, began = counts[True] + 20, time.monotonic()
        while prober.is_alive() and counts[True] < wanted and time.monotonic() - began < 60:
            time.sleep(0.01)
    finally:
        stop.set()
        prober.join()
    assert counts[False] == 0 and counts[True] > 20 and len(counts) == 2, counts
    conf(installed, '[listener.tcp]\naddress = ["127.0.0.1:1993"]\n')
    installed.ok("systemctl restart mqttd")
    assert not mqtt.accepts(installed) and mqtt.accepts(installed, port=1993)
    installed.ok("systemctl stop mqttd")
    assert not mqtt.accepts(installed, port=1993)


def p39_journal(installed):
    """the journal has right priorities, the identifier mqttd, one line an event, fields"""
    installed.ok("systemctl restart mqttd")
    client = mqtt.Client(installed, "named\nin two lines").connected()
    client.socket.sendall(b"\xf0\x00")  # a packet that no client may send
    client.read()
    installed.ok("mqttd clients")
    mqtt.Client(installed, "the-last-one").connected().close()
    logged(installed, "the-last-one")
    lines = [json.loads(line) for line in installed.ok("journalctl -u mqttd -t mqttd -o json").splitlines()]
    own = [line for line in lines if line.get("SYSLOG_IDENTIFIER") == "mqttd"]
    assert own and all("\n" not in line["MESSAGE"] for line in own), own
    assert {line["PRIORITY"] for line in own} >= {"6"}, own
    fields = {name for line in own for name in line}
    assert any("CLIENT_ID" in name for name in fields), fields
    warnings = installed.ok("journalctl -u mqttd -t mqttd -p warning -o json").splitlines()
    assert all(int(json.loads(line)["PRIORITY"]) <= 4 for line in warnings)
