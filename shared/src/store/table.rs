//! The table itself: keys, single reads, queries, conditional writes and transactions.
//! What the items mean is in the modules beside this one.

mod batches;
mod transactions;

pub(super) use batches::BATCH as BATCH_WRITE;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, Select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::Deferred;

use super::conditions::expression;
pub(super) use super::conditions::{Changes, Only};
use super::kinds;

/// What one transaction may hold (DynamoDB's limit).
pub(super) const TRANSACTION: usize = 100;
/// What one BatchGetItem may ask for (DynamoDB's limit).
const BATCH: usize = 100;
/// The index.
const INDEX: &str = "gsi1";
/// The form in which this version writes items. Whoever changes what an item means, so that older code would misread
/// it, counts this up; the code reads every form from 1 on (`shared/fixtures/items/README.md`).
const SCHEMA: u32 = 1;
/// The attribute that says in which form an item is written; without it, in the first.
const SCHEMA_ATTRIBUTE: &str = "v";

pub(super) type Item = HashMap<String, AttributeValue>;

/// Why the table did not do its part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB failed, throttled or did not answer; trying again later may help.
    #[error("DynamoDB {operation} failed: {reason}")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The error's code or kind.
        reason: String,
    },
    /// Somebody else wrote in between; the caller reads again and decides.
    #[error("the item has changed in the meantime")]
    Conflict,
    /// An item is not of the form that this version writes.
    #[error("an item of kind {kind} is damaged: {reason}")]
    Damaged {
        /// The kind, from its sort key.
        kind: String,
        /// What serde says; names fields, not values.
        reason: String,
    },
    /// An item is of a form that only a later version of this service knows.
    #[error(
        "an item of kind {kind} was written by a newer version: its schema is {schema}, and this version knows {SCHEMA}"
    )]
    Newer {
        /// The kind, from its sort key.
        kind: String,
        /// The schema that it has.
        schema: u32,
    },
}

/// The service's one table.
#[derive(Clone, Debug)]
pub struct Table {
    client: Deferred<Client>,
    name: Arc<str>,
}

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    pub(super) fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    fn attributes(&self) -> Item {
        HashMap::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

/// One part of a transaction.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Put(Item, Only),
    Delete(Key, Only),
    /// Changes some attributes of an item.
    Update(Key, Changes, Only),
    /// Writes nothing, and keeps the others from being written when the condition does not hold.
    Check(Key, Only),
}

impl Write {
    /// Puts `row` under `key`.
    pub(super) fn put(key: &Key, row: &impl Serialize, only: Only) -> Result<Self, StoreError> {
        Ok(Self::Put(to_item(key, row)?, only))
    }
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn to_item(key: &Key, row: &impl Serialize) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(row).map_err(|error| damaged(&key.sk, &error))?;
    // DynamoDB stores NULL as a value; an absent optional is simply not there.
    item.retain(|_, value| !value.is_null());
    item.extend(key.attributes());
    item.insert(SCHEMA_ATTRIBUTE.to_owned(), number(SCHEMA.into()));
    debug_assert!(kinds::kind_of(&key.pk, &key.sk).is_some(), "kinds.rs does not know items like {}", key.sk);
    Ok(item)
}

pub(super) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let sk = item.get("sk").and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    known_schema(&sk, &item)?;
    serde_dynamo::from_item(item).map_err(|error| damaged(&sk, &error))
}

/// An item of a later form is not guessed at: what it means may have changed, whatever its attributes are called.
fn known_schema(sk: &str, item: &Item) -> Result<(), StoreError> {
    let Some(value) = item.get(SCHEMA_ATTRIBUTE) else { return Ok(()) };
    match value.as_n().map(|number| number.parse::<u32>()) {
        Ok(Ok(schema)) if schema <= SCHEMA => Ok(()),
        Ok(Ok(schema)) => Err(StoreError::Newer { kind: first_word(sk), schema }),
        _ => Err(damaged(sk, &"its schema is no number")),
    }
}

