//! A connection until it has said who it is: CONNECT, the exchange of an enhanced authentication,
//! and the decision.
//!
//! Bytes in, a word out: [`Introduction::hear`] is offered what has come and says what is to be
//! done. The lobby drives it with a socket, and the deadline, which spans all of it, is the
//! lobby's. It has no part in what follows: sessions, takeover and CONNACK are the shard's, so that a
//! stranger who cannot prove who he is disconnects nobody.

use std::net::SocketAddr;
use std::sync::Arc;

use super::farewell::violation_connack;
use super::{Admission, Directions, Limits, Refusal};
use crate::codec::{
    Auth, Connect, DecodeError, Frame, Packet, PropertiesBuf, ReasonCode, Version, decode, encode,
};
use crate::session::{
    Applicant, Authentication, Denial, Grant, Methods, PeerLimits, Step, Violation,
};

/// CONNECT is the first packet, and nothing else may be `[MQTT-3.1.0-1]`.
const CONNECT: u8 = 0x10;
const DISCONNECT_TYPE: u8 = 14;
const AUTH_TYPE: u8 = 15;

/// Who has not said who they are may not make the server hold more than a CONNECT needs: five
/// fields of 64 KiB and some properties.
const PACKET_BYTES_MAX: u32 = 512 * 1024;

/// What the server says of whoever wants in.
pub trait Reception {
    /// The limits in force.
    fn limits(&self) -> Arc<Limits>;

    /// The methods of enhanced authentication.
    fn methods(&self) -> &Methods;

    /// Where clients are sent that are not let in for lack of service.
    fn directions(&self) -> Arc<Directions>;

    /// Makes a Client Identifier for a client that sent none.
    fn client_id(&self) -> Box<str>;

    /// Whether such a CONNECT may come in at all: the address, the number of connections.
    ///
    /// # Errors
    /// Why not.
    fn admits(&self, connect: &Connect<'_>) -> Result<(), Refusal>;
}

/// What is to be done. Whoever is turned away is not heard any more `[MQTT-3.1.4-6]`.
#[derive(Debug)]
pub enum Heard {
    /// Nothing, until more bytes have come.
    More,
    /// This AUTH is to be sent; then more will come.
    Challenge(Vec<u8>),
    /// The client is to be handed to its home shard. What is left of the bytes is for the shard.
    Admitted(Box<Admission>),
    /// The client is not let in: CONNACK, and the connection is closed.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Client Identifier, as sent.
        client_id: Box<str>,
        /// The bytes that tell it.
        connack: Vec<u8>,
    },
    /// The client broke the standard: the connection is closed.
    Violated {
        /// How.
        violation: Violation,
        /// The bytes that tell it; empty where the standard has no answer.
        connack: Vec<u8>,
    },
    /// The first packet is no CONNECT: the connection is closed without a word.
    NoConnect,
    /// The client gave up.
    Goodbye,
}

/// One connection on its way in.
#[derive(Debug)]
pub struct Introduction {
    peer: SocketAddr,
    /// Its CONNECT, while the exchange runs.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    admission: Box<Admission>,
    authentication: Box<Authentication>,
}

impl Introduction {
    /// A connection on which nothing was said.
    #[must_use]
    pub const fn new(peer: SocketAddr) -> Self {
        Self { peer, pending: None }
    }

    /// Looks at what has come; returns how many bytes it used, and what is to be done. After
    /// [`Heard::Challenge`] it is to be called again, with what is left and what comes then.
    pub fn hear(&mut self, bytes: &[u8], reception: &impl Reception) -> (usize, Heard) {
        if let Some(heard) = bytes.first().and_then(|&first| self.out_of_turn(first)) {
            return (0, heard);
        }
        let packet_bytes_max = reception.limits().packet_bytes_max.min(PACKET_BYTES_MAX);
        let frame = match Frame::split(bytes, packet_bytes_max) {
            Ok(Some(frame)) => frame,
            Ok(None) => return (0, Heard::More),
            Err(error) => return (0, self.unreadable(error, bytes)),
        };
        let heard = match self.pending.take() {
            None => self.connect(frame, reception),
            Some(pending) => self.auth(pending, frame, reception),
        };
        let next = bytes.get(frame.len).copied();
        (frame.len, heard.unless_talked_on(next))
    }

