//! Properties of MQTT 5.0: one table of identifier × type × packets it may appear in.
//!
//! A decoded property list stays the slice it was on the wire, checked once against the table;
//! there are rarely more than three, so reading one is a scan.

use super::wire::{Reader, varint_len, write_binary, write_varint};
use super::{DecodeError, Version};

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
                    $( $id => Ok(Self::$name(reader.$type()?)), )+
                    id => Err(DecodeError::UnknownProperty { id }),
                }
            }

            /// Passes over a property without looking at its value.
            fn skip(reader: &mut Reader<'a>) -> Result<PropertyId, DecodeError> {
                match reader.varint()? {
                    $( $id => {
                        skip_value!(reader $type);
                        Ok(PropertyId::$name)
                    } )+
                    id => Err(DecodeError::UnknownProperty { id }),
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.push(self.id() as u8);
                match *self {
                    $( Self::$name(value) => write_value!(out value $type), )+
                }
            }

            /// Whether the value is one the standard allows.
            fn has_valid_value(&self) -> bool {
                match *self { $( Self::$name(value) => valid_value!($rule value), )+ }
            }
        }

        impl PropertyId {
            /// All of them, in the order of the table.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[ $( Self::$name, )+ ];

            /// Places it may stand in, as bits.
            const fn places(self) -> u16 {
                match self { $( Self::$name => $( (1 << Place::$place as u16) )|+, )+ }
            }
        }
    };
}

macro_rules! value_type {
    (u8 $a:lifetime) => { u8 };
    (u16 $a:lifetime) => { u16 };
    (u32 $a:lifetime) => { u32 };
    (varint $a:lifetime) => { u32 };
    (string $a:lifetime) => { &$a str };
    (binary $a:lifetime) => { &$a [u8] };
    (pair $a:lifetime) => { (&$a str, &$a str) };
}

macro_rules! skip_value {
    ($reader:ident string) => {
        $reader.binary()?
    };
    ($reader:ident pair) => {
        ($reader.binary()?, $reader.binary()?)
    };
    ($reader:ident $type:ident) => {
        $reader.$type()?
    };
}

