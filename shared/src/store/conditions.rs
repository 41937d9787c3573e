//! When a write is allowed and what an update changes, as DynamoDB's expressions.
//! What is written is `table`'s business.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::table::{Item, number};

/// When a write is allowed to happen.
#[derive(Clone, Debug)]
pub(super) enum Only {
    /// The key is free.
    IfAbsent,
    /// The key is taken.
    IfPresent,
    /// This attribute has this value.
    IfEquals(&'static str, AttributeValue),
    /// All of these attributes have these values, or are not there.
    IfAllEqual(Vec<(&'static str, Option<AttributeValue>)>),
    /// The key is free, or the number in this attribute is less than this.
    IfAbsentOrLess(&'static str, i64),
    /// Whatever is there: for items whose old value does not matter.
    Always,
}

impl Only {
    pub(super) fn expression(self) -> (Option<String>, Option<HashMap<String, String>>, Option<Item>) {
        let attribute = |name: &str| Some(HashMap::from([("#condition".to_owned(), name.to_owned())]));
        let value = |value| Some(HashMap::from([(":condition".to_owned(), value)]));
        match self {
            Self::Always => (None, None, None),
            Self::IfAbsent => (Some("attribute_not_exists(pk)".to_owned()), None, None),
            Self::IfPresent => (Some("attribute_exists(pk)".to_owned()), None, None),
            Self::IfEquals(name, wanted) => {
                (Some("#condition = :condition".to_owned()), attribute(name), value(wanted))
            }
            Self::IfAllEqual(wanted) => {
                let numbered = || wanted.iter().enumerate();
                let equal: Vec<_> = numbered()
                    .map(|(index, (_, value))| match value {
                        Some(_) => format!("#c{index} = :c{index}"),
                        None => format!("attribute_not_exists(#c{index})"),
                    })
                    .collect();
                let names = numbered().map(|(index, (name, _))| (format!("#c{index}"), (*name).to_owned()));
                let values =
                    numbered().filter_map(|(index, (_, value))| Some((format!(":c{index}"), value.clone()?)));
                (Some(equal.join(" AND ")), Some(names.collect()), Some(values.collect()))
            }
            Self::IfAbsentOrLess(name, bound) => (
                Some("attribute_not_exists(pk) OR #condition < :condition".to_owned()),
                attribute(name),
                value(number(bound)),
            ),
        }
    }
}

/// What becomes of an item's attributes: a value, or gone.
pub(super) type Changes = Vec<(&'static str, Option<AttributeValue>)>;

pub(super) struct UpdateExpression {
    pub(super) text: String,
    pub(super) condition: Option<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Option<Item>,
}

/// The expressions of an update and of its condition.
pub(super) fn expression(changes: Changes, only: Only) -> UpdateExpression {
    let (condition, names, values) = only.expression();
    let (mut names, mut values) = (names.unwrap_or_default(), values.unwrap_or_default());
    let (mut set, mut gone) = (Vec::new(), Vec::new());
    for (index, (name, value)) in changes.into_iter().enumerate() {
        names.insert(format!("#a{index}"), name.to_owned());
        match value {
            Some(value) => {
                set.push(format!("#a{index} = :v{index}"));
                values.insert(format!(":v{index}"), value);
            }
            None => gone.push(format!("#a{index}")),
        }
    }
    let clause = |word: &str, parts: &[String]| {
        if parts.is_empty() { String::new() } else { format!("{word} {} ", parts.join(", ")) }
    };
    UpdateExpression {
        text: clause("SET", &set) + &clause("REMOVE", &gone),
        condition,
        names,
        // DynamoDB refuses an empty map.
        values: Some(values).filter(|values| !values.is_empty()),
    }
}
