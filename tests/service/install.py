"""Install, upgrade, remove: what dpkg does to a machine."""

import re
import time

import mqtt
from place import alone, conf, in_time, lasting, main_pid, show

INSTALL = "dpkg -i /root/mqttd.deb"


def installed_now(machine):
    machine.ok(INSTALL)
    machine.ok("mqttd ping")


def put_newer(machine):
    deb, new = machine.package.newer()
    machine.tree.copy_in(deb, "/root/newer.deb")
    return new


def p3_dpkg_alone(fresh):
    """dpkg -i alone suffices, and says nothing of missing packages"""
    done = fresh.run(INSTALL)
    assert done.code == 0 and "depend" not in done.text, done
    assert fresh.ok("dpkg-query -W -f='${Status}' mqttd") == "install ok installed"


@alone
def p15_fresh_install(fresh):
    """dpkg -i, and mqttd ping says pong with nothing between; under 3 s"""
    def once():
        fresh.ok("if dpkg -s mqttd; then dpkg --purge mqttd; deluser --quiet mqttd; fi")
        done = fresh.run(INSTALL + " && mqttd ping")
        assert done.code == 0 and done.out.endswith("\npong\n"), done
        assert "cannot run" not in done.text, done
        return done.secs

    in_time(3, once)
    fresh.until("systemctl is-active mqttd")
    assert fresh.ok("systemctl is-enabled mqttd") == "enabled"


def p16_user(fresh):
    """a system user with its own group and no shell, made once"""
    installed_now(fresh)
    name, _, uid, gid, _, home, shell = fresh.ok("getent passwd mqttd").split(":")
    assert 100 <= int(uid) < 1000 and home == "/var/lib/mqttd" and shell.endswith("/nologin"), (uid, home, shell)
    assert fresh.ok("id -gn mqttd") == "mqttd" and fresh.ok("id -Gn mqttd") == "mqttd", name
    fresh.ok("dpkg --purge mqttd")
    installed_now(fresh)
    assert fresh.ok("id -u mqttd") == uid and fresh.ok("id -g mqttd") == gid


def p17_second_boot(fresh):
    """after a reboot it runs before the boot is done"""
    installed_now(fresh)
    fresh.reboot()
    fresh.booted()
    assert fresh.ok("mqttd ping") == "pong"
    active = int(show(fresh, "ActiveEnterTimestampMonotonic"))
    target = int(fresh.ok("systemctl show -p ActiveEnterTimestampMonotonic --value multi-user.target"))
    assert 0 < active <= target, (active, target)


def p18_listens(fresh):
    """listens for MQTT on all addresses, for nothing else"""
    installed_now(fresh)
    sockets = fresh.ok("ss -Hltn").splitlines()
    addresses = {line.split()[3] for line in sockets}
    assert addresses == {"0.0.0.0:1883", "[::]:1883"}, addresses


def p19_upgrade_restarts(fresh):
    """an upgrade restarts a running broker with the new version"""
    installed_now(fresh)
    before = main_pid(fresh)
    new = put_newer(fresh)
    done = fresh.run("dpkg -i /root/newer.deb && mqttd ping")
    assert done.code == 0, done
    assert main_pid(fresh) != before
    assert fresh.ok(f"tail -c {len(new)} /proc/{main_pid(fresh)}/exe") == new, "the old program still runs"
    assert fresh.ok("dpkg-query -W -f='${Version}' mqttd") == new
    assert fresh.ok("systemctl is-enabled mqttd") == "enabled"


def p19_upgrade_respects_the_administrator(fresh):
    """an upgrade leaves alone what is disabled, masked, or forbidden by policy"""
    installed_now(fresh)
    put_newer(fresh)
    fresh.ok("systemctl disable --now mqttd")
    fresh.ok("dpkg -i /root/newer.deb")
    assert fresh.run("systemctl is-enabled mqttd").out == "disabled\n"
    assert fresh.run("systemctl is-active mqttd").out == "inactive\n"
    fresh.ok("systemctl mask mqttd")
    fresh.ok("dpkg -i /root/newer.deb")
    assert fresh.run("systemctl is-enabled mqttd").out == "masked\n"
    assert fresh.run("systemctl is-active mqttd").out == "inactive\n"
    fresh.ok("systemctl unmask mqttd && systemctl enable --now mqttd && mqttd ping --wait 90")
    before = main_pid(fresh)
    fresh.tree.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    done = fresh.run("dpkg -i /root/newer.deb")
    assert done.code == 0 and main_pid(fresh) == before, done


