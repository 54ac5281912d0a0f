//! Properties of MQTT 5.0: one table of identifier × type × packets it may appear in.
//!
//! A decoded property list stays the slice it was on the wire, checked once against the table;
//! there are rarely more than three, so reading one is a scan.

use super::DecodeError;
use super::wire::{Reader, varint_len, write_binary, write_varint};

/// A checked property list, as it lies on the wire without its length prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    raw: &'a [u8],
}

/// A property list being built for sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertiesBuf {
    raw: Vec<u8>,
}

/// Where a property list stands: a packet type, or the Will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
    Connect = 1,
    Connack = 2,
    Publish = 3,
    Puback = 4,
    Pubrec = 5,
    Pubrel = 6,
    Pubcomp = 7,
    Subscribe = 8,
    Suback = 9,
    Unsubscribe = 10,
    Unsuback = 11,
    Disconnect = 14,
    Auth = 15,
    /// The packet type that does not exist.
    Will = 0,
}

macro_rules! property_table {
    ($( $id:literal $name:ident $type:ident $rule:ident [$($place:ident)+] )+) => {
        /// A Property Identifier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the standard's own names, section 2.2.2.2")]
        pub enum PropertyId { $( $name = $id, )+ }

        /// One property with its value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the standard's own names, section 2.2.2.2")]
        pub enum Property<'a> { $( $name(value_type!($type 'a)), )+ }

        impl<'a> Property<'a> {
            /// Its identifier.
            #[must_use]
            pub const fn id(&self) -> PropertyId {
                match self { $( Self::$name(_) => PropertyId::$name, )+ }
            }

            fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                match reader.varint()? {
                    $( $id => Ok(Self::$name(read_value!(reader $type))), )+
                    _ => Err(DecodeError::UnknownProperty),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.push(self.id() as u8);
                match *self { $( Self::$name(value) => write_value!(out value $type), )+ }
            }

            /// Whether the value is one the standard allows.
            fn has_valid_value(&self) -> bool {
                match *self { $( Self::$name(value) => valid_value!(value $rule), )+ }
            }
        }

        impl PropertyId {
            /// Places it may stand in, as bits.
            const fn places(self) -> u16 {
                match self { $( Self::$name => $( (1 << Place::$place as u16) )|+, )+ }
            }
        }
    };
}

macro_rules! value_type {
    (byte $a:lifetime) => { u8 };
    (two $a:lifetime) => { u16 };
    (four $a:lifetime) => { u32 };
    (varint $a:lifetime) => { u32 };
    (string $a:lifetime) => { &$a str };
    (binary $a:lifetime) => { &$a [u8] };
    (pair $a:lifetime) => { (&$a str, &$a str) };
}

macro_rules! read_value {
    ($reader:ident byte) => {
        $reader.u8()?
    };
    ($reader:ident two) => {
        $reader.u16()?
    };
    ($reader:ident four) => {
        $reader.u32()?
    };
    ($reader:ident varint) => {
        $reader.varint()?
    };
    ($reader:ident string) => {
        $reader.string()?
    };
    ($reader:ident binary) => {
        $reader.binary()?
    };
    ($reader:ident pair) => {
        ($reader.string()?, $reader.string()?)
    };
}

macro_rules! write_value {
    ($out:ident $value:ident byte) => {
        $out.push($value)
    };
    ($out:ident $value:ident two) => {
        $out.extend_from_slice(&$value.to_be_bytes())
    };
    ($out:ident $value:ident four) => {
        $out.extend_from_slice(&$value.to_be_bytes())
    };
    ($out:ident $value:ident varint) => {
        write_varint($out, $value as usize)
    };
    ($out:ident $value:ident string) => {
        write_binary($out, $value.as_bytes())
    };
    ($out:ident $value:ident binary) => {
        write_binary($out, $value)
    };
    ($out:ident $value:ident pair) => {{
        write_binary($out, $value.0.as_bytes());
        write_binary($out, $value.1.as_bytes());
    }};
}

macro_rules! valid_value {
    ($value:ident any) => {{
        let _ = $value;
        true
    }};
    ($value:ident flag) => {
        $value <= 1
    };
    ($value:ident positive) => {
        $value > 0
    };
}

