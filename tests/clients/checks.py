"""The matrix: what each client does with the broker, in each version of the protocol it speaks.

Called by the runner, which makes one test of each function, client and version. A check takes a Bench:
`bench.connect()` gives a party (parties.py), `bench.topic()` a name nobody else uses. That something does
not come is proven by something sent after it that comes first. What this does not do: care which client it is,
except where a library cannot say something (CANNOT).
"""

import threading
import time

from parties import Refused

# What a client cannot say or tell, as functions below (some in one version only), with the reason.
CANNOT = {
    "mosquitto": {
        "unsubscribing": "mosquitto_sub unsubscribes only as it starts",
        "reason_codes": "the commands show no Reason Codes of success",
        "takeover": "mosquitto_sub comes back and takes over in turn",
        "takeover_is_told": "mosquitto_sub comes back and takes over in turn",
        "a_kick_is_told": "mosquitto_sub does not print the reason of a DISCONNECT",
        "no_local": "each subscription is a process of its own",
        "retain_as_published": "mosquitto_sub has no such option",
        "retain_handling": "each subscription is a process of its own",
        "session_expiry_at_disconnect": "mosquitto_sub sends no properties with DISCONNECT",
        "5 will": "mosquitto_sub always leaves with its Will in 5.0",
        "5 too_large": "mosquitto_pub 2.0 says nothing and exits with 0",
        "aliases_from_the_broker": "libmosquitto does not resolve topic aliases",
        "server_assigns_identifiers": "the commands do not print it",
    },
    "mqttd": {
        "unsubscribing": "each subscription is a process of its own",
        "reason_codes": "each subscription is a process of its own",
        "no_local": "each subscription is a process of its own",
        "retain_handling": "each subscription is a process of its own",
        "session_expiry_at_disconnect": "not offered",
        "will_on_request": "not offered",
        "server_assigns_identifiers": "not printed",
    },
    "paho": {
        "aliases_from_the_broker": "paho does not resolve topic aliases",
    },
    "paho with the callbacks of 1.x": {
        "aliases_from_the_broker": "paho does not resolve topic aliases",
        "reason_codes": "its callback for a PUBACK has none",
    },
    "mqttjs": {
        "server_assigns_identifiers": "MQTT.js makes up an identifier of its own",
    },
    "rumqttc": {
        "aliases_from_the_broker": "rumqttc 0.25 hands the message over before it looks the alias up",
        "session_expiry_at_disconnect": "rumqttc sends no properties with DISCONNECT",
        "will_on_request": "rumqttc knows no DISCONNECT with Will",
        "server_assigns_identifiers": "rumqttc wants an identifier",
    },
}

TOPIC = "häuser/東京/🌡️"
PAYLOADS = ["grüße, 世界 🌍".encode(), b""]
LARGE = bytes(range(251)) * 4178 + b"end"  # a little over 1 MiB, and not UTF-8


def every(*versions):
    """Marks the versions a check is for; none: all."""
    def mark(function):
        function.versions = versions
        return function
    return mark


def came(party, count=1):
    return [message.payload for message in party.take(count)]


# ---- all versions


@every()
def qualities(bench):
    """QoS 0, 1 and 2, published and subscribed: the lower one counts"""
    sender = bench.connect()
    for granted in (0, 1, 2):
        receiver, topic = bench.connect(), bench.topic()
        assert receiver.subscribe(topic, qos=granted) in ([granted], None)
        for qos in (0, 1, 2):
            sender.publish(topic, b"%d" % qos, qos=qos)
            (message,) = receiver.take(1)
            assert (message.topic, message.payload) == (topic, b"%d" % qos), message
            assert message.qos == min(qos, granted) and not message.retain and not message.dup, message
        receiver.disconnect()


@every()
def order(bench):
    """300 messages of each QoS, sent without waiting, arrive once and in order"""
    payloads = [b"%d" % number for number in range(300)]
    for qos in (0, 1, 2):
        receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
        receiver.subscribe(topic, qos=qos)
        sender.publish_all(topic, payloads, qos=qos)
        assert came(receiver, 300) == payloads
        bench.silent(receiver, topic)


@every()
def retained(bench):
    """A retained message reaches later subscribers with the flag and present ones without; an empty one deletes"""
    sender, present, later, last = (bench.connect() for _ in range(4))
    topic = bench.topic()
    present.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        sender.publish(topic, b"kept-%d" % qos, qos=qos, retain=True)
        assert not present.take(1)[0].retain
    later.subscribe(topic, qos=2)
    (message,) = later.take(1)
    assert message.retain and message.payload == b"kept-2" and message.qos == 2, message
    sender.publish(topic, b"", retain=True)
    assert came(present) == came(later) == [b""]
    last.subscribe(topic, qos=2)
    bench.silent(last, topic)


