//! `pub` and `sub`: a small blocking MQTT client, so that a broker can be tried with nothing else
//! installed.
//!
//! One connection, one thread, poll(2); Ctrl-C ends it in order. It is a client as any other: it
//! speaks over TCP only and knows nothing of the broker behind. It does not connect again: who
//! calls it decides what an end means.

mod address;
mod alias;
mod args;
mod connect;
mod connection;
mod message;
mod object;
mod password;
mod properties;
mod publish;
mod refusal;
mod subscribe;

use super::boot::Failure;
use super::signals::Signals;
use super::verbs::Errand;
use args::ConnectArgs;
use connect::Target;
use connection::Connection;

pub(super) use args::{PUB_EXAMPLES, PubArgs, SUB_EXAMPLES, SubArgs};
pub(super) use publish::publish;
pub(super) use subscribe::subscribe;

/// Seconds until CONNACK, unless `--timeout` says otherwise.
const CONNECT_SECS: u64 = 10;

/// Connects as the options say.
fn connect(errand: &Errand<'_>, args: &ConnectArgs) -> Result<Connection, Failure> {
    let signals = Signals::leaving();
    let password = password::password(args, &signals)?;
    let address = address::broker(errand, args)?;
    let (address, password) = (address.as_str(), password.as_deref());
    let limit = errand.limit(CONNECT_SECS);
    Connection::open(&Target { address, args, password, limit }, signals)
}