// The table of section 2.2.2.2. Only User Property, and Subscription Identifier in a PUBLISH, may
// stand more than once.
property_table! {
    0x01 PayloadFormatIndicator byte flag [Publish Will]
    0x02 MessageExpiryInterval four any [Publish Will]
    0x03 ContentType string any [Publish Will]
    0x08 ResponseTopic string any [Publish Will]
    0x09 CorrelationData binary any [Publish Will]
    0x0B SubscriptionIdentifier varint positive [Publish Subscribe]
    0x11 SessionExpiryInterval four any [Connect Connack Disconnect]
    0x12 AssignedClientIdentifier string any [Connack]
    0x13 ServerKeepAlive two any [Connack]
    0x15 AuthenticationMethod string any [Connect Connack Auth]
    0x16 AuthenticationData binary any [Connect Connack Auth]
    0x17 RequestProblemInformation byte flag [Connect]
    0x18 WillDelayInterval four any [Will]
    0x19 RequestResponseInformation byte flag [Connect]
    0x1A ResponseInformation string any [Connack]
    0x1C ServerReference string any [Connack Disconnect]
    0x1F ReasonString string any [Connack Puback Pubrec Pubrel Pubcomp Suback Unsuback Disconnect Auth]
    0x21 ReceiveMaximum two positive [Connect Connack]
    0x22 TopicAliasMaximum two any [Connect Connack]
    0x23 TopicAlias two positive [Publish]
    0x24 MaximumQoS byte flag [Connack]
    0x25 RetainAvailable byte flag [Connack]
    0x26 UserProperty pair any [Connect Connack Publish Will Puback Pubrec Pubrel Pubcomp Subscribe Suback Unsubscribe Unsuback Disconnect Auth]
    0x27 MaximumPacketSize four positive [Connect Connack]
    0x28 WildcardSubscriptionAvailable byte flag [Connack]
    0x29 SubscriptionIdentifierAvailable byte flag [Connack]
    0x2A SharedSubscriptionAvailable byte flag [Connack]
}

macro_rules! look_up {
    ($( $(#[$doc:meta])* $name:ident $property:ident $type:ty; )+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(self) -> Option<$type> {
                self.iter().find_map(|property| {
                    if let Property::$property(value) = property { Some(value) } else { None }
                })
            }
        )+
    };
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Properties { raw: &[] };

    /// A list that was checked before: the bytes [`Self::as_bytes`] gave.
    #[must_use]
    pub const fn from_checked(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The list as on the wire, without its length.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is no property.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// The properties in order.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(
            move || {
                if reader.is_empty() { None } else { Property::read(&mut reader).ok() }
            },
        )
    }

    look_up! {
        /// Session Expiry Interval, seconds.
        session_expiry_interval SessionExpiryInterval u32;
        /// Receive Maximum.
        receive_maximum ReceiveMaximum u16;
        /// Maximum Packet Size, bytes.
        maximum_packet_size MaximumPacketSize u32;
        /// Topic Alias Maximum.
        topic_alias_maximum TopicAliasMaximum u16;
        /// Topic Alias.
        topic_alias TopicAlias u16;
        /// Message Expiry Interval, seconds.
        message_expiry_interval MessageExpiryInterval u32;
        /// The first Subscription Identifier.
        subscription_identifier SubscriptionIdentifier u32;
        /// Will Delay Interval, seconds.
        will_delay_interval WillDelayInterval u32;
        /// Authentication Method.
        authentication_method AuthenticationMethod &'a str;
        /// Authentication Data.
        authentication_data AuthenticationData &'a [u8];
        /// Response Topic.
        response_topic ResponseTopic &'a str;
        /// Content Type.
        content_type ContentType &'a str;
        /// Correlation Data.
        correlation_data CorrelationData &'a [u8];
        /// Reason String.
        reason_string ReasonString &'a str;
        /// Assigned Client Identifier.
        assigned_client_identifier AssignedClientIdentifier &'a str;
        /// Server Keep Alive, seconds.
        server_keep_alive ServerKeepAlive u16;
        /// Server Reference.
        server_reference ServerReference &'a str;
    }

    /// Request Problem Information.
    #[must_use]
    pub fn request_problem_information(self) -> Option<bool> {
        self.iter().find_map(|property| {
            let Property::RequestProblemInformation(value) = property else { return None };
            Some(value == 1)
        })
    }

    /// Of a PUBLISH's or Will's properties, those a server passes on unaltered, in order
    /// `[MQTT-3.3.2-17]` `[MQTT-3.3.2-20]`: all but Topic Alias, Subscription Identifier and Will
    /// Delay Interval, which are not the receiver's, and Message Expiry Interval, which counts
    /// down. `scratch` holds the list when something is left out.
    #[must_use]
    pub fn forwardable<'b>(self, scratch: &'b mut Vec<u8>) -> Properties<'b>
    where
        'a: 'b,
    {
        if self.iter().all(|property| property.is_forwarded()) {
            return self;
        }
        scratch.clear();
        for property in self.iter().filter(Property::is_forwarded) {
            property.write(scratch);
        }
        Properties { raw: scratch }
    }

    /// Reads a property list with its length prefix and checks it against the table.
    pub(super) fn read(reader: &mut Reader<'a>, place: Place) -> Result<Self, DecodeError> {
        let len = reader.varint()?;
        let raw = reader.take(len as usize)?;
        let mut list = Reader::new(raw);
        let mut seen = 0u64;
        while !list.is_empty() {
            let property = Property::read(&mut list)?;
            let id = property.id();
            if id.places() & (1 << place as u16) == 0 {
                return Err(DecodeError::PropertyNotAllowed);
            }
            if seen & (1 << id as u64) != 0 && !id.may_repeat(place) {
                return Err(DecodeError::DuplicateProperty);
            }
            if !property.has_valid_value() {
                return Err(DecodeError::InvalidPropertyValue);
            }
            seen |= 1 << id as u64;
        }
        let has = |id: PropertyId| seen & (1 << id as u64) != 0;
        if has(PropertyId::AuthenticationData) && !has(PropertyId::AuthenticationMethod) {
            return Err(DecodeError::AuthenticationDataWithoutMethod);
        }
        Ok(Self { raw })
    }

    /// Writes one list, made of `first` and `second`, with its length prefix.
    pub(super) fn write(first: Self, second: Self, out: &mut Vec<u8>) {
        write_varint(out, first.raw.len() + second.raw.len());
        out.extend_from_slice(first.raw);
        out.extend_from_slice(second.raw);
    }

    /// Bytes that [`Self::write`] takes.
    pub(super) const fn written_len(first: Self, second: Self) -> usize {
        let len = first.raw.len() + second.raw.len();
        varint_len(len) + len
    }
}

