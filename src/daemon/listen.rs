//! Taking the ports: those kept by systemd, those that need root, and the words for those that cannot
//! be had. The server listens on them, when all is there that clients may ask for.

use std::net::{SocketAddr, TcpListener};

use super::failure;
use super::holder::port_holder;
use super::systemd::Systemd;
use crate::cli::Failure;
use crate::control::Place;
use crate::transport;

/// Binds a socket to each address, or takes the one that systemd kept, which listens.
pub(super) fn bind(
    addresses: &[SocketAddr],
    place: &Place,
    systemd: Systemd,
) -> Result<Vec<TcpListener>, Failure> {
    let mut kept = systemd.kept(addresses);
    let mut listeners = Vec::new();
    for address in addresses {
        let is_it = |listener: &TcpListener| listener.local_addr().ok() == Some(*address);
        let listener = match kept.iter().position(is_it) {
            Some(index) => kept.swap_remove(index),
            None => transport::bind(*address)
                .map_err(|error| failure::listen(*address, &error, place))?,
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Whether all ports could be had now; they are given back. A port that systemd keeps for the unit is
/// one. Nothing listens meanwhile: that would be in the way of a broker that is just starting.
pub(super) fn try_out(addresses: &[SocketAddr], place: &Place) -> Result<(), Failure> {
    let mut opened = Vec::new();
    for address in addresses {
        match transport::bind(*address) {
            Ok(listener) => opened.push(listener),
            Err(_) if is_kept(*address) => {}
            Err(error) => return Err(failure::listen(*address, &error, place)),
        }
    }
    Ok(())
}

fn is_kept(address: SocketAddr) -> bool {
    port_holder(address).is_some_and(|(name, pid)| pid == 1 && name == "systemd")
}
