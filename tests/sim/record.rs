//! What a run did: a hash of its whole history, numbers that show what it exercised, and the
//! history itself for whoever looks for a cause (`MQTTD_SIM_TRACE=1`).

use std::fmt;

/// Everything that happens passes here, in its order.
#[derive(Debug)]
pub(crate) struct Record {
    /// FNV-1a of the history: the same for the same seed.
    pub(crate) hash: u64,
    traced: bool,
    pub(crate) tally: Tally,
}

impl Record {
    pub(crate) fn new() -> Self {
        let traced = std::env::var_os("MQTTD_SIM_TRACE").is_some();
        Self { hash: 0xcbf2_9ce4_8422_2325, traced, tally: Tally::default() }
    }

    /// Bytes that went somewhere.
    pub(crate) fn bytes(&mut self, what: &str, line: usize, bytes: &[u8], ms: u64) {
        self.mix(&(line as u64).to_le_bytes());
        self.mix(&ms.to_le_bytes());
        self.mix(bytes);
        if self.traced {
            eprintln!("{ms:>9} line {line} {what}: {}", readable(bytes));
        }
    }

    /// Anything else.
    pub(crate) fn note(&mut self, ms: u64, what: fmt::Arguments<'_>) {
        self.mix(&ms.to_le_bytes());
        if self.traced {
            eprintln!("{ms:>9} {what}");
        }
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn readable(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(6000)];
    format!("{} ({} bytes)", shown.escape_ascii(), bytes.len())
}

macro_rules! tally {
    ($( $name:ident $words:literal; )+) => {
        /// How often what happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Tally { $( pub(crate) $name: u64, )+ }

        impl Tally {
            pub(crate) fn add(&mut self, other: &Self) {
                $( self.$name += other.$name; )+
            }

            /// What never happened.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                let all = [$( ($words, self.$name), )+];
                all.iter().filter(|(_, count)| *count == 0).map(|(words, _)| *words).collect()
            }
        }

        impl fmt::Display for Tally {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $( writeln!(f, "  {:>12} {}", self.$name, $words)?; )+
                Ok(())
            }
        }
    };
}

tally! {
    virtual_ms "milliseconds of virtual time";
    packets_in "packets the broker took from honest clients";
    packets_out "packets the broker said to honest clients";
    connects "connections of honest clients";
    resumed "sessions resumed";
    takeovers "connections taken over";
    cuts "connections cut";
    cut_inside "of them inside a packet";
    stalls "directions of connections stalled";
    blocked "writes that a socket took only in part";
    choked "connections not read because they do not read";
    letters "letters between shards";
    crashes "times the broker ended without a word";
    power_cuts "of them with the machine";
    sessions_restored "sessions that outlived it";
    troubles "times the disk was slow, full or broken";
    commits "commits";
    loaded "messages read back from the disk";
    published_0 "messages published with QoS 0";
    published_1 "messages published with QoS 1";
    published_2 "messages published with QoS 2";
    republished "QoS 2 messages published again and not routed again";
    delivered_0 "deliveries with QoS 0";
    delivered_1 "deliveries with QoS 1";
    delivered_2 "deliveries with QoS 2";
    delivered_again "deliveries sent again with DUP";
    released_again "PUBREL sent again";
    refused "QoS 2 messages refused by their receiver";
    shared "deliveries to a shared subscription";
    retained "deliveries of retained messages";
    several_identifiers "deliveries with several subscription identifiers";
    not_local "messages kept from their publisher by No Local";
    expired "deliveries that expired before they were sent";
    too_large "deliveries too large for their receiver";
    dropped "deliveries dropped at a limit and counted";
    wills_at_once "wills published when the connection ended";
    wills_delayed "wills published after a delay or at the end of a session";
    wills_discarded "wills discarded by DISCONNECT";
    wills_cancelled "wills cancelled by a new connection";
    sessions_expired "sessions that expired";
    keep_alive_timeouts "connections ended for silence";
    kicked "connections ended by the operator";
    crook_connections "connections of dishonest clients";
    crook_bytes "bytes of dishonest clients";
    violations "dishonest connections the broker ended";
    noise "messages of dishonest clients that honest ones got";
}
