//! The table of keys: every key of the configuration with its kind, default, reason and place.
//!
//! To add a key, add a line here and a field it is put in. Its reading, its text in the shipped
//! file, its entry in mqttd.toml(5) and its part in `mqttd reload` follow.

use super::schema::{Applies, Key, Section};
use super::value::{Kind, Value};
use super::{
    Anonymous, Durability, LogFormat, LogLevel, LogTarget, Medium, PayloadFormat, QueueFull,
    RedirectReason, RedirectWhen, SharedChoice,
};
use crate::codec::PACKET_BYTES_MAX;

const OPEN: u64 = u32::MAX as u64;

pub(super) static SECTIONS: &[Section] = &[
    Section { path: "", doc: "Who may connect." },
    Section { path: "listener.tcp", doc: "Where MQTT is served over plain TCP." },
    Section {
        path: "limits",
        doc: "Bounds of the whole broker and of each connection. What is refused or dropped because of one of them is counted in `mqttd stats`.",
    },
    Section {
        path: "session",
        doc: "Bounds of one session: what the broker keeps for one client.",
    },
    Section { path: "broker", doc: "How the broker does what the standard leaves open." },
    Section {
        path: "redirect",
        doc: "Another server for the clients of this one, while this one stops or is taken out of service. MQTT 5.0 clients are told its name when they are disconnected or refused; older ones are only disconnected, or refused as unavailable.",
    },
    Section {
        path: "store",
        doc: "What outlives the process: sessions with their subscriptions, the messages that wait for them, and retained messages, in mqttd.db in the data directory. What the broker acknowledges is on the disk by then, unless the class of a topic here says otherwise.",
    },
    Section { path: "log", doc: "What is logged, how, and where to." },
    Section { path: "server", doc: "The process." },
];

