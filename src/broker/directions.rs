//! What the server tells its clients of where to go: to another server, and where answers go.
//!
//! Kept in the commons beside the limits; read when a client comes or is sent away. `daemon` fills
//! it from `[redirect]` and `[session]` of the configuration.

use super::{Departure, Refusal};

/// Other servers, and topics for answers. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// Server Reference: another server for the clients of this one, as `host` or `host:port`,
    /// several with a space between; [`crate::codec::STRING_BYTES_MAX`] bytes at most.
    pub server_reference: Option<Box<str>>,
    /// Whether clients are to remember the other server (0x9D) and not only to use it (0x9C).
    pub moved: bool,
    /// Response Information for those who request it; `{client_id}` stands for the Client
    /// Identifier.
    pub response_information: Option<Box<str>>,
}

/// Stands for the Client Identifier in the template of Response Information.
const CLIENT_ID: &str = "{client_id}";

impl Directions {
    /// How a client is refused by a server that serves nobody.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match (&self.server_reference, self.moved) {
            (Some(_), true) => Refusal::ServerMoved,
            (Some(_), false) => Refusal::UseAnotherServer,
            (None, _) => Refusal::ServerShuttingDown,
        }
    }

    /// How a client's connection is ended by a server that serves nobody any more.
    pub(super) const fn departure(&self) -> Departure {
        match (&self.server_reference, self.moved) {
            (Some(_), true) => Departure::ServerMoved,
            (Some(_), false) => Departure::UseAnotherServer,
            (None, _) => Departure::ServerShuttingDown,
        }
    }

    /// Response Information for one client; `None` where there is none, or where the identifier
    /// would make a topic of it that nobody can publish to.
    #[must_use]
    pub fn response_information_for(&self, client_id: &str) -> Option<String> {
        let template = self.response_information.as_deref()?;
        if !template.contains(CLIENT_ID) {
            return Some(template.to_owned());
        }
        if client_id.contains(['+', '#']) {
            return None;
        }
        let filled = template.replace(CLIENT_ID, client_id);
        (filled.len() <= crate::codec::STRING_BYTES_MAX).then_some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_information_names_the_client_where_a_topic_can() {
        let of = |template: &str| Directions {
            response_information: Some(template.into()),
            ..Directions::default()
        };
        assert_eq!(Directions::default().response_information_for("a"), None);
        let answers = of("answers/{client_id}/");
        assert_eq!(answers.response_information_for("a").as_deref(), Some("answers/a/"));
        assert_eq!(answers.response_information_for("a/#"), None);
        assert_eq!(answers.response_information_for(&"a".repeat(65_535)), None);
        assert_eq!(of("answers/").response_information_for("a/#").as_deref(), Some("answers/"));
    }
}
