//! The broker's door in a script: it lets everybody in whom the protocol lets in, and knows one
//! method of enhanced authentication.

use std::cell::Cell;
use std::sync::Arc;

use mqttd::broker::{
    Applicant, Commons, Denial, Directions, Exchange, Grant, Limits, Method, Methods, Reception,
    Refusal, Step,
};
use mqttd::codec::{Connect, ReasonCode};

pub(super) struct Door {
    commons: Arc<Commons>,
    methods: Methods,
    assigned: Cell<u32>,
    /// Nobody comes in any more.
    pub(super) is_closed: bool,
}

impl Door {
    pub(super) fn new(commons: Arc<Commons>) -> Self {
        let methods = Methods::default().with(Arc::new(Countdown));
        Self { commons, methods, assigned: Cell::new(0), is_closed: false }
    }
}

impl Reception for Door {
    fn limits(&self) -> Arc<Limits> {
        self.commons.limits()
    }

    fn methods(&self) -> &Methods {
        &self.methods
    }

    fn directions(&self) -> Arc<Directions> {
        self.commons.directions()
    }

    fn client_id(&self) -> Box<str> {
        self.assigned.set(self.assigned.get() + 1);
        format!("assigned-{}", self.assigned.get()).into()
    }

    fn admits(&self, _: &Connect<'_>) -> Result<(), Refusal> {
        if self.is_closed { Err(self.commons.directions().refusal()) } else { Ok(()) }
    }
}

/// `d` asks on; `x` is refused; anything else is granted.
#[derive(Debug)]
struct Countdown;

#[derive(Debug)]
struct Left(u8);

impl Method for Countdown {
    fn name(&self) -> &str {
        "m"
    }

    fn begin(&self, _: &Applicant<'_>) -> Box<dyn Exchange> {
        Box::new(Left(2))
    }
}

impl Exchange for Left {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        match (self.0, data) {
            (_, Some(b"x")) => {
                Step::Refused(Denial { reason: ReasonCode::NotAuthorized, why: "it said x" })
            }
            (1.., Some(b"d")) => {
                self.0 -= 1;
                Step::Continue(Some(vec![self.0]))
            }
            _ => Step::Granted(Grant { username: None, data: None }),
        }
    }
}
