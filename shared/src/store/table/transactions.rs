//! Several writes as one: all or none. What a write is, and single ones, are `table`'s.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};

use super::{StoreError, TRANSACTION, Table, Write, expression, failed};

impl Table {
    /// All writes or none. [`StoreError::Conflict`] when a condition does not hold or another transaction
    /// is at the same items.
    pub(in crate::store) async fn transact(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        debug_assert!(writes.len() <= TRANSACTION, "a transaction holds at most 100 writes");
        let mut items = Vec::with_capacity(writes.len());
        for write in writes {
            items.push(self.transact_item(write)?);
        }
        let sent = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let reasons = cancelled.cancellation_reasons();
                    let other = reasons.iter().filter_map(|reason| reason.code()).find(|code| {
                        !matches!(*code, "None" | "ConditionalCheckFailed" | "TransactionConflict")
                    });
                    Err(match other {
                        None => StoreError::Conflict,
                        Some(code) => StoreError::Unavailable {
                            operation: "TransactWriteItems",
                            reason: code.to_owned(),
                        },
                    })
                }
                _ => Err(failed("TransactWriteItems")(error)),
            },
        }
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, StoreError> {
        let unbuilt = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Unavailable {
            operation: "TransactWriteItems",
            reason: error.to_string(),
        };
        Ok(match write {
            Write::Put(item, only) => {
                let (condition, names, values) = only.expression();
                let put = Put::builder()
                    .table_name(&*self.name)
                    .set_item(Some(item))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(unbuilt)?;
                TransactWriteItem::builder().put(put).build()
            }
            Write::Delete(key, only) => {
                let (condition, names, values) = only.expression();
                let delete = Delete::builder()
                    .table_name(&*self.name)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(unbuilt)?;
                TransactWriteItem::builder().delete(delete).build()
            }
            Write::Update(key, changes, only) => {
                let update = expression(changes, only);
                let update = Update::builder()
                    .table_name(&*self.name)
                    .set_key(Some(key.attributes()))
                    .update_expression(update.text)
                    .set_condition_expression(update.condition)
                    .set_expression_attribute_names(Some(update.names))
                    .set_expression_attribute_values(update.values)
                    .build()
                    .map_err(unbuilt)?;
                TransactWriteItem::builder().update(update).build()
            }
            Write::Check(key, only) => {
                let (condition, names, values) = only.expression();
                let check = ConditionCheck::builder()
                    .table_name(&*self.name)
                    .set_key(Some(key.attributes()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(unbuilt)?;
                TransactWriteItem::builder().condition_check(check).build()
            }
        })
    }
}