@every()
def will(bench):
    """A Will is sent when the connection breaks, and not when it is ended in order"""
    for qos, retain in ((0, False), (1, False), (2, True)):
        watcher, topic = bench.connect(), bench.topic()
        watcher.subscribe(topic, qos=2)
        testament = {"topic": topic, "payload": b"gone", "qos": qos, "retain": retain}
        polite = bench.connect(will=testament)
        polite.subscribe(bench.topic())
        polite.disconnect()
        bench.silent(watcher, topic)
        broken = bench.connect(will=testament)
        broken.subscribe(bench.topic())
        broken.abort()
        (message,) = watcher.take(1)
        assert (message.payload, message.qos, message.retain) == (b"gone", qos, False), message
    late = bench.connect()
    late.subscribe(topic, qos=1)
    assert late.take(1)[0].retain


@every()
def offline(bench):
    """A kept session collects messages while its client is away, and hands them over in order"""
    sender, topic, client_id = bench.connect(), bench.topic(), bench.name()
    kept = {"client_id": client_id, "clean": False, **bench.kept}
    receiver = bench.connect(**kept)
    assert receiver.session_present in (False, None)
    receiver.subscribe(topic, qos=2)
    for leave in (lambda: receiver.disconnect(), lambda: receiver.abort()):
        bench.broker.until_acknowledged(client_id)  # what is not, comes again
        leave()
        bench.broker.until_away(client_id)
        for number, qos in ((1, 1), (2, 2), (3, 1), (4, 2)):
            sender.publish(topic, b"%d" % number, qos=qos)
        receiver = bench.connect(**kept)
        assert receiver.session_present in (True, None) or bench.version == "3.1"  # which does not tell
        bench.resume(receiver, topic, qos=2)
        # A library hands a QoS 2 message over once it is released, so QoS 1 may overtake it there.
        messages = sorted(receiver.take(4), key=lambda message: message.qos)
        assert [(each.payload, each.qos) for each in messages] == [(b"1", 1), (b"3", 1), (b"2", 2), (b"4", 2)], messages
        bench.silent(receiver, topic, qos=1)
    receiver.disconnect()
    clean = bench.connect(client_id=client_id)
    assert clean.session_present in (False, None)


@every()
def large(bench):
    """A payload of more than 1 MiB, which is no text, arrives as it was, retained and queued too"""
    receiver, sender, topic, client_id = bench.connect(), bench.connect(), bench.topic(), bench.name()
    receiver.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        sender.publish(topic, LARGE, qos=qos, retain=qos == 1)
        assert came(receiver) == [LARGE]
    late = bench.connect(client_id=client_id, clean=False, **bench.kept)
    late.subscribe(topic, qos=1)
    assert came(late) == [LARGE]
    bench.broker.until_acknowledged(late.client_id)  # what is not, comes again
    late.disconnect()
    sender.publish(topic, LARGE + b"2", qos=1)
    late = bench.connect(client_id=client_id, clean=False, **bench.kept)
    bench.resume(late, topic, qos=1)
    assert LARGE + b"2" in came(late, 1 + bench.is_command)
    sender.publish(topic, b"", qos=1, retain=True)


@every()
def unicode(bench):
    """Topics and payloads in any script, and payloads of nothing"""
    receiver, sender = bench.connect(client_id=bench.name() + "-ключ-🔑"), bench.connect()
    receiver.subscribe(bench.topic() + f"/{TOPIC}", qos=1)  # another's, which must not match
    topic = bench.topic() + f"/{TOPIC}"
    other = bench.connect()
    other.subscribe(topic.replace("東京", "+"), qos=1)
    for payload in PAYLOADS:
        sender.publish(topic, payload, qos=1)
        (message,) = other.take(1)
        assert (message.topic, message.payload) == (topic, payload), message


@every()
def wildcards(bench):
    """+ and # match levels; a topic that two filters match comes at least once, one that none matches never"""
    receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
    receiver.subscribe(f"{topic}/+/x", f"{topic}/deep/#", qos=1)
    for name in ("a/x", "a/y", "deep", "deep/1/2/3", "a/b/x", "z/x"):
        sender.publish(f"{topic}/{name}", name.encode(), qos=1)
    assert came(receiver, 4) == [b"a/x", b"deep", b"deep/1/2/3", b"z/x"]


