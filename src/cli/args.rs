//! The command line: verbs and options, with the words of their help.
//!
//! The man pages, the completions and `mqttd help` come from here. The operator's nouns are
//! added from `admin`'s tables by `nouns`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use super::keep::{ExportArgs, ImportArgs, RestoreArgs, StoreVerb};
use super::mqtt::{PUB_EXAMPLES, PubArgs, SUB_EXAMPLES, SubArgs};

/// Options every verb takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "General options")]
pub(super) struct Globals {
    /// Print one JSON object instead of text
    ///
    /// The same object for every verb: ok, action, changed, state, pid, managed_by, version,
    /// error {code, message, hint} and, where there is one, result. Verbs that go on (sub, log
    /// tail, a console script) print one such object a line. The exit code is the same as without.
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Print errors only
    #[arg(long, global = true)]
    pub(super) quiet: bool,

    /// Use the instance that lives under DIR instead of the installed one
    ///
    /// Everything of that instance is there: DIR/mqttd.toml (may be absent), DIR/data, DIR/run
    /// with its control socket, DIR/log. Any user can run one; it never touches the installed
    /// service.
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) home: Option<PathBuf>,

    /// Read this configuration file instead of /etc/mqttd/mqttd.toml
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,

    /// Wait this long at most, in seconds
    ///
    /// Default: 60 for start and restart, 30 for stop, 5 for an answer of the daemon.
    #[arg(long, global = true, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) timeout: Option<u64>,

    /// Never go through systemd, even where it manages mqttd
    ///
    /// The same as MQTTD_NO_SYSTEMD=1 in the environment.
    #[arg(long, global = true)]
    pub(super) no_systemd: bool,
}

/// An MQTT broker for Debian and Ubuntu
///
/// mqttd is a broker for MQTT 3.1, 3.1.1 and 5.0, and the command that operates it. The package
/// starts it and keeps it running; the verbs here start, stop, question and change it, by hand or
/// through systemd, whichever is in charge.
#[derive(Debug, Parser)]
#[command(
    name = "mqttd",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = false,
    after_long_help = AFTER
)]
pub(super) struct Line {
    #[command(flatten)]
    pub(super) globals: Globals,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Start the broker in the background
    ///
    /// Returns when clients can connect, or with the broker's own reason why they cannot; then
    /// nothing is left running. Where systemd manages mqttd this is `systemctl start mqttd`.
    /// A broker that runs already is left alone, and that is no error. Says how far it is while
    /// much is restored from the store, and in the end what was.
    #[command(after_long_help = "Examples:\n  sudo mqttd start\n  mqttd --home ~/broker start")]
    Start(BootArgs),

    /// Stop the broker in order
    ///
    /// Clients of MQTT 5.0 are told, what is to be sent is sent, then the process ends. One that
    /// does not end in time (--timeout, 30 s) is terminated, 10 s later killed, and that is said.
    /// A broker that is stopped already is no error.
    #[command(after_long_help = "Examples:\n  sudo mqttd stop\n  sudo mqttd stop --timeout 5")]
    Stop,

    /// Stop the broker and start it again
    ///
    /// The configuration is checked first: with an error in it the running broker is left alone
    /// and the exit code is 6. Starts a broker that is not running.
    #[command(after_long_help = "Examples:\n  sudo mqttd restart")]
    Restart(BootArgs),