macro_rules! write_value {
    ($out:ident $value:ident u8) => {
        $out.push($value)
    };
    ($out:ident $value:ident u16) => {
        $out.extend_from_slice(&$value.to_be_bytes())
    };
    ($out:ident $value:ident u32) => {
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
    (any $value:ident) => {{
        let _ = $value;
        true
    }};
    (flag $value:ident) => {
        $value <= 1
    };
    (positive $value:ident) => {
        $value > 0
    };
    // `[MQTT-3.3.2-14]`
    (topic_name $value:ident) => {
        !$value.contains(['+', '#'])
    };
}

// The table of section 2.2.2.2: identifier, name, data types, values, and packets it may stand in.
// Only User Property, and Subscription Identifier in a PUBLISH, may stand more than once.
property_table! {
    0x01 PayloadFormatIndicator u8 flag [Publish Will]
    0x02 MessageExpiryInterval u32 any [Publish Will]
    0x03 ContentType string any [Publish Will]
    0x08 ResponseTopic string topic_name [Publish Will]
    0x09 CorrelationData binary any [Publish Will]
    0x0B SubscriptionIdentifier varint positive [Publish Subscribe]
    0x11 SessionExpiryInterval u32 any [Connect Connack Disconnect]
    0x12 AssignedClientIdentifier string any [Connack]
    0x13 ServerKeepAlive u16 any [Connack]
    0x15 AuthenticationMethod string any [Connect Connack Auth]
    0x16 AuthenticationData binary any [Connect Connack Auth]
    0x17 RequestProblemInformation u8 flag [Connect]
    0x18 WillDelayInterval u32 any [Will]
    0x19 RequestResponseInformation u8 flag [Connect]
    0x1A ResponseInformation string any [Connack]
    0x1C ServerReference string any [Connack Disconnect]
    0x1F ReasonString string any [Connack Puback Pubrec Pubrel Pubcomp Suback Unsuback Disconnect Auth]
    0x21 ReceiveMaximum u16 positive [Connect Connack]
    0x22 TopicAliasMaximum u16 any [Connect Connack]
    0x23 TopicAlias u16 positive [Publish]
    0x24 MaximumQoS u8 flag [Connack]
    0x25 RetainAvailable u8 flag [Connack]
    0x26 UserProperty pair any [Connect Connack Publish Will Puback Pubrec Pubrel Pubcomp Subscribe Suback Unsubscribe Unsuback Disconnect Auth]
    0x27 MaximumPacketSize u32 positive [Connect Connack]
    0x28 WildcardSubscriptionAvailable u8 flag [Connack]
    0x29 SubscriptionIdentifierAvailable u8 flag [Connack]
    0x2A SharedSubscriptionAvailable u8 flag [Connack]
}

macro_rules! look_up {
    ($( $(#[$doc:meta])* $name:ident $property:ident $type:ty; )+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(self) -> Option<$type> {
                if let Property::$property(value) = self.find(PropertyId::$property)? {
                    Some(value)
                } else {
                    None
                }
            }
        )+
    };
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Properties { raw: &[] };

    /// A list that was checked before: the bytes [`Self::as_bytes`] gave. (Of bytes that are no
    /// such list, what can be read is a list; nothing panics.)
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

    /// The properties in order, each as it lies on the wire.
    fn spans(self) -> impl Iterator<Item = (PropertyId, &'a [u8])> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(move || {
            let before = reader.rest();
            let id = Property::skip(&mut reader).ok()?;
            let len = before.len() - reader.rest().len();
            Some((id, before.get(..len)?))
        })
    }

    /// The first property of a kind.
    fn find(self, wanted: PropertyId) -> Option<Property<'a>> {
        let (_, span) = self.spans().find(|(id, _)| *id == wanted)?;
        Property::read(&mut Reader::new(span)).ok()
    }

    /// A property that is 0 or 1.
    fn flag(self, wanted: PropertyId) -> Option<bool> {
        let (_, span) = self.spans().find(|(id, _)| *id == wanted)?;
        span.last().map(|value| *value != 0)
    }

    look_up! {
        /// Session Expiry Interval, seconds; `u32::MAX` = never.
        session_expiry_interval SessionExpiryInterval u32;
        /// Receive Maximum, never 0.
        receive_maximum ReceiveMaximum u16;
        /// Maximum Packet Size, bytes, never 0.
        maximum_packet_size MaximumPacketSize u32;
        /// Topic Alias Maximum.
        topic_alias_maximum TopicAliasMaximum u16;
        /// Topic Alias, never 0.
        topic_alias TopicAlias u16;
        /// Message Expiry Interval, seconds.
        message_expiry_interval MessageExpiryInterval u32;
        /// The first Subscription Identifier, never 0.
        subscription_identifier SubscriptionIdentifier u32;
        /// Will Delay Interval, seconds.
        will_delay_interval WillDelayInterval u32;
        /// Payload Format Indicator: 1 = UTF-8.
        payload_format_indicator PayloadFormatIndicator u8;
        /// Content Type.
        content_type ContentType &'a str;
        /// Response Topic.
        response_topic ResponseTopic &'a str;
        /// Correlation Data.
        correlation_data CorrelationData &'a [u8];
        /// Authentication Method.
        authentication_method AuthenticationMethod &'a str;
        /// Authentication Data.
        authentication_data AuthenticationData &'a [u8];
        /// Reason String.
        reason_string ReasonString &'a str;
        /// Assigned Client Identifier.
        assigned_client_identifier AssignedClientIdentifier &'a str;
        /// Server Keep Alive, seconds.
        server_keep_alive ServerKeepAlive u16;
        /// Server Reference.
        server_reference ServerReference &'a str;
        /// Response Information.
        response_information ResponseInformation &'a str;
        /// Maximum QoS: 0 or 1; absent = 2.
        maximum_qos MaximumQoS u8;
    }

    /// Whether a payload is what the Payload Format Indicator says: well-formed UTF-8 where it is 1.
    #[must_use]
    pub fn payload_format_agrees(self, payload: &[u8]) -> bool {
        self.payload_format_indicator() != Some(1) || std::str::from_utf8(payload).is_ok()
    }

    /// Request Problem Information; absent = true.
    #[must_use]
    pub fn request_problem_information(self) -> Option<bool> {
        self.flag(PropertyId::RequestProblemInformation)
    }

    /// Request Response Information; absent = false.
    #[must_use]
    pub fn request_response_information(self) -> Option<bool> {
        self.flag(PropertyId::RequestResponseInformation)
    }

    /// Retain Available; absent = true.
    #[must_use]
    pub fn retain_available(self) -> Option<bool> {
        self.flag(PropertyId::RetainAvailable)
    }

    /// All Subscription Identifiers of a PUBLISH, in order.
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> {
        self.iter().filter_map(|property| {
            if let Property::SubscriptionIdentifier(identifier) = property {
                Some(identifier)
            } else {
                None
            }
        })
    }

    /// All User Properties, in order: name and value.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter_map(|property| {
            if let Property::UserProperty(pair) = property { Some(pair) } else { None }
        })
    }

    /// Of a PUBLISH's or Will's properties, those a server passes on unaltered and in order
    /// `[MQTT-3.3.2-4]` `[MQTT-3.3.2-15]` `[MQTT-3.3.2-16]` `[MQTT-3.3.2-17]` `[MQTT-3.3.2-18]`
    /// `[MQTT-3.3.2-20]`: all but Topic Alias, Subscription Identifier and Will Delay Interval,
    /// which are not the receiver's, and Message Expiry Interval, which counts down.
    ///
    /// `scratch` holds the list when something is left out; else the list itself is returned and
    /// nothing is copied.
    #[must_use]
    pub fn forwardable<'b>(self, scratch: &'b mut Vec<u8>) -> Properties<'b>
    where
        'a: 'b,
    {
        if self.spans().all(|(id, _)| id.is_forwarded()) {
            return self;
        }
        scratch.clear();
        for (_, span) in self.spans().filter(|(id, _)| id.is_forwarded()) {
            scratch.extend_from_slice(span);
        }
        Properties { raw: scratch }
    }

    /// Reads a property list with its length prefix and checks it against the table. Before 5.0
    /// there is none.
    #[inline]
    pub(super) fn read(
        reader: &mut Reader<'a>,
        version: Version,
        place: Place,
    ) -> Result<Self, DecodeError> {
        if version != Version::V5 {
            return Ok(Self::EMPTY);
        }
        let len = reader.varint()?;
        if len == 0 {
            return Ok(Self::EMPTY);
        }
        let raw = reader.take(len as usize)?;
        check(raw, place)?;
        Ok(Self { raw })
    }

    /// Writes the list with its length prefix `[MQTT-2.2.2-1]`; nothing before 5.0.
    pub(super) fn write(self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V5 {
            write_varint(out, self.raw.len());
            out.extend_from_slice(self.raw);
        }
    }

    /// Bytes that [`Self::write`] takes.
    pub(super) fn wire_len(self, version: Version) -> usize {
        if version == Version::V5 { varint_len(self.raw.len()) + self.raw.len() } else { 0 }
    }
}

