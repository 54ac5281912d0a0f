"""paho-mqtt behind the line protocol of tests/clients (see parties.py).

Called by the runner as a process; one JSON object a line, both ways. It adds nothing to what the library
does: no reconnecting, no repeating.
"""

import base64
import json
import socket
import sys
import threading
import warnings

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

warnings.simplefilter("ignore", DeprecationWarning)  # the old callbacks are tested too

VERSIONS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}
NAMES = {
    "payload_format_indicator": "PayloadFormatIndicator", "message_expiry_interval": "MessageExpiryInterval",
    "content_type": "ContentType", "response_topic": "ResponseTopic", "correlation_data": "CorrelationData",
    "topic_alias": "TopicAlias", "session_expiry_interval": "SessionExpiryInterval",
    "receive_maximum": "ReceiveMaximum", "maximum_packet_size": "MaximumPacketSize",
    "topic_alias_maximum": "TopicAliasMaximum", "will_delay_interval": "WillDelayInterval",
    "request_problem_information": "RequestProblemInformation", "reason_string": "ReasonString",
    "assigned_client_identifier": "AssignedClientIdentifier", "server_keep_alive": "ServerKeepAlive",
}
_say = threading.Lock()


def say(**line):
    with _say:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def sent(kind, given):
    """Properties as the library wants them."""
    if not given:
        return None
    properties = Properties(kind)
    for name, value in given.items():
        if name == "user_properties":
            properties.UserProperty = [tuple(pair) for pair in value]
        elif name == "subscription_identifier":
            properties.SubscriptionIdentifier = value
        else:
            data = base64.b64decode(value) if name == "correlation_data" else value
            setattr(properties, NAMES[name], data)
    return properties


def came(properties):
    """Properties as the line protocol has them."""
    shown = {}
    for name, theirs in NAMES.items():
        value = getattr(properties, theirs, None)
        if value is not None:
            shown[name] = base64.b64encode(value).decode() if name == "correlation_data" else value
    if pairs := getattr(properties, "UserProperty", None):
        shown["user_properties"] = [list(pair) for pair in pairs]
    if identifiers := getattr(properties, "SubscriptionIdentifier", None):
        shown["subscription_identifiers"] = identifiers
    return shown


def code(reason):
    return getattr(reason, "value", reason)


class Connection:
    def __init__(self, name, given, ask):
        self.name, self.connecting = name, ask
        self.waiting, self.early, self.lock = {}, {}, threading.Lock()
        self.is_v5 = given["version"] == "5"
        self.is_old = given.get("callback_api") == 1
        more = {} if self.is_v5 else {"clean_session": given["clean"]}
        api = mqtt.CallbackAPIVersion.VERSION1 if self.is_old else mqtt.CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(api, client_id=given["client_id"], protocol=VERSIONS[given["version"]],
                                  reconnect_on_failure=False, **more)
        for event in ("connect", "disconnect", "message", "publish", "subscribe", "unsubscribe"):
            setattr(self.client, f"on_{event}", getattr(self, f"on_{event}"))
        self.client.max_inflight_messages_set(65535)
        if will := given.get("will"):
            properties = sent(PacketTypes.WILLMESSAGE, will.get("properties")) if self.is_v5 else None
            self.client.will_set(will["topic"], base64.b64decode(will["payload"]), will["qos"], will["retain"], properties)
        if self.is_v5:
            more = {"clean_start": given["clean"], "properties": sent(PacketTypes.CONNECT, given.get("properties"))}
        else:
            more = {}
        self.client.connect(given["host"], given["port"], keepalive=given["keep_alive"], **more)
        self.client.loop_start()

    # Arguments differ between the two callback interfaces and the versions of the protocol.

    def on_connect(self, client, userdata, flags, reason, properties=None):
        present = flags["session present"] if isinstance(flags, dict) else flags.session_present
        answer = {"session_present": bool(present), "properties": came(properties)}
        if code(reason) == 0:
            say(id=self.connecting, ok=answer)
        else:
            say(id=self.connecting, error=str(reason), reason=code(reason))

    def on_disconnect(self, client, userdata, *rest):
        reason, properties = (rest[0], rest[1] if len(rest) > 1 else None) if self.is_old else rest[1:]
        ended = {"reason": code(reason), "reason_string": came(properties).get("reason_string")}
        say(name=self.name, ended=ended)

    def on_message(self, client, userdata, message):
        say(name=self.name, message={
            "topic": message.topic, "payload": base64.b64encode(message.payload).decode(), "qos": message.qos,
            "retain": bool(message.retain), "dup": bool(message.dup), "properties": came(getattr(message, "properties", None)),
        })

    def on_publish(self, client, userdata, mid, reason=0, properties=None):
        self.done(mid, {"reason": code(reason), "properties": came(properties)})

    def on_subscribe(self, client, userdata, mid, reasons, properties=None):
        self.done(mid, {"reasons": [code(reason) for reason in reasons], "properties": came(properties)})

    def on_unsubscribe(self, client, userdata, mid, *rest):
        if self.is_old:
            reasons = rest[1] if len(rest) > 1 else []
        else:
            reasons = rest[0] if rest else []
        reasons = reasons if isinstance(reasons, list) else [reasons]
        self.done(mid, {"reasons": [code(reason) for reason in reasons]})

    def done(self, mid, answer):
        with self.lock:
            ask = self.waiting.pop(mid, None)
            if ask is None:
                self.early[mid] = answer  # the library has not told us yet which it is
                return
        say(id=ask, ok=answer)

    def asked(self, ask, mid):
        with self.lock:
            answer = self.early.pop(mid, None)
            if answer is None:
                self.waiting[mid] = ask
                return
        say(id=ask, ok=answer)

    def do(self, ask, given):
        client, what = self.client, given["do"]
        if what == "publish":
            properties = sent(PacketTypes.PUBLISH, given.get("properties")) if self.is_v5 else None
            payload = base64.b64decode(given["payload"])
            self.asked(ask, client.publish(given["topic"], payload, given["qos"], given["retain"], properties).mid)
        elif what == "subscribe":
            if self.is_v5:
                topics = [(each["filter"], SubscribeOptions(each["qos"], each["no_local"], each["retain_as_published"],
                                                            each["retain_handling"])) for each in given["filters"]]
                _, mid = client.subscribe(topics, properties=sent(PacketTypes.SUBSCRIBE, given.get("properties")))
            else:
                _, mid = client.subscribe([(each["filter"], each["qos"]) for each in given["filters"]])
            self.asked(ask, mid)
        elif what == "unsubscribe":
            self.asked(ask, client.unsubscribe(given["filters"])[1])
        elif what == "disconnect":
            if self.is_v5:
                properties = sent(PacketTypes.DISCONNECT, given.get("properties"))
                reason = mqtt.ReasonCode(PacketTypes.DISCONNECT, identifier=given.get("reason", 0))
                client.disconnect(reasoncode=reason, properties=properties)
            else:
                client.disconnect()
            say(id=ask, ok={})
        elif what == "abort":
            client.socket().shutdown(socket.SHUT_RDWR)
            say(id=ask, ok={})


def main():
    connections = {}
    for line in sys.stdin:
        given = json.loads(line)
        try:
            if given["do"] == "connect":
                connections[given["name"]] = Connection(given["name"], given, given["id"])
            else:
                connections[given["name"]].do(given["id"], given)
        except Exception as error:
            say(id=given["id"], error=f"{type(error).__name__}: {error}")


main()
