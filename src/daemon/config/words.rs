//! The values that are written as one of some words.
//!
//! Named by the table of keys; the first word of each is the one taken where nothing else fits.

use super::value::Value;
use crate::broker;

/// Defines such a value.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),*];
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// By its word.
            #[must_use]
            pub fn named(word: &str) -> Option<Self> {
                let index = Self::WORDS.iter().position(|known| *known == word)?;
                Self::ALL.get(index).copied()
            }

            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// From a value that was read with [`Self::WORDS`].
            pub(super) fn of(value: &Value) -> Self {
                let Value::Word(word) = value else { return Self::ALL[0] };
                Self::named(word).unwrap_or(Self::ALL[0])
            }
        }
    };
}

words! {
    /// Which clients need no credentials.
    Anonymous {
        /// Those that connect from a private address.
        Private = "private",
        /// None.
        Never = "never",
        /// All.
        Always = "always",
    }
}

words! {
    /// How a member of a Shared Subscription is chosen.
    SharedChoice {
        /// Whoever has the fewest messages before it.
        LeastBacklog = "least_backlog",
        /// In turn.
        RoundRobin = "round_robin",
        /// The same as for the last message.
        Sticky = "sticky",
        /// By the publisher's Client Identifier.
        HashPublisher = "hash_publisher",
    }
}

impl From<SharedChoice> for broker::SharedChoice {
    fn from(configured: SharedChoice) -> Self {
        match configured {
            SharedChoice::LeastBacklog => Self::LeastBacklog,
            SharedChoice::RoundRobin => Self::RoundRobin,
            SharedChoice::Sticky => Self::Sticky,
            SharedChoice::HashPublisher => Self::HashPublisher,
        }
    }
}

words! {
    /// How long a message lasts once it is acknowledged.
    Durability {
        /// As long as the disk.
        Disk = "disk",
        /// As long as the operating system.
        Os = "os",
        /// As long as the process.
        Memory = "memory",
    }
}

impl From<Durability> for broker::Class {
    fn from(configured: Durability) -> Self {
        match configured {
            Durability::Disk => Self::Disk,
            Durability::Os => Self::Os,
            Durability::Memory => Self::Memory,
        }
    }
}

words! {
    /// What the store lies on.
    Medium {
        /// A solid state drive or a hard disk.
        Disk = "disk",
        /// An SD card, eMMC, or a USB stick.
        Card = "card",
    }
}

words! {
    /// Whether a payload is looked at.
    PayloadFormat {
        /// No.
        Unchecked = "unchecked",
        /// It must be UTF-8 where its sender says so.
        Checked = "checked",
    }
}

words! {
    /// What a full queue does with one more message.
    QueueFull {
        /// It is dropped.
        DropNewest = "drop_newest",
        /// Those that wait longest are.
        DropOldest = "drop_oldest",
        /// Its publisher is told.
        Refuse = "refuse",
    }
}

impl From<QueueFull> for broker::QueueFull {
    fn from(configured: QueueFull) -> Self {
        match configured {
            QueueFull::DropNewest => Self::DropNewest,
            QueueFull::DropOldest => Self::DropOldest,
            QueueFull::Refuse => Self::Refuse,
        }
    }
}

words! {
    /// When clients are sent to another server.
    RedirectWhen {
        /// When this one stops.
        Stopping = "stopping",
        /// As long as this is set.
        Now = "now",
    }
}

words! {
    /// What clients are told of another server.
    RedirectReason {
        /// To use it for now.
        UseAnotherServer = "use_another_server",
        /// To use it from now on.
        ServerMoved = "server_moved",
    }
}

words! {
    /// How important an event is.
    LogLevel {
        /// Something failed.
        Error = "error",
        /// Somebody should look at it.
        Warn = "warn",
        /// What happens in the life of the broker and its clients.
        Info = "info",
        /// Why the protocol did what it did.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// How a line of the log looks.
    LogFormat {
        /// For people.
        Human = "human",
        /// For programs: one JSON object a line.
        Json = "json",
    }
}

words! {
    /// Where the log goes.
    LogTarget {
        /// Where it belongs, by the way the broker was started.
        Auto = "auto",
        /// systemd's journal.
        Journal = "journal",
        /// syslog.
        Syslog = "syslog",
        /// A file, with rotation.
        File = "file",
        /// Standard error.
        Stderr = "stderr",
    }
}