/// Checks a list against the table.
fn check(raw: &[u8], place: Place) -> Result<(), DecodeError> {
    let mut list = Reader::new(raw);
    let mut seen = 0u64;
    while !list.is_empty() {
        let property = Property::read(&mut list)?;
        let id = property.id();
        if id.places() & (1 << place as u16) == 0 {
            return Err(DecodeError::PropertyNotAllowed { id });
        }
        if seen & (1 << id as u64) != 0 && !id.may_repeat(place) {
            return Err(DecodeError::PropertyRepeated { id });
        }
        if !property.has_valid_value() {
            return Err(DecodeError::PropertyValueInvalid { id });
        }
        seen |= 1 << id as u64;
    }
    let has = |id: PropertyId| seen & (1 << id as u64) != 0;
    if has(PropertyId::AuthenticationData) && !has(PropertyId::AuthenticationMethod) {
        return Err(DecodeError::AuthenticationDataWithoutMethod);
    }
    Ok(())
}

impl PropertyId {
    fn may_repeat(self, place: Place) -> bool {
        self == Self::UserProperty
            || (self == Self::SubscriptionIdentifier && place == Place::Publish)
    }

    const fn is_forwarded(self) -> bool {
        !matches!(
            self,
            Self::TopicAlias
                | Self::SubscriptionIdentifier
                | Self::MessageExpiryInterval
                | Self::WillDelayInterval
        )
    }
}

