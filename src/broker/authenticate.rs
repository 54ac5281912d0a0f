//! AUTH from a client that is let in: it proves anew who it is.
//!
//! Meanwhile the session goes on under the old name. (The authentication that lets a client in is
//! over before its shard hears of it: `introduction`.)

use super::receive::After;
use super::{ConnectionId, Departure, Event, Shard};
use crate::codec::{Auth, Packet, PropertiesBuf, ReasonCode};
use crate::session::{Applicant, Grant, Step, Violation};

impl Shard {
    /// AUTH 0x19, and the answers that follow it.
    pub(super) fn auth(&mut self, id: ConnectionId, auth: &Auth<'_>) -> Result<After, Violation> {
        let Some(session) = self.desk.roster.connected_mut(id) else {
            return Ok(After::Closed);
        };
        let Some(link) = &mut session.link else {
            return Ok(After::Closed);
        };
        // `[MQTT-4.12.0-7]`
        let authentication = link.authentication.as_mut().ok_or(Violation::AuthWithoutMethod)?;
        let applicant = Applicant {
            client_id: &session.client_id,
            username: session.username.as_deref(),
            peer: link.peer,
        };
        match authentication.receive(auth, &applicant)? {
            Step::Continue(data) => {
                self.answer_auth(id, ReasonCode::ContinueAuthentication, data.as_deref());
            }
            Step::Granted(Grant { username, data }) => {
                session.username.clone_from(&username);
                let client_id = session.client_id.clone();
                self.answer_auth(id, ReasonCode::Success, data.as_deref());
                self.desk.trays.note(Event::Reauthenticated { client_id, username });
            }
            // `[MQTT-4.12.1-2]`
            Step::Refused(denial) => {
                self.end_connection(id, Departure::AuthenticationFailed(denial));
                return Ok(After::Closed);
            }
        }
        Ok(After::Open)
    }

    /// The exchange has made sure that the client can take it.
    fn answer_auth(&mut self, id: ConnectionId, reason: ReasonCode, data: Option<&[u8]>) {
        let link = self.desk.roster.link_mut(id);
        // `[MQTT-4.12.0-6]`
        let Some(authentication) = link.and_then(|link| link.authentication.as_ref()) else {
            return;
        };
        let mut properties = PropertiesBuf::default();
        authentication.write(data, &mut properties);
        let auth = Auth { reason, properties: properties.as_properties() };
        self.desk.send(id.slot, &Packet::Auth(auth));
    }
}