impl Property<'_> {
    const fn is_forwarded(&self) -> bool {
        !matches!(
            self,
            Self::TopicAlias(_)
                | Self::SubscriptionIdentifier(_)
                | Self::MessageExpiryInterval(_)
                | Self::WillDelayInterval(_)
        )
    }
}

impl PropertyId {
    fn may_repeat(self, place: Place) -> bool {
        self == Self::UserProperty
            || (self == Self::SubscriptionIdentifier && place == Place::Publish)
    }
}

impl PropertiesBuf {
    /// Adds a property at the end.
    pub fn push(&mut self, property: Property<'_>) {
        property.write(&mut self.raw);
    }

    /// The list built so far.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties { raw: &self.raw }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.raw.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], place: Place) -> Result<Vec<Property<'_>>, DecodeError> {
        let mut reader = Reader::new(bytes);
        Properties::read(&mut reader, place).map(|properties| properties.iter().collect())
    }

    #[test]
    fn the_table_is_enforced() {
        use DecodeError as E;
        for (place, hex, error) in [
            (Place::Connect, &[5, 0x11, 0, 0, 0, 1][..], None),
            (Place::Publish, &[5, 0x11, 0, 0, 0, 1], Some(E::PropertyNotAllowed)),
            (Place::Connect, &[10, 0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], Some(E::DuplicateProperty)),
            (Place::Connect, &[2, 0x04, 0], Some(E::UnknownProperty)),
            (Place::Connect, &[3, 0x21, 0, 0], Some(E::InvalidPropertyValue)),
            (Place::Connect, &[5, 0x27, 0, 0, 0, 0], Some(E::InvalidPropertyValue)),
            (Place::Connect, &[2, 0x17, 2], Some(E::InvalidPropertyValue)),
            (Place::Publish, &[2, 0x01, 2], Some(E::InvalidPropertyValue)),
            (Place::Publish, &[3, 0x23, 0, 0], Some(E::InvalidPropertyValue)),
            (Place::Publish, &[4, 0x0b, 1, 0x0b, 2], None),
            (Place::Subscribe, &[4, 0x0b, 1, 0x0b, 2], Some(E::DuplicateProperty)),
            (Place::Subscribe, &[2, 0x0b, 0], Some(E::InvalidPropertyValue)),
            (Place::Connect, &[4, 0x16, 0, 1, 9], Some(E::AuthenticationDataWithoutMethod)),
            (Place::Will, &[5, 0x18, 0, 0, 0, 1], None),
            (Place::Publish, &[5, 0x18, 0, 0, 0, 1], Some(E::PropertyNotAllowed)),
            (Place::Publish, &[4, 0x02, 0, 0, 0], Some(E::Truncated)),
            (Place::Publish, &[9, 0x02, 0, 0, 0, 1], Some(E::Truncated)),
        ] {
            assert_eq!(read(hex, place).err(), error, "{place:?} {hex:x?}");
        }
    }

    #[test]
    fn user_properties_keep_their_order_and_repeat() {
        let mut list = PropertiesBuf::default();
        list.push(Property::UserProperty(("a", "1")));
        list.push(Property::UserProperty(("a", "2")));
        list.push(Property::UserProperty(("b", "1")));
        let mut out = Vec::new();
        Properties::write(Properties::EMPTY, list.as_properties(), &mut out);
        let expected: Vec<_> = list.as_properties().iter().collect();
        assert_eq!(read(&out, Place::Publish), Ok(expected));
    }

    #[test]
    fn a_server_passes_on_what_is_the_receivers() {
        let mut list = PropertiesBuf::default();
        list.push(Property::TopicAlias(3));
        list.push(Property::ContentType("x"));
        list.push(Property::MessageExpiryInterval(9));
        list.push(Property::UserProperty(("k", "v")));
        let mut scratch = Vec::new();
        let forwarded: Vec<_> =
            list.as_properties().forwardable(&mut scratch).iter().map(|one| one.id()).collect();
        assert_eq!(forwarded, [PropertyId::ContentType, PropertyId::UserProperty]);
    }
}
