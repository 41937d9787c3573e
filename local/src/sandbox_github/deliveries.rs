//! What was sent, what waits to be sent, and the log of it: GitHub's "recent deliveries".
//! The sending itself lives in `hookshot`, the log's REST endpoints in `hook_rest`.

use std::collections::{BTreeMap, VecDeque};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::payloads::Message;
use super::tokens::hex;

/// How many deliveries the log keeps, and how many events may wait.
const MOST: usize = 5_000;
const MOST_WAITING: usize = 20_000;
/// How many bytes of bodies the log keeps: the oldest deliveries go first.
const MOST_BYTES: usize = 24 << 20;
/// GitHub never sends a larger body (reference/github.md 2.2).
const LARGEST_BODY: usize = 25 << 20;
/// The first delivery's number.
const FIRST: u64 = 17_323_292_001;

/// An event with the bytes that are sent for it, at every attempt the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Posted {
    pub(super) guid: String,
    pub(super) event: String,
    pub(super) action: Option<String>,
    pub(super) installation_id: Option<u64>,
    pub(super) body: String,
    /// How often it waits or is in the log; at zero it is forgotten.
    uses: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    guid: String,
    redelivery: bool,
}

/// An event whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) posted: Posted,
    pub(super) redelivery: bool,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// In words: `OK`, or what went wrong.
    pub(super) status: String,
    pub(super) status_code: u16,
    /// In seconds.
    pub(super) duration: f64,
    pub(super) request_headers: Vec<(String, String)>,
    pub(super) response_headers: Vec<(String, String)>,
    pub(super) response_body: String,
}

/// One attempt, as the log has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The attempt's number; a redelivery has one of its own.
    pub id: u64,
    /// The event's GUID; a redelivery has the same.
    pub guid: String,
    /// When, by the sandbox's clock.
    pub delivered_at: String,
    /// Whether it was asked for once more.
    pub redelivery: bool,
    /// The event, such as `installation`.
    pub event: String,
    /// The action, such as `created`.
    pub action: Option<String>,
    /// The installation that the event is about.
    pub installation_id: Option<u64>,
    pub(super) outcome: Outcome,
}

impl Delivery {
    /// The receiver's status; 502 if it was not reached, 504 if it took too long.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        self.outcome.status_code
    }

    /// What happened, in words: `OK`, or what went wrong.
    #[must_use]
    pub fn status(&self) -> &str {
        &self.outcome.status
    }
}

/// Everything about webhooks that is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Deliveries {
    /// How many events and attempts there were.
    events: u64,
    attempts: u64,
    posted: BTreeMap<String, Posted>,
    /// The size of all bodies together.
    bytes: usize,
    waiting: VecDeque<Waiting>,
    log: VecDeque<Delivery>,
}

impl Deliveries {
    /// Queues a webhook. One whose body is too large is never sent.
    pub(super) fn post(&mut self, message: &Message, hook: u64, now: u64) {
        self.events += 1;
        let body = match serde_json::to_string(&message.body) {
            Ok(body) if body.len() <= LARGEST_BODY => body,
            _ => return,
        };
        let guid = guid(hook, self.events, now);
        let posted = Posted {
            guid: guid.clone(),
            event: message.event.to_owned(),
            action: message.action.map(str::to_owned),
            installation_id: message.installation,
            body,
            uses: 0,
        };
        self.keep(posted);
        self.waiting.push_back(Waiting { guid, redelivery: false });
        if self.waiting.len() > MOST_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            self.release(&oldest.guid);
        }
    }

    /// Queues an event of the log once more; tells whether it is known.
    pub(super) fn redeliver(&mut self, guid: &str) -> bool {
        let Some(posted) = self.posted.get_mut(guid) else { return false };
        posted.uses += 1;
        self.waiting.push_back(Waiting { guid: guid.to_owned(), redelivery: true });
        true
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes an event out of those that wait: the oldest is number 0.
    pub(super) fn take(&mut self, index: usize) -> Option<Job> {
        let Waiting { guid, redelivery } = self.waiting.remove(index)?;
        let posted = self.posted.get(&guid)?.clone();
        self.release(&guid);
        Some(Job { posted, redelivery })
    }

    /// Writes an attempt down.
    pub(super) fn log(&mut self, job: Job, outcome: Outcome, delivered_at: String) {
        let Posted { guid, event, action, installation_id, .. } = job.posted.clone();
        let id = FIRST + self.attempts;
        self.attempts += 1;
        self.keep(job.posted);
        let redelivery = job.redelivery;
        self.log.push_back(Delivery {
            id,
            guid,
            delivered_at,
            redelivery,
            event,
            action,
            installation_id,
            outcome,
        });
        while self.log.len() > MOST || (self.log.len() > 1 && self.bytes > MOST_BYTES) {
            if let Some(oldest) = self.log.pop_front() {
                self.release(&oldest.guid);
            }
        }
    }

    /// The log, oldest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.log.iter()
    }

    pub(super) fn entry(&self, id: u64) -> Option<&Delivery> {
        self.log.get(self.log.binary_search_by_key(&id, |delivery| delivery.id).ok()?)
    }

    /// The bytes that were sent for an event.
    pub(super) fn body(&self, guid: &str) -> Option<&str> {
        self.posted.get(guid).map(|posted| posted.body.as_str())
    }

    /// Keeps an event once more.
    fn keep(&mut self, posted: Posted) {
        let size = posted.body.len();
        let kept = self.posted.entry(posted.guid.clone()).or_insert_with(|| {
            self.bytes += size;
            Posted { uses: 0, ..posted }
        });
        kept.uses += 1;
    }

    /// Forgets an event that neither waits nor is in the log any more.
    fn release(&mut self, guid: &str) {
        if let Some(posted) = self.posted.get_mut(guid) {
            posted.uses = posted.uses.saturating_sub(1);
            if posted.uses == 0 {
                self.bytes = self.bytes.saturating_sub(posted.body.len());
                self.posted.remove(guid);
            }
        }
    }
}

/// Another one for each event, the same in each run that is the same.
fn guid(hook: u64, number: u64, now: u64) -> String {
    let hash = hex(digest(&SHA256, format!("{hook}:{number}:{now}").as_bytes()).as_ref());
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
