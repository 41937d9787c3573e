//! Counts the calls of an AWS endpoint and makes the next ones fail, so that tests can show what happens then.
//! It stands in front of both services, and knows their operations by `X-Amz-Target`; what a call is about it looks at
//! only while somebody watches.

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

use super::call_names::NamedCall;

/// More than any call may hold: DynamoDB's 16 MB.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// What happens to one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    delay: Duration,
    error: Option<(StatusCode, String)>,
    after_the_call: bool,
    /// Of a batch, how many of its parts are done.
    done: Option<usize>,
    conflict: bool,
}

impl Fault {
    /// Of a batch only the first so many parts are done; the answer names the others as unprocessed.
    #[must_use]
    pub fn partly_done(parts: usize) -> Self {
        Self { done: Some(parts), ..Self::default() }
    }

    /// The call is not made: somebody else is at the same item, or has changed it. Said as the operation says it.
    #[must_use]
    pub fn conflict() -> Self {
        Self { conflict: true, ..Self::default() }
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
    /// The calls since somebody watches, in their order.
    watched: Option<Vec<NamedCall>>,
    by_name: Vec<ByName>,
    under_way: usize,
}

/// What happens to the calls of a name.
#[derive(Debug)]
struct ByName {
    name: String,
    passing: usize,
    times: usize,
    fault: Fault,
}

/// A call that is under way, until this is dropped.
struct UnderWay(Hook);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
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

    /// Looks from now on at what calls are about.
    pub fn watch(&self) {
        self.lock().watched = Some(Vec::new());
    }

    /// The calls since then, in their order.
    #[must_use]
    pub fn watched(&self) -> Vec<NamedCall> {
        self.lock().watched.clone().unwrap_or_default()
    }

    /// Lets so many calls of that name pass, and does this to the next `times`. Only while somebody watches.
    pub fn fail_named(&self, name: &str, passing: usize, times: usize, fault: &Fault) {
        let by_name = ByName { name: name.to_owned(), passing, times, fault: fault.clone() };
        self.lock().by_name.push(by_name);
    }

    /// How many calls are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.lock().under_way
    }

    /// Counts from nothing again, watches nothing, and forgets the faults that are still waiting.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = Calls { under_way: state.under_way, ..Calls::default() };
    }

    fn is_watching(&self) -> bool {
        self.lock().watched.is_some()
    }

    fn record(&self, operation: &str, named: Option<NamedCall>) -> Option<Fault> {
        let mut state = self.lock();
        *state.counted.entry(operation.to_owned()).or_default() += 1;
        let by_name = named.and_then(|named| {
            let fault = state.fault_of(&named.name);
            if let Some(watched) = &mut state.watched {
                watched.push(named);
            }
            fault
        });
        by_name.or_else(|| state.faults.get_mut(operation)?.pop_front())
    }

    fn begin(&self) -> UnderWay {
        self.lock().under_way += 1;
        UnderWay(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Every change under the lock is complete, whatever a test's thread did with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    /// What happens to a call of that name.
    fn fault_of(&mut self, name: &str) -> Option<Fault> {
        for waiting in self.by_name.iter_mut().filter(|waiting| waiting.name == name && waiting.times > 0) {
            if waiting.passing > 0 {
                waiting.passing -= 1;
                continue;
            }
            waiting.times -= 1;
            return Some(waiting.fault.clone());
        }
        None
    }
}

/// Counts a call and lets it happen, or not.
pub(super) async fn intercept(State(hook): State<Hook>, mut request: Request, next: Next) -> Response {
    let _under_way = hook.begin();
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let mut named = None;
    if hook.is_watching() {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, LONGEST_BODY).await else {
            return error(StatusCode::BAD_REQUEST, "SerializationException", "The body is not whole.");
        };
        named = Some(NamedCall::new(&operation, &serde_json::from_slice(&body).unwrap_or_default()));
        request = Request::from_parts(parts, Body::from(body));
    }
    let Some(fault) = hook.record(&operation, named) else { return next.run(request).await };
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    if let Some(done) = fault.done {
        return partly(request, done, next).await;
    }
    if fault.conflict {
        return conflict(&operation);
    }
    let Some((status, kind)) = fault.error else { return next.run(request).await };
    if fault.after_the_call {
        drop(next.run(request).await);
    }
    error(status, &kind, "This failure was asked for.")
}

/// That somebody else is at the same item, or has changed it.
fn conflict(operation: &str) -> Response {
    if operation != "TransactWriteItems" {
        return error(
            StatusCode::BAD_REQUEST,
            "ConditionalCheckFailedException",
            "The condition does not hold.",
        );
    }
    let kind = "TransactionCanceledException";
    let reasons = json!([{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]);
    let body = json!({"__type": kind, "Message": "Transaction cancelled", "CancellationReasons": reasons});
    with_body(StatusCode::BAD_REQUEST, kind, &body)
}

/// A batch of which not everything is done, as under throttling.
async fn partly(request: Request, done: usize, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, LONGEST_BODY).await.ok();
    let Some(mut call) = read.and_then(|body| serde_json::from_slice::<Value>(&body).ok()) else {
        return error(StatusCode::BAD_REQUEST, "SerializationException", "This is no JSON.");
    };
    let (mut unprocessed, mut name) = (Map::new(), "UnprocessedItems");
    for (table, batch) in call["RequestItems"].as_object_mut().into_iter().flatten() {
        if let Some(writes) = batch.as_array_mut() {
            unprocessed.insert(table.clone(), writes.split_off(done.min(writes.len())).into());
        } else if let Some(keys) = batch["Keys"].as_array_mut() {
            let others = keys.split_off(done.min(keys.len()));
            let mut rest = batch.clone();
            rest["Keys"] = others.into();
            unprocessed.insert(table.clone(), rest);
            name = "UnprocessedKeys";
        }
    }
    let mut said = json!({"Responses": {}});
    if done > 0 {
        parts.headers.remove(CONTENT_LENGTH);
        let answer = next.run(Request::from_parts(parts, Body::from(call.to_string()))).await;
        if !answer.status().is_success() {
            return answer;
        }
        let body = axum::body::to_bytes(answer.into_body(), LONGEST_BODY).await.unwrap_or_default();
        said = serde_json::from_slice(&body).unwrap_or_default();
    }
    said[name] = unprocessed.into();
    let mut response = said.to_string().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// An error in the form of AWS's JSON protocols.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    with_body(status, kind, &json!({"__type": kind, "message": message}))
}

fn with_body(status: StatusCode, kind: &str, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Ok(kind) = HeaderValue::from_str(kind) {
        response.headers_mut().insert("x-amzn-errortype", kind);
    }
    response
}
