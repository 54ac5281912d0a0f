//! Enhanced authentication (section 4.12 of 5.0): what a method is, and where the exchange of one
//! connection stands.
//!
//! A method lives elsewhere and comes as a value behind [`Method`]. [`Authentication`] is the
//! protocol around it: who may say what, under which name, and how often. The broker drives it,
//! before a client is let in and again when the client proves anew who it is. It neither waits nor
//! sends, and knows no user and no secret.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Violation;
use crate::codec::{
    Auth, Packet, PropertiesBuf, Property, ReasonCode, STRING_BYTES_MAX, Version, encode,
};

/// AUTH packets the server sends in one exchange at most. SCRAM needs one, Kerberos two or three:
/// a method that goes on and on is broken, or somebody plays with it.
const ROUNDS_MAX: u8 = 16;

/// A way to prove who one is, as `SCRAM-SHA-256`. Shared by all connections.
pub trait Method: Send + Sync {
    /// What clients write into Authentication Method.
    fn name(&self) -> &str;

    /// A new exchange; nothing of it was heard yet.
    fn begin(&self, applicant: &Applicant<'_>) -> Box<dyn Exchange>;
}

/// One run of a [`Method`]. It is dropped when it has granted or refused, and when its connection
/// ends.
pub trait Exchange: Send {
    /// Takes the Authentication Data of the client's next packet, the first time that of CONNECT
    /// or of the AUTH that asks for a re-authentication; 65 535 bytes at most. Called while a
    /// shard is held, so it does not wait.
    fn step(&mut self, data: Option<&[u8]>) -> Step;
}

/// Who wants in.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// Client Identifier, made by the server when the client has sent none.
    pub client_id: &'a str,
    /// User Name: a mere claim when it stood in CONNECT, else what the last exchange granted.
    pub username: Option<&'a str>,
    /// Address of the peer.
    pub peer: SocketAddr,
}

/// What an exchange answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// AUTH 0x18 with this Authentication Data; the client has the next word.
    Continue(Option<Vec<u8>>),
    /// The client is who it says it is.
    Granted(Grant),
    /// It is not, or it cannot be told.
    Refused(Denial),
}

/// What a granted exchange is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The user from now on. `None`: a user without a name; what CONNECT claimed is not kept.
    pub username: Option<Box<str>>,
    /// Last Authentication Data for the client.
    pub data: Option<Vec<u8>>,
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Denial {
    /// The Reason Code for CONNACK or DISCONNECT; one that does not belong there is told as 0x87
    /// Not authorized.
    pub reason: ReasonCode,
    /// For the log and the client's Reason String: nothing that helps to guess.
    pub why: &'static str,
}

/// The methods a server knows, by name.
#[derive(Clone, Default)]
pub struct Methods(Vec<Arc<dyn Method>>);

/// The enhanced authentication of one connection: its method, and the exchange that runs.
pub struct Authentication {
    method: Arc<dyn Method>,
    /// The client's Maximum Packet Size.
    packet_bytes_max: u32,
    running: Option<Running>,
}

struct Running {
    exchange: Box<dyn Exchange>,
    rounds: u8,
}

impl Methods {
    /// Adds a method; of two with one name the first counts.
    #[must_use]
    pub fn with(mut self, method: Arc<dyn Method>) -> Self {
        self.0.push(method);
        self
    }

    /// The method of a name, byte for byte.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Method>> {
        self.0.iter().find(|method| method.name() == name)
    }
}

impl Authentication {
    /// Begins with the Authentication Data of CONNECT.
    #[must_use]
    pub fn begin(
        method: Arc<dyn Method>,
        packet_bytes_max: u32,
        applicant: &Applicant<'_>,
        data: Option<&[u8]>,
    ) -> (Self, Step) {
        let mut authentication = Self { method, packet_bytes_max, running: None };
        let step = authentication.start(applicant, data);
        (authentication, step)
    }

