//! Who may come in without credentials: the rule of `anonymous = "private" | "never" | "always"`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which clients need no credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Those whose address is on a private network.
    #[default]
    Private,
    /// None.
    Never,
    /// All.
    Always,
}

impl Anonymous {
    /// Whether a client from this address may come in without credentials.
    #[must_use]
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Private => is_private(address),
            Self::Never => false,
            Self::Always => true,
        }
    }
}

/// Loopback, RFC 1918, RFC 4193, link-local (RFC 3927, RFC 4291), and the shared space of RFC 6598
/// (100.64.0.0/10), which is used inside networks and never across the internet.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_private_v4(four),
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => is_private_v4(four),
            None => is_private_v6(six),
        },
    }
}

const fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && second & 0xc0 == 64;
    address.is_loopback() || address.is_private() || address.is_link_local() || shared
}

const fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &[&str] = &[
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
        "169.254.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "::1",
        "fc00::1",
        "fdff:ffff::1",
        "fe80::1",
        "febf::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
    ];
    const PUBLIC: &[&str] = &[
        "0.0.0.0",
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "203.0.113.1",
        "255.255.255.255",
        "::",
        "2001:db8::1",
        "2606:4700::1111",
        "fbff::1",
        "fe00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:8.8.8.8",
        "::ffff:100.128.0.1",
    ];

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn private_networks_need_no_credentials() {
        for text in PRIVATE {
            assert!(Anonymous::Private.admits(address(text)), "{text} is private");
        }
        for text in PUBLIC {
            assert!(!Anonymous::Private.admits(address(text)), "{text} is public");
        }
    }

    #[test]
    fn always_and_never_do_not_look_at_the_address() {
        for text in PRIVATE.iter().chain(PUBLIC) {
            assert!(Anonymous::Always.admits(address(text)));
            assert!(!Anonymous::Never.admits(address(text)));
        }
    }
}
