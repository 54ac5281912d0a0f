//! `pub` and `sub`: a small blocking MQTT client, so that a broker can be tried with nothing else
//! installed.
//!
//! One connection, one thread, poll(2); Ctrl-C ends it in order. It is a client as any other: it
//! speaks over TCP only and knows nothing of the broker behind.

mod address;
mod connection;
mod message;
mod publish;
mod subscribe;

use std::path::Path;

use super::args::{ConnectArgs, Protocol};
use super::boot::{Exit, Failure};
use super::signals::Signals;
use super::verbs::Errand;
use connection::Connection;

pub(super) use publish::publish;
pub(super) use subscribe::subscribe;

/// How a session is to begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionWish {
    /// New, and gone with the connection.
    Fleeting,
    /// The old one if there is one, and kept.
    Kept,
}

/// Connects as the options say.
fn connect(
    errand: &Errand<'_>,
    args: &ConnectArgs,
    session: SessionWish,
    signals: Signals,
) -> Result<Connection, Failure> {
    if args.password_file.is_some() && args.username.is_none() && args.protocol != Protocol::V5 {
        let message = "before MQTT 5.0 there is no password without a user name";
        return Err(Failure::new(Exit::Usage, "usage", message).hint("give -u NAME as well"));
    }
    let password = password(args.password_file.as_deref())?;
    let address = address::broker(errand, args)?;
    Connection::open(
        &connection::Target {
            address: &address,
            args,
            password: password.as_deref(),
            session,
            limit: errand.limit(10),
        },
        signals,
    )
}

/// The password, from the file or the environment; never from argv, which everybody can read.
fn password(file: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(file) = file else {
        let variable = std::env::var_os("MQTTD_PASSWORD");
        return Ok(variable.map(std::os::unix::ffi::OsStringExt::into_vec));
    };
    let content = std::fs::read(file).map_err(|error| {
        Failure::new(
            Exit::Failed,
            "password_file",
            format!("cannot read the password from {}: {error}", file.display()),
        )
    })?;
    let line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}
