//! What the broker or the network refused, in words: what, why, and the way out.

use super::args::ConnectArgs;
use crate::cli::boot::{Exit, Failure};
use crate::codec::{Connack, Disconnect, Properties, ReasonCode};

/// The name of a Reason Code, then the broker's own words for it, if it sent some.
pub(super) fn reason(code: ReasonCode, properties: Properties<'_>) -> String {
    let name = code.name();
    match properties.reason_string() {
        Some(word) if !word.is_empty() => format!("{name}: {word}"),
        Some(_) | None => name.to_owned(),
    }
}

/// CONNACK said no.
pub(super) fn refused(address: &str, connack: &Connack<'_>, args: &ConnectArgs) -> Failure {
    let why = reason(connack.reason, connack.properties);
    let message = format!("{address} refused the connection: {why}");
    let is_forbidden =
        matches!(connack.reason, ReasonCode::NotAuthorized | ReasonCode::BadUserNameOrPassword);
    if is_forbidden {
        let hint = match (connack.reason, &args.username) {
            (ReasonCode::NotAuthorized, None) => "give -u NAME and --ask-password",
            _ => {
                "check -u NAME and the password (--ask-password, --password-file FILE or MQTTD_PASSWORD)"
            }
        };
        return Failure::new(Exit::Permission, "not_authorized", message).hint(hint);
    }
    elsewhere(Failure::new(Exit::Failed, "connection_refused", message), connack.properties)
}

/// DISCONNECT came.
pub(super) fn ended(disconnect: &Disconnect<'_>) -> Failure {
    let why = reason(disconnect.reason, disconnect.properties);
    let message = format!("the broker ended the connection: {why}");
    elsewhere(Failure::new(Exit::Failed, "disconnected", message), disconnect.properties)
}

/// With the other server, when the broker named one.
fn elsewhere(failure: Failure, properties: Properties<'_>) -> Failure {
    match properties.server_reference() {
        Some(server) => failure.hint(format!("the broker names another one: {server}")),
        None => failure,
    }
}

/// Something came that is not MQTT of this version.
pub(super) fn strange(address: &str) -> Failure {
    let message = format!("{address} does not speak MQTT as this command does");
    Failure::new(Exit::Failed, "protocol", message)
        .hint("is the port right? -V changes the version")
}

/// Ctrl-C before the work was done.
pub(super) fn interrupted() -> Failure {
    Failure::new(Exit::Failed, "interrupted", "interrupted")
}

/// Wrong use of an option.
pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, "usage", message).hint(hint)
}
