"""Real clients as the checks see them: a party is one MQTT connection of one of them.

Called by the checks. A library (paho, MQTT.js, rumqttc) sits in a driver, one process for all its
connections, and is told what to do by one JSON object a line:

    {"id": 1, "name": "a", "do": "connect", "version": "5", "client_id": …, "clean": …, "will": …, "properties": …}
    {"id": 2, "name": "a", "do": "subscribe", "filters": [{"filter": …, "qos": …, …}], "properties": …}
    {"id": 3, "name": "a", "do": "publish" | "unsubscribe" | "disconnect" | "abort", …}

It answers {"id": 2, "ok": {…}} or {"id": 2, "error": …, "reason": …}, and tells {"name": "a", "message": {…}} and
{"name": "a", "ended": {"reason": …, "reason_string": …}} unasked. Payloads and correlation data are base64.
A command (mosquitto_pub and mosquitto_sub, mqttd pub and mqttd sub) is a process for each subscription and for each
publishing. What this does not do: judge what comes.
"""

import base64
import itertools
import json
import os
import queue
import signal
import subprocess
import threading
from dataclasses import dataclass, field

ANSWER_SECS = 90
_numbers = itertools.count(1)


class Refused(Exception):
    """The broker said no; `reason` is its code, where the client tells it."""

    def __init__(self, text, reason=None):
        super().__init__(text)
        self.reason = reason


@dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool = None
    properties: dict = field(default_factory=dict)


class Party:
    """What a library and a command have in common."""

    def __init__(self, broker, client_id):
        self.broker, self.client_id = broker, client_id
        self.inbox = queue.Queue()
        self.ends = queue.Queue()
        self.session_present = None
        self.granted = {}

    def take(self, count, secs=ANSWER_SECS):
        """The next messages, in order of arrival."""
        messages = []
        for number in range(count):
            try:
                messages.append(self.inbox.get(timeout=secs))
            except queue.Empty:
                raise AssertionError(f"{self.client_id}: {number} of {count} messages came: {messages}") from None
        return messages

    def ended(self):
        """Why the connection is over, once it is."""
        try:
            return self.ends.get(timeout=ANSWER_SECS)
        except queue.Empty:
            raise AssertionError(f"{self.client_id} is still connected") from None


# ---- libraries