def p20_upgrade_keeps_edits(fresh):
    """an upgrade asks nothing and keeps edits, owner and mode"""
    installed_now(fresh)
    put_newer(fresh)
    conf(fresh, "[limits]\nconnections_max = 77\n", "local.toml")
    fresh.ok("sed -i '1i anonymous = \"never\"' /etc/mqttd/mqttd.toml; chown root:adm /etc/mqttd/mqttd.toml; "
             "chmod 0644 /etc/mqttd/mqttd.toml; cp -p /etc/mqttd/mqttd.toml /root/edited.toml")
    done = fresh.run("dpkg -i /root/newer.deb")
    assert done.code == 0 and "onfiguration file" not in done.text, done
    fresh.ok("cmp /etc/mqttd/mqttd.toml /root/edited.toml")
    assert fresh.ok("stat -c '%U:%G %a' /etc/mqttd/mqttd.toml") == "root:adm 644"
    assert "connections_max = 77" in fresh.ok("mqttd check-config --dump")


def p20_overrides_of_modes_win(fresh):
    """dpkg-statoverride decides about the configuration's owner and mode"""
    fresh.ok("dpkg-statoverride --force-statoverride-add --add root adm 0600 /etc/mqttd/mqttd.toml")
    fresh.run(INSTALL)
    assert fresh.ok("stat -c '%U:%G %a' /etc/mqttd/mqttd.toml") == "root:adm 600"
    fresh.ok("dpkg --purge mqttd")
    assert fresh.run("dpkg-statoverride --list").out == ""


def p22_remove_keeps_purge_deletes(fresh):
    """remove keeps configuration and data, purge leaves nothing but the user"""
    installed_now(fresh)
    conf(fresh, "[limits]\nconnections_max = 77\n", "local.toml")
    fresh.ok("echo kept >/var/lib/mqttd/kept; chown mqttd: /var/lib/mqttd/kept")
    fresh.ok("dpkg -r mqttd")
    assert fresh.run("pgrep -x mqttd").code == 1
    assert fresh.ok("ls /etc/mqttd/mqttd.toml /etc/mqttd/conf.d/local.toml /var/lib/mqttd/kept").count("\n") == 2
    installed_now(fresh)
    assert "connections_max = 77" in fresh.ok("mqttd check-config --dump")
    fresh.ok("dpkg-statoverride --update --add root mqttd 0600 /etc/mqttd/mqttd.toml")
    fresh.ok("dpkg --purge mqttd; rm /root/*.deb")
    left = fresh.ok("find / -xdev -iname '*mqttd*' ! -path '/proc/*' ! -path '/sys/*'")
    assert left == "", left
    assert fresh.ok("find /run /var/log -iname '*mqttd*'") == ""
    assert fresh.ok("systemctl list-units --all --no-legend 'mqttd*'") == ""
    assert fresh.run("dpkg-statoverride --list").out == ""
    fresh.ok("getent passwd mqttd")


def p22_purge_forgets_a_failed_service(fresh):
    """a service that had failed is gone from systemd's list after purge"""
    installed_now(fresh)
    conf(fresh, "nonsense = 1\n", "local.toml")
    fresh.run("systemctl restart mqttd")
    assert fresh.run("systemctl is-failed mqttd").out == "failed\n"
    fresh.ok("dpkg --purge mqttd")
    assert fresh.ok("systemctl list-units --all --no-legend 'mqttd*'") == ""