    /// AUTH from the client: the answer that is due `[MQTT-4.12.0-3]`, or the wish to prove anew
    /// who it is `[MQTT-4.12.1-1]`. One exchange at a time.
    ///
    /// # Errors
    /// Another method than that of CONNECT, or none `[MQTT-4.12.0-5]`; an AUTH that is not due.
    pub fn receive(
        &mut self,
        auth: &Auth<'_>,
        applicant: &Applicant<'_>,
    ) -> Result<Step, Violation> {
        let name = auth.properties.authentication_method();
        if name.ok_or(Violation::AuthenticationMethodMissing)? != self.method.name() {
            return Err(Violation::AuthenticationMethodChanged);
        }
        let data = auth.properties.authentication_data();
        match self.running.take() {
            Some(running) if auth.reason == ReasonCode::ContinueAuthentication => {
                Ok(self.advance(running, data))
            }
            None if auth.reason == ReasonCode::ReAuthenticate => Ok(self.start(applicant, data)),
            Some(_) | None => Err(Violation::UnexpectedAuth),
        }
    }

    /// What CONNACK and every AUTH carry: the method that CONNECT named `[MQTT-4.12.0-5]`, and
    /// data. No Reason String and no User Property, so nothing that a client could have declined
    /// `[MQTT-3.1.2-29]` or that could be left out of a packet that is too large
    /// `[MQTT-3.15.2-2]` `[MQTT-3.15.2-3]`.
    pub fn write(&self, data: Option<&[u8]>, properties: &mut PropertiesBuf) {
        properties.push(Property::AuthenticationMethod(self.method.name()));
        if let Some(data) = data {
            properties.push(Property::AuthenticationData(data));
        }
    }

    fn start(&mut self, applicant: &Applicant<'_>, data: Option<&[u8]>) -> Step {
        let exchange = self.method.begin(applicant);
        self.advance(Running { exchange, rounds: 0 }, data)
    }

    fn advance(&mut self, mut running: Running, data: Option<&[u8]>) -> Step {
        let step = running.exchange.step(data);
        match &step {
            Step::Continue(data) | Step::Granted(Grant { data, .. }) if !self.fits(data) => {
                return Step::Refused(Denial::TOO_LARGE);
            }
            Step::Continue(_) if running.rounds == ROUNDS_MAX => {
                return Step::Refused(Denial::TOO_MANY_ROUNDS);
            }
            Step::Continue(_) => {
                running.rounds += 1;
                self.running = Some(running);
            }
            Step::Granted(_) | Step::Refused(_) => {}
        }
        step
    }

    /// Whether an AUTH with this data can be written, and is within the client's Maximum Packet
    /// Size `[MQTT-3.1.2-24]`.
    fn fits(&self, data: &Option<Vec<u8>>) -> bool {
        if data.as_ref().is_some_and(|data| data.len() > STRING_BYTES_MAX) {
            return false;
        }
        let (mut properties, mut packet) = (PropertiesBuf::default(), Vec::new());
        self.write(data.as_deref(), &mut properties);
        let reason = ReasonCode::ContinueAuthentication;
        let auth = Auth { reason, properties: properties.as_properties() };
        encode(&Packet::Auth(auth), Version::V5, &mut packet);
        packet.len() <= self.packet_bytes_max as usize
    }
}

impl Denial {
    const TOO_MANY_ROUNDS: Self = Self {
        reason: ReasonCode::NotAuthorized,
        why: "the authentication came to no end within 16 rounds",
    };
    const TOO_LARGE: Self = Self {
        reason: ReasonCode::ImplementationSpecificError,
        why: "the authentication needs a packet above what the client takes",
    };
    /// For the deadline of the lobby.
    pub const TOO_LATE: Self = Self {
        reason: ReasonCode::NotAuthorized,
        why: "the authentication was not complete in time",
    };
}

impl fmt::Debug for Methods {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.iter().map(|method| method.name())).finish()
    }
}

/// Names alone: what an exchange holds is secret.
impl fmt::Debug for Authentication {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authentication")
            .field("method", &self.method.name())
            .field("rounds", &self.running.as_ref().map(|running| running.rounds))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::PACKET_BYTES_MAX;

