"""Figures as Markdown: medians, tables, what machine it was, and the file they are kept in."""

import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmark.brokers import ROOT

FILE = ROOT / "docs/durability-benchmarks.md"


def median(reports, *path):
    values = []
    for report in reports:
        value = report
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            values.append(value)
    return statistics.median(values) if values else None


def show(value, form):
    return "-" if value is None else format(value, form)


def figure(value):
    """A number with about three digits that mean something."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    if value == 0:
        return "0"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def table(head, rows):
    """A Markdown table; all columns but the first are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def file_system(folder):
    """Type of the file system, and what the disk says of itself."""
    find = ["findmnt", "-n", "-o", "FSTYPE", "-T", folder]
    kind = subprocess.run(find, capture_output=True, text=True)
    device = os.stat(folder).st_dev
    disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    queue = next((q for q in (disk / "queue", disk / "../queue") if q.is_dir()), None)
    said = kind.stdout.strip()
    if queue:
        cache = (queue / "write_cache").read_text().strip()
        said += f" on `{disk.resolve().name}` (write cache: {cache})"
    return said


def machine(folder, versions):
    """One paragraph: when, on what, with which versions, by which command."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)
    said, is_path = [], False
    for word in sys.argv[1:]:
        # Where files lie on this machine is nobody's business.
        is_path = word in ("--no-build", "--dir") or is_path and not word.startswith("--")
        if not is_path:
            said.append(shlex.quote(word))
    return (
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; {os.cpu_count()} processors"
        f" ({cpu[1].strip() if cpu else platform.machine()}),"
        f" {int(memory[1]) / 2**20:.0f} GiB; Linux {platform.release()}; {file_system(folder)};"
        f" load of the machine at the start {os.getloadavg()[0]:.1f}. {'; '.join(versions)}."
        f" Command: `scripts/bench {' '.join(said)}`.\n"
    )


def write(section, text):
    """Puts the text in the place of this section of the file."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    whole = FILE.read_text()
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if not pattern.search(whole):
        sys.exit(f"bench: {FILE} has no place for {section} ({begin})")
    FILE.write_text(pattern.sub(lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", whole))
    print(f"written into {FILE.relative_to(ROOT)}")
