//! `$SYS`: which topics are the broker's own. Its values come from `server/status`.

use super::{Now, Shard};
use crate::codec::{Properties, QoS};
use crate::session::Content;

/// Whether only the broker may publish to a topic: all of `$SYS`, but for the topics where bridges
/// tell whether they are connected, `$SYS/broker/connection/{name}/state`, as mosquitto has it.
pub(super) fn is_reserved(topic: &str) -> bool {
    let Some(below) = topic.strip_prefix("$SYS") else { return false };
    let bridge = below.strip_prefix("/broker/connection/");
    let name = bridge.and_then(|rest| rest.strip_suffix("/state"));
    (below.is_empty() || below.starts_with('/'))
        && name.is_none_or(|name| name.is_empty() || name.contains('/'))
}

impl Shard {
    /// Publishes a value of the broker's status: retained, QoS 0, as what was missed is replaced
    /// by the next. An empty one removes it.
    pub fn publish_status(&mut self, topic: &str, value: &str, now: Now) {
        self.begin(now);
        let (properties, payload) = (Properties::EMPTY, value.as_bytes());
        let content = Content { topic, properties, payload, expires_ms: None };
        self.route(None, content, QoS::AtMostOnce, true);
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_is_the_brokers_own_but_for_the_state_of_bridges() {
        for own in ["$SYS", "$SYS/", "$SYS/broker/uptime", "$SYS/broker/connection/a/b/state"] {
            assert!(is_reserved(own), "{own}");
        }
        for free in ["$SYSTEM", "a/$SYS/b", "$share", "$SYS/broker/connection/b/state", "$sys/a"] {
            assert!(!is_reserved(free), "{free}");
        }
    }
}
