"""What is in the package: looked at without installing it, or once installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from container import quote
from place import ROOT, Skip, conf

PROGRAM = "usr/bin/mqttd"


def call(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def needs(tool):
    if not shutil.which(tool):
        raise Skip(f"{tool} is not installed")


def p2_lintian(package):
    """lintian finds no error and no warning"""
    needs("lintian")
    done = subprocess.run(["lintian", "--allow-root", "-E", "-I", "--pedantic", "--fail-on", "error,warning",
                           str(package.deb)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shipped = package.files / "usr/share/lintian/overrides/mqttd"
    overrides = shipped.read_text().splitlines() if shipped.exists() else []
    lines = [line for line in overrides if line and not line.startswith("#")]
    reasons = [line for line in overrides if line.startswith("#")]
    assert len(lines) <= 3 and len(reasons) >= len(lines), overrides


def p3_depends(package):
    """depends on adduser and a libc6 that is old enough, on nothing else"""
    depends = [word.strip() for word in package.field("Depends").split(",")]
    assert len(depends) == 2 and depends[0] == "adduser", depends
    declared = re.fullmatch(r"libc6 \(>= (\d+\.\d+)\)", depends[1]).group(1)
    assert version(declared) <= (2, 34), declared
    needs("readelf")
    needed = re.findall(r"GLIBC_(\d+\.\d+)", call("readelf", "-V", package.files / PROGRAM))
    newest = max(needed, key=version)
    assert version(newest) <= version(declared), f"the program needs glibc {newest}, the package says {declared}"


def version(text):
    return tuple(int(part) for part in text.split("."))


def p4_hardened_program(package):
    """stripped, PIE, full RELRO, no executable stack, no path of the building machine"""
    needs("readelf")
    program = package.files / PROGRAM
    head = call("readelf", "-hldSW", program)
    assert re.search(r"Type:\s+DYN", head) and "INTERP" in head, "not a position independent executable"
    assert "GNU_RELRO" in head and ("BIND_NOW" in head or re.search(r"FLAGS_1.*NOW", head)), "no full RELRO"
    assert re.search(r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s", head), "executable stack"
    assert ".symtab" not in head and ".debug_info" not in head, "not stripped"
    data = program.read_bytes()
    for folder in {"/root/", "/home/", str(ROOT) + "/", str(Path.home()) + "/", os.environ.get("CARGO_TARGET_DIR")}:
        found = folder and re.search(re.escape(folder.encode()) + rb"[\w./-]*", data)
        assert not found, found.group().decode()


def p6_debug_symbols(package):
    """the dbgsym package resolves addresses of the program to lines"""
    needs("addr2line")
    assert package.dbgsym, "no mqttd-dbgsym package beside the package"
    folder = package.folder / "dbgsym"
    call("dpkg-deb", "-x", package.dbgsym, folder)
    debug = next(folder.rglob("*.debug"))
    build_id = re.search(r"Build ID: (\w+)", call("readelf", "-n", package.files / PROGRAM)).group(1)
    assert build_id == re.search(r"Build ID: (\w+)", call("readelf", "-n", debug)).group(1)
    symbols = call("readelf", "-sW", debug)
    address = re.search(r"\d+: (\w{16})\s+\d+ FUNC .*mqttd\w*(3run|4main)", symbols)
    assert address, "no function of mqttd among the symbols"
    line = call("addr2line", "-e", debug, address.group(1))
    assert re.search(r"\.rs:\d+", line), line


def p7_size(package):
    """at most 5 MB to download; the README says how much is installed"""
    assert package.deb.stat().st_size <= 5_000_000, package.deb.stat().st_size
    said = re.search(r"installed (?:size|it takes)[^0-9]{0,20}([\d.]+) MB", (ROOT / "README.md").read_text())
    assert said, "README.md does not say `installed size: N MB`"
    true = int(package.field("Installed-Size")) * 1024 / 1e6
    assert abs(float(said.group(1)) - true) <= true / 10, f"README.md says {said.group(1)} MB, it is {true:.1f} MB"


def p8_manual_pages(installed):
    """a page for mqttd, each verb and mqttd.toml with every key; man is silent"""
    pages = installed.ok("dpkg -L mqttd | grep /man/").split()
    pages = [page for page in pages if page.endswith(".gz")]
    names = {page.rsplit("/", 1)[1].removesuffix(".gz") for page in pages}
    verbs = set(re.findall(r"^  ([a-z][a-z-]+)", installed.ok("mqttd --help | sed -n '/^Commands:/,/^$/p'"), re.M))
    assert len(verbs) >= 15, verbs
    missing = [verb for verb in sorted(verbs - {"help"}) if f"mqttd-{verb}.8" not in names]
    assert not missing and {"mqttd.8", "mqttd.toml.5"} <= names, missing
    for page in pages:
        said = installed.run(f"MANROFFSEQ= man --warnings -E UTF-8 -l -Tutf8 -Z {page} >/dev/null")
        assert said.code == 0 and said.err == "", said
    text = installed.ok("man -l -P cat /usr/share/man/man5/mqttd.toml.5.gz | col -b", env={"MANWIDTH": "500"})
    keys = re.findall(r"^(\w+) = ", installed.ok("mqttd check-config --dump"), re.M)
    assert len(keys) > 20 and "anonymous" in keys, keys
    missing = [key for key in keys if not re.search(rf"^\s*{key} = ", text, re.M)]
    assert not missing, missing


def p9_completions(installed):
    """bash, zsh and fish complete verbs and options"""
    said = installed.ok("bash -c '. /usr/share/bash-completion/completions/mqttd; complete -p mqttd'")
    assert "mqttd" in said
    installed.ok("zsh -n /usr/share/zsh/vendor-completions/_mqttd")
    installed.ok("fish --no-execute /usr/share/fish/vendor_completions.d/mqttd.fish")
    said = installed.ok("""fish -c 'complete -C "mqttd st"'""")
    assert {"start", "stop", "status", "stats"} <= {line.split()[0] for line in said.splitlines()}, said
    said = installed.ok("""bash -c '. /usr/share/bash-completion/completions/mqttd
        COMP_WORDS=(mqttd st); COMP_CWORD=1; _mqttd mqttd st mqttd; echo ${COMPREPLY[@]}'""")
    assert {"start", "stop", "status", "stats"} <= set(said.split()), said