pub(super) static KEYS: &[Key] = &[
    Key {
        path: "anonymous",
        kind: Kind::Word(Anonymous::WORDS),
        default: "\"private\"",
        applies: Applies::OnReload,
        doc: "Whether a client without credentials is served. \"private\": only when it connects from a private address (loopback, RFC 1918, RFC 4193, link-local, 100.64.0.0/10), so that the first minutes on a local network work and the Internet is kept out. \"never\": not at all. \"always\": from everywhere; only for a network that is closed by other means. A TCP proxy on this machine or network makes every client look private: behind one, use \"never\".",
        put: |config, value| config.anonymous = Anonymous::of(value),
    },
    Key {
        path: "listener.tcp.address",
        kind: Kind::Addresses,
        default: "[\"0.0.0.0:1883\", \"[::]:1883\"]",
        applies: Applies::OnRestart,
        doc: "Addresses with ports, IPv6 addresses in brackets. \"0.0.0.0\" and \"[::]\" stand for all IPv4 and all IPv6 addresses of the machine. 1883 is the port registered for MQTT.",
        put: |config, value| {
            if let Value::Addresses(addresses) = value {
                config.tcp.clone_from(addresses);
            }
        },
    },
    Key {
        path: "limits.packet_bytes_max",
        kind: Kind::Bytes(1 << 10, PACKET_BYTES_MAX as u64),
        default: "\"16MiB\"",
        applies: Applies::OnReload,
        doc: "Largest MQTT packet accepted; a client that sends a larger one is disconnected. Enough for pictures and firmware; one packet must fit into memory as a whole. 268435460 bytes, a little more than 256 MiB, is the largest packet that the standard knows; while it comes in it needs a memory_bytes_max of four times as much.",
        put: |config, value| config.limits.packet_bytes_max = value.number(),
    },
    Key {
        path: "limits.receive_maximum",
        kind: Kind::Number(1, 65_535),
        default: "1024",
        applies: Applies::OnReload,
        doc: "QoS 1 and QoS 2 messages that one client may send before the first of them is acknowledged. Keeps a fast publisher busy over a slow network and bounds what is remembered of it.",
        put: |config, value| config.limits.receive_maximum = value.number(),
    },
    Key {
        path: "limits.topic_alias_maximum",
        kind: Kind::Number(0, 65_535),
        default: "64",
        applies: Applies::OnReload,
        doc: "Topic aliases that one MQTT 5.0 client may use; each holds one topic name in memory. 0 forbids them.",
        put: |config, value| config.limits.topic_alias_maximum = value.number(),
    },
    Key {
        path: "limits.assigned_aliases_max",
        kind: Kind::Number(0, 65_535),
        default: "64",
        applies: Applies::OnReload,
        doc: "Topic aliases that the broker uses towards one MQTT 5.0 client that allows them: a topic that goes to this client again is sent as two bytes. Each holds one topic name in memory, once for each client. 0: none.",
        put: |config, value| config.limits.assigned_aliases_max = value.number(),
    },
    Key {
        path: "limits.keep_alive_secs_max",
        kind: Kind::Number(10, 65_535),
        default: "65535",
        applies: Applies::OnReload,
        doc: "Longest Keep Alive, in seconds. An MQTT 5.0 client that asks for a longer one, or for none, is told to use this one. The default is the longest there is: clients choose. A smaller one finds dead connections sooner.",
        put: |config, value| config.limits.keep_alive_secs_max = value.number(),
    },
    Key {
        path: "limits.topic_levels_max",
        kind: Kind::Number(1, 65_536),
        default: "128",
        applies: Applies::OnReload,
        doc: "Levels of a topic name or filter (the parts between slashes). Nobody needs as many; a limit keeps the cost of one lookup in bounds. 65536 is as many as the longest topic has.",
        put: |config, value| config.limits.topic_levels_max = value.number(),
    },
    Key {
        path: "limits.payload_format",
        kind: Kind::Word(PayloadFormat::WORDS),
        default: "\"unchecked\"",
        applies: Applies::OnReload,
        doc: "Whether messages whose MQTT 5.0 publisher says that the payload is text (Payload Format Indicator 1) are checked for it. \"checked\": a message whose payload is not UTF-8 is refused (reason code 0x99; with QoS 0 the client is disconnected). \"unchecked\": it is passed on as it is; looking at each payload costs time.",
        put: |config, value| {
            config.limits.checks_payload_format =
                PayloadFormat::of(value) == PayloadFormat::Checked;
        },
    },
    Key {
        path: "limits.subscriptions_max",
        kind: Kind::Number(1, OPEN),
        default: "10000",
        applies: Applies::OnReload,
        doc: "Subscriptions of one session. Bridges and collectors have hundreds; a client that makes them in a loop by mistake stops here.",
        put: |config, value| config.limits.subscriptions_max = value.number(),
    },
    Key {
        path: "limits.retained_messages_max",
        kind: Kind::Number(1, OPEN),
        default: "1000000",
        applies: Applies::OnReload,
        doc: "Retained messages of the whole broker. The message of one more topic is refused with 0x97 where its publisher can be told (MQTT 5.0, QoS 1 and 2); else it is passed on, not retained, and counted. Their bytes are bounded by memory_bytes_max too, and met in the same way.",
        put: |config, value| config.limits.retained_messages_max = value.number(),
    },
    Key {
        path: "limits.sessions_max",
        kind: Kind::Number(1, OPEN),
        default: "1000000",
        applies: Applies::OnReload,
        doc: "Sessions of the whole broker, connected or not. Clients that take a new client identifier each time leave sessions behind; they end here.",
        put: |config, value| config.limits.sessions_max = value.number(),
    },
    Key {
        path: "limits.connections_max",
        kind: Kind::Number(1, OPEN),
        default: "100000",
        applies: Applies::OnReload,
        doc: "Client connections at once. Each needs an open file: the smaller of this and what LimitNOFILE= of the unit (ulimit -n) leaves is in force, and `mqttd status` shows it.",
        put: |config, value| config.connections_max = value.number(),
    },
    Key {
        path: "limits.connecting_max",
        kind: Kind::Number(1, OPEN),
        default: "4096",
        applies: Applies::OnRestart,
        doc: "Connections at once that have not sent their CONNECT yet. High enough for all clients that come back after a restart, low enough that connections which never speak cost little.",
        put: |config, value| config.connecting_max = value.number(),
    },
    Key {
        path: "limits.connect_timeout_secs",
        kind: Kind::Number(1, 600),
        default: "10",
        applies: Applies::OnReload,
        doc: "Seconds from the connection to the complete CONNECT. Enough for the slowest radio link; whoever is silent for longer is disconnected.",
        put: |config, value| config.connect_timeout_secs = value.number(),
    },
    Key {
        path: "limits.memory_bytes_max",
        kind: Kind::BytesOrAuto(16 << 20, 1 << 50),
        default: "\"auto\"",
        applies: Applies::OnReload,
        doc: "Memory of all queues, unsent bytes and retained messages together; above it messages are refused or dropped, and counted. \"auto\" is a quarter of the memory of the machine (or of the memory limit of its container or unit), and at least 64 MiB, so that the broker never pushes other programs out.",
        put: |config, value| {
            config.limits.memory_bytes_max = if *value == Value::Auto {
                crate::daemon::machine::memory_share_bytes()
            } else {
                value.number()
            };
        },
    },
    Key {
        path: "limits.outbox_bytes_max",
        kind: Kind::Bytes(4 << 10, 256 << 20),
        default: "\"256KiB\"",
        applies: Applies::OnReload,
        doc: "Unsent bytes of one connection above which further messages wait in the queue of its session. Covers what a fast network has under way.",
        put: |config, value| config.limits.outbox_bytes_max = value.number(),
    },
    Key {
        path: "session.inflight_max",
        kind: Kind::Number(1, 65_535),
        default: "1024",
        applies: Applies::OnReload,
        doc: "QoS 1 and QoS 2 messages sent to one client and not yet acknowledged; an MQTT 5.0 client may ask for fewer. Further ones wait in the queue.",
        put: |config, value| config.limits.inflight_max = value.number(),
    },
    Key {
        path: "session.queue_messages_max",
        kind: Kind::Number(1, OPEN),
        default: "10000",
        applies: Applies::OnReload,
        doc: "Messages that wait for one client that is slow or away. What becomes of one more is said by queue_full.",
        put: |config, value| config.limits.queue_messages_max = value.number(),
    },
    Key {
        path: "session.queue_bytes_max",
        kind: Kind::Bytes(1 << 10, 1 << 50),
        default: "\"16MiB\"",
        applies: Applies::OnReload,
        doc: "Bytes that wait for one client that is slow or away, in memory or in the store.",
        put: |config, value| config.limits.queue_bytes_max = value.number(),
    },
    Key {
        path: "session.queue_full",
        kind: Kind::Word(QueueFull::WORDS),
        default: "\"drop_newest\"",
        applies: Applies::OnReload,
        doc: "What becomes of a message for a client whose queue is full. \"drop_newest\": it is dropped for this client; what came first stays. \"drop_oldest\": what has waited longest and is not on its way makes room for it; for the state of things, of which the latest counts. \"refuse\": an MQTT 5.0 publisher is told with 0x97 (Quota exceeded) instead of the acknowledgement of a message with QoS 1 or 2, and nobody gets the message; one such client stops all who publish to it, but no message is lost unnoticed. Publishers before MQTT 5.0 and messages with QoS 0 have no answer that refuses: theirs are dropped for this client. Everything that is dropped is counted, and named in the log once.",
        put: |config, value| config.limits.queue_full = QueueFull::of(value).into(),
    },
    Key {
        path: "session.expiry_secs_max",
        kind: Kind::Number(0, OPEN),
        default: "2592000",
        applies: Applies::OnReload,
        doc: "How long the session of a client that is away is kept, in seconds; an MQTT 5.0 client may ask for less. The default is 30 days: what is forgotten goes some day, what is on holiday does not. 4294967295 keeps sessions for ever.",
        put: |config, value| config.limits.session_expiry_secs_max = value.number(),
    },
    Key {
        path: "broker.shared_choice",
        kind: Kind::Word(SharedChoice::WORDS),
        default: "\"least_backlog\"",
        applies: Applies::OnReload,
        doc: "Which member of a Shared Subscription ($share/NAME/FILTER) gets a message, among those that are connected. \"least_backlog\": the one with the fewest messages queued and in flight, in turn where several have as few, so that a slow worker gets less. \"round_robin\": each in turn, whatever waits for it. \"sticky\": the same as before while it is connected, so that the others stand by. \"hash_publisher\": by the client identifier of the publisher, so that one member sees a publisher's messages in order as long as the members stay the same. While no member is connected, one whose session is kept holds the message.",
        put: |config, value| config.limits.shared_choice = SharedChoice::of(value).into(),
    },
    Key {
        path: "broker.sys_interval_secs",
        kind: Kind::Number(0, 65_535),
        default: "10",
        applies: Applies::OnReload,
        doc: "Seconds between two publications of the broker's status below $SYS/broker, under the names mosquitto uses: clients, messages, bytes, load, uptime. The messages are retained, and only values that have changed are published. Often enough to watch by, seldom enough to cost nothing. 0 turns it off.",
        put: |config, value| config.sys_interval_secs = value.number(),
    },
    Key {
        path: "session.response_information",
        kind: Kind::OptionalText(1024),
        default: "\"\"",
        applies: Applies::OnReload,
        doc: "Response Information for MQTT 5.0 clients that request it when they connect: as a rule the beginning of the topics on which they get answers, such as \"answers/{client_id}/\". {client_id} stands for the client identifier; a client whose identifier contains + or # then gets none.",
        put: |config, value| config.directions.response_information = value.optional_text(),
    },
    Key {
        path: "redirect.server_reference",
        kind: Kind::OptionalText(1024),
        default: "\"\"",
        applies: Applies::OnReload,
        doc: "The other server, as a name or an address, with a port where it is not the usual one: \"mqtt2.example.org\", \"192.0.2.7:1884\", \"[2001:db8::7]:1884\"; several with a space between. Clients are told it as it stands here. Not set: clients are told that this server shuts down.",
        put: |config, value| config.directions.server_reference = value.optional_text(),
    },
    Key {
        path: "redirect.when",
        kind: Kind::Word(RedirectWhen::WORDS),
        default: "\"stopping\"",
        applies: Applies::OnReload,
        doc: "\"stopping\": clients are sent to the other server when this one stops. \"now\": this one serves nobody any more; all clients are sent away at once, and so are those that come, until this is \"stopping\" again.",
        put: |config, value| config.draining = RedirectWhen::of(value) == RedirectWhen::Now,
    },
    Key {
        path: "redirect.reason",
        kind: Kind::Word(RedirectReason::WORDS),
        default: "\"use_another_server\"",
        applies: Applies::OnReload,
        doc: "\"use_another_server\": clients are to use the other server for now (0x9C). \"server_moved\": they are to use it from now on (0x9D).",
        put: |config, value| {
            config.directions.moved = RedirectReason::of(value) == RedirectReason::ServerMoved;
        },
    },
    Key {
        path: "store.durability",
        kind: Kind::Word(Durability::WORDS),
        default: "\"disk\"",
        applies: Applies::OnReload,
        doc: "How long a message lasts that is acknowledged and waits for a client, or is retained. \"disk\": it is on the disk before it is acknowledged, and survives a power cut. \"os\": it is written, and nobody waits for the disk; it survives the end of the broker, and a power cut loses the last seconds. \"memory\": it is not written, and lasts as long as the broker runs. Messages with QoS 0 that are not retained are never written. Sessions and subscriptions are always on the disk before they are acknowledged.",
        put: |config, value| config.store.durability = Durability::of(value),
    },
    Key {
        path: "store.disk_topics",
        kind: Kind::Filters,
        default: "[]",
        applies: Applies::OnReload,
        doc: "Topics whose messages are of the class \"disk\", whatever durability says. Where a topic is in several of these lists, the class that lasts longest wins.",
        put: |config, value| config.store.disk_topics = value.filters(),
    },
    Key {
        path: "store.os_topics",
        kind: Kind::Filters,
        default: "[]",
        applies: Applies::OnReload,
        doc: "Topics whose messages are of the class \"os\".",
        put: |config, value| config.store.os_topics = value.filters(),
    },
    Key {
        path: "store.memory_topics",
        kind: Kind::Filters,
        default: "[]",
        applies: Applies::OnReload,
        doc: "Topics whose messages are of the class \"memory\": measurements that come again in a moment, and spare the disk.",
        put: |config, value| config.store.memory_topics = value.filters(),
    },
    Key {
        path: "store.sync_delay_ms_max",
        kind: Kind::Number(0, 10_000),
        default: "0",
        applies: Applies::OnReload,
        doc: "How long an acknowledgement may wait for others, in milliseconds, so that one sync of the disk serves them all: the disk is asked to sync once in this time at most. 0: at once; all that comes during one sync goes into the next, so that a busy broker gathers by itself. On an SD card or eMMC, which wears by the number of syncs, 100 to 1000 make it last longer. Nothing is acknowledged earlier.",
        put: |config, value| config.store.sync_delay_ms_max = value.number(),
    },
    Key {
        path: "store.medium",
        kind: Kind::Word(Medium::WORDS),
        default: "\"disk\"",
        applies: Applies::OnRestart,
        doc: "What the data directory lies on. \"disk\": a solid state drive or a hard disk; changes are gathered to 16 MiB before they are moved to their place, which writes the fewest bytes. \"card\": an SD card, eMMC or a USB stick; they are moved every 4 MiB, so that a slow medium makes nobody wait for long.",
        put: |config, value| config.store.medium = Medium::of(value),
    },
    Key {
        path: "store.queue_bytes_max",
        kind: Kind::BytesOrAuto(1 << 20, 1 << 50),
        default: "\"auto\"",
        applies: Applies::OnReload,
        doc: "Bytes in the store of all messages that wait for clients, together; one that waits for many counts once, and retained messages do not count. Above it, a message that would have to wait there finds the queue of its client full, and session.queue_full says what becomes of it; clients that keep up are served. \"auto\" is half of what the file system of the data directory has left, the store's own files included, and at least 64 MiB: so one client that never comes back does not fill the disk.",
        put: |config, value| {
            config.store.queue_bytes_max = (*value != Value::Auto).then(|| value.number());
        },
    },
    Key {
        path: "store.cache_bytes",
        kind: Kind::Bytes(1 << 20, 64 << 30),
        default: "\"8MiB\"",
        applies: Applies::OnRestart,
        doc: "Memory for parts of the store that are used often, beside limits.memory_bytes_max. More helps where a million topics are retained and change all the time.",
        put: |config, value| config.store.cache_bytes = value.number(),
    },
    Key {
        path: "log.level",
        kind: Kind::Word(LogLevel::WORDS),
        default: "\"info\"",
        applies: Applies::OnReload,
        doc: "The least important events that are logged. \"info\" tells of every client that comes and goes; \"warn\" only of what somebody should look at; \"debug\" explains the protocol packet by packet. `mqttd log level` changes it until the next restart or reload.",
        put: |config, value| config.log.level = LogLevel::of(value),
    },
    Key {
        path: "log.format",
        kind: Kind::Word(LogFormat::WORDS),
        default: "\"human\"",
        applies: Applies::OnRestart,
        doc: "\"human\": one line an event, time, level, what happened, then name=value. \"json\": one JSON object an event. The journal always gets fields.",
        put: |config, value| config.log.format = LogFormat::of(value),
    },
    Key {
        path: "log.target",
        kind: Kind::Word(LogTarget::WORDS),
        default: "\"auto\"",
        applies: Applies::OnRestart,
        doc: "Where the log goes. \"auto\": to the journal under systemd, to stderr in the foreground, and from `mqttd start` without systemd to syslog, or to the file when there is no syslog or with --home. A broker started that way has no stderr: there, \"stderr\" means the file.",
        put: |config, value| config.log.target = LogTarget::of(value),
    },
    Key {
        path: "log.file",
        kind: Kind::Text,
        default: "\"mqttd.log\"",
        applies: Applies::OnRestart,
        doc: "The file for target = \"file\". A relative path is below the log directory, /var/log/mqttd (DIR/log with --home DIR).",
        put: |config, value| {
            if let Value::Text(text) = value {
                config.log.file = text.into();
            }
        },
    },
    Key {
        path: "log.file_bytes_max",
        kind: Kind::Bytes(64 << 10, 1 << 40),
        default: "\"10MiB\"",
        applies: Applies::OnRestart,
        doc: "Size at which the file is renamed to FILE.1 (FILE.1 to FILE.2 …) and begun anew.",
        put: |config, value| config.log.file_bytes_max = value.number(),
    },
    Key {
        path: "log.files_max",
        kind: Kind::Number(0, 1000),
        default: "5",
        applies: Applies::OnRestart,
        doc: "Renamed files that are kept. With the defaults the log takes 60 MiB at most.",
        put: |config, value| config.log.files_max = value.number(),
    },
    Key {
        path: "server.shards",
        kind: Kind::Number(0, 1024),
        default: "0",
        applies: Applies::OnRestart,
        doc: "Threads that serve clients. 0: as many as there are processors.",
        put: |config, value| config.shards = value.number(),
    },
    Key {
        path: "server.user",
        kind: Kind::Text,
        default: "\"mqttd\"",
        applies: Applies::OnRestart,
        doc: "The user that a broker started by root without systemd becomes, once its ports are open. Under systemd, User= of the unit decides.",
        put: |config, value| {
            if let Value::Text(text) = value {
                config.user.clone_from(text);
            }
        },
    },
    Key {
        path: "server.stop_timeout_secs",
        kind: Kind::Number(1, 600),
        default: "10",
        applies: Applies::OnReload,
        doc: "Seconds that clients get at a stop to take what is already on its way to them.",
        put: |config, value| config.stop_timeout_secs = value.number(),
    },
];