impl PropertiesBuf {
    /// Adds a property at the end. Strings and data longer than
    /// [`super::STRING_BYTES_MAX`] cannot be expressed; see [`super::encode`].
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
    use super::super::ReasonCode;
    use super::*;

    fn read(bytes: &[u8], place: Place) -> Result<Vec<Property<'_>>, DecodeError> {
        let mut reader = Reader::new(bytes);
        Properties::read(&mut reader, Version::V5, place)
            .map(|properties| properties.iter().collect())
    }

    const fn not_allowed(id: PropertyId) -> Option<DecodeError> {
        Some(DecodeError::PropertyNotAllowed { id })
    }

    const fn repeated(id: PropertyId) -> Option<DecodeError> {
        Some(DecodeError::PropertyRepeated { id })
    }

    const fn invalid(id: PropertyId) -> Option<DecodeError> {
        Some(DecodeError::PropertyValueInvalid { id })
    }

    const LISTS: &[(Place, &[u8], Option<DecodeError>)] = {
        use PropertyId as Id;
        &[
            (Place::Connect, b"\x05\x11\0\0\0\x01", None),
            (Place::Publish, b"\x05\x11\0\0\0\x01", not_allowed(Id::SessionExpiryInterval)),
            (
                Place::Connect,
                b"\x0a\x11\0\0\0\x01\x11\0\0\0\x01",
                repeated(Id::SessionExpiryInterval),
            ),
            (Place::Connect, b"\x02\x04\0", Some(DecodeError::UnknownProperty { id: 4 })),
            (Place::Connect, b"\x03\x91\x01\0", Some(DecodeError::UnknownProperty { id: 0x91 })),
            // `[MQTT-1.5.5-1]`: an identifier of two bytes where one is enough.
            (Place::Connect, b"\x03\x97\0\0", Some(DecodeError::VariableByteIntegerMalformed)),
            (Place::Connect, b"\x03\x21\0\0", invalid(Id::ReceiveMaximum)),
            (Place::Connect, b"\x05\x27\0\0\0\0", invalid(Id::MaximumPacketSize)),
            (Place::Connect, b"\x02\x17\x02", invalid(Id::RequestProblemInformation)),
            (Place::Publish, b"\x02\x01\x02", invalid(Id::PayloadFormatIndicator)),
            // `[MQTT-3.3.2-8]`
            (Place::Publish, b"\x03\x23\0\0", invalid(Id::TopicAlias)),
            // `[MQTT-3.3.2-14]`
            (Place::Publish, b"\x06\x08\0\x03a/+", invalid(Id::ResponseTopic)),
            // `[MQTT-3.3.2-13]` `[MQTT-3.3.2-19]`
            (Place::Publish, b"\x04\x08\0\x01\xff", Some(DecodeError::Utf8Malformed)),
            (Place::Publish, b"\x04\x03\0\x01\xff", Some(DecodeError::Utf8Malformed)),
            // `[MQTT-1.5.7-1]`
            (Place::Publish, b"\x07\x26\0\x01a\0\x01\0", Some(DecodeError::NulInString)),
            // `[MQTT-3.3.4-4]`
            (Place::Publish, b"\x04\x0b\x01\x0b\x02", None),
            (Place::Subscribe, b"\x04\x0b\x01\x0b\x02", repeated(Id::SubscriptionIdentifier)),
            (Place::Subscribe, b"\x02\x0b\0", invalid(Id::SubscriptionIdentifier)),
            (
                Place::Connect,
                b"\x04\x16\0\x01\x09",
                Some(DecodeError::AuthenticationDataWithoutMethod),
            ),
            (Place::Will, b"\x05\x18\0\0\0\x01", None),
            (Place::Publish, b"\x05\x18\0\0\0\x01", not_allowed(Id::WillDelayInterval)),
            (Place::Publish, b"\x04\x02\0\0\0", Some(DecodeError::Truncated)),
            (Place::Publish, b"\x09\x02\0\0\0\x01", Some(DecodeError::Truncated)),
        ]
    };

    /// Section 2.2.2.2, written down once more: an identifier and a value, and where it may stand.
    const TABLE: &[(&[u8], &[Place])] = {
        use Place as P;
        &[
            (b"\x01\x01", &[P::Publish, P::Will]),
            (b"\x02\0\0\0\x01", &[P::Publish, P::Will]),
            (b"\x03\0\x01c", &[P::Publish, P::Will]),
            (b"\x08\0\x01r", &[P::Publish, P::Will]),
            (b"\x09\0\x01\xff", &[P::Publish, P::Will]),
            (b"\x0b\x01", &[P::Publish, P::Subscribe]),
            (b"\x11\0\0\0\x01", &[P::Connect, P::Connack, P::Disconnect]),
            (b"\x12\0\x01i", &[P::Connack]),
            (b"\x13\0\x01", &[P::Connack]),
            (b"\x15\0\x01m", &[P::Connect, P::Connack, P::Auth]),
            (b"\x15\0\x01m\x16\0\x01\xff", &[P::Connect, P::Connack, P::Auth]),
            (b"\x17\x01", &[P::Connect]),
            (b"\x18\0\0\0\x01", &[P::Will]),
            (b"\x19\x01", &[P::Connect]),
            (b"\x1a\0\x01i", &[P::Connack]),
            (b"\x1c\0\x01s", &[P::Connack, P::Disconnect]),
            (
                b"\x1f\0\x01r",
                &[
                    P::Connack,
                    P::Puback,
                    P::Pubrec,
                    P::Pubrel,
                    P::Pubcomp,
                    P::Suback,
                    P::Unsuback,
                    P::Disconnect,
                    P::Auth,
                ],
            ),
            (b"\x21\0\x01", &[P::Connect, P::Connack]),
            (b"\x22\0\x01", &[P::Connect, P::Connack]),
            (b"\x23\0\x01", &[P::Publish]),
            (b"\x24\x01", &[P::Connack]),
            (b"\x25\x01", &[P::Connack]),
            (b"\x26\0\x01k\0\x01v", ALL_PLACES),
            (b"\x27\0\0\0\x01", &[P::Connect, P::Connack]),
            (b"\x28\x01", &[P::Connack]),
            (b"\x29\x01", &[P::Connack]),
            (b"\x2a\x01", &[P::Connack]),
        ]
    };

    const ALL_PLACES: &[Place] = &[
        Place::Connect,
        Place::Connack,
        Place::Publish,
        Place::Puback,
        Place::Pubrec,
        Place::Pubrel,
        Place::Pubcomp,
        Place::Subscribe,
        Place::Suback,
        Place::Unsubscribe,
        Place::Unsuback,
        Place::Disconnect,
        Place::Auth,
        Place::Will,
    ];

    #[test]
    fn each_property_stands_in_the_packets_of_its_row() {
        assert_eq!(TABLE.len(), PropertyId::ALL.len());
        for (list, places) in TABLE {
            for place in ALL_PLACES {
                let bytes = [&[u8::try_from(list.len()).unwrap()][..], list].concat();
                let twice = [&[2 * bytes[0]], *list, *list].concat();
                let (once, twice) = (read(&bytes, *place), read(&twice, *place));
                if places.contains(place) {
                    assert!(once.is_ok(), "{list:x?} in {place:?}");
                    let may_repeat = list[0] == 0x26 || list[0] == 0x0b && *place == Place::Publish;
                    assert_eq!(twice.is_ok(), may_repeat, "{list:x?} twice in {place:?}");
                    let repeated = matches!(twice, Err(DecodeError::PropertyRepeated { .. }));
                    assert_eq!(repeated, !may_repeat);
                } else {
                    let refused = matches!(once, Err(DecodeError::PropertyNotAllowed { .. }));
                    assert!(refused, "{list:x?} in {place:?}");
                }
            }
        }
    }

    #[test]
    fn a_list_is_checked_against_the_table() {
        for (place, bytes, error) in LISTS {
            assert_eq!(read(bytes, *place).err(), *error, "{place:?} {bytes:x?}");
        }
    }

    #[test]
    fn topic_alias_0_has_a_reason_code_of_its_own() {
        let error = read(b"\x03\x23\0\0", Place::Publish).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::TopicAliasInvalid);
        let error = read(b"\x03\x21\0\0", Place::Connect).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::ProtocolError);
    }

    #[test]
    fn user_properties_keep_their_order_and_repeat() {
        let mut list = PropertiesBuf::default();
        list.push(Property::UserProperty(("a", "1")));
        list.push(Property::UserProperty(("a", "2")));
        list.push(Property::UserProperty(("b", "1")));
        let mut out = Vec::new();
        list.as_properties().write(Version::V5, &mut out);
        let expected: Vec<_> = list.as_properties().iter().collect();
        assert_eq!(read(&out, Place::Publish), Ok(expected));
    }

    /// `[MQTT-3.3.2-4]` `[MQTT-3.3.2-15]` `[MQTT-3.3.2-16]` `[MQTT-3.3.2-17]` `[MQTT-3.3.2-18]`
    /// `[MQTT-3.3.2-20]`
    #[test]
    fn a_server_passes_on_what_is_the_receivers_unaltered_and_in_order() {
        let passed_on = [
            Property::UserProperty(("k", "2")),
            Property::ContentType("x"),
            Property::PayloadFormatIndicator(1),
            Property::ResponseTopic("answers"),
            Property::CorrelationData(b"\0\xff"),
            Property::UserProperty(("k", "1")),
        ];
        let mut list = PropertiesBuf::default();
        list.push(Property::TopicAlias(3));
        for property in passed_on {
            list.push(property);
            list.push(Property::SubscriptionIdentifier(300));
        }
        list.push(Property::MessageExpiryInterval(9));
        let mut scratch = vec![1, 2, 3];
        let forwarded = list.as_properties().forwardable(&mut scratch);
        assert!(forwarded.iter().eq(passed_on));
        // Nothing to leave out: the same bytes, in the same place.
        let mut untouched = Vec::new();
        let again = forwarded.forwardable(&mut untouched);
        assert_eq!(again.as_bytes().as_ptr(), forwarded.as_bytes().as_ptr());
    }

    #[test]
    fn a_look_up_finds_its_property_behind_any_other() {
        let mut list = PropertiesBuf::default();
        list.push(Property::UserProperty(("name", "value")));
        list.push(Property::CorrelationData(b"\x23\0\x01"));
        list.push(Property::SubscriptionIdentifier(128));
        list.push(Property::SubscriptionIdentifier(1));
        list.push(Property::TopicAlias(7));
        list.push(Property::RequestProblemInformation(0));
        let list = list.as_properties();
        assert_eq!(list.topic_alias(), Some(7));
        assert_eq!(list.subscription_identifier(), Some(128));
        assert!(list.subscription_identifiers().eq([128, 1]));
        assert!(list.user_properties().eq([("name", "value")]));
        assert_eq!(list.request_problem_information(), Some(false));
        assert_eq!(list.message_expiry_interval(), None);
    }

    #[test]
    fn bytes_that_are_no_list_end_the_reading() {
        let list = Properties::from_checked(b"\x23\0\x07\xff\xff\xff");
        assert!(list.iter().eq([Property::TopicAlias(7)]));
        assert_eq!(list.content_type(), None);
        let cut = Properties::from_checked(b"\x23\0");
        assert_eq!(cut.topic_alias(), None);
    }
}
