//! Which program holds a port: from `/proc`, as far as the caller may look.
//!
//! Called when listening fails. In the hardened service `/proc` is hidden and nothing is found; the
//! command line asks again with the operator's rights.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Name and pid of the program that listens on an address, or on one that covers it.
#[must_use]
pub fn port_holder(address: SocketAddr) -> Option<(String, u32)> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, address))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    let mut pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(|pid| holds(*pid, &inodes)).map(|pid: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
        (name, pid)
    })
}

fn holds(pid: u32, inodes: &[String]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}

/// `socket:[inode]` of each socket that listens on the address or covers it.
fn listening_inodes(table: &str, wanted: SocketAddr) -> Vec<String> {
    let rows = table.lines().skip(1).filter_map(|row| {
        let fields: Vec<_> = row.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let address = socket_address(local)?;
        let same_ip = address.ip() == wanted.ip()
            || address.ip().is_unspecified()
            || wanted.ip().is_unspecified();
        let matches = *state == LISTEN && address.port() == wanted.port() && same_ip;
        matches.then(|| format!("socket:[{inode}]"))
    });
    rows.collect()
}

/// `0100007F:075B`: the words of the address in the machine's byte order, then the port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn p62_the_holder_of_a_port_is_found() {
        for (listening, asked) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("0.0.0.0:0", "127.0.0.1"),
            ("127.0.0.1:0", "0.0.0.0"),
            ("[::1]:0", "::"),
        ] {
            let Ok(listener) = TcpListener::bind(listening) else {
                assert!(listening.contains("::"), "IPv4 is always there");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let (_, pid) = port_holder(SocketAddr::new(asked.parse().unwrap(), port)).unwrap();
            assert_eq!(pid, std::process::id(), "{listening}");
        }
    }

    #[test]
    fn a_port_that_nobody_holds_has_no_holder() {
        // An address of its own, so that no test beside this one is given the port.
        let listener = TcpListener::bind("127.0.25.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        // A process that another test has just forked has it until it runs its own program.
        while port_holder(address).is_some() {
            std::thread::yield_now();
        }
    }
}
