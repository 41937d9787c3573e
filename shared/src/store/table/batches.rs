//! Many writes of which each is good by itself, in few calls, and what is done where DynamoDB does not get to all of a
//! batch. What belongs together is `transactions`'.

use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};

use super::{StoreError, Table, Write, failed};

const OPERATION: &str = "BatchWriteItem";
/// What one BatchWriteItem may hold (DynamoDB's limit).
pub(in crate::store) const BATCH: usize = 25;
/// How often what DynamoDB did not get to is sent again without any of it being done.
const TRIES: u32 = 5;

impl Table {
    /// All of these writes, in no order and without conditions, which BatchWriteItem does not know.
    pub(in crate::store) async fn write_all(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut waiting = Vec::with_capacity(writes.len());
        for write in writes {
            waiting.push(request(write)?);
        }
        let mut in_vain = 0;
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(BATCH));
            let sent = waiting.len();
            let answer = self
                .client
                .batch_write_item()
                .request_items(&*self.name, waiting)
                .send()
                .await
                .map_err(failed(OPERATION))?;
            waiting = answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if waiting.len() == sent {
                pause(OPERATION, "the items stay unprocessed", &mut in_vain).await?;
            } else {
                in_vain = 0;
            }
            waiting.extend(rest);
        }
        Ok(())
    }
}

/// What DynamoDB asks for when it throttles: a pause that grows. After so many it is given up.
pub(super) async fn pause(
    operation: &'static str,
    reason: &str,
    in_vain: &mut u32,
) -> Result<(), StoreError> {
    if *in_vain == TRIES {
        return Err(StoreError::Unavailable { operation, reason: reason.to_owned() });
    }
    tokio::time::sleep(Duration::from_millis(25 << *in_vain)).await;
    *in_vain += 1;
    Ok(())
}

fn request(write: Write) -> Result<WriteRequest, StoreError> {
    let unbuilt = |error: BuildError| unavailable(&error.to_string());
    let request = WriteRequest::builder();
    Ok(match write {
        Write::Put(item, super::Only::Always) => {
            request.put_request(PutRequest::builder().set_item(Some(item)).build().map_err(unbuilt)?).build()
        }
        Write::Delete(key, super::Only::Always) => {
            let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build().map_err(unbuilt)?;
            request.delete_request(delete).build()
        }
        _ => return Err(unavailable("a batch holds no conditions")),
    })
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { operation: OPERATION, reason: reason.to_owned() }
}