def p10_documents(package):
    """copyright with every library, changelog, README.Debian"""
    folder = package.files / "usr/share/doc/mqttd"
    text = (folder / "copyright").read_text()
    assert text.startswith("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")
    for library in ("tokio", "clap", "serde", "mio", "rusqlite", "crc32c"):
        assert re.search(rf"^Files: vendor/{library}-[\d.]+/\*$", text, re.M), library
    assert re.search(r"^Files: vendor/libsqlite3-sys-[\d.]+/sqlite3/\*$", text, re.M), "SQLite itself"
    named = set(re.findall(r"^License: (.+)$", text, re.M))
    single = {each for name in named for each in name.split(" and ")}
    for licence in single:
        assert re.search(rf"^License: {re.escape(licence)}\n ", text, re.M), f"no text for {licence}"
    assert (folder / "README.Debian").exists() or (folder / "README.Debian.gz").exists()
    needs("dpkg-parsechangelog")
    said = call("dpkg-parsechangelog", "-l", ROOT / "debian/changelog")
    assert f"Version: {package.field('Version')}\n" in said, said
    assert list(folder.glob("changelog*.gz"))


def p11_configuration(installed):
    """conffiles; the shipped file is readable by the broker only and equals an empty one"""
    conffiles = installed.ok("dpkg-query -W -f='${Conffiles}' mqttd")
    assert " /etc/mqttd/mqttd.toml " in conffiles and " /etc/mqttd/conf.d/" in conffiles, conffiles
    assert installed.ok("stat -c '%U:%G %a' /etc/mqttd/mqttd.toml") == "root:mqttd 640"
    assert installed.ok("stat -c '%U:%G %a' /etc/mqttd/conf.d") == "root:mqttd 750"
    installed.ok("mqttd check-config")
    shipped = installed.ok("mqttd check-config --dump")
    installed.ok("touch /root/empty.toml")
    assert installed.ok("mqttd --config /root/empty.toml check-config --dump") == shipped
    assert "# default" in shipped and "mqttd.toml:" not in shipped
    conf(installed, "[limits]\nconnections_max = 7\n")
    assert re.search(r"connections_max = 7 .*conf\.d/test\.toml:2", installed.ok("mqttd check-config --dump"))


def p27_unit_is_valid(installed):
    """systemd-analyze verify is silent; Type=notify"""
    said = installed.run("systemd-analyze verify --man=yes /lib/systemd/system/mqttd.service")
    assert said.code == 0 and said.text == "", said
    assert installed.ok("systemctl show -p Type --value mqttd") == "notify"


def p28_security_score(installed):
    """systemd-analyze security gives 1.2 or less"""
    table = installed.ok("systemd-analyze security --no-pager mqttd")
    score = float(re.search(r"exposure level for mqttd.service: ([\d.]+)", table).group(1))
    assert score <= 1.2, table


def p23_scripts_are_posix(package):
    """maintainer scripts pass sh -n and shellcheck"""
    needs("shellcheck")
    for script in ("postinst", "prerm", "postrm"):
        path = package.files / "DEBIAN" / script
        assert path.read_text().startswith("#!/bin/sh\n")
        call("sh", "-n", path)
        # What debhelper writes is its business; ours is checked as it stands in the sources.
        call("shellcheck", "-s", "sh", ROOT / "debian" / script)


def p25_nothing_under_etc_systemd(package):
    """no file of the package lies under /etc/systemd"""
    listed = call("dpkg-deb", "-c", package.deb)
    assert "./etc/systemd" not in listed, listed


def p40_no_logrotate_file(package):
    """no logrotate file: the broker turns its own log files over"""
    assert not (package.files / "etc/logrotate.d").exists()
    assert "files_max" in (package.files / "etc/mqttd/mqttd.toml").read_text(), quote(package.deb)


def p65_checklist_is_complete(package):
    """docs/packaging-checklist.md has a row for each line and names each test"""
    text = (ROOT / "docs/packaging-checklist.md").read_text()
    rows = re.findall(r"^\| P(\d+) \| [MSW] \|", text, re.M)
    assert rows == [str(number) for number in range(1, 66)], f"{package.deb}: rows are {rows}"
    written = set(re.findall(r"`([a-z]\d+_\w+)`", text))
    found = {name for path in (ROOT / "tests/service").glob("*.py")
             for name in re.findall(r"^def ([a-z]\d+_\w+)\(", path.read_text(), re.M)}
    assert written == found, f"not in the list: {found - written}; no such test: {written - found}"