@every()
def shared(bench):
    """Members of a shared subscription get each message once between them, others all of them"""
    sender, topic, group = bench.connect(), bench.topic(), bench.name()
    members = [bench.connect(), bench.connect()]
    alone = bench.connect()
    for member in members:
        member.subscribe(f"$share/{group}/{topic}/#", qos=1)
    alone.subscribe(f"{topic}/#", qos=1)
    payloads = [b"%d" % number for number in range(40)]
    sender.publish_all(f"{topic}/x", payloads, qos=1)
    assert came(alone, 40) == payloads
    got = bench.split(members, 40)
    assert sorted(got[0] + got[1], key=int) == payloads
    assert got[0] and got[1], "one member got everything"
    bench.broker.until_acknowledged(members[0].client_id)  # what is not, goes to the other
    members[0].disconnect()
    sender.publish_all(f"{topic}/y", [b"a", b"b"], qos=1)
    assert came(members[1], 2) == [b"a", b"b"]


@every()
def takeover(bench):
    """A second connection with the same identifier ends the first"""
    client_id, topic = bench.name(), bench.topic()
    first = bench.connect(client_id=client_id)
    first.subscribe(topic)
    second = bench.connect(client_id=client_id)
    second.subscribe(topic + "/2")
    first.ended()
    bench.broker.until_subscribed(client_id, 1)  # of a command it may have been the first's that was seen
    sender = bench.connect()
    sender.publish(topic + "/2", b"to the second")
    assert came(second) == [b"to the second"]


@every()
def unsubscribing(bench):
    """After UNSUBSCRIBE nothing comes"""
    receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
    receiver.subscribe(topic, topic + "/fence", qos=1)
    sender.publish(topic, b"1", qos=1)
    assert came(receiver) == [b"1"]
    receiver.unsubscribe(topic)
    sender.publish(topic, b"2", qos=1)
    sender.publish(topic + "/fence", b"3", qos=1)
    assert came(receiver) == [b"3"]


@every()
def too_large(bench):
    """More than the broker takes ends the connection of who sends it, and of nobody else"""
    receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
    receiver.subscribe(topic, qos=1)
    try:
        sender.publish(topic, bytes(bench.broker.packet_bytes_max), qos=1)
    except Refused:
        pass
    else:
        raise AssertionError("the broker took it")
    bench.connect().publish(topic, b"fits", qos=1)
    assert came(receiver) == [b"fits"]


# ---- MQTT 5.0

PROPERTIES = {
    "payload_format_indicator": 1,
    "content_type": "text/plain; charset=utf-8",
    "response_topic": "antwort/東京",
    "correlation_data": b"number-1",
    "user_properties": [["größe", "5½"], ["k", "1"], ["k", "2"], ["a", "last"]],
}


@every("5")
def properties(bench):
    """Content type, format, response topic, correlation data and user properties in order arrive unaltered"""
    receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
    receiver.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        sender.publish(topic, b"x", qos=qos, retain=qos == 2, **PROPERTIES)
        assert receiver.take(1)[0].properties == PROPERTIES
    late = bench.connect()
    late.subscribe(topic)
    assert late.take(1)[0].properties == PROPERTIES
    sender.publish(topic, b"", retain=True)


@every("5")
def will_properties(bench):
    """A Will has its properties, and comes after its delay"""
    watcher, topic = bench.connect(), bench.topic()
    watcher.subscribe(topic, qos=1)
    with_delay = {**PROPERTIES, "will_delay_interval": 1}
    testament = {"topic": topic, "payload": b"late", "qos": 1, "retain": False, "properties": with_delay}
    broken = bench.connect(will=testament, session_expiry_interval=30)
    broken.subscribe(bench.topic())
    began = time.monotonic()
    broken.abort()
    (message,) = watcher.take(1)
    assert message.properties == PROPERTIES, message
    assert time.monotonic() - began > 0.9
    back = bench.connect(client_id=broken.client_id, session_expiry_interval=0)
    back.subscribe(bench.topic())
    back.disconnect()


@every("5")
def will_on_request(bench):
    """DISCONNECT with Will Message sends the Will"""
    watcher, topic = bench.connect(), bench.topic()
    watcher.subscribe(topic, qos=1)
    leaving = bench.connect(will={"topic": topic, "payload": b"farewell", "qos": 1, "retain": False})
    leaving.subscribe(bench.topic())
    leaving.disconnect(reason=4)
    assert came(watcher) == [b"farewell"]


