//! The properties that go with a message from its publisher to its receivers.

use serde::{Deserialize, Serialize};

use super::Octets;
use crate::codec::{Properties, PropertiesBuf, Property};

/// Properties by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageProperties {
    /// Payload Format Indicator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_format_indicator: Option<u8>,
    /// Content Type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Response Topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_topic: Option<String>,
    /// Correlation Data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_data: Option<Octets>,
    /// User Properties, in order: names and values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_properties: Vec<(String, String)>,
}

impl MessageProperties {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those of a message.
    #[must_use]
    pub fn of(properties: Properties<'_>) -> Self {
        Self {
            payload_format_indicator: properties.payload_format_indicator(),
            content_type: properties.content_type().map(str::to_owned),
            response_topic: properties.response_topic().map(str::to_owned),
            correlation_data: properties.correlation_data().map(|data| Octets(data.to_vec())),
            user_properties: properties
                .user_properties()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// As they stand in a packet. They were checked by [`super::Entry::read`].
    #[must_use]
    pub fn encoded(&self) -> PropertiesBuf {
        let mut list = PropertiesBuf::default();
        if let Some(indicator) = self.payload_format_indicator {
            list.push(Property::PayloadFormatIndicator(indicator));
        }
        if let Some(text) = &self.content_type {
            list.push(Property::ContentType(text));
        }
        if let Some(text) = &self.response_topic {
            list.push(Property::ResponseTopic(text));
        }
        if let Some(Octets(data)) = &self.correlation_data {
            list.push(Property::CorrelationData(data));
        }
        for (name, value) in &self.user_properties {
            list.push(Property::UserProperty((name, value)));
        }
        list
    }
}