fn damaged(sk: &str, error: &impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { kind: first_word(sk), reason: error.to_string() }
}

fn first_word(sk: &str) -> String {
    sk.split('#').next().unwrap_or_default().to_owned()
}

fn failed<E: ProvideErrorMetadata, R>(operation: &'static str) -> impl Fn(SdkError<E, R>) -> StoreError {
    move |error| {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        match code {
            Some("ConditionalCheckFailedException" | "TransactionConflictException") => StoreError::Conflict,
            code => StoreError::Unavailable {
                operation,
                reason: code.unwrap_or_else(|| kind_of(&error)).to_owned(),
            },
        }
    }
}

fn kind_of<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ResponseError(_) => "unreadable answer",
        SdkError::ConstructionFailure(_) => "the request cannot be built",
        _ => "error without a code",
    }
}

impl Table {
    /// The table of that name.
    #[must_use]
    pub fn new(client: impl Into<Deferred<Client>>, name: &str) -> Self {
        Self { client: client.into(), name: name.into() }
    }

    /// Its name; part of the associated data of sealed tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cheapest valid request, made while starting so that the first caller finds a connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn connect(&self) -> Result<(), StoreError> {
        self.get::<serde::de::IgnoredAny>(&Key::new("CONNECT", "CONNECT")).await.map(drop)
    }

    /// An item, as it is now (strongly consistent).
    pub(super) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("GetItem"))?;
        answer.item.map(from_item).transpose()
    }

    /// Those of the items that are there, as they are now (strongly consistent), in no order.
    pub(super) async fn get_many<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::with_capacity(keys.len());
        let mut asked: Vec<Item> = keys.iter().map(Key::attributes).collect();
        let mut in_vain = 0;
        while !asked.is_empty() {
            let rest = asked.split_off(asked.len().min(BATCH));
            let sent = asked.len();
            let keys =
                KeysAndAttributes::builder().set_keys(Some(asked)).consistent_read(true).build().map_err(
                    |error| StoreError::Unavailable { operation: "BatchGetItem", reason: error.to_string() },
                )?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&*self.name, keys)
                .send()
                .await
                .map_err(failed("BatchGetItem"))?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                rows.push(from_item(item)?);
            }
            // What DynamoDB did not get to in this answer is asked for again.
            asked = answer
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|keys| keys.keys)
                .collect();
            if asked.len() == sent {
                batches::pause("BatchGetItem", "the keys stay unprocessed", &mut in_vain).await?;
            } else {
                in_vain = 0;
            }
            asked.extend(rest);
        }
        Ok(rows)
    }

    /// All items of a partition of the index, in order, all pages; the index follows the table within
    /// moments, so whoever acts on it reads the item itself again.
    pub(super) async fn query_index<T: DeserializeOwned>(
        &self,
        partition: &str,
    ) -> Result<Vec<T>, StoreError> {
        let mut start = None;
        let mut rows = Vec::new();
        loop {
            let answer = self
                .client
                .query()
                .table_name(&*self.name)
                .index_name(INDEX)
                .key_condition_expression("gsi1pk = :pk")
                .expression_attribute_values(":pk", text(partition))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed("Query"))?;
            for item in answer.items.unwrap_or_default() {
                rows.push(from_item(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(rows);
            }
        }
    }

    /// How many items a partition of the index holds.
    pub(super) async fn count_index(&self, partition: &str) -> Result<u64, StoreError> {
        let mut start = None;
        let mut count = 0;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&*self.name)
                .index_name(INDEX)
                .select(Select::Count)
                .key_condition_expression("gsi1pk = :pk")
                .expression_attribute_values(":pk", text(partition))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed("Query"))?;
            count += u64::try_from(answer.count).unwrap_or(0);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// A page of all items (strongly consistent), and where the next one begins.
    pub(super) async fn scan_page(
        &self,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let answer = self
            .client
            .scan()
            .table_name(&*self.name)
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(failed("Scan"))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
    }

    /// All items of a partition whose sort keys begin so, in order, all pages, strongly consistent. An empty
    /// beginning is that of all.
    pub(super) async fn query<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
    ) -> Result<Vec<T>, StoreError> {
        self.query_items(pk, prefix).await?.into_iter().map(from_item).collect()
    }

    /// The same, not read yet: for partitions that hold items of several kinds.
    pub(super) async fn query_items(&self, pk: &str, prefix: &str) -> Result<Vec<Item>, StoreError> {
        // DynamoDB takes no empty string where it compares a key.
        let (condition, prefix) = match prefix {
            "" => ("pk = :pk", None),
            _ => ("pk = :pk AND begins_with(sk, :prefix)", Some((":prefix".to_owned(), text(prefix)))),
        };
        let values: Item = [(":pk".to_owned(), text(pk))].into_iter().chain(prefix).collect();
        let mut start = None;
        let mut rows = Vec::new();
        loop {
            let answer = self
                .client
                .query()
                .table_name(&*self.name)
                .consistent_read(true)
                .key_condition_expression(condition)
                .set_expression_attribute_values(Some(values.clone()))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed("Query"))?;
            rows.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(rows);
            }
        }
    }

    /// One write.
    pub(super) async fn write(&self, write: Write) -> Result<(), StoreError> {
        match write {
            Write::Put(item, only) => {
                let (condition, names, values) = only.expression();
                self.client
                    .put_item()
                    .table_name(&*self.name)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .send()
                    .await
                    .map_err(failed("PutItem"))?;
            }
            Write::Delete(key, only) => {
                let (condition, names, values) = only.expression();
                self.client
                    .delete_item()
                    .table_name(&*self.name)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .send()
                    .await
                    .map_err(failed("DeleteItem"))?;
            }
            Write::Update(key, changes, only) => {
                let update = expression(changes, only);
                self.client
                    .update_item()
                    .table_name(&*self.name)
                    .set_key(Some(key.attributes()))
                    .update_expression(update.text)
                    .set_condition_expression(update.condition)
                    .set_expression_attribute_names(Some(update.names))
                    .set_expression_attribute_values(update.values)
                    .send()
                    .await
                    .map_err(failed("UpdateItem"))?;
            }
            // Nothing to guard where nothing else is written.
            Write::Check(..) => self.transact(vec![write]).await?,
        }
        Ok(())
    }

    /// Adds to a number, from zero where there is none, and gives the new value.
    pub(super) async fn add(&self, key: &Key, attribute: &'static str, by: i64) -> Result<i64, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            // The one update that may make an item.
            .update_expression("SET #schema = if_not_exists(#schema, :schema) ADD #attribute :by")
            .expression_attribute_names("#schema", SCHEMA_ATTRIBUTE)
            .expression_attribute_values(":schema", number(SCHEMA.into()))
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":by", number(by))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(failed("UpdateItem"))?;
        let attributes = answer.attributes.unwrap_or_default();
        known_schema(&key.sk, &attributes)?;
        attributes
            .get(attribute)
            .and_then(|value| value.as_n().ok()?.parse().ok())
            .ok_or_else(|| damaged(&key.sk, &format_args!("{attribute} is no number")))
    }

    /// Sets attributes of an item that is there.
    pub(super) async fn set(
        &self,
        key: &Key,
        attributes: &[(&'static str, AttributeValue)],
    ) -> Result<(), StoreError> {
        self.set_only(key, attributes, Only::IfPresent).await
    }

    /// Sets attributes of an item if a condition holds.
    pub(super) async fn set_only(
        &self,
        key: &Key,
        attributes: &[(&'static str, AttributeValue)],
        only: Only,
    ) -> Result<(), StoreError> {
        let changes = attributes.iter().map(|(name, value)| (*name, Some(value.clone()))).collect();
        self.write(Write::Update(key.clone(), changes, only)).await
    }
}

#[cfg(test)]
mod tests;