@every("5")
def message_expiry(bench):
    """What expires while its receiver is away is not delivered; the rest says how long it still lives"""
    sender, topic = bench.connect(), bench.topic()
    kept = {"client_id": bench.name(), "clean": False, "session_expiry_interval": 60}
    receiver = bench.connect(**kept)
    receiver.subscribe(topic, qos=1)
    receiver.disconnect()
    sender.publish(topic, b"short", qos=1, message_expiry_interval=1)
    sender.publish(topic, b"long", qos=1, message_expiry_interval=1000)
    threading.Event().wait(1.3)  # it is time itself that is tested
    receiver = bench.connect(**kept)
    bench.resume(receiver, topic, qos=1)
    (message,) = receiver.take(1)
    assert message.payload == b"long", message
    assert 800 <= message.properties["message_expiry_interval"] <= 999, message


@every("5")
def topic_alias(bench):
    """A topic alias stands for its topic"""
    receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
    receiver.subscribe(topic, qos=1)
    if bench.is_command:  # sends the topic with the first line only
        sender.publish_all(topic, [b"0", b"1", b"2"], qos=1, topic_alias=7)
    else:
        for number in range(3):
            sender.publish(topic if number == 0 else "", b"%d" % number, qos=1, topic_alias=7)
    messages = receiver.take(3)
    assert [(each.topic, each.payload) for each in messages] == [(topic, b"0"), (topic, b"1"), (topic, b"2")]


@every("5")
def aliases_from_the_broker(bench):
    """A client that takes topic aliases gets each message with its topic"""
    receiver, sender, topic = bench.connect(topic_alias_maximum=2), bench.connect(), bench.topic()
    receiver.subscribe(f"{topic}/#", qos=1)
    names = [f"{topic}/{number % 4}" for number in range(12)]
    for name in names:
        sender.publish(name, b"x", qos=1)
    found = [each.topic for each in receiver.take(12)]
    assert found == names, found


@every("5")
def subscription_identifiers(bench):
    """A message carries the identifier of the subscription that matched, a retained one too"""
    sender, topic = bench.connect(), bench.topic()
    sender.publish(f"{topic}/kept", b"kept", qos=1, retain=True)
    receiver = bench.connect()
    receiver.subscribe(f"{topic}/#", qos=1, subscription_identifier=268435455)
    sender.publish(f"{topic}/x", b"x", qos=1)
    assert [each.properties.get("subscription_identifiers") for each in receiver.take(2)] == [[268435455]] * 2
    if not bench.is_command:
        receiver.subscribe(f"{topic}/+", qos=0, subscription_identifier=1, retain_handling=2)
        sender.publish(f"{topic}/x", b"y", qos=1)
        messages = receiver.take(1)
        if len(messages[0].properties["subscription_identifiers"]) == 1:
            messages += receiver.take(1)
        found = sorted(each for message in messages for each in message.properties["subscription_identifiers"])
        assert found == [1, 268435455], messages
    sender.publish(f"{topic}/kept", b"", retain=True)


@every("5")
def request_and_response(bench):
    """A response finds its way by response topic and correlation data"""
    asker, answerer, topic = bench.connect(), bench.connect(), bench.topic()
    asker.subscribe(f"{topic}/answers", qos=1)
    answerer.subscribe(f"{topic}/questions", qos=1)
    asker.publish(f"{topic}/questions", b"6*7", qos=1, response_topic=f"{topic}/answers", correlation_data=b"q1")
    (question,) = answerer.take(1)
    back = {"correlation_data": question.properties["correlation_data"]}
    answerer.publish(question.properties["response_topic"], b"42", qos=1, **back)
    (answer,) = asker.take(1)
    assert (answer.payload, answer.properties) == (b"42", {"correlation_data": b"q1"}), answer


@every("5")
def reason_codes(bench):
    """Nobody subscribed, and no subscription existed, are told"""
    party, topic = bench.connect(), bench.topic()
    assert party.publish(topic, b"x", qos=1) == 0x10
    assert party.unsubscribe(topic) == [0x11]
    assert party.subscribe(topic, qos=1) == [1]
    assert party.publish(topic, b"x", qos=1) == 0
    assert party.unsubscribe(topic) == [0]


@every("5")
def takeover_is_told(bench):
    """The first connection learns that the session was taken over"""
    client_id = bench.name()
    first = bench.connect(client_id=client_id)
    first.subscribe(bench.topic())
    second = bench.connect(client_id=client_id)
    second.subscribe(bench.topic())
    bench.told(first.ended(), 0x8E, "taken over")


@every("5")
def a_kick_is_told(bench):
    """A client that the operator ends learns so"""
    party = bench.connect()
    party.subscribe(bench.topic())
    bench.broker.ask("clients.kick", client_id=party.client_id)
    bench.told(party.ended(), 0x98, "dministrative")