def p23_scripts_take_every_argument(fresh):
    """maintainer scripts succeed twice and with every argument policy names"""
    installed_now(fresh)
    info = "DPKG_MAINTSCRIPT_PACKAGE=mqttd /var/lib/dpkg/info/mqttd"
    for words in ("postinst configure 1.0.0", "postinst configure 1.0.0", "postinst configure",
                  "postinst abort-upgrade 1.0.0", "postinst abort-remove", "postinst abort-deconfigure in-favour x 1",
                  "postinst triggered x", "prerm upgrade 1.0.1", "prerm failed-upgrade 1.0.0",
                  "prerm deconfigure in-favour x 1", "postrm upgrade 1.0.1", "postrm failed-upgrade 1.0.0",
                  "postrm abort-install", "postrm abort-upgrade 1.0.0", "postrm disappear x 1"):
        name, arguments = words.split(" ", 1)
        fresh.ok(f"{info}.{name} {arguments}")
    assert fresh.ok("mqttd ping --wait 90") == "pong"


@lasting(10)
def p24_port_in_use(fresh):
    """port 1883 in use: dpkg succeeds and names the holder in one line; freed, it runs within 30 s"""
    fresh.ok("systemctl start mosquitto")
    fresh.until("ss -Hltn 'sport = :1883' | grep -q .")
    holder = fresh.ok("pidof mosquitto")
    done = fresh.run(INSTALL)
    assert done.code == 0, done
    lines = [line for line in done.text.splitlines() if "in use" in line]
    assert len(lines) == 1 and "mosquitto" in lines[0] and holder in lines[0] and "1883" in lines[0], done
    fresh.ok("systemctl stop mosquitto")
    freed = time.monotonic()
    fresh.until("systemctl is-active mqttd && mqttd ping")
    runs = int(show(fresh, "ActiveEnterTimestampMonotonic")) / 1e6 - freed
    assert runs < 30, f"{runs:.1f} s"


def p24_wrong_configuration(fresh):
    """a configuration left from before with an error: dpkg succeeds and names file and line"""
    fresh.tree.write("/etc/mqttd/conf.d/old.toml", "anonymus = \"never\"\n")
    done = fresh.run(INSTALL)
    assert done.code == 0, done
    assert re.search(r"cannot run: .*/etc/mqttd/conf\.d/old\.toml:1:1.*anonymus", done.text), done
    assert fresh.ok("systemctl show -p NRestarts --value mqttd") == "0"


def p25_drop_ins_stay(fresh):
    """an administrator's drop-in survives upgrade, and nothing else is written there"""
    installed_now(fresh)
    put_newer(fresh)
    fresh.tree.write("/etc/systemd/system/mqttd.service.d/override.conf", "[Service]\nMemoryMax=1G\n")
    fresh.ok("systemctl daemon-reload; dpkg -i /root/newer.deb; mqttd ping")
    assert show(fresh, "MemoryMax") == str(1 << 30)
    found = fresh.ok("find /etc/systemd/system -iname '*mqttd*'").splitlines()
    assert sorted(found) == ["/etc/systemd/system/mqttd.service.d",
                             "/etc/systemd/system/multi-user.target.wants/mqttd.service"], found


def p26_without_systemd(minimal):
    """without systemd: dpkg -i succeeds, start, ping, stop work and drop root's rights"""
    done = minimal.run(INSTALL)
    assert done.code == 0 and "mqttd start" in done.text, done
    assert minimal.run("mqttd ping").code == 3
    began = time.monotonic()
    minimal.ok("mqttd start")
    assert minimal.ok("mqttd ping") == "pong", time.monotonic() - began
    assert mqtt.accepts(minimal)
    pid = minimal.ok("pgrep -x mqttd")
    status = minimal.ok(f"cat /proc/{pid}/status")
    uid = minimal.ok("id -u mqttd")
    assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M), status
    assert re.search(rf"^Groups:\s+{minimal.ok('id -g mqttd')}\s*$", status, re.M), status
    assert re.search(r"^CapEff:\s+0+$", status, re.M), status
    minimal.ok("mqttd stop")
    assert minimal.run("mqttd ping").code == 3 and not mqtt.accepts(minimal)
    assert minimal.ok("find /var/lib/mqttd /var/log/mqttd -user root") == ""
    minimal.ok("mqttd start && dpkg -r mqttd")
    assert not mqtt.accepts(minimal)
    minimal.ok("dpkg --purge mqttd")
    assert minimal.ok("find / -xdev -iname '*mqttd*' ! -path '/proc/*' ! -path '/root/*'") == ""