    /// Open a prompt on the running broker, or boot one with a prompt
    ///
    /// Joins the broker when one is running: leaving (exit, Ctrl-D) does not stop it. When none is
    /// running, boots one in this terminal: leaving stops that one. The log is shown above the
    /// prompt; Tab completes verbs, client identifiers and topics. Commands from a pipe are run
    /// without a prompt, up to the first that fails, whose exit code is that of the console.
    #[command(
        after_long_help = "Examples:\n  mqttd console\n  echo 'clients list' | mqttd console"
    )]
    Console(BootArgs),

    /// Run the broker in this process
    ///
    /// This is what the systemd unit and containers run. Logs go to stderr unless the
    /// configuration says otherwise; Ctrl-C or SIGTERM stops it in order.
    #[command(after_long_help = "Examples:\n  mqttd --home /tmp/broker foreground")]
    Foreground(BootArgs),

    /// Ask whether the broker answers: pong
    ///
    /// Exit codes: 0 it answers, 1 it died and left its pid file, 3 it is not running, 4 it is
    /// starting, which it says, or unknown (no permission, or no answer in time).
    #[command(
        after_long_help = "Examples:\n  mqttd ping\n  mqttd ping --wait 30 && ./publish-something"
    )]
    Ping {
        /// Wait up to SECS seconds until it answers
        #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(0..=86_400))]
        wait: Option<u64>,
    },

    /// Show how the broker is doing
    ///
    /// Process, listeners, clients, messages, memory and limits. Exit codes as for ping.
    #[command(after_long_help = "Examples:\n  mqttd status\n  mqttd status --json")]
    Status,

    /// Read the configuration again
    ///
    /// What can change in a running broker changes, without a client noticing; the rest is named
    /// and waits for a restart. With an error in the configuration nothing changes and the exit
    /// code is 6. Exit code 7 when the broker is not running.
    #[command(after_long_help = "Examples:\n  sudo mqttd check-config && sudo mqttd reload")]
    Reload,

    /// Check the configuration and change nothing
    ///
    /// All errors in one run, each with file, line and key. Exit code 6 when there is one.
    #[command(after_long_help = "Examples:\n  mqttd check-config\n  mqttd check-config --dump")]
    CheckConfig {
        /// Print the configuration in effect, defaults included
        #[arg(long)]
        dump: bool,
    },

    /// Show the version of this command and of the running broker
    #[command(after_long_help = "Examples:\n  mqttd version\n  mqttd version --daemon")]
    Version {
        /// Print the version of the running broker only; exit code 7 when none is running
        #[arg(long)]
        daemon: bool,
    },

    /// Publish a message as an MQTT client
    ///
    /// The message is a text, a file, or what comes on standard input. QoS 1 and 2 return when
    /// the broker has acknowledged. Without --host, the broker of this machine (or of --home) is
    /// used.
    #[command(disable_help_flag = true, after_long_help = PUB_EXAMPLES)]
    Pub(PubArgs),

    /// Subscribe as an MQTT client and print what arrives
    ///
    /// Prints each message until Ctrl-C, or until --count messages came; ends with exit code 1 when
    /// the broker ends the connection. With --json each line is an object whose result is the
    /// message: topic, qos, retain, dup, payload (or payload_base64 when it is no text),
    /// received_unix_ms and, with MQTT 5.0, properties. Without --host, the broker of this machine
    /// (or of --home) is used.
    #[command(disable_help_flag = true, after_long_help = SUB_EXAMPLES)]
    Sub(SubArgs),

    /// Copy all that is kept into a file, while the broker runs
    ///
    /// Sessions, subscriptions, messages that wait, and retained messages, as they are at one
    /// moment; the broker serves its clients meanwhile. It makes the copy in its data directory,
    /// which needs as much room there as the store has, and hands it to this command, which writes
    /// FILE with the rights of the user. FILE is a new one, or `-` for standard output. While it is
    /// not whole it is called FILE.part.
    #[command(after_long_help = BACKUP_EXAMPLES)]
    Backup {
        /// Where to write; `-` for standard output
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },

    /// Take a backup back: all of it while the broker is stopped, or parts while it runs
    ///
    /// Without an option FILE takes the place of the store. The broker must be stopped; the store
    /// that was there is kept beside the new one, as mqttd.db.before-restore. FILE is read whole
    /// and checked before anything is changed. With --retained, --sessions or --client these parts
    /// of FILE go into the running broker. What is there already is left alone, unless --replace
    /// is given. Clients that subscribe to a topic whose retained message comes back receive it.
    #[command(after_long_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),

    /// Write what is kept as lines of JSON
    ///
    /// One object a line: retained messages, sessions, messages that wait. Without an option all of
    /// them. It is what the broker keeps on disk at one moment: a running broker hands out a copy
    /// of its store, which is read by this command. Sessions that end with their connection are
    /// not kept. The format is described in /usr/share/doc/mqttd/backup.md.
    #[command(after_long_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),

    /// Take lines of an export into the running broker
    ///
    /// All lines of a file are checked before the first is taken in. What is there already is left
    /// alone, unless --replace is given: then the session that is there ends, with its connection,
    /// and the retained message is replaced. Clients that subscribe to a topic whose retained
    /// message comes receive it. Returns when all of it is on the disk.
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),

    /// Check or repair the store of a stopped broker
    #[command(subcommand)]
    Store(StoreVerb),
}

/// What booting takes.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct BootArgs {
    /// Run as this user (by hand, started by root)
    ///
    /// Default: the configured user, mqttd. `root` allows staying root, which is not recommended.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub(super) user: Option<String>,
}

const BACKUP_EXAMPLES: &str = "\
Examples:
  mqttd backup /var/backups/mqttd-$(date +%F)
  ssh server mqttd backup - > server.mqttd";

const RESTORE_EXAMPLES: &str = "\
Examples:
  sudo mqttd stop && sudo mqttd restore mqttd-2026-11-24 && sudo mqttd start
  mqttd restore mqttd-2026-11-24 --retained
  mqttd restore mqttd-2026-11-24 --client attic-sensor --replace";

const EXPORT_EXAMPLES: &str = "\
Examples:
  mqttd export --retained | jq -r .retained.topic
  mqttd export everything.jsonl
  mqttd export --from mqttd-2026-11-24 --client attic-sensor";

const IMPORT_EXAMPLES: &str = "\
Examples:
  mqttd import everything.jsonl
  ssh server mqttd export --retained | mqttd import -";

const AFTER: &str = "\
Exit status:
  0  done, or already so
  1  failed; from status and ping: dead, but its pid file is left
  2  wrong use of the command line
  3  from status and ping: not running
  4  not permitted; from status and ping: unknown (no permission, no answer in time)
  6  the configuration is invalid or missing
  7  not running, and the verb needs a running broker
  65 the store is damaged, of a newer version or not ours: trying again does not mend it

Environment:
  MQTTD_NO_SYSTEMD  1: never go through systemd
  MQTTD_PASSWORD    password for pub and sub
  NO_COLOR          no colours

Files:
  /etc/mqttd/mqttd.toml, /etc/mqttd/conf.d/*.toml  configuration
  /var/lib/mqttd                                   data
  /run/mqttd/mqttd.sock                            control socket
  /var/log/mqttd                                   log files, where they are configured

Examples:
  mqttd ping
  mqttd status
  mqttd sub -t 'house/#' -v
  mqttd pub -t house/door -m open
  mqttd clients list
  sudo mqttd restart";