    /// The time is up: the CONNACK to be sent, empty when nobody has asked for one.
    #[must_use]
    pub fn expire(self) -> Vec<u8> {
        self.pending.map_or_else(Vec::new, |pending| {
            let refusal = Refusal::AuthenticationFailed(Denial::TOO_LATE);
            let (version, limits) = (pending.admission.version, pending.admission.limits);
            refusal.connack(version, limits, &Directions::default())
        })
    }

    /// There is no memory for the rest of a packet: the Client Identifier where it is known, and the
    /// CONNACK to be sent, where a 5.0 client can be told by what has come.
    #[must_use]
    pub fn no_room(&mut self, bytes: &[u8]) -> (Box<str>, Vec<u8>) {
        let refusal = Refusal::PartialPacketsFull;
        let frame = Frame::begun(bytes);
        let pending = self.pending.take();
        let (version, limits) = match &pending {
            Some(pending) => (Some(pending.admission.version), pending.admission.limits),
            None => (Connect::refusal_version(frame, DecodeError::Truncated), limits_of(frame)),
        };
        let told = |version| refusal.connack(version, limits, &Directions::default());
        let connack = version.map_or_else(Vec::new, told);
        (pending.map_or_else(Box::default, |pending| pending.admission.client_id), connack)
    }

    /// What cannot become a packet that the server takes. Who it is that sends too much stands right
    /// behind its length.
    fn unreadable(&mut self, error: DecodeError, bytes: &[u8]) -> Heard {
        let begun = Frame::begun(bytes);
        let is_too_large = matches!(error, DecodeError::PacketTooLarge { .. });
        match &self.pending {
            Some(_) => self.violated(error.into()),
            None if is_too_large && begun.body.len() < Connect::PROTOCOL_BYTES_MAX => Heard::More,
            None => malformed(error, begun),
        }
    }

    /// Whether an authentication runs.
    #[must_use]
    pub const fn is_authenticating(&self) -> bool {
        self.pending.is_some()
    }

    /// Packets that are wrong here whatever they say, known by their first byte.
    fn out_of_turn(&mut self, first: u8) -> Option<Heard> {
        match (&self.pending, first >> 4) {
            (None, _) if first != CONNECT => Some(Heard::NoConnect),
            (None, _) | (Some(_), AUTH_TYPE | DISCONNECT_TYPE) => None,
            (Some(_), _) if first == CONNECT => Some(self.violated(Violation::SecondConnect)),
            (Some(_), _) => Some(self.violated(Violation::PacketBeforeConnack)),
        }
    }

    fn connect(&mut self, frame: Frame<'_>, reception: &impl Reception) -> Heard {
        let connect = match decode(frame, Version::V5) {
            Ok(Packet::Connect(connect)) => connect,
            Ok(_) => return Heard::NoConnect, // The first byte says CONNECT.
            Err(error) => return malformed(error, frame),
        };
        // `[MQTT-3.1.4-2]`
        let judged = reception.admits(&connect).and_then(|()| self.judge(&connect, reception));
        judged.unwrap_or_else(|refusal| {
            let limits = PeerLimits::of(connect.properties);
            refused(refusal, connect.client_id, connect.version, limits, &reception.directions())
        })
    }

    fn judge(
        &mut self,
        connect: &Connect<'_>,
        reception: &impl Reception,
    ) -> Result<Heard, Refusal> {
        let assigned = || reception.client_id();
        let name = connect.properties.authentication_method();
        // `[MQTT-4.12.0-1]`
        let method = name
            .map(|name| reception.methods().find(name).ok_or(Refusal::BadAuthenticationMethod))
            .transpose()?;
        let admission = Admission::check(connect, self.peer, &reception.limits(), assigned)?;
        let Some(method) = method else {
            return Ok(Heard::Admitted(Box::new(admission)));
        };
        let applicant = Applicant {
            client_id: &admission.client_id,
            username: admission.username.as_deref(),
            peer: self.peer,
        };
        let data = connect.properties.authentication_data();
        let packet_bytes_max = admission.limits.packet_bytes_max;
        let method = Arc::clone(method);
        let (authentication, step) =
            Authentication::begin(method, packet_bytes_max, &applicant, data);
        let (admission, authentication) = (Box::new(admission), Box::new(authentication));
        let pending = Pending { admission, authentication };
        Ok(self.take_step(pending, step, &reception.directions()))
    }