class Driver:
    """A process that drives a library."""

    def __init__(self, words, env):
        self.process = subprocess.Popen(
            [str(word) for word in words], env={**os.environ, **env}, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        self.lock, self.answers, self.parties = threading.Lock(), {}, {}
        threading.Thread(target=self.listen, daemon=True).start()

    def begin(self, name, do, **given):
        """Asks for something; finish() gives the answer."""
        number, answer = next(_numbers), queue.Queue()
        self.answers[number] = (name, do, answer)
        line = json.dumps({"id": number, "name": name, "do": do, **given}) + "\n"
        with self.lock:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        return do, answer

    def finish(self, begun):
        do, answer = begun
        try:
            said = answer.get(timeout=ANSWER_SECS)
        except queue.Empty:
            raise AssertionError(f"no answer to {do}") from None
        if "error" in said:
            raise Refused(f"{do}: {said['error']}", said.get("reason"))
        return said["ok"]

    def listen(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "message" in said:
                it = said["message"]
                self.parties[said["name"]].inbox.put(Message(
                    it["topic"], base64.b64decode(it["payload"]), it["qos"], it["retain"], it["dup"], plain(it["properties"])
                ))
            elif "ended" in said:
                self.parties[said["name"]].ends.put(said["ended"])
                self.fail(said["name"], "the connection ended")
            elif said["id"] in self.answers:
                self.answers.pop(said["id"])[-1].put(said)
        for name in set(self.parties):
            self.fail(name, "the driver died")

    def fail(self, ended, why):
        for number, (name, do, answer) in list(self.answers.items()):
            if name == ended and do not in ("disconnect", "abort") and self.answers.pop(number, None):
                answer.put({"error": why})

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Library(Party):
    """A connection of a library."""

    def __init__(self, driver, broker, version, client_id, clean=True, keep_alive=60, will=None, callback_api=2, **properties):
        super().__init__(broker, client_id)
        self.name, self.driver = f"{client_id}/{next(_numbers)}", driver
        driver.parties[self.name] = self
        if will:
            will = {**will, "payload": base64.b64encode(will["payload"]).decode(), "properties": wire(will.get("properties", {}))}
        answer = driver.finish(driver.begin(
            self.name, "connect", version=version, host=broker.host, port=broker.port, client_id=client_id, clean=clean,
            keep_alive=keep_alive, will=will, callback_api=callback_api, properties=wire(properties),
        ))
        self.session_present = answer["session_present"]
        self.granted = answer.get("properties") or {}

    def do(self, do, **given):
        return self.driver.finish(self.driver.begin(self.name, do, **given))

    def subscribe(self, *filters, qos=0, no_local=False, retain_as_published=False, retain_handling=0, **properties):
        """Subscribes; the Reason Codes."""
        filters = [{"filter": each, "qos": qos, "no_local": no_local, "retain_as_published": retain_as_published,
                    "retain_handling": retain_handling} for each in filters]
        return self.do("subscribe", filters=filters, properties=wire(properties))["reasons"]

    def unsubscribe(self, name):
        return self.do("unsubscribe", filters=[name])["reasons"]

    def publish(self, topic, payload=b"", qos=0, retain=False, **properties):
        """Publishes and waits for the acknowledgement; its Reason Code."""
        return self.publish_all(topic, [payload], qos, retain, **properties)

    def publish_all(self, topic, payloads, qos=0, retain=False, **properties):
        """Publishes without waiting in between; the last Reason Code."""
        begun = [self.driver.begin(
            self.name, "publish", topic=topic, payload=base64.b64encode(payload).decode(), qos=qos, retain=retain,
            properties=wire(properties),
        ) for payload in payloads]
        return [self.driver.finish(each)["reason"] for each in begun][-1]

    def disconnect(self, reason=0, **properties):
        """Leaves in order."""
        self.do("disconnect", reason=reason, properties=wire(properties))
        self.broker.until_away(self.client_id)

    def abort(self):
        """Breaks the connection."""
        self.do("abort")


def wire(properties):
    data = properties.get("correlation_data")
    return {**properties, "correlation_data": base64.b64encode(data).decode()} if data is not None else properties


def plain(properties):
    data = properties.get("correlation_data")
    return {**properties, "correlation_data": base64.b64decode(data)} if data is not None else properties


# ---- commands


class Command(Party):
    """What one user does with commands: each subscription and each publishing is a process."""

    def __init__(self, dialect, broker, version, client_id, clean=True, keep_alive=60, will=None, **properties):
        super().__init__(broker, client_id)
        self.dialect, self.version, self.processes = dialect, version, []
        self.common = ["-h", broker.host, "-p", str(broker.port), "-V", dialect.VERSIONS[version], "-k", str(keep_alive)]
        self.session = ["-i", client_id, *([] if clean else ["-c"])] + dialect.connecting(properties, will)

    def subscribe(self, *filters, qos=0, no_local=False, retain_as_published=False, retain_handling=0, **properties):
        """Subscribes and returns when the broker has it."""
        options = [*self.dialect.option("no-local", no_local), *self.dialect.option("retain-as-published", retain_as_published)]
        options += self.dialect.retaining(retain_handling)
        words = self.dialect.SUB + self.common + self.session + options + self.dialect.subscribing(properties)
        words += ["-q", str(qos), *(word for each in filters for word in ("-t", each))]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.env())
        self.processes.append(process)
        threading.Thread(target=self.listen, args=(process,), daemon=True).start()
        self.broker.until_subscribed(self.client_id, len(filters))
        return None

    def listen(self, process):
        said = b""
        for line in process.stdout:
            if message := self.dialect.message(line):
                self.inbox.put(message)
            else:
                said += line
        said = (said + process.stderr.read()).decode(errors="replace")
        code = process.wait()
        process.stdout.close()
        process.stderr.close()
        self.ends.put({"reason": None, "reason_string": said, "code": code})

    def publish(self, topic, payload=b"", qos=0, retain=False, **properties):
        words = self.dialect.PUB + self.common + ["-t", topic, "-q", str(qos), *(["-r"] if retain else [])]
        self.publish_with(words + ["-s" if payload else "-n"] + self.dialect.publishing(properties), payload)

    def publish_all(self, topic, payloads, qos=0, retain=False, **properties):
        """Publishes all from one process, a line each."""
        words = self.dialect.PUB + self.common + ["-t", topic, "-q", str(qos), "-l", *(["-r"] if retain else [])]
        self.publish_with(words + self.dialect.publishing(properties), b"".join(each + b"\n" for each in payloads))

    def publish_with(self, words, given):
        done = subprocess.run(words, input=given, capture_output=True, timeout=ANSWER_SECS, env=self.env())
        if done.returncode != 0 or done.stderr:
            raise Refused(f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}")

    def disconnect(self, reason=0):
        """Leaves by Ctrl-C, with the reason that the command has for it."""
        assert reason in (0, self.dialect.reason_of_interrupt(self.version))
        self.finish(signal.SIGINT)
        self.broker.until_away(self.client_id)

    def abort(self):
        self.finish(signal.SIGKILL)

    def finish(self, number):
        """Ends what runs with a signal."""
        for process in self.processes:
            process.send_signal(number)
            process.wait(timeout=ANSWER_SECS)
        self.processes = []

    def env(self):
        return self.broker.env


def expiry(properties):
    """Both commands have an option of its own for it."""
    secs = properties.pop("session_expiry_interval", None)
    return [] if secs is None else ["-x", str(secs)]


class Mosquitto:
    """mosquitto_pub and mosquitto_sub of mosquitto-clients."""

    VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5": "mqttv5"}
    FIELDS = ["%t", "%q", "%r", "%x", "%F", "%E", "%C", "%R", "%D", "%P", "%S"]

    def __init__(self, pub, sub):
        self.PUB = [pub]
        self.SUB = ["stdbuf", "-oL", sub, "-F", "\x1e" + "\x1f".join(self.FIELDS)]

    def reason_of_interrupt(self, version):
        return 4 if version == "5" else 0  # with Will Message

    def connecting(self, properties, will):
        words = []
        if will:
            words += ["--will-topic", will["topic"], "--will-payload", will["payload"].decode(), "--will-qos", str(will["qos"])]
            words += ["--will-retain"] * will["retain"] + self.given("will", will.get("properties", {}))
        return words + expiry(properties) + self.given("connect", properties)

    def publishing(self, properties):
        return self.given("publish", properties)

    def subscribing(self, properties):
        return self.given("subscribe", properties)

    def option(self, name, wanted):
        assert not wanted, f"mosquitto_sub has no {name}"
        return []

    def retaining(self, handling):
        return self.option("retain-handling", handling)

    def given(self, place, properties):
        words = []
        for name, value in properties.items():
            if name == "user_properties":
                for key, text in value:
                    words += ["-D", place, "user-property", key, text]
            else:
                text = value.decode() if isinstance(value, bytes) else str(value)
                words += ["-D", place, name.replace("_", "-"), text]
        return words

    def message(self, line):
        if not line.startswith(b"\x1e"):
            return None
        topic, qos, retain, payload, *rest = line[1:-1].decode().split("\x1f")
        names = ["payload_format_indicator", "message_expiry_interval", "content_type", "response_topic", "correlation_data",
                 "user_properties", "subscription_identifiers"]
        properties = {name: text for name, text in zip(names, rest) if text}
        for name in names[:2]:
            if name in properties:
                properties[name] = int(properties[name])
        if "correlation_data" in properties:
            properties["correlation_data"] = properties["correlation_data"].encode()
        if "user_properties" in properties:
            properties["user_properties"] = [pair.split(":", 1) for pair in properties["user_properties"].split(" ")]
        if "subscription_identifiers" in properties:
            properties["subscription_identifiers"] = [int(each) for each in properties["subscription_identifiers"].split()]
        return Message(topic, bytes.fromhex(payload), int(qos), retain == "1", None, properties)


class Mqttd:
    """mqttd pub and mqttd sub."""

    VERSIONS = {"3.1": "3.1", "3.1.1": "3.1.1", "5": "5"}

    def __init__(self, binary):
        self.PUB = [str(binary), "pub"]
        self.SUB = [str(binary), "sub", "--json"]

    def reason_of_interrupt(self, version):
        return 0

    def connecting(self, properties, will):
        words = []
        if will:
            words += ["--will-topic", will["topic"], "--will-payload", will["payload"].decode(), "--will-qos", str(will["qos"])]
            words += ["--will-retain"] * will["retain"] + self.given("--will-property", will.get("properties", {}))
        return words + expiry(properties) + self.given("--connect-property", properties)

    def publishing(self, properties):
        return self.given("--property", properties)

    def subscribing(self, properties):
        words = []
        if (identifier := properties.pop("subscription_identifier", None)) is not None:
            words += ["--subscription-id", str(identifier)]
        assert not properties
        return words

    def option(self, name, wanted):
        return [f"--{name}"] if wanted else []

    def retaining(self, handling):
        return ["--retain-handling", ["always", "new", "never"][handling]] if handling else []

    def given(self, option, properties):
        words = []
        for name, value in properties.items():
            if name == "user_properties":
                words += [f"{option}={key}={text}" for key, text in value]
            else:
                text = value.decode() if isinstance(value, bytes) else str(value)
                words.append(f"{option}={name.replace('_', '-')}={text}")
        return words

    def message(self, line):
        said = json.loads(line)
        if not said["ok"] or "topic" not in said.get("result", {}):
            return None
        it = said["result"]
        payload = it["payload"].encode() if "payload" in it else base64.b64decode(it["payload_base64"])
        properties = dict(it.get("properties", {}))
        if "correlation_data" in properties:
            properties["correlation_data"] = properties["correlation_data"].encode()
        properties.pop("topic_alias", None)  # of this connection only
        return Message(it["topic"], payload, it["qos"], it["retain"], it["dup"], properties)
