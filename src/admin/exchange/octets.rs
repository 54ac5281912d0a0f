//! Bytes in JSON: a text where they are one, else Base64.

use serde::de::{Deserializer, Error};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::admin::base64;

/// Bytes: `"text"` where they are UTF-8, else `{"base64":"…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Encoded<S> {
    base64: S,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, or {\"base64\": \"…\"}")]
enum Written {
    Text(String),
    Encoded(Encoded<String>),
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Encoded { base64: base64::encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Encoded(Encoded { base64: text }) => {
                let bytes = base64::decode(&text).ok_or_else(|| D::Error::custom("no Base64"))?;
                Ok(Self(bytes))
            }
        }
    }
}
