//! Bytes that are nearly always text: arguments, environment, paths of a guest.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes; in JSON a string where they are UTF-8, else `{"base64": "…"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteText(pub Vec<u8>);

impl ByteText {
    /// The bytes, what is not UTF-8 replaced: for people only.
    #[must_use]
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl<T: Into<Vec<u8>>> From<T> for ByteText {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes { base64: String },
}

impl Serialize for ByteText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Form::Text(text.into()),
            Err(_) => Form::Bytes {
                base64: STANDARD.encode(&self.0),
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ByteText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into_owned().into_bytes(),
            Form::Bytes { base64 } => STANDARD
                .decode(base64)
                .map_err(|error| D::Error::custom(format!("not base64: {error}")))?,
        }))
    }
}

#[cfg(feature = "openapi")]
mod schema {
    use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, schema::Type};

    impl utoipa::PartialSchema for super::ByteText {
        fn schema() -> RefOr<Schema> {
            let text = ObjectBuilder::new().schema_type(Type::String);
            let bytes = ObjectBuilder::new()
                .property("base64", ObjectBuilder::new().schema_type(Type::String))
                .required("base64");
            RefOr::T(Schema::OneOf(
                OneOfBuilder::new().item(text).item(bytes).build(),
            ))
        }
    }

    impl utoipa::ToSchema for super::ByteText {
        fn name() -> std::borrow::Cow<'static, str> {
            "ByteText".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_a_string_and_the_rest_is_base64() {
        let json = |bytes: &[u8]| serde_json::to_string(&ByteText::from(bytes)).expect("plain");
        assert_eq!(json("a b\n'ü".as_bytes()), r#""a b\n'ü""#);
        assert_eq!(json(&[0xff, 0]), r#"{"base64":"/wA="}"#);
        assert!(serde_json::from_str::<ByteText>(r#"{"base64":"*"}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_read_back(bytes: Vec<u8>) {
            let json = serde_json::to_string(&ByteText(bytes.clone())).expect("plain");
            prop_assert_eq!(serde_json::from_str::<ByteText>(&json).expect("own form").0, bytes);
        }
    }
}