    /// An answer of the client, or its goodbye.
    fn auth(
        &mut self,
        mut pending: Pending,
        frame: Frame<'_>,
        reception: &impl Reception,
    ) -> Heard {
        let applicant = Applicant {
            client_id: &pending.admission.client_id,
            username: pending.admission.username.as_deref(),
            peer: self.peer,
        };
        let step = match decode(frame, Version::V5) {
            Ok(Packet::Auth(auth)) => pending.authentication.receive(&auth, &applicant),
            Ok(_) => return Heard::Goodbye, // The first byte says DISCONNECT.
            Err(error) => Err(error.into()),
        };
        match step {
            Ok(step) => self.take_step(pending, step, &reception.directions()),
            Err(violation) => violated(violation, &pending.admission),
        }
    }

    fn take_step(&mut self, pending: Pending, step: Step, directions: &Directions) -> Heard {
        let Pending { mut admission, authentication } = pending;
        match step {
            Step::Continue(data) => {
                let (mut properties, mut bytes) = (PropertiesBuf::default(), Vec::new());
                authentication.write(data.as_deref(), &mut properties);
                // `[MQTT-4.12.0-2]`
                let reason = ReasonCode::ContinueAuthentication;
                let auth = Auth { reason, properties: properties.as_properties() };
                encode(&Packet::Auth(auth), Version::V5, &mut bytes);
                self.pending = Some(Pending { admission, authentication });
                Heard::Challenge(bytes)
            }
            Step::Granted(Grant { username, data }) => {
                admission.username = username;
                admission.authentication = Some(authentication);
                admission.authentication_data = data;
                Heard::Admitted(admission)
            }
            // `[MQTT-4.12.0-4]`
            Step::Refused(denial) => {
                let refusal = Refusal::AuthenticationFailed(denial);
                let (version, limits) = (admission.version, admission.limits);
                refused(refusal, &admission.client_id, version, limits, directions)
            }
        }
    }

    /// Before the CONNECT is whole nobody knows which version would understand an answer.
    fn violated(&mut self, violation: Violation) -> Heard {
        match self.pending.take() {
            Some(pending) => violated(violation, &pending.admission),
            None => Heard::Violated { violation, connack: Vec::new() },
        }
    }
}

impl Heard {
    /// Who named a method says nothing but AUTH and DISCONNECT before CONNACK `[MQTT-3.1.2-30]`,
    /// so what came `next` came too early.
    fn unless_talked_on(self, next: Option<u8>) -> Self {
        let early = next.is_some_and(|first| !matches!(first >> 4, AUTH_TYPE | DISCONNECT_TYPE));
        if let Self::Admitted(admission) = &self
            && early
            && admission.authentication.is_some()
        {
            return violated(Violation::PacketBeforeConnack, admission);
        }
        self
    }
}

fn refused(
    refusal: Refusal,
    client_id: &str,
    version: Version,
    limits: PeerLimits,
    directions: &Directions,
) -> Heard {
    let connack = refusal.connack(version, limits, directions);
    Heard::Refused { refusal, client_id: client_id.into(), connack }
}

fn violated(violation: Violation, admission: &Admission) -> Heard {
    let connack = violation_connack(violation, admission.version, admission.limits);
    Heard::Violated { violation, connack }
}

/// A CONNECT that cannot be read: told to whoever understands the answer.
fn malformed(error: DecodeError, frame: Frame<'_>) -> Heard {
    let told = |version| violation_connack(error.into(), version, limits_of(frame));
    let connack = Connect::refusal_version(frame, error).map_or_else(Vec::new, told);
    Heard::Violated { violation: error.into(), connack }
}

/// What the client takes, as far as its CONNECT can be read.
fn limits_of(connect: Frame<'_>) -> PeerLimits {
    PeerLimits::of(Connect::readable_properties(connect))
}