    /// Asks for as many answers as its name says, and grants.
    struct Countdown(&'static str);

    struct Left(usize);

    impl Method for Countdown {
        fn name(&self) -> &str {
            self.0
        }

        fn begin(&self, _: &Applicant<'_>) -> Box<dyn Exchange> {
            Box::new(Left(self.0.parse().expect("a number")))
        }
    }

    impl Exchange for Left {
        fn step(&mut self, data: Option<&[u8]>) -> Step {
            if self.0 == 0 {
                return Step::Granted(Grant::default());
            }
            self.0 -= 1;
            Step::Continue(data.map(<[u8]>::to_vec))
        }
    }

    const APPLICANT: Applicant<'_> = Applicant {
        client_id: "c",
        username: None,
        peer: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1),
    };

    fn begin(rounds: &'static str, bytes_max: u32, data: Option<&[u8]>) -> (Authentication, Step) {
        Authentication::begin(Arc::new(Countdown(rounds)), bytes_max, &APPLICANT, data)
    }

    fn receive(
        authentication: &mut Authentication,
        reason: ReasonCode,
        properties: &[Property<'_>],
    ) -> Result<Step, Violation> {
        let mut list = PropertiesBuf::default();
        properties.iter().for_each(|property| list.push(*property));
        authentication.receive(&Auth { reason, properties: list.as_properties() }, &APPLICANT)
    }

    const CONTINUE: ReasonCode = ReasonCode::ContinueAuthentication;
    const AGAIN: ReasonCode = ReasonCode::ReAuthenticate;

    /// `[MQTT-4.12.0-3]` `[MQTT-4.12.1-1]`
    #[test]
    fn an_answer_is_due_while_an_exchange_runs_and_a_new_exchange_when_none_does() {
        let method = [Property::AuthenticationMethod("1")];
        for reason in [AGAIN, ReasonCode::Success] {
            let (mut authentication, step) = begin("1", PACKET_BYTES_MAX, None);
            assert_eq!(step, Step::Continue(None));
            let result = receive(&mut authentication, reason, &method);
            assert_eq!(result, Err(Violation::UnexpectedAuth));
        }
        let (mut authentication, _) = begin("1", PACKET_BYTES_MAX, None);
        let granted = Ok(Step::Granted(Grant::default()));
        assert_eq!(receive(&mut authentication, CONTINUE, &method), granted);
        for reason in [CONTINUE, ReasonCode::Success] {
            let result = receive(&mut authentication, reason, &method);
            assert_eq!(result, Err(Violation::UnexpectedAuth));
        }
        assert_eq!(receive(&mut authentication, AGAIN, &method), Ok(Step::Continue(None)));
        assert_eq!(receive(&mut authentication, CONTINUE, &method), granted);
    }

    /// `[MQTT-4.12.0-5]`
    #[test]
    fn every_packet_names_the_method_of_connect() {
        let (mut authentication, _) = begin("1", PACKET_BYTES_MAX, None);
        assert_eq!(
            receive(&mut authentication, CONTINUE, &[]),
            Err(Violation::AuthenticationMethodMissing)
        );
        let other = [Property::AuthenticationMethod("2")];
        assert_eq!(
            receive(&mut authentication, CONTINUE, &other),
            Err(Violation::AuthenticationMethodChanged)
        );
        let mut properties = PropertiesBuf::default();
        authentication.write(Some(b"x"), &mut properties);
        assert_eq!(properties.as_properties().as_bytes(), b"\x15\0\x011\x16\0\x01x");
    }

    #[test]
    fn an_exchange_has_an_end() {
        for (rounds, granted) in [("16", true), ("17", false)] {
            let (mut authentication, mut step) = begin(rounds, PACKET_BYTES_MAX, None);
            let mut count = 0;
            while matches!(step, Step::Continue(_)) {
                count += 1;
                let method = [Property::AuthenticationMethod(rounds)];
                step = receive(&mut authentication, CONTINUE, &method).expect("an answer is due");
            }
            assert_eq!(count, 16);
            assert_eq!(matches!(step, Step::Granted(_)), granted);
            assert!(authentication.running.is_none());
        }
    }

    /// `[MQTT-3.1.2-24]`: AUTH with 4 bytes of data and a method of 1 has 15.
    #[test]
    fn what_the_client_cannot_take_ends_the_exchange() {
        assert_eq!(begin("1", 15, Some(b"1234")).1, Step::Continue(Some(b"1234".to_vec())));
        assert_eq!(begin("1", 14, Some(b"1234")).1, Step::Refused(Denial::TOO_LARGE));
        let huge = vec![0; STRING_BYTES_MAX + 1];
        let (_, step) = begin("1", PACKET_BYTES_MAX, Some(&huge));
        assert_eq!(step, Step::Refused(Denial::TOO_LARGE));
    }

    #[test]
    fn nothing_of_an_exchange_is_printed() {
        let (authentication, _) = begin("1", PACKET_BYTES_MAX, None);
        let printed = format!("{authentication:?}");
        assert_eq!(printed, "Authentication { method: \"1\", rounds: Some(1), .. }");
    }
}
