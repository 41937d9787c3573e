//! JSON that keeps its keys in the order in which GitHub writes them.
//! Which keys those are lives in `objects`.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::world::{AccountId, EnterpriseId, InstallationId, RepositoryId};

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
    /// Keys that are data.
    Names(BTreeMap<String, String>),
    Float(f64),
    /// JSON that was written before.
    Ready(Box<RawValue>),
}

/// An object: `object! { "id": 1, "name": "x" }`.
macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::sandbox_github::json::Json::Object(vec![$(($key, $crate::sandbox_github::json::Json::from($value))),*])
    };
}
pub(super) use object;

impl Json {
    /// The object with more keys at its end.
    pub(super) fn with(self, more: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        match self {
            Self::Object(mut entries) => {
                entries.extend(more);
                Self::Object(entries)
            }
            other => other,
        }
    }

    /// The object with these keys only, in their order.
    pub(super) fn pick(self, keys: &[&str]) -> Self {
        let Self::Object(mut entries) = self else { return self };
        entries.retain(|(key, _)| keys.contains(key));
        entries.sort_by_key(|(key, _)| keys.iter().position(|wanted| wanted == key));
        Self::Object(entries)
    }

    /// The object without a key.
    pub(super) fn without(self, unwanted: &str) -> Self {
        let Self::Object(mut entries) = self else { return self };
        entries.retain(|(key, _)| *key != unwanted);
        Self::Object(entries)
    }

    /// The object with other values for some of its keys.
    pub(super) fn map(self, change: impl Fn(&str, Self) -> Self) -> Self {
        let Self::Object(entries) = self else { return self };
        Self::Object(entries.into_iter().map(|(key, value)| (key, change(key, value))).collect())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_u64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(value)?;
                }
                list.end()
            }
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Names(names) => names.serialize(serializer),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Ready(json) => json.serialize(serializer),
        }
    }
}

macro_rules! from {
    ($($source:ty => |$value:ident| $json:expr),* $(,)?) => {$(
        impl From<$source> for Json {
            fn from($value: $source) -> Self {
                $json
            }
        }
    )*};
}

from! {
    bool => |value| Self::Bool(value),
    u64 => |value| Self::Number(value),
    f64 => |value| Self::Float(value),
    Box<RawValue> => |json| Self::Ready(json),
    &str => |value| Self::Text(value.to_owned()),
    String => |value| Self::Text(value),
    &String => |value| Self::Text(value.clone()),
    Vec<Self> => |values| Self::List(values),
    &[String] => |values| Self::List(values.iter().map(Self::from).collect()),
    &BTreeMap<String, String> => |names| Self::Names(names.clone()),
    AccountId => |id| Self::Number(id.0),
    EnterpriseId => |id| Self::Number(id.0),
    InstallationId => |id| Self::Number(id.0),
    RepositoryId => |id| Self::Number(id.0),
}

impl<T> From<Option<T>> for Json
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}
