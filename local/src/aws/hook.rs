//! Counts the calls of an AWS endpoint and makes the next ones fail, so that tests can show what happens then.
//! It stands in front of both services; it knows their operations by `X-Amz-Target` only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

/// More than any call may hold: DynamoDB's 16 MB.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// What happens to one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    delay: Duration,
    error: Option<(StatusCode, String)>,
    after_the_call: bool,
    /// Of a BatchWriteItem, how many writes are done.
    done: Option<usize>,
}

impl Fault {
    /// Of a BatchWriteItem only the first so many writes are done; the answer names the others as unprocessed.
    #[must_use]
    pub fn partly_done(writes: usize) -> Self {
        Self { done: Some(writes), ..Self::default() }
    }

    /// The call is not made; the answer is this error, e.g. 400 `ProvisionedThroughputExceededException`.
    #[must_use]
    pub fn error(status: StatusCode, kind: &str) -> Self {
        Self { error: Some((status, kind.to_owned())), ..Self::default() }
    }

    /// The call is made, later.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// The call is made, and its answer is lost: the caller sees 500 `InternalServerError`.
    #[must_use]
    pub fn lost_answer() -> Self {
        Self { after_the_call: true, ..Self::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError") }
    }

    /// The same, and everything takes this long first.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A handle to the calls of one endpoint; clones are the same handle.
///
/// Operations are named without their service: `GetItem`, `GetSecretValue`.
#[derive(Clone, Debug, Default)]
pub struct Hook {
    state: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    counted: BTreeMap<String, usize>,
    faults: BTreeMap<String, VecDeque<Fault>>,
}

impl Hook {
    /// Does this to the next `times` calls of an operation, after the faults already waiting for it.
    pub fn fail_next(&self, operation: &str, times: usize, fault: &Fault) {
        let mut state = self.lock();
        let waiting = state.faults.entry(operation.to_owned()).or_default();
        waiting.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// How often an operation has been called, failed calls included.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.lock().counted.get(operation).copied().unwrap_or_default()
    }

    /// How often each operation has been called.
    #[must_use]
    pub fn all_calls(&self) -> BTreeMap<String, usize> {
        self.lock().counted.clone()
    }

    /// Counts from nothing again, and forgets the faults that are still waiting.
    pub fn reset(&self) {
        *self.lock() = Calls::default();
    }

    fn record(&self, operation: &str) -> Option<Fault> {
        let mut state = self.lock();
        *state.counted.entry(operation.to_owned()).or_default() += 1;
        state.faults.get_mut(operation)?.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Every change under the lock is complete, whatever a test's thread did with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a call and lets it happen, or not.
pub(super) async fn intercept(State(hook): State<Hook>, request: Request, next: Next) -> Response {
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let Some(fault) = hook.record(&operation) else { return next.run(request).await };
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    if let Some(done) = fault.done {
        return partly(request, done, next).await;
    }
    let Some((status, kind)) = fault.error else { return next.run(request).await };
    if fault.after_the_call {
        drop(next.run(request).await);
    }
    error(status, &kind, "This failure was asked for.")
}

/// A BatchWriteItem of which not everything is done, as under throttling.
async fn partly(request: Request, done: usize, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, LONGEST_BODY).await.ok();
    let Some(mut call) = read.and_then(|body| serde_json::from_slice::<Value>(&body).ok()) else {
        return error(StatusCode::BAD_REQUEST, "SerializationException", "This is no JSON.");
    };
    let mut unprocessed = Map::new();
    for (table, writes) in call["RequestItems"].as_object_mut().into_iter().flatten() {
        if let Some(writes) = writes.as_array_mut() {
            unprocessed.insert(table.clone(), writes.split_off(done.min(writes.len())).into());
        }
    }
    if done > 0 {
        parts.headers.remove(CONTENT_LENGTH);
        let answer = next.run(Request::from_parts(parts, Body::from(call.to_string()))).await;
        if !answer.status().is_success() {
            return answer;
        }
    }
    let mut response = json!({"UnprocessedItems": unprocessed}).to_string().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// An error in the form of AWS's JSON protocols.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({"__type": kind, "message": message}).to_string();
    let mut response = (status, body).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert("x-amzn-errortype", kind);
    }
    response
}