@every("5")
def session_expiry(bench):
    """A session lasts as long as its client wanted: not at all, a second, longer"""
    def left_with(secs):
        party = bench.connect(session_expiry_interval=secs)
        party.subscribe(bench.topic())
        party.disconnect()
        return party.client_id

    none, short, long = left_with(0), left_with(1), left_with(100)
    broker = bench.broker
    assert broker.client(none) is None
    assert broker.client(long)["session_expiry_interval_secs"] == 100
    broker.until("the short session is gone", lambda: broker.client(short) is None)
    assert broker.client(long) is not None


@every("5")
def session_expiry_at_disconnect(bench):
    """DISCONNECT changes how long the session lasts"""
    party = bench.connect(session_expiry_interval=100)
    party.disconnect(session_expiry_interval=0)
    assert bench.broker.client(party.client_id) is None
    party = bench.connect(session_expiry_interval=100)
    party.disconnect(session_expiry_interval=200)
    assert bench.broker.client(party.client_id)["session_expiry_interval_secs"] == 200


@every("5")
def flow_control(bench):
    """A client that takes one message at a time gets all of them, in order"""
    payloads = [b"%d" % number for number in range(50)]
    for qos in (1, 2):
        receiver, sender, topic = bench.connect(receive_maximum=1), bench.connect(), bench.topic()
        receiver.subscribe(topic, qos=qos)
        sender.publish_all(topic, payloads, qos=qos)
        assert came(receiver, 50) == payloads


@every("5")
def maximum_packet_size(bench):
    """A client never gets more than it takes; what fits still comes"""
    receiver, sender, topic = bench.connect(maximum_packet_size=500), bench.connect(), bench.topic()
    receiver.subscribe(topic, qos=1)
    sender.publish(topic, bytes(1000), qos=1)
    sender.publish(topic, b"fits", qos=1)
    assert came(receiver) == [b"fits"]


@every("5")
def no_local(bench):
    """With No Local a client does not hear itself"""
    party, other, topic = bench.connect(), bench.connect(), bench.topic()
    party.subscribe(topic, qos=1, no_local=True)
    party.publish(topic, b"mine", qos=1)
    other.publish(topic, b"yours", qos=1)
    assert came(party) == [b"yours"]


@every("5")
def retain_as_published(bench):
    """With Retain As Published the flag comes as it was sent"""
    receiver, sender, topic = bench.connect(), bench.connect(), bench.topic()
    receiver.subscribe(topic, qos=1, retain_as_published=True)
    sender.publish(topic, b"1", qos=1, retain=True)
    sender.publish(topic, b"2", qos=1)
    assert [each.retain for each in receiver.take(2)] == [True, False]
    sender.publish(topic, b"", retain=True)


@every("5")
def retain_handling(bench):
    """Retained messages come always, with a new subscription only, or never"""
    party, topic = bench.connect(), bench.topic()
    party.publish(topic, b"kept", qos=1, retain=True)
    for handling, expected in ((2, 0), (1, 0), (0, 1)):  # the subscription is there from the first on
        party.subscribe(topic, qos=1, retain_handling=handling)
        party.take(expected)
        bench.silent(party, topic, qos=1)
    party.unsubscribe(topic)
    party.subscribe(topic, qos=1, retain_handling=1)
    assert came(party) == [b"kept"]
    party.publish(topic, b"", qos=1, retain=True)


@every("5")
def server_assigns_identifiers(bench):
    """A client without an identifier is told the one it got"""
    party = bench.connect(client_id="")
    assert party.granted["assigned_client_identifier"]


# ---- from one client to the next


def ring(bench, sender, receiver):
    """What one client publishes the next receives, all QoS, retained, large, in any script, with properties"""
    topic = bench.topic() + f"/{TOPIC}"
    first = {"message_expiry_interval": 1000, **PROPERTIES} if sender.version == "5" else {}
    shown = first if receiver.version == "5" else {}
    receiving, sending = receiver.connect(), sender.connect()
    receiving.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        for payload in (*PAYLOADS, LARGE):
            sending.publish(topic, payload, qos=qos, **first)
            (message,) = receiving.take(1)
            assert (message.topic, message.qos, message.retain) == (topic, qos, False), message
            assert message.payload == payload
            if shown:
                assert message.properties.pop("message_expiry_interval") in range(800, 1001)
                shown = {name: value for name, value in shown.items() if name != "message_expiry_interval"}
            assert message.properties == shown, message
    sending.publish(topic, b"kept", qos=1, retain=True, **first)
    late = receiver.connect()
    late.subscribe(topic, qos=2)
    assert late.take(1)[0].retain
    sending.publish(topic, b"", qos=1, retain=True)
