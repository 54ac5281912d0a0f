"""Where the client programs come from: Debian, PyPI, npm and crates.io, at pinned versions.

Called by the runner. What is fetched lives in the cache, in a folder named after the content of the
lock file it was made from, and is made once. A client that cannot be had is skipped with the reason.
What this does not do: touch anything outside the cache, except for Debian packages where it is root.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "service"))

from container import cache_dir  # noqa: E402

INSTALL_SECS = 600


class Missing(Exception):
    """This client cannot be had here; the text says why."""


def mosquitto():
    """Paths of mosquitto_pub and mosquitto_sub."""
    return tool("mosquitto_pub", "mosquitto-clients"), tool("mosquitto_sub", "mosquitto-clients")


def paho():
    """The command that runs the paho driver."""
    def make(folder):
        words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                 "--require-hashes", "--target", folder, "-r", HERE / "paho/requirements.txt"]
        if run([sys.executable, "-m", "pip", "--version"]).returncode != 0:
            tool("pip3", "python3-pip")
        wanted(run(words, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}), "pip")

    folder = cached("paho", [HERE / "paho/requirements.txt"], make)
    return [sys.executable, HERE / "paho/driver.py"], {"PYTHONPATH": str(folder)}


def mqttjs():
    """The command that runs the MQTT.js driver."""
    def make(folder):
        npm = tool("npm", "npm")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "mqttjs" / name, folder)
        words = [npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        wanted(run(words, cwd=folder), "npm")

    node = tool("node", "nodejs")
    folder = cached("mqttjs", [HERE / "mqttjs/package.json", HERE / "mqttjs/package-lock.json"], make)
    return [node, HERE / "mqttjs/driver.js"], {"NODE_PATH": str(folder / "node_modules")}


def rumqttc():
    """The command that is the rumqttc driver."""
    if not shutil.which("cargo"):
        raise Missing("no cargo")
    # The sources change, the dependencies seldom: one target folder for each lock file.
    folder = cached("rumqttc", [HERE / "rumqttc/Cargo.lock"], lambda folder: None)
    words = ["cargo", "build", "--quiet", "--locked", "--manifest-path", HERE / "rumqttc/Cargo.toml",
             "--target-dir", folder / "target"]
    wanted(run(words), "cargo")
    return [folder / "target/debug/mqttd-test-client"], {}


def cached(name, locks, make):
    """A folder in the cache that `make` filled, one for each content of the lock files."""
    content = b"".join(lock.read_bytes() for lock in locks)
    folder = cache_dir() / f"client-{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            make(fresh)
            fresh.rename(folder)
        except OSError:
            if not folder.exists():  # another run was faster
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def tool(name, package):
    """The path of a program; root installs its Debian package when it is not there."""
    if not shutil.which(name) and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-q"], env=env)
        run(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], env=env)
    path = shutil.which(name)
    if not path:
        raise Missing(f"no {name} (Debian package {package})")
    return path


def run(words, **more):
    try:
        return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=INSTALL_SECS, **more)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{words[0]} did not end within {INSTALL_SECS} s") from error


def wanted(done, what):
    if done.returncode != 0:
        raise Missing(f"{what} failed: {(done.stderr or done.stdout).strip()[-500:]}")
