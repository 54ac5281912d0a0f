//! Which broker is meant when nobody says.

use std::net::{IpAddr, SocketAddr};

use serde_json::Map;

use super::args::ConnectArgs;
use crate::admin::Listener;
use crate::cli::boot::Failure;
use crate::cli::verbs::Errand;

/// The port of MQTT.
const PORT: u16 = 1883;

/// `HOST:PORT` of the broker: what the options say, else the listener of the instance at hand,
/// else localhost.
pub(super) fn broker(errand: &Errand<'_>, args: &ConnectArgs) -> Result<String, Failure> {
    match (&args.host, args.port) {
        (Some(host), port) => Ok(join(host, port.unwrap_or(PORT))),
        (None, Some(port)) => Ok(join("localhost", port)),
        (None, None) => match own_listener(errand) {
            Ok(Some(address)) => Ok(address),
            // Another instance than the one named must not get the message.
            Err(failure) if errand.place.home.is_some() => Err(failure),
            Ok(None) | Err(_) => Ok(join("localhost", PORT)),
        },
    }
}

/// A listener of the running instance that this machine reaches.
fn own_listener(errand: &Errand<'_>) -> Result<Option<String>, Failure> {
    let mut alive = errand.alive()?;
    let listeners = alive.call("listeners.list", Map::new())?;
    let listeners: Vec<Listener> = serde_json::from_value(listeners).unwrap_or_default();
    let addresses: Vec<SocketAddr> =
        listeners.iter().filter_map(|listener| listener.address.parse().ok()).collect();
    let near = |address: &&SocketAddr| address.ip().is_unspecified() || address.ip().is_loopback();
    let chosen = addresses.iter().find(near).or_else(|| addresses.first());
    Ok(chosen.map(|address| reachable(*address).to_string()))
}

/// Where to connect to for a socket bound there.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn join(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(join("localhost", 1883), "localhost:1883");
        assert_eq!(join("::1", 1883), "[::1]:1883");
        assert_eq!(join("[fe80::1]", 1), "[fe80::1]:1");
        let any = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(any("0.0.0.0:1883"), "127.0.0.1:1883");
        assert_eq!(any("[::]:1883"), "[::1]:1883");
        assert_eq!(any("10.1.2.3:99"), "10.1.2.3:99");
    }
}
